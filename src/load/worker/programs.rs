//! Clients of `parlor.v1.json`: joins their rooms, reads what the server sends them, and plays the
//! scenario of clients that vanish and return. What an object means is for `seat` to say; what a
//! client must receive, for `storm`.

use super::super::client::Phase;
use super::super::ledger::{Arrival, Ledger};
use super::super::marker::{self, Marker};
use super::super::object;
use super::super::options::{Options, Scenario};
use super::super::pages::Pages;
use super::super::seat::{self, Meaning, Seat};
use super::super::storm::{Return, Storm};
use super::super::talk::Heard;
use super::super::tally::{Count, Time};
use super::super::timeouts::Timeouts;
use super::Worker;
use crate::frame::Frame;
use crate::id::ConnId;
use crate::net::dial::Micros;
use std::mem;

/// How long a client waits before it asks again for a page that was refused.
const RETRY_MICROS: Micros = 100_000;

/// What a worker keeps of its clients, by slot. The first ones are speakers, one for each room.
pub(super) struct Programs {
    pub(super) seats: Vec<Seat>,
    /// By room: the number of the entry before the first that its speaker said.
    pub(super) bases: Vec<Option<u32>>,
    /// By room: the acknowledgements of its speaker.
    acks: Ledger,
    storm: Storm,
    pub(super) pages: Pages,
    pub(super) is_paging: bool,
    pub(super) retries: Timeouts,
}

impl Programs {
    pub(super) fn new(options: &Options, clients: usize) -> Self {
        Self {
            seats: vec![Seat::default(); clients],
            bases: vec![None; options.rooms],
            acks: Ledger::new(options.rooms),
            storm: Storm::new(clients, options.missed),
            pages: Pages::new(clients, options.page),
            is_paging: false,
            retries: Timeouts::new(RETRY_MICROS),
        }
    }

    /// Whether an entry stands where the room's speaker said it.
    pub(super) fn is_as_said(&self, room: usize, seq: u32, marker: Marker) -> bool {
        let base = self.bases.get(room).copied().flatten();
        marker.room as usize == room
            && base.is_none_or(|base| seq == base.wrapping_add(marker.number))
    }
}

impl Worker {
    /// The connection is upgraded; the client joins its room.
    pub(super) fn greet(&mut self, id: ConnId) {
        let room = self.room_of(Self::slot(id));
        let (Some(client), Some(programs)) = (self.slots.get_mut(id), &self.programs) else {
            return;
        };
        client.phase = Phase::Joining;
        for request in programs.seats[Self::slot(id)].greeting(room) {
            self.send_text(id, request.as_bytes());
        }
    }

    pub(super) fn send_text(&mut self, id: ConnId, text: &[u8]) {
        let frame = Frame::client_text(text, self.masks.next());
        self.send(id, frame.bytes());
    }

    pub(super) fn take_object(&mut self, id: ConnId, payload: &[u8], now: Micros) {
        let slot = Self::slot(id);
        let is_slow = self.is_slow(slot);
        let Some(programs) = &mut self.programs else {
            return;
        };
        let object = object::decode(payload);
        let meaning = object.as_ref().map_or(Meaning::Unreadable, |object| {
            programs.seats[slot].take(object)
        });
        let counts = &mut self.tally.counts;
        match meaning {
            Meaning::Nothing => counts.add(Count::Other, 1),
            Meaning::Unreadable => counts.add(Count::Unreadable, 1),
            Meaning::Joined { is_recovered } => {
                counts.add(Count::Unrecovered, u64::from(!is_recovered));
                self.take_joined(id, now);
            }
            Meaning::NotJoined => self.take_refused(id),
            Meaning::NotResumed => counts.add(Count::Unresumed, 1),
            // What a member that stops reading misses is not counted.
            Meaning::Entry { .. } | Meaning::Gap | Meaning::Rewound if is_slow => {}
            Meaning::Gap => counts.add(Count::Gaps, 1),
            Meaning::Rewound => counts.add(Count::Rewound, 1),
            Meaning::Entry {
                seq,
                is_next,
                marker,
            } => {
                counts.add(Count::Unordered, u64::from(!is_next));
                self.take_entry(id, seq, marker, now);
            }
            Meaning::Stored(marker) => self.take_stored(marker, now),
            Meaning::NotStored => counts.add(Count::Unstored, 1),
            Meaning::Page => self.take_page(id, &object.unwrap_or_default(), now),
            Meaning::NoPage => self.retry_page(id, now),
        }
    }

    fn take_joined(&mut self, id: ConnId, now: Micros) {
        if let Some(client) = self.slots.get(id)
            && client.phase == Phase::Joining
        {
            self.take_open(id, now);
        }
    }

    fn take_refused(&mut self, id: ConnId) {
        if let Some(client) = self.slots.get(id)
            && client.phase == Phase::Joining
        {
            self.fail(id, Count::Unjoined);
        }
    }

    fn take_entry(&mut self, id: ConnId, seq: u32, marker: Option<Marker>, now: Micros) {
        match self.options.scenario {
            Scenario::Chat | Scenario::Slow => self.hear_marker(Self::slot(id), marker, now),
            Scenario::Idle | Scenario::Churn => self.tally.counts.add(Count::Other, 1),
            Scenario::Resume | Scenario::History => self.take_said(id, seq, marker, now),
        }
    }

    /// An entry has reached a speaker or a client that returned.
    fn take_said(&mut self, id: ConnId, seq: u32, marker: Option<Marker>, now: Micros) {
        let slot = Self::slot(id);
        let room = self.room_of(slot);
        let speakers = self.options.speakers();
        let Some(programs) = &mut self.programs else {
            return;
        };
        let counts = &mut self.tally.counts;
        let Some(marker) = marker else {
            return counts.add(Count::Altered, 1);
        };
        if slot < speakers && marker.number == 1 {
            programs.bases[room].get_or_insert_with(|| seq.wrapping_sub(1));
        }
        if !programs.is_as_said(room, seq, marker) {
            return counts.add(Count::Altered, 1);
        }
        let is_client = self.options.scenario == Scenario::Resume && slot >= speakers;
        if !is_client {
            return;
        }
        match programs.storm.hear(slot, marker.number) {
            None => counts.add(Count::Altered, 1),
            Some(Return::Doubled) => counts.add(Count::Doubled, 1),
            Some(Return::Once { is_late, is_last }) => {
                counts.add(Count::Arrivals, 1);
                counts.add(Count::Counted, u64::from(self.counting.is_some()));
                counts.add(Count::Delivered, 1);
                counts.add(Count::Late, u64::from(is_late));
                counts.add(Count::Live, u64::from(is_last));
                if is_last && let Some(client) = self.slots.get(id) {
                    let took = now.saturating_sub(client.due);
                    self.tally.record(Time::Return, took);
                }
            }
        }
    }

    /// A message is acknowledged.
    fn take_stored(&mut self, marker: Marker, now: Micros) {
        let counts = &mut self.tally.counts;
        if let Some(talk) = &mut self.talk {
            return match talk.stored(marker) {
                Heard::Foreign => counts.add(Count::Other, 1),
                Heard::Again { is_counted } => {
                    counts.add(Count::AckedAgain, u64::from(is_counted));
                }
                Heard::Once { is_counted, .. } if is_counted => {
                    counts.add(Count::Acked, 1);
                    let took = now.saturating_sub(marker.intended);
                    self.tally.record(Time::Ack, took);
                }
                Heard::Once { .. } => {}
            };
        }
        let room = marker.room as usize;
        let Some(programs) = self.programs.as_mut().filter(|_| room < self.options.rooms) else {
            return counts.add(Count::Other, 1);
        };
        counts.add(
            match programs.acks.take(room, marker.number) {
                Arrival::InOrder | Arrival::Late => Count::Acked,
                Arrival::Doubled => Count::AckedAgain,
            },
            1,
        );
    }

    /// Each speaker says all its messages.
    pub(super) fn say_all(&mut self) {
        for room in 0..self.options.speakers().min(self.slots.len()) {
            let Some(id) = self.open_at(room) else {
                continue;
            };
            for number in 1..=self.options.said() as u32 {
                self.say_in(id, room, number);
            }
        }
    }

    /// One message, which all clients that are to resume must receive.
    fn say_in(&mut self, id: ConnId, room: usize, number: u32) {
        let marker = Marker {
            room: room as u32,
            sender: 0,
            number,
            intended: self.now(),
        };
        let mut text = Vec::new();
        marker::write(marker, self.options.size, &mut text);
        let mut request = mem::take(&mut self.message);
        seat::write_send(&text, room, &mut request);
        self.send_text(id, &request);
        self.message = request;
        self.tally.counts.add(Count::Sent, 1);
        if self.options.scenario == Scenario::Resume {
            let expected = self.members_in(room);
            self.tally.counts.add(Count::Expected, expected);
        }
    }

    /// Clients that have been in the room, and are to be in it again.
    fn members_in(&self, room: usize) -> u64 {
        let Some(programs) = &self.programs else {
            return 0;
        };
        let slots = self.options.speakers()..self.slots.len();
        let is_member =
            |slot: &usize| self.room_of(*slot) == room && programs.seats[*slot].is_member();
        slots.filter(is_member).count() as u64
    }

    /// All clients but the speakers lose their connections, without a close frame.
    pub(super) fn vanish(&mut self) {
        for slot in self.options.speakers()..self.slots.len() {
            let Some((id, client)) = self.slots.at(slot) else {
                continue;
            };
            match client.phase {
                Phase::Open => {
                    self.change(Count::Open, -1);
                    self.tally.counts.add(Count::Vanished, 1);
                    self.slots.take(id);
                }
                phase if phase.is_pending() => self.fail(id, Count::Unfinished),
                _ => {}
            }
            if let Some(programs) = &mut self.programs {
                programs.seats[slot].leave();
            }
        }
    }

    /// The first client in each room says one message more.
    pub(super) fn say_last(&mut self) {
        let Some(programs) = &self.programs else {
            return;
        };
        let number = programs.storm.final_number();
        for room in 0..self.options.rooms {
            let mut slots = self.options.speakers()..self.slots.len();
            let first = slots.find_map(|slot| {
                let found = self.open_at(slot);
                found.filter(|_| self.room_of(slot) == room)
            });
            if let Some(id) = first {
                self.say_in(id, room, number);
            }
        }
    }

    pub(super) fn open_at(&self, slot: usize) -> Option<ConnId> {
        let (id, client) = self.slots.at(slot)?;
        (client.phase == Phase::Open).then_some(id)
    }

    /// The speakers have nothing more to say, and the server may be restarted: they may be gone.
    pub(super) fn is_excused(&self, slot: usize) -> bool {
        self.options.pause && slot < self.options.speakers()
    }
}
