//! The table of all connections with what runs alongside: deadlines, and the lists of connections
//! to read, to flush and to end. Knows frames, not what they say, nor what a state means.
//!
//! Everything that goes to a connection enters its outbox here and leaves it in `flush.rs`. Nothing
//! is removed here: [`Connections::end`] puts a connection on a list that `reap.rs` works off.

use crate::conn::outbox::{Limits, Pushed};
use crate::conn::{Deadlines, State};
use crate::frame::Frame;
use crate::http::Refusal;
use crate::id::{ConnId, Peer, Tick};
use crate::tls::Tls;
use crate::wheel::Wheel;
use crate::wire::Protocol;
use slab::Slab;
use std::mem;
use std::net::IpAddr;

/// One socket, its state, and what the server knows of it.
pub(super) struct Connection<S> {
    pub(super) stream: S,
    pub(super) state: State,
    /// What is between the socket and the state. `None`: nothing.
    pub(super) transport: Option<Box<Tls>>,
    pub(super) source: Source,
    pub(super) generation: u32,
    pub(super) protocol: Protocol,
    pub(super) marks: Marks,
}

/// Facts in one byte, since each byte counts.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Marks(u8);

impl Marks {
    /// The peer closed its side or an error is pending.
    const ENDED: u8 = 1;
    const ON_DIRTY: u8 = 2;
    const ON_READABLE: u8 = 4;
    const ON_ENDING: u8 = 8;

    const fn has(self, mark: u8) -> bool {
        self.0 & mark != 0
    }

    /// True: it was not there.
    const fn set(&mut self, mark: u8) -> bool {
        let is_new = !self.has(mark);
        self.0 |= mark;
        is_new
    }

    const fn clear(&mut self, mark: u8) {
        self.0 &= !mark;
    }
}

/// What a connection counts for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Source {
    /// For no address, and it is not limited by one.
    Uncounted,
    /// An operator's, from the admin socket.
    Admin,
    /// A monitor's, from the listener of the metrics.
    Monitor,
    /// It comes from a trusted proxy, and for what it counts is known with its request.
    Proxy(Peer),
    /// It comes from this trusted proxy, and must begin with a header of the PROXY protocol, which
    /// decides for what it counts.
    Unnamed(Peer),
    /// For this address.
    Counted(IpAddr),
    /// For no address, since it is above a limit: to be refused when its request shows how.
    Surplus(Surplus),
}

/// The limit that a connection is above.
#[derive(Clone, Copy, Debug)]
pub(super) enum Surplus {
    Connections,
    OfAddress,
}

impl Surplus {
    pub(super) const fn refusal(self) -> Refusal {
        match self {
            Self::Connections => Refusal::TooManyConnections,
            Self::OfAddress => Refusal::TooManyFromAddress,
        }
    }
}

impl Source {
    /// No client's: it is served while the server drains.
    pub(super) const fn is_aside(self) -> bool {
        matches!(self, Self::Admin | Self::Monitor)
    }

    /// The address that the connection is counted for.
    pub(super) const fn counted_for(self) -> Option<IpAddr> {
        match self {
            Self::Counted(address) => Some(address),
            Self::Uncounted
            | Self::Admin
            | Self::Monitor
            | Self::Proxy(_)
            | Self::Unnamed(_)
            | Self::Surplus(_) => None,
        }
    }
}

impl<S> Connection<S> {
    /// The connection is over, and the turn has not come to its removal.
    pub(super) const fn is_ending(&self) -> bool {
        self.marks.has(Marks::ON_ENDING)
    }

    /// The peer closed its side or an error is pending: a short read does not mean that all was
    /// read.
    pub(super) const fn has_ended(&self) -> bool {
        self.marks.has(Marks::ENDED)
    }

    /// Data can go neither way yet.
    pub(super) fn is_shaking(&self) -> bool {
        self.transport.as_ref().is_some_and(|tls| tls.is_shaking())
    }

    /// The peer has ended its side of TLS, and may wait for the end of ours.
    pub(super) fn has_tls_end(&self) -> bool {
        self.transport.as_ref().is_some_and(|tls| tls.has_ended())
    }

    /// Bytes held, in the state and in what is below it.
    pub(super) fn held_bytes(&self) -> usize {
        let below = self.transport.as_ref().map_or(0, |tls| tls.held_bytes());
        self.state.held_bytes() + below
    }

    pub(super) const fn ends(&mut self) {
        self.marks.set(Marks::ENDED);
    }
}

/// All connections. A key is used again after its connection was reaped; the generation tells
/// whose event, deadline or answer it is.
pub(super) struct Connections<S> {
    pub(super) slab: Slab<Connection<S>>,
    pub(super) wheel: Wheel,
    pub(super) next_generation: u32,
    limits: Limits,
    pub(super) lists: Lists,
    /// Messages that were dropped because a peer did not accept them, over all connections.
    pub(super) missed: u64,
    /// Connections that are no client's.
    pub(super) aside: usize,
}

/// The connections that need something this turn. Each is on each list at most once.
#[derive(Default)]
pub(super) struct Lists {
    /// Something is queued, and the socket is not known to be blocked.
    pub(super) dirty: Vec<ConnId>,
    /// There may be more to read than was read.
    pub(super) readable: Vec<ConnId>,
    /// They were held, and go on where they stopped. One may be here twice.
    pub(super) released: Vec<ConnId>,
    /// To be removed.
    pub(super) ending: Vec<ConnId>,
}

/// Capacity that a list keeps when memory is given back: what a turn of a calm server needs.
const LIST_KEPT: usize = 1024;

/// Vacant slots that are not worth giving back.
const SLOTS_KEPT: usize = 256;

impl Lists {
    /// The next turn must begin at once.
    pub(super) const fn have_work(&self) -> bool {
        !self.readable.is_empty()
            || !self.released.is_empty()
            || !self.ending.is_empty()
            || !self.dirty.is_empty()
    }

    /// One of them has the capacity for a crowd.
    pub(super) fn are_large(&self) -> bool {
        let lists = [&self.dirty, &self.readable, &self.released, &self.ending];
        lists.iter().any(|list| list.capacity() > 2 * LIST_KEPT)
    }

    pub(super) fn shrink(&mut self) {
        for list in [
            &mut self.dirty,
            &mut self.readable,
            &mut self.released,
            &mut self.ending,
        ] {
            list.shrink_to(LIST_KEPT);
        }
    }
}

impl<S> Connections<S> {
    pub(super) fn new(limits: Limits, now: Tick) -> Self {
        Self {
            slab: Slab::new(),
            wheel: Wheel::new(now),
            next_generation: 0,
            limits,
            lists: Lists::default(),
            missed: 0,
            aside: 0,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.slab.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.slab.is_empty()
    }

    /// How many are no client's.
    pub(super) const fn aside(&self) -> usize {
        self.aside
    }

    /// A new connection. Its deadline is to be armed.
    pub(super) fn insert(&mut self, stream: S, source: Source, state: State) -> ConnId {
        let generation = self.next_generation;
        // The last generation marks what is not a connection (net/mio.rs).
        self.next_generation = (generation + 1) % u32::MAX;
        self.aside += usize::from(source.is_aside());
        let slot = self.slab.insert(Connection {
            stream,
            state,
            transport: None,
            source,
            generation,
            protocol: Protocol::Plain,
            marks: Marks::default(),
        });
        ConnId::new(
            u32::try_from(slot).expect("descriptors end long before slots"),
            generation,
        )
    }

    /// Takes a connection out of the table and the wheel. Only `reap.rs` may do that.
    pub(super) fn remove(&mut self, id: ConnId) -> Option<Connection<S>> {
        self.get_mut(id)?;
        self.wheel.disarm(id.slot());
        let connection = self.slab.remove(id.slot() as usize);
        self.aside -= usize::from(connection.source.is_aside());
        // After a crowd has gone its memory should be too; the vacant entries left are few.
        if self.slab.is_empty() {
            self.slab.shrink_to_fit();
        }
        Some(connection)
    }

    /// Whether [`Connections::shrink`] gives back more than half of the slots, and not only a few.
    pub(super) fn has_slack(&self) -> bool {
        let used = self.slab.iter().next_back().map_or(0, |(last, _)| last + 1);
        self.slab.capacity() > 2 * used + SLOTS_KEPT
    }

    /// Gives back the memory of the slots behind the last that is in use. Slots keep their numbers:
    /// where connections stay open in high slots, the tables stay as long as the crowd was.
    pub(super) fn shrink(&mut self) {
        self.slab.shrink_to_fit();
        self.wheel.shrink();
    }

    /// `None` for a stale event: that connection is gone, even if its slot is in use again.
    pub(super) fn get_mut(&mut self, id: ConnId) -> Option<&mut Connection<S>> {
        let connection = self.slab.get_mut(id.slot() as usize)?;
        (connection.generation == id.generation()).then_some(connection)
    }

    /// The connection in this slot; for deadlines, which are disarmed before a slot is used again.
    pub(super) fn id_of(&self, slot: u32) -> Option<ConnId> {
        let connection = self.slab.get(slot as usize)?;
        Some(ConnId::new(slot, connection.generation))
    }

    /// Above every slot that is in use.
    pub(super) fn slots(&self) -> u32 {
        u32::try_from(self.slab.capacity()).unwrap_or(u32::MAX)
    }

    pub(super) fn ids(&self) -> Vec<ConnId> {
        let id = |(slot, connection): (usize, &Connection<S>)| {
            ConnId::new(slot as u32, connection.generation)
        };
        self.slab.iter().map(id).collect()
    }

    pub(super) fn iter_with_ids(&self) -> impl Iterator<Item = (ConnId, &Connection<S>)> {
        self.slab.iter().map(|(slot, connection)| {
            let id = ConnId::new(slot as u32, connection.generation);
            (id, connection)
        })
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Connection<S>> {
        self.slab.iter().map(|(_, connection)| connection)
    }

    pub(super) const fn limits(&self) -> Limits {
        self.limits
    }

    /// What outboxes hold beyond it stays.
    pub(super) const fn set_limits(&mut self, limits: Limits) {
        self.limits = limits;
    }

    /// Sets the connection's one deadline.
    pub(super) fn arm(&mut self, id: ConnId, due: Tick) {
        if self.get_mut(id).is_some() {
            self.wheel.arm(id.slot(), due);
        }
    }

    /// Sets the deadline unless it is earlier already.
    pub(super) fn arm_by(&mut self, id: ConnId, due: Tick) {
        if self
            .wheel
            .due(id.slot())
            .is_none_or(|earlier| due < earlier)
        {
            self.arm(id, due);
        }
    }

    /// Queues an ordinary frame, if it fits.
    pub(super) fn push(&mut self, id: ConnId, frame: Frame) -> Pushed {
        let limits = self.limits;
        let Some(connection) = self.get_mut(id) else {
            return Pushed::Queued;
        };
        let pushed = connection.state.outbox.push(frame, limits);
        if pushed == Pushed::Queued {
            self.mark_dirty(id);
        }
        pushed
    }

    /// Queues the answer to a request. True: the peer has asked for more than it accepts, and no
    /// request of it may be handled before the outbox is empty.
    #[must_use]
    pub(super) fn push_reply(&mut self, id: ConnId, frame: Frame) -> bool {
        let limits = self.limits;
        let Some(connection) = self.get_mut(id) else {
            return false;
        };
        connection.state.outbox.push_reply(frame);
        let has_many = connection.state.outbox.has_many_replies(limits);
        self.mark_dirty(id);
        has_many
    }

    /// Drops the messages that wait, to make room for a close frame.
    pub(super) fn drop_unsent(&mut self, id: ConnId) {
        let Some(connection) = self.get_mut(id) else {
            return;
        };
        let dropped = connection.state.outbox.drop_unsent();
        self.missed += u64::from(dropped);
    }

    /// Queues a frame that must not be lost: an HTTP response, a last line, a report.
    pub(super) fn push_control(&mut self, id: ConnId, frame: Frame) {
        let Some(connection) = self.get_mut(id) else {
            return;
        };
        connection.state.outbox.push_control(frame);
        self.mark_dirty(id);
    }

    /// Queues the answer to a ping, in place of an older one that was not sent.
    pub(super) fn push_pong(&mut self, id: ConnId, frame: Frame) {
        let Some(connection) = self.get_mut(id) else {
            return;
        };
        connection.state.outbox.push_pong(frame);
        self.mark_dirty(id);
    }

    /// Queues the close frame; nothing can be queued after it.
    pub(super) fn push_close(&mut self, id: ConnId, frame: Frame) {
        let Some(connection) = self.get_mut(id) else {
            return;
        };
        connection.state.outbox.push_close(frame);
        self.mark_dirty(id);
    }

    pub(super) fn mark_dirty(&mut self, id: ConnId) {
        let Some(connection) = self.get_mut(id) else {
            return;
        };
        if !connection.state.is_blocked() && connection.marks.set(Marks::ON_DIRTY) {
            self.lists.dirty.push(id);
        }
    }

    pub(super) fn mark_readable(&mut self, id: ConnId) {
        let Some(connection) = self.get_mut(id) else {
            return;
        };
        if connection.marks.set(Marks::ON_READABLE) {
            self.lists.readable.push(id);
        }
    }

    /// The connection is over; it is removed when the turn comes to it.
    pub(super) fn end(&mut self, id: ConnId) {
        let Some(connection) = self.get_mut(id) else {
            return;
        };
        connection.state.outbox.end();
        if connection.marks.set(Marks::ON_ENDING) {
            self.lists.ending.push(id);
        }
    }

    /// The connections to read in this turn. Those that are marked from here on are for the next.
    pub(super) fn take_readable(&mut self) -> Vec<ConnId> {
        let readable = mem::take(&mut self.lists.readable);
        for id in &readable {
            if let Some(connection) = self.get_mut(*id) {
                connection.marks.clear(Marks::ON_READABLE);
            }
        }
        readable
    }

    /// One connection to flush.
    pub(super) fn take_dirty(&mut self) -> Option<ConnId> {
        let id = self.lists.dirty.pop()?;
        if let Some(connection) = self.get_mut(id) {
            connection.marks.clear(Marks::ON_DIRTY);
        }
        Some(id)
    }

    /// Panics if the tables do not agree. For tests.
    pub(super) fn check_invariants(&self, lengths: &Deadlines) {
        self.wheel.check_invariants();
        for (slot, connection) in &self.slab {
            connection.state.outbox.check_invariants();
            // One that comes earlier is none: the state says so, and arms its own again.
            let wanted = connection.state.due(slot as u32, lengths);
            let armed = self.wheel.due(slot as u32);
            assert!(
                armed.is_some_and(|armed| armed <= wanted) || connection.is_ending(),
                "connection {slot} has armed {armed:?}, its state wants {wanted:?}"
            );
            let waiting = !connection.state.outbox.is_empty() && !connection.is_ending();
            assert!(
                !waiting || connection.state.is_blocked() || connection.marks.has(Marks::ON_DIRTY),
                "connection {slot} has frames that will not be flushed"
            );
        }
        assert!(
            self.wheel.len() <= self.slab.len(),
            "a deadline without a connection"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conn::Settings;

    fn connections() -> Connections<()> {
        Connections::new(
            Limits {
                frames_max: 2,
                bytes_max: 100,
            },
            Tick(0),
        )
    }

    fn insert(connections: &mut Connections<()>) -> ConnId {
        let lengths = Deadlines::new(&Settings::default(), crate::rate::Rate::new(10, 20));
        connections.insert((), Source::Uncounted, State::new(&lengths, Tick(0)))
    }

    /// The order of a turn makes this unreachable from outside, so it is shown here.
    #[test]
    fn a_stale_id_does_not_reach_the_next_owner_of_its_slot() {
        let mut connections = connections();
        let old = insert(&mut connections);
        connections.remove(old);
        let new = insert(&mut connections);
        assert_eq!(old.slot(), new.slot());
        assert!(connections.get_mut(old).is_none());
        assert!(connections.get_mut(new).is_some());
        connections.arm(old, Tick(5));
        assert_eq!(connections.wheel.due(new.slot()), None);
        connections.end(old);
        assert!(connections.lists.ending.is_empty());
        assert!(connections.remove(old).is_none());
    }

    #[test]
    fn a_connection_is_on_each_list_once() {
        let mut connections = connections();
        let id = insert(&mut connections);
        for _ in 0..2 {
            connections.mark_dirty(id);
            connections.mark_readable(id);
            connections.end(id);
        }
        assert_eq!(connections.lists.dirty, [id]);
        assert_eq!(connections.lists.readable, [id]);
        assert_eq!(connections.lists.ending, [id]);
    }

    #[test]
    fn slots_of_a_crowd_are_given_back_and_the_first_connections_keep_theirs() {
        let mut connections = connections();
        let ids: Vec<ConnId> = (0..5_000).map(|_| insert(&mut connections)).collect();
        for id in &ids {
            connections.arm(*id, Tick(100));
        }
        for id in &ids[100..] {
            connections.remove(*id);
        }
        assert!(connections.has_slack());
        connections.shrink();
        assert!(!connections.has_slack());
        assert!(connections.slab.capacity() <= 128);
        assert!(
            ids[..100]
                .iter()
                .all(|id| connections.get_mut(*id).is_some())
        );
        let next = insert(&mut connections);
        assert_eq!(next.slot(), 100);
        assert_eq!(connections.wheel.len(), 100);
    }

    #[test]
    fn a_list_shrinks_after_a_crowd_was_on_it() {
        let mut lists = Lists::default();
        lists.dirty.reserve(100);
        assert!(!lists.are_large());
        lists.dirty.reserve(5000);
        assert!(lists.are_large());
        lists.shrink();
        assert!(!lists.are_large());
    }

    /// The memory promise: 300 bytes for an idle joined connection without TLS, this being the
    /// largest part.
    #[test]
    fn a_connection_is_small() {
        assert!(size_of::<Connection<crate::net::mio::Stream>>() <= 168);
    }
}
