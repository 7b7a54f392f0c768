//! The rooms that the log has open, and how far each has got. One room's part of the engine: what
//! came, what is missing, which epochs began. Knows no link and no bytes of Redis.
//!
//! A room gives its entries in order: those that were published as they come, and where one is
//! missing, those of the stream up to the newest that is known. Whatever came is compared with the
//! epochs that the room knows first.

use super::entry::Ready;
use super::messages::{Said, State, Turn};
use crate::chat::Content;
use crate::id::{RoomId, Seq};
use crate::log::{Answer, EpochInfo, Era, Kept, PageEntry, StoredRoom, Unnumbered};
use smol_str::SmolStr;
use std::collections::{HashMap, VecDeque};

/// Entries of a room that wait for those before them. What comes beyond is read from the stream.
const AHEAD_MAX: usize = 64;
/// Pages of a room that are read at the same time for what is missing, and the entries of each.
pub(super) const REFILLS_MAX: u8 = 2;
pub(super) const REFILL_ENTRIES: u32 = 64;

/// Whether what is published of a room comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// It is to be subscribed to.
    Wanted,
    /// It was asked what is kept of it. All that is published before the answer is in the answer.
    Asked,
    Live,
}

/// A page that the log reads.
#[derive(Clone, Copy, Debug)]
pub(super) struct Read {
    pub(super) log_gen: u64,
    pub(super) after: Seq,
    pub(super) entries_max: u32,
    pub(super) bytes_max: u32,
}

/// An entry that was numbered, and may not have come yet.
#[derive(Debug)]
struct Numbered {
    asked: Box<Unnumbered>,
    said: Said,
    /// How often Redis has said since what is kept of the room.
    states: u8,
}

/// What became of an entry that was numbered.
enum Fate {
    Waits,
    Came,
    /// It was in an epoch, or a part of one, that was lost.
    Lost,
}

#[derive(Debug)]
pub(super) struct Room {
    pub(super) id: RoomId,
    pub(super) name: SmolStr,
    number: StoredRoom,
    pub(super) stage: Stage,
    /// The log knows what is kept of it.
    is_told: bool,
    /// The epochs that the log knows, the newest last. None before the first answer.
    told: Vec<Turn>,
    /// Those that begin above what came: the log is told when it has what is before them.
    to_tell: VecDeque<Turn>,
    /// The newest entry that was given.
    pub(super) last: Seq,
    /// The newest that is known to be there.
    top: Seq,
    /// The newest that was there when tops were compared last.
    top_before: Seq,
    /// Entries that came before those before them did, without a gap.
    ahead: VecDeque<Ready>,
    /// What is missing was asked for up to here.
    asked_to: Seq,
    refills: u8,
    /// Answers of other generations are ignored.
    pub(super) refill_gen: u32,
    numbered: VecDeque<Numbered>,
    /// Pages that are read when the room is live.
    pub(super) reads: Vec<Read>,
    /// Its members at other servers are being read, and whether it is to be opened after that.
    seeing: Seeing,
    /// Redis may know others for the members that this server has in it.
    pub(super) is_untold: bool,
}

/// How far the members of a room at other servers are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Seeing {
    Not,
    Asked,
    /// The room waits for them.
    Awaited,
}

/// What a step of a room has led to, besides answers.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    /// Entries above `kept_to` are lost, of which `seen` was the newest here.
    pub(super) lost: Option<(Seq, Seq)>,
    pub(super) epochs: u64,
    /// Entries that are not kept any more.
    pub(super) missed: u64,
    /// A member was removed.
    pub(super) has_removed: bool,
    /// To be numbered again.
    pub(super) again: Vec<Unnumbered>,
}

impl Room {
    fn new(id: RoomId, name: SmolStr, number: StoredRoom) -> Self {
        Self {
            id,
            name,
            number,
            stage: Stage::Wanted,
            is_told: false,
            told: Vec::new(),
            to_tell: VecDeque::new(),
            last: Seq(0),
            top: Seq(0),
            top_before: Seq(0),
            ahead: VecDeque::new(),
            asked_to: Seq(0),
            refills: 0,
            refill_gen: 0,
            numbered: VecDeque::new(),
            reads: Vec::new(),
            seeing: Seeing::Not,
            is_untold: false,
        }
    }

    // Members

    pub(super) const fn sees(&mut self) {
        self.seeing = Seeing::Asked;
    }

    pub(super) fn is_seeing(&self) -> bool {
        self.seeing != Seeing::Not
    }

    /// It would be opened, if its members were known: it is opened then.
    pub(super) const fn awaits_members(&mut self) {
        self.seeing = Seeing::Awaited;
    }

    /// Its members are known. True: it is to be opened.
    pub(super) fn has_seen(&mut self) -> bool {
        std::mem::replace(&mut self.seeing, Seeing::Not) == Seeing::Awaited
    }

    pub(super) const fn is_told(&self) -> bool {
        self.is_told
    }

    /// The newest epoch that is known; `None`: none is yet.
    pub(super) fn current(&self) -> Option<EpochInfo> {
        let newest = self.to_tell.back().or_else(|| self.told.last());
        newest.map(|turn| turn.epoch)
    }

    /// The highest number of an epoch that the log knows of the room.
    pub(super) fn highest(&self) -> u32 {
        let told = self.told.iter().map(|turn| turn.epoch.epoch);
        told.max().unwrap_or(0)
    }

    pub(super) fn unnumbered(&self) -> usize {
        self.numbered.len()
    }

    /// The link is down: what was under way is not answered.
    pub(super) fn cut(&mut self) {
        self.stage = Stage::Wanted;
        self.seeing = Seeing::Not;
        self.is_untold = self.is_told;
        self.refills = 0;
        self.refill_gen = self.refill_gen.wrapping_add(1);
        self.ahead.clear();
        self.numbered.clear();
    }

    /// The room is asked what is kept of it: until then nothing that comes counts.
    pub(super) fn ask(&mut self) {
        self.stage = Stage::Asked;
        self.refills = 0;
        self.refill_gen = self.refill_gen.wrapping_add(1);
        self.ahead.clear();
    }

    /// What is kept of the room came, as the answer to a question.
    pub(super) fn answer_came(&mut self, state: State, out: &mut Vec<Answer>) -> Outcome {
        for one in &mut self.numbered {
            one.states = one.states.saturating_add(1);
        }
        self.state_came(state, out)
    }

    /// The same, or as it was published.
    pub(super) fn state_came(&mut self, state: State, out: &mut Vec<Answer>) -> Outcome {
        let mut outcome = Outcome::default();
        self.ask();
        self.stage = Stage::Live;
        if self.is_told {
            self.compare(&state, &mut outcome, out);
        } else {
            self.is_told = true;
            self.last = state.head;
            out.push(self.opened(&state));
            self.told = state.turns;
        }
        self.top = state.head.max(self.last);
        self.top_before = self.last;
        self.asked_to = self.last;
        self.tell_epochs(&mut outcome, out);
        self.settle(&mut outcome, out);
        outcome
    }

    fn opened(&self, state: &State) -> Answer {
        let eras = state.turns.iter().map(|turn| Era {
            epoch: turn.epoch.epoch,
            first: turn.first,
        });
        Answer::Opened {
            room: self.id,
            kept: Some(Kept {
                stored_room: self.number,
                oldest: state.oldest,
                head: state.head,
                at: state.at,
                eras: eras.collect(),
                salts: state.turns.iter().map(|turn| turn.epoch.salt).collect(),
            }),
        }
    }

    /// Up to where the room's past is what was seen of it: to the end of the newest epoch that both
    /// know, in either list. What follows in the list of Redis is to be told; what was seen
    /// beyond it is lost.
    fn compare(&mut self, state: &State, outcome: &mut Outcome, out: &mut Vec<Answer>) {
        let place = |epoch| state.turns.iter().position(|turn| turn.epoch == epoch);
        let both = self.told.iter().enumerate().rev();
        let common = both
            .filter_map(|(ours, turn)| Some((ours, place(turn.epoch)?)))
            .next();
        let (kept_to, new) = match common {
            None => (Seq(0), &state.turns[..]),
            Some((ours, theirs)) => {
                let seen_to = end_of(&self.told, ours).unwrap_or(self.last);
                let kept_to = end_of(&state.turns, theirs).unwrap_or(state.head);
                (
                    kept_to.min(seen_to).min(self.last),
                    &state.turns[theirs + 1..],
                )
            }
        };
        self.to_tell.clear();
        if kept_to < self.last {
            let Some(newest) = state.turns.last() else {
                return;
            };
            outcome.lost = Some((kept_to, self.last));
            outcome.epochs += 1;
            self.last = kept_to;
            self.told.clone_from(&state.turns);
            out.push(self.epoch(kept_to, newest.epoch));
        } else {
            self.to_tell.extend(new);
        }
    }

    fn epoch(&self, kept_to: Seq, epoch: EpochInfo) -> Answer {
        Answer::Epoch {
            room: self.id,
            kept_to,
            epoch,
        }
    }

    /// Tells of the epochs before which nothing is missing any more.
    fn tell_epochs(&mut self, outcome: &mut Outcome, out: &mut Vec<Answer>) {
        while let Some(turn) = self.to_tell.front()
            && turn.first.0 <= self.last.0.saturating_add(1)
        {
            let turn = *turn;
            self.to_tell.pop_front();
            let before = self.highest();
            self.told.push(turn);
            // One that is not above what the log knows is over: the current one is.
            if turn.epoch.epoch > before {
                outcome.epochs += 1;
                let kept_to = Seq(turn.first.0.saturating_sub(1));
                out.push(self.epoch(kept_to, turn.epoch));
            }
        }
    }

    /// An entry was published in the current epoch.
    pub(super) fn published(&mut self, entry: Ready, outcome: &mut Outcome, out: &mut Vec<Answer>) {
        let seq = entry.seq;
        if seq <= self.last {
            return;
        }
        self.top = self.top.max(seq);
        if self.is_next(seq) && self.refills == 0 && self.ahead.is_empty() {
            self.give(entry, outcome, out);
            self.settle(outcome, out);
            return;
        }
        let follows = self
            .ahead
            .back()
            .is_none_or(|before| before.seq.next() == Some(seq));
        if follows && self.ahead.len() < AHEAD_MAX {
            self.ahead.push_back(entry);
        } else {
            // The stream has them.
            self.ahead.clear();
        }
    }

    /// An entry is there, which did not come.
    pub(super) fn is_there(&mut self, seq: Seq) {
        self.top = self.top.max(seq);
        self.ahead.clear();
    }

    fn is_next(&self, seq: Seq) -> bool {
        self.last.next() == Some(seq)
    }

    fn give(&mut self, entry: Ready, outcome: &mut Outcome, out: &mut Vec<Answer>) {
        self.last = entry.seq;
        outcome.has_removed |= matches!(entry.draft.content, Content::Kicked { .. });
        out.push(Answer::Entry {
            room: self.id,
            entry: PageEntry {
                seq: entry.seq,
                at: entry.at,
                draft: entry.draft,
            },
            by: entry.by,
        });
        self.tell_epochs(outcome, out);
    }

    /// Entries before `oldest` that did not come are not kept.
    pub(super) fn skip(&mut self, oldest: Seq, outcome: &mut Outcome, out: &mut Vec<Answer>) {
        let last = Seq(oldest.0.saturating_sub(1));
        if last <= self.last {
            return;
        }
        outcome.missed += u64::from(last.0 - self.last.0);
        self.last = last;
        self.top = self.top.max(last);
        self.tell_epochs(outcome, out);
        out.push(Answer::Gap {
            room: self.id,
            oldest,
        });
    }

    // What is missing

    /// The next page to be read; `None`: nothing is missing, or enough is under way.
    pub(super) fn next_refill(&mut self) -> Option<(Seq, Seq)> {
        if self.stage != Stage::Live || self.refills >= REFILLS_MAX {
            return None;
        }
        if self.refills == 0 {
            self.asked_to = self.last;
        }
        let wanted = match self.ahead.front() {
            Some(first) => Seq(first.seq.0 - 1),
            None => self.top,
        };
        let first = self.asked_to.next().filter(|first| *first <= wanted)?;
        let last = wanted.min(Seq(first.0.saturating_add(REFILL_ENTRIES - 1)));
        self.refills += 1;
        self.asked_to = last;
        Some((first, last))
    }

    /// Whether nothing is being read.
    pub(super) const fn is_whole(&self) -> bool {
        self.refills == 0
    }

    /// An entry of the stream. Those that came before are ignored, and one that does not follow
    /// ends the page.
    pub(super) fn refilled(&mut self, entry: Ready, outcome: &mut Outcome, out: &mut Vec<Answer>) {
        if self.is_next(entry.seq) {
            self.give(entry, outcome, out);
        }
    }

    /// A page from `first` to `last` was read, whose entries came.
    pub(super) fn refill_ends(&mut self, outcome: &mut Outcome, out: &mut Vec<Answer>) {
        self.refills = self.refills.saturating_sub(1);
        while let Some(entry) = self.ahead.pop_front() {
            if entry.seq > self.last && !self.is_next(entry.seq) {
                self.ahead.push_front(entry);
                break;
            }
            if entry.seq > self.last {
                self.give(entry, outcome, out);
            }
        }
        self.settle(outcome, out);
    }

    /// The newest entry that there is, asked for regularly. Whether some did not come: one that was
    /// there at the last time should be here.
    pub(super) fn top_came(&mut self, head: Seq) -> bool {
        let is_behind = self.top_before > self.last && self.refills == 0;
        self.top_before = head;
        if is_behind {
            self.top = self.top.max(head);
        }
        is_behind
    }

    // What was numbered

    /// An entry of this server was numbered.
    pub(super) fn said(&mut self, asked: Box<Unnumbered>, said: Said) {
        let states = 0;
        self.numbered.push_back(Numbered {
            asked,
            said,
            states,
        });
    }

    /// Whether entries of this server are in epochs that are not known: Redis is to be asked.
    pub(super) fn is_ahead(&self) -> bool {
        self.stage == Stage::Live
            && self.numbered.iter().any(|one| {
                let mut known = self.told.iter().chain(&self.to_tell);
                !known.any(|turn| turn.epoch == one.said.epoch)
            })
    }

    /// Answers for those of which it is known what became.
    pub(super) fn settle(&mut self, outcome: &mut Outcome, out: &mut Vec<Answer>) {
        if self.numbered.is_empty() || !self.is_told {
            return;
        }
        let mut waiting = VecDeque::new();
        for one in std::mem::take(&mut self.numbered) {
            match self.fate(&one) {
                Fate::Waits => waiting.push_back(one),
                Fate::Lost => outcome.again.push(*one.asked),
                Fate::Came => out.push(Answer::Numbered {
                    room: self.id,
                    tag: one.asked.tag,
                    seq: one.said.seq,
                    at: one.said.at,
                    is_duplicate: one.said.is_duplicate,
                }),
            }
        }
        self.numbered = waiting;
    }

    fn fate(&self, one: &Numbered) -> Fate {
        let said = one.said;
        if let Some(place) = self.told.iter().position(|turn| turn.epoch == said.epoch) {
            return match end_of(&self.told, place) {
                Some(end) if said.seq > end => Fate::Lost,
                _ if said.seq <= self.last => Fate::Came,
                // It may be above the end of its epoch, if others are still to be told.
                _ => match self.to_tell.front() {
                    Some(next) if said.seq >= next.first => Fate::Lost,
                    _ => Fate::Waits,
                },
            };
        }
        let is_to_come = self.to_tell.iter().any(|turn| turn.epoch == said.epoch);
        // The first answer may be one to a question that was asked before the entry was numbered.
        if !is_to_come && self.stage == Stage::Live && one.states > 1 {
            Fate::Lost
        } else {
            Fate::Waits
        }
    }
}

/// The last entry of an epoch in a list; `None`: it is the current one.
fn end_of(turns: &[Turn], place: usize) -> Option<Seq> {
    let ends = turns[place + 1..].iter().map(|next| next.first);
    ends.min().map(|first| Seq(first.0.saturating_sub(1)))
}

/// All rooms, by id and by name.
#[derive(Debug, Default)]
pub(super) struct Rooms {
    slots: Vec<Option<Box<Room>>>,
    names: HashMap<SmolStr, RoomId>,
    /// The number of each room that was ever open.
    numbers: HashMap<SmolStr, StoredRoom>,
    pub(super) count: usize,
}

impl Rooms {
    pub(super) fn insert(&mut self, id: RoomId, name: SmolStr) {
        let next = StoredRoom(self.numbers.len() as u32 + 1);
        let number = *self.numbers.entry(name.clone()).or_insert(next);
        let slot = id.slot() as usize;
        if slot >= self.slots.len() {
            self.slots.resize_with(slot + 1, || None);
        }
        if let Some(before) = self.slots[slot].take() {
            self.names.remove(&before.name);
            self.count -= 1;
        }
        self.names.insert(name.clone(), id);
        self.slots[slot] = Some(Box::new(Room::new(id, name, number)));
        self.count += 1;
    }

    pub(super) fn remove(&mut self, id: RoomId) -> Option<Box<Room>> {
        self.get(id)?;
        let room = self.slots[id.slot() as usize].take()?;
        self.names.remove(&room.name);
        self.count -= 1;
        Some(room)
    }

    pub(super) fn get(&self, id: RoomId) -> Option<&Room> {
        let room = self.slots.get(id.slot() as usize)?.as_deref()?;
        (room.id == id).then_some(room)
    }

    pub(super) fn get_mut(&mut self, id: RoomId) -> Option<&mut Room> {
        let room = self.slots.get_mut(id.slot() as usize)?.as_deref_mut()?;
        (room.id == id).then_some(room)
    }

    pub(super) fn find(&self, name: &str) -> Option<RoomId> {
        self.names.get(name).copied()
    }

    /// The number of a room, if it was ever open.
    pub(super) fn number(&self, name: &str) -> Option<StoredRoom> {
        self.numbers.get(name).copied()
    }

    pub(super) fn each_mut(&mut self) -> impl Iterator<Item = &mut Room> {
        self.slots.iter_mut().filter_map(Option::as_deref_mut)
    }

    pub(super) fn each(&self) -> impl Iterator<Item = &Room> {
        self.slots.iter().filter_map(Option::as_deref)
    }

    /// The next live rooms from a slot on, at most so many, and where to go on.
    pub(super) fn live_from(&self, slot: usize, count: usize) -> (Vec<RoomId>, usize) {
        let mut found = Vec::new();
        let mut next = slot;
        while next < self.slots.len() && found.len() < count {
            if let Some(room) = self.slots[next].as_deref()
                && room.stage == Stage::Live
            {
                found.push(room.id);
            }
            next += 1;
        }
        let next = if next >= self.slots.len() { 0 } else { next };
        (found, next)
    }
}
