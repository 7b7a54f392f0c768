//! Plain requests and the responses that [`answer`] gives to them.

use super::*;
use crate::http::tests::Parsed;
use crate::http::{Request, Settings};

const UNIX_SECONDS: u64 = 784_111_777;

/// The response to a request, and whether the connection is kept.
#[track_caller]
fn respond(request: &str) -> (Result<Vec<u8>, Refusal>, bool) {
    match http::receive(request.as_bytes(), 0, false, &Settings::default()) {
        Request::Get { get, .. } => (answer(&get, Date::at(UNIX_SECONDS)), get.keep_alive),
        outcome => panic!("{outcome:?}: {request}"),
    }
}

#[track_caller]
fn fetch(request: &str) -> (Parsed, bool) {
    let (response, keep_alive) = respond(request);
    (Parsed::from(&response.unwrap()), keep_alive)
}

#[test]
fn page_and_its_files_are_served() {
    for (path, content_type) in [
        ("/", "text/html; charset=utf-8"),
        ("/?nick=ann", "text/html; charset=utf-8"),
        ("http://a", "text/html; charset=utf-8"),
        ("/app.js", "text/javascript; charset=utf-8"),
        ("/style.css", "text/css; charset=utf-8"),
        ("/icon.svg", "image/svg+xml"),
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
fn head_is_get_without_the_body() {
    for path in ["/", "/app.js", "/healthz"] {
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
        "GET /app.js/ HTTP/1.1",
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
fn an_etag_is_fnv_1a_in_hexadecimal() {
    assert_eq!(&etag(b""), b"\"cbf29ce484222325\"");
    assert_eq!(&etag(b"a"), b"\"af63dc4c8601ec8c\"");
    assert_eq!(&etag(b"foobar"), b"\"85944171f73967e8\"");
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
