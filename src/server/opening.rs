//! How a user becomes a member of a room: the log must have opened it, which may take a store some
//! time. Until then the connection is held and waits here, first come first served. Knows no
//! encoding and no entry.

use super::Server;
use super::catch_up::Purpose;
use super::moderate;
use crate::carry::{Carry, Damaged, Reader, Writer, carried};
use crate::chat::{BanNotice, Event, JoinRefused, Pair, Refused, RoomName};
use crate::conn::Wait;
use crate::http::DEFAULT_ROOM;
use crate::id::{ConnId, RoomId, Seq, Tick};
use crate::log::{Opening, Since};
use crate::net::Net;
use crate::password::{BYTES_MAX, Secret};
use crate::wire::{Joined, Problem, Protocol, RequestId, Shown};
use crate::ws::CloseReason;
use smol_str::SmolStr;
use std::collections::{BTreeMap, VecDeque};

/// Members admitted in one turn to rooms that were opened.
const ADMITTED_PER_TURN: usize = 256;

/// What a client wants of a room's past when it joins.
#[derive(Clone, Debug)]
pub(super) enum Past {
    /// All since what it saw last: the number of an entry, in an epoch. If the epoch is not known,
    /// up to `newest` of the newest entries.
    Since {
        epoch: SmolStr,
        seq: Seq,
        newest: u32,
    },
    /// Up to so many of the newest entries.
    Newest(u32),
}

/// A client that waits for a room.
#[derive(Debug)]
pub(super) struct Waiter {
    pub(super) id: ConnId,
    pub(super) request: Option<RequestId>,
    pub(super) past: Past,
    /// Why it has not the nick that it asked for: shown after the welcome.
    pub(super) refused: Option<Refused>,
    /// The password of the room that the client has shown, until it is verified.
    pub(super) password: Option<Secret>,
    /// What is kept of the password that was verified.
    pub(super) pass: Option<SmolStr>,
}

carried!(enum Past {
    0 = Since { epoch, seq, newest },
    1 = Newest(count),
});

/// One that must log in first. Of reasons for which it has not its nick, there is one.
impl Carry for Waiter {
    fn write(&self, to: &mut Writer) {
        (self.id, self.request.clone()).write(to);
        self.past.write(to);
        let refused = match &self.refused {
            Some(Refused::Nick { wanted, why, kept }) => {
                Some((wanted.clone(), why.clone(), kept.clone()))
            }
            Some(_) | None => None,
        };
        refused.write(to);
        self.password.write(to);
        self.pass.write(to);
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, Damaged> {
        let (id, request) = Carry::read(from)?;
        let past = Carry::read(from)?;
        let refused: Option<(String, _, _)> = Carry::read(from)?;
        Ok(Self {
            id,
            request,
            past,
            refused: refused.map(|(wanted, why, kept)| Refused::Nick { wanted, why, kept }),
            password: Carry::read(from)?,
            pass: Carry::read(from)?,
        })
    }
}

/// A password that a client shows to join a room. One that is longer than any is none.
pub(super) fn shown_password(password: &str) -> Option<Secret> {
    let may_be = !password.is_empty() && password.len() <= BYTES_MAX;
    may_be.then(|| Secret::new(password))
}

/// All clients that wait for a room. One connection waits for one room, for it is held.
#[derive(Default)]
pub(super) struct Waiting {
    by_room: BTreeMap<RoomId, VecDeque<Waiter>>,
    /// Rooms that are open, and whose clients may enter.
    open: VecDeque<RoomId>,
}

impl Waiting {
    pub(super) fn is_empty(&self) -> bool {
        self.by_room.is_empty()
    }

    /// Clients can be admitted.
    pub(super) fn has_work(&self) -> bool {
        !self.open.is_empty()
    }

    fn take_next(&mut self) -> Option<(RoomId, Waiter)> {
        loop {
            let room = *self.open.front()?;
            let waiters = self.by_room.get_mut(&room);
            if let Some(waiter) = waiters.and_then(VecDeque::pop_front) {
                return Some((room, waiter));
            }
            self.by_room.remove(&room);
            self.open.pop_front();
        }
    }

    /// Takes the client out, for it has ended or waited too long.
    pub(super) fn remove(&mut self, id: ConnId) -> Option<Waiter> {
        if self.by_room.is_empty() {
            return None;
        }
        let mut found = None;
        self.by_room.retain(|_, waiters| {
            if let Some(at) = waiters.iter().position(|waiter| waiter.id == id) {
                found = waiters.remove(at);
            }
            !waiters.is_empty()
        });
        found
    }
}

impl<N: Net> Server<N> {
    /// A user joins a room: at once if the log has it open, else when it has.
    pub(super) fn join(&mut self, name: RoomName, waiter: Waiter, now: Tick) {
        let opening = self.log.open(&name.into_smol_str(), now);
        self.join_opening(opening, waiter, now);
    }

    /// The same, as the log has answered.
    pub(super) fn join_opening(&mut self, opening: Opening, waiter: Waiter, now: Tick) {
        match opening {
            Opening::Open(room) if !self.is_behind(room, &waiter) => self.admit(room, waiter, now),
            Opening::Open(room) | Opening::Waiting(room) => {
                self.hold(waiter.id, Wait::Opening, now);
                let waiters = self.waiting.by_room.entry(room).or_default();
                waiters.push_back(waiter);
            }
            Opening::Refused => self.not_opened_to(&waiter, Problem::NoMoreRooms, now),
        }
    }

    /// The log has opened a room.
    pub(super) fn opened(&mut self, room: RoomId, now: Tick) {
        self.show_hinted(room, now);
        self.post_waiting(room, now);
        if !self.waiting.open.contains(&room) {
            self.waiting.open.push_back(room);
        }
    }

    /// The log could not open a room.
    pub(super) fn not_opened(&mut self, room: RoomId, now: Tick) {
        self.hints.forget(room);
        self.not_posted(room, now);
        for waiter in self.waiting.by_room.remove(&room).into_iter().flatten() {
            self.release(waiter.id, Wait::Opening, now);
            self.join_fails(waiter, now);
        }
    }

    /// A step of the turn: clients that wait for rooms that are open become members.
    pub(super) fn admit_waiting(&mut self, now: Tick) {
        let mut early = Vec::new();
        for _ in 0..ADMITTED_PER_TURN {
            let Some((room, waiter)) = self.waiting.take_next() else {
                break;
            };
            if self.is_behind(room, &waiter) {
                early.push((room, waiter));
                continue;
            }
            let id = waiter.id;
            self.admit(room, waiter, now);
            self.release(id, Wait::Opening, now);
        }
        for (room, waiter) in early {
            self.waiting
                .by_room
                .entry(room)
                .or_default()
                .push_back(waiter);
        }
    }

    /// Whether a client comes back with more of a room than this server has: what another server told
    /// it has not come here yet. It waits, or it would have to forget what is not lost.
    fn is_behind(&self, room: RoomId, waiter: &Waiter) -> bool {
        match &waiter.past {
            Past::Since { epoch, seq, .. } => self.log.is_behind(room, epoch, *seq),
            Past::Newest(_) => false,
        }
    }

    /// A room has entries or an epoch more: clients that wait for that may be admitted.
    pub(super) fn has_come_on(&mut self, room: RoomId) {
        let waits = self.waiting.by_room.contains_key(&room);
        if waits && self.log.is_open(room) && !self.waiting.open.contains(&room) {
            self.waiting.open.push_back(room);
        }
    }

    /// A room cannot be joined now: a client of lines has no other, so its connection is closed.
    pub(super) fn join_fails(&mut self, waiter: Waiter, now: Tick) {
        let Some(connection) = self.connections.get_mut(waiter.id) else {
            return;
        };
        match connection.protocol {
            Protocol::Plain | Protocol::Echo => {
                self.part(waiter.id, &CloseReason::StoreUnavailable, now);
            }
            Protocol::Json => {
                let request = waiter.request.as_ref();
                self.fail(waiter.id, request, Problem::StoreUnavailable, now);
            }
        }
    }

    fn admit(&mut self, room: RoomId, waiter: Waiter, now: Tick) {
        let id = waiter.id;
        let name = self.log.name(room).clone();
        if let Some(pair) = Pair::named(&name) {
            return self.admit_to_pair(room, pair, &waiter, now);
        }
        let is_first = self.talk.chat().members(room).is_empty();
        let has_past = self.log.head(room) > Seq(0) || name == DEFAULT_ROOM;
        let is_new = is_first && !has_past && !self.talk.chat().knows_room(&name);
        if is_new && !self.may_make(&waiter, now) {
            return;
        }
        let seat = self.seat_of(id, &name, now);
        let kept = seat.as_ref().and_then(|seat| seat.pass.as_deref());
        let pass = waiter.pass.as_deref().or(kept);
        let welcome = match self.member_joins(id, (room, &name), pass, now) {
            Ok(welcome) => welcome,
            Err(JoinRefused::Password { kept }) => {
                return self.ask_password(waiter, name, kept, now);
            }
            Err(why) => return self.not_admitted(&waiter, why, now),
        };
        if is_first {
            self.log.member_joined(room);
        }
        self.catch_up.remove(id, room);
        self.takes_seat(id, room, seat);
        if is_first && !has_past && self.can_change() {
            let when = self.now_of(id, now);
            self.chat_step(now, |chat, effects| {
                chat.has_made(id, room, when, effects);
            });
        }
        let place = self.place(id, room, &waiter.past);
        self.show(id, &Shown::Event(&welcome), now);
        self.show_joined(id, room, &welcome, (&waiter, &place), now);
        if waiter.request.is_none() && self.protocol_of(id) == Some(Protocol::Plain) {
            self.show_link(id, now);
        }
        if let Some(refused) = waiter.refused {
            self.show(id, &Shown::Event(&Event::Refused(refused)), now);
        }
        self.read_past(id, room, &place, now);
    }

    /// What a program needs to know of a room that it has joined. Clients of lines need none of it.
    fn show_joined(
        &mut self,
        id: ConnId,
        room: RoomId,
        welcome: &Event,
        (waiter, place): (&Waiter, &Place),
        now: Tick,
    ) {
        let protocol = self.connections.get_mut(id).map(|c| c.protocol);
        let Event::Welcome {
            room: name,
            present,
            accounts,
            more,
            ..
        } = welcome
        else {
            return;
        };
        if protocol != Some(Protocol::Json) {
            return;
        }
        let rules = self.talk.chat().rules_of(room).cloned();
        let joined = Joined {
            re: waiter.request.as_ref(),
            room: name,
            epoch: &self.log.epoch(room),
            seq: self.log.head(room),
            after: place.cursor,
            recovered: place.recovered,
            rewound: place.rewound,
            topic: rules.as_ref().map_or("", |rules| &rules.topic),
            count: present.len() as u32 + more + 1,
            members: present,
            accounts,
            role: self.talk.chat().role_of(id, room).name(),
            settings: rules.as_ref(),
        };
        self.show(id, &Shown::Joined(joined), now);
    }

    pub(super) fn not_admitted(&mut self, waiter: &Waiter, why: JoinRefused, now: Tick) {
        let why = match why {
            JoinRefused::NoUser | JoinRefused::Password { .. } => return,
            JoinRefused::IsMember => Problem::IsAMember,
            JoinRefused::NoSuchRoom => Problem::NoSuchRoom,
            JoinRefused::TooManyRooms { max } => Problem::TooManyRooms { max: max as u32 },
            JoinRefused::Banned(notice) => return self.not_let_in(waiter, &notice, now),
            JoinRefused::Locked => {
                let protocol = self.connections.get_mut(waiter.id).map(|c| c.protocol);
                if protocol == Some(Protocol::Plain) {
                    return self.part(waiter.id, &CloseReason::LoginRequired, now);
                }
                Problem::Locked
            }
        };
        self.fail(waiter.id, waiter.request.as_ref(), why, now);
    }

    /// A client is banned from a room. One of lines has no other.
    fn not_let_in(&mut self, waiter: &Waiter, notice: &BanNotice, now: Tick) {
        let protocol = self.connections.get_mut(waiter.id).map(|c| c.protocol);
        if protocol == Some(Protocol::Json) {
            let why = Problem::Banned {
                until: notice.until,
                reason: &notice.reason,
            };
            return self.fail(waiter.id, waiter.request.as_ref(), why, now);
        }
        let sentence = moderate::sentence(notice);
        self.part(waiter.id, &CloseReason::Banned { sentence }, now);
    }

    /// Where a client begins to read.
    pub(super) fn place(&self, id: ConnId, room: RoomId, past: &Past) -> Place {
        let (head, oldest) = (self.log.head(room), self.oldest_for(id, room));
        let newest = |count: u32| Place {
            cursor: Seq(head.0.saturating_sub(count).max(oldest.0.saturating_sub(1))),
            purpose: Purpose::History,
            recovered: false,
            rewound: None,
        };
        match past {
            Past::Newest(count) => newest((*count).min(self.catch_up_max)),
            Past::Since {
                epoch,
                seq,
                newest: count,
            } => match self.log.since(room, epoch, *seq) {
                Since::At { at: seq, rewound } => {
                    let is_within = head.0 - seq.0 <= self.catch_up_max;
                    let recovered = is_within && oldest.0 <= seq.0 + 1;
                    Place {
                        cursor: seq,
                        purpose: if recovered {
                            Purpose::Returning
                        } else {
                            Purpose::Slow
                        },
                        recovered,
                        rewound,
                    }
                }
                // The client must forget all that it has of the room.
                Since::Unknown => Place {
                    rewound: Some(Seq(0)),
                    ..newest((*count).min(self.catch_up_max))
                },
            },
        }
    }

    /// A member that does not begin at the head is behind.
    pub(super) fn read_past(&mut self, id: ConnId, room: RoomId, place: &Place, now: Tick) {
        if place.cursor >= self.log.head(room) {
            return;
        }
        if place.purpose == Purpose::History {
            self.show(id, &Shown::HistoryBegins, now);
        }
        self.settle_room(room, now);
        self.falls_behind(id, room, place.cursor, place.purpose, false);
    }
}

/// Where a new member begins to read a room's log.
pub(super) struct Place {
    /// The entries after this one follow.
    pub(super) cursor: Seq,
    pub(super) purpose: Purpose,
    /// All that the client missed can be had.
    pub(super) recovered: bool,
    /// Entries above this one that the client saw were never stored.
    pub(super) rewound: Option<Seq>,
}
