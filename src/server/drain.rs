//! Draining: clients are sent away a few at a time, so that they do not all come to another server, or
//! back to this one, at once; then the server stops. Knows when the turn of each
//! connection is; how one is closed, and with which code and words, is `stop.rs`'s.
//!
//! A stop by a signal is the same in one step: all are sent away at once, and only the times that
//! programs are asked to wait spread their return.

use super::Server;
use super::stop::Lifecycle;
use crate::conn::state::Stop;
use crate::id::{ConnId, Tick};
use crate::net::Net;
use log::info;

/// Connections that are closed in a tick at least: 250 a second. Fewer would make a small crowd wait
/// for nothing.
const EACH_TICK_MIN: usize = 25;

/// The connections that are to be closed, and how many in a tick.
#[derive(Debug, Default)]
pub(super) struct Departures {
    /// The last is the next.
    waiting: Vec<ConnId>,
    each_tick: usize,
    /// When the next are sent away.
    at: Tick,
}

impl Departures {
    /// All are sent away within so many ticks, from this moment on.
    fn within(waiting: Vec<ConnId>, ticks: u32, now: Tick) -> Self {
        let each = waiting.len().div_ceil(ticks.max(1) as usize);
        Self {
            each_tick: each.max(EACH_TICK_MIN),
            waiting,
            at: now,
        }
    }

    /// Those whose turn it is. A turn that comes late makes up for the ticks that it has missed.
    fn due(&mut self, now: Tick) -> Vec<ConnId> {
        if now < self.at {
            return Vec::new();
        }
        let ticks = now.since(self.at) as usize + 1;
        self.at = now + 1;
        let count = self.each_tick.saturating_mul(ticks).min(self.waiting.len());
        self.waiting.split_off(self.waiting.len() - count)
    }

    /// When the next are sent away; `None`: all were.
    pub(super) fn next(&self) -> Option<Tick> {
        (!self.waiting.is_empty()).then_some(self.at)
    }
}

/// What a request to drain has begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Drain {
    /// Members that are to be sent away.
    pub members: usize,
    /// From now to the exit at most.
    pub ticks: u32,
}

impl<N: Net> Server<N> {
    /// Accepts no client any more and sends the members away, a few at a time; then stops, at the
    /// latest after the time that the configuration says. Operators and monitors are served until
    /// then. `None`: the server is stopping already. Without effect if it is draining already.
    pub fn begin_drain(&mut self) -> Option<Drain> {
        let now = self.net.now();
        match self.lifecycle {
            Lifecycle::Serving => self.begin_to_drain(now),
            Lifecycle::Draining { .. } => {}
            Lifecycle::Stopping { .. } | Lifecycle::Aborted => return None,
        }
        let Lifecycle::Draining { until } = self.lifecycle else {
            return None;
        };
        Some(Drain {
            members: self.departures.waiting.len(),
            ticks: until.since(now),
        })
    }

    fn begin_to_drain(&mut self, now: Tick) {
        let kept = [self.admin.listener(), self.scrape.listener()];
        let kept: Vec<usize> = kept.into_iter().flatten().collect();
        self.net.stop_listening(&kept);
        self.listeners.stop(&kept);
        let mut members = Vec::new();
        let mut others = Vec::new();
        for (id, connection) in self.connections.iter_with_ids() {
            if connection.source.is_aside() {
                continue;
            }
            match connection.state.stop() {
                Stop::Close => members.push(id),
                Stop::Refuse | Stop::Drain | Stop::Nothing => others.push(id),
            }
        }
        info!(target: "parlor::stop", "draining with {} members", members.len());
        self.send_away(&others, now);
        // The last must have time to answer the close frame.
        let ticks = self
            .drain_ticks
            .saturating_sub(self.deadlines.close_ticks());
        self.departures = Departures::within(members, ticks, now);
        self.lifecycle = Lifecycle::Draining {
            until: now + self.drain_ticks,
        };
    }

    /// A step of the turn: closes the connections whose turn it is.
    pub(super) fn depart(&mut self, now: Tick) {
        if self.departures.next().is_some() {
            let due = self.departures.due(now);
            self.send_away(&due, now);
        }
    }

    /// No client is left, and all members were sent away.
    pub(super) fn is_drained(&self) -> bool {
        self.departures.next().is_none() && self.connections.len() == self.connections.aside()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn crowd(count: u32) -> Vec<ConnId> {
        (0..count).map(|slot| ConnId::new(slot, 0)).collect()
    }

    #[test]
    fn crowd_is_spread_over_the_time_and_each_is_sent_away_once() {
        let mut departures = Departures::within(crowd(15_000), 270, Tick(100));
        let mut gone = Vec::new();
        for now in 100..370 {
            let due = departures.due(Tick(now));
            assert!(due.len() <= 56, "{}", due.len());
            gone.extend(due);
        }
        assert_eq!(departures.next(), None);
        gone.sort_unstable();
        assert_eq!(gone, crowd(15_000));
    }

    #[test]
    fn small_crowd_does_not_wait_for_the_whole_time() {
        let mut departures = Departures::within(crowd(60), 270, Tick(0));
        let counts: Vec<usize> = (0..4).map(|now| departures.due(Tick(now)).len()).collect();
        assert_eq!(counts, [25, 25, 10, 0]);
    }

    #[test]
    fn late_turn_makes_up_for_what_it_has_missed() {
        let mut departures = Departures::within(crowd(1000), 20, Tick(0));
        assert_eq!(departures.due(Tick(0)).len(), 50);
        assert_eq!(departures.next(), Some(Tick(1)));
        assert_eq!(departures.due(Tick(0)).len(), 0);
        assert_eq!(departures.due(Tick(10)).len(), 500);
        assert_eq!(departures.due(Tick(500)).len(), 450);
    }
}
