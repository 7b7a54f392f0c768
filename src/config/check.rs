//! What no single option shows: settings that do not go together.

use super::Config;

impl Config {
    pub(super) fn check(&self) -> Result<(), String> {
        if self.conn.silent_timeout <= self.conn.ping_after {
            return Err(String::from(
                "--silent-timeout must be longer than --ping-after, or nobody could answer a ping",
            ));
        }
        Ok(())
    }
}
