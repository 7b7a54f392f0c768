//! Who is there, who is silent, and how silence ends. Deadlines are short here by option.

use super::support::{Client, Frame, Server, now};
use std::time::Duration;

fn start() -> Server {
    Server::start(&[
        "--ping-after",
        "300ms",
        "--silent-timeout",
        "900ms",
        "--close-timeout",
        "400ms",
    ])
}

/// Answers pings until a line comes.
pub(super) fn line(client: &mut Client) -> String {
    loop {
        match client.frame() {
            Frame::Ping(payload) => client.send_frame(0x8A, &payload),
            Frame::Text(line) => return line,
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn silence_is_pinged() {
    let server = start();
    let mut ann = server.join("ann");
    assert_eq!(ann.frame(), Frame::Ping(Vec::new()));
}

#[test]
fn a_silent_member_is_gone_with_one_notice() {
    let server = start();
    let mut ann = server.join("ann");
    let mut bob = server.join("bob");
    assert_eq!(line(&mut ann), "* bob joined");
    assert_eq!(line(&mut ann), "* bob left");
    assert_eq!(server.counter("silent"), 1);
    assert_eq!(server.counter("connections"), 1);
    assert_eq!(bob.frame(), Frame::Ping(Vec::new()));
    let cat = server.join("cat");
    assert_eq!(
        line(&mut ann),
        "* cat joined",
        "there was no second notice of bob"
    );
    drop(cat);
    assert_eq!(line(&mut ann), "* cat left");
}

#[test]
fn who_answers_pings_stays() {
    let server = start();
    let mut ann = server.join("ann");
    let until = now() + Duration::from_millis(2500);
    while now() < until {
        match ann.frame() {
            Frame::Ping(payload) => ann.send_frame(0x8A, &payload),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(server.counter("silent"), 0);
    assert_eq!(server.counter("members"), 1);
}

#[test]
fn any_traffic_counts_as_life() {
    let server = start();
    let mut ann = server.join("ann");
    let until = now() + Duration::from_millis(2000);
    while now() < until {
        std::thread::sleep(Duration::from_millis(100));
        ann.send_frame(0x8A, b"unasked");
    }
    assert_eq!(server.counter("members"), 1);
    ann.hears_nothing();
}

#[test]
fn a_close_that_is_not_answered_ends_at_its_deadline() {
    let server = start();
    let mut ann = server.join("ann");
    ann.says("/quit");
    assert!(matches!(ann.frame(), Frame::Close(Some(1000), _)));
    assert_eq!(server.counter("members"), 0);
    server.is_empty();
}

#[test]
fn a_connection_that_is_half_closed_after_its_close_ends() {
    let server = start();
    let mut ann = server.join("ann");
    ann.send_frame(0x88, b"\x03\xe8");
    assert_eq!(ann.frame(), Frame::Close(Some(1000), String::new()));
    // Ann never closes her side; the server does not wait for her for ever.
    server.is_empty();
}

#[test]
fn who_ends_without_a_close_is_gone_at_once() {
    let server = Server::start(&[]);
    let mut ann = server.join("ann");
    let bob = server.join("bob");
    ann.hears("* bob joined");
    bob.shut();
    ann.hears("* bob left");
    drop(bob);
}

#[test]
fn half_a_message_ends_at_its_deadline() {
    let server = Server::start(&["--message-timeout", "400ms"]);
    let mut ann = server.join("ann");
    ann.send_frame(0x01, b"to be continued");
    ann.is_closed_with(1008);
    server.is_empty();
}
