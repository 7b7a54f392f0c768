//! What slash commands have behind their names: words, a length of time, a remark. Knows no command.

/// The longest time that a command can name: a year and a day.
const SECONDS_MAX: u32 = 366 * 24 * 3600;

/// The first word, and the rest without the space around it.
pub(super) fn split_word(text: &str) -> (&str, &str) {
    let text = text.trim();
    match text.split_once(char::is_whitespace) {
        Some((word, rest)) => (word, rest.trim_start()),
        None => (text, ""),
    }
}

/// A length of time, `90s`, `10m`, `2h`, `7d` or `4w`, in seconds. `None`: the word is none.
pub(super) fn seconds(word: &str) -> Option<u32> {
    let unit = word.chars().next_back()?;
    let each = match unit.to_ascii_lowercase() {
        's' => 1,
        'm' => 60,
        'h' => 3600,
        'd' => 24 * 3600,
        'w' => 7 * 24 * 3600,
        _ => return None,
    };
    let digits = &word[..word.len() - unit.len_utf8()];
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let count: u32 = digits.parse().unwrap_or(u32::MAX);
    Some(count.saturating_mul(each).min(SECONDS_MAX))
}

/// A length of time, where the text begins with one, and the rest.
pub(super) fn split_seconds(text: &str) -> (Option<u32>, &str) {
    let (word, rest) = split_word(text);
    match seconds(word) {
        Some(seconds) => (Some(seconds), rest),
        None => (None, text.trim()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_time_have_a_unit() {
        for (word, expected) in [
            ("90s", Some(90)),
            ("10m", Some(600)),
            ("2H", Some(7200)),
            ("7d", Some(7 * 24 * 3600)),
            ("1w", Some(7 * 24 * 3600)),
            ("0m", Some(0)),
            ("99999999999999d", Some(SECONDS_MAX)),
            ("400d", Some(SECONDS_MAX)),
            ("", None),
            ("10", None),
            ("m", None),
            ("-1m", None),
            ("+1m", None),
            ("1.5h", None),
            ("10\u{fffd}", None),
        ] {
            assert_eq!(seconds(word), expected, "{word}");
        }
    }

    #[test]
    fn reason_may_follow_a_length_of_time_or_not() {
        assert_eq!(split_seconds("10m too loud"), (Some(600), "too loud"));
        assert_eq!(split_seconds(" too loud "), (None, "too loud"));
        assert_eq!(split_seconds("7d"), (Some(604_800), ""));
        assert_eq!(split_seconds(""), (None, ""));
    }
}
