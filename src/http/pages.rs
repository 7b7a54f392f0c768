//! The chat page and what belongs to it, embedded in the binary, and `/healthz`.
//! Knows nothing of WebSockets. Files under `src/page/` are served as they are.

use super::head::{Head, list};
use super::response;

/// One thing that can be fetched with GET.
pub(super) struct Page {
    content_type: &'static str,
    body: &'static [u8],
    cache: Cache,
}

enum Cache {
    /// May be kept, but asked about before each use: a new binary shows its page at once.
    Revalidate { etag: Etag },
    /// Says how things are this moment.
    Never,
}

/// Nothing may be loaded or run but our own files, nothing inline, and nobody may frame the page.
///
/// `connect-src 'self'` covers `ws:` and `wss:` to our own host and port by CSP Level 3 §6.7.2.8.
/// Safari before 15.4 (2022) did not do so; for it, the policy would have to name `ws: wss:`,
/// which is any host there is, for everybody. The page connects nowhere else, so it says so.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
     img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; \
     frame-ancestors 'none'";

static INDEX: Page = Page::embedded(
    "text/html; charset=utf-8",
    include_bytes!("../page/index.html"),
);
static APP: Page = Page::embedded(
    "text/javascript; charset=utf-8",
    include_bytes!("../page/app.js"),
);
static STYLE: Page = Page::embedded(
    "text/css; charset=utf-8",
    include_bytes!("../page/style.css"),
);
static ICON: Page = Page::embedded("image/svg+xml", include_bytes!("../page/icon.svg"));
static HEALTH: Page = Page {
    content_type: "text/plain; charset=utf-8",
    body: b"ok\n",
    cache: Cache::Never,
};

/// What is at this path.
pub(super) fn find(path: &str) -> Option<&'static Page> {
    match path {
        "/" => Some(&INDEX),
        "/app.js" => Some(&APP),
        "/style.css" => Some(&STYLE),
        // Browsers ask for the second unbidden, and go by the type, not by the name.
        "/icon.svg" | "/favicon.ico" => Some(&ICON),
        "/healthz" => Some(&HEALTH),
        _ => None,
    }
}

impl Page {
    const fn embedded(content_type: &'static str, body: &'static [u8]) -> Self {
        Self {
            content_type,
            body,
            cache: Cache::Revalidate { etag: etag(body) },
        }
    }

    /// The whole response to GET or HEAD: 200, or 304 if the client has this version already
    /// (RFC 9110 §13.1.2). `keep_alive` is whether the connection will be kept.
    pub(super) fn answer(&self, head: &Head<'_, '_>, keep_alive: bool) -> Vec<u8> {
        let is_known = match &self.cache {
            Cache::Revalidate { etag } => head.values("If-None-Match").any(|v| matches(v, etag)),
            Cache::Never => false,
        };
        let mut response = if is_known {
            response::begin(304, 0)
        } else {
            response::begin(200, self.body.len())
        };
        if !is_known {
            response::field(&mut response, "Content-Type", self.content_type);
            response::content_length(&mut response, self.body.len());
        }
        match &self.cache {
            Cache::Revalidate { etag } => {
                // No string, because a constant function made it: its line is put together here.
                response.extend_from_slice(b"ETag: ");
                response.extend_from_slice(etag);
                response::end(&mut response);
                response::field(&mut response, "Cache-Control", "no-cache");
            }
            Cache::Never => response::field(&mut response, "Cache-Control", "no-store"),
        }
        response::field(
            &mut response,
            "Content-Security-Policy",
            CONTENT_SECURITY_POLICY,
        );
        response::field(&mut response, "X-Content-Type-Options", "nosniff");
        response::field(&mut response, "Referrer-Policy", "no-referrer");
        match (keep_alive, head.is_http_11) {
            // What each version does unasked need not be said (RFC 9112 §9.3).
            (true, true) => {}
            (true, false) => response::field(&mut response, "Connection", "keep-alive"),
            (false, _) => response::field(&mut response, "Connection", "close"),
        }
        response::end(&mut response);
        if !is_known && head.method != "HEAD" {
            response.extend_from_slice(self.body);
        }
        response
    }
}

/// A strong validator: 64 bits in hexadecimal, with its quotes.
type Etag = [u8; 18];

/// Derived from the content at compile time, by FNV-1a: whoever may change the file is trusted,
/// so a hash that keeps versions apart is enough.
const fn etag(content: &[u8]) -> Etag {
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    let mut at = 0;
    while at < content.len() {
        hash = (hash ^ content[at] as u64).wrapping_mul(0x0100_0000_01b3);
        at += 1;
    }
    let mut etag = [b'"'; 18];
    let mut digit = 0;
    while digit < 16 {
        etag[digit + 1] = b"0123456789abcdef"[(hash >> (60 - 4 * digit) & 0xf) as usize];
        digit += 1;
    }
    etag
}

/// Whether an If-None-Match names this version. The comparison is the weak one
/// (RFC 9110 §8.8.3.2): a proxy that compresses may have made our validator a weak one.
fn matches(if_none_match: &[u8], etag: &Etag) -> bool {
    list(if_none_match)
        .any(|element| element == b"*" || element.strip_prefix(b"W/").unwrap_or(element) == etag)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_etag_is_fnv_1a_in_hexadecimal() {
        assert_eq!(&etag(b""), b"\"cbf29ce484222325\"");
        assert_eq!(&etag(b"a"), b"\"af63dc4c8601ec8c\"");
        assert_eq!(&etag(b"foobar"), b"\"85944171f73967e8\"");
    }

    #[test]
    fn an_if_none_match_is_a_list_and_compares_weakly() {
        let etag = etag(b"a");
        for (value, matched) in [
            (&b"\"af63dc4c8601ec8c\""[..], true),
            (b"W/\"af63dc4c8601ec8c\"", true),
            (b"\"other\", W/\"other\" , \"af63dc4c8601ec8c\"", true),
            (b"*", true),
            (b"\"other\"", false),
            (b"af63dc4c8601ec8c", false),
            (b"w/\"af63dc4c8601ec8c\"", false),
            (b"", false),
        ] {
            assert_eq!(matches(value, &etag), matched, "{}", value.escape_ascii());
        }
    }

    #[test]
    fn the_policy_allows_nothing_inline_and_nothing_from_elsewhere() {
        assert!(!CONTENT_SECURITY_POLICY.contains("unsafe"));
        assert!(!CONTENT_SECURITY_POLICY.contains('*'));
        assert!(!CONTENT_SECURITY_POLICY.contains("http"));
        assert!(CONTENT_SECURITY_POLICY.starts_with("default-src 'none'; "));
    }

    #[test]
    fn the_page_has_nothing_inline_that_the_policy_would_stop() {
        let html = str::from_utf8(INDEX.body).unwrap();
        let is_handler = |word: &str| word.starts_with("on") && word.contains('=');
        assert!(!html.contains("<style") && !html.contains(" style="));
        assert!(!html.split_whitespace().any(is_handler));
        for script in html.split("<script").skip(1) {
            assert!(
                script.split('>').next().unwrap().contains(" src="),
                "{script}"
            );
        }
    }
}
