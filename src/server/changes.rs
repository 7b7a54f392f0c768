//! Changes of the registry on their way to the store, and the answers that wait until they are kept.
//! Knows no fact and no rule; `keep.rs` reports up to which change all are kept.

use super::Server;
use super::again::Again;
use crate::chat::Event;
use crate::chat::registry::Change;
use crate::id::{ConnId, Tick};
use crate::log::Version;
use crate::net::Net;
use crate::wire::{Done, RequestId, Shown};
use std::collections::VecDeque;

/// Answers that may wait. Beyond that, and while the store fails, what would change the registry is
/// refused.
const WAITING_MAX: usize = 4096;

/// An answer that waits.
#[derive(Debug)]
pub(super) struct Waiting {
    /// Of the change.
    number: u64,
    pub(super) conn: ConnId,
    pub(super) request: Option<RequestId>,
    pub(super) event: Option<Event>,
    /// The session that the client had before.
    pub(super) session: Option<u64>,
    /// The order that it is of.
    pub(super) again: Option<Again>,
}

/// All answers that wait, in the order of their changes.
#[derive(Debug, Default)]
pub(super) struct Changes {
    waiting: VecDeque<Waiting>,
    /// All changes up to this one are kept.
    upto: u64,
    /// How far the facts of a shared engine are known here; `None`: nothing is known of them.
    pub(super) version: Option<Version>,
}

impl Changes {
    /// A store has all changes up to this one.
    pub(super) fn new(upto: u64) -> Self {
        Self {
            upto,
            ..Self::default()
        }
    }

    /// No answer waits.
    pub(super) fn is_settled(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Takes the answer that waits for a change which was refused.
    pub(super) fn remove(&mut self, number: u64) -> Option<Waiting> {
        let place = self.waiting.iter().position(|one| one.number == number)?;
        self.waiting.remove(place)
    }

    /// Takes the next answer that is due when all changes up to `upto` are kept.
    fn take(&mut self, upto: u64) -> Option<Waiting> {
        let is_due = self.waiting.front()?.number <= upto;
        is_due.then(|| self.waiting.pop_front()).flatten()
    }
}

impl<N: Net> Server<N> {
    /// Whether a request that changes the registry can be taken: to be asked before the chat is.
    pub(super) fn can_change(&self) -> bool {
        self.knows_facts()
            && !self.log.is_cut_off()
            && self.log.failing().is_none()
            && self.changes.waiting.len() < WAITING_MAX
    }

    /// Whether what a room or the server is like may change: with a shared engine, what changes may
    /// wait until the link is back.
    pub(super) fn takes_changes(&self) -> bool {
        let waits = self.log.is_shared() && self.changes.waiting.len() < WAITING_MAX;
        waits || self.can_change()
    }

    /// Whether all facts are here that there are.
    pub(super) const fn knows_facts(&self) -> bool {
        !self.log.is_shared() || self.changes.version.is_some()
    }

    pub(super) const fn is_change_kept(&self, number: u64) -> bool {
        number <= self.changes.upto
    }

    /// Has a change kept. `to` is shown `event` when it is, or that its request is done.
    pub(super) fn keep_change(
        &mut self,
        change: Change,
        to: Option<ConnId>,
        event: Option<Event>,
        now: Tick,
    ) {
        let number = change.number;
        if !self.log.keeps_later() && !self.log.is_shared() {
            self.audits.remember(&change);
        }
        let is_kept = self.log.change(change, self.changes.version);
        let Some(conn) = to else {
            return;
        };
        self.asking.is_answered = true;
        let waiting = Waiting {
            number,
            conn,
            request: self.asking.take_request(),
            event,
            session: self.sessions.of(conn),
            again: self.asking.again.take(),
        };
        if is_kept {
            self.answer_change(&waiting, now);
        } else {
            self.changes.waiting.push_back(waiting);
        }
    }

    /// All changes up to this one are kept.
    pub(super) fn changed(&mut self, upto: u64, now: Tick) {
        self.changes.upto = upto;
        self.admin_changed(upto, now);
        while let Some(waiting) = self.changes.take(upto) {
            self.answer_change(&waiting, now);
        }
    }

    fn answer_change(&mut self, waiting: &Waiting, now: Tick) {
        let re = waiting.request.as_ref();
        let shown = match (&waiting.event, re) {
            (Some(event), re) => Shown::Reply { re, event },
            (None, Some(_)) => Shown::Ok {
                re,
                done: Done::Nothing,
            },
            (None, None) => return,
        };
        self.show(waiting.conn, &shown, now);
    }
}
