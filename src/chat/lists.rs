//! The lists of a room's members and of all rooms.

use super::room::Room;
use super::{Chat, Effects, Event, Nick, Page, ROOMS_MAX, WHO_MAX, reply};
use crate::id::{ConnId, RoomId};
use smol_str::SmolStr;
use std::collections::{BTreeSet, BinaryHeap};

/// Members of a room, as a list names them.
pub(super) struct Listing {
    pub(super) members: Vec<Nick>,
    /// Those of them whose nick is the name of their account.
    pub(super) accounts: Vec<Nick>,
    /// How many more there are.
    pub(super) more: u32,
}

impl Chat {
    /// Up to `most` members of a room but one.
    pub(super) fn names_in(&self, room: RoomId, most: usize, except: Option<ConnId>) -> Listing {
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
        let own = except.and_then(|id| self.nick_of(id));
        // Another connection of the account, at another server.
        let is_own = own.is_some_and(|own| self.is_shown_elsewhere(room, own));
        let count = count + self.count_elsewhere(room) - usize::from(is_own);
        let listed = members
            .iter()
            .filter(|id| !is_except(**id) && self.is_listed(**id, room));
        let mut listing = Listing {
            members: Vec::with_capacity(count.min(most)),
            accounts: Vec::new(),
            more: count.saturating_sub(most) as u32,
        };
        for user in listed.take(most).filter_map(|id| self.user(*id)) {
            listing.members.push(user.nick.clone());
            if user.account.is_some() {
                listing.accounts.push(user.nick.clone());
            }
        }
        let elsewhere = self.each_elsewhere(room, None);
        let elsewhere = elsewhere.filter(|(nick, _)| Some(*nick) != own);
        for (nick, has_account) in elsewhere.take(most - listing.members.len()) {
            listing.members.push(nick.clone());
            if has_account {
                listing.accounts.push(nick.clone());
            }
        }
        listing
    }

    pub(super) fn who(
        &self,
        id: ConnId,
        room: RoomId,
        page: Option<Page<'_>>,
        effects: &mut Effects,
    ) {
        let Some(name) = self.room_name_for(id, room) else {
            return;
        };
        if let Some(pair) = self.pair_of(room) {
            let event = Event::Who {
                room: name,
                members: self.here_of(room, pair),
                accounts: Vec::new(),
                more: 0,
            };
            return effects.push(reply(id, event));
        }
        let listing = match page {
            None => self.names_in(room, WHO_MAX, None),
            Some(page) => {
                let members = self.members(room).iter();
                let listed = members.filter(|id| self.is_listed(**id, room));
                let users = listed.filter_map(|id| self.user(*id));
                let users = users.map(|user| (&user.nick, user.account.is_some()));
                let all = users.chain(self.each_elsewhere(room, page.after));
                let named = all.map(|member| (member.0.as_str(), member));
                let (page, more) = first_of(named, page, WHO_MAX);
                let accounts = page.iter().filter(|(_, has_account)| *has_account);
                Listing {
                    accounts: accounts.map(|(nick, _)| (*nick).clone()).collect(),
                    members: page.into_iter().map(|(nick, _)| nick.clone()).collect(),
                    more,
                }
            }
        };
        let event = Event::Who {
            room: name,
            members: listing.members,
            accounts: listing.accounts,
            more: listing.more,
        };
        effects.push(reply(id, event));
    }

    pub(super) fn list_rooms(&self, id: ConnId, page: Option<Page<'_>>, effects: &mut Effects) {
        let here = self.rooms.iter();
        let here = here
            .filter(|(_, room)| room.direct.is_none())
            .filter(|(room, known)| self.is_shown(id, Some(*room), &known.name))
            .map(|(id, room)| {
                let count = room.people() + self.count_elsewhere(id);
                (&room.name, count as u32)
            });
        let mut rooms = here.chain(self.other_rooms(id));
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

impl Chat {
    /// The room with members in a slot of the table, for lists that come in pages.
    pub fn room_at(&self, slot: u32) -> Option<RoomId> {
        self.rooms.at(slot)
    }

    /// Above every slot that is in use.
    pub fn room_slots(&self) -> u32 {
        u32::try_from(self.rooms.slots()).unwrap_or(u32::MAX)
    }

    /// Rooms that have members at other servers alone, and those with an owner that have none now,
    /// as far as a user is shown them.
    fn other_rooms(&self, id: ConnId) -> impl Iterator<Item = (&SmolStr, u32)> {
        let owned = self.registry.owned_rooms();
        let mut here = BTreeSet::new();
        if owned.len() + self.rooms_elsewhere_count() > 0 {
            here.extend(self.rooms.iter().map(|(_, room)| &room.name));
        }
        let owned = owned.filter(|name| !self.has_room_elsewhere(name));
        let others = self.rooms_elsewhere().chain(owned.map(|name| (name, 0)));
        others.filter(move |(name, _)| !here.contains(name) && self.is_shown(id, None, name))
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
