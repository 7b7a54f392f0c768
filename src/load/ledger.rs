//! Which member has received which message: what is lost, what arrived twice, what arrived late.
//! Knows numbers, not connections. One word per receiver and sender while nothing goes wrong.

use std::collections::HashMap;

/// Gaps that are remembered, to distinguish a late message from a second copy. Beyond so many, a
/// late message counts as doubled and stays lost.
const GAPS_MAX: usize = 1_000_000;

/// What a message is to its receiver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Arrival {
    /// The next message, or one after a gap.
    InOrder,
    /// A message out of a gap: the sender's messages have changed their order.
    Late,
    /// A second copy.
    Doubled,
}

/// The messages that every receiver has received from every sender.
pub(super) struct Ledger {
    /// The highest number by receiver and sender; 0: no message yet.
    highest: Vec<u32>,
    /// The numbers that were skipped, as ranges without their end.
    gaps: HashMap<u32, Vec<(u32, u32)>>,
    gap_count: usize,
}

impl Ledger {
    /// `pairs`: how many pairs of a receiver and a sender there are.
    pub(super) fn new(pairs: usize) -> Self {
        Self {
            highest: vec![0; pairs],
            gaps: HashMap::new(),
            gap_count: 0,
        }
    }

    /// Records that the message `number` (from 1) has arrived for this pair.
    pub(super) fn take(&mut self, pair: usize, number: u32) -> Arrival {
        let highest = self.highest[pair];
        if number > highest {
            self.highest[pair] = number;
            if number > highest + 1 {
                self.remember_gap(pair, highest + 1, number);
            }
            return Arrival::InOrder;
        }
        if self.fill(pair, number) {
            Arrival::Late
        } else {
            Arrival::Doubled
        }
    }

    #[cold]
    fn remember_gap(&mut self, pair: usize, from: u32, to: u32) {
        if self.gap_count < GAPS_MAX {
            self.gap_count += 1;
            self.gaps.entry(pair as u32).or_default().push((from, to));
        }
    }

    /// Takes a number out of its gap, if it is in one.
    #[cold]
    fn fill(&mut self, pair: usize, number: u32) -> bool {
        let Some(gaps) = self.gaps.get_mut(&(pair as u32)) else {
            return false;
        };
        let holds = |gap: &(u32, u32)| (gap.0..gap.1).contains(&number);
        let Some(at) = gaps.iter().position(holds) else {
            return false;
        };
        let (from, to) = gaps[at];
        match (from == number, number + 1 == to) {
            (true, true) => {
                gaps.swap_remove(at);
                self.gap_count -= 1;
            }
            (true, false) => gaps[at].0 += 1,
            (false, true) => gaps[at].1 -= 1,
            (false, false) => {
                gaps[at].1 = number;
                gaps.push((number + 1, to));
                self.gap_count += 1;
            }
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::Arrival::{Doubled, InOrder, Late};
    use super::*;
    use std::collections::BTreeSet;

    fn arrivals(numbers: &[u32]) -> Vec<Arrival> {
        let mut ledger = Ledger::new(2);
        numbers
            .iter()
            .map(|number| ledger.take(1, *number))
            .collect()
    }

    #[test]
    fn consecutive_numbers_are_in_order() {
        assert_eq!(arrivals(&[1, 2, 3]), [InOrder, InOrder, InOrder]);
    }

    #[test]
    fn every_further_copy_is_doubled() {
        assert_eq!(
            arrivals(&[1, 2, 1, 2]),
            [InOrder, InOrder, Doubled, Doubled]
        );
    }

    #[test]
    fn skipped_number_is_late_once_and_then_doubled() {
        assert_eq!(arrivals(&[2, 1, 1]), [InOrder, Late, Doubled]);
        assert_eq!(
            arrivals(&[1, 6, 4, 2, 3, 5, 4]),
            [InOrder, InOrder, Late, Late, Late, Late, Doubled]
        );
    }

    #[test]
    fn pairs_are_independent() {
        let mut ledger = Ledger::new(2);
        assert_eq!(ledger.take(0, 1), InOrder);
        assert_eq!(ledger.take(0, 3), InOrder);
        assert_eq!(ledger.take(1, 2), InOrder);
        assert_eq!(ledger.take(1, 1), Late);
        assert_eq!(ledger.take(0, 1), Doubled);
        assert_eq!(ledger.take(0, 2), Late);
    }

    /// The same messages in a ledger and in a plain set.
    #[test]
    fn ledger_agrees_with_a_set() {
        let mut state = 0x9E37_79B9_7F4A_7C15_u64;
        let mut ledger = Ledger::new(1);
        let mut set = BTreeSet::new();
        for step in 1..=20_000_u32 {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            let number = (step + (state >> 40) as u32 % 40).saturating_sub(20).max(1);
            let expected = if set.contains(&number) {
                Doubled
            } else if set.last().is_some_and(|last| *last > number) {
                Late
            } else {
                InOrder
            };
            set.insert(number);
            assert_eq!(ledger.take(0, number), expected, "step {step}");
        }
        let missing = ledger.highest[0] as usize - set.len();
        let in_gaps: u32 = ledger.gaps[&0].iter().map(|(from, to)| to - from).sum();
        assert_eq!(in_gaps as usize, missing);
    }
}
