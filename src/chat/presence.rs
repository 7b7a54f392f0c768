//! Users enter and leave the server and its rooms, and members of a room are live or behind. Knows
//! no nick's rules and nothing of what is said.

use super::room::{Moved, Room};
use super::user::{Membership, Memberships, User};
use super::{
    Chat, DIALECTS, Effect, Effects, Event, JoinRefused, Now, PRESENT_MAX, Refused, RoomName,
};
use crate::id::{ConnId, RoomId, Tick};
use crate::rate::Bucket;
use smol_str::SmolStr;

impl Chat {
    /// A connection was upgraded and has a user from here on, in no room yet. `dialect` is below
    /// [`DIALECTS`]. Returns why the nick is not the `wanted` one.
    #[must_use]
    pub fn enter(
        &mut self,
        id: ConnId,
        wanted: Option<&str>,
        dialect: usize,
        now: Tick,
    ) -> Option<Refused> {
        let (nick, refused) = self.first_nick(wanted);
        self.enter_names(&nick, id);
        let kept = nick.clone();
        let slot = id.slot() as usize;
        if slot >= self.users.len() {
            self.users.resize_with(slot + 1, || None);
        }
        assert!(self.users[slot].is_none(), "a slot is given away in use");
        self.users[slot] = Some(User {
            nick,
            generation: id.generation(),
            account: None,
            messages: Bucket::full(self.message_rate, now),
            memberships: Memberships::None,
            dialect: dialect as u8,
            operator: 0,
            was_told: false,
        });
        self.user_count += 1;
        refused.map(|(wanted, why)| Refused::Nick { wanted, why, kept })
    }

    /// A user joins a room, which the log has opened under this name; it is live there. The others
    /// see that the user joined. Returns the welcome for the new member.
    ///
    /// # Errors
    /// The user is in the room already, or in as many rooms as a user may be, or banned from it, or
    /// the rules of the room keep it out; nothing has changed.
    pub fn join(
        &mut self,
        id: ConnId,
        room: RoomId,
        name: &SmolStr,
        now: impl Into<Now>,
        effects: &mut Effects,
    ) -> Result<Event, JoinRefused> {
        self.join_with(id, (room, name), None, now.into(), effects)
    }

    /// The same for a user that has shown the password of which `pass` is kept.
    ///
    /// # Errors
    /// Those of [`Chat::join`].
    pub fn join_with(
        &mut self,
        id: ConnId,
        (room, name): (RoomId, &SmolStr),
        pass: Option<&str>,
        now: Now,
        effects: &mut Effects,
    ) -> Result<Event, JoinRefused> {
        let user = self.user(id).ok_or(JoinRefused::NoUser)?;
        if user.memberships.get(room).is_some() {
            return Err(JoinRefused::IsMember);
        }
        if user.memberships.len() >= self.rooms_per_user
            && self.rooms_joined(id) >= self.rooms_per_user
        {
            let max = self.rooms_per_user;
            return Err(JoinRefused::TooManyRooms { max });
        }
        if let Some(notice) = self.banned_from(id, name, now) {
            return Err(JoinRefused::Banned(notice));
        }
        if let Some(why) = self.kept_out(id, (room, name), pass) {
            return Err(why);
        }
        let (nick, dialect, account) = (user.nick.clone(), user.dialect, user.account);
        let listing = self.names_in(room, PRESENT_MAX, Some(id));
        let is_double = account.is_some_and(|account| self.is_elsewhere(account, id, room));
        self.will_count_called(room, name);
        let entered = self.rooms.enter(room, name);
        let (position, moved) = entered.add(id);
        entered.speakers[usize::from(dialect)] += 1;
        entered.doubles += u32::from(is_double);
        if let Some(user) = self.user_mut(id) {
            user.memberships.add(Membership { room, position });
        }
        self.have_moved(room, moved);
        if is_double {
            self.is_other_by(id, room);
        } else {
            self.announce_joined(id, room, now.tick, effects);
        }
        Ok(Event::Welcome {
            room: name.clone(),
            nick,
            present: listing.members,
            accounts: listing.accounts,
            more: listing.more,
        })
    }

    /// A user leaves a room. Without effect if it is not in that room (any more).
    pub fn leave(&mut self, id: ConnId, room: RoomId, now: Tick, effects: &mut Effects) {
        self.depart_from(id, room, "", now, effects);
    }

    /// The connection of a user ended, or ends: the user leaves every room and is gone. Without
    /// effect if the id is no user's (any more).
    pub fn exit(&mut self, id: ConnId, now: Tick, effects: &mut Effects) {
        self.depart(id, "", now, effects);
    }

    /// The same with a last word.
    pub(super) fn depart(&mut self, id: ConnId, word: &str, now: Tick, effects: &mut Effects) {
        if self.user(id).is_none() {
            return;
        }
        self.end_guest(id, effects);
        while let [first, ..] = self.memberships(id) {
            self.depart_from(id, first.room, word, now, effects);
        }
        if let Some(account) = self.account_of(id) {
            self.leave_online(account, id);
        }
        let Some(user) = self.users[id.slot() as usize].take() else {
            return;
        };
        self.leave_names(&user.nick, id);
        self.user_count -= 1;
        self.departed = self.departed.saturating_add(1);
        if self.user_count == 0 {
            self.users = Vec::new();
        }
    }

    fn depart_from(
        &mut self,
        id: ConnId,
        room: RoomId,
        word: &str,
        now: Tick,
        effects: &mut Effects,
    ) {
        if !self.remove(id, room, effects) {
            return;
        }
        let Some(user) = self.user(id) else {
            return;
        };
        let (nick, account) = (user.nick.clone(), user.account);
        if !account.is_some_and(|account| self.is_elsewhere(account, id, room)) {
            self.announce_left(room, &nick, word, now, effects);
        }
    }

    /// Removes a member from a room, and the room with its last member. False: it is no member.
    pub(super) fn remove(&mut self, id: ConnId, room: RoomId, effects: &mut Effects) -> bool {
        let removed = self.user_mut(id).and_then(|user| {
            let membership = user.memberships.remove(room)?;
            Some((membership.position, user.dialect, user.account))
        });
        let Some((position, dialect, account)) = removed else {
            return false;
        };
        let is_double = account.is_some_and(|account| self.is_elsewhere(account, id, room));
        self.will_count(room);
        let Some(left) = self.rooms.get_mut(room) else {
            return false;
        };
        let lasts = left.direct.is_some_and(|pair| pair.accounts().is_some());
        let moved = left.remove(position);
        left.speakers[usize::from(dialect)] -= 1;
        left.doubles -= u32::from(is_double);
        if left.members().is_empty() {
            if left.is_summing {
                self.summing.retain(|id| *id != room);
            }
            if let Some(pair) = self.rooms.remove(room).and_then(|room| room.direct) {
                self.directs.closed(pair.parties(), room);
            }
            effects.push(Effect::RoomIsEmpty { room });
        }
        if lasts {
            self.has_left_pair(id, room, is_double);
        }
        if is_double {
            self.is_other_by(id, room);
        }
        self.have_moved(room, moved);
        true
    }

    /// Puts a room on the list of those with a sum to report, on which it is at most once.
    pub(super) fn will_sum_up(&mut self, id: RoomId) {
        let Some(room) = self.rooms.get_mut(id) else {
            return;
        };
        if !std::mem::replace(&mut room.is_summing, true) {
            self.summing.push(id);
        }
    }

    /// The live members of a room have changed, by which members have other positions.
    pub(super) fn have_moved(&mut self, id: RoomId, moved: Moved) {
        let Some(room) = self.rooms.get_mut(id) else {
            return;
        };
        self.epoch += 1;
        room.epoch = self.epoch;
        for position in moved.into_iter().flatten() {
            let member = room.members()[position as usize];
            let user = self.users[member.slot() as usize].as_mut();
            if let Some(membership) = user.and_then(|user| user.memberships.get_mut(id)) {
                membership.position = position;
            }
        }
    }

    /// A live member does not keep up and sees nothing more at once, until it
    /// [becomes live](Chat::becomes_live). Without effect if it is behind or no member.
    ///
    /// The order of the live members stays, but for the last, which takes the place: a walk from
    /// the last to the first skips and repeats no member.
    pub fn falls_behind(&mut self, id: ConnId, room: RoomId) {
        self.switch(id, room, true, Room::falls_behind);
    }

    /// A member that was behind has caught up. Without effect if it is live or no member.
    pub fn becomes_live(&mut self, id: ConnId, room: RoomId) {
        self.switch(id, room, false, Room::becomes_live);
    }

    fn switch(
        &mut self,
        id: ConnId,
        room: RoomId,
        from_live: bool,
        switch: fn(&mut Room, u32) -> Moved,
    ) {
        let Some(position) = self.position(id, room) else {
            return;
        };
        let Some(switched) = self.rooms.get_mut(room) else {
            return;
        };
        if switched.is_live(position) == from_live {
            let moved = switch(switched, position);
            self.have_moved(room, moved);
        }
    }

    fn memberships(&self, id: ConnId) -> &[Membership] {
        self.user(id)
            .map_or(&[], |user| user.memberships.as_slice())
    }

    fn position(&self, id: ConnId, room: RoomId) -> Option<u32> {
        let membership = self.user(id)?.memberships.get(room)?;
        Some(membership.position)
    }

    /// All members of a room, first the live ones; none if it has none.
    pub fn members(&self, room: RoomId) -> &[ConnId] {
        self.rooms.get(room).map_or(&[], Room::members)
    }

    /// The members of a room that see at once what happens.
    pub fn live(&self, room: RoomId) -> &[ConnId] {
        self.rooms.get(room).map_or(&[], Room::live)
    }

    /// The members of a room that are behind.
    pub fn behind(&self, room: RoomId) -> &[ConnId] {
        self.rooms.get(room).map_or(&[], Room::behind)
    }

    /// How many memberships are behind, over all rooms. For tests.
    pub fn behind_count(&self) -> usize {
        self.rooms.iter().map(|(_, room)| room.behind().len()).sum()
    }

    /// How many members of a room speak each dialect.
    pub fn speakers(&self, room: RoomId) -> [u32; DIALECTS] {
        self.rooms
            .get(room)
            .map_or([0; DIALECTS], |room| room.speakers)
    }

    /// How many notices the room has had, modulo 2³².
    pub fn notices(&self, room: RoomId) -> u32 {
        self.rooms.get(room).map_or(0, |room| room.notices)
    }

    /// The room is shown a notice. To be called once for each [`Effect::Notice`].
    pub fn noticed(&mut self, room: RoomId) {
        if let Some(room) = self.rooms.get_mut(room) {
            room.notices = room.notices.wrapping_add(1);
        }
    }

    /// Whether the connection is a live member of the room.
    pub fn is_live(&self, id: ConnId, room: RoomId) -> bool {
        let position = self.position(id, room);
        let room = self.rooms.get(room);
        room.zip(position)
            .is_some_and(|(room, at)| room.is_live(at))
    }

    /// Another number whenever the live members of the room change; 0 if it has no members.
    pub fn room_epoch(&self, room: RoomId) -> u64 {
        self.rooms.get(room).map_or(0, |room| room.epoch)
    }

    pub fn is_user(&self, id: ConnId) -> bool {
        self.user(id).is_some()
    }

    pub fn is_member(&self, id: ConnId, room: RoomId) -> bool {
        self.position(id, room).is_some()
    }

    /// The rooms that a user is in, in the order in which they were joined.
    pub fn rooms_of(&self, id: ConnId) -> impl Iterator<Item = RoomId> {
        self.memberships(id)
            .iter()
            .map(|membership| membership.room)
    }

    /// The room of this name that the user is in; without a name, the only room that it is in.
    pub fn room_of(&self, id: ConnId, name: Option<&str>) -> Option<RoomId> {
        let memberships = &self.user(id)?.memberships;
        let Some(name) = name else {
            let [only] = memberships.as_slice() else {
                return None;
            };
            return Some(only.room);
        };
        if let Some(nick) = name.strip_prefix('@') {
            return self.conversation_of(id, nick);
        }
        let named = |name: &str| {
            let has_name = |id: &RoomId| self.room_name(*id).is_some_and(|known| known == name);
            memberships.rooms().find(has_name)
        };
        // Most clients write the name as the server does, and parsing takes time.
        named(name).or_else(|| named(RoomName::parse(name).ok()?.as_str()))
    }
}
