//! The chat page and its files, embedded in the binary, and `/healthz`.
//! Knows nothing of WebSockets. The files in this folder are served as they are.

use crate::http::{self, Content, Date, Get, Method, Refusal, Response};

/// One resource that can be fetched with GET.
struct Page {
    content_type: &'static str,
    body: &'static [u8],
    cache: Cache,
}

enum Cache {
    /// May be stored, and must be revalidated before each use: after an update of the server every
    /// browser loads the new page at once.
    Revalidate { etag: Etag },
    /// Describes this moment and must not be stored.
    Never,
}

/// The page may load and run the server's own files only, nothing inline, and must not be framed.
///
/// `connect-src 'self'` covers `ws:` and `wss:` to our own host and port by CSP Level 3 §6.7.2.8.
/// Safari before 15.4 (2022) does not implement this and cannot use the page. For its sake the
/// policy would have to allow `ws: wss:`, which is every host, in all browsers.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
     img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; \
     frame-ancestors 'none'";

static INDEX: Page = Page::embedded("text/html; charset=utf-8", include_bytes!("index.html"));
static APP: Page = Page::embedded("text/javascript; charset=utf-8", include_bytes!("app.js"));
static STYLE: Page = Page::embedded("text/css; charset=utf-8", include_bytes!("style.css"));
static ICON: Page = Page::embedded("image/svg+xml", include_bytes!("icon.svg"));
static HEALTH: Page = Page {
    content_type: "text/plain; charset=utf-8",
    body: b"ok\n",
    cache: Cache::Never,
};

/// The response to a plain request.
///
/// # Errors
/// There is nothing at its path.
pub fn answer(get: &Get<'_>, date: Date) -> Result<Vec<u8>, Refusal> {
    if get.method == Method::Options {
        return options(get, date);
    }
    let page = find(get.path).ok_or(Refusal::NoSuchPath)?;
    Ok(page.answer(get, date))
}

/// The answer to OPTIONS (RFC 9110 §9.3.7): the methods that are allowed at the path.
fn options(get: &Get<'_>, date: Date) -> Result<Vec<u8>, Refusal> {
    let allow = if get.path == "*" || find(get.path).is_some() {
        http::PLAIN_METHODS
    } else if http::is_room(get.path) {
        http::ROOM_METHODS
    } else {
        return Err(Refusal::NoSuchPath);
    };
    let response = Response {
        status: 204,
        fields: &[("Allow", allow)],
        content: None,
    };
    Ok(response.render(get, date))
}

/// The page at this path.
fn find(path: &str) -> Option<&'static Page> {
    match path {
        "/" => Some(&INDEX),
        "/app.js" => Some(&APP),
        "/style.css" => Some(&STYLE),
        // Browsers request the second without a link, and go by the type, not by the name.
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

    /// 200, or 304 if the client has this version already (RFC 9110 §13.1.2).
    fn answer(&self, get: &Get<'_>, date: Date) -> Vec<u8> {
        let safety = [
            ("Content-Security-Policy", CONTENT_SECURITY_POLICY),
            ("X-Content-Type-Options", "nosniff"),
            ("Referrer-Policy", "no-referrer"),
        ];
        let (etag, is_known) = match &self.cache {
            Cache::Revalidate { etag } => {
                let etag = str::from_utf8(etag).expect("quotes and hexadecimal digits");
                (Some(("ETag", etag)), get.has_version(etag))
            }
            Cache::Never => (None, false),
        };
        let cache_control = match etag {
            Some(_) => ("Cache-Control", "no-cache"),
            None => ("Cache-Control", "no-store"),
        };
        let fields: Vec<_> = etag
            .into_iter()
            .chain([cache_control])
            .chain(safety)
            .collect();
        let content = (!is_known).then_some(Content {
            content_type: self.content_type,
            body: self.body,
        });
        Response {
            status: if is_known { 304 } else { 200 },
            fields: &fields,
            content,
        }
        .render(get, date)
    }
}

/// A strong validator: 64 bits in hexadecimal, with its quotes.
type Etag = [u8; 18];

/// Computed from the content at compile time, by FNV-1a. The files come with the source, so no
/// attacker chooses them, and a hash that distinguishes versions is enough.
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

#[cfg(test)]
mod tests;
