//! The engine that several servers share: the log's requests in, its answers out, and in between
//! two connections to Redis without their sockets. No socket, no clock: a driver owns both.
//!
//! The driver, in each turn:
//!
//! 1. [`Engine::next_action`] until there is none: connect, or close.
//! 2. [`Engine::connected`], [`Engine::failed`], [`Engine::received`] as it happens.
//! 3. [`Engine::expire`] when [`Engine::next_tick`] has come, and before the log hands over: it says
//!    what time it is.
//! 4. [`Engine::output`] to the socket, and [`Engine::wrote`] what it took. Whenever anything was called.
//! 5. [`Engine::reports`] into the log of the program.
//!
//! Between 3 and 4 the log takes the answers and hands over its requests ([`Store`]).
//!
//! A room is subscribed to and then asked for, in one write on the connection for subscriptions: so
//! what was published before the answer is in the answer, and what follows comes after it. What
//! is missing is read on the connection for commands.

use super::entry::{self, Ready};
use super::link::{Asked, Fault, Link, Which, said};
use super::messages::{Found, Published, Said, State, read_top, timed, written};
use super::report::{Figures, Report};
use super::resp::{List, Replies, Value, command};
use super::rooms::{Outcome, Read, Room, Rooms, Stage};
use super::scripts::{self, Incarnation, Loaded, Range};
use super::settings::Settings;
use crate::chance::Chance;
use crate::id::{Millis, RoomId, Seq, Tick};
use crate::log::{Answer, EpochInfo, Page, RefusedWhy, Request, Store, Unnumbered};
use siphasher::sip::SipHasher13;
use smol_str::SmolStr;
use std::collections::VecDeque;
use std::hash::Hasher;
use std::mem;

/// Rooms that are subscribed to in one step. The next is made when all of one are answered.
const SUBSCRIBE_MAX: usize = 512;
/// Rooms whose newest numbers are compared in one step, and how often: 1 s.
const TOPS_MAX: usize = 1_024;
const TOPS_TICKS: u32 = 10;
/// All of them are compared within so many steps, up to that bound.
const TOPS_STEPS: usize = 10;
/// A room that Redis did not open is asked for again after so long.
const AGAIN_TICKS: u32 = 10;
/// A page that is read for what is missing: its entries are bounded already.
const REFILL_BYTES: u32 = 1 << 20;

/// What must be done with a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    Connect(Which),
    Close(Which),
}

/// What an answer is of.
#[derive(Debug)]
enum Ask {
    Open(RoomId),
    Say(Box<Unnumbered>),
    Refill {
        room: RoomId,
        generation: u32,
        first: Seq,
        last: Seq,
    },
    Read(RoomId, Read),
    Tops(Vec<RoomId>),
    Keys {
        session: u64,
    },
    /// Scripts are loaded again: nothing depends on the answer.
    Load,
}

/// The engine. See the head of this file.
#[derive(Debug)]
pub struct Engine {
    settings: Settings,
    /// Tells this server from others: connections of guests, made-up keys.
    node: u64,
    salts: (u64, u64),
    salts_given: u64,
    links: [Link<Ask>; 2],
    chance: Chance,
    is_up: bool,
    /// Both links were there once.
    was_up: bool,
    /// The highest number of an epoch that came.
    epoch_max: u32,
    rooms: Rooms,
    /// Rooms to be subscribed to, from this tick on.
    wanted: VecDeque<RoomId>,
    wanted_from: Tick,
    /// Answers to come of those that were.
    opening: usize,
    tops_due: Tick,
    tops_next: usize,
    tops_asked: bool,
    answers: Vec<Answer>,
    reports: Vec<Report>,
    figures: Figures,
    now: Tick,
}

impl Engine {
    /// `random`: 32 bytes from the system, or from a seed.
    pub fn new(settings: Settings, random: [u8; 32], now: Tick) -> Self {
        let word = |index: usize| {
            let bytes = std::array::from_fn(|at| random[index * 8 + at]);
            u64::from_le_bytes(bytes)
        };
        Self {
            settings,
            node: word(0),
            salts: (word(1), word(2)),
            salts_given: 0,
            links: Which::BOTH.map(|which| Link::new(which, now)),
            chance: Chance::new(word(3), "redis"),
            is_up: false,
            was_up: false,
            epoch_max: 0,
            rooms: Rooms::default(),
            wanted: VecDeque::new(),
            wanted_from: now,
            opening: 0,
            tops_due: now,
            tops_next: 0,
            tops_asked: false,
            answers: vec![Answer::Link {
                is_up: false,
                why: String::from("Redis was not reached yet"),
            }],
            reports: Vec::new(),
            figures: Figures::default(),
            now,
        }
    }

    // The driver

    /// What is to be done with a socket; to be called until there is nothing.
    pub fn next_action(&mut self, now: Tick) -> Option<Action> {
        self.now = now;
        for which in Which::BOTH {
            if self.link(which).must_close() {
                return Some(Action::Close(which));
            }
            if self.link(which).must_connect(now) {
                return Some(Action::Connect(which));
            }
        }
        None
    }

    /// The socket of a link is connected.
    pub fn connected(&mut self, which: Which, now: Tick) {
        self.now = now;
        self.links[which as usize].connected(&self.settings, now);
    }

    /// The socket could not be connected, has failed, or the server has closed it. The driver has
    /// dropped it.
    pub fn failed(&mut self, which: Which, why: &str, now: Tick) {
        self.now = now;
        if self.link(which).is_there() {
            self.end(which, false, why);
        }
    }

    /// Bytes came on a link. Those of a socket that was to be closed are ignored.
    pub fn received(&mut self, which: Which, bytes: &[u8], now: Tick) {
        self.now = now;
        if !self.link(which).is_there() {
            return;
        }
        let mut replies = mem::take(&mut self.link(which).replies);
        replies.push(bytes);
        if let Err(fault) = self.take_replies(which, &mut replies) {
            self.faulty(which, fault);
        } else if self.link(which).is_there() {
            self.link(which).replies = replies;
        }
        self.subscribe();
    }

    /// What is to be sent on a link.
    pub fn output(&self, which: Which) -> &[u8] {
        self.links[which as usize].output()
    }

    /// So much of it was sent.
    pub fn wrote(&mut self, which: Which, count: usize) {
        self.link(which).wrote(count);
    }

    /// When [`Engine::expire`] and [`Engine::next_action`] are needed next.
    pub fn next_tick(&self) -> Option<Tick> {
        let links = self.links.iter().filter_map(Link::next_tick);
        let tops = self.is_up.then_some(self.tops_due);
        let waits = self.is_up && self.opening == 0 && !self.wanted.is_empty();
        let wanted = waits.then_some(self.wanted_from);
        links.chain(tops).chain(wanted).min()
    }

    /// Ends links that do not answer, probes the others, compares what is there.
    pub fn expire(&mut self, now: Tick) {
        self.now = now;
        for which in Which::BOTH {
            if let Some(why) = self.link(which).expire(now) {
                self.end(which, true, &why);
            }
        }
        if self.is_up && self.tops_due <= now {
            self.tops_due = now + TOPS_TICKS;
            self.compare_tops();
        }
        self.subscribe();
    }

    /// What an operator is to be told since the last call.
    pub fn reports(&mut self) -> impl Iterator<Item = Report> + '_ {
        self.reports.drain(..)
    }

    pub fn figures(&self) -> Figures {
        let lag = self.links.iter().map(|link| link.lag(self.now)).max();
        let waiting = self.rooms.each().filter(|room| room.stage != Stage::Live);
        Figures {
            is_up: self.is_up,
            lag_ms: u64::from(lag.unwrap_or(0)) * Tick::MILLIS,
            under_way: self.links.iter().map(Link::under_way).sum(),
            unnumbered: self.rooms.each().map(Room::unnumbered).sum(),
            rooms: self.rooms.count,
            rooms_waiting: waiting.count(),
            ..self.figures
        }
    }

    // Links

    const fn link(&mut self, which: Which) -> &mut Link<Ask> {
        &mut self.links[which as usize]
    }

    fn faulty(&mut self, which: Which, fault: Fault) {
        match fault {
            Fault::Broken(why) => self.end(which, true, &why),
            Fault::Unfit(why) => {
                if !self.was_up {
                    self.reports.push(Report::Unfit(why.clone()));
                }
                self.end(which, true, &why);
            }
        }
    }

    /// Ends both links: what was asked on one may depend on the other.
    fn end(&mut self, which: Which, has_socket: bool, why: &str) {
        for each in Which::BOTH {
            if !self.link(each).is_there() {
                continue;
            }
            let asked: Vec<Ask> = self.link(each).drop_asked().collect();
            let has_socket = has_socket || each != which;
            self.links[each as usize].end(has_socket, &mut self.chance, self.now);
            for ask in asked {
                self.fail(ask, why);
            }
        }
        self.opening = 0;
        self.tops_asked = false;
        self.wanted.clear();
        for room in self.rooms.each_mut() {
            room.cut();
            for read in mem::take(&mut room.reads) {
                self.answers.push(read_failed(room.id, read, why));
            }
        }
        self.reports.push(Report::Down {
            why: why.to_owned(),
        });
        if self.is_up {
            self.is_up = false;
            self.answers.push(Answer::Link {
                is_up: false,
                why: why.to_owned(),
            });
        }
    }

    /// What was asked is not answered.
    fn fail(&mut self, ask: Ask, why: &str) {
        match ask {
            Ask::Read(room, read) => self.answers.push(read_failed(room, read, why)),
            Ask::Keys { session } => self.answers.push(Answer::KeysFailed {
                session,
                why: why.to_owned(),
            }),
            Ask::Open(_) | Ask::Say(_) | Ask::Refill { .. } | Ask::Tops(_) | Ask::Load => {}
        }
    }

    /// Both links are there if they lead to the same Redis.
    fn shaken(&mut self) {
        let [commands, subscriptions] = &self.links;
        if !commands.is_ready() || !subscriptions.is_ready() {
            return;
        }
        if commands.server.run != subscriptions.server.run {
            let why = "the two connections lead to different servers";
            self.end(Which::Commands, true, why);
            return;
        }
        let version = commands.server.version.clone();
        self.is_up = true;
        self.was_up = true;
        self.figures.ups += 1;
        self.wanted = self.rooms.each().map(|room| room.id).collect();
        self.wanted_from = self.now;
        self.tops_due = self.now + TOPS_TICKS;
        self.reports.push(Report::Up {
            version: version.clone(),
        });
        self.answers.push(Answer::Link {
            is_up: true,
            why: format!("connected to {version}"),
        });
    }

    // Answers of Redis

    fn take_replies(&mut self, which: Which, replies: &mut Replies) -> Result<(), Fault> {
        while self.link(which).is_there() {
            match replies.next()? {
                None => break,
                Some(Value::Push(list)) => self.pushed(list),
                Some(value) => self.answered(which, value)?,
            }
        }
        Ok(())
    }

    fn answered(&mut self, which: Which, value: Value<'_>) -> Result<(), Fault> {
        let Some(asked) = self.link(which).answered() else {
            return Err(Fault::Broken(format!(
                "it answers what was not asked: {}",
                said(value)
            )));
        };
        match asked {
            Asked::Probe => match value {
                Value::Error(_) => Err(Fault::Broken(said(value))),
                _ => Ok(()),
            },
            Asked::Shake(step) => {
                let mut warnings = Vec::new();
                let is_last = self.link(which).shaken(step, value, &mut warnings)?;
                self.reports
                    .extend(warnings.into_iter().map(Report::Warning));
                if is_last {
                    self.shaken();
                }
                Ok(())
            }
            Asked::Other(ask) => match value {
                Value::Error(error) => self.erred(which, ask, error),
                value => self.take(ask, value),
            },
        }
    }

    fn take(&mut self, ask: Ask, value: Value<'_>) -> Result<(), Fault> {
        let unclear = || Fault::Broken(String::from("a script gives an answer that is unclear"));
        match ask {
            Ask::Open(id) => {
                self.opening = self.opening.saturating_sub(1);
                let state = State::read(value).ok_or_else(unclear)?;
                self.opened(id, state);
            }
            Ask::Say(asked) => {
                let said = Said::read(value).ok_or_else(unclear)?;
                self.was_said(asked, said);
            }
            Ask::Refill {
                room,
                generation,
                first,
                last,
            } => {
                let found = Found::read(value).ok_or_else(unclear)?;
                self.refilled(room, generation, (first, last), found);
            }
            Ask::Read(id, read) => {
                let found = Found::read(value).ok_or_else(unclear)?;
                self.was_read(id, read, found);
            }
            Ask::Tops(rooms) => {
                self.tops_asked = false;
                let tops = value.list().ok_or_else(unclear)?;
                for (id, top) in rooms.into_iter().zip(tops) {
                    self.top_came(id, top.text().and_then(read_top));
                }
            }
            Ask::Keys { session } => {
                let list = value.list().ok_or_else(unclear)?;
                let keys = super::keys::read(list, &self.rooms);
                self.answers.push(Answer::Keys { session, keys });
            }
            Ask::Load => {}
        }
        Ok(())
    }

    /// Redis has refused what was asked.
    fn erred(&mut self, which: Which, ask: Ask, error: &[u8]) -> Result<(), Fault> {
        let why = String::from_utf8_lossy(error).into_owned();
        if why.starts_with("NOSCRIPT") {
            self.ask_with_text(which, ask);
            return Ok(());
        }
        let ends = [
            "READONLY",
            "LOADING",
            "MASTERDOWN",
            "BUSY",
            "NOAUTH",
            "NOREPLICAS",
        ];
        if ends.iter().any(|code| why.starts_with(code)) {
            // Those that were asked behind it fail for the same reason.
            self.fail(ask, &why);
            return Err(Fault::Broken(why));
        }
        let is_full = is_full(&why);
        if which == Which::Subscriptions && !is_full {
            // This may be the answer to a SUBSCRIBE, of which nothing is remembered.
            return Err(if why.starts_with("NOPERM") {
                Fault::Unfit(format!("Redis refuses a subscription: {why}"))
            } else {
                Fault::Broken(why)
            });
        }
        match ask {
            Ask::Say(asked) => self.was_refused(&asked, why),
            Ask::Open(id) => {
                self.opening = self.opening.saturating_sub(1);
                self.open_failed(id, why);
            }
            Ask::Read(..) | Ask::Keys { .. } => self.fail(ask, &why),
            Ask::Refill { .. } | Ask::Tops(_) | Ask::Load => return Err(Fault::Broken(why)),
        }
        Ok(())
    }

    fn was_refused(&mut self, asked: &Unnumbered, why: String) {
        let refused = match &*why {
            text if is_full(text) => RefusedWhy::Full,
            text if text.starts_with("ROOMFULL") => RefusedWhy::NotOpen,
            _ => RefusedWhy::Failed,
        };
        self.answers.push(Answer::Refused {
            room: asked.room,
            tag: asked.tag,
            why: refused,
        });
        let what = "keep a message";
        self.reports.push(Report::Refused { what, why });
    }

    fn open_failed(&mut self, id: RoomId, why: String) {
        let Some(room) = self.rooms.get_mut(id) else {
            return;
        };
        if room.is_told() {
            room.stage = Stage::Wanted;
            self.wanted.push_back(id);
            self.wanted_from = self.now + AGAIN_TICKS;
        } else {
            self.close(id);
            self.answers.push(Answer::OpenFailed {
                room: id,
                why: why.clone(),
            });
        }
        let what = "open a room";
        self.reports.push(Report::Refused { what, why });
    }

    /// Redis has forgotten the scripts. Each call comes again with the text of its script, in the
    /// order of the answers.
    fn ask_with_text(&mut self, which: Which, ask: Ask) {
        let now = self.now;
        for script in scripts::Script::ALL {
            self.link(which).ask(Ask::Load, now, |out, _| {
                command(out, &[b"SCRIPT", b"LOAD", script.text().as_bytes()]);
            });
        }
        match ask {
            Ask::Say(asked) => self.say(asked, true),
            Ask::Open(id) => {
                self.opening = self.opening.saturating_sub(1);
                self.open(id, None, true);
            }
            Ask::Refill {
                room,
                generation,
                first,
                last,
            } => self.read_stream(room, generation, first, last, true),
            Ask::Read(id, read) => self.read(id, read, true),
            Ask::Tops(_) => self.tops_asked = false,
            Ask::Keys { .. } | Ask::Load => {}
        }
    }

    fn pushed(&mut self, mut list: List<'_>) {
        let [kind, channel, message] =
            [list.next(), list.next(), list.next()].map(|value| value.and_then(Value::text));
        if kind != Some(b"message") {
            return;
        }
        let (Some(channel), Some(message)) = (channel, message) else {
            return;
        };
        let id = scripts::room_of(channel).and_then(|name| self.rooms.find(name));
        let room = id.and_then(|id| self.rooms.get_mut(id));
        let Some(room) = room.filter(|room| room.stage == Stage::Live) else {
            return;
        };
        let id = room.id;
        if let Some(state) = State::published(message) {
            self.note_epoch(&state);
            if self.is_too_low(id, &state).is_some() {
                self.ask_again(id);
            } else {
                self.with_room(id, |room, out| room.state_came(state, out));
            }
        } else if let Some(published) = Published::read(message) {
            self.published(id, published);
        }
    }

    // Rooms

    /// Subscribes to the rooms that are to be, in one command, and asks what is kept of each behind it.
    fn subscribe(&mut self) {
        let is_due = self.is_up && self.wanted_from <= self.now && !self.wanted.is_empty();
        if !is_due || (self.opening > 0 && self.opening + self.wanted.len() > SUBSCRIBE_MAX) {
            return;
        }
        let count = self.wanted.len().min(SUBSCRIBE_MAX);
        let ids: Vec<RoomId> = self.wanted.drain(..count).collect();
        let names = ids.iter().filter_map(|id| self.rooms.get(*id));
        let channels: Vec<SmolStr> = names.map(|room| scripts::channel(&room.name)).collect();
        if channels.is_empty() {
            return;
        }
        let words = channels.iter().map(|channel| channel.as_bytes());
        let words: Vec<&[u8]> = std::iter::once(&b"SUBSCRIBE"[..]).chain(words).collect();
        self.link(Which::Subscriptions).tell(&words);
        for id in ids {
            self.open(id, None, false);
        }
        if !self.wanted.is_empty() {
            // So that servers that come back together do not keep step.
            self.wanted_from = self.now + self.chance.below(2) as u32;
        }
    }

    /// Asks what is kept of a room that is subscribed to. `after`: an epoch that must not stay the
    /// current one.
    fn open(&mut self, id: RoomId, after: Option<EpochInfo>, with_text: bool) {
        let salt = self.new_salt();
        let Some(room) = self.rooms.get_mut(id) else {
            return;
        };
        room.ask();
        self.opening += 1;
        let link = &mut self.links[Which::Subscriptions as usize];
        let run = link.server.run.clone();
        let known = Incarnation {
            run: &run,
            salt,
            epoch_max: self.epoch_max,
        };
        let epoch = after.or_else(|| room.current());
        let epoch = epoch.map(written).unwrap_or_default();
        // More than there can be: the script begins another epoch.
        let seen = after.map_or(room.last.0, |_| u32::MAX);
        let seen = (epoch.as_str(), seen);
        link.ask(Ask::Open(id), self.now, |out, loaded| {
            scripts::open(out, by_name(loaded, with_text), &room.name, known, seen);
        });
    }

    /// Asks again what is kept of a live room: something does not fit what is known of it.
    fn ask_again(&mut self, id: RoomId) {
        if self.is_up
            && self
                .rooms
                .get(id)
                .is_some_and(|room| room.stage == Stage::Live)
        {
            self.open(id, None, false);
        }
    }

    fn opened(&mut self, id: RoomId, state: State) {
        self.note_epoch(&state);
        if self
            .rooms
            .get(id)
            .is_none_or(|room| room.stage != Stage::Asked)
        {
            return;
        }
        if let Some(epoch) = self.is_too_low(id, &state) {
            self.open(id, Some(epoch), false);
            return;
        }
        self.with_room(id, |room, out| room.answer_came(state, out));
        if self.rooms.get(id).is_some_and(Room::is_ahead) {
            self.ask_again(id);
            return;
        }
        let reads = self
            .rooms
            .get_mut(id)
            .map(|room| mem::take(&mut room.reads));
        for read in reads.unwrap_or_default() {
            self.read(id, read, false);
        }
    }

    /// The current epoch of Redis, if its number is not above those that this server knows of the
    /// room: Redis had lost the room, and was asked by a server that knew less.
    fn is_too_low(&self, id: RoomId, state: &State) -> Option<EpochInfo> {
        let room = self.rooms.get(id)?;
        let newest = state.turns.last()?.epoch;
        let is_new = room.current() != Some(newest);
        (is_new && newest.epoch <= room.highest()).then_some(newest)
    }

    fn note_epoch(&mut self, state: &State) {
        for turn in &state.turns {
            self.epoch_max = self.epoch_max.max(turn.epoch.epoch);
        }
    }

    /// One step of a room, and what follows from it.
    fn with_room(&mut self, id: RoomId, step: impl FnOnce(&mut Room, &mut Vec<Answer>) -> Outcome) {
        let Some(room) = self.rooms.get_mut(id) else {
            return;
        };
        let outcome = step(room, &mut self.answers);
        self.figures.epochs += outcome.epochs;
        self.figures.missed += outcome.missed;
        if let Some((kept_to, seen)) = outcome.lost
            && let Some(epoch) = room.current()
        {
            self.figures.losses += 1;
            self.reports.push(Report::Lost {
                room: room.name.clone(),
                kept_to,
                seen,
                epoch,
            });
        }
        if outcome.missed > 0 {
            self.reports.push(Report::Missed {
                room: room.name.clone(),
                oldest: Seq(room.last.0.saturating_add(1)),
            });
        }
        for asked in outcome.again {
            self.say(asked, false);
        }
        self.refill(id);
    }

    fn published(&mut self, id: RoomId, published: Published<'_>) {
        let Some(room) = self.rooms.get(id) else {
            return;
        };
        if room.current() != Some(published.epoch) {
            self.ask_again(id);
            return;
        }
        let Published { seq, at, entry, .. } = published;
        let decoded = entry::decode(entry, self.node);
        self.with_room(id, |room, out| {
            let mut outcome = Outcome::default();
            match decoded {
                Ok(decoded) => {
                    let ready = decoded.ready(seq, at);
                    room.published(ready, &mut outcome, out);
                }
                // The stream has it, where it is skipped when it is its turn.
                Err(_) => room.is_there(seq),
            }
            outcome
        });
    }

    /// An entry as the log takes it. `None`: it cannot be read, which is reported.
    fn ready(&mut self, id: RoomId, seq: Seq, at: Millis, bytes: &[u8]) -> Option<Ready> {
        match entry::decode(bytes, self.node) {
            Ok(decoded) => Some(decoded.ready(seq, at)),
            Err(damaged) => {
                let room = self.rooms.get(id)?.name.clone();
                self.reports.push(Report::Unreadable {
                    room,
                    seq,
                    why: damaged.0,
                });
                None
            }
        }
    }

    // What is missing

    fn refill(&mut self, id: RoomId) {
        if !self.is_up {
            return;
        }
        while let Some(room) = self.rooms.get_mut(id) {
            let was_whole = room.is_whole();
            let Some((first, last)) = room.next_refill() else {
                return;
            };
            self.figures.refills += u64::from(was_whole);
            let generation = room.refill_gen;
            self.read_stream(id, generation, first, last, false);
        }
    }

    fn read_stream(&mut self, id: RoomId, generation: u32, first: Seq, last: Seq, with_text: bool) {
        let Some(room) = self.rooms.get(id) else {
            return;
        };
        let range = Range {
            first: first.0,
            last: last.0,
            entries_max: u32::MAX,
            bytes_max: REFILL_BYTES,
        };
        let ask = Ask::Refill {
            room: id,
            generation,
            first,
            last,
        };
        let link = &mut self.links[Which::Commands as usize];
        link.ask(ask, self.now, |out, loaded| {
            scripts::page(out, by_name(loaded, with_text), &room.name, range);
        });
    }

    /// A page from the stream came. The entries come as they were numbered: what changed them since
    /// has numbers of its own.
    fn refilled(
        &mut self,
        id: RoomId,
        generation: u32,
        (first, last): (Seq, Seq),
        found: Option<Found<'_>>,
    ) {
        let Some(room) = self.rooms.get(id) else {
            return;
        };
        if room.refill_gen != generation || room.stage != Stage::Live {
            return;
        }
        let found = found.filter(|found| room.current() == Some(found.epoch));
        let Some(found) = found.filter(|found| found.head >= last) else {
            self.ask_again(id);
            return;
        };
        // A page that does not follow what came, for the one before it ended early.
        let follows = first.0 <= room.last.0.saturating_add(1);
        let mut entries = Vec::new();
        if follows {
            for (seq, bytes, _) in found.entries {
                let timed = timed(bytes);
                let ready = timed.and_then(|(at, bytes)| self.ready(id, seq, at, bytes));
                entries.push((seq, ready));
            }
        }
        self.figures.refilled += entries.len() as u64;
        self.with_room(id, |room, out| {
            let mut outcome = Outcome::default();
            if follows {
                let oldest = entries
                    .first()
                    .map_or(Seq(last.0.saturating_add(1)), |(seq, _)| *seq);
                // Nothing is kept of the page, or not its beginning.
                room.skip(oldest.max(found.oldest), &mut outcome, out);
            }
            for (seq, ready) in entries {
                room.skip(seq, &mut outcome, out);
                match ready {
                    Some(ready) => room.refilled(ready, &mut outcome, out),
                    None => room.skip(Seq(seq.0.saturating_add(1)), &mut outcome, out),
                }
            }
            room.refill_ends(&mut outcome, out);
            outcome
        });
    }

    fn compare_tops(&mut self) {
        if self.tops_asked {
            return;
        }
        let count = self
            .rooms
            .count
            .div_ceil(TOPS_STEPS)
            .clamp(SUBSCRIBE_MAX, TOPS_MAX);
        let (ids, next) = self.rooms.live_from(self.tops_next, count);
        self.tops_next = next;
        if ids.is_empty() {
            return;
        }
        self.tops_asked = true;
        let rooms = ids.iter().filter_map(|id| self.rooms.get(*id));
        let names: Vec<&str> = rooms.map(|room| room.name.as_str()).collect();
        let link = &mut self.links[Which::Commands as usize];
        link.ask(Ask::Tops(ids), self.now, |out, loaded| {
            scripts::tops(out, Some(loaded), names.into_iter());
        });
    }

    fn top_came(&mut self, id: RoomId, top: Option<(EpochInfo, Seq)>) {
        let Some(room) = self
            .rooms
            .get_mut(id)
            .filter(|room| room.stage == Stage::Live)
        else {
            return;
        };
        match top {
            Some((epoch, head)) if room.current() == Some(epoch) => {
                if room.top_came(head) {
                    self.refill(id);
                }
            }
            _ => self.ask_again(id),
        }
    }

    // Pages for the log

    fn read(&mut self, id: RoomId, read: Read, with_text: bool) {
        let Some(room) = self.rooms.get_mut(id) else {
            return;
        };
        if !self.is_up {
            let why = "the link to Redis is down";
            self.answers.push(read_failed(id, read, why));
            return;
        }
        if room.stage != Stage::Live {
            room.reads.push(read);
            return;
        }
        let range = Range {
            first: read.after.0.saturating_add(1),
            last: room.last.0,
            entries_max: read.entries_max.max(1),
            bytes_max: read.bytes_max,
        };
        let link = &mut self.links[Which::Commands as usize];
        link.ask(Ask::Read(id, read), self.now, |out, loaded| {
            scripts::page(out, by_name(loaded, with_text), &room.name, range);
        });
    }

    fn was_read(&mut self, id: RoomId, read: Read, found: Option<Found<'_>>) {
        let Some(room) = self.rooms.get_mut(id) else {
            return;
        };
        let found = found.filter(|found| room.current() == Some(found.epoch));
        let Some(found) = found.filter(|_| room.stage == Stage::Live) else {
            room.reads.push(read);
            self.ask_again(id);
            return;
        };
        let page = page(read, room.last, found, self.node);
        self.answers.push(match page {
            Ok(page) => Answer::Page {
                room: id,
                log_gen: read.log_gen,
                page,
            },
            Err(why) => read_failed(id, read, why),
        });
    }

    // What is said

    fn say(&mut self, asked: Box<Unnumbered>, with_text: bool) {
        if !self.is_up {
            return; // The log hands it over again.
        }
        if self
            .rooms
            .get(asked.room)
            .is_none_or(|room| !room.is_told())
        {
            self.answers.push(Answer::Refused {
                room: asked.room,
                tag: asked.tag,
                why: RefusedWhy::NotOpen,
            });
            return;
        }
        let salt = self.new_salt();
        let link = &mut self.links[Which::Commands as usize];
        let run = link.server.run.clone();
        let known = Incarnation {
            run: &run,
            salt,
            epoch_max: self.epoch_max,
        };
        let (node, keep) = (self.node, self.settings.keep);
        let payload = entry::encode(&asked.draft, asked.change.as_deref(), node);
        let mut bytes = Vec::new();
        let names = by_name(&link.loaded, with_text);
        scripts::say(&mut bytes, names, &asked, &payload, known, (node, keep));
        link.ask(Ask::Say(asked), self.now, |out, _| {
            out.extend_from_slice(&bytes)
        });
    }

    fn was_said(&mut self, asked: Box<Unnumbered>, said: Said) {
        let id = asked.room;
        let Some(room) = self.rooms.get_mut(id) else {
            return;
        };
        room.said(asked, said);
        self.with_room(id, |room, out| {
            let mut outcome = Outcome::default();
            room.settle(&mut outcome, out);
            outcome
        });
        if self.rooms.get(id).is_some_and(Room::is_ahead) {
            self.ask_again(id);
        }
    }

    /// For an epoch that may begin: 32 bits of the run id, a secret and a number.
    fn new_salt(&mut self) -> u32 {
        self.salts_given += 1;
        let mut hasher = SipHasher13::new_with_keys(self.salts.0, self.salts.1);
        let link = &self.links[Which::Commands as usize];
        hasher.write(link.server.run.as_bytes());
        hasher.write_u64(self.salts_given);
        hasher.finish() as u32
    }

    // Requests of the log

    fn request(&mut self, request: Request) {
        match request {
            Request::Open { room, name } => {
                self.rooms.insert(room, name);
                self.wanted.push_back(room);
            }
            Request::Close { room } => self.close(room),
            Request::Number(asked) => self.say(asked, false),
            Request::Read {
                room,
                log_gen,
                after,
                entries_max,
                bytes_max,
                ..
            } => {
                let read = Read {
                    log_gen,
                    after,
                    entries_max,
                    bytes_max,
                };
                self.read(room, read, false);
            }
            Request::Keys { session } => self.ask_keys(session),
            other => self.answers.extend(super::keys::not_offered(other)),
        }
    }

    fn close(&mut self, id: RoomId) {
        let Some(room) = self.rooms.remove(id) else {
            return;
        };
        if self.is_up && room.stage != Stage::Wanted {
            let channel = scripts::channel(&room.name);
            let words = [&b"UNSUBSCRIBE"[..], channel.as_bytes()];
            self.link(Which::Subscriptions).tell(&words);
        }
    }

    fn ask_keys(&mut self, session: u64) {
        if !self.is_up {
            self.fail(Ask::Keys { session }, "the link to Redis is down");
            return;
        }
        let key = scripts::session_keys(session);
        let now = self.now;
        self.link(Which::Commands)
            .ask(Ask::Keys { session }, now, |out, _| {
                command(out, &[b"HGETALL", key.as_bytes()]);
            });
    }
}

impl Store for Engine {
    fn send(&mut self, requests: &mut Vec<Request>) {
        for request in requests.drain(..) {
            self.request(request);
        }
        self.subscribe();
    }

    fn receive(&mut self, answers: &mut Vec<Answer>) {
        answers.append(&mut self.answers);
    }
}

/// Whether Redis takes no more for the time being: its memory is full, or its disk.
fn is_full(why: &str) -> bool {
    why.contains("OOM ") || why.starts_with("MISCONF")
}

const fn by_name(loaded: &Loaded, with_text: bool) -> Option<&Loaded> {
    if with_text { None } else { Some(loaded) }
}

fn read_failed(room: RoomId, read: Read, why: &str) -> Answer {
    Answer::ReadFailed {
        room,
        log_gen: read.log_gen,
        after: read.after,
        why: why.to_owned(),
    }
}

/// The entries of a page in their present form, up to the newest that the log has.
fn page(read: Read, last: Seq, found: Found<'_>, node: u64) -> Result<Page, &'static str> {
    let oldest = found.oldest;
    let mut page = Page {
        entries: Vec::new(),
        complete_to: read.after.max(Seq(oldest.0.saturating_sub(1))).min(last),
        oldest,
    };
    for (seq, bytes, change) in found.entries {
        if seq > last {
            break;
        }
        if page.complete_to.next() != Some(seq) {
            if !page.entries.is_empty() {
                break;
            }
            // Numbers that were given to no entry.
            page.oldest = seq;
        }
        let (at, bytes) = timed(bytes).ok_or("an entry has no time")?;
        let draft = entry::decode(bytes, node)
            .map_err(|damaged| damaged.0)?
            .draft;
        let entry = entry::present(seq, at, draft, change).map_err(|damaged| damaged.0)?;
        page.entries.push(entry);
        page.complete_to = seq;
    }
    Ok(page)
}
