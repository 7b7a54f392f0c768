//! Changes that were made here before the engine that other servers share has put them in order, and
//! what the engine has of the same facts: so that one that it refuses can be taken back. Knows no
//! rule and no engine.

use super::{Fact, FactKey};
use std::collections::BTreeMap;

/// All changes of this server that are under way. Empty where no engine is shared.
#[derive(Debug, Default)]
pub(super) struct Early {
    /// By the number of the change: what it puts and forgets.
    changes: BTreeMap<u64, Vec<FactKey>>,
    facts: BTreeMap<FactKey, Kept>,
}

/// What the engine has of a fact that changes under way are about.
#[derive(Debug)]
struct Kept {
    fact: Option<Fact>,
    /// How many of them there are.
    changes: u32,
}

impl Early {
    /// A change is being made. `before`: the facts that it is about, as they are.
    pub(super) fn begin(&mut self, number: u64, before: Vec<(FactKey, Option<Fact>)>) {
        let mut keys = Vec::new();
        for (key, fact) in before {
            let kept = self.facts.entry(key.clone());
            kept.or_insert(Kept { fact, changes: 0 }).changes += 1;
            keys.push(key);
        }
        self.changes.insert(number, keys);
    }

    /// The engine has another fact, or none. Whether a change under way is about it.
    pub(super) fn note(&mut self, key: &FactKey, fact: Option<&Fact>) -> bool {
        let Some(kept) = self.facts.get_mut(key) else {
            return false;
        };
        kept.fact = fact.cloned();
        true
    }

    /// The facts that changes under way are about.
    pub(super) fn keys(&self) -> Vec<FactKey> {
        self.facts.keys().cloned().collect()
    }

    /// A change is not under way any more. Returns the facts that no other one is about, as the
    /// engine has them.
    pub(super) fn end(&mut self, number: u64) -> Vec<(FactKey, Option<Fact>)> {
        let mut settled = Vec::new();
        for key in self.changes.remove(&number).unwrap_or_default() {
            let Some(kept) = self.facts.get_mut(&key) else {
                continue;
            };
            kept.changes -= 1;
            if kept.changes == 0
                && let Some(kept) = self.facts.remove(&key)
            {
                settled.push((key, kept.fact));
            }
        }
        settled
    }

    /// The changes up to a number.
    pub(super) fn upto(&self, number: u64) -> Vec<u64> {
        let changes = self.changes.range(..=number);
        changes.map(|(number, _)| *number).collect()
    }

    /// The changes that are about a fact.
    pub(super) fn about(&self, key: &FactKey) -> Vec<u64> {
        if !self.facts.contains_key(key) {
            return Vec::new();
        }
        let changes = self.changes.iter();
        let about = changes.filter(|(_, keys)| keys.contains(key));
        about.map(|(number, _)| *number).collect()
    }
}
