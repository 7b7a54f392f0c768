//! The lists of a room's members and of all rooms.

use super::room::Room;
use super::{Chat, Effects, Event, Nick, Page, ROOMS_MAX, WHO_MAX, reply};
use crate::id::{ConnId, RoomId};
use smol_str::SmolStr;
use std::collections::BinaryHeap;

impl Chat {
    /// The nicks of up to `most` members of a room but one, and how many more members there are.
    pub(super) fn names_in(
        &self,
        room: RoomId,
        most: usize,
        except: Option<ConnId>,
    ) -> (Vec<Nick>, u32) {
        let account = except.and_then(|id| self.account_of(id));
        let is_except =
            |id: ConnId| Some(id) == except || account.is_some() && self.account_of(id) == account;
        let is_there = except.is_some_and(|id| {
            self.is_member(id, room)
                || account.is_some_and(|account| self.is_elsewhere(account, id, room))
        });
        let members = self.members(room);
        let people = self.rooms.get(room).map_or(0, Room::people);
        let count = people - usize::from(is_there);
        let mut nicks = Vec::with_capacity(count.min(most));
        let listed = members
            .iter()
            .filter(|id| !is_except(**id) && self.is_listed(**id, room));
        nicks.extend(
            listed
                .take(most)
                .filter_map(|id| self.nick_of(*id).cloned()),
        );
        (nicks, count.saturating_sub(most) as u32)
    }

    pub(super) fn who(
        &self,
        id: ConnId,
        room: RoomId,
        page: Option<Page<'_>>,
        effects: &mut Effects,
    ) {
        let Some(name) = self.room_name(room) else {
            return;
        };
        let (members, more) = match page {
            None => self.names_in(room, WHO_MAX, None),
            Some(page) => {
                let members = self.members(room).iter();
                let nicks = members.filter(|id| self.is_listed(**id, room));
                let nicks = nicks.filter_map(|id| self.nick_of(*id));
                let (page, more) = first_of(nicks.map(|nick| (nick.as_str(), nick)), page, WHO_MAX);
                (page.into_iter().cloned().collect(), more)
            }
        };
        let room = name.clone();
        effects.push(reply(
            id,
            Event::Who {
                room,
                members,
                more,
            },
        ));
    }

    pub(super) fn list_rooms(&self, id: ConnId, page: Option<Page<'_>>, effects: &mut Effects) {
        let rooms = self.rooms.iter();
        let mut rooms = rooms
            .filter(|(room, known)| self.is_shown(id, *room, &known.name))
            .map(|(_, room)| (&room.name, room.people() as u32));
        let (rooms, more) = match page {
            None => {
                let listed: Vec<(&SmolStr, u32)> = rooms.by_ref().take(ROOMS_MAX).collect();
                (listed, rooms.count() as u32)
            }
            Some(page) => first_of(rooms.map(|room| (room.0.as_str(), room)), page, ROOMS_MAX),
        };
        let rooms = rooms.into_iter().map(|(name, count)| (name.clone(), count));
        let rooms = rooms.collect();
        effects.push(reply(id, Event::Rooms { rooms, more }));
    }
}

/// The first of what comes behind a name, in the order of the names, and how many more come. Keeps
/// a page while it looks at all, so that a list of any length is not sorted.
fn first_of<'a, T: Ord>(
    named: impl Iterator<Item = (&'a str, T)>,
    page: Page<'_>,
    most: usize,
) -> (Vec<T>, u32) {
    let most = (page.limit as usize).min(most);
    let mut first = BinaryHeap::with_capacity(most + 1);
    let mut count = 0_u32;
    for (name, item) in named {
        if page.after.is_some_and(|after| name <= after) {
            continue;
        }
        count += 1;
        if first.len() < most {
            first.push((name, item));
        } else if first.peek().is_some_and(|(last, _)| name < *last) {
            first.pop();
            first.push((name, item));
        }
    }
    let more = count - first.len() as u32;
    let first = first.into_sorted_vec().into_iter();
    (first.map(|(_, item)| item).collect(), more)
}
