//! What a room is like: who may join, who may speak and how often, whether it is listed; and how it
//! is closed. Settings are rules of the room, and each change of them is an entry.

use super::super::registry::{Audit, FactKey, Rules, Scope};
use super::super::{
    Act, Action, Chat, Effect, Effects, Event, Farewell, JoinRefused, Now, Refused, RoomChange,
    may, reply, tell, text,
};
use crate::id::{ConnId, RoomId, Tick};
use smol_str::SmolStr;
use std::fmt::Write as _;

/// The slowest that a room can be: a message a day.
const SLOW_SECONDS_MAX: u32 = 24 * 3600;
/// Members whose last message a slow room remembers before it forgets those that may speak again.
const SPOKE_MAX: usize = 1024;

impl Chat {
    /// Changes what a room is like, or answers with what it is like.
    pub(in super::super) fn change_room(
        &mut self,
        id: ConnId,
        room: RoomId,
        change: RoomChange,
        now: Now,
        effects: &mut Effects,
    ) {
        if change == RoomChange::default() {
            return self.show_rules(id, room, effects);
        }
        let wants_pace =
            change.slow_seconds.is_some() || change.moderated.is_some() || change.locked.is_some();
        for (is_wanted, action) in [
            (wants_pace, Action::SetPace),
            (change.hidden.is_some(), Action::SetRoom),
        ] {
            if is_wanted && !self.may_or_refuse(id, Some(room), action, effects) {
                return;
            }
        }
        let detail = described(change);
        self.change_rules(id, room, ("settings", &detail), now, effects, |rules| {
            if let Some(seconds) = change.slow_seconds {
                rules.slow_seconds = seconds.min(SLOW_SECONDS_MAX);
            }
            rules.is_moderated = change.moderated.unwrap_or(rules.is_moderated);
            rules.is_locked = change.locked.unwrap_or(rules.is_locked);
            rules.is_hidden = change.hidden.unwrap_or(rules.is_hidden);
        });
        effects.push(self.act_on_room(id, room, Act::Settings, &detail));
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
        // By nick, so that one who comes again waits as long.
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

    /// Why a user may not join a room, by the rules of the room.
    pub(in super::super) fn kept_out(&self, id: ConnId, name: &SmolStr) -> Option<JoinRefused> {
        let rules = self.registry.rules(name)?;
        let user = self.user(id)?;
        let is_guest = user.account.is_none() && user.operator == 0;
        (rules.is_locked && is_guest).then_some(JoinRefused::Locked)
    }

    /// Whether a room is on the list that a user is shown.
    pub(in super::super) fn is_shown(&self, id: ConnId, room: RoomId, name: &SmolStr) -> bool {
        let is_hidden = self
            .registry
            .rules(name)
            .is_some_and(|rules| rules.is_hidden);
        !is_hidden
            || self.is_member(id, room)
            || may(self.role_of(id, room), Action::SeeHidden, None)
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
            .change(now.wall, Vec::new(), forgets, Some(audit));
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
            self.remove(id, room, effects);
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

    /// A user is the first in a room in which nothing was said before: with an account, it owns the
    /// room from here on.
    pub fn has_made(&mut self, id: ConnId, room: RoomId, now: Now, effects: &mut Effects) {
        let account = self.user(id).and_then(|user| user.account);
        let (Some(account), Some(name)) = (account, self.room_name(room).cloned()) else {
            return;
        };
        if self
            .registry
            .roles(&Scope::Room(name.clone()))
            .next()
            .is_none()
        {
            self.owns(id, account, name, now, effects);
        }
    }
}

/// A change as entries and the audit log have it: the fields of the protocol and their values.
fn described(change: RoomChange) -> String {
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
    text
}
