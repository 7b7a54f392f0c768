//! Names of members and rooms: what they may be, and when two are the same.
//! Knows no member and no table.
//!
//! # The profile
//!
//! Near to the nickname profile of PRECIS (RFC 8266, on the framework of RFC 8264). It differs:
//!
//! - *Characters* are letters, marks and decimal digits, and `-_.`, not the whole FreeformClass
//!   with its symbols and punctuation: a nick is one word of a command line. So there is no space
//!   in it; those around it are dropped.
//! - *Which* letters, marks and digits: not those that UTS 39 (`IdentifierType`) calls
//!   Default_Ignorable, Not_Character, Deprecated or Exclusion. These are blank, or of scripts out
//!   of use whose letters few people can tell apart. Limited_Use stays: scripts of living
//!   languages, which `identifier_allowed` of the crate would refuse. Exclusion has one script with
//!   many writers, Mongolian, whose letters take their shape from neighbours and invisible
//!   selectors.
//! - *Marks* stand on a letter of their own script, at most four nonspacing ones in a row and none
//!   twice in a row (UTS 39 §5.4).
//! - *Joiners* are allowed where PRECIS allows them (CONTEXTJ; RFC 5892, appendix A.1 and A.2), but
//!   make no other name.
//! - *Shown* is the name in NFC, not in NFKC, which would take apart what Thai, Lao and Korean
//!   names are written with (U+0E33, U+0EB3, compatibility jamo). What the characters stand for in
//!   NFKC must be allowed too.
//! - *Compared* are names in NFKC as in RFC 8266, with all case folded, and as the skeleton of
//!   UTS 39, so that names that look alike are one.
//! - *Length* is 1–32 characters as shown. NFKC may make more of them for the comparison alone,
//!   which is not kept.

pub(super) mod look;
mod nearest;
mod rules;

use crate::carry::{Carry, Damaged, Reader, Writer, carried};
use smol_str::SmolStr;
use std::borrow::Borrow;
use std::fmt;
use unicode_normalization::UnicodeNormalization;

/// The longest name in characters.
const CHARS_MAX: usize = 32;

/// A member's name. It was checked: every client can be shown it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Nick(SmolStr);

/// Why a name is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NickRefused {
    Empty,
    TooLong,
    /// A character that is no letter, mark, digit, `-`, `_` or `.`, or one that cannot be seen.
    Character(char),
    /// A joiner where it changes nothing that is seen.
    Joiner(char),
    /// A mark without a letter before it.
    LooseMark,
    /// A mark on a letter of another script.
    ForeignMark(char),
    /// Too many nonspacing marks in a row, or one of them twice.
    Marks,
    /// Only punctuation.
    NoLetter,
    /// Another member has it, or one that looks the same.
    Taken,
    /// An account has it, or one that looks the same, and this user is not logged in to it.
    Reserved,
    /// Other servers share the chat and cannot be asked whether it is free.
    Unclaimed,
}

impl fmt::Display for NickRefused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("it is empty"),
            Self::TooLong => write!(f, "it has more than {CHARS_MAX} characters"),
            Self::Character(' ') => f.write_str("it must not contain a space"),
            Self::Character(c) if c.is_ascii_graphic() => write!(f, "it must not contain {c}"),
            Self::Character(c) => {
                write!(
                    f,
                    "it must not contain the character U+{:04X}",
                    u32::from(*c)
                )
            }
            Self::Joiner(c) => write!(
                f,
                "it must not contain the invisible character U+{:04X} there",
                u32::from(*c)
            ),
            Self::LooseMark => f.write_str("it has a combining mark without a letter before it"),
            Self::ForeignMark(c) => write!(
                f,
                "it has a combining mark on a letter of another script: U+{:04X}",
                u32::from(*c)
            ),
            Self::Marks => write!(
                f,
                "it has too many combining marks: at most {} on a letter, none twice",
                rules::MARKS_MAX
            ),
            Self::NoLetter => f.write_str("it needs a letter or a digit"),
            Self::Taken => f.write_str("somebody has it, or one that looks like it"),
            Self::Reserved => f.write_str("it is registered; log in to have it"),
            Self::Unclaimed => f.write_str(
                "the other servers cannot be asked for it at the moment; try again later",
            ),
        }
    }
}

carried!(enum NickRefused {
    0 = Empty,
    1 = TooLong,
    2 = Character(c),
    3 = Joiner(c),
    4 = LooseMark,
    5 = ForeignMark(c),
    6 = Marks,
    7 = NoLetter,
    8 = Taken,
    9 = Reserved,
    10 = Unclaimed,
});

/// It was parsed when it was taken, and is not again.
impl Carry for Nick {
    fn write(&self, to: &mut Writer) {
        self.0.write(to);
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, Damaged> {
        let name = SmolStr::read(from)?;
        if name.is_empty() || name.len() > Self::BYTES_MAX {
            return Err(Damaged("a nick is none"));
        }
        Ok(Self(name))
    }
}

impl Nick {
    /// The longest nick in bytes: a character has at most four.
    pub const BYTES_MAX: usize = 4 * CHARS_MAX;

    /// A name of 1–32 letters, marks and digits and `-_.`, as [the profile](self) has it, in
    /// Unicode's composed form (NFC). Spaces around it do not matter.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, NickRefused> {
        parse(text).map(Self)
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The same as entries and events have it.
    pub(super) const fn as_smol_str(&self) -> &SmolStr {
        &self.0
    }

    /// What distinguishes it, one or two strings: two nicks that share one are the same to a reader.
    pub(super) fn keys(&self) -> impl Iterator<Item = SmolStr> {
        look::keys(&self.0)
    }

    /// Whether it could be made up.
    pub(super) fn is_made_up(&self) -> bool {
        let number = self.0.strip_prefix("guest-");
        let is_digit = |c: char| matches!(c, '0'..='9' | 'a'..='f');
        number.is_some_and(|number| number.len() >= 4 && number.chars().all(is_digit))
    }

    /// A made-up nick.
    pub(super) fn guest(number: u32) -> Self {
        Self(smol_str::format_smolstr!("guest-{number:04x}"))
    }
}

/// Nicks are in the order of their texts.
impl Borrow<str> for Nick {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Nick {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A room's name: a name like a nick, folded, so that it is the same however it is typed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoomName(SmolStr);

impl RoomName {
    /// The longest room name in bytes: folding makes some characters two or three.
    pub const BYTES_MAX: usize = 3 * Nick::BYTES_MAX;

    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, NickRefused> {
        let name = parse(text)?;
        Ok(Self(if name.is_ascii() {
            name.to_ascii_lowercase().into()
        } else {
            look::fold(&name).nfc().collect()
        }))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name as rooms, entries and events have it.
    pub fn into_smol_str(self) -> SmolStr {
        self.0
    }
}

fn parse(text: &str) -> Result<SmolStr, NickRefused> {
    let text = text.trim_matches(' ');
    if text.is_empty() {
        return Err(NickRefused::Empty);
    }
    // Before anything is computed of it: composing makes at most four characters one.
    if text.chars().nth(4 * CHARS_MAX).is_some() {
        return Err(NickRefused::TooLong);
    }
    // ASCII is composed. Most names are ASCII, and tables take time.
    let name: SmolStr = if text.is_ascii() {
        text.into()
    } else {
        text.nfc().collect()
    };
    rules::check(&name)?;
    if name.chars().count() > CHARS_MAX {
        return Err(NickRefused::TooLong);
    }
    Ok(name)
}

carried!(struct RoomName(name));

#[cfg(test)]
mod tests;
