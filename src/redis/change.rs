//! Changes of the registry as bytes, which all servers of an engine read and write, and as words of
//! the scripts. Owns the layout, which stays for good: a program that knows a later one knows this
//! too. Knows no room.

use super::messages::written;
use super::resp::Command;
use crate::carry::{Carry, Damaged, Reader, Writer};
use crate::chat::registry::{Change, Fact, FactKey};
use crate::chat::{Pair, Role};
use crate::log::{Proposed, Unnumbered, Version};
use smol_str::{SmolStr, format_smolstr};

/// The first byte of each change, fact and key.
const LAYOUT: u8 = 1;
/// The field of the facts that has the largest id of an account.
pub(super) const LARGEST: &[u8] = b"";

/// What a change depends on, or touches: accounts and who owns rooms.
const ACCOUNTS: char = 'A';
/// Whom something keeps from speaking or from being there.
const ORDER: char = 'S';
/// What rooms are like: a change has all settings of a room.
const RULES: char = 'R';
/// Bans and mutes: one takes the place of those of the same user, and what was imposed together is
/// lifted together.
const SANCTIONS: char = 'B';
/// Passwords of accounts, and which accounts are gone: no session begins by one that was changed.
const PASSWORDS: char = 'P';
/// Sessions that begin: a change of the password ends all that there are.
const SESSIONS: char = 'L';

fn bytes(value: &impl Carry) -> Vec<u8> {
    let mut to = Writer::default();
    to.put(&[LAYOUT]);
    value.write(&mut to);
    to.into_bytes()
}

fn value<T: Carry>(bytes: &[u8]) -> Result<T, Damaged> {
    let mut from = Reader::new(bytes, u32::from(LAYOUT));
    if u8::read(&mut from)? != LAYOUT {
        return Err(Damaged("the layout is not known"));
    }
    let value = T::read(&mut from)?;
    from.end()?;
    Ok(value)
}

/// # Errors
/// The bytes are no fact, or of a layout that this program does not know.
pub fn fact(bytes: &[u8]) -> Result<Fact, Damaged> {
    value(bytes)
}

/// A change that was published: the node that has made it, and what it is.
///
/// # Errors
/// The bytes are none, or of a layout that this program does not know.
pub(super) fn decode(text: &[u8]) -> Result<(u64, Change), Damaged> {
    let damaged = Damaged("a change has no server");
    let (node, change) = text.split_at_checked(17).ok_or(damaged)?;
    let node = str::from_utf8(&node[..16]).map_err(|_| damaged)?;
    let node = u64::from_str_radix(node, 16).map_err(|_| damaged)?;
    Ok((node, value(change)?))
}

/// The words of a change for the scripts, as `registry.lua` has them.
#[derive(Clone, Debug)]
pub struct Words {
    node: u64,
    seen: Option<Version>,
    depends: SmolStr,
    made: Option<Made>,
}

#[derive(Clone, Debug)]
struct Made {
    touches: SmolStr,
    change: Vec<u8>,
    number: u64,
    largest: Option<u32>,
    forgets: Vec<Vec<u8>>,
    /// The logs of conversations that are forgotten.
    ends: Vec<SmolStr>,
    puts: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Made {
    const fn count(&self) -> usize {
        6 + self.forgets.len() + self.ends.len() + 2 * self.puts.len()
    }
}

impl Words {
    /// Those of a change.
    pub fn of(proposed: &Proposed, node: u64) -> Self {
        let Proposed { change, seen } = proposed;
        let put: Vec<FactKey> = change.puts.iter().map(Fact::key).collect();
        let gone = change.forgets.iter().filter(|key| !put.contains(key));
        let largest = change.puts.iter().filter_map(|fact| match fact {
            Fact::Account(account) => Some(account.id.0.get()),
            _ => None,
        });
        let facts = put.iter().zip(&change.puts);
        let ends = gone.clone().filter_map(|key| match key {
            FactKey::Conversation(accounts) => Some(Pair::of_accounts(*accounts)?.name()),
            _ => None,
        });
        let ends = ends.collect();
        let made = Made {
            touches: touches(change),
            change: bytes(change),
            number: change.number,
            largest: largest.max(),
            forgets: gone.map(bytes).collect(),
            ends,
            puts: facts.map(|(key, fact)| (bytes(key), bytes(fact))).collect(),
        };
        Self {
            node,
            seen: *seen,
            depends: depends(change),
            made: Some(made),
        }
    }

    /// Those of a draft: of its change, and of what it was judged by where it has waited.
    pub(super) fn of_draft(draft: &Unnumbered, node: u64) -> Option<Self> {
        let change = draft.change.as_deref().map(|change| Self::of(change, node));
        if !draft.has_waited {
            return change;
        }
        let mut words = change.unwrap_or_else(|| Self {
            node,
            seen: draft.judged.seen,
            depends: SmolStr::default(),
            made: None,
        });
        words.depends = format_smolstr!("{}{ORDER}", words.depends);
        Some(words)
    }

    pub(super) fn count(&self) -> usize {
        let made = self.made.as_ref();
        4 + made.map_or(0, Made::count)
    }

    pub(super) fn write(&self, command: &mut Command<'_>) {
        command.word(format_smolstr!("{:016x}", self.node));
        let epoch = self.seen.map(|seen| written(seen.epoch));
        command.word(epoch.unwrap_or_default());
        command.number(self.seen.map_or(0, |seen| seen.number));
        command.word(&self.depends);
        let Some(made) = &self.made else {
            return;
        };
        command.word(&made.touches).word(&made.change);
        command.word(key(self.node, made.number));
        match made.largest {
            Some(largest) => command.number(u64::from(largest)),
            None => command.word(""),
        };
        command.number(made.forgets.len() as u64);
        command.number(made.ends.len() as u64);
        for key in &made.forgets {
            command.word(key);
        }
        for name in &made.ends {
            command.word(name);
        }
        for (key, fact) in &made.puts {
            command.word(key).word(fact);
        }
    }
}

/// By what a change is known that is handed over again.
fn key(node: u64, number: u64) -> SmolStr {
    format_smolstr!("{node:016x}:{number}")
}

fn owns(fact: &Fact) -> bool {
    matches!(
        fact,
        Fact::Role {
            role: Role::Owner,
            ..
        }
    )
}

fn is_of_accounts(change: &Change) -> bool {
    let puts = |fact: &Fact| matches!(fact, Fact::Account(_)) || owns(fact);
    let forgets = |key: &FactKey| matches!(key, FactKey::Account(_));
    change.puts.iter().any(puts) || change.forgets.iter().any(forgets)
}

/// An account that is registered has no sessions that could end, and one without a password none.
fn changes_password(change: &Change) -> bool {
    let puts = |fact: &Fact| matches!(fact, Fact::Account(known) if known.password.is_some());
    let forgets = |key: &FactKey| matches!(key, FactKey::Account(_));
    change.forgets.iter().any(forgets) || change.puts.iter().any(puts) && !begins_session(change)
}

fn begins_session(change: &Change) -> bool {
    let puts = |fact: &Fact| matches!(fact, Fact::Session(_));
    change.puts.iter().any(puts)
}

fn touches(change: &Change) -> SmolStr {
    let order = |key: &FactKey| {
        matches!(
            key,
            FactKey::Sanction { .. } | FactKey::Rules { .. } | FactKey::Role { .. }
        )
    };
    let removes = |action: &str| matches!(action, "kick" | "close");
    let audit = change.audit.as_ref();
    let is_order =
        keys(change).any(|key| order(&key)) || audit.is_some_and(|audit| removes(&audit.action));
    letters([
        (is_of_accounts(change), ACCOUNTS),
        (is_order, ORDER),
        (is_of_rules(change), RULES),
        (imposes_or_lifts(change), SANCTIONS),
        (changes_password(change), PASSWORDS),
        (begins_session(change), SESSIONS),
    ])
}

fn depends(change: &Change) -> SmolStr {
    // A sanction that has ended is forgotten by each server that sees it: not one that was imposed
    // anew.
    let ended = |key: &FactKey| matches!(key, FactKey::Sanction { .. });
    let is_end = change.audit.is_none() && change.forgets.iter().any(ended);
    letters([
        (is_of_accounts(change), ACCOUNTS),
        (is_end, ORDER),
        (is_of_rules(change), RULES),
        (imposes_or_lifts(change), SANCTIONS),
        (changes_password(change), SESSIONS),
        (begins_session(change), PASSWORDS),
    ])
}

fn letters(all: [(bool, char); 6]) -> SmolStr {
    let all = all.into_iter();
    all.filter_map(|(is, letter)| is.then_some(letter))
        .collect()
}

fn keys(change: &Change) -> impl Iterator<Item = FactKey> {
    let puts = change.puts.iter().map(Fact::key);
    puts.chain(change.forgets.iter().cloned())
}

fn is_of_rules(change: &Change) -> bool {
    keys(change).any(|key| matches!(key, FactKey::Rules { .. }))
}

fn imposes_or_lifts(change: &Change) -> bool {
    let is_sanction = |key: FactKey| matches!(key, FactKey::Sanction { .. });
    change.audit.is_some() && keys(change).any(is_sanction)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::registry::{
        Account, AccountSession, Audit, Rules, Sanction, SanctionKind, Scope, Subject,
    };
    use crate::id::{AccountId, Millis};
    use std::num::NonZeroU32;

    fn account() -> AccountId {
        AccountId(NonZeroU32::new(9).expect("not 0"))
    }

    fn change() -> Change {
        Change {
            number: 3,
            at: Millis(1_000),
            puts: vec![
                Fact::Sanction(Sanction {
                    scope: Scope::Room("lobby".into()),
                    kind: SanctionKind::Mute,
                    subject: Subject::Nick("bob".into()),
                    until: None,
                    by: "op".into(),
                    at: Millis(1_000),
                    reason: "loud".into(),
                }),
                Fact::Role {
                    scope: Scope::Server,
                    account: account(),
                    role: Role::Admin,
                },
            ],
            forgets: vec![FactKey::Session(5)],
            audit: Some(Audit {
                action: "mute".into(),
                by: "op".into(),
                room: None,
                target: "bob".into(),
                detail: SmolStr::default(),
                until: None,
            }),
        }
    }

    fn published(change: &Change) -> Vec<u8> {
        [b"00000000000000ab ", &bytes(change)[..]].concat()
    }

    #[test]
    fn changes_are_read_as_they_were_written() {
        assert_eq!(decode(&published(&change())), Ok((0xab, change())));
    }

    #[test]
    fn bytes_that_are_cut_or_longer_are_no_change() {
        let mut bytes = published(&change());
        for length in 0..bytes.len() {
            assert!(decode(&bytes[..length]).is_err(), "{length}");
        }
        bytes.push(0);
        assert!(decode(&bytes).is_err());
    }

    #[test]
    fn settings_and_sanctions_depend_on_the_last_ones() {
        let rules = Change {
            puts: vec![Fact::Rules {
                room: "lobby".into(),
                rules: Rules::default(),
            }],
            forgets: Vec::new(),
            ..change()
        };
        assert_eq!(
            (depends(&rules), touches(&rules)),
            ("R".into(), "SR".into())
        );
        assert_eq!(
            (depends(&change()), touches(&change())),
            ("B".into(), "SB".into())
        );
        let ended = Change {
            forgets: change().puts[..1].iter().map(Fact::key).collect(),
            puts: Vec::new(),
            audit: None,
            ..change()
        };
        assert_eq!((depends(&ended), touches(&ended)), ("S".into(), "S".into()));
    }

    #[test]
    fn sessions_and_passwords_depend_on_each_other() {
        let known = Account {
            id: account(),
            name: "ann".into(),
            password: Some("hash".into()),
            token_subject: None,
            created: Millis(1_000),
        };
        let session = Fact::Session(AccountSession {
            session: 7,
            account: account(),
            seen: Millis(1_000),
        });
        let of = |puts: &[Fact], forgets: &[FactKey]| {
            let change = Change {
                puts: puts.to_vec(),
                forgets: forgets.to_vec(),
                audit: None,
                ..change()
            };
            (depends(&change), touches(&change))
        };
        let password = Fact::Account(known.clone());
        let by_tokens = Fact::Account(Account {
            password: None,
            ..known
        });
        let is = |depends: &str, touches: &str| (depends.into(), touches.into());
        assert_eq!(of(std::slice::from_ref(&session), &[]), is("P", "L"));
        assert_eq!(
            of(std::slice::from_ref(&password), &[session.key()]),
            is("AL", "AP")
        );
        assert_eq!(of(&[], &[password.key()]), is("AL", "AP"));
        assert_eq!(of(&[password, session], &[]), is("AP", "AL"));
        assert_eq!(of(&[by_tokens], &[]), is("A", "A"));
    }

    /// Servers of different versions read each other's changes: this layout does not change.
    #[test]
    fn layout_is_the_one_that_was_released() {
        let bytes = bytes(&change());
        let mut hasher = siphasher::sip::SipHasher13::new();
        std::hash::Hasher::write(&mut hasher, &bytes);
        let sum = std::hash::Hasher::finish(&hasher);
        assert_eq!((bytes.len(), sum), LAYOUT_OF_CHANGES);
    }

    const LAYOUT_OF_CHANGES: (usize, u64) = (112, 15_165_680_569_587_620_331);
}
