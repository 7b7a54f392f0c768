//! Floods: members that cause more work than their messages do.

use super::*;
use parlor::id::Tick;

fn milliseconds(count: u64) -> Duration {
    Duration::from_millis(count)
}

/// So many frames of a kind, in one packet.
fn flood(first: u8, payload: &[u8], count: usize, chance: &mut Chance) -> Vec<u8> {
    (0..count)
        .flat_map(|_| client::frame(first, payload, chance))
        .collect()
}

/// Ann and Bob, who have read what came so far.
fn ann_and_bob(room: &mut Scene) -> (Who, Who) {
    let (ann, bob) = (room.joins("ann"), room.joins("bob"));
    room.heard(ann);
    room.heard(bob);
    // The scenes look at what is read and what is not.
    let socket = room.people[ann].socket;
    let net = room.server.net_mut();
    net.may_leave_unread(socket, Tick(u32::MAX));
    (ann, bob)
}

fn unread(room: &Scene, who: Who) -> usize {
    room.server.net().unread(room.people[who].socket)
}

#[test]
fn member_that_exceeds_its_rate_by_ten_bursts_is_not_read_for_two_seconds() {
    // An empty message is answered, a later one is over the rate.
    for (kind, payload) in [
        (0x8A, &b""[..]),
        (0x89, b"x"),
        (0x81, b""),
        (0x81, b"hello"),
    ] {
        let mut room = Scene::new(Config::default());
        let (ann, _bob) = ann_and_bob(&mut room);
        let bytes = flood(kind, payload, 2_000, &mut room.chance);
        room.sends(ann, &bytes);
        assert_eq!(room.server.stats().paused, 1, "{kind:#x}");
        let left = unread(&room, ann);
        assert!(left > bytes.len() / 2, "{left} bytes are unread");
        room.pass(milliseconds(1_900));
        assert_eq!(unread(&room, ann), left, "{kind:#x}");
        room.pass(milliseconds(200));
        assert!(unread(&room, ann) < left, "{kind:#x}");
    }
}

#[test]
fn member_within_its_rate_is_never_paused() {
    let mut room = Scene::new(Config::default());
    let (ann, bob) = ann_and_bob(&mut room);
    for number in 0..600 {
        room.pass(milliseconds(100));
        room.says(ann, &format!("number {number}"));
        assert_eq!(room.heard(bob).pop(), Some(format!("ann: number {number}")));
        // Heartbeats of her own.
        let pong = client::frame(0x8A, b"", &mut room.chance);
        room.sends(ann, &pong);
        room.heard(ann);
        let pong = client::frame(0x8A, b"", &mut room.chance);
        room.sends(bob, &pong);
    }
    assert_eq!(room.server.stats().paused, 0);
}

#[test]
fn messages_of_a_paused_member_are_delivered_after_the_pause() {
    let mut room = Scene::new(Config::default());
    let (ann, bob) = ann_and_bob(&mut room);
    let pongs = flood(0x8A, b"", 1_000, &mut room.chance);
    let said = client::frame(0x81, b"after all that", &mut room.chance);
    room.sends(ann, &pongs[..3_000]);
    assert_eq!(room.server.stats().paused, 1);
    room.sends(ann, &said);
    assert_eq!(room.heard(bob), Vec::<String>::new());
    room.pass(milliseconds(2_100));
    assert_eq!(room.heard(bob), ["ann: after all that"]);
}

#[test]
fn paused_member_hears_the_room_and_is_not_silent() {
    let mut room = Scene::new(Config {
        conn: conn::Settings {
            ping_after: milliseconds(500),
            silent_timeout: milliseconds(1_000),
            ..Config::default().conn
        },
        ..Config::default()
    });
    let (ann, bob) = ann_and_bob(&mut room);
    let pongs = flood(0x8A, b"", 500, &mut room.chance);
    room.sends(ann, &pongs);
    for _ in 0..18 {
        room.pass(milliseconds(100));
        room.says(bob, "hello");
    }
    let heard = room.heard(ann);
    assert_eq!(heard, ["bob: hello"; 18], "no ping during the pause");
    room.pass(milliseconds(900));
    assert!(room.heard(ann).contains(&String::from("ping")));
}

#[test]
fn third_pause_within_a_minute_is_a_close_with_1008() {
    let mut room = Scene::new(Config::default());
    let (ann, bob) = ann_and_bob(&mut room);
    let bytes = flood(0x8A, b"", 50_000, &mut room.chance);
    room.sends(ann, &bytes);
    room.pass(milliseconds(2_100));
    assert_eq!(room.heard(ann), Vec::<String>::new());
    room.pass(milliseconds(2_100));
    assert_eq!(room.heard(ann), ["close Some(1008)"]);
    assert_eq!(room.heard(bob), ["* ann left"]);
    assert_eq!(room.server.stats().paused, 2);
    assert_eq!(room.server.stats().violations, 1);
    assert!(unread(&room, ann) > 0, "the rest is not worth reading");
    room.vanishes(bob);
    room.pass(seconds(4));
    assert!(room.is_empty());
}

#[test]
fn pauses_that_are_far_apart_do_not_add_up() {
    let mut room = Scene::new(Config::default());
    let (ann, _bob) = ann_and_bob(&mut room);
    for pauses in 1..=5 {
        let bytes = flood(0x8A, b"", 250, &mut room.chance);
        room.sends(ann, &bytes);
        assert_eq!(room.server.stats().paused, pauses);
        for _ in 0..31 {
            room.pass(seconds(1));
            let pong = client::frame(0x8A, b"", &mut room.chance);
            room.sends(ann, &pong);
        }
    }
}

#[test]
fn half_a_message_has_its_whole_time_beside_a_pause() {
    let mut room = Scene::new(Config {
        conn: conn::Settings {
            message_timeout: seconds(3),
            ..Config::default().conn
        },
        ..Config::default()
    });
    let (ann, bob) = ann_and_bob(&mut room);
    let begin = client::frame(0x01, b"in two ", &mut room.chance);
    room.sends(ann, &begin);
    let pongs = flood(0x8A, b"", 250, &mut room.chance);
    room.sends(ann, &pongs);
    assert_eq!(room.server.stats().paused, 1);
    room.pass(milliseconds(4_000));
    let end = client::frame(0x80, b"parts", &mut room.chance);
    room.sends(ann, &end);
    assert_eq!(room.heard(bob), ["ann: in two parts"]);
}

#[test]
fn fragments_beyond_the_usual_are_limited_and_usual_ones_are_not() {
    let mut room = Scene::new(Config::default());
    let (ann, bob) = ann_and_bob(&mut room);
    let message = |fragments: usize, chance: &mut Chance| {
        let mut bytes = client::frame(0x01, b"x", chance);
        bytes.extend(flood(0x00, b"x", fragments - 2, chance));
        bytes.extend(client::frame(0x80, b"x", chance));
        bytes
    };
    for _ in 0..20 {
        let bytes = message(16, &mut room.chance);
        room.sends(ann, &bytes);
    }
    assert_eq!(room.heard(bob).len(), 20);
    room.pass(seconds(10));
    // Two of a thousand would be one tenth of 1,968 units; the third is too much.
    for _ in 0..3 {
        let bytes = message(1_000, &mut room.chance);
        room.sends(ann, &bytes);
    }
    assert_eq!(room.heard(bob).len(), 2);
    assert_eq!(room.server.stats().paused, 1);
}

#[test]
fn long_messages_over_the_rate_cost_more_than_short_ones() {
    let mut room = Scene::new(Config::default());
    let (ann, _bob) = ann_and_bob(&mut room);
    let long = [b'x'; 16 * 1024];
    let bytes = flood(0x81, &long, 20 + 13, &mut room.chance);
    room.sends(ann, &bytes);
    assert_eq!(room.server.stats().paused, 1);
}

#[test]
fn closed_flooder_is_read_no_faster_than_its_limit() {
    let mut room = Scene::new(Config::default());
    let (ann, bob) = ann_and_bob(&mut room);
    room.says(ann, "/quit");
    let bytes = flood(0x81, &[b'x'; 1000], 2_000, &mut room.chance);
    room.sends(ann, &bytes);
    assert!(unread(&room, ann) > bytes.len() / 2);
    room.vanishes(bob);
    room.pass(seconds(4));
    assert!(room.is_empty());
}

#[test]
fn kick_of_a_paused_member_is_answered_at_once() {
    let mut room = Scene::new(Config {
        chat: chat::Settings {
            operator_token: Some(String::from("secret")),
            ..Config::default().chat
        },
        ..Config::default()
    });
    let (ann, bob) = ann_and_bob(&mut room);
    room.says(bob, "/op secret");
    let pongs = flood(0x8A, b"", 250, &mut room.chance);
    room.sends(ann, &pongs);
    assert_eq!(room.server.stats().paused, 1);
    room.says(bob, "/kick ann");
    let answer = client::frame(0x88, &1008_u16.to_be_bytes(), &mut room.chance);
    room.sends(ann, &answer);
    let socket = room.people[ann].socket;
    room.server.net_mut().shut(socket);
    room.vanishes(bob);
    assert!(
        room.is_empty(),
        "neither the pause nor a deadline is waited for"
    );
}

#[test]
fn message_that_begins_where_a_pause_does_has_its_whole_time_after_it() {
    let mut room = Scene::new(Config {
        conn: conn::Settings {
            message_timeout: seconds(1),
            ..Config::default().conn
        },
        ..Config::default()
    });
    let (ann, bob) = ann_and_bob(&mut room);
    let mut bytes = flood(0x8A, b"", 250, &mut room.chance);
    bytes.extend(client::frame(0x01, b"in two ", &mut room.chance));
    room.sends(ann, &bytes);
    assert_eq!((room.server.stats().paused, unread(&room, ann)), (1, 0));
    room.pass(milliseconds(2_800));
    let end = client::frame(0x80, b"parts", &mut room.chance);
    room.sends(ann, &end);
    assert_eq!(room.heard(bob), ["ann: in two parts"]);
}
