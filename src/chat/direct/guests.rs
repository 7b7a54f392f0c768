//! Guests in conversations: the number by which each is one of a pair, and which conversations have
//! members. Guests that talk to no other alone cost nothing. Knows no nick.

use super::Party;
use super::ignore::IgnoredByGuests;
use crate::carry::{Carry, Damaged, Reader, Writer};
use crate::id::{ConnId, RoomId};
use std::collections::{BTreeMap, BTreeSet};

#[derive(Debug, Default)]
pub(in crate::chat) struct Directs {
    numbers: BTreeMap<ConnId, u32>,
    guests: BTreeMap<u32, ConnId>,
    last: u32,
    /// Whom guests ignore.
    pub(super) ignored: IgnoredByGuests,
    /// The conversations that have members, by each of their two.
    rooms: BTreeSet<(Party, RoomId)>,
}

impl Directs {
    /// The guest as one of a pair. It has a number from here on.
    pub(super) fn party(&mut self, id: ConnId) -> Party {
        if let Some(party) = self.known(id) {
            return party;
        }
        self.last = self.last.wrapping_add(1);
        self.numbers.insert(id, self.last);
        self.guests.insert(self.last, id);
        Party::Guest(self.last)
    }

    /// The same, if it has been one before.
    pub(super) fn known(&self, id: ConnId) -> Option<Party> {
        self.numbers.get(&id).copied().map(Party::Guest)
    }

    /// The connection of a guest; `None`: it is gone.
    pub(super) fn guest(&self, number: u32) -> Option<ConnId> {
        self.guests.get(&number).copied()
    }

    /// The connection is that of no guest any more. Returns what it was.
    pub(super) fn remove(&mut self, id: ConnId) -> Option<Party> {
        let number = self.numbers.remove(&id)?;
        self.guests.remove(&number);
        Some(Party::Guest(number))
    }

    /// The number of a guest, by which it can go on later.
    pub(super) fn number_of(&self, id: ConnId) -> Option<u32> {
        self.numbers.get(&id).copied()
    }

    /// A guest that was gone has a number again, which no other has.
    pub(super) fn give(&mut self, id: ConnId, number: u32) {
        self.numbers.insert(id, number);
        self.guests.insert(number, id);
    }

    /// A newer connection of the same guest takes the place of an earlier one.
    pub(super) fn succeed(&mut self, earlier: ConnId, id: ConnId) {
        if let Some(number) = self.numbers.remove(&earlier) {
            self.numbers.insert(id, number);
            self.guests.insert(number, id);
        }
        if let Some(ignored) = self.ignored.remove(&earlier) {
            self.ignored.insert(id, ignored);
        }
    }

    /// A conversation has its first member.
    pub(in crate::chat) fn opened(&mut self, parties: [Party; 2], room: RoomId) {
        self.rooms.extend(parties.map(|party| (party, room)));
    }

    /// A conversation has lost its last member.
    pub(in crate::chat) fn closed(&mut self, parties: [Party; 2], room: RoomId) {
        for party in parties {
            self.rooms.remove(&(party, room));
        }
    }

    /// The conversations with members that this one has.
    pub(super) fn rooms_of(&self, party: Party) -> Vec<RoomId> {
        let all = self.rooms.range((party, RoomId::new(0, 0))..);
        all.take_while(|(one, _)| *one == party)
            .map(|(_, room)| *room)
            .collect()
    }

    /// How many places of conversations there are: two of each.
    pub(super) fn len(&self) -> usize {
        self.rooms.len()
    }

    pub(in crate::chat) fn numbers(&self) -> impl Iterator<Item = ConnId> {
        assert_eq!(self.numbers.len(), self.guests.len(), "numbers of guests");
        self.numbers.keys().copied()
    }
}

/// Which conversations have members follows from the rooms.
impl Carry for Directs {
    fn write(&self, to: &mut Writer) {
        self.numbers.write(to);
        self.last.write(to);
        self.ignored.write(to);
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, Damaged> {
        let numbers: BTreeMap<ConnId, u32> = Carry::read(from)?;
        let guests: BTreeMap<u32, ConnId> =
            numbers.iter().map(|(id, number)| (*number, *id)).collect();
        if guests.len() != numbers.len() {
            return Err(Damaged("two guests have one number"));
        }
        Ok(Self {
            numbers,
            guests,
            last: Carry::read(from)?,
            ignored: Carry::read(from)?,
            rooms: BTreeSet::new(),
        })
    }
}
