//! Carries out what the chat wants: drafts are numbered by the log, events become frames, encoded
//! once per protocol however many receive them, and enter outboxes. What a room is sent in one turn
//! enters them as one run. Knows no rule of the chat and writes to no socket.

use super::Server;
use super::batches::{Before, Frames, Settled};
use super::catch_up::Purpose;
use super::moderate;
use super::park::Append;
use crate::chat::{Content, Effect, Entry, Event, Farewell};
use crate::conn::Wait;
use crate::conn::outbox::Pushed;
use crate::frame::Frame;
use crate::id::{ConnId, RoomId, Seq, Tick};
use crate::net::Net;
use crate::wire::{Protocol, Shown};
use crate::ws::CloseReason;

/// Renders what members are shown, as text and as single frames. Keeps the memory of the last text.
#[derive(Default)]
pub(super) struct Encoder {
    text: String,
}

impl Encoder {
    /// `None`: this protocol shows nothing of it.
    pub(super) fn text(&mut self, shown: &Shown<'_>, protocol: Protocol) -> Option<&str> {
        self.text.clear();
        protocol.render(shown, &mut self.text).then_some(&self.text)
    }

    pub(super) fn frame(&mut self, shown: &Shown<'_>, protocol: Protocol) -> Option<Frame> {
        self.text(shown, protocol).map(Frame::text)
    }
}

impl<N: Net> Server<N> {
    /// The connection accepts nothing: unless that changes it is closed by the stall deadline.
    pub(super) fn stalls(&mut self, id: ConnId, now: Tick) {
        let Some(connection) = self.connections.get_mut(id) else {
            return;
        };
        if connection.state.stalls(now) && connection.state.is_open() {
            self.advance(id);
        }
    }

    /// Carries out all effects, in order, before the next command is handled; only what a whole
    /// room is sent waits for more of its kind, until the room is settled.
    pub(super) fn apply(&mut self, now: Tick) {
        while let Some(mut effects) = self.talk.take_effects() {
            let is_shared = self.log.is_shared();
            let mut all = effects.drain(..).peekable();
            while let Some(effect) = all.next() {
                match effect {
                    Effect::Change { change, .. }
                        if is_shared && matches!(all.peek(), Some(Effect::Append { .. })) =>
                    {
                        self.goes_with_entry(*change);
                    }
                    effect => self.carry_out(effect, now),
                }
            }
            drop(all);
            self.talk.reuse(effects);
        }
    }

    fn carry_out(&mut self, effect: Effect, now: Tick) {
        match effect {
            Effect::Append {
                room,
                from,
                mut draft,
            } => {
                if let Content::Said { author, .. } = &mut draft.content {
                    *author = self.identity(from).author();
                }
                let change = self.asking.change.take();
                let append = Append {
                    room,
                    from,
                    draft,
                    key: self.asking.key.take(),
                    request: self.asking.take_request(),
                    again: change.as_ref().and_then(|_| self.asking.again.take()),
                    change,
                };
                self.append(append, now);
            }
            // What a change leads to follows when it comes back.
            Effect::Enforce { .. } | Effect::Vacate { .. } if self.log.is_shared() => {}
            Effect::Change { change, to, event } => self.keep_change(*change, to, event, now),
            Effect::Notice {
                room,
                event,
                except,
            } => match (self.talk.chat().pair_of(room), except) {
                (Some(pair), _) => self.notify_pair((room, pair), &event, except, now),
                (None, None) => self.notify(room, &event, now),
                (None, Some(except)) => self.notify_others(room, &event, except, now),
            },
            Effect::Reply { to, event } => self.reply(to, &event, now),
            Effect::Tell { to, event } => {
                let left = match &event {
                    Event::YouWereKicked { room, .. } => Some(room),
                    Event::YouWereBanned { room, .. } => room.as_ref(),
                    _ => None,
                };
                if let Some(room) = left.and_then(|room| self.log.find(room)) {
                    // It may have been behind in the room that it was removed from.
                    self.catch_up.remove(to, room);
                    self.seats.leaves(to, room);
                }
                self.show(to, &Shown::Event(&event), now);
            }
            Effect::Ended { to, room, event } => {
                self.catch_up.remove(to, room);
                self.show(to, &Shown::Event(&event), now);
            }
            Effect::RoomIsEmpty { room } => self.log.member_left(room, now),
            Effect::Enforce { room, ban } => self.enforce(room, &ban, now),
            Effect::Vacate { room, by, reason } => self.vacate(room, &by, &reason, now),
            Effect::Purge {
                from,
                room,
                writer,
                seconds,
                is_answer,
            } => self.purge((from, room), *writer, seconds, is_answer, now),
            Effect::Report {
                from,
                room,
                of,
                reason,
            } => self.report_message((from, room), of, reason, now),
            Effect::ReadAudit {
                to,
                room,
                before,
                limit,
            } => self.read_audit(to, room, (before, limit), now),
            Effect::WrongToken { id } => self.wrong_token(id, now),
            Effect::Close { id, why } => self.bid_farewell(id, why, now),
        }
    }

    // Entries

    /// The log has numbered an entry: what it changes changes here, and the room is shown it.
    pub(super) fn ordered(&mut self, room: RoomId, entry: &Entry<'_>, now: Tick) {
        if self.talk.chat().changes_members(&entry.content) {
            self.settle_room(room, now);
        }
        self.talk.ordered(room, entry);
        self.show_entry(room, entry, now);
    }

    /// Shows an entry to its room.
    pub(super) fn show_entry(&mut self, room: RoomId, entry: &Entry<'_>, now: Tick) {
        let chat = self.talk.chat();
        let name = chat.room_name(room).filter(|name| !name.starts_with('@'));
        let Some(name) = name.cloned() else {
            return self.ordered_in_pair(room, entry, now);
        };
        let before = Seq(entry.seq.0 - 1);
        let shown = Shown::Entry { room: &name, entry };
        self.add_to_batch(room, &shown, before, false, now);
    }

    // Rooms

    /// Adds what a room is shown to its run. `before` is the newest entry before it.
    fn add_to_batch(
        &mut self,
        room: RoomId,
        shown: &Shown<'_>,
        before: Seq,
        is_notice: bool,
        now: Tick,
    ) {
        let limits = self.connections.limits();
        let speakers = self.talk.chat().speakers(room);
        loop {
            // Another one after the room was settled and members of it fell behind.
            let epoch = self.talk.chat().room_epoch(room);
            let before = Before {
                epoch,
                head: before,
            };
            let Some(runs) = self.batches.run(room, is_notice, before, limits) else {
                self.settle_room(room, now);
                continue;
            };
            for protocol in Protocol::ALL {
                let index = protocol.index();
                if speakers[index] > 0
                    && let Some(text) = self.encoder.text(shown, protocol)
                {
                    runs[index].push_text(text);
                }
            }
            return;
        }
    }

    fn notify(&mut self, room: RoomId, event: &Event, now: Tick) {
        // A room that has lost its last member may be gone.
        if self.talk.chat().members(room).is_empty() {
            return;
        }
        let head = self.log.head(room);
        self.add_to_batch(room, &Shown::Event(event), head, true, now);
        // Only here: a member that fell behind with the run before has not received it.
        self.talk.noticed(room);
    }

    fn notify_others(&mut self, room: RoomId, event: &Event, except: ConnId, now: Tick) {
        self.settle_room(room, now);
        self.talk.noticed(room);
        // If it is behind, it loses nothing by this one.
        self.catch_up.does_not_miss(except, room);
        let shown = Shown::Event(event);
        let frames = Protocol::ALL.map(|protocol| self.encoder.frame(&shown, protocol));
        let head = self.log.head(room);
        self.give_to_live(room, &frames, head, (true, Some(except)), now);
    }

    /// Gives the live members of a room what it was sent. Called before its live members change,
    /// and before anything else is queued for one of them.
    pub(super) fn settle_room(&mut self, room: RoomId, now: Tick) {
        if let Some(settled) = self.batches.take(room) {
            self.give(settled, now);
        }
    }

    /// The same for all rooms of a user.
    pub(super) fn settle_rooms_of(&mut self, id: ConnId, now: Tick) {
        if self.batches.is_empty() {
            return;
        }
        let mut index = 0;
        loop {
            let Some(room) = self.talk.chat().rooms_of(id).nth(index) else {
                return;
            };
            self.settle_room(room, now);
            index += 1;
        }
    }

    /// The same for all rooms.
    pub(super) fn settle(&mut self, now: Tick) {
        while let Some(settled) = self.batches.take_first() {
            self.give(settled, now);
        }
    }

    fn give(&mut self, settled: Settled, now: Tick) {
        let Settled {
            room,
            before,
            has_notices,
            frames,
        } = settled;
        assert_eq!(
            before.epoch,
            self.talk.chat().room_epoch(room),
            "the members of a room changed before what it was sent was delivered"
        );
        self.give_to_live(room, &frames, before.head, (has_notices, None), now);
    }

    /// A member whose outbox is full falls behind and reads on from the log, from the entry after
    /// `head`.
    fn give_to_live(
        &mut self,
        room: RoomId,
        frames: &Frames,
        head: Seq,
        (has_notices, except): (bool, Option<ConnId>),
        now: Tick,
    ) {
        let mut index = 0;
        while let Some(id) = self.talk.chat().live(room).get(index).copied() {
            if Some(id) == except || self.give_one(id, frames, now) {
                index += 1;
            } else {
                // The last live member takes this place.
                self.falls_behind(id, room, head, Purpose::Slow, has_notices);
            }
        }
        // Once for the run and not for each of its members, so that it costs them nothing.
        let is_live = |id| self.talk.chat().is_live(id, room);
        let given = index - usize::from(except.is_some_and(is_live));
        let messages = frames.iter().flatten().map(Frame::messages).max();
        self.tallies.deliveries += given as u64 * u64::from(messages.unwrap_or(0));
    }

    /// Queues a run. False: it does not fit. A full outbox is flushed first: it may be full only
    /// because nothing was flushed yet this turn.
    pub(super) fn give_one(&mut self, id: ConnId, frames: &Frames, now: Tick) -> bool {
        let limits = self.connections.limits();
        let Some(connection) = self.connections.get_mut(id) else {
            return true;
        };
        let Some(frame) = &frames[connection.protocol.index()] else {
            return true;
        };
        if !connection.state.outbox.has_room(frame, limits) {
            self.flush_one(id, now);
        }
        matches!(self.connections.push(id, frame.clone()), Pushed::Queued)
    }

    // Single clients

    /// Answers the request that is being handled.
    fn reply(&mut self, id: ConnId, event: &Event, now: Tick) {
        self.asking.is_answered = true;
        let request = self.asking.request.clone();
        let re = request.as_ref();
        self.show(id, &Shown::Reply { re, event }, now);
    }

    /// The chat has no more for a client. One of programs that was removed from its last room can
    /// join another.
    pub(super) fn bid_farewell(&mut self, id: ConnId, why: Farewell, now: Tick) {
        let protocol = self.connections.get_mut(id).map(|c| c.protocol);
        match why {
            Farewell::Quit => {
                self.forget_user(id);
                self.close(id, &CloseReason::Quit, now);
            }
            Farewell::Kicked { .. } if protocol == Some(Protocol::Json) => {}
            Farewell::Kicked { reason } => self.part(id, &CloseReason::Kicked { reason }, now),
            Farewell::Replaced => self.part(id, &CloseReason::Replaced, now),
            Farewell::LoggedOut => {
                self.forget_user(id);
                self.close(id, &CloseReason::LoginRequired, now);
            }
            Farewell::Banned {
                from_server: false, ..
            } if protocol == Some(Protocol::Json) => {}
            Farewell::Banned {
                notice,
                from_server,
            } => {
                if from_server {
                    // As after a ban from each of its rooms.
                    self.leave_for_good(id, now);
                }
                let sentence = moderate::sentence(&notice);
                self.part(id, &CloseReason::Banned { sentence }, now);
            }
        }
    }

    /// A user is gone: nothing is kept for it.
    pub(super) fn forget_user(&mut self, id: ConnId) {
        self.catch_up.forget(id);
        self.seats.forget(id);
        self.readings.forget(id);
        self.errands.forget(id);
        self.audits.forget(id);
        self.waiting.remove(id);
        self.letters.forget(id);
        self.parked.forget(id);
        self.acks.forget(id);
        self.under_way.forget(id);
        self.claims.forget(id);
        self.sessions.end(id);
        self.accounts.forget(id);
    }

    /// Shows a client something that is never dropped: a reply, a report, a last line.
    pub(super) fn show(&mut self, id: ConnId, shown: &Shown<'_>, now: Tick) {
        if self.orders.has(id) {
            return self.order_is_shown(id, shown, now);
        }
        // It must not overtake what a room of the client was sent earlier.
        self.settle_rooms_of(id, now);
        let Some(connection) = self.connections.get_mut(id) else {
            return;
        };
        if let Some(frame) = self.encoder.frame(shown, connection.protocol)
            && self.connections.push_reply(id, frame)
        {
            self.hold(id, Wait::Outbox, now);
        }
    }
}
