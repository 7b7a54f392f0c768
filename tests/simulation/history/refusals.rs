//! A message that cannot be numbered, what is held behind it, and what is kept for its sender
//! meanwhile: a store that fails on demand, and clients that send much at once. Knows no random.

use super::super::chance::Chance;
use super::super::client::{self, Ear, Seen};
use super::super::net::{self, SimNet};
use super::disk::Disk;
use super::json;
use super::store::{Engine, Faults};
use parlor::config::Config;
use parlor::conn::outbox;
use parlor::id::{Peer, Tick};
use parlor::log::Keeping;
use parlor::net::Net;
use parlor::server::{Server, Turn};
use serde_json::{Value, json};
use std::net::{IpAddr, Ipv4Addr};

/// A server with a store, and clients that read everything.
struct Scene {
    server: Server<SimNet>,
    engine: Engine,
    chance: Chance,
    clients: Vec<Client>,
}

struct Client {
    socket: usize,
    ear: Ear,
    /// The objects that were sent to it.
    heard: Vec<Value>,
    reads: bool,
}

impl Client {
    /// The answers to the requests, in order: the number of each, and `ok` or the code.
    fn answers<'a>(&'a self) -> Vec<(u64, &'a str)> {
        let answer = |object: &'a Value| {
            let re = object["re"].as_u64()?;
            Some((re, object["code"].as_str().unwrap_or("ok")))
        };
        self.heard.iter().filter_map(answer).collect()
    }
}

impl Scene {
    fn new(config: Config) -> Self {
        let mut engine = Engine::new(Disk::default(), Faults::NONE);
        let keeping = Keeping {
            started: engine.disk.starts(1),
            store: Some(Box::new(engine.store())),
        };
        let net = SimNet::new(1, net::Faults::NONE, 1);
        Self {
            server: Server::new(config, net, 100, 1, keeping),
            engine,
            chance: Chance::new(1),
            clients: Vec::new(),
        }
    }

    fn now(&self) -> Tick {
        self.server.net().now()
    }

    fn turn(&mut self) {
        let now = self.now();
        if self.engine.steps(now, &mut self.chance) {
            self.server.net().waker().set(true);
        }
        assert_eq!(self.server.turn(), Turn::Again);
        self.server.check_invariants();
        self.engine.takes_over();
        for client in self.clients.iter_mut().filter(|client| client.reads) {
            let net = self.server.net_mut();
            client
                .ear
                .hear(&net.read_as_client(client.socket, usize::MAX));
            while let Some(seen) = client.ear.next() {
                if let Seen::Line(text) = seen {
                    let object = serde_json::from_str(&text).expect("an object");
                    client.heard.push(object);
                }
            }
        }
    }

    /// Turns without time.
    fn turns(&mut self) {
        let now = self.now();
        self.server.net_mut().horizon = now;
        for _ in 0..60 {
            self.turn();
        }
    }

    fn pass(&mut self, ticks: u32) {
        let until = self.now() + ticks;
        self.server.net_mut().horizon = until;
        while self.now() < until {
            self.turn();
        }
        self.turns();
    }

    fn connects(&mut self) -> usize {
        let number = self.clients.len();
        let peer = Peer::Ip(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)));
        let net = self.server.net_mut();
        let socket = net.connect(0, peer).expect("the server listens");
        let protocol = "Sec-WebSocket-Protocol: parlor.v1.json\r\n";
        let upgrade = client::upgrade_to(&format!("/ws?nick=c{number}"), protocol);
        net.send(socket, &upgrade);
        self.clients.push(Client {
            socket,
            ear: Ear::default(),
            heard: Vec::new(),
            reads: true,
        });
        self.turns();
        number
    }

    /// Sends requests in one packet. They are numbered from `from` on.
    fn asks(&mut self, who: usize, from: u64, requests: &[(&str, Vec<(&str, Value)>)]) {
        let mut bytes = Vec::new();
        for (id, (kind, fields)) in (from..).zip(requests) {
            let text = json::request(kind, Some(id), fields);
            bytes.extend(client::frame(0x81, text.as_bytes(), &mut self.chance));
        }
        self.server.net_mut().send(self.clients[who].socket, &bytes);
        self.turns();
    }

    fn joins(&mut self) -> usize {
        let who = self.connects();
        self.asks(who, 1, &[("join", vec![("room", json!("lobby"))])]);
        who
    }

    /// Nothing can be stored for so long. Something waits to be stored: only then it is noticed.
    fn store_fails(&mut self, ticks: u32) {
        let witness = self.joins();
        self.engine.fails_until(self.now() + ticks);
        self.asks(witness, 2, &[message("before")]);
    }

    fn head(&self) -> u32 {
        self.engine.disk.kept("lobby").map_or(0, |kept| kept.head.0)
    }
}

fn message(text: &str) -> (&'static str, Vec<(&'static str, Value)>) {
    (
        "send",
        vec![("room", json!("lobby")), ("text", json!(text))],
    )
}

/// A connection is held while a message waits for its number, which is for ten seconds.
const HELD_TICKS: u32 = 101;

/// What is in the store, and the answers, after these requests came in one packet while the store
/// failed, and until it kept messages again.
fn refuses(mut config: Config, requests: &[(&str, Vec<(&str, Value)>)]) -> (u32, Vec<String>) {
    config.chat.message_rate = 0;
    let mut scene = Scene::new(config);
    let ann = scene.joins();
    scene.store_fails(HELD_TICKS + 10);
    scene.asks(ann, 2, requests);
    scene.pass(HELD_TICKS);
    scene.pass(50);
    assert!(!scene.engine.is_failing(scene.now()), "all is well again");
    let answers = scene.clients[ann].answers();
    let answers = answers.into_iter().filter(|(re, _)| *re > 1);
    let answers = answers.map(|(_, what)| what.to_owned()).collect();
    (scene.head(), answers)
}

#[test]
fn what_is_held_behind_a_refused_message_is_refused_as_well() {
    let all = [message("one"), message("two"), message("three")];
    let (head, answers) = refuses(Config::default(), &all);
    assert_eq!(answers, ["store_unavailable"; 3]);
    assert_eq!(head, 1, "only what was said before");
}

/// It has more answers than its outbox takes, so that it is held once more on the way.
#[test]
fn what_is_held_behind_a_refused_message_is_refused_though_the_sender_is_held_again() {
    let mut config = Config::default();
    config.conn.outbox = outbox::Limits {
        frames_max: 4,
        bytes_max: 1_000,
    };
    let all: Vec<_> = (0..30).map(|_| message("more")).collect();
    let (head, answers) = refuses(config, &all);
    assert_eq!(answers, ["store_unavailable"; 30]);
    assert_eq!(head, 1, "only what was said before");
}

/// A request in between waits for the store.
#[test]
fn what_is_held_behind_a_refused_message_and_a_join_is_refused() {
    let join = ("join", vec![("room", json!("attic"))]);
    let all = [message("one"), join, message("two")];
    let (head, answers) = refuses(Config::default(), &all);
    assert_eq!(answers, ["store_unavailable", "ok", "store_unavailable"]);
    assert_eq!(head, 1, "only what was said before");
}

#[test]
fn notice_follows_what_was_said_before_it() {
    let mut scene = Scene::new(Config::default());
    let ann = scene.joins();
    let bob = scene.joins();
    let typing = ("typing", vec![("room", json!("lobby"))]);
    scene.clients[bob].heard.clear();
    scene.asks(ann, 2, &[message("one"), typing, message("two")]);
    let kinds = scene.clients[bob].heard.iter();
    let kinds: Vec<&str> = kinds.filter_map(|object| object["type"].as_str()).collect();
    assert_eq!(kinds, ["message", "typing", "message"]);
}

/// It is behind when it types, which is not shown to itself.
#[test]
fn member_that_is_behind_misses_no_notice_of_its_own() {
    let mut config = Config::default();
    config.chat.message_rate = 0;
    config.conn.outbox = outbox::Limits {
        frames_max: 4,
        bytes_max: 1_000,
    };
    let mut scene = Scene::new(config);
    let ann = scene.joins();
    let bob = scene.joins();
    scene.clients[bob].reads = false;
    scene.server.net_mut().misbehaves(net::Faults {
        window: 2_000,
        ..net::Faults::NONE
    });
    for _ in 0..10 {
        let all: Vec<_> = (0..6).map(|_| message("some more words")).collect();
        scene.asks(ann, 2, &all);
    }
    let summary = scene.server.summary();
    assert!(summary.contains("behind=1"), "{summary}");
    scene.asks(bob, 2, &[("typing", vec![("room", json!("lobby"))])]);
    scene.clients[bob].reads = true;
    scene.pass(20);
    let heard = &scene.clients[bob].heard;
    let messages = heard.iter().filter(|object| object["type"] == "message");
    assert_eq!(messages.count(), 60);
    assert!(heard.iter().all(|object| object["lost"] != true));
}
