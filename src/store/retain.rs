//! What is removed, and when: entries by age, by count and by the size of the file, keys, and rows of
//! the audit log. In
//! steps so small that an acknowledgement can wait for one.

use super::Settings;
use super::append::{Head, Heads, head};
use super::audit;
use super::error::Fault;
use super::rows;
use super::schema::{millis, pragma};
use crate::chat::Pair;
use crate::chat::registry::{Change, Fact, FactKey};
use crate::id::{Millis, Seq};
use crate::log::{Bounds, DEDUPE_MS, StoredRoom};
use rusqlite::{Connection, OptionalExtension, params};
use smol_str::SmolStr;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// How many entries a room may have above what is to be kept.
pub const SLACK: u32 = 100;
/// Rows that one step removes: 0.07 ms.
const STEP_ROWS: u32 = 100;
/// Rooms that one step looks at.
const STEP_ROOMS: u32 = 64;
/// Pages that one step gives back to the file system.
const STEP_PAGES: u32 = 16;
/// Free pages that stay in the file, to be used again.
const FREE_PAGES_MAX: u32 = 256;
/// How often all rooms are looked at.
const SWEEP: Duration = Duration::from_secs(600);
/// Keys of all sessions that are kept, some 20 MB.
const KEYS_MAX: u32 = 262_144;
/// Rows that are stored between two looks at the size of the file.
const SIZE_LOOK_ROWS: usize = 1000;
const DAY_MS: u64 = 24 * 60 * 60 * 1000;

/// Entries of a room were removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Trimmed {
    pub(super) room: StoredRoom,
    /// The oldest that is left.
    pub(super) oldest: Seq,
}

#[derive(Debug)]
pub(super) struct Retention {
    keep_days: u32,
    keep_messages: u32,
    max_bytes: u64,
    /// Rooms that have too many or too old entries.
    rooms: VecDeque<StoredRoom>,
    /// Names of rooms whose entries are kept for another time since: some may be too old.
    named: VecDeque<SmolStr>,
    /// Under way, and after which room it goes on.
    sweep: Option<Sweep>,
    /// When the next sweep begins; `None`: at once.
    sweep_at: Option<Instant>,
    /// The file is too large: entries of this room below this one go.
    evict: Option<(StoredRoom, u32)>,
    is_too_large: bool,
    stored: usize,
    are_keys_due: bool,
    is_audit_due: bool,
    audit_days: u32,
    may_have_free_pages: bool,
}

#[derive(Debug)]
struct Sweep {
    after: StoredRoom,
    /// The room with the most entries so far.
    largest: Option<(StoredRoom, Head)>,
}

impl Retention {
    pub(super) fn new(settings: &Settings) -> Self {
        Self {
            keep_days: settings.keep_days,
            keep_messages: settings.keep_messages,
            max_bytes: settings.max_bytes,
            rooms: VecDeque::new(),
            named: VecDeque::new(),
            sweep: None,
            sweep_at: None,
            evict: None,
            is_too_large: false,
            stored: 0,
            are_keys_due: true,
            is_audit_due: true,
            audit_days: settings.audit_days,
            may_have_free_pages: true,
        }
    }

    /// So much is kept from here on: all rooms are looked at soon.
    pub(super) fn set(&mut self, bounds: &Bounds) {
        self.keep_days = bounds.keep_days;
        self.keep_messages = bounds.keep_messages;
        self.max_bytes = bounds.max_bytes;
        self.audit_days = bounds.audit_days;
        self.is_audit_due = true;
        self.begin_sweep();
    }

    /// A room has grown.
    pub(super) fn appended(&mut self, room: StoredRoom, head: Head) {
        if self.has_too_many(head) && !self.rooms.contains(&room) {
            self.rooms.push_back(room);
        }
    }

    /// Conversations were forgotten, or rules of rooms have changed, and perhaps for how long their entries are kept.
    pub(super) fn changed(&mut self, changes: &[Box<Change>]) {
        for fact in changes.iter().flat_map(|change| &change.puts) {
            if let Fact::Rules { room, rules } = fact
                && rules.keep_days.is_some()
                && !self.named.contains(room)
            {
                self.named.push_back(room.clone());
            }
        }
        let mut forgets = changes.iter().flat_map(|change| &change.forgets);
        if forgets.any(|key| matches!(key, FactKey::Conversation(_))) {
            // What was said in it goes.
            self.begin_sweep();
        }
    }

    fn has_too_many(&self, head: Head) -> bool {
        self.keep_messages > 0 && head.count() >= self.keep_messages.saturating_add(SLACK)
    }

    /// When [`Retention::step`] has something to do.
    pub(super) fn due(&self, now: Instant) -> Instant {
        if self.has_work() {
            now
        } else {
            self.sweep_at.unwrap_or(now)
        }
    }

    /// More steps are to be done at once.
    pub(super) fn has_work(&self) -> bool {
        !self.rooms.is_empty()
            || !self.named.is_empty()
            || self.sweep.is_some()
            || self.evict.is_some()
            || self.are_keys_due
            || self.is_audit_due
            || self.may_have_free_pages
    }

    /// How many steps to do in a turn that has stored so many rows: enough to keep up with it.
    pub(super) fn steps(&mut self, stored: usize, now: Instant) -> usize {
        self.stored += stored;
        if self.has_work() || self.stored >= SIZE_LOOK_ROWS || self.due(now) <= now {
            1 + 2 * stored / STEP_ROWS as usize
        } else {
            0
        }
    }

    /// One step; what it removed of a room, if it did. `None` also: there is nothing more to do.
    pub(super) fn step(
        &mut self,
        db: &Connection,
        heads: &mut Heads,
        wall: Millis,
        now: Instant,
        is_idle: bool,
    ) -> Result<Option<Trimmed>, Fault> {
        if self.stored >= SIZE_LOOK_ROWS {
            self.stored = 0;
            self.look_at_size(db)?;
        }
        if let Some(trimmed) = self.evict(db, heads)? {
            return Ok(Some(trimmed));
        }
        if let Some(&room) = self.rooms.front() {
            self.may_have_free_pages = true;
            let trimmed = self.trim(db, heads, room, wall);
            // A room that cannot be read does not keep the others.
            if !matches!(trimmed, Ok(Some(_))) {
                self.rooms.pop_front();
            }
            return trimmed;
        }
        if let Some(name) = self.named.pop_front() {
            let number = db
                .prepare_cached("SELECT id FROM rooms WHERE name = ?")?
                .query_row([name.as_str()], |row| row.get(0).map(StoredRoom))
                .optional()?;
            self.rooms.extend(number);
            return Ok(None);
        }
        if self.are_keys_due {
            self.are_keys_due = self.remove_keys(db, wall)?;
            return Ok(None);
        }
        if self.is_audit_due {
            self.is_audit_due = audit::remove_old(db, self.audit_days, wall)?;
            return Ok(None);
        }
        if self.sweep.is_none() && self.sweep_at.is_none_or(|at| at <= now) {
            self.sweep_at = Some(now + SWEEP);
            self.are_keys_due = true;
            self.is_audit_due = true;
            self.look_at_size(db)?;
            self.begin_sweep();
        }
        if self.sweep.is_some() {
            self.sweep(db, wall)?;
        } else if is_idle && self.may_have_free_pages {
            self.may_have_free_pages = give_back(db)?;
        }
        Ok(None)
    }

    fn begin_sweep(&mut self) {
        self.sweep = Some(Sweep {
            after: StoredRoom(0),
            largest: None,
        });
    }

    fn look_at_size(&mut self, db: &Connection) -> Result<(), Fault> {
        if self.max_bytes == 0 {
            return Ok(());
        }
        let number = |name: &str| -> Result<u64, Fault> {
            Ok(db.query_row(&format!("PRAGMA {name}"), [], |row| row.get(0))?)
        };
        let pages = number("page_count")?.saturating_sub(number("freelist_count")?);
        let is_too_large = pages.saturating_mul(number("page_size")?) > self.max_bytes;
        if is_too_large && !self.is_too_large {
            ::log::warn!(
                "the store has reached its size: the oldest messages of the largest rooms go"
            );
        }
        self.is_too_large = is_too_large;
        if is_too_large && self.sweep.is_none() && self.evict.is_none() {
            self.begin_sweep();
        }
        Ok(())
    }

    /// Looks at some rooms.
    fn sweep(&mut self, db: &Connection, wall: Millis) -> Result<(), Fault> {
        let Some(mut sweep) = self.sweep.take() else {
            return Ok(());
        };
        let rooms: Vec<StoredRoom> = db
            .prepare_cached("SELECT id FROM rooms WHERE id > ? ORDER BY id LIMIT ?")?
            .query_map([sweep.after.0, STEP_ROOMS], |row| {
                row.get(0).map(StoredRoom)
            })?
            .collect::<Result<_, _>>()?;
        for &room in &rooms {
            sweep.after = room;
            let look = || {
                let Some((name, head)) = head(db, room)? else {
                    return Ok(None);
                };
                let is_due = self.has_too_many(head)
                    || self.has_too_old(db, room, head, wall)?
                    || head.count() > 0 && is_forgotten(db, &name)?;
                Ok::<_, Fault>(Some((head, is_due)))
            };
            let (head, is_due) = match look() {
                Ok(Some(found)) => found,
                Ok(None) => continue,
                Err(fault) => {
                    ::log::warn!("room {} of the store cannot be tidied: {fault}", room.0);
                    continue;
                }
            };
            if is_due && !self.rooms.contains(&room) {
                self.rooms.push_back(room);
            }
            let is_larger = |(_, largest): (_, Head)| head.count() > largest.count();
            if sweep.largest.is_none_or(is_larger) {
                sweep.largest = Some((room, head));
            }
        }
        if rooms.len() == STEP_ROOMS as usize {
            self.sweep = Some(sweep);
        } else if self.is_too_large
            && let Some((room, head)) = sweep.largest
        {
            // A piece, then the next largest.
            let piece = (head.count() / 16).max(STEP_ROWS).min(head.count());
            self.evict = (piece > 0).then_some((room, head.first + piece));
        }
        Ok(())
    }

    /// What is numbered before this is too old. A room may have a time of its own, which may be
    /// longer than that of the others.
    fn oldest_kept(
        &self,
        db: &Connection,
        room: StoredRoom,
        wall: Millis,
    ) -> Result<Option<i64>, Fault> {
        let own: Option<Option<u32>> = db
            .prepare_cached(
                "SELECT keep_days FROM rules WHERE room = (SELECT name FROM rooms WHERE id = ?)",
            )?
            .query_row([room.0], |row| row.get(0))
            .optional()?;
        let kept = u64::from(own.flatten().unwrap_or(self.keep_days)) * DAY_MS;
        Ok((kept > 0).then(|| millis(Millis(wall.0.saturating_sub(kept)))))
    }

    fn has_too_old(
        &self,
        db: &Connection,
        room: StoredRoom,
        head: Head,
        wall: Millis,
    ) -> Result<bool, Fault> {
        let Some(oldest_kept) = self.oldest_kept(db, room, wall)? else {
            return Ok(false);
        };
        let id = rows::id(room, Seq(head.first));
        Ok(db
            .prepare_cached("SELECT EXISTS (SELECT 1 FROM messages WHERE id = ? AND at < ?)")?
            .query_row([id, oldest_kept], |row| row.get(0))?)
    }

    /// Removes some entries of a room that has too many or too old ones.
    fn trim(
        &self,
        db: &Connection,
        heads: &mut Heads,
        room: StoredRoom,
        wall: Millis,
    ) -> Result<Option<Trimmed>, Fault> {
        let Some((name, head)) = head(db, room)? else {
            return Ok(None);
        };
        let step_end = head.first.saturating_add(STEP_ROWS);
        let mut first = head.first;
        if is_forgotten(db, &name)? {
            first = step_end.min(head.head.saturating_add(1));
        } else if self.has_too_many(head) {
            first = step_end.min(head.first + head.count() - self.keep_messages);
        } else if let Some(oldest_kept) = self.oldest_kept(db, room, wall)? {
            let last_old: Option<i64> = db
                .prepare_cached("SELECT max(id) FROM messages WHERE id >= ? AND id < ? AND at < ?")?
                .query_row(
                    [
                        rows::id(room, Seq(head.first)),
                        rows::id(room, Seq(step_end)),
                        oldest_kept,
                    ],
                    |row| row.get(0),
                )?;
            if let Some(id) = last_old {
                first = rows::seq(id).0 + 1;
            }
        }
        remove(db, heads, room, head, first)
    }

    fn evict(&mut self, db: &Connection, heads: &mut Heads) -> Result<Option<Trimmed>, Fault> {
        let Some((room, below)) = self.evict else {
            return Ok(None);
        };
        let head = head(db, room)?.map(|(_, head)| head);
        let trimmed = match head {
            Some(head) => {
                let first = below.min(head.first.saturating_add(STEP_ROWS));
                remove(db, heads, room, head, first)?
            }
            None => None,
        };
        if trimmed.is_none() {
            self.evict = None;
            self.look_at_size(db)?;
        }
        self.may_have_free_pages = true;
        Ok(trimmed)
    }

    /// True: there may be more.
    fn remove_keys(&self, db: &Connection, wall: Millis) -> Result<bool, Fault> {
        let since = millis(Millis(wall.0.saturating_sub(DEDUPE_MS)));
        let removed = without_waiting(db, || {
            Ok(db
                .prepare_cached(
                    "DELETE FROM keys WHERE n IN (SELECT n FROM keys ORDER BY n LIMIT ?1)
                     AND (at < ?2 OR n <= (SELECT max(n) FROM keys) - ?3)",
                )?
                .execute(params![STEP_ROWS, since, KEYS_MAX])?)
        })?;
        Ok(removed == STEP_ROWS as usize)
    }
}

/// Whether a room is a conversation that is not kept any more. It is noted before the first message
/// is, by the same commit or an earlier one.
fn is_forgotten(db: &Connection, name: &str) -> Result<bool, Fault> {
    let Some([one, other]) = Pair::named(name).and_then(Pair::accounts) else {
        return Ok(false);
    };
    Ok(!db
        .prepare_cached("SELECT EXISTS (SELECT 1 FROM conversations WHERE one = ? AND other = ?)")?
        .query_row([one.0.get(), other.0.get()], |row| row.get(0))?)
}

/// Removes the entries of a room below `first`, and notes what is left.
fn remove(
    db: &Connection,
    heads: &mut Heads,
    room: StoredRoom,
    mut head: Head,
    first: u32,
) -> Result<Option<Trimmed>, Fault> {
    if first <= head.first {
        return Ok(None);
    }
    without_waiting(db, || {
        let transaction = db.unchecked_transaction()?;
        db.prepare_cached("UPDATE rooms SET first_seq = ?, head_seq = ? WHERE id = ?")?
            .execute([first, head.head, room.0])?;
        db.prepare_cached("DELETE FROM messages WHERE id >= ? AND id < ?")?
            .execute([rows::id(room, Seq(head.first)), rows::id(room, Seq(first))])?;
        Ok(transaction.commit()?)
    })?;
    head.first = first;
    heads.set(room, head);
    Ok(Some(Trimmed {
        room,
        oldest: Seq(first),
    }))
}

/// Without an fsync of its own: a removal that a power cut undoes is done again.
fn without_waiting<T>(
    db: &Connection,
    action: impl FnOnce() -> Result<T, Fault>,
) -> Result<T, Fault> {
    let before = pragma_number(db, "synchronous")?;
    pragma(db, "synchronous = NORMAL")?;
    let result = action();
    pragma(db, &format!("synchronous = {before}"))?;
    result
}

fn pragma_number(db: &Connection, name: &str) -> Result<i64, Fault> {
    Ok(db.query_row(&format!("PRAGMA {name}"), [], |row| row.get(0))?)
}

/// Gives some pages back to the file system. True: there may be more.
fn give_back(db: &Connection) -> Result<bool, Fault> {
    if pragma_number(db, "freelist_count")? <= i64::from(FREE_PAGES_MAX) {
        return Ok(false);
    }
    without_waiting(db, || {
        Ok(pragma(db, &format!("incremental_vacuum({STEP_PAGES})"))?)
    })?;
    Ok(true)
}
