//! Drafts that a shared engine is to number: which request each answers, and what its sender asks
//! meanwhile. Sends of a connection follow each other; any other request of it waits until they are
//! ordered, or it would overtake them. Knows no entry and no engine.

use super::Server;
use super::acks::UNACKED_MAX;
use super::again::Again;
use crate::chat::Command;
use crate::conn::Wait;
use crate::id::{ConnId, Tick};
use crate::net::Net;
use crate::wire::{Ask, RequestId};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// All drafts under way. Bounded by what the log takes, and by [`UNACKED_MAX`] a connection.
#[derive(Default)]
pub(super) struct UnderWay {
    sent: BTreeMap<u64, Sent>,
    by_connection: HashMap<ConnId, u32>,
    /// Those whose drafts have waited for the link. They may be judged again, and what is sent later
    /// must not overtake them.
    waited: BTreeSet<ConnId>,
    /// Requests that wait, at most one of each connection, which is held.
    requests: BTreeMap<ConnId, String>,
}

/// A draft under way.
#[derive(Debug)]
pub(super) struct Sent {
    pub(super) conn: ConnId,
    /// To be answered when the entry has its number.
    pub(super) request: Option<RequestId>,
    /// The answer says which number it has.
    pub(super) is_said: bool,
    /// The order that it is of.
    pub(super) again: Option<Again>,
}

impl Sent {
    /// One that answers no request.
    pub(super) const fn unanswered(conn: ConnId) -> Self {
        Self {
            conn,
            request: None,
            is_said: false,
            again: None,
        }
    }
}

impl UnderWay {
    pub(super) fn is_empty(&self) -> bool {
        self.sent.is_empty() && self.requests.is_empty()
    }

    pub(super) fn count_of(&self, conn: ConnId) -> u32 {
        self.by_connection.get(&conn).copied().unwrap_or(0)
    }

    /// What they hold.
    pub(super) fn held_bytes(&self) -> usize {
        let requests = self.requests.values().map(String::capacity);
        let orders = self.sent.values().filter_map(|sent| sent.again.as_ref());
        let texts = requests.chain(orders.map(Again::held_bytes));
        self.sent.len() * size_of::<Sent>() + texts.sum::<usize>()
    }

    /// Returns how many of the connection are under way.
    pub(super) fn push(&mut self, tag: u64, sent: Sent) -> u32 {
        let count = self.by_connection.entry(sent.conn).or_default();
        *count += 1;
        let count = *count;
        self.sent.insert(tag, sent);
        count
    }

    fn take(&mut self, tag: u64) -> Option<Sent> {
        let sent = self.sent.remove(&tag)?;
        if let Some(count) = self.by_connection.get_mut(&sent.conn) {
            *count -= 1;
            if *count == 0 {
                self.by_connection.remove(&sent.conn);
                self.waited.remove(&sent.conn);
            }
        }
        Some(sent)
    }

    /// The link is lost: all that is under way waits.
    pub(super) fn all_wait(&mut self) {
        self.waited.extend(self.by_connection.keys().copied());
    }

    pub(super) fn sender_of(&self, tag: u64) -> Option<ConnId> {
        Some(self.sent.get(&tag)?.conn)
    }

    /// Takes the request that a connection has waited with.
    pub(super) fn take_request(&mut self, conn: ConnId) -> Option<String> {
        if self.requests.is_empty() {
            return None;
        }
        self.requests.remove(&conn)
    }

    /// A connection has ended. What it said is numbered all the same.
    pub(super) fn forget(&mut self, conn: ConnId) {
        if !self.is_empty() {
            self.by_connection.remove(&conn);
            self.waited.remove(&conn);
            self.requests.remove(&conn);
        }
    }

    pub(super) fn check_invariants(&self, is_held: impl Fn(ConnId) -> bool) {
        for (conn, count) in &self.by_connection {
            let own = self.sent.values().filter(|sent| sent.conn == *conn);
            assert_eq!(own.count(), *count as usize, "drafts are counted");
        }
        for conn in &self.waited {
            assert!(self.count_of(*conn) > 0, "what has waited is under way");
        }
        for conn in self.requests.keys() {
            assert!(
                self.count_of(*conn) == 0 || is_held(*conn),
                "a request overtakes a draft"
            );
        }
    }
}

impl<N: Net> Server<N> {
    /// Whether a request must wait until what its client has said has its place: then it is kept,
    /// and its connection held.
    pub(super) fn waits_for_order(
        &mut self,
        id: ConnId,
        ask: &Ask<'_>,
        text: &str,
        now: Tick,
    ) -> bool {
        let is_sent = matches!(ask, Ask::Send(_) | Ask::Chat(Command::Say { .. }));
        let must_follow = self.under_way.waited.contains(&id) && !self.log.is_cut_off();
        if is_sent && !must_follow || self.under_way.count_of(id) == 0 {
            return false;
        }
        self.under_way.requests.insert(id, text.to_owned());
        self.hold(id, Wait::Order, now);
        true
    }

    /// A draft is on its way to the engine.
    pub(super) fn is_under_way(&mut self, tag: u64, sent: Sent, now: Tick) {
        let conn = sent.conn;
        let count = self.under_way.push(tag, sent);
        if self.log.is_cut_off() {
            self.under_way.waited.insert(conn);
        }
        if count >= UNACKED_MAX {
            self.hold(conn, Wait::Acknowledgement, now);
        }
    }

    /// A draft was answered: its sender goes on, if it was held for it.
    pub(super) fn is_ordered(&mut self, tag: u64, now: Tick) -> Option<Sent> {
        let sent = self.under_way.take(tag)?;
        let count = self.under_way.count_of(sent.conn);
        if count + 1 == UNACKED_MAX {
            self.release(sent.conn, Wait::Acknowledgement, now);
        }
        if count == 0 {
            self.release(sent.conn, Wait::Order, now);
        }
        Some(sent)
    }
}
