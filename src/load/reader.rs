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
mod tests;
