//! The log in the state that another image takes over: rooms with their heads, the entries in
//! memory, the keys of messages. The store has the rest, and nothing is on its way to it.

use super::{EpochInfo, Log, Request, Store, StoredRoom};
use crate::carry::{Carrier, Damaged, carried};
use crate::id::{RoomId, Seq};

/// In which start of the server rooms are numbered and sessions signed: the image that takes over
/// goes on in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Origin {
    pub has_store: bool,
    pub epoch: EpochInfo,
    pub session_key: [u8; 32],
}

carried!(struct Origin { has_store, epoch, session_key });

impl Origin {
    /// What [`super::Keeping::in_memory`] makes the same of.
    pub fn random(&self) -> [u8; 36] {
        let mut random = [0; 36];
        random[..4].copy_from_slice(&self.epoch.salt.to_le_bytes());
        random[4..].copy_from_slice(&self.session_key);
        random
    }
}

/// Stands for a store that was closed, until the process is another image or has it again.
struct Closed;

impl Store for Closed {
    fn send(&mut self, _: &mut Vec<Request>) {}

    fn receive(&mut self, _: &mut Vec<super::Answer>) {}
}

impl Log {
    pub const fn origin(&self) -> Origin {
        Origin {
            has_store: self.store.is_some(),
            epoch: self.epoch,
            session_key: self.session_key,
        }
    }

    /// Nothing is on its way to the store, and all answers have come.
    pub fn is_settled(&self) -> bool {
        let is_settled = |id: RoomId, room: &super::Room| {
            !room.is_opening
                && room.reading.is_none()
                && self.stored(id) <= room.stored
                && room.stored == room.head
        };
        self.outgoing.is_empty()
            && self.waiting.is_empty()
            && self.searches.is_empty()
            && self.reads == 0
            && self.unstored_bytes == 0
            && self.rooms.each().all(|(id, room)| is_settled(id, room))
    }

    /// Whether a room is pinned by its members.
    pub fn has_members(&self, room: RoomId) -> bool {
        self.rooms.get(room).is_some_and(|room| room.members > 0)
    }

    /// Closes the store, which waits until all is stored. To be called when nothing is under way.
    pub fn close_store(&mut self) {
        if let Some(store) = &mut self.store {
            drop(std::mem::replace(store, Box::new(Closed)));
        }
    }

    /// The store is open again.
    pub fn reopen_store(&mut self, store: Box<dyn Store>) {
        self.store = Some(store);
    }

    /// Rooms, entries in memory and keys.
    ///
    /// # Errors
    /// The bytes are not those of a log.
    pub fn carry(&mut self, carrier: &mut Carrier<'_>) -> Result<(), Damaged> {
        self.rooms.carry(carrier)?;
        self.tail.carry(self.rooms.slots(), carrier)?;
        self.keys.carry(carrier)?;
        carrier.field(&mut self.next_gen)?;
        carrier.field(&mut self.lives)?;
        let mut next_room = self.next_room;
        carrier.field(&mut next_room)?;
        if carrier.is_reading() {
            self.next_room = StoredRoom(self.next_room.0.max(next_room.0));
            self.verify()?;
            self.follow();
        }
        Ok(())
    }

    fn verify(&self) -> Result<(), Damaged> {
        if self.next_gen > u64::MAX / 2 {
            return Err(Damaged("the generations of logs are used up"));
        }
        for slot in 0..self.rooms.slots() as u32 {
            let Some(newest) = self.tail.newest(slot) else {
                continue;
            };
            if self.rooms.at(slot).is_none_or(|room| room.head != newest) {
                return Err(Damaged("an entry in memory is of no room"));
            }
        }
        for (id, room) in self.rooms.each() {
            let is_here = self.tail.oldest(id.slot());
            let oldest = is_here.unwrap_or_else(|| room.past_head());
            let unstored = room.stored.0.saturating_add(1);
            let has_number = room.is_in_memory || room.head == Seq(0) || room.stored_room.is_some();
            if oldest.0 > unstored || !has_number {
                return Err(Damaged("an entry is nowhere"));
            }
        }
        Ok(())
    }

    /// What follows from the rooms.
    fn follow(&mut self) {
        let mut outgoing = Vec::new();
        let mut unstored = 0;
        for (id, room) in self.rooms.each() {
            unstored += self.tail.measure(id.slot(), room.stored, room.head);
            if room.is_opening {
                let name = room.name.clone();
                outgoing.push(Request::Open { room: id, name });
            }
        }
        self.unstored_bytes = unstored;
        self.outgoing = outgoing;
    }
}
