//! Purges: all that an author said lately in a room is deleted. Decides who may, and which messages
//! are the author's; the server looks for them. Knows no log.

use super::super::author::Author;
use super::super::registry::Audit;
use super::super::{
    Action, Chat, Effect, Effects, Event, Identity, Nick, Now, Refused, Role, may, refuse, text,
};
use crate::id::{AccountId, ConnId, RoomId};
use smol_str::{SmolStr, format_smolstr};

/// How far back a purge reaches at most: a week.
pub const PURGE_SECONDS_MAX: u32 = 7 * 24 * 3600;

/// Whose messages a purge is about: those of an account, of the users who have a nick now, under
/// whichever nick they were said, and all that were said under the nick or one that looks like it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Writer {
    /// The nick, as the room knows it.
    pub nick: SmolStr,
    keys: Vec<SmolStr>,
    accounts: Vec<AccountId>,
    /// Those who have the nick. What they are known by besides is the server's to say.
    pub users: Vec<ConnId>,
}

impl Writer {
    /// Whether a nick is the writer's, or looks like it.
    pub fn has_nick(&self, nick: &str) -> bool {
        let nick = Nick::parse(nick).ok();
        nick.is_some_and(|nick| nick.keys().any(|key| self.keys.contains(&key)))
    }

    /// Whether an author is the writer, or one of `known`, who are the writer's users.
    pub fn is(&self, author: Author, known: &[Identity]) -> bool {
        let is_account = match author {
            Author::Account(account) => self.accounts.contains(&account),
            Author::Unknown | Author::Connection(_) | Author::Session(_) => false,
        };
        is_account || known.iter().any(|one| one.is(author))
    }
}

impl Chat {
    /// Asks for the deletion of all that a writer has said lately.
    pub(in super::super) fn purge(
        &self,
        id: ConnId,
        room: RoomId,
        (nick, seconds): (&str, u32),
        effects: &mut Effects,
    ) {
        match self.writer(id, room, nick) {
            Ok(writer) => effects.push(Effect::Purge {
                from: id,
                room,
                writer: Box::new(writer),
                seconds: seconds.min(PURGE_SECONDS_MAX),
                is_answer: true,
            }),
            Err(why) => effects.push(refuse(id, why)),
        }
    }

    /// Whose messages are meant by a nick, if a user may delete them.
    pub(super) fn writer(&self, id: ConnId, room: RoomId, wanted: &str) -> Result<Writer, Refused> {
        let role = self.role_of(id, room);
        if !may(role, Action::DeleteOthers, None) {
            return Err(Refused::NotAllowed);
        }
        let nick = Nick::parse(wanted).map_err(|why| Refused::NoNick {
            nick: text::excerpt(wanted),
            why,
        })?;
        let mut writer = Writer {
            nick: nick.as_smol_str().clone(),
            keys: nick.keys().collect(),
            accounts: Vec::new(),
            users: Vec::new(),
        };
        for owner in self.owners_of(&nick) {
            let Some(user) = self.user(owner) else {
                continue;
            };
            writer.nick = user.nick.as_smol_str().clone();
            writer.accounts.extend(user.account);
            let is_own = self.is_oneself(id, owner);
            if !is_own && !may(role, Action::DeleteOthers, Some(self.role_of(owner, room))) {
                let nick = writer.nick.to_string();
                return Err(Refused::Outranked { nick });
            }
            writer.users.extend(self.connections_of(owner));
        }
        let own = self.nick_of(id);
        let operator = self.operator_elsewhere(&nick);
        if let Some(operator) = operator.filter(|operator| own != Some(*operator))
            && !may(role, Action::DeleteOthers, Some(Role::Admin))
        {
            let nick = operator.to_string();
            return Err(Refused::Outranked { nick });
        }
        if let Some(account) = self.registry.account_like(&nick)
            && !writer.accounts.contains(&account.id)
        {
            if !self.may_purge(id, room, (false, Some(account.id))) {
                let nick = account.name.to_string();
                return Err(Refused::Outranked { nick });
            }
            writer.accounts.push(account.id);
        }
        Ok(writer)
    }

    /// A purge has deleted messages: the audit log keeps how many. `is_answer`: the user who asked
    /// waits for that.
    pub fn has_purged(
        &mut self,
        (id, room): (ConnId, RoomId),
        (nick, count, more): (&SmolStr, u32, bool),
        is_answer: bool,
        now: Now,
        effects: &mut Effects,
    ) {
        let Some(name) = self.room_name(room).cloned() else {
            return;
        };
        let event = Event::Purged {
            room: name.clone(),
            nick: nick.clone(),
            count,
            more,
        };
        if count == 0 {
            if is_answer {
                effects.push(Effect::Reply { to: id, event });
            }
            return;
        }
        let audit = Audit {
            action: SmolStr::new_static("purge"),
            by: self.known_as(id),
            room: Some(name),
            target: nick.clone(),
            detail: format_smolstr!("{count}"),
            until: None,
        };
        let answer = is_answer.then(|| (id, event.clone()));
        self.note_act(audit, answer, now, effects);
        if !is_answer {
            effects.push(Effect::Tell { to: id, event });
        }
    }
}
