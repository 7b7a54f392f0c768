//! Scenes with a real store in a directory that goes with them.

mod amending;
mod faults;
mod keeping;
mod opening;
mod registry;
mod remnants;
mod retention;
mod tasks;

use super::{Clocks, Handle, Settings, StoreError, StoreSync, Surroundings, open};
use crate::chat::{Author, Content, Draft, Manner};
use crate::id::{Millis, RoomId, Seq};
use crate::log::{
    Answer, Health, Kept, KeptKey, Key, Page, Record, Request, Started, Store, StoredRoom,
};
use smol_str::SmolStr;
use std::fs;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

const DAY_MS: u64 = 24 * 60 * 60 * 1000;
/// The time of day in every scene.
const NOW: Millis = Millis(20_000 * DAY_MS);
/// Nothing takes longer, unless it hangs.
const PATIENCE: Duration = Duration::from_secs(20);

/// A directory for one test.
struct Scratch {
    path: PathBuf,
}

impl Scratch {
    fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!(
            "parlor-store-{}-{}",
            std::process::id(),
            COUNT.fetch_add(1, Ordering::Relaxed)
        );
        let path = std::env::temp_dir().join(name);
        fs::create_dir(&path).expect("a directory for the test");
        Self { path }
    }

    /// Where the scene's store is.
    fn store(&self) -> PathBuf {
        self.path.join("store")
    }

    fn file(&self) -> PathBuf {
        self.store().join("parlor.db")
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // A test that failed leaves what it has.
        let _ = fs::remove_dir_all(&self.path);
    }
}

#[expect(clippy::disallowed_methods, reason = "tests wait for a real thread")]
fn moment() -> Instant {
    Instant::now()
}

fn surroundings(wake: Box<dyn Fn() + Send + Sync>) -> Surroundings {
    Surroundings {
        clocks: Clocks {
            wall: || NOW,
            moment,
        },
        random: [7; 36],
        wake,
        report: |_| {},
    }
}

fn settings(directory: &Path) -> Settings {
    Settings {
        keep_days: 0,
        keep_messages: 0,
        sync: StoreSync::Normal,
        ..Settings::in_directory(directory.to_owned())
    }
}

/// A store and what came from it.
struct Scene {
    handle: Handle,
    started: Started,
    woken: Receiver<()>,
    answers: Vec<Answer>,
    requests: Vec<Request>,
}

const ROOM: StoredRoom = StoredRoom(1);
const OTHER: StoredRoom = StoredRoom(2);

impl Scene {
    fn open(scratch: &Scratch) -> Self {
        Self::with(&settings(&scratch.store()))
    }

    fn with(settings: &Settings) -> Self {
        Self::try_with(settings).unwrap_or_else(|error| panic!("{error}"))
    }

    fn try_with(settings: &Settings) -> Result<Self, StoreError> {
        let (sender, woken) = mpsc::channel();
        let wake = Box::new(move || {
            // The scene may be over.
            let _ = sender.send(());
        });
        let (started, handle) = open(settings, surroundings(wake))?;
        Ok(Self {
            handle,
            started,
            woken,
            answers: Vec::new(),
            requests: Vec::new(),
        })
    }

    fn ask(&mut self, request: Request) {
        self.requests.push(request);
        self.handle.send(&mut self.requests);
    }

    /// The first answer for which `pick` has something; the others are kept.
    fn wait_for<T>(&mut self, pick: impl Fn(&Answer) -> Option<T>) -> T {
        let end = moment() + PATIENCE;
        loop {
            self.handle.send(&mut self.requests);
            self.handle.receive(&mut self.answers);
            if let Some(at) = self
                .answers
                .iter()
                .position(|answer| pick(answer).is_some())
            {
                let answer = self.answers.remove(at);
                return pick(&answer).expect("it was picked");
            }
            let left = end.saturating_duration_since(moment());
            self.woken
                .recv_timeout(left)
                .unwrap_or_else(|_| panic!("no answer; there are {:?}", self.answers));
        }
    }

    fn record(&self, room: StoredRoom, seq: u32, text: &str) -> Record {
        Record {
            room: id(room),
            stored_room: room,
            name: name(room),
            epoch: self.started.epoch,
            seq: Seq(seq),
            at: Millis(NOW.0 + u64::from(seq)),
            draft: said("ann", text),
            key: None,
        }
    }

    fn says(&mut self, room: StoredRoom, seq: u32, text: &str) {
        let record = self.record(room, seq, text);
        self.ask(Request::Append(Box::new(record)));
    }

    /// Many entries, as one batch.
    fn says_all(&mut self, room: StoredRoom, seqs: RangeInclusive<u32>) {
        for seq in seqs {
            let record = self.record(room, seq, &format!("message {seq}"));
            self.requests.push(Request::Append(Box::new(record)));
        }
        self.handle.send(&mut self.requests);
    }

    /// Waits until a room is stored up to here.
    fn stored(&mut self, room: StoredRoom, seq: u32) {
        self.wait_for(|answer| match answer {
            Answer::Stored { room: of, upto } if *of == id(room) && upto.0 >= seq => Some(()),
            _ => None,
        });
    }

    fn keeps(&mut self, room: StoredRoom, seqs: RangeInclusive<u32>) {
        let last = *seqs.end();
        self.says_all(room, seqs);
        self.stored(room, last);
    }

    fn kept(&mut self, room: StoredRoom) -> Option<Kept> {
        self.ask(Request::Open {
            room: id(room),
            name: name(room),
        });
        self.wait_for(|answer| match answer {
            Answer::Opened { kept, .. } => Some(kept.clone()),
            _ => None,
        })
    }

    fn page(&mut self, room: StoredRoom, after: u32, entries_max: u32) -> Result<Page, String> {
        self.ask(Request::Read {
            room: id(room),
            stored_room: room,
            log_gen: 5,
            after: Seq(after),
            entries_max,
            bytes_max: 16 * 1024,
        });
        self.wait_for(|answer| match answer {
            Answer::Page { page, .. } => Some(Ok(page.clone())),
            Answer::ReadFailed { why, .. } => Some(Err(why.clone())),
            _ => None,
        })
    }

    fn texts(&mut self, room: StoredRoom, after: u32) -> Vec<String> {
        let page = self.page(room, after, 1000).expect("a page");
        page.entries
            .into_iter()
            .map(|entry| match entry.draft.content {
                Content::Said { text, .. } | Content::Edited { text, .. } => text,
                Content::Kicked { reason, .. } => reason,
                Content::Deleted { .. } => String::new(),
                Content::Act { detail, .. } => detail,
            })
            .collect()
    }

    fn keys(&mut self, session: u64) -> Vec<KeptKey> {
        self.ask(Request::Keys { session });
        self.wait_for(|answer| match answer {
            Answer::Keys { keys, .. } => Some(keys.clone()),
            _ => None,
        })
    }
}

/// The room's place in the server, which is another number.
fn id(room: StoredRoom) -> RoomId {
    RoomId::new(room.0 + 100, 3)
}

fn name(room: StoredRoom) -> SmolStr {
    SmolStr::from(match room {
        ROOM => String::from("lobby"),
        OTHER => String::from("other"),
        StoredRoom(number) => format!("room-{number}"),
    })
}

fn said(nick: &str, text: &str) -> Draft {
    Draft {
        nick: SmolStr::from(nick),
        content: Content::said(Manner::Message, text.to_owned(), None, Author::Unknown),
    }
}

fn keyed(mut record: Record, session: u64, key: &str) -> Request {
    record.key = Some(Key {
        session,
        key: SmolStr::from(key),
    });
    Request::Append(Box::new(record))
}
