//! Direct messages between real clients: of programs, of lines, of accounts that are away, and what
//! is refused. The name that the log has for two is never shown.

use super::program::Program;
use super::store::{keeping_in, stops};
use super::support::{Server, contains};
use super::unix::Folder;
use serde_json::{Value, json};

const PASSWORD: &str = "correct horse battery";

fn register(name: &str) -> Value {
    json!({"type": "register", "account": name, "password": PASSWORD})
}

fn login(name: &str) -> Value {
    json!({"type": "login", "account": name, "password": PASSWORD})
}

fn account(server: &Server, name: &str) -> Program {
    let mut program = Program::connect(server, "");
    assert_eq!(program.asks(register(name))["type"], "ok");
    program
}

fn send(to: &str, text: &str) -> Value {
    json!({"type": "send", "room": to, "text": text})
}

impl Program {
    /// The next object of a type. What comes before it is left out.
    fn next_of(&mut self, kind: &str) -> Value {
        loop {
            let object = self.next();
            if object["type"] == kind {
                return object;
            }
        }
    }

    /// Its direct message, with the name of the conversation and the number.
    fn hears_from(&mut self, room: &str, seq: u32, text: &str) {
        let message = self.next_of("message");
        let found = (&message["room"], &message["seq"], &message["text"]);
        assert_eq!(
            found,
            (&json!(room), &json!(seq), &json!(text)),
            "{message}"
        );
    }
}

#[test]
fn two_programs_talk_and_each_sees_the_others_name() {
    let server = Server::start(&[]);
    let mut ann = Program::connect(&server, "ann");
    let mut bob = Program::connect(&server, "bob");
    let mut cat = Program::in_room(&server, "cat", "den");
    let sent = ann.asks(send("@bob", "hello"));
    assert_eq!((&sent["room"], &sent["seq"]), (&json!("@bob"), &json!(1)));
    let joined = bob.next();
    assert_eq!(
        (
            &joined["type"],
            &joined["room"],
            &joined["after"],
            &joined["members"]
        ),
        (&json!("joined"), &json!("@ann"), &json!(0), &json!(["ann"]))
    );
    bob.hears_from("@ann", 1, "hello");
    // Under a name that looks the same, and in the same conversation.
    let sent = bob.asks(send("@ANN", "hi"));
    assert_eq!((&sent["room"], &sent["seq"]), (&json!("@ann"), &json!(2)));
    ann.hears_from("@bob", 2, "hi");

    let edit = json!({"type": "edit", "room": "@bob", "seq": 1, "text": "hello, Bob"});
    assert_eq!(ann.asks(edit)["room"], "@bob");
    let edited = bob.next_of("edited");
    assert_eq!(
        (&edited["room"], &edited["of"]),
        (&json!("@ann"), &json!(1))
    );
    let delete = |seq| json!({"type": "delete", "room": "@ann", "seq": seq});
    assert_eq!(bob.asks(delete(1))["code"], "not_allowed", "it is Ann's");
    assert_eq!(bob.asks(delete(2))["type"], "ok");
    let history = ann.asks(json!({"type": "history", "room": "@bob"}));
    let entries = history["entries"].as_array().expect("entries");
    assert_eq!(entries.len(), 4);
    assert!(
        entries.iter().all(|entry| entry["room"] == "@bob"),
        "{history}"
    );
    assert_eq!(entries[0]["text"], "hello, Bob");
    assert_eq!(entries[1]["deleted"], true);
    let found = bob.asks(json!({"type": "search", "room": "@ann", "query": "hello"}));
    assert_eq!(found["entries"][0]["room"], "@ann", "{found}");
    ann.client.says(r#"{"type":"typing","room":"@bob"}"#);
    let typing = bob.next_of("typing");
    assert_eq!(
        (&typing["room"], &typing["nick"]),
        (&json!("@ann"), &json!("ann"))
    );

    // None of it is another's.
    let rooms = cat.asks(json!({"type": "rooms"}));
    assert_eq!(rooms["rooms"], json!([{"room": "den", "count": 1}]));
    for room in ["@g1.g2", "@1.2", "@g2.g1"] {
        let join = cat.asks(json!({"type": "join", "room": room}));
        assert_eq!(join["code"], "no_such_member", "{room}");
        let history = cat.asks(json!({"type": "history", "room": room}));
        assert_eq!(history["code"], "not_a_member", "{room}");
    }
}

#[test]
fn program_comes_back_to_what_it_missed() {
    let server = Server::start(&[]);
    let mut ann = account(&server, "ann");
    let mut bob = account(&server, "bob");
    for text in ["one", "two", "three"] {
        ann.asks(send("@bob", text));
    }
    let first = bob.next_of("joined");
    bob.hears_from("@ann", 1, "one");
    drop(bob);
    let mut bob = Program::connect(&server, "");
    assert_eq!(bob.asks(login("bob"))["type"], "ok");
    let since = json!({"epoch": first["epoch"], "seq": 1});
    let joined = bob.asks(json!({"type": "join", "room": "@ann", "since": since}));
    assert_eq!(
        (&joined["recovered"], &joined["seq"]),
        (&json!(true), &json!(3)),
        "{joined}"
    );
    bob.hears_from("@ann", 2, "two");
    bob.hears_from("@ann", 3, "three");
    assert_eq!(
        bob.asks(json!({"type": "leave", "room": "@ann"}))["type"],
        "ok"
    );
    ann.asks(send("@bob", "four"));
    assert_eq!(bob.next_of("joined")["after"], 3);
    bob.hears_from("@ann", 4, "four");
}

#[test]
fn lines_and_programs_talk() {
    let server = Server::start(&[]);
    let mut ann = Program::connect(&server, "ann");
    let mut bob = server.join("bob");
    let mut cat = server.join("cat");
    bob.hears("* cat joined");
    ann.asks(send("@bob", "hello"));
    bob.hears("[from ann] hello");
    bob.says("/msg ann hi there");
    bob.hears("[to ann] hi there");
    ann.hears_from("@bob", 2, "hi there");
    bob.says("/msg @cat psst");
    bob.hears("[to cat] psst");
    cat.hears("[from bob] psst");
    ann.asks(json!({"type": "send", "room": "@bob", "kind": "action", "text": "waves"}));
    bob.hears("[from ann] ** ann waves");
    let edit = json!({"type": "edit", "room": "@bob", "seq": 1, "text": "hello, Bob"});
    ann.asks(edit);
    bob.hears("[from ann] * ann corrected message 1: hello, Bob");
    bob.says("/msgs ann 9");
    let expected = "* earlier:\n[from ann] hello, Bob\n[to ann] hi there\n\
                    [from ann] ** ann waves\n* now:";
    assert_eq!(bob.line(), expected);
    for (line, expected) in [
        ("/msg", "* something is missing: /msg NICK WORDS"),
        ("/msg ann", "* something is missing: /msg NICK WORDS"),
        ("/msg bob hello", "* that would be done to yourself"),
        (
            "/msg eve hello",
            "* eve is not here; messages wait only for members with an account",
        ),
        (
            "/msgs eve",
            "* eve is not here; messages wait only for members with an account",
        ),
    ] {
        bob.says(line);
        bob.hears(expected);
    }
}

#[test]
fn all_connections_of_an_account_are_in_its_conversations() {
    let server = Server::start(&[]);
    let mut ann = account(&server, "ann");
    let mut second = Program::connect(&server, "");
    assert_eq!(second.asks(login("ann"))["type"], "ok");
    let mut third = server.join("carl");
    third.says(&format!("/login ann {PASSWORD}"));
    third.hears_at_last("* you are logged in as ann");
    let mut bob = Program::connect(&server, "bob");
    bob.asks(send("@ann", "hello"));
    third.hears("[from bob] hello");
    for program in [&mut ann, &mut second] {
        assert_eq!(program.next_of("joined")["room"], "@bob");
        program.hears_from("@bob", 1, "hello");
    }
    second.asks(send("@bob", "hi"));
    ann.hears_from("@bob", 2, "hi");
    third.hears("[to bob] hi");
    bob.hears_from("@ann", 2, "hi");
}

#[test]
fn account_that_is_away_finds_its_messages_after_a_restart() {
    let folder = Folder::new("direct-away");
    let server = keeping_in(&folder.0);
    let mut ann = account(&server, "ann");
    drop(account(&server, "bob"));
    // Once the server has seen that Bob is gone, the message is one that came while he was away.
    let mut eve = Program::connect(&server, "eve");
    loop {
        let joined = eve.asks(json!({"type": "join", "room": "@bob"}));
        eve.asks(json!({"type": "leave", "room": "@bob"}));
        if joined["count"] == 1 {
            break;
        }
    }
    let sent = ann.asks(send("@bob", "are you there?"));
    assert_eq!((&sent["type"], &sent["seq"]), (&json!("ok"), &json!(1)));
    drop((ann, eve));
    stops(server);

    let server = keeping_in(&folder.0);
    let mut bob = server.join("carl");
    bob.says(&format!("/login bob {PASSWORD}"));
    bob.hears_at_last("* you are logged in as bob");
    bob.hears("* messages came while you were away, from ann; /msgs ann shows them");
    bob.says("/msgs ann");
    assert_eq!(bob.line(), "* earlier:\n[from ann] are you there?\n* now:");
    let mut program = Program::connect(&server, "");
    program.asks(login("bob"));
    let list = program.asks(json!({"type": "conversations"}));
    let first = &list["conversations"][0];
    assert_eq!(first["room"], "@ann", "{list}");
    assert_eq!(first.get("unseen"), None, "he was shown it");
    let joined = program.asks(json!({"type": "join", "room": "@ann", "history": 9}));
    assert_eq!((&joined["count"], &joined["seq"]), (&json!(1), &json!(1)));
    program.hears_from("@ann", 1, "are you there?");
    program.asks(send("@ann", "now I am"));
    let report = program.asks(json!({"type": "account"}));
    assert_eq!(report["conversations"], json!(["ann"]));
}

#[test]
fn what_a_guest_says_is_not_on_the_disk() {
    let folder = Folder::new("direct-guest");
    let server = keeping_in(&folder.0);
    let mut ann = account(&server, "ann");
    let mut eve = Program::connect(&server, "eve");
    eve.asks(send("@ann", "a secret of a guest"));
    ann.hears_from("@eve", 1, "a secret of a guest");
    let found = ann.asks(json!({"type": "search", "room": "@eve", "query": "secret"}));
    assert_eq!(found["entries"][0]["text"], "a secret of a guest");
    drop(eve);
    let left = ann.next_of("member_left");
    assert_eq!(
        (&left["room"], &left["nick"]),
        (&json!("@eve"), &json!("eve"))
    );
    let refused = ann.asks(send("@eve", "come back"));
    assert_eq!(refused["code"], "no_such_member");
    contains(
        refused["message"].as_str().expect("a text"),
        "eve is not here; messages wait only for members with an account",
    );
    // The next of that name begins anew.
    let mut eve = Program::connect(&server, "eve");
    let joined = eve.asks(json!({"type": "join", "room": "@ann", "history": 9}));
    assert_eq!(joined["seq"], 0);
    drop((ann, eve));
    stops(server);
    for file in std::fs::read_dir(&folder.0).expect("a folder") {
        let bytes = std::fs::read(file.expect("a file").path()).unwrap_or_default();
        let secret = b"a secret of a guest";
        assert!(!bytes.windows(secret.len()).any(|part| part == secret));
    }
}

#[test]
fn name_that_is_registered_again_sees_nothing_of_before() {
    let folder = Folder::new("direct-again");
    let server = keeping_in(&folder.0);
    let mut ann = account(&server, "ann");
    let mut bob = account(&server, "bob");
    bob.asks(send("@ann", "between us"));
    ann.hears_from("@bob", 1, "between us");
    let unregister = json!({"type": "unregister", "password": PASSWORD});
    assert_eq!(ann.asks(unregister)["type"], "ok");
    assert_eq!(bob.next_of("member_left")["room"], "@ann");
    let list = bob.asks(json!({"type": "conversations"}));
    assert_eq!(list["conversations"], json!([]));
    assert_eq!(ann.asks(register("ann"))["type"], "ok");
    let joined = ann.asks(json!({"type": "join", "room": "@bob", "history": 9}));
    assert_eq!(
        (&joined["type"], &joined["seq"]),
        (&json!("joined"), &json!(0))
    );
    drop((ann, bob));
    stops(server);
}

#[test]
fn ignored_client_is_refused_and_after_a_restart_as_well() {
    let folder = Folder::new("direct-ignore");
    let server = keeping_in(&folder.0);
    let mut ann = account(&server, "ann");
    let mut eve = Program::connect(&server, "eve");
    let ignore = json!({"type": "ignore", "nick": "EVE"});
    assert_eq!(ann.asks(ignore)["type"], "ok");
    let refused = eve.asks(send("@ann", "hello"));
    assert_eq!(refused["code"], "not_allowed");
    assert_eq!(refused["message"], "ann does not take messages from you");
    drop((ann, eve));
    stops(server);

    let server = keeping_in(&folder.0);
    let mut eve = Program::connect(&server, "eve");
    assert_eq!(eve.asks(send("@ann", "hello"))["code"], "not_allowed");
    let mut ann = server.join("carl");
    ann.says(&format!("/login ann {PASSWORD}"));
    ann.hears_at_last("* you are logged in as ann");
    ann.says("/ignored");
    ann.hears("* you take no messages from EVE");
    ann.says("/unignore eve");
    ann.hears("* you take messages from eve");
    assert_eq!(eve.asks(send("@ann", "hello"))["type"], "ok");
    ann.hears("[from eve] hello");
}

#[test]
fn direct_messages_have_a_limit_of_their_own() {
    let server = Server::start(&["--directs-per-minute", "3", "--message-rate", "0"]);
    let mut ann = Program::in_room(&server, "ann", "den");
    let _bob = Program::connect(&server, "bob");
    assert_eq!(ann.asks(send("@bob", "one"))["type"], "ok");
    let refused = ann.asks(send("@bob", "two"));
    assert_eq!(refused["code"], "too_fast");
    assert!(refused["retry_ms"].as_u64() > Some(1_000), "{refused}");
    assert_eq!(ann.asks(send("den", "three"))["type"], "ok");
}
