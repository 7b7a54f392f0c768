//! Direct conversations as scenes: who may write to whom, what each calls it, when it ends.

use super::order::{account, facts};
use super::*;
use crate::chat::registry::{Change, Conversation, Fact, SanctionKind, Snapshot};

const NOON: Millis = Millis(1_795_694_400_000);
/// In which no other room of the scenes is.
const LETTERS: RoomId = RoomId::new(9, 1);
const NO_MOVES: [&str; 0] = [];

/// The accounts ann, bob, cat and dan, none of which is here.
fn accounts() -> Scene {
    let mut scene = lobby();
    scene.chat.restore(Snapshot {
        facts: facts(),
        changes: 0,
        accounts: 4,
    });
    scene
}

impl Scene {
    fn now(&self) -> Now {
        Now {
            tick: self.now,
            wall: NOON,
            address: None,
        }
    }

    fn logged_in(&mut self, id: ConnId, number: u32) {
        self.enters(id, None);
        self.after(|chat, now, effects| chat.enter_account(id, account(number), now, effects));
    }

    fn pair(&mut self, id: ConnId, nick: &str) -> Result<Pair, Refused> {
        self.chat.correspondents(id, nick)
    }

    fn pairs(&mut self, id: ConnId, nick: &str) -> Pair {
        self.pair(id, nick).expect("one to talk to")
    }

    fn writes_to(&mut self, id: ConnId, nick: &str, words: &str) -> Option<Refused> {
        let pair = match self.pair(id, nick) {
            Ok(pair) => pair,
            Err(why) => return Some(why),
        };
        let now = self.now();
        let mut effects = Effects::new();
        let said = (Manner::Message, words, None);
        let place = (LETTERS, pair, Seq(1));
        self.chat.write(id, place, said, now, &mut effects);
        self.chat.check_invariants();
        effects.into_iter().find_map(|effect| match effect {
            Effect::Reply {
                event: Event::Refused(why),
                ..
            } => Some(why),
            _ => None,
        })
    }

    fn joins_pair(&mut self, id: ConnId, nick: &str) {
        let pair = self.pairs(id, nick);
        self.after(|chat, _, effects| {
            let joined = chat.join_conversation(id, (LETTERS, pair), effects);
            assert_eq!(joined, Ok(()));
        });
    }
}

fn ended(nick_of_other: &str) -> Event {
    Event::Left {
        room: format!("@{nick_of_other}").into(),
        nick: nick(nick_of_other),
        word: String::new(),
    }
}

#[test]
fn each_of_the_two_knows_a_conversation_by_the_other() {
    let mut scene = ann_and_bob();
    scene.joins_pair(ANN, "BOB");
    scene.joins_pair(BOB, "ann");
    assert_eq!(scene.heard(ANN), NOTHING, "the other joins unseen");
    let room = |id, name| scene.chat.room_of(id, Some(name));
    assert_eq!(room(ANN, "@bob"), Some(LETTERS));
    assert_eq!(room(BOB, "@Ann"), Some(LETTERS));
    for (id, name) in [(ANN, "@ann"), (ANN, "@cat"), (ANN, "@g1.g2"), (BOB, "@bob")] {
        assert_eq!(room(id, name), None, "{name}");
    }
    let name = |id| scene.chat.room_name_for(id, LETTERS);
    assert_eq!(name(ANN).as_deref(), Some("@bob"));
    assert_eq!(name(BOB).as_deref(), Some("@ann"));
}

#[test]
fn conversation_is_on_no_list_and_has_no_order_to_be_kept() {
    let mut scene = ann_and_bob();
    scene.asks(ANN, Command::Op { token: "secret" });
    scene.joins_pair(ANN, "bob");
    scene.forget();
    scene.asks_in(ANN, Some("@bob"), Command::Rooms(None));
    let rooms = vec![("lobby".into(), 2)];
    assert_eq!(scene.heard(ANN), [Event::Rooms { rooms, more: 0 }]);
    let kick = Command::Kick {
        nick: "bob",
        reason: "",
    };
    for command in [
        kick,
        Command::Topic("tea"),
        Command::Room {
            change: RoomChange::default(),
            password: None,
        },
        Command::CloseRoom { reason: "" },
    ] {
        scene.asks_in(ANN, Some("@bob"), command);
        assert_eq!(
            scene.heard(ANN),
            refused(Refused::NotAllowed),
            "{command:?}"
        );
    }
    scene.asks_in(ANN, Some("@bob"), Command::Who(None));
    let who = Event::Who {
        room: "@bob".into(),
        members: vec![nick("ann"), nick("bob")],
        accounts: Vec::new(),
        more: 0,
    };
    assert_eq!(scene.heard(ANN), [who]);
}

#[test]
fn conversation_with_a_guest_ends_with_the_guest() {
    let mut scene = ann_and_bob();
    scene.joins_pair(ANN, "bob");
    scene.joins_pair(BOB, "ann");
    let before = scene.pairs(ANN, "bob");
    scene.leaves(BOB);
    assert!(scene.heard(ANN).contains(&Seen::Event(ended("bob"))));
    assert!(!scene.chat.is_member(ANN, LETTERS));
    let not_here = Refused::NotHere { nick: "bob".into() };
    assert_eq!(scene.pair(ANN, "bob"), Err(not_here));
    // Another one with the same nick is another one.
    scene.joins(CAT, "bob");
    assert_ne!(scene.pairs(ANN, "bob"), before);
}

#[test]
fn guest_that_logs_in_is_the_account_and_its_conversations_have_ended() {
    let mut scene = accounts();
    scene.joins(ANN, "eve");
    scene.joins(BOB, "fred");
    scene.joins_pair(ANN, "fred");
    scene.forget();
    scene.after(|chat, now, effects| chat.enter_account(BOB, account(2), now, effects));
    assert!(scene.heard(ANN).contains(&Seen::Event(ended("fred"))));
    scene.joins_pair(ANN, "bob");
    scene.joins_pair(BOB, "eve");
    // A connection that logs out is not of the account's conversations.
    scene.after(|chat, now, effects| chat.log_out(BOB, None, None, (now, NOON), effects));
    assert!(!scene.chat.is_member(BOB, LETTERS));
    assert!(
        scene.chat.is_member(ANN, LETTERS),
        "the account is still there"
    );
}

#[test]
fn guest_with_another_nick_is_talked_to_under_that() {
    let mut scene = ann_and_bob();
    scene.joins_pair(ANN, "bob");
    scene.joins_pair(BOB, "ann");
    scene.forget();
    scene.asks(BOB, Command::Nick("rob"));
    let renamed = |room: &str| {
        Seen::Event(Event::Renamed {
            room: room.into(),
            old: nick("bob"),
            new: nick("rob"),
        })
    };
    assert_eq!(scene.heard(ANN), [renamed("lobby"), renamed("@bob")]);
    assert_eq!(scene.heard(BOB), [renamed("lobby"), renamed("@ann")]);
    assert_eq!(scene.chat.room_of(ANN, Some("@rob")), Some(LETTERS));
}

#[test]
fn guest_that_comes_back_goes_on_with_its_conversations() {
    let mut scene = ann_and_bob();
    scene.joins_pair(ANN, "bob");
    let before = scene.pairs(ANN, "bob");
    scene.enters(CAT, None);
    scene.after(|chat, _, effects| chat.succeeds(BOB, CAT, effects));
    scene.leaves(BOB);
    scene.after(|chat, _, _| chat.takes_nick(CAT, &nick("bob")));
    assert!(scene.chat.is_member(ANN, LETTERS));
    assert_eq!(scene.pairs(ANN, "bob"), before);
    assert_eq!(scene.pairs(CAT, "ann"), before);
}

#[test]
fn account_is_written_to_while_it_is_away_and_finds_that() {
    let mut scene = accounts();
    scene.logged_in(ANN, 1);
    assert_eq!(scene.writes_to(ANN, "bob", "hello"), None);
    assert_eq!(scene.writes_to(ANN, "bob", "are you there?"), None);
    scene.logged_in(BOB, 2);
    let greeted = |scene: &mut Scene| {
        scene.forget();
        scene.after(|chat, _, effects| chat.greet_account(BOB, NOON, effects));
        scene.heard(BOB)
    };
    let list = |unseen| {
        let recent = Recent {
            room: "@ann".into(),
            at: NOON,
            unseen: Seq(unseen),
        };
        [Seen::Event(Event::Conversations {
            list: vec![recent],
            is_new: true,
        })]
    };
    assert_eq!(greeted(&mut scene), list(1));
    assert_eq!(greeted(&mut scene), list(0), "it was shown once");
    // Of what Ann wrote she has seen all.
    scene.after(|chat, _, effects| chat.greet_account(ANN, NOON, effects));
    assert!(matches!(
        &scene.heard(ANN)[..],
        [Seen::Event(Event::Conversations { list, .. })] if list[0].unseen == Seq(0)
    ));
}

#[test]
fn who_cannot_be_written_to_is_said() {
    let mut scene = accounts();
    scene.logged_in(ANN, 1);
    scene.joins(BOB, "eve");
    for (name, expected) in [
        (
            "nobody",
            Refused::NotHere {
                nick: "nobody".into(),
            },
        ),
        ("a b", Refused::NotHere { nick: "a b".into() }),
        ("1.2", Refused::NotHere { nick: "1.2".into() }),
        ("ann", Refused::Oneself),
        ("ANN", Refused::Oneself),
    ] {
        assert_eq!(
            scene.writes_to(ANN, name, "hello"),
            Some(expected),
            "{name}"
        );
    }
    assert_eq!(scene.writes_to(BOB, "EVE", "hello"), Some(Refused::Oneself));
    assert_eq!(scene.writes_to(ANN, "eve", "hello"), None);
    assert_eq!(
        scene.writes_to(ANN, "eve", " "),
        Some(Refused::EmptyMessage)
    );
}

#[test]
fn muted_on_the_server_is_muted_alone_with_another() {
    let mut scene = accounts();
    scene.logged_in(ANN, 1);
    scene.joins(BOB, "eve");
    scene.joins(CAT, "fred");
    scene.asks(CAT, Command::Op { token: "secret" });
    scene.forget();
    let mute = Order {
        kind: SanctionKind::Mute,
        reach: Reach::Server,
        whom: Whom::Nick("eve"),
        address: None,
        seconds: None,
        purge_seconds: None,
        reason: "",
    };
    scene.asks(CAT, Command::Sanction(mute));
    let refused = scene.writes_to(BOB, "ann", "hello");
    assert!(
        matches!(refused, Some(Refused::Muted { .. })),
        "{refused:?}"
    );
}

#[test]
fn ignored_user_is_refused_and_others_are_not() {
    let mut scene = accounts();
    scene.logged_in(ANN, 1);
    scene.joins(BOB, "eve");
    scene.joins(CAT, "fred");
    let not_taken = |nick: &str| Some(Refused::NotTaken { nick: nick.into() });
    // By a nick that looks the same, and a guest by an account and by a guest.
    scene.asks(ANN, Command::Ignore { nick: "\u{415}VE" });
    scene.asks(CAT, Command::Ignore { nick: "eve" });
    scene.asks(CAT, Command::Ignore { nick: "ann" });
    assert_eq!(scene.writes_to(BOB, "ann", "hello"), not_taken("ann"));
    assert_eq!(scene.writes_to(BOB, "fred", "hello"), not_taken("fred"));
    assert_eq!(scene.writes_to(ANN, "fred", "hello"), not_taken("fred"));
    assert_eq!(scene.writes_to(CAT, "ann", "hello"), None);
    // Nor by what it said before.
    scene.joins_pair(BOB, "ann");
    scene.forget();
    let edit = Command::Edit {
        of: Seq(1),
        text: "buy this",
    };
    scene.asks_in(BOB, Some("@ann"), edit);
    assert_eq!(
        scene.heard(BOB),
        refused(not_taken("ann").expect("a reason"))
    );
    scene.asks_in(BOB, Some("@ann"), Command::Typing);
    assert_eq!(scene.heard(BOB), NOTHING);
    scene.asks(CAT, Command::Ignored);
    let nicks = vec!["eve".into(), "ann".into()];
    assert_eq!(scene.heard(CAT), [Event::Ignored { nicks }]);
    scene.asks(ANN, Command::Unignore { nick: "EVE" });
    assert_eq!(scene.writes_to(BOB, "ann", "hello"), None);
}

#[test]
fn lists_of_whom_one_ignores_have_a_bound() {
    let mut scene = accounts();
    scene.logged_in(ANN, 1);
    scene.joins(BOB, "eve");
    for (id, most) in [(ANN, 200), (BOB, 50)] {
        for number in 0..most {
            let now = scene.now;
            scene.passes(10);
            assert!(scene.now > now);
            let nick = format!("spam{number}");
            scene.asks(id, Command::Ignore { nick: &nick });
        }
        scene.passes(100);
        scene.forget();
        scene.asks(id, Command::Ignore { nick: "one-more" });
        assert_eq!(scene.heard(id), refused(Refused::TooManyIgnored { most }));
    }
}

#[test]
fn conversations_of_a_connection_have_a_bound_and_rooms_another() {
    let mut scene = lobby();
    scene.joins(ANN, "ann");
    let spoken: Vec<RoomId> = (0..=DIRECTS_MAX as u32)
        .map(|number| {
            let id = ConnId::new(10 + number, 1);
            let name = format!("guest{number}");
            scene.enters(id, Some(&name));
            let room = RoomId::new(10 + number, 1);
            let pair = scene.pairs(ANN, &name);
            scene.forget();
            scene.after(|chat, _, effects| {
                let joined = chat.join_conversation(ANN, (room, pair), effects);
                assert_eq!(joined, Ok(()));
            });
            room
        })
        .collect();
    assert_eq!(scene.heard(ANN), [ended("guest0")], "the quietest");
    assert!(!scene.chat.is_member(ANN, spoken[0]));
    scene.joins_room(ANN, "den");
    assert_eq!(scene.chat.rooms_of(ANN).count(), 2 + DIRECTS_MAX);
}

#[test]
fn what_is_known_of_an_account_is_gone_with_it() {
    let mut scene = accounts();
    scene.logged_in(ANN, 1);
    scene.logged_in(BOB, 2);
    scene.joins_pair(ANN, "bob");
    scene.joins_pair(BOB, "ann");
    assert_eq!(scene.writes_to(ANN, "bob", "hello"), None);
    scene.asks(BOB, Command::Ignore { nick: "ann" });
    scene.forget();
    scene.after(|chat, now, effects| {
        chat.remove_account(account(1), Some(ANN), (now, NOON), effects);
    });
    assert_eq!(scene.heard(BOB)[..1], [ended("ann")]);
    let facts = scene.chat.registry().facts_of(account(1));
    assert_eq!(facts, []);
    // The guest that is called so is another one.
    assert_eq!(scene.nick(ANN), "ann");
    assert_eq!(scene.writes_to(ANN, "bob", "hello"), None);
    let kept = |fact: &Fact| matches!(fact, Fact::Conversation(_) | Fact::Ignored { .. });
    let left = scene.chat.registry().facts_of(account(2));
    let left = left.iter().filter_map(|key| scene.chat.registry().get(key));
    assert_eq!(left.filter(|fact| kept(fact)).count(), 0);
}

// Several servers

/// Ann and Bob, whose accounts other servers know as well, and that they have talked. Bob is not here.
fn shared() -> Scene {
    let mut scene = accounts();
    scene.chat.shares_changes();
    scene.chat.shares_members();
    scene.logged_in(ANN, 1);
    scene.joins_pair(ANN, "bob");
    scene.has_noted([0, 0]);
    scene
}

impl Scene {
    fn has_noted(&mut self, unseen: [u32; 2]) {
        let fact = Fact::Conversation(Conversation {
            accounts: [1, 2].map(account),
            at: NOON,
            unseen: unseen.map(Seq),
        });
        let change = Change {
            number: 0,
            at: NOON,
            puts: vec![fact],
            forgets: Vec::new(),
            audit: None,
        };
        self.after(|chat, now, effects| chat.apply_change(&change, now, effects));
    }

    fn unseen(&self) -> [u32; 2] {
        let known = self.chat.registry().conversation([1, 2].map(account));
        known.expect("they talked").unseen.map(|seq| seq.0)
    }

    /// Something has come that an account has said.
    fn has_come(&mut self, seq: u32, by: u32) {
        let said = Some((Seq(seq), account(by)));
        self.after(|chat, _, effects| {
            chat.has_come(LETTERS, [1, 2].map(account), said, NOON, effects);
        });
    }

    /// Bob has become a member at another server, or is one no more.
    fn is_elsewhere(&mut self, is_member: bool) {
        let bob = Came {
            nick: nick("bob"),
            standing: Standing {
                has_account: true,
                is_operator: false,
            },
            was: None,
        };
        let mut moves = Moves::default();
        if is_member {
            moves.came.push(bob);
        } else {
            moves.left.push(bob.nick);
        }
        let what = Sighting::Moves { node: 7, moves };
        self.after(|chat, now, effects| chat.sighted(LETTERS, what, now, effects));
    }

    /// The number that is noted with what Ann writes, if anything is.
    fn notes(&mut self, next: u32) -> Option<u32> {
        let pair = self.pairs(ANN, "bob");
        let mut now = self.now();
        // That they have talked is noted once a minute.
        now.wall = NOON;
        let mut effects = Effects::new();
        let said = (Manner::Message, "hello", None);
        let place = (LETTERS, pair, Seq(next));
        self.chat.write(ANN, place, said, now, &mut effects);
        effects.into_iter().find_map(|effect| match effect {
            Effect::Change { change, .. } => match change.puts[..] {
                [Fact::Conversation(noted)] => Some(noted.unseen[1].0),
                _ => panic!("{change:?}"),
            },
            _ => None,
        })
    }
}

#[test]
fn one_that_is_a_member_at_another_server_is_not_away() {
    let mut scene = shared();
    assert_eq!(scene.notes(1), Some(1));
    scene.is_elsewhere(true);
    assert_eq!(scene.notes(1), None);
    scene.asks_in(ANN, Some("@bob"), Command::Who(None));
    let who = Event::Who {
        room: "@bob".into(),
        members: vec![nick("ann"), nick("bob")],
        accounts: Vec::new(),
        more: 0,
    };
    // It came unseen, and goes so.
    assert_eq!(scene.heard(ANN), [who]);
    scene.is_elsewhere(false);
    assert_eq!(scene.heard(ANN), NOTHING);
    assert_eq!(scene.notes(2), Some(2));
    // A draft with its note may be refused: nothing has changed before it comes.
    assert_eq!(scene.unseen(), [0, 0]);
}

#[test]
fn what_came_for_one_that_is_away_from_all_servers_is_noted_and_taken_back_when_it_is_shown() {
    let mut scene = shared();
    scene.has_come(1, 2);
    assert_eq!(scene.unseen(), [0, 0], "it is Bob's own, and Ann is here");
    scene.is_elsewhere(true);
    scene.has_come(2, 1);
    assert_eq!(scene.unseen(), [0, 0]);
    scene.is_elsewhere(false);
    scene.has_come(3, 1);
    scene.has_come(4, 1);
    assert_eq!(scene.unseen(), [0, 3], "the first");
    scene.logged_in(BOB, 2);
    scene.has_come(5, 1);
    assert_eq!(scene.unseen(), [0, 0]);
}

#[test]
fn other_servers_are_told_of_the_members_of_a_conversation() {
    let mut scene = shared();
    let moves = |scene: &mut Scene| {
        let moves = scene.chat.take_moves().map(|(room, moves)| {
            assert_eq!(room, LETTERS);
            let [moves] = &moves[..] else {
                panic!("{moves:?}");
            };
            let came = moves.came.iter().map(|came| format!("+{}", came.nick));
            let left = moves.left.iter().map(|nick| format!("-{nick}"));
            came.chain(left).collect::<Vec<_>>()
        });
        moves.unwrap_or_default()
    };
    assert_eq!(moves(&mut scene), ["+ann"]);
    // Another connection of the same account.
    scene.logged_in(CAT, 1);
    scene.joins_pair(CAT, "bob");
    assert_eq!(moves(&mut scene), NO_MOVES);
    scene.after(|chat, now, effects| chat.exit(ANN, now, effects));
    assert_eq!(moves(&mut scene), NO_MOVES);
    let all = scene.chat.all_moves(LETTERS);
    assert_eq!(all[0].came[0].nick, nick("ann"));
    scene.after(|chat, now, effects| chat.exit(CAT, now, effects));
    assert_eq!(moves(&mut scene), ["-ann"]);
}

#[test]
fn what_a_guest_says_stays_at_its_server() {
    let mut scene = shared();
    scene.joins(CAT, "gus");
    let not_here = |nick: &str| Some(Refused::NotAtThisServer { nick: nick.into() });
    assert_eq!(scene.writes_to(CAT, "bob", "hello"), not_here("bob"));
    assert_eq!(scene.writes_to(CAT, "ann", "hello"), None);
    assert_eq!(scene.writes_to(ANN, "gus", "hello"), None);
    assert_eq!(scene.writes_to(ANN, "nobody", "hello"), not_here("nobody"));
}
