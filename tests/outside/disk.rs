//! What a disk does to a server that keeps its history on it: it is full, fails, stalls, is
//! read-only, or has damaged a file. Such a fault costs what docs/operating.md says and nothing else: what
//! was acknowledged is there, new messages are refused, everything else goes on, and so do messages
//! when the disk works again.
//!
//! strace injects faults into the thread of the store alone, so that the rest of the server is not
//! even slowed down. A disk that is really full or read-only is a small file system of the server's
//! own, in a mount namespace.

use super::admin::{ask, get, post, succeeds};
use super::faults::Fault;
use super::keeping_up::{Program, View, is_refused, seq_of, text};
use super::store::{keeping, keeping_in, stops};
use super::support::{Client, Server, command, contains, eventually, finish, now};
use super::unix::Folder;
use serde_json::{Value, json};
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// The texts of a room's entries, by an export. Their numbers must have no gap.
fn kept(directory: &Path, room: &str) -> Vec<String> {
    let lines = succeeds(directory, &["export", room]);
    let entry = |line| serde_json::from_str::<Value>(line).expect("JSON");
    let entries: Vec<Value> = lines.lines().map(entry).collect();
    for (number, entry) in (1..).zip(&entries) {
        assert_eq!(entry["seq"], number, "{lines}");
    }
    let texts = entries.iter().map(|entry| text(&entry["text"]).to_owned());
    texts.collect()
}

/// What the server says of its store to operators: why it cannot write.
pub(crate) fn fault_of(directory: &Path) -> Option<String> {
    let (status, body) = ask(&directory.join("admin.sock"), &get("/status"));
    assert_eq!(status, 200);
    let body: Value = serde_json::from_str(&body).expect("JSON");
    body["store_fault"].as_str().map(str::to_owned)
}

fn readiness(folder: &Folder) -> (u16, String) {
    ask(&folder.path("admin.sock"), &get("/readyz"))
}

/// A member that speaks plain text gets its line, past what others do.
fn hears_line(client: &mut Client, part: &str) {
    while !client.line().contains(part) {}
}

/// While messages are refused, everything else is as always, also for a member whose message was
/// refused. `said`: what the room `den` has.
fn all_else_goes_on(server: &Server, ann: &mut Program, bob: &mut Client, said: &[&str]) {
    let pong = ann.ask(json!({"type": "ping"}));
    assert_eq!(pong["type"], "ok", "{pong}");
    let who = ann.ask(json!({"type": "who", "room": "den"}));
    assert_eq!(who["members"], json!(["ann", "bob"]), "{who}");
    let renamed = ann.ask(json!({"type": "nick", "nick": "anna"}));
    assert_eq!(renamed["nick"], "anna", "{renamed}");
    hears_line(bob, "ann is now known as anna");
    let joined = ann.ask(json!({"type": "join", "room": "attic"}));
    assert_eq!(joined["type"], "joined", "{joined}");
    let history = ann.ask(json!({"type": "history", "room": "den"}));
    let entries = history["entries"].as_array().expect("a list");
    let texts: Vec<&str> = entries.iter().map(|entry| text(&entry["text"])).collect();
    assert_eq!(texts, said);
    let found = ann.ask(json!({"type": "search", "room": "den", "query": "before"}));
    assert_eq!(
        found["entries"].as_array().map(Vec::len),
        Some(1),
        "{found}"
    );
    // Newcomers of both protocols, and with the past of the room.
    let mut cat = Program::connect(server.address(), "cat");
    cat.request(json!({"type": "join", "room": "den", "history": 10}));
    for words in said {
        cat.hears(words);
    }
    let mut dan = server.join_room("den", "dan");
    for words in said {
        hears_line(&mut dan, &format!(": {words}"));
    }
    dan.leaves();
    cat.breaks_off();
    let renamed = ann.ask(json!({"type": "nick", "nick": "ann"}));
    assert_eq!(renamed["nick"], "ann", "{renamed}");
}

/// A fault of the disk begins and ends while Ann and Bob talk.
fn refuses_and_recovers(name: &str, rule: &str, why: &str) {
    let folder = Folder::new(name);
    let server = keeping_in(&folder.0);
    let mut ann = Program::join(server.address(), "ann", "den");
    let mut bob = server.join_room("den", "bob");
    assert_eq!(ann.says("den", "before"), 1);
    bob.hears("ann: before");
    assert_eq!(fault_of(&folder.0), None);
    assert_eq!(readiness(&folder).0, 200);

    let fault = Fault::inject_into_store(&server, rule);
    // Numbered and delivered, before the disk was asked.
    let first = ann.send("den", "during");
    assert_eq!(ann.hears("during"), 2);
    bob.hears("ann: during");
    eventually("operators are informed", || fault_of(&folder.0).is_some());
    contains(fault_of(&folder.0).expect("a reason"), why);
    let unready = (503, String::from("The store takes no writes.\n"));
    assert_eq!(readiness(&folder), unready);
    let second = ann.send("den", "refused");
    is_refused(&ann.answer(second));
    bob.says("refused as well");
    hears_line(&mut bob, "cannot be stored");
    assert!(!ann.has_answer(first));
    all_else_goes_on(&server, &mut ann, &mut bob, &["before", "during"]);

    assert!(fault.ends() > 0);
    assert_eq!(seq_of(&ann.answer(first)), 2);
    eventually("operators are informed", || fault_of(&folder.0).is_none());
    assert_eq!(readiness(&folder).0, 200);
    assert_eq!(ann.says("den", "after"), 3);
    hears_line(&mut bob, "ann: after");
    bob.says("bob as well");
    assert_eq!(ann.hears("bob as well"), 4);
    let all = ["before", "during", "after", "bob as well"];
    eventually("it is stored", || kept(&folder.0, "den").len() == all.len());
    server.signal("KILL");
    drop(server);
    assert_eq!(kept(&folder.0, "den"), all);
    contains(succeeds(&folder.0, &["store", "check"]), "in order");
}

#[test]
#[ignore = "needs strace; tests/run runs it"]
fn messages_are_refused_while_the_disk_is_full_and_everything_else_goes_on() {
    refuses_and_recovers("disk-full", "pwrite64:error=ENOSPC", "full");
}

#[test]
#[ignore = "needs strace; tests/run runs it"]
fn messages_are_refused_while_writing_fails_and_everything_else_goes_on() {
    refuses_and_recovers("disk-write", "pwrite64:error=EIO", "I/O error");
}

#[test]
#[ignore = "needs strace; tests/run runs it"]
fn messages_are_refused_while_syncing_fails_and_everything_else_goes_on() {
    refuses_and_recovers("disk-sync", "fsync,fdatasync:error=EIO", "I/O error");
}

/// As Linux does with a disk that has failed: it makes the file system read-only.
#[test]
#[ignore = "needs strace; tests/run runs it"]
fn messages_are_refused_while_the_file_system_is_read_only_and_everything_else_goes_on() {
    refuses_and_recovers("disk-erofs", "pwrite64,ftruncate:error=EROFS", "I/O error");
}

/// A fault that is over at the next attempt is not seen by members.
#[test]
#[ignore = "needs strace; tests/run runs it"]
fn message_waits_for_a_disk_that_fails_once() {
    let folder = Folder::new("disk-once");
    let server = keeping_in(&folder.0);
    let mut ann = Program::join(server.address(), "ann", "den");
    for (number, call) in (1..).zip(["pwrite64", "fsync,fdatasync"]) {
        let fault = Fault::inject_into_store(&server, &format!("{call}:error=EIO:when=1"));
        assert_eq!(ann.says("den", &format!("message {number}")), number);
        fault.ends();
    }
    assert_eq!(fault_of(&folder.0), None);
    stops(server);
    assert_eq!(kept(&folder.0, "den"), ["message 1", "message 2"]);
}

#[test]
#[ignore = "needs strace; tests/run runs it"]
fn history_that_cannot_be_read_is_refused_until_it_can_and_everything_else_goes_on() {
    let folder = Folder::new("disk-read");
    let mut start = keeping(&folder.0);
    start.args(["--listen", "127.0.0.1:0", "--message-rate", "0"]);
    start.args(["--store-sync", "normal"]);
    let server = Server::spawn(&mut start, 1);
    // More than SQLite holds in memory, in whatever order it looks at a file that it opens.
    let mut ann = Program::join(server.address(), "ann", "den");
    for _ in 0..125 {
        let sent = [(); 10].map(|()| ann.send("den", &"x".repeat(16_000)));
        for id in sent {
            seq_of(&ann.answer(id));
        }
        ann.forgets();
    }
    stops(server);
    let server = keeping_in(&folder.0);
    let mut bob = Program::join(server.address(), "bob", "den");
    let middle = json!({"type": "history", "room": "den", "before": 625, "limit": 3});
    let fault = Fault::inject_into_store(&server, "pread64:error=EIO");
    is_refused(&bob.ask(middle.clone()));
    let pong = bob.ask(json!({"type": "ping"}));
    assert_eq!(pong["type"], "ok", "{pong}");
    assert!(fault.ends() > 0);
    assert_eq!(bob.says("den", "after"), 1251);
    eventually("it can be read", || {
        let answer = bob.ask(middle.clone());
        answer["entries"]
            .as_array()
            .is_some_and(|list| !list.is_empty())
    });
}

#[test]
#[ignore = "needs strace; tests/run runs it"]
fn server_whose_disk_fails_still_stops_when_it_is_asked_to() {
    let folder = Folder::new("disk-stop");
    let mut server = keeping_in(&folder.0);
    let mut ann = Program::join(server.address(), "ann", "den");
    assert_eq!(ann.says("den", "before"), 1);
    let fault = Fault::inject_into_store(&server, "pwrite64:error=EIO");
    ann.send("den", "never stored");
    ann.hears("never stored");
    eventually("operators are informed", || fault_of(&folder.0).is_some());
    server.signal("TERM");
    let (status, errors) = server.ends_late();
    assert_eq!(status.code(), Some(0));
    contains(&errors, "1 messages and 0 changes could not be stored");
    drop(fault);
    assert_eq!(kept(&folder.0, "den"), ["before"]);
}

// A stall

/// An `fsync` that does not return while the fault lasts.
pub(crate) const STALL: &str = "fsync,fdatasync:delay_enter=3600000000";

/// The beginning and the end of the stall are seen by the acknowledgement that is missing.
#[test]
#[ignore = "needs strace; tests/run runs it"]
fn disk_that_stalls_delays_acknowledgements_and_nothing_else() {
    let folder = Folder::new("disk-stall");
    let mut start = keeping(&folder.0);
    start.args(["--listen", "127.0.0.1:0", "--message-rate", "0"]);
    let server = Server::spawn(&mut start, 1);
    let mut ann = Program::join(server.address(), "ann", "den");
    let mut cat = Program::join(server.address(), "cat", "attic");
    let mut bob = server.join_room("den", "bob");
    assert_eq!(ann.says("den", "before"), 1);
    bob.hears("ann: before");
    let fault = Fault::inject_into_store(&server, STALL);
    let first = ann.send("den", "stalled");
    assert_eq!(ann.hears("stalled"), 2);
    bob.hears("ann: stalled");
    let mut waiting = vec![];
    for round in 0..30 {
        // In the same room, in both protocols, and in another one.
        let words = format!("round {round}");
        bob.says(&words);
        assert_eq!(ann.hears(&words), 3 + round);
        hears_line(&mut bob, &format!("bob: {words}"));
        waiting.push(cat.send("attic", &words));
        cat.hears(&words);
        // Newcomers, and rooms that the store must be asked for, have to wait; the tail has the past.
        let mut dan = server.join_room("den", "dan");
        hears_line(&mut dan, &format!("bob: {words}"));
        dan.leaves();
    }
    assert!(!ann.has_answer(first), "the disk has stalled all the time");
    assert_eq!(fault_of(&folder.0), None, "it has not failed");
    fault.ends();
    assert_eq!(seq_of(&ann.answer(first)), 2);
    for (number, id) in (1..).zip(waiting) {
        assert_eq!(seq_of(&cat.answer(id)), number);
    }
    stops(server);
    assert_eq!(kept(&folder.0, "den").len(), 32);
    assert_eq!(kept(&folder.0, "attic").len(), 30);
}

/// The p99 of a bystander while every sync of the disk takes a second, and while strace looks at them
/// but delays nothing, in turns. `cargo test --test outside stall_costs -- --ignored --nocapture`
/// prints it.
#[test]
#[ignore = "measures; needs strace"]
fn stall_costs_a_bystander_no_latency() {
    let folder = Folder::new("disk-latency");
    let mut start = keeping(&folder.0);
    // Bob answers no ping.
    start.args([
        "--listen",
        "127.0.0.1:0",
        "--message-rate",
        "0",
        "--silent-timeout",
        "1h",
    ]);
    let server = Server::spawn(&mut start, 1);
    let mut ann = server.join_room("den", "ann");
    let mut bob = server.join_room("den", "bob");
    ann.hears("* bob joined");
    let mut measure = |delay_micros: u32| {
        let rule = format!("fsync,fdatasync:delay_enter={delay_micros}");
        let fault = Fault::inject_into_store(&server, &rule);
        let mut micros = Vec::new();
        let end = now() + Duration::from_secs(6);
        while now() < end {
            let begin = now();
            ann.says("hello");
            ann.hears("ann: hello");
            bob.hears("ann: hello");
            micros.push(begin.elapsed().as_micros());
            std::thread::sleep(Duration::from_millis(5));
        }
        micros.sort_unstable();
        let at = |percent: usize| micros[micros.len() * percent / 100];
        println!(
            "each sync takes {delay_micros} µs more ({} of them): {} round trips, p50 {} µs, p99 {} µs",
            fault.ends(),
            micros.len(),
            at(50),
            at(99)
        );
    };
    for _ in 0..5 {
        measure(1);
        measure(1_000_000);
    }
}

// A disk of the server's own

/// A server in a mount namespace, whose directory is a file system in memory of this size. `before`:
/// what the shell does between mounting it and starting the server.
fn on_own_disk(directory: &Path, mebibytes: u32, before: &str) -> Command {
    let mut inside = Command::new("unshare");
    let script = format!(
        "mount -t tmpfs -o size={mebibytes}m,mode=700 tmpfs \"$1\" && {before} && exec \"$0\" \
         --listen 127.0.0.1:0 --store \"$1\""
    );
    inside.args(["--mount", "--", "sh", "-c", &script]);
    inside.arg(command().get_program()).arg(directory);
    inside.env("PARLOR_MESSAGE_RATE", "0");
    inside
}

/// The path of a file as a process sees it, whatever is mounted there for it.
fn seen_by(server: &Server, path: &Path) -> PathBuf {
    let below_root = path.strip_prefix("/").expect("an absolute path");
    Path::new("/proc")
        .join(server.pid().to_string())
        .join("root")
        .join(below_root)
}

#[test]
#[ignore = "needs root and mount namespaces; tests/run runs it"]
fn server_on_a_full_disk_goes_on_by_itself_when_there_is_space() {
    let folder = Folder::new("disk-small");
    let mut server = Server::spawn(&mut on_own_disk(&folder.0, 2, "true"), 1);
    let inside = Folder(seen_by(&server, &folder.0));
    let ballast = inside.path("ballast");
    let mut ann = Program::join(server.address(), "ann", "den");
    assert_eq!(ann.says("den", "before"), 1);
    fill(&ballast);
    // What fits into the last pages is stored; the first that does not waits.
    let words = "x".repeat(4000);
    let mut stored = 1;
    let waiting = loop {
        let id = ann.send("den", &words);
        let mut is_stored = false;
        eventually("it is stored or cannot be", || {
            is_stored = ann.has_answer(id);
            is_stored || fault_of(&inside.0).is_some()
        });
        if !is_stored {
            break id;
        }
        stored += 1;
    };
    contains(fault_of(&inside.0).expect("a reason"), "full");
    is_refused(&{
        let id = ann.send("den", "refused");
        ann.answer(id)
    });
    let backup = json!({"file": folder.path("backup.db")}).to_string();
    let socket = inside.path("admin.sock");
    assert_eq!(ask(&socket, &post("/backup", &backup)).0, 202);
    eventually("the backup fails", || {
        ask(&socket, &get("/backup")).1.contains("failed")
    });
    assert!(!inside.names().iter().any(|name| name.starts_with("backup")));

    fs::remove_file(&ballast).expect("it is removed");
    assert_eq!(seq_of(&ann.answer(waiting)), stored + 1);
    assert_eq!(ann.says("den", "after"), stored + 2);
    server.signal("TERM");
    assert_eq!(server.exit_status().code(), Some(0));
    // It is not this one's to remove.
    std::mem::forget(inside);
}

/// Writes a file until the disk is full.
fn fill(path: &Path) {
    let mut file = fs::File::create(path).expect("there is space for a name");
    while file.write_all(&[0; 4096]).is_ok() {}
}

#[test]
#[ignore = "needs root and mount namespaces; tests/run runs it"]
fn server_on_a_read_only_disk_does_not_start_and_says_why() {
    let folder = Folder::new("disk-read-only");
    for before in [
        // The file system, with and without a store in it, and the file alone.
        "mount -o remount,ro \"$1\"",
        "cp \"$2\"/* \"$1\" && mount -o remount,ro \"$1\"",
        "cp \"$2\"/* \"$1\" && mount --bind \"$1\"/parlor.db \"$1\"/parlor.db && \
         mount -o remount,bind,ro \"$1\"/parlor.db",
    ] {
        let store = Folder::new("disk-read-only-store");
        stops(keeping_in(&store.0));
        let mut start = on_own_disk(&folder.0, 2, before);
        let (status, output, errors) = finish(start.arg(&store.0));
        assert_eq!((status.code(), output.as_str()), (Some(1), ""), "{errors}");
        let last = errors.lines().last().expect("a line");
        contains(last, "read-only");
        contains(last, &folder.0.display().to_string());
    }
}

// At a start

/// The server does not start, and says in one line what is wrong with which file.
fn does_not_start(command: &mut Command, directory: &Path, why: &str) {
    let (status, output, errors) = finish(command.args(["--listen", "127.0.0.1:0"]));
    assert_eq!((status.code(), output.as_str()), (Some(1), ""), "{errors}");
    contains(&errors, why);
    contains(&errors, &directory.display().to_string());
    assert_eq!(errors.lines().count(), 1, "{errors}");
}

#[test]
#[ignore = "needs strace; tests/run runs it"]
fn server_whose_disk_fails_at_its_start_does_not_start_and_says_why() {
    let folder = Folder::new("disk-start");
    stops(keeping_in(&folder.0));
    for (rule, why) in [
        ("pwrite64:error=ENOSPC", "the disk is full"),
        ("pwrite64:error=EIO", "I/O error"),
        ("fsync,fdatasync:error=EIO", "I/O error"),
        ("pread64:error=EIO", "I/O error"),
    ] {
        // Of the calls that concern this file: the system loads programs by the same.
        let file = folder.path(if rule.starts_with("pread") {
            "parlor.db"
        } else {
            "parlor.db-wal"
        });
        let mut strace = Command::new("strace");
        strace.args([
            "-f",
            "-o",
            "/dev/null",
            "-e",
            &format!("inject={rule}"),
            "-P",
        ]);
        strace.arg(file);
        strace
            .arg(command().get_program())
            .arg("--store")
            .arg(&folder.0);
        does_not_start(&mut strace, &folder.0, why);
    }
    stops(keeping_in(&folder.0));
}

/// A store with so many long messages in each of two rooms, closed.
fn two_rooms(folder: &Folder, count: usize) -> PathBuf {
    let mut start = keeping(&folder.0);
    start.args(["--listen", "127.0.0.1:0", "--message-rate", "0"]);
    let server = Server::spawn(&mut start, 1);
    for room in ["den", "attic"] {
        let mut ann = Program::join(server.address(), "ann", room);
        for number in 1..=count {
            ann.says(room, &long(room, number));
        }
    }
    stops(server);
    folder.path("parlor.db")
}

/// So long that few go into a page of the file.
fn long(room: &str, number: usize) -> String {
    format!("{room} {number}. {}", "x".repeat(1000))
}

/// Of the bytes of a file.
type Change = fn(&mut Vec<u8>);

fn change(file: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = fs::read(file).expect("a file");
    change(&mut bytes);
    fs::write(file, bytes).expect("it is written");
}

#[test]
fn server_does_not_start_with_a_file_that_it_cannot_use_and_says_why() {
    let folder = Folder::new("disk-unusable");
    let file = two_rooms(&folder, 20);
    let whole = fs::read(&file).expect("a file");
    let damages: [(&str, Change); 5] = [
        ("restore a backup", |bytes| bytes[..16].fill(b'?')),
        ("restore a backup", |bytes| bytes.truncate(bytes.len() / 2)),
        ("restore a backup", |bytes| bytes[100..4096].fill(0xFF)),
        // Of a later version: `user_version` of the header.
        ("schema version 99", |bytes| bytes[63] = 99),
        // `application_id`.
        ("belongs to another program", |bytes| bytes[68] = 0),
    ];
    for (why, damage) in damages {
        change(&file, damage);
        does_not_start(&mut keeping(&folder.0), &folder.0, why);
        fs::write(&file, &whole).expect("it is written");
    }
    stops(keeping_in(&folder.0));
    assert_eq!(kept(&folder.0, "den").len(), 20);
}

/// Overwrites the page that has a text.
fn damage_page_of(file: &Path, words: &str) {
    const PAGE: usize = 4096;
    change(file, |bytes| {
        let mut windows = bytes.windows(words.len());
        let at = windows.position(|part| part == words.as_bytes());
        let start = at.expect("the text is in the file") / PAGE * PAGE;
        bytes[start..start + PAGE].fill(0xFF);
    });
}

#[test]
fn damaged_page_in_the_middle_of_a_room_is_a_gap_and_all_else_goes_on() {
    let folder = Folder::new("disk-middle");
    let file = two_rooms(&folder, 60);
    damage_page_of(&file, "den 30. ");
    let server = keeping_in(&folder.0);
    contains(server.error_line(), "the store is damaged");
    let mut ann = Program::connect(server.address(), "ann");
    ann.request(json!({"type": "join", "room": "den", "history": 60}));
    let mut seen = Vec::new();
    loop {
        let event = ann.event();
        match event["type"].as_str() {
            Some("message") => seen.push(event["seq"].as_u64().expect("a number")),
            Some("gap") => {
                let end = |name| event[name].as_u64().expect("a number");
                assert!((end("from")..=end("to")).contains(&30), "{event}");
                seen.extend(end("from")..=end("to"));
            }
            _ => {}
        }
        if seen.len() >= 60 {
            break;
        }
    }
    assert_eq!(seen, (1..=60).collect::<Vec<u64>>());
    // The newest entries are not damaged, so the room goes on.
    assert_eq!(ann.says("den", "after"), 61);
    let mut bob = Program::join(server.address(), "bob", "attic");
    assert_eq!(bob.says("attic", "after"), 61);
    stops(server);
    assert_eq!(kept(&folder.0, "attic").len(), 61);
}

#[test]
fn room_with_a_damaged_end_is_refused_and_the_others_go_on() {
    let folder = Folder::new("disk-end");
    let file = two_rooms(&folder, 60);
    damage_page_of(&file, "den 60. ");
    let server = keeping_in(&folder.0);
    contains(server.error_line(), "the store is damaged");
    let mut ann = Program::join(server.address(), "ann", "attic");
    is_refused(&ann.ask(json!({"type": "join", "room": "den"})));
    let mut bob = server.upgrade("/ws/den?nick=bob");
    contains(bob.is_closed_with(1013), "cannot be opened");
    assert_eq!(ann.says("attic", "after"), 61);
    let joined = ann.ask(json!({"type": "join", "room": "new"}));
    assert_eq!(joined["type"], "joined", "{joined}");
    assert_eq!(ann.says("new", "hello"), 1);
    stops(server);
    assert_eq!(kept(&folder.0, "attic").len(), 61);
}

// What a server forgets

/// To a file.
type Damage = fn(&Path);

/// A client that comes back as docs/protocol.md says.
#[derive(Default)]
struct Returning {
    session: Option<String>,
    view: View,
}

impl Returning {
    /// Joins `den` with what it knows, and reads until it has this text.
    fn comes(&mut self, server: &Server, until: &str) -> Program {
        let mut program = Program::connect(server.address(), "rita");
        if let Some(session) = &self.session {
            let resumed = program.ask(json!({"type": "resume", "session": session}));
            assert_eq!(resumed["type"], "ok", "{resumed}");
            program.session = text(&resumed["session"]).to_owned();
        }
        self.session = Some(program.session.clone());
        program.request(self.view.join("den"));
        self.reads(&mut program, until);
        program
    }

    fn reads(&mut self, program: &mut Program, until: &str) {
        while self.view.texts.last().is_none_or(|last| last != until) {
            self.view.take(&program.event());
        }
    }
}

fn says_all(server: &Server, words: &[&str]) {
    let mut ann = Program::join(server.address(), "ann", "den");
    for words in words {
        ann.says("den", words);
    }
}

/// What a server had acknowledged is gone with its write-ahead log, as the documentation says; but no
/// client keeps what the others never see.
#[test]
fn client_forgets_what_went_with_a_damaged_write_ahead_log() {
    let damages: [(&str, Damage); 3] = [
        ("removed", |wal| fs::remove_file(wal).expect("it is there")),
        ("cut", |wal| {
            change(wal, |bytes| bytes.truncate(bytes.len() / 2))
        }),
        ("damaged", |wal| {
            change(wal, |bytes| {
                let middle = bytes.len() / 2;
                bytes[middle] ^= 1;
            });
        }),
    ];
    for (name, damage) in damages {
        let folder = Folder::new(&format!("disk-wal-{name}"));
        let mut rita = Returning::default();
        let server = keeping_in(&folder.0);
        says_all(&server, &["one"]);
        rita.comes(&server, "one").breaks_off();
        stops(server);
        let server = keeping_in(&folder.0);
        says_all(&server, &["two", "three", "four", "five"]);
        rita.comes(&server, "five").breaks_off();
        server.signal("KILL");
        drop(server);
        damage(&folder.path("parlor.db-wal"));
        let server = keeping_in(&folder.0);
        says_all(&server, &["anew"]);
        rita.comes(&server, "anew").breaks_off();
        stops(server);
        let kept = kept(&folder.0, "den");
        assert!(kept.len() < 6 && kept[0] == "one", "{name}: {kept:?}");
        assert_eq!(rita.view.texts, kept, "{name}");
        assert_eq!(rita.view.rewound, 1, "{name}");
    }
}

/// Replaces the store by its backup, as docs/operating.md says.
fn restore(folder: &Folder) {
    fs::remove_dir_all(folder.path("state")).expect("it is removed");
    fs::create_dir(folder.path("state")).expect("a folder");
    fs::copy(folder.path("backup.db"), folder.path("state/parlor.db")).expect("it is copied");
}

#[test]
fn client_forgets_what_a_restored_backup_has_not_and_gets_what_is_new() {
    // The server that wrote what is lost is the one of the backup, or a later start of which the
    // backup knows nothing, so that its epoch is given once more.
    for is_started_again in [false, true] {
        let folder = Folder::new("disk-restored");
        let state = folder.path("state");
        let file = folder.path("backup.db").display().to_string();
        let mut rita = Returning::default();
        let mut server = keeping_in(&state);
        says_all(&server, &["one", "two"]);
        succeeds(&state, &["backup", &file]);
        if is_started_again {
            stops(server);
            server = keeping_in(&state);
        }
        says_all(&server, &["three", "four"]);
        rita.comes(&server, "four").breaks_off();
        stops(server);
        restore(&folder);
        let server = keeping_in(&state);
        says_all(&server, &["anew"]);
        let mut program = rita.comes(&server, "anew");
        assert_eq!(rita.view.rewound, 1);
        says_all(&server, &["and more"]);
        rita.reads(&mut program, "and more");
        // What was lost cannot be had by other ways.
        let history = program.ask(json!({"type": "history", "room": "den"}));
        assert_eq!(history["entries"].as_array().map(Vec::len), Some(4));
        // The secret of its session is in the backup.
        program.breaks_off();
        rita.comes(&server, "and more").breaks_off();
        stops(server);
        assert_eq!(rita.view.texts, ["one", "two", "anew", "and more"]);
        assert_eq!(kept(&state, "den"), rita.view.texts);
    }
}

/// A client that was away all the time hears nothing that it must forget.
#[test]
fn client_that_saw_only_what_the_backup_has_goes_on_without_a_word() {
    let folder = Folder::new("disk-restored-early");
    let state = folder.path("state");
    let file = folder.path("backup.db").display().to_string();
    let mut rita = Returning::default();
    let server = keeping_in(&state);
    says_all(&server, &["one", "two"]);
    rita.comes(&server, "two").breaks_off();
    succeeds(&state, &["backup", &file]);
    says_all(&server, &["three"]);
    stops(server);
    restore(&folder);
    let server = keeping_in(&state);
    says_all(&server, &["anew"]);
    rita.comes(&server, "anew").breaks_off();
    assert_eq!(rita.view.rewound, 0);
    assert_eq!(rita.view.texts, ["one", "two", "anew"]);
}
