//! Connections that share one spare context, their frames cut anywhere and interleaved, see the
//! same messages, replies and errors as a tungstenite context that has the whole stream to itself.
#![no_main]

#[path = "../../tests/framing/mod.rs"]
mod framing;

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use parlor::frame::Frame;
use parlor::ws::{CloseReason, Decoder, Limits, Received, Spare, Violation, reply_to};
use std::io::{self, ErrorKind, Read, Write};
use tungstenite::error::ProtocolError;
use tungstenite::protocol::{Role, WebSocketConfig, WebSocketContext};
use tungstenite::{Error, Message};

/// Something is appended to what a client wants to send, and some bytes of that arrive.
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
    /// The same byte so many times, to reach the limits.
    Long {
        first: u8,
        len: u16,
        byte: u8,
    },
    Raw(&'a [u8]),
}

/// What frames usually begin with; any other byte is taken as it is.
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

/// What came of a stream, in order.
#[derive(Debug, PartialEq)]
enum Seen {
    Text(String),
    Binary(Vec<u8>),
    Pong,
    Reply(Vec<u8>),
    Error(CloseReason),
}

/// One client, and what the pooled decoder made of the part of its stream that arrived.
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
                Ok(None) => return assert!(input.is_empty(), "something is left"),
                Err(why) => {
                    self.is_over = true;
                    self.seen.push(Seen::Error(why));
                }
            }
        }
    }

    /// As the server answers it.
    fn take(&mut self, received: Received) {
        let seen = match received {
            Received::Text(text) => Seen::Text(text.as_str().to_owned()),
            Received::Binary(bytes) => Seen::Binary(bytes.to_vec()),
            Received::Pong => Seen::Pong,
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
            // A limit of ours, which tungstenite does not know: up to there they agree.
            assert_eq!(*max, limits.max_fragments);
            self.seen.pop();
            expected.truncate(self.seen.len());
        }
        assert_eq!(self.seen, expected);
        assert!(self.decoder.is_open() || self.decoder.held_bytes() == 0);
    }
}

/// A stream whose replies are kept.
struct Stream<'a> {
    input: &'a [u8],
    replies: Vec<u8>,
}

impl Read for Stream<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.input.is_empty() {
            return Err(ErrorKind::WouldBlock.into());
        }
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

/// What a context of its own makes of the whole stream.
fn dedicated(input: &[u8], max_bytes: usize) -> Vec<Seen> {
    let config = WebSocketConfig::default()
        .write_buffer_size(0)
        .max_message_size(Some(max_bytes))
        .max_frame_size(Some(max_bytes));
    let mut context = WebSocketContext::new(Role::Server, Some(config));
    let mut stream = Stream {
        input,
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
                    // It repeats the client's words too; we do not.
                    reply.truncate(4);
                    reply[1] = reply[1].min(2);
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

/// What RFC 6455 and the server's texts call it.
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
        error => panic!("not for a server that reads: {error}"),
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
            // Somebody new has the place, and the spare must not remember.
            client.check(&limits);
            *client = Client::default();
        }
    }
    for client in &mut clients {
        client.arrive(usize::MAX, &mut spare);
        client.check(&limits);
    }
});
