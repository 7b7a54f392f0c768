//! Connections whose time or place is limited: those that must log in, and those that are logged in
//! by a signed token, until it expires and in some rooms alone. Others cost nothing. Knows no key and
//! no claim.

use super::Server;
use super::accounts::ticks_until;
use super::opening::Waiter;
use crate::carry::{Carrier, Damaged, carried};
use crate::chat::RoomName;
use crate::id::{ConnId, Millis, Tick};
use crate::net::Net;
use crate::ws::CloseReason;
use smol_str::SmolStr;
use std::collections::{BTreeMap, BTreeSet};

/// How long a client may take to log in where it must: a minute.
pub(super) const LOGIN_TICKS: u32 = 600;

/// Deadlines handled in one turn.
const EXPIRED_PER_TURN: usize = 256;

#[derive(Default)]
pub(super) struct Terms {
    by_connection: BTreeMap<ConnId, (Tick, Term)>,
    due: BTreeSet<(Tick, ConnId)>,
}

enum Term {
    /// It must log in, and enters this room then.
    LogIn { then: Option<(RoomName, Waiter)> },
    /// Its token expires.
    Token {
        expires: Millis,
        /// `None`: it may enter any.
        rooms: Option<Vec<SmolStr>>,
    },
}

carried!(enum Term { 0 = LogIn { then }, 1 = Token { expires, rooms } });

impl Terms {
    pub(super) fn carry(&mut self, carrier: &mut Carrier<'_>) -> Result<(), Damaged> {
        carrier.field(&mut self.by_connection)?;
        let all = self.by_connection.iter();
        self.due = all.map(|(id, (due, _))| (*due, *id)).collect();
        Ok(())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.by_connection.is_empty() && self.due.is_empty()
    }

    fn set(&mut self, id: ConnId, due: Tick, term: Term) {
        self.forget(id);
        self.by_connection.insert(id, (due, term));
        self.due.insert((due, id));
    }

    pub(super) fn must_log_in(&mut self, id: ConnId, due: Tick, then: Option<(RoomName, Waiter)>) {
        self.set(id, due, Term::LogIn { then });
    }

    pub(super) fn set_token(
        &mut self,
        id: ConnId,
        (due, expires): (Tick, Millis),
        rooms: Option<Vec<SmolStr>>,
    ) {
        self.set(id, due, Term::Token { expires, rooms });
    }

    /// A client has logged in. Returns the room that it waited for.
    pub(super) fn logged_in(&mut self, id: ConnId) -> Option<(RoomName, Waiter)> {
        if !matches!(self.by_connection.get(&id)?.1, Term::LogIn { .. }) {
            return None;
        }
        match self.take(id)? {
            Term::LogIn { then } => then,
            Term::Token { .. } => None,
        }
    }

    pub(super) fn forget(&mut self, id: ConnId) {
        self.take(id);
    }

    fn take(&mut self, id: ConnId) -> Option<Term> {
        let (due, term) = self.by_connection.remove(&id)?;
        self.due.remove(&(due, id));
        Some(term)
    }

    /// Whether a client may enter a room of this name, as far as its token says.
    pub(super) fn may_enter(&self, id: ConnId, room: &RoomName) -> bool {
        match self.by_connection.get(&id) {
            Some((
                _,
                Term::Token {
                    rooms: Some(rooms), ..
                },
            )) => rooms.iter().any(|name| name == room.as_str()),
            Some((_, Term::Token { rooms: None, .. } | Term::LogIn { .. })) | None => true,
        }
    }

    /// When [`Server::expire_terms`] has something to do.
    pub(super) fn next_tick(&self) -> Option<Tick> {
        self.due.first().map(|(due, _)| *due)
    }
}

impl<N: Net> Server<N> {
    /// Ends the connections whose time is over.
    pub(super) fn expire_terms(&mut self, now: Tick) {
        for _ in 0..EXPIRED_PER_TURN {
            let Some((due, id)) = self.accounts.terms.due.first().copied() else {
                return;
            };
            if due > now {
                return;
            }
            let Some(term) = self.accounts.terms.take(id) else {
                continue;
            };
            match term {
                Term::LogIn { .. } => self.part(id, &CloseReason::LoginRequired, now),
                Term::Token { expires, rooms } => {
                    let wall = self.net.wall();
                    if wall < expires {
                        let later = now + ticks_until(expires.0, wall.0);
                        self.accounts.terms.set_token(id, (later, expires), rooms);
                    } else {
                        self.part(id, &CloseReason::TokenExpired, now);
                    }
                }
            }
        }
    }
}
