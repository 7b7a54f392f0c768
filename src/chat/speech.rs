//! What users say and do in rooms.

use super::{
    Author, Chat, Content, Draft, Effect, Effects, Event, Manner, Refused, Seq, refuse, text,
};
use crate::id::{ConnId, RoomId, Tick};

impl Chat {
    /// Asks for an entry with what a member says or does.
    pub(super) fn speak(
        &self,
        id: ConnId,
        room: RoomId,
        manner: Manner,
        words: &str,
        reply_to: Option<Seq>,
        effects: &mut Effects,
    ) {
        let Some(nick) = self.nick_of(id) else {
            return;
        };
        let Some(text) = text::clean(words) else {
            return effects.push(refuse(id, Refused::EmptyMessage));
        };
        // The server knows by what the author is known.
        let content = Content::said(manner, text.into_owned(), reply_to, Author::Unknown);
        let nick = nick.as_smol_str().clone();
        effects.push(Effect::Append {
            room,
            from: id,
            draft: Draft { nick, content },
        });
    }

    /// Shows the others that a member is writing, once a second at most. In a room in which joins
    /// and leaves are summed up, nothing is shown.
    pub(super) fn typing(&mut self, id: ConnId, room: RoomId, now: Tick, effects: &mut Effects) {
        let Some(nick) = self.nick_of(id).cloned() else {
            return;
        };
        let Some(written_in) = self.rooms.get_mut(room) else {
            return;
        };
        if written_in.is_typing(id, now, &self.notices) {
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
