//! Changes of the registry are kept, whole, once and in order, also after a restart.

use super::*;
use crate::chat::Role;
use crate::chat::registry::{
    Account, AccountSession, Audit, Change, Conversation, Fact, Prefix, Rules, Sanction,
    SanctionKind, Scope, Snapshot, Subject,
};
use crate::id::AccountId;
use std::num::NonZeroU32;

const ANN: AccountId = AccountId(NonZeroU32::new(7).expect("not zero"));
const BOB: AccountId = AccountId(NonZeroU32::new(9).expect("not zero"));

/// One fact of every form.
fn facts() -> Vec<Fact> {
    let sanction = |scope: Scope, kind, subject, until| {
        Fact::Sanction(Sanction {
            scope,
            kind,
            subject,
            until,
            by: "bob".into(),
            at: NOW,
            reason: "noise".into(),
        })
    };
    let address = |address: &str, bits| {
        let address = address.parse().expect("an address");
        Subject::Address(Prefix::new(address, bits))
    };
    let den = Scope::Room("den".into());
    let rules = Rules {
        topic: "tea: 茶".into(),
        slow_seconds: 30,
        is_moderated: true,
        is_locked: true,
        is_hidden: true,
        password: Some("$argon2id$".into()),
        newcomers_read: false,
        keep_days: Some(3),
    };
    let mut facts = vec![
        Fact::Account(Account {
            id: ANN,
            name: "Ann".into(),
            password: Some("$argon2id$v=19".into()),
            token_subject: None,
            created: NOW,
        }),
        Fact::Session(AccountSession {
            session: u64::MAX,
            account: ANN,
            seen: NOW,
        }),
        sanction(
            den.clone(),
            SanctionKind::Mute,
            Subject::Nick("eve".into()),
            None,
        ),
        sanction(den, SanctionKind::Ban, Subject::Account(ANN), Some(NOW)),
        sanction(
            Scope::Server,
            SanctionKind::Ban,
            address("192.0.2.9", 24),
            None,
        ),
        sanction(
            Scope::Server,
            SanctionKind::Ban,
            address("2001:db8::1", 64),
            None,
        ),
        Fact::Rules {
            room: "den".into(),
            rules,
        },
        Fact::Rules {
            room: "attic".into(),
            rules: Rules::default(),
        },
        Fact::Role {
            scope: Scope::Server,
            account: ANN,
            role: Role::Admin,
        },
    ];
    let roles = [Role::Voiced, Role::Moderator, Role::Owner];
    facts.extend(roles.into_iter().map(|role| Fact::Role {
        scope: Scope::Room(role.name().into()),
        account: ANN,
        role,
    }));
    facts.push(Fact::Conversation(Conversation {
        accounts: [ANN, BOB],
        at: NOW,
        unseen: [Seq(0), Seq(12)],
    }));
    for subject in [Subject::Nick("eve".into()), Subject::Account(BOB)] {
        facts.push(Fact::Ignored {
            account: ANN,
            subject,
        });
    }
    facts.sort_by_key(Fact::key);
    facts
}

pub(super) fn change(number: u64, puts: Vec<Fact>) -> Change {
    Change {
        number,
        at: NOW,
        puts,
        forgets: Vec::new(),
        audit: Some(Audit {
            action: "ban".into(),
            by: "bob".into(),
            room: None,
            target: "eve".into(),
            detail: "noise".into(),
            until: Some(NOW),
        }),
    }
}

impl Scene {
    pub(super) fn changes(&mut self, change: Change) {
        let number = change.number;
        self.ask(Request::Change(Box::new(change)));
        self.wait_for(|answer| match answer {
            Answer::Changed { upto } if *upto >= number => Some(()),
            _ => None,
        });
    }

    /// What a start finds.
    fn snapshot(&self) -> Snapshot {
        let mut kept = self.started.registry.clone();
        kept.facts.sort_by_key(Fact::key);
        kept
    }
}

/// The numbers of the rows of the audit log.
fn audited(scratch: &Scratch) -> Vec<i64> {
    let db = rusqlite::Connection::open(scratch.file()).expect("it is a database");
    let mut rows = db
        .prepare("SELECT number FROM audit ORDER BY number")
        .expect("a table");
    let numbers = rows.query_map([], |row| row.get(0)).expect("rows");
    numbers.collect::<Result<_, _>>().expect("numbers")
}

#[test]
fn facts_of_every_form_are_there_after_a_restart() {
    let scratch = Scratch::new();
    let mut scene = Scene::open(&scratch);
    assert_eq!(scene.snapshot(), Snapshot::default());
    scene.changes(change(1, facts()));
    drop(scene);
    let expected = Snapshot {
        facts: facts(),
        changes: 1,
        accounts: 7,
    };
    assert_eq!(Scene::open(&scratch).snapshot(), expected);
}

#[test]
fn facts_that_were_forgotten_are_gone_and_numbers_stay() {
    let scratch = Scratch::new();
    let mut scene = Scene::open(&scratch);
    scene.changes(change(1, facts()));
    let mut forgetting = change(2, Vec::new());
    forgetting.forgets = facts().iter().map(Fact::key).collect();
    scene.changes(forgetting);
    drop(scene);
    let expected = Snapshot {
        facts: Vec::new(),
        changes: 2,
        accounts: 7,
    };
    assert_eq!(Scene::open(&scratch).snapshot(), expected);
}

#[test]
fn newest_fact_of_a_key_holds() {
    let scratch = Scratch::new();
    let mut scene = Scene::open(&scratch);
    let role = |role| Fact::Role {
        scope: Scope::Server,
        account: ANN,
        role,
    };
    scene.changes(change(1, vec![role(Role::Admin)]));
    scene.changes(change(2, vec![role(Role::ServerModerator)]));
    drop(scene);
    let kept = Scene::open(&scratch).snapshot().facts;
    assert_eq!(kept, [role(Role::ServerModerator)]);
}

#[test]
fn change_that_comes_again_is_ignored() {
    let scratch = Scratch::new();
    let mut scene = Scene::open(&scratch);
    scene.changes(change(1, facts()));
    let mut again = change(1, Vec::new());
    again.forgets = facts().iter().map(Fact::key).collect();
    scene.changes(again);
    scene.changes(change(2, Vec::new()));
    drop(scene);
    assert_eq!(audited(&scratch), [1, 2]);
    assert_eq!(Scene::open(&scratch).snapshot().facts, facts());
}

#[test]
fn change_that_was_handed_over_is_kept_when_the_handle_is_dropped() {
    let scratch = Scratch::new();
    let mut scene = Scene::open(&scratch);
    scene.says(ROOM, 1, "hello");
    scene.ask(Request::Change(Box::new(change(1, facts()))));
    drop(scene);
    let mut scene = Scene::open(&scratch);
    assert_eq!(scene.snapshot().facts, facts());
    assert_eq!(scene.texts(ROOM, 0), ["hello"]);
}
