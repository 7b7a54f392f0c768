//! Where members that are behind have got to: a side table, as most members are live and need no
//! cursor. Knows no log and no connection but its id.

use crate::id::{ConnId, RoomId, Seq};
use hashbrown::HashTable;
use slab::Slab;

/// A member that is behind in a room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Behind {
    /// The last entry that went into the member's outbox.
    pub cursor: Seq,
    /// A notice was dropped meanwhile: the member is informed of it on becoming live.
    pub notices_lost: bool,
    /// The end of the room's history is to be marked when the member becomes live.
    pub is_new: bool,
}

const NONE: usize = usize::MAX;

struct Node {
    id: ConnId,
    room: RoomId,
    behind: Behind,
    /// The connection's next and previous room.
    next_room: usize,
    prev_room: usize,
    /// The next and previous member that waits in the room; of no meaning if it does not wait.
    next_waiting: usize,
    prev_waiting: usize,
    is_waiting: bool,
}

/// The ends of the list of members that wait for a page of a room.
struct Waiting {
    room: RoomId,
    first: usize,
    last: usize,
}

/// All members that are behind. Holds no memory while there are none.
#[derive(Default)]
pub struct Cursors {
    nodes: Slab<Node>,
    /// The first room of a connection.
    connections: HashTable<usize>,
    waiting: HashTable<Waiting>,
}

impl Cursors {
    /// Memberships that are behind.
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// `None`: the member is live, or no member.
    pub fn get(&self, id: ConnId, room: RoomId) -> Option<&Behind> {
        let index = self.find(id, room)?;
        Some(&self.nodes[index].behind)
    }

    pub fn get_mut(&mut self, id: ConnId, room: RoomId) -> Option<&mut Behind> {
        let index = self.find(id, room)?;
        Some(&mut self.nodes[index].behind)
    }

    /// The member is behind from now on, or stands elsewhere.
    pub fn insert(&mut self, id: ConnId, room: RoomId, behind: Behind) {
        if let Some(index) = self.find(id, room) {
            self.nodes[index].behind = behind;
            return;
        }
        let first = self.first_room(id);
        let index = self.nodes.insert(Node {
            id,
            room,
            behind,
            next_room: NONE,
            prev_room: NONE,
            next_waiting: NONE,
            prev_waiting: NONE,
            is_waiting: false,
        });
        match first {
            // As the second, so that the table need not change.
            Some(first) => {
                let second = self.nodes[first].next_room;
                self.nodes[first].next_room = index;
                self.nodes[index].prev_room = first;
                self.nodes[index].next_room = second;
                if let Some(node) = self.nodes.get_mut(second) {
                    node.prev_room = index;
                }
            }
            None => {
                let nodes = &self.nodes;
                self.connections
                    .insert_unique(hash_connection(id), index, |index| {
                        hash_connection(nodes[*index].id)
                    });
            }
        }
    }

    /// The member is live, or has left. Returns where it stood.
    pub fn remove(&mut self, id: ConnId, room: RoomId) -> Option<Behind> {
        let index = self.find(id, room)?;
        self.stop_waiting(index);
        let (next, prev) = (self.nodes[index].next_room, self.nodes[index].prev_room);
        if let Some(node) = self.nodes.get_mut(next) {
            node.prev_room = prev;
        }
        match self.nodes.get_mut(prev) {
            Some(node) => node.next_room = next,
            None => {
                let entry = self
                    .connections
                    .find_entry(hash_connection(id), |first| *first == index);
                if let Ok(mut entry) = entry {
                    if next == NONE {
                        entry.remove();
                    } else {
                        *entry.get_mut() = next;
                    }
                }
            }
        }
        let behind = self.nodes.remove(index).behind;
        self.shrink();
        Some(behind)
    }

    /// The connection is gone from all rooms.
    pub fn remove_connection(&mut self, id: ConnId) {
        while let Some(first) = self.first_room(id) {
            let room = self.nodes[first].room;
            self.remove(id, room);
        }
    }

    /// The rooms in which a connection is behind, in no order that matters.
    pub fn rooms(&self, id: ConnId) -> impl Iterator<Item = (RoomId, &Behind)> {
        let mut index = self.first_room(id).unwrap_or(NONE);
        std::iter::from_fn(move || {
            let node = self.nodes.get(index)?;
            index = node.next_room;
            Some((node.room, &node.behind))
        })
    }

    /// The member's next entries were asked of the store: it comes out of
    /// [`Cursors::take_waiting`] when they are there.
    pub fn wait(&mut self, id: ConnId, room: RoomId) {
        let Some(index) = self.find(id, room) else {
            return;
        };
        if self.nodes[index].is_waiting {
            return;
        }
        self.nodes[index].is_waiting = true;
        self.nodes[index].next_waiting = NONE;
        self.nodes[index].prev_waiting = NONE;
        let hash = hash_room(room);
        let list = self.waiting.find_mut(hash, |list| list.room == room);
        if let Some(list) = list {
            self.nodes[list.last].next_waiting = index;
            self.nodes[index].prev_waiting = list.last;
            list.last = index;
        } else {
            let list = Waiting {
                room,
                first: index,
                last: index,
            };
            self.waiting
                .insert_unique(hash, list, |list| hash_room(list.room));
        }
    }

    /// Appends the members that wait in a room, in the order in which they began to. They wait no
    /// more.
    pub fn take_waiting(&mut self, room: RoomId, members: &mut Vec<ConnId>) {
        let list = self
            .waiting
            .find_entry(hash_room(room), |list| list.room == room);
        let Ok(list) = list else {
            return;
        };
        let (list, _) = list.remove();
        let mut index = list.first;
        while let Some(node) = self.nodes.get_mut(index) {
            node.is_waiting = false;
            members.push(node.id);
            index = node.next_waiting;
        }
    }

    fn stop_waiting(&mut self, index: usize) {
        let node = &self.nodes[index];
        if !node.is_waiting {
            return;
        }
        let (room, next, prev) = (node.room, node.next_waiting, node.prev_waiting);
        if let Some(node) = self.nodes.get_mut(next) {
            node.prev_waiting = prev;
        }
        if let Some(node) = self.nodes.get_mut(prev) {
            node.next_waiting = next;
        }
        let entry = self
            .waiting
            .find_entry(hash_room(room), |list| list.room == room);
        let Ok(mut entry) = entry else {
            return;
        };
        let list = entry.get_mut();
        if list.first == index && list.last == index {
            entry.remove();
        } else if list.first == index {
            list.first = next;
        } else if list.last == index {
            list.last = prev;
        }
    }

    /// The memory of a crowd goes with the last of it.
    fn shrink(&mut self) {
        if self.nodes.is_empty() {
            *self = Self::default();
        }
    }

    fn first_room(&self, id: ConnId) -> Option<usize> {
        let is_it = |index: &usize| self.nodes[*index].id == id;
        self.connections.find(hash_connection(id), is_it).copied()
    }

    fn find(&self, id: ConnId, room: RoomId) -> Option<usize> {
        if self.nodes.is_empty() {
            return None;
        }
        let mut index = self.first_room(id)?;
        while self.nodes.get(index)?.room != room {
            index = self.nodes[index].next_room;
        }
        Some(index)
    }

    /// Walks the whole table.
    pub fn check_invariants(&self) {
        let mut count = 0;
        for first in &self.connections {
            let (mut index, mut prev) = (*first, NONE);
            while let Some(node) = self.nodes.get(index) {
                assert_eq!((node.id, node.prev_room), (self.nodes[*first].id, prev));
                count += 1;
                (prev, index) = (index, node.next_room);
            }
        }
        assert_eq!(count, self.nodes.len());
        let mut waiting = 0;
        for list in &self.waiting {
            let (mut index, mut prev) = (list.first, NONE);
            while let Some(node) = self.nodes.get(index) {
                assert!(node.is_waiting && node.room == list.room && node.prev_waiting == prev);
                waiting += 1;
                (prev, index) = (index, node.next_waiting);
            }
            assert_eq!(prev, list.last);
        }
        let flagged = self.nodes.iter().filter(|(_, node)| node.is_waiting);
        assert_eq!(waiting, flagged.count());
    }
}

/// Ids are given by the server: they are spread, not hidden.
const fn hash_connection(id: ConnId) -> u64 {
    spread(id.to_u64())
}

const fn hash_room(room: RoomId) -> u64 {
    spread((room.generation() as u64) << 32 | room.slot() as u64)
}

const fn spread(word: u64) -> u64 {
    let mixed = word.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    mixed ^ mixed >> 32
}
