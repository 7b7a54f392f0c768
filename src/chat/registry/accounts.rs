//! Where the accounts are among the facts: by what a nick looks like, by what a signed token calls
//! them, their sessions, and the rooms that they own. Follows the facts, and knows no rule.

use super::{Account, Fact, Scope};
use crate::chat::{Nick, Role};
use crate::id::AccountId;
use smol_str::SmolStr;
use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU32;

#[derive(Debug, Default)]
pub(super) struct Accounts {
    count: usize,
    by_key: BTreeMap<SmolStr, AccountId>,
    by_subject: BTreeMap<SmolStr, AccountId>,
    /// In the order in which they began or were used last.
    sessions: BTreeMap<AccountId, Vec<u64>>,
    /// Rooms with an owner, and how many each has.
    owned: BTreeMap<SmolStr, u32>,
    /// Who has talked to whom, both ways.
    talked: BTreeSet<(AccountId, AccountId)>,
}

fn keys(account: &Account) -> impl Iterator<Item = SmolStr> {
    let nick = Nick::parse(&account.name).ok();
    let keys = nick.map(|nick| nick.keys().collect::<Vec<SmolStr>>());
    keys.into_iter().flatten()
}

fn forget(table: &mut BTreeMap<SmolStr, AccountId>, key: &SmolStr, account: AccountId) {
    if table.get(key) == Some(&account) {
        table.remove(key);
    }
}

impl Accounts {
    /// A fact holds from here on. One with the same key was taken out before.
    pub(super) fn add(&mut self, fact: &Fact) {
        match fact {
            Fact::Account(account) => {
                self.count += 1;
                for key in keys(account) {
                    self.by_key.insert(key, account.id);
                }
                if let Some(subject) = &account.token_subject {
                    self.by_subject.insert(subject.clone(), account.id);
                }
            }
            Fact::Session(session) => {
                let sessions = self.sessions.entry(session.account).or_default();
                sessions.push(session.session);
            }
            Fact::Role {
                scope: Scope::Room(room),
                role: Role::Owner,
                ..
            } => *self.owned.entry(room.clone()).or_default() += 1,
            Fact::Conversation(conversation) => {
                let [one, other] = conversation.accounts;
                self.talked.extend([(one, other), (other, one)]);
            }
            Fact::Role { .. } | Fact::Sanction(_) | Fact::Rules { .. } | Fact::Ignored { .. } => {}
        }
    }

    /// A fact holds no more.
    pub(super) fn take_out(&mut self, fact: &Fact) {
        match fact {
            Fact::Account(account) => {
                self.count -= 1;
                // Another server may have made one of this name, which holds.
                for key in keys(account) {
                    forget(&mut self.by_key, &key, account.id);
                }
                if let Some(subject) = &account.token_subject {
                    forget(&mut self.by_subject, subject, account.id);
                }
            }
            Fact::Session(session) => {
                if let Some(sessions) = self.sessions.get_mut(&session.account) {
                    sessions.retain(|other| *other != session.session);
                    if sessions.is_empty() {
                        self.sessions.remove(&session.account);
                    }
                }
            }
            Fact::Role {
                scope: Scope::Room(room),
                role: Role::Owner,
                ..
            } => {
                if let Some(owners) = self.owned.get_mut(room) {
                    *owners -= 1;
                    if *owners == 0 {
                        self.owned.remove(room);
                    }
                }
            }
            Fact::Conversation(conversation) => {
                let [one, other] = conversation.accounts;
                self.talked.remove(&(one, other));
                self.talked.remove(&(other, one));
            }
            Fact::Role { .. } | Fact::Sanction(_) | Fact::Rules { .. } | Fact::Ignored { .. } => {}
        }
    }

    pub(super) const fn count(&self) -> usize {
        self.count
    }

    /// The account whose name this is, or looks like.
    pub(super) fn of_nick(&self, nick: &Nick) -> Option<AccountId> {
        if self.by_key.is_empty() {
            return None;
        }
        nick.keys().find_map(|key| self.by_key.get(&key).copied())
    }

    /// The accounts that one has talked to.
    pub(super) fn talked_to(&self, account: AccountId) -> impl Iterator<Item = AccountId> {
        let from = (account, AccountId(NonZeroU32::MIN));
        let all = self.talked.range(from..);
        let all = all.take_while(move |(one, _)| *one == account);
        all.map(|(_, other)| *other)
    }

    pub(super) fn of_subject(&self, subject: &str) -> Option<AccountId> {
        self.by_subject.get(subject).copied()
    }

    /// In the order of their names.
    pub(super) fn owned(&self) -> impl ExactSizeIterator<Item = &SmolStr> {
        self.owned.keys()
    }

    pub(super) fn sessions_of(&self, account: AccountId) -> &[u64] {
        self.sessions.get(&account).map_or(&[], Vec::as_slice)
    }
}
