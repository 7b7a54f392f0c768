//! Held connections: members that ask for more than they read. Nothing of theirs is lost or
//! overtaken, and nothing more of them is read meanwhile.

use super::*;
use parlor::id::Tick;

const ROOMS: &str = "* rooms: lobby (2)";

/// More requests than the replies that may wait, and than what the kernel takes of them.
const MANY: usize = 60;

/// Ann, and Bob, whose client reads nothing. No rate bounds what they say.
fn ann_and_deaf_bob() -> (Scene, Who, Who) {
    let mut room = Scene::with(unlimited(), NARROW);
    let (ann, bob) = (room.joins("ann"), room.joins("bob"));
    room.heard(ann);
    room.heard(bob);
    room.stops_reading(bob);
    // The scenes look at what is read and what is not.
    let socket = room.people[bob].socket;
    room.server
        .net_mut()
        .may_leave_unread(socket, Tick(u32::MAX));
    (room, ann, bob)
}

fn asks(count: usize, chance: &mut Chance) -> Vec<u8> {
    (0..count)
        .flat_map(|_| client::frame(0x81, b"/rooms", chance))
        .collect()
}

fn is_held(room: &Scene) -> bool {
    room.server.kept().count() > 0
}

#[test]
fn no_reply_is_lost_and_no_request_is_overtaken() {
    let (mut room, ann, bob) = ann_and_deaf_bob();
    let mut bytes = asks(MANY, &mut room.chance);
    bytes.extend(client::frame(0x81, b"that was all", &mut room.chance));
    room.sends(bob, &bytes);
    assert!(is_held(&room));
    assert_eq!(
        room.heard(ann),
        Vec::<String>::new(),
        "it waits behind the others"
    );
    room.reads_again(bob);
    room.turns();
    let said = "bob: that was all";
    let wanted = [&[ROOMS; MANY][..], &[said]].concat();
    assert_eq!(room.heard(bob), wanted);
    assert_eq!(room.heard(ann), [said]);
    assert!(!is_held(&room));
    assert_eq!(room.server.stats().missed, 0);
}

#[test]
fn held_connection_is_not_read() {
    let (mut room, _ann, bob) = ann_and_deaf_bob();
    let bytes = asks(MANY, &mut room.chance);
    room.sends(bob, &bytes);
    let bytes = asks(5_000, &mut room.chance);
    room.sends(bob, &bytes);
    let socket = room.people[bob].socket;
    assert_eq!(room.server.net().unread(socket), bytes.len());
    let (held, bound) = (room.server.outbox_bytes(), 20 * (ROOMS.len() + 2));
    assert!(held < bound, "{held} bytes wait");
}

#[test]
fn ping_of_a_held_member_is_answered_when_it_reads_again() {
    let (mut room, _ann, bob) = ann_and_deaf_bob();
    let mut bytes = asks(MANY, &mut room.chance);
    bytes.extend(client::frame(0x89, b"", &mut room.chance));
    room.sends(bob, &bytes);
    room.reads_again(bob);
    room.turns();
    assert_eq!(room.heard(bob), [&[ROOMS; MANY][..], &["pong"]].concat());
}

#[test]
fn held_member_that_reads_a_little_is_neither_silent_nor_stalled() {
    let (mut room, ann, bob) = ann_and_deaf_bob();
    let bytes = asks(MANY, &mut room.chance);
    room.sends(bob, &bytes);
    let socket = room.people[bob].socket;
    for _ in 0..8 {
        room.pass(seconds(20));
        assert!(is_held(&room));
        let bytes = room.server.net_mut().read_as_client(socket, 10);
        room.people[bob].hears(&bytes);
        room.says(ann, "are you there?");
    }
    room.reads_again(bob);
    room.turns();
    let heard = room.heard(bob);
    let replies = heard.iter().filter(|line| *line == ROOMS).count();
    assert_eq!(replies, MANY);
    assert!(!room.heard(ann).contains(&String::from("* bob left")));
}

#[test]
fn held_member_that_reads_nothing_is_closed_by_the_stall_deadline_alone() {
    let (mut room, ann, bob) = ann_and_deaf_bob();
    let bytes = asks(MANY, &mut room.chance);
    room.sends(bob, &bytes);
    room.pass(tenths(299));
    assert_eq!(room.heard(ann), ["ping"]);
    room.pass(tenths(2));
    assert_eq!(room.heard(ann), ["* bob left"]);
    assert_eq!(room.server.stats().stalled, 1);
    room.vanishes(ann);
    room.pass(seconds(4));
    assert!(room.is_empty());
}

#[test]
fn held_member_that_ends_its_side_is_answered_and_leaves_afterwards() {
    let (mut room, ann, bob) = ann_and_deaf_bob();
    let mut bytes = asks(MANY, &mut room.chance);
    bytes.extend(client::frame(0x81, b"bye", &mut room.chance));
    // The end may come with the requests, or while the connection is held.
    for comes_later in [false, true] {
        let bob = if comes_later {
            let carl = room.joins("carl");
            room.heard(ann);
            room.stops_reading(carl);
            room.sends(carl, &bytes);
            room.sends_and_ends(carl, b"");
            carl
        } else {
            room.sends_and_ends(bob, &bytes);
            bob
        };
        room.pass(seconds(5));
        assert_eq!(
            room.heard(ann),
            Vec::<String>::new(),
            "it is a member still"
        );
        room.reads_again(bob);
        room.turns();
        assert_eq!(
            room.heard(bob)
                .iter()
                .filter(|line| line.starts_with("* rooms"))
                .count(),
            MANY
        );
        let heard = room.heard(ann);
        let nick = if comes_later { "carl" } else { "bob" };
        assert_eq!(heard, [format!("{nick}: bye"), format!("* {nick} left")]);
        assert!(room.has_ended(bob));
    }
}

#[test]
fn held_member_that_is_reset_leaves() {
    let (mut room, ann, bob) = ann_and_deaf_bob();
    let bytes = asks(MANY, &mut room.chance);
    room.sends(bob, &bytes);
    assert!(is_held(&room));
    room.vanishes(bob);
    assert_eq!(room.heard(ann), ["* bob left"]);
    room.vanishes(ann);
    assert!(room.is_empty());
}

#[test]
fn held_member_that_is_kicked_gets_its_replies_and_its_own_close_frame_counts() {
    let mut config = unlimited();
    config.chat.operator_token = Some(String::from("secret"));
    let mut room = Scene::with(config, NARROW);
    let (ann, bob) = (room.joins("ann"), room.joins("bob"));
    room.says(ann, "/op secret");
    room.heard(bob);
    room.stops_reading(bob);
    let mut bytes = asks(20, &mut room.chance);
    bytes.extend(client::frame(
        0x88,
        &1000_u16.to_be_bytes(),
        &mut room.chance,
    ));
    room.sends(bob, &bytes);
    assert!(is_held(&room));
    room.says(ann, "/kick bob enough");
    assert!(!is_held(&room));
    room.reads_again(bob);
    let heard = room.heard(bob);
    assert!(heard.starts_with(&[String::from(ROOMS)]), "{heard:?}");
    let last = ["* you were kicked by ann (enough)", "close Some(1008)"];
    assert_eq!(heard[heard.len() - 2..], last);
    assert!(room.has_ended(bob), "no other close frame is awaited");
}

#[test]
fn held_member_is_closed_when_the_server_stops() {
    let (mut room, _ann, bob) = ann_and_deaf_bob();
    let bytes = asks(MANY, &mut room.chance);
    room.sends(bob, &bytes);
    room.server.net_mut().signal(Signal::Stop);
    room.turns();
    assert!(!is_held(&room));
    room.reads_again(bob);
    let heard = room.heard(bob);
    assert_eq!(heard.last().map(String::as_str), Some("close Some(1001)"));
}

#[test]
fn held_flooder_is_paused_as_well_and_goes_on_after_both() {
    let mut room = Scene::with(Config::default(), NARROW);
    let (ann, bob) = (room.joins("ann"), room.joins("bob"));
    room.heard(ann);
    room.heard(bob);
    room.stops_reading(bob);
    let socket = room.people[bob].socket;
    let net = room.server.net_mut();
    net.may_leave_unread(socket, Tick(u32::MAX));
    // More pongs than are allowed begin a pause. What came in the same packet is handled.
    let mut bytes = (0..205)
        .flat_map(|_| client::frame(0x8A, b"", &mut room.chance))
        .collect::<Vec<u8>>();
    bytes.extend(asks(20, &mut room.chance));
    room.sends(bob, &bytes);
    assert!(is_held(&room));
    assert_eq!(room.server.stats().paused, 1);
    room.reads_again(bob);
    assert_eq!(room.heard(bob), [ROOMS; 20]);
    room.says(bob, "and now?");
    assert_eq!(room.heard(ann), Vec::<String>::new(), "the pause goes on");
    room.pass(seconds(3));
    assert_eq!(room.heard(ann), ["bob: and now?"]);
}
