//! What an operator sets about the log.

use std::fmt;
use std::str::FromStr;

/// How lines are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// For people: the time, the level, the target and the text.
    #[default]
    Text,
    /// A JSON object a line.
    Json,
}

impl FromStr for Format {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        match word {
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            _ => Err(String::from("expected text or json")),
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Text => "text",
            Self::Json => "json",
        })
    }
}

/// What the lines are written for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sink {
    pub format: Format,
    /// Standard error is the journal of systemd, which has times of its own and takes a priority
    /// before the text (sd-daemon(3)).
    pub is_journal: bool,
}
