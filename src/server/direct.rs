//! Direct conversations as clients have them: a request with the name of the other is brought to
//! the log of the two, which may have to be opened first, and what is said there is shown to both,
//! each under the other's name. Who may write to whom is the chat's.
//!
//! Nothing of a conversation is in a batch: it has few members, and each of the two sees it under
//! another name.

use super::Server;
use super::batches::Frames;
use super::catch_up::Purpose;
use super::connection::Connection;
use super::deliver::Encoder;
use super::opening::Waiter;
use crate::budget::Kind;
use crate::carry::{Carry, Damaged, Reader, Writer};
use crate::chat::{Content, Entry, Event, JoinRefused, Manner, Pair};
use crate::conn::Wait;
use crate::frame::Frame;
use crate::id::{ConnId, RoomId, Seq, Tick};
use crate::log::{Key, Opening};
use crate::net::Net;
use crate::wire::{Joined, Problem, Protocol, RequestId, Send, Shown};
use smol_str::SmolStr;
use std::collections::{BTreeMap, VecDeque};

/// How long a guest may be away without losing its conversations: less than their logs are in memory
/// without a member.
const GONE_TICKS: u32 = 50 * 10;
/// Guests that may be away so; with one more the one that left first has lost them.
const GONE_MAX: usize = 4096;

/// What a client says to another one.
#[derive(Debug)]
pub(super) struct Letter {
    id: ConnId,
    pair: Pair,
    request: Option<RequestId>,
    wanted: Wanted,
}

#[derive(Debug)]
enum Wanted {
    Write {
        key: Option<Key>,
        manner: Manner,
        text: String,
        reply_to: Option<Seq>,
    },
    /// To be shown so many of the newest messages.
    Read { limit: u32 },
}

/// Letters that wait for the log of their two: at most one of each connection, which is held.
#[derive(Default)]
pub(super) struct Letters {
    by_room: BTreeMap<RoomId, VecDeque<Letter>>,
    /// Guests that are gone: by their sessions, the number by which each may go on, until then.
    gone: VecDeque<(u64, u32, Tick)>,
    /// What connections of plain text were not shown, since their outboxes were full.
    missed: BTreeMap<ConnId, u32>,
}

/// Guests that may come back, and what was missed: no letter waits.
impl Carry for Letters {
    fn write(&self, to: &mut Writer) {
        self.gone.write(to);
        self.missed.write(to);
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, Damaged> {
        Ok(Self {
            by_room: BTreeMap::new(),
            gone: Carry::read(from)?,
            missed: Carry::read(from)?,
        })
    }
}

impl Letters {
    /// No letter waits for a log.
    pub(super) fn is_settled(&self) -> bool {
        self.by_room.is_empty()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.by_room.is_empty() && self.missed.is_empty()
    }

    /// What they hold.
    pub(super) fn held_bytes(&self) -> usize {
        let letters = self.by_room.values().flatten();
        let held = |letter: &Letter| match &letter.wanted {
            Wanted::Write { text, .. } => size_of::<Letter>() + text.capacity(),
            Wanted::Read { .. } => size_of::<Letter>(),
        };
        letters.map(held).sum()
    }

    /// Takes the letter of a connection that has ended, or waited too long.
    fn remove(&mut self, id: ConnId) -> Option<Letter> {
        if self.by_room.is_empty() {
            return None;
        }
        let mut found = None;
        self.by_room.retain(|_, letters| {
            if let Some(at) = letters.iter().position(|letter| letter.id == id) {
                found = letters.remove(at);
            }
            !letters.is_empty()
        });
        found
    }

    /// A guest with a session is gone, and may come back.
    pub(super) fn leaves(&mut self, session: u64, number: u32, now: Tick) {
        if self.gone.len() >= GONE_MAX {
            self.gone.pop_front();
        }
        self.gone.push_back((session, number, now + GONE_TICKS));
    }

    /// It is back. Returns its number, if it is not too late.
    fn returns(&mut self, session: u64, now: Tick) -> Option<u32> {
        self.gone.retain(|(_, _, until)| *until > now);
        let at = self.gone.iter().rposition(|(of, ..)| *of == session)?;
        self.gone.remove(at).map(|(_, number, _)| number)
    }

    /// A connection has ended.
    pub(super) fn forget(&mut self, id: ConnId) {
        self.remove(id);
        self.missed.remove(&id);
    }
}

impl<N: Net> Server<N> {
    // What clients ask

    /// Says something to the one of this nick. False: over the rate, and nothing was done.
    pub(super) fn write_to(&mut self, id: ConnId, nick: &str, send: &Send<'_>, now: Tick) -> bool {
        if !self.is_within(id, Kind::Direct, now) || !self.is_within_rate(id, now) {
            return false;
        }
        let when = self.now_of(id, now);
        let pair = self.chat_step(now, |chat, _| {
            let pair = chat.correspondents(id, nick)?;
            chat.may_write(id, pair, when).map(|()| pair)
        });
        let pair = match pair {
            Ok(pair) => pair,
            Err(why) => {
                self.answer_refused(id, why, now);
                return true;
            }
        };
        let wanted = Wanted::Write {
            key: self.key(id, send.key),
            manner: send.manner,
            text: send.text.to_owned(),
            reply_to: send.reply_to,
        };
        self.with_log(id, pair, wanted, now);
        true
    }

    /// Shows a client of plain text what was said between it and the one of this nick.
    pub(super) fn ask_letters(&mut self, id: ConnId, nick: &str, limit: u32, now: Tick) -> bool {
        if !self.is_within_rate(id, now) {
            return false;
        }
        match self.chat_step(now, |chat, _| chat.correspondents(id, nick)) {
            Ok(pair) => self.with_log(id, pair, Wanted::Read { limit }, now),
            Err(why) => self.answer_refused(id, why, now),
        }
        true
    }

    fn with_log(&mut self, id: ConnId, pair: Pair, wanted: Wanted, now: Tick) {
        let letter = Letter {
            id,
            pair,
            request: self.asking.request.clone(),
            wanted,
        };
        match self.open_pair(pair, now) {
            Opening::Open(room) => self.post(room, letter, now),
            Opening::Waiting(room) => {
                self.asking.is_answered = true;
                self.hold(id, Wait::Opening, now);
                let letters = self.letters.by_room.entry(room).or_default();
                letters.push_back(letter);
            }
            Opening::Refused => self.answer_problem(id, Problem::StoreUnavailable, now),
        }
    }

    /// Joins the conversation with the one of this nick.
    pub(super) fn join_pair(&mut self, id: ConnId, nick: &str, waiter: Waiter, now: Tick) {
        let pair = self.chat_step(now, |chat, _| chat.correspondents(id, nick));
        match pair {
            Ok(pair) => {
                let opening = self.open_pair(pair, now);
                self.join_opening(opening, waiter, now);
            }
            Err(why) => {
                let event = Event::Refused(why);
                let re = waiter.request.as_ref();
                self.show(id, &Shown::Reply { re, event: &event }, now);
            }
        }
    }

    /// What guests say is in memory alone.
    fn open_pair(&mut self, pair: Pair, now: Tick) -> Opening {
        match pair.accounts() {
            Some(_) => self.log.open(&pair.name(), now),
            None => self.log.open_in_memory(&pair.name(), now),
        }
    }

    /// The log of the two is open: what is written is asked for, and the request is answered.
    fn post(&mut self, room: RoomId, letter: Letter, now: Tick) {
        let Letter {
            id, pair, wanted, ..
        } = letter;
        let (key, manner, text, reply_to) = match wanted {
            Wanted::Read { limit } => return self.show_letters(id, room, limit, now),
            Wanted::Write {
                key,
                manner,
                text,
                reply_to,
            } => (key, manner, text, reply_to),
        };
        let head = self.log.head(room);
        // With a stranger: of those an address has only so many.
        if head == Seq(0) && !self.is_within(id, Kind::Stranger, now) {
            return;
        }
        if pair.accounts().is_some() && !self.takes_changes() {
            return self.answer_problem(id, Problem::StoreUnavailable, now);
        }
        self.asking.key = key;
        let when = self.now_of(id, now);
        self.chat_step(now, |chat, effects| {
            let said = (manner, text.as_str(), reply_to);
            let next = Seq(head.0.saturating_add(1));
            chat.write(id, (room, pair, next), said, when, effects);
        });
    }

    /// The log of a conversation is open: what waited for it goes on.
    pub(super) fn post_waiting(&mut self, room: RoomId, now: Tick) {
        for letter in self.letters.by_room.remove(&room).into_iter().flatten() {
            let id = letter.id;
            self.answering(letter.request.clone(), |server| {
                server.post(room, letter, now);
            });
            self.release(id, Wait::Opening, now);
        }
    }

    /// It could not be opened.
    pub(super) fn not_posted(&mut self, room: RoomId, now: Tick) {
        for letter in self.letters.by_room.remove(&room).into_iter().flatten() {
            self.release(letter.id, Wait::Opening, now);
            let re = letter.request.as_ref();
            self.fail(letter.id, re, Problem::StoreUnavailable, now);
        }
    }

    /// A letter has waited too long.
    pub(super) fn letter_fails(&mut self, id: ConnId, now: Tick) {
        if let Some(letter) = self.letters.remove(id) {
            let re = letter.request.as_ref();
            self.fail(id, re, Problem::StoreUnavailable, now);
        }
    }

    /// A guest goes on as in an earlier connection, which has ended not long ago.
    pub(super) fn guest_returns(&mut self, id: ConnId, session: u64, now: Tick) {
        if let Some(number) = self.letters.returns(session, now) {
            self.chat_step(now, |chat, effects| chat.returns(id, number, effects));
        }
    }

    // Members

    /// A client becomes a member of a conversation whose log is open.
    pub(super) fn admit_to_pair(&mut self, room: RoomId, pair: Pair, waiter: &Waiter, now: Tick) {
        let id = waiter.id;
        // It may have become one by what was said to it, just before it asked.
        if self.talk.chat().is_member(id, room) {
            self.leave_room(id, room, now);
        }
        if let Err(why) = self.enter_pair(id, room, pair, now) {
            return self.not_admitted(waiter, why, now);
        }
        let place = self.place(id, room, &waiter.past);
        let (at, rewound) = (place.cursor, place.rewound);
        let how = (at, self.log.head(room), place.recovered, rewound);
        self.show_joined_pair(id, (room, pair), waiter.request.as_ref(), how, now);
        self.read_past(id, room, &place, now);
    }

    fn enter_pair(
        &mut self,
        id: ConnId,
        room: RoomId,
        pair: Pair,
        now: Tick,
    ) -> Result<(), JoinRefused> {
        let is_first = self.talk.chat().members(room).is_empty();
        self.chat_step(now, |chat, effects| {
            chat.join_conversation(id, (room, pair), effects)
        })?;
        if is_first {
            self.log.member_joined(room);
        }
        self.catch_up.remove(id, room);
        Ok(())
    }

    fn show_joined_pair(
        &mut self,
        id: ConnId,
        (room, pair): (RoomId, Pair),
        re: Option<&RequestId>,
        (after, seq, recovered, rewound): (Seq, Seq, bool, Option<Seq>),
        now: Tick,
    ) {
        let chat = self.talk.chat();
        let (name, other) = (chat.name_for(id, pair), chat.other_here(id, room, pair));
        let accounts = match pair.accounts() {
            Some(_) => other.as_slice(),
            None => &[],
        };
        let joined = Joined {
            re,
            room: &name,
            epoch: &self.log.epoch(room),
            seq,
            after,
            recovered,
            rewound,
            topic: "",
            count: 1 + u32::from(other.is_some()),
            members: other.as_slice(),
            accounts,
            role: "member",
            settings: None,
        };
        self.show(id, &Shown::Joined(joined), now);
    }

    /// The name by which a client knows a room whose log is open.
    pub(super) fn name_for(&self, id: ConnId, room: RoomId) -> SmolStr {
        let name = self.log.name(room);
        match Pair::named(name) {
            None => name.clone(),
            Some(pair) => self.talk.chat().name_for(id, pair),
        }
    }

    // What both are shown

    /// The log of a conversation has numbered an entry. Programs of both that are no members become
    /// some, when something is said, and all are shown it.
    pub(super) fn ordered_in_pair(&mut self, room: RoomId, entry: &Entry<'_>, now: Tick) {
        let Some(pair) = Pair::named(self.log.name(room)) else {
            return; // Its last member was removed by this very entry.
        };
        let before = Seq(entry.seq.0 - 1);
        let is_said = matches!(entry.content, Content::Said { .. });
        let sides = self.sides_of(pair);
        // What came before comes first.
        let is_due = !self.hints.has(room);
        for id in sides.iter().flatten().filter(|_| is_said && is_due) {
            if self.protocol_of(*id) == Some(Protocol::Json) {
                self.joins_unasked(*id, (room, pair), (before, before), now);
            }
        }
        let frames = self.frames_of_sides(pair, |encoder, name| {
            let room = name.as_str();
            encoder.frame(&Shown::Entry { room, entry }, Protocol::Json)
        });
        self.give_to_pair(room, pair, &frames, before, (false, None), now);
        if is_due {
            self.write_entry(pair, &sides, entry, now);
            self.has_come_to_pair(room, pair, Some(entry), now);
        }
    }

    /// The connections of each of the two.
    pub(super) fn sides_of(&self, pair: Pair) -> [Vec<ConnId>; 2] {
        let chat = self.talk.chat();
        pair.parties().map(|party| chat.connections_of_party(party))
    }

    /// A program becomes a member by what is said to it. One that reads nothing is shown no more
    /// than it may have conversations: then it finds what was said when it joins.
    /// `at`: where it begins, and the newest entry. False: it is a member already, or becomes none.
    pub(super) fn joins_unasked(
        &mut self,
        id: ConnId,
        (room, pair): (RoomId, Pair),
        (at, head): (Seq, Seq),
        now: Tick,
    ) -> bool {
        if self.talk.chat().is_member(id, room) {
            return false;
        }
        let has_place = self.talk.chat().has_place(id);
        let connection = self.connections.get_mut(id);
        let is_drained = |connection: &Connection<N::Stream>| connection.state.outbox.is_empty();
        if !has_place && !connection.is_some_and(|connection| is_drained(connection)) {
            return false;
        }
        let has_entered = self.enter_pair(id, room, pair, now).is_ok();
        if has_entered {
            self.show_joined_pair(id, (room, pair), None, (at, head, false, None), now);
        }
        has_entered
    }

    /// Something as each of the two sees it, for programs.
    fn frames_of_sides(
        &mut self,
        pair: Pair,
        encode: impl Fn(&mut Encoder, SmolStr) -> Option<Frame>,
    ) -> [Frames; 2] {
        [0, 1].map(|side| {
            let name = self.talk.chat().name_for_side(side, pair);
            let mut frames = Frames::default();
            frames[Protocol::Json.index()] = encode(&mut self.encoder, name);
            frames
        })
    }

    fn give_to_pair(
        &mut self,
        room: RoomId,
        pair: Pair,
        frames: &[Frames; 2],
        head: Seq,
        (has_notices, except): (bool, Option<ConnId>),
        now: Tick,
    ) {
        let mut index = 0;
        while let Some(id) = self.talk.chat().live(room).get(index).copied() {
            let side = self.talk.chat().side_of(id, pair).unwrap_or(0);
            if Some(id) == except || self.give_one(id, &frames[side], now) {
                index += 1;
            } else {
                // The last live member takes this place.
                self.falls_behind(id, room, head, Purpose::Slow, has_notices);
            }
        }
    }

    /// Members of a conversation see that the other is writing.
    pub(super) fn notify_pair(
        &mut self,
        (room, pair): (RoomId, Pair),
        event: &Event,
        except: Option<ConnId>,
        now: Tick,
    ) {
        let Event::Typing { nick, .. } = event else {
            return;
        };
        self.talk.noticed(room);
        if let Some(except) = except {
            // If it is behind, it loses nothing by this one.
            self.catch_up.does_not_miss(except, room);
        }
        let frames = self.frames_of_sides(pair, |encoder, room| {
            let nick = nick.clone();
            let event = Event::Typing { room, nick };
            encoder.frame(&Shown::Event(&event), Protocol::Json)
        });
        let head = self.log.head(room);
        self.give_to_pair(room, pair, &frames, head, (true, except), now);
    }

    /// Shows the connections of plain text of both an entry of their conversation.
    pub(super) fn write_entry(
        &mut self,
        pair: Pair,
        sides: &[Vec<ConnId>; 2],
        entry: &Entry<'_>,
        now: Tick,
    ) {
        for (side, connections) in sides.iter().enumerate() {
            for id in connections.iter().copied() {
                if self.protocol_of(id) != Some(Protocol::Plain) {
                    continue;
                }
                let name = self.talk.chat().name_for_side(side, pair);
                let shown = Shown::Direct {
                    other: &name[1..],
                    entry,
                };
                self.write_line(id, &shown, now);
            }
        }
    }

    /// One that does not keep up is shown how much it has missed when it does.
    fn write_line(&mut self, id: ConnId, shown: &Shown<'_>, now: Tick) {
        self.settle_rooms_of(id, now);
        if let Some(count) = self.letters.missed.get(&id).copied() {
            let missed = Shown::DirectsMissed { count };
            if !self.give_line(id, &missed, now) {
                self.letters.missed.insert(id, count.saturating_add(1));
                return;
            }
            self.letters.missed.remove(&id);
        }
        if !self.give_line(id, shown, now) {
            self.letters.missed.insert(id, 1);
        }
    }

    fn give_line(&mut self, id: ConnId, shown: &Shown<'_>, now: Tick) -> bool {
        let mut frames = Frames::default();
        let plain = Protocol::Plain;
        frames[plain.index()] = self.encoder.frame(shown, plain);
        self.give_one(id, &frames, now)
    }
}
