//! One game: a server, a network with faults, and people; and what must be true after every turn
//! and at the end.

use super::chance::Chance;
use super::client::{self, Ear, MANNERS, Manner, Seen};
use super::net::{Faults, SimNet};
use parlor::config::Config;
use parlor::net::{Net, Signal};
use parlor::server::{Server, Turn};
use std::time::Duration;

const ROOMS: [&str; 2] = ["lobby", "attic"];

/// Turns in which things still begin to happen; after them all must come to an end.
const BUSY_TURNS: usize = 300;

/// Turns by which all must have ended: the longest deadlines, at a tick a turn, with room to spare.
const TURNS_MAX: usize = 20_000;

/// Small limits, so that the edges are reached.
fn config(chance: &mut Chance) -> Config {
    let seconds = Duration::from_secs;
    Config {
        handshake_timeout: seconds(2),
        ping_after: seconds(3),
        silent_timeout: seconds(6),
        close_timeout: seconds(1),
        stall_timeout: seconds(4),
        message_timeout: seconds(2),
        grace_timeout: seconds(2),
        max_message_bytes: 300,
        max_fragments: 8,
        outbox_frames: 2 + chance.below(8),
        outbox_bytes: 400 + chance.below(2000),
        message_rate: if chance.percent(50) { 0 } else { 5 },
        message_burst: 5,
        notice_members: chance.below(8),
        notice_interval: seconds(1),
        max_connections_per_address: if chance.percent(50) { 0 } else { 3 },
        operator_token: Some(String::from("secret")),
        ..Config::default()
    }
}

fn faults(chance: &mut Chance) -> Faults {
    if chance.percent(20) {
        return Faults::NONE;
    }
    Faults {
        blocked: chance.below(30) as u32,
        cut_writes: chance.below(60) as u32,
        cut_arrivals: chance.below(60) as u32,
        aborted: chance.below(20) as u32,
        exhausted: chance.below(100) as u32,
        unwatched: chance.below(20) as u32,
        late: 5,
        window: 64 + chance.below(4000),
    }
}

/// Somebody in the game.
struct Person {
    socket: usize,
    manner: Manner,
    room: usize,
    ear: Ear,
    seen: Vec<Seen>,
    /// How many of `seen` were reacted to.
    reacted: usize,
    messages: u32,
    sent_close: bool,
    is_over: bool,
    vanished: bool,
}

struct Game {
    server: Server<SimNet>,
    chance: Chance,
    people: Vec<Person>,
    newcomers_left: usize,
    stopping: bool,
    trace: bool,
    held_bytes_max: usize,
}

/// Plays one game to its end and returns how many turns it took. Panics at a broken promise.
pub(crate) fn play(seed: u64, trace: bool) -> u64 {
    let mut chance = Chance::new(seed);
    let config = config(&mut chance);
    let faults = faults(&mut chance);
    let max_connections = if chance.percent(30) { 4 } else { 64 };
    // What each may hold: its outbox with one frame above the bound, a pong, a ping, a last line, a
    // notice and a close frame; and what it half received.
    let each = config.outbox_bytes + 4 * (config.max_message_bytes + 1024) + 2 * 8192;
    if trace {
        println!("{config:#?}\n{faults:?}");
    }
    let net = SimNet::new(chance.next(), faults);
    let mut game = Game {
        server: Server::new(config, net, max_connections, chance.next()),
        newcomers_left: 5 + chance.below(25),
        chance,
        people: Vec::new(),
        stopping: false,
        trace,
        held_bytes_max: each * (max_connections + 16),
    };
    game.play()
}

impl Game {
    fn play(&mut self) -> u64 {
        let stops = self.chance.percent(20);
        for turn in 0..TURNS_MAX {
            if turn == BUSY_TURNS {
                self.server.net_mut().calm();
                self.everybody_says_goodbye();
            }
            let is_busy = turn < BUSY_TURNS && !self.stopping;
            if is_busy {
                self.something_happens();
            }
            if stops && turn == BUSY_TURNS / 2 {
                self.note("a signal to stop");
                self.server.net_mut().signal(Signal::Stop);
                self.stopping = true;
            }
            self.everybody_acts(is_busy);
            let now = self.server.net().now();
            self.server.net_mut().horizon = now + 10;
            let outcome = self.server.turn();
            self.check_turn();
            match outcome {
                Turn::Again | Turn::Report => {}
                Turn::Stopped => {
                    assert!(self.stopping, "stopped without a signal");
                    return self.finish(turn);
                }
                Turn::Aborted => panic!("aborted without a second signal"),
            }
            if !is_busy && !self.stopping && self.is_quiet() {
                return self.finish(turn);
            }
        }
        panic!(
            "after {TURNS_MAX} turns there is still {}",
            self.server.summary()
        );
    }

    fn note(&self, what: &str) {
        if self.trace {
            println!("[{:>5}] {what}", self.server.net().now().0);
        }
    }

    fn is_quiet(&self) -> bool {
        self.server.is_empty() && self.server.net().waiting() == 0
    }

    fn something_happens(&mut self) {
        if self.newcomers_left > 0 && self.chance.percent(20) {
            self.newcomers_left -= 1;
            self.newcomer();
        }
        if self.chance.percent(2) {
            self.server.net_mut().signal(Signal::Report);
        }
    }

    fn newcomer(&mut self) {
        let Some(socket) = self.server.net_mut().connect() else {
            return;
        };
        // Half of all behave, or nobody would have anybody to talk to.
        let manner = if self.chance.percent(50) {
            Manner::Polite
        } else {
            MANNERS[self.chance.below(MANNERS.len())]
        };
        let room = self.chance.below(ROOMS.len());
        self.note(&format!("{socket} comes, {manner:?}, for {}", ROOMS[room]));
        let bytes = match manner {
            Manner::Misled => client::misled(&mut self.chance),
            Manner::Noise => {
                let count = self.chance.below(200);
                self.chance.bytes(count)
            }
            Manner::Browser => {
                b"GET / HTTP/1.1\r\nHost: x\r\n\r\nGET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
                    .repeat(3)
            }
            Manner::HalfShaken => {
                let request = client::upgrade(ROOMS[room]);
                let cut = self.chance.below(request.len());
                request[..cut].to_vec()
            }
            Manner::Polite
            | Manner::Slow
            | Manner::Deaf
            | Manner::Silent
            | Manner::Vandal
            | Manner::Flooder => client::upgrade(ROOMS[room]),
        };
        self.server.net_mut().send(socket, &bytes);
        self.people.push(Person {
            socket,
            manner,
            room,
            ear: Ear::default(),
            seen: Vec::new(),
            reacted: 0,
            messages: 0,
            sent_close: false,
            is_over: false,
            vanished: false,
        });
    }

    fn everybody_acts(&mut self, is_busy: bool) {
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
            Manner::Deaf | Manner::Silent => return self.notices_the_end(index),
            Manner::Slow if !self.chance.percent(5) => 0,
            Manner::Slow => self.chance.below(200),
            Manner::Polite
            | Manner::HalfShaken
            | Manner::Vandal
            | Manner::Flooder
            | Manner::Browser
            | Manner::Misled
            | Manner::Noise => usize::MAX,
        };
        let bytes = self.server.net_mut().read_as_client(person.socket, limit);
        person.ear.hear(&bytes, &mut person.seen);
        self.notices_the_end(index);
    }

    fn notices_the_end(&mut self, index: usize) {
        let person = &mut self.people[index];
        let net = self.server.net();
        if net.is_over_for_client(person.socket) || net.is_closed_by_server(person.socket) {
            if net.is_over_for_client(person.socket) {
                // A server may give up in the middle of a frame only when its peer is not reading,
                // is silent, or went first.
                let abruptly =
                    person.vanished || person.sent_close || net.is_closed_by_server(person.socket);
                person.ear.end(abruptly);
            }
            person.is_over = true;
            self.server.net_mut().shut(person.socket);
            self.note(&format!("{} is over", self.people[index].socket));
        }
    }

    fn reacts(&mut self, index: usize) {
        let person = &mut self.people[index];
        while let Some(seen) = person.seen.get(person.reacted).cloned() {
            person.reacted += 1;
            if self.trace {
                println!("        {} sees {seen:?}", person.socket);
            }
            let answer = match seen {
                Seen::Ping(payload) if !person.sent_close => {
                    client::frame(0x8A, &payload, &mut self.chance)
                }
                Seen::Close(code) if !person.sent_close => {
                    person.sent_close = true;
                    let code = code.map(u16::to_be_bytes);
                    client::frame(
                        0x88,
                        code.as_ref().map_or(&[], |code| &code[..]),
                        &mut self.chance,
                    )
                }
                Seen::Ping(_) | Seen::Close(_) | Seen::Status(_) | Seen::Line(_) | Seen::Pong => {
                    continue;
                }
            };
            self.server.net_mut().send(person.socket, &answer);
        }
    }

    fn acts(&mut self, index: usize) {
        let person = &mut self.people[index];
        let is_in = person.seen.contains(&Seen::Status(101));
        if self.chance.per_mille(5) {
            person.vanished = true;
            self.server.net_mut().reset(person.socket);
            return self.note(&format!("{} vanishes", self.people[index].socket));
        }
        if self.chance.per_mille(5) {
            person.sent_close = true;
            self.server.net_mut().shut(person.socket);
            return self.note(&format!("{} shuts its side", self.people[index].socket));
        }
        if person.sent_close || !is_in && person.manner != Manner::Deaf {
            return;
        }
        let bytes = match person.manner {
            Manner::Polite | Manner::Slow | Manner::Deaf if self.chance.percent(15) => {
                person.messages += 1;
                let words = said(person.socket, person.messages, &mut self.chance);
                client::text(&words, &mut self.chance)
            }
            Manner::Polite | Manner::Slow if self.chance.per_mille(10) => {
                person.sent_close = true;
                client::frame(0x88, &1000u16.to_be_bytes(), &mut self.chance)
            }
            Manner::Vandal if self.chance.percent(20) => {
                let count = self.chance.below(40);
                self.chance.bytes(count)
            }
            Manner::Flooder => match self.chance.below(4) {
                0 => client::frame(0x89, b"flood", &mut self.chance)
                    .repeat(1 + self.chance.below(150)),
                1 => client::frame(0x01, b"", &mut self.chance),
                2 => client::frame(0x00, b"", &mut self.chance),
                _ => client::frame(0x81, &self.chance.clone().bytes(310), &mut self.chance),
            },
            Manner::Polite
            | Manner::Slow
            | Manner::Deaf
            | Manner::Silent
            | Manner::HalfShaken
            | Manner::Vandal
            | Manner::Browser
            | Manner::Misled
            | Manner::Noise => return,
        };
        self.server.net_mut().send(person.socket, &bytes);
    }

    /// Those who behave go; the others are left to their deadlines.
    fn everybody_says_goodbye(&mut self) {
        for person in self
            .people
            .iter_mut()
            .filter(|person| person.manner.is_sound())
        {
            if !person.sent_close && person.seen.contains(&Seen::Status(101)) {
                person.sent_close = true;
                let frame = client::frame(0x88, &1000u16.to_be_bytes(), &mut self.chance);
                self.server.net_mut().send(person.socket, &frame);
            } else if !person.sent_close {
                self.server.net_mut().shut(person.socket);
            }
        }
    }

    fn check_turn(&self) {
        self.server.check_invariants();
        let held = self.server.held_bytes();
        assert!(held <= self.held_bytes_max, "{held} bytes are held");
    }

    /// Everything has ended: nothing remembers anybody, and all saw what they should.
    fn finish(&mut self, turn: usize) -> u64 {
        self.server.check_invariants();
        if !self.stopping {
            for (index, socket) in self.server.net().sockets().iter().enumerate() {
                let closed = socket.closed.get();
                let expected = u32::from(socket.accepted);
                assert_eq!(closed, expected, "socket {index} was closed {closed} times");
            }
        }
        for room in 0..ROOMS.len() {
            self.check_order(room);
        }
        self.check_manners();
        turn as u64 + 1
    }

    /// Who did nothing wrong is never accused of it.
    fn check_manners(&self) {
        for person in self.people.iter().filter(|person| person.manner.is_sound()) {
            for seen in &person.seen {
                if let Seen::Close(Some(code)) = seen {
                    assert!(
                        matches!(code, 1000 | 1001 | 1008 | 1013),
                        "{} behaved and was closed with {code}",
                        person.socket
                    );
                }
            }
        }
    }

    /// In a room everybody sees the same messages in the same order, each without a gap from
    /// their welcome on, except where they were told that they missed some.
    fn check_order(&self, room: usize) {
        let runs: Vec<Vec<Run>> = self
            .people
            .iter()
            .filter(|person| person.room == room && person.manner.wants_chat())
            .map(|person| runs(&person.seen))
            .collect();
        // "b directly follows a", by everybody who saw both without a gap.
        let mut next = std::collections::HashMap::new();
        for run in runs.iter().flatten() {
            for pair in run.said.windows(2) {
                let known = next
                    .entry(pair[0].clone())
                    .or_insert_with(|| pair[1].clone());
                assert_eq!(
                    *known, pair[1],
                    "after {:?} two people saw different things",
                    pair[0]
                );
            }
        }
        // One sender's messages keep their order.
        for run in runs
            .iter()
            .map(|runs| runs.iter().flat_map(|run| &run.said))
        {
            let mut last = std::collections::HashMap::new();
            for line in run {
                let Some((sender, number)) = sender_of(line) else {
                    continue;
                };
                if let Some(earlier) = last.insert(sender, number) {
                    assert!(earlier < number, "{line:?} came after number {earlier}");
                }
            }
        }
    }
}

/// What somebody heard others say without missing anything between.
struct Run {
    said: Vec<String>,
}

fn runs(seen: &[Seen]) -> Vec<Run> {
    let mut runs = vec![Run { said: Vec::new() }];
    for thing in seen {
        let Seen::Line(line) = thing else { continue };
        if line.starts_with("* you missed ") {
            runs.push(Run { said: Vec::new() });
        } else if sender_of(line).is_some()
            && let Some(run) = runs.last_mut()
        {
            run.said.push(line.clone());
        }
    }
    runs
}

/// What somebody says: who and the how-manieth, so that order can be checked; now and then a
/// command.
fn said(socket: usize, number: u32, chance: &mut Chance) -> String {
    match chance.below(20) {
        0 => String::from("/who"),
        1 => format!("/nick n{}", chance.below(8)),
        2 => String::from("/op secret"),
        3 => format!("/kick n{} because", chance.below(8)),
        4 => String::from("/quit"),
        5 => String::from("/rooms"),
        6 => String::from("/nonsense"),
        _ => format!("says {socket} {number} {}", "x".repeat(chance.below(150))),
    }
}

fn sender_of(line: &str) -> Option<(usize, u32)> {
    let (nick, words) = line.split_once(": ")?;
    if nick.starts_with('*') {
        return None;
    }
    let mut words = words.strip_prefix("says ")?.split(' ');
    Some((words.next()?.parse().ok()?, words.next()?.parse().ok()?))
}
