//! The only way to the chat. Every step that may change the members of a room goes through
//! [`Server::change`], which first delivers what the rooms were sent before, so that a message
//! reaches exactly the members of the moment at which it was said.
//!
//! The chat itself is private to this file. That a batch is delivered to the members it was made
//! for is asserted by the room's epoch ([`Chat::room_epoch`]).

use super::Server;
use crate::chat::{Chat, Command, Effects, Entry};
use crate::id::{ConnId, RoomId, Tick};
use crate::net::Net;
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

    /// Changes what an entry of a room changes.
    pub(super) fn ordered(&mut self, room: RoomId, entry: &Entry<'_>) {
        self.chat.ordered(room, entry, &mut self.effects);
    }

    /// All effects so far, in order. To be given back with [`Talk::reuse`].
    pub(super) fn take_effects(&mut self) -> Effects {
        mem::take(&mut self.effects)
    }

    /// Keeps the memory of effects that were carried out.
    pub(super) fn reuse(&mut self, effects: Effects) {
        debug_assert!(effects.is_empty() && self.effects.is_empty());
        self.effects = effects;
    }

    pub(super) const fn is_settled(&self) -> bool {
        self.effects.is_empty()
    }
}

impl<N: Net> Server<N> {
    /// Takes a step of the chat that may change the members of a room, and carries out its effects.
    pub(super) fn change<R>(
        &mut self,
        now: Tick,
        step: impl FnOnce(&mut Chat, &mut Effects) -> R,
    ) -> R {
        self.settle(now);
        let result = step(&mut self.talk.chat, &mut self.talk.effects);
        self.apply(now);
        result
    }

    /// Hands a member's command to the chat and carries out what follows. False: the command was
    /// over the member's rate, and nothing was done.
    pub(super) fn handle(&mut self, id: ConnId, command: Command<'_>, now: Tick) -> bool {
        match command {
            // Changes no membership, so it may join what the room was sent before.
            Command::Say(_) | Command::Act(_) => {
                let Talk { chat, effects } = &mut self.talk;
                let is_within = chat.handle(id, command, now, effects);
                self.apply(now);
                is_within
            }
            command => self.change(now, |chat, effects| chat.handle(id, command, now, effects)),
        }
    }
}
