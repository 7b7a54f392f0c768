//! Why a connection's next request cannot be taken yet, and what is kept of its input meanwhile.
//! Knows no request and no phase: `state.rs` decides when a connection is held and what follows.

use crate::carry::carried;
use crate::id::Tick;

/// What a held connection waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// A room of which the store has not answered whether it knows it.
    Opening,
    /// Entries that the store was asked for.
    Page,
    /// The store, to keep some of the many entries that the peer has sent.
    Acknowledgement,
    /// A number for what the peer has sent: the store accepts nothing at the moment.
    Number,
    /// The peer, to accept the replies that it has asked for.
    Outbox,
    /// A password that is being hashed or verified.
    Password,
    /// A shared engine, to number what the peer has said before.
    Order,
    /// A shared engine, to say whether a nick is another server's.
    Nick,
}

impl Wait {
    const fn bit(self) -> u8 {
        1 << self as u8
    }
}

/// Several of them at once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Waits(u8);

impl Waits {
    /// What the peer cannot end, so that the wait has a deadline of its own.
    const OF_STORE: u8 = !Wait::Outbox.bit();

    pub const fn has(self, wait: Wait) -> bool {
        self.0 & wait.bit() != 0
    }

    const fn is_empty(self) -> bool {
        self.0 == 0
    }

    const fn of_store(self) -> Self {
        Self(self.0 & Self::OF_STORE)
    }
}

/// A connection that is held, or was and has not been read since.
pub struct Held {
    waits: Waits,
    /// Input that was read and not decoded. One read brings at most 16 KiB, and what came behind
    /// the head of an upgrade is no longer than that head may be.
    input: Vec<u8>,
    /// From when on the deadlines of the peer stand still because of this.
    since: Tick,
    /// When the store has taken too long.
    until: Option<Tick>,
}

impl Held {
    /// One that waits for nothing yet.
    pub(super) const fn new() -> Self {
        Self {
            waits: Waits(0),
            input: Vec::new(),
            since: Tick(0),
            until: None,
        }
    }

    pub(super) const fn waits(&self) -> Waits {
        self.waits
    }

    pub(super) const fn is_waiting(&self) -> bool {
        !self.waits.is_empty()
    }

    pub(super) const fn until(&self) -> Option<Tick> {
        self.until
    }

    /// Adds a wait. `until`: when it has lasted too long, if it is one for the store.
    pub(super) fn add(&mut self, wait: Wait, until: Tick) {
        self.waits.0 |= wait.bit();
        if !self.waits.of_store().is_empty() {
            self.until.get_or_insert(until);
        }
    }

    /// A wait is over. True: it was the last.
    pub(super) fn remove(&mut self, wait: Wait) -> bool {
        let had = self.is_waiting();
        self.waits.0 &= !wait.bit();
        if self.waits.of_store().is_empty() {
            self.until = None;
        }
        had && !self.is_waiting()
    }

    /// Ends the waits for the store if they have lasted too long, and returns them.
    pub(super) fn give_up(&mut self, now: Tick) -> Option<Waits> {
        self.until.take_if(|until| *until <= now)?;
        let waits = self.waits.of_store();
        self.waits.0 &= !Waits::OF_STORE;
        Some(waits)
    }

    /// The deadlines of the peer stand still from here on: now, or when they no longer do so because
    /// of a pause.
    pub(super) fn begins_at(&mut self, since: Tick) {
        self.since = since;
    }

    /// For how long the connection has made the deadlines of the peer stand still.
    pub(super) const fn lasted(&self, now: Tick) -> u32 {
        now.0.saturating_sub(self.since.0)
    }

    pub(super) fn keep(&mut self, input: &[u8]) {
        self.input.extend_from_slice(input);
    }

    pub(super) fn input(&self) -> &[u8] {
        &self.input
    }

    pub(super) fn into_input(self) -> Vec<u8> {
        self.input
    }

    pub(super) const fn held_bytes(&self) -> usize {
        size_of::<Self>() + self.input.capacity()
    }
}

carried!(struct Waits(bits));
carried!(struct Held { waits, input, since, until });
