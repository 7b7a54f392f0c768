//! What a member may read of a room in which newcomers see nothing of what was said before they came,
//! and what a session keeps of a room when its connection ends, so that the client comes back to
//! where it was. Members of other rooms cost nothing. Knows no entry's content.

use super::Server;
use crate::carry::carried;
use crate::id::{ConnId, RoomId, Seq, Tick};
use crate::net::Net;
use smol_str::SmolStr;
use std::collections::{BTreeMap, VecDeque};

/// Seats that are kept for clients that may come back: some 2 MB.
const KEPT_MAX: usize = 16_384;

/// For how long: an hour. A client that comes later comes as a new one.
const KEPT_TICKS: u32 = 36_000;

/// A session's place in a room.
#[derive(Clone, Debug)]
pub(super) struct Seat {
    /// The oldest entry that it may read.
    floor: Seq,
    /// What is kept of the password of the room in which it was.
    pub(super) pass: Option<SmolStr>,
}

/// All floors of members, and the seats of sessions whose connection has ended.
#[derive(Debug, Default)]
pub(super) struct Seats {
    floors: BTreeMap<(ConnId, RoomId), Seq>,
    kept: BTreeMap<(u64, SmolStr), (Tick, Seat)>,
    /// When they end, in order. A seat that was taken, or kept anew, is still here.
    ends: VecDeque<(Tick, u64, SmolStr)>,
}

carried!(struct Seat { floor, pass });
carried!(struct Seats { floors, kept, ends });

impl Seats {
    /// Whether those that have a floor in a room are members.
    pub(super) fn agree(&self, chat: &crate::chat::Chat) -> bool {
        let mut floors = self.floors.keys();
        floors.all(|(id, room)| chat.is_member(*id, *room)) && self.kept.len() <= KEPT_MAX
    }

    /// The floor of a member; `None`: it has none.
    fn floor(&self, id: ConnId, room: RoomId) -> Option<Seq> {
        // Nearly always there are none.
        if self.floors.is_empty() {
            return None;
        }
        self.floors.get(&(id, room)).copied()
    }

    /// A member has left a room.
    pub(super) fn leaves(&mut self, id: ConnId, room: RoomId) {
        self.floors.remove(&(id, room));
    }

    /// No entry of a room above `to` is there any more.
    pub(super) fn rewind(&mut self, room: RoomId, to: Seq) {
        let floors = self.floors.iter_mut();
        for (_, floor) in floors.filter(|((_, of), _)| *of == room) {
            *floor = (*floor).min(Seq(to.0.saturating_add(1)));
        }
    }

    /// A connection has ended.
    pub(super) fn forget(&mut self, id: ConnId) {
        if !self.floors.is_empty() {
            self.floors.retain(|(of, _), _| *of != id);
        }
    }

    /// No member has a floor.
    pub(super) fn is_empty(&self) -> bool {
        self.floors.is_empty()
    }

    fn keep(&mut self, session: u64, room: SmolStr, seat: Seat, now: Tick) {
        let end = now + KEPT_TICKS;
        self.kept.insert((session, room.clone()), (end, seat));
        self.ends.push_back((end, session, room));
        while let Some((end, ..)) = self.ends.front()
            && (*end <= now || self.ends.len() > KEPT_MAX)
        {
            let Some((end, session, room)) = self.ends.pop_front() else {
                return;
            };
            let key = (session, room);
            if self.kept.get(&key).is_some_and(|(until, _)| *until == end) {
                self.kept.remove(&key);
            }
        }
    }

    fn kept(&self, session: u64, room: &SmolStr, now: Tick) -> Option<&Seat> {
        if self.kept.is_empty() {
            return None;
        }
        let (end, seat) = self.kept.get(&(session, room.clone()))?;
        (now < *end).then_some(seat)
    }

    fn take(&mut self, session: u64, room: &SmolStr) {
        self.kept.remove(&(session, room.clone()));
    }
}

impl<N: Net> Server<N> {
    /// The oldest entry of a room that a member may read: the only place that decides it.
    pub(super) fn oldest_for(&self, id: ConnId, room: RoomId) -> Seq {
        let oldest = self.log.oldest(room);
        match self.seats.floor(id, room) {
            Some(floor) if !self.talk.chat().reads_past(id, room) => oldest.max(floor),
            Some(_) | None => oldest,
        }
    }

    /// What the session of a client has kept of a room.
    pub(super) fn seat_of(&self, id: ConnId, name: &SmolStr, now: Tick) -> Option<Seat> {
        let session = self.sessions.of(id)?;
        self.seats.kept(session, name, now).cloned()
    }

    /// A user has joined a room, and has come back to `seat` if it had one.
    pub(super) fn takes_seat(&mut self, id: ConnId, room: RoomId, seat: Option<Seat>) {
        if let (Some(_), Some(session)) = (&seat, self.sessions.of(id)) {
            let name = self.log.name(room).clone();
            self.seats.take(session, &name);
        }
        if self.talk.chat().hides_past(room) {
            let newcomer = Seq(self.log.head(room).0.saturating_add(1));
            let floor = seat.map_or(newcomer, |seat| seat.floor);
            self.seats.floors.insert((id, room), floor);
        }
    }

    /// A connection ends: its session keeps its seats in rooms with a password, and in those whose
    /// newcomers do not see the past.
    pub(super) fn keep_seats(&mut self, id: ConnId, now: Tick) {
        let Some(session) = self.sessions.of(id) else {
            return;
        };
        let chat = self.talk.chat();
        for room in chat.rooms_of(id) {
            let (Some(rules), Some(name)) = (chat.rules_of(room), chat.room_name(room)) else {
                continue;
            };
            if rules.newcomers_read && rules.password.is_none() {
                continue;
            }
            let seat = Seat {
                // One that came before newcomers were kept from the past has seen it.
                floor: self.seats.floor(id, room).unwrap_or(Seq(0)),
                pass: rules.password.clone(),
            };
            self.seats.keep(session, name.clone(), seat, now);
        }
    }

    /// Panics if a user has a floor in a room that it is not in. For tests.
    pub(super) fn check_seats(&self) {
        let chat = self.talk.chat();
        for (id, room) in self.seats.floors.keys() {
            assert!(
                chat.is_member(*id, *room),
                "{id} has a floor in {room:?}, which it is not in"
            );
        }
        assert!(
            self.seats.kept.len() <= KEPT_MAX,
            "more seats than are kept"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seat(floor: u32) -> Seat {
        Seat {
            floor: Seq(floor),
            pass: None,
        }
    }

    fn floor(seats: &Seats, session: u64, now: u32) -> Option<u32> {
        let seat = seats.kept(session, &"den".into(), Tick(now))?;
        Some(seat.floor.0)
    }

    #[test]
    fn seat_is_kept_for_an_hour_and_the_newest_counts() {
        let mut seats = Seats::default();
        seats.keep(1, "den".into(), seat(5), Tick(0));
        seats.keep(1, "den".into(), seat(7), Tick(10));
        assert_eq!(floor(&seats, 1, KEPT_TICKS + 9), Some(7));
        assert_eq!(floor(&seats, 1, KEPT_TICKS + 10), None);
        assert_eq!(floor(&seats, 2, 0), None);
        // What has ended is removed with the next that is kept.
        seats.keep(2, "den".into(), seat(1), Tick(2 * KEPT_TICKS));
        assert_eq!((seats.kept.len(), seats.ends.len()), (1, 1));
        seats.take(2, &"den".into());
        assert_eq!(floor(&seats, 2, 2 * KEPT_TICKS), None);
    }

    #[test]
    fn number_of_seats_is_bounded_and_the_oldest_go() {
        let mut seats = Seats::default();
        for session in 0..KEPT_MAX as u64 + 10 {
            seats.keep(session, "den".into(), seat(1), Tick(0));
        }
        assert_eq!((seats.kept.len(), seats.ends.len()), (KEPT_MAX, KEPT_MAX));
        assert_eq!(floor(&seats, 9, 0), None);
        assert_eq!(floor(&seats, 10, 0), Some(1));
    }
}
