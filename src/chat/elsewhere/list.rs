//! The list of rooms over all servers: how many members each other server has in which room, and
//! the rooms here whose count has changed since the others were told. Knows no member.

use super::rounds::{self, Place, Places, Rounds};
use super::{MOVES_MAX, SWEEP_MAX};
use crate::chat::{Chat, room::Room};
use crate::id::RoomId;
use smol_str::SmolStr;
use std::collections::BTreeMap;

/// What has changed of the rooms in which one server has members.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// All rooms follow, in this difference and those after it.
    pub is_first: bool,
    /// With this one, all are named.
    pub is_last: bool,
    /// How many members the server has in each; 0: none any more.
    pub rooms: Vec<(SmolStr, u32)>,
}

/// What is known of the rooms in which other servers have members.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RoomsSighting {
    Counts {
        node: u64,
        counts: Counts,
    },
    /// All that is kept of other servers follows: what is not in it is no more.
    AllBegins,
    AllEnds,
}

#[derive(Debug, Default)]
pub(super) struct List {
    rooms: BTreeMap<SmolStr, Places<u32>>,
    rounds: Rounds,
    /// Rooms may be stale: those behind this name are to be looked at.
    sweeps_after: Option<SmolStr>,
    /// Rooms here whose members have changed, and how many there were before.
    changed: BTreeMap<SmolStr, (RoomId, u32)>,
}

impl List {
    fn sighted(&mut self, what: RoomsSighting) {
        match what {
            RoomsSighting::Counts { node, counts } => self.apply(node, counts),
            RoomsSighting::AllBegins => self.rounds.all_begins(),
            RoomsSighting::AllEnds => self.is_stale(),
        }
    }

    fn apply(&mut self, node: u64, counts: Counts) {
        if counts.is_first {
            self.rounds.begins(node);
        }
        for (name, count) in counts.rooms {
            if count > 0 {
                let place = self.rounds.place(node, count);
                match self.rooms.get_mut(&name) {
                    Some(places) => places.note(place),
                    None => drop(self.rooms.insert(name, Places::new(place))),
                }
            } else if let Some(places) = self.rooms.get_mut(&name)
                && !places.remove(node)
            {
                self.rooms.remove(&name);
            }
        }
        if counts.is_last {
            self.rounds.ends(node);
            self.is_stale();
        }
    }

    pub(super) fn server_died(&mut self, node: u64) {
        if self.rounds.dies(node) {
            self.is_stale();
        }
    }

    fn is_stale(&mut self) {
        // No room has a name that is not behind this one.
        self.sweeps_after = Some(SmolStr::default());
    }

    fn sweep(&mut self) {
        let Some(after) = self.sweeps_after.take() else {
            return;
        };
        let rounds = &self.rounds;
        let is_fresh = |place: &Place<u32>| rounds.is_fresh(place);
        let keeps = |places: &mut Places<u32>| places.retain(is_fresh);
        let (stale, next) = rounds::sweep(&mut self.rooms, Some(&after), SWEEP_MAX, keeps);
        for name in stale {
            self.rooms.remove(&name);
        }
        self.sweeps_after = next;
    }
}

impl Chat {
    /// Something is known of the rooms in which other servers have members.
    pub fn rooms_sighted(&mut self, what: RoomsSighting) {
        if let Some(elsewhere) = &mut self.elsewhere {
            elsewhere.list.sighted(what);
        }
    }

    /// Whether rooms are to be [swept](Chat::sweep_rooms).
    pub fn has_stale_rooms(&self) -> bool {
        let elsewhere = self.elsewhere.as_ref();
        elsewhere.is_some_and(|elsewhere| elsewhere.list.sweeps_after.is_some())
    }

    /// Removes a slice of the rooms that no other server has any more.
    pub fn sweep_rooms(&mut self) {
        if let Some(elsewhere) = &mut self.elsewhere {
            elsewhere.list.sweep();
        }
    }

    /// The rooms in which other servers have members, in the order of their names, and how many:
    /// also those that have members here. A member of two servers counts twice.
    pub fn rooms_elsewhere(&self) -> impl Iterator<Item = (&SmolStr, u32)> {
        let elsewhere = self.elsewhere.iter();
        let rooms = elsewhere.flat_map(|elsewhere| &elsewhere.list.rooms);
        rooms.map(|(name, places)| {
            let counts = places.each().map(|place| place.what);
            (name, counts.fold(0, u32::saturating_add))
        })
    }

    /// How many of those rooms there are.
    pub fn rooms_elsewhere_count(&self) -> usize {
        let elsewhere = self.elsewhere.as_ref();
        elsewhere.map_or(0, |elsewhere| elsewhere.list.rooms.len())
    }

    /// Whether a room is one of them.
    pub fn has_room_elsewhere(&self, name: &str) -> bool {
        let elsewhere = self.elsewhere.as_ref();
        elsewhere.is_some_and(|elsewhere| elsewhere.list.rooms.contains_key(name))
    }

    // Rooms here

    /// A room gets a member more or one less. To be called before.
    pub(in crate::chat) fn will_count(&mut self, id: RoomId) {
        if self.elsewhere.is_some()
            && let Some(room) = self.rooms.get(id).filter(|room| room.direct.is_none())
        {
            let name = room.name.clone();
            self.will_count_called(id, &name);
        }
    }

    /// The same of a room that may have no member yet.
    pub(in crate::chat) fn will_count_called(&mut self, id: RoomId, name: &SmolStr) {
        let Some(elsewhere) = &mut self.elsewhere else {
            return;
        };
        let room = self.rooms.get(id);
        let changed = &mut elsewhere.list.changed;
        match changed.get_mut(name) {
            // The room may have been opened anew.
            Some((known, _)) => *known = id,
            None => drop(changed.insert(name.clone(), (id, people(room)))),
        }
    }

    /// Whether others may have to be told of rooms here.
    pub fn has_counts(&self) -> bool {
        let elsewhere = self.elsewhere.as_ref();
        elsewhere.is_some_and(|elsewhere| !elsewhere.list.changed.is_empty())
    }

    /// What other servers are to know of the rooms here since the last time.
    pub fn take_counts(&mut self) -> Vec<Counts> {
        let Some(elsewhere) = &mut self.elsewhere else {
            return Vec::new();
        };
        let changed = std::mem::take(&mut elsewhere.list.changed).into_iter();
        let rooms: Vec<(SmolStr, u32)> = changed
            .map(|(name, (id, before))| (name, before, people(self.rooms.get(id))))
            .filter(|(_, before, count)| before != count)
            .map(|(name, _, count)| (name, count))
            .collect();
        let chunks = rooms.chunks(MOVES_MAX);
        chunks.map(|chunk| named(chunk.to_vec())).collect()
    }

    /// All rooms that have members here, as other servers are to know them.
    pub fn all_counts(&mut self) -> Vec<Counts> {
        if let Some(elsewhere) = &mut self.elsewhere {
            elsewhere.list.changed.clear();
        }
        let rooms = self.rooms.iter().map(|(_, room)| room);
        let rooms = rooms.filter(|room| room.direct.is_none());
        let rooms: Vec<(SmolStr, u32)> = rooms
            .map(|room| (room.name.clone(), people(Some(room))))
            .collect();
        let chunks = rooms.chunks(MOVES_MAX);
        let mut all: Vec<Counts> = chunks.map(|chunk| named(chunk.to_vec())).collect();
        if all.is_empty() {
            all.push(Counts::default());
        }
        all[0].is_first = true;
        all.last_mut().expect("there is one").is_last = true;
        all
    }
}

fn people(room: Option<&Room>) -> u32 {
    let people = room.map_or(0, Room::people);
    u32::try_from(people).unwrap_or(u32::MAX)
}

fn named(rooms: Vec<(SmolStr, u32)>) -> Counts {
    Counts {
        rooms,
        ..Counts::default()
    }
}
