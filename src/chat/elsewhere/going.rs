//! What other servers are to know of the members of this one: joins, leaves and other nicks of a
//! room since the last time, each nick once. One that joined and left meanwhile is nothing. Knows no
//! member that stayed, and what one is only when it is told.

use super::{Came, Moves, Standing};
use crate::chat::Nick;
use std::collections::BTreeMap;

/// What became of a nick.
#[derive(Debug)]
enum Fate {
    Left,
    Came {
        /// The others do not have it yet.
        is_new: bool,
        /// The nick that the member had as the others know it.
        was: Option<Nick>,
    },
}

/// The changes of one room.
#[derive(Debug, Default)]
pub(super) struct Going {
    nicks: BTreeMap<Nick, Fate>,
}

impl Going {
    pub(super) fn came(&mut self, nick: &Nick) {
        let (is_new, was) = match self.nicks.remove(nick) {
            None => (true, None),
            Some(Fate::Left) => (false, None),
            Some(Fate::Came { is_new, was, .. }) => (is_new, was),
        };
        self.nicks.insert(nick.clone(), Fate::Came { is_new, was });
    }

    /// What it is has changed. The others have it, or may: that it is new is not known here.
    pub(super) fn is_other(&mut self, nick: &Nick) {
        let is_known = !self.nicks.contains_key(nick);
        self.came(nick);
        if let Some(Fate::Came { is_new, .. }) = self.nicks.get_mut(nick)
            && is_known
        {
            *is_new = false;
        }
    }

    pub(super) fn left(&mut self, nick: &Nick) {
        if !matches!(
            self.nicks.remove(nick),
            Some(Fate::Came { is_new: true, .. })
        ) {
            self.nicks.insert(nick.clone(), Fate::Left);
        }
    }

    pub(super) fn renamed(&mut self, old: &Nick, new: &Nick) {
        let was = match self.nicks.get(old) {
            Some(Fate::Came {
                is_new: true, was, ..
            }) => was.clone(),
            _ => Some(old.clone()),
        };
        self.left(old);
        self.came(new);
        if let Some(Fate::Came { was: before, .. }) = self.nicks.get_mut(new) {
            *before = was.filter(|was| was != new);
        }
    }

    /// What is to be told. `standing`: what a member that came is.
    pub(super) fn moves(self, standing: impl Fn(&Nick) -> Standing) -> Moves {
        let mut moves = Moves::default();
        for (nick, fate) in self.nicks {
            match fate {
                Fate::Left => moves.left.push(nick),
                Fate::Came { was, .. } => moves.came.push(Came {
                    standing: standing(&nick),
                    nick,
                    was,
                }),
            }
        }
        moves
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nick(name: &str) -> Nick {
        Nick::parse(name).expect("a nick")
    }

    /// What came, with the nick before, and what left.
    fn shown(going: Going) -> String {
        let moves = going.moves(|_| Standing::default());
        let came = moves.came.iter().map(|came| match &came.was {
            Some(was) => format!("{}={was}", came.nick),
            None => format!("+{}", came.nick),
        });
        let left = moves.left.iter().map(|nick| format!("-{nick}"));
        came.chain(left).collect::<Vec<_>>().join(" ")
    }

    fn after(steps: &[(&str, &str)]) -> String {
        let mut going = Going::default();
        for (step, name) in steps {
            match *step {
                "+" => going.came(&nick(name)),
                "-" => going.left(&nick(name)),
                "!" => going.is_other(&nick(name)),
                old => going.renamed(&nick(old), &nick(name)),
            }
        }
        shown(going)
    }

    #[test]
    fn nick_that_joined_and_left_meanwhile_is_nothing() {
        assert_eq!(after(&[("+", "ann"), ("-", "ann")]), "");
        assert_eq!(after(&[("+", "ann"), ("-", "ann"), ("+", "ann")]), "+ann");
    }

    #[test]
    fn nick_that_left_and_came_back_is_named_again() {
        assert_eq!(after(&[("-", "ann"), ("+", "ann")]), "+ann");
        assert_eq!(after(&[("-", "ann"), ("+", "ann"), ("-", "ann")]), "-ann");
    }

    #[test]
    fn other_nicks_of_a_member_are_one_change() {
        assert_eq!(after(&[("ann", "anna")]), "anna=ann -ann");
        assert_eq!(after(&[("ann", "anna"), ("anna", "eve")]), "eve=ann -ann");
        assert_eq!(after(&[("ann", "anna"), ("anna", "ann")]), "+ann");
        assert_eq!(after(&[("+", "ann"), ("ann", "anna")]), "+anna");
        assert_eq!(after(&[("ann", "anna"), ("-", "anna")]), "-ann");
    }

    #[test]
    fn nick_of_a_member_that_is_another_now_is_named_again() {
        assert_eq!(after(&[("!", "ann")]), "+ann");
        assert_eq!(after(&[("!", "ann"), ("-", "ann")]), "-ann");
        assert_eq!(after(&[("+", "ann"), ("!", "ann"), ("-", "ann")]), "");
        assert_eq!(after(&[("ann", "anna"), ("!", "anna")]), "anna=ann -ann");
    }

    #[test]
    fn nick_that_another_member_takes_is_of_that_member() {
        assert_eq!(after(&[("ann", "anna"), ("+", "ann")]), "+ann anna=ann");
    }
}
