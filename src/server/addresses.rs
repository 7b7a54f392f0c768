//! How many connections each address has. Knows addresses only.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};

/// Counts connections by address, against a limit.
#[derive(Debug, Default)]
pub(super) struct Addresses {
    counts: HashMap<IpAddr, u32>,
}

/// Addresses that belong to the same subscriber count as one: an IPv6 customer has a whole /64.
fn subscriber(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
    }
}

impl Addresses {
    /// Counts one more connection and returns the key it counts for, to be passed to
    /// [`Self::leave`]. `None`: the address has `limit` already (0: there is no limit).
    pub(super) fn enter(&mut self, address: IpAddr, limit: u32) -> Option<IpAddr> {
        let address = subscriber(address);
        let count = self.counts.entry(address).or_insert(0);
        if limit != 0 && *count >= limit {
            return None;
        }
        *count += 1;
        Some(address)
    }

    pub(super) fn leave(&mut self, address: IpAddr) {
        if let Some(count) = self.counts.get_mut(&address) {
            *count -= 1;
            if *count == 0 {
                self.counts.remove(&address);
            }
        }
        if self.counts.is_empty() {
            self.counts.shrink_to_fit();
        }
    }

    /// Gives back the memory of addresses that are gone.
    pub(super) fn shrink(&mut self) {
        self.counts.shrink_to_fit();
    }

    /// All connections that are counted.
    pub(super) fn total(&self) -> usize {
        self.counts.values().map(|count| *count as usize).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn an_address_has_no_more_than_the_limit() {
        let mut addresses = Addresses::default();
        let ann = address("192.0.2.1");
        assert_eq!(addresses.enter(ann, 2), Some(ann));
        assert_eq!(addresses.enter(ann, 2), Some(ann));
        assert_eq!(addresses.enter(ann, 2), None);
        assert!(addresses.enter(address("192.0.2.2"), 2).is_some());
        addresses.leave(ann);
        assert_eq!(addresses.enter(ann, 2), Some(ann));
        assert_eq!(addresses.total(), 3);
    }

    #[test]
    fn a_whole_ipv6_subscriber_counts_as_one() {
        let mut addresses = Addresses::default();
        let counted = addresses.enter(address("2001:db8:1:2::5"), 1).unwrap();
        assert_eq!(addresses.enter(address("2001:db8:1:2:ffff::6"), 1), None);
        assert!(addresses.enter(address("2001:db8:1:3::5"), 1).is_some());
        addresses.leave(counted);
        assert!(addresses.enter(address("2001:db8:1:2::7"), 1).is_some());
    }

    #[test]
    fn an_address_that_left_is_forgotten() {
        let mut addresses = Addresses::default();
        let counted = addresses.enter(address("::ffff:192.0.2.1"), 0).unwrap();
        assert_eq!(counted, address("192.0.2.1"));
        addresses.leave(counted);
        assert!(addresses.counts.is_empty());
    }
}
