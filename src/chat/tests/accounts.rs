//! Accounts as scenes: one person to a room, however many connections.

use super::*;
use crate::chance::Chance;
use crate::chat::registry::{Fact, FactKey};
use crate::id::AccountId;

const DAY: u64 = 24 * 60 * 60 * 1000;

impl Scene {
    fn registers_at(&mut self, id: ConnId, name: &str, session: u64, wall: Millis) {
        let session = NewSession {
            number: session,
            token: "secret".into(),
        };
        self.after(|chat, now, effects| {
            let hash = SmolStr::new("hash");
            chat.register(id, name, hash, Some(session), (now, wall), effects);
        });
    }

    fn registers(&mut self, id: ConnId, name: &str) {
        self.registers_at(id, name, 1000 + u64::from(id.slot()), Millis(0));
    }

    fn logs_in(&mut self, id: ConnId, account: AccountId) {
        let session = NewSession {
            number: u64::from(id.generation()) << 32 | u64::from(id.slot()),
            token: "secret".into(),
        };
        self.after(|chat, now, effects| {
            chat.log_in(id, account, Some(session), (now, Millis(0)), effects);
        });
    }

    fn logs_out(&mut self, id: ConnId) {
        self.after(|chat, now, effects| chat.log_out(id, None, None, (now, Millis(0)), effects));
    }

    fn account(&self, name: &str) -> AccountId {
        let nick = Nick::parse(name).expect("a name");
        let account = self.chat.registry().account_of_nick(&nick);
        account.expect("an account")
    }

    fn who(&mut self, id: ConnId) -> Vec<String> {
        self.forget();
        self.asks(id, Command::Who(None));
        match &self.heard(id)[..] {
            [
                Seen::Event(Event::Who {
                    members, more: 0, ..
                }),
            ] => {
                let mut names: Vec<String> = members.iter().map(Nick::to_string).collect();
                names.sort();
                names
            }
            other => panic!("{other:?}"),
        }
    }
}

fn left(nick: &str) -> Event {
    Event::Left {
        room: "lobby".into(),
        nick: Nick::parse(nick).unwrap(),
        word: String::new(),
    }
}

#[test]
fn registered_nick_and_those_that_look_like_it_are_its_owners_alone() {
    let mut scene = Scene::new(&Settings::default());
    scene.joins(ANN, "ann");
    scene.registers(ANN, "Ann");
    assert_eq!(scene.nick(ANN), "Ann");
    scene.leaves(ANN);
    // With a Cyrillic а, too.
    for wanted in ["ann", "ANN", "\u{430}nn"] {
        scene.joins(BOB, wanted);
        assert!(scene.nick(BOB).starts_with("guest-"), "{wanted}");
        scene.asks(BOB, Command::Nick(wanted));
        assert!(scene.nick(BOB).starts_with("guest-"), "{wanted}");
        scene.registers(BOB, wanted);
        assert_eq!(scene.chat.account_of(BOB), None);
        scene.leaves(BOB);
    }
    scene.joins(CAT, "cat");
    let account = scene.account("ann");
    scene.logs_in(CAT, account);
    assert_eq!(scene.nick(CAT), "Ann");
    scene.asks(CAT, Command::Nick("cat"));
    assert_eq!(scene.nick(CAT), "Ann", "it is the account's");
    scene.logs_out(CAT);
    assert!(scene.nick(CAT).starts_with("guest-"));
}

#[test]
fn nick_that_another_user_wears_cannot_be_registered() {
    let mut scene = Scene::new(&Settings::default());
    scene.joins(ANN, "ann");
    scene.joins(BOB, "bob");
    scene.registers(BOB, "ANN");
    assert_eq!(scene.chat.account_of(BOB), None);
    assert_eq!(scene.nick(ANN), "ann");
}

#[test]
fn guest_loses_a_nick_that_becomes_an_accounts() {
    let mut scene = Scene::new(&Settings::default());
    scene.joins(ANN, "ann");
    scene.joins(BOB, "bob");
    scene.forget();
    scene.after(|chat, now, effects| {
        let account = chat.account_for_token("site-7", "user", Millis(0), effects);
        chat.log_in(BOB, account.expect("one"), None, (now, Millis(0)), effects);
    });
    assert_eq!(scene.nick(BOB), "user");
    // What an operator adds is added even if a guest has the nick.
    scene.after(|chat, _, effects| {
        chat.add_account("Ann", Some("hash".into()), None, Millis(0), effects)
            .expect("it is free");
    });
    assert!(scene.nick(ANN).starts_with("guest-"));
}

#[test]
fn rooms_see_one_member_however_many_connections_an_account_has() {
    let mut scene = Scene::new(&Settings::default());
    scene.joins(BOB, "bob");
    scene.joins(ANN, "ann");
    scene.registers(ANN, "ann");
    let account = scene.account("ann");
    scene.joins(CAT, "cat");
    scene.forget();
    scene.logs_in(CAT, account);
    assert_eq!(scene.heard(BOB), [left("cat")]);
    assert_eq!(scene.who(BOB), ["ann", "bob"]);
    assert_eq!(scene.who(CAT), ["ann", "bob"]);
    scene.forget();
    scene.leaves(ANN);
    assert_eq!(scene.heard(BOB), NOTHING);
    assert_eq!(scene.who(BOB), ["ann", "bob"]);
    scene.forget();
    scene.leaves(CAT);
    assert_eq!(scene.heard(BOB), [left("ann")]);
}

#[test]
fn log_out_of_one_connection_makes_two_members_of_one() {
    let mut scene = Scene::new(&Settings::default());
    scene.joins(BOB, "bob");
    scene.joins(ANN, "ann");
    scene.registers(ANN, "ann");
    let account = scene.account("ann");
    scene.enters(CAT, None);
    scene.logs_in(CAT, account);
    scene.joins_room(CAT, "lobby");
    scene.forget();
    scene.logs_out(ANN);
    let guest = scene.nick(ANN).to_owned();
    let joined = Event::Joined {
        room: "lobby".into(),
        nick: Nick::parse(&guest).unwrap(),
        has_account: false,
    };
    assert_eq!(scene.heard(BOB), [joined]);
    assert_eq!(scene.who(BOB), ["ann", "bob", guest.as_str()]);
}

#[test]
fn kick_removes_all_connections_of_an_account() {
    let mut scene = Scene::new(&Settings {
        operator_token: Some(String::from("sesame")),
        ..Settings::default()
    });
    scene.joins(BOB, "bob");
    scene.asks(BOB, Command::Op { token: "sesame" });
    scene.enters(ANN, None);
    scene.registers(ANN, "ann");
    let account = scene.account("ann");
    // The first connection of the account is not in the room.
    for id in [CAT, ConnId::new(3, 10)] {
        scene.enters(id, None);
        scene.logs_in(id, account);
        scene.joins_room(id, "lobby");
    }
    scene.asks(
        BOB,
        Command::Kick {
            nick: "ann",
            reason: "",
        },
    );
    assert_eq!(scene.who(BOB), ["bob"]);
    let closed: Vec<ConnId> = scene.closed.iter().map(|(id, _)| *id).collect();
    assert_eq!(closed, [CAT, ConnId::new(3, 10)]);
}

#[test]
fn ninth_connection_of_an_account_takes_the_place_of_the_oldest() {
    let mut scene = Scene::new(&Settings::default());
    scene.joins(ANN, "ann");
    scene.registers(ANN, "ann");
    let account = scene.account("ann");
    for slot in 1..=CONNECTIONS_MAX as u32 {
        let id = ConnId::new(slot, 100 + slot);
        scene.enters(id, None);
        scene.logs_in(id, account);
    }
    assert_eq!(scene.closed, [(ANN, Farewell::Replaced)]);
    assert_eq!(
        scene.chat.connections_of_account(account).len(),
        CONNECTIONS_MAX
    );
}

#[test]
fn session_enters_its_account_until_it_is_not_used_for_30_days() {
    let mut scene = Scene::new(&Settings::default());
    scene.joins(ANN, "ann");
    scene.registers_at(ANN, "ann", 77, Millis(0));
    scene.leaves(ANN);
    for (days, is_in) in [(29, true), (58, true), (88, false), (88, false)] {
        scene.enters(BOB, None);
        scene.after(|chat, now, effects| {
            chat.resume_account(BOB, 77, (now, Millis(days * DAY)), effects);
        });
        assert_eq!(scene.chat.account_of(BOB).is_some(), is_in, "{days}");
        scene.leaves(BOB);
    }
    assert!(scene.chat.registry().session(77).is_none());
}

#[test]
fn account_has_16_sessions_and_the_one_that_was_not_used_longest_ends() {
    let mut scene = Scene::new(&Settings::default());
    scene.joins(ANN, "ann");
    scene.registers(ANN, "ann");
    let account = scene.account("ann");
    for number in 1..=20_u32 {
        let id = ConnId::new(1, 100 + number);
        scene.enters(id, None);
        scene.logs_in(id, account);
        scene.leaves(id);
    }
    let sessions = scene.chat.registry().sessions_of(account);
    assert_eq!(sessions.len(), SESSIONS_MAX);
    let newest = 120_u64 << 32 | 1;
    assert_eq!(sessions.last(), Some(&newest));
}

#[test]
fn account_that_is_gone_takes_its_facts_with_it() {
    let mut scene = Scene::new(&Settings::default());
    scene.joins(ANN, "ann");
    scene.registers(ANN, "ann");
    let account = scene.account("ann");
    scene.joins(CAT, "cat");
    scene.logs_in(CAT, account);
    scene.after(|chat, _, effects| {
        chat.set_token_roles(account, &[String::from("admin")], Millis(0), effects);
    });
    assert_eq!(scene.chat.server_roles(account), [Role::Admin]);
    scene.after(|chat, now, effects| {
        chat.remove_account(account, Some(ANN), (now, Millis(0)), effects);
    });
    assert!(scene.chat.registry().is_empty());
    assert_eq!(scene.closed, [(CAT, Farewell::LoggedOut)]);
    assert_eq!((scene.nick(ANN), scene.chat.account_of(ANN)), ("ann", None));
}

#[test]
fn no_more_accounts_than_allowed_are_made() {
    let mut scene = Scene::new(&Settings {
        accounts_max: 1,
        ..Settings::default()
    });
    scene.joins(ANN, "ann");
    scene.joins(BOB, "bob");
    scene.registers(ANN, "ann");
    scene.registers(BOB, "bob");
    assert!(
        scene
            .heard(BOB)
            .contains(&Seen::Event(Event::Refused(Refused::TooManyAccounts)))
    );
    scene.after(|chat, _, effects| {
        assert!(
            chat.account_for_token("x", "x", Millis(0), effects)
                .is_none()
        );
    });
}

#[test]
fn token_gets_its_nick_or_one_that_can_be_recognised() {
    let mut scene = Scene::new(&Settings::default());
    scene.joins(ANN, "ann");
    for (subject, nick, expected) in [
        ("1", "eve", "eve"),
        ("2", "ann", "ann-2"),
        ("3", "Eve", "Eve-2"),
        ("1", "other", "eve"),
        ("4", "no nick!", "user-2"),
    ] {
        let mut account = None;
        scene.after(|chat, _, effects| {
            account = chat.account_for_token(subject, nick, Millis(0), effects);
        });
        let registry = scene.chat.registry();
        let name = &registry.account(account.unwrap()).unwrap().name;
        assert_eq!(name, expected, "{subject} {nick}");
    }
}

/// Every step of the chat is followed by its invariants, of which one is that a reserved nick is
/// worn by its owner alone; at the end all that was kept makes the same registry again.
#[test]
fn accounts_agree_with_users_after_any_order_of_steps() {
    for seed in 1..if cfg!(miri) { 3 } else { 60 } {
        let mut chance = Chance::new(seed, "accounts");
        let mut scene = Scene::new(&Settings {
            rooms_per_connection: 3,
            ..Settings::default()
        });
        let names = ["ann", "Ann", "bob", "cat", "\u{430}nn"];
        let mut here: Vec<Option<ConnId>> = vec![None; 12];
        for step in 0..300_u32 {
            let slot = chance.below(here.len() as u64) as usize;
            let name = names[chance.below(names.len() as u64) as usize];
            let room = ["lobby", "den"][chance.below(2) as usize];
            let number = chance.below(8);
            let Some(id) = here[slot] else {
                let id = ConnId::new(slot as u32, step + 1);
                scene.enters(id, Some(name));
                here[slot] = Some(id);
                continue;
            };
            if !scene.chat.is_user(id) {
                here[slot] = None;
                continue;
            }
            let nick = Nick::parse(name).unwrap();
            let account = scene.chat.registry().account_of_nick(&nick);
            match number {
                0 => scene.registers_at(id, name, u64::from(step) + 1, Millis(0)),
                1 | 2 => {
                    if let Some(account) = account {
                        scene.logs_in(id, account);
                    }
                }
                3 => scene.logs_out(id),
                4 => scene.joins_room(id, room),
                5 => scene.leaves_room(id, room),
                6 => {
                    scene.leaves(id);
                    here[slot] = None;
                }
                _ => match (account, chance.below(3)) {
                    (Some(account), 0) => scene.after(|chat, now, effects| {
                        let by = Some(id).filter(|id| chat.account_of(*id) == Some(account));
                        chat.remove_account(account, by, (now, Millis(0)), effects);
                    }),
                    (Some(account), 1) => scene.after(|chat, now, effects| {
                        let by = Some(id).filter(|id| chat.account_of(*id) == Some(account));
                        let moment = (now, Millis(0));
                        chat.change_password(account, "x".into(), (by, None), moment, effects);
                    }),
                    _ => scene.asks(id, Command::Nick(name)),
                },
            }
            scene.passes(chance.below(20) as u32);
            scene.forget();
        }
        let registry = scene.chat.registry();
        for account in registry.accounts() {
            assert!(registry.get(&FactKey::Account(account.id)).is_some());
            for session in registry.sessions_of(account.id) {
                let fact = registry.get(&FactKey::Session(*session));
                assert!(matches!(fact, Some(Fact::Session(of)) if of.account == account.id));
            }
        }
        for id in here.into_iter().flatten() {
            scene.leaves(id);
        }
        assert_eq!(scene.chat.user_count(), 0);
    }
}
