//! Connections that speak TLS: what comes is opened before it is handled, and what goes is sealed
//! before it is written. Stands between the sockets and `receive.rs` and `flush.rs`, which know only
//! the data; what a record is knows `crate::tls`.
//!
//! A handshake costs more than anything else that a stranger can ask for, so a turn has a budget of
//! hellos: the others stay unread, and their connections readable.

use super::Server;
use super::connection::{Connection, Source};
use crate::conn::Outbox;
use crate::http::Refusal;
use crate::id::{ConnId, Tick};
use crate::net::{Net, Read, Write};
use crate::tls::{
    Acceptor, Failure, HANDSHAKE, Identities, Opened, RECORD_BYTES_MAX, RECORD_PLAIN_MAX, Tls,
    Unsealable,
};
use std::mem;

/// Hellos of clients that are answered in one turn. Each takes some 130 µs, so that members wait for
/// 3 ms at most; 4,500 a second without a budget had them wait for 79.
const HELLOS_PER_TURN: usize = 20;

/// A part of a record, and as much again as is read at once.
const INPUT_BYTES: usize = 2 * RECORD_BYTES_MAX;

/// What all connections that speak TLS share.
#[derive(Default)]
pub(super) struct Records {
    /// `None`: TLS is spoken nowhere.
    acceptor: Option<Acceptor>,
    listeners: Vec<usize>,
    hellos_left: usize,
    /// What is read. Empty until it is needed.
    input: Vec<u8>,
    /// What is sealed next, if it is several frames, and the record.
    plain: Vec<u8>,
    sealed: Vec<u8>,
}

impl Records {
    pub(super) fn is_at(&self, listener: usize) -> bool {
        self.listeners.contains(&listener)
    }

    /// What a connection begins with that came to this listener.
    pub(super) fn transport(&self, listener: usize) -> Option<Box<Tls>> {
        if !self.is_at(listener) {
            return None;
        }
        let acceptor = self.acceptor.as_ref();
        acceptor.and_then(Tls::new).map(Box::new)
    }

    /// A turn begins.
    pub(super) const fn renew(&mut self) {
        self.hellos_left = HELLOS_PER_TURN;
    }
}

/// What came of reading.
pub(super) enum Came {
    /// So many bytes of data. `is_all`: an event reports when there is more.
    Data { count: usize, is_all: bool },
    /// None, and no event reports it: to be read in the next turn.
    Later,
    /// The connection has been dealt with.
    Over,
    /// As from the socket, and no data.
    Socket(Read),
}

impl<N: Net> Server<N> {
    /// Speaks TLS with the connections from these listeners. To be called before the first turn.
    pub fn serve_tls(&mut self, listeners: Vec<usize>, acceptor: Acceptor) {
        self.records.acceptor = Some(acceptor);
        self.records.listeners = listeners;
    }

    /// Presents these certificates from here on.
    pub(super) fn set_identities(&mut self, identities: Identities) {
        if let Some(acceptor) = &mut self.records.acceptor {
            acceptor.set_identities(identities);
        }
    }

    /// Reads from a connection, through its transport if it has one. `window` is where the data goes.
    pub(super) fn read(&mut self, id: ConnId, window: &mut [u8], now: Tick) -> Came {
        let Some(connection) = self.connections.get_mut(id) else {
            return Came::Over;
        };
        // A header of the PROXY protocol comes before TLS.
        let is_unnamed = matches!(connection.source, Source::Unnamed(_));
        match &connection.transport {
            Some(tls) if !tls.is_over() && !is_unnamed => self.read_records(id, window, now),
            // What follows the end of TLS is only read to be discarded.
            Some(_) | None => match self.net.read(&mut connection.stream, window) {
                Read::Bytes(count) => {
                    // A short read has emptied the socket, unless its end is still to be read.
                    let is_all = count < window.len() && !connection.has_ended();
                    Came::Data { count, is_all }
                }
                other => Came::Socket(other),
            },
        }
    }

    fn read_records(&mut self, id: ConnId, window: &mut [u8], now: Tick) -> Came {
        let mut input = mem::take(&mut self.records.input);
        let mut sealed = mem::take(&mut self.records.sealed);
        input.resize(INPUT_BYTES, 0);
        sealed.clear();
        let was_shaking = self.connections.get_mut(id).is_some_and(|c| c.is_shaking());
        let (came, opened) = self.open_records(id, window, &mut input, &mut sealed);
        if was_shaking {
            self.count_handshake(id, &came, now);
        }
        if !sealed.is_empty()
            && let Some(connection) = self.connections.get_mut(id)
        {
            connection.state.outbox.push_sealed(&sealed);
            self.connections.mark_dirty(id);
        }
        self.records.input = input;
        self.records.sealed = sealed;
        match opened {
            Some(Opened::Failed(why)) => {
                self.tls_failed(id, why, now);
                Came::Over
            }
            Some(Opened::End) => Came::Socket(Read::End),
            Some(Opened::Data | Opened::More) | None => came,
        }
    }

    /// Opens what was kept and, if that is no data, reads. An end or a failure is returned by the next
    /// call if there is data before it. Not more is read than what is handled next: a connection that
    /// is held then leaves the rest in its socket.
    fn open_records(
        &mut self,
        id: ConnId,
        window: &mut [u8],
        input: &mut [u8],
        sealed: &mut Vec<u8>,
    ) -> (Came, Option<Opened>) {
        let Some(connection) = self.connections.get_mut(id) else {
            return (Came::Over, None);
        };
        let has_ended = connection.has_ended();
        let Connection {
            stream, transport, ..
        } = connection;
        let Some(tls) = transport else {
            return (Came::Over, None);
        };
        if tls.awaits_hello() && self.records.hellos_left == 0 {
            return (Came::Later, None);
        }
        let mut filled = tls.take(window);
        if filled == 0
            && let Some(pending) = tls.take_pending()
        {
            return (Came::Over, Some(pending));
        }
        let parked = tls.unpark();
        let mut len = parked.len();
        input[..len].copy_from_slice(&parked);
        drop(parked);
        // What was parked may be opened before anything is read.
        let mut is_all = false;
        loop {
            if filled == window.len() {
                is_all = false;
                break;
            }
            let awaits_hello = tls.awaits_hello();
            let (used, opened) = tls.open(&mut input[..len], sealed);
            if awaits_hello && used > 0 {
                self.records.hellos_left = self.records.hellos_left.saturating_sub(1);
            }
            input.copy_within(used..len, 0);
            len -= used;
            match opened {
                Opened::Data => filled += tls.take(&mut window[filled..]),
                Opened::End | Opened::Failed(_) if filled > 0 => {
                    tls.keep_pending(opened);
                    is_all = false;
                    break;
                }
                Opened::End | Opened::Failed(_) => return (Came::Over, Some(opened)),
                Opened::More if is_all || filled > 0 => break,
                Opened::More => match self.net.read(stream, &mut input[len..]) {
                    Read::Bytes(count) => {
                        if tls.awaits_hello() && len == 0 && input[0] != HANDSHAKE {
                            return (Came::Over, Some(Opened::Failed(Failure::NotTls)));
                        }
                        is_all = count < input.len() - len && !has_ended;
                        len += count;
                    }
                    other => {
                        tls.park(&input[..len]);
                        return (Came::Socket(other), None);
                    }
                },
            }
        }
        tls.park(&input[..len]);
        let is_all = is_all && !tls.has_data();
        if filled == 0 {
            return (Came::Socket(Read::Blocked), None);
        }
        let count = filled;
        (Came::Data { count, is_all }, None)
    }

    /// Bytes that came behind a header of the PROXY protocol, and are the first of TLS. False: the
    /// connection speaks none.
    pub(super) fn begins_tls(&mut self, id: ConnId, bytes: &[u8]) -> bool {
        let Some(connection) = self.connections.get_mut(id) else {
            return false;
        };
        let Some(tls) = &mut connection.transport else {
            return false;
        };
        tls.park(bytes);
        self.connections.mark_readable(id);
        true
    }

    /// After a connection was read: a part of a record has the deadline of a message.
    pub(super) fn was_read(&mut self, id: ConnId, now: Tick) {
        let Some(connection) = self.connections.get_mut(id) else {
            return;
        };
        let Some(tls) = &connection.transport else {
            return;
        };
        if connection.state.keeps_record(tls.has_parked(), now) {
            self.advance(id);
        }
    }

    /// Counts a handshake that is over.
    fn count_handshake(&mut self, id: ConnId, came: &Came, now: Tick) {
        let Some(connection) = self.connections.get_mut(id) else {
            return;
        };
        let Some(tls) = &connection.transport else {
            return;
        };
        if matches!(came, Came::Socket(Read::End)) && tls.is_shaking() {
            self.tallies.tls_failures.count(Failure::Abandoned.label());
        } else if tls.may_close() {
            self.tallies.handshakes.count(tls.handshake().label());
            self.trimming.was_freed(now);
        }
    }

    /// A connection cannot go on. What says why is queued; nothing else can be.
    pub(super) fn tls_failed(&mut self, id: ConnId, why: Failure, now: Tick) {
        self.tallies.tls_failures.count(why.label());
        self.log_connection(id, format_args!("fails in TLS: {}", why.label()));
        if why == Failure::NotTls {
            if let Some(connection) = self.connections.get_mut(id) {
                connection.transport = None;
            }
            return self.refuse(id, &Refusal::NotTls, now);
        }
        self.leave(id, now);
        self.abandon_tls(id, now);
    }

    /// Nothing is opened or sealed any more. What is sealed is sent, and our side is shut.
    pub(super) fn abandon_tls(&mut self, id: ConnId, now: Tick) {
        if let Some(connection) = self.connections.get_mut(id)
            && let Some(tls) = &mut connection.transport
        {
            tls.fail();
            connection.state.outbox.drop_unsealed();
        }
        self.drain(id, now);
    }

    /// Writes what was sealed or, if nothing was, seals the next frames as one record and writes that.
    /// `None`: nothing can be sealed yet.
    pub(super) fn write_record(
        net: &mut N,
        records: &mut Records,
        connection: &mut Connection<N::Stream>,
        now: Tick,
    ) -> Option<Write> {
        let Connection {
            stream,
            state,
            transport,
            ..
        } = connection;
        let tls = transport.as_mut()?;
        if let Some(rest) = state.outbox.sealed() {
            let outcome = net.write(stream, rest);
            if let Write::Bytes(count) = outcome {
                state.outbox.advance_sealed(count);
                state.accepted(now);
            }
            return Some(outcome);
        }
        if tls.is_shaking() {
            return None;
        }
        if records.seal(tls, &mut state.outbox).is_err() {
            return Some(Write::Gone);
        }
        let outcome = net.write(stream, &records.sealed);
        let count = match outcome {
            Write::Bytes(count) => count,
            Write::Blocked | Write::Retry | Write::Gone => 0,
        };
        state.outbox.push_sealed(&records.sealed[count..]);
        if count > 0 {
            state.accepted(now);
        }
        Some(outcome)
    }
}

impl Records {
    /// Before our side is shut: queues the close_notify that says so. True: it is to be flushed first.
    pub(super) fn close<S>(&mut self, connection: &mut Connection<S>) -> bool {
        let Some(tls) = &mut connection.transport else {
            return false;
        };
        self.sealed.clear();
        tls.close(&mut self.sealed);
        connection.state.outbox.push_sealed(&self.sealed);
        !self.sealed.is_empty()
    }

    /// Seals the front of what waits, as one record.
    fn seal(&mut self, tls: &mut Tls, outbox: &mut Outbox) -> Result<(), Unsealable> {
        self.sealed.clear();
        let single = outbox.single();
        let single = single.filter(|bytes| bytes.len() <= RECORD_PLAIN_MAX);
        let count = match single {
            Some(bytes) => {
                tls.seal(bytes, &mut self.sealed)?;
                bytes.len()
            }
            None => {
                self.plain.clear();
                outbox.copy_front(RECORD_PLAIN_MAX, &mut self.plain);
                tls.seal(&self.plain, &mut self.sealed)?;
                self.plain.len()
            }
        };
        outbox.advance(count);
        Ok(())
    }
}
