//! The turn of the loop. Owns all state, calls everything below it and decides the order.
//! Parses no bytes and makes no system call of its own; one file per step.

mod accept;
mod addresses;
mod close;
mod connection;
mod deliver;
mod drained;
mod expire;
mod flood;
mod flush;
mod guesses;
mod message;
mod reap;
mod receive;
mod request;
mod rooms;
mod stop;
mod talk;
mod trim;

use crate::chat::Chat;
use crate::config::Config;
use crate::conn::Deadlines;
use crate::frame::HEADER_BYTES_MAX;
use crate::http::{self, DateCache};
use crate::id::{ConnId, Tick, ticks};
use crate::net::{Net, Ready, Signal};
use crate::rate::Rate;
use crate::stats::Stats;
use crate::wire::Protocol;
use crate::ws::Spare;
use accept::Listeners;
pub use accept::connections_within;
use addresses::Addresses;
use connection::{Connection, Connections};
use deliver::{Batch, Encoder};
use flood::Pauses;
use guesses::Guesses;
use log::debug;
use rooms::Rooms;
use std::{fmt, mem};
use stop::Lifecycle;
use talk::Talk;
use trim::Trimming;

/// What all reads share: the longest head by default, and more than most messages.
const READ_BUFFER_BYTES: usize = 16 * 1024;

/// A chat server over any [`Net`].
///
/// Everything happens in [`Server::turn`], which the owner calls until it says that it is over.
pub struct Server<N: Net> {
    net: N,
    http: http::Settings,
    /// The Date of responses.
    date: DateCache,
    /// Connections from one address; 0: no limit.
    per_address_max: u32,
    /// From the signal to the exit.
    grace_ticks: u32,
    /// What connections speak once they are upgraded.
    protocol: Protocol,
    /// The longest message a client may send.
    message_bytes_max: usize,
    connections: Connections<N::Stream>,
    addresses: Addresses,
    guesses: Guesses,
    pauses: Pauses,
    /// Frames that may still be handled of the connection that is being read.
    frames_left: usize,
    listeners: Listeners,
    deadlines: Deadlines,
    talk: Talk,
    rooms: Rooms,
    batch: Batch,
    encoder: Encoder,
    /// The one warm tungstenite context; connections own one only in the middle of a message.
    spare: Spare,
    buffer: Vec<u8>,
    ready: Vec<Ready>,
    fired: Vec<u32>,
    trimming: Trimming,
    lifecycle: Lifecycle,
    report_wanted: bool,
    stats: Stats,
}

/// Whether there is another turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Turn {
    Again,
    /// A signal asked for [`Server::summary`]; then again.
    Report,
    /// The server has stopped; every connection was closed with a reason, or its time was over.
    Stopped,
    /// A second signal came: the server stops at once, with its connections as they are.
    Aborted,
}

impl<N: Net> Server<N> {
    /// A server without connections. `max_connections` is what the configuration says or, if it
    /// says nothing, what the system allows. `seed` decides everything random: made-up nicks, hash
    /// keys.
    pub fn new(config: Config, net: N, max_connections: usize, seed: u64) -> Self {
        let Config {
            conn,
            http,
            ws,
            chat,
            max_connections_per_address,
            grace_timeout,
            echo,
            // What the owner has done already, or passes by itself.
            net: _,
            max_connections: _,
            log: _,
            log_filters: _,
            store: _,
            store_place: _,
            admin_socket: _,
        } = config;
        let messages = Rate::new(chat.message_rate, chat.message_burst);
        let lengths = Deadlines::new(&conn, messages);
        let (protocol, deadlines) = if echo {
            (Protocol::Echo, lengths.with_any_excess())
        } else {
            (Protocol::Plain, lengths)
        };
        Self {
            connections: Connections::new(conn.outbox, net.now()),
            addresses: Addresses::default(),
            guesses: Guesses::new(seed),
            pauses: Pauses::default(),
            frames_left: 0,
            listeners: Listeners::new(max_connections),
            deadlines,
            talk: Talk::new(Chat::new(&chat, seed)),
            rooms: Rooms::default(),
            batch: Batch::default(),
            encoder: Encoder::default(),
            spare: Spare::new(&ws),
            buffer: vec![0; READ_BUFFER_BYTES],
            ready: Vec::new(),
            fired: Vec::new(),
            trimming: Trimming::default(),
            report_wanted: false,
            lifecycle: Lifecycle::Serving,
            stats: Stats::default(),
            http,
            date: DateCache::new(net.wall()),
            per_address_max: max_connections_per_address,
            grace_ticks: ticks(grace_timeout),
            protocol,
            message_bytes_max: ws.max_message_bytes,
            net,
        }
    }

    /// One pass: wait, read, handle deadlines, remove, write, accept.
    ///
    /// No connection is removed before the reaping, so that no event of this turn can reach the
    /// next owner of a slot. Accepting comes last, so that new connections cannot delay the others.
    pub fn turn(&mut self) -> Turn {
        // A connection that ended in the last turn's flush or accept is not served in this one.
        if !self.connections.lists.ending.is_empty() {
            self.reap(self.net.now());
        }
        let mut ready = mem::take(&mut self.ready);
        self.net.poll(self.wake_at(), &mut ready);
        let now = self.net.now();
        for event in ready.drain(..) {
            self.take_note(event, now);
        }
        self.ready = ready;

        self.receive(now);
        self.expire(now);
        self.reap(now);
        self.settle(now);
        self.flush(now);
        self.accept(now);
        self.trim(now);
        self.lifecycle_step(now)
    }

    /// The latest moment at which the next turn must begin; a moment past: at once.
    fn wake_at(&self) -> Option<Tick> {
        let lists = &self.connections.lists;
        if !lists.readable.is_empty() || !lists.ending.is_empty() || !lists.dirty.is_empty() {
            return Some(Tick(0));
        }
        [
            self.connections.wheel.next_look(),
            self.talk.chat().next_tick(),
            self.listeners.next_try(),
            self.trimming.due(),
            self.lifecycle_due(),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// Puts an event on the list of the step that handles it.
    fn take_note(&mut self, event: Ready, now: Tick) {
        match event {
            Ready::Listener(listener) => self.listeners.has_waiting(listener),
            Ready::Connection {
                id,
                readable,
                writable,
                ended,
            } => {
                let Some(connection) = self.connections.get_mut(id) else {
                    debug!(target: "parlor::loop", "a stale event for {id:?}");
                    return;
                };
                connection.ended |= ended;
                if writable {
                    connection.state.unblocks();
                    if !connection.state.outbox.is_empty() {
                        self.connections.mark_dirty(id);
                    }
                }
                if readable || ended {
                    self.connections.mark_readable(id);
                }
            }
            Ready::Signal(Signal::Stop) => self.stop_signal(now),
            Ready::Signal(Signal::Report) => self.report_wanted = true,
            // What another thread has is asked for in every turn.
            Ready::Woken => {}
        }
    }

    /// The present counts and the counters so far, for operators and tests.
    pub fn summary(&self) -> String {
        format!(
            "connections={} members={} rooms={} deadlines={} addresses={} {}",
            self.connections.len(),
            self.talk.chat().user_count(),
            self.talk.chat().room_count(),
            self.connections.wheel.len(),
            self.addresses.total(),
            self.stats(),
        )
    }

    /// The counters so far.
    pub fn stats(&self) -> Stats {
        Stats {
            missed: self.connections.missed,
            ..self.stats
        }
    }

    pub fn net(&self) -> &N {
        &self.net
    }

    pub fn net_mut(&mut self) -> &mut N {
        &mut self.net
    }

    /// No connection is left, and no table holds anything of one.
    pub fn is_empty(&self) -> bool {
        self.connections.is_empty()
            && self.connections.wheel.is_empty()
            && self.talk.chat().user_count() == 0
            && self.talk.chat().room_count() == 0
            && self.rooms.len() == 0
            && self.addresses.total() == 0
            && self.pauses.len() == 0
    }

    /// Bytes that wait in outboxes and in half-received heads and messages.
    pub fn held_bytes(&self) -> usize {
        let held = |connection: &Connection<N::Stream>| connection.state.held_bytes();
        self.connections.iter().map(held).sum()
    }

    /// The most that outboxes may hold where no event is longer than `event_bytes_max`, but for the
    /// few frames that are bound by no limit: a response, a pong, a last line, a close frame.
    ///
    /// An outbox is filled up to its limit, or it was empty and took one frame or one run. A run
    /// ends when it has half of what an outbox takes, so it has at most that and one event more. In
    /// general no event is longer than [`crate::wire::event_bytes_max`].
    pub fn outbox_bytes_max(&self, event_bytes_max: usize) -> usize {
        let bytes_max = self.connections.limits().bytes_max;
        let frame_bytes_max = HEADER_BYTES_MAX + event_bytes_max;
        let each = bytes_max.max(bytes_max / 2 + frame_bytes_max);
        self.connections.len() * each
    }

    /// Bytes that wait in outboxes.
    pub fn outbox_bytes(&self) -> usize {
        let outboxes = self
            .connections
            .iter()
            .map(|connection| &connection.state.outbox);
        outboxes.map(|outbox| outbox.bytes()).sum()
    }

    /// Panics if the tables do not agree with each other. For tests, the simulator and fuzzing.
    pub fn check_invariants(&self) {
        self.connections.check_invariants(&self.deadlines);
        self.talk.chat().check_invariants();
        let open = self.connections.iter().filter(|c| c.state.is_open());
        let open = open.count();
        if self.protocol != Protocol::Echo {
            assert_eq!(
                open,
                self.talk.chat().user_count(),
                "open connections have users"
            );
        }
        let counted = self
            .connections
            .iter()
            .filter(|c| c.source.counted_for().is_some())
            .count();
        assert_eq!(
            counted,
            self.addresses.total(),
            "addresses count connections"
        );
        assert_eq!(
            self.rooms.len(),
            self.talk.chat().room_count(),
            "rooms have names while they have members"
        );
        assert!(self.talk.is_settled(), "effects are carried out at once");
        assert!(
            self.batch.is_empty(),
            "a room was sent something that its members do not get"
        );
    }

    /// One line per event of a connection. Never what a member wrote.
    fn log_connection(&self, id: ConnId, what: fmt::Arguments<'_>) {
        debug!(target: "parlor::connection", "{}.{} {what}", id.slot(), id.generation());
    }
}
