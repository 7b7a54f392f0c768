//! Members of rooms: those of this server are told, those of others are read when a room is
//! subscribed to and come by themselves from then on.
//!
//! Both come on the connection for subscriptions, in the order in which Redis did them: what was
//! published before a page is in the page, and what follows comes after it. A room whose members
//! do not go into one page is opened when all have come.

use super::super::link::Which;
use super::super::members;
use super::super::rooms::{Room, Stage};
use super::super::scripts::{self, Place, Told};
use super::super::told::Page;
use super::{Ask, Engine, GRACE_TICKS, by_name};
use crate::chat::{Came, Moves, Sighting};
use crate::id::{RoomId, Tick};
use crate::log::Answer;
use smol_str::SmolStr;

/// After so long members are read again of which one was removed: 2 s.
const LOOK_TICKS: u32 = 20;

impl Engine {
    /// When [`Engine::end_grace`] is due.
    pub(super) fn grace_due(&self) -> Option<Tick> {
        self.ending.front().map(|(due, _)| *due)
    }

    /// Members that no server has told of again are gone.
    pub(super) fn end_grace(&mut self) {
        while self.grace_due().is_some_and(|due| due <= self.now)
            && let Some((_, id)) = self.ending.pop_front()
        {
            if self.rooms.get(id).is_some_and(|room| !room.is_seeing()) {
                self.sighted(id, Sighting::AllEnds);
            }
        }
    }

    /// A member was removed by an entry, which may have come late: it may be a member again, as was
    /// told before. By then its server has told that it left, if it has.
    pub(super) fn looks_later(&mut self, id: RoomId) {
        if self.doubted.back().is_none_or(|(_, last)| *last != id) {
            self.doubted.push_back((self.now + LOOK_TICKS, id));
        }
    }

    /// When [`Engine::look_again`] is due.
    pub(super) fn look_due(&self) -> Option<Tick> {
        self.doubted.front().map(|(due, _)| *due)
    }

    pub(super) fn look_again(&mut self) {
        while self.look_due().is_some_and(|due| due <= self.now)
            && let Some((_, id)) = self.doubted.pop_front()
        {
            let room = self.rooms.get(id);
            let Some(room) = room.filter(|room| room.stage == Stage::Live) else {
                continue; // They are read before it is opened.
            };
            if room.is_seeing() {
                self.looks_later(id); // Some may have been read before.
            } else {
                self.see_all(id);
            }
        }
    }

    /// Reads the members of a room that is subscribed to, from the first on.
    pub(super) fn see_all(&mut self, id: RoomId) {
        if let Some(room) = self.rooms.get_mut(id) {
            room.sees();
            self.sighted(id, Sighting::AllBegins);
            self.see(id, ("".into(), "0".into()), false);
        }
    }

    /// A server that was taken for gone is not: what it has told meanwhile was dropped.
    pub(super) fn see_again(&mut self) {
        self.see_list_again();
        let is_subscribed = |room: &&Room| room.stage == Stage::Live && !room.is_seeing();
        let rooms = self.rooms.each().filter(is_subscribed);
        let rooms: Vec<RoomId> = rooms.map(|room| room.id).collect();
        for id in rooms {
            self.see_all(id);
        }
    }

    pub(super) fn see(&mut self, id: RoomId, place: Place, with_text: bool) {
        let Some(room) = self.rooms.get(id) else {
            return;
        };
        let (name, node) = (room.name.clone(), self.node);
        let link = &mut self.links[Which::Subscriptions as usize];
        let run = link.server.run.clone();
        link.ask(Ask::See(id, place.clone()), self.now, |out, loaded| {
            let names = by_name(loaded, with_text);
            scripts::see(out, names, Told::Members(&name), &run, (node, &place));
        });
    }

    /// A page of a room's members came.
    pub(super) fn was_seen(&mut self, id: RoomId, page: Page<Came>) {
        let is_seeing = self.rooms.get(id).is_some_and(|room| room.is_seeing());
        if !is_seeing {
            return;
        }
        for (node, came) in page.told {
            let moves = Moves {
                came,
                ..Moves::default()
            };
            self.sighted(id, Sighting::Moves { node, moves });
        }
        if let Some(place) = page.next {
            return self.see(id, place, false);
        }
        if page.has_grace {
            self.ending.push_back((self.now + GRACE_TICKS, id));
        } else {
            self.sighted(id, Sighting::AllEnds);
        }
        if self.rooms.get_mut(id).is_some_and(|room| room.has_seen()) {
            self.open(id, None, false);
        }
    }

    /// Something was published of a room's members.
    pub(super) fn members_moved(&mut self, id: RoomId, message: &[u8]) {
        if let Some((node, moves)) = members::decode(message)
            && node != self.node
        {
            self.sighted(id, Sighting::Moves { node, moves });
        }
    }

    pub(super) fn sighted(&mut self, room: RoomId, what: Sighting) {
        if let Sighting::Moves { node, .. } = &what {
            self.leases.has_told(*node);
        }
        self.answers.push(Answer::Sighted { room, what });
    }

    /// Tells what has changed of the members here.
    pub(super) fn present(&mut self, id: RoomId, moves: Box<Moves>) {
        let Some(room) = self.rooms.get_mut(id).filter(|_| self.is_up) else {
            return; // All are wanted when the link is back.
        };
        room.is_untold &= !moves.is_first;
        let name = room.name.clone();
        self.tell((id, name), moves, false);
    }

    /// The room of this name, which may be closed.
    pub(super) fn tell(&mut self, room: (RoomId, SmolStr), moves: Box<Moves>, with_text: bool) {
        let node = self.node;
        let message = members::encode(node, &moves);
        let mut bytes = Vec::new();
        let link = &mut self.links[Which::Commands as usize];
        let names = by_name(&link.loaded, with_text);
        let run = link.server.run.clone();
        scripts::present(&mut bytes, names, &room.1, (node, &run), (&moves, &message));
        link.ask(Ask::Present(room), self.now, |out, _| {
            out.extend_from_slice(&bytes);
        });
    }

    /// Redis had forgotten the script. Later differences of the room may have been taken meanwhile, so
    /// this one must not follow them: all members are named.
    pub(super) fn present_again(&mut self, room: (RoomId, SmolStr)) {
        if self.rooms.get(room.0).is_some() {
            self.wants_members(room.0);
            return;
        }
        // That it was closed may have been taken already.
        let opened_again = self.rooms.find(&room.1);
        self.tell(room, none(), true);
        if let Some(id) = opened_again {
            self.wants_members(id);
        }
    }

    /// This server has no members in a room that it has closed.
    pub(super) fn tell_none(&mut self, room: (RoomId, SmolStr)) {
        self.tell(room, none(), false);
    }

    /// The link is back. In rooms that were closed meanwhile this server has no member, nor in one
    /// that was opened again: its client has waited for the link.
    pub(super) fn tell_of_closed(&mut self) {
        for room in std::mem::take(&mut self.closed) {
            self.tell(room, none(), false);
        }
    }

    /// Redis may not know which members this server has in a room.
    pub(super) fn wants_members(&mut self, id: RoomId) {
        if let Some(room) = self.rooms.get_mut(id) {
            room.is_untold = true;
        }
        self.answers.push(Answer::MembersWanted { room: id });
    }

    /// This server was taken for dead: what it has told counts no more.
    pub(super) fn wants_all(&mut self) {
        self.wants_rooms();
        let rooms: Vec<RoomId> = self.rooms.each().map(|room| room.id).collect();
        for id in rooms {
            self.wants_members(id);
        }
    }

    /// Redis has not taken what was told: it is told again later.
    pub(super) fn not_presented(&mut self, id: RoomId) {
        if !self.untold.contains(&id) {
            self.untold.push(id);
        }
    }

    pub(super) fn tell_again(&mut self) {
        self.count_again();
        for id in std::mem::take(&mut self.untold) {
            self.wants_members(id);
        }
    }
}

/// This server has no members in a room.
fn none() -> Box<Moves> {
    Box::new(Moves {
        is_first: true,
        is_last: true,
        ..Moves::default()
    })
}
