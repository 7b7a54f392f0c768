//! The audit log as clients and operators read it: from the store, or where there is none from a
//! bounded list in memory. Knows no encoding and no role.

use super::Server;
use crate::carry::{Carrier, Damaged};
use crate::chat::Event;
use crate::chat::registry::{AuditRow, Change};
use crate::conn::Wait;
use crate::id::{ConnId, Tick};
use crate::log;
use crate::net::Net;
use crate::wire::{Problem, RequestId, Shown};
use smol_str::SmolStr;
use std::collections::{BTreeMap, VecDeque};

/// Rows that are kept in memory where there is no store.
const ROWS_MAX: usize = 1_000;

/// The rows in memory, and the requests that wait for the store: one of each connection at most.
#[derive(Default)]
pub(super) struct Audits {
    rows: VecDeque<AuditRow>,
    asked: BTreeMap<ConnId, Option<RequestId>>,
}

impl Audits {
    /// The rows in memory.
    pub(super) fn carry(&mut self, carrier: &mut Carrier<'_>) -> Result<(), Damaged> {
        carrier.field(&mut self.rows)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.asked.is_empty()
    }

    /// A change that no store keeps.
    pub(super) fn remember(&mut self, change: &Change) {
        if let Some(audit) = change.audit.clone() {
            if self.rows.len() == ROWS_MAX {
                self.rows.pop_front();
            }
            self.rows.push_back(AuditRow {
                number: change.number,
                at: change.at,
                audit,
            });
        }
    }

    /// A connection has ended.
    pub(super) fn forget(&mut self, id: ConnId) {
        self.asked.remove(&id);
    }

    fn page(&self, room: Option<&SmolStr>, before: u64, limit: u32) -> (Vec<AuditRow>, bool) {
        let rows = self.rows.iter().rev();
        let rows = rows.filter(|row| row.number < before);
        let mut rows = rows.filter(|row| room.is_none() || row.audit.room.as_ref() == room);
        let page = rows.by_ref().take(limit as usize).cloned().collect();
        (page, rows.next().is_some())
    }
}

impl<N: Net> Server<N> {
    /// Answers with rows of the audit log, the newest first.
    pub(super) fn read_audit(
        &mut self,
        id: ConnId,
        room: Option<SmolStr>,
        (before, limit): (u64, u32),
        now: Tick,
    ) {
        let request = self.asking.take_request();
        self.asking.is_answered = true;
        let (rows, more) = self.audits.page(room.as_ref(), before, limit);
        let asked = log::Request::Audit {
            tag: id.to_u64(),
            room,
            before,
            limit,
        };
        if self.log.task(asked) {
            self.audits.asked.insert(id, request);
            self.hold(id, Wait::Page, now);
        } else {
            self.show_audit(id, request.as_ref(), rows, more, now);
        }
    }

    /// The store has read rows.
    pub(super) fn audited(&mut self, id: ConnId, rows: Vec<AuditRow>, more: bool, now: Tick) {
        if let Some(request) = self.audits.asked.remove(&id) {
            self.show_audit(id, request.as_ref(), rows, more, now);
            self.release(id, Wait::Page, now);
        }
    }

    /// The store could not read rows.
    pub(super) fn audit_fails(&mut self, id: ConnId, now: Tick) {
        if let Some(request) = self.audits.asked.remove(&id) {
            self.fail(id, request.as_ref(), Problem::StoreUnavailable, now);
            self.release(id, Wait::Page, now);
        }
    }

    /// The store has not answered in time. The connection is released by the caller.
    pub(super) fn audit_is_late(&mut self, id: ConnId, now: Tick) {
        if let Some(request) = self.audits.asked.remove(&id) {
            self.fail(id, request.as_ref(), Problem::StoreUnavailable, now);
        }
    }

    fn show_audit(
        &mut self,
        id: ConnId,
        re: Option<&RequestId>,
        rows: Vec<AuditRow>,
        more: bool,
        now: Tick,
    ) {
        let event = Event::audit(rows, more);
        self.show(id, &Shown::Reply { re, event: &event }, now);
    }
}
