//! A text as it is seen, for comparison: without case, marks and what is invisible, and with one
//! character for all that look like it, as nicks are compared (`nick::look`). Remembers which part of
//! the text is seen as what. Knows no word.

use crate::chat::nick::look;
use smol_str::SmolStr;
use std::collections::HashMap;
use unicode_normalization::UnicodeNormalization;
use unicode_properties::{GeneralCategory, UnicodeGeneralCategory};
use unicode_script::{Script, UnicodeScript};

/// Characters whose look is remembered: as many as a community of several scripts uses, in less than
/// a megabyte.
const REMEMBERED_MAX: usize = 8192;

/// When case is dropped. Some letters look alike only as capitals, so that a text has two looks, as a
/// nick has two keys: a Greek Η is a Latin H to the eye, but its small letter is no h.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Case {
    /// Before letters are compared.
    Folded,
    /// After.
    AsTyped,
}

/// The text that was looked at last.
#[derive(Clone, Debug, Default)]
pub(super) struct Seen {
    text: String,
    /// Each character that is seen: where it begins in `text`, and where in the text that was looked
    /// at, with the character itself.
    characters: Vec<(u32, u32, char)>,
    /// Behind the last character of the text that was looked at that is seen.
    end: u32,
    /// A character of it has another look in the other case.
    has_two: bool,
    /// Folded and as typed. Computing them takes a microsecond.
    looks: HashMap<char, [SmolStr; 2]>,
}

/// A part of the text that was looked at.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) from: usize,
    pub(super) to: usize,
    /// The characters around it that are seen.
    pub(super) before: Option<char>,
    pub(super) after: Option<char>,
}

impl Seen {
    /// `text` must be shorter than 4 GiB, as every message is.
    pub(super) fn look_at(&mut self, text: &str, case: Case) {
        self.has_two = false;
        self.text.clear();
        self.characters.clear();
        let mut is_in_space = false;
        for (at, c) in text.char_indices() {
            if is_unseen(c) {
                continue;
            }
            let is_space = c.is_whitespace();
            // Much space is seen as one.
            if !(is_space && is_in_space) {
                self.characters.push((self.text.len() as u32, at as u32, c));
                self.push_look(c, case);
                if self
                    .characters
                    .last()
                    .is_some_and(|last| last.0 as usize == self.text.len())
                {
                    // Nothing of it is seen.
                    self.characters.pop();
                }
            }
            is_in_space = is_space;
            self.end = (at + c.len_utf8()) as u32;
        }
    }

    fn push_look(&mut self, c: char, case: Case) {
        match c {
            '0' => self.text.push('o'),
            '1' | '|' | 'i' | 'I' => self.text.push('l'),
            'm' | 'M' => self.text.push_str("rn"),
            c if c.is_whitespace() => self.text.push(' '),
            c if c.is_ascii() => self.text.push(c.to_ascii_lowercase()),
            c => {
                if let Some(looks) = self.looks.get(&c) {
                    self.has_two |= looks[0] != looks[1];
                    self.text.push_str(&looks[case as usize]);
                    return;
                }
                let looks = looks_of(c);
                self.has_two |= looks[0] != looks[1];
                self.text.push_str(&looks[case as usize]);
                if self.looks.len() < REMEMBERED_MAX {
                    self.looks.insert(c, looks);
                }
            }
        }
    }

    /// Whether the text has another look in the other case.
    pub(super) const fn has_two(&self) -> bool {
        self.has_two
    }

    /// As it is seen.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// Which part of the text that was looked at is seen as this part. `None`: it begins or ends
    /// within a character that is seen as several.
    pub(super) fn place(&self, from: usize, to: usize) -> Option<Place> {
        let index = |at: usize| {
            let begins = |character: &(u32, u32, char)| character.0 as usize;
            self.characters.binary_search_by_key(&at, begins).ok()
        };
        let first = index(from)?;
        let next = if to == self.text.len() {
            self.characters.len()
        } else {
            index(to)?
        };
        let after = self.characters.get(next);
        let before = first.checked_sub(1).map(|index| self.characters[index].2);
        Some(Place {
            from: self.characters[first].1 as usize,
            to: after.map_or(self.end, |after| after.1) as usize,
            before,
            after: after.map(|after| after.2),
        })
    }
}

/// One character that is not ASCII, as it is seen, by [`Case`]. A mark on it is not.
fn looks_of(c: char) -> [SmolStr; 2] {
    let mut bytes = [0; 4];
    let typed: &str = c.encode_utf8(&mut bytes);
    let without_marks =
        |look: SmolStr| -> SmolStr { look.nfd().filter(|c| !is_unseen(*c)).collect() };
    [
        without_marks(look::look(&look::fold(typed))),
        without_marks(look::look(typed)),
    ]
}

/// Whether a character is invisible, or a mark that may stand on any letter. Marks of one script are
/// part of what is written in it.
pub(super) fn is_unseen(c: char) -> bool {
    if c.is_ascii() {
        return c.is_control() && !c.is_whitespace();
    }
    match c {
        // Fillers of Hangul, which are letters.
        '\u{115F}' | '\u{1160}' | '\u{3164}' | '\u{FFA0}' => true,
        // The marks that make other syllables of Japanese ones.
        '\u{3099}' | '\u{309A}' => false,
        c => match c.general_category() {
            GeneralCategory::Format | GeneralCategory::Control => !c.is_whitespace(),
            GeneralCategory::NonspacingMark | GeneralCategory::EnclosingMark => {
                matches!(c.script(), Script::Inherited | Script::Common)
            }
            _ => false,
        },
    }
}
