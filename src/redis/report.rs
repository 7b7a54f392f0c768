//! What an operator is told of the engine. Sentences for the log; knows no logger.

use crate::id::Seq;
use crate::log::EpochInfo;
use smol_str::SmolStr;
use std::fmt;

/// A line for the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Report {
    /// Both links are there, and rooms are being subscribed to again.
    Up { version: String },
    /// A link was lost, or could not be established. Other attempts follow, and are reported where
    /// they fail for another reason.
    Down { why: String },
    /// Redis is not set up as it should be, but can be used.
    Warning(String),
    /// Redis cannot be used as it is set up: reported before the first [`Report::Up`] alone, and
    /// the program must end.
    Unfit(String),
    /// A room has a new epoch, and lost entries that this server had: those above `kept_to`.
    Lost {
        room: SmolStr,
        kept_to: Seq,
        seen: Seq,
        epoch: EpochInfo,
    },
    /// Entries of a room are not kept any more, and were not seen here.
    Missed { room: SmolStr, oldest: Seq },
    /// An entry of a room cannot be read, and is skipped.
    Unreadable {
        room: SmolStr,
        seq: Seq,
        why: &'static str,
    },
    /// Redis has lost changes of the registry that this server had: those above `kept_to`.
    ChangesLost { kept_to: u64, seen: u64 },
    /// A change of the registry, or a fact, cannot be read, and is skipped.
    UnreadableFact { why: &'static str },
    /// Redis refuses a command.
    Refused { what: &'static str, why: String },
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Up { version } => write!(f, "connected to {version}"),
            Self::Down { why } => write!(
                f,
                "the link to Redis is down: {why}. Messages wait until it is back"
            ),
            Self::Warning(text) => f.write_str(text),
            Self::Unfit(text) => f.write_str(text),
            Self::Lost {
                room,
                kept_to,
                seen,
                epoch,
            } => write!(
                f,
                "Redis has lost the entries of room {room} above {}, of which this server had \
                 seen {}. The room goes on in epoch {}-{:08x}",
                kept_to.0, seen.0, epoch.epoch, epoch.salt
            ),
            Self::Missed { room, oldest } => write!(
                f,
                "entries of room {room} before {} were removed from Redis before this server had \
                 read them. Keep more entries of a room, or look for what held the server up",
                oldest.0
            ),
            Self::Unreadable { room, seq, why } => write!(
                f,
                "entry {} of room {room} is skipped: {why}. Is another server of a newer version?",
                seq.0
            ),
            Self::ChangesLost { kept_to, seen } => write!(
                f,
                "Redis has lost changes of accounts, roles, bans and rules above {kept_to}, of which \
                 this server had seen {seen}: what they changed is as it was before"
            ),
            Self::UnreadableFact { why } => write!(
                f,
                "a change of accounts, roles, bans or rules is skipped: {why}. Is another server of a \
                 newer version?"
            ),
            Self::Refused { what, why } => write!(f, "Redis has refused to {what}: {why}"),
        }
    }
}

/// What the engine has counted since the start, for metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    pub is_up: bool,
    /// How long the oldest request has been waiting, to a tick; 0: none waits.
    pub lag_ms: u64,
    /// Times that both links were established.
    pub ups: u64,
    /// Runs of entries that were published and did not come, and were read from a stream.
    pub refills: u64,
    /// Entries that were read for that.
    pub refilled: u64,
    /// Entries that were not kept any more when they were to be read.
    pub missed: u64,
    /// New epochs of rooms that this server has seen begin.
    pub epochs: u64,
    /// Of those, the ones with which entries were lost that it had.
    pub losses: u64,
    /// Scripts that Redis has run since its start, for all servers, and the microseconds they took,
    /// as of the last two seconds.
    pub script_calls: u64,
    pub script_micros: u64,
    /// Requests that were sent and not answered.
    pub under_way: usize,
    /// Entries that were sent and not numbered.
    pub unnumbered: usize,
    /// Rooms that are open, and those of them that are not subscribed to.
    pub rooms: usize,
    pub rooms_waiting: usize,
}
