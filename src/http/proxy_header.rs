//! The header of the PROXY protocol, versions 1 and 2, with which a proxy that forwards bytes names
//! its client before the first of them (HAProxy's `proxy-protocol.txt`). Bytes in, an address or what
//! is wrong out; whether a header is expected at all is the server's to know, since a receiver must
//! not guess (its §2). Extensions of version 2 (TLVs, §2.2) are skipped.

use super::forwarded::Forwarded;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The longest line of version 1, with its end (§2.1).
pub const V1_BYTES_MAX: usize = 107;

/// The longest header of version 2 that is accepted. With addresses of Unix sockets it has 232
/// bytes; the rest is room for extensions, which may contain a certificate's name.
pub const V2_BYTES_MAX: usize = 2048;

const V1_START: &[u8] = b"PROXY ";
/// Not the beginning of anything else: TLS, HTTP and version 1 all differ within it.
const V2_START: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
/// The signature, version and command, family and transport, and the length of the rest.
const V2_FIXED_BYTES: usize = 16;

/// A header of version 2 by which a peer says that the connection is its own and no client's (LOCAL).
pub const LOCAL_HEADER: &[u8; V2_FIXED_BYTES] = b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0";

/// What the first bytes of a connection amount to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProxyHeader {
    /// It is not complete. Keep the bytes, and look again when there are more.
    Partial,
    /// The header took `consumed` bytes; the client's own follow it. `Unnamed`: the connection is the
    /// proxy's own, such as a health check (LOCAL). `Unreadable`: a client that has no address here.
    Complete { named: Forwarded, consumed: usize },
    /// It is none. The text says why, for the log.
    Wrong(&'static str),
}

/// Looks at all bytes that came since the connection began. How they were cut does not matter: what
/// a part of them amounts to is `Partial` or the outcome for the whole.
pub fn proxy_header(bytes: &[u8]) -> ProxyHeader {
    if begins(bytes, V2_START) {
        version_2(bytes)
    } else if begins(bytes, V1_START) {
        version_1(bytes)
    } else {
        ProxyHeader::Wrong("there is no header of the PROXY protocol")
    }
}

/// Whether the bytes have this beginning, as far as they reach.
fn begins(bytes: &[u8], start: &[u8]) -> bool {
    let length = bytes.len().min(start.len());
    bytes[..length] == start[..length]
}

fn version_1(bytes: &[u8]) -> ProxyHeader {
    let longest = &bytes[..bytes.len().min(V1_BYTES_MAX)];
    let Some(end) = longest.windows(2).position(|pair| pair == b"\r\n") else {
        return if bytes.len() < V1_BYTES_MAX {
            ProxyHeader::Partial
        } else {
            ProxyHeader::Wrong("the line of version 1 has no end within 107 bytes")
        };
    };
    let line = str::from_utf8(&longest[V1_START.len()..end]).ok();
    match line.and_then(named_in_line) {
        Some(named) => ProxyHeader::Complete {
            named,
            consumed: end + 2,
        },
        None => ProxyHeader::Wrong("the line of version 1 has no valid addresses"),
    }
}

/// `TCP4 SOURCE DESTINATION PORT PORT`, the same with TCP6, or UNKNOWN and anything.
fn named_in_line(line: &str) -> Option<Forwarded> {
    let mut words = line.split(' ');
    let family = words.next()?;
    if family == "UNKNOWN" {
        return Some(Forwarded::Unreadable);
    }
    let [source, destination, from, to] =
        [words.next()?, words.next()?, words.next()?, words.next()?];
    if words.next().is_some() || !is_port(from) || !is_port(to) {
        return None;
    }
    let source = match family {
        "TCP4" => {
            destination.parse::<Ipv4Addr>().ok()?;
            IpAddr::V4(source.parse().ok()?)
        }
        "TCP6" => {
            destination.parse::<Ipv6Addr>().ok()?;
            IpAddr::V6(source.parse().ok()?)
        }
        _ => return None,
    };
    Some(Forwarded::Client(source.to_canonical()))
}

fn is_port(word: &str) -> bool {
    word.len() <= 5 && word.bytes().all(|byte| byte.is_ascii_digit()) && word.parse::<u16>().is_ok()
}

fn version_2(bytes: &[u8]) -> ProxyHeader {
    let Some((fixed, rest)) = bytes.split_at_checked(V2_FIXED_BYTES) else {
        return ProxyHeader::Partial;
    };
    let (version, command) = (fixed[12] >> 4, fixed[12] & 0x0F);
    let (family, transport) = (fixed[13] >> 4, fixed[13] & 0x0F);
    let length = usize::from(u16::from_be_bytes([fixed[14], fixed[15]]));
    if version != 2 || command > 1 {
        return ProxyHeader::Wrong("the version is not 2, or the command not LOCAL or PROXY");
    }
    if family > 3 || transport > 2 {
        return ProxyHeader::Wrong("the family or the transport is unknown");
    }
    if V2_FIXED_BYTES + length > V2_BYTES_MAX {
        return ProxyHeader::Wrong("the header of version 2 is too long");
    }
    let is_local = command == 0;
    // Two addresses and two ports; of Unix sockets two paths.
    let addresses = [0, 12, 36, 216][usize::from(family)];
    if length < addresses && !is_local {
        return ProxyHeader::Wrong("the header of version 2 has no room for its addresses");
    }
    let Some(rest) = rest.get(..length) else {
        return ProxyHeader::Partial;
    };
    // LOCAL: what follows is to be skipped. A client over datagrams or a Unix socket has no address
    // that could be limited.
    let named = match (is_local, family, transport) {
        (true, _, _) => Forwarded::Unnamed,
        (false, 1, 1) => source::<4>(rest),
        (false, 2, 1) => source::<16>(rest),
        (false, _, _) => Forwarded::Unreadable,
    };
    ProxyHeader::Complete {
        named,
        consumed: V2_FIXED_BYTES + length,
    }
}

/// The source address, which comes first.
fn source<const N: usize>(rest: &[u8]) -> Forwarded
where
    IpAddr: From<[u8; N]>,
{
    rest.first_chunk::<N>()
        .map_or(Forwarded::Unreadable, |octets| {
            Forwarded::Client(IpAddr::from(*octets).to_canonical())
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(text: &str) -> Forwarded {
        Forwarded::Client(text.parse().unwrap())
    }

    /// A header of version 2: command, family and transport, addresses, extensions.
    fn v2(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
        let length = u16::try_from(rest.len()).unwrap().to_be_bytes();
        [V2_START, &[0x20 | command, family], &length, rest].concat()
    }

    fn v4_addresses() -> Vec<u8> {
        [
            &[203, 0, 113, 7][..],
            &[192, 0, 2, 1],
            &[0xDC, 4, 0x1F, 0x90],
        ]
        .concat()
    }

    fn v6_addresses(source: &str) -> Vec<u8> {
        let source: Ipv6Addr = source.parse().unwrap();
        [&source.octets()[..], &[0; 16], &[0xDC, 4, 0x1F, 0x90]].concat()
    }

    /// The outcome for a header and what follows it, which must be the same wherever they are cut.
    fn outcome(header: &[u8]) -> ProxyHeader {
        let bytes = [header, b"GET / HTTP/1.1\r\n\r\n"].concat();
        let whole = proxy_header(&bytes);
        let mut seen = Vec::new();
        for end in 0..=bytes.len() {
            let part = proxy_header(&bytes[..end]);
            if part != ProxyHeader::Partial {
                assert_eq!(part, whole, "of {end} bytes");
                seen.push(end);
            } else {
                assert!(
                    seen.is_empty(),
                    "{end} bytes are partial, and fewer were not"
                );
            }
        }
        if let ProxyHeader::Complete { consumed, .. } = whole {
            assert_eq!(consumed, header.len());
            assert_eq!(seen.first(), Some(&header.len()), "as soon as it is whole");
        }
        whole
    }

    fn named(header: &[u8]) -> Forwarded {
        match outcome(header) {
            ProxyHeader::Complete { named, .. } => named,
            other => panic!("{other:?}"),
        }
    }

    fn is_wrong(header: &[u8]) -> bool {
        matches!(outcome(header), ProxyHeader::Wrong(_))
    }

    #[test]
    fn line_of_version_1_names_its_source() {
        for (line, expected) in [
            (
                "TCP4 203.0.113.7 192.0.2.1 56324 443",
                client("203.0.113.7"),
            ),
            (
                "TCP4 255.255.255.255 255.255.255.255 65535 65535",
                client("255.255.255.255"),
            ),
            ("TCP6 2001:db8::7 2001:db8::1 0 443", client("2001:db8::7")),
            ("TCP6 ::ffff:203.0.113.7 ::1 1 2", client("203.0.113.7")),
            ("UNKNOWN", Forwarded::Unreadable),
            ("UNKNOWN 1.2.3.4 anything", Forwarded::Unreadable),
            (
                "UNKNOWN ffff:f...f:ffff ffff:f...f:ffff 65535 65535",
                Forwarded::Unreadable,
            ),
        ] {
            assert_eq!(
                named(format!("PROXY {line}\r\n").as_bytes()),
                expected,
                "{line}"
            );
        }
    }

    #[test]
    fn other_line_is_no_header() {
        for line in [
            "",
            "TCP4",
            "TCP4 203.0.113.7 192.0.2.1 56324",
            "TCP4 203.0.113.7 192.0.2.1 56324 443 1",
            "TCP4  203.0.113.7 192.0.2.1 56324 443",
            "TCP4 203.0.113.7 192.0.2.1 56324 443 ",
            "TCP4 203.0.113.07 192.0.2.1 56324 443",
            "TCP4 203.0.113.256 192.0.2.1 56324 443",
            "TCP4 203.0.113.7 192.0.2.1 65536 443",
            "TCP4 203.0.113.7 192.0.2.1 +1 443",
            "TCP4 203.0.113.7 192.0.2.1 -1 443",
            "TCP4 203.0.113.7 192.0.2.1  443",
            "TCP4 2001:db8::7 2001:db8::1 1 2",
            "TCP6 203.0.113.7 192.0.2.1 1 2",
            "TCP4 203.0.113.7 2001:db8::1 1 2",
            "UDP4 203.0.113.7 192.0.2.1 1 2",
            "tcp4 203.0.113.7 192.0.2.1 1 2",
            "UNKNOWNS",
            "TCP4 203.0.113.7 192.0.2.1 1 2\n",
            "TCP4 203.0.113.7 192.0.2.1 1 2\r",
        ] {
            assert!(is_wrong(format!("PROXY {line}\r\n").as_bytes()), "{line}");
        }
        assert!(is_wrong(b"PROXY TCP4 \xFF 192.0.2.1 1 2\r\n"));
    }

    #[test]
    fn line_of_version_1_has_107_bytes_at_most() {
        let longest = format!("PROXY UNKNOWN {}\r\n", "x".repeat(V1_BYTES_MAX - 16));
        assert_eq!(longest.len(), V1_BYTES_MAX);
        assert_eq!(named(longest.as_bytes()), Forwarded::Unreadable);
        let longer = longest.replacen('x', "xx", 1);
        assert!(is_wrong(longer.as_bytes()));
        assert!(is_wrong(b"PROXY UNKNOWN\n"), "a line ends with both");
    }

    #[test]
    fn header_of_version_2_names_its_source() {
        let with_extension = [v4_addresses(), vec![0x04, 0, 3, 1, 2, 3]].concat();
        for (header, expected) in [
            (v2(1, 0x11, &v4_addresses()), client("203.0.113.7")),
            (v2(1, 0x11, &with_extension), client("203.0.113.7")),
            (
                v2(1, 0x21, &v6_addresses("2001:db8::7")),
                client("2001:db8::7"),
            ),
            (
                v2(1, 0x21, &v6_addresses("::ffff:203.0.113.7")),
                client("203.0.113.7"),
            ),
            // The proxy's own connection, whatever else it says.
            (v2(0, 0x00, &[]), Forwarded::Unnamed),
            (LOCAL_HEADER.to_vec(), Forwarded::Unnamed),
            (v2(0, 0x11, &v4_addresses()), Forwarded::Unnamed),
            (v2(0, 0x11, &[1]), Forwarded::Unnamed),
            // Clients without an address of the Internet, or not over a stream.
            (v2(1, 0x00, &[]), Forwarded::Unreadable),
            (v2(1, 0x00, &[9; 40]), Forwarded::Unreadable),
            (v2(1, 0x31, &[0; 216]), Forwarded::Unreadable),
            (v2(1, 0x12, &v4_addresses()), Forwarded::Unreadable),
        ] {
            assert_eq!(named(&header), expected, "{header:?}");
        }
    }

    #[test]
    fn other_header_of_version_2_is_wrong() {
        for header in [
            v2(2, 0x11, &v4_addresses()),
            v2(1, 0x41, &v4_addresses()),
            v2(1, 0x13, &v4_addresses()),
            v2(1, 0x11, &v4_addresses()[..11]),
            v2(1, 0x21, &v6_addresses("::1")[..35]),
            v2(1, 0x31, &[0; 215]),
            [V2_START, &[0x11, 0x11, 0, 0]].concat(),
            [V2_START, &[0x31, 0x11, 0, 12]].concat(),
        ] {
            assert!(is_wrong(&header), "{header:?}");
        }
    }

    #[test]
    fn header_of_version_2_is_bounded_before_it_is_whole() {
        let longest = v2(1, 0x11, &[0; V2_BYTES_MAX - V2_FIXED_BYTES]);
        assert_eq!(named(&longest), client("0.0.0.0"));
        let longer = v2(1, 0x11, &[0; V2_BYTES_MAX - V2_FIXED_BYTES + 1]);
        assert!(matches!(
            proxy_header(&longer[..V2_FIXED_BYTES]),
            ProxyHeader::Wrong(_)
        ));
    }

    #[test]
    fn what_is_no_header_is_wrong_from_the_first_byte_that_differs() {
        for bytes in [&b"G"[..], b"PROXZ", b"\r\n\r\n\0\r\nQUIT\r", b"\x16", b"\n"] {
            let shorter = proxy_header(&bytes[..bytes.len() - 1]);
            assert_eq!(shorter, ProxyHeader::Partial, "{bytes:?}");
            assert!(
                matches!(proxy_header(bytes), ProxyHeader::Wrong(_)),
                "{bytes:?}"
            );
        }
    }
}
