//! Sends whose answer waits until their entry is stored: which request of which connection each
//! answers. Knows no store; `keep.rs` reports up to where a room is stored.

use crate::id::{ConnId, Millis, RoomId, Seq};
use crate::wire::RequestId;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::mem;

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

/// All answers that wait. Bounded by [`UNACKED_MAX`] a connection, and as many again of connections
/// that have ended.
#[derive(Default)]
pub(super) struct Acks {
    by_room: BTreeMap<RoomId, VecDeque<Ack>>,
    by_connection: HashMap<ConnId, u32>,
    /// All of them.
    count: usize,
    /// Those of connections that have ended.
    ownerless: usize,
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
        self.count += 1;
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
        self.count -= 1;
        match self.by_connection.get_mut(&ack.conn) {
            Some(1) => {
                self.by_connection.remove(&ack.conn);
            }
            Some(count) => *count -= 1,
            None => self.ownerless -= 1,
        }
        Some(ack)
    }

    /// A connection has ended. What it waited for is removed once as much is ownerless as is not:
    /// while nothing is stored, clients that come, send the same again and go would fill the memory.
    pub(super) fn forget(&mut self, conn: ConnId) {
        let count = self.by_connection.remove(&conn).unwrap_or(0);
        self.ownerless += count as usize;
        if self.ownerless == 0 || self.ownerless * 2 < self.count {
            return;
        }
        let owners = &self.by_connection;
        self.by_room.retain(|_, waiting| {
            waiting.retain(|ack| owners.contains_key(&ack.conn));
            waiting.shrink_to_fit();
            !waiting.is_empty()
        });
        self.count -= mem::take(&mut self.ownerless);
    }

    /// How many answers wait, those of connections that have ended included.
    pub(super) const fn count(&self) -> usize {
        self.count
    }

    /// What they hold, the longest names of requests included.
    pub(super) const fn held_bytes(&self) -> usize {
        self.count * (size_of::<Ack>() + RequestId::BYTES_MAX)
    }

    pub(super) fn check_invariants(&self) {
        let all = self.by_room.values().flatten();
        let ownerless = all.filter(|ack| !self.by_connection.contains_key(&ack.conn));
        assert_eq!(
            ownerless.count(),
            self.ownerless,
            "answers without an owner"
        );
        let count: usize = self.by_room.values().map(VecDeque::len).sum();
        assert_eq!(count, self.count);
        let owned: u32 = self.by_connection.values().sum();
        assert_eq!(owned as usize + self.ownerless, count);
    }

    /// How many answers a connection waits for.
    pub(super) fn count_of(&self, conn: ConnId) -> u32 {
        self.by_connection.get(&conn).copied().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Protocol;

    const ROOM: RoomId = RoomId::new(3, 0);
    const ANN: ConnId = ConnId::new(0, 0);
    const BOB: ConnId = ConnId::new(1, 0);

    fn ack(conn: ConnId, seq: u32) -> Ack {
        let message = format!(r#"{{"type":"ping","id":{seq}}}"#);
        let message = Protocol::Json.read(&message);
        Ack {
            seq: Seq(seq),
            at: Millis(0),
            conn,
            id: message.request(0).id.expect("it has one"),
            is_duplicate: false,
        }
    }

    #[test]
    fn answers_are_due_in_order_when_their_entries_are_stored() {
        let mut acks = Acks::default();
        for (conn, seq) in [(ANN, 1), (BOB, 2), (ANN, 5)] {
            acks.push(ROOM, ack(conn, seq));
        }
        let mut due = |upto| {
            let next = || acks.take(ROOM, Seq(upto)).map(|ack| ack.seq.0);
            std::iter::from_fn(next).collect::<Vec<u32>>()
        };
        assert!(due(0).is_empty());
        assert_eq!(due(4), [1, 2]);
        assert!(due(4).is_empty());
        assert_eq!(due(9), [5]);
        assert!(acks.is_empty());
    }

    #[test]
    fn answer_to_a_message_that_was_sent_again_is_due_with_the_first() {
        let mut acks = Acks::default();
        acks.push(ROOM, ack(ANN, 1));
        acks.push(ROOM, ack(ANN, 2));
        acks.push(ROOM, ack(BOB, 1));
        assert_eq!(acks.take(ROOM, Seq(1)).map(|ack| ack.conn), Some(ANN));
        assert_eq!(acks.take(ROOM, Seq(1)).map(|ack| ack.conn), Some(BOB));
        assert!(acks.take(ROOM, Seq(1)).is_none());
    }

    #[test]
    fn answers_of_connections_that_have_ended_are_removed_in_time() {
        let mut acks = Acks::default();
        for seq in 1..=10 {
            acks.push(ROOM, ack(ANN, seq));
        }
        // It comes again and again, and sends the same while nothing is stored.
        for generation in 0..1_000 {
            let carol = ConnId::new(2, generation);
            for seq in 1..=10 {
                acks.push(ROOM, ack(carol, seq));
            }
            acks.forget(carol);
            acks.check_invariants();
            assert!(acks.count() <= 20, "{}", acks.count());
        }
        let next = || acks.take(ROOM, Seq(10));
        let of_ann = std::iter::from_fn(next).filter(|ack| ack.conn == ANN);
        assert_eq!(of_ann.count(), 10);
        acks.check_invariants();
        assert!(acks.is_empty());
    }

    #[test]
    fn answers_of_a_connection_are_counted() {
        let mut acks = Acks::default();
        assert_eq!(acks.push(ROOM, ack(ANN, 1)), 1);
        assert_eq!(acks.push(RoomId::new(4, 0), ack(ANN, 1)), 2);
        assert_eq!(acks.push(ROOM, ack(BOB, 2)), 1);
        acks.take(ROOM, Seq(1));
        assert_eq!((acks.count_of(ANN), acks.count_of(BOB)), (1, 1));
        acks.take(ROOM, Seq(2));
        assert_eq!(acks.count_of(BOB), 0);
    }
}
