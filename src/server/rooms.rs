//! Which room has which name, while it has members, and the numbers of its entries. Knows no member.

use crate::id::{RoomId, Seq};
use slab::Slab;
use smol_str::SmolStr;
use std::collections::HashMap;

/// The table of names. Slots are used again, generations are not.
#[derive(Debug, Default)]
pub(super) struct Rooms {
    slab: Slab<Named>,
    names: HashMap<SmolStr, RoomId>,
    next_generation: u32,
}

#[derive(Debug)]
struct Named {
    name: SmolStr,
    generation: u32,
    /// The number of the newest entry.
    head: Seq,
}

impl Rooms {
    /// The room of a name, which is new if it is not there.
    pub(super) fn open(&mut self, name: &SmolStr) -> RoomId {
        if let Some(room) = self.names.get(name) {
            return *room;
        }
        let generation = self.next_generation;
        self.next_generation = generation.wrapping_add(1);
        let slot = self.slab.insert(Named {
            name: name.clone(),
            generation,
            head: Seq(0),
        });
        let slot = u32::try_from(slot).expect("there are no more rooms than memberships");
        let room = RoomId::new(slot, generation);
        self.names.insert(name.clone(), room);
        room
    }

    /// The number of the room's next entry; `None`: the room is gone, or full.
    pub(super) fn number(&mut self, room: RoomId) -> Option<Seq> {
        let named = self.slab.get_mut(room.slot() as usize)?;
        if named.generation != room.generation() {
            return None;
        }
        named.head = named.head.next()?;
        Some(named.head)
    }

    /// The room has no members.
    pub(super) fn remove(&mut self, room: RoomId) {
        let slot = room.slot() as usize;
        let is_there = |named: &Named| named.generation == room.generation();
        if self.slab.get(slot).is_some_and(is_there) {
            let named = self.slab.remove(slot);
            self.names.remove(&named.name);
        }
    }

    pub(super) fn len(&self) -> usize {
        self.slab.len()
    }

    /// Gives back the memory of rooms that are gone.
    pub(super) fn shrink(&mut self) {
        self.slab.shrink_to_fit();
        self.names.shrink_to_fit();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_has_one_id_while_it_is_there_and_numbers_its_entries() {
        let mut rooms = Rooms::default();
        let (lobby, attic) = (rooms.open(&"lobby".into()), rooms.open(&"attic".into()));
        assert_ne!(lobby, attic);
        assert_eq!(rooms.open(&"lobby".into()), lobby);
        assert_eq!(rooms.number(lobby), Some(Seq(1)));
        assert_eq!(rooms.number(lobby), Some(Seq(2)));
        assert_eq!(rooms.number(attic), Some(Seq(1)));
    }

    #[test]
    fn id_of_a_room_that_is_gone_does_not_reach_the_next_in_its_slot() {
        let mut rooms = Rooms::default();
        let old = rooms.open(&"lobby".into());
        rooms.remove(old);
        let new = rooms.open(&"attic".into());
        assert_eq!((old.slot(), rooms.len()), (new.slot(), 1));
        assert_eq!(rooms.number(old), None);
        rooms.remove(old);
        assert_eq!(rooms.number(new), Some(Seq(1)));
    }
}
