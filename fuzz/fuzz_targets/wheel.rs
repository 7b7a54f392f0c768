//! The timer wheel against a model, a sorted map of deadlines. Knows no connection.
#![no_main]

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use parlor::id::Tick;
use parlor::wheel::Wheel;
use std::collections::BTreeMap;

#[derive(Arbitrary, Debug)]
enum Operation {
    /// A near deadline on one of few slots, so that several deadlines share a tick.
    Soon {
        slot: u8,
        ahead: u8,
    },
    Wait {
        ticks: u8,
    },
    Arm {
        slot: u8,
        ahead: u16,
    },
    ArmAt {
        slot: u8,
        due: u32,
    },
    Disarm {
        slot: u8,
    },
    Pass {
        ticks: u16,
        limit: Option<u8>,
    },
    Jump {
        ticks: u32,
    },
}

#[derive(Clone, Copy)]
struct Deadline {
    due: u32,
    armed_at: u32,
}

/// The wheel, its model, and the moment up to which deadlines have expired.
struct Game {
    wheel: Wheel,
    deadlines: BTreeMap<u32, Deadline>,
    now: u32,
}

impl Game {
    fn play(&mut self, operation: Operation) {
        match operation {
            Operation::Soon { slot, ahead } => {
                self.arm(slot % 8, self.now.saturating_add(u32::from(ahead % 16)));
            }
            Operation::Wait { ticks } => self.pass(u32::from(ticks % 16), None),
            Operation::Arm { slot, ahead } => {
                self.arm(slot, self.now.saturating_add(ahead.into()));
            }
            Operation::ArmAt { slot, due } => self.arm(slot, due),
            Operation::Disarm { slot } => {
                self.wheel.disarm(slot.into());
                self.deadlines.remove(&slot.into());
            }
            Operation::Pass { ticks, limit } => self.pass(ticks.into(), limit.map(usize::from)),
            Operation::Jump { ticks } => self.pass(ticks, None),
        }
    }

    fn arm(&mut self, slot: u8, due: u32) {
        self.wheel.arm(slot.into(), Tick(due));
        let armed_at = self.now;
        self.deadlines
            .insert(slot.into(), Deadline { due, armed_at });
    }

    /// Checks that each deadline that fires was armed and due, and fires once. Every deadline that
    /// is due fires, unless the limit is reached; one that was due when it was armed fires at the
    /// next tick.
    fn pass(&mut self, ticks: u32, limit: Option<usize>) {
        self.now = self.now.saturating_add(ticks);
        let limit = limit.unwrap_or(usize::MAX);
        let mut fired = vec![u32::MAX];
        self.wheel.expire(Tick(self.now), limit, &mut fired);
        assert_eq!(
            fired[0],
            u32::MAX,
            "expire() changed an element that was in the list before"
        );
        assert!(fired.len() - 1 <= limit, "more fired than the limit");
        for slot in &fired[1..] {
            let Deadline { due, .. } = self
                .deadlines
                .remove(slot)
                .expect("a deadline that is armed fires once");
            assert!(
                due <= self.now,
                "slot {slot} is due at {due} and fired at {}",
                self.now
            );
        }
        let is_overdue =
            |deadline: &&Deadline| deadline.due <= self.now && deadline.armed_at < self.now;
        let overdue = self.deadlines.values().filter(is_overdue).count();
        assert!(
            overdue == 0 || fired.len() - 1 == limit,
            "{overdue} deadlines are due and did not fire"
        );
    }

    fn check(&self) {
        self.wheel.check_invariants();
        assert_eq!(self.wheel.len(), self.deadlines.len());
        assert_eq!(self.wheel.is_empty(), self.deadlines.is_empty());
        for (slot, Deadline { due, .. }) in &self.deadlines {
            assert_eq!(self.wheel.due(*slot), Some(Tick(*due)));
        }
        let earliest = self.deadlines.values().map(|deadline| deadline.due).min();
        let look = self.wheel.next_look();
        assert_eq!(
            look.is_some(),
            earliest.is_some(),
            "a next look without a deadline, or a deadline without a next look"
        );
        if let (Some(look), Some(earliest)) = (look, earliest) {
            let latest = earliest.max(self.now.saturating_add(1));
            assert!(
                look.0 <= latest,
                "the next look at {look:?} is too late for {earliest}"
            );
        }
    }
}

fuzz_target!(|game: (u32, Vec<Operation>)| {
    let (start, operations) = game;
    let mut game = Game {
        wheel: Wheel::new(Tick(start)),
        deadlines: BTreeMap::new(),
        now: start,
    };
    for operation in operations {
        game.play(operation);
        game.check();
    }
});
