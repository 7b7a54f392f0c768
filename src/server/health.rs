//! Whether the server serves everything, for load balancers and operators. Knows the states that
//! exclude it, and no HTTP.

use super::Server;
use super::stop::Lifecycle;
use crate::log::AppendRefused;
use crate::net::Net;
use crate::page::Readiness;

impl<N: Net> Server<N> {
    /// As an error, a sentence that names the reason and nothing of the machine.
    pub(super) fn readiness(&self) -> Readiness {
        match self.lifecycle {
            Lifecycle::Serving => {}
            Lifecycle::Draining { .. } => return Err("The server is draining."),
            Lifecycle::Stopping { .. } | Lifecycle::Aborted => {
                return Err("The server is stopping.");
            }
        }
        if self.log.is_cut_off() {
            return Err("The link to the engine that the servers share is down.");
        }
        if !self.knows_facts() {
            return Err("The accounts and bans that the servers share are being read.");
        }
        match self.log.refuses() {
            None => Ok(()),
            Some(AppendRefused::Full) => Err("Too much waits to be stored."),
            Some(_) => Err("The store takes no writes."),
        }
    }
}
