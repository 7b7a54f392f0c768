//! Operators and what they do. What an entry changes is changed here when the entry has its number,
//! not when it is asked for.

use super::{
    Chat, Content, Draft, Effect, Effects, Entry, Event, Farewell, Nick, Refused, refuse, reply,
    tell, text,
};
use crate::id::{ConnId, RoomId};
use smol_str::SmolStr;
use subtle::ConstantTimeEq;

impl Chat {
    pub(super) fn make_operator(&mut self, id: ConnId, token: &str, effects: &mut Effects) {
        // In constant time: the time of an answer must not depend on how much of a guess was right.
        let is_right = self
            .operator_token
            .as_ref()
            .is_some_and(|right| bool::from(right.as_bytes().ct_eq(token.as_bytes())));
        let Some(user) = self.user_mut(id) else {
            return;
        };
        user.is_operator |= is_right;
        if is_right {
            effects.push(reply(id, Event::YouAreOperator));
        } else {
            effects.push(refuse(id, Refused::WrongToken));
            effects.push(Effect::WrongToken { id });
        }
    }

    /// Asks for an entry by which a member of the operator's room is removed from it.
    pub(super) fn kick(
        &self,
        id: ConnId,
        room: RoomId,
        nick: &str,
        reason: &str,
        effects: &mut Effects,
    ) {
        let Some(operator) = self.user(id) else {
            return;
        };
        if !operator.is_operator {
            return effects.push(refuse(id, Refused::NotOperator));
        }
        let kicked = Nick::parse(nick).ok().and_then(|nick| {
            let owners = self.owners_of(&nick);
            let mut wearers = owners.flat_map(|owner| self.connections_of(owner));
            wearers.find(|one| self.is_member(*one, room))
        });
        let Some(kicked) = kicked.and_then(|kicked| self.nick_of(kicked)) else {
            let nick = text::excerpt(nick);
            return effects.push(refuse(id, Refused::NoSuchMember { nick }));
        };
        let content = Content::Kicked {
            by: operator.nick.as_str().to_owned(),
            reason: text::remark(reason),
        };
        let nick = kicked.as_smol_str().clone();
        effects.push(Effect::Append {
            room,
            from: id,
            draft: Draft { nick, content },
        });
    }

    /// Whether an entry changes the members of its room: what the room was sent before must be
    /// delivered before the entry is [ordered](Chat::ordered).
    pub const fn changes_members<T>(&self, content: &Content<T>) -> bool {
        match content {
            Content::Said { .. } | Content::Edited { .. } | Content::Deleted { .. } => false,
            Content::Kicked { .. } => true,
        }
    }

    /// An entry of the room has its number. Changes what the entry changes, before the room sees
    /// the entry. To be called for each entry of a room that has members, in order.
    pub fn ordered(&mut self, room: RoomId, entry: &Entry<'_>, effects: &mut Effects) {
        match entry.content {
            Content::Said { .. } | Content::Edited { .. } | Content::Deleted { .. } => {}
            Content::Kicked { by, reason } => {
                self.kicked(room, entry.nick, by, reason, effects);
            }
        }
    }

    /// Removes the member of that nick, if there is (still) one, with all its connections. Each of
    /// them is to be closed if that was its last room.
    fn kicked(&mut self, room: RoomId, nick: &str, by: &str, reason: &str, effects: &mut Effects) {
        let owner = Nick::parse(nick).ok().and_then(|nick| {
            let mut owners = self.owners_of(&nick);
            owners.find(|owner| self.nick_of(*owner) == Some(&nick))
        });
        let (Some(owner), Some(name)) = (owner, self.room_name(room).cloned()) else {
            return;
        };
        for id in self.connections_of(owner) {
            if !self.remove(id, room, effects) {
                continue;
            }
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
