//! What comes from the store, as the log understands it, and what goes to it: once a turn each.
//! Knows no file and no thread.

use super::Server;
use crate::conn::{Wait, Waits};
use crate::id::{ConnId, Tick};
use crate::log::{Health, Notification};
use crate::net::Net;
use log::{info, warn};
use std::mem;

impl<N: Net> Server<N> {
    /// A step of the turn: what the store has answered since the last one.
    pub(super) fn hear_store(&mut self, now: Tick) {
        let mut answers = mem::take(&mut self.notifications);
        self.log.take_answers(now, &mut answers);
        for answer in answers.drain(..) {
            self.heard(answer, now);
        }
        self.notifications = answers;
        self.refuse_unstorable(now);
        self.refuse_cut_off(now);
        self.admit_waiting(now);
    }

    /// A step of the turn: all that the store must do.
    pub(super) fn hand_over(&mut self, now: Tick) {
        self.claim_nicks(now);
        self.log.hand_over();
        if self.log.next_tick().is_some_and(|due| due <= now) && self.log.tick(now) {
            self.trimming.was_freed(now);
        }
    }

    fn heard(&mut self, notification: Notification, now: Tick) {
        match notification {
            Notification::Opened { room } => self.opened(room, now),
            Notification::OpenFailed { room, why } => {
                warn!(target: "parlor::store", "a room could not be opened: {why}");
                self.not_opened(room, now);
            }
            Notification::Stored { room, upto } => {
                self.stored(room, upto, now);
                self.retry_parked(now);
            }
            Notification::Changed { upto } if self.log.is_shared() => self.are_in_order(upto, now),
            Notification::Changed { upto } => self.changed(upto, now),
            Notification::Page { room } => {
                self.page_came(room);
                self.show_hinted(room, now);
                self.go_on_reading(room, now);
                self.go_on_errands(room, now);
                self.retry_amendments(now);
            }
            Notification::ReadFailed { room, why } => {
                warn!(target: "parlor::store", "entries could not be read: {why}");
                self.page_came(room);
                self.show_hinted(room, now);
                self.go_on_reading(room, now);
                self.go_on_errands(room, now);
                self.retry_amendments(now);
            }
            Notification::Keys { .. } => self.retry_parked(now),
            Notification::KeysFailed { why, .. } => {
                warn!(target: "parlor::store", "keys of messages could not be read: {why}");
                self.retry_parked(now);
            }
            Notification::Found { tag, entries, more } => self.found(tag, entries, more, now),
            Notification::SearchFailed { tag, why } => {
                warn!(target: "parlor::store", "a search failed: {why}");
                self.search_failed(tag, now);
            }
            Notification::RoomFailed { room, why } => {
                self.not_stored(room, now);
                warn!(target: "parlor::store", "a room takes no more messages until the next start: {why}");
            }
            Notification::Task(answer) => self.task_answered(answer, now),
            Notification::Engine(answer) => self.engine_answered(answer, now),
            Notification::Health(Health::Good) => {
                info!(target: "parlor::store", "the store keeps messages again");
                self.store_fails(false, now);
                self.retry_parked(now);
            }
            Notification::Health(Health::Failing { why }) => {
                warn!(target: "parlor::store", "messages cannot be stored: {why}");
                self.store_fails(true, now);
            }
        }
    }

    /// The store has not answered in time what a connection waits for: its requests fail, and with
    /// a message all that is held behind it.
    pub(super) fn held_too_long(&mut self, id: ConnId, waits: Waits, now: Tick) {
        if waits.has(Wait::Opening)
            && let Some(waiter) = self.waiting.remove(id)
        {
            self.join_fails(waiter, now);
        }
        if waits.has(Wait::Opening) {
            self.letter_fails(id, now);
        }
        if waits.has(Wait::Page) {
            self.reading_fails(id, now);
            self.audit_is_late(id, now);
            self.errand_is_late(id, now);
        }
        if waits.has(Wait::Password) {
            self.password_fails(id, now);
        }
        if waits.has(Wait::Number) {
            self.refuse_parked(id, now);
        }
        if waits.has(Wait::Nick) {
            self.enters_without(id, now);
            self.goes_on_renaming(id, None, now);
            self.goes_on_resuming(id, None, now);
        }
        if waits.has(Wait::Order) && self.under_way.count_of(id) > 0 {
            self.hold(id, Wait::Order, now);
        }
        self.connections.lists.released.push(id);
        self.rearm(id);
    }
}
