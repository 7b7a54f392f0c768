//! The directory of a store and the lock that gives it to one process. Knows no table.

use super::error::StoreError;
use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// The file with the tables.
const FILE: &str = "parlor.db";
/// The file that is locked, with the process's id in it.
const LOCK: &str = "lock";
/// The copy that a running server checks.
const CHECKED: &str = "check.tmp";

/// A directory that no other process uses while this lives.
#[derive(Debug)]
pub(super) struct Place {
    directory: PathBuf,
    _lock: File,
}

/// The database of a store in a directory.
pub(super) fn file_in(directory: &Path) -> PathBuf {
    directory.join(FILE)
}

impl Place {
    /// Makes the directory if it is not there.
    pub(super) fn make(directory: &Path) -> Result<Self, StoreError> {
        let directory = absolute(directory)?;
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&directory)
            .map_err(|error| match error.kind() {
                std::io::ErrorKind::AlreadyExists => StoreError::NotADirectory {
                    path: directory.clone(),
                },
                _ => StoreError::from_io(&directory, &error),
            })?;
        let place = Self::lock(directory)?;
        let file = place.file();
        if !file.exists() {
            // Before SQLite opens it: a POSIX lock goes with any close of the file.
            OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(&file)
                .and_then(|_| File::open(&place.directory)?.sync_all())
                .map_err(|error| StoreError::from_io(&file, &error))?;
        }
        Ok(place)
    }

    /// A store that is there already.
    pub(super) fn take(directory: &Path) -> Result<Self, StoreError> {
        let directory = absolute(directory)?;
        if !directory.join(FILE).exists() {
            return Err(StoreError::NotThere {
                path: directory.join(FILE),
            });
        }
        Self::lock(directory)
    }

    pub(super) fn file(&self) -> PathBuf {
        file_in(&self.directory)
    }

    /// For a copy that is checked and removed.
    pub(super) fn checked(&self) -> PathBuf {
        self.directory.join(CHECKED)
    }

    fn lock(directory: PathBuf) -> Result<Self, StoreError> {
        let path = directory.join(LOCK);
        let refused = |error| StoreError::from_io(&path, &error);
        let mut lock = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(refused)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut text = String::new();
                // Without a readable number, the refusal names no process.
                let _ = lock.read_to_string(&mut text);
                return Err(StoreError::InUse {
                    directory,
                    pid: text.trim().parse().ok(),
                });
            }
            Err(TryLockError::Error(error)) => return Err(refused(error)),
        }
        lock.set_len(0)
            .and_then(|()| lock.rewind())
            .and_then(|()| writeln!(lock, "{}", std::process::id()))
            .map_err(refused)?;
        Ok(Self {
            directory,
            _lock: lock,
        })
    }
}

/// So that error texts name the place, and no name is taken for a URI.
pub(super) fn absolute(path: &Path) -> Result<PathBuf, StoreError> {
    std::path::absolute(path).map_err(|error| StoreError::from_io(path, &error))
}

/// A new file for a copy, which only its owner may read. Returns the name under which it is written
/// until it is whole.
pub(super) fn new_copy(path: &Path) -> Result<PathBuf, StoreError> {
    if path.exists() {
        return Err(StoreError::Exists {
            path: path.to_owned(),
        });
    }
    let mut part = path.as_os_str().to_owned();
    part.push(".part");
    let part = PathBuf::from(part);
    // Left by a copy that was cut short.
    let _ = fs::remove_file(&part);
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&part)
        .map_err(|error| StoreError::from_io(&part, &error))?;
    Ok(part)
}

/// Gives a whole copy its name.
pub(super) fn keep_copy(part: &Path, path: &Path) -> Result<(), StoreError> {
    let refused = |error| StoreError::from_io(path, &error);
    fs::rename(part, path).map_err(refused)?;
    let folder = path.parent().unwrap_or_else(|| Path::new("/"));
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(refused)
}
