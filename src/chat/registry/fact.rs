//! What outlives users and is no entry of a room, fact by fact as a store keeps it, and changes of
//! it. Knows no rule, no user and no encoding.

use crate::carry::carried;
use crate::chat::Role;
use crate::id::{AccountId, Millis, Seq};
use smol_str::SmolStr;
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// One fact. Of those with the same [`FactKey`] the newest holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fact {
    Account(Account),
    Session(AccountSession),
    Role {
        scope: Scope,
        account: AccountId,
        role: Role,
    },
    Sanction(Sanction),
    Rules {
        room: SmolStr,
        rules: Rules,
    },
    /// The account takes no direct messages from another user.
    Ignored {
        account: AccountId,
        subject: Subject,
    },
    Conversation(Conversation),
}

/// What a fact is about.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum FactKey {
    Account(AccountId),
    Session(u64),
    Role {
        scope: Scope,
        account: AccountId,
    },
    Sanction {
        scope: Scope,
        kind: SanctionKind,
        subject: Subject,
    },
    Rules {
        room: SmolStr,
    },
    Ignored {
        account: AccountId,
        subject: Subject,
    },
    Conversation([AccountId; 2]),
}

/// A registered name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    pub id: AccountId,
    /// A nick. It and all that look like it are the account's alone.
    pub name: SmolStr,
    /// The hash of its password, as a PHC string; `None`: it is entered by signed tokens alone.
    pub password: Option<SmolStr>,
    /// Whom signed tokens name by it.
    pub token_subject: Option<SmolStr>,
    pub created: Millis,
}

/// A session that enters its account without the password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AccountSession {
    pub session: u64,
    pub account: AccountId,
    /// When it was last used.
    pub seen: Millis,
}

/// That two accounts have talked alone. While there is one, what was said is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conversation {
    /// In order.
    pub accounts: [AccountId; 2],
    /// When something was said, to a minute.
    pub at: Millis,
    /// Of each, the first that was said while it was away, and not shown since; 0: nothing was.
    pub unseen: [Seq; 2],
}

/// Where something holds.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Scope {
    Server,
    Room(SmolStr),
}

/// What a user is kept from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum SanctionKind {
    /// From being there.
    Ban,
    /// From speaking.
    Mute,
}

/// Whom a sanction is about.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Subject {
    /// A nick, and those that look like it.
    Nick(SmolStr),
    Account(AccountId),
    Address(Prefix),
}

/// The addresses that begin with the same bits. IPv4-mapped IPv6 addresses are IPv4 addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Prefix {
    pub address: IpAddr,
    /// How many bits count: at most 32 or 128.
    pub bits: u8,
}

/// A ban or a mute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sanction {
    pub scope: Scope,
    pub kind: SanctionKind,
    pub subject: Subject,
    /// When it ends; `None`: when it is lifted.
    pub until: Option<Millis>,
    pub by: SmolStr,
    pub at: Millis,
    pub reason: SmolStr,
}

/// What a room is like, where it differs from others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rules {
    pub topic: SmolStr,
    /// One message of a member in so many seconds; 0: as fast as the server allows.
    pub slow_seconds: u32,
    /// Only voiced members speak.
    pub is_moderated: bool,
    /// Only accounts join.
    pub is_locked: bool,
    /// It is not on the list of rooms.
    pub is_hidden: bool,
    /// The hash of what is needed to join, as a PHC string.
    pub password: Option<SmolStr>,
    /// Newcomers may read what was said before they joined.
    pub newcomers_read: bool,
    /// Entries are kept so long; `None`: as long as the server's settings say.
    pub keep_days: Option<u32>,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            topic: SmolStr::default(),
            slow_seconds: 0,
            is_moderated: false,
            is_locked: false,
            is_hidden: false,
            password: None,
            newcomers_read: true,
            keep_days: None,
        }
    }
}

/// A step from one state of the registry to the next: kept whole, or not at all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Changes are numbered from 1, without a gap.
    pub number: u64,
    pub at: Millis,
    pub puts: Vec<Fact>,
    pub forgets: Vec<FactKey>,
    /// The row of the audit log, if there is one, whose number is that of the change.
    pub audit: Option<Audit>,
}

/// Who did what to whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Audit {
    /// One of the words of docs/moderation.md.
    pub action: SmolStr,
    pub by: SmolStr,
    /// `None`: on the whole server.
    pub room: Option<SmolStr>,
    /// A nick, an account, an address; may be empty.
    pub target: SmolStr,
    /// Why, or to what value.
    pub detail: SmolStr,
    /// When what was done ends by itself.
    pub until: Option<Millis>,
}

/// A row of the audit log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditRow {
    /// That of the change.
    pub number: u64,
    pub at: Millis,
    pub audit: Audit,
}

impl Fact {
    pub fn key(&self) -> FactKey {
        match self {
            Self::Account(account) => FactKey::Account(account.id),
            Self::Session(session) => FactKey::Session(session.session),
            Self::Role { scope, account, .. } => FactKey::Role {
                scope: scope.clone(),
                account: *account,
            },
            Self::Sanction(sanction) => sanction.key(),
            Self::Rules { room, .. } => FactKey::Rules { room: room.clone() },
            Self::Ignored { account, subject } => FactKey::Ignored {
                account: *account,
                subject: subject.clone(),
            },
            Self::Conversation(conversation) => FactKey::Conversation(conversation.accounts),
        }
    }
}

impl Sanction {
    pub fn key(&self) -> FactKey {
        FactKey::Sanction {
            scope: self.scope.clone(),
            kind: self.kind,
            subject: self.subject.clone(),
        }
    }

    /// Whether it still holds.
    pub fn holds(&self, now: Millis) -> bool {
        self.until.is_none_or(|until| now < until)
    }
}

impl Prefix {
    /// The bits beyond the prefix are zero afterwards.
    pub fn new(address: IpAddr, bits: u8) -> Self {
        match address.to_canonical() {
            IpAddr::V4(v4) => {
                let bits = bits.min(32);
                let mask = u32::MAX.checked_shl(32 - u32::from(bits)).unwrap_or(0);
                Self {
                    address: IpAddr::V4((u32::from(v4) & mask).into()),
                    bits,
                }
            }
            IpAddr::V6(v6) => {
                let bits = bits.min(128);
                let mask = u128::MAX.checked_shl(128 - u32::from(bits)).unwrap_or(0);
                Self {
                    address: IpAddr::V6((u128::from(v6) & mask).into()),
                    bits,
                }
            }
        }
    }

    pub fn contains(self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        address.is_ipv4() == self.address.is_ipv4() && Self::new(address, self.bits) == self
    }
}

impl fmt::Display for Prefix {
    /// One address is written without its length.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let most = if self.address.is_ipv4() { 32 } else { 128 };
        match self.bits {
            bits if bits == most => write!(f, "{}", self.address),
            bits => write!(f, "{}/{bits}", self.address),
        }
    }
}

impl FromStr for Prefix {
    type Err = NoPrefix;

    /// `192.0.2.1`, `192.0.2.0/24`, `2001:db8::/64`.
    fn from_str(text: &str) -> Result<Self, NoPrefix> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| NoPrefix)?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let bits: u8 = match bits {
            None => most,
            Some(bits) if bits.len() <= 3 && bits.bytes().all(|byte| byte.is_ascii_digit()) => {
                bits.parse().map_err(|_| NoPrefix)?
            }
            Some(_) => return Err(NoPrefix),
        };
        if bits > most {
            return Err(NoPrefix);
        }
        // The first 96 bits of an IPv4 address in the form of IPv6 are the form.
        let is_mapped = address.is_ipv6() && address.to_canonical().is_ipv4();
        let bits = if is_mapped {
            bits.saturating_sub(96)
        } else {
            bits
        };
        Ok(Self::new(address, bits))
    }
}

/// A text that is no address and no prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoPrefix;

carried!(enum Fact {
    0 = Account(account),
    1 = Session(session),
    2 = Role { scope, account, role },
    3 = Sanction(sanction),
    4 = Rules { room, rules },
    5 = Ignored { account, subject },
    6 = Conversation(conversation),
});
carried!(struct Account { id, name, password, token_subject, created });
carried!(struct AccountSession { session, account, seen });
carried!(struct Conversation { accounts, at, unseen });
carried!(enum Scope { 0 = Server, 1 = Room(name) });
carried!(enum SanctionKind { 0 = Ban, 1 = Mute });
carried!(enum Subject { 0 = Nick(name), 1 = Account(account), 2 = Address(prefix) });
carried!(struct Prefix { address, bits });
carried!(struct Sanction { scope, kind, subject, until, by, at, reason });
carried!(struct Rules {
    topic,
    slow_seconds,
    is_moderated,
    is_locked,
    is_hidden,
    password,
    newcomers_read,
    keep_days,
});
carried!(struct Change { number, at, puts, forgets, audit });
carried!(enum FactKey {
    0 = Account(account),
    1 = Session(session),
    2 = Role { scope, account },
    3 = Sanction { scope, kind, subject },
    4 = Rules { room },
    5 = Ignored { account, subject },
    6 = Conversation(accounts),
});
carried!(struct Audit { action, by, room, target, detail, until });
carried!(struct AuditRow { number, at, audit });

#[cfg(test)]
mod tests {
    use super::*;

    fn prefix(address: &str, bits: u8) -> Prefix {
        Prefix::new(address.parse().expect("an address"), bits)
    }

    #[test]
    fn prefix_contains_the_addresses_that_begin_with_its_bits() {
        for (address, bits, inside, outside) in [
            ("192.0.2.77", 24, "192.0.2.1", "192.0.3.1"),
            ("192.0.2.77", 32, "192.0.2.77", "192.0.2.78"),
            ("192.0.2.77", 0, "8.8.8.8", "2001:db8::1"),
            ("2001:db8::1", 64, "2001:db8::ffff", "2001:db8:0:1::1"),
            ("2001:db8::1", 0, "::1", "192.0.2.1"),
            ("::ffff:192.0.2.77", 24, "::ffff:192.0.2.1", "192.0.3.1"),
        ] {
            let prefix = prefix(address, bits);
            assert!(
                prefix.contains(inside.parse().expect("an address")),
                "{inside}"
            );
            assert!(
                !prefix.contains(outside.parse().expect("an address")),
                "{outside}"
            );
        }
    }

    #[test]
    fn prefix_is_read_back_as_it_is_written() {
        for (text, written) in [
            ("192.0.2.7", "192.0.2.7"),
            ("192.0.2.7/32", "192.0.2.7"),
            ("192.0.2.7/24", "192.0.2.0/24"),
            ("2001:db8::1", "2001:db8::1"),
            ("2001:db8::1/64", "2001:db8::/64"),
            ("::ffff:192.0.2.7", "192.0.2.7"),
            ("::ffff:192.0.2.7/120", "192.0.2.0/24"),
        ] {
            let prefix: Prefix = text.parse().expect("a prefix");
            assert_eq!(prefix.to_string(), written);
            assert_eq!(written.parse(), Ok(prefix));
        }
        for text in [
            "",
            "/",
            "192.0.2.7/",
            "192.0.2.7/33",
            "192.0.2.7/+8",
            "ann",
            "::/129",
        ] {
            assert_eq!(text.parse::<Prefix>(), Err(NoPrefix), "{text}");
        }
    }

    #[test]
    fn prefixes_of_the_same_addresses_are_equal() {
        assert_eq!(prefix("192.0.2.77", 24), prefix("192.0.2.1", 24));
        assert_eq!(prefix("192.0.2.77", 99), prefix("192.0.2.77", 32));
    }
}
