//! What an operator sets about the engine, but for where it is: that is the driver's.

use super::scripts::Keep;
use std::fmt;

/// How Redis is used.
#[derive(Clone, PartialEq, Eq)]
pub struct Settings {
    /// A user of its access list; `None`: the default user.
    pub user: Option<String>,
    /// `None`: it asks for none.
    pub password: Option<String>,
    /// How the connections are named in its list of clients, before `-commands` and
    /// `-subscriptions`. Without spaces.
    pub client_name: String,
    pub keep: Keep,
}

/// For so long a key is known: two minutes, which is the promise to clients.
pub const DEDUPE_MS: u64 = 120_000;

impl Default for Settings {
    fn default() -> Self {
        Self {
            user: None,
            password: None,
            client_name: String::from("parlor"),
            keep: Keep {
                dedupe_ms: DEDUPE_MS,
                entries_max: 10_000,
            },
        }
    }
}

impl fmt::Debug for Settings {
    /// Without the password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("user", &self.user)
            .field("client_name", &self.client_name)
            .field("keep", &self.keep)
            .finish_non_exhaustive()
    }
}
