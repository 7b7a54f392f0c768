//! The bounded queue of one connection. Knows frames, not sockets.
//!
//! A front frame that was partly written is never dropped or replaced: half a frame on the wire
//! would make nonsense of all that follows.

use crate::frame::Frame;
use std::collections::VecDeque;
use std::io::IoSlice;
use std::mem;

/// What may wait for one connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// WebSocket frames.
    pub frames_max: usize,
    /// Unwritten bytes. An empty queue takes one frame, or one run of them, of any length.
    pub bytes_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            frames_max: 32,
            bytes_max: 64 * 1024,
        }
    }
}

/// What became of an ordinary frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Pushed {
    Queued,
    /// It did not fit and is counted; the owner is to be told when the queue has drained.
    Missed,
}

/// Frames on their way to one socket, the oldest first. An idle one holds no heap.
#[derive(Debug, Default)]
pub struct Outbox {
    queue: Queue,
    /// Unwritten bytes of all frames.
    bytes: usize,
    /// WebSocket frames in the queue, which holds several as one where they came together.
    count: u32,
    /// Bytes of the front frame that are written.
    front_written: u32,
    missed: u32,
    /// One more than the place of a pong that may still be replaced; 0: there is none.
    pong: u16,
    is_closed: bool,
}

/// Nearly always there is at most one frame, which needs no heap of its own.
#[derive(Debug, Default)]
#[expect(
    clippy::box_collection,
    reason = "the box makes an idle connection 16 bytes smaller"
)]
enum Queue {
    #[default]
    Empty,
    One(Frame),
    Many(Box<VecDeque<Frame>>),
}

/// Places a queue gets with its second frame: where one has two in a turn, more follow, and
/// growing from two to eight would copy twice.
const SECOND_FRAME_CAPACITY: usize = 8;

impl Queue {
    fn len(&self) -> usize {
        match self {
            Self::Empty => 0,
            Self::One(_) => 1,
            Self::Many(frames) => frames.len(),
        }
    }

    fn front(&self) -> Option<&Frame> {
        match self {
            Self::Empty => None,
            Self::One(frame) => Some(frame),
            Self::Many(frames) => frames.front(),
        }
    }

    fn get_mut(&mut self, index: usize) -> Option<&mut Frame> {
        match self {
            Self::Empty => None,
            Self::One(frame) => (index == 0).then_some(frame),
            Self::Many(frames) => frames.get_mut(index),
        }
    }

    fn push_back(&mut self, frame: Frame) {
        match self {
            Self::Empty => *self = Self::One(frame),
            Self::Many(frames) => frames.push_back(frame),
            Self::One(_) => {
                if let Self::One(first) = mem::take(self) {
                    let mut frames = VecDeque::with_capacity(SECOND_FRAME_CAPACITY);
                    frames.push_back(first);
                    frames.push_back(frame);
                    *self = Self::Many(Box::new(frames));
                }
            }
        }
    }

    /// The heap goes with the last frame, not before: a queue that is used is used again.
    fn pop_front(&mut self) {
        match self {
            Self::Empty => {}
            Self::One(_) => *self = Self::Empty,
            Self::Many(frames) => {
                frames.pop_front();
                if frames.is_empty() {
                    *self = Self::Empty;
                }
            }
        }
    }
}

impl Outbox {
    /// Queues an ordinary frame if it fits.
    ///
    /// Once one was missed all are, until the owner was told ([`Outbox::take_missed`]): what is
    /// missing is then missing at one place of the stream, and that is where the owner is told.
    #[inline]
    pub fn push(&mut self, frame: Frame, limits: Limits) -> Pushed {
        if self.is_closed {
            // Nobody is to be told: they are leaving.
            return Pushed::Queued;
        }
        if self.missed > 0 || !self.has_room(&frame, limits) {
            self.missed = self.missed.saturating_add(frame.count());
            return Pushed::Missed;
        }
        if !self.join_response(&frame) {
            self.append(frame);
        }
        Pushed::Queued
    }

    /// Queues a frame that must not be lost and of which there cannot be many: an HTTP response, a
    /// last line, the line that tells what was missed. Not bound by the limits.
    pub fn push_control(&mut self, frame: Frame) {
        if !self.is_closed {
            self.append(frame);
        }
    }

    /// Queues the answer to a ping. Only the latest need be answered (RFC 6455 §5.5.3), so an
    /// earlier one that was not begun gives way, in its place.
    pub fn push_pong(&mut self, frame: Frame) {
        if self.is_closed {
            return;
        }
        if let Some(index) = self.pong.checked_sub(1)
            && let Some(earlier) = self.queue.get_mut(usize::from(index))
        {
            self.bytes = self.bytes - earlier.len() + frame.len();
            self.count = self.count - earlier.count() + frame.count();
            *earlier = frame;
            return;
        }
        self.append(frame);
        self.pong = u16::try_from(self.queue.len()).unwrap_or(0);
    }

    /// A pong waits that the next would replace.
    pub fn has_pong(&self) -> bool {
        self.pong > 0
    }

    /// Queues the close frame: the last this queue ever takes.
    pub fn push_close(&mut self, frame: Frame) {
        if !self.is_closed {
            self.append(frame);
            self.is_closed = true;
        }
    }

    /// Drops what is queued, but for a front frame that is partly written or begins with the response
    /// to a request, which nothing can go before.
    pub fn drop_unsent(&mut self) {
        let front = self.queue.front();
        let kept = front.filter(|frame| self.front_written > 0 || frame.is_response());
        self.keep(kept.cloned());
    }

    /// Drops all but the front frame, or that too.
    fn keep(&mut self, front: Option<Frame>) {
        self.pong = 0;
        self.bytes = front
            .as_ref()
            .map_or(0, |frame| frame.len() - self.front_written as usize);
        self.count = front.as_ref().map_or(0, Frame::count);
        self.queue = front.map_or(Queue::Empty, Queue::One);
    }

    /// The connection is over: drops what is queued and takes nothing more. Without this, what
    /// comes in the rest of the turn could still be sent, behind a gap that nobody was told of.
    pub fn seal(&mut self) {
        let front = self.queue.front();
        let begun = front.filter(|_| self.front_written > 0);
        self.keep(begun.cloned());
        self.is_closed = true;
    }

    #[inline]
    pub fn is_empty(&self) -> bool {
        matches!(self.queue, Queue::Empty)
    }

    /// How many WebSocket frames wait.
    pub fn frames(&self) -> usize {
        self.count as usize
    }

    /// Bytes that are not written yet.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether a frame would fit, apart from what was missed before.
    #[inline]
    pub fn has_room(&self, frame: &Frame, limits: Limits) -> bool {
        let frames = self.frames() + frame.count() as usize;
        let bytes = self.bytes + frame.len();
        self.is_empty() || frames <= limits.frames_max && bytes <= limits.bytes_max
    }

    /// The close frame is queued or written, or the connection is over.
    pub fn is_closed(&self) -> bool {
        self.is_closed
    }

    /// What is to be written if it is one piece.
    #[inline]
    pub fn single(&self) -> Option<&[u8]> {
        match &self.queue {
            Queue::One(frame) => Some(&frame.bytes()[self.front_written as usize..]),
            Queue::Empty | Queue::Many(_) => None,
        }
    }

    /// What is to be written, in order, beginning with the rest of the front; as many pieces as
    /// there is place for. Returns how many.
    pub fn slices<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        let mut count = 0;
        let mut skip = self.front_written as usize;
        let mut put = |frame: &'a Frame| {
            if let Some(place) = slices.get_mut(count) {
                *place = IoSlice::new(&frame.bytes()[mem::take(&mut skip)..]);
                count += 1;
            }
        };
        match &self.queue {
            Queue::Empty => {}
            Queue::One(frame) => put(frame),
            Queue::Many(frames) => frames.iter().for_each(put),
        }
        count
    }

    /// So many bytes were written. More than there were is a bug of the caller.
    pub fn advance(&mut self, mut written: usize) {
        assert!(written <= self.bytes, "more was written than was queued");
        if written == self.bytes {
            // Nearly always: all at once is less work than one by one.
            self.queue = Queue::Empty;
            (self.bytes, self.count, self.front_written, self.pong) = (0, 0, 0, 0);
            return;
        }
        self.bytes -= written;
        while written > 0 {
            let Some(front) = self.queue.front() else {
                return;
            };
            let rest = front.len() - self.front_written as usize;
            if written < rest {
                self.front_written += u32::try_from(written).expect("a frame is not that long");
                if self.pong == 1 {
                    // Begun, so it cannot be replaced.
                    self.pong = 0;
                }
                return;
            }
            written -= rest;
            self.front_written = 0;
            self.pong = self.pong.saturating_sub(1);
            self.count -= front.count();
            self.queue.pop_front();
        }
    }

    /// Frames that were missed and of which the owner was not told.
    pub fn missed(&self) -> u32 {
        self.missed
    }

    /// How many frames were missed, for telling the owner. Ordinary frames are taken again.
    pub fn take_missed(&mut self) -> u32 {
        mem::take(&mut self.missed)
    }

    /// What a newcomer is told first becomes one with the response that lets them in: one piece for
    /// the socket, and no heap for a queue. False: there is no such response.
    fn join_response(&mut self, frame: &Frame) -> bool {
        match &mut self.queue {
            Queue::One(front)
                if front.is_response() && front.count() == 1 && self.front_written == 0 =>
            {
                *front = front.followed_by(frame);
                self.bytes += frame.len();
                self.count += frame.count();
                true
            }
            Queue::Empty | Queue::One(_) | Queue::Many(_) => false,
        }
    }

    fn append(&mut self, frame: Frame) {
        self.bytes += frame.len();
        self.count += frame.count();
        self.queue.push_back(frame);
    }

    /// Panics if counts and queue do not agree. For tests.
    pub fn check_invariants(&self) {
        let mut slices = vec![IoSlice::new(&[]); self.queue.len() + 1];
        let count = self.slices(&mut slices);
        assert_eq!(count, self.queue.len());
        slices.truncate(count);
        let bytes: usize = slices.iter().map(|slice| slice.len()).sum();
        assert_eq!(bytes, self.bytes, "bytes are counted");
        assert!(
            slices.iter().all(|slice| !slice.is_empty()),
            "a written frame is dropped"
        );
        assert!(
            usize::from(self.pong) <= self.queue.len(),
            "the pong is in the queue"
        );
        let frames: u32 = match &self.queue {
            Queue::Empty => 0,
            Queue::One(frame) => frame.count(),
            Queue::Many(frames) => frames.iter().map(Frame::count).sum(),
        };
        assert_eq!(frames, self.count, "frames are counted");
        let begun = usize::from(self.front_written > 0);
        let is_pong = |slice: &&IoSlice<'_>| slice.starts_with(&Frame::pong(&[]).bytes()[..1]);
        assert!(
            slices.iter().skip(begun).filter(is_pong).count() <= 1,
            "more than one unsent pong waits"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::Run;

    const LIMITS: Limits = Limits {
        frames_max: 3,
        bytes_max: 100,
    };

    fn frame(text: &str) -> Frame {
        Frame::text(text)
    }

    /// All that is queued.
    fn rest(outbox: &Outbox) -> Vec<u8> {
        let mut slices = vec![IoSlice::new(&[]); outbox.frames()];
        outbox.slices(&mut slices);
        slices.iter().flat_map(|slice| slice.to_vec()).collect()
    }

    fn joined(frames: &[&Frame]) -> Vec<u8> {
        frames
            .iter()
            .flat_map(|frame| frame.bytes().to_vec())
            .collect()
    }

    #[test]
    fn frames_come_out_in_order_wherever_writes_are_cut() {
        let (a, b) = (frame("one"), frame("two"));
        for cut in 0..=10 {
            let mut outbox = Outbox::default();
            assert_eq!(outbox.push(a.clone(), LIMITS), Pushed::Queued);
            assert_eq!(outbox.push(b.clone(), LIMITS), Pushed::Queued);
            outbox.advance(cut);
            outbox.check_invariants();
            assert_eq!(rest(&outbox), joined(&[&a, &b])[cut..]);
            outbox.advance(10 - cut);
            assert!(outbox.is_empty());
        }
    }

    #[test]
    fn a_frame_above_the_limit_is_missed_and_counted() {
        let mut outbox = Outbox::default();
        for _ in 0..3 {
            assert_eq!(outbox.push(frame("x"), LIMITS), Pushed::Queued);
        }
        assert!(!outbox.has_room(&frame("x"), LIMITS));
        assert_eq!(outbox.push(frame("x"), LIMITS), Pushed::Missed);
        assert_eq!(outbox.missed(), 1);
        assert_eq!(outbox.frames(), 3);
    }

    #[test]
    fn bytes_are_limited_too_but_one_frame_always_fits() {
        let mut outbox = Outbox::default();
        assert_eq!(outbox.push(frame(&"x".repeat(500)), LIMITS), Pushed::Queued);
        assert_eq!(outbox.push(frame("x"), LIMITS), Pushed::Missed);
    }

    #[test]
    fn after_one_is_missed_all_are_until_the_owner_was_told() {
        let mut outbox = Outbox::default();
        for _ in 0..4 {
            let _ = outbox.push(frame("x"), LIMITS);
        }
        outbox.advance(outbox.bytes());
        assert_eq!(outbox.push(frame("y"), LIMITS), Pushed::Missed);
        assert_eq!(outbox.take_missed(), 2);
        assert_eq!(outbox.push(frame("z"), LIMITS), Pushed::Queued);
    }

    #[test]
    fn a_run_counts_as_its_messages_and_is_missed_whole() {
        let mut run = Run::default();
        run.push_text("one");
        run.push_text("two");
        let run = run.take().expect("it has two");
        let mut outbox = Outbox::default();
        assert_eq!(outbox.push(run.clone(), LIMITS), Pushed::Queued);
        assert_eq!(outbox.frames(), 2);
        assert_eq!(outbox.push(run, LIMITS), Pushed::Missed);
        assert_eq!(outbox.missed(), 2);
        outbox.advance(6);
        outbox.check_invariants();
        assert_eq!(
            outbox.frames(),
            2,
            "a run is there until all of it is written"
        );
        outbox.advance(4);
        assert_eq!(outbox.frames(), 0);
    }

    #[test]
    fn control_frames_fit_into_a_full_queue() {
        let mut outbox = Outbox::default();
        for _ in 0..3 {
            let _ = outbox.push(frame("x"), LIMITS);
        }
        outbox.push_control(frame("last line"));
        outbox.push_close(Frame::close(1008, "bye"));
        assert_eq!(outbox.frames(), 5);
        assert_eq!(outbox.missed(), 0);
    }

    #[test]
    fn nothing_follows_the_close_frame() {
        let mut outbox = Outbox::default();
        let close = Frame::close(1000, "");
        outbox.push_close(close.clone());
        assert_eq!(outbox.push(frame("x"), LIMITS), Pushed::Queued);
        outbox.push_control(frame("x"));
        outbox.push_pong(Frame::pong(b""));
        outbox.push_close(Frame::close(1001, ""));
        assert_eq!(rest(&outbox), close.bytes());
        assert_eq!(outbox.missed(), 0);
    }

    #[test]
    fn a_later_pong_takes_the_place_of_an_unsent_one() {
        let mut outbox = Outbox::default();
        let (text, last) = (frame("x"), Frame::pong(b"later"));
        assert!(!outbox.has_pong());
        outbox.push_pong(Frame::pong(b"first"));
        assert!(outbox.has_pong());
        let _ = outbox.push(text.clone(), LIMITS);
        outbox.push_pong(last.clone());
        assert_eq!(rest(&outbox), joined(&[&last, &text]));
        outbox.check_invariants();
    }

    #[test]
    fn a_later_pong_takes_the_place_of_one_that_waits_alone() {
        let mut outbox = Outbox::default();
        let last = Frame::pong(b"later");
        outbox.push_pong(Frame::pong(b"first"));
        outbox.push_pong(last.clone());
        assert_eq!(outbox.single(), Some(last.bytes()));
        outbox.check_invariants();
    }

    #[test]
    fn one_frame_is_written_as_one_piece_from_where_it_was_cut() {
        let mut outbox = Outbox::default();
        assert_eq!(outbox.single(), None);
        let one = frame("one");
        let _ = outbox.push(one.clone(), LIMITS);
        outbox.advance(2);
        assert_eq!(outbox.single(), Some(&one.bytes()[2..]));
        let _ = outbox.push(frame("two"), LIMITS);
        assert_eq!(outbox.single(), None);
    }

    #[test]
    fn exactly_the_limit_of_bytes_fits() {
        let mut outbox = Outbox::default();
        let _ = outbox.push(frame(&"x".repeat(38)), LIMITS);
        assert!(outbox.has_room(&frame(&"x".repeat(58)), LIMITS));
        assert!(!outbox.has_room(&frame(&"x".repeat(59)), LIMITS));
    }

    #[test]
    fn it_is_closed_from_its_close_frame_on() {
        let mut outbox = Outbox::default();
        outbox.push_control(frame("x"));
        assert!(!outbox.is_closed());
        outbox.push_close(Frame::close(1000, ""));
        assert!(outbox.is_closed());
    }

    #[test]
    #[should_panic(expected = "bytes are counted")]
    fn a_wrong_count_of_bytes_is_found() {
        let outbox = Outbox {
            bytes: 1,
            ..Outbox::default()
        };
        outbox.check_invariants();
    }

    #[test]
    fn a_pong_behind_others_is_still_found_when_they_have_gone() {
        let mut outbox = Outbox::default();
        let _ = outbox.push(frame("x"), LIMITS);
        outbox.push_pong(Frame::pong(b"first"));
        outbox.advance(3);
        let last = Frame::pong(b"later");
        outbox.push_pong(last.clone());
        assert_eq!(rest(&outbox), last.bytes());
    }

    #[test]
    fn a_pong_that_is_begun_is_finished() {
        let mut outbox = Outbox::default();
        let (first, later) = (Frame::pong(b"first"), Frame::pong(b"later"));
        outbox.push_pong(first.clone());
        outbox.advance(1);
        outbox.push_pong(later.clone());
        assert_eq!(rest(&outbox), joined(&[&first, &later])[1..]);
    }

    #[test]
    fn dropping_the_unsent_keeps_a_begun_frame_whole() {
        let mut outbox = Outbox::default();
        let a = frame("one");
        let _ = outbox.push(a.clone(), LIMITS);
        let _ = outbox.push(frame("two"), LIMITS);
        outbox.advance(2);
        outbox.drop_unsent();
        outbox.check_invariants();
        assert_eq!(rest(&outbox), a.bytes()[2..]);
        outbox.advance(3);
        let _ = outbox.push(frame("two"), LIMITS);
        outbox.drop_unsent();
        assert!(outbox.is_empty());
        assert_eq!(outbox.bytes(), 0);
    }

    #[test]
    fn dropping_the_unsent_keeps_the_response_that_a_close_follows() {
        let mut outbox = Outbox::default();
        let (response, close) = (Frame::http(b"HTTP/1.1 101"), Frame::close(1013, ""));
        outbox.push_control(response.clone());
        outbox.push_control(frame("one"));
        outbox.drop_unsent();
        outbox.push_close(close.clone());
        outbox.check_invariants();
        assert_eq!(rest(&outbox), joined(&[&response, &close]));
        outbox.seal();
        assert!(outbox.is_empty());
    }

    #[test]
    fn what_comes_first_after_a_response_is_one_with_it() {
        let mut outbox = Outbox::default();
        let (response, one, two) = (Frame::http(b"HTTP/1.1 101"), frame("one"), frame("two"));
        outbox.push_control(response.clone());
        let _ = outbox.push(one.clone(), LIMITS);
        outbox.check_invariants();
        let both = joined(&[&response, &one]);
        assert_eq!(outbox.single(), Some(&both[..]));
        assert_eq!(outbox.frames(), 2);
        let _ = outbox.push(two.clone(), LIMITS);
        assert_eq!(outbox.single(), None, "one is enough");
        assert_eq!(rest(&outbox), joined(&[&response, &one, &two]));
        outbox.drop_unsent();
        assert_eq!(rest(&outbox), both);
    }

    #[test]
    fn nothing_joins_a_response_that_is_begun() {
        let mut outbox = Outbox::default();
        outbox.push_control(Frame::http(b"HTTP/1.1 101"));
        outbox.advance(4);
        let _ = outbox.push(frame("one"), LIMITS);
        outbox.check_invariants();
        assert_eq!(outbox.single(), None);
        assert_eq!(rest(&outbox), b"/1.1 101\x81\x03one");
    }

    #[test]
    fn a_sealed_one_is_empty_and_takes_nothing_more() {
        let mut outbox = Outbox::default();
        let _ = outbox.push(frame("one"), LIMITS);
        outbox.seal();
        assert!(outbox.is_empty());
        let _ = outbox.push(frame("two"), LIMITS);
        outbox.push_control(frame("three"));
        outbox.push_pong(Frame::pong(b""));
        outbox.push_close(Frame::close(1000, ""));
        assert!(outbox.is_empty());
        assert_eq!(outbox.missed(), 0);
    }

    #[test]
    fn a_sealed_one_keeps_only_what_it_has_begun() {
        let mut outbox = Outbox::default();
        let one = frame("one");
        let _ = outbox.push(one.clone(), LIMITS);
        let _ = outbox.push(frame("two"), LIMITS);
        outbox.advance(2);
        outbox.seal();
        outbox.check_invariants();
        assert_eq!(outbox.single(), Some(&one.bytes()[2..]));
    }

    #[test]
    fn the_heap_goes_when_the_queue_has_drained() {
        let mut outbox = Outbox::default();
        for _ in 0..3 {
            let _ = outbox.push(frame("x"), LIMITS);
        }
        assert!(matches!(outbox.queue, Queue::Many(_)));
        outbox.advance(outbox.bytes());
        assert!(matches!(outbox.queue, Queue::Empty));
    }

    #[test]
    fn it_is_small() {
        assert!(size_of::<Outbox>() <= 48);
    }

    #[test]
    #[should_panic(expected = "more was written than was queued")]
    fn writing_more_than_was_queued_is_a_bug() {
        Outbox::default().advance(1);
    }

    /// Random operations against a plain list of frames: no byte is lost, doubled or interleaved,
    /// and the bounds hold.
    #[test]
    fn it_agrees_with_a_list_of_frames() {
        let mut state = 0x9E37_79B9_7F4A_7C15_u64;
        let mut chance = move |limit: usize| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 33) as usize % limit
        };
        for game in 0..if cfg!(miri) { 10 } else { 2_000 } {
            let mut outbox = Outbox::default();
            let (mut wanted, mut sent) = (Vec::new(), Vec::new());
            let mut missed = 0;
            for step in 0..60 {
                let text = frame(&"x".repeat(chance(60)));
                match chance(8) {
                    0..4 => match outbox.push(text.clone(), LIMITS) {
                        Pushed::Queued => wanted.extend_from_slice(text.bytes()),
                        Pushed::Missed => missed += 1,
                    },
                    4 => {
                        outbox.push_control(text.clone());
                        wanted.extend_from_slice(text.bytes());
                    }
                    5 if outbox.is_empty() => missed -= outbox.take_missed(),
                    _ => {
                        let bytes = rest(&outbox);
                        let count = chance(bytes.len() + 1);
                        sent.extend_from_slice(&bytes[..count]);
                        outbox.advance(count);
                    }
                }
                outbox.check_invariants();
                assert_eq!(outbox.missed(), missed, "game {game}, step {step}");
                assert_eq!(outbox.bytes(), wanted.len() - sent.len());
            }
            sent.extend(rest(&outbox));
            assert_eq!(sent, wanted, "game {game}");
        }
    }
}
