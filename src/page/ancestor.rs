//! Which sites may show the page in a frame, as an operator names them and as the policy has them.

use std::fmt;
use std::str::FromStr;

/// An entry of `frame-ancestors` (CSP Level 3 §6.4.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FrameAncestor {
    /// `*`: every site.
    Any,
    /// `https://example.org`, `https://example.org:8443` or `https://*.example.org`, in lower case.
    Site(String),
}

impl FromStr for FrameAncestor {
    type Err = String;

    /// Refuses what the grammar of CSP does not have: a browser would ignore such an entry, or take
    /// its end for another directive.
    fn from_str(value: &str) -> Result<Self, String> {
        if value == "*" {
            return Ok(Self::Any);
        }
        let value = value.to_ascii_lowercase();
        if is_site(&value) {
            Ok(Self::Site(value))
        } else {
            Err(String::from(
                "expected an origin like https://example.org, https://example.org:8443 or \
                 https://*.example.org (no path, no IPv6 address, an international name in its \
                 xn-- form), none or *",
            ))
        }
    }
}

/// A scheme of the web, a host with an optional wildcard in front, and an optional port
/// (`host-source`, CSP Level 3 §2.3.1).
fn is_site(value: &str) -> bool {
    let Some(authority) = ["http://", "https://"]
        .iter()
        .find_map(|scheme| value.strip_prefix(scheme))
    else {
        return false;
    };
    let (host, port) = match authority.split_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => (authority, None),
    };
    let is_label = |label: &str| {
        !label.is_empty()
            && label
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-')
    };
    let is_port = |port: &str| {
        port.bytes().all(|b| b.is_ascii_digit()) && port.parse::<u16>().is_ok_and(|port| port > 0)
    };
    host.strip_prefix("*.")
        .unwrap_or(host)
        .split('.')
        .all(is_label)
        && port.is_none_or(is_port)
}

impl fmt::Display for FrameAncestor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("*"),
            Self::Site(site) => f.write_str(site),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ancestor_is_shown_as_it_is_given_in_lower_case() {
        for (given, shown) in [
            ("*", "*"),
            ("https://example.org", "https://example.org"),
            (
                "HTTPS://Blog.Example.ORG:8443",
                "https://blog.example.org:8443",
            ),
            ("https://*.example.org", "https://*.example.org"),
            ("http://localhost:3000", "http://localhost:3000"),
            ("http://192.0.2.1", "http://192.0.2.1"),
        ] {
            assert_eq!(given.parse::<FrameAncestor>().unwrap().to_string(), shown);
        }
    }

    #[test]
    fn an_ancestor_that_a_browser_would_not_understand_is_refused() {
        for given in [
            "",
            "example.org",
            "https://",
            "https://example.org/",
            "https://example.org/path",
            "https://example.org:",
            "https://example.org:0",
            "https://example.org:+1",
            "https://example.org:65536",
            "https://example..org",
            "https://*",
            "https://a.*.example",
            "https://[::1]",
            "https://me@example.org",
            "https://bücher.example",
            "https://a.example https://b.example",
            "https://a.example;",
            "https://a.example,b",
            "https://a.example\r\nX: y",
            "'self'",
            "null",
            "file://",
        ] {
            let refused = given.parse::<FrameAncestor>().unwrap_err();
            assert!(refused.starts_with("expected an origin"), "{given}");
        }
    }
}
