//! People with accounts in a game of whole servers: each account has two of them, who register it, log
//! in, come back with their sessions, change the password and log out, at whichever servers they are.
//! What they were told is kept by [`Knowledge`], which judges it at the end. Knows no fault.

use super::super::client::{Ear, Seen};
use super::super::history::json;
use super::super::shared::program::TOKEN;
use super::facts::{Facts, Knowledge, NAMES, number_of, password};
use super::letters::Letters;
use super::ranks::{ROLES, Ranks};
use super::servers::Servers;
use crate::chance::Chance;
use crate::trace::Trace;
use parlor::chat::Role;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::net::Ipv4Addr;

/// The room in which they meet.
pub(super) const DEN: &str = "den";
/// Of each account.
const CONNECTIONS: usize = 2;

/// What was asked and is not answered.
#[derive(Clone, Debug)]
pub(super) enum Asked {
    Register { password: u32 },
    Login { password: u32 },
    Resume { session: u64 },
    Change { old: u32, new: u32 },
    Logout,
    Join,
    Account,
    Who,
    Op,
    Role { to: usize, role: Role },
    Kick { of: usize, reason: String },
}

impl Asked {
    /// The type of the request.
    const fn kind(&self) -> &'static str {
        match self {
            Self::Register { .. } => "register",
            Self::Login { .. } => "login",
            Self::Resume { .. } => "resume",
            Self::Change { .. } => "password",
            Self::Logout => "logout",
            Self::Join => "join",
            Self::Account => "account",
            Self::Who => "who",
            Self::Op => "op",
            Self::Role { .. } => "role",
            Self::Kick { .. } => "kick",
        }
    }
}

pub(super) struct Person {
    pub(super) number: usize,
    /// Its place among [`NAMES`].
    pub(super) account: usize,
    /// A server, and the socket there. `None`: it is not connected.
    pub(super) seat: Option<(usize, usize)>,
    ear: Ear,
    pub(super) is_greeted: bool,
    pub(super) nick: String,
    /// It was told that it is logged in.
    pub(super) is_in: bool,
    pub(super) is_member: bool,
    is_operator: bool,
    /// Too many wrong passwords came from its address: it goes to another one.
    pub(super) is_slowed: bool,
    pub(super) secret: Option<String>,
    asked: Option<(u64, Asked)>,
    next: u64,
    /// What it was shown last when it asked for something.
    pub(super) answer: Value,
    /// The session that it came back with.
    pub(super) tried: Option<u64>,
    pub(super) letters: Letters,
}

pub(super) struct People {
    pub(super) all: Vec<Person>,
    pub(super) accounts: usize,
    /// How many there are but for visitors.
    pub(super) residents: usize,
    pub(super) knowledge: Knowledge,
    pub(super) ranks: Ranks,
    /// What was done, and how often.
    pub(super) seen: BTreeMap<&'static str, u64>,
    /// Of their own, so that the games of others are much as they would be without.
    chance: Chance,
    addresses: u16,
    /// Guests wish for the names of accounts. No person writes to another then: a name may still be a
    /// guest's.
    is_contended: bool,
}

impl Person {
    pub(super) fn new(number: usize, account: usize) -> Self {
        Self {
            number,
            account,
            seat: None,
            ear: Ear::default(),
            is_greeted: false,
            nick: String::new(),
            is_in: false,
            is_member: false,
            is_operator: false,
            is_slowed: false,
            secret: None,
            asked: None,
            next: 1,
            answer: Value::Null,
            tried: None,
            letters: Letters::default(),
        }
    }

    fn has_left(&mut self) {
        self.seat = None;
        self.ear = Ear::default();
        (self.is_greeted, self.is_in, self.is_member) = (false, false, false);
        self.is_slowed = false;
        self.is_operator = false;
        self.asked = None;
        self.letters.has_left();
    }

    /// Only the first of an account changes its password, so that its changes are in order.
    const fn is_first(&self) -> bool {
        self.number.is_multiple_of(CONNECTIONS)
    }

    pub(super) fn name(&self) -> &'static str {
        NAMES[self.account]
    }

    fn session(&self) -> Option<u64> {
        self.secret.as_deref().map(number_of)
    }
}

impl People {
    pub(super) fn new(seed: u64) -> Self {
        let mut chance = Chance::new(seed ^ 0xACC0);
        let accounts = [0, 1, 2, 3][chance.below(4)];
        let people = 0..accounts * CONNECTIONS;
        Self {
            all: people
                .map(|number| Person::new(number, number / CONNECTIONS))
                .collect(),
            accounts,
            residents: accounts * CONNECTIONS,
            knowledge: Knowledge::new(accounts),
            ranks: Ranks::default(),
            seen: BTreeMap::new(),
            is_contended: chance.percent(30),
            chance,
            addresses: 0,
        }
    }

    /// A server was killed.
    pub(super) fn lose(&mut self, place: usize) {
        let all = self.all.iter_mut();
        for person in all.filter(|person| person.seat.is_some_and(|(at, _)| at == place)) {
            person.has_left();
        }
    }

    /// A step of each in the time in which things fail.
    pub(super) fn act(&mut self, servers: &mut Servers, trace: &mut Trace) {
        for index in 0..self.all.len() {
            self.acts(index, servers, trace);
        }
    }

    fn acts(&mut self, index: usize, servers: &mut Servers, trace: &mut Trace) {
        let chance = self.chance.below(100);
        let person = &mut self.all[index];
        match person.seat {
            None if chance < 40 => return self.connects(index, servers, trace),
            Some((place, socket)) if chance < 4 || person.is_slowed => {
                servers.leaves(place, socket);
                return person.has_left();
            }
            _ => {}
        }
        if !person.is_greeted || person.asked.is_some() || chance < 50 {
            return;
        }
        let account = person.account;
        let (is_in, is_first, is_member) = (person.is_in, person.is_first(), person.is_member);
        match self.chance.below(100) {
            0..30 if !is_in => {
                let password = self.knowledge.new_password();
                self.registers(index, password, servers, trace);
            }
            30..100 if !is_in => {
                let password = self.knowledge.any_password(account, &mut self.chance);
                self.logs_in(index, password, servers, trace);
            }
            0..8 => self.asks(index, Asked::Logout, servers, trace),
            8..20 if is_first => {
                let old = self.knowledge.any_password(account, &mut self.chance);
                let new = self.knowledge.new_password();
                self.asks(index, Asked::Change { old, new }, servers, trace);
            }
            20..45 if !is_member => self.asks(index, Asked::Join, servers, trace),
            45..50 => self.asks(index, Asked::Account, servers, trace),
            50..56 if is_member => self.asks(index, Asked::Op, servers, trace),
            56..76 if is_member => self.keeps_order(index, servers, trace),
            76..100 if is_in && !self.is_contended => {
                let to = self.chance.below(self.accounts);
                if self.knowledge.is_made(to) {
                    self.writes(index, to, servers, trace);
                }
            }
            _ => {}
        }
    }

    /// Gives another account a role, or kicks it.
    fn keeps_order(&mut self, index: usize, servers: &mut Servers, trace: &mut Trace) {
        let person = &self.all[index];
        let to = self.chance.below(self.accounts);
        if to == person.account {
            return;
        }
        let asked = if self.chance.percent(55) {
            let role = ROLES[self.chance.below(ROLES.len())];
            Asked::Role { to, role }
        } else {
            let reason = self.ranks.kicks(person.is_operator);
            Asked::Kick { of: to, reason }
        };
        self.asks(index, asked, servers, trace);
    }

    /// Says something to another account.
    fn writes(&mut self, index: usize, to: usize, servers: &mut Servers, trace: &mut Trace) {
        let person = &mut self.all[index];
        if to != person.account && person.letters.may_write() {
            let request = person.letters.writes(index, to);
            self.sends(index, &request, servers, trace);
        }
    }

    /// All write to all others.
    pub(super) fn write_last(&mut self, servers: &mut Servers, trace: &mut Trace) {
        for index in 0..self.all.len() {
            for to in 0..self.accounts {
                self.writes(index, to, servers, trace);
            }
        }
    }

    /// A step of each in the quiet time: all come, log in and join. Where there is no account, one is
    /// made.
    pub(super) fn settle(&mut self, servers: &mut Servers, trace: &mut Trace) {
        let facts = Facts::of(servers.redis());
        for index in 0..self.all.len() {
            let person = &self.all[index];
            if person.seat.is_none() || person.is_slowed {
                self.connects(index, servers, trace);
                continue;
            }
            if !person.is_greeted || person.asked.is_some() {
                continue;
            }
            let account = person.account;
            if person.is_in && person.is_member && self.chance.percent(30) {
                let to = self.chance.below(self.accounts);
                self.writes(index, to, servers, trace);
            } else if person.is_in && person.is_member {
                self.asks(index, Asked::Account, servers, trace);
            } else if person.is_in {
                self.asks(index, Asked::Join, servers, trace);
            } else if let Some(password) = facts.password(account) {
                self.logs_in(index, password, servers, trace);
            } else {
                let password = self.knowledge.new_password();
                self.registers(index, password, servers, trace);
            }
        }
    }

    fn connects(&mut self, index: usize, servers: &mut Servers, trace: &mut Trace) {
        let count = servers.nodes.len();
        let place = self.chance.below(count);
        let nick = match self.is_contended && self.chance.percent(70) {
            true => String::from(self.all[index].name()),
            false => format!("p{index}"),
        };
        self.connects_to(index, place, &nick, servers, trace);
    }

    pub(super) fn connects_to(
        &mut self,
        index: usize,
        place: usize,
        nick: &str,
        servers: &mut Servers,
        trace: &mut Trace,
    ) {
        // Each time from another one: wrong passwords and registrations of one are limited.
        self.addresses += 1;
        let [high, low] = self.addresses.to_be_bytes();
        let person = &mut self.all[index];
        if let Some((place, socket)) = person.seat {
            servers.leaves(place, socket);
        }
        person.has_left();
        let socket = servers.comes(place, Ipv4Addr::new(10, 0, high, low), nick);
        person.seat = Some((place, socket));
        trace.note(|| format!("person {index} comes to server {place} as {nick}"));
    }

    fn registers(&mut self, index: usize, password: u32, servers: &mut Servers, trace: &mut Trace) {
        self.asks(index, Asked::Register { password }, servers, trace);
    }

    pub(super) fn logs_in(
        &mut self,
        index: usize,
        password: u32,
        servers: &mut Servers,
        trace: &mut Trace,
    ) {
        self.asks(index, Asked::Login { password }, servers, trace);
    }

    pub(super) fn asks(
        &mut self,
        index: usize,
        asked: Asked,
        servers: &mut Servers,
        trace: &mut Trace,
    ) {
        let person = &mut self.all[index];
        let account = person.account;
        let name = ("account", json!(NAMES[account]));
        let shows = |number: u32| ("password", json!(password(number)));
        let kind = asked.kind();
        let fields = match &asked {
            Asked::Register { password } => {
                self.knowledge.may_be(account, *password);
                vec![name, shows(*password)]
            }
            Asked::Login { password } => {
                self.knowledge.logins[account] += 1;
                vec![name, shows(*password)]
            }
            Asked::Resume { .. } => vec![("session", json!(person.secret))],
            Asked::Change { old, new } => {
                self.knowledge.may_be(account, *new);
                self.knowledge.may_go_on(person.session(), *new);
                vec![shows(*old), ("new", json!(password(*new)))]
            }
            Asked::Logout => {
                self.knowledge.may_end(person.session());
                vec![]
            }
            Asked::Join | Asked::Who => vec![("room", json!(DEN))],
            Asked::Account => vec![],
            Asked::Op => vec![("token", json!(TOKEN))],
            Asked::Role { to, role } => {
                let to = ("account", json!(NAMES[*to]));
                vec![("room", json!(DEN)), to, ("role", json!(role.name()))]
            }
            Asked::Kick { of, reason } => {
                let of = ("nick", json!(NAMES[*of]));
                vec![("room", json!(DEN)), of, ("reason", json!(reason))]
            }
        };
        let id = person.next;
        person.next += 1;
        person.asked = Some((id, asked));
        let text = json::request(kind, Some(id), &fields);
        self.sends(index, &text, servers, trace);
    }

    fn sends(&mut self, index: usize, text: &str, servers: &mut Servers, trace: &mut Trace) {
        trace.note(|| format!("person {index} asks {text}"));
        if let Some((place, socket)) = self.all[index].seat {
            servers.asks(place, socket, text);
        }
    }

    // What they hear

    pub(super) fn hear(&mut self, servers: &mut Servers, trace: &mut Trace) {
        for index in 0..self.all.len() {
            self.hears(index, servers, trace);
        }
    }

    fn hears(&mut self, index: usize, servers: &mut Servers, trace: &mut Trace) {
        let Some((place, socket)) = self.all[index].seat else {
            return;
        };
        let is_over = servers.brings(place, socket, &mut self.all[index].ear);
        while let Some(seen) = self.all[index].ear.next() {
            match seen {
                Seen::Line(text) => {
                    trace.note(|| format!("person {index} hears {text}"));
                    let object = json::check_sent(&text);
                    self.takes(index, &object, servers, trace);
                }
                Seen::Close { code, .. } => {
                    trace.note(|| format!("person {index} is closed with {code:?}"));
                }
                Seen::Status(_) | Seen::Ping(_) | Seen::Pong(_) => {}
            }
        }
        if is_over {
            trace.note(|| format!("person {index} is disconnected"));
            self.all[index].has_left();
        }
    }

    fn takes(&mut self, index: usize, object: &Value, servers: &mut Servers, trace: &mut Trace) {
        let person = &mut self.all[index];
        if object["type"] == "hello" {
            person.is_greeted = true;
            person.nick = object["nick"].as_str().expect("a nick").to_owned();
            if let Some(session) = person.session() {
                person.tried = Some(session);
                self.asks(index, Asked::Resume { session }, servers, trace);
            }
            return;
        }
        if person.letters.hears(object) {
            let is_told = object["type"] == "message";
            *self.seen.entry("letter").or_default() += u64::from(is_told);
            return;
        }
        if object["type"] == "kicked" && object["you"] == true {
            person.is_member = false;
            let account = person.account;
            let reason = object["reason"].as_str().expect("a reason");
            self.ranks.is_removed(account, reason);
            *self.seen.entry("kicked").or_default() += 1;
            return;
        }
        if object["type"] == "nick_changed" && object["old"] == person.nick.as_str() {
            person.nick = object["new"].as_str().expect("a nick").to_owned();
        }
        if let Some(nick) = object["nick"].as_str()
            && matches!(object["type"].as_str(), Some("ok" | "error"))
        {
            person.nick = nick.to_owned();
        }
        let is_answer = |(id, _): &mut (u64, Asked)| object["re"].as_u64() == Some(*id);
        if let Some((_, asked)) = person.asked.take_if(is_answer) {
            self.is_answered(index, &asked, object);
            let is_back = matches!(asked, Asked::Resume { .. }) && self.all[index].is_in;
            if is_back {
                for request in self.all[index].letters.writes_again() {
                    self.sends(index, &request, servers, trace);
                }
            }
        }
    }

    fn is_answered(&mut self, index: usize, asked: &Asked, object: &Value) {
        let code = object["code"].as_str();
        if code.is_none() && (asked.kind() != "resume" || object.get("account").is_some()) {
            *self.seen.entry(asked.kind()).or_default() += 1;
        }
        let person = &mut self.all[index];
        let account = person.account;
        match (asked, code) {
            (Asked::Register { password } | Asked::Login { password }, None) => {
                let is_new = matches!(asked, Asked::Register { .. });
                person.is_in = true;
                person.secret = object["session"].as_str().map(str::to_owned);
                assert_eq!(object["account"], person.name(), "{object}");
                assert_eq!(object["nick"], person.name(), "{object}");
                let secret = person.secret.clone().expect("a secret");
                person.letters.forgets();
                self.knowledge
                    .has_entered(account, *password, &secret, is_new);
            }
            (Asked::Resume { session }, None) => {
                person.is_in = object.get("account").is_some();
                person.secret = person.is_in.then(|| {
                    assert_eq!(object["account"], person.name(), "{object}");
                    assert_eq!(object["nick"], person.name(), "{object}");
                    object["session"].as_str().expect("a secret").to_owned()
                });
                if !person.is_in {
                    person.letters.forgets();
                }
                if let Some(secret) = &person.secret {
                    assert_eq!(number_of(secret), *session, "it is the same session");
                    self.knowledge.has_come_back(secret);
                }
            }
            (Asked::Change { old, .. }, None) => self.knowledge.is_not(account, *old),
            (Asked::Logout, None) => {
                self.knowledge.has_ended(person.session());
                person.is_in = false;
                person.secret = None;
                assert_ne!(object["nick"], person.name(), "{object}");
            }
            (Asked::Join, None) => person.is_member = true,
            (Asked::Op, None) => person.is_operator = true,
            (Asked::Role { to, role }, None) => self.ranks.has_given(*to, *role),
            (Asked::Kick { .. }, None) => {}
            (Asked::Account | Asked::Who, None) => person.answer = object.clone(),
            (Asked::Register { password } | Asked::Change { new: password, .. }, Some(code)) => {
                // What waited for the link may be made all the same.
                if code != "store_unavailable" {
                    self.knowledge.is_not(account, *password);
                }
                self.is_refused(index, asked, code, object);
            }
            (_, Some(code)) => self.is_refused(index, asked, code, object),
        }
    }

    fn is_refused(&mut self, index: usize, asked: &Asked, code: &str, object: &Value) {
        self.all[index].is_slowed |= code == "too_fast";
        let codes: &[&str] = match asked {
            Asked::Register { .. } => &["account_taken", "nick_taken", "too_fast"],
            Asked::Login { .. } | Asked::Change { .. } => &["login_failed", "too_fast"],
            Asked::Logout | Asked::Account => &["login_required"],
            Asked::Resume { .. } | Asked::Join | Asked::Op => &[],
            Asked::Who => &["not_a_member"],
            Asked::Role { .. } => &["not_a_member", "not_allowed", "no_such_account"],
            Asked::Kick { .. } => &["not_a_member", "not_allowed", "no_such_member"],
        };
        let always = ["store_unavailable", "busy"];
        assert!(
            codes.contains(&code) || always.contains(&code),
            "{asked:?} is answered {object}"
        );
    }
}
