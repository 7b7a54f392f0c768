//! Sends what is queued: each connection once a turn, all its frames by one system call.
//! The only file that writes to a socket.

use super::Server;
use super::connection::Phase;
use crate::chat::Event;
use crate::id::{ConnId, Tick};
use crate::net::{Net, Write};
use std::io::IoSlice;

/// Frames written by one system call: as many as an outbox holds by default, since preparing them
/// costs whether they are used or not. A fuller outbox takes another call.
const SLICES_MAX: usize = 32;

impl<N: Net> Server<N> {
    /// Flushes every connection that has something and is not known to be blocked.
    pub(super) fn flush(&mut self, now: Tick) {
        while let Some(id) = self.connections.take_dirty() {
            self.flush_one(id, now);
        }
    }

    /// Writes until nothing is left or the socket takes no more.
    pub(super) fn flush_one(&mut self, id: ConnId, now: Tick) {
        let Some(connection) = self.connections.get_mut(id) else {
            return;
        };
        while !connection.blocked && !connection.outbox.is_empty() {
            let outcome = match connection.outbox.single() {
                Some(bytes) => self.net.write(&mut connection.stream, bytes),
                None => {
                    let mut slices = [IoSlice::new(&[]); SLICES_MAX];
                    let count = connection.outbox.slices(&mut slices);
                    self.net
                        .write_vectored(&mut connection.stream, &slices[..count])
                }
            };
            match outcome {
                Write::Bytes(count) => {
                    connection.outbox.advance(count);
                    if connection.stalled_since.is_some() && connection.outbox.missed() == 0 {
                        connection.stalled_since = Some(now);
                    }
                }
                Write::Blocked => connection.blocked = true,
                Write::Gone => {
                    self.log_connection(id, format_args!("is gone: writing failed"));
                    return self.connections.end(id);
                }
            }
        }
        if connection.blocked {
            self.stalls(id, now);
        } else {
            self.drained(id, now);
        }
    }

    /// All was taken. What waited for that can happen.
    fn drained(&mut self, id: ConnId, now: Tick) {
        let Some(connection) = self.connections.get_mut(id) else {
            return;
        };
        if connection.stalled_since.take().is_some() {
            self.trimming.was_freed(now);
        }
        match &mut connection.phase {
            Phase::Open { .. } if connection.outbox.missed() > 0 => {
                let event = Event::Missed {
                    messages: connection.outbox.take_missed(),
                };
                let frame = self.encoder.frame(&event, connection.protocol);
                connection.outbox.push_control(frame);
                self.flush_one(id, now);
            }
            // Reading stopped when the answer was queued; there may be more.
            Phase::Handshake { idle: true, .. } => self.connections.mark_readable(id),
            Phase::Draining { ended: true, .. } => self.connections.end(id),
            Phase::Draining { shut, .. } if !*shut => {
                *shut = true;
                self.net.shutdown_write(&mut connection.stream);
            }
            Phase::Open { .. }
            | Phase::Handshake { .. }
            | Phase::Closing { .. }
            | Phase::Draining { .. } => {}
        }
    }
}
