//! A message that cannot be numbered, what is held behind it, and what is kept for its sender
//! meanwhile: a store that fails on demand, and clients that send much at once. Knows no random.

use super::super::chance::Chance;
use super::super::client::{self, Ear, Seen};
use super::super::net::{self, SimNet};
use super::disk::Disk;
use super::json;
use super::store::{Engine, Faults};
use parlor::budget;
use parlor::config::Config;
use parlor::conn::outbox;
use parlor::id::{Peer, Tick};
use parlor::log::Keeping;
use parlor::net::Net;
use parlor::server::{Server, Turn};
use serde_json::{Value, json};
use std::net::{IpAddr, Ipv4Addr};

/// A server with a store, and clients that read everything.
pub(super) struct Scene {
    pub(super) server: Server<SimNet>,
    pub(super) engine: Engine,
    pub(super) chance: Chance,
    pub(super) clients: Vec<Client>,
}

pub(super) struct Client {
    pub(super) socket: usize,
    ear: Ear,
    /// The objects that were sent to it.
    pub(super) heard: Vec<Value>,
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
    pub(super) fn new(config: Config) -> Self {
        Self::over(config, Disk::default())
    }

    /// A start over what an earlier one has kept.
    pub(super) fn over(config: Config, disk: Disk) -> Self {
        let mut engine = Engine::new(disk, Faults::NONE);
        // No two starts have the same sessions.
        let seed = u64::from(engine.disk.epoch()) + 1;
        let keeping = Keeping {
            started: engine.disk.starts(1),
            store: Some(Box::new(engine.store())),
            is_shared: false,
        };
        let net = SimNet::new(1, net::Faults::NONE, 1);
        Self {
            server: Server::new(config, net, 100, seed, keeping),
            engine,
            chance: Chance::new(1),
            clients: Vec::new(),
        }
    }

    pub(super) fn now(&self) -> Tick {
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
    pub(super) fn turns(&mut self) {
        let now = self.now();
        self.server.net_mut().horizon = now;
        for _ in 0..60 {
            self.turn();
        }
    }

    pub(super) fn pass(&mut self, ticks: u32) {
        let until = self.now() + ticks;
        self.server.net_mut().horizon = until;
        while self.now() < until {
            self.turn();
        }
        self.turns();
    }

    pub(super) fn connects(&mut self) -> usize {
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
    pub(super) fn asks(&mut self, who: usize, from: u64, requests: &[(&str, Vec<(&str, Value)>)]) {
        let mut bytes = Vec::new();
        for (id, (kind, fields)) in (from..).zip(requests) {
            let text = json::request(kind, Some(id), fields);
            bytes.extend(client::frame(0x81, text.as_bytes(), &mut self.chance));
        }
        self.server.net_mut().send(self.clients[who].socket, &bytes);
        self.turns();
    }

    pub(super) fn joins(&mut self) -> usize {
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

    /// The last client that came sends a message, which is stored.
    fn commits_again(&mut self) {
        self.engine.fails_until(self.now());
        self.turns();
        let witness = self.clients.len() - 1;
        self.asks(witness, 100, &[message("after")]);
        let answers = self.clients[witness].answers();
        assert_eq!(answers.last(), Some(&(100, "ok")), "all is well again");
    }

    /// The store has no faults any more.
    fn works_again(&mut self) {
        self.engine.calms_down();
        self.commits_again();
    }

    /// The answers to all that a client asked for after it had joined, in order.
    fn answers_after_join(&self, who: usize) -> Vec<&str> {
        let answers = self.clients[who].answers().into_iter();
        let later = answers.filter(|(re, _)| *re > 1);
        later.map(|(_, what)| what).collect()
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

/// Messages that wait are refused once the store has failed for so long.
const FAILING_TICKS: u32 = 11;

/// Nothing comes in the way of a flood but the store.
fn unlimited() -> Config {
    let mut config = Config::default();
    config.chat.message_rate = 0;
    config.budget = budget::Settings::UNLIMITED;
    config
}

fn small_outboxes() -> Config {
    let mut config = unlimited();
    config.conn.outbox = outbox::Limits {
        frames_max: 4,
        bytes_max: 1_000,
    };
    config
}

#[test]
fn what_is_held_behind_a_refused_message_is_refused_as_well() {
    let mut scene = Scene::new(unlimited());
    let ann = scene.joins();
    scene.store_fails(HELD_TICKS);
    scene.asks(ann, 2, &[message("one"), message("two"), message("three")]);
    scene.pass(HELD_TICKS);
    scene.works_again();
    assert_eq!(scene.answers_after_join(ann), ["store_unavailable"; 3]);
    assert_eq!(scene.head(), 2, "only what was said before and after");
}

/// The store answers again before what is held behind the message is handled.
#[test]
fn what_is_held_behind_a_message_that_waited_too_long_is_refused_though_the_store_is_back() {
    let mut config = unlimited();
    config.log.tail_bytes = 4_000;
    let mut scene = Scene::new(config);
    let ann = scene.joins();
    let witness = scene.joins();
    scene.engine.misbehaves(Faults {
        idle: 100,
        ..Faults::NONE
    });
    let long = "x".repeat(500);
    let many: Vec<_> = (0..5).map(|_| message(&long)).collect();
    scene.asks(witness, 2, &many);
    scene.asks(ann, 2, &[message(&long), message("two")]);
    let until = scene.now() + HELD_TICKS;
    scene.server.net_mut().horizon = until;
    while scene.answers_after_join(ann).is_empty() {
        assert!(scene.now() < until, "it is refused after ten seconds");
        scene.turn();
    }
    scene.works_again();
    assert_eq!(scene.answers_after_join(ann), ["store_unavailable"; 2]);
}

/// It has more answers than it takes and than its outbox holds, so that it is held once more on the
/// way, until after the store works again.
#[test]
fn what_is_held_behind_a_refused_message_is_refused_though_the_sender_is_held_again() {
    let mut scene = Scene::new(small_outboxes());
    let ann = scene.joins();
    scene.store_fails(HELD_TICKS);
    scene.clients[ann].reads = false;
    scene.server.net_mut().misbehaves(net::Faults {
        window: 500,
        ..net::Faults::NONE
    });
    let all: Vec<_> = (0..30).map(|_| message("more")).collect();
    scene.asks(ann, 2, &all);
    scene.pass(FAILING_TICKS);
    scene.works_again();
    assert!(scene.answers_after_join(ann).is_empty());
    scene.clients[ann].reads = true;
    scene.pass(20);
    assert_eq!(scene.answers_after_join(ann), ["store_unavailable"; 30]);
    assert_eq!(scene.head(), 2, "only what was said before and after");
}

/// A request in between waits for the store, which meanwhile keeps messages again.
#[test]
fn what_is_held_behind_a_refused_message_and_a_join_is_refused() {
    let mut scene = Scene::new(unlimited());
    let ann = scene.joins();
    scene.store_fails(HELD_TICKS);
    scene.engine.misbehaves(Faults {
        late: 100,
        ..Faults::NONE
    });
    let join = ("join", vec![("room", json!("attic"))]);
    scene.asks(ann, 2, &[message("one"), join, message("two")]);
    scene.pass(FAILING_TICKS);
    scene.commits_again();
    assert_eq!(scene.answers_after_join(ann), ["store_unavailable"]);
    scene.engine.calms_down();
    scene.turns();
    let expected = ["store_unavailable", "ok", "store_unavailable"];
    assert_eq!(scene.answers_after_join(ann), expected);
    assert_eq!(scene.head(), 2, "only what was said before and after");
}

/// More waits to be stored than may.
#[test]
fn member_whose_kick_has_to_wait_leaves_as_soon_as_it_is_numbered() {
    let mut config = unlimited();
    config.log.tail_bytes = 4_000;
    config.chat.operator_token = Some(String::from("secret"));
    let mut scene = Scene::new(config);
    let ann = scene.joins();
    let bob = scene.joins();
    let dan = scene.joins();
    for operator in [ann, dan] {
        let op = ("op", vec![("token", json!("secret"))]);
        scene.asks(operator, 2, &[op]);
        let socket = scene.clients[operator].socket;
        let net = scene.server.net_mut();
        net.may_leave_unread(socket, Tick(u32::MAX));
    }
    scene.engine.misbehaves(Faults {
        idle: 100,
        ..Faults::NONE
    });
    let topic = vec![("room", json!("lobby")), ("topic", json!("x".repeat(300)))];
    for id in 3..30 {
        if scene.server.kept().count() == 0 {
            scene.asks(dan, id, &[("topic", topic.clone())]);
        }
    }
    let kick = vec![
        ("room", json!("lobby")),
        ("nick", json!("c1")),
        ("reason", json!("enough of it ".repeat(20))),
    ];
    scene.asks(ann, 3, &[("kick", kick)]);
    let held = scene.server.kept().count();
    assert_eq!(held, 2, "more is to be stored than may wait");
    scene.engine.calms_down();
    scene.turns();
    let heard = &scene.clients[bob].heard;
    let last = heard.last().map(|object| (&object["type"], &object["you"]));
    assert_eq!(last, Some((&json!("kicked"), &json!(true))));
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
    let mut scene = Scene::new(small_outboxes());
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
