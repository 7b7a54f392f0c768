//! `parlor admin`: connections, rooms and members of a running server, a notice to all, the filters of
//! the log; as tables for people and as JSON lines for scripts.

use super::program::Program;
use super::reload::Settings;
use super::support::contains;
use serde_json::{Value, json};

fn lines(text: &str) -> Vec<Value> {
    let line = |line| serde_json::from_str(line).expect("a line of JSON");
    text.lines().map(line).collect()
}

#[test]
fn connections_are_listed_shown_and_closed() {
    let scene = Settings::start("operate-connections", "trusted-proxy = \"none\"\n");
    let mut ann = scene.server.join("ann");
    let mut bob = Program::in_room(&scene.server, "bob", "attic");
    let listed = lines(&scene.succeeds(&["admin", "connections", "--json"]));
    let of = |nick: &str| {
        let found = listed.iter().find(|row| row["nick"] == nick);
        found.expect("it is listed").clone()
    };
    let (plain, program) = (of("ann"), of("bob"));
    assert_eq!(
        (&plain["phase"], &plain["protocol"], &plain["address"]),
        (&json!("open"), &json!("plain"), &json!("127.0.0.1"))
    );
    assert_eq!(program["protocol"], "json");
    assert!(listed.iter().any(|row| row["protocol"] == "admin"));
    let id = program["id"].as_str().expect("an id");
    let shown = lines(&scene.succeeds(&["admin", "show", id, "--json"]));
    assert_eq!(shown[0]["room_names"], json!(["attic"]));
    let table = scene.succeeds(&["admin", "connections"]);
    assert!(table.starts_with("ID "), "{table}");
    contains(&table, " open ");
    assert_eq!(scene.succeeds(&["admin", "close", id]), "done\n");
    bob.is_closed_with(1008);
    contains(
        scene.fails(&["admin", "close", "77.77"]),
        "there is no connection 77.77",
    );
    ann.says("still here");
    ann.hears("ann: still here");
}

#[test]
fn rooms_and_members_are_listed_in_pages() {
    let scene = Settings::start(
        "operate-rooms",
        "max-connections-per-address = 0\nnotice-members = 0\njoins-per-minute = 0\n",
    );
    let crowd: Vec<_> = (0..230)
        .map(|count| scene.server.join(&format!("user-{count}")))
        .collect();
    let members = lines(&scene.succeeds(&["admin", "members", "lobby", "--json"]));
    assert_eq!(members.len(), crowd.len());
    assert!(members.iter().all(|row| row["role"] == "member"));
    let connections = lines(&scene.succeeds(&["admin", "connections", "--json"]));
    assert_eq!(connections.len(), crowd.len() + 1);
    let rooms = scene.succeeds(&["admin", "rooms"]);
    contains(&rooms, "NAME   MEMBERS  BEHIND\nlobby  230      0\n");
    contains(
        scene.fails(&["admin", "members", "cellar"]),
        "no room cellar is in use",
    );
}

#[test]
fn notice_is_shown_to_all_clients_in_all_rooms() {
    let scene = Settings::start("operate-notice", "");
    let mut ann = scene.server.join("ann");
    let mut bob = Program::in_room(&scene.server, "bob", "attic");
    let reported = scene.succeeds(&["admin", "notice", "back at \"8\""]);
    assert_eq!(reported, "shown to 2 clients; 0 read too slowly for it\n");
    ann.hears("* notice from the operator: back at \"8\"");
    let shown = bob.next();
    assert_eq!(
        shown,
        json!({"type": "announcement", "text": "back at \"8\""})
    );
    contains(
        scene.fails(&["admin", "notice", "two\nlines"]),
        "expected a line of text",
    );
}

#[test]
fn filters_of_the_log_are_changed_while_it_runs() {
    let scene = Settings::start("operate-log", "");
    assert_eq!(scene.succeeds(&["admin", "log-level", "debug"]), "done\n");
    let mut ann = scene.server.connect();
    ann.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_eq!(ann.response().status, 200);
    while !scene.server.error_line().contains("parlor::connection] ") {}
    contains(
        scene.fails(&["admin", "log-level", "loud"]),
        "expected error, warn",
    );
}

#[test]
fn log_in_json_is_an_object_a_line_with_fields() {
    let scene = Settings::start("operate-json", "log-format = \"json\"\n");
    scene.succeeds(&["admin", "log-level", "debug"]);
    let mut ann = scene.server.upgrade("/ws?nick=ann");
    contains(ann.line(), "welcome");
    ann.leaves();
    scene.server.signal("USR1");
    let mut has_connection = false;
    loop {
        let line = scene.server.error_line();
        let object: Value = serde_json::from_str(&line).expect("JSON");
        for name in ["time", "level", "target", "message"] {
            assert!(object[name].is_string(), "{name}: {line}");
        }
        has_connection |= object["connection"].is_string();
        if object["message"]
            .as_str()
            .is_some_and(|text| text.starts_with("connections="))
        {
            break;
        }
    }
    assert!(has_connection);
}

#[test]
fn server_without_an_engine_is_alone() {
    let scene = Settings::start("operate-nodes", "trusted-proxy = \"none\"\n");
    let listed = lines(&scene.succeeds(&["admin", "nodes", "--json"]));
    assert_eq!((listed.len(), &listed[0]["rooms"]), (1, &json!(0)));
    let table = scene.succeeds(&["admin", "nodes"]);
    assert!(table.starts_with("ID "), "{table}");
    contains(
        table,
        "this server is alone: it shares its chat with no other",
    );
}

#[test]
fn unknown_word_is_answered_with_those_there_are() {
    let (status, _, errors) = super::support::finish(super::support::command().arg("admin"));
    assert_eq!(status.code(), Some(2));
    contains(
        errors,
        "expected connections, show, close, rooms, members, nodes, notice, log-level",
    );
    let (status, help, _) = super::support::finish(super::support::command().args(["admin", "-h"]));
    assert_eq!(status.code(), Some(0));
    contains(help, "log-level");
}
