//! Carries out what deadlines mean, within a budget a turn. Which deadline a state has and what
//! follows from it is decided in `conn/state.rs`; the wheel knows when.

use super::Server;
use super::connection::Source;
use crate::conn::state::Expired;
use crate::frame::Frame;
use crate::http::Refusal;
use crate::id::{ConnId, Tick};
use crate::net::Net;
use crate::tls::Failure;
use crate::ws::CloseReason;
use std::mem;

/// Deadlines handled in one turn. The rest of a crowd that came together has the next turn.
const EXPIRED_PER_TURN: usize = 4096;

impl<N: Net> Server<N> {
    /// Handles every deadline that has come, up to the budget of the turn.
    pub(super) fn expire(&mut self, now: Tick) {
        let mut fired = mem::take(&mut self.fired);
        self.connections
            .wheel
            .expire(now, EXPIRED_PER_TURN, &mut fired);
        for slot in fired.drain(..) {
            if let Some(id) = self.connections.id_of(slot) {
                self.expired(id, now);
            }
        }
        self.fired = fired;
        self.expire_terms(now);
        if self.talk.chat().next_tick().is_some_and(|due| due <= now) {
            self.chat_step(now, |chat, effects| chat.tick(now, effects));
        }
        self.end_sanctions(now);
    }

    fn expired(&mut self, id: ConnId, now: Tick) {
        let Some(connection) = self.connections.get_mut(id) else {
            return;
        };
        if connection.state.take_retries().read {
            self.connections.mark_readable(id);
        }
        self.flush_one(id, now);
        let Some(connection) = self.connections.get_mut(id) else {
            return;
        };
        if connection.is_ending() {
            // The flush found that the connection is over; reap removes it.
            return;
        }
        match connection.state.expired(&self.deadlines, now) {
            Expired::Later => self.rearm(id),
            Expired::Ping => {
                self.connections.push_control(id, Frame::ping());
                self.rearm(id);
            }
            // It has had the time in which a refused connection must end.
            Expired::Refuse if matches!(connection.source, Source::Surplus(_)) => self.give_up(id),
            Expired::Refuse if matches!(connection.source, Source::Unnamed(_)) => {
                self.unproxied(id, "its PROXY header did not come in time");
            }
            Expired::Refuse if connection.is_shaking() => {
                self.tls_failed(id, Failure::TooSlow, now);
            }
            Expired::Refuse => self.refuse(id, &Refusal::HandshakeTimeout, now),
            Expired::Drain => self.drain(id, now),
            Expired::Resume => {
                self.rearm(id);
                // Edge-triggered epoll does not report again what came during the pause.
                self.connections.mark_readable(id);
            }
            Expired::HeldTooLong(waits) => self.held_too_long(id, waits, now),
            Expired::Stalled => {
                self.stats.stalled += 1;
                // Leaving flushes the room's batch into this outbox. The backlog is dropped
                // afterwards, so that only the close frame remains.
                self.leave(id, now);
                self.connections.drop_unsent(id);
                self.close(id, &CloseReason::Stalled, now);
            }
            Expired::MessageTooSlow => {
                self.stats.violations += 1;
                self.part(id, &CloseReason::MessageTooSlow, now);
            }
            Expired::Silent => {
                self.stats.silent += 1;
                self.log_connection(id, format_args!("is over: it was silent for too long"));
                self.give_up(id);
            }
            Expired::Over => {
                self.log_connection(id, format_args!("is over: it did not end in time"));
                self.give_up(id);
            }
        }
    }
}
