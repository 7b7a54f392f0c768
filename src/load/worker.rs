//! One process's connections and the loop that turns them. Obeys commands, counts what happens,
//! and decides nothing: how long anything lasts is for whoever commands it to say.

use super::client::{Answer, Client, Phase, Request};
use super::inbound::{self, Front};
use super::marker;
use super::options::{Options, Scenario, Share};
use super::talk::{Heard, Talk};
use super::tally::{Count, Tally};
use super::url::{self, Place};
use crate::frame::Frame;
use crate::id::ConnId;
use crate::net::dial::{DialError, Dialer, Micros, Target};
use crate::net::{Read, Ready, Write};
use std::collections::VecDeque;
use std::io;
use std::mem;
use std::net::{IpAddr, Ipv4Addr};
use std::ops::Range;

/// From the first step of a connection to the upgrade.
pub(super) const CONNECT_MICROS_MAX: Micros = 10_000_000;
/// How long a server may take to end a connection after our close frame.
pub(super) const LEAVE_MICROS_MAX: Micros = 3_000_000;
/// Connections begun between two polls, so that those that are there are not kept waiting.
const DIALS_PER_TURN: usize = 32;
/// Goodbyes that are unanswered at the same time when all leave: a server that has to tell others
/// of every one is given the time to.
const LEAVING_MAX: usize = 256;
/// Reads of one connection between two polls.
const READS_PER_TURN: usize = 8;
/// One read; all connections share the buffer.
const READ_BYTES: usize = 128 * 1024;
/// What may wait to be sent on one connection; then its messages are held back.
const UNSENT_BYTES_MAX: usize = 4 << 20;
/// A member that is to be slow gets no more than this from its own kernel before it is felt.
const SLOW_RECEIVE_BYTES: usize = 4096;
const HOUSEKEEPING_MICROS: Micros = 100_000;

/// What a worker is told to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Command {
    /// Open connections until all processes together have begun so many.
    Open(usize),
    /// Begin to talk, or to leave and join.
    Begin,
    /// From here on it counts.
    Count,
    /// To here it counted; stop talking, or leaving and joining.
    Stop,
    /// Members that have stopped reading read again, to see what has become of them.
    Wake,
    /// Leave with all connections.
    Leave,
}

/// The loop and everything it works on.
pub(super) struct Worker {
    options: Options,
    dialer: Dialer,
    target: Target,
    /// Which of all processes' connections are ours.
    ours: Range<usize>,
    slots: Vec<Slot>,
    opening: Opening,
    /// What is given up when it takes too long, in the order of its time.
    dials: VecDeque<(Micros, ConnId)>,
    farewells: VecDeque<(Micros, ConnId)>,
    talk: Option<Talk>,
    churn: Option<Churn>,
    /// All are to leave; those from this slot on have not been told.
    leaving_from: Option<usize>,
    /// Who has been told goodbye and is still there.
    leaving: usize,
    /// Members that are to be slow do not read.
    are_slow_deaf: bool,
    counting_since: Option<Micros>,
    housekept: Micros,
    random: u64,
    ready: Vec<Ready>,
    /// Who has more to read than one turn takes.
    unread: Vec<Ready>,
    buffer: Vec<u8>,
    message: Vec<u8>,
    tally: Tally,
}

#[derive(Default)]
struct Slot {
    generation: u32,
    client: Option<Client>,
}

/// Which connections are still to be begun.
struct Opening {
    since: Micros,
    /// Begun since then, which says when the next one is due.
    count: u64,
    next: usize,
    until: usize,
}

/// Leaves and joins.
struct Churn {
    begun: Micros,
    count: u64,
    next: usize,
    is_going_on: bool,
}

impl Worker {
    /// # Errors
    /// A name that is not known, or no poll.
    pub(super) fn new(options: Options) -> io::Result<Self> {
        let target = match &options.url.place {
            Place::Host { name, port } => Target::resolve(name, *port)?,
            Place::Socket(path) => Target::Unix(path.clone()),
        };
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
            part(options.connections)
        };
        let mut seed = [0; 8];
        getrandom::fill(&mut seed)
            .map_err(|error| io::Error::other(format!("no random numbers: {error}")))?;
        Ok(Self {
            dialer: Dialer::new()?,
            target,
            slots: ours.clone().map(|_| Slot::default()).collect(),
            ours,
            opening: Opening {
                since: 0,
                count: 0,
                next: 0,
                until: 0,
            },
            dials: VecDeque::new(),
            farewells: VecDeque::new(),
            talk,
            churn: None,
            leaving_from: None,
            leaving: 0,
            are_slow_deaf: false,
            counting_since: None,
            housekept: 0,
            random: u64::from_ne_bytes(seed) | 1,
            ready: Vec::new(),
            unread: Vec::new(),
            buffer: vec![0; READ_BYTES],
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
                self.churn = Some(Churn {
                    begun: now,
                    count: 0,
                    next: 0,
                    is_going_on: true,
                });
            }
            Command::Begin => {
                self.are_slow_deaf = true;
                if let Some(talk) = &mut self.talk {
                    talk.begin(now);
                }
            }
            Command::Count => {
                self.counting_since = Some(now);
                if let Some(talk) = &mut self.talk {
                    talk.count();
                }
            }
            Command::Stop => {
                if let Some(since) = self.counting_since.take() {
                    self.tally.counts.set(Count::CountedMicros, now - since);
                }
                if let Some(talk) = &mut self.talk {
                    talk.stop();
                }
                if let Some(churn) = &mut self.churn {
                    churn.is_going_on = false;
                }
            }
            Command::Wake => self.wake(),
            Command::Leave => self.leaving_from = Some(0),
        }
    }

    fn open_until(&mut self, total: usize, now: Micros) {
        // All shares of a part add up to the part.
        let all = self.options.total();
        let share = self.options.share.unwrap_or(Share { index: 0, of: 1 });
        let at = |index: usize| total.min(all) * index / share.of;
        let part = if total >= all {
            self.slots.len()
        } else {
            at(share.index + 1) - at(share.index)
        };
        self.opening.since = now;
        self.opening.count = 0;
        self.opening.until = part.min(self.slots.len());
        let unopened = self.opening.until.saturating_sub(self.opening.next);
        self.tally.counts.set(Count::Unopened, unopened as u64);
    }

    /// All that was counted so far.
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
        // What is sent too late by the clock of a poll would be a latency of our own making.
        let say = self.talk.as_ref().and_then(Talk::due);
        self.dialer.poll(wake, say, &mut ready);
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

    /// The moment for which nothing may be waited beyond.
    fn next_due(&self) -> Micros {
        let mut due = self.housekept + HOUSEKEEPING_MICROS;
        if self.opening.next < self.opening.until {
            due = due.min(self.next_dial());
        }
        if let Some(churn) = self.churn.as_ref().filter(|churn| churn.is_going_on) {
            due = due.min(churn.due(self.churn_rate()));
        }
        if self.leaving_from.is_some() && self.leaving < LEAVING_MAX {
            due = 0;
        }
        due
    }

    // Opening.

    fn connect_rate(&self) -> f64 {
        let of = self.options.share.map_or(1, |share| share.of);
        f64::from(self.options.connect_rate) / of as f64
    }

    fn next_dial(&self) -> Micros {
        let ahead = self.opening.count as f64 * 1e6 / self.connect_rate();
        self.opening.since + ahead as Micros
    }

    fn open_due(&mut self, now: Micros) {
        for _ in 0..DIALS_PER_TURN {
            if self.opening.next >= self.opening.until || self.next_dial() > now {
                return;
            }
            let slot = self.opening.next;
            self.opening.next += 1;
            self.opening.count += 1;
            let unopened = self.opening.until - self.opening.next;
            self.tally.counts.set(Count::Unopened, unopened as u64);
            self.dial(slot);
        }
    }

    fn dial(&mut self, slot: usize) {
        let now = self.now();
        let number = self.ours.start + slot;
        let from = (self.options.sources > 1).then(|| {
            let last = 1 + (number % self.options.sources as usize) as u8;
            IpAddr::V4(Ipv4Addr::new(127, 0, 0, last))
        });
        let receive_bytes = self.is_slow(slot).then_some(SLOW_RECEIVE_BYTES);
        let place = &mut self.slots[slot];
        place.generation = place.generation.wrapping_add(1) & (u32::MAX >> 1);
        let id = ConnId::new(slot as u32, place.generation);
        match self.dialer.connect(&self.target, from, receive_bytes, id) {
            Ok(stream) => {
                place.client = Some(Client::new(stream, now));
                self.dials.push_back((now + CONNECT_MICROS_MAX, id));
                self.change(Count::Pending, 1);
            }
            Err(why) => self.tally.counts.add(failure(why), 1),
        }
    }

    fn room_of(&self, slot: usize) -> usize {
        let number = self.ours.start + slot;
        if self.options.scenario.talks() {
            number / self.options.members
        } else {
            number % self.options.rooms
        }
    }

    /// A member that is to stop reading.
    fn is_slow(&self, slot: usize) -> bool {
        let Options { members, .. } = self.options;
        self.options.slow_members() > 0 && slot % members >= members - self.options.slow_members()
    }

    fn change(&mut self, gauge: Count, by: i64) {
        let value = self.tally.counts.of(gauge).saturating_add_signed(by);
        self.tally.counts.set(gauge, value);
    }

    // Events.

    fn take_event(&mut self, event: Ready) {
        let Ready::Connection {
            id,
            readable,
            writable,
            ended,
        } = event
        else {
            return;
        };
        let slot = id.slot() as usize;
        let place = &self.slots[slot];
        let Some(client) = place.client.as_ref() else {
            return;
        };
        if place.generation != id.generation() {
            return;
        }
        match client.phase {
            Phase::Dialing => {
                if !self.take_connected(slot) {
                    return;
                }
            }
            Phase::Open if self.is_deaf(slot) => {
                if ended {
                    self.end(slot, Count::Broken);
                }
                return;
            }
            Phase::Upgrading(_) | Phase::Open | Phase::Leaving | Phase::Dismissed => {
                if writable && !client.unsent.is_empty() {
                    self.flush(slot);
                }
            }
        }
        if readable || ended {
            self.receive(slot, event);
        }
    }

    /// Slow, and no longer reading.
    fn is_deaf(&self, slot: usize) -> bool {
        self.are_slow_deaf && self.is_slow(slot)
    }

    /// What the server has sent to those who did not read is behind all that they have not read,
    /// its close frame and the end as well.
    fn wake(&mut self) {
        self.are_slow_deaf = false;
        for slot in 0..self.slots.len() {
            if self.is_slow(slot) {
                let id = ConnId::new(slot as u32, self.slots[slot].generation);
                self.unread.push(Ready::Connection {
                    id,
                    readable: true,
                    writable: false,
                    ended: true,
                });
            }
        }
    }

    /// True: it is connected, and the request is on its way.
    fn take_connected(&mut self, slot: usize) -> bool {
        let number = self.ours.start + slot;
        let room = self.room_of(slot);
        let Some(client) = self.slots[slot].client.as_mut() else {
            return false;
        };
        match self.dialer.connected(&client.stream) {
            Ok(false) => false,
            Ok(true) => {
                let mut request = Request::new(&self.options, room, number);
                let bytes = mem::take(&mut request.bytes);
                client.phase = Phase::Upgrading(Box::new(request));
                self.send(slot, &bytes);
                true
            }
            Err(why) => {
                self.fail(slot, failure(why));
                false
            }
        }
    }

    fn receive(&mut self, slot: usize, event: Ready) {
        let ended = matches!(event, Ready::Connection { ended: true, .. });
        let mut buffer = mem::take(&mut self.buffer);
        let mut reads = 0;
        let generation = self.slots[slot].generation;
        while self.slots[slot].generation == generation
            && let Some(client) = self.slots[slot].client.as_mut()
        {
            if reads == READS_PER_TURN {
                self.unread.push(event);
                break;
            }
            reads += 1;
            // What is half received comes first, so that frames are looked at in one piece.
            let kept = client.rest.len();
            if buffer.len() < kept + READ_BYTES {
                buffer.resize(kept + READ_BYTES, 0);
            }
            buffer[..kept].copy_from_slice(&client.rest);
            match self.dialer.read(&mut client.stream, &mut buffer[kept..]) {
                Read::Bytes(count) => {
                    client.rest.clear();
                    let is_short = kept + count < buffer.len();
                    let now = self.dialer.now();
                    self.take_bytes(slot, &buffer[..kept + count], now);
                    self.say_due(now);
                    if is_short && !ended {
                        break;
                    }
                }
                Read::Blocked | Read::Retry => break,
                Read::End => self.end(slot, Count::Ended),
                Read::Gone => self.end(slot, Count::Broken),
            }
        }
        self.buffer = buffer;
    }

    fn take_bytes(&mut self, slot: usize, mut bytes: &[u8], now: Micros) {
        let Some(client) = self.slots[slot].client.as_mut() else {
            return;
        };
        if let Phase::Upgrading(request) = &client.phase {
            match request.answer(bytes) {
                Answer::Partial => {
                    client.rest.extend_from_slice(bytes);
                    return;
                }
                Answer::Upgraded(len) => {
                    self.take_upgraded(slot, now);
                    bytes = &bytes[len..];
                }
                Answer::Turned(status) => {
                    *self.tally.statuses.entry(status).or_default() += 1;
                    return self.fail(slot, Count::Turned);
                }
                Answer::Bad => return self.fail(slot, Count::Unanswered),
            }
        }
        self.take_frames(slot, bytes, now);
    }

    fn take_upgraded(&mut self, slot: usize, now: Micros) {
        let number = self.ours.start + slot;
        let room = self.room_of(slot);
        let is_slow = self.is_slow(slot);
        let Some(client) = self.slots[slot].client.as_mut() else {
            return;
        };
        client.phase = Phase::Open;
        let took = now.saturating_sub(client.begun);
        self.tally.connecting.saturating_record(took);
        self.change(Count::Pending, -1);
        self.change(Count::Open, 1);
        self.tally.counts.add(Count::Connected, 1);
        if is_slow {
            self.tally.counts.add(Count::Slow, 1);
        } else if let Some(talk) = &mut self.talk {
            talk.joined(slot);
        }
        if let Some(join) = &self.options.join {
            let words = url::fill(join, room, number);
            let mask = self.mask();
            self.send(slot, Frame::client_text(words.as_bytes(), mask).bytes());
        }
    }

    fn take_frames(&mut self, slot: usize, bytes: &[u8], now: Micros) {
        let generation = self.slots[slot].generation;
        let mut rest = bytes;
        // An end in the middle makes room for another connection, which these are not for.
        while self.slots[slot].generation == generation {
            match inbound::front(rest) {
                Front::Frame {
                    opcode: inbound::TEXT | inbound::BINARY,
                    is_final: true,
                    payload,
                    len,
                } => {
                    self.tally.counts.add(Count::Frames, 1);
                    self.hear(slot, payload, now);
                    rest = &rest[len..];
                }
                Front::Frame {
                    opcode,
                    is_final,
                    payload,
                    len,
                } => {
                    self.tally.counts.add(Count::Frames, 1);
                    self.take_other_frame(slot, opcode, is_final, payload, now);
                    rest = &rest[len..];
                }
                Front::Partial => {
                    if let Some(client) = self.slots[slot].client.as_mut() {
                        client.rest.extend_from_slice(rest);
                    }
                    return;
                }
                Front::Bad => return self.end(slot, Count::Garbled),
            }
        }
    }

    /// Control frames, and messages in fragments.
    #[cold]
    fn take_other_frame(
        &mut self,
        slot: usize,
        opcode: u8,
        is_final: bool,
        payload: &[u8],
        now: Micros,
    ) {
        let mask = self.mask();
        let Some(client) = self.slots[slot].client.as_mut() else {
            return;
        };
        match opcode {
            inbound::PING => {
                self.send(slot, Frame::client_pong(payload, mask).bytes());
            }
            inbound::PONG => {}
            inbound::CLOSE => self.take_close(slot, payload, mask),
            inbound::TEXT | inbound::BINARY | inbound::CONTINUATION => {
                let mut message = client.message.take().unwrap_or_default();
                message.extend_from_slice(payload);
                if is_final {
                    self.hear(slot, &message, now);
                } else if message.len() > inbound::MESSAGE_BYTES_MAX {
                    self.end(slot, Count::Garbled);
                } else {
                    client.message = Some(message);
                }
            }
            _ => self.end(slot, Count::Garbled),
        }
    }

    fn take_close(&mut self, slot: usize, payload: &[u8], mask: [u8; 4]) {
        let code = match payload {
            [high, low, ..] => Some(u16::from_be_bytes([*high, *low])),
            _ => None,
        };
        let Some(client) = self.slots[slot].client.as_mut() else {
            return;
        };
        match mem::replace(&mut client.phase, Phase::Dismissed) {
            Phase::Open => {
                self.change(Count::Open, -1);
                self.blame(slot, Count::Closed);
                if !self.is_slow(slot) {
                    *self.tally.codes.entry(code.unwrap_or(0)).or_default() += 1;
                }
                self.absent(slot);
                self.send(slot, Frame::client_close(code, mask).bytes());
                self.await_end(slot);
            }
            // The answer to our own; what is left is that the server ends the connection.
            phase @ (Phase::Dialing | Phase::Upgrading(_) | Phase::Leaving | Phase::Dismissed) => {
                client.phase = phase;
            }
        }
    }

    // The end of a connection.

    /// The connection is over; `how` counts if the server is to blame.
    fn end(&mut self, slot: usize, how: Count) {
        let Some(client) = self.slots[slot].client.as_ref() else {
            return;
        };
        match client.phase {
            Phase::Dialing | Phase::Upgrading(_) => {
                let why = match how {
                    Count::Broken => Count::Reset,
                    _ => Count::Unanswered,
                };
                return self.fail(slot, why);
            }
            Phase::Open => {
                self.change(Count::Open, -1);
                self.blame(slot, how);
                self.absent(slot);
            }
            Phase::Leaving => self.tally.counts.add(Count::Left, 1),
            Phase::Dismissed => {}
        }
        self.forget(slot);
    }

    /// Counts that the server has ended a connection. It may, if it was slow.
    fn blame(&mut self, slot: usize, how: Count) {
        let how = if self.is_slow(slot) {
            Count::SlowGone
        } else {
            how
        };
        self.tally.counts.add(how, 1);
    }

    fn fail(&mut self, slot: usize, why: Count) {
        self.tally.counts.add(why, 1);
        self.change(Count::Pending, -1);
        self.forget(slot);
    }

    /// Drops the connection. When leaves and joins go on, another takes its place.
    fn forget(&mut self, slot: usize) {
        let client = self.slots[slot].client.take();
        let has_left = client.is_some_and(|client| matches!(client.phase, Phase::Leaving));
        self.leaving -= usize::from(has_left);
        if has_left && self.churn.as_ref().is_some_and(|churn| churn.is_going_on) {
            self.dial(slot);
        }
    }

    /// Nobody waits for this member to hear anything.
    fn absent(&mut self, slot: usize) {
        if !self.is_slow(slot)
            && let Some(talk) = &mut self.talk
        {
            talk.left(slot);
        }
    }

    /// Says goodbye to an open connection.
    fn leave(&mut self, slot: usize) {
        let mask = self.mask();
        let Some(client) = self.slots[slot].client.as_mut() else {
            return;
        };
        match client.phase {
            Phase::Open => {}
            Phase::Dialing | Phase::Upgrading(_) => {
                self.change(Count::Pending, -1);
                return self.forget(slot);
            }
            Phase::Leaving | Phase::Dismissed => return,
        }
        client.phase = Phase::Leaving;
        self.leaving += 1;
        self.change(Count::Open, -1);
        self.absent(slot);
        self.send(slot, Frame::client_close(Some(1000), mask).bytes());
        self.await_end(slot);
    }

    fn await_end(&mut self, slot: usize) {
        let due = self.now() + LEAVE_MICROS_MAX;
        let id = ConnId::new(slot as u32, self.slots[slot].generation);
        self.farewells.push_back((due, id));
    }

    fn leave_due(&mut self) {
        while let Some(slot) = self.leaving_from.filter(|_| self.leaving < LEAVING_MAX) {
            if slot == self.slots.len() {
                self.leaving_from = None;
                return;
            }
            self.leave(slot);
            self.leaving_from = Some(slot + 1);
        }
    }

    /// All connections are gone, and no more will come.
    pub(super) fn is_empty(&self) -> bool {
        self.leaving_from.is_none() && self.slots.iter().all(|slot| slot.client.is_none())
    }

    /// What takes too long is given up.
    fn keep_house(&mut self, now: Micros) {
        if now < self.housekept + HOUSEKEEPING_MICROS {
            return;
        }
        self.housekept = now;
        while self.dials.front().is_some_and(|(due, _)| *due <= now) {
            let Some((_, id)) = self.dials.pop_front() else {
                break;
            };
            if self.is_in_phase(id, |phase| {
                matches!(phase, Phase::Dialing | Phase::Upgrading(_))
            }) {
                self.fail(id.slot() as usize, Count::TimedOut);
            }
        }
        while self.farewells.front().is_some_and(|(due, _)| *due <= now) {
            let Some((_, id)) = self.farewells.pop_front() else {
                break;
            };
            if self.is_in_phase(id, |phase| {
                matches!(phase, Phase::Leaving | Phase::Dismissed)
            }) {
                self.tally.counts.add(Count::Ignored, 1);
                self.forget(id.slot() as usize);
            }
        }
        if let Some(talk) = &mut self.talk {
            talk.give_up(now);
        }
    }

    fn is_in_phase(&self, id: ConnId, is: impl Fn(&Phase) -> bool) -> bool {
        let slot = &self.slots[id.slot() as usize];
        slot.generation == id.generation()
            && slot.client.as_ref().is_some_and(|client| is(&client.phase))
    }

    // Leaving and joining.

    fn churn_rate(&self) -> f64 {
        let of = self.options.share.map_or(1, |share| share.of);
        f64::from(self.options.churn_rate) / of as f64
    }

    fn churn_due(&mut self, now: Micros) {
        let rate = self.churn_rate();
        for _ in 0..DIALS_PER_TURN {
            let Some(churn) = self.churn.as_mut().filter(|churn| churn.is_going_on) else {
                return;
            };
            if churn.due(rate) > now {
                return;
            }
            let slot = churn.next % self.slots.len();
            churn.next += 1;
            churn.count += 1;
            if self.slots[slot].client.is_some() {
                self.leave(slot);
            } else {
                self.dial(slot);
            }
        }
    }

    // Talking.

    fn say_due(&mut self, now: Micros) {
        loop {
            let Some(talk) = &mut self.talk else { return };
            if talk.due().is_none_or(|due| due > now) {
                return;
            }
            let slots = &self.slots;
            let is_open = |slot: usize| {
                let client = slots[slot].client.as_ref();
                client.is_some_and(|client| matches!(client.phase, Phase::Open))
            };
            let Some(due) = talk.next(now, is_open) else {
                return;
            };
            let mut message = mem::take(&mut self.message);
            marker::write(due.marker, self.options.size, &mut message);
            let mask = self.mask();
            let frame = Frame::client_text(&message, mask);
            self.message = message;
            if self.unsent(due.member) > UNSENT_BYTES_MAX {
                self.tally.counts.add(Count::HeldBack, 1);
                continue;
            }
            if let Some(expected) = due.expected {
                self.tally.counts.add(Count::Sent, 1);
                self.tally.counts.add(Count::Expected, u64::from(expected));
            }
            self.send(due.member, frame.bytes());
        }
    }

    fn hear(&mut self, slot: usize, payload: &[u8], now: Micros) {
        if self.is_slow(slot) {
            return;
        }
        let counts = &mut self.tally.counts;
        let (Some(talk), Some(marker)) = (&mut self.talk, marker::find(payload)) else {
            return counts.add(Count::Other, 1);
        };
        match talk.hear(slot, marker) {
            Heard::Foreign => counts.add(Count::Other, 1),
            Heard::Again { is_counted } => counts.add(Count::Doubled, u64::from(is_counted)),
            Heard::Once {
                is_counted,
                is_late,
            } => {
                counts.add(Count::Arrivals, 1);
                if self.counting_since.is_some() {
                    counts.add(Count::Counted, 1);
                }
                if is_counted {
                    counts.add(Count::Delivered, 1);
                    counts.add(Count::Late, u64::from(is_late));
                    let took = now.saturating_sub(marker.intended);
                    self.tally.latency.saturating_record(took);
                }
            }
        }
    }

    // Writing.

    fn unsent(&self, slot: usize) -> usize {
        let client = self.slots[slot].client.as_ref();
        client.map_or(0, |client| client.unsent.len())
    }

    /// Sends, or keeps what the socket does not take.
    fn send(&mut self, slot: usize, bytes: &[u8]) {
        let Some(client) = self.slots[slot].client.as_mut() else {
            return;
        };
        client.unsent.extend_from_slice(bytes);
        if client.unsent.len() == bytes.len() {
            self.flush(slot);
        }
    }

    fn flush(&mut self, slot: usize) {
        let Some(client) = self.slots[slot].client.as_mut() else {
            return;
        };
        let mut written = 0;
        while written < client.unsent.len() {
            match self
                .dialer
                .write(&mut client.stream, &client.unsent[written..])
            {
                Write::Bytes(count) => written += count,
                Write::Blocked | Write::Retry => break,
                // Reading tells why: the server's last words may be there already.
                Write::Gone => written = client.unsent.len(),
            }
        }
        client.unsent.drain(..written);
        if client.unsent.is_empty() {
            client.unsent = Vec::new();
        }
    }

    /// Clients must mask what they send (RFC 6455 §5.3); nobody attacks a load tester's proxy.
    fn mask(&mut self) -> [u8; 4] {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        ((self.random >> 32) as u32).to_ne_bytes()
    }
}

impl Churn {
    fn due(&self, rate: f64) -> Micros {
        self.begun + (self.count as f64 * 1e6 / rate) as Micros
    }
}

const fn failure(why: DialError) -> Count {
    match why {
        DialError::Refused => Count::Refused,
        DialError::Reset => Count::Reset,
        DialError::TimedOut => Count::TimedOut,
        DialError::Descriptors => Count::Descriptors,
        DialError::Ports => Count::Ports,
        DialError::Other => Count::Unanswered,
    }
}
