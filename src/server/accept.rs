//! New connections: which are accepted, which are turned away, and when accepting pauses.
//! The last step of a turn, with a budget. Knows no bytes but those of a refusal.

use super::Server;
use super::connection::{Source, Surplus};
use crate::carry::{Carrier, Damaged};
use crate::conn::State;
use crate::http::{self, Refusal};
use crate::id::{ConnId, Peer, Tick};
use crate::net::{Accept, Net, TurnAway};
use crate::tls::TURNED_AWAY;
use log::warn;
use std::mem;
use std::net::IpAddr;

/// Connections accepted in one turn, over all listeners: at 10 µs each, some 3 ms.
const ACCEPTS_PER_TURN: usize = 256;

/// Connections above the limit that get a complete refusal: they hold a slot until their last byte
/// is accepted. Further ones are turned away with one write.
const SURPLUS_MAX: usize = 16;

/// Descriptors that are not connections: standard streams, poll, listeners, signals, reserve.
pub(super) const OTHER_DESCRIPTORS: usize = 32;

/// Ticks until accepting is tried again after not even a descriptor for turning away was left.
const PAUSE_TICKS: u32 = 5;

/// How many connections fit into `descriptors` open files.
pub fn connections_within(descriptors: usize) -> usize {
    descriptors
        .saturating_sub(OTHER_DESCRIPTORS + SURPLUS_MAX)
        .max(1)
}

/// The listeners at which connections may be waiting.
pub(super) struct Listeners {
    waiting: Vec<usize>,
    max_connections: usize,
    /// Accepting pauses until this moment, because the system has nothing left.
    paused_until: Option<Tick>,
    /// Accepting failed for want of descriptors or memory, and has not succeeded since.
    is_exhausted: bool,
}

impl Listeners {
    pub(super) const fn new(max_connections: usize) -> Self {
        Self {
            waiting: Vec::new(),
            max_connections,
            paused_until: None,
            is_exhausted: false,
        }
    }

    /// Whether accepting fails: what waits is reported again.
    pub(super) fn carry(&mut self, carrier: &mut Carrier<'_>) -> Result<(), Damaged> {
        carrier.field(&mut self.is_exhausted)
    }

    pub(super) const fn max_connections(&self) -> usize {
        self.max_connections
    }

    /// Connections above it stay, and newcomers are refused.
    pub(super) const fn set_max_connections(&mut self, count: usize) {
        self.max_connections = count;
    }

    pub(super) fn has_waiting(&mut self, listener: usize) {
        if !self.waiting.contains(&listener) {
            self.waiting.push(listener);
        }
    }

    /// When the next connection can be accepted, if one may be waiting at a listener that is not held
    /// back.
    pub(super) fn next_try(&self, is_held_back: impl Fn(usize) -> bool) -> Option<Tick> {
        let is_any = self.waiting.iter().any(|listener| !is_held_back(*listener));
        is_any.then(|| self.paused_until.unwrap_or_default())
    }

    /// Nothing waits any more but at these listeners.
    pub(super) fn stop(&mut self, kept: &[usize]) {
        self.waiting.retain(|listener| kept.contains(listener));
    }
}

/// Whether to go on at a listener.
enum Next {
    Another,
    /// No connection waits there any more.
    Empty,
    /// No connection can be accepted for a while.
    Pause,
}

impl<N: Net> Server<N> {
    /// Accepts connections until none waits or the budget of the turn is spent.
    pub(super) fn accept(&mut self, now: Tick) {
        if self.listeners.paused_until.is_some_and(|until| now < until) {
            return;
        }
        self.listeners.paused_until = None;
        for _ in 0..ACCEPTS_PER_TURN {
            let mut waiting = self.listeners.waiting.iter();
            let Some(first) = waiting.position(|listener| !self.is_held_back(*listener)) else {
                return;
            };
            let listener = self.listeners.waiting[first];
            match self.accept_one(listener, now) {
                // In turns, so that one busy listener does not starve the others.
                Next::Another => self.listeners.waiting[first..].rotate_left(1),
                Next::Empty => {
                    self.listeners.waiting.remove(first);
                }
                Next::Pause => {
                    self.listeners.paused_until = Some(now + PAUSE_TICKS);
                    return;
                }
            }
        }
    }

    fn accept_one(&mut self, listener: usize, now: Tick) -> Next {
        if self.connections.len() >= self.listeners.max_connections + SURPLUS_MAX {
            return self.turn_away(listener);
        }
        match self.net.accept(listener) {
            Accept::Connection(stream, peer) => {
                self.listeners.is_exhausted = false;
                self.welcome(stream, peer, listener, now);
                Next::Another
            }
            Accept::Empty => Next::Empty,
            Accept::Again => Next::Another,
            Accept::Exhausted => {
                if !mem::replace(&mut self.listeners.is_exhausted, true) {
                    self.stats.exhausted += 1;
                    warn!(target: "parlor::accept",
                        "out of descriptors or memory with {} connections; turning newcomers away",
                        self.connections.len());
                }
                self.turn_away(listener)
            }
        }
    }

    /// Sends a refusal and closes, with the descriptor that is held back for this.
    fn turn_away(&mut self, listener: usize) -> Next {
        let date = self.date.at(self.net.wall());
        let response = Refusal::TooManyConnections.response(date);
        let words: &[u8] = if self.records.is_at(listener) {
            &TURNED_AWAY
        } else {
            &response
        };
        match self.net.turn_away(listener, words) {
            TurnAway::Done => {
                self.count_refusal(&Refusal::TooManyConnections);
                Next::Another
            }
            TurnAway::Empty => Next::Empty,
            TurnAway::Failed => Next::Pause,
        }
    }

    fn welcome(&mut self, stream: N::Stream, peer: Peer, listener: usize, now: Tick) {
        self.stats.accepted += 1;
        let from_proxy = http::is_trusted(peer, &self.http.trusted_proxies);
        let is_admin = self.admin.is_at(listener);
        let is_monitor = self.scrape.is_at(listener);
        let source = if is_admin {
            Source::Admin
        } else if is_monitor {
            Source::Monitor
        } else if self.http.proxy_protocol {
            Source::Unnamed(peer)
        } else if from_proxy {
            Source::Proxy(peer)
        } else {
            Source::Uncounted
        };
        let state = State::new(&self.deadlines, now);
        let id = self.connections.insert(stream, source, state);
        let transport = self.records.transport(listener);
        if let Some(connection) = self.connections.get_mut(id) {
            connection.transport = transport;
        }
        self.rearm(id);
        self.log_connection(id, format_args!("came from {peer}"));
        let Some(connection) = self.connections.get_mut(id) else {
            return;
        };
        if !self.net.register(&mut connection.stream, id) {
            self.log_connection(id, format_args!("cannot be watched: the system refuses"));
            self.connections.end(id);
            return;
        }
        if matches!(source, Source::Unnamed(_)) && !from_proxy {
            return self.unproxied(id, "it comes from no trusted proxy");
        }
        // An operator can look at a full server, and a monitor.
        if is_admin || is_monitor {
            return;
        }
        if self.connections.len() > self.listeners.max_connections {
            self.is_surplus(id, Surplus::Connections, now);
        } else if let Peer::Ip(address) = peer
            && !from_proxy
            && !self.count_for(id, address)
        {
            self.is_surplus(id, Surplus::OfAddress, now);
        }
    }

    /// The connection is above a limit: its request decides how it is refused.
    pub(super) fn is_surplus(&mut self, id: ConnId, surplus: Surplus, now: Tick) {
        self.count_refusal(&surplus.refusal());
        if let Some(connection) = self.connections.get_mut(id) {
            connection.source = Source::Surplus(surplus);
            connection.state.ends_without_head(&self.deadlines, now);
            self.rearm(id);
        }
    }

    /// Counts the connection for an address. False: the address has too many.
    #[must_use]
    pub(super) fn count_for(&mut self, id: ConnId, address: IpAddr) -> bool {
        let Some(connection) = self.connections.get_mut(id) else {
            return true;
        };
        if connection.source.counted_for().is_some() {
            return true;
        }
        if let Some(counted_for) = self.addresses.enter(address, self.per_address_max) {
            connection.source = Source::Counted(counted_for);
            return true;
        }
        warn!(target: "parlor::accept",
            "{address} has {} connections, the limit of one address \
             (--max-connections-per-address); if it is a reverse proxy, name it with \
             --trusted-proxy and let it send X-Forwarded-For with its client's address",
            self.per_address_max);
        false
    }
}
