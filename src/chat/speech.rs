//! What users say and do in rooms.

use super::moderation::silenced;
use super::{
    Action, Author, Chat, Content, Draft, Effect, Effects, Event, Filtering, Manner, Now, Refused,
    Role, Seq, may, refuse, text,
};
use crate::id::{ConnId, RoomId};
use std::borrow::Cow;

impl Chat {
    /// Asks for an entry with what a member says or does.
    pub(super) fn speak(
        &mut self,
        id: ConnId,
        room: RoomId,
        (manner, words, reply_to): (Manner, &str, Option<Seq>),
        now: Now,
        effects: &mut Effects,
    ) {
        let Some(nick) = self.nick_of(id).map(|nick| nick.as_smol_str().clone()) else {
            return;
        };
        let text = match self.sayable(id, room, words, now) {
            Ok(text) => text,
            Err(why) => return effects.push(refuse(id, why)),
        };
        if let Some(why) = self.held_back(id, room, now.tick) {
            return effects.push(refuse(id, why));
        }
        // The server knows by what the author is known.
        let content = Content::said(manner, text.into_owned(), reply_to, Author::Unknown);
        effects.push(Effect::Append {
            room,
            from: id,
            draft: Draft { nick, content },
        });
    }

    /// What a member may say of a text now, in a message or in an edit.
    ///
    /// # Errors
    /// Nothing: it is muted, or nothing is left of the text.
    pub(super) fn sayable<'t>(
        &mut self,
        id: ConnId,
        room: RoomId,
        words: &'t str,
        now: Now,
    ) -> Result<Cow<'t, str>, Refused> {
        if let Some(mute) = self.muted(id, room, now) {
            return Err(silenced(mute, now.wall));
        }
        let text = text::clean(words).ok_or(Refused::EmptyMessage)?;
        if self.filter.is_none() {
            return Ok(text);
        }
        self.filtered(self.role_of(id, room), text)
    }

    /// What a member asked to say has waited until now: it may have been muted or removed since, or
    /// has another nick.
    ///
    /// # Errors
    /// It must not be said any more.
    pub fn may_still_say(
        &self,
        id: ConnId,
        room: RoomId,
        draft: &mut Draft,
        now: Now,
    ) -> Result<(), Refused> {
        if !matches!(draft.content, Content::Said { .. } | Content::Edited { .. }) {
            return Ok(());
        }
        let Some(nick) = self.nick_of(id).filter(|_| self.is_member(id, room)) else {
            return Err(Refused::NotAMember);
        };
        if let Some(mute) = self.muted(id, room, now) {
            return Err(silenced(mute, now.wall));
        }
        draft.nick.clone_from(nick.as_smol_str());
        Ok(())
    }

    /// What becomes of a text by the word filter: the same, with asterisks, or nothing.
    ///
    /// # Errors
    /// It must not be said.
    pub(super) fn filtered<'t>(
        &mut self,
        role: Role,
        text: Cow<'t, str>,
    ) -> Result<Cow<'t, str>, Refused> {
        if self.filter.is_none() || may(role, Action::SpeakUnfiltered, None) {
            return Ok(text);
        }
        let Some(filter) = &mut self.filter else {
            return Ok(text);
        };
        match self.filtering {
            Filtering::Refuse if filter.has_any(&text) => Err(Refused::Filtered),
            Filtering::Refuse => Ok(text),
            Filtering::Replace => match filter.replace(&text) {
                Cow::Borrowed(_) => Ok(text),
                Cow::Owned(replaced) => Ok(Cow::Owned(replaced)),
            },
        }
    }

    /// What the rooms of a user are shown with its leaving: nothing of one that may not speak.
    pub(super) fn last_word(&mut self, id: ConnId, word: &str, now: Now) -> String {
        if self.is_silenced(id, now) {
            return String::new();
        }
        let word = text::remark(word);
        match &mut self.filter {
            Some(filter) => filter.replace(&word).into_owned(),
            None => word,
        }
    }

    /// Shows the others that a member is writing, once a second at most. In a room in which joins
    /// and leaves are summed up, nothing is shown.
    pub(super) fn typing(&mut self, id: ConnId, room: RoomId, now: Now, effects: &mut Effects) {
        let Some(nick) = self.nick_of(id).cloned() else {
            return;
        };
        if self.muted(id, room, now).is_some() {
            return;
        }
        let Some(written_in) = self.rooms.get_mut(room) else {
            return;
        };
        if written_in.is_typing(id, now.tick, &self.notices) {
            let event = Event::Typing {
                room: written_in.name.clone(),
                nick,
            };
            effects.push(Effect::Notice {
                room,
                event,
                except: Some(id),
            });
        }
    }
}
