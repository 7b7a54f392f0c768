//! Which member sends which message when, and which member has received it: the schedule of a chat
//! and its accounts. Knows places in rooms and moments, no sockets.

use super::ledger::{Arrival, Ledger};
use super::marker::Marker;
use super::options::{Options, Pace};
use super::schedule::Schedule;
use crate::net::dial::Micros;
use std::collections::VecDeque;
use std::mem;

/// A window waits no longer than this for a message, so that a loss does not close it for ever.
const GIVEN_UP_MICROS: Micros = 2_000_000;

/// One process's part of a chat. Members are numbered through all rooms: the members of one room
/// follow each other, the senders first.
pub(super) struct Talk {
    /// The number of the first room among the rooms of all processes.
    first_room: usize,
    members: usize,
    senders: usize,
    pacing: Pacing,
    is_sending: bool,
    /// By room and sender: the last number used, and the first one that is counted.
    sent: Vec<u32>,
    counted_from: Vec<u32>,
    /// By room: members that are connected and read.
    present: Vec<u32>,
    /// By room: the members that were present when counting began. Each must receive every message.
    counted: Vec<u32>,
    ledger: Ledger,
    /// By room and sender: the messages that the server has acknowledged.
    acks: Ledger,
    /// Rooms in which a message has just reached all members.
    freed: Vec<usize>,
    gone: SenderGone,
}

/// Counted messages that were due while their sender was not connected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct SenderGone {
    pub(super) messages: u64,
    /// To how many members they would have been delivered.
    pub(super) deliveries: u64,
}

enum Pacing {
    /// Messages of all senders at one rate.
    Rate {
        per_second: f64,
        schedule: Schedule,
    },
    Window {
        limit: u32,
        rooms: Vec<Window>,
    },
}

/// The messages of one room that are in flight. Senders take turns, so a message's place follows
/// from its sender and its number.
#[derive(Clone, Default)]
struct Window {
    in_flight: u32,
    /// The place of the first entry.
    first: u64,
    entries: VecDeque<InFlight>,
}

#[derive(Clone, Copy)]
struct InFlight {
    /// Members that have not received the message.
    missing: u32,
    since: Micros,
}

/// What a message is to the member that received it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Heard {
    /// No message of this room and this run.
    Foreign,
    Once {
        is_counted: bool,
        is_late: bool,
    },
    Again {
        is_counted: bool,
    },
}

/// A message to be sent now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Due {
    /// The sender, as a member.
    pub(super) member: usize,
    pub(super) marker: Marker,
    /// How many members must receive it; `None`: the message is not counted.
    pub(super) expected: Option<u32>,
}

impl Talk {
    /// This process has `rooms` rooms from `first_room` on.
    pub(super) fn new(options: &Options, first_room: usize, rooms: usize) -> Self {
        let Options {
            members, senders, ..
        } = *options;
        let pacing = match options.pace() {
            Pace::Rate(rate) => {
                let per_second = rate * (rooms * senders) as f64;
                Pacing::Rate {
                    per_second,
                    schedule: Schedule::new(0, per_second),
                }
            }
            Pace::Window(limit) => Pacing::Window {
                limit,
                rooms: vec![Window::default(); rooms],
            },
        };
        Self {
            first_room,
            members,
            senders,
            pacing,
            is_sending: false,
            sent: vec![0; rooms * senders],
            counted_from: vec![u32::MAX; rooms * senders],
            present: vec![0; rooms],
            counted: vec![0; rooms],
            ledger: Ledger::new(rooms * members * senders),
            acks: Ledger::new(rooms * senders),
            freed: Vec::new(),
            gone: SenderGone::default(),
        }
    }

    /// A member that reads is connected.
    pub(super) fn joined(&mut self, member: usize) {
        self.present[member / self.members] += 1;
    }

    /// A member that reads is no longer connected.
    pub(super) fn left(&mut self, member: usize) {
        self.present[member / self.members] -= 1;
    }

    pub(super) fn begin(&mut self, now: Micros) {
        self.is_sending = true;
        match &mut self.pacing {
            Pacing::Rate {
                per_second,
                schedule,
            } => *schedule = Schedule::new(now, *per_second),
            Pacing::Window { rooms, .. } => self.freed.extend(0..rooms.len()),
        }
    }

    /// From here on messages are counted.
    pub(super) fn count(&mut self) {
        for (from, sent) in self.counted_from.iter_mut().zip(&self.sent) {
            *from = sent + 1;
        }
        self.counted.copy_from_slice(&self.present);
    }

    pub(super) fn stop(&mut self) {
        self.is_sending = false;
    }

    /// When [`Talk::next`] must be called again, if nothing arrives before.
    pub(super) fn due(&self) -> Option<Micros> {
        match &self.pacing {
            _ if !self.is_sending => None,
            Pacing::Rate { schedule, .. } => Some(schedule.due()),
            Pacing::Window { .. } => (!self.freed.is_empty()).then_some(0),
        }
    }

    /// The next message that is due; to be called until there is none. `is_open` returns whether a
    /// member can send; messages of other members are passed over.
    pub(super) fn next(&mut self, now: Micros, is_open: impl Fn(usize) -> bool) -> Option<Due> {
        if !self.is_sending {
            self.freed.clear();
            return None;
        }
        match self.pacing {
            Pacing::Rate { .. } => self.next_by_rate(now, is_open),
            Pacing::Window { .. } => self.next_by_window(now, is_open),
        }
    }

    fn next_by_rate(&mut self, now: Micros, is_open: impl Fn(usize) -> bool) -> Option<Due> {
        loop {
            let Pacing::Rate { schedule, .. } = &mut self.pacing else {
                return None;
            };
            // A sender of each room, then the next sender of each: rooms are loaded evenly.
            let turn = (schedule.count() % self.sent.len() as u64) as usize;
            let intended = schedule.take(now)?;
            let rooms = self.present.len();
            let (room, sender) = (turn % rooms, turn / rooms);
            if is_open(room * self.members + sender) {
                return Some(self.send(room, sender, intended));
            }
            if self.counted_from[room * self.senders + sender] != u32::MAX {
                self.gone.messages += 1;
                self.gone.deliveries += u64::from(self.counted[room]);
            }
        }
    }

    /// What was due since the last call and could not be sent. Closed loops have no such messages,
    /// since the next sender takes the turn.
    pub(super) fn take_gone(&mut self) -> SenderGone {
        mem::take(&mut self.gone)
    }

    fn next_by_window(&mut self, now: Micros, is_open: impl Fn(usize) -> bool) -> Option<Due> {
        while let Some(room) = self.freed.last().copied() {
            // After one round without a message no sender of the room is connected.
            for _ in 0..self.senders {
                let Some(sender) = self.next_in_window(room, now) else {
                    break;
                };
                if is_open(room * self.members + sender) {
                    return Some(self.send(room, sender, now));
                }
                self.pass_over(room, sender);
            }
            self.freed.pop();
        }
        None
    }

    /// Makes an entry for the next message and returns its sender; `None`: the window is full.
    fn next_in_window(&mut self, room: usize, now: Micros) -> Option<usize> {
        let Pacing::Window { limit, rooms } = &mut self.pacing else {
            return None;
        };
        let window = &mut rooms[room];
        if window.in_flight >= *limit {
            return None;
        }
        let place = window.first + window.entries.len() as u64;
        let missing = self.present[room];
        if missing > 0 {
            window.in_flight += 1;
        }
        window.entries.push_back(InFlight {
            missing,
            since: now,
        });
        Some((place % self.senders as u64) as usize)
    }

    /// Uses a number without a message, so that the other senders keep their places.
    fn pass_over(&mut self, room: usize, sender: usize) {
        self.sent[room * self.senders + sender] += 1;
        if let Pacing::Window { rooms, .. } = &mut self.pacing {
            rooms[room].take_back();
        }
    }

    fn send(&mut self, room: usize, sender: usize, intended: Micros) -> Due {
        let place = room * self.senders + sender;
        self.sent[place] += 1;
        let number = self.sent[place];
        Due {
            member: room * self.members + sender,
            marker: Marker {
                room: (self.first_room + room) as u32,
                sender: sender as u32,
                number,
                intended,
            },
            expected: (number >= self.counted_from[place]).then(|| self.counted[room]),
        }
    }

    /// A member has received a message with this marker.
    pub(super) fn hear(&mut self, member: usize, marker: Marker) -> Heard {
        let Some((room, sender)) = self.place(marker) else {
            return Heard::Foreign;
        };
        if member.wrapping_sub(room * self.members) >= self.members {
            return Heard::Foreign;
        }
        let place = room * self.senders + sender;
        let is_counted = marker.number >= self.counted_from[place];
        let pair = member * self.senders + sender;
        let is_late = match self.ledger.take(pair, marker.number) {
            Arrival::Doubled => return Heard::Again { is_counted },
            Arrival::Late => true,
            Arrival::InOrder => false,
        };
        if let Pacing::Window { rooms, .. } = &mut self.pacing {
            let place = u64::from(marker.number - 1) * self.senders as u64 + sender as u64;
            if rooms[room].arrived(place) {
                self.freed.push(room);
            }
        }
        Heard::Once {
            is_counted,
            is_late,
        }
    }

    /// The server has acknowledged a message with this marker. Acknowledgements may come in any
    /// order.
    pub(super) fn stored(&mut self, marker: Marker) -> Heard {
        let Some((room, sender)) = self.place(marker) else {
            return Heard::Foreign;
        };
        let place = room * self.senders + sender;
        let is_counted = marker.number >= self.counted_from[place];
        match self.acks.take(place, marker.number) {
            Arrival::Doubled => Heard::Again { is_counted },
            arrival => Heard::Once {
                is_counted,
                is_late: arrival == Arrival::Late,
            },
        }
    }

    /// The room and the sender of a message, if it was sent.
    fn place(&self, marker: Marker) -> Option<(usize, usize)> {
        let room = (marker.room as usize).wrapping_sub(self.first_room);
        let sender = marker.sender as usize;
        if room >= self.present.len() || sender >= self.senders {
            return None;
        }
        let sent = self.sent[room * self.senders + sender];
        // Others are from an earlier run, out of the room's history.
        (1..=sent)
            .contains(&marker.number)
            .then_some((room, sender))
    }

    /// Gives up messages that have been in flight for too long. To be called now and then.
    pub(super) fn give_up(&mut self, now: Micros) {
        let Pacing::Window { rooms, .. } = &mut self.pacing else {
            return;
        };
        for (room, window) in rooms.iter_mut().enumerate() {
            if window.give_up(now) {
                self.freed.push(room);
            }
        }
    }
}

impl Window {
    /// No member will receive the newest message.
    fn take_back(&mut self) {
        if let Some(entry) = self.entries.back_mut()
            && entry.missing > 0
        {
            entry.missing = 0;
            self.in_flight -= 1;
        }
        self.trim();
    }

    /// True: that was the last member without the message.
    fn arrived(&mut self, place: u64) -> bool {
        let Some(at) = place.checked_sub(self.first) else {
            return false;
        };
        match self.entries.get_mut(at as usize) {
            Some(entry) if entry.missing > 0 => {
                entry.missing -= 1;
                if entry.missing > 0 {
                    return false;
                }
                self.in_flight -= 1;
                self.trim();
                true
            }
            // The message was given up.
            Some(_) | None => false,
        }
    }

    fn give_up(&mut self, now: Micros) -> bool {
        let mut some = false;
        for entry in &mut self.entries {
            if entry.since + GIVEN_UP_MICROS > now {
                break;
            }
            if entry.missing > 0 {
                entry.missing = 0;
                self.in_flight -= 1;
                some = true;
            }
        }
        self.trim();
        some
    }

    fn trim(&mut self) {
        while self.entries.front().is_some_and(|entry| entry.missing == 0) {
            self.entries.pop_front();
            self.first += 1;
        }
    }
}

#[cfg(test)]
mod tests;
