//! The only place where a connection ends: it leaves the slab, the wheel, the rooms and the
//! per-address table, once, and its socket is closed.

use super::Server;
use crate::id::Tick;
use crate::net::Net;
use std::mem;

impl<N: Net> Server<N> {
    /// Removes every connection that is over. The notices that causes go out in this turn's flush.
    pub(super) fn reap(&mut self, now: Tick) {
        for id in mem::take(&mut self.connections.lists.ending) {
            self.leave(id, now);
            let Some(connection) = self.connections.remove(id) else {
                continue;
            };
            if let Some(address) = connection.source.counted_for() {
                self.addresses.leave(address);
            }
            self.trimming.was_freed(now);
            self.stats.closed += 1;
            self.log_connection(id, format_args!("is closed"));
        }
    }
}
