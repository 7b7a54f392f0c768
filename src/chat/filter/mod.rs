//! The word filter: which parts of a text look like a word of the operator's list. Knows no user and
//! no room, and decides nothing: what follows from a match is [`super::speech`]'s.
//!
//! A text is compared as it is seen (`seen`), in one pass over it however long the list is
//! (Aho-Corasick).

mod seen;

use aho_corasick::{AhoCorasick, MatchKind};
use seen::{Case, Seen};
use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

/// The longest pattern, in characters. So many patterns at most can end at one place of a text, which
/// bounds the work for it.
const PATTERN_CHARS_MAX: usize = 100;

/// What becomes of a text with a word of the list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Filtering {
    /// The word is said as asterisks.
    #[default]
    Replace,
    /// The text is not said.
    Refuse,
}

impl FromStr for Filtering {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        match word {
            "replace" => Ok(Self::Replace),
            "refuse" => Ok(Self::Refuse),
            _ => Err(String::from("expected replace or refuse")),
        }
    }
}

impl fmt::Display for Filtering {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Replace => "replace",
            Self::Refuse => "refuse",
        })
    }
}

/// The words of a list.
#[derive(Clone)]
pub struct Filter {
    words: AhoCorasick,
    patterns: Vec<Pattern>,
    seen: Seen,
}

/// One line of the list, in one of its looks.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Pattern {
    /// As it is seen.
    word: String,
    /// The word may begin with more.
    is_open_before: bool,
    /// The word may go on.
    is_open_after: bool,
}

/// Why a list is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadList {
    line: usize,
    why: &'static str,
}

impl fmt::Display for BadList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.why)
    }
}

impl fmt::Debug for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Filter({} patterns)", self.patterns.len())
    }
}

impl PartialEq for Filter {
    fn eq(&self, other: &Self) -> bool {
        self.patterns == other.patterns
    }
}

impl Eq for Filter {}

impl Filter {
    /// One pattern a line: a word, or several with a space between them. `*` before or after it
    /// means that a longer word is meant as well. Empty lines and those that begin with `#` are
    /// skipped.
    ///
    /// # Errors
    /// The first line that is no pattern.
    pub fn parse(list: &str) -> Result<Self, BadList> {
        let mut seen = Seen::default();
        let mut patterns = Vec::new();
        for (line, number) in list.lines().zip(1..) {
            let line = line.trim_start_matches('\u{feff}').trim();
            if !line.is_empty() && !line.starts_with('#') {
                let parsed = Pattern::parse(line, &mut seen);
                patterns.extend(parsed.map_err(|why| BadList { line: number, why })?);
            }
        }
        let words = AhoCorasick::builder()
            // All of several patterns that end at one place: the longest may be no whole word.
            .match_kind(MatchKind::Standard)
            .build(patterns.iter().map(|pattern| &pattern.word))
            .map_err(|_| BadList {
                line: patterns.len(),
                why: "the list is too long",
            })?;
        Ok(Self {
            words,
            patterns,
            seen,
        })
    }

    /// Whether the list has no pattern.
    pub fn is_empty(&self) -> bool {
        self.patterns.is_empty()
    }

    /// The text with asterisks in place of the words of the list, one for each character that is
    /// seen. Borrowed: it has none of them.
    pub fn replace<'t>(&mut self, text: &'t str) -> Cow<'t, str> {
        let mut found = self.find(text);
        if found.is_empty() {
            return Cow::Borrowed(text);
        }
        found.sort_unstable();
        let mut replaced = String::with_capacity(text.len());
        // Up to where the text was taken.
        let mut taken = 0;
        for (from, to) in found {
            if to <= taken {
                continue;
            }
            let from = from.max(taken);
            replaced.push_str(&text[taken..from]);
            let characters = text[from..to].chars();
            let shown = characters.filter(|c| !seen::is_unseen(*c)).count();
            replaced.extend(std::iter::repeat_n('*', shown));
            taken = to;
        }
        replaced.push_str(&text[taken..]);
        Cow::Owned(replaced)
    }

    /// Whether a text has a word of the list.
    pub fn has_any(&mut self, text: &str) -> bool {
        !self.find(text).is_empty()
    }

    /// Where words of the list are in a text, in bytes.
    fn find(&mut self, text: &str) -> Vec<(usize, usize)> {
        if self.patterns.is_empty() {
            return Vec::new();
        }
        let mut found = Vec::new();
        self.seen.look_at(text, Case::Folded);
        self.find_in_seen(&mut found);
        if self.seen.has_two() {
            self.seen.look_at(text, Case::AsTyped);
            self.find_in_seen(&mut found);
        }
        found
    }

    fn find_in_seen(&self, found: &mut Vec<(usize, usize)>) {
        for part in self.words.find_overlapping_iter(self.seen.text()) {
            let pattern = &self.patterns[part.pattern().as_usize()];
            let Some(place) = self.seen.place(part.start(), part.end()) else {
                // It begins or ends within a character that is seen as several.
                continue;
            };
            let goes_on = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
            let is_word = (pattern.is_open_before || !goes_on(place.before))
                && (pattern.is_open_after || !goes_on(place.after));
            if is_word {
                found.push((place.from, place.to));
            }
        }
    }
}

impl Pattern {
    /// The pattern, once for each look that the line has.
    fn parse(line: &str, seen: &mut Seen) -> Result<Vec<Self>, &'static str> {
        let is_open_before = line.starts_with('*');
        let is_open_after = line.ends_with('*');
        let word = line.trim_matches('*').trim();
        if word.contains('*') {
            return Err("an asterisk may be at the beginning and at the end only");
        }
        if word.chars().count() > PATTERN_CHARS_MAX {
            return Err("it has more than 100 characters");
        }
        if !word
            .chars()
            .any(|c| c.is_alphanumeric() && !seen::is_unseen(c))
        {
            return Err("it needs a letter or a digit");
        }
        let pattern = |seen: &Seen| Self {
            word: seen.text().to_owned(),
            is_open_before,
            is_open_after,
        };
        seen.look_at(word, Case::Folded);
        let mut patterns = vec![pattern(seen)];
        if seen.has_two() {
            seen.look_at(word, Case::AsTyped);
            patterns.push(pattern(seen));
        }
        Ok(patterns)
    }
}

#[cfg(test)]
mod tests;
