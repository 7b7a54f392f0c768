//! Bytes of a server in, what it has sent out.

use super::*;
use crate::http::accept_key;
use crate::load::options::{Options, Scenario};

/// What a reader makes of these bytes when they arrive in pieces of `step` bytes.
fn received(mut reader: Reader, bytes: &[u8], step: usize) -> Vec<String> {
    let mut all = Vec::new();
    for piece in bytes.chunks(step) {
        let buffer = [reader.rest(), piece].concat();
        let mut rest = &buffer[..];
        while let Some(received) = reader.next(&mut rest) {
            all.push(format!("{received:?}"));
            assert!(all.len() <= bytes.len(), "{all:?}");
        }
    }
    all
}

fn open() -> Reader {
    Reader {
        request: None,
        rest: Vec::new(),
        message: None,
    }
}

fn message(payload: &[u8]) -> String {
    format!("{:?}", Received::Message(Cow::Borrowed(payload)))
}

#[test]
fn frames_are_found_however_the_bytes_are_cut() {
    let bytes = b"\x81\x02hi\x89\x01p\x8a\x00\x82\x01\x00\x88\x02\x03\xe8";
    for step in 1..=bytes.len() {
        assert_eq!(
            received(open(), bytes, step),
            [
                message(b"hi"),
                format!("{:?}", Received::Ping(b"p")),
                String::from("Pong"),
                message(b"\0"),
                String::from("Close(Some(1000))"),
            ],
            "{step}"
        );
    }
}

#[test]
fn fragments_are_one_message_and_control_frames_come_between() {
    let bytes = b"\x01\x01a\x00\x01b\x89\x00\x80\x01c\x81\x01d";
    for step in 1..=bytes.len() {
        assert_eq!(
            received(open(), bytes, step),
            [
                format!("{:?}", Received::Ping(b"")),
                message(b"abc"),
                message(b"d")
            ],
            "{step}"
        );
    }
}

#[test]
fn frames_right_behind_the_answer_are_received() {
    let request = || Request::new(&Options::new(Scenario::Idle), 0, 0);
    let key_of = |request: &Request| {
        let text = String::from_utf8(request.bytes.clone()).unwrap();
        let (_, rest) = text.split_once("Sec-WebSocket-Key: ").unwrap();
        rest.lines().next().unwrap().to_owned()
    };
    let request = request();
    let accept = accept_key(key_of(&request).as_bytes());
    let mut bytes = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {accept}\r\n\r\n"
    )
    .into_bytes();
    bytes.extend_from_slice(b"\x81\x02hi");
    let all = received(Reader::new(request), &bytes, 7);
    assert_eq!(all, [String::from("Upgraded"), message(b"hi")]);
}

#[test]
fn close_frame_without_a_code_has_none() {
    assert_eq!(received(open(), b"\x88\x00", 2), ["Close(None)"]);
}

#[test]
fn bytes_that_no_server_may_send_are_garbled() {
    for bytes in [&b"\x83\x00"[..], b"\xc1\x00", b"\x81\x80mask"] {
        let all = received(open(), bytes, bytes.len());
        assert_eq!(
            all.first().map(String::as_str),
            Some("Garbled"),
            "{bytes:?}"
        );
    }
}

#[test]
fn message_in_fragments_is_bounded() {
    let fragment = [&b"\x00\x7f\0\0\0\0\0\x80\0\0"[..], &vec![0; 8 << 20]].concat();
    let mut reader = open();
    for expected in [None, None, Some(Received::Garbled)] {
        let mut rest = &fragment[..];
        assert_eq!(reader.next(&mut rest), expected);
    }
}
