//! Several servers on one real Redis: one order, history and resume at each of them, and what is told
//! when a server or Redis is killed. `tests/clients/install.sh` installs Redis.
//!
//! `PARLOR_ROUNDS=50 cargo test --test outside nodes -- --ignored --nocapture` is the long form.

mod admin;
mod nicks;

use super::keeping_up::{Program, UNKNOWN, is_refused};
use super::kills::{END, Member, READERS, ROOMS, Shared, WRITERS, rounds};
use super::redis::{RedisServer, Tunnel};
use super::support::{Client, PATIENCE, Server, command, eventually, now};
use parlor::chance::Chance;
use serde_json::json;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

pub(crate) const ALWAYS: [&str; 4] = ["--appendonly", "yes", "--appendfsync", "always"];
const EVERY_SECOND: [&str; 4] = ["--appendonly", "yes", "--appendfsync", "everysec"];

pub(crate) fn prepared(redis: &RedisServer) -> Command {
    prepared_at(redis, "127.0.0.1:0")
}

fn prepared_at(redis: &RedisServer, address: &str) -> Command {
    let mut command = prepared_through(&redis.socket());
    command.args(["--listen", address]);
    command
}

/// A server that reaches Redis by a Unix socket.
pub(super) fn prepared_through(socket: &Path) -> Command {
    let mut command = command();
    command.env_remove("PARLOR_STORE");
    command.args(["--message-rate", "0", "--log", "error"]);
    command.args(["--catch-up-max", "1000000"]);
    command.arg("--engine");
    command.arg(format!("redis+unix:{}", socket.display()));
    command
}

/// A server that has reached Redis: its clients are not shown the link of its start.
pub(crate) fn node(redis: &RedisServer) -> Server {
    started(&mut prepared(redis))
}

pub(super) fn started(command: &mut Command) -> Server {
    let server = Server::spawn(command, 1);
    eventually("the server has reached Redis", || readiness(&server) == 200);
    server
}

pub(crate) fn readiness(server: &Server) -> u16 {
    let mut client = Client::connect(server.address());
    client.send(b"GET /readyz HTTP/1.1\r\nHost: a.test\r\n\r\n");
    client.response().status
}

#[test]
#[ignore = "needs redis-server"]
fn members_of_two_servers_see_one_order() {
    let redis = RedisServer::start("nodes-order", &ALWAYS);
    let (a, b) = (node(&redis), node(&redis));
    let mut ann = Program::join(a.address(), "ann", "den");
    let mut bob = Program::join(b.address(), "bob", "den");
    assert_eq!(ann.says("den", "one"), 1);
    assert_eq!(bob.says("den", "two"), 2);
    assert_eq!(ann.hears("two"), 2);
    assert_eq!(bob.hears("one"), 1);
}

#[test]
#[ignore = "needs redis-server"]
fn servers_of_one_port_serve_one_chat() {
    let redis = RedisServer::start("nodes-port", &ALWAYS);
    let first = Server::spawn(prepared(&redis).arg("--reuse-port"), 1);
    let address = first.address().to_string();
    let mut start = prepared_at(&redis, &address);
    let second = Server::spawn(start.arg("--reuse-port"), 1);
    assert_eq!(second.address(), first.address());
    let mut readers = Vec::new();
    // The kernel chooses: until each of them has one.
    eventually("both servers have clients", || {
        let nick = format!("reader-{}", readers.len());
        readers.push(Program::join(first.address(), &nick, "den"));
        let has_clients = |server: &Server| server.counter("members") > 0;
        has_clients(&first) && has_clients(&second)
    });
    let mut ann = Program::join(first.address(), "ann", "den");
    ann.says("den", "to all");
    for reader in &mut readers {
        assert_eq!(reader.hears("to all"), 1);
    }
    // Without the option, the port is taken.
    let output = prepared_at(&redis, &address).output().expect("it ends");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(errors.contains(&address), "{errors}");
}

#[test]
#[ignore = "needs redis-server"]
fn history_is_the_same_at_each_server() {
    let redis = RedisServer::start("nodes-history", &ALWAYS);
    let first = node(&redis);
    let mut ann = Program::join(first.address(), "ann", "den");
    for number in 1..=3 {
        assert_eq!(ann.says("den", &format!("message {number}")), number);
    }
    drop((ann, first));
    let second = node(&redis);
    let mut bob = Program::connect(second.address(), "bob");
    let joined = bob.ask(json!({"type": "join", "room": "den", "history": 10}));
    assert_eq!(joined["after"], 0, "{joined}");
    assert_eq!(bob.hears("message 3"), 3);
}

#[test]
#[ignore = "needs redis-server"]
fn message_that_is_sent_again_at_another_server_is_there_once() {
    let redis = RedisServer::start("nodes-key", &ALWAYS);
    let (a, b) = (node(&redis), node(&redis));
    let send = json!({"type": "send", "room": "den", "text": "once", "key": "k"});
    let mut ann = Program::join(a.address(), "ann", "den");
    assert_eq!(ann.ask(send.clone())["seq"], 1);
    let session = ann.session.clone();
    ann.breaks_off();
    let mut again = Program::connect(b.address(), "ann");
    let resumed = again.ask(json!({"type": "resume", "session": session}));
    assert_eq!(resumed["type"], "ok", "{resumed}");
    again.ask(json!({"type": "join", "room": "den"}));
    let answer = again.ask(send);
    assert_eq!(
        (&answer["seq"], &answer["duplicate"]),
        (&json!(1), &json!(true))
    );
}

#[test]
#[ignore = "needs redis-server"]
fn message_of_a_server_that_is_cut_off_is_refused_in_the_end() {
    let mut redis = RedisServer::start("nodes-cut", &ALWAYS);
    let server = node(&redis);
    let mut ann = Program::join(server.address(), "ann", "den");
    redis.kill();
    while ann.event()["type"] != "link" {}
    assert_eq!(readiness(&server), 503);
    let id = ann.send("den", "lost");
    // What waits for the link is refused after 30 s.
    is_refused(&ann.answer_by(id, now() + 5 * PATIENCE));
    redis.restart();
    while ann.event()["type"] != "link" {}
    assert_eq!(ann.says("den", "heard"), 1);
}

#[test]
#[ignore = "needs redis-server"]
fn redis_that_may_forget_rooms_is_refused_at_the_start() {
    let redis = RedisServer::start("nodes-unfit", &["--maxmemory-policy", "allkeys-lru"]);
    let output = prepared(&redis).output().expect("it ends");
    assert!(!output.status.success());
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(errors.contains("maxmemory-policy"), "{errors}");
}

#[test]
#[ignore = "needs redis-server"]
fn redis_that_is_not_there_is_named_at_the_start() {
    let mut redis = RedisServer::start("nodes-away", &[]);
    redis.kill();
    let output = prepared(&redis).output().expect("it ends");
    assert!(!output.status.success());
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(errors.contains("--engine redis+unix:"), "{errors}");
}

#[test]
#[ignore = "needs redis-server"]
fn user_with_the_access_list_of_the_page_is_enough() {
    let redis = RedisServer::start("nodes-acl", &ALWAYS);
    let page = std::fs::read_to_string("docs/nodes.md").expect("there is a page");
    let line = page.lines().find(|line| line.starts_with("user parlor"));
    let words = line.expect("an access list").replace("PASSWORD", "secret");
    let words = words.trim_start_matches("user ");
    assert_eq!(redis.command(&format!("ACL SETUSER {words}")), "+OK\r\n");
    let mut start = prepared(&redis);
    start.args(["--engine-user", "parlor"]);
    start.env("PARLOR_ENGINE_PASSWORD", "secret");
    let server = Server::spawn(&mut start, 1);
    let mut ann = Program::join(server.address(), "ann", "den");
    assert_eq!(ann.says("den", "one"), 1);
    start.env("PARLOR_ENGINE_PASSWORD", "wrong");
    let output = start.output().expect("it ends");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(errors.contains("WRONGPASS"), "{errors}");
}

/// Plays members at three servers while `disturb` is called once a round, and compares what they
/// have. `may_lose`: what was acknowledged may be lost, if that was told.
fn plays(
    redis: &mut RedisServer,
    may_lose: bool,
    disturb: impl FnMut(&mut RedisServer, &mut Vec<Server>, &Shared),
) {
    let servers = (0..3).map(|_| node(redis)).collect();
    plays_at(servers, redis, may_lose, disturb);
}

fn addresses(servers: &[Server]) -> Vec<SocketAddr> {
    servers.iter().map(Server::address).collect()
}

fn plays_at(
    mut servers: Vec<Server>,
    redis: &mut RedisServer,
    may_lose: bool,
    mut disturb: impl FnMut(&mut RedisServer, &mut Vec<Server>, &Shared),
) {
    let shared = Shared::default();
    shared.publish(&addresses(&servers));
    let mut chance = Chance::new(rounds(), "disturber");
    let members = thread::scope(|scope| {
        let members: Vec<_> = (0..WRITERS + READERS)
            .map(|number| {
                let shared = &shared;
                scope.spawn(move || Member::new(shared, number).lives())
            })
            .collect();
        for _ in 0..rounds() {
            let enough = shared.acknowledged() + 1 + chance.below(400);
            eventually("messages are acknowledged", || {
                shared.acknowledged() >= enough
            });
            disturb(redis, &mut servers, &shared);
            shared.publish(&addresses(&servers));
        }
        shared.is_ending.store(true, Ordering::SeqCst);
        eventually("all is acknowledged", || {
            shared.done.load(Ordering::SeqCst) == WRITERS as u64
        });
        for room in ROOMS {
            Program::join(servers[0].address(), "ender", room).says(room, END);
        }
        let members = members.into_iter();
        let members = members.map(|member| member.join().expect("a member is content"));
        members.collect::<Vec<_>>()
    });
    have_the_same(&members, may_lose);
}

fn have_the_same(members: &[Member<'_>], may_lose: bool) {
    for (room, name) in ROOMS.iter().enumerate() {
        let known = |texts: &&Vec<String>| texts.iter().filter(|text| *text != UNKNOWN).count();
        let all = members.iter().map(|member| &member.views[room].texts);
        let kept = all.max_by_key(known).expect("there are members");
        let mut newest: HashMap<&str, u64> = HashMap::new();
        for text in kept.iter().filter(|text| *text != END && *text != UNKNOWN) {
            let mut words = text.split(' ');
            let nick = words.next().expect("a nick");
            let number = words.next().and_then(|word| word.parse().ok());
            let number = number.expect("a number");
            let before = newest.insert(nick, number).unwrap_or(0);
            // What Redis may have lost with its key is said again, behind what its sender said since.
            assert!(
                number > before || may_lose,
                "{nick} said {number} after {before} in {name}"
            );
        }
        for member in members {
            let texts = &member.views[room].texts;
            let is_same = |(one, other): (&String, &String)| {
                one == other || one == UNKNOWN || other == UNKNOWN
            };
            // Not by `assert_eq`, which would print all of it.
            let differs = texts.iter().zip(kept).position(|pair| !is_same(pair));
            assert!(
                texts.len() == kept.len() && differs.is_none(),
                "{} has another {name}: {} and {} entries, which differ after {differs:?}",
                member.nick,
                texts.len(),
                kept.len()
            );
            let of_room = member.acknowledged.iter().filter(|(of, ..)| *of == room);
            for (_, seq, text) in of_room.filter(|_| !may_lose) {
                assert_eq!(kept.get(*seq as usize - 1), Some(text), "{seq} of {name}");
            }
        }
    }
    let sum = |of: fn(&Member<'_>) -> u64| members.iter().map(of).sum::<u64>();
    println!(
        "{} rounds: {} acknowledged, {} of them as duplicates, {} connections, {} times something \
         was to be forgotten",
        rounds(),
        sum(|member| member.acknowledged.len() as u64),
        sum(|member| member.duplicates),
        sum(|member| member.connections),
        sum(|member| member.views.iter().map(|view| view.rewound as u64).sum()),
    );
}

#[test]
#[ignore = "needs redis-server"]
fn killed_servers_lose_and_repeat_nothing_and_their_clients_go_on_at_the_other() {
    let mut redis = RedisServer::start("nodes-kill", &ALWAYS);
    plays(&mut redis, false, |redis, servers, shared| {
        // The longest running one.
        let killed = servers.remove(0);
        shared.publish(&addresses(servers));
        killed.signal("KILL");
        servers.push(node(redis));
    });
}

#[test]
#[ignore = "needs redis-server"]
fn server_that_is_cut_off_loses_and_repeats_nothing() {
    let mut redis = RedisServer::start("nodes-cut-off", &ALWAYS);
    let tunnel = Tunnel::to(&redis);
    let mut start = prepared_through(&tunnel.entrance());
    start.args(["--listen", "127.0.0.1:0"]);
    let cut_off = Server::spawn(&mut start, 1);
    let servers = vec![cut_off, node(&redis), node(&redis)];
    plays_at(servers, &mut redis, false, |_, servers, _| {
        tunnel.cuts(true);
        // No socket is closed: it is noticed by what does not come.
        eventually("the server knows", || readiness(&servers[0]) == 503);
        tunnel.cuts(false);
        eventually("the server is back", || readiness(&servers[0]) == 200);
    });
}

#[test]
#[ignore = "needs redis-server"]
fn what_a_truncated_log_of_redis_loses_is_told() {
    let mut redis = RedisServer::start("nodes-truncated", &ALWAYS);
    let mut chance = Chance::new(rounds(), "truncated");
    plays(&mut redis, true, |redis, _, _| {
        redis.restart_without_end_of_log(chance.below(20_000));
    });
}

#[test]
#[ignore = "needs redis-server"]
fn killed_redis_that_always_syncs_loses_nothing_that_was_acknowledged() {
    let mut redis = RedisServer::start("nodes-always", &ALWAYS);
    plays(&mut redis, false, |redis, _, _| redis.restart());
}

#[test]
#[ignore = "needs redis-server"]
fn what_a_killed_redis_loses_is_told() {
    let mut redis = RedisServer::start("nodes-everysec", &EVERY_SECOND);
    plays(&mut redis, true, |redis, _, _| redis.restart());
}

#[test]
#[ignore = "needs redis-server"]
fn subscribers_that_redis_drops_miss_nothing() {
    let mut redis = RedisServer::start("nodes-dropped", &ALWAYS);
    plays(&mut redis, false, |redis, _, _| {
        redis.command("CLIENT KILL TYPE pubsub");
        thread::sleep(Duration::from_millis(20));
    });
}

#[test]
#[ignore = "needs redis-server"]
fn flushed_redis_is_told_as_a_loss() {
    let mut redis = RedisServer::start("nodes-flush", &ALWAYS);
    plays(&mut redis, true, |redis, _, _| {
        redis.command("FLUSHALL");
    });
}
