//! The registry over several servers on one real Redis: bans, topics, roles and accounts are the same
//! at all of them, also at one that starts later.

use super::keeping_up::Program;
use super::nodes::{ALWAYS, node, prepared, started};
use super::redis::RedisServer;
use super::support::{Server, eventually};
use serde_json::{Value, json};

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
