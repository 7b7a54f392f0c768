//! One game: a server, a network with faults, and simulated clients that come, behave well or
//! badly, and go. What must be true after every turn and at the end is checked in `judge.rs`.

use super::chance::Chance;
use super::client::{self, MANNERS, Manner, Seen};
use super::ledger::Ledger;
use super::limits::{Admission, Excess, Lengths, Watch};
use super::net::{Faults, SimNet};
use super::person::{Asked, Origin, Person, Stay};
use super::reload::{SimReload, Variants};
use super::tally::Tally;
use super::tls;
use super::trace::Trace;
use super::upgrade::{SimUpgrade, in_memory, succeed};
use parlor::budget;
use parlor::config::Config;
use parlor::conn::outbox;
use parlor::id::Tick;
use parlor::log::Keeping;
use parlor::net::{Net, Signal};
use parlor::server::{Server, Turn};
use parlor::{chat, conn, http, log, ws};
use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

/// The rooms. The first `WITNESSED` have a witness each, so that they exist until the game ends.
pub(super) const ROOMS: [&str; 3] = ["lobby", "attic", "cellar"];
pub(super) const WITNESSED: usize = 2;

/// The listeners: for direct connections, for a proxy, and for IPv6.
const DOORS: usize = 3;

/// Turns in which clients connect and act; after them every connection must come to an end.
const BUSY_TURNS: usize = 300;

/// For so long at most an upgrade waits for clients that speak TLS to end: 2 s.
const PART_TICKS: u32 = 20;

/// Turns within which a game must end: the longest deadlines, at a tick a turn, with a margin.
const TURNS_MAX: usize = 20_000;

/// More frames than the server handles of one connection in one turn, within the limit on work.
const BULK_FRAMES: usize = 90;

/// The longest frame is a list of members, or the help.
const FRAME_BYTES_MAX: usize = 4096;

/// What a connection may hold besides its outbox: a page or a head before the upgrade; after it an
/// unfinished message, the pings between its fragments, control frames, and what is kept of one read
/// while it is held.
const OTHER_BYTES_MAX: usize = 16 * 1024 + 2 * 8192 + 4 * 1024;

/// Small limits, so that the edges are reached.
fn config(chance: &mut Chance) -> Config {
    // Times that are no multiples of a tick are rounded up to one.
    let odd = chance.below(100) as u64;
    let seconds = |count: u64| Duration::from_millis(count * 1000 - odd);
    let outbox_frames = 2 + chance.below(8);
    Config {
        conn: conn::Settings {
            handshake_timeout: seconds(2),
            ping_after: seconds(3),
            silent_timeout: seconds(6),
            close_timeout: seconds(1),
            // Shorter than the time to a ping, or longer.
            stall_timeout: seconds([1, 4][outbox_frames % 2]),
            message_timeout: seconds(2),
            outbox: outbox::Limits {
                frames_max: outbox_frames,
                bytes_max: 400 + chance.below(2000),
            },
        },
        ws: ws::Limits {
            max_message_bytes: 300,
            max_fragments: [8, 40][chance.below(2)],
        },
        chat: chat::Settings {
            message_rate: if chance.percent(50) { 0 } else { 5 },
            message_burst: [5, 15][chance.below(2)],
            // All members by name, all summed up, or both in turns.
            notice_members: [1000, 0, 1 + chance.below(8)][chance.below(3)],
            notice_interval: seconds(1),
            rooms_per_connection: 16,
            edit_window: seconds(60),
            operator_token: Some(String::from("secret")),
            ..chat::Settings::default()
        },
        log: log::Settings {
            catch_up_max: [5, 1000][chance.below(2)],
            // What comes before the welcome of a member is in another game.
            history_lines: 0,
            ..log::Settings::default()
        },
        grace_timeout: seconds(2),
        http: http::Settings {
            proxy_protocol: chance.percent(25),
            ..http::Settings::default()
        },
        max_connections_per_address: if chance.percent(50) { 0 } else { 3 },
        budget: budget::Settings::UNLIMITED,
        ..Config::default()
    }
}

/// What may be set while a game is played. The first is what it begins with.
fn variants(first: &Config, max_connections: usize, chance: &mut Chance) -> Variants {
    let mut variants = vec![(first.clone(), max_connections)];
    for _ in 0..3 {
        let mut config = first.clone();
        config.max_connections_per_address = [0, 2, 3, 5][chance.below(4)];
        config.chat.message_rate = [0, 5, 8][chance.below(3)];
        config.chat.message_burst = [5, 15][chance.below(2)];
        config.log.catch_up_max = [5, 1000][chance.below(2)];
        variants.push((config, WITNESSED + 1 + chance.below(62)));
    }
    variants
}

fn faults(chance: &mut Chance) -> Faults {
    if chance.percent(15) {
        return Faults::NONE;
    }
    Faults {
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
        aborted: chance.below(20) as u32,
        exhausted: chance.below(100) as u32,
        unwatched: chance.below(20) as u32,
        delayed: chance.below(20) as u32,
        idle: chance.below(20) as u32,
        late: 5,
        jump: if chance.percent(30) { 50 } else { 0 },
        window: 64 + chance.below(4000),
    }
}

/// How a game ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    /// All clients leave.
    Emptied,
    /// A signal to stop comes while clients act.
    Stopped,
    /// A second signal to stop comes before the server has stopped.
    Aborted,
}

pub(super) struct Game {
    pub(super) server: Server<SimNet>,
    pub(super) config: Config,
    pub(super) lengths: Lengths,
    pub(super) excess: Excess,
    pub(super) chance: Chance,
    /// One person for each socket, by its index.
    pub(super) people: Vec<Person>,
    pub(super) watches: Vec<Option<Watch>>,
    pub(super) admission: Admission,
    pub(super) ledgers: Vec<Ledger>,
    pub(super) tally: Tally,
    /// Granted upgrades by room, without the witness's.
    pub(super) granted: [u64; ROOMS.len()],
    /// By room: the replies and beginnings that come before the next line that is found.
    pub(super) unsettled: Vec<Vec<Unsettled>>,
    /// Lines of well-behaved senders that were found in a ledger this turn.
    pub(super) matched: usize,
    /// A kick was asked for in this turn.
    pub(super) kick_asked: bool,
    /// When the first signal to stop was delivered.
    pub(super) stopping_since: Option<Tick>,
    pub(super) stop_signals: u32,
    pub(super) trace: Trace,
    newcomers_left: usize,
    has_upgrades: bool,
    ending: Ending,
    turns: usize,
    variants: Variants,
    /// Which of them holds in the server, and which for the judge.
    holds: Rc<Cell<usize>>,
    held: usize,
    /// At as many doors again.
    speaks_tls: bool,
    approvals: Rc<Cell<bool>>,
    /// An upgrade was approved in the last turn.
    is_approved: bool,
    /// In this turn the clients that speak TLS are asked to come back.
    pub(super) parts_secure: bool,
}

/// A reply, or the beginning of a membership, whose place between the lines of a room is not yet
/// known.
pub(super) enum Unsettled {
    Beginning { person: usize },
    Reply { person: usize, reply: usize },
}

/// Plays one game to its end and returns its number of turns. Panics at a broken promise.
pub(crate) fn play(seed: u64, trace: Trace) -> u64 {
    let mut chance = Chance::new(seed);
    let config = config(&mut chance);
    let faults = faults(&mut chance);
    let max_connections = if chance.percent(40) {
        WITNESSED + 1 + chance.below(6)
    } else {
        64
    };
    let ending = match chance.below(10) {
        0 | 1 => Ending::Stopped,
        2 => Ending::Aborted,
        _ => Ending::Emptied,
    };
    let mut net = SimNet::new(chance.next(), Faults::NONE, 2 * DOORS);
    let speaks_tls = !config.http.proxy_protocol && chance.percent(50);
    let has_upgrades = chance.percent(50);
    if speaks_tls {
        net.speaks_tls(DOORS, tls::clients(chance.percent(70)));
    }
    let is_woken = net.waker();
    let mut server = Server::new(
        config.clone(),
        net,
        max_connections,
        chance.next(),
        Keeping::in_memory([7; 36]),
    );
    if speaks_tls {
        server.serve_tls((DOORS..2 * DOORS).collect(), tls::acceptor());
    }
    let variants = variants(&config, max_connections, &mut chance);
    let holds = Rc::new(Cell::new(0));
    let woken = is_woken.clone();
    let reload = SimReload::new(chance.next(), variants.clone(), holds.clone(), is_woken);
    server.use_reload(Box::new(reload));
    let upgrade = SimUpgrade::new(config.clone(), woken);
    let approvals = upgrade.approvals();
    server.use_upgrade(Box::new(upgrade));
    let mut game = Game {
        server,
        variants,
        holds,
        held: 0,
        speaks_tls,
        approvals,
        is_approved: false,
        parts_secure: false,
        lengths: Lengths::new(&config),
        excess: Excess::new(&config),
        admission: Admission::new(max_connections, config.max_connections_per_address),
        config,
        newcomers_left: 5 + chance.below(25),
        has_upgrades,
        chance,
        people: Vec::new(),
        watches: Vec::new(),
        ledgers: (0..WITNESSED).map(|_| Ledger::default()).collect(),
        tally: Tally::default(),
        granted: [0; ROOMS.len()],
        unsettled: (0..WITNESSED).map(|_| Vec::new()).collect(),
        matched: 0,
        kick_asked: false,
        stopping_since: None,
        stop_signals: 0,
        trace,
        ending,
        turns: 0,
    };
    game.note(|game| {
        let Config {
            conn,
            chat,
            max_connections_per_address,
            ..
        } = &game.config;
        format!(
            "connections {max_connections}, by address {max_connections_per_address}, \
             outbox {} frames and {} bytes, rate {}, notices {}, to be {ending:?}; {faults:?}",
            conn.outbox.frames_max, conn.outbox.bytes_max, chat.message_rate, chat.notice_members
        )
    });
    game.seat_witnesses();
    game.server.net_mut().misbehaves(faults);
    let outcome = game.play();
    game.finish(outcome)
}

impl Game {
    /// Adds a line to the trace.
    pub(super) fn note(&mut self, what: impl FnOnce(&Self) -> String) {
        let mut trace = std::mem::replace(&mut self.trace, Trace::Off);
        trace.note(|| format!("[{:>5}] {}", self.now().0, what(self)));
        self.trace = trace;
    }

    pub(super) fn now(&self) -> Tick {
        self.server.net().now()
    }

    /// Connects a witness to each of the first rooms, before any other client.
    fn seat_witnesses(&mut self) {
        for (room, name) in ROOMS.iter().enumerate().take(WITNESSED) {
            let origin = if self.config.http.proxy_protocol {
                Origin::own_announced(room as u8)
            } else {
                Origin::own(room as u8)
            };
            let net = self.server.net_mut();
            let socket = net
                .connect_spared(origin.door, origin.peer)
                .expect("the server listens");
            let mut person = Person::new(socket, Manner::Witness, room, origin);
            let request = client::upgrade(&format!("{name}?nick=witness-{room}"));
            let mut bytes = person.announces();
            bytes.extend(person.sends(request, Asked::Upgrade));
            net.send(socket, &bytes);
            self.people.push(person);
            self.watches.push(None);
        }
        while !self.people.iter().all(Person::was_upgraded) {
            assert_eq!(self.turn(), Turn::Again);
        }
    }

    fn turn(&mut self) -> Turn {
        self.turns += 1;
        assert!(
            self.turns < TURNS_MAX,
            "after {TURNS_MAX} turns there are still open connections: {}",
            self.server.summary()
        );
        let now = self.now();
        self.server.net_mut().horizon = now + 10;
        self.server.net_mut().is_settling = self.server.is_settling();
        let net = self.server.net();
        let going_on = self.server.released().iter();
        let mut going_on: Vec<usize> = going_on.filter_map(|id| net.socket_of(*id)).collect();
        going_on.dedup();
        if self.server.is_settling() {
            // They go on when it is over.
            going_on.clear();
        }
        self.parts_secure = std::mem::take(&mut self.is_approved);
        let mut outcome = self.server.turn();
        if self.parts_secure {
            let now = self.now();
            self.server.net_mut().secure_waits_until = now + PART_TICKS;
        }
        let is_approved = self.approvals.take();
        if outcome == Turn::Upgrade {
            outcome = Turn::Again;
            self.is_succeeded();
        }
        self.notice_reload();
        self.judge(outcome, &going_on);
        self.is_approved = is_approved && self.stop_signals == 0;
        outcome
    }

    /// Another server takes over, with the settings that hold.
    fn is_succeeded(&mut self) {
        self.note(|_| String::from("upgrade"));
        let (config, max_connections) = self.variants[self.holds.get()].clone();
        let seed = self.chance.next();
        self.approvals = succeed(
            &mut self.server,
            (&config, max_connections),
            seed,
            in_memory,
        );
        let is_woken = self.server.net().waker();
        let (variants, holds) = (self.variants.clone(), self.holds.clone());
        let reload = SimReload::new(self.chance.next(), variants, holds, is_woken);
        self.server.use_reload(Box::new(reload));
        if self.speaks_tls {
            let doors = (DOORS..2 * DOORS).collect();
            self.server.serve_tls(doors, tls::acceptor());
        }
    }

    /// Other limits hold from the beginning of this turn on.
    fn notice_reload(&mut self) {
        let holds = self.holds.get();
        if std::mem::replace(&mut self.held, holds) == holds {
            return;
        }
        let (config, max_connections) = self.variants[holds].clone();
        self.note(|_| {
            format!(
                "other settings: connections {max_connections}, by address {}, rate {} of {}",
                config.max_connections_per_address,
                config.chat.message_rate,
                config.chat.message_burst
            )
        });
        self.admission
            .set(max_connections, config.max_connections_per_address);
        self.excess = Excess::new(&config);
        self.config = config;
    }

    /// Plays until the server stops or all clients have gone.
    fn play(&mut self) -> Turn {
        let end = self.turns + BUSY_TURNS;
        let stop_at = self.turns + self.chance.below(BUSY_TURNS);
        let mut quiet_since = None;
        loop {
            if self.turns == end {
                self.server.net_mut().calms_down();
                self.clients_leave();
            }
            let is_busy = self.turns < end && self.stopping_since.is_none();
            if is_busy {
                self.something_happens();
            }
            let is_second = self.ending == Ending::Aborted && self.stop_signals == 1;
            if self.ending != Ending::Emptied && (self.turns == stop_at || is_second) {
                self.note(|_| String::from("a signal to stop"));
                if self.chance.percent(50) {
                    self.server.net_mut().signal(Signal::Report);
                }
                self.server.net_mut().signal(Signal::Stop);
            }
            self.clients_act(is_busy);
            let outcome = self.turn();
            if matches!(outcome, Turn::Stopped | Turn::Aborted) {
                return outcome;
            }
            if self.turns <= end || self.stopping_since.is_some() || !self.only_witnesses() {
                continue;
            }
            // Until the last leaving was reported, by name or in a sum.
            let now = self.now();
            let since = *quiet_since.get_or_insert(now);
            if now > since + self.lengths.notice_interval + 1 {
                return self.witnesses_leave();
            }
        }
    }

    fn only_witnesses(&self) -> bool {
        let net = self.server.net();
        net.open() == WITNESSED && net.waiting() == 0
    }

    fn witnesses_leave(&mut self) -> Turn {
        self.check_sums();
        for index in 0..WITNESSED {
            let bytes = self.people[index].closes(&mut self.chance);
            self.send(index, &bytes);
        }
        while !self.server.is_empty() {
            self.clients_act(false);
            assert_eq!(self.turn(), Turn::Again);
        }
        Turn::Again
    }

    fn send(&mut self, socket: usize, bytes: &[u8]) {
        self.server.net_mut().send(socket, bytes);
    }

    fn something_happens(&mut self) {
        let count = match self.chance.below(1000) {
            // More connections than the limit, all at once.
            0..3 => 40,
            3..200 => 1,
            _ => 0,
        };
        for _ in 0..count {
            if self.newcomers_left > 0 || count > 1 {
                self.newcomers_left = self.newcomers_left.saturating_sub(1);
                self.newcomer();
            }
        }
        if self.chance.percent(2) {
            self.server.net_mut().signal(Signal::Report);
        }
        if self.chance.percent(2) {
            self.server.net_mut().signal(Signal::Reload);
        }
        if self.has_upgrades && self.chance.percent(3) {
            self.server.net_mut().signal(Signal::Upgrade);
        }
        for index in 0..self.people.len() {
            let person = &self.people[index];
            if person.is_over && person.was_parted && !person.has_returned {
                self.returns(index);
            }
        }
    }

    /// One that an upgrade has asked to come back comes again, with its nick if no other may have it.
    fn returns(&mut self, index: usize) {
        if !self.chance.percent(10) {
            return;
        }
        let person = &mut self.people[index];
        person.has_returned = true;
        let (manner, room, origin) = (person.manner, person.room, person.origin.clone());
        let own = |nick: &String| nick.starts_with(['p', 'r']);
        let nick = person.nick.clone().filter(own);
        self.comes(manner, room, origin, true, nick);
    }

    fn newcomer(&mut self) {
        let origin = if self.config.http.proxy_protocol {
            Origin::announced(&mut self.chance)
        } else {
            Origin::any(&mut self.chance)
        };
        let is_secure = self.speaks_tls && self.chance.percent(40);
        // Half of the clients are polite, so that the rooms have members.
        let manner = if self.chance.percent(50) {
            Manner::Polite
        } else {
            MANNERS[self.chance.below(MANNERS.len())]
        };
        let room = self.chance.below(ROOMS.len());
        self.comes(manner, room, origin, is_secure, None);
    }

    /// `nick`: one that it had before.
    fn comes(
        &mut self,
        manner: Manner,
        room: usize,
        origin: Origin,
        is_secure: bool,
        nick: Option<String>,
    ) {
        let door = origin.door + if is_secure { DOORS } else { 0 };
        let net = self.server.net_mut();
        let Some(socket) = net.connect(door, origin.peer) else {
            return;
        };
        self.note(|_| {
            format!(
                "{socket} comes: {manner:?}, for {}, {origin:?}, TLS {is_secure}, again as {nick:?}",
                ROOMS[room]
            )
        });
        if let (Some(ledger), Some(nick)) = (self.ledgers.get_mut(room), &nick) {
            ledger.may_come_again(nick);
        }
        let mut person = Person::new(socket, manner, room, origin);
        person.is_secure = is_secure;
        person.had_nick = nick;
        let mut bytes = person.announces();
        bytes.extend(self.first_words(&mut person));
        self.send(socket, &bytes);
        self.people.push(person);
        self.watches.push(None);
    }

    fn first_words(&mut self, person: &mut Person) -> Vec<u8> {
        let chance = &mut self.chance;
        match person.manner {
            Manner::Misled => {
                let request = client::misled(chance);
                person.is_page = client::has_origin(&request);
                request
            }
            Manner::Noise => {
                let count = chance.below(200);
                chance.bytes(count)
            }
            Manner::Browser => {
                b"GET / HTTP/1.1\r\nHost: x\r\n\r\nGET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
                    .repeat(3)
            }
            Manner::HalfShaken => {
                let request = client::upgrade(ROOMS[person.room]);
                let cut = chance.below(request.len());
                request[..cut].to_vec()
            }
            Manner::Polite
            | Manner::Slow
            | Manner::Talker
            | Manner::Bulky
            | Manner::Halting
            | Manner::Witness
            | Manner::Deaf
            | Manner::Silent
            | Manner::Vandal
            | Manner::Flooder => asks_for_room(person, chance),
        }
    }

    fn clients_act(&mut self, is_busy: bool) {
        for index in 0..self.people.len() {
            if self.people[index].is_over {
                continue;
            }
            self.listens(index);
            self.reacts(index);
            if is_busy {
                self.acts(index);
            }
        }
    }

    fn listens(&mut self, index: usize) {
        let person = &mut self.people[index];
        let limit = match person.manner {
            Manner::Slow if !self.chance.percent(5) => 0,
            Manner::Slow => self.chance.below(200),
            manner if manner.reads() => usize::MAX,
            _ => 0,
        };
        let net = self.server.net_mut();
        person.read += net.read_as_client(person.socket, limit).len() as u64;
        if net.is_over_for_client(person.socket) || net.is_closed_by_server(person.socket) {
            person.is_over = true;
            net.shut(person.socket);
        }
    }

    fn reacts(&mut self, index: usize) {
        while let Some(seen) = self.people[index].next_read() {
            let person = &mut self.people[index];
            let (answer, asked) = match seen {
                Seen::Ping(payload) if !person.sent_close => {
                    let pong = client::frame(0x8A, &payload, &mut self.chance);
                    (pong, Asked::Pong)
                }
                Seen::Close { code, .. } if !person.sent_close => {
                    person.sent_close = true;
                    let code = code.map(u16::to_be_bytes);
                    let payload = code.as_ref().map_or(&[][..], |code| &code[..]);
                    let close = client::frame(0x88, payload, &mut self.chance);
                    (close, Asked::Nothing)
                }
                Seen::Ping(_)
                | Seen::Close { .. }
                | Seen::Status(_)
                | Seen::Line(_)
                | Seen::Pong(_) => continue,
            };
            let bytes = person.sends(answer, asked);
            self.send(index, &bytes);
        }
    }

    fn acts(&mut self, index: usize) {
        let person = &mut self.people[index];
        if person.manner == Manner::Witness {
            return;
        }
        if self.chance.per_mille(4) {
            person.vanished = true;
            self.server.net_mut().reset(index);
            return self.note(|_| format!("{index} vanishes"));
        }
        if self.chance.per_mille(4) {
            person.sent_close = true;
            // Often with something to answer in the same packet.
            let last = client::frame(0x81, b"/who", &mut self.chance);
            let is_in = person.manner == Manner::Polite && person.knows_it_is_in();
            if is_in && self.chance.percent(70) {
                let asked = Asked::Reply(String::from("* in "));
                let bytes = self.people[index].sends(last, asked);
                self.send(index, &bytes);
            }
            self.server.net_mut().shut(index);
            return self.note(|_| format!("{index} shuts its side"));
        }
        let may_act = person.knows_it_is_in() || person.manner == Manner::Deaf;
        if may_act && !person.sent_close {
            let bytes = self.words(index);
            self.send(index, &bytes);
        }
    }

    /// What a member sends in this turn, if anything.
    fn words(&mut self, index: usize) -> Vec<u8> {
        let target = self.kick_target();
        let person = &mut self.people[index];
        let chance = &mut self.chance;
        match person.manner {
            Manner::Polite | Manner::Slow | Manner::Talker | Manner::Bulky
                if chance.per_mille(10) =>
            {
                person.closes(chance)
            }
            Manner::Polite | Manner::Slow if chance.percent(15) => match chance.below(10) {
                0 => person.ping(chance),
                1..4 => person.commands(&target, chance),
                _ => person.says(chance),
            },
            Manner::Talker if chance.percent(5) => (0..chance.below(12))
                .flat_map(|_| person.says(chance))
                .collect(),
            Manner::Bulky if chance.percent(2) => {
                let mut bytes = Vec::new();
                for _ in 0..BULK_FRAMES {
                    let pong = client::frame(0x8A, &[b'b'; 125], chance);
                    bytes.extend(person.sends(pong, Asked::Pong));
                }
                bytes.extend(person.says(chance));
                bytes
            }
            Manner::Halting if !person.has_halted && chance.percent(5) => person.halts(chance),
            Manner::Deaf if chance.percent(15) => {
                let bytes = person.says(chance);
                // The judge expects no consequence of its messages.
                for sent in &mut person.asked {
                    if sent.asked.is_message() {
                        sent.asked = Asked::Message;
                    }
                }
                bytes
            }
            Manner::Vandal if chance.percent(20) => {
                let count = chance.below(40);
                let bytes = chance.bytes(count);
                if person.is_nonsense.is_none() && count > 0 {
                    person.is_nonsense = Some(is_nonsense(&bytes));
                }
                bytes
            }
            Manner::Flooder if chance.percent(30) => person.floods(&self.config, chance),
            Manner::Polite
            | Manner::Slow
            | Manner::Talker
            | Manner::Bulky
            | Manner::Halting
            | Manner::Witness
            | Manner::Deaf
            | Manner::Silent
            | Manner::HalfShaken
            | Manner::Vandal
            | Manner::Flooder
            | Manner::Browser
            | Manner::Misled
            | Manner::Noise => Vec::new(),
        }
    }

    /// The nick of a client that may be a member; never a witness's.
    fn kick_target(&mut self) -> String {
        let index = WITNESSED + self.chance.below(self.people.len() - WITNESSED);
        let nick = self
            .people
            .get(index)
            .and_then(|person| person.nick.clone());
        nick.unwrap_or_else(|| format!("n{}", self.chance.below(4)))
    }

    /// Well-behaved members send a close frame, and other clients that read shut their side. The
    /// rest are left to their deadlines.
    fn clients_leave(&mut self) {
        for index in WITNESSED..self.people.len() {
            let person = &mut self.people[index];
            if !person.manner.reads() || person.sent_close {
                continue;
            }
            if person.manner.is_sound() && person.knows_it_is_in() {
                let bytes = person.closes(&mut self.chance);
                self.send(index, &bytes);
            } else {
                self.server.net_mut().shut(index);
            }
        }
    }

    /// The most bytes that the server may hold for the connections that are open: less than the
    /// formula in SECURITY.md allows, since no list here is as long as the longest.
    pub(super) fn held_bytes_max(&self) -> usize {
        let Config { conn, http, ws, .. } = &self.config;
        let outbox = conn.outbox.bytes_max.max(FRAME_BYTES_MAX) + FRAME_BYTES_MAX;
        let each = outbox + OTHER_BYTES_MAX;
        let promised =
            conn.outbox.bytes_max + http.max_head_bytes + 6 * ws.max_message_bytes + 96 * 1024;
        assert!(
            each <= promised,
            "the bound is above the one in SECURITY.md"
        );
        each * self.server.net().open()
    }

    /// Checks the end of a game: its outcome, and that each connection was closed exactly once.
    fn finish(mut self, outcome: Turn) -> u64 {
        match self.ending {
            Ending::Emptied => assert_eq!(outcome, Turn::Again),
            Ending::Stopped => assert_eq!(outcome, Turn::Stopped),
            // The server may have stopped in good order before the second signal came.
            Ending::Aborted => assert_ne!(outcome, Turn::Again),
        }
        self.check_without_witness();
        let closings = self.server.net().closings();
        drop(std::mem::replace(&mut self.trace, Trace::Off));
        drop(self.server);
        for (socket, (was_accepted, closed)) in closings.iter().enumerate() {
            let expected = u32::from(*was_accepted);
            assert_eq!(closed.get(), expected, "times that {socket} was closed");
        }
        self.turns as u64
    }

    pub(super) fn is_in(&self, person: usize) -> bool {
        self.people[person].stay == Stay::In
    }
}

/// A request to enter a room: with a unique nick, with none, or with one that is refused.
fn asks_for_room(person: &mut Person, chance: &mut Chance) -> Vec<u8> {
    let mut target = ROOMS[person.room].to_owned();
    match chance.below(10) {
        0 => {}
        1 => {
            target += "?nick=a%20b";
            person.is_nick_refused = true;
        }
        _ => {
            let had = person.had_nick.clone();
            let nick = had.unwrap_or_else(|| format!("p{}", person.socket));
            target += &format!("?nick={nick}");
            person.nick = Some(nick);
        }
    }
    let mut fields = person.origin.fields.clone();
    if chance.percent(30) {
        fields += "Origin: http://parlor.example\r\n";
        person.is_page = true;
    }
    let request = client::upgrade_with(&target, &fields);
    person.sends(request, Asked::Upgrade)
}

/// Whether every stream that begins with these bytes breaks the protocol (RFC 6455 §5.2).
fn is_nonsense(bytes: &[u8]) -> bool {
    let (first, opcode) = (bytes[0], bytes[0] & 0x0F);
    let is_unknown = !matches!(opcode, 1 | 2 | 8..=10);
    let is_fragmented_control = opcode >= 8 && first & 0x80 == 0;
    let is_unmasked = bytes.get(1).is_some_and(|second| second & 0x80 == 0);
    first & 0x70 != 0 || is_unknown || is_fragmented_control || is_unmasked
}
