//! The server's counters, counted once more from what the network saw.
//!
//! What was queued for a connection and never written is not seen here: each connection whose last
//! frames may be unwritten makes the counters of what was queued uncertain by one. All other
//! counters must agree exactly. Knows counts, not people.

use parlor::stats::Stats;

/// A count that is not always known exactly.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Range {
    at_least: u64,
    at_most: u64,
}

impl Range {
    /// Something happened for certain.
    pub(crate) const fn one(&mut self) {
        self.at_least += 1;
        self.at_most += 1;
    }

    /// Something may have happened so many times.
    pub(crate) const fn perhaps(&mut self, count: u64) {
        self.at_most += count;
    }
}

/// What a turn makes uncertain.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Doubt {
    /// Connections, open or closed, whose last response or close frame may not have been written.
    pub(crate) unwritten: u64,
    /// Open connections that may have missed messages and have not been informed of it.
    pub(crate) missing: u64,
    /// Connections that ended, or left their room, in that state.
    pub(crate) missing_for_ever: u64,
}

/// What was seen so far.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) accepted: u64,
    pub(crate) closed: u64,
    /// Refused because of a limit, whether accepted or not.
    pub(crate) turned_away: u64,
    exhausted: u64,
    is_exhausted: bool,
    pub(crate) upgraded: u64,
    /// Plain requests: responses that were written.
    pub(crate) answered: u64,
    /// Refusals that were written, but for those because of a limit.
    pub(crate) refused: u64,
    /// Closed without an answer: no header of the PROXY protocol, or no trusted proxy.
    pub(crate) unproxied: u64,
    pub(crate) messages: Range,
    pub(crate) paused: Range,
    /// Close frames that were written.
    pub(crate) violations: u64,
    pub(crate) stalled: u64,
    /// Connections that ended without a close frame though the peer had not ended them.
    pub(crate) silent: u64,
    /// What members were informed that they missed.
    pub(crate) missed: u64,
    /// Missed messages that were counted and never reported, and the number of connections that
    /// ended in that state, when both were last known.
    unreported: (u64, u64),
}

impl Tally {
    /// Accepting failed because the system had no descriptor or memory left.
    pub(crate) fn is_exhausted(&mut self) {
        self.exhausted += u64::from(!std::mem::replace(&mut self.is_exhausted, true));
    }

    pub(crate) fn accepts(&mut self) {
        self.accepted += 1;
        self.is_exhausted = false;
    }

    /// Compares the server's counters with this tally; panics if they cannot be right.
    pub(crate) fn check(&mut self, stats: &Stats, doubt: Doubt) {
        // A counter that is not checked would not be used here.
        let Stats {
            accepted,
            turned_away,
            exhausted,
            upgraded,
            answered,
            refused,
            unproxied,
            messages,
            limited,
            paused,
            violations,
            silent,
            stalled,
            missed,
            closed,
        } = *stats;

        assert_eq!(limited, 0, "no client of a game has a budget");
        let seen = &*self;
        for (name, counted, seen) in [
            ("accepted", accepted, seen.accepted),
            ("turned_away", turned_away, seen.turned_away),
            ("exhausted", exhausted, seen.exhausted),
            ("upgraded", upgraded, seen.upgraded),
            ("unproxied", unproxied, seen.unproxied),
            ("closed", closed, seen.closed),
        ] {
            assert_eq!(counted, seen, "the counter {name} is wrong");
        }
        for (name, counted, seen) in [
            ("answered", answered, seen.answered),
            ("refused", refused, seen.refused),
            ("violations", violations, seen.violations),
            ("silent", silent, seen.silent),
            ("stalled", stalled, seen.stalled),
        ] {
            assert!(
                (seen..=seen + doubt.unwritten).contains(&counted),
                "the counter {name} is {counted}, but {seen} were seen, with {doubt:?}"
            );
        }
        // One connection ends for one reason.
        let reasons = [
            (refused, seen.refused),
            (violations, seen.violations),
            (silent, seen.silent),
            (stalled, seen.stalled),
        ];
        let unseen: u64 = reasons.iter().map(|(counted, seen)| counted - seen).sum();
        assert!(
            unseen <= doubt.unwritten,
            "{unseen} ends of connections were counted and not seen, with {doubt:?}"
        );
        for (name, counted, seen) in [
            ("messages", messages, seen.messages),
            ("paused", paused, seen.paused),
        ] {
            assert!(
                (seen.at_least..=seen.at_most).contains(&counted),
                "the counter {name} is {counted} instead of {seen:?}"
            );
        }
        self.check_missed(missed, doubt);
    }

    fn check_missed(&mut self, counted: u64, doubt: Doubt) {
        let reported = self.missed;
        assert!(
            counted >= reported,
            "the counter missed is {counted}, but {reported} were reported"
        );
        if doubt.missing > 0 {
            return;
        }
        let (unreported, ended) = self.unreported;
        let (unreported_now, ended_now) = (counted - reported, doubt.missing_for_ever);
        assert!(
            unreported_now == unreported || ended_now > ended && unreported_now >= unreported,
            "the counter missed is {counted}, but {reported} were reported, and {unreported} before \
             to connections that had ended"
        );
        self.unreported = (unreported_now, ended_now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CERTAIN: Doubt = Doubt {
        unwritten: 0,
        missing: 0,
        missing_for_ever: 0,
    };

    /// What a right server has counted after two connections, one message and three missed ones.
    fn right() -> (Tally, Stats) {
        let mut tally = Tally::default();
        tally.accepts();
        tally.accepts();
        tally.upgraded = 2;
        tally.messages.one();
        tally.missed = 3;
        let stats = Stats {
            accepted: 2,
            upgraded: 2,
            messages: 1,
            missed: 3,
            ..Stats::default()
        };
        (tally, stats)
    }

    #[test]
    fn right_counters_pass() {
        let (mut tally, stats) = right();
        tally.check(&stats, CERTAIN);
    }

    #[test]
    fn every_counter_that_is_one_too_high_is_found() {
        let wrong: [fn(&mut Stats); 14] = [
            |stats| stats.accepted += 1,
            |stats| stats.turned_away += 1,
            |stats| stats.exhausted += 1,
            |stats| stats.upgraded += 1,
            |stats| stats.answered += 1,
            |stats| stats.refused += 1,
            |stats| stats.unproxied += 1,
            |stats| stats.messages += 1,
            |stats| stats.paused += 1,
            |stats| stats.violations += 1,
            |stats| stats.silent += 1,
            |stats| stats.stalled += 1,
            |stats| stats.missed += 1,
            |stats| stats.closed += 1,
        ];
        for (index, change) in wrong.into_iter().enumerate() {
            let (mut tally, mut stats) = right();
            change(&mut stats);
            let outcome = std::panic::catch_unwind(move || tally.check(&stats, CERTAIN));
            assert!(outcome.is_err(), "counter {index}");
        }
    }

    #[test]
    #[should_panic(expected = "the counter missed")]
    fn a_run_that_counts_as_one_missed_message_is_found() {
        let (mut tally, mut stats) = right();
        stats.missed = 1;
        tally.check(&stats, CERTAIN);
    }

    #[test]
    #[should_panic(expected = "ends of connections")]
    fn an_end_that_is_counted_twice_is_found() {
        let (mut tally, mut stats) = right();
        stats.silent = 1;
        stats.stalled = 1;
        let unwritten = 1;
        tally.check(
            &stats,
            Doubt {
                unwritten,
                ..CERTAIN
            },
        );
    }

    #[test]
    fn a_time_without_descriptors_counts_once() {
        let mut tally = Tally::default();
        tally.is_exhausted();
        tally.is_exhausted();
        tally.accepts();
        tally.is_exhausted();
        assert_eq!(tally.exhausted, 2);
    }
}
