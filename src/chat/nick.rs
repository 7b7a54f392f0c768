//! Names of members and rooms: what they may be, and when two are the same.
//! Knows no member and no table.

use smol_str::SmolStr;
use std::fmt;
use std::hash::Hasher;
use unicase::UniCase;
use unicode_normalization::UnicodeNormalization;
use unicode_properties::{GeneralCategoryGroup, UnicodeGeneralCategory};
use unicode_security::confusable_detection::skeleton;

/// The longest name in characters.
const CHARS_MAX: usize = 32;

/// Marks that may follow one character: two are usual in some scripts, a tower of them is a prank.
const MARKS_MAX: usize = 3;

/// A member's name. It has been looked at: everybody can be shown it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Nick(SmolStr);

/// Why a name cannot be had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NickRefused {
    Empty,
    TooLong,
    /// A character that is no letter, mark, digit, `-`, `_` or `.`.
    Character(char),
    /// A mark with nothing to stand on, or too many on one character.
    Marks,
    /// Only punctuation.
    NoLetter,
    /// Somebody has it, or one that looks the same.
    Taken,
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
            Self::Marks => f.write_str("its accents have no letter to stand on"),
            Self::NoLetter => f.write_str("it needs a letter or a digit"),
            Self::Taken => f.write_str("somebody has it, or one that looks like it"),
        }
    }
}

impl Nick {
    /// A name of 1–32 letters, marks and digits of any script and `-_.`, in Unicode's composed
    /// form (NFC). Spaces around it do not matter.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, NickRefused> {
        parse(text).map(Self)
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What tells it apart, one or two strings: two names that share one are the same to a reader.
    /// See [`key`] and [`look`].
    pub(super) fn keys(&self) -> impl Iterator<Item = SmolStr> {
        let key = key(&self.0);
        // Of ASCII both are the same.
        let seen = (!self.0.is_ascii()).then(|| look(&self.0));
        let as_typed = seen.filter(|seen| *seen != key);
        std::iter::once(key).chain(as_typed)
    }

    /// A made-up one.
    pub(super) fn guest(number: u32) -> Self {
        Self(smol_str::format_smolstr!("guest-{number:04x}"))
    }
}

impl fmt::Display for Nick {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A room's name: a name like a nick, case folded, so that it is the same however it is typed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoomName(SmolStr);

impl RoomName {
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, NickRefused> {
        let name = parse(text)?;
        Ok(Self(if name.is_ascii() {
            name.to_ascii_lowercase().into()
        } else {
            fold(&name).nfc().collect()
        }))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub(super) fn into_inner(self) -> SmolStr {
        self.0
    }
}

fn parse(text: &str) -> Result<SmolStr, NickRefused> {
    let text = text.trim_matches(' ');
    if text.is_empty() {
        return Err(NickRefused::Empty);
    }
    // Before anything is computed of it: composing shortens by no more than this.
    if text.chars().nth(4 * CHARS_MAX).is_some() {
        return Err(NickRefused::TooLong);
    }
    // ASCII is composed; most names are ASCII, and tables take their time.
    let name: SmolStr = if text.is_ascii() {
        text.into()
    } else {
        text.nfc().collect()
    };
    let mut marks = MARKS_MAX;
    let mut has_letter = false;
    for c in name.chars() {
        match kind(c) {
            Kind::Letter => {
                has_letter = true;
                marks = 0;
            }
            Kind::Punctuation => marks = MARKS_MAX,
            Kind::Mark => {
                marks += 1;
                if marks > MARKS_MAX {
                    return Err(NickRefused::Marks);
                }
            }
            Kind::Other => return Err(NickRefused::Character(c)),
        }
    }
    if name.chars().count() > CHARS_MAX {
        return Err(NickRefused::TooLong);
    }
    if !has_letter {
        return Err(NickRefused::NoLetter);
    }
    Ok(name)
}

enum Kind {
    Letter,
    Mark,
    Punctuation,
    Other,
}

fn kind(c: char) -> Kind {
    use unicode_properties::GeneralCategory::{DecimalNumber, EnclosingMark};
    if c.is_ascii_alphanumeric() {
        return Kind::Letter;
    }
    if matches!(c, '-' | '_' | '.') {
        return Kind::Punctuation;
    }
    if is_invisible(c) {
        return Kind::Other;
    }
    match c.general_category() {
        DecimalNumber => Kind::Letter,
        EnclosingMark => Kind::Other,
        _ => match c.general_category_group() {
            GeneralCategoryGroup::Letter => Kind::Letter,
            GeneralCategoryGroup::Mark => Kind::Mark,
            GeneralCategoryGroup::Number
            | GeneralCategoryGroup::Punctuation
            | GeneralCategoryGroup::Symbol
            | GeneralCategoryGroup::Separator
            | GeneralCategoryGroup::Other => Kind::Other,
        },
    }
}

/// Letters and marks by their category, but drawn as nothing: a name made of them is no name, and
/// one with them looks like another's (Unicode: Default_Ignorable_Code_Point, and blank letters).
const fn is_invisible(c: char) -> bool {
    matches!(
        c,
        '\u{034F}'
            | '\u{115F}'..='\u{1160}'
            | '\u{17B4}'..='\u{17B5}'
            | '\u{180B}'..='\u{180F}'
            | '\u{2800}'
            | '\u{3164}'
            | '\u{FE00}'..='\u{FE0F}'
            | '\u{FFA0}'
            | '\u{E0000}'..='\u{E0FFF}'
    )
}

fn fold(name: &str) -> String {
    UniCase::unicode(name.nfkc().collect::<String>()).to_folded_case()
}

/// Two names with the same key are the same, however they are typed: compatibility forms and case are folded,
/// and characters that look alike are one (the skeleton of Unicode TS 39). A capital I looks like
/// a small l and is a small i: so those two are one as well.
fn key(name: &str) -> SmolStr {
    if name.is_ascii() {
        ascii_key(name)
    } else {
        unicode_key(name)
    }
}

fn unicode_key(name: &str) -> SmolStr {
    look(&fold(name))
}

/// What is seen of a name. Folding it first comes too late for letters that look alike only as
/// capitals, of which many scripts have some: a Greek Η is a Latin H to the eye, but η is no h. So
/// what is seen before any folding tells names apart too.
fn look(name: &str) -> SmolStr {
    // Folding may bring out what the skeleton replaces, and the other way round.
    let folded = fold(&skeleton(name).collect::<String>());
    skeleton(&folded)
        .map(|c| if c == 'i' { 'l' } else { c })
        .collect()
}

/// The same for ASCII, without tables: there, few characters look like another.
fn ascii_key(name: &str) -> SmolStr {
    let mut key = String::with_capacity(name.len() + 4);
    for c in name.chars() {
        match c.to_ascii_lowercase() {
            '0' => key.push('o'),
            '1' | 'i' => key.push('l'),
            'm' => key.push_str("rn"),
            other => key.push(other),
        }
    }
    key.into()
}

/// The hash of a key, in 32 bits.
pub(super) fn hash(key: &str, mut hasher: impl Hasher) -> u32 {
    hasher.write(key.as_bytes());
    hasher.finish() as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> String {
        Nick::parse(text).expect_err(text).to_string()
    }

    #[test]
    fn names_of_every_script_are_fine() {
        for name in [
            "ann",
            "Jean-Luc",
            "名前",
            "Αννα",
            "שרה",
            "मीरा",
            "عمر",
            "x_1.2",
            "٣",
            "Zoë",
        ] {
            assert_eq!(
                Nick::parse(name).map(|nick| nick.to_string()).as_deref(),
                Ok(name)
            );
        }
        assert_eq!(
            Nick::parse("  ann ")
                .map(|nick| nick.to_string())
                .as_deref(),
            Ok("ann")
        );
    }

    #[test]
    fn a_name_is_kept_in_its_composed_form() {
        assert_eq!(
            Nick::parse("Zoe\u{308}").expect("a name").as_str(),
            "Zo\u{eb}"
        );
    }

    #[test]
    fn the_longest_name_has_32_characters() {
        assert!(Nick::parse(&"名".repeat(32)).is_ok());
        assert_eq!(refused(&"名".repeat(33)), "it has more than 32 characters");
        assert_eq!(
            refused(&"x".repeat(100_000)),
            "it has more than 32 characters"
        );
    }

    #[test]
    fn what_is_wrong_with_a_name_is_said() {
        assert_eq!(refused(""), "it is empty");
        assert_eq!(refused("a b"), "it must not contain a space");
        assert_eq!(refused("a:b"), "it must not contain :");
        assert_eq!(
            refused("a\u{202e}b"),
            "it must not contain the character U+202E"
        );
        assert_eq!(
            refused("a\u{200b}b"),
            "it must not contain the character U+200B"
        );
        assert_eq!(
            refused("a\u{200d}b"),
            "it must not contain the character U+200D"
        );
        assert_eq!(
            refused("a\u{a0}b"),
            "it must not contain the character U+00A0"
        );
        assert_eq!(refused("a\nb"), "it must not contain the character U+000A");
        assert_eq!(
            refused("\u{3164}"),
            "it must not contain the character U+3164"
        );
        assert_eq!(refused("😀"), "it must not contain the character U+1F600");
        assert_eq!(refused("-_."), "it needs a letter or a digit");
        assert_eq!(
            refused("\u{301}a"),
            "its accents have no letter to stand on"
        );
        assert_eq!(
            refused("x\u{323}\u{324}\u{325}\u{326}"),
            "its accents have no letter to stand on"
        );
    }

    #[test]
    fn names_that_look_the_same_have_the_same_key() {
        for (one, other) in [
            ("ann", "ANN"),
            ("ann", "ａｎｎ"),
            ("ann", "\u{430}nn"),
            ("paypal", "раураl"),
            ("straße", "STRASSE"),
            ("modern", "modem"),
            ("o0", "0o"),
            ("Bill", "BiII"),
            ("ﬁn", "fin"),
        ] {
            assert_eq!(key(one), key(other), "{one} and {other}");
        }
        assert_ne!(key("ann"), key("anna"));
        assert_ne!(key("名前"), key("名"));
    }

    #[test]
    fn capitals_of_another_script_share_a_key_with_what_they_look_like() {
        let keys = |name| Nick::parse(name).expect(name).keys().collect::<Vec<_>>();
        for (one, other) in [
            ("\u{397}ANS", "HANS"),
            ("\u{397}ANS", "hans"),
            ("\u{397}\u{3bb}\u{3b9}", "\u{3b7}\u{3bb}\u{3b9}"),
            ("\u{412}\u{41e}\u{412}", "BOB"),
            ("\u{41c}\u{410}\u{425}", "max"),
        ] {
            let others = keys(other);
            assert!(
                keys(one).iter().any(|key| others.contains(key)),
                "{one} and {other}"
            );
        }
        let others = keys("anna");
        assert!(!keys("αννα").iter().any(|key| others.contains(key)));
        assert_eq!(keys("ann").len(), 1);
    }

    /// The short way for ASCII says what the long way would have said.
    #[test]
    fn the_key_of_ascii_names_is_the_unicode_key() {
        let names = (0x2d..=0x7a_u8)
            .map(char::from)
            .filter(|c| !matches!(kind(*c), Kind::Other));
        // Miri takes its time: there, some of them will do.
        let step = if cfg!(miri) { 13 } else { 1 };
        for a in names.clone().step_by(step) {
            for b in names.clone().step_by(step) {
                for name in [format!("{a}"), format!("{a}{b}"), format!("x{b}{a}y")] {
                    assert_eq!(ascii_key(&name), unicode_key(&name), "{name}");
                    assert_eq!(ascii_key(&name), look(&name), "{name}");
                }
            }
        }
    }

    #[test]
    fn a_room_is_the_same_however_it_is_typed() {
        assert_eq!(RoomName::parse("Lobby"), RoomName::parse("LOBBY"));
        assert!(RoomName::parse("a/b").is_err());
        assert!(RoomName::parse("").is_err());
    }

    #[test]
    fn a_name_may_be_written_with_loose_accents_to_its_full_length() {
        let name = Nick::parse(&"u\u{308}\u{304}".repeat(CHARS_MAX)).expect("a name");
        assert_eq!(name.as_str(), "\u{1d6}".repeat(CHARS_MAX));
    }

    #[test]
    fn as_many_marks_as_a_script_may_need_are_allowed_and_no_more() {
        let name = |marks: usize| format!("x{}", "\u{301}".repeat(marks));
        assert!(Nick::parse(&name(MARKS_MAX)).is_ok());
        assert_eq!(Nick::parse(&name(MARKS_MAX + 1)), Err(NickRefused::Marks));
    }

    #[test]
    fn a_mark_that_encloses_is_no_part_of_a_name() {
        assert_eq!(
            Nick::parse("a\u{20dd}"),
            Err(NickRefused::Character('\u{20dd}'))
        );
    }

    #[test]
    fn a_rooms_name_is_what_it_is_called() {
        let name = RoomName::parse("Lobby").expect("a name");
        assert_eq!(name.as_str(), "lobby");
    }
}
