//! The outbox against a model that keeps every byte: no byte is lost, duplicated or interleaved
//! wherever writes are cut, and the bounds hold. Knows no socket.
#![no_main]

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use parlor::conn::outbox::{Limits, Outbox, Pushed};
use parlor::frame::{Frame, Run};
use std::collections::VecDeque;
use std::io::IoSlice;

#[derive(Arbitrary, Debug)]
enum Operation {
    Push {
        len: u8,
    },
    PushControl {
        len: u8,
    },
    PushPong {
        len: u8,
    },
    PushClose,
    /// One system call: the most slices it is given, and the most bytes it writes.
    Write {
        slices: u8,
        bytes: u16,
    },
    DropUnsent,
    Seal,
    /// Several messages in one frame, which count singly.
    PushRun {
        count: u8,
        len: u8,
    },
    /// The HTTP response of an upgrade.
    PushResponse {
        len: u8,
    },
    PushReply {
        len: u8,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Ordinary,
    Pong,
    /// A response alone.
    Response,
    /// A response and the first push after it, merged.
    Opening,
}

/// One element of the queue: its number of frames, and its bytes that are not yet written.
struct Piece {
    kind: Kind,
    is_reply: bool,
    count: usize,
    bytes: Vec<u8>,
}

/// The expected state of the outbox. No piece is empty.
#[derive(Default)]
struct Model {
    queue: VecDeque<Piece>,
    front_begun: bool,
    closed: bool,
}

impl Model {
    fn rest(&self) -> Vec<u8> {
        let pieces = self.queue.iter();
        pieces.flat_map(|piece| piece.bytes.clone()).collect()
    }

    fn frames(&self) -> usize {
        self.queue.iter().map(|piece| piece.count).sum()
    }

    fn append(&mut self, kind: Kind, frame: &Frame) {
        if !self.closed {
            self.queue.push_back(Piece {
                kind,
                is_reply: false,
                count: frame.count() as usize,
                bytes: frame.bytes().to_vec(),
            });
        }
    }

    fn push(&mut self, frame: &Frame, limits: Limits) -> Pushed {
        let fits = self.frames() + frame.count() as usize <= limits.frames_max
            && self.rest().len() + frame.len() <= limits.bytes_max;
        if self.closed {
            return Pushed::Queued;
        }
        if !(self.queue.is_empty() || fits) {
            return Pushed::Full;
        }
        self.join(frame, false);
        Pushed::Queued
    }

    /// A frame that joins a response which waits alone.
    fn join(&mut self, frame: &Frame, is_reply: bool) {
        if self.closed {
            return;
        }
        let is_alone = self.queue.len() == 1 && !self.front_begun;
        match self.queue.front_mut() {
            Some(front) if is_alone && front.kind == Kind::Response => {
                front.kind = Kind::Opening;
                front.count += frame.count() as usize;
                front.bytes.extend_from_slice(frame.bytes());
                front.is_reply |= is_reply;
            }
            Some(_) | None => {
                self.append(Kind::Ordinary, frame);
                if let Some(last) = self.queue.back_mut() {
                    last.is_reply = is_reply;
                }
            }
        }
    }

    /// At most one pong is unsent: a later one replaces it in its place.
    fn push_pong(&mut self, frame: &Frame) {
        let begun = usize::from(self.front_begun);
        let mut unsent = self.queue.iter_mut().skip(begun);
        match unsent.find(|piece| piece.kind == Kind::Pong) {
            Some(piece) if !self.closed => piece.bytes = frame.bytes().to_vec(),
            Some(_) | None => self.append(Kind::Pong, frame),
        }
    }

    fn advance(&mut self, mut written: usize) {
        while let Some(front) = self.queue.front_mut() {
            if written < front.bytes.len() {
                front.bytes.drain(..written);
                self.front_begun |= written > 0;
                return;
            }
            written -= front.bytes.len();
            self.queue.pop_front();
            self.front_begun = false;
        }
    }

    fn drop_unsent(&mut self) {
        let is_response = |piece: &Piece| matches!(piece.kind, Kind::Response | Kind::Opening);
        let keeps = self.front_begun || self.queue.front().is_some_and(is_response);
        self.queue.truncate(usize::from(keeps));
    }

    fn end(&mut self) {
        self.queue.truncate(usize::from(self.front_begun));
        self.closed = true;
    }
}

/// Checks that the slices for one system call are the next bytes of the model, then writes them.
fn write(outbox: &mut Outbox, model: &mut Model, slices_max: u8, bytes: u16) {
    let mut slices = vec![IoSlice::new(&[]); usize::from(slices_max % 70) + 1];
    let count = outbox.slices(&mut slices);
    let offered: Vec<u8> = slices[..count]
        .iter()
        .flat_map(|slice| slice.to_vec())
        .collect();
    assert!(count <= slices.len() && model.rest().starts_with(&offered));
    assert_eq!(
        count == 0,
        outbox.is_empty(),
        "slices() must be empty exactly if the outbox is"
    );
    if let Some(single) = outbox.single() {
        assert_eq!(single, offered);
    }
    let written = offered.len().min(bytes.into());
    outbox.advance(written);
    model.advance(written);
}

fn play(outbox: &mut Outbox, model: &mut Model, operation: Operation, limits: Limits, mark: u8) {
    // The letter depends on the operation, so that two frames are not confused.
    let payload = |len: u8| char::from(b'a' + mark % 26).to_string().repeat(len.into());
    match operation {
        Operation::Push { len } => {
            let frame = Frame::text(&payload(len));
            assert_eq!(
                outbox.push(frame.clone(), limits),
                model.push(&frame, limits)
            );
        }
        Operation::PushControl { len } => {
            let frame = Frame::text(&payload(len));
            model.append(Kind::Ordinary, &frame);
            outbox.push_control(frame);
        }
        Operation::PushPong { len } => {
            let frame = Frame::pong(payload(len).as_bytes());
            model.push_pong(&frame);
            outbox.push_pong(frame);
        }
        Operation::PushClose => {
            let frame = Frame::close(1000, &payload(9));
            model.append(Kind::Ordinary, &frame);
            model.closed = true;
            outbox.push_close(frame);
        }
        Operation::Write { slices, bytes } => write(outbox, model, slices, bytes),
        Operation::DropUnsent => {
            outbox.drop_unsent();
            model.drop_unsent();
        }
        Operation::Seal => {
            outbox.end();
            model.end();
        }
        Operation::PushRun { count, len } => {
            let mut run = Run::default();
            for _ in 0..=count % 40 {
                run.push_text(&payload(len));
            }
            let Some(frame) = run.take() else {
                return;
            };
            assert_eq!(
                outbox.push(frame.clone(), limits),
                model.push(&frame, limits)
            );
        }
        Operation::PushReply { len } => {
            let frame = Frame::text(&payload(len));
            model.join(&frame, true);
            outbox.push_reply(frame);
        }
        Operation::PushResponse { len } => {
            let frame = Frame::http(format!("HTTP/1.1 101 {}", payload(len)).as_bytes());
            model.append(Kind::Response, &frame);
            outbox.push_control(frame);
        }
    }
}

fuzz_target!(|game: (u8, u16, Vec<Operation>)| {
    let (frames_max, bytes_max, operations) = game;
    let limits = Limits {
        frames_max: frames_max.into(),
        bytes_max: (bytes_max % 2048).into(),
    };
    let (mut outbox, mut model) = (Outbox::default(), Model::default());
    for (mark, operation) in operations.into_iter().enumerate() {
        play(&mut outbox, &mut model, operation, limits, mark as u8);
        outbox.check_invariants();
        assert_eq!(outbox.frames(), model.frames());
        assert_eq!(outbox.bytes(), model.rest().len());
        assert_eq!(outbox.is_closed(), model.closed);
        // After a drop, what is left of a queue with replies may count as one.
        let has_reply = model.queue.iter().any(|piece| piece.is_reply);
        assert!(!has_reply || outbox.replies() > 0, "a reply is not counted");
        assert!(!model.queue.is_empty() || outbox.replies() == 0);
    }
    let rest = outbox.bytes();
    write(&mut outbox, &mut model, u8::MAX, u16::MAX);
    assert!(
        rest == 0 || outbox.bytes() < rest,
        "a write made no progress"
    );
});
