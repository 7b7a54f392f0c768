//! Writes to connections, and keeps what their sockets do not accept.

use super::Worker;
use crate::id::ConnId;
use crate::net::{Ready, Write};
use std::io;

/// Masks of what clients send (RFC 6455 §5.3). They need not be unpredictable here, since no
/// attacker chooses the payload; they must differ, as those of real clients do.
pub(super) struct Masks(u64);

impl Masks {
    pub(super) fn new() -> io::Result<Self> {
        let mut seed = [0; 8];
        getrandom::fill(&mut seed)
            .map_err(|error| io::Error::other(format!("no random numbers: {error}")))?;
        Ok(Self(u64::from_ne_bytes(seed) | 1))
    }

    pub(super) const fn next(&mut self) -> [u8; 4] {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        ((self.0 >> 32) as u32).to_ne_bytes()
    }
}

impl Worker {
    pub(super) fn send(&mut self, id: ConnId, bytes: &[u8]) {
        let Some(client) = self.slots.get_mut(id) else {
            return;
        };
        let waits = !client.unsent.is_empty();
        match &mut client.tls {
            None => client.unsent.extend_from_slice(bytes),
            Some(tls) => tls.seal(bytes, &mut client.unsent),
        }
        // Behind older bytes it waits for the socket like these.
        if !waits {
            self.flush(id);
        }
    }

    pub(super) fn flush(&mut self, id: ConnId) {
        let Some(client) = self.slots.get_mut(id) else {
            return;
        };
        let mut written = 0;
        while written < client.unsent.len() {
            let rest = &client.unsent[written..];
            match self.dialer.write(&mut client.stream, rest) {
                Write::Bytes(count) => written += count,
                Write::Blocked => break,
                // No event follows: the next turn tries again.
                Write::Retry => {
                    self.unread.push(Ready::Connection {
                        id,
                        readable: false,
                        writable: true,
                        ended: false,
                    });
                    break;
                }
                // Reading finds the reason: the server's last frames may have arrived.
                Write::Gone => written = client.unsent.len(),
            }
        }
        client.unsent.drain(..written);
        if client.unsent.is_empty() {
            client.unsent = Vec::new();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masks_differ() {
        let mut masks = Masks::new().unwrap();
        let mut seen: Vec<[u8; 4]> = (0..100).map(|_| masks.next()).collect();
        seen.sort_unstable();
        seen.dedup();
        assert!(seen.len() > 95);
    }
}
