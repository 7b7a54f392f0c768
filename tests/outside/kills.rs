//! The server is killed again and again while programs write and read: what was acknowledged is
//! there, once; all clients see the same entries in the same order; and each of them has, after it
//! was told what to forget, exactly what is kept.
//!
//! `PARLOR_ROUNDS=300 cargo test --test outside killed_server -- --nocapture` is the long form.

use super::admin::succeeds;
use super::keeping_up::{Program, View, text};
use super::store::{keeping, stops};
use super::support::{PATIENCE, Server, eventually, now};
use super::unix::Folder;
use parlor::chance::Chance;
use serde_json::{Value, json};
use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

pub(crate) const ROOMS: [&str; 2] = ["den", "attic"];
pub(crate) const WRITERS: usize = 4;
pub(crate) const READERS: usize = 2;
/// Messages of a writer that wait for their acknowledgement.
const UNACKNOWLEDGED: usize = 12;
/// The last that is said in each room.
pub(crate) const END: &str = "the end";

/// What the programs and the one who kills share.
#[derive(Default)]
pub(crate) struct Shared {
    /// Where the present servers listen.
    addresses: Mutex<Vec<SocketAddr>>,
    /// Writers begin no more messages.
    pub(crate) is_ending: AtomicBool,
    /// Writers all of whose messages are acknowledged.
    pub(crate) done: AtomicU64,
    acknowledged: AtomicU64,
}

impl Shared {
    /// One of the servers, another for each number that follows.
    fn address(&self, number: usize) -> Option<SocketAddr> {
        let addresses = self.addresses.lock();
        let addresses = addresses.unwrap_or_else(PoisonError::into_inner);
        let at = number.checked_rem(addresses.len())?;
        addresses.get(at).copied()
    }

    pub(crate) fn publish(&self, addresses: &[SocketAddr]) {
        let present = self.addresses.lock();
        *present.unwrap_or_else(PoisonError::into_inner) = addresses.to_vec();
    }

    pub(crate) fn acknowledged(&self) -> u64 {
        self.acknowledged.load(Ordering::SeqCst)
    }
}

/// A message of which a writer does not know yet whether it is stored.
struct Unacknowledged {
    room: usize,
    text: String,
    /// The request with which it was sent last.
    id: u64,
}

/// A client for the whole time, over as many connections as it takes.
pub(crate) struct Member<'s> {
    shared: &'s Shared,
    number: usize,
    pub(crate) nick: String,
    writes: bool,
    chance: Chance,
    session: Option<String>,
    pub(crate) views: [View; ROOMS.len()],
    unacknowledged: VecDeque<Unacknowledged>,
    pub(crate) written: u64,
    is_done: bool,
    /// By room and number: what the server said that it has stored.
    pub(crate) acknowledged: Vec<(usize, u64, String)>,
    pub(crate) duplicates: u64,
    pub(crate) connections: u64,
}

impl<'s> Member<'s> {
    pub(crate) fn new(shared: &'s Shared, number: usize) -> Self {
        let nick = format!("member{number}");
        Self {
            shared,
            number,
            writes: number < WRITERS,
            chance: Chance::new(number as u64, "member"),
            nick,
            session: None,
            views: Default::default(),
            unacknowledged: VecDeque::new(),
            written: 0,
            is_done: false,
            acknowledged: Vec::new(),
            duplicates: 0,
            connections: 0,
        }
    }

    /// Until it has seen the end of every room.
    pub(crate) fn lives(mut self) -> Self {
        let deadline = || now() + 6 * PATIENCE;
        let mut silent_at = deadline();
        while !self.has_seen_all() {
            let address = self.shared.address(self.number + self.connections as usize);
            let connected = address.and_then(|address| Program::try_connect(address, &self.nick));
            let Some(program) = connected else {
                assert!(now() < silent_at, "{} finds no server", self.nick);
                thread::sleep(Duration::from_millis(2));
                continue;
            };
            silent_at = deadline();
            self.connections += 1;
            self.serves_one_connection(program);
        }
        self
    }

    fn has_seen_all(&self) -> bool {
        let ends = |view: &View| view.texts.last().is_some_and(|last| last == END);
        self.views.iter().all(ends)
    }

    /// Everything at once, as a client that comes back should: it waits for no answer.
    fn serves_one_connection(&mut self, mut program: Program) {
        let resume = self.session.as_ref().map(|session| {
            let request = json!({"type": "resume", "session": session});
            program.request(request)
        });
        if resume.is_none() {
            self.session = Some(program.session.clone());
        }
        for (room, view) in ROOMS.iter().zip(&self.views) {
            program.request(view.join(room));
        }
        for message in &mut self.unacknowledged {
            message.id = send(&mut program, message);
        }
        while !self.has_seen_all() {
            self.writes_more(&mut program);
            // Some connections break while the server lives.
            if self.chance.below(2000) == 0 {
                return program.breaks_off();
            }
            let Some(event) = program.try_event() else {
                return;
            };
            if resume.is_some_and(|id| event["re"] == id) {
                assert_eq!(event["type"], "ok", "{event}");
                self.session = Some(text(&event["session"]).to_owned());
            } else {
                self.takes(&event);
            }
        }
    }

    fn writes_more(&mut self, program: &mut Program) {
        if !self.writes || self.is_done {
            return;
        }
        if self.shared.is_ending.load(Ordering::SeqCst) {
            if self.unacknowledged.is_empty() {
                self.is_done = true;
                self.shared.done.fetch_add(1, Ordering::SeqCst);
            }
            return;
        }
        while self.unacknowledged.len() < UNACKNOWLEDGED {
            self.written += 1;
            let length = if self.chance.below(50) == 0 { 5000 } else { 30 };
            let mut message = Unacknowledged {
                room: self.chance.below(ROOMS.len() as u64) as usize,
                text: format!("{} {} {}", self.nick, self.written, "x".repeat(length)),
                id: 0,
            };
            message.id = send(program, &message);
            self.unacknowledged.push_back(message);
        }
    }

    fn takes(&mut self, event: &Value) {
        let named = event["room"].as_str();
        let room = named.and_then(|name| ROOMS.iter().position(|room| *room == name));
        if event["type"] == "ok" {
            let is_it = |message: &Unacknowledged| event["re"] == message.id;
            let at = self.unacknowledged.iter().position(is_it);
            let message = self.unacknowledged.remove(at.expect("it was sent"));
            let message = message.expect("it is there");
            assert_eq!(room, Some(message.room), "{event}");
            let seq = event["seq"].as_u64().expect("a number");
            self.duplicates += u64::from(event["duplicate"] == true);
            self.acknowledged.push((message.room, seq, message.text));
            self.shared.acknowledged.fetch_add(1, Ordering::SeqCst);
        } else if event["type"] != "link" {
            // Its own half-dead connection may have the nick until it resumes.
            let is_nick = event["code"] == "nick_taken" && event.get("re").is_none();
            let is_other_nick = event["type"] == "nick_changed";
            if !is_nick && !is_other_nick {
                self.views[room.unwrap_or_else(|| panic!("{event}"))].take(event);
            }
        }
    }
}

fn send(program: &mut Program, message: &Unacknowledged) -> u64 {
    program.request(json!({
        "type": "send",
        "room": ROOMS[message.room],
        "text": message.text,
        // No other message of the session has the same text.
        "key": message.text.chars().take(40).collect::<String>(),
    }))
}

fn start(directory: &Path) -> Server {
    let mut start = keeping(directory);
    start.args(["--listen", "127.0.0.1:0", "--message-rate", "0"]);
    start.args(["--keep-messages", "0", "--catch-up-max", "1000000"]);
    Server::spawn(&mut start, 1)
}

#[expect(clippy::disallowed_methods, reason = "a test is told what to do by it")]
pub(crate) fn rounds() -> u64 {
    let rounds = std::env::var("PARLOR_ROUNDS");
    rounds.map_or(5, |rounds| rounds.parse().expect("a number"))
}

/// Kills one server after the other, each some messages after its start.
fn kills(directory: &Path, shared: &Shared, rounds: u64) {
    let mut chance = Chance::new(rounds, "killer");
    for round in 0..rounds {
        let server = start(directory);
        shared.publish(&[server.address()]);
        if round % 4 != 3 {
            let from = shared.acknowledged();
            let enough = from + 1 + chance.below(400);
            eventually("messages are acknowledged", || {
                shared.acknowledged() >= enough
                    || shared.acknowledged() > from && chance.below(50) == 0
            });
        }
        // Some servers hardly begin.
        thread::sleep(Duration::from_millis(chance.below(20)));
        // The port may be another server's soon.
        shared.publish(&[]);
        server.signal("KILL");
        drop(server);
        if round % 10 == 9 {
            succeeds(directory, &["store", "check"]);
        }
    }
}

#[test]
fn killed_server_loses_and_repeats_nothing_that_it_acknowledged() {
    let folder = Folder::new("kills");
    let shared = Shared::default();
    let rounds = rounds();
    let members = thread::scope(|scope| {
        let members = [(); WRITERS + READERS].map({
            let mut number = 0;
            let shared = &shared;
            move |()| {
                number += 1;
                let member = number - 1;
                scope.spawn(move || Member::new(shared, member).lives())
            }
        });
        kills(&folder.0, &shared, rounds);
        let server = start(&folder.0);
        shared.publish(&[server.address()]);
        shared.is_ending.store(true, Ordering::SeqCst);
        eventually("all is acknowledged", || {
            shared.done.load(Ordering::SeqCst) == WRITERS as u64
        });
        for room in ROOMS {
            Program::join(server.address(), "ender", room).says(room, END);
        }
        let members = members.map(|member| member.join().expect("a member is content"));
        stops(server);
        members
    });
    contains_all(&folder.0, &members);
    let sum = |of: fn(&Member<'_>) -> u64| members.iter().map(of).sum::<u64>();
    println!(
        "{rounds} rounds: {} acknowledged, {} of them as duplicates, {} connections, {} times \
         something was to be forgotten",
        sum(|member| member.acknowledged.len() as u64),
        sum(|member| member.duplicates),
        sum(|member| member.connections),
        sum(|member| member.views.iter().map(|view| view.rewound as u64).sum()),
    );
}

/// Compares what is kept with what was acknowledged and with what each client has.
fn contains_all(directory: &Path, members: &[Member<'_>]) {
    for (room, name) in ROOMS.iter().enumerate() {
        let lines = succeeds(directory, &["export", name]);
        let kept: Vec<String> = (1..)
            .zip(lines.lines())
            .map(|(number, line)| {
                let entry: Value = serde_json::from_str(line).expect("JSON");
                assert_eq!(entry["seq"], number, "a number has no entry");
                text(&entry["text"]).to_owned()
            })
            .collect();
        let mut newest: HashMap<&str, u64> = HashMap::new();
        for text in kept.iter().filter(|text| *text != END) {
            let (nick, rest) = text.split_once(' ').expect("a nick");
            let (number, _) = rest.split_once(' ').expect("a number");
            let number = number.parse().expect("a number");
            let before = newest.insert(nick, number).unwrap_or(0);
            assert!(
                number > before,
                "{nick} said {number} after {before} in {name}"
            );
        }
        for member in members {
            // Not by `assert_eq`, which would print all of it.
            assert!(
                member.views[room].texts == kept,
                "{} has another {name}",
                member.nick
            );
            let of_room = member.acknowledged.iter().filter(|(of, ..)| *of == room);
            for (_, seq, text) in of_room {
                assert_eq!(kept.get(*seq as usize - 1), Some(text), "{seq} of {name}");
            }
        }
    }
    let is_kept = |member: &Member<'_>| member.acknowledged.len() as u64 == member.written;
    assert!(members.iter().all(is_kept), "a message was lost");
}
