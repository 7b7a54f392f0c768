//! Random commands of many members: every effect must be one that a model allows, which knows each
//! member's room and nick, and the joins and leaves that were not reported to the room yet.
#![no_main]

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use parlor::chat::{Chat, Command, Effect, Effects, Event, Nick, Refused, RoomName, Settings};
use parlor::id::{ConnId, RoomId, Tick};
use std::collections::BTreeMap;
use std::time::Duration;
use unicode_security::confusable_detection::skeleton;

#[derive(Arbitrary, Debug)]
enum Operation<'a> {
    Join {
        slot: u8,
        room: u8,
        nick: Option<Name<'a>>,
    },
    Leave {
        slot: u8,
        stale: bool,
    },
    Say {
        slot: u8,
        words: &'a str,
    },
    Act {
        slot: u8,
        words: &'a str,
    },
    Nick {
        slot: u8,
        nick: Name<'a>,
    },
    Op {
        slot: u8,
        right: bool,
    },
    Kick {
        slot: u8,
        nick: Name<'a>,
        reason: &'a str,
    },
    Quit {
        slot: u8,
        word: &'a str,
    },
    Ask {
        slot: u8,
        what: u8,
        stale: bool,
    },
    Pass {
        ticks: u8,
    },
}

/// One of a few names, so that equal ones meet, or any text.
#[derive(Arbitrary, Debug)]
enum Name<'a> {
    Known(u8),
    Any(&'a str),
}

const NAMES: [&str; 22] = [
    "ann",
    "ANN",
    "аnn",
    "HANS",
    "ΗANS",
    "modern",
    "modem",
    "straße",
    "STRASSE",
    "guest-0001",
    // With a dot that is there already, and the capital that folds to it.
    "ani\u{307}ta",
    "anita",
    "\u{130}pek",
    "ipek",
    // With and without the joiner that the script needs.
    "\u{639}\u{644}\u{6cc}\u{200c}\u{631}\u{636}\u{627}",
    "\u{639}\u{644}\u{6cc}\u{631}\u{636}\u{627}",
    "\u{dc1}\u{dca}\u{200d}\u{dbb}\u{dd3}",
    "\u{dc1}\u{dca}\u{dbb}\u{dd3}",
    // Burmese, with four marks on a letter; then what must be refused.
    "\u{1000}\u{103b}\u{1031}\u{102c}\u{103a}",
    "x\u{323}\u{324}\u{325}\u{326}\u{32d}",
    "ann\u{13441}",
    "ann\u{200d}",
];
const ROOMS: [&str; 3] = ["lobby", "LOBBY", "attic"];
const MEMBERS_MAX: u8 = 12;
const MESSAGE_RATE: u32 = 5;
const MESSAGE_BURST: u32 = 10;

impl<'a> Name<'a> {
    fn text(&self) -> &'a str {
        match self {
            Self::Known(index) => NAMES[usize::from(*index) % NAMES.len()],
            Self::Any(text) => text,
        }
    }
}

struct Member {
    id: ConnId,
    room: String,
    nick: String,
    is_operator: bool,
    joined_at: Tick,
    /// Commands that were not dropped as too fast.
    answered: u32,
}

/// Joins and leaves that were not reported to a room yet.
#[derive(Default)]
struct Unreported {
    joined: u32,
    left: u32,
}

struct Game {
    chat: Chat,
    now: Tick,
    generation: u32,
    members: BTreeMap<u32, Member>,
    unreported: BTreeMap<String, Unreported>,
    is_limited: bool,
}

impl Game {
    fn play(&mut self, operation: &Operation<'_>) {
        match operation {
            Operation::Join { slot, room, nick } => {
                self.join(
                    slot % MEMBERS_MAX,
                    ROOMS[usize::from(*room) % ROOMS.len()],
                    nick,
                );
            }
            Operation::Leave { slot, stale } => self.leave(*slot, *stale),
            Operation::Say { slot, words } => self.ask(*slot, Command::Say(words)),
            Operation::Act { slot, words } => self.ask(*slot, Command::Act(words)),
            Operation::Nick { slot, nick } => self.ask(*slot, Command::Nick(nick.text())),
            Operation::Op { slot, right } => {
                self.ask(
                    *slot,
                    Command::Op {
                        token: if *right { "secret" } else { "wrong" },
                    },
                );
            }
            Operation::Kick { slot, nick, reason } => {
                self.ask(
                    *slot,
                    Command::Kick {
                        nick: nick.text(),
                        reason,
                    },
                );
            }
            Operation::Quit { slot, word } => self.ask(*slot, Command::Quit(word)),
            Operation::Ask {
                slot, stale: true, ..
            } => self.ask_as_former_owner(*slot),
            Operation::Ask {
                slot,
                what,
                stale: false,
            } => self.ask(
                *slot,
                match what % 6 {
                    0 => Command::Who,
                    1 => Command::Rooms,
                    2 => Command::Help,
                    3 => Command::Unknown { name: "dance" },
                    4 => Command::TooLong,
                    _ => Command::Incomplete { usage: "/me DOES" },
                },
            ),
            Operation::Pass { ticks } => self.pass(*ticks),
        }
    }

    fn id(&self, slot: u8) -> Option<ConnId> {
        self.members
            .get(&u32::from(slot % MEMBERS_MAX))
            .map(|member| member.id)
    }

    /// The room that an effect is for, by its members.
    fn room_of(&self, room: RoomId) -> Option<String> {
        let first = self.chat.members(room).first()?;
        let room = &self
            .members
            .get(&first.slot())
            .expect("members are in the model")
            .room;
        Some(room.clone())
    }

    fn join(&mut self, slot: u8, room: &str, wanted: &Option<Name<'_>>) {
        if self.id(slot).is_some() {
            return;
        }
        self.generation += 1;
        let id = ConnId::new(slot.into(), self.generation);
        let wanted = wanted.as_ref().map(Name::text);
        let mut effects = Effects::new();
        let name = RoomName::parse(room).expect("a room");
        self.chat.join(id, name, wanted, self.now, &mut effects);
        let room = room.to_lowercase();
        let nick = self
            .chat
            .nick_of(id)
            .expect("a join makes a member")
            .as_str()
            .to_owned();
        let before = self
            .members
            .values()
            .filter(|member| member.room == room)
            .count();
        let member = Member {
            id,
            room: room.clone(),
            nick: nick.clone(),
            is_operator: false,
            joined_at: self.now,
            answered: 0,
        };
        self.members.insert(id.slot(), member);
        let mut effects = effects.into_iter();
        let Some(Effect::Tell {
            to,
            event:
                Event::Welcome {
                    room: shown,
                    nick: own,
                    present,
                    more,
                },
        }) = effects.next()
        else {
            panic!("the first effect is a welcome");
        };
        assert_eq!((to, shown.as_str(), own.as_str()), (id, &*room, &*nick));
        assert_eq!(present.len() + more as usize, before, "members present");
        assert!(
            present
                .iter()
                .all(|one| self.is_in(one, &room) && *one != own)
        );
        let parsed = wanted.map(Nick::parse);
        if parsed
            .as_ref()
            .is_some_and(|parsed| parsed.as_ref() != Ok(&own))
        {
            let Some(Effect::Tell {
                to,
                event: Event::Refused(Refused::Nick { why, kept, .. }),
            }) = effects.next()
            else {
                panic!("another nick without the reason");
            };
            assert_eq!((to, kept), (id, own.clone()));
            let is_alone = self.members.len() == 1;
            match parsed {
                Some(Err(reason)) => assert_eq!(reason, why),
                _ => assert!(!is_alone && why == parlor::chat::NickRefused::Taken),
            }
        }
        match effects.next() {
            Some(Effect::TellOthers {
                room: informed,
                except,
                event: Event::Joined { nick },
            }) => {
                assert_eq!((except, &nick), (id, &own));
                assert_eq!(self.room_of(informed), Some(room));
            }
            None => self.unreported.entry(room).or_default().joined += 1,
            Some(other) => panic!("{other:?}"),
        }
        assert_eq!(effects.next(), None);
    }

    fn is_in(&self, nick: &Nick, room: &str) -> bool {
        self.members
            .values()
            .any(|member| member.nick == nick.as_str() && member.room == room)
    }

    fn leave(&mut self, slot: u8, stale: bool) {
        let Some(id) = self.id(slot) else { return };
        let mut effects = Effects::new();
        if stale {
            let former = ConnId::new(id.slot(), id.generation() - 1);
            self.chat.leave(former, self.now, &mut effects);
            return assert_eq!(effects, []);
        }
        self.chat.leave(id, self.now, &mut effects);
        let rest = self.left(id, effects, false);
        assert_eq!(rest, []);
    }

    /// A member left. Returns the effects after the report to the room, if there is one.
    fn left(&mut self, id: ConnId, mut effects: Effects, may_have_word: bool) -> Effects {
        let member = self.members.remove(&id.slot()).expect("a member left");
        assert!(!self.chat.is_member(id));
        let is_room_there = self.members.values().any(|other| other.room == member.room);
        match effects.first() {
            Some(Effect::TellRoom {
                room,
                event: Event::Left { nick, word },
            }) => {
                assert!(nick.as_str() == member.nick && (may_have_word || word.is_empty()));
                assert!(!word.contains(char::is_control), "a word is one line");
                assert_eq!(self.room_of(*room), Some(member.room));
                effects.remove(0);
            }
            _ if is_room_there => self.unreported.entry(member.room).or_default().left += 1,
            _ => {
                self.unreported.remove(&member.room);
            }
        }
        effects
    }

    fn ask_as_former_owner(&mut self, slot: u8) {
        let Some(id) = self.id(slot) else { return };
        let former = ConnId::new(id.slot(), id.generation() - 1);
        let mut effects = Effects::new();
        self.chat
            .handle(former, Command::Say("boo"), self.now, &mut effects);
        self.chat
            .handle(former, Command::Quit(""), self.now, &mut effects);
        assert_eq!(effects, []);
    }

    fn ask(&mut self, slot: u8, command: Command<'_>) {
        let Some(id) = self.id(slot) else { return };
        let mut effects = Effects::new();
        self.chat.handle(id, command, self.now, &mut effects);
        if let Command::Quit(_) = command {
            let rest = self.left(id, effects, true);
            return assert!(
                matches!(&rest[..], [Effect::Close { id: closed, .. }] if *closed == id)
            );
        }
        let now = self.now;
        let member = self.members.get_mut(&id.slot()).expect("a member asks");
        let is_too_fast = |effect: &Effect| {
            matches!(
                effect,
                Effect::Tell {
                    event: Event::Refused(Refused::TooFast { .. }),
                    ..
                }
            )
        };
        if effects.iter().all(is_too_fast) {
            // Dropped, with a report or without; a nick that the member has already has none
            // either.
            let is_nick = matches!(command, Command::Nick(_)) && effects.is_empty();
            return assert!(self.is_limited || is_nick, "{command:?}");
        }
        member.answered += 1;
        let allowed = MESSAGE_BURST + MESSAGE_RATE * now.since(member.joined_at) / 10;
        assert!(
            !self.is_limited || member.answered <= allowed,
            "faster than the limit"
        );
        // A wrong token is refused, and counted against the address.
        if effects.last() == Some(&Effect::WrongToken { id }) {
            effects.pop();
            let refused = Event::Refused(Refused::WrongToken);
            assert_eq!(
                effects,
                [Effect::Tell {
                    to: id,
                    event: refused
                }]
            );
        }
        match effects.len() {
            1 => self.check_answer(id, command, &effects[0]),
            _ => self.check_kick(id, command, effects),
        }
    }

    /// The one effect of a command after which the member is still one.
    fn check_answer(&mut self, id: ConnId, command: Command<'_>, effect: &Effect) {
        let nick = self
            .chat
            .nick_of(id)
            .expect("still a member")
            .as_str()
            .to_owned();
        let member = self.members.get_mut(&id.slot()).expect("a member asks");
        match (command, effect) {
            (
                Command::Say(_),
                Effect::TellRoom {
                    room,
                    event:
                        Event::Said {
                            nick: speaker,
                            text,
                        },
                },
            )
            | (
                Command::Act(_),
                Effect::TellRoom {
                    room,
                    event:
                        Event::Acted {
                            nick: speaker,
                            text,
                        },
                },
            ) => {
                assert_eq!(
                    speaker.as_str(),
                    member.nick,
                    "no member speaks for another"
                );
                assert!(!text.trim().is_empty());
                assert!(
                    !text
                        .chars()
                        .any(|c| c.is_control() && c != '\n' && c != '\t')
                );
                assert!(self.chat.members(*room).contains(&id));
            }
            (
                Command::Nick(_),
                Effect::TellRoom {
                    room,
                    event: Event::Renamed { old, new },
                },
            ) => {
                assert_eq!((old.as_str(), new.as_str()), (&*member.nick, &*nick));
                assert!(self.chat.members(*room).contains(&id));
                member.nick = nick;
            }
            (
                Command::Op { token },
                Effect::Tell {
                    to,
                    event: Event::YouAreOperator,
                },
            ) => {
                assert!(*to == id && token == "secret");
                member.is_operator = true;
            }
            (
                Command::Kick { .. },
                Effect::Tell {
                    to,
                    event: Event::Refused(why),
                },
            ) => {
                let right = matches!(why, Refused::NotOperator) != member.is_operator;
                assert!(*to == id && right, "{why:?}");
            }
            (
                Command::Who,
                Effect::Tell {
                    to,
                    event:
                        Event::Who {
                            room,
                            members,
                            more,
                        },
                },
            ) => {
                let here = self
                    .members
                    .values()
                    .filter(|other| other.room == room.as_str());
                assert_eq!((*to, members.len() + *more as usize), (id, here.count()));
                assert!(members.iter().all(|nick| self.is_in(nick, room)));
            }
            (
                Command::Rooms,
                Effect::Tell {
                    to,
                    event: Event::Rooms { rooms, .. },
                },
            ) => {
                let all: u32 = rooms.iter().map(|(_, members)| members).sum();
                assert_eq!((*to, all as usize), (id, self.members.len()));
            }
            (
                _,
                Effect::Tell {
                    to,
                    event: Event::Refused(_) | Event::Help,
                },
            ) => assert_eq!(*to, id),
            (command, effect) => panic!("{command:?} has the effect {effect:?}"),
        }
    }

    /// A kick has three effects: a line to the room, one to the kicked member, and the close.
    fn check_kick(&mut self, id: ConnId, command: Command<'_>, effects: Effects) {
        let [
            Effect::TellRoom {
                event: Event::Kicked { nick, by, reason },
                ..
            },
            Effect::Tell {
                to,
                event: Event::YouWereKicked { by: reported, .. },
            },
            Effect::Close { id: closed, .. },
        ] = &effects[..]
        else {
            panic!("{command:?} has the effects {effects:?}");
        };
        let kicker = &self.members[&id.slot()];
        assert!(kicker.is_operator && by.as_str() == kicker.nick && reported == by);
        assert!(matches!(command, Command::Kick { .. }) && !reason.contains(char::is_control));
        let room = kicker.room.clone();
        let kicked = self.members.remove(&to.slot()).expect("a member is kicked");
        assert_eq!((to, closed), (&kicked.id, &kicked.id));
        assert_eq!((nick.as_str(), &*kicked.room), (&*kicked.nick, &*room));
        assert!(!self.chat.is_member(kicked.id));
        if !self.members.values().any(|member| member.room == room) {
            self.unreported.remove(&room);
        }
    }

    /// Joins and leaves that were not reported one by one are reported in sum, and nothing else is.
    /// Memory is given back now and then, which changes nothing.
    fn pass(&mut self, ticks: u8) {
        self.now = self.now + ticks.into();
        if ticks % 2 == 1 {
            self.chat.shrink();
        }
        let mut effects = Effects::new();
        self.chat.tick(self.now, &mut effects);
        for effect in effects {
            let Effect::TellRoom {
                room,
                event: Event::Summed { joined, left },
            } = effect
            else {
                panic!("{effect:?}");
            };
            let room = self.room_of(room).expect("a room with members");
            let unreported = self.unreported.remove(&room).expect("something to report");
            assert_eq!((joined, left), (unreported.joined, unreported.left));
        }
        assert!(
            self.chat.next_tick().is_none_or(|due| due > self.now),
            "a sum is overdue"
        );
    }

    fn check(&self) {
        self.chat.check_invariants();
        assert_eq!(self.chat.member_count(), self.members.len());
        let mut rooms: Vec<&str> = self.members.values().map(|member| &*member.room).collect();
        rooms.sort_unstable();
        rooms.dedup();
        assert_eq!(self.chat.room_count(), rooms.len());
        assert_eq!(self.chat.next_tick().is_some(), !self.unreported.is_empty());
        let mut looks: Vec<String> = Vec::new();
        for member in self.members.values() {
            assert_eq!(
                self.chat.nick_of(member.id).map(Nick::as_str),
                Some(&*member.nick)
            );
            looks.push(skeleton(&member.nick).collect());
            // What has no skeleton is drawn as nothing; of that, a name may have joiners.
            let is_seen = |c: char| skeleton(c.encode_utf8(&mut [0; 4])).next().is_some();
            let is_joiner = |c: char| matches!(c, '\u{200c}' | '\u{200d}');
            assert!(member.nick.chars().all(|c| is_seen(c) || is_joiner(c)));
        }
        looks.sort_unstable();
        assert!(
            looks.windows(2).all(|two| two[0] != two[1]),
            "two look the same: {looks:?}"
        );
        let mut small: Vec<String> = self
            .members
            .values()
            .map(|member| member.nick.to_lowercase())
            .collect();
        small.sort_unstable();
        assert!(
            small.windows(2).all(|two| two[0] != two[1]),
            "two are the same: {small:?}"
        );
    }
}

fuzz_target!(|game: (bool, u8, Vec<Operation<'_>>)| {
    let (is_limited, notice_members, operations) = game;
    let settings = Settings {
        message_rate: if is_limited { MESSAGE_RATE } else { 0 },
        message_burst: MESSAGE_BURST,
        notice_members: usize::from(notice_members % 8),
        notice_interval: Duration::from_secs(1),
        rooms_per_connection: 16,
        operator_token: Some(String::from("secret")),
    };
    let mut game = Game {
        chat: Chat::new(&settings, 1),
        now: Tick(0),
        generation: 1,
        members: BTreeMap::new(),
        unreported: BTreeMap::new(),
        is_limited,
    };
    for operation in &operations {
        game.play(operation);
        game.check();
    }
});
