//! When two names are the same to a reader: the keys of a name.
//! Knows no rule for what a name may be, and no table.

use super::rules::is_joiner;
use smol_str::SmolStr;
use std::borrow::Cow;
use unicase::UniCase;
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::canonical_combining_class;
use unicode_security::confusable_detection::skeleton;

/// What distinguishes a name, one or two strings: two names that share one are the same to a
/// reader.
///
/// The first is what is seen of the folded name. Folding it comes too late for letters that look
/// alike only as capitals, of which many scripts have some: a Greek Η is a Latin H to the eye, but
/// η is no h. So what is seen of the name as it is typed is a key too, where it differs.
pub(super) fn keys(name: &str) -> impl Iterator<Item = SmolStr> {
    let (key, as_typed) = if name.is_ascii() {
        // Of ASCII both are the same.
        (ascii_key(name), None)
    } else {
        let name = without_joiners(name);
        let key = look(&fold(&name));
        let as_typed = Some(look(&name)).filter(|look| *look != key);
        (key, as_typed)
    };
    std::iter::once(key).chain(as_typed)
}

/// A name however it is typed: without joiners, compatibility forms (NFKC) and case.
pub(in crate::chat) fn fold(name: &str) -> String {
    let name = without_joiners(name);
    UniCase::unicode(name.nfkc().collect::<String>()).to_folded_case()
}

/// Joiners change how letters are drawn, often hardly: they make no other name.
fn without_joiners(name: &str) -> Cow<'_, str> {
    if name.contains(is_joiner) {
        Cow::Owned(name.chars().filter(|c| !is_joiner(*c)).collect())
    } else {
        Cow::Borrowed(name)
    }
}

/// What is seen of a name: characters that look alike are one (the skeleton of UTS 39), and so is
/// case. A capital I looks like a small l and is a small i, so these two are one as well.
pub(in crate::chat) fn look(name: &str) -> SmolStr {
    // Folding may bring out what the skeleton replaces, and the other way round.
    let folded = fold(&skeleton(name).collect::<String>());
    let seen = skeleton(&folded).map(|c| if c == 'i' { 'l' } else { c });
    without_hidden_dots(seen).collect()
}

/// Drops the dot above a letter that has one already: an i with a dot is an i (UTS 39 §5.4). The
/// folded capital İ of Turkish is one of these. Behind another mark above, the dot is seen.
fn without_hidden_dots(characters: impl Iterator<Item = char>) -> impl Iterator<Item = char> {
    const DOT_ABOVE: char = '\u{307}';
    let mut hides_dot = false;
    characters.filter(move |c| {
        let is_hidden = hides_dot && *c == DOT_ABOVE;
        match canonical_combining_class(*c) {
            0 => hides_dot = matches!(c, 'l' | 'j'),
            class if class == canonical_combining_class(DOT_ABOVE) => hides_dot &= is_hidden,
            _ => {}
        }
        !is_hidden
    })
}

/// The key of an ASCII name, without tables: there, few characters look like another.
pub(super) fn ascii_key(name: &str) -> SmolStr {
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
