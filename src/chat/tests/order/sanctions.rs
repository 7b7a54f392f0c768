//! Bans and mutes, as scenes: whom they concern, where they hold and how they end.

use super::*;

#[test]
fn banned_member_leaves_at_once_and_does_not_come_back_under_a_nick_that_looks_the_same() {
    let mut scene = with_a_guest();
    scene.at(NOON, BOB, ban("dolly"));
    let left = Event::Left {
        room: "lobby".into(),
        nick: nick("Dolly"),
        word: String::new(),
    };
    assert_eq!(
        scene.heard(ANN),
        [
            Seen::Entry(act(Act::Ban, "Dolly", "bob", "loud")),
            Seen::Event(left)
        ]
    );
    let notice = BanNotice {
        until: None,
        reason: "loud".into(),
    };
    let last = scene.heard(DAN).pop();
    let you = Event::YouWereBanned {
        room: Some("lobby".into()),
        notice: notice.clone(),
    };
    assert_eq!(last, Some(Seen::Event(you)));
    assert_eq!(scene.closed.len(), 1);
    for name in ["Dolly", "do1ly", "DOLLY"] {
        scene.enters(DAN, Some(name));
        let (room, now) = (scene.room("lobby"), scene.now);
        let mut effects = Effects::new();
        let refused = scene
            .chat
            .join(DAN, room, &"lobby".into(), now, &mut effects);
        assert_eq!(refused, Err(JoinRefused::Banned(notice.clone())), "{name}");
        scene.leaves(DAN);
    }
    // It is a ban from one room.
    scene.comes(DAN, "den", Some("Dolly"));
    assert!(scene.is_in(DAN));
}

#[test]
fn ban_ends_by_the_clock_or_when_it_is_lifted() {
    let joins = |scene: &mut Scene, wall| {
        let (room, tick) = (scene.room("lobby"), scene.now);
        let now = Now {
            tick,
            wall,
            address: None,
        };
        let mut effects = Effects::new();
        scene.enters(DAN, Some("dolly"));
        let joined = scene
            .chat
            .join(DAN, room, &"lobby".into(), now, &mut effects);
        scene.leaves(DAN);
        joined.is_ok()
    };
    let minute = sanction(SanctionKind::Ban, Whom::Nick("dolly"), Some(60));
    let mut scene = all_in_the_lobby();
    scene.leaves(DAN);
    scene.at(NOON, BOB, minute);
    assert!(!joins(&mut scene, NOON));
    assert!(!joins(&mut scene, Millis(NOON.0 + 59_999)));
    assert!(joins(&mut scene, Millis(NOON.0 + 60_000)));
    // What has ended is forgotten though no member speaks.
    assert_eq!(scene.chat.next_end(), Some(Millis(NOON.0 + 60_000)));
    scene.after(|chat, _, effects| chat.end_sanctions(Millis(NOON.0 + 60_000), effects));
    assert_eq!(scene.chat.registry().sanction_count(), 0);
    assert_eq!(scene.chat.next_end(), None);

    scene.at(NOON, BOB, minute);
    assert!(!joins(&mut scene, NOON));
    scene.at(NOON, BOB, lift(SanctionKind::Ban, "D0lly"));
    assert!(joins(&mut scene, NOON));
    scene.forget();
    scene.at(NOON, BOB, lift(SanctionKind::Ban, "dolly"));
    assert_eq!(scene.refusal(BOB), Some(Refused::NoSuchSanction));
}

#[test]
fn ban_of_a_guest_covers_the_address_and_the_room_is_not_shown_it() {
    let address: IpAddr = "192.0.2.7".parse().expect("an address");
    let mut scene = with_a_guest();
    let order = |kind| {
        Command::Sanction(Order {
            kind,
            reach: Reach::Room,
            whom: Whom::Nick("dolly"),
            address: Some(address),
            seconds: None,
            purge_seconds: None,
            reason: "",
        })
    };
    scene.at(NOON, BOB, order(SanctionKind::Ban));
    let room = Scope::Room("lobby".into());
    let subjects: Vec<Subject> = scene
        .chat
        .registry()
        .sanctions(&room)
        .map(|ban| ban.subject.clone())
        .collect();
    assert_eq!(subjects.len(), 2);
    assert!(subjects.contains(&Subject::Address("192.0.2.7".parse().expect("a prefix"))));
    scene.enters(DAN, Some("somebody-else"));
    let (lobby, tick) = (scene.room("lobby"), scene.now);
    let now = Now {
        tick,
        wall: NOON,
        address: Some(address),
    };
    let mut effects = Effects::new();
    let joined = scene
        .chat
        .join(DAN, lobby, &"lobby".into(), now, &mut effects);
    assert!(matches!(joined, Err(JoinRefused::Banned(_))));
    scene.leaves(DAN);

    scene.forget();
    let list = Command::Sanctions {
        reach: Reach::Room,
        part: None,
    };
    scene.at(NOON, BOB, list);
    scene.asks(CAT, Command::Op { token: "secret" });
    scene.at(NOON, CAT, list);
    let addresses = |seen: Vec<Seen>| -> Vec<bool> {
        let rows = seen.into_iter().find_map(|seen| match seen {
            Seen::Event(Event::Sanctions { sanctions, .. }) => Some(sanctions),
            _ => None,
        });
        let rows = rows.expect("a list").into_iter();
        rows.map(|row| row.address.is_some()).collect()
    };
    assert_eq!(addresses(scene.heard(BOB)), [false]);
    assert_eq!(addresses(scene.heard(CAT)), [true]);

    // Lifting it lifts all of it.
    scene.at(NOON, BOB, lift(SanctionKind::Ban, "dolly"));
    assert_eq!(scene.chat.registry().sanction_count(), 0);
}

#[test]
fn ban_of_oneself_and_of_the_only_owner_are_refused() {
    let own: IpAddr = "192.0.2.7".parse().expect("an address");
    let mut scene = all_in_the_lobby();
    for whom in [
        Whom::Nick("Ann"),
        Whom::Nick("\u{430}nn"), // a Cyrillic а
        Whom::Account("ann"),
        Whom::Address("192.0.2.0/24".parse().expect("a prefix")),
    ] {
        let command = sanction(SanctionKind::Ban, whom, None);
        scene.from(NOON, Some(own), ANN, command);
        let refusal = scene.refusal(ANN);
        assert!(
            matches!(refusal, Some(Refused::Oneself)),
            "{whom:?}: {refusal:?}"
        );
    }
    scene.asks(DAN, Command::Op { token: "secret" });
    scene.forget();
    scene.at(NOON, DAN, ban("ann"));
    assert_eq!(scene.refusal(DAN), Some(Refused::OnlyOwner));
    assert_eq!(scene.chat.registry().sanction_count(), 0);
}

#[test]
fn neighbour_at_the_address_of_the_author_is_banned_by_nick_alone() {
    let own: IpAddr = "192.0.2.7".parse().expect("an address");
    for address in [own, "127.0.0.1".parse().expect("an address")] {
        let mut scene = with_a_guest();
        let order = Order {
            kind: SanctionKind::Ban,
            reach: Reach::Room,
            whom: Whom::Nick("dolly"),
            address: Some(address),
            seconds: None,
            purge_seconds: None,
            reason: "",
        };
        scene.from(NOON, Some(own), BOB, Command::Sanction(order));
        assert_eq!(scene.chat.registry().sanction_count(), 1);
    }
}

#[test]
fn muted_member_is_not_heard_in_any_way() {
    let mut scene = with_a_guest();
    let minute = sanction(SanctionKind::Mute, Whom::Nick("dolly"), Some(60));
    scene.at(NOON, BOB, minute);
    scene.forget();
    let muted = Some(Refused::Muted {
        millis: Some(60_000),
        reason: "loud".into(),
    });
    for command in [
        say("hello"),
        Command::Nick("I say hello".trim()),
        Command::Nick("hello"),
    ] {
        scene.at(NOON, DAN, command);
        let refusal = scene.refusal(DAN);
        assert!(
            refusal == muted || matches!(refusal, Some(Refused::Nick { .. })),
            "{refusal:?}"
        );
    }
    scene.at(NOON, DAN, Command::Typing);
    assert_eq!(scene.heard(ANN), NOTHING);
    scene.at(NOON, DAN, Command::Quit("you hear me"));
    let left = Event::Left {
        room: "lobby".into(),
        nick: nick("Dolly"),
        word: String::new(),
    };
    assert_eq!(scene.heard(ANN), [left]);
    // Neither does it speak after it has come again.
    scene.joins(DAN, "do1ly");
    scene.forget();
    scene.at(NOON, DAN, say("hello"));
    assert_eq!(scene.refusal(DAN), muted);
    scene.at(Millis(NOON.0 + 60_000), DAN, say("hello"));
    assert_eq!(scene.heard(ANN), [said("do1ly", "hello")]);
}

#[test]
fn one_who_keeps_order_does_not_lift_its_own_mute() {
    let mut scene = all_in_the_lobby();
    scene.at(NOON, ANN, mute("bob"));
    scene.forget();
    scene.at(NOON, BOB, say("hello"));
    assert!(matches!(scene.refusal(BOB), Some(Refused::Muted { .. })));
    for whom in [Whom::Nick("bob"), Whom::Account("bob")] {
        let unmute = Command::Lift {
            kind: SanctionKind::Mute,
            reach: Reach::Room,
            whom,
        };
        scene.at(NOON, BOB, unmute);
        assert_eq!(scene.refusal(BOB), Some(Refused::Oneself));
    }
}

#[test]
fn ban_from_the_server_ends_connections_and_turns_newcomers_away() {
    let mut scene = with_a_guest();
    scene.at(NOON, BOB, everywhere(ban("dolly")));
    assert_eq!(scene.refusal(BOB), Some(Refused::NotAllowed));
    scene.asks(BOB, Command::Op { token: "secret" });
    scene.forget();
    scene.at(NOON, BOB, everywhere(ban("dolly")));
    assert_eq!(
        scene.closed,
        [(
            DAN,
            Farewell::Banned {
                notice: BanNotice {
                    until: None,
                    reason: "loud".into()
                },
                from_server: true
            }
        )]
    );
    let by_address = sanction(
        SanctionKind::Ban,
        Whom::Address("192.0.2.0/24".parse().expect("a prefix")),
        Some(60),
    );
    scene.at(NOON, BOB, everywhere(by_address));
    let from = |address: &str, wall| Now {
        tick: Tick(0),
        wall,
        address: Some(address.parse().expect("an address")),
    };
    let late = Millis(NOON.0 + 60_000);
    for (nick, room, now, is_turned_away) in [
        (None, None, from("192.0.2.200", NOON), true),
        (None, None, from("192.0.3.1", NOON), false),
        (
            Some("D\u{43e}lly"),
            Some("lobby"),
            from("192.0.3.1", NOON),
            true,
        ),
        (Some("eve"), Some("lobby"), from("192.0.3.1", NOON), false),
        (None, None, from("192.0.2.200", late), false),
    ] {
        let notice = scene.chat.turned_away(nick, room, now);
        assert_eq!(notice.is_some(), is_turned_away, "{nick:?} {now:?}");
    }
}

#[test]
fn account_that_is_removed_leaves_its_mute_to_its_nick() {
    let mut scene = all_in_the_lobby();
    let by_account = sanction(SanctionKind::Mute, Whom::Account("dan"), Some(60));
    scene.at(NOON, BOB, by_account);
    scene.after(|chat, now, effects| {
        chat.remove_account(account(4), Some(DAN), (now, NOON), effects);
    });
    scene.at(NOON, DAN, say("hello"));
    assert!(matches!(scene.refusal(DAN), Some(Refused::Muted { .. })));
    scene.forget();
    let later = Millis(NOON.0 + 61_000);
    scene.at(later, DAN, say("hello"));
    assert_eq!(scene.refusal(DAN), None);
}

#[test]
fn draft_that_had_to_wait_is_not_said_by_a_member_that_was_muted_or_removed_meanwhile() {
    let lobby = RoomId::new(0, 0);
    for command in [mute("dan"), ban("dan")] {
        let mut scene = all_in_the_lobby();
        let lobby = scene.chat.rooms_of(DAN).next().unwrap_or(lobby);
        let content = Content::said(
            Manner::Message,
            String::from("hello"),
            None,
            Author::Unknown,
        );
        let mut draft = Draft {
            nick: "daniel".into(),
            content,
        };
        let now = Now::from(scene.now);
        let still = scene.chat.may_still_say(DAN, lobby, &mut draft, now);
        assert_eq!((still, draft.nick.as_str()), (Ok(()), "dan"));
        scene.at(NOON, BOB, command);
        let still = scene.chat.may_still_say(DAN, lobby, &mut draft, now);
        assert!(still.is_err(), "{command:?}");
    }
}

#[test]
fn second_connection_of_an_account_neither_mutes_it_nor_lifts_its_mute() {
    let mut scene = all_in_the_lobby();
    let other = ConnId::new(4, 10);
    scene.comes_as(other, 2);
    scene.at(NOON, other, mute("bob"));
    assert_eq!(scene.refusal(other), Some(Refused::Oneself));
    scene.at(NOON, ANN, mute("bob"));
    scene.forget();
    scene.at(NOON, other, lift(SanctionKind::Mute, "bob"));
    assert_eq!(scene.refusal(other), Some(Refused::Oneself));
}
