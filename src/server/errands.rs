//! Requests that look for messages before they act on them: purges and reports. While the store is
//! asked for what is not in memory, the connection is held. Knows no encoding and no right: the chat
//! decides what may be done with what was found.

use super::Server;
use super::ask::Asking;
use super::under_way::Sent;
use crate::chat::{Author, Content, Draft, Entry, Event, Form, Identity, Refused, Writer};
use crate::conn::Wait;
use crate::id::{ConnId, Millis, RoomId, Seq, Tick};
use crate::log::{Amendment, Judged, Reading};
use crate::net::Net;
use crate::wire::{Problem, RequestId, Shown};
use smol_str::SmolStr;
use std::collections::HashMap;
use std::mem;

/// Messages that one purge deletes: the newest.
const PURGED_MAX: usize = 1_000;
/// Entries that one purge looks at: a busy day. In memory that takes some 20 ms.
const LOOKED_AT_MAX: u32 = 100_000;
/// Entries that are read at a time, forwards, on the way back.
const STRETCH: u32 = 128;
/// Nicks of authors that are remembered: comparing looks takes longer than looking one up.
const NICKS_MAX: usize = 1_024;

/// All that wait for the store: one of each connection at most.
#[derive(Default)]
pub(super) struct Errands {
    waiting: Vec<Errand>,
}

struct Errand {
    from: ConnId,
    room: RoomId,
    request: Option<RequestId>,
    task: Task,
}

enum Task {
    Purge(Box<Purge>),
    Report { of: Seq, reason: String },
}

/// A purge that is under way.
struct Purge {
    writer: Writer,
    /// By what the writer's users are known.
    known: Vec<Identity>,
    /// Nothing older is meant.
    since: Millis,
    /// The request is answered by the outcome.
    is_answer: bool,
    /// All entries above this one have been looked at, but for those of the stretch.
    upto: Seq,
    /// None below this one is.
    least: Seq,
    stretch: Stretch,
    /// From the newest on.
    found: Vec<Found>,
    nicks: HashMap<SmolStr, bool>,
}

/// Entries that are being read, those after `after`: those up to the cursor were.
struct Stretch {
    after: Seq,
    cursor: Seq,
    /// One of them is too old, and so are all before it.
    is_last: bool,
    /// In their order.
    found: Vec<Found>,
}

/// A message of the writer.
#[derive(Clone, Copy)]
struct Found {
    seq: Seq,
    author: Author,
    /// What has changed it last.
    edit: Option<Seq>,
}

/// What came of reading on.
enum Read {
    /// All there is, or all that is wanted: of a report the author's nick and the text, if there is
    /// such a message.
    Done(Option<(SmolStr, String)>),
    Wait,
    Unreadable,
}

impl Errands {
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// A connection has ended: what it asked for is not done.
    pub(super) fn forget(&mut self, id: ConnId) {
        self.waiting.retain(|errand| errand.from != id);
    }

    /// A message was changed, which a purge has found.
    pub(super) fn amend(&mut self, room: RoomId, amendment: &Amendment<'_>) {
        for errand in self.waiting.iter_mut().filter(|errand| errand.room == room) {
            if let Task::Purge(purge) = &mut errand.task {
                purge.amend(amendment);
            }
        }
    }
}

impl Purge {
    fn amend(&mut self, amendment: &Amendment<'_>) {
        for found in [&mut self.found, &mut self.stretch.found] {
            found.retain_mut(|one| {
                let is_it = one.seq == amendment.of;
                if is_it {
                    one.edit = Some(amendment.by);
                }
                !is_it || amendment.text.is_some()
            });
        }
    }

    /// Looks at the next entry of the stretch.
    fn look(&mut self, entry: &Entry<'_>) {
        // No entry is older than one before it.
        let is_old = entry.at < self.since;
        self.stretch.is_last |= is_old;
        self.stretch.cursor = entry.seq;
        let Content::Said { author, form, .. } = entry.content else {
            return;
        };
        if is_old || form == Form::Deleted {
            return;
        }
        if self.writer.is(author, &self.known) || self.has_nick(entry.nick) {
            self.stretch.found.push(Found {
                seq: entry.seq,
                author,
                edit: form.edit(),
            });
        }
    }

    fn has_nick(&mut self, nick: &str) -> bool {
        if let Some(has) = self.nicks.get(nick) {
            return *has;
        }
        if self.nicks.len() >= NICKS_MAX {
            self.nicks.clear();
        }
        let has = self.writer.has_nick(nick);
        self.nicks.insert(SmolStr::new(nick), has);
        has
    }

    /// The stretch is read: the next one is before it. False: there is none.
    fn turns_back(&mut self, oldest: Seq) -> bool {
        self.found.extend(self.stretch.found.drain(..).rev());
        self.upto = self.stretch.after;
        let is_over = self.stretch.is_last || self.found.len() > PURGED_MAX;
        self.stretch.after = self.begin(oldest);
        self.stretch.cursor = self.stretch.after;
        !is_over && self.stretch.after < self.upto
    }

    /// The entry before the stretch that ends with `upto`.
    fn begin(&self, oldest: Seq) -> Seq {
        let first = Seq(oldest.0.max(self.least.0).saturating_sub(1));
        Seq(self.upto.0.saturating_sub(STRETCH)).max(first.min(self.upto))
    }
}

impl<N: Net> Server<N> {
    /// Deletes what a writer has said in a room in the last so many seconds.
    pub(super) fn purge(
        &mut self,
        (from, room): (ConnId, RoomId),
        writer: Writer,
        seconds: u32,
        is_answer: bool,
        now: Tick,
    ) {
        let request = if is_answer {
            self.asking.is_answered = true;
            self.asking.take_request()
        } else {
            None
        };
        let known = writer.users.iter().map(|user| self.identity(*user));
        let known = known.collect();
        let head = self.log.head(room);
        let mut purge = Purge {
            writer,
            known,
            since: Millis(self.net.wall().0.saturating_sub(u64::from(seconds) * 1000)),
            is_answer,
            upto: head,
            least: Seq(head.0.saturating_sub(LOOKED_AT_MAX - 1)),
            stretch: Stretch {
                after: head,
                cursor: head,
                is_last: false,
                found: Vec::new(),
            },
            found: Vec::new(),
            nicks: HashMap::new(),
        };
        purge.turns_back(self.log.oldest(room));
        let errand = Errand {
            from,
            room,
            request,
            task: Task::Purge(Box::new(purge)),
        };
        self.run_errand(errand, now);
    }

    /// Reads a message that a member reports.
    pub(super) fn report_message(
        &mut self,
        (from, room): (ConnId, RoomId),
        of: Seq,
        reason: String,
        now: Tick,
    ) {
        self.asking.is_answered = true;
        let errand = Errand {
            from,
            room,
            request: self.asking.take_request(),
            task: Task::Report { of, reason },
        };
        self.run_errand(errand, now);
    }

    /// A page of a room has come from the store, or could not be read: what waits for it goes on.
    pub(super) fn go_on_errands(&mut self, room: RoomId, now: Tick) {
        let waiting = mem::take(&mut self.errands.waiting);
        let (due, others) = waiting.into_iter().partition(|errand| errand.room == room);
        self.errands.waiting = others;
        for errand in due {
            let from = errand.from;
            if self.run_errand(errand, now) {
                self.release(from, Wait::Page, now);
            }
        }
    }

    /// What was read of a room so far may not be there any more: what waits for it fails.
    pub(super) fn stop_errands(&mut self, room: RoomId, now: Tick) {
        let waiting = mem::take(&mut self.errands.waiting);
        let (failed, others) = waiting.into_iter().partition(|errand| errand.room == room);
        self.errands.waiting = others;
        let failed: Vec<Errand> = failed;
        for errand in failed {
            self.fail_errand(&errand, now);
            self.release(errand.from, Wait::Page, now);
        }
    }

    /// The store has not answered in time. The connection is released by the caller.
    pub(super) fn errand_is_late(&mut self, id: ConnId, now: Tick) {
        let waiting = &mut self.errands.waiting;
        let place = waiting.iter().position(|errand| errand.from == id);
        if let Some(errand) = place.map(|place| waiting.swap_remove(place)) {
            self.fail_errand(&errand, now);
        }
    }

    fn fail_errand(&mut self, errand: &Errand, now: Tick) {
        let request = errand.request.as_ref();
        self.fail(errand.from, request, Problem::StoreUnavailable, now);
    }

    /// False: it waits for the store, and its connection is held.
    fn run_errand(&mut self, mut errand: Errand, now: Tick) -> bool {
        let chat = self.talk.chat();
        let is_there = chat.is_member(errand.from, errand.room) || chat.is_host(errand.from);
        if !self.log.is_open(errand.room) || !is_there {
            self.fail(
                errand.from,
                errand.request.as_ref(),
                Problem::NotAMember,
                now,
            );
            return true;
        }
        let read = match &mut errand.task {
            Task::Purge(purge) => self.read_back(errand.room, purge),
            Task::Report { of, .. } => self.read_reported(errand.room, *of),
        };
        match read {
            Read::Wait => {
                self.hold(errand.from, Wait::Page, now);
                self.errands.waiting.push(errand);
                return false;
            }
            Read::Unreadable => self.fail_errand(&errand, now),
            Read::Done(found) => {
                // Its answer is that to the request, which may have come long ago.
                let asking = Asking {
                    request: errand.request.clone(),
                    is_answered: true,
                    ..Asking::default()
                };
                let before = mem::replace(&mut self.asking, asking);
                match errand.task {
                    Task::Purge(purge) => self.delete((errand.from, errand.room), *purge, now),
                    Task::Report { of, reason } => {
                        let ends = (errand.from, errand.room);
                        self.hand_in(ends, (of, found), &reason, now);
                    }
                }
                self.asking = before;
            }
        }
        true
    }

    // Purges

    fn read_back(&mut self, room: RoomId, purge: &mut Purge) -> Read {
        loop {
            while purge.stretch.cursor < purge.upto {
                let (from, upto) = (purge.stretch.cursor, purge.upto);
                let reading = self.log.read(room, from, &mut |entry| {
                    let is_wanted = entry.seq <= upto;
                    if is_wanted {
                        purge.look(&entry);
                    }
                    is_wanted
                });
                match reading {
                    Reading::Read { .. } => {}
                    Reading::AtHead => break,
                    Reading::Gap { oldest } if oldest > self.log.oldest(room) => {
                        return Read::Unreadable;
                    }
                    // Removed while they were read.
                    Reading::Gap { oldest } => {
                        let before_oldest = Seq(oldest.0.saturating_sub(1));
                        purge.stretch.cursor = before_oldest.max(Seq(from.0 + 1));
                    }
                    Reading::Wait => return Read::Wait,
                }
            }
            if !purge.turns_back(self.log.oldest(room)) {
                return Read::Done(None);
            }
        }
    }

    /// Deletes what was found, as far as the user may still do that: all in this turn, and in the
    /// same commit as the row of the audit log.
    fn delete(&mut self, (from, room): (ConnId, RoomId), purge: Purge, now: Tick) {
        let identity = self.identity(from);
        let Some(by) = self.talk.chat().shown_as(from) else {
            return;
        };
        let when = self.now_of(from, now);
        let is_all = purge.stretch.is_last || purge.least <= self.log.oldest(room);
        let mut more = purge.found.len() > PURGED_MAX || !is_all;
        let mut count = 0;
        for found in purge.found.iter().take(PURGED_MAX).rev() {
            let account = match found.author {
                Author::Account(account) => Some(account),
                Author::Unknown | Author::Connection(_) | Author::Session(_) => None,
            };
            let claim = (identity.is(found.author), account);
            if !self.talk.chat().may_purge(from, room, claim) {
                continue;
            }
            let draft = Draft {
                nick: by.clone(),
                content: Content::Deleted { of: found.seq },
            };
            let judged = Judged {
                seen: self.changes.version,
                by: None,
            };
            if self.log.is_numbered_later(room)
                && let Ok(tag) = self.log.ask_number(room, &draft, None, None, judged)
            {
                self.is_under_way(tag, Sent::unanswered(from), now);
                count += 1;
                continue;
            }
            let numbered = self
                .log
                .append_deletion(room, &draft, found.edit, when.wall);
            let Ok((seq, at)) = numbered else {
                if count == 0 {
                    return self.answer_problem(from, Problem::StoreUnavailable, now);
                }
                more = true;
                break;
            };
            self.was_amended(room, seq, &draft.content, found.edit);
            self.ordered(room, &draft.numbered(seq, at), now);
            count += 1;
        }
        let (nick, is_answer) = (purge.writer.nick, purge.is_answer);
        self.chat_step(now, |chat, effects| {
            chat.has_purged((from, room), (&nick, count, more), is_answer, when, effects);
        });
    }

    // Reports

    fn read_reported(&mut self, room: RoomId, of: Seq) -> Read {
        let Some(before) = of.0.checked_sub(1) else {
            return Read::Done(None);
        };
        let mut found = None;
        let reading = self.log.read(room, Seq(before), &mut |entry| {
            if let Content::Said { text, form, .. } = entry.content
                && entry.seq == of
                && form != Form::Deleted
            {
                found = Some((SmolStr::new(entry.nick), text.to_owned()));
            }
            entry.seq == of
        });
        match reading {
            Reading::Wait => Read::Wait,
            Reading::Gap { oldest } if oldest > self.log.oldest(room) => Read::Unreadable,
            Reading::Read { .. } | Reading::AtHead | Reading::Gap { .. } => Read::Done(found),
        }
    }

    fn hand_in(
        &mut self,
        (from, room): (ConnId, RoomId),
        (of, found): (Seq, Option<(SmolStr, String)>),
        reason: &str,
        now: Tick,
    ) {
        let Some((nick, text)) = found else {
            let event = Event::Refused(Refused::NoSuchMessage);
            let request = self.asking.request.clone();
            let re = request.as_ref();
            return self.show(from, &Shown::Reply { re, event: &event }, now);
        };
        let when = self.now_of(from, now);
        self.chat_step(now, |chat, effects| {
            chat.has_reported((from, room), (of, &nick, &text), reason, when, effects);
        });
    }
}
