//! The rules of the chat as scenes: Ann joins, Bob says, Ann hears.

mod direct;
mod elsewhere;
mod grudges;
mod list;
mod order;

use super::*;
use crate::id::{Millis, Seq};

/// A chat, and the events that its members saw and the scene has not looked at.
struct Scene {
    chat: Chat,
    now: Tick,
    /// The names of rooms, by the slots of their ids.
    rooms: Vec<Option<(SmolStr, RoomId)>>,
    generation: u32,
    seen: Vec<(ConnId, Seen)>,
    closed: Vec<(ConnId, Farewell)>,
}

/// What a connection sees.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Seen {
    Entry(Draft),
    Event(Event),
}

const ANN: ConnId = ConnId::new(0, 7);
const BOB: ConnId = ConnId::new(1, 8);
const CAT: ConnId = ConnId::new(2, 9);

impl PartialEq<Event> for Seen {
    fn eq(&self, event: &Event) -> bool {
        matches!(self, Self::Event(seen) if seen == event)
    }
}

impl PartialEq<Draft> for Seen {
    fn eq(&self, draft: &Draft) -> bool {
        matches!(self, Self::Entry(seen) if seen == draft)
    }
}

const NOTHING: [Seen; 0] = [];

impl Scene {
    fn new(settings: &Settings) -> Self {
        Self {
            chat: Chat::new(settings, 1),
            now: Tick(0),
            rooms: Vec::new(),
            generation: 0,
            seen: Vec::new(),
            closed: Vec::new(),
        }
    }

    /// Does something and carries out its effects, as the server would.
    fn after(&mut self, step: impl FnOnce(&mut Chat, Tick, &mut Effects)) {
        let mut effects = Effects::new();
        step(&mut self.chat, self.now, &mut effects);
        self.chat.check_invariants();
        self.carry_out(effects);
    }

    fn carry_out(&mut self, effects: Effects) {
        for effect in effects {
            match effect {
                Effect::Append { room, draft, .. } => self.append(room, draft),
                Effect::Change { to, event, .. } => {
                    if let (Some(to), Some(event)) = (to, event) {
                        self.seen.push((to, Seen::Event(event)));
                    }
                }
                Effect::Notice {
                    room,
                    event,
                    except,
                } => {
                    for id in self
                        .chat
                        .live(room)
                        .iter()
                        .filter(|id| Some(**id) != except)
                    {
                        self.seen.push((*id, Seen::Event(event.clone())));
                    }
                }
                Effect::Reply { to, event }
                | Effect::Tell { to, event }
                | Effect::Ended { to, event, .. } => {
                    self.seen.push((to, Seen::Event(event)));
                }
                Effect::Vacate { room, by, reason } => {
                    self.after(|chat, _, effects| chat.vacate(room, &by, &reason, effects));
                }
                Effect::WrongToken { .. } | Effect::ReadAudit { .. } | Effect::Purge { .. } => {}
                // Every message that is reported is one of Dan's.
                Effect::Report {
                    from,
                    room,
                    of,
                    reason,
                } => self.after(|chat, now, effects| {
                    let message = (of, "dan", "words");
                    chat.has_reported((from, room), message, &reason, now.into(), effects);
                }),
                Effect::Enforce { room, ban } => {
                    for id in self.chat.users_under(&ban.subject) {
                        self.after(|chat, now, effects| chat.expel(id, room, now.into(), effects));
                    }
                }
                Effect::RoomIsEmpty { room } => {
                    assert_eq!(self.chat.members(room), []);
                    for place in &mut self.rooms {
                        place.take_if(|(_, id)| *id == room);
                    }
                }
                Effect::Close { id, why } => {
                    self.after(|chat, now, effects| chat.exit(id, now, effects));
                    self.closed.push((id, why));
                }
            }
        }
    }

    /// An engine that orders at once.
    fn append(&mut self, room: RoomId, draft: Draft) {
        let live = self.chat.live(room).to_vec();
        let mut effects = Effects::new();
        let entry = draft.numbered(Seq(1), Millis(0));
        self.chat.ordered(room, &entry, &mut effects);
        if !self.chat.changes_members(&draft.content) {
            assert_eq!(self.chat.live(room), live);
        }
        for id in self.chat.live(room) {
            self.seen.push((*id, Seen::Entry(draft.clone())));
        }
        self.carry_out(effects);
    }

    /// The room of a name, as the log would open it.
    fn room(&mut self, name: &str) -> RoomId {
        let has_name = |(known, _): &&(SmolStr, RoomId)| known == name;
        if let Some((_, room)) = self.rooms.iter().flatten().find(has_name) {
            return *room;
        }
        let vacant = self.rooms.iter().position(Option::is_none);
        let slot = vacant.unwrap_or_else(|| {
            self.rooms.push(None);
            self.rooms.len() - 1
        });
        self.generation += 1;
        let room = RoomId::new(slot as u32, self.generation);
        self.rooms[slot] = Some((name.into(), room));
        room
    }

    fn enters(&mut self, id: ConnId, nick: Option<&str>) {
        self.after(|chat, now, effects| {
            let refused = chat.enter(id, nick, 0, now);
            effects.extend(refused.map(|why| refuse(id, why)));
        });
    }

    fn joins_room(&mut self, id: ConnId, name: &str) {
        let room = self.room(name);
        self.after(|chat, now, effects| {
            if let Ok(welcome) = chat.join(id, room, &name.into(), now, effects) {
                effects.insert(0, tell(id, welcome));
            }
        });
    }

    /// Enters and joins at once, as with a room in the path.
    fn comes(&mut self, id: ConnId, room: &str, nick: Option<&str>) {
        self.enters(id, nick);
        self.joins_room(id, room);
    }

    fn joins(&mut self, id: ConnId, nick: &str) {
        self.comes(id, "lobby", Some(nick));
    }

    fn asks(&mut self, id: ConnId, command: Command<'_>) {
        self.asks_in(id, None, command);
    }

    fn asks_in(&mut self, id: ConnId, room: Option<&str>, command: Command<'_>) {
        self.after(|chat, now, effects| {
            chat.handle(id, room, command, now, effects);
        });
    }

    fn says(&mut self, id: ConnId, words: &str) {
        self.asks(id, say(words));
    }

    fn says_in(&mut self, id: ConnId, room: &str, words: &str) {
        self.asks_in(id, Some(room), say(words));
    }

    fn leaves(&mut self, id: ConnId) {
        self.after(|chat, now, effects| chat.exit(id, now, effects));
    }

    fn leaves_room(&mut self, id: ConnId, name: &str) {
        let room = self.room(name);
        self.after(|chat, now, effects| chat.leave(id, room, now, effects));
    }

    fn passes(&mut self, ticks: u32) {
        self.now = self.now + ticks;
        while self.chat.next_tick().is_some_and(|due| due <= self.now) {
            self.after(Chat::tick);
        }
    }

    fn heard(&mut self, id: ConnId) -> Vec<Seen> {
        let (heard, rest) = std::mem::take(&mut self.seen)
            .into_iter()
            .partition(|(to, _)| *to == id);
        self.seen = rest;
        heard
            .into_iter()
            .map(|(_, seen): (ConnId, Seen)| seen)
            .collect()
    }

    fn forget(&mut self) {
        self.seen.clear();
    }

    fn nick(&self, id: ConnId) -> &str {
        self.chat.nick_of(id).map_or("", Nick::as_str)
    }
}

fn lobby() -> Scene {
    Scene::new(&Settings {
        operator_token: Some(String::from("secret")),
        ..Settings::default()
    })
}

/// Ann and Bob are in the lobby, and the scene has looked at what they saw so far.
fn ann_and_bob() -> Scene {
    let mut scene = lobby();
    scene.joins(ANN, "ann");
    scene.joins(BOB, "bob");
    scene.forget();
    scene
}

fn nick(text: &str) -> Nick {
    Nick::parse(text).expect("a nick")
}

const fn say(text: &str) -> Command<'_> {
    Command::Say {
        manner: Manner::Message,
        text,
        reply_to: None,
    }
}

fn said(by: &str, text: &str) -> Draft {
    Draft {
        nick: by.into(),
        content: Content::said(Manner::Message, text.to_owned(), None, Author::Unknown),
    }
}

fn kicked(name: &str, by: &str, reason: &str) -> Draft {
    Draft {
        nick: name.into(),
        content: Content::Kicked {
            by: by.to_owned(),
            reason: reason.to_owned(),
        },
    }
}

fn refused(why: Refused) -> Vec<Event> {
    vec![Event::Refused(why)]
}

#[test]
fn a_new_member_is_welcomed_and_announced_to_the_others() {
    let mut scene = lobby();
    scene.joins(ANN, "ann");
    scene.joins(BOB, "bob");
    let welcome = |nick, present| Event::Welcome {
        room: "lobby".into(),
        nick,
        present,
        accounts: vec![],
        more: 0,
    };
    assert_eq!(
        scene.heard(ANN),
        [
            welcome(nick("ann"), vec![]),
            Event::Joined {
                room: "lobby".into(),
                nick: nick("bob"),
                has_account: false
            }
        ]
    );
    assert_eq!(scene.heard(BOB), [welcome(nick("bob"), vec![nick("ann")])]);
}

#[test]
fn a_welcome_names_twenty_members_and_counts_the_rest() {
    let mut scene = lobby();
    for slot in 0..25 {
        scene.comes(ConnId::new(slot, 0), "lobby", None);
    }
    scene.forget();
    scene.joins(ConnId::new(99, 0), "ann");
    let Some(Seen::Event(Event::Welcome { present, more, .. })) =
        scene.heard(ConnId::new(99, 0)).pop()
    else {
        panic!("no welcome");
    };
    assert_eq!((present.len(), more), (PRESENT_MAX, 5));
}

#[test]
fn a_message_reaches_every_member_of_the_room_and_its_sender() {
    let mut scene = ann_and_bob();
    scene.comes(CAT, "attic", Some("cat"));
    scene.forget();
    scene.says(ANN, "hello");
    assert_eq!(scene.heard(ANN), [said("ann", "hello")]);
    assert_eq!(scene.heard(BOB), [said("ann", "hello")]);
    assert_eq!(scene.heard(CAT), NOTHING);
}

#[test]
fn a_message_of_control_characters_is_refused() {
    let mut scene = ann_and_bob();
    scene.says(ANN, "\u{7}\u{1b}");
    assert_eq!(scene.heard(ANN), refused(Refused::EmptyMessage));
    assert_eq!(scene.heard(BOB), NOTHING);
}

#[test]
fn a_first_nick_that_is_taken_is_replaced_by_a_made_up_one_with_the_reason() {
    let mut scene = lobby();
    scene.joins(ANN, "ann");
    scene.joins(BOB, "ANN");
    let kept = scene.nick(BOB).to_owned();
    assert!(kept.starts_with("guest-") && kept.len() == 10, "{kept}");
    let why = Refused::Nick {
        wanted: String::from("ANN"),
        why: NickRefused::Taken,
        kept: nick(&kept),
    };
    assert_eq!(scene.heard(BOB)[..1], refused(why));
}

#[test]
fn a_nick_is_unique_over_all_rooms() {
    let mut scene = lobby();
    scene.joins(ANN, "ann");
    scene.comes(BOB, "attic", Some("ann"));
    assert_ne!(scene.nick(BOB), "ann");
}

#[test]
fn a_new_nick_is_reported_to_the_room_and_the_old_one_is_free() {
    let mut scene = ann_and_bob();
    scene.asks(ANN, Command::Nick("anna"));
    let renamed = Event::Renamed {
        room: "lobby".into(),
        old: nick("ann"),
        new: nick("anna"),
    };
    assert_eq!(scene.heard(ANN), std::slice::from_ref(&renamed));
    assert_eq!(scene.heard(BOB), [renamed]);
    scene.asks(BOB, Command::Nick("ann"));
    assert_eq!(scene.nick(BOB), "ann");
}

#[test]
fn a_member_can_change_the_spelling_of_their_nick() {
    let mut scene = ann_and_bob();
    scene.asks(ANN, Command::Nick("Ann"));
    assert_eq!(scene.nick(ANN), "Ann");
    scene.forget();
    scene.asks(ANN, Command::Nick("Ann"));
    assert_eq!(scene.heard(BOB), NOTHING);
}

#[test]
fn a_nick_that_is_taken_is_refused_to_the_asking_member_alone() {
    let mut scene = ann_and_bob();
    scene.asks(ANN, Command::Nick("bob"));
    let why = Refused::Nick {
        wanted: String::from("bob"),
        why: NickRefused::Taken,
        kept: nick("ann"),
    };
    assert_eq!(scene.heard(ANN), refused(why));
    assert_eq!(scene.heard(BOB), NOTHING);
}

/// A Greek capital eta is a Latin H to the eye, though a small eta is no h.
#[test]
fn a_nick_in_capitals_that_look_like_those_of_another_is_taken() {
    let mut scene = lobby();
    scene.joins(ANN, "HANS");
    scene.joins(BOB, "\u{397}ANS");
    assert!(scene.nick(BOB).starts_with("guest-"));
    scene.asks(BOB, Command::Nick("\u{397}anna"));
    assert_eq!(scene.nick(BOB), "\u{397}anna");
    scene.asks(ANN, Command::Nick("Hanna"));
    assert_eq!(scene.nick(ANN), "HANS");
    scene.asks(ANN, Command::Nick("\u{3b7}anna"));
    assert_eq!(scene.nick(ANN), "HANS");
    scene.asks(BOB, Command::Nick("bob"));
    scene.asks(ANN, Command::Nick("Hanna"));
    assert_eq!(scene.nick(ANN), "Hanna");
}

#[test]
fn made_up_nicks_do_not_run_out() {
    const COUNT: u32 = if cfg!(miri) { 30 } else { 70_000 };
    let mut chat = Chat::new(&Settings::default(), 5);
    for slot in 0..COUNT {
        assert_eq!(chat.enter(ConnId::new(slot, 0), None, 0, Tick(0)), None);
    }
    chat.check_invariants();
    assert_eq!(chat.user_count(), COUNT as usize);
}

#[test]
fn a_leave_is_reported_once() {
    let mut scene = ann_and_bob();
    scene.leaves(BOB);
    scene.leaves(BOB);
    assert_eq!(
        scene.heard(ANN),
        [Event::Left {
            room: "lobby".into(),
            nick: nick("bob"),
            word: String::new()
        }]
    );
    assert_eq!(scene.heard(BOB), NOTHING);
}

#[test]
fn the_last_word_of_a_member_is_reported_with_the_leave() {
    let mut scene = ann_and_bob();
    scene.asks(BOB, Command::Quit("good night"));
    let word = String::from("good night");
    assert_eq!(
        scene.heard(ANN),
        [Event::Left {
            room: "lobby".into(),
            nick: nick("bob"),
            word
        }]
    );
    assert_eq!(scene.closed, [(BOB, Farewell::Quit)]);
}

#[test]
fn a_room_is_gone_with_its_last_member() {
    let mut scene = ann_and_bob();
    scene.comes(CAT, "attic", None);
    assert_eq!(scene.chat.room_count(), 2);
    scene.leaves(CAT);
    assert_eq!(scene.chat.room_count(), 1);
}

#[test]
fn the_former_owner_of_a_slot_is_no_member() {
    let mut scene = lobby();
    scene.joins(ANN, "ann");
    scene.leaves(ANN);
    let next = ConnId::new(ANN.slot(), ANN.generation() + 1);
    scene.joins(next, "eve");
    scene.forget();
    scene.says(ANN, "still here?");
    scene.leaves(ANN);
    assert!(scene.chat.is_user(next));
    assert_eq!(scene.heard(next), NOTHING);
}

#[test]
fn lists_of_members_and_rooms_are_sent_to_the_asking_member_alone() {
    let mut scene = ann_and_bob();
    scene.asks(ANN, Command::Who(None));
    scene.asks(ANN, Command::Rooms(None));
    let members = vec![nick("ann"), nick("bob")];
    assert_eq!(
        scene.heard(ANN),
        [
            Event::Who {
                room: "lobby".into(),
                members,
                accounts: vec![],
                more: 0
            },
            Event::Rooms {
                rooms: vec![("lobby".into(), 2)],
                more: 0
            }
        ]
    );
    assert_eq!(scene.heard(BOB), NOTHING);
}

#[test]
fn an_unknown_command_is_answered_to_its_sender_alone() {
    let mut scene = ann_and_bob();
    scene.asks(ANN, Command::Unknown { name: "dance" });
    assert_eq!(
        scene.heard(ANN),
        refused(Refused::UnknownCommand {
            name: String::from("dance")
        })
    );
    assert_eq!(scene.heard(BOB), NOTHING);
}

#[test]
fn the_right_token_makes_an_operator_and_a_wrong_one_does_not() {
    let mut scene = ann_and_bob();
    for token in ["", "secre", "secret2", "SECRET"] {
        scene.asks(ANN, Command::Op { token });
        assert_eq!(scene.heard(ANN), refused(Refused::WrongToken));
    }
    scene.asks(
        ANN,
        Command::Kick {
            nick: "bob",
            reason: "",
        },
    );
    assert_eq!(scene.heard(ANN), refused(Refused::NotOperator));
    scene.asks(ANN, Command::Op { token: "secret" });
    assert_eq!(scene.heard(ANN), [Event::YouAreOperator]);
}

#[test]
fn without_a_token_no_member_becomes_an_operator() {
    let mut scene = Scene::new(&Settings::default());
    scene.joins(ANN, "ann");
    scene.forget();
    scene.asks(ANN, Command::Op { token: "" });
    assert_eq!(scene.heard(ANN), refused(Refused::WrongToken));
}

#[test]
fn the_reason_of_a_kick_is_the_last_line_of_the_kicked_member_and_reported_to_the_room() {
    let mut scene = ann_and_bob();
    scene.asks(ANN, Command::Op { token: "secret" });
    scene.forget();
    scene.asks(
        ANN,
        Command::Kick {
            nick: "BOB",
            reason: "too loud",
        },
    );
    let reason = String::from("too loud");
    let by = SmolStr::new("ann");
    assert_eq!(
        scene.heard(BOB),
        [Event::YouWereKicked {
            room: "lobby".into(),
            by,
            reason: reason.clone()
        }]
    );
    assert_eq!(scene.heard(ANN), [kicked("bob", "ann", "too loud")]);
    assert_eq!(scene.closed, [(BOB, Farewell::Kicked { reason })]);
    scene.says(ANN, "quiet now");
    scene.leaves(BOB);
    assert_eq!(scene.heard(BOB), NOTHING);
    assert_eq!(scene.heard(ANN), [said("ann", "quiet now")]);
}

#[test]
fn only_a_member_of_the_same_room_can_be_kicked() {
    let mut scene = ann_and_bob();
    scene.comes(CAT, "attic", Some("cat"));
    scene.asks(ANN, Command::Op { token: "secret" });
    scene.forget();
    for name in ["cat", "dan", "not a nick"] {
        scene.asks(
            ANN,
            Command::Kick {
                nick: name,
                reason: "",
            },
        );
        assert_eq!(
            scene.heard(ANN),
            refused(Refused::NoSuchMember {
                nick: String::from(name)
            })
        );
    }
    assert!(scene.chat.is_user(CAT));
}

/// The numbers in made-up nicks are bits of a generator without secrets: enough of them give away
/// its first state. That state must not be the seed, from which a client could compute nicks that
/// all fall into one place of the table.
#[test]
fn made_up_nicks_do_not_reveal_the_seed() {
    const SEED: u64 = 0x0123_4567_89AB_CDEF;
    let mut chat = Chat::new(&Settings::default(), SEED);
    let mut seen = Vec::new();
    for slot in 0..12 {
        let id = ConnId::new(slot, 0);
        assert_eq!(chat.enter(id, None, 0, Tick(0)), None);
        let nick = chat.nick_of(id).expect("a member").as_str();
        let number = nick.strip_prefix("guest-").expect("a made-up nick");
        seen.push(u64::from_str_radix(number, 16).expect("digits"));
    }
    assert_ne!(first_state(&seen) | 1, SEED | 1);
}

/// The state of an xorshift generator before it gave numbers of which these are the last 16 bits:
/// each bit is a sum of bits of the state, so this is a system of linear equations.
fn first_state(seen: &[u64]) -> u64 {
    let next = |mut state: u64| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^ state << 17
    };
    // One equation for each bit seen: which bits of the state add up to it, and to what.
    let mut equations = Vec::new();
    let mut units: Vec<u64> = (0..64).map(|bit| 1 << bit).collect();
    for number in seen {
        for unit in &mut units {
            *unit = next(*unit);
        }
        for bit in 0..16 {
            let of_unit = |(at, unit): (usize, &u64)| (unit >> bit & 1) << at;
            let sum: u64 = units.iter().enumerate().map(of_unit).sum();
            equations.push((sum, number >> bit & 1));
        }
    }
    let mut solved: Vec<(u32, u64, u64)> = Vec::new();
    for (mut bits, mut sum) in equations {
        for (pivot, other, value) in &solved {
            if bits >> pivot & 1 == 1 {
                bits ^= other;
                sum ^= value;
            }
        }
        if bits != 0 {
            solved.push((bits.trailing_zeros(), bits, sum));
        }
    }
    let mut state = 0_u64;
    for (pivot, bits, sum) in solved.into_iter().rev() {
        let rest = u64::from((bits & state).count_ones());
        state |= ((rest & 1) ^ sum) << pivot;
    }
    state
}

#[test]
fn a_member_above_the_rate_is_asked_once_to_slow_down() {
    let mut scene = Scene::new(&Settings {
        message_rate: 1,
        message_burst: 3,
        ..Settings::default()
    });
    scene.joins(ANN, "ann");
    scene.forget();
    for _ in 0..10 {
        scene.says(ANN, "spam");
    }
    let heard = scene.heard(ANN);
    assert_eq!(heard.len(), 4);
    assert_eq!(
        heard[3..],
        refused(Refused::TooFast {
            messages_per_second: 1
        })
    );
    scene.passes(10);
    for _ in 0..5 {
        scene.says(ANN, "spam");
    }
    assert_eq!(scene.heard(ANN).len(), 2);
}

#[test]
fn leaving_is_possible_above_the_rate() {
    let mut scene = Scene::new(&Settings {
        message_rate: 1,
        message_burst: 1,
        ..Settings::default()
    });
    scene.joins(ANN, "ann");
    scene.says(ANN, "one");
    scene.says(ANN, "two");
    scene.asks(ANN, Command::Quit(""));
    assert_eq!(scene.closed, [(ANN, Farewell::Quit)]);
}

#[test]
fn in_a_large_room_joins_and_leaves_are_summed_up() {
    let mut scene = Scene::new(&Settings {
        notice_members: 2,
        ..Settings::default()
    });
    scene.joins(ANN, "ann");
    scene.joins(BOB, "bob");
    scene.forget();
    for slot in 10..60 {
        scene.comes(ConnId::new(slot, 0), "lobby", None);
    }
    for slot in 10..20 {
        scene.leaves(ConnId::new(slot, 0));
    }
    assert_eq!(scene.heard(ANN), NOTHING);
    scene.passes(30);
    assert_eq!(
        scene.heard(ANN),
        [Event::Summed {
            room: "lobby".into(),
            joined: 50,
            left: 10
        }]
    );
    scene.passes(300);
    assert_eq!(scene.heard(ANN), NOTHING);
}

#[test]
fn sums_are_reported_once_an_interval_at_most() {
    let mut scene = Scene::new(&Settings {
        notice_members: 0,
        ..Settings::default()
    });
    scene.joins(ANN, "ann");
    scene.forget();
    for slot in 0..300 {
        scene.comes(ConnId::new(10 + slot, 0), "lobby", None);
        scene.passes(1);
    }
    let sums = scene.heard(ANN).len();
    assert!((9..=11).contains(&sums), "{sums} sums in 30 seconds");
}

#[test]
fn frequent_joins_and_leaves_are_summed_up_even_in_a_small_room() {
    let mut scene = lobby();
    scene.joins(ANN, "ann");
    scene.forget();
    for _ in 0..100 {
        scene.joins(BOB, "bob");
        scene.leaves(BOB);
    }
    scene.passes(30);
    let heard = scene.heard(ANN);
    assert!(heard.len() <= 21, "{} lines", heard.len());
    assert!(matches!(
        heard.last(),
        Some(Seen::Event(Event::Summed { .. }))
    ));
}

/// Many members, random commands: the tables agree after every step, and a connection that is no
/// member sees nothing.
#[test]
fn tables_agree_after_every_step_of_random_members() {
    let settings = Settings {
        notice_members: 3,
        message_rate: 0,
        operator_token: Some(String::from("secret")),
        ..Settings::default()
    };
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut chance = move |limit: u32| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 33) as u32 % limit
    };
    let mut scene = Scene::new(&settings);
    let mut present: Vec<ConnId> = Vec::new();
    for step in 0..if cfg!(miri) { 200 } else { 20_000 } {
        let slot = chance(12);
        let name = format!("n{}", chance(8));
        let inside = present.iter().copied().find(|id| id.slot() == slot);
        match (inside, chance(12)) {
            (None, _) => {
                let id = ConnId::new(slot, step);
                scene.comes(id, ["lobby", "attic"][chance(2) as usize], Some(&name));
                present.push(id);
            }
            (Some(id), 0) => {
                scene.leaves(id);
                present.retain(|other| *other != id);
            }
            (Some(id), 1) => scene.asks(id, Command::Nick(&name)),
            (Some(id), 2) => scene.asks(id, Command::Op { token: "secret" }),
            (Some(id), 3) => scene.asks(
                id,
                Command::Kick {
                    nick: &name,
                    reason: "",
                },
            ),
            (Some(id), 4) => scene.asks(id, Command::Quit("")),
            (Some(id), 5) => scene.asks(id, Command::Who(None)),
            (Some(_), 6) => scene.passes(chance(20)),
            (Some(id), _) => scene.says(id, "x"),
        }
        for (id, _) in scene.closed.drain(..) {
            present.retain(|other| *other != id);
        }
        for id in &present {
            assert!(scene.chat.is_user(*id), "step {step}");
        }
        assert_eq!(scene.chat.user_count(), present.len(), "step {step}");
        for (to, seen) in scene.seen.drain(..) {
            let is_last = matches!(seen, Seen::Event(Event::YouWereKicked { .. }));
            assert!(
                is_last || present.contains(&to),
                "step {step}: {seen:?} to {to:?}, which has no user"
            );
        }
    }
}

#[test]
fn an_action_reaches_every_member_of_the_room() {
    let mut scene = ann_and_bob();
    scene.asks(
        ANN,
        Command::Say {
            manner: Manner::Action,
            text: "waves",
            reply_to: None,
        },
    );
    let acted = || Draft {
        nick: "ann".into(),
        content: Content::said(Manner::Action, String::from("waves"), None, Author::Unknown),
    };
    assert_eq!(scene.heard(ANN), [acted()]);
    assert_eq!(scene.heard(BOB), [acted()]);
}

#[test]
fn a_connection_is_a_member_from_join_to_leave() {
    let mut scene = ann_and_bob();
    assert!(scene.chat.is_user(ANN));
    assert!(!scene.chat.is_user(CAT));
    let former = ConnId::new(ANN.slot(), ANN.generation() + 1);
    assert!(
        !scene.chat.is_user(former),
        "another generation of the slot"
    );
    scene.leaves(ANN);
    assert!(!scene.chat.is_user(ANN));
}

#[test]
fn made_up_nicks_follow_from_the_seed_and_differ_between_seeds() {
    let made_up = |seed: u64| {
        let mut chat = Chat::new(&Settings::default(), seed);
        assert_eq!(chat.enter(ANN, None, 0, Tick(0)), None);
        chat.nick_of(ANN).expect("a member").clone()
    };
    let nicks: Vec<Nick> = [1, 3, 5, 7].map(made_up).to_vec();
    assert_eq!(made_up(1), nicks[0]);
    for (index, nick) in nicks.iter().enumerate() {
        assert!(!nicks[..index].contains(nick), "{nick} came twice");
    }
}

/// Ann is in the lobby and the attic, Bob in the lobby, and Cat in the attic.
fn two_rooms() -> Scene {
    let mut scene = ann_and_bob();
    scene.comes(CAT, "attic", Some("cat"));
    scene.joins_room(ANN, "attic");
    scene.forget();
    scene
}

#[test]
fn user_without_a_room_has_a_nick_and_hears_nothing() {
    let mut scene = ann_and_bob();
    scene.enters(CAT, Some("cat"));
    assert_eq!((scene.nick(CAT), scene.chat.user_count()), ("cat", 3));
    scene.says(ANN, "hello");
    assert_eq!(scene.heard(CAT), NOTHING);
    scene.asks(CAT, Command::Nick("kit"));
    assert_eq!(scene.nick(CAT), "kit");
    scene.says(CAT, "hello?");
    assert_eq!(scene.heard(CAT), refused(Refused::NotAMember));
}

#[test]
fn user_speaks_in_the_room_that_the_request_names() {
    let mut scene = two_rooms();
    scene.says_in(ANN, "attic", "up here");
    scene.says_in(ANN, "LOBBY", "down here");
    assert_eq!(scene.heard(CAT), [said("ann", "up here")]);
    assert_eq!(scene.heard(BOB), [said("ann", "down here")]);
    for room in [Some("cellar"), None] {
        scene.forget();
        scene.asks_in(ANN, room, say("where?"));
        assert_eq!(scene.heard(ANN), refused(Refused::NotAMember));
        assert_eq!(scene.heard(BOB), NOTHING);
    }
}

#[test]
fn user_leaves_one_room_and_stays_in_the_other() {
    let mut scene = two_rooms();
    scene.leaves_room(ANN, "lobby");
    let left = Event::Left {
        room: "lobby".into(),
        nick: nick("ann"),
        word: String::new(),
    };
    assert_eq!(scene.heard(BOB), [left]);
    assert_eq!(scene.heard(CAT), NOTHING);
    scene.says(BOB, "gone");
    assert_eq!(scene.heard(ANN), NOTHING);
    scene.says(CAT, "here");
    assert_eq!(scene.heard(ANN), [said("cat", "here")]);
}

#[test]
fn every_room_of_a_user_sees_a_new_nick_and_the_end() {
    let mut scene = two_rooms();
    scene.asks(ANN, Command::Nick("anna"));
    scene.asks(ANN, Command::Quit("bye"));
    for (id, room) in [(BOB, "lobby"), (CAT, "attic")] {
        let renamed = Event::Renamed {
            room: room.into(),
            old: nick("ann"),
            new: nick("anna"),
        };
        let left = Event::Left {
            room: room.into(),
            nick: nick("anna"),
            word: String::from("bye"),
        };
        assert_eq!(scene.heard(id), [renamed, left]);
    }
    assert!(!scene.chat.is_user(ANN));
}

#[test]
fn kicked_member_of_several_rooms_leaves_one_and_stays_connected() {
    let mut scene = two_rooms();
    scene.asks(CAT, Command::Op { token: "secret" });
    scene.forget();
    let kick = Command::Kick {
        nick: "ann",
        reason: "loud",
    };
    scene.asks(CAT, kick);
    let own = Event::YouWereKicked {
        room: "attic".into(),
        by: "cat".into(),
        reason: String::from("loud"),
    };
    assert_eq!(scene.heard(ANN), [own]);
    assert_eq!(scene.heard(CAT), [kicked("ann", "cat", "loud")]);
    assert_eq!(scene.heard(BOB), NOTHING);
    assert_eq!(scene.closed, []);
    scene.says(BOB, "still here?");
    assert_eq!(scene.heard(ANN), [said("bob", "still here?")]);
}

#[test]
fn kick_of_a_member_that_is_gone_or_has_another_nick_changes_nothing() {
    let mut scene = ann_and_bob();
    let room = scene.room("lobby");
    let draft = kicked("bob", "ann", "");
    scene.asks(BOB, Command::Nick("BOB"));
    scene.forget();
    scene.append(room, draft.clone());
    assert!(scene.chat.is_member(BOB, room));
    scene.leaves(BOB);
    scene.append(room, draft);
    assert_eq!((scene.chat.user_count(), &scene.closed[..]), (1, &[][..]));
}

#[test]
fn user_is_in_as_many_rooms_as_allowed_and_in_no_more() {
    let mut scene = Scene::new(&Settings {
        rooms_per_connection: 2,
        ..Settings::default()
    });
    scene.comes(ANN, "one", Some("ann"));
    scene.joins_room(ANN, "two");
    scene.forget();
    let rooms = ["two", "three"].map(|name| scene.room(name));
    let mut join = |room| {
        let mut effects = Effects::new();
        let joined = scene
            .chat
            .join(ANN, room, &"x".into(), Tick(0), &mut effects);
        assert_eq!(effects, []);
        joined
    };
    assert_eq!(join(rooms[0]), Err(JoinRefused::IsMember));
    assert_eq!(join(rooms[1]), Err(JoinRefused::TooManyRooms { max: 2 }));
    assert_eq!(scene.chat.room_count(), 2);
    scene.chat.check_invariants();
}

#[test]
fn member_that_is_behind_sees_nothing_until_it_is_live() {
    let mut scene = two_rooms();
    let (lobby, attic) = (scene.room("lobby"), scene.room("attic"));
    let epoch = scene.chat.room_epoch(lobby);
    scene.after(|chat, _, _| chat.falls_behind(ANN, lobby));
    assert_ne!(scene.chat.room_epoch(lobby), epoch);
    assert!(!scene.chat.is_live(ANN, lobby) && scene.chat.is_live(ANN, attic));
    assert_eq!(scene.chat.members(lobby).len(), 2);
    scene.says(BOB, "one");
    scene.says(CAT, "two");
    assert_eq!(scene.heard(ANN), [said("cat", "two")]);
    let epoch = scene.chat.room_epoch(lobby);
    scene.after(|chat, _, _| chat.falls_behind(ANN, lobby));
    assert_eq!(scene.chat.room_epoch(lobby), epoch, "it is behind already");
    scene.after(|chat, _, _| chat.becomes_live(ANN, lobby));
    scene.says(BOB, "three");
    assert_eq!(scene.heard(ANN), [said("bob", "three")]);
}

#[test]
fn epoch_of_a_room_is_its_own_and_changes_with_its_live_members() {
    let mut scene = two_rooms();
    let (lobby, attic) = (scene.room("lobby"), scene.room("attic"));
    let before = scene.chat.room_epoch(lobby);
    scene.leaves_room(ANN, "attic");
    assert_eq!(scene.chat.room_epoch(lobby), before);
    scene.leaves(CAT);
    assert_eq!(scene.chat.room_epoch(attic), 0);
    scene.leaves(BOB);
    assert!(scene.chat.room_epoch(lobby) > before);
}

#[test]
fn others_see_once_a_second_that_a_member_is_writing() {
    let mut scene = ann_and_bob();
    let typing = || Event::Typing {
        room: "lobby".into(),
        nick: nick("ann"),
    };
    for _ in 0..3 {
        scene.asks(ANN, Command::Typing);
        scene.passes(5);
    }
    assert_eq!(scene.heard(BOB), [typing(), typing()]);
    assert_eq!(scene.heard(ANN), NOTHING);
}

#[test]
fn nothing_is_shown_of_writing_in_a_large_room() {
    let mut scene = Scene::new(&Settings {
        notice_members: 1,
        ..Settings::default()
    });
    scene.joins(ANN, "ann");
    scene.joins(BOB, "bob");
    scene.forget();
    scene.asks(ANN, Command::Typing);
    assert_eq!(scene.heard(BOB), NOTHING);
}

#[test]
fn pages_of_members_and_rooms_are_in_order_and_meet() {
    let mut scene = lobby();
    for (slot, name) in ["dan", "ann", "cat", "eve", "bob"].into_iter().enumerate() {
        let id = ConnId::new(slot as u32, 0);
        scene.joins(id, name);
        scene.joins_room(id, &format!("r-{name}"));
    }
    let mut listed = [Vec::new(), Vec::new()];
    let asking = ConnId::new(0, 0);
    for (list, rooms) in listed.iter_mut().zip([false, true]) {
        loop {
            scene.forget();
            let after = list.last().cloned();
            let page = Some(Page {
                after: after.as_deref(),
                limit: 2,
            });
            let command = if rooms {
                Command::Rooms(page)
            } else {
                Command::Who(page)
            };
            scene.asks_in(asking, Some("lobby"), command);
            let (names, more): (Vec<String>, u32) = match scene.heard(asking).pop() {
                Some(Seen::Event(Event::Who { members, more, .. })) => (
                    members.iter().map(|n| n.as_str().to_owned()).collect(),
                    more,
                ),
                Some(Seen::Event(Event::Rooms { rooms, more })) => (
                    rooms.iter().map(|(name, _)| name.to_string()).collect(),
                    more,
                ),
                other => panic!("{other:?}"),
            };
            assert!(names.len() <= 2);
            list.extend(names);
            let all = if rooms { 6 } else { 5 };
            assert_eq!(list.len() + more as usize, all);
            if more == 0 {
                break;
            }
        }
    }
    assert_eq!(listed[0], ["ann", "bob", "cat", "dan", "eve"]);
    let rooms = ["lobby", "r-ann", "r-bob", "r-cat", "r-dan", "r-eve"];
    assert_eq!(listed[1], rooms);
}

#[test]
#[should_panic(expected = "users are counted")]
fn a_wrong_count_of_members_is_detected() {
    let mut scene = ann_and_bob();
    scene.chat.user_count = 3;
    scene.chat.check_invariants();
}

#[test]
fn words_that_are_too_long_when_rendered_are_refused_to_their_sender_alone() {
    let mut scene = ann_and_bob();
    scene.asks(ANN, Command::TooLong);
    assert_eq!(scene.heard(ANN), refused(Refused::TooLong));
    assert_eq!(scene.heard(BOB), NOTHING);
}

#[test]
fn refused_words_count_for_the_rate() {
    let mut scene = Scene::new(&Settings {
        message_rate: 1,
        message_burst: 1,
        ..Settings::default()
    });
    scene.joins(ANN, "ann");
    scene.asks(ANN, Command::TooLong);
    scene.forget();
    scene.says(ANN, "hello");
    assert!(matches!(
        scene.heard(ANN)[..],
        [Seen::Event(Event::Refused(Refused::TooFast { .. }))]
    ));
}

/// A hundred members in a room, and a crowd of which each has a room of its own.
fn crowd(size: u32) -> Scene {
    let mut scene = lobby();
    let mut effects = Effects::new();
    for slot in 0..100 + size {
        let id = ConnId::new(slot, 0);
        let name = if slot < 100 {
            SmolStr::new("lobby")
        } else {
            format!("room{slot}").into()
        };
        let room = RoomId::new(slot.saturating_sub(99), 0);
        assert_eq!(scene.chat.enter(id, None, 0, Tick(0)), None);
        assert!(
            scene
                .chat
                .join(id, room, &name, Tick(0), &mut effects)
                .is_ok()
        );
        effects.clear();
    }
    scene.rooms.push(Some(("lobby".into(), RoomId::new(0, 0))));
    scene
}

fn leave_without_checks(scene: &mut Scene, slots: impl Iterator<Item = u32>) {
    let mut effects = Effects::new();
    for slot in slots {
        scene.chat.exit(ConnId::new(slot, 0), Tick(0), &mut effects);
        effects.clear();
    }
}

/// What the tables take, in entries.
fn capacities(chat: &Chat) -> [usize; 3] {
    [
        chat.users.capacity(),
        chat.rooms.capacity(),
        chat.summing.capacity(),
    ]
}

const CROWD: u32 = if cfg!(miri) { 300 } else { 15_000 };

#[test]
fn after_a_crowd_has_left_its_memory_is_given_back() {
    let mut scene = crowd(CROWD);
    assert!(!scene.chat.has_slack());
    leave_without_checks(&mut scene, 100..100 + CROWD);
    assert!(scene.chat.has_slack());
    scene.chat.shrink();
    assert!(!scene.chat.has_slack());
    let [users, rooms, summing] = capacities(&scene.chat);
    assert!(
        users <= 128 && rooms <= 4 && summing <= 4,
        "{:?}",
        capacities(&scene.chat)
    );
    scene.chat.check_invariants();
    // The first hundred are members as before.
    scene.says(ConnId::new(99, 0), "gone");
    assert_eq!(scene.seen.len(), 100);
    scene.joins(ConnId::new(200, 1), "new");
}

#[test]
fn a_member_in_a_high_slot_keeps_its_slot_when_memory_is_given_back() {
    let mut scene = crowd(CROWD);
    let last = 100 + CROWD - 1;
    leave_without_checks(&mut scene, 0..last);
    scene.chat.shrink();
    scene.chat.check_invariants();
    assert!(scene.chat.is_user(ConnId::new(last, 0)));
    scene.says(ConnId::new(last, 0), "alone");
    assert_eq!(scene.seen.len(), 1);
    scene.leaves(ConnId::new(last, 0));
    scene.chat.shrink();
    assert_eq!(capacities(&scene.chat), [0; 3]);
}

#[test]
fn a_few_leaves_leave_no_slack() {
    let mut scene = lobby();
    for round in 0..DEPARTED_MIN as u32 {
        scene.comes(ConnId::new(0, round), "lobby", None);
        scene.leaves(ConnId::new(0, round));
        assert!(!scene.chat.has_slack());
    }
}

mod accounts;
