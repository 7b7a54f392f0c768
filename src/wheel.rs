//! A timer wheel: which slot is due at which tick. A data structure over numbers; knows no
//! connection and no clock.
//!
//! 512 spokes of one tick each. A deadline is linked to the spoke of its tick; one further away
//! than a whole round as well, where it is looked at once a round. Postponing only stores the new
//! due time, and the entry moves when its old spoke passes: the usual case, a connection from which
//! bytes keep coming, costs one store. Everything else is a list operation.

use crate::carry::{Carrier, Damaged};
use crate::histogram::Histogram;
use crate::id::Tick;

/// A round of the wheel is 51.2 s: longer than most heartbeats.
const SPOKES: usize = 512;
const WORDS: usize = SPOKES / 64;

/// No slot: the end of a list.
const NONE: u32 = u32::MAX;

/// Where a slot is linked, in a table alongside the connections: 12 bytes each.
#[derive(Clone, Copy, Debug)]
struct Entry {
    /// The slot before it on its spoke, or, for the first, `FIRST | spoke`.
    prev: u32,
    next: u32,
    due: u32,
}

/// Marks a `prev` that names a spoke. Slots stay far below it.
const FIRST: u32 = 1 << 31;

const DISARMED: Entry = Entry {
    prev: NONE,
    next: NONE,
    due: 0,
};

/// Deadlines by slot, one each.
#[derive(Debug)]
pub struct Wheel {
    entries: Vec<Entry>,
    /// The first slot on each spoke.
    spokes: [u32; SPOKES],
    /// Which spokes are not empty, a bit each.
    occupied: [u64; WORDS],
    /// Every tick before this one was handled.
    next: u32,
    armed: usize,
    /// Ticks by which deadlines came late.
    late: Box<Histogram>,
}

/// Ticks.
const LATE_BOUNDS: &[u64] = &[0, 1, 2, 5, 10, 20, 50, 100, 300];

impl Wheel {
    pub fn new(now: Tick) -> Self {
        Self {
            entries: Vec::new(),
            spokes: [NONE; SPOKES],
            occupied: [0; WORDS],
            next: now.0,
            armed: 0,
            late: Box::new(Histogram::new(LATE_BOUNDS)),
        }
    }

    /// Sets the deadline of a slot, whether it had one or not. One that has passed already comes
    /// with the next tick. `slot` must be below 2³¹.
    pub fn arm(&mut self, slot: u32, due: Tick) {
        assert!(slot < FIRST, "slots are counted from zero");
        let index = slot as usize;
        if index >= self.entries.len() {
            self.entries.resize(index + 1, DISARMED);
        }
        if self.is_armed(slot) {
            if due.0 >= self.entries[index].due {
                self.entries[index].due = due.0;
                return;
            }
            self.unlink(slot);
        }
        self.link(slot, due.0);
    }

    /// Removes the deadline of a slot, if it has one.
    pub fn disarm(&mut self, slot: u32) {
        if self.is_armed(slot) {
            self.unlink(slot);
        }
        if self.armed == 0 {
            // After a crowd has gone its memory should be too.
            self.entries = Vec::new();
        }
    }

    /// Gives back the memory of the slots behind the last that has a deadline.
    pub fn shrink(&mut self) {
        let last = self.entries.iter().rposition(|entry| entry.prev != NONE);
        self.entries.truncate(last.map_or(0, |last| last + 1));
        self.entries.shrink_to_fit();
    }

    /// The deadline of a slot.
    pub fn due(&self, slot: u32) -> Option<Tick> {
        self.is_armed(slot)
            .then(|| Tick(self.entries[slot as usize].due))
    }

    /// Appends to `fired` the slots whose deadline is `now` or earlier, and disarms them; at most
    /// `limit`. The others come at the next call, and [`Wheel::next_look`] says that it is due.
    pub fn expire(&mut self, now: Tick, limit: usize, fired: &mut Vec<u32>) {
        let limit = fired.len().saturating_add(limit);
        // If the clock ran ahead by more than a round, every spoke is visited once.
        let last = now.0.min(self.next.saturating_add(SPOKES as u32 - 1));
        while self.next <= last {
            let Some(tick) = self.next_occupied(last) else {
                break;
            };
            self.next = tick;
            if !self.visit(tick as usize % SPOKES, now.0, limit, fired) {
                return;
            }
            if tick == u32::MAX {
                return;
            }
            self.next = tick + 1;
        }
        self.next = self.next.max(now.0.saturating_add(1));
    }

    /// A moment no later than the earliest deadline; `None` if there is none. Deadlines that were
    /// postponed make it earlier than need be, by at most one visit each.
    pub fn next_look(&self) -> Option<Tick> {
        self.next_occupied(self.next.saturating_add(SPOKES as u32 - 1))
            .map(Tick)
    }

    /// By how many ticks the deadlines that came were late: a loop that is slow shows here, and so
    /// does a crowd of deadlines that comes in portions.
    pub fn late(&self) -> &Histogram {
        &self.late
    }

    /// The figures alone: deadlines follow from what they are for, and are armed again.
    ///
    /// # Errors
    /// The bytes are not those of figures.
    pub fn carry(&mut self, carrier: &mut Carrier<'_>) -> Result<(), Damaged> {
        self.late.carry(carrier)
    }

    /// How many slots have a deadline.
    pub fn len(&self) -> usize {
        self.armed
    }

    pub fn is_empty(&self) -> bool {
        self.armed == 0
    }

    fn is_armed(&self, slot: u32) -> bool {
        self.entries
            .get(slot as usize)
            .is_some_and(|entry| entry.prev != NONE)
    }

    /// Fires or moves the slots of a spoke. False: the limit was reached, and due slots remain.
    fn visit(&mut self, spoke: usize, now: u32, limit: usize, fired: &mut Vec<u32>) -> bool {
        // The list is walked as it was: slots that are linked here meanwhile wait for the next
        // round.
        let mut slot = self.spokes[spoke];
        while slot != NONE {
            let Entry { next, due, .. } = self.entries[slot as usize];
            if due <= now {
                if fired.len() >= limit {
                    return false;
                }
                self.unlink(slot);
                self.late.record(u64::from(now - due));
                fired.push(slot);
            } else if due as usize % SPOKES != spoke {
                self.unlink(slot);
                self.link(slot, due);
            }
            slot = next;
        }
        true
    }

    fn link(&mut self, slot: u32, due: u32) {
        // A slot that is due already is linked to the spoke that is visited next.
        let spoke = due.max(self.next) as usize % SPOKES;
        let first = self.spokes[spoke];
        self.entries[slot as usize] = Entry {
            prev: FIRST | spoke as u32,
            next: first,
            due,
        };
        if first != NONE {
            self.entries[first as usize].prev = slot;
        }
        self.spokes[spoke] = slot;
        self.occupied[spoke / 64] |= 1 << (spoke % 64);
        self.armed += 1;
    }

    fn unlink(&mut self, slot: u32) {
        let Entry { prev, next, .. } = self.entries[slot as usize];
        if next != NONE {
            self.entries[next as usize].prev = prev;
        }
        if prev & FIRST == 0 {
            self.entries[prev as usize].next = next;
        } else {
            let spoke = (prev & !FIRST) as usize;
            self.spokes[spoke] = next;
            if next == NONE {
                self.occupied[spoke / 64] &= !(1 << (spoke % 64));
            }
        }
        self.entries[slot as usize] = DISARMED;
        self.armed -= 1;
    }

    /// The first tick from `self.next` to `last` (less than a round later) whose spoke is occupied.
    fn next_occupied(&self, last: u32) -> Option<u32> {
        let start = self.next as usize % SPOKES;
        let first_word = start / 64;
        // One word more than there are: the first is looked at from both sides of the start.
        for step in 0..=WORDS {
            let word = (first_word + step) % WORDS;
            let mut bits = self.occupied[word];
            if step == 0 {
                bits &= u64::MAX << (start % 64);
            } else if step == WORDS {
                bits &= !(u64::MAX << (start % 64));
            }
            if bits != 0 {
                let spoke = word * 64 + bits.trailing_zeros() as usize;
                let ahead = (spoke + SPOKES - start) % SPOKES;
                let tick = self.next.saturating_add(ahead as u32);
                return (tick <= last).then_some(tick);
            }
        }
        None
    }

    /// Panics if lists, bits and counts do not agree. For tests.
    pub fn check_invariants(&self) {
        let mut linked = 0;
        for (spoke, first) in self.spokes.iter().enumerate() {
            let bit = self.occupied[spoke / 64] >> (spoke % 64) & 1 == 1;
            assert_eq!(bit, *first != NONE, "the bit of spoke {spoke}");
            let mut prev = FIRST | spoke as u32;
            let mut slot = *first;
            while slot != NONE {
                let entry = self.entries[slot as usize];
                assert_eq!(entry.prev, prev, "the way back from slot {slot}");
                prev = slot;
                slot = entry.next;
                linked += 1;
                assert!(linked <= self.armed, "a list without end");
            }
        }
        assert_eq!(linked, self.armed, "linked and counted");
        let armed = self
            .entries
            .iter()
            .filter(|entry| entry.prev != NONE)
            .count();
        assert_eq!(armed, self.armed, "entries and counted");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn expire(wheel: &mut Wheel, now: u32) -> Vec<u32> {
        let mut fired = Vec::new();
        wheel.expire(Tick(now), usize::MAX, &mut fired);
        wheel.check_invariants();
        fired.sort_unstable();
        fired
    }

    #[test]
    fn a_deadline_fires_once_and_not_before_its_tick() {
        let mut wheel = Wheel::new(Tick(0));
        wheel.arm(3, Tick(10));
        assert!(!wheel.is_empty());
        assert_eq!(expire(&mut wheel, 9), [0; 0]);
        assert_eq!(expire(&mut wheel, 10), [3]);
        assert_eq!(expire(&mut wheel, 600), [0; 0]);
        assert!(wheel.is_empty());
    }

    #[test]
    fn postponing_keeps_it_from_firing_at_the_old_time() {
        let mut wheel = Wheel::new(Tick(0));
        wheel.arm(1, Tick(10));
        wheel.arm(1, Tick(20));
        assert_eq!(expire(&mut wheel, 15), [0; 0]);
        assert_eq!(wheel.due(1), Some(Tick(20)));
        assert_eq!(expire(&mut wheel, 20), [1]);
    }

    #[test]
    fn advancing_makes_it_fire_at_the_new_time() {
        let mut wheel = Wheel::new(Tick(0));
        wheel.arm(1, Tick(20));
        wheel.arm(1, Tick(10));
        assert_eq!(wheel.next_look(), Some(Tick(10)));
        assert_eq!(expire(&mut wheel, 10), [1]);
    }

    #[test]
    fn a_deadline_further_than_a_round_waits_for_its_time() {
        let mut wheel = Wheel::new(Tick(0));
        wheel.arm(1, Tick(3 * 512 + 5));
        for now in [5, 512 + 5, 2 * 512 + 5, 3 * 512 + 4] {
            assert_eq!(expire(&mut wheel, now), [0; 0]);
        }
        assert_eq!(expire(&mut wheel, 3 * 512 + 5), [1]);
    }

    #[test]
    fn a_clock_that_runs_far_ahead_fires_everything_that_was_due() {
        let mut wheel = Wheel::new(Tick(0));
        for slot in 0..100 {
            wheel.arm(slot, Tick(slot * 17));
        }
        wheel.arm(100, Tick(20_000));
        assert_eq!(expire(&mut wheel, 10_000), (0..100).collect::<Vec<u32>>());
        assert_eq!(wheel.len(), 1);
        assert_eq!(expire(&mut wheel, 20_000), [100]);
    }

    #[test]
    fn what_is_overdue_when_it_is_armed_fires_with_the_next_tick() {
        let mut wheel = Wheel::new(Tick(0));
        expire(&mut wheel, 100);
        wheel.arm(1, Tick(50));
        assert!(wheel.next_look() <= Some(Tick(101)));
        assert_eq!(expire(&mut wheel, 101), [1]);
    }

    #[test]
    fn what_is_over_the_limit_fires_at_the_next_call() {
        let mut wheel = Wheel::new(Tick(0));
        for slot in 0..10 {
            wheel.arm(slot, Tick(5));
        }
        let mut fired = Vec::new();
        wheel.expire(Tick(5), 4, &mut fired);
        assert_eq!(fired.len(), 4);
        assert_eq!(wheel.next_look(), Some(Tick(5)));
        wheel.expire(Tick(5), 100, &mut fired);
        fired.sort_unstable();
        assert_eq!(fired, (0..10).collect::<Vec<u32>>());
    }

    #[test]
    fn an_empty_wheel_has_nothing_to_look_at_and_holds_no_memory() {
        let mut wheel = Wheel::new(Tick(0));
        wheel.arm(1000, Tick(5));
        wheel.disarm(1000);
        wheel.disarm(1000);
        assert_eq!(wheel.next_look(), None);
        assert_eq!(wheel.entries.capacity(), 0);
    }

    #[test]
    #[should_panic(expected = "linked and counted")]
    fn a_wrong_count_of_deadlines_is_found() {
        let mut wheel = Wheel::new(Tick(0));
        wheel.arm(1, Tick(5));
        wheel.armed = 2;
        wheel.check_invariants();
    }

    #[test]
    fn an_entry_is_small_and_so_is_the_wheel() {
        assert_eq!(size_of::<Entry>(), 12);
        assert!(size_of::<Wheel>() <= SPOKES * 4 + SPOKES / 8 + 64);
    }

    /// The same operations on a wheel and on a sorted map.
    #[test]
    fn memory_of_high_slots_is_given_back_and_the_others_keep_their_deadlines() {
        let mut wheel = Wheel::new(Tick(0));
        for slot in 0..10_000 {
            wheel.arm(slot, Tick(100 + slot % 1_000));
        }
        for slot in 100..10_000 {
            wheel.disarm(slot);
        }
        wheel.shrink();
        wheel.check_invariants();
        assert!(wheel.entries.capacity() <= 128);
        assert_eq!(wheel.due(99), Some(Tick(199)));
        assert_eq!(wheel.due(9_999), None);
        wheel.arm(200, Tick(7));
        assert_eq!(wheel.due(200), Some(Tick(7)));
        wheel.check_invariants();
    }

    #[test]
    fn it_agrees_with_a_sorted_map() {
        let mut state = 0x2545_F491_4F6C_DD1D_u64;
        let mut chance = |limit: u32| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 33) as u32 % limit
        };
        let mut wheel = Wheel::new(Tick(1000));
        let mut map: BTreeMap<u32, u32> = BTreeMap::new();
        let mut now = 1000;
        for step in 0..if cfg!(miri) { 500 } else { 200_000 } {
            let slot = chance(64);
            match chance(10) {
                0..5 => {
                    let due = now + chance(1500) - chance(20).min(now);
                    wheel.arm(slot, Tick(due));
                    map.insert(slot, due);
                }
                5..7 => {
                    wheel.disarm(slot);
                    map.remove(&slot);
                }
                _ => {
                    now += if chance(50) == 0 {
                        chance(3000)
                    } else {
                        1 + chance(30)
                    };
                    let limit = if chance(4) == 0 {
                        chance(5) as usize
                    } else {
                        usize::MAX
                    };
                    let mut fired = Vec::new();
                    wheel.expire(Tick(now), limit, &mut fired);
                    assert!(fired.len() <= limit);
                    for slot in &fired {
                        let due = map.remove(slot);
                        assert!(
                            due.is_some_and(|due| due <= now),
                            "step {step}: slot {slot}"
                        );
                    }
                    let overdue = map.values().filter(|due| **due <= now).count();
                    assert!(
                        overdue == 0 || fired.len() == limit,
                        "step {step}: {overdue} overdue"
                    );
                }
            }
            wheel.check_invariants();
            assert_eq!(wheel.len(), map.len());
            assert_eq!(wheel.due(slot).map(|due| due.0), map.get(&slot).copied());
            let earliest = map.values().min().copied();
            let look = wheel.next_look().map(|tick| tick.0);
            assert_eq!(look.is_some(), earliest.is_some());
            if let (Some(look), Some(earliest)) = (look, earliest) {
                assert!(
                    look <= earliest.max(now + 1),
                    "step {step}: {look} after {earliest}"
                );
            }
        }
    }
}
