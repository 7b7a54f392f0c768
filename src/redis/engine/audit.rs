//! Rows of the audit log: those of the changes of the registry that Redis keeps, the newest first.
//! They are read a page of changes after another until there are enough. Knows no reader of them.

use super::super::change;
use super::super::link::{Fault, Which};
use super::super::messages::timed;
use super::super::report::Report;
use super::super::resp::{List, Value, command, number};
use super::super::scripts::CHANGES;
use super::{Ask, Engine};
use crate::chat::registry::AuditRow;
use crate::log::{AUDIT_PART_ROWS, Answer, audit_line};
use smol_str::SmolStr;

/// Changes that are read at once.
const PAGE_CHANGES: usize = 128;

/// What is looked for, and the rows that were found.
#[derive(Debug)]
pub(super) struct Search {
    pub(super) tag: u64,
    room: Option<SmolStr>,
    /// The changes from this one on were looked at.
    before: u64,
    rows_max: usize,
    is_export: bool,
    rows: Vec<AuditRow>,
}

impl Search {
    /// Rows below a number, so many at most.
    pub(super) fn page(tag: u64, room: Option<SmolStr>, (before, limit): (u64, u32)) -> Box<Self> {
        Box::new(Self {
            tag,
            room,
            before,
            rows_max: limit as usize,
            is_export: false,
            rows: Vec::new(),
        })
    }

    /// A part of all as lines.
    pub(super) fn lines(tag: u64, room: Option<SmolStr>, before: u64) -> Box<Self> {
        let mut search = Self::page(tag, room, (before, AUDIT_PART_ROWS));
        search.is_export = true;
        search
    }

    /// False: there are enough rows without this one.
    fn takes(&mut self, row: AuditRow) -> bool {
        if self.room.is_some() && row.audit.room != self.room {
            return true;
        }
        let is_wanted = self.rows.len() < self.rows_max;
        if is_wanted {
            self.rows.push(row);
        }
        is_wanted
    }

    /// `more`: there are older rows.
    fn answer(self, more: bool) -> Answer {
        let Self { tag, rows, .. } = self;
        if !self.is_export {
            return Answer::Audited { tag, rows, more };
        }
        let mut lines = String::new();
        for row in &rows {
            audit_line(row, &mut lines);
        }
        let next = rows.last().map(|row| row.number).filter(|_| more);
        Answer::AuditExported { tag, lines, next }
    }
}

impl Engine {
    pub(super) fn find_rows(&mut self, search: Box<Search>) {
        if !self.is_up {
            self.fail(Ask::Audit(search), "the link to Redis is down");
            return;
        }
        // Numbers are of 32 bits; before the first there is none.
        let newest = search.before.saturating_sub(1).min(u64::from(u32::MAX));
        let (newest, count) = (newest.to_string(), PAGE_CHANGES.to_string());
        let now = self.now;
        let link = &mut self.links[Which::Commands as usize];
        link.ask(Ask::Audit(search), now, |out, _| {
            let words = ["XREVRANGE", CHANGES, &newest, "-", "COUNT", &count];
            command(out, &words.map(str::as_bytes));
        });
    }

    /// Changes below a number came, the newest first.
    pub(super) fn rows_came(
        &mut self,
        mut search: Box<Search>,
        changes: List<'_>,
    ) -> Result<(), Fault> {
        let unclear = || Fault::Broken(String::from("the log of changes is unclear"));
        let mut count = 0;
        for kept in changes {
            count += 1;
            let (seq, bytes) = parts(kept).ok_or_else(unclear)?;
            if seq >= search.before {
                continue; // Of a lost epoch, with the number of the one before.
            }
            search.before = seq;
            let row = match timed(bytes).map(|(_, bytes)| change::decode(bytes)) {
                Some(Ok((_, change))) => change.audit.map(|audit| AuditRow {
                    number: seq,
                    at: change.at,
                    audit,
                }),
                _ => {
                    let why = "its row of the audit log cannot be read";
                    self.reports.push(Report::UnreadableFact { why });
                    None
                }
            };
            if let Some(row) = row
                && !search.takes(row)
            {
                self.answers.push(search.answer(true));
                return Ok(());
            }
        }
        if count < PAGE_CHANGES {
            self.answers.push(search.answer(false));
        } else {
            self.find_rows(search);
        }
        Ok(())
    }
}

/// The number of a change, and what is kept of it.
fn parts(kept: Value<'_>) -> Option<(u64, &[u8])> {
    let mut kept = kept.list()?;
    let id = kept.next()?.text()?;
    let end = id.iter().position(|byte| *byte == b'-')?;
    let mut fields = kept.next()?.list()?;
    while let (Some(name), Some(value)) = (fields.next(), fields.next()) {
        if name.text() == Some(b"d") {
            return Some((number(&id[..end])?, value.text()?));
        }
    }
    None
}
