//! The list of rooms: the rooms in which this server has members are told, those of others are read
//! when the link is there and come by themselves from then on. As with the [members](super::presence)
//! of a room, both come in the order in which Redis did them.

use super::super::counts;
use super::super::link::Which;
use super::super::scripts::{self, Place, Told};
use super::super::told::Page;
use super::{Ask, Engine, GRACE_TICKS, by_name};
use crate::chat::{Counts, RoomsSighting};
use crate::id::Tick;
use crate::log::Answer;
use smol_str::SmolStr;

#[derive(Debug, Default)]
pub(super) struct List {
    /// The rooms of others are being read, and are to be read from the first on once more.
    is_seeing: bool,
    is_again: bool,
    /// A new Redis may not know the rooms of all until then.
    ends: Option<Tick>,
    /// Redis has not taken what was told.
    is_untold: bool,
}

impl Engine {
    /// Both links are there, and the channel is subscribed to.
    pub(super) fn begin_list(&mut self) {
        self.list = List::default();
        self.see_list_again();
        self.answers.push(Answer::RoomsWanted);
    }

    /// Reads the rooms of others, from the first on.
    pub(super) fn see_list_again(&mut self) {
        if self.list.is_seeing {
            self.list.is_again = true;
            return;
        }
        self.list.is_seeing = true;
        self.list.ends = None;
        self.rooms_sighted(RoomsSighting::AllBegins);
        self.see_list(("".into(), "0".into()), false);
    }

    pub(super) fn see_list(&mut self, place: Place, with_text: bool) {
        let node = self.node;
        let link = &mut self.links[Which::Subscriptions as usize];
        let run = link.server.run.clone();
        link.ask(Ask::SeeList(place.clone()), self.now, |out, loaded| {
            let names = by_name(loaded, with_text);
            scripts::see(out, names, Told::Rooms, &run, (node, &place));
        });
    }

    /// A page of the rooms of others came.
    pub(super) fn list_was_seen(&mut self, page: Page<(SmolStr, u32)>) {
        for (node, rooms) in page.told {
            let counts = Counts {
                rooms,
                ..Counts::default()
            };
            self.rooms_sighted(RoomsSighting::Counts { node, counts });
        }
        if let Some(place) = page.next {
            return self.see_list(place, false);
        }
        self.list.is_seeing = false;
        if std::mem::take(&mut self.list.is_again) {
            self.see_list_again();
        } else if page.has_grace {
            self.list.ends = Some(self.now + GRACE_TICKS);
        } else {
            self.rooms_sighted(RoomsSighting::AllEnds);
        }
    }

    /// When [`Engine::end_list`] is due.
    pub(super) const fn list_due(&self) -> Option<Tick> {
        self.list.ends
    }

    /// Rooms that no server has told of again are gone.
    pub(super) fn end_list(&mut self) {
        if self.list.ends.is_some_and(|due| due <= self.now) {
            self.list.ends = None;
            self.rooms_sighted(RoomsSighting::AllEnds);
        }
    }

    /// Something was published of the rooms of a server.
    pub(super) fn rooms_moved(&mut self, message: &[u8]) {
        if let Some((node, counts)) = counts::decode(message)
            && node != self.node
        {
            self.rooms_sighted(RoomsSighting::Counts { node, counts });
        }
    }

    fn rooms_sighted(&mut self, what: RoomsSighting) {
        if let RoomsSighting::Counts { node, .. } = &what {
            self.leases.has_told(*node);
        }
        self.answers.push(Answer::RoomsSighted(what));
    }

    /// Tells what has changed of the rooms here. All are wanted where it is lost.
    pub(super) fn count(&mut self, counts: &Counts) {
        if !self.is_up {
            return;
        }
        let node = self.node;
        let message = counts::encode(node, counts);
        let link = &mut self.links[Which::Commands as usize];
        let run = link.server.run.clone();
        link.ask(Ask::Count, self.now, |out, loaded| {
            scripts::count(out, Some(loaded), (node, &run), (counts, &message));
        });
    }

    /// Redis may not know the rooms of this server.
    pub(super) fn wants_rooms(&mut self) {
        self.answers.push(Answer::RoomsWanted);
    }

    /// Redis has not taken what was told: all is told later.
    pub(super) const fn not_counted(&mut self) {
        self.list.is_untold = true;
    }

    pub(super) fn count_again(&mut self) {
        if std::mem::take(&mut self.list.is_untold) {
            self.wants_rooms();
        }
    }
}
