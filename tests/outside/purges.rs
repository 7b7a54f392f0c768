//! Purges and reports over real sockets, by lines, by programs and by the commands of an operator; and
//! that the files of the store have nothing of what was deleted.

use super::admin::{ask, fails, get, post, succeeds};
use super::program::Program;
use super::store::{keeping, stops};
use super::support::{Client, Server, contains, eventually};
use super::unix::Folder;
use serde_json::{Value, json};
use std::fs;
use std::path::Path;

const TOKEN: [&str; 2] = ["--operator-token", "sesame"];

fn start(folder: &Folder) -> Server {
    let mut command = keeping(&folder.0);
    command.args(["--listen", "127.0.0.1:0", "--message-rate", "0"]);
    Server::spawn(command.args(TOKEN), 1)
}

fn operator(server: &Server, nick: &str) -> Client {
    let mut client = server.join(nick);
    client.says("/op sesame");
    client.hears_at_last("* you are an operator now");
    client
}

/// Whether the files of a store have these words somewhere.
fn has(directory: &Path, words: &str) -> bool {
    let files = fs::read_dir(directory).expect("a folder");
    let mut files = files.filter_map(Result::ok);
    files.any(|file| {
        let bytes = fs::read(file.path()).unwrap_or_default();
        bytes
            .windows(words.len())
            .any(|part| part == words.as_bytes())
    })
}

#[test]
fn purged_words_are_gone_from_the_files_of_the_store_and_others_stay() {
    let folder = Folder::new("purges-files");
    let server = start(&folder);
    let mut ann = operator(&server, "ann");
    let mut mallory = server.join("mallory");
    for number in 0..30 {
        mallory.says(&format!("buy snakeoil {number}"));
        ann.hears_at_last(&format!("mallory: buy snakeoil {number}"));
    }
    ann.says("a word that stays");
    ann.hears_at_last("ann: a word that stays");
    eventually("it is stored", || has(&folder.0, "buy snakeoil 29"));
    ann.says("/purge mallory 10m");
    ann.hears_at_last("* 30 messages of mallory were deleted");
    mallory.hears_at_last("* message 1 was deleted by ann");
    eventually("it is gone", || !has(&folder.0, "snakeoil"));
    assert!(has(&folder.0, "a word that stays"));
    stops(server);
    assert!(!has(&folder.0, "snakeoil"));
    let rows = succeeds(&folder.0, &["audit"]);
    contains(&rows, "\"action\":\"purge\"");
    contains(&rows, "\"target\":\"mallory\",\"detail\":\"30\"");
}

#[test]
fn lines_ban_with_a_purge_and_report() {
    let server = Server::start(&TOKEN);
    let mut ann = operator(&server, "ann");
    let mut bob = server.join("bob");
    let mut mallory = server.join("mallory");
    mallory.says("buy this");
    bob.hears_at_last("mallory: buy this");
    bob.says("/report #1 it is spam");
    bob.hears("* a moderator sees your report");
    ann.hears_at_last("* bob reports message 1 of mallory (it is spam): buy this");
    ann.says("/ban mallory 2h purge 10m spam");
    contains(bob.line(), "* mallory was banned by ann until ");
    bob.hears("* message 1 was deleted by ann");
    ann.hears_at_last("* 1 message of mallory was deleted");
    bob.says("/purge ann 10m");
    bob.hears_at_last("* you may not do that here");
    bob.says("/help purge");
    contains(bob.line(), "* /purge NICK 10m|2h|7d");
    bob.says("/prge ann 10m");
    contains(bob.line(), "is it /purge?");
}

#[test]
fn program_purges_and_reports_and_objects_are_those_of_the_schema() {
    let server = Server::start(&TOKEN);
    let mut ann = Program::in_room(&server, "ann", "den");
    ann.asks(json!({"type": "op", "token": "sesame"}));
    let mut eve = Program::in_room(&server, "eve", "den");
    for text in ["one", "two"] {
        eve.asks(json!({"type": "send", "room": "den", "text": text}));
    }
    let report = json!({"type": "report", "room": "den", "seq": 2, "reason": "me"});
    assert_eq!(eve.asks(report)["moderators"], 1);
    loop {
        let object = ann.next();
        if object["type"] == "reported" {
            assert_eq!(
                (&object["text"], &object["by"]),
                (&json!("two"), &json!("eve"))
            );
            break;
        }
    }
    let purge = json!({"type": "purge", "room": "den", "nick": "eve", "seconds": 60});
    assert_eq!(ann.asks(purge.clone())["count"], 2);
    assert_eq!(ann.asks(purge)["count"], 0);
    let page = eve.asks(json!({"type": "history", "room": "den"}));
    let of = |entry: &Value| entry["of"].as_u64();
    let deleted: Vec<u64> = page["entries"]
        .as_array()
        .expect("a page")
        .iter()
        .filter_map(of)
        .collect();
    assert_eq!(deleted, [1, 2]);
    let audit = ann.asks(json!({"type": "audit", "room": "den"}));
    let actions: Vec<&str> = audit["rows"]
        .as_array()
        .expect("rows")
        .iter()
        .filter_map(|row| row["action"].as_str())
        .collect();
    assert_eq!(actions, ["purge", "report"]);
}

#[test]
fn operator_keeps_order_by_commands_with_the_same_rules_and_rows() {
    let folder = Folder::new("orders");
    let server = start(&folder);
    let order = |arguments: &[&str]| succeeds(&folder.0, arguments);
    let mut ann = server.join("ann");
    let mut mallory = server.join("mallory");
    mallory.says("spam");
    ann.hears_at_last("mallory: spam");
    assert_eq!(order(&["topic", "badgers", "--room", "lobby"]), "done\n");
    ann.hears("* operator changed the topic: badgers");
    assert_eq!(order(&["delete", "1", "--room", "lobby"]), "done\n");
    ann.hears("* message 1 was deleted by operator");
    mallory.says("more spam");
    ann.hears_at_last("mallory: more spam");
    let purge = ["purge", "MALLORY", "--room", "lobby", "--last", "10m"];
    assert_eq!(order(&purge), "1 message was deleted\n");
    ann.hears("* message 4 was deleted by operator");
    order(&[
        "mute", "ann", "--room", "lobby", "--for", "2h", "--reason", "loud",
    ]);
    contains(ann.line(), "* ann was muted by operator until ");
    contains(order(&["sanctions", "--room", "lobby"]), "mute ann ");
    contains(
        order(&["sanctions", "--room", "lobby", "--json"]),
        "\"reason\":\"loud\"",
    );
    order(&["unmute", "ann", "--room", "lobby"]);
    ann.hears("* ann is not muted any more, says operator");
    order(&["room", "--room", "lobby", "--slow", "30s", "--locked", "on"]);
    ann.hears("* operator changed the room: slow_seconds=30 locked=true");
    contains(order(&["room", "--room", "lobby"]), "locked: true\n");
    order(&["kick", "mallory", "--room", "lobby", "--reason", "spam"]);
    ann.hears("* mallory was kicked by operator (spam)");
    contains(mallory.is_closed_with(1008), "spam");
    // Without members, and on the server.
    contains(
        order(&["ban", "mallory", "--room", "den"]),
        "the room den has no members",
    );
    order(&["ban", "192.0.2.0/24", "--for", "7d"]);
    contains(order(&["sanctions"]), "ban 192.0.2.0/24 until ");
    order(&["close-room", "--room", "lobby", "--reason", "night"]);
    ann.hears("* you were kicked by operator (night)");
    let rows = succeeds(&folder.0, &["audit"]);
    let is_ours = |row: &str| row.contains("\"by\":\"operator\"");
    assert!(rows.lines().all(is_ours), "{rows}");
    assert_eq!(rows.lines().count(), 10, "{rows}");
}

#[test]
fn order_that_cannot_be_done_is_a_sentence() {
    let folder = Folder::new("orders-refused");
    let errors = fails(&folder.0, &["ban", "mallory"]);
    contains(&errors, "parlor ban: no server can be asked (");
    let server = start(&folder);
    let ann = operator(&server, "ann");
    for (arguments, expected) in [
        (
            &["kick", "bob", "--room", "lobby"][..],
            "nobody called bob is in this room",
        ),
        (
            &["kick", "ann", "--room", "lobby"],
            "who has as much to say here as you",
        ),
        (
            &["kick", "bob", "--room", "den"],
            "the room den has no members",
        ),
        (
            &["unban", "bob"],
            "there is nothing of the kind to be lifted",
        ),
        (
            &["role", "bob", "--role", "admin"],
            "there is no account bob",
        ),
        (
            &["delete", "99", "--room", "lobby"],
            "there is no such message",
        ),
        (
            &["topic", "t", "--room", "a b"],
            "a room cannot have this name",
        ),
    ] {
        contains(fails(&folder.0, arguments), expected);
    }
    let socket = folder.path("admin.sock");
    for (body, expected) in [
        ("{}", "expected a request with an id"),
        (
            "{\"id\":1,\"type\":\"send\",\"room\":\"lobby\",\"text\":\"x\"}",
            "keeps no order",
        ),
        (
            "{\"id\":1,\"type\":\"dance\"}",
            "no request of the type dance",
        ),
    ] {
        let (status, answer) = ask(&socket, &post("/requests", body));
        assert_eq!(status, 400);
        contains(answer, expected);
    }
    assert_eq!(ask(&socket, &get("/requests")).0, 405);
    ann.leaves();
}
