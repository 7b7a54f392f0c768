//! The seam between the log, which numbers entries in the loop, and what keeps them. Behind it is
//! SQLite on a thread of its own (`store`), or a simulated disk. Requests go in and answers come
//! out in order; neither side waits for the other. Everything here can be sent to another thread.

use super::nodes::{NodesAnswer, NodesRequest};
use crate::carry::carried;
use crate::chat::registry::{AuditRow, Change, Snapshot};
use crate::chat::{Counts, Draft, Entry, Moves, Role, RoomsSighting, Sighting};
use crate::histogram::Histogram;
use crate::id::{Millis, RoomId, Seq};
use smol_str::SmolStr;
use std::path::PathBuf;

/// How long a store keeps the keys of messages that were sent with one. After that, the same key is
/// a new message.
pub const DEDUPE_MS: u64 = 24 * 60 * 60 * 1000;

/// Keeps entries. The loop calls it, so nothing here may wait for a disk.
///
/// A *shared engine* is one that also numbers them, elsewhere and later, for this server and for
/// others: what holds of it alone says so. It is asked to [`Request::Open`], [`Request::Close`],
/// [`Request::Number`], [`Request::Propose`], [`Request::Read`] and [`Request::Nodes`], and sends no
/// [`Answer::Stored`]: what it has numbered it has. The answers of a turn are taken before the
/// requests of that turn are handed over.
pub trait Store {
    /// Hands over all requests, in order: those that are left in the list come again with the next
    /// call, before newer ones. The log bounds how much is under way: entries by half the tail,
    /// reads, keys and searches together by 64, and one [`Request::Open`] a room.
    fn send(&mut self, requests: &mut Vec<Request>);

    /// Appends the answers that have come, in order.
    fn receive(&mut self, answers: &mut Vec<Answer>);

    /// What it has counted, for metrics; `None`: it counts nothing.
    fn figures(&self) -> Option<Figures> {
        None
    }
}

/// What a store has counted since the start.
#[derive(Clone, Copy, Debug)]
pub struct Figures {
    /// Microseconds that commits took.
    pub commits: Histogram,
    pub failed_commits: u64,
    /// What is free on its disk; `None`: the system does not say.
    pub free_bytes: Option<u64>,
}

/// The number of a room in the store. Never used for another room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StoredRoom(pub u32);

/// What a store knew when it was opened, read before the server starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Started {
    /// This start's epoch: one more than that of the last start. With a shared engine, rooms have
    /// epochs of their own, and this is a random number like its salt: they tell this start of
    /// this server from all others.
    pub epoch: u32,
    /// The newest epochs, this one included and last: at most 1,000.
    pub epochs: Vec<EpochInfo>,
    /// The first number for a room that is not in the store.
    pub next_room: StoredRoom,
    /// The key of session tokens. The same at each start, and for all servers of an engine.
    pub session_key: [u8; 32],
    pub registry: Snapshot,
}

/// An epoch, and what tells it from one of the same number after an older copy was restored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EpochInfo {
    pub epoch: u32,
    /// Random.
    pub salt: u32,
}

/// What is asked of the store.
#[derive(Debug)]
pub enum Request {
    /// What is kept of a room? Answered by [`Answer::Opened`] or [`Answer::OpenFailed`]. Writes
    /// nothing.
    Open { room: RoomId, name: SmolStr },
    /// Keep an entry. All that wait together are committed together. Answered by
    /// [`Answer::Stored`]; never refused, only late: a commit that fails is tried again with the
    /// same rows.
    Append(Box<Record>),
    /// Keep a change of the registry, by the same commit as the entries that wait, or a later one.
    /// Answered by [`Answer::Changed`]; never refused, only late. One whose number is kept already
    /// is ignored.
    Change(Box<Change>),
    /// Read entries of a room, from the one after `after` on. Answered by [`Answer::Page`] or
    /// [`Answer::ReadFailed`].
    Read {
        room: RoomId,
        stored_room: StoredRoom,
        /// Returned with the page: a page of another generation is discarded.
        log_gen: u64,
        after: Seq,
        entries_max: u32,
        /// The page ends when its texts have so many bytes; it has at least one entry.
        bytes_max: u32,
    },
    /// The newest 64 keys with which a session sent. Answered by [`Answer::Keys`] or
    /// [`Answer::KeysFailed`].
    Keys { session: u64 },
    /// Search the texts of a room below `before`, the newest first, until [`is_enough`] is found.
    /// Answered by [`Answer::Found`] or [`Answer::SearchFailed`].
    Search {
        tag: u64,
        stored_room: StoredRoom,
        words: String,
        before: Seq,
        entries_max: u32,
    },
    /// Copy all that is kept to a new file, in steps between other work. Answered by
    /// [`Answer::Copied`], several times.
    Backup { tag: u64, path: PathBuf },
    /// Write a room's entries from `after` on as JSON lines, as many as go into one answer.
    /// Answered by [`Answer::Exported`].
    Export { tag: u64, name: SmolStr, after: Seq },
    /// Read rows of the audit log with numbers below `before`, the newest first. Answered by
    /// [`Answer::Audited`].
    Audit {
        tag: u64,
        room: Option<SmolStr>,
        before: u64,
        limit: u32,
    },
    /// The same as JSON lines, as many as go into one answer. Answered by
    /// [`Answer::AuditExported`].
    AuditExport {
        tag: u64,
        room: Option<SmolStr>,
        before: u64,
    },
    /// Keep as much as this from here on. Not answered.
    Bounds(Bounds),
    /// Check all that is kept, on a copy beside it. Answered by [`Answer::Checked`].
    Check { tag: u64 },
    /// Put a change that goes with no entry in order: of a shared engine alone, in the place of
    /// [`Request::Change`]. Answered by [`Answer::Changed`] or [`Answer::NotChanged`], unless the link
    /// is lost before: then it is dropped, and handed over again with the same number.
    Propose(Box<Proposed>),
    /// Number an entry and keep it: of a shared engine alone, in the place of [`Request::Append`].
    /// Answered once, by [`Answer::Numbered`] or [`Answer::Refused`],
    /// unless the link is lost before: then it is dropped, and handed over again with the same tag
    /// and the same key once the link is back. The key makes it one entry.
    Number(Box<Unnumbered>),
    /// The room was dropped: no entry of it is needed any more, and the id is never used again. Of
    /// a shared engine alone. Not answered; answers for the room that come later are ignored.
    Close { room: RoomId },
    /// About the servers that share an engine: of a shared one alone.
    Nodes(NodesRequest),
    /// The members that this server has in an open room have changed: of a shared engine alone, and
    /// not handed over while the link is down. Not answered; see [`Answer::MembersWanted`].
    Present { room: RoomId, moves: Box<Moves> },
    /// The rooms in which this server has members have changed, or how many: as [`Request::Present`];
    /// see [`Answer::RoomsWanted`].
    Count(Box<Counts>),
}

/// How much a store keeps. 0 is no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Days for which entries are kept.
    pub keep_days: u32,
    /// Entries that are kept of each room.
    pub keep_messages: u32,
    /// Days for which the audit log is kept.
    pub audit_days: u32,
    /// Bytes of the file.
    pub max_bytes: u64,
    /// Free bytes of the disk below which there is a warning.
    pub low_disk_bytes: u64,
}

/// An entry to be kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    pub room: RoomId,
    pub stored_room: StoredRoom,
    /// The room's name, with which the first entry of a room creates it in the store.
    pub name: SmolStr,
    pub epoch: u32,
    pub seq: Seq,
    pub at: Millis,
    pub draft: Draft,
    /// With what the sender may send it again.
    pub key: Option<Key>,
}

/// An entry that an engine is to number which other servers share.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unnumbered {
    /// Chosen by the log, and never used for another entry of this server.
    pub tag: u64,
    /// It is open.
    pub room: RoomId,
    pub name: SmolStr,
    pub draft: Draft,
    /// With what the entry is handed over again. Without one of the client, the log makes one up:
    /// of session 0, from the salt of [`Started`] and the tag.
    pub key: Key,
    /// What the entry changes in the registry, such as bans and roles: kept by the same step, and
    /// given to each server before the entry.
    pub change: Option<Box<Proposed>>,
    /// What decided that it may be said.
    pub judged: Judged,
    /// It has waited for the link since. If another server has banned, muted or kicked a user
    /// meanwhile, it is answered by [`RefusedWhy::Stale`].
    pub has_waited: bool,
}

/// What decided that a draft may be said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Judged {
    /// The changes that this server had taken.
    pub seen: Option<Version>,
    /// The role of who removes a member, who may be at another server.
    pub by: Option<Role>,
}

/// How far the registry of an engine that servers share had come: its changes are numbered from 1 in
/// each epoch on, above those of the epoch before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Version {
    pub epoch: EpochInfo,
    pub number: u64,
}

/// A change of the registry that a shared engine is to put in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proposed {
    /// Its number is one of this server, by which it is known when it is handed over again.
    pub change: Change,
    /// What this server had taken when it made the change. Where that decides, a later change of
    /// another server has the change refused.
    pub seen: Option<Version>,
}

/// Why an entry was not numbered. It has changed nothing and never will.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefusedWhy {
    /// The engine has no memory for it.
    Full,
    /// The engine failed, and cannot be asked again.
    Failed,
    /// The room is not open, or has no more numbers.
    NotOpen,
    /// Another server has made a change that this server had not seen, and that has come since.
    Stale,
}

/// What tells a message that was sent again.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Key {
    pub session: u64,
    /// Chosen by the client: at most 64 bytes.
    pub key: SmolStr,
}

/// What comes from the store.
#[derive(Debug)]
pub enum Answer {
    Opened {
        room: RoomId,
        /// `None`: the store has no such room. A shared engine always has it, with a
        /// [`StoredRoom`] that is given to one name as long as the server runs.
        kept: Option<Kept>,
    },
    /// All entries of the room up to this one are on the disk, as far as the sync setting promises.
    Stored {
        room: RoomId,
        upto: Seq,
    },
    /// All changes of the registry up to this one are on the disk, as entries are. With a shared
    /// engine: those that were handed over by [`Request::Propose`], and what they change has come.
    Changed {
        upto: u64,
    },
    /// A [`Request::Propose`] was refused. It has changed nothing and never will. Where another server
    /// has overtaken it, the change of that has come.
    NotChanged {
        number: u64,
        /// It was overtaken.
        is_stale: bool,
    },
    /// A change of the registry is the next in order at a shared engine, whichever server has made
    /// it. Comes before the [`Answer::Entry`] that it goes with. Not before [`Answer::Facts`].
    Applied {
        /// With its number in that order.
        change: Box<Change>,
        version: Version,
        /// The number of the change where this server has made it.
        own: Option<u64>,
    },
    /// All facts that a shared engine has, at a version: what differs is to be changed. Comes when the
    /// engine is reached first, and where changes may have been missed.
    Facts {
        facts: Box<Snapshot>,
        version: Version,
    },
    Page {
        room: RoomId,
        log_gen: u64,
        page: Page,
    },
    Keys {
        session: u64,
        keys: Vec<KeptKey>,
    },
    Found {
        tag: u64,
        entries: Vec<PageEntry>,
        more: bool,
    },
    /// A [`Request::Read`] failed, as on a damaged page of the database.
    ReadFailed {
        room: RoomId,
        log_gen: u64,
        after: Seq,
        why: String,
    },
    /// A [`Request::Keys`] failed.
    KeysFailed {
        session: u64,
        why: String,
    },
    /// An [`Request::Open`] failed.
    OpenFailed {
        room: RoomId,
        why: String,
    },
    /// A [`Request::Search`] failed.
    SearchFailed {
        tag: u64,
        why: String,
    },
    /// Entries of this room cannot be kept, as on a damaged page; other rooms go on. What was
    /// handed over of it stays unstored, so new entries of the room must be refused.
    RoomFailed {
        room: RoomId,
        why: String,
    },
    /// A [`Request::Backup`] goes on, or is done when `done == pages`.
    Copied {
        tag: u64,
        done: u64,
        pages: u64,
    },
    Exported {
        tag: u64,
        /// JSON lines, some 64 KiB.
        lines: String,
        /// From where to ask for more; `None`: that was all.
        next: Option<Seq>,
    },
    Audited {
        tag: u64,
        rows: Vec<AuditRow>,
        more: bool,
    },
    AuditExported {
        tag: u64,
        lines: String,
        /// Before which row to ask for more; `None`: that was all.
        next: Option<u64>,
    },
    Checked {
        tag: u64,
        /// One sentence for each thing that is wrong.
        problems: Vec<String>,
    },
    /// A [`Request::Backup`], [`Request::Export`], [`Request::Audit`] or [`Request::Check`] failed.
    TaskFailed {
        tag: u64,
        why: String,
    },
    /// Retention has removed the entries below this one.
    Forgotten {
        room: StoredRoom,
        oldest: Seq,
    },
    Health(Health),
    /// A shared engine has numbered an entry of this server or of another one. Those of a room come
    /// in the order of their numbers: the first after [`Answer::Opened`] has the number after
    /// [`Kept::head`], and there is no gap but the one that [`Answer::Gap`] or [`Answer::Epoch`]
    /// has made known. Nothing is promised between rooms.
    Entry {
        room: RoomId,
        entry: PageEntry,
        /// The role of who removes a member by it.
        by: Option<Role>,
    },
    /// The answer to a [`Request::Number`]. The [`Answer::Entry`] of that number came before, or is
    /// in the past of the room; where an [`Answer::Epoch`] took it back meanwhile, this does not
    /// come, and the entry is [`Answer::Refused`] or numbered again.
    Numbered {
        room: RoomId,
        tag: u64,
        seq: Seq,
        at: Millis,
        /// An entry with this key was there before the request.
        is_duplicate: bool,
    },
    /// The answer to a [`Request::Number`] which was not carried out.
    Refused {
        room: RoomId,
        tag: u64,
        why: RefusedWhy,
    },
    /// The entries before `oldest` that did not come are not kept any more: the next
    /// [`Answer::Entry`] of the room is `oldest`.
    Gap {
        room: RoomId,
        oldest: Seq,
    },
    /// What the engine had numbered above `kept_to` is lost: it goes on from there, in a new epoch.
    /// Comes before any [`Answer::Page`] or [`Answer::Entry`] of that epoch. `kept_to` may be above
    /// what came of the room so far: then nothing of it was lost here.
    Epoch {
        room: RoomId,
        kept_to: Seq,
        epoch: EpochInfo,
    },
    /// About the servers that share an engine.
    Nodes(NodesAnswer),
    /// The link to a shared engine was lost, or is back. While it is down no
    /// [`Request::Number`] is handed over, and those that were not answered are dropped; reads that
    /// were under way are answered by [`Answer::ReadFailed`]; a [`Request::Open`] is kept, and
    /// answered later. An engine whose link is not up yet begins with one that is down.
    Link {
        is_up: bool,
        /// For the operator: one sentence.
        why: String,
    },
    /// Of a shared engine: members that other servers have in a room. What is kept of them comes
    /// before [`Answer::Opened`], and again when the link is back.
    Sighted {
        room: RoomId,
        what: Sighting,
    },
    /// Of a shared engine: an entry was numbered in a conversation of two, by whichever server. Those
    /// that were numbered before an [`Answer::Opened`] of the room come before it, but for those
    /// that came while the link was down, which do not.
    Hint {
        name: SmolStr,
        seq: Seq,
    },
    /// A shared engine may have lost which members this server has in a room: all are to be named
    /// again.
    MembersWanted {
        room: RoomId,
    },
    /// Of a shared engine: rooms in which other servers have members.
    RoomsSighted(RoomsSighting),
    /// A shared engine may have lost in which rooms this server has members: all are to be named
    /// again. Comes whenever the link is there as well.
    RoomsWanted,
}

/// What the store has of a room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    pub stored_room: StoredRoom,
    /// The oldest entry that is kept; one more than `head` if none is.
    pub oldest: Seq,
    pub head: Seq,
    /// When the newest entry was numbered.
    pub at: Millis,
    /// The newest eras, oldest first, at most 64. Those of a shared engine include the present
    /// one, from `head + 1` on where nothing was numbered in it, and need not rise in `first`: what
    /// an era kept of those before it may be lost with a later one.
    pub eras: Vec<Era>,
    /// Of a shared engine alone: the salts of those epochs, one for each era.
    pub salts: Vec<u32>,
}

/// From `first` on, until the next era, entries of a room were numbered in `epoch`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Era {
    pub epoch: u32,
    pub first: Seq,
}

/// Entries as they are kept, in order, without a gap.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    pub entries: Vec<PageEntry>,
    /// All that is kept from `after` up to here is in the page.
    pub complete_to: Seq,
    /// The oldest entry that is kept of the room.
    pub oldest: Seq,
}

/// One entry of a [`Page`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PageEntry {
    pub seq: Seq,
    pub at: Millis,
    pub draft: Draft,
}

impl PageEntry {
    /// A copy of an entry.
    pub fn of(entry: &Entry<'_>) -> Self {
        Self {
            seq: entry.seq,
            at: entry.at,
            draft: Draft {
                nick: SmolStr::new(entry.nick),
                content: entry.content.map(str::to_owned),
            },
        }
    }

    pub fn as_entry(&self) -> Entry<'_> {
        self.draft.numbered(self.seq, self.at)
    }

    /// The length of its texts.
    pub fn text_bytes(&self) -> usize {
        self.draft.nick.len() + self.draft.content.text_bytes()
    }
}

/// Bytes of text with which a search has found enough: what was found is in memory until its client
/// has it, and many may search at once.
const FOUND_BYTES_MAX: usize = 32 * 1024;

/// Whether a search for at most `entries_max` entries ends with these.
pub fn is_enough(found: &[PageEntry], entries_max: usize) -> bool {
    let bytes = || found.iter().map(PageEntry::text_bytes).sum::<usize>();
    found.len() >= entries_max || bytes() >= FOUND_BYTES_MAX
}

/// Whether the store can write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Health {
    Good,
    /// What was handed over waits and is tried again; new entries are refused. Why, for the log.
    Failing {
        why: String,
    },
}

/// A key that was stored with an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptKey {
    pub key: SmolStr,
    pub stored_room: StoredRoom,
    pub seq: Seq,
    pub at: Millis,
}

carried!(struct StoredRoom(number));
carried!(struct EpochInfo { epoch, salt });
carried!(struct Era { epoch, first });
