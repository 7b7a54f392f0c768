//! `parlor admin` with several servers: the servers, their rooms and the members of these, as each of
//! them lists them.

use super::super::admin::{ask, get, post};
use super::super::keeping_up::Program;
use super::super::redis::RedisServer;
use super::super::support::{Server, command, contains, eventually, finish};
use super::super::unix::Folder;
use super::{ALWAYS, prepared, readiness};
use serde_json::{Value, json};
use std::path::Path;

fn node(redis: &RedisServer, socket: &Path) -> Server {
    let mut prepared = prepared(redis);
    prepared.arg("--admin-socket").arg(socket);
    prepared.args(["--operator-token", "sesame"]);
    let server = Server::spawn(&mut prepared, 1);
    eventually("the server has reached Redis", || readiness(&server) == 200);
    server
}

/// What a command answers, or why it fails.
fn tries(socket: &Path, words: &[&str]) -> Result<String, String> {
    let mut asked = command();
    asked.arg("admin").args(words);
    asked.arg("--admin-socket").arg(socket);
    asked.arg("--store").arg(socket.with_file_name("none"));
    let (status, output, errors) = finish(&mut asked);
    status.success().then_some(output).ok_or(errors)
}

fn asks(socket: &Path, words: &[&str]) -> String {
    tries(socket, words).expect("an answer")
}

fn lines(socket: &Path, words: &[&str]) -> Vec<Value> {
    let line = |line| serde_json::from_str(line).expect("a line of JSON");
    asks(socket, words).lines().map(line).collect()
}

fn listed(socket: &Path) -> Vec<Value> {
    lines(socket, &["nodes", "--json"])
}

#[test]
#[ignore = "needs redis-server"]
fn each_server_lists_the_rooms_of_all_and_their_members() {
    let redis = RedisServer::start("nodes-rooms", &ALWAYS);
    let folder = Folder::new("nodes-rooms-sockets");
    let sockets = ["a", "b"].map(|name| folder.path(name));
    let (a, b) = (node(&redis, &sockets[0]), node(&redis, &sockets[1]));
    let _ann = Program::join(a.address(), "ann", "den");
    let mut bob = Program::join(b.address(), "bob", "den");
    assert_eq!(
        bob.ask(json!({"type": "join", "room": "attic"}))["room"],
        "attic"
    );
    let table = "NAME   MEMBERS  HERE  BEHIND\n\
                 den    2        1     0\n\
                 attic  1        0     0\n";
    eventually("the rooms of all are listed", || {
        asks(&sockets[0], &["rooms"]) == table
    });
    let own = lines(&sockets[1], &["rooms", "--json"]);
    let attic = own.iter().find(|row| row["name"] == "attic");
    assert_eq!(attic.expect("it is listed")["here"], 1);
    let members = lines(&sockets[0], &["members", "den", "--json"]);
    let [here, elsewhere] = &members[..] else {
        panic!("two members: {members:?}");
    };
    assert_eq!(
        (&here["nick"], &here["role"]),
        (&json!("ann"), &json!("member"))
    );
    assert_eq!(
        (&elsewhere["nick"], &elsewhere["id"], &elsewhere["role"]),
        (&json!("bob"), &Value::Null, &json!("member"))
    );
    bob.ask(json!({"type": "op", "token": "sesame"}));
    eventually("the other server knows him as an operator", || {
        lines(&sockets[0], &["members", "den", "--json"])[1]["role"] == "admin"
    });
    eventually("its server is listed", || {
        let rows = listed(&sockets[0]);
        let mut others = rows.iter().filter(|row| row["own"] == false);
        others.any(|other| other["id"] == elsewhere["server"])
    });
    let why = tries(&sockets[0], &["members", "attic"]).expect_err("no server to ask");
    contains(&why, "at other servers alone");
    let why = tries(&sockets[0], &["members", "cellar"]).expect_err("no room");
    contains(&why, "no room cellar is in use");
}

#[test]
#[ignore = "needs redis-server"]
fn each_server_lists_those_that_are_there() {
    let redis = RedisServer::start("nodes-admin", &ALWAYS);
    let folder = Folder::new("nodes-admin-sockets");
    let sockets = ["a", "b"].map(|name| folder.path(name));
    let (a, mut b) = (node(&redis, &sockets[0]), node(&redis, &sockets[1]));
    let _ann = Program::join(a.address(), "ann", "den");
    for socket in &sockets {
        // What a server says of itself is heard with its next beat.
        eventually("both are listed, and the room of one", || {
            let rows = listed(socket);
            rows.len() == 2 && rows.iter().any(|row| row["rooms"] == 1)
        });
        let rows = listed(socket);
        assert_eq!(rows.iter().filter(|row| row["own"] == true).count(), 1);
        assert!(
            rows.iter()
                .all(|row| row["id"].as_str().is_some_and(|id| id.len() == 16))
        );
    }
    let table = asks(&sockets[0], &["nodes"]);
    assert!(table.starts_with("ID "), "{table}");
    contains(&table, env!("CARGO_PKG_VERSION"));
    assert_eq!(table.lines().count(), 3, "{table}");
    b.signal("TERM");
    assert!(b.exit_status().success());
    eventually("it is listed no more", || listed(&sockets[0]).len() == 1);
}

#[test]
#[ignore = "needs redis-server"]
fn what_is_not_offered_with_an_engine_is_refused_with_a_sentence() {
    let redis = RedisServer::start("nodes-refused", &ALWAYS);
    let folder = Folder::new("nodes-refused-sockets");
    let socket = folder.path("a");
    let server = node(&redis, &socket);
    let mut ann = Program::join(server.address(), "ann", "den");
    ann.says("den", "tea");
    let search = ann.ask(json!({"type": "search", "room": "den", "query": "tea"}));
    contains(
        search["message"].to_string(),
        "shares its rooms with others",
    );
    let copy = folder.path("copy").display().to_string();
    let requests = [
        post("/backup", &json!({ "file": copy }).to_string()),
        get("/export?room=den&after=0"),
        post("/check", ""),
    ];
    for request in requests {
        let (status, body) = ask(&socket, &request);
        assert_eq!(status, 409, "{body}");
        contains(&body, "that is not offered with --engine");
    }
    let mut upgrade = command();
    upgrade.arg("upgrade").arg("--admin-socket").arg(&socket);
    upgrade.arg("--store").arg(folder.path("none"));
    let (status, _, errors) = finish(&mut upgrade);
    assert!(!status.success());
    contains(&errors, "cannot be upgraded in place");
}
