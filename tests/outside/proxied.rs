//! Headers of the PROXY protocol before the first request: which address counts, and what becomes of
//! connections that do not begin with one.

use super::support::{Client, Server, contains, upgrade_request};

const V2: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
const HEALTH: &str = "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n";

fn server(options: &[&str]) -> Server {
    Server::start(&[&["--proxy-protocol"], options].concat())
}

fn v1(address: &str) -> Vec<u8> {
    format!("PROXY TCP4 {address} 192.0.2.1 56324 8080\r\n").into_bytes()
}

fn v2(address: [u8; 4]) -> Vec<u8> {
    let addresses = [address, [192, 0, 2, 1]].concat();
    [V2, &[0x21, 0x11, 0, 12], &addresses, &[0xDC, 4, 0x1F, 0x90]].concat()
}

fn asks(server: &Server, header: &[u8], request: &str) -> Client {
    let mut client = server.connect();
    client.send(&[header, request.as_bytes()].concat());
    client
}

/// The status of the response to a request for a WebSocket, and the connection.
fn upgrade(server: &Server, header: &[u8], fields: &str) -> (u16, Client) {
    let request = upgrade_request("/ws").replace("Host:", &format!("{fields}Host:"));
    let mut client = asks(server, header, &request);
    (client.response().status, client)
}

/// The connection ends, and no byte comes before that.
fn ends_unanswered(mut client: Client) {
    client.ends();
}

#[test]
fn client_that_is_named_in_either_version_is_limited() {
    let server = server(&["--max-connections-per-address", "1"]);
    let (status, _first) = upgrade(&server, &v1("203.0.113.7"), "");
    assert_eq!(status, 101);
    assert_eq!(upgrade(&server, &v2([203, 0, 113, 7]), "").0, 503);
    assert_eq!(upgrade(&server, &v1("203.0.113.7"), "").0, 503);
    // What the client itself says of its address does not count.
    let forged = "X-Forwarded-For: 203.0.113.9\r\n";
    assert_eq!(upgrade(&server, &v1("203.0.113.7"), forged).0, 503);
    let (status, _other) = upgrade(&server, &v2([203, 0, 113, 8]), "");
    assert_eq!(status, 101);
}

#[test]
fn client_is_banned_by_the_address_that_its_proxy_names() {
    let server = server(&["--operator-token", "sesame"]);
    let join = |address: &str, nick: &str| {
        let request = upgrade_request(&format!("/ws?nick={nick}"));
        let mut client = asks(&server, &v1(address), &request);
        (client.response().status, client)
    };
    let (_, mut ann) = join("203.0.113.1", "ann");
    let (_, mut mallory) = join("203.0.113.7", "mallory");
    ann.hears_at_last("* mallory joined");
    ann.says("/op sesame");
    ann.says("/ban mallory 2h");
    mallory.is_closed_with(4002);
    assert_eq!(join("203.0.113.7", "eve").0, 403);
    assert_eq!(join("203.0.113.8", "bob").0, 101);
}

#[test]
fn client_that_is_a_proxy_itself_names_its_own() {
    let server = server(&["--max-connections-per-address", "1"]);
    let field = "X-Forwarded-For: 203.0.113.7\r\n";
    let (status, _first) = upgrade(&server, &v1("127.0.0.9"), field);
    assert_eq!(status, 101);
    assert_eq!(upgrade(&server, &v1("127.0.0.9"), field).0, 503);
    assert_eq!(upgrade(&server, &v1("203.0.113.7"), "").0, 503);
}

#[test]
fn connection_of_the_proxy_itself_is_not_limited() {
    let server = server(&["--max-connections-per-address", "1"]);
    let local = [V2, &[0x20, 0, 0, 0]].concat();
    let mut open = Vec::new();
    for _ in 0..3 {
        let mut client = asks(&server, &local, HEALTH);
        assert_eq!(client.response().status, 200);
        open.push(client);
    }
    assert_eq!(server.counter("unproxied"), 0);
}

#[test]
fn client_without_an_address_counts_for_its_proxy() {
    let server = server(&["--max-connections-per-address", "1"]);
    let (status, _first) = upgrade(&server, b"PROXY UNKNOWN\r\n", "");
    assert_eq!(status, 101);
    let unspecified = [V2, &[0x21, 0, 0, 0]].concat();
    assert_eq!(upgrade(&server, &unspecified, "").0, 503);
}

#[test]
fn header_may_come_byte_by_byte_and_what_follows_with_its_end() {
    let server = server(&["--max-connections-per-address", "1"]);
    let [mut first, mut second] = [server.connect(), server.connect()];
    for byte in &v1("203.0.113.7") {
        first.send(&[*byte]);
    }
    first.send(upgrade_request("/ws").as_bytes());
    assert_eq!(first.response().status, 101);
    let bytes = [&v2([203, 0, 113, 7]), upgrade_request("/ws").as_bytes()].concat();
    for byte in bytes {
        second.try_send(&[byte]);
    }
    assert_eq!(second.response().status, 503);
}

#[test]
fn connection_that_begins_with_anything_else_is_closed_without_an_answer() {
    let server = server(&["--log", "parlor=debug"]);
    for bytes in [
        &b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"[..],
        b"\x16\x03\x01\x00",
        b"PROXY TCP4 nonsense\r\n",
        b"\r\n\r\n\0\r\nQUIT\n\x31\x11\x00\x0C",
        b"\n",
    ] {
        let mut client = server.connect();
        client.send(bytes);
        ends_unanswered(client);
    }
    let mut reasons = Vec::new();
    while reasons.len() < 5 {
        let line = server.error_line();
        if let Some((_, why)) = line.split_once(" is over: ") {
            reasons.push(why.to_owned());
        }
    }
    contains(&reasons[0], "there is no header of the PROXY protocol");
    contains(&reasons[2], "the line of version 1 has no valid addresses");
    contains(&reasons[3], "the version is not 2");
    assert_eq!(server.counter("unproxied"), 5);
    assert_eq!(server.counter("refused"), 0);
}

#[test]
fn connection_whose_header_is_late_is_closed_without_an_answer() {
    let server = server(&["--handshake-timeout", "300ms"]);
    let mut slow = server.connect();
    slow.send(b"PROXY TCP4 203.0");
    ends_unanswered(slow);
    assert_eq!(server.counter("unproxied"), 1);
}

#[test]
fn connection_that_names_its_client_and_is_late_then_gets_408() {
    let server = server(&["--handshake-timeout", "300ms"]);
    let mut client = server.connect();
    client.send(&v1("203.0.113.7"));
    assert_eq!(client.response().status, 408);
    assert_eq!(server.counter("unproxied"), 0);
}

#[test]
fn connection_of_no_trusted_proxy_is_closed_without_an_answer() {
    let server = server(&["--trusted-proxy", "192.0.2.1"]);
    let mut client = Client::connect(server.address());
    client.try_send(&v1("203.0.113.7"));
    ends_unanswered(client);
    assert_eq!(server.counter("unproxied"), 1);
}

#[test]
fn full_server_answers_the_request_behind_the_header() {
    let server = server(&["--max-connections", "1"]);
    let (status, _first) = upgrade(&server, &v1("203.0.113.7"), "");
    assert_eq!(status, 101);
    let page = "Origin: http://parlor.example\r\n";
    let (status, mut client) = upgrade(&server, &v1("203.0.113.8"), page);
    assert_eq!(status, 101, "a page sees no status");
    client.is_closed_with(1013);
    assert_eq!(server.counter("unproxied"), 0);
}

#[test]
fn server_that_stops_says_nothing_before_the_header() {
    let mut server = server(&[]);
    let mut client = server.connect();
    client.send(b"PROXY TCP4 203.0");
    // It is accepted and read.
    let mut other = asks(&server, &v1("203.0.113.7"), HEALTH);
    assert_eq!(other.response().status, 200);
    server.signal("TERM");
    ends_unanswered(client);
    drop(other);
    assert!(server.exit_status().success());
}

#[test]
fn header_is_refused_by_name_where_none_is_expected() {
    let server = Server::start(&[]);
    let mut client = asks(&server, &v1("203.0.113.7"), HEALTH);
    let response = client.response();
    assert_eq!(response.status, 400);
    contains(&response.body, "--proxy-protocol");
}
