//! Sends the messages of a chat when they are due, and recognises them when they arrive.

use super::super::client::Phase;
use super::super::marker::{self, Marker};
use super::super::options::Pace;
use super::super::seat;
use super::super::talk::Heard;
use super::super::tally::{Count, Time};
use super::Worker;
use crate::frame::Frame;
use crate::net::dial::Micros;
use std::mem;

/// Messages sent between two reads. Without a bound a rate that the tester cannot keep up with
/// would make each turn longer than the one before, and the run would never end.
const SENDS_PER_TURN: usize = 1024;
/// Bytes that may wait to be sent on one connection; beyond them its messages are held back.
const UNSENT_BYTES_MAX: usize = 4 << 20;

impl Worker {
    pub(super) fn say_due(&mut self, now: Micros) {
        if self.talk.is_none() {
            return;
        }
        for _ in 0..SENDS_PER_TURN {
            if !self.say_next(now) {
                break;
            }
        }
        self.note_gone();
    }

    /// False: no message is due.
    fn say_next(&mut self, now: Micros) -> bool {
        let Some(talk) = &mut self.talk else {
            return false;
        };
        if talk.due().is_none_or(|due| due > now) {
            return false;
        }
        let slots = &self.slots;
        let is_open = |slot: usize| {
            let client = slots.at(slot).map(|(_, client)| client.phase);
            client == Some(Phase::Open)
        };
        let Some(due) = talk.next(now, is_open) else {
            return false;
        };
        let Some((id, client)) = self.slots.at(due.member) else {
            return true;
        };
        if client.unsent.len() > UNSENT_BYTES_MAX {
            if let Some(expected) = due.expected {
                self.tally.counts.add(Count::HeldBack, 1);
                self.tally.counts.add(Count::Unsent, u64::from(expected));
            }
            return true;
        }
        let mut message = mem::take(&mut self.message);
        marker::write(due.marker, self.options.size, &mut message);
        if self.programs.is_some() {
            let mut request = Vec::new();
            seat::write_send(&message, due.marker.room as usize, &mut request);
            message = request;
        }
        let frame = Frame::client_text(&message, self.masks.next());
        self.message = message;
        if let Some(expected) = due.expected {
            self.tally.counts.add(Count::Sent, 1);
            self.tally.counts.add(Count::Expected, u64::from(expected));
            if matches!(self.options.pace(), Pace::Rate(_)) {
                let late = self.now().saturating_sub(due.marker.intended);
                self.tally.record(Time::SendLag, late);
            }
        }
        self.send(id, frame.bytes());
        true
    }

    fn note_gone(&mut self) {
        if let Some(talk) = &mut self.talk {
            let gone = talk.take_gone();
            self.tally.counts.add(Count::SenderGone, gone.messages);
            self.tally.counts.add(Count::Unsent, gone.deliveries);
        }
    }

    /// A member has received a message.
    pub(super) fn hear(&mut self, slot: usize, payload: &[u8], now: Micros) {
        if !self.is_slow(slot) {
            self.hear_marker(slot, marker::find(payload), now);
        }
    }

    pub(super) fn hear_marker(&mut self, slot: usize, marker: Option<Marker>, now: Micros) {
        let counts = &mut self.tally.counts;
        let (Some(talk), Some(marker)) = (&mut self.talk, marker) else {
            return counts.add(Count::Other, 1);
        };
        match talk.hear(slot, marker) {
            Heard::Foreign => counts.add(Count::Other, 1),
            Heard::Again { is_counted } => counts.add(Count::Doubled, u64::from(is_counted)),
            Heard::Once {
                is_counted,
                is_late,
            } => {
                counts.add(Count::Arrivals, 1);
                if self.counting.is_some() {
                    counts.add(Count::Counted, 1);
                }
                if is_counted {
                    counts.add(Count::Delivered, 1);
                    counts.add(Count::Late, u64::from(is_late));
                    let took = now.saturating_sub(marker.intended);
                    self.tally.record(Time::Latency, took);
                }
            }
        }
    }
}
