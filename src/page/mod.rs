//! The chat page and its files, embedded in the binary, `/healthz` and `/readyz`.
//! Knows nothing of WebSockets. Every file in this folder but the Rust sources is served, also
//! compressed; the modules of its scripts are one file: `build.rs` collects them.

mod ancestor;

use crate::http::{self, Content, Date, Get, Method, Refusal, Response};

pub use self::ancestor::FrameAncestor;

/// A file of this folder, as `build.rs` found it.
struct File {
    name: &'static str,
    content_type: &'static str,
    /// A strong validator, with its quotes. The compressed form has one of its own, since its bytes
    /// are others (RFC 9110 §8.8.3.3).
    etag: &'static str,
    gzip_etag: &'static str,
    body: &'static [u8],
    /// `None`: compression does not make it shorter.
    gzip: Option<&'static [u8]>,
}

/// All files of this folder but its Rust sources.
static FILES: &[File] = include!(concat!(env!("OUT_DIR"), "/page_files.rs"));

/// What can be fetched with GET.
#[derive(Clone, Copy)]
enum Page {
    /// May be stored, and must be revalidated before each use: after an update of the server every
    /// browser loads the new page at once.
    File(&'static File),
    /// That the server answers.
    Health,
    /// Whether it serves everything that it is asked.
    Readiness,
}

/// Whether the server serves everything: as an error, a sentence that says what it does not.
pub type Readiness = Result<(), &'static str>;

/// What an operator sets about the page.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// The sites that may show the page in a frame; empty: none.
    pub frame_ancestors: Vec<FrameAncestor>,
}

/// All that can be fetched. Knows what an operator has set.
pub struct Pages {
    policy: String,
}

/// The page may load and run the server's own files only, nothing inline. Who may frame it follows.
/// `data:` is for the icon of the tab with its mark of unread messages, which a canvas makes.
///
/// `connect-src 'self'` covers `ws:` and `wss:` to our own host and port by CSP Level 3 §6.7.2.8.
/// Safari before 15.4 (2022) does not implement this and cannot use the page. For its sake the
/// policy would have to allow `ws: wss:`, which is every host, in all browsers.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
     img-src 'self' data:; connect-src 'self'; manifest-src 'self'; base-uri 'none'; \
     form-action 'none'; frame-ancestors";

impl Pages {
    pub fn new(settings: &Settings) -> Self {
        let mut policy = String::from(CONTENT_SECURITY_POLICY);
        if settings.frame_ancestors.is_empty() {
            policy.push_str(" 'none'");
        }
        for ancestor in &settings.frame_ancestors {
            policy.push(' ');
            policy.push_str(&ancestor.to_string());
        }
        Self { policy }
    }

    /// The response to a plain request.
    ///
    /// # Errors
    /// There is nothing at its path.
    pub fn answer(
        &self,
        get: &Get<'_>,
        readiness: Readiness,
        date: Date,
    ) -> Result<Vec<u8>, Refusal> {
        if get.method == Method::Options {
            return options(get, date);
        }
        let page = find(get.path).ok_or(Refusal::NoSuchPath)?;
        Ok(page.answer(get, &self.policy, readiness, date))
    }
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

/// What is at this path.
fn find(path: &str) -> Option<Page> {
    let name = match path.strip_prefix('/')? {
        "healthz" => return Some(Page::Health),
        "readyz" => return Some(Page::Readiness),
        "" => "index.html",
        // Browsers request it without a link, and go by the type, not by the name.
        "favicon.ico" => "icon.svg",
        // It has one address only.
        "index.html" => return None,
        name => name,
    };
    FILES.iter().find(|file| file.name == name).map(Page::File)
}

impl Page {
    /// 200, or 304 if the client has this version already (RFC 9110 §13.1.2); 503 if the server is
    /// not ready and that is what was asked.
    fn answer(self, get: &Get<'_>, policy: &str, readiness: Readiness, date: Date) -> Vec<u8> {
        let mut fields = vec![
            ("Content-Security-Policy", policy),
            ("X-Content-Type-Options", "nosniff"),
            ("Referrer-Policy", "no-referrer"),
        ];
        let mut is_known = false;
        let mut status = 200;
        let sentence;
        let content = match self {
            Self::Health | Self::Readiness => {
                sentence = match (self, readiness) {
                    (Self::Readiness, Err(why)) => {
                        status = 503;
                        format!("{why}\n")
                    }
                    _ => String::from("ok\n"),
                };
                // It describes this moment.
                fields.push(("Cache-Control", "no-store"));
                Content {
                    content_type: "text/plain; charset=utf-8",
                    body: sentence.as_bytes(),
                }
            }
            Self::File(file) => {
                let (body, etag) = match file.gzip {
                    Some(gzip) if get.takes_gzip() => {
                        fields.push(("Content-Encoding", "gzip"));
                        (gzip, file.gzip_etag)
                    }
                    Some(_) | None => (file.body, file.etag),
                };
                is_known = get.has_version(etag);
                fields.push(("ETag", etag));
                fields.push(("Cache-Control", "no-cache"));
                fields.push(("Vary", "Accept-Encoding"));
                Content {
                    content_type: file.content_type,
                    body,
                }
            }
        };
        Response {
            status: if is_known { 304 } else { status },
            fields: &fields,
            content: (!is_known).then_some(content),
        }
        .render(get, date)
    }
}

#[cfg(test)]
mod tests;
