//! What an operator sets about rooms and their members.

use std::str::FromStr;
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
    /// Whether guests may register, and whether they may be there.
    pub accounts: AccountPolicy,
    /// Accounts in all: each takes some 500 bytes of memory.
    pub accounts_max: usize,
    /// The token that makes a member an operator; `None`: there are no operators.
    pub operator_token: Option<String>,
}

/// What accounts are on this server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AccountPolicy {
    /// Guests may register.
    #[default]
    Open,
    /// Accounts are made by operators and by signed tokens.
    Closed,
    /// As open, and guests may do nothing but register and log in.
    Required,
}

impl AccountPolicy {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Closed => "closed",
            Self::Required => "required",
        }
    }
}

impl FromStr for AccountPolicy {
    type Err = String;

    fn from_str(value: &str) -> Result<Self, String> {
        let all = [Self::Open, Self::Closed, Self::Required];
        let found = all.into_iter().find(|policy| policy.name() == value);
        found.ok_or_else(|| String::from("expected open, closed or required"))
    }
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
            accounts: AccountPolicy::default(),
            accounts_max: 100_000,
            operator_token: None,
        }
    }
}

impl Settings {
    pub fn edit_window_millis(&self) -> u64 {
        u64::try_from(self.edit_window.as_millis()).unwrap_or(u64::MAX)
    }
}
