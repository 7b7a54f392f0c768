//! People with roles and grudges play at random with the rules of order, by a clock that runs and
//! through crashes that lose nothing but the users. Bans and mutes are kept in a second way,
//! as a plain list, and held against what the chat does.

use super::order::{account, facts};
use super::*;
use crate::chance::Chance;
use crate::chat::registry::{Change, Fact, FactKey, SanctionKind, Snapshot};
use std::collections::BTreeMap;
use std::net::IpAddr;

/// Accounts, from the owner of the lobby to a plain member; then guests.
const ACCOUNTS: [(&str, u32, Role); 4] = [
    ("ann", 1, Role::Owner),
    ("bob", 2, Role::Moderator),
    ("cat", 3, Role::Voiced),
    ("dan", 4, Role::Member),
];
const NICKS: [&str; 6] = ["eve", "\u{435}ve", "EVE", "fred", "gus", "hal"];
const PEOPLE: usize = 7;
const LOBBY: RoomId = RoomId::new(0, 1);

/// What a sanction covers, in the plain list. Lifted or replaced, it is gone as a whole.
#[derive(Clone, Debug, PartialEq)]
struct Grudge {
    kind: SanctionKind,
    keys: Vec<SmolStr>,
    account: Option<u32>,
    address: Option<IpAddr>,
    until: Option<Millis>,
}

struct Game {
    chat: Chat,
    chance: Chance,
    wall: Millis,
    /// The generations of the connections that are open.
    open: [Option<ConnId>; PEOPLE],
    generation: u32,
    grudges: Vec<Grudge>,
    kept: Vec<Change>,
    /// What happened in the last step.
    audited: Vec<(SmolStr, SmolStr)>,
    refused: u32,
    said: Vec<Draft>,
}

fn address(person: usize) -> IpAddr {
    // Two guests share one.
    IpAddr::from([192, 0, 2, person.min(5) as u8])
}

fn keys_of(nick: &str) -> Vec<SmolStr> {
    nick_keys(&nick_of(nick))
}

fn nick_of(name: &str) -> Nick {
    Nick::parse(name).expect("a nick")
}

fn nick_keys(nick: &Nick) -> Vec<SmolStr> {
    nick.keys().collect()
}

impl Game {
    fn new(seed: u64) -> Self {
        let mut game = Self {
            chat: Chat::new(&Settings::default(), seed),
            chance: Chance::new(seed, "grudges"),
            wall: Millis(1_795_694_400_000),
            open: [None; PEOPLE],
            generation: 0,
            grudges: Vec::new(),
            kept: Vec::new(),
            audited: Vec::new(),
            refused: 0,
            said: Vec::new(),
        };
        game.restart();
        game
    }

    /// The server crashes and comes back with what the store has.
    fn restart(&mut self) {
        let mut kept: BTreeMap<FactKey, Fact> =
            facts().into_iter().map(|fact| (fact.key(), fact)).collect();
        for change in &self.kept {
            for key in &change.forgets {
                kept.remove(key);
            }
            kept.extend(change.puts.iter().map(|fact| (fact.key(), fact.clone())));
        }
        self.chat = Chat::new(&Settings::default(), 1);
        self.chat.restore(Snapshot {
            facts: kept.into_values().collect(),
            changes: self.kept.len() as u64,
            accounts: 4,
        });
        self.open = [None; PEOPLE];
    }

    fn now(&self, person: usize) -> Now {
        Now {
            tick: Tick((self.wall.0 / 100 % 1_000_000) as u32),
            wall: self.wall,
            address: Some(address(person)),
        }
    }

    fn person(&self, id: ConnId) -> usize {
        id.slot() as usize
    }

    fn carry_out(&mut self, effects: Effects) {
        for effect in effects {
            let mut more = Effects::new();
            match effect {
                Effect::Append { draft, .. } => {
                    let entry = draft.numbered(Seq(1), self.wall);
                    self.chat.ordered(LOBBY, &entry, &mut more);
                    if matches!(draft.content, Content::Said { .. }) {
                        self.said.push(draft);
                    }
                }
                Effect::Change { change, .. } => {
                    assert_eq!(change.number, self.kept.len() as u64 + 1, "numbered once");
                    if let Some(audit) = &change.audit {
                        self.audited
                            .push((audit.action.clone(), audit.target.clone()));
                    }
                    self.kept.push(*change);
                }
                Effect::Enforce { room, .. } => {
                    for (person, id) in self.open.into_iter().enumerate() {
                        if let Some(id) = id {
                            let now = self.now(person);
                            let mut effects = Effects::new();
                            self.chat.expel(id, room, now, &mut effects);
                            self.carry_out(effects);
                        }
                    }
                }
                Effect::Reply {
                    event: Event::Refused(_),
                    ..
                } => self.refused += 1,
                Effect::Close { id, .. } => {
                    let person = self.person(id);
                    let now = self.now(person).tick;
                    self.chat.exit(id, now, &mut more);
                    self.open[person] = None;
                }
                _ => {}
            }
            self.carry_out(more);
        }
    }

    fn asks(&mut self, person: usize, command: Command<'_>) {
        let Some(id) = self.open[person] else {
            return;
        };
        let now = self.now(person);
        let mut effects = Effects::new();
        self.chat
            .handle(id, Some("lobby"), command, now, &mut effects);
        self.carry_out(effects);
    }

    fn comes(&mut self, person: usize) {
        let now = self.now(person);
        self.generation += 1;
        let id = ConnId::new(person as u32, self.generation);
        let nick = NICKS[self.chance.below(NICKS.len() as u64) as usize];
        let wanted = (person >= ACCOUNTS.len()).then_some(nick);
        let _ = self.chat.enter(id, wanted, 0, now.tick);
        let mut effects = Effects::new();
        if let Some((_, number, _)) = ACCOUNTS.get(person) {
            self.chat
                .enter_account(id, account(*number), now.tick, &mut effects);
        }
        let joined = self
            .chat
            .join(id, LOBBY, &"lobby".into(), now, &mut effects);
        self.open[person] = Some(id);
        if joined.is_err() {
            assert!(self.is_kept_from(person, SanctionKind::Ban));
            self.chat.exit(id, now.tick, &mut effects);
            self.open[person] = None;
        } else {
            assert!(!self.is_kept_from(person, SanctionKind::Ban), "{person}");
        }
        self.carry_out(effects);
    }

    /// By the plain list.
    fn is_kept_from(&self, person: usize, kind: SanctionKind) -> bool {
        let Some(nick) = self.open[person].and_then(|id| self.chat.nick_of(id)) else {
            return false;
        };
        let keys = nick_keys(nick);
        let own = ACCOUNTS.get(person);
        let keeps_order = own.is_some_and(|(_, _, role)| *role >= Role::Moderator);
        let holding = self.grudges.iter().filter(|grudge| {
            grudge.kind == kind && grudge.until.is_none_or(|until| self.wall < until)
        });
        holding.into_iter().any(|grudge| {
            let by_account = own.is_some_and(|(_, number, _)| grudge.account == Some(*number));
            let by_nick = keys.iter().any(|key| grudge.keys.contains(key));
            let by_address = grudge.address == Some(address(person));
            by_account || !keeps_order && (by_nick || by_address)
        })
    }

    /// One step, and what must hold after it.
    fn step(&mut self) {
        self.audited.clear();
        self.refused = 0;
        self.said.clear();
        let person = self.chance.below(PEOPLE as u64) as usize;
        match self.chance.below(12) {
            0..3 if self.open[person].is_none() => self.comes(person),
            0..3 => self.speaks(person),
            3 => {
                let nick = NICKS[self.chance.below(NICKS.len() as u64) as usize];
                self.asks(person, Command::Nick(nick));
            }
            4 => {
                self.wall = Millis(self.wall.0 + self.chance.below(40_000));
                let mut effects = Effects::new();
                self.chat.end_sanctions(self.wall, &mut effects);
                self.carry_out(effects);
            }
            5 if self.chance.below(4) == 0 => {
                self.restart();
                for person in 0..PEOPLE {
                    self.comes(person);
                }
            }
            5 => self.asks(person, Command::Quit("you hear me")),
            _ => {
                // Most often a person whose role lets it act on another.
                let actor = [person, 0, 1][self.chance.below(3) as usize];
                self.acts(actor);
            }
        }
        self.chat.check_invariants();
        for person in 0..PEOPLE {
            let is_in = self.open[person].is_some_and(|id| self.chat.is_member(id, LOBBY));
            assert!(
                !is_in || !self.is_kept_from(person, SanctionKind::Ban),
                "a banned person is in"
            );
        }
    }

    fn speaks(&mut self, person: usize) {
        let is_muted = self.is_kept_from(person, SanctionKind::Mute);
        self.asks(person, say("hello"));
        assert_eq!(self.said.is_empty(), is_muted, "a muted person is heard");
    }

    fn acts(&mut self, person: usize) {
        if self.open[person].is_none() {
            return;
        }
        let on_account = self.chance.below(2) == 0;
        let name = if on_account {
            ACCOUNTS[self.chance.below(4) as usize].0
        } else {
            NICKS[self.chance.below(NICKS.len() as u64) as usize]
        };
        let worn = self.chat.user_called(name);
        let worn_by = worn.map(|id| self.person(id));
        let shown = worn.and_then(|id| self.chat.nick_of(id));
        let shown = shown.map_or_else(|| name.to_owned(), |nick| nick.as_str().to_owned());
        let kind = [SanctionKind::Ban, SanctionKind::Mute][self.chance.below(2) as usize];
        let seconds = [None, Some(1 + self.chance.below(60) as u32)];
        let seconds = seconds[self.chance.below(2) as usize];
        let order = Order {
            kind,
            reach: Reach::Room,
            whom: Whom::Nick(name),
            address: worn_by.map(address),
            seconds,
            purge_seconds: None,
            reason: "",
        };
        let was_in = worn.is_some_and(|id| self.chat.is_member(id, LOBBY));
        let what = self.chance.below(4);
        match what {
            0 => self.asks(
                person,
                Command::Kick {
                    nick: name,
                    reason: "",
                },
            ),
            1 => {
                let whom = Whom::Nick(name);
                let reach = Reach::Room;
                self.asks(person, Command::Lift { kind, reach, whom });
            }
            _ => self.asks(person, Command::Sanction(order)),
        }
        // One row for what was done, and none for what was refused.
        assert_eq!(
            self.audited.len() + self.refused as usize,
            1,
            "{:?}",
            self.audited
        );
        if self.refused > 0 {
            return;
        }
        let rank = |person: usize| ACCOUNTS.get(person).map_or(Role::Member, |one| one.2);
        let reserved = ACCOUNTS.iter().position(|(known, ..)| *known == name);
        let target = reserved.or(worn_by);
        assert!(
            rank(person) >= Role::Moderator,
            "a person without the role has acted"
        );
        if what != 1 {
            assert!(target.is_none_or(|target| rank(target) < rank(person)));
        }
        match what {
            0 => assert!(was_in),
            1 => self.forgive(kind, name),
            _ => {
                self.forgive(kind, &shown);
                let is_guest = worn_by.is_some_and(|one| one >= ACCOUNTS.len());
                let other = worn_by.map(address).filter(|to| *to != address(person));
                let address = other.filter(|_| is_guest);
                // An address is in one sanction of a kind at most.
                for grudge in &mut self.grudges {
                    if grudge.kind == kind && grudge.address == address {
                        grudge.address = None;
                    }
                }
                self.grudges.push(Grudge {
                    kind,
                    keys: keys_of(&shown),
                    account: reserved.map(|at| ACCOUNTS[at].1),
                    address,
                    until: seconds.map(|seconds| {
                        Millis((self.wall.0.div_ceil(1000) + u64::from(seconds)) * 1000)
                    }),
                });
            }
        }
    }

    /// Lifted is what is about the nick, with all that was imposed together with it.
    fn forgive(&mut self, kind: SanctionKind, name: &str) {
        let keys = keys_of(name);
        self.grudges.retain(|grudge| {
            let is_about = grudge.keys.iter().any(|key| keys.contains(key));
            !(grudge.kind == kind && is_about)
        });
    }
}

#[test]
fn people_with_grudges_do_only_what_they_may_and_what_they_did_holds() {
    let seeds = if cfg!(miri) { 1 } else { 60 };
    for seed in 1..=seeds {
        let mut game = Game::new(seed);
        for _ in 0..400 {
            game.step();
        }
        assert!(game.kept.len() > 10, "seed {seed} did nothing");
    }
}
