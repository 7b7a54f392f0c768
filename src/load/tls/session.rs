//! The sessions that connections resume with `--tls-resume`: each of TLS 1.3 once, as a client
//! must that does not want to be recognized (RFC 8446 appendix C.4). A server gives every connection
//! a ticket, so there are soon as many as connections begin at the same time.

use rustls::NamedGroup;
use rustls::client::{ClientSessionStore, Tls12ClientSessionValue, Tls13ClientSessionValue};
use rustls::pki_types::ServerName;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Connections that begin before the first of them has a ticket. More tickets are dropped.
const TICKETS_MAX: usize = 1024;

/// All connections are to one server, so names are not compared.
#[derive(Debug, Default)]
pub(super) struct Sessions(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    group: Option<NamedGroup>,
    /// TLS 1.2.
    session: Option<Tls12ClientSessionValue>,
    /// TLS 1.3.
    tickets: Vec<Tls13ClientSessionValue>,
}

impl Sessions {
    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ClientSessionStore for Sessions {
    fn set_kx_hint(&self, _name: ServerName<'static>, group: NamedGroup) {
        self.known().group = Some(group);
    }

    fn kx_hint(&self, _name: &ServerName<'_>) -> Option<NamedGroup> {
        self.known().group
    }

    fn set_tls12_session(&self, _name: ServerName<'static>, session: Tls12ClientSessionValue) {
        self.known().session = Some(session);
    }

    fn tls12_session(&self, _name: &ServerName<'_>) -> Option<Tls12ClientSessionValue> {
        self.known().session.clone()
    }

    fn remove_tls12_session(&self, _name: &ServerName<'static>) {
        self.known().session = None;
    }

    fn insert_tls13_ticket(&self, _name: ServerName<'static>, ticket: Tls13ClientSessionValue) {
        let mut known = self.known();
        if known.tickets.len() < TICKETS_MAX {
            known.tickets.push(ticket);
        }
    }

    fn take_tls13_ticket(&self, _name: &ServerName<'static>) -> Option<Tls13ClientSessionValue> {
        self.known().tickets.pop()
    }
}
