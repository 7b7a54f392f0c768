//! What users say and do in rooms.

use super::{Chat, Content, Draft, Effect, Effects, Manner, Refused, refuse, text};
use crate::id::{ConnId, RoomId};

impl Chat {
    /// Asks for an entry with what a member says or does.
    pub(super) fn speak(
        &self,
        id: ConnId,
        room: RoomId,
        words: &str,
        manner: Manner,
        effects: &mut Effects,
    ) {
        let Some(user) = self.user(id) else {
            return;
        };
        let Some(text) = text::clean(words) else {
            return effects.push(refuse(id, Refused::EmptyMessage));
        };
        let content = Content::Said {
            manner,
            text: text.into_owned(),
            reply_to: None,
        };
        let nick = user.nick.as_smol_str().clone();
        effects.push(Effect::Append {
            room,
            from: id,
            draft: Draft { nick, content },
        });
    }
}
