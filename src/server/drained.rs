//! What follows when all that waited for a connection is written, as `conn/state.rs` decides it.

use super::Server;
use crate::chat::Event;
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
        match connection.state.drained(&self.deadlines, now) {
            Drained::Nothing => {}
            Drained::Report { missed: messages } => {
                let event = Event::Missed { messages };
                let frame = self.encoder.frame(&event, connection.protocol);
                if let Some(frame) = frame {
                    connection.state.outbox.push_control(frame);
                }
                self.flush_one(id, now);
            }
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
