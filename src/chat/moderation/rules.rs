//! What a room is like: who may join, who may speak and how often, whether it is listed; and how it
//! is closed. Settings are rules of the room, and each change of them is an entry.

use super::super::registry::{Audit, FactKey, Rules, Scope};
use super::super::{
    Act, Action, Chat, Effect, Effects, Event, Farewell, JoinRefused, Now, Refused, Role,
    RoomChange, RoomPolicy, may, refuse, reply, tell, text,
};
use crate::id::{ConnId, RoomId, Tick};
use smol_str::SmolStr;
use std::fmt::Write as _;

/// The slowest that a room can be: a message a day.
const SLOW_SECONDS_MAX: u32 = 24 * 3600;
/// A hundred years.
const KEEP_DAYS_MAX: u32 = 36_500;
/// Members whose last message a slow room remembers before it forgets those that may speak again.
const SPOKE_MAX: usize = 1024;

/// How often a user may make a room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Maker {
    /// As often as it likes.
    Any,
    /// As often as its address has a budget for.
    Limited,
}

/// Why a user may not make a room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotMade {
    /// Only some make rooms here.
    Listed,
    /// There are as many as there may be.
    TooMany,
}

impl Chat {
    /// Changes what a room is like, or answers with what it is like. `password` is what is kept of a
    /// new one; empty: there is none from here on.
    pub fn change_room(
        &mut self,
        id: ConnId,
        room: RoomId,
        (change, password): (RoomChange, Option<&str>),
        now: Now,
        effects: &mut Effects,
    ) {
        if change == RoomChange::default() && password.is_none() {
            return self.show_rules(id, room, effects);
        }
        // Since the password was asked to be hashed, the user may have left.
        if !self.is_member(id, room) && !self.is_host(id) {
            return effects.push(refuse(id, Refused::NotAMember));
        }
        let wants_pace =
            change.slow_seconds.is_some() || change.moderated.is_some() || change.locked.is_some();
        let wants_room = change.hidden.is_some()
            || change.newcomers_read.is_some()
            || change.keep_days.is_some()
            || password.is_some();
        for (is_wanted, action) in [(wants_pace, Action::SetPace), (wants_room, Action::SetRoom)] {
            if is_wanted && !self.may_or_refuse(id, Some(room), action, effects) {
                return;
            }
        }
        let detail = described(change, password);
        self.change_rules(id, room, ("settings", &detail), now, effects, |rules| {
            if let Some(seconds) = change.slow_seconds {
                rules.slow_seconds = seconds.min(SLOW_SECONDS_MAX);
            }
            rules.is_moderated = change.moderated.unwrap_or(rules.is_moderated);
            rules.is_locked = change.locked.unwrap_or(rules.is_locked);
            rules.is_hidden = change.hidden.unwrap_or(rules.is_hidden);
            rules.newcomers_read = change.newcomers_read.unwrap_or(rules.newcomers_read);
            if let Some(days) = change.keep_days {
                rules.keep_days = Some(days.min(KEEP_DAYS_MAX)).filter(|days| *days > 0);
            }
            if let Some(kept) = password {
                rules.password = Some(SmolStr::new(kept)).filter(|kept| !kept.is_empty());
            }
        });
        effects.push(self.act_on_room(id, room, Act::Settings, &detail));
    }

    /// Whether a user may give a room a password: to be asked before it is hashed.
    pub fn may_set_room(&self, id: ConnId, room: RoomId) -> bool {
        may(self.role_of(id, room), Action::SetRoom, None)
    }

    fn show_rules(&self, id: ConnId, room: RoomId, effects: &mut Effects) {
        if let Some(name) = self.room_name(room) {
            let event = Event::Settings {
                room: name.clone(),
                rules: Box::new(self.rules_of(room).cloned().unwrap_or_default()),
            };
            effects.push(reply(id, event));
        }
    }

    /// The rules of a room, if they are not the usual ones.
    pub fn rules_of(&self, room: RoomId) -> Option<&Rules> {
        self.registry.rules(self.room_name(room)?)
    }

    /// Whether newcomers of a room see nothing of what was said before they came.
    pub fn hides_past(&self, room: RoomId) -> bool {
        self.rules_of(room)
            .is_some_and(|rules| !rules.newcomers_read)
    }

    /// Whether a member may read what was said in a room before it came.
    pub fn reads_past(&self, id: ConnId, room: RoomId) -> bool {
        !self.hides_past(room) || may(self.role_of(id, room), Action::ReadPast, None)
    }

    /// Why a user may not say anything in a room now, by the rules of the room. If it may, the room
    /// counts the next message from here.
    pub(in super::super) fn held_back(
        &mut self,
        id: ConnId,
        room: RoomId,
        now: Tick,
    ) -> Option<Refused> {
        // Without rules of any room, nothing is looked up.
        let rules = self.rules_of(room)?;
        let (is_moderated, slow_seconds) = (rules.is_moderated, rules.slow_seconds);
        let role = self.role_of(id, room);
        if is_moderated && !may(role, Action::SpeakInModerated, None) {
            return Some(Refused::Moderated);
        }
        if slow_seconds == 0 || may(role, Action::SpeakFast, None) {
            return None;
        }
        // By nick, so that a member that leaves and returns waits as long.
        let nick = self.nick_of(id)?.keys().next()?;
        let spoke = &mut self.rooms.get_mut(room)?.spoke;
        let pause = slow_seconds.saturating_mul(1000 / Tick::MILLIS as u32);
        if let Some(last) = spoke.get(&nick) {
            let waited = now.since(*last);
            if waited < pause {
                let millis = u64::from(pause - waited) * Tick::MILLIS;
                return Some(Refused::SlowMode { millis });
            }
        }
        if spoke.len() >= SPOKE_MAX {
            spoke.retain(|_, last| now.since(*last) < pause);
        }
        spoke.insert(nick, now);
        None
    }

    /// Why a user may not join a room, by the rules of the room. `pass`: what is kept of the password
    /// that the user has shown.
    pub(in super::super) fn kept_out(
        &self,
        id: ConnId,
        (room, name): (RoomId, &SmolStr),
        pass: Option<&str>,
    ) -> Option<JoinRefused> {
        let rules = self.registry.rules(name)?;
        let user = self.user(id)?;
        let is_guest = user.account.is_none() && user.operator == 0;
        if rules.is_locked && is_guest {
            return Some(JoinRefused::Locked);
        }
        let kept = rules.password.as_ref()?;
        let is_in = |account| self.is_elsewhere(account, id, room);
        let needs_none = pass == Some(kept.as_str())
            || self.role_in_room(id, name) > Role::Member
            || user.account.is_some_and(is_in);
        (!needs_none).then(|| JoinRefused::Password { kept: kept.clone() })
    }

    /// Whether a room is on the list that a user is shown. `room`: `None` if it has no members.
    pub(in super::super) fn is_shown(
        &self,
        id: ConnId,
        room: Option<RoomId>,
        name: &SmolStr,
    ) -> bool {
        let is_hidden = self
            .registry
            .rules(name)
            .is_some_and(|rules| rules.is_hidden);
        !is_hidden
            || room.is_some_and(|room| self.is_member(id, room))
            || may(self.role_in_room(id, name), Action::SeeHidden, None)
    }

    /// Closes a room: all leave, and its rules, roles, bans and mutes are gone. Its history stays, and
    /// who joins it next makes it anew.
    pub(in super::super) fn close_room(
        &mut self,
        id: ConnId,
        room: RoomId,
        reason: &str,
        now: Now,
        effects: &mut Effects,
    ) {
        if !self.may_or_refuse(id, Some(room), Action::CloseRoom, effects) {
            return;
        }
        let Some(name) = self.room_name(room).cloned() else {
            return;
        };
        let by = self.nick_of(id).map(|nick| nick.as_smol_str().clone());
        let reason = text::remark(reason);
        let audit = Audit {
            action: SmolStr::new_static("close"),
            by: self.known_as(id),
            room: Some(name.clone()),
            target: SmolStr::default(),
            detail: SmolStr::new(&reason),
            until: None,
        };
        let scope = Scope::Room(name.clone());
        let roles = self.registry.roles(&scope);
        let roles = roles.map(|(account, _)| super::roles::key(&scope, account));
        let sanctions = self.registry.sanctions(&scope).map(|ban| ban.key());
        let mut forgets: Vec<FactKey> = roles.chain(sanctions).collect();
        forgets.push(FactKey::Rules { room: name });
        let change = self
            .registry
            .propose(now.wall, Vec::new(), forgets, Some(audit));
        effects.push(Effect::Change {
            change: Box::new(change),
            to: Some(id),
            event: None,
        });
        effects.push(Effect::Vacate {
            room,
            by: by.unwrap_or_default(),
            reason,
        });
    }

    /// Removes all members of a room. What they were sent must be delivered before.
    pub fn vacate(&mut self, room: RoomId, by: &SmolStr, reason: &str, effects: &mut Effects) {
        let Some(name) = self.room_name(room).cloned() else {
            return;
        };
        for id in self.members(room).to_vec() {
            let nick = self.nick_of(id).cloned();
            self.remove(id, room, effects);
            if let Some(nick) = nick.filter(|_| self.pair_of(room).is_none()) {
                self.goes_from_here(room, &nick);
            }
            let event = Event::YouWereKicked {
                room: name.clone(),
                by: by.clone(),
                reason: reason.to_owned(),
            };
            effects.push(tell(id, event));
            if self.rooms_of(id).next().is_none() {
                let reason = reason.to_owned();
                let why = Farewell::Kicked { reason };
                effects.push(Effect::Close { id, why });
            }
        }
    }

    /// Whether there is a room of this name although it has neither members nor entries.
    pub fn knows_room(&self, name: &SmolStr) -> bool {
        self.is_of_operators(name)
            || self.registry.rules(name).is_some()
            || self
                .registry
                .roles(&Scope::Room(name.clone()))
                .next()
                .is_some()
    }

    /// Whether a room is the operators', so that no user owns it for being the first in it.
    pub fn is_of_operators(&self, name: &SmolStr) -> bool {
        self.listed_rooms.contains(name)
    }

    /// Why a user may not make a room, if it is not allowed to make any. `max`: rooms that may have
    /// members, and rooms that may have an owner.
    ///
    /// # Errors
    /// Rooms are not made by such users, or there are as many as there may be.
    pub fn may_make_room(&self, id: ConnId, max: usize) -> Result<Maker, NotMade> {
        if may(self.role_on_server(id), Action::MakeRoom, None) {
            return Ok(Maker::Any);
        }
        if self.room_policy == RoomPolicy::Listed {
            return Err(NotMade::Listed);
        }
        if self.room_count().max(self.registry.owned_rooms().len()) >= max {
            return Err(NotMade::TooMany);
        }
        Ok(Maker::Limited)
    }

    /// A user is the first in a room in which nothing was said before: with an account, it owns the
    /// room from here on.
    pub fn has_made(&mut self, id: ConnId, room: RoomId, now: Now, effects: &mut Effects) {
        let account = self.user(id).and_then(|user| user.account);
        let (Some(account), Some(name)) = (account, self.room_name(room).cloned()) else {
            return;
        };
        let roles = self.registry.roles(&Scope::Room(name.clone())).next();
        if roles.is_none() && !self.is_of_operators(&name) {
            self.owns(id, account, name, now, effects);
        }
    }
}

/// A change as entries and the audit log have it: the fields of the protocol and their values.
fn described(change: RoomChange, password: Option<&str>) -> String {
    let mut text = String::new();
    let mut add = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            let space = if text.is_empty() { "" } else { " " };
            // Writing to a string does not fail.
            let _ = write!(text, "{space}{name}={value}");
        }
    };
    let seconds = change
        .slow_seconds
        .map(|seconds| seconds.min(SLOW_SECONDS_MAX));
    add("slow_seconds", seconds.map(|seconds| seconds.to_string()));
    add("moderated", change.moderated.map(|is| is.to_string()));
    add("locked", change.locked.map(|is| is.to_string()));
    add("hidden", change.hidden.map(|is| is.to_string()));
    let has_password = password.map(|kept| !kept.is_empty());
    add("has_password", has_password.map(|has| has.to_string()));
    let newcomers_read = change.newcomers_read;
    add("newcomers_read", newcomers_read.map(|may| may.to_string()));
    let days = change.keep_days.map(|days| days.min(KEEP_DAYS_MAX));
    add("keep_days", days.map(|days| days.to_string()));
    text
}
