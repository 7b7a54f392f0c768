//! How order is kept, from outside: bans at the door and in rooms, what outlives a restart, the files
//! of operators and words.

use super::admin::succeeds;
use super::program::Program;
use super::store::{keeping, keeping_in, stops};
use super::support::{Client, Server, contains, upgrade_request};
use super::unix::Folder;
use serde_json::json;
use std::fs;

const TOKEN: [&str; 2] = ["--operator-token", "sesame"];

fn operator(server: &Server, nick: &str) -> Client {
    let mut client = server.join(nick);
    client.says("/op sesame");
    client.hears_at_last("* you are an operator now");
    client
}

/// A request that a trusted proxy passes on from an address.
fn from(address: &str, path: &str) -> String {
    let field = format!("X-Forwarded-For: {address}\r\nHost:");
    upgrade_request(path).replace("Host:", &field)
}

#[test]
fn guest_is_banned_with_its_address_and_others_are_not() {
    let server = Server::start(&TOKEN);
    let mut ann = operator(&server, "ann");
    let mut mallory = server.connect();
    mallory.send(from("203.0.113.7", "/ws/lobby?nick=mallory").as_bytes());
    assert_eq!(mallory.response().status, 101);
    ann.hears("* mallory joined");
    ann.says("/ban mallory 2h too loud");
    contains(ann.line(), "* mallory was banned by ann until ");
    ann.hears("* mallory left");
    contains(mallory.is_closed_with(4002), "UTC: too loud.");

    // Under another nick; in another room it may be, for the ban is one of the room.
    let again = |request: String| {
        let mut client = server.connect();
        client.send(request.as_bytes());
        client
    };
    let refused = again(from("203.0.113.7", "/ws/lobby?nick=eve")).response();
    assert_eq!(refused.status, 403);
    contains(&refused.body, "You are banned until ");
    contains(&refused.body, ": too loud.");
    assert_eq!(again(from("203.0.113.7", "/ws/den")).response().status, 101);
    assert_eq!(
        again(from("203.0.113.8", "/ws/lobby")).response().status,
        101
    );
    // A page sees no status.
    let page = from("203.0.113.7", "/ws/lobby");
    let origin = "Origin: http://parlor.example\r\nHost:";
    let mut page = again(page.replacen("Host:", origin, 1));
    assert_eq!(page.response().status, 101);
    contains(page.is_closed_with(4002), "You are banned until ");
}

/// Bans by address do not count for the accounts of moderators.
#[test]
fn moderator_that_logs_out_at_a_banned_address_leaves() {
    let server = Server::start(&TOKEN);
    let mut ann = Program::in_room(&server, "ann", "den");
    ann.asks(json!({"type": "op", "token": "sesame"}));
    let mut bob = Program::connect_from(&server, "203.0.113.7");
    let register = json!({"type": "register", "account": "bob",
                          "password": "correct horse battery"});
    assert_eq!(bob.asks(register)["type"], "ok");
    let join = json!({"type": "join", "room": "den"});
    assert_eq!(bob.asks(join)["type"], "joined");
    let role = json!({"type": "role", "room": "den", "account": "bob", "role": "moderator"});
    assert_eq!(ann.asks(role)["type"], "ok");
    let ban = json!({"type": "ban", "room": "den", "address": "203.0.113.7"});
    assert_eq!(ann.asks(ban)["type"], "ok");
    let send = json!({"type": "send", "room": "den", "text": "still here"});
    assert_eq!(bob.asks(send.clone())["type"], "ok");

    assert_eq!(bob.asks(json!({"type": "logout"}))["type"], "ok");
    assert_eq!(bob.asks(send)["code"], "not_a_member");
}

#[test]
fn program_is_told_why_it_may_not_join() {
    let server = Server::start(&TOKEN);
    let mut ann = Program::in_room(&server, "ann", "den");
    ann.asks(json!({"type": "op", "token": "sesame"}));
    let mut bob = Program::in_room(&server, "bob", "den");
    let ban = json!({"type": "ban", "room": "den", "nick": "bob", "seconds": 3600,
                     "reason": "spam"});
    assert_eq!(ann.asks(ban)["type"], "ok");
    let you = loop {
        let object = bob.next();
        if object["you"] == true {
            break object;
        }
    };
    assert_eq!(
        (&you["type"], &you["room"], &you["reason"]),
        (&json!("banned"), &json!("den"), &json!("spam"))
    );
    assert!(you["until"].is_u64());
    let refused = bob.asks(json!({"type": "join", "room": "den"}));
    assert_eq!(
        (&refused["type"], &refused["code"]),
        (&json!("error"), &json!("banned"))
    );
    assert_eq!(
        bob.asks(json!({"type": "join", "room": "attic"}))["type"],
        "joined"
    );
    let list = ann.asks(json!({"type": "sanctions", "room": "den", "limit": 5}));
    assert_eq!(list["sanctions"][0]["nick"], "bob");
    // Lifted, it may.
    let unban = json!({"type": "unban", "room": "den", "nick": "B0B"});
    assert_eq!(ann.asks(unban)["type"], "ok");
    assert_eq!(
        bob.asks(json!({"type": "join", "room": "den"}))["type"],
        "joined"
    );
    // A ban from the server ends the connection.
    assert_eq!(
        ann.asks(json!({"type": "ban", "nick": "bob"}))["type"],
        "ok"
    );
    let you = loop {
        let object = bob.next();
        if object["you"] == true {
            break object;
        }
    };
    assert!(you.get("room").is_none());
    bob.client.is_closed_with(4002);
}

#[test]
fn bans_mutes_and_topics_outlive_the_server() {
    let folder = Folder::new("moderation-restart");
    let start = || {
        let mut command = keeping(&folder.0);
        Server::spawn(command.args(["--listen", "127.0.0.1:0"]).args(TOKEN), 1)
    };
    let server = start();
    let mut ann = operator(&server, "ann");
    for (command, expected) in [
        ("/topic badgers", "* ann changed the topic: badgers"),
        ("/ban mallory 7d", "* mallory was banned by ann until "),
        ("/mute bob", "* bob was muted by ann"),
        ("/ban -s eve", "* eve is banned"),
    ] {
        ann.says(command);
        contains(ann.line(), expected);
    }
    ann.leaves();
    stops(server);

    // The audit log has each act once, the newest first, while no server runs and when one does.
    let acts = [
        "\"action\":\"ban\"",
        "\"mute\"",
        "\"ban\",\"room\":\"lobby\"",
        "\"topic\"",
    ];
    let rows = succeeds(&folder.0, &["audit"]);
    assert_eq!(rows.lines().count(), acts.len(), "{rows}");
    for (row, act) in rows.lines().zip(acts) {
        contains(row, act);
        contains(row, "\"by\":\"ann (operator operator)\"");
    }
    let server = start();
    assert_eq!(succeeds(&folder.0, &["audit"]), rows);
    assert_eq!(succeeds(&folder.0, &["audit", "lobby"]).lines().count(), 3);
    let mut dora = Program::in_room(&server, "dora", "lobby");
    dora.asks(json!({"type": "op", "token": "sesame"}));
    let page = dora.asks(json!({"type": "audit", "limit": 2}));
    let numbers = |page: &serde_json::Value| -> Vec<u64> {
        let rows = page["rows"].as_array().expect("rows");
        rows.iter()
            .filter_map(|row| row["number"].as_u64())
            .collect()
    };
    assert_eq!((numbers(&page), &page["more"]), (vec![4, 3], &json!(true)));
    let page = dora.asks(json!({"type": "audit", "before": 3}));
    assert_eq!((numbers(&page), &page["more"]), (vec![2, 1], &json!(false)));
    for nick in ["mallory", "eve"] {
        let mut client = server.connect();
        client.send(upgrade_request(&format!("/ws?nick={nick}")).as_bytes());
        assert_eq!(client.response().status, 403, "{nick}");
    }
    let mut bob = server.join("bob");
    bob.says("hello");
    bob.hears_at_last("* you are muted");
    let mut cat = Program::connect(&server, "cat");
    let joined = cat.asks(json!({"type": "join", "room": "lobby"}));
    assert_eq!(joined["topic"], "badgers");
}

#[test]
fn without_a_store_the_audit_log_is_in_memory() {
    let server = Server::start(&TOKEN);
    let mut ann = operator(&server, "ann");
    for (command, expected) in [
        ("/topic badgers", "* ann changed the topic: badgers"),
        ("/mute bob 10m loud", "* bob was muted by ann until "),
    ] {
        ann.says(command);
        contains(ann.line(), expected);
    }
    ann.says("/audit");
    let rows = ann.line();
    contains(&rows, "* 2 ");
    contains(&rows, "ann (operator operator) mute bob in lobby until ");
    contains(&rows, "(loud)");
}

#[test]
fn operators_and_words_come_from_files() {
    let folder = Folder::new("moderation-files");
    let (operators, words) = (folder.path("operators"), folder.path("words"));
    fs::write(&operators, "# ours\ndora t0ken\nemil other\n").expect("a file");
    fs::write(&words, "badger\n").expect("a file");
    let mut command = keeping(&folder.0);
    command.args(["--listen", "127.0.0.1:0", "--word-filter-mode", "refuse"]);
    command.arg("--operators").arg(&operators);
    command.arg("--word-filter").arg(&words);
    let server = Server::spawn(&mut command, 1);
    let (mut ann, mut bob) = server.ann_and_bob();
    bob.says("a b\u{430}dger");
    contains(bob.line(), "not delivered");
    ann.says("/op other");
    ann.hears("* you are an operator now");
    ann.says("a badger");
    bob.hears("ann: a badger");
    stops(server);
    // The next start keeps what this one kept.
    stops(keeping_in(&folder.0));
}

#[test]
fn file_that_is_wrong_is_named_before_the_server_listens() {
    let folder = Folder::new("moderation-bad-files");
    let path = folder.path("operators");
    fs::write(&path, "dora\n").expect("a file");
    for (option, expected) in [
        (
            "--operators",
            "operators: line 1: expected a name and a token",
        ),
        ("--word-filter", "there: No such file"),
    ] {
        let mut command = keeping(&folder.0);
        let path = if option == "--operators" {
            path.clone()
        } else {
            folder.path("there")
        };
        command.arg(option).arg(path);
        let (status, _, errors) = super::support::finish(&mut command);
        assert_eq!(status.code(), Some(1));
        contains(&errors, expected);
    }
}
