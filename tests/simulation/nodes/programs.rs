//! One game of whole servers on Redis: programs join, say, leave and come back at any server, while
//! servers are killed and cut off and Redis fails; then a quiet time, and the end. Judged is what
//! programs are promised: one order, each message once, what was acknowledged stays unless its loss
//! was reported, each request answered once, one list of members with a nick each, one of rooms, and
//! one order that is kept: see [`super::keeping`].

use super::super::client::{Ear, Seen};
use super::super::history::json;
use super::super::shared::program::{Program, ROOM};
use super::facts::Facts;
use super::faults::Faults;
use super::judge;
use super::keeping::{self, Keeping, Seen as Happened, State};
use super::people::People;
use super::redis::model::{Op, Redis};
use super::servers::Servers;
use super::sides::Sides;
use super::visits::Visit;
use super::world::Flow;
use crate::chance::Chance;
use crate::trace::Trace;
use parlor::id::Tick;
use parlor::redis::{DEDUPE_MS, Keep, Settings, Which};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

/// Steps in which things fail.
const BUSY_STEPS: usize = 150;
/// The quiet time: 90 s. Leases of servers that were killed are over then, and what waits for the link
/// was answered.
const QUIET_TICKS: u32 = 900;
/// More than the programs say.
const MANY_ENTRIES: u32 = 100_000;
/// The number of the request `who`, which no other request has.
const WHO: u64 = 1 << 40;

struct Game {
    servers: Servers,
    /// Those that keep order come after the others.
    programs: Vec<Program>,
    sides: Sides,
    people: People,
    others: usize,
    keepers: usize,
    keeping: Keeping,
    faults: Faults,
    /// Of each room so many entries are kept.
    entries_max: u32,
    /// Entries that a Redis had at the end of a turn.
    kept_once: BTreeSet<String>,
    /// A Redis was emptied, or replaced.
    has_lost: bool,
    trace: Trace,
    turns: u64,
}

pub(super) fn play(seed: u64, trace: Trace) -> u64 {
    plays(seed, trace).0
}

/// Returns how many turns it took, and what happened.
pub(super) fn plays(seed: u64, trace: Trace) -> (u64, Happened) {
    let mut game = Game::new(seed, trace);
    for _ in 0..BUSY_STEPS {
        game.something_fails();
        for index in 0..game.programs.len() {
            game.acts(index);
        }
        game.people.act(&mut game.servers, &mut game.trace);
        let ticks = [0, 1, 1, 2, 8][game.chance().below(5)];
        game.passes(ticks);
    }
    game.ends();
    game.judge();
    game.judge_order();
    game.judge_people();
    let mut seen = game.keeping.seen;
    for (what, count) in game.people.seen {
        *seen.entry(what.to_owned()).or_default() += count;
    }
    (game.turns, seen)
}

/// All entries that a Redis has, by their numbers, as programs show them.
fn entries(redis: &Redis) -> BTreeMap<u64, String> {
    let all = judge::kept(redis, ROOM).into_iter();
    let shown = all.map(|(seq, entry)| {
        let shown = keeping::shown(&entry.draft.nick, &entry.draft.content);
        (u64::from(seq), shown)
    });
    shown.collect()
}

/// What the program with a number shows is a message of one: it begins with the number.
fn is_message(shown: &str) -> bool {
    shown.starts_with(|first: char| first.is_ascii_digit())
}

impl Game {
    fn new(seed: u64, trace: Trace) -> Self {
        let mut chance = Chance::new(seed);
        let faults = Faults::new(&mut chance);
        let entries_max = [20, MANY_ENTRIES][chance.below(2)];
        let settings = Settings {
            keep: Keep {
                dedupe_ms: DEDUPE_MS,
                entries_max,
            },
            ..Settings::default()
        };
        let count = 1 + chance.below(3);
        let keepers = chance.below(3);
        let others = 2 + chance.below(3);
        let mut programs: Vec<Program> = (0..others + keepers).map(Program::new).collect();
        for keeper in &mut programs[others..] {
            keeper.is_operator = true;
        }
        let flow = Flow {
            delayed: chance.below(60) as u32,
            cut: [0, 30][chance.below(2)],
        };
        let is_synced_always = chance.percent(30);
        let mut servers = Servers::new(count, settings, Chance::new(chance.next()));
        servers.world.flow = flow;
        servers.world.server().is_synced_always = is_synced_always;
        Self {
            servers,
            sides: Sides::new(programs.len(), seed),
            people: People::new(seed),
            programs,
            others,
            keepers,
            keeping: Keeping::default(),
            faults,
            entries_max,
            kept_once: BTreeSet::new(),
            has_lost: false,
            trace,
            turns: 0,
        }
    }

    const fn chance(&mut self) -> &mut Chance {
        &mut self.servers.world.chance
    }

    /// So many ticks, and a turn.
    fn passes(&mut self, ticks: u32) {
        for _ in 0..ticks {
            self.turns += self.servers.pass();
            self.looks();
        }
        self.servers.turn();
        self.turns += 1;
        self.looks();
    }

    fn looks(&mut self) {
        for redis in &self.servers.world.servers {
            self.kept_once.extend(entries(redis).into_values());
        }
        for index in 0..self.programs.len() {
            self.hears(index);
        }
        self.people.hear(&mut self.servers, &mut self.trace);
    }

    // Programs

    fn acts(&mut self, index: usize) {
        self.visits(index, 5);
        let is_here = self.programs[index].socket.is_some();
        let is_keeper = index >= self.others;
        match self.chance().below(100) {
            0..4 if is_here => self.disconnects(index),
            0..40 if !is_here => self.connects(index),
            4..60 if self.programs[index].may_say_more() => {
                let request = self.programs[index].says();
                self.sends(index, &request);
            }
            60..70 if self.programs[index].is_removed => {
                let request = self.programs[index].joins();
                self.sends(index, &request);
            }
            70..85 if is_keeper && self.programs[index].is_member => {
                let chance = &mut self.servers.world.chance;
                let request = self.keeping.asks(self.others, self.keepers, chance);
                self.sends(index, &request);
            }
            _ => {}
        }
    }

    /// Joins a side room now and then, or leaves it.
    fn visits(&mut self, index: usize, percent: u32) {
        if self.programs[index].is_member
            && let Some(request) = self.sides.visits(index, percent)
        {
            self.sends(index, &request);
        }
    }

    fn connects(&mut self, index: usize) {
        self.sides.comes(index);
        let count = self.servers.nodes.len();
        let place = self.chance().below(count);
        self.connects_to(index, place);
    }

    fn connects_to(&mut self, index: usize, place: usize) {
        let address = Ipv4Addr::new(192, 0, 2, 1 + index as u8);
        let nick = keeping::wished(index);
        let socket = self.servers.comes(place, address, &nick);
        let program = &mut self.programs[index];
        (program.node, program.socket) = (place, Some(socket));
        program.ear = Ear::default();
        self.trace
            .note(|| format!("{index} comes to server {place}"));
    }

    fn disconnects(&mut self, index: usize) {
        let program = &mut self.programs[index];
        if let Some(socket) = program.socket {
            self.servers.leaves(program.node, socket);
            program.has_left();
        }
    }

    fn sends(&mut self, index: usize, text: &str) {
        let program = &self.programs[index];
        let Some(socket) = program.socket else {
            return;
        };
        self.trace
            .note(|| format!("{} asks {text}", program.number));
        self.servers.asks(program.node, socket, text);
    }

    fn hears(&mut self, index: usize) {
        let program = &mut self.programs[index];
        let Some(socket) = program.socket else {
            return;
        };
        let is_over = self.servers.brings(program.node, socket, &mut program.ear);
        let mut requests = Vec::new();
        while let Some(seen) = program.ear.next() {
            if let Seen::Line(text) = seen {
                self.trace
                    .note(|| format!("{} hears {text}", program.number));
                let object = json::check_sent(&text);
                if !self.sides.hears(index, &object) {
                    requests.extend(program.hears(&object));
                }
            }
        }
        if index < self.others + self.keepers {
            self.keeping.hears(program);
        }
        for request in requests {
            self.sends(index, &request);
        }
        if is_over {
            self.trace.note(|| format!("{index} is disconnected"));
            self.programs[index].has_left();
        }
    }

    // Faults

    fn something_fails(&mut self) {
        self.servers_fail();
        self.redis_fails();
        self.redis_is_replaced();
    }

    fn servers_fail(&mut self) {
        let count = self.servers.nodes.len();
        let place = self.chance().below(count);
        let which = Which::BOTH[self.chance().below(2)];
        let faults = &self.faults;
        let (drops, cuts, kills) = (faults.drops, faults.cuts, faults.freezes);
        if self.chance().per_mille(drops) {
            self.trace
                .note(|| format!("{which:?} of server {place} is dropped"));
            self.servers.drops(place, which);
        }
        if self.chance().per_mille(cuts) {
            self.trace.note(|| format!("server {place} is cut off"));
            let ticks = self.chance().below(200) as u32;
            self.servers.nodes[place].cut = self.servers.now() + ticks;
        }
        if self.chance().per_mille(kills) {
            self.trace.note(|| format!("server {place} is killed"));
            self.servers.kills(place);
            let programs = self.programs.iter_mut();
            for program in programs.filter(|program| program.node == place) {
                program.has_left();
            }
            self.people.lose(place);
        }
    }

    fn redis_fails(&mut self) {
        let Faults {
            flushes,
            fills,
            forgets,
            loses,
            failovers,
            ..
        } = self.faults;
        let world = &mut self.servers.world;
        if world.chance.per_mille(flushes) {
            self.trace.note(|| String::from("Redis is emptied"));
            self.has_lost = true;
            world.now = world.now + 1;
            world.server().write(Op::Flush);
        }
        if world.chance.per_mille(fills) {
            world.server().is_full ^= true;
        }
        if world.chance.per_mille(forgets) {
            world.server().forget_scripts();
        }
        if world.chance.per_mille(loses) {
            world.server().loses_next = true;
        }
        if world.chance.percent(5) {
            world.server().sync();
        }
        if world.chance.per_mille(failovers) {
            world.server().is_replica ^= true;
        }
    }

    fn redis_is_replaced(&mut self) {
        let (restarts, failovers) = (self.faults.restarts, self.faults.failovers);
        let halves = self.faults.halves;
        let world = &mut self.servers.world;
        if world.chance.per_mille(restarts) {
            self.trace.note(|| String::from("Redis restarts"));
            world.unreachable = world.now + world.chance.below(60) as u32;
            let data = world.after_crash(halves);
            self.servers.another_redis(data, true);
            self.has_lost = true;
        }
        let world = &mut self.servers.world;
        if world.chance.per_mille(failovers) {
            self.trace.note(|| String::from("Redis is taken over"));
            let data = world.after_crash(halves);
            self.servers.another_redis(data, false);
            self.has_lost = true;
        }
        if self.chance().percent(3) {
            self.old_ones_end();
        }
    }

    fn old_ones_end(&mut self) {
        for redis in 0..self.servers.world.servers.len() - 1 {
            self.servers.breaks(redis);
        }
    }

    // The end

    /// All works again, and all programs are there.
    fn ends(&mut self) {
        self.trace.note(|| String::from("quiet"));
        let world = &mut self.servers.world;
        world.flow = Flow { delayed: 0, cut: 0 };
        world.unreachable = Tick(0);
        let redis = world.server();
        redis.is_full = false;
        redis.is_replica = false;
        redis.loses_next = false;
        for node in &mut self.servers.nodes {
            node.cut = Tick(0);
        }
        self.old_ones_end();
        let until = self.servers.now() + QUIET_TICKS;
        while self.servers.now() < until {
            for index in 0..self.programs.len() {
                let program = &self.programs[index];
                if program.socket.is_none() {
                    self.connects(index);
                } else if !program.is_member {
                    // It could not join while the link was lost.
                    self.disconnects(index);
                } else {
                    self.sends(index, &json::request("ping", None, &[]));
                }
                // What has changed is told a second later.
                if self.servers.now() + 40 < until {
                    self.visits(index, 20);
                }
            }
            if self.servers.now() + 100 < until {
                self.people.settle(&mut self.servers, &mut self.trace);
            }
            self.passes(20);
        }
        for index in 0..self.programs.len() {
            if self.programs[index].is_member {
                let request = self.programs[index].says();
                self.sends(index, &request);
            }
        }
        self.passes(5);
        self.asks_who();
    }

    fn asks_who(&mut self) {
        for index in 0..self.programs.len() {
            if self.programs[index].is_member {
                let who = json::request("who", Some(WHO), &[("room", json!(ROOM))]);
                self.sends(index, &who);
            }
            self.sends(index, &Sides::asks());
        }
        self.passes(5);
    }

    fn judge(&self) {
        judge::nothing_is_doubled(self.servers.redis(), ROOM);
        let truth = entries(self.servers.redis());
        let messages: Vec<&String> = truth.values().filter(|shown| is_message(shown)).collect();
        let present: BTreeSet<&String> = messages.iter().copied().collect();
        assert_eq!(present.len(), messages.len(), "a message is there twice");
        let oldest = truth.keys().next().copied().unwrap_or(u64::MAX);
        // What Redis publishes of rooms does not get lost but with the connection.
        if self.faults.loses == 0 {
            let members = self.programs.iter().enumerate();
            let members = members.filter(|(_, program)| program.is_member);
            let members: Vec<usize> = members.map(|(index, _)| index).collect();
            self.sides.judge(ROOM, &members);
        }
        for program in self.programs.iter().filter(|program| program.is_member) {
            let head = truth.last_key_value().map(|(head, _)| *head);
            program.check_end(&truth, head.unwrap_or(program.position));
            self.all_are_there(program);
        }
        for program in &self.programs {
            for (text, seq) in &program.acked {
                let is_there = *seq < oldest || truth.get(seq) == Some(text);
                // Lost there, and numbered again.
                let has_moved = present.contains(text) && self.has_lost;
                assert!(
                    is_there || self.is_gone(text, &present) || has_moved,
                    "{text} was acknowledged as {seq}, and is elsewhere"
                );
            }
        }
    }

    /// A Redis had it and lost it, or it is too old to be kept. Where it was lost, what programs show
    /// was taken back, or differs from the truth.
    fn is_gone(&self, shown: &String, present: &BTreeSet<&String>) -> bool {
        let was_kept = self.kept_once.contains(shown) || self.entries_max < MANY_ENTRIES;
        !present.contains(shown) && was_kept
    }

    /// Each has a nick of its own, and sees all.
    fn all_are_there(&self, program: &Program) {
        let answer = program.members.as_ref().expect("it has asked who is there");
        let members = answer["members"].as_array().into_iter().flatten();
        let members: BTreeSet<&str> = members.filter_map(Value::as_str).collect();
        let here = self.programs.iter().filter(|program| program.is_member);
        let nicks = here.clone().map(|program| program.nick.as_str());
        let nicks: BTreeSet<&str> = nicks.collect();
        assert_eq!(nicks.len(), here.count(), "each has a nick: {nicks:?}");
        // What Redis publishes of members does not get lost but with the connection.
        if self.faults.loses == 0 {
            assert_eq!(members, nicks, "{} sees all", program.number);
        }
    }

    // Order

    /// What each server says that the room is like, one that has just begun among them.
    fn states(&mut self) -> Vec<State> {
        self.servers.adds();
        let before = self.programs.len();
        for place in 0..self.servers.nodes.len() {
            let mut program = Program::new(before + place);
            program.is_operator = true;
            self.programs.push(program);
        }
        // It has read all that is kept by then.
        self.passes(100);
        for place in 0..self.servers.nodes.len() {
            self.connects_to(before + place, place);
        }
        self.passes(20);
        for index in before..self.programs.len() {
            for request in State::requests() {
                self.sends(index, &request);
            }
        }
        self.passes(5);
        let mut probes = self.programs.split_off(before);
        probes.iter_mut().map(State::of).collect()
    }

    // Accounts

    fn judge_people(&mut self) {
        let (servers, trace) = (&mut self.servers, &mut self.trace);
        self.people.write_last(servers, trace);
        self.passes(20);
        let (servers, trace) = (&mut self.servers, &mut self.trace);
        self.people.meet(servers, trace);
        self.passes(5);
        // What Redis publishes of members does not get lost but with the connection.
        self.people.judge_meeting(self.faults.loses == 0);
        let facts = Facts::of(self.servers.redis());
        self.people.knowledge.judge(&facts, self.has_lost);
        self.people
            .judge_letters(self.has_lost, self.servers.redis());
        let is_whole = !self.has_lost && self.entries_max == MANY_ENTRIES;
        let ranks = &self.people.ranks;
        let is_changed = self.faults.halves || self.has_lost;
        ranks.judge(self.servers.redis(), is_whole, is_changed);
        for step in Visit::STEPS {
            let (servers, trace) = (&mut self.servers, &mut self.trace);
            self.people.visit(step, servers, trace);
            self.passes(20);
        }
        for place in 0..self.servers.nodes.len() {
            let (servers, trace) = (&mut self.servers, &mut self.trace);
            self.people.come_back(place, servers, trace);
            self.passes(20);
            self.people.judge_back(place, &mut self.servers);
        }
    }

    fn judge_order(&mut self) {
        let states = self.states();
        let state = &states[0];
        for other in &states {
            assert_eq!(state, other, "all servers agree");
        }
        for (index, program) in self.programs.iter().enumerate() {
            state.fits(program, index < self.others);
        }
        let keepers = &self.programs[self.others..];
        assert!(
            keepers.iter().all(|keeper| keeper.removals == 0),
            "no operator is removed"
        );
        let redis = self.servers.redis();
        // Half a script may have an entry without its change.
        if !self.faults.halves {
            state.is_as_said(redis, self.others);
        }
        let truth = entries(redis);
        self.keeping.is_kept(&truth, |detail| {
            let mut kept = self.kept_once.iter();
            self.entries_max < MANY_ENTRIES || kept.any(|shown| shown.ends_with(detail))
        });
        if !self.has_lost && self.entries_max == MANY_ENTRIES {
            self.keeping.all_is_lifted(&truth);
            if self.faults.loses == 0 {
                self.programs
                    .iter()
                    .for_each(|program| keeping::is_silent(program, &truth));
            }
        }
        let removed = self
            .programs
            .iter()
            .map(|program| u64::from(program.removals));
        self.keeping
            .seen
            .insert(String::from("removed"), removed.sum());
        let silenced = self
            .programs
            .iter()
            .map(|program| program.silenced.len() as u64);
        self.keeping
            .seen
            .insert(String::from("silenced"), silenced.sum());
    }
}
