//! What no single option shows: settings that do not go together.
//!
//! Compared in the units that the server counts in: ticks and what comes in one of them.

use super::Config;
use crate::id::{Tick, ticks};
use crate::options::show_duration;
use std::time::Duration;

/// Ticks in a second.
const TICKS_PER_SECOND: u32 = 1000 / Tick::MILLIS as u32;

impl Config {
    /// # Errors
    /// A sentence about two settings, their values and what to do.
    pub(super) fn check(&self) -> Result<(), String> {
        self.check_silence()?;
        self.check_rate()?;
        self.check_outbox()?;
        self.check_tail()?;
        self.check_history()?;
        self.check_proxies()
    }

    fn check_proxies(&self) -> Result<(), String> {
        if self.http.proxy_protocol && self.http.trusted_proxies.is_empty() {
            return Err(String::from(
                "--proxy-protocol needs a --trusted-proxy: with none, every connection would be \
                 closed",
            ));
        }
        Ok(())
    }

    /// A ping needs a tick of its own before the connection is given up.
    fn check_silence(&self) -> Result<(), String> {
        let (ping, silent) = (self.conn.ping_after, self.conn.silent_timeout);
        if ticks(silent) > ticks(ping) {
            return Ok(());
        }
        let length = |ticks| show_duration(Duration::from_millis(u64::from(ticks) * Tick::MILLIS));
        let because = if silent > ping {
            format!("both count as {}", length(ticks(ping)))
        } else {
            String::from("silence would end a connection before the answer to a ping could")
        };
        Err(format!(
            "--silent-timeout {} must be longer than --ping-after {}: {because}; it must be at \
             least {}",
            show_duration(silent),
            show_duration(ping),
            length(ticks(ping) + 1)
        ))
    }

    /// The allowance grows once a tick, up to the burst: what a tick brings beyond it is lost.
    fn check_rate(&self) -> Result<(), String> {
        let (rate, burst) = (self.chat.message_rate, self.chat.message_burst);
        let least = rate.div_ceil(TICKS_PER_SECOND);
        if burst >= least {
            return Ok(());
        }
        Err(format!(
            "--message-rate {rate} cannot be reached with --message-burst {burst}: {least} \
             messages may come within {}ms; raise --message-burst to {least}",
            Tick::MILLIS
        ))
    }

    /// An empty outbox takes one frame of any length, so longer messages would only come through
    /// to members for whom nothing waits. The echo of a conformance suite needs no more.
    fn check_outbox(&self) -> Result<(), String> {
        let (outbox, message) = (self.conn.outbox.bytes_max, self.ws.max_message_bytes);
        if outbox >= message || self.echo {
            return Ok(());
        }
        Err(format!(
            "--outbox-bytes {outbox} must not be less than --max-message-bytes {message}: two \
             messages in a row would never be delivered to a member"
        ))
    }

    /// A member that falls behind reads on from the tail when its outbox has drained: what did not
    /// fit and what came meanwhile must still be there, or every slow client reads from the disk.
    fn check_tail(&self) -> Result<(), String> {
        let (tail, outbox) = (self.log.tail_bytes, self.conn.outbox.bytes_max);
        let least = outbox.saturating_mul(2);
        if tail >= least || self.echo {
            return Ok(());
        }
        Err(format!(
            "--tail-bytes {tail} must be at least twice --outbox-bytes {outbox}: what a client has \
             not read would be gone from memory before it could; it must be at least {least}"
        ))
    }

    fn check_history(&self) -> Result<(), String> {
        let (lines, most) = (self.log.history_lines, self.log.catch_up_max);
        if lines <= most {
            return Ok(());
        }
        Err(format!(
            "--history-lines {lines} must not be more than --catch-up-max {most}: a newcomer would \
             begin with a gap"
        ))
    }
}
