//! Edits and deletions: what members ask for, and who may change which message. Whose message it is
//! and when it was said is asked for when the change gets its number, for the message may have to
//! be read first.

use super::{Chat, Content, Draft, Effect, Effects, Now, Refused, refuse};
use crate::id::{ConnId, Millis, RoomId, Seq};

/// A message that a user wants to change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The user is the author.
    pub is_author: bool,
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
    pub fn may_amend(&self, id: ConnId, claim: &Claim, now: Millis) -> Result<(), Refused> {
        if claim.is_deletion && self.is_operator(id) {
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
}
