//! Which client is behind a trusted proxy. Knows `X-Forwarded-For` only, which nginx, Caddy,
//! HAProxy and others send. Each proxy appends the address of its own peer, and a client can send
//! the field too, so it is read from the right: an element counts only if the proxy that wrote it
//! is trusted.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::head::list;
use super::settings::TrustedProxy;
use crate::id::Peer;

/// What a connection counts for, as far as its request decides it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forwarded {
    /// No trusted proxy named a client: there is no field or no trusted proxy, or only proxies are
    /// named.
    Unnamed,
    /// The client's address.
    Client(IpAddr),
    /// A trusted proxy named a client, but not by an address. The connection counts for the proxy:
    /// otherwise such clients would have no limit at all.
    Unreadable,
}

/// Whether `peer` is a trusted proxy. An IPv4 address and its IPv4-mapped IPv6 address
/// (`::ffff:10.0.0.1`, RFC 4291 §2.5.5.2) are the same, in `peer` and in `proxies`.
pub fn is_trusted(peer: Peer, proxies: &[TrustedProxy]) -> bool {
    proxies.iter().any(|proxy| match (*proxy, peer) {
        (TrustedProxy::Unix, Peer::Unix) => true,
        (TrustedProxy::Net { address, prefix }, Peer::Ip(ip)) => is_within(ip, address, prefix),
        (TrustedProxy::Unix, Peer::Ip(_)) | (TrustedProxy::Net { .. }, Peer::Unix) => false,
    })
}

fn is_within(ip: IpAddr, network: IpAddr, prefix: u8) -> bool {
    let (network, prefix) = match (network, network.to_canonical()) {
        // The first 96 bits of an IPv4-mapped network are constant. A network with a shorter prefix
        // contains more than IPv4 and remains one of IPv6.
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

/// The client according to the `X-Forwarded-For` fields of a trusted proxy: from the right, the
/// first element that is not a trusted proxy itself.
pub(super) fn client<'b>(
    fields: impl DoubleEndedIterator<Item = &'b [u8]>,
    proxies: &[TrustedProxy],
) -> Forwarded {
    for element in fields.rev().flat_map(|field| list(field).rev()) {
        let peer = match address(element) {
            Some(ip) => Peer::Ip(ip),
            None if element == UNIX_PEER => Peer::Unix,
            // What is left of this element was written by a peer that is not known to be trusted.
            None => return Forwarded::Unreadable,
        };
        match peer {
            peer if is_trusted(peer, proxies) => {}
            Peer::Ip(ip) => return Forwarded::Client(ip),
            Peer::Unix => return Forwarded::Unreadable,
        }
    }
    Forwarded::Unnamed
}

/// nginx writes this for a peer that comes through a Unix socket, such as another nginx.
const UNIX_PEER: &[u8] = b"unix:";

/// The address in an element: `ip`, `ip:port`, `[ip]` and `[ip]:port` are all in use, and
/// link-local addresses with a zone (RFC 4007 §11).
fn address(element: &[u8]) -> Option<IpAddr> {
    let text = str::from_utf8(element).ok()?;
    let text = text.split_once('%').map_or(text, |(address, _)| address);
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
    fn client_is_the_first_from_the_right_that_is_no_proxy() {
        let proxies = [
            net("127.0.0.0/8"),
            net("10.0.0.0/8"),
            net("::1/128"),
            TrustedProxy::Unix,
        ];
        for (fields, client_is) in [
            (&["203.0.113.7"][..], "203.0.113.7"),
            (&["203.0.113.7:4711"], "203.0.113.7"),
            (&["2001:db8::7"], "2001:db8::7"),
            (&["[2001:db8::7]"], "2001:db8::7"),
            (&["[2001:db8::7]:4711"], "2001:db8::7"),
            (&["::ffff:203.0.113.7"], "203.0.113.7"),
            // What the client itself wrote stands on the left and does not count.
            (&["1.2.3.4, 203.0.113.7"], "203.0.113.7"),
            (&["1.2.3.4", "203.0.113.7"], "203.0.113.7"),
            (&["nonsense, 203.0.113.7"], "203.0.113.7"),
            (&["203.0.113.7, unix:"], "203.0.113.7"),
            (&["fe80::1%eth0"], "fe80::1"),
            (&["203.0.113.7, 10.0.0.1,127.0.0.1"], "203.0.113.7"),
            (&["203.0.113.7, 10.0.0.1", "10.0.0.2"], "203.0.113.7"),
            (&["203.0.113.7, ::ffff:10.0.0.1"], "203.0.113.7"),
            (&["203.0.113.7,, ,"], "203.0.113.7"),
            (&["203.0.113.7", ""], "203.0.113.7"),
        ] {
            let values = || fields.iter().map(|field| field.as_bytes());
            let expected = Forwarded::Client(ip(client_is));
            assert_eq!(client(values(), &proxies), expected, "{fields:?}");
        }
    }

    #[test]
    fn element_that_is_no_address_is_unreadable_and_no_client() {
        let proxies = [net("127.0.0.0/8"), net("10.0.0.0/8"), net("::1/128")];
        for fields in [
            &["203.0.113.7, nonsense"][..],
            &["203.0.113.7, unknown, 10.0.0.1"],
            &["203.0.113.7", "unknown"],
            &["unknown"],
            &["_hidden"],
            &["203.0.113.7:99999"],
            &["[203.0.113.7"],
            &["\u{661}.2.3.4"],
            // A Unix socket is not among the trusted proxies here.
            &["203.0.113.7, unix:"],
        ] {
            let values = fields.iter().map(|field| field.as_bytes());
            assert_eq!(
                client(values, &proxies),
                Forwarded::Unreadable,
                "{fields:?}"
            );
        }
        assert_eq!(
            client([&b"\xff"[..]].into_iter(), &proxies),
            Forwarded::Unreadable
        );
    }

    #[test]
    fn field_without_an_element_but_proxies_names_no_client() {
        let proxies = [net("127.0.0.0/8"), net("10.0.0.0/8")];
        for fields in [
            &[][..],
            &[""],
            &[" , "],
            &["10.0.0.1"],
            &["127.0.0.1, 10.0.0.1"],
        ] {
            let values = fields.iter().map(|field: &&str| field.as_bytes());
            assert_eq!(client(values, &proxies), Forwarded::Unnamed, "{fields:?}");
        }
    }
}
