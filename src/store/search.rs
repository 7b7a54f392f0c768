//! Search for words in the texts of a room, in steps, newest first. Finds what contains every word,
//! also inside of other words, whatever the case: `strasse` finds `Hauptstraße`, `上海` a sentence
//! without spaces. Knows no index: a room is read from its end.

use super::error::Fault;
use super::rows::{self, ACTED, COLUMNS, SAID};
use crate::id::Seq;
use crate::log::{PageEntry, StoredRoom, is_enough};
use rusqlite::{Connection, params};
use unicase::UniCase;
use unicode_normalization::{IsNormalized, UnicodeNormalization, is_nfkc_quick};

/// Rows that one step reads. It takes some milliseconds, which acknowledgements may wait for.
const STEP_ROWS: u32 = 20_000;

/// A search that is under way.
#[derive(Debug)]
pub(super) struct Search {
    pub(super) tag: u64,
    room: StoredRoom,
    /// Folded.
    words: Vec<String>,
    /// Everything from here on was searched.
    before: Seq,
    entries_max: usize,
    found: Vec<PageEntry>,
    scratch: String,
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
        let mut folded = String::new();
        fold(words, &mut folded);
        Self {
            tag,
            room,
            words: folded.split_whitespace().map(String::from).collect(),
            before,
            entries_max: entries_max.max(1) as usize,
            found: Vec::new(),
            scratch: folded,
        }
    }

    /// What was found, newest first.
    pub(super) fn into_found(self) -> Vec<PageEntry> {
        self.found
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
            if is_said && contains_all(body, &self.words, &mut self.scratch) {
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

fn contains_all(text: &str, words: &[String], scratch: &mut String) -> bool {
    fold(text, scratch);
    words.iter().all(|word| scratch.contains(word.as_str()))
}

/// Makes texts comparable: Unicode's full case folding of the compatibility form (NFKC).
fn fold(text: &str, into: &mut String) {
    into.clear();
    if text.is_ascii() {
        into.push_str(text);
        into.make_ascii_lowercase();
    } else if is_nfkc_quick(text.chars()) == IsNormalized::Yes {
        into.push_str(&UniCase::unicode(text).to_folded_case());
    } else {
        let normal: String = text.nfkc().collect();
        // Folding may take characters apart that belong together.
        into.extend(UniCase::unicode(normal).to_folded_case().nfkc());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_found(words: &str, text: &str) -> bool {
        let search = Search::new(0, StoredRoom(1), words, Seq(1), 1);
        contains_all(text, &search.words, &mut String::new())
    }

    #[test]
    fn words_are_found_whatever_their_case() {
        assert!(is_found("HELLO", "she said hello"));
        assert!(is_found("STRASSE", "die Straße"));
        assert!(is_found("straße", "DIE STRASSE"));
        assert!(is_found("ΟΔΟΣ", "η οδος"));
        assert!(is_found("ｆｕｌｌ", "Full width"));
        assert!(is_found("e\u{301}t\u{e9}", "L'ÉTÉ"));
    }

    #[test]
    fn words_are_found_inside_of_others() {
        assert!(is_found("strasse", "Hauptstraße 5"));
        assert!(is_found("上海", "我明天去上海出差"));
        assert!(is_found("ell", "hello"));
    }

    #[test]
    fn every_word_must_be_there_in_any_order() {
        assert!(is_found("b  a", "a and b"));
        assert!(!is_found("a c", "a and b"));
        assert!(!is_found("上海 北京", "我明天去上海"));
    }
}
