//! A game of one to three servers on one engine, and programs that come back at any of them. Judged
//! is what programs are promised: one order, each message once, what was acknowledged stays unless
//! its loss was reported, each request answered once. Knows the engine's rooms, not its links.

use super::super::chance::Chance;
use super::super::client::{self, Ear, Seen};
use super::super::history::json;
use super::super::net::{self, SimNet};
use super::super::trace::Trace;
use super::engine::{Engine, Faults};
use super::scene::config;
use parlor::chat::Content;
use parlor::id::{Peer, Tick};
use parlor::net::Net;
use parlor::server::{Server, Turn};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};

const ROOM: &str = "lobby";

/// A program: it keeps its position, sends with keys, and sends again what was not answered.
struct Program {
    number: usize,
    node: usize,
    /// `None`: it is not connected.
    socket: Option<usize>,
    ear: Ear,
    /// The secret of its first session.
    session: Option<String>,
    is_member: bool,
    epoch: String,
    position: u64,
    /// What it shows: texts by numbers.
    shown: BTreeMap<u64, String>,
    /// What was not answered, by the number of the request.
    open: BTreeMap<u64, String>,
    /// Requests that were refused: the messages may be there all the same.
    acked: BTreeMap<String, u64>,
    next: u64,
    is_up: bool,
}

impl Program {
    fn new(number: usize) -> Self {
        Self {
            number,
            node: 0,
            socket: None,
            ear: Ear::default(),
            session: None,
            is_member: false,
            epoch: String::new(),
            position: 0,
            shown: BTreeMap::new(),
            open: BTreeMap::new(),
            acked: BTreeMap::new(),
            next: 1,
            is_up: true,
        }
    }

    fn has_left(&mut self) {
        self.socket = None;
        self.is_member = false;
    }

    fn forgets(&mut self, above: u64) {
        self.shown.retain(|seq, _| *seq <= above);
        self.position = self.position.min(above);
    }

    /// Takes an object of the server. Returns the requests that follow from it.
    fn hears(&mut self, object: &Value) -> Vec<String> {
        let number = |name: &str| object[name].as_u64();
        match object["type"].as_str().expect("a type") {
            "hello" => return self.greeted(object),
            "joined" => {
                if let Some(rewound) = number("rewound") {
                    self.forgets(rewound);
                }
                self.is_member = true;
                self.epoch = object["epoch"].as_str().expect("an epoch").to_owned();
                self.position = number("after").expect("a number");
                return self.says_again();
            }
            "rewound" => {
                let to = number("to").expect("a number");
                self.epoch = object["epoch"].as_str().expect("an epoch").to_owned();
                self.forgets(to);
            }
            "gap" => self.position = number("to").expect("a number"),
            "message" => {
                let seq = number("seq").expect("a number");
                assert_eq!(seq, self.position + 1, "{}: {object}", self.number);
                self.position = seq;
                let text = object["text"].as_str().expect("a text");
                self.shown.insert(seq, text.to_owned());
            }
            "link" => self.is_up = object["up"] == true,
            "ok" | "error" => self.answered(object),
            _ => {}
        }
        Vec::new()
    }

    fn greeted(&mut self, object: &Value) -> Vec<String> {
        self.is_up = true;
        let fresh = object["session"].as_str().expect("a secret").to_owned();
        let mut requests = Vec::new();
        if let Some(session) = &self.session {
            requests.push(json::request(
                "resume",
                None,
                &[("session", json!(session))],
            ));
        }
        self.session.get_or_insert(fresh);
        let mut join = vec![("room", json!(ROOM))];
        if !self.epoch.is_empty() {
            join.push(("since", json!({"epoch": self.epoch, "seq": self.position})));
        }
        requests.push(json::request("join", Some(0), &join));
        requests
    }

    fn says_again(&self) -> Vec<String> {
        let open = self.open.iter();
        open.map(|(id, text)| said(*id, text)).collect()
    }

    /// Fewer wait for an answer than may.
    fn may_say_more(&self) -> bool {
        self.is_member && self.open.len() < 60
    }

    fn says(&mut self) -> String {
        let id = self.next;
        self.next += 1;
        let text = format!("{} {id}", self.number);
        self.open.insert(id, text.clone());
        said(id, &text)
    }

    fn answered(&mut self, object: &Value) {
        let Some(id) = object["re"].as_u64().filter(|id| *id > 0) else {
            return;
        };
        // In a room that it could not join it is not a member: it is sent again.
        if object["code"] == "not_a_member" {
            return;
        }
        let text = self.open.remove(&id);
        let text = text.unwrap_or_else(|| panic!("{} was answered twice: {object}", self.number));
        if object["type"] == "ok" {
            let seq = object["seq"].as_u64().expect("a number");
            self.acked.insert(text, seq);
        } else {
            assert_eq!(object["code"], "store_unavailable", "{object}");
        }
    }
}

fn said(id: u64, text: &str) -> String {
    let fields = [
        ("room", json!(ROOM)),
        ("text", json!(text)),
        ("key", json!(format!("k{id}"))),
    ];
    json::request("send", Some(id), &fields)
}

struct Game {
    engine: Engine,
    nodes: Vec<Server<SimNet>>,
    programs: Vec<Program>,
    chance: Chance,
    trace: Trace,
    turns: u64,
    lost: BTreeSet<String>,
}

impl Game {
    fn new(seed: u64, trace: Trace) -> Self {
        let mut chance = Chance::new(seed);
        let mut engine = Engine::new();
        engine.faults = faults(&mut chance);
        let mut config = config();
        config.log.tail_bytes = [4_000, 4 << 20][chance.below(2)];
        let nodes = (0..1 + chance.below(3)).map(|_| {
            let net = SimNet::new(chance.next(), net::Faults::NONE, 1);
            let keeping = engine.serves(&mut chance);
            Server::new(config.clone(), net, 100, chance.next(), keeping)
        });
        let nodes = nodes.collect();
        let programs = (0..2 + chance.below(4)).map(Program::new).collect();
        Self {
            engine,
            nodes,
            programs,
            chance,
            trace,
            turns: 0,
            lost: BTreeSet::new(),
        }
    }

    fn turn(&mut self) {
        self.turns += 1;
        let before = self.texts();
        let wall = self.nodes[0].net().wall();
        for node in self.engine.steps(wall, &mut self.chance) {
            self.nodes[node].net().waker().set(true);
        }
        let after = self.texts();
        let gone = before.into_iter().filter(|text| !after.contains(text));
        self.lost.extend(gone);
        for server in &mut self.nodes {
            assert_eq!(server.turn(), Turn::Again);
            server.check_invariants();
        }
        for index in 0..self.programs.len() {
            self.hear(index);
        }
    }

    /// All that the engine has of the room.
    fn texts(&self) -> BTreeSet<String> {
        let room = self.engine.rooms.get(ROOM);
        let entries = room.into_iter().flat_map(|room| &room.entries);
        let texts = entries.filter_map(|numbered| match &numbered.entry.draft.content {
            Content::Said { text, .. } => Some(text.clone()),
            _ => None,
        });
        texts.collect()
    }

    fn hear(&mut self, index: usize) {
        let program = &mut self.programs[index];
        let Some(socket) = program.socket else {
            return;
        };
        let net = self.nodes[program.node].net_mut();
        program.ear.hear(&net.read_as_client(socket, usize::MAX));
        let mut requests = Vec::new();
        while let Some(seen) = program.ear.next() {
            if let Seen::Line(text) = seen {
                self.trace
                    .note(|| format!("{} hears {text}", program.number));
                requests.extend(program.hears(&json::check_sent(&text)));
            }
        }
        for request in requests {
            self.send(index, &request);
        }
    }

    fn send(&mut self, index: usize, text: &str) {
        let program = &self.programs[index];
        let Some(socket) = program.socket else {
            return;
        };
        self.trace
            .note(|| format!("{} asks {text}", program.number));
        let bytes = client::frame(0x81, text.as_bytes(), &mut self.chance);
        self.nodes[program.node].net_mut().send(socket, &bytes);
    }

    fn connect(&mut self, index: usize) {
        let node = self.chance.below(self.nodes.len());
        let peer = Peer::Ip(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)));
        let net = self.nodes[node].net_mut();
        let socket = net.connect(0, peer).expect("the server listens");
        // It may be held for long.
        net.may_leave_unread(socket, Tick(u32::MAX));
        let protocol = "Sec-WebSocket-Protocol: parlor.v1.json\r\n";
        net.send(
            socket,
            &client::upgrade_to(&format!("/ws?nick=c{index}"), protocol),
        );
        let program = &mut self.programs[index];
        (program.node, program.socket) = (node, Some(socket));
        program.ear = Ear::default();
    }

    fn disconnect(&mut self, index: usize) {
        let program = &mut self.programs[index];
        if let Some(socket) = program.socket {
            self.nodes[program.node].net_mut().reset(socket);
            program.has_left();
        }
    }

    fn acts(&mut self, index: usize) {
        let is_here = self.programs[index].socket.is_some();
        match self.chance.below(100) {
            0..4 if is_here => self.disconnect(index),
            0..40 if !is_here => self.connect(index),
            4..60 if self.programs[index].may_say_more() => {
                let request = self.programs[index].says();
                self.send(index, &request);
            }
            60..70 if self.programs[index].is_member => {
                self.send(index, &json::request("ping", None, &[]));
            }
            _ => {}
        }
    }

    fn pass(&mut self, ticks: u32) {
        let until = self.nodes[0].net().now() + ticks;
        for server in &mut self.nodes {
            server.net_mut().horizon = until;
        }
        let is_before = |server: &Server<SimNet>| server.net().now() < until;
        while self.nodes.iter().any(is_before) {
            self.turn();
        }
    }

    fn now(&self) -> Tick {
        self.nodes[0].net().now()
    }

    fn plays(&mut self) {
        for _ in 0..30 + self.chance.below(60) {
            for index in 0..self.programs.len() {
                self.acts(index);
            }
            let ticks = [0, 1, 1, 3, 40][self.chance.below(5)];
            self.pass(ticks);
            self.turn();
        }
    }

    /// All works again, and all programs are there.
    fn ends(&mut self) {
        self.engine.faults = Faults::default();
        for node in 0..self.nodes.len() {
            self.engine.links(node, true);
        }
        let until = self.now() + 600;
        while self.now() < until {
            for index in 0..self.programs.len() {
                let program = &self.programs[index];
                if program.socket.is_none() {
                    self.connect(index);
                } else if !program.is_member {
                    // It could not join while the link was lost.
                    self.disconnect(index);
                }
            }
            self.pass(20);
            for _ in 0..20 {
                self.turn();
            }
        }
    }

    /// Each user has a nick that no user of another server has, and no other nick is held.
    fn nicks_are_held(&self) {
        for (node, server) in self.nodes.iter().enumerate() {
            let holders = self.engine.nicks.values();
            let held = holders.filter(|(holder, _)| *holder == node).count();
            let summary = server.summary();
            let users = format!(" members={held} ");
            assert!(
                summary.contains(&users),
                "{node} holds {held} nicks: {summary}"
            );
        }
    }

    fn judge(&self) {
        self.nicks_are_held();
        let Some(room) = self.engine.rooms.get(ROOM) else {
            return;
        };
        let texts = room
            .entries
            .iter()
            .map(|one| match &one.entry.draft.content {
                Content::Said { text, .. } => (u64::from(one.entry.seq.0), text.clone()),
                other => panic!("no program does {other:?}"),
            });
        let truth: BTreeMap<u64, String> = texts.collect();
        let once: BTreeSet<&String> = truth.values().collect();
        assert_eq!(once.len(), truth.len(), "a message is there twice");
        let oldest = truth.keys().next().copied().unwrap_or(u64::MAX);
        for program in &self.programs {
            let number = program.number;
            assert!(program.is_member, "{number} is there at the end");
            assert!(program.is_up, "{number} was shown that the link is back");
            assert_eq!(program.open.len(), 0, "{number} waits: {:?}", program.open);
            assert_eq!(
                program.position,
                u64::from(room.head().0),
                "{number} is at the head"
            );
            for (seq, text) in program.shown.range(oldest..) {
                assert_eq!(truth.get(seq), Some(text), "{number} shows {seq}");
            }
            for (text, seq) in &program.acked {
                let is_there = truth.get(seq) == Some(text);
                let is_gone = self.lost.contains(text);
                assert!(
                    is_there || is_gone,
                    "{text} was acknowledged as {seq}, and is lost"
                );
            }
        }
    }
}

fn faults(chance: &mut Chance) -> Faults {
    let sometimes = |chance: &mut Chance, limit: usize| match chance.percent(50) {
        true => chance.below(limit) as u32,
        false => 0,
    };
    Faults {
        late: chance.below(80) as u32,
        cut: sometimes(chance, 20),
        refused: sometimes(chance, 10),
        lost: sometimes(chance, 10),
        trimmed: sometimes(chance, 5),
    }
}

/// Plays a game to its end, and returns how many turns it took.
pub(super) fn play(seed: u64, trace: Trace) -> u64 {
    let mut game = Game::new(seed, trace);
    game.plays();
    game.ends();
    game.judge();
    game.turns
}
