//! Several nodes, the servers of Redis that they are connected to, and the bytes between them. Knows
//! no rule: who plays decides what fails, and the judge what was right.

use super::redis::model::{Data, Redis};
use super::redis::node::Node;
use crate::chance::Chance;
use parlor::id::Tick;
use parlor::redis::{Action, Settings, Which};

/// One connection.
struct Wire {
    server: usize,
    connection: u32,
    up: Vec<u8>,
    down: Vec<u8>,
}

/// A node and its connections.
pub(super) struct Seat {
    pub(super) node: Node,
    wires: [Option<Wire>; 2],
    /// Ended while the node was cut off: what was sent before arrives when it is not.
    stale: Vec<Wire>,
    /// The process is stopped until then.
    pub(super) frozen: Tick,
    /// No byte of its connections arrives until then.
    pub(super) cut: Tick,
    pub(super) reports: Vec<String>,
    /// When it tried to connect.
    pub(super) attempts: Vec<Tick>,
}

/// How bytes move.
#[derive(Clone, Copy, Debug)]
pub(super) struct Flow {
    /// In percent: bytes wait for another turn, or a part of them does.
    pub(super) delayed: u32,
    pub(super) cut: u32,
}

pub(super) struct World {
    /// New connections reach the last one. The others serve the connections that they have already.
    pub(super) servers: Vec<Redis>,
    /// No engine can connect until then.
    pub(super) unreachable: Tick,
    pub(super) seats: Vec<Seat>,
    pub(super) now: Tick,
    pub(super) chance: Chance,
    pub(super) flow: Flow,
    runs: u32,
}

impl World {
    pub(super) fn new(nodes: u8, settings: &Settings, chance: Chance) -> Self {
        let mut world = Self {
            servers: Vec::new(),
            unreachable: Tick(0),
            seats: Vec::new(),
            now: Tick(0),
            chance,
            flow: Flow { delayed: 0, cut: 0 },
            runs: 0,
        };
        world.starts(Data::default());
        for number in 0..nodes {
            world.seats.push(Seat {
                node: Node::new(number + 1, settings.clone()),
                wires: [None, None],
                stale: Vec::new(),
                frozen: Tick(0),
                cut: Tick(0),
                reports: Vec::new(),
                attempts: Vec::new(),
            });
        }
        world
    }

    /// Another process with these keys is reached from here on.
    pub(super) fn starts(&mut self, data: Data) {
        self.runs += 1;
        let number = u64::from(self.runs).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let run = format!("{number:016x}{number:024x}");
        let mut server = Redis::new(&run, data);
        server.now_ms += u64::from(self.now.0) * Tick::MILLIS;
        server.is_synced_always = self
            .servers
            .last()
            .is_some_and(|last| last.is_synced_always);
        self.servers.push(server);
        // So that nothing that is said again has the time of what was lost.
        self.now = self.now + 1;
    }

    /// What another process finds after this one has crashed: any part of what was not on the disk.
    /// `halves`: also a part of a script.
    pub(super) fn after_crash(&mut self, halves: bool) -> Data {
        let unsynced = self.server().unsynced();
        let kept = unsynced - self.chance.below(unsynced + 1);
        let kept = match halves {
            true => kept,
            false => self.server().end_before(kept),
        };
        self.server().kept(kept)
    }

    pub(super) fn server(&mut self) -> &mut Redis {
        self.servers.last_mut().expect("there is one")
    }

    /// All connections to a server are broken. What is on its way may still arrive.
    pub(super) fn breaks(&mut self, server: usize) {
        for seat in &mut self.seats {
            for wire in seat.wires.iter_mut().flatten() {
                if wire.server == server {
                    self.servers[server].disconnect(wire.connection);
                }
            }
        }
    }

    /// One connection of a node is broken by the server.
    pub(super) fn drops(&mut self, seat: usize, which: Which) {
        if let Some(wire) = &self.seats[seat].wires[which as usize] {
            self.servers[wire.server].disconnect(wire.connection);
        }
    }

    /// The server that a node is connected to.
    pub(super) fn server_of(&self, seat: usize) -> Option<&Redis> {
        let wire = self.seats[seat].wires[Which::Subscriptions as usize].as_ref();
        wire.map(|wire| &self.servers[wire.server])
    }

    /// Time goes on by so many ticks, and bytes move.
    pub(super) fn turn(&mut self, ticks: u32) {
        self.now = self.now + ticks;
        for server in &mut self.servers {
            server.now_ms = 1_795_676_645_000 + u64::from(self.now.0) * Tick::MILLIS;
        }
        for seat in 0..self.seats.len() {
            if self.seats[seat].frozen <= self.now {
                self.act(seat);
            }
        }
    }

    fn act(&mut self, place: usize) {
        let now = self.now;
        self.arrives_late(place);
        while let Some(action) = self.seats[place].node.engine.next_action(now) {
            match action {
                Action::Connect(which) => self.connects(place, which),
                Action::Close(which) => self.closes(place, which),
            }
        }
        for which in Which::BOTH {
            self.arrives(place, which);
        }
        let seat = &mut self.seats[place];
        let due = seat.node.engine.next_tick();
        if due.is_some_and(|due| due <= now) || self.chance.percent(20) {
            seat.node.engine.expire(now);
        }
        seat.node.turn();
        for which in Which::BOTH {
            self.departs(place, which);
        }
        let seat = &mut self.seats[place];
        let reports = seat.node.engine.reports().map(|report| report.to_string());
        seat.reports.extend(reports);
    }

    fn connects(&mut self, place: usize, which: Which) {
        let now = self.now;
        let seat = &mut self.seats[place];
        seat.attempts.push(now);
        if self.unreachable > now || seat.cut > now {
            seat.node.engine.failed(which, "connection refused", now);
            return;
        }
        let server = self.servers.len() - 1;
        let connection = self.servers[server].connect();
        seat.wires[which as usize] = Some(Wire {
            server,
            connection,
            up: Vec::new(),
            down: Vec::new(),
        });
        seat.node.engine.connected(which, now);
    }

    fn closes(&mut self, place: usize, which: Which) {
        if let Some(wire) = self.seats[place].wires[which as usize].take() {
            if self.seats[place].cut > self.now {
                self.seats[place].stale.push(wire);
                return;
            }
            // What was sent before the end may arrive.
            if self.chance.percent(50) {
                self.servers[wire.server].receive(wire.connection, &wire.up);
            }
            self.servers[wire.server].disconnect(wire.connection);
        }
    }

    /// What a node has sent before its connections ended, with the network that has come back.
    fn arrives_late(&mut self, place: usize) {
        if self.seats[place].cut > self.now || self.is_delayed() {
            return;
        }
        for wire in std::mem::take(&mut self.seats[place].stale) {
            let server = &mut self.servers[wire.server];
            server.receive(wire.connection, &wire.up);
            server.disconnect(wire.connection);
        }
    }

    /// Nothing moves now.
    pub(super) fn is_delayed(&mut self) -> bool {
        self.chance.percent(self.flow.delayed)
    }

    /// How many of so many bytes move now.
    pub(super) fn portion(&mut self, bytes: usize) -> usize {
        if self.is_delayed() {
            0
        } else if self.chance.percent(self.flow.cut) {
            self.chance.below(bytes + 1)
        } else {
            bytes
        }
    }

    fn arrives(&mut self, place: usize, which: Which) {
        let now = self.now;
        if self.seats[place].cut > now {
            return;
        }
        let Some(mut wire) = self.seats[place].wires[which as usize].take() else {
            return;
        };
        let count = self.portion(wire.up.len());
        let up: Vec<u8> = wire.up.drain(..count).collect();
        let server = &mut self.servers[wire.server];
        server.receive(wire.connection, &up);
        wire.down.extend(server.output(wire.connection));
        let is_open = server.is_connected(wire.connection);
        let count = self.portion(wire.down.len());
        let mut down: Vec<u8> = wire.down.drain(..count).collect();
        let engine = &mut self.seats[place].node.engine;
        while !down.is_empty() {
            let count = if self.flow.cut > 0 {
                1 + self.chance.below(down.len())
            } else {
                down.len()
            };
            engine.received(which, &down[..count], now);
            down.drain(..count);
        }
        if is_open || !wire.down.is_empty() {
            self.seats[place].wires[which as usize] = Some(wire);
        } else {
            engine.failed(which, "it has closed the connection", now);
        }
    }

    fn departs(&mut self, place: usize, which: Which) {
        let seat = &mut self.seats[place];
        let Some(wire) = &mut seat.wires[which as usize] else {
            return;
        };
        let output = seat.node.engine.output(which);
        let count = output.len();
        wire.up.extend_from_slice(output);
        seat.node.engine.written(which, count);
    }
}
