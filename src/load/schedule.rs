//! Moments at an even rate. Knows numbers only.
//!
//! What comes late does not move the moments after it, so a latency that counts from a moment
//! contains all waiting, the tester's own included.

use crate::net::dial::Micros;

/// The first moment is the beginning itself.
#[derive(Clone, Debug)]
pub(super) struct Schedule {
    begun: Micros,
    step_micros: f64,
    count: u64,
}

impl Schedule {
    pub(super) fn new(begun: Micros, per_second: f64) -> Self {
        Self {
            begun,
            step_micros: 1e6 / per_second,
            count: 0,
        }
    }

    /// The next moment.
    pub(super) fn due(&self) -> Micros {
        self.begun + (self.count as f64 * self.step_micros) as Micros
    }

    /// How many moments were taken.
    pub(super) const fn count(&self) -> u64 {
        self.count
    }

    /// Takes the next moment if it has come.
    pub(super) fn take(&mut self, now: Micros) -> Option<Micros> {
        let due = self.due();
        (due <= now).then(|| {
            self.count += 1;
            due
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_even_however_late_they_are_taken() {
        let mut schedule = Schedule::new(1_000, 400.0);
        assert_eq!(schedule.take(999), None);
        let taken: Vec<Micros> = std::iter::from_fn(|| schedule.take(8_600)).collect();
        assert_eq!(taken, [1_000, 3_500, 6_000, 8_500]);
        assert_eq!((schedule.due(), schedule.count()), (11_000, 4));
    }

    #[test]
    fn a_rate_that_is_no_divisor_of_a_second_does_not_drift() {
        let mut schedule = Schedule::new(0, 3.0);
        for _ in 0..3_000_000 {
            schedule.take(Micros::MAX);
        }
        assert_eq!(schedule.due(), 1_000_000_000_000);
    }
}
