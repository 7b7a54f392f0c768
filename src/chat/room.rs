//! One room: its members, and how many joins and leaves are announced to it one by one.
//! Knows no nick and no other room.

use crate::id::{ConnId, Tick};
use smol_str::SmolStr;

/// Joins and leaves announced one by one in an interval, however small the room: more than that is
/// a client that joins and leaves to make noise.
const SINGLE_NOTICES_MAX: u32 = 20;

/// How a join or a leave is announced to the room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Notice {
    /// A line of its own.
    Single,
    /// Counted, for a line that sums up.
    Summed,
}

#[derive(Debug)]
pub(super) struct Room {
    pub(super) name: SmolStr,
    pub(super) members: Vec<ConnId>,
    joined: u32,
    left: u32,
    /// When the interval in which notices are counted ends.
    interval_ends: Tick,
    single_notices: u32,
    /// It is on the chat's list of rooms with a sum to report.
    pub(super) is_summing: bool,
}

impl Room {
    pub(super) const fn new(name: SmolStr) -> Self {
        Self {
            name,
            members: Vec::new(),
            joined: 0,
            left: 0,
            interval_ends: Tick(0),
            single_notices: 0,
            is_summing: false,
        }
    }

    /// Adds a member and returns their position.
    pub(super) fn add(&mut self, id: ConnId) -> u32 {
        self.members.push(id);
        u32::try_from(self.members.len() - 1).expect("descriptors end long before positions")
    }

    /// Removes the member at a position, and returns the member that has the position instead.
    pub(super) fn remove(&mut self, position: u32) -> Option<ConnId> {
        let position = position as usize;
        if position < self.members.len() {
            self.members.swap_remove(position);
        }
        // The memory of a crowd goes with it: at the cost of the growth that it undoes.
        if self.members.len() < self.members.capacity() / 4 {
            self.members.shrink_to(self.members.capacity() / 2);
        }
        self.members.get(position).copied()
    }

    pub(super) fn member_joined(&mut self, now: Tick, rules: &Notices) -> Notice {
        let notice = self.notice(now, rules);
        self.joined += u32::from(notice == Notice::Summed);
        notice
    }

    pub(super) fn member_left(&mut self, now: Tick, rules: &Notices) -> Notice {
        let notice = self.notice(now, rules);
        self.left += u32::from(notice == Notice::Summed);
        notice
    }

    fn notice(&mut self, now: Tick, rules: &Notices) -> Notice {
        if !self.has_sum() && now >= self.interval_ends {
            self.interval_ends = now + rules.interval;
            self.single_notices = 0;
        }
        let is_small = self.members.len() <= rules.members_max;
        if is_small && !self.has_sum() && self.single_notices < SINGLE_NOTICES_MAX {
            self.single_notices += 1;
            return Notice::Single;
        }
        Notice::Summed
    }

    const fn has_sum(&self) -> bool {
        self.joined > 0 || self.left > 0
    }

    /// When the sum is to be reported; `None`: there is none.
    pub(super) fn sum_due(&self) -> Option<Tick> {
        self.has_sum().then_some(self.interval_ends)
    }

    /// The sum, joined and left, to be reported now; the next comes an interval later at the
    /// earliest.
    pub(super) fn take_sum(&mut self, now: Tick, rules: &Notices) -> (u32, u32) {
        self.interval_ends = now + rules.interval;
        self.single_notices = 0;
        (
            std::mem::take(&mut self.joined),
            std::mem::take(&mut self.left),
        )
    }
}

/// When joins and leaves are summed up.
#[derive(Clone, Copy, Debug)]
pub(super) struct Notices {
    /// Up to this many members every notice is single.
    pub(super) members_max: usize,
    /// Ticks between two sums.
    pub(super) interval: u32,
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: Notices = Notices {
        members_max: 100,
        interval: 30,
    };

    /// A room to which as many joins were announced as may be in one interval.
    fn room_at_the_limit() -> Room {
        let mut room = Room::new("lobby".into());
        for _ in 0..SINGLE_NOTICES_MAX {
            assert_eq!(room.member_joined(Tick(0), &RULES), Notice::Single);
        }
        room
    }

    #[test]
    fn joins_above_the_limit_of_an_interval_are_summed_up() {
        let mut room = room_at_the_limit();
        assert_eq!(room.member_joined(Tick(29), &RULES), Notice::Summed);
        assert_eq!(room.sum_due(), Some(Tick(30)));
        // Until the sum is reported, all joins and leaves belong to it.
        assert_eq!(room.member_left(Tick(30), &RULES), Notice::Summed);
        assert_eq!(room.take_sum(Tick(30), &RULES), (1, 1));
        assert_eq!(room.member_joined(Tick(30), &RULES), Notice::Single);
    }

    #[test]
    fn in_a_new_interval_joins_and_leaves_are_announced_again() {
        let mut room = room_at_the_limit();
        assert_eq!(room.member_left(Tick(30), &RULES), Notice::Single);
        assert_eq!(room.sum_due(), None);
    }

    #[test]
    fn the_list_of_members_shrinks_after_a_crowd_and_not_with_its_first_member() {
        let mut room = Room::new("lobby".into());
        for slot in 0..1000 {
            room.add(ConnId::new(slot, 0));
        }
        let full = room.members.capacity();
        room.remove(999);
        assert_eq!(room.members.capacity(), full);
        for position in (10..999).rev() {
            assert_eq!(room.remove(position), None);
        }
        assert_eq!(room.members.len(), 10);
        assert!(room.members.capacity() <= 40);
    }
}
