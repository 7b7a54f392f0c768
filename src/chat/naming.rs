//! Which user has which nick: the first one, and others by command. What a nick may be is `nick`'s.

use super::{Chat, Effects, Nick, NickRefused, Now, Refused, refuse, text};
use crate::id::ConnId;

/// Of so many names a made-up nick is one, and of more where many are in use.
pub(super) const MADE_UP_NAMES: u64 = 0x1_0000;

impl Chat {
    /// The nick of a new user, and why it is not the wanted one.
    pub(super) fn first_nick(
        &mut self,
        wanted: Option<&str>,
    ) -> (Nick, Option<(String, NickRefused)>) {
        let Some(wanted) = wanted else {
            return (self.made_up_nick(), None);
        };
        match self.free_nick(wanted, None) {
            Ok(nick) => (nick, None),
            Err(why) => (self.made_up_nick(), Some((text::excerpt(wanted), why))),
        }
    }

    pub(super) fn made_up_nick(&mut self) -> Nick {
        // The range grows with each failure, so this ends: there are more names than users.
        let mut names = self.made_up_names;
        loop {
            let nick = Nick::guest(self.chance.below(names) as u32);
            let is_reserved = self.registry.account_of_nick(&nick).is_some();
            if !is_reserved && self.owners_of(&nick).next().is_none() {
                return nick;
            }
            names = more_names(names);
        }
    }

    /// A nick that no user has but `own`, which may have it already in another spelling.
    pub(super) fn free_nick(&self, wanted: &str, own: Option<ConnId>) -> Result<Nick, NickRefused> {
        let nick = Nick::parse(wanted)?;
        if self.is_reserved(&nick, own) {
            return Err(NickRefused::Reserved);
        }
        if self.owners_of(&nick).any(|owner| Some(owner) != own) {
            return Err(NickRefused::Taken);
        }
        Ok(nick)
    }

    /// Whether the nick is that of an account, or looks like it, and not of this user's.
    fn is_reserved(&self, nick: &Nick, user: Option<ConnId>) -> bool {
        let account = self.registry.account_of_nick(nick);
        account.is_some() && account != user.and_then(|id| self.account_of(id))
    }

    /// The users with this nick, or with one that looks the same; of an account, the first of its
    /// connections.
    pub(super) fn owners_of(&self, nick: &Nick) -> impl Iterator<Item = ConnId> {
        nick.keys().filter_map(|key| self.owner_of(&key))
    }

    pub(super) fn owner_of(&self, key: &str) -> Option<ConnId> {
        let at = |slot: u32| self.users.get(slot as usize)?.as_ref();
        let has_key =
            |slot, key: &str| at(slot).is_some_and(|user| user.nick.keys().any(|k| k == key));
        let slot = self.names.find(key, has_key)?;
        at(slot).map(|user| user.id(slot))
    }

    pub(super) fn enter_names(&mut self, nick: &Nick, id: ConnId) {
        for key in nick.keys() {
            self.names.insert(&key, id.slot());
        }
        if let Some(moves) = &mut self.name_moves {
            moves.came(id);
        }
    }

    pub(super) fn leave_names(&mut self, nick: &Nick, id: ConnId) {
        for key in nick.keys() {
            self.names.remove(&key, id.slot());
        }
        if let Some(moves) = &mut self.name_moves {
            moves.left(nick);
        }
    }

    /// The user has this nick from here on, if no other user has it. It is in no room yet.
    pub fn takes_nick(&mut self, id: ConnId, new: &Nick) {
        let is_taken = self.owners_of(new).any(|owner| owner != id);
        if is_taken || self.is_reserved(new, Some(id)) || self.account_of(id).is_some() {
            return;
        }
        if let Some(user) = self.user_mut(id) {
            let old = std::mem::replace(&mut user.nick, new.clone());
            self.leave_names(&old, id);
            self.enter_names(new, id);
        }
    }

    pub(super) fn rename(&mut self, id: ConnId, wanted: &str, now: Now, effects: &mut Effects) {
        if let Some(account) = self.account_name(id) {
            let account = account.clone();
            return effects.push(refuse(id, Refused::NickIsAccounts { account }));
        }
        let new = match self.free_nick(wanted, Some(id)) {
            Ok(nick) => nick,
            Err(why) => {
                let Some(kept) = self.nick_of(id).cloned() else {
                    return;
                };
                let wanted = text::excerpt(wanted);
                return effects.push(refuse(id, Refused::Nick { wanted, why, kept }));
            }
        };
        if self.nick_of(id) == Some(&new) {
            return;
        }
        if let Some(why) = self.keeps_nick(id, &new, now) {
            return effects.push(refuse(id, why));
        }
        let Some(user) = self.user_mut(id) else {
            return;
        };
        let old = std::mem::replace(&mut user.nick, new.clone());
        self.leave_names(&old, id);
        self.enter_names(&new, id);
        for room in self.rooms_of(id).collect::<Vec<_>>() {
            self.announce_renamed(room, &old, &new, effects);
        }
        self.has_other_name(id, &old, &new, effects);
    }
}

/// More names than these, up to all that there are.
pub(super) const fn more_names(names: u64) -> u64 {
    let more = names + names / 8;
    if more < 1 << 32 { more } else { 1 << 32 }
}
