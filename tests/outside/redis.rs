//! The engine over a real `redis-server`, through plain sockets. `tests/clients/install.sh` installs
//! it.

#[path = "../redis/mod.rs"]
pub(crate) mod simulated;

use super::support::{PATIENCE, now};
use super::unix::Folder;
use parlor::id::{RoomId, Seq, Tick};
use parlor::redis::{Action, Settings, Which};
use simulated::node::{Came, Node, Result};
use std::io::{ErrorKind, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// A server in a folder of its own. Killed when dropped.
pub(crate) struct RedisServer {
    folder: Folder,
    child: Child,
    options: Vec<String>,
}

impl RedisServer {
    pub(crate) fn start(name: &str, options: &[&str]) -> Self {
        let folder = Folder::new(name);
        let options: Vec<String> = options.iter().map(|option| (*option).to_owned()).collect();
        let child = Self::spawn(&folder, &options);
        let server = Self {
            folder,
            child,
            options,
        };
        server.answers();
        server
    }

    fn spawn(folder: &Folder, options: &[String]) -> Child {
        let mut command = Command::new("redis-server");
        command.args(["--port", "0", "--unixsocket"]);
        command.arg(folder.path("redis.sock"));
        command.arg("--dir").arg(&folder.0).args(["--save", ""]);
        command.args(options).stdout(Stdio::null());
        command.spawn().expect("redis-server is installed")
    }

    fn answers(&self) {
        let deadline = now() + PATIENCE;
        loop {
            if let Ok(mut socket) = self.connect() {
                let wrote = socket.write_all(b"PING\r\n");
                let mut answer = [0; 7];
                if wrote.is_ok() && socket.read_exact(&mut answer).is_ok() && answer[0] == b'+' {
                    return;
                }
            }
            assert!(now() < deadline, "redis-server does not answer");
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// Where it listens.
    pub(crate) fn socket(&self) -> PathBuf {
        self.folder.path("redis.sock")
    }

    pub(crate) fn connect(&self) -> std::io::Result<UnixStream> {
        UnixStream::connect(self.folder.path("redis.sock"))
    }

    pub(crate) fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    pub(crate) fn restart(&mut self) {
        self.kill();
        self.child = Self::spawn(&self.folder, &self.options);
        self.answers();
    }

    /// Kills it, cuts bytes off the end of its append-only file, and starts it again.
    pub(crate) fn restart_without_end_of_log(&mut self, bytes: u64) {
        self.kill();
        let folder = self.folder.path("appendonlydir");
        let files = std::fs::read_dir(folder).expect("it keeps a log");
        let files = files.map(|file| file.expect("an entry").path());
        let newest = files
            .filter(|path| path.to_string_lossy().ends_with(".incr.aof"))
            .max_by_key(|path| path.metadata().expect("a file").len());
        let newest = newest.expect("a file of commands");
        let file = std::fs::OpenOptions::new().write(true).open(newest);
        let file = file.expect("it can be written");
        let length = file.metadata().expect("a length").len();
        file.set_len(length.saturating_sub(bytes))
            .expect("it can be cut");
        self.restart();
    }

    /// One command in words, and its answer as far as it comes at once.
    pub(crate) fn command(&self, words: &str) -> String {
        let mut socket = self.connect().expect("a socket");
        let line = format!("{words}\r\n");
        socket
            .write_all(line.as_bytes())
            .expect("it takes commands");
        let mut answer = [0; 4096];
        let count = socket.read(&mut answer).expect("an answer");
        String::from_utf8_lossy(&answer[..count]).into_owned()
    }
}

/// A way to a server on which nothing comes through while it is cut, and no socket is closed.
pub(crate) struct Tunnel {
    entrance: PathBuf,
    is_cut: Arc<AtomicBool>,
}

impl Tunnel {
    pub(crate) fn to(server: &RedisServer) -> Self {
        let entrance = server.folder.path("tunnel.sock");
        let listener = UnixListener::bind(&entrance).expect("a socket");
        let is_cut = Arc::new(AtomicBool::new(false));
        let (shared, target) = (is_cut.clone(), server.socket());
        // Ends with the test's process.
        thread::spawn(move || {
            for inner in listener.incoming().flatten() {
                let Ok(outer) = UnixStream::connect(&target) else {
                    continue;
                };
                let copies = inner
                    .try_clone()
                    .and_then(|copy| Ok((copy, outer.try_clone()?)));
                let (inner_copy, outer_copy) = copies.expect("descriptors");
                let (there, back) = (shared.clone(), shared.clone());
                thread::spawn(move || carry(inner, outer, &there));
                thread::spawn(move || carry(outer_copy, inner_copy, &back));
            }
        });
        Self { entrance, is_cut }
    }

    pub(crate) fn entrance(&self) -> PathBuf {
        self.entrance.clone()
    }

    pub(crate) fn cuts(&self, is_cut: bool) {
        self.is_cut.store(is_cut, Ordering::SeqCst);
    }
}

/// Until one of the two is closed. While it is cut, what comes waits.
fn carry(mut from: UnixStream, mut to: UnixStream, is_cut: &AtomicBool) {
    let mut buffer = [0; 16 * 1024];
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        while is_cut.load(Ordering::SeqCst) {
            thread::sleep(Duration::from_millis(5));
        }
        if to.write_all(&buffer[..count]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Both);
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A node with two sockets.
struct Pump {
    node: Node,
    sockets: [Option<UnixStream>; 2],
    start: Instant,
    reports: Vec<String>,
}

impl Pump {
    fn new(number: u8, settings: Settings) -> Self {
        Self {
            node: Node::new(number, settings),
            sockets: [None, None],
            start: now(),
            reports: Vec::new(),
        }
    }

    fn turn(&mut self, server: &RedisServer) {
        let tick = Tick::at(now() - self.start);
        while let Some(action) = self.node.engine.next_action(tick) {
            match action {
                Action::Connect(which) => match server.connect() {
                    Ok(socket) => {
                        socket.set_nonblocking(true).expect("a mode");
                        self.sockets[which as usize] = Some(socket);
                        self.node.engine.connected(which, tick);
                    }
                    Err(error) => self.node.engine.failed(which, &error.to_string(), tick),
                },
                Action::Close(which) => self.sockets[which as usize] = None,
            }
        }
        for which in Which::BOTH {
            self.receive(which, tick);
        }
        self.node.engine.expire(tick);
        self.node.turn();
        for which in Which::BOTH {
            self.send(which);
        }
        let reports = self.node.engine.reports().map(|report| report.to_string());
        self.reports.extend(reports);
    }

    fn receive(&mut self, which: Which, tick: Tick) {
        let mut bytes = [0; 65_536];
        let Some(socket) = &mut self.sockets[which as usize] else {
            return;
        };
        match socket.read(&mut bytes) {
            Ok(0) => {
                self.sockets[which as usize] = None;
                self.node
                    .engine
                    .failed(which, "it has closed the connection", tick);
            }
            Ok(count) => self.node.engine.received(which, &bytes[..count], tick),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => {
                self.sockets[which as usize] = None;
                self.node.engine.failed(which, &error.to_string(), tick);
            }
        }
    }

    fn send(&mut self, which: Which) {
        let Some(socket) = &mut self.sockets[which as usize] else {
            return;
        };
        if let Ok(count) = socket.write(self.node.engine.output(which)) {
            self.node.engine.written(which, count);
        }
    }
}

/// Turns all nodes until a condition holds.
fn until(server: &RedisServer, nodes: &mut [Pump], what: &str, holds: impl Fn(&[Pump]) -> bool) {
    let deadline = now() + PATIENCE;
    while !holds(nodes) {
        if now() > deadline {
            for node in nodes {
                println!("{:?}\n{:?}", node.reports, node.node.engine.figures());
            }
            panic!("not in {PATIENCE:?}: {what}");
        }
        for node in nodes.iter_mut() {
            node.turn(server);
        }
        thread::sleep(Duration::from_micros(300));
    }
}

const ROOM: &str = "lobby";

/// Two nodes with the room open.
fn two(server: &RedisServer) -> ([Pump; 2], RoomId) {
    let mut nodes = [1, 2].map(|number| Pump::new(number, Settings::default()));
    let rooms = [0, 1].map(|node: usize| nodes[node].node.open(ROOM));
    assert_eq!(rooms[0], rooms[1]);
    until(server, &mut nodes, "both have the room", |nodes| {
        nodes
            .iter()
            .all(|node| node.node.came.contains_key(&rooms[0]))
    });
    (nodes, rooms[0])
}

fn numbered(node: &Pump, tag: u64) -> (u32, bool) {
    match node.node.results.get(&tag) {
        Some(Result::Numbered {
            seq, is_duplicate, ..
        }) => (seq.0, *is_duplicate),
        other => panic!("{other:?}"),
    }
}

#[test]
#[ignore = "needs redis-server; tests/run runs it"]
fn engine_numbers_what_two_nodes_say_and_gives_it_to_both() {
    let server = RedisServer::start("redis-two", &[]);
    let (mut nodes, room) = two(&server);
    for number in 0..200 {
        let node = &mut nodes[number % 2].node;
        let key = format!("k{number}");
        node.say(
            room,
            ROOM,
            &format!("text {number}"),
            (number as u64 % 2 + 1, &key),
        );
    }
    until(&server, &mut nodes, "all came", |nodes| {
        let all = |node: &Pump| node.node.last(room) == Seq(200) && node.node.results.len() == 100;
        nodes.iter().all(all)
    });
    assert_eq!(nodes[0].node.came[&room], nodes[1].node.came[&room]);
    let before = numbered(&nodes[0], 100).0;
    let again = nodes[1].node.say(room, ROOM, "text 198", (1, "k198"));
    until(&server, &mut nodes, "the answer", |nodes| {
        nodes[1].node.results.contains_key(&again)
    });
    assert_eq!(numbered(&nodes[1], again), (before, true));
    assert_eq!(nodes[1].node.last(room), Seq(200));
}

#[test]
#[ignore = "needs redis-server; tests/run runs it"]
fn restart_of_redis_with_loss_is_a_new_epoch_and_is_told() {
    let mut server = RedisServer::start("redis-loss", &[]);
    let (mut nodes, room) = two(&server);
    nodes[0].node.say(room, ROOM, "one", (1, "a"));
    until(&server, &mut nodes, "it came", |nodes| {
        nodes.iter().all(|node| node.node.last(room) == Seq(1))
    });
    server.restart();
    until(&server, &mut nodes, "both know the loss", |nodes| {
        nodes
            .iter()
            .all(|node| matches!(node.node.came[&room].last(), Some(Came::Epoch(Seq(0), _))))
    });
    assert_eq!(nodes[0].node.came[&room], nodes[1].node.came[&room]);
    let lost = "Redis has lost the entries of room lobby above 0";
    assert!(
        nodes[0]
            .reports
            .iter()
            .any(|report| report.starts_with(lost))
    );
    // It was acknowledged and is lost; a sender that sends it again is heard.
    let again = nodes[0].node.say(room, ROOM, "one", (1, "a"));
    until(&server, &mut nodes, "it came again", |nodes| {
        nodes.iter().all(|node| node.node.last(room) == Seq(1))
            && nodes[0].node.results.contains_key(&again)
    });
    assert_eq!(numbered(&nodes[0], again), (1, false));
}

#[test]
#[ignore = "needs redis-server; tests/run runs it"]
fn restart_of_redis_without_loss_keeps_entries_and_keys() {
    let options = ["--appendonly", "yes", "--appendfsync", "always"];
    let mut server = RedisServer::start("redis-kept", &options);
    let (mut nodes, room) = two(&server);
    for number in 0..50 {
        nodes[0]
            .node
            .say(room, ROOM, "text", (1, &format!("k{number}")));
    }
    until(&server, &mut nodes, "they came", |nodes| {
        nodes.iter().all(|node| node.node.last(room) == Seq(50))
    });
    server.restart();
    let again = nodes[1].node.say(room, ROOM, "text", (1, "k49"));
    until(&server, &mut nodes, "the answer", |nodes| {
        nodes[1].node.results.contains_key(&again)
    });
    assert_eq!(numbered(&nodes[1], again), (50, true));
    until(&server, &mut nodes, "both know the epoch", |nodes| {
        let epoch = |node: &Pump| node.node.came[&room].last().cloned();
        let kept = |node| matches!(epoch(node), Some(Came::Epoch(Seq(50), _)));
        nodes.iter().all(kept)
    });
}

#[test]
#[ignore = "needs redis-server; tests/run runs it"]
fn all_keys_of_redis_removed_is_a_new_epoch_without_a_restart() {
    let server = RedisServer::start("redis-flush", &[]);
    let (mut nodes, room) = two(&server);
    nodes[0].node.say(room, ROOM, "one", (1, "a"));
    until(&server, &mut nodes, "it came", |nodes| {
        nodes.iter().all(|node| node.node.last(room) == Seq(1))
    });
    assert!(server.command("FLUSHALL").starts_with("+OK"));
    until(&server, &mut nodes, "both know the loss", |nodes| {
        nodes
            .iter()
            .all(|node| matches!(node.node.came[&room].last(), Some(Came::Epoch(Seq(0), _))))
    });
}

#[test]
#[ignore = "needs redis-server; tests/run runs it"]
fn full_redis_refuses_and_loses_nothing() {
    let server = RedisServer::start("redis-full", &[]);
    let (mut nodes, room) = two(&server);
    assert!(server.command("CONFIG SET maxmemory 1").starts_with("+OK"));
    let tag = nodes[0].node.say(room, ROOM, "one", (1, "a"));
    until(&server, &mut nodes, "the answer", |nodes| {
        nodes[0].node.results.contains_key(&tag)
    });
    let full = Result::Refused(parlor::log::RefusedWhy::Full);
    assert_eq!(nodes[0].node.results[&tag], full);
    assert!(server.command("CONFIG SET maxmemory 0").starts_with("+OK"));
    let again = nodes[0].node.say(room, ROOM, "one", (1, "a"));
    until(&server, &mut nodes, "it came", |nodes| {
        nodes.iter().all(|node| node.node.last(room) == Seq(1))
            && nodes[0].node.results.contains_key(&again)
    });
    assert_eq!(numbered(&nodes[0], again), (1, false));
}

#[test]
#[ignore = "needs redis-server; tests/run runs it"]
fn redis_that_drops_keys_is_unfit() {
    let server = RedisServer::start("redis-unfit", &["--maxmemory-policy", "allkeys-lru"]);
    let mut nodes = [Pump::new(1, Settings::default())];
    until(&server, &mut nodes, "it says so", |nodes| {
        nodes[0]
            .reports
            .iter()
            .any(|line| line.contains("set maxmemory-policy to noeviction"))
    });
    assert!(!nodes[0].node.is_up);
}

#[test]
#[ignore = "needs redis-server; tests/run runs it"]
fn scripts_that_redis_has_forgotten_are_loaded_again() {
    let server = RedisServer::start("redis-scripts", &[]);
    let (mut nodes, room) = two(&server);
    assert!(server.command("SCRIPT FLUSH").starts_with("+OK"));
    for number in 0..20 {
        nodes[0]
            .node
            .say(room, ROOM, &number.to_string(), (1, &number.to_string()));
    }
    until(&server, &mut nodes, "they came", |nodes| {
        nodes.iter().all(|node| node.node.last(room) == Seq(20))
    });
    let expected: Vec<String> = (0..20).map(|number| number.to_string()).collect();
    assert_eq!(nodes[1].node.texts(room), expected);
    assert_eq!(nodes[0].node.engine.figures().ups, 1);
}

#[test]
#[ignore = "needs redis-server; tests/run runs it"]
fn user_of_the_access_list_is_let_in_and_a_wrong_password_is_unfit() {
    let user = "--user parlor on >secret ~p:* &p:* +@all";
    let options: Vec<&str> = user.split(' ').collect();
    let server = RedisServer::start("redis-acl", &options);
    let settings = |password: &str| Settings {
        user: Some(String::from("parlor")),
        password: Some(password.to_owned()),
        ..Settings::default()
    };
    let mut nodes = [
        Pump::new(1, settings("secret")),
        Pump::new(2, settings("guess")),
    ];
    until(&server, &mut nodes, "one is in and one is not", |nodes| {
        let refused = "Redis does not let this server in: WRONGPASS";
        nodes[0].node.is_up
            && nodes[1]
                .reports
                .iter()
                .any(|line| line.starts_with(refused))
    });
}

/// A connection for subscriptions whose output Redis drops: it is closed, and what was missed is read
/// from the stream.
#[test]
#[ignore = "needs redis-server; tests/run runs it"]
fn dropped_subscriber_reads_what_it_missed() {
    let limit = ["--client-output-buffer-limit", "pubsub", "200kb", "0", "0"];
    let server = RedisServer::start("redis-slow", &limit);
    let (mut nodes, room) = two(&server);
    let text = "x".repeat(2_000);
    for number in 0..400 {
        nodes[0]
            .node
            .say(room, ROOM, &text, (1, &number.to_string()));
    }
    // The other node takes nothing meanwhile.
    until(&server, &mut nodes[..1], "they are numbered", |nodes| {
        nodes[0].node.results.len() == 400
    });
    until(&server, &mut nodes, "the other has them too", |nodes| {
        nodes[1].node.last(room) == Seq(400)
    });
    assert_eq!(nodes[1].node.texts(room).len(), 400);
    assert_eq!(nodes[1].node.engine.figures().ups, 2);
}
