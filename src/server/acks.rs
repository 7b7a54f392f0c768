//! Sends whose answer waits until their entry is stored: which request of which connection each
//! answers. Knows no store; `keep.rs` reports up to where a room is stored.

use crate::id::{ConnId, Millis, RoomId, Seq};
use crate::wire::RequestId;
use std::collections::{BTreeMap, HashMap, VecDeque};

/// Sends of one connection that may be unacknowledged; with as many the connection is held.
pub(super) const UNACKED_MAX: u32 = 64;

/// One answer that waits.
#[derive(Clone, Debug)]
pub(super) struct Ack {
    pub(super) seq: Seq,
    pub(super) at: Millis,
    pub(super) conn: ConnId,
    pub(super) id: RequestId,
    /// The message had been sent before, with the same key.
    pub(super) is_duplicate: bool,
}

/// All answers that wait. Bounded by [`UNACKED_MAX`] a connection.
#[derive(Default)]
pub(super) struct Acks {
    by_room: BTreeMap<RoomId, VecDeque<Ack>>,
    by_connection: HashMap<ConnId, u32>,
}

impl Acks {
    pub(super) fn is_empty(&self) -> bool {
        self.by_room.is_empty()
    }

    /// Remembers an answer. Returns how many the connection waits for.
    pub(super) fn push(&mut self, room: RoomId, ack: Ack) -> u32 {
        let count = self.by_connection.entry(ack.conn).or_default();
        *count += 1;
        let count = *count;
        let waiting = self.by_room.entry(room).or_default();
        // Nearly always at the end: only that of a message that was sent again is not the newest.
        let place = waiting.partition_point(|earlier| earlier.seq <= ack.seq);
        waiting.insert(place, ack);
        count
    }

    /// Takes the next answer that is due when a room is stored up to `upto`.
    pub(super) fn take(&mut self, room: RoomId, upto: Seq) -> Option<Ack> {
        let waiting = self.by_room.get_mut(&room)?;
        if waiting.front()?.seq > upto {
            return None;
        }
        let ack = waiting.pop_front()?;
        if waiting.is_empty() {
            self.by_room.remove(&room);
        }
        if let Some(count) = self.by_connection.get_mut(&ack.conn) {
            *count -= 1;
            if *count == 0 {
                self.by_connection.remove(&ack.conn);
            }
        }
        Some(ack)
    }

    /// How many answers a connection waits for.
    pub(super) fn count_of(&self, conn: ConnId) -> u32 {
        self.by_connection.get(&conn).copied().unwrap_or(0)
    }
}
