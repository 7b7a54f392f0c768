//! What stands in for the thread that reads the settings again: it takes some turns, and has one of a
//! few configurations or a mistake. Says which configuration holds, for the judge.

use super::chance::Chance;
use parlor::config::Config;
use parlor::reload::{Outcome, Reload, Reloaded};
use std::cell::Cell;
use std::rc::Rc;

/// The settings that a game may have, with their maximum of connections.
pub(crate) type Variants = Vec<(Config, usize)>;

pub(crate) struct SimReload {
    chance: Chance,
    variants: Variants,
    /// Turns until the outcome is there.
    turns_left: usize,
    holds: Rc<Cell<usize>>,
    is_woken: Rc<Cell<bool>>,
}

impl SimReload {
    pub(crate) fn new(
        seed: u64,
        variants: Variants,
        holds: Rc<Cell<usize>>,
        is_woken: Rc<Cell<bool>>,
    ) -> Self {
        Self {
            chance: Chance::new(seed),
            variants,
            turns_left: 0,
            holds,
            is_woken,
        }
    }
}

impl Reload for SimReload {
    fn begin(&mut self) {
        self.turns_left = self.chance.below(5);
        self.is_woken.set(true);
    }

    fn receive(&mut self) -> Option<Outcome> {
        if self.turns_left > 0 {
            self.turns_left -= 1;
            self.is_woken.set(true);
            return None;
        }
        if self.chance.percent(20) {
            return Some(Err(vec![String::from(
                "parlor.toml:3: there is no such setting",
            )]));
        }
        let chosen = self.chance.below(self.variants.len());
        self.holds.set(chosen);
        let (config, max_connections) = self.variants[chosen].clone();
        Some(Ok(Box::new(Reloaded {
            config,
            max_connections,
            verifier: None,
            identities: None,
            changes: Vec::new(),
        })))
    }
}
