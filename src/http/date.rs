//! The Date field of responses (RFC 9110 §6.6.1). Knows no clock: the time of day is an argument.

use crate::id::Millis;
use httpdate::HttpDate;
use std::fmt;
use std::io::Write;
use std::time::{Duration, UNIX_EPOCH};

/// A moment in the form of `Sun, 06 Nov 1994 08:49:37 GMT` (RFC 9110 §5.6.7).
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Date([u8; Self::LEN]);

impl Date {
    const LEN: usize = 29;

    /// The last second of the year 9999: the form has four digits for a year.
    const LAST: u64 = 253_402_300_799;

    /// `unix_seconds` is counted from 1970-01-01T00:00:00Z.
    pub fn at(unix_seconds: u64) -> Self {
        let moment = UNIX_EPOCH + Duration::from_secs(unix_seconds.min(Self::LAST));
        let mut text = [0; Self::LEN];
        write!(&mut text[..], "{}", HttpDate::from(moment)).expect("every date is 29 bytes long");
        Self(text)
    }

    pub(super) fn as_str(&self) -> &str {
        str::from_utf8(&self.0).expect("a date is ASCII")
    }
}

impl fmt::Debug for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The date of the last response. A date is rendered again only when the second has changed.
pub struct DateCache {
    unix_seconds: u64,
    date: Date,
}

impl DateCache {
    pub fn new(wall: Millis) -> Self {
        let unix_seconds = wall.unix_seconds();
        Self {
            unix_seconds,
            date: Date::at(unix_seconds),
        }
    }

    /// The date at this time of day, which may be earlier than the last one.
    pub fn at(&mut self, wall: Millis) -> Date {
        if self.unix_seconds != wall.unix_seconds() {
            *self = Self::new(wall);
        }
        self.date
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn date_has_the_form_of_rfc_9110() {
        for (unix_seconds, text) in [
            (784_111_777, "Sun, 06 Nov 1994 08:49:37 GMT"),
            (0, "Thu, 01 Jan 1970 00:00:00 GMT"),
            (951_782_400, "Tue, 29 Feb 2000 00:00:00 GMT"),
            (Date::LAST, "Fri, 31 Dec 9999 23:59:59 GMT"),
            (Date::LAST + 1, "Fri, 31 Dec 9999 23:59:59 GMT"),
            (u64::MAX, "Fri, 31 Dec 9999 23:59:59 GMT"),
        ] {
            assert_eq!(Date::at(unix_seconds).as_str(), text);
        }
    }

    #[test]
    fn cached_date_follows_the_clock_in_both_directions() {
        let mut cache = DateCache::new(Millis(10_000));
        for millis in [10_000, 10_999, 11_000, 70_001, 5_500] {
            assert_eq!(cache.at(Millis(millis)), Date::at(millis / 1000));
        }
    }
}
