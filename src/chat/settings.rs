//! What an operator sets about rooms and their members.

use std::time::Duration;

/// Rates, notices, rooms and the operator token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Messages a second from one member; 0: no limit.
    pub message_rate: u32,
    /// Messages that may come at once before the rate counts.
    pub message_burst: u32,
    /// Up to this many members, every join and leave is announced by itself.
    pub notice_members: usize,
    /// How often joins and leaves are summed up in a larger room.
    pub notice_interval: Duration,
    /// Rooms that one connection may be in.
    pub rooms_per_connection: usize,
    /// For how long members may edit and delete what they said; 0: never.
    pub edit_window: Duration,
    /// The token that makes a member an operator; `None`: there are no operators.
    pub operator_token: Option<String>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            message_rate: 10,
            message_burst: 20,
            notice_members: 100,
            notice_interval: Duration::from_secs(3),
            rooms_per_connection: 16,
            edit_window: Duration::from_secs(15 * 60),
            operator_token: None,
        }
    }
}

impl Settings {
    pub fn edit_window_millis(&self) -> u64 {
        u64::try_from(self.edit_window.as_millis()).unwrap_or(u64::MAX)
    }
}
