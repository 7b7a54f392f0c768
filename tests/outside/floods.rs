//! Clients that send as fast as they can: what happens to them, and what the others notice.

use super::support::{Server, contains, frame};
use std::thread;

#[test]
fn each_kind_of_flood_is_paused_twice_and_then_closed_with_1008() {
    // All floods at once, each in a room of its own, since each takes four seconds.
    let server = Server::start(&[]);
    let (mut ann, mut bob) = server.ann_and_bob();
    let fragments = [
        frame(0x01, b""),
        frame(0x00, b"").repeat(998),
        frame(0x80, b""),
    ];
    let floods = [
        frame(0x8A, b""),
        frame(0x89, b""),
        frame(0x81, b""),
        frame(0x81, b"hello"),
        frame(0x81, &[b'x'; 16 * 1024]),
        fragments.concat(),
    ];
    let reads: Vec<_> = (0..)
        .zip(&floods)
        .map(|(number, flood)| {
            let nick = format!("flooder-{number}");
            let mut flooder = server.join_room(&format!("room-{number}"), &nick);
            flooder.floods(flood.repeat(4_000_000 / flood.len()));
            // Each reads what it is sent, or it would be a slow reader as well.
            thread::spawn(move || flooder.is_closed_with(1008))
        })
        .collect();
    ann.says("is this slow?");
    bob.hears("ann: is this slow?");
    for reason in reads {
        let reason = reason.join().expect("each flooder is closed with 1008");
        contains(reason, "too many messages, pings or pongs");
    }
    let kinds = floods.len() as u64;
    assert_eq!(server.counter("paused"), 2 * kinds);
    assert_eq!(server.counter("violations"), kinds);
}

#[test]
fn messages_sent_during_a_pause_are_delivered_after_it() {
    let server = Server::start(&[]);
    let (mut ann, mut bob) = server.ann_and_bob();
    ann.send(&frame(0x8A, b"").repeat(800));
    ann.says("after all that");
    bob.hears("ann: after all that");
    assert_eq!(server.counter("paused"), 1);
    assert_eq!(server.counter("violations"), 0);
}
