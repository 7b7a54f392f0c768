//! The stand-in of the thread that hashes: its work is done when the game lets it, in order, and a
//! hash is the password itself. Knows no account.

use super::super::chance::Chance;
use parlor::password::{Busy, Outcome, Passwords, Work};
use std::cell::Cell;
use std::collections::VecDeque;
use std::rc::Rc;

/// Work that may wait.
const QUEUE_MAX: usize = 3;

#[derive(Default)]
struct Queue {
    work: Cell<VecDeque<(u64, Work)>>,
    outcomes: Cell<Vec<(u64, Outcome)>>,
}

/// Both ends share it.
#[derive(Clone, Default)]
pub(crate) struct SimPasswords(Rc<Queue>);

/// What is kept of a password.
pub(crate) fn hashed(password: &str) -> String {
    format!("hash of {password}")
}

impl SimPasswords {
    /// Does some of the work. Returns whether there is an outcome.
    pub(crate) fn steps(&self, chance: &mut Chance) -> bool {
        let (mut work, mut outcomes) = (self.0.work.take(), self.0.outcomes.take());
        while chance.percent(60)
            && let Some((tag, next)) = work.pop_front()
        {
            outcomes.push((tag, outcome(&next)));
        }
        let has_outcomes = !outcomes.is_empty();
        self.0.work.set(work);
        self.0.outcomes.set(outcomes);
        has_outcomes
    }
}

/// What the thread would find.
pub(crate) fn outcome(work: &Work) -> Outcome {
    let of = |secret: &[u8]| hashed(str::from_utf8(secret).expect("a password is text"));
    match work {
        Work::Hash { password } => Outcome::Hashed(of(password.as_bytes())),
        Work::Verify { password, kept } if kept.as_ref() == Some(&of(password.as_bytes())) => {
            Outcome::Matches
        }
        Work::Verify { .. } => Outcome::Differs,
    }
}

impl Passwords for SimPasswords {
    fn begin(&mut self, tag: u64, work: Work) -> Result<(), Busy> {
        let mut queue = self.0.work.take();
        let is_full = queue.len() >= QUEUE_MAX;
        if !is_full {
            queue.push_back((tag, work));
        }
        self.0.work.set(queue);
        if is_full { Err(Busy) } else { Ok(()) }
    }

    fn receive(&mut self, outcomes: &mut Vec<(u64, Outcome)>) {
        outcomes.append(&mut self.0.outcomes.take());
    }
}
