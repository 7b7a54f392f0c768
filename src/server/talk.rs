//! The only way to the chat. Every step that may change the live members of a room goes through
//! this file, which first delivers what the room was sent before, so that a message reaches exactly
//! the members of the moment at which it was said.
//!
//! The chat itself is private to this file. That a run is delivered to the members it was made for
//! is asserted by the room's epoch ([`Chat::room_epoch`]).

use super::Server;
use crate::chat::{Chat, Command, Effects, Entry, Event, JoinRefused, Nick, Now, Refused};
use crate::id::{ConnId, RoomId, Tick};
use crate::net::Net;
use smol_str::SmolStr;
use std::mem;

/// The chat, and what it wants done.
pub(super) struct Talk {
    chat: Chat,
    effects: Effects,
}

impl Talk {
    pub(super) const fn new(chat: Chat) -> Self {
        Self {
            chat,
            effects: Effects::new(),
        }
    }

    /// Gives back the memory of members and rooms that are gone.
    pub(super) fn shrink(&mut self) {
        self.chat.shrink();
    }

    pub(super) const fn chat(&self) -> &Chat {
        &self.chat
    }

    /// For what is carried to or from another image.
    pub(super) const fn chat_mut(&mut self) -> &mut Chat {
        &mut self.chat
    }

    /// Changes what an entry of a room changes.
    pub(super) fn ordered(&mut self, room: RoomId, entry: &Entry<'_>) {
        self.chat.ordered(room, entry, &mut self.effects);
    }

    /// A room is shown a notice.
    pub(super) fn noticed(&mut self, room: RoomId) {
        self.chat.noticed(room);
    }

    /// A live member is behind from here on. The room has nothing pending.
    pub(super) fn falls_behind(&mut self, id: ConnId, room: RoomId) {
        self.chat.falls_behind(id, room);
    }

    /// A member that was behind is live from here on. The room has nothing pending.
    pub(super) fn becomes_live(&mut self, id: ConnId, room: RoomId) {
        self.chat.becomes_live(id, room);
    }

    /// All effects so far, in order, if there are any. To be given back with [`Talk::reuse`].
    pub(super) fn take_effects(&mut self) -> Option<Effects> {
        (!self.effects.is_empty()).then(|| mem::take(&mut self.effects))
    }

    /// Keeps the memory of effects that were carried out.
    pub(super) fn reuse(&mut self, mut effects: Effects) {
        if self.effects.is_empty() {
            effects.clear();
            self.effects = effects;
        }
    }

    pub(super) const fn is_settled(&self) -> bool {
        self.effects.is_empty()
    }
}

impl<N: Net> Server<N> {
    /// Takes a step of the chat that changes no room's live members, and carries out its effects.
    pub(super) fn chat_step<R>(
        &mut self,
        now: Tick,
        step: impl FnOnce(&mut Chat, &mut Effects) -> R,
    ) -> R {
        let result = step(&mut self.talk.chat, &mut self.talk.effects);
        self.apply(now);
        result
    }

    /// Hands a user's command to the chat and carries out what follows. False: the command was over
    /// the user's rate, and nothing was done.
    pub(super) fn handle(
        &mut self,
        id: ConnId,
        room: Option<&str>,
        command: Command<'_>,
        now: Tick,
    ) -> bool {
        if matches!(command, Command::Quit(_)) {
            self.settle_rooms_of(id, now);
        }
        let when = self.now_of(id, now);
        self.chat_step(now, |chat, effects| {
            chat.handle(id, room, command, when, effects)
        })
    }

    /// A room is closed: its members leave it.
    pub(super) fn vacate(&mut self, room: RoomId, by: &SmolStr, reason: &str, now: Tick) {
        self.settle_room(room, now);
        self.chat_step(now, |chat, effects| chat.vacate(room, by, reason, effects));
    }

    /// A user who is banned from a room, or from the server, leaves it.
    pub(super) fn expel(&mut self, id: ConnId, room: Option<RoomId>, when: Now) {
        self.settle_rooms_of(id, when.tick);
        self.chat_step(when.tick, |chat, effects| {
            chat.expel(id, room, when, effects);
        });
    }

    /// Whether the next request of a user is within its rate.
    pub(super) fn is_within_rate(&mut self, id: ConnId, now: Tick) -> bool {
        self.chat_step(now, |chat, effects| chat.is_within_rate(id, now, effects))
    }

    /// An upgraded connection has a user from here on. Returns why the nick is not the wanted one.
    pub(super) fn user_enters(
        &mut self,
        id: ConnId,
        wanted: Option<&str>,
        dialect: usize,
        now: Tick,
    ) -> Option<Refused> {
        self.talk.chat.enter(id, wanted, dialect, now)
    }

    /// A user that is in no room yet takes the nick of one that is gone.
    pub(super) fn user_takes_nick(&mut self, id: ConnId, nick: &Nick) {
        self.talk.chat.takes_nick(id, nick);
    }

    /// A user becomes a live member of a room, whose password it has shown if `pass` is what is kept
    /// of that. Returns its welcome.
    pub(super) fn member_joins(
        &mut self,
        id: ConnId,
        (room, name): (RoomId, &SmolStr),
        pass: Option<&str>,
        now: Tick,
    ) -> Result<Event, JoinRefused> {
        self.settle_room(room, now);
        let when = self.now_of(id, now);
        self.chat_step(now, |chat, effects| {
            chat.join_with(id, (room, name), pass, when, effects)
        })
    }

    /// A user leaves a room, and stays.
    pub(super) fn leave_room(&mut self, id: ConnId, room: RoomId, now: Tick) {
        self.settle_room(room, now);
        self.catch_up.remove(id, room);
        self.seats.leaves(id, room);
        self.chat_step(now, |chat, effects| chat.leave(id, room, now, effects));
    }

    /// A user leaves without having asked; its rooms are notified. Nothing if it left before.
    pub(super) fn leave(&mut self, id: ConnId, now: Tick) {
        self.keep_seats(id, now);
        self.leave_for_good(id, now);
    }

    /// The same of a user whose session does not come back to where it was in its rooms.
    pub(super) fn leave_for_good(&mut self, id: ConnId, now: Tick) {
        self.settle_rooms_of(id, now);
        if let Some(number) = self.talk.chat.guest_number(id)
            && let Some(session) = self.sessions.of(id)
        {
            self.letters.leaves(session, number, now);
        }
        self.chat_step(now, |chat, effects| chat.exit(id, now, effects));
        self.forget_user(id);
    }
}
