//! What a message may contain. Knows no member and no room.

use std::borrow::Cow;

/// A message without what no person types: control characters other than line feed and tab are
/// removed (so CR LF is one line break). All else passes unchanged: any script, emoji,
/// right-to-left. `None`: only space is left.
pub(super) fn clean(text: &str) -> Option<Cow<'_, str>> {
    let unwanted = |c: char| c.is_control() && c != '\n' && c != '\t';
    let text = if text.contains(unwanted) {
        Cow::Owned(text.chars().filter(|c| !unwanted(*c)).collect())
    } else {
        Cow::Borrowed(text)
    };
    (!text.trim().is_empty()).then_some(text)
}

/// What a member wrote, as it is shown in a refusal to the same member: one line, and short.
pub(super) fn excerpt(word: &str) -> String {
    const CHARS_MAX: usize = 40;
    let mut characters = word.chars().filter(|c| !is_unwanted_in_line(*c));
    let mut excerpt: String = characters.by_ref().take(CHARS_MAX).collect();
    if characters.next().is_some() {
        excerpt.push('…');
    }
    excerpt
}

/// A reason or a last word, as the room is shown it: one line, and short.
pub(super) fn remark(text: &str) -> String {
    const CHARS_MAX: usize = 200;
    line(text, CHARS_MAX)
}

/// A text as one line of at most so many characters.
pub(super) fn line(text: &str, chars_max: usize) -> String {
    let line = text.chars().map(|c| match c {
        '\n' | '\t' | '\u{2028}' | '\u{2029}' => ' ',
        other => other,
    });
    let line: String = line
        .filter(|c| !is_unwanted_in_line(*c))
        .take(chars_max)
        .collect();
    line.trim().to_owned()
}

/// Control characters, and the line and paragraph separators, which have categories of their own.
fn is_unwanted_in_line(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}' | '\u{2029}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_script_passes_unchanged() {
        for text in [
            "hello",
            "你好，世界",
            "שלום עולם",
            "👩‍👩‍👧 ❤️",
            "tab\there\nand there",
            "e\u{301}",
        ] {
            assert!(matches!(clean(text), Some(Cow::Borrowed(same)) if same == text));
        }
    }

    /// The page cleans a text before it shows it as being sent. Its tests read the same file.
    #[test]
    fn control_characters_are_removed_and_space_alone_is_none_as_in_the_page() {
        let shared = include_str!("../../tests/page/names.json");
        let shared: serde_json::Value = serde_json::from_str(shared).expect("JSON");
        let texts = shared["texts"].as_array().expect("cases");
        assert!(texts.len() > 10);
        for case in texts {
            let cleaned = clean(case[0].as_str().expect("a text"));
            assert_eq!(cleaned.as_deref(), case[1].as_str(), "{case}");
        }
    }

    #[test]
    fn excerpts_and_remarks_have_no_line_break_of_any_kind() {
        for c in ['\n', '\u{2028}', '\u{2029}', '\u{b}', '\u{85}'] {
            let text = format!("bye{c}bob: no");
            for line in [remark(&text), excerpt(&text)] {
                assert!(!line.contains(c), "{line:?}");
                assert!(line.starts_with("bye") && line.ends_with("bob: no"));
            }
        }
    }

    #[test]
    fn excerpts_and_remarks_are_cut_to_one_short_line() {
        assert_eq!(excerpt("a\nb"), "ab");
        assert_eq!(excerpt(&"x".repeat(50)).chars().count(), 41);
        assert_eq!(remark(" too\nloud\u{7} "), "too loud");
        assert_eq!(remark(&"x".repeat(500)).len(), 200);
    }
}
