//! Messages that cannot be numbered now: each waits with its connection, which is held, until the
//! log takes it, or is refused with all that is held behind it. Refusing one and accepting the
//! next would break the order of the sender's messages.

use super::Server;
use super::acks::{Ack, UNACKED_MAX};
use super::again::Again;
use super::under_way::Sent;
use crate::carry::{Carrier, Damaged};
use crate::chat::{Author, Claim, Content, Draft, Event, Pair, Refused};
use crate::conn::Wait;
use crate::id::{ConnId, Millis, RoomId, Seq, Tick};
use crate::log::{
    Amendment, AppendRefused, Duplicate, Judged, Key, KnownMessage, Original, Proposed,
};
use crate::net::Net;
use crate::wire::{Done, Problem, RequestId, Shown};
use std::collections::{BTreeSet, VecDeque};
use std::mem;

/// When the store has failed for so long, messages do not wait for it any more, for their senders
/// could do nothing else meanwhile: 1 s, in which it has tried again three times.
const FAILING_TICKS: u32 = 10;

/// A draft on its way to the log.
#[derive(Debug)]
pub(super) struct Append {
    pub(super) room: RoomId,
    pub(super) from: ConnId,
    pub(super) draft: Draft,
    pub(super) key: Option<Key>,
    /// The request to be answered when the entry is stored.
    pub(super) request: Option<RequestId>,
    /// What the entry changes in the registry, where a shared engine orders it.
    pub(super) change: Option<Box<Proposed>>,
    /// The order that it is of, which may be handled again.
    pub(super) again: Option<Again>,
}

/// Drafts that wait, at most one of each connection, first come first served.
#[derive(Default)]
pub(super) struct Parked {
    waiting: VecDeque<Append>,
    /// Connections of which a draft was refused, and what is held behind it is not handled yet.
    refused: BTreeSet<ConnId>,
    /// The store fails, and what still waits for it then is refused.
    refuse_at: Option<Tick>,
}

impl Parked {
    /// No draft waits; some that were held behind a refused one may.
    pub(super) fn carry(&mut self, carrier: &mut Carrier<'_>) -> Result<(), Damaged> {
        carrier.field(&mut self.refused)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.refused.is_empty()
    }

    /// How many drafts wait.
    pub(super) fn count(&self) -> usize {
        self.waiting.len()
    }

    /// What they hold.
    pub(super) fn held_bytes(&self) -> usize {
        let texts = |append: &Append| match &append.draft.content {
            Content::Said { text, .. } | Content::Edited { text, .. } => text.capacity(),
            Content::Deleted { .. } => 0,
            Content::Kicked { by, reason } => by.capacity() + reason.capacity(),
            Content::Act { by, detail, .. } => by.capacity() + detail.capacity(),
        };
        let held = |append: &Append| size_of::<Append>() + texts(append);
        self.waiting.iter().map(held).sum()
    }

    /// Panics unless each draft is the one of a connection that is held for it. For tests.
    pub(super) fn check_invariants(&self, is_held: impl Fn(ConnId) -> bool) {
        let senders: BTreeSet<ConnId> = self.waiting.iter().map(|append| append.from).collect();
        assert_eq!(
            senders.len(),
            self.waiting.len(),
            "two drafts of one sender"
        );
        assert!(
            senders.iter().all(|id| is_held(*id)),
            "a sender goes on before its draft"
        );
    }

    /// When [`Server::refuse_unstorable`] has something to do.
    pub(super) const fn next_tick(&self) -> Option<Tick> {
        self.refuse_at
    }

    /// Whether what was held behind a refused draft is to be refused as well: only once.
    pub(super) fn is_refused(&mut self, id: ConnId) -> bool {
        self.refused.remove(&id)
    }

    /// The connection was held again before all that was held behind its draft was refused.
    pub(super) fn goes_on_refusing(&mut self, id: ConnId) {
        self.refused.insert(id);
    }

    /// A connection has ended.
    pub(super) fn forget(&mut self, id: ConnId) {
        self.remove(id);
        self.refused.remove(&id);
    }

    /// Takes the draft of a connection that has waited too long.
    fn remove(&mut self, id: ConnId) -> Option<Append> {
        let at = self.waiting.iter().position(|append| append.from == id)?;
        self.waiting.remove(at)
    }
}

/// What became of a draft.
enum Tried {
    /// It has a number or is refused: its sender is answered, or will be.
    Done,
    Later(Append, Delay),
}

/// Why a draft is not numbered now.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Delay {
    /// The log takes no drafts, not of other senders either.
    Log,
    /// The keys with which the sender's session sent are being read.
    Keys,
    /// The message that is to be changed is being read.
    Original,
}

/// Why a message is not changed.
enum Unchanged {
    /// It is being read.
    Later,
    /// It cannot be read.
    Unreadable,
    Refused(Refused),
}

impl<N: Net> Server<N> {
    /// Numbers a draft and gives it to its room. One that cannot be numbered waits, and its
    /// connection with it, unless the store has failed for [`FAILING_TICKS`].
    pub(super) fn append(&mut self, append: Append, now: Tick) {
        // An answer follows, however late.
        self.asking.is_answered |= append.request.is_some();
        let id = append.from;
        if self.is_refusing {
            self.refuse_append(append, now);
        } else if let Tried::Later(append, delay) = self.try_append(append, now) {
            self.hold(id, Wait::Number, now);
            let has_failed = |(ticks, _)| ticks >= FAILING_TICKS;
            if delay == Delay::Log && self.log.failing().is_some_and(has_failed) {
                self.refuse_held(append, now);
            } else {
                self.parked.waiting.push_back(append);
            }
        }
    }

    /// The log may take drafts again: those that wait are tried in order, until it takes no more.
    pub(super) fn retry_parked(&mut self, now: Tick) {
        let mut waiting = mem::take(&mut self.parked.waiting);
        while let Some(append) = waiting.pop_front() {
            let id = append.from;
            match self.try_again(append, now) {
                Tried::Done => self.release(id, Wait::Number, now),
                Tried::Later(append, Delay::Keys | Delay::Original) => {
                    self.parked.waiting.push_back(append);
                }
                Tried::Later(append, Delay::Log) => {
                    self.parked.waiting.push_back(append);
                    break;
                }
            }
        }
        self.parked.waiting.append(&mut waiting);
    }

    /// Entries were read: those among the drafts that change one of them may go on.
    pub(super) fn retry_amendments(&mut self, now: Tick) {
        let waits = |append: &Append| append.draft.content.amends().is_some();
        if self.parked.waiting.iter().any(waits) {
            self.retry_parked(now);
        }
    }

    /// The store has begun to fail, or works again.
    pub(super) fn store_fails(&mut self, fails: bool, now: Tick) {
        let at = self.parked.refuse_at.unwrap_or(now + FAILING_TICKS);
        self.parked.refuse_at = fails.then_some(at);
    }

    /// The drafts that wait for a store that has failed for too long are refused.
    pub(super) fn refuse_unstorable(&mut self, now: Tick) {
        if self.parked.refuse_at.take_if(|at| *at <= now).is_none() {
            return;
        }
        for append in mem::take(&mut self.parked.waiting) {
            let id = append.from;
            match self.try_again(append, now) {
                Tried::Done => self.release(id, Wait::Number, now),
                Tried::Later(append, Delay::Keys | Delay::Original) => {
                    self.parked.waiting.push_back(append);
                }
                Tried::Later(append, Delay::Log) => self.refuse_held(append, now),
            }
        }
    }

    /// Refuses a draft whose connection is held for it, and with it what is held behind it.
    fn refuse_held(&mut self, append: Append, now: Tick) {
        let id = append.from;
        self.parked.refused.insert(id);
        self.refuse_append(append, now);
        self.release(id, Wait::Number, now);
    }

    /// A draft has waited too long: it is refused.
    pub(super) fn refuse_parked(&mut self, id: ConnId, now: Tick) {
        if let Some(append) = self.parked.remove(id) {
            self.parked.refused.insert(id);
            self.refuse_append(append, now);
        }
    }

    fn refuse_append(&mut self, append: Append, now: Tick) {
        let request = append.request.as_ref();
        self.fail(append.from, request, Problem::StoreUnavailable, now);
    }

    /// A draft has waited, and its sender may have been muted or removed meanwhile.
    fn try_again(&mut self, mut append: Append, now: Tick) -> Tried {
        if !self.log.is_open(append.room) {
            self.refuse_append(append, now);
            return Tried::Done;
        }
        match self.may_still(&mut append, now) {
            Ok(()) => {
                let tried = self.try_append(append, now);
                // No step of the chat follows that would carry out what the entry causes.
                self.apply(now);
                tried
            }
            Err(why) => self.refuse_draft(&append, why, now),
        }
    }

    /// Whether the sender of a draft may still say it. It is said under the nick that the sender has.
    fn may_still(&mut self, append: &mut Append, now: Tick) -> Result<(), Refused> {
        let (from, room) = (append.from, append.room);
        let when = self.now_of(from, now);
        let pair = Pair::named(self.log.name(room));
        let (chat, draft) = (self.talk.chat(), &mut append.draft);
        match pair.filter(|_| matches!(draft.content, Content::Said { .. })) {
            Some(pair) => chat.may_still_write(from, pair, draft, when),
            None => chat.may_still_say(from, room, draft, when),
        }
    }

    fn refuse_draft(&mut self, append: &Append, why: Refused, now: Tick) -> Tried {
        let event = Event::Refused(why);
        let re = append.request.as_ref();
        self.show(append.from, &Shown::Reply { re, event: &event }, now);
        Tried::Done
    }

    fn try_append(&mut self, mut append: Append, now: Tick) -> Tried {
        let is_later = self.log.is_numbered_later(append.room);
        if let Some(key) = append.key.as_ref().filter(|_| !is_later) {
            match self.log.duplicate(key) {
                Duplicate::No => {}
                Duplicate::Acked { room, seq, at } => {
                    // Nearly always in the same room; of one that is closed the name is not known.
                    self.answer_again(&append, room.unwrap_or(append.room), seq, at, now);
                    return Tried::Done;
                }
                Duplicate::Unacked { room, seq, at } => {
                    self.acknowledge(append, room, seq, at, true, now);
                    return Tried::Done;
                }
                Duplicate::Unknown => return Tried::Later(append, Delay::Keys),
            }
        }
        let (room, from) = (append.room, append.from);
        let original = match self.original_of(&mut append) {
            Ok(original) => original,
            Err(Unchanged::Later) => return Tried::Later(append, Delay::Original),
            Err(Unchanged::Unreadable) => {
                self.refuse_append(append, now);
                return Tried::Done;
            }
            Err(Unchanged::Refused(why)) => return self.refuse_draft(&append, why, now),
        };
        if is_later {
            return self.ask_number(append, now);
        }
        let wall = self.net.wall();
        match self
            .log
            .append(room, &append.draft, append.key.clone(), wall)
        {
            Ok((seq, at)) => {
                if let Some(original) = original {
                    let before = original.form.edit();
                    self.was_amended(room, seq, &append.draft.content, before);
                }
                self.ordered(room, &append.draft.numbered(seq, at), now);
                if let (Content::Deleted { of }, Some(original)) = (&append.draft.content, original)
                    && !self.identity(from).is(original.author)
                {
                    let of = *of;
                    self.chat_step(now, |chat, effects| {
                        chat.has_deleted(from, room, of, wall, effects);
                    });
                }
                self.acknowledge(append, room, seq, at, false, now);
                Tried::Done
            }
            Err(AppendRefused::RoomFull) => {
                self.fail(from, append.request.as_ref(), Problem::RoomIsFull, now);
                Tried::Done
            }
            Err(AppendRefused::RoomFailed) => {
                self.refuse_append(append, now);
                Tried::Done
            }
            Err(AppendRefused::StoreFailing | AppendRefused::Full) => {
                Tried::Later(append, Delay::Log)
            }
        }
    }

    /// Hands a draft over to a shared engine.
    fn ask_number(&mut self, append: Append, now: Tick) -> Tried {
        let (room, key) = (append.room, append.key.clone());
        let change = append.change.clone();
        let by = matches!(append.draft.content, Content::Kicked { .. });
        // With what is said in a conversation goes that it was.
        let is_letter = matches!(append.draft.content, Content::Said { .. });
        let judged = Judged {
            seen: self.changes.version,
            by: by.then(|| self.talk.chat().role_of(append.from, room)),
        };
        match self
            .log
            .ask_number(room, &append.draft, key, change, judged)
        {
            Ok(tag) => {
                let sent = Sent {
                    conn: append.from,
                    request: append.request,
                    is_said: append.change.is_none() || is_letter,
                    again: append.again,
                };
                self.is_under_way(tag, sent, now);
                Tried::Done
            }
            Err(AppendRefused::RoomFull) => {
                let request = append.request.as_ref();
                self.fail(append.from, request, Problem::RoomIsFull, now);
                Tried::Done
            }
            Err(AppendRefused::Full) => Tried::Later(append, Delay::Log),
            Err(AppendRefused::StoreFailing | AppendRefused::RoomFailed) => {
                self.refuse_append(append, now);
                Tried::Done
            }
        }
    }

    /// What a draft depends on has changed at another server since. One that has waited for the link
    /// is handed over again if its sender may still speak; an order is handled again.
    pub(super) fn judge_again(&mut self, tag: u64, now: Tick) {
        let draft = self.log.under_way(tag).cloned();
        let (Some(draft), Some(from)) = (draft, self.under_way.sender_of(tag)) else {
            return;
        };
        let is_said = matches!(draft.draft.content, Content::Said { .. });
        if draft.change.is_some() && !is_said {
            if let Some(sent) = self.draft_answered(tag, now) {
                self.asks_again((from, sent.request), sent.again, now);
            }
            return;
        }
        let mut append = Append {
            room: draft.room,
            from,
            draft: draft.draft,
            key: None,
            request: None,
            change: None,
            again: None,
        };
        let Err(why) = self.still_may(&mut append, now) else {
            let judged = Judged {
                seen: self.changes.version,
                by: None,
            };
            return self.log.ask_number_again(tag, append.draft, judged);
        };
        append.request = self.draft_answered(tag, now).and_then(|sent| sent.request);
        match why {
            Unchanged::Refused(why) => {
                self.refuse_draft(&append, why, now);
            }
            Unchanged::Later | Unchanged::Unreadable => self.refuse_append(append, now),
        }
    }

    fn still_may(&mut self, append: &mut Append, now: Tick) -> Result<(), Unchanged> {
        self.may_still(append, now).map_err(Unchanged::Refused)?;
        self.original_of(append)?;
        Ok(())
    }

    /// The message that a draft changes, if it changes one and its sender may.
    fn original_of(&mut self, append: &mut Append) -> Result<Option<Original>, Unchanged> {
        let (of, is_deletion) = match &mut append.draft.content {
            Content::Edited { of, .. } => (of, false),
            Content::Deleted { of } => (of, true),
            Content::Said { .. } | Content::Kicked { .. } | Content::Act { .. } => return Ok(None),
        };
        let identity = self.identity(append.from);
        if *of == Seq(0) {
            let newest = self
                .log
                .newest_of(append.room, &|author| identity.is(author));
            *of = newest.ok_or(Unchanged::Refused(Refused::NoSuchMessage))?;
        }
        let original = match self.log.original(append.room, *of) {
            KnownMessage::Here(original) => original,
            KnownMessage::Missing => return Err(Unchanged::Refused(Refused::NoSuchMessage)),
            KnownMessage::Unreadable => return Err(Unchanged::Unreadable),
            KnownMessage::Wait => return Err(Unchanged::Later),
        };
        let claim = Claim {
            is_author: identity.is(original.author),
            account: match original.author {
                Author::Account(account) => Some(account),
                Author::Unknown | Author::Connection(_) | Author::Session(_) => None,
            },
            at: original.at,
            is_deletion,
        };
        let wall = self.net.wall();
        let judged = self
            .talk
            .chat()
            .may_amend(append.from, append.room, &claim, wall);
        judged.map_err(Unchanged::Refused)?;
        Ok(Some(original))
    }

    /// A message was changed, which the edit `before` had changed last: what was encoded and read of
    /// it before is not shown any more.
    pub(super) fn was_amended(
        &mut self,
        room: RoomId,
        by: Seq,
        content: &Content<String>,
        before: Option<Seq>,
    ) {
        let (of, text) = match content {
            Content::Edited { of, text } => (*of, Some(text.as_str())),
            Content::Deleted { of } => (*of, None),
            Content::Said { .. } | Content::Kicked { .. } | Content::Act { .. } => return,
        };
        for seq in [Some(of), before].into_iter().flatten() {
            self.blocks.drop_entry(room, seq, |(_, upto)| *upto);
        }
        let amendment = Amendment {
            of,
            by,
            text,
            before,
        };
        self.readings.amend(room, &amendment);
        self.errands.amend(room, &amendment);
    }

    /// A message is stored already: its sender is answered as the first time.
    fn answer_again(&mut self, append: &Append, room: RoomId, seq: Seq, at: Millis, now: Tick) {
        if let Some(id) = append.request.clone() {
            let ack = Ack {
                seq,
                at,
                conn: append.from,
                id,
                is_duplicate: true,
            };
            self.answer_stored(room, &ack, now);
        }
    }

    /// A message has a number: its sender is answered when it is stored.
    fn acknowledge(
        &mut self,
        append: Append,
        room: RoomId,
        seq: Seq,
        at: Millis,
        is_duplicate: bool,
        now: Tick,
    ) {
        let conn = append.from;
        let Some(id) = append.request else {
            return;
        };
        let ack = Ack {
            seq,
            at,
            conn,
            id,
            is_duplicate,
        };
        if self.log.stored(room) >= seq {
            self.answer_stored(room, &ack, now);
        } else if self.acks.push(room, ack) >= UNACKED_MAX {
            self.hold(conn, Wait::Acknowledgement, now);
        }
    }

    /// A room is stored up to `upto`.
    pub(super) fn stored(&mut self, room: RoomId, upto: Seq, now: Tick) {
        while let Some(ack) = self.acks.take(room, upto) {
            self.answer_stored(room, &ack, now);
            self.has_one_ack_less(ack.conn, now);
        }
    }

    /// No entry of a room after those that are stored will be: the messages that wait for it have
    /// failed.
    pub(super) fn not_stored(&mut self, room: RoomId, now: Tick) {
        while let Some(ack) = self.acks.take(room, Seq(u32::MAX)) {
            self.fail(ack.conn, Some(&ack.id), Problem::StoreUnavailable, now);
            self.has_one_ack_less(ack.conn, now);
        }
    }

    /// A connection that was held for as many as it may wait for goes on.
    fn has_one_ack_less(&mut self, id: ConnId, now: Tick) {
        if self.acks.count_of(id) + 1 == UNACKED_MAX {
            self.release(id, Wait::Acknowledgement, now);
        }
    }

    pub(super) fn answer_stored(&mut self, room: RoomId, ack: &Ack, now: Tick) {
        let name = self.name_for(ack.conn, room);
        let done = Done::Sent {
            room: &name,
            seq: ack.seq,
            time: ack.at,
            is_duplicate: ack.is_duplicate,
        };
        let re = Some(&ack.id);
        self.show(ack.conn, &Shown::Ok { re, done }, now);
    }
}
