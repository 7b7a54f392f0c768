//! An upgrade as the turn sees it: the state is saved and given to the new program to check; then the
//! server settles, reading nothing and accepting nothing, until the store has committed and answered
//! all; then the owner saves again and executes the new program. Whatever fails before that leaves
//! the server as it was. Knows no file and no process: they are behind [`Upgrade`].

use super::Server;
use super::stop::{Lifecycle, come_back};
use crate::admin::Answer;
use crate::carry::{Carrier, Damaged, carried};
use crate::id::{ConnId, Tick};
use crate::net::Net;
use crate::upgrade::Upgrade;
use log::{info, warn};
use serde_json::json;
use std::mem;
use std::time::Duration;

/// How long the store may take to commit and answer what it was asked, in which the chat stands
/// still: 5 s.
const SETTLE_TICKS: u32 = 50;

/// How long connections of TLS may take to end: 2 s.
const PART_TICKS: u32 = 20;

/// Operators that wait for the outcome. Beyond that they are asked to try again.
const WAITING_MAX: usize = 16;

/// What is under way, and what came of it so far.
#[derive(Default)]
pub(super) struct Upgrading {
    /// `None`: this server cannot be upgraded.
    upgrade: Option<Box<dyn Upgrade>>,
    stage: Stage,
    waiting: Vec<Waiting>,
    pub(super) figures: Figures,
}

/// How far an upgrade has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Stage {
    #[default]
    None,
    /// It was asked for, and begins at the end of the turn.
    Wanted,
    /// The new program looks at the state. The chat goes on.
    Checking,
    /// The new program understands the state. In the next turn connections of TLS are asked to come
    /// back.
    Approved,
    /// Connections of TLS, which cannot be carried, end, and no other is accepted. The chat goes on.
    Parting { until: Tick },
    /// Nothing is read or accepted until all is stored.
    Settling { until: Tick },
    /// All is stored.
    Settled,
}

/// An operator that is answered with the outcome.
struct Waiting {
    id: ConnId,
    keep_alive: bool,
}

/// What is counted over all images of this process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Figures {
    pub(super) done: u64,
    pub(super) refused: u64,
    /// How long the last one stood still.
    pub(super) paused_micros: u64,
    /// Connections of TLS that were asked to come back.
    pub(super) parted: u64,
}

carried!(struct Waiting { id, keep_alive });
carried!(struct Figures { done, refused, paused_micros, parted });

impl Upgrading {
    /// Whether a connection waits for the outcome.
    pub(super) fn has(&self, id: ConnId) -> bool {
        self.waiting.iter().any(|waiting| waiting.id == id)
    }

    pub(super) fn carry(&mut self, carrier: &mut Carrier<'_>) -> Result<(), Damaged> {
        carrier.field(&mut self.waiting)?;
        carrier.field(&mut self.figures)
    }

    /// Nothing is read and nothing accepted.
    pub(super) const fn is_settling(&self) -> bool {
        matches!(self.stage, Stage::Settling { .. } | Stage::Settled)
    }

    /// When [`Server::upgrade_step`] has something to do; a moment past: at once.
    pub(super) const fn next_tick(&self) -> Option<Tick> {
        match self.stage {
            Stage::None | Stage::Checking => None,
            Stage::Wanted | Stage::Approved | Stage::Settled => Some(Tick(0)),
            Stage::Parting { until } | Stage::Settling { until } => Some(until),
        }
    }
}

impl<N: Net> Server<N> {
    /// The server can be upgraded by this from here on.
    pub fn use_upgrade(&mut self, upgrade: Box<dyn Upgrade>) {
        self.upgrading.upgrade = Some(upgrade);
    }

    /// A signal asks for an upgrade.
    pub(super) fn begin_upgrade(&mut self) {
        if let Err(why) = self.may_upgrade() {
            return self.refuse_upgrade_of_program(&why, self.net.now());
        }
        if self.upgrading.stage == Stage::None {
            self.upgrading.stage = Stage::Wanted;
        }
    }

    /// An operator asks for it. `None`: the answer comes with the outcome, perhaps from the next
    /// image.
    pub(super) fn upgrade_for(&mut self, id: ConnId, keep_alive: bool) -> Option<Answer> {
        if let Err(why) = self.may_upgrade() {
            return Some(Answer::error(409, &why));
        }
        if self.upgrading.waiting.len() >= WAITING_MAX {
            return Some(Answer::error(409, "an upgrade is under way; try again"));
        }
        self.upgrading.waiting.push(Waiting { id, keep_alive });
        self.begin_upgrade();
        None
    }

    fn may_upgrade(&self) -> Result<(), String> {
        if self.upgrading.upgrade.is_none() {
            return Err(String::from("this server cannot be upgraded"));
        }
        if self.lifecycle != Lifecycle::Serving {
            return Err(String::from("the server is stopping"));
        }
        if self.log.is_shared() {
            return Err(String::from(
                "a server that shares its rooms with others cannot be upgraded in place: start \
                 the new program beside it and drain this one",
            ));
        }
        if self.admin.is_at_work() {
            return Err(String::from(
                "a backup or a check of the store is under way",
            ));
        }
        Ok(())
    }

    /// A step of the turn, the last: what an upgrade has come to. True: all is stored, and the owner
    /// is to execute the new program.
    pub(super) fn upgrade_step(&mut self, now: Tick) -> bool {
        let outcome = match &mut self.upgrading.upgrade {
            Some(upgrade) => upgrade.receive(),
            None => return false,
        };
        match (self.upgrading.stage, outcome) {
            (Stage::None | Stage::Approved, _) | (Stage::Checking, None) => {}
            (_, _) if self.lifecycle != Lifecycle::Serving => {
                self.refuse_upgrade_of_program("the server is stopping", now);
            }
            (Stage::Wanted, _) => self.begin_check(),
            (Stage::Checking, Some(Err(why))) => self.refuse_upgrade_of_program(&why, now),
            (Stage::Checking, Some(Ok(()))) => self.upgrading.stage = Stage::Approved,
            (Stage::Parting { until }, _) => self.goes_on_parting(until, now),
            (Stage::Settling { .. }, _) if self.is_settled() => {
                self.upgrading.stage = Stage::Settled;
                return true;
            }
            (Stage::Settling { until }, _) => {
                if let Some((_, why)) = self.log.failing() {
                    let why = format!("messages cannot be stored: {why}");
                    self.refuse_upgrade_of_program(&why, now);
                } else if now >= until {
                    let why = "the store has not committed all within 5 s";
                    self.refuse_upgrade_of_program(why, now);
                }
            }
            (Stage::Settled, _) => return true,
        }
        false
    }

    fn begin_check(&mut self) {
        let state = self.save();
        if let Some(upgrade) = &mut self.upgrading.upgrade {
            upgrade.check(state);
        }
        self.upgrading.stage = Stage::Checking;
    }

    /// A step of the turn: asks the clients that speak TLS to come back, once the new program is
    /// approved, for a session of rustls cannot be carried.
    pub(super) fn part_secure(&mut self, now: Tick) {
        if self.upgrading.stage != Stage::Approved {
            return;
        }
        let secure: Vec<ConnId> = self.secure().collect();
        self.upgrading.figures.parted += secure.len() as u64;
        if !secure.is_empty() {
            let count = secure.len();
            info!(target: "parlor::upgrade", "{count} connections of TLS are asked to come back");
        }
        self.send_away_as(&secure, come_back, now);
        let until = now + PART_TICKS;
        self.upgrading.stage = Stage::Parting { until };
    }

    /// Those that have not ended in time are ended, with what the system holds for them. None has come
    /// meanwhile (see [`Server::is_held_back`]).
    fn goes_on_parting(&mut self, until: Tick, now: Tick) {
        let secure: Vec<ConnId> = self.secure().collect();
        if !secure.is_empty() && now < until {
            return;
        }
        for id in secure {
            self.give_up(id);
        }
        self.upgrading.stage = Stage::Settling {
            until: now + SETTLE_TICKS,
        };
    }

    /// Whether what waits at this listener is accepted later: a connection that would have to be ended
    /// at once is the next image's.
    pub(super) fn is_held_back(&self, listener: usize) -> bool {
        matches!(self.upgrading.stage, Stage::Parting { .. }) && self.records.is_at(listener)
    }

    /// The connections that speak TLS.
    fn secure(&self) -> impl Iterator<Item = ConnId> {
        let all = self.connections.iter_with_ids();
        let secure = all.filter(|(_, connection)| connection.transport.is_some());
        secure.map(|(id, _)| id)
    }

    /// No request, acknowledgement or change is under way, and what was queued is written as far as
    /// the sockets take it.
    fn is_settled(&self) -> bool {
        let lists = &self.connections.lists;
        lists.ending.is_empty()
            && lists.dirty.is_empty()
            && self.batches.is_empty()
            && self.log.is_settled()
            && self.log.failing().is_none()
            && self.parked.count() == 0
            && self.acks.is_empty()
            && self.changes.is_settled()
            && self.waiting.is_empty()
            && self.letters.is_settled()
            && self.readings.is_empty()
            && self.errands.is_empty()
            && self.audits.is_empty()
            && self.accounts.is_settled()
            && self.orders.is_empty()
            && self.admin.is_settled()
            && !self.reloading.is_reading()
            && self.secure().next().is_none()
    }

    /// There is no upgrade: the chat goes on.
    fn refuse_upgrade_of_program(&mut self, why: &str, now: Tick) {
        warn!(target: "parlor::upgrade", "not upgraded: {why}");
        self.upgrading.figures.refused += 1;
        self.upgrading.stage = Stage::None;
        let answer = Answer::error(409, why);
        for Waiting { id, keep_alive } in mem::take(&mut self.upgrading.waiting) {
            self.answer_late(id, keep_alive, &answer, now);
        }
        // What came meanwhile is on the lists.
    }

    /// The owner could not execute the new program. The store is open again.
    pub fn upgrade_failed(&mut self, why: &str) {
        self.refuse_upgrade_of_program(why, self.net.now());
    }

    /// This image has taken over. `paused`: how long nothing was served. `before`: the version of
    /// the image before.
    pub fn upgraded(&mut self, before: &str, paused: Duration) {
        let now = self.net.now();
        let version = crate::version::version();
        let millis = paused.as_millis();
        info!(target: "parlor::upgrade",
            "upgraded from {before} to {version} with {} connections; the chat stood still for {millis} ms",
            self.connections.len());
        let figures = &mut self.upgrading.figures;
        figures.done += 1;
        figures.paused_micros = u64::try_from(paused.as_micros()).unwrap_or(u64::MAX);
        let answer = Answer::done(json!({
            "before": before,
            "version": version,
            "connections": self.connections.len(),
            "paused_ms": u64::try_from(millis).unwrap_or(u64::MAX),
        }));
        for Waiting { id, keep_alive } in mem::take(&mut self.upgrading.waiting) {
            self.answer_late(id, keep_alive, &answer, now);
        }
    }

    /// Nothing is read and nothing accepted, until another image takes over or that is refused. For
    /// tests.
    pub const fn is_settling(&self) -> bool {
        self.upgrading.is_settling()
    }

    /// Closes the store, all being stored. To be called after [`super::Turn::Upgrade`].
    pub fn close_store(&mut self) {
        self.log.close_store();
    }

    /// The same store is open again, since there was no upgrade.
    pub fn reopen_store(&mut self, store: Box<dyn crate::log::Store>) {
        self.log.reopen_store(store);
    }

    /// In which epoch the store is to be opened again.
    pub const fn origin(&self) -> crate::log::Origin {
        self.log.origin()
    }
}
