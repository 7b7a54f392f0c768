//! What the log asks of the tables. Writes nothing.

use super::append::{Heads, KEYS_MAX, head};
use super::error::Fault;
use super::rows::{self, COLUMNS};
use super::schema::millis;
use crate::id::{Millis, Seq};
use crate::log::{DEDUPE_MS, Era, Kept, KeptKey, Page, PageEntry, StoredRoom};
use rusqlite::{Connection, OptionalExtension, params};
use smol_str::SmolStr;

/// Eras that a room's opening reports.
const ERAS_MAX: u32 = 64;

/// What is kept of the room with this name.
pub(super) fn open(db: &Connection, heads: &mut Heads, name: &str) -> Result<Option<Kept>, Fault> {
    let Some(room) = number(db, name)? else {
        return Ok(None);
    };
    let Some((_, head)) = head(db, room)? else {
        return Ok(None);
    };
    let mut eras = db
        .prepare_cached(
            "SELECT epoch, first_seq FROM eras WHERE room = ? ORDER BY epoch DESC LIMIT ?",
        )?
        .query_map([room.0, ERAS_MAX], |row| {
            Ok(Era {
                epoch: row.get(0)?,
                first: Seq(row.get(1)?),
            })
        })?
        .collect::<Result<Vec<_>, _>>()?;
    eras.reverse();
    heads.set(room, head);
    Ok(Some(Kept {
        stored_room: room,
        oldest: Seq(head.first),
        head: Seq(head.head),
        at: Millis(head.at),
        eras,
        salts: Vec::new(),
    }))
}

/// The number of the room with this name.
pub(super) fn number(db: &Connection, name: &str) -> Result<Option<StoredRoom>, Fault> {
    let number = db
        .prepare_cached("SELECT id FROM rooms WHERE name = ?")?
        .query_row([name], |row| row.get(0))
        .optional()?;
    Ok(number.map(StoredRoom))
}

/// A page is asked for; see [`Request::Read`](crate::log::Request::Read).
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted {
    pub(super) room: StoredRoom,
    pub(super) after: Seq,
    pub(super) entries_max: u32,
    pub(super) bytes_max: u32,
}

pub(super) fn page(db: &Connection, heads: &mut Heads, wanted: Wanted) -> Result<Page, Fault> {
    let Wanted { room, after, .. } = wanted;
    let known = match heads.get(room) {
        Some(head) => Some(head),
        None => head(db, room)?.map(|(_, head)| head),
    };
    let Some(head) = known else {
        // Its first entry is not stored yet.
        return Ok(Page {
            entries: Vec::new(),
            complete_to: after,
            oldest: Seq(1),
        });
    };
    heads.set(room, head);
    let mut page = Page {
        entries: Vec::new(),
        complete_to: after.max(Seq(head.first.saturating_sub(1))),
        oldest: Seq(head.first),
    };
    let (_, high) = rows::ids(room);
    let mut statement = db.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM messages WHERE id > ? AND id <= ? ORDER BY id LIMIT ?"
    ))?;
    let mut found = statement.query(params![
        rows::id(room, page.complete_to),
        high,
        wanted.entries_max.max(1)
    ])?;
    let mut bytes = 0;
    while let Some(row) = found.next()? {
        let entry = rows::entry(row)?;
        if Some(entry.seq) != page.complete_to.next() {
            return Err(Fault::damaged(format!(
                "entry {} of room {} follows entry {}",
                entry.seq.0, room.0, page.complete_to.0
            )));
        }
        bytes += text_bytes(&entry);
        if bytes > u64::from(wanted.bytes_max) && !page.entries.is_empty() {
            break;
        }
        page.complete_to = entry.seq;
        page.entries.push(entry);
    }
    Ok(page)
}

fn text_bytes(entry: &PageEntry) -> u64 {
    entry.text_bytes() as u64
}

/// The newest keys of a session, newest first.
pub(super) fn keys(db: &Connection, session: u64, now: Millis) -> Result<Vec<KeptKey>, Fault> {
    let since = millis(Millis(now.0.saturating_sub(DEDUPE_MS)));
    let keys = db
        .prepare_cached(
            "SELECT key, message, at FROM keys WHERE session = ? AND at >= ?
             ORDER BY n DESC LIMIT ?",
        )?
        .query_map(params![session.cast_signed(), since, KEYS_MAX], |row| {
            let key: String = row.get(0)?;
            let message: i64 = row.get(1)?;
            Ok(KeptKey {
                key: SmolStr::from(key),
                stored_room: StoredRoom((message >> 32) as u32),
                seq: rows::seq(message),
                at: Millis(row.get(2)?),
            })
        })?
        .collect::<Result<Vec<_>, _>>()?;
    Ok(keys)
}
