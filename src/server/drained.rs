//! What follows when all that waited for a connection is written, as `conn/state.rs` decides it.

use super::Server;
use crate::conn::Wait;
use crate::conn::state::Drained;
use crate::id::{ConnId, Tick};
use crate::net::Net;

impl<N: Net> Server<N> {
    /// The outbox of a connection is empty.
    pub(super) fn drained(&mut self, id: ConnId, now: Tick) {
        let Some(connection) = self.connections.get_mut(id) else {
            return;
        };
        if connection.state.recovers() {
            self.trimming.was_freed(now);
        }
        if connection.state.is_held_for(Wait::Outbox) {
            self.release(id, Wait::Outbox, now);
        }
        let Some(connection) = self.connections.get_mut(id) else {
            return;
        };
        if connection.state.shuts_next() && self.records.close(connection) {
            return self.flush_one(id, now);
        }
        match connection.state.drained(&self.deadlines, now) {
            Drained::Nothing => self.catch_up_again(id),
            Drained::Read => {
                self.connections.mark_readable(id);
                self.rearm(id);
            }
            Drained::Shut { peer_ended } => {
                if peer_ended && !self.net.has_unsent(&connection.stream) {
                    self.connections.end(id);
                } else {
                    self.net.shutdown_write(&mut connection.stream);
                }
            }
        }
    }
}
