//! A game of one to three servers on one engine, and programs that come back at any of them. Judged
//! is what programs are promised: one order, each message once, what was acknowledged stays unless
//! its loss was reported, each request answered once. Knows the engine's rooms, not its links.

use super::super::chance::Chance;
use super::super::client::{self, Seen};
use super::super::history::json;
use super::super::net::{self, SimNet};
use super::super::trace::Trace;
use super::engine::{Engine, Faults};
use super::program::{Program, ROOM};
use super::scene::config;
use parlor::chat::Content;
use parlor::id::{Peer, Tick};
use parlor::net::Net;
use parlor::server::{Server, Turn};
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};

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
        program.ear = client::Ear::default();
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
        for program in &self.programs {
            program.check_end(&truth, u64::from(room.head().0));
            assert_eq!(program.silenced.len(), 0, "no program is muted");
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
