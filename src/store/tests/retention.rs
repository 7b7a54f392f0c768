//! What is removed, and what stays.

use super::super::SLACK;
use super::registry::change;
use super::*;
use crate::chat::registry::{Change, Conversation, Fact, Rules};
use crate::id::AccountId;
use std::num::NonZeroU32;

fn few(scratch: &Scratch, keep_messages: u32) -> Settings {
    Settings {
        keep_messages,
        ..settings(&scratch.store())
    }
}

impl Scene {
    /// Waits until the oldest entries of a room are removed.
    fn forgotten(&mut self, of: StoredRoom, first: u32) {
        self.wait_for(|answer| match answer {
            Answer::Forgotten { room, oldest } if *room == of && oldest.0 >= first => Some(()),
            _ => None,
        });
    }
}

#[test]
fn oldest_entries_of_a_room_with_too_many_are_removed() {
    let scratch = Scratch::new();
    let mut scene = Scene::with(&few(&scratch, 200));
    scene.keeps(ROOM, 1..=1000);
    scene.keeps(OTHER, 1..=250);
    scene.forgotten(ROOM, 1000 - 200 - SLACK + 1);
    let kept = scene.kept(ROOM).expect("the room");
    let count = kept.head.0 - kept.oldest.0 + 1;
    assert!((200..=200 + SLACK).contains(&count), "{count}");
    let page = scene.page(ROOM, 0, 10).expect("a page");
    assert_eq!(page.oldest, kept.oldest);
    assert_eq!(page.entries[0].seq, kept.oldest);
    assert_eq!(scene.kept(OTHER).expect("the room").oldest, Seq(1));
}

#[test]
fn entries_that_are_too_old_are_removed_and_the_room_keeps_its_numbers() {
    let scratch = Scratch::new();
    let mut scene = Scene::open(&scratch);
    for (room, last_old) in [(ROOM, 350), (OTHER, 10)] {
        for seq in 1..=350 {
            let mut record = scene.record(room, seq, "hello");
            let age = if seq <= last_old { 3 } else { 1 };
            record.at = Millis(NOW.0 - age * DAY_MS);
            scene.requests.push(Request::Append(Box::new(record)));
        }
    }
    scene.handle.send(&mut scene.requests);
    scene.stored(OTHER, 350);
    drop(scene);

    let settings = Settings {
        keep_days: 2,
        ..settings(&scratch.store())
    };
    let mut scene = Scene::with(&settings);
    scene.forgotten(ROOM, 351);
    scene.forgotten(OTHER, 11);
    let kept = scene.kept(ROOM).expect("the room");
    assert_eq!((kept.oldest, kept.head), (Seq(351), Seq(350)));
    let page = scene.page(ROOM, 0, 10).expect("a page");
    assert_eq!(
        (page.entries.len(), page.oldest, page.complete_to),
        (0, Seq(351), Seq(350))
    );
    drop(scene);
    // The number goes on although nothing is left to count.
    let mut scene = Scene::with(&settings);
    let kept = scene.kept(ROOM).expect("the room");
    assert_eq!((kept.oldest, kept.head), (Seq(351), Seq(350)));
    scene.keeps(ROOM, 351..=352);
    assert_eq!(scene.texts(ROOM, 0), ["message 351", "message 352"]);
    drop(scene);
    let report = super::super::check(&scratch.store(), &mut |_| {}).expect("a report");
    assert_eq!(report.problems, [""; 0]);
}

/// The rules of a room whose entries are kept for another time than those of others.
fn kept_for(room: StoredRoom, days: u32) -> Fact {
    Fact::Rules {
        room: name(room),
        rules: Rules {
            keep_days: Some(days),
            ..Rules::default()
        },
    }
}

#[test]
fn entries_of_a_room_are_kept_for_a_time_of_its_own() {
    let scratch = Scratch::new();
    let third = StoredRoom(3);
    let settings = Settings {
        keep_days: 5,
        ..settings(&scratch.store())
    };
    let mut scene = Scene::with(&settings);
    let rules = vec![kept_for(ROOM, 2), kept_for(OTHER, 20)];
    scene.changes(change(1, rules));
    // The entries 1 to 10 are ten days old, and so on to the last, which are of today.
    for room in [ROOM, OTHER, third] {
        for seq in 1..=110 {
            let mut record = scene.record(room, seq, "hello");
            let age = u64::from(10 - (seq - 1) / 10);
            record.at = Millis(NOW.0 - age * DAY_MS);
            scene.requests.push(Request::Append(Box::new(record)));
        }
        scene.handle.send(&mut scene.requests);
        scene.stored(room, 110);
    }
    drop(scene);
    let mut scene = Scene::with(&settings);
    let is_left = |scene: &mut Scene, expected: [u32; 3]| {
        let end = moment() + PATIENCE;
        loop {
            let rooms = [ROOM, OTHER, third];
            let oldest = rooms.map(|room| scene.kept(room).expect("the room").oldest.0);
            if oldest == expected {
                return;
            }
            assert!(moment() < end, "{oldest:?} instead of {expected:?}");
        }
    };
    // Some of it may be removed by the first scene.
    is_left(&mut scene, [81, 1, 51]);
    // A new setting takes effect at once.
    scene.changes(change(2, vec![kept_for(OTHER, 1)]));
    is_left(&mut scene, [81, 91, 51]);
    assert_eq!(scene.page(OTHER, 0, 200).expect("a page").oldest, Seq(91));
}

#[test]
fn store_that_is_too_large_loses_the_oldest_of_its_largest_room() {
    let scratch = Scratch::new();
    let settings = Settings {
        max_bytes: 400_000,
        ..settings(&scratch.store())
    };
    let mut scene = Scene::with(&settings);
    scene.keeps(OTHER, 1..=100);
    for from in (1..=20_000).step_by(1000) {
        scene.keeps(ROOM, from..=from + 999);
    }
    scene.forgotten(ROOM, 5_000);
    assert_eq!(scene.kept(OTHER).expect("the room").oldest, Seq(1));
    drop(scene);
    let size = fs::metadata(scratch.file()).expect("a file").len();
    assert!(size < 1_200_000, "{size}");
}

#[test]
fn free_pages_go_back_to_the_file_system() {
    let scratch = Scratch::new();
    let mut scene = Scene::open(&scratch);
    scene.keeps(ROOM, 1..=50_000);
    drop(scene);
    let size = || fs::metadata(scratch.file()).expect("a file").len();
    let before = size();
    let mut scene = Scene::with(&few(&scratch, 1));
    scene.forgotten(ROOM, 49_900);
    let end = moment() + PATIENCE;
    // The file shrinks at a checkpoint.
    while size() > 300 * 4096 {
        assert!(moment() < end, "{} of {before} bytes are left", size());
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn keys_expire() {
    let scratch = Scratch::new();
    let mut scene = Scene::open(&scratch);
    for seq in 1..=300 {
        let mut record = scene.record(ROOM, seq, "hello");
        record.at = Millis(NOW.0 - if seq <= 250 { 2 * DAY_MS } else { 1 });
        let request = keyed(record, u64::from(seq), "k");
        scene.requests.push(request);
    }
    scene.handle.send(&mut scene.requests);
    scene.stored(ROOM, 300);
    assert!(scene.keys(250).is_empty());
    assert_eq!(scene.keys(251).len(), 1);
    drop(scene);
    let count = || {
        let db = super::super::schema::open(&scratch.file(), false).expect("a store");
        db.query_row("SELECT count(*) FROM keys", [], |row| row.get::<_, u32>(0))
            .expect("a number")
    };
    // The store removes them while it is open, in steps.
    let end = moment() + PATIENCE;
    while count() != 50 {
        assert!(moment() < end, "{} keys are left", count());
        let scene = Scene::open(&scratch);
        std::thread::sleep(Duration::from_millis(20));
        drop(scene);
    }
}

#[test]
fn what_two_said_alone_is_removed_when_their_conversation_is_forgotten() {
    let scratch = Scratch::new();
    let mut scene = Scene::open(&scratch);
    let account = |number| AccountId(NonZeroU32::new(number).expect("not zero"));
    let fact = Fact::Conversation(Conversation {
        accounts: [account(7), account(9)],
        at: NOW,
        unseen: [Seq(0); 2],
    });
    let change = |number, puts, forgets| {
        let audit = None;
        Request::Change(Box::new(Change {
            number,
            at: NOW,
            puts,
            forgets,
            audit,
        }))
    };
    scene.ask(change(1, vec![fact.clone()], Vec::new()));
    for seq in 1..=250 {
        let mut record = scene.record(ROOM, seq, "between us");
        record.name = "@7.9".into();
        scene.requests.push(Request::Append(Box::new(record)));
    }
    scene.handle.send(&mut scene.requests);
    scene.stored(ROOM, 250);
    scene.keeps(OTHER, 1..=5);
    drop(scene);

    // A sweep leaves it while it is known.
    let mut scene = Scene::open(&scratch);
    scene.keeps(OTHER, 6..=10);
    assert_eq!(scene.texts(ROOM, 249), ["between us"]);
    scene.ask(change(2, Vec::new(), vec![fact.key()]));
    scene.forgotten(ROOM, 251);
    assert_eq!(scene.kept(OTHER).expect("the room").oldest, Seq(1));
}
