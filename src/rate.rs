//! A token bucket: a number of tokens a second, with a burst. Integers only; knows no clock.

use crate::carry::carried;
use crate::id::Tick;

/// How fast a bucket fills and how much it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Tokens a second; 0: there is no limit.
    per_second: u32,
    burst: u32,
}

impl Rate {
    /// At most 10,000 a second and 100,000 at once, which keeps the arithmetic far away from its
    /// limits.
    pub fn new(per_second: u32, burst: u32) -> Self {
        Self {
            per_second: per_second.min(10_000),
            burst: burst.clamp(1, 100_000),
        }
    }

    pub const fn burst(&self) -> u32 {
        self.burst
    }

    pub const fn per_second(&self) -> u32 {
        self.per_second
    }
}

/// Tokens are counted in tenths, so that a tick brings a whole number of them.
pub const TENTHS: u32 = 10;

/// The tokens one connection has left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bucket {
    tenths: u32,
    filled_at: Tick,
}

impl Bucket {
    /// A full one.
    pub const fn full(rate: Rate, now: Tick) -> Self {
        Self {
            tenths: rate.burst * TENTHS,
            filled_at: now,
        }
    }

    /// Has at least so many tokens from here on.
    pub fn raise(&mut self, tokens: u32) {
        self.tenths = self.tenths.max(tokens * TENTHS);
    }

    /// Takes a token. False: there is none.
    #[must_use]
    pub fn take(&mut self, rate: Rate, now: Tick) -> bool {
        self.take_tenths(TENTHS, rate, now)
    }

    /// Takes so many tenths of a token. False: there are fewer, and none is taken.
    #[must_use]
    pub fn take_tenths(&mut self, count: u32, rate: Rate, now: Tick) -> bool {
        if rate.per_second == 0 {
            return true;
        }
        // A tick is a tenth of a second, so each brings `per_second` tenths.
        let gained = now.since(self.filled_at).saturating_mul(rate.per_second);
        self.tenths = self.tenths.saturating_add(gained).min(rate.burst * TENTHS);
        self.filled_at = now;
        match self.tenths.checked_sub(count) {
            Some(rest) => {
                self.tenths = rest;
                true
            }
            None => false,
        }
    }
}

carried!(struct Bucket { tenths, filled_at });

#[cfg(test)]
mod tests {
    use super::*;

    /// How many of `tries` pass at `now`.
    fn passes(bucket: &mut Bucket, rate: Rate, now: u32, tries: u32) -> usize {
        (0..tries).filter(|_| bucket.take(rate, Tick(now))).count()
    }

    #[test]
    fn a_burst_passes_and_then_the_rate_counts() {
        let rate = Rate::new(2, 5);
        let mut bucket = Bucket::full(rate, Tick(0));
        assert_eq!(passes(&mut bucket, rate, 0, 20), 5);
        assert_eq!(passes(&mut bucket, rate, 4, 20), 0);
        assert_eq!(passes(&mut bucket, rate, 5, 20), 1);
        assert_eq!(passes(&mut bucket, rate, 15, 20), 2);
    }

    #[test]
    fn parts_of_a_token_are_taken_whole_or_not_at_all() {
        let rate = Rate::new(1, 2);
        let mut bucket = Bucket::full(rate, Tick(0));
        assert!(bucket.take_tenths(15, rate, Tick(0)));
        assert!(!bucket.take_tenths(6, rate, Tick(0)));
        assert!(bucket.take_tenths(5, rate, Tick(0)));
    }

    #[test]
    fn it_never_holds_more_than_the_burst() {
        let rate = Rate::new(10_000, 3);
        let mut bucket = Bucket::full(rate, Tick(0));
        assert_eq!(passes(&mut bucket, rate, u32::MAX, 20), 3);
    }

    #[test]
    fn a_rate_of_zero_is_no_limit() {
        let rate = Rate::new(0, 1);
        let mut bucket = Bucket::full(rate, Tick(0));
        assert_eq!(passes(&mut bucket, rate, 0, 1000), 1000);
    }

    #[test]
    fn the_rate_of_a_refusal_is_the_configured_one() {
        assert_eq!(Rate::new(7, 1).per_second(), 7);
    }
}
