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
        let mut rest = folded.chars().peekable();
        while let Some(c) = rest.next() {
            let is_behind_letter = name
                .chars()
                .next_back()
                .is_some_and(|c| kind(c) == Kind::Letter);
            match c {
                // C++ and C#.
                '+' if is_behind_letter => {
                    name.push_str("plus");
                    if rest.next_if_eq(&'+').is_some() {
                        name.push_str("plus");
                    }
                }
                '#' if is_behind_letter => name.push_str("sharp"),
                '\'' | '\u{2019}' => {}
                c => match kind(c) {
                    Kind::Letter => name.push(c),
                    Kind::Mark | Kind::Punctuation if !name.is_empty() => name.push(c),
                    Kind::Refused if !name.is_empty() && !name.ends_with('-') => name.push('-'),
                    Kind::Mark | Kind::Punctuation | Kind::Joiner | Kind::Refused => {}
                },
            }
        }
        let short: String = name.chars().take(CHARS_MAX).collect();
        let short = short.trim_end_matches(['-', '.', '_']);
        // Marks may stand where they must not.
        Self::parse(short).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nearest_name_is_what_a_newcomer_means() {
        for (text, nearest) in [
            ("#general", "general"),
            ("##c", "c"),
            ("General chat", "general-chat"),
            ("  General  chat ", "general-chat"),
            ("#General chat!", "general-chat"),
            ("C++", "cplusplus"),
            ("c+", "cplus"),
            ("C#", "csharp"),
            ("f# and c++", "fsharp-and-cplusplus"),
            ("ann's room", "anns-room"),
            ("ann\u{2019}s room", "anns-room"),
            ("🎉 party 🎉", "party"),
            ("a/b", "a-b"),
            ("a%b&c=d?e", "a-b-c-d-e"),
            ("...dots...", "dots"),
            ("-a_b.c-", "a_b.c"),
            ("Ｆｕｌｌ　ｗｉｄｔｈ", "full-width"),
            ("日本 語", "日本-語"),
            ("Straße 7", "strasse-7"),
            ("a\u{200B}b", "a-b"),
            ("a\u{200D}b", "ab"),
            ("den", "den"),
            ("Den", "den"),
        ] {
            let found = RoomName::nearest(text);
            assert_eq!(
                found.as_ref().map(RoomName::as_str),
                Some(nearest),
                "{text}"
            );
        }
    }

    #[test]
    fn nothing_is_near_to_what_has_no_letter() {
        for text in [
            "", "   ", "🎉", "#", "+++", "...", "\u{0301}", "?!", "\u{200D}",
        ] {
            assert_eq!(RoomName::nearest(text), None, "{text:?}");
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
