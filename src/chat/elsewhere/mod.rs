//! Members that other servers have in the rooms of this one: in come differences, out go the same
//! notices as of members here. And the other way: what is to be said of the members here. Nothing
//! of this is there unless other servers share the engine. Knows no server but its number.

mod going;
mod list;
mod mirror;
mod rounds;

pub use list::{Counts, RoomsSighting};

use super::{Chat, Effects, Event, Nick, notice};
use crate::id::{ConnId, RoomId, Tick};
use going::Going;
use list::List;
use mirror::Mirror;
use std::collections::{BTreeMap, VecDeque};

/// Members that one difference names at most.
pub const MOVES_MAX: usize = 512;

/// Members that are looked at in one slice of a sweep.
const SWEEP_MAX: usize = 2_048;

/// What a member is beside its nick.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// The nick is the name of the member's account.
    pub has_account: bool,
    /// One of its connections in the room is an operator by token.
    pub is_operator: bool,
}

impl Standing {
    /// Of a member with several connections.
    const fn and(self, other: Self) -> Self {
        Self {
            has_account: self.has_account || other.has_account,
            is_operator: self.is_operator || other.is_operator,
        }
    }
}

/// A member that came to a room, or is another than the others know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Came {
    pub nick: Nick,
    pub standing: Standing,
    /// The nick that it had before, if it did not join.
    pub was: Option<Nick>,
}

/// What has changed of the members that one server has in a room.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Moves {
    /// All members follow, in this difference and those after it.
    pub is_first: bool,
    /// With this one, all are named.
    pub is_last: bool,
    pub came: Vec<Came>,
    /// Those of the nicks before are among them.
    pub left: Vec<Nick>,
}

/// What is known of the members of other servers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sighting {
    Moves {
        node: u64,
        moves: Moves,
    },
    /// All that is kept of the room follows: what is not in it is no more.
    AllBegins,
    AllEnds,
    /// Nothing more is known of the room.
    Closed,
}

/// What members here are shown of a difference.
enum Seen {
    Joined(Nick, bool),
    Left(Nick),
    Renamed(Nick, Nick),
}

/// The rooms, and what is to be removed from them.
#[derive(Debug, Default)]
pub(super) struct Elsewhere {
    rooms: BTreeMap<RoomId, Mirror>,
    /// Rooms with stale members, and the last that was looked at.
    sweeps: VecDeque<(RoomId, Option<Nick>)>,
    going: BTreeMap<RoomId, Going>,
    list: List,
}

impl Elsewhere {
    fn sweep(&mut self, room: RoomId) {
        self.sweeps.retain(|(other, _)| *other != room);
        self.sweeps.push_back((room, None));
    }

    fn apply(
        &mut self,
        room: RoomId,
        (node, moves): (u64, Moves),
        is_here: impl Fn(&Nick) -> bool,
    ) -> Vec<Seen> {
        let mirror = self.rooms.entry(room).or_default();
        let mut seen = Vec::new();
        if moves.is_first {
            mirror.rounds.begins(node);
        }
        let (renamed, came): (Vec<Came>, Vec<Came>) =
            moves.came.into_iter().partition(|came| came.was.is_some());
        for Came {
            nick,
            standing,
            was,
        } in renamed
        {
            let old = was.filter(|was| mirror.remove(was, node));
            let is_new = mirror.put(&nick, node, standing, is_here(&nick));
            match (old, is_new) {
                (Some(old), true) => seen.push(Seen::Renamed(old, nick)),
                (Some(old), false) => seen.push(Seen::Left(old)),
                (None, true) => seen.push(Seen::Joined(nick, standing.has_account)),
                (None, false) => {}
            }
        }
        for nick in moves.left {
            if mirror.remove(&nick, node) {
                seen.push(Seen::Left(nick));
            }
        }
        for came in came {
            if mirror.put(&came.nick, node, came.standing, is_here(&came.nick)) {
                seen.push(Seen::Joined(came.nick, came.standing.has_account));
            }
        }
        if moves.is_last {
            mirror.rounds.ends(node);
            self.sweep(room);
        }
        seen
    }
}

impl Chat {
    /// Other servers share the rooms: their members are known, and those of this one are told.
    pub fn shares_members(&mut self) {
        self.elsewhere = Some(Box::default());
    }

    /// How many members of a room are known that are not here.
    pub fn count_elsewhere(&self, room: RoomId) -> usize {
        self.mirror(room).map_or(0, Mirror::count)
    }

    fn mirror(&self, room: RoomId) -> Option<&Mirror> {
        self.elsewhere.as_ref()?.rooms.get(&room)
    }

    /// The members that are not here, by nick, from the first behind one on, and whether the nick
    /// is an account's.
    pub(super) fn each_elsewhere(
        &self,
        room: RoomId,
        after: Option<&str>,
    ) -> impl Iterator<Item = (&Nick, bool)> {
        let mirror = self.mirror(room).into_iter();
        mirror.flat_map(move |mirror| mirror.each(after))
    }

    /// The same of all, for operators, with a server that has each.
    pub fn members_elsewhere(&self, room: RoomId) -> impl Iterator<Item = (&Nick, bool, u64)> {
        let mirror = self.mirror(room).into_iter();
        mirror.flat_map(Mirror::each_with_node)
    }

    /// Whether a nick is that of a member that is not here.
    pub(super) fn is_shown_elsewhere(&self, room: RoomId, nick: &Nick) -> bool {
        let mirror = self.mirror(room);
        mirror.is_some_and(|mirror| mirror.shows(nick))
    }

    /// What a member is at other servers, whether it is here too or not.
    pub(super) fn standing_elsewhere(&self, room: RoomId, nick: &Nick) -> Option<Standing> {
        self.mirror(room)?.standing(nick)
    }

    /// The operator at another server, in any room, that has this nick, or one that looks like it.
    pub(super) fn operator_elsewhere(&self, nick: &Nick) -> Option<&Nick> {
        let keys: Vec<_> = nick.keys().collect();
        let mirrors = self
            .elsewhere
            .iter()
            .flat_map(|elsewhere| elsewhere.rooms.values());
        let mut operators = mirrors.flat_map(Mirror::operators);
        operators.find(|other| other.keys().any(|key| keys.contains(&key)))
    }

    /// The member that is not here and has this nick, or one that looks like it.
    pub(super) fn member_elsewhere(&self, room: RoomId, nick: &Nick) -> Option<&Nick> {
        let mut members = self.each_elsewhere(room, None);
        if self.is_shown_elsewhere(room, nick) {
            return members
                .find(|(other, _)| *other == nick)
                .map(|(nick, _)| nick);
        }
        let keys: Vec<_> = nick.keys().collect();
        let is_alike = |other: &Nick| other.keys().any(|key| keys.contains(&key));
        let found = members.find(|(other, _)| is_alike(other));
        found.map(|(nick, _)| nick)
    }

    // What other servers have

    /// Something is known of the members that other servers have in a room.
    pub fn sighted(&mut self, room: RoomId, what: Sighting, now: Tick, effects: &mut Effects) {
        let Some(mut elsewhere) = self.elsewhere.take() else {
            return;
        };
        let mut seen = Vec::new();
        match what {
            Sighting::Moves { node, moves } => {
                let is_here = |nick: &Nick| self.is_nick_here(room, nick);
                seen = elsewhere.apply(room, (node, moves), is_here);
            }
            Sighting::AllBegins => elsewhere.rooms.entry(room).or_default().rounds.all_begins(),
            Sighting::AllEnds => elsewhere.sweep(room),
            Sighting::Closed => {
                elsewhere.rooms.remove(&room);
                elsewhere.going.remove(&room);
                elsewhere.sweeps.retain(|(other, _)| *other != room);
            }
        }
        self.elsewhere = Some(elsewhere);
        for one in seen {
            self.show_seen(room, one, now, effects);
        }
    }

    /// A server is dead: its members are gone from all rooms, and it has no room on the list.
    pub fn server_died(&mut self, node: u64) {
        let Some(elsewhere) = &mut self.elsewhere else {
            return;
        };
        elsewhere.list.server_died(node);
        let rooms = elsewhere.rooms.iter_mut();
        let rooms = rooms.filter_map(|(room, mirror)| mirror.rounds.dies(node).then_some(*room));
        let rooms: Vec<RoomId> = rooms.collect();
        for room in rooms {
            elsewhere.sweep(room);
        }
    }

    /// Whether members are to be [swept](Chat::sweep_members).
    pub fn has_stale_members(&self) -> bool {
        let elsewhere = self.elsewhere.as_ref();
        elsewhere.is_some_and(|elsewhere| !elsewhere.sweeps.is_empty())
    }

    /// Removes a slice of the members that no server has any more.
    pub fn sweep_members(&mut self, now: Tick, effects: &mut Effects) {
        let Some(elsewhere) = &mut self.elsewhere else {
            return;
        };
        let Some((room, after)) = elsewhere.sweeps.pop_front() else {
            return;
        };
        let Some(mirror) = elsewhere.rooms.get_mut(&room) else {
            return;
        };
        let (gone, next) = mirror.sweep(after.as_ref(), SWEEP_MAX);
        if next.is_some() {
            elsewhere.sweeps.push_front((room, next));
        }
        for nick in gone {
            self.show_seen(room, Seen::Left(nick), now, effects);
        }
    }

    /// Members of a conversation come and go unseen.
    fn show_seen(&mut self, room: RoomId, seen: Seen, now: Tick, effects: &mut Effects) {
        if self.pair_of(room).is_some() {
            return;
        }
        match seen {
            Seen::Joined(nick, has_account) => {
                self.show_joined(room, (nick, has_account), None, now, effects);
            }
            Seen::Left(nick) => self.show_left(room, &nick, "", now, effects),
            Seen::Renamed(old, new) => self.show_renamed(room, &old, &new, effects),
        }
    }

    /// Whether a member here has exactly this nick.
    fn is_nick_here(&self, room: RoomId, nick: &Nick) -> bool {
        if self.members(room).is_empty() {
            return false;
        }
        let mut owners = self.owners_of(nick);
        let owner = owners.find(|owner| self.nick_of(*owner) == Some(nick));
        let all = owner.map(|owner| self.connections_of(owner));
        all.is_some_and(|all| all.iter().any(|one| self.is_member(*one, room)))
    }

    // Members here

    /// A nick is that of a member here from here on. True: it is one at another server already, and
    /// no join is shown.
    pub(super) fn comes_here(&mut self, room: RoomId, nick: &Nick) -> bool {
        let Some(elsewhere) = &mut self.elsewhere else {
            return false;
        };
        elsewhere.going.entry(room).or_default().came(nick);
        let mirror = elsewhere.rooms.get_mut(&room);
        mirror.is_some_and(|mirror| mirror.note_here(nick, true))
    }

    /// A nick is that of no member here any more. True: it stays one at another server.
    pub(super) fn goes_from_here(&mut self, room: RoomId, nick: &Nick) -> bool {
        let Some(elsewhere) = &mut self.elsewhere else {
            return false;
        };
        elsewhere.going.entry(room).or_default().left(nick);
        let mirror = elsewhere.rooms.get_mut(&room);
        mirror.is_some_and(|mirror| mirror.note_here(nick, false))
    }

    /// A member here has another nick. True: the room was shown what that is for it.
    pub(super) fn renamed_here(
        &mut self,
        room: RoomId,
        (old, new): (&Nick, &Nick),
        effects: &mut Effects,
    ) -> bool {
        let Some(elsewhere) = &mut self.elsewhere else {
            return false;
        };
        elsewhere.going.entry(room).or_default().renamed(old, new);
        let Some(mirror) = elsewhere.rooms.get_mut(&room) else {
            return false;
        };
        let (stays, was) = (mirror.note_here(old, false), mirror.note_here(new, true));
        let Some(name) = self.room_name(room).cloned().filter(|_| stays || was) else {
            return false;
        };
        let event = match (stays, was) {
            (true, true) => return true,
            (true, false) => Event::Joined {
                room: name,
                nick: new.clone(),
                has_account: self.standing_here(room, new).has_account,
            },
            (false, _) => Event::Left {
                room: name,
                nick: old.clone(),
                word: String::new(),
            },
        };
        effects.push(notice(room, event));
        true
    }

    /// The nick of a user has become that of its account, or the user an operator, or is that no
    /// more.
    pub(super) fn is_other_person(&mut self, id: ConnId) {
        if self.elsewhere.is_none() {
            return;
        }
        let Some(nick) = self.nick_of(id).cloned() else {
            return;
        };
        for room in self.rooms_of(id).collect::<Vec<_>>() {
            self.is_other_in(room, &nick);
        }
    }

    /// What a member here is, in one room, may be another thing.
    pub(super) fn is_other_in(&mut self, room: RoomId, nick: &Nick) {
        if self.pair_of(room).is_none()
            && let Some(elsewhere) = &mut self.elsewhere
        {
            elsewhere.going.entry(room).or_default().is_other(nick);
        }
    }

    /// A connection comes to a room, or leaves it, where another of its account is: by it, the member
    /// may be an operator.
    pub(super) fn is_other_by(&mut self, id: ConnId, room: RoomId) {
        if self.elsewhere.is_some()
            && self.is_operator(id)
            && let Some(nick) = self.nick_of(id).cloned()
        {
            self.is_other_in(room, &nick);
        }
    }

    /// What the member here is that has exactly this nick.
    fn standing_here(&self, room: RoomId, nick: &Nick) -> Standing {
        let mut owners = self.owners_of(nick);
        let owner = owners.find(|owner| self.nick_of(*owner) == Some(nick));
        owner.map_or_else(Standing::default, |owner| self.standing_of(owner, room))
    }

    /// What a user is in a room, by all of its connections there.
    fn standing_of(&self, id: ConnId, room: RoomId) -> Standing {
        let account = self.account_of(id);
        let is_operator = |id: &ConnId| self.is_operator(*id) && self.is_member(*id, room);
        Standing {
            has_account: account.is_some(),
            is_operator: match account {
                Some(account) => self.online.of(account).iter().any(is_operator),
                None => is_operator(&id),
            },
        }
    }

    /// A member is removed from a room, at whichever server it is: no leave is shown.
    pub(super) fn forget_elsewhere(&mut self, room: RoomId, nick: &Nick) {
        if let Some(elsewhere) = &mut self.elsewhere
            && let Some(mirror) = elsewhere.rooms.get_mut(&room)
        {
            mirror.forget(nick);
        }
    }

    /// Whether something of the members here is to be told.
    pub fn has_moves(&self) -> bool {
        let elsewhere = self.elsewhere.as_ref();
        elsewhere.is_some_and(|elsewhere| !elsewhere.going.is_empty())
    }

    /// What other servers are to know of the members of a room, the next that there is.
    pub fn take_moves(&mut self) -> Option<(RoomId, Vec<Moves>)> {
        let elsewhere = self.elsewhere.as_mut()?;
        let (room, going) = elsewhere.going.pop_first()?;
        let moves = going.moves(|nick| self.standing_here(room, nick));
        let is_nothing = moves.came.is_empty() && moves.left.is_empty();
        let slices = if is_nothing {
            Vec::new()
        } else {
            slices(moves, false)
        };
        Some((room, slices))
    }

    /// All members of a room that are here, as other servers are to know them.
    pub fn all_moves(&mut self, room: RoomId) -> Vec<Moves> {
        if let Some(elsewhere) = &mut self.elsewhere {
            elsewhere.going.remove(&room);
        }
        let listed = self.members(room).iter();
        let listed = listed.filter(|id| self.is_listed(**id, room));
        let came = listed.filter_map(|id| {
            Some(Came {
                nick: self.nick_of(*id)?.clone(),
                standing: self.standing_of(*id, room),
                was: None,
            })
        });
        let moves = Moves {
            came: came.collect(),
            ..Moves::default()
        };
        slices(moves, true)
    }

    /// Panics if members here and elsewhere contradict each other. For tests.
    pub(super) fn check_elsewhere(&self) {
        let elsewhere = self.elsewhere.iter();
        for (room, mirror) in elsewhere.flat_map(|elsewhere| &elsewhere.rooms) {
            mirror.check_invariants(|nick| self.is_nick_here(*room, nick));
        }
    }
}

/// A difference in parts, each of which names no more than it may.
fn slices(moves: Moves, is_all: bool) -> Vec<Moves> {
    let mut slices = Vec::new();
    let Moves {
        mut came, mut left, ..
    } = moves;
    while slices.is_empty() || !came.is_empty() || !left.is_empty() {
        let rest = came.split_off(came.len().min(MOVES_MAX));
        let slice = std::mem::replace(&mut came, rest);
        let rest = left.split_off(left.len().min(MOVES_MAX));
        slices.push(Moves {
            is_first: is_all && slices.is_empty(),
            is_last: false,
            came: slice,
            left: std::mem::replace(&mut left, rest),
        });
    }
    if let Some(last) = slices.last_mut() {
        last.is_last = is_all;
    }
    slices
}
