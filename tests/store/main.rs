//! The store under a process that is killed at any moment: what was reported as stored is there, once
//! and in order.
//!
//! `PARLOR_ROUNDS=300 cargo test --test store kill` is the long form.

use parlor::chance::Chance;
use parlor::chat::{Author, Content, Draft, Manner};
use parlor::id::{RoomId, Seq};
use parlor::log::{Answer, Record, Request, Store, StoredRoom};
use parlor::net::mio::{clock, wall_clock};
use parlor::store::{self, Clocks, Handle, Settings, StoreSync, Surroundings};
use std::fs;
use std::io::{BufRead, BufReader, Write, stdout};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Duration;

/// Names the child's directory, and with it makes a process the child.
const DIRECTORY: &str = "STORE_OF_THE_CHILD";
const SYNC: &str = "SYNC_OF_THE_CHILD";
const ROOMS: u32 = 4;

#[expect(clippy::disallowed_methods, reason = "a test is told what to do by it")]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

fn room_name(room: u32) -> String {
    format!("room-{room}")
}

/// What entry `seq` of a room says: some are long, so that they take pages of their own.
fn text(room: u32, seq: u32) -> String {
    let length = if seq.is_multiple_of(50) { 6000 } else { 40 };
    format!("{room} {seq} {}", "x".repeat(length))
}

/// Opens the store and hands over entries of all rooms, until it is killed. Writes a line to the
/// standard output for each report of stored entries.
#[test]
#[ignore = "the process that is killed"]
fn child() {
    let Some(directory) = variable(DIRECTORY) else {
        return;
    };
    let (sender, woken) = mpsc::channel();
    let mut settings = Settings::in_directory(PathBuf::from(directory));
    settings.keep_messages = 2000;
    if variable(SYNC).as_deref() == Some("normal") {
        settings.sync = StoreSync::Normal;
    }
    let mut random = [0; 36];
    random[..4].copy_from_slice(&std::process::id().to_le_bytes());
    let surroundings = Surroundings {
        clocks: Clocks {
            wall: wall_clock,
            moment: clock,
        },
        random,
        wake: Box::new(move || {
            // The receiver lives as long as the process.
            let _ = sender.send(());
        }),
        report: |sentence| panic!("{sentence}"),
    };
    let (started, handle) = store::open(&settings, surroundings).expect("the store opens");
    let mut writer = Writer {
        epoch: started.epoch,
        handle,
        woken,
        heads: [(0, wall_clock()); ROOMS as usize],
        unstored: 0,
    };
    // The harness has begun a line.
    writer.say(format_args!("\nepoch {}", started.epoch));
    writer.open_rooms();
    writer.write_for_ever(started.epoch);
}

struct Writer {
    epoch: u32,
    handle: Handle,
    woken: Receiver<()>,
    heads: [(u32, parlor::id::Millis); ROOMS as usize],
    unstored: u32,
}

impl Writer {
    fn say(&self, line: std::fmt::Arguments<'_>) {
        let mut out = stdout().lock();
        writeln!(out, "{line}")
            .and_then(|()| out.flush())
            .expect("the parent reads");
    }

    fn open_rooms(&mut self) {
        let open = |room| Request::Open {
            room: RoomId::new(room, 1),
            name: room_name(room).into(),
        };
        self.handle.send(&mut (1..=ROOMS).map(open).collect());
        let mut missing = ROOMS;
        let mut answers = Vec::new();
        while missing > 0 {
            self.woken.recv().expect("the store lives");
            self.handle.receive(&mut answers);
            for answer in answers.drain(..) {
                if let Answer::Opened { room, kept } = answer {
                    missing -= 1;
                    if let Some(kept) = kept {
                        assert_eq!(kept.stored_room, StoredRoom(room.slot()));
                        self.heads[room.slot() as usize - 1] = (kept.head.0, kept.at);
                    }
                }
            }
        }
    }

    fn write_for_ever(&mut self, seed: u32) -> ! {
        let mut chance = Chance::new(u64::from(seed), "writer");
        let mut requests = Vec::new();
        let mut answers = Vec::new();
        loop {
            for _ in 0..=chance.below(30) {
                let room = 1 + chance.below(u64::from(ROOMS)) as u32;
                let (head, at) = &mut self.heads[room as usize - 1];
                *head += 1;
                *at = (*at).max(wall_clock());
                self.unstored += 1;
                requests.push(Request::Append(Box::new(Record {
                    room: RoomId::new(room, 1),
                    stored_room: StoredRoom(room),
                    name: room_name(room).into(),
                    epoch: self.epoch,
                    seq: Seq(*head),
                    at: *at,
                    draft: Draft {
                        nick: "ann".into(),
                        content: Content::said(
                            Manner::Message,
                            text(room, *head),
                            None,
                            Author::Unknown,
                        ),
                    },
                    key: None,
                })));
            }
            self.handle.send(&mut requests);
            // Some batches meet, others do not.
            if chance.below(3) == 0 {
                self.woken
                    .recv_timeout(Duration::from_secs(10))
                    .expect("the store lives");
            }
            self.handle.receive(&mut answers);
            for answer in answers.drain(..) {
                match answer {
                    Answer::Stored { room, upto } => {
                        self.say(format_args!("stored {} {}", room.slot(), upto.0));
                    }
                    Answer::Forgotten { .. } => {}
                    other => panic!("{other:?}"),
                }
            }
        }
    }
}

/// What a child has written before it was killed.
#[derive(Debug, Default)]
struct Said {
    epoch: Option<u32>,
    /// By room.
    stored: [u32; ROOMS as usize],
}

/// `life` counts from the moment at which the store is open, or from the start of the process.
fn run_and_kill(directory: &Path, sync: &str, life: Duration, is_opened: bool) -> Said {
    let this = std::env::current_exe().expect("this program");
    let mut child = Command::new(this)
        .args([
            "--exact",
            "child",
            "--ignored",
            "--nocapture",
            "--test-threads=1",
        ])
        .env(DIRECTORY, directory)
        .env(SYNC, sync)
        .stdout(Stdio::piped())
        .spawn()
        .expect("the child starts");
    let output = child.stdout.take().expect("its output");
    let (opened, is_open) = mpsc::channel();
    let reader = thread::spawn(move || {
        let mut said = Said::default();
        for line in BufReader::new(output).lines() {
            let line = line.expect("a line");
            let words: Vec<&str> = line.split(' ').collect();
            match words[..] {
                ["epoch", epoch] => {
                    said.epoch = epoch.parse().ok();
                    // The parent may not wait for it.
                    let _ = opened.send(());
                }
                // The last line may be cut off, but then its end is missing too.
                ["stored", room, upto] => {
                    let room: usize = room.parse().expect("a room");
                    said.stored[room - 1] = upto.parse().expect("a number");
                }
                _ => assert!(!line.contains("panicked"), "{line}"),
            }
        }
        said
    });
    if is_opened {
        is_open
            .recv_timeout(Duration::from_secs(20))
            .expect("the store opens");
    }
    thread::sleep(life);
    child.kill().expect("SIGKILL");
    let status = child.wait().expect("it ends");
    assert_eq!(status.code(), None, "the child ended by itself");
    reader.join().expect("the output is read")
}

#[test]
fn what_was_reported_as_stored_survives_kill_9() {
    let rounds = variable("PARLOR_ROUNDS").map_or(10, |rounds| rounds.parse().expect("a number"));
    let directory = std::env::temp_dir().join(format!("parlor-kill-{}", std::process::id()));
    // Left by a process with the same number.
    let _ = fs::remove_dir_all(&directory);
    let mut chance = Chance::new(rounds, "killer");
    let mut epoch = 0;
    let mut reported = 0;
    let mut heads = [0; ROOMS as usize];
    for round in 0..rounds {
        let sync = if round % 3 == 2 { "normal" } else { "full" };
        let life = Duration::from_millis(chance.below(300));
        let said = run_and_kill(&directory, sync, life, round % 4 != 1);
        if let Some(now) = said.epoch {
            assert!(now > epoch, "epoch {now} after {epoch}");
            epoch = now;
        }
        let report = store::check(&directory, &mut |_| {}).expect("a report");
        assert_eq!(report.problems, [""; 0], "round {round}");
        for room in 1..=ROOMS {
            let stored = said.stored[room as usize - 1];
            let before = heads[room as usize - 1];
            let head = head_of(&directory, room, before == 0);
            let expected = stored.max(before);
            assert!(
                head >= expected,
                "room {room}: {expected} entries reported, {head} stored"
            );
            reported += stored.saturating_sub(before);
            heads[room as usize - 1] = head;
        }
    }
    assert!(reported > 0, "nothing was written");
    println!("{rounds} rounds, {reported} entries reported as stored, {heads:?} in the rooms");
    fs::remove_dir_all(&directory).expect("it goes");
}

/// The newest entry of a room. Each entry must be what its number says.
fn head_of(directory: &Path, room: u32, may_be_missing: bool) -> u32 {
    let mut lines = Vec::new();
    if let Err(error) = store::export(directory, &room_name(room), &mut lines) {
        assert!(may_be_missing, "{error}");
        return 0;
    }
    let mut head = 0;
    for line in String::from_utf8(lines).expect("text").lines() {
        let entry: serde_json::Value = serde_json::from_str(line).expect("JSON");
        let seq = entry["seq"].as_u64().expect("a number") as u32;
        assert!(head == 0 || seq == head + 1, "{seq} after {head}");
        assert_eq!(entry["text"], text(room, seq));
        head = seq;
    }
    head
}
