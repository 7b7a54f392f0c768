//! One room: its members, which of them are live, and how many joins and leaves are announced to
//! it one by one. Knows no nick and no other room.

use super::{DIALECTS, Pair};
use crate::carry::{Damaged, carried};
use crate::id::{ConnId, Tick};
use smol_str::SmolStr;
use std::collections::BTreeMap;

/// Joins and leaves announced one by one in an interval, however small the room: more than that is
/// a client that joins and leaves to make noise.
const SINGLE_NOTICES_MAX: u32 = 20;

/// That a member is writing is shown once in so many ticks: a second.
const TYPING_TICKS: u32 = 10;

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
    /// The two whose conversation it is; `None`: it is a room as any.
    pub(super) direct: Option<Pair>,
    /// Of a conversation: greater than in those in which something was said last before.
    pub(super) spoken: u64,
    /// The generation of its id.
    pub(super) generation: u32,
    /// First those that are live, then those that are behind.
    members: Vec<ConnId>,
    /// How many of them are live.
    live: u32,
    /// Members that are further connections of accounts that are members already.
    pub(super) doubles: u32,
    /// How many of them speak each dialect.
    pub(super) speakers: [u32; DIALECTS],
    /// Counts what members that are behind do not see.
    pub(super) notices: u32,
    /// Another number whenever the members that are live change.
    pub(super) epoch: u64,
    joined: u32,
    left: u32,
    /// When the interval in which notices are counted ends.
    interval_ends: Tick,
    single_notices: u32,
    /// Who was shown to be writing, and when: what is older than a second is removed with the next.
    typing: Vec<(ConnId, Tick)>,
    /// When members last spoke, by the keys of their nicks: only while the room is slow.
    pub(super) spoke: BTreeMap<SmolStr, Tick>,
    /// It is on the chat's list of rooms with a sum to report.
    pub(super) is_summing: bool,
}

carried!(struct Room {
    name,
    direct,
    spoken,
    generation,
    members,
    live,
    doubles,
    speakers,
    notices,
    epoch,
    joined,
    left,
    interval_ends,
    single_notices,
    typing,
    spoke,
    is_summing,
});

/// The positions whose members came there from another one.
pub(super) type Moved = [Option<u32>; 2];

impl Room {
    pub(super) const fn new(name: SmolStr, generation: u32) -> Self {
        Self {
            name,
            direct: None,
            spoken: 0,
            generation,
            members: Vec::new(),
            live: 0,
            doubles: 0,
            speakers: [0; DIALECTS],
            notices: 0,
            epoch: 0,
            joined: 0,
            left: 0,
            interval_ends: Tick(0),
            single_notices: 0,
            typing: Vec::new(),
            spoke: BTreeMap::new(),
            is_summing: false,
        }
    }

    /// What a room that was carried must be on its own.
    pub(super) fn verify(&self) -> Result<(), Damaged> {
        let is_sound = !self.members.is_empty()
            && self.live as usize <= self.members.len()
            && self.joined.max(self.left) < u32::MAX / 2
            && self.is_summing == self.has_sum();
        is_sound
            .then_some(())
            .ok_or(Damaged("a room contradicts itself"))
    }

    pub(super) fn members(&self) -> &[ConnId] {
        &self.members
    }

    /// How many are there, an account with several connections counted once.
    pub(super) fn people(&self) -> usize {
        self.members.len() - self.doubles as usize
    }

    /// The members that see what happens at once. The others are behind.
    pub(super) fn live(&self) -> &[ConnId] {
        &self.members[..self.live as usize]
    }

    pub(super) fn behind(&self) -> &[ConnId] {
        &self.members[self.live as usize..]
    }

    pub(super) const fn is_live(&self, position: u32) -> bool {
        position < self.live
    }

    /// Adds a member that is live. Returns its position, and which other member has moved.
    pub(super) fn add(&mut self, id: ConnId) -> (u32, Moved) {
        let last = u32::try_from(self.members.len()).expect("descriptors end long before this");
        self.members.push(id);
        let position = self.live;
        self.live += 1;
        (position, self.swap(position, last))
    }

    /// Removes the member at a position. Returns which members have moved.
    pub(super) fn remove(&mut self, position: u32) -> Moved {
        let mut moved = [None; 2];
        let mut hole = position;
        if self.is_live(position) {
            self.live -= 1;
            hole = self.live;
            moved[0] = self.swap(position, hole)[0];
        }
        self.members.swap_remove(hole as usize);
        if (hole as usize) < self.members.len() {
            moved[1] = Some(hole);
        }
        // The memory of a crowd goes with it: at the cost of the growth that it undoes.
        if self.members.len() < self.members.capacity() / 4 {
            self.members.shrink_to(self.members.capacity() / 2);
        }
        moved
    }

    /// Moves a live member behind the live ones, whose order stays but for the last of them: a walk
    /// over them from the last to the first skips and repeats no member.
    pub(super) fn falls_behind(&mut self, position: u32) -> Moved {
        assert!(self.is_live(position), "the member is behind already");
        self.live -= 1;
        self.swap(position, self.live)
    }

    /// Moves a member that was behind to the live ones, as their last.
    pub(super) fn becomes_live(&mut self, position: u32) -> Moved {
        assert!(!self.is_live(position), "the member is live already");
        self.live += 1;
        self.swap(position, self.live - 1)
    }

    fn swap(&mut self, one: u32, other: u32) -> Moved {
        if one == other {
            return [None; 2];
        }
        self.members.swap(one as usize, other as usize);
        [Some(one), Some(other)]
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

    /// A member is writing. False: it is not to be shown, because that was done a moment ago or the
    /// room is large, which also bounds the list.
    pub(super) fn is_typing(&mut self, id: ConnId, now: Tick, rules: &Notices) -> bool {
        self.typing.retain(|(_, at)| now.since(*at) < TYPING_TICKS);
        let is_shown = self.members.len() <= rules.members_max
            && self.typing.iter().all(|(typing, _)| *typing != id);
        if is_shown {
            self.typing.push((id, now));
        }
        is_shown
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
        let mut room = Room::new("lobby".into(), 0);
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
        let mut room = Room::new("lobby".into(), 0);
        for slot in 0..1000 {
            room.add(ConnId::new(slot, 0));
        }
        let full = room.members.capacity();
        room.remove(999);
        assert_eq!(room.members.capacity(), full);
        for position in (10..999).rev() {
            assert_eq!(room.remove(position), [None; 2]);
        }
        assert_eq!(room.members.len(), 10);
        assert!(room.members.capacity() <= 40);
    }

    /// The members of a room as two sets, and what the room says their positions are.
    struct Model {
        room: Room,
        live: Vec<ConnId>,
        behind: Vec<ConnId>,
        positions: std::collections::HashMap<ConnId, u32>,
    }

    impl Model {
        fn moved(&mut self, moved: Moved) {
            for position in moved.into_iter().flatten() {
                let id = self.room.members[position as usize];
                self.positions.insert(id, position);
            }
        }

        fn check(&self) {
            let sorted = |ids: &[ConnId]| {
                let mut ids = ids.to_vec();
                ids.sort_unstable();
                ids
            };
            assert_eq!(sorted(self.room.live()), sorted(&self.live));
            let behind = &self.room.members()[self.live.len()..];
            assert_eq!(sorted(behind), sorted(&self.behind));
            assert_eq!(self.positions.len(), self.room.members.len());
            for (id, position) in &self.positions {
                assert_eq!(self.room.members[*position as usize], *id);
                assert_eq!(self.room.is_live(*position), self.live.contains(id));
            }
        }
    }

    #[test]
    fn positions_are_right_after_any_order_of_joins_leaves_and_switches() {
        for seed in 1..if cfg!(miri) { 3 } else { 200 } {
            let mut chance = crate::chance::Chance::new(seed, "rooms");
            let mut model = Model {
                room: Room::new("lobby".into(), 0),
                live: Vec::new(),
                behind: Vec::new(),
                positions: std::collections::HashMap::new(),
            };
            for step in 0..200 {
                let members = model.positions.len() as u64;
                let pick = |from: &[ConnId], number: u64| from[number as usize % from.len()];
                let number = chance.below(1_000);
                match chance.below(4) {
                    0 if members < 12 => {
                        let id = ConnId::new(step, 0);
                        let (position, moved) = model.room.add(id);
                        model.live.push(id);
                        model.positions.insert(id, position);
                        model.moved(moved);
                    }
                    1 if members > 0 => {
                        let id = pick(&model.room.members, number);
                        let position = model.positions.remove(&id).expect("a member");
                        let moved = model.room.remove(position);
                        model.live.retain(|other| *other != id);
                        model.behind.retain(|other| *other != id);
                        model.moved(moved);
                    }
                    2 if !model.live.is_empty() => {
                        let id = pick(&model.live, number);
                        model.live.retain(|other| *other != id);
                        model.behind.push(id);
                        let moved = model.room.falls_behind(model.positions[&id]);
                        model.moved(moved);
                    }
                    3 if !model.behind.is_empty() => {
                        let id = pick(&model.behind, number);
                        model.behind.retain(|other| *other != id);
                        model.live.push(id);
                        let moved = model.room.becomes_live(model.positions[&id]);
                        model.moved(moved);
                    }
                    _ => {}
                }
                model.check();
            }
        }
    }

    #[test]
    fn walk_from_the_last_live_member_to_the_first_meets_each_once_while_some_fall_behind() {
        for falling in 0..1_u32 << 6 {
            let mut room = Room::new("lobby".into(), 0);
            for slot in 0..6 {
                room.add(ConnId::new(slot, 0));
            }
            let mut met = Vec::new();
            for position in (0..room.live).rev() {
                let id = room.live()[position as usize];
                met.push(id.slot());
                if falling >> id.slot() & 1 == 1 {
                    room.falls_behind(position);
                }
            }
            assert_eq!(met, [5, 4, 3, 2, 1, 0]);
            assert_eq!(room.live().len() as u32, 6 - falling.count_ones());
        }
    }
}
