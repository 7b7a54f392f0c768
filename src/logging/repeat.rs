//! What bounds repetition: of one kind of line, so many a minute are written, and then how many more
//! there were. A kind is a place in the code, so there are no more kinds than places. Lines that were
//! asked for by `debug` or `trace` are all written.

use crate::id::Millis;
use log::{Level, Record};
use std::collections::HashMap;

/// Lines of one kind that are written in a minute. An attacker who causes them fills no disk: ten
/// kinds make some 20 MB a day.
const WRITTEN_MAX: u32 = 10;

/// An operator asks for each of these lines, and is to see all.
const UNBOUNDED: &str = "parlor::reload";

const MINUTE_MS: u64 = 60_000;

/// The longest example of what was left out, in characters.
const EXAMPLE_CHARS_MAX: usize = 200;

/// What is known of all kinds that came.
#[derive(Debug, Default)]
pub(super) struct Repeats {
    kinds: HashMap<(&'static str, u32), Kind>,
}

#[derive(Debug)]
struct Kind {
    level: Level,
    target: String,
    since: Millis,
    written: u32,
    left_out: u32,
    example: String,
}

/// What is to be done with a line.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Written(String),
    LeftOut,
}

/// How many lines of a kind were left out.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct LeftOut {
    pub(super) level: Level,
    pub(super) target: String,
    count: u32,
    example: String,
}

impl Repeats {
    /// A line that the filters let through.
    pub(super) fn comes(&mut self, record: &Record<'_>, now: Millis) -> Verdict {
        let message = || record.args().to_string();
        if record.level() > Level::Info || record.target() == UNBOUNDED {
            return Verdict::Written(message());
        }
        let place = (record.file_static(), record.line());
        let (Some(file), Some(line)) = place else {
            return Verdict::Written(message());
        };
        let kind = self.kinds.entry((file, line)).or_insert_with(|| Kind {
            level: record.level(),
            target: record.target().to_owned(),
            since: now,
            written: 0,
            left_out: 0,
            example: String::new(),
        });
        if kind.is_over(now) && kind.left_out == 0 {
            (kind.since, kind.written) = (now, 0);
        }
        if kind.written == WRITTEN_MAX {
            kind.left_out = kind.left_out.saturating_add(1);
            return Verdict::LeftOut;
        }
        kind.written += 1;
        let message = message();
        if kind.written == WRITTEN_MAX {
            kind.example = message.chars().take(EXAMPLE_CHARS_MAX).collect();
        }
        Verdict::Written(message)
    }

    /// What was left out of kinds whose minute is over, or of all.
    pub(super) fn settle(&mut self, now: Millis, is_end: bool) -> Vec<LeftOut> {
        let due = |kind: &&mut Kind| kind.left_out > 0 && (is_end || kind.is_over(now));
        let due = self.kinds.values_mut().filter(due);
        due.map(|kind| {
            (kind.since, kind.written) = (now, 0);
            LeftOut {
                level: kind.level,
                target: kind.target.clone(),
                count: std::mem::take(&mut kind.left_out),
                example: std::mem::take(&mut kind.example),
            }
        })
        .collect()
    }

    pub(super) fn have_left_out(&self) -> bool {
        self.kinds.values().any(|kind| kind.left_out > 0)
    }
}

impl Kind {
    /// The time of day may be set: a minute in the future is over, too.
    const fn is_over(&self, now: Millis) -> bool {
        now.0.abs_diff(self.since.0) >= MINUTE_MS
    }
}

impl LeftOut {
    pub(super) fn sentence(&self) -> String {
        format!("… {} more like this: {}", self.count, self.example)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A line from a place in the code.
    fn comes(repeats: &mut Repeats, level: Level, place: u32, now: u64) -> bool {
        let mut record = Record::builder();
        record.level(level).target("parlor::accept");
        record.file_static(Some("src/a.rs")).line(Some(place));
        let text = format!("line of {now}");
        let args = format_args!("{text}");
        let verdict = repeats.comes(&record.args(args).build(), Millis(now));
        verdict != Verdict::LeftOut
    }

    fn settled(repeats: &mut Repeats, now: u64, is_end: bool) -> Vec<String> {
        let over = repeats.settle(Millis(now), is_end);
        over.iter().map(LeftOut::sentence).collect()
    }

    #[test]
    fn ten_lines_of_a_kind_a_minute_are_written_and_the_rest_is_counted() {
        let mut repeats = Repeats::default();
        let written = (0..63).filter(|now| comes(&mut repeats, Level::Warn, 1, *now));
        assert_eq!(written.count(), 10);
        assert!(comes(&mut repeats, Level::Warn, 2, 63), "another kind");
        assert!(settled(&mut repeats, 59_999, false).is_empty());
        assert!(repeats.have_left_out());
        let expected = "… 53 more like this: line of 9";
        assert_eq!(settled(&mut repeats, 60_000, false), [expected]);
        assert!(!repeats.have_left_out());
        assert!(comes(&mut repeats, Level::Warn, 1, 60_001));
    }

    #[test]
    fn a_calm_kind_is_always_written() {
        let mut repeats = Repeats::default();
        for now in (0..100).map(|count| count * 7_000) {
            assert!(comes(&mut repeats, Level::Error, 1, now), "{now}");
        }
    }

    #[test]
    fn lines_that_were_asked_for_are_all_written() {
        let mut repeats = Repeats::default();
        assert!((0..100).all(|now| comes(&mut repeats, Level::Debug, 1, now)));
        assert!(repeats.kinds.is_empty());
    }

    #[test]
    fn what_was_left_out_is_said_at_the_end_and_when_the_clock_was_set_back() {
        let mut repeats = Repeats::default();
        for end in [true, false] {
            let now = 1_000_000;
            for _ in 0..12 {
                comes(&mut repeats, Level::Warn, 1, now);
            }
            let later = if end { now } else { 5 };
            assert_eq!(settled(&mut repeats, later, end).len(), 1);
        }
    }
}
