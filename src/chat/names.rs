//! Which member has which nick, over the whole server: a table of eight bytes a key, and nearly all
//! nicks have one key. Knows keys and slots, not members.

use crate::carry::{Carry, Damaged, Reader, Writer, carried};
use hashbrown::HashTable;
use siphasher::sip::SipHasher13;
use std::hash::Hasher;

/// Finds the slot of the member whose nick has a key.
pub(super) struct Names {
    table: HashTable<Entry>,
    /// Secret, so that no client can choose names that all fall into one place of the table.
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

    /// The slot of the member whose nick has this key; `has_key` tells whether that of a slot has.
    pub(super) fn find(&self, key: &str, has_key: impl Fn(u32, &str) -> bool) -> Option<u32> {
        let hash = self.hash(key);
        self.table
            .find(widen(hash), |entry| {
                entry.hash == hash && has_key(entry.slot, key)
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
        // The memory of a crowd goes with it: at the cost of the growth that it undoes.
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
        let mut hasher = SipHasher13::new_with_keys(self.hash_keys.0, self.hash_keys.1);
        hasher.write(key.as_bytes());
        hasher.finish() as u32
    }
}

/// The table takes its tag from the upper bits and its place from the lower.
const fn widen(hash: u32) -> u64 {
    (hash as u64) << 32 | hash as u64
}

carried!(struct Entry { hash, slot });

/// With the keys of the hash: computing the keys of all nicks again would take longest of all.
impl Carry for Names {
    fn write(&self, to: &mut Writer) {
        self.hash_keys.write(to);
        to.length(self.table.len());
        for entry in &self.table {
            entry.write(to);
        }
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, Damaged> {
        let hash_keys = Carry::read(from)?;
        let mut table = HashTable::new();
        for _ in 0..from.length()? {
            let entry = Entry::read(from)?;
            table.insert_unique(widen(entry.hash), entry, |entry| widen(entry.hash));
        }
        Ok(Self { table, hash_keys })
    }
}

impl Names {
    /// The slots of users that have a nick here.
    pub(super) fn slots(&self) -> impl Iterator<Item = u32> {
        self.table.iter().map(|entry| entry.slot)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    #[test]
    fn names_with_equal_hashes_are_different_names() {
        let mut names = Names::new(1);
        let mut seen: HashMap<u32, String> = HashMap::new();
        let (first, second) = (0..1_000_000)
            .find_map(|number| {
                let name = number.to_string();
                let other = seen.insert(names.hash(&name), name.clone())?;
                Some((other, name))
            })
            .expect("a million names and four billion hashes");
        names.insert(&first, 7);
        assert_eq!(names.find(&first, |_, key| key == first), Some(7));
        assert_eq!(names.find(&second, |_, key| key == first), None);
    }

    #[test]
    fn the_table_shrinks_after_a_crowd_and_not_with_its_first_member() {
        let mut names = Names::new(1);
        for slot in 0..10_000 {
            names.insert(&slot.to_string(), slot);
        }
        let full = names.table.capacity();
        names.remove("0", 0);
        assert_eq!(names.table.capacity(), full);
        for slot in 1..9_990 {
            names.remove(&slot.to_string(), slot);
        }
        assert_eq!(names.len(), 10);
        assert!(names.table.capacity() <= 160);
    }
}
