//! The bounded queue of one connection. Knows frames, not sockets.
//!
//! A front frame that was partly written is never dropped or replaced: after half a frame the peer
//! could not decode anything that follows.
//!
//! Where TLS is spoken, frames leave the queue when they are sealed, and what the socket did not
//! accept of the sealed bytes waits here, in front of all frames ([`Outbox::push_sealed`]). Sealed
//! bytes are begun frames: they are never dropped, and they count in the limits like any.

use crate::carry::{Carry, Damaged, Reader, Writer};
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
    /// It does not fit.
    Full,
}

/// Frames on their way to one socket, the oldest first. An idle one holds no heap.
#[derive(Debug, Default)]
pub struct Outbox {
    queue: Queue,
    /// Unwritten bytes of all frames.
    bytes: usize,
    /// WebSocket frames in the queue; a run of several is one entry.
    count: u32,
    /// Bytes of the front frame that are written.
    front_written: u32,
    /// One more than the place of a pong that may still be replaced; 0: there is none.
    pong: u16,
    /// One more than the place of the last reply; 0: there is none.
    last_reply: u16,
    /// Replies since none waited.
    replies: u8,
    is_closed: bool,
}

/// Usually holds at most one frame, which needs no heap of its own.
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
    /// Sealed bytes, and the frames that wait behind them.
    Sealed(Box<Sealed>),
}

/// What a socket did not accept of sealed bytes, and what waits behind it.
#[derive(Debug, Default)]
struct Sealed {
    bytes: Vec<u8>,
    written: usize,
    frames: VecDeque<Frame>,
}

impl Sealed {
    fn rest(&self) -> &[u8] {
        &self.bytes[self.written..]
    }
}

/// Replies that may wait while requests are handled.
pub const REPLIES_MAX: usize = 16;

/// Capacity of a queue from its second frame on: a connection that gets two frames in a turn
/// usually gets more, and growing from two to eight would copy twice.
const SECOND_FRAME_CAPACITY: usize = 8;

impl Queue {
    fn len(&self) -> usize {
        match self {
            Self::Empty => 0,
            Self::One(_) => 1,
            Self::Many(frames) => frames.len(),
            Self::Sealed(sealed) => sealed.frames.len(),
        }
    }

    fn front(&self) -> Option<&Frame> {
        match self {
            Self::Empty => None,
            Self::One(frame) => Some(frame),
            Self::Many(frames) => frames.front(),
            Self::Sealed(sealed) => sealed.frames.front(),
        }
    }

    /// All frames, in order.
    fn frames(&self) -> impl Iterator<Item = &Frame> {
        let (only, several) = match self {
            Self::Empty => (None, None),
            Self::One(frame) => (Some(frame), None),
            Self::Many(frames) => (None, Some(&**frames)),
            Self::Sealed(sealed) => (None, Some(&sealed.frames)),
        };
        only.into_iter().chain(several.into_iter().flatten())
    }

    fn messages(&self) -> u32 {
        self.frames().map(Frame::messages).sum()
    }

    fn get_mut(&mut self, index: usize) -> Option<&mut Frame> {
        match self {
            Self::Empty => None,
            Self::One(frame) => (index == 0).then_some(frame),
            Self::Many(frames) => frames.get_mut(index),
            Self::Sealed(sealed) => sealed.frames.get_mut(index),
        }
    }

    fn push_back(&mut self, frame: Frame) {
        match self {
            Self::Empty => *self = Self::One(frame),
            Self::Many(frames) => frames.push_back(frame),
            Self::Sealed(sealed) => sealed.frames.push_back(frame),
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

    /// Frees the heap with the last frame, not before: a queue that holds frames will hold more.
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
            Self::Sealed(sealed) => drop(sealed.frames.pop_front()),
        }
    }

    /// The frames of a queue that has no sealed bytes.
    fn of(mut frames: VecDeque<Frame>) -> Self {
        match (frames.len(), frames.pop_front()) {
            (1, Some(only)) => Self::One(only),
            (_, Some(first)) => {
                frames.push_front(first);
                Self::Many(Box::new(frames))
            }
            (_, None) => Self::Empty,
        }
    }

    /// Puts sealed bytes in front of all frames, behind those that are there.
    fn push_sealed(&mut self, bytes: &[u8]) {
        let frames = match mem::take(self) {
            Self::Empty => VecDeque::new(),
            Self::One(frame) => VecDeque::from([frame]),
            Self::Many(frames) => *frames,
            Self::Sealed(mut sealed) => {
                sealed.bytes.extend_from_slice(bytes);
                *self = Self::Sealed(sealed);
                return;
            }
        };
        *self = Self::Sealed(Box::new(Sealed {
            bytes: bytes.to_vec(),
            written: 0,
            frames,
        }));
    }
}

impl Outbox {
    /// Queues an ordinary frame if it fits.
    #[inline]
    pub fn push(&mut self, frame: Frame, limits: Limits) -> Pushed {
        if self.is_closed {
            // Nothing can follow the close frame, so it need not be sent later either.
            return Pushed::Queued;
        }
        if !self.has_room(&frame, limits) {
            return Pushed::Full;
        }
        if !self.join_response(&frame) {
            self.append(frame);
        }
        Pushed::Queued
    }

    /// Queues the answer to a request of the peer, which must not be lost. Not bound by the limits;
    /// see [`Outbox::has_many_replies`].
    pub fn push_reply(&mut self, frame: Frame) {
        if self.is_closed {
            return;
        }
        if !self.join_response(&frame) {
            self.append(frame);
        }
        self.replies = self.replies.saturating_add(1);
        self.last_reply = u16::try_from(self.queue.len()).unwrap_or(u16::MAX);
    }

    /// How many replies wait: exactly while the first of them does, and at most that many later.
    /// None when the last one is written.
    pub fn replies(&self) -> usize {
        usize::from(self.replies)
    }

    /// The peer has asked for more than it accepts: no request of it may be handled before the
    /// outbox is empty. The last reply may exceed the limits; nothing more does.
    pub fn has_many_replies(&self, limits: Limits) -> bool {
        self.replies() >= REPLIES_MAX || self.replies > 0 && self.bytes > limits.bytes_max
    }

    /// Queues a frame that must not be lost and of which there cannot be many: an HTTP response, a
    /// last line, a report. Not bound by the limits.
    pub fn push_control(&mut self, frame: Frame) {
        if !self.is_closed {
            self.append(frame);
        }
    }

    /// Queues the answer to a ping. Only the latest ping need be answered (RFC 6455 §5.5.3), so
    /// this pong replaces an earlier one of which no byte is written, in its place.
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

    /// A pong waits that the next one would replace.
    pub fn has_pong(&self) -> bool {
        self.pong > 0
    }

    /// Queues the close frame, after which the queue accepts nothing.
    pub fn push_close(&mut self, frame: Frame) {
        if !self.is_closed {
            self.append(frame);
            self.is_closed = true;
        }
    }

    /// Drops what is queued, except a front frame that is partly written or begins with the
    /// response to a request: the client expects that response before anything else. Returns how
    /// many messages were dropped.
    pub fn drop_unsent(&mut self) -> u32 {
        let front = self.queue.front();
        let kept = front.filter(|frame| self.front_written > 0 || frame.is_response());
        let kept = kept.cloned();
        let dropped = self.queue.messages() - kept.as_ref().map_or(0, Frame::messages);
        self.keep(kept);
        dropped
    }

    /// Drops all but `front`, or everything.
    fn keep(&mut self, front: Option<Frame>) {
        self.pong = 0;
        // A reply that is the front, or was joined to the response in it.
        self.last_reply = front.as_ref().map_or(0, |_| self.last_reply.min(1));
        if self.last_reply == 0 {
            self.replies = 0;
        }
        self.bytes = front
            .as_ref()
            .map_or(0, |frame| frame.len() - self.front_written as usize);
        self.count = front.as_ref().map_or(0, Frame::count);
        let front = front.map_or(Queue::Empty, Queue::One);
        if let Queue::Sealed(sealed) = mem::replace(&mut self.queue, front)
            && !sealed.rest().is_empty()
        {
            // It was sealed with its number: what is sealed later cannot be opened without it.
            self.bytes += sealed.rest().len();
            self.queue.push_sealed(sealed.rest());
        }
    }

    /// The connection is over: drops what is queued and accepts nothing more. Without this, a frame
    /// that is queued later in the turn could be sent behind a gap.
    pub fn end(&mut self) {
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

    /// Whether an ordinary frame fits.
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
            Queue::Empty | Queue::Many(_) | Queue::Sealed(_) => None,
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
            Queue::Sealed(sealed) => sealed.frames.iter().for_each(put),
        }
        count
    }

    // Where TLS is spoken

    /// Puts sealed bytes that are not written in front of all frames, behind earlier ones. Not bound
    /// by the limits: there is at most one record, and what a handshake or an alert takes.
    pub fn push_sealed(&mut self, bytes: &[u8]) {
        if !bytes.is_empty() {
            self.bytes += bytes.len();
            self.queue.push_sealed(bytes);
        }
    }

    /// The sealed bytes to be written, before anything else is sealed. `None`: there are none.
    #[inline]
    pub fn sealed(&self) -> Option<&[u8]> {
        match &self.queue {
            Queue::Sealed(sealed) => Some(sealed.rest()),
            Queue::Empty | Queue::One(_) | Queue::Many(_) => None,
        }
    }

    /// Removes so many written bytes from the front of the sealed ones.
    pub fn advance_sealed(&mut self, written: usize) {
        let Queue::Sealed(sealed) = &mut self.queue else {
            return;
        };
        assert!(
            written <= sealed.rest().len(),
            "more was written than was sealed"
        );
        sealed.written += written;
        self.bytes -= written;
        if sealed.rest().is_empty() {
            self.queue = Queue::of(mem::take(&mut sealed.frames));
        }
    }

    /// Copies the front of what is to be sealed: as much as there is, and at most `max` bytes.
    pub fn copy_front(&self, max: usize, copy: &mut Vec<u8>) {
        let mut skip = self.front_written as usize;
        for frame in self.queue.frames() {
            let bytes = &frame.bytes()[mem::take(&mut skip)..];
            let count = bytes.len().min(max - copy.len());
            copy.extend_from_slice(&bytes[..count]);
            if copy.len() == max {
                break;
            }
        }
    }

    /// Nothing can be sealed any more: drops every frame, also one that is partly sealed, and accepts
    /// nothing.
    pub fn drop_unsealed(&mut self) {
        self.keep(None);
        self.front_written = 0;
        self.is_closed = true;
    }

    /// Removes so many written or sealed bytes from the front. More than are queued is a bug of the
    /// caller, and so is anything while sealed bytes wait.
    pub fn advance(&mut self, mut written: usize) {
        debug_assert!(self.sealed().is_none(), "sealed bytes are written first");
        assert!(written <= self.bytes, "more was written than was queued");
        if written == self.bytes {
            // The usual case, and cheaper than removing frame by frame.
            self.queue = Queue::Empty;
            (self.bytes, self.count, self.front_written, self.pong) = (0, 0, 0, 0);
            (self.last_reply, self.replies) = (0, 0);
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
                    // A byte of the pong is written, so it cannot be replaced.
                    self.pong = 0;
                }
                return;
            }
            written -= rest;
            self.front_written = 0;
            self.pong = self.pong.saturating_sub(1);
            self.last_reply = self.last_reply.saturating_sub(1);
            if self.last_reply == 0 {
                self.replies = 0;
            }
            self.count -= front.count();
            self.queue.pop_front();
        }
    }

    /// Appends the first frame of a new member to the upgrade response: one piece for the socket,
    /// and no heap for a queue. False: the front is no such response.
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
            Queue::Empty | Queue::One(_) | Queue::Many(_) | Queue::Sealed(_) => false,
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
        let bytes = bytes + self.sealed().map_or(0, <[u8]>::len);
        assert_ne!(self.sealed(), Some(&[][..]), "written bytes are dropped");
        assert_eq!(bytes, self.bytes, "bytes are counted");
        assert!(
            slices.iter().all(|slice| !slice.is_empty()),
            "a written frame is dropped"
        );
        assert!(
            usize::from(self.pong) <= self.queue.len(),
            "the pong is in the queue"
        );
        let frames: u32 = self.queue.frames().map(Frame::count).sum();
        assert_eq!(frames, self.count, "frames are counted");
        assert!(
            usize::from(self.last_reply) <= self.queue.len(),
            "the last reply is in the queue"
        );
        assert_eq!(self.replies > 0, self.last_reply > 0, "replies are counted");
        let begun = usize::from(self.front_written > 0);
        let is_pong = |slice: &&IoSlice<'_>| slice.starts_with(&Frame::pong(&[]).bytes()[..1]);
        assert!(
            slices.iter().skip(begun).filter(is_pong).count() <= 1,
            "more than one unsent pong waits"
        );
    }
}

/// The frames, and where the peer is in them. The counts follow.
impl Carry for Outbox {
    fn write(&self, to: &mut Writer) {
        // Without sealed bytes: connections of TLS are not carried, and are written for a check alone.
        to.length(self.queue.len());
        for frame in self.queue.frames() {
            frame.write(to);
        }
        self.front_written.write(to);
        (self.pong, self.last_reply, self.replies, self.is_closed).write(to);
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, Damaged> {
        let mut outbox = Self::default();
        for _ in 0..from.length()? {
            let frame = Frame::read(from)?;
            let count = outbox.count.checked_add(frame.count());
            outbox.count = count.ok_or(Damaged("an outbox has too many frames"))?;
            outbox.bytes += frame.len();
            outbox.queue.push_back(frame);
        }
        outbox.front_written = u32::read(from)?;
        let written = outbox.front_written as usize;
        let front = outbox.queue.front().map_or(1, Frame::len);
        let marks = (
            u16::read(from)?,
            u16::read(from)?,
            u8::read(from)?,
            bool::read(from)?,
        );
        (
            outbox.pong,
            outbox.last_reply,
            outbox.replies,
            outbox.is_closed,
        ) = marks;
        let last = usize::from(outbox.pong.max(outbox.last_reply));
        let has_replies = outbox.replies > 0;
        if written >= front || last > outbox.queue.len() || has_replies != (outbox.last_reply > 0) {
            return Err(Damaged("an outbox contradicts itself"));
        }
        outbox.bytes = outbox.bytes.saturating_sub(written);
        Ok(outbox)
    }
}

#[cfg(test)]
mod tests;
