//! Hosts: those that ask for order from outside, as the operator of the machine does by the command
//! line. A host is no user and in no room, may do what an admin may, and is called `operator`. Knows
//! no socket.

use super::nick::Nick;
use super::{Chat, Command, Effect, Effects, Now};
use crate::id::{ConnId, RoomId};
use smol_str::SmolStr;

/// A room that has no members: no room that has some has this id.
const EMPTY_ROOM: RoomId = RoomId::new(u32::MAX, u32::MAX);

/// Those whose requests are under way.
#[derive(Debug)]
pub(super) struct Hosts {
    ids: Vec<ConnId>,
    nick: Option<Nick>,
    /// The room without members that the request is about which is being handled.
    room: Option<SmolStr>,
}

impl Default for Hosts {
    fn default() -> Self {
        Self {
            ids: Vec::new(),
            nick: Nick::parse("operator").ok(),
            room: None,
        }
    }
}

impl Hosts {
    pub(super) fn has(&self, id: ConnId) -> bool {
        self.ids.contains(&id)
    }

    pub(super) fn name(&self, id: ConnId) -> Option<&Nick> {
        self.nick.as_ref().filter(|_| self.has(id))
    }

    pub(super) fn room_name(&self, room: RoomId) -> Option<&SmolStr> {
        self.room.as_ref().filter(|_| room == EMPTY_ROOM)
    }
}

impl Chat {
    /// Does what a host asks, in a room or on the server. It is a host until
    /// [`Chat::host_is_answered`]. `room`: its name, and its id if it has members; without them, what
    /// is done there is not shown to it.
    pub fn handle_host(
        &mut self,
        id: ConnId,
        room: Option<(Option<RoomId>, &SmolStr)>,
        command: Command<'_>,
        now: Now,
        effects: &mut Effects,
    ) {
        self.hosts.ids.push(id);
        match room {
            None => {
                self.handle_on_server(id, command, now, effects);
            }
            Some((Some(room), _)) => self.handle_in(id, room, command, now, effects),
            Some((None, name)) => {
                self.hosts.room = Some(name.clone());
                self.handle_in(id, EMPTY_ROOM, command, now, effects);
                self.hosts.room = None;
                effects.retain(|effect| {
                    !matches!(effect, Effect::Append { room, .. } | Effect::Purge { room, .. } if *room == EMPTY_ROOM)
                });
            }
        }
    }

    /// Whether a host has this id.
    pub fn is_host(&self, id: ConnId) -> bool {
        self.hosts.has(id)
    }

    /// The request of a host is answered.
    pub fn host_is_answered(&mut self, id: ConnId) {
        self.hosts.ids.retain(|host| *host != id);
    }
}
