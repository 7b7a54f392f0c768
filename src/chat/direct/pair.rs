//! The two of a direct conversation, and the name that its log has for them. No client sees or
//! writes that name: it begins with `@`, which no room's name has.

use crate::carry::{Carry, Damaged, Reader, Writer, carried};
use crate::id::AccountId;
use smol_str::{SmolStr, format_smolstr};

/// One of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Party {
    /// Whether it is connected or not.
    Account(AccountId),
    /// A guest, by the number that it has until its connection ends.
    Guest(u32),
}

/// The two of a conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pair {
    /// In order, and not equal.
    parties: [Party; 2],
}

/// What the name of a log begins with that has a conversation.
const SIGN: char = '@';

impl Pair {
    /// `None`: both are the same.
    pub(in crate::chat) fn new(one: Party, other: Party) -> Option<Self> {
        let parties = if one <= other {
            [one, other]
        } else {
            [other, one]
        };
        (one != other).then_some(Self { parties })
    }

    /// That of two accounts. `None`: both are the same.
    pub fn of_accounts(accounts: [AccountId; 2]) -> Option<Self> {
        let [one, other] = accounts.map(Party::Account);
        Self::new(one, other)
    }

    /// The pair whose log has this name. `None`: it is the name of a room.
    pub fn named(name: &str) -> Option<Self> {
        let (one, other) = name.strip_prefix(SIGN)?.split_once('.')?;
        Self::new(party(one)?, party(other)?)
    }

    /// The name of its log. Ids of accounts are never given again, and numbers of guests not before
    /// the server starts again, when the logs of guests are gone.
    pub fn name(self) -> SmolStr {
        let [one, other] = self.parties.map(written);
        format_smolstr!("{SIGN}{one}.{other}")
    }

    pub const fn parties(self) -> [Party; 2] {
        self.parties
    }

    /// Which of the two it is; `None`: neither.
    pub fn side_of(self, party: Party) -> Option<usize> {
        self.parties.iter().position(|one| *one == party)
    }

    /// The one that it talks to.
    pub(in crate::chat) fn other(self, party: Party) -> Option<Party> {
        self.side_of(party).map(|side| self.parties[1 - side])
    }

    /// The accounts, where both are: then the conversation outlives connections and the server.
    pub fn accounts(self) -> Option<[AccountId; 2]> {
        match self.parties {
            [Party::Account(one), Party::Account(other)] => Some([one, other]),
            _ => None,
        }
    }
}

fn written(party: Party) -> SmolStr {
    match party {
        Party::Account(account) => format_smolstr!("{}", account.0),
        Party::Guest(number) => format_smolstr!("g{number}"),
    }
}

fn party(text: &str) -> Option<Party> {
    match text.strip_prefix('g') {
        Some(number) => number.parse().ok().map(Party::Guest),
        None => text.parse().ok().map(|id| Party::Account(AccountId(id))),
    }
}

carried!(enum Party { 0 = Account(account), 1 = Guest(number) });

impl Carry for Pair {
    fn write(&self, to: &mut Writer) {
        self.parties.write(to);
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, Damaged> {
        let [one, other] = Carry::read(from)?;
        Self::new(one, other).ok_or(Damaged("a pair is one"))
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::RoomName;
    use super::*;
    use std::num::NonZeroU32;

    fn account(number: u32) -> Party {
        Party::Account(AccountId(NonZeroU32::new(number).expect("not 0")))
    }

    #[test]
    fn pair_has_one_name_and_no_room_can_have_it() {
        for (one, other, name) in [
            (account(17), account(3), "@3.17"),
            (Party::Guest(5), account(3), "@3.g5"),
            (Party::Guest(5), Party::Guest(4), "@g4.g5"),
        ] {
            let pair = Pair::new(one, other).expect("two");
            assert_eq!(pair.name(), name);
            assert_eq!(Pair::new(other, one), Some(pair));
            assert_eq!(Pair::named(name), Some(pair));
            assert!(RoomName::parse(name).is_err());
            assert_eq!(pair.other(one), Some(other));
            assert_eq!(pair.side_of(account(9)), None);
        }
        assert_eq!(Pair::new(account(3), account(3)), None);
        for name in [
            "lobby", "3.17", "@", "@3", "@3.3", "@0.1", "@x.1", "@3.17.4",
        ] {
            assert_eq!(Pair::named(name), None, "{name}");
        }
    }

    #[test]
    fn only_two_accounts_have_a_conversation_that_lasts() {
        let pair = |one, other| Pair::new(one, other).expect("two").accounts();
        assert!(pair(account(1), account(2)).is_some());
        assert!(pair(account(1), Party::Guest(2)).is_none());
        assert!(pair(Party::Guest(1), Party::Guest(2)).is_none());
    }
}
