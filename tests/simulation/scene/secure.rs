//! Scenes over TLS: what the records between a client and the server must not change.

use super::super::tls::{self, Manners};
use super::*;

impl Scene {
    /// All clients come over TLS.
    fn secure(config: Config, faults: Faults) -> Self {
        let mut scene = Self::with(config, faults);
        scene.server.net_mut().speaks_tls(0, tls::clients(true));
        scene.server.serve_tls(vec![0], tls::acceptor());
        scene
    }
}

#[test]
fn members_talk_over_tls_and_leave_in_good_order() {
    let mut room = Scene::secure(unlimited(), Faults::NONE);
    let ann = room.joins("ann");
    let bob = room.joins("bob");
    room.heard(ann);
    room.heard(bob);
    room.says(ann, "hello");
    assert_eq!(room.heard(ann), ["ann: hello"]);
    assert_eq!(room.heard(bob), ["ann: hello"]);
    let close = client::frame(0x88, &1000_u16.to_be_bytes(), &mut room.chance);
    room.sends_and_ends(bob, &close);
    assert_eq!(room.heard(bob), ["close Some(1000)"]);
    assert!(room.has_ended(bob));
    assert_eq!(room.heard(ann), ["* bob left"]);
    room.sends_and_ends(ann, &[]);
    assert!(room.server.is_empty());
}

#[test]
fn crowd_of_hellos_waits_its_turn() {
    let mut room = Scene::secure(unlimited(), Faults::NONE);
    for _ in 0..70 {
        room.server.net_mut().connect(0, ANYWHERE);
    }
    let mut before = 0;
    for _ in 0..10 {
        let _ = room.server.turn();
        room.server.check_invariants();
        let answered = room.server.net().answered_hellos();
        assert!(answered - before <= 20, "{answered} after {before}");
        before = answered;
    }
    assert_eq!(before, 70);
}

#[test]
fn record_that_is_blocked_is_sent_once_and_before_all_else() {
    let mut room = Scene::secure(unlimited(), NARROW);
    let ann = room.joins("ann");
    let bob = room.joins("bob");
    room.heard(ann);
    room.heard(bob);
    room.stops_reading(bob);
    let said: Vec<String> = (0..20).map(|number| format!("message {number}")).collect();
    for words in &said {
        room.says(ann, words);
    }
    room.reads_again(bob);
    for _ in 0..200 {
        room.turns();
    }
    let heard = room.heard(bob);
    let expected: Vec<String> = said.iter().map(|words| format!("ann: {words}")).collect();
    assert_eq!(heard, expected);
}

#[test]
fn data_behind_a_full_turn_is_read_without_an_event() {
    let mut room = Scene::secure(unlimited(), Faults::NONE);
    let ann = room.joins("ann");
    let bob = room.joins("bob");
    room.server.net_mut().reads_all_records();
    let mut bytes = Vec::new();
    for _ in 0..899 {
        bytes.extend(client::frame(0x81, b"on", &mut room.chance));
    }
    bytes.extend(client::frame(0x81, b"the last", &mut room.chance));
    room.sends(ann, &bytes);
    assert_eq!(room.heard(bob).last().unwrap(), "ann: the last");
}

/// So many pings that the rest waits for the next turn, a message and the end of TLS come at once.
fn end_behind_data(manners: Manners) {
    let mut room = Scene::secure(unlimited(), Faults::NONE);
    let ann = room.joins("ann");
    room.server.net_mut().ends_tls(manners);
    let bob = room.joins("bob");
    room.server.net_mut().reads_all_records();
    room.heard(ann);
    room.heard(bob);
    let mut bytes = Vec::new();
    for _ in 0..90 {
        bytes.extend(client::frame(0x8A, &[b'b'; 125], &mut room.chance));
    }
    bytes.extend(client::frame(0x81, b"bye", &mut room.chance));
    room.sends_and_ends(bob, &bytes);
    assert_eq!(room.heard(ann), ["bob: bye", "* bob left"]);
    assert_eq!(room.heard(bob), ["bob: bye"]);
    assert!(room.has_ended(bob));
    let socket = room.people[bob].socket;
    assert!(!room.server.net().is_unanswered(socket));
}

#[test]
fn end_of_tls_behind_data_is_seen_and_answered() {
    end_behind_data(Manners::Both);
}

#[test]
fn end_of_tls_behind_data_is_seen_without_the_end_of_tcp() {
    end_behind_data(Manners::Waits);
}

#[test]
fn server_that_stops_ends_tls_too() {
    let mut room = Scene::secure(unlimited(), Faults::NONE);
    let ann = room.joins("ann");
    let shaking = room.server.net_mut().connect(0, ANYWHERE);
    assert!(shaking.is_some());
    room.heard(ann);
    room.server.net_mut().signal(Signal::Stop);
    room.turns();
    assert_eq!(room.heard(ann), ["close Some(1001)"]);
}
