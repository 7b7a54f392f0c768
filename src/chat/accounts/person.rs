//! How an account is one person to its rooms: the nick that all its connections have, which of them is
//! listed, and what the rooms see when one comes or goes. Knows no session and no change.

use crate::chat::online::CONNECTIONS_MAX;
use crate::chat::room::{Notice, Notices};
use crate::chat::{
    Chat, Effect, Effects, Event, Farewell, Nick, NickRefused, Refused, notice, tell,
};
use crate::id::{AccountId, ConnId, RoomId, Tick};

impl Chat {
    /// Gives a user its account and the account's nick, unless it has one. Guests that wear that nick
    /// lose it.
    pub fn enter_account(
        &mut self,
        id: ConnId,
        account: AccountId,
        now: Tick,
        effects: &mut Effects,
    ) {
        let name = self
            .registry
            .account(account)
            .map(|known| known.name.clone());
        let Some(nick) = name.and_then(|name| Nick::parse(&name).ok()) else {
            return;
        };
        if self.account_of(id).is_some() {
            return;
        }
        self.take_from_guests(&nick, Some(id), effects);
        self.end_guest(id, effects);
        let Some(user) = self.user_mut(id) else {
            return;
        };
        user.account = Some(account);
        let old = std::mem::replace(&mut user.nick, nick.clone());
        self.leave_names(&old, id);
        if self.online.of(account).is_empty() {
            self.enter_names(&nick, id);
        }
        self.online.add(account, id);
        self.is_one_person_more(id, &old, now, effects);
        if self.online.of(account).len() > CONNECTIONS_MAX {
            let oldest = self.online.of(account)[0];
            effects.push(Effect::Close {
                id: oldest,
                why: Farewell::Replaced,
            });
        }
    }

    /// The user is a guest with a made-up nick from here on.
    pub(super) fn leave_account(&mut self, id: ConnId, now: Tick, effects: &mut Effects) {
        self.leave_conversations(id, effects);
        let Some(account) = self.user_mut(id).and_then(|user| user.account.take()) else {
            return;
        };
        let rooms: Vec<RoomId> = self.rooms_of(id).collect();
        for room in &rooms {
            if self.is_elsewhere(account, id, *room) {
                self.will_count(*room);
                if let Some(room) = self.rooms.get_mut(*room) {
                    room.doubles -= 1;
                }
            }
        }
        self.leave_online(account, id);
        let nick = self.made_up_nick();
        let Some(user) = self.user_mut(id) else {
            return;
        };
        let old = std::mem::replace(&mut user.nick, nick.clone());
        self.enter_names(&nick, id);
        for room in rooms {
            if self.is_elsewhere(account, id, room) {
                self.announce_joined(id, room, now, effects);
                if self.is_operator(id) {
                    self.is_other_in(room, &old);
                }
            } else {
                self.announce_renamed(room, &old, &nick, effects);
            }
        }
    }

    /// A connection leaves the list of its account. The nick in the table of names becomes the next
    /// one's, or is free.
    pub(in crate::chat) fn leave_online(&mut self, account: AccountId, id: ConnId) {
        let had_names = self.online.of(account).first() == Some(&id);
        self.online.remove(account, id);
        let Some(nick) = self.nick_of(id).cloned().filter(|_| had_names) else {
            return;
        };
        self.leave_names(&nick, id);
        if let Some(next) = self.online.of(account).first().copied() {
            self.enter_names(&nick, next);
        }
    }

    /// The rooms of a user see that it is the account: as another nick, or, where another
    /// connection of the account is there, as a guest that is gone.
    fn is_one_person_more(&mut self, id: ConnId, old: &Nick, now: Tick, effects: &mut Effects) {
        let (Some(account), Some(nick)) = (self.account_of(id), self.nick_of(id).cloned()) else {
            return;
        };
        let rooms: Vec<RoomId> = self.rooms_of(id).collect();
        for room in rooms {
            if !self.is_elsewhere(account, id, room) {
                if *old == nick {
                    self.is_other_person(id);
                } else {
                    self.announce_renamed(room, old, &nick, effects);
                }
                continue;
            }
            self.will_count(room);
            if let Some(room) = self.rooms.get_mut(room) {
                room.doubles += 1;
            }
            self.is_other_by(id, room);
            self.announce_left(room, old, "", now, effects);
        }
    }

    /// Other users with this nick, or one that looks like it, are guests: they get a made-up one.
    pub(in crate::chat) fn take_from_guests(
        &mut self,
        nick: &Nick,
        owner: Option<ConnId>,
        effects: &mut Effects,
    ) {
        let guests: Vec<ConnId> = self
            .owners_of(nick)
            .filter(|wearer| Some(*wearer) != owner && self.account_of(*wearer).is_none())
            .collect();
        for guest in guests {
            let kept = self.made_up_nick();
            let Some(user) = self.user_mut(guest) else {
                continue;
            };
            let old = std::mem::replace(&mut user.nick, kept.clone());
            self.leave_names(&old, guest);
            self.enter_names(&kept, guest);
            let rooms: Vec<RoomId> = self.rooms_of(guest).collect();
            for room in rooms {
                self.announce_renamed(room, &old, &kept, effects);
            }
            self.has_other_name(guest, &old, &kept, effects);
            let event = Event::Refused(Refused::Nick {
                wanted: old.as_str().to_owned(),
                why: NickRefused::Reserved,
                kept,
            });
            effects.push(tell(guest, event));
        }
    }

    /// Whether another connection of the account than this one is in the room.
    pub(in crate::chat) fn is_elsewhere(
        &self,
        account: AccountId,
        id: ConnId,
        room: RoomId,
    ) -> bool {
        let mut others = self.online.of(account).iter();
        others.any(|other| *other != id && self.is_member(*other, room))
    }

    /// Whether a member is the one by which its account is listed in the room: guests always are.
    pub(in crate::chat) fn is_listed(&self, id: ConnId, room: RoomId) -> bool {
        let Some(account) = self.account_of(id) else {
            return true;
        };
        let mut connections = self.online.of(account).iter();
        connections.find(|one| self.is_member(**one, room)) == Some(&id)
    }

    /// All connections of the user of this one.
    pub(in crate::chat) fn connections_of(&self, id: ConnId) -> Vec<ConnId> {
        match self.account_of(id) {
            Some(account) => self.online.of(account).to_vec(),
            None => vec![id],
        }
    }

    /// The members of a room see another nick; those of a conversation, by
    /// [`Chat::has_other_name`].
    pub(in crate::chat) fn announce_renamed(
        &mut self,
        room: RoomId,
        old: &Nick,
        new: &Nick,
        effects: &mut Effects,
    ) {
        let is_room = self.pair_of(room).is_none();
        if is_room && !self.renamed_here(room, (old, new), effects) {
            self.show_renamed(room, old, new, effects);
        }
    }

    /// The same of a member that need not be here.
    pub(in crate::chat) fn show_renamed(
        &self,
        room: RoomId,
        old: &Nick,
        new: &Nick,
        effects: &mut Effects,
    ) {
        if let Some(name) = self
            .room_name(room)
            .filter(|_| self.pair_of(room).is_none())
        {
            let event = Event::Renamed {
                room: name.clone(),
                old: old.clone(),
                new: new.clone(),
            };
            effects.push(notice(room, event));
        }
    }

    /// The others in a room see that a user left it, by itself or in a sum.
    pub(in crate::chat) fn announce_left(
        &mut self,
        room: RoomId,
        nick: &Nick,
        word: &str,
        now: Tick,
        effects: &mut Effects,
    ) {
        let is_room = self.pair_of(room).is_none();
        if is_room && !self.goes_from_here(room, nick) {
            self.show_left(room, nick, word, now, effects);
        }
    }

    /// The same of a member that need not be here.
    pub(in crate::chat) fn show_left(
        &mut self,
        room: RoomId,
        nick: &Nick,
        word: &str,
        now: Tick,
        effects: &mut Effects,
    ) {
        let notices = self.notices_in(room);
        let Some(left) = self.rooms.get_mut(room) else {
            return;
        };
        match left.member_left(now, &notices) {
            Notice::Single => {
                let event = Event::Left {
                    room: left.name.clone(),
                    nick: nick.clone(),
                    word: word.to_owned(),
                };
                effects.push(notice(room, event));
            }
            Notice::Summed => self.will_sum_up(room),
        }
    }

    /// The others in a room see that a user joined it, by itself or in a sum.
    pub(in crate::chat) fn announce_joined(
        &mut self,
        id: ConnId,
        room: RoomId,
        now: Tick,
        effects: &mut Effects,
    ) {
        let Some(user) = self.user(id) else {
            return;
        };
        let (nick, has_account) = (user.nick.clone(), user.account.is_some());
        let is_room = self.pair_of(room).is_none();
        if is_room && !self.comes_here(room, &nick) {
            self.show_joined(room, (nick, has_account), Some(id), now, effects);
        }
    }

    /// The same of a member that need not be here.
    pub(in crate::chat) fn show_joined(
        &mut self,
        room: RoomId,
        (nick, has_account): (Nick, bool),
        except: Option<ConnId>,
        now: Tick,
        effects: &mut Effects,
    ) {
        let notices = self.notices_in(room);
        let Some(joined) = self.rooms.get_mut(room) else {
            return;
        };
        match joined.member_joined(now, &notices) {
            Notice::Single => effects.push(Effect::Notice {
                room,
                event: Event::Joined {
                    room: joined.name.clone(),
                    nick,
                    has_account,
                },
                except,
            }),
            Notice::Summed => self.will_sum_up(room),
        }
    }

    /// When joins and leaves of a room are summed up: its members at other servers count.
    fn notices_in(&self, room: RoomId) -> Notices {
        let members_max = self.notices.members_max;
        Notices {
            members_max: members_max.saturating_sub(self.count_elsewhere(room)),
            ..self.notices
        }
    }

    /// Panics if accounts and users contradict each other: a reserved nick is worn by its owner
    /// alone. For tests.
    pub(in crate::chat) fn check_accounts(&self) {
        for (account, connections) in self.online.iter() {
            assert!(!connections.is_empty(), "an account without a connection");
            for id in connections {
                assert_eq!(
                    self.account_of(*id),
                    Some(account),
                    "a connection of another"
                );
            }
        }
        let listed: usize = self.online.iter().map(|(_, all)| all.len()).sum();
        let users = self.users.iter().flatten();
        let with_account = users.filter(|user| user.account.is_some());
        assert_eq!(
            with_account.count(),
            listed,
            "connections of accounts are listed"
        );
        for user in self.users.iter().flatten() {
            let reserved = self.registry.account_of_nick(&user.nick);
            assert_eq!(reserved, user.account, "{} is worn by another", user.nick);
        }
    }
}
