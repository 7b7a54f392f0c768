//! What can go wrong with a file on a disk, sorted once. No other file looks at an error code of
//! SQLite or of the system.

use rusqlite::ErrorCode;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// Why a store cannot be opened, copied, exported or checked. Each is a sentence that says what to
/// do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreError {
    /// Another process has it.
    InUse {
        directory: PathBuf,
        pid: Option<u32>,
    },
    NotADirectory {
        path: PathBuf,
    },
    /// There is no store where one was expected.
    NotThere {
        path: PathBuf,
    },
    /// The system refuses to create or open the directory or a file.
    Denied {
        path: PathBuf,
        why: String,
    },
    ReadOnly {
        path: PathBuf,
    },
    Full {
        path: PathBuf,
    },
    Damaged {
        path: PathBuf,
        why: String,
    },
    /// It is a file of another program.
    NotAStore {
        path: PathBuf,
    },
    /// It was written by a newer parlor.
    Newer {
        path: PathBuf,
        version: u32,
        known: u32,
    },
    /// The file that is to be written is there already.
    Exists {
        path: PathBuf,
    },
    NoSuchRoom {
        room: String,
    },
    Other {
        path: PathBuf,
        why: String,
    },
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InUse {
                directory,
                pid: Some(pid),
            } => write!(
                f,
                "the store {} is in use by process {pid}: stop it first, or choose another \
                 directory",
                directory.display()
            ),
            Self::InUse {
                directory,
                pid: None,
            } => write!(
                f,
                "the store {} is in use by another process: stop it first, or choose another \
                 directory",
                directory.display()
            ),
            Self::NotADirectory { path } => write!(
                f,
                "{} is not a directory: the store needs a directory of its own",
                path.display()
            ),
            Self::NotThere { path } => {
                write!(f, "there is no store at {}: check the path", path.display())
            }
            Self::Denied { path, why } => write!(
                f,
                "{} cannot be opened ({why}): give this user access, or choose another directory",
                path.display()
            ),
            Self::ReadOnly { path } => write!(
                f,
                "{} is read-only: make it writable, or choose another directory",
                path.display()
            ),
            Self::Full { path } => write!(
                f,
                "the disk is full, so {} cannot be written: make room on it",
                path.display()
            ),
            Self::Damaged { path, why } => write!(
                f,
                "{} is damaged ({why}): restore a backup, or move it away to start with an empty \
                 store",
                path.display()
            ),
            Self::NotAStore { path } => write!(
                f,
                "{} belongs to another program: choose another directory",
                path.display()
            ),
            Self::Newer {
                path,
                version,
                known,
            } => write!(
                f,
                "{} has schema version {version} and this parlor knows {known} at most: use the \
                 newer parlor that wrote it",
                path.display()
            ),
            Self::Exists { path } => write!(
                f,
                "{} is there already: remove it, or choose another name",
                path.display()
            ),
            Self::NoSuchRoom { room } => write!(f, "the store has no room {room}"),
            Self::Other { path, why } => write!(f, "{}: {why}", path.display()),
        }
    }
}

impl std::error::Error for StoreError {}

impl StoreError {
    /// From an error of the system about a directory or a file.
    pub(super) fn from_io(path: &Path, error: &io::Error) -> Self {
        let path = path.to_owned();
        match error.kind() {
            io::ErrorKind::NotADirectory => Self::NotADirectory { path },
            io::ErrorKind::ReadOnlyFilesystem => Self::ReadOnly { path },
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::Full { path },
            io::ErrorKind::NotFound => Self::NotThere { path },
            io::ErrorKind::AlreadyExists => Self::Exists { path },
            _ => Self::Denied {
                path,
                why: error.to_string(),
            },
        }
    }

    /// From a fault while nothing is served yet, so that every damage is final.
    pub(super) fn from_fault(path: &Path, fault: Fault) -> Self {
        let path = path.to_owned();
        match fault.kind {
            FaultKind::Full => Self::Full { path },
            FaultKind::ReadOnly => Self::ReadOnly { path },
            FaultKind::Damaged => Self::Damaged {
                path,
                why: fault.why,
            },
            FaultKind::Busy => Self::InUse {
                directory: path,
                pid: None,
            },
            FaultKind::Io | FaultKind::Collision | FaultKind::Interrupted | FaultKind::Other => {
                Self::Other {
                    path,
                    why: fault.why,
                }
            }
        }
    }
}

/// Why a step failed. After it, nothing of the step is in the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) kind: FaultKind,
    pub(super) why: String,
}

/// What can be done about a [`Fault`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FaultKind {
    /// It goes on by itself when there is space.
    Full,
    /// It may work when tried again. After a failed fsync, the rows may be there.
    Io,
    ReadOnly,
    /// A part of the file cannot be read. Other parts may.
    Damaged,
    /// Another process has locked the file.
    Busy,
    /// A row is there with the number of another. Trying again changes nothing.
    Collision,
    /// By ourselves.
    Interrupted,
    Other,
}

impl Fault {
    pub(super) fn damaged(why: String) -> Self {
        Self {
            kind: FaultKind::Damaged,
            why,
        }
    }

    pub(super) fn collision(why: String) -> Self {
        Self {
            kind: FaultKind::Collision,
            why,
        }
    }

    /// Whether only one room has it, so that the others can go on without it.
    pub(super) fn stays_in_its_room(&self) -> bool {
        matches!(self.kind, FaultKind::Damaged | FaultKind::Collision)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.why)
    }
}

impl From<rusqlite::Error> for Fault {
    fn from(error: rusqlite::Error) -> Self {
        let (kind, why) = match &error {
            rusqlite::Error::SqliteFailure(code, text) => {
                let kind = match code.code {
                    ErrorCode::DiskFull => FaultKind::Full,
                    ErrorCode::SystemIoFailure => FaultKind::Io,
                    ErrorCode::ReadOnly | ErrorCode::CannotOpen => FaultKind::ReadOnly,
                    ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase => FaultKind::Damaged,
                    ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => FaultKind::Busy,
                    ErrorCode::ConstraintViolation => FaultKind::Collision,
                    ErrorCode::OperationInterrupted => FaultKind::Interrupted,
                    _ => FaultKind::Other,
                };
                let text = text.clone().unwrap_or_else(|| error.to_string());
                (kind, format!("{text}, SQLite code {}", code.extended_code))
            }
            // A value of another type than the schema's, as a damaged page may have.
            rusqlite::Error::FromSqlConversionFailure(..)
            | rusqlite::Error::IntegralValueOutOfRange(..)
            | rusqlite::Error::InvalidColumnType(..)
            | rusqlite::Error::Utf8Error(..) => (FaultKind::Damaged, error.to_string()),
            _ => (FaultKind::Other, error.to_string()),
        };
        Self { kind, why }
    }
}
