//! The registry of an engine that several servers share: changes of all servers in one order, and
//! what follows from them for the users of this one. Knows no key of the engine; which users a fact
//! is about is the chat's.

use super::Server;
use super::changes::Waiting;
use crate::chat::Event;
use crate::chat::registry::{Change, Fact, Sanction, SanctionKind, Scope, Snapshot};
use crate::id::Tick;
use crate::log::{Proposed, Version};
use crate::net::Net;
use crate::wire::Problem;
use crate::ws::CloseReason;
use log::{info, warn};

/// The word of the audit log for a room that is closed.
const CLOSED: &str = "close";

impl<N: Net> Server<N> {
    /// The next entry that is asked for makes a change of the registry.
    pub(super) fn goes_with_entry(&mut self, change: Change) {
        let seen = self.changes.version;
        self.asking.change = Some(Box::new(Proposed { change, seen }));
    }

    /// A change is the next in order, whichever server has made it.
    pub(super) fn change_came(
        &mut self,
        change: &Change,
        version: Version,
        own: Option<u64>,
        now: Tick,
    ) {
        self.changes.version = Some(version);
        if own.is_none() {
            // Refused before the other change is made, or users would be in an account of that.
            for number in self.talk.chat().registry().overtaken_by(change) {
                self.not_changed(number, false, now);
            }
        }
        self.end_conversations(change, now);
        let rest = self.chat_step(now, |chat, _| chat.absorb_change(change, own));
        self.make(&rest, now);
        self.hinted_by_facts(&rest, now);
        if let Some(audit) = &change.audit
            && audit.action == CLOSED
            && let Some(room) = audit.room.as_ref().and_then(|name| self.log.find(name))
        {
            let by = audit.by.trim_start_matches('@').into();
            self.vacate(room, &by, &audit.detail, now);
        }
    }

    /// All facts of the engine: when it is reached first, and after changes that did not come.
    pub(super) fn facts_came(&mut self, facts: Snapshot, version: Version, now: Tick) {
        let wall = self.net.wall();
        for number in self.talk.chat().registry().namesakes(&facts.facts) {
            self.not_changed(number, false, now);
        }
        let is_first = self.changes.version.replace(version).is_none();
        let count = facts.facts.len();
        let change = self.chat_step(now, |chat, _| chat.difference(facts, wall));
        if !is_first {
            info!(
                target: "parlor::engine",
                "{} facts were read again, of which {} are new here and {} are gone",
                count, change.puts.len(), change.forgets.len()
            );
        }
        self.end_conversations(&change, now);
        self.make(&change, now);
        self.hinted_by_facts(&change, now);
    }

    /// The changes of this server up to a number are in order, and came.
    pub(super) fn are_in_order(&mut self, upto: u64, now: Tick) {
        let rest = self.chat_step(now, |chat, _| chat.settle_changes(upto));
        self.make(&rest, now);
        self.changed(upto, now);
    }

    /// A change of this server was refused: it is taken back, and who asked for it may try again.
    /// `is_stale`: for what others have changed, all of which is known: an order is handled again.
    pub(super) fn not_changed(&mut self, number: u64, is_stale: bool, now: Tick) {
        let mut waiting = self.changes.remove(number);
        if let Some(order) = waiting.take_if(|waiting| is_stale && waiting.again.is_some()) {
            // It was not made here, so there is nothing to take back.
            return self.asks_again((order.conn, order.request), order.again, now);
        }
        let is_asked = waiting.is_some();
        if let Some(waiting) = waiting {
            self.is_refused(&waiting, now);
        }
        let rest = self.chat_step(now, |chat, _| chat.take_back(number));
        if is_asked || !rest.puts.is_empty() || !rest.forgets.is_empty() {
            warn!(target: "parlor::engine", "a change of this server was refused: it may be tried again");
        }
        self.make(&rest, now);
        self.admin_not_changed(number, now);
    }

    fn is_refused(&mut self, waiting: &Waiting, now: Tick) {
        let id = waiting.conn;
        let request = waiting.request.as_ref();
        self.fail(id, request, Problem::StoreUnavailable, now);
        if !self.talk.chat().is_user(id) {
            return;
        }
        match &waiting.event {
            Some(Event::LoggedIn { is_new, .. }) => {
                if let Some(session) = waiting.session {
                    self.sessions.adopt(id, session);
                }
                if *is_new {
                    self.chat_step(now, |chat, _| chat.is_guest_again(id));
                } else if self.talk.chat().account_of(id).is_some() {
                    self.part(id, &CloseReason::LoginRequired, now);
                }
            }
            // It has left the account at once, and its session holds: it may come back with it.
            Some(Event::LoggedOut { .. } | Event::Unregistered) => {
                self.part(id, &CloseReason::StoreUnavailable, now);
            }
            _ => {}
        }
    }

    /// Makes a change that came, and carries out what follows from it here.
    fn make(&mut self, change: &Change, now: Tick) {
        if change.puts.is_empty() && change.forgets.is_empty() {
            return;
        }
        for account in self.talk.chat().ended_by(change) {
            self.settle_account(account, now);
        }
        self.chat_step(now, |chat, effects| chat.apply_change(change, now, effects));
        for fact in &change.puts {
            if let Fact::Sanction(ban) = fact
                && ban.kind == SanctionKind::Ban
            {
                self.enforce_here(ban, now);
            }
        }
    }

    /// Removes those that a ban of any server is about.
    fn enforce_here(&mut self, ban: &Sanction, now: Tick) {
        match &ban.scope {
            Scope::Server => self.enforce(None, ban, now),
            Scope::Room(name) => {
                if let Some(room) = self.log.find(name) {
                    self.enforce(Some(room), ban, now);
                }
            }
        }
    }
}
