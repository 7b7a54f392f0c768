//! What an operator sets about the store.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// Where history is kept, how safely, and how much of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    pub place: Place,
    pub sync: Sync,
    /// Days for which an entry is kept; 0: for ever.
    pub keep_days: u32,
    /// Entries that are kept of each room; 0: all.
    pub keep_messages: u32,
    /// What the store's files may take on the disk, in MiB; 0: no limit.
    pub size_mib_max: u32,
}

/// Where history is kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Place {
    /// None is named: the directory that the environment has for a program's state, and memory if
    /// nothing can be written there.
    #[default]
    Unnamed,
    /// Only the newest entries, while the server runs.
    Memory,
    Directory(PathBuf),
}

/// What a commit waits for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sync {
    /// The disk: an acknowledged entry survives a power cut.
    #[default]
    Full,
    /// The system: an acknowledged entry survives the end of the process, but a power cut may take
    /// the last ones.
    Normal,
}

impl FromStr for Place {
    type Err = String;

    fn from_str(value: &str) -> Result<Self, String> {
        match value {
            "" => Err(String::from("expected a directory or memory")),
            "memory" => Ok(Self::Memory),
            path => Ok(Self::Directory(PathBuf::from(path))),
        }
    }
}

impl FromStr for Sync {
    type Err = String;

    fn from_str(value: &str) -> Result<Self, String> {
        match value {
            "full" => Ok(Self::Full),
            "normal" => Ok(Self::Normal),
            _ => Err(String::from("expected full or normal")),
        }
    }
}

impl fmt::Display for Sync {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full => "full",
            Self::Normal => "normal",
        })
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            place: Place::default(),
            sync: Sync::default(),
            keep_days: 30,
            keep_messages: 10_000,
            size_mib_max: 0,
        }
    }
}
