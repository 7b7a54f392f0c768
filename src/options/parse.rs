//! Numbers and durations as text. An error says what is allowed; the caller names the setting.

use std::time::Duration;

/// A number within bounds.
///
/// # Errors
/// What is allowed.
pub fn parse_count(value: &str, least: usize, most: usize) -> Result<usize, String> {
    match value.parse() {
        Ok(count) if (least..=most).contains(&count) => Ok(count),
        Ok(_) | Err(_) => Err(format!("expected a number from {least} to {most}")),
    }
}

/// A duration of at least a millisecond and at most a day: `500ms`, `25s`, `2m`, `1h`; a plain
/// number is seconds.
///
/// # Errors
/// What is allowed.
pub fn parse_duration(value: &str) -> Result<Duration, String> {
    let digits = value.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let millis = match &value[digits.len()..] {
        "ms" => Some(1),
        "s" | "" => Some(1_000),
        "m" => Some(60_000),
        "h" => Some(3_600_000),
        _ => None,
    };
    let length = match (digits.parse::<u32>(), millis) {
        (Ok(count), Some(millis)) => Duration::from_millis(u64::from(count) * millis),
        (Ok(_), None) | (Err(_), _) => Duration::ZERO,
    };
    if length.is_zero() || length > Duration::from_secs(24 * 3600) {
        return Err(String::from(
            "expected a time like 500ms, 25s or 2m, at most 24h",
        ));
    }
    Ok(length)
}

/// `on` or `off`, or another of the usual words for them.
///
/// # Errors
/// What is allowed.
pub(super) fn parse_switch(value: &str) -> Result<bool, String> {
    match value {
        "on" | "yes" | "true" | "1" => Ok(true),
        "off" | "no" | "false" | "0" => Ok(false),
        _ => Err(String::from("expected on or off")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_units() {
        for (text, millis) in [
            ("500ms", 500),
            ("25s", 25_000),
            ("2m", 120_000),
            ("1h", 3_600_000),
            ("3", 3_000),
        ] {
            assert_eq!(parse_duration(text), Ok(Duration::from_millis(millis)));
        }
        for text in ["", "s", "-1s", "0", "1.5s", "1d", "25h", "99999999999s"] {
            assert!(parse_duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_count_outside_its_bounds_is_refused_with_the_bounds() {
        assert_eq!(parse_count("1", 1, 3), Ok(1));
        assert_eq!(parse_count("3", 1, 3), Ok(3));
        for text in ["0", "4", "", "x", "-1", "1.0"] {
            assert_eq!(
                parse_count(text, 1, 3),
                Err(String::from("expected a number from 1 to 3")),
                "{text}"
            );
        }
    }
}
