//! The only place where connections are removed: from the slab, the wheel, the rooms and the
//! per-address table, once. Their sockets are closed with them.

use super::Server;
use crate::id::Tick;
use crate::net::Net;
use std::mem;

impl<N: Net> Server<N> {
    /// Removes every connection that is over. This turn's flush sends the leave notices.
    pub(super) fn reap(&mut self, now: Tick) {
        for id in mem::take(&mut self.connections.lists.ending) {
            self.leave(id, now);
            let Some(connection) = self.connections.remove(id) else {
                continue;
            };
            if let Some(address) = connection.source.counted_for() {
                self.addresses.leave(address);
            }
            self.pauses.remove(id);
            self.trimming.was_freed(now);
            self.stats.closed += 1;
            self.log_connection(id, format_args!("is closed"));
        }
    }
}
