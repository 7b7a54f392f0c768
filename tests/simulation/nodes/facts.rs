//! What is known of accounts in a game of whole servers: by what people were told, and by the facts
//! that Redis has. At the end both must agree. Knows no server and no connection.

use super::super::order::passwords::hashed;
use super::people::DEN;
use super::redis::model::Redis;
use crate::chance::Chance;
use data_encoding::BASE64URL_NOPAD;
use parlor::chat::registry::{Account, Fact, Scope};
use parlor::chat::{Role, SESSIONS_MAX};
use parlor::id::AccountId;
use std::collections::{BTreeMap, BTreeSet};

pub(super) const NAMES: [&str; 3] = ["ann", "bob", "cat"];

pub(super) fn password(number: u32) -> String {
    format!("a long password, number {number}")
}

/// Of the session that a secret is for.
pub(super) fn number_of(secret: &str) -> u64 {
    let bytes = BASE64URL_NOPAD.decode(secret.as_bytes()).expect("base64");
    u64::from_le_bytes(bytes[..8].try_into().expect("eight bytes"))
}

/// The facts of a Redis that are about accounts.
#[derive(Default)]
pub(super) struct Facts {
    pub(super) accounts: BTreeMap<AccountId, Account>,
    pub(super) sessions: BTreeMap<u64, AccountId>,
    /// In the room in which people meet.
    pub(super) roles: BTreeMap<AccountId, Role>,
}

impl Facts {
    pub(super) fn of(redis: &Redis) -> Self {
        let mut facts = Self::default();
        let kept = redis.data.hash(b"p:facts").into_iter().flatten();
        for (_, fact) in kept.filter(|(key, _)| !key.is_empty()) {
            match parlor::redis::fact(fact).expect("a fact") {
                Fact::Account(account) => {
                    facts.accounts.insert(account.id, account);
                }
                Fact::Session(session) => {
                    facts.sessions.insert(session.session, session.account);
                }
                Fact::Role {
                    scope: Scope::Room(room),
                    account,
                    role,
                } if room == DEN => {
                    facts.roles.insert(account, role);
                }
                _ => {}
            }
        }
        facts
    }

    pub(super) fn account(&self, place: usize) -> Option<&Account> {
        let mut all = self.accounts.values();
        all.find(|account| account.name == NAMES[place])
    }

    /// The number of the password that enters an account.
    pub(super) fn password(&self, place: usize) -> Option<u32> {
        let kept = self.account(place)?.password.as_deref()?;
        let number = kept.rsplit(' ').next()?.parse().expect("a number");
        assert_eq!(kept, hashed(&password(number)));
        Some(number)
    }

    pub(super) fn sessions_of(&self, place: usize) -> BTreeSet<u64> {
        let id = self.account(place).map(|account| account.id);
        let all = self.sessions.iter();
        let own = all.filter(|(_, account)| Some(**account) == id);
        own.map(|(session, _)| *session).collect()
    }
}

/// A session of an account, as the one knows it that has its secret.
pub(super) struct Session {
    pub(super) account: usize,
    pub(super) secret: String,
    /// The password by which it was begun, and those that its owner has set in it, perhaps.
    passwords: BTreeSet<u32>,
    /// A logout was acknowledged.
    has_ended: bool,
    /// A logout was asked for.
    may_have_ended: bool,
}

pub(super) struct Knowledge {
    /// Of each account: what its password may be, as far as nothing was lost.
    may_be: Vec<BTreeSet<u32>>,
    /// All that it may ever have been.
    ever: Vec<BTreeSet<u32>>,
    /// How often its registration was acknowledged.
    made: Vec<u32>,
    pub(super) logins: Vec<usize>,
    pub(super) sessions: BTreeMap<u64, Session>,
    passwords: u32,
}

impl Knowledge {
    pub(super) fn new(accounts: usize) -> Self {
        Self {
            may_be: vec![BTreeSet::new(); accounts],
            ever: vec![BTreeSet::new(); accounts],
            made: vec![0; accounts],
            logins: vec![0; accounts],
            sessions: BTreeMap::new(),
            passwords: 0,
        }
    }

    /// One that no account has.
    pub(super) const fn new_password(&mut self) -> u32 {
        self.passwords += 1;
        self.passwords
    }

    /// One that the account may have, or now and then another.
    pub(super) fn any_password(&mut self, account: usize, chance: &mut Chance) -> u32 {
        let all = match chance.percent(80) {
            true => &self.may_be[account],
            false => &self.ever[account],
        };
        if all.is_empty() || chance.percent(10) {
            return self.new_password();
        }
        let mut all = all.iter().skip(chance.below(all.len()));
        *all.next().expect("one of them")
    }

    /// A registration was acknowledged.
    pub(super) fn is_made(&self, account: usize) -> bool {
        self.made[account] > 0
    }

    // What was asked

    pub(super) fn may_be(&mut self, account: usize, password: u32) {
        self.may_be[account].insert(password);
        self.ever[account].insert(password);
    }

    /// The owner of a session changes the password.
    pub(super) fn may_go_on(&mut self, session: Option<u64>, password: u32) {
        if let Some(session) = session.and_then(|session| self.sessions.get_mut(&session)) {
            session.passwords.insert(password);
        }
    }

    pub(super) fn may_end(&mut self, session: Option<u64>) {
        if let Some(session) = session.and_then(|session| self.sessions.get_mut(&session)) {
            session.may_have_ended = true;
        }
    }

    // What was answered

    pub(super) fn is_not(&mut self, account: usize, password: u32) {
        self.may_be[account].remove(&password);
    }

    /// A person has entered an account.
    pub(super) fn has_entered(
        &mut self,
        account: usize,
        password: u32,
        secret: &str,
        is_new: bool,
    ) {
        if is_new {
            self.made[account] += 1;
        }
        assert!(
            self.ever[account].contains(&password),
            "a wrong password entered {}",
            NAMES[account]
        );
        let session = Session {
            account,
            secret: secret.to_owned(),
            passwords: BTreeSet::from([password]),
            has_ended: false,
            may_have_ended: false,
        };
        self.sessions.insert(number_of(secret), session);
    }

    pub(super) fn has_come_back(&mut self, secret: &str) {
        if let Some(session) = self.sessions.get_mut(&number_of(secret)) {
            session.secret = secret.to_owned();
        }
    }

    pub(super) fn has_ended(&mut self, session: Option<u64>) {
        if let Some(session) = session.and_then(|session| self.sessions.get_mut(&session)) {
            session.has_ended = true;
        }
    }

    // The end

    /// One that it had, and has not.
    pub(super) fn former_password(&self, account: usize, password: u32) -> Option<u32> {
        let mut ever = self.ever[account].iter();
        ever.find(|one| **one != password).copied()
    }

    /// What Redis has is what people were told. `has_lost`: but for what it has lost.
    pub(super) fn judge(&self, facts: &Facts, has_lost: bool) {
        let names: BTreeSet<&str> = facts
            .accounts
            .values()
            .map(|one| one.name.as_str())
            .collect();
        assert_eq!(names.len(), facts.accounts.len(), "one account a name");
        for (place, may_be) in self.may_be.iter().enumerate() {
            let name = NAMES[place];
            let password = facts.password(place);
            let password = password.unwrap_or_else(|| panic!("there is an account of {name}"));
            if !has_lost {
                assert!(self.made[place] <= 1, "{name} was registered once");
                assert!(
                    may_be.contains(&password),
                    "{name} has {password}: {may_be:?}"
                );
                self.judge_sessions(place, password, &facts.sessions_of(place));
            }
        }
    }

    /// Of an account with this password.
    fn judge_sessions(&self, place: usize, password: u32, kept: &BTreeSet<u64>) {
        let all = self.sessions.iter();
        for (number, session) in all.filter(|(_, session)| session.account == place) {
            let what = format!("session {number} of {}", NAMES[place]);
            let is_of_password = session.passwords.contains(&password);
            if kept.contains(number) {
                assert!(!session.has_ended, "{what} has ended, and is there");
                assert!(is_of_password, "{what} outlasts its password");
            } else if !session.may_have_ended && self.logins[place] < SESSIONS_MAX {
                assert!(!is_of_password, "{what} is gone");
            }
        }
    }
}
