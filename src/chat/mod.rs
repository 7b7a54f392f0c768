//! The chat: users, rooms, nicks, rules. Commands in, effects out.
//!
//! Knows no socket, no clock, no bytes and no encoding: `now` is an argument, and what must be
//! done is returned as [`Effect`]s, which the server carries out, in order, before the next
//! command. A user is identified by the id of the connection.
//!
//! The chat does not order what is kept of a room. [`Chat::handle`] asks for an entry
//! ([`Effect::Append`]), and what an entry changes is changed by [`Chat::ordered`], once the entry
//! has its number. A room is identified by the id that its log has.

mod accounts;
mod amend;
mod author;
mod carry;
mod claimed;
mod command;
mod direct;
mod elsewhere;
mod entry;
mod event;
mod filter;
mod hosts;
mod lists;
mod moderation;
mod names;
mod naming;
pub mod nick;
mod online;
mod presence;
pub mod registry;
mod role;
mod room;
mod rooms;
mod set;
mod settings;
mod speech;
mod text;
mod user;

pub use accounts::{NewSession, SESSION_MS, SESSIONS_MAX};
pub use amend::Claim;
pub use author::{Author, Identity};
pub use claimed::NameMoves;
pub use command::{Command, Now, Order, Page, Part, Reach, RoomChange, Whom};
pub use direct::{DIRECTS_MAX, Pair, Party};
pub use elsewhere::{Came, Counts, MOVES_MAX, Moves, RoomsSighting, Sighting, Standing};
pub use entry::{Act, Content, Draft, Entry, Form, Manner};
pub use event::{
    AccountReport, BanNotice, Effect, Event, Farewell, JoinRefused, Listed, Recent, Refused,
};
pub use filter::{BadList, Filter, Filtering};
pub use moderation::{Maker, NotMade, PURGE_SECONDS_MAX, Report, Writer};
pub use nick::{Nick, NickRefused, RoomName};
pub use online::CONNECTIONS_MAX;
pub use role::{Action, Role, may};
pub use settings::{AccountPolicy, Operator, RoomPolicy, Settings};

use crate::chance::Chance;
use crate::id::{ConnId, Millis, RoomId, Seq, Tick, ticks};
use crate::rate::Rate;
use direct::Directs;
use elsewhere::Elsewhere;
use hosts::Hosts;
use names::Names;
use online::Online;
use registry::{Registry, Snapshot};
use room::{Notices, Room};
use rooms::Rooms;
use smol_str::SmolStr;
use std::collections::BTreeSet;
use user::User;

/// Members that a welcome names; the rest is a number.
pub const PRESENT_MAX: usize = 20;
/// Members that the answer to `/who` names.
pub const WHO_MAX: usize = 200;
/// Rooms that the answer to `/rooms` names.
pub const ROOMS_MAX: usize = 50;

/// Members that must have left before their memory is worth giving back: fewer hold some kilobytes.
const DEPARTED_MIN: usize = 256;

/// In how many forms clients are shown what happens. Which form is which is the caller's matter: the
/// chat counts how many members of a room are to be shown each.
pub const DIALECTS: usize = 2;

/// What must be done, in order.
pub type Effects = Vec<Effect>;

/// All users and rooms.
pub struct Chat {
    /// By the slot of the connection.
    users: Vec<Option<User>>,
    user_count: usize,
    /// The newest epoch of a room.
    epoch: u64,
    /// Users that have left since [`Chat::shrink`].
    departed: usize,
    names: Names,
    registry: Registry,
    online: Online,
    directs: Directs,
    accounts_max: usize,
    rooms: Rooms,
    /// Rooms whose joins and leaves wait to be summed up.
    summing: Vec<RoomId>,
    rooms_per_user: usize,
    /// The most that it was before, of which users may still be in as many.
    most_rooms_per_user: usize,
    room_policy: RoomPolicy,
    listed_rooms: BTreeSet<SmolStr>,
    message_rate: Rate,
    notices: Notices,
    operators: Vec<Operator>,
    filter: Option<Filter>,
    filtering: Filtering,
    /// When something was last done to keep order.
    last_act: Millis,
    /// For how long members may change what they said.
    edit_window_millis: u64,
    chance: Chance,
    hosts: Hosts,
    /// Names among which a made-up nick is chosen.
    made_up_names: u64,
    /// `None`: no other server shares the chat.
    name_moves: Option<Box<NameMoves>>,
    /// Members at other servers; `None`: none share the rooms.
    elsewhere: Option<Box<Elsewhere>>,
}

impl Chat {
    /// A chat without users. `seed` decides made-up nicks and the keys of the hash table.
    pub fn new(settings: &Settings, seed: u64) -> Self {
        Self {
            users: Vec::new(),
            user_count: 0,
            epoch: 0,
            departed: 0,
            names: Names::new(seed),
            registry: Registry::default(),
            online: Online::default(),
            directs: Directs::default(),
            accounts_max: settings.accounts_max,
            rooms: Rooms::default(),
            summing: Vec::new(),
            rooms_per_user: settings.rooms_per_connection,
            most_rooms_per_user: 0,
            room_policy: settings.rooms,
            listed_rooms: names(&settings.listed_rooms),
            message_rate: Rate::new(settings.message_rate, settings.message_burst),
            notices: Notices {
                members_max: settings.notice_members,
                interval: ticks(settings.notice_interval),
            },
            operators: settings.all_operators(),
            filter: settings.filter.clone(),
            filtering: settings.filtering,
            last_act: Millis::default(),
            edit_window_millis: settings.edit_window_millis(),
            chance: Chance::new(seed, "nicks"),
            hosts: Hosts::default(),
            made_up_names: naming::MADE_UP_NAMES,
            name_moves: None,
            elsewhere: None,
        }
    }

    /// Takes what a store has of the registry. To be called before the first user.
    pub fn restore(&mut self, kept: Snapshot) {
        self.registry = Registry::restore(kept);
        self.last_act = self.registry.last_act();
    }

    /// What outlives users and is no entry of a room.
    pub const fn registry(&self) -> &Registry {
        &self.registry
    }

    /// Does what a user asks, or refuses it with the reason. `room` is the one that the command is
    /// about; without it the user's only room. Without effect if the id is no user's (any more).
    /// False: the command was over the user's rate and is dropped.
    pub fn handle(
        &mut self,
        id: ConnId,
        room: Option<&str>,
        command: Command<'_>,
        now: impl Into<Now>,
        effects: &mut Effects,
    ) -> bool {
        let now = now.into();
        if !self.is_user(id) {
            return true;
        }
        if !matches!(command, Command::Quit(_)) && !self.is_within_rate(id, now.tick, effects) {
            return false;
        }
        self.handle_again(id, room, command, now, effects);
        true
    }

    /// The same for what a user has asked for before, within its rate.
    pub fn handle_again(
        &mut self,
        id: ConnId,
        room: Option<&str>,
        command: Command<'_>,
        now: Now,
        effects: &mut Effects,
    ) {
        if self.handle_on_server(id, command, now, effects) {
            return;
        }
        match command {
            Command::Say { .. }
            | Command::Edit { .. }
            | Command::Delete { .. }
            | Command::Typing
            | Command::Who(_)
            | Command::Purge { .. }
            | Command::Report { .. }
            | Command::Kick { .. }
            | Command::Topic(_)
            | Command::Sanction(_)
            | Command::Lift { .. }
            | Command::Sanctions { .. }
            | Command::Role { .. }
            | Command::Room { .. }
            | Command::CloseRoom { .. }
            | Command::Audit { .. } => match self.room_of(id, room) {
                Some(room) => self.handle_in(id, room, command, now, effects),
                None => effects.push(refuse(id, Refused::NotAMember)),
            },
            Command::TooLong => effects.push(refuse(id, Refused::TooLong)),
            Command::Nick(wanted) => self.rename(id, wanted, now, effects),
            Command::Rooms(page) => self.list_rooms(id, page, effects),
            Command::Ignore { nick } => self.ignore(id, nick, now, effects),
            Command::Unignore { nick } => self.unignore(id, nick, now, effects),
            Command::Ignored => self.list_ignored(id, effects),
            Command::Conversations => self.list_conversations(id, effects),
            Command::Help => effects.push(reply(id, Event::Help)),
            Command::HelpOn { command } => effects.push(reply(id, Event::HelpOn { command })),
            Command::Quit(word) => {
                let word = self.last_word(id, word, now);
                self.depart(id, &word, now.tick, effects);
                effects.push(Effect::Close {
                    id,
                    why: Farewell::Quit,
                });
            }
            Command::Op { token } => self.make_operator(id, token, effects),
            Command::OpTooOften => effects.push(refuse(id, Refused::TooManyTokens)),
            Command::Unknown { name } => {
                let name = text::excerpt(name);
                effects.push(refuse(id, Refused::UnknownCommand { name }));
            }
            Command::Incomplete { usage } => {
                effects.push(refuse(id, Refused::Incomplete { usage }));
            }
        }
    }

    /// Does what a user asks about the whole server. False: that is about something else.
    fn handle_on_server(
        &mut self,
        id: ConnId,
        command: Command<'_>,
        now: Now,
        effects: &mut Effects,
    ) -> bool {
        match command {
            Command::Sanction(order) if order.reach == Reach::Server => {
                self.sanction(id, None, &order, now, effects);
            }
            Command::Lift {
                kind,
                reach: Reach::Server,
                whom,
            } => self.lift(id, None, (kind, Reach::Server, whom), now, effects),
            Command::Sanctions {
                reach: Reach::Server,
                part,
            } => self.list_sanctions(id, None, part, now, effects),
            Command::Role {
                reach: Reach::Server,
                account,
                role,
            } => self.give_role(id, None, (account, role), now, effects),
            Command::Audit {
                reach: Reach::Server,
                before,
                limit,
            } => self.read_audit(id, None, (before, limit), effects),
            _ => return false,
        }
        true
    }

    /// Does what a member asks in a room.
    fn handle_in(
        &mut self,
        id: ConnId,
        room: RoomId,
        command: Command<'_>,
        now: Now,
        effects: &mut Effects,
    ) {
        if let Some(pair) = self.pair_of(room) {
            match self.may_ask_in_pair(id, pair, command, now) {
                Ok(()) => {}
                Err(_) if command == Command::Typing => return,
                Err(why) => return effects.push(refuse(id, why)),
            }
        }
        match command {
            Command::Say {
                manner,
                text,
                reply_to,
            } => self.speak(id, room, (manner, text, reply_to), now, effects),
            Command::Edit { of, text } => self.edit(id, room, (of, text), now, effects),
            Command::Delete { of } => self.delete(id, room, of, effects),
            Command::Typing => self.typing(id, room, now, effects),
            Command::Who(page) => self.who(id, room, page, effects),
            Command::Kick { nick, reason } => self.kick(id, room, (nick, reason), now, effects),
            Command::Purge { nick, seconds } => self.purge(id, room, (nick, seconds), effects),
            Command::Report { of, reason } => Self::report(id, room, (of, reason), effects),
            Command::Topic(topic) => self.set_topic(id, room, topic, now, effects),
            Command::Sanction(order) => self.sanction(id, Some(room), &order, now, effects),
            Command::Lift { kind, reach, whom } => {
                self.lift(id, Some(room), (kind, reach, whom), now, effects);
            }
            Command::Role { account, role, .. } => {
                self.give_role(id, Some(room), (account, role), now, effects);
            }
            Command::Room { change, password } => {
                self.change_room(id, room, (change, password), now, effects);
            }
            Command::CloseRoom { reason } => self.close_room(id, room, reason, now, effects),
            Command::Audit { before, limit, .. } => {
                self.read_audit(id, Some(room), (before, limit), effects);
            }
            Command::Sanctions { part, .. } => {
                self.list_sanctions(id, Some(room), part, now, effects);
            }
            _ => {}
        }
    }

    /// Reports the sums of joins and leaves that are due.
    pub fn tick(&mut self, now: Tick, effects: &mut Effects) {
        let (rooms, notices) = (&mut self.rooms, &self.notices);
        self.summing.retain(|id| {
            let Some(room) = rooms.get_mut(*id) else {
                return false;
            };
            room.is_summing = room.sum_due().is_some_and(|due| now < due);
            if !room.is_summing {
                let (joined, left) = room.take_sum(now, notices);
                let event = Event::Summed {
                    room: room.name.clone(),
                    joined,
                    left,
                };
                effects.push(notice(*id, event));
            }
            room.is_summing
        });
    }

    /// When [`Chat::tick`] has something to do; `None`: not before the next command.
    pub fn next_tick(&self) -> Option<Tick> {
        let due = |id: &RoomId| self.rooms.get(*id).and_then(Room::sum_due);
        self.summing.iter().filter_map(due).min()
    }

    /// The nick of a user, or the name of a host.
    pub fn nick_of(&self, id: ConnId) -> Option<&Nick> {
        let nick = self.user(id).map(|user| &user.nick);
        nick.or_else(|| self.hosts.name(id))
    }

    pub const fn user_count(&self) -> usize {
        self.user_count
    }

    /// The rooms that have members.
    pub const fn room_count(&self) -> usize {
        self.rooms.len()
    }

    /// The name of a room; `None` if it has no members.
    pub fn room_name(&self, room: RoomId) -> Option<&SmolStr> {
        let name = self.rooms.get(room).map(|room| &room.name);
        name.or_else(|| self.hosts.room_name(room))
    }

    /// Whether [`Chat::shrink`] is worth its work: more users have left since the last time than
    /// are here, and not only a few.
    pub fn has_slack(&self) -> bool {
        self.departed > self.user_count.max(DEPARTED_MIN)
    }

    /// Gives back the memory of users and rooms that are gone, as far as it lies behind what is
    /// there: slots keep their numbers. Where the last of a crowd stay in high slots, the tables
    /// remain as long as the crowd was. To be called now and then after a crowd.
    pub fn shrink(&mut self) {
        self.departed = 0;
        let end = self.users.iter().rposition(Option::is_some);
        self.users.truncate(end.map_or(0, |last| last + 1));
        self.users.shrink_to_fit();
        self.rooms.shrink();
        self.summing.shrink_to_fit();
    }

    fn user(&self, id: ConnId) -> Option<&User> {
        let user = self.users.get(id.slot() as usize)?.as_ref()?;
        (user.generation == id.generation()).then_some(user)
    }

    fn user_mut(&mut self, id: ConnId) -> Option<&mut User> {
        let user = self.users.get_mut(id.slot() as usize)?.as_mut()?;
        (user.generation == id.generation()).then_some(user)
    }

    /// Whether a user's next request is within the rate. Above it the user is asked to slow down,
    /// once until a request has passed again.
    pub fn is_within_rate(&mut self, id: ConnId, now: Tick, effects: &mut Effects) -> bool {
        let rate = self.message_rate;
        let Some(user) = self.user_mut(id) else {
            return false;
        };
        if user.messages.take(rate, now) {
            user.was_told = false;
            return true;
        }
        if !std::mem::replace(&mut user.was_told, true) {
            let messages_per_second = rate.per_second();
            effects.push(refuse(
                id,
                Refused::TooFast {
                    messages_per_second,
                },
            ));
        }
        false
    }

    /// Whether the user may do what operators may.
    pub fn is_operator(&self, id: ConnId) -> bool {
        self.user(id).is_some_and(|user| user.operator != 0)
    }

    /// Panics if users, rooms and names contradict each other. For tests.
    pub fn check_invariants(&self) {
        let users = || {
            let slots = self.users.iter().zip(0..);
            slots.filter_map(|(user, slot)| user.as_ref().map(|user| (user.id(slot), user)))
        };
        assert_eq!(users().count(), self.user_count, "users are counted");
        // Of an account, the first connection has the keys.
        let bearer = |id: ConnId, user: &User| match user.account {
            Some(account) => self.online.of(account).first().copied(),
            None => Some(id),
        };
        let bearers = users().filter(|(id, user)| bearer(*id, user) == Some(*id));
        assert_eq!(
            self.names.len(),
            bearers.map(|(_, u)| u.nick.keys().count()).sum::<usize>(),
            "every user has the keys of their nick"
        );
        self.check_accounts();
        self.check_directs();
        self.check_elsewhere();
        let mut memberships = 0;
        for (id, user) in users() {
            for key in user.nick.keys() {
                assert_eq!(self.owner_of(&key), bearer(id, user), "name");
            }
            let own = user.memberships.as_slice();
            let rooms = self.rooms_joined(id);
            let rooms_max = self.rooms_per_user.max(self.most_rooms_per_user);
            assert!(rooms <= rooms_max, "more rooms than allowed");
            assert!(own.len() - rooms <= DIRECTS_MAX, "too many conversations");
            memberships += own.len();
            for (index, membership) in own.iter().enumerate() {
                let twice = own[..index].iter().any(|one| one.room == membership.room);
                assert!(!twice, "a user is in a room twice");
                let room = self.rooms.get(membership.room);
                let room = room.expect("a user's room is there");
                let there = room.members().get(membership.position as usize);
                assert_eq!(there, Some(&id), "position");
            }
        }
        let in_rooms: usize = self.rooms.iter().map(|(_, r)| r.members().len()).sum();
        assert_eq!(in_rooms, memberships, "every member is a user");
        assert_eq!(
            self.rooms.iter().count(),
            self.rooms.len(),
            "rooms are counted"
        );
        for (id, room) in self.rooms.iter() {
            assert!(!room.members().is_empty(), "no room is empty");
            assert!(room.live().len() <= room.members().len(), "live members");
            assert!(room.epoch <= self.epoch, "epochs come from one counter");
            let mut speakers = [0; DIALECTS];
            for member in room.members() {
                let user = self.user(*member).expect("a member is a user");
                speakers[usize::from(user.dialect)] += 1;
            }
            assert_eq!(room.speakers, speakers, "speakers are counted");
            let doubles = room
                .members()
                .iter()
                .filter(|one| !self.is_listed(**one, id));
            assert_eq!(
                doubles.count(),
                room.doubles as usize,
                "doubles are counted"
            );
            let is_listed = self.summing.contains(&id);
            assert_eq!(is_listed, room.is_summing, "rooms that sum up are listed");
            assert_eq!(
                is_listed,
                room.sum_due().is_some(),
                "a sum that will not be reported"
            );
        }
    }
}

fn names(rooms: &[RoomName]) -> BTreeSet<SmolStr> {
    let names = rooms.iter().cloned();
    names.map(RoomName::into_smol_str).collect()
}

/// What comes unasked.
const fn tell(to: ConnId, event: Event) -> Effect {
    Effect::Tell { to, event }
}

/// The answer to the command that is being handled.
const fn reply(to: ConnId, event: Event) -> Effect {
    Effect::Reply { to, event }
}

const fn refuse(to: ConnId, why: Refused) -> Effect {
    reply(to, Event::Refused(why))
}

/// What all members of a room see.
const fn notice(room: RoomId, event: Event) -> Effect {
    Effect::Notice {
        room,
        event,
        except: None,
    }
}

#[cfg(test)]
mod tests;
