//! What an operator sets about rooms and their members.

use super::filter::{Filter, Filtering};
use super::nick::{Nick, RoomName};
use smol_str::SmolStr;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// Rates, notices, rooms, operators and the word filter.
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
    /// Who makes rooms.
    pub rooms: RoomPolicy,
    /// Rooms that are there without members and entries. No member owns them.
    pub listed_rooms: Vec<RoomName>,
    /// For how long members may edit and delete what they said; 0: never.
    pub edit_window: Duration,
    /// Whether guests may register, and whether they may be there.
    pub accounts: AccountPolicy,
    /// Accounts in all: each takes some 500 bytes of memory.
    pub accounts_max: usize,
    /// The token that makes a member an operator; `None`: there is none without a name.
    pub operator_token: Option<String>,
    /// More of them, with names.
    pub operators: Vec<Operator>,
    /// Words that members do not say.
    pub filter: Option<Filter>,
    pub filtering: Filtering,
}

/// A token that makes a member an operator.
#[derive(Clone, PartialEq, Eq)]
pub struct Operator {
    /// As the audit log has it.
    pub name: SmolStr,
    pub token: String,
}

/// Operators with names of their own.
const OPERATORS_MAX: usize = 200;

/// What a token without a name of its own is called.
const UNNAMED: SmolStr = SmolStr::new_static("operator");

impl fmt::Debug for Operator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A token must not come into a log.
        write!(f, "Operator({})", self.name)
    }
}

impl Operator {
    /// The operators of a list: lines of a name and a token. Empty ones and those that begin with
    /// `#` are skipped.
    ///
    /// # Errors
    /// A sentence about the first line that is wrong. It has no token.
    pub fn parse_list(list: &str) -> Result<Vec<Self>, String> {
        let mut operators: Vec<Self> = Vec::new();
        for (line, number) in list.lines().zip(1..) {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let wrong = |why: &str| Err(format!("line {number}: {why}"));
            let Some((name, token)) = line.split_once(char::is_whitespace) else {
                return wrong("expected a name and a token");
            };
            let token = token.trim_start();
            if Nick::parse(name).is_err() {
                return wrong("the name must be one that a member can have");
            }
            if operators.iter().any(|other| other.name == name) {
                return wrong("this name is there twice");
            }
            if operators.iter().any(|other| other.token == token) {
                return wrong("this token is another operator's");
            }
            operators.push(Self {
                name: name.into(),
                token: token.to_owned(),
            });
        }
        if operators.len() > OPERATORS_MAX {
            return Err(format!("there are more than {OPERATORS_MAX} operators"));
        }
        Ok(operators)
    }
}

impl Settings {
    /// All operators.
    pub(super) fn all_operators(&self) -> Vec<Operator> {
        let unnamed = self.operator_token.iter().map(|token| Operator {
            name: UNNAMED,
            token: token.clone(),
        });
        unnamed.chain(self.operators.iter().cloned()).collect()
    }
}

/// Who makes rooms.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RoomPolicy {
    /// Any user, by joining one.
    #[default]
    Open,
    /// Those alone who may where others may not.
    Listed,
}

impl RoomPolicy {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Listed => "listed",
        }
    }
}

impl FromStr for RoomPolicy {
    type Err = String;

    fn from_str(value: &str) -> Result<Self, String> {
        let all = [Self::Open, Self::Listed];
        let found = all.into_iter().find(|policy| policy.name() == value);
        found.ok_or_else(|| String::from("expected open or listed"))
    }
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
            rooms: RoomPolicy::default(),
            listed_rooms: Vec::new(),
            edit_window: Duration::from_secs(15 * 60),
            accounts: AccountPolicy::default(),
            accounts_max: 100_000,
            operator_token: None,
            operators: Vec::new(),
            filter: None,
            filtering: Filtering::default(),
        }
    }
}

impl Settings {
    pub fn edit_window_millis(&self) -> u64 {
        u64::try_from(self.edit_window.as_millis()).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn list_of_operators_has_a_name_and_a_token_a_line() {
        let list = "# us\n\nann  s3cret token\r\nbob\tother";
        let operators = Operator::parse_list(list).expect("a good list");
        let found: Vec<(&str, &str)> = operators
            .iter()
            .map(|operator| (operator.name.as_str(), operator.token.as_str()))
            .collect();
        assert_eq!(found, [("ann", "s3cret token"), ("bob", "other")]);
        assert!(!format!("{operators:?}").contains("other"));
    }

    #[test]
    fn wrong_line_of_operators_is_named_without_its_token() {
        for (list, expected) in [
            ("ann x\nbob", "line 2: expected a name and a token"),
            ("a,b token", "line 1: the name must be one"),
            ("ann x\nann token", "line 2: this name is there twice"),
            ("ann token\n\nbob token", "line 3: this token is another"),
        ] {
            let sentence = Operator::parse_list(list).expect_err("a bad list");
            assert!(sentence.starts_with(expected), "{sentence}");
            assert!(!sentence.contains("token\n") && sentence.lines().count() == 1);
        }
    }
}
