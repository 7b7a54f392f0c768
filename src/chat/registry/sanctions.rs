//! Which sanctions there are about a nick, an account or an address, found without looking at all of
//! them, and which end next. Follows the facts of the registry; knows no user that is connected.

use super::{FactKey, Prefix, Sanction, SanctionKind, Scope, Subject};
use crate::chat::nick::Nick;
use crate::id::{AccountId, Millis};
use smol_str::SmolStr;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::net::IpAddr;

/// All sanctions, by what they are about. Empty where there are none, as on most servers.
#[derive(Debug, Default)]
pub(super) struct Sanctions {
    places: HashMap<(Scope, SanctionKind), Place>,
    ends: BTreeSet<(Millis, FactKey)>,
}

/// Those of one kind in one room, or on the server.
#[derive(Debug, Default)]
struct Place {
    /// By the keys of their nicks: two that look alike may share one.
    nicks: HashMap<SmolStr, Vec<SmolStr>>,
    accounts: HashSet<AccountId>,
    prefixes: BTreeSet<Prefix>,
    /// How many prefixes of each length there are, of IPv4 and of IPv6.
    lengths: [BTreeMap<u8, u32>; 2],
}

/// Whom a sanction may be about.
#[derive(Clone, Copy, Debug)]
pub struct Person<'a> {
    pub nick: &'a Nick,
    pub account: Option<AccountId>,
    pub address: Option<IpAddr>,
}

impl Sanctions {
    pub(super) fn put(&mut self, new: &Sanction) {
        let place = self.places.entry((new.scope.clone(), new.kind));
        place.or_default().put(&new.subject);
        if let Some(until) = new.until {
            self.ends.insert((until, new.key()));
        }
    }

    pub(super) fn remove(&mut self, old: &Sanction) {
        let at = (old.scope.clone(), old.kind);
        if let Some(place) = self.places.get_mut(&at) {
            place.remove(&old.subject);
            if place.is_empty() {
                self.places.remove(&at);
            }
        }
        if let Some(until) = old.until {
            self.ends.remove(&(until, old.key()));
        }
    }

    /// The subjects of sanctions that are about a person, whether they still hold or not.
    pub(super) fn about(
        &self,
        scope: &Scope,
        kind: SanctionKind,
        person: Person<'_>,
    ) -> Vec<Subject> {
        if self.places.is_empty() {
            return Vec::new();
        }
        let Some(place) = self.places.get(&(scope.clone(), kind)) else {
            return Vec::new();
        };
        let mut found = place.of_nick(person.nick);
        let account = person.account.filter(|id| place.accounts.contains(id));
        found.extend(account.map(Subject::Account));
        if let Some(address) = person.address {
            found.extend(place.of_address(address).map(Subject::Address));
        }
        found
    }

    /// Those about a nick, or about one that looks like it.
    pub(super) fn of_nick(&self, scope: &Scope, kind: SanctionKind, nick: &Nick) -> Vec<Subject> {
        let place = self.places.get(&(scope.clone(), kind));
        place.map_or_else(Vec::new, |place| place.of_nick(nick))
    }

    /// Those about an address.
    pub(super) fn of_address(
        &self,
        scope: &Scope,
        kind: SanctionKind,
        address: IpAddr,
    ) -> Vec<Subject> {
        let place = self.places.get(&(scope.clone(), kind));
        place.map_or_else(Vec::new, |place| {
            place.of_address(address).map(Subject::Address).collect()
        })
    }

    /// When the next one ends.
    pub(super) fn next_end(&self) -> Option<Millis> {
        self.ends.first().map(|(until, _)| *until)
    }

    /// Up to `most` of those that have ended.
    pub(super) fn ended(&self, now: Millis, most: usize) -> Vec<FactKey> {
        let ended = self.ends.iter().take_while(|(until, _)| *until <= now);
        ended.take(most).map(|(_, key)| key.clone()).collect()
    }
}

impl Place {
    fn put(&mut self, subject: &Subject) {
        match subject {
            Subject::Nick(nick) => {
                for key in keys(nick) {
                    let nicks = self.nicks.entry(key).or_default();
                    if !nicks.contains(nick) {
                        nicks.push(nick.clone());
                    }
                }
            }
            Subject::Account(account) => {
                self.accounts.insert(*account);
            }
            Subject::Address(prefix) => {
                if self.prefixes.insert(*prefix) {
                    let lengths = &mut self.lengths[usize::from(prefix.address.is_ipv6())];
                    *lengths.entry(prefix.bits).or_default() += 1;
                }
            }
        }
    }

    fn remove(&mut self, subject: &Subject) {
        match subject {
            Subject::Nick(nick) => {
                for key in keys(nick) {
                    if let Some(nicks) = self.nicks.get_mut(&key) {
                        nicks.retain(|other| other != nick);
                        if nicks.is_empty() {
                            self.nicks.remove(&key);
                        }
                    }
                }
            }
            Subject::Account(account) => {
                self.accounts.remove(account);
            }
            Subject::Address(prefix) => {
                if self.prefixes.remove(prefix) {
                    let lengths = &mut self.lengths[usize::from(prefix.address.is_ipv6())];
                    if let Some(count) = lengths.get_mut(&prefix.bits) {
                        *count -= 1;
                        if *count == 0 {
                            lengths.remove(&prefix.bits);
                        }
                    }
                }
            }
        }
    }

    fn is_empty(&self) -> bool {
        self.nicks.is_empty() && self.accounts.is_empty() && self.prefixes.is_empty()
    }

    fn of_nick(&self, nick: &Nick) -> Vec<Subject> {
        if self.nicks.is_empty() {
            return Vec::new();
        }
        let mut found = Vec::new();
        for key in nick.keys() {
            for nick in self.nicks.get(&key).into_iter().flatten() {
                let subject = Subject::Nick(nick.clone());
                if !found.contains(&subject) {
                    found.push(subject);
                }
            }
        }
        found
    }

    fn of_address(&self, address: IpAddr) -> impl Iterator<Item = Prefix> {
        let address = address.to_canonical();
        let lengths = &self.lengths[usize::from(address.is_ipv6())];
        let prefixes = lengths.keys().map(move |bits| Prefix::new(address, *bits));
        prefixes.filter(|prefix| self.prefixes.contains(prefix))
    }
}

/// The keys of a nick as it is in a sanction.
fn keys(nick: &str) -> Vec<SmolStr> {
    // A store may have one that is no valid nick any more: no user can have it.
    Nick::parse(nick).map_or_else(|_| Vec::new(), |nick| nick.keys().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOM: Scope = Scope::Server;

    fn sanction(subject: Subject, until: Option<u64>) -> Sanction {
        Sanction {
            scope: ROOM,
            kind: SanctionKind::Ban,
            subject,
            until: until.map(Millis),
            by: "ann".into(),
            at: Millis(1),
            reason: SmolStr::default(),
        }
    }

    fn nick(name: &str) -> Nick {
        Nick::parse(name).expect("a nick")
    }

    fn address(text: &str) -> Subject {
        Subject::Address(text.parse().expect("an address"))
    }

    fn about(sanctions: &Sanctions, name: &str, from: Option<&str>) -> Vec<Subject> {
        let nick = nick(name);
        let person = Person {
            nick: &nick,
            account: None,
            address: from.map(|text| text.parse().expect("an address")),
        };
        sanctions.about(&ROOM, SanctionKind::Ban, person)
    }

    #[test]
    fn nick_is_found_by_those_that_look_like_it() {
        let mut sanctions = Sanctions::default();
        let bob = sanction(Subject::Nick("Bob".into()), None);
        sanctions.put(&bob);
        for name in ["bob", "B0B", "\u{412}ob"] {
            assert_eq!(
                about(&sanctions, name, None),
                vec![bob.subject.clone()],
                "{name}"
            );
        }
        assert!(about(&sanctions, "bobby", None).is_empty());
        let other = sanction(Subject::Nick("b0b".into()), None);
        sanctions.put(&other);
        sanctions.put(&other);
        assert_eq!(about(&sanctions, "bob", None).len(), 2);
        sanctions.remove(&bob);
        assert_eq!(about(&sanctions, "bob", None), vec![other.subject.clone()]);
        sanctions.remove(&other);
        assert!(sanctions.places.is_empty());
    }

    #[test]
    fn address_is_found_by_each_prefix_that_contains_it() {
        let mut sanctions = Sanctions::default();
        let all = [
            "192.0.2.0/24",
            "192.0.2.7",
            "198.51.0.0/16",
            "2001:db8::/32",
        ];
        for text in all {
            sanctions.put(&sanction(address(text), None));
        }
        let found = |from| about(&sanctions, "ann", Some(from));
        assert_eq!(found("192.0.2.7").len(), 2);
        assert_eq!(found("::ffff:192.0.2.8"), [address("192.0.2.0/24")]);
        assert_eq!(found("2001:db8:1::1"), [address("2001:db8::/32")]);
        assert!(found("192.0.3.1").is_empty() && found("2001:db9::1").is_empty());
        for text in all {
            sanctions.remove(&sanction(address(text), None));
        }
        assert!(sanctions.places.is_empty());
    }

    #[test]
    fn those_that_end_are_reported_in_the_order_of_their_ends() {
        let mut sanctions = Sanctions::default();
        for (name, until) in [
            ("b", Some(20)),
            ("a", Some(30)),
            ("c", None),
            ("d", Some(10)),
        ] {
            sanctions.put(&sanction(Subject::Nick(name.into()), until));
        }
        let ended = |now, most| sanctions.ended(Millis(now), most).len();
        assert_eq!(sanctions.next_end(), Some(Millis(10)));
        assert_eq!(
            (ended(9, 9), ended(10, 9), ended(99, 9), ended(99, 1)),
            (0, 1, 3, 1)
        );
    }
}
