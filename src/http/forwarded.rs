//! Who is behind a proxy, if the proxy is one whose word is taken.
//! Knows `X-Forwarded-For` only: what nginx, Caddy, HAProxy and the like send. Whoever is not
//! trusted may write into it what they like, so it is read from the right, from the proxy we know.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::head::list;
use super::settings::TrustedProxy;
use crate::id::Peer;

/// Whether `peer` is one whose word about the client's address is taken. An IPv4 address is the
/// same in its IPv6 clothes (`::ffff:10.0.0.1`, RFC 4291 §2.5.5.2), in `peer` and in `proxies`.
pub fn is_trusted(peer: Peer, proxies: &[TrustedProxy]) -> bool {
    proxies.iter().any(|proxy| match (*proxy, peer) {
        (TrustedProxy::Unix, Peer::Unix) => true,
        (TrustedProxy::Net { address, prefix }, Peer::Ip(ip)) => is_within(ip, address, prefix),
        (TrustedProxy::Unix, Peer::Ip(_)) | (TrustedProxy::Net { .. }, Peer::Unix) => false,
    })
}

fn is_within(ip: IpAddr, network: IpAddr, prefix: u8) -> bool {
    let (network, prefix) = match (network, network.to_canonical()) {
        // Of a mapped network, the first 96 bits are the clothes. One that is wider than these
        // holds more than IPv4 and stays what it is.
        (IpAddr::V6(_), v4 @ IpAddr::V4(_)) if prefix >= 96 => (v4, prefix - 96),
        _ => (network, prefix),
    };
    match (ip.to_canonical(), network) {
        (IpAddr::V4(ip), IpAddr::V4(network)) => {
            let shift = Ipv4Addr::BITS - u32::from(prefix).min(Ipv4Addr::BITS);
            let differing = ip.to_bits() ^ network.to_bits();
            differing.checked_shr(shift).unwrap_or(0) == 0
        }
        (IpAddr::V6(ip), IpAddr::V6(network)) => {
            let shift = Ipv6Addr::BITS - u32::from(prefix).min(Ipv6Addr::BITS);
            let differing = ip.to_bits() ^ network.to_bits();
            differing.checked_shr(shift).unwrap_or(0) == 0
        }
        (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
    }
}

/// The client's address according to the `X-Forwarded-For` fields of a trusted proxy: from the
/// right the first that is no trusted proxy itself. `None` if they say nothing, or something that
/// is no address.
pub(super) fn client<'b>(
    fields: impl DoubleEndedIterator<Item = &'b [u8]>,
    proxies: &[TrustedProxy],
) -> Option<IpAddr> {
    for element in fields.rev().flat_map(|field| list(field).rev()) {
        // What stands left of something unreadable was not written by somebody we trust.
        let ip = address(element)?;
        if !is_trusted(Peer::Ip(ip), proxies) {
            return Some(ip);
        }
    }
    None
}

/// `ip`, `ip:port`, `[ip]` and `[ip]:port` are all in use.
fn address(element: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(element).ok()?;
    let bare = text
        .strip_prefix('[')
        .and_then(|text| text.strip_suffix(']'))
        .unwrap_or(text);
    bare.parse::<IpAddr>()
        .or_else(|_| text.parse::<SocketAddr>().map(|address| address.ip()))
        .map(|ip| ip.to_canonical())
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn net(text: &str) -> TrustedProxy {
        let (address, prefix) = text.split_once('/').unwrap();
        TrustedProxy::Net {
            address: ip(address),
            prefix: prefix.parse().unwrap(),
        }
    }

    #[test]
    fn a_proxy_is_trusted_by_its_network() {
        for (network, peer, trusted) in [
            ("127.0.0.0/8", "127.0.0.1", true),
            ("127.0.0.0/8", "127.255.0.3", true),
            ("127.0.0.0/8", "128.0.0.1", false),
            ("127.0.0.0/8", "::ffff:127.0.0.1", true),
            ("127.0.0.0/8", "::1", false),
            // Bits after the prefix do not matter.
            ("10.1.2.3/8", "10.9.9.9", true),
            ("10.0.0.0/31", "10.0.0.1", true),
            ("10.0.0.0/31", "10.0.0.2", false),
            ("10.0.0.1/32", "10.0.0.1", true),
            ("10.0.0.1/32", "10.0.0.2", false),
            ("10.0.0.1/255", "10.0.0.1", true),
            ("10.0.0.1/255", "10.0.0.0", false),
            ("0.0.0.0/0", "203.0.113.7", true),
            ("0.0.0.0/0", "2001:db8::1", false),
            ("::1/128", "::1", true),
            ("::1/128", "::2", false),
            ("::1/255", "::1", true),
            ("2001:db8::/32", "2001:db8:ffff::1", true),
            ("2001:db8::/32", "2001:db9::1", false),
            ("::/0", "2001:db8::1", true),
            ("::/0", "203.0.113.7", false),
            ("::ffff:10.0.0.0/104", "10.2.3.4", true),
            ("::ffff:10.0.0.0/104", "11.2.3.4", false),
            ("::ffff:10.0.0.0/80", "10.2.3.4", false),
        ] {
            let proxies = [net(network)];
            assert_eq!(
                is_trusted(Peer::Ip(ip(peer)), &proxies),
                trusted,
                "{peer} in {network}"
            );
            assert!(!is_trusted(Peer::Unix, &proxies));
        }
        assert!(is_trusted(Peer::Unix, &[TrustedProxy::Unix]));
        assert!(!is_trusted(
            Peer::Ip(ip("127.0.0.1")),
            &[TrustedProxy::Unix]
        ));
        assert!(!is_trusted(Peer::Unix, &[]));
    }

    #[test]
    fn the_client_is_the_first_from_the_right_that_is_no_proxy() {
        let proxies = [net("127.0.0.0/8"), net("10.0.0.0/8"), net("::1/128")];
        for (fields, client_is) in [
            (&["203.0.113.7"][..], Some("203.0.113.7")),
            (&["203.0.113.7:4711"], Some("203.0.113.7")),
            (&["2001:db8::7"], Some("2001:db8::7")),
            (&["[2001:db8::7]"], Some("2001:db8::7")),
            (&["[2001:db8::7]:4711"], Some("2001:db8::7")),
            (&["::ffff:203.0.113.7"], Some("203.0.113.7")),
            // What the client itself wrote stands on the left and does not count.
            (&["1.2.3.4, 203.0.113.7"], Some("203.0.113.7")),
            (&["1.2.3.4", "203.0.113.7"], Some("203.0.113.7")),
            (&["nonsense, 203.0.113.7"], Some("203.0.113.7")),
            (&["203.0.113.7, 10.0.0.1,127.0.0.1"], Some("203.0.113.7")),
            (&["203.0.113.7, 10.0.0.1", "10.0.0.2"], Some("203.0.113.7")),
            (&["203.0.113.7, ::ffff:10.0.0.1"], Some("203.0.113.7")),
            (&["203.0.113.7,, ,"], Some("203.0.113.7")),
            (&["203.0.113.7", ""], Some("203.0.113.7")),
            (&["203.0.113.7, nonsense"], None),
            (&["203.0.113.7, unknown, 10.0.0.1"], None),
            (&["203.0.113.7:99999"], None),
            (&["fe80::1%eth0"], None),
            (&["[203.0.113.7"], None),
            (&["\u{661}.2.3.4"], None),
            (&["10.0.0.1"], None),
            (&[""], None),
            (&[], None),
        ] {
            let values = || fields.iter().map(|field| field.as_bytes());
            let expected = client_is.map(ip);
            assert_eq!(client(values(), &proxies), expected, "{fields:?}");
        }
    }
}
