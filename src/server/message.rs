//! What comes over an open connection: text goes on to `ask.rs`, control frames are answered.
//! Knows what the decoder understood, not how frames look.

use super::Server;
use super::receive::{FRAMES_PER_TURN, Flow};
use crate::conn::state::{Decoded, Work};
use crate::frame::Frame;
use crate::id::{ConnId, Tick};
use crate::net::Net;
use crate::wire::Protocol;
use crate::ws::{CloseReason, Received, client_code, reply_to};

/// Of the first frames that are handled of a connection in one turn, so many pings are answered by
/// a pong each.
const PONGS_PER_TURN: usize = 16;

impl<N: Net> Server<N> {
    pub(super) fn take_frames(&mut self, id: ConnId, mut input: &[u8], now: Tick) -> Flow {
        loop {
            // Looked up again after each message, which may have ended the state.
            let Some(connection) = self.connections.get_mut(id) else {
                return Flow::Enough;
            };
            match connection.state.decode(&mut self.spare, &mut input, now) {
                Decoded::Message {
                    received,
                    was_parked,
                } => {
                    if was_parked {
                        self.trimming.was_freed(now);
                    }
                    self.frames_left = self.frames_left.saturating_sub(1);
                    self.take_received(id, received, now);
                }
                Decoded::UsedUp { begins } => {
                    if begins {
                        self.advance(id);
                    }
                    return Flow::More;
                }
                Decoded::Broken(why) => {
                    self.stats.violations += 1;
                    self.part(id, &why, now);
                    // The stream cannot be understood any more, so no answer is waited for.
                    self.drain(id, now);
                    return Flow::More;
                }
                Decoded::Held => return Flow::Enough,
                Decoded::NotOpen => return self.take_rest(id, input, now),
            }
        }
    }

    /// Bytes after our close frame: only the peer's own close frame matters.
    pub(super) fn take_rest(&mut self, id: ConnId, input: &[u8], now: Tick) -> Flow {
        let Some(connection) = self.connections.get_mut(id) else {
            return Flow::Enough;
        };
        if connection.state.scan(input) {
            self.log_connection(id, format_args!("answered our close"));
            self.drain(id, now);
        }
        Flow::More
    }

    fn take_received(&mut self, id: ConnId, received: Received, now: Tick) {
        match received {
            Received::Text(text) => self.take_text(id, &text, now),
            Received::Binary(bytes) => self.take_binary(id, &bytes, now),
            Received::Ping(payload) => self.pinged(id, &payload, now),
            Received::Pong => self.charge(id, Work::Control, now),
            Received::Fragment => self.charge(id, Work::Fragment, now),
            Received::Close(code) => {
                self.tallies.closed_by_client.count(client_code(code));
                self.log_connection(id, format_args!("closes with {}", code.unwrap_or(1005)));
                self.leave(id, now);
                self.connections.push_close(id, reply_to(code));
                self.drain(id, now);
            }
        }
    }

    fn take_binary(&mut self, id: ConnId, bytes: &[u8], now: Tick) {
        let protocol = self.connections.get_mut(id).map(|c| c.protocol);
        if protocol == Some(Protocol::Echo) {
            return self.connections.push_control(id, Frame::binary(bytes));
        }
        self.stats.violations += 1;
        self.part(id, &CloseReason::Binary, now);
    }

    /// Answers a ping. Of many that come together only the first are answered one by one: each pong
    /// costs a system call, and only the latest ping need be answered (RFC 6455 §5.5.3).
    fn pinged(&mut self, id: ConnId, payload: &[u8], now: Tick) {
        self.charge(id, Work::Control, now);
        let Some(connection) = self.connections.get_mut(id) else {
            return;
        };
        let is_among_first = self.frames_left + PONGS_PER_TURN >= FRAMES_PER_TURN;
        if is_among_first && connection.state.outbox.has_pong() {
            self.flush_one(id, now);
        }
        self.connections.push_pong(id, Frame::pong(payload));
    }
}
