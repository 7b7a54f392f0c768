//! Accounts over real sockets: they last over a restart, sessions enter them without the password,
//! and nothing secret is said or logged.

use super::program::Program;
use super::store::keeping_in;
use super::support::{Server, command, contains, eventually};
use super::unix::Folder;
use serde_json::{Value, json};

const PASSWORD: &str = "correct horse battery";

fn register(name: &str) -> Value {
    json!({"type": "register", "account": name, "password": PASSWORD})
}

fn login(name: &str, password: &str) -> Value {
    json!({"type": "login", "account": name, "password": password})
}

fn resume(session: &Value) -> Value {
    json!({"type": "resume", "session": session})
}

#[test]
fn account_lasts_over_a_restart_with_its_session() {
    let folder = Folder::new("accounts");
    let server = keeping_in(&folder.0);
    let mut ann = Program::connect(&server, "ann");
    assert_eq!(ann.hello["accounts"], "open");
    let registered = ann.asks(register("Ann"));
    assert_eq!(registered["account"], "Ann", "{registered}");
    let session = registered["session"].clone();
    drop((ann, server));

    let server = keeping_in(&folder.0);
    let mut other = Program::connect(&server, "ann");
    assert_ne!(other.hello["nick"], "ann", "it is reserved");
    assert_eq!(other.next()["code"], "nick_taken");
    assert_eq!(other.asks(login("ann", "wrong"))["code"], "login_failed");
    let right = other.asks(login("ANN", PASSWORD));
    assert_eq!(
        (&right["type"], &right["nick"]),
        (&json!("ok"), &json!("Ann"))
    );

    let mut back = Program::connect(&server, "");
    let resumed = back.asks(resume(&session));
    assert_eq!(resumed["account"], "Ann", "{resumed}");
    assert_eq!(back.asks(json!({"type": "logout"}))["type"], "ok");
    let mut late = Program::connect(&server, "");
    let resumed = late.asks(resume(&session));
    assert_eq!(
        resumed["account"],
        Value::Null,
        "the session was logged out"
    );
}

#[test]
fn lines_register_and_log_in_and_no_password_is_said() {
    let server = Server::start(&[]);
    let mut bob = server.join("bob");
    let mut ann = server.join("ann");
    bob.hears("* ann joined");
    for typed in [
        format!("register ann {}", "correcthorse"),
        String::from(" /register ann correcthorse"),
        String::from("login ann correcthorse"),
    ] {
        ann.says(&typed);
        contains(
            ann.line(),
            "* that was not said, for it looks like a password",
        );
    }
    ann.says("/register ann short");
    contains(ann.line(), "* this password is too weak");
    ann.says("/register ann correct horse battery");
    ann.hears("* ann is yours from now on, and you are logged in");
    ann.says("hello");
    bob.hears("ann: hello");
    drop(ann);
    bob.hears("* ann left");

    bob.says("/nick Ann");
    contains(bob.line(), "it is registered; log in to have it");
    let mut ann = server.upgrade("/ws?nick=ann&history=0");
    contains(ann.line(), "* welcome to lobby, guest-");
    contains(ann.line(), "it is registered; log in to have it");
    contains(bob.line(), " joined");
    ann.says("/login wrong password");
    contains(ann.line(), "* the name, the password or the token is wrong");
    ann.says("/login ann correct horse battery");
    contains(ann.line(), " is now known as ann");
    ann.hears("* you are logged in as ann");
    contains(bob.line(), " is now known as ann");
}

#[test]
fn account_with_two_connections_is_one_member() {
    let server = Server::start(&[]);
    let mut bob = server.join("bob");
    let mut first = Program::in_room(&server, "ann", "lobby");
    bob.hears("* ann joined");
    assert_eq!(first.asks(register("ann"))["type"], "ok");
    let mut second = Program::connect(&server, "");
    assert_eq!(second.asks(login("ann", PASSWORD))["nick"], "ann");
    let joined = second.asks(json!({"type": "join", "room": "lobby"}));
    assert_eq!(
        (&joined["count"], &joined["members"]),
        (&json!(2), &json!(["bob"]))
    );
    let who = second.asks(json!({"type": "who", "room": "lobby"}));
    assert_eq!(who["members"], json!(["ann", "bob"]));
    // What one of them says, the other sees.
    second.asks(json!({"type": "send", "room": "lobby", "text": "hello"}));
    bob.hears("ann: hello");
    assert_eq!(first.next()["text"], "hello");
    drop(second);
    first.asks(json!({"type": "send", "room": "lobby", "text": "still here"}));
    bob.hears("ann: still here");
    drop(first);
    bob.hears("* ann left");
}

#[test]
fn changed_password_ends_the_other_connections_and_sessions() {
    let server = Server::start(&[]);
    let mut ann = Program::connect(&server, "");
    assert_eq!(ann.asks(register("ann"))["type"], "ok");
    let mut other = Program::connect(&server, "");
    let session = other.asks(login("ann", PASSWORD))["session"].clone();
    let change = json!({"type": "password", "password": PASSWORD, "new": "another long one"});
    assert_eq!(ann.asks(change.clone())["type"], "ok");
    other.is_closed_with(4004);
    assert_eq!(
        ann.asks(change)["code"],
        "login_failed",
        "it is the old one"
    );
    let mut late = Program::connect(&server, "");
    assert_eq!(late.asks(resume(&session))["account"], Value::Null);
    assert_eq!(late.asks(login("ann", "another long one"))["type"], "ok");
}

#[test]
fn account_that_is_gone_leaves_its_nick_to_all() {
    let server = Server::start(&[]);
    let mut ann = Program::connect(&server, "");
    ann.asks(register("ann"));
    let report = ann.asks(json!({"type": "account"}));
    assert_eq!(
        (&report["type"], &report["account"]),
        (&json!("account"), &json!("ann"))
    );
    assert_eq!(report["sessions"].as_array().map(Vec::len), Some(1));
    assert!(!report.to_string().contains("argon2"));
    let gone = json!({"type": "unregister", "password": PASSWORD});
    assert_eq!(ann.asks(gone)["type"], "ok");
    assert_eq!(
        ann.asks(json!({"type": "account"}))["code"],
        "login_required"
    );
    drop(ann);
    let mut bob = Program::connect(&server, "");
    eventually("the nick is free", || {
        bob.asks(json!({"type": "nick", "nick": "ann"}))["nick"] == "ann"
    });
    assert_eq!(bob.asks(login("ann", PASSWORD))["code"], "login_failed");
}

#[test]
fn guests_do_nothing_but_log_in_where_accounts_are_required() {
    let server = Server::start(&["--accounts", "required"]);
    let mut ann = Program::connect(&server, "ann");
    assert_eq!(ann.hello["accounts"], "required");
    let join = json!({"type": "join", "room": "lobby"});
    assert_eq!(ann.asks(join.clone())["code"], "login_required");
    assert_eq!(ann.asks(json!({"type": "rooms"}))["code"], "login_required");
    assert_eq!(ann.asks(json!({"type": "ping"}))["type"], "ok");
    assert_eq!(ann.asks(register("ann"))["type"], "ok");
    assert_eq!(ann.asks(join)["type"], "joined");
    let mut bob = server.upgrade("/ws/lobby?nick=bob");
    bob.hears("* log in first");
    bob.says("hello");
    bob.hears("* log in first");
    bob.says("/register bob correct horse battery");
    contains(bob.line(), "* bob is yours from now on");
    contains(bob.line(), "* welcome to lobby, bob. Here: ann");
    ann.asks(json!({"type": "logout"}));
    ann.is_closed_with(4004);
    contains(bob.line(), "* ann is now known as guest-");
    contains(bob.line(), " left");
}

#[test]
fn guests_do_not_register_where_accounts_are_closed() {
    let server = Server::start(&["--accounts", "closed"]);
    let mut ann = Program::connect(&server, "ann");
    assert_eq!(ann.asks(register("ann"))["code"], "not_allowed");
}

#[test]
fn wrong_passwords_from_one_address_are_limited_and_not_logged() {
    let mut with_log = command();
    with_log.args(["--listen", "127.0.0.1:0", "--log", "debug"]);
    let server = Server::spawn(&mut with_log, 1);
    let mut ann = Program::connect(&server, "");
    ann.asks(register("ann"));
    let mut guesser = Program::connect(&server, "");
    for _ in 0..5 {
        let answer = guesser.asks(login("ann", "a secret guess"));
        assert_eq!(answer["code"], "login_failed");
    }
    let answer = guesser.asks(login("ann", PASSWORD));
    assert_eq!(
        (&answer["code"], &answer["retry_ms"]),
        (&json!("too_fast"), &json!(60_000))
    );
    drop((ann, guesser));
    while let Some(line) = server.try_error_line() {
        assert!(
            !line.contains("secret guess") && !line.contains(PASSWORD),
            "{line}"
        );
    }
}
