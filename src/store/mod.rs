//! Keeps entries in SQLite, on a thread of its own: [`open`] starts it, [`Handle`] is the loop's end.
//! Knows no connection, no member and no encoding but that of an export.
//!
//! An entry that was reported as stored survives a crash of the process, and with
//! [`StoreSync::Full`] a power cut. A damaged byte inside a text is not noticed.

mod append;
mod audit;
mod check;
mod copy;
mod edit;
mod error;
mod export;
mod figures;
mod handle;
mod place;
mod read;
mod registry;
mod remnants;
mod retain;
mod rows;
mod schema;
mod search;
mod settings;
#[cfg(test)]
mod tests;
mod thread;

pub use check::Report;
pub use copy::Copied;
pub use edit::edit_registry;
pub use error::StoreError;
pub use handle::{Handle, STOP_MAX};
pub use retain::SLACK;
pub use settings::{Settings, StoreSync};

use crate::id::Millis;
use crate::log::{EpochInfo, Started};
use error::{Fault, FaultKind};
use handle::{EndOfThread, Shared};
use place::Place;
use rusqlite::Connection;
use schema::pragma;
use std::fmt;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};
use thread::Thread;

/// How long the check of the messages at a start may take. `parlor store check` takes its time.
const CHECK_MAX: Duration = Duration::from_secs(2);
/// Instructions of SQLite's virtual machine between two looks at the clock.
const CHECK_LOOK: i32 = 100_000;

/// The clocks of the system.
#[derive(Clone, Copy, Debug)]
pub struct Clocks {
    pub wall: fn() -> Millis,
    pub moment: fn() -> Instant,
}

/// What a store needs from outside.
pub struct Surroundings {
    pub clocks: Clocks,
    /// Random bytes, from the system.
    pub random: [u8; 36],
    /// Called on the store's thread when there are answers: ends the loop's wait.
    pub wake: Box<dyn Fn() + Send + Sync>,
    /// Gets sentences for the operator while the store is opened, without a line's end.
    pub report: fn(&str),
}

impl fmt::Debug for Surroundings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Surroundings").finish_non_exhaustive()
    }
}

/// Opens the store, makes it if it is not there, begins an epoch, and starts the thread. Returns
/// when all of that is on the disk.
pub fn open(
    settings: &Settings,
    surroundings: Surroundings,
) -> Result<(Started, Handle), StoreError> {
    open_in(settings, surroundings, None)
}

/// The same of a store that this process has closed, all being stored: it goes on in the epoch
/// `last`, if that is the newest there.
///
/// # Errors
/// As those of [`open`].
pub fn reopen(
    settings: &Settings,
    surroundings: Surroundings,
    last: EpochInfo,
) -> Result<(Started, Handle), StoreError> {
    open_in(settings, surroundings, Some(last))
}

fn open_in(
    settings: &Settings,
    surroundings: Surroundings,
    last: Option<EpochInfo>,
) -> Result<(Started, Handle), StoreError> {
    let Surroundings {
        clocks,
        random,
        wake,
        report,
    } = surroundings;
    let place = Place::make(&settings.directory)?;
    let file = place.file();
    let wrong = |fault| StoreError::from_fault(&file, fault);
    let mut db = schema::open(&file, true)?;
    check_at_start(&mut db, clocks, report).map_err(wrong)?;
    let frames = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&frames);
    let count = move |_: &mut _, pages| {
        counted.store(u32::try_from(pages).unwrap_or(0), Ordering::Relaxed);
        Ok(())
    };
    db.wal_hook(Some(count))
        .map_err(|error| wrong(Fault::from(error)))?;
    let (salt, key) = split(random);
    let started = schema::begin_epoch(&db, (clocks.wall)(), (salt, key), last).map_err(wrong)?;
    if settings.sync == StoreSync::Normal {
        pragma(&db, "synchronous = NORMAL").map_err(|error| wrong(Fault::from(error)))?;
    }
    let shared = Arc::new(Shared::new(wake));
    let end = EndOfThread {
        shared: Arc::clone(&shared),
    };
    let settings = settings.clone();
    std::thread::Builder::new()
        .name(String::from("store"))
        .spawn(move || {
            let end = end;
            // Released when the file is closed.
            let place = place;
            let shared = Arc::clone(&end.shared);
            let checked = place.checked();
            Thread::new(&db, shared, settings, clocks, frames, checked).run();
            drop(db);
            drop(place);
            drop(end);
        })
        .map_err(|error| StoreError::Other {
            path: file,
            why: format!("no thread can be started: {error}"),
        })?;
    Ok((started, Handle::new(shared)))
}

fn split(random: [u8; 36]) -> (u32, [u8; 32]) {
    let mut salt = [0; 4];
    let mut key = [0; 32];
    salt.copy_from_slice(&random[..4]);
    key.copy_from_slice(&random[4..]);
    (u32::from_le_bytes(salt), key)
}

/// The small tables must be whole. Damage among the messages costs a room at most, and is reported;
/// they are checked for [`CHECK_MAX`].
fn check_at_start(db: &mut Connection, clocks: Clocks, report: fn(&str)) -> Result<(), Fault> {
    for table in [
        "meta",
        "epochs",
        "rooms",
        "eras",
        "keys",
        "accounts",
        "account_sessions",
        "roles",
        "sanctions",
        "rules",
        "marks",
        "audit",
    ] {
        if let Some(problem) = first_problem(db, table)? {
            return Err(Fault::damaged(format!("table {table}: {problem}")));
        }
    }
    // A damaged root page has neither end. Asked for together, they would be searched for.
    let end_of = |sql| db.query_row(sql, [], |_| Ok(()));
    let ends = [
        "SELECT min(id) FROM messages",
        "SELECT max(id) FROM messages",
    ]
    .map(end_of);
    if let [Err(error), Err(_)] = ends {
        return Err(Fault::from(error));
    }
    let end = (clocks.moment)() + CHECK_MAX;
    let is_late = move || (clocks.moment)() >= end;
    db.progress_handler(CHECK_LOOK, Some(is_late))?;
    let problem = first_problem(db, "messages").map_err(Fault::from);
    db.progress_handler(0, None::<fn() -> bool>)?;
    match problem {
        Ok(None) => {}
        Ok(Some(problem)) => report_damage(&problem, report),
        Err(fault) if fault.kind == FaultKind::Damaged => report_damage(&fault.why, report),
        Err(fault) if fault.kind == FaultKind::Interrupted => report(
            "the store is large and was not checked to its end; parlor store check does that",
        ),
        Err(fault) => return Err(fault),
    }
    Ok(())
}

fn report_damage(problem: &str, report: fn(&str)) {
    report(&format!(
        "the store is damaged, and some rooms may not work; parlor store check lists all ({problem})"
    ));
}

fn first_problem(db: &Connection, table: &str) -> Result<Option<String>, rusqlite::Error> {
    // One problem ends the check.
    let text: String = db.query_row(&format!("PRAGMA quick_check('{table}')"), [], |row| {
        row.get(0)
    })?;
    Ok((text != "ok").then_some(text))
}

/// Checks a store that no server uses: its directory, or the file of a backup. `progress` gets a
/// sentence now and then.
pub fn check(path: &Path, progress: &mut dyn FnMut(&str)) -> Result<Report, StoreError> {
    let path = place::absolute(path)?;
    if path.is_file() {
        return check::file(&path, progress);
    }
    let place = Place::take(&path)?;
    check::file(&place.file(), progress)
}

/// Writes all that is kept of a room as JSON lines, from a store that no server uses.
pub fn export(directory: &Path, room: &str, to: &mut dyn Write) -> Result<(), StoreError> {
    let place = Place::take(directory)?;
    let file = place.file();
    let db = schema::open(&file, false)?;
    export::all(&db, &file, room, to)
}

/// Writes the rows of the audit log as JSON lines, the newest first, from a store that no server
/// uses. `room`: only those of one room.
pub fn audit(directory: &Path, room: Option<&str>, to: &mut dyn Write) -> Result<(), StoreError> {
    let place = Place::take(directory)?;
    let file = place.file();
    let db = schema::open(&file, false)?;
    audit::all(&db, &file, room, to)
}

/// Copies a store that no server uses to a new file, which restores it when it becomes `parlor.db`
/// of an empty directory.
pub fn backup(
    directory: &Path,
    to: &Path,
    progress: &mut dyn FnMut(Copied),
) -> Result<(), StoreError> {
    let place = Place::take(directory)?;
    let db = schema::open(&place.file(), false)?;
    let pages = copy::copy(&db, to, |copied| {
        progress(copied);
        true
    })?;
    progress(Copied { done: pages, pages });
    Ok(())
}
