//! How a server ends: it stops listening, closes every connection with a reason, and sends what is
//! queued within the grace time. Before that it may drain (`drain.rs`).

use super::connection::Source;
use super::drain::Departures;
use super::{Server, Turn};
use crate::conn::state::Stop;
use crate::frame::Frame;
use crate::http::Refusal;
use crate::id::{ConnId, Tick};
use crate::net::Net;
use crate::wire::Protocol;
use crate::ws::CloseReason;
use log::info;
use std::mem;

/// When the first programs come back after a stop: a server that is started again listens by then.
const RETRY_MILLIS_MIN: u32 = 1_000;
/// The rest come up to five seconds later, in so many groups.
const RETRY_SPREAD: u32 = 500;
const RETRY_STEP_MILLIS: u32 = 10;

/// Whether the server serves or ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lifecycle {
    Serving,
    /// No client comes any more, and the members are sent away a few at a time.
    Draining {
        until: Tick,
    },
    /// `by_signal`: by a signal, and not by the end of a drain alone.
    Stopping {
        until: Tick,
        by_signal: bool,
    },
    Aborted,
}

impl<N: Net> Server<N> {
    /// The first signal begins the end, the second is the end.
    pub(super) fn stop_signal(&mut self, now: Tick) {
        match self.lifecycle {
            Lifecycle::Serving => self.stop_by(now + self.grace_ticks, true, now),
            Lifecycle::Draining { until } => {
                self.stop_by(until.min(now + self.grace_ticks), true, now);
            }
            Lifecycle::Stopping {
                until,
                by_signal: false,
            } => {
                self.lifecycle = Lifecycle::Stopping {
                    until,
                    by_signal: true,
                };
            }
            Lifecycle::Stopping { .. } | Lifecycle::Aborted => {
                self.lifecycle = Lifecycle::Aborted;
            }
        }
    }

    /// Closes every connection that is left with a reason.
    fn stop_by(&mut self, until: Tick, by_signal: bool, now: Tick) {
        info!(target: "parlor::stop", "stopping with {} connections", self.connections.len());
        self.net.stop_listening(&[]);
        self.listeners.stop(&[]);
        self.send_away(&self.connections.ids(), now);
        self.departures = Departures::default();
        self.lifecycle = Lifecycle::Stopping { until, by_signal };
    }

    /// Closes these connections with a reason, or refuses what they have begun to ask.
    pub(super) fn send_away(&mut self, ids: &[ConnId], now: Tick) {
        self.send_away_as(ids, goodbye, now);
    }

    /// The same with another reason.
    pub(super) fn send_away_as(
        &mut self,
        ids: &[ConnId],
        reason: fn(ConnId, Protocol) -> CloseReason,
        now: Tick,
    ) {
        // What was said in this turn comes before the close frames.
        self.settle(now);
        // Queue all close frames before the first member leaves, so that no member gets the leave
        // notices of the others.
        for id in ids {
            let Some(connection) = self.connections.get_mut(*id) else {
                continue;
            };
            if connection.state.is_open() && !connection.is_ending() {
                let reason = reason(*id, connection.protocol);
                let frame = Frame::close(reason.code(), &reason.text());
                self.connections.push_close(*id, frame);
            }
        }
        for id in ids.iter().copied() {
            let Some(connection) = self.connections.get_mut(id) else {
                continue;
            };
            if connection.is_ending() {
                // It has ended in this turn, and `reap` removes it.
                continue;
            }
            match connection.state.stop() {
                Stop::Close => {
                    let reason = reason(id, connection.protocol);
                    self.part(id, &reason, now);
                }
                // Nothing is answered to a connection before its header of the PROXY protocol.
                Stop::Refuse if matches!(connection.source, Source::Unnamed(_)) => {
                    self.drain(id, now);
                }
                // Nor before its handshake is over.
                Stop::Refuse if connection.is_shaking() => self.abandon_tls(id, now),
                Stop::Refuse => self.refuse(id, &Refusal::Stopping, now),
                Stop::Drain => self.drain(id, now),
                Stop::Nothing => {}
            }
        }
    }

    /// When [`Self::lifecycle_step`] has something to do; a moment past: at once.
    pub(super) fn lifecycle_due(&self) -> Option<Tick> {
        match self.lifecycle {
            Lifecycle::Serving => None,
            Lifecycle::Draining { .. } if self.is_drained() => Some(Tick(0)),
            Lifecycle::Draining { until } => Some(self.departures.next().unwrap_or(until)),
            Lifecycle::Stopping { .. } if self.connections.is_empty() => Some(Tick(0)),
            Lifecycle::Stopping { until, .. } => Some(until),
            Lifecycle::Aborted => Some(Tick(0)),
        }
    }

    pub(super) fn lifecycle_step(&mut self, now: Tick) -> Turn {
        match self.lifecycle {
            Lifecycle::Serving | Lifecycle::Draining { .. } | Lifecycle::Stopping { .. }
                if mem::take(&mut self.report_wanted) =>
            {
                Turn::Report
            }
            Lifecycle::Serving if self.unfit().is_some() => Turn::Unfit,
            Lifecycle::Serving => Turn::Again,
            Lifecycle::Draining { until } if self.is_drained() || now >= until => {
                // The time of the drain bounds this, too.
                self.stop_by(until.min(now + self.grace_ticks), false, now);
                Turn::Again
            }
            Lifecycle::Draining { .. } => Turn::Again,
            Lifecycle::Stopping { until, .. } if self.connections.is_empty() || now >= until => {
                for id in self.connections.ids() {
                    self.reset_unsent(id);
                }
                self.leave_engine(now);
                info!(target: "parlor::stop", "stopped; {}", self.summary());
                Turn::Stopped
            }
            Lifecycle::Stopping { .. } => Turn::Again,
            Lifecycle::Aborted => Turn::Aborted,
        }
    }
}

/// Programs are asked to come back at different times, so that not all do at once.
fn goodbye(id: ConnId, protocol: Protocol) -> CloseReason {
    match protocol {
        Protocol::Plain | Protocol::Echo => CloseReason::ServerStopping,
        Protocol::Json => come_back(id, protocol),
    }
}

/// The same, for all: the server goes on, and this connection cannot.
pub(super) const fn come_back(id: ConnId, _: Protocol) -> CloseReason {
    CloseReason::Restarting {
        retry_ms: RETRY_MILLIS_MIN + id.slot() % RETRY_SPREAD * RETRY_STEP_MILLIS,
    }
}
