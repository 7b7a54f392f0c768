//! What a message may contain. Knows no member and no room.

use std::borrow::Cow;

/// A message without what no person types: control characters other than newline and tab are
/// removed (CR LF is one newline). All else passes as it is: any script, emoji, right-to-left.
/// `None`: nothing that could be seen is left.
pub(super) fn clean(text: &str) -> Option<Cow<'_, str>> {
    let unwanted = |c: char| c.is_control() && c != '\n' && c != '\t';
    let text = if text.contains(unwanted) {
        Cow::Owned(text.chars().filter(|c| !unwanted(*c)).collect())
    } else {
        Cow::Borrowed(text)
    };
    (!text.trim().is_empty()).then_some(text)
}

/// A word of somebody's that is shown in an answer to them: one line, and not long.
pub(super) fn excerpt(word: &str) -> String {
    const CHARS_MAX: usize = 40;
    let mut characters = word.chars().filter(|c| !is_unwanted_in_line(*c));
    let mut excerpt: String = characters.by_ref().take(CHARS_MAX).collect();
    if characters.next().is_some() {
        excerpt.push('…');
    }
    excerpt
}

/// A reason or a last word: cleaned, one line, and not long.
pub(super) fn remark(text: &str) -> String {
    const CHARS_MAX: usize = 200;
    let line = text.chars().map(|c| match c {
        '\n' | '\t' | '\u{2028}' | '\u{2029}' => ' ',
        other => other,
    });
    let line: String = line
        .filter(|c| !is_unwanted_in_line(*c))
        .take(CHARS_MAX)
        .collect();
    line.trim().to_owned()
}

/// Controls, and the line and paragraph separators, which are none by category.
fn is_unwanted_in_line(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}' | '\u{2029}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_script_passes_as_it_is() {
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

    #[test]
    fn control_characters_are_removed() {
        assert_eq!(
            clean("a\u{1b}[31mb\u{7}\r\nc\u{85}\u{7f}\0").as_deref(),
            Some("a[31mb\nc")
        );
    }

    #[test]
    fn nothing_to_be_seen_is_nothing() {
        for text in ["", " \n\t", "\u{1b}\0", "\u{a0}\u{3000}"] {
            assert_eq!(clean(text), None);
        }
    }

    #[test]
    fn what_must_be_one_line_has_no_line_break_of_unicode_either() {
        for c in ['\n', '\u{2028}', '\u{2029}', '\u{b}', '\u{85}'] {
            let text = format!("bye{c}bob: no");
            for line in [remark(&text), excerpt(&text)] {
                assert!(!line.contains(c), "{line:?}");
                assert!(line.starts_with("bye") && line.ends_with("bob: no"));
            }
        }
    }

    #[test]
    fn what_is_shown_back_is_one_short_line() {
        assert_eq!(excerpt("a\nb"), "ab");
        assert_eq!(excerpt(&"x".repeat(50)).chars().count(), 41);
        assert_eq!(remark(" too\nloud\u{7} "), "too loud");
        assert_eq!(remark(&"x".repeat(500)).len(), 200);
    }
}
