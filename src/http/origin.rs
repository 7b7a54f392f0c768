//! Which pages may open a WebSocket here (RFC 6454, RFC 6455 §10.2).
//! Knows strings, not requests. A page of another site can make any visitor's browser connect;
//! the Origin is what the browser says about that page, and the page cannot forge it.

/// Whether a page of `origin` may connect to the server that the client calls `host`.
///
/// The server's own pages may: those whose host and port are the ones in the Host field. Schemes
/// are not compared, because TLS ends in front of us and `https` may arrive as `http`; they only
/// say which port goes without saying. Others must be in `allowed` word for word but for case;
/// `*` there is everybody. `null` (a file, a sandboxed frame) is nobody's own.
pub(super) fn is_allowed(origin: &[u8], host: &str, allowed: &[String]) -> bool {
    let listed = |entry: &String| entry == "*" || origin.eq_ignore_ascii_case(entry.as_bytes());
    is_own(origin, host) || allowed.iter().any(listed)
}

fn is_own(origin: &[u8], host: &str) -> bool {
    let Some((scheme, authority)) = std::str::from_utf8(origin)
        .ok()
        .and_then(|origin| origin.split_once("://"))
    else {
        return false;
    };
    let default_port = if scheme.eq_ignore_ascii_case("http") {
        ":80"
    } else if scheme.eq_ignore_ascii_case("https") {
        ":443"
    } else {
        return false;
    };
    let without_port = |name| str::strip_suffix(name, default_port).unwrap_or(name);
    !host.is_empty() && without_port(authority).eq_ignore_ascii_case(without_port(host))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_servers_own_pages_may_connect() {
        for (origin, host, own) in [
            ("http://chat.example", "chat.example", true),
            ("https://chat.example", "chat.example", true),
            ("https://CHAT.example", "chat.EXAMPLE", true),
            ("HTTPS://chat.example", "chat.example", true),
            ("http://chat.example:80", "chat.example", true),
            ("http://chat.example", "chat.example:80", true),
            ("https://chat.example:443", "chat.example", true),
            ("https://chat.example", "chat.example:443", true),
            ("http://127.0.0.1:8080", "127.0.0.1:8080", true),
            ("http://[::1]:8080", "[::1]:8080", true),
            ("http://[::1]", "[::1]", true),
            ("http://chat.example:8080", "chat.example:8081", false),
            ("http://chat.example:8080", "chat.example", false),
            ("http://chat.example", "chat.example:8080", false),
            // The default port of the other scheme is a port like any other.
            ("http://chat.example:443", "chat.example", false),
            ("https://chat.example", "chat.example:80", false),
            ("http://evil.example", "chat.example", false),
            ("http://chat.example.evil.example", "chat.example", false),
            ("http://evil.example/chat.example", "chat.example", false),
            ("http://chat.example/", "chat.example", false),
            ("http://user@chat.example", "chat.example", false),
            ("file://chat.example", "chat.example", false),
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

    #[test]
    fn others_may_connect_if_they_are_listed() {
        let listed = ["https://blog.example".to_owned(), "null".to_owned()];
        for (origin, allowed) in [
            ("https://blog.example", true),
            ("HTTPS://Blog.Example", true),
            ("null", true),
            ("http://blog.example", false),
            ("https://blog.example:444", false),
            ("https://blog.example.evil.example", false),
            ("https://evil.example", false),
        ] {
            assert_eq!(
                is_allowed(origin.as_bytes(), "chat.example", &listed),
                allowed,
                "{origin}"
            );
        }
        for origin in [&b"https://evil.example"[..], b"null", b"", b"\xff"] {
            assert!(is_allowed(origin, "chat.example", &["*".to_owned()]));
        }
    }
}
