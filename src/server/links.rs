//! The connections to the engine that several servers share: what comes on them is given to the
//! engine, and what it has is written. Knows sockets by the seam of the net alone, and nothing of
//! what the bytes mean.

use super::Server;
use crate::id::Tick;
use crate::net::dial::Target;
use crate::net::{Net, Read, Write};
use crate::redis::{Action, Counter, Engine, Figures, Report, Which};
use log::{info, warn};

/// Reads of one connection in a turn: what is left is read in the next.
const READS_PER_TURN: usize = 16;

/// The engine, its end of the log's seam, and its two connections.
pub struct Links<S> {
    engine: Engine,
    counter: Counter,
    target: Target,
    sockets: [Option<Socket<S>>; Which::BOTH.len()],
    /// Why the engine cannot be used as it is set up.
    unfit: Option<String>,
    /// The machine's name, for operators.
    host: String,
}

struct Socket<S> {
    stream: S,
    /// The connection is established.
    is_there: bool,
    may_read: bool,
    may_write: bool,
}

impl<S> Links<S> {
    /// The engine at an address. `counter` is the other end of what the log has.
    /// `host` is shown to operators.
    pub fn new(engine: Engine, counter: Counter, target: Target, host: String) -> Self {
        Self {
            engine,
            counter,
            target,
            sockets: [None, None],
            unfit: None,
            host,
        }
    }

    /// The latest moment at which the next turn must begin; a moment past: at once.
    pub(super) fn next_tick(&self) -> Option<Tick> {
        let is_readable = |socket: &Socket<S>| socket.is_there && socket.may_read;
        if self.sockets.iter().flatten().any(is_readable) {
            return Some(Tick(0));
        }
        self.engine.next_tick()
    }

    fn fail(&mut self, which: Which, why: &str, now: Tick) {
        self.sockets[which as usize] = None;
        self.engine.failed(which, why, now);
    }

    fn hear<N: Net<Stream = S>>(&mut self, net: &mut N, buffer: &mut [u8], now: Tick) {
        for which in Which::BOTH {
            self.establish(net, which, now);
            self.read(net, which, buffer, now);
        }
        self.engine.expire(now);
        self.engine.serve(&self.counter);
    }

    /// Whether a connection that was begun is there.
    fn establish<N: Net<Stream = S>>(&mut self, net: &N, which: Which, now: Tick) {
        let Some(socket) = &mut self.sockets[which as usize] else {
            return;
        };
        if socket.is_there || !socket.may_write {
            return;
        }
        match net.dialed(&socket.stream) {
            Ok(true) => {
                socket.is_there = true;
                self.engine.connected(which, now);
            }
            Ok(false) => socket.may_write = false,
            Err(why) => self.fail(which, &why, now),
        }
    }

    fn read<N: Net<Stream = S>>(
        &mut self,
        net: &mut N,
        which: Which,
        buffer: &mut [u8],
        now: Tick,
    ) {
        for _ in 0..READS_PER_TURN {
            // What was received may have had the engine end the connection.
            let Some(socket) = &mut self.sockets[which as usize] else {
                return;
            };
            if !socket.is_there || !socket.may_read {
                return;
            }
            match net.read(&mut socket.stream, buffer) {
                Read::Bytes(count) => self.engine.received(which, &buffer[..count], now),
                Read::Blocked => socket.may_read = false,
                Read::Retry => return,
                Read::End => return self.fail(which, "it has closed the connection", now),
                Read::Gone => return self.fail(which, "the connection was lost", now),
            }
        }
    }

    /// After the log has handed over.
    fn speak<N: Net<Stream = S>>(&mut self, net: &mut N, now: Tick) {
        self.engine.serve(&self.counter);
        while let Some(action) = self.engine.next_action(now) {
            match action {
                Action::Close(which) => self.sockets[which as usize] = None,
                Action::Connect(which) => self.dial(net, which, now),
            }
        }
        for which in Which::BOTH {
            self.write(net, which, now);
        }
    }

    fn dial<N: Net<Stream = S>>(&mut self, net: &mut N, which: Which, now: Tick) {
        match net.dial(&self.target, which as usize) {
            Ok(stream) => {
                self.sockets[which as usize] = Some(Socket {
                    stream,
                    is_there: false,
                    may_read: true,
                    // An event tells.
                    may_write: false,
                });
            }
            Err(why) => self.fail(which, &why, now),
        }
    }

    fn write<N: Net<Stream = S>>(&mut self, net: &mut N, which: Which, now: Tick) {
        while let Some(socket) = &mut self.sockets[which as usize] {
            let output = self.engine.output(which);
            if output.is_empty() || !socket.is_there || !socket.may_write {
                return;
            }
            match net.write(&mut socket.stream, output) {
                Write::Bytes(count) => self.engine.written(which, count),
                Write::Blocked => socket.may_write = false,
                Write::Retry => return,
                Write::Gone => return self.fail(which, "the connection was lost", now),
            }
        }
    }

    /// Tells the operator what happened.
    fn report(&mut self) {
        for report in self.engine.reports() {
            match report {
                Report::Up { .. } => info!(target: "parlor::engine", "{report}"),
                // The owner says why, and ends the program.
                Report::Unfit(why) => self.unfit = Some(why),
                Report::Down { .. }
                | Report::Warning(_)
                | Report::Lost { .. }
                | Report::Missed { .. }
                | Report::Unreadable { .. }
                | Report::ChangesLost { .. }
                | Report::UnreadableFact { .. }
                | Report::Refused { .. } => warn!(target: "parlor::engine", "{report}"),
            }
        }
    }
}

impl<N: Net> Server<N> {
    /// Reaches the engine that the log is handed over to. To be called before the first turn.
    pub fn use_engine(&mut self, links: Links<N::Stream>) {
        self.links = Some(links);
    }

    /// Why the engine cannot be used, after [`super::Turn::Unfit`].
    pub fn unfit(&self) -> Option<&str> {
        self.links.as_ref()?.unfit.as_deref()
    }

    /// What the engine has counted; `None`: there is none.
    pub(super) fn engine_figures(&self) -> Option<Figures> {
        Some(self.links.as_ref()?.engine.figures())
    }

    pub(super) fn note_link(&mut self, link: usize, may_read: bool, may_write: bool) {
        let sockets = self.links.as_mut().map(|links| &mut links.sockets);
        if let Some(Some(socket)) = sockets.and_then(|sockets| sockets.get_mut(link)) {
            socket.may_read |= may_read;
            socket.may_write |= may_write;
        }
    }

    /// A step of the turn: what has come on the links, before the log takes the answers.
    pub(super) fn hear_links(&mut self, now: Tick) {
        self.describe_self(now);
        if let Some(links) = &mut self.links {
            links.hear(&mut self.net, &mut self.buffer, now);
        }
    }

    /// What other servers are told of this one, if it is time to tell them.
    fn describe_self(&mut self, now: Tick) {
        let wants = |links: &Links<_>| links.engine.wants_description(now);
        if !self.links.as_ref().is_some_and(wants) {
            return;
        }
        let line = self.described().line();
        if let Some(links) = &mut self.links {
            links.engine.describe(line);
        }
    }

    /// The machine's name, as far as it is known.
    pub(super) fn host(&self) -> &str {
        self.links.as_ref().map_or("", |links| &links.host)
    }

    /// Nothing that this server holds is of use any more, so that the others need not wait for the
    /// end of its lease.
    pub(super) fn leave_engine(&mut self, now: Tick) {
        if let Some(links) = &mut self.links {
            links.engine.leave();
            links.speak(&mut self.net, now);
        }
    }

    /// A step of the turn: what the log has handed over.
    pub(super) fn write_links(&mut self, now: Tick) {
        if let Some(links) = &mut self.links {
            links.speak(&mut self.net, now);
            links.report();
        }
    }
}
