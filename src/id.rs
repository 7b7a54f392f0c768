//! The small values that name things: connections, rooms, peers, moments.

use crate::carry::carried;
use std::fmt;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::ops::Add;
use std::str::FromStr;
use std::time::Duration;

/// One connection: its slot in the slab and the generation of that slot.
///
/// Slots are reused, last in first out, so a slot alone may name another connection by the time an
/// event, a timer or an answer arrives; the pair never does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConnId {
    slot: u32,
    generation: u32,
}

impl ConnId {
    pub const fn new(slot: u32, generation: u32) -> Self {
        Self { slot, generation }
    }

    /// The index into tables that run alongside the connections.
    pub const fn slot(self) -> u32 {
        self.slot
    }

    pub const fn generation(self) -> u32 {
        self.generation
    }

    /// Both halves in one word, as the poll carries them.
    pub const fn to_u64(self) -> u64 {
        (self.generation as u64) << 32 | self.slot as u64
    }

    /// The inverse of [`ConnId::to_u64`].
    pub const fn from_u64(word: u64) -> Self {
        Self {
            slot: word as u32,
            generation: (word >> 32) as u32,
        }
    }
}

impl fmt::Display for ConnId {
    /// As the log and operators name a connection: `7.3`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.slot, self.generation)
    }
}

impl FromStr for ConnId {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let ids = text.split_once('.');
        let ids = ids.and_then(|(slot, generation)| {
            Some(Self::new(slot.parse().ok()?, generation.parse().ok()?))
        });
        ids.ok_or_else(|| String::from("expected the id of a connection, like 7.3"))
    }
}

/// One room, while the log has it open: its slot in the log's table, which others run alongside,
/// and the generation of that slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RoomId {
    slot: u32,
    generation: u32,
}

impl RoomId {
    pub const fn new(slot: u32, generation: u32) -> Self {
        Self { slot, generation }
    }

    /// The index into tables that run alongside the rooms.
    pub const fn slot(self) -> u32 {
        self.slot
    }

    pub const fn generation(self) -> u32 {
        self.generation
    }
}

/// The number of an entry in its room's log, from 1. As a cursor: the last entry that was delivered,
/// and 0 before the first. A room takes 4,294,967,295 entries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Seq(pub u32);

impl Seq {
    /// The number after this one; `None`: the room is full.
    pub fn next(self) -> Option<Self> {
        self.0.checked_add(1).map(Self)
    }
}

/// A registered name, for good: the ids of accounts that are gone are not given again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AccountId(pub NonZeroU32);

/// A time of day: milliseconds since 1970-01-01T00:00:00Z, leap seconds not counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Millis(pub u64);

impl Millis {
    /// The second in which it falls.
    pub const fn unix_seconds(self) -> u64 {
        self.0 / 1000
    }
}

impl Millis {
    /// A second of UTC as in RFC 3339: `2026-11-26T07:04:09Z`.
    pub fn to_rfc3339(self) -> String {
        let seconds = self.0 / 1_000;
        let (year, month, day) = date(seconds / (24 * 3600));
        let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
        format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
    }
}

impl fmt::Display for Millis {
    /// A minute of UTC: `2026-11-26 07:04 UTC`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let minutes = self.0 / 60_000;
        let (year, month, day) = date(minutes / (24 * 60));
        let (hour, minute) = (minutes / 60 % 24, minutes % 60);
        write!(f, "{year:04}-{month:02}-{day:02} {hour:02}:{minute:02} UTC")
    }
}

/// The date of a day counted from 1970-01-01, by the days of eras of 400 years that begin in March
/// (H. Hinnant, "chrono-Compatible Low-Level Date Algorithms").
const fn date(day: u64) -> (u64, u64, u64) {
    let days = day + 719_468;
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 {
        from_march + 3
    } else {
        from_march - 9
    };
    (era * 400 + year + (month <= 2) as u64, month, day)
}

/// The other end of a socket, as the kernel names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Peer {
    Ip(IpAddr),
    Unix,
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(address) => address.fmt(f),
            Self::Unix => f.write_str("a Unix socket"),
        }
    }
}

/// A moment: the number of 100 ms units since the server started. Lasts for 13 years.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Tick(pub u32);

impl Tick {
    /// The length of one tick in milliseconds.
    pub const MILLIS: u64 = 100;

    /// The tick in which `elapsed` since the start falls.
    pub fn at(elapsed: Duration) -> Self {
        Self(u32::try_from(elapsed.as_millis() / u128::from(Self::MILLIS)).unwrap_or(u32::MAX))
    }

    /// The time from the server's start to the beginning of this tick.
    pub fn since_start(self) -> Duration {
        Duration::from_millis(u64::from(self.0) * Self::MILLIS)
    }

    /// Ticks from `earlier` to here; zero if `earlier` is later.
    pub fn since(self, earlier: Self) -> u32 {
        self.0.saturating_sub(earlier.0)
    }
}

/// How many ticks a deadline of this length needs: rounded up, at least one.
pub fn ticks(length: Duration) -> u32 {
    let count = length.as_millis().div_ceil(u128::from(Tick::MILLIS)).max(1);
    u32::try_from(count).unwrap_or(u32::MAX)
}

impl Add<u32> for Tick {
    type Output = Self;

    fn add(self, ticks: u32) -> Self {
        Self(self.0.saturating_add(ticks))
    }
}

carried!(struct ConnId { slot, generation });
carried!(struct RoomId { slot, generation });
carried!(struct Seq(number));
carried!(struct AccountId(number));
carried!(struct Millis(millis));
carried!(struct Tick(number));
carried!(enum Peer { 0 = Ip(address), 1 = Unix });

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_survives_the_trip_through_one_word() {
        let id = ConnId::new(7, u32::MAX);
        assert_eq!(ConnId::from_u64(id.to_u64()), id);
    }

    #[test]
    fn a_time_is_written_as_a_minute_of_its_day() {
        for (seconds, expected) in [
            (0, "1970-01-01 00:00 UTC"),
            (951_782_399, "2000-02-28 23:59 UTC"),
            (951_782_400, "2000-02-29 00:00 UTC"),
            (1_709_251_199, "2024-02-29 23:59 UTC"),
            (1_795_676_645, "2026-11-26 07:04 UTC"),
            (4_102_444_800, "2100-01-01 00:00 UTC"),
        ] {
            assert_eq!(Millis(seconds * 1000).to_string(), expected);
        }
    }

    #[test]
    fn a_deadline_is_rounded_up_to_whole_ticks() {
        assert_eq!(ticks(Duration::ZERO), 1);
        assert_eq!(ticks(Duration::from_millis(100)), 1);
        assert_eq!(ticks(Duration::from_millis(101)), 2);
        assert_eq!(ticks(Duration::from_secs(25)), 250);
        assert_eq!(ticks(Duration::MAX), u32::MAX);
    }
}
