//! Carries out what the chat wants: events become frames, encoded once per protocol however many
//! receive them, and enter outboxes. Knows no rule of the chat and writes to no socket.

use super::Server;
use super::connection::Phase;
use crate::chat::{Effect, Event, Farewell};
use crate::frame::Frame;
use crate::id::{ConnId, Tick};
use crate::net::Net;
use crate::outbox::Pushed;
use crate::wire::Protocol;
use crate::ws::CloseReason;
use std::mem;

/// One event, encoded at most once per protocol, and only when the first receiver wants it.
struct Encoded<'a> {
    event: &'a Event,
    frames: [Option<Frame>; Protocol::COUNT],
}

impl<'a> Encoded<'a> {
    const fn new(event: &'a Event) -> Self {
        Self {
            event,
            frames: [const { None }; Protocol::COUNT],
        }
    }

    fn frame(&mut self, protocol: Protocol) -> Frame {
        let event = self.event;
        self.frames[protocol.index()]
            .get_or_insert_with(|| {
                let mut text = String::new();
                protocol.render(event, &mut text);
                Frame::text(&text)
            })
            .clone()
    }
}

impl<N: Net> Server<N> {
    /// Carries out all effects, in order. Called after every single command, so that the members
    /// of a room are those of that moment.
    pub(super) fn apply(&mut self, now: Tick) {
        let mut effects = mem::take(&mut self.effects);
        for effect in effects.drain(..) {
            match effect {
                Effect::TellRoom { room, event } => {
                    let mut encoded = Encoded::new(&event);
                    for index in 0..self.chat.members(room).len() {
                        let id = self.chat.members(room)[index];
                        self.tell(id, &mut encoded, now);
                    }
                }
                Effect::TellOthers {
                    room,
                    except,
                    event,
                } => {
                    let mut encoded = Encoded::new(&event);
                    for index in 0..self.chat.members(room).len() {
                        let id = self.chat.members(room)[index];
                        if id != except {
                            self.tell(id, &mut encoded, now);
                        }
                    }
                }
                Effect::Tell { to, event } => self.tell_one(to, &event, now),
                Effect::Close { id, why } => self.close(id, &farewell(why), now),
            }
        }
        self.effects = effects;
    }

    /// Queues an event for one of many.
    fn tell(&mut self, id: ConnId, encoded: &mut Encoded<'_>, now: Tick) {
        let limits = self.connections.limits();
        let Some(connection) = self.connections.get_mut(id) else {
            return;
        };
        let frame = encoded.frame(connection.protocol);
        // Full only because nothing was flushed yet this turn: the bound is for slow readers, not
        // for a busy moment.
        if !connection.outbox.has_room(frame.len(), limits) {
            self.flush_one(id, now);
        }
        self.push(id, frame, now);
    }

    fn tell_one(&mut self, id: ConnId, event: &Event, now: Tick) {
        let mut encoded = Encoded::new(event);
        match event {
            // The last thing somebody is told must not be lost; nothing can follow it.
            Event::YouWereKicked { .. } => {
                let Some(connection) = self.connections.get_mut(id) else {
                    return;
                };
                let frame = encoded.frame(connection.protocol);
                self.connections.push_control(id, frame);
            }
            _ => self.tell(id, &mut encoded, now),
        }
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
        self.connections.arm(id, now + self.deadlines.close);
    }
}

fn farewell(why: Farewell) -> CloseReason {
    match why {
        Farewell::Quit => CloseReason::Quit,
        Farewell::Kicked { reason } => CloseReason::Kicked { reason },
    }
}
