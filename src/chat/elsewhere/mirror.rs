//! The members that other servers have in one room, by nick, with the servers that have each. A nick
//! that is a member here as well is kept and not shown: it is one member. Knows no connection.
//!
//! A server that names all its members again begins a round; what it has not named by the end of
//! the round is stale, and is removed in slices.

use super::Standing;
use super::rounds::{self, Place, Places, Rounds};
use crate::chat::Nick;
use std::collections::BTreeMap;
use std::ops::Bound;

#[derive(Debug)]
struct Remote {
    /// Nearly always one server; several as of an account with two connections.
    places: Places<Standing>,
    /// It is a member at this server too.
    is_here: bool,
}

impl Remote {
    /// By all servers that have it.
    fn standing(&self) -> Standing {
        let all = self.places.each().map(|place| place.what);
        all.fold(Standing::default(), Standing::and)
    }
}

/// What is known of one room.
#[derive(Debug, Default)]
pub(super) struct Mirror {
    members: BTreeMap<Nick, Remote>,
    /// How many of them are members here.
    here: usize,
    pub(super) rounds: Rounds,
}

impl Mirror {
    /// The members that are shown beside those of this server.
    pub(super) fn count(&self) -> usize {
        self.members.len() - self.here
    }

    /// Whether a nick of another server is shown: that of no member here.
    pub(super) fn shows(&self, nick: &Nick) -> bool {
        let remote = self.members.get(nick);
        remote.is_some_and(|remote| !remote.is_here)
    }

    /// What a nick is at other servers, shown or not; `None`: they have none.
    pub(super) fn standing(&self, nick: &Nick) -> Option<Standing> {
        self.members.get(nick).map(Remote::standing)
    }

    /// The operators, shown or not.
    pub(super) fn operators(&self) -> impl Iterator<Item = &Nick> {
        let members = self.members.iter();
        let operators = members.filter(|(_, remote)| remote.standing().is_operator);
        operators.map(|(nick, _)| nick)
    }

    /// Those that are shown, in the order of their nicks, from the first behind a nick on.
    pub(super) fn each(&self, after: Option<&str>) -> impl Iterator<Item = (&Nick, bool)> {
        let first = after.map_or(Bound::Unbounded, Bound::Excluded);
        let members = self.members.range::<str, _>((first, Bound::Unbounded));
        let shown = members.filter(|(_, remote)| !remote.is_here);
        shown.map(|(nick, remote)| (nick, remote.standing().has_account))
    }

    /// The same of all, with a server that has each.
    pub(super) fn each_with_node(&self) -> impl Iterator<Item = (&Nick, bool, u64)> {
        let shown = self.members.iter().filter(|(_, remote)| !remote.is_here);
        shown.map(|(nick, remote)| {
            let has_account = remote.standing().has_account;
            (nick, has_account, remote.places.any().node)
        })
    }

    /// A server has a member. True: it is a new one for the members here.
    pub(super) fn put(
        &mut self,
        nick: &Nick,
        node: u64,
        standing: Standing,
        is_here: bool,
    ) -> bool {
        let place = self.rounds.place(node, standing);
        if let Some(remote) = self.members.get_mut(nick) {
            remote.places.note(place);
            return false;
        }
        self.here += usize::from(is_here);
        let remote = Remote {
            places: Places::new(place),
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
        if remote.places.remove(node) {
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

    /// Removes what is stale of the next `count` members behind a nick. Returns those that are gone
    /// for the members here, and where to go on.
    pub(super) fn sweep(
        &mut self,
        after: Option<&Nick>,
        count: usize,
    ) -> (Vec<Nick>, Option<Nick>) {
        let rounds = &self.rounds;
        let is_fresh = |place: &Place<Standing>| rounds.is_fresh(place);
        let keeps = |remote: &mut Remote| remote.places.retain(is_fresh);
        let (mut stale, next) = rounds::sweep(&mut self.members, after, count, keeps);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn member_takes_48_bytes_beside_its_nick() {
        assert_eq!(size_of::<Remote>(), 48);
    }
}
