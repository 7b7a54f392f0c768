//! What a client asks with one message: requests to the chat, and those that the server answers
//! from the log, from its sessions or at once. Knows no encoding: a request is answered by what is
//! to be shown.

use super::Server;
use super::again::Again;
use super::opening::{Past, Waiter, shown_password};
use crate::chat::{Command, RoomName};
use crate::conn::state::Work;
use crate::frame::Frame;
use crate::id::{ConnId, RoomId, Tick};
use crate::log::{Key, Proposed};
use crate::net::Net;
use crate::wire::{
    self, Ask, Done, HISTORY_MAX, Problem, Protocol, Request, RequestId, Send, Shown,
};

/// The request that is being handled.
#[derive(Default)]
pub(super) struct Asking {
    pub(super) request: Option<RequestId>,
    /// Its answer is queued, or comes later.
    pub(super) is_answered: bool,
    /// By which a message that is sent again is known.
    pub(super) key: Option<Key>,
    /// What the next entry that is asked for changes.
    pub(super) change: Option<Box<Proposed>>,
    /// The request as it came, if it is an order that a shared engine may refuse.
    pub(super) again: Option<Again>,
}

impl Asking {
    /// The request, for what will answer it: what follows from the same request does not.
    pub(super) fn take_request(&mut self) -> Option<RequestId> {
        self.is_answered |= self.request.is_some();
        self.request.take()
    }
}

impl<N: Net> Server<N> {
    /// Handles a text message.
    pub(super) fn take_text(&mut self, id: ConnId, text: &str, now: Tick) {
        let Some(connection) = self.connections.get_mut(id) else {
            return;
        };
        let protocol = connection.protocol;
        if protocol == Protocol::Echo {
            return self.connections.push_control(id, Frame::text(text));
        }
        let message = protocol.read(text);
        let request = message.request(wire::said_bytes_max(self.message_bytes_max));
        if self.log.is_shared() && self.waits_for_order(id, &request.ask, text, now) {
            return;
        }
        self.stats.messages += 1;
        let is_shared = self.log.is_shared();
        self.asking = Asking {
            request: request.id.clone(),
            again: is_shared.then(|| Again::of(&request.ask, text)).flatten(),
            ..Asking::default()
        };
        let is_within = self.ask(id, protocol, &request, now);
        let asking = std::mem::take(&mut self.asking);
        if !is_within {
            self.charge(id, Work::Message { bytes: text.len() }, now);
        }
        if let Some(re) = &asking.request
            && !asking.is_answered
        {
            let is_nick = matches!(request.ask, Ask::Chat(Command::Nick(_)));
            self.answer_at_last(id, re, is_within, is_nick, now);
        }
    }

    /// A request with an id is answered exactly once, whatever it asked.
    pub(super) fn answer_at_last(
        &mut self,
        id: ConnId,
        re: &RequestId,
        is_within: bool,
        is_nick: bool,
        now: Tick,
    ) {
        if !is_within {
            return self.fail(id, Some(re), Problem::TooFast, now);
        }
        let nick = self.talk.chat().nick_of(id).filter(|_| is_nick).cloned();
        let done = match &nick {
            Some(nick) => Done::Nick {
                nick: nick.as_str(),
            },
            None => Done::Nothing,
        };
        let re = Some(re);
        self.show(id, &Shown::Ok { re, done }, now);
    }

    /// False: the request was over a rate or a budget, and nothing was done.
    fn ask(&mut self, id: ConnId, protocol: Protocol, request: &Request<'_>, now: Tick) -> bool {
        if !self.is_within_budget(id, &request.ask, now) {
            return false;
        }
        if self.must_log_in(id, &request.ask) {
            let is_within = self.is_within_rate(id, now);
            if is_within {
                self.answer_problem(id, Problem::LoginRequired, now);
            }
            return is_within;
        }
        let command = match request.ask {
            Ask::Chat(Command::Op { token }) => return self.take_token(id, token, now),
            Ask::Chat(command) if command.changes_registry() && !self.takes_changes() => {
                let is_within = self.is_within_rate(id, now);
                if is_within {
                    self.answer_problem(id, Problem::StoreUnavailable, now);
                }
                return is_within;
            }
            Ask::Chat(Command::Nick(wanted)) if self.log.is_shared() => {
                return self.ask_nick(id, request.room, wanted, now);
            }
            Ask::Chat(command) => self.with_address(command),
            Ask::Amend { command, key } => {
                self.asking.key = self.key(id, key);
                command
            }
            Ask::Direct { nick, ref send } => return self.write_to(id, nick, send, now),
            Ask::Letters { nick, limit } => return self.ask_letters(id, nick, limit, now),
            Ask::Send(send) => {
                self.asking.key = self.key(id, send.key);
                command_of(&send)
            }
            _ if !self.is_within_rate(id, now) => return false,
            Ask::Ping => return true,
            Ask::Bad(why) => {
                self.answer_problem(id, why, now);
                return true;
            }
            Ask::Secret => {
                self.answer_problem(id, Problem::LooksSecret, now);
                return true;
            }
            Ask::RoomPassword { change, password } => {
                let room = request.room;
                self.begin_room_password(id, room, (change, password), now);
                return true;
            }
            Ask::Register { .. }
            | Ask::Login { .. }
            | Ask::LoginByToken { .. }
            | Ask::Logout
            | Ask::Password { .. }
            | Ask::Unregister { .. }
            | Ask::Account => {
                self.ask_account(id, &request.ask, now);
                return true;
            }
            _ => {
                self.ask_log(id, protocol, request, now);
                return true;
            }
        };
        self.handle(id, request.room, command, now)
    }

    /// A nick may be another server's.
    fn ask_nick(&mut self, id: ConnId, room: Option<&str>, wanted: &str, now: Tick) -> bool {
        let when = self.now_of(id, now);
        let Some(keys) = self.talk.chat().keys_wanted(id, wanted, when) else {
            return self.handle(id, room, Command::Nick(wanted), now);
        };
        let is_within = self.is_within_rate(id, now);
        if is_within {
            self.claim_wanted(id, (wanted, keys), now);
        }
        is_within
    }

    /// Requests about rooms and their logs.
    fn ask_log(&mut self, id: ConnId, protocol: Protocol, request: &Request<'_>, now: Tick) {
        match request.ask {
            Ask::Join {
                room,
                since,
                password,
                history,
            } => {
                let past = match since {
                    Some(position) => Past::Since {
                        epoch: position.epoch.into(),
                        seq: position.seq,
                        newest: history.unwrap_or(HISTORY_MAX),
                    },
                    None => Past::Newest(history.unwrap_or(0)),
                };
                self.join_named(id, room, (past, password), now);
            }
            Ask::Resume { session } => self.resume(id, session, now),
            Ask::Leave => {
                if let Some(room) = self.room_asked(id, request.room, now) {
                    self.leave_room(id, room, now);
                }
            }
            Ask::History { range, limit } => {
                if let Some(room) = self.room_asked(id, request.room, now) {
                    self.show_history(id, protocol, room, (range, limit), now);
                }
            }
            Ask::Numbers { limit } => {
                if let Some(room) = self.room_asked(id, request.room, now) {
                    self.show_numbers(id, room, limit, now);
                }
            }
            Ask::Search { .. } if self.log.is_shared() => {
                self.answer_problem(id, Problem::NotOffered, now);
            }
            Ask::Search {
                query,
                before,
                limit,
            } => {
                if let Some(room) = self.room_asked(id, request.room, now) {
                    self.search(id, room, (query, before, limit), now);
                }
            }
            _ => {}
        }
    }

    fn join_named(
        &mut self,
        id: ConnId,
        name: &str,
        (past, password): (Past, Option<&str>),
        now: Tick,
    ) {
        if let Some(nick) = name.strip_prefix('@') {
            self.asking.is_answered = true;
            let waiter = Waiter {
                id,
                request: self.asking.request.clone(),
                past,
                refused: None,
                password: None,
                pass: None,
            };
            return self.join_pair(id, nick, waiter, now);
        }
        let name = match RoomName::parse(name) {
            Ok(name) => name,
            Err(why) => {
                let nearest = RoomName::nearest(name);
                let problem = Problem::RoomName {
                    why: &why.to_string(),
                    nearest: nearest.as_ref().map(RoomName::as_str),
                };
                return self.answer_problem(id, problem, now);
            }
        };
        if !self.accounts.terms.may_enter(id, &name) {
            return self.answer_problem(id, Problem::RoomNotAllowed, now);
        }
        self.asking.is_answered = true;
        let waiter = Waiter {
            id,
            request: self.asking.request.clone(),
            past,
            refused: None,
            password: password.and_then(shown_password),
            pass: None,
        };
        self.join(name, waiter, now);
    }

    /// The room of a request, if the client is in it; an error is its answer if not.
    fn room_asked(&mut self, id: ConnId, name: Option<&str>, now: Tick) -> Option<RoomId> {
        let room = self.talk.chat().room_of(id, name);
        if room.is_none() {
            self.answer_problem(id, Problem::NotAMember, now);
        }
        room
    }

    /// Answers the request that is being handled with an error.
    pub(super) fn answer_problem(&mut self, id: ConnId, why: Problem<'_>, now: Tick) {
        self.asking.is_answered = true;
        let request = self.asking.request.clone();
        self.fail(id, request.as_ref(), why, now);
    }

    /// Answers a request with an error.
    pub(super) fn fail(&mut self, id: ConnId, re: Option<&RequestId>, why: Problem<'_>, now: Tick) {
        self.show(id, &Shown::Error { re, why }, now);
    }
}

const fn command_of<'a>(send: &Send<'a>) -> Command<'a> {
    Command::Say {
        manner: send.manner,
        text: send.text,
        reply_to: send.reply_to,
    }
}
