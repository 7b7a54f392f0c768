//! Medians, spreads and the confidence interval of a ratio. Knows numbers, not what they measure.

/// Rounds agree if the largest value is at most this many times the smallest. A single number
/// for rounds that differ more would hide the difference.
const AGREEMENT: f64 = 1.1;

/// The middle value; for an even count the mean of the two middle values.
pub(crate) fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => None,
        length if length % 2 == 1 => Some(sorted[middle]),
        _ => Some(f64::midpoint(sorted[middle - 1], sorted[middle])),
    }
}

/// What may be printed for the values of several rounds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Figure {
    /// The rounds agree within a tenth; this is their median.
    Agreed(f64),
    /// The rounds differ by more than a tenth; the smallest and the largest value.
    Range(f64, f64),
}

impl Figure {
    /// `None` without values.
    pub(crate) fn of(values: &[f64]) -> Option<Self> {
        let middle = median(values)?;
        let least = values.iter().copied().fold(f64::INFINITY, f64::min);
        let most = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let is_agreed = most == least || least > 0.0 && most <= AGREEMENT * least;
        Some(if is_agreed {
            Self::Agreed(middle)
        } else {
            Self::Range(least, most)
        })
    }

    /// Whether all that the figure stands for satisfies a condition; `None`: only a part does.
    /// The condition must be a bound, so that the ends of a range decide for all between.
    pub(crate) fn satisfies(self, condition: impl Fn(f64) -> bool) -> Option<bool> {
        match self {
            Self::Agreed(value) => Some(condition(value)),
            Self::Range(least, most) => {
                let ends = (condition(least), condition(most));
                (ends.0 == ends.1).then_some(ends.0)
            }
        }
    }

    /// Writes the number, or both ends of the range.
    pub(crate) fn text(self, write: impl Fn(f64) -> String) -> String {
        match self {
            Self::Agreed(value) => write(value),
            Self::Range(least, most) => format!("{}–{}", write(least), write(most)),
        }
    }
}

/// A ratio and the interval that contains the true one with a confidence of at least 95 %.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Ratio {
    pub(crate) estimate: f64,
    pub(crate) low: f64,
    pub(crate) high: f64,
}

/// Both sides of the interval together may miss the true ratio this often.
const ERROR_MAX: f64 = 0.05;

impl Ratio {
    /// From the ratios of single rounds: the Hodges–Lehmann estimate and the interval of Wilcoxon's
    /// signed-rank test, both taken of the logarithms. It assumes that the errors of the
    /// logarithms are symmetric, as those of two builds that alternate are, and not that they are
    /// normal, so one disturbed round cannot widen it without bound. `None` for fewer than six
    /// rounds, with which no interval reaches 95 %.
    pub(crate) fn of(ratios: &[f64]) -> Option<Self> {
        let logs: Vec<f64> = ratios.iter().map(|ratio| ratio.ln()).collect();
        if logs.iter().any(|log| !log.is_finite()) {
            return None;
        }
        let cut = signed_rank_cut(logs.len())?;
        let mut means: Vec<f64> = Vec::new();
        for (at, one) in logs.iter().enumerate() {
            means.extend(logs[at..].iter().map(|other| f64::midpoint(*one, *other)));
        }
        means.sort_by(f64::total_cmp);
        Some(Self {
            estimate: median(&means)?.exp(),
            low: means[cut].exp(),
            high: means[means.len() - 1 - cut].exp(),
        })
    }
}

/// The place of the interval's lower end among the ordered pairwise means, counted from 0, and of
/// its upper end from the other side: the largest sum s of ranks with P(W ≤ s) ≤ [`ERROR_MAX`] / 2,
/// where W is the signed-rank statistic of `count` rounds.
fn signed_rank_cut(count: usize) -> Option<usize> {
    // The share of all subsets of the ranks 1 to `count` that has each sum.
    let sums = count * (count + 1) / 2;
    let mut shares = vec![0.0; sums + 1];
    shares[0] = 1.0;
    for rank in 1..=count {
        for sum in (0..=sums).rev() {
            let with = if sum >= rank { shares[sum - rank] } else { 0.0 };
            shares[sum] = f64::midpoint(shares[sum], with);
        }
    }
    let mut below = 0.0;
    let fitting = shares.iter().take_while(|share| {
        below += **share;
        below <= ERROR_MAX / 2.0
    });
    fitting.count().checked_sub(1)
}

/// A change is accepted up to this ratio of the new build's figure to the base's.
pub(crate) const ACCEPTED: f64 = 1.03;

/// What the interval of a ratio says about a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The whole interval lies at or below [`ACCEPTED`].
    Within,
    /// The whole interval lies above it.
    Worse,
    /// The interval lies on both sides, or there are too few rounds.
    Inconclusive,
}

impl Verdict {
    pub(crate) fn of(ratio: Option<Ratio>) -> Self {
        match ratio {
            Some(ratio) if ratio.high <= ACCEPTED => Self::Within,
            Some(ratio) if ratio.low > ACCEPTED => Self::Worse,
            Some(_) | None => Self::Inconclusive,
        }
    }
}
