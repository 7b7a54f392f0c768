//! What is in force, by the changes that the server made, and who may do what: written down a second
//! time from docs/moderation.md, not taken from the server's code. Knows no connection.

use parlor::chat::Role;
use parlor::chat::registry::{
    Account, Change, Fact, FactKey, Rules, Sanction, SanctionKind, Scope, Subject,
};
use parlor::id::{AccountId, Millis};
use std::collections::BTreeMap;
use std::net::IpAddr;

/// All facts, and the changes that led to them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Model {
    facts: BTreeMap<FactKey, Fact>,
    /// From the first on, without a gap.
    changes: Vec<Change>,
    /// Roles that were taken in this turn, and had an effect before.
    taken: Vec<Fact>,
}

/// Somebody, as rules see them.
#[derive(Clone, Debug)]
pub(crate) struct Who {
    pub(crate) nick: String,
    pub(crate) account: Option<AccountId>,
    pub(crate) address: IpAddr,
    pub(crate) is_operator: bool,
}

/// How a nick looks, for the nicks of this game.
pub(crate) fn look(nick: &str) -> String {
    nick.to_lowercase()
}

impl Model {
    /// A change was made. Returns whether it is a new one: while the store cannot take them, they
    /// are handed over again.
    pub(crate) fn is_new(&self, change: &Change) -> bool {
        let index = usize::try_from(change.number).expect("a small number") - 1;
        match self.changes.get(index) {
            Some(known) => {
                assert_eq!(known, change, "another change with the same number");
                false
            }
            None => {
                assert_eq!(index, self.changes.len(), "a change is missing");
                true
            }
        }
    }

    pub(crate) fn takes(&mut self, change: &Change) {
        for key in &change.forgets {
            let old = self.facts.remove(key);
            self.taken.extend(old.filter(is_role));
        }
        for fact in &change.puts {
            let old = self.facts.insert(fact.key(), fact.clone());
            self.taken.extend(old.filter(is_role));
        }
        self.changes.push(change.clone());
    }

    /// What has gone before has no effect any more.
    pub(crate) fn ends_turn(&mut self) {
        self.taken.clear();
    }

    /// The server has crashed: later changes than this one are lost.
    pub(crate) fn falls_back_to(&mut self, number: u64) {
        let changes = std::mem::take(&mut self.changes);
        self.facts.clear();
        let count = usize::try_from(number).expect("a small number");
        for change in &changes[..count] {
            self.takes(change);
        }
    }

    /// The number of the newest change that made or changed an account.
    pub(crate) fn changed(&self, account: AccountId) -> u64 {
        let key = FactKey::Account(account);
        let has = |change: &&Change| change.puts.iter().any(|fact| fact.key() == key);
        let newest = self.changes.iter().rfind(has);
        newest.map_or(0, |change| change.number)
    }

    pub(crate) fn changes(&self) -> &[Change] {
        &self.changes
    }

    pub(crate) fn facts(&self) -> impl Iterator<Item = &Fact> {
        self.facts.values()
    }

    pub(crate) fn account(&self, account: AccountId) -> Option<&Account> {
        match self.facts.get(&FactKey::Account(account)) {
            Some(Fact::Account(account)) => Some(account),
            _ => None,
        }
    }

    pub(crate) fn account_like(&self, nick: &str) -> Option<&Account> {
        self.facts().find_map(|fact| match fact {
            Fact::Account(account) if look(&account.name) == look(nick) => Some(account),
            _ => None,
        })
    }

    pub(crate) fn rules(&self, room: &str) -> Rules {
        match self.facts.get(&FactKey::Rules { room: room.into() }) {
            Some(Fact::Rules { rules, .. }) => rules.clone(),
            _ => Rules::default(),
        }
    }

    fn fact_role(&self, scope: Scope, account: AccountId) -> Role {
        match self.facts.get(&FactKey::Role { scope, account }) {
            Some(Fact::Role { role, .. }) => *role,
            _ => Role::Member,
        }
    }

    /// The role of an account in a room, or on the server.
    pub(crate) fn role_of(&self, account: Option<AccountId>, room: Option<&str>) -> Role {
        let Some(account) = account else {
            return Role::Member;
        };
        let on_server = self.fact_role(Scope::Server, account);
        match room {
            Some(room) => on_server.max(self.fact_role(scope(Some(room)), account)),
            None => on_server,
        }
    }

    pub(crate) fn role(&self, who: &Who, room: Option<&str>) -> Role {
        match who.is_operator {
            true => Role::Admin,
            false => self.role_of(who.account, room),
        }
    }

    /// The highest role that a person has had in a room in this turn.
    pub(crate) fn role_lately(&self, who: &Who, room: Option<&str>) -> Role {
        let had = self.taken.iter().filter_map(|fact| match fact {
            Fact::Role {
                scope: one,
                account,
                role,
            } if Some(*account) == who.account
                && (*one == Scope::Server || *one == scope(room)) =>
            {
                Some(*role)
            }
            _ => None,
        });
        had.fold(self.role(who, room), Role::max)
    }

    /// The accounts that have a role in a room.
    pub(crate) fn having(&self, role: Role, room: &str) -> Vec<AccountId> {
        let scope = scope(Some(room));
        let having = self.facts().filter_map(|fact| match fact {
            Fact::Role {
                scope: one,
                account,
                role: other,
            } if *one == scope && *other == role => Some(*account),
            _ => None,
        });
        having.collect()
    }

    /// The sanctions that hold in a scope.
    pub(crate) fn sanctions(
        &self,
        room: Option<&str>,
        now: Millis,
    ) -> impl Iterator<Item = &Sanction> {
        let scope = scope(room);
        self.facts().filter_map(move |fact| match fact {
            Fact::Sanction(sanction) if sanction.scope == scope && sanction.holds(now) => {
                Some(sanction)
            }
            _ => None,
        })
    }

    /// The ban or mute that holds for somebody in a room, or on the server.
    pub(crate) fn kept_from(
        &self,
        who: &Who,
        kind: SanctionKind,
        room: &str,
        now: Millis,
    ) -> Option<&Sanction> {
        [Some(room), None].into_iter().find_map(|place| {
            let mut sanctions = self.sanctions(place, now);
            sanctions.find(|one| one.kind == kind && self.is_about(one, who, place))
        })
    }

    /// The ban by which somebody must not be connected.
    pub(crate) fn kept_out(&self, who: &Who, now: Millis) -> Option<&Sanction> {
        let mut sanctions = self.sanctions(None, now);
        sanctions.find(|one| one.kind == SanctionKind::Ban && self.is_about(one, who, None))
    }

    /// Those who keep order are known by their accounts, and operators are kept from nothing.
    fn is_about(&self, sanction: &Sanction, who: &Who, room: Option<&str>) -> bool {
        if who.is_operator {
            return false;
        }
        let is_bound = self.role(who, room) < Role::Moderator;
        match &sanction.subject {
            Subject::Nick(nick) => is_bound && look(nick) == look(&who.nick),
            Subject::Account(account) => who.account == Some(*account),
            Subject::Address(prefix) => is_bound && prefix.contains(who.address),
        }
    }
}

const fn is_role(fact: &Fact) -> bool {
    matches!(fact, Fact::Role { .. })
}

pub(crate) fn scope(room: Option<&str>) -> Scope {
    room.map_or(Scope::Server, |room| Scope::Room(room.into()))
}
