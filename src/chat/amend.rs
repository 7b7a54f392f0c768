//! Edits and deletions: what members ask for, and who may change which message. Whose message it is
//! and when it was said is asked for when the change gets its number, for the message may have to
//! be read first.

use super::registry::{Audit, Scope};
use super::{Action, Chat, Content, Draft, Effect, Effects, Now, Refused, Role, may, refuse};
use crate::id::{AccountId, ConnId, Millis, RoomId, Seq};
use smol_str::{SmolStr, format_smolstr};

/// A message that a user wants to change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The user is the author.
    pub is_author: bool,
    /// The author, if it has an account.
    pub account: Option<AccountId>,
    /// When it was said.
    pub at: Millis,
    /// It is to be deleted, or given another text.
    pub is_deletion: bool,
}

impl Chat {
    /// Asks for an entry by which a message of the member gets another text.
    pub(super) fn edit(
        &mut self,
        id: ConnId,
        room: RoomId,
        (of, words): (Seq, &str),
        now: Now,
        effects: &mut Effects,
    ) {
        match self.sayable(id, room, words, now) {
            Ok(text) => {
                let text = text.into_owned();
                self.ask_amendment(id, room, Content::Edited { of, text }, effects);
            }
            Err(why) => effects.push(refuse(id, why)),
        }
    }

    /// Asks for an entry by which a message is deleted.
    pub(super) fn delete(&self, id: ConnId, room: RoomId, of: Seq, effects: &mut Effects) {
        self.ask_amendment(id, room, Content::Deleted { of }, effects);
    }

    fn ask_amendment(
        &self,
        id: ConnId,
        room: RoomId,
        content: Content<String>,
        effects: &mut Effects,
    ) {
        let Some(nick) = self.nick_of(id) else {
            return;
        };
        let nick = nick.as_smol_str().clone();
        effects.push(Effect::Append {
            room,
            from: id,
            draft: Draft { nick, content },
        });
    }

    /// Whether a user may change a message now: the author within the time that is set, and a
    /// moderator may delete any. Only the author gives a message another text.
    ///
    /// # Errors
    /// The reason for the user.
    pub fn may_amend(
        &self,
        id: ConnId,
        room: RoomId,
        claim: &Claim,
        now: Millis,
    ) -> Result<(), Refused> {
        if claim.is_deletion && self.may_delete(id, room, claim) {
            return Ok(());
        }
        if !claim.is_author {
            return Err(Refused::NotTheAuthor);
        }
        if now.0.saturating_sub(claim.at.0) >= self.edit_window_millis {
            return Err(Refused::TooLate);
        }
        Ok(())
    }

    /// Whether the role of a user allows to delete a message, of its own or of one below it.
    fn may_delete(&self, id: ConnId, room: RoomId, claim: &Claim) -> bool {
        if self.pair_of(room).is_some() {
            return false;
        }
        self.may_purge(id, room, (claim.is_author, claim.account))
    }

    /// Whether a user's role allows to delete a message, of which it is the author or not. `account`
    /// is the author's.
    pub fn may_purge(
        &self,
        id: ConnId,
        room: RoomId,
        (is_author, account): (bool, Option<AccountId>),
    ) -> bool {
        let role = self.role_of(id, room);
        let scope = self.room_name(room).cloned().map(Scope::Room);
        let author = account.zip(scope).map_or(Role::Member, |(account, scope)| {
            self.role_of_account(account, &scope)
        });
        let target = (!is_author).then_some(author);
        may(role, Action::DeleteOthers, target)
    }

    /// A user has deleted a message of another one: the audit log keeps that.
    pub fn has_deleted(
        &mut self,
        id: ConnId,
        room: RoomId,
        of: Seq,
        now: Millis,
        effects: &mut Effects,
    ) {
        let audit = Audit {
            action: SmolStr::new_static("delete"),
            by: self.known_as(id),
            room: self.room_name(room).cloned(),
            target: format_smolstr!("#{}", of.0),
            detail: SmolStr::default(),
            until: None,
        };
        let now = Now {
            wall: now,
            ..Now::default()
        };
        self.has_done(audit, now, effects);
    }
}
