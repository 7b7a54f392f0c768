//! What moderators and owners set for a room, as scenes: topic, words, pace, password, past.

use super::*;

#[test]
fn topic_is_set_by_moderators_and_outlives_the_room() {
    let mut scene = all_in_the_lobby();
    scene.at(NOON, CAT, Command::Topic("mine"));
    assert_eq!(scene.refusal(CAT), Some(Refused::NotAllowed));
    scene.at(NOON, BOB, Command::Topic(" tea\nand cake "));
    let topic = "tea and cake";
    assert_eq!(scene.heard(DAN), [act(Act::Topic, "bob", "bob", topic)]);
    let room = scene.room("lobby");
    assert_eq!(scene.chat.topic(room), topic);
    for id in [ANN, BOB, CAT, DAN] {
        scene.leaves(id);
    }
    let rules = scene.chat.registry().rules(&"lobby".into());
    assert_eq!(rules.map(|rules| rules.topic.as_str()), Some(topic));
    scene.comes_as(BOB, 2);
    scene.at(NOON, BOB, Command::Topic(""));
    let lobby: SmolStr = "lobby".into();
    assert_eq!(scene.chat.registry().rules(&lobby), None::<&Rules>);
}

#[test]
fn words_of_the_list_are_replaced_or_refused_but_not_for_moderators() {
    let filter = Filter::parse("badger").expect("a list");
    for filtering in [Filtering::Replace, Filtering::Refuse] {
        let mut scene = Scene::new(&Settings {
            operator_token: Some(String::from("secret")),
            filter: Some(filter.clone()),
            filtering,
            ..Settings::default()
        });
        scene.joins(ANN, "ann");
        scene.joins(BOB, "bob");
        scene.forget();
        scene.says(BOB, "a B\u{430}dger!");
        match filtering {
            Filtering::Replace => assert_eq!(scene.heard(ANN), [said("bob", "a ******!")]),
            Filtering::Refuse => {
                assert_eq!(scene.heard(ANN), NOTHING);
                assert_eq!(scene.heard(BOB), refused(Refused::Filtered));
            }
        }
        scene.asks(ANN, Command::Op { token: "secret" });
        scene.forget();
        scene.says(ANN, "a badger!");
        assert_eq!(scene.heard(BOB), [said("ann", "a badger!")]);
        scene.asks(BOB, Command::Quit("badger"));
        let left = Event::Left {
            room: "lobby".into(),
            nick: nick("bob"),
            word: String::from("******"),
        };
        scene.seen.retain(|(to, seen)| *to == ANN && *seen == left);
        assert_eq!(scene.heard(ANN).len(), 1);
    }
}

fn rules(change: RoomChange) -> Command<'static> {
    Command::Room {
        change,
        password: None,
    }
}

#[test]
fn slow_room_takes_one_message_in_a_while_but_of_moderators() {
    let mut scene = with_a_guest();
    let slow = |seconds| {
        rules(RoomChange {
            slow_seconds: Some(seconds),
            ..RoomChange::default()
        })
    };
    scene.at(NOON, CAT, slow(10));
    assert_eq!(scene.refusal(CAT), Some(Refused::NotAllowed));
    scene.at(NOON, BOB, slow(10));
    scene.forget();
    scene.says(DAN, "one");
    scene.says(DAN, "two");
    assert_eq!(scene.heard(ANN), [said("Dolly", "one")]);
    assert_eq!(
        scene.refusal(DAN),
        Some(Refused::SlowMode { millis: 10_000 })
    );
    scene.passes(99);
    // Coming again does not help.
    scene.leaves(DAN);
    scene.joins(DAN, "d0lly");
    scene.forget();
    scene.says(DAN, "three");
    assert_eq!(scene.refusal(DAN), Some(Refused::SlowMode { millis: 100 }));
    scene.passes(1);
    scene.says(DAN, "three");
    assert_eq!(scene.refusal(DAN), None);
    for _ in 0..3 {
        scene.says(BOB, "as fast as I can");
    }
    assert_eq!(scene.refusal(BOB), None);
}

#[test]
fn only_voiced_members_speak_in_a_moderated_room() {
    let mut scene = all_in_the_lobby();
    let moderated = |is| {
        rules(RoomChange {
            moderated: Some(is),
            ..RoomChange::default()
        })
    };
    scene.at(NOON, BOB, moderated(true));
    scene.forget();
    for (id, may) in [(ANN, true), (BOB, true), (CAT, true), (DAN, false)] {
        scene.says(id, "hello");
        let expected = (!may).then_some(Refused::Moderated);
        assert_eq!(scene.refusal(id), expected, "{id:?}");
    }
    scene.at(NOON, BOB, moderated(false));
    scene.forget();
    scene.says(DAN, "hello");
    assert_eq!(scene.refusal(DAN), None);
}

#[test]
fn locked_room_admits_accounts_and_hidden_one_is_not_listed() {
    let mut scene = with_a_guest();
    let both = rules(RoomChange {
        locked: Some(true),
        hidden: Some(true),
        ..RoomChange::default()
    });
    scene.at(NOON, BOB, both);
    assert_eq!(scene.refusal(BOB), Some(Refused::NotAllowed));
    scene.at(NOON, ANN, both);
    scene.leaves_room(DAN, "lobby");
    let (room, now) = (scene.room("lobby"), scene.now);
    let mut effects = Effects::new();
    let refused = scene
        .chat
        .join(DAN, room, &"lobby".into(), now, &mut effects);
    assert_eq!(refused, Err(JoinRefused::Locked));
    scene.joins_room(DAN, "den");
    let listed = |scene: &mut Scene, id| {
        scene.forget();
        scene.asks(id, Command::Rooms(None));
        let listed = scene.heard(id).into_iter().find_map(|seen| match seen {
            Seen::Event(Event::Rooms { rooms, .. }) => Some(rooms.len()),
            _ => None,
        });
        listed.expect("a list")
    };
    assert_eq!((listed(&mut scene, DAN), listed(&mut scene, CAT)), (1, 2));
    scene.asks(DAN, Command::Op { token: "secret" });
    assert_eq!(listed(&mut scene, DAN), 2);
    let mut effects = Effects::new();
    assert!(
        scene
            .chat
            .join(DAN, room, &"lobby".into(), now, &mut effects)
            .is_ok()
    );
}

impl Scene {
    /// Why a user does not join the lobby, with what is kept of the password that it has shown.
    fn kept_out(&mut self, id: ConnId, pass: Option<&str>) -> Option<JoinRefused> {
        let room = self.room("lobby");
        let now = Now::from(self.now);
        let mut effects = Effects::new();
        let lobby = "lobby".into();
        let joined = self
            .chat
            .join_with(id, (room, &lobby), pass, now, &mut effects);
        joined.err()
    }
}

#[test]
fn room_with_a_password_lets_in_who_has_shown_it_or_has_a_role() {
    let mut scene = with_a_guest();
    let password = |kept| Command::Room {
        change: RoomChange::default(),
        password: Some(kept),
    };
    scene.at(NOON, BOB, password("hash"));
    assert_eq!(scene.refusal(BOB), Some(Refused::NotAllowed));
    scene.forget();
    scene.at(NOON, ANN, password("hash"));
    let entry = act(Act::Settings, "ann", "ann", "has_password=true");
    assert_eq!(scene.heard(DAN), [Seen::Entry(entry)]);
    // It is there, and stays; when it comes again it is asked.
    scene.says(DAN, "hello");
    for id in [ANN, BOB, CAT, DAN] {
        scene.leaves_room(id, "lobby");
    }
    let refused = Some(JoinRefused::Password {
        kept: "hash".into(),
    });
    assert_eq!(scene.kept_out(DAN, None), refused);
    assert_eq!(scene.kept_out(DAN, Some("of another")), refused);
    assert_eq!(scene.kept_out(DAN, Some("hash")), None);
    for id in [ANN, BOB, CAT] {
        assert_eq!(scene.kept_out(id, None), None, "{id:?}");
    }
    scene.at(NOON, ANN, password(""));
    scene.leaves_room(DAN, "lobby");
    assert_eq!(scene.kept_out(DAN, None), None);
    let registry = scene.chat.registry();
    assert!(registry.rules(&"lobby".into()).is_none());
}

#[test]
fn past_of_a_room_is_read_by_those_who_keep_order_where_newcomers_do_not() {
    let mut scene = all_in_the_lobby();
    let lobby = scene.room("lobby");
    let reads = |scene: &Scene| [ANN, BOB, CAT, DAN].map(|id| scene.chat.reads_past(id, lobby));
    assert_eq!(reads(&scene), [true; 4]);
    let hidden = rules(RoomChange {
        newcomers_read: Some(false),
        keep_days: Some(u32::MAX),
        ..RoomChange::default()
    });
    scene.at(NOON, BOB, hidden);
    assert_eq!(scene.refusal(BOB), Some(Refused::NotAllowed));
    scene.at(NOON, ANN, hidden);
    assert_eq!(reads(&scene), [true, true, false, false]);
    let kept = scene.chat.rules_of(lobby).expect("rules");
    assert_eq!((kept.newcomers_read, kept.keep_days), (false, Some(36_500)));
}

#[test]
fn room_with_an_owner_is_listed_without_members_unless_it_is_hidden() {
    let listed = |scene: &mut Scene, id| {
        scene.forget();
        scene.asks(id, Command::Rooms(None));
        let listed = scene.heard(id).into_iter().find_map(|seen| match seen {
            Seen::Event(Event::Rooms { rooms, .. }) => Some(rooms),
            _ => None,
        });
        listed.expect("a list")
    };
    let den = || (SmolStr::from("den"), 1);
    let lobby = || (SmolStr::from("lobby"), 0);
    for is_hidden in [false, true] {
        let mut scene = with_a_guest();
        let hidden = rules(RoomChange {
            hidden: Some(is_hidden),
            ..RoomChange::default()
        });
        scene.at(NOON, ANN, hidden);
        scene.joins_room(DAN, "den");
        for id in [ANN, BOB, CAT, DAN] {
            scene.leaves_room(id, "lobby");
        }
        let expected = if is_hidden {
            vec![den()]
        } else {
            vec![den(), lobby()]
        };
        assert_eq!(listed(&mut scene, DAN), expected);
        scene.asks(DAN, Command::Op { token: "secret" });
        assert_eq!(listed(&mut scene, DAN), [den(), lobby()]);
        // Its roles are those of before.
        scene.joins_room(BOB, "lobby");
        let room = scene.room("lobby");
        assert_eq!(scene.chat.role_of(BOB, room), Role::Moderator);
    }
}

#[test]
fn rooms_are_made_up_to_the_most_and_by_some_alone_where_they_are_listed() {
    let mut scene = with_a_guest();
    // The lobby has members, and an owner.
    let make = |scene: &Scene, max| scene.chat.may_make_room(DAN, max);
    assert_eq!(make(&scene, 2), Ok(Maker::Limited));
    assert_eq!(make(&scene, 1), Err(NotMade::TooMany));
    for id in [ANN, BOB, CAT] {
        scene.leaves_room(id, "lobby");
    }
    scene.leaves_room(DAN, "lobby");
    assert_eq!(make(&scene, 1), Err(NotMade::TooMany), "it has an owner");
    scene.asks(DAN, Command::Op { token: "secret" });
    assert_eq!(make(&scene, 1), Ok(Maker::Any));

    let mut scene = Scene::new(&Settings {
        rooms: RoomPolicy::Listed,
        listed_rooms: vec![RoomName::parse("Garden").expect("a name")],
        operator_token: Some(String::from("secret")),
        ..Settings::default()
    });
    let knows = |scene: &Scene, name: &str| scene.chat.knows_room(&name.into());
    assert!(knows(&scene, "garden") && !knows(&scene, "lobby"));
    scene.chat.restore(Snapshot {
        facts: facts(),
        changes: 0,
        accounts: 4,
    });
    assert!(knows(&scene, "lobby"), "it has roles");
    scene.joins(DAN, "Dolly");
    assert_eq!(make(&scene, 9), Err(NotMade::Listed));
    scene.asks(DAN, Command::Op { token: "secret" });
    assert_eq!(make(&scene, 9), Ok(Maker::Any));
}

#[test]
fn closed_room_has_no_members_roles_and_rules() {
    let mut scene = all_in_the_lobby();
    scene.joins_room(DAN, "den");
    scene.at(NOON, BOB, Command::Topic("tea"));
    scene.at(NOON, BOB, mute("cat"));
    scene.at(NOON, BOB, Command::CloseRoom { reason: "" });
    assert_eq!(scene.refusal(BOB), Some(Refused::NotAllowed));
    scene.forget();
    let close = Command::CloseRoom { reason: "over" };
    scene.at(NOON, ANN, close);
    let lobby = scene.room("lobby");
    assert!(scene.chat.members(lobby).is_empty());
    // Dan has another room, and stays.
    assert_eq!(scene.closed.len(), 3);
    assert!(scene.is_in(DAN));
    let registry = scene.chat.registry();
    let scope = Scope::Room("lobby".into());
    assert_eq!(registry.roles(&scope).count(), 0);
    assert_eq!(registry.sanction_count(), 0);
    assert!(registry.rules(&"lobby".into()).is_none());
}

#[test]
fn first_account_in_a_new_room_owns_it() {
    let mut scene = all_in_the_lobby();
    scene.joins_room(DAN, "den");
    let den = scene.room("den");
    let now = Now {
        wall: NOON,
        ..Now::default()
    };
    scene.after(|chat, _, effects| chat.has_made(DAN, den, now, effects));
    assert_eq!(scene.chat.role_of(DAN, den), Role::Owner);
    // An account that comes later does not own it.
    scene.joins_room(CAT, "den");
    scene.after(|chat, _, effects| chat.has_made(CAT, den, now, effects));
    assert_eq!(scene.chat.role_of(CAT, den), Role::Member);
}
