//! What an operator sets about requests: proxies, origins, the length of a head.

use super::origin::AllowedOrigin;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// What decides whether a request is granted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The proxies whose `X-Forwarded-For` is believed. A connection from one of them counts for
    /// the address that the proxy names.
    pub trusted_proxies: Vec<TrustedProxy>,
    /// Every connection must come from one of them and begin with a header of the PROXY protocol.
    pub proxy_protocol: bool,
    /// Origins that may connect besides the server's own.
    pub allow_origins: Vec<AllowedOrigin>,
    /// Refuse requests without an Origin, which come from clients that are no browsers.
    pub require_origin: bool,
    /// The longest head of a request, blank line included.
    pub max_head_bytes: usize,
    /// The subprotocols of WebSockets that may be chosen (RFC 6455 §1.9). Set by the server, not by
    /// an operator.
    pub subprotocols: &'static [&'static str],
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            trusted_proxies: vec![
                TrustedProxy::Net {
                    address: IpAddr::V4(Ipv4Addr::new(127, 0, 0, 0)),
                    prefix: 8,
                },
                TrustedProxy::Net {
                    address: IpAddr::V6(Ipv6Addr::LOCALHOST),
                    prefix: 128,
                },
                TrustedProxy::Unix,
            ],
            proxy_protocol: false,
            allow_origins: Vec::new(),
            require_origin: false,
            max_head_bytes: 16 * 1024,
            subprotocols: &[],
        }
    }
}

/// A peer whose statement of the client's address is believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TrustedProxy {
    /// An address, or all that share its first `prefix` bits.
    Net { address: IpAddr, prefix: u8 },
    /// Every peer that comes through a Unix socket.
    Unix,
}

impl FromStr for TrustedProxy {
    type Err = String;

    fn from_str(value: &str) -> Result<Self, String> {
        const EXPECTED: &str =
            "expected an address, an address with bits like 10.0.0.0/8, unix or none";
        if value == "unix" {
            return Ok(Self::Unix);
        }
        let (address, prefix) = match value.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (value, None),
        };
        let address: IpAddr = address.parse().map_err(|_| EXPECTED)?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let prefix = match prefix {
            Some(bits) => bits
                .parse()
                .ok()
                .filter(|bits| *bits <= most)
                .ok_or(EXPECTED)?,
            None => most,
        };
        Ok(Self::Net { address, prefix })
    }
}

impl fmt::Display for TrustedProxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Net { address, prefix } if *prefix == bits(*address) => address.fmt(f),
            Self::Net { address, prefix } => write!(f, "{address}/{prefix}"),
            Self::Unix => f.write_str("unix"),
        }
    }
}

const fn bits(address: IpAddr) -> u8 {
    match address {
        IpAddr::V4(_) => 32,
        IpAddr::V6(_) => 128,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trusted_proxy_is_shown_as_it_is_given() {
        for text in ["unix", "127.0.0.0/8", "10.0.0.1", "::1", "2001:db8::/32"] {
            assert_eq!(text.parse::<TrustedProxy>().unwrap().to_string(), text);
        }
    }
}
