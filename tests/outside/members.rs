//! Members of two servers on one real Redis: joins, leaves, lists and counts at both, and what
//! becomes of them when a server or the keys of Redis are lost.

use super::keeping_up::Program;
use super::nodes::{ALWAYS, node, prepared, started};
use super::redis::RedisServer;
use super::support::{PATIENCE, Server, eventually, now};
use serde_json::{Value, json};

/// Waits for a notice of a type about a nick.
fn sees(who: &mut Program, kind: &str, nick: &str) {
    // A lease has to end first, perhaps.
    let until = now() + 3 * PATIENCE;
    loop {
        assert!(now() < until, "no {kind} of {nick}");
        let event = who.event();
        if event["type"] == kind && event["nick"] == nick {
            return;
        }
    }
}

fn members(who: &mut Program) -> Vec<String> {
    let answer = who.ask(json!({"type": "who", "room": "den"}));
    serde_json::from_value(answer["members"].clone()).expect("nicks")
}

fn count(who: &mut Program) -> Value {
    who.ask(json!({"type": "rooms"}))["rooms"][0]["count"].clone()
}

#[test]
#[ignore = "needs redis-server"]
fn members_of_two_servers_see_each_other() {
    let redis = RedisServer::start("members-two", &ALWAYS);
    let (a, b) = (node(&redis), node(&redis));
    let mut ann = Program::join(a.address(), "ann", "den");
    // Bob may be quicker than what is told of Ann.
    eventually("redis knows of ann", || {
        redis.command("EXISTS p:{den}:n") == ":1\r\n"
    });
    let mut bob = Program::connect(b.address(), "bob");
    let joined = bob.ask(json!({"type": "join", "room": "den"}));
    assert_eq!(
        (&joined["count"], &joined["members"]),
        (&json!(2), &json!(["ann"]))
    );
    sees(&mut ann, "member_joined", "bob");
    for who in [&mut ann, &mut bob] {
        assert_eq!(members(who), ["ann", "bob"]);
        assert_eq!(count(who), 2);
    }
    bob.ask(json!({"type": "leave", "room": "den"}));
    sees(&mut ann, "member_left", "bob");
    assert_eq!(members(&mut ann), ["ann"]);
    assert_eq!(count(&mut ann), 1);
}

/// An account that is a member of the room, or is registered to be one.
fn registered(server: &Server, name: &str) -> Program {
    let mut who = Program::join(server.address(), name, "den");
    let register =
        json!({"type": "register", "account": name, "password": "correct horse battery"});
    assert_eq!(who.ask(register)["account"], name);
    who
}

#[test]
#[ignore = "needs redis-server"]
fn member_of_another_server_is_kicked_by_one_of_a_higher_rank_alone() {
    let redis = RedisServer::start("members-kick", &ALWAYS);
    let [a, b] = [(); 2].map(|()| started(prepared(&redis).args(["--operator-token", "sesame"])));
    let mut op = Program::join(a.address(), "op", "den");
    let token = json!({"type": "op", "token": "sesame"});
    assert_eq!(op.ask(token.clone())["type"], "ok");
    let (mut moderator, mut owner) = (registered(&a, "carol"), registered(&b, "olive"));
    let mut bob = Program::join(b.address(), "bob", "den");
    for (account, role) in [("carol", "moderator"), ("olive", "owner")] {
        let give = json!({"type": "role", "room": "den", "account": account, "role": role});
        eventually("the account is known", || {
            op.ask(give.clone())["type"] == "ok"
        });
    }
    eventually("all are known", || members(&mut moderator).len() == 4);
    let kick = |nick: &str| json!({"type": "kick", "room": "den", "nick": nick, "reason": "spam"});
    assert_eq!(moderator.ask(kick("olive"))["code"], "not_allowed");
    let mut omar = Program::connect(b.address(), "omar");
    assert_eq!(omar.ask(token)["type"], "ok");
    assert_eq!(
        omar.ask(json!({"type": "join", "room": "den"}))["room"],
        "den"
    );
    sees(&mut moderator, "member_joined", "omar");
    assert_eq!(moderator.ask(kick("omar"))["code"], "not_allowed");
    assert_eq!(moderator.ask(kick("bob"))["type"], "ok");
    sees(&mut owner, "kicked", "bob");
    while bob.event()["type"] != "kicked" {}
    assert_eq!(
        bob.ask(json!({"type": "send", "room": "den", "text": "spam"}))["code"],
        "not_a_member"
    );
    eventually("he is gone", || {
        members(&mut moderator) == ["carol", "olive", "omar", "op"]
    });
}

#[test]
#[ignore = "needs redis-server"]
fn members_of_a_killed_server_leave_when_its_lease_ends() {
    let redis = RedisServer::start("members-kill", &ALWAYS);
    let (a, b) = (node(&redis), node(&redis));
    let mut ann = Program::join(a.address(), "ann", "den");
    let _bob = Program::join(b.address(), "bob", "den");
    sees(&mut ann, "member_joined", "bob");
    b.signal("KILL");
    sees(&mut ann, "member_left", "bob");
    assert_eq!(members(&mut ann), ["ann"]);
}

/// The rooms that a program is listed, each with its count.
fn rooms(who: &mut Program) -> String {
    let answer = who.ask(json!({"type": "rooms"}));
    let rooms = answer["rooms"].as_array().expect("a list").iter();
    let rooms =
        rooms.map(|row| format!("{} {}", row["room"].as_str().expect("a name"), row["count"]));
    rooms.collect::<Vec<_>>().join(", ")
}

#[test]
#[ignore = "needs redis-server"]
fn rooms_of_all_servers_are_listed_until_their_server_is_gone() {
    let redis = RedisServer::start("members-rooms", &ALWAYS);
    let (a, b) = (node(&redis), node(&redis));
    let mut ann = Program::join(a.address(), "ann", "den");
    let mut bob = Program::join(b.address(), "bob", "den");
    bob.ask(json!({"type": "join", "room": "attic"}));
    for who in [&mut ann, &mut bob] {
        eventually("all rooms are listed", || rooms(who) == "attic 1, den 2");
    }
    redis.command("FLUSHALL");
    eventually("both servers have told of their rooms", || {
        redis.command("HLEN p:rooms") == ":2\r\n"
    });
    let c = node(&redis);
    let mut cat = Program::connect(c.address(), "cat");
    eventually("a new server knows them", || {
        rooms(&mut cat) == "attic 1, den 2"
    });
    b.signal("KILL");
    // Its lease has to end first: what members see leave was listed until then.
    sees(&mut ann, "member_left", "bob");
    for who in [&mut ann, &mut cat] {
        eventually("its rooms are listed no more", || rooms(who) == "den 1");
    }
}

#[test]
#[ignore = "needs redis-server"]
fn members_are_told_again_to_a_redis_that_was_emptied() {
    let redis = RedisServer::start("members-flush", &ALWAYS);
    let (a, b) = (node(&redis), node(&redis));
    let mut ann = Program::join(a.address(), "ann", "den");
    let _bob = Program::join(b.address(), "bob", "den");
    sees(&mut ann, "member_joined", "bob");
    redis.command("FLUSHALL");
    eventually("both servers have told of theirs", || {
        redis.command("HLEN p:{den}:n") == ":2\r\n"
    });
    assert_eq!(members(&mut ann), ["ann", "bob"]);
    let c = node(&redis);
    let mut cat = Program::join(c.address(), "cat", "den");
    assert_eq!(members(&mut cat), ["ann", "bob", "cat"]);
}

#[test]
#[ignore = "needs redis-server"]
fn members_stay_when_redis_is_killed() {
    let mut redis = RedisServer::start("members-redis", &ALWAYS);
    let (a, b) = (node(&redis), node(&redis));
    let mut ann = Program::join(a.address(), "ann", "den");
    let mut bob = Program::join(b.address(), "bob", "den");
    sees(&mut ann, "member_joined", "bob");
    redis.restart();
    assert_eq!(bob.says("den", "still here"), 1);
    ann.hears("still here");
    assert_eq!(members(&mut ann), ["ann", "bob"]);
    let mut cat = Program::join(b.address(), "cat", "den");
    sees(&mut ann, "member_joined", "cat");
    assert_eq!(members(&mut cat), ["ann", "bob", "cat"]);
}
