//! The audit log: its rows read a page at a time, the newest first, as rows and as JSON lines, and
//! removed when they are old. Rows are written with the changes that they are about (`registry`).

use super::error::{Fault, StoreError};
use super::schema::millis;
use crate::chat::registry::{Audit, AuditRow};
use crate::id::Millis;
use crate::log::{AUDIT_PART_ROWS, audit_line};
use rusqlite::{Connection, Row, params};
use smol_str::SmolStr;
use std::io::Write;
use std::path::Path;

/// Rows that one step removes.
const STEP_ROWS: u32 = 100;

/// Up to `limit` rows with numbers below `before`, of one room or of all, and whether there are
/// older ones.
pub(super) fn read(
    db: &Connection,
    room: Option<&str>,
    before: u64,
    limit: u32,
) -> Result<(Vec<AuditRow>, bool), Fault> {
    let mut statement = db.prepare_cached(
        "SELECT number, at, action, actor, room, target, detail, until FROM audit
         WHERE number < ?1 AND (?2 IS NULL OR room = ?2) ORDER BY number DESC LIMIT ?3",
    )?;
    let before = i64::try_from(before).unwrap_or(i64::MAX);
    let mut found = statement.query(params![before, room, limit.saturating_add(1)])?;
    let mut rows = Vec::new();
    while let Some(found) = found.next()? {
        if rows.len() == limit as usize {
            return Ok((rows, true));
        }
        rows.push(row(found)?);
    }
    Ok((rows, false))
}

fn row(row: &Row<'_>) -> Result<AuditRow, Fault> {
    let text = |column| -> Result<SmolStr, Fault> {
        let text: String = row.get(column)?;
        Ok(SmolStr::from(text))
    };
    let room: Option<String> = row.get(4)?;
    let until: Option<i64> = row.get(7)?;
    let time = |value: i64| Millis(value.max(0).cast_unsigned());
    Ok(AuditRow {
        number: row.get::<_, i64>(0)?.max(0).cast_unsigned(),
        at: time(row.get(1)?),
        audit: Audit {
            action: text(2)?,
            by: text(3)?,
            room: room.map(SmolStr::from),
            target: text(5)?,
            detail: text(6)?,
            until: until.map(time),
        },
    })
}

/// Removes some rows that are older than so many days. True: there may be more.
pub(super) fn remove_old(db: &Connection, days: u32, now: Millis) -> Result<bool, Fault> {
    const DAY_MS: u64 = 24 * 60 * 60 * 1000;
    if days == 0 {
        return Ok(false);
    }
    let oldest = Millis(now.0.saturating_sub(u64::from(days) * DAY_MS));
    // Numbers and times grow together, so that the oldest rows are the first.
    let removed = db
        .prepare_cached(
            "DELETE FROM audit WHERE number IN
             (SELECT number FROM audit ORDER BY number LIMIT ?) AND at < ?",
        )?
        .execute(params![STEP_ROWS, millis(oldest)])?;
    Ok(removed == STEP_ROWS as usize)
}

/// Writes all rows as JSON lines, the newest first.
pub(super) fn all(
    db: &Connection,
    file: &Path,
    room: Option<&str>,
    to: &mut dyn Write,
) -> Result<(), StoreError> {
    let mut next = Some(u64::MAX);
    while let Some(before) = next {
        let (lines, rest) =
            part(db, room, before).map_err(|fault| StoreError::from_fault(file, fault))?;
        next = rest;
        to.write_all(lines.as_bytes())
            .map_err(|error| StoreError::Other {
                path: file.to_owned(),
                why: format!("the rows cannot be written: {error}"),
            })?;
    }
    Ok(())
}

/// Some rows as lines, and before which row to go on.
pub(super) fn part(
    db: &Connection,
    room: Option<&str>,
    before: u64,
) -> Result<(String, Option<u64>), Fault> {
    let (rows, more) = read(db, room, before, AUDIT_PART_ROWS)?;
    let mut lines = String::new();
    for row in &rows {
        audit_line(row, &mut lines);
    }
    let last = rows.last().map(|row| row.number);
    Ok((lines, last.filter(|_| more)))
}
