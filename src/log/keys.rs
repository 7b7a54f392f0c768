//! The keys with which clients sent: what was sent again is found by them. Knows hashes of keys,
//! and numbers of rooms in the store; whether an entry is stored is asked of the caller.
//!
//! Two bounded memories: the keys of the last entries of all sessions, and, for a session that
//! came back, those that the store has of it.

use super::store::{KeptKey, Key, StoredRoom};
use crate::carry::{Carrier, Damaged, carried};
use crate::id::{Millis, Seq, Tick};
use hashbrown::HashTable;
use siphasher::sip::SipHasher13;
use std::collections::VecDeque;
use std::hash::Hasher;

/// Recent keys. More are held only while their entries are not stored, which the tail bounds.
const RECENT_MAX: usize = 16_384;

/// Sessions that came back and whose keys may be asked for. Beyond it the oldest is dropped: what
/// it sends again after a restart may then be doubled.
const RESUMED_MAX: usize = 65_536;

/// From coming back to the first message with a key, after which none is read any more: a client
/// that reconnects sends what was not acknowledged at once.
const UNREAD_TICKS: u32 = 10 * 60 * 10;

/// The keys that were read serve so many messages and so long.
const READ_USES: u32 = 64;
const READ_TICKS: u32 = 60 * 10;

/// An entry that has a key: 24 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Keyed {
    hash: u64,
    pub(super) room: StoredRoom,
    pub(super) seq: Seq,
    pub(super) at: Millis,
}

carried!(struct Keyed { hash, room, seq, at });

/// What is known of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Known {
    New,
    Sent(Keyed),
    /// The session's keys must be read first, which the caller asks the store for.
    Ask,
    /// They were asked for.
    Asked,
}

struct Resumed {
    session: u64,
    due: Tick,
    state: State,
}

enum State {
    Unread,
    Reading,
    Read { keys: Box<[Keyed]>, uses: u32 },
}

pub(super) struct Keys {
    recent: VecDeque<Keyed>,
    /// The serial number of the front of `recent`, modulo 2³².
    first: u32,
    /// Serial numbers by hash.
    index: HashTable<u32>,
    resumed: HashTable<Box<Resumed>>,
    /// When to look at a session again. Each that is in the table is here at least once.
    dues: VecDeque<(Tick, u64)>,
    hash_keys: (u64, u64),
}

impl Keys {
    pub(super) const fn new(hash_keys: (u64, u64)) -> Self {
        Self {
            recent: VecDeque::new(),
            first: 0,
            index: HashTable::new(),
            resumed: HashTable::new(),
            dues: VecDeque::new(),
            hash_keys,
        }
    }

    /// The recent keys, and the sessions that came back: their keys are read again.
    pub(super) fn carry(&mut self, carrier: &mut Carrier<'_>) -> Result<(), Damaged> {
        carrier.field(&mut self.recent)?;
        let resumed = self.resumed.iter();
        let mut resumed: Vec<(Tick, u64)> = resumed.map(|one| (one.due, one.session)).collect();
        resumed.sort_unstable();
        carrier.field(&mut resumed)?;
        if !carrier.is_reading() {
            return Ok(());
        }
        if resumed.len() > RESUMED_MAX {
            return Err(Damaged("more sessions came back than are known"));
        }
        self.first = 0;
        let recent = &self.recent;
        for (serial, keyed) in (0..).zip(recent) {
            self.index
                .insert_unique(keyed.hash, serial, |serial| recent[*serial as usize].hash);
        }
        for (due, session) in resumed {
            if self.find_resumed(session).is_ok() {
                return Err(Damaged("a session came back twice"));
            }
            let state = State::Unread;
            let one = Box::new(Resumed {
                session,
                due,
                state,
            });
            self.resumed
                .insert_unique(spread(session), one, |one| spread(one.session));
            self.dues.push_back((due, session));
        }
        Ok(())
    }

    /// What is known of a key that a message came with.
    pub(super) fn look_up(&mut self, key: &Key) -> Known {
        let hash = self.hash(key.session, &key.key);
        let place = |serial: &u32| serial.wrapping_sub(self.first) as usize;
        let found = self
            .index
            .find(hash, |serial| self.recent[place(serial)].hash == hash);
        if let Some(serial) = found {
            return Known::Sent(self.recent[place(serial)]);
        }
        let Ok(mut entry) = self.find_resumed(key.session) else {
            return Known::New;
        };
        let resumed = entry.get_mut();
        match &mut resumed.state {
            State::Unread => {
                resumed.state = State::Reading;
                Known::Ask
            }
            State::Reading => Known::Asked,
            State::Read { keys, uses } => {
                let known = keys.iter().find(|keyed| keyed.hash == hash);
                let known = known.map_or(Known::New, |keyed| Known::Sent(*keyed));
                *uses += 1;
                if *uses >= READ_USES {
                    entry.remove();
                }
                known
            }
        }
    }

    /// An entry with a key was numbered. The oldest keys give way, but for those of entries that
    /// are not stored.
    pub(super) fn insert(
        &mut self,
        key: &Key,
        room: StoredRoom,
        (seq, at): (Seq, Millis),
        is_stored: impl Fn(&Keyed) -> bool,
    ) {
        while self.recent.len() >= RECENT_MAX && self.recent.front().is_some_and(&is_stored) {
            self.forget_oldest();
        }
        let keyed = Keyed {
            hash: self.hash(key.session, &key.key),
            room,
            seq,
            at,
        };
        let serial = self.first.wrapping_add(self.recent.len() as u32);
        self.recent.push_back(keyed);
        let (first, recent) = (self.first, &self.recent);
        self.index.insert_unique(keyed.hash, serial, |serial| {
            recent[serial.wrapping_sub(first) as usize].hash
        });
    }

    fn forget_oldest(&mut self) {
        if let Some(oldest) = self.recent.pop_front() {
            let first = self.first;
            if let Ok(found) = self
                .index
                .find_entry(oldest.hash, |serial| *serial == first)
            {
                found.remove();
            }
            self.first = first.wrapping_add(1);
        }
    }

    /// A session came back: it may send again what it sent before the last start.
    pub(super) fn resumed(&mut self, session: u64, now: Tick) {
        if self.find_resumed(session).is_ok() {
            return;
        }
        while self.resumed.len() >= RESUMED_MAX {
            let Some((_, oldest)) = self.dues.pop_front() else {
                break;
            };
            if let Ok(found) = self.find_resumed(oldest) {
                found.remove();
            }
        }
        let due = now + UNREAD_TICKS;
        let resumed = Resumed {
            session,
            due,
            state: State::Unread,
        };
        self.resumed
            .insert_unique(spread(session), Box::new(resumed), |resumed| {
                spread(resumed.session)
            });
        self.dues.push_back((due, session));
    }

    /// The keys of a session came from the store.
    pub(super) fn read(&mut self, session: u64, kept: &[KeptKey], now: Tick) {
        let keys = kept.iter().map(|kept| Keyed {
            hash: self.hash(session, &kept.key),
            room: kept.stored_room,
            seq: kept.seq,
            at: kept.at,
        });
        let keys = keys.collect();
        if let Ok(mut entry) = self.find_resumed(session) {
            let resumed = entry.get_mut();
            resumed.state = State::Read { keys, uses: 0 };
            resumed.due = now + READ_TICKS;
        }
    }

    /// They could not be read: the next message with a key asks again.
    pub(super) fn read_failed(&mut self, session: u64) {
        if let Ok(mut entry) = self.find_resumed(session) {
            entry.get_mut().state = State::Unread;
        }
    }

    /// When [`Keys::expire`] is needed next.
    pub(super) fn due(&self) -> Option<Tick> {
        self.dues.front().map(|(due, _)| *due)
    }

    pub(super) fn expire(&mut self, now: Tick) {
        while self.due().is_some_and(|due| due <= now) {
            let Some((_, session)) = self.dues.pop_front() else {
                return;
            };
            let Ok(entry) = self.find_resumed(session) else {
                continue;
            };
            let (due, is_reading) = {
                let resumed = entry.get();
                (resumed.due, matches!(resumed.state, State::Reading))
            };
            if due > now || is_reading {
                self.dues.push_back((due.max(now + READ_TICKS), session));
            } else {
                entry.remove();
            }
        }
        if self.resumed.len() < self.resumed.capacity() / 8 {
            let length = self.resumed.len() * 2;
            self.resumed
                .shrink_to(length, |resumed| spread(resumed.session));
            self.dues.shrink_to(length);
        }
    }

    fn find_resumed(
        &mut self,
        session: u64,
    ) -> Result<
        hashbrown::hash_table::OccupiedEntry<'_, Box<Resumed>>,
        hashbrown::hash_table::AbsentEntry<'_, Box<Resumed>>,
    > {
        self.resumed
            .find_entry(spread(session), |resumed| resumed.session == session)
    }

    fn hash(&self, session: u64, key: &str) -> u64 {
        let mut hasher = SipHasher13::new_with_keys(self.hash_keys.0, self.hash_keys.1);
        hasher.write_u64(session);
        hasher.write(key.as_bytes());
        hasher.finish()
    }

    pub(super) fn check_invariants(&self) {
        assert_eq!(self.index.len(), self.recent.len());
        assert!(self.resumed.len() <= RESUMED_MAX);
        assert!(self.dues.len() >= self.resumed.len());
    }
}

/// Sessions are random numbers, which the server made.
const fn spread(session: u64) -> u64 {
    session.wrapping_mul(0x9E37_79B9_7F4A_7C15)
}

#[cfg(test)]
mod tests {
    use super::*;
    use smol_str::{SmolStr, format_smolstr};

    fn key(session: u64, number: u32) -> Key {
        Key {
            session,
            key: format_smolstr!("k{number}"),
        }
    }

    fn sent(keys: &mut Keys, key: &Key) -> Option<u32> {
        match keys.look_up(key) {
            Known::Sent(keyed) => Some(keyed.seq.0),
            Known::New => None,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_newest_keys_are_known_and_older_ones_give_way() {
        assert_eq!(size_of::<Keyed>(), 24);
        let mut keys = Keys::new((1, 2));
        for number in 1..=RECENT_MAX as u32 + 10 {
            let place = (Seq(number), Millis(0));
            keys.insert(&key(1, number), StoredRoom(1), place, |_| true);
        }
        assert_eq!(keys.recent.len(), RECENT_MAX);
        assert_eq!(sent(&mut keys, &key(1, 10)), None);
        assert_eq!(sent(&mut keys, &key(1, 11)), Some(11));
        assert_eq!(
            sent(&mut keys, &key(2, 11)),
            None,
            "the key of another session"
        );
        keys.check_invariants();
    }

    #[test]
    fn the_key_of_an_entry_that_is_not_stored_does_not_give_way() {
        let mut keys = Keys::new((1, 2));
        for number in 1..=RECENT_MAX as u32 + 10 {
            let place = (Seq(number), Millis(0));
            keys.insert(&key(1, number), StoredRoom(1), place, |keyed| {
                keyed.seq < Seq(5)
            });
        }
        assert_eq!(sent(&mut keys, &key(1, 4)), None);
        assert_eq!(sent(&mut keys, &key(1, 5)), Some(5));
        assert_eq!(keys.recent.len(), RECENT_MAX + 6);
        keys.check_invariants();
    }

    fn kept(number: u32) -> KeptKey {
        KeptKey {
            key: key(0, number).key,
            stored_room: StoredRoom(1),
            seq: Seq(number),
            at: Millis(0),
        }
    }

    #[test]
    fn a_session_that_came_back_has_its_keys_read_once() {
        let mut keys = Keys::new((1, 2));
        keys.resumed(8, Tick(0));
        assert_eq!(keys.look_up(&key(9, 1)), Known::New, "another session");
        assert_eq!(keys.look_up(&key(8, 1)), Known::Ask);
        assert_eq!(keys.look_up(&key(8, 1)), Known::Asked);
        keys.read_failed(8);
        assert_eq!(keys.look_up(&key(8, 1)), Known::Ask);
        keys.read(8, &[kept(1), kept(2)], Tick(5));
        assert_eq!(sent(&mut keys, &key(8, 1)), Some(1));
        assert_eq!(sent(&mut keys, &key(8, 3)), None);
        keys.expire(Tick(5 + UNREAD_TICKS));
        assert_eq!(sent(&mut keys, &key(8, 1)), None);
        assert!(keys.resumed.is_empty() && keys.dues.is_empty());
    }

    #[test]
    fn keys_that_were_read_serve_64_messages() {
        let mut keys = Keys::new((1, 2));
        keys.resumed(8, Tick(0));
        assert_eq!(keys.look_up(&key(8, 1)), Known::Ask);
        keys.read(8, &[kept(1)], Tick(5));
        for _ in 0..READ_USES {
            assert_eq!(sent(&mut keys, &key(8, 1)), Some(1));
        }
        assert_eq!(sent(&mut keys, &key(8, 1)), None);
    }

    #[test]
    fn sessions_that_came_back_are_bounded() {
        let mut keys = Keys::new((1, 2));
        for session in 0..RESUMED_MAX as u64 + 3 {
            keys.resumed(session, Tick(0));
            keys.resumed(session, Tick(0));
        }
        keys.check_invariants();
        assert_eq!(keys.look_up(&key(2, 1)), Known::New);
        assert_eq!(keys.look_up(&key(3, 1)), Known::Ask);
        keys.expire(Tick(UNREAD_TICKS));
        assert_eq!(keys.resumed.len(), 1, "the one whose keys are being read");
        let empty = Key {
            session: 3,
            key: SmolStr::default(),
        };
        assert_eq!(keys.look_up(&empty), Known::Asked);
    }
}
