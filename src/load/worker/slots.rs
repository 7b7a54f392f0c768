//! The table of connections: a place for each, which several connections may have one after the
//! other. Knows nothing about a connection but its generation.

use crate::id::ConnId;

/// The generation of a [`ConnId`] that a poll returns; the highest bit marks ids of other kinds.
const GENERATION_MAX: u32 = u32::MAX >> 1;

/// An id is valid until its connection is taken out; then all calls with it find nothing.
pub(super) struct Slots<C>(Vec<Slot<C>>);

struct Slot<C> {
    generation: u32,
    connection: Option<C>,
}

impl<C> Slots<C> {
    pub(super) fn new(len: usize) -> Self {
        let slot = || Slot {
            generation: 0,
            connection: None,
        };
        Self((0..len).map(|_| slot()).collect())
    }

    pub(super) const fn len(&self) -> usize {
        self.0.len()
    }

    /// The id of the next connection in an empty slot.
    pub(super) fn next_id(&mut self, slot: usize) -> ConnId {
        let place = &mut self.0[slot];
        debug_assert!(place.connection.is_none(), "slot {slot} is in use");
        place.generation = place.generation.wrapping_add(1) & GENERATION_MAX;
        ConnId::new(slot as u32, place.generation)
    }

    pub(super) fn put(&mut self, id: ConnId, connection: C) {
        self.0[id.slot() as usize].connection = Some(connection);
    }

    pub(super) fn get(&self, id: ConnId) -> Option<&C> {
        let place = self.0.get(id.slot() as usize)?;
        let connection = place.connection.as_ref();
        connection.filter(|_| place.generation == id.generation())
    }

    pub(super) fn get_mut(&mut self, id: ConnId) -> Option<&mut C> {
        let place = self.0.get_mut(id.slot() as usize)?;
        let connection = place.connection.as_mut();
        connection.filter(|_| place.generation == id.generation())
    }

    pub(super) fn take(&mut self, id: ConnId) -> Option<C> {
        self.get(id)?;
        self.0[id.slot() as usize].connection.take()
    }

    /// The id and the connection of a slot.
    pub(super) fn at(&self, slot: usize) -> Option<(ConnId, &C)> {
        let place = &self.0[slot];
        let connection = place.connection.as_ref()?;
        Some((ConnId::new(slot as u32, place.generation), connection))
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (ConnId, &C)> {
        (0..self.len()).filter_map(|slot| self.at(slot))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn id_finds_its_own_connection_and_no_later_one() {
        let mut slots = Slots::new(2);
        let first = slots.next_id(1);
        slots.put(first, "first");
        assert_eq!(slots.get(first), Some(&"first"));
        assert_eq!(slots.at(1), Some((first, &"first")));
        assert_eq!(slots.take(first), Some("first"));
        let second = slots.next_id(1);
        slots.put(second, "second");
        assert_eq!(slots.get(first), None);
        assert_eq!(slots.get_mut(first), None);
        assert_eq!(slots.take(first), None);
        assert_eq!(slots.iter().collect::<Vec<_>>(), [(second, &"second")]);
    }

    #[test]
    fn id_outside_the_table_finds_nothing() {
        let mut slots = Slots::<()>::new(1);
        let stranger = ConnId::new(7, 1);
        assert_eq!(slots.get(stranger), None);
        assert_eq!(slots.get_mut(stranger), None);
        assert_eq!(slots.at(0), None);
    }
}
