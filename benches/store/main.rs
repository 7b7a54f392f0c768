//! What the store costs: how late an acknowledgement is and how much of a core its thread takes, a
//! page of a large room, and a start. Prints lines; knows no connection.
//!
//! `cargo bench --bench store`

use parlor::chat::{Author, Content, Draft, Manner};
use parlor::id::{Millis, RoomId, Seq};
use parlor::log::{Answer, Record, Request, Store, StoredRoom};
use parlor::net::mio::{clock, wall_clock};
use parlor::store::{self, Clocks, Handle, Settings, Surroundings};
use std::collections::VecDeque;
use std::fs;
use std::path::Path;
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

/// How long each rate is played.
const LENGTH: Duration = Duration::from_secs(5);
const MILLION: u32 = 1_000_000;

fn main() {
    let directory = std::env::temp_dir().join(format!("parlor-bench-store-{}", std::process::id()));
    for rate in [100, 1000, 10_000] {
        acknowledgements(&directory.join(format!("at-{rate}")), rate);
    }
    let large = directory.join("large");
    fill(&large, 1);
    pages(&large);
    let many = directory.join("many");
    fill(&many, 1000);
    let begun = clock();
    let running = Running::open(&many);
    println!(
        "start with 1,000,000 messages in 1,000 rooms: {:?}",
        begun.elapsed()
    );
    drop(running);
    fs::remove_dir_all(directory).expect("it goes");
}

struct Running {
    epoch: u32,
    handle: Handle,
    woken: Receiver<()>,
    answers: Vec<Answer>,
}

impl Running {
    fn open(directory: &Path) -> Self {
        let mut settings = Settings::in_directory(directory.to_owned());
        settings.keep_messages = 0;
        let (sender, woken) = mpsc::channel();
        let surroundings = Surroundings {
            clocks: Clocks {
                wall: wall_clock,
                moment: clock,
            },
            random: [1; 36],
            wake: Box::new(move || {
                // The receiver goes first.
                let _ = sender.send(());
            }),
            report: |sentence| println!("{sentence}"),
        };
        let (started, handle) = store::open(&settings, surroundings).expect("the store opens");
        Self {
            epoch: started.epoch,
            handle,
            woken,
            answers: Vec::new(),
        }
    }

    fn append(&self, room: u32, seq: u32, at: Millis) -> Request {
        Request::Append(Box::new(Record {
            room: RoomId::new(room, 1),
            stored_room: StoredRoom(room),
            name: format!("room-{room}").into(),
            epoch: self.epoch,
            seq: Seq(seq),
            at,
            draft: Draft {
                nick: "ann".into(),
                content: Content::said(
                    Manner::Message,
                    format!("{seq:064}"),
                    None,
                    Author::Unknown,
                ),
            },
            key: None,
        }))
    }

    /// What has come, after at most this time.
    fn wait(&mut self, wait: Duration) -> std::vec::Drain<'_, Answer> {
        // Nothing came: there is nothing to receive either.
        let _ = self.woken.recv_timeout(wait);
        self.handle.receive(&mut self.answers);
        self.answers.drain(..)
    }
}

/// The processor time of the store's thread.
fn store_time() -> Duration {
    let tasks = fs::read_dir("/proc/self/task").expect("Linux");
    let mut sum = 0;
    for task in tasks.flatten() {
        let name = fs::read_to_string(task.path().join("comm")).unwrap_or_default();
        if name.trim() == "store" {
            let stat = fs::read_to_string(task.path().join("schedstat")).unwrap_or_default();
            let first = stat
                .split(' ')
                .next()
                .and_then(|word| word.parse::<u64>().ok());
            sum += first.unwrap_or(0);
        }
    }
    Duration::from_nanos(sum)
}

fn quantiles(times: &mut [Duration]) -> String {
    times.sort_unstable();
    let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize];
    format!("p50 {:?}, p99 {:?}, most {:?}", at(0.5), at(0.99), at(1.0))
}

fn acknowledgements(directory: &Path, rate: u32) {
    let mut store = Running::open(directory);
    let begun = clock();
    let before = store_time();
    let mut sent: u32 = 0;
    let mut pending: VecDeque<Instant> = VecDeque::new();
    let mut times = Vec::new();
    let mut stored = 0;
    let mut batches = 0;
    let mut requests = Vec::new();
    while begun.elapsed() < LENGTH || !pending.is_empty() {
        let due = (begun.elapsed().min(LENGTH).as_secs_f64() * f64::from(rate)) as u32;
        while sent < due {
            sent += 1;
            requests.push(store.append(1, sent, wall_clock()));
            pending.push_back(clock());
        }
        store.handle.send(&mut requests);
        let next = Duration::from_secs_f64(f64::from(sent + 1) / f64::from(rate));
        let wait = next
            .saturating_sub(begun.elapsed())
            .max(Duration::from_micros(50));
        let mut uptos = Vec::new();
        for answer in store.wait(wait) {
            if let Answer::Stored { upto, .. } = answer {
                uptos.push(upto.0);
            }
        }
        for upto in uptos {
            batches += 1;
            while stored < upto {
                stored += 1;
                times.push(pending.pop_front().expect("it was sent").elapsed());
            }
        }
    }
    let used = (store_time() - before).as_secs_f64() / begun.elapsed().as_secs_f64();
    println!(
        "{rate} messages/s: acknowledged after {}; {:.1} a batch; the store's thread takes {:.1} % of \
         a core",
        quantiles(&mut times),
        f64::from(sent) / f64::from(batches.max(1)),
        used * 100.0
    );
}

/// A million messages, in so many rooms.
fn fill(directory: &Path, rooms: u32) {
    let mut store = Running::open(directory);
    let begun = clock();
    let at = wall_clock();
    let mut requests = Vec::new();
    for seq in 1..=MILLION / rooms {
        for room in 1..=rooms {
            requests.push(store.append(room, seq, at));
        }
        let count = seq * rooms;
        if count.is_multiple_of(10_000) {
            store.handle.send(&mut requests);
            let mut left = rooms;
            while left > 0 {
                for answer in store.wait(Duration::from_secs(60)) {
                    if let Answer::Stored { upto, .. } = answer
                        && upto.0 >= seq
                    {
                        left -= 1;
                    }
                }
            }
        }
    }
    drop(store);
    println!(
        "{MILLION} messages in {rooms} rooms written in {:?}",
        begun.elapsed()
    );
}

fn pages(directory: &Path) {
    let mut store = Running::open(directory);
    let mut seed: u32 = 7;
    let mut random = || {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        seed % (MILLION - 50)
    };
    for (what, count) in [("the newest", 1000), ("anywhere", 5000)] {
        let mut times = Vec::new();
        for _ in 0..count {
            let after = if what == "anywhere" {
                random()
            } else {
                MILLION - 50
            };
            let begun = clock();
            store.handle.send(&mut vec![Request::Read {
                room: RoomId::new(1, 1),
                stored_room: StoredRoom(1),
                log_gen: 0,
                after: Seq(after),
                entries_max: 50,
                bytes_max: 16 * 1024,
            }]);
            let mut entries = 0;
            while entries == 0 {
                for answer in store.wait(Duration::from_secs(10)) {
                    if let Answer::Page { page, .. } = answer {
                        entries = page.entries.len();
                    }
                }
            }
            assert_eq!(entries, 50);
            times.push(begun.elapsed());
        }
        println!(
            "50 of {MILLION} messages, {what}: {}",
            quantiles(&mut times)
        );
    }
}
