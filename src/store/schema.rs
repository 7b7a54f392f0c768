//! The tables, their versions, and what is written at each start. Knows no request and no thread.

use super::error::{Fault, FaultKind, StoreError};
use super::registry;
use crate::id::Millis;
use crate::log::{EpochInfo, Started, StoredRoom};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, OptionalExtension, params};
use std::path::Path;
use std::time::Duration;

/// Marks the file as ours: "parl".
const APPLICATION_ID: i64 = 1_885_434_476;

/// Epochs that are kept and handed to the log. A client that comes back with an older one starts
/// anew.
const EPOCHS_MAX: u32 = 1_000;

/// Each step leads from the version of its index to the next. A step that was released is never
/// changed.
pub(super) const MIGRATIONS: [&str; 3] = [VERSION_1, VERSION_2, VERSION_3];

const VERSION_1: &str = "
CREATE TABLE meta (
    name TEXT PRIMARY KEY,
    value BLOB NOT NULL
) STRICT, WITHOUT ROWID;

-- One row a start.
CREATE TABLE epochs (
    epoch INTEGER PRIMARY KEY,
    salt INTEGER NOT NULL,
    started INTEGER NOT NULL
) STRICT;

-- A room stays when its entries go, so that its numbers are never used again.
CREATE TABLE rooms (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    created INTEGER NOT NULL,
    first_seq INTEGER NOT NULL DEFAULT 1, -- the oldest entry that retention left
    head_seq INTEGER NOT NULL DEFAULT 0   -- written by retention: the newest entry may be removed
) STRICT;

-- From which entry on a room was numbered in an epoch.
CREATE TABLE eras (
    room INTEGER NOT NULL,
    epoch INTEGER NOT NULL,
    first_seq INTEGER NOT NULL,
    PRIMARY KEY (room, epoch)
) STRICT, WITHOUT ROWID;

CREATE TABLE messages (
    id INTEGER PRIMARY KEY, -- room << 32 | seq
    at INTEGER NOT NULL,    -- milliseconds; never less than that of the entry before
    kind INTEGER NOT NULL,  -- 0 said, 1 acted, 2 edit, 3 deletion, 5 kicked; 4 topic to come
    target INTEGER,         -- the seq of the entry that this one answers or changes
    nick TEXT NOT NULL,
    actor TEXT,             -- by whom the member was removed
    body TEXT NOT NULL
) STRICT;

-- With what messages were sent, by session; only of clients that send keys.
CREATE TABLE keys (
    n INTEGER PRIMARY KEY,
    at INTEGER NOT NULL,
    session INTEGER NOT NULL,
    message INTEGER NOT NULL,
    key TEXT NOT NULL
) STRICT;
CREATE INDEX keys_session ON keys (session);
";

/// The registry: each table has one kind of fact, and a room that is '' is the whole server. And
/// what edits and deletions of messages need.
const VERSION_2: &str = "
CREATE TABLE accounts (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    password TEXT,      -- a PHC string; none: only signed tokens
    token_subject TEXT,
    created INTEGER NOT NULL
) STRICT;

-- Sessions that enter their account without the password.
CREATE TABLE account_sessions (
    session INTEGER PRIMARY KEY,
    account INTEGER NOT NULL,
    seen INTEGER NOT NULL
) STRICT;

CREATE TABLE roles (
    room TEXT NOT NULL,
    account INTEGER NOT NULL,
    role INTEGER NOT NULL, -- 1 voiced, 2 moderator, 3 owner, 4 moderator of all rooms, 5 admin
    PRIMARY KEY (room, account)
) STRICT, WITHOUT ROWID;

CREATE TABLE sanctions (
    room TEXT NOT NULL,
    kind INTEGER NOT NULL, -- 0 ban, 1 mute
    subject TEXT NOT NULL, -- nick:ann, account:5, address:192.0.2.0/24
    until INTEGER,         -- none: until it is lifted
    actor TEXT NOT NULL,
    at INTEGER NOT NULL,
    reason TEXT NOT NULL,
    PRIMARY KEY (room, kind, subject)
) STRICT, WITHOUT ROWID;

CREATE TABLE rules (
    room TEXT PRIMARY KEY,
    topic TEXT NOT NULL,
    slow_seconds INTEGER NOT NULL,
    moderated INTEGER NOT NULL,
    locked INTEGER NOT NULL,
    hidden INTEGER NOT NULL,
    password TEXT,
    newcomers_read INTEGER NOT NULL,
    keep_days INTEGER
) STRICT, WITHOUT ROWID;

-- The number is that of the change.
CREATE TABLE audit (
    number INTEGER PRIMARY KEY,
    at INTEGER NOT NULL,
    action TEXT NOT NULL,
    actor TEXT NOT NULL,
    room TEXT,
    target TEXT NOT NULL,
    detail TEXT NOT NULL,
    until INTEGER
) STRICT;

-- What is the largest ever: a number is never given again.
CREATE TABLE marks (
    name TEXT PRIMARY KEY, -- changes, accounts
    value INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Who said it: a session of programs, or an account.
ALTER TABLE messages ADD COLUMN session INTEGER;
ALTER TABLE messages ADD COLUMN account INTEGER;
-- The seq of the entry that changed this one last: of a message the edit, whose text is the body
-- now, or the deletion, and the body is empty; of an edit the change that followed it, and its
-- body is empty.
ALTER TABLE messages ADD COLUMN changed_by INTEGER;
";

/// Direct messages: who has talked to whom, and who takes none from whom.
const VERSION_3: &str = "
-- What two accounts said to each other is in the room with the name @ONE.OTHER, while the pair is
-- here.
CREATE TABLE conversations (
    one INTEGER NOT NULL,
    other INTEGER NOT NULL,
    at INTEGER NOT NULL,              -- milliseconds, to a minute
    unseen_by_one INTEGER NOT NULL,   -- the seq of the first that came while it was away; 0: none
    unseen_by_other INTEGER NOT NULL,
    PRIMARY KEY (one, other)
) STRICT, WITHOUT ROWID;

CREATE TABLE ignored (
    account INTEGER NOT NULL,
    subject TEXT NOT NULL, -- nick:ann, account:5
    PRIMARY KEY (account, subject)
) STRICT, WITHOUT ROWID;
";

/// Opens the file and brings its tables to the newest version. `create`: an empty file becomes a
/// store.
pub(super) fn open(file: &Path, create: bool) -> Result<Connection, StoreError> {
    open_with(file, create, &MIGRATIONS)
}

fn open_with(file: &Path, create: bool, migrations: &[&str]) -> Result<Connection, StoreError> {
    let wrong = |error| StoreError::from_fault(file, Fault::from(error));
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let db = Connection::open_with_flags(file, flags).map_err(wrong)?;
    // Another process that has the file may keep it for ever.
    db.busy_timeout(Duration::ZERO).map_err(wrong)?;
    // Before the first read: no other process gets in, and no file of shared memory is made.
    pragma(&db, "locking_mode = EXCLUSIVE").map_err(wrong)?;
    // Before the first table. This reads.
    pragma(&db, "auto_vacuum = INCREMENTAL").map_err(wrong)?;
    // Before anything is changed in a file that may not be ours.
    let version = known_version(&db, file, create, migrations)?;
    let mode = pragma(&db, "journal_mode = WAL").map_err(wrong)?;
    if mode.as_deref() != Some("wal") {
        return Err(StoreError::ReadOnly {
            path: file.to_owned(),
        });
    }
    for setting in [
        "synchronous = FULL",
        "wal_autocheckpoint = 0",
        "journal_size_limit = 8388608",
        "cache_size = -8192",
        "temp_store = MEMORY",
        "foreign_keys = OFF",
        "trusted_schema = OFF",
        "cell_size_check = ON",
        "secure_delete = ON",
    ] {
        pragma(&db, setting).map_err(wrong)?;
    }
    for (switch, is_on) in [
        // A file may come from anywhere, as a backup that is restored.
        (DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true),
        (DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false),
        (DbConfig::SQLITE_DBCONFIG_ENABLE_VIEW, false),
    ] {
        db.set_db_config(switch, is_on).map_err(wrong)?;
    }
    db.set_prepared_statement_cache_capacity(32);
    migrate(&db, version, migrations).map_err(wrong)?;
    Ok(db)
}

/// The version of the file's tables; 0: it has none yet.
fn known_version(
    db: &Connection,
    file: &Path,
    create: bool,
    migrations: &[&str],
) -> Result<usize, StoreError> {
    let wrong = |error| StoreError::from_fault(file, Fault::from(error));
    let number = |name| db.query_row(&format!("PRAGMA {name}"), [], |row| row.get(0));
    let application: i64 = number("application_id").map_err(|error| {
        let fault = Fault::from(error);
        match fault.kind {
            // Its first bytes are not SQLite's.
            FaultKind::Other => StoreError::Damaged {
                path: file.to_owned(),
                why: fault.why,
            },
            _ => StoreError::from_fault(file, fault),
        }
    })?;
    let version: i64 = number("user_version").map_err(wrong)?;
    let tables: i64 = db
        .query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))
        .map_err(wrong)?;
    if tables == 0 && application == 0 && create {
        return Ok(0);
    }
    if application != APPLICATION_ID {
        return Err(StoreError::NotAStore {
            path: file.to_owned(),
        });
    }
    match usize::try_from(version) {
        Ok(version) if version <= migrations.len() => Ok(version),
        _ => Err(StoreError::Newer {
            path: file.to_owned(),
            version: u32::try_from(version).unwrap_or(u32::MAX),
            known: u32::try_from(migrations.len()).unwrap_or(u32::MAX),
        }),
    }
}

/// Each step is whole or not at all: its version is written with it.
fn migrate(db: &Connection, version: usize, migrations: &[&str]) -> Result<(), rusqlite::Error> {
    for (index, step) in migrations.iter().enumerate().skip(version) {
        let transaction = db.unchecked_transaction()?;
        db.execute_batch(step)?;
        pragma(db, &format!("application_id = {APPLICATION_ID}"))?;
        pragma(db, &format!("user_version = {}", index + 1))?;
        transaction.commit()?;
    }
    Ok(())
}

/// Sets or asks; the first column of the last row, if it is text. Unlike `execute_batch`, carries
/// out a pragma that returns rows to its end.
pub(super) fn pragma(db: &Connection, text: &str) -> Result<Option<String>, rusqlite::Error> {
    let mut statement = db.prepare(&format!("PRAGMA {text}"))?;
    let mut rows = statement.query([])?;
    let mut last = None;
    while let Some(row) = rows.next()? {
        last = row.get(0).ok();
    }
    Ok(last)
}

/// Begins the next epoch, or goes on in `last` if that is the newest. On the disk before this returns, whatever the sync setting.
pub(super) fn begin_epoch(
    db: &Connection,
    now: Millis,
    (salt, new_key): (u32, [u8; 32]),
    last: Option<EpochInfo>,
) -> Result<Started, Fault> {
    let transaction = db.unchecked_transaction()?;
    let newest = db
        .query_row(
            "SELECT epoch, salt FROM epochs ORDER BY epoch DESC LIMIT 1",
            [],
            |row| {
                Ok(EpochInfo {
                    epoch: row.get(0)?,
                    salt: row.get(1)?,
                })
            },
        )
        .optional()?;
    let epoch = match newest {
        Some(newest) if Some(newest) == last => newest.epoch,
        newest => {
            let epoch = newest.map_or(0, |newest| newest.epoch);
            insert_epoch(db, epoch, salt, now)?
        }
    };
    let kept_key: Option<Vec<u8>> = db
        .query_row(
            "SELECT value FROM meta WHERE name = 'session key'",
            [],
            |row| row.get(0),
        )
        .optional()?;
    let session_key = match kept_key {
        Some(bytes) => bytes
            .try_into()
            .map_err(|_| Fault::damaged(String::from("its session key has another length")))?,
        None => {
            db.execute(
                "INSERT INTO meta (name, value) VALUES ('session key', ?)",
                [new_key.as_slice()],
            )?;
            new_key
        }
    };
    let epochs = db
        .prepare("SELECT epoch, salt FROM epochs ORDER BY epoch")?
        .query_map([], |row| {
            Ok(EpochInfo {
                epoch: row.get(0)?,
                salt: row.get(1)?,
            })
        })?
        .collect::<Result<Vec<_>, _>>()?;
    let last_room: u32 = db.query_row("SELECT coalesce(max(id), 0) FROM rooms", [], |row| {
        row.get(0)
    })?;
    let registry = registry::read(db)?;
    transaction.commit()?;
    Ok(Started {
        epoch,
        epochs,
        next_room: StoredRoom(last_room.saturating_add(1)),
        session_key,
        registry,
    })
}

/// Inserts the epoch after `last` and returns it.
fn insert_epoch(db: &Connection, last: u32, salt: u32, now: Millis) -> Result<u32, Fault> {
    let epoch = last.checked_add(1).ok_or_else(|| Fault {
        kind: FaultKind::Other,
        why: String::from("the store has used up its epochs"),
    })?;
    db.execute(
        "INSERT INTO epochs (epoch, salt, started) VALUES (?, ?, ?)",
        params![epoch, salt, millis(now)],
    )?;
    db.execute(
        "DELETE FROM epochs WHERE epoch <= ?",
        [i64::from(epoch) - i64::from(EPOCHS_MAX)],
    )?;
    Ok(epoch)
}

/// As the tables have a time: 9,223,372,036,854,775,807 at most.
pub(super) fn millis(at: Millis) -> i64 {
    i64::try_from(at.0).unwrap_or(i64::MAX)
}
