//! Carries out what the chat wants: events become frames, encoded once per protocol however many
//! receive them, and enter outboxes. What a room is told in one turn enters them as one. Knows no
//! rule of the chat and writes to no socket.

use super::Server;
use super::connection::Phase;
use crate::chat::{Effect, Event, Farewell};
use crate::frame::{Frame, Run};
use crate::id::{ConnId, RoomId, Tick};
use crate::net::Net;
use crate::outbox::{Limits, Pushed};
use crate::wire::Protocol;
use crate::ws::CloseReason;
use std::mem;

/// What one room was told since its members were last given something: encoded once per protocol,
/// and shared by all of them when it is [settled](Server::settle). That is once a turn where one
/// room is busy, so that each member costs one push and one write however much was said.
///
/// The members must be those who were there when it was said: whatever changes them settles first.
#[derive(Default)]
pub(super) struct Batch {
    room: Option<RoomId>,
    runs: [Run; Protocol::COUNT],
}

impl Batch {
    pub(super) fn is_empty(&self) -> bool {
        self.room.is_none()
    }

    /// Adds an event. False: the run has as much as half an outbox takes, or is another room's.
    fn add(&mut self, room: RoomId, event: &Event, limits: Limits, encoder: &mut Encoder) -> bool {
        let is_full = |run: &Run| {
            run.count() as usize * 2 >= limits.frames_max || run.len() * 2 >= limits.bytes_max
        };
        if *self.room.get_or_insert(room) != room || self.runs.iter().any(is_full) {
            return false;
        }
        for protocol in Protocol::ALL {
            self.runs[protocol.index()].push_text(encoder.text(event, protocol));
        }
        true
    }
}

/// What some members are to get: a frame per protocol.
type Frames = [Option<Frame>; Protocol::COUNT];

/// Makes text of events, and single frames. The last text is kept for its memory.
#[derive(Default)]
pub(super) struct Encoder {
    text: String,
}

impl Encoder {
    fn text(&mut self, event: &Event, protocol: Protocol) -> &str {
        self.text.clear();
        protocol.render(event, &mut self.text);
        &self.text
    }

    pub(super) fn frame(&mut self, event: &Event, protocol: Protocol) -> Frame {
        Frame::text(self.text(event, protocol))
    }
}

impl<N: Net> Server<N> {
    /// Carries out all effects, in order, before the next command is handled; only what a room is
    /// told waits for more of its kind, until [`Self::settle`].
    pub(super) fn apply(&mut self, now: Tick) {
        let mut effects = mem::take(&mut self.effects);
        for effect in effects.drain(..) {
            if let Effect::TellRoom { room, event } = effect {
                self.tell_room(room, &event, now);
                continue;
            }
            // Nobody may see it before what was said earlier.
            self.settle(now);
            match effect {
                Effect::TellRoom { .. } => {}
                Effect::TellOthers {
                    room,
                    except,
                    event,
                } => {
                    let frames =
                        Protocol::ALL.map(|protocol| Some(self.encoder.frame(&event, protocol)));
                    self.tell_members(room, &frames, Some(except), now);
                }
                Effect::Tell { to, event } => self.tell_one(to, &event, now),
                Effect::Close { id, why } => self.close(id, &farewell(why), now),
            }
        }
        self.effects = effects;
    }

    fn tell_room(&mut self, room: RoomId, event: &Event, now: Tick) {
        let limits = self.connections.limits();
        // An empty batch takes anything.
        while !self.batch.add(room, event, limits, &mut self.encoder) {
            self.settle(now);
        }
    }

    /// Gives the members of a room what it was told. To be called before members change, before
    /// one of them is told something else, and before the flush.
    pub(super) fn settle(&mut self, now: Tick) {
        let Some(room) = self.batch.room.take() else {
            return;
        };
        let frames = self.batch.runs.each_mut().map(Run::take);
        self.tell_members(room, &frames, None, now);
    }

    fn tell_members(&mut self, room: RoomId, frames: &Frames, except: Option<ConnId>, now: Tick) {
        for index in 0..self.chat.members(room).len() {
            let id = self.chat.members(room)[index];
            if Some(id) == except {
                continue;
            }
            let Some(connection) = self.connections.get_mut(id) else {
                continue;
            };
            if let Some(frame) = &frames[connection.protocol.index()] {
                self.give(id, frame.clone(), now);
            }
        }
    }

    fn tell_one(&mut self, id: ConnId, event: &Event, now: Tick) {
        let Some(connection) = self.connections.get_mut(id) else {
            return;
        };
        let frame = self.encoder.frame(event, connection.protocol);
        match event {
            // The last thing somebody is told must not be lost; nothing can follow it.
            Event::YouWereKicked { .. } => self.connections.push_control(id, frame),
            _ => self.give(id, frame, now),
        }
    }

    /// Queues an ordinary frame, if need be after sending what is queued: full only because nothing
    /// was flushed yet this turn is no fault of the reader.
    fn give(&mut self, id: ConnId, frame: Frame, now: Tick) {
        let limits = self.connections.limits();
        let Some(connection) = self.connections.get_mut(id) else {
            return;
        };
        if !connection.outbox.has_room(&frame, limits) {
            self.flush_one(id, now);
        }
        self.push(id, frame, now);
    }

    /// Queues an ordinary frame; if it does not fit, the stall deadline begins.
    fn push(&mut self, id: ConnId, frame: Frame, now: Tick) {
        match self.connections.push(id, frame) {
            Pushed::Queued => {}
            Pushed::Missed => self.stalls(id, now),
        }
    }

    /// The connection takes nothing: unless that changes it is closed by the stall deadline.
    pub(super) fn stalls(&mut self, id: ConnId, now: Tick) {
        let Some(connection) = self.connections.get_mut(id) else {
            return;
        };
        if connection.stalled_since.is_none() {
            connection.stalled_since = Some(now);
            self.connections.arm_by(id, now + self.deadlines.stall);
        }
    }

    /// A member leaves without having asked; the room is told. Nothing if they left before.
    pub(super) fn leave(&mut self, id: ConnId, now: Tick) {
        self.settle(now);
        self.chat.leave(id, now, &mut self.effects);
        self.apply(now);
    }

    /// Ends a member's stay for a reason of ours: the room is told, and they are.
    pub(super) fn part(&mut self, id: ConnId, why: &CloseReason, now: Tick) {
        self.leave(id, now);
        self.close(id, why, now);
    }

    /// Queues our close frame and waits for the peer's. The chat knows the member no more.
    pub(super) fn close(&mut self, id: ConnId, why: &CloseReason, now: Tick) {
        let Some(connection) = self.connections.get_mut(id) else {
            return;
        };
        let phase = mem::replace(&mut connection.phase, Phase::draining());
        let Phase::Open { decoder, .. } = phase else {
            connection.phase = phase;
            return;
        };
        connection.phase = Phase::Closing {
            scanner: decoder.into_scanner(),
        };
        self.log_connection(id, format_args!("is closed with {}", why.code()));
        self.connections
            .push_close(id, Frame::close(why.code(), &why.text()));
        self.connections.arm(id, now + self.deadlines.close);
    }

    /// What is queued is the last: then our side is shut, and the peer's end awaited.
    pub(super) fn drain(&mut self, id: ConnId, now: Tick) {
        let Some(connection) = self.connections.get_mut(id) else {
            return;
        };
        connection.phase = Phase::draining();
        // Even if nothing is queued: flushing is what shuts our side.
        connection.blocked = false;
        self.connections.mark_dirty(id);
        // What came while an answer was not taken was left unread, and is not told again.
        self.connections.mark_readable(id);
        self.connections.arm(id, now + self.deadlines.close);
    }
}

fn farewell(why: Farewell) -> CloseReason {
    match why {
        Farewell::Quit => CloseReason::Quit,
        Farewell::Kicked { reason } => CloseReason::Kicked { reason },
    }
}
