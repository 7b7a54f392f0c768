//! The recent entries of all rooms, in one ring of bytes. Knows slots of rooms, not rooms, and no
//! store: whether an entry is stored is asked of the caller.
//!
//! The ring is a queue of segments, so that it grows with what is said, moves nothing, and returns
//! its memory. An entry is found from its room's newest by links that skip, in some tens of steps.

use crate::carry::{Carrier, Carry, Damaged};
use crate::chat::{Act, Author, Content, Entry, Form, Manner};
use crate::id::{AccountId, ConnId, Millis, Seq, Tick};
use std::collections::{BTreeMap, VecDeque};
use std::num::NonZeroU32;
use std::str;

/// The usual segment. The ring grows by it, and entries are dropped by it.
const SEGMENT_BYTES: usize = 64 * 1024;
const SEGMENT_BYTES_MIN: usize = 256;

/// Where a record begins: the number of its segment, and its offset there in units of 8 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place(u32);

impl Place {
    /// No record: offset 65,528 leaves no room for a header.
    const NONE: Self = Self(u32::MAX);
    const OFFSET_BITS: u32 = 13;
    /// Segments are numbered in a circle, of which a small part is there at a time.
    const SEGMENT_MASK: u32 = u32::MAX >> Self::OFFSET_BITS;

    fn new(segment: u32, offset: usize) -> Self {
        Self((segment & Self::SEGMENT_MASK) << Self::OFFSET_BITS | (offset / 8) as u32)
    }

    const fn segment(self) -> u32 {
        self.0 >> Self::OFFSET_BITS
    }

    const fn offset(self) -> usize {
        (self.0 & ((1 << Self::OFFSET_BITS) - 1)) as usize * 8
    }
}

/// What stands before the texts of a record.
#[derive(Clone, Copy)]
struct Header {
    /// The slot of the room; [`NO_SLOT`]: the room was forgotten.
    slot: u32,
    seq: Seq,
    at: Millis,
    /// The record of the room's entry `seq - 1`.
    prev: Place,
    /// The record of the room's entry `seq & (seq - 1)`: `seq` without its lowest bit.
    skip: Place,
    /// The record of the room's entry `seq + 1`.
    next: Place,
    /// Bytes after the header, without padding.
    len: u32,
}

const HEADER_BYTES: usize = 32;
const NEXT_AT: usize = 24;
const NO_SLOT: u32 = u32::MAX;

impl Header {
    fn write(&self, to: &mut Vec<u8>) {
        to.extend_from_slice(&self.slot.to_le_bytes());
        to.extend_from_slice(&self.seq.0.to_le_bytes());
        to.extend_from_slice(&self.at.0.to_le_bytes());
        to.extend_from_slice(&self.prev.0.to_le_bytes());
        to.extend_from_slice(&self.skip.0.to_le_bytes());
        to.extend_from_slice(&self.next.0.to_le_bytes());
        to.extend_from_slice(&self.len.to_le_bytes());
    }

    fn read(from: &[u8]) -> Self {
        Self {
            slot: word(from, 0),
            seq: Seq(word(from, 4)),
            at: Millis(u64::from(word(from, 12)) << 32 | u64::from(word(from, 8))),
            prev: Place(word(from, 16)),
            skip: Place(word(from, 20)),
            next: Place(word(from, NEXT_AT)),
            len: word(from, 28),
        }
    }

    /// The length of the record.
    fn bytes(&self) -> usize {
        padded(HEADER_BYTES + self.len as usize)
    }
}

fn word(bytes: &[u8], at: usize) -> u32 {
    let word: [u8; 4] = bytes[at..at + 4].try_into().expect("four bytes");
    u32::from_le_bytes(word)
}

const fn padded(bytes: usize) -> usize {
    bytes.next_multiple_of(8)
}

/// The first byte after the header: which content, and its flags.
mod kind {
    pub(super) const SAID: u8 = 0;
    pub(super) const KICKED: u8 = 1;
    pub(super) const EDITED: u8 = 2;
    pub(super) const DELETED: u8 = 3;
    /// As [`SAID`], with the eight bytes of an author.
    pub(super) const SAID_BY_CONNECTION: u8 = 4;
    pub(super) const SAID_BY_SESSION: u8 = 5;
    pub(super) const SAID_BY_ACCOUNT: u8 = 6;
    pub(super) const ACT: u8 = 7;
    pub(super) const CONTENT: u8 = 0x0F;
    pub(super) const ACTION: u8 = 0x10;
    pub(super) const REPLY: u8 = 0x20;
    /// Of a message: it was edited or deleted. Of an edit: the message was changed again. The bytes
    /// of the text are zero.
    pub(super) const CHANGED: u8 = 0x40;
}

/// The kind of what is said, and the number of its author.
const fn said_by(author: Author) -> (u8, Option<u64>) {
    match author {
        Author::Unknown => (kind::SAID, None),
        Author::Connection(id) => (kind::SAID_BY_CONNECTION, Some(id.to_u64())),
        Author::Session(session) => (kind::SAID_BY_SESSION, Some(session)),
        Author::Account(account) => (kind::SAID_BY_ACCOUNT, Some(account.0.get() as u64)),
    }
}

const fn is_said(kind: u8) -> bool {
    matches!(
        kind & kind::CONTENT,
        kind::SAID | kind::SAID_BY_CONNECTION | kind::SAID_BY_SESSION | kind::SAID_BY_ACCOUNT
    )
}

/// Bytes of what stands after the header.
fn payload_bytes(entry: &Entry<'_>) -> usize {
    let texts = match entry.content {
        Content::Said {
            text,
            reply_to,
            author,
            ..
        } => text.len() + reply_to.map_or(0, |_| 4) + said_by(author).1.map_or(0, |_| 8),
        Content::Edited { text, .. } => 4 + text.len(),
        Content::Deleted { .. } => 4,
        Content::Kicked { by, reason } => 2 + by.len() + reason.len(),
        Content::Act { by, detail, .. } => 1 + 4 + 2 + by.len() + detail.len(),
    };
    3 + entry.nick.len() + texts
}

fn length(text: &str) -> u16 {
    u16::try_from(text.len()).expect("a nick is short")
}

fn write_payload(entry: &Entry<'_>, to: &mut Vec<u8>) {
    let kind = match entry.content {
        Content::Said {
            manner,
            reply_to,
            author,
            ..
        } => {
            let action = match manner {
                Manner::Message => 0,
                Manner::Action => kind::ACTION,
            };
            said_by(author).0 | action | reply_to.map_or(0, |_| kind::REPLY)
        }
        Content::Edited { .. } => kind::EDITED,
        Content::Deleted { .. } => kind::DELETED,
        Content::Kicked { .. } => kind::KICKED,
        Content::Act { .. } => kind::ACT,
    };
    to.push(kind);
    to.extend_from_slice(&length(entry.nick).to_le_bytes());
    to.extend_from_slice(entry.nick.as_bytes());
    match entry.content {
        Content::Said {
            text,
            reply_to,
            author,
            ..
        } => {
            if let Some(author) = said_by(author).1 {
                to.extend_from_slice(&author.to_le_bytes());
            }
            if let Some(seq) = reply_to {
                to.extend_from_slice(&seq.0.to_le_bytes());
            }
            to.extend_from_slice(text.as_bytes());
        }
        Content::Edited { of, text } => {
            to.extend_from_slice(&of.0.to_le_bytes());
            to.extend_from_slice(text.as_bytes());
        }
        Content::Deleted { of } => to.extend_from_slice(&of.0.to_le_bytes()),
        Content::Kicked { by, reason } => {
            to.extend_from_slice(&length(by).to_le_bytes());
            to.extend_from_slice(by.as_bytes());
            to.extend_from_slice(reason.as_bytes());
        }
        Content::Act {
            act,
            by,
            detail,
            until,
        } => {
            to.push(act.number());
            // No act ends in the first second of 1970.
            to.extend_from_slice(&until.unwrap_or(0).to_le_bytes());
            to.extend_from_slice(&length(by).to_le_bytes());
            to.extend_from_slice(by.as_bytes());
            to.extend_from_slice(detail.as_bytes());
        }
    }
}

/// What a record says. Of a message that was changed, the text is that of the change, which the
/// caller knows: here it is empty, as that of a message that was deleted.
fn read_entry<'a>(header: &Header, mut rest: &'a [u8]) -> Entry<'a> {
    let kind = take(&mut rest, 1)[0];
    let nick = take_short(&mut rest);
    let is_changed = kind & kind::CHANGED != 0;
    let text_of = |rest: &'a [u8]| if is_changed { "" } else { text(rest) };
    let content = match kind & kind::CONTENT {
        said if is_said(said) => {
            let author = match said {
                kind::SAID_BY_CONNECTION => {
                    Author::Connection(ConnId::from_u64(take_long(&mut rest)))
                }
                kind::SAID_BY_SESSION => Author::Session(take_long(&mut rest)),
                kind::SAID_BY_ACCOUNT => NonZeroU32::new(take_long(&mut rest) as u32)
                    .map_or(Author::Unknown, |account| {
                        Author::Account(AccountId(account))
                    }),
                _ => Author::Unknown,
            };
            Content::Said {
                manner: match kind & kind::ACTION {
                    0 => Manner::Message,
                    _ => Manner::Action,
                },
                reply_to: (kind & kind::REPLY != 0).then(|| Seq(word(take(&mut rest, 4), 0))),
                author,
                form: if is_changed {
                    Form::Deleted
                } else {
                    Form::Original
                },
                text: text_of(rest),
            }
        }
        kind::EDITED => Content::Edited {
            of: Seq(word(take(&mut rest, 4), 0)),
            text: text_of(rest),
        },
        kind::DELETED => Content::Deleted {
            of: Seq(word(take(&mut rest, 4), 0)),
        },
        kind::KICKED => Content::Kicked {
            by: take_short(&mut rest),
            reason: text(rest),
        },
        kind::ACT => {
            let act =
                Act::numbered(take(&mut rest, 1)[0]).expect("the tail writes numbers of acts");
            let until = Some(word(take(&mut rest, 4), 0)).filter(|until| *until > 0);
            let by = take_short(&mut rest);
            Content::Act {
                act,
                by,
                detail: text(rest),
                until,
            }
        }
        other => unreachable!("no content has the number {other}"),
    };
    Entry {
        seq: header.seq,
        at: header.at,
        nick,
        content,
    }
}

/// Whether [`read_entry`] can read a payload that was carried.
fn is_sound(payload: &[u8]) -> bool {
    let mut rest = payload;
    let mut parts = || -> Option<bool> {
        let kind = try_take(&mut rest, 1)?[0];
        try_short(&mut rest)?;
        let is_changed = kind & kind::CHANGED != 0;
        match kind & kind::CONTENT {
            said if is_said(said) => {
                let author = if said == kind::SAID { 0 } else { 8 };
                let reply = if kind & kind::REPLY == 0 { 0 } else { 4 };
                try_take(&mut rest, author + reply)?;
            }
            kind::EDITED => drop(try_take(&mut rest, 4)?),
            kind::DELETED => return Some(try_take(&mut rest, 4).is_some() && rest.is_empty()),
            kind::KICKED => try_short(&mut rest)?,
            kind::ACT => {
                Act::numbered(try_take(&mut rest, 1)?[0])?;
                try_take(&mut rest, 4)?;
                try_short(&mut rest)?;
            }
            _ => return None,
        }
        Some(is_changed || str::from_utf8(rest).is_ok())
    };
    parts() == Some(true)
}

fn try_take<'a>(rest: &mut &'a [u8], bytes: usize) -> Option<&'a [u8]> {
    let (front, back) = rest.split_at_checked(bytes)?;
    *rest = back;
    Some(front)
}

fn try_short(rest: &mut &[u8]) -> Option<()> {
    let length = try_take(rest, 2)?;
    let bytes = usize::from(u16::from_le_bytes([length[0], length[1]]));
    str::from_utf8(try_take(rest, bytes)?).ok().map(drop)
}

/// Cuts `bytes` bytes off the front.
fn take<'a>(rest: &mut &'a [u8], bytes: usize) -> &'a [u8] {
    let (front, back) = rest.split_at(bytes);
    *rest = back;
    front
}

fn take_long(rest: &mut &[u8]) -> u64 {
    let bytes = take(rest, 8);
    u64::from(word(bytes, 4)) << 32 | u64::from(word(bytes, 0))
}

/// Cuts off a text and the two bytes of its length.
fn take_short<'a>(rest: &mut &'a [u8]) -> &'a str {
    let length = take(rest, 2);
    let bytes = usize::from(u16::from_le_bytes([length[0], length[1]]));
    text(take(rest, bytes))
}

fn text(bytes: &[u8]) -> &str {
    str::from_utf8(bytes).expect("texts went in as such")
}

struct Segment {
    bytes: Vec<u8>,
    /// What it may hold without growing; counts in [`Tail::held`].
    capacity: usize,
    /// When something was last written to it.
    written: Tick,
}

/// What the ring has of one room: 8 bytes.
#[derive(Clone, Copy)]
struct Ends {
    newest: Place,
    /// Of no meaning if there is no newest.
    oldest: Seq,
}

const NOTHING: Ends = Ends {
    newest: Place::NONE,
    oldest: Seq(0),
};

/// There is no space, and the oldest entry is not stored yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Full;

/// Recent entries of all rooms, the oldest are dropped first. For each room it has a piece of the
/// log that ends with the newest entry, without a gap.
pub(super) struct Tail {
    segments: VecDeque<Segment>,
    /// The number of the front segment.
    first: u32,
    /// Where the oldest record begins in the front segment.
    front_offset: usize,
    /// Capacity of all segments: at most `bytes_max`, or one entry that is longer.
    held: usize,
    bytes_max: usize,
    segment_bytes: usize,
    /// An empty segment, so that a full ring allocates nothing.
    spare: Option<Vec<u8>>,
    /// By the slot of the room.
    rooms: Vec<Ends>,
    entries: usize,
    /// The messages here that were edited, by slot and number, and by which entry last: that is
    /// here too, for it is newer.
    edited: BTreeMap<(u32, Seq), Seq>,
}

/// A record as it is carried: whose, which, when, when it was written, and the payload.
type Carried = (u32, (Seq, Millis), Tick, Vec<u8>);

impl Tail {
    /// All entries, the oldest first. `slots`: of rooms, below which all slots are.
    pub(super) fn carry(&mut self, slots: usize, carrier: &mut Carrier<'_>) -> Result<(), Damaged> {
        match carrier {
            Carrier::Writer(to) => {
                to.length(self.records().count());
                for (header, written, payload) in self.records() {
                    (header.slot, (header.seq, header.at), written).write(to);
                    to.length(payload.len());
                    to.put(payload);
                }
            }
            Carrier::Reader(from) => {
                for _ in 0..from.length()? {
                    let record: Carried = Carry::read(from)?;
                    self.append_carried(slots, record)?;
                }
            }
        }
        carrier.field(&mut self.edited)?;
        if carrier.is_reading() {
            self.verify_edits()?;
        }
        Ok(())
    }

    /// The records of all rooms that are there, the oldest first.
    fn records(&self) -> impl Iterator<Item = (Header, Tick, &[u8])> {
        let segments = self.segments.iter().enumerate();
        let records = segments.flat_map(|(index, segment)| {
            let mut offset = if index == 0 { self.front_offset } else { 0 };
            std::iter::from_fn(move || {
                let rest = segment
                    .bytes
                    .get(offset..)
                    .filter(|rest| !rest.is_empty())?;
                let header = Header::read(rest);
                offset += header.bytes();
                let payload = &rest[HEADER_BYTES..HEADER_BYTES + header.len as usize];
                Some((header, segment.written, payload))
            })
        });
        records.filter(|(header, ..)| header.slot != NO_SLOT)
    }

    fn append_carried(
        &mut self,
        slots: usize,
        (slot, (seq, at), written, payload): Carried,
    ) -> Result<(), Damaged> {
        let newest = self.ends(slot).newest;
        let follows = newest == Place::NONE || self.header(newest).seq.next() == Some(seq);
        if slot as usize >= slots || !follows || seq == Seq(0) || !is_sound(&payload) {
            return Err(Damaged("an entry in memory is none"));
        }
        let write = |to: &mut Vec<u8>| to.extend_from_slice(&payload);
        let mark = (seq, at, payload.len());
        // Where less fits than before, the oldest are dropped: all are stored, or nowhere else.
        self.append_written((slot, mark), write, |_, _| true, written)
            .map_err(|Full| Damaged("an entry does not fit"))
    }

    /// An edit that was dropped on the way, since less fits, is forgotten.
    fn verify_edits(&mut self) -> Result<(), Damaged> {
        let edited = std::mem::take(&mut self.edited);
        for ((slot, of), by) in edited {
            let Some(place) = self.find(slot, of) else {
                continue;
            };
            let is_changed = self.record(place).1[0] & kind::CHANGED != 0;
            let edit = self.content(slot, by);
            if !is_changed || by <= of || !matches!(edit, Some(Content::Edited { .. })) {
                return Err(Damaged("an edit is none"));
            }
            self.edited.insert((slot, of), by);
        }
        Ok(())
    }

    /// The newest entry of a room that is here.
    pub(super) fn newest(&self, slot: u32) -> Option<Seq> {
        let newest = self.ends(slot).newest;
        (newest != Place::NONE).then(|| self.header(newest).seq)
    }

    pub(super) fn new(bytes_max: usize) -> Self {
        let segment_bytes = (bytes_max / 16).clamp(SEGMENT_BYTES_MIN, SEGMENT_BYTES);
        Self {
            segments: VecDeque::new(),
            first: 0,
            front_offset: 0,
            held: 0,
            bytes_max,
            segment_bytes: padded(segment_bytes),
            spare: None,
            rooms: Vec::new(),
            entries: 0,
            edited: BTreeMap::new(),
        }
    }

    /// What the entry takes in the ring.
    pub(super) fn size_of(entry: &Entry<'_>) -> usize {
        padded(HEADER_BYTES + payload_bytes(entry))
    }

    /// Memory of all segments.
    pub(super) fn held(&self) -> usize {
        self.held
    }

    pub(super) fn entries(&self) -> usize {
        self.entries
    }

    /// The oldest entry of a room that is here.
    pub(super) fn oldest(&self, slot: u32) -> Option<Seq> {
        let ends = self.ends(slot);
        (ends.newest != Place::NONE).then_some(ends.oldest)
    }

    /// Adds the next entry of a room, and drops the oldest entries of all rooms where space is
    /// needed for it.
    ///
    /// # Errors
    /// Nothing was added: the oldest entry must stay, as `is_stored` says of it.
    pub(super) fn append(
        &mut self,
        slot: u32,
        entry: &Entry<'_>,
        is_stored: impl Fn(u32, Seq) -> bool,
        now: Tick,
    ) -> Result<(), Full> {
        let write = |to: &mut Vec<u8>| write_payload(entry, to);
        let mark = (entry.seq, entry.at, payload_bytes(entry));
        self.append_written((slot, mark), write, is_stored, now)
    }

    /// The same of an entry whose payload is written by `write`.
    fn append_written(
        &mut self,
        (slot, (seq, at, len)): (u32, (Seq, Millis, usize)),
        write: impl FnOnce(&mut Vec<u8>),
        is_stored: impl Fn(u32, Seq) -> bool,
        now: Tick,
    ) -> Result<(), Full> {
        let size = padded(HEADER_BYTES + len);
        self.make_space(size, is_stored, now)?;
        // Only now: the eviction may have dropped the entries that the links would name.
        let (prev, skip) = self.links(slot, seq);
        let header = Header {
            slot,
            seq,
            at,
            prev,
            skip,
            next: Place::NONE,
            len: u32::try_from(len).expect("an entry is a message"),
        };
        let number = self.first.wrapping_add(self.segments.len() as u32 - 1);
        let back = self.segments.back_mut().expect("space was made");
        let place = Place::new(number, back.bytes.len());
        let end = back.bytes.len() + size;
        header.write(&mut back.bytes);
        write(&mut back.bytes);
        back.bytes.resize(end, 0);
        back.written = now;
        self.entries += 1;
        if prev == Place::NONE {
            if self.rooms.len() <= slot as usize {
                self.rooms.resize(slot as usize + 1, NOTHING);
            }
            self.rooms[slot as usize].oldest = seq;
        } else {
            self.set_next(prev, place);
        }
        self.rooms[slot as usize].newest = place;
        Ok(())
    }

    /// Passes the entries of a room after `after` to `each`, until it returns false: then it has
    /// not taken that entry. Returns the last that was taken, or `after`; `None` if the entry after
    /// `after` is not here.
    pub(super) fn read(
        &self,
        slot: u32,
        after: Seq,
        each: &mut dyn FnMut(Entry<'_>) -> bool,
    ) -> Option<Seq> {
        let mut place = self.find(slot, after.next()?)?;
        let mut taken = after;
        while place != Place::NONE {
            let (header, entry) = self.entry(place);
            if !each(entry) {
                break;
            }
            taken = header.seq;
            place = header.next;
        }
        Some(taken)
    }

    /// Passes the entries of a room below `before` to `each`, the newest first, until it returns
    /// false.
    pub(super) fn read_back(
        &self,
        slot: u32,
        before: Seq,
        each: &mut dyn FnMut(Entry<'_>) -> bool,
    ) {
        let ends = self.ends(slot);
        if ends.newest == Place::NONE || before <= ends.oldest {
            return;
        }
        let newest = self.header(ends.newest).seq;
        let from = Seq(before.0 - 1).min(newest);
        let Some(mut place) = self.find(slot, from) else {
            return;
        };
        loop {
            let (header, entry) = self.entry(place);
            if !each(entry) || header.seq == ends.oldest {
                return;
            }
            place = header.prev;
        }
    }

    /// What the entries after `after` and up to `upto` take in the ring; both may lie outside it.
    pub(super) fn measure(&self, slot: u32, after: Seq, upto: Seq) -> usize {
        let Some(oldest) = self.oldest(slot) else {
            return 0;
        };
        let Some(from) = after.next() else {
            return 0;
        };
        let mut bytes = 0;
        let mut place = self.find(slot, from.max(oldest)).unwrap_or(Place::NONE);
        while place != Place::NONE {
            let header = self.header(place);
            if header.seq > upto {
                break;
            }
            bytes += header.bytes();
            place = header.next;
        }
        bytes
    }

    /// The slot belongs to no room any more, or to another. What is here of it is not found again
    /// and counts as stored.
    pub(super) fn forget(&mut self, slot: u32) {
        let ends = self.ends(slot);
        if ends.newest == Place::NONE {
            return;
        }
        let mut place = ends.newest;
        loop {
            let header = self.header(place);
            self.bytes_at(place)[..4].copy_from_slice(&NO_SLOT.to_le_bytes());
            if header.seq == ends.oldest {
                break;
            }
            place = header.prev;
        }
        self.rooms[slot as usize] = NOTHING;
        self.edited.retain(|(edited, _), _| *edited != slot);
        while self
            .rooms
            .last()
            .is_some_and(|ends| ends.newest == Place::NONE)
        {
            self.rooms.pop();
        }
        if self.rooms.len() < self.rooms.capacity() / 8 {
            self.rooms.shrink_to(self.rooms.len() * 2);
        }
    }

    /// Returns the memory of what was last written before `before`.
    pub(super) fn drop_before(&mut self, before: Tick, is_stored: impl Fn(u32, Seq) -> bool) {
        self.spare = None;
        while self.written().is_some_and(|written| written < before) {
            if self.drop_front(&is_stored).is_err() {
                return;
            }
            self.spare = None;
        }
    }

    /// When the oldest segment was last written to.
    pub(super) fn written(&self) -> Option<Tick> {
        self.segments.front().map(|front| front.written)
    }

    /// Makes the back segment one with space for `size` bytes.
    fn make_space(
        &mut self,
        size: usize,
        is_stored: impl Fn(u32, Seq) -> bool,
        now: Tick,
    ) -> Result<(), Full> {
        let fits = |back: &Segment| back.bytes.len() + size <= back.capacity;
        if self.segments.back().is_some_and(fits) {
            return Ok(());
        }
        let capacity = size.max(self.segment_bytes);
        while self.held + capacity > self.bytes_max && !self.segments.is_empty() {
            self.drop_front(&is_stored)?;
        }
        let spare = self.spare.take().filter(|_| capacity == self.segment_bytes);
        self.segments.push_back(Segment {
            bytes: spare.unwrap_or_else(|| Vec::with_capacity(capacity)),
            capacity,
            written: now,
        });
        self.held += capacity;
        Ok(())
    }

    /// Drops the front segment, or as much of it as is stored.
    fn drop_front(&mut self, is_stored: &impl Fn(u32, Seq) -> bool) -> Result<(), Full> {
        let Some(front) = self.segments.front() else {
            return Ok(());
        };
        while self.front_offset < front.bytes.len() {
            let header = Header::read(&front.bytes[self.front_offset..]);
            if header.slot != NO_SLOT {
                if !is_stored(header.slot, header.seq) {
                    return Err(Full);
                }
                if front.bytes[self.front_offset + HEADER_BYTES] & kind::CHANGED != 0 {
                    self.edited.remove(&(header.slot, header.seq));
                }
                let ends = &mut self.rooms[header.slot as usize];
                assert_eq!(ends.oldest, header.seq, "the oldest goes first");
                if header.next == Place::NONE {
                    *ends = NOTHING;
                } else {
                    ends.oldest = Seq(header.seq.0 + 1);
                }
            }
            self.entries -= 1;
            self.front_offset += header.bytes();
        }
        if let Some(mut front) = self.segments.pop_front() {
            self.held -= front.capacity;
            if front.capacity == self.segment_bytes {
                front.bytes.clear();
                self.spare = Some(front.bytes);
            }
        }
        self.first = self.first.wrapping_add(1);
        self.front_offset = 0;
        Ok(())
    }

    /// The links of the next entry of a room to the one before it, and to the one that its number
    /// without its lowest bit has.
    fn links(&self, slot: u32, seq: Seq) -> (Place, Place) {
        let ends = self.ends(slot);
        if ends.newest == Place::NONE {
            return (Place::NONE, Place::NONE);
        }
        let before = self.header(ends.newest);
        assert_eq!(before.seq.next(), Some(seq), "a log has no gap");
        let target = without_lowest_bit(seq);
        let (mut place, mut at) = (ends.newest, before);
        // seq - 1 is the target with ones below it: taking them away, one by one, leads there.
        while at.seq != target {
            if without_lowest_bit(at.seq) < ends.oldest {
                return (ends.newest, Place::NONE);
            }
            place = at.skip;
            at = self.header(place);
        }
        (ends.newest, place)
    }

    /// The record of an entry, from the newest of its room backwards: each step skips as far as it
    /// may, so that some log² of the distance are taken.
    fn find(&self, slot: u32, seq: Seq) -> Option<Place> {
        let ends = self.ends(slot);
        if ends.newest == Place::NONE || seq < ends.oldest {
            return None;
        }
        let mut place = ends.newest;
        let mut header = self.header(place);
        if seq > header.seq {
            return None;
        }
        while header.seq != seq {
            let skips = without_lowest_bit(header.seq) >= seq;
            place = if skips { header.skip } else { header.prev };
            header = self.header(place);
        }
        Some(place)
    }

    fn ends(&self, slot: u32) -> Ends {
        self.rooms.get(slot as usize).copied().unwrap_or(NOTHING)
    }

    fn set_next(&mut self, of: Place, next: Place) {
        self.bytes_at(of)[NEXT_AT..NEXT_AT + 4].copy_from_slice(&next.0.to_le_bytes());
    }

    fn header(&self, place: Place) -> Header {
        Header::read(&self.segments[self.index(place)].bytes[place.offset()..])
    }

    fn record(&self, place: Place) -> (Header, &[u8]) {
        let from = &self.segments[self.index(place)].bytes[place.offset()..];
        let header = Header::read(from);
        (
            header,
            &from[HEADER_BYTES..HEADER_BYTES + header.len as usize],
        )
    }

    /// The entry of a record in its present form.
    fn entry(&self, place: Place) -> (Header, Entry<'_>) {
        let (header, payload) = self.record(place);
        let mut entry = read_entry(&header, payload);
        if let Content::Said { text, form, .. } = &mut entry.content
            && *form == Form::Deleted
            && let Some(by) = self.edited.get(&(header.slot, header.seq))
            && let Some(Content::Edited { text: new, .. }) = self.content(header.slot, *by)
        {
            *text = new;
            *form = Form::Edited { by: *by };
        }
        (header, entry)
    }

    /// What the entry of a room says, if it is here.
    pub(super) fn content(&self, slot: u32, seq: Seq) -> Option<Content<&str>> {
        let place = self.find(slot, seq)?;
        Some(self.entry(place).1.content)
    }

    /// The entry `by` of the room, the newest, has changed the message `of`, if that is here.
    pub(super) fn amend(&mut self, slot: u32, of: Seq, by: Seq) {
        let Some(place) = self.find(slot, of) else {
            return;
        };
        let is_edit = matches!(self.content(slot, by), Some(Content::Edited { .. }));
        let is_there = matches!(
            self.entry(place).1.content,
            Content::Said {
                form: Form::Original | Form::Edited { .. },
                ..
            }
        );
        if !is_there {
            return;
        }
        self.erase_at(place);
        if is_edit {
            self.edited.insert((slot, of), by);
        } else {
            self.edited.remove(&(slot, of));
        }
    }

    /// The text of an edit is not that of its message any more.
    pub(super) fn erase(&mut self, slot: u32, edit: Seq) {
        if let Some(place) = self.find(slot, edit)
            && matches!(self.entry(place).1.content, Content::Edited { .. })
        {
            self.erase_at(place);
        }
    }

    /// Overwrites the text of a record, and marks it.
    fn erase_at(&mut self, place: Place) {
        let (header, entry) = self.entry(place);
        let text = match entry.content {
            // Where the text of a later edit is shown, this record's own is erased already.
            Content::Said {
                form: Form::Edited { .. } | Form::Deleted,
                ..
            } => 0,
            Content::Said { text, .. } | Content::Edited { text, .. } => text.len(),
            Content::Kicked { .. } | Content::Deleted { .. } | Content::Act { .. } => return,
        };
        let end = HEADER_BYTES + header.len as usize;
        let record = self.bytes_at(place);
        record[HEADER_BYTES] |= kind::CHANGED;
        record[end - text..end].fill(0);
    }

    fn bytes_at(&mut self, place: Place) -> &mut [u8] {
        let index = self.index(place);
        &mut self.segments[index].bytes[place.offset()..]
    }

    fn index(&self, place: Place) -> usize {
        (place.segment().wrapping_sub(self.first) & Place::SEGMENT_MASK) as usize
    }

    /// Walks the whole ring.
    pub(super) fn check_invariants(&self) {
        let held: usize = self.segments.iter().map(|segment| segment.capacity).sum();
        assert_eq!(held, self.held);
        assert!(held <= self.bytes_max || self.segments.len() == 1);
        let mut next: Vec<Option<Seq>> = vec![None; self.rooms.len()];
        let mut entries = 0;
        for (index, segment) in self.segments.iter().enumerate() {
            assert!(segment.bytes.len() <= segment.capacity);
            let mut offset = if index == 0 { self.front_offset } else { 0 };
            while offset < segment.bytes.len() {
                let header = Header::read(&segment.bytes[offset..]);
                entries += 1;
                offset += header.bytes();
                if header.slot == NO_SLOT {
                    continue;
                }
                let ends = self.rooms[header.slot as usize];
                let expected = &mut next[header.slot as usize];
                assert_eq!(header.seq, expected.unwrap_or(ends.oldest));
                *expected = header.seq.next();
                let found = self.find(header.slot, header.seq);
                let found = found.map(|place| self.header(place).seq);
                assert_eq!(found, Some(header.seq));
            }
        }
        assert_eq!(entries, self.entries);
        for ((slot, of), by) in &self.edited {
            let content = self.content(*slot, *of);
            let is_edited = matches!(content, Some(Content::Said { form: Form::Edited { by: last }, text, .. })
                if last == *by && !text.is_empty());
            assert!(is_edited, "an edit of what is not here");
        }
        for (ends, next) in self.rooms.iter().zip(next) {
            let newest = (ends.newest != Place::NONE).then(|| self.header(ends.newest).seq);
            assert_eq!(newest.and_then(Seq::next), next);
        }
    }
}

const fn without_lowest_bit(seq: Seq) -> Seq {
    Seq(seq.0 & seq.0.wrapping_sub(1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn entry(seq: u32, text: &str) -> Entry<'_> {
        Entry {
            seq: Seq(seq),
            at: Millis(u64::from(seq)),
            nick: "annie",
            content: Content::said(Manner::Message, text, None, Author::Unknown),
        }
    }

    fn append(tail: &mut Tail, slot: u32, seq: u32, text: &str) {
        tail.append(slot, &entry(seq, text), |_, _| true, Tick(0))
            .expect("everything is stored");
    }

    fn read(tail: &Tail, slot: u32, after: u32) -> Option<Vec<String>> {
        let mut texts = Vec::new();
        tail.read(slot, Seq(after), &mut |entry| {
            let Content::Said { text, .. } = entry.content else {
                panic!("only messages were said");
            };
            texts.push(String::from(text));
            true
        })?;
        Some(texts)
    }

    #[test]
    fn a_message_costs_at_most_46_bytes_more_than_its_text() {
        let text = "x".repeat(64);
        assert!(Tail::size_of(&entry(1, &text)) <= 64 + 46);
        let mut tail = Tail::new(4 << 20);
        for seq in 1..=38_000 {
            append(&mut tail, 0, seq, &text);
        }
        assert_eq!(tail.oldest(0), Some(Seq(1)), "38,000 messages fit in 4 MiB");
        assert_eq!(size_of::<Ends>(), 8);
    }

    #[test]
    fn memory_grows_with_what_is_said_and_stays_below_the_bound() {
        let mut tail = Tail::new(4 << 20);
        assert_eq!(tail.held(), 0);
        append(&mut tail, 0, 1, "a");
        assert_eq!(tail.held(), SEGMENT_BYTES);
        let text = "x".repeat(1_000);
        for seq in 2..10_000 {
            append(&mut tail, 0, seq, &text);
            assert!(tail.held() <= 4 << 20);
        }
        assert!(tail.held() > 3 << 20);
    }

    #[test]
    fn memory_is_returned_after_a_quiet_time() {
        let mut tail = Tail::new(64 * 1024);
        for seq in 1..=500 {
            let entry = entry(seq, "some text");
            tail.append(0, &entry, |_, _| true, Tick(seq))
                .expect("everything is stored");
        }
        let held = tail.held();
        tail.drop_before(Tick(300), |_, _| true);
        assert!(tail.held() < held && tail.held() > 0);
        assert_eq!(read(&tail, 0, 499).map(|texts| texts.len()), Some(1));
        tail.drop_before(Tick(501), |_, seq| seq < Seq(500));
        assert_eq!(tail.oldest(0), Some(Seq(500)), "it is not stored");
        tail.check_invariants();
        tail.drop_before(Tick(501), |_, _| true);
        assert_eq!((tail.held(), tail.oldest(0)), (0, None));
        assert!(tail.spare.is_none());
    }

    #[test]
    fn an_entry_that_is_not_stored_is_not_dropped() {
        let mut tail = Tail::new(1_024);
        let text = "x".repeat(100);
        let mut seq = 1;
        while tail
            .append(0, &entry(seq, &text), |_, _| false, Tick(0))
            .is_ok()
        {
            seq += 1;
        }
        assert_eq!(tail.oldest(0), Some(Seq(1)));
        assert!(seq > 4);
        append(&mut tail, 0, seq, &text);
        assert!(tail.oldest(0) > Some(Seq(1)));
        tail.check_invariants();
    }

    #[test]
    fn one_entry_may_be_longer_than_the_ring() {
        let mut tail = Tail::new(1_024);
        append(&mut tail, 0, 1, "a");
        let text = "x".repeat(3_000);
        append(&mut tail, 0, 2, &text);
        assert_eq!(read(&tail, 0, 1), Some(vec![text]));
        assert_eq!(tail.oldest(0), Some(Seq(2)));
        append(&mut tail, 0, 3, "b");
        assert_eq!(read(&tail, 0, 2), Some(vec![String::from("b")]));
        assert!(tail.held() <= 1_024);
    }

    #[test]
    fn an_entry_is_found_in_few_steps() {
        let mut tail = Tail::new(4 << 20);
        for seq in 1..=30_000 {
            append(&mut tail, 0, seq, "some text");
        }
        for seq in (1..=30_000).step_by(7) {
            let (mut place, mut steps) = (tail.ends(0).newest, 0);
            while tail.header(place).seq != Seq(seq) {
                let header = tail.header(place);
                let skips = without_lowest_bit(header.seq) >= Seq(seq);
                place = if skips { header.skip } else { header.prev };
                steps += 1;
            }
            assert!(steps <= 120, "{steps} steps to {seq}");
        }
    }

    #[test]
    fn a_forgotten_slot_is_that_of_another_room() {
        let mut tail = Tail::new(1_024);
        append(&mut tail, 3, 1, "a");
        append(&mut tail, 3, 2, "b");
        tail.forget(3);
        assert_eq!(tail.oldest(3), None);
        append(&mut tail, 3, 1, "c");
        assert_eq!(read(&tail, 3, 0), Some(vec![String::from("c")]));
        for seq in 1..100 {
            append(&mut tail, 0, seq, "x");
            tail.check_invariants();
        }
        assert_eq!(tail.oldest(3), None);
    }

    #[test]
    fn it_agrees_with_lists_of_texts() {
        let mut word = 88_172_645_463_325_252_u64;
        let mut below = |limit: u64| {
            word ^= word << 13;
            word ^= word >> 7;
            word ^= word << 17;
            (word % limit) as u32
        };
        for bytes_max in [300, 2_000, 10_000, 100_000] {
            let mut tail = Tail::new(bytes_max);
            // For each room what was said, how much of it is stored, and the sizes.
            let mut rooms: BTreeMap<u32, (Vec<String>, u32)> = BTreeMap::new();
            for step in 0..4_000 {
                let slot = below(5);
                let (said, stored) = rooms.entry(slot).or_default();
                match below(16) {
                    0..=8 => {
                        let longest = if below(20) == 0 { 500 } else { 40 };
                        let text = "y".repeat(below(longest) as usize) + &step.to_string();
                        let seq = said.len() as u32 + 1;
                        let marks: Vec<u32> = (0..5)
                            .map(|slot| rooms.get(&slot).map_or(0, |(_, stored)| *stored))
                            .collect();
                        let is_stored = |slot: u32, seq: Seq| seq.0 <= marks[slot as usize];
                        let added = tail.append(slot, &entry(seq, &text), is_stored, Tick(0));
                        if added == Ok(()) {
                            let (said, _) = rooms.entry(slot).or_default();
                            said.push(text);
                        }
                    }
                    9..=11 => *stored = (*stored + below(20)).min(said.len() as u32),
                    12 if below(20) == 0 => {
                        tail.forget(slot);
                        rooms.remove(&slot);
                    }
                    _ => {
                        let after = below(said.len() as u64 + 1);
                        let oldest = tail.oldest(slot);
                        let is_here = oldest.is_some_and(|oldest| oldest.0 <= after + 1)
                            && (after as usize) < said.len();
                        let expected = is_here.then(|| said[after as usize..].to_vec());
                        assert_eq!(read(&tail, slot, after), expected);
                        let upto = after + below(said.len() as u64 + 1 - u64::from(after));
                        let sizes = (after + 1..=upto)
                            .filter(|seq| oldest.is_some_and(|oldest| Seq(*seq) >= oldest));
                        let bytes =
                            sizes.map(|seq| Tail::size_of(&entry(seq, &said[seq as usize - 1])));
                        let bytes: usize = bytes.sum();
                        assert_eq!(tail.measure(slot, Seq(after), Seq(upto)), bytes);
                    }
                }
                tail.check_invariants();
                for (slot, (said, stored)) in &rooms {
                    let oldest = tail
                        .oldest(*slot)
                        .map_or(said.len() as u32 + 1, |seq| seq.0);
                    assert!(oldest <= stored + 1, "what is not stored is here");
                }
            }
        }
    }
}
