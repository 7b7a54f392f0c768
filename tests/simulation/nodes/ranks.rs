//! Roles in the room in which people with accounts meet, in a game of whole servers: operators and
//! owners give and take them at any server, and moderators kick. At the end the roles are those of the
//! room's log, and no member was removed by one of the same role or a lower one. Knows no server.

use super::facts::{Facts, NAMES};
use super::judge;
use super::people::DEN;
use super::redis::model::Redis;
use parlor::chat::{Act, Content, Role};
use parlor::id::AccountId;
use std::collections::BTreeMap;

/// Those that a room has.
pub(super) const ROLES: [Role; 4] = [Role::Member, Role::Voiced, Role::Moderator, Role::Owner];

#[derive(Default)]
pub(super) struct Ranks {
    /// Roles whose giving was acknowledged: of whom, and which.
    given: Vec<(usize, Role)>,
    /// By their reasons: whether an operator has asked for a kick.
    kicks: BTreeMap<String, bool>,
    /// Of whom a connection was removed, and the reason.
    removed: Vec<(usize, String)>,
}

fn of_name(name: &str) -> Role {
    let mut all = ROLES.into_iter();
    all.find(|role| role.name() == name).expect("a role")
}

impl Ranks {
    /// The reason of the next kick.
    pub(super) fn kicks(&mut self, by_operator: bool) -> String {
        let reason = format!("kick {}", self.kicks.len());
        self.kicks.insert(reason.clone(), by_operator);
        reason
    }

    pub(super) fn has_given(&mut self, to: usize, role: Role) {
        self.given.push((to, role));
    }

    pub(super) fn is_removed(&mut self, account: usize, reason: &str) {
        self.removed.push((account, reason.to_owned()));
    }

    /// `is_whole`: nothing was lost or is too old to be kept. `has_changed`: an entry may be there
    /// without its change, or the account of its name may be another one.
    pub(super) fn judge(&self, redis: &Redis, is_whole: bool, has_changed: bool) {
        let facts = Facts::of(redis);
        let mut roles: BTreeMap<String, Role> = BTreeMap::new();
        let mut given = Vec::new();
        for entry in judge::kept(redis, DEN).into_values() {
            let nick = entry.draft.nick.to_string();
            match entry.draft.content {
                Content::Act {
                    act: Act::Role,
                    detail,
                    ..
                } => {
                    given.push((nick.clone(), of_name(&detail)));
                    roles.insert(nick, of_name(&detail));
                }
                Content::Kicked { by, reason } if is_whole => {
                    self.judge_kick((&by, &nick), &reason, &roles);
                }
                Content::Kicked { .. } => {}
                other => panic!("no person does {other:?}"),
            }
        }
        for (name, role) in roles.iter().filter(|_| !has_changed) {
            let place = NAMES.iter().position(|one| one == name);
            let account = place.and_then(|place| facts.account(place));
            let kept = facts.role(account.expect("it is there").id);
            // Who makes the room anew owns it, without an entry.
            let has_made = *role == Role::Member && kept == Role::Owner;
            assert!(
                kept == *role || has_made,
                "{name} is {role:?}, and {kept:?}"
            );
        }
        for (to, role) in self.given.iter().filter(|_| is_whole) {
            let wanted = (NAMES[*to].to_owned(), *role);
            let asked = self.given.iter().filter(|one| *one == &(*to, *role));
            let there = given.iter().filter(|one| **one == wanted);
            assert!(
                there.count() >= asked.count(),
                "{wanted:?} was acknowledged"
            );
        }
    }

    /// Of those whose roles were given, one that stands as high as another is not removed by it.
    fn judge_kick(&self, (by, nick): (&str, &str), reason: &str, roles: &BTreeMap<String, Role>) {
        let (Some(by), Some(of)) = (roles.get(by), roles.get(nick)) else {
            return;
        };
        let name = |(account, why): &&(usize, String)| NAMES[*account] == nick && why == reason;
        let is_removed = self.removed.iter().find(name).is_some();
        let may = self.kicks[reason] || by > of && *by >= Role::Moderator;
        assert!(
            may || !is_removed,
            "{nick}, {of:?}, is removed by {by:?}: {reason}"
        );
    }
}

impl Facts {
    /// That of an account in the room.
    pub(super) fn role(&self, account: AccountId) -> Role {
        self.roles.get(&account).copied().unwrap_or_default()
    }
}
