//! What differs where other servers share the store and it numbers the entries: drafts are handed
//! over and numbered later, rooms have epochs of their own, and the link to the engine may be lost.
//! Own entries and those of other servers come by one path. Knows no connection and no network.
//!
//! What the engine has numbered it has: nothing of a room waits to be stored.

use super::nodes::NodesRequest;
use super::store::{
    EpochInfo, Judged, Kept, Key, PageEntry, Proposed, Request, Started, Unnumbered, Version,
};
use super::{AppendRefused, ERAS_MAX, Log, Since, written};
use crate::chat::registry::Change;
use crate::chat::{Content, Counts, Draft, Moves};
use crate::id::{RoomId, Seq, Tick};
use smol_str::{SmolStr, format_smolstr};
use std::collections::{BTreeMap, VecDeque};

/// How long a draft waits, from when it was handed over, while the link is lost: 30 s. Then it is
/// refused.
pub const CUT_OFF_TICKS: u32 = 30 * 10;

/// What is known of a shared engine.
pub(super) struct Engine {
    /// Of this start of this server.
    salt: u32,
    tag: u64,
    /// Drafts that were not answered, in the order in which they were handed over.
    under_way: BTreeMap<u64, Unnumbered>,
    /// When each of them was handed over first: later ones no earlier.
    since: BTreeMap<u64, Tick>,
    bytes: usize,
    /// Changes of the registry that were not answered, by number.
    changes: BTreeMap<u64, (Proposed, Tick)>,
    /// The newest epochs of each room, oldest first, and where each began.
    epochs: BTreeMap<RoomId, VecDeque<(EpochInfo, Seq)>>,
    cut_off_since: Option<Tick>,
}

/// What an entry that came has changed in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entered {
    /// The edit that had changed the message before which the entry changes.
    pub before: Option<Seq>,
}

/// A room goes on in a new epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Begun {
    /// The newest entry that is kept of those that had come.
    pub head: Seq,
    /// Entries that had come are lost.
    pub has_lost: bool,
}

impl Engine {
    pub(super) fn new(started: &Started) -> Self {
        let salt = started.epochs.last().map_or(0, |epoch| epoch.salt);
        Self {
            salt,
            tag: 0,
            under_way: BTreeMap::new(),
            since: BTreeMap::new(),
            bytes: 0,
            changes: BTreeMap::new(),
            epochs: BTreeMap::new(),
            cut_off_since: None,
        }
    }

    /// The room is open, or open anew.
    pub(super) fn opened(&mut self, room: RoomId, kept: &Kept) {
        let epochs = kept.eras.iter().zip(&kept.salts).map(|(era, salt)| {
            let (epoch, salt) = (era.epoch, *salt);
            (EpochInfo { epoch, salt }, era.first)
        });
        self.epochs.insert(room, epochs.collect());
    }

    pub(super) fn dropped(&mut self, room: RoomId) {
        self.epochs.remove(&room);
    }

    /// The present epoch of a room, as clients see it.
    pub(super) fn epoch(&self, room: RoomId) -> Option<SmolStr> {
        let (epoch, _) = self.epochs.get(&room)?.back()?;
        Some(written(*epoch, 0))
    }

    /// Where a client stands that saw the entry `seq` in an epoch of a room. What an epoch kept of
    /// an earlier one may be lost with a later one: the least of them counts.
    pub(super) fn since(&self, room: RoomId, epoch: &str, seq: Seq, head: Seq) -> Since {
        let Some(epochs) = self.epochs.get(&room) else {
            return Since::Unknown;
        };
        let known = epochs
            .iter()
            .position(|(known, _)| written(*known, 0) == epoch);
        let Some(known) = known else {
            return Since::Unknown;
        };
        let ends = epochs.iter().skip(known + 1);
        let ends = ends.map(|(_, first)| Seq(first.0.saturating_sub(1)));
        let last = ends.min().unwrap_or(head).min(head);
        Since::At {
            at: seq.min(last),
            rewound: (seq > last).then_some(last),
        }
    }

    /// Whether a client that was told of `epoch` and `seq` by another server has more than this one
    /// knows yet: a newer epoch, or a later entry of the present one.
    pub(super) fn is_behind(&self, room: RoomId, epoch: &str, seq: Seq, head: Seq) -> bool {
        let Some(epochs) = self.epochs.get(&room) else {
            return false;
        };
        let Some((present, _)) = epochs.back() else {
            return false;
        };
        if written(*present, 0) == epoch {
            return seq > head;
        }
        if epochs.iter().any(|(known, _)| written(*known, 0) == epoch) {
            return false;
        }
        let number = epoch
            .split_once('-')
            .and_then(|(number, _)| number.parse().ok());
        number.is_some_and(|number: u32| number > present.epoch)
    }

    const fn is_cut_off(&self) -> bool {
        self.cut_off_since.is_some()
    }

    /// When the first of what waits for the link is to be refused.
    pub(super) fn due(&self) -> Option<Tick> {
        [self.draft_due(), self.change_due()]
            .into_iter()
            .flatten()
            .min()
    }

    fn draft_due(&self) -> Option<Tick> {
        let since = self.since.values().next().filter(|_| self.is_cut_off())?;
        Some(*since + CUT_OFF_TICKS)
    }

    fn change_due(&self) -> Option<Tick> {
        let (_, since) = self.changes.values().next().filter(|_| self.is_cut_off())?;
        Some(*since + CUT_OFF_TICKS)
    }

    fn remove(&mut self, tag: u64) -> Option<RoomId> {
        let draft = self.under_way.remove(&tag)?;
        self.since.remove(&tag);
        self.bytes -= held_bytes(&draft);
        Some(draft.room)
    }

    pub(super) fn check_invariants(&self) {
        let bytes: usize = self.under_way.values().map(held_bytes).sum();
        assert_eq!(bytes, self.bytes);
        assert!(self.since.keys().eq(self.under_way.keys()));
        assert!(self.since.values().is_sorted());
        let newest = self.under_way.last_key_value();
        assert!(newest.is_none_or(|(tag, _)| *tag <= self.tag));
    }
}

fn held_bytes(draft: &Unnumbered) -> usize {
    size_of::<Unnumbered>() + draft.draft.nick.len() + draft.draft.content.text_bytes()
}

impl Log {
    /// Other servers share the engine that numbers entries.
    pub const fn is_shared(&self) -> bool {
        self.engine.is_some()
    }

    /// Entries of the room are numbered by a shared engine: by [`Log::ask_number`] and not by
    /// [`Log::append`].
    pub fn is_numbered_later(&self, room: RoomId) -> bool {
        self.engine.is_some() && !self.room(room).is_in_memory
    }

    /// Hands a draft over to the shared engine, or keeps it until the link is back. Returns its
    /// tag: [`super::Answer::Numbered`] or [`super::Answer::Refused`] follows, or [`Log::give_up`] has it. The
    /// room stays until then.
    ///
    /// # Errors
    /// It was not taken.
    pub fn ask_number(
        &mut self,
        room: RoomId,
        draft: &Draft,
        key: Option<Key>,
        change: Option<Box<Proposed>>,
        judged: Judged,
    ) -> Result<u64, AppendRefused> {
        let is_said = matches!(draft.content, Content::Said { .. } | Content::Edited { .. });
        let bytes_max = if is_said {
            self.space_for_said()
        } else {
            self.unstored_max
        };
        let open = self.room(room);
        open.head.next().ok_or(AppendRefused::RoomFull)?;
        let name = open.name.clone();
        let now = self.now;
        let engine = self.engine.as_mut().ok_or(AppendRefused::RoomFailed)?;
        let cut_off = engine.cut_off_since;
        if cut_off.is_some_and(|since| since + CUT_OFF_TICKS <= now) {
            return Err(AppendRefused::StoreFailing);
        }
        let tag = engine.tag + 1;
        let key = key.unwrap_or_else(|| Key {
            session: 0,
            key: format_smolstr!("{:08x}-{tag}", engine.salt),
        });
        let unnumbered = Unnumbered {
            tag,
            room,
            name,
            draft: draft.clone(),
            key,
            change,
            judged,
            has_waited: false,
        };
        let bytes = held_bytes(&unnumbered);
        // Alone, one of any length may wait.
        if engine.bytes > 0 && engine.bytes + bytes > bytes_max {
            return Err(AppendRefused::Full);
        }
        engine.tag = tag;
        engine.bytes += bytes;
        engine.under_way.insert(tag, unnumbered.clone());
        engine.since.insert(tag, now);
        if !engine.is_cut_off() {
            self.outgoing.push(Request::Number(Box::new(unnumbered)));
        }
        self.member_joined(room);
        Ok(tag)
    }

    /// A draft was answered. False: it was not under way any more.
    pub fn was_answered(&mut self, tag: u64) -> bool {
        let Some(room) = self.engine.as_mut().and_then(|engine| engine.remove(tag)) else {
            return false;
        };
        self.member_left(room, self.now);
        true
    }

    /// A draft that is not answered yet.
    pub fn under_way(&self, tag: u64) -> Option<&Unnumbered> {
        self.engine.as_ref()?.under_way.get(&tag)
    }

    /// A draft was refused because another server has made a change since it was judged, and it was
    /// judged again: it is handed over once more, in its old place before those that followed it.
    pub fn ask_number_again(&mut self, tag: u64, draft: Draft, judged: Judged) {
        let Some(engine) = &mut self.engine else {
            return;
        };
        let is_cut_off = engine.is_cut_off();
        let Some(again) = engine.under_way.get_mut(&tag) else {
            return;
        };
        engine.bytes -= held_bytes(again);
        (again.draft, again.judged, again.has_waited) = (draft, judged, false);
        engine.bytes += held_bytes(again);
        if !is_cut_off {
            self.outgoing.push(Request::Number(Box::new(again.clone())));
        }
    }

    /// The engine has numbered an entry, of this server or of another one. `None`: the room is not
    /// open, or the entry has come already.
    pub fn enter(&mut self, room: RoomId, entry: &PageEntry) -> Option<Entered> {
        let open = self.rooms.get(room).filter(|open| !open.is_opening)?;
        if open.head.next() != Some(entry.seq) {
            return None;
        }
        let is_read = open.reading.is_some();
        let entry = entry.as_entry();
        let before = self.edit_before(room, &entry.content);
        let rooms = &self.rooms;
        let is_stored = |slot, seq| rooms.at(slot).is_none_or(|room| seq <= room.stored);
        let kept = self.tail.append(room.slot(), &entry, is_stored, self.now);
        if kept.is_err() {
            // Reading goes on with pages of the engine.
            self.tail.forget(room.slot());
        }
        self.amend(room, entry.seq, &entry.content, before);
        if is_read && entry.content.amends().is_some() {
            // The page may be in the older form.
            let log_gen = self.new_gen();
            self.room_mut(room).log_gen = log_gen;
        }
        let open = self.room_mut(room);
        open.head = entry.seq;
        open.stored = entry.seq;
        open.at = entry.at;
        Some(Entered { before })
    }

    /// Entries before `oldest` that did not come are not kept any more. Returns the newest that
    /// came; `None`: none is missing, or the room is not open.
    pub fn skip(&mut self, room: RoomId, oldest: Seq) -> Option<Seq> {
        let open = self.rooms.get(room).filter(|open| !open.is_opening)?;
        let (head, last) = (open.head, Seq(oldest.0.saturating_sub(1)));
        if last <= head {
            self.retained(room, oldest);
            return None;
        }
        self.forget_entries(room);
        let open = self.room_mut(room);
        (open.head, open.stored, open.oldest) = (last, last, oldest);
        Some(head)
    }

    /// What was numbered above `kept_to` is lost, and a room goes on from there in a new epoch.
    /// `None`: it is not open, or in that epoch already.
    pub fn begin_epoch(&mut self, room: RoomId, kept_to: Seq, epoch: EpochInfo) -> Option<Begun> {
        let open = self.rooms.get(room).filter(|open| !open.is_opening)?;
        let head = open.head.min(kept_to);
        let has_lost = head < open.head;
        let epochs = self.engine.as_mut()?.epochs.entry(room).or_default();
        if epochs.back().is_some_and(|(present, _)| *present == epoch) {
            return None;
        }
        epochs.push_back((epoch, Seq(kept_to.0.saturating_add(1))));
        if epochs.len() > ERAS_MAX {
            epochs.pop_front();
        }
        // All of the room: what is kept may be in a form that an entry has given it which is not.
        self.forget_entries(room);
        let open = self.room_mut(room);
        open.oldest = open.oldest.min(Seq(head.0.saturating_add(1)));
        (open.head, open.stored) = (head, head);
        Some(Begun { head, has_lost })
    }

    /// What memory has of a room's entries is asked of the engine again.
    fn forget_entries(&mut self, id: RoomId) {
        self.tail.forget(id.slot());
        self.pages.drop_room(id);
        let log_gen = self.new_gen();
        let room = self.room_mut(id);
        room.log_gen = log_gen;
        room.unreadable = None;
    }

    /// The link to the engine was lost, or is back: then what was not answered is asked again, in
    /// order and with the same keys. False: that was known.
    pub fn link_changes(&mut self, is_up: bool) -> bool {
        let now = self.now;
        let Some(engine) = &mut self.engine else {
            return false;
        };
        if is_up != engine.is_cut_off() {
            return false;
        }
        if is_up {
            engine.cut_off_since = None;
            let changes = engine.changes.values();
            let changes = changes.map(|(change, _)| Request::Propose(Box::new(change.clone())));
            // By what the first was judged: where one is to be judged again, those that follow it
            // are as well, and none of them overtakes it.
            let first = engine.under_way.values().next();
            let seen = first.and_then(|draft| draft.judged.seen);
            let again = engine.under_way.values_mut().map(|draft| {
                draft.has_waited = true;
                draft.judged.seen = seen;
                Request::Number(Box::new(draft.clone()))
            });
            self.outgoing.extend(changes.chain(again));
        } else {
            engine.cut_off_since = Some(now);
            let is_kept = |request: &Request| {
                !matches!(
                    request,
                    Request::Number(_)
                        | Request::Propose(_)
                        | Request::Present { .. }
                        | Request::Count(_)
                )
            };
            self.outgoing.retain(is_kept);
        }
        true
    }

    /// Asks a shared engine something about the servers that share it.
    pub fn ask_of_nodes(&mut self, request: NodesRequest) {
        self.outgoing.push(Request::Nodes(request));
    }

    /// Hands over what has changed of the members that this server has in a room. Nothing while the
    /// link is lost: the engine asks for all of them when it is back.
    pub fn present(&mut self, room: RoomId, moves: Moves) {
        if self.is_open(room) && self.is_numbered_later(room) && !self.is_cut_off() {
            let moves = Box::new(moves);
            self.outgoing.push(Request::Present { room, moves });
        }
    }

    /// Hands over what has changed of the rooms in which this server has members. Nothing while the
    /// link is lost: the engine asks for all of them when it is back.
    pub fn count(&mut self, counts: Counts) {
        if self.is_shared() && !self.is_cut_off() {
            self.outgoing.push(Request::Count(Box::new(counts)));
        }
    }

    /// Whether the link to a shared engine is lost.
    pub fn is_cut_off(&self) -> bool {
        self.engine.as_ref().is_some_and(|one| one.is_cut_off())
    }

    /// The next draft that has waited for the link for too long. It may have been numbered before
    /// the link was lost: to be refused all the same, for nothing is known of it.
    pub fn give_up(&mut self) -> Option<u64> {
        let engine = self.engine.as_ref()?;
        engine.draft_due().filter(|due| *due <= self.now)?;
        let tag = *engine.under_way.first_key_value()?.0;
        self.was_answered(tag);
        Some(tag)
    }

    /// Hands a change of the registry over to the shared engine, or keeps it until the link is back:
    /// [`super::Answer::Changed`] or [`super::Answer::NotChanged`] follows, or
    /// [`Log::give_up_change`] has it.
    pub(super) fn propose(&mut self, change: Change, seen: Option<Version>) {
        let now = self.now;
        let Some(engine) = &mut self.engine else {
            return;
        };
        let proposed = Proposed { change, seen };
        let waits = (proposed.clone(), now);
        engine.changes.insert(proposed.change.number, waits);
        if !engine.is_cut_off() {
            self.outgoing.push(Request::Propose(Box::new(proposed)));
        }
    }

    /// Changes up to a number are in order.
    pub(super) fn changed(&mut self, upto: u64) {
        if let Some(engine) = &mut self.engine {
            engine.changes = engine.changes.split_off(&upto.saturating_add(1));
        }
    }

    /// A change was refused.
    pub(super) fn not_changed(&mut self, number: u64) {
        if let Some(engine) = &mut self.engine {
            engine.changes.remove(&number);
        }
    }

    /// The number of the next change that has waited for the link for too long: refused, as by
    /// [`Log::give_up`].
    pub fn give_up_change(&mut self) -> Option<u64> {
        let engine = self.engine.as_mut()?;
        engine.change_due().filter(|due| *due <= self.now)?;
        engine.changes.pop_first().map(|(number, _)| number)
    }

    /// A page may reach beyond what has come of its room: that is left for when it comes.
    pub(super) fn clip(&self, room: RoomId, page: &mut super::Page) {
        let head = self.room(room).head;
        if self.engine.is_some() && page.complete_to > head {
            page.entries.retain(|entry| entry.seq <= head);
            page.complete_to = head;
        }
    }
}
