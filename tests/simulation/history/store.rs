//! A simulated store: the server's end of the seam, and the thread behind it, whose steps are taken
//! by the game. Delays, groups commits, fails before or after the rows are on the disk, stalls,
//! reads late, and loses at a crash what it has not committed. Knows requests, not clients.

use super::super::chance::Chance;
use super::disk::Disk;
use parlor::chat::registry::Change;
use parlor::id::{Seq, Tick};
use parlor::log::{Answer, Health, Record, Request, Store, StoredRoom};
use std::cell::Cell;
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

/// What lies between the loop and the thread.
#[derive(Default)]
struct Channel {
    requests: Cell<Vec<Request>>,
    answers: Cell<Vec<Answer>>,
    /// The thread holds the lock, so that requests stay with the loop.
    is_locked: Cell<bool>,
    /// What the loop wanted to hand over to be kept, that included which had to stay.
    offered: Cell<Vec<Offered>>,
}

/// Something to be kept, in the order in which the loop made it.
#[derive(Clone, Debug)]
pub(crate) enum Offered {
    Entry(Record),
    Change(Change),
}

impl Offered {
    fn of(request: &Request) -> Option<Self> {
        match request {
            Request::Append(record) => Some(Self::Entry((**record).clone())),
            Request::Change(change) => Some(Self::Change((**change).clone())),
            _ => None,
        }
    }
}

fn append<T>(cell: &Cell<Vec<T>>, more: &mut Vec<T>) {
    let mut all = cell.take();
    all.append(more);
    cell.set(all);
}

/// The server's end.
pub(crate) struct SimStore {
    channel: Rc<Channel>,
}

impl Store for SimStore {
    fn send(&mut self, requests: &mut Vec<Request>) {
        let mut offered: Vec<Offered> = requests.iter().filter_map(Offered::of).collect();
        append(&self.channel.offered, &mut offered);
        if !self.channel.is_locked.get() {
            append(&self.channel.requests, requests);
        }
    }

    fn receive(&mut self, answers: &mut Vec<Answer>) {
        append_to(answers, &self.channel.answers);
    }
}

fn append_to<T>(all: &mut Vec<T>, cell: &Cell<Vec<T>>) {
    all.append(&mut cell.take());
}

/// How a store misbehaves.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Faults {
    /// Of 100 steps, how many do nothing: the thread does not run.
    pub(crate) idle: u32,
    /// Of 100 commits, how many begin a time in which commits fail.
    pub(crate) failing: u32,
    /// Of 100 commits that fail, how many leave their rows on the disk.
    pub(crate) written: u32,
    /// Of 1000 steps, how many begin a stall of up to five seconds.
    pub(crate) stall: u32,
    /// Of 100 reads, how many wait for the next step.
    pub(crate) late: u32,
    /// Of 100 steps, how many remove old entries of a room.
    pub(crate) retention: u32,
    /// Of 1000 reads, how many fail.
    pub(crate) damaged: u32,
    /// Of 100 turns, in how many the loop cannot hand over anything.
    pub(crate) locked: u32,
    /// The rows of one commit.
    pub(crate) group_max: usize,
}

impl Faults {
    pub(crate) const NONE: Self = Self {
        idle: 0,
        failing: 0,
        written: 0,
        stall: 0,
        late: 0,
        retention: 0,
        damaged: 0,
        locked: 0,
        group_max: usize::MAX,
    };

    /// The store may at times be unable to write, or to answer in time.
    pub(crate) fn may_refuse(&self) -> bool {
        self.failing > 0 || self.stall > 0 || self.idle > 0 || self.damaged > 0
    }

    pub(crate) fn any(chance: &mut Chance) -> Self {
        if chance.percent(15) {
            return Self::NONE;
        }
        let sometimes = |chance: &mut Chance, limit: usize| match chance.percent(40) {
            true => chance.below(limit) as u32,
            false => 0,
        };
        Self {
            idle: chance.below(90) as u32,
            failing: sometimes(chance, 20),
            written: chance.below(100) as u32,
            stall: sometimes(chance, 20),
            late: chance.below(60) as u32,
            retention: sometimes(chance, 4),
            damaged: sometimes(chance, 30),
            locked: sometimes(chance, 60),
            group_max: [1, 3, 1000][chance.below(3)],
        }
    }
}

/// The thread of the store, and its disk.
pub(crate) struct Engine {
    pub(crate) disk: Disk,
    channel: Rc<Channel>,
    faults: Faults,
    /// Entries that were handed over and are not known to be committed.
    waiting: VecDeque<Record>,
    /// Changes of the registry, in order.
    changes: VecDeque<Change>,
    reads: VecDeque<Request>,
    /// The length of the commit that failed and is tried again: its rows and no others.
    failed: Option<usize>,
    failing_until: Option<Tick>,
    stalled_until: Tick,
    /// The health that was reported last is [`Health::Failing`].
    is_ill: bool,
    pub(crate) counts: Counts,
}

/// How often it did what.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts {
    pub(crate) commits: u64,
    pub(crate) failed: u64,
    pub(crate) pages: u64,
    pub(crate) lost: u64,
}

impl Engine {
    pub(crate) fn new(disk: Disk, faults: Faults) -> Self {
        Self {
            disk,
            channel: Rc::default(),
            faults,
            waiting: VecDeque::new(),
            changes: VecDeque::new(),
            reads: VecDeque::new(),
            failed: None,
            failing_until: None,
            stalled_until: Tick(0),
            is_ill: false,
            counts: Counts::default(),
        }
    }

    /// The server's end, for a new server.
    pub(crate) fn store(&self) -> SimStore {
        let channel = self.channel.clone();
        SimStore { channel }
    }

    pub(crate) fn misbehaves(&mut self, faults: Faults) {
        self.faults = faults;
    }

    /// Ends all faults.
    pub(crate) fn calms_down(&mut self) {
        self.faults = Faults::NONE;
        self.failing_until = None;
        self.stalled_until = Tick(0);
    }

    /// Commits fail at the moment.
    pub(crate) fn is_failing(&self, now: Tick) -> bool {
        self.failing_until.is_some_and(|until| now < until)
    }

    pub(crate) fn fails_until(&mut self, until: Tick) {
        self.failing_until = Some(until);
    }

    /// Takes over what the server has handed over since the last call. Returns the entries that it
    /// has numbered, in order; some may come again.
    pub(crate) fn takes_over(&mut self) -> Vec<Record> {
        let offered = self.takes_all_over().into_iter();
        let records = offered.filter_map(|offered| match offered {
            Offered::Entry(record) => Some(record),
            Offered::Change(_) => None,
        });
        records.collect()
    }

    /// The same, with the changes of the registry among the entries.
    pub(crate) fn takes_all_over(&mut self) -> Vec<Offered> {
        for request in self.channel.requests.take() {
            match request {
                Request::Append(record) => self.waiting.push_back(*record),
                Request::Change(change) => self.changes.push_back(*change),
                read => self.reads.push_back(read),
            }
        }
        self.channel.offered.take()
    }

    /// The thread runs for a while. Returns whether it has answered anything.
    pub(crate) fn steps(&mut self, now: Tick, chance: &mut Chance) -> bool {
        let is_locked = chance.percent(self.faults.locked);
        self.channel.is_locked.set(is_locked);
        if now < self.stalled_until || chance.percent(self.faults.idle) {
            return false;
        }
        if chance.per_mille(self.faults.stall) {
            self.stalled_until = now + chance.below(50) as u32;
        }
        let mut answers = Vec::new();
        self.commits(now, &mut answers, chance);
        self.reads(&mut answers, chance);
        if chance.percent(self.faults.retention) {
            self.forgets(&mut answers, chance);
        }
        let has_answered = !answers.is_empty();
        append(&self.channel.answers, &mut answers);
        has_answered
    }

    fn commits(&mut self, now: Tick, answers: &mut Vec<Answer>, chance: &mut Chance) {
        if self.waiting.is_empty() && self.changes.is_empty() {
            return;
        }
        let group = self.waiting.len().min(self.faults.group_max);
        let count = *self.failed.get_or_insert(group);
        let records: Vec<Record> = self.waiting.iter().take(count).cloned().collect();
        if self.failing_until.is_none() && chance.percent(self.faults.failing) {
            // Sometimes for longer than a message may wait for its number.
            let ticks = [60, 250][chance.below(2)];
            self.failing_until = Some(now + chance.below(ticks) as u32);
        }
        if self.failing_until.is_some_and(|until| now < until) {
            // Often it is the report that fails, and not the commit.
            if chance.percent(self.faults.written) {
                self.disk.commit(&records);
                self.disk.change(&self.changes);
            }
            self.counts.failed += 1;
            if !std::mem::replace(&mut self.is_ill, true) {
                let why = String::from("the disk is full");
                answers.push(Answer::Health(Health::Failing { why }));
            }
            return;
        }
        self.failing_until = None;
        self.failed = None;
        self.disk.commit(&records);
        self.counts.commits += 1;
        self.waiting.drain(..count);
        self.disk.change(&self.changes);
        if let Some(newest) = self.changes.back() {
            let upto = newest.number;
            answers.push(Answer::Changed { upto });
            self.changes.clear();
        }
        if std::mem::take(&mut self.is_ill) {
            answers.push(Answer::Health(Health::Good));
        }
        let mut newest = BTreeMap::new();
        for record in &records {
            newest.insert(record.stored_room, (record.room, record.seq));
        }
        let stored = newest.into_values();
        answers.extend(stored.map(|(room, upto)| Answer::Stored { room, upto }));
    }

    fn reads(&mut self, answers: &mut Vec<Answer>, chance: &mut Chance) {
        while !self.reads.is_empty() {
            if chance.percent(self.faults.late) {
                return;
            }
            let is_damaged = chance.per_mille(self.faults.damaged);
            let Some(request) = self.reads.pop_front() else {
                return;
            };
            answers.push(self.answer(&request, is_damaged));
        }
    }

    fn answer(&mut self, request: &Request, is_damaged: bool) -> Answer {
        let why = || String::from("the database is damaged");
        match request {
            Request::Append(_)
            | Request::Change(_)
            | Request::Bounds(_)
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
            | Request::Count(_) => unreachable!("no client asks for {request:?}"),
            Request::Open { room, .. } if is_damaged => Answer::OpenFailed {
                room: *room,
                why: why(),
            },
            Request::Open { room, name } => Answer::Opened {
                room: *room,
                kept: self.disk.kept(name),
            },
            Request::Keys { session } if is_damaged => Answer::KeysFailed {
                session: *session,
                why: why(),
            },
            Request::Read {
                room,
                log_gen,
                after,
                ..
            } if is_damaged => Answer::ReadFailed {
                room: *room,
                log_gen: *log_gen,
                after: *after,
                why: why(),
            },
            Request::Read {
                room,
                stored_room,
                log_gen,
                after,
                entries_max,
                bytes_max,
            } => {
                self.counts.pages += 1;
                let page = self
                    .disk
                    .page(*stored_room, *after, *entries_max, *bytes_max);
                Answer::Page {
                    room: *room,
                    log_gen: *log_gen,
                    page,
                }
            }
            Request::Keys { session } => Answer::Keys {
                session: *session,
                keys: self.disk.keys(*session),
            },
            Request::Search { tag, .. } if is_damaged => Answer::SearchFailed {
                tag: *tag,
                why: why(),
            },
            Request::Search {
                tag,
                stored_room,
                words,
                before,
                entries_max,
            } => {
                let found = self.disk.found(*stored_room, words, *before, *entries_max);
                Answer::Found {
                    tag: *tag,
                    entries: found.0,
                    more: found.1,
                }
            }
        }
    }

    /// Retention removes some of the oldest entries of a room.
    fn forgets(&mut self, answers: &mut Vec<Answer>, chance: &mut Chance) {
        let rooms: Vec<(StoredRoom, String)> = self
            .disk
            .rooms()
            .map(|(id, name)| (id, name.to_owned()))
            .collect();
        if rooms.is_empty() {
            return;
        }
        let (room, name) = &rooms[chance.below(rooms.len())];
        let kept = self.disk.kept(name).expect("the room is stored");
        let count = chance.below((kept.head.0 + 2 - kept.oldest.0) as usize) as u32;
        if count > 0 {
            let oldest = self.disk.forgets(*room, Seq(kept.oldest.0 + count));
            answers.push(Answer::Forgotten {
                room: *room,
                oldest,
            });
        }
    }

    /// The process is killed, or the power fails. What is not committed is lost, and of a commit
    /// that is under way all rows or none are there.
    pub(crate) fn crashes(&mut self, chance: &mut Chance) {
        self.takes_over();
        if chance.percent(50) {
            let count = self.failed.unwrap_or(self.waiting.len());
            let records: Vec<Record> = self.waiting.drain(..count).collect();
            self.disk.commit(&records);
            self.disk.change(&self.changes);
        }
        self.ends();
    }

    /// The server stops in good order: it waits for the thread, which commits what it can.
    pub(crate) fn stops(&mut self) {
        self.takes_over();
        if self.failing_until.is_none() {
            let records: Vec<Record> = self.waiting.drain(..).collect();
            self.disk.commit(&records);
            self.disk.change(&self.changes);
        }
        self.ends();
    }

    fn ends(&mut self) {
        self.counts.lost += self.waiting.len() as u64;
        self.channel = Rc::default();
        self.waiting.clear();
        self.changes.clear();
        self.reads.clear();
        self.failed = None;
        self.failing_until = None;
        self.stalled_until = Tick(0);
        self.is_ill = false;
    }

    /// Nothing is under way, and what was answered is fetched.
    pub(crate) fn is_idle(&self) -> bool {
        let answers = self.channel.answers.take();
        let has_answers = !answers.is_empty();
        self.channel.answers.set(answers);
        !has_answers && self.waiting.is_empty() && self.changes.is_empty() && self.reads.is_empty()
    }
}
