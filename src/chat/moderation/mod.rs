//! How order is kept: who becomes an operator, and who is removed from a room; bans and mutes
//! (`sanction`, `bans`), the topic (`topic`), what a room is like (`rules`), roles (`roles`), reports
//! (`report`) and what is done about them (`purge`). The members that an entry removes are removed
//! when the entry has its number, not when it is asked for. Knows no address but as values.

mod bans;
mod lists;
mod purge;
mod report;
mod roles;
mod rules;
mod sanction;
mod topic;

pub(super) use bans::silenced;
pub use purge::{PURGE_SECONDS_MAX, Writer};
pub use report::Report;
pub use rules::{Maker, NotMade};

use super::accounts::keep;
use super::registry::Audit;
use super::{
    Action, Chat, Content, Draft, Effect, Effects, Entry, Event, Farewell, Nick, Now, Refused,
    Role, may, refuse, reply, tell, text,
};
use crate::id::{ConnId, RoomId};
use smol_str::SmolStr;
use subtle::{ConditionallySelectable, ConstantTimeEq};

impl Chat {
    /// Keeps a row of the audit log for what changes nothing else that is kept.
    fn note_act(
        &mut self,
        audit: Audit,
        answer: Option<(ConnId, Event)>,
        now: Now,
        effects: &mut Effects,
    ) {
        let (puts, forgets) = (Vec::new(), Vec::new());
        let change = self.registry.change(now.wall, puts, forgets, Some(audit));
        effects.push(keep(change, answer));
    }

    pub(super) fn make_operator(&mut self, id: ConnId, token: &str, effects: &mut Effects) {
        // In constant time: the time of an answer must not depend on how much of a guess was right,
        // nor on whose token it was.
        let mut found = 0;
        for (operator, number) in self.operators.iter().zip(1..) {
            let is_equal = operator.token.as_bytes().ct_eq(token.as_bytes());
            found.conditional_assign(&number, is_equal);
        }
        let is_right = found != 0;
        let Some(user) = self.user_mut(id) else {
            return;
        };
        if is_right {
            user.operator = found;
            self.is_other_person(id);
            effects.push(reply(id, Event::YouAreOperator));
        } else {
            effects.push(refuse(id, Refused::WrongToken));
            effects.push(Effect::WrongToken { id });
        }
    }

    /// Asks for an entry by which a member of the room is removed from it.
    pub(super) fn kick(
        &mut self,
        id: ConnId,
        room: RoomId,
        (nick, reason): (&str, &str),
        now: Now,
        effects: &mut Effects,
    ) {
        let role = self.role_of(id, room);
        let Some(actor) = self.nick_of(id).filter(|_| may(role, Action::Kick, None)) else {
            return effects.push(refuse(id, Refused::NotOperator));
        };
        // Of an account that is there more than once, all connections are removed.
        let wearers: Vec<ConnId> = match Nick::parse(nick) {
            Ok(nick) => {
                let owners = self.owners_of(&nick);
                let wearers = owners.flat_map(|owner| self.connections_of(owner));
                wearers.filter(|one| self.is_member(*one, room)).collect()
            }
            Err(_) => Vec::new(),
        };
        let highest = wearers.iter().map(|one| self.role_of(*one, room)).max();
        let kicked = wearers.first().and_then(|one| self.nick_of(*one));
        let elsewhere = Nick::parse(nick).ok();
        let elsewhere = elsewhere.filter(|_| kicked.is_none());
        let elsewhere = elsewhere.and_then(|nick| self.member_elsewhere(room, &nick));
        let Some(kicked) = kicked.or(elsewhere) else {
            let nick = text::excerpt(nick);
            return effects.push(refuse(id, Refused::NoSuchMember { nick }));
        };
        let nick = kicked.as_smol_str().clone();
        let highest = highest.max(self.role_elsewhere(room, kicked));
        if !may(role, Action::Kick, highest) {
            let nick = nick.to_string();
            return effects.push(refuse(id, Refused::Outranked { nick }));
        }
        let reason = text::remark(reason);
        let audit = Audit {
            action: SmolStr::new_static("kick"),
            by: self.known_as(id),
            room: self.room_name(room).cloned(),
            target: nick.clone(),
            detail: SmolStr::new(&reason),
            until: None,
        };
        let content = Content::Kicked {
            by: actor.as_str().to_owned(),
            reason,
        };
        // Directly before the entry, with which it goes where servers share an engine.
        self.has_done(audit, now, effects);
        effects.push(Effect::Append {
            room,
            from: id,
            draft: Draft { nick, content },
        });
    }

    /// Has the audit log keep what was done, where that changes no fact.
    pub(super) fn has_done(&mut self, audit: Audit, now: Now, effects: &mut Effects) {
        let change = self
            .registry
            .change(now.wall, Vec::new(), Vec::new(), Some(audit));
        effects.push(Effect::Change {
            change: Box::new(change),
            to: None,
            event: None,
        });
    }

    /// Whether a member of that nick is above who removes it, which another server need not have
    /// known at that moment.
    pub fn outranks(&self, room: RoomId, nick: &str, by: Role) -> bool {
        let Ok(nick) = Nick::parse(nick) else {
            return false;
        };
        let owners = self.owners_of(&nick);
        let mut wearers = owners.filter(|owner| self.nick_of(*owner) == Some(&nick));
        wearers.any(|one| {
            let all = self.connections_of(one).into_iter();
            let mut here = all.filter(|one| self.is_member(*one, room));
            here.any(|one| !may(by, Action::Kick, Some(self.role_of(one, room))))
        })
    }

    /// Whether an entry changes the members of its room: what the room was sent before must be
    /// delivered before the entry is [ordered](Chat::ordered).
    pub const fn changes_members<T>(&self, content: &Content<T>) -> bool {
        match content {
            Content::Said { .. }
            | Content::Edited { .. }
            | Content::Deleted { .. }
            | Content::Act { .. } => false,
            Content::Kicked { .. } => true,
        }
    }

    /// An entry of the room has its number. Changes what the entry changes, before the room sees
    /// the entry. To be called for each entry of a room that has members, in order.
    pub fn ordered(&mut self, room: RoomId, entry: &Entry<'_>, effects: &mut Effects) {
        match entry.content {
            Content::Said { .. } => self.was_spoken(room),
            Content::Edited { .. } | Content::Deleted { .. } | Content::Act { .. } => {}
            Content::Kicked { by, reason } => {
                self.kicked(room, entry.nick, by, reason, effects);
            }
        }
    }

    /// Removes the member of that nick, if there is (still) one, with all its connections. Each of
    /// them is to be closed if that was its last room.
    fn kicked(&mut self, room: RoomId, nick: &str, by: &str, reason: &str, effects: &mut Effects) {
        let Ok(nick) = Nick::parse(nick) else {
            return;
        };
        self.forget_elsewhere(room, &nick);
        let owner = {
            let mut owners = self.owners_of(&nick);
            owners.find(|owner| self.nick_of(*owner) == Some(&nick))
        };
        let (Some(owner), Some(name)) = (owner, self.room_name(room).cloned()) else {
            return;
        };
        for id in self.connections_of(owner) {
            if !self.remove(id, room, effects) {
                continue;
            }
            self.goes_from_here(room, &nick);
            let event = Event::YouWereKicked {
                room: name.clone(),
                by: SmolStr::new(by),
                reason: reason.to_owned(),
            };
            effects.push(tell(id, event));
            if self.rooms_of(id).next().is_none() {
                let reason = reason.to_owned();
                effects.push(Effect::Close {
                    id,
                    why: Farewell::Kicked { reason },
                });
            }
        }
    }
}
