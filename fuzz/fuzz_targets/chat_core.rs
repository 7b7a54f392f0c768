//! Random commands of many users in several rooms: every effect must be one that a model allows,
//! which knows the nick and the rooms of each user, which members are behind, and the joins and
//! leaves that were not reported to a room yet. What is to be kept is ordered at once or later.
#![no_main]

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use parlor::chat::{
    Chat, Command, Content, DIALECTS, Draft, Effect, Effects, Event, Farewell, JoinRefused, Manner,
    Nick, NickRefused, Page, Refused, RoomName, Settings,
};
use parlor::id::{ConnId, Millis, RoomId, Seq, Tick};
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;
use unicode_security::confusable_detection::skeleton;

#[derive(Arbitrary, Debug)]
enum Operation<'a> {
    Enter {
        slot: u8,
        nick: Option<Name<'a>>,
    },
    Join {
        slot: u8,
        room: u8,
    },
    Leave {
        slot: u8,
        room: u8,
    },
    Exit {
        slot: u8,
        stale: bool,
    },
    Say {
        slot: u8,
        room: Option<u8>,
        is_action: bool,
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
        room: Option<u8>,
        nick: Name<'a>,
        reason: &'a str,
    },
    Quit {
        slot: u8,
        word: &'a str,
    },
    List {
        slot: u8,
        room: Option<u8>,
        rooms: bool,
        page: Option<(Option<Name<'a>>, u8)>,
    },
    Ask {
        slot: u8,
        room: Option<u8>,
        what: u8,
        stale: bool,
    },
    Switch {
        slot: u8,
        room: u8,
        is_live: bool,
    },
    /// What waits to be ordered is ordered.
    Order,
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
const ROOMS: [&str; 4] = ["lobby", "LOBBY", "attic", "cellar"];
const ROOMS_PER_USER: usize = 2;
const USERS_MAX: u8 = 12;
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

fn room_name(number: u8) -> &'static str {
    ROOMS[usize::from(number) % ROOMS.len()]
}

struct User {
    id: ConnId,
    nick: String,
    /// By name, and whether the user is live there.
    rooms: BTreeMap<String, bool>,
    is_operator: bool,
    entered_at: Tick,
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
    users: BTreeMap<u32, User>,
    /// The log's table: the rooms that have members.
    rooms: BTreeMap<String, RoomId>,
    unreported: BTreeMap<String, Unreported>,
    /// What waits for its number.
    appended: VecDeque<(RoomId, Draft)>,
    is_limited: bool,
    /// Entries are ordered by [`Operation::Order`], as a remote engine would; else at once.
    is_late: bool,
    /// A user without a room stays, as with a protocol that can join rooms.
    stays: bool,
    notice_members: usize,
}

impl Game {
    fn play(&mut self, operation: &Operation<'_>) {
        match operation {
            Operation::Enter { slot, nick } => self.enter(slot % USERS_MAX, nick.as_ref()),
            Operation::Join { slot, room } => self.join(*slot, room_name(*room)),
            Operation::Leave { slot, room } => self.leave(*slot, room_name(*room)),
            Operation::Exit { slot, stale } => self.exit(*slot, *stale),
            Operation::Say {
                slot,
                room,
                is_action,
                words,
            } => {
                let manner = if *is_action {
                    Manner::Action
                } else {
                    Manner::Message
                };
                let command = Command::Say {
                    manner,
                    text: words,
                    reply_to: None,
                };
                self.ask(*slot, *room, command);
            }
            Operation::Nick { slot, nick } => self.ask(*slot, None, Command::Nick(nick.text())),
            Operation::Op { slot, right } => {
                let token = if *right { "secret" } else { "wrong" };
                self.ask(*slot, None, Command::Op { token });
            }
            Operation::Kick {
                slot,
                room,
                nick,
                reason,
            } => {
                let nick = nick.text();
                self.ask(*slot, *room, Command::Kick { nick, reason });
            }
            Operation::Quit { slot, word } => self.ask(*slot, None, Command::Quit(word)),
            Operation::List {
                slot,
                room,
                rooms,
                page,
            } => {
                let page = page.as_ref().map(|(after, limit)| Page {
                    after: after.as_ref().map(Name::text),
                    limit: (*limit).into(),
                });
                let command = if *rooms {
                    Command::Rooms(page)
                } else {
                    Command::Who(page)
                };
                self.ask(*slot, *room, command);
            }
            Operation::Ask {
                slot, stale: true, ..
            } => self.ask_as_former_owner(*slot),
            Operation::Ask {
                slot,
                room,
                what,
                stale: false,
            } => {
                let command = match what % 5 {
                    0 => Command::Typing,
                    1 => Command::Help,
                    2 => Command::Unknown { name: "dance" },
                    3 => Command::TooLong,
                    _ => Command::Incomplete { usage: "/me DOES" },
                };
                self.ask(*slot, *room, command);
            }
            Operation::Switch {
                slot,
                room,
                is_live,
            } => self.switch(*slot, room_name(*room), *is_live),
            Operation::Order => self.order(),
            Operation::Pass { ticks } => self.pass(*ticks),
        }
    }

    fn id(&self, slot: u8) -> Option<ConnId> {
        let user = self.users.get(&u32::from(slot % USERS_MAX));
        user.map(|user| user.id)
    }

    fn user(&self, id: ConnId) -> &User {
        &self.users[&id.slot()]
    }

    fn user_mut(&mut self, id: ConnId) -> &mut User {
        self.users.get_mut(&id.slot()).expect("a user")
    }

    /// The users in a room.
    fn members(&self, room: &str) -> impl Iterator<Item = &User> {
        let is_in = move |user: &&User| user.rooms.contains_key(room);
        self.users.values().filter(is_in)
    }

    fn is_in(&self, nick: &Nick, room: &str) -> bool {
        self.members(room).any(|user| user.nick == nick.as_str())
    }

    fn enter(&mut self, slot: u8, wanted: Option<&Name<'_>>) {
        if self.id(slot).is_some() {
            return;
        }
        self.generation += 1;
        let id = ConnId::new(slot.into(), self.generation);
        let wanted = wanted.map(Name::text);
        let dialect = usize::from(slot) % DIALECTS;
        let refused = self.chat.enter(id, wanted, dialect, self.now);
        let own = self.chat.nick_of(id).expect("a user").clone();
        match (wanted.map(Nick::parse), refused) {
            (None, None) => {}
            (Some(Ok(nick)), None) => assert_eq!(nick, own),
            (Some(parsed), Some(Refused::Nick { why, kept, .. })) => {
                assert_eq!(kept, own);
                match parsed {
                    Err(reason) => assert_eq!(reason, why),
                    Ok(_) => assert!(!self.users.is_empty() && why == NickRefused::Taken),
                }
            }
            (wanted, refused) => panic!("{wanted:?} was refused with {refused:?}"),
        }
        let user = User {
            id,
            nick: own.as_str().to_owned(),
            rooms: BTreeMap::new(),
            is_operator: false,
            entered_at: self.now,
            answered: 0,
        };
        self.users.insert(id.slot(), user);
    }

    /// The room of a name, as the log opens it.
    fn open(&mut self, name: &str) -> RoomId {
        if let Some(room) = self.rooms.get(name) {
            return *room;
        }
        let is_free = |slot: &u32| self.rooms.values().all(|room| room.slot() != *slot);
        let slot = (0..).find(is_free).expect("rooms end before slots");
        self.generation += 1;
        let room = RoomId::new(slot, self.generation);
        self.rooms.insert(name.to_owned(), room);
        room
    }

    fn join(&mut self, slot: u8, room: &str) {
        let Some(id) = self.id(slot) else { return };
        let parsed = RoomName::parse(room).expect("a room").into_smol_str();
        let name = parsed.as_str();
        let room = self.open(name);
        let before = self.members(name).count();
        let mut effects = Effects::new();
        let joined = self.chat.join(id, room, &parsed, self.now, &mut effects);
        let user = self.user_mut(id);
        let (own, is_member) = (user.nick.clone(), user.rooms.contains_key(name));
        let rooms = user.rooms.len();
        match joined {
            Ok(Event::Welcome {
                room: shown,
                nick,
                present,
                accounts,
                more,
            }) => {
                assert!(accounts.iter().all(|nick| present.contains(nick)));
                assert!(!is_member && rooms < ROOMS_PER_USER);
                assert_eq!((shown.as_str(), nick.as_str()), (name, &*own));
                assert_eq!(present.len() + more as usize, before, "members present");
                assert!(present.iter().all(|one| self.is_in(one, name)));
                self.user_mut(id).rooms.insert(name.to_owned(), true);
                if effects.is_empty() {
                    let unreported = self.unreported.entry(name.to_owned());
                    unreported.or_default().joined += 1;
                } else {
                    let event = Event::Joined {
                        room: shown,
                        nick,
                        has_account: false,
                    };
                    let except = Some(id);
                    let notice = Effect::Notice {
                        room,
                        event,
                        except,
                    };
                    assert_eq!(effects, [notice]);
                }
            }
            Err(JoinRefused::IsMember) => assert!(is_member && effects.is_empty()),
            Err(JoinRefused::TooManyRooms { max }) => {
                assert_eq!((max, rooms, is_member), (ROOMS_PER_USER, max, false));
                assert_eq!(effects, []);
                if before == 0 {
                    self.rooms.remove(name);
                }
            }
            other => panic!("{other:?}"),
        }
    }

    fn leave(&mut self, slot: u8, room: &str) {
        let Some(id) = self.id(slot) else { return };
        let name = room.to_lowercase();
        let Some(room) = self.rooms.get(&name).copied() else {
            return;
        };
        let mut effects = Effects::new();
        self.chat.leave(id, room, self.now, &mut effects);
        if self.user_mut(id).rooms.remove(&name).is_some() {
            let nick = self.user(id).nick.clone();
            self.left(&nick, &[name], effects, false);
        } else {
            assert_eq!(effects, []);
        }
    }

    fn exit(&mut self, slot: u8, stale: bool) {
        let Some(id) = self.id(slot) else { return };
        let mut effects = Effects::new();
        if stale {
            let former = ConnId::new(id.slot(), id.generation() - 1);
            self.chat.exit(former, self.now, &mut effects);
            return assert_eq!(effects, []);
        }
        self.chat.exit(id, self.now, &mut effects);
        self.gone(id, effects, false);
    }

    /// A user is gone, and its rooms were notified.
    fn gone(&mut self, id: ConnId, effects: Effects, may_have_word: bool) {
        let user = self.users.remove(&id.slot()).expect("a user left");
        assert!(!self.chat.is_user(id));
        let rooms: Vec<String> = user.rooms.into_keys().collect();
        self.left(&user.nick, &rooms, effects, may_have_word);
    }

    /// A user, which is in those rooms no more, has left them: with a notice each, or without, and
    /// the room is gone with its last member.
    fn left(&mut self, nick: &str, rooms: &[String], mut effects: Effects, may_have_word: bool) {
        for name in rooms {
            let room = self.rooms[name];
            let is_of_room = |effect: &Effect| match effect {
                Effect::Notice { room: one, .. } | Effect::RoomIsEmpty { room: one } => {
                    *one == room
                }
                _ => false,
            };
            let at = effects.iter().position(is_of_room);
            let effect = at.map(|at| effects.remove(at));
            if self.members(name).next().is_none() {
                assert_eq!(effect, Some(Effect::RoomIsEmpty { room }));
                self.rooms.remove(name);
                self.unreported.remove(name);
                continue;
            }
            match effect {
                None => self.unreported.entry(name.clone()).or_default().left += 1,
                Some(Effect::Notice {
                    event:
                        Event::Left {
                            room: shown,
                            nick: who,
                            word,
                        },
                    except: None,
                    ..
                }) => {
                    assert_eq!((shown.as_str(), who.as_str()), (&**name, nick));
                    assert!(may_have_word || word.is_empty());
                    assert!(!word.contains(char::is_control), "a word is one line");
                }
                Some(other) => panic!("{other:?}"),
            }
        }
        assert_eq!(effects, []);
    }

    fn ask_as_former_owner(&mut self, slot: u8) {
        let Some(id) = self.id(slot) else { return };
        let former = ConnId::new(id.slot(), id.generation() - 1);
        let mut effects = Effects::new();
        for command in [Command::Typing, Command::Help, Command::Quit("")] {
            self.chat
                .handle(former, Some("lobby"), command, self.now, &mut effects);
        }
        assert_eq!(effects, []);
    }

    /// The room that a command of the user is about.
    fn room_asked(&self, id: ConnId, room: Option<u8>) -> Option<String> {
        let rooms = &self.user(id).rooms;
        match room {
            Some(number) => {
                Some(room_name(number).to_lowercase()).filter(|n| rooms.contains_key(n))
            }
            None if rooms.len() == 1 => rooms.keys().next().cloned(),
            None => None,
        }
    }

    fn ask(&mut self, slot: u8, room: Option<u8>, command: Command<'_>) {
        let Some(id) = self.id(slot) else { return };
        let mut effects = Effects::new();
        let now = self.now;
        let is_within = self
            .chat
            .handle(id, room.map(room_name), command, now, &mut effects);
        if let Command::Quit(_) = command {
            let why = Farewell::Quit;
            assert_eq!(effects.pop(), Some(Effect::Close { id, why }));
            return self.gone(id, effects, true);
        }
        if !is_within {
            assert!(self.is_limited && effects.len() <= 1);
            let is_too_fast = |why: &Refused| matches!(why, Refused::TooFast { .. });
            return assert!(effects.iter().all(|one| is_refusal(one, id, is_too_fast)));
        }
        let user = self.user_mut(id);
        user.answered += 1;
        let allowed = MESSAGE_BURST + MESSAGE_RATE * now.since(user.entered_at) / 10;
        let is_allowed = user.answered <= allowed;
        assert!(!self.is_limited || is_allowed, "faster than the limit");
        let target = self.room_asked(id, room);
        match (command, target) {
            (
                Command::Say { .. } | Command::Typing | Command::Kick { .. } | Command::Who(_),
                None,
            ) => {
                let [effect] = &effects[..] else {
                    panic!("{effects:?}")
                };
                assert!(is_refusal(effect, id, |why| *why == Refused::NotAMember));
            }
            (Command::Typing, Some(name)) => self.check_typing(id, &name, &effects),
            (Command::Nick(_), _) => self.check_nick(id, effects),
            (Command::Op { token }, _) => self.check_token(id, token, &effects),
            (_, target) => {
                let [effect] = <[Effect; 1]>::try_from(effects).expect("one effect");
                self.check_answer(id, command, target, effect);
            }
        }
        if !self.is_late {
            self.order();
        }
    }

    fn check_typing(&self, id: ConnId, name: &str, effects: &[Effect]) {
        let is_large = self.members(name).count() > self.notice_members;
        match effects {
            [] => {}
            [
                Effect::Notice {
                    room,
                    event: Event::Typing { room: shown, nick },
                    except,
                },
            ] => {
                assert!(!is_large);
                assert_eq!((*room, shown.as_str()), (self.rooms[name], name));
                assert_eq!((*except, nick.as_str()), (Some(id), &*self.user(id).nick));
            }
            other => panic!("{other:?}"),
        }
    }

    /// Every room of the user sees the new nick, or the user alone sees why it is none.
    fn check_nick(&mut self, id: ConnId, effects: Effects) {
        let new = self.chat.nick_of(id).expect("a user").clone();
        let user = self.user_mut(id);
        let old = std::mem::replace(&mut user.nick, new.as_str().to_owned());
        if old == new.as_str() {
            let is_of_nick =
                |why: &Refused| matches!(why, Refused::Nick { kept, .. } if *kept == new);
            assert!(effects.len() <= 1);
            return assert!(effects.iter().all(|one| is_refusal(one, id, is_of_nick)));
        }
        let mut rooms: Vec<String> = user.rooms.keys().cloned().collect();
        for effect in effects {
            let Effect::Notice {
                room,
                event:
                    Event::Renamed {
                        room: shown,
                        old: reported,
                        new: now,
                    },
                except: None,
            } = effect
            else {
                panic!("{effect:?}");
            };
            assert_eq!((reported.as_str(), &now), (&*old, &new));
            assert_eq!(self.rooms.get(shown.as_str()), Some(&room));
            rooms.retain(|name| name != shown.as_str());
        }
        assert_eq!(rooms, [""; 0], "rooms that were not notified");
    }

    fn check_token(&mut self, id: ConnId, token: &str, effects: &[Effect]) {
        match effects {
            [Effect::Reply { to, event }] => {
                assert_eq!((*to, event), (id, &Event::YouAreOperator));
                assert_eq!(token, "secret");
                self.user_mut(id).is_operator = true;
            }
            // A wrong token is refused, and counted against the address.
            [refused, Effect::WrongToken { id: wrong }] => {
                assert!(*wrong == id && token == "wrong");
                assert!(is_refusal(refused, id, |why| *why == Refused::WrongToken));
            }
            other => panic!("{other:?}"),
        }
    }

    /// The one effect of a command.
    fn check_answer(
        &mut self,
        id: ConnId,
        command: Command<'_>,
        target: Option<String>,
        effect: Effect,
    ) {
        let user = self.user(id);
        match (command, effect) {
            (Command::Say { manner, .. }, Effect::Append { room, from, draft }) => {
                let name = target.expect("a room");
                assert_eq!((room, from), (self.rooms[&name], id));
                assert_eq!(draft.nick, user.nick, "no user speaks for another");
                let Content::Said {
                    manner: kept, text, ..
                } = &draft.content
                else {
                    panic!("{draft:?}");
                };
                assert!(*kept == manner && !text.trim().is_empty());
                let is_unwanted = |c: char| c.is_control() && c != '\n' && c != '\t';
                assert!(!text.contains(is_unwanted));
                self.appended.push_back((room, draft));
            }
            (Command::Kick { .. }, Effect::Append { room, from, draft }) => {
                let name = target.expect("a room");
                assert_eq!((room, from), (self.rooms[&name], id));
                let Content::Kicked { by, reason } = &draft.content else {
                    panic!("{draft:?}");
                };
                assert!(user.is_operator && *by == user.nick);
                assert!(!reason.contains(char::is_control));
                assert!(self.members(&name).any(|user| user.nick == draft.nick));
                self.appended.push_back((room, draft));
            }
            (Command::Kick { .. }, Effect::Change { change, to, event }) => {
                assert!(user.is_operator && change.audit.is_some());
                assert_eq!((to, event), (None, None));
            }
            (Command::Kick { .. }, effect) => {
                let is_right = |why: &Refused| match why {
                    Refused::NotOperator => !user.is_operator,
                    Refused::NoSuchMember { .. } | Refused::Outranked { .. } => user.is_operator,
                    _ => false,
                };
                assert!(is_refusal(&effect, id, is_right), "{effect:?}");
            }
            (
                Command::Who(page),
                Effect::Reply {
                    to,
                    event:
                        Event::Who {
                            room,
                            members,
                            accounts,
                            more,
                        },
                },
            ) => {
                assert!(accounts.iter().all(|nick| members.contains(nick)));
                assert_eq!((to, Some(room.as_str())), (id, target.as_deref()));
                assert!(members.iter().all(|nick| self.is_in(nick, &room)));
                let all = self.members(&room).map(|user| user.nick.as_str());
                let listed: Vec<&str> = members.iter().map(Nick::as_str).collect();
                check_list(&listed, more, all.collect(), page);
            }
            (
                Command::Rooms(page),
                Effect::Reply {
                    to,
                    event: Event::Rooms { rooms, more },
                },
            ) => {
                assert_eq!(to, id);
                for (name, count) in &rooms {
                    assert_eq!(self.members(name).count(), *count as usize);
                }
                let listed: Vec<&str> = rooms.iter().map(|(name, _)| name.as_str()).collect();
                let all = self.rooms.keys().map(String::as_str).collect();
                check_list(&listed, more, all, page);
            }
            (
                _,
                Effect::Reply {
                    to,
                    event: Event::Refused(_) | Event::Help,
                },
            ) => assert_eq!(to, id),
            (command, effect) => panic!("{command:?} has the effect {effect:?}"),
        }
    }

    /// What waits is ordered. A kick removes the member that has the nick by then, if there is one.
    fn order(&mut self) {
        while let Some((room, draft)) = self.appended.pop_front() {
            let epoch = self.chat.room_epoch(room);
            let mut effects = Effects::new();
            let entry = draft.numbered(Seq(1), Millis(0));
            self.chat.ordered(room, &entry, &mut effects);
            let is_room = |(_, id): &(&String, &RoomId)| **id == room;
            let name = self
                .rooms
                .iter()
                .find(is_room)
                .map(|(name, _)| name.clone());
            let kicked = match (&draft.content, &name) {
                (Content::Kicked { by, reason }, Some(name)) => {
                    let kicked = self.members(name).find(|user| user.nick == draft.nick);
                    kicked.map(|user| (user.id, name.clone(), by, reason))
                }
                _ => None,
            };
            let Some((id, name, by, reason)) = kicked else {
                assert_eq!(effects, []);
                assert_eq!(self.chat.room_epoch(room), epoch);
                continue;
            };
            assert!(self.chat.changes_members(&draft.content));
            self.user_mut(id).rooms.remove(&name);
            let mut expected = Effects::new();
            if self.members(&name).next().is_none() {
                self.rooms.remove(&name);
                self.unreported.remove(&name);
                expected.push(Effect::RoomIsEmpty { room });
            }
            let event = Event::YouWereKicked {
                room: RoomName::parse(&name).expect("a room").into_smol_str(),
                by: by.as_str().into(),
                reason: reason.clone(),
            };
            expected.push(Effect::Tell { to: id, event });
            if self.user(id).rooms.is_empty() {
                let reason = reason.clone();
                let why = Farewell::Kicked { reason };
                expected.push(Effect::Close { id, why });
            }
            assert_eq!(effects, expected);
            if self.user(id).rooms.is_empty() && !self.stays {
                let mut effects = Effects::new();
                self.chat.exit(id, self.now, &mut effects);
                self.gone(id, effects, false);
            }
        }
    }

    fn switch(&mut self, slot: u8, room: &str, is_live: bool) {
        let Some(id) = self.id(slot) else { return };
        let name = room.to_lowercase();
        let Some(room) = self.rooms.get(&name).copied() else {
            return;
        };
        let epoch = self.chat.room_epoch(room);
        if is_live {
            self.chat.becomes_live(id, room);
        } else {
            self.chat.falls_behind(id, room);
        }
        let before = self.user_mut(id).rooms.get_mut(&name);
        let before = before.map(|live| std::mem::replace(live, is_live));
        let changes = before.is_some_and(|before| before != is_live);
        assert_eq!(self.chat.room_epoch(room) != epoch, changes);
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
            let Effect::Notice {
                room,
                event:
                    Event::Summed {
                        room: name,
                        joined,
                        left,
                    },
                except: None,
            } = effect
            else {
                panic!("{effect:?}");
            };
            assert_eq!(self.rooms.get(name.as_str()), Some(&room));
            let unreported = self.unreported.remove(name.as_str());
            let unreported = unreported.expect("something to report");
            assert_eq!((joined, left), (unreported.joined, unreported.left));
        }
        assert!(
            self.chat.next_tick().is_none_or(|due| due > self.now),
            "a sum is overdue"
        );
    }

    fn check(&self) {
        self.chat.check_invariants();
        assert_eq!(self.chat.user_count(), self.users.len());
        assert_eq!(self.chat.room_count(), self.rooms.len());
        assert_eq!(self.chat.next_tick().is_some(), !self.unreported.is_empty());
        for (name, room) in &self.rooms {
            assert_eq!(
                self.chat.room_name(*room).map(|n| n.as_str()),
                Some(&**name)
            );
            let count = self.members(name).count();
            assert!(count > 0 && self.chat.members(*room).len() == count);
            let live = self.members(name).filter(|user| user.rooms[name]);
            assert_eq!(self.chat.live(*room).len(), live.count());
        }
        let mut looks: Vec<String> = Vec::new();
        for user in self.users.values() {
            assert_eq!(self.chat.rooms_of(user.id).count(), user.rooms.len());
            for (name, is_live) in &user.rooms {
                let room = self.rooms[name];
                assert!(self.chat.is_member(user.id, room));
                assert_eq!(self.chat.is_live(user.id, room), *is_live);
            }
            assert_eq!(
                self.chat.nick_of(user.id).map(Nick::as_str),
                Some(&*user.nick)
            );
            looks.push(skeleton(&user.nick).collect());
            // What has no skeleton is drawn as nothing; of that, a name may have joiners.
            let is_seen = |c: char| skeleton(c.encode_utf8(&mut [0; 4])).next().is_some();
            let is_joiner = |c: char| matches!(c, '\u{200c}' | '\u{200d}');
            assert!(user.nick.chars().all(|c| is_seen(c) || is_joiner(c)));
        }
        looks.sort_unstable();
        assert!(
            looks.windows(2).all(|two| two[0] != two[1]),
            "two look the same: {looks:?}"
        );
        let mut small: Vec<String> = self
            .users
            .values()
            .map(|user| user.nick.to_lowercase())
            .collect();
        small.sort_unstable();
        assert!(
            small.windows(2).all(|two| two[0] != two[1]),
            "two are the same: {small:?}"
        );
    }
}

/// The effect refuses the user something for such a reason.
fn is_refusal(effect: &Effect, id: ConnId, is_right: impl Fn(&Refused) -> bool) -> bool {
    matches!(
        effect,
        Effect::Reply { to, event: Event::Refused(why) } if *to == id && is_right(why)
    )
}

/// A list has what it should of all names, and a page of it the first of them in order.
fn check_list(listed: &[&str], more: u32, mut all: Vec<&str>, page: Option<Page<'_>>) {
    let Some(page) = page else {
        return assert_eq!(listed.len() + more as usize, all.len());
    };
    all.retain(|name| page.after.is_none_or(|after| *name > after));
    all.sort_unstable();
    let count = all.len().min(page.limit as usize);
    assert_eq!((listed, more as usize), (&all[..count], all.len() - count));
}

fuzz_target!(|game: (u8, u8, Vec<Operation<'_>>)| {
    let (flags, notice_members, operations) = game;
    let (is_limited, is_late, stays) = (flags & 1 != 0, flags & 2 != 0, flags & 4 != 0);
    let notice_members = usize::from(notice_members % 8);
    let settings = Settings {
        message_rate: if is_limited { MESSAGE_RATE } else { 0 },
        message_burst: MESSAGE_BURST,
        notice_members,
        notice_interval: Duration::from_secs(1),
        rooms_per_connection: ROOMS_PER_USER,
        operator_token: Some(String::from("secret")),
        ..Settings::default()
    };
    let mut game = Game {
        chat: Chat::new(&settings, 1),
        now: Tick(0),
        generation: 1,
        users: BTreeMap::new(),
        rooms: BTreeMap::new(),
        unreported: BTreeMap::new(),
        appended: VecDeque::new(),
        is_limited,
        is_late,
        stays,
        notice_members,
    };
    for operation in &operations {
        game.play(operation);
        game.check();
    }
});
