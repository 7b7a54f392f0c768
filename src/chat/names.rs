//! Who has which nick, over the whole server: a table of eight bytes a key, and nearly all nicks
//! have one.
//! Knows keys and slots, not members.

use super::nick;
use hashbrown::HashTable;
use siphasher::sip::SipHasher13;

/// Finds the slot of the member whose nick has a key.
pub(super) struct Names {
    table: HashTable<Entry>,
    /// Secret, so that nobody can choose names that all fall into one place.
    hash_keys: (u64, u64),
}

#[derive(Clone, Copy)]
struct Entry {
    hash: u32,
    slot: u32,
}

impl Names {
    pub(super) const fn new(seed: u64) -> Self {
        Self {
            table: HashTable::new(),
            hash_keys: (seed, seed.rotate_left(32) ^ 0x9E37_79B9_7F4A_7C15),
        }
    }

    /// The slot of whoever has a nick of this key; `key_of` tells the key of a slot's nick.
    pub(super) fn find(&self, key: &str, key_of: impl Fn(u32, &str) -> bool) -> Option<u32> {
        let hash = self.hash(key);
        self.table
            .find(widen(hash), |entry| {
                entry.hash == hash && key_of(entry.slot, key)
            })
            .map(|entry| entry.slot)
    }

    /// `key` must not be in the table.
    pub(super) fn insert(&mut self, key: &str, slot: u32) {
        let hash = self.hash(key);
        self.table
            .insert_unique(widen(hash), Entry { hash, slot }, |entry| widen(entry.hash));
    }

    pub(super) fn remove(&mut self, key: &str, slot: u32) {
        let hash = self.hash(key);
        if let Ok(found) = self.table.find_entry(widen(hash), |entry| {
            entry.hash == hash && entry.slot == slot
        }) {
            found.remove();
        }
        // After a crowd has gone its memory should be too.
        if self.table.len() < self.table.capacity() / 8 {
            self.table
                .shrink_to(self.table.len() * 2, |entry| widen(entry.hash));
        }
    }

    /// How many keys there are.
    pub(super) fn len(&self) -> usize {
        self.table.len()
    }

    fn hash(&self, key: &str) -> u32 {
        nick::hash(
            key,
            SipHasher13::new_with_keys(self.hash_keys.0, self.hash_keys.1),
        )
    }
}

/// The table takes its tag from the upper bits and its place from the lower.
const fn widen(hash: u32) -> u64 {
    (hash as u64) << 32 | hash as u64
}
