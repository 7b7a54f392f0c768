//! Sessions of clients that are programs: the greeting, and how a client that returns takes the
//! place of its earlier connection. Knows no encoding.

use super::Server;
use crate::chat::{self, Event, Identity, Refused};
use crate::id::{ConnId, Tick};
use crate::log::{self, Key};
use crate::net::Net;
use crate::session::Claim;
use crate::wire::{Done, HISTORY_MAX, Hello, Limits, Problem, Shown};
use crate::ws::{self, CloseReason};

/// What a client is greeted with as the name of the server.
const SERVER: &str = concat!("parlor ", env!("CARGO_PKG_VERSION"));

impl<N: Net> Server<N> {
    /// The first that a new client is shown. `refused`: why it has not the nick it asked for.
    pub(super) fn greet(&mut self, id: ConnId, refused: Option<Refused>, now: Tick) {
        let session = self.sessions.of(id);
        let session = session.unwrap_or_else(|| self.sessions.begin(id));
        let token = self.token(id, session);
        let Some(nick) = self.talk.chat().nick_of(id).cloned() else {
            return;
        };
        let account = self.talk.chat().account_name(id).cloned();
        let hello = Hello {
            server: SERVER,
            nick: nick.as_str(),
            session: &token,
            accounts: self.accounts.policy.name(),
            account: account.as_deref(),
            limits: self.limits,
            ping_after_millis: self.deadlines.ping_after_millis(),
            time: self.net.wall(),
        };
        self.show(id, &Shown::Hello(hello), now);
        self.show_link(id, now);
        if let Some(refused) = refused {
            self.show(id, &Shown::Event(&Event::Refused(refused)), now);
        }
    }

    /// A client goes on as an earlier connection: with its nick, and in its place if that still
    /// stands. Only as its first request, for it must be in no room yet.
    pub(super) fn resume(&mut self, id: ConnId, token: &str, now: Tick) {
        if self.talk.chat().is_in_a_room(id) {
            return self.answer_problem(id, Problem::NotFirst, now);
        }
        let Some(claim) = self.sessions.verify(token) else {
            return self.answer_problem(id, Problem::NoSuchSession, now);
        };
        self.take_over(id, &claim, now);
        if !self.resumes_later(id, claim, now) {
            self.resumes(id, claim, now);
            self.claims_with_session(id, Some(claim));
        }
    }

    /// A client has the session of an earlier connection from here on, and is answered.
    pub(super) fn resumes(&mut self, id: ConnId, claim: Claim, now: Tick) {
        self.guest_returns(id, claim.session, now);
        self.sessions.adopt(id, claim.session);
        self.log.resumed(claim.session, now);
        let moment = (now, self.net.wall());
        self.chat_step(now, |chat, effects| {
            chat.resume_account(id, claim.session, moment, effects);
        });
        let account = self.talk.chat().account_name(id).cloned();
        let Some(nick) = self.talk.chat().nick_of(id).cloned() else {
            return;
        };
        let session = self.token(id, claim.session);
        let done = Done::Resumed {
            nick: nick.as_str(),
            session: &session,
            account: account.as_deref(),
        };
        self.asking.is_answered = true;
        let request = self.asking.request.clone();
        let re = request.as_ref();
        self.show(id, &Shown::Ok { re, done }, now);
        if account.is_some() {
            self.has_logged_in(id, now);
        }
    }

    /// Closes the last connection of a session if it still stands, and takes its nick.
    fn take_over(&mut self, id: ConnId, claim: &Claim, now: Tick) {
        let Some(earlier) = self.connection_of(claim).filter(|earlier| *earlier != id) else {
            return;
        };
        // The slot may be another connection's by now.
        let Some(nick) = self.talk.chat().nick_of(earlier).cloned() else {
            return;
        };
        self.chat_step(now, |chat, effects| chat.succeeds(earlier, id, effects));
        self.part(earlier, &CloseReason::Replaced, now);
        self.user_takes_nick(id, &nick);
    }

    /// The connection that has a session: that of the claim, or a later one, whose client did not
    /// get the answer to its `resume` and comes back with the older token.
    fn connection_of(&self, claim: &Claim) -> Option<ConnId> {
        let claimed = claim.connection;
        let is_of_this_start = claim.epoch == self.log.epoch_info().epoch;
        if is_of_this_start && self.sessions.of(claimed) == Some(claim.session) {
            return Some(claimed);
        }
        let slot = self.sessions.slot_of(claim.session)?;
        self.connections.id_of(slot)
    }

    /// By which a message that is sent again is known.
    pub(super) fn key(&self, id: ConnId, key: Option<&str>) -> Option<Key> {
        Some(Key {
            session: self.sessions.of(id)?,
            key: key?.into(),
        })
    }

    /// By what a user is known as the author of messages.
    pub(super) fn identity(&self, id: ConnId) -> Identity {
        Identity {
            connection: id,
            session: self.sessions.of(id).or_else(|| self.made_up_session(id)),
            account: self.talk.chat().account_of(id),
        }
    }

    /// Other servers have connections of the same ids: a client without a session is known to them
    /// by a number that no other client has.
    fn made_up_session(&self, id: ConnId) -> Option<u64> {
        let start = self.log.epoch_info();
        let start = u64::from(start.epoch) << 32 | u64::from(start.salt);
        let own = u64::from(id.slot()) << 32 | u64::from(id.generation());
        let made_up = start ^ own.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        self.log.is_shared().then_some(made_up)
    }

    pub(super) fn token(&self, id: ConnId, session: u64) -> String {
        self.sessions.token(Claim {
            session,
            connection: id,
            epoch: self.log.epoch_info().epoch,
        })
    }
}

/// What clients may do, as far as settings say.
pub(super) fn limits(
    ws: &ws::Limits,
    chat: &chat::Settings,
    history: &log::Settings,
    dedupe_millis: u64,
) -> Limits {
    Limits {
        message_bytes: ws.max_message_bytes,
        rate: chat.message_rate,
        burst: chat.message_burst,
        history: HISTORY_MAX,
        catch_up: history.catch_up_max,
        rooms: chat.rooms_per_connection as u32,
        unacknowledged: super::acks::UNACKED_MAX,
        dedupe_millis,
        edit_window_millis: chat.edit_window_millis(),
    }
}
