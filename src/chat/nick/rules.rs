//! What a name may be made of: which characters, and where marks and joiners may stand.
//! Decides by the Unicode tables of its crates, not by lists of its own; the profile that these
//! rules make up is described at [the nick](super). Knows no key and no owner.

use super::NickRefused;
use unicode_joining_type::{JoiningType, get_joining_type};
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::canonical_combining_class;
use unicode_properties::{GeneralCategory, GeneralCategoryGroup, UnicodeGeneralCategory};
use unicode_script::{Script, UnicodeScript};
use unicode_security::GeneralSecurityProfile;
use unicode_security::general_security_profile::IdentifierType;

/// Nonspacing marks in a row: the bound of UTS 39 §5.4. No language is known to need more.
pub(super) const MARKS_MAX: usize = 4;

/// The combining class of a virama, the sign that joins two consonants (RFC 5892, appendix A.1).
const VIRAMA: u8 = 9;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A letter or a decimal digit: a name needs one, and a mark needs one before it.
    Letter,
    Mark,
    Punctuation,
    /// ZERO WIDTH JOINER or ZERO WIDTH NON-JOINER.
    Joiner,
    Refused,
}

pub(super) fn kind(c: char) -> Kind {
    if c.is_ascii() {
        return match c {
            '-' | '_' | '.' => Kind::Punctuation,
            c if c.is_ascii_alphanumeric() => Kind::Letter,
            _ => Kind::Refused,
        };
    }
    if is_joiner(c) {
        return Kind::Joiner;
    }
    if is_refused_by_type(c) {
        return Kind::Refused;
    }
    match c.general_category() {
        GeneralCategory::DecimalNumber => Kind::Letter,
        // It is drawn around the letter and often around its neighbours too.
        GeneralCategory::EnclosingMark => Kind::Refused,
        _ => match c.general_category_group() {
            GeneralCategoryGroup::Letter => Kind::Letter,
            GeneralCategoryGroup::Mark => Kind::Mark,
            GeneralCategoryGroup::Number
            | GeneralCategoryGroup::Punctuation
            | GeneralCategoryGroup::Symbol
            | GeneralCategoryGroup::Separator
            | GeneralCategoryGroup::Other => Kind::Refused,
        },
    }
}

/// What UTS 39 says about a character in identifiers (table 1). Some 180 characters have several
/// types there and none in the crate; their category decides.
fn is_refused_by_type(c: char) -> bool {
    match c.identifier_type() {
        // Drawn as nothing; no character at all; replaced by others; of a script that is out of
        // use, among whose letters are blank ones (U+13441).
        Some(
            IdentifierType::Default_Ignorable
            | IdentifierType::Not_Character
            | IdentifierType::Deprecated
            | IdentifierType::Exclusion,
        ) => true,
        Some(
            // Scripts of living languages: Cherokee, N'Ko, Tifinagh, Syriac, Javanese, Yi, Adlam.
            IdentifierType::Limited_Use
            | IdentifierType::Recommended
            | IdentifierType::Inclusion
            | IdentifierType::Uncommon_Use
            | IdentifierType::Technical
            | IdentifierType::Obsolete
            // The characters it stands for are checked as well.
            | IdentifierType::Not_NFKC
            // Symbols and punctuation, which the category refuses.
            | IdentifierType::Not_XID,
        )
        | None => false,
    }
}

pub(super) const fn is_joiner(c: char) -> bool {
    matches!(c, NON_JOINER | JOINER)
}

const NON_JOINER: char = '\u{200C}';
const JOINER: char = '\u{200D}';

/// Checks a name in its composed form (NFC), which is how it is shown. Its length is not checked.
pub(super) fn check(name: &str) -> Result<(), NickRefused> {
    check_characters(name)?;
    if name.is_ascii() {
        return Ok(());
    }
    check_marks(name)?;
    check_joiners(name)
}

/// Each character must be allowed as it is shown, and so must what it stands for (NFKC).
fn check_characters(name: &str) -> Result<(), NickRefused> {
    let is_refused = |c: char| {
        kind(c) == Kind::Refused || !c.is_ascii() && c.nfkc().any(|c| kind(c) == Kind::Refused)
    };
    match name.chars().find(|c| is_refused(*c)) {
        Some(c) => Err(NickRefused::Character(c)),
        None if name.chars().any(|c| kind(c) == Kind::Letter) => Ok(()),
        // A mark alone is refused for what it is.
        None if name.chars().any(|c| kind(c) == Kind::Mark) => Err(NickRefused::LooseMark),
        None => Err(NickRefused::NoLetter),
    }
}

/// A mark needs a letter of its own script before it: on another it is drawn as nothing or
/// anywhere. Of nonspacing marks there are at most [`MARKS_MAX`] in a row, and never the same one
/// twice in a row (UTS 39 §5.4, in its decomposed form). Marks that take a place of their own, as
/// many vowel signs do, are as many as the name has places.
fn check_marks(name: &str) -> Result<(), NickRefused> {
    let mut letter = None;
    let mut row = 0;
    let mut last = None;
    for c in name.nfkd().filter(|c| !is_joiner(*c)) {
        match kind(c) {
            Kind::Mark => {
                let Some(letter) = letter else {
                    return Err(NickRefused::LooseMark);
                };
                if !belongs_to(c, letter) {
                    return Err(NickRefused::ForeignMark(c));
                }
            }
            Kind::Letter => letter = Some(c),
            Kind::Punctuation | Kind::Joiner | Kind::Refused => letter = None,
        }
        if c.general_category() != GeneralCategory::NonspacingMark {
            (row, last) = (0, None);
            continue;
        }
        row += 1;
        if row > MARKS_MAX || last == Some(c) {
            return Err(NickRefused::Marks);
        }
        last = Some(c);
    }
    Ok(())
}

/// Whether a mark can stand on a letter: it is of no script in particular, or of the letter's.
fn belongs_to(mark: char, letter: char) -> bool {
    match mark.script() {
        Script::Common | Script::Inherited => true,
        script => letter.script_extension().contains_script(script),
    }
}

/// A joiner may stand where the rules CONTEXTJ of IDNA let it (UTS 46; RFC 5892, appendix A.1 and
/// A.2): where it changes how the letters beside it are drawn.
fn check_joiners(name: &str) -> Result<(), NickRefused> {
    for (at, c) in name.char_indices().filter(|(_, c)| is_joiner(*c)) {
        let (before, after) = (&name[..at], &name[at + c.len_utf8()..]);
        let last = before.chars().next_back();
        let follows_virama = last.is_some_and(|last| canonical_combining_class(last) == VIRAMA);
        let is_needed = follows_virama || c == NON_JOINER && splits_joined_letters(before, after);
        if !is_needed {
            return Err(NickRefused::Joiner(c));
        }
    }
    Ok(())
}

/// Whether the letters on both sides would be joined, as in Arabic script.
fn splits_joined_letters(before: &str, after: &str) -> bool {
    use JoiningType::{DualJoining, LeftJoining, RightJoining};
    let joining = |c: char| get_joining_type(c);
    let is_opaque = |joining: &JoiningType| *joining != JoiningType::Transparent;
    let before = before.chars().rev().map(joining).find(is_opaque);
    let after = after.chars().map(joining).find(is_opaque);
    matches!(before, Some(LeftJoining | DualJoining))
        && matches!(after, Some(RightJoining | DualJoining))
}
