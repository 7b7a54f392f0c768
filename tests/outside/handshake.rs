//! The upgrade: granted as RFC 6455 §4.2 says, refused with exactly one response.

use super::support::{Frame, KEY, Server, contains, frame, now, upgrade_request};
use std::io::Read;
use std::time::Duration;

/// Sends a request, and checks that it gets one response and that the connection ends after it.
fn refused(server: &Server, request: &str, status: u16, part: &str) -> String {
    let mut client = server.connect();
    // What follows a refused request must not be answered.
    client.try_send(request.as_bytes());
    client.try_send(&frame(0x89, b"ping"));
    let response = client.response();
    assert_eq!(response.status, status, "{request}");
    contains(&response.body, part);
    contains(response.field("Connection").unwrap_or_default(), "close");
    client.ends();
    response.head
}

fn changed(from: &str, to: &str) -> String {
    let request = upgrade_request("/ws");
    assert!(request.contains(from));
    request.replace(from, to)
}

#[test]
fn each_refusal_is_one_fitting_response_and_nothing_after_it() {
    let server = Server::start(&[]);
    let refused = |request: &str, status, part| refused(&server, request, status, part);
    refused("nonsense\r\n\r\n", 400, "");
    refused(&changed("Host: parlor.example\r\n", ""), 400, "Host");
    refused(&changed("Host:", "Host: other\r\nHost:"), 400, "Host");
    refused(&changed(KEY, "c2hvcnQ="), 400, "Sec-WebSocket-Key");
    refused(&changed(KEY, "not base64!"), 400, "Sec-WebSocket-Key");
    refused(
        &changed(&format!("Sec-WebSocket-Key: {KEY}\r\n"), ""),
        400,
        "Sec-WebSocket-Key",
    );
    refused(&changed("/ws", "/elsewhere"), 404, "");
    refused(&changed("/ws", "/ws/a%20b"), 400, "room");
    contains(refused(&changed("GET", "POST"), 405, ""), "Allow: ");
    let head = refused(&changed("Version: 13", "Version: 8"), 426, "13");
    contains(&head, "Sec-WebSocket-Version: 13\r\n");
    refused(&changed("Upgrade: websocket\r\n", ""), 426, "WebSocket");
    refused(&changed("Host:", "Content-Length: 5\r\nHost:"), 413, "body");
    refused(
        &changed("Host:", &("X: y\r\n".repeat(100) + "Host:")),
        431,
        "100",
    );
    refused(
        &changed("Host:", &format!("X: {}\r\nHost:", "y".repeat(17_000))),
        431,
        "longer than 16384 bytes",
    );
    server.is_empty();
    assert_eq!(server.counter("upgraded"), 0);
}

#[test]
fn an_endless_head_is_refused_at_its_limit() {
    let server = Server::start(&[]);
    let mut client = server.connect();
    client.send(b"GET / HTTP/1.1\r\n");
    for _ in 0..20 {
        client.try_send(&b"X-Long: 0123456789012345678901234567890123456789\r\n".repeat(20));
    }
    assert_eq!(client.response().status, 431);
    client.ends();
}

#[test]
fn head_with_12_kb_of_cookies_is_granted() {
    let server = Server::start(&[]);
    let mut client = server.connect();
    let cookie = format!("Cookie: session={}\r\nHost:", "y".repeat(12_000));
    client.send(changed("Host:", &cookie).as_bytes());
    assert_eq!(client.response().status, 101);
}

#[test]
fn head_is_bounded_by_the_option() {
    let server = Server::start(&["--max-head-bytes", "65536"]);
    let with_field = |len| changed("Host:", &format!("X: {}\r\nHost:", "y".repeat(len)));
    let mut client = server.connect();
    client.send(with_field(65_000).as_bytes());
    assert_eq!(client.response().status, 101);
    refused(&server, &with_field(66_000), 431, "longer than 65536 bytes");
}

#[test]
fn another_protocol_is_named_in_the_refusal() {
    let server = Server::start(&[]);
    for (bytes, name) in [
        (&b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"[..], "TLS"),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "HTTP/2"),
        (
            b"PROXY TCP4 203.0.113.7 192.0.2.1 56324 8080\r\n",
            "PROXY protocol",
        ),
        (b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0", "PROXY protocol"),
    ] {
        let mut client = server.connect();
        client.send(bytes);
        let response = client.response();
        assert_eq!(response.status, 400);
        contains(&response.body, name);
        client.ends();
    }
}

#[test]
fn real_clients_and_proxies_may_vary() {
    let server = Server::start(&[]);
    for request in [
        changed("Connection: Upgrade", "Connection: keep-alive, Upgrade"),
        changed(
            "Connection: Upgrade",
            "Connection: keep-alive\r\nConnection: upgrade",
        ),
        changed("Upgrade: websocket", "upgrade: WebSocket"),
        changed("Upgrade: websocket", "Upgrade: h2c, websocket"),
        changed("Host:", "Origin: https://parlor.example\r\nhost:"),
        changed(
            "Host:",
            "Sec-WebSocket-Extensions: permessage-deflate\r\nHost:",
        ),
        changed("Host:", "Sec-WebSocket-Protocol: chat, superchat\r\nHost:"),
        changed("\r\n", "\n"),
    ] {
        let mut client = server.connect();
        client.send(request.as_bytes());
        let response = client.response();
        assert_eq!(response.status, 101, "{request}");
        assert_eq!(
            response.field("Sec-WebSocket-Accept"),
            Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")
        );
        assert_eq!(response.field("Sec-WebSocket-Extensions"), None);
        assert_eq!(response.field("Sec-WebSocket-Protocol"), None);
        contains(client.line(), "* welcome to lobby");
    }
}

#[test]
fn a_request_that_comes_byte_by_byte_is_granted() {
    let server = Server::start(&[]);
    let mut client = server.connect();
    for byte in upgrade_request("/ws?nick=ann").as_bytes() {
        client.send(&[*byte]);
    }
    assert_eq!(client.response().status, 101);
    client.hears("* welcome to lobby, ann. Nobody else is here");
}

#[test]
fn frames_in_the_packet_of_the_request_are_understood() {
    let server = Server::start(&[]);
    let mut client = server.connect();
    let mut packet = upgrade_request("/ws?nick=ann").into_bytes();
    packet.extend(frame(0x81, b"hello"));
    packet.extend(frame(0x81, b"again")[..4].to_vec());
    client.send(&packet);
    client.send(&frame(0x81, b"again")[4..]);
    assert_eq!(client.response().status, 101);
    client.hears("* welcome to lobby, ann. Nobody else is here");
    client.hears("ann: hello");
    client.hears("ann: again");
}

#[test]
fn request_that_arrives_too_slowly_is_refused_at_the_deadline() {
    let server = Server::start(&["--handshake-timeout", "600ms"]);
    let mut client = server.connect();
    for byte in b"GET /ws" {
        client.send(&[*byte]);
        std::thread::sleep(Duration::from_millis(60));
    }
    assert_eq!(client.response().status, 408);
    client.ends();
    let mut silent = server.connect();
    assert_eq!(silent.response().status, 408);
    silent.ends();
    server.is_empty();
}

/// The kernel holds such a client back for a second at least. On a machine that is slower than that
/// the test tries again.
#[test]
fn silent_client_takes_no_connection_at_first() {
    let server = Server::start(&[]);
    let in_time = || {
        let mut silent = server.connect();
        let began = now();
        let ann = server.join("ann");
        let count = server.counter("connections");
        let is_in_time = began.elapsed() < Duration::from_millis(500);
        silent.send(upgrade_request("/ws").as_bytes());
        assert_eq!(silent.response().status, 101);
        ann.leaves();
        silent.leaves();
        server.is_empty();
        is_in_time.then_some(count)
    };
    let count = (0..20).find_map(|_| in_time());
    assert_eq!(count, Some(1));
}

/// What a page is refused with behind its 101: code and reason. No frame comes before it, and the
/// connection ends.
fn refused_page(server: &Server, request: &str) -> (u16, String) {
    let mut page = server.connect();
    page.send(request.as_bytes());
    assert_eq!(page.response().status, 101, "{request}");
    let Frame::Close(Some(code), reason) = page.frame() else {
        panic!("no close frame: {request}");
    };
    page.try_send(&frame(0x88, &code.to_be_bytes()));
    assert_eq!(page.frame(), Frame::End);
    (code, reason)
}

#[test]
fn origin_must_be_the_servers_own_or_listed() {
    let server = Server::start(&[
        "--allow-origin",
        "https://friend.example",
        "--require-origin",
    ]);
    let request = |origin: &str| changed("Host:", &format!("Origin: {origin}\r\nHost:"));
    for origin in [
        "https://friend.example",
        "HTTPS://Friend.Example",
        "http://parlor.example",
        "https://parlor.example",
        "https://parlor.example:443",
        "ws://parlor.example",
        "wss://parlor.example",
        "https://friend.example:443",
    ] {
        let mut client = server.connect();
        client.send(request(origin).as_bytes());
        assert_eq!(client.response().status, 101, "{origin}");
        assert!(matches!(client.frame(), Frame::Text(_)), "{origin}");
    }
    let members = server.counter("upgraded");
    for origin in [
        "http://friend.example",
        "ws://evil.example",
        "file://",
        "https://evil.example",
        "https://parlor.example.evil.example",
        "null",
    ] {
        let (code, reason) = refused_page(&server, &request(origin));
        assert_eq!(code, 4403, "{origin}");
        contains(reason, "Pages of this Origin may not connect.");
    }
    let mut client = server.connect();
    client.send(upgrade_request("/ws").as_bytes());
    assert_eq!(client.response().status, 403, "no origin");
    assert_eq!(server.counter("upgraded"), members, "none became a member");
}

#[test]
fn page_learns_from_a_close_code_what_others_learn_from_the_status() {
    let server = Server::start(&[]);
    let origin = "Origin: http://parlor.example\r\n";
    let json = "Sec-WebSocket-Protocol: parlor.v1.json\r\n";
    for (request, status, code, part) in [
        (changed("/ws", "/ws/a%20b"), 400, 4003, "room"),
        (changed("/ws", "/ws?history=x"), 400, 4003, "history"),
        (changed("/ws", "/ws?nick=%ff"), 400, 4003, "UTF-8"),
        (changed("/ws", "/ws/a/b"), 404, 4404, "They are at /ws"),
        (changed("Host: parlor.example\r\n", ""), 400, 4400, "Host"),
    ] {
        let mut program = server.connect();
        program.send(request.as_bytes());
        assert_eq!(program.response().status, status, "{request}");
        program.ends();
        for field in [origin, json] {
            let request = request.replace("Upgrade:", &format!("{field}Upgrade:"));
            let (closed_with, reason) = refused_page(&server, &request);
            assert_eq!(closed_with, code, "{request}");
            contains(&reason, part);
        }
    }
    server.is_empty();
}

#[test]
fn page_that_is_refused_has_never_been_a_user() {
    let server = Server::start(&["--close-timeout", "60s"]);
    for (path, origin, code) in [
        ("/ws?nick=ann", "evil.example", 4403),
        ("/ws/a%20b?nick=ann", "parlor.example", 4003),
    ] {
        let mut page = server.connect();
        let origin = format!("Origin: http://{origin}\r\nHost:");
        page.send(upgrade_request(path).replace("Host:", &origin).as_bytes());
        assert_eq!(page.response().status, 101);
        assert!(matches!(page.frame(), Frame::Close(Some(found), _) if found == code));
        // The page has not answered: its connection is there, and the nick is free.
        server.join("ann").leaves();
        assert_eq!(server.counter("upgraded"), 1 + u64::from(code == 4003));
    }
    server.is_empty();
}

#[test]
fn page_above_a_limit_is_closed_with_1013() {
    let page = changed("Host:", "Origin: http://parlor.example\r\nHost:");
    let proxied = page.replace("Host:", "X-Forwarded-For: 203.0.113.7\r\nHost:");
    let per_address = ["--max-connections-per-address", "1"];
    let unproxied = [&per_address[..], &["--trusted-proxy", "none"]].concat();
    for (options, request, part) in [
        (&["--max-connections", "1"][..], &page, "The server is full"),
        (&unproxied, &page, "Your address has too many connections"),
        (
            &per_address,
            &proxied,
            "Your address has too many connections",
        ),
    ] {
        let server = Server::start(options);
        let mut member = server.connect();
        member.send(request.as_bytes());
        assert_eq!(member.response().status, 101);
        contains(member.line(), "* welcome to");
        for _ in 0..3 {
            let (code, reason) = refused_page(&server, request);
            assert_eq!(code, 1013, "{options:?}");
            contains(reason, part);
        }
        let mut program = server.connect();
        let request = request.replace("Origin: http://parlor.example\r\n", "");
        program.send(request.as_bytes());
        assert_eq!(program.response().status, 503);
        program.ends();
        // The first line is the warning about the address, where there is one.
        assert_eq!(server.counter("turned_away"), 4);
        assert_eq!(server.counter("upgraded"), 1);
        member.hears_nothing();
    }
}

#[test]
fn connection_above_a_limit_that_requests_nothing_ends_within_the_time_of_a_close() {
    let options = ["--max-connections", "1", "--close-timeout", "300ms"];
    let server = Server::start(&options);
    let _member = server.join("ann");
    let mut silent = server.connect();
    assert_eq!(silent.frame(), Frame::End);
    let mut slow = server.connect();
    slow.send(b"GET / HTTP/1.1\r\n");
    assert_eq!(slow.response().status, 503, "it is not waited for the rest");
    slow.ends();
    assert_eq!(server.counter("turned_away"), 2);
}

#[test]
fn client_that_a_proxy_does_not_name_by_an_address_counts_for_the_proxy() {
    let server = Server::start(&["--max-connections-per-address", "2"]);
    let status = |forwarded: &str| {
        let mut client = server.connect();
        client.send(changed("Host:", &format!("{forwarded}Host:")).as_bytes());
        (client.response().status, client)
    };
    let hidden = "X-Forwarded-For: 203.0.113.7, unknown\r\n";
    let (first, _ann) = status(hidden);
    let (second, _bob) = status(hidden);
    let (third, _) = status(hidden);
    assert_eq!((first, second, third), (101, 101, 503));
    let (named, _cat) = status("X-Forwarded-For: 203.0.113.7\r\n");
    assert_eq!(named, 101, "another address has its own limit");
    let (unnamed, _dan) = status("");
    assert_eq!(unnamed, 101, "without the field there is no limit");
}

#[test]
fn address_at_its_limit_is_reported_with_what_to_do() {
    let server = Server::start(&[
        "--trusted-proxy",
        "none",
        "--max-connections-per-address",
        "1",
    ]);
    let _member = server.join("ann");
    for _ in 0..3 {
        let mut client = server.connect();
        client.send(upgrade_request("/ws").as_bytes());
        assert_eq!(client.response().status, 503);
        client.ends();
    }
    let line = server.error_line();
    contains(
        &line,
        "127.0.0.1 has 1 connections, the limit of one address",
    );
    contains(&line, "--trusted-proxy");
    assert_eq!(server.counter("turned_away"), 3);
}

#[test]
fn a_star_allows_every_origin() {
    let server = Server::start(&["--allow-origin", "*"]);
    let mut client = server.connect();
    client.send(changed("Host:", "Origin: null\r\nHost:").as_bytes());
    assert_eq!(client.response().status, 101);
    assert!(matches!(client.frame(), Frame::Text(_)));
}

/// Even at the most verbose level, nothing that a client sends forms or occurs in a line of the
/// log.
#[test]
fn nothing_that_a_client_sends_is_in_the_log() {
    const MARK: &str = "forged-line";
    let options = ["--log", "trace", "--operator-token", "sesame"];
    let mut server = Server::start(&options);
    let evil = format!("%0A%1B[31m{MARK}");
    let head =
        format!("User-Agent: {MARK}\r\nX-Forwarded-For: {MARK}\r\nOrigin: http://{MARK}\r\nHost:");
    for request in [
        changed("Host:", &head),
        upgrade_request(&format!("/ws/{evil}")),
        upgrade_request(&format!("/{evil}")),
        format!("GET / HTTP/1.1\r\nHost: {MARK}\r\n\r\n"),
        format!("{MARK} {MARK}\r\n\r\n"),
    ] {
        let mut client = server.connect();
        client.send(request.as_bytes());
        // The first is refused behind a 101, since it may be a page's.
        client.response();
        while client
            .stream
            .read(&mut [0; 256])
            .is_ok_and(|count| count > 0)
        {}
    }
    let mut client = server.upgrade(&format!("/ws?nick={evil}"));
    contains(client.line(), "* welcome to lobby, guest-");
    let reason = [&1000_u16.to_be_bytes(), MARK.as_bytes()].concat();
    for bytes in [
        frame(0x81, format!("\n{MARK}").as_bytes()),
        frame(0x81, format!("/nick {MARK}").as_bytes()),
        frame(0x81, format!("/op \n{MARK}").as_bytes()),
        frame(0x81, format!("/{MARK}").as_bytes()),
        frame(0x89, MARK.as_bytes()),
        frame(0x88, &reason),
    ] {
        client.send(&bytes);
    }
    while client.frame() != Frame::End {}
    server.signal("TERM");
    assert_eq!(server.exit_status().code(), Some(0));
    let mut lines = 0;
    while let Some(line) = server.try_error_line() {
        assert!(!line.contains(MARK), "{line}");
        assert!(line.starts_with(['[', 'p']), "{line}");
        lines += 1;
    }
    assert!(lines > 5, "it logs");
}
