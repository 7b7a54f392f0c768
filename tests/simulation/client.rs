//! Simulated people and what they see. Some behave, some do not; each knows what a server may
//! never send: a second HTTP response, half a frame, anything after its close frame.

use super::chance::Chance;
use super::framing::{self, ServerFrame};
use std::collections::VecDeque;

const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";

/// How somebody behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Manner {
    /// Reads everything, answers pings, says things, closes in good order.
    Polite,
    /// As polite, but reads seldom and little.
    Slow,
    /// Says many things at once.
    Talker,
    /// Sends more at once than the server reads from anybody in one turn, and then says something.
    Bulky,
    /// Begins a message and does not end it, but answers pings.
    Halting,
    /// Sees that the room is told of everything; is met by no fault and is never behind.
    Witness,
    /// Talks and never reads.
    Deaf,
    /// Comes in and is never heard again.
    Silent,
    /// Does not finish its request.
    HalfShaken,
    /// Sends random bytes once it is in.
    Vandal,
    /// Sends pings and empty fragments without end.
    Flooder,
    /// Asks for pages, several in one packet.
    Browser,
    /// Asks for an upgrade that cannot be granted.
    Misled,
    /// Sends only random bytes.
    Noise,
}

/// All but the witness.
pub(crate) const MANNERS: [Manner; 13] = [
    Manner::Polite,
    Manner::Slow,
    Manner::Talker,
    Manner::Bulky,
    Manner::Halting,
    Manner::Deaf,
    Manner::Silent,
    Manner::HalfShaken,
    Manner::Vandal,
    Manner::Flooder,
    Manner::Browser,
    Manner::Misled,
    Manner::Noise,
];

impl Manner {
    /// Whether all it sends is well-formed, so that no blame may fall on it.
    pub(crate) fn is_sound(self) -> bool {
        matches!(
            self,
            Self::Polite | Self::Slow | Self::Talker | Self::Bulky | Self::Halting | Self::Witness
        )
    }

    /// Whether it reads what it is sent, sooner or later.
    pub(crate) fn reads(self) -> bool {
        !matches!(self, Self::Deaf | Self::Silent)
    }
}

/// What a client saw, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    /// A status of an HTTP response.
    Status(u16),
    /// A line of text.
    Line(String),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Close(Option<u16>),
}

/// Understands what the server sends and panics at what it may never send.
#[derive(Default)]
pub(crate) struct Ear {
    bytes: VecDeque<u8>,
    is_websocket: bool,
    responses: u32,
    is_closed: bool,
    /// Nothing may follow the response that refused it.
    is_refused: bool,
    /// Bytes of all that was understood.
    understood: u64,
}

impl Ear {
    pub(crate) fn hear(&mut self, bytes: &[u8]) {
        assert!(
            bytes.is_empty() || !self.is_closed,
            "bytes after the server's close frame"
        );
        assert!(
            bytes.is_empty() || !self.is_refused,
            "bytes after the response that refused"
        );
        self.bytes.extend(bytes);
    }

    /// The next thing that is whole.
    pub(crate) fn next(&mut self) -> Option<Seen> {
        if self.is_websocket {
            self.frame()
        } else {
            self.response()
        }
    }

    /// Bytes of all that was understood so far.
    pub(crate) const fn understood(&self) -> u64 {
        self.understood
    }

    /// Part of a frame or a response came, and not yet the rest.
    pub(crate) fn is_halfway(&self) -> bool {
        !self.bytes.is_empty()
    }

    fn takes(&mut self, count: usize) {
        self.bytes.drain(..count);
        self.understood += count as u64;
    }

    fn response(&mut self) -> Option<Seen> {
        let bytes = self.bytes.make_contiguous();
        let head_len = bytes.windows(4).position(|end| end == b"\r\n\r\n")? + 4;
        let head = std::str::from_utf8(&bytes[..head_len])
            .expect("a head is text")
            .to_owned();
        let body_len = head
            .lines()
            .find_map(|line| {
                line.to_ascii_lowercase()
                    .strip_prefix("content-length:")
                    .map(str::to_owned)
            })
            .map_or(0, |length| {
                length
                    .trim()
                    .parse::<usize>()
                    .expect("a length is a number")
            });
        let status: u16 = head
            .strip_prefix("HTTP/1.1 ")
            .and_then(|rest| rest.get(..3))
            .and_then(|status| status.parse().ok())
            .unwrap_or_else(|| panic!("not a response: {head:?}"));
        if bytes.len() < head_len + body_len {
            return None;
        }
        self.takes(head_len + body_len);
        self.responses += 1;
        match status {
            101 => {
                assert_eq!(self.responses, 1, "the upgrade is the one response");
                self.is_websocket = true;
            }
            200 | 304 => self.is_refused = head.to_ascii_lowercase().contains("connection: close"),
            _ => {
                self.is_refused = true;
                assert!(
                    self.bytes.is_empty(),
                    "bytes after the response that refused"
                );
            }
        }
        Some(Seen::Status(status))
    }

    fn frame(&mut self) -> Option<Seen> {
        let (frame, len) = framing::parse(self.bytes.make_contiguous())?;
        let seen = match frame {
            ServerFrame::Text(text) => Seen::Line(text.to_owned()),
            ServerFrame::Ping(payload) => Seen::Ping(payload.to_vec()),
            ServerFrame::Pong(payload) => Seen::Pong(payload.to_vec()),
            ServerFrame::Close(code, _) => {
                self.is_closed = true;
                Seen::Close(code)
            }
            ServerFrame::Binary(_) => panic!("the chat sends no binary frames"),
        };
        self.takes(len);
        assert!(
            self.bytes.is_empty() || !self.is_closed,
            "bytes after the server's close frame"
        );
        Some(seen)
    }
}

/// A request for an upgrade to `room`, which may have a query, with further header fields.
pub(crate) fn upgrade_with(room: &str, fields: &str) -> Vec<u8> {
    format!(
        "GET /ws/{room} HTTP/1.1\r\nHost: parlor.example\r\nUpgrade: websocket\r\n\
         Connection: keep-alive, Upgrade\r\nSec-WebSocket-Version: 13\r\n{fields}\
         Sec-WebSocket-Key: {KEY}\r\n\r\n"
    )
    .into_bytes()
}

/// A request for an upgrade to `room`.
pub(crate) fn upgrade(room: &str) -> Vec<u8> {
    upgrade_with(room, "")
}

/// One of several requests that must be refused.
pub(crate) fn misled(chance: &mut Chance) -> Vec<u8> {
    let good = String::from_utf8(upgrade("lobby")).expect("we wrote it");
    match chance.below(5) {
        0 => good.replace("Sec-WebSocket-Version: 13", "Sec-WebSocket-Version: 8"),
        1 => good.replace(KEY, "short"),
        2 => good.replace("/ws/lobby", "/elsewhere"),
        3 => good.replace("GET", "PUT"),
        _ => good.replace(
            "Host: parlor.example",
            "Origin: https://elsewhere.example\r\nHost: parlor.example",
        ),
    }
    .into_bytes()
}

/// A masked frame as clients send it.
pub(crate) fn frame(first: u8, payload: &[u8], chance: &mut Chance) -> Vec<u8> {
    let mask = chance.bytes(4).try_into().expect("four bytes");
    framing::encode(first, mask, payload)
}
