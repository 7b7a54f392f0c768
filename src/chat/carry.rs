//! The chat in the state that another image takes over: users, rooms, nicks, guests in
//! conversations. Settings are those of the new image; what follows from the rest is made again.
//! What is read is believed only as far as it agrees with itself.

use super::user::User;
use super::{Chat, DIALECTS, Operator};
use crate::carry::{Carrier, Damaged};
use crate::id::{ConnId, RoomId};
use siphasher::sip::SipHasher13;
use std::hash::{Hash, Hasher};

impl Chat {
    /// Users, rooms, and what is about them.
    ///
    /// # Errors
    /// The bytes are not those of a chat.
    pub fn carry(&mut self, carrier: &mut Carrier<'_>) -> Result<(), Damaged> {
        carrier.field(&mut self.users)?;
        carrier.field(&mut self.epoch)?;
        carrier.field(&mut self.names)?;
        carrier.field(&mut self.online)?;
        carrier.field(&mut self.directs)?;
        carrier.field(&mut self.rooms)?;
        carrier.field(&mut self.summing)?;
        carrier.field(&mut self.last_act)?;
        let mut operators: Vec<u64> = self.operators.iter().map(mark).collect();
        carrier.field(&mut operators)?;
        if carrier.is_reading() {
            self.verify()?;
            self.follow(&operators);
        }
        Ok(())
    }

    /// The registry, where no store has it.
    ///
    /// # Errors
    /// The bytes are not those of a registry.
    pub fn carry_registry(&mut self, carrier: &mut Carrier<'_>) -> Result<(), Damaged> {
        let mut snapshot = self.registry.snapshot();
        carrier.field(&mut snapshot)?;
        if carrier.is_reading() {
            self.restore(snapshot);
        }
        Ok(())
    }

    fn each_user(&self) -> impl Iterator<Item = (ConnId, &User)> {
        let slots = self.users.iter().zip(0..);
        slots.filter_map(|(user, slot)| user.as_ref().map(|user| (user.id(slot), user)))
    }

    fn verify(&self) -> Result<(), Damaged> {
        let mut memberships = 0;
        for (id, user) in self.each_user() {
            self.verify_user(id, user)?;
            memberships += user.memberships.len();
        }
        let members: usize = self
            .rooms
            .iter()
            .map(|(_, room)| room.members().len())
            .sum();
        if members != memberships {
            return Err(Damaged("a room has a member that is no user"));
        }
        let mut summing = 0;
        for (_, room) in self.rooms.iter() {
            room.verify()?;
            summing += usize::from(room.is_summing);
            if room.epoch > self.epoch || room.direct.is_some_and(|pair| room.name != pair.name()) {
                return Err(Damaged("a room contradicts the others"));
            }
        }
        if self.epoch > u64::MAX / 2 {
            return Err(Damaged("the epochs of rooms are used up"));
        }
        let is_summing = |id: &RoomId| self.rooms.get(*id).is_some_and(|room| room.is_summing);
        let mut listed = self.summing.clone();
        listed.sort_unstable();
        listed.dedup();
        if listed.len() != summing || !self.summing.iter().all(is_summing) {
            return Err(Damaged(
                "the rooms that sum up are not those that are listed",
            ));
        }
        self.verify_names()
    }

    fn verify_user(&self, id: ConnId, user: &User) -> Result<(), Damaged> {
        if usize::from(user.dialect) >= DIALECTS {
            return Err(Damaged("a user speaks no known dialect"));
        }
        let own = user.memberships.as_slice();
        for (index, membership) in own.iter().enumerate() {
            let room = self.rooms.get(membership.room);
            let there = room.and_then(|room| room.members().get(membership.position as usize));
            if there != Some(&id) || own[..index].iter().any(|one| one.room == membership.room) {
                return Err(Damaged("a user is in a room that does not know it"));
            }
        }
        let is_online = |account| self.online.of(account).contains(&id);
        if !user.account.is_none_or(is_online) {
            return Err(Damaged("a user of an account is not among its connections"));
        }
        Ok(())
    }

    fn verify_names(&self) -> Result<(), Damaged> {
        let has_user = |slot: u32| self.users.get(slot as usize).is_some_and(Option::is_some);
        if !self.names.slots().all(has_user) {
            return Err(Damaged("a nick is that of no user"));
        }
        let mut listed = 0;
        for (account, connections) in self.online.iter() {
            listed += connections.len();
            let is_its = |id: &ConnId| self.account_of(*id) == Some(account);
            if connections.is_empty() || !connections.iter().all(is_its) {
                return Err(Damaged("an account has a connection of another"));
            }
        }
        let with_account = self.each_user().filter(|(_, user)| user.account.is_some());
        let is_guest = |id| self.user(id).is_some_and(|user| user.account.is_none());
        if with_account.count() != listed || !self.directs.numbers().all(is_guest) {
            return Err(Damaged("accounts and guests are mixed up"));
        }
        Ok(())
    }

    /// What follows from users and rooms. `operators`: marks of those of the image before.
    fn follow(&mut self, operators: &[u64]) {
        self.user_count = self.each_user().count();
        let marks: Vec<u64> = self.operators.iter().map(mark).collect();
        let place = |mark: &u64| marks.iter().position(|own| own == mark);
        for user in self.users.iter_mut().flatten() {
            let old = usize::from(user.operator).checked_sub(1);
            let new = old.and_then(|old| place(operators.get(old)?));
            user.operator = new.map_or(0, |place| place as u8 + 1);
        }
        let rooms: Vec<RoomId> = self.rooms.iter().map(|(id, _)| id).collect();
        for id in rooms {
            let mut speakers = [0; DIALECTS];
            let mut doubles = 0;
            for member in self.members(id) {
                let dialect = self.user(*member).map_or(0, |user| user.dialect);
                speakers[usize::from(dialect)] += 1;
                doubles += u32::from(!self.is_listed(*member, id));
            }
            if let Some(room) = self.rooms.get_mut(id) {
                room.speakers = speakers;
                room.doubles = doubles;
                if let Some(pair) = room.direct {
                    self.directs.opened(pair.parties(), id);
                }
            }
        }
        let joined = self.each_user().map(|(id, _)| self.rooms_joined(id));
        self.most_rooms_per_user = joined.max().unwrap_or(0);
    }

    /// The rooms that have members, with their names.
    pub fn rooms_with_members(&self) -> impl Iterator<Item = (RoomId, &str)> {
        self.rooms.iter().map(|(id, room)| (id, room.name.as_str()))
    }
}

/// Tells operators apart without their tokens.
fn mark(operator: &Operator) -> u64 {
    let mut hasher = SipHasher13::new();
    (operator.name.as_str(), &operator.token).hash(&mut hasher);
    hasher.finish()
}
