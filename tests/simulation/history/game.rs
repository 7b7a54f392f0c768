//! One game about the history: a server on a simulated disk that ends and starts again several
//! times, programs and people that come back each time, and the oracle. Checks after each turn
//! what must hold at all times, and in quiet times that all has arrived.

use super::super::chance::Chance;
use super::super::client::{self, COME_BACK, Seen};
use super::super::net::{self, Happened, SimNet};
use super::super::tls;
use super::super::trace::Trace;
use super::disk::Disk;
use super::follower::{Bounds, Follower};
use super::program::{CONDUCTS, Conduct, Connection, Fate, Program, World};
use super::reader::Reader;
use super::store::{self, Engine};
use super::truth::{Found, Truth};
use super::{ROOMS, WITNESSED};
use crate::upgrade::{SimUpgrade, in_memory, succeed, with_store};
use parlor::budget;
use parlor::config::Config;
use parlor::conn::outbox;
use parlor::id::{Peer, Tick};
use parlor::log::{self, Keeping};
use parlor::net::{Net, Signal};
use parlor::server::{Server, Turn};
use parlor::{chat, conn, ws};
use std::cell::Cell;
use std::collections::BTreeSet;
use std::mem;
use std::net::{IpAddr, Ipv4Addr};
use std::rc::Rc;
use std::time::Duration;

/// From the last entry that a witness reads until the server has taken it for live, and said so.
const TURNS_TO_LIVE: u32 = 5;
/// The listeners: a plain one, and one at which TLS is spoken.
const DOORS: usize = 2;
const SECURE: usize = 1;

/// For so long at most an upgrade waits for clients that speak TLS to end: 2 s.
const PART_TICKS: u32 = 20;

/// Turns of a server in which clients connect and act.
const BUSY_TURNS: usize = 150;

/// Turns within which all must have arrived, without faults.
const QUIET_TURNS: usize = 15_000;

/// For so long at most a connection is not read because one of its requests waits for the store,
/// with a margin for the clock.
const HELD_TICKS: u32 = 110;

/// Answers of one connection that may wait for the store.
const ANSWERS_MAX: usize = 64;

/// The longest message that a program is sent of another.
const MESSAGE_BYTES_MAX: usize = 400;

/// What an entry takes besides its text.
const ENTRY_BYTES_MAX: usize = 200;

/// Pages that were read from the store.
const PAGES_BYTES_MAX: usize = 2 << 20;

/// A program that loses its connection leaves at most so many sockets open and unread.
const ABANDONED_MAX: usize = 20;

/// Small limits, so that the edges are reached.
fn config(chance: &mut Chance) -> Config {
    let seconds = Duration::from_secs;
    Config {
        conn: conn::Settings {
            handshake_timeout: seconds(2),
            ping_after: seconds(3),
            silent_timeout: seconds(6),
            close_timeout: seconds(1),
            stall_timeout: seconds([2, 20][chance.below(2)]),
            message_timeout: seconds(5),
            outbox: outbox::Limits {
                frames_max: 2 + chance.below(8),
                bytes_max: 600 + chance.below(2000),
            },
        },
        ws: ws::Limits {
            max_message_bytes: 600,
            max_fragments: 8,
        },
        chat: chat::Settings {
            message_rate: if chance.percent(70) { 0 } else { 5 },
            message_burst: [5, 15][chance.below(2)],
            notice_members: [1000, 0, 1 + chance.below(8)][chance.below(3)],
            notice_interval: seconds(1),
            edit_window: seconds([5, 900][chance.below(2)]),
            operator_token: Some(String::from("secret")),
            ..chat::Settings::default()
        },
        budget: budget::Settings::UNLIMITED,
        log: log::Settings {
            tail_bytes: [4_000, 40_000][chance.below(2)],
            catch_up_max: [6, 20, 1000][chance.below(3)],
            history_lines: [0, 3][chance.below(2)],
            ..log::Settings::default()
        },
        grace_timeout: seconds(2),
        ..Config::default()
    }
}

fn network(chance: &mut Chance) -> net::Faults {
    if chance.percent(25) {
        return net::Faults::NONE;
    }
    net::Faults {
        blocked: chance.below(30) as u32,
        short: if chance.percent(30) {
            chance.below(20) as u32
        } else {
            0
        },
        cut_reads: chance.below(40) as u32,
        cut_writes: chance.below(60) as u32,
        cut_arrivals: chance.below(60) as u32,
        broken: if chance.percent(30) { 1 } else { 0 },
        delayed: chance.below(20) as u32,
        idle: chance.below(20) as u32,
        late: 5,
        window: [64 + chance.below(1000), 4000][chance.below(2)],
        ..net::Faults::NONE
    }
}

/// How a server ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    /// The process is killed, or the power fails.
    Crash,
    /// A signal to stop.
    Stop,
}

pub(super) struct Game {
    server: Server<SimNet>,
    config: Config,
    engine: Engine,
    truth: Truth,
    programs: Vec<Program>,
    readers: Vec<Reader>,
    chance: Chance,
    network: net::Faults,
    store: store::Faults,
    bounds: Bounds,
    /// A store is behind the server.
    has_store: bool,
    /// At a door of its own.
    speaks_tls: bool,
    /// Set when an upgrade is approved, at which clients that speak TLS are asked to come back.
    approvals: Rc<Cell<bool>>,
    /// One was approved in the last turn.
    is_approved: bool,
    /// What the present server has done, in turns.
    turns: usize,
    turns_in_all: u64,
    /// Sockets of programs that have moved on, which no client reads.
    abandoned: Vec<usize>,
    stops_at: Option<usize>,
    /// A copy of the disk, and the starts that it knows of.
    backup: Option<(Disk, BTreeSet<u32>)>,
    /// The most connections that were open at once.
    open_max: usize,
    trace: Trace,
}

/// Returns where its approvals are seen as well.
fn server(
    config: &Config,
    net: SimNet,
    keeping: Keeping,
    seed: u64,
) -> (Server<SimNet>, Rc<Cell<bool>>) {
    let upgrade = SimUpgrade::new(config.clone(), net.waker());
    let approvals = upgrade.approvals();
    let mut server = Server::new(config.clone(), net, 1000, seed, keeping);
    server.use_upgrade(Box::new(upgrade));
    server.serve_tls(vec![SECURE], tls::acceptor());
    (server, approvals)
}

/// Plays one game to its end and returns its number of turns. Panics at a broken promise.
pub(crate) fn play(seed: u64, trace: Trace) -> u64 {
    let mut chance = Chance::new(seed ^ 0x0060_9a3e);
    let config = config(&mut chance);
    let network = network(&mut chance);
    let store = store::Faults::any(&mut chance);
    let has_store = chance.percent(85);
    let mut engine = Engine::new(Disk::default(), store::Faults::NONE);
    let keeping = keeping(&mut engine, has_store, &mut chance);
    let mut net = SimNet::new(chance.next(), net::Faults::NONE, DOORS);
    let speaks_tls = chance.percent(40);
    net.speaks_tls(SECURE, tls::clients(chance.percent(70)));
    let (server, approvals) = server(&config, net, keeping, chance.next());
    let mut game = Game {
        server,
        speaks_tls,
        approvals,
        is_approved: false,
        bounds: Bounds {
            catch_up_max: config.log.catch_up_max,
            history_max: config.log.catch_up_max,
            may_be_gone: !has_store || store.damaged > 0,
        },
        config,
        engine,
        truth: Truth::new(&ROOMS),
        programs: Vec::new(),
        readers: Vec::new(),
        chance,
        network,
        store,
        has_store,
        turns: 0,
        turns_in_all: 0,
        abandoned: Vec::new(),
        stops_at: None,
        backup: None,
        open_max: 0,
        trace,
    };
    game.note(|game| {
        format!(
            "outbox {} frames and {} bytes, rate {}, notices {}, {:?}; {network:?}; store: {store:?}",
            game.config.conn.outbox.frames_max,
            game.config.conn.outbox.bytes_max,
            game.config.chat.message_rate,
            game.config.chat.notice_members,
            game.config.log,
        )
    });
    let lives = 1 + game.chance.below(4);
    for life in 1..=lives {
        game.lives();
        if life < lives {
            game.ends_and_starts_again();
        }
    }
    game.finishes()
}

fn keeping(engine: &mut Engine, has_store: bool, chance: &mut Chance) -> Keeping {
    if !has_store {
        let random = chance.bytes(36).try_into().expect("36 bytes");
        return Keeping::in_memory(random);
    }
    let salt = chance.next() as u32;
    Keeping {
        started: engine.disk.starts(salt),
        store: Some(Box::new(engine.store()) as Box<dyn log::Store>),
        is_shared: false,
    }
}

impl Game {
    fn note(&mut self, what: impl FnOnce(&Self) -> String) {
        let mut trace = mem::replace(&mut self.trace, Trace::Off);
        trace.note(|| format!("[{:>5}] {}", self.now().0, what(self)));
        self.trace = trace;
    }

    fn now(&self) -> Tick {
        self.server.net().now()
    }

    /// One server, from its first connection until all is quiet or it ends.
    fn lives(&mut self) {
        self.turns = 0;
        self.seats_witnesses();
        let (network, store) = (self.network, self.store);
        self.server.net_mut().misbehaves(network);
        self.engine.misbehaves(store);
        for _ in 0..BUSY_TURNS {
            // While the store fails clients mostly wait, so that time passes: a message is refused
            // only after some seconds.
            let is_busy = !self.engine.is_failing(self.now()) || self.chance.percent(20);
            if is_busy {
                self.something_happens();
                self.programs_act(true);
                self.readers_act(true);
            }
            self.turn();
        }
        if self.chance.percent(30) {
            self.settles();
        }
    }

    fn seats_witnesses(&mut self) {
        for room in 0..WITNESSED {
            if self.programs.len() == room {
                let mut program = Program::new(room, Conduct::Witness, self.rooms());
                program.wants(room);
                self.programs.push(program);
            }
            self.truth.rooms[room].is_witnessed = false;
            self.truth.rooms[room].lines_from = self.truth.rooms[room].head();
            self.connects(room);
        }
        // After an older disk was found they read the past again, and are behind until then. The sum
        // of their own joining may be lost to them meanwhile, and is reported when they are live.
        let are_in = |game: &Self| {
            let mut witnesses = (0..WITNESSED).map(|room| (room, &game.programs[room]));
            witnesses.all(|(room, program)| {
                program.is_in(room) && program.is_at(room, game.truth.rooms[room].head())
            })
        };
        let mut turns_in = 0;
        for _ in 0..QUIET_TURNS {
            turns_in = if are_in(self) { turns_in + 1 } else { 0 };
            if turns_in > TURNS_TO_LIVE {
                for room in 0..WITNESSED {
                    self.truth.rooms[room].is_witnessed = true;
                }
                return;
            }
            for room in 0..WITNESSED {
                self.acts(room, false);
            }
            self.turn();
        }
        panic!("the witnesses do not get in");
    }

    fn connects(&mut self, index: usize) {
        let is_spared = self.programs[index].conduct == Conduct::Witness;
        // An address for each, since joining has a rate.
        let peer = Peer::Ip(IpAddr::V4(Ipv4Addr::new(192, 0, 2, index as u8)));
        let door = if self.programs[index].is_secure {
            SECURE
        } else {
            0
        };
        let net = self.server.net_mut();
        let socket = match is_spared {
            true => net.connect_spared(door, peer),
            false => net.connect(door, peer),
        };
        let Some(socket) = socket else { return };
        let bytes = self.programs[index].connects(socket);
        self.server.net_mut().send(socket, &bytes);
        self.note(|game| format!("{} connects at {socket}", game.programs[index].nick));
    }

    fn something_happens(&mut self) {
        if self.chance.percent(2) {
            self.server.net_mut().signal(Signal::Upgrade);
        }
        if self.has_store && self.chance.per_mille(5) {
            let known = self.truth.known();
            self.backup = Some((self.engine.disk.clone(), known));
            self.note(|_| String::from("a backup is made"));
        }
        if self.programs.len() < 9 && self.chance.percent(6) {
            let conduct = match self.chance.percent(30) {
                true => Conduct::Prompt,
                false => CONDUCTS[self.chance.below(CONDUCTS.len())],
            };
            let number = self.programs.len();
            let mut program = Program::new(number, conduct, self.rooms());
            program.wants(self.chance.below(self.rooms()));
            program.wants(self.chance.below(self.rooms()));
            program.is_secure = self.speaks_tls && self.chance.percent(50);
            let is_secure = program.is_secure;
            self.programs.push(program);
            self.note(|_| format!("j{number} comes: {conduct:?}, TLS {is_secure}"));
        }
        if self.readers.len() < 5 && self.chance.percent(4) {
            let conduct = [Conduct::Prompt, Conduct::Slow, Conduct::Dozing];
            let conduct = conduct[self.chance.below(conduct.len())];
            let number = self.readers.len();
            let room = self.chance.below(self.rooms());
            let wish = [None, Some(0), Some(5), Some(100)][self.chance.below(4)];
            let mut reader = Reader::new(number, conduct, room, wish);
            reader.is_secure = self.speaks_tls && self.chance.percent(50);
            let is_secure = reader.is_secure;
            self.readers.push(reader);
            self.note(|_| format!("p{number} comes: {conduct:?}, {wish:?}, TLS {is_secure}"));
        }
    }

    /// Without a store, only witnesses know what was said.
    fn rooms(&self) -> usize {
        match self.has_store {
            true => ROOMS.len(),
            false => WITNESSED,
        }
    }

    fn programs_act(&mut self, is_busy: bool) {
        for index in 0..self.programs.len() {
            self.comes_back(index);
            if self.programs[index].connection.is_some() {
                self.acts(index, is_busy);
            }
        }
    }

    fn comes_back(&mut self, index: usize) {
        let program = &self.programs[index];
        if program.connection.is_none()
            && !program.is_leaving
            && self.now() >= program.comes_back_at
        {
            self.connects(index);
        }
    }

    fn acts(&mut self, index: usize, is_busy: bool) {
        let program = &mut self.programs[index];
        let world = World {
            truth: &mut self.truth,
            disk: self.has_store.then_some(&self.engine.disk),
            bounds: self.bounds,
            names: &ROOMS,
            now: self.server.net().now(),
            trace: &mut self.trace,
            is_ill: self.store.may_refuse(),
        };
        let chance = &mut self.chance;
        let mut bytes = program.takes_up(&world, chance);
        let is_witness = program.conduct == Conduct::Witness;
        if is_busy && !is_witness {
            if chance.percent(25) {
                for _ in 0..1 + chance.below(3) {
                    bytes.extend(program.says(chance));
                }
            }
            if chance.percent(10) {
                bytes.extend(program.requests(&world, chance));
            }
        }
        let connection = program.connection.as_ref().expect("it acts");
        let socket = connection.socket;
        self.server.net_mut().send(socket, &bytes);
        if is_busy && !is_witness {
            self.may_lose(index);
        }
    }

    /// A connection may break, or be left standing by a client that has moved.
    fn may_lose(&mut self, index: usize) {
        let program = &mut self.programs[index];
        let Some(connection) = &program.connection else {
            return;
        };
        let socket = connection.socket;
        let moves = program.conduct == Conduct::Moving && self.chance.percent(3);
        if moves && self.abandoned.len() < ABANDONED_MAX {
            self.abandoned.push(socket);
        } else if moves || self.chance.per_mille(5) {
            self.server.net_mut().reset(socket);
        } else {
            return;
        }
        let program = &mut self.programs[index];
        program.is_cut_off();
        let wait = self.chance.below(20) as u32;
        program.comes_back_at = self.server.net().now() + wait;
        self.note(|game| format!("{} loses {socket}", game.programs[index].nick));
    }

    fn turn(&mut self) {
        self.turns += 1;
        self.turns_in_all += 1;
        let now = self.now();
        if self.has_store {
            if self.engine.steps(now, &mut self.chance) {
                self.server.net().waker().set(true);
            }
            self.truth.follows(&self.engine.disk);
        }
        self.server.net_mut().horizon = now + 10;
        self.server.net_mut().is_settling = self.server.is_settling();
        let mut outcome = self.server.turn();
        if mem::replace(&mut self.is_approved, self.approvals.take()) {
            let now = self.now();
            self.server.net_mut().secure_waits_until = now + PART_TICKS;
        }
        if outcome == Turn::Upgrade {
            outcome = Turn::Again;
            self.is_succeeded();
        }
        assert!(
            outcome == Turn::Again || outcome == Turn::Stopped && self.stops_at.is_some(),
            "{outcome:?}"
        );
        self.server.check_invariants();
        self.judges();
        if outcome == Turn::Stopped {
            self.stops_at = Some(self.turns);
        }
    }

    /// Another server takes over, with the same store, in which all is.
    fn is_succeeded(&mut self) {
        self.note(|_| String::from("upgrade"));
        let seed = self.chance.next();
        let (engine, has_store) = (&self.engine, self.has_store);
        let keeping = |server: &Server<SimNet>| match has_store {
            true => with_store(engine.disk.started(), Box::new(engine.store())),
            false => in_memory(server),
        };
        self.approvals = succeed(&mut self.server, (&self.config, 1000), seed, keeping);
        self.server.serve_tls(vec![SECURE], tls::acceptor());
    }

    fn judges(&mut self) {
        let records = self.engine.takes_over();
        self.truth.taps(&records);
        let now = self.now();
        let log = self.server.net_mut().take_log();
        for happened in log {
            if let Happened::Read { socket, upto } = happened
                && let Some(connection) = self.connection_at(socket)
            {
                connection.was_read(upto);
            }
            if let Happened::Read { socket, .. } | Happened::Wrote { socket, .. } = happened {
                // A request may have to wait for the store, and with it all that is behind it.
                let until = now + HELD_TICKS;
                self.server.net_mut().may_leave_unread(socket, until);
            }
            match happened {
                Happened::Blocked(socket) | Happened::Short(socket) | Happened::Gone(socket) => {
                    self.is_blocked(socket);
                }
                _ => {}
            }
        }
        for index in 0..self.programs.len() {
            self.listens(index);
        }
        for index in 0..self.readers.len() {
            self.reader_listens(index);
        }
        self.check_memory();
    }

    fn is_blocked(&mut self, socket: usize) {
        let reader = self
            .readers
            .iter_mut()
            .find(|reader| reader.socket == Some(socket));
        if let Some(reader) = reader {
            reader.is_blocked = true;
        }
        if let Some(connection) = self.connection_at(socket) {
            connection.is_blocked = true;
        }
    }

    /// The connection of a program.
    fn connection_at(&mut self, socket: usize) -> Option<&mut Connection> {
        let connections = self.programs.iter_mut();
        let mut connections = connections.filter_map(|program| program.connection.as_mut());
        connections.find(|connection| connection.socket == socket)
    }

    /// How many bytes a client reads in this turn.
    fn appetite(&mut self, index: usize) -> usize {
        let now = self.now();
        let conduct = self.programs[index].conduct;
        let is_quiet = self.turns > BUSY_TURNS;
        let Some(connection) = &mut self.programs[index].connection else {
            return 0;
        };
        match conduct {
            _ if is_quiet => usize::MAX,
            Conduct::Slow if !self.chance.percent(10) => 0,
            Conduct::Slow => self.chance.below(300),
            Conduct::Dozing if now < connection.asleep_until => 0,
            Conduct::Dozing if self.chance.percent(5) => {
                connection.asleep_until = now + self.chance.below(40) as u32;
                0
            }
            _ => usize::MAX,
        }
    }

    fn listens(&mut self, index: usize) {
        let limit = self.appetite(index);
        let Some(connection) = &mut self.programs[index].connection else {
            return;
        };
        let socket = connection.socket;
        connection.is_blocked |= self.server.net().is_behind(socket) || limit < usize::MAX;
        let bytes = self.server.net_mut().read_as_client(socket, limit);
        self.hears(index, &bytes);
        self.may_have_been_full(index, bytes.len());
        self.check_follows(index);
        let net = self.server.net_mut();
        if net.is_over_for_client(socket) || net.is_closed_by_server(socket) {
            self.has_lost_its_connection(index);
        }
    }

    /// A member of several rooms may be sent more in one turn than its outbox takes, though the
    /// network is not blocked: in the last of them it is behind.
    fn may_have_been_full(&mut self, index: usize, bytes: usize) {
        let limits = self.config.conn.outbox;
        let Some(connection) = &mut self.programs[index].connection else {
            return;
        };
        let frames = mem::take(&mut connection.heard);
        let is_full = frames >= limits.frames_max || bytes + MESSAGE_BYTES_MAX > limits.bytes_max;
        let rooms = &self.truth.rooms;
        let mut follows = connection.follows.values();
        let is_late = follows.any(|follower| !follower.is_at_the_end(&rooms[follower.room]));
        connection.is_blocked |= is_full && is_late;
    }

    fn hears(&mut self, index: usize, bytes: &[u8]) {
        let program = &mut self.programs[index];
        let mut world = World {
            truth: &mut self.truth,
            disk: self.has_store.then_some(&self.engine.disk),
            bounds: self.bounds,
            names: &ROOMS,
            now: self.server.net().now(),
            trace: &mut self.trace,
            is_ill: self.store.may_refuse(),
        };
        let others = program.hears(bytes, &mut world);
        for seen in others {
            self.reacts(index, seen);
        }
    }

    fn reacts(&mut self, index: usize, seen: Seen) {
        let program = &mut self.programs[index];
        let Some(connection) = &program.connection else {
            return;
        };
        let socket = connection.socket;
        // While the server stops, or before an upgrade.
        let may_be_sent_away = self.stops_at.is_some() || program.is_secure;
        let answer = match seen {
            Seen::Ping(payload) if !connection.is_closed() => {
                program.pongs(&payload, &mut self.chance)
            }
            Seen::Close { code, .. } => {
                let nick = &program.nick;
                let is_right = code != Some(COME_BACK) || may_be_sent_away;
                assert!(is_right, "{nick} speaks no TLS and was asked to come back");
                program.is_closed(code, &mut self.chance)
            }
            Seen::Status(503) if may_be_sent_away => return,
            // The request arrived too slowly.
            Seen::Status(101 | 408) | Seen::Ping(_) | Seen::Pong(_) => return,
            Seen::Status(_) | Seen::Line(_) => panic!("{} was sent {seen:?}", program.nick),
        };
        self.server.net_mut().send(socket, &answer);
    }

    /// A member whose connection was never blocked has everything at the end of each turn.
    fn check_follows(&mut self, index: usize) {
        let program = &mut self.programs[index];
        let nick = &program.nick;
        let Some(connection) = &mut program.connection else {
            return;
        };
        let is_blocked = mem::take(&mut connection.is_blocked);
        connection.was_blocked |= is_blocked;
        if connection.is_closed() {
            return;
        }
        let rooms = &self.truth.rooms;
        let is_current = |follower: &Follower| follower.is_at_the_end(&rooms[follower.room]);
        // Its rooms take turns, so that one may have to wait for another.
        let is_live = !is_blocked && connection.follows.values().all(is_current);
        for follower in connection.follows.values_mut() {
            let room = &self.truth.rooms[follower.room];
            follower.is_behind |= is_blocked;
            let is_at_the_end = follower.is_at_the_end(room);
            // Without a witness it is not known whether notices were lost.
            if is_live && (room.is_witnessed || !connection.was_blocked) {
                follower.becomes_live(room);
            }
            assert!(
                is_at_the_end || follower.is_behind,
                "{nick} was not sent everything of {}: {follower:?}, and the room is at {}",
                ROOMS[follower.room],
                room.head()
            );
        }
    }

    // People

    fn readers_act(&mut self, is_busy: bool) {
        for index in 0..self.readers.len() {
            let reader = &self.readers[index];
            let Some(socket) = reader.socket else {
                if self.now() >= reader.comes_back_at {
                    self.reader_connects(index);
                }
                continue;
            };
            if is_busy && reader.is_in() && self.chance.percent(20) {
                let target = match self.chance.percent(50) {
                    true => format!("j{}", WITNESSED + self.chance.below(7)),
                    false => format!("p{}", self.chance.below(5)),
                };
                let bytes = self.readers[index].says(&target, &mut self.chance);
                self.server.net_mut().send(socket, &bytes);
            } else if is_busy && self.chance.per_mille(8) {
                self.server.net_mut().reset(socket);
                self.reader_is_cut_off(index);
            }
        }
    }

    fn reader_connects(&mut self, index: usize) {
        let peer = Peer::Ip(IpAddr::V4(Ipv4Addr::new(198, 51, 100, index as u8)));
        let door = if self.readers[index].is_secure {
            SECURE
        } else {
            0
        };
        let Some(socket) = self.server.net_mut().connect(door, peer) else {
            return;
        };
        let lines = self.config.log.history_lines;
        let reader = &mut self.readers[index];
        let room = reader.room;
        let bytes = reader.connects(socket, ROOMS[room], &self.truth.rooms[room], lines);
        self.server.net_mut().send(socket, &bytes);
        self.note(|_| format!("p{index} connects at {socket}"));
    }

    fn reader_is_cut_off(&mut self, index: usize) {
        let wait = self.chance.below(30) as u32;
        let now = self.now();
        let reader = &mut self.readers[index];
        if let Some(socket) = reader.socket.take() {
            reader.comes_back_at = now + wait;
            self.server.net_mut().shut(socket);
            self.note(|_| format!("p{index} is cut off at {socket}"));
        }
    }

    fn reader_appetite(&mut self, index: usize) -> usize {
        let now = self.now();
        let is_quiet = self.turns > BUSY_TURNS;
        let reader = &mut self.readers[index];
        match reader.conduct {
            _ if is_quiet => usize::MAX,
            Conduct::Slow if !self.chance.percent(10) => 0,
            Conduct::Slow => self.chance.below(200),
            Conduct::Dozing if now < reader.asleep_until => 0,
            Conduct::Dozing if self.chance.percent(5) => {
                reader.asleep_until = now + self.chance.below(40) as u32;
                0
            }
            _ => usize::MAX,
        }
    }

    fn reader_listens(&mut self, index: usize) {
        let Some(socket) = self.readers[index].socket else {
            return;
        };
        let limit = self.reader_appetite(index);
        let bytes = self.server.net_mut().read_as_client(socket, limit);
        let is_behind = self.server.net().is_behind(socket) || limit < usize::MAX;
        self.reader_hears(index, &bytes);
        let reader = &mut self.readers[index];
        let room = &self.truth.rooms[reader.room];
        let is_blocked = mem::take(&mut reader.is_blocked) || is_behind;
        reader.is_behind |= is_blocked;
        if reader.is_in() {
            let is_at_the_end = reader.is_at_the_end(room);
            reader.is_behind &= is_blocked || !is_at_the_end || reader.at.is_none();
            assert!(
                is_at_the_end || reader.is_behind,
                "p{index} was not sent everything: it is at {:?}, and the room at {}",
                reader.at,
                room.head()
            );
        }
        let net = self.server.net_mut();
        if net.is_over_for_client(socket) || net.is_closed_by_server(socket) {
            self.reader_is_cut_off(index);
        }
    }

    fn reader_hears(&mut self, index: usize, bytes: &[u8]) {
        let reader = &mut self.readers[index];
        let Some(socket) = reader.socket else { return };
        let others = reader.hears(
            bytes,
            &self.truth.rooms[reader.room],
            self.bounds,
            &mut self.trace,
        );
        for seen in others {
            let answer = match seen {
                Seen::Ping(payload) => client::frame(0x8A, &payload, &mut self.chance),
                Seen::Close { code, .. } => {
                    let reader = &mut self.readers[index];
                    let may_be_sent_away = self.stops_at.is_some() || reader.is_secure;
                    let is_right = code != Some(COME_BACK) || may_be_sent_away;
                    assert!(is_right, "p{index} was asked to come back");
                    if mem::replace(&mut reader.is_closed, true) {
                        continue;
                    }
                    let code = code.map(u16::to_be_bytes);
                    let payload = code.as_ref().map_or(&[][..], |code| &code[..]);
                    client::frame(0x88, payload, &mut self.chance)
                }
                Seen::Status(503) if self.stops_at.is_some() || self.readers[index].is_secure => {
                    continue;
                }
                Seen::Status(101 | 408) | Seen::Pong(_) => continue,
                Seen::Status(_) | Seen::Line(_) => panic!("p{index} was sent {seen:?}"),
            };
            self.server.net_mut().send(socket, &answer);
        }
    }

    fn has_lost_its_connection(&mut self, index: usize) {
        let now = self.now();
        let program = &mut self.programs[index];
        let Some(connection) = &program.connection else {
            return;
        };
        // What it asked for last, before it moved, may be read after it has come back.
        let is_moving = program.conduct == Conduct::Moving;
        assert!(
            connection.close_code != Some(4001) || is_moving,
            "{} was replaced by itself",
            program.nick
        );
        let socket = connection.socket;
        self.server.net_mut().shut(socket);
        let program = &mut self.programs[index];
        program.is_cut_off();
        program.comes_back_at = now + self.chance.below(10) as u32;
        self.note(|game| format!("{} is cut off at {socket}", game.programs[index].nick));
    }

    fn check_memory(&mut self) {
        // The formula in SECURITY.md.
        let Config {
            conn,
            http,
            ws,
            log,
            ..
        } = &self.config;
        let each =
            conn.outbox.bytes_max + http.max_head_bytes + 4 * ws.max_message_bytes + 48 * 1024;
        let open = self.server.net().open();
        let held = self.server.held_bytes();
        assert!(held <= each * open, "{held} bytes are held by {open}");
        let (drafts, answers) = self.server.waiting_for_store();
        assert!(
            drafts <= open,
            "{drafts} messages of {open} wait for a number"
        );
        // Those of connections that have ended are at most as many again.
        self.open_max = self.open_max.max(open);
        assert!(
            answers <= 2 * ANSWERS_MAX * self.open_max,
            "{answers} answers to {open} wait for the store"
        );
        let (history, blocks) = self.server.held_by_history();
        // Alone, an entry of any length may wait to be stored, and have a segment of its own.
        let longest = ENTRY_BYTES_MAX + 4 * ws.max_message_bytes;
        let is_bound = history.tail_bytes <= log.tail_bytes.max(longest)
            && history.unstored_bytes <= (log.tail_bytes / 2).max(longest)
            && history.page_bytes <= PAGES_BYTES_MAX
            && history.reads <= 64
            && blocks <= log.blocks_bytes;
        assert!(
            is_bound,
            "{history:?} and {blocks} bytes of blocks, {log:?}"
        );
    }

    /// No faults: everything that was asked for is answered, and every member gets all it missed.
    fn settles(&mut self) {
        self.note(|_| String::from("it is quiet"));
        self.server.net_mut().calms_down();
        self.engine.calms_down();
        let from = self.turns.max(BUSY_TURNS + 1);
        self.turns = from;
        while !self.is_settled() {
            assert!(
                self.turns < from + QUIET_TURNS,
                "after {QUIET_TURNS} turns not all has arrived: {}",
                self.describes()
            );
            self.programs_act(false);
            self.readers_act(false);
            self.turn();
        }
        self.check_messages();
        for program in self.programs.iter().filter(|program| !program.is_leaving) {
            program.check_views(&self.truth);
        }
    }

    fn is_settled(&self) -> bool {
        let mut programs = self.programs.iter().filter(|program| !program.is_leaving);
        let mut readers = self.readers.iter();
        programs.all(|program| program.is_settled(&self.truth))
            && readers.all(|reader| {
                reader.is_in() && reader.is_at_the_end(&self.truth.rooms[reader.room])
            })
            && (!self.has_store || self.engine.is_idle())
    }

    fn describes(&self) -> String {
        let open = self
            .programs
            .iter()
            .filter(|program| !program.is_settled(&self.truth));
        let describe = |program: &Program| {
            let connection = program.connection.as_ref();
            let unanswered = connection.map(|connection| connection.describes());
            let messages: Vec<_> = program
                .messages
                .iter()
                .filter(|message| matches!(message.fate, Fate::Unsent | Fate::Sent))
                .collect();
            format!("{} {unanswered:?} {messages:?}", program.nick)
        };
        let all: Vec<String> = open.map(describe).collect();
        let is_late = |reader: &&Reader| {
            !reader.is_in() || !reader.is_at_the_end(&self.truth.rooms[reader.room])
        };
        let late = self.readers.iter().filter(is_late);
        let late: Vec<_> = late
            .map(|reader| (&reader.nick, reader.at, reader.is_in()))
            .collect();
        format!(
            "{}; {late:?}; the rooms are at {:?}; the store is idle: {}",
            all.join("; "),
            self.truth.heads(),
            self.engine.is_idle()
        )
    }

    /// Each acknowledged message is in its room once, at the number that was named; each refused
    /// one is not there.
    fn check_messages(&self) {
        for program in &self.programs {
            for message in &program.messages {
                let room = &self.truth.rooms[message.room];
                let seqs: Vec<u32> = room
                    .entries()
                    .filter(|(_, entry)| entry.said.text() == Some(&message.text))
                    .map(|(seq, _)| seq)
                    .collect();
                let is_right = match &message.fate {
                    Fate::Acknowledged { seq, .. } => seqs == [*seq],
                    Fate::Refused(_) if message.times == 1 => seqs.is_empty(),
                    _ => seqs.len() <= 1,
                };
                assert!(is_right, "{message:?} is at {seqs:?} in the room");
            }
        }
    }

    fn ends_and_starts_again(&mut self) {
        let ending = match self.chance.percent(70) {
            true => Ending::Crash,
            false => Ending::Stop,
        };
        self.note(|_| format!("the server ends: {ending:?}"));
        if ending == Ending::Stop {
            self.server.net_mut().signal(Signal::Stop);
            self.stops_at = Some(0);
            let from = self.turns;
            while self.stops_at == Some(0) {
                assert!(self.turns < from + QUIET_TURNS, "the server does not stop");
                self.turn();
            }
            self.engine.stops();
        } else {
            self.engine.crashes(&mut self.chance);
        }
        let backup = self.backup.take_if(|_| self.chance.percent(40));
        let (found, disk) = match backup {
            _ if !self.has_store => (Found::Nothing, None),
            Some((disk, known)) => {
                self.note(|_| String::from("the backup is restored"));
                (Found::Backup(known), Some(disk))
            }
            None => (Found::Same, None),
        };
        self.starts(ending, found, disk);
        self.stops_at = None;
    }

    /// Drops the server, and starts a new one on the same disk and network. The clients of the old
    /// one may receive some of what it had sent.
    fn starts(&mut self, ending: Ending, found: Found, disk: Option<Disk>) {
        let placeholder = SimNet::new(0, net::Faults::NONE, 1);
        let mut network = mem::replace(self.server.net_mut(), placeholder);
        let mut other = disk.map(|disk| mem::replace(&mut self.engine.disk, disk));
        let keeping = keeping(&mut self.engine, self.has_store, &mut self.chance);
        let seed = self.chance.next();
        // The new server needs a network at once, and the streams of the old one must be dropped
        // before it: they report that they are closed.
        let idle = SimNet::new(0, net::Faults::NONE, DOORS);
        let unused = Keeping {
            started: keeping.started.clone(),
            store: None,
            is_shared: false,
        };
        let (idle, _) = server(&self.config, idle, unused, 0);
        drop(mem::replace(&mut self.server, idle));
        network.process_ends(ending == Ending::Crash, &mut self.chance);
        (self.server, self.approvals) = server(&self.config, network, keeping, seed);
        // What the last server has sent is judged by the disk that it had.
        let mut swaps = |game: &mut Self| {
            if let Some(other) = &mut other {
                mem::swap(other, &mut game.engine.disk);
            }
        };
        swaps(self);
        for index in 0..self.programs.len() {
            self.reads_the_last(index);
        }
        swaps(self);
        for index in 0..self.readers.len() {
            if let Some(socket) = self.readers[index].socket {
                let limit = [0, usize::MAX][self.chance.below(2)];
                let bytes = self.server.net_mut().read_as_client(socket, limit);
                self.reader_hears(index, &bytes);
                self.server.net_mut().reset(socket);
                self.reader_is_cut_off(index);
            }
        }
        for socket in mem::take(&mut self.abandoned) {
            self.server.net_mut().reset(socket);
        }
        let _ = self.server.net_mut().take_log();
        let is_older = !matches!(found, Found::Same);
        self.truth.restarts(&self.engine.disk, found);
        if is_older {
            for program in &mut self.programs {
                program.may_have_lost(&self.truth);
            }
        }
        self.note(|game| format!("start {}: {:?}", game.truth.life, game.truth.heads()));
    }

    /// What a client receives of a server that has ended.
    fn reads_the_last(&mut self, index: usize) {
        let Some(connection) = &self.programs[index].connection else {
            return;
        };
        let socket = connection.socket;
        let limit = match self.chance.percent(50) {
            true => usize::MAX,
            false => 0,
        };
        let bytes = self.server.net_mut().read_as_client(socket, limit);
        self.hears(index, &bytes);
        self.server.net_mut().reset(socket);
        self.programs[index].is_cut_off();
        let wait = self.chance.below(30) as u32;
        let is_witness = self.programs[index].conduct == Conduct::Witness;
        let wait = if is_witness { 0 } else { wait };
        self.programs[index].comes_back_at = self.now() + wait;
    }

    /// All has arrived; then all clients leave, and nothing is left of them.
    fn finishes(mut self) -> u64 {
        self.settles();
        for index in WITNESSED..self.programs.len() {
            self.leaves(index);
        }
        for index in 0..self.readers.len() {
            if let Some(socket) = self.readers[index].socket {
                self.server.net_mut().reset(socket);
            }
        }
        for socket in mem::take(&mut self.abandoned) {
            self.server.net_mut().reset(socket);
        }
        self.turns_until(|game| game.server.net().open() <= WITNESSED);
        for index in 0..WITNESSED {
            self.leaves(index);
        }
        self.turns_until(|game| game.server.net().open() == 0 && game.server.is_empty());
        self.note(|game| {
            let sum = |of: fn(&Program) -> u64| game.programs.iter().map(of).sum::<u64>();
            format!(
                "{} messages were refused, {} positions resumed, {} rewound; {} gaps",
                sum(|program| program.refused),
                sum(|program| program.resumed),
                sum(|program| program.rewound),
                sum(|program| program.gaps),
            )
        });
        self.turns_in_all
    }

    fn leaves(&mut self, index: usize) {
        let program = &mut self.programs[index];
        program.is_leaving = true;
        let bytes = program.closes(&mut self.chance);
        if let Some(connection) = &program.connection {
            self.server.net_mut().send(connection.socket, &bytes);
        }
    }

    fn turns_until(&mut self, is_so: impl Fn(&Self) -> bool) {
        let from = self.turns;
        while !is_so(self) {
            assert!(
                self.turns < from + QUIET_TURNS,
                "something is left of clients that have gone: {}",
                self.server.summary()
            );
            self.turn();
        }
    }
}
