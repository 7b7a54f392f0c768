//! What rooms were sent since their live members were last given something: one run of frames a
//! room and protocol, encoded once and shared by all receivers. Knows no member and no outbox.
//!
//! Rooms are settled in the order in which they were first touched. Within a room entries and
//! notices keep one order; between rooms there is none.

use crate::conn::outbox::Limits;
use crate::frame::{Frame, Run};
use crate::id::{RoomId, Seq};
use crate::wire::Protocol;

/// A room is not in [`Batches::pending`].
const NOWHERE: u32 = u32::MAX;

/// Runs kept for the next turn, which most likely touches few rooms.
const SPARE_MAX: usize = 64;

/// Places kept when memory is given back.
const PLACES_KEPT: usize = 1024;

/// A run for each protocol of members.
type Runs = [Run; Protocol::COUNT];

/// What members are sent: a frame for each protocol; `None`: nothing in that protocol.
pub(super) type Frames = [Option<Frame>; Protocol::COUNT];

/// All rooms with something pending.
#[derive(Default)]
pub(super) struct Batches {
    /// In the order of first touch. A room that was settled leaves its place empty until all are.
    pending: Vec<Option<Pending>>,
    /// By the slot of a room: its place in `pending`.
    places: Vec<u32>,
    /// Places of `pending` that are not empty.
    count: usize,
    spare: Vec<Runs>,
}

/// What one room was sent.
struct Pending {
    room: RoomId,
    before: Before,
    has_notices: bool,
    runs: Runs,
}

/// The state of a room when its run was begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Before {
    /// The members are those of this epoch of the room ([`crate::chat::Chat::room_epoch`]).
    pub(super) epoch: u64,
    /// The newest entry that is not in the run.
    pub(super) head: Seq,
}

/// A run that is complete.
pub(super) struct Settled {
    pub(super) room: RoomId,
    pub(super) before: Before,
    /// Notices are in the run: a member that falls behind does not receive them.
    pub(super) has_notices: bool,
    pub(super) frames: Frames,
}

impl Batches {
    pub(super) const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The run of a room, begun here if it has none. `None`: the run has as much as half an outbox
    /// takes; settle the room first. Panics if members came or went since the run was begun: a
    /// message would reach a member that joined after it, or miss one that was there.
    pub(super) fn run(
        &mut self,
        room: RoomId,
        is_notice: bool,
        before: Before,
        limits: Limits,
    ) -> Option<&mut Runs> {
        let place = match self.place(room) {
            Some(place) => place,
            None => self.begin(room, before),
        };
        let pending = self.pending[place].as_mut()?;
        assert_eq!(
            pending.before.epoch, before.epoch,
            "the members of a room changed before what it was sent was delivered"
        );
        let is_full = |run: &Run| {
            run.count() as usize * 2 >= limits.frames_max || run.len() * 2 >= limits.bytes_max
        };
        if pending.runs.iter().any(is_full) {
            return None;
        }
        pending.has_notices |= is_notice;
        Some(&mut pending.runs)
    }

    /// Takes what a room was sent.
    pub(super) fn take(&mut self, room: RoomId) -> Option<Settled> {
        let place = self.place(room)?;
        self.take_at(place)
    }

    /// Takes what the room that was touched first was sent.
    pub(super) fn take_first(&mut self) -> Option<Settled> {
        if self.count == 0 {
            return None;
        }
        let place = self.pending.iter().position(Option::is_some)?;
        self.take_at(place)
    }

    /// Gives back the memory of a time with many rooms.
    pub(super) fn shrink(&mut self) {
        if self.count == 0 {
            self.places.truncate(PLACES_KEPT);
            self.places.shrink_to_fit();
            self.pending.shrink_to(PLACES_KEPT);
        }
    }

    fn place(&self, room: RoomId) -> Option<usize> {
        let place = *self.places.get(room.slot() as usize)?;
        (place != NOWHERE).then_some(place as usize)
    }

    fn begin(&mut self, room: RoomId, before: Before) -> usize {
        let slot = room.slot() as usize;
        if slot >= self.places.len() {
            self.places.resize(slot + 1, NOWHERE);
        }
        let place = self.pending.len();
        self.places[slot] = u32::try_from(place).expect("a turn touches fewer rooms");
        self.pending.push(Some(Pending {
            room,
            before,
            has_notices: false,
            runs: self.spare.pop().unwrap_or_default(),
        }));
        self.count += 1;
        place
    }

    fn take_at(&mut self, place: usize) -> Option<Settled> {
        let mut pending = self.pending.get_mut(place)?.take()?;
        self.places[pending.room.slot() as usize] = NOWHERE;
        self.count -= 1;
        if self.count == 0 {
            self.pending.clear();
        }
        let frames = pending.runs.each_mut().map(Run::take);
        if self.spare.len() < SPARE_MAX {
            self.spare.push(pending.runs);
        }
        Some(Settled {
            room: pending.room,
            before: pending.before,
            has_notices: pending.has_notices,
            frames,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::HEADER_BYTES_MAX;

    const LIMITS: Limits = Limits {
        frames_max: 8,
        bytes_max: 1_000,
    };
    const LOBBY: RoomId = RoomId::new(5, 0);
    const ATTIC: RoomId = RoomId::new(2, 0);

    fn add(batches: &mut Batches, room: RoomId, text: &str, head: u32) -> bool {
        let before = Before {
            epoch: 1,
            head: Seq(head),
        };
        let Some(runs) = batches.run(room, text == "notice", before, LIMITS) else {
            return false;
        };
        runs[0].push_text(text);
        true
    }

    #[test]
    fn rooms_are_settled_in_the_order_in_which_they_were_touched() {
        let mut batches = Batches::default();
        for room in [LOBBY, ATTIC, LOBBY] {
            assert!(add(&mut batches, room, "hi", 0));
        }
        let settled = batches.take_first().expect("two are pending");
        let frame = settled.frames[0].as_ref().expect("it was said something");
        assert_eq!((settled.room, frame.count()), (LOBBY, 2));
        assert_eq!(batches.take_first().map(|s| s.room), Some(ATTIC));
        assert!(batches.take_first().is_none() && batches.is_empty());
    }

    #[test]
    fn room_that_is_settled_alone_leaves_the_others_pending() {
        let mut batches = Batches::default();
        add(&mut batches, LOBBY, "hi", 0);
        add(&mut batches, ATTIC, "hi", 0);
        assert!(batches.take(LOBBY).is_some());
        assert!(batches.take(LOBBY).is_none());
        add(&mut batches, LOBBY, "again", 7);
        assert_eq!(batches.take_first().map(|s| s.room), Some(ATTIC));
        let settled = batches.take_first().expect("it was touched again");
        assert_eq!(settled.before.head, Seq(7), "of its second run");
    }

    #[test]
    fn run_remembers_the_head_before_it_and_whether_it_has_notices() {
        let mut batches = Batches::default();
        add(&mut batches, LOBBY, "hi", 3);
        add(&mut batches, LOBBY, "notice", 4);
        let settled = batches.take(LOBBY).expect("it is pending");
        assert_eq!((settled.before.head, settled.has_notices), (Seq(3), true));
        add(&mut batches, LOBBY, "hi", 4);
        assert!(!batches.take(LOBBY).expect("it is pending").has_notices);
    }

    #[test]
    fn run_ends_at_half_of_an_outbox() {
        let mut batches = Batches::default();
        for _ in 0..4 {
            assert!(add(&mut batches, LOBBY, "hi", 0));
        }
        assert!(!add(&mut batches, LOBBY, "hi", 0), "half of the frames");
        assert!(add(&mut batches, ATTIC, &"x".repeat(600), 0));
        assert!(!add(&mut batches, ATTIC, "hi", 0), "half of the bytes");
    }

    /// This is what an empty outbox takes at most: see [`crate::server::Server::outbox_bytes_max`].
    #[test]
    fn run_has_at_most_half_an_outbox_and_one_message() {
        const LONGEST: usize = 200;
        for bytes_max in [1, 100, 1_000, 5_000] {
            let limits = Limits {
                frames_max: 64,
                bytes_max,
            };
            for short in 0..60 {
                let mut batches = Batches::default();
                let before = Before {
                    epoch: 1,
                    head: Seq(0),
                };
                for length in std::iter::repeat_n(short, 40).chain([LONGEST; 40]) {
                    if let Some(runs) = batches.run(LOBBY, false, before, limits) {
                        runs[0].push_text(&"x".repeat(length));
                    }
                }
                let settled = batches.take(LOBBY).expect("it is pending");
                let frame = settled.frames[0].as_ref().expect("it was said something");
                let bound = bytes_max / 2 + HEADER_BYTES_MAX + LONGEST;
                assert!(frame.len() <= bound, "{bytes_max} {short}");
                assert!(frame.count() as usize <= limits.frames_max / 2);
            }
        }
    }

    #[test]
    #[should_panic(expected = "the members of a room changed")]
    fn run_of_other_members_is_a_bug() {
        let mut batches = Batches::default();
        add(&mut batches, LOBBY, "hi", 0);
        let before = Before {
            epoch: 2,
            head: Seq(1),
        };
        batches.run(LOBBY, false, before, LIMITS);
    }
}
