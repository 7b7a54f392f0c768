//! Connections whose next request cannot be taken yet, and that they go on afterwards where they
//! stopped. What a connection does meanwhile is in `conn/state.rs`. Knows no request.

use super::Server;
use super::receive::FRAMES_PER_TURN;
use crate::conn::Wait;
use crate::id::{ConnId, Tick};
use crate::net::Net;
use std::mem;

impl<N: Net> Server<N> {
    /// No request of this connection is taken before `wait` is over: the rest of the input that is
    /// being handled is kept, and nothing more is read. Nothing if the connection is not open.
    pub(super) fn hold(&mut self, id: ConnId, wait: Wait, now: Tick) {
        let Some(connection) = self.connections.get_mut(id) else {
            return;
        };
        connection.state.hold(wait, &self.deadlines, now);
        self.advance(id);
    }

    /// A wait is over. After the last one the connection goes on in the next turn.
    pub(super) fn release(&mut self, id: ConnId, wait: Wait, now: Tick) {
        let Some(connection) = self.connections.get_mut(id) else {
            return;
        };
        if connection.state.release(wait, now) {
            self.connections.lists.released.push(id);
            // The heartbeat goes on, and may be due before what is armed.
            self.advance(id);
        }
    }

    /// Handles what was kept of the input of released connections, in the order in which they were
    /// released and before anything is read. Then they are read again.
    pub(super) fn go_on(&mut self, now: Tick) {
        for id in mem::take(&mut self.connections.lists.released) {
            let Some(connection) = self.connections.get_mut(id) else {
                continue;
            };
            let Some(input) = connection.state.take_kept() else {
                // It is held again, or has ended.
                continue;
            };
            self.trimming.was_freed(now);
            self.frames_left = FRAMES_PER_TURN;
            self.is_refusing = self.parked.is_refused(id);
            if let Some(text) = self.under_way.take_request(id) {
                self.take_text(id, &text, now);
            }
            self.take_frames(id, &input, now);
            if mem::take(&mut self.is_refusing) && self.has_kept(id) {
                // It is held again: what is left was held behind the refused message as well.
                self.parked.goes_on_refusing(id);
            }
            // Edge-triggered epoll does not report again what came meanwhile.
            self.connections.mark_readable(id);
        }
    }

    fn has_kept(&mut self, id: ConnId) -> bool {
        let connection = self.connections.get_mut(id);
        connection.is_some_and(|connection| connection.state.kept_bytes() > Some(0))
    }
}
