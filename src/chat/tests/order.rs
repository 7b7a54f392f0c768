//! How order is kept, as scenes: roles, bans, mutes, topics, the word filter.

use super::*;
use crate::chat::registry::{Account, Fact, Rules, SanctionKind, Scope, Snapshot, Subject};
use crate::id::AccountId;
use std::net::IpAddr;
use std::num::NonZeroU32;

const DAN: ConnId = ConnId::new(3, 10);
const NOON: Millis = Millis(1_795_694_400_000);

pub(super) fn account(number: u32) -> AccountId {
    AccountId(NonZeroU32::new(number).expect("not 0"))
}

/// The accounts ann, bob, cat and dan, of which ann owns the lobby, bob keeps order in it and cat is
/// voiced.
pub(super) fn facts() -> Vec<Fact> {
    let names = ["ann", "bob", "cat", "dan"].into_iter().zip(1..);
    let accounts = names.map(|(name, number)| {
        Fact::Account(Account {
            id: account(number),
            name: name.into(),
            password: None,
            token_subject: None,
            created: NOON,
        })
    });
    let roles = [Role::Owner, Role::Moderator, Role::Voiced]
        .into_iter()
        .zip(1..);
    let roles = roles.map(|(role, number)| Fact::Role {
        scope: Scope::Room("lobby".into()),
        account: account(number),
        role,
    });
    accounts.chain(roles).collect()
}

fn with_accounts() -> Scene {
    let mut scene = lobby();
    scene.chat.restore(Snapshot {
        facts: facts(),
        changes: 0,
        accounts: 4,
    });
    scene
}

/// All four are in the lobby, with their accounts.
fn all_in_the_lobby() -> Scene {
    let mut scene = with_accounts();
    for (id, number) in [(ANN, 1), (BOB, 2), (CAT, 3), (DAN, 4)] {
        scene.comes_as(id, number);
    }
    scene.forget();
    scene
}

/// The same, but Dan is a guest.
fn with_a_guest() -> Scene {
    let mut scene = with_accounts();
    for (id, number) in [(ANN, 1), (BOB, 2), (CAT, 3)] {
        scene.comes_as(id, number);
    }
    scene.joins(DAN, "Dolly");
    scene.forget();
    scene
}

impl Scene {
    /// Joins the lobby with an account.
    fn comes_as(&mut self, id: ConnId, number: u32) {
        self.enters(id, None);
        self.after(|chat, now, effects| chat.enter_account(id, account(number), now, effects));
        self.joins_room(id, "lobby");
    }

    fn at(&mut self, wall: Millis, id: ConnId, command: Command<'_>) {
        self.from(wall, None, id, command);
    }

    fn from(&mut self, wall: Millis, address: Option<IpAddr>, id: ConnId, command: Command<'_>) {
        self.after(|chat, tick, effects| {
            let now = Now {
                tick,
                wall,
                address,
            };
            chat.handle(id, None, command, now, effects);
        });
    }

    /// What a user is refused with.
    fn refusal(&mut self, id: ConnId) -> Option<Refused> {
        self.heard(id).into_iter().find_map(|seen| match seen {
            Seen::Event(Event::Refused(why)) => Some(why),
            _ => None,
        })
    }

    fn is_in(&self, id: ConnId) -> bool {
        self.chat.rooms_of(id).next().is_some()
    }
}

const fn sanction<'a>(kind: SanctionKind, whom: Whom<'a>, seconds: Option<u32>) -> Command<'a> {
    Command::Sanction(Order {
        kind,
        reach: Reach::Room,
        whom,
        address: None,
        seconds,
        purge_seconds: None,
        reason: "loud",
    })
}

const fn ban(nick: &str) -> Command<'_> {
    sanction(SanctionKind::Ban, Whom::Nick(nick), None)
}

const fn mute(nick: &str) -> Command<'_> {
    sanction(SanctionKind::Mute, Whom::Nick(nick), None)
}

const fn lift(kind: SanctionKind, nick: &str) -> Command<'_> {
    Command::Lift {
        kind,
        reach: Reach::Room,
        whom: Whom::Nick(nick),
    }
}

fn everywhere(command: Command<'_>) -> Command<'_> {
    match command {
        Command::Sanction(order) => Command::Sanction(Order {
            reach: Reach::Server,
            ..order
        }),
        other => other,
    }
}

fn act(act: Act, nick: &str, by: &str, detail: &str) -> Draft {
    Draft {
        nick: nick.into(),
        content: Content::Act {
            act,
            by: by.to_owned(),
            detail: detail.to_owned(),
            until: None,
        },
    }
}

#[test]
fn role_is_the_higher_one_of_the_room_and_the_server() {
    let mut scene = all_in_the_lobby();
    scene.joins_room(DAN, "den");
    let roles = |scene: &mut Scene, name| {
        let room = scene.room(name);
        [ANN, BOB, CAT].map(|id| scene.chat.role_of(id, room))
    };
    let expected = [Role::Owner, Role::Moderator, Role::Voiced];
    assert_eq!(roles(&mut scene, "lobby"), expected);
    assert_eq!(roles(&mut scene, "den"), [Role::Member; 3]);
    scene.asks(CAT, Command::Op { token: "secret" });
    let lobby = scene.room("lobby");
    assert_eq!(scene.chat.role_of(CAT, lobby), Role::Admin);
}

#[test]
fn only_those_who_keep_order_purge_and_no_equal_or_higher_one() {
    let ranks = [
        (ANN, "ann", 3),
        (BOB, "bob", 2),
        (CAT, "cat", 1),
        (DAN, "dan", 0),
    ];
    for (actor, _, rank) in ranks {
        for (target, nick, other) in ranks {
            // The same whether the target is there or only its account.
            for is_there in [true, false] {
                let mut scene = all_in_the_lobby();
                if !is_there && actor != target {
                    scene.after(|chat, now, effects| chat.exit(target, now, effects));
                }
                let lobby = scene.room("lobby");
                let mut effects = Effects::new();
                let purge = Command::Purge { nick, seconds: 60 };
                scene.chat.handle(actor, None, purge, Tick(0), &mut effects);
                let is_asked = matches!(effects[..], [Effect::Purge { .. }]);
                let may = rank >= 2 && (rank > other || actor == target);
                assert_eq!(is_asked, may, "{nick} by {actor:?}");
                let claim = (actor == target, Some(account(4 - other)));
                assert_eq!(scene.chat.may_purge(actor, lobby, claim), may);
            }
        }
    }
}

#[test]
fn report_is_seen_by_those_who_keep_order_in_the_room_and_by_no_other() {
    let mut scene = all_in_the_lobby();
    let report = |reason| Command::Report { of: Seq(7), reason };
    scene.asks(CAT, report("rude"));
    let is_report = |seen: &Seen| matches!(seen, Seen::Event(Event::Reported(_)));
    for (id, sees) in [(ANN, true), (BOB, true), (CAT, false), (DAN, false)] {
        let heard = scene.heard(id);
        assert_eq!(heard.iter().any(is_report), sees, "{id:?}");
        let kept = Seen::Event(Event::ReportKept { moderators: 2 });
        assert_eq!(heard.contains(&kept), id == CAT, "{id:?}");
    }
    // A moderator does not notify itself.
    scene.asks(BOB, report(""));
    let kept = Seen::Event(Event::ReportKept { moderators: 1 });
    assert_eq!(scene.heard(BOB), [kept]);
}

#[test]
fn host_keeps_order_as_an_admin_does_and_is_one_until_it_is_answered() {
    const HOST: ConnId = ConnId::new(50, 1);
    let mut scene = all_in_the_lobby();
    let lobby = scene.room("lobby");
    let name = SmolStr::new_static("lobby");
    let hosted = |scene: &mut Scene, room, command| {
        scene.after(|chat, now, effects| {
            chat.handle_host(HOST, room, command, now.into(), effects);
        });
    };
    let place = Some((Some(lobby), &name));
    hosted(&mut scene, place, ban("bob"));
    assert!(!scene.is_in(BOB));
    let banned = Seen::Entry(Draft {
        nick: "bob".into(),
        content: Content::Act {
            act: Act::Ban,
            by: String::from("operator"),
            detail: String::from("loud"),
            until: None,
        },
    });
    assert!(scene.heard(CAT).contains(&banned));
    // An admin is its equal.
    scene.asks(DAN, Command::Op { token: "secret" });
    hosted(&mut scene, place, mute("dan"));
    let outranked =
        |seen: &Seen| matches!(seen, Seen::Event(Event::Refused(Refused::Outranked { .. })));
    assert!(scene.heard(HOST).iter().any(outranked));
    // In a room without members, and on the server.
    let den = SmolStr::new_static("den");
    hosted(&mut scene, Some((None, &den)), ban("cat"));
    let scope = Scope::Room(SmolStr::new_static("den"));
    assert_eq!(scene.chat.registry().sanctions(&scope).count(), 2);
    hosted(&mut scene, None, everywhere(mute("cat")));
    assert_eq!(scene.chat.registry().sanctions(&Scope::Server).count(), 2);
    assert_eq!(scene.chat.role_on_server(HOST), Role::Admin);
    scene.chat.host_is_answered(HOST);
    assert_eq!(scene.chat.role_on_server(HOST), Role::Member);
    assert_eq!(scene.chat.role_of(HOST, lobby), Role::Member);
}

#[test]
fn nobody_acts_on_one_with_an_equal_or_a_higher_role() {
    let ranks = [
        (ANN, "ann", 3),
        (BOB, "bob", 2),
        (CAT, "cat", 1),
        (DAN, "dan", 0),
    ];
    let kick = |nick| Command::Kick { nick, reason: "" };
    for (actor, _, rank) in ranks {
        for (target, name, other) in ranks {
            for command in [kick(name), ban(name), mute(name)] {
                let mut scene = all_in_the_lobby();
                scene.at(NOON, actor, command);
                // Only an owner and a moderator keep order.
                let may = rank >= 2 && rank > other;
                let is_refused = scene.refusal(actor).is_some();
                assert_eq!(is_refused, !may, "{command:?} by {actor:?}");
                let is_removed = may && command != mute(name);
                assert_eq!(scene.is_in(target), !is_removed, "{command:?} by {actor:?}");
                let is_muted = command == mute(name) && may;
                if scene.is_in(target) && scene.is_in(CAT) {
                    scene.at(NOON, target, say("hello"));
                    let heard = scene.heard(CAT);
                    let is_heard = heard.iter().any(|seen| *seen == said(name, "hello"));
                    assert_eq!(is_heard, !is_muted);
                }
            }
        }
    }
}

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
fn operators_with_names_are_known_to_the_audit_log() {
    let mut scene = Scene::new(&Settings {
        operator_token: Some(String::from("secret")),
        operators: Operator::parse_list("dora t0ken\nemil other").expect("a list"),
        ..Settings::default()
    });
    scene.joins(ANN, "ann");
    for (token, expected) in [
        ("secret", "ann (operator operator)"),
        ("other", "ann (operator emil)"),
        ("t0ken", "ann (operator dora)"),
    ] {
        scene.asks(ANN, Command::Op { token });
        assert_eq!(scene.chat.known_as(ANN), expected);
    }
    scene.joins(BOB, "bob");
    scene.asks(BOB, Command::Op { token: "t0ken2" });
    assert!(!scene.chat.is_operator(BOB));
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

const fn gives<'a>(account: &'a str, role: Role) -> Command<'a> {
    Command::Role {
        reach: Reach::Room,
        account,
        role,
    }
}

fn rules(change: RoomChange) -> Command<'static> {
    Command::Room {
        change,
        password: None,
    }
}

#[test]
fn owner_gives_roles_below_its_own_and_the_only_owner_keeps_its_role() {
    let mut scene = all_in_the_lobby();
    for (actor, account, role, expected) in [
        (ANN, "dan", Role::Moderator, None),
        (
            ANN,
            "nobody",
            Role::Voiced,
            Some(Refused::NoSuchAccount {
                name: "nobody".into(),
            }),
        ),
        (
            ANN,
            "dan",
            Role::Owner,
            Some(Refused::Outranked { nick: "dan".into() }),
        ),
        (ANN, "ann", Role::Member, Some(Refused::Oneself)),
        (BOB, "cat", Role::Member, Some(Refused::NotAllowed)),
    ] {
        scene.forget();
        scene.at(NOON, actor, gives(account, role));
        assert_eq!(scene.refusal(actor), expected, "{account} {role:?}");
    }
    let lobby = scene.room("lobby");
    assert_eq!(scene.chat.role_of(DAN, lobby), Role::Moderator);
    scene.asks(BOB, Command::Op { token: "secret" });
    scene.forget();
    scene.at(NOON, BOB, gives("ann", Role::Member));
    assert_eq!(scene.refusal(BOB), Some(Refused::OnlyOwner));
    scene.at(NOON, BOB, gives("dan", Role::Owner));
    scene.at(NOON, BOB, gives("ann", Role::Member));
    assert_eq!(scene.refusal(BOB), None);
    assert_eq!(scene.chat.role_of(ANN, lobby), Role::Member);
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
    // Who comes later does not.
    scene.joins_room(CAT, "den");
    scene.after(|chat, _, effects| chat.has_made(CAT, den, now, effects));
    assert_eq!(scene.chat.role_of(CAT, den), Role::Member);
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
