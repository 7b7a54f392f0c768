//! How order is kept, as scenes: who may do what to whom, and what is written down of it.

mod rooms;
mod sanctions;

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

pub(super) fn with_accounts() -> Scene {
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
    pub(super) fn comes_as(&mut self, id: ConnId, number: u32) {
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
    pub(super) fn refusal(&mut self, id: ConnId) -> Option<Refused> {
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

pub(super) const fn ban(nick: &str) -> Command<'_> {
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
fn account_that_is_there_twice_is_kicked_by_one_above_both_connections() {
    let mut scene = all_in_the_lobby();
    let other = ConnId::new(4, 10);
    scene.comes_as(other, 3);
    scene.at(NOON, other, Command::Op { token: "secret" });
    scene.forget();
    for actor in [BOB, other] {
        scene.at(
            NOON,
            actor,
            Command::Kick {
                nick: "cat",
                reason: "",
            },
        );
        assert!(scene.refusal(actor).is_some(), "{actor:?}");
        assert!(scene.is_in(CAT) && scene.is_in(other));
    }
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

const fn gives<'a>(account: &'a str, role: Role) -> Command<'a> {
    Command::Role {
        reach: Reach::Room,
        account,
        role,
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
