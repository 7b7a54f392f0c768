//! The registry: what outlives users and is no entry of a room's log. Accounts, roles, bans, mutes,
//! rules of rooms, sessions of accounts. All of it is in memory; a store keeps a copy behind it.
//! Facts change by [`Registry::change`] alone. Knows no user that is connected, no store and no
//! encoding.

mod fact;

pub use fact::{
    Account, AccountSession, Audit, Change, Fact, FactKey, Prefix, Rules, Sanction, SanctionKind,
    Scope, Subject,
};

use crate::id::{AccountId, Millis};
use std::collections::BTreeMap;

/// All facts, as a store has them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    pub facts: Vec<Fact>,
    /// The number of the newest change; 0: there was none.
    pub changes: u64,
    /// The largest id that an account ever had; 0: there was none.
    pub accounts: u32,
}

/// All facts.
#[derive(Debug, Default)]
pub struct Registry {
    facts: BTreeMap<FactKey, Fact>,
    /// The number of the newest change.
    changes: u64,
    /// The largest id that an account has had since the start, or has in the store.
    accounts: u32,
}

impl Registry {
    /// Takes what a store had at the start.
    pub fn restore(kept: Snapshot) -> Self {
        let facts = kept.facts.into_iter();
        Self {
            facts: facts.map(|fact| (fact.key(), fact)).collect(),
            changes: kept.changes,
            accounts: kept.accounts,
        }
    }

    /// Changes the facts, at once. The change is to be kept: changes must reach the store in the
    /// order in which they are made.
    #[must_use]
    pub fn change(
        &mut self,
        at: Millis,
        puts: Vec<Fact>,
        forgets: Vec<FactKey>,
        audit: Option<Audit>,
    ) -> Change {
        for key in &forgets {
            self.facts.remove(key);
        }
        for fact in &puts {
            self.facts.insert(fact.key(), fact.clone());
        }
        self.changes += 1;
        Change {
            number: self.changes,
            at,
            puts,
            forgets,
            audit,
        }
    }

    pub fn get(&self, key: &FactKey) -> Option<&Fact> {
        self.facts.get(key)
    }

    /// The id of an account that is being made; `None`: there are no more.
    pub fn next_account(&mut self) -> Option<AccountId> {
        self.accounts = self.accounts.checked_add(1)?;
        std::num::NonZeroU32::new(self.accounts).map(AccountId)
    }

    pub fn len(&self) -> usize {
        self.facts.len()
    }

    pub fn is_empty(&self) -> bool {
        self.facts.is_empty()
    }
}
