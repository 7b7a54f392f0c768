//! Several servers on one simulated engine, and their clients: what a scene says, and what was
//! heard. Knows no random but for masks.

use super::super::chance::Chance;
use super::super::client::{self, Ear, Seen};
use super::super::history::json;
use super::super::net::{self, SimNet};
use super::engine::Engine;
use parlor::budget;
use parlor::config::Config;
use parlor::id::{Peer, Tick};
use parlor::net::Net;
use parlor::password::{Busy, Outcome, Passwords, Secret, Work};
use parlor::server::{Server, Turn};
use serde_json::{Value, json};
use std::net::{IpAddr, Ipv4Addr};

pub(super) struct Scene {
    pub(super) engine: Engine,
    pub(super) nodes: Vec<Server<SimNet>>,
    pub(super) clients: Vec<Client>,
    chance: Chance,
}

pub(super) struct Client {
    node: usize,
    socket: usize,
    ear: Ear,
    is_plain: bool,
    is_closed: bool,
    /// The objects or lines that were sent to it.
    pub(super) heard: Vec<Value>,
    id: u64,
}

/// A stand-in for argon2: a hash that can be read, in the next turn.
#[derive(Default)]
struct Hasher(Vec<(u64, Outcome)>);

impl Passwords for Hasher {
    fn begin(&mut self, tag: u64, work: Work) -> Result<(), Busy> {
        let hashed = |password: &Secret| String::from_utf8_lossy(password.as_bytes()).into_owned();
        let outcome = match work {
            Work::Hash { password } => Outcome::Hashed(hashed(&password)),
            Work::Verify { password, kept } if kept == Some(hashed(&password)) => Outcome::Matches,
            Work::Verify { .. } => Outcome::Differs,
        };
        self.0.push((tag, outcome));
        Ok(())
    }

    fn receive(&mut self, outcomes: &mut Vec<(u64, Outcome)>) {
        outcomes.append(&mut self.0);
    }
}

impl Scene {
    pub(super) fn new(nodes: usize) -> Self {
        Self::with(nodes, config())
    }

    pub(super) fn with(nodes: usize, config: Config) -> Self {
        let mut engine = Engine::new();
        let mut chance = Chance::new(1);
        let servers = (0..nodes).map(|_| {
            let net = SimNet::new(1, net::Faults::NONE, 1);
            let keeping = engine.serves(&mut chance);
            let mut server = Server::new(config.clone(), net, 100, chance.next(), keeping);
            server.use_passwords(Box::<Hasher>::default());
            server
        });
        let nodes = servers.collect();
        Self {
            engine,
            nodes,
            clients: Vec::new(),
            chance,
        }
    }

    pub(super) fn now(&self) -> Tick {
        self.nodes[0].net().now()
    }

    fn turn(&mut self) {
        let wall = self.nodes[0].net().wall();
        for node in self.engine.steps(wall, &mut self.chance) {
            self.nodes[node].net().waker().set(true);
        }
        for server in &mut self.nodes {
            assert_eq!(server.turn(), Turn::Again);
            server.check_invariants();
        }
        for client in &mut self.clients {
            let net = self.nodes[client.node].net_mut();
            client
                .ear
                .hear(&net.read_as_client(client.socket, usize::MAX));
            while let Some(seen) = client.ear.next() {
                client.is_closed |= matches!(seen, Seen::Close { .. });
                if let Seen::Line(text) = seen {
                    client.heard.push(match client.is_plain {
                        true => Value::String(text),
                        false => json::check_sent(&text),
                    });
                }
            }
        }
    }

    /// Turns without time.
    pub(super) fn turns(&mut self) {
        for server in &mut self.nodes {
            let now = server.net().now();
            server.net_mut().horizon = now;
        }
        for _ in 0..40 {
            self.turn();
        }
    }

    pub(super) fn pass(&mut self, ticks: u32) {
        let until = self.now() + ticks;
        for server in &mut self.nodes {
            server.net_mut().horizon = until;
        }
        while self.nodes.iter().any(|server| server.net().now() < until) {
            self.turn();
        }
        self.turns();
    }

    fn connects(&mut self, node: usize, path: &str, is_plain: bool) -> usize {
        let number = self.clients.len();
        let peer = Peer::Ip(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)));
        let net = self.nodes[node].net_mut();
        let socket = net.connect(0, peer).expect("the server listens");
        let protocol = if is_plain {
            ""
        } else {
            "Sec-WebSocket-Protocol: parlor.v1.json\r\n"
        };
        // It may be held for long.
        net.may_leave_unread(socket, Tick(u32::MAX));
        net.send(socket, &client::upgrade_to(path, protocol));
        self.clients.push(Client {
            node,
            socket,
            ear: Ear::default(),
            is_plain,
            is_closed: false,
            heard: Vec::new(),
            id: 0,
        });
        self.turns();
        number
    }

    /// A program that is in no room.
    pub(super) fn comes(&mut self, node: usize) -> usize {
        let nick = format!("c{}", self.clients.len());
        self.connects(node, &format!("/ws?nick={nick}"), false)
    }

    pub(super) fn comes_as(&mut self, node: usize, nick: &str) -> usize {
        self.connects(node, &format!("/ws?nick={nick}"), false)
    }

    pub(super) fn comes_without_nick(&mut self, node: usize) -> usize {
        self.connects(node, "/ws", false)
    }

    pub(super) fn enters_as(&mut self, node: usize, nick: &str) -> usize {
        self.connects(node, &format!("/ws/lobby?nick={nick}"), true)
    }

    /// A program that joins the lobby.
    pub(super) fn joins(&mut self, node: usize) -> usize {
        let who = self.comes(node);
        self.asks(who, "join", &[("room", json!("lobby"))]);
        who
    }

    /// A person that joins the lobby.
    pub(super) fn enters(&mut self, node: usize) -> usize {
        let nick = format!("c{}", self.clients.len());
        self.connects(node, &format!("/ws/lobby?nick={nick}"), true)
    }

    /// Sends a request. Returns its number.
    pub(super) fn sends(&mut self, who: usize, kind: &str, fields: &[(&str, Value)]) -> u64 {
        let client = &mut self.clients[who];
        client.id += 1;
        let id = client.id;
        let text = json::request(kind, Some(id), fields);
        let bytes = client::frame(0x81, text.as_bytes(), &mut self.chance);
        let (node, socket) = (client.node, client.socket);
        self.nodes[node].net_mut().send(socket, &bytes);
        id
    }

    /// The same, and what follows from it.
    pub(super) fn asks(&mut self, who: usize, kind: &str, fields: &[(&str, Value)]) -> u64 {
        let id = self.sends(who, kind, fields);
        self.turns();
        id
    }

    pub(super) fn says(&mut self, who: usize, text: &str) -> u64 {
        let fields = [("room", json!("lobby")), ("text", json!(text))];
        self.asks(who, "send", &fields)
    }

    pub(super) fn says_with(&mut self, who: usize, text: &str, key: &str) -> u64 {
        let fields = [
            ("room", json!("lobby")),
            ("text", json!(text)),
            ("key", json!(key)),
        ];
        self.asks(who, "send", &fields)
    }

    /// A person writes a line.
    pub(super) fn writes(&mut self, who: usize, line: &str) {
        let client = &self.clients[who];
        let bytes = client::frame(0x81, line.as_bytes(), &mut self.chance);
        let (node, socket) = (client.node, client.socket);
        self.nodes[node].net_mut().send(socket, &bytes);
        self.turns();
    }

    pub(super) fn goes(&mut self, who: usize) {
        let client = &self.clients[who];
        let (node, socket) = (client.node, client.socket);
        self.nodes[node].net_mut().reset(socket);
        self.turns();
    }

    /// What was heard of a type, or all lines.
    pub(super) fn all(&self, who: usize, kind: &str) -> Vec<&Value> {
        let heard = self.clients[who].heard.iter();
        heard.filter(|object| object["type"] == kind).collect()
    }

    /// The messages that a program has heard: numbers and texts.
    pub(super) fn messages(&self, who: usize) -> Vec<(u64, String)> {
        let message = |object: &Value| {
            let text = object["text"].as_str()?.to_owned();
            Some((object["seq"].as_u64()?, text))
        };
        let all = self.all(who, "message");
        all.into_iter().filter_map(message).collect()
    }

    /// The lines that a person was shown since the last call.
    pub(super) fn lines(&mut self, who: usize) -> Vec<String> {
        let heard = std::mem::take(&mut self.clients[who].heard).into_iter();
        let text = |line: Value| line.as_str().map(str::to_owned);
        heard.filter_map(text).collect()
    }

    /// The number of the last request.
    pub(super) fn asked(&self, who: usize) -> u64 {
        self.clients[who].id
    }

    pub(super) fn is_closed(&self, who: usize) -> bool {
        self.clients[who].is_closed
    }

    /// The answer to a request: `ok`, or the code.
    pub(super) fn answer(&self, who: usize, id: u64) -> Option<&str> {
        let heard = self.clients[who].heard.iter();
        let mut answers = heard.filter(|object| object["re"] == json!(id));
        let answer = answers.next()?;
        assert_eq!(answers.next(), None, "one answer");
        Some(answer["code"].as_str().unwrap_or("ok"))
    }

    pub(super) fn re(&self, who: usize, id: u64) -> Option<&Value> {
        let mut heard = self.clients[who].heard.iter();
        heard.find(|object| object["re"] == json!(id))
    }
}

/// Nothing comes in the way of much at once but the engine.
pub(crate) fn config() -> Config {
    let mut config = Config::default();
    config.chat.message_rate = 0;
    config.budget = budget::Settings::UNLIMITED;
    config
}
