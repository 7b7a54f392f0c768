//! Which origins may open a WebSocket (RFC 6454, RFC 6455 §10.2).
//! Knows the Origin and the Host as strings, and no request. A page of any site can make its
//! visitor's browser connect; the Origin names that page's site, and the page cannot forge it.
//!
//! Origins are compared by what they mean: scheme and host without regard to case, the port with
//! the default of the scheme filled in. `ws` counts as `http` and `wss` as `https`: browsers send
//! the page's scheme, but some clients that are no browsers send the scheme they connect with.

use std::str::FromStr;

/// An entry of the list of origins that may connect besides the server's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AllowedOrigin {
    /// `*`: every origin.
    Any,
    /// `null`: sandboxed frames and, in most browsers, files. It names no site.
    Null,
    /// `scheme://host` or `scheme://host:port`, or `file://`, which Chrome sends for files.
    Site {
        scheme: String,
        host: String,
        /// The default of the scheme if none was given; `None` if the scheme has no default.
        port: Option<u16>,
    },
}

impl AllowedOrigin {
    fn matches(&self, origin: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Null => origin.eq_ignore_ascii_case("null"),
            Self::Site { scheme, host, port } => Site::parse(origin).is_some_and(|site| {
                site.scheme.eq_ignore_ascii_case(scheme)
                    && site.host.eq_ignore_ascii_case(host)
                    && site.port == *port
            }),
        }
    }
}

impl FromStr for AllowedOrigin {
    type Err = String;

    /// Refuses what no client would ever send, since such an entry could not have an effect.
    fn from_str(value: &str) -> Result<Self, String> {
        match value {
            "*" => return Ok(Self::Any),
            "null" => return Ok(Self::Null),
            _ => {}
        }
        let Some(site) = Site::parse(value).filter(|site| site.is_valid()) else {
            return Err(String::from(
                "expected an origin like https://example.org or https://example.org:8443 (no \
                 path, no wildcard, an international name in its xn-- form), null, file:// or *",
            ));
        };
        Ok(Self::Site {
            scheme: site.scheme.to_ascii_lowercase(),
            host: site.host.to_ascii_lowercase(),
            port: site.port,
        })
    }
}

/// Whether a client that sends `origin` may connect to the server that it calls `host`.
///
/// The server's own pages may: those whose host and port are the ones in the Host field. Their
/// scheme only decides which port is the default. It is not compared, because a proxy in front may
/// terminate TLS, and a page from `https` then arrives as plain HTTP. Other origins must be in
/// `allowed`.
pub(super) fn is_allowed(origin: &[u8], host: &str, allowed: &[AllowedOrigin]) -> bool {
    match str::from_utf8(origin) {
        Ok(origin) => is_own(origin, host) || allowed.iter().any(|entry| entry.matches(origin)),
        Err(_) => allowed.contains(&AllowedOrigin::Any),
    }
}

fn is_own(origin: &str, host: &str) -> bool {
    let Some(site) = Site::parse(origin) else {
        return false;
    };
    // Schemes without a default port, as of files and browser extensions, are never our own.
    let Some(default_port) = default_port(site.scheme) else {
        return false;
    };
    split_port(host).is_some_and(|(host, port)| {
        !host.is_empty()
            && host.eq_ignore_ascii_case(site.host)
            && Some(port.unwrap_or(default_port)) == site.port
    })
}

/// The parts of an origin that has a scheme.
struct Site<'a> {
    /// `http` and `https` in place of `ws` and `wss`.
    scheme: &'a str,
    host: &'a str,
    port: Option<u16>,
}

impl<'a> Site<'a> {
    fn parse(origin: &'a str) -> Option<Self> {
        let (scheme, authority) = origin.split_once("://")?;
        let scheme = if scheme.eq_ignore_ascii_case("ws") {
            "http"
        } else if scheme.eq_ignore_ascii_case("wss") {
            "https"
        } else {
            scheme
        };
        let (host, port) = split_port(authority)?;
        Some(Self {
            scheme,
            host,
            port: port.or_else(|| default_port(scheme)),
        })
    }

    /// Whether a client could send this origin.
    fn is_valid(&self) -> bool {
        let is_in_scheme = |byte: u8| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte);
        let is_in_host = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~[]:".contains(&byte);
        let is_file = self.scheme.eq_ignore_ascii_case("file");
        !self.scheme.is_empty()
            && self.scheme.bytes().all(is_in_scheme)
            && (is_file || !self.host.is_empty())
            && self.host.bytes().all(is_in_host)
    }
}

/// The port that an origin of this scheme does not mention.
fn default_port(scheme: &str) -> Option<u16> {
    let is = |name: &str| scheme.eq_ignore_ascii_case(name);
    if is("http") || is("ws") {
        Some(80)
    } else if is("https") || is("wss") {
        Some(443)
    } else {
        None
    }
}

/// Splits `host`, `host:` and `host:port`, where an IPv6 address has brackets around it.
/// `None`: what follows the host is not a port.
fn split_port(authority: &str) -> Option<(&str, Option<u16>)> {
    let end_of_address = authority.rfind(']').map_or(0, |at| at + 1);
    match authority[end_of_address..].split_once(':') {
        None => Some((authority, None)),
        Some((before, port)) => {
            let host = &authority[..end_of_address + before.len()];
            match port {
                "" => Some((host, None)),
                port if port.bytes().all(|byte| byte.is_ascii_digit()) => {
                    Some((host, Some(port.parse().ok()?)))
                }
                _ => None,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origin_with_the_host_and_port_of_the_host_field_is_allowed() {
        for (origin, host, own) in [
            ("http://chat.example", "chat.example", true),
            ("https://chat.example", "chat.example", true),
            ("https://CHAT.example", "chat.EXAMPLE", true),
            ("HTTPS://chat.example", "chat.example", true),
            ("http://chat.example:80", "chat.example", true),
            ("http://chat.example", "chat.example:80", true),
            ("http://chat.example", "chat.example:", true),
            ("https://chat.example:443", "chat.example", true),
            ("https://chat.example", "chat.example:443", true),
            ("http://127.0.0.1:8080", "127.0.0.1:8080", true),
            ("http://[::1]:8080", "[::1]:8080", true),
            ("http://[::1]", "[::1]", true),
            ("http://[::1]:80", "[::1]", true),
            ("http://chat.example:8080", "chat.example:8081", false),
            ("http://chat.example:8080", "chat.example", false),
            ("http://chat.example", "chat.example:8080", false),
            // The default port of the other scheme is a port like any other.
            ("http://chat.example:443", "chat.example", false),
            ("https://chat.example", "chat.example:80", false),
            ("http://evil.example", "chat.example", false),
            ("http://chat.example.evil.example", "chat.example", false),
            ("http://evil.example/chat.example", "chat.example", false),
            ("http://evil.example:80@chat.example", "chat.example", false),
            ("http://chat.example/", "chat.example", false),
            ("http://chat.example:+80", "chat.example", false),
            ("http://chat.example:65616", "chat.example", false),
            ("http://user@chat.example", "chat.example", false),
            ("http://[::1", "[::1", false),
            ("http://[::1]80", "[::1]", false),
            ("file://chat.example", "chat.example", false),
            ("file://", "", false),
            ("chrome-extension://chat.example", "chat.example", false),
            ("chat.example", "chat.example", false),
            (
                "http://a.example http://chat.example",
                "chat.example",
                false,
            ),
            ("null", "null", false),
            ("", "chat.example", false),
            ("http://", "", false),
        ] {
            assert_eq!(
                is_allowed(origin.as_bytes(), host, &[]),
                own,
                "{origin} at {host}"
            );
        }
        assert!(!is_allowed(b"http://\xff", "chat.example", &[]));
    }

    /// Old Python and Swift clients send such an Origin.
    #[test]
    fn origin_with_a_websocket_scheme_is_compared_like_one_of_http() {
        for (origin, host, own) in [
            ("ws://127.0.0.1:8080", "127.0.0.1:8080", true),
            ("ws://chat.example", "chat.example", true),
            ("wss://chat.example", "chat.example", true),
            ("WSS://Chat.Example:443", "chat.example", true),
            ("ws://chat.example:80", "chat.example", true),
            ("ws://chat.example", "chat.example:80", true),
            ("wss://chat.example", "chat.example:443", true),
            ("ws://chat.example", "chat.example:8080", false),
            ("wss://chat.example", "chat.example:80", false),
            ("ws://chat.example:443", "chat.example", false),
            ("ws://evil.example", "chat.example", false),
            ("wss://evil.example", "chat.example", false),
        ] {
            assert_eq!(
                is_allowed(origin.as_bytes(), host, &[]),
                own,
                "{origin} at {host}"
            );
        }
    }

    fn allowed(entries: &[&str]) -> Vec<AllowedOrigin> {
        entries.iter().map(|entry| entry.parse().unwrap()).collect()
    }

    #[test]
    fn listed_origin_is_allowed() {
        let list = allowed(&["https://blog.example", "null", "file://", "app://chat"]);
        for (origin, is_allowed_here) in [
            ("https://blog.example", true),
            ("HTTPS://Blog.Example", true),
            ("https://blog.example:443", true),
            ("wss://blog.example", true),
            ("null", true),
            ("file://", true),
            ("app://chat", true),
            ("app://other", false),
            ("http://blog.example", false),
            ("https://blog.example:444", false),
            ("https://blog.example:80", false),
            ("https://blog.example.evil.example", false),
            ("https://evil.example", false),
            ("https://null", false),
            ("file://evil.example", false),
        ] {
            assert_eq!(
                is_allowed(origin.as_bytes(), "chat.example", &list),
                is_allowed_here,
                "{origin}"
            );
        }
    }

    #[test]
    fn star_allows_every_origin() {
        for origin in [&b"https://evil.example"[..], b"null", b"", b"\xff"] {
            assert!(is_allowed(origin, "chat.example", &allowed(&["*"])));
            assert!(!is_allowed(origin, "chat.example", &[]));
        }
    }

    #[test]
    fn spellings_of_one_origin_are_one_entry() {
        for (first, second) in [
            ("https://example.org", "https://example.org:443"),
            ("http://example.org", "http://example.org:80"),
            ("https://example.org", "HTTPS://Example.ORG"),
            ("https://example.org", "wss://example.org"),
            ("http://[::1]:80", "ws://[::1]"),
        ] {
            assert_eq!(allowed(&[first]), allowed(&[second]));
        }
        assert_ne!(
            allowed(&["https://example.org"]),
            allowed(&["https://example.org:80"])
        );
    }

    #[test]
    fn entry_that_no_client_could_send_is_refused() {
        for entry in [
            "",
            "example.org",
            "https://",
            "://example.org",
            "https://example.org/",
            "https://example.org/path",
            "https://example.org:port",
            "https://example.org:65536",
            "https://*.example.org",
            "https://me@example.org",
            "https://bücher.example",
            "https://a.example https://b.example",
            "NULL",
        ] {
            let refused = entry.parse::<AllowedOrigin>().unwrap_err();
            assert!(refused.starts_with("expected an origin"), "{entry}");
        }
    }
}
