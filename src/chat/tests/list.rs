//! The list of rooms over several servers as scenes: what Ann is listed of rooms at other servers, and
//! what these are told of the rooms here.

use super::order::{account, facts};
use super::*;
use crate::chat::registry::Snapshot;

const NORTH: u64 = 11;
const SOUTH: u64 = 12;

/// A chat whose rooms other servers share, and Ann in the lobby.
fn shared() -> Scene {
    let mut scene = lobby();
    scene.chat.shares_members();
    scene.joins(ANN, "ann");
    scene.counts();
    scene.forget();
    scene
}

fn counts(rooms: &[(&str, u32)]) -> Counts {
    let rooms = rooms.iter().map(|(name, count)| ((*name).into(), *count));
    Counts {
        rooms: rooms.collect(),
        ..Counts::default()
    }
}

fn words(rooms: &[(SmolStr, u32)]) -> String {
    let words = rooms.iter().map(|(name, count)| format!("{name} {count}"));
    words.collect::<Vec<_>>().join(", ")
}

impl Scene {
    fn rooms_sighted(&mut self, what: RoomsSighting) {
        self.chat.rooms_sighted(what);
        while self.chat.has_stale_rooms() {
            self.chat.sweep_rooms();
        }
    }

    /// Another server has told of its rooms.
    fn told_of(&mut self, node: u64, counts: Counts) {
        self.rooms_sighted(RoomsSighting::Counts { node, counts });
    }

    /// What other servers are told of the rooms here.
    fn counts(&mut self) -> String {
        let all = self.chat.take_counts().into_iter();
        words(&all.flat_map(|counts| counts.rooms).collect::<Vec<_>>())
    }

    /// What Ann is listed.
    fn rooms_of(&mut self, page: Option<Page<'_>>) -> (String, u32) {
        self.asks(ANN, Command::Rooms(page));
        match &self.heard(ANN)[..] {
            [Seen::Event(Event::Rooms { rooms, more })] => (words(rooms), *more),
            other => panic!("a list, and not {other:?}"),
        }
    }

    fn elsewhere(&self) -> String {
        let rooms = self.chat.rooms_elsewhere();
        let rooms = rooms.map(|(name, count)| (name.clone(), count));
        words(&rooms.collect::<Vec<_>>())
    }
}

#[test]
fn rooms_of_other_servers_are_listed_with_the_members_of_all() {
    let mut scene = shared();
    scene.told_of(NORTH, counts(&[("den", 2), ("attic", 1), ("lobby", 5)]));
    scene.told_of(SOUTH, counts(&[("den", 3)]));
    // Where a room has members here, those of other servers are counted by their nicks.
    assert_eq!(scene.rooms_of(None).0, "lobby 1, attic 1, den 5");
    let page = |after, limit| Some(Page { after, limit });
    let first = (String::from("attic 1, den 5"), 1);
    assert_eq!(scene.rooms_of(page(None, 2)), first);
    let last = (String::from("lobby 1"), 0);
    assert_eq!(scene.rooms_of(page(Some("den"), 2)), last);
    scene.told_of(NORTH, counts(&[("den", 0)]));
    scene.told_of(SOUTH, counts(&[("attic", 2), ("den", 4)]));
    assert_eq!(scene.rooms_of(None).0, "lobby 1, attic 3, den 4");
}

#[test]
fn rooms_of_a_dead_server_are_not_listed() {
    let mut scene = shared();
    scene.told_of(NORTH, counts(&[("attic", 1), ("den", 2)]));
    scene.told_of(SOUTH, counts(&[("den", 3)]));
    scene.chat.server_died(NORTH);
    while scene.chat.has_stale_rooms() {
        scene.chat.sweep_rooms();
    }
    assert_eq!(scene.elsewhere(), "den 3");
    assert_eq!(scene.chat.rooms_elsewhere_count(), 1);
}

#[test]
fn rooms_that_a_server_names_no_more_when_it_names_all_are_not_listed() {
    let mut scene = shared();
    scene.told_of(NORTH, counts(&[("attic", 1), ("den", 2)]));
    let first = Counts {
        is_first: true,
        ..counts(&[("zoo", 4)])
    };
    scene.told_of(NORTH, first);
    // What follows may have the others.
    assert_eq!(scene.elsewhere(), "attic 1, den 2, zoo 4");
    let last = Counts {
        is_last: true,
        ..counts(&[("den", 3)])
    };
    scene.told_of(NORTH, last);
    assert_eq!(scene.elsewhere(), "den 3, zoo 4");
}

#[test]
fn rooms_that_are_kept_no_more_are_not_listed_when_all_were_read() {
    let mut scene = shared();
    let many: Vec<String> = (0..3_000).map(|number| format!("r{number:04}")).collect();
    let rooms = many.iter().map(|name| (name.as_str(), 1));
    scene.told_of(NORTH, counts(&rooms.collect::<Vec<_>>()));
    scene.rooms_sighted(RoomsSighting::AllBegins);
    scene.told_of(NORTH, counts(&[("r2999", 2)]));
    assert_eq!(scene.chat.rooms_elsewhere_count(), 3_000);
    scene.rooms_sighted(RoomsSighting::AllEnds);
    assert_eq!(scene.elsewhere(), "r2999 2");
}

#[test]
fn other_servers_are_told_what_has_changed_of_rooms() {
    let mut scene = shared();
    scene.joins(BOB, "bob");
    scene.joins_room(BOB, "den");
    scene.joins_room(ANN, "attic");
    scene.leaves_room(ANN, "attic");
    assert_eq!(scene.counts(), "den 1, lobby 2");
    assert_eq!(scene.counts(), "");
    // A room that is opened anew is the same to others.
    scene.leaves_room(BOB, "den");
    scene.joins_room(ANN, "den");
    assert_eq!(scene.counts(), "");
    scene.leaves(BOB);
    scene.leaves_room(ANN, "den");
    assert_eq!(scene.counts(), "den 0, lobby 1");
}

#[test]
fn account_with_two_connections_is_one_member_to_other_servers() {
    let mut scene = lobby();
    scene.chat.shares_members();
    scene.chat.restore(Snapshot {
        facts: facts(),
        changes: 0,
        accounts: 4,
    });
    for id in [ANN, BOB, CAT] {
        scene.comes(id, "lobby", None);
    }
    assert_eq!(scene.counts(), "lobby 3");
    for id in [BOB, CAT] {
        scene.after(|chat, now, effects| chat.enter_account(id, account(2), now, effects));
    }
    assert_eq!(scene.counts(), "lobby 2");
    let wall = Millis(0);
    scene.after(|chat, now, effects| chat.log_out(BOB, None, None, (now, wall), effects));
    assert_eq!(scene.counts(), "lobby 3");
}

#[test]
fn all_rooms_are_told_in_parts_of_which_the_first_and_the_last_are_marked() {
    let mut scene = Scene::new(&Settings {
        rooms_per_connection: 2_000,
        ..Settings::default()
    });
    scene.chat.shares_members();
    let empty = |counts: &Counts| (counts.is_first, counts.is_last, counts.rooms.len());
    let told: Vec<_> = scene.chat.all_counts().iter().map(empty).collect();
    assert_eq!(told, [(true, true, 0)]);
    scene.enters(ANN, Some("ann"));
    for number in 0..MOVES_MAX + 1 {
        scene.joins_room(ANN, &format!("r{number}"));
    }
    let told: Vec<_> = scene.chat.all_counts().iter().map(empty).collect();
    assert_eq!(told, [(true, false, MOVES_MAX), (false, true, 1)]);
    // They have been told all.
    assert_eq!(scene.counts(), "");
}

#[test]
fn alone_a_server_keeps_nothing_of_its_rooms_for_others() {
    let mut scene = lobby();
    scene.joins(ANN, "ann");
    assert!(!scene.chat.has_counts());
    scene.told_of(NORTH, counts(&[("den", 2)]));
    assert_eq!(scene.elsewhere(), "");
}
