//! The receiving half of one connection: the answer to the request, then messages and control
//! frames, out of bytes that arrive in any pieces. Knows no socket and no other connection.

use super::inbound::{self, Front};
use super::request::{Answer, Request};
use std::borrow::Cow;
use std::mem;

/// What a server has sent.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Received<'b> {
    Upgraded,
    /// Another status than 101.
    Refused(u16),
    /// No answer to the request that was sent.
    NoHandshake,
    /// A whole message of text or of bytes.
    Message(Cow<'b, [u8]>),
    Ping(&'b [u8]),
    Pong,
    /// A close frame with its code.
    Close(Option<u16>),
    /// Bytes that no server may send; the connection is useless.
    Garbled,
}

pub(super) struct Reader {
    /// Waits for the answer to this request; `None`: frames follow.
    request: Option<Box<Request>>,
    /// The beginning of a head or of a frame whose end has not arrived.
    rest: Vec<u8>,
    /// The fragments of a message so far.
    message: Option<Vec<u8>>,
}

impl Reader {
    pub(super) fn new(request: Request) -> Self {
        Self {
            request: Some(Box::new(request)),
            rest: Vec::new(),
            message: None,
        }
    }

    /// What must stand before the next bytes from the socket.
    pub(super) fn rest(&self) -> &[u8] {
        &self.rest
    }

    /// Takes the first thing off `bytes`, which begin with [`Reader::rest`]. To be called until
    /// there is none; what is left is kept as the rest. Nothing follows what ends a connection.
    pub(super) fn next<'b>(&mut self, bytes: &mut &'b [u8]) -> Option<Received<'b>> {
        let received = if let Some(request) = &self.request {
            match request.answer(bytes) {
                Answer::Partial => None,
                Answer::Upgraded(len) => {
                    *bytes = &bytes[len..];
                    self.request = None;
                    Some(Received::Upgraded)
                }
                Answer::Refused(status) => Some(Received::Refused(status)),
                Answer::Bad => Some(Received::NoHandshake),
            }
        } else {
            self.next_in_frames(bytes)
        };
        match received {
            // Whatever follows means nothing.
            Some(Received::Refused(_) | Received::NoHandshake | Received::Garbled) => *bytes = &[],
            Some(_) => {}
            None => {
                self.rest.clear();
                self.rest.extend_from_slice(bytes);
            }
        }
        received
    }

    fn next_in_frames<'b>(&mut self, bytes: &mut &'b [u8]) -> Option<Received<'b>> {
        loop {
            let (opcode, is_final, payload) = match inbound::front(bytes) {
                Front::Frame {
                    opcode,
                    is_final,
                    payload,
                    len,
                } => {
                    *bytes = &bytes[len..];
                    (opcode, is_final, payload)
                }
                Front::Partial => return None,
                Front::Bad => return Some(Received::Garbled),
            };
            return Some(match opcode {
                inbound::TEXT | inbound::BINARY if is_final => {
                    Received::Message(Cow::Borrowed(payload))
                }
                inbound::TEXT | inbound::BINARY | inbound::CONTINUATION => {
                    match self.add_fragment(payload, is_final) {
                        Some(received) => received,
                        None => continue,
                    }
                }
                inbound::PING => Received::Ping(payload),
                inbound::PONG => Received::Pong,
                inbound::CLOSE => Received::Close(match payload {
                    [high, low, ..] => Some(u16::from_be_bytes([*high, *low])),
                    _ => None,
                }),
                _ => Received::Garbled,
            });
        }
    }

    #[cold]
    fn add_fragment<'b>(&mut self, payload: &[u8], is_final: bool) -> Option<Received<'b>> {
        let message = self.message.get_or_insert_default();
        message.extend_from_slice(payload);
        if message.len() > inbound::MESSAGE_BYTES_MAX {
            return Some(Received::Garbled);
        }
        is_final.then(|| {
            Received::Message(Cow::Owned(mem::take(&mut self.message).unwrap_or_default()))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::options::{Options, Scenario};
    use super::*;
    use crate::http::accept_key;

    /// What a reader makes of these bytes when they arrive in pieces of `step` bytes.
    fn received(mut reader: Reader, bytes: &[u8], step: usize) -> Vec<String> {
        let mut all = Vec::new();
        for piece in bytes.chunks(step) {
            let buffer = [reader.rest(), piece].concat();
            let mut rest = &buffer[..];
            while let Some(received) = reader.next(&mut rest) {
                all.push(format!("{received:?}"));
                assert!(all.len() <= bytes.len(), "{all:?}");
            }
        }
        all
    }

    fn open() -> Reader {
        Reader {
            request: None,
            rest: Vec::new(),
            message: None,
        }
    }

    fn message(payload: &[u8]) -> String {
        format!("{:?}", Received::Message(Cow::Borrowed(payload)))
    }

    #[test]
    fn frames_are_found_however_the_bytes_are_cut() {
        let bytes = b"\x81\x02hi\x89\x01p\x8a\x00\x82\x01\x00\x88\x02\x03\xe8";
        for step in 1..=bytes.len() {
            assert_eq!(
                received(open(), bytes, step),
                [
                    message(b"hi"),
                    format!("{:?}", Received::Ping(b"p")),
                    String::from("Pong"),
                    message(b"\0"),
                    String::from("Close(Some(1000))"),
                ],
                "{step}"
            );
        }
    }

    #[test]
    fn fragments_are_one_message_and_control_frames_come_between() {
        let bytes = b"\x01\x01a\x00\x01b\x89\x00\x80\x01c\x81\x01d";
        for step in 1..=bytes.len() {
            assert_eq!(
                received(open(), bytes, step),
                [
                    format!("{:?}", Received::Ping(b"")),
                    message(b"abc"),
                    message(b"d")
                ],
                "{step}"
            );
        }
    }

    #[test]
    fn frames_right_behind_the_answer_are_received() {
        let request = || Request::new(&Options::new(Scenario::Idle), 0, 0);
        let key_of = |request: &Request| {
            let text = String::from_utf8(request.bytes.clone()).unwrap();
            let (_, rest) = text.split_once("Sec-WebSocket-Key: ").unwrap();
            rest.lines().next().unwrap().to_owned()
        };
        let request = request();
        let accept = accept_key(key_of(&request).as_bytes());
        let mut bytes = format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Accept: {accept}\r\n\r\n"
        )
        .into_bytes();
        bytes.extend_from_slice(b"\x81\x02hi");
        let all = received(Reader::new(request), &bytes, 7);
        assert_eq!(all, [String::from("Upgraded"), message(b"hi")]);
    }

    #[test]
    fn close_frame_without_a_code_has_none() {
        assert_eq!(received(open(), b"\x88\x00", 2), ["Close(None)"]);
    }

    #[test]
    fn bytes_that_no_server_may_send_are_garbled() {
        for bytes in [&b"\x83\x00"[..], b"\xc1\x00", b"\x81\x80mask"] {
            let all = received(open(), bytes, bytes.len());
            assert_eq!(
                all.first().map(String::as_str),
                Some("Garbled"),
                "{bytes:?}"
            );
        }
    }

    #[test]
    fn message_in_fragments_is_bounded() {
        let fragment = [&b"\x00\x7f\0\0\0\0\0\x80\0\0"[..], &vec![0; 8 << 20]].concat();
        let mut reader = open();
        for expected in [None, None, Some(Received::Garbled)] {
            let mut rest = &fragment[..];
            assert_eq!(reader.next(&mut rest), expected);
        }
    }
}
