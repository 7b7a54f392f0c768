//! The registry: what outlives users and is no entry of a room's log. Accounts, roles, bans, mutes,
//! rules of rooms, sessions of accounts. All of it is in memory; a store keeps a copy behind it.
//! Facts change by [`Registry::change`] alone. Knows no user that is connected, no store and no
//! encoding.

mod accounts;
mod fact;

pub use fact::{
    Account, AccountSession, Audit, Change, Fact, FactKey, Prefix, Rules, Sanction, SanctionKind,
    Scope, Subject,
};

use crate::chat::{Nick, Role};
use crate::id::{AccountId, Millis};
use accounts::Accounts;
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
    /// Follows from the facts.
    index: Accounts,
    /// The number of the newest change.
    changes: u64,
    /// The largest id that an account has had since the start, or has in the store.
    accounts: u32,
}

impl Registry {
    /// Takes what a store had at the start.
    pub fn restore(kept: Snapshot) -> Self {
        let mut index = Accounts::default();
        for fact in &kept.facts {
            index.add(fact);
        }
        let facts = kept.facts.into_iter();
        Self {
            facts: facts.map(|fact| (fact.key(), fact)).collect(),
            index,
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
            if let Some(old) = self.facts.remove(key) {
                self.index.take_out(&old);
            }
        }
        for fact in &puts {
            if let Some(old) = self.facts.insert(fact.key(), fact.clone()) {
                self.index.take_out(&old);
            }
            self.index.add(fact);
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

    pub fn account(&self, id: AccountId) -> Option<&Account> {
        match self.facts.get(&FactKey::Account(id))? {
            Fact::Account(account) => Some(account),
            _ => None,
        }
    }

    /// The account whose name this nick is, or looks like.
    pub fn account_of_nick(&self, nick: &Nick) -> Option<AccountId> {
        self.index.of_nick(nick)
    }

    /// The account that signed tokens call this.
    pub fn account_of_subject(&self, subject: &str) -> Option<AccountId> {
        self.index.of_subject(subject)
    }

    pub fn session(&self, session: u64) -> Option<&AccountSession> {
        match self.facts.get(&FactKey::Session(session))? {
            Fact::Session(session) => Some(session),
            _ => None,
        }
    }

    /// The sessions of an account, first the one that was longest not used.
    pub fn sessions_of(&self, account: AccountId) -> &[u64] {
        self.index.sessions_of(account)
    }

    /// The roles of an account, and where it has them.
    pub fn roles_of(&self, account: AccountId) -> Vec<(Scope, Role)> {
        let roles = self.facts.values().filter_map(|fact| match fact {
            Fact::Role {
                scope,
                account: of,
                role,
            } if *of == account => Some((scope.clone(), *role)),
            _ => None,
        });
        roles.collect()
    }

    /// All accounts, the oldest first.
    pub fn accounts(&self) -> impl Iterator<Item = &Account> {
        // Facts are in the order of their keys, and those of accounts come first.
        self.facts.values().map_while(|fact| match fact {
            Fact::Account(account) => Some(account),
            _ => None,
        })
    }

    pub const fn account_count(&self) -> usize {
        self.index.count()
    }

    /// The facts that are gone with an account: all that name it.
    pub fn facts_of(&self, account: AccountId) -> Vec<FactKey> {
        let is_of = |key: &&FactKey| match key {
            FactKey::Account(id) => *id == account,
            FactKey::Session(session) => self
                .session(*session)
                .is_some_and(|session| session.account == account),
            FactKey::Role { account: of, .. } => *of == account,
            FactKey::Sanction { subject, .. } => *subject == Subject::Account(account),
            FactKey::Rules { .. } => false,
        };
        self.facts.keys().filter(is_of).cloned().collect()
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
