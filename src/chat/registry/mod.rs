//! The registry: what outlives users and is no entry of a room's log. Accounts, roles, bans, mutes,
//! rules of rooms, sessions of accounts. All of it is in memory; a store keeps a copy behind it.
//! Facts change by [`Registry::change`] alone. Knows no user that is connected, no store and no
//! encoding.

mod accounts;
mod early;
mod fact;
mod sanctions;

pub use fact::{
    Account, AccountSession, Audit, AuditRow, Change, Conversation, Fact, FactKey, Prefix, Rules,
    Sanction, SanctionKind, Scope, Subject,
};

pub use sanctions::Person;

use crate::carry::carried;
use crate::chat::{Nick, Role};
use crate::id::{AccountId, Millis};
use accounts::Accounts;
use early::Early;
use sanctions::Sanctions;
use smol_str::SmolStr;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::num::NonZeroU32;

/// All facts, as a store has them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    pub facts: Vec<Fact>,
    /// The number of the newest change; 0: there was none.
    pub changes: u64,
    /// The largest id that an account ever had; 0: there was none.
    pub accounts: u32,
}

carried!(struct Snapshot { facts, changes, accounts });

/// All facts.
#[derive(Debug, Default)]
pub struct Registry {
    facts: BTreeMap<FactKey, Fact>,
    /// Follow from the facts.
    index: Accounts,
    sanctions: Sanctions,
    sanction_count: usize,
    /// The number of the newest change.
    changes: u64,
    /// The largest id that an account has had since the start, or has in the store.
    accounts: u32,
    /// An engine that other servers share puts changes in order.
    is_shared: bool,
    early: Early,
}

impl Registry {
    /// Takes what a store had at the start.
    pub fn restore(kept: Snapshot) -> Self {
        let mut registry = Self {
            changes: kept.changes,
            accounts: kept.accounts,
            ..Self::default()
        };
        for fact in kept.facts {
            registry.put(fact);
        }
        registry
    }

    /// All that [`Registry::restore`] needs.
    pub fn snapshot(&self) -> Snapshot {
        Snapshot {
            facts: self.facts.values().cloned().collect(),
            changes: self.changes,
            accounts: self.accounts,
        }
    }

    fn put(&mut self, fact: Fact) {
        let key = fact.key();
        self.forget(&key);
        if let Fact::Sanction(sanction) = &fact {
            self.sanctions.put(sanction);
            self.sanction_count += 1;
        }
        if let Fact::Account(account) = &fact {
            self.accounts = self.accounts.max(account.id.0.get());
        }
        self.index.add(&fact);
        self.facts.insert(key, fact);
    }

    fn forget(&mut self, key: &FactKey) {
        let Some(old) = self.facts.remove(key) else {
            return;
        };
        self.index.take_out(&old);
        if let Fact::Sanction(sanction) = &old {
            self.sanctions.remove(sanction);
            self.sanction_count -= 1;
        }
    }

    /// From here on an engine that other servers share puts changes in order: what this server has
    /// made early is to be ended by [`Registry::settle`] or [`Registry::take_back`].
    pub fn share(&mut self) {
        self.is_shared = true;
    }

    pub const fn is_shared(&self) -> bool {
        self.is_shared
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
        let change = self.numbered(at, puts, forgets, audit);
        if self.is_shared {
            let keys = change.forgets.iter().cloned();
            let keys = keys.chain(change.puts.iter().map(Fact::key));
            let keys: BTreeSet<FactKey> = keys.collect();
            let before = keys.into_iter().map(|key| {
                let fact = self.facts.get(&key).cloned();
                (key, fact)
            });
            let before = before.collect();
            self.early.begin(change.number, before);
        }
        self.apply(&change);
        change
    }

    /// The same, but that a shared engine puts the change in order before it is made.
    #[must_use]
    pub fn propose(
        &mut self,
        at: Millis,
        puts: Vec<Fact>,
        forgets: Vec<FactKey>,
        audit: Option<Audit>,
    ) -> Change {
        let change = self.numbered(at, puts, forgets, audit);
        if !self.is_shared {
            self.apply(&change);
        }
        change
    }

    fn numbered(
        &mut self,
        at: Millis,
        puts: Vec<Fact>,
        forgets: Vec<FactKey>,
        audit: Option<Audit>,
    ) -> Change {
        self.changes += 1;
        Change {
            number: self.changes,
            at,
            puts,
            forgets,
            audit,
        }
    }

    /// Makes a change that was put in order elsewhere.
    pub fn apply(&mut self, change: &Change) {
        for key in &change.forgets {
            self.forget(key);
        }
        for fact in &change.puts {
            self.put(fact.clone());
        }
    }

    /// What of a change that a shared engine has put in order is still to be made here, by
    /// [`Registry::apply`]. `own`: this server has made it, under this number.
    #[must_use]
    pub fn absorb(&mut self, change: &Change, own: Option<u64>) -> Change {
        let mut rest = without_facts(change);
        let put: BTreeSet<FactKey> = change.puts.iter().map(Fact::key).collect();
        for key in change.forgets.iter().filter(|key| !put.contains(key)) {
            let is_early = self.early.note(key, None) && own.is_some();
            if !is_early && self.facts.contains_key(key) {
                rest.forgets.push(key.clone());
            }
        }
        for fact in &change.puts {
            let key = fact.key();
            let is_early = self.early.note(&key, Some(fact)) && own.is_some();
            if !is_early && self.facts.get(&key) != Some(fact) {
                rest.puts.push(fact.clone());
            }
        }
        if let Some(number) = own {
            let settled = self.early.end(number);
            self.add_settled(settled, &mut rest);
        }
        rest
    }

    /// What is to be changed so that all facts are these.
    #[must_use]
    pub fn difference(&mut self, kept: Snapshot, at: Millis) -> Change {
        self.accounts = self.accounts.max(kept.accounts);
        let kept = kept.facts.into_iter().map(|fact| (fact.key(), fact));
        let mut kept: BTreeMap<FactKey, Fact> = kept.collect();
        let early: BTreeSet<FactKey> = self.early.keys().into_iter().collect();
        for key in &early {
            let fact = kept.remove(key);
            self.early.note(key, fact.as_ref());
        }
        let gone = self.facts.keys();
        let gone = gone.filter(|key| !kept.contains_key(key) && !early.contains(key));
        let forgets = gone.cloned().collect();
        kept.retain(|key, fact| self.facts.get(key) != Some(fact));
        Change {
            number: 0,
            at,
            puts: kept.into_values().collect(),
            forgets,
            audit: None,
        }
    }

    /// The changes of this server up to a number are in order. Returns what is still to be changed.
    #[must_use]
    pub fn settle(&mut self, upto: u64) -> Change {
        let mut rest = nothing();
        for number in self.early.upto(upto) {
            let settled = self.early.end(number);
            self.add_settled(settled, &mut rest);
        }
        rest
    }

    /// A change of this server was refused by the shared engine. Returns what is to be changed so
    /// that it was not made.
    #[must_use]
    pub fn take_back(&mut self, number: u64) -> Change {
        let mut rest = nothing();
        let settled = self.early.end(number);
        self.add_settled(settled, &mut rest);
        rest
    }

    /// The changes of this server under way which are about an account that another server has
    /// changed: they will be refused.
    pub fn overtaken_by(&self, change: &Change) -> Vec<u64> {
        let put = change.puts.iter().map(Fact::key);
        let keys = change.forgets.iter().cloned().chain(put);
        let accounts = keys.filter(|key| matches!(key, FactKey::Account(_)));
        let about = accounts.flat_map(|key| self.early.about(&key));
        let about: BTreeSet<u64> = about.chain(self.namesakes(&change.puts)).collect();
        about.into_iter().collect()
    }

    /// The changes of this server under way which make an account of a name that another one has by
    /// these facts: they will be refused.
    pub fn namesakes(&self, facts: &[Fact]) -> Vec<u64> {
        let other = |fact: &Fact| {
            let Fact::Account(account) = fact else {
                return None;
            };
            let other = self.account_of_nick(&Nick::parse(&account.name).ok()?)?;
            (other != account.id).then_some(FactKey::Account(other))
        };
        let others = facts.iter().filter_map(other);
        others.flat_map(|key| self.early.about(&key)).collect()
    }

    fn add_settled(&self, settled: Vec<(FactKey, Option<Fact>)>, rest: &mut Change) {
        for (key, fact) in settled {
            if self.facts.get(&key) == fact.as_ref() {
                continue;
            }
            match fact {
                Some(fact) => rest.puts.push(fact),
                None => rest.forgets.push(key),
            }
        }
    }

    pub fn get(&self, key: &FactKey) -> Option<&Fact> {
        self.facts.get(key)
    }

    /// The number of the newest change.
    pub const fn changes(&self) -> u64 {
        self.changes
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
            FactKey::Ignored {
                account: of,
                subject,
            } => *of == account || *subject == Subject::Account(account),
            FactKey::Conversation(accounts) => accounts.contains(&account),
            FactKey::Rules { .. } => false,
        };
        self.facts.keys().filter(is_of).cloned().collect()
    }

    /// The id of an account that is being made; `None`: there are no more.
    pub fn next_account(&mut self) -> Option<AccountId> {
        self.accounts = self.accounts.checked_add(1)?;
        NonZeroU32::new(self.accounts).map(AccountId)
    }

    /// The account whose name looks like a nick.
    pub fn account_like(&self, nick: &Nick) -> Option<&Account> {
        self.account(self.account_of_nick(nick)?)
    }

    /// The role of an account in a room, or on the server, that was given to it.
    pub fn role(&self, scope: &Scope, account: AccountId) -> Role {
        let key = FactKey::Role {
            scope: scope.clone(),
            account,
        };
        match self.facts.get(&key) {
            Some(Fact::Role { role, .. }) => *role,
            _ => Role::Member,
        }
    }

    /// All roles that were given in a room, or on the server.
    pub fn roles(&self, scope: &Scope) -> impl Iterator<Item = (AccountId, Role)> {
        let key = |number| FactKey::Role {
            scope: scope.clone(),
            account: AccountId(number),
        };
        let range = key(NonZeroU32::MIN)..=key(NonZeroU32::MAX);
        self.facts.range(range).filter_map(|(_, fact)| match fact {
            Fact::Role { account, role, .. } => Some((*account, *role)),
            _ => None,
        })
    }

    /// The rooms that have an owner, in the order of their names.
    pub fn owned_rooms(&self) -> impl ExactSizeIterator<Item = &SmolStr> {
        self.index.owned()
    }

    /// The rules of a room, if they are not the usual ones.
    pub fn rules(&self, room: &SmolStr) -> Option<&Rules> {
        match self.facts.get(&FactKey::Rules { room: room.clone() }) {
            Some(Fact::Rules { rules, .. }) => Some(rules),
            _ => None,
        }
    }

    /// Whom an account takes no direct messages from.
    pub fn ignored_by(&self, account: AccountId) -> impl Iterator<Item = &Subject> {
        let from = FactKey::Ignored {
            account,
            subject: Subject::Nick(SmolStr::default()),
        };
        let facts = self.facts.range(from..);
        facts.map_while(move |(key, _)| match key {
            FactKey::Ignored {
                account: of,
                subject,
            } if *of == account => Some(subject),
            _ => None,
        })
    }

    /// What is known of the conversation of two accounts, which are in order.
    pub fn conversation(&self, accounts: [AccountId; 2]) -> Option<&Conversation> {
        match self.facts.get(&FactKey::Conversation(accounts))? {
            Fact::Conversation(conversation) => Some(conversation),
            _ => None,
        }
    }

    /// The conversations of an account.
    pub fn conversations_of(&self, account: AccountId) -> impl Iterator<Item = &Conversation> {
        let others = self.index.talked_to(account);
        others.filter_map(move |other| {
            let mut accounts = [account, other];
            accounts.sort_unstable();
            self.conversation(accounts)
        })
    }

    /// How many bans and mutes there are.
    pub const fn sanction_count(&self) -> usize {
        self.sanction_count
    }

    pub fn sanction(
        &self,
        scope: &Scope,
        kind: SanctionKind,
        subject: &Subject,
    ) -> Option<&Sanction> {
        let key = FactKey::Sanction {
            scope: scope.clone(),
            kind,
            subject: subject.clone(),
        };
        match self.facts.get(&key) {
            Some(Fact::Sanction(sanction)) => Some(sanction),
            _ => None,
        }
    }

    /// The bans and mutes of a room, or of the server, in no order of time.
    pub fn sanctions(&self, scope: &Scope) -> impl Iterator<Item = &Sanction> {
        let from = FactKey::Sanction {
            scope: scope.clone(),
            kind: SanctionKind::Ban,
            subject: Subject::Nick(SmolStr::default()),
        };
        let facts = self.facts.range(from..);
        let sanctions = facts.map_while(|(_, fact)| match fact {
            Fact::Sanction(sanction) => Some(sanction),
            _ => None,
        });
        sanctions.take_while(move |sanction| sanction.scope == *scope)
    }

    /// Those that were imposed together.
    pub fn imposed_at(
        &self,
        scope: &Scope,
        kind: SanctionKind,
        at: Millis,
    ) -> impl Iterator<Item = &Sanction> {
        let all = self.sanctions(scope);
        all.filter(move |sanction| sanction.kind == kind && sanction.at == at)
    }

    /// The subjects of sanctions about a person, whether they still hold or not.
    pub fn sanctions_about(
        &self,
        scope: &Scope,
        kind: SanctionKind,
        person: Person<'_>,
    ) -> Vec<Subject> {
        self.sanctions.about(scope, kind, person)
    }

    /// The same about a nick, or one that looks like it.
    pub fn sanctions_of_nick(
        &self,
        scope: &Scope,
        kind: SanctionKind,
        nick: &Nick,
    ) -> Vec<Subject> {
        self.sanctions.of_nick(scope, kind, nick)
    }

    /// The same about an address.
    pub fn sanctions_of_address(
        &self,
        scope: &Scope,
        kind: SanctionKind,
        address: IpAddr,
    ) -> Vec<Subject> {
        self.sanctions.of_address(scope, kind, address)
    }

    /// When the next sanction ends.
    pub fn next_end(&self) -> Option<Millis> {
        self.sanctions.next_end()
    }

    /// Up to `most` sanctions that have ended.
    pub fn ended(&self, now: Millis, most: usize) -> Vec<FactKey> {
        self.sanctions.ended(now, most)
    }

    /// When the newest sanction was imposed.
    pub fn last_act(&self) -> Millis {
        let times = self.facts.values().filter_map(|fact| match fact {
            Fact::Sanction(sanction) => Some(sanction.at),
            _ => None,
        });
        times.max().unwrap_or_default()
    }

    pub fn len(&self) -> usize {
        self.facts.len()
    }

    pub fn is_empty(&self) -> bool {
        self.facts.is_empty()
    }
}

const fn nothing() -> Change {
    Change {
        number: 0,
        at: Millis(0),
        puts: Vec::new(),
        forgets: Vec::new(),
        audit: None,
    }
}

fn without_facts(change: &Change) -> Change {
    Change {
        number: change.number,
        at: change.at,
        audit: change.audit.clone(),
        ..nothing()
    }
}
