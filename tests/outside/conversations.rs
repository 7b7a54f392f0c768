//! Direct messages between accounts at several servers on one real Redis: each is shown once, wherever
//! the two are connected, also when a server is killed, and all of it ends with an account.

use super::keeping_up::Program;
use super::nodes::{ALWAYS, prepared, started};
use super::redis::RedisServer;
use super::support::{Client, PATIENCE, Server, eventually, now};
use serde_json::{Value, json};

const PASSWORD: &str = "correct horse battery";
/// What is said in a test while servers end.
const MESSAGES: usize = 60;

fn node(redis: &RedisServer) -> Server {
    started(prepared(redis).args(["--directs-per-minute", "0"]))
}

/// A program that enters an account.
fn account(server: &Server, how: &str, name: &str) -> Program {
    let mut program = Program::connect(server.address(), "");
    let entered = program.ask(json!({"type": how, "account": name, "password": PASSWORD}));
    assert_eq!(entered["account"], json!(name), "{entered}");
    if let Some(session) = entered["session"].as_str() {
        session.clone_into(&mut program.session);
    }
    program
}

/// The accounts Ann, at the first server, and Bob, at the second.
fn ann_and_bob(first: &Server, second: &Server) -> (Program, Program) {
    let ann = account(first, "register", "ann");
    drop(account(first, "register", "bob"));
    eventually("the second server knows of both", || {
        let mut guest = Program::connect(second.address(), "");
        let login = json!({"type": "login", "account": "bob", "password": PASSWORD});
        guest.ask(login)["type"] == "ok"
    });
    (ann, account(second, "login", "bob"))
}

fn tells(program: &mut Program, to: &str, text: &str) -> u64 {
    let send = json!({"type": "send", "room": format!("@{to}"), "text": text});
    let answer = program.ask(send);
    answer["seq"].as_u64().unwrap_or_else(|| panic!("{answer}"))
}

/// The next direct message of a conversation: its number and text. An object of another type that
/// is about it comes first, if it does.
fn next_in(program: &mut Program, room: &str) -> Value {
    loop {
        let event = program.event();
        if event["room"] == room {
            return event;
        }
    }
}

#[test]
#[ignore = "needs redis-server"]
fn accounts_at_two_servers_write_to_each_other() {
    let redis = RedisServer::start("conversations-two", &ALWAYS);
    let (a, b) = (node(&redis), node(&redis));
    let (mut ann, mut bob) = ann_and_bob(&a, &b);
    assert_eq!(tells(&mut ann, "bob", "one"), 1);
    let joined = next_in(&mut bob, "@ann");
    assert_eq!(
        (&joined["type"], &joined["after"]),
        (&json!("joined"), &json!(0))
    );
    assert_eq!(bob.hears("one"), 1);
    assert_eq!(tells(&mut bob, "ann", "two"), 2);
    assert_eq!(ann.hears("two"), 2);
    let edit = json!({"type": "edit", "room": "@bob", "seq": 1, "text": "won"});
    assert_eq!(ann.ask(edit)["type"], "ok");
    let edited = next_in(&mut bob, "@ann");
    assert_eq!(edited["type"], "message", "{edited}");
    let edited = next_in(&mut bob, "@ann");
    assert_eq!(
        (&edited["type"], &edited["of"]),
        (&json!("edited"), &json!(1))
    );
    assert_eq!(ann.ask(json!({"type": "rooms"}))["rooms"], json!([]));
    // What was seen elsewhere is not unseen, and both are there.
    eventually("each knows of the other", || {
        let who = ann.ask(json!({"type": "who", "room": "@bob"}));
        who["members"] == json!(["ann", "bob"])
    });
    let mut again = account(&a, "login", "bob");
    let list = again.ask(json!({"type": "conversations"}));
    let list = &list["conversations"];
    assert_eq!(list[0]["room"], "@ann", "{list}");
    assert!(list[0].get("unseen").is_none(), "{list}");
}

#[test]
#[ignore = "needs redis-server"]
fn own_connection_at_another_server_is_shown_what_one_says() {
    let redis = RedisServer::start("conversations-own", &ALWAYS);
    let (a, b) = (node(&redis), node(&redis));
    let (mut ann, bob) = ann_and_bob(&a, &b);
    let mut also_ann = account(&b, "login", "ann");
    drop(bob);
    assert_eq!(tells(&mut ann, "bob", "one"), 1);
    let joined = next_in(&mut also_ann, "@bob");
    assert_eq!(joined["type"], "joined", "{joined}");
    assert_eq!(also_ann.hears("one"), 1);
    assert_eq!(tells(&mut also_ann, "bob", "two"), 2);
    assert_eq!(ann.hears("two"), 2);
}

#[test]
#[ignore = "needs redis-server"]
fn person_at_another_server_is_shown_direct_messages() {
    let redis = RedisServer::start("conversations-lines", &ALWAYS);
    let (a, b) = (node(&redis), node(&redis));
    let (mut ann, bob) = ann_and_bob(&a, &b);
    drop(bob);
    let mut bob: Client = b.join("robert");
    bob.says(&format!("/login bob {PASSWORD}"));
    while bob.line() != "* you are logged in as bob" {}
    for (number, text) in ["one", "two", "three"].into_iter().enumerate() {
        assert_eq!(tells(&mut ann, "bob", text), 1 + number as u64);
        let until = now() + PATIENCE;
        loop {
            let line = bob.line();
            if line == format!("[from ann] {text}") {
                break;
            }
            assert!(now() < until && !line.starts_with("[from"), "{line}");
        }
    }
    bob.says("/msg ann four");
    assert_eq!(ann.hears("four"), 4);
}

/// What Bob has of what Ann says, and with which he goes on.
#[derive(Default)]
struct Heard {
    epoch: Value,
    texts: Vec<String>,
}

impl Heard {
    fn take(&mut self, event: &Value) {
        if event["type"] == "joined" {
            assert!(event.get("rewound").is_none(), "{event}");
            assert_eq!(event["after"], json!(self.texts.len()), "{event}");
            self.epoch = event["epoch"].clone();
        } else if event["type"] == "message" {
            self.texts
                .push(event["text"].as_str().expect("text").to_owned());
            assert_eq!(event["seq"], json!(self.texts.len()), "{event}");
        }
    }

    /// Until there are so many.
    fn hears(&mut self, bob: &mut Program, count: usize) {
        while self.texts.len() < count {
            self.take(&next_in(bob, "@ann"));
        }
    }
}

#[test]
#[ignore = "needs redis-server"]
fn killed_servers_lose_and_double_no_direct_message() {
    let redis = RedisServer::start("conversations-kill", &ALWAYS);
    let mut servers = vec![node(&redis), node(&redis)];
    let (mut ann, mut bob) = ann_and_bob(&servers[0], &servers[1]);
    let mut heard = Heard::default();
    for number in 0..MESSAGES {
        let send = json!({
            "type": "send", "room": "@bob", "text": format!("m{number}"), "key": format!("k{number}"),
        });
        let id = ann.request(send.clone());
        if number % 20 == 9 {
            // Before Bob has heard it, or after.
            servers.remove(1).signal("KILL");
            servers.push(node(&redis));
            drop(bob);
            bob = account(&servers[1], "login", "bob");
            let since = json!({"epoch": heard.epoch, "seq": heard.texts.len()});
            let join = json!({"type": "join", "room": "@ann", "since": since});
            heard.take(&bob.ask(join));
        }
        if number % 20 == 19 {
            let session = ann.session.clone();
            servers.remove(0).signal("KILL");
            servers.insert(0, node(&redis));
            drop(ann);
            // The same session, by which the key is known.
            ann = Program::connect(servers[0].address(), "");
            let back = ann.ask(json!({"type": "resume", "session": session}));
            assert_eq!(back["account"], json!("ann"), "{back}");
            ann.session = session;
            let again = ann.ask(send);
            assert_eq!(again["seq"], json!(number + 1), "{again}");
        } else {
            let answer = ann.answer(id);
            assert_eq!(answer["seq"], json!(number + 1), "{answer}");
        }
        if number % 3 == 0 {
            heard.hears(&mut bob, number + 1);
        }
    }
    heard.hears(&mut bob, MESSAGES);
    let all: Vec<String> = (0..MESSAGES).map(|number| format!("m{number}")).collect();
    assert_eq!(heard.texts, all);
}

#[test]
#[ignore = "needs redis-server"]
fn conversation_is_removed_from_redis_with_one_of_the_accounts() {
    let redis = RedisServer::start("conversations-end", &ALWAYS);
    let (a, b) = (node(&redis), node(&redis));
    let (mut ann, mut bob) = ann_and_bob(&a, &b);
    tells(&mut ann, "bob", "one");
    assert_eq!(bob.hears("one"), 1);
    let keys = "EXISTS p:{@1.2}:m p:{@1.2}:s";
    assert_eq!(redis.command(keys), ":2\r\n");
    let gone = bob.ask(json!({"type": "unregister", "password": PASSWORD}));
    assert_eq!(gone["type"], "ok", "{gone}");
    loop {
        let event = next_in(&mut ann, "@bob");
        assert_ne!(event["type"], "rewound");
        if event["type"] == "member_left" {
            break;
        }
    }
    assert_eq!(redis.command(keys), ":0\r\n");
    let refused = ann.ask(json!({"type": "send", "room": "@bob", "text": "two"}));
    assert_eq!(refused["code"], "no_such_member", "{refused}");
}
