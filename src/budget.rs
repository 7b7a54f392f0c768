//! How often a connection, and all connections of an address together, may ask for what costs
//! others something: joins, nicks, reads of the past. Knows no request, no room and no clock.
//!
//! A budget is kept from its first use until it is whole again, so a connection that asks for
//! nothing has none. Each is one moment, at which it will be whole (the generic cell rate
//! algorithm: a token bucket as a time).

use crate::carry::{Carrier, Damaged, carried};
use crate::id::{ConnId, Tick};
use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};

/// Budgets that are kept. Beyond that, what is new shares one budget of its kind.
const KEPT_MAX: usize = 64 * 1024;
/// Fewer are not worth looking through.
const SWEEP_MIN: usize = 1024;

const MINUTE_MICROS: u64 = 60_000_000;
const HOUR_MICROS: u64 = 60 * MINUTE_MICROS;

/// Others that an address may address for the first time in an hour.
const STRANGERS_PER_HOUR: u64 = 20;

/// What there are budgets for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A message. A connection has its own rate of messages: only the address counts here.
    Message,
    Join,
    Nick,
    /// A page of history.
    Read,
    Search,
    /// A room that is made: of an address alone, in an hour.
    Make,
    /// A direct message.
    Direct,
    /// A direct message to one with whom there is no conversation. Only the address counts.
    Stranger,
    Report,
    /// To be shown that something was too often.
    Told,
}

/// How often, in a minute where nothing else is said; 0: no limit. As many may come at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    pub joins_per_minute: u32,
    pub nicks_per_minute: u32,
    pub reads_per_minute: u32,
    pub searches_per_minute: u32,
    /// Direct messages, of which ten may come at once.
    pub directs_per_minute: u32,
    pub reports_per_minute: u32,
    /// All connections of an address together may do as much as so many; 0: no limit.
    pub address_factor: u32,
    /// Rooms that all connections of an address together may make in an hour.
    pub rooms_per_address_hour: u32,
    /// Messages of one connection in a minute. Follows from the message rate.
    pub messages_per_minute: u32,
}

impl Settings {
    pub const UNLIMITED: Self = Self {
        joins_per_minute: 0,
        nicks_per_minute: 0,
        reads_per_minute: 0,
        searches_per_minute: 0,
        directs_per_minute: 0,
        reports_per_minute: 0,
        address_factor: 0,
        rooms_per_address_hour: 0,
        messages_per_minute: 0,
    };
}

impl Settings {
    /// The same with so many messages of a connection a second.
    #[must_use]
    pub fn with_messages(self, per_second: u32) -> Self {
        Self {
            messages_per_minute: per_second.saturating_mul(60),
            ..self
        }
    }
}

impl Default for Settings {
    /// A person who is in a hurry stays within these, and 20 behind one address.
    fn default() -> Self {
        Self {
            joins_per_minute: 60,
            nicks_per_minute: 10,
            reads_per_minute: 600,
            searches_per_minute: 60,
            directs_per_minute: 30,
            reports_per_minute: 6,
            address_factor: 20,
            rooms_per_address_hour: 100,
            messages_per_minute: 600,
        }
    }
}

/// Whose budget it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Owner {
    Connection(ConnId),
    Address(IpAddr),
    /// All for which no budget of their own can be kept.
    Others,
}

/// All budgets that are not whole.
#[derive(Debug)]
pub struct Budgets {
    settings: Settings,
    /// When each is whole again, in microseconds from the start.
    whole_at: HashMap<(Owner, Kind), u64>,
    /// How many there may be before they are looked through.
    sweep_at: usize,
}

carried!(enum Kind {
    0 = Message,
    1 = Join,
    2 = Nick,
    3 = Read,
    4 = Search,
    5 = Make,
    6 = Direct,
    7 = Stranger,
    8 = Report,
    9 = Told,
});
carried!(enum Owner { 0 = Connection(id), 1 = Address(address), 2 = Others });

impl Budgets {
    /// What was taken, whose settings stay as they are here.
    ///
    /// # Errors
    /// The bytes are not those of budgets.
    pub fn carry(&mut self, carrier: &mut Carrier<'_>) -> Result<(), Damaged> {
        carrier.field(&mut self.whole_at)?;
        // So that the sums with it do not overflow.
        let latest = self.whole_at.values().max();
        if latest.is_some_and(|at| *at > u64::MAX / 4) {
            return Err(Damaged("a budget is never whole again"));
        }
        Ok(())
    }

    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
            whole_at: HashMap::new(),
            sweep_at: SWEEP_MIN,
        }
    }

    /// Other settings count from here on. What was taken stays taken: where a budget is used up, it
    /// is a single one of the new pace until the next is there.
    pub fn set(&mut self, settings: Settings) {
        self.settings = settings;
    }

    /// Takes one from the budget of a connection and from that of its address. `address`: `None` if
    /// it comes from no address that is known.
    ///
    /// # Errors
    /// One of them is used up, and nothing was taken: in how many milliseconds both have one.
    pub fn take(
        &mut self,
        connection: ConnId,
        address: Option<IpAddr>,
        kind: Kind,
        now: Tick,
    ) -> Result<(), u32> {
        let now = now.since_start().as_micros() as u64;
        let own = (Owner::Connection(connection), self.own_count(kind));
        let shared = address.map(|address| {
            let owner = Owner::Address(network(address));
            (owner, self.shared_count(kind))
        });
        let places = [Some(own), shared].map(|place| {
            let (owner, count) = place.filter(|(_, count)| *count > 0)?;
            let burst = match kind {
                // A third of a minute's worth.
                Kind::Direct => (count / 3).max(1),
                _ => count,
            };
            let place = self.place(owner, kind, now);
            Some((place, period_micros(kind) / count, burst))
        });
        let mut wait = 0;
        for (place, interval, burst) in places.into_iter().flatten() {
            let whole_at = self.whole_at.get(&place).copied().unwrap_or(0);
            let latest = now + interval * (burst - 1);
            wait = wait.max(whole_at.saturating_sub(latest));
        }
        if wait > 0 {
            return Err(u32::try_from(wait.div_ceil(1000)).unwrap_or(u32::MAX));
        }
        for (place, interval, _) in places.into_iter().flatten() {
            let whole_at = self.whole_at.entry(place).or_default();
            *whole_at = now.max(*whole_at) + interval;
        }
        Ok(())
    }

    /// How many budgets are kept.
    pub fn len(&self) -> usize {
        self.whole_at.len()
    }

    pub fn is_empty(&self) -> bool {
        self.whole_at.is_empty()
    }

    /// Of one connection in a minute, as the settings say; 0: no limit.
    fn count(&self, kind: Kind) -> u64 {
        u64::from(match kind {
            Kind::Message => self.settings.messages_per_minute,
            Kind::Join => self.settings.joins_per_minute,
            Kind::Nick => self.settings.nicks_per_minute,
            Kind::Read => self.settings.reads_per_minute,
            Kind::Search => self.settings.searches_per_minute,
            Kind::Make => self.settings.rooms_per_address_hour,
            Kind::Report => self.settings.reports_per_minute,
            Kind::Direct => self.settings.directs_per_minute,
            Kind::Stranger | Kind::Told => 12,
        })
    }

    fn own_count(&self, kind: Kind) -> u64 {
        match kind {
            Kind::Message | Kind::Make | Kind::Stranger => 0,
            _ => self.count(kind),
        }
    }

    /// Of all connections of an address together.
    fn shared_count(&self, kind: Kind) -> u64 {
        let factor = u64::from(self.settings.address_factor);
        match kind {
            Kind::Stranger => factor.min(1) * STRANGERS_PER_HOUR,
            Kind::Make => self.count(kind),
            _ => self.count(kind).saturating_mul(factor),
        }
    }

    /// Where the budget is, or will be: with those of others where there are too many.
    fn place(&mut self, owner: Owner, kind: Kind, now: u64) -> (Owner, Kind) {
        if self.whole_at.contains_key(&(owner, kind)) {
            return (owner, kind);
        }
        if self.whole_at.len() >= self.sweep_at {
            self.whole_at.retain(|_, whole_at| *whole_at > now);
            self.sweep_at = (2 * self.whole_at.len()).clamp(SWEEP_MIN, KEPT_MAX);
            self.whole_at.shrink_to(self.sweep_at);
        }
        if self.whole_at.len() < KEPT_MAX {
            (owner, kind)
        } else {
            (Owner::Others, kind)
        }
    }
}

const fn period_micros(kind: Kind) -> u64 {
    match kind {
        Kind::Make | Kind::Stranger => HOUR_MICROS,
        _ => MINUTE_MICROS,
    }
}

/// The addresses that one client may have: an IPv6 client has all of a /64.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(v4) => IpAddr::V4(v4),
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOME: Option<IpAddr> = Some(IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1)));

    fn settings() -> Settings {
        Settings {
            joins_per_minute: 6,
            address_factor: 3,
            ..Settings::default()
        }
    }

    fn conn(slot: u32) -> ConnId {
        ConnId::new(slot, 0)
    }

    /// How many of as many tries are allowed.
    fn allowed(budgets: &mut Budgets, slot: u32, kind: Kind, now: u32, tries: u32) -> usize {
        let mut one = |_: &u32| budgets.take(conn(slot), HOME, kind, Tick(now)).is_ok();
        (0..tries).filter(|n| one(n)).count()
    }

    #[test]
    fn connection_may_do_a_minutes_worth_at_once_and_then_at_its_rate() {
        let mut budgets = Budgets::new(settings());
        assert_eq!(allowed(&mut budgets, 1, Kind::Join, 0, 20), 6);
        assert_eq!(allowed(&mut budgets, 1, Kind::Join, 99, 20), 0);
        assert_eq!(allowed(&mut budgets, 1, Kind::Join, 100, 20), 1);
        assert_eq!(allowed(&mut budgets, 1, Kind::Join, 700, 20), 6);
    }

    #[test]
    fn refusal_says_when_it_is_allowed_again() {
        let mut budgets = Budgets::new(settings());
        allowed(&mut budgets, 1, Kind::Join, 0, 6);
        let again = budgets.take(conn(1), HOME, Kind::Join, Tick(30));
        assert_eq!(again, Err(7_000));
        assert!(budgets.take(conn(1), HOME, Kind::Join, Tick(100)).is_ok());
    }

    #[test]
    fn connections_of_one_address_share_its_budget() {
        let mut budgets = Budgets::new(settings());
        let done: usize = (1..=9)
            .map(|slot| allowed(&mut budgets, slot, Kind::Join, 0, 6))
            .sum();
        assert_eq!(done, 18);
        let other = Some(IpAddr::from([192, 0, 2, 2]));
        assert!(budgets.take(conn(20), other, Kind::Join, Tick(0)).is_ok());
        assert!(budgets.take(conn(21), None, Kind::Join, Tick(0)).is_ok());
    }

    #[test]
    fn addresses_of_one_network_of_64_bits_are_one() {
        let mut budgets = Budgets::new(settings());
        for host in 0..18_u16 {
            let address = IpAddr::from([0x2001, 0xdb8, 0, 1, 0, 0, 0, host]);
            let taken = budgets.take(conn(host.into()), Some(address), Kind::Join, Tick(0));
            assert!(taken.is_ok());
        }
        let same = Some(IpAddr::from([0x2001, 0xdb8, 0, 1, 9, 9, 9, 9]));
        assert!(budgets.take(conn(90), same, Kind::Join, Tick(0)).is_err());
        let next = Some(IpAddr::from([0x2001, 0xdb8, 0, 2, 9, 9, 9, 9]));
        assert!(budgets.take(conn(91), next, Kind::Join, Tick(0)).is_ok());
    }

    #[test]
    fn refused_request_takes_nothing_from_either_budget() {
        let mut budgets = Budgets::new(settings());
        allowed(&mut budgets, 1, Kind::Join, 0, 100);
        let done: usize = (2..=4)
            .map(|slot| allowed(&mut budgets, slot, Kind::Join, 0, 6))
            .sum();
        assert_eq!(done, 12);
    }

    #[test]
    fn kinds_have_budgets_of_their_own_and_zero_is_no_limit() {
        let mut budgets = Budgets::new(Settings {
            nicks_per_minute: 0,
            ..settings()
        });
        allowed(&mut budgets, 1, Kind::Join, 0, 100);
        assert_eq!(allowed(&mut budgets, 1, Kind::Nick, 0, 1000), 1000);
        assert_eq!(allowed(&mut budgets, 1, Kind::Search, 0, 1000), 60);
    }

    #[test]
    fn messages_are_limited_for_an_address_alone() {
        let mut budgets = Budgets::new(Settings {
            messages_per_minute: 10,
            ..settings()
        });
        assert_eq!(allowed(&mut budgets, 1, Kind::Message, 0, 100), 30);
        let none = (0..100).filter(|_| {
            let taken = budgets.take(conn(2), None, Kind::Message, Tick(0));
            taken.is_ok()
        });
        assert_eq!(none.count(), 100);
    }

    #[test]
    fn rooms_are_limited_for_an_address_by_the_hour() {
        let mut budgets = Budgets::new(Settings {
            rooms_per_address_hour: 6,
            ..settings()
        });
        assert_eq!(allowed(&mut budgets, 1, Kind::Make, 0, 4), 4);
        assert_eq!(allowed(&mut budgets, 2, Kind::Make, 0, 4), 2);
        assert_eq!(
            budgets.take(conn(1), HOME, Kind::Make, Tick(0)),
            Err(600_000)
        );
        assert_eq!(allowed(&mut budgets, 3, Kind::Make, 6_000, 4), 1);
        assert!(budgets.take(conn(4), None, Kind::Make, Tick(0)).is_ok());
    }

    #[test]
    fn direct_messages_come_a_third_of_a_minutes_worth_at_once() {
        let mut budgets = Budgets::new(settings());
        assert_eq!(allowed(&mut budgets, 1, Kind::Direct, 0, 100), 10);
        assert_eq!(allowed(&mut budgets, 1, Kind::Direct, 20, 100), 1);
        assert_eq!(allowed(&mut budgets, 1, Kind::Direct, 620, 100), 10);
    }

    #[test]
    fn address_begins_twenty_conversations_in_an_hour() {
        let mut budgets = Budgets::new(settings());
        let done: usize = (1..=9)
            .map(|slot| allowed(&mut budgets, slot, Kind::Stranger, 0, 6))
            .sum();
        assert_eq!(done, 20);
        assert_eq!(allowed(&mut budgets, 1, Kind::Stranger, 1800, 100), 1);
        let again = budgets.take(conn(1), HOME, Kind::Stranger, Tick(1800));
        assert_eq!(again, Err(180_000));
        assert!(budgets.take(conn(1), None, Kind::Stranger, Tick(0)).is_ok());
    }

    #[test]
    fn budgets_that_are_whole_again_are_not_kept() {
        let mut budgets = Budgets::new(settings());
        for slot in 0..10_000_u32 {
            let address = Some(IpAddr::from((0x0A00_0000 + slot).to_be_bytes()));
            // One a second, and each is whole again after ten.
            let taken = budgets.take(conn(slot), address, Kind::Join, Tick(slot * 10));
            assert!(taken.is_ok());
            assert!(budgets.len() <= SWEEP_MIN + 2, "{}", budgets.len());
        }
    }

    #[test]
    fn number_of_budgets_is_bounded() {
        let mut budgets = Budgets::new(settings());
        for n in 0..2 * KEPT_MAX as u32 {
            let address = Some(IpAddr::from((0x0A00_0000 + n).to_be_bytes()));
            // Those without a place of their own share one.
            let _ = budgets.take(conn(n), address, Kind::Join, Tick(0));
        }
        assert!(budgets.len() <= KEPT_MAX + 2, "{}", budgets.len());
    }
}
