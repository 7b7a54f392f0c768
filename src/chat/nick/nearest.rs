//! The name that a room can have and that is nearest to one it cannot have: what newcomers type
//! first, such as `#General chat`. Only a suggestion: a room is never opened under another name than
//! was asked for.

use super::rules::{Kind, kind};
use super::{CHARS_MAX, RoomName, look};

impl RoomName {
    /// The nearest name to a text that [`RoomName::parse`] refuses; `None`: nothing of it could be
    /// in a name. A good name is its own nearest.
    pub fn nearest(text: &str) -> Option<Self> {
        // Folding makes more characters of some, but never so many.
        let text: String = text.chars().take(8 * CHARS_MAX).collect();
        let folded = look::fold(&text);
        let mut name = String::with_capacity(folded.len());
        // Whether the name ends with the hyphen for characters that it cannot have.
        let mut is_joined = false;
        for c in folded.chars() {
            let last = name.chars().next_back();
            let is_behind_letter = last.is_some_and(|c| kind(c) == Kind::Letter);
            match c {
                // C++ and C#.
                '+' if is_behind_letter => name.push_str("plus"),
                '#' if is_behind_letter => name.push_str("sharp"),
                '\'' | '\u{2019}' => continue,
                '-' if is_joined => continue,
                c => match kind(c) {
                    Kind::Letter => name.push(c),
                    Kind::Mark | Kind::Punctuation if !name.is_empty() => name.push(c),
                    Kind::Refused if !name.is_empty() => {
                        name.truncate(name.trim_end_matches('-').len());
                        name.push('-');
                        is_joined = true;
                        continue;
                    }
                    Kind::Mark | Kind::Punctuation | Kind::Joiner | Kind::Refused => continue,
                },
            }
            is_joined = false;
        }
        let short: String = name.chars().take(CHARS_MAX).collect();
        let short = short.trim_end_matches(['-', '.', '_']);
        // Marks may stand where they must not.
        Self::parse(short).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Nick, NickRefused};
    use super::*;
    use serde_json::Value;

    /// The page has these rules too, to offer a good name while one is typed. Its tests read the
    /// same file.
    fn shared(list: &str) -> Vec<Value> {
        let text = include_str!("../../../tests/page/names.json");
        let mut lists: Value = serde_json::from_str(text).expect("JSON");
        match lists[list].take() {
            Value::Array(cases) if cases.len() > 2 => cases,
            other => panic!("{list} is {other}"),
        }
    }

    #[track_caller]
    fn text(value: &Value) -> &str {
        value.as_str().expect("a text")
    }

    #[test]
    fn names_are_allowed_and_refused_as_the_page_says() {
        for name in shared("allowed") {
            Nick::parse(text(&name)).expect("allowed");
        }
        for case in shared("refused") {
            let refused = Nick::parse(text(&case[0])).expect_err("refused");
            let problem = match refused {
                NickRefused::Empty => "empty",
                NickRefused::TooLong => "long",
                NickRefused::NoLetter => "letter",
                NickRefused::Character(c) if c.is_whitespace() => "space",
                NickRefused::Character(_) => "character",
                other => panic!("{case}: {other:?}"),
            };
            assert_eq!(problem, case[1], "{case}");
        }
        for name in shared("refused_by_the_server") {
            Nick::parse(text(&name)).expect_err("refused");
        }
    }

    #[test]
    fn rooms_have_the_name_that_the_page_computes() {
        for case in shared("rooms") {
            let name = RoomName::parse(text(&case[0])).expect("a good name");
            assert_eq!(name.as_str(), case[1], "{case}");
        }
    }

    #[test]
    fn nearest_name_is_what_a_newcomer_means_and_the_page_offers() {
        for case in shared("nearest") {
            let found = RoomName::nearest(text(&case[0]));
            let found = found.as_ref().map(RoomName::as_str);
            assert_eq!(found, case[1].as_str(), "{case}");
        }
    }

    #[test]
    fn nearest_name_is_good_whatever_the_text() {
        let long = "a b".repeat(1_000);
        let marks = "e\u{0301}\u{0301}\u{0301}\u{0301}\u{0301}\u{0301}";
        let expanding = "\u{FDFA}".repeat(100);
        for text in [long.as_str(), marks, &expanding, "\u{202E}live", "a\u{0}b"] {
            let Some(nearest) = RoomName::nearest(text) else {
                continue;
            };
            assert_eq!(
                RoomName::parse(nearest.as_str()),
                Ok(nearest.clone()),
                "{text:?}"
            );
            assert_eq!(
                RoomName::nearest(nearest.as_str()),
                Some(nearest),
                "{text:?}"
            );
        }
        assert!(RoomName::nearest(&long).is_some());
    }
}
