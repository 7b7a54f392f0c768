//! Connections share one spare context, their frames cut anywhere and interleaved. Each must get
//! the same messages, replies and errors as from a tungstenite context that reads its whole stream
//! alone. The one difference that is wanted: the close code 1014, which tungstenite does not know.
#![no_main]

#[path = "../../tests/framing/mod.rs"]
mod framing;
#[path = "../../src/ws/input.rs"]
mod input;

use arbitrary::Arbitrary;
use input::Input;
use libfuzzer_sys::fuzz_target;
use parlor::frame::Frame;
use parlor::ws::{CloseReason, Decoder, Limits, Received, Spare, Violation, reply_to};
use std::io::{self, ErrorKind, Read, Write};
use tungstenite::error::ProtocolError;
use tungstenite::protocol::{Role, WebSocketConfig, WebSocketContext};
use tungstenite::{Error, Message};

/// Bytes are appended to what one of the clients sends, and some of what it sent arrives.
#[derive(Arbitrary, Debug)]
struct Step<'a> {
    who: u8,
    sends: Sent<'a>,
    arriving: u8,
}

#[derive(Arbitrary, Debug)]
enum Sent<'a> {
    Frame {
        first: u8,
        mask: [u8; 4],
        payload: &'a [u8],
    },
    /// One byte repeated, to reach the limits.
    Long {
        first: u8,
        len: u16,
        byte: u8,
    },
    Raw(&'a [u8]),
}

/// The usual first bytes of frames, by index; other values are first bytes themselves.
const FIRST: [u8; 9] = [0x81, 0x82, 0x01, 0x02, 0x00, 0x80, 0x89, 0x8A, 0x88];

impl Sent<'_> {
    fn bytes(&self) -> Vec<u8> {
        match self {
            Self::Frame {
                first,
                mask,
                payload,
            } => frame(*first, *mask, payload),
            Self::Long { first, len, byte } => {
                frame(*first, [0; 4], &vec![*byte; usize::from(len % 2048)])
            }
            Self::Raw(bytes) => bytes.to_vec(),
        }
    }
}

fn frame(first: u8, mask: [u8; 4], payload: &[u8]) -> Vec<u8> {
    let first = *FIRST.get(usize::from(first)).unwrap_or(&first);
    framing::encode(first, mask, payload)
}

/// One outcome of a stream.
#[derive(Debug, PartialEq)]
enum Seen {
    Text(String),
    Binary(Vec<u8>),
    Pong,
    Reply(Vec<u8>),
    Error(CloseReason),
}

/// One client, and what the decoder under test made of the part of its stream that arrived.
#[derive(Default)]
struct Client {
    decoder: Decoder,
    in_flight: Vec<u8>,
    arrived: Vec<u8>,
    seen: Vec<Seen>,
    is_over: bool,
}

impl Client {
    fn arrive(&mut self, count: usize, spare: &mut Spare) {
        let bytes: Vec<u8> = self
            .in_flight
            .drain(..count.min(self.in_flight.len()))
            .collect();
        self.arrived.extend(&bytes);
        let mut input = &bytes[..];
        while !self.is_over {
            match self.decoder.receive(spare, &mut input) {
                Ok(Some(received)) => self.take(received),
                Ok(None) => return assert!(input.is_empty(), "bytes are left over"),
                Err(why) => {
                    self.is_over = true;
                    self.seen.push(Seen::Error(why));
                }
            }
        }
    }

    /// Records a message with the server's reply to it.
    fn take(&mut self, received: Received) {
        let seen = match received {
            Received::Text(text) => Seen::Text(text.as_str().to_owned()),
            Received::Binary(bytes) => Seen::Binary(bytes.to_vec()),
            Received::Pong => Seen::Pong,
            // Nothing that tungstenite reports.
            Received::Fragment => return,
            Received::Ping(payload) => Seen::Reply(Frame::pong(&payload).bytes().to_vec()),
            Received::Close(code) => {
                self.is_over = true;
                Seen::Reply(reply_to(code).bytes().to_vec())
            }
        };
        self.seen.push(seen);
    }

    fn check(&mut self, limits: &Limits) {
        let mut expected = dedicated(&self.arrived, limits.max_message_bytes);
        if let Some(Seen::Error(CloseReason::TooManyFragments { max })) = self.seen.last() {
            // tungstenite has no limit of fragments: both must agree up to there.
            assert_eq!(*max, limits.max_fragments);
            self.seen.pop();
            expected.truncate(self.seen.len());
        }
        assert_eq!(self.seen, expected);
        assert!(self.decoder.is_open() || self.decoder.held_bytes() == 0);
    }
}

/// A stream that keeps the replies.
struct Stream<'a> {
    input: Input<'a>,
    replies: Vec<u8>,
}

impl Read for Stream<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.input.read(buffer)
    }
}

impl Write for Stream<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.replies.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The code of the first close frame in a stream of correct frames, found by a parser that shares
/// nothing with the decoder.
fn close_code(mut bytes: &[u8]) -> Option<u16> {
    loop {
        let len_bytes = match bytes.get(1)? & 0x7F {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        let len = match bytes.get(2..2 + len_bytes)? {
            [] => u64::from(bytes[1] & 0x7F),
            extended => extended
                .iter()
                .fold(0, |len, byte| len << 8 | u64::from(*byte)),
        };
        let (mask, rest) = bytes.get(2 + len_bytes..)?.split_first_chunk::<4>()?;
        if bytes[0] & 0x0F == 8 {
            let code = rest.first_chunk::<2>()?;
            return Some(u16::from_be_bytes([code[0] ^ mask[0], code[1] ^ mask[1]]));
        }
        bytes = rest.get(usize::try_from(len).ok()?..)?;
    }
}

/// What a context that reads the whole stream alone makes of it.
fn dedicated(input: &[u8], max_bytes: usize) -> Vec<Seen> {
    let config = WebSocketConfig::default()
        .write_buffer_size(0)
        .max_message_size(Some(max_bytes))
        .max_frame_size(Some(max_bytes));
    let mut context = WebSocketContext::new(Role::Server, Some(config));
    let mut stream = Stream {
        input: Input(input),
        replies: Vec::new(),
    };
    let mut seen = Vec::new();
    loop {
        let message = context.read(&mut stream);
        let is_close = matches!(message, Ok(Message::Close(_)));
        match message {
            Ok(Message::Text(text)) => seen.push(Seen::Text(text.as_str().to_owned())),
            Ok(Message::Binary(bytes)) => seen.push(Seen::Binary(bytes.to_vec())),
            Ok(Message::Pong(_)) => seen.push(Seen::Pong),
            Ok(Message::Ping(_) | Message::Close(_)) => {
                let _ = context.flush(&mut stream);
                let mut reply = std::mem::take(&mut stream.replies);
                if is_close {
                    // It repeats the client's reason too; parlor does not.
                    reply.truncate(4);
                    reply[1] = reply[1].min(2);
                    if close_code(input) == Some(1014) {
                        reply[2..].copy_from_slice(&1014_u16.to_be_bytes());
                    }
                }
                seen.push(Seen::Reply(reply));
            }
            Ok(Message::Frame(_)) => unreachable!("reading gives no raw frames"),
            Err(Error::Io(error)) if error.kind() == ErrorKind::WouldBlock => return seen,
            Err(error) => {
                seen.push(Seen::Error(reason(&error, max_bytes)));
                return seen;
            }
        }
        if is_close {
            return seen;
        }
    }
}

/// The close reason that belongs to an error of tungstenite.
fn reason(error: &Error, max_bytes: usize) -> CloseReason {
    use ProtocolError as P;
    CloseReason::Protocol(match error {
        Error::Capacity(_) => return CloseReason::TooBig { max_bytes },
        Error::Utf8(_) => return CloseReason::NotUtf8,
        Error::Protocol(P::UnmaskedFrameFromClient) => Violation::Unmasked,
        Error::Protocol(P::NonZeroReservedBits) => Violation::ReservedBits,
        Error::Protocol(P::FragmentedControlFrame) => Violation::FragmentedControl,
        Error::Protocol(P::ControlFrameTooBig) => Violation::ControlTooLong,
        Error::Protocol(P::UnexpectedContinueFrame) => Violation::NothingToContinue,
        Error::Protocol(P::ExpectedFragment(_)) => Violation::MessageNotFinished,
        Error::Protocol(P::InvalidCloseSequence) => Violation::BadClose,
        Error::Protocol(
            P::InvalidOpcode(_) | P::UnknownControlFrameType(_) | P::UnknownDataFrameType(_),
        ) => Violation::UnknownOpcode,
        error => panic!("an error that reading cannot cause: {error}"),
    })
}

fuzz_target!(|game: (u8, u8, Vec<Step<'_>>)| {
    let (max_bytes, max_fragments, steps) = game;
    let limits = Limits {
        max_message_bytes: 4 * usize::from(max_bytes),
        max_fragments: if max_fragments == 0 {
            u32::MAX
        } else {
            max_fragments.into()
        },
    };
    let mut spare = Spare::new(&limits);
    let mut clients: [Client; 3] = Default::default();
    for step in steps {
        let client = &mut clients[usize::from(step.who) % 3];
        client.in_flight.extend(step.sends.bytes());
        let count = if step.arriving == 0 {
            usize::MAX
        } else {
            step.arriving.into()
        };
        client.arrive(count, &mut spare);
        if client.is_over {
            // A new client takes its place; nothing of the old one may be left in the spare.
            client.check(&limits);
            *client = Client::default();
        }
    }
    for client in &mut clients {
        client.arrive(usize::MAX, &mut spare);
        client.check(&limits);
    }
});
