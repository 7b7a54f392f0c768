//! The rooms that are open, by id, by name and by their number in the store. Knows no request and
//! no tail.

use super::store::{Era, StoredRoom};
use crate::carry::{Carrier, Damaged, carried};
use crate::id::{Millis, RoomId, Seq, Tick};
use hashbrown::HashTable;
use siphasher::sip::SipHasher13;
use smol_str::SmolStr;
use std::collections::VecDeque;
use std::hash::Hasher;

/// A room, while it is open or being opened.
pub(super) struct Room {
    pub(super) name: SmolStr,
    /// Memory alone keeps its entries, though there is a store.
    pub(super) is_in_memory: bool,
    /// The store was asked what it has of the room, and has not answered.
    pub(super) is_opening: bool,
    /// Entries after this one are being read, or the request for it waits to be sent.
    pub(super) reading: Option<Seq>,
    /// The room has a place in [`Rooms::idle`].
    is_queued: bool,
    pub(super) members: u32,
    /// From its first entry on.
    pub(super) stored_room: Option<StoredRoom>,
    pub(super) head: Seq,
    pub(super) stored: Seq,
    /// The oldest entry that the store keeps; one more than the newest stored if there is none.
    pub(super) oldest: Seq,
    /// When the newest entry was numbered.
    pub(super) at: Millis,
    pub(super) log_gen: u64,
    /// Counts the rooms that memory alone kept and lost: two of one name differ in it.
    pub(super) life: u32,
    pub(super) eras: VecDeque<Era>,
    /// The page of entries after this one could not be read, and is not asked for again until
    /// then.
    pub(super) unreadable: Option<(Seq, Tick)>,
    /// The store keeps no entries of the room after this one, which is really the last that is
    /// stored. The room stays, or its numbers would be used again.
    pub(super) failed_after: Option<Seq>,
    /// When the room may be dropped, if nothing pins it.
    due: Tick,
}

carried!(struct Room {
    name,
    is_in_memory,
    is_opening,
    reading,
    is_queued,
    members,
    stored_room,
    head,
    stored,
    oldest,
    at,
    log_gen,
    life,
    eras,
    unreadable,
    failed_after,
    due,
});

impl Room {
    /// A room of which nothing is known.
    fn new(name: SmolStr, log_gen: u64, life: u32) -> Self {
        Self {
            name,
            is_in_memory: false,
            is_opening: false,
            reading: None,
            is_queued: false,
            members: 0,
            stored_room: None,
            head: Seq(0),
            stored: Seq(0),
            oldest: Seq(1),
            at: Millis(0),
            log_gen,
            life,
            eras: VecDeque::new(),
            unreadable: None,
            failed_after: None,
            due: Tick(0),
        }
    }

    /// One more than the newest entry: the oldest that there is, where there is none.
    pub(super) const fn past_head(&self) -> Seq {
        Seq(self.head.0.saturating_add(1))
    }

    /// The room must stay: it would be opened with an older head than it has.
    pub(super) fn is_pinned(&self) -> bool {
        self.members > 0
            || self.is_opening
            || self.reading.is_some()
            || self.stored < self.head
            || self.failed_after.is_some()
    }
}

/// A slot of the table. A generation is given once in the life of the server.
struct Slot {
    generation: u32,
    room: Option<Box<Room>>,
}

pub(super) struct Rooms {
    slots: Vec<Slot>,
    free: Vec<u32>,
    generation: u32,
    /// Slots by the hash of the name.
    names: HashTable<u32>,
    /// Slots by the number in the store.
    numbers: HashTable<u32>,
    /// Rooms that nothing pinned when they came in, with when to look at them again.
    idle: VecDeque<(Tick, RoomId)>,
    /// Secret, so that no client can choose names that all fall into one place of the table.
    hash_keys: (u64, u64),
}

carried!(struct Slot { generation, room });

impl Rooms {
    /// The rooms; what finds them follows. What was being read is asked for again.
    pub(super) fn carry(&mut self, carrier: &mut Carrier<'_>) -> Result<(), Damaged> {
        carrier.field(&mut self.slots)?;
        carrier.field(&mut self.generation)?;
        if !carrier.is_reading() {
            return Ok(());
        }
        let mut idle = Vec::new();
        for index in 0..self.slots.len() {
            let generation = self.slots[index].generation;
            let index = index as u32;
            let Some(room) = self.slots[index as usize].room.as_deref_mut() else {
                self.free.push(index);
                continue;
            };
            room.reading = None;
            if room.stored > room.head || room.eras.len() > super::ERAS_MAX {
                return Err(Damaged("the log of a room contradicts itself"));
            }
            room.is_queued = !room.is_pinned();
            if room.is_queued {
                idle.push((room.due, RoomId::new(index, generation)));
            }
            self.list(index)?;
        }
        idle.sort_unstable();
        self.idle = idle.into();
        Ok(())
    }

    /// Makes a room that was carried one that is found.
    fn list(&mut self, index: u32) -> Result<(), Damaged> {
        let room = expect_room(&self.slots, index);
        let (hash, number) = (self.name_hash(&room.name), room.stored_room);
        let is_known = number.is_some_and(|number| self.find_stored(number).is_some());
        if self.find(&room.name).is_some() || is_known {
            return Err(Damaged("two rooms have one name or one number"));
        }
        let keys = self.hash_keys;
        self.names.insert_unique(hash, index, |slot| {
            name_hash(keys, &expect_room(&self.slots, *slot).name)
        });
        if let Some(number) = number {
            self.set_number(self.id(index), number);
        }
        Ok(())
    }

    pub(super) const fn slots(&self) -> usize {
        self.slots.len()
    }

    pub(super) const fn new(hash_keys: (u64, u64)) -> Self {
        Self {
            slots: Vec::new(),
            free: Vec::new(),
            generation: 0,
            names: HashTable::new(),
            numbers: HashTable::new(),
            idle: VecDeque::new(),
            hash_keys,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.names.len()
    }

    pub(super) fn find(&self, name: &str) -> Option<RoomId> {
        let hash = self.name_hash(name);
        let named = |slot: &u32| self.at(*slot).is_some_and(|room| room.name == name);
        self.names.find(hash, named).map(|slot| self.id(*slot))
    }

    pub(super) fn find_stored(&self, number: StoredRoom) -> Option<RoomId> {
        let numbered = |slot: &u32| {
            let room = self.at(*slot);
            room.is_some_and(|room| room.stored_room == Some(number))
        };
        let slot = self.numbers.find(number_hash(number), numbered)?;
        Some(self.id(*slot))
    }

    /// `None`: the id is that of a room which was dropped.
    pub(super) fn get(&self, id: RoomId) -> Option<&Room> {
        let slot = self.slots.get(id.slot() as usize)?;
        let room = slot.room.as_deref()?;
        (slot.generation == id.generation()).then_some(room)
    }

    pub(super) fn get_mut(&mut self, id: RoomId) -> Option<&mut Room> {
        let slot = self.slots.get_mut(id.slot() as usize)?;
        let room = slot.room.as_deref_mut()?;
        (slot.generation == id.generation()).then_some(room)
    }

    /// The room that has the slot now.
    pub(super) fn at(&self, slot: u32) -> Option<&Room> {
        self.slots.get(slot as usize)?.room.as_deref()
    }

    /// No room may have the name.
    pub(super) fn insert(&mut self, name: SmolStr, log_gen: u64, life: u32) -> RoomId {
        self.generation = self.generation.wrapping_add(1);
        let hash = self.name_hash(&name);
        let slot = Slot {
            generation: self.generation,
            room: Some(Box::new(Room::new(name, log_gen, life))),
        };
        let index = self.free.pop().unwrap_or(self.slots.len() as u32);
        if index as usize == self.slots.len() {
            self.slots.push(slot);
        } else {
            self.slots[index as usize] = slot;
        }
        let keys = self.hash_keys;
        self.names.insert_unique(hash, index, |slot| {
            name_hash(keys, &expect_room(&self.slots, *slot).name)
        });
        self.id(index)
    }

    /// Gives a room its number in the store.
    pub(super) fn set_number(&mut self, id: RoomId, number: StoredRoom) {
        if let Some(room) = self.get_mut(id) {
            room.stored_room = Some(number);
            self.numbers
                .insert_unique(number_hash(number), id.slot(), |slot| {
                    let room = expect_room(&self.slots, *slot);
                    number_hash(room.stored_room.expect("the room is in the table"))
                });
        }
    }

    /// Returns the room, if the id is not stale.
    pub(super) fn remove(&mut self, id: RoomId) -> Option<Box<Room>> {
        self.get(id)?;
        let index = id.slot();
        let room = self.slots[index as usize].room.take()?;
        let hash = self.name_hash(&room.name);
        if let Ok(found) = self.names.find_entry(hash, |slot| *slot == index) {
            found.remove();
        }
        if let Some(number) = room.stored_room
            && let Ok(found) = self
                .numbers
                .find_entry(number_hash(number), |slot| *slot == index)
        {
            found.remove();
        }
        self.free.push(index);
        self.shrink();
        Some(room)
    }

    /// The memory of a crowd goes with it: at the cost of the growth that it undoes.
    fn shrink(&mut self) {
        if self.names.is_empty() {
            self.slots = Vec::new();
            self.free = Vec::new();
        }
        let keys = self.hash_keys;
        let slots = &self.slots;
        if self.names.len() < self.names.capacity() / 8 {
            self.names.shrink_to(self.names.len() * 2, |slot| {
                name_hash(keys, &expect_room(slots, *slot).name)
            });
        }
        if self.numbers.len() < self.numbers.capacity() / 8 {
            self.numbers.shrink_to(self.numbers.len() * 2, |slot| {
                let room = expect_room(slots, *slot);
                number_hash(room.stored_room.expect("the room is in the table"))
            });
        }
    }

    /// If nothing pins the room any more, it may be dropped from `due` on.
    pub(super) fn unpin(&mut self, id: RoomId, due: Tick) {
        let Some(room) = self.get_mut(id) else {
            return;
        };
        room.due = due;
        if !room.is_pinned() && !room.is_queued {
            room.is_queued = true;
            self.idle.push_back((due, id));
        }
    }

    /// When [`Rooms::next_idle`] has a room next.
    pub(super) fn idle_due(&self) -> Option<Tick> {
        self.idle.front().map(|(due, _)| *due)
    }

    /// The next room whose time has come, and which nothing has pinned meanwhile. It is out of the
    /// queue: the caller removes it, or calls [`Rooms::unpin`] again.
    pub(super) fn next_idle(&mut self, now: Tick) -> Option<RoomId> {
        while self.idle_due().is_some_and(|due| due <= now) {
            let (_, id) = self.idle.pop_front()?;
            let Some(room) = self.get_mut(id) else {
                continue;
            };
            room.is_queued = false;
            if room.is_pinned() {
                continue; // It comes back when it is unpinned.
            }
            if room.due <= now {
                return Some(id);
            }
            let due = room.due;
            self.unpin(id, due);
        }
        if self.idle.len() < self.idle.capacity() / 8 {
            self.idle.shrink_to(self.idle.len() * 2);
        }
        None
    }

    /// The room that has been idle for longest, whether or not its time has come.
    pub(super) fn longest_idle(&mut self) -> Option<RoomId> {
        while let Some((_, id)) = self.idle.pop_front() {
            if let Some(room) = self.get_mut(id) {
                room.is_queued = false;
                if !room.is_pinned() {
                    return Some(id);
                }
            }
        }
        None
    }

    fn id(&self, slot: u32) -> RoomId {
        RoomId::new(slot, self.slots[slot as usize].generation)
    }

    fn name_hash(&self, name: &str) -> u64 {
        name_hash(self.hash_keys, name)
    }

    pub(super) fn each(&self) -> impl Iterator<Item = (RoomId, &Room)> {
        let slots = self.slots.iter().enumerate();
        slots.filter_map(|(index, slot)| {
            let room = slot.room.as_deref()?;
            Some((RoomId::new(index as u32, slot.generation), room))
        })
    }

    pub(super) fn check_invariants(&self) {
        let mut count = 0;
        for (id, room) in self.each() {
            count += 1;
            assert_eq!(self.find(&room.name), Some(id));
            if let Some(number) = room.stored_room {
                assert_eq!(self.find_stored(number), Some(id));
            }
            assert!(room.stored <= room.head, "what is not there is not stored");
            assert!(
                room.is_pinned() || room.is_queued,
                "an idle room is looked at again"
            );
            let queued = self.idle.iter().filter(|(_, queued)| *queued == id).count();
            assert_eq!(queued, usize::from(room.is_queued));
        }
        assert_eq!(count, self.names.len());
        assert_eq!(count + self.free.len(), self.slots.len());
    }
}

fn expect_room(slots: &[Slot], slot: u32) -> &Room {
    let room = slots[slot as usize].room.as_deref();
    room.expect("a slot in the tables has a room")
}

fn name_hash(keys: (u64, u64), name: &str) -> u64 {
    let mut hasher = SipHasher13::new_with_keys(keys.0, keys.1);
    hasher.write(name.as_bytes());
    hasher.finish()
}

/// Numbers are given one after the other: they are spread, not hidden.
const fn number_hash(number: StoredRoom) -> u64 {
    (number.0 as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15)
}
