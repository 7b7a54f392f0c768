//! People with accounts on a server whose store fails and crashes: they register, log in several
//! times, change passwords, leave and return with their sessions. The judge knows of each account
//! which passwords it may have, and of each session whether it must still enter; the server's own
//! invariants add that a reserved nick is worn by its owner alone.

use super::super::chance::Chance;
use super::super::client::{self, Ear, Seen};
use super::super::net::{self, SimNet};
use super::disk::Disk;
use super::json;
use super::store::{Engine, Faults};
use parlor::budget;
use parlor::config::Config;
use parlor::id::{Peer, Tick};
use parlor::log::Keeping;
use parlor::net::Net;
use parlor::password::{Busy, Outcome, Passwords, Secret, Work};
use parlor::server::{Server, Turn};
use serde_json::{Value, json};
use std::collections::{BTreeSet, VecDeque};
use std::net::{IpAddr, Ipv4Addr};

const NAMES: [&str; 4] = ["ann", "bob", "cat", "dan"];
/// For so long at most a request waits, with a margin.
const HELD_TICKS: u32 = 120;
/// Connections. Those from the first on own the account of their number; the others only log in.
const PEOPLE: usize = 9;
const LIVES: usize = 4;
const TURNS: usize = 250;

/// A stand-in for argon2: a hash that can be read, after some turns.
struct Hasher {
    queue: VecDeque<(u64, Work)>,
    chance: Chance,
}

/// Work that may wait, so few that the limit is reached.
const QUEUE_MAX: usize = 3;

fn hashed(password: &Secret) -> String {
    format!("hash of {}", String::from_utf8_lossy(password.as_bytes()))
}

impl Passwords for Hasher {
    fn begin(&mut self, tag: u64, work: Work) -> Result<(), Busy> {
        if self.queue.len() == QUEUE_MAX {
            return Err(Busy);
        }
        self.queue.push_back((tag, work));
        Ok(())
    }

    fn receive(&mut self, outcomes: &mut Vec<(u64, Outcome)>) {
        while self.chance.percent(30) {
            let Some((tag, work)) = self.queue.pop_front() else {
                return;
            };
            let outcome = match work {
                _ if self.chance.percent(2) => Outcome::Failed,
                Work::Hash { password } => Outcome::Hashed(hashed(&password)),
                Work::Verify { password, kept } => match kept == Some(hashed(&password)) {
                    true => Outcome::Matches,
                    false => Outcome::Differs,
                },
            };
            outcomes.push((tag, outcome));
        }
    }
}

/// The password of an account: `None`: there is no account.
type Password = Option<u32>;

fn password(number: u32) -> String {
    format!("a long password, number {number}")
}

/// What is known of an account.
#[derive(Default)]
struct Known {
    /// What it may be, the present included; more than one while it is not known.
    may_be: BTreeSet<Password>,
    /// Counts whenever that changes.
    changes: u64,
    /// Counts whenever sessions of it may end.
    endings: u64,
    /// Sessions that may have begun: beyond 16, one ends.
    logins: u64,
    /// Until then a request of a client that is gone may end sessions: a connection that is held is
    /// not read, so its end is noticed late.
    unsure_until: Tick,
}

impl Known {
    fn is(&mut self, now: Password) {
        self.may_be = BTreeSet::from([now]);
        self.changes += 1;
    }

    /// Returns whether that was not known to be possible before.
    fn may_become(&mut self, next: Password) -> bool {
        self.changes += 1;
        self.may_be.insert(next)
    }

    fn may_not_be(&mut self, state: Password) {
        self.may_be.remove(&state);
        self.changes += 1;
    }
}

/// A secret by which a person returns to an account.
#[derive(Clone)]
struct Session {
    secret: Value,
    account: usize,
    /// The counts of endings and logins when it began.
    endings: u64,
    logins: u64,
    /// It has ended for certain.
    is_over: bool,
}

/// What a person has asked and not been answered.
enum Asked {
    Register {
        password: u32,
    },
    Login {
        account: usize,
        password: u32,
        changes: u64,
        endings: u64,
        may_be: BTreeSet<Password>,
    },
    Change {
        old: u32,
        new: u32,
    },
    Unregister {
        password: u32,
        /// It was not known before that there may be no account.
        is_new: bool,
    },
    Logout,
    Resume {
        session: Session,
    },
    Nick {
        wanted: usize,
    },
    Join,
}

struct Person {
    number: usize,
    socket: Option<usize>,
    ear: Ear,
    is_greeted: bool,
    asked: Option<Asked>,
    next_id: u64,
    /// The account that it is logged in to.
    account: Option<usize>,
    session: Option<Session>,
}

struct Game {
    server: Server<SimNet>,
    engine: Engine,
    chance: Chance,
    people: Vec<Person>,
    known: [Known; NAMES.len()],
    passwords: u32,
    peers: u8,
    /// What was reached, so that a game in which nothing happens is noticed.
    done: u64,
}

fn config() -> Config {
    Config {
        budget: budget::Settings::UNLIMITED,
        chat: parlor::chat::Settings {
            message_rate: 0,
            ..parlor::chat::Settings::default()
        },
        ..Config::default()
    }
}

fn server(engine: &mut Engine, chance: &mut Chance) -> Server<SimNet> {
    let keeping = Keeping {
        started: engine.disk.starts(chance.next() as u32),
        store: Some(Box::new(engine.store())),
        is_shared: false,
    };
    let net = SimNet::new(chance.next(), net::Faults::NONE, 1);
    let mut server = Server::new(config(), net, 1000, chance.next(), keeping);
    server.use_passwords(Box::new(Hasher {
        queue: VecDeque::new(),
        chance: Chance::new(chance.next()),
    }));
    server
}

pub(super) fn play(seed: u64, _: super::super::trace::Trace) -> u64 {
    let mut chance = Chance::new(seed);
    let faults = Faults::any(&mut chance);
    let mut engine = Engine::new(Disk::default(), faults);
    let server = server(&mut engine, &mut chance);
    let person = |number| Person {
        number,
        socket: None,
        ear: Ear::default(),
        is_greeted: false,
        asked: None,
        next_id: 1,
        account: None,
        session: None,
    };
    let mut game = Game {
        server,
        engine,
        chance,
        people: (0..PEOPLE).map(person).collect(),
        known: Default::default(),
        passwords: 0,
        peers: 0,
        done: 0,
    };
    for known in &mut game.known {
        known.is(None);
    }
    for life in 0..LIVES {
        for _ in 0..TURNS {
            game.turn();
        }
        if life + 1 < LIVES {
            game.crashes();
        }
    }
    let is_calm = !faults.may_refuse();
    assert!(!is_calm || game.done > 0, "nothing was done");
    (LIVES * TURNS) as u64
}

impl Game {
    fn turn(&mut self) {
        let now = self.server.net().now();
        self.server.net_mut().horizon = now + 3;
        self.engine.steps(now, &mut self.chance);
        self.server.net().waker().set(true);
        assert_eq!(self.server.turn(), Turn::Again);
        self.server.check_invariants();
        self.engine.takes_over();
        for index in 0..self.people.len() {
            self.hears(index);
            self.acts(index);
        }
    }

    /// The server ends in the middle of whatever it does.
    fn crashes(&mut self) {
        self.engine.crashes(&mut self.chance);
        self.server = server(&mut self.engine, &mut self.chance);
        for index in 0..self.people.len() {
            self.people[index].socket = None;
            self.is_cut_off(index);
        }
        // What had not been kept is as it was before: what is not known stays unknown.
        for known in &mut self.known {
            known.changes += 1;
            known.unsure_until = Tick(0);
        }
    }

    /// A person has lost the connection. What was asked may be done or not.
    fn is_cut_off(&mut self, index: usize) {
        if let Some(Asked::Unregister { .. } | Asked::Change { .. }) = self.people[index].asked {
            // Sessions that began while it was under way may have ended by it.
            self.known[index].endings += 1;
            self.known[index].unsure_until = self.server.net().now() + HELD_TICKS;
        }
        let person = &mut self.people[index];
        person.ear = Ear::default();
        person.is_greeted = false;
        person.account = None;
        // A logout or another ending may have been made: such a session says nothing.
        if let Some(Asked::Logout | Asked::Unregister { .. } | Asked::Change { .. }) =
            person.asked.take()
        {
            person.session = None;
        }
    }

    fn asks(&mut self, index: usize, asked: Asked, kind: &str, fields: &[(&str, Value)]) {
        let person = &mut self.people[index];
        person.next_id += 1;
        let text = json::request(kind, Some(person.next_id), fields);
        person.asked = Some(asked);
        let frame = client::frame(0x81, text.as_bytes(), &mut self.chance);
        if let Some(socket) = person.socket {
            self.server.net_mut().send(socket, &frame);
        }
    }

    fn connects(&mut self, index: usize) {
        self.peers = self.peers.wrapping_add(1);
        // Each from an address of its own: wrong passwords of one are limited.
        let peer = Peer::Ip(IpAddr::V4(Ipv4Addr::new(10, 0, self.peers, index as u8)));
        let nick = NAMES[self.chance.below(NAMES.len())];
        let net = self.server.net_mut();
        let Some(socket) = net.connect(0, peer) else {
            return;
        };
        let protocol = "Sec-WebSocket-Protocol: parlor.v1.json\r\n";
        net.send(
            socket,
            &client::upgrade_to(&format!("/ws?nick={nick}"), protocol),
        );
        self.people[index].socket = Some(socket);
    }

    fn acts(&mut self, index: usize) {
        let Some(socket) = self.people[index].socket else {
            if self.chance.percent(20) {
                self.connects(index);
            }
            return;
        };
        if self.chance.per_mille(8) {
            self.server.net_mut().reset(socket);
            self.people[index].socket = None;
            return self.is_cut_off(index);
        }
        if !self.people[index].is_greeted || self.people[index].asked.is_some() {
            return;
        }
        if !self.chance.percent(20) {
            return;
        }
        let own = (index < NAMES.len()).then_some(index);
        match (self.chance.below(9), own) {
            (0 | 1, Some(own)) if self.people[index].account.is_none() => {
                self.passwords += 1;
                let new = self.passwords;
                self.known[own].may_become(Some(new));
                self.known[own].logins += 1;
                let fields = [
                    ("account", json!(NAMES[own])),
                    ("password", json!(password(new))),
                ];
                self.asks(
                    index,
                    Asked::Register { password: new },
                    "register",
                    &fields,
                );
            }
            (2, Some(own)) if self.people[index].account == Some(own) => {
                self.passwords += 1;
                let (old, new) = (self.any_password(own), self.passwords);
                self.known[own].may_become(Some(new));
                self.known[own].endings += 1;
                let fields = [
                    ("password", json!(password(old))),
                    ("new", json!(password(new))),
                ];
                self.asks(index, Asked::Change { old, new }, "password", &fields);
            }
            (3, Some(own))
                if self.people[index].account == Some(own) && self.chance.percent(30) =>
            {
                let password_ = self.any_password(own);
                let is_new = self.known[own].may_become(None);
                self.known[own].endings += 1;
                let fields = [("password", json!(password(password_)))];
                let asked = Asked::Unregister {
                    password: password_,
                    is_new,
                };
                self.asks(index, asked, "unregister", &fields);
            }
            (4, _) if self.people[index].account.is_some() => {
                self.asks(index, Asked::Logout, "logout", &[]);
            }
            (5, _) => {
                let wanted = self.chance.below(NAMES.len());
                let fields = [("nick", json!(NAMES[wanted].to_uppercase()))];
                self.asks(index, Asked::Nick { wanted }, "nick", &fields);
            }
            (6, _) => self.asks(index, Asked::Join, "join", &[("room", json!("lobby"))]),
            _ if self.people[index].account.is_none() => {
                let account = own.unwrap_or_else(|| self.chance.below(NAMES.len()));
                let number = self.any_password(account);
                self.known[account].logins += 1;
                let now = self.server.net().now();
                let is_ending = now < self.known[account].unsure_until
                    || matches!(
                        self.people[account].asked,
                        Some(Asked::Unregister { .. } | Asked::Change { .. })
                    );
                let known = &self.known[account];
                let asked = Asked::Login {
                    account,
                    password: number,
                    changes: known.changes,
                    // What is under way may end the session, however it comes out.
                    endings: if is_ending { u64::MAX } else { known.endings },
                    may_be: known.may_be.clone(),
                };
                let name = NAMES[account].to_uppercase();
                let fields = [
                    ("account", json!(name)),
                    ("password", json!(password(number))),
                ];
                self.asks(index, asked, "login", &fields);
            }
            _ => {}
        }
    }

    /// A password that the account may have, or one that it or another had, or had not yet.
    fn any_password(&mut self, account: usize) -> u32 {
        let all = self.known[account].may_be.iter().flatten();
        let may_be: Vec<u32> = all.copied().collect();
        if may_be.is_empty() || self.chance.percent(20) {
            return self.chance.below(self.passwords as usize + 1) as u32;
        }
        may_be[self.chance.below(may_be.len())]
    }

    fn hears(&mut self, index: usize) {
        let Some(socket) = self.people[index].socket else {
            return;
        };
        let bytes = self.server.net_mut().read_as_client(socket, usize::MAX);
        self.people[index].ear.hear(&bytes);
        while let Some(seen) = self.people[index].ear.next() {
            match seen {
                Seen::Line(text) => {
                    let object: Value = serde_json::from_str(&text).expect("an object");
                    self.takes(index, &object);
                }
                Seen::Close { .. } => {
                    self.server.net_mut().reset(socket);
                    self.people[index].socket = None;
                    return self.is_cut_off(index);
                }
                Seen::Status(_) | Seen::Ping(_) | Seen::Pong(_) => {}
            }
        }
    }

    fn takes(&mut self, index: usize, object: &Value) {
        if object["type"] == "hello" {
            self.people[index].is_greeted = true;
            self.is_no_others(index, &object["nick"]);
            if let Some(session) = self.people[index].session.clone()
                && self.chance.percent(80)
            {
                let fields = [("session", session.secret.clone())];
                self.asks(index, Asked::Resume { session }, "resume", &fields);
            }
            return;
        }
        if object["re"].as_u64() != Some(self.people[index].next_id) {
            return;
        }
        if let Some(asked) = self.people[index].asked.take() {
            let is_ok = object["type"] != "error";
            self.is_answered(index, asked, is_ok, object);
        }
    }

    /// A guest has not the nick of an account that there surely is.
    fn is_no_others(&self, index: usize, nick: &Value) {
        let folded = nick.as_str().unwrap_or_default().to_lowercase();
        let Some(account) = NAMES.iter().position(|name| *name == folded) else {
            return;
        };
        if self.people[index].account != Some(account) {
            let may_be_free = self.known[account].may_be.contains(&None);
            assert!(may_be_free, "a guest wears the nick of {folded}");
        }
    }

    fn is_answered(&mut self, index: usize, asked: Asked, is_ok: bool, object: &Value) {
        self.done += u64::from(is_ok);
        match asked {
            Asked::Register { password } if is_ok => {
                assert!(
                    self.known[index].may_be.contains(&None),
                    "it was registered"
                );
                self.known[index].is(Some(password));
                let endings = self.known[index].endings;
                self.is_in(index, index, endings, object);
            }
            Asked::Login {
                account,
                password,
                changes,
                endings,
                may_be,
            } => {
                let known = &self.known[account];
                let was = may_be.contains(&Some(password));
                if is_ok {
                    let is = known.may_be.contains(&Some(password));
                    // It may have been right in between, if there were two changes.
                    let is_known = known.changes < changes + 4;
                    let name = NAMES[account];
                    assert!(was || is || !is_known, "a wrong password entered {name}");
                    self.is_in(index, account, endings, object);
                } else if object["code"] == "login_failed" && known.changes == changes {
                    let surely = was && may_be.len() == 1;
                    assert!(
                        !surely,
                        "the right password did not enter {}",
                        NAMES[account]
                    );
                }
            }
            Asked::Change { old, new } if is_ok => {
                assert!(
                    self.known[index].may_be.contains(&Some(old)),
                    "a wrong password"
                );
                self.known[index].is(Some(new));
                self.ends_sessions(index, Some(index));
            }
            Asked::Unregister { password, .. } if is_ok => {
                assert!(
                    self.known[index].may_be.contains(&Some(password)),
                    "a wrong password"
                );
                self.known[index].is(None);
                self.people[index].account = None;
                self.ends_sessions(index, None);
            }
            Asked::Logout if is_ok => {
                self.is_no_others(index, &object["nick"]);
                self.people[index].account = None;
                if let Some(session) = &mut self.people[index].session {
                    session.is_over = true;
                }
            }
            Asked::Resume { session } if is_ok => {
                let entered = object["account"].as_str();
                let name = NAMES[session.account];
                if session.is_over {
                    assert_eq!(entered, None, "a session that is over enters {name}");
                }
                let known = &self.known[session.account];
                let is_sure =
                    known.endings == session.endings && known.logins < session.logins + 15;
                if is_sure && !session.is_over {
                    assert_eq!(entered, Some(name), "a session of {name} is lost");
                }
                if entered.is_some() {
                    self.people[index].account = Some(session.account);
                }
                let secret = object["session"].clone();
                self.people[index].session = Some(Session { secret, ..session });
            }
            Asked::Nick { wanted } if is_ok => {
                let may_be_free = self.known[wanted].may_be.contains(&None);
                let name = NAMES[wanted];
                assert!(may_be_free, "a guest took the nick of {name}");
            }
            // Nothing was done.
            Asked::Register { password } | Asked::Change { new: password, .. } => {
                self.known[index].may_not_be(Some(password));
                self.known[index].endings += 1;
            }
            Asked::Unregister { is_new: true, .. } => self.known[index].may_not_be(None),
            _ => {}
        }
    }

    /// All sessions of an account have ended, but for one person's. Of those that began meanwhile it
    /// is not known.
    fn ends_sessions(&mut self, account: usize, except: Option<usize>) {
        let known = &mut self.known[account];
        let asked = known.endings;
        known.endings += 1;
        for person in &mut self.people {
            let session = person.session.as_mut();
            let Some(session) = session.filter(|session| session.account == account) else {
                continue;
            };
            if Some(person.number) == except {
                session.endings = known.endings;
            } else if session.endings < asked {
                session.is_over = true;
            }
        }
    }

    /// A person is logged in to an account. `endings`: the count when it asked.
    fn is_in(&mut self, index: usize, account: usize, endings: u64, object: &Value) {
        assert_eq!(object["account"], NAMES[account]);
        assert_eq!(object["nick"], NAMES[account]);
        let person = &mut self.people[index];
        person.account = Some(account);
        person.session = Some(Session {
            secret: object["session"].clone(),
            account,
            endings,
            logins: self.known[account].logins,
            is_over: false,
        });
    }
}
