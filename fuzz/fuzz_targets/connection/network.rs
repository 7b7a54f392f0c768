//! A network that takes each fault from a byte of the fuzzer's input, and has no faults after the
//! last one. Knows bytes, not their meaning. The simulator has a network of its own with random
//! faults: two implementations of the same contract (`parlor::net::Net`).

use parlor::conn::state::PAUSE_TICKS;
use parlor::id::{ConnId, Millis, Peer, Tick};
use parlor::net::{Accept, Net, Read, Ready, Signal, TurnAway, Write};
use std::cell::Cell;
use std::collections::VecDeque;
use std::io::IoSlice;
use std::rc::Rc;

/// The time of day at which the clock starts: 1994-11-06T08:49:37Z, as in RFC 9110 §5.6.7.
const STARTED_AT: u64 = 784_111_777_000;

/// Both directions between a client and the server.
pub(crate) struct Socket {
    peer: Peer,
    /// Sent by the client, not yet arrived at the server.
    in_flight: VecDeque<u8>,
    arrived: VecDeque<u8>,
    pub(crate) client_shut: bool,
    end_arrived: bool,
    pub(crate) reset: bool,
    /// Written by the server, not yet read by the client.
    outgoing: VecDeque<u8>,
    /// The server will send nothing more.
    pub(crate) server_shut: bool,
    pub(crate) accepted: bool,
    pub(crate) closed: Rc<Cell<u32>>,
    watched: Option<ConnId>,
    readable: bool,
    writable: bool,
    write_blocked: bool,
    /// The last read or write failed for lack of memory.
    is_short: bool,
    /// Since when the server sleeps without having read all.
    unread_since: Option<Tick>,
    /// The server has discarded what was not delivered.
    pub(crate) server_reset: bool,
}

/// One accepted connection as the server holds it. Counts how often it is closed.
pub(crate) struct Stream {
    socket: usize,
    closed: Rc<Cell<u32>>,
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.closed.set(self.closed.get() + 1);
    }
}

pub(crate) struct Network {
    faults: VecDeque<u8>,
    now: Tick,
    /// The clock runs no further than this without an event.
    pub(crate) horizon: Tick,
    /// The most bytes on the way to a client.
    window: usize,
    pub(crate) sockets: Vec<Socket>,
    waiting: VecDeque<usize>,
    listener_edge: bool,
    pub(crate) listening: bool,
    pub(crate) signals: VecDeque<Signal>,
}

impl Network {
    pub(crate) fn new(faults: &[u8], window: usize) -> Self {
        Self {
            faults: faults.iter().copied().collect(),
            now: Tick(0),
            horizon: Tick(0),
            window,
            sockets: Vec::new(),
            waiting: VecDeque::new(),
            listener_edge: false,
            listening: true,
            signals: VecDeque::new(),
        }
    }

    fn fault(&mut self) -> u8 {
        self.faults.pop_front().unwrap_or(0)
    }

    pub(crate) fn connect(&mut self, peer: Peer) {
        self.waiting.push_back(self.sockets.len());
        self.listener_edge = true;
        self.sockets.push(Socket {
            peer,
            in_flight: VecDeque::new(),
            arrived: VecDeque::new(),
            client_shut: false,
            end_arrived: false,
            reset: !self.listening,
            outgoing: VecDeque::new(),
            server_shut: false,
            accepted: false,
            closed: Rc::default(),
            watched: None,
            readable: false,
            writable: false,
            write_blocked: false,
            is_short: false,
            unread_since: None,
            server_reset: false,
        });
    }

    pub(crate) fn send(&mut self, socket: usize, bytes: &[u8]) {
        let socket = &mut self.sockets[socket];
        if !socket.client_shut && !socket.reset {
            socket.in_flight.extend(bytes);
        }
    }

    pub(crate) fn reset(&mut self, socket: usize) {
        let socket = &mut self.sockets[socket];
        socket.reset = true;
        socket.arrived.clear();
        socket.outgoing.clear();
        (socket.readable, socket.writable) = (true, true);
    }

    /// What the client reads.
    pub(crate) fn take(&mut self, socket: usize, limit: usize) -> Vec<u8> {
        let socket = &mut self.sockets[socket];
        let count = limit.min(socket.outgoing.len());
        socket.writable |= count > 0 && socket.write_blocked;
        let bytes = socket.outgoing.drain(..count).collect();
        // When the end of both sides has been acknowledged, the system reports an event.
        let is_over = socket.server_shut && socket.end_arrived;
        socket.readable |= is_over && count > 0 && socket.outgoing.is_empty();
        bytes
    }

    pub(crate) fn has_read_all(&self, socket: usize) -> bool {
        self.sockets[socket].outgoing.is_empty()
    }

    pub(crate) fn has_waiting(&self) -> bool {
        self.listening && !self.waiting.is_empty()
    }

    /// Removes the bound on the bytes to a client, and reports room on each blocked socket.
    pub(crate) fn open_wide(&mut self) {
        self.window = usize::MAX;
        for socket in &mut self.sockets {
            socket.writable |= socket.write_blocked;
        }
    }

    /// Sockets that the server holds.
    pub(crate) fn open(&self) -> usize {
        let is_open = |socket: &&Socket| socket.accepted && socket.closed.get() == 0;
        self.sockets.iter().filter(is_open).count()
    }

    fn deliver(&mut self, index: usize) {
        let fault = self.fault();
        let socket = &mut self.sockets[index];
        if socket.reset || socket.closed.get() > 0 {
            return;
        }
        let most = if fault == 0 { usize::MAX } else { fault.into() };
        let count = most.min(socket.in_flight.len());
        socket.arrived.extend(socket.in_flight.drain(..count));
        let ends = socket.client_shut && socket.in_flight.is_empty() && !socket.end_arrived;
        socket.end_arrived |= ends;
        socket.readable |= count > 0 || ends;
    }

    /// Reports an edge once, in this poll or a later one.
    fn edge(&mut self, index: usize, ready: &mut Vec<Ready>) {
        let Socket {
            watched: Some(id),
            readable,
            writable,
            closed,
            ..
        } = &self.sockets[index]
        else {
            return;
        };
        let (id, readable, writable) = (*id, *readable, *writable);
        if !(readable || writable) || closed.get() > 0 || self.fault() > 250 {
            return;
        }
        let socket = &mut self.sockets[index];
        (socket.readable, socket.writable) = (false, false);
        let ended = socket.end_arrived || socket.reset;
        ready.push(Ready::Connection {
            id,
            readable,
            writable,
            ended,
        });
    }

    /// Panics if the system still holds bytes of a connection that the server has closed.
    pub(crate) fn check_closed(&self) {
        for (index, socket) in self.sockets.iter().enumerate() {
            let is_closed = socket.accepted && socket.closed.get() > 0;
            let has_unsent = !socket.reset && !socket.outgoing.is_empty();
            assert!(
                !is_closed || socket.server_reset || !has_unsent,
                "{index} was closed and the system still sends to it"
            );
        }
    }

    /// The server is about to sleep. Panics if bytes wait that no later event reports, unless it wakes
    /// within a pause; the close deadline of a client that sends on after its close frame is shorter.
    fn check_sleep(&mut self, until: Option<Tick>) {
        for (index, socket) in self.sockets.iter_mut().enumerate() {
            let is_watched = socket.watched.is_some() && socket.closed.get() == 0;
            let has_unread = !socket.arrived.is_empty() && !socket.readable;
            // The server need not read a client while the client reads no response.
            let may_wait = socket.write_blocked || socket.is_short;
            if !is_watched || !has_unread || may_wait {
                socket.unread_since = None;
                continue;
            }
            let since = *socket.unread_since.get_or_insert(self.now);
            assert!(
                until.is_some_and(|until| until <= since + PAUSE_TICKS),
                "the server sleeps and has not read all of {index}"
            );
        }
    }

    fn write_bytes(&mut self, stream: &Stream, bytes: &[u8]) -> Write {
        assert!(!bytes.is_empty(), "a write of no bytes");
        let fault = self.fault();
        let socket = &mut self.sockets[stream.socket];
        assert!(
            !socket.server_shut,
            "a write after the server shut its side"
        );
        if socket.reset {
            return Write::Gone;
        }
        if (120..128).contains(&fault) {
            // The system lacks memory; no edge follows.
            socket.is_short = true;
            return Write::Retry;
        }
        socket.is_short = false;
        let room = self
            .window
            .saturating_sub(socket.outgoing.len())
            .min(bytes.len());
        socket.write_blocked = room == 0 || (128..160).contains(&fault);
        if socket.write_blocked {
            // Blocked without a reason, or until the client reads.
            socket.writable |= room > 0;
            return Write::Blocked;
        }
        let most = if fault < 160 {
            usize::MAX
        } else {
            usize::from(fault) - 159
        };
        let count = room.min(most);
        socket.outgoing.extend(&bytes[..count]);
        Write::Bytes(count)
    }
}

impl Net for Network {
    type Stream = Stream;

    fn now(&self) -> Tick {
        self.now
    }

    fn wall(&self) -> Millis {
        Millis(STARTED_AT + u64::from(self.now.0) * Tick::MILLIS)
    }

    fn poll(&mut self, until: Option<Tick>, ready: &mut Vec<Ready>) {
        for index in 0..self.sockets.len() {
            self.deliver(index);
            self.edge(index, ready);
        }
        if std::mem::take(&mut self.listener_edge) && self.listening {
            ready.push(Ready::Listener(0));
        }
        ready.extend(self.signals.drain(..).map(Ready::Signal));
        let turned = usize::from(self.fault()) % ready.len().max(1);
        ready.rotate_left(turned);
        if ready.is_empty() && until.is_none_or(|until| until > self.now) {
            self.check_sleep(until);
            let until = until.unwrap_or(self.horizon).min(self.horizon);
            self.now = self.now.max(until) + u32::from(self.fault() / 64);
        }
    }

    fn accept(&mut self, _: usize) -> Accept<Stream> {
        let fault = self.fault();
        let Some(index) = self.waiting.front().copied() else {
            return Accept::Empty;
        };
        match fault {
            240.. => return Accept::Exhausted,
            224.. => return Accept::Again,
            _ => self.waiting.pop_front(),
        };
        let socket = &mut self.sockets[index];
        socket.accepted = true;
        Accept::Connection(
            Stream {
                socket: index,
                closed: socket.closed.clone(),
            },
            socket.peer,
        )
    }

    fn turn_away(&mut self, _: usize, last_words: &[u8]) -> TurnAway {
        if self.fault() > 200 {
            return TurnAway::Failed;
        }
        let Some(index) = self.waiting.pop_front() else {
            return TurnAway::Empty;
        };
        let socket = &mut self.sockets[index];
        socket.outgoing.extend(last_words);
        socket.server_shut = true;
        TurnAway::Done
    }

    fn register(&mut self, stream: &mut Stream, id: ConnId) -> bool {
        let is_watched = self.fault() < 248;
        let socket = &mut self.sockets[stream.socket];
        socket.watched = is_watched.then_some(id);
        socket.writable = true;
        is_watched
    }

    fn read(&mut self, stream: &mut Stream, buffer: &mut [u8]) -> Read {
        let fault = self.fault();
        let is_blocked = fault >= 224;
        let socket = &mut self.sockets[stream.socket];
        if socket.reset {
            return Read::Gone;
        }
        socket.is_short = (216..224).contains(&fault);
        if socket.is_short {
            return Read::Retry;
        }
        if is_blocked && (!socket.arrived.is_empty() || socket.end_arrived) {
            socket.readable = true;
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
        socket.unread_since = None;
        Read::Bytes(count)
    }

    fn write(&mut self, stream: &mut Stream, bytes: &[u8]) -> Write {
        self.write_bytes(stream, bytes)
    }

    fn write_vectored(&mut self, stream: &mut Stream, slices: &[IoSlice<'_>]) -> Write {
        let bytes: Vec<u8> = slices.iter().flat_map(|slice| slice.to_vec()).collect();
        self.write_bytes(stream, &bytes)
    }

    fn shutdown_write(&mut self, stream: &mut Stream) {
        self.sockets[stream.socket].server_shut = true;
    }

    fn has_unsent(&self, stream: &Stream) -> bool {
        let socket = &self.sockets[stream.socket];
        !socket.reset && !socket.outgoing.is_empty()
    }

    fn reset(&mut self, stream: &mut Stream) {
        let socket = &mut self.sockets[stream.socket];
        socket.server_reset = true;
        socket.outgoing.clear();
    }

    fn stop_listening(&mut self, _but: &[usize]) {
        self.listening = false;
        for index in std::mem::take(&mut self.waiting) {
            self.reset(index);
        }
    }
}
