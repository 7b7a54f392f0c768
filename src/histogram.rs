//! How often values fell below fixed bounds. A data structure over numbers; knows no unit and no
//! metric. Recording is a chain of comparisons and two additions, without an allocation.

use crate::carry::{Carrier, Damaged};

/// The most bounds that a histogram can have; one bucket more is for what is above all of them.
pub const BOUNDS_MAX: usize = 15;

/// Counts of the values in buckets. A bucket has the values up to its bound that are in no lower
/// one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Histogram {
    bounds: &'static [u64],
    counts: [u64; BOUNDS_MAX + 1],
    sum: u64,
}

impl Histogram {
    /// `bounds` rise, and are at most [`BOUNDS_MAX`].
    pub const fn new(bounds: &'static [u64]) -> Self {
        Self::of(bounds, [0; BOUNDS_MAX + 1], 0)
    }

    /// One that was kept in another form.
    pub const fn of(bounds: &'static [u64], counts: [u64; BOUNDS_MAX + 1], sum: u64) -> Self {
        assert!(bounds.len() <= BOUNDS_MAX, "there are too many bounds");
        Self {
            bounds,
            counts,
            sum,
        }
    }

    /// The counts, of which the bounds stay as they are here.
    ///
    /// # Errors
    /// The bytes are not those of counts.
    pub fn carry(&mut self, carrier: &mut Carrier<'_>) -> Result<(), Damaged> {
        carrier.field(&mut self.counts)?;
        carrier.field(&mut self.sum)?;
        // So that counting on does not overflow.
        if self.counts.iter().any(|count| *count > u64::MAX / 1024) {
            return Err(Damaged("a count is too high"));
        }
        Ok(())
    }

    pub fn record(&mut self, value: u64) {
        self.counts[bucket(self.bounds, value)] += 1;
        self.sum = self.sum.saturating_add(value);
    }

    /// Each bound with the number of values up to it.
    pub fn cumulative(&self) -> impl Iterator<Item = (u64, u64)> {
        let mut total = 0;
        self.bounds
            .iter()
            .zip(self.counts)
            .map(move |(bound, count)| {
                total += count;
                (*bound, total)
            })
    }

    /// All values.
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// Their sum.
    pub const fn sum(&self) -> u64 {
        self.sum
    }
}

/// The bucket of a value.
pub fn bucket(bounds: &[u64], value: u64) -> usize {
    let at = bounds.iter().position(|bound| value <= *bound);
    at.unwrap_or(bounds.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn value_is_counted_up_to_its_bound_and_above() {
        let mut histogram = Histogram::new(&[0, 10, 100]);
        for value in [0, 1, 10, 11, 1000] {
            histogram.record(value);
        }
        let cumulative: Vec<(u64, u64)> = histogram.cumulative().collect();
        assert_eq!(cumulative, [(0, 1), (10, 3), (100, 4)]);
        assert_eq!((histogram.count(), histogram.sum()), (5, 1022));
    }

    #[test]
    fn sum_that_is_too_large_stays_at_the_largest_number() {
        let mut histogram = Histogram::new(&[]);
        histogram.record(u64::MAX);
        histogram.record(1);
        assert_eq!((histogram.count(), histogram.sum()), (2, u64::MAX));
    }
}
