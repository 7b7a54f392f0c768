//! Carries out what the chat wants: events become frames, encoded once per protocol however many
//! receive them, and enter outboxes. What a room is sent in one turn enters them as one. Knows no
//! rule of the chat and writes to no socket.

use super::Server;
use crate::chat::{Draft, Effect, Event, Farewell};
use crate::conn::outbox::{Limits, Pushed};
use crate::frame::{Frame, Run};
use crate::id::{ConnId, RoomId, Tick};
use crate::net::Net;
use crate::wire::{Protocol, Shown};
use crate::ws::CloseReason;

/// What one room was sent since its members were last given something: encoded once per protocol,
/// and shared by all of them when it is [settled](Server::settle). That is once a turn where one
/// room is busy, so that each member costs one push and one write however much was said.
#[derive(Default)]
pub(super) struct Batch {
    room: Option<RoomId>,
    /// The members are those of this epoch of the room.
    epoch: u64,
    runs: [Run; Protocol::COUNT],
}

impl Batch {
    pub(super) fn is_empty(&self) -> bool {
        self.room.is_none()
    }

    /// Adds an item. False: the run has as much as half an outbox takes, or is another room's.
    fn add(
        &mut self,
        room: RoomId,
        epoch: u64,
        item: Shown<'_>,
        limits: Limits,
        encoder: &mut Encoder,
    ) -> bool {
        let is_full = |run: &Run| {
            run.count() as usize * 2 >= limits.frames_max || run.len() * 2 >= limits.bytes_max
        };
        if self.room.is_none() {
            (self.room, self.epoch) = (Some(room), epoch);
        }
        if self.room != Some(room) || self.runs.iter().any(is_full) {
            return false;
        }
        self.check_epoch(epoch);
        for protocol in Protocol::ALL {
            if let Some(text) = encoder.text(item, protocol) {
                self.runs[protocol.index()].push_text(text);
            }
        }
        true
    }

    /// Panics if members joined or left since the batch was begun: a message would reach a member
    /// that joined after it, or miss one that was there.
    fn check_epoch(&self, epoch: u64) {
        assert_eq!(
            self.epoch, epoch,
            "the members of a room changed before what it was sent was delivered"
        );
    }
}

/// What members are sent: a frame per protocol.
type Frames = [Option<Frame>; Protocol::COUNT];

/// Renders events as text, and as single frames. Keeps the memory of the last text.
#[derive(Default)]
pub(super) struct Encoder {
    text: String,
}

impl Encoder {
    /// `None`: the protocol shows nothing of it.
    fn text(&mut self, item: Shown<'_>, protocol: Protocol) -> Option<&str> {
        self.text.clear();
        let is_shown = protocol.render(&item, &mut self.text);
        is_shown.then_some(&self.text)
    }

    pub(super) fn frame(&mut self, event: &Event, protocol: Protocol) -> Option<Frame> {
        self.text(Shown::Event(event), protocol).map(Frame::text)
    }
}

impl<N: Net> Server<N> {
    /// Carries out all effects, in order, before the next command is handled; only what a whole
    /// room is sent waits for more of its kind, until [`Self::settle`].
    pub(super) fn apply(&mut self, now: Tick) {
        let mut effects = self.talk.take_effects();
        for effect in effects.drain(..) {
            match effect {
                Effect::Append { room, draft, .. } => {
                    self.append(room, &draft, now);
                    continue;
                }
                Effect::Notice {
                    room,
                    event,
                    except: None,
                } => {
                    self.tell_room(room, Shown::Event(&event), now);
                    continue;
                }
                _ => {}
            }
            // It must not overtake what the room was sent earlier.
            self.settle(now);
            match effect {
                Effect::Append { .. } => {}
                Effect::Notice {
                    room,
                    event,
                    except,
                } => {
                    let frames = Protocol::ALL.map(|protocol| self.encoder.frame(&event, protocol));
                    self.tell_members(room, &frames, except, now);
                }
                Effect::Reply { to, event } | Effect::Tell { to, event } => {
                    self.tell_one(to, &event, now);
                }
                Effect::WrongToken { id } => self.wrong_token(id, now),
                Effect::RoomIsEmpty { room } => self.rooms.remove(room),
                Effect::Close { id, why } => {
                    self.leave(id, now);
                    self.close(id, &farewell(why), now);
                }
            }
        }
        self.talk.reuse(effects);
    }

    /// Numbers a draft, changes what the entry changes, and gives the entry to the room.
    fn append(&mut self, room: RoomId, draft: &Draft, now: Tick) {
        let Some(name) = self.talk.chat().room_name(room).cloned() else {
            return;
        };
        let Some(seq) = self.rooms.number(room) else {
            return;
        };
        if self.talk.chat().changes_members(draft) {
            self.settle(now);
        }
        let entry = draft.numbered(seq, self.net.wall());
        self.talk.ordered(room, &entry);
        let shown = Shown::Entry {
            room: &name,
            entry: &entry,
        };
        self.tell_room(room, shown, now);
        if !self.talk.is_settled() {
            self.apply(now);
        }
    }

    fn tell_room(&mut self, room: RoomId, item: Shown<'_>, now: Tick) {
        let limits = self.connections.limits();
        let epoch = self.talk.chat().room_epoch(room);
        // An empty batch takes anything.
        while !self.batch.add(room, epoch, item, limits, &mut self.encoder) {
            self.settle(now);
        }
    }

    /// Gives the members of a room what it was sent. Called before anything else is queued for one
    /// of them, before the members change ([`Server::change`]) and before the flush.
    pub(super) fn settle(&mut self, now: Tick) {
        let Some(room) = self.batch.room.take() else {
            return;
        };
        self.batch.check_epoch(self.talk.chat().room_epoch(room));
        let frames = self.batch.runs.each_mut().map(Run::take);
        self.tell_members(room, &frames, None, now);
    }

    fn tell_members(&mut self, room: RoomId, frames: &Frames, except: Option<ConnId>, now: Tick) {
        for index in 0..self.talk.chat().live(room).len() {
            let id = self.talk.chat().live(room)[index];
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

    pub(super) fn tell_one(&mut self, id: ConnId, event: &Event, now: Tick) {
        let Some(connection) = self.connections.get_mut(id) else {
            return;
        };
        let Some(frame) = self.encoder.frame(event, connection.protocol) else {
            return;
        };
        match event {
            // A member's last line must not be lost; nothing can follow it.
            Event::YouWereKicked { .. } => self.connections.push_control(id, frame),
            _ => self.give(id, frame, now),
        }
    }

    /// Queues an ordinary frame. A full outbox is flushed first: it may be full only because
    /// nothing was flushed yet this turn.
    fn give(&mut self, id: ConnId, frame: Frame, now: Tick) {
        let limits = self.connections.limits();
        let Some(connection) = self.connections.get_mut(id) else {
            return;
        };
        if !connection.state.outbox.has_room(&frame, limits) {
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

    /// The connection accepts nothing, or missed a message: unless that changes it is closed by
    /// the stall deadline.
    pub(super) fn stalls(&mut self, id: ConnId, now: Tick) {
        let Some(connection) = self.connections.get_mut(id) else {
            return;
        };
        if connection.state.stalls(now) && connection.state.is_open() {
            self.advance(id);
        }
    }
}

fn farewell(why: Farewell) -> CloseReason {
    match why {
        Farewell::Quit => CloseReason::Quit,
        Farewell::Kicked { reason } => CloseReason::Kicked { reason },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::{Content, Manner};
    use crate::frame::HEADER_BYTES_MAX;
    use crate::id::{Millis, Seq};
    use crate::wire;

    const MESSAGE_BYTES_MAX: usize = 100;

    /// Words of the most that may be said when rendered, and shorter ones.
    fn said(length: usize) -> Draft {
        Draft {
            nick: "ann".into(),
            content: Content::Said {
                manner: Manner::Message,
                text: "x".repeat(length),
                reply_to: None,
            },
        }
    }

    /// This is what an empty outbox takes at most: see [`Server::outbox_bytes_max`].
    #[test]
    fn a_run_has_at_most_half_an_outbox_and_one_event() {
        let longest = wire::said_bytes_max(MESSAGE_BYTES_MAX);
        let event_bytes_max = longest + "ann: ".len();
        for bytes_max in [1, 100, 1_000, 5_000] {
            let limits = Limits {
                frames_max: 64,
                bytes_max,
            };
            for short in 0..60 {
                let mut batch = Batch::default();
                let mut encoder = Encoder::default();
                for length in std::iter::repeat_n(short, 40).chain([longest; 40]) {
                    let draft = said(length);
                    let entry = draft.numbered(Seq(1), Millis(0));
                    let shown = Shown::Entry {
                        room: "lobby",
                        entry: &entry,
                    };
                    let room = RoomId::new(0, 0);
                    if !batch.add(room, 0, shown, limits, &mut encoder) {
                        break;
                    }
                }
                let bound = bytes_max / 2 + HEADER_BYTES_MAX + event_bytes_max;
                assert!(batch.runs[0].len() <= bound, "{bytes_max} {short}");
                assert!(batch.runs[0].count() as usize <= limits.frames_max / 2);
            }
        }
    }
}
