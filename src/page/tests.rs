//! Plain requests and the responses that [`answer`] gives to them.

use super::*;
use crate::http::Request;
use crate::http::tests::Parsed;
use flate2::read::GzDecoder;
use std::collections::HashSet;
use std::fs;
use std::io::Read;
use std::path::Path;

const UNIX_SECONDS: u64 = 784_111_777;

/// The response to a request, and whether the connection is kept.
#[track_caller]
fn respond(request: &str) -> (Result<Vec<u8>, Refusal>, bool) {
    respond_when(Ok(()), request)
}

#[track_caller]
fn respond_when(readiness: Readiness, request: &str) -> (Result<Vec<u8>, Refusal>, bool) {
    let pages = Pages::new(&Settings::default());
    match http::receive(request.as_bytes(), 0, false, &http::Settings::default()) {
        Request::Get { get, .. } => {
            let date = Date::at(UNIX_SECONDS);
            (pages.answer(&get, readiness, date), get.keep_alive)
        }
        outcome => panic!("{outcome:?}: {request}"),
    }
}

#[track_caller]
fn fetch(request: &str) -> (Parsed, bool) {
    let (response, keep_alive) = respond(request);
    (Parsed::from(&response.unwrap()), keep_alive)
}

/// The bytes that were compressed.
fn unzip(gzip: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    GzDecoder::new(gzip).read_to_end(&mut body).unwrap();
    body
}

/// The names of what must be served.
fn names() -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/page");
    let names = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let is_served = |name: &String| {
        let is_module = name.ends_with(".js") && name != "main.js";
        !name.ends_with(".rs") && !is_module
    };
    names.filter(is_served).collect()
}

#[test]
fn every_file_of_the_folder_is_served_with_its_type() {
    let names = names();
    assert!(names.len() > 3, "{names:?}");
    for name in &names {
        let path = if name == "index.html" { "" } else { name };
        let (response, keep_alive) = fetch(&format!("GET /{path} HTTP/1.1\r\nHost: a\r\n\r\n"));
        assert_eq!((response.status, keep_alive), (200, true), "{name}");
        assert!(!response.body.is_empty());
        let content_type = match name.rsplit_once('.').unwrap().1 {
            "html" => "text/html; charset=utf-8",
            "js" => "text/javascript; charset=utf-8",
            "css" => "text/css; charset=utf-8",
            "txt" => "text/plain; charset=utf-8",
            "svg" => "image/svg+xml",
            "png" => "image/png",
            "webmanifest" => "application/manifest+json",
            other => panic!("{other}"),
        };
        assert_eq!(response.field("Content-Type"), Some(content_type), "{name}");
    }
    assert_eq!(FILES.len(), names.len());
}

#[test]
fn page_is_served_with_its_fields_and_only_once() {
    for (path, content_type) in [
        ("/", "text/html; charset=utf-8"),
        ("/?nick=ann&room=den", "text/html; charset=utf-8"),
        ("/style.css?x", "text/css; charset=utf-8"),
        ("http://a", "text/html; charset=utf-8"),
        ("/favicon.ico", "image/svg+xml"),
    ] {
        let get = format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n");
        let (response, keep_alive) = fetch(&get);
        assert_eq!((response.status, keep_alive), (200, true), "{path}");
        assert!(!response.body.is_empty());
        assert_eq!(response.field("Content-Type"), Some(content_type));
        assert_eq!(response.field("Connection"), None);
        assert_eq!(response.field("Cache-Control"), Some("no-cache"));
        assert_eq!(response.field("X-Content-Type-Options"), Some("nosniff"));
        assert_eq!(response.field("Referrer-Policy"), Some("no-referrer"));
        let policy = response.field("Content-Security-Policy").unwrap();
        assert!(policy.contains("script-src 'self';"));

        let etag = response.field("ETag").unwrap();
        let again = get.replace(
            "Host: a",
            &format!("Host: a\r\nIf-None-Match: \"x\", {etag}"),
        );
        let (unchanged, keep_alive) = fetch(&again);
        assert_eq!((unchanged.status, keep_alive), (304, true));
        assert_eq!(unchanged.field("ETag"), Some(etag));
        assert_eq!(unchanged.field("Content-Length"), None);

        let other = get.replace("Host: a", "Host: a\r\nIf-None-Match: \"x\"");
        assert_eq!(fetch(&other).0.status, 200);
    }
}

#[test]
fn client_that_takes_gzip_is_sent_the_same_content_in_fewer_bytes() {
    let plain = fetch("GET / HTTP/1.1\r\nHost: a\r\n\r\n").0;
    let get = "GET / HTTP/1.1\r\nHost: a\r\nAccept-Encoding: gzip, deflate, br, zstd\r\n\r\n";
    let (short, _) = fetch(get);
    assert_eq!(short.field("Content-Encoding"), Some("gzip"));
    assert_eq!(short.field("Vary"), Some("Accept-Encoding"));
    assert_eq!(short.field("Content-Type"), plain.field("Content-Type"));
    assert_eq!(plain.field("Content-Encoding"), None);
    assert_eq!(plain.field("Vary"), Some("Accept-Encoding"));
    assert!(short.body.len() < plain.body.len());
    assert_eq!(unzip(&short.body), plain.body);

    // A cache must not take one for the other (RFC 9110 §8.8.3.3).
    let (etag, short_etag) = (plain.field("ETag").unwrap(), short.field("ETag").unwrap());
    assert_ne!(etag, short_etag);
    let with = |etag: &str| {
        let again = get.replace("Host: a", &format!("Host: a\r\nIf-None-Match: {etag}"));
        fetch(&again).0
    };
    assert_eq!(with(etag).status, 200);
    let unchanged = with(short_etag);
    assert_eq!(unchanged.status, 304);
    assert_eq!(unchanged.field("Vary"), Some("Accept-Encoding"));
    assert_eq!(with(&format!("W/{short_etag}")).status, 304);
}

#[test]
fn what_gzip_would_not_shorten_is_sent_as_it_is() {
    let get = "GET /healthz HTTP/1.1\r\nHost: a\r\nAccept-Encoding: gzip\r\n\r\n";
    let (response, _) = fetch(get);
    assert_eq!(response.text(), "ok\n");
    assert_eq!(response.field("Content-Encoding"), None);
}

#[test]
fn every_compressed_file_is_the_file() {
    for file in FILES {
        if let Some(gzip) = file.gzip {
            assert!(gzip.len() < file.body.len(), "{}", file.name);
            assert_eq!(unzip(gzip), file.body, "{}", file.name);
        }
    }
}

#[test]
fn no_two_files_or_forms_have_one_etag() {
    let tags = FILES.iter().flat_map(|file| [file.etag, file.gzip_etag]);
    let different: HashSet<&str> = tags.clone().collect();
    assert_eq!(different.len(), tags.count());
    for tag in different {
        let inner = tag.strip_prefix('"').and_then(|tag| tag.strip_suffix('"'));
        assert!(inner.is_some_and(|inner| !inner.contains('"')), "{tag}");
    }
}

#[test]
fn the_modules_of_the_page_are_one_script() {
    let (script, _) = fetch("GET /main.js HTTP/1.1\r\nHost: a\r\n\r\n");
    let script = script.text();
    for line in script.lines() {
        assert!(
            !line.starts_with("import ") && !line.starts_with("export "),
            "{line}"
        );
        assert!(!line.starts_with("//") && !line.starts_with("/*"), "{line}");
    }
    assert!(script.contains("const in_chat = (() => {\n"));
    let (module, _) = respond("GET /chat.js HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(module, Err(Refusal::NoSuchPath));
}

/// What a first visit costs, without the heads of the responses: accounts and what keeps order took
/// a third more, in two languages.
#[test]
fn the_whole_page_is_at_most_75_kb_compressed() {
    let sent = |file: &File| file.gzip.unwrap_or(file.body).len();
    let bytes: usize = FILES.iter().map(sent).sum();
    assert!(bytes <= 75_000, "{bytes}");
}

#[test]
fn health_check_is_never_cached() {
    let (response, _) = fetch("GET /healthz HTTP/1.1\r\nHost: a\r\nIf-None-Match: *\r\n\r\n");
    assert_eq!((response.status, response.text()), (200, "ok\n"));
    assert_eq!(response.field("Cache-Control"), Some("no-store"));
    assert_eq!(
        response.field("Content-Type"),
        Some("text/plain; charset=utf-8")
    );
    assert_eq!(response.field("ETag"), None);
}

#[test]
fn readiness_is_answered_with_503_and_the_reason_and_health_is_not() {
    let get = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n");
    let (ready, _) = fetch(&get("/readyz"));
    assert_eq!((ready.status, ready.text()), (200, "ok\n"));
    assert_eq!(ready.field("Cache-Control"), Some("no-store"));
    let when = |request: &str| respond_when(Err("It is stopping."), request);
    let (response, keep_alive) = when(&get("/readyz"));
    let response = Parsed::from(&response.unwrap());
    assert_eq!((response.status, keep_alive), (503, true));
    assert_eq!(response.text(), "It is stopping.\n");
    assert_eq!(response.field("Cache-Control"), Some("no-store"));
    let head = when(&get("/readyz").replace("GET", "HEAD")).0.unwrap();
    assert_eq!(Parsed::from_head(&head).fields, response.fields);
    assert_eq!(Parsed::from(&when(&get("/healthz")).0.unwrap()).status, 200);
}

#[test]
fn head_is_get_without_the_body() {
    for path in ["/", "/style.css", "/healthz", "/readyz"] {
        let (head, keep_alive) = respond(&format!("HEAD {path} HTTP/1.1\r\nHost: a\r\n\r\n"));
        let head = Parsed::from_head(&head.unwrap());
        let (get, _) = fetch(&format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n"));
        assert_eq!((head.status, keep_alive), (200, true), "{path}");
        assert!(head.body.is_empty());
        assert_eq!(get.fields, head.fields);
    }
}

#[test]
fn every_response_has_the_date() {
    for request in [
        "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nIf-None-Match: *\r\n\r\n",
        "GET /healthz HTTP/1.0\r\n\r\n",
        "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
    ] {
        let (response, _) = fetch(request);
        let date = response.field("Date");
        assert_eq!(date, Some("Sun, 06 Nov 1994 08:49:37 GMT"), "{request}");
    }
}

#[test]
fn options_are_the_methods_allowed_at_the_path() {
    for (target, allow) in [
        ("*", "GET, HEAD, OPTIONS"),
        ("/", "GET, HEAD, OPTIONS"),
        ("/healthz", "GET, HEAD, OPTIONS"),
        ("/readyz", "GET, HEAD, OPTIONS"),
        ("/ws", "GET, OPTIONS"),
        ("/ws/den", "GET, OPTIONS"),
    ] {
        let (response, keep_alive) =
            fetch(&format!("OPTIONS {target} HTTP/1.1\r\nHost: a\r\n\r\n"));
        assert_eq!((response.status, keep_alive), (204, true), "{target}");
        assert_eq!(response.field("Allow"), Some(allow));
        // RFC 9110 §8.6: a 204 has none.
        assert_eq!(response.field("Content-Length"), None);
        assert!(response.body.is_empty());
    }
    let (response, keep_alive) = fetch("OPTIONS / HTTP/1.0\r\n\r\n");
    assert_eq!((response.status, keep_alive), (204, false));
}

#[test]
fn path_without_a_page_is_refused() {
    for request in [
        "GET /nothing HTTP/1.1",
        "GET /style.css/ HTTP/1.1",
        "GET /index.html HTTP/1.1",
        "GET /mod.rs HTTP/1.1",
        "GET //ws HTTP/1.1",
        "HEAD /nothing HTTP/1.1",
        "OPTIONS /nothing HTTP/1.1",
    ] {
        let (response, _) = respond(&format!("{request}\r\nHost: a\r\n\r\n"));
        assert_eq!(response, Err(Refusal::NoSuchPath), "{request}");
    }
}

#[test]
fn response_says_whether_the_connection_is_kept_where_the_version_does_not() {
    for (version, connection, says) in [
        ("1.1", "", None),
        ("1.1", "Connection: keep-alive\r\n", None),
        ("1.1", "Connection: Close\r\n", Some("close")),
        ("1.0", "", Some("close")),
        ("1.0", "Connection: Keep-Alive\r\n", Some("keep-alive")),
    ] {
        let request = format!("GET / HTTP/{version}\r\nHost: a\r\n{connection}\r\n");
        let (response, _) = fetch(&request);
        assert_eq!(response.field("Connection"), says, "{request}");
    }
}

#[test]
fn response_repeats_nothing_of_its_request() {
    for request in [
        "GET /?canary HTTP/1.1\r\nHost: canary\r\nIf-None-Match: \"canary\"\r\n\r\n",
        "OPTIONS /ws/canary HTTP/1.1\r\nHost: canary\r\nX: canary\r\n\r\n",
    ] {
        let text = String::from_utf8(respond(request).0.unwrap()).unwrap();
        assert!(!text.to_lowercase().contains("canary"), "{text}");
    }
}

#[test]
fn the_policy_allows_nothing_inline_and_nothing_from_elsewhere() {
    let Pages { policy } = Pages::new(&Settings::default());
    assert!(!policy.contains("unsafe"));
    assert!(!policy.contains('*'));
    assert!(!policy.contains("http"));
    assert!(policy.starts_with("default-src 'none'; "));
    assert!(policy.ends_with("; frame-ancestors 'none'"));
}

#[test]
fn sites_that_may_frame_the_page_change_nothing_else_of_the_policy() {
    let sites = ["https://blog.example", "https://*.example.org"];
    let settings = Settings {
        frame_ancestors: sites.iter().map(|site| site.parse().unwrap()).collect(),
    };
    let default = Pages::new(&Settings::default()).policy;
    assert_eq!(
        Pages::new(&settings).policy,
        default.replace(
            "frame-ancestors 'none'",
            "frame-ancestors https://blog.example https://*.example.org"
        )
    );
}

#[test]
fn the_page_has_nothing_inline_that_the_policy_would_stop() {
    let Some(Page::File(index)) = find("/") else {
        panic!("there is no page");
    };
    let html = str::from_utf8(index.body).unwrap();
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
