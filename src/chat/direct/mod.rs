//! Direct conversations: a room of two, which each of them sees under the other's name. Who may
//! write to whom, who is a member, and when a conversation ends. Knows no log but by the name that
//! the pair gives it (`pair`).
//!
//! Only programs are members. A connection of plain text has one room, and is shown what is said
//! to it line by line.

mod guests;
mod ignore;
mod pair;
mod past;

pub(super) use guests::Directs;
pub use pair::{Pair, Party};

use super::moderation::silenced;
use super::room::Moved;
use super::user::Membership;
use super::{
    Author, Chat, Command, Content, Draft, Effect, Effects, Event, JoinRefused, Manner, Nick, Now,
    Refused, refuse, tell, text,
};
use crate::id::{AccountId, ConnId, RoomId, Seq};
use smol_str::{SmolStr, format_smolstr};

/// Conversations that one connection is a member of, beside its rooms; one more takes the place of
/// the one in which nothing was said for longest.
pub const DIRECTS_MAX: usize = 32;

impl Chat {
    // The two parties

    /// The user as one of a pair; `None`: a guest that has talked to no other alone.
    fn party_of(&self, id: ConnId) -> Option<Party> {
        match self.user(id)?.account {
            Some(account) => Some(Party::Account(account)),
            None => self.directs.known(id),
        }
    }

    /// The one that has a nick, or one that looks like it: an account, though it be away, or a guest.
    fn party_called(&self, nick: &Nick) -> Option<Result<Party, ConnId>> {
        if let Some(account) = self.registry.account_of_nick(nick) {
            return Some(Ok(Party::Account(account)));
        }
        let guest = self.owners_of(nick).next()?;
        Some(self.directs.known(guest).ok_or(guest))
    }

    /// The connections of one of a pair; none: it is away.
    pub fn connections_of_party(&self, party: Party) -> Vec<ConnId> {
        match party {
            Party::Account(account) => self.online.of(account).to_vec(),
            Party::Guest(number) => self.directs.guest(number).into_iter().collect(),
        }
    }

    /// What one of a pair is called; `None`: it is gone for good.
    pub fn party_name(&self, party: Party) -> Option<&SmolStr> {
        match party {
            Party::Account(account) => Some(&self.registry.account(account)?.name),
            Party::Guest(number) => {
                let guest = self.directs.guest(number)?;
                Some(self.nick_of(guest)?.as_smol_str())
            }
        }
    }

    /// The pair of a conversation that has members; `None`: it is a room, or has none.
    pub fn pair_of(&self, room: RoomId) -> Option<Pair> {
        self.rooms.get(room)?.direct
    }

    /// What a conversation is called for one of the two.
    pub fn name_for(&self, id: ConnId, pair: Pair) -> SmolStr {
        let own = self.party_of(id).and_then(|own| pair.side_of(own));
        // One that was of the pair a moment ago may still be answered.
        self.name_for_side(own.unwrap_or(0), pair)
    }

    /// Which of the two a user is; `None`: neither.
    pub fn side_of(&self, id: ConnId, pair: Pair) -> Option<usize> {
        pair.side_of(self.party_of(id)?)
    }

    /// The same for the first of the pair, or the second.
    pub fn name_for_side(&self, side: usize, pair: Pair) -> SmolStr {
        let other = pair.parties()[1 - side];
        format_smolstr!("@{}", self.party_name(other).map_or("-", SmolStr::as_str))
    }

    /// The name by which a user knows a room that has members.
    pub fn room_name_for(&self, id: ConnId, room: RoomId) -> Option<SmolStr> {
        let room = self.rooms.get(room)?;
        Some(match room.direct {
            None => room.name.clone(),
            Some(pair) => self.name_for(id, pair),
        })
    }

    /// The conversation with the one of this nick that a user is a member of.
    pub(super) fn conversation_of(&self, id: ConnId, nick: &str) -> Option<RoomId> {
        let other = self.party_called(&Nick::parse(nick).ok()?)?.ok()?;
        let pair = Pair::new(self.party_of(id)?, other)?;
        let mut rooms = self.rooms_of(id);
        rooms.find(|room| self.pair_of(*room) == Some(pair))
    }

    /// The pair of a user and the one that it calls by this nick.
    ///
    /// # Errors
    /// No account has it, and no guest that is here, or it is the user's own.
    pub fn correspondents(&mut self, id: ConnId, nick: &str) -> Result<Pair, Refused> {
        let is_shared = self.registry.is_shared();
        let not_here = || {
            let nick = text::excerpt(nick);
            if is_shared {
                Refused::NotAtThisServer { nick }
            } else {
                Refused::NotHere { nick }
            }
        };
        let user = self.user(id).ok_or(Refused::NotAMember)?;
        let own = user.account.map(Party::Account);
        let known = Nick::parse(nick).ok();
        let other = match known.and_then(|nick| self.party_called(&nick)) {
            Some(Ok(party)) => party,
            Some(Err(guest)) if guest == id => return Err(Refused::Oneself),
            Some(Err(guest)) => self.directs.party(guest),
            None => return Err(not_here()),
        };
        let own = own.unwrap_or_else(|| self.directs.party(id));
        Pair::new(own, other).ok_or(Refused::Oneself)
    }

    // What is written

    /// Whether a user may write to the other of a pair.
    ///
    /// # Errors
    /// Why not.
    pub fn may_write(&self, id: ConnId, pair: Pair, now: Now) -> Result<(), Refused> {
        let own = self.party_of(id).ok_or(Refused::NotAMember)?;
        let other = pair.other(own).ok_or(Refused::NotAMember)?;
        let Some(name) = self.party_name(other) else {
            let nick = String::from("-");
            return Err(Refused::NotHere { nick });
        };
        // What a guest says stays at its server.
        if pair.accounts().is_none()
            && self.registry.is_shared()
            && self.connections_of_party(other).is_empty()
        {
            let nick = name.to_string();
            return Err(Refused::NotAtThisServer { nick });
        }
        if self.ignores(other, id) {
            let nick = name.clone();
            return Err(Refused::NotTaken { nick });
        }
        if let Some(mute) = self.muted_everywhere(id, now) {
            return Err(silenced(mute, now.wall));
        }
        Ok(())
    }

    /// Whether a member of a conversation may do something there: there is no order to be kept.
    ///
    /// # Errors
    /// Why not.
    pub(super) fn may_ask_in_pair(
        &self,
        id: ConnId,
        pair: Pair,
        command: Command<'_>,
        now: Now,
    ) -> Result<(), Refused> {
        match command {
            Command::Edit { .. } | Command::Typing => self.may_write(id, pair, now),
            Command::Delete { .. } | Command::Who(_) => Ok(()),
            _ => Err(Refused::NotAllowed),
        }
    }

    /// Asks for an entry with what a user says to the other of a pair, whose log has this id and
    /// gives this number next.
    pub fn write(
        &mut self,
        id: ConnId,
        (room, pair, next): (RoomId, Pair, Seq),
        (manner, words, reply_to): (Manner, &str, Option<Seq>),
        now: Now,
        effects: &mut Effects,
    ) {
        let judged = self.may_write(id, pair, now).and_then(|()| {
            let text = text::clean(words).ok_or(Refused::EmptyMessage)?;
            self.filtered(self.role_on_server(id), text)
        });
        let text = match judged {
            Ok(text) => text.into_owned(),
            Err(why) => return effects.push(refuse(id, why)),
        };
        let Some(nick) = self.nick_of(id).map(|nick| nick.as_smol_str().clone()) else {
            return;
        };
        self.note_conversation(id, (room, pair, next), now, effects);
        // The server knows by what the author is known.
        let content = Content::said(manner, text, reply_to, Author::Unknown);
        effects.push(Effect::Append {
            room,
            from: id,
            draft: Draft { nick, content },
        });
    }

    /// What a user asked to write has waited until now.
    ///
    /// # Errors
    /// It must not be said any more.
    pub fn may_still_write(
        &self,
        id: ConnId,
        pair: Pair,
        draft: &mut Draft,
        now: Now,
    ) -> Result<(), Refused> {
        self.may_write(id, pair, now)?;
        let nick = self.nick_of(id).ok_or(Refused::NotAMember)?;
        draft.nick.clone_from(nick.as_smol_str());
        Ok(())
    }

    // Members

    /// A user becomes a live member of a conversation, which the log has opened. The other sees
    /// nothing of it.
    ///
    /// # Errors
    /// The user is a member already, or none of the two, or the other is gone.
    pub fn join_conversation(
        &mut self,
        id: ConnId,
        (room, pair): (RoomId, Pair),
        effects: &mut Effects,
    ) -> Result<(), JoinRefused> {
        let user = self.user(id).ok_or(JoinRefused::NoUser)?;
        if user.memberships.get(room).is_some() {
            return Err(JoinRefused::IsMember);
        }
        let (dialect, account) = (user.dialect, user.account);
        let other = self.party_of(id).and_then(|own| pair.other(own));
        if other.and_then(|other| self.party_name(other)).is_none() {
            return Err(JoinRefused::NoSuchRoom);
        }
        self.make_place(id, effects);
        let is_double = account.is_some_and(|account| self.is_elsewhere(account, id, room));
        let entered = self.rooms.enter(room, &pair.name());
        if entered.members().is_empty() {
            self.directs.opened(pair.parties(), room);
        }
        self.epoch += 1;
        entered.direct = Some(pair);
        entered.spoken = self.epoch;
        let (position, moved): (u32, Moved) = entered.add(id);
        entered.speakers[usize::from(dialect)] += 1;
        entered.doubles += u32::from(is_double);
        if let Some(user) = self.user_mut(id) {
            user.memberships.add(Membership { room, position });
        }
        self.have_moved(room, moved);
        if !is_double && pair.accounts().is_some() {
            let nick = self.nick_of(id).cloned();
            nick.map(|nick| self.comes_here(room, &nick));
        }
        Ok(())
    }

    /// A member has left a conversation. Where it was the last of its account here, other servers
    /// are to know.
    pub(super) fn has_left_pair(&mut self, id: ConnId, room: RoomId, is_double: bool) {
        if !is_double && let Some(nick) = self.nick_of(id).cloned() {
            self.goes_from_here(room, &nick);
        }
    }

    /// The conversations that a user is a member of.
    fn conversations_of(&self, id: ConnId) -> impl Iterator<Item = RoomId> {
        let rooms = self.rooms_of(id);
        rooms.filter(|room| self.pair_of(*room).is_some())
    }

    /// How many rooms a user is in, conversations not counted.
    pub fn rooms_joined(&self, id: ConnId) -> usize {
        let all = self.rooms_of(id);
        all.filter(|room| self.pair_of(*room).is_none()).count()
    }

    /// Whether a user is in a room that is no conversation.
    pub fn is_in_a_room(&self, id: ConnId) -> bool {
        self.rooms_joined(id) > 0
    }

    /// Whether a user is in fewer conversations than it may be.
    pub fn has_place(&self, id: ConnId) -> bool {
        self.rooms_of(id).count() < DIRECTS_MAX || self.conversations_of(id).count() < DIRECTS_MAX
    }

    /// A user in as many conversations as it may be leaves the quietest.
    fn make_place(&mut self, id: ConnId, effects: &mut Effects) {
        if self.has_place(id) {
            return;
        }
        let spoken = |room: &RoomId| self.rooms.get(*room).map(|room| room.spoken);
        if let Some(quietest) = self.conversations_of(id).min_by_key(spoken) {
            self.leave_conversation(id, quietest, effects);
        }
    }

    /// Something was said in a conversation.
    pub(super) fn was_spoken(&mut self, room: RoomId) {
        if let Some(room) = self
            .rooms
            .get_mut(room)
            .filter(|room| room.direct.is_some())
        {
            self.epoch += 1;
            room.spoken = self.epoch;
        }
    }

    // How it ends

    /// A user is no member of a conversation any more, and is shown that.
    fn leave_conversation(&mut self, id: ConnId, room: RoomId, effects: &mut Effects) {
        let Some(pair) = self.pair_of(room) else {
            return;
        };
        let name = self.name_for(id, pair);
        let nick = Nick::parse(&name[1..]).ok();
        if self.remove(id, room, effects)
            && let Some(nick) = nick
        {
            let event = Event::Left {
                room: name,
                nick,
                word: String::new(),
            };
            effects.push(Effect::Ended {
                to: id,
                room,
                event,
            });
        }
    }

    /// The conversations of one of a pair end, for both: it is gone for good.
    fn end_party(&mut self, party: Party, effects: &mut Effects) {
        for room in self.directs.rooms_of(party) {
            self.end_conversation(room, effects);
        }
    }

    /// A guest is gone, or a guest no more. To be called while it still has its nick.
    pub(super) fn end_guest(&mut self, id: ConnId, effects: &mut Effects) {
        if let Some(party) = self.directs.known(id) {
            self.end_party(party, effects);
            self.directs.remove(id);
        }
        if !self.directs.ignored.is_empty() {
            self.directs.ignored.remove(&id);
        }
    }

    /// A conversation ends for its members, whichever server has ended it. To be called while both
    /// are known, or the members have left.
    pub fn end_conversation(&mut self, room: RoomId, effects: &mut Effects) {
        for id in self.members(room).to_vec() {
            self.leave_conversation(id, room, effects);
        }
    }

    /// An account is gone. To be called while it is known.
    pub(super) fn end_account(&mut self, account: AccountId, effects: &mut Effects) {
        self.end_party(Party::Account(account), effects);
    }

    /// A connection is logged in to its account no more. To be called while it is.
    pub(super) fn leave_conversations(&mut self, id: ConnId, effects: &mut Effects) {
        let rooms: Vec<RoomId> = self.conversations_of(id).collect();
        for room in rooms {
            self.leave_conversation(id, room, effects);
        }
    }

    /// A guest comes back and takes the place of an earlier connection, which is to end: what others
    /// say to it, they say to the newer one. To be called before the earlier one leaves.
    pub fn succeeds(&mut self, earlier: ConnId, id: ConnId, effects: &mut Effects) {
        let is_guest = |id| self.user(id).is_some_and(|user| user.account.is_none());
        if is_guest(earlier) && is_guest(id) {
            self.end_guest(id, effects);
            self.leave_conversations(earlier, effects);
            self.directs.succeed(earlier, id);
        }
    }

    /// A guest has another nick: the members of its conversations see that, and those that talk to
    /// it know the conversation by the new name from then on.
    pub(super) fn has_other_name(&self, id: ConnId, old: &Nick, new: &Nick, effects: &mut Effects) {
        let Some(party) = self.directs.known(id) else {
            return;
        };
        for room in self.directs.rooms_of(party) {
            for member in self.members(room) {
                let name = self.room_name_for(*member, room);
                let room = if *member == id {
                    name.unwrap_or_default()
                } else {
                    format_smolstr!("@{old}")
                };
                let (old, new) = (old.clone(), new.clone());
                effects.push(tell(*member, Event::Renamed { room, old, new }));
            }
        }
    }

    /// By what a guest that has talked to another alone can go on when it comes back.
    pub fn guest_number(&self, id: ConnId) -> Option<u32> {
        self.directs.number_of(id)
    }

    /// A guest that was gone comes back: its conversations go on, as far as they are in memory.
    pub fn returns(&mut self, id: ConnId, number: u32, effects: &mut Effects) {
        let is_guest = self.user(id).is_some_and(|user| user.account.is_none());
        if is_guest && self.directs.guest(number).is_none() {
            self.end_guest(id, effects);
            self.directs.give(id, number);
        }
    }

    /// Whether one of a pair is connected here, or known to be a member of their conversation at
    /// another server.
    fn is_there(&self, room: RoomId, party: Party) -> bool {
        !self.connections_of_party(party).is_empty() || self.is_at_another(room, party)
    }

    pub(super) fn is_at_another(&self, room: RoomId, party: Party) -> bool {
        let nick = self
            .party_name(party)
            .and_then(|name| Nick::parse(name).ok());
        nick.is_some_and(|nick| self.is_shown_elsewhere(room, &nick))
    }

    /// The nicks of the two that are there.
    pub(super) fn here_of(&self, room: RoomId, pair: Pair) -> Vec<Nick> {
        let is_here = |party: &Party| self.is_there(room, *party);
        let here = pair.parties().into_iter().filter(is_here);
        let names = here.filter_map(|party| self.party_name(party));
        let mut nicks: Vec<Nick> = names.filter_map(|name| Nick::parse(name).ok()).collect();
        nicks.sort_unstable();
        nicks
    }

    /// The other of the two, if it is there.
    pub fn other_here(&self, id: ConnId, room: RoomId, pair: Pair) -> Option<Nick> {
        let other = pair.other(self.party_of(id)?)?;
        let is_here = self.is_there(room, other);
        let name = self.party_name(other).filter(|_| is_here)?;
        Nick::parse(name).ok()
    }

    /// Panics if conversations and their members contradict each other. For tests.
    pub(super) fn check_directs(&self) {
        for id in self.directs.numbers() {
            let is_guest = self.user(id).is_some_and(|user| user.account.is_none());
            assert!(is_guest, "a number of a guest that is none");
        }
        self.check_ignored();
        let mut places = 0;
        for (room, pair) in self
            .rooms
            .iter()
            .filter_map(|(id, room)| Some((id, room.direct?)))
        {
            places += 2;
            assert_eq!(self.room_name(room), Some(&pair.name()));
            for party in pair.parties() {
                assert!(self.directs.rooms_of(party).contains(&room));
                assert!(self.party_name(party).is_some(), "a member talks to none");
            }
            for member in self.members(room) {
                let party = self.party_of(*member).and_then(|own| pair.side_of(own));
                assert!(party.is_some(), "a member of a conversation of others");
            }
        }
        assert_eq!(places, self.directs.len(), "conversations are listed");
    }
}
