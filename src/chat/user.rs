//! The user of a connection, and the rooms that it is in: one without memory of its own, several in
//! a list. Knows no other user and no rule.

use super::Nick;
use crate::carry::{Carry, Damaged, Reader, Writer, carried};
use crate::id::{AccountId, ConnId, RoomId};
use crate::rate::Bucket;

/// The user of a connection, from the upgrade to the end of the connection. The slot of the
/// connection is the place in the table.
pub(super) struct User {
    pub(super) nick: Nick,
    /// The generation of the connection.
    pub(super) generation: u32,
    /// `None`: a guest.
    pub(super) account: Option<AccountId>,
    pub(super) messages: Bucket,
    pub(super) memberships: Memberships,
    /// Below [`super::DIALECTS`].
    pub(super) dialect: u8,
    /// Which operator the user is, counted from 1; 0: none.
    pub(super) operator: u8,
    /// The user was asked to slow down, and nothing of theirs has passed since.
    pub(super) was_told: bool,
}

/// A user in a room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Membership {
    pub(super) room: RoomId,
    /// The index into the room's list of members.
    pub(super) position: u32,
}

/// The rooms that a user is in, in the order in which they were joined.
#[derive(Debug, Default)]
pub(super) enum Memberships {
    #[default]
    None,
    /// Most users are in one room, for which nothing is allocated.
    One(Membership),
    #[expect(
        clippy::box_collection,
        reason = "a pointer fits beside a membership, a list does not"
    )]
    Many(Box<Vec<Membership>>),
}

impl Memberships {
    pub(super) fn as_slice(&self) -> &[Membership] {
        match self {
            Self::None => &[],
            Self::One(membership) => std::slice::from_ref(membership),
            Self::Many(memberships) => memberships,
        }
    }

    fn as_mut_slice(&mut self) -> &mut [Membership] {
        match self {
            Self::None => &mut [],
            Self::One(membership) => std::slice::from_mut(membership),
            Self::Many(memberships) => memberships,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.as_slice().len()
    }

    pub(super) fn rooms(&self) -> impl Iterator<Item = RoomId> {
        self.as_slice().iter().map(|membership| membership.room)
    }

    pub(super) fn get(&self, room: RoomId) -> Option<&Membership> {
        self.as_slice().iter().find(|one| one.room == room)
    }

    pub(super) fn get_mut(&mut self, room: RoomId) -> Option<&mut Membership> {
        self.as_mut_slice().iter_mut().find(|one| one.room == room)
    }

    /// The user must not be in that room.
    pub(super) fn add(&mut self, new: Membership) {
        match self {
            Self::None => *self = Self::One(new),
            Self::One(first) => *self = Self::Many(Box::new(vec![*first, new])),
            Self::Many(memberships) => memberships.push(new),
        }
    }

    pub(super) fn remove(&mut self, room: RoomId) -> Option<Membership> {
        let index = self.as_slice().iter().position(|one| one.room == room)?;
        let removed = self.as_slice()[index];
        match self {
            Self::None => return None,
            Self::One(_) => *self = Self::None,
            Self::Many(memberships) => {
                memberships.remove(index);
                if let [last] = memberships[..] {
                    *self = Self::One(last);
                }
            }
        }
        Some(removed)
    }
}

carried!(struct Membership { room, position });
carried!(struct User {
    nick,
    generation,
    account,
    messages,
    memberships,
    dialect,
    operator,
    was_told,
});

impl Carry for Memberships {
    fn write(&self, to: &mut Writer) {
        to.length(self.len());
        Membership::write_all(self.as_slice(), to);
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, Damaged> {
        let mut memberships = Self::None;
        for _ in 0..from.length()? {
            memberships.add(Membership::read(from)?);
        }
        Ok(memberships)
    }
}

impl User {
    pub(super) const fn id(&self, slot: u32) -> ConnId {
        ConnId::new(slot, self.generation)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn membership(slot: u32) -> Membership {
        Membership {
            room: RoomId::new(slot, 0),
            position: slot + 10,
        }
    }

    fn slots(memberships: &Memberships) -> Vec<u32> {
        memberships.rooms().map(RoomId::slot).collect()
    }

    /// The memory promise: 253 bytes for an idle joined connection, this being one of its parts.
    #[test]
    fn user_in_one_room_is_small() {
        assert!(size_of::<Option<User>>() <= 64);
    }

    #[test]
    fn rooms_are_in_the_order_in_which_they_were_joined() {
        let mut memberships = Memberships::default();
        assert!(slots(&memberships).is_empty());
        for slot in [5, 3, 9, 1] {
            memberships.add(membership(slot));
        }
        assert_eq!(slots(&memberships), [5, 3, 9, 1]);
        assert_eq!(memberships.remove(RoomId::new(3, 0)), Some(membership(3)));
        assert_eq!(slots(&memberships), [5, 9, 1]);
        assert_eq!(memberships.len(), 3);
    }

    #[test]
    fn room_of_another_generation_is_another_room() {
        let mut memberships = Memberships::One(membership(5));
        assert_eq!(memberships.get(RoomId::new(5, 1)), None);
        assert_eq!(memberships.remove(RoomId::new(5, 1)), None);
        assert_eq!(memberships.len(), 1);
    }

    #[test]
    fn list_of_rooms_is_given_back_with_the_last_but_one() {
        let mut memberships = Memberships::default();
        for slot in 0..3 {
            memberships.add(membership(slot));
        }
        assert!(matches!(memberships, Memberships::Many(_)));
        memberships.remove(RoomId::new(0, 0));
        assert!(matches!(memberships, Memberships::Many(_)));
        memberships.remove(RoomId::new(2, 0));
        assert!(matches!(memberships, Memberships::One(one) if one == membership(1)));
        memberships.remove(RoomId::new(1, 0));
        assert!(matches!(memberships, Memberships::None));
        assert_eq!(memberships.remove(RoomId::new(1, 0)), None);
    }
}
