//! Who is in a room, and which rooms there are.

use super::{Chat, Effects, Event, Nick, ROOMS_MAX, WHO_MAX, reply};
use crate::id::{ConnId, RoomId};

impl Chat {
    /// The nicks of up to `most` members of a room but one, and how many more members there are.
    pub(super) fn names_in(
        &self,
        room: RoomId,
        most: usize,
        except: Option<ConnId>,
    ) -> (Vec<Nick>, u32) {
        let members = self.members(room);
        let count = members.len() - usize::from(except.is_some_and(|id| self.is_member(id, room)));
        let mut nicks = Vec::with_capacity(count.min(most));
        let listed = members.iter().filter(|id| Some(**id) != except).take(most);
        nicks.extend(listed.filter_map(|id| self.nick_of(*id).cloned()));
        (nicks, count.saturating_sub(most) as u32)
    }

    pub(super) fn who(&self, id: ConnId, room: RoomId, effects: &mut Effects) {
        let Some(name) = self.room_name(room) else {
            return;
        };
        let (members, more) = self.names_in(room, WHO_MAX, None);
        let room = name.clone();
        effects.push(reply(
            id,
            Event::Who {
                room,
                members,
                more,
            },
        ));
    }

    pub(super) fn list_rooms(&self, id: ConnId, effects: &mut Effects) {
        let rooms = self.rooms.iter().take(ROOMS_MAX);
        let rooms = rooms.map(|(_, room)| (room.name.clone(), room.members().len() as u32));
        let rooms = rooms.collect();
        let more = self.rooms.len().saturating_sub(ROOMS_MAX) as u32;
        effects.push(reply(id, Event::Rooms { rooms, more }));
    }
}
