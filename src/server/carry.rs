//! All tables of a server as the state that another image takes over ([`crate::carry`]): in one
//! order, for both directions. What a part has is its own matter; here is what they must agree on.

use super::Server;
use super::connection::{Connection, Connections, Marks, Source, Surplus};
use crate::carry::{Carrier, Carry, Damaged, Writer, carried, open, seal};
use crate::config::Config;
use crate::conn::State;
use crate::log::{Keeping, Origin};
use crate::net::{Inherited, Net, Nowhere};
use crate::wire::Protocol;
use slab::Slab;

carried!(enum Surplus { 0 = Connections, 1 = OfAddress });
carried!(enum Source {
    0 = Uncounted,
    1 = Admin,
    2 = Monitor,
    3 = Proxy(peer),
    4 = Unnamed(peer),
    5 = Counted(address),
    6 = Surplus(surplus),
});

/// What the image that takes over must know before it has a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Preface {
    pub inherited: Inherited,
    pub origin: Origin,
    /// Of the image that has saved.
    pub version: String,
}

carried!(struct Preface { inherited, origin, version });

impl Preface {
    /// The beginning of a state, which [`Server::restore`] goes on with.
    ///
    /// # Errors
    /// It is no state that this image reads.
    pub fn of(state: &[u8]) -> Result<Self, Damaged> {
        Self::read(&mut open(state)?)
    }
}

/// Whether an image with these settings understands a state. Opens nothing.
///
/// # Errors
/// It does not; why.
pub fn examine(config: Config, state: &[u8]) -> Result<(), Damaged> {
    let keeping = Keeping::in_memory(Preface::of(state)?.origin.random());
    Server::new(config, Nowhere::default(), usize::MAX, 0, keeping).restore(state)
}

impl<N: Net> Server<N> {
    /// The state of this server, for another image.
    pub fn save(&mut self) -> Vec<u8> {
        let preface = Preface {
            inherited: self.net.inherited(),
            origin: self.log.origin(),
            version: crate::version::version(),
        };
        let mut to = Writer::default();
        preface.write(&mut to);
        let mut carrier = Carrier::Writer(to);
        let written = self.carry(self.log.has_store(), &mut carrier);
        debug_assert_eq!(written, Ok(()), "writing does not fail");
        match carrier {
            Carrier::Writer(to) => seal(to),
            Carrier::Reader(_) => Vec::new(),
        }
    }

    /// Takes over the state of an earlier image. The server is new and has no connections.
    ///
    /// # Errors
    /// It is no state that this image understands. The server cannot be used.
    pub fn restore(&mut self, state: &[u8]) -> Result<(), Damaged> {
        let mut from = open(state)?;
        let preface = Preface::read(&mut from)?;
        let mut carrier = Carrier::Reader(from);
        self.carry(preface.origin.has_store, &mut carrier)?;
        if let Carrier::Reader(from) = carrier {
            from.end()?;
        }
        self.verify()?;
        self.follow();
        Ok(())
    }

    /// `has_store`: which keeps the registry.
    fn carry(&mut self, has_store: bool, carrier: &mut Carrier<'_>) -> Result<(), Damaged> {
        self.connections.carry(&mut self.net, carrier)?;
        if !has_store {
            self.talk.chat_mut().carry_registry(carrier)?;
            self.audits.carry(carrier)?;
        }
        self.talk.chat_mut().carry(carrier)?;
        self.log.carry(carrier)?;
        carrier.field(&mut self.catch_up)?;
        carrier.field(&mut self.seats)?;
        carrier.field(&mut self.letters)?;
        self.listeners.carry(carrier)?;
        self.parked.carry(carrier)?;
        self.sessions.carry(carrier)?;
        self.accounts.carry(carrier)?;
        self.guesses.carry(carrier)?;
        self.budgets.carry(carrier)?;
        carrier.field(&mut self.pauses)?;
        self.admin.carry(carrier)?;
        self.upgrading.carry(carrier)?;
        carrier.field(&mut self.stats)?;
        self.tallies.carry(carrier)
    }

    /// What several tables must agree on.
    fn verify(&mut self) -> Result<(), Damaged> {
        let chat = self.talk.chat();
        let echoes = self.echoes;
        for (id, connection) in self.connections.iter_with_ids() {
            let is_user = chat.is_user(id);
            if is_user != (connection.state.is_open() && !echoes) {
                return Err(Damaged("a user has no connection, or a connection no user"));
            }
        }
        let open = self.connections.iter().filter(|c| c.state.is_open());
        if !echoes && open.count() != chat.user_count() {
            return Err(Damaged("a user has no connection"));
        }
        for (room, name) in chat.rooms_with_members() {
            if !self.log.is_open(room) || self.log.name(room) != name || !self.log.has_members(room)
            {
                return Err(Damaged("a room with members has no log"));
            }
        }
        let is_behind = |id, room| chat.is_member(id, room) && !chat.is_live(id, room);
        let cursors = self.catch_up.cursors();
        let mut count = 0;
        for (id, room, cursor) in cursors {
            count += 1;
            if !is_behind(id, room) || cursor > self.log.head(room) {
                return Err(Damaged("a cursor is of a member that is not behind"));
            }
        }
        if count != chat.behind_count() || !self.seats.agree(chat) {
            return Err(Damaged("a member that is behind has no cursor"));
        }
        let total = self.tallies.refusals.total();
        if total != self.stats.turned_away.saturating_add(self.stats.refused) {
            return Err(Damaged("refusals are not counted"));
        }
        Ok(())
    }

    /// What follows from the tables: counts of addresses, deadlines, what is to be done at once.
    fn follow(&mut self) {
        let now = self.net.now();
        self.changes = super::Changes::new(self.talk.chat().registry().changes());
        for id in self.connections.ids() {
            let Some(connection) = self.connections.get_mut(id) else {
                continue;
            };
            if let Some(address) = connection.source.counted_for() {
                self.addresses.enter(address, 0);
            }
            let is_drained = connection.state.outbox.is_empty();
            if connection.state.has_retries() {
                // As soon as may be: when it was to be tried again is not carried.
                self.connections.arm(id, now);
            }
            self.rearm(id);
            if is_drained {
                self.catch_up.enqueue(id);
            } else {
                self.connections.mark_dirty(id);
            }
        }
    }

    /// Watches the connections that were taken over: the system reports what came meanwhile.
    pub fn watch_inherited(&mut self) {
        for id in self.connections.ids() {
            let Some(connection) = self.connections.get_mut(id) else {
                continue;
            };
            if !self.net.register(&mut connection.stream, id) {
                self.connections.end(id);
            }
        }
    }

    /// The sockets of all connections.
    pub fn streams(&self) -> impl Iterator<Item = &N::Stream> {
        self.connections.iter().map(|connection| &connection.stream)
    }
}

impl<S> Connections<S> {
    /// Every connection in its slot, and the lists of those to go on with.
    fn carry<N: Net<Stream = S>>(
        &mut self,
        net: &mut N,
        carrier: &mut Carrier<'_>,
    ) -> Result<(), Damaged> {
        match carrier {
            Carrier::Writer(to) => {
                let slots = self.slab.iter().next_back().map_or(0, |(last, _)| last + 1);
                to.length(slots);
                for slot in 0..slots {
                    let connection = self.slab.get(slot);
                    connection.is_some().write(to);
                    if let Some(connection) = connection {
                        connection.write(net, to);
                    }
                }
            }
            Carrier::Reader(from) => {
                let mut connections = Vec::new();
                for slot in 0..from.length()? {
                    if bool::read(from)? {
                        connections.push((slot, Connection::read(net, from)?));
                    }
                }
                self.slab = connections.into_iter().collect::<Slab<_>>();
                self.aside = self
                    .slab
                    .iter()
                    .filter(|(_, c)| c.source.is_aside())
                    .count();
            }
        }
        carrier.field(&mut self.next_generation)?;
        carrier.field(&mut self.missed)?;
        let mut readable = self.lists.readable.clone();
        carrier.field(&mut readable)?;
        carrier.field(&mut self.lists.released)?;
        self.wheel.carry(carrier)?;
        if carrier.is_reading() {
            if self.next_generation == u32::MAX {
                return Err(Damaged("a generation is none"));
            }
            for id in readable {
                self.mark_readable(id);
            }
        }
        Ok(())
    }
}

impl<S> Connection<S> {
    fn write<N: Net<Stream = S>>(&self, net: &N, to: &mut Writer) {
        net.passes(&self.stream).write(to);
        (self.generation, self.source).write(to);
        self.protocol.write(to);
        self.has_ended().write(to);
        self.state.write(to);
    }

    fn read<N: Net<Stream = S>>(
        net: &mut N,
        from: &mut crate::carry::Reader<'_>,
    ) -> Result<Self, Damaged> {
        let stream = net.takes(u64::read(from)?);
        let stream = stream.ok_or(Damaged("a connection's descriptor is not there"))?;
        let (generation, source) = Carry::read(from)?;
        let protocol: Protocol = Carry::read(from)?;
        let has_ended = bool::read(from)?;
        let state = State::read(from)?;
        if generation == u32::MAX {
            return Err(Damaged("a generation is none"));
        }
        let mut connection = Self {
            stream,
            state,
            transport: None,
            source,
            generation,
            protocol,
            marks: Marks::default(),
        };
        if has_ended {
            connection.ends();
        }
        Ok(connection)
    }
}
