//! Nicks where several servers share the chat: which of this server's are to be claimed and which are
//! given back, and what becomes of a user whose nick is another server's. Knows no server: who
//! claims decides, and comes back with the outcome.

use super::naming::more_names;
use super::{Chat, Effects, Event, Nick, NickRefused, Now, Refused, refuse, tell, text};
use crate::id::{ConnId, RoomId};
use smol_str::SmolStr;

/// What has changed among the nicks of this server.
#[derive(Debug, Default)]
pub struct NameMoves {
    /// Users that have another nick. They may be gone again.
    pub came: Vec<ConnId>,
    /// Keys of nicks that were left. Another user of this server may have them again.
    pub left: Vec<SmolStr>,
}

impl NameMoves {
    pub(super) fn came(&mut self, id: ConnId) {
        self.came.push(id);
    }

    pub(super) fn left(&mut self, nick: &Nick) {
        self.left.extend(nick.keys());
    }
}

impl Chat {
    /// What has changed since the last call; `None`: nothing, or no other server shares the chat.
    pub fn take_name_moves(&mut self) -> Option<NameMoves> {
        let moves = self.name_moves.as_mut()?;
        let is_empty = moves.came.is_empty() && moves.left.is_empty();
        (!is_empty).then(|| std::mem::take(&mut **moves))
    }

    /// The keys of a guest's nick; `None`: it is no user, or has the name of its account, which no
    /// other user can claim.
    pub fn keys_to_claim(&self, id: ConnId) -> Option<Vec<SmolStr>> {
        let user = self.user(id).filter(|user| user.account.is_none())?;
        Some(user.nick.keys().collect())
    }

    /// All users with a nick to be claimed.
    pub fn guests(&self) -> impl Iterator<Item = ConnId> {
        let slots = self.users.iter().zip(0..);
        let users = slots.filter_map(|(user, slot)| Some((user.as_ref()?, slot)));
        let guests = users.filter(|(user, _)| user.account.is_none());
        guests.map(|(user, slot)| user.id(slot))
    }

    /// Whether a user of this server has the nick of a key.
    pub fn has_nick_of_key(&self, key: &str) -> bool {
        self.owner_of(key).is_some()
    }

    /// The keys of the nick that a guest would have by `/nick`, as far as this server knows, if it
    /// is one that must be claimed; `None`: the request is to be handled at once.
    pub fn keys_wanted(&self, id: ConnId, wanted: &str, now: Now) -> Option<Vec<SmolStr>> {
        let own = self.keys_to_claim(id)?;
        let nick = self.free_nick(wanted, Some(id)).ok()?;
        if self.keeps_nick(id, &nick, now).is_some() {
            return None;
        }
        let keys: Vec<SmolStr> = nick.keys().collect();
        let is_new = keys.iter().any(|key| !own.contains(key));
        is_new.then_some(keys)
    }

    /// The nick that a guest wished for when it came, and its keys, if no user of this server has it.
    pub fn keys_wished(&self, id: ConnId, wished: &str) -> Option<(Nick, Vec<SmolStr>)> {
        self.keys_to_claim(id)?;
        let nick = self.free_nick(wished, Some(id)).ok()?;
        let keys = nick.keys().collect();
        Some((nick, keys))
    }

    /// A user has asked for a nick, which was claimed. It was within the rate when it asked.
    pub fn rename_claimed(&mut self, id: ConnId, wanted: &str, now: Now, effects: &mut Effects) {
        self.rename(id, wanted, now, effects);
    }

    /// A user has asked for a nick which another server has.
    pub fn refuse_nick(&self, id: ConnId, wanted: &str, why: NickRefused, effects: &mut Effects) {
        if let Some(kept) = self.nick_of(id).cloned() {
            let wanted = text::excerpt(wanted);
            effects.push(refuse(id, Refused::Nick { wanted, why, kept }));
        }
    }

    /// Another server has the nick of a guest that is in no room yet and was shown nothing: it has
    /// a made-up one from here on. Returns why it has not the one before.
    pub fn enters_as_another(&mut self, id: ConnId, why: NickRefused) -> Option<Refused> {
        let (old, kept) = self.gives_up_nick(id)?;
        let wanted = old.as_str().to_owned();
        Some(Refused::Nick { wanted, why, kept })
    }

    /// Another server has the nick of a guest: it has a made-up one from here on. The user and its
    /// rooms are shown that.
    pub fn loses_nick(&mut self, id: ConnId, effects: &mut Effects) {
        let Some((old, kept)) = self.gives_up_nick(id) else {
            return;
        };
        let rooms: Vec<RoomId> = self.rooms_of(id).collect();
        for room in rooms {
            self.announce_renamed(room, &old, &kept, effects);
        }
        self.has_other_name(id, &old, &kept, effects);
        let event = Event::Refused(Refused::Nick {
            wanted: old.as_str().to_owned(),
            why: NickRefused::Taken,
            kept,
        });
        effects.push(tell(id, event));
    }

    /// Returns the nick before, and the made-up one.
    fn gives_up_nick(&mut self, id: ConnId) -> Option<(Nick, Nick)> {
        let user = self.user(id).filter(|user| user.account.is_none())?;
        if user.nick.is_made_up() {
            // So many are in use by others.
            self.made_up_names = more_names(self.made_up_names);
        }
        let kept = self.made_up_nick();
        let user = self.user_mut(id)?;
        let old = std::mem::replace(&mut user.nick, kept.clone());
        self.leave_names(&old, id);
        self.enter_names(&kept, id);
        Some((old, kept))
    }
}
