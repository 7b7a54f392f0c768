//! Writes what is queued: each connection once a turn, all its frames by one system call.
//! The only file that writes to a socket. What follows when all is written is `drained.rs`'s.

use super::Server;
use super::connection::Connection;
use crate::conn::RETRY_TICKS;
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
        while !connection.state.is_blocked() && !connection.state.outbox.is_empty() {
            let outcome = if connection.transport.is_none() {
                write_frames(&mut self.net, connection, now)
            } else {
                match Self::write_record(&mut self.net, &mut self.records, connection, now) {
                    Some(outcome) => outcome,
                    None => break,
                }
            };
            match outcome {
                Write::Bytes(_) => {}
                Write::Blocked => connection.state.blocks(),
                Write::Retry => {
                    connection.state.must_write_again();
                    return self.connections.arm_by(id, now + RETRY_TICKS);
                }
                Write::Gone => {
                    self.log_connection(id, format_args!("is gone: writing failed"));
                    return self.connections.end(id);
                }
            }
        }
        if connection.state.is_blocked() {
            self.stalls(id, now);
        } else if connection.state.outbox.is_empty() {
            self.drained(id, now);
        }
    }
}

/// Writes what is queued by one system call.
#[inline]
fn write_frames<N: Net>(net: &mut N, connection: &mut Connection<N::Stream>, now: Tick) -> Write {
    let Connection { stream, state, .. } = connection;
    let outcome = match state.outbox.single() {
        Some(bytes) => net.write(stream, bytes),
        None => {
            let mut slices = [IoSlice::new(&[]); SLICES_MAX];
            let count = state.outbox.slices(&mut slices);
            net.write_vectored(stream, &slices[..count])
        }
    };
    if let Write::Bytes(count) = outcome {
        state.wrote(count, now);
    }
    outcome
}
