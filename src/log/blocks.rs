//! Encoded blocks of entries, kept for the next reader: the least recently used are dropped. Knows
//! no encoding: what a block holds is the caller's.

use crate::id::{RoomId, Seq};
use hashbrown::HashTable;
use slab::Slab;

/// What tells a block: entries of a room behind one of them, in one protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockKey {
    pub room: RoomId,
    /// A block of another generation is never found.
    pub log_gen: u64,
    /// The index of the protocol.
    pub protocol: u8,
    /// The block begins behind this entry. Readers with different cursors share blocks if most of
    /// them begin behind a multiple of the same number.
    pub after: Seq,
}

impl BlockKey {
    fn hash(&self) -> u64 {
        let room = u64::from(self.room.slot()) << 32 | u64::from(self.after.0);
        let mixed = (room ^ u64::from(self.protocol) << 60).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        mixed ^ mixed >> 32
    }
}

const NONE: usize = usize::MAX;

struct Node<T> {
    key: BlockKey,
    value: T,
    bytes: usize,
    /// Used next after this one.
    newer: usize,
    older: usize,
}

/// A cache of blocks with a bound in bytes. `T` is cheap to clone.
pub struct Blocks<T> {
    nodes: Slab<Node<T>>,
    table: HashTable<usize>,
    newest: usize,
    oldest: usize,
    bytes: usize,
    bytes_max: usize,
}

/// What a block costs beside its own bytes.
const NODE_BYTES: usize = 96;

impl<T: Clone> Blocks<T> {
    pub const fn new(bytes_max: usize) -> Self {
        Self {
            nodes: Slab::new(),
            table: HashTable::new(),
            newest: NONE,
            oldest: NONE,
            bytes: 0,
            bytes_max,
        }
    }

    /// A block that was put in, and is used now.
    pub fn get(&mut self, key: &BlockKey) -> Option<T> {
        let index = self.find(key)?;
        self.unlink(index);
        self.link(index);
        Some(self.nodes[index].value.clone())
    }

    /// Keeps a block that has so many bytes, in place of one with the same key. The least recently
    /// used blocks give way; one that is larger than the whole cache is not kept.
    pub fn put(&mut self, key: BlockKey, value: T, bytes: usize) {
        if let Some(index) = self.find(&key) {
            self.remove(index);
        }
        let bytes = bytes + NODE_BYTES;
        if bytes > self.bytes_max {
            return;
        }
        while self.bytes + bytes > self.bytes_max {
            self.remove(self.oldest);
        }
        let index = self.nodes.insert(Node {
            key,
            value,
            bytes,
            newer: NONE,
            older: NONE,
        });
        self.bytes += bytes;
        self.link(index);
        let nodes = &self.nodes;
        self.table
            .insert_unique(key.hash(), index, |index| nodes[*index].key.hash());
    }

    /// Drops all blocks of a room, as when it is closed.
    pub fn drop_room(&mut self, room: RoomId) {
        self.drop_where(|key, _| key.room == room);
    }

    /// Drops the blocks of a room that have an entry; `upto` is the last one that a block has.
    pub fn drop_entry(&mut self, room: RoomId, seq: Seq, upto: impl Fn(&T) -> Seq) {
        self.drop_where(|key, value| key.room == room && key.after < seq && seq <= upto(value));
    }

    /// Drops everything and returns the memory, as after a quiet time.
    pub fn clear(&mut self) {
        *self = Self::new(self.bytes_max);
    }

    /// What the blocks take.
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    fn drop_where(&mut self, is_dropped: impl Fn(&BlockKey, &T) -> bool) {
        let mut index = self.oldest;
        while index != NONE {
            let node = &self.nodes[index];
            let newer = node.newer;
            if is_dropped(&node.key, &node.value) {
                self.remove(index);
            }
            index = newer;
        }
    }

    fn find(&self, key: &BlockKey) -> Option<usize> {
        let is_it = |index: &usize| self.nodes[*index].key == *key;
        self.table.find(key.hash(), is_it).copied()
    }

    fn remove(&mut self, index: usize) {
        self.unlink(index);
        let node = self.nodes.remove(index);
        self.bytes -= node.bytes;
        if let Ok(found) = self.table.find_entry(node.key.hash(), |at| *at == index) {
            found.remove();
        }
    }

    fn link(&mut self, index: usize) {
        let before = self.newest;
        self.nodes[index].older = before;
        self.nodes[index].newer = NONE;
        match self.nodes.get_mut(before) {
            Some(node) => node.newer = index,
            None => self.oldest = index,
        }
        self.newest = index;
    }

    fn unlink(&mut self, index: usize) {
        let (newer, older) = (self.nodes[index].newer, self.nodes[index].older);
        match self.nodes.get_mut(newer) {
            Some(node) => node.older = older,
            None => self.newest = older,
        }
        match self.nodes.get_mut(older) {
            Some(node) => node.newer = newer,
            None => self.oldest = newer,
        }
    }

    /// Walks the whole cache.
    pub fn check_invariants(&self) {
        let (mut index, mut count, mut bytes) = (self.oldest, 0, 0);
        while index != NONE {
            let node = &self.nodes[index];
            assert_eq!(self.find(&node.key), Some(index));
            (index, count, bytes) = (node.newer, count + 1, bytes + node.bytes);
        }
        assert_eq!((count, count), (self.nodes.len(), self.table.len()));
        assert_eq!(bytes, self.bytes);
        assert!(bytes <= self.bytes_max);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(slot: u32, after: u32) -> BlockKey {
        BlockKey {
            room: RoomId::new(slot, 1),
            log_gen: 1,
            protocol: 0,
            after: Seq(after),
        }
    }

    #[test]
    fn a_block_is_that_of_its_room_generation_and_protocol() {
        let mut blocks = Blocks::new(10_000);
        blocks.put(key(1, 2), 'a', 10);
        assert_eq!(blocks.get(&key(1, 2)), Some('a'));
        assert_eq!(blocks.get(&key(2, 2)), None);
        let other = BlockKey {
            log_gen: 2,
            ..key(1, 2)
        };
        assert_eq!(blocks.get(&other), None);
        let other = BlockKey {
            protocol: 1,
            ..key(1, 2)
        };
        assert_eq!(blocks.get(&other), None);
        blocks.put(key(1, 2), 'b', 10);
        assert_eq!(blocks.get(&key(1, 2)), Some('b'));
        blocks.check_invariants();
    }

    #[test]
    fn the_least_recently_used_gives_way() {
        let mut blocks = Blocks::new(3 * (100 + NODE_BYTES));
        for block in 0..3 {
            blocks.put(key(0, block), block, 100);
        }
        assert_eq!(blocks.get(&key(0, 0)), Some(0));
        blocks.put(key(0, 3), 3, 100);
        assert_eq!(blocks.get(&key(0, 1)), None);
        assert_eq!(blocks.get(&key(0, 0)), Some(0));
        blocks.put(key(0, 4), 4, 1_000);
        assert_eq!(blocks.get(&key(0, 4)), None, "it is larger than the cache");
        assert_eq!(blocks.get(&key(0, 0)), Some(0), "nothing gives way for it");
        blocks.check_invariants();
    }

    #[test]
    fn blocks_of_a_room_can_be_dropped() {
        let mut blocks = Blocks::new(100_000);
        for slot in 0..3 {
            for block in 0..4 {
                blocks.put(key(slot, block), (slot, block), 10);
            }
        }
        blocks.drop_room(RoomId::new(1, 1));
        blocks.check_invariants();
        assert_eq!(blocks.get(&key(1, 0)), None);
        assert_eq!(blocks.get(&key(2, 2)), Some((2, 2)));
        assert_eq!(blocks.bytes(), 8 * (10 + NODE_BYTES));
        blocks.clear();
        assert_eq!(blocks.bytes(), 0);
    }
}
