//! A simulated network under the real server: listeners, sockets, a clock and their faults.
//! Everything random comes from one seed. Knows bytes, not their meaning.
//!
//! It keeps the contract of edge-triggered readiness and no more: an edge is reported once, late,
//! in any order; reads and writes are cut anywhere; either may be blocked without a reason if an
//! edge follows, or fail for lack of memory, after which no edge follows; a poll may return no
//! event; the clock may run far ahead. It checks the server's half of the contract: the server must
//! not sleep while there are bytes to read, room to write or connections to accept of which it was
//! notified and will not be notified again, nor past the time to retry a failed read or write. And
//! the system must hold no bytes of a connection that the server has closed.

use super::chance::Chance;
use super::tls::{Manners, Wire};
use parlor::id::{ConnId, Millis, Peer, Tick};
use parlor::net::dial::Target;
use parlor::net::{Accept, Net, Read, Ready, Signal, TurnAway, Write};
use parlor::tls::TURNED_AWAY;
use rustls::ClientConfig;
use std::cell::Cell;
use std::collections::VecDeque;
use std::io::IoSlice;
use std::rc::Rc;
use std::sync::Arc;

/// The time of day at which the clock starts: 1994-11-06T08:49:37Z, as in RFC 9110 §5.6.7.
const STARTED_AT: u64 = 784_111_777_000;

/// Ticks that connections may wait to be accepted without an event: the system has no descriptor
/// left, and reports no event when one becomes free.
const PAUSE_TICKS: u32 = 5;

/// Data in one record: no more than the server reads at once from a socket without TLS, so that both
/// are handled in the same turn.
const RECORD_DATA_MAX: usize = 4096;

/// Ticks within which the server must retry a read or write that failed for lack of memory.
const RETRY_TICKS: u32 = 5;

/// The faults of the network.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Faults {
    /// Of 100 reads and writes, how many are blocked without a reason; an edge follows.
    pub(crate) blocked: u32,
    /// Of 100 reads and writes, how many fail for lack of memory; no edge follows.
    pub(crate) short: u32,
    /// Of 100 reads, how many return only a part of what has arrived; an edge follows.
    pub(crate) cut_reads: u32,
    /// Of 100 writes, how many write only a part.
    pub(crate) cut_writes: u32,
    /// Of 100 deliveries to the server, how many are cut.
    pub(crate) cut_arrivals: u32,
    /// Of 1000 reads and writes, how many find that the connection has broken.
    pub(crate) broken: u32,
    /// Of 100 accepts, how many fail with an error of the connection.
    pub(crate) aborted: u32,
    /// Of 1000 accepts, how many begin a period without descriptors.
    pub(crate) exhausted: u32,
    /// Of 1000 new connections, how many cannot be watched.
    pub(crate) unwatched: u32,
    /// Of 100 events, how many are reported by a later poll than the next one.
    pub(crate) delayed: u32,
    /// Of 100 polls, how many return at once and without an event.
    pub(crate) idle: u32,
    /// Of 100 polls without an event, how many return later than they should.
    pub(crate) late: u32,
    /// Of 10,000 polls, how many find that the clock has run far ahead.
    pub(crate) jump: u32,
    /// Bytes the network holds on the way to a client.
    pub(crate) window: usize,
}

impl Faults {
    pub(crate) const NONE: Self = Self {
        blocked: 0,
        short: 0,
        cut_reads: 0,
        cut_writes: 0,
        cut_arrivals: 0,
        broken: 0,
        aborted: 0,
        exhausted: 0,
        unwatched: 0,
        delayed: 0,
        idle: 0,
        late: 0,
        jump: 0,
        window: 1 << 20,
    };
}

/// What the server did and what was reported to it, as the network sees it.
#[derive(Clone, Debug)]
pub(crate) enum Happened {
    Accepted(usize),
    /// Refused and closed instead of being accepted. `exhausted`: there was no descriptor.
    TurnedAway {
        exhausted: bool,
    },
    /// Accepted, but the system could not watch it.
    Unwatched(usize),
    /// The server has read the client's bytes up to this one.
    Read {
        socket: usize,
        upto: u64,
    },
    /// The server has read the client's end.
    End(usize),
    /// A read or write has reported to the server that the connection is broken.
    Gone(usize),
    /// Accepting failed: there was no descriptor.
    Exhausted,
    Wrote {
        socket: usize,
        bytes: Vec<u8>,
    },
    /// A write was blocked.
    Blocked(usize),
    /// A write failed for lack of memory.
    Short(usize),
    /// The server has reset the connection and so discarded what was not delivered.
    Reset(usize),
    /// The server will send nothing more.
    Shut(usize),
    /// The server has closed its socket.
    Closed(usize),
    /// A signal was delivered to the server.
    Signalled(Signal),
}

type Log = Rc<Cell<Vec<Happened>>>;

fn note(log: &Log, what: Happened) {
    let mut all = log.take();
    all.push(what);
    log.set(all);
}

/// One accepted connection as the server holds it. Counts how often it is closed.
pub(crate) struct SimStream {
    socket: usize,
    closed: Rc<Cell<u32>>,
    log: Log,
}

impl Drop for SimStream {
    fn drop(&mut self) {
        self.closed.set(self.closed.get() + 1);
        note(&self.log, Happened::Closed(self.socket));
    }
}

/// Both directions between one client and the server.
pub(crate) struct Socket {
    peer: Peer,
    /// No fault affects it.
    is_spared: bool,
    /// Sent by the client, not yet arrived at the server.
    in_flight: VecDeque<u8>,
    /// Arrived at the server, not yet read.
    arrived: VecDeque<u8>,
    /// Bytes the server has read.
    read: u64,
    /// The client will send nothing more.
    client_shut: bool,
    /// The client's end has arrived.
    end_arrived: bool,
    /// The server has read the end.
    end_read: bool,
    /// The connection was reset by the client, or broke.
    reset: bool,
    /// Written by the server, not yet read by the client.
    outgoing: VecDeque<u8>,
    /// The server will send nothing more.
    server_shut: bool,
    /// How often the server's stream was dropped.
    closed: Rc<Cell<u32>>,
    accepted: bool,
    /// The server refused it without accepting it.
    turned_away: bool,
    watched: Option<ConnId>,
    /// The server has made the connection: it is watched as this link.
    link: Option<usize>,
    edge: Edge,
    /// The last write was blocked.
    is_blocked: bool,
    /// The moments by which a read and a write that failed for lack of memory must be retried.
    read_again_by: Option<Tick>,
    write_again_by: Option<Tick>,
    /// The server has discarded what was not delivered.
    server_reset: bool,
    /// The last bytes were acknowledged after both sides had ended, which the server has not yet
    /// seen.
    is_acknowledged: bool,
    next_write_is_short: bool,
    /// The size of the client's receive buffer: bytes beyond it stay in the server's send buffer.
    accepts: usize,
    /// The server need not read before this moment.
    unread_until: Tick,
    /// An event has reported since the last blocked write that the server can write.
    may_write_again: bool,
    /// TLS is spoken; all other fields are about the data.
    wire: Option<Box<Wire>>,
}

#[derive(Clone, Copy, Default)]
struct Edge {
    readable: bool,
    writable: bool,
}

impl Socket {
    fn new(peer: Peer, is_spared: bool) -> Self {
        Self {
            peer,
            is_spared,
            in_flight: VecDeque::new(),
            arrived: VecDeque::new(),
            read: 0,
            client_shut: false,
            end_arrived: false,
            end_read: false,
            reset: false,
            outgoing: VecDeque::new(),
            server_shut: false,
            closed: Rc::default(),
            accepted: false,
            turned_away: false,
            watched: None,
            link: None,
            edge: Edge::default(),
            is_blocked: false,
            read_again_by: None,
            write_again_by: None,
            server_reset: false,
            is_acknowledged: false,
            next_write_is_short: false,
            accepts: usize::MAX,
            unread_until: Tick(0),
            may_write_again: false,
            wire: None,
        }
    }

    fn is_closed(&self) -> bool {
        self.closed.get() > 0
    }

    const fn is_watched(&self) -> bool {
        self.watched.is_some() || self.link.is_some()
    }

    /// What the server is told, if it watches the socket.
    fn ready(&self, Edge { readable, writable }: Edge) -> Option<Ready> {
        let ended = self.is_shut() || self.reset;
        if let Some(link) = self.link {
            return Some(Ready::Link {
                link,
                readable,
                writable,
                ended,
            });
        }
        Some(Ready::Connection {
            id: self.watched?,
            readable,
            writable,
            ended,
        })
    }

    fn breaks(&mut self) {
        self.reset = true;
        self.in_flight.clear();
        self.arrived.clear();
        self.edge = Edge {
            readable: true,
            writable: true,
        };
    }

    /// The system holds bytes that the client's side has not accepted.
    fn has_unsent(&self) -> bool {
        !self.reset && self.outgoing.len() > self.accepts
    }

    /// The client's end of TCP has arrived, which may be later than its last words.
    fn is_shut(&self) -> bool {
        let is_held = self.wire.as_ref().is_some_and(|wire| wire.holds_end());
        self.end_arrived && (!is_held || self.server_shut)
    }

    fn has_unread(&self) -> bool {
        match &self.wire {
            // What arrived can be sealed when the handshake is over, and the end comes behind it.
            Some(wire) if !wire.may_seal() => {
                wire.has_sealed() || self.arrived.is_empty() && self.end_arrived && !self.end_read
            }
            _ => !self.arrived.is_empty() || self.end_arrived && !self.end_read,
        }
    }
}

/// One listener.
#[derive(Default)]
struct Door {
    /// Not yet accepted.
    backlog: VecDeque<usize>,
    edge: bool,
}

/// The network, its clock and all that was ever connected.
pub(crate) struct SimNet {
    now: Tick,
    chance: Chance,
    faults: Faults,
    sockets: Vec<Socket>,
    doors: Vec<Door>,
    /// The first door where TLS is spoken, and by which clients. `None`: at none.
    secure: Option<(usize, Arc<ClientConfig>)>,
    /// All that is sealed is read at once, of which no edge follows, and the client's end with it.
    reads_all_records: bool,
    /// How all clients end TLS; `None`: at random.
    manners: Option<Manners>,
    listening: bool,
    /// Why the server cannot connect to others; `None`: it can.
    pub(crate) undialed: Option<&'static str>,
    /// Connections that it has made since they were taken last: the link and the socket of each.
    dialed: Vec<(usize, usize)>,
    /// Accepting fails until this moment.
    exhausted_until: Tick,
    signals: VecDeque<Signal>,
    /// Another thread has called the waker.
    is_woken: Rc<Cell<bool>>,
    log: Log,
    /// The server reads and accepts nothing for a while, since another is to take over.
    pub(crate) is_settling: bool,
    /// The server may leave newcomers of TLS unaccepted until then, since another is to take over.
    pub(crate) secure_waits_until: Tick,
    /// The latest moment to which the clock runs ahead when nothing happens; then a client acts.
    pub(crate) horizon: Tick,
}

impl SimNet {
    pub(crate) fn new(seed: u64, faults: Faults, doors: usize) -> Self {
        Self {
            now: Tick(0),
            chance: Chance::new(seed),
            faults,
            sockets: Vec::new(),
            doors: (0..doors).map(|_| Door::default()).collect(),
            secure: None,
            reads_all_records: false,
            manners: None,
            listening: true,
            undialed: Some("connections to other servers are not made here"),
            dialed: Vec::new(),
            exhausted_until: Tick(0),
            signals: VecDeque::new(),
            is_woken: Rc::default(),
            log: Log::default(),
            is_settling: false,
            secure_waits_until: Tick(0),
            horizon: Tick(0),
        }
    }

    /// TLS is spoken at this door and all behind it.
    pub(crate) fn speaks_tls(&mut self, first: usize, config: Arc<ClientConfig>) {
        self.secure = Some((first, config));
    }

    /// From here on, clients that come end TLS like this.
    pub(crate) fn ends_tls(&mut self, manners: Manners) {
        self.manners = Some(manners);
    }

    /// The server has read the client's close_notify, and has sent none.
    pub(crate) fn is_unanswered(&self, socket: usize) -> bool {
        let wire = self.sockets[socket].wire.as_ref();
        wire.is_some_and(|wire| wire.is_unanswered())
    }

    fn is_secure(&self, door: usize) -> bool {
        self.secure
            .as_ref()
            .is_some_and(|(first, _)| door >= *first)
    }

    /// From here on, the server reads all records at once that fit into its buffer.
    pub(crate) fn reads_all_records(&mut self) {
        self.reads_all_records = true;
    }

    /// Whether the server may close a client whose records come in parts as one that is too slow.
    pub(crate) fn may_be_too_slow(&self, socket: usize, ticks: u32) -> bool {
        let wire = self.sockets[socket].wire.as_ref();
        wire.is_some_and(|wire| wire.may_be_too_slow(ticks, self.now))
    }

    /// How many clients that speak TLS were answered.
    pub(crate) fn answered_hellos(&self) -> usize {
        let wires = self
            .sockets
            .iter()
            .filter_map(|socket| socket.wire.as_ref());
        wires.filter(|wire| wire.is_answered()).count()
    }

    /// Connects a client. `None`: the server does not listen any more.
    pub(crate) fn connect(&mut self, door: usize, peer: Peer) -> Option<usize> {
        self.connects(door, peer, false)
    }

    /// Connects a client that no fault affects.
    pub(crate) fn connect_spared(&mut self, door: usize, peer: Peer) -> Option<usize> {
        self.connects(door, peer, true)
    }

    fn connects(&mut self, door: usize, peer: Peer, is_spared: bool) -> Option<usize> {
        if !self.listening {
            return None;
        }
        self.sockets.push(Socket::new(peer, is_spared));
        self.divide_window();
        let socket = self.sockets.len() - 1;
        if let Some((_, config)) = self.secure.as_ref().filter(|_| self.is_secure(door)) {
            let manners = [Manners::Bare, Manners::Both, Manners::Waits];
            let manners = manners[self.chance.below(manners.len())];
            let wire = Wire::new(config, self.manners.unwrap_or(manners));
            self.sockets[socket].wire = Some(Box::new(wire));
            self.sockets[socket].edge.readable = true;
        }
        self.doors[door].backlog.push_back(socket);
        self.doors[door].edge = true;
        Some(socket)
    }

    /// The connections that the server has made since the last call.
    pub(crate) fn take_dialed(&mut self) -> Vec<(usize, usize)> {
        std::mem::take(&mut self.dialed)
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

    /// The client resets the connection.
    pub(crate) fn reset(&mut self, socket: usize) {
        self.sockets[socket].breaks();
    }

    /// What the client reads, at most `limit` bytes.
    pub(crate) fn read_as_client(&mut self, socket: usize, limit: usize) -> Vec<u8> {
        let socket = &mut self.sockets[socket];
        let count = limit.min(socket.outgoing.len());
        let had_unsent = socket.has_unsent();
        let bytes = socket.outgoing.drain(..count).collect();
        if count > 0 && socket.is_blocked {
            socket.edge.writable = true;
        }
        // When the end of both sides has been acknowledged, the system reports an event.
        if had_unsent && !socket.has_unsent() && socket.server_shut && socket.is_shut() {
            socket.edge.readable = true;
            socket.is_acknowledged = true;
        }
        bytes
    }

    /// Half of the window is the client's receive buffer, half the server's send buffer.
    fn divide_window(&mut self) {
        for socket in &mut self.sockets {
            socket.accepts = if socket.is_spared {
                usize::MAX
            } else {
                self.faults.window / 2
            };
        }
    }

    /// Panics if the system still holds bytes of a connection that the server has closed: none of
    /// the server's limits would count them.
    fn check_closed(&self) {
        for (index, socket) in self.sockets.iter().enumerate() {
            assert!(
                !socket.is_closed() || socket.server_reset || !socket.has_unsent(),
                "{index} was closed and the system still sends to it"
            );
        }
    }

    /// Whether the client has read everything and nothing more will come from the server.
    pub(crate) fn is_over_for_client(&self, socket: usize) -> bool {
        let socket = &self.sockets[socket];
        let gone = socket.server_shut || socket.is_closed() || socket.turned_away;
        socket.outgoing.is_empty() && gone || socket.reset
    }

    /// Whether the server has closed its socket.
    pub(crate) fn is_closed_by_server(&self, socket: usize) -> bool {
        self.sockets[socket].is_closed()
    }

    /// Whether the server may hold bytes for the client that are not yet delivered: the last write
    /// failed, the connection is broken, or the client's receive buffer is full.
    pub(crate) fn is_behind(&self, socket: usize) -> bool {
        let socket = &self.sockets[socket];
        socket.is_blocked
            || socket.write_again_by.is_some()
            || socket.reset
            || socket.has_unsent()
            || socket.is_acknowledged
    }

    pub(crate) fn was_reset_by_server(&self, socket: usize) -> bool {
        self.sockets[socket].server_reset
    }

    /// The next write to this client fails for lack of memory.
    pub(crate) fn next_write_is_short(&mut self, socket: usize) {
        self.sockets[socket].next_write_is_short = true;
    }

    /// Sockets the server has accepted and not closed.
    pub(crate) fn open(&self) -> usize {
        let is_open = |socket: &&Socket| socket.accepted && !socket.is_closed();
        self.sockets.iter().filter(is_open).count()
    }

    /// Of each socket: whether it was accepted, and how often it was closed, also from here on.
    pub(crate) fn closings(&self) -> Vec<(bool, Rc<Cell<u32>>)> {
        let closing = |socket: &Socket| (socket.accepted, socket.closed.clone());
        self.sockets.iter().map(closing).collect()
    }

    pub(crate) fn waiting(&self) -> usize {
        self.doors.iter().map(|door| door.backlog.len()).sum()
    }

    /// The server may leave the bytes of this client unread until a moment.
    pub(crate) fn may_leave_unread(&mut self, socket: usize, until: Tick) {
        self.sockets[socket].unread_until = until;
    }

    /// The socket of a connection that the server watches.
    pub(crate) fn socket_of(&self, id: ConnId) -> Option<usize> {
        let is_its = |socket: &Socket| socket.watched == Some(id) && !socket.is_closed();
        self.sockets.iter().position(is_its)
    }

    /// Bytes that arrived and were not read by the server.
    pub(crate) fn unread(&self, socket: usize) -> usize {
        self.sockets[socket].arrived.len()
    }

    pub(crate) fn signal(&mut self, signal: Signal) {
        self.signals.push_back(signal);
    }

    /// The connection by which a server watches a socket.
    pub(crate) fn id_of(&self, socket: usize) -> Option<ConnId> {
        let socket = &self.sockets[socket];
        socket.watched.filter(|_| !socket.is_closed())
    }

    /// Another server listens: it is reported what waits. No connection that speaks TLS can be carried.
    pub(crate) fn is_taken_over(&mut self) {
        let is_carried =
            |socket: &Socket| socket.wire.is_some() && socket.accepted && !socket.is_closed();
        let carried = self.sockets.iter().position(is_carried);
        assert_eq!(carried, None, "a connection of TLS is open at an upgrade");
        for door in &mut self.doors {
            door.edge = !door.backlog.is_empty();
        }
    }

    /// The waker: what sets it wakes the server.
    pub(crate) fn waker(&self) -> Rc<Cell<bool>> {
        self.is_woken.clone()
    }

    /// Returns and removes the log since the last call.
    pub(crate) fn take_log(&mut self) -> Vec<Happened> {
        self.log.take()
    }

    /// The clock runs ahead without an event: the process was stopped (SIGSTOP).
    pub(crate) fn jumps(&mut self, ticks: u32) {
        self.now = self.now + ticks;
    }

    /// Sets the faults of the network.
    pub(crate) fn misbehaves(&mut self, faults: Faults) {
        let grows = faults.window > self.faults.window;
        self.faults = faults;
        self.divide_window();
        for socket in self.sockets.iter_mut().filter(|socket| socket.is_blocked) {
            socket.edge.writable |= grows;
        }
    }

    /// The server's process has ended: the system closes its sockets, and another process listens.
    /// What was written may still be delivered, or a part of it.
    pub(crate) fn process_ends(&mut self, is_crash: bool, chance: &mut Chance) {
        for socket in self.sockets.iter_mut().filter(|socket| socket.accepted) {
            socket.server_shut = true;
            socket.server_reset |= is_crash;
            if is_crash {
                let count = chance.below(socket.outgoing.len() + 1);
                socket.outgoing.truncate(count);
            }
        }
        for door in &mut self.doors {
            for socket in door.backlog.drain(..) {
                self.sockets[socket].reset = true;
            }
            door.edge = false;
        }
        self.listening = true;
        self.signals.clear();
        self.is_woken.set(false);
        self.exhausted_until = self.now;
    }

    /// Ends all faults, so that every connection can come to its end.
    pub(crate) fn calms_down(&mut self) {
        self.faults = Faults {
            window: self.faults.window,
            ..Faults::NONE
        };
        self.exhausted_until = self.now;
    }

    fn note(&self, what: Happened) {
        note(&self.log, what);
    }

    /// Moves some of what is in flight to the server.
    fn deliver(&mut self) {
        for socket in &mut self.sockets {
            let is_moving = !socket.in_flight.is_empty() || socket.client_shut;
            if socket.is_closed() || socket.reset || !is_moving {
                continue;
            }
            let mut count = socket.in_flight.len();
            if !socket.is_spared && self.chance.percent(self.faults.cut_arrivals) {
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
        for (index, door) in self.doors.iter_mut().enumerate() {
            if self.listening && door.edge && !self.chance.percent(self.faults.delayed) {
                door.edge = false;
                ready.push(Ready::Listener(index));
            }
        }
        for socket in self.sockets.iter_mut().filter(|socket| !socket.is_closed()) {
            let Some(event) = socket.ready(socket.edge) else {
                continue;
            };
            let Edge { readable, writable } = socket.edge;
            let is_delayed = !socket.is_spared && self.chance.percent(self.faults.delayed);
            if !(readable || writable) || is_delayed {
                continue;
            }
            socket.edge = Edge::default();
            socket.may_write_again |= writable && socket.is_blocked;
            ready.push(event);
        }
        for signal in std::mem::take(&mut self.signals) {
            self.note(Happened::Signalled(signal));
            ready.push(Ready::Signal(signal));
        }
        if self.is_woken.take() {
            ready.push(Ready::Woken);
        }
        self.chance.shuffle(ready);
    }

    /// The server is about to sleep until a moment. Panics if a connection needs it earlier.
    fn check_sleep(&self, until: Option<Tick>) {
        let sleeps_past = |moment: Tick| until.is_none_or(|until| until > moment);
        if !sleeps_past(self.now) || self.is_settling {
            return;
        }
        for (index, socket) in self.sockets.iter().enumerate() {
            if !socket.is_watched() || socket.is_closed() || socket.reset {
                continue;
            }
            // A connection that the server may leave unread is not read again either.
            let read_again_by = socket.read_again_by.map(|by| by.max(socket.unread_until));
            let again_by = [read_again_by, socket.write_again_by];
            assert!(
                again_by.into_iter().flatten().all(|by| !sleeps_past(by)),
                "the server sleeps past the time to retry a read or write of {index}"
            );
            if again_by != [None, None] {
                continue;
            }
            let may_wait = socket.is_blocked || !sleeps_past(socket.unread_until);
            // The server need not read a client while the client reads no response.
            assert!(
                !socket.has_unread() || socket.edge.readable || may_wait,
                "the server sleeps and has not read all of {index}"
            );
            assert!(
                !socket.may_write_again || socket.edge.writable,
                "the server sleeps and has frames that it could write to {index}"
            );
        }
        let doors = self.doors.iter().enumerate();
        for (index, door) in doors.filter(|(_, door)| self.listening && !door.edge) {
            let is_secure = self.is_secure(index);
            let held_until = [Tick(0), self.secure_waits_until][usize::from(is_secure)];
            let by = held_until.max(self.now + PAUSE_TICKS);
            assert!(
                door.backlog.is_empty() || !sleeps_past(by),
                "the server sleeps and lets connections wait to be accepted"
            );
        }
        let has_connections = self.open() > 0;
        assert!(
            until.is_some() || !has_connections,
            "the server sleeps for ever and has connections"
        );
    }

    fn is_exhausted(&self) -> bool {
        self.now < self.exhausted_until
    }

    /// Whether a fault with a probability of `percent` affects a socket now.
    fn meets(&mut self, socket: usize, percent: u32) -> bool {
        self.chance.percent(percent) && !self.sockets[socket].is_spared
    }

    /// Whether the system lacks memory for a read or write, and by when the server must retry it.
    fn is_short(&mut self, index: usize) -> Option<Tick> {
        let is_short = self.meets(index, self.faults.short);
        is_short.then_some(self.now + RETRY_TICKS)
    }

    /// May break the connection by a fault. Returns whether it is broken.
    fn breaks(&mut self, socket: usize) -> bool {
        let breaks = self.chance.per_mille(self.faults.broken);
        if breaks && !self.sockets[socket].is_spared {
            self.sockets[socket].breaks();
        }
        if self.sockets[socket].reset {
            self.note(Happened::Gone(socket));
        }
        self.sockets[socket].reset
    }

    /// The server reads from a socket where TLS is spoken: the rest of what is sealed or, if it has read
    /// that, another record. An edge follows while there is more. The end is that of TCP alone.
    fn read_record(&mut self, index: usize, buffer: &mut [u8], is_cut: bool) -> Read {
        let socket = &mut self.sockets[index];
        let Some(wire) = &mut socket.wire else {
            return Read::Blocked;
        };
        if wire.may_seal() && !socket.arrived.is_empty() {
            let all = socket.arrived.len();
            let most = all.min(RECORD_DATA_MAX);
            let count = if self.reads_all_records {
                all
            } else if self.chance.percent(50) {
                most
            } else {
                1 + self.chance.below(most)
            };
            let data: Vec<u8> = socket.arrived.drain(..count).collect();
            wire.seal(&data, self.chance.percent(5));
            if self.reads_all_records && socket.end_arrived {
                wire.ends();
            }
        }
        let is_all_read = !wire.has_sealed() && socket.end_arrived && socket.arrived.is_empty();
        if is_all_read && wire.may_seal() {
            wire.ends();
        }
        if !wire.has_sealed() {
            if !is_all_read || wire.holds_end() && !socket.server_shut {
                return Read::Blocked;
            }
            socket.is_acknowledged = false;
            if !std::mem::replace(&mut socket.end_read, true) {
                self.note(Happened::End(index));
            }
            return Read::End;
        }
        let mut count = buffer.len().min(wire.len());
        if is_cut && count > 1 {
            count = 1 + self.chance.below(count - 1);
        }
        let (bytes, data) = wire.read(count, self.now);
        buffer[..count].copy_from_slice(&bytes);
        socket.read += data as u64;
        let upto = socket.read;
        socket.edge.readable |= socket.has_unread();
        if data > 0 {
            self.note(Happened::Read {
                socket: index,
                upto,
            });
        }
        let socket = &mut self.sockets[index];
        let is_ended = socket.wire.as_ref().is_some_and(|wire| wire.is_end_read());
        if is_ended && !std::mem::replace(&mut socket.end_read, true) {
            self.note(Happened::End(index));
        }
        Read::Bytes(count)
    }

    fn write_bytes(&mut self, stream: &SimStream, bytes: &[u8]) -> Write {
        assert!(!bytes.is_empty(), "a write of no bytes");
        let index = stream.socket;
        assert!(
            !self.sockets[index].server_shut,
            "a write after the server shut its side"
        );
        if self.breaks(index) {
            return Write::Gone;
        }
        let must_fail = std::mem::take(&mut self.sockets[index].next_write_is_short);
        let fails = must_fail.then_some(self.now + RETRY_TICKS);
        let again_by = self.is_short(index).or(fails);
        self.sockets[index].write_again_by = again_by;
        if again_by.is_some() {
            // An event that reported room before does not count any more.
            self.sockets[index].may_write_again = false;
            self.note(Happened::Short(index));
            return Write::Retry;
        }
        let is_blocked = self.meets(index, self.faults.blocked);
        let is_cut = self.meets(index, self.faults.cut_writes);
        let window = self.faults.window;
        let socket = &mut self.sockets[index];
        socket.may_write_again = false;
        let room = if socket.is_spared {
            usize::MAX
        } else {
            window.saturating_sub(socket.outgoing.len())
        };
        let mut count = bytes.len().min(room);
        socket.is_blocked = count == 0 || is_blocked;
        if socket.is_blocked {
            // Blocked without a reason, or until the client reads.
            socket.edge.writable |= count > 0;
            self.note(Happened::Blocked(index));
            return Write::Blocked;
        }
        if is_cut {
            count = 1 + self.chance.below(count);
        }
        let socket = &mut self.sockets[index];
        let was_held = socket.wire.as_ref().is_some_and(|wire| wire.holds_end());
        let written = match &mut socket.wire {
            None => bytes[..count].to_vec(),
            Some(wire) => {
                let data = wire.wrote(&bytes[..count]);
                socket.edge.readable |= socket.has_unread() || was_held && socket.is_shut();
                data
            }
        };
        self.sockets[index].outgoing.extend(&written);
        // A part of a record is no data, and the client accepts something all the same.
        self.note(Happened::Wrote {
            socket: index,
            bytes: written,
        });
        Write::Bytes(count)
    }
}

impl Net for SimNet {
    type Stream = SimStream;

    fn now(&self) -> Tick {
        self.now
    }

    fn wall(&self) -> Millis {
        Millis(STARTED_AT + u64::from(self.now.0) * Tick::MILLIS)
    }

    fn poll(&mut self, until: Option<Tick>, ready: &mut Vec<Ready>) {
        self.check_closed();
        self.deliver();
        if self.chance.percent(self.faults.idle) {
            return;
        }
        if self.chance.below(10_000) < self.faults.jump as usize {
            self.now = self.now + self.chance.below(20_000) as u32;
        }
        self.edges(ready);
        if !ready.is_empty() {
            return;
        }
        self.check_sleep(until);
        // Time passes only in a poll without an event; sometimes the poll returns late.
        let until = until.unwrap_or(self.horizon).min(self.horizon);
        let ahead = until.since(self.now);
        if ahead > 0 && self.chance.percent(50) {
            self.now = until;
        } else if ahead > 0 {
            self.now = self.now + 1 + self.chance.below(ahead as usize) as u32;
        }
        if self.chance.percent(self.faults.late) {
            self.now = self.now + self.chance.below(8) as u32;
        }
    }

    fn accept(&mut self, listener: usize) -> Accept<SimStream> {
        if !self.listening || self.doors[listener].backlog.is_empty() {
            return Accept::Empty;
        }
        if self.chance.per_mille(self.faults.exhausted) {
            self.exhausted_until = self.now + self.chance.below(50) as u32;
        }
        if self.is_exhausted() {
            self.note(Happened::Exhausted);
            return Accept::Exhausted;
        }
        let is_aborted = self.chance.percent(self.faults.aborted);
        let Some(index) = self.doors[listener].backlog.pop_front() else {
            return Accept::Empty;
        };
        let socket = &mut self.sockets[index];
        if is_aborted && self.chance.percent(50) {
            // Interrupted: the connection stays in the backlog.
            self.doors[listener].backlog.push_front(index);
            return Accept::Again;
        }
        if is_aborted {
            socket.breaks();
            return Accept::Again;
        }
        socket.accepted = true;
        let stream = SimStream {
            socket: index,
            closed: socket.closed.clone(),
            log: self.log.clone(),
        };
        let peer = socket.peer;
        self.note(Happened::Accepted(index));
        Accept::Connection(stream, peer)
    }

    fn turn_away(&mut self, listener: usize, last_words: &[u8]) -> TurnAway {
        if self.chance.percent(self.faults.aborted) {
            return TurnAway::Failed;
        }
        let Some(index) = self.doors[listener].backlog.pop_front() else {
            return TurnAway::Empty;
        };
        let socket = &mut self.sockets[index];
        let last_words = if socket.wire.is_some() {
            assert_eq!(last_words, TURNED_AWAY);
            b"HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\n\r\n"
        } else {
            last_words
        };
        socket.outgoing.extend(last_words);
        socket.turned_away = true;
        let exhausted = self.is_exhausted();
        self.note(Happened::TurnedAway { exhausted });
        self.note(Happened::Wrote {
            socket: index,
            bytes: last_words.to_vec(),
        });
        TurnAway::Done
    }

    fn passes(&self, stream: &SimStream) -> u64 {
        stream.socket as u64
    }

    /// The events of the old poll are lost with it.
    fn takes(&mut self, number: u64) -> Option<SimStream> {
        let index = usize::try_from(number).ok()?;
        let socket = self.sockets.get_mut(index)?;
        socket.edge = Edge::default();
        Some(SimStream {
            socket: index,
            closed: socket.closed.clone(),
            log: self.log.clone(),
        })
    }

    fn dial(&mut self, _target: &Target, link: usize) -> Result<SimStream, String> {
        if let Some(why) = self.undialed {
            return Err(why.to_owned());
        }
        let mut socket = Socket::new(Peer::Unix, false);
        socket.link = Some(link);
        socket.edge.writable = true;
        let stream = SimStream {
            socket: self.sockets.len(),
            closed: socket.closed.clone(),
            log: self.log.clone(),
        };
        self.dialed.push((link, stream.socket));
        self.sockets.push(socket);
        self.divide_window();
        Ok(stream)
    }

    fn dialed(&self, stream: &SimStream) -> Result<bool, String> {
        match self.sockets[stream.socket].reset {
            true => Err(String::from("connection refused")),
            false => Ok(true),
        }
    }

    fn register(&mut self, stream: &mut SimStream, id: ConnId) -> bool {
        // One that is taken over was watched before, and is again.
        let is_new = self.sockets[stream.socket].watched.is_none();
        if is_new && self.chance.per_mille(self.faults.unwatched) {
            self.note(Happened::Unwatched(stream.socket));
            return false;
        }
        let socket = &mut self.sockets[stream.socket];
        socket.watched = Some(id);
        // As with epoll, bytes that have arrived before are reported at once.
        socket.edge.writable = true;
        socket.edge.readable |= socket.has_unread();
        true
    }

    fn read(&mut self, stream: &mut SimStream, buffer: &mut [u8]) -> Read {
        let index = stream.socket;
        if self.breaks(index) {
            return Read::Gone;
        }
        let again_by = self.is_short(index);
        self.sockets[index].read_again_by = again_by;
        if again_by.is_some() {
            return Read::Retry;
        }
        let is_blocked = self.meets(index, self.faults.blocked);
        let is_cut = self.meets(index, self.faults.cut_reads);
        let socket = &mut self.sockets[index];
        if is_blocked && socket.has_unread() {
            socket.edge.readable = true;
            return Read::Blocked;
        }
        if socket.wire.is_some() {
            return self.read_record(index, buffer, is_cut);
        }
        if socket.arrived.is_empty() {
            if !socket.end_arrived {
                return Read::Blocked;
            }
            socket.end_read = true;
            socket.is_acknowledged = false;
            self.note(Happened::End(index));
            return Read::End;
        }
        let mut count = buffer.len().min(socket.arrived.len());
        if is_cut && count > 1 {
            count = 1 + self.chance.below(count - 1);
            socket.edge.readable = true;
        }
        for (place, byte) in buffer.iter_mut().zip(socket.arrived.drain(..count)) {
            *place = byte;
        }
        socket.read += count as u64;
        let upto = socket.read;
        self.note(Happened::Read {
            socket: index,
            upto,
        });
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
        let socket = &mut self.sockets[stream.socket];
        if let Some(wire) = &socket.wire {
            wire.check_shut();
            // A client that waits for our end of TLS has that of TCP.
            socket.edge.readable |= wire.holds_end() && socket.end_arrived;
        }
        socket.server_shut = true;
        self.note(Happened::Shut(stream.socket));
    }

    fn has_unsent(&self, stream: &SimStream) -> bool {
        self.sockets[stream.socket].has_unsent()
    }

    fn reset(&mut self, stream: &mut SimStream) {
        let socket = &mut self.sockets[stream.socket];
        socket.server_reset = true;
        socket.outgoing.truncate(socket.accepts);
        note(&self.log, Happened::Reset(stream.socket));
    }

    fn stop_listening(&mut self, _but: &[usize]) {
        self.listening = false;
        for door in &mut self.doors {
            for socket in door.backlog.drain(..) {
                self.sockets[socket].reset = true;
            }
        }
    }
}
