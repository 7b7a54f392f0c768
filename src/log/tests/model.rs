//! The log over the disk of the tests, against a list of everything that was said: random rooms,
//! messages, readers, failures, retention and crashes.

use super::disk::Disk;
use super::*;
use std::collections::BTreeMap;

/// Numbers from a seed (xorshift64).
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }

    fn is_one_in(&mut self, count: u64) -> bool {
        self.below(count) == 0
    }
}

const ROOMS: [&str; 4] = ["attic", "cellar", "garden", "hall"];

/// What the test knows of a room.
#[derive(Default)]
struct Truth {
    id: Option<RoomId>,
    is_waiting: bool,
    /// Members that the log knows of.
    members: u32,
    /// What was said: entry 1 first.
    said: Vec<String>,
    oldest: u32,
}

/// A client that follows a room, and is not always there.
struct Reader {
    room: &'static str,
    cursor: Seq,
    epoch: SmolStr,
}

struct Game {
    dice: Dice,
    disk: Disk,
    settings: Settings,
    log: Log,
    now: Tick,
    truths: BTreeMap<&'static str, Truth>,
    readers: Vec<Reader>,
    counts: Counts,
}

/// So that a game in which nothing happens does not pass.
#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    appended: u32,
    full: u32,
    failing: u32,
    read: u32,
    gaps: u32,
    waits: u32,
    crashes: u32,
    rewound: u32,
}

impl Game {
    fn new(seed: u64) -> Self {
        let settings = Settings {
            tail_bytes: 4096,
            rooms_max: 3,
            ..Settings::default()
        };
        let disk = Disk::default();
        let log = disk.start(&settings, Tick(0));
        let truth = |room: &&'static str| (*room, Truth::default());
        Self {
            dice: Dice(seed | 1),
            log,
            disk,
            settings,
            now: Tick(0),
            truths: ROOMS.iter().map(truth).collect(),
            readers: Vec::new(),
            counts: Counts::default(),
        }
    }

    fn turn(&mut self) {
        let room = ROOMS[self.dice.below(4) as usize];
        match self.dice.below(40) {
            0..=2 => self.open(room),
            3..=14 => self.say(room),
            15..=22 => self.read(),
            23 => self.leave(room),
            24..=33 => {
                self.disk.inner().step();
            }
            34 => self.follow(room),
            35 => self.now = self.now + self.dice.below(900) as u32,
            36 => self.change_health(),
            37 => self.forget(room),
            38 => self.send_stale_answers(room),
            39 if self.dice.is_one_in(20) => self.crash(),
            _ => {
                self.log.tick(self.now);
            }
        }
        self.exchange();
        self.log.check_invariants();
    }

    fn exchange(&mut self) {
        self.log.hand_over();
        let mut notifications = Vec::new();
        self.log.take_answers(self.now, &mut notifications);
        for notification in notifications {
            match notification {
                Notification::Opened { room } => self.opened(room),
                Notification::Stored { room, upto } => {
                    let name = self.log.name(room);
                    assert_eq!(self.log.stored(room), upto);
                    let kept = self.disk.inner().rooms[name].head;
                    assert!(upto <= kept, "stored is what the disk has");
                }
                Notification::OpenFailed { .. } => panic!("the disk opens every room"),
                _ => {}
            }
        }
    }

    fn open(&mut self, room: &'static str) {
        let opening = self.log.open(&SmolStr::new(room), self.now);
        let truth = self.truths.get_mut(room).expect("the room is in the list");
        match opening {
            Opening::Refused => {
                let others = self.truths.iter().filter(|(name, _)| **name != room);
                let open = others.filter(|(name, _)| self.log.rooms.find(name).is_some());
                assert_eq!(open.count(), 3);
            }
            Opening::Waiting(id) => {
                truth.is_waiting = true;
                truth.id = Some(id);
            }
            Opening::Open(id) => {
                truth.id = Some(id);
                truth.members += 1;
                self.log.member_joined(id);
            }
        }
    }

    fn opened(&mut self, id: RoomId) {
        let name = self.log.name(id).clone();
        let (_, truth) = self
            .truths
            .iter_mut()
            .find(|(room, _)| **room == name)
            .expect("the room is in the list");
        assert!(truth.is_waiting);
        assert_eq!(truth.id, Some(id));
        assert_eq!(self.log.head(id).0 as usize, truth.said.len());
        truth.is_waiting = false;
        truth.members += 1;
        self.log.member_joined(id);
    }

    fn say(&mut self, room: &'static str) {
        let truth = self.truths.get_mut(room).expect("the room is in the list");
        let Some(id) = truth.id.filter(|_| truth.members > 0) else {
            return;
        };
        let letters = if self.dice.is_one_in(8) { 700 } else { 40 };
        let length = self.dice.below(letters) as usize;
        let text = format!("{}{}", self.counts.appended, "x".repeat(length));
        match self.log.append(id, &said("ann", &text), None, Millis(1)) {
            Ok((seq, _)) => {
                truth.said.push(text);
                assert_eq!(seq.0 as usize, truth.said.len());
                self.counts.appended += 1;
            }
            Err(AppendRefused::Full) => self.counts.full += 1,
            Err(AppendRefused::StoreFailing) => self.counts.failing += 1,
            Err(refused) => panic!("{refused:?}"),
        }
    }

    fn leave(&mut self, room: &'static str) {
        let truth = self.truths.get_mut(room).expect("the room is in the list");
        if let Some(id) = truth.id.filter(|_| truth.members > 0) {
            truth.members -= 1;
            self.log.member_left(id, self.now);
        }
    }

    fn follow(&mut self, room: &'static str) {
        let truth = &self.truths[room];
        if let Some(id) = truth.id.filter(|_| truth.members > 0) {
            let head = self.log.head(id);
            self.readers.push(Reader {
                room,
                cursor: Seq(self.dice.below(u64::from(head.0) + 1) as u32),
                epoch: self.log.epoch(id),
            });
        }
        if self.readers.len() > 20 {
            self.readers.remove(0);
        }
    }

    fn read(&mut self) {
        if self.readers.is_empty() {
            return;
        }
        let index = self.dice.below(self.readers.len() as u64) as usize;
        let reader = &mut self.readers[index];
        let truth = &self.truths[reader.room];
        let Some(id) = truth.id.filter(|_| truth.members > 0) else {
            return;
        };
        // What it saw of an earlier start may be gone.
        match self.log.since(id, &reader.epoch, reader.cursor) {
            Since::At { at, rewound } => {
                self.counts.rewound += u32::from(rewound.is_some());
                reader.cursor = at;
                reader.epoch = self.log.epoch(id);
            }
            Since::Unknown => panic!("all epochs are known"),
        }
        let mut space = self.dice.below(40);
        let mut next = reader.cursor.0;
        let reading = self.log.read(id, reader.cursor, &mut |entry| {
            let Content::Said { text, .. } = entry.content else {
                panic!("only messages were said");
            };
            assert_eq!(entry.seq.0, next + 1);
            assert_eq!(text, truth.said[next as usize], "entry {}", next + 1);
            if space == 0 {
                return false;
            }
            space -= 1;
            next += 1;
            true
        });
        match reading {
            Reading::Read { upto } => {
                assert_eq!(upto.0, next);
                reader.cursor = upto;
                self.counts.read += 1;
            }
            Reading::AtHead => assert_eq!(reader.cursor.0 as usize, truth.said.len()),
            Reading::Gap { oldest } => {
                assert!(oldest > reader.cursor && oldest.0 as usize <= truth.said.len() + 1);
                reader.cursor = Seq(oldest.0 - 1);
                self.counts.gaps += 1;
            }
            Reading::Wait => self.counts.waits += 1,
        }
    }

    fn change_health(&mut self) {
        let (full, bad, holes) = (
            self.dice.is_one_in(3),
            self.dice.is_one_in(6),
            self.dice.is_one_in(6),
        );
        let mut inner = self.disk.inner();
        let health = match full {
            true => Health::Failing {
                why: String::from("full"),
            },
            false => Health::Good,
        };
        // Some time passes until the store finds out.
        if self.dice.is_one_in(2) || !full {
            inner.answers.push(Answer::Health(health));
        }
        (inner.is_full, inner.is_damaged, inner.has_holes) = (full, bad, holes);
    }

    fn forget(&mut self, room: &'static str) {
        let mut inner = self.disk.inner();
        let Some(head) = inner.rooms.get(room).map(|shelf| shelf.head) else {
            return;
        };
        let oldest = Seq(self.dice.below(u64::from(head.0) + 2) as u32);
        inner.forget_below(room, oldest);
        let truth = self.truths.get_mut(room).expect("the room is in the list");
        truth.oldest = truth.oldest.max(oldest.0);
    }

    /// Answers for what was asked before the room was closed and opened, or was never asked.
    fn send_stale_answers(&mut self, room: &'static str) {
        let lie = Page {
            entries: vec![PageEntry {
                seq: Seq(1),
                at: Millis(0),
                draft: said("eve", "a lie"),
            }],
            complete_to: Seq(1),
            oldest: Seq(1),
        };
        let id = self.truths[room].id.unwrap_or(RoomId::new(0, 0));
        let mut inner = self.disk.inner();
        let old = RoomId::new(id.slot(), id.generation().wrapping_sub(1));
        inner.answers.push(Answer::Page {
            room: old,
            log_gen: 1,
            page: lie.clone(),
        });
        inner.answers.push(Answer::Stored {
            room: old,
            upto: Seq(u32::MAX),
        });
        inner.answers.push(Answer::Opened {
            room: id,
            kept: None,
        });
        let is_unasked = |request: &Request| !matches!(request, Request::Open { .. });
        let all_are_done = inner.queue.iter().all(is_unasked);
        if !all_are_done || self.truths[room].is_waiting {
            inner.answers.pop();
        }
        inner.answers.push(Answer::Page {
            room: id,
            log_gen: u64::MAX,
            page: lie,
        });
    }

    fn crash(&mut self) {
        self.counts.crashes += 1;
        self.log = self.disk.start(&self.settings, self.now);
        let mut inner = self.disk.inner();
        inner.is_full = false;
        for (room, truth) in &mut self.truths {
            let kept = inner.rooms.get(*room).map_or(0, |shelf| shelf.head.0);
            truth.said.truncate(kept as usize);
            truth.id = None;
            truth.is_waiting = false;
            truth.members = 0;
        }
    }

    /// Every reader comes to the head, once the disk works.
    fn finish(mut self) -> Counts {
        {
            let mut inner = self.disk.inner();
            (inner.is_full, inner.is_damaged, inner.has_holes) = (false, false, false);
            inner.answers.push(Answer::Health(Health::Good));
        }
        self.now = self.now + UNREADABLE_TICKS;
        self.disk.settle(&mut self.log, self.now);
        for reader in &mut self.readers {
            let name = SmolStr::new(reader.room);
            self.log.open(&name, self.now);
            self.disk.settle(&mut self.log, self.now);
            let Some(id) = self.log.find(reader.room) else {
                continue; // Other rooms have members, and no more may be open.
            };
            let truth = &self.truths[reader.room];
            for step in 0.. {
                assert!(step < 1_000, "a reader does not get on");
                if let Since::At { at, .. } = self.log.since(id, &reader.epoch, reader.cursor) {
                    reader.cursor = at;
                    reader.epoch = self.log.epoch(id);
                }
                match self.log.read(id, reader.cursor, &mut |_| true) {
                    Reading::Read { upto } => reader.cursor = upto,
                    Reading::AtHead => break,
                    Reading::Gap { oldest } => {
                        assert!(
                            oldest.0 <= truth.oldest.max(1),
                            "no more is lost than was removed"
                        );
                        reader.cursor = Seq(oldest.0 - 1);
                    }
                    Reading::Wait => {
                        self.disk.settle(&mut self.log, self.now);
                    }
                }
            }
            assert_eq!(reader.cursor.0 as usize, truth.said.len());
            assert_eq!(self.log.stored(id), self.log.head(id));
        }
        assert_eq!(self.log.summary().reads, 0);
        assert_eq!(self.log.summary().unstored_bytes, 0);
        self.counts
    }
}

#[test]
fn random_games_agree_with_a_list_of_what_was_said() {
    let mut sum = Counts::default();
    for seed in 1..=60 {
        let mut game = Game::new(seed * 0x9E37_79B9);
        for _ in 0..1_500 {
            game.turn();
        }
        let counts = game.finish();
        sum.appended += counts.appended;
        sum.full += counts.full;
        sum.failing += counts.failing;
        sum.read += counts.read;
        sum.gaps += counts.gaps;
        sum.waits += counts.waits;
        sum.crashes += counts.crashes;
        sum.rewound += counts.rewound;
    }
    println!("{sum:?}");
    assert!(
        sum.appended > 5_000 && sum.read > 2_000 && sum.waits > 500,
        "{sum:?}"
    );
    assert!(
        sum.full > 100 && sum.failing > 100 && sum.gaps > 100,
        "{sum:?}"
    );
    assert!(sum.crashes > 50 && sum.rewound > 10, "{sum:?}");
}
