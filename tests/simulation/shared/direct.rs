//! Direct conversations of accounts at several servers that share an engine. Knows no random.

use super::scene::{Scene, config};
use parlor::chat::registry::{Account, Conversation, Fact, Registry, Snapshot};
use parlor::id::{AccountId, Millis, Seq};
use serde_json::{Value, json};
use std::num::NonZeroU32;
use std::time::Duration;

const PASSWORD: &str = "correct horse battery";

fn account(name: &str) -> [(&'static str, Value); 2] {
    [("account", json!(name)), ("password", json!(PASSWORD))]
}

/// Accounts, none of which is connected any more.
pub(super) fn with_accounts(nodes: usize, names: &[&str]) -> Scene {
    let mut config = config();
    // Clients of scenes answer no ping.
    let hour = Duration::from_secs(3600);
    (config.conn.ping_after, config.conn.silent_timeout) = (hour, 2 * hour);
    let mut scene = Scene::with(nodes, config);
    for name in names {
        let who = scene.comes(0);
        let id = scene.asks(who, "register", &account(name));
        assert_eq!(scene.answer(who, id), Some("ok"));
        scene.goes(who);
    }
    scene.pass(2);
    scene
}

/// A connection that has entered an account; an error: it could not within half a second.
pub(super) fn logs_in_at(
    scene: &mut Scene,
    node: usize,
    name: &str,
    is_plain: bool,
) -> Result<usize, usize> {
    let who = if is_plain {
        let who = scene.enters(node);
        scene.writes(who, &format!("/login {name} {PASSWORD}"));
        who
    } else {
        let who = scene.comes(node);
        scene.asks(who, "login", &account(name));
        who
    };
    scene.pass(5);
    let heard = &scene.clients[who].heard;
    let is_in = |heard: &Value| {
        let line = heard.as_str().unwrap_or_default();
        heard["account"] == name || line.starts_with("* you are logged in as")
    };
    if heard.iter().any(is_in) {
        Ok(who)
    } else {
        Err(who)
    }
}

/// A program that is in no room.
fn logs_in(scene: &mut Scene, node: usize, name: &str) -> usize {
    let who = scene.comes(node);
    let id = scene.asks(who, "login", &account(name));
    assert_eq!(scene.answer(who, id), Some("ok"));
    who
}

/// A person in the lobby.
fn enters_account(scene: &mut Scene, node: usize, name: &str) -> usize {
    let who = scene.enters(node);
    scene.writes(who, &format!("/login {name} {PASSWORD}"));
    let lines = scene.lines(who).join("\n");
    assert!(lines.contains(&format!("logged in as {name}")), "{lines}");
    who
}

impl Scene {
    /// Sends to one, and what follows within 300 ms.
    fn tells(&mut self, who: usize, to: &str, text: &str) -> Option<String> {
        let room = format!("@{to}");
        let id = self.asks(who, "send", &[("room", json!(room)), ("text", json!(text))]);
        self.pass(3);
        self.answer(who, id).map(str::to_owned)
    }

    fn tells_well(&mut self, who: usize, to: &str, text: &str) {
        assert_eq!(self.tells(who, to, text).as_deref(), Some("ok"));
        let answer = self.re(who, self.asked(who)).expect("an answer");
        assert!(answer["seq"].is_u64(), "{answer}");
    }

    /// The texts that a program was shown in the conversation with one.
    fn told(&self, who: usize, by: &str) -> Vec<String> {
        let room = json!(format!("@{by}"));
        let all = self.all(who, "message").into_iter();
        let all = all.filter(|message| message["room"] == room);
        let text = |message: &Value| message["text"].as_str().expect("a text").to_owned();
        all.map(text).collect()
    }

    fn unseen(&self, of: &str) -> u64 {
        let registry = &self.engine.registry;
        let mut accounts = registry.accounts();
        let account = accounts.find(|account| account.name == of).expect("it is");
        let id = account.id;
        let known = registry.conversations_of(id).next().expect("they talked");
        let own = usize::from(known.accounts[1] == id);
        u64::from(known.unseen[own].0)
    }
}

#[test]
fn direct_messages_come_to_all_connections_at_all_servers_once_and_in_order() {
    let mut scene = with_accounts(4, &["ann", "bob"]);
    let (ann, also_ann) = (logs_in(&mut scene, 0, "ann"), logs_in(&mut scene, 2, "ann"));
    let (bob, also_bob) = (logs_in(&mut scene, 1, "bob"), logs_in(&mut scene, 3, "bob"));
    for text in ["one", "two"] {
        scene.tells_well(ann, "bob", text);
    }
    scene.tells_well(bob, "ann", "three");
    for text in ["four", "five"] {
        scene.tells_well(also_ann, "bob", text);
    }
    let all = ["one", "two", "three", "four", "five"];
    for who in [bob, also_bob] {
        assert_eq!(scene.told(who, "ann"), all);
    }
    for who in [ann, also_ann] {
        assert_eq!(scene.told(who, "bob"), all);
    }
    assert_eq!(scene.all(bob, "joined").len(), 1);
    let rooms = scene.asks(bob, "rooms", &[]);
    assert_eq!(scene.re(bob, rooms).expect("an answer")["rooms"], json!([]));
}

#[test]
fn person_at_another_server_is_shown_lines() {
    let mut scene = with_accounts(2, &["ann", "bob"]);
    let ann = enters_account(&mut scene, 0, "ann");
    let bob = enters_account(&mut scene, 1, "bob");
    for text in ["one", "two", "three"] {
        scene.writes(ann, &format!("/msg bob {text}"));
        scene.pass(3);
    }
    let lines = scene.lines(bob);
    let shown = ["one", "two", "three"].map(|text| format!("[from ann] {text}"));
    let found: Vec<&String> = lines.iter().filter(|line| line.contains("[from")).collect();
    assert_eq!(found, shown.each_ref());
    scene.writes(bob, "/msg ann four");
    scene.pass(3);
    let lines = scene.lines(ann);
    assert!(lines.last().expect("lines").contains("four"), "{lines:?}");
    assert_eq!((scene.unseen("ann"), scene.unseen("bob")), (0, 0));
}

#[test]
fn conversation_is_gone_on_with_at_another_server() {
    let mut scene = with_accounts(2, &["ann", "bob"]);
    let ann = logs_in(&mut scene, 0, "ann");
    let bob = logs_in(&mut scene, 0, "bob");
    scene.tells_well(ann, "bob", "one");
    scene.tells_well(ann, "bob", "two");
    let joined = scene.all(bob, "joined")[0].clone();
    scene.goes(bob);
    scene.tells_well(ann, "bob", "three");
    let bob = logs_in(&mut scene, 1, "bob");
    let since = json!({"epoch": joined["epoch"], "seq": 2});
    let id = scene.asks(bob, "join", &[("room", json!("@ann")), ("since", since)]);
    scene.pass(2);
    let back = scene.re(bob, id).expect("an answer");
    assert_eq!(back["recovered"], json!(true), "{back}");
    assert_eq!(scene.told(bob, "ann"), ["three"]);
    scene.tells_well(ann, "bob", "four");
    assert_eq!(scene.told(bob, "ann"), ["three", "four"]);
}

#[test]
fn what_was_seen_elsewhere_is_not_unseen() {
    let mut scene = with_accounts(2, &["ann", "bob"]);
    let ann = logs_in(&mut scene, 0, "ann");
    let bob = logs_in(&mut scene, 1, "bob");
    scene.tells_well(ann, "bob", "seen");
    assert_eq!(scene.told(bob, "ann"), ["seen"]);
    assert_eq!(scene.unseen("bob"), 0);
    scene.tells_well(ann, "bob", "seen as well");
    assert_eq!(scene.unseen("bob"), 0);
    scene.goes(bob);
    scene.tells_well(ann, "bob", "unseen");
    scene.tells_well(ann, "bob", "unseen as well");
    assert_eq!(scene.unseen("bob"), 3);
    let bob = logs_in(&mut scene, 1, "bob");
    let list = scene.all(bob, "conversations")[0]["conversations"].clone();
    assert_eq!(list[0]["unseen"], json!(3));
    scene.pass(2);
    assert_eq!(scene.unseen("bob"), 0);
}

#[test]
fn what_comes_when_one_has_just_left_another_server_is_unseen() {
    let mut scene = with_accounts(2, &["ann", "bob"]);
    let ann = logs_in(&mut scene, 0, "ann");
    let bob = logs_in(&mut scene, 1, "bob");
    scene.tells_well(ann, "bob", "seen");
    // The server of Ann does not know yet.
    scene.goes(bob);
    let id = scene.asks(
        ann,
        "send",
        &[("room", json!("@bob")), ("text", json!("late"))],
    );
    assert_eq!(scene.answer(ann, id), Some("ok"));
    scene.pass(3);
    assert_eq!(scene.unseen("bob"), 2);
}

#[test]
fn one_that_is_ignored_at_one_server_is_refused_at_another() {
    let mut scene = with_accounts(2, &["ann", "bob"]);
    let ann = logs_in(&mut scene, 0, "ann");
    let bob = logs_in(&mut scene, 1, "bob");
    scene.tells_well(ann, "bob", "hello");
    scene.asks(bob, "ignore", &[("nick", json!("ann"))]);
    scene.pass(1);
    assert_eq!(
        scene.tells(ann, "bob", "hello?").as_deref(),
        Some("not_allowed")
    );
    scene.asks(bob, "unignore", &[("nick", json!("ann"))]);
    scene.pass(1);
    scene.tells_well(ann, "bob", "again");
    assert_eq!(scene.told(bob, "ann"), ["hello", "again"]);
}

#[test]
fn what_was_said_while_the_link_was_lost_is_shown_when_it_is_back() {
    let mut scene = with_accounts(2, &["ann", "bob"]);
    let ann = logs_in(&mut scene, 0, "ann");
    let bob = logs_in(&mut scene, 1, "bob");
    let person = enters_account(&mut scene, 1, "bob");
    scene.engine.links(1, false);
    scene.pass(2);
    // Not one hint of these comes.
    scene.tells_well(ann, "bob", "one");
    scene.tells_well(ann, "bob", "two");
    assert_eq!(scene.told(bob, "ann"), Vec::<String>::new());
    scene.lines(person);
    scene.engine.links(1, true);
    scene.pass(3);
    assert_eq!(scene.told(bob, "ann"), ["one", "two"]);
    assert_eq!(
        scene
            .lines(person)
            .iter()
            .filter(|line| line.contains("ann"))
            .count(),
        2
    );
    assert_eq!(scene.unseen("bob"), 0);
    scene.engine.links(1, false);
    scene.pass(2);
    scene.tells_well(ann, "bob", "three");
    scene.engine.links(1, true);
    scene.pass(3);
    assert_eq!(scene.told(bob, "ann"), ["one", "two", "three"]);
}

#[test]
fn what_is_sent_while_the_link_is_lost_waits_for_it() {
    let mut scene = with_accounts(2, &["ann", "bob"]);
    let ann = logs_in(&mut scene, 0, "ann");
    let bob = logs_in(&mut scene, 1, "bob");
    scene.tells_well(ann, "bob", "one");
    scene.engine.links(0, false);
    scene.pass(2);
    assert_eq!(scene.tells(ann, "bob", "two"), None);
    scene.engine.links(0, true);
    scene.pass(3);
    let id = scene.asked(ann);
    assert_eq!(scene.answer(ann, id), Some("ok"));
    assert_eq!(scene.told(bob, "ann"), ["one", "two"]);
}

#[test]
fn other_at_another_server_is_a_member_of_the_conversation() {
    let mut scene = with_accounts(2, &["ann", "bob"]);
    let ann = logs_in(&mut scene, 0, "ann");
    let bob = logs_in(&mut scene, 1, "bob");
    scene.tells_well(ann, "bob", "hello");
    let who = |scene: &mut Scene, of: usize, room: &str| {
        let id = scene.asks(of, "who", &[("room", json!(room))]);
        scene.re(of, id).expect("an answer")["members"].clone()
    };
    assert_eq!(who(&mut scene, ann, "@bob"), json!(["ann", "bob"]));
    assert_eq!(who(&mut scene, bob, "@ann"), json!(["ann", "bob"]));
    scene.goes(bob);
    scene.pass(2);
    assert_eq!(who(&mut scene, ann, "@bob"), json!(["ann"]));
    assert_eq!(scene.all(ann, "member_left").len(), 0);
}

#[test]
fn conversation_ends_at_all_servers_with_one_of_the_accounts() {
    let mut scene = with_accounts(2, &["ann", "bob"]);
    let ann = logs_in(&mut scene, 0, "ann");
    let bob = logs_in(&mut scene, 1, "bob");
    scene.tells_well(ann, "bob", "hello");
    assert_eq!(scene.engine.head("@1.2"), 1);
    scene.asks(ann, "unregister", &[("password", json!(PASSWORD))]);
    scene.pass(3);
    let left = scene.all(bob, "member_left");
    assert_eq!(left.len(), 1);
    assert_eq!(left[0]["room"], json!("@ann"));
    assert_eq!(scene.engine.head("@1.2"), 0);
    assert_eq!(scene.all(bob, "rewound").len(), 0);
    assert_eq!(
        scene.tells(bob, "ann", "hello?").as_deref(),
        Some("no_such_member")
    );
}

#[test]
fn guest_at_another_server_cannot_be_written_to() {
    let mut scene = with_accounts(2, &["ann"]);
    let ann = logs_in(&mut scene, 0, "ann");
    let guest = scene.comes_as(1, "gus");
    let near = scene.comes_as(0, "gil");
    let id = scene.asks(
        ann,
        "send",
        &[("room", json!("@gus")), ("text", json!("hi"))],
    );
    let answer = scene.re(ann, id).expect("an answer");
    assert_eq!(answer["code"], json!("no_such_member"));
    assert!(
        answer["message"]
            .as_str()
            .expect("a sentence")
            .contains("its own server")
    );
    scene.tells_well(ann, "gil", "hi");
    assert_eq!(scene.told(near, "ann"), ["hi"]);
    assert_eq!(
        scene.tells(guest, "ann", "hi").as_deref(),
        Some("no_such_member")
    );
}

#[test]
fn conversation_that_is_one_too_many_ends_at_all_servers() {
    let account = |number: u32| AccountId(NonZeroU32::new(number).expect("not 0"));
    let names = ["ann", "bob", "cat"].map(str::to_owned).into_iter();
    let names = names.chain((4..=502).map(|number| format!("friend{number}")));
    let accounts = (1..).zip(names).map(|(number, name)| {
        Fact::Account(Account {
            id: account(number),
            name: name.into(),
            password: Some(PASSWORD.into()),
            token_subject: None,
            created: Millis(0),
        })
    });
    // Ann has talked to all but Cat, first to Bob.
    let talks = (2..=502).filter(|number| *number != 3).map(|number| {
        Fact::Conversation(Conversation {
            accounts: [account(1), account(number)],
            at: Millis(u64::from(number)),
            unseen: [Seq(0); 2],
        })
    });
    let mut scene = Scene::new(2);
    scene.engine.registry = Registry::restore(Snapshot {
        facts: accounts.chain(talks).collect(),
        changes: 0,
        accounts: 502,
    });
    scene.pass(2);
    let ann = logs_in(&mut scene, 0, "ann");
    let bob = logs_in(&mut scene, 1, "bob");
    // Of that time, so that it stays the oldest.
    scene.asks(bob, "join", &[("room", json!("@ann"))]);
    scene.asks(ann, "join", &[("room", json!("@bob"))]);
    scene.tells_well(ann, "cat", "hello");
    for (who, room) in [(ann, "@bob"), (bob, "@ann")] {
        let left = scene.all(who, "member_left");
        assert_eq!(left.len(), 1);
        assert_eq!(left[0]["room"], json!(room));
    }
    let count = |scene: &Scene| scene.engine.registry.conversations_of(account(1)).count();
    assert_eq!(count(&scene), 500);
    // They may talk again.
    scene.tells_well(bob, "ann", "are you there?");
    assert_eq!(scene.told(ann, "bob"), ["are you there?"]);
    assert_eq!(count(&scene), 500);
}

#[test]
fn what_is_lost_of_a_conversation_is_told_under_the_name_that_each_knows() {
    let mut scene = with_accounts(2, &["ann", "bob"]);
    let ann = logs_in(&mut scene, 0, "ann");
    let bob = logs_in(&mut scene, 1, "bob");
    for text in ["one", "two", "three"] {
        scene.tells_well(ann, "bob", text);
    }
    scene.engine.loses(1);
    scene.pass(2);
    for (who, room) in [(ann, "@bob"), (bob, "@ann")] {
        let told = scene.all(who, "rewound");
        assert_eq!(told.len(), 1);
        assert_eq!(
            (&told[0]["room"], &told[0]["to"]),
            (&json!(room), &json!(2))
        );
    }
    scene.tells_well(ann, "bob", "four");
    assert_eq!(scene.messages(bob).last(), Some(&(3, String::from("four"))));
}

#[test]
fn person_is_shown_what_was_read_before_what_comes_meanwhile() {
    let mut scene = with_accounts(2, &["ann", "bob"]);
    let ann = logs_in(&mut scene, 0, "ann");
    let bob = enters_account(&mut scene, 1, "bob");
    for round in 0..20 {
        // The log is closed where there are no members.
        scene.pass(650);
        scene.engine.faults.late = 50;
        for number in 0..5 {
            let room = json!("@bob");
            let text = json!(format!("{}", 5 * round + number));
            scene.sends(ann, "send", &[("room", room), ("text", text)]);
        }
        scene.turns();
        scene.engine.faults.late = 0;
        scene.pass(3);
    }
    let mut lines = scene.lines(bob);
    lines.retain(|line| line.starts_with("[from"));
    let all: Vec<String> = (0..100)
        .map(|number| format!("[from ann] {number}"))
        .collect();
    let differs = lines.iter().zip(&all).position(|(line, said)| line != said);
    assert_eq!((differs, lines.len()), (None, all.len()), "{lines:?}");
}
