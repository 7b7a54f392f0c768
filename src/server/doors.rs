//! Who makes a room by joining it, and rooms with a password: it is verified on the thread that hashes
//! before a client joins, and hashed there before a room has it. Knows requests, budgets and outcomes;
//! whom a room lets in, and who may make one or give it a password, is the chat's.

use super::Server;
use super::accounts::Step;
use super::opening::Waiter;
use crate::budget::Kind;
use crate::chat::{Maker, NotMade, Refused, RoomChange, RoomName};
use crate::conn::Wait;
use crate::id::{ConnId, RoomId, Tick};
use crate::net::Net;
use crate::password::{self, Outcome, Secret, Weak, Work};
use crate::wire::{Problem, Protocol};
use crate::ws::CloseReason;
use log::warn;
use smol_str::SmolStr;

/// Passwords of rooms that one address may try at once, and after how many ticks one more: a minute.
/// More than of accounts, for all who share an address may come into a room together.
pub(super) const TRIES: (u32, u32) = (20, 600);

impl<N: Net> Server<N> {
    /// A room lets a client in if it shows the password of which `kept` is kept.
    pub(super) fn ask_password(
        &mut self,
        mut waiter: Waiter,
        name: SmolStr,
        kept: SmolStr,
        now: Tick,
    ) {
        let id = waiter.id;
        let Some(password) = waiter.password.take() else {
            return self.not_opened_to(&waiter, Problem::PasswordNeeded, now);
        };
        let address = self.address_of(id);
        if !self.accounts.doors.may_try(address, now) {
            return self.not_opened_to(&waiter, Problem::TooManyPasswords, now);
        }
        let work = Work::Verify {
            password,
            kept: Some(kept.to_string()),
        };
        let request = waiter.request.clone();
        let waiter = Box::new(waiter);
        let step = Step::Enter { name, kept, waiter };
        match self.accounts.hand_over(id, request, work, step) {
            Ok(()) => {
                // Until it is known to be right.
                self.accounts.doors.failed(address, now);
                self.hold(id, Wait::Password, now);
            }
            Err(Step::Enter { waiter, .. }) => self.not_opened_to(&waiter, Problem::Busy, now),
            Err(_) => {}
        }
    }

    /// The password that a client has shown was verified, or not.
    pub(super) fn password_shown(
        &mut self,
        mut waiter: Waiter,
        (name, kept): (SmolStr, SmolStr),
        outcome: &Outcome,
        now: Tick,
    ) {
        let address = self.address_of(waiter.id);
        match outcome {
            Outcome::Matches => {
                self.accounts.doors.succeeded(address);
                waiter.pass = Some(kept);
                if let Ok(name) = RoomName::parse(&name) {
                    self.join(name, waiter, now);
                }
            }
            Outcome::Differs => {
                let from = address.map_or_else(|| String::from("no address"), |ip| ip.to_string());
                warn!(target: "parlor::room", "a wrong password of a room from {from}");
                self.not_opened_to(&waiter, Problem::WrongPassword, now);
            }
            Outcome::Failed | Outcome::Hashed(_) => {
                self.not_opened_to(&waiter, Problem::Busy, now);
            }
        }
    }

    /// A client does not join the room that it asked for. One of lines has no other.
    pub(super) fn not_opened_to(&mut self, waiter: &Waiter, why: Problem<'_>, now: Tick) {
        let id = waiter.id;
        let protocol = self.connections.get_mut(id).map(|c| c.protocol);
        if protocol == Some(Protocol::Json) {
            return self.fail(id, waiter.request.as_ref(), why, now);
        }
        let close = match why {
            Problem::PasswordNeeded => CloseReason::RoomPassword { is_missing: true },
            Problem::WrongPassword => CloseReason::RoomPassword { is_missing: false },
            Problem::NoSuchRoom => CloseReason::BadName {
                rule: why.to_string(),
            },
            why => CloseReason::TryLater {
                sentence: why.to_string(),
            },
        };
        self.part(id, &close, now);
    }

    /// Whether a user may make a room; an error is the answer of the waiter if not.
    pub(super) fn may_make(&mut self, waiter: &Waiter, now: Tick) -> bool {
        let id = waiter.id;
        let why = match self.talk.chat().may_make_room(id, self.rooms_max) {
            Ok(Maker::Any) => return true,
            Ok(Maker::Limited) => {
                let address = self.address_of(id);
                let Err(retry_millis) = self.budgets.take(id, address, Kind::Make, now) else {
                    return true;
                };
                self.stats.limited += 1;
                Problem::TooOften { retry_millis }
            }
            Err(NotMade::Listed) => Problem::NoSuchRoom,
            Err(NotMade::TooMany) => Problem::NoMoreRooms,
        };
        self.not_opened_to(waiter, why, now);
        false
    }

    /// A room is to have a password, and to be different as `change` says.
    pub(super) fn begin_room_password(
        &mut self,
        id: ConnId,
        room: Option<&str>,
        (change, password): (RoomChange, &str),
        now: Tick,
    ) {
        let Some(room) = self.talk.chat().room_of(id, room) else {
            return self.answer_problem(id, Problem::NotAMember, now);
        };
        if !self.talk.chat().may_set_room(id, room) {
            return self.answer_refused(id, Refused::NotAllowed, now);
        }
        // It is given to others, so it may be short.
        if password.len() > password::BYTES_MAX {
            let why = Weak::TooLong.to_string();
            return self.answer_problem(id, Problem::WeakPassword { why: &why }, now);
        }
        let address = self.address_of(id);
        if !self.accounts.doors.may_try(address, now) {
            return self.answer_problem(id, Problem::TooManyPasswords, now);
        }
        let work = Work::Hash {
            password: Secret::new(password),
        };
        if self.begin(id, work, Step::RoomPassword { room, change }, now) {
            self.accounts.doors.failed(address, now);
        }
    }

    /// The password that a room is to have is hashed.
    pub(super) fn room_password_hashed(
        &mut self,
        id: ConnId,
        (room, change): (RoomId, RoomChange),
        kept: &str,
        now: Tick,
    ) {
        let when = self.now_of(id, now);
        self.chat_step(now, |chat, effects| {
            chat.change_room(id, room, (change, Some(kept)), when, effects);
        });
    }
}
