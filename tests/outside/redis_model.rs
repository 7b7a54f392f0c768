//! The simulated Redis against a real one: the same calls of the scripts, with random arguments, give
//! the same answers and publish the same.

use super::redis::{RedisServer, simulated};
use parlor::chat::Role;
use parlor::chat::registry::{
    Account, Change, Fact, FactKey, Sanction, SanctionKind, Scope, Subject,
};
use parlor::chat::{Author, Came, Content, Counts, Draft, Manner, Moves, Nick, Standing};
use parlor::id::{AccountId, ConnId, Millis, RoomId, Seq};
use parlor::log::{
    Earlier, EpochInfo, Judged, Key, NickClaim, NickClaims, Proposed, Unnumbered, Version,
};
use parlor::redis::resp::{Replies, command};
use parlor::redis::scripts::{self, Incarnation, Of, Range, Script, Told};
use parlor::redis::{Keep, counts, members};
use simulated::model::{Data, Op, Redis, Reply, owned};
use smol_str::SmolStr;
use std::io::{Read, Write};
use std::num::NonZeroU32;
use std::os::unix::net::UnixStream;

/// Above the seconds since 1970 for as long as this is tested, so that numbers of epochs follow from
/// each other and not from a clock.
const EPOCH_MIN: u32 = 4_000_000_000;
/// The second is a conversation of two.
const ROOMS: [&str; 2] = ["lobby", "@1.2"];
const STEPS: usize = 3_000;
const KEEP: Keep = Keep {
    dedupe_ms: 1_000_000,
    entries_max: 40,
};

/// A generator of numbers (xorshift64).
struct Chance(u64);

impl Chance {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 20) % limit
    }
}

/// A connection to the real one.
struct Real {
    socket: UnixStream,
    replies: Replies,
}

impl Real {
    fn new(server: &RedisServer) -> Self {
        let socket = server.connect().expect("a socket");
        let mut real = Self {
            socket,
            replies: Replies::default(),
        };
        real.ask(&words(&["HELLO", "3"]));
        real
    }

    /// The answer to a command, which is not pushed.
    fn ask(&mut self, bytes: &[u8]) -> Reply {
        self.socket.write_all(bytes).expect("it takes commands");
        loop {
            match self.next() {
                Reply::Push(_) => {}
                reply => return reply,
            }
        }
    }

    /// What was pushed up to now.
    fn pushed(&mut self) -> Vec<Reply> {
        self.socket
            .write_all(&words(&["PING"]))
            .expect("it takes commands");
        let mut pushed = Vec::new();
        loop {
            match self.next() {
                Reply::Push(items) => pushed.push(Reply::Push(items)),
                _ => return pushed,
            }
        }
    }

    fn next(&mut self) -> Reply {
        let mut bytes = [0; 65_536];
        loop {
            if let Some(value) = self.replies.take().expect("RESP") {
                return owned(value);
            }
            let count = self.socket.read(&mut bytes).expect("an answer");
            assert!(count > 0, "it has closed the connection");
            self.replies.push(&bytes[..count]);
        }
    }
}

fn words(words: &[&str]) -> Vec<u8> {
    let mut out = Vec::new();
    let words: Vec<&[u8]> = words.iter().map(|word| word.as_bytes()).collect();
    command(&mut out, &words);
    out
}

/// The same with the times, which no two servers share, replaced by a word.
fn timeless(reply: Reply) -> Reply {
    match reply {
        Reply::Array(items) => Reply::Array(items.into_iter().map(timeless).collect()),
        Reply::Push(items) => Reply::Push(items.into_iter().map(timeless).collect()),
        Reply::Map(items) => Reply::Array(items.into_iter().map(timeless).collect()),
        Reply::Simple(text) => Reply::text(text),
        Reply::Bulk(text) => Reply::Bulk(without_times(&text)),
        Reply::Error(text) => {
            let code = text.split(' ').next().unwrap_or_default();
            Reply::Error(code.to_owned())
        }
        other => other,
    }
}

/// Times have 13 digits, and nothing else here has so many.
fn without_times(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    for run in text.chunk_by(|a, b| a.is_ascii_digit() == b.is_ascii_digit()) {
        if run.len() == 13 && run[0].is_ascii_digit() {
            out.extend_from_slice(b"TIME");
        } else {
            out.extend_from_slice(run);
        }
    }
    out
}

fn asked(chance: &mut Chance, room: usize, step: usize) -> Unnumbered {
    let of = Seq(1 + chance.below(60) as u32);
    let content = match chance.below(10) {
        0 => Content::Deleted { of },
        1 | 2 => Content::Edited {
            of,
            text: format!("changed {step}"),
        },
        _ => {
            let text = "x".repeat(chance.below(300) as usize);
            Content::said(Manner::Message, text, None, Author::Unknown)
        }
    };
    let key = step as u64 - chance.below(20).min(step as u64);
    Unnumbered {
        tag: step as u64,
        room: RoomId::new(0, 0),
        name: ROOMS[room].into(),
        draft: Draft {
            nick: "ann".into(),
            content,
        },
        key: Key {
            // A session has messages of one room, so that their order by time is the one by number.
            session: [0, 7, 8][chance.below(3) as usize] * (1 + room as u64),
            key: key.to_string().into(),
        },
        judged: Judged {
            seen: Some(Version {
                epoch: EpochInfo {
                    epoch: EPOCH_MIN + chance.below(8) as u32,
                    salt: 0,
                },
                number: chance.below(60),
            }),
            by: None,
        },
        has_waited: chance.below(3) == 0,
        change: (chance.below(4) == 0).then(|| Box::new(proposed(chance, step))),
    }
}

/// A random change of the registry.
fn proposed(chance: &mut Chance, step: usize) -> Proposed {
    let account = AccountId(NonZeroU32::new(1 + chance.below(6) as u32).expect("not 0"));
    let sanction = Sanction {
        scope: Scope::Room(ROOMS[chance.below(2) as usize].into()),
        kind: SanctionKind::Mute,
        subject: Subject::Nick(format!("bob{}", chance.below(4)).into()),
        until: None,
        by: "op".into(),
        at: Millis(1),
        reason: format!("for {step}").into(),
    };
    let role = Fact::Role {
        scope: Scope::Server,
        account,
        role: [Role::Owner, Role::Admin][chance.below(2) as usize],
    };
    let key = sanction.key();
    let (puts, forgets) = match chance.below(5) {
        0 => (vec![role], vec![FactKey::Session(7), key]),
        1 => (Vec::new(), vec![FactKey::Account(account), key]),
        2 if chance.below(2) == 0 => {
            let two = [1, 2].map(|number| AccountId(NonZeroU32::new(number).expect("not 0")));
            (Vec::new(), vec![FactKey::Conversation(two)])
        }
        2 => (Vec::new(), vec![key]),
        3 => (vec![Fact::Sanction(sanction)], vec![key]),
        _ => {
            let account = Account {
                id: account,
                name: "ann".into(),
                password: None,
                token_subject: None,
                created: Millis(1),
            };
            (vec![Fact::Account(account)], Vec::new())
        }
    };
    let epoch = EpochInfo {
        epoch: EPOCH_MIN + chance.below(8) as u32,
        salt: 0,
    };
    let number = chance.below(60);
    let change = Change {
        number: step as u64 - chance.below(20).min(step as u64),
        at: Millis(1),
        puts,
        forgets,
        audit: None,
    };
    Proposed {
        change,
        seen: (chance.below(4) > 0).then_some(Version { epoch, number }),
    }
}

/// The beat of one of three nodes, with a lease that is over already or outlasts the test.
fn beat(chance: &mut Chance, out: &mut Vec<u8>, run: &str) {
    let node = scripts::node_name(1 + chance.below(3));
    let lease = ["", "-1000000", "1000000", "1000000"][chance.below(4) as usize];
    let description = format!("description {}", chance.below(9));
    let script = Script::Beat.text();
    let call = ["EVAL", script, "4", "p:nodes", "p:nodes:info", "p:run"];
    let arguments = ["p:grace", run, &node, &description, lease];
    out.extend(words(&[&call[..], &arguments[..]].concat()));
}

/// Nicks of a small alphabet, some of which have two keys.
fn claims(chance: &mut Chance) -> NickClaims {
    let mut keys = |least: u64, most: u64| -> Vec<SmolStr> {
        let count = least + chance.below(most);
        let key = |_| format!("nick{}", chance.below(12)).into();
        (0..count).map(key).collect()
    };
    let (released, claimed) = (keys(0, 3), [keys(0, 3), keys(1, 2)]);
    let claimed = claimed.into_iter().map(|keys| {
        let earlier = Earlier {
            start: chance.below(3) as u32,
            connection: ConnId::new(chance.below(4) as u32, 1),
        };
        NickClaim {
            keys,
            session: chance.below(4),
            resumes: (chance.below(3) == 0).then_some(earlier),
        }
    });
    NickClaims {
        tag: 1,
        released,
        claimed: claimed.collect(),
    }
}

fn moves(chance: &mut Chance) -> Moves {
    let mut moves = Moves {
        is_first: chance.below(4) == 0,
        is_last: chance.below(4) == 0,
        ..Moves::default()
    };
    for number in 0..6 {
        let nick = Nick::parse(&format!("ann{number}")).expect("a nick");
        match chance.below(4) {
            0 => moves.left.push(nick),
            1 => moves.came.push(Came {
                nick,
                standing: Standing {
                    has_account: chance.below(2) == 0,
                    is_operator: chance.below(2) == 0,
                },
                was: None,
            }),
            _ => {}
        }
    }
    moves
}

/// Now and then something is too late, with all that follow on its link.
fn sent(chance: &mut Chance, node: u64) -> scripts::Sent {
    let is_late = chance.below(20) == 0;
    scripts::Sent {
        node,
        link: chance.below(100) as u32,
        deadline: Millis(if is_late { 1 } else { u64::MAX / 2 }),
    }
}

/// A random command.
fn step(chance: &mut Chance, run: &str, step: usize) -> Vec<u8> {
    let mut out = Vec::new();
    let room = chance.below(2) as usize;
    let known = Incarnation {
        run,
        // Sometimes that of an epoch that a change was made in.
        salt: chance.below(1 << 32) as u32 * chance.below(2) as u32,
        epoch_max: EPOCH_MIN + chance.below(5) as u32,
    };
    match chance.below(20) {
        0 => {
            let seen = ["", "4000000001-00000000"][chance.below(2) as usize];
            let last = chance.below(50) as u32;
            let of = [Of::Room(ROOMS[room]), Of::Changes][chance.below(2) as usize];
            scripts::open(&mut out, None, of, known, (seen, last));
        }
        1 => {
            let range = Range {
                first: chance.below(200) as u32,
                last: chance.below(400) as u32,
                entries_max: 1 + chance.below(60) as u32,
                bytes_max: 1 + chance.below(3_000) as u32,
            };
            let of = [Of::Room(ROOMS[room]), Of::Changes][chance.below(2) as usize];
            scripts::page(&mut out, None, of, range);
        }
        2 => scripts::tops(&mut out, None, ROOMS.into_iter()),
        3 | 4 => {
            let proposed = proposed(chance, step);
            let node = 1 + chance.below(2);
            let sent = sent(chance, node);
            scripts::change(&mut out, None, &proposed, known, sent, KEEP);
        }
        5 => beat(chance, &mut out, run),
        6 => {
            let claims = claims(chance);
            scripts::claim(&mut out, None, 1 + chance.below(3), &claims);
        }
        7 => scripts::sweep(&mut out, None, 1 + chance.below(3), ("0", 1_000)),
        8 => {
            let moves = moves(chance);
            let node = 1 + chance.below(3);
            let message = members::encode(node, &moves);
            scripts::present(&mut out, None, ROOMS[room], (node, run), (&moves, &message));
            if chance.below(10) < 3 {
                out.clear();
                let counts = Counts {
                    is_first: chance.below(5) == 0,
                    is_last: false,
                    rooms: vec![(ROOMS[room].into(), chance.below(3) as u32)],
                };
                let message = counts::encode(node, &counts);
                scripts::count(&mut out, None, (node, run), (&counts, &message));
            }
        }
        9 => {
            let server = match chance.below(2) {
                0 => "".into(),
                _ => scripts::node_name(chance.below(4)),
            };
            let place = (server, "0".into());
            let node = chance.below(4);
            let what = [Told::Members(ROOMS[room]), Told::Rooms][chance.below(2) as usize];
            scripts::see(&mut out, None, what, run, (node, &place));
        }
        _ => {
            let asked = asked(chance, room, step);
            let keep = KEEP;
            let payload = parlor::redis::entry::encode(&asked.draft, None, 1);
            let sent = sent(chance, 1);
            scripts::say(&mut out, None, &asked, &payload, known, sent, keep);
        }
    }
    out
}

#[test]
#[ignore = "needs redis-server; tests/run runs it"]
fn simulated_redis_answers_as_the_real_one() {
    // With one entry a node, streams are trimmed exactly.
    let server = RedisServer::start("redis-model", &["--stream-node-max-entries", "1"]);
    let (mut real, mut subscriber) = (Real::new(&server), Real::new(&server));
    let mut model = Redis::new("", Data::default());
    let (asking, hearing) = (model.connect(), model.connect());
    let channels = |room: &&str| [scripts::channel(room), scripts::members_channel(room)];
    let channels: Vec<_> = ROOMS.iter().flat_map(channels).collect();
    let channels = channels.iter().map(|channel| channel.as_str());
    let subscribe = std::iter::once("SUBSCRIBE").chain(channels);
    let subscribe: Vec<&str> = subscribe
        .chain([scripts::CHANGES_CHANNEL, scripts::HINTS_CHANNEL])
        .chain([scripts::ROOMS_CHANNEL])
        .collect();
    let subscribe = words(&subscribe);
    subscriber
        .socket
        .write_all(&subscribe)
        .expect("it takes commands");
    model.receive(hearing, &subscribe);
    let seed = 4_711;
    let mut chance = Chance(seed);
    let mut run = String::from("a");
    for number in 0..STEPS {
        model.now_ms += 1;
        let place = format!("seed {seed}, step {number}");
        match chance.below(100) {
            0 => run = format!("run{number}"),
            1 => {
                let keys = [
                    "p:{lobby}:m",
                    "p:{lobby}:s",
                    "p:{@1.2}:x",
                    "p:registry",
                    "p:changes",
                    "p:grace",
                ];
                let key = keys[chance.below(6) as usize];
                real.ask(&words(&["DEL", key]));
                model.write(Op::Remove(key.as_bytes().to_vec()));
            }
            2 => {
                model.is_full = !model.is_full;
                let most = if model.is_full { "1" } else { "0" };
                real.ask(&words(&["CONFIG", "SET", "maxmemory", most]));
            }
            3 => {
                let keys = [
                    &scripts::session_keys(7 + chance.below(10)),
                    "p:facts",
                    "p:registry",
                ];
                let keys = words(&["HGETALL", keys[chance.below(3) as usize]]);
                let mut both = [real.ask(&keys), answer(&mut model, asking, &keys)];
                both.iter_mut().for_each(sort);
                assert_eq!(
                    timeless(both[0].clone()),
                    timeless(both[1].clone()),
                    "{place}"
                );
            }
            _ => {
                let bytes = step(&mut chance, &run, number);
                let mut expected = in_order(timeless(real.ask(&bytes)));
                let mut found = in_order(timeless(answer(&mut model, asking, &bytes)));
                // Leases are in the order of their ends, of which two may be the same, and nicks
                // in none.
                let has = |script: Script| {
                    let text = script.text().as_bytes();
                    bytes.windows(text.len()).any(|word| word == text)
                };
                if has(Script::Beat) || has(Script::Sweep) {
                    sort_from(&mut expected, 1);
                    sort_from(&mut found, 1);
                }
                assert_eq!(
                    found,
                    expected,
                    "{place}: {}",
                    String::from_utf8_lossy(&bytes)
                );
            }
        }
        let expected: Vec<Reply> = subscriber.pushed().into_iter().map(timeless).collect();
        let found: Vec<Reply> = all(&mut model, hearing).into_iter().map(timeless).collect();
        assert_eq!(found, expected, "{place}");
    }
}

fn all(model: &mut Redis, connection: u32) -> Vec<Reply> {
    let mut replies = Replies::default();
    replies.push(&model.output(connection));
    let mut all = Vec::new();
    while let Some(value) = replies.take().expect("RESP") {
        all.push(owned(value));
    }
    all
}

fn answer(model: &mut Redis, connection: u32, bytes: &[u8]) -> Reply {
    model.receive(connection, bytes);
    all(model, connection).pop().expect("an answer")
}

fn sort_from(reply: &mut Reply, from: usize) {
    if let Reply::Array(items) = reply {
        items[from..].sort_by_key(|item| format!("{item:?}"));
    }
}

/// The same with the hashes in it sorted.
fn in_order(mut reply: Reply) -> Reply {
    if let Reply::Array(items) = &mut reply {
        items.iter_mut().for_each(sort);
    }
    reply
}

/// Names and values, by name.
fn sort(reply: &mut Reply) {
    if let Reply::Array(items) = reply {
        let mut pairs: Vec<Vec<Reply>> = items.chunks(2).map(<[Reply]>::to_vec).collect();
        pairs.sort_by_key(|pair| format!("{:?}", pair[0]));
        *items = pairs.concat();
    }
}
