//! What the store's thread has counted, where the loop can read it without waiting. The thread alone
//! writes; a reader may see a commit in one number and not yet in the next.

use crate::histogram::{BOUNDS_MAX, Histogram, bucket};
use crate::log::Figures;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Microseconds: from a disk with a cache of its own to one that hangs.
const COMMIT_BOUNDS: &[u64] = &[
    250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000,
    2_500_000, 5_000_000, 10_000_000,
];

/// No disk has so much space: it is not known.
const UNKNOWN: u64 = u64::MAX;

#[derive(Debug)]
pub(super) struct Counters {
    commits: [AtomicU64; BOUNDS_MAX + 1],
    commit_micros: AtomicU64,
    failed_commits: AtomicU64,
    free_bytes: AtomicU64,
}

impl Default for Counters {
    fn default() -> Self {
        Self {
            commits: Default::default(),
            commit_micros: AtomicU64::new(0),
            failed_commits: AtomicU64::new(0),
            free_bytes: AtomicU64::new(UNKNOWN),
        }
    }
}

impl Counters {
    pub(super) fn committed(&self, took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        if let Some(count) = self.commits.get(bucket(COMMIT_BOUNDS, micros)) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        self.commit_micros.fetch_add(micros, Ordering::Relaxed);
    }

    pub(super) fn failed(&self) {
        self.failed_commits.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn has_free(&self, bytes: u64) {
        self.free_bytes.store(bytes, Ordering::Relaxed);
    }

    pub(super) fn read(&self) -> Figures {
        let counts = std::array::from_fn(|index| self.commits[index].load(Ordering::Relaxed));
        let micros = self.commit_micros.load(Ordering::Relaxed);
        let free = self.free_bytes.load(Ordering::Relaxed);
        Figures {
            commits: Histogram::of(COMMIT_BOUNDS, counts, micros),
            failed_commits: self.failed_commits.load(Ordering::Relaxed),
            free_bytes: (free != UNKNOWN).then_some(free),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commits_are_counted_by_what_they_took() {
        let counters = Counters::default();
        assert_eq!(counters.read().free_bytes, None);
        counters.committed(Duration::from_micros(300));
        counters.committed(Duration::from_secs(60));
        counters.failed();
        counters.has_free(7);
        let figures = counters.read();
        assert_eq!(figures.commits.count(), 2);
        assert_eq!(figures.commits.cumulative().nth(1), Some((500, 1)));
        assert_eq!(figures.commits.sum(), 60_000_300);
        assert_eq!((figures.failed_commits, figures.free_bytes), (1, Some(7)));
    }
}
