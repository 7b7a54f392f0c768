//! One process's connections and the loop over them. Obeys commands and counts what happens; how
//! long anything lasts is for the caller to say.
//!
//! Each file below has one job: `opening` and `churn` begin connections, `receiving` reads them,
//! `sending` writes, `securing` is about TLS, `talking` plays the chat, `programs` and `paging` play
//! what only clients of `parlor.v1.json` do, `leaving` ends connections. `slots` is the table.

mod churn;
mod leaving;
mod opening;
mod paging;
mod programs;
mod receiving;
mod securing;
mod sending;
mod slots;
mod talking;
#[cfg(test)]
mod tests;

use super::client::Client;
use super::measure;
use super::options::{Options, Protocol, Scenario, Share};
use super::talk::Talk;
use super::tally::{Count, Tally, Time};
use super::target;
use super::timeouts::Timeouts;
use super::tls::Connector;
use crate::id::ConnId;
use crate::net::Ready;
use crate::net::dial::{Dialer, Micros, Target};
use churn::Churn;
use leaving::Leaving;
use opening::Opening;
use programs::Programs;
use sending::Masks;
use slots::Slots;
use std::io;
use std::mem;
use std::ops::Range;

/// The longest time from the beginning of a connection to the upgrade.
pub(super) const CONNECT_MICROS_MAX: Micros = 10_000_000;
/// The longest time that a server may take to end a connection after a close frame.
pub(super) const LEAVE_MICROS_MAX: Micros = 3_000_000;
/// Connections begun, or churn steps taken, between two polls, so that open connections are read.
const STEPS_PER_TURN: usize = 32;
/// One read; all connections share the buffer.
const READ_BYTES: usize = 128 * 1024;
const HOUSEKEEPING_MICROS: Micros = 100_000;

/// What a worker is commanded to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Command {
    /// Open connections until all processes together have begun so many.
    Open(usize),
    /// Begin to send messages, or to close and open connections.
    Begin,
    /// Count from here on.
    Count,
    /// Stop counting, sending, closing and opening.
    Stop,
    /// Slow members read again, to see what has become of them.
    Wake,
    /// Speakers say all their messages.
    Say,
    /// Drop all connections but those of the speakers.
    Vanish,
    /// Open these connections again.
    Return,
    /// One message more in each room.
    SayLast,
    /// Close all connections.
    Leave,
}

/// The loop and everything that it works on.
pub(super) struct Worker {
    options: Options,
    dialer: Dialer,
    target: Target,
    /// With `wss://`.
    connector: Option<Connector>,
    /// The part of all processes' connections that this process opens.
    ours: Range<usize>,
    slots: Slots<Client>,
    opening: Opening,
    connects: Timeouts,
    farewells: Timeouts,
    talk: Option<Talk>,
    churn: Option<Churn>,
    /// With `parlor.v1.json`.
    programs: Option<Programs>,
    leaving: Leaving,
    /// Slow members do not read.
    are_slow_deaf: bool,
    counting: Option<Counting>,
    housekept: Micros,
    /// When the last wait for events ended.
    woke: Option<Micros>,
    masks: Masks,
    ready: Vec<Ready>,
    /// Connections with more to read than one turn takes.
    unread: Vec<Ready>,
    buffer: Vec<u8>,
    /// What was in the records that arrived.
    opened: Vec<u8>,
    message: Vec<u8>,
    tally: Tally,
}

/// When counting began, and the process's CPU time then.
#[derive(Clone, Copy)]
struct Counting {
    since: Micros,
    own_cpu_nanos: Option<u64>,
}

impl Worker {
    /// # Errors
    /// The host's name is unknown, or the system gives no poll.
    pub(super) fn new(options: Options) -> io::Result<Self> {
        let target = target(&options)?;
        let share = options.share.unwrap_or(Share { index: 0, of: 1 });
        let part = |whole: usize| {
            let at = |index: usize| whole * index / share.of;
            at(share.index)..at(share.index + 1)
        };
        let mut talk = None;
        let ours = if options.scenario.talks() {
            let rooms = part(options.rooms);
            talk = Some(Talk::new(&options, rooms.start, rooms.len()));
            rooms.start * options.members..rooms.end * options.members
        } else {
            part(options.total())
        };
        Ok(Self {
            dialer: Dialer::new()?,
            target,
            connector: Connector::of(&options)?,
            programs: (options.protocol == Protocol::Json)
                .then(|| Programs::new(&options, ours.len())),
            slots: Slots::new(ours.len()),
            ours,
            opening: Opening::none(),
            connects: Timeouts::new(CONNECT_MICROS_MAX),
            farewells: Timeouts::new(LEAVE_MICROS_MAX),
            talk,
            churn: None,
            leaving: Leaving::default(),
            are_slow_deaf: false,
            counting: None,
            housekept: 0,
            woke: None,
            masks: Masks::new()?,
            ready: Vec::new(),
            unread: Vec::new(),
            buffer: vec![0; READ_BYTES],
            opened: Vec::new(),
            message: Vec::new(),
            tally: Tally::default(),
            options,
        })
    }

    pub(super) fn now(&self) -> Micros {
        self.dialer.now()
    }

    pub(super) fn obey(&mut self, command: Command) {
        let now = self.now();
        self.tally.counts.add(Count::Obeyed, 1);
        match command {
            Command::Open(total) => self.open_until(total, now),
            Command::Begin if self.options.scenario == Scenario::Churn => {
                self.churn = Some(Churn::new(now, self.per_second(self.options.churn_rate)));
            }
            Command::Begin if self.options.scenario == Scenario::History => self.begin_paging(),
            Command::Begin => {
                self.are_slow_deaf = true;
                if let Some(talk) = &mut self.talk {
                    talk.begin(now);
                }
            }
            Command::Count => {
                self.counting = Some(Counting {
                    since: now,
                    own_cpu_nanos: measure::own_cpu_nanos(),
                });
                if let Some(talk) = &mut self.talk {
                    talk.count();
                }
            }
            Command::Stop => self.stop(now),
            Command::Wake => self.wake(),
            Command::Say => self.say_all(),
            Command::Vanish => self.vanish(),
            Command::Return => self.open_again(now),
            Command::SayLast => self.say_last(),
            Command::Leave => {
                self.give_up_opening();
                if let Some(churn) = &mut self.churn {
                    churn.stop();
                }
                self.leaving.begin();
            }
        }
    }

    fn stop(&mut self, now: Micros) {
        if let Some(counting) = self.counting.take() {
            let counts = &mut self.tally.counts;
            counts.set(Count::CountedMicros, now - counting.since);
            if let (Some(before), Some(after)) = (counting.own_cpu_nanos, measure::own_cpu_nanos())
            {
                counts.set(Count::OwnCpuNanos, after.saturating_sub(before));
            }
        }
        if let Some(talk) = &mut self.talk {
            talk.stop();
        }
        self.stop_paging();
        if let Some(churn) = &mut self.churn {
            churn.stop();
        }
    }

    /// Everything that was counted so far.
    pub(super) fn tally(&self) -> &Tally {
        &self.tally
    }

    /// Turns until the moment has come.
    pub(super) fn run(&mut self, until: Micros) {
        loop {
            self.turn(until);
            if self.now() >= until {
                return;
            }
        }
    }

    fn turn(&mut self, until: Micros) {
        let wake = if self.unread.is_empty() {
            until.min(self.next_due())
        } else {
            0
        };
        let mut ready = mem::take(&mut self.ready);
        ready.append(&mut self.unread);
        let exactly = self.next_exactly_due();
        self.note_turn();
        self.dialer.poll(wake, exactly, &mut ready);
        self.woke = Some(self.now());
        for event in ready.drain(..) {
            self.take_event(event);
        }
        self.ready = ready;
        let now = self.now();
        self.open_due(now);
        self.churn_due(now);
        self.say_due(now);
        self.leave_due();
        self.keep_house(now);
    }

    /// The turn ends and the next wait for events begins.
    fn note_turn(&mut self) {
        let now = self.now();
        let Some(woke) = self.woke.take() else { return };
        self.tally.record(Time::Turn, now - woke);
        if let Some(counting) = self.counting {
            let busy = now.saturating_sub(woke.max(counting.since));
            self.tally.counts.add(Count::BusyMicros, busy);
        }
    }

    /// The moment by which a wait for events must end.
    fn next_due(&self) -> Micros {
        if self.leaving.is_more_allowed() {
            return 0;
        }
        self.housekept + HOUSEKEEPING_MICROS
    }

    /// When the next message, connection or churn step is due. Their latencies count from that
    /// moment, so the granularity of a poll would be part of them.
    fn next_exactly_due(&self) -> Option<Micros> {
        let message = self.talk.as_ref().and_then(Talk::due);
        let step = self.churn.as_ref().and_then(Churn::due);
        [message, step, self.opening.due()]
            .into_iter()
            .flatten()
            .min()
    }

    /// This process's part of a rate.
    fn per_second(&self, rate: u32) -> f64 {
        let of = self.options.share.map_or(1, |share| share.of);
        f64::from(rate) / of as f64
    }

    fn room_of(&self, slot: usize) -> usize {
        let number = self.ours.start + slot;
        if self.options.scenario.talks() {
            number / self.options.members
        } else {
            number % self.options.rooms
        }
    }

    /// A member that will stop reading.
    fn is_slow(&self, slot: usize) -> bool {
        let Options { members, .. } = self.options;
        self.options.slow_members() > 0 && slot % members >= members - self.options.slow_members()
    }

    /// A slow member that has stopped reading.
    fn is_deaf(&self, slot: usize) -> bool {
        self.are_slow_deaf && self.is_slow(slot)
    }

    /// Slow members read again: behind all the messages that they have not read are the server's
    /// close frame and the end of the connection.
    fn wake(&mut self) {
        self.are_slow_deaf = false;
        for slot in 0..self.slots.len() {
            if self.is_slow(slot)
                && let Some((id, _)) = self.slots.at(slot)
            {
                self.unread.push(Ready::Connection {
                    id,
                    readable: true,
                    writable: false,
                    ended: true,
                });
            }
        }
    }

    fn change(&mut self, gauge: Count, by: i64) {
        let value = self.tally.counts.of(gauge).saturating_add_signed(by);
        self.tally.counts.set(gauge, value);
    }

    /// Gives up what has taken too long.
    fn keep_house(&mut self, now: Micros) {
        if now < self.housekept + HOUSEKEEPING_MICROS {
            return;
        }
        self.housekept = now;
        while let Some(id) = self.connects.expired(now) {
            self.give_up_connect(id, now);
        }
        while let Some(id) = self.farewells.expired(now) {
            self.give_up_farewell(id, now);
        }
        if let Some(talk) = &mut self.talk {
            talk.give_up(now);
        }
        self.ask_again(now);
    }

    fn slot(id: ConnId) -> usize {
        id.slot() as usize
    }
}
