//! A token bucket: a number of tokens a second, with a burst. Integers only; knows no clock.

use crate::id::Tick;

/// How fast a bucket fills and how much it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Tokens a second; 0: there is no limit.
    per_second: u32,
    burst: u32,
}

impl Rate {
    /// Both at most 10,000, which keeps the arithmetic far away from its limits.
    pub fn new(per_second: u32, burst: u32) -> Self {
        Self {
            per_second: per_second.min(10_000),
            burst: burst.clamp(1, 10_000),
        }
    }

    pub const fn per_second(&self) -> u32 {
        self.per_second
    }
}

/// Tokens are counted in tenths, so that a tick brings a whole number of them.
const TENTH: u32 = 10;

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
            tenths: rate.burst * TENTH,
            filled_at: now,
        }
    }

    /// Takes a token. False: there is none.
    #[must_use]
    pub fn take(&mut self, rate: Rate, now: Tick) -> bool {
        if rate.per_second == 0 {
            return true;
        }
        // A tick is a tenth of a second, so each brings `per_second` tenths.
        let gained = now.since(self.filled_at).saturating_mul(rate.per_second);
        self.tenths = self.tenths.saturating_add(gained).min(rate.burst * TENTH);
        self.filled_at = now;
        match self.tenths.checked_sub(TENTH) {
            Some(rest) => {
                self.tenths = rest;
                true
            }
            None => false,
        }
    }
}

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
