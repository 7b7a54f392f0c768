//! Plain HTTP on the same port: the chat page, health checks, and what is refused.

use super::support::{Server, command, contains, finish, upgrade_request};

fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n")
}

/// The files that the page itself names, by `src` or `href`. Shapes of its own begin with `#`.
fn named_in(html: &str) -> Vec<&str> {
    ["src=\"", "href=\""]
        .iter()
        .flat_map(|attribute| html.split(attribute).skip(1))
        .filter_map(|rest| rest.split('"').next())
        .filter(|name| !name.starts_with('#'))
        .collect()
}

#[test]
fn the_page_and_its_parts_are_served() {
    let server = Server::start(&[]);
    let mut client = server.connect();
    let mut fetch = |path: &str| {
        client.send(get(path).as_bytes());
        let response = client.response();
        assert_eq!(response.status, 200, "{path}");
        let policy = response.field("Content-Security-Policy").expect("a policy");
        contains(policy, "default-src 'none'");
        assert!(!policy.contains("unsafe"), "{policy}");
        response
    };
    let page = fetch("/?nick=ann&room=den");
    contains(page.field("Content-Type").expect("a type"), "text/html");
    let parts = named_in(&page.body);
    assert!(parts.len() > 2, "{parts:?}");
    for name in parts {
        let response = fetch(&format!("/{}", name.trim_start_matches(['.', '/'])));
        let kind = match name.rsplit_once('.').expect("an extension").1 {
            "js" => "text/javascript",
            "css" => "text/css",
            "svg" => "image/svg+xml",
            "png" => "image/png",
            "webmanifest" => "application/manifest+json",
            _ => panic!("{name}"),
        };
        contains(response.field("Content-Type").expect("a type"), kind);
        assert!(!response.body.is_empty(), "{name}");
    }
}

#[test]
fn the_page_is_compressed_for_clients_that_take_gzip() {
    let server = Server::start(&[]);
    let mut client = server.connect();
    let mut length = |accept: &str| {
        let field = format!("Accept-Encoding: {accept}\r\nHost:");
        client.send(
            get("/")
                .replace("GET", "HEAD")
                .replace("Host:", &field)
                .as_bytes(),
        );
        let response = client.response_to_head();
        let encoding = response.field("Content-Encoding").map(str::to_owned);
        let length: usize = response
            .field("Content-Length")
            .and_then(|length| length.parse().ok())
            .expect("a length");
        (encoding, length)
    };
    let (none, whole) = length("identity");
    let (gzip, short) = length("gzip, deflate, br");
    assert_eq!((none, gzip.as_deref()), (None, Some("gzip")));
    assert!(short < whole, "{short} of {whole}");
}

#[test]
fn a_page_that_has_not_changed_is_not_sent_again() {
    let server = Server::start(&[]);
    let mut client = server.connect();
    client.send(get("/").as_bytes());
    let tag = client.response().field("ETag").expect("a tag").to_owned();
    let again = get("/").replace("Host:", &format!("If-None-Match: {tag}\r\nHost:"));
    client.send(again.as_bytes());
    assert_eq!(client.response().status, 304);
    client.send(
        get("/")
            .replace("Host:", "If-None-Match: \"other\"\r\nHost:")
            .as_bytes(),
    );
    assert_eq!(client.response().status, 200);
}

#[test]
fn head_is_get_without_the_body() {
    let server = Server::start(&[]);
    let mut client = server.connect();
    client.send(get("/").replace("GET", "HEAD").as_bytes());
    let response = client.response_to_head();
    assert_eq!(response.status, 200);
    assert_ne!(response.field("Content-Length"), Some("0"));
    client.send(get("/healthz").as_bytes());
    assert_eq!(client.response().body, "ok\n");
}

/// HAProxy's `option httpchk` asks in HTTP/1.0 and without a Host.
#[test]
fn health_check_by_options_is_answered_with_204_and_the_methods() {
    let server = Server::start(&[]);
    let mut client = server.connect();
    for target in ["*", "/", "/healthz"] {
        client.send(get(target).replace("GET", "OPTIONS").as_bytes());
        let response = client.response();
        assert_eq!(response.status, 204, "{target}");
        assert_eq!(response.field("Allow"), Some("GET, HEAD, OPTIONS"));
    }
    let mut client = server.connect();
    client.send(b"OPTIONS / HTTP/1.0\r\n\r\n");
    assert_eq!(client.response().status, 204);
    client.ends();
}

#[test]
fn every_response_but_an_upgrade_has_the_date() {
    let server = Server::start(&["--max-connections", "1"]);
    let has_date = |request: &str| {
        let mut client = server.connect();
        client.send(request.as_bytes());
        let response = client.response();
        let date = response.field("Date").map(str::to_owned);
        assert!(
            date.as_deref()
                .is_none_or(|date| date.len() == 29 && date.ends_with(" GMT")),
            "{date:?}"
        );
        (response.status, date.is_some(), client)
    };
    for (request, status) in [
        (get("/"), 200),
        (get("/nothing"), 404),
        (get("/").replace("GET", "OPTIONS"), 204),
        (get("/ws"), 426),
    ] {
        let (answered, has_date, client) = has_date(&request);
        assert_eq!((answered, has_date), (status, true), "{request}");
        drop(client);
        server.is_empty();
    }
    let (status, has_one, member) = has_date(&upgrade_request("/ws"));
    assert_eq!((status, has_one), (101, false));
    let (status, has_one, _) = has_date(&get("/"));
    assert_eq!((status, has_one), (503, true));
    member.leaves();
}

#[test]
fn several_requests_in_one_packet_are_answered_in_order() {
    let server = Server::start(&[]);
    let mut client = server.connect();
    client.send((get("/healthz") + &get("/style.css") + &get("/healthz")).as_bytes());
    assert_eq!(client.response().body, "ok\n");
    contains(client.response().body, "color-scheme");
    assert_eq!(client.response().body, "ok\n");
}

/// A pipeline of requests whose client reads no response must not fill the memory.
#[test]
fn responses_that_are_not_read_stop_the_reading() {
    let server = Server::start(&[]);
    let before = server.resident_bytes();
    let mut client = server.connect();
    client
        .stream
        .set_write_timeout(Some(std::time::Duration::from_millis(300)))
        .expect("an option");
    let requests = get("/style.css").repeat(1000);
    let mut written = 0;
    while written < 20_000_000 {
        use std::io::Write;
        match client.stream.write(requests.as_bytes()) {
            Ok(count) => written += count,
            Err(_) => break,
        }
    }
    assert!(written < 20_000_000, "the server read it all");
    let grown = server.resident_bytes().saturating_sub(before);
    assert!(grown < 2 << 20, "{grown} bytes more");
}

#[test]
fn the_connection_closes_when_it_is_asked_to() {
    let server = Server::start(&[]);
    for request in [
        get("/healthz").replace("Host:", "Connection: close\r\nHost:"),
        get("/healthz").replace("HTTP/1.1", "HTTP/1.0"),
    ] {
        let mut client = server.connect();
        client.send(request.as_bytes());
        let response = client.response();
        assert_eq!(response.status, 200);
        client.ends();
    }
    server.is_empty();
}

#[test]
fn half_closed_client_still_gets_its_answer() {
    let server = Server::start(&[]);
    let mut client = server.connect();
    client.send(get("/").as_bytes());
    client.shut();
    assert_eq!(client.response().status, 200);
    client.ends();
    server.is_empty();
}

#[test]
fn idle_connection_ends_at_the_deadline_without_a_response() {
    let server = Server::start(&["--handshake-timeout", "300ms"]);
    let mut client = server.connect();
    client.send(get("/healthz").as_bytes());
    assert_eq!(client.response().status, 200);
    client.ends();
    server.is_empty();
}

#[test]
fn unknown_path_is_404_and_other_method_is_405() {
    let server = Server::start(&[]);
    for (request, status) in [
        (get("/nothing"), 404),
        (get("/../etc/passwd"), 404),
        (get("/").replace("GET", "DELETE"), 405),
        (get("/nothing").replace("GET", "OPTIONS"), 404),
    ] {
        let mut client = server.connect();
        client.send(request.as_bytes());
        assert_eq!(client.response().status, status, "{request}");
        client.ends();
    }
}

#[test]
fn only_the_listed_sites_may_show_the_page_in_a_frame() {
    let policy = |options: &[&str]| {
        let server = Server::start(options);
        let mut client = server.connect();
        client.send(get("/").as_bytes());
        let policy = client
            .response()
            .field("Content-Security-Policy")
            .map(str::to_owned);
        policy.expect("a policy")
    };
    contains(policy(&[]), "; frame-ancestors 'none'");
    let sites = ["https://blog.example", "https://*.example.org:8443"];
    let listed = policy(&["--frame-ancestor", sites[0], "--frame-ancestor", sites[1]]);
    let (_, ancestors) = listed
        .split_once("; frame-ancestors ")
        .expect("a directive");
    assert_eq!(ancestors, sites.join(" "));
}

#[test]
fn site_that_a_policy_cannot_name_is_refused_at_the_start() {
    let options = ["--frame-ancestor", "https://blog.example; script-src *"];
    let (status, output, errors) = finish(command().args(options));
    assert_eq!((status.code(), output.as_str()), (Some(2), ""));
    contains(&errors, "expected an origin like https://example.org");
    assert_eq!(errors.lines().count(), 1, "{errors}");
}
