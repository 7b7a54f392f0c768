//! A simulated network under the real server: listeners, sockets, a clock and their faults.
//! Everything that is left to chance comes from one seed. Knows bytes, not what they mean.
//!
//! It keeps the contract of edge-triggered readiness and not more: an edge is told once, late, in
//! any order; reads and writes are cut anywhere; either may be blocked without reason as long as
//! an edge follows.

use super::chance::Chance;
use parlor::config::Peer;
use parlor::id::{ConnId, Tick};
use parlor::net::{Accept, Net, Read, Ready, Signal, TurnAway, Write};
use std::cell::Cell;
use std::collections::VecDeque;
use std::io::IoSlice;
use std::net::{IpAddr, Ipv4Addr};
use std::rc::Rc;

/// What the network may do to those who use it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Faults {
    /// Of 100 reads and writes, how many are blocked for no reason.
    pub(crate) blocked: u32,
    /// Of 100 writes, how many take only a part.
    pub(crate) cut_writes: u32,
    /// Of 100 deliveries to the server, how many are cut.
    pub(crate) cut_arrivals: u32,
    /// Of 100 accepts, how many fail with an error of the connection.
    pub(crate) aborted: u32,
    /// Of 1000 accepts, how many begin a time without descriptors.
    pub(crate) exhausted: u32,
    /// Of 1000 newcomers, how many cannot be watched.
    pub(crate) unwatched: u32,
    /// Of 100 turns in which nothing happens, how many find that the clock has run ahead.
    pub(crate) late: u32,
    /// Bytes the network holds on the way to a client.
    pub(crate) window: usize,
}

impl Faults {
    pub(crate) const NONE: Self = Self {
        blocked: 0,
        cut_writes: 0,
        cut_arrivals: 0,
        aborted: 0,
        exhausted: 0,
        unwatched: 0,
        late: 0,
        window: 1 << 20,
    };
}

/// One accepted connection as the server holds it. Counts how often it is closed.
pub(crate) struct SimStream {
    socket: usize,
    closed: Rc<Cell<u32>>,
}

impl Drop for SimStream {
    fn drop(&mut self) {
        self.closed.set(self.closed.get() + 1);
    }
}

/// Both directions between one client and the server.
#[derive(Default)]
pub(crate) struct Socket {
    /// Sent by the client, not yet at the server.
    in_flight: VecDeque<u8>,
    /// At the server, not yet read.
    arrived: VecDeque<u8>,
    /// The client will send nothing more.
    client_shut: bool,
    /// The client's end has arrived.
    end_arrived: bool,
    /// The connection was reset by the client.
    reset: bool,
    /// Written by the server, not yet read by the client.
    outgoing: VecDeque<u8>,
    /// The server will send nothing more.
    server_shut: bool,
    /// How often the server's stream was dropped.
    pub(crate) closed: Rc<Cell<u32>>,
    pub(crate) accepted: bool,
    /// The server turned it away without accepting it.
    turned_away: bool,
    watched: Option<ConnId>,
    edge: Edge,
    /// The server was told that a write is blocked.
    wants_room: bool,
}

#[derive(Clone, Copy, Default)]
struct Edge {
    readable: bool,
    writable: bool,
}

/// The network, its clock and all that was ever connected.
pub(crate) struct SimNet {
    now: Tick,
    chance: Chance,
    faults: Faults,
    sockets: Vec<Socket>,
    /// Not yet accepted.
    backlog: VecDeque<usize>,
    listener_edge: bool,
    listening: bool,
    /// Accepting fails until this moment.
    exhausted_until: Tick,
    signals: VecDeque<Signal>,
    /// The latest moment to which the clock may run ahead when nothing happens.
    pub(crate) horizon: Tick,
}

impl SimNet {
    pub(crate) fn new(seed: u64, faults: Faults) -> Self {
        Self {
            now: Tick(0),
            chance: Chance::new(seed),
            faults,
            sockets: Vec::new(),
            backlog: VecDeque::new(),
            listener_edge: false,
            listening: true,
            exhausted_until: Tick(0),
            signals: VecDeque::new(),
            horizon: Tick(0),
        }
    }

    /// Somebody connects. `None`: nobody listens any more.
    pub(crate) fn connect(&mut self) -> Option<usize> {
        if !self.listening {
            return None;
        }
        self.sockets.push(Socket::default());
        let socket = self.sockets.len() - 1;
        self.backlog.push_back(socket);
        self.listener_edge = true;
        Some(socket)
    }

    pub(crate) fn send(&mut self, socket: usize, bytes: &[u8]) {
        let socket = &mut self.sockets[socket];
        if !socket.client_shut && !socket.reset {
            socket.in_flight.extend(bytes);
        }
    }

    /// The client sends nothing more.
    pub(crate) fn shut(&mut self, socket: usize) {
        self.sockets[socket].client_shut = true;
    }

    /// The client vanishes with a reset.
    pub(crate) fn reset(&mut self, socket: usize) {
        let socket = &mut self.sockets[socket];
        socket.reset = true;
        socket.in_flight.clear();
        socket.arrived.clear();
        socket.edge = Edge {
            readable: true,
            writable: true,
        };
    }

    /// What the client reads, at most `limit` bytes.
    pub(crate) fn read_as_client(&mut self, socket: usize, limit: usize) -> Vec<u8> {
        let socket = &mut self.sockets[socket];
        let count = limit.min(socket.outgoing.len());
        let bytes = socket.outgoing.drain(..count).collect();
        if count > 0 && socket.wants_room {
            socket.wants_room = false;
            socket.edge.writable = true;
        }
        bytes
    }

    /// Nothing more will come from the server, and all that came was read.
    pub(crate) fn is_over_for_client(&self, socket: usize) -> bool {
        let socket = &self.sockets[socket];
        let gone = socket.server_shut || socket.closed.get() > 0 || socket.turned_away;
        socket.outgoing.is_empty() && (gone || socket.reset)
    }

    /// The client's direction is of no more use: the server has closed its socket.
    pub(crate) fn is_closed_by_server(&self, socket: usize) -> bool {
        self.sockets[socket].closed.get() > 0
    }

    pub(crate) fn sockets(&self) -> &[Socket] {
        &self.sockets
    }

    pub(crate) fn waiting(&self) -> usize {
        self.backlog.len()
    }

    /// Bytes that arrived and were not read by the server.
    pub(crate) fn unread(&self, socket: usize) -> usize {
        self.sockets[socket].arrived.len()
    }

    pub(crate) fn signal(&mut self, signal: Signal) {
        self.signals.push_back(signal);
    }

    /// From here on the network is kind, so that what must end can end.
    pub(crate) fn calm(&mut self) {
        self.faults = Faults {
            window: self.faults.window,
            ..Faults::NONE
        };
        self.exhausted_until = self.now;
    }

    /// Moves some of what is in flight to the server.
    fn deliver(&mut self) {
        for socket in &mut self.sockets {
            if socket.closed.get() > 0
                || socket.reset
                || (socket.in_flight.is_empty() && !socket.client_shut)
            {
                continue;
            }
            let mut count = socket.in_flight.len();
            if self.chance.percent(self.faults.cut_arrivals) {
                count = self.chance.below(count + 1);
            }
            socket.arrived.extend(socket.in_flight.drain(..count));
            if count > 0 {
                socket.edge.readable = true;
            }
            if socket.client_shut && socket.in_flight.is_empty() && !socket.end_arrived {
                socket.end_arrived = true;
                socket.edge.readable = true;
            }
        }
    }

    fn edges(&mut self, ready: &mut Vec<Ready>) {
        if self.listener_edge && self.listening {
            self.listener_edge = false;
            ready.push(Ready::Listener(0));
        }
        for socket in &mut self.sockets {
            let Some(id) = socket.watched else { continue };
            let edge = std::mem::take(&mut socket.edge);
            if edge.readable || edge.writable {
                ready.push(Ready::Connection {
                    id,
                    readable: edge.readable,
                    writable: edge.writable,
                    ended: socket.end_arrived || socket.reset,
                });
            }
        }
        ready.extend(self.signals.drain(..).map(Ready::Signal));
        self.chance.shuffle(ready);
    }

    fn blocked(&mut self) -> bool {
        self.chance.percent(self.faults.blocked)
    }

    fn write_bytes(&mut self, stream: &SimStream, bytes: &[u8]) -> Write {
        assert!(!bytes.is_empty(), "nothing is written by a system call");
        let blocked = self.blocked();
        let cut = self.chance.percent(self.faults.cut_writes);
        let socket = &mut self.sockets[stream.socket];
        assert!(
            !socket.server_shut,
            "written after the server shut its side"
        );
        if socket.reset {
            return Write::Gone;
        }
        let mut count = bytes
            .len()
            .min(self.faults.window.saturating_sub(socket.outgoing.len()));
        if count == 0 {
            socket.wants_room = true;
            return Write::Blocked;
        }
        if blocked {
            socket.edge.writable = true;
            return Write::Blocked;
        }
        if cut {
            count = 1 + self.chance.below(count);
        }
        let socket = &mut self.sockets[stream.socket];
        socket.outgoing.extend(&bytes[..count]);
        Write::Bytes(count)
    }
}

impl Net for SimNet {
    type Stream = SimStream;

    fn now(&self) -> Tick {
        self.now
    }

    fn poll(&mut self, until: Option<Tick>, ready: &mut Vec<Ready>) {
        self.deliver();
        self.edges(ready);
        if !ready.is_empty() {
            return;
        }
        // Time passes only while nothing happens; now and then it is late.
        let until = until.unwrap_or(self.horizon).min(self.horizon);
        if until > self.now {
            let ahead = until.since(self.now) as usize;
            self.now = self.now + 1 + self.chance.below(ahead) as u32;
        } else if self.chance.percent(self.faults.late) {
            self.now = self.now + self.chance.below(8) as u32;
        }
    }

    fn accept(&mut self, listener: usize) -> Accept<SimStream> {
        assert_eq!(listener, 0);
        if !self.listening || self.backlog.is_empty() {
            return Accept::Empty;
        }
        if self.chance.per_mille(self.faults.exhausted) {
            self.exhausted_until = self.now + self.chance.below(50) as u32;
        }
        if self.now < self.exhausted_until {
            return Accept::Exhausted;
        }
        if self.chance.percent(self.faults.aborted) {
            return Accept::Again;
        }
        let Some(index) = self.backlog.pop_front() else {
            return Accept::Empty;
        };
        let socket = &mut self.sockets[index];
        socket.accepted = true;
        let address = Ipv4Addr::from(0xC000_0200 + (index % 16) as u32);
        let stream = SimStream {
            socket: index,
            closed: socket.closed.clone(),
        };
        Accept::Connection(stream, Peer::Ip(IpAddr::V4(address)))
    }

    fn turn_away(&mut self, _: usize, last_words: &[u8]) -> TurnAway {
        if self.chance.percent(self.faults.aborted) {
            return TurnAway::Failed;
        }
        let Some(socket) = self.backlog.pop_front() else {
            return TurnAway::Empty;
        };
        let socket = &mut self.sockets[socket];
        socket.outgoing.extend(last_words);
        socket.turned_away = true;
        TurnAway::Done
    }

    fn register(&mut self, stream: &mut SimStream, id: ConnId) -> bool {
        if self.chance.per_mille(self.faults.unwatched) {
            return false;
        }
        let socket = &mut self.sockets[stream.socket];
        socket.watched = Some(id);
        // As epoll does: what is there already is told at once.
        socket.edge.writable = true;
        socket.edge.readable |= !socket.arrived.is_empty();
        true
    }

    fn read(&mut self, stream: &mut SimStream, buffer: &mut [u8]) -> Read {
        let blocked = self.blocked();
        let socket = &mut self.sockets[stream.socket];
        if socket.reset {
            return Read::Gone;
        }
        if blocked && (!socket.arrived.is_empty() || socket.end_arrived) {
            socket.edge.readable = true;
            return Read::Blocked;
        }
        if socket.arrived.is_empty() {
            return if socket.end_arrived {
                Read::End
            } else {
                Read::Blocked
            };
        }
        let count = buffer.len().min(socket.arrived.len());
        for (place, byte) in buffer.iter_mut().zip(socket.arrived.drain(..count)) {
            *place = byte;
        }
        Read::Bytes(count)
    }

    fn write(&mut self, stream: &mut SimStream, bytes: &[u8]) -> Write {
        self.write_bytes(stream, bytes)
    }

    fn write_vectored(&mut self, stream: &mut SimStream, slices: &[IoSlice<'_>]) -> Write {
        let bytes: Vec<u8> = slices
            .iter()
            .flat_map(|slice| slice.iter().copied())
            .collect();
        self.write_bytes(stream, &bytes)
    }

    fn shutdown_write(&mut self, stream: &mut SimStream) {
        self.sockets[stream.socket].server_shut = true;
    }

    fn stop_listening(&mut self) {
        self.listening = false;
        for socket in self.backlog.drain(..) {
            self.sockets[socket].reset = true;
        }
    }
}
