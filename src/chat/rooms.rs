//! The rooms that have members, by the slot of their id. Knows no user.

use super::room::Room;
use crate::carry::{Carry, Damaged, Reader, Writer};
use crate::id::RoomId;
use smol_str::SmolStr;

/// A table of rooms. Ids are to be allocated densely.
#[derive(Default)]
pub(super) struct Rooms {
    slots: Vec<Option<Room>>,
    count: usize,
}

impl Rooms {
    pub(super) fn get(&self, id: RoomId) -> Option<&Room> {
        let room = self.slots.get(id.slot() as usize)?.as_ref()?;
        (room.generation == id.generation()).then_some(room)
    }

    pub(super) fn get_mut(&mut self, id: RoomId) -> Option<&mut Room> {
        let room = self.slots.get_mut(id.slot() as usize)?.as_mut()?;
        (room.generation == id.generation()).then_some(room)
    }

    /// The room of this id, which is new if it has no members.
    pub(super) fn enter(&mut self, id: RoomId, name: &SmolStr) -> &mut Room {
        let slot = id.slot() as usize;
        if slot >= self.slots.len() {
            self.slots.resize_with(slot + 1, || None);
        }
        let place = &mut self.slots[slot];
        if place.is_none() {
            self.count += 1;
        }
        let room = place.get_or_insert_with(|| Room::new(name.clone(), id.generation()));
        assert_eq!(
            room.generation,
            id.generation(),
            "a slot is given away while its room has members"
        );
        room
    }

    pub(super) fn remove(&mut self, id: RoomId) -> Option<Room> {
        self.get(id)?;
        self.count -= 1;
        self.slots.get_mut(id.slot() as usize)?.take()
    }

    /// The room in a slot.
    pub(super) fn at(&self, slot: u32) -> Option<RoomId> {
        let room = self.slots.get(slot as usize)?.as_ref()?;
        Some(RoomId::new(slot, room.generation))
    }

    pub(super) const fn slots(&self) -> usize {
        self.slots.len()
    }

    pub(super) const fn len(&self) -> usize {
        self.count
    }

    /// All rooms, in the order of their slots.
    pub(super) fn iter(&self) -> impl Iterator<Item = (RoomId, &Room)> {
        self.slots.iter().enumerate().filter_map(|(slot, room)| {
            let room = room.as_ref()?;
            Some((RoomId::new(slot as u32, room.generation), room))
        })
    }

    /// Gives back the memory of the slots behind the last that is in use.
    pub(super) fn shrink(&mut self) {
        let end = self.slots.iter().rposition(Option::is_some);
        self.slots.truncate(end.map_or(0, |last| last + 1));
        self.slots.shrink_to_fit();
    }

    #[cfg(test)]
    pub(super) fn capacity(&self) -> usize {
        self.slots.capacity()
    }
}

impl Carry for Rooms {
    fn write(&self, to: &mut Writer) {
        self.slots.write(to);
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, Damaged> {
        let slots: Vec<Option<Room>> = Carry::read(from)?;
        let count = slots.iter().flatten().count();
        Ok(Self { slots, count })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn former_room_of_a_slot_is_not_found() {
        let mut rooms = Rooms::default();
        let (old, new) = (RoomId::new(3, 1), RoomId::new(3, 2));
        rooms.enter(old, &"attic".into());
        assert!(rooms.get(old).is_some() && rooms.get(new).is_none());
        rooms.remove(old);
        assert_eq!(rooms.len(), 0);
        rooms.enter(new, &"cellar".into());
        assert!(rooms.get(old).is_none() && rooms.get_mut(old).is_none());
        assert!(rooms.remove(old).is_none());
        assert_eq!(rooms.len(), 1);
    }

    #[test]
    #[should_panic(expected = "a slot is given away")]
    fn slot_is_not_given_away_while_its_room_has_members() {
        let mut rooms = Rooms::default();
        rooms.enter(RoomId::new(3, 1), &"attic".into());
        rooms.enter(RoomId::new(3, 2), &"cellar".into());
    }
}
