//! A store of maps, which does one request at a time, when the test says so, and which fails when
//! the test says so. What it was handed and has not done is lost in a crash.

use super::*;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

/// What outlives the log.
#[derive(Clone, Default)]
pub(super) struct Disk(Arc<Mutex<Inner>>);

#[derive(Default)]
pub(super) struct Inner {
    pub(super) rooms: BTreeMap<SmolStr, Shelf>,
    pub(super) epochs: Vec<EpochInfo>,
    /// Handed over and not done.
    pub(super) queue: VecDeque<Request>,
    pub(super) answers: Vec<Answer>,
    /// Appends stay in the queue.
    pub(super) is_full: bool,
    /// Reads fail.
    pub(super) is_damaged: bool,
    /// Pages leave out an entry.
    pub(super) has_holes: bool,
    /// Reads that were done.
    pub(super) reads: u32,
}

/// What is kept of a room.
pub(super) struct Shelf {
    pub(super) number: StoredRoom,
    pub(super) entries: BTreeMap<Seq, Record>,
    pub(super) oldest: Seq,
    pub(super) head: Seq,
    pub(super) eras: Vec<Era>,
}

impl Disk {
    pub(super) fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().expect("no test panics with the lock")
    }

    /// A log over what the disk has: the next epoch, and nothing under way.
    pub(super) fn start(&self, settings: &Settings, now: Tick) -> Log {
        let mut inner = self.inner();
        inner.queue.clear();
        inner.answers.clear();
        let epoch = inner.epochs.last().map_or(1, |last| last.epoch + 1);
        let salt = epoch * 1_000;
        inner.epochs.push(EpochInfo { epoch, salt });
        let numbers = inner.rooms.values().map(|shelf| shelf.number.0);
        let started = Started {
            epoch,
            next_room: StoredRoom(numbers.max().unwrap_or(0) + 1),
            epochs: inner.epochs.clone(),
            session_key: [1; 32],
            registry: Default::default(),
        };
        drop(inner);
        let keeping = Keeping {
            started,
            store: Some(Box::new(self.clone())),
            is_shared: false,
        };
        Log::new(settings, keeping, now)
    }

    /// Does everything that can be done, and all that this brings.
    pub(super) fn settle(&self, log: &mut Log, now: Tick) -> Vec<Notification> {
        let mut notifications = Vec::new();
        loop {
            log.hand_over();
            while self.inner().step() {}
            log.take_answers(now, &mut notifications);
            if !log.has_requests() {
                return notifications;
            }
        }
    }
}

impl Store for Disk {
    fn send(&mut self, requests: &mut Vec<Request>) {
        self.inner().queue.extend(requests.drain(..));
    }

    fn receive(&mut self, answers: &mut Vec<Answer>) {
        answers.append(&mut self.inner().answers);
    }
}

impl Inner {
    /// Does the oldest request that can be done; whether there was one.
    pub(super) fn step(&mut self) -> bool {
        let can_be_done = |request: &Request| {
            let is_append = matches!(request, Request::Append(_));
            !(is_append && self.is_full)
        };
        let Some(index) = self.queue.iter().position(can_be_done) else {
            return false;
        };
        if let Some(request) = self.queue.remove(index) {
            let answer = self.answer(request);
            self.answers.push(answer);
        }
        true
    }

    fn answer(&mut self, request: Request) -> Answer {
        match request {
            Request::Open { room, name } => Answer::Opened {
                room,
                kept: self.rooms.get(&name).map(Shelf::kept),
            },
            Request::Append(record) => self.keep(*record),
            Request::Change(change) => Answer::Changed {
                upto: change.number,
            },
            Request::Read {
                room,
                stored_room,
                log_gen,
                after,
                entries_max,
                bytes_max: _,
            } => {
                self.reads += 1;
                if self.is_damaged {
                    return Answer::ReadFailed {
                        room,
                        log_gen,
                        after,
                        why: String::from("damaged"),
                    };
                }
                let has_holes = self.has_holes;
                let mut page = self.shelf(stored_room).page(after, entries_max as usize);
                if has_holes && page.entries.len() > 2 {
                    page.entries.remove(1);
                }
                Answer::Page {
                    room,
                    log_gen,
                    page,
                }
            }
            Request::Bounds(_)
            | Request::Backup { .. }
            | Request::Export { .. }
            | Request::Audit { .. }
            | Request::AuditExport { .. }
            | Request::Check { .. }
            | Request::Number(_)
            | Request::Propose(_)
            | Request::Nodes(_)
            | Request::Close { .. }
            | Request::Present { .. }
            | Request::Count(_) => {
                panic!("an operator asks, or a log with a shared engine")
            }
            Request::Keys { session } => Answer::Keys {
                session,
                keys: self.keys(session),
            },
            Request::Search {
                tag,
                stored_room,
                words,
                before,
                entries_max,
            } => {
                let shelf = self.shelf(stored_room);
                let below = shelf.entries.range(..before).rev();
                let has = |record: &&Record| match &record.draft.content {
                    Content::Said { text, .. } => text.contains(&words),
                    _ => false,
                };
                let found = below.map(|(_, record)| record).filter(has);
                Answer::Found {
                    tag,
                    entries: found.take(entries_max as usize).map(entry).collect(),
                    more: false,
                }
            }
        }
    }

    fn keep(&mut self, record: Record) -> Answer {
        let number = record.stored_room;
        let numbers_are_new = self.rooms.values().all(|shelf| shelf.number != number);
        let shelf = self.rooms.entry(record.name.clone()).or_insert_with(|| {
            assert!(numbers_are_new, "a number is never used again");
            Shelf {
                number,
                entries: BTreeMap::new(),
                oldest: Seq(1),
                head: Seq(0),
                eras: Vec::new(),
            }
        });
        assert_eq!(shelf.number, number);
        assert_eq!(
            shelf.head.next(),
            Some(record.seq),
            "a number was used twice or left out"
        );
        shelf.head = record.seq;
        if shelf
            .eras
            .last()
            .is_none_or(|era| era.epoch != record.epoch)
        {
            shelf.eras.push(Era {
                epoch: record.epoch,
                first: record.seq,
            });
        }
        let answer = Answer::Stored {
            room: record.room,
            upto: record.seq,
        };
        shelf.entries.insert(record.seq, record);
        answer
    }

    fn shelf(&self, number: StoredRoom) -> &Shelf {
        let mut shelves = self.rooms.values();
        shelves
            .find(|shelf| shelf.number == number)
            .expect("only what is stored is read")
    }

    fn keys(&self, session: u64) -> Vec<KeptKey> {
        let records = self.rooms.values().flat_map(|shelf| shelf.entries.values());
        let keys = records.filter_map(|record| {
            let key = record.key.as_ref().filter(|key| key.session == session)?;
            Some(KeptKey {
                key: key.key.clone(),
                stored_room: record.stored_room,
                seq: record.seq,
                at: record.at,
            })
        });
        keys.collect()
    }

    /// Retention.
    pub(super) fn forget_below(&mut self, name: &str, oldest: Seq) {
        if let Some(shelf) = self.rooms.get_mut(name) {
            shelf.oldest = shelf.oldest.max(oldest).min(Seq(shelf.head.0 + 1));
            shelf.entries = shelf.entries.split_off(&shelf.oldest);
            self.answers.push(Answer::Forgotten {
                room: shelf.number,
                oldest: shelf.oldest,
            });
        }
    }
}

impl Shelf {
    fn kept(&self) -> Kept {
        Kept {
            stored_room: self.number,
            oldest: self.oldest,
            head: self.head,
            at: self
                .entries
                .last_key_value()
                .map_or(Millis(0), |(_, last)| last.at),
            eras: self.eras.clone(),
            salts: Vec::new(),
        }
    }

    fn page(&self, after: Seq, entries_max: usize) -> Page {
        let from = Seq(after.0 + 1);
        let records = self.entries.range(from..).map(|(_, record)| record);
        let entries: Vec<PageEntry> = records.take(entries_max).map(entry).collect();
        Page {
            complete_to: entries.last().map_or(after, |last| last.seq),
            entries,
            oldest: self.oldest,
        }
    }
}

fn entry(record: &Record) -> PageEntry {
    PageEntry {
        seq: record.seq,
        at: record.at,
        draft: record.draft.clone(),
    }
}
