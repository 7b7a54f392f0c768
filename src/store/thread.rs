//! The store's thread: commits what waits, then reads for at most 5 ms, then tidies up a little,
//! again. Owns the order of these; what each does to the tables is in the files beside it.

use super::append::{self, Failed, Heads};
use super::audit;
use super::copy::Copying;
use super::error::{Fault, FaultKind};
use super::export;
use super::handle::{Shared, Stop, Wait};
use super::place::file_in;
use super::read::{self, Wanted};
use super::remnants::Remnants;
use super::retain::{Retention, Trimmed};
use super::schema::pragma;
use super::search::{Search, Step};
use super::{Clocks, Settings};
use crate::chat::Content;
use crate::chat::registry::Change;
use crate::id::RoomId;
use crate::log::{Answer, Health, Record, Request, StoredRoom};
use rusqlite::Connection;
use std::collections::{HashSet, VecDeque};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// Rows of one transaction. More wait for the next.
const BATCH_MAX: usize = 8192;
/// From one commit to the next at least: entries that come meanwhile share it. A commit costs some
/// 0.3 ms of processor time, nearly all of it the kernel's for the disk, whether it has one entry or
/// fifty: at most 0.8 % of a core. An entry that comes after a quiet time is committed at once.
const COMMIT_GAP: Duration = Duration::from_millis(40);
/// The same after a commit that had as many entries: at hundreds of messages a second, the fewer
/// commits cost the members less than the longer wait costs the senders.
const BUSY_COMMIT_GAP: Duration = Duration::from_millis(100);
const BUSY_ENTRIES: usize = 16;
/// How long reads go on while appends may wait.
const READS_MAX: Duration = Duration::from_millis(5);
/// Searches that are under way at once; more are refused.
const SEARCHES_MAX: usize = 16;
/// A checkpoint is due when the write-ahead log has so many pages. A short one matters: if it is
/// damaged, SQLite discards it without a report.
const FRAMES_MAX: u32 = 1000;
/// Without an append for so long, the write-ahead log is emptied.
const IDLE: Duration = Duration::from_secs(1);
/// From an edit or a deletion until what was there before is gone from the write-ahead log. Others
/// that follow within it are served by the same checkpoint, which costs two fsyncs.
const ERASE: Duration = Duration::from_secs(1);
/// After a search for remnants the next one waits this many times as long as it took: deletions all
/// the time cost a tenth of the thread.
const ERASE_PAUSE: u32 = 9;
/// From a failed commit to the next attempt: twice as long each time, within these.
const RETRY_MIN: Duration = Duration::from_millis(100);
const RETRY_MAX: Duration = Duration::from_secs(5);
/// From a failed checkpoint or clean-up to the next attempt.
const TIDY_AGAIN: Duration = Duration::from_secs(5);
/// How often the free space of the disk is looked at.
const DISK_LOOK: Duration = Duration::from_secs(60);

/// Everything the thread has.
pub(super) struct Thread<'c> {
    pub(super) db: &'c Connection,
    pub(super) shared: Arc<Shared>,
    pub(super) settings: Settings,
    pub(super) clocks: Clocks,
    /// Pages of the write-ahead log, counted by SQLite's hook.
    frames: Arc<AtomicU32>,
    heads: Heads,
    requests: Vec<Request>,
    /// In the order in which they were numbered in each room.
    #[expect(clippy::vec_box, reason = "they come boxed, and sorting moves them")]
    waiting: Vec<Box<Record>>,
    /// In the order in which they were made. The log bounds neither; the chat refuses while the
    /// store fails.
    #[expect(clippy::vec_box, reason = "they come boxed, and go as they came")]
    changes: Vec<Box<Change>>,
    reads: VecDeque<Request>,
    searches: VecDeque<Search>,
    copies: VecDeque<Copying>,
    pub(super) answers: Vec<Answer>,
    /// Rooms of which nothing can be stored until the next start.
    failed_rooms: HashSet<StoredRoom>,
    failing: Option<Failing>,
    retention: Retention,
    /// When the last commit began.
    appended_at: Option<Instant>,
    /// From then to the next.
    gap: Duration,
    tidy_at: Instant,
    /// Something was edited or deleted: when the write-ahead log, which has what was there before,
    /// is emptied.
    erase_at: Option<Instant>,
    erasure: Erasure,
    disk_at: Instant,
    is_disk_low: bool,
    /// A copy is under way, so no turn waits.
    pub(super) is_copying: bool,
    /// For the copy that [`Request::Check`] makes.
    pub(super) checked: PathBuf,
}

/// The file is searched for remnants of what was deleted.
#[derive(Debug, Default)]
struct Erasure {
    remnants: Option<Remnants>,
    /// Something was deleted since the last search began.
    is_wanted: bool,
    /// When the search that is under way began.
    began: Option<Instant>,
    /// The next one does not begin before this.
    not_before: Option<Instant>,
}

impl Erasure {
    /// A step is due; `None`: there is nothing to do.
    fn due(&self, now: Instant) -> Option<Instant> {
        match self.began {
            Some(_) => Some(now),
            None => self.is_wanted.then(|| self.not_before.unwrap_or(now)),
        }
    }
}

/// Commits fail.
#[derive(Debug)]
struct Failing {
    kind: FaultKind,
    retry_at: Instant,
    wait: Duration,
}

impl<'c> Thread<'c> {
    pub(super) fn new(
        db: &'c Connection,
        shared: Arc<Shared>,
        settings: Settings,
        clocks: Clocks,
        frames: Arc<AtomicU32>,
        checked: PathBuf,
    ) -> Self {
        let now = (clocks.moment)();
        Self {
            db,
            shared,
            retention: Retention::new(&settings),
            settings,
            clocks,
            frames,
            heads: Heads::default(),
            requests: Vec::new(),
            waiting: Vec::new(),
            changes: Vec::new(),
            reads: VecDeque::new(),
            searches: VecDeque::new(),
            copies: VecDeque::new(),
            answers: Vec::new(),
            failed_rooms: HashSet::new(),
            failing: None,
            appended_at: None,
            gap: COMMIT_GAP,
            tidy_at: now,
            // The last start may have ended before it did so.
            erase_at: Some(now),
            erasure: Erasure {
                is_wanted: true,
                ..Erasure::default()
            },
            disk_at: now,
            is_disk_low: false,
            is_copying: false,
            checked,
        }
    }

    /// Until the handle is dropped.
    pub(super) fn run(mut self) {
        while self.turn() {
            while let Some(copying) = self.copies.pop_front() {
                self.copy(copying);
            }
        }
        if self.has_unstored() {
            ::log::error!(
                "{} messages and {} changes could not be stored; none of them was acknowledged",
                self.waiting.len(),
                self.changes.len()
            );
        }
        if let Err(error) = pragma(self.db, "wal_checkpoint(TRUNCATE)") {
            ::log::warn!("the store's last checkpoint failed: {error}");
        }
    }

    /// One round. False: the thread is to end.
    pub(super) fn turn(&mut self) -> bool {
        let wait = self.until_next();
        let stop = self.shared.take(&mut self.requests, wait);
        self.sort();
        let stored = self.commit(stop);
        self.shared.answer(&mut self.answers);
        self.read();
        self.shared.answer(&mut self.answers);
        match stop {
            Stop::No => {
                self.tidy(stored);
                self.shared.answer(&mut self.answers);
                true
            }
            Stop::WhenStored if !self.has_unstored() => false,
            Stop::WhenStored => {
                self.shared.pause(RETRY_MIN);
                true
            }
            Stop::AtOnce => false,
        }
    }

    /// How long nothing is due.
    fn until_next(&self) -> Wait {
        if !self.reads.is_empty() || !self.searches.is_empty() || self.is_copying {
            return Wait::Not;
        }
        let now = (self.clocks.moment)();
        let until = |due: Instant| due.saturating_duration_since(now);
        if self.waits_for_company() {
            return Wait::ForCompany(until(self.commit_due(now)));
        }
        let mut due = self.disk_at;
        if let Some(failing) = &self.failing {
            due = due.min(failing.retry_at);
        } else {
            due = due.min(self.retention.due(now).max(self.tidy_at));
            let erasure = self.erasure.due(now).filter(|_| self.erase_at.is_none());
            for erase_at in self.erase_at.into_iter().chain(erasure) {
                due = due.min(erase_at.max(self.tidy_at));
            }
            if self.frames.load(Ordering::Relaxed) > 0 {
                let idle = self.appended_at.map_or(now, |began| began + IDLE);
                due = due.min(idle.max(self.tidy_at));
            }
        }
        Wait::AtMost(until(due))
    }

    /// Entries wait for the next commit, to share it with others.
    pub(super) fn waits_for_company(&self) -> bool {
        self.has_unstored() && self.failing.is_none()
    }

    fn has_unstored(&self) -> bool {
        !self.waiting.is_empty() || !self.changes.is_empty()
    }

    /// When the next commit may begin.
    fn commit_due(&self, now: Instant) -> Instant {
        match &self.failing {
            Some(failing) => failing.retry_at,
            None => self.appended_at.map_or(now, |began| began + self.gap),
        }
    }

    fn sort(&mut self) {
        for request in self.requests.drain(..) {
            match request {
                Request::Append(record) => {
                    if self.failed_rooms.contains(&record.stored_room) {
                        continue;
                    }
                    self.waiting.push(record);
                }
                Request::Change(change) => self.changes.push(change),
                Request::Search {
                    tag,
                    stored_room,
                    words,
                    before,
                    entries_max,
                } => {
                    if self.searches.len() < SEARCHES_MAX {
                        let search = Search::new(tag, stored_room, &words, before, entries_max);
                        self.searches.push_back(search);
                    } else {
                        self.answers.push(Answer::SearchFailed {
                            tag,
                            why: String::from("too many searches at once"),
                        });
                    }
                }
                Request::Bounds(bounds) => {
                    self.settings.low_disk_bytes = bounds.low_disk_bytes;
                    self.disk_at = (self.clocks.moment)();
                    self.retention.set(&bounds);
                }
                Request::Backup { tag, path } => {
                    self.copies.push_back(Copying::Backup { tag, path });
                }
                Request::Check { tag } => self.copies.push_back(Copying::Check { tag }),
                Request::Open { .. }
                | Request::Read { .. }
                | Request::Keys { .. }
                | Request::Export { .. }
                | Request::Audit { .. }
                | Request::AuditExport { .. } => self.reads.push_back(request),
                Request::Number(_)
                | Request::Propose(_)
                | Request::Close { .. }
                | Request::Nodes(_)
                | Request::Present { .. }
                | Request::Count(_) => {
                    unreachable!("asked of a shared engine alone: {request:?}")
                }
            }
        }
    }

    /// Stores what waits, if it is time. Returns how many rows were stored.
    fn commit(&mut self, stop: Stop) -> usize {
        let now = (self.clocks.moment)();
        let is_early = stop == Stop::No && now < self.commit_due(now);
        if !self.has_unstored() || is_early {
            return 0;
        }
        self.appended_at = Some(now);
        let mut later = self.waiting.split_off(self.waiting.len().min(BATCH_MAX));
        loop {
            match append::append(self.db, &mut self.heads, &mut self.waiting, &self.changes) {
                Ok(stored) => {
                    let took = (self.clocks.moment)().saturating_duration_since(now);
                    self.shared.counters.committed(took);
                    let count = self.waiting.len() + self.changes.len();
                    self.gap = if count < BUSY_ENTRIES {
                        COMMIT_GAP
                    } else {
                        BUSY_COMMIT_GAP
                    };
                    for room in stored {
                        self.retention.appended(room.stored_room, room.head);
                        self.answers.push(Answer::Stored {
                            room: room.room,
                            upto: crate::id::Seq(room.head.head),
                        });
                    }
                    if let Some(newest) = self.changes.last() {
                        let upto = newest.number;
                        self.answers.push(Answer::Changed { upto });
                        self.retention.changed(&self.changes);
                        self.changes.clear();
                    }
                    self.works_again();
                    self.note_amendments(now);
                    self.waiting = later;
                    return count;
                }
                Err(Failed {
                    fault,
                    room: Some(room),
                }) => self.give_up(room, &fault),
                Err(Failed { fault, room: None }) => {
                    self.waiting.append(&mut later);
                    self.failed(fault, now);
                    return 0;
                }
            }
            if self.waiting.is_empty() && self.changes.is_empty() {
                self.waiting.append(&mut later);
                if self.waiting.is_empty() {
                    // Nothing is left that would show it. If it is not so, the next message does.
                    self.works_again();
                }
                return 0;
            }
        }
    }

    /// What waited is stored: searches show the present form of what it has changed, and what was
    /// there before is erased soon.
    fn note_amendments(&mut self, now: Instant) {
        for record in &self.waiting {
            if record.draft.content.amends().is_none() {
                continue;
            }
            self.erase_at.get_or_insert(now + ERASE);
            self.erasure.is_wanted |= matches!(record.draft.content, Content::Deleted { .. });
            for search in &mut self.searches {
                search.amend(record);
            }
        }
    }

    /// The other rooms go on without this one.
    fn give_up(&mut self, room: StoredRoom, fault: &Fault) {
        let mut named: Option<RoomId> = None;
        let count = self.waiting.len();
        self.waiting.retain(|record| {
            let is_of_it = record.stored_room == room;
            if is_of_it {
                named = Some(record.room);
            }
            !is_of_it
        });
        self.failed_rooms.insert(room);
        ::log::error!(
            "a room of the store has failed until the next start, with {} entries unstored: {fault}",
            count - self.waiting.len()
        );
        if let Some(room) = named {
            self.answers.push(Answer::RoomFailed {
                room,
                why: fault.to_string(),
            });
        }
    }

    fn works_again(&mut self) {
        if self.failing.take().is_some() {
            ::log::warn!("the store works again");
            self.answers.push(Answer::Health(Health::Good));
        }
    }

    fn failed(&mut self, fault: Fault, now: Instant) {
        self.shared.counters.failed();
        let wait = match &self.failing {
            Some(failing) => (failing.wait * 2).min(RETRY_MAX),
            None => RETRY_MIN,
        };
        if self
            .failing
            .as_ref()
            .is_none_or(|failing| failing.kind != fault.kind)
        {
            ::log::error!("the store cannot write: {fault}");
            self.answers.push(Answer::Health(Health::Failing {
                why: fault.why.clone(),
            }));
        }
        self.failing = Some(Failing {
            kind: fault.kind,
            retry_at: now + wait,
            wait,
        });
    }

    /// Serves reads, oldest first, then one step of a search, until the time is up.
    fn read(&mut self) {
        if self.reads.is_empty() && self.searches.is_empty() {
            return;
        }
        let end = (self.clocks.moment)() + READS_MAX;
        while let Some(request) = self.reads.pop_front() {
            let answer = self.answer_to(request);
            self.answers.extend(answer);
            if (self.clocks.moment)() >= end {
                return;
            }
        }
        while let Some(mut search) = self.searches.pop_front() {
            match search.step(self.db) {
                Ok(Step::Goes) => self.searches.push_back(search),
                Ok(Step::Done { more }) => self.answers.push(Answer::Found {
                    tag: search.tag,
                    entries: search.into_found(),
                    more,
                }),
                Err(fault) => self.answers.push(Answer::SearchFailed {
                    tag: search.tag,
                    why: fault.why,
                }),
            }
            if (self.clocks.moment)() >= end {
                return;
            }
        }
    }

    /// The answer to a request that only reads.
    fn answer_to(&mut self, request: Request) -> Option<Answer> {
        let answer = match request {
            Request::Open { room, name } => match read::open(self.db, &mut self.heads, &name) {
                Ok(kept) => Answer::Opened { room, kept },
                Err(fault) => Answer::OpenFailed {
                    room,
                    why: fault.why,
                },
            },
            Request::Read {
                room,
                stored_room,
                log_gen,
                after,
                entries_max,
                bytes_max,
            } => {
                let wanted = Wanted {
                    room: stored_room,
                    after,
                    entries_max,
                    bytes_max,
                };
                match read::page(self.db, &mut self.heads, wanted) {
                    Ok(page) => Answer::Page {
                        room,
                        log_gen,
                        page,
                    },
                    Err(fault) => Answer::ReadFailed {
                        room,
                        log_gen,
                        after,
                        why: fault.why,
                    },
                }
            }
            Request::Keys { session } => match read::keys(self.db, session, (self.clocks.wall)()) {
                Ok(keys) => Answer::Keys { session, keys },
                Err(fault) => Answer::KeysFailed {
                    session,
                    why: fault.why,
                },
            },
            Request::Export { tag, name, after } => {
                match export::part(self.db, &mut self.heads, &name, after) {
                    Ok(part) => Answer::Exported {
                        tag,
                        lines: part.lines,
                        next: part.next,
                    },
                    Err(why) => Answer::TaskFailed { tag, why },
                }
            }
            Request::Audit {
                tag,
                room,
                before,
                limit,
            } => match audit::read(self.db, room.as_deref(), before, limit) {
                Ok((rows, more)) => Answer::Audited { tag, rows, more },
                Err(fault) => Answer::TaskFailed {
                    tag,
                    why: fault.why,
                },
            },
            Request::AuditExport { tag, room, before } => {
                match audit::part(self.db, room.as_deref(), before) {
                    Ok((lines, next)) => Answer::AuditExported { tag, lines, next },
                    Err(fault) => Answer::TaskFailed {
                        tag,
                        why: fault.why,
                    },
                }
            }
            Request::Append(_)
            | Request::Change(_)
            | Request::Search { .. }
            | Request::Bounds(_)
            | Request::Backup { .. }
            | Request::Check { .. }
            | Request::Number(_)
            | Request::Propose(_)
            | Request::Close { .. }
            | Request::Nodes(_)
            | Request::Present { .. }
            | Request::Count(_) => return None,
        };
        Some(answer)
    }

    /// What can wait, in small steps. `stored`: rows that this turn has stored.
    fn tidy(&mut self, stored: usize) {
        let now = (self.clocks.moment)();
        if now >= self.disk_at {
            self.disk_at = now + DISK_LOOK;
            self.look_at_disk();
        }
        if self.failing.is_some() || now < self.tidy_at {
            return;
        }
        if let Err(fault) = self.try_to_tidy(stored, now) {
            ::log::warn!("the store cannot be tidied: {fault}");
            self.heads.forget();
            self.tidy_at = now + TIDY_AGAIN;
        }
    }

    fn try_to_tidy(&mut self, stored: usize, now: Instant) -> Result<(), Fault> {
        if self.erase_at.is_some_and(|at| at <= now) {
            self.empty_write_ahead_log()?;
            self.erase_at = None;
        }
        if self.erase_at.is_none() && self.erasure.due(now).is_some_and(|due| due <= now) {
            self.erase_remnants(now)?;
        }
        let is_idle = self.waiting.is_empty() && stored == 0;
        let wall = (self.clocks.wall)();
        let steps = self.retention.steps(stored, now);
        for _ in 0..steps {
            let step = self
                .retention
                .step(self.db, &mut self.heads, wall, now, is_idle)?;
            match step {
                Some(Trimmed { room, oldest }) => {
                    self.answers.push(Answer::Forgotten { room, oldest });
                }
                None => break,
            }
        }
        let frames = self.frames.load(Ordering::Relaxed);
        if frames >= FRAMES_MAX {
            pragma(self.db, "wal_checkpoint(PASSIVE)")?;
            self.frames.store(0, Ordering::Relaxed);
        } else if frames > 0
            && is_idle
            && !self.retention.has_work()
            && self.appended_at.is_none_or(|began| now >= began + IDLE)
        {
            pragma(self.db, "wal_checkpoint(TRUNCATE)")?;
            self.frames.store(0, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Searches some pages of the file.
    fn erase_remnants(&mut self, now: Instant) -> Result<(), Fault> {
        // The file must have the present pages.
        self.empty_write_ahead_log()?;
        let remnants = match &mut self.erasure.remnants {
            Some(remnants) => remnants,
            none => none.insert(Remnants::new(self.db, &file_in(&self.settings.directory))?),
        };
        if self.erasure.began.is_none() {
            self.erasure.began = Some(now);
            self.erasure.is_wanted = false;
            remnants.begin();
        }
        if remnants.step(self.db)? {
            return Ok(());
        }
        self.empty_write_ahead_log()?;
        let end = (self.clocks.moment)();
        let took = self.erasure.began.map(|began| end - began);
        self.erasure.began = None;
        self.erasure.not_before = took.map(|took| end + took * ERASE_PAUSE);
        Ok(())
    }

    /// # Errors
    /// Also while something keeps it from being emptied.
    fn empty_write_ahead_log(&self) -> Result<(), Fault> {
        let is_busy: bool = self
            .db
            .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))?;
        if is_busy {
            return Err(Fault {
                kind: FaultKind::Other,
                why: String::from("the write-ahead log cannot be emptied at the moment"),
            });
        }
        self.frames.store(0, Ordering::Relaxed);
        Ok(())
    }

    /// Warns once, and again after there was enough in between.
    fn look_at_disk(&mut self) {
        let Ok(disk) = rustix::fs::statvfs(&self.settings.directory) else {
            return;
        };
        let free = disk.f_bavail.saturating_mul(disk.f_frsize);
        self.shared.counters.has_free(free);
        let is_low = free < self.settings.low_disk_bytes;
        if is_low && !self.is_disk_low {
            ::log::warn!(
                "only {} MiB are free on the disk of the store {}",
                free >> 20,
                self.settings.directory.display()
            );
        }
        self.is_disk_low = is_low;
    }
}
