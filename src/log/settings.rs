//! What an operator sets about the log.

/// How much of the rooms' past is in memory, and how much of it members get by themselves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The recent entries of all rooms. Half of it may wait to be stored; beyond that, messages are
    /// refused.
    pub tail_bytes: usize,
    /// Encoded entries that are kept for the next reader.
    pub blocks_bytes: usize,
    /// Entries that a member that is behind gets; beyond that, a gap.
    pub catch_up_max: u32,
    /// Entries that a member of plain text sees of a room's past.
    pub history_lines: u32,
    /// Rooms that may be open at the same time.
    pub rooms_max: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            tail_bytes: 4 << 20,
            blocks_bytes: 1 << 20,
            catch_up_max: 1_000,
            history_lines: 20,
            rooms_max: 65_536,
        }
    }
}
