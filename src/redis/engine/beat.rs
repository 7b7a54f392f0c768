//! The lease of this node at Redis, and which other nodes have one. Redis' clock alone says when a
//! lease is over: here is only when it is to be extended.

use super::super::link::{Fault, Which};
use super::super::report::Report;
use super::super::resp::{List, Value, command};
use super::super::scripts;
use super::{Ask, Engine, by_name};
use crate::id::Tick;
use crate::log::{Answer, NodeInfo, NodesAnswer};
use std::collections::BTreeSet;
use std::mem;

/// For how long a lease holds: 10 s.
const LEASE_MS: u64 = 10_000;
/// It is extended so often: 2 s.
const BEAT_TICKS: u32 = 20;

/// What is known of leases.
#[derive(Debug)]
pub(super) struct Leases {
    due: Tick,
    is_asked: bool,
    /// The lease was extended on this link.
    is_held: bool,
    /// It was refused on this link.
    is_refused: bool,
    /// The first beat on this link was not carried out at once: what was told of members before the
    /// lease may have been removed.
    is_late: bool,
    /// The lease was ended.
    has_left: bool,
    /// What this node says of itself.
    description: String,
    /// The other nodes, by the last answer. While the grace of a new Redis lasts, those that were
    /// known are in it as well.
    live: BTreeSet<u64>,
    /// Those that were taken for gone.
    gone: BTreeSet<u64>,
    /// Those that have told of members and are not known to have a lease: it may have ended before
    /// this node knew of them. First since the last question, and then before it.
    told: [BTreeSet<u64>; 2],
}

impl Leases {
    pub(super) const fn new(now: Tick) -> Self {
        Self {
            due: now,
            is_asked: false,
            is_held: false,
            is_refused: false,
            is_late: false,
            has_left: false,
            description: String::new(),
            live: BTreeSet::new(),
            gone: BTreeSet::new(),
            told: [BTreeSet::new(), BTreeSet::new()],
        }
    }

    /// The link is up.
    pub(super) const fn begin(&mut self, now: Tick) {
        self.due = now;
    }

    /// A node has told of its members.
    pub(super) fn has_told(&mut self, node: u64) {
        if !self.live.contains(&node) {
            self.told[0].insert(node);
        }
    }

    /// The link was lost.
    pub(super) const fn cut(&mut self) {
        (self.is_asked, self.is_held) = (false, false);
        (self.is_refused, self.is_late) = (false, false);
    }
}

impl Engine {
    /// The number of this server, another one at each start.
    pub const fn node(&self) -> u64 {
        self.node
    }

    /// The other servers that hold a lease, as far as is known.
    pub const fn live(&self) -> &BTreeSet<u64> {
        &self.leases.live
    }

    /// Whether [`Engine::describe`] would be heard by the others at once.
    pub fn wants_description(&self, now: Tick) -> bool {
        self.beat_due().is_some_and(|due| due <= now)
    }

    /// What other servers are told of this one: a line for [`NodeInfo`].
    pub fn describe(&mut self, description: String) {
        self.leases.description = description;
    }

    /// The server ends: its lease does as well. To be called before the last output is written.
    pub fn leave(&mut self) {
        self.leases.has_left = true;
        if self.is_up {
            self.ask_beat(false);
        }
    }

    pub(super) fn beat_due(&self) -> Option<Tick> {
        let is_idle = self.is_up && !self.leases.is_asked && !self.leases.has_left;
        is_idle.then_some(self.leases.due)
    }

    pub(super) fn beat(&mut self, with_text: bool) {
        self.leases.due = self.now + BEAT_TICKS;
        self.leases.is_asked = true;
        self.leases.is_late |= with_text;
        let [since, before] = &mut self.leases.told;
        before.append(since);
        self.ask_beat(with_text);
        self.ask_times();
    }

    fn ask_beat(&mut self, with_text: bool) {
        let lease_ms = (!self.leases.has_left).then_some(LEASE_MS);
        let (node, now) = (self.node, self.now);
        let description = &self.leases.description;
        let link = &mut self.links[Which::Commands as usize];
        let run = link.server.run.clone();
        link.ask(Ask::Beat, now, |out, loaded| {
            let names = by_name(loaded, with_text);
            scripts::beat(out, names, &run, (node, description), lease_ms);
        });
    }

    /// What the script `beat` has answered.
    pub(super) fn has_beaten(&mut self, value: Value<'_>) -> Result<(), Fault> {
        let unclear = || Fault::Broken(String::from("the script of leases answers unclearly"));
        self.leases.is_asked = false;
        let mut list = value.list().ok_or_else(unclear)?;
        let mut flag = || Some(list.next()?.text()? == b"1");
        let (was_held, has_grace) = flag().zip(flag()).ok_or_else(unclear)?;
        let names = list.filter_map(|name| scripts::node_of(name.text()?));
        let mut live: BTreeSet<u64> = names.filter(|node| *node != self.node).collect();
        let mut known = self.leases.live.clone();
        if has_grace {
            live.extend(&self.leases.live);
        } else {
            known.append(&mut self.leases.told[1]);
        }
        let dead: Vec<u64> = known.difference(&live).copied().collect();
        let was_due = self.leases.is_held || mem::take(&mut self.leases.is_late);
        let is_lost = was_due && !was_held;
        if !live.is_disjoint(&self.leases.gone) {
            self.see_again();
        }
        self.leases.gone.extend(&dead);
        self.leases.gone.retain(|node| !live.contains(node));
        self.leases.live = live;
        self.leases.is_held = true;
        if is_lost {
            self.wants_all();
        }
        if is_lost || !dead.is_empty() {
            self.sweep.begin(self.now);
            let changed = NodesAnswer::Changed { dead, is_lost };
            self.answers.push(Answer::Nodes(changed));
        }
        Ok(())
    }

    /// Redis has refused it, as where its memory is full. It is tried again, and reported once for
    /// a link.
    pub(super) fn beat_failed(&mut self, why: String) {
        self.leases.is_asked = false;
        self.leases.is_late = true;
        if !mem::replace(&mut self.leases.is_refused, true) {
            let what = "extend the lease of this server";
            self.reports.push(Report::Refused { what, why });
        }
    }

    // The list

    pub(super) fn ask_nodes(&mut self, tag: u64) {
        if !self.is_up {
            self.fail(Ask::Nodes { tag }, "the link to Redis is down");
            return;
        }
        let now = self.now;
        let link = &mut self.links[Which::Commands as usize];
        link.ask(Ask::Nodes { tag }, now, |out, _| {
            command(out, &[b"HGETALL", scripts::NODES_INFO.as_bytes()]);
        });
    }

    pub(super) fn nodes_came(&mut self, tag: u64, mut list: List<'_>) {
        let mut nodes = Vec::new();
        while let (Some(name), Some(description)) = (list.next(), list.next()) {
            let Some(node) = name.text().and_then(scripts::node_of) else {
                continue;
            };
            let is_own = node == self.node;
            if is_own || self.leases.live.contains(&node) {
                let description = description.text().unwrap_or_default();
                nodes.push(NodeInfo {
                    node,
                    is_own,
                    description: String::from_utf8_lossy(description).into_owned(),
                });
            }
        }
        nodes.sort_by_key(|info| info.node);
        self.answers
            .push(Answer::Nodes(NodesAnswer::List { tag, nodes }));
    }
}
