//! How simulated clients behave, and what they receive. Each client panics at what a server must
//! never send: a second response to an upgrade, half a frame, or bytes after the close frame.

use super::chance::Chance;
use super::framing::{self, ServerFrame};
use serde_json::Value;
use std::collections::VecDeque;

const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";

/// How a client behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Manner {
    /// Reads everything, answers pings, sends messages, closes in good order.
    Polite,
    /// Like `Polite`, but reads seldom and little.
    Slow,
    /// Sends many messages at once.
    Talker,
    /// Sends more at once than the server reads from a connection in one turn, then a message.
    Bulky,
    /// Begins a message and does not finish it, but answers pings.
    Halting,
    /// Receives every line of its room: no fault affects it, and it is never behind.
    Witness,
    /// Sends messages and never reads.
    Deaf,
    /// Enters the room, then sends and reads nothing.
    Silent,
    /// Does not finish its request.
    HalfShaken,
    /// Sends random bytes after its upgrade.
    Vandal,
    /// Sends pings and empty fragments without end.
    Flooder,
    /// Requests pages, several in one packet.
    Browser,
    /// Requests an upgrade that must be refused.
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
    /// Whether all it sends is well-formed, so that the server must not close it for a violation.
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

/// One part of what a client received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    /// The status of an HTTP response.
    Status(u16),
    /// A line of text.
    Line(String),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    /// `has_reason`: the server closes; its reply to a close frame has the code alone.
    Close {
        code: Option<u16>,
        has_reason: bool,
    },
}

/// Parses what the server sends, and panics at what it must never send.
#[derive(Default)]
pub(crate) struct Ear {
    bytes: VecDeque<u8>,
    is_websocket: bool,
    responses: u32,
    is_closed: bool,
    /// The client was refused, or the response closes the connection: no byte may follow.
    is_refused: bool,
    /// Bytes of all that was parsed.
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
            "bytes after a refusal"
        );
        self.bytes.extend(bytes);
    }

    /// The next whole response or frame.
    pub(crate) fn next(&mut self) -> Option<Seen> {
        if self.is_websocket {
            self.frame()
        } else {
            self.response()
        }
    }

    /// Bytes of all that was parsed so far.
    pub(crate) const fn understood(&self) -> u64 {
        self.understood
    }

    /// Whether only a part of a frame or a response has come.
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
                assert_eq!(self.responses, 1, "more than one response to an upgrade");
                self.is_websocket = true;
            }
            200 | 304 => self.is_refused = head.to_ascii_lowercase().contains("connection: close"),
            _ => {
                self.is_refused = true;
                assert!(self.bytes.is_empty(), "bytes after a refusal");
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
            ServerFrame::Close(code, reason) => {
                self.is_closed = true;
                let has_reason = !reason.is_empty();
                if code == Some(COME_BACK) {
                    check_hint(reason);
                }
                Seen::Close { code, has_reason }
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

/// The code of a close frame that asks a client to come back.
pub(crate) const COME_BACK: u16 = 1012;

/// It says when: not at once, and soon.
fn check_hint(reason: &str) {
    let hint: Value = serde_json::from_str(reason).expect("the reason is an object");
    let millis = hint["retry_ms"].as_u64().expect("a time");
    assert!((1_000..6_000).contains(&millis), "come back in {millis} ms");
}

/// A request for an upgrade to `room`, which may have a query, with further header fields.
pub(crate) fn upgrade_with(room: &str, fields: &str) -> Vec<u8> {
    upgrade_to(&format!("/ws/{room}"), fields)
}

/// A request for an upgrade at a path, which may have a query, with further header fields.
pub(crate) fn upgrade_to(path: &str, fields: &str) -> Vec<u8> {
    format!(
        "GET {path} HTTP/1.1\r\nHost: parlor.example\r\nUpgrade: websocket\r\n\
         Connection: keep-alive, Upgrade\r\nSec-WebSocket-Version: 13\r\n{fields}\
         Sec-WebSocket-Key: {KEY}\r\n\r\n"
    )
    .into_bytes()
}

/// A request for an upgrade to `room`.
pub(crate) fn upgrade(room: &str) -> Vec<u8> {
    upgrade_with(room, "")
}

/// A random request that must be refused.
pub(crate) fn misled(chance: &mut Chance) -> Vec<u8> {
    let good = String::from_utf8(upgrade("lobby")).expect("a request is text");
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

/// Whether a request may be a page's.
pub(crate) fn has_origin(request: &[u8]) -> bool {
    request.windows(8).any(|bytes| bytes == b"Origin: ")
}

/// A masked frame, as a client must send it.
pub(crate) fn frame(first: u8, payload: &[u8], chance: &mut Chance) -> Vec<u8> {
    let mask = chance.bytes(4).try_into().expect("four bytes");
    framing::encode(first, mask, payload)
}
