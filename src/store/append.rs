//! Batches of records into rows: all or nothing. The thread hands a failed batch in again, with the
//! same numbers; after a failed fsync its rows may be there already, and are then compared.

use super::error::Fault;
use super::registry;
use super::rows::{self, Columns};
use super::schema::millis;
use crate::chat::Content;
use crate::chat::registry::Change;
use crate::id::{RoomId, Seq};
use crate::log::{Key, Record, StoredRoom};
use rusqlite::{Connection, OptionalExtension, params};
use std::collections::HashMap;

/// Keys of a session that are kept.
pub(super) const KEYS_MAX: u32 = 64;
/// Eras of a room that are kept.
const ERAS_MAX: u32 = 64;
/// Rooms whose heads are remembered; beyond it all are read again.
const HEADS_MAX: usize = 4096;

/// What the tables have of a room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    /// The oldest entry that is kept; one more than `head` if none is.
    pub(super) first: u32,
    pub(super) head: u32,
    /// The epoch of the newest era; 0: no entry yet.
    pub(super) epoch: u32,
    /// When the newest entry was numbered.
    pub(super) at: u64,
}

impl Head {
    /// How many entries are kept.
    pub(super) fn count(self) -> u32 {
        self.head.saturating_add(1).saturating_sub(self.first)
    }
}

/// Heads that were read or written, so that an append asks for none.
#[derive(Debug, Default)]
pub(super) struct Heads {
    known: HashMap<StoredRoom, Head>,
}

impl Heads {
    pub(super) fn get(&self, room: StoredRoom) -> Option<Head> {
        self.known.get(&room).copied()
    }

    pub(super) fn set(&mut self, room: StoredRoom, head: Head) {
        if self.known.len() >= HEADS_MAX {
            self.known.clear();
        }
        self.known.insert(room, head);
    }

    /// After a failed commit, what is in the tables is not known.
    pub(super) fn forget(&mut self) {
        self.known.clear();
    }
}

/// A batch that is not stored.
#[derive(Debug)]
pub(super) struct Failed {
    pub(super) fault: Fault,
    /// The room at which it failed, if one.
    pub(super) room: Option<StoredRoom>,
}

impl Failed {
    fn anywhere(fault: impl Into<Fault>) -> Self {
        Self {
            fault: fault.into(),
            room: None,
        }
    }
}

/// Up to where a room is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct StoredTo {
    pub(super) room: RoomId,
    pub(super) stored_room: StoredRoom,
    pub(super) head: Head,
}

/// Stores the records, and changes of the registry, by one transaction. Sorts the records: rows in
/// the order of their table cost half.
pub(super) fn append(
    db: &Connection,
    heads: &mut Heads,
    batch: &mut [Box<Record>],
    changes: &[Box<Change>],
) -> Result<Vec<StoredTo>, Failed> {
    batch.sort_by_key(|record| (record.stored_room, record.seq));
    let result = in_transaction(db, heads, batch, changes);
    match &result {
        Ok(stored) => {
            for room in stored {
                heads.set(room.stored_room, room.head);
            }
        }
        Err(_) => {
            heads.forget();
            if !db.is_autocommit() {
                // If even this fails, the connection ends the transaction with its next one.
                let _ = db.execute_batch("ROLLBACK");
            }
        }
    }
    result
}

fn in_transaction(
    db: &Connection,
    heads: &Heads,
    batch: &[Box<Record>],
    changes: &[Box<Change>],
) -> Result<Vec<StoredTo>, Failed> {
    db.prepare_cached("BEGIN IMMEDIATE")
        .and_then(|mut begin| begin.execute([]))
        .map_err(Failed::anywhere)?;
    let mut stored = Vec::new();
    for records in batch.chunk_by(|a, b| a.stored_room == b.stored_room) {
        let (first, last) = (&records[0], &records[records.len() - 1]);
        let head = append_to_room(db, heads.get(first.stored_room), records).map_err(|fault| {
            let stays = fault.stays_in_its_room();
            Failed {
                fault,
                room: stays.then_some(first.stored_room),
            }
        })?;
        stored.push(StoredTo {
            room: last.room,
            stored_room: last.stored_room,
            head,
        });
    }
    registry::change(db, changes).map_err(Failed::anywhere)?;
    db.prepare_cached("COMMIT")
        .and_then(|mut commit| commit.execute([]))
        .map_err(Failed::anywhere)?;
    Ok(stored)
}

/// Stores a room's records, which follow its head or are there already.
fn append_to_room(
    db: &Connection,
    known: Option<Head>,
    records: &[Box<Record>],
) -> Result<Head, Fault> {
    let mut head = match known {
        Some(head) => head,
        None => head_for(db, &records[0])?,
    };
    for record in records {
        if record.seq.0 > head.head.saturating_add(1) || record.seq.0 < head.first {
            return Err(Fault::collision(format!(
                "entry {} of room {} does not follow entry {}",
                record.seq.0, record.name, head.head
            )));
        }
        if !insert(db, record)? {
            is_the_same(db, record)?;
        }
        amend(db, record)?;
        if head.epoch != record.epoch {
            begin_era(db, record, head)?;
            head.epoch = record.epoch;
        }
        if record.seq.0 > head.head {
            head.head = record.seq.0;
            head.at = record.at.0;
        }
    }
    Ok(head)
}

/// The head of a room, which is created with its first entry.
fn head_for(db: &Connection, record: &Record) -> Result<Head, Fault> {
    let room = record.stored_room;
    if let Some((name, head)) = head(db, room)? {
        if name != record.name {
            return Err(Fault::collision(format!(
                "room {} of the store is {name} and not {}",
                room.0, record.name
            )));
        }
        return Ok(head);
    }
    // A room's ids are positive.
    if room.0 > i32::MAX as u32 {
        return Err(Fault::collision(format!(
            "room {} has the number {}, which is too large",
            record.name, room.0
        )));
    }
    db.prepare_cached("INSERT INTO rooms (id, name, created) VALUES (?, ?, ?)")?
        .execute(params![room.0, record.name.as_str(), millis(record.at)])?;
    Ok(Head {
        first: 1,
        head: 0,
        epoch: 0,
        at: 0,
    })
}

/// What the tables have of a room, and its name; `None`: there is no such room.
pub(super) fn head(db: &Connection, room: StoredRoom) -> Result<Option<(String, Head)>, Fault> {
    let row: Option<(String, u32, u32)> = db
        .prepare_cached("SELECT name, first_seq, head_seq FROM rooms WHERE id = ?")?
        .query_row([room.0], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .optional()?;
    let Some((name, first, removed_to)) = row else {
        return Ok(None);
    };
    let (low, high) = rows::ids(room);
    let newest: Option<(i64, u64)> = db
        .prepare_cached(
            "SELECT id, at FROM messages WHERE id BETWEEN ? AND ? ORDER BY id DESC LIMIT 1",
        )?
        .query_row([low, high], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let epoch: u32 = db
        .prepare_cached("SELECT coalesce(max(epoch), 0) FROM eras WHERE room = ?")?
        .query_row([room.0], |row| row.get(0))?;
    let head = match newest {
        Some((id, at)) => Head {
            first,
            head: rows::seq(id).0,
            epoch,
            at,
        },
        None => Head {
            first: removed_to.saturating_add(1),
            head: removed_to,
            epoch,
            at: 0,
        },
    };
    Ok(Some((name, head)))
}

/// False: a row with this id is there.
fn insert(db: &Connection, record: &Record) -> Result<bool, Fault> {
    let row = Columns::of(record);
    let inserted = db
        .prepare_cached(
            "INSERT INTO messages (id, at, kind, target, nick, actor, body, session, account)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING",
        )?
        .execute(params![
            row.id,
            row.at,
            row.kind,
            row.target,
            row.nick,
            row.actor,
            row.body,
            row.session,
            row.account
        ])?;
    if inserted == 1
        && let Some(key) = &record.key
    {
        insert_key(db, key, row.at, row.id)?;
    }
    Ok(inserted == 1)
}

/// Brings the message that a record changes into its present form, and erases the text of the edit
/// that had changed it before. Nothing if this was done before: a later change stays.
fn amend(db: &Connection, record: &Record) -> Result<(), Fault> {
    let (of, text) = match &record.draft.content {
        Content::Edited { of, text } => (*of, text.as_str()),
        Content::Deleted { of } => (*of, ""),
        Content::Said { .. } | Content::Kicked { .. } | Content::Act { .. } => return Ok(()),
    };
    let message = rows::id(record.stored_room, of);
    let by = record.seq.0;
    let known: Option<(Option<u32>, bool)> = db
        .prepare_cached(
            "SELECT changed_by, body = '' FROM messages WHERE id = ? AND kind IN (0, 1)",
        )?
        .query_row([message], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let before = match known {
        None => return erase_edits(db, record, of),
        Some((Some(_), is_deleted)) if is_deleted => return Ok(()),
        Some((Some(last), _)) if last >= by => return Ok(()),
        Some((before, _)) => before,
    };
    let mut update = db
        .prepare_cached("UPDATE messages SET body = ?, changed_by = ? WHERE id = ? AND kind = ?")?;
    let mut erase = |id, kind, text| update.execute(params![text, by, id, kind]);
    for kind in [rows::SAID, rows::ACTED] {
        erase(message, kind, text)?;
    }
    if let Some(before) = before {
        erase(rows::id(record.stored_room, Seq(before)), rows::EDITED, "")?;
    }
    Ok(())
}

/// Retention has removed the message meanwhile, which knew by which edit it was changed. So all
/// edits of it are looked for, which takes a while and happens seldom.
fn erase_edits(db: &Connection, record: &Record, of: Seq) -> Result<(), Fault> {
    let id = |seq| rows::id(record.stored_room, seq);
    db.prepare_cached(
        "UPDATE messages SET body = '', changed_by = ?1 WHERE id > ?2 AND id < ?3
         AND kind = ?4 AND target = ?5 AND body <> ''",
    )?
    .execute(params![
        record.seq.0,
        id(of),
        id(record.seq),
        rows::EDITED,
        of.0
    ])?;
    Ok(())
}

/// Compares a record with the row of its number: another one there is an error, never overwritten.
/// The text of an entry that was changed since is not compared.
fn is_the_same(db: &Connection, record: &Record) -> Result<(), Fault> {
    let row = Columns::of(record);
    let is_the_same: bool = db
        .prepare_cached(
            "SELECT at = ? AND kind = ? AND target IS ? AND nick = ? AND actor IS ?
             AND (body = ? OR changed_by IS NOT NULL) AND session IS ? AND account IS ?
             FROM messages WHERE id = ?",
        )?
        .query_row(
            params![
                row.at,
                row.kind,
                row.target,
                row.nick,
                row.actor,
                row.body,
                row.session,
                row.account,
                row.id
            ],
            |row| row.get(0),
        )?;
    if is_the_same {
        Ok(())
    } else {
        Err(Fault::collision(format!(
            "entry {} of room {} is in the store with other content",
            record.seq.0, record.name
        )))
    }
}

fn begin_era(db: &Connection, record: &Record, head: Head) -> Result<(), Fault> {
    if record.epoch < head.epoch {
        return Err(Fault::collision(format!(
            "room {} has entries of epoch {} and gets one of epoch {}",
            record.name, head.epoch, record.epoch
        )));
    }
    let room = record.stored_room.0;
    db.prepare_cached("INSERT INTO eras (room, epoch, first_seq) VALUES (?, ?, ?)")?
        .execute(params![room, record.epoch, record.seq.0])?;
    db.prepare_cached(
        "DELETE FROM eras WHERE room = ?1 AND epoch <= coalesce((SELECT epoch FROM eras
         WHERE room = ?1 ORDER BY epoch DESC LIMIT 1 OFFSET ?2), 0)",
    )?
    .execute(params![room, ERAS_MAX])?;
    Ok(())
}

/// A session's older keys are removed at one of 16 keys, by a hash: sessions that take turns would
/// meet every sixteenth unevenly.
fn is_trimmed_at(n: i64) -> bool {
    n.cast_unsigned().wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 60 == 0
}

fn insert_key(db: &Connection, key: &Key, at: i64, message: i64) -> Result<(), Fault> {
    let session = key.session.cast_signed();
    db.prepare_cached("INSERT INTO keys (at, session, message, key) VALUES (?, ?, ?, ?)")?
        .execute(params![at, session, message, key.key.as_str()])?;
    if is_trimmed_at(db.last_insert_rowid()) {
        db.prepare_cached(
            "DELETE FROM keys WHERE session = ?1 AND n <= coalesce((SELECT n FROM keys
             WHERE session = ?1 ORDER BY n DESC LIMIT 1 OFFSET ?2), 0)",
        )?
        .execute(params![session, KEYS_MAX])?;
    }
    Ok(())
}
