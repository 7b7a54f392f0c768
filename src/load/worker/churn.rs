//! Closes and opens connections at a rate. One step closes an open connection, and another takes
//! its place as soon as the server has ended it; or it opens a connection in an empty place.
//!
//! A connection that is still pending is left to its upgrade or its time-out: dropping it would
//! hide the very connections that the server is slow with.

use super::super::client::Phase;
use super::super::schedule::Schedule;
use super::super::tally::Count;
use super::{STEPS_PER_TURN, Worker};
use crate::id::ConnId;
use crate::net::dial::Micros;

/// Slots that one step looks at before it is skipped.
const LOOKS_MAX: usize = 256;

pub(super) struct Churn {
    schedule: Schedule,
    next: usize,
    is_going_on: bool,
}

/// What a step does in a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Close(ConnId),
    Open(usize),
}

impl Churn {
    pub(super) fn new(now: Micros, per_second: f64) -> Self {
        Self {
            schedule: Schedule::new(now, per_second),
            next: 0,
            is_going_on: true,
        }
    }

    pub(super) const fn stop(&mut self) {
        self.is_going_on = false;
    }

    pub(super) const fn is_going_on(&self) -> bool {
        self.is_going_on
    }

    /// When the next step is due.
    pub(super) fn due(&self) -> Option<Micros> {
        self.is_going_on.then(|| self.schedule.due())
    }

    fn take(&mut self, now: Micros) -> Option<Micros> {
        self.due()?;
        self.schedule.take(now)
    }

    /// The first step that is possible from the next slot on, round and round.
    fn step(&mut self, slots: usize, possible: impl Fn(usize) -> Option<Step>) -> Option<Step> {
        (0..slots.min(LOOKS_MAX)).find_map(|_| {
            let slot = self.next % slots;
            self.next = slot + 1;
            possible(slot)
        })
    }
}

impl Worker {
    pub(super) fn churn_due(&mut self, now: Micros) {
        for _ in 0..STEPS_PER_TURN {
            let Some(churn) = &mut self.churn else { return };
            let Some(due) = churn.take(now) else { return };
            let slots = &self.slots;
            let step = churn.step(slots.len(), |slot| match slots.at(slot) {
                None => Some(Step::Open(slot)),
                Some((id, client)) => (client.phase == Phase::Open).then_some(Step::Close(id)),
            });
            match step {
                Some(Step::Open(slot)) => self.dial(slot, due),
                Some(Step::Close(id)) => self.leave(id, Some(due)),
                None => self.tally.counts.add(Count::StepsSkipped, 1),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_go_round_and_pass_over_slots_in_which_none_is_possible() {
        let mut churn = Churn::new(0, 1_000.0);
        let even = |slot: usize| slot.is_multiple_of(2).then_some(Step::Open(slot));
        let steps = [0; 4].map(|_| churn.step(5, even));
        assert_eq!(steps, [0, 2, 4, 0].map(|slot| Some(Step::Open(slot))));
        assert_eq!(churn.step(5, |_| None), None);
    }

    #[test]
    fn search_for_a_step_is_bounded() {
        let mut churn = Churn::new(0, 1_000.0);
        let last = |slot: usize| (slot == LOOKS_MAX).then_some(Step::Open(slot));
        assert_eq!(churn.step(2_000_000, last), None);
        let step = churn.step(2_000_000, last);
        assert_eq!(step, Some(Step::Open(LOOKS_MAX)));
    }

    #[test]
    fn no_step_is_due_after_the_stop() {
        let mut churn = Churn::new(500, 1_000.0);
        assert_eq!(churn.take(1_000), Some(500));
        assert_eq!(churn.due(), Some(1_500));
        churn.stop();
        assert_eq!((churn.due(), churn.take(9_000)), (None, None));
    }
}
