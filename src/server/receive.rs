//! Reads what the peers sent, within a budget each, and hands the bytes to the part that
//! understands them in the connection's state: the HTTP head (`request.rs`), the WebSocket decoder
//! (`message.rs`), or none. Knows what must happen next, not what the bytes mean.

use super::Server;
use super::records::Came;
use crate::conn::RETRY_TICKS;
use crate::conn::state::{Input, Phase, Resume};
use crate::id::{ConnId, Tick};
use crate::net::{Net, Read};
use std::mem;

/// Bytes read from one connection in one turn. One that sent more waits until the others had their
/// turn.
const READ_BYTES_PER_TURN: usize = 32 * 1024;

/// Frames of one connection after which nothing more is read from it in the same turn.
pub(super) const FRAMES_PER_TURN: usize = 64;

/// Bytes of frames read at once, which bounds how many frames a turn handles beyond
/// [`FRAMES_PER_TURN`]. The payload of a long frame is read whole.
const FRAMES_WINDOW: usize = 4096;

/// What to do after some bytes were handled.
#[derive(PartialEq)]
pub(super) enum Flow {
    /// Read on.
    More,
    /// Do not read: the connection waits for its own response to be accepted, is held, or is over.
    Enough,
}

impl<N: Net> Server<N> {
    /// Reads from every connection that may have something, each up to its budget.
    pub(super) fn receive(&mut self, now: Tick) {
        if self.connections.lists.readable.is_empty() {
            return;
        }
        self.records.renew();
        let mut buffer = mem::take(&mut self.buffer);
        for id in self.connections.take_readable() {
            self.receive_from(id, &mut buffer, now);
            self.was_read(id, now);
        }
        self.buffer = buffer;
    }

    fn receive_from(&mut self, id: ConnId, buffer: &mut [u8], now: Tick) {
        let Some(connection) = self.connections.get_mut(id) else {
            return;
        };
        // Frames that were kept behind a request count as well.
        self.frames_left = FRAMES_PER_TURN;
        match connection.state.resume(&self.deadlines, now) {
            Resume::Read => {}
            Resume::Wait => return,
            Resume::Head(bytes) => {
                if self.take_head(id, &bytes, 0, now) == Flow::Enough {
                    return;
                }
            }
        }
        let mut budget = READ_BYTES_PER_TURN;
        while budget > 0 && self.frames_left > 0 {
            let Some(connection) = self.connections.get_mut(id) else {
                return;
            };
            if !connection.state.may_read(&self.deadlines, now) {
                return;
            }
            let window = match connection.state.phase() {
                // What is read here may have to be kept: with the part of a head that is kept
                // already, it is never more than the longest head.
                Phase::Head { received, .. } => {
                    let free = self.http.max_head_bytes.saturating_sub(received.len());
                    free.clamp(1, buffer.len())
                }
                Phase::Answering { .. } | Phase::Idle { .. } => {
                    self.http.max_head_bytes.min(buffer.len())
                }
                Phase::Open { .. } => {
                    let to_come = connection.state.payload_to_come();
                    usize::try_from(to_come)
                        .unwrap_or(usize::MAX)
                        .clamp(FRAMES_WINDOW, buffer.len())
                }
                Phase::Closing { .. } | Phase::Draining { .. } => FRAMES_WINDOW,
            };
            match self.read(id, &mut buffer[..window], now) {
                Came::Data { count, is_all } => {
                    budget = budget.saturating_sub(count);
                    if self.take_bytes(id, &buffer[..count], now) == Flow::Enough || is_all {
                        return;
                    }
                }
                Came::Later => break,
                Came::Over => return,
                Came::Socket(read) => return self.has_nothing(id, read, now),
            }
        }
        self.connections.mark_readable(id);
    }

    /// A read brought no data.
    fn has_nothing(&mut self, id: ConnId, read: Read, now: Tick) {
        let Some(connection) = self.connections.get_mut(id) else {
            return;
        };
        match read {
            Read::Bytes(_) | Read::Blocked => {}
            Read::Retry => {
                connection.state.must_read_again();
                self.connections.arm_by(id, now + RETRY_TICKS);
            }
            Read::End => self.peer_ended(id, now),
            Read::Gone => {
                self.log_connection(id, format_args!("is over: reading failed"));
                self.connections.end(id);
            }
        }
    }

    fn take_bytes(&mut self, id: ConnId, bytes: &[u8], now: Tick) -> Flow {
        let Some(connection) = self.connections.get_mut(id) else {
            return Flow::Enough;
        };
        let must_advance = connection.state.heard(now);
        let flow = match connection.state.input(&self.deadlines, now) {
            Input::Head(received) if received.is_empty() => self.take_head(id, bytes, 0, now),
            Input::Head(received) => {
                self.trimming.was_freed(now);
                let searched = received.len();
                let mut head = mem::take(received);
                head.extend_from_slice(bytes);
                self.take_head(id, &head, searched, now)
            }
            Input::Frames => self.take_frames(id, bytes, now),
            Input::Scan => self.take_rest(id, bytes, now),
            Input::Discard => Flow::More,
        };
        if must_advance {
            self.advance(id);
        }
        flow
    }
}
