//! The registry over several servers on one real Redis: bans, topics, roles and accounts are the same
//! at all of them, also at one that starts later.

use super::accounts::{token, with_key};
use super::admin::{ask, post};
use super::keeping_up::Program;
use super::nodes::{ALWAYS, node, prepared, prepared_through, started};
use super::redis::{RedisServer, Tunnel};
use super::support::{Server, command, eventually, finish};
use super::unix::Folder;
use serde_json::{Value, json};
use std::path::Path;

/// A server with an operator.
fn operated(redis: &RedisServer) -> Server {
    started(prepared(redis).args(["--operator-token", "sesame"]))
}

fn operator(server: &Server, room: &str) -> Program {
    let mut ann = Program::join(server.address(), "ann", room);
    let answer = ann.ask(json!({"type": "op", "token": "sesame"}));
    assert_eq!(answer["type"], "ok", "{answer}");
    ann
}

fn ban(nick: &str) -> Value {
    json!({"type": "ban", "room": "den", "nick": nick, "reason": "spam"})
}

fn join(room: &str) -> Value {
    json!({"type": "join", "room": room})
}

/// A server that reaches Redis by a tunnel, which can be cut.
fn behind(tunnel: &Tunnel) -> Server {
    let mut start = prepared_through(&tunnel.entrance());
    started(start.args(["--listen", "127.0.0.1:0"]))
}

#[test]
#[ignore = "needs redis-server"]
fn message_that_waited_for_the_link_is_refused_when_its_sender_was_muted_meanwhile() {
    let redis = RedisServer::start("facts-waited", &ALWAYS);
    let tunnel = Tunnel::to(&redis);
    let (a, b) = (operated(&redis), behind(&tunnel));
    let mut ann = operator(&a, "den");
    let mut mallory = Program::join(b.address(), "mallory", "den");
    let mut bob = Program::join(b.address(), "bob", "den");
    assert_eq!(mallory.says("den", "before"), 1);
    tunnel.cuts(true);
    assert_eq!(awaits(&mut mallory, "link")["up"], false);
    let spam = [
        mallory.send("den", "spam"),
        mallory.send("den", "more spam"),
    ];
    let said = bob.send("den", "hello");
    let mute = json!({"type": "mute", "room": "den", "nick": "mallory"});
    assert_eq!(ann.ask(mute)["type"], "ok");
    tunnel.cuts(false);
    for id in spam {
        assert_eq!(mallory.answer(id)["code"], "muted");
    }
    // Behind the mute.
    assert_eq!(bob.answer(said)["seq"], 3);
    assert_eq!(ann.says("den", "after"), 4);
}

#[test]
#[ignore = "needs redis-server"]
fn settings_that_two_servers_change_at_once_all_hold() {
    let redis = RedisServer::start("facts-at-once", &ALWAYS);
    let (a, b) = (operated(&redis), operated(&redis));
    let (mut ann, mut bea) = (operator(&a, "den"), operator(&b, "den"));
    for number in 0..50 {
        let topic = format!("tea {number}");
        let seconds = 1 + number % 7;
        let set = json!({"type": "topic", "room": "den", "topic": topic});
        let first = ann.request(set);
        let slow = json!({"type": "room", "room": "den", "slow_seconds": seconds});
        let second = bea.request(slow);
        let answers = [ann.answer(first), bea.answer(second)];
        assert!(answers.iter().all(|one| one["type"] == "ok"), "{answers:?}");
        let settings = json!({"type": "room", "room": "den"});
        eventually("both hold at both servers", || {
            [&mut ann, &mut bea].into_iter().all(|who| {
                let room = who.ask(settings.clone());
                room["topic"] == topic.as_str() && room["slow_seconds"] == seconds
            })
        });
    }
}

/// Until an event of a type comes.
fn awaits(program: &mut Program, kind: &str) -> Value {
    loop {
        let event = program.event();
        if event["type"] == kind {
            return event;
        }
    }
}

#[test]
#[ignore = "needs redis-server"]
fn server_that_starts_later_knows_bans_topics_and_settings() {
    let redis = RedisServer::start("facts-later", &ALWAYS);
    let first = operated(&redis);
    let mut ann = operator(&first, "den");
    assert_eq!(ann.ask(ban("mallory"))["type"], "ok");
    let topic = json!({"type": "topic", "room": "den", "topic": "tea"});
    assert_eq!(ann.ask(topic)["type"], "ok");
    let second = node(&redis);
    let mut mallory = Program::connect(second.address(), "mallory");
    assert_eq!(mallory.ask(join("den"))["code"], "banned");
    let mut bob = Program::connect(second.address(), "bob");
    assert_eq!(bob.ask(join("den"))["topic"], "tea");
}

#[test]
#[ignore = "needs redis-server"]
fn ban_removes_members_and_is_known_before_the_room_is_open() {
    let redis = RedisServer::start("facts-ban", &ALWAYS);
    let (a, b, c) = (operated(&redis), node(&redis), node(&redis));
    let mut ann = operator(&a, "den");
    let mut mallory = Program::join(b.address(), "mallory", "den");
    assert_eq!(ann.ask(ban("mallory"))["type"], "ok");
    awaits(&mut mallory, "banned");
    // Or the nick would be taken.
    drop(mallory);
    // No member was in the room there.
    eventually("the ban is known", || {
        let mut again = Program::connect(c.address(), "mallory");
        again.ask(join("den"))["code"] == "banned"
    });
    assert_eq!(
        ann.ask(json!({"type": "unban", "room": "den", "nick": "mallory"}))["type"],
        "ok"
    );
    eventually("the ban is lifted", || {
        let mut again = Program::connect(c.address(), "mallory");
        again.ask(join("den"))["type"] == "joined"
    });
}

#[test]
#[ignore = "needs redis-server"]
fn facts_that_redis_has_lost_are_gone_everywhere() {
    let redis = RedisServer::start("facts-flush", &ALWAYS);
    let (a, b) = (operated(&redis), node(&redis));
    let mut ann = operator(&a, "den");
    assert_eq!(ann.ask(ban("mallory"))["type"], "ok");
    let is_banned = || {
        let mut again = Program::connect(b.address(), "mallory");
        again.ask(join("den"))["code"] == "banned"
    };
    eventually("the ban is known", is_banned);
    redis.command("FLUSHALL");
    eventually("the ban is gone", || !is_banned());
    assert_eq!(ann.ask(ban("mallory"))["type"], "ok");
    eventually("the ban is known again", is_banned);
}

/// A command of an operator at the socket of a server.
fn orders(socket: &Path, arguments: &[&str]) -> String {
    let mut command = command();
    command.args(arguments).arg("--admin-socket").arg(socket);
    let (status, output, errors) = finish(&mut command);
    assert_eq!((status.code(), errors.as_str()), (Some(0), ""), "{output}");
    output
}

#[test]
#[ignore = "needs redis-server"]
fn orders_of_an_operator_at_one_server_reach_all() {
    let redis = RedisServer::start("facts-orders", &ALWAYS);
    let folder = Folder::new("facts-orders");
    let socket = folder.path("socket");
    let mut first = prepared(&redis);
    first.arg("--admin-socket").arg(&socket);
    let (_a, b) = (started(&mut first), node(&redis));
    let mut mallory = Program::join(b.address(), "mallory", "den");
    // The room is open at the other server alone, and then nothing is.
    orders(&socket, &["ban", "mallory", "--room", "den"]);
    awaits(&mut mallory, "banned");
    let mut eve = Program::join(b.address(), "eve", "den");
    orders(&socket, &["ban", "eve", "--reason", "spam"]);
    awaits(&mut eve, "banned");
    let mut ann = Program::connect(b.address(), "ann");
    let registered = ann.ask(with_password("register", "ann"));
    assert_eq!(registered["type"], "ok", "{registered}");
    let delete = post("/accounts", "{\"do\":\"delete\",\"name\":\"ann\"}");
    eventually("the account is known and deleted", || {
        ask(&socket, &delete).0 == 200
    });
    ann.is_closed();
}

#[test]
#[ignore = "needs redis-server"]
fn audit_log_is_that_of_all_servers_since_before_they_started() {
    let redis = RedisServer::start("facts-audit", &ALWAYS);
    let folder = Folder::new("facts-audit");
    let socket = folder.path("socket");
    let a = operated(&redis);
    let mut ann = operator(&a, "den");
    let _eve = Program::join(a.address(), "eve", "attic");
    let _mallory = Program::join(a.address(), "mallory", "den");
    // More than one page of changes, of which the first is of another room.
    ann.ask(join("attic"));
    let kick = ann.ask(json!({"type": "kick", "room": "attic", "nick": "eve"}));
    assert_eq!(kick["type"], "ok", "{kick}");
    for number in 0..150 {
        let topic = json!({"type": "topic", "room": "den", "topic": format!("{number}")});
        let answer = ann.ask(topic);
        assert_eq!(answer["type"], "ok", "{answer}");
    }
    assert_eq!(ann.ask(ban("mallory"))["type"], "ok");
    let mut second = prepared(&redis);
    second.arg("--admin-socket").arg(&socket);
    let b = started(second.args(["--operator-token", "sesame"]));
    let mut bea = operator(&b, "den");
    let page = bea.ask(json!({"type": "audit", "room": "den", "limit": 2}));
    let acts = |page: &Value| -> Vec<String> {
        let rows = page["rows"].as_array().expect("rows").iter();
        rows.map(|row| format!("{} {}", row["action"], row["target"]))
            .collect()
    };
    assert_eq!(acts(&page)[0], "\"ban\" \"mallory\"", "{page}");
    assert_eq!(page["more"], true, "{page}");
    let last = page["rows"][1]["number"].as_u64().expect("a number");
    assert_eq!(page["rows"][0]["number"], last + 1, "{page}");
    bea.ask(join("attic"));
    let page = bea.ask(json!({"type": "audit", "room": "attic"}));
    assert_eq!(acts(&page), ["\"kick\" \"eve\""], "{page}");
    assert_eq!(page["more"], false, "{page}");
    let none = folder.path("no-store");
    let none = none.to_str().expect("a path");
    let lines = orders(&socket, &["audit", "den", "--store", none]);
    assert_eq!(lines.lines().count(), 151, "{lines}");
    let newest: Value = serde_json::from_str(lines.lines().next().expect("a line")).expect("JSON");
    assert_eq!(newest["target"], "mallory", "{newest}");
}

const PASSWORD: &str = "correct horse battery";

fn with_password(kind: &str, name: &str) -> Value {
    json!({"type": kind, "account": name, "password": PASSWORD})
}

#[test]
#[ignore = "needs redis-server"]
fn account_and_its_session_are_entered_at_each_server() {
    let redis = RedisServer::start("facts-accounts", &ALWAYS);
    let (a, b) = (node(&redis), node(&redis));
    let mut ann = Program::join(a.address(), "ann", "den");
    let registered = ann.ask(with_password("register", "ann"));
    assert_eq!(registered["account"], "ann", "{registered}");
    let resume = json!({"type": "resume", "session": registered["session"]});
    eventually("the session is known", || {
        let mut back = Program::connect(b.address(), "");
        back.ask(resume.clone())["account"] == "ann"
    });
    // It has taken the place of the first connection.
    assert_eq!(ann.is_closed().0, Some(4001));
    let mut ann = Program::connect(a.address(), "");
    assert_eq!(ann.ask(with_password("login", "ann"))["account"], "ann");
    let mut other = Program::connect(b.address(), "");
    let answer = other.ask(with_password("login", "ann"));
    assert_eq!(answer["account"], "ann", "{answer}");
    // Both connections have its name.
    assert_eq!(
        (&registered["nick"], &answer["nick"]),
        (&json!("ann"), &json!("ann"))
    );
    // Who changes the password at one server logs out all others.
    let change = json!({"type": "password", "password": PASSWORD, "new": "another long password"});
    assert_eq!(ann.ask(change)["type"], "ok");
    other.is_closed();
    let mut back = Program::connect(b.address(), "");
    let resume = json!({"type": "resume", "session": answer["session"]});
    assert_eq!(back.ask(resume)["account"], Value::Null);
    assert_eq!(
        back.ask(with_password("login", "ann"))["code"],
        "login_failed"
    );
    // At a server that starts later as well.
    drop(a);
    let c = node(&redis);
    let mut late = Program::connect(c.address(), "");
    let login = json!({"type": "login", "account": "ann", "password": "another long password"});
    assert_eq!(late.ask(login)["account"], "ann");
}

#[test]
#[ignore = "needs redis-server"]
fn signed_tokens_name_one_account_at_all_servers() {
    let redis = RedisServer::start("facts-tokens", &ALWAYS);
    let (_folder, key) = with_key("facts-tokens");
    let required = || {
        let mut command = prepared(&redis);
        command.args([&key, "--accounts", "required"]);
        started(&mut command)
    };
    let (a, b) = (required(), required());
    let token = token(&key, &["--sub", "user-7", "--nick", "Ann"]);
    let login = json!({"type": "login", "token": token});
    for server in [&a, &b] {
        let mut ann = Program::connect(server.address(), "");
        assert_eq!(ann.ask(join("den"))["code"], "login_required");
        let answer = ann.ask(login.clone());
        assert_eq!(answer["account"], "Ann", "{answer}");
        assert_eq!(ann.ask(join("den"))["type"], "joined");
        assert_eq!(
            ann.says("den", "hello"),
            if server.pid() == a.pid() { 1 } else { 2 }
        );
    }
}
