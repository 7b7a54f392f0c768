//! One game about order: people who come, go, talk, change who they are, and do to each other what
//! they may and what they may not, on a server that ends and starts again on the same disk. The
//! network has no faults, so that at the end of each turn everybody knows what holds.

use super::super::chance::Chance;
use super::super::client::{self, Seen};
use super::super::history::disk::Disk;
use super::super::history::json;
use super::super::history::store::{self, Engine, Offered};
use super::super::net::{self, Happened, SimNet};
use super::super::trace::Trace;
use super::deed::{Act, Deed, Present, Whom};
use super::model::{Model, Who, look};
use super::passwords::{SimPasswords, hashed};
use super::person::{Asked, Person};
use super::purged::{self, Messages};
use super::seats::{self, Seats};
use parlor::chat::registry::{Account, Change, Fact, FactKey, SanctionKind, Scope, Subject};
use parlor::chat::{Content, Draft, Role};
use parlor::config::Config;
use parlor::id::{AccountId, Millis, Peer, Tick};
use parlor::log::{Keeping, Record};
use parlor::net::{Net, Signal};
use parlor::server::{Server, Turn};
use serde_json::{Value, json as value};
use std::collections::{BTreeMap, BTreeSet};
use std::mem;
use std::net::{IpAddr, Ipv4Addr};

const ROOMS: [&str; 2] = ["lobby", "attic"];
const PEOPLE: usize = 7;
/// Turns of a server in which people act.
const BUSY_TURNS: usize = 120;
/// For so long at most a connection is not read because one of its requests waits for the store,
/// with a margin for the clock.
const HELD_TICKS: u32 = 110;
/// Turns within which all must be answered, without faults.
const QUIET_TURNS: usize = 5_000;

/// The deed that was asked for last.
struct Pending {
    person: usize,
    deed: Deed,
    actor: Who,
    /// The change that it led to.
    done: Option<u64>,
    /// When it was asked for, the newest entry of its room, and who had its nick then.
    from: Millis,
    head: u32,
    wearers: BTreeSet<usize>,
    /// Messages that it has deleted.
    deleted: usize,
}

struct Game {
    server: Server<SimNet>,
    config: Config,
    engine: Engine,
    faults: store::Faults,
    passwords: SimPasswords,
    /// Tokens of sessions that were ended.
    revoked: BTreeSet<String>,
    /// The tokens that logins gave out, and for which account.
    given: BTreeMap<String, AccountId>,
    model: Model,
    people: Vec<Person>,
    chance: Chance,
    /// The entries of the rooms.
    entries: BTreeMap<(String, u32), Draft>,
    /// Who said what.
    said: BTreeMap<String, Who>,
    messages: Messages,
    pending: Option<Pending>,
    /// Those whose connection was lost in this turn.
    gone: Vec<Present<'static>>,
    seats: Seats,
    /// The newest change that was acknowledged.
    acknowledged: u64,
    marks: u32,
    is_quiet: bool,
    turns: u64,
    trace: Trace,
}

fn config(chance: &mut Chance) -> Config {
    let mut config = Config::default();
    config.chat.message_rate = 0;
    config.chat.operator_token = Some(String::from("secret"));
    // Little waits for the store, so that messages have to.
    config.log.tail_bytes = [600, 4_000, 100_000][chance.below(3)];
    config
}

fn start(
    config: &Config,
    net: SimNet,
    engine: &mut Engine,
    passwords: SimPasswords,
    chance: &mut Chance,
) -> Server<SimNet> {
    let keeping = Keeping {
        started: engine.disk.starts(chance.next() as u32),
        store: Some(Box::new(engine.store())),
        is_shared: false,
    };
    let mut server = Server::new(config.clone(), net, 1000, chance.next(), keeping);
    server.use_passwords(Box::new(passwords));
    server
}

/// Plays one game to its end and returns its number of turns. Panics at a broken promise.
pub(crate) fn play(seed: u64, trace: Trace) -> u64 {
    let mut chance = Chance::new(seed ^ 0x0000_0bde);
    let config = config(&mut chance);
    let faults = store::Faults::any(&mut chance);
    let mut engine = Engine::new(Disk::default(), store::Faults::NONE);
    let net = SimNet::new(chance.next(), net::Faults::NONE, 1);
    let passwords = SimPasswords::default();
    let server = start(&config, net, &mut engine, passwords.clone(), &mut chance);
    let person = |number| Person::new(number, address(number));
    let mut game = Game {
        server,
        config,
        engine,
        faults,
        passwords,
        revoked: BTreeSet::new(),
        given: BTreeMap::new(),
        model: Model::default(),
        people: (0..PEOPLE).map(person).collect(),
        chance,
        entries: BTreeMap::new(),
        said: BTreeMap::new(),
        messages: Messages::default(),
        pending: None,
        gone: Vec::new(),
        seats: Seats::default(),
        acknowledged: 0,
        marks: 0,
        is_quiet: false,
        turns: 0,
        trace,
    };
    game.begins();
    let lives = 1 + game.chance.below(3);
    for life in 1..=lives {
        game.lives();
        if life < lives {
            game.ends_and_starts_again();
        }
    }
    game.settles();
    game.turns
}

/// Two of the people share one.
fn address(number: usize) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(192, 0, 2, number.min(PEOPLE - 2) as u8))
}

impl Game {
    fn note(&mut self, what: impl FnOnce() -> String) {
        let now = self.now();
        self.trace.note(|| format!("[{:>5}] {}", now.0, what()));
    }

    fn now(&self) -> Tick {
        self.server.net().now()
    }

    /// The first start finds people with roles.
    fn begins(&mut self) {
        let mut puts = Vec::new();
        for (number, scope, role) in [
            (1, Scope::Server, Role::Admin),
            (2, Scope::Server, Role::ServerModerator),
            (3, Scope::Room(ROOMS[0].into()), Role::Owner),
            (4, Scope::Room(ROOMS[0].into()), Role::Moderator),
            (5, Scope::Room(ROOMS[1].into()), Role::Moderator),
        ] {
            let account = AccountId(std::num::NonZeroU32::new(number).expect("from 1 on"));
            puts.push(Fact::Account(Account {
                id: account,
                name: format!("p{number}").into(),
                password: Some(hashed("the first secret").into()),
                token_subject: None,
                created: Millis(0),
            }));
            puts.push(Fact::Role {
                scope,
                account,
                role,
            });
        }
        puts.extend(seats::rules(ROOMS));
        let change = Change {
            number: 1,
            at: Millis(0),
            puts,
            forgets: Vec::new(),
            audit: None,
        };
        self.engine.disk.change([&change]);
        self.model.takes(&change);
        self.starts(true);
    }

    fn lives(&mut self) {
        self.engine.misbehaves(self.faults);
        for _ in 0..BUSY_TURNS {
            for person in 0..PEOPLE {
                if self.chance.percent(15) {
                    self.acts(person);
                }
            }
            self.turn();
        }
        if self.chance.percent(50) {
            self.settles();
        }
    }

    // What people do

    fn acts(&mut self, person: usize) {
        if self.people[person].connection.is_none() {
            return self.connects(person);
        }
        if self.people[person].open().is_none() {
            return;
        }
        match self.chance.below(20) {
            0 if self.chance.percent(20) => self.is_cut_off(person),
            0..5 => self.joins_or_leaves(person),
            5 => self.reads(person),
            6..12 => self.says(person),
            12..15 => self.becomes_another(person),
            _ => self.does(person),
        }
    }

    fn connects(&mut self, person: usize) {
        let peer = Peer::Ip(self.people[person].address);
        let Some(socket) = self.server.net_mut().connect_spared(0, peer) else {
            return;
        };
        let bytes = self.people[person].connects(socket);
        self.server.net_mut().send(socket, &bytes);
        self.note(|| format!("p{person} connects"));
    }

    /// Goes on with its last session, mostly.
    fn returns(&mut self, person: usize) {
        let Some(session) = self.people[person].session.clone() else {
            return;
        };
        if self.chance.percent(70) {
            let asked = Asked::Resume(session.clone());
            self.asks(person, "resume", &[("session", value!(session))], asked);
        }
    }

    fn is_cut_off(&mut self, person: usize) {
        self.gone.extend(self.people[person].present(&ROOMS));
        if let Some(connection) = self.people[person].connection.take() {
            self.seats.are_kept(&connection);
            self.server.net_mut().reset(connection.socket);
            self.note(|| format!("p{person} is cut off"));
        }
    }

    fn asks(&mut self, person: usize, kind: &str, fields: &[(&str, Value)], asked: Asked) {
        self.note(|| format!("p{person} asks {kind} {fields:?}"));
        let one = &mut self.people[person];
        let bytes = one.asks(kind, fields, asked, &mut self.chance);
        let socket = one.open().expect("it asks something").socket;
        self.server.net_mut().send(socket, &bytes);
    }

    fn joins_or_leaves(&mut self, person: usize) {
        let connection = self.people[person].open().expect("it acts");
        let room = self.chance.below(ROOMS.len());
        let is_under_way = |asked: &Asked| match asked {
            Asked::Join(other, _) | Asked::Leave(other) => *other == room,
            _ => false,
        };
        if connection.asked.values().any(is_under_way) {
            return;
        }
        let is_in = connection.rooms.contains(&room);
        let name = ("room", value!(ROOMS[room]));
        if is_in {
            if self.chance.percent(30) {
                self.asks(person, "leave", &[name], Asked::Leave(room));
            }
            return;
        }
        let mut fields = vec![name, ("history", value!(50))];
        let password = [Some(seats::WORD), Some("a guess"), None][self.chance.below(6).min(2)];
        let password = match self.chance.percent(60) {
            true => Some(seats::WORD),
            false => password,
        };
        fields.extend(password.map(|word| ("password", value!(word))));
        let is_right = password == Some(seats::WORD);
        self.asks(person, "join", &fields, Asked::Join(room, is_right));
    }

    /// Entries of the past of a room that it is in, some from before it came.
    fn reads(&mut self, person: usize) {
        let rooms = self.people[person].open().map(|one| one.rooms.clone());
        let rooms: Vec<usize> = rooms.into_iter().flatten().collect();
        if rooms.is_empty() {
            return;
        }
        let room = rooms[self.chance.below(rooms.len())];
        let name = ("room", value!(ROOMS[room]));
        let (kind, field) = match self.chance.below(4) {
            0 => ("search", ("query", value!("says"))),
            1 => ("history", ("after", value!(0))),
            2 => ("history", ("before", value!(1 + self.chance.below(20)))),
            _ => ("history", ("limit", value!(100))),
        };
        self.asks(person, kind, &[name, field], Asked::Past(room));
    }

    fn says(&mut self, person: usize) {
        let one = &mut self.people[person];
        let rooms = one.open().map(|one| one.rooms.iter().copied().collect());
        let rooms: Vec<usize> = rooms.unwrap_or_default();
        if rooms.is_empty() || !one.is_itself() {
            return;
        }
        let room = rooms[self.chance.below(rooms.len())];
        one.said += 1;
        let text = format!("says {} {}", one.name(), one.said);
        self.said
            .insert(text.clone(), one.who().expect("it is open"));
        let fields = [("room", value!(ROOMS[room])), ("text", value!(text))];
        self.asks(person, "send", &fields, Asked::Say { room });
    }

    /// Whether what it does next to others can be judged: nobody becomes another meanwhile, and
    /// nothing else is done.
    fn all_are_themselves(&self) -> bool {
        let mut people = self.people.iter().filter(|one| one.connection.is_some());
        people.all(Person::is_itself) && !self.is_deed_under_way()
    }

    fn is_deed_under_way(&self) -> bool {
        let is_deed = |asked: &Asked| matches!(asked, Asked::Deed(_));
        let connections = self.people.iter().filter_map(Person::open);
        connections.flat_map(|one| one.asked.values()).any(is_deed)
    }

    fn becomes_another(&mut self, person: usize) {
        let one = &self.people[person];
        if !self.all_are_themselves() || one.open().is_none_or(|one| !one.asked.is_empty()) {
            return;
        }
        let one = one.open().expect("it acts");
        if person == 0 && !one.is_operator {
            let token = ("token", value!("secret"));
            return self.asks(person, "op", &[token], Asked::Op);
        }
        match (one.account, self.chance.below(10)) {
            (None, 0..4) => self.registers(person),
            (None, 4..8) => self.logs_in(person),
            (Some(_), 0..5) => self.asks(person, "logout", &[], Asked::Logout),
            (Some(account), 5) => self.unregisters(person, account),
            (Some(account), 6) => self.changes_password(person, account),
            _ => {
                let other = self.chance.below(PEOPLE + 2);
                let wanted = self.name(other);
                self.asks(person, "nick", &[("nick", value!(wanted))], Asked::Nick);
            }
        }
    }

    /// The name of somebody, or how it looks.
    fn name(&mut self, number: usize) -> String {
        match self.chance.percent(20) {
            true => format!("P{number}"),
            false => format!("p{number}"),
        }
    }

    fn registers(&mut self, person: usize) {
        let number = match self.chance.percent(70) {
            true => person,
            false => self.chance.below(PEOPLE + 2),
        };
        let name = self.name(number);
        self.marks += 1;
        let password = format!("secret of p{person}, {}", self.marks);
        let fields = [("account", value!(name)), ("password", value!(password))];
        let asked = Asked::Register(name, password);
        self.asks(person, "register", &fields, asked);
    }

    /// Mostly with the right password, which is not its own secret only.
    fn logs_in(&mut self, person: usize) {
        let number = match self.chance.percent(75) {
            true => person,
            false => self.chance.below(PEOPLE),
        };
        let name = self.name(number);
        let account = self.model.account_like(&name).map(|account| account.id);
        let right = account.and_then(|account| self.password_of(account));
        let password = match right {
            Some(right) if self.chance.percent(85) => right,
            _ => String::from("guess"),
        };
        let fields = [("account", value!(name)), ("password", value!(password))];
        self.asks(person, "login", &fields, Asked::Login(name, password));
    }

    fn password_of(&self, account: AccountId) -> Option<String> {
        let kept = self.model.account(account)?.password.as_ref()?;
        kept.strip_prefix(&hashed("")).map(str::to_owned)
    }

    fn unregisters(&mut self, person: usize, account: AccountId) {
        let password = self.password_of(account).unwrap_or_default();
        let password = ("password", value!(password));
        self.asks(person, "unregister", &[password], Asked::Unregister);
    }

    fn changes_password(&mut self, person: usize, account: AccountId) {
        let password = self.password_of(account).unwrap_or_default();
        self.marks += 1;
        let new = format!("new secret {}", self.marks);
        let fields = [("password", value!(password)), ("new", value!(new))];
        self.asks(person, "password", &fields, Asked::Password(new));
    }

    fn does(&mut self, person: usize) {
        let one = &self.people[person];
        if !self.all_are_themselves() || one.open().is_none_or(|one| !one.asked.is_empty()) {
            return;
        }
        // What one asked for that is cut off may still be done in this turn.
        if !self.gone.is_empty() {
            return;
        }
        let actor = one.who().expect("it is open");
        let deed = self.any_deed();
        let wearers = match &deed.act {
            Act::Purge(nick, _) => {
                let wears =
                    |one: &&Person| one.who().is_some_and(|who| look(&who.nick) == look(nick));
                self.people
                    .iter()
                    .filter(wears)
                    .map(|one| one.number)
                    .collect()
            }
            _ => BTreeSet::new(),
        };
        self.pending = Some(Pending {
            person,
            actor,
            done: None,
            from: self.server.net().wall(),
            head: deed.room.map_or(0, |room| self.messages.head(room)),
            wearers,
            deleted: 0,
            deed: deed.clone(),
        });
        let (kind, fields) = deed.request();
        self.asks(person, kind, &fields, Asked::Deed(deed));
    }

    fn any_deed(&mut self) -> Deed {
        self.marks += 1;
        let room = ROOMS[self.chance.below(ROOMS.len())];
        let kind = [SanctionKind::Ban, SanctionKind::Mute][self.chance.below(2)];
        let act = match self.chance.below(13) {
            10..12 => {
                let other = self.chance.below(PEOPLE);
                Act::Purge(self.nick_of(other), 1 + self.chance.below(60) as u32)
            }
            12 => {
                let head = self.messages.head(room) as usize;
                Act::Report(1 + self.chance.below(head + 1) as u32)
            }
            0..2 => {
                let other = self.chance.below(PEOPLE);
                Act::Kick(self.nick_of(other))
            }
            2 => Act::Topic,
            3..8 => {
                let seconds = 1 + self.chance.below(20) as u32;
                let seconds = self.chance.percent(75).then_some(seconds);
                Act::Impose(kind, self.whom(), seconds)
            }
            _ => Act::Lift(kind, self.whom()),
        };
        let is_of_room = matches!(
            act,
            Act::Kick(_) | Act::Topic | Act::Purge(..) | Act::Report(_)
        ) || self.chance.percent(75);
        Deed {
            room: is_of_room.then_some(room),
            act,
            mark: format!("reason {}", self.marks),
        }
    }

    fn nick_of(&mut self, person: usize) -> String {
        let nick = self.people[person].who().map(|who| who.nick);
        let nick = nick.filter(|nick| !nick.is_empty());
        nick.unwrap_or_else(|| self.name(person))
    }

    fn whom(&mut self) -> Whom {
        let other = self.chance.below(PEOPLE);
        match self.chance.below(5) {
            0..2 => Whom::Nick(self.nick_of(other)),
            2 => Whom::Account(self.name(other)),
            _ => Whom::Address(self.people[other].address),
        }
    }

    // What the server does

    fn turn(&mut self) {
        self.turns += 1;
        let now = self.now();
        let has_stored = self.engine.steps(now, &mut self.chance);
        if self.passwords.steps(&mut self.chance) || has_stored {
            self.server.net().waker().set(true);
        }
        self.server.net_mut().horizon = now + 10;
        assert_eq!(self.server.turn(), Turn::Again);
        self.server.check_invariants();
        self.taps();
        self.forgives_waiting();
        for person in 0..PEOPLE {
            self.listens(person);
        }
        self.check_people();
        self.gone.clear();
        self.model.ends_turn();
    }

    /// A request may have to wait for the store, and with it all that is behind it.
    fn forgives_waiting(&mut self) {
        let until = self.now() + HELD_TICKS;
        let net = self.server.net_mut();
        for happened in net.take_log() {
            if let Happened::Read { socket, .. } | Happened::Wrote { socket, .. } = happened {
                net.may_leave_unread(socket, until);
            }
        }
    }

    /// What the server has made, in order.
    fn taps(&mut self) {
        for offered in self.engine.takes_all_over() {
            match offered {
                Offered::Entry(record) => self.taps_entry(&record),
                Offered::Change(change) if self.model.is_new(&change) => {
                    self.note(|| format!("        {change:?}"));
                    self.taps_change(&change);
                    self.model.takes(&change);
                }
                Offered::Change(_) => {}
            }
        }
    }

    fn taps_entry(&mut self, record: &Record) {
        let key = (record.name.to_string(), record.seq.0);
        if let Some(known) = self.entries.get(&key) {
            return assert_eq!(known, &record.draft, "another entry with the same number");
        }
        self.entries.insert(key, record.draft.clone());
        if let Content::Deleted { of } = record.draft.content {
            self.taps_deletion(record, of.0);
        }
        if let Content::Said { text, .. } = &record.draft.content {
            let who = &self.said[text];
            self.messages
                .takes(&record.name, record.seq.0, record.at, &record.draft, who);
            let room = record.name.as_str();
            assert!(
                who.nick.is_empty() || who.nick == record.draft.nick,
                "{text:?} under the nick {}",
                record.draft.nick
            );
            for kind in [SanctionKind::Mute, SanctionKind::Ban] {
                let kept = self.model.kept_from(who, kind, room, record.at);
                assert!(kept.is_none(), "{text:?} in {room} of {who:?}: {kept:?}");
            }
            let rules = self.model.rules(room);
            assert!(
                !rules.is_moderated || self.model.role(who, Some(room)) >= Role::Voiced,
                "{text:?} in the moderated room {room}"
            );
        }
    }

    /// Only a purge deletes, and only what it is about.
    fn taps_deletion(&mut self, record: &Record, of: u32) {
        let pending = self.pending.as_mut().expect("a purge is under way");
        let Act::Purge(nick, seconds) = &pending.deed.act else {
            panic!("{:?} deletes message {of}", pending.deed);
        };
        assert_eq!(pending.deed.room, Some(record.name.as_str()));
        pending.deleted += 1;
        let asked = purged::Asked {
            room: &record.name,
            nick,
            seconds: *seconds,
            actor: &pending.actor,
            from: pending.from,
            to: record.at,
            head: pending.head,
            wearers: &pending.wearers,
        };
        self.messages.check_deleted(&asked, of, &self.model);
        self.messages.are_deleted(&record.name, of, self.turns);
    }

    fn taps_change(&mut self, change: &Change) {
        let Some(audit) = &change.audit else {
            for key in &change.forgets {
                self.check_end(key, change.at, &change.puts);
            }
            return;
        };
        let people = self.people.iter();
        let present: Vec<_> = people.filter_map(|one| one.present(&ROOMS)).collect();
        let Some(pending) = &mut self.pending else {
            panic!("nobody did {audit:?}");
        };
        assert!(
            pending.done.is_none() && pending.deed.is(audit),
            "{audit:?} is not {:?}",
            pending.deed
        );
        assert!(
            pending
                .deed
                .is_allowed(&pending.actor, &self.model, &present),
            "{:?} must not be done by {:?}",
            pending.deed,
            pending.actor
        );
        if let Act::Purge(..) = pending.deed.act {
            assert_eq!(audit.detail, pending.deleted.to_string(), "{audit:?}");
        }
        pending.done = Some(change.number);
    }

    /// What ends without an action has ended by itself, or goes on about the nick of an account that
    /// is gone.
    fn check_end(&self, key: &FactKey, at: Millis, puts: &[Fact]) {
        if let FactKey::Sanction { .. } = key {
            let ended = self.model.facts().find(|fact| fact.key() == *key);
            let Some(Fact::Sanction(sanction)) = ended else {
                panic!("{key:?} was not there");
            };
            let goes_on = |fact: &Fact| match fact {
                Fact::Sanction(other) => {
                    other.scope == sanction.scope
                        && other.kind == sanction.kind
                        && matches!(other.subject, Subject::Nick(_))
                        && (other.until.is_none() || other.until >= sanction.until)
                }
                _ => false,
            };
            let is_of_account = matches!(sanction.subject, Subject::Account(_));
            let mut others = self.model.facts().chain(puts);
            assert!(
                !sanction.holds(at) || is_of_account && others.any(goes_on),
                "{sanction:?} was ended by nobody"
            );
        }
    }

    // What people see

    fn listens(&mut self, person: usize) {
        let Some(connection) = &mut self.people[person].connection else {
            return;
        };
        let socket = connection.socket;
        let bytes = self.server.net_mut().read_as_client(socket, usize::MAX);
        connection.ear.hear(&bytes);
        while let Some(connection) = &mut self.people[person].connection
            && let Some(seen) = connection.ear.next()
        {
            self.trace
                .note(|| format!("        p{person} is sent {seen:?}"));
            self.hears(person, seen);
        }
        let net = self.server.net();
        let is_over = net.is_over_for_client(socket) || net.is_closed_by_server(socket);
        if is_over && self.people[person].connection.is_some() {
            self.is_cut_off(person);
        }
    }

    fn hears(&mut self, person: usize, seen: Seen) {
        let connection = self.people[person].connection.as_mut();
        let connection = connection.expect("it hears something");
        let answer = match seen {
            Seen::Line(text) => return self.understands(person, &text),
            Seen::Ping(payload) => client::frame(0x8A, &payload, &mut self.chance),
            Seen::Close { code, .. } => {
                connection.is_open = false;
                let code = code.map(u16::to_be_bytes);
                let payload = code.as_ref().map_or(&[][..], |code| &code[..]);
                client::frame(0x88, payload, &mut self.chance)
            }
            Seen::Status(403) => return self.is_turned_away(person),
            Seen::Status(_) | Seen::Pong(_) => return,
        };
        let socket = connection.socket;
        self.server.net_mut().send(socket, &answer);
    }

    /// Whoever is banned from the server does not get in.
    fn is_turned_away(&self, person: usize) {
        let person = &self.people[person];
        let who = Who {
            nick: person.name(),
            account: None,
            address: person.address,
            is_operator: false,
        };
        let ban = self.model.kept_out(&who, self.server.net().wall());
        assert!(ban.is_some(), "{who:?} was turned away");
    }

    fn understands(&mut self, person: usize, text: &str) {
        let object = json::check_sent(text);
        let connection = self.people[person].connection.as_mut();
        let connection = connection.expect("it hears something");
        let room = object["room"].as_str();
        let room = room.and_then(|name| ROOMS.iter().position(|known| *known == name));
        let re = object["re"].as_u64();
        let asked = re.map(|id| {
            let asked = connection.asked.remove(&id);
            asked.unwrap_or_else(|| panic!("p{person} is answered twice: {text}"))
        });
        match (object["type"].as_str().expect("a type"), asked) {
            ("hello", _) => {
                connection.nick = object["nick"].as_str().expect("a nick").to_owned();
                connection.is_open = true;
                let token = object["session"].as_str().expect("a session");
                connection.session = self.seats.has_token(token, None);
                self.returns(person);
            }
            ("nick_changed", _) if object["old"] == *connection.nick => {
                connection.nick = object["new"].as_str().expect("a nick").to_owned();
            }
            // Its nick was given to an account. Its rooms are shown the new one before.
            ("error", None) if object["code"] == "nick_taken" && connection.rooms.is_empty() => {
                connection.nick.clear();
            }
            (_, None) if object["you"] == true => match room {
                Some(room) => {
                    connection.rooms.remove(&room);
                    connection.floors.remove(&room);
                }
                None => connection.rooms.clear(),
            },
            ("joined", Some(Asked::Join(room, is_right))) => {
                connection.rooms.insert(room);
                self.is_in(person, room, is_right, &object);
            }
            ("history" | "found", Some(Asked::Past(room))) => {
                for entry in object["entries"].as_array().expect("entries") {
                    self.may_read(person, room, entry);
                }
                self.has_read(room, &object);
            }
            ("reported", None) => self.is_shown_a_report(person, &object),
            ("error", Some(asked)) => {
                let code = object["code"].as_str().expect("a code").to_owned();
                self.is_refused(person, &asked, &code, text);
            }
            ("ok", Some(asked)) => self.is_done(person, &asked, &object),
            (_, Some(asked)) => panic!("{text} answers {asked:?}"),
            (_, None) => {
                if let Some(room) = room {
                    self.may_read(person, room, &object);
                }
            }
        }
    }

    /// Whether another connection may be the account's: one that is gone, or was not answered yet,
    /// may be as well.
    fn may_have_double(&self, person: usize, account: AccountId) -> bool {
        let name = self.model.account(account).map(|account| &account.name);
        let is_login = |asked: &Asked| match asked {
            Asked::Login(wanted, _) => name.is_some_and(|name| look(name) == look(wanted)),
            Asked::Resume(_) => true,
            _ => false,
        };
        let people = self.people.iter().enumerate();
        let mut others = people.filter_map(|(other, one)| one.open().filter(|_| other != person));
        others.any(|one| one.account == Some(account) || one.asked.values().any(is_login))
            || self.gone.iter().any(|one| one.who.account == Some(account))
    }

    /// Somebody is in a room, which it has a right to.
    fn is_in(&mut self, person: usize, room: usize, is_right: bool, object: &Value) {
        let rules = self.model.rules(ROOMS[room]);
        let one = &self.people[person];
        let (Some(connection), Some(who)) = (one.open(), one.who()) else {
            return;
        };
        let session = connection.session;
        // Who it is may change with an answer that has not come.
        let is_known = one.is_itself();
        let role = self.model.role_lately(&who, Some(ROOMS[room]));
        let has_double = who
            .account
            .is_some_and(|account| self.may_have_double(person, account));
        let is_let_in = rules.password.is_none()
            || is_right
            || seats::needs_no_password(role)
            || self.seats.has(session, room);
        assert!(
            is_let_in || has_double || !is_known,
            "{who:?} is in {} without its password",
            ROOMS[room]
        );
        let number = |name: &str| object[name].as_u64().expect("a number") as u32;
        let floor = self.seats.joined(session, room, &rules, number("seq"));
        if let Some(floor) = floor {
            let after = number("after");
            assert!(
                after + 1 >= floor || seats::reads_past(role) || !is_known,
                "{who:?} is shown what follows {after}, and may read from {floor} on"
            );
            let connection = self.people[person].connection.as_mut();
            connection.expect("it is open").floors.insert(room, floor);
        }
    }

    /// An entry that somebody is shown is not below its floor.
    fn may_read(&self, person: usize, room: usize, entry: &Value) {
        let one = &self.people[person];
        let (Some(connection), Some(who)) = (one.open(), one.who()) else {
            return;
        };
        let (Some(floor), Some(seq)) = (connection.floors.get(&room), entry["seq"].as_u64()) else {
            return;
        };
        let role = self.model.role_lately(&who, Some(ROOMS[room]));
        assert!(
            seq >= u64::from(*floor) || seats::reads_past(role) || !one.is_itself(),
            "{who:?} reads {entry}, and its floor is {floor}"
        );
    }

    /// What was purged before this turn is shown nowhere.
    fn has_read(&self, room: usize, page: &Value) {
        for entry in page["entries"].as_array().expect("a page") {
            let seq = entry["seq"].as_u64().expect("a number") as u32;
            let deleted = self.messages.deleted_in(ROOMS[room], seq);
            let is_gone = deleted.is_some_and(|turn| turn < self.turns);
            if entry["type"] == "message" && is_gone {
                assert_eq!(entry["text"], "", "{entry} was purged");
            }
        }
    }

    /// Only those who keep order in a room see what is reported there.
    fn is_shown_a_report(&self, person: usize, report: &Value) {
        let who = self.people[person].who().expect("it is open");
        let room = report["room"].as_str();
        assert!(
            self.model.role_lately(&who, room) >= Role::Moderator,
            "{who:?} is shown {report}"
        );
        let pending = self.pending.as_ref().expect("a report is made");
        assert!(
            matches!(pending.deed.act, Act::Report(seq) if report["seq"] == seq),
            "{report} is not {:?}",
            pending.deed
        );
    }

    /// A purge is answered: all that it was about is gone, unless the answer says that there may be
    /// more.
    fn has_purged(&self, object: &Value) {
        let pending = self.pending.as_ref().expect("a purge is done");
        let Act::Purge(nick, seconds) = &pending.deed.act else {
            return;
        };
        assert_eq!(object["count"], pending.deleted, "{object}");
        if object["more"] == true {
            return;
        }
        let asked = purged::Asked {
            room: pending.deed.room.expect("it is of a room"),
            nick,
            seconds: *seconds,
            actor: &pending.actor,
            from: pending.from,
            to: self.server.net().wall(),
            head: pending.head,
            wearers: &pending.wearers,
        };
        let kept = self.engine.disk.kept(asked.room);
        let oldest = kept.map_or(0, |kept| kept.oldest.0);
        self.messages.check_left(&asked, oldest, &self.model);
    }

    fn is_done(&mut self, person: usize, asked: &Asked, object: &Value) {
        if let Asked::Leave(_) = asked {
            // It was there in this turn.
            self.gone.extend(self.people[person].present(&ROOMS));
        }
        let connection = self.people[person].connection.as_mut();
        let connection = connection.expect("it hears something");
        match asked {
            Asked::Leave(room) => {
                connection.rooms.remove(room);
                connection.floors.remove(room);
            }
            Asked::Nick => {
                let nick = object["nick"].as_str();
                connection.nick = nick.expect("an ok has the nick").to_owned();
            }
            Asked::Op => connection.is_operator = true,
            Asked::Register(_, password) | Asked::Login(_, password) => {
                let password = password.clone();
                self.is_let_in(person, object, Some(&password));
            }
            Asked::Resume(token) => {
                let is_revoked = self.revoked.contains(token);
                let has_account = object.get("account").is_some();
                assert!(!(is_revoked && has_account), "an ended session: {object}");
                let new = object["session"].as_str().expect("a session");
                connection.session = self.seats.has_token(new, Some(token));
                self.is_let_in(person, object, None);
            }
            Asked::Logout => self.is_out(person, object),
            Asked::Password(new) => self.has_changed_password(person, new),
            Asked::Unregister => {
                let account = connection.account.take().expect("it had one");
                assert!(self.model.account(account).is_none(), "it is there still");
                let of_account = self.given.iter().filter(|(_, of)| **of == account);
                self.revoked
                    .extend(of_account.map(|(token, _)| token.clone()));
            }
            Asked::Say { .. } => {}
            Asked::Deed(deed) => {
                let pending = self.pending.as_ref().expect("a deed is done");
                assert_eq!(pending.person, person);
                let done = pending.done;
                if let Act::Purge(..) = deed.act {
                    self.has_purged(object);
                    if object["count"] == 0 {
                        return assert_eq!(
                            done, None,
                            "nothing was purged, and is in the audit log"
                        );
                    }
                }
                let number = done.unwrap_or_else(|| panic!("{deed:?} is not in the audit log"));
                assert!(
                    number <= self.engine.disk.changes(),
                    "{deed:?} was acknowledged and is not stored"
                );
                self.acknowledged = self.acknowledged.max(number);
            }
            Asked::Join(..) | Asked::Past(_) => panic!("{object} answers {asked:?}"),
        }
    }

    /// Somebody is in an account, if the answer says so.
    fn is_let_in(&mut self, person: usize, object: &Value, password: Option<&str>) {
        let connection = self.people[person].connection.as_mut();
        let connection = connection.expect("it hears something");
        if let Some(nick) = object["nick"].as_str() {
            connection.nick = nick.to_owned();
        }
        let token = object["session"].as_str().map(str::to_owned);
        if let Some(name) = object["account"].as_str() {
            // Perhaps it was removed while the answer waited for the store.
            let Some(account) = self.model.account_like(name) else {
                return;
            };
            connection.account = Some(account.id);
            if let Some(password) = password {
                let kept = account.password.as_deref();
                assert_eq!(kept, Some(&*hashed(password)), "a wrong password: {object}");
                let number = self.model.changed(account.id);
                let stored = self.engine.disk.changes();
                assert!(
                    number <= stored,
                    "{object} was acknowledged and is not stored"
                );
                self.acknowledged = self.acknowledged.max(number);
            }
            if let Some(token) = &token {
                self.given.insert(token.clone(), account.id);
            }
        }
        if let (Some(token), Some(_)) = (&token, password) {
            let session = self.seats.has_token(token, None);
            let connection = self.people[person].connection.as_mut();
            connection.expect("it hears something").session = session;
        }
        if token.is_some() {
            self.people[person].session = token;
        }
    }

    fn is_out(&mut self, person: usize, object: &Value) {
        let one = &mut self.people[person];
        let connection = one.connection.as_mut().expect("it hears something");
        connection.account = None;
        connection.nick = object["nick"].as_str().expect("a nick").to_owned();
        if let Some(token) = object["session"].as_str() {
            connection.session = self.seats.has_token(token, None);
            let old = one.session.replace(token.to_owned());
            self.revoked.extend(old);
        }
    }

    /// All other sessions of the account have ended.
    fn has_changed_password(&mut self, person: usize, new: &str) {
        let one = &self.people[person];
        let account = one.open().and_then(|one| one.account).expect("it has one");
        assert_eq!(self.password_of(account).as_deref(), Some(new));
        let number = self.model.changed(account);
        assert!(number <= self.engine.disk.changes(), "it is not stored");
        self.acknowledged = self.acknowledged.max(number);
        let own = one.session.clone();
        let others = self.given.iter().filter(|(_, of)| **of == account);
        let others = others.map(|(token, _)| token.clone());
        let others = others.filter(|token| Some(token) != own.as_ref());
        self.revoked.extend(others);
    }

    fn is_refused(&mut self, person: usize, asked: &Asked, code: &str, text: &str) {
        let is_ill = self.faults.may_refuse() && code == "store_unavailable" || code == "busy";
        let who = self.people[person].who();
        let now = self.server.net().wall();
        // Who it is may change with an answer that has not come.
        let is_known = self.people[person].is_itself();
        let is_kept = |kind, room: usize| {
            let who = who.as_ref().filter(|_| is_known);
            who.is_none_or(|who| self.model.kept_from(who, kind, ROOMS[room], now).is_some())
        };
        let is_right = match asked {
            _ if is_ill => true,
            Asked::Join(room, is_right) => match code {
                "banned" => is_kept(SanctionKind::Ban, *room),
                "wrong_password" => !is_right && self.model.rules(ROOMS[*room]).password.is_some(),
                _ => code == "too_fast",
            },
            Asked::Past(_) => matches!(code, "not_a_member" | "store_unavailable"),
            Asked::Leave(_) => code == "not_a_member",
            Asked::Say { room } => match code {
                "muted" => is_kept(SanctionKind::Mute, *room),
                "not_a_member" => true,
                _ => false,
            },
            Asked::Nick if code == "not_allowed" => who.is_some_and(|who| who.account.is_some()),
            Asked::Nick => matches!(code, "nick_taken" | "banned" | "muted" | "bad_name"),
            Asked::Register(name, _) => match code {
                "account_taken" => self.model.account_like(name).is_some(),
                _ => matches!(code, "nick_taken" | "too_fast"),
            },
            Asked::Login(name, password) => match code {
                "login_failed" => {
                    let account = self.model.account_like(name);
                    let kept = account.and_then(|account| account.password.as_deref());
                    kept != Some(&*hashed(password))
                }
                _ => code == "too_fast",
            },
            Asked::Password(_) | Asked::Unregister => code == "too_fast",
            Asked::Resume(_) => code == "no_such_session",
            Asked::Op | Asked::Logout => false,
            Asked::Deed(deed) => {
                let pending = self.pending.as_ref().expect("a deed is refused");
                assert!(pending.done.is_none(), "{deed:?} was done and refused");
                let present = self.present();
                let is_allowed = deed.is_allowed(&pending.actor, &self.model, &present);
                code != "not_allowed" || !is_allowed || self.is_special(deed, &pending.actor)
            }
        };
        assert!(is_right, "p{person} got {text} for {asked:?}");
    }

    /// Everybody who was there in this turn.
    fn present(&self) -> Vec<Present<'static>> {
        let people = self.people.iter();
        let present = people.filter_map(|one| one.present(&ROOMS));
        present.chain(self.gone.iter().cloned()).collect()
    }

    /// What the role allows, and is refused to keep people from harm: to do it to oneself, or to
    /// the only owner of a room.
    fn is_special(&self, deed: &Deed, actor: &Who) -> bool {
        let whom = match &deed.act {
            Act::Impose(_, whom, _) | Act::Lift(_, whom) => whom,
            Act::Kick(_) | Act::Topic | Act::Purge(..) | Act::Report(_) => return false,
        };
        let is_oneself = match whom {
            Whom::Nick(nick) => look(nick) == look(&actor.nick),
            Whom::Account(name) => {
                let account = self.model.account_like(name).map(|account| account.id);
                account.is_some() && account == actor.account
            }
            Whom::Address(address) => *address == actor.address,
        };
        let name = match whom {
            Whom::Nick(name) | Whom::Account(name) => name,
            Whom::Address(_) => return is_oneself,
        };
        let account = self.model.account_like(name).map(|account| account.id);
        let owners = deed.room.map(|room| self.model.having(Role::Owner, room));
        is_oneself || account.is_some_and(|account| owners.is_some_and(|all| all == [account]))
    }

    /// What holds for everybody at the end of each turn.
    fn check_people(&self) {
        let now = self.server.net().wall();
        for person in &self.people {
            let Some(connection) = person.open().filter(|_| person.is_itself()) else {
                continue;
            };
            let who = person.who().expect("it is open");
            let ban = self.model.kept_out(&who, now);
            assert!(ban.is_none(), "{who:?} is here: {ban:?}");
            for room in &connection.rooms {
                let ban = self
                    .model
                    .kept_from(&who, SanctionKind::Ban, ROOMS[*room], now);
                assert!(ban.is_none(), "{who:?} is in {}: {ban:?}", ROOMS[*room]);
            }
            if who.nick.is_empty() {
                continue;
            }
            if let Some(account) = self.model.account_like(&who.nick) {
                assert_eq!(
                    who.account,
                    Some(account.id),
                    "{who:?} wears a reserved nick"
                );
            }
            let mut others = self.people.iter().filter_map(Person::who);
            let is_double =
                |other: &Who| look(&other.nick) == look(&who.nick) && other.account.is_none();
            let count = others.by_ref().filter(is_double).count();
            assert!(count <= 1, "{} is worn {count} times", who.nick);
        }
    }

    // Ends and starts

    /// No faults: everything is answered.
    fn settles(&mut self) {
        self.note(|| String::from("it is quiet"));
        self.engine.calms_down();
        self.is_quiet = true;
        let is_quiet = |game: &Self| {
            let connections = game.people.iter().filter_map(Person::open);
            connections.map(|one| one.asked.len()).sum::<usize>() == 0 && game.engine.is_idle()
        };
        let from = self.turns;
        while !is_quiet(self) {
            assert!(
                self.turns < from + QUIET_TURNS as u64,
                "not all is answered"
            );
            self.turn();
        }
        self.is_quiet = false;
        self.engine.misbehaves(self.faults);
        self.check_audit();
        self.check_disk();
    }

    /// The disk has nothing of what was purged, and all else.
    fn check_disk(&self) {
        let text = |room: &str, seq: u32| {
            let draft = self.engine.disk.present(room, seq)?;
            match draft.content {
                Content::Said { text, .. } => Some(text),
                _ => None,
            }
        };
        for (room, seq) in self.messages.deleted() {
            let text = text(room, *seq).unwrap_or_default();
            assert_eq!(text, "", "message {seq} of {room} was purged");
        }
        for (room, seq) in self.messages.there() {
            // None where the disk keeps it no more.
            let text = text(room, *seq);
            assert_ne!(text.as_deref(), Some(""), "message {seq} of {room} is gone");
        }
    }

    /// All that was done is in the audit log of the disk, once.
    fn check_audit(&self) {
        let changes = self.model.changes().iter();
        let done = changes.filter_map(|change| Some((change.number, change.audit.clone()?)));
        let done: BTreeMap<_, _> = done.collect();
        assert_eq!(done, self.engine.disk.audit);
    }

    fn ends_and_starts_again(&mut self) {
        let is_crash = self.chance.percent(70);
        self.note(|| format!("the server ends, by a crash: {is_crash}"));
        if is_crash {
            self.engine.crashes(&mut self.chance);
        } else {
            self.stops();
        }
        self.starts(is_crash);
        assert!(
            self.acknowledged <= self.engine.disk.changes(),
            "what was acknowledged is lost"
        );
        self.model.falls_back_to(self.engine.disk.changes());
        let disk = &self.engine.disk;
        self.entries
            .retain(|(room, seq), _| disk.kept(room).is_some_and(|kept| *seq <= kept.head.0));
        let entries = &self.entries;
        let is_kept = |room: &str, seq: u32| entries.contains_key(&(room.to_owned(), seq));
        self.messages.fall_back(|room, seq| !is_kept(room, seq));
        self.messages.undelete(|room, of| {
            let is_it = |((known, _), draft): (&(String, u32), &Draft)| {
                known == room
                    && matches!(draft.content, Content::Deleted { of: other } if other.0 == of)
            };
            entries.iter().any(is_it)
        });
        self.check_audit();
    }

    fn stops(&mut self) {
        self.server.net_mut().signal(Signal::Stop);
        let from = self.turns;
        loop {
            assert!(self.turns < from + QUIET_TURNS as u64, "it does not stop");
            self.turns += 1;
            let now = self.now();
            let has_stored = self.engine.steps(now, &mut self.chance);
            if self.passwords.steps(&mut self.chance) || has_stored {
                self.server.net().waker().set(true);
            }
            self.server.net_mut().horizon = now + 10;
            let turn = self.server.turn();
            self.taps();
            for person in 0..PEOPLE {
                self.listens(person);
            }
            if turn == Turn::Stopped {
                break;
            }
        }
        self.engine.stops();
    }

    /// A new server on the same disk. Everybody has lost the connection.
    fn starts(&mut self, is_crash: bool) {
        let placeholder = SimNet::new(0, net::Faults::NONE, 1);
        let mut network = mem::replace(self.server.net_mut(), placeholder);
        let idle = SimNet::new(0, net::Faults::NONE, 1);
        let mut nothing = Engine::new(Disk::default(), store::Faults::NONE);
        let nobody = SimPasswords::default();
        let idle = start(&self.config, idle, &mut nothing, nobody, &mut self.chance);
        // The streams of the old server must be dropped before its network is used again.
        drop(mem::replace(&mut self.server, idle));
        network.process_ends(is_crash, &mut self.chance);
        for person in &mut self.people {
            if let Some(connection) = person.connection.take() {
                network.reset(connection.socket);
            }
        }
        self.pending = None;
        self.seats.end();
        self.passwords = SimPasswords::default();
        self.server = start(
            &self.config,
            network,
            &mut self.engine,
            self.passwords.clone(),
            &mut self.chance,
        );
        let _ = self.server.net_mut().take_log();
    }
}
