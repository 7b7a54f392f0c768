//! Search for [words](Words) in the texts of a room, in steps, newest first. Knows no index: a room
//! is read from its end.

use super::error::Fault;
use super::rows::{self, ACTED, COLUMNS, SAID};
use crate::chat::Content;
use crate::id::Seq;
use crate::log::{Amendment, PageEntry, Record, StoredRoom, Words, is_enough};
use rusqlite::{Connection, params};

/// Rows that one step reads. It takes some milliseconds, which acknowledgements may wait for.
const STEP_ROWS: u32 = 20_000;

/// A search that is under way.
#[derive(Debug)]
pub(super) struct Search {
    pub(super) tag: u64,
    room: StoredRoom,
    words: Words,
    /// Everything from here on was searched.
    before: Seq,
    entries_max: usize,
    found: Vec<PageEntry>,
}

/// Whether there is more to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Goes,
    /// `more`: the search ended with enough entries, and older ones were not searched.
    Done {
        more: bool,
    },
}

impl Search {
    pub(super) fn new(
        tag: u64,
        room: StoredRoom,
        words: &str,
        before: Seq,
        entries_max: u32,
    ) -> Self {
        Self {
            tag,
            room,
            words: Words::new(words),
            before,
            entries_max: entries_max.max(1) as usize,
            found: Vec::new(),
        }
    }

    /// What was found, newest first.
    pub(super) fn into_found(self) -> Vec<PageEntry> {
        self.found
    }

    /// A record was stored: what was found of the message that it changes is in its present form.
    pub(super) fn amend(&mut self, record: &Record) {
        let (of, text) = match &record.draft.content {
            Content::Edited { of, text } => (*of, Some(text.as_str())),
            Content::Deleted { of } => (*of, None),
            Content::Said { .. } | Content::Kicked { .. } | Content::Act { .. } => return,
        };
        if record.stored_room != self.room {
            return;
        }
        let amendment = Amendment {
            of,
            by: record.seq,
            text,
            before: None,
        };
        let words = &mut self.words;
        self.found.retain_mut(|entry| {
            !amendment.apply(entry) || text.is_some_and(|text| words.are_in(text))
        });
    }

    pub(super) fn step(&mut self, db: &Connection) -> Result<Step, Fault> {
        self.step_of(db, STEP_ROWS)
    }

    fn step_of(&mut self, db: &Connection, rows_max: u32) -> Result<Step, Fault> {
        if self.words.is_empty() {
            return Ok(Step::Done { more: false });
        }
        let (low, _) = rows::ids(self.room);
        let mut statement = db.prepare_cached(&format!(
            "SELECT {COLUMNS} FROM messages WHERE id >= ? AND id < ? ORDER BY id DESC LIMIT ?"
        ))?;
        let before = rows::id(self.room, self.before);
        let mut found = statement.query(params![low, before, rows_max])?;
        let mut count = 0;
        while let Some(row) = found.next()? {
            count += 1;
            let kind: u8 = row.get(2)?;
            let body = row.get_ref(6)?;
            let body = body
                .as_str()
                .map_err(|error| Fault::damaged(error.to_string()))?;
            let is_said = kind == SAID || kind == ACTED;
            if is_said && self.words.are_in(body) {
                if is_enough(&self.found, self.entries_max) {
                    return Ok(Step::Done { more: true });
                }
                self.found.push(rows::entry(row)?);
            }
            self.before = rows::seq(row.get(0)?);
        }
        Ok(if count < rows_max {
            Step::Done { more: false }
        } else {
            Step::Goes
        })
    }
}
