//! Any bytes as the beginning of a connection that must have a header of the PROXY protocol: what
//! they amount to depends on no cut, nothing is waited for beyond the bounds, and what is understood
//! is what a second reading of the specification finds.
#![no_main]

use libfuzzer_sys::fuzz_target;
use parlor::http::{Forwarded, ProxyHeader, V1_BYTES_MAX, V2_BYTES_MAX, proxy_header};
use std::net::IpAddr;

const V2: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

/// The header of one of the two kinds that name an address, read without care for cuts.
fn read_again(bytes: &[u8]) -> Option<(IpAddr, usize)> {
    if let Some(rest) = bytes.strip_prefix(V2) {
        let [kind, family, high, low, rest @ ..] = rest else {
            return None;
        };
        let length = usize::from(*high) << 8 | usize::from(*low);
        let source = match (kind, family) {
            (0x21, 0x11) => IpAddr::from(*rest.get(..length)?.first_chunk::<4>()?),
            (0x21, 0x21) => IpAddr::from(*rest.get(..length)?.first_chunk::<16>()?),
            _ => return None,
        };
        return Some((source.to_canonical(), 16 + length));
    }
    let end = bytes.windows(2).position(|pair| pair == b"\r\n")?;
    let words: Vec<&str> = str::from_utf8(&bytes[..end]).ok()?.split(' ').collect();
    let ["PROXY", "TCP4" | "TCP6", source, ..] = words[..] else {
        return None;
    };
    Some((source.parse::<IpAddr>().ok()?.to_canonical(), end + 2))
}

fuzz_target!(|bytes: &[u8]| {
    let whole = proxy_header(bytes);
    let first = (0..=bytes.len())
        .map(|end| (end, proxy_header(&bytes[..end])))
        .find(|(_, part)| *part != ProxyHeader::Partial);
    match (first, whole) {
        (None, ProxyHeader::Partial) => {
            let is_v2 = bytes.first() == Some(&b'\r');
            let most = if is_v2 { V2_BYTES_MAX } else { V1_BYTES_MAX };
            assert!(bytes.len() < most, "it waits beyond the bound");
        }
        (None, _) => panic!("the whole is a part of itself"),
        (Some((end, part)), whole) => {
            assert_eq!(part, whole, "{end} bytes are enough");
            for longer in end..bytes.len() {
                assert_eq!(proxy_header(&bytes[..longer]), whole, "and so are {longer}");
            }
            if let ProxyHeader::Complete { named, consumed } = whole {
                assert_eq!(consumed, end, "it takes what it needs");
                if let Forwarded::Client(address) = named {
                    assert_eq!(read_again(bytes), Some((address, consumed)));
                }
            }
        }
    }
});
