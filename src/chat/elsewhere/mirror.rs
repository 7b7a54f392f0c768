//! The members that other servers have in one room, by nick, with the servers that have each. A nick
//! that is a member here as well is kept and not shown: it is one member. Knows no connection.
//!
//! A server that names all its members again begins a round; what it has not named by the end of
//! the round is stale, and is removed in slices.

use crate::chat::Nick;
use std::collections::BTreeMap;
use std::ops::Bound;

/// Where a member is, and the round in which the server named it last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    node: u64,
    round: u32,
}

#[derive(Debug)]
struct Remote {
    place: Place,
    /// Servers that have the same nick, as of an account with two connections. Nearly always none.
    others: Vec<Place>,
    has_account: bool,
    /// It is a member at this server too.
    is_here: bool,
}

impl Remote {
    fn note(&mut self, place: Place) {
        let known = std::iter::once(&mut self.place).chain(&mut self.others);
        match known.into_iter().find(|known| known.node == place.node) {
            Some(known) => *known = place,
            None => self.others.push(place),
        }
    }

    /// False: no server is left that has it.
    fn retain(&mut self, keeps: impl Fn(&Place) -> bool) -> bool {
        self.others.retain(&keeps);
        if keeps(&self.place) {
            return true;
        }
        match self.others.pop() {
            Some(other) => {
                self.place = other;
                true
            }
            None => false,
        }
    }
}

/// How far a server has got in naming its members.
#[derive(Clone, Copy, Debug, Default)]
struct Told {
    round: u32,
    /// It names them all, and has not come to the end.
    is_telling: bool,
}

/// What is known of one room.
#[derive(Debug, Default)]
pub(super) struct Mirror {
    members: BTreeMap<Nick, Remote>,
    /// How many of them are members here.
    here: usize,
    nodes: BTreeMap<u64, Told>,
}

impl Mirror {
    /// The members that are shown beside those of this server.
    pub(super) fn count(&self) -> usize {
        self.members.len() - self.here
    }

    /// Whether a nick of another server that is no member here is an account's; `None`: there is none.
    pub(super) fn shown(&self, nick: &Nick) -> Option<bool> {
        let remote = self.members.get(nick)?;
        (!remote.is_here).then_some(remote.has_account)
    }

    /// Those that are shown, in the order of their nicks, from the first behind a nick on.
    pub(super) fn each(&self, after: Option<&str>) -> impl Iterator<Item = (&Nick, bool)> {
        let first = after.map_or(Bound::Unbounded, Bound::Excluded);
        let members = self.members.range::<str, _>((first, Bound::Unbounded));
        let shown = members.filter(|(_, remote)| !remote.is_here);
        shown.map(|(nick, remote)| (nick, remote.has_account))
    }

    /// A server has a member. True: it is a new one for the members here.
    pub(super) fn put(&mut self, nick: &Nick, node: u64, has_account: bool, is_here: bool) -> bool {
        let round = self.nodes.entry(node).or_default().round;
        let place = Place { node, round };
        if let Some(remote) = self.members.get_mut(nick) {
            remote.note(place);
            remote.has_account |= has_account;
            return false;
        }
        self.here += usize::from(is_here);
        let remote = Remote {
            place,
            others: Vec::new(),
            has_account,
            is_here,
        };
        self.members.insert(nick.clone(), remote);
        !is_here
    }

    /// A server has a member no more. True: it is gone for the members here.
    pub(super) fn remove(&mut self, nick: &Nick, node: u64) -> bool {
        let Some(remote) = self.members.get_mut(nick) else {
            return false;
        };
        if remote.retain(|place| place.node != node) {
            return false;
        }
        self.forget(nick)
    }

    /// A member is gone from all servers. True: it was shown.
    pub(super) fn forget(&mut self, nick: &Nick) -> bool {
        let Some(remote) = self.members.remove(nick) else {
            return false;
        };
        self.here -= usize::from(remote.is_here);
        !remote.is_here
    }

    /// The nick becomes one of a member here, or is one no more. True: another server has it.
    pub(super) fn note_here(&mut self, nick: &Nick, is_here: bool) -> bool {
        let Some(remote) = self.members.get_mut(nick) else {
            return false;
        };
        if remote.is_here != is_here {
            remote.is_here = is_here;
            self.here = if is_here {
                self.here + 1
            } else {
                self.here - 1
            };
        }
        true
    }

    // Rounds

    /// A server names all its members from here on.
    pub(super) fn begins(&mut self, node: u64) {
        let told = self.nodes.entry(node).or_default();
        told.round = told.round.wrapping_add(1);
        told.is_telling = true;
    }

    /// It has named them.
    pub(super) fn ends(&mut self, node: u64) {
        self.nodes.entry(node).or_default().is_telling = false;
    }

    /// What is kept of all servers follows.
    pub(super) fn all_begins(&mut self) {
        for told in self.nodes.values_mut() {
            told.round = told.round.wrapping_add(1);
            told.is_telling = false;
        }
    }

    /// A server is dead: all that it has named is stale. False: it has named nothing.
    pub(super) fn dies(&mut self, node: u64) -> bool {
        let Some(told) = self.nodes.get_mut(&node) else {
            return false;
        };
        told.round = told.round.wrapping_add(1);
        told.is_telling = false;
        true
    }

    /// Removes what is stale of the next `count` members behind a nick. Returns those that are gone
    /// for the members here, and where to go on.
    pub(super) fn sweep(
        &mut self,
        after: Option<&Nick>,
        count: usize,
    ) -> (Vec<Nick>, Option<Nick>) {
        let nodes = &self.nodes;
        let is_fresh = |place: &Place| {
            let told = nodes.get(&place.node).copied().unwrap_or_default();
            told.is_telling || told.round == place.round
        };
        let first = after.map_or(Bound::Unbounded, Bound::Excluded);
        let mut stale = Vec::new();
        let (mut looked, mut last) = (0, None);
        for (nick, remote) in self.members.range_mut::<Nick, _>((first, Bound::Unbounded)) {
            if looked == count {
                break;
            }
            looked += 1;
            last = Some(nick);
            if !remote.retain(is_fresh) {
                stale.push(nick.clone());
            }
        }
        let next = last.filter(|_| looked == count).cloned();
        stale.retain(|nick| self.forget(nick));
        (stale, next)
    }

    pub(super) fn check_invariants(&self, is_here: impl Fn(&Nick) -> bool) {
        let mut here = 0;
        for (nick, remote) in &self.members {
            assert_eq!(remote.is_here, is_here(nick), "{nick} is here");
            here += usize::from(remote.is_here);
        }
        assert_eq!(here, self.here, "members that are here too are counted");
    }
}
