//! WebSocket frames as clients send them and as they must not: fragments, control frames, every
//! error with its close code, the close handshake in both directions.

use super::support::{Client, Frame, Server, contains, frame};

fn ann(server: &Server) -> Client {
    server.join("ann")
}

/// Sends bytes, and checks that the connection is closed with this code and reason.
fn closes(server: &Server, bytes: &[u8], code: u16, reason: &str) {
    let mut client = server.upgrade("/ws");
    client.line();
    client.send(bytes);
    contains(client.is_closed_with(code), reason);
}

#[test]
fn fragments_are_joined_and_pings_between_them_answered() {
    let server = Server::start(&[]);
    let mut ann = ann(&server);
    ann.send_frame(0x01, "gr".as_bytes());
    ann.send_frame(0x89, b"between");
    ann.send_frame(0x00, &"ü".as_bytes()[..1]);
    ann.send_frame(0x80, &"üße".as_bytes()[1..]);
    assert_eq!(ann.frame(), Frame::Pong(b"between".to_vec()));
    ann.hears("ann: grüße");
}

#[test]
fn a_message_cut_into_single_bytes_is_whole() {
    let server = Server::start(&[]);
    let mut ann = ann(&server);
    for byte in frame(0x81, "hello".as_bytes()) {
        ann.send(&[byte]);
    }
    ann.hears("ann: hello");
}

#[test]
fn every_error_closes_with_its_code_and_a_reason() {
    let server = Server::start(&[]);
    let closes = |bytes: &[u8], code, reason| closes(&server, bytes, code, reason);
    closes(b"\x81\x02hi", 1002, "masked");
    closes(&frame(0xC1, b"hi"), 1002, "reserved bits");
    closes(&frame(0x83, b"hi"), 1002, "no frame of that kind");
    closes(&frame(0x09, b""), 1002, "fragmented");
    closes(&frame(0x89, &[0; 126]), 1002, "125 bytes");
    closes(&frame(0x80, b"hi"), 1002, "no message to continue");
    closes(
        &[frame(0x01, b"a"), frame(0x81, b"b")].concat(),
        1002,
        "before the last one",
    );
    closes(&frame(0x88, b"\x03"), 1002, "close frame");
    closes(&frame(0x82, b"\x00"), 1003, "text messages");
    closes(&frame(0x81, b"\xff"), 1007, "UTF-8");
    closes(&frame(0x88, b"\x03\xe8\xff"), 1007, "UTF-8");
    closes(
        b"\x81\xff\x7f\xff\xff\xff\xff\xff\xff\xffmask",
        1009,
        "16384",
    );
    closes(
        &frame(0x01, b"")
            .iter()
            .chain(&frame(0x00, b"").repeat(1100))
            .copied()
            .collect::<Vec<u8>>(),
        1008,
        "fragments",
    );
    assert_eq!(server.counter("violations"), 13);
    server.is_empty();
}

#[test]
fn a_message_of_the_limit_passes_and_one_byte_more_does_not() {
    let server = Server::start(&[]);
    let mut ann = ann(&server);
    let most = "x".repeat(16 * 1024);
    ann.says(&most);
    ann.hears(&format!("ann: {most}"));
    ann.says(&"x".repeat(16 * 1024 + 1));
    contains(ann.is_closed_with(1009), "at most 16384 bytes");
}

#[test]
fn protocol_error_closes_only_its_own_connection() {
    let server = Server::start(&[]);
    let mut ann = ann(&server);
    let mut bob = server.join("bob");
    ann.hears("* bob joined");
    bob.send(&frame(0x83, b"x"));
    bob.is_closed_with(1002);
    ann.hears("* bob left");
    ann.says("still here");
    ann.hears("ann: still here");
}

#[test]
fn a_close_is_answered_with_its_code_and_the_server_ends_first() {
    let server = Server::start(&[]);
    for (payload, code) in [
        (&b"\x03\xe8bye"[..], Some(1000)),
        (b"\x0f\xa0", Some(4000)),
        (b"\x03\xf6bad gateway", Some(1014)),
        (b"", None),
        (b"\x03\xed", Some(1002)),
    ] {
        let mut client = server.upgrade("/ws");
        client.line();
        client.send_frame(0x88, payload);
        assert_eq!(client.frame(), Frame::Close(code, String::new()));
        assert_eq!(client.frame(), Frame::End);
    }
    server.is_empty();
}

#[test]
fn messages_after_a_close_are_discarded() {
    let server = Server::start(&[]);
    let mut ann = ann(&server);
    let mut bob = server.join("bob");
    ann.hears("* bob joined");
    bob.send(&[frame(0x88, b"\x03\xe8"), frame(0x81, b"too late")].concat());
    ann.hears("* bob left");
    ann.hears_nothing();
}

#[test]
fn pings_are_answered_with_their_payload() {
    let server = Server::start(&[]);
    let mut ann = ann(&server);
    for payload in [&b""[..], b"payload", &[7; 125]] {
        ann.send_frame(0x89, payload);
        assert_eq!(ann.frame(), Frame::Pong(payload.to_vec()));
    }
}

#[test]
fn pings_that_come_together_are_each_answered_while_the_client_reads() {
    let server = Server::start(&[]);
    let mut ann = ann(&server);
    let pings: Vec<u8> = (0..10).flat_map(|n: u8| frame(0x89, &[n])).collect();
    ann.send(&pings);
    for n in 0..10 {
        assert_eq!(ann.frame(), Frame::Pong(vec![n]));
    }
}

#[test]
fn a_flood_of_pings_ends_the_connection() {
    let server = Server::start(&[]);
    let mut ann = ann(&server);
    ann.try_send(&frame(0x89, b"flood").repeat(5_000));
    contains(
        ann.is_closed_with(1008),
        "too many messages, pings or pongs",
    );
    server.is_empty();
}
