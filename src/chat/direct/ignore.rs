//! Whom a user does not want to be written to by: of an account for good, of a guest until its
//! connection ends. An account is ignored by whatever it is called, others by nick and what looks
//! like it. Knows nothing of rooms: there all see all.

use super::super::registry::{Fact, FactKey, Subject};
use super::super::{Chat, Effects, Event, Nick, Now, Refused, refuse, reply, text};
use super::Party;
use crate::id::{AccountId, ConnId};
use smol_str::SmolStr;
use std::collections::BTreeMap;

/// Whom one account may ignore.
const IGNORED_MAX: usize = 200;
/// Whom a guest may.
const IGNORED_BY_GUEST_MAX: usize = 50;

/// Whom guests ignore.
pub(super) type IgnoredByGuests = BTreeMap<ConnId, Vec<Subject>>;

impl Chat {
    /// A user takes no messages from another one from here on.
    pub(in super::super) fn ignore(
        &mut self,
        id: ConnId,
        nick: &str,
        now: Now,
        effects: &mut Effects,
    ) {
        let (subject, name) = match self.ignorable(nick) {
            Ok(ignorable) => ignorable,
            Err(why) => return effects.push(refuse(id, why)),
        };
        let own = self.account_of(id);
        if own.is_some_and(|own| subject == Subject::Account(own)) {
            return effects.push(refuse(id, Refused::Oneself));
        }
        let event = Event::Done(format!("you take no messages from {name} any more"));
        if self.ignored_by(id).contains(&subject) {
            return effects.push(reply(id, event));
        }
        let most = own.map_or(IGNORED_BY_GUEST_MAX, |_| IGNORED_MAX);
        if self.ignored_by(id).len() >= most {
            return effects.push(refuse(id, Refused::TooManyIgnored { most }));
        }
        let Some(account) = own else {
            self.directs.ignored.entry(id).or_default().push(subject);
            return effects.push(reply(id, event));
        };
        let puts = vec![Fact::Ignored { account, subject }];
        self.change(puts, Vec::new(), (Some((id, event)), now.wall), effects);
    }

    /// The other way. One that is not ignored is not, either.
    pub(in super::super) fn unignore(
        &mut self,
        id: ConnId,
        nick: &str,
        now: Now,
        effects: &mut Effects,
    ) {
        let (subject, name) = match self.ignorable(nick) {
            Ok(ignorable) => ignorable,
            Err(why) => return effects.push(refuse(id, why)),
        };
        let wanted = Nick::parse(&name).ok();
        let is_it = |ignored: &Subject| match ignored {
            Subject::Nick(nick) => wanted.as_ref().is_some_and(|wanted| is_like(nick, wanted)),
            other => *other == subject,
        };
        let mut lifted = self.ignored_by(id);
        lifted.retain(is_it);
        let event = Event::Done(format!("you take messages from {name}"));
        match self.account_of(id) {
            Some(account) if !lifted.is_empty() => {
                let keys = lifted.into_iter();
                let forgets = keys.map(|subject| FactKey::Ignored { account, subject });
                let forgets = forgets.collect();
                self.change(Vec::new(), forgets, (Some((id, event)), now.wall), effects);
            }
            Some(_) => effects.push(reply(id, event)),
            None => {
                if let Some(ignored) = self.directs.ignored.get_mut(&id) {
                    ignored.retain(|subject| !lifted.contains(subject));
                }
                effects.push(reply(id, event));
            }
        }
    }

    /// Answers with whom a user ignores.
    pub(in super::super) fn list_ignored(&self, id: ConnId, effects: &mut Effects) {
        let nicks = self.names_of(&self.ignored_by(id));
        effects.push(reply(id, Event::Ignored { nicks }));
    }

    /// Whom an account ignores, by name.
    pub(in super::super) fn ignored_by_account(&self, account: AccountId) -> Vec<SmolStr> {
        let ignored: Vec<Subject> = self.registry.ignored_by(account).cloned().collect();
        self.names_of(&ignored)
    }

    fn names_of(&self, ignored: &[Subject]) -> Vec<SmolStr> {
        let name = |subject: &Subject| match subject {
            Subject::Nick(nick) => Some(nick.clone()),
            Subject::Account(account) => Some(self.registry.account(*account)?.name.clone()),
            Subject::Address(_) => None,
        };
        ignored.iter().filter_map(name).collect()
    }

    /// As what a user is ignored, and what it is called.
    ///
    /// # Errors
    /// No user can have this nick.
    fn ignorable(&self, nick: &str) -> Result<(Subject, SmolStr), Refused> {
        let parsed = Nick::parse(nick.strip_prefix('@').unwrap_or(nick));
        let parsed = parsed.map_err(|_| Refused::NoSuchMember {
            nick: text::excerpt(nick),
        })?;
        Ok(match self.registry.account_like(&parsed) {
            Some(account) => (Subject::Account(account.id), account.name.clone()),
            None => {
                let name = parsed.as_smol_str().clone();
                (Subject::Nick(name.clone()), name)
            }
        })
    }

    fn ignored_by(&self, id: ConnId) -> Vec<Subject> {
        match self.account_of(id) {
            Some(account) => self.registry.ignored_by(account).cloned().collect(),
            None => self.directs.ignored.get(&id).cloned().unwrap_or_default(),
        }
    }

    /// Whether one of a pair takes no messages from a user.
    pub(super) fn ignores(&self, party: Party, id: ConnId) -> bool {
        let Some(user) = self.user(id) else {
            return false;
        };
        let is_it = |subject: &Subject| match subject {
            Subject::Account(account) => user.account == Some(*account),
            // One that has an account is known by it alone.
            Subject::Nick(nick) => user.account.is_none() && is_like(nick, &user.nick),
            Subject::Address(_) => false,
        };
        match party {
            Party::Account(account) => self.registry.ignored_by(account).any(is_it),
            Party::Guest(number) => {
                let guest = self.directs.guest(number);
                let ignored = guest.and_then(|guest| self.directs.ignored.get(&guest));
                ignored.is_some_and(|ignored| ignored.iter().any(is_it))
            }
        }
    }

    /// Panics if whom guests ignore is kept of others. For tests.
    pub(super) fn check_ignored(&self) {
        for id in self.directs.ignored.keys() {
            let is_guest = self.user(*id).is_some_and(|user| user.account.is_none());
            assert!(is_guest, "whom one ignored that is gone");
        }
    }
}

fn is_like(name: &str, nick: &Nick) -> bool {
    let keys: Vec<SmolStr> = nick.keys().collect();
    let known = Nick::parse(name).ok();
    known.is_some_and(|known| known.keys().any(|key| keys.contains(&key)))
}
