//! Rooms that are not open to all: with a password, with a past that newcomers do not see, and rooms
//! that only some may make.

use super::program::Program;
use super::store::{keeping, keeping_in, stops};
use super::support::{Client, Server, contains, upgrade_request};
use super::unix::Folder;
use serde_json::{Value, json};
use std::fs;

const TOKEN: [&str; 2] = ["--operator-token", "sesame"];
const WORD: &str = "a word between friends";

/// An operator in a room.
fn keeper(server: &Server, room: &str) -> Program {
    let mut ann = Program::in_room(server, "ann", room);
    assert_eq!(
        ann.asks(json!({"type": "op", "token": "sesame"}))["type"],
        "ok"
    );
    ann
}

fn changes(program: &mut Program, room: &str, mut fields: Value) {
    fields["type"] = "room".into();
    fields["room"] = room.into();
    let answer = program.asks(fields);
    assert_eq!(answer["type"], "ok", "{answer}");
}

fn join(room: &str, password: Option<&str>) -> Value {
    let mut join = json!({"type": "join", "room": room});
    if let Some(password) = password {
        join["password"] = password.into();
    }
    join
}

fn says(program: &mut Program, room: &str, text: &str) -> u64 {
    let sent = program.asks(json!({"type": "send", "room": room, "text": text}));
    sent["seq"].as_u64().expect("a number")
}

/// A client of plain text, as far as the 101.
fn plain(server: &Server, path: &str) -> Client {
    let mut client = server.connect();
    client.send(upgrade_request(path).as_bytes());
    assert_eq!(client.response().status, 101);
    client
}

#[test]
fn room_with_a_password_is_joined_with_it() {
    let server = Server::start(&TOKEN);
    let mut ann = keeper(&server, "den");
    let mut bob = Program::in_room(&server, "bob", "den");
    changes(&mut ann, "den", json!({"password": WORD}));
    // A member stays in, and sees that there is one.
    let settings = loop {
        let object = bob.next();
        if object["type"] == "settings" {
            break object;
        }
    };
    assert_eq!(settings["has_password"], true, "{settings}");
    assert!(!settings.to_string().contains(WORD));
    let mut cat = Program::connect(&server, "cat");
    for wrong in [None, Some("another"), Some("")] {
        let refused = cat.asks(join("den", wrong));
        assert_eq!(refused["code"], "wrong_password", "{wrong:?}");
    }
    let joined = cat.asks(join("den", Some(WORD)));
    assert_eq!(
        (&joined["type"], &joined["settings"]),
        (&json!("joined"), &json!({"has_password": true}))
    );
    // An operator needs none.
    let mut dora = Program::connect(&server, "dora");
    dora.asks(json!({"type": "op", "token": "sesame"}));
    let joined = dora.asks(join("den", None));
    assert_eq!(
        (&joined["type"], &joined["role"]),
        (&json!("joined"), &json!("admin"))
    );
    // Without it again, for all.
    changes(&mut ann, "den", json!({"password": ""}));
    let mut emil = Program::connect(&server, "emil");
    let joined = emil.asks(join("den", None));
    assert_eq!(joined["type"], "joined");
    assert!(joined.get("settings").is_none(), "{joined}");
}

#[test]
fn client_of_lines_shows_the_password_in_its_url() {
    let server = Server::start(&TOKEN);
    let mut ann = plain(&server, "/ws/den?nick=ann");
    contains(ann.line(), "* welcome to den, ann.");
    for (said, heard) in [
        ("/room password open sesame", "* you may not do that here"),
        ("/op sesame", "* you are an operator now"),
        (
            "/room password open sesame",
            "* ann changed the room: has_password=true",
        ),
    ] {
        ann.says(said);
        ann.hears(heard);
    }
    ann.says("/room");
    contains(ann.line(), ", with a password");
    let mut none = plain(&server, "/ws/den");
    contains(none.is_closed_with(4006), "?password=");
    let mut wrong = plain(&server, "/ws/den?password=open");
    contains(wrong.is_closed_with(4006), "not the password");
    let mut bob = plain(&server, "/ws/den?nick=bob&password=open%20sesame");
    contains(bob.line(), "* welcome to den, bob.");
    ann.hears("* bob joined");
    // What was to be a command is not said.
    ann.says(" /room password open sesame");
    contains(ann.line(), "that was not said");
    ann.says("/room password off");
    ann.hears("* ann changed the room: has_password=false");
    bob.hears_at_last("* ann changed the room: has_password=false");
    let mut cat = plain(&server, "/ws/den?nick=cat");
    contains(cat.line(), "* welcome to den, cat.");
}

#[test]
fn client_that_comes_back_is_not_asked_again_unless_the_password_is_another() {
    let server = Server::start(&TOKEN);
    let mut ann = keeper(&server, "den");
    changes(&mut ann, "den", json!({"password": WORD}));
    let mut bob = Program::connect(&server, "bob");
    assert_eq!(bob.asks(join("den", Some(WORD)))["type"], "joined");
    let resumes = |old: Program| {
        let mut new = Program::connect(&server, "");
        let session = old.hello["session"].clone();
        drop(old);
        let resumed = new.asks(json!({"type": "resume", "session": session}));
        assert_eq!(resumed["type"], "ok", "{resumed}");
        for field in ["session", "nick"] {
            new.hello[field] = resumed[field].clone();
        }
        new
    };
    let mut bob = resumes(bob);
    assert_eq!(bob.asks(join("den", None))["type"], "joined");
    changes(&mut ann, "den", json!({"password": "another"}));
    // It was in while the password was changed.
    let mut bob = resumes(bob);
    assert_eq!(bob.asks(join("den", None))["type"], "joined");
    let (session, nick) = (bob.hello["session"].clone(), bob.hello["nick"].clone());
    drop(bob);
    loop {
        let object = ann.next();
        if object["type"] == "member_left" && object["nick"] == nick {
            break;
        }
    }
    changes(&mut ann, "den", json!({"password": WORD}));
    let mut bob = Program::connect(&server, "");
    bob.asks(json!({"type": "resume", "session": session}));
    assert_eq!(bob.asks(join("den", None))["code"], "wrong_password");
    // One that leaves by itself comes as a new one.
    assert_eq!(bob.asks(join("den", Some(WORD)))["type"], "joined");
    assert_eq!(
        bob.asks(json!({"type": "leave", "room": "den"}))["type"],
        "ok"
    );
    assert_eq!(bob.asks(join("den", None))["code"], "wrong_password");
}

#[test]
fn password_of_a_room_is_kept_as_a_hash_and_is_not_logged() {
    let folder = Folder::new("rooms-secret");
    let store = folder.path("store");
    let mut with_log = keeping(&store);
    with_log
        .args(["--listen", "127.0.0.1:0", "--log", "trace"])
        .args(TOKEN);
    let server = Server::spawn(&mut with_log, 1);
    let mut ann = keeper(&server, "den");
    changes(&mut ann, "den", json!({"password": WORD}));
    let encoded = WORD.replace(' ', "%20");
    let mut bob = plain(&server, &format!("/ws/den?nick=bob&password={encoded}"));
    contains(bob.line(), "* welcome to den");
    let mut eve = plain(&server, "/ws/den?password=notthis1");
    eve.is_closed_with(4006);
    let audit = ann
        .asks(json!({"type": "audit", "room": "den"}))
        .to_string();
    contains(&audit, "has_password=true");
    assert!(!audit.contains(WORD));
    let history = ann
        .asks(json!({"type": "history", "room": "den"}))
        .to_string();
    contains(&history, "\"has_password\":true");
    assert!(!history.contains(WORD));
    drop((ann, bob));
    while let Some(line) = server.try_error_line() {
        for word in [WORD, &encoded, "notthis1"] {
            assert!(!line.contains(word), "{line}");
        }
    }
    stops(server);
    for file in fs::read_dir(&store).expect("a folder") {
        let bytes = fs::read(file.expect("a file").path()).expect("it is read");
        let has = |word: &str| {
            bytes
                .windows(word.len())
                .any(|part| part == word.as_bytes())
        };
        assert!(!has(WORD) && !has("notthis1"));
    }
    // The room has it after a restart too.
    let server = keeping_in(&store);
    let mut cat = Program::connect(&server, "cat");
    assert_eq!(cat.asks(join("den", None))["code"], "wrong_password");
    assert_eq!(cat.asks(join("den", Some(WORD)))["type"], "joined");
}

#[test]
fn guesses_of_a_rooms_password_are_limited_by_address() {
    let server = Server::start(&TOKEN);
    let mut ann = keeper(&server, "den");
    changes(&mut ann, "den", json!({"password": WORD}));
    let mut eve = Program::connect(&server, "eve");
    let mut refused = 0;
    let late = loop {
        let answer = eve.asks(join("den", Some("a guess")));
        if answer["code"] != "wrong_password" {
            break answer;
        }
        refused += 1;
    };
    // One was taken by the setting of the password; on a slow machine a minute passes meanwhile.
    assert!(refused >= 19, "{refused}");
    assert_eq!(late["code"], "too_fast", "{late}");
    assert!(late["retry_ms"].as_u64() > Some(0));
}

#[test]
fn newcomer_reads_nothing_of_what_was_said_before_it_came() {
    let folder = Folder::new("rooms-past");
    let mut with_operator = keeping(&folder.0);
    with_operator.args(["--listen", "127.0.0.1:0"]).args(TOKEN);
    let server = Server::spawn(&mut with_operator, 1);
    let mut ann = keeper(&server, "den");
    says(&mut ann, "den", "an old secret");
    changes(&mut ann, "den", json!({"newcomers_read": false}));
    let newest = says(&mut ann, "den", "another old secret");
    let mut bob = Program::connect(&server, "bob");
    let joined = bob.asks(json!({"type": "join", "room": "den", "history": 100}));
    assert_eq!(joined["settings"], json!({"newcomers_read": false}));
    assert_eq!(joined["after"], newest, "{joined}");
    // Nor by saying that it was there, by pages, or by words.
    bob.asks(json!({"type": "leave", "room": "den"}));
    let since = json!({"epoch": joined["epoch"], "seq": 0});
    let rejoined = bob.asks(json!({"type": "join", "room": "den", "since": since}));
    assert_eq!(rejoined["recovered"], false);
    let first = says(&mut bob, "den", "a new word");
    for request in [
        json!({"type": "history", "room": "den"}),
        json!({"type": "history", "room": "den", "before": first}),
        json!({"type": "history", "room": "den", "after": 0, "limit": 1}),
        json!({"type": "search", "room": "den", "query": "secret"}),
    ] {
        let page = bob.asks(request.clone());
        let entries = page["entries"].as_array().expect("entries");
        let old = entries
            .iter()
            .find(|entry| entry["seq"].as_u64() < Some(first));
        assert_eq!(old, None, "{request}");
        assert_eq!(page["more"], false, "{request}");
    }
    // A client of lines.
    let mut cat = plain(&server, "/ws/den?nick=cat&history=50");
    contains(cat.line(), "* welcome to den, cat.");
    cat.says("hello");
    cat.hears("cat: hello");
    cat.says("/history 50");
    cat.hears("* earlier:");
    cat.hears("cat: hello");
    cat.hears("* now:");
    cat.says("/numbers 50");
    let numbers = cat.line();
    assert!(!numbers.contains("secret") && numbers.contains("cat: hello"));
    cat.says("/search secret");
    cat.hears("* nothing was found");
    // Who keeps order reads all.
    let mut dora = Program::connect(&server, "dora");
    dora.asks(json!({"type": "op", "token": "sesame"}));
    dora.asks(join("den", None));
    let page = dora.asks(json!({"type": "search", "room": "den", "query": "secret"}));
    assert_eq!(page["entries"].as_array().map(Vec::len), Some(2));
}

#[test]
fn client_that_comes_back_reads_on_from_where_it_joined_first() {
    let server = Server::start(&TOKEN);
    let mut ann = keeper(&server, "den");
    says(&mut ann, "den", "before");
    changes(&mut ann, "den", json!({"newcomers_read": false}));
    let mut bob = Program::connect(&server, "bob");
    let joined = bob.asks(join("den", None));
    let first = says(&mut bob, "den", "here I am");
    let session = bob.hello["session"].clone();
    drop(bob);
    let missed = says(&mut ann, "den", "while you were away");
    let mut bob = Program::connect(&server, "");
    bob.asks(json!({"type": "resume", "session": session}));
    let since = json!({"epoch": joined["epoch"], "seq": first});
    let back = bob.asks(json!({"type": "join", "room": "den", "since": since}));
    assert_eq!(back["recovered"], true, "{back}");
    let next = loop {
        let object = bob.next();
        if object["type"] == "message" {
            break object;
        }
    };
    assert_eq!(next["seq"], missed);
    let page = bob.asks(json!({"type": "history", "room": "den"}));
    let seqs: Vec<u64> = page["entries"]
        .as_array()
        .expect("entries")
        .iter()
        .filter_map(|entry| entry["seq"].as_u64())
        .collect();
    assert_eq!(seqs, [first, missed]);
}

#[test]
fn client_that_was_banned_from_the_server_comes_back_as_a_newcomer() {
    let server = Server::start(&TOKEN);
    let mut ann = keeper(&server, "den");
    changes(&mut ann, "den", json!({"newcomers_read": false}));
    let mut bob = Program::in_room(&server, "bob", "den");
    says(&mut bob, "den", "here I am");
    changes(&mut ann, "den", json!({"password": WORD}));
    let session = bob.hello["session"].clone();
    ann.asks(json!({"type": "ban", "nick": "bob"}));
    bob.is_closed_with(4002);
    let newest = says(&mut ann, "den", "without Bob");
    let bans = ann.asks(json!({"type": "sanctions"}));
    for ban in bans["sanctions"].as_array().expect("bans") {
        let mut unban = json!({"type": "unban"});
        for about in ["nick", "address"] {
            if let Some(value) = ban.get(about) {
                unban[about] = value.clone();
            }
        }
        assert_eq!(ann.asks(unban)["type"], "ok", "{ban}");
    }
    let mut bob = Program::connect(&server, "");
    let resumed = bob.asks(json!({"type": "resume", "session": session}));
    assert_eq!(resumed["type"], "ok", "{resumed}");
    assert_eq!(bob.asks(join("den", None))["code"], "wrong_password");
    assert_eq!(bob.asks(join("den", Some(WORD)))["after"], newest);
}

#[test]
fn rooms_are_made_by_those_who_may() {
    let options = ["--rooms", "listed", "--listed-room", "Garden"];
    let server = Server::start(&[&TOKEN[..], &options].concat());
    let mut ann = Program::connect(&server, "ann");
    for (room, expected) in [
        ("lobby", "joined"),
        ("garden", "joined"),
        ("den", "no_such_room"),
    ] {
        let answer = ann.asks(join(room, None));
        let said = answer.get("code").unwrap_or_else(|| &answer["type"]);
        assert_eq!(said, expected, "{answer}");
    }
    // Those of the operators have no other owner.
    ann.asks(json!({"type": "register", "account": "ann", "password": "correct horse"}));
    ann.asks(json!({"type": "leave", "room": "garden"}));
    assert_eq!(ann.asks(join("garden", None))["role"], "member");
    contains(
        plain(&server, "/ws/den").is_closed_with(4003),
        "there is no such room",
    );
    let mut dora = Program::connect(&server, "dora");
    dora.asks(json!({"type": "op", "token": "sesame"}));
    assert_eq!(dora.asks(join("den", None))["type"], "joined");
    // It is there now, and has members.
    assert_eq!(ann.asks(join("den", None))["type"], "joined");
}

#[test]
fn room_with_an_owner_outlives_its_last_member() {
    let folder = Folder::new("rooms-owned");
    let server = keeping_in(&folder.0);
    let mut ann = Program::connect(&server, "ann");
    ann.asks(json!({"type": "register", "account": "ann", "password": "correct horse"}));
    assert_eq!(ann.asks(join("den", None))["type"], "joined");
    changes(&mut ann, "den", json!({"slow_seconds": 5, "keep_days": 9}));
    assert_eq!(
        ann.asks(json!({"type": "leave", "room": "den"}))["type"],
        "ok"
    );
    drop(ann);
    stops(server);
    let server = keeping_in(&folder.0);
    let mut bob = Program::connect(&server, "bob");
    let rooms = bob.asks(json!({"type": "rooms"}));
    assert_eq!(rooms["rooms"], json!([{"room": "den", "count": 0}]));
    let joined = bob.asks(join("den", None));
    assert_eq!(
        joined["settings"],
        json!({"slow_seconds": 5, "keep_days": 9})
    );
    assert_eq!(joined["role"], "member");
    let mut ann = Program::connect(&server, "");
    ann.asks(json!({"type": "login", "account": "ann", "password": "correct horse"}));
    let joined = ann.asks(join("den", None));
    assert_eq!(joined["role"], "owner");
    assert!(joined.get("accounts").is_none());
    let members = bob.asks(json!({"type": "who", "room": "den"}));
    assert_eq!(members["accounts"], json!(["ann"]));
}

#[test]
fn rooms_of_one_address_are_limited_and_those_of_the_server_too() {
    let options = ["--rooms-per-address-hour", "2", "--max-rooms", "3"];
    let server = Server::start(&[&options[..], &["--trusted-proxy", "none"]].concat());
    let mut ann = Program::connect(&server, "ann");
    for room in ["one", "two"] {
        assert_eq!(ann.asks(join(room, None))["type"], "joined");
    }
    let refused = ann.asks(join("three", None));
    assert_eq!(refused["code"], "too_fast", "{refused}");
    assert!(refused["retry_ms"].as_u64() > Some(1_000_000));
    assert_eq!(server.counter("limited"), 1);
    contains(
        plain(&server, "/ws/three").is_closed_with(1013),
        "that was too often",
    );
    // The lobby is made by none.
    assert_eq!(ann.asks(join("lobby", None))["type"], "joined");
    let mut bob = Program::connect(&server, "bob");
    assert_eq!(bob.asks(join("two", None))["type"], "joined");
    assert_eq!(bob.asks(join("four", None))["code"], "too_many");
}
