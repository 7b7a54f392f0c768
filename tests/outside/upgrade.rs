//! Upgrades in place: the program is replaced in the running process, and clients see nothing of it.
//! A link stands for the installed program, so that what takes over can be chosen.

use super::admin::{fails, succeeds};
use super::disk::{STALL, fault_of};
use super::faults::Fault;
use super::keeping_up::{self, View};
use super::program::Program;
use super::relay::relay_to;
use super::store::keeping;
use super::support::{
    Client, Frame, PATIENCE, Server, command, contains, eventually, frame, now, upgrade_request,
};
use super::tls::{P256, secure_address};
use super::unix::Folder;
use serde_json::{Value, json};
use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::thread;

const TEXT: u8 = 0x81;
const TEXT_BEGINS: u8 = 0x01;
const CONTINUES: u8 = 0x00;
const ENDS: u8 = 0x80;

/// The name under which the program is installed.
const INSTALLED: &str = "parlor";

/// A server whose program is a link in a folder, with its history there.
struct Installed {
    folder: Folder,
    server: Server,
}

impl Installed {
    fn start(name: &str, options: &[&str]) -> Self {
        Self::start_at(name, options, 1)
    }

    /// The same with TLS at its second address.
    fn start_secure(name: &str, options: &[&str]) -> Self {
        let [certificate, key] = ["crt", "key"].map(|kind| format!("{P256}.{kind}"));
        let mut all = vec!["--tls-listen", "127.0.0.1:0"];
        all.extend(["--tls-cert", &certificate, "--tls-key", &key]);
        all.extend(options);
        Self::start_at(name, &all, 2)
    }

    /// With as many listeners as that.
    fn start_at(name: &str, options: &[&str], listeners: usize) -> Self {
        let folder = Folder::new(name);
        let place = folder.path(INSTALLED);
        symlink(command().get_program(), &place).expect("a link");
        let mut start = of(&keeping(&folder.path("state")), &place);
        start.args(["--listen", "127.0.0.1:0", "--message-rate", "0"]);
        start.args(options);
        let server = Server::spawn(&mut start, listeners);
        Self { folder, server }
    }

    /// Upgrades to what is installed, which succeeds.
    fn upgrades(&self) -> String {
        succeeds(&self.folder.path("state"), &["upgrade"])
    }

    /// The same, which is refused.
    fn is_refused(&self) -> String {
        fails(&self.folder.path("state"), &["upgrade"])
    }

    /// Installs a script in the place of the program.
    fn installs(&self, script: &str) {
        let place = self.folder.path(INSTALLED);
        let other = self.folder.path("other");
        fs::write(&other, script).expect("a file");
        fs::set_permissions(&other, fs::Permissions::from_mode(0o755)).expect("its mode");
        fs::rename(other, place).expect("it is replaced");
    }
}

/// The same command with another program.
fn of(command: &Command, program: &Path) -> Command {
    let mut other = Command::new(program);
    other.args(command.get_args());
    other.env_clear().envs(std::env::vars_os());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => other.env(name, value),
            None => other.env_remove(name),
        };
    }
    other
}

#[test]
fn upgrade_keeps_every_connection_in_the_middle_of_what_it_did() {
    let installed = Installed::start("upgrade-all", &[]);
    let server = &installed.server;
    let (mut ann, mut bob) = server.ann_and_bob();
    let mut eve = Program::in_room(server, "eve", "lobby");
    ann.hears_at_last("* eve joined");
    bob.hears_at_last("* eve joined");
    let mut newcomer = server.connect();
    let request = upgrade_request("/ws/lobby?nick=dan");
    let (before, after) = request.as_bytes().split_at(30);
    newcomer.send(before);
    ann.send_frame(TEXT_BEGINS, b"half ");
    let whole = frame(TEXT, b"cut");
    bob.send(&whole[..7]);
    // The answer to the ping says that all before it was read.
    ann.send_frame(0x89, b"");
    assert_eq!(ann.frame(), Frame::Pong(Vec::new()));

    let said = installed.upgrades();
    contains(&said, "upgraded from ");
    contains(&said, " with 5 connections");

    newcomer.send(after);
    assert_eq!(newcomer.response().status, 101);
    ann.hears("* dan joined");
    ann.send_frame(ENDS | CONTINUES, b"a message");
    bob.hears_at_last("ann: half a message");
    bob.send(&whole[7..]);
    ann.hears_at_last("bob: cut");
    newcomer.hears_at_last("bob: cut");
    let sent = eve.asks(json!({"type": "send", "room": "lobby", "text": "programs too"}));
    assert_eq!(sent["type"], "ok", "{sent}");
    assert_eq!(sent["seq"], 3, "the numbers go on");
    ann.hears_at_last("eve: programs too");
}

#[test]
fn frame_that_is_cut_anywhere_by_an_upgrade_arrives_whole() {
    let installed = Installed::start("upgrade-cuts", &[]);
    let (mut ann, mut bob) = installed.server.ann_and_bob();
    let whole = frame(TEXT, b"hello");
    for cut in 0..whole.len() {
        ann.send(&whole[..cut]);
        installed.upgrades();
        ann.send(&whole[cut..]);
        bob.hears_at_last("ann: hello");
    }
}

#[test]
fn slow_reader_gets_all_that_was_said_before_and_after_an_upgrade_in_order() {
    let options = ["--outbox-frames", "8", "--stall-timeout", "60s"];
    let installed = Installed::start("upgrade-slow", &options);
    let mut slow = installed.server.join_with_small_window("slow");
    let mut ann = installed.server.join("ann");
    let long = "x".repeat(2_000);
    for number in 0..300 {
        ann.says(&format!("{number} {long}"));
    }
    ann.hears_at_last(&format!("ann: 299 {long}"));
    installed.upgrades();
    for number in 300..310 {
        ann.says(&format!("{number} {long}"));
    }
    slow.hears_at_last("* ann joined");
    for number in 0..310 {
        slow.hears(&format!("ann: {number} {long}"));
    }
}

#[test]
fn messages_of_programs_are_kept_once_each_through_many_upgrades() {
    let installed = Installed::start("upgrade-many", &[]);
    let mut ann = Program::connect(&installed.server, "ann");
    let joined = ann.asks(json!({"type": "join", "room": "lobby"}));
    for number in 0..10 {
        let request = json!({"type": "send", "room": "lobby", "text": format!("m{number}"), "id": format!("raw-{number}"), "key": format!("k{number}")});
        ann.client.says(&request.to_string());
        installed.upgrades();
        // The same again, as a program does that has no answer.
        let again = json!({"type": "send", "room": "lobby", "text": format!("m{number}"), "key": format!("k{number}")});
        let answer = ann.asks(again);
        assert_eq!(answer["seq"], number + 1, "{answer}");
    }
    let history = ann.asks(json!({"type": "history", "room": "lobby", "limit": 100}));
    let texts: Vec<&Value> = history["entries"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|entry| &entry["text"])
        .collect();
    let expected: Vec<Value> = (0..10).map(|number| json!(format!("m{number}"))).collect();
    assert_eq!(texts, expected.iter().collect::<Vec<_>>());
    let mut bob = Program::connect(&installed.server, "bob");
    let later = bob.asks(json!({"type": "join", "room": "lobby"}));
    assert_eq!(later["epoch"], joined["epoch"], "it is the same start");
}

#[test]
fn chat_without_a_store_goes_on_with_its_history() {
    let folder = Folder::new("upgrade-memory");
    let place = folder.path(INSTALLED);
    symlink(command().get_program(), &place).expect("a link");
    let mut start = of(&command(), &place);
    start.args(["--listen", "127.0.0.1:0", "--log", "parlor::upgrade=info"]);
    let server = Server::spawn(&mut start, 1);
    let mut ann = server.join("ann");
    ann.says("before");
    ann.hears("ann: before");
    server.signal("USR2");
    contains(server.error_line(), "upgraded from ");
    let mut bob = Program::in_room(&server, "bob", "lobby");
    let history = bob.asks(json!({"type": "history", "room": "lobby", "limit": 10}));
    assert_eq!(history["entries"][0]["text"], "before", "{history}");
    ann.hears_at_last("* bob joined");
}

#[test]
fn program_that_cannot_take_over_is_refused_and_the_chat_goes_on() {
    let installed = Installed::start("upgrade-refused", &[]);
    let (mut ann, mut bob) = installed.server.ann_and_bob();
    let mut goes_on = |why: &str| {
        ann.says(why);
        bob.hears_at_last(&format!("ann: {why}"));
    };
    for (script, why) in [
        ("no program at all", "cannot be executed"),
        (
            "#!/bin/sh\nexit 0\n",
            "does not say that it understands the state",
        ),
        ("#!/bin/sh\necho 'too old' >&2\nexit 1\n", "too old"),
        (
            "#!/bin/sh\necho 'parlor understands the state'\nexit 1\n",
            "does not say that it understands the state",
        ),
    ] {
        installed.installs(script);
        contains(installed.is_refused(), why);
        goes_on(why);
    }
    fs::remove_file(installed.folder.path(INSTALLED)).expect("it is there");
    contains(installed.is_refused(), "there is no program at");
    goes_on("it is gone");
    let count = succeeds(&installed.folder.path("state"), &["admin", "rooms"]);
    contains(count, "lobby");
}

/// The state says that a later version has written it, so the program is older than the running one.
#[test]
fn program_that_is_older_than_the_running_one_is_refused() {
    let installed = Installed::start("upgrade-older", &[]);
    let (mut ann, mut bob) = installed.server.ann_and_bob();
    let program = command().get_program().to_str().expect("a path").to_owned();
    // Behind the magic word of 8 bytes comes the version.
    installed.installs(&format!(
        "#!/bin/sh\n{{ dd bs=8 count=1; printf '\\377\\0\\0\\0'; dd bs=4 count=1 of=/dev/null; cat; }} \
         2>/dev/null | {program} \"$@\"\n"
    ));
    contains(
        installed.is_refused(),
        "of a newer version than this program reads",
    );
    ann.says("still here");
    bob.hears_at_last("ann: still here");
}

#[test]
#[ignore = "needs strace; tests/run runs it"]
fn upgrade_is_refused_while_the_disk_is_full() {
    let installed = Installed::start("upgrade-full", &[]);
    let (mut ann, mut bob) = installed.server.ann_and_bob();
    let fault = Fault::inject_into_store(&installed.server, "pwrite64:error=ENOSPC");
    ann.says("unstored");
    bob.hears("ann: unstored");
    contains(installed.is_refused(), "messages cannot be stored: ");
    assert!(fault.ends() > 0);
    let state = installed.folder.path("state");
    eventually("the disk takes it", || fault_of(&state).is_none());
    installed.upgrades();
    ann.says("stored");
    bob.hears_at_last("ann: stored");
    bob.says("for bob as well");
    ann.hears_at_last("bob: for bob as well");
}

#[test]
#[ignore = "needs strace; tests/run runs it"]
fn upgrade_is_refused_while_the_disk_stalls_and_the_message_is_acknowledged_later() {
    let installed = Installed::start("upgrade-stalled", &[]);
    let mut ann = Program::in_room(&installed.server, "ann", "den");
    let fault = Fault::inject_into_store(&installed.server, STALL);
    let request = json!({"type": "send", "room": "den", "text": "stalled", "id": "s"});
    ann.client.says(&request.to_string());
    let began = now();
    contains(
        installed.is_refused(),
        "the store has not committed all within 5 s",
    );
    assert!(now() - began < PATIENCE);
    fault.ends();
    let answer = ann.answer(&json!("s"));
    assert_eq!(answer["seq"], 1, "{answer}");
    installed.upgrades();
    let sent = ann.asks(json!({"type": "send", "room": "den", "text": "goes on"}));
    assert_eq!(sent["seq"], 2, "{sent}");
}

/// The number of execve(2).
#[cfg(target_arch = "x86_64")]
const EXECUTES: &str = "59 ";

#[cfg(target_arch = "x86_64")]
#[test]
#[ignore = "needs strace; tests/run runs it"]
fn signal_that_comes_while_the_next_image_is_executed_reaches_it() {
    let mut installed = Installed::start("upgrade-signal", &[]);
    let mut ann = installed.server.join("ann");
    let main_thread = Fault::inject_into_loop(&installed.server, "execve:delay_enter=2000000");
    let call = format!("/proc/{}/syscall", installed.server.pid());
    installed.server.signal("USR2");
    eventually("the next image is being executed", || {
        fs::read_to_string(&call).is_ok_and(|call| call.starts_with(EXECUTES))
    });
    installed.server.signal("TERM");
    main_thread.comes();
    main_thread.ends();
    assert!(matches!(ann.frame(), Frame::Close(Some(1001), _)));
    drop(ann);
    assert_eq!(installed.server.exit_status().code(), Some(0));
}

#[test]
fn program_that_hangs_is_given_up() {
    let installed = Installed::start("upgrade-hangs", &[]);
    let (mut ann, mut bob) = installed.server.ann_and_bob();
    installed.installs("#!/bin/sh\nexec sleep 600\n");
    contains(installed.is_refused(), "has not answered within 5 s");
    ann.says("still here");
    bob.hears_at_last("ann: still here");
}

#[test]
fn unix_sockets_are_served_after_an_upgrade_and_removed_at_the_end() {
    let folder = Folder::new("upgrade-unix");
    let place = folder.path(INSTALLED);
    symlink(command().get_program(), &place).expect("a link");
    let socket = folder.path("chat.sock");
    let mut start = of(&keeping(&folder.path("state")), &place);
    start
        .arg("--listen")
        .arg(format!("unix:{}", socket.display()));
    start.args(["--listen", "127.0.0.1:0"]);
    let mut server = Server::spawn(&mut start, 2);
    let admin = folder.path("state").join("admin.sock");
    for _ in 0..2 {
        succeeds(&folder.path("state"), &["upgrade"]);
        assert!(std::os::unix::net::UnixStream::connect(&socket).is_ok());
    }
    assert!(admin.exists());
    server.signal("TERM");
    assert_eq!(server.exit_status().code(), Some(0));
    assert!(
        !socket.exists() && !admin.exists(),
        "files of sockets are left"
    );
}

#[test]
fn newcomer_over_tls_while_an_upgrade_is_under_way_is_served_by_the_next_image() {
    let installed = Installed::start_secure("upgrade-newcomer", &["--close-timeout", "60s"]);
    let secure = relay_to(secure_address(&installed.server), P256);
    let mut stays = Client::connect(secure).upgraded("/ws/lobby?nick=ann");
    let state = installed.folder.path("state");
    thread::scope(|scope| {
        let upgrade = scope.spawn(|| succeeds(&state, &["upgrade"]));
        // It is asked to leave, and takes the time that it has.
        while !matches!(stays.frame(), Frame::Close(..)) {}
        let mut newcomer = Client::connect(secure).upgraded("/ws/lobby?nick=bob");
        upgrade.join().expect("it succeeds");
        contains(newcomer.line(), "* welcome to lobby, bob. ");
        newcomer.send_frame(0x89, b"");
        loop {
            match newcomer.frame() {
                Frame::Text(_) => {}
                frame => break assert_eq!(frame, Frame::Pong(Vec::new())),
            }
        }
    });
}

/// What ends the talk of [`upgrades_under_load`].
const LAST_LINE: &str = "that was all";

/// Lines that a slow reader reads between two upgrades: fewer than are said meanwhile.
const READ_SLOWLY: usize = 20;

/// Upgrades one after the other while a room talks and newcomers come and go: with readers of lines,
/// one of them behind all the time, and programs over TLS, which come back after each upgrade.
/// Everybody gets every line once, in order.
fn upgrades_under_load(name: &str, count: usize) {
    let mut options = vec!["--max-connections-per-address", "0"];
    // The slow reader is to miss nothing.
    options.extend([
        "--outbox-frames",
        "8",
        "--stall-timeout",
        "60s",
        "--catch-up-max",
        "100000",
    ]);
    let installed = Installed::start_secure(name, &options);
    let server = &installed.server;
    let secure = relay_to(secure_address(server), P256);
    let readers: Vec<Client> = (0..8).map(|n| server.join(&format!("reader{n}"))).collect();
    let slow = server.join_with_small_window("slow");
    let mut ann = server.join("ann");
    let address = server.address();
    let is_over = AtomicBool::new(false);
    let (upgraded, upgrades) = channel();
    thread::scope(|scope| {
        let programs: Vec<_> = (0..2)
            .map(|n| scope.spawn(move || follows_over_tls(secure, &format!("program{n}"))))
            .collect();
        let readers: Vec<_> = readers
            .into_iter()
            .map(|mut reader| scope.spawn(move || reads_on(&mut reader, 0, usize::MAX)))
            .collect();
        let slow = scope.spawn(move || reads_slowly(slow, &upgrades));
        let talks = scope.spawn(|| {
            let mut number = 0;
            while !is_over.load(Ordering::Relaxed) {
                ann.says(&line(number));
                // Its own line is the pace.
                ann.hears_at_last(&format!("ann: {}", line(number)));
                number += 1;
            }
            ann.says(LAST_LINE);
            number
        });
        let comes = scope.spawn(|| {
            let mut guests = 0;
            while !is_over.load(Ordering::Relaxed) {
                let mut guest = Client::connect(address).upgraded("/ws/attic");
                assert!(guest.line().starts_with("* welcome to attic, "));
                guest.leaves();
                guests += 1;
            }
            guests
        });
        for _ in 0..count {
            installed.upgrades();
            upgraded.send(()).expect("the slow reader reads");
        }
        drop(upgraded);
        is_over.store(true, Ordering::Relaxed);
        let said: usize = talks.join().expect("ann talks");
        let guests: usize = comes.join().expect("guests come");
        assert!(guests > 0 && said > count, "{guests} guests, {said} lines");
        for reader in readers {
            assert_eq!(reader.join().expect("a reader reads"), said);
        }
        assert_eq!(slow.join().expect("the slow reader reads"), said);
        for program in programs {
            let (heard, times) = program.join().expect("a program follows");
            assert_eq!(heard, said);
            assert!(times > 0, "it was never asked to come back");
        }
    });
}

/// Long enough that the slow reader's socket is soon full.
fn line(number: usize) -> String {
    format!("line {number} {:x<1000}", "")
}

/// Reads lines, the next being `next`, until `upto` or the last. Returns the next.
fn reads_on(reader: &mut Client, mut next: usize, upto: usize) -> usize {
    while next < upto {
        let heard = reader.line();
        match heard.strip_prefix("ann: ") {
            Some(LAST_LINE) => return next,
            Some(text) => assert_eq!(text, line(next)),
            None => continue,
        }
        next += 1;
    }
    next
}

fn reads_slowly(mut reader: Client, upgrades: &Receiver<()>) -> usize {
    let mut next = 0;
    while upgrades.recv().is_ok() {
        next = reads_on(&mut reader, next, next + READ_SLOWLY);
    }
    reads_on(&mut reader, next, usize::MAX)
}

/// A program that comes back whenever it is asked to, and resumes. Returns how many lines it has, and
/// how often it came back.
fn follows_over_tls(address: SocketAddr, nick: &str) -> (usize, usize) {
    let mut view = View::default();
    let mut times = 0;
    loop {
        // A connection that an upgrade finds in its handshake is cut: it cannot be asked anything.
        let Some(mut program) = keeping_up::Program::try_connect(address, nick) else {
            continue;
        };
        program.request(view.join("lobby"));
        let (code, reason) = loop {
            match program.event_or_close() {
                Ok(event) => view.take(&event),
                Err(close) => break close,
            }
            if view.texts.last().is_some_and(|text| text == LAST_LINE) {
                let heard = view.texts.len() - 1;
                assert!((0..heard).all(|number| view.texts[number] == line(number)));
                return (heard, times);
            }
        };
        assert_eq!(code, Some(1012), "{reason}");
        let hint: Value = serde_json::from_str(&reason).expect("an object");
        assert!(hint["retry_ms"].is_u64(), "{reason}");
        times += 1;
    }
}

#[test]
fn five_upgrades_under_load_lose_double_and_reorder_nothing() {
    upgrades_under_load("upgrade-five", 5);
}

#[test]
#[ignore = "takes a minute; docs/upgrade.md has the command"]
fn fifty_upgrades_under_load_lose_double_and_reorder_nothing() {
    upgrades_under_load("upgrade-fifty", 50);
}
