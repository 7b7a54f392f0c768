//! What an operator sets about the store.

use crate::log::Bounds;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// Where entries are kept, and how many.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Made if it is not there. One process at a time uses it.
    pub directory: PathBuf,
    pub sync: StoreSync,
    /// Entries older than this are removed; 0: none.
    pub keep_days: u32,
    /// Of a room with more entries, the oldest are removed; 0: none. A room may exceed it by
    /// [`SLACK`](super::SLACK) for a while.
    pub keep_messages: u32,
    /// Rows of the audit log older than this are removed; 0: none.
    pub audit_days: u32,
    /// When the file has so many bytes in use, the oldest entries of the room with the most are
    /// removed; 0: it may grow.
    pub max_bytes: u64,
    /// A warning is logged when the file system has fewer free bytes; 0: never.
    pub low_disk_bytes: u64,
}

impl Settings {
    /// What applies where nothing was set.
    pub fn in_directory(directory: PathBuf) -> Self {
        Self {
            directory,
            sync: StoreSync::Full,
            keep_days: 30,
            keep_messages: 10_000,
            audit_days: 365,
            max_bytes: 0,
            low_disk_bytes: 256 << 20,
        }
    }
}

impl Settings {
    /// What can change while the store is open.
    pub const fn bounds(&self) -> Bounds {
        Bounds {
            keep_days: self.keep_days,
            keep_messages: self.keep_messages,
            audit_days: self.audit_days,
            max_bytes: self.max_bytes,
            low_disk_bytes: self.low_disk_bytes,
        }
    }
}

impl Default for Settings {
    /// In no directory yet.
    fn default() -> Self {
        Self::in_directory(PathBuf::new())
    }
}

/// What a stored entry survives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreSync {
    /// A power cut: each commit waits for the disk.
    Full,
    /// A crash of the process. A power cut may take the last commits; what is left is consistent.
    Normal,
}

impl FromStr for StoreSync {
    type Err = String;

    fn from_str(value: &str) -> Result<Self, String> {
        match value {
            "full" => Ok(Self::Full),
            "normal" => Ok(Self::Normal),
            _ => Err(String::from("expected full or normal")),
        }
    }
}

impl fmt::Display for StoreSync {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full => "full",
            Self::Normal => "normal",
        })
    }
}
