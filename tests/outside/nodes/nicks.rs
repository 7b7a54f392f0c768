//! One user of all servers has a nick: claims, and what becomes of them when servers end or Redis
//! loses them.

use super::super::keeping_up::Program;
use super::super::redis::RedisServer;
use super::super::support::{PATIENCE, eventually, now};
use super::{ALWAYS, node};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::time::Duration;

/// A program, if it has the nick that it wishes for.
fn comes_as(address: SocketAddr, nick: &str) -> Option<Program> {
    let mut program = Program::connect(address, nick);
    // Answered behind the refusal of the nick, if there is one.
    let id = program.request(json!({"type": "ping"}));
    let first = program.event();
    if first["re"] == id {
        return Some(program);
    }
    assert_eq!(first["code"], "nick_taken", "{first}");
    None
}

fn holder(redis: &RedisServer, nick: &str) -> String {
    redis.command(&format!("HGET p:nicks {nick}"))
}

#[test]
#[ignore = "needs redis-server"]
fn nick_of_another_server_is_taken_until_its_user_leaves() {
    let redis = RedisServer::start("nodes-nick", &ALWAYS);
    let (a, b) = (node(&redis), node(&redis));
    let ann = comes_as(a.address(), "ann").expect("it is free");
    assert!(comes_as(b.address(), "ann").is_none());
    assert!(comes_as(b.address(), "Ann").is_none());
    drop(ann);
    eventually("the nick is free", || {
        comes_as(b.address(), "ann").is_some()
    });
}

#[test]
#[ignore = "needs redis-server"]
fn one_of_two_that_ask_at_once_has_the_nick() {
    let redis = RedisServer::start("nodes-race", &ALWAYS);
    let (a, b) = (node(&redis), node(&redis));
    let mut ann = comes_as(a.address(), "ann").expect("it is free");
    let mut bob = comes_as(b.address(), "bob").expect("it is free");
    for round in 0..8 {
        let wanted = json!({"type": "nick", "nick": format!("wanted{round}")});
        let ids = (ann.request(wanted.clone()), bob.request(wanted));
        let answers = [ann.answer(ids.0), bob.answer(ids.1)];
        let got = answers.iter().filter(|answer| answer["type"] == "ok");
        assert_eq!(got.count(), 1, "{answers:?}");
        let refused = answers.iter().find(|answer| answer["type"] != "ok");
        assert_eq!(refused.expect("the other")["code"], "nick_taken");
    }
}

#[test]
#[ignore = "needs redis-server"]
fn nick_of_a_killed_server_is_free_after_its_lease() {
    let redis = RedisServer::start("nodes-lease", &ALWAYS);
    let (a, b) = (node(&redis), node(&redis));
    let _ann = comes_as(a.address(), "ann").expect("it is free");
    let killed_at = now();
    a.signal("KILL");
    assert!(comes_as(b.address(), "ann").is_none());
    // The lease, and the grace of the first start.
    let deadline = now() + 4 * PATIENCE;
    while comes_as(b.address(), "ann").is_none() {
        assert!(
            now() < deadline,
            "the nick is not free after {:?}",
            killed_at.elapsed()
        );
    }
}

/// A client that has lost its connection wishes for its nick, and proves that it is the same.
fn goes_on(address: SocketAddr, nick: &str, session: &str) -> (Program, Value) {
    let mut program = Program::connect(address, nick);
    let answer = program.ask(json!({"type": "resume", "session": session}));
    assert_eq!(answer["type"], "ok", "{answer}");
    (program, answer)
}

#[test]
#[ignore = "needs redis-server"]
fn client_of_a_killed_server_keeps_its_nick_at_another() {
    let redis = RedisServer::start("nodes-goes-on", &ALWAYS);
    let (a, b) = (node(&redis), node(&redis));
    let ann = comes_as(a.address(), "ann").expect("it is free");
    let eve = comes_as(a.address(), "eve").expect("it is free");
    let killed_at = now();
    a.signal("KILL");
    let (_, answer) = goes_on(b.address(), "ann", &eve.session);
    assert_ne!(answer["nick"], "ann");
    let (_ann, answer) = goes_on(b.address(), "ann", &ann.session);
    assert_eq!(answer["nick"], "ann");
    // Not by the end of the lease.
    assert!(killed_at.elapsed() < Duration::from_secs(8));
    assert!(comes_as(b.address(), "ann").is_none());
}

#[test]
#[ignore = "needs redis-server"]
fn client_that_goes_on_at_another_server_leaves_its_old_connection() {
    let redis = RedisServer::start("nodes-moves", &ALWAYS);
    let (a, b) = (node(&redis), node(&redis));
    let mut ann = comes_as(a.address(), "ann").expect("it is free");
    ann.ask(json!({"type": "join", "room": "den"}));
    let (mut again, answer) = goes_on(b.address(), "ann", &ann.session);
    assert_eq!(answer["nick"], "ann");
    assert_eq!(ann.is_closed().0, Some(4001));
    again.ask(json!({"type": "join", "room": "den"}));
    eventually("one member is there", || {
        let who = again.ask(json!({"type": "who", "room": "den"}));
        who["members"] == json!(["ann"])
    });
    // And back.
    let session = answer["session"].as_str().expect("a session");
    let (_ann, answer) = goes_on(a.address(), "ann", session);
    assert_eq!(answer["nick"], "ann");
    assert_eq!(again.is_closed().0, Some(4001));
}

#[test]
#[ignore = "needs redis-server"]
fn nick_of_a_stopped_server_is_free_at_once() {
    let redis = RedisServer::start("nodes-stop", &ALWAYS);
    let (mut a, b) = (node(&redis), node(&redis));
    let ann = comes_as(a.address(), "ann").expect("it is free");
    a.signal("TERM");
    drop(ann);
    assert!(a.exit_status().success());
    eventually("the nick is free", || {
        comes_as(b.address(), "ann").is_some()
    });
}

#[test]
#[ignore = "needs redis-server"]
fn nicks_are_claimed_again_where_redis_has_lost_them() {
    let mut redis = RedisServer::start("nodes-nicks-lost", &ALWAYS);
    let (a, b) = (node(&redis), node(&redis));
    let _ann = comes_as(a.address(), "ann").expect("it is free");
    let before = holder(&redis, "ann");
    redis.command("FLUSHALL");
    eventually("the nick is claimed again", || {
        holder(&redis, "ann") == before
    });
    assert!(comes_as(b.address(), "ann").is_none());
    redis.restart();
    redis.command("DEL p:nicks");
    eventually("the nick is claimed again", || {
        holder(&redis, "ann") == before
    });
    eventually("the other server has reached Redis", || {
        super::readiness(&b) == 200
    });
    assert!(comes_as(b.address(), "ann").is_none());
}
