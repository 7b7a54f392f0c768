//! A room is a log of numbered entries, and a member a cursor in it. Knows what is in memory of the
//! rooms and what to ask of a store; knows no connection, no encoding and no file.
//!
//! An entry is numbered and readable in the turn in which it comes; the store follows behind. What
//! is not stored is never dropped from memory: appending is refused before that.

mod amend;
mod audit;
pub mod blocks;
mod carry;
mod engine;
mod keys;
mod nodes;
mod pages;
mod rooms;
mod search;
mod settings;
mod store;
mod tail;
#[cfg(test)]
mod tests;
mod words;

pub use amend::{Amendment, Known as KnownMessage, Original};
pub use audit::{AUDIT_PART_ROWS, audit_line};
pub use blocks::{BlockKey, Blocks};
pub use carry::Origin;
pub use engine::{Begun, CUT_OFF_TICKS, Entered};
pub use nodes::{Earlier, NickClaim, NickClaims, NodeInfo, NodesAnswer, NodesRequest};
pub use settings::Settings;
pub use store::{
    Answer, Bounds, DEDUPE_MS, EpochInfo, Era, Figures, Health, Judged, Kept, KeptKey, Key, Page,
    PageEntry, Proposed, Record, RefusedWhy, Request, Started, Store, StoredRoom, Unnumbered,
    Version, is_enough,
};
pub use words::Words;

use crate::chat::registry::{Change, Snapshot};
use crate::chat::{Content, Draft, Entry};
use crate::id::{Millis, RoomId, Seq, Tick};
use amend::Unstored;
use engine::Engine;
use keys::{Keys, Known};
use pages::Pages;
use rooms::{Room, Rooms};
use search::{Search, Searches};
use siphasher::sip::SipHasher13;
use smol_str::{SmolStr, format_smolstr};
use std::collections::VecDeque;
use std::fmt;
use std::hash::Hasher;
use std::mem;
use tail::Tail;

/// Reads of the store that are under way; what is asked beyond that waits.
const READS_MAX: u32 = 64;
/// Searches that may wait besides; one more is refused. Reads are bounded by the rooms, keys by the
/// sessions that came back.
const SEARCHES_MAX: usize = 64;
/// A page of the store: so many entries, or so many bytes of text.
const PAGE_ENTRIES: u32 = 128;
const PAGE_BYTES: u32 = 16 * 1024;

/// What a message of a line or two takes in the tail, about.
const SHORT_ENTRY_BYTES: usize = 256;

/// From when nothing pins a room any more to when it is dropped.
const IDLE_TICKS: u32 = 60 * 10;
/// What failed to be read is a gap for so long; then the store is asked again.
const UNREADABLE_TICKS: u32 = 5 * 10;
/// What is stored and was said so long ago leaves the memory.
const QUIET_TICKS: u32 = 10 * 60 * 10;
/// Pages of the store that have not been read for so long do as well.
const PAGES_TICKS: u32 = 60 * 10;

/// Eras of a room that are known.
const ERAS_MAX: usize = 64;

/// How long memory alone keeps the keys of messages at least. It has room for the newest 16,384 of
/// all sessions: for 273 messages with keys a second.
const MEMORY_DEDUPE_MS: u64 = 60 * 1000;

/// What keeps the entries.
pub struct Keeping {
    pub started: Started,
    /// `None`: the memory alone. Every entry counts as stored at once, and what the tail drops is
    /// gone.
    pub store: Option<Box<dyn Store>>,
    /// The store is an engine which other servers share and which numbers the entries.
    pub is_shared: bool,
}

impl Keeping {
    /// For how many milliseconds a key is known at least.
    pub fn dedupe_ms(&self) -> u64 {
        match &self.store {
            Some(_) => DEDUPE_MS,
            None => MEMORY_DEDUPE_MS,
        }
    }

    /// Nothing outlives the server. `random`: 36 bytes from the system, or from a seed.
    pub fn in_memory(random: [u8; 36]) -> Self {
        let [a, b, c, d, session_key @ ..] = random;
        let epoch = EpochInfo {
            epoch: 1,
            salt: u32::from_le_bytes([a, b, c, d]),
        };
        Self {
            started: Started {
                epoch: epoch.epoch,
                epochs: vec![epoch],
                next_room: StoredRoom(1),
                session_key,
                registry: Snapshot::default(),
            },
            store: None,
            is_shared: false,
        }
    }
}

/// Whether a room can be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opening {
    Open(RoomId),
    /// The store was asked: [`Notification::Opened`] or [`Notification::OpenFailed`] follows.
    Waiting(RoomId),
    /// Too many rooms are open.
    Refused,
}

/// Why an entry was not numbered. It has changed nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AppendRefused {
    /// The store cannot write. It tries again.
    StoreFailing,
    /// The store has given the room up until the next start.
    RoomFailed,
    /// As much waits to be stored as may wait.
    Full,
    /// The room has no more numbers, or the store none for a room.
    RoomFull,
}

/// Whether a message was sent before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Duplicate {
    No,
    /// It is stored. The room is `None` if it is not open.
    Acked {
        room: Option<RoomId>,
        seq: Seq,
        at: Millis,
    },
    /// It was numbered, and is not stored yet.
    Unacked {
        room: RoomId,
        seq: Seq,
        at: Millis,
    },
    /// The keys of the session are being read: [`Notification::Keys`] or
    /// [`Notification::KeysFailed`] follows, then ask again.
    Unknown,
}

/// How far a reading got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading {
    /// Up to here entries were taken. There may be more.
    Read { upto: Seq },
    /// There is nothing after the cursor.
    AtHead,
    /// The entry after the cursor is not kept any more, or cannot be read. Read on before this one;
    /// one more than the head if none is left.
    Gap { oldest: Seq },
    /// The store was asked: [`Notification::Page`] or [`Notification::ReadFailed`] follows, then
    /// read again.
    Wait,
}

/// Where a client stands that comes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Since {
    At {
        /// What it has is what the log has, up to here.
        at: Seq,
        /// It must forget the entries above this one, which were never stored.
        rewound: Option<Seq>,
    },
    /// The epoch is not known: it must forget all it has of the room.
    Unknown,
}

/// What came of the store. Those for rooms that were dropped meanwhile are not passed on.
#[derive(Debug)]
pub enum Notification {
    Opened {
        room: RoomId,
    },
    /// The id is not that of a room any more.
    OpenFailed {
        room: RoomId,
        why: String,
    },
    /// All entries up to this one are stored. Not sent without a store: see [`Log::stored`].
    Stored {
        room: RoomId,
        upto: Seq,
    },
    /// All changes of the registry up to this one are kept. Not sent without a store.
    Changed {
        upto: u64,
    },
    /// Members that wait in the room should read on.
    Page {
        room: RoomId,
    },
    /// So should they after this: they find a gap.
    ReadFailed {
        room: RoomId,
        why: String,
    },
    Keys {
        session: u64,
    },
    KeysFailed {
        session: u64,
        why: String,
    },
    Found {
        tag: u64,
        entries: Vec<PageEntry>,
        more: bool,
    },
    SearchFailed {
        tag: u64,
        why: String,
    },
    Health(Health),
    /// No entry of the room after the last that was stored will be. Until the next start, what is
    /// appended to it is refused.
    RoomFailed {
        room: RoomId,
        why: String,
    },
    /// What came of a [`Log::task`]; see the request for its answers.
    Task(Answer),
    /// What a shared engine sends. The log has not taken it: what follows from one must be carried
    /// out before the next is taken, by [`Log::enter`], [`Log::was_answered`], [`Log::skip`],
    /// [`Log::begin_epoch`] and [`Log::link_changes`].
    Engine(Answer),
}

/// The store cannot write.
struct Failing {
    since: Tick,
    why: String,
}

/// Too many searches wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Busy;

/// What the log holds, for the metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Rooms that are open or being opened.
    pub rooms: usize,
    /// Memory of the tail.
    pub tail_bytes: usize,
    /// Entries in it.
    pub tail_entries: usize,
    /// Bytes of entries that are not stored yet.
    pub unstored_bytes: usize,
    /// Memory of pages that were read.
    pub page_bytes: usize,
    /// Reads of the store that are under way, and those that wait.
    pub reads: u32,
    pub reads_waiting: usize,
    pub is_failing: bool,
}

/// The rooms' logs.
///
/// In a turn: [`Log::take_answers`] first, then [`Log::open`], [`Log::append`] and [`Log::read`] as
/// needed, and [`Log::hand_over`] last.
pub struct Log {
    rooms: Rooms,
    tail: Tail,
    pages: Pages,
    keys: Keys,
    /// Edits and deletions.
    unstored: Unstored,
    store: Option<Box<dyn Store>>,
    /// If other servers share the store.
    engine: Option<Box<Engine>>,
    /// What signs sessions, and decides the keys of hash tables.
    session_key: [u8; 32],
    epoch: EpochInfo,
    /// The newest last.
    epochs: Vec<EpochInfo>,
    next_room: StoredRoom,
    next_gen: u64,
    /// Rooms with entries that were dropped and that no store has.
    lives: u32,
    unstored_bytes: usize,
    unstored_max: usize,
    rooms_max: usize,
    failing: Option<Failing>,
    /// On their way to the store with the next hand-over.
    outgoing: Vec<Request>,
    /// Reads that wait until others are answered.
    waiting: VecDeque<Request>,
    searches_waiting: usize,
    /// Those through the tail, where there is no store.
    searches: Searches,
    reads: u32,
    answers: Vec<Answer>,
    /// When a page was last used.
    pages_used: Tick,
    /// The tail is not looked at for what is old before this.
    quiet_from: Tick,
    now: Tick,
}

impl Log {
    pub fn new(settings: &Settings, keeping: Keeping, now: Tick) -> Self {
        let Keeping {
            started,
            store,
            is_shared,
        } = keeping;
        let hash_keys = |purpose| {
            let half = |number: u8| {
                let mut hasher = SipHasher13::new();
                hasher.write(&started.session_key);
                hasher.write(purpose);
                hasher.write_u8(number);
                hasher.finish()
            };
            (half(0), half(1))
        };
        let epoch = started.epochs.last().copied().unwrap_or(EpochInfo {
            epoch: started.epoch,
            salt: 0,
        });
        Self {
            rooms: Rooms::new(hash_keys(b"rooms")),
            tail: Tail::new(settings.tail_bytes),
            pages: Pages::default(),
            keys: Keys::new(hash_keys(b"keys")),
            unstored: Unstored::default(),
            store,
            engine: is_shared.then(|| Box::new(Engine::new(&started))),
            session_key: started.session_key,
            epoch,
            // The engine of several servers numbers rooms from 1 on; here only those have a number
            // that are in memory alone.
            next_room: if is_shared {
                StoredRoom(1 << 31)
            } else {
                started.next_room
            },
            epochs: started.epochs,
            next_gen: 0,
            lives: 0,
            unstored_bytes: 0,
            unstored_max: settings.tail_bytes / 2,
            rooms_max: settings.rooms_max as usize,
            failing: None,
            outgoing: Vec::new(),
            waiting: VecDeque::new(),
            searches_waiting: 0,
            searches: Searches::default(),
            reads: 0,
            answers: Vec::new(),
            pages_used: now,
            quiet_from: now,
            now,
        }
    }

    // Rooms

    /// So many may be open from here on. Those that are stay.
    pub const fn set_rooms_max(&mut self, count: usize) {
        self.rooms_max = count;
    }

    /// Opens a room, or finds it open. Of several calls for one name, the first asks the store.
    pub fn open(&mut self, name: &SmolStr, now: Tick) -> Opening {
        self.open_as(name, true, now)
    }

    /// The same of a room whose entries no store is to have: it is open at once, and when it is
    /// dropped its entries are gone.
    pub fn open_in_memory(&mut self, name: &SmolStr, now: Tick) -> Opening {
        self.open_as(name, false, now)
    }

    fn open_as(&mut self, name: &SmolStr, is_kept: bool, now: Tick) -> Opening {
        self.now = now;
        if let Some(id) = self.rooms.find(name) {
            // So that it is still there when its waiters join.
            self.rooms.unpin(id, now + IDLE_TICKS);
            return if self.room(id).is_opening {
                Opening::Waiting(id)
            } else {
                Opening::Open(id)
            };
        }
        if self.rooms.len() >= self.rooms_max {
            let Some(idle) = self.rooms.longest_idle() else {
                return Opening::Refused;
            };
            self.drop_room(idle);
        }
        let log_gen = self.new_gen();
        let is_in_memory = self.store.is_none() || !is_kept;
        let life = if is_in_memory { self.lives } else { 0 };
        let id = self.rooms.insert(name.clone(), log_gen, life);
        if is_in_memory {
            if let Some(room) = self.rooms.get_mut(id) {
                room.is_in_memory = true;
            }
            self.rooms.unpin(id, now + IDLE_TICKS);
            return Opening::Open(id);
        }
        if let Some(room) = self.rooms.get_mut(id) {
            room.is_opening = true;
        }
        self.outgoing.push(Request::Open {
            room: id,
            name: name.clone(),
        });
        Opening::Waiting(id)
    }

    /// The room of a name, if it is open.
    pub fn find(&self, name: &str) -> Option<RoomId> {
        let id = self.rooms.find(name)?;
        (!self.room(id).is_opening).then_some(id)
    }

    /// The room has one more member, who pins it.
    pub fn member_joined(&mut self, room: RoomId) {
        self.room_mut(room).members += 1;
    }

    /// The room has one member less.
    pub fn member_left(&mut self, room: RoomId, now: Tick) {
        self.now = now;
        self.room_mut(room).members -= 1;
        self.rooms.unpin(room, now + IDLE_TICKS);
    }

    /// Whether the id is that of an open room.
    pub fn is_open(&self, room: RoomId) -> bool {
        self.rooms.get(room).is_some_and(|room| !room.is_opening)
    }

    /// The newest entry; 0: there is none.
    pub fn head(&self, room: RoomId) -> Seq {
        self.room(room).head
    }

    /// The oldest entry that can be read; one more than the head if there is none.
    pub fn oldest(&self, room: RoomId) -> Seq {
        let open = self.room(room);
        if !open.is_in_memory {
            return open.oldest;
        }
        let oldest = self.tail.oldest(room.slot());
        oldest.unwrap_or_else(|| open.past_head())
    }

    /// The newest entry that is stored, with all before it. Without a store: the head.
    pub fn stored(&self, room: RoomId) -> Seq {
        let room = self.room(room);
        room.failed_after.unwrap_or(room.stored)
    }

    pub fn name(&self, room: RoomId) -> &SmolStr {
        &self.room(room).name
    }

    /// Blocks and pages of the room are those of this generation.
    pub fn log_gen(&self, room: RoomId) -> u64 {
        self.room(room).log_gen
    }

    /// With which epoch clients see the room's numbers: a short word of letters, digits and dashes.
    pub fn epoch(&self, room: RoomId) -> SmolStr {
        if let Some(engine) = &self.engine
            && let Some(epoch) = engine.epoch(room)
        {
            return epoch;
        }
        written(self.epoch, self.room(room).life)
    }

    /// This start's epoch.
    pub const fn epoch_info(&self) -> EpochInfo {
        self.epoch
    }

    /// Whether entries outlive the server.
    pub const fn has_store(&self) -> bool {
        self.store.is_some()
    }

    // Entries

    /// Numbers an entry. It can be read at once, and is on its way to the store.
    ///
    /// # Errors
    /// It has no number and changes nothing. What is not speech is still numbered for some time
    /// when messages are refused: while the store fails, and out of the last eighth of
    /// what may wait to be stored.
    pub fn append(
        &mut self,
        room: RoomId,
        draft: &Draft,
        key: Option<Key>,
        wall: Millis,
    ) -> Result<(Seq, Millis), AppendRefused> {
        // Before the message leaves the tail to make room for what changes it.
        let edit_before = self.edit_before(room, &draft.content.as_ref());
        self.append_behind(room, draft, key, wall, edit_before)
    }

    /// Numbers the deletion of a message that was read some time ago: `edit` has changed it last.
    ///
    /// # Errors
    /// As those of [`Log::append`].
    pub fn append_deletion(
        &mut self,
        room: RoomId,
        draft: &Draft,
        edit: Option<Seq>,
        wall: Millis,
    ) -> Result<(Seq, Millis), AppendRefused> {
        self.append_behind(room, draft, None, wall, edit)
    }

    /// `edit_before` has changed the message last that is to be changed.
    fn append_behind(
        &mut self,
        room: RoomId,
        draft: &Draft,
        key: Option<Key>,
        wall: Millis,
        edit_before: Option<Seq>,
    ) -> Result<(Seq, Millis), AppendRefused> {
        if self.is_numbered_later(room) {
            // Where it cannot be handed over, it is not numbered here either.
            return Err(AppendRefused::StoreFailing);
        }
        let open = self.room(room);
        assert!(!open.is_opening, "a room has members once it is open");
        let seq = open.head.next().ok_or(AppendRefused::RoomFull)?;
        let at = open.at.max(wall);
        let entry = draft.numbered(seq, at);
        let is_said = matches!(entry.content, Content::Said { .. } | Content::Edited { .. });
        if open.failed_after.is_some() {
            return Err(AppendRefused::RoomFailed);
        }
        if is_said && self.failing.is_some() {
            return Err(AppendRefused::StoreFailing);
        }
        let bytes = Tail::size_of(&entry);
        let has_store = !open.is_in_memory;
        if has_store {
            let space = if is_said {
                self.space_for_said()
            } else {
                self.unstored_max
            };
            // Alone, an entry of any length may wait.
            if self.unstored_bytes > 0 && self.unstored_bytes + bytes > space {
                return Err(AppendRefused::Full);
            }
        }
        let stored_room = self.number_of(room).ok_or(AppendRefused::RoomFull)?;
        let rooms = &self.rooms;
        let is_stored = |slot, seq| rooms.at(slot).is_none_or(|room| seq <= room.stored);
        self.tail
            .append(room.slot(), &entry, is_stored, self.now)
            .map_err(|tail::Full| AppendRefused::Full)?;

        self.amend(room, seq, &entry.content, edit_before);
        if let Some(key) = &key {
            self.remember(key, stored_room, seq, at);
        }
        let epoch = self.epoch.epoch;
        let open = self.room_mut(room);
        open.head = seq;
        open.at = at;
        if open.eras.back().is_none_or(|era| era.epoch < epoch) {
            open.eras.push_back(Era { epoch, first: seq });
            if open.eras.len() > ERAS_MAX {
                open.eras.pop_front();
            }
        }
        if !has_store {
            open.stored = seq;
            return Ok((seq, at));
        }
        let name = open.name.clone();
        self.unstored_bytes += bytes;
        self.outgoing.push(Request::Append(Box::new(Record {
            room,
            stored_room,
            name,
            epoch,
            seq,
            at,
            draft: draft.clone(),
            key,
        })));
        Ok((seq, at))
    }

    /// Whether changes are kept by a store, later than they are made.
    pub fn keeps_later(&self) -> bool {
        self.store.is_some() && self.engine.is_none()
    }

    /// Hands a change of the registry to the store, behind the entries so far. Returns whether it
    /// is kept at once, as without a store. `seen`: what had come of a shared engine.
    pub fn change(&mut self, change: Change, seen: Option<Version>) -> bool {
        if self.is_shared() {
            self.propose(change, seen);
        } else if self.keeps_later() {
            self.outgoing.push(Request::Change(Box::new(change)));
        }
        self.store.is_none()
    }

    /// The number of a room in the store, given with its first entry; `None`: there are no more.
    fn number_of(&mut self, room: RoomId) -> Option<StoredRoom> {
        if let Some(number) = self.room(room).stored_room {
            return Some(number);
        }
        let number = self.next_room;
        self.next_room = StoredRoom(number.0.checked_add(1)?);
        self.rooms.set_number(room, number);
        Some(number)
    }

    fn remember(&mut self, key: &Key, number: StoredRoom, seq: Seq, at: Millis) {
        let rooms = &self.rooms;
        self.keys.insert(key, number, (seq, at), |keyed| {
            let room = rooms.find_stored(keyed.room).and_then(|id| rooms.get(id));
            room.is_none_or(|room| keyed.seq <= room.stored)
        });
    }

    /// Whether a message with this key was sent before: to be asked before it is appended.
    pub fn duplicate(&mut self, key: &Key) -> Duplicate {
        match self.keys.look_up(key) {
            Known::New => Duplicate::No,
            Known::Asked => Duplicate::Unknown,
            Known::Ask => {
                self.waiting.push_back(Request::Keys {
                    session: key.session,
                });
                Duplicate::Unknown
            }
            Known::Sent(keyed) => {
                let (seq, at) = (keyed.seq, keyed.at);
                let room = self.rooms.find_stored(keyed.room);
                match room.filter(|id| seq > self.stored(*id)) {
                    // It never will be stored: appending it again is refused, which says so.
                    Some(room) if self.room(room).failed_after.is_some() => Duplicate::No,
                    Some(room) => Duplicate::Unacked { room, seq, at },
                    None => Duplicate::Acked { room, seq, at },
                }
            }
        }
    }

    /// A session came back: its first message with a key waits for the keys that the store has.
    pub fn resumed(&mut self, session: u64, now: Tick) {
        self.now = now;
        if self.keeps_later() {
            self.keys.resumed(session, now);
        }
    }

    /// For how many ticks the store has not been able to write, and why; `None`: it is.
    pub fn failing(&self) -> Option<(u32, &str)> {
        let failing = self.failing.as_ref()?;
        Some((self.now.0.saturating_sub(failing.since.0), &failing.why))
    }

    /// Why what members say would be refused in every room; `None`: it would not.
    pub fn refuses(&self) -> Option<AppendRefused> {
        if self.failing.is_some() || self.is_cut_off() {
            Some(AppendRefused::StoreFailing)
        } else if self.unstored_bytes > 0
            && self.unstored_bytes + SHORT_ENTRY_BYTES > self.space_for_said()
        {
            Some(AppendRefused::Full)
        } else {
            None
        }
    }

    /// Bytes that may wait to be stored before what is said is refused: an eighth is kept for the
    /// rest, such as deletions.
    const fn space_for_said(&self) -> usize {
        self.unstored_max - self.unstored_max / 8
    }

    // Readers

    /// Passes the entries after a cursor to `each`, in order. `each` returns whether it has taken
    /// the entry: the first that it has not ends the reading.
    pub fn read(
        &mut self,
        room: RoomId,
        after: Seq,
        each: &mut dyn FnMut(Entry<'_>) -> bool,
    ) -> Reading {
        let open = self.room(room);
        if after >= open.head {
            return Reading::AtHead;
        }
        let log_gen = open.log_gen;
        let oldest = self.oldest(room);
        let next = Seq(after.0 + 1);
        if next < oldest {
            return Reading::Gap { oldest };
        }
        if let Some(upto) = self.tail.read(room.slot(), after, each) {
            return Reading::Read { upto };
        }
        // Pages may follow each other, and the tail follows the last.
        let mut upto = after;
        while let Some((taken, is_whole)) = self.pages.read((room, log_gen), upto, each) {
            self.pages_used = self.now;
            upto = taken;
            if !is_whole {
                return Reading::Read { upto };
            }
        }
        if upto > after {
            let upto = self.tail.read(room.slot(), upto, each).unwrap_or(upto);
            return Reading::Read { upto };
        }
        let open = self.room(room);
        if let Some((from, until)) = open.unreadable
            && self.now < until
            && from <= after
            && after.0 - from.0 < PAGE_ENTRIES
        {
            let oldest = self.tail.oldest(room.slot());
            let most = oldest.unwrap_or_else(|| open.past_head());
            let beyond = Seq(from.0.saturating_add(PAGE_ENTRIES + 1));
            return Reading::Gap {
                oldest: beyond.min(most),
            };
        }
        self.ask(room, after);
        Reading::Wait
    }

    /// Asks the store for the entries after `after`, unless it was asked for some of the room.
    fn ask(&mut self, id: RoomId, after: Seq) {
        let room = self.room_mut(id);
        if room.reading.is_some() {
            return;
        }
        room.reading = Some(after);
        let log_gen = room.log_gen;
        let stored_room = room.stored_room.expect("the room has entries");
        self.waiting.push_back(Request::Read {
            room: id,
            stored_room,
            log_gen,
            after,
            entries_max: PAGE_ENTRIES,
            bytes_max: PAGE_BYTES,
        });
    }

    /// Where a client stands that saw the entry `seq` in an epoch, as [`Log::epoch`] writes it.
    pub fn since(&self, room: RoomId, epoch: &str, seq: Seq) -> Since {
        if let Some(engine) = &self.engine
            && self.is_numbered_later(room)
        {
            return engine.since(room, epoch, seq, self.head(room));
        }
        let room = self.room(room);
        let Some(seen) = self.read_epoch(epoch, room.life) else {
            return Since::Unknown;
        };
        let is_cut = room.eras.len() >= ERAS_MAX;
        let is_before_all = room.eras.front().is_some_and(|era| seen.epoch < era.epoch);
        if is_cut && is_before_all {
            return Since::Unknown; // The era that followed may be one that is not known any more.
        }
        let next = room.eras.iter().find(|era| era.epoch > seen.epoch);
        let last = next.map_or(room.head, |era| Seq(era.first.0.saturating_sub(1)));
        Since::At {
            at: seq.min(last),
            rewound: (seq > last).then_some(last),
        }
    }

    /// Whether a client has more of a room than this server, which is to hear of it: it was told by
    /// another server that shares the engine.
    pub fn is_behind(&self, room: RoomId, epoch: &str, seq: Seq) -> bool {
        let engine = self.engine.as_ref();
        let is_behind = |engine: &Engine| engine.is_behind(room, epoch, seq, self.head(room));
        engine.is_some_and(|engine| self.is_numbered_later(room) && is_behind(engine))
    }

    /// The epoch that was written so, if it is one of the newest and of this database.
    fn read_epoch(&self, written_epoch: &str, life: u32) -> Option<EpochInfo> {
        let (number, _) = written_epoch.split_once('-')?;
        let number: u32 = number.parse().ok()?;
        let index = self
            .epochs
            .binary_search_by_key(&number, |known| known.epoch);
        let known = self.epochs[index.ok()?];
        (written(known, life) == written_epoch).then_some(known)
    }

    /// Searches a room for entries below `before`; [`Notification::Found`] or
    /// [`Notification::SearchFailed`] follows.
    ///
    /// # Errors
    /// Too many searches wait.
    pub fn search(
        &mut self,
        tag: u64,
        room: RoomId,
        words: &str,
        before: Seq,
        limit: u32,
    ) -> Result<(), Busy> {
        if self.searches_waiting + self.searches.len() >= SEARCHES_MAX {
            return Err(Busy);
        }
        let stored_room = self.room(room).stored_room;
        let is_kept = !self.room(room).is_in_memory;
        let (true, Some(stored_room)) = (is_kept, stored_room) else {
            self.searches.push(Search {
                tag,
                room,
                words: Words::new(words),
                before,
                entries_max: limit as usize,
                found: Vec::new(),
            });
            return Ok(());
        };
        self.searches_waiting += 1;
        self.waiting.push_back(Request::Search {
            tag,
            stored_room,
            words: String::from(words),
            before,
            entries_max: limit,
        });
        Ok(())
    }

    /// Asks the store for a backup, an export, a check or rows of the audit log, which a shared engine
    /// has too; [`Notification::Task`] follows. False: there is none that has it.
    #[must_use]
    pub fn task(&mut self, request: Request) -> bool {
        let is_audit = matches!(request, Request::Audit { .. } | Request::AuditExport { .. });
        let is_asked = self.keeps_later() || (is_audit && self.is_shared());
        if is_asked {
            self.outgoing.push(request);
        }
        is_asked
    }

    // The store

    /// Hands all requests over to the store: once a turn.
    pub fn hand_over(&mut self) {
        while self.reads < READS_MAX
            && let Some(request) = self.waiting.pop_front()
        {
            if matches!(request, Request::Search { .. }) {
                self.searches_waiting -= 1;
            }
            self.reads += 1;
            self.outgoing.push(request);
        }
        if let Some(store) = &mut self.store
            && !self.outgoing.is_empty()
        {
            store.send(&mut self.outgoing);
        }
    }

    /// Whether there is work for another turn at once: something to hand over, or a search of the
    /// tail to go on with.
    pub fn has_requests(&self) -> bool {
        !self.searches.is_empty()
            || !self.outgoing.is_empty()
            || (!self.waiting.is_empty() && self.reads < READS_MAX)
    }

    /// Takes what has come from the store, and appends what others must know of it.
    pub fn take_answers(&mut self, now: Tick, out: &mut Vec<Notification>) {
        self.now = now;
        let rooms = &self.rooms;
        let is_open = |room| rooms.get(room).is_some();
        if let Some(found) = self.searches.step(&self.tail, is_open) {
            out.push(Notification::Found {
                tag: found.tag,
                entries: found.entries,
                more: found.more,
            });
        }
        let mut answers = mem::take(&mut self.answers);
        if let Some(store) = &mut self.store {
            store.receive(&mut answers);
        }
        for answer in answers.drain(..) {
            out.extend(self.take(answer));
        }
        self.answers = answers;
    }

    fn take(&mut self, answer: Answer) -> Option<Notification> {
        match answer {
            Answer::Opened { room, kept } => self.opened(room, kept),
            Answer::OpenFailed { room, why } => {
                self.rooms.get(room).filter(|open| open.is_opening)?;
                self.rooms.remove(room);
                Some(Notification::OpenFailed { room, why })
            }
            Answer::Stored { room, upto } => self.was_stored(room, upto),
            Answer::Changed { upto } => {
                self.changed(upto);
                Some(Notification::Changed { upto })
            }
            Answer::NotChanged { number, .. } => {
                self.not_changed(number);
                Some(Notification::Engine(answer))
            }
            Answer::Page {
                room,
                log_gen,
                page,
            } => {
                self.reads = self.reads.saturating_sub(1);
                self.page_came(room, log_gen, page)
            }
            Answer::ReadFailed {
                room,
                log_gen,
                after,
                why,
            } => {
                self.reads = self.reads.saturating_sub(1);
                self.read_failed(room, log_gen, after, why)
            }
            Answer::Keys { session, keys } => {
                self.reads = self.reads.saturating_sub(1);
                self.keys.read(session, &keys, self.now);
                Some(Notification::Keys { session })
            }
            Answer::KeysFailed { session, why } => {
                self.reads = self.reads.saturating_sub(1);
                self.keys.read_failed(session);
                Some(Notification::KeysFailed { session, why })
            }
            Answer::Found { tag, entries, more } => {
                self.reads = self.reads.saturating_sub(1);
                Some(Notification::Found { tag, entries, more })
            }
            Answer::SearchFailed { tag, why } => {
                self.reads = self.reads.saturating_sub(1);
                Some(Notification::SearchFailed { tag, why })
            }
            Answer::Forgotten { room, oldest } => {
                let room = self.rooms.find_stored(room)?;
                self.retained(room, oldest);
                None
            }
            Answer::RoomFailed { room, why } => self.room_failed(room, why),
            Answer::Copied { .. }
            | Answer::Exported { .. }
            | Answer::Audited { .. }
            | Answer::AuditExported { .. }
            | Answer::Checked { .. }
            | Answer::TaskFailed { .. } => Some(Notification::Task(answer)),
            Answer::Health(health) => {
                self.failing = match &health {
                    Health::Good => None,
                    Health::Failing { why } => Some(Failing {
                        since: self.failing.as_ref().map_or(self.now, |from| from.since),
                        why: why.clone(),
                    }),
                };
                Some(Notification::Health(health))
            }
            Answer::Entry { .. }
            | Answer::Applied { .. }
            | Answer::Facts { .. }
            | Answer::Numbered { .. }
            | Answer::Refused { .. }
            | Answer::Gap { .. }
            | Answer::Epoch { .. }
            | Answer::Nodes(_)
            | Answer::Link { .. }
            | Answer::Sighted { .. }
            | Answer::Hint { .. }
            | Answer::MembersWanted { .. }
            | Answer::RoomsSighted(_)
            | Answer::RoomsWanted => Some(Notification::Engine(answer)),
        }
    }

    fn opened(&mut self, id: RoomId, kept: Option<Kept>) -> Option<Notification> {
        let due = self.now + IDLE_TICKS;
        let room = self.rooms.get_mut(id).filter(|room| room.is_opening)?;
        room.is_opening = false;
        if let Some(kept) = kept {
            if let Some(engine) = &mut self.engine {
                engine.opened(id, &kept);
            }
            room.head = kept.head;
            room.stored = kept.head;
            room.oldest = kept.oldest;
            room.at = kept.at;
            room.eras = kept.eras.into();
            self.rooms.set_number(id, kept.stored_room);
        }
        // Its waiters join now; if none of them is left, it is dropped again.
        self.rooms.unpin(id, due);
        Some(Notification::Opened { room: id })
    }

    /// The mark only rises, and never above what was numbered.
    fn was_stored(&mut self, id: RoomId, upto: Seq) -> Option<Notification> {
        let due = self.now + IDLE_TICKS;
        let room = self.rooms.get_mut(id)?;
        let upto = upto.min(room.head);
        if upto <= room.stored {
            return None;
        }
        let bytes = self.tail.measure(id.slot(), room.stored, upto);
        room.stored = upto;
        self.unstored_bytes -= bytes;
        self.unstored.were_stored(id, upto);
        self.rooms.unpin(id, due);
        Some(Notification::Stored { room: id, upto })
    }

    /// The tail need not keep what will never be stored.
    fn room_failed(&mut self, id: RoomId, why: String) -> Option<Notification> {
        let room = self.rooms.get_mut(id)?;
        room.failed_after.get_or_insert(room.stored);
        let bytes = self.tail.measure(id.slot(), room.stored, room.head);
        room.stored = room.head;
        self.unstored_bytes -= bytes;
        Some(Notification::RoomFailed { room: id, why })
    }

    fn page_came(&mut self, id: RoomId, log_gen: u64, mut page: Page) -> Option<Notification> {
        let room = self.rooms.get(id)?;
        let after = room.reading?;
        if room.log_gen == log_gen {
            self.clip(id, &mut page);
        }
        if room.log_gen == log_gen && !pages::is_sound(&page, after) {
            let why = format!("the page after entry {} has a gap", after.0);
            return self.read_failed(id, log_gen, after, why);
        }
        if room.log_gen == log_gen {
            self.retained(id, page.oldest);
            if !page.entries.is_empty() {
                self.pages_used = self.now;
                self.amend_entries(id, &mut page.entries);
                self.pages.insert(id, log_gen, page);
            }
        }
        // A page of another generation is discarded, and the readers ask again.
        self.reading_ends(id);
        Some(Notification::Page { room: id })
    }

    fn read_failed(
        &mut self,
        id: RoomId,
        log_gen: u64,
        after: Seq,
        why: String,
    ) -> Option<Notification> {
        let until = self.now + UNREADABLE_TICKS;
        let room = self.rooms.get_mut(id)?;
        if room.log_gen == log_gen {
            room.unreadable = Some((after, until));
        }
        self.reading_ends(id);
        Some(Notification::ReadFailed { room: id, why })
    }

    fn reading_ends(&mut self, id: RoomId) {
        self.room_mut(id).reading = None;
        self.rooms.unpin(id, self.now + IDLE_TICKS);
    }

    /// The store has removed entries that were too old.
    fn retained(&mut self, id: RoomId, oldest: Seq) {
        let room = self.room_mut(id);
        // What is not stored yet was not removed, whatever the store says.
        let most = Seq(room.stored.0.saturating_add(1));
        room.oldest = room.oldest.max(oldest.min(most));
    }

    // Time

    /// When [`Log::tick`] is needed next.
    pub fn next_tick(&self) -> Option<Tick> {
        let quiet = self.tail.written().filter(|_| self.store.is_some());
        let quiet = quiet.map(|written| self.quiet_from.max(written + (QUIET_TICKS + 1)));
        let pages = (!self.pages.is_empty()).then(|| self.pages_used + PAGES_TICKS);
        let engine = self.engine.as_ref().and_then(|engine| engine.due());
        [self.rooms.idle_due(), self.keys.due(), quiet, pages, engine]
            .into_iter()
            .flatten()
            .min()
    }

    /// Drops rooms that have been idle for long enough, and frees memory after a quiet time.
    /// Returns whether a room was dropped.
    pub fn tick(&mut self, now: Tick) -> bool {
        self.now = now;
        let rooms_before = self.rooms.len();
        while let Some(id) = self.rooms.next_idle(now) {
            // Without a store, a room is there as long as some of what was said in it.
            if self.store.is_none() && self.tail.oldest(id.slot()).is_some() {
                self.rooms.unpin(id, now + IDLE_TICKS);
            } else {
                self.drop_room(id);
            }
        }
        self.keys.expire(now);
        shrink(&mut self.outgoing);
        shrink(&mut self.answers);
        if self.pages_used + PAGES_TICKS <= now {
            self.pages.clear();
        }
        if self.store.is_some() {
            let rooms = &self.rooms;
            let is_stored = |slot, seq| rooms.at(slot).is_none_or(|room| seq <= room.stored);
            let before = Tick(now.0.saturating_sub(QUIET_TICKS));
            self.tail.drop_before(before, is_stored);
            // What is not stored stays, and is not looked at every tick.
            self.quiet_from = now + PAGES_TICKS;
        }
        self.rooms.len() < rooms_before
    }

    /// The room is not needed any more, unless something pins it: it may be opened anew.
    pub fn drop_idle(&mut self, id: RoomId) {
        if self.rooms.get(id).is_some_and(|room| !room.is_pinned()) {
            self.drop_room(id);
        }
    }

    fn drop_room(&mut self, id: RoomId) {
        if let Some(room) = self.rooms.remove(id) {
            self.tail.forget(id.slot());
            self.pages.drop_room(id);
            self.unstored.forget(id);
            if let Some(engine) = &mut self.engine
                && !room.is_in_memory
            {
                engine.dropped(id);
                self.outgoing.push(Request::Close { room: id });
            }
            if room.is_in_memory && room.head > Seq(0) {
                self.lives = self.lives.wrapping_add(1);
            }
        }
    }

    fn new_gen(&mut self) -> u64 {
        self.next_gen += 1;
        self.next_gen
    }

    #[track_caller]
    fn room(&self, id: RoomId) -> &Room {
        self.rooms.get(id).expect("the room is open")
    }

    #[track_caller]
    fn room_mut(&mut self, id: RoomId) -> &mut Room {
        self.rooms.get_mut(id).expect("the room is open")
    }

    // Figures and checks

    pub fn summary(&self) -> Summary {
        Summary {
            rooms: self.rooms.len(),
            tail_bytes: self.tail.held(),
            tail_entries: self.tail.entries(),
            unstored_bytes: self.unstored_bytes,
            page_bytes: self.pages.bytes(),
            reads: self.reads,
            reads_waiting: self.waiting.len(),
            is_failing: self.failing.is_some(),
        }
    }

    /// What the store has counted; `None`: there is none, or it counts nothing.
    pub fn figures(&self) -> Option<Figures> {
        self.store.as_ref()?.figures()
    }

    /// Walks everything.
    pub fn check_invariants(&self) {
        self.rooms.check_invariants();
        self.tail.check_invariants();
        self.pages.check_invariants();
        self.keys.check_invariants();
        if let Some(engine) = &self.engine {
            engine.check_invariants();
        }
        assert!(self.reads <= READS_MAX);
        let mut unstored = 0;
        for (id, room) in self.rooms.each() {
            let oldest = self.tail.oldest(id.slot());
            let oldest = oldest.unwrap_or_else(|| room.past_head());
            assert!(
                oldest.0 <= room.stored.0.saturating_add(1),
                "what is not stored is in the tail"
            );
            unstored += self.tail.measure(id.slot(), room.stored, room.head);
        }
        assert_eq!(unstored, self.unstored_bytes);
    }
}

impl fmt::Debug for Log {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Log")
            .field("summary", &self.summary())
            .finish_non_exhaustive()
    }
}

/// Returns the memory that a burst took.
fn shrink<T>(list: &mut Vec<T>) {
    if list.is_empty() && list.capacity() > 256 {
        *list = Vec::new();
    }
}

/// An epoch as clients see it.
fn written(epoch: EpochInfo, life: u32) -> SmolStr {
    match life {
        0 => format_smolstr!("{}-{:08x}", epoch.epoch, epoch.salt),
        life => format_smolstr!("{}-{:08x}-{life}", epoch.epoch, epoch.salt),
    }
}
