//! Percentiles of times of which some never ended. Such a time is longer than all others: leaving
//! it out would make a server that loses messages look fast.

use hdrhistogram::Histogram;

#[derive(Clone, Copy)]
pub(super) struct Times<'h> {
    pub(super) histogram: &'h Histogram<u64>,
    /// How many never ended.
    pub(super) missing: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Quantile {
    /// So many microseconds.
    Known(u64),
    /// It lies among the times that never ended.
    Never,
    /// There is no time at all.
    Unknown,
}

impl Quantile {
    pub(super) const fn micros(self) -> Option<u64> {
        match self {
            Self::Known(micros) => Some(micros),
            Self::Never | Self::Unknown => None,
        }
    }
}

impl Times<'_> {
    /// The time that this share of all times does not exceed.
    pub(super) fn at(self, share: f64) -> Quantile {
        let ended = self.histogram.len();
        let all = ended + self.missing;
        if all == 0 {
            return Quantile::Unknown;
        }
        let rank = ((share * all as f64).ceil() as u64).max(1);
        if rank > ended {
            return Quantile::Never;
        }
        let share = rank as f64 / ended as f64;
        Quantile::Known(self.histogram.value_at_quantile(share))
    }

    /// Of the times that ended.
    pub(super) fn max(self) -> Option<u64> {
        (!self.histogram.is_empty()).then(|| self.histogram.max())
    }

    /// Of the times that ended.
    pub(super) fn mean(self) -> Option<f64> {
        (!self.histogram.is_empty()).then(|| self.histogram.mean())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn histogram(times: impl IntoIterator<Item = u64>) -> Histogram<u64> {
        let mut histogram = Histogram::new(3).unwrap();
        for time in times {
            histogram.record(time).unwrap();
        }
        histogram
    }

    #[test]
    fn percentiles_without_missing_times_are_those_of_the_histogram() {
        let histogram = histogram(1..=1000);
        let times = Times {
            histogram: &histogram,
            missing: 0,
        };
        for share in [0.0, 0.5, 0.9, 0.99, 0.999, 1.0] {
            let expected = histogram.value_at_quantile(share);
            assert_eq!(times.at(share), Quantile::Known(expected), "{share}");
        }
    }

    #[test]
    fn missing_times_are_the_longest() {
        let histogram = histogram([10; 98]);
        let times = Times {
            histogram: &histogram,
            missing: 2,
        };
        assert_eq!(times.at(0.98), Quantile::Known(10));
        assert_eq!(times.at(0.99), Quantile::Never);
        assert_eq!(times.max(), Some(10));
    }

    #[test]
    fn no_times_have_no_percentile() {
        let histogram = histogram([]);
        let of = |missing| Times {
            histogram: &histogram,
            missing,
        };
        assert_eq!(of(0).at(0.5), Quantile::Unknown);
        assert_eq!(of(1).at(0.5), Quantile::Never);
        assert_eq!((of(1).max(), of(1).mean()), (None, None));
    }
}
