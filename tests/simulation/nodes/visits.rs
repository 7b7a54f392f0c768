//! The end of a game of whole servers for people with accounts: what each server knows of each account,
//! one that has just begun among them, is what Redis has. Visitors ask them. Knows no fault.

use super::facts::{Facts, NAMES};
use super::people::{Asked, DEN, People, Person};
use super::redis::model::Redis;
use super::servers::Servers;
use crate::trace::Trace;
use parlor::chat::Role;
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// Sessions of one account that are tried: fewer than connections may be at once.
const TRIED: usize = 5;

/// What visitors do, one after the other.
#[derive(Clone, Copy)]
pub(super) enum Visit {
    /// As guests that wish for the name of an account.
    Come,
    LogInWrongly,
    LogIn,
    Ask,
    Leave,
}

impl Visit {
    pub(super) const STEPS: [Self; 5] = [
        Self::Come,
        Self::LogInWrongly,
        Self::LogIn,
        Self::Ask,
        Self::Leave,
    ];
}

impl People {
    /// Each person asks for the members.
    pub(super) fn meet(&mut self, servers: &mut Servers, trace: &mut Trace) {
        for index in 0..self.all.len() {
            self.asks(index, Asked::Who, servers, trace);
        }
    }

    /// Each is in its account, and each account is one member, whatever connections it has.
    pub(super) fn judge_meeting(&self, sees_all: bool) {
        let names: BTreeSet<&str> = self.all.iter().map(Person::name).collect();
        for person in &self.all {
            let number = person.number;
            assert!(person.is_in && person.is_member, "person {number} is there");
            assert_eq!(person.nick, person.name());
            let shown = &person.answer;
            let members = shown["members"].as_array().expect("it has asked");
            let all = members.iter().filter_map(Value::as_str);
            let all: BTreeSet<&str> = all.collect();
            assert_eq!(all.len(), members.len(), "nobody is there twice: {shown}");
            if sees_all {
                assert_eq!(all, names, "person {number} sees all");
                assert_eq!(shown["members"], shown["accounts"], "all have accounts");
            }
        }
    }

    /// All were shown what was said to them.
    pub(super) fn judge_letters(&self, has_lost: bool, redis: &Redis) {
        for person in &self.all {
            person.letters.judge(person.account, has_lost, redis);
        }
    }

    pub(super) fn visit(&mut self, step: Visit, servers: &mut Servers, trace: &mut Trace) {
        let facts = Facts::of(servers.redis());
        if matches!(step, Visit::Come) {
            for place in 0..servers.nodes.len() {
                for (account, name) in NAMES.iter().enumerate().take(self.accounts) {
                    self.all.push(Person::new(self.all.len(), account));
                    let index = self.all.len() - 1;
                    self.connects_to(index, place, name, servers, trace);
                }
            }
            return;
        }
        for index in self.residents..self.all.len() {
            let account = self.all[index].account;
            let password = facts.password(account).expect("there is an account");
            let former = self.knowledge.former_password(account, password);
            match step {
                Visit::Come => {}
                Visit::LogInWrongly => {
                    let visitor = &self.all[index];
                    assert!(visitor.is_greeted, "it was greeted");
                    assert_ne!(visitor.nick, visitor.name(), "no guest has the name");
                    if let Some(password) = former {
                        self.logs_in(index, password, servers, trace);
                    }
                }
                Visit::LogIn => {
                    assert!(!self.all[index].is_in, "a former password has entered");
                    self.logs_in(index, password, servers, trace);
                }
                // Others were at fault who share its place among addresses.
                Visit::Ask if self.all[index].is_slowed => {}
                Visit::Ask => {
                    let name = NAMES[account];
                    assert!(self.all[index].is_in, "{name} is entered at each server");
                    self.asks(index, Asked::Account, servers, trace);
                }
                Visit::Leave => self.leaves(index, &facts, servers),
            }
        }
        if matches!(step, Visit::Leave) {
            self.all.truncate(self.residents);
        }
    }

    fn leaves(&mut self, index: usize, facts: &Facts, servers: &mut Servers) {
        let visitor = &self.all[index];
        if !visitor.is_slowed {
            visitor.sees(facts);
        }
        let (place, socket) = visitor.seat.expect("it is connected");
        servers.leaves(place, socket);
    }

    /// Some of all sessions are tried at one server.
    pub(super) fn come_back(&mut self, place: usize, servers: &mut Servers, trace: &mut Trace) {
        for account in 0..self.accounts {
            let sessions = self.knowledge.sessions.values();
            let own = sessions.filter(|session| session.account == account);
            let secrets = own.map(|session| session.secret.clone()).take(TRIED);
            for secret in secrets.collect::<Vec<String>>() {
                let mut visitor = Person::new(self.all.len(), account);
                visitor.secret = Some(secret);
                self.all.push(visitor);
                self.connects_to(self.all.len() - 1, place, "visitor", servers, trace);
            }
        }
    }

    /// Those that have not ended have entered their accounts, and no others.
    pub(super) fn judge_back(&mut self, place: usize, servers: &mut Servers) {
        let facts = Facts::of(servers.redis());
        for visitor in self.all.drain(self.residents..) {
            let session = visitor.tried.expect("it has asked");
            let account = facts.account(visitor.account).expect("it is there").id;
            let is_kept = facts.sessions.get(&session) == Some(&account);
            let name = visitor.name();
            assert_eq!(
                visitor.is_in, is_kept,
                "session {session} of {name} enters server {place}"
            );
            if let Some((place, socket)) = visitor.seat {
                servers.leaves(place, socket);
            }
        }
    }
}

impl Person {
    /// What it was answered of its account is what Redis has.
    fn sees(&self, facts: &Facts) {
        let shown = self.answer["sessions"].as_array();
        let shown = shown.expect("it has asked");
        let kept = facts.sessions_of(self.account);
        assert_eq!(shown.len(), kept.len(), "sessions of {}", self.name());
        let id = facts.account(self.account).expect("it is there").id;
        let roles = match facts.role(id) {
            Role::Member => json!([]),
            role => json!([{"room": DEN, "role": role.name()}]),
        };
        assert_eq!(self.answer["roles"], roles, "roles of {}", self.name());
    }
}
