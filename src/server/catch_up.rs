//! Members that are behind: nothing is held for them but a cursor. When the outbox of one is
//! empty, a page of entries is read from the log and queued, until the cursor is at the head and
//! the member live again. Slow, returning and new members are the same here. Knows no entry's
//! content and no store.

use super::Server;
use super::connection::Connection;
use crate::carry::{Carry, Damaged, Writer, carried};
use crate::conn::outbox::Pushed;
use crate::frame::{Frame, Run};
use crate::id::{ConnId, RoomId, Seq, Tick};
use crate::log::{BlockKey, Reading};
use crate::net::Net;
use crate::wire::{Protocol, Shown};
use std::collections::{HashMap, VecDeque};

/// Pages that are queued in one turn, over all connections.
const PAGES_PER_TURN: usize = 256;

/// Bytes that are queued in one turn, over all connections; the last page may exceed it.
const BYTES_PER_TURN: usize = 1 << 20;

/// A run of encoded entries begins behind a multiple of this, wherever possible, so that readers
/// with different cursors share it.
const RUN_ENTRIES: u32 = 16;

/// Why a member is behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// Its outbox was full, or it has come back after too long.
    Slow,
    /// It has come back and reads what it missed, all of which was promised to it.
    Returning,
    /// It reads the newest entries of the past, whose beginning was marked; their end is to be.
    History,
}

/// How far a member that is behind has come in one room.
#[derive(Clone, Copy, Debug)]
struct Behind {
    room: RoomId,
    /// The last entry that was queued.
    cursor: Seq,
    purpose: Purpose,
    /// Entries up to here were promised to the member: no gap is made before them.
    promised: Seq,
    /// The room's notices when the member fell behind: more at its return are lost to it.
    notices: u32,
}

/// All members that are behind, and which of them can be served.
#[derive(Default)]
pub(super) struct CatchUp {
    members: HashMap<ConnId, Reader>,
    /// Connections whose outbox was empty; each at most once.
    queue: VecDeque<ConnId>,
}

#[derive(Default)]
struct Reader {
    /// At most one for each room. The first has its turn next.
    rooms: VecDeque<Behind>,
    is_queued: bool,
}

carried!(enum Purpose { 0 = Slow, 1 = Returning, 2 = History });
carried!(struct Behind { room, cursor, purpose, promised, notices });

/// The cursors. Which of the connections can be served follows from their outboxes.
impl Carry for CatchUp {
    fn write(&self, to: &mut Writer) {
        to.length(self.members.len());
        for (id, reader) in &self.members {
            id.write(to);
            reader.rooms.write(to);
        }
    }

    fn read(from: &mut crate::carry::Reader<'_>) -> Result<Self, Damaged> {
        let members: HashMap<ConnId, VecDeque<Behind>> = Carry::read(from)?;
        let reader = |rooms| Reader {
            rooms,
            is_queued: false,
        };
        Ok(Self {
            members: members
                .into_iter()
                .map(|(id, rooms)| (id, reader(rooms)))
                .collect(),
            queue: VecDeque::new(),
        })
    }
}

impl CatchUp {
    /// How far each member that is behind has come.
    pub(super) fn cursors(&self) -> impl Iterator<Item = (ConnId, RoomId, Seq)> {
        let readers = self.members.iter();
        readers.flat_map(|(id, reader)| {
            let rooms = reader.rooms.iter();
            rooms.map(|behind| (*id, behind.room, behind.cursor))
        })
    }

    pub(super) fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// Connections with a member that is behind.
    pub(super) fn len(&self) -> usize {
        self.members.len()
    }

    /// A connection can be served at once.
    pub(super) fn has_work(&self) -> bool {
        !self.queue.is_empty()
    }

    /// Whether a connection is behind in one of its rooms.
    fn has(&self, id: ConnId) -> bool {
        self.members.contains_key(&id)
    }

    /// A member that was behind before, and asks for more of the past, gets what it was not sent,
    /// too.
    fn put(&mut self, id: ConnId, mut behind: Behind) {
        let reader = self.members.entry(id).or_default();
        if let Some(known) = reader.rooms.iter().find(|other| other.room == behind.room) {
            behind.cursor = behind.cursor.min(known.cursor);
            behind.promised = known.promised;
            behind.notices = known.notices;
        }
        reader.rooms.retain(|other| other.room != behind.room);
        reader.rooms.push_back(behind);
    }

    /// A notice of the room is not for this connection, which may be behind there.
    pub(super) fn does_not_miss(&mut self, id: ConnId, room: RoomId) {
        let reader = self.members.get_mut(&id);
        let rooms = reader.into_iter().flat_map(|reader| &mut reader.rooms);
        for behind in rooms.filter(|behind| behind.room == room) {
            behind.notices = behind.notices.wrapping_add(1);
        }
    }

    /// The outbox of a connection is empty: it is served when its turn comes.
    pub(super) fn enqueue(&mut self, id: ConnId) {
        if let Some(reader) = self.members.get_mut(&id)
            && !std::mem::replace(&mut reader.is_queued, true)
        {
            self.queue.push_back(id);
        }
    }

    fn dequeue(&mut self) -> Option<ConnId> {
        loop {
            let id = self.queue.pop_front()?;
            // It may have left since.
            if let Some(reader) = self.members.get_mut(&id) {
                reader.is_queued = false;
                return Some(id);
            }
        }
    }

    /// A member is live again, or has left the room.
    pub(super) fn remove(&mut self, id: ConnId, room: RoomId) {
        if let Some(reader) = self.members.get_mut(&id) {
            reader.rooms.retain(|behind| behind.room != room);
            if reader.rooms.is_empty() {
                self.members.remove(&id);
            }
        }
    }

    /// The room of a connection whose turn it is; the next time it is another's.
    fn rotate(&mut self, id: ConnId) -> Option<Behind> {
        let rooms = &mut self.members.get_mut(&id)?.rooms;
        let behind = *rooms.front()?;
        rooms.rotate_left(1);
        Some(behind)
    }

    /// No entry of a room above `to` is there any more.
    pub(super) fn rewind(&mut self, room: RoomId, to: Seq) {
        let rooms = self.members.values_mut();
        let rooms = rooms.flat_map(|reader| &mut reader.rooms);
        for behind in rooms.filter(|behind| behind.room == room) {
            behind.cursor = behind.cursor.min(to);
            behind.promised = behind.promised.min(to);
        }
    }

    fn moves(&mut self, id: ConnId, room: RoomId, cursor: Seq) {
        let reader = self.members.get_mut(&id);
        let rooms = reader.into_iter().flat_map(|reader| &mut reader.rooms);
        for behind in rooms.filter(|behind| behind.room == room) {
            behind.cursor = cursor;
        }
    }

    /// A connection has ended.
    pub(super) fn forget(&mut self, id: ConnId) {
        // Mostly none is behind, and hashing takes time.
        if !self.members.is_empty() {
            self.members.remove(&id);
        }
    }
}

/// What can be read from a cursor on.
enum Next {
    /// A run of entries, up to and with this one. `None`: this protocol shows none of them.
    Run { frame: Option<Frame>, upto: Seq },
    /// Nothing: the cursor is at the head.
    Head,
    /// Entries after the cursor are not kept any more; this is the oldest that is.
    Gap { oldest: Seq },
    /// The store was asked; [`Server::page_came`] follows.
    Wait,
}

impl<N: Net> Server<N> {
    /// The step of the turn: a page for each connection that is behind and has an empty outbox.
    /// After the flush, when no room has anything pending: a member that becomes live here would
    /// receive a pending run twice.
    pub(super) fn catch_up(&mut self, now: Tick) {
        let mut bytes = 0;
        for _ in 0..self.catch_up.queue.len().min(PAGES_PER_TURN) {
            if bytes >= BYTES_PER_TURN {
                return;
            }
            assert!(self.batches.is_empty(), "a room has something pending");
            let Some(id) = self.catch_up.dequeue() else {
                return;
            };
            bytes += self.read_on(id, now);
        }
    }

    /// A member reads from the log from here on, beginning after `cursor`. The room has nothing
    /// pending.
    pub(super) fn falls_behind(
        &mut self,
        id: ConnId,
        room: RoomId,
        cursor: Seq,
        purpose: Purpose,
        lost_notices: bool,
    ) {
        self.tallies.catch_ups += 1;
        self.talk.falls_behind(id, room);
        let notices = self.talk.chat().notices(room);
        let notices = notices.wrapping_sub(u32::from(lost_notices));
        let behind = Behind {
            room,
            cursor,
            purpose,
            promised: match purpose {
                Purpose::Returning => self.log.head(room),
                Purpose::History | Purpose::Slow => Seq(0),
            },
            notices,
        };
        self.catch_up.put(id, behind);
        let is_drained = |c: &mut Connection<N::Stream>| c.state.outbox.is_empty();
        if self.connections.get_mut(id).is_some_and(is_drained) {
            self.catch_up.enqueue(id);
        }
    }

    /// The store has answered: the members that are behind in this room can go on.
    pub(super) fn page_came(&mut self, room: RoomId) {
        for id in self.talk.chat().behind(room) {
            let Some(connection) = self.connections.get_mut(*id) else {
                continue;
            };
            if connection.state.outbox.is_empty() {
                self.catch_up.enqueue(*id);
            }
        }
    }

    /// Queues a page for a connection. Its rooms take turns. Returns how many bytes were queued.
    fn read_on(&mut self, id: ConnId, now: Tick) -> usize {
        let Some(connection) = self.connections.get_mut(id) else {
            self.catch_up.forget(id);
            return 0;
        };
        if !connection.state.outbox.is_empty() {
            // It is enqueued again when the outbox is empty.
            return 0;
        }
        let protocol = connection.protocol;
        let rooms = self.catch_up.members.get(&id).map_or(0, |r| r.rooms.len());
        for _ in 0..rooms {
            let Some(behind) = self.catch_up.rotate(id) else {
                return 0;
            };
            if self.talk.chat().is_live(id, behind.room)
                || !self.talk.chat().is_member(id, behind.room)
            {
                self.catch_up.remove(id, behind.room);
            } else if self.read_room(id, protocol, behind, now) {
                let bytes = self.queued_bytes(id);
                self.flush_one(id, now);
                self.catch_up_again(id);
                return bytes;
            }
        }
        0
    }

    fn queued_bytes(&mut self, id: ConnId) -> usize {
        let connection = self.connections.get_mut(id);
        connection.map_or(0, |connection| connection.state.outbox.bytes())
    }

    /// A connection whose outbox is empty is served again in the next turn, if it is behind.
    pub(super) fn catch_up_again(&mut self, id: ConnId) {
        if self.catch_up.has(id) && self.queued_bytes(id) == 0 {
            self.catch_up.enqueue(id);
        }
    }

    /// Queues what comes next in one room. False: the store must answer first.
    fn read_room(&mut self, id: ConnId, protocol: Protocol, behind: Behind, now: Tick) -> bool {
        let Behind { room, .. } = behind;
        let mut behind = behind;
        // A cursor below what the member may read comes from what the client says that it has.
        let oldest = self.oldest_for(id, room);
        if self.log.oldest(room) < oldest && behind.cursor.0 + 1 < oldest.0 {
            let to = Seq(oldest.0 - 1);
            self.show_gap(id, behind, to, now);
            behind.cursor = to;
        }
        let mut cursor = behind.cursor;
        let missed = self.log.head(room).0.saturating_sub(cursor.0);
        let max = self.catch_up_max;
        if missed > max && cursor >= behind.promised {
            // To half of it, or every page would bring another small gap.
            let to = Seq(self.log.head(room).0 - max / 2);
            self.show_gap(id, behind, to, now);
            cursor = to;
        }
        let upto = match self.next_run(id, room, protocol, cursor) {
            Next::Wait => {
                self.catch_up.moves(id, room, cursor);
                return false;
            }
            Next::Head => cursor,
            Next::Gap { oldest } => {
                let to = Seq(oldest.0.saturating_sub(1));
                self.show_gap(id, Behind { cursor, ..behind }, to, now);
                to
            }
            Next::Run { frame: None, upto } => upto,
            Next::Run {
                frame: Some(frame),
                upto,
            } => match self.connections.push(id, frame) {
                Pushed::Queued => upto,
                Pushed::Full => cursor,
            },
        };
        self.catch_up.moves(id, room, upto);
        if upto >= self.log.head(room) {
            self.becomes_live(id, behind, now);
        }
        true
    }

    /// Entries after the cursor up to `to` will not be sent by themselves.
    fn show_gap(&mut self, id: ConnId, behind: Behind, to: Seq, now: Tick) {
        if to <= behind.cursor {
            return;
        }
        let Some(room) = self.talk.chat().room_name_for(id, behind.room) else {
            return;
        };
        self.tallies.gaps += 1;
        self.connections.missed += u64::from(to.0 - behind.cursor.0);
        let gap = Shown::Gap {
            room: &room,
            from: Seq(behind.cursor.0 + 1),
            to,
        };
        self.show(id, &gap, now);
    }

    /// A live member is not sent the entries after `head` up to `to`, which nothing has any more.
    pub(super) fn misses(&mut self, id: ConnId, room: RoomId, (head, to): (Seq, Seq), now: Tick) {
        let behind = Behind {
            room,
            cursor: head,
            purpose: Purpose::Slow,
            promised: Seq(0),
            notices: 0,
        };
        self.show_gap(id, behind, to, now);
    }

    fn becomes_live(&mut self, id: ConnId, behind: Behind, now: Tick) {
        let room = behind.room;
        self.catch_up.remove(id, room);
        self.talk.becomes_live(id, room);
        let chat = self.talk.chat();
        let lost = chat.notices(room) != behind.notices;
        let Some(name) = chat.room_name_for(id, room) else {
            return;
        };
        if behind.purpose == Purpose::History {
            self.show(id, &Shown::HistoryEnds, now);
        }
        if lost {
            self.show(id, &Shown::Lost { room: &name }, now);
        }
    }

    /// A run of encoded entries from a cursor on, at most as much as half an outbox takes.
    fn next_run(&mut self, id: ConnId, room: RoomId, protocol: Protocol, cursor: Seq) -> Next {
        let log_gen = self.log.log_gen(room);
        let oldest = self.log.oldest(room);
        if cursor.0 + 1 < oldest.0 {
            // A run of what is not kept any more may still be there.
            return Next::Gap { oldest };
        }
        let key = BlockKey {
            room,
            log_gen,
            protocol: protocol.index() as u8,
            after: cursor,
        };
        // Each of the two knows a conversation by another name, which may change.
        let is_shared = self.talk.chat().pair_of(room).is_none();
        if is_shared && let Some((frame, upto)) = self.blocks.get(&key) {
            return Next::Run {
                frame: Some(frame),
                upto,
            };
        }
        let Some(name) = self.talk.chat().room_name_for(id, room) else {
            return Next::Head;
        };
        let limits = self.connections.limits();
        let mut run = Run::default();
        let mut upto = cursor;
        let encoder = &mut self.encoder;
        let reading = self.log.read(room, cursor, &mut |entry| {
            let is_full = run.len() * 2 >= limits.bytes_max
                || run.count() as usize * 2 >= limits.frames_max
                || upto > cursor && upto.0.is_multiple_of(RUN_ENTRIES);
            if !is_full {
                let shown = Shown::Entry {
                    room: &name,
                    entry: &entry,
                };
                if let Some(text) = encoder.text(&shown, protocol) {
                    run.push_text(text);
                }
                upto = entry.seq;
            }
            !is_full
        });
        match (run.take(), reading) {
            (Some(frame), _) => {
                if is_shared {
                    self.blocks.put(key, (frame.clone(), upto), frame.len());
                }
                let frame = Some(frame);
                Next::Run { frame, upto }
            }
            (None, _) if upto > cursor => Next::Run { frame: None, upto },
            (None, Reading::Read { .. } | Reading::AtHead) => Next::Head,
            (None, Reading::Gap { oldest }) => Next::Gap { oldest },
            (None, Reading::Wait) => Next::Wait,
        }
    }

    /// Panics if the members that are behind are not those whose cursors are known. For tests.
    pub(super) fn check_catch_up(&self) {
        let chat = self.talk.chat();
        let mut count = 0;
        for (id, reader) in &self.catch_up.members {
            for behind in &reader.rooms {
                let is_behind = chat.is_member(*id, behind.room) && !chat.is_live(*id, behind.room);
                assert!(is_behind, "a cursor of a member that is not behind");
                assert!(
                    behind.cursor <= self.log.head(behind.room),
                    "a cursor above the head"
                );
                count += 1;
            }
        }
        assert_eq!(
            count,
            chat.behind_count(),
            "each member that is behind has a cursor"
        );
    }
}
