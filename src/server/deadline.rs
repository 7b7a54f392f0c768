//! What a deadline that has come means: it follows from the connection's phase.
//! Knows how long everything may take, in ticks; the wheel knows when.

use super::Server;
use super::connection::Phase;
use crate::chat::rate::Rate;
use crate::conn;
use crate::frame::Frame;
use crate::http::Refusal;
use crate::id::{ConnId, Tick, ticks};
use crate::net::Net;
use crate::ws::CloseReason;

/// Deadlines handled in one turn. The rest of a crowd that came together has the next turn.
const EXPIRED_PER_TURN: usize = 4096;

/// Pings a connection may send, a second and at once, before it is taken for a flood.
const PINGS_PER_SECOND: u32 = 10;
const PING_BURST: u32 = 100;

/// Neighbours in the table of connections that are pinged together. Their sockets are neighbours in
/// the kernel's memory too, and touching them one after the other costs far less than at random.
const PINGED_TOGETHER: u32 = 64;

/// Lengths in ticks.
pub(super) struct Deadlines {
    pub(super) handshake: u32,
    pub(super) close: u32,
    pub(super) stall: u32,
    pub(super) message: u32,
    pub(super) pings: Rate,
    ping_after: u32,
    silent: u32,
}

impl Deadlines {
    pub(super) fn new(settings: &conn::Settings) -> Self {
        Self {
            handshake: ticks(settings.handshake_timeout),
            close: ticks(settings.close_timeout),
            stall: ticks(settings.stall_timeout),
            message: ticks(settings.message_timeout),
            pings: Rate::new(PINGS_PER_SECOND, PING_BURST),
            ping_after: ticks(settings.ping_after),
            silent: ticks(settings.silent_timeout),
        }
    }

    /// When the connection of a slot that was heard at `seen` is pinged if it stays silent. Spread
    /// over a quarter more, or a crowd that came back together would be pinged together for ever.
    pub(super) fn next_ping(&self, slot: u32, seen: Tick) -> Tick {
        let spread = (self.ping_after / 4).min(self.silent.saturating_sub(self.ping_after + 1));
        seen + self.ping_after + slot / PINGED_TOGETHER % (spread + 1)
    }
}

impl<N: Net> Server<N> {
    /// Handles every deadline that has come, up to the budget of the turn.
    pub(super) fn expire(&mut self, now: Tick) {
        let mut fired = std::mem::take(&mut self.fired);
        self.connections
            .wheel
            .expire(now, EXPIRED_PER_TURN, &mut fired);
        for slot in fired.drain(..) {
            if let Some(id) = self.connections.id_of(slot) {
                self.expired(id, now);
            }
        }
        self.fired = fired;
        if self.chat.next_tick().is_some_and(|due| due <= now) {
            self.chat.tick(now, &mut self.effects);
            self.apply(now);
        }
    }

    fn expired(&mut self, id: ConnId, now: Tick) {
        let Some(connection) = self.connections.get_mut(id) else {
            return;
        };
        match &connection.phase {
            Phase::Handshake { idle: true, head } if head.is_empty() => self.drain(id, now),
            Phase::Handshake { .. } => self.refuse(id, &Refusal::HandshakeTimeout, now),
            Phase::Open { message_since, .. } => {
                let message_since = *message_since;
                self.expired_open(id, message_since, now);
            }
            Phase::Closing { .. } | Phase::Draining { .. } => {
                self.log_connection(id, format_args!("did not finish closing in time"));
                self.connections.end(id);
            }
        }
    }

    /// Finds which of an open connection's deadlines has come, or sets the next.
    fn expired_open(&mut self, id: ConnId, message_since: Option<Tick>, now: Tick) {
        // Who takes something again, which this very turn may have told, is not stalled.
        self.flush_one(id, now);
        let Some(connection) = self.connections.get_mut(id) else {
            return;
        };
        if connection.outbox.is_closed() {
            // That has shown that it is over.
            return;
        }
        let lengths = &self.deadlines;
        if !connection.awaiting_pong && connection.seen + lengths.silent <= now {
            // The ping was due long ago, so it was we who stood still: the machine was suspended.
            // They are asked now, and have as long for the answer as always.
            connection.seen = Tick(now.0.saturating_sub(lengths.ping_after));
        }
        let stall_due = connection.stalled_since.map(|since| since + lengths.stall);
        let message_due = message_since.map(|since| since + lengths.message);
        let silent_due = connection.seen + lengths.silent;
        let ping_due = connection.seen + lengths.ping_after;

        if silent_due <= now {
            self.stats.silent += 1;
            self.log_connection(id, format_args!("is gone: it was silent for too long"));
            return self.connections.end(id);
        }
        if stall_due.is_some_and(|due| due <= now) {
            self.stats.stalled += 1;
            // Who leaves is given what was said so far, so only then it is dropped: to make room for
            // the close frame, for the rest would not be taken in time either.
            self.leave(id, now);
            if let Some(connection) = self.connections.get_mut(id) {
                connection.outbox.drop_unsent();
            }
            return self.close(id, &CloseReason::Stalled, now);
        }
        if message_due.is_some_and(|due| due <= now) {
            self.stats.violations += 1;
            return self.part(id, &CloseReason::MessageTooSlow, now);
        }
        let mut due = if connection.awaiting_pong {
            silent_due
        } else if ping_due <= now {
            connection.awaiting_pong = true;
            self.connections.push_control(id, Frame::ping());
            silent_due
        } else {
            let seen = connection.seen;
            self.deadlines.next_ping(id.slot(), seen)
        };
        for other in [stall_due, message_due].into_iter().flatten() {
            due = due.min(other);
        }
        self.connections.arm(id, due);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pings_are_spread_over_a_quarter_more() {
        let deadlines = Deadlines::new(&conn::Settings::default());
        let mut pinged = vec![0; 63];
        for slot in 0..63 * 2 * PINGED_TOGETHER {
            let due = deadlines.next_ping(slot, Tick(100));
            pinged[due.0 as usize - 350] += 1;
        }
        assert_eq!(pinged, [2 * PINGED_TOGETHER; 63]);
    }

    #[test]
    fn neighbours_are_pinged_together() {
        let deadlines = Deadlines::new(&conn::Settings::default());
        let due = |slot| deadlines.next_ping(slot, Tick(100));
        assert_eq!(due(128), due(191));
        assert_ne!(due(128), due(127));
    }

    #[test]
    fn a_ping_always_leaves_time_for_the_answer() {
        let settings = conn::Settings {
            ping_after: std::time::Duration::from_millis(400),
            silent_timeout: std::time::Duration::from_millis(500),
            ..conn::Settings::default()
        };
        let deadlines = Deadlines::new(&settings);
        for slot in 0..1000 {
            assert_eq!(deadlines.next_ping(slot, Tick(0)), Tick(4));
        }
    }
}
