//! Whole servers on simulated servers of Redis, and the bytes between them: each server dials through
//! its own simulated network. Knows no rule and no client.

use super::super::client::{self, Ear};
use super::super::net::{self, SimNet};
use super::super::order::passwords::outcome;
use super::super::shared::engine::keeping;
use super::super::shared::program::TOKEN;
use super::super::shared::scene::config;
use super::redis::model::{Data, Redis};
use super::world::World;
use crate::chance::Chance;
use parlor::id::{Peer, Tick};
use parlor::log::EpochInfo;
use parlor::net::Net;
use parlor::net::dial::Target;
use parlor::password::{Busy, Outcome, Passwords, Work};
use parlor::redis::{Engine, Settings, Which, desk};
use parlor::server::{Links, Server, Turn};
use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;

const UNREACHABLE: Option<&str> = Some("no route to host");

/// One connection to a server of Redis.
struct Wire {
    link: usize,
    socket: usize,
    redis: usize,
    connection: u32,
    up: Vec<u8>,
    down: Vec<u8>,
}

/// A stand-in for argon2: a hash that can be read, after some turns.
struct Hasher {
    queue: VecDeque<(u64, Work)>,
    chance: Chance,
}

impl Passwords for Hasher {
    fn begin(&mut self, tag: u64, work: Work) -> Result<(), Busy> {
        self.queue.push_back((tag, work));
        Ok(())
    }

    fn receive(&mut self, outcomes: &mut Vec<(u64, Outcome)>) {
        while !self.queue.is_empty() && self.chance.percent(60) {
            let next = self.queue.pop_front();
            outcomes.extend(next.map(|(tag, work)| (tag, outcome(&work))));
        }
    }
}

/// A server and its connections to Redis.
pub(super) struct Node {
    pub(super) server: Server<SimNet>,
    wires: Vec<Wire>,
    /// Ended while the server was cut off: what was sent before arrives when it is not.
    stale: Vec<Wire>,
    /// No byte of its connections arrives until then.
    pub(super) cut: Tick,
}

/// All servers. Those of Redis and the clock are those of a world without engines of its own.
pub(super) struct Servers {
    pub(super) world: World,
    pub(super) nodes: Vec<Node>,
    settings: Settings,
}

impl Servers {
    pub(super) fn new(count: usize, settings: Settings, chance: Chance) -> Self {
        let mut servers = Self {
            world: World::new(0, &settings, chance),
            nodes: Vec::new(),
            settings,
        };
        for _ in 0..count {
            let node = servers.begins(Tick(0));
            servers.nodes.push(node);
        }
        servers
    }

    /// A process of a server begins.
    fn begins(&mut self, now: Tick) -> Node {
        let chance = &mut self.world.chance;
        let mut net = SimNet::new(chance.next(), net::Faults::NONE, 1);
        net.jumps(now.0);
        let (desk, counter) = desk();
        let random = std::array::from_fn(|_| chance.next() as u8);
        let engine = Engine::new(self.settings.clone(), random, now);
        let target = Target::Unix(PathBuf::from("redis.sock"));
        let links = Links::new(engine, counter, target, String::from("host"));
        let epoch = EpochInfo {
            epoch: chance.next() as u32 | 1,
            salt: chance.next() as u32,
        };
        let keeping = keeping(Box::new(desk), epoch);
        let mut config = config();
        config.log.tail_bytes = [4_000, 4 << 20][chance.below(2)];
        config.chat.operator_token = Some(String::from(TOKEN));
        let mut server = Server::new(config, net, 100, chance.next(), keeping);
        server.use_engine(links);
        server.use_passwords(Box::new(Hasher {
            queue: VecDeque::new(),
            chance: Chance::new(chance.next()),
        }));
        Node {
            server,
            wires: Vec::new(),
            stale: Vec::new(),
            cut: now,
        }
    }

    /// The process of a server is killed, and another begins. What it has sent may still arrive.
    pub(super) fn kills(&mut self, node: usize) {
        let now = self.nodes[node].server.net().now();
        let next = self.begins(now);
        let old = std::mem::replace(&mut self.nodes[node], next);
        self.nodes[node].cut = old.cut;
        let mut wires = old.wires;
        wires.extend(old.stale);
        self.nodes[node].stale = wires;
    }

    /// One more server.
    pub(super) fn adds(&mut self) {
        let now = self.now();
        let node = self.begins(now);
        self.nodes.push(node);
    }

    pub(super) fn now(&self) -> Tick {
        self.nodes[0].server.net().now()
    }

    /// Time goes on by a tick. Returns after how many turns.
    pub(super) fn pass(&mut self) -> u64 {
        let until = self.now() + 1;
        for node in &mut self.nodes {
            node.server.net_mut().horizon = until;
        }
        self.world.turn(1);
        let mut turns = 0;
        let is_before = |node: &Node| node.server.net().now() < until;
        while self.nodes.iter().any(is_before) {
            self.turn();
            turns += 1;
        }
        turns
    }

    /// A turn of each server.
    pub(super) fn turn(&mut self) {
        for place in 0..self.nodes.len() {
            let now = self.nodes[place].server.net().now();
            let is_cut = self.nodes[place].cut > now;
            let is_unreachable = is_cut || self.world.unreachable > self.world.now;
            let server = &mut self.nodes[place].server;
            server.net_mut().undialed = UNREACHABLE.filter(|_| is_unreachable);
            assert_eq!(server.turn(), Turn::Again);
            server.check_invariants();
            self.dials(place);
            if is_cut {
                self.ends_cut_off(place);
            } else {
                self.arrives_late(place);
                self.moves(place);
            }
        }
    }

    fn dials(&mut self, place: usize) {
        let redis = self.world.servers.len() - 1;
        for (link, socket) in self.nodes[place].server.net_mut().take_dialed() {
            let connection = self.world.servers[redis].connect();
            self.nodes[place].wires.push(Wire {
                link,
                socket,
                redis,
                connection,
                up: Vec::new(),
                down: Vec::new(),
            });
        }
    }

    /// Connections that a server gives up while it is cut off.
    fn ends_cut_off(&mut self, place: usize) {
        let node = &mut self.nodes[place];
        let net = node.server.net_mut();
        for wire in &mut node.wires {
            wire.up.extend(net.read_as_client(wire.socket, usize::MAX));
        }
        let all = std::mem::take(&mut node.wires).into_iter();
        let (stale, open) = all.partition(|wire| net.is_closed_by_server(wire.socket));
        node.wires = open;
        let stale: Vec<Wire> = stale;
        node.stale.extend(stale);
    }

    /// What a server has sent before its connections ended, with the network that has come back.
    fn arrives_late(&mut self, place: usize) {
        if self.world.is_delayed() {
            return;
        }
        for wire in std::mem::take(&mut self.nodes[place].stale) {
            let redis = &mut self.world.servers[wire.redis];
            redis.receive(wire.connection, &wire.up);
            redis.disconnect(wire.connection);
        }
    }

    fn moves(&mut self, place: usize) {
        let wires = std::mem::take(&mut self.nodes[place].wires);
        for mut wire in wires {
            let net = self.nodes[place].server.net_mut();
            wire.up.extend(net.read_as_client(wire.socket, usize::MAX));
            if net.is_closed_by_server(wire.socket) {
                // What was sent before the end may arrive.
                let arrives = self.world.chance.percent(50);
                let redis = &mut self.world.servers[wire.redis];
                if arrives {
                    redis.receive(wire.connection, &wire.up);
                }
                redis.disconnect(wire.connection);
                continue;
            }
            let count = self.world.portion(wire.up.len());
            let up: Vec<u8> = wire.up.drain(..count).collect();
            let redis = &mut self.world.servers[wire.redis];
            redis.receive(wire.connection, &up);
            wire.down.extend(redis.output(wire.connection));
            let is_open = redis.is_connected(wire.connection);
            let count = self.world.portion(wire.down.len());
            let down: Vec<u8> = wire.down.drain(..count).collect();
            let node = &mut self.nodes[place];
            node.server.net_mut().send(wire.socket, &down);
            if is_open || !wire.down.is_empty() {
                node.wires.push(wire);
            } else {
                node.server.net_mut().shut(wire.socket);
            }
        }
    }

    // Clients

    /// A client comes to a server, and wishes for a nick. Returns its socket.
    pub(super) fn comes(&mut self, place: usize, address: Ipv4Addr, nick: &str) -> usize {
        let peer = Peer::Ip(IpAddr::V4(address));
        let net = self.nodes[place].server.net_mut();
        let socket = net.connect(0, peer).expect("the server listens");
        // It may be held for long.
        net.may_leave_unread(socket, Tick(u32::MAX));
        let protocol = "Sec-WebSocket-Protocol: parlor.v1.json\r\n";
        let path = format!("/ws?nick={nick}");
        net.send(socket, &client::upgrade_to(&path, protocol));
        socket
    }

    pub(super) fn leaves(&mut self, place: usize, socket: usize) {
        self.nodes[place].server.net_mut().reset(socket);
    }

    pub(super) fn asks(&mut self, place: usize, socket: usize, text: &str) {
        let bytes = client::frame(0x81, text.as_bytes(), &mut self.world.chance);
        self.nodes[place].server.net_mut().send(socket, &bytes);
    }

    /// Brings a client what was sent to it. Whether there will be no more.
    pub(super) fn brings(&mut self, place: usize, socket: usize, ear: &mut Ear) -> bool {
        let net = self.nodes[place].server.net_mut();
        ear.hear(&net.read_as_client(socket, usize::MAX));
        net.is_over_for_client(socket)
    }

    pub(super) fn redis(&self) -> &Redis {
        self.world.servers.last().expect("there is one")
    }

    // Faults

    /// Another process of Redis is reached, with these keys. The one before ends, or it serves the
    /// connections that it has until they break.
    pub(super) fn another_redis(&mut self, data: Data, has_ended: bool) {
        let before = self.world.servers.len() - 1;
        self.world.starts(data);
        if has_ended {
            self.breaks(before);
        }
    }

    /// All connections to a server of Redis are broken.
    pub(super) fn breaks(&mut self, redis: usize) {
        let wires = self.nodes.iter().flat_map(|node| &node.wires);
        for wire in wires.filter(|wire| wire.redis == redis) {
            self.world.servers[redis].disconnect(wire.connection);
        }
    }

    /// One connection of a server is broken by Redis.
    pub(super) fn drops(&mut self, place: usize, which: Which) {
        let mut wires = self.nodes[place].wires.iter();
        if let Some(wire) = wires.find(|wire| wire.link == which as usize) {
            self.world.servers[wire.redis].disconnect(wire.connection);
        }
    }
}
