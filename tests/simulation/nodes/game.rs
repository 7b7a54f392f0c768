//! One game: nodes open rooms, say, change and send again, while the network and Redis fail; then a
//! quiet time, in which all must arrive, and the end, at which all must be right.

use super::faults::Faults;
use super::judge::{self, Judge, Message};
use super::redis::model::Op;
use super::world::{Flow, World};
use crate::chance::Chance;
use crate::trace::Trace;
use parlor::chat::{Author, Content, Manner};
use parlor::id::{RoomId, Seq, Tick};
use parlor::log::{Answer, Request, StoredRoom};
use parlor::redis::{Keep, Settings, Which};
use std::collections::BTreeMap;

const ROOMS: [&str; 3] = ["lobby", "attic", "*"];
/// Turns in which things fail.
const BUSY_TURNS: usize = 400;
/// Turns of a tick within which all must have arrived: the longest pause between two attempts, and
/// the deadline of an answer before it.
const QUIET_TURNS: usize = 400;
/// Messages that a session sends: fewer than the keys of one that are kept.
const SESSION_MESSAGES: u64 = 20;

/// A message that may be sent again, by any node.
#[derive(Clone)]
struct Sent {
    name: &'static str,
    content: Content<String>,
    key: (u64, String),
}

struct Game {
    world: World,
    judges: Vec<Judge>,
    /// Of each node: the rooms that are open, and all that were.
    open: Vec<BTreeMap<&'static str, RoomId>>,
    names: Vec<BTreeMap<RoomId, &'static str>>,
    sent: Vec<Sent>,
    faults: Faults,
    entries_max: u32,
    trace: Trace,
}

pub(super) fn play(seed: u64, trace: Trace) -> u64 {
    let mut chance = Chance::new(seed);
    let faults = Faults::new(&mut chance);
    let entries_max = [10, 100_000][chance.below(2)];
    let settings = Settings {
        keep: Keep {
            dedupe_ms: 100_000_000,
            entries_max,
        },
        ..Settings::default()
    };
    let nodes = 1 + chance.below(4);
    let mut world = World::new(nodes as u8, &settings, Chance::new(chance.next()));
    world.server().is_synced_always = chance.percent(30);
    world.flow = Flow {
        delayed: chance.below(60) as u32,
        cut: [0, 30][chance.below(2)],
    };
    let mut game = Game {
        world,
        judges: (0..nodes).map(|_| Judge::default()).collect(),
        open: vec![BTreeMap::new(); nodes],
        names: vec![BTreeMap::new(); nodes],
        sent: Vec::new(),
        faults,
        entries_max,
        trace,
    };
    let mut turns = 0;
    for _ in 0..BUSY_TURNS {
        game.something_fails();
        for node in 0..nodes {
            game.acts(node);
        }
        let ticks = u32::from(game.world.chance.percent(30));
        game.turn(ticks);
        turns += 1;
    }
    turns + game.ends() as u64
}

impl Game {
    fn turn(&mut self, ticks: u32) {
        self.world.turn(ticks);
        for (place, seat) in self.world.seats.iter_mut().enumerate() {
            for report in seat.reports.drain(..) {
                self.trace
                    .note(|| format!("{}: node {place}: {report}", self.world.now.0));
            }
        }
        for place in 0..self.judges.len() {
            let redis = self.world.server_of(place);
            let node = &self.world.seats[place].node;
            // Those that a full Redis did not open.
            self.open[place].retain(|_, room| !node.closed.contains(room));
            self.judges[place].look(node, &self.names[place], redis);
        }
    }

    // Nodes

    fn acts(&mut self, node: usize) {
        match self.world.chance.below(100) {
            0..4 => self.opens(node),
            4 => self.closes(node),
            5..30 => self.says(node),
            30..34 => self.changes(node),
            34..38 => self.sends_again(node),
            38..48 => self.members_move(node),
            _ => {}
        }
    }

    fn opens(&mut self, node: usize) {
        let name = ROOMS[self.world.chance.below(ROOMS.len())];
        if self.open[node].contains_key(name) {
            return;
        }
        let room = self.world.seats[node].node.open(name);
        self.open[node].insert(name, room);
        self.names[node].insert(room, name);
    }

    fn closes(&mut self, node: usize) {
        let name = ROOMS[self.world.chance.below(ROOMS.len())];
        if let Some(room) = self.open[node].remove(name) {
            self.world.seats[node].node.close(room);
        }
    }

    /// A room of the node of which it knows what is kept.
    fn room(&mut self, node: usize) -> Option<(&'static str, RoomId)> {
        let name = ROOMS[self.world.chance.below(ROOMS.len())];
        let room = *self.open[node].get(name)?;
        let is_told = self.world.seats[node].node.came.contains_key(&room);
        is_told.then_some((name, room))
    }

    fn says(&mut self, node: usize) {
        let Some((name, room)) = self.room(node) else {
            return;
        };
        for _ in 0..1 + self.world.chance.below(4) {
            let number = self.sent.len() as u64;
            let session = 1 + number / SESSION_MESSAGES;
            let author = Author::Session(session);
            let text = format!("message {number}");
            let content = Content::said(Manner::Message, text, None, author);
            self.sends(node, (name, room), content, session);
        }
    }

    fn sends(
        &mut self,
        node: usize,
        (name, room): (&'static str, RoomId),
        content: Content<String>,
        session: u64,
    ) {
        let key = (session, format!("k{}", self.sent.len()));
        let sent = Sent { name, content, key };
        self.sent.push(sent.clone());
        self.hands_over(node, room, sent);
    }

    fn hands_over(&mut self, node: usize, room: RoomId, sent: Sent) {
        let Sent { name, content, key } = sent;
        let word = (key.0, key.1.as_str());
        let tag = self.world.seats[node]
            .node
            .number(room, name, content, word);
        self.trace
            .note(|| format!("{}: node {node} sends {key:?} in {name}", self.world.now.0));
        self.judges[node].said(tag, Message { room, name, key });
    }

    fn changes(&mut self, node: usize) {
        let Some((name, room)) = self.room(node) else {
            return;
        };
        let last = self.judges[node].last(room);
        if last == 0 {
            return;
        }
        let of = Seq(1 + self.world.chance.below(last as usize) as u32);
        let number = self.sent.len() as u64;
        let content = if self.world.chance.percent(70) {
            let text = format!("change {number}");
            Content::Edited { of, text }
        } else {
            Content::Deleted { of }
        };
        self.sends(node, (name, room), content, 1 + number / SESSION_MESSAGES);
    }

    fn members_move(&mut self, node: usize) {
        let Some((name, room)) = self.room(node) else {
            return;
        };
        let nick = format!("n{node}-{}", self.world.chance.below(4));
        let is_joining = self.world.chance.percent(60);
        self.trace
            .note(|| format!("{}: {nick} moves in {name}: {is_joining}", self.world.now.0));
        let node = &mut self.world.seats[node].node;
        if is_joining {
            node.moves(room, &[&nick], &[]);
        } else {
            node.moves(room, &[], &[&nick]);
        }
    }

    /// A client comes to another node, and sends what was not acknowledged.
    fn sends_again(&mut self, node: usize) {
        let newest = self.sent.len().min(30);
        if newest == 0 {
            return;
        }
        let place = self.sent.len() - 1 - self.world.chance.below(newest);
        let sent = self.sent[place].clone();
        let Some(room) = self.open[node].get(sent.name).copied() else {
            return;
        };
        if self.world.seats[node].node.came.contains_key(&room) {
            self.hands_over(node, room, sent);
        }
    }

    // Faults

    fn something_fails(&mut self) {
        let node = self.world.chance.below(self.judges.len());
        let which = Which::BOTH[self.world.chance.below(2)];
        let until = |world: &mut World, ticks| world.now + world.chance.below(ticks) as u32;
        if self.world.chance.per_mille(self.faults.drops) {
            self.trace
                .note(|| format!("{which:?} of node {node} is dropped"));
            self.world.drops(node, which);
        }
        if self.world.chance.per_mille(self.faults.freezes) {
            self.world.seats[node].frozen = until(&mut self.world, 100);
        }
        if self.world.chance.per_mille(self.faults.cuts) {
            self.trace.note(|| format!("node {node} is cut off"));
            self.world.seats[node].cut = until(&mut self.world, 120);
        }
        if self.world.chance.per_mille(self.faults.restarts) {
            let before = self.world.servers.len() - 1;
            self.another_process("restarts");
            self.world.breaks(before);
            self.world.unreachable = until(&mut self.world, 30);
        }
        if self.world.chance.per_mille(self.faults.failovers) {
            // The old one serves its connections until they break.
            self.another_process("is taken over");
        }
        if self.world.chance.percent(3) {
            for server in 0..self.world.servers.len() - 1 {
                self.world.breaks(server);
            }
        }
        if self.world.chance.per_mille(self.faults.flushes) {
            self.trace.note(|| String::from("Redis is emptied"));
            self.world.now = self.world.now + 1;
            self.world.server().write(Op::Flush);
        }
        if self.world.chance.per_mille(self.faults.fills) {
            let is_full = self.world.server().is_full;
            self.world.server().is_full = !is_full;
        }
        if self.world.chance.per_mille(self.faults.forgets) {
            self.world.server().forget_scripts();
        }
        if self.world.chance.per_mille(self.faults.loses) {
            self.world.server().loses_next = true;
        }
        if self.world.chance.percent(5) {
            self.world.server().sync();
        }
        if self.world.chance.per_mille(self.faults.failovers) {
            let is_replica = self.world.server().is_replica;
            self.world.server().is_replica = !is_replica;
        }
    }

    fn another_process(&mut self, what: &str) {
        let data = self.world.after_crash(self.faults.halves);
        self.trace.note(|| format!("Redis {what}"));
        self.world.starts(data);
    }

    // The end

    fn ends(&mut self) -> usize {
        self.world.flow = Flow { delayed: 0, cut: 0 };
        self.world.unreachable = Tick(0);
        for seat in &mut self.world.seats {
            seat.frozen = Tick(0);
            seat.cut = Tick(0);
        }
        self.world.server().is_full = false;
        self.world.server().is_replica = false;
        self.world.server().loses_next = false;
        for server in 0..self.world.servers.len() - 1 {
            self.world.breaks(server);
        }
        self.trace.note(|| format!("{}: quiet", self.world.now.0));
        // Connections that were broken are noticed first.
        let mut turns = 0;
        for _ in 0..5 {
            self.turn(1);
            turns += 1;
        }
        while let Err(missing) = self.has_all() {
            assert!(turns < QUIET_TURNS, "not after {turns} turns: {missing}");
            self.turn(1);
            turns += 1;
        }
        let redis = self.world.servers.last().expect("there is one");
        for (place, judge) in self.judges.iter().enumerate() {
            judge.ends(&self.world.seats[place].node, &self.open[place], redis);
        }
        for name in ROOMS {
            judge::nothing_is_doubled(redis, name);
        }
        if !self.faults.halves && self.entries_max > 10 {
            self.reads_pages();
        }
        turns
    }

    fn has_all(&self) -> Result<(), String> {
        let redis = self.world.servers.last().expect("there is one");
        for (place, judge) in self.judges.iter().enumerate() {
            let seat = &self.world.seats[place];
            if !seat.node.is_up {
                return Err(format!("node {place} is not connected"));
            }
            let has_all = judge.has_all(&seat.node, &self.open[place], redis);
            has_all.map_err(|missing| format!("node {place}: {missing}"))?;
            if self.faults.loses == 0 {
                self.has_all_members(place)?;
            }
        }
        Ok(())
    }

    /// A node knows the members that the others have. What Redis publishes does not get lost but with
    /// the connection.
    fn has_all_members(&self, place: usize) -> Result<(), String> {
        for (name, room) in &self.open[place] {
            let others = (0..self.open.len()).filter(|other| *other != place);
            let here = others.filter_map(|other| {
                let room = self.open[other].get(name)?;
                self.world.seats[other].node.here.get(room)
            });
            let mut expected: Vec<&str> = here.flatten().map(String::as_str).collect();
            expected.sort_unstable();
            let found = self.world.seats[place].node.members.of(*room);
            if found != expected {
                return Err(format!(
                    "node {place} takes {found:?} for the members of {name} elsewhere, which are \
                     {expected:?}"
                ));
            }
        }
        Ok(())
    }

    fn reads_pages(&mut self) {
        for place in 0..self.judges.len() {
            for (name, room) in self.open[place].clone() {
                let last = self.judges[place].last(room) as usize;
                let after = Seq(self.world.chance.below(last + 1) as u32);
                self.world.seats[place].node.request(Request::Read {
                    room,
                    stored_room: StoredRoom(1),
                    log_gen: 1,
                    after,
                    entries_max: 50,
                    bytes_max: 1_000,
                });
                for _ in 0..20 {
                    self.turn(1);
                }
                // Facts may have come beside it.
                let others = std::mem::take(&mut self.world.seats[place].node.others);
                let page = others.into_iter().find_map(|answer| match answer {
                    Answer::Page { page, .. } => Some(page),
                    _ => None,
                });
                let page = page.expect("a page");
                let redis = self.world.servers.last().expect("there is one");
                judge::page_is_right(redis, name, after, &page);
            }
        }
    }
}
