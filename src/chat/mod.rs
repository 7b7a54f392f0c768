//! The chat: rooms, members, nicks, rules. Commands in, effects out.
//!
//! Knows no socket, no clock, no bytes and no encoding: `now` is an argument, and what must be
//! done is returned as [`Effect`]s, which the server carries out, in order, before the next
//! command. A member is identified by the id of their connection.

mod command;
mod entry;
mod event;
mod names;
pub mod nick;
mod room;
mod settings;
mod text;

pub use command::Command;
pub use entry::{Content, Draft, Entry, Manner};
pub use event::{Effect, Event, Farewell, Refused};
pub use nick::{Nick, NickRefused, RoomName};
pub use settings::Settings;

use crate::chance::Chance;
use crate::id::{ConnId, RoomId, Tick, ticks};
use crate::rate::{Bucket, Rate};
use names::Names;
use room::{Notice, Notices, Room};
use slab::Slab;
use smol_str::SmolStr;
use std::collections::HashMap;
use subtle::ConstantTimeEq;

/// Members that a welcome names; the rest is a number.
pub const PRESENT_MAX: usize = 20;
/// Members that the answer to `/who` names.
pub const WHO_MAX: usize = 200;
/// Rooms that the answer to `/rooms` names.
pub const ROOMS_MAX: usize = 50;

/// Members that must have left before their memory is worth giving back: fewer hold some kilobytes.
const DEPARTED_MIN: usize = 256;

/// What must be done, in order.
pub type Effects = Vec<Effect>;

/// All rooms and their members.
pub struct Chat {
    /// By the slot of the connection.
    members: Vec<Option<Member>>,
    member_count: usize,
    /// Counts every join and every leave.
    epoch: u64,
    /// Members that left since [`Chat::shrink`].
    departed: usize,
    names: Names,
    rooms: Slab<Room>,
    room_names: HashMap<SmolStr, RoomId>,
    /// Rooms whose joins and leaves wait to be summed up.
    summing: Vec<RoomId>,
    message_rate: Rate,
    notices: Notices,
    operator_token: Option<String>,
    chance: Chance,
}

/// The user of a connection, in a room.
struct Member {
    nick: Nick,
    id: ConnId,
    room: RoomId,
    /// The index into the room's list of members.
    position: u32,
    messages: Bucket,
    is_operator: bool,
    /// The member was asked to slow down, and nothing of theirs has passed since.
    was_told: bool,
}

impl Chat {
    /// A chat without rooms. `seed` decides made-up nicks and the keys of the hash table.
    pub fn new(settings: &Settings, seed: u64) -> Self {
        Self {
            members: Vec::new(),
            member_count: 0,
            epoch: 0,
            departed: 0,
            names: Names::new(seed),
            rooms: Slab::new(),
            room_names: HashMap::new(),
            summing: Vec::new(),
            message_rate: Rate::new(settings.message_rate, settings.message_burst),
            notices: Notices {
                members_max: settings.notice_members,
                interval: ticks(settings.notice_interval),
            },
            operator_token: settings.operator_token.clone(),
            chance: Chance::new(seed, "nicks"),
        }
    }

    /// A new member enters a room, which is created if it does not exist. The member sees a
    /// welcome, then why the nick is not the `wanted` one; the others see that the member joined.
    pub fn join(
        &mut self,
        id: ConnId,
        room: RoomName,
        wanted: Option<&str>,
        now: Tick,
        effects: &mut Effects,
    ) {
        let (nick, refused) = self.first_nick(wanted);
        let room = self.room_named(room);
        let (present, more) = self.names_in(room, PRESENT_MAX);
        let name = self.rooms[room.slot() as usize].name.clone();
        effects.push(tell(
            id,
            Event::Welcome {
                room: name,
                nick: nick.clone(),
                present,
                more,
            },
        ));
        if let Some((wanted, why)) = refused {
            let kept = nick.clone();
            effects.push(tell(
                id,
                Event::Refused(Refused::Nick { wanted, why, kept }),
            ));
        }
        let position = self.rooms[room.slot() as usize].add(id);
        self.enter_names(&nick, id);
        let messages = Bucket::full(self.message_rate, now);
        let event = Event::Joined { nick: nick.clone() };
        self.put(Member {
            nick,
            id,
            room,
            position,
            messages,
            is_operator: false,
            was_told: false,
        });
        match self.rooms[room.slot() as usize].member_joined(now, &self.notices) {
            Notice::Single => effects.push(Effect::TellOthers {
                room,
                except: id,
                event,
            }),
            Notice::Summed => self.will_sum_up(room),
        }
    }

    /// The connection of a member ended. Without effect if the id is no member's (any more).
    pub fn leave(&mut self, id: ConnId, now: Tick, effects: &mut Effects) {
        self.depart(id, String::new(), now, effects);
    }

    /// Does what a member asks, or refuses it to them with the reason. Without effect if the id is
    /// no member's (any more). False: the command was over the member's rate and is dropped.
    pub fn handle(
        &mut self,
        id: ConnId,
        command: Command<'_>,
        now: Tick,
        effects: &mut Effects,
    ) -> bool {
        if !self.is_member(id) {
            return true;
        }
        if !self.may_go_on(id, command, now, effects) {
            return false;
        }
        match command {
            Command::Say(words) => self.say(id, words, effects),
            Command::Act(words) => self.act(id, words, effects),
            Command::TooLong => effects.push(refuse(id, Refused::TooLong)),
            Command::Nick(wanted) => self.rename(id, wanted, effects),
            Command::Who => self.who(id, effects),
            Command::Rooms => self.list_rooms(id, effects),
            Command::Help => effects.push(tell(id, Event::Help)),
            Command::Quit(word) => {
                self.depart(id, text::remark(word), now, effects);
                effects.push(Effect::Close {
                    id,
                    why: Farewell::Quit,
                });
            }
            Command::Op { token } => self.make_operator(id, token, effects),
            Command::OpTooOften => effects.push(refuse(id, Refused::TooManyTokens)),
            Command::Kick { nick, reason } => self.kick(id, nick, reason, effects),
            Command::Unknown { name } => {
                let name = text::excerpt(name);
                effects.push(refuse(id, Refused::UnknownCommand { name }));
            }
            Command::Incomplete { usage } => {
                effects.push(refuse(id, Refused::Incomplete { usage }));
            }
        }
        true
    }

    /// Reports the sums of joins and leaves that are due.
    pub fn tick(&mut self, now: Tick, effects: &mut Effects) {
        let (rooms, notices) = (&mut self.rooms, &self.notices);
        self.summing.retain(|id| {
            let Some(room) = rooms.get_mut(id.slot() as usize) else {
                return false;
            };
            room.is_summing = room.sum_due().is_some_and(|due| now < due);
            if !room.is_summing {
                let (joined, left) = room.take_sum(now, notices);
                effects.push(Effect::TellRoom {
                    room: *id,
                    event: Event::Summed { joined, left },
                });
            }
            room.is_summing
        });
    }

    /// When [`Chat::tick`] has something to do; `None`: not before the next command.
    pub fn next_tick(&self) -> Option<Tick> {
        let due = |id: &RoomId| self.rooms.get(id.slot() as usize).and_then(Room::sum_due);
        self.summing.iter().filter_map(due).min()
    }

    /// The members of a room; none if it does not exist any more.
    pub fn members(&self, room: RoomId) -> &[ConnId] {
        self.rooms
            .get(room.slot() as usize)
            .map_or(&[], |room| &room.members)
    }

    pub fn is_member(&self, id: ConnId) -> bool {
        self.member(id).is_some()
    }

    pub fn nick_of(&self, id: ConnId) -> Option<&Nick> {
        self.member(id).map(|member| &member.nick)
    }

    /// Changes whenever a member joins or leaves: while it is the same, every room has the same
    /// members.
    pub const fn epoch(&self) -> u64 {
        self.epoch
    }

    pub fn member_count(&self) -> usize {
        self.member_count
    }

    pub fn room_count(&self) -> usize {
        self.rooms.len()
    }

    /// Whether [`Chat::shrink`] is worth its work: more members have left since the last time than
    /// are here, and not only a few.
    pub fn has_slack(&self) -> bool {
        self.departed > self.member_count.max(DEPARTED_MIN)
    }

    /// Gives back the memory of members and rooms that are gone, as far as it lies behind what is
    /// there: slots and rooms keep their numbers. Where the last of a crowd stay in high slots, the
    /// tables remain as long as the crowd was. To be called now and then after a crowd, for it
    /// walks over all rooms.
    pub fn shrink(&mut self) {
        self.departed = 0;
        let end = self.members.iter().rposition(Option::is_some);
        self.members.truncate(end.map_or(0, |last| last + 1));
        self.members.shrink_to_fit();
        self.rooms.shrink_to_fit();
        self.room_names.shrink_to_fit();
        self.summing.shrink_to_fit();
    }

    // Members

    fn member(&self, id: ConnId) -> Option<&Member> {
        self.members
            .get(id.slot() as usize)?
            .as_ref()
            .filter(|member| member.id == id)
    }

    fn member_mut(&mut self, id: ConnId) -> Option<&mut Member> {
        self.members
            .get_mut(id.slot() as usize)?
            .as_mut()
            .filter(|member| member.id == id)
    }

    fn put(&mut self, member: Member) {
        let slot = member.id.slot() as usize;
        if slot >= self.members.len() {
            self.members.resize_with(slot + 1, || None);
        }
        self.members[slot] = Some(member);
        self.member_count += 1;
        self.epoch += 1;
    }

    /// Removes a member from every table, and the room with its last member.
    fn remove(&mut self, id: ConnId) -> Option<Member> {
        self.member(id)?;
        let member = self.members.get_mut(id.slot() as usize)?.take()?;
        self.member_count -= 1;
        self.epoch += 1;
        self.departed = self.departed.saturating_add(1);
        if self.member_count == 0 {
            self.members = Vec::new();
        }
        self.leave_names(&member.nick, id);
        let room = &mut self.rooms[member.room.slot() as usize];
        if let Some(moved) = room.remove(member.position)
            && let Some(moved) = self.member_mut(moved)
        {
            moved.position = member.position;
        }
        if self.rooms[member.room.slot() as usize].members.is_empty() {
            let room = self.rooms.remove(member.room.slot() as usize);
            self.room_names.remove(&room.name);
            if room.is_summing {
                self.summing.retain(|id| *id != member.room);
            }
        }
        Some(member)
    }

    /// Removes a member, and reports it to the room.
    fn depart(&mut self, id: ConnId, word: String, now: Tick, effects: &mut Effects) {
        let Some(Member { nick, room, .. }) = self.remove(id) else {
            return;
        };
        let Some(left) = self.rooms.get_mut(room.slot() as usize) else {
            return;
        };
        match left.member_left(now, &self.notices) {
            Notice::Single => {
                effects.push(Effect::TellRoom {
                    room,
                    event: Event::Left { nick, word },
                });
            }
            Notice::Summed => self.will_sum_up(room),
        }
    }

    /// Puts a room on the list of those with a sum to report, on which it is at most once.
    fn will_sum_up(&mut self, id: RoomId) {
        let Some(room) = self.rooms.get_mut(id.slot() as usize) else {
            return;
        };
        if !std::mem::replace(&mut room.is_summing, true) {
            self.summing.push(id);
        }
    }

    /// Whether a member's next command is within the rate. Above it the member is asked to slow
    /// down, once until a command has passed again. Leaving is always allowed.
    fn may_go_on(
        &mut self,
        id: ConnId,
        command: Command<'_>,
        now: Tick,
        effects: &mut Effects,
    ) -> bool {
        let rate = self.message_rate;
        let Some(member) = self.member_mut(id) else {
            return false;
        };
        if matches!(command, Command::Quit(_)) || member.messages.take(rate, now) {
            member.was_told = false;
            return true;
        }
        if !std::mem::replace(&mut member.was_told, true) {
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

    // Messages

    fn say(&mut self, id: ConnId, words: &str, effects: &mut Effects) {
        self.speak(id, words, |nick, text| Event::Said { nick, text }, effects);
    }

    fn act(&mut self, id: ConnId, words: &str, effects: &mut Effects) {
        self.speak(id, words, |nick, text| Event::Acted { nick, text }, effects);
    }

    fn speak(
        &mut self,
        id: ConnId,
        words: &str,
        event: fn(Nick, String) -> Event,
        effects: &mut Effects,
    ) {
        let Some(member) = self.member(id) else {
            return;
        };
        effects.push(match text::clean(words) {
            Some(text) => Effect::TellRoom {
                room: member.room,
                event: event(member.nick.clone(), text.into_owned()),
            },
            None => refuse(id, Refused::EmptyMessage),
        });
    }

    // Nicks

    /// The nick of a new member, and why it is not the wanted one.
    fn first_nick(&mut self, wanted: Option<&str>) -> (Nick, Option<(String, NickRefused)>) {
        let Some(wanted) = wanted else {
            return (self.made_up_nick(), None);
        };
        match self.free_nick(wanted, None) {
            Ok(nick) => (nick, None),
            Err(why) => (self.made_up_nick(), Some((text::excerpt(wanted), why))),
        }
    }

    fn made_up_nick(&mut self) -> Nick {
        // The range grows with each failure, so this ends: there are more names than members.
        let mut names: u64 = 0x1_0000;
        loop {
            let nick = Nick::guest(self.chance.below(names) as u32);
            if self.owners_of(&nick).next().is_none() {
                return nick;
            }
            names = (names + names / 8).min(1 << 32);
        }
    }

    /// A nick that no member has but `own`, who may have it already in another spelling.
    fn free_nick(&self, wanted: &str, own: Option<ConnId>) -> Result<Nick, NickRefused> {
        let nick = Nick::parse(wanted)?;
        if self.owners_of(&nick).any(|owner| Some(owner) != own) {
            return Err(NickRefused::Taken);
        }
        Ok(nick)
    }

    /// The members with this nick, or with one that looks the same.
    fn owners_of(&self, nick: &Nick) -> impl Iterator<Item = ConnId> {
        nick.keys().filter_map(|key| self.owner_of(&key))
    }

    fn owner_of(&self, key: &str) -> Option<ConnId> {
        let at = |slot: u32| self.members.get(slot as usize)?.as_ref();
        let has_key =
            |slot, key: &str| at(slot).is_some_and(|member| member.nick.keys().any(|k| k == key));
        at(self.names.find(key, has_key)?).map(|member| member.id)
    }

    fn enter_names(&mut self, nick: &Nick, id: ConnId) {
        for key in nick.keys() {
            self.names.insert(&key, id.slot());
        }
    }

    fn leave_names(&mut self, nick: &Nick, id: ConnId) {
        for key in nick.keys() {
            self.names.remove(&key, id.slot());
        }
    }

    fn rename(&mut self, id: ConnId, wanted: &str, effects: &mut Effects) {
        let new = match self.free_nick(wanted, Some(id)) {
            Ok(nick) => nick,
            Err(why) => {
                let Some(kept) = self.nick_of(id).cloned() else {
                    return;
                };
                let wanted = text::excerpt(wanted);
                return effects.push(refuse(id, Refused::Nick { wanted, why, kept }));
            }
        };
        let Some(member) = self.member_mut(id) else {
            return;
        };
        if member.nick == new {
            return;
        }
        let old = std::mem::replace(&mut member.nick, new.clone());
        let room = member.room;
        self.leave_names(&old, id);
        self.enter_names(&new, id);
        effects.push(Effect::TellRoom {
            room,
            event: Event::Renamed { old, new },
        });
    }

    // Rooms

    fn room_named(&mut self, name: RoomName) -> RoomId {
        let name = name.into_inner();
        if let Some(room) = self.room_names.get(&name) {
            return *room;
        }
        let key = self.rooms.insert(Room::new(name.clone()));
        let id = RoomId::new(
            u32::try_from(key).expect("there are no more rooms than members"),
            0,
        );
        self.room_names.insert(name, id);
        id
    }

    /// The nicks of up to `most` members of a room, and how many more members there are.
    fn names_in(&self, room: RoomId, most: usize) -> (Vec<Nick>, u32) {
        let members = self.members(room);
        let mut nicks = Vec::with_capacity(members.len().min(most));
        let listed = members.iter().take(most);
        nicks.extend(listed.filter_map(|id| self.nick_of(*id).cloned()));
        (nicks, members.len().saturating_sub(most) as u32)
    }

    fn who(&self, id: ConnId, effects: &mut Effects) {
        let Some(member) = self.member(id) else {
            return;
        };
        let (members, more) = self.names_in(member.room, WHO_MAX);
        let room = self.rooms[member.room.slot() as usize].name.clone();
        effects.push(tell(
            id,
            Event::Who {
                room,
                members,
                more,
            },
        ));
    }

    fn list_rooms(&self, id: ConnId, effects: &mut Effects) {
        let listed = |(_, room): (usize, &Room)| (room.name.clone(), room.members.len() as u32);
        let rooms = self.rooms.iter().take(ROOMS_MAX).map(listed).collect();
        let more = self.rooms.len().saturating_sub(ROOMS_MAX) as u32;
        effects.push(tell(id, Event::Rooms { rooms, more }));
    }

    // Moderation

    fn make_operator(&mut self, id: ConnId, token: &str, effects: &mut Effects) {
        // In constant time: the time of an answer must not depend on how much of a guess was right.
        let is_right = self
            .operator_token
            .as_ref()
            .is_some_and(|right| bool::from(right.as_bytes().ct_eq(token.as_bytes())));
        let Some(member) = self.member_mut(id) else {
            return;
        };
        member.is_operator |= is_right;
        if is_right {
            effects.push(tell(id, Event::YouAreOperator));
        } else {
            effects.push(refuse(id, Refused::WrongToken));
            effects.push(Effect::WrongToken { id });
        }
    }

    /// Removes a member of the operator's room. The room sees who was kicked, by whom and why; the
    /// kicked member sees it as their last line, and their connection is closed.
    fn kick(&mut self, id: ConnId, nick: &str, reason: &str, effects: &mut Effects) {
        let Some(operator) = self.member(id) else {
            return;
        };
        if !operator.is_operator {
            return effects.push(refuse(id, Refused::NotOperator));
        }
        let (by, room) = (operator.nick.clone(), operator.room);
        let is_here = |owner: &ConnId| {
            self.member(*owner)
                .is_some_and(|member| member.room == room)
        };
        let kicked = Nick::parse(nick)
            .ok()
            .and_then(|nick| self.owners_of(&nick).find(is_here));
        let Some(Member {
            nick, id: kicked, ..
        }) = kicked.and_then(|kicked| self.remove(kicked))
        else {
            let nick = text::excerpt(nick);
            return effects.push(refuse(id, Refused::NoSuchMember { nick }));
        };
        let reason = text::remark(reason);
        let event = Event::Kicked {
            nick,
            by: by.clone(),
            reason: reason.clone(),
        };
        effects.push(Effect::TellRoom { room, event });
        effects.push(tell(
            kicked,
            Event::YouWereKicked {
                by,
                reason: reason.clone(),
            },
        ));
        effects.push(Effect::Close {
            id: kicked,
            why: Farewell::Kicked { reason },
        });
    }

    /// Panics if members, rooms and names contradict each other. For tests.
    pub fn check_invariants(&self) {
        let members: Vec<&Member> = self.members.iter().flatten().collect();
        assert_eq!(members.len(), self.member_count, "members are counted");
        assert_eq!(
            self.names.len(),
            members.iter().map(|m| m.nick.keys().count()).sum::<usize>(),
            "every member has the keys of their nick"
        );
        for member in &members {
            let room = self
                .rooms
                .get(member.room.slot() as usize)
                .expect("a member's room is there");
            assert_eq!(
                room.members.get(member.position as usize),
                Some(&member.id),
                "position"
            );
            for key in member.nick.keys() {
                assert_eq!(self.owner_of(&key), Some(member.id), "name");
            }
        }
        let in_rooms: usize = self.rooms.iter().map(|(_, room)| room.members.len()).sum();
        assert_eq!(in_rooms, self.member_count, "every member is in one room");
        assert!(
            self.rooms.iter().all(|(_, room)| !room.members.is_empty()),
            "no room is empty"
        );
        assert_eq!(
            self.rooms.len(),
            self.room_names.len(),
            "every room has one name"
        );
        for (key, room) in &self.rooms {
            assert_eq!(
                self.room_names.get(&room.name),
                Some(&RoomId::new(key as u32, 0)),
                "room name"
            );
            let is_listed = self.summing.contains(&RoomId::new(key as u32, 0));
            assert_eq!(is_listed, room.is_summing, "rooms that sum up are listed");
            assert_eq!(
                is_listed,
                room.sum_due().is_some(),
                "a sum that will not be reported"
            );
        }
    }
}

fn tell(to: ConnId, event: Event) -> Effect {
    Effect::Tell { to, event }
}

fn refuse(to: ConnId, why: Refused) -> Effect {
    tell(to, Event::Refused(why))
}

#[cfg(test)]
mod tests;
