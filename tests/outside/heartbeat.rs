//! Heartbeat and the ends of connections, with deadlines set short by options.

use super::support::{Client, Frame, PATIENCE, Server, now};
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
    let deadline = now() + PATIENCE;
    loop {
        match client.frame_by(deadline) {
            Frame::Ping(payload) => client.send_frame(0x8A, &payload),
            Frame::Text(line) => return line,
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn silent_connection_is_pinged() {
    let server = start();
    let mut ann = server.join("ann");
    assert_eq!(ann.frame(), Frame::Ping(Vec::new()));
}

#[test]
fn silent_member_is_removed_with_one_notice() {
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
        "there is no second notice about bob"
    );
    drop(cat);
    assert_eq!(line(&mut ann), "* cat left");
}

#[test]
fn member_that_answers_pings_stays() {
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
fn any_frame_counts_as_a_sign_of_life() {
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
fn unanswered_close_ends_at_its_deadline() {
    let server = start();
    let mut ann = server.join("ann");
    ann.says("/quit");
    assert!(matches!(ann.frame(), Frame::Close(Some(1000), _)));
    assert_eq!(server.counter("members"), 0);
    server.is_empty();
}

#[test]
fn connection_left_open_after_the_closing_handshake_is_ended() {
    let server = start();
    let mut ann = server.join("ann");
    ann.send_frame(0x88, b"\x03\xe8");
    assert_eq!(ann.frame(), Frame::Close(Some(1000), String::new()));
    // Ann does not close her side; the close deadline ends the connection.
    server.is_empty();
}

#[test]
fn half_closed_connection_leaves_at_once() {
    let server = Server::start(&[]);
    let mut ann = server.join("ann");
    let bob = server.join("bob");
    ann.hears("* bob joined");
    bob.shut();
    ann.hears("* bob left");
    drop(bob);
}

#[test]
fn unfinished_message_is_closed_with_1008_at_its_deadline() {
    let server = Server::start(&["--message-timeout", "400ms"]);
    let mut ann = server.join("ann");
    ann.send_frame(0x01, b"to be continued");
    ann.is_closed_with(1008);
    server.is_empty();
}
