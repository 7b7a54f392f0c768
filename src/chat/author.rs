//! Whose message it is, beyond the nick, which another member may have later. Knows no message.

use crate::id::{AccountId, ConnId};

/// Who said something: 8 bytes in memory and on the disk, and none where it is not known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Author {
    /// Nothing is known but the nick: no user has the rights of an author.
    #[default]
    Unknown,
    /// A guest without a session. In memory alone, and of no meaning once the connection has ended.
    Connection(ConnId),
    /// A guest with a session, which outlives its connections.
    Session(u64),
    Account(AccountId),
}

/// By what a user may be known as an author.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    pub connection: ConnId,
    pub session: Option<u64>,
    pub account: Option<AccountId>,
}

impl Identity {
    /// The author of what the user says now: what lasts longest.
    pub const fn author(&self) -> Author {
        match (self.account, self.session) {
            (Some(account), _) => Author::Account(account),
            (None, Some(session)) => Author::Session(session),
            (None, None) => Author::Connection(self.connection),
        }
    }

    /// Whether the user is that author. What a guest said stays the guest's after a login.
    pub fn is(&self, author: Author) -> bool {
        match author {
            Author::Unknown => false,
            Author::Connection(connection) => connection == self.connection,
            Author::Session(session) => self.session == Some(session),
            Author::Account(account) => self.account == Some(account),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::num::NonZeroU32;

    fn account(number: u32) -> AccountId {
        AccountId(NonZeroU32::new(number).expect("not 0"))
    }

    const ANN: ConnId = ConnId::new(0, 7);
    const BOB: ConnId = ConnId::new(1, 8);

    #[test]
    fn author_is_what_lasts_longest() {
        let mut ann = Identity {
            connection: ANN,
            session: None,
            account: None,
        };
        let mut authors = vec![ann.author()];
        ann.session = Some(5);
        authors.push(ann.author());
        ann.account = Some(account(6));
        authors.push(ann.author());
        let expected = [
            Author::Connection(ANN),
            Author::Session(5),
            Author::Account(account(6)),
        ];
        assert_eq!(authors, expected);
        assert!(authors.iter().all(|author| ann.is(*author)));
        assert!(!ann.is(Author::Unknown));
    }

    #[test]
    fn another_user_is_another_author() {
        let bob = Identity {
            connection: BOB,
            session: Some(9),
            account: None,
        };
        for author in [
            Author::Unknown,
            Author::Connection(ANN),
            Author::Connection(ConnId::new(1, 9)),
            Author::Session(5),
            Author::Account(account(9)),
        ] {
            assert!(!bob.is(author), "{author:?}");
        }
    }
}
