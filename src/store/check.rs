//! Is everything in a store as it should be? SQLite's own check, then our rules.

use super::error::{Fault, StoreError};
use super::rows;
use super::schema::{self, pragma};
use crate::id::Seq;
use crate::log::StoredRoom;
use rusqlite::Connection;
use std::path::Path;

/// Problems of which a report names the first.
const PROBLEMS_MAX: usize = 100;
/// Rooms from one report of progress to the next.
const PROGRESS_ROOMS: u64 = 1000;

/// What a check found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    pub rooms: u64,
    pub entries: u64,
    /// One sentence for each thing that is wrong, at most 100.
    pub problems: Vec<String>,
}

/// Checks a file that no server uses. `progress` gets a sentence now and then.
pub(super) fn file(path: &Path, progress: &mut dyn FnMut(&str)) -> Result<Report, StoreError> {
    let db = schema::open(path, false)?;
    connection(&db, progress).map_err(|fault| StoreError::from_fault(path, fault))
}

fn connection(db: &Connection, progress: &mut dyn FnMut(&str)) -> Result<Report, Fault> {
    let mut report = Report::default();
    progress("checking the file");
    match sqlite_problems(db) {
        Ok(problems) => report.problems = problems,
        // So damaged that the check itself does not come to its end.
        Err(fault) => report.problems.push(fault.why),
    }
    let mut after = StoredRoom(0);
    while let Some((room, name)) = next_room(db, after)? {
        after = room;
        report.rooms += 1;
        if report.rooms.is_multiple_of(PROGRESS_ROOMS) {
            progress(&format!("checked {} rooms", report.rooms));
        }
        match check_room(db, room, &name, &mut report.problems) {
            Ok(entries) => report.entries += entries,
            Err(fault) => report
                .problems
                .push(format!("room {name} cannot be read: {fault}")),
        }
        if report.problems.len() >= PROBLEMS_MAX {
            report.problems.truncate(PROBLEMS_MAX);
            return Ok(report);
        }
    }
    for (what, sql) in RULES {
        match db.query_row(sql, [], |row| row.get::<_, u64>(0)) {
            Ok(0) => {}
            Ok(count) => report.problems.push(format!("{count} {what}")),
            Err(error) => report.problems.push(Fault::from(error).why),
        }
    }
    if pragma(db, "auto_vacuum")?.is_some_and(|mode| mode != "2") {
        report
            .problems
            .push(String::from("the file does not give pages back"));
    }
    Ok(report)
}

fn sqlite_problems(db: &Connection) -> Result<Vec<String>, Fault> {
    let mut statement = db.prepare(&format!("PRAGMA integrity_check({PROBLEMS_MAX})"))?;
    let mut rows = statement.query([])?;
    let mut problems = Vec::new();
    while let Some(row) = rows.next()? {
        let sentence: String = row.get(0)?;
        if sentence != "ok" {
            problems.push(sentence);
        }
    }
    Ok(problems)
}

/// Each counts what must not be.
const RULES: [(&str, &str); 4] = [
    (
        "entries are of no room",
        "SELECT count(*) FROM messages WHERE id >> 32 NOT IN (SELECT id FROM rooms)",
    ),
    (
        "eras are of no room",
        "SELECT count(*) FROM eras WHERE room NOT IN (SELECT id FROM rooms)",
    ),
    (
        "eras are of an epoch that has not begun",
        "SELECT count(*) FROM eras WHERE epoch > (SELECT coalesce(max(epoch), 0) FROM epochs)",
    ),
    (
        "session keys are missing",
        "SELECT NOT EXISTS (SELECT 1 FROM meta WHERE name = 'session key' AND length(value) = 32)
         AND EXISTS (SELECT 1 FROM epochs)",
    ),
];

fn next_room(db: &Connection, after: StoredRoom) -> Result<Option<(StoredRoom, String)>, Fault> {
    let mut statement =
        db.prepare_cached("SELECT id, name FROM rooms WHERE id > ? ORDER BY id LIMIT 1")?;
    let mut rows = statement.query([after.0])?;
    Ok(match rows.next()? {
        Some(row) => Some((StoredRoom(row.get(0)?), row.get(1)?)),
        None => None,
    })
}

/// The rules of one room: no gap, times that do not go back, known kinds, eras in order. Returns
/// how many entries it has.
fn check_room(
    db: &Connection,
    room: StoredRoom,
    name: &str,
    problems: &mut Vec<String>,
) -> Result<u64, Fault> {
    let mut problem = |what: String| problems.push(format!("room {name}: {what}"));
    let (first, removed_to): (u32, u32) = db
        .prepare_cached("SELECT first_seq, head_seq FROM rooms WHERE id = ?")?
        .query_row([room.0], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let (low, high) = rows::ids(room);
    let mut statement = db
        .prepare_cached("SELECT id, at, kind FROM messages WHERE id BETWEEN ? AND ? ORDER BY id")?;
    let mut found = statement.query([low, high])?;
    let mut entries = 0;
    let mut next = u64::from(first);
    let mut last_at = i64::MIN;
    while let Some(row) = found.next()? {
        let (id, at, kind): (i64, i64, u8) = (row.get(0)?, row.get(1)?, row.get(2)?);
        let Seq(seq) = rows::seq(id);
        if u64::from(seq) != next {
            problem(format!("entry {seq} is where entry {next} should be"));
        }
        if at < last_at {
            problem(format!("entry {seq} is older than the one before it"));
        }
        if !rows::is_known(kind) {
            problem(format!("entry {seq} has the unknown kind {kind}"));
        }
        entries += 1;
        next = u64::from(seq) + 1;
        last_at = at;
    }
    let head = next - 1;
    if u64::from(removed_to) > head {
        problem(format!(
            "its newest entry is {head}, and there was an entry {removed_to}"
        ));
    }
    let mut last = 0;
    let mut eras =
        db.prepare_cached("SELECT epoch, first_seq FROM eras WHERE room = ? ORDER BY epoch")?;
    let mut eras = eras.query([room.0])?;
    while let Some(row) = eras.next()? {
        let (epoch, first): (u32, u32) = (row.get(0)?, row.get(1)?);
        if u64::from(first) <= last || u64::from(first) > head {
            problem(format!(
                "epoch {epoch} begins with entry {first}, after {last} and up to {head}"
            ));
        }
        last = u64::from(first);
    }
    if last == 0 && entries > 0 {
        problem(String::from("it has entries and no era"));
    }
    Ok(entries)
}
