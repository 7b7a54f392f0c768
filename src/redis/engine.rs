//! The engine that several servers share: the log's requests in, its answers out, and in between
//! two connections to Redis without their sockets. No socket, no clock: a driver owns both.
//!
//! The driver, in each turn:
//!
//! 1. [`Engine::next_action`] until there is none: connect, or close.
//! 2. [`Engine::connected`], [`Engine::failed`], [`Engine::received`] as it happens.
//! 3. [`Engine::expire`] when [`Engine::next_tick`] has come, and before the log hands over: it says
//!    what time it is.
//! 4. [`Engine::output`] to the socket, and [`Engine::written`] what it took. Whenever anything was called.
//! 5. [`Engine::reports`] into the log of the program.
//!
//! Between 3 and 4 the log takes the answers and hands over its requests ([`Store`]).
//!
//! A room is subscribed to and then asked for, in one write on the connection for subscriptions: so
//! what was published before the answer is in the answer, and what follows comes after it. What
//! is missing is read on the connection for commands.

mod audit;
mod beat;
mod facts;
mod list;
mod missing;
mod nicks;
mod opening;
mod pages;
mod presence;
mod replies;
mod saying;
mod times;

use super::facts::Facts;
use super::link::{Fault, Link, Which};
use super::report::{Figures, Report};
use super::resp::command;
use super::rooms::{Read, Room, Rooms, Stage};
use super::scripts::{self, Loaded, Place};
use super::settings::Settings;
use crate::chance::Chance;
use crate::chat::Sighting;
use crate::id::{RoomId, Seq, Tick};
use crate::log::{Answer, NickClaims, NodesRequest, Proposed, Request, Store, Unnumbered};
use audit::Search;
use beat::Leases;
use list::List;
use nicks::Sweep;
use pages::read_failed;
use smol_str::SmolStr;
use std::collections::VecDeque;
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

/// For so long after a new process of Redis was found, members and rooms stay that it does not know: a
/// lease.
const GRACE_TICKS: u32 = 100;

/// Why a page of a room that was closed does not come.
const CLOSED: &str = "the room was closed";

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
    /// How far the log of changes is, some of the facts, some of the changes.
    Registry {
        generation: u32,
    },
    Facts {
        generation: u32,
    },
    Changes {
        generation: u32,
    },
    Change(Box<Proposed>),
    Beat,
    /// How long scripts take.
    Times,
    Claim(Box<NickClaims>),
    Sweep,
    Nodes {
        tag: u64,
    },
    Audit(Box<Search>),
    See(RoomId, Place),
    Present((RoomId, SmolStr)),
    SeeList(Place),
    Count,
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
    /// Why they are not, as it was reported last.
    down_why: String,
    /// The highest number of an epoch that came.
    epoch_max: u32,
    leases: Leases,
    sweep: Sweep,
    rooms: Rooms,
    facts: Facts,
    /// Rooms to be subscribed to, from this tick on.
    wanted: VecDeque<RoomId>,
    wanted_from: Tick,
    /// Answers to come of those that were.
    opening: usize,
    tops_due: Tick,
    tops_next: usize,
    tops_asked: bool,
    /// Rooms whose members here Redis has not taken.
    untold: Vec<RoomId>,
    /// Rooms that were closed while the link was down.
    closed: Vec<(RoomId, SmolStr)>,
    /// Rooms of whose members a new Redis may not know all, until then.
    ending: VecDeque<(Tick, RoomId)>,
    /// Rooms of which a member was removed: their members are read again, then.
    doubted: VecDeque<(Tick, RoomId)>,
    list: List,
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
            down_why: String::new(),
            epoch_max: 0,
            leases: Leases::new(now),
            sweep: Sweep::default(),
            rooms: Rooms::default(),
            facts: Facts::default(),
            wanted: VecDeque::new(),
            wanted_from: now,
            opening: 0,
            tops_due: now,
            tops_next: 0,
            tops_asked: false,
            untold: Vec::new(),
            closed: Vec::new(),
            ending: VecDeque::new(),
            doubted: VecDeque::new(),
            list: List::default(),
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
    pub fn written(&mut self, which: Which, count: usize) {
        self.link(which).wrote(count);
    }

    /// When [`Engine::expire`] and [`Engine::next_action`] are needed next.
    pub fn next_tick(&self) -> Option<Tick> {
        let links = self.links.iter().filter_map(Link::next_tick);
        let tops = self.is_up.then_some(self.tops_due);
        let waits = self.is_up && self.opening == 0 && !self.wanted.is_empty();
        let wanted = waits.then_some(self.wanted_from);
        let others = [
            tops,
            wanted,
            self.beat_due(),
            self.sweep_due(),
            self.grace_due(),
            self.list_due(),
            self.look_due(),
        ];
        links.chain(others.into_iter().flatten()).min()
    }

    /// Ends links that do not answer, probes the others, compares what is there.
    pub fn expire(&mut self, now: Tick) {
        self.now = now;
        for which in Which::BOTH {
            if let Some(why) = self.link(which).expire(now) {
                self.end(which, true, &why);
            }
        }
        self.end_grace();
        self.end_list();
        self.look_again();
        if self.beat_due().is_some_and(|due| due <= now) {
            self.beat(false);
        }
        if self.sweep_due().is_some_and(|due| due <= now) {
            self.sweep(false);
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
            unnumbered: self.rooms.each().map(Room::unnumbered).sum::<usize>()
                + self.facts.under_way(),
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
        self.leases.cut();
        self.sweep.cut();
        self.wanted.clear();
        self.facts.cut();
        self.untold.clear();
        self.ending.clear();
        self.doubted.clear();
        self.list = List::default();
        for room in self.rooms.each_mut() {
            room.cut();
        }
        // Attempts that fail for one reason are one line.
        if self.is_up || self.down_why != why {
            why.clone_into(&mut self.down_why);
            self.reports.push(Report::Down {
                why: why.to_owned(),
            });
        }
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
            Ask::Read(id, read) => match self.rooms.get_mut(id) {
                Some(room) => room.reads.push(read),
                None => self.answers.push(read_failed(id, read, why)),
            },
            Ask::Keys { session } => self.answers.push(Answer::KeysFailed {
                session,
                why: why.to_owned(),
            }),
            Ask::Nodes { tag } => self.task_failed(tag, why),
            Ask::Audit(search) => self.task_failed(search.tag, why),
            Ask::Present(room) => {
                if self.rooms.get(room.0).is_none() {
                    self.closed.push(room);
                }
            }
            Ask::Open(_)
            | Ask::Say(_)
            | Ask::Refill { .. }
            | Ask::Tops(_)
            | Ask::Registry { .. }
            | Ask::Facts { .. }
            | Ask::Changes { .. }
            | Ask::Change(_)
            | Ask::Beat
            | Ask::Times
            | Ask::Claim(_)
            | Ask::Sweep
            | Ask::See(..)
            | Ask::SeeList(_)
            | Ask::Count
            | Ask::Load => {}
        }
    }

    fn task_failed(&mut self, tag: u64, why: &str) {
        let why = why.to_owned();
        self.answers.push(Answer::TaskFailed { tag, why });
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
        self.leases.begin(self.now);
        self.sweep.begin(self.now);
        self.tell_of_closed();
        self.reports.push(Report::Up {
            version: version.clone(),
        });
        self.answers.push(Answer::Link {
            is_up: true,
            why: format!("connected to {version}"),
        });
        self.subscribe_facts();
        self.begin_list();
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
            Request::Propose(proposed) => self.propose(proposed, false),
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
            Request::Present { room, moves } => self.present(room, moves),
            Request::Count(counts) => self.count(&counts),
            Request::Keys { session } => self.ask_keys(session),
            Request::Nodes(NodesRequest::List { tag }) => self.ask_nodes(tag),
            Request::Audit {
                tag,
                room,
                before,
                limit,
            } => self.find_rows(Search::page(tag, room, (before, limit))),
            Request::AuditExport { tag, room, before } => {
                self.find_rows(Search::lines(tag, room, before));
            }
            Request::Nodes(NodesRequest::Claim(claims)) => self.claim(claims, false),
            other => self.answers.extend(super::keys::not_offered(other)),
        }
    }

    fn close(&mut self, id: RoomId) {
        let Some(room) = self.rooms.remove(id) else {
            return;
        };
        for read in &room.reads {
            self.answers.push(read_failed(id, *read, CLOSED));
        }
        if self.is_up && room.stage != Stage::Wanted {
            let channels = [
                scripts::channel(&room.name),
                scripts::members_channel(&room.name),
            ];
            let [entries, members] = channels.each_ref().map(|channel| channel.as_bytes());
            let words = [&b"UNSUBSCRIBE"[..], entries, members];
            self.link(Which::Subscriptions).tell(&words);
        }
        let closed = (id, room.name.clone());
        if !self.is_up && room.is_told() {
            self.closed.push(closed);
        } else if self.is_up && room.is_untold {
            // The log did not know yet that the link is back when its last member left.
            self.tell_none(closed);
        }
        self.sighted(id, Sighting::Closed);
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

const fn by_name(loaded: &Loaded, with_text: bool) -> Option<&Loaded> {
    if with_text { None } else { Some(loaded) }
}
