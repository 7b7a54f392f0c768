//! What was handed over is there, once and in order, also after a restart.

use super::*;
use crate::id::AccountId;
use crate::log::Era;
use std::num::NonZeroU32;

#[test]
fn entries_are_there_after_a_restart() {
    let scratch = Scratch::new();
    let mut scene = Scene::open(&scratch);
    assert_eq!(scene.kept(ROOM), None);
    assert_eq!(scene.started.next_room, ROOM);
    scene.says(ROOM, 1, "hello");
    scene.says(ROOM, 2, "there");
    scene.stored(ROOM, 2);
    drop(scene);

    let mut scene = Scene::open(&scratch);
    assert_eq!(scene.texts(ROOM, 0), ["hello", "there"]);
    assert_eq!(scene.started.next_room, OTHER);
}

#[test]
fn what_was_handed_over_is_stored_when_the_handle_is_dropped() {
    let scratch = Scratch::new();
    let mut scene = Scene::open(&scratch);
    scene.says_all(ROOM, 1..=500);
    drop(scene);
    assert!(!scratch.store().join("parlor.db-wal").exists());
    let kept = Scene::open(&scratch).kept(ROOM).expect("the room");
    assert_eq!(kept.head, Seq(500));
}

#[test]
fn every_form_of_an_entry_comes_back_as_it_was() {
    let scratch = Scratch::new();
    let mut scene = Scene::open(&scratch);
    let forms = [
        Content::said(
            Manner::Action,
            String::from("waves 上海 \u{1f44b}"),
            None,
            Author::Session(u64::MAX),
        ),
        Content::said(
            Manner::Message,
            String::from("yes"),
            Some(Seq(1)),
            Author::Account(AccountId(NonZeroU32::MAX)),
        ),
        Content::Kicked {
            by: String::from("bob"),
            reason: String::new(),
        },
    ];
    let mut drafts = Vec::new();
    for (seq, content) in (1..).zip(forms) {
        let mut record = scene.record(ROOM, seq, "");
        record.draft.content = content;
        drafts.push(record.draft.clone());
        scene.ask(Request::Append(Box::new(record)));
    }
    let page = scene.page(ROOM, 0, 10).expect("a page");
    let read: Vec<_> = page.entries.into_iter().map(|entry| entry.draft).collect();
    assert_eq!(read, drafts);
}

#[test]
fn each_start_is_an_epoch_and_a_room_names_those_in_which_it_got_entries() {
    let scratch = Scratch::new();
    Scene::open(&scratch).keeps(ROOM, 1..=3);
    drop(Scene::open(&scratch));
    let mut scene = Scene::open(&scratch);
    assert_eq!(scene.started.epoch, 3);
    let epochs: Vec<_> = scene
        .started
        .epochs
        .iter()
        .map(|known| known.epoch)
        .collect();
    assert_eq!(epochs, [1, 2, 3]);
    scene.keeps(ROOM, 4..=4);
    let kept = scene.kept(ROOM).expect("the room");
    let eras = [(1, 1), (3, 4)].map(|(epoch, first)| Era {
        epoch,
        first: Seq(first),
    });
    assert_eq!(kept.eras, eras);
    assert_eq!((kept.oldest, kept.head), (Seq(1), Seq(4)));
    assert_eq!(kept.at, Millis(NOW.0 + 4));
}

#[test]
fn the_key_of_session_tokens_stays_the_same() {
    let scratch = Scratch::new();
    let first = Scene::open(&scratch).started.session_key;
    let mut other = surroundings(Box::new(|| {}));
    other.random = [8; 36];
    let (started, _handle) = open(&settings(&scratch.store()), other).expect("a store");
    assert_eq!(started.session_key, first);
    assert_ne!(started.epochs[0].salt, started.epochs[1].salt);
}

#[test]
fn entry_that_is_handed_over_again_is_stored_once() {
    let scratch = Scratch::new();
    let mut scene = Scene::open(&scratch);
    scene.keeps(ROOM, 1..=3);
    scene.keeps(ROOM, 2..=4);
    assert_eq!(scene.page(ROOM, 0, 10).expect("a page").entries.len(), 4);
    // Also where nothing is remembered of the room.
    drop(scene);
    let mut scene = Scene::open(&scratch);
    scene.started.epoch = 1;
    scene.keeps(ROOM, 3..=4);
    assert_eq!(scene.page(ROOM, 0, 10).expect("a page").entries.len(), 4);
}

#[test]
fn page_ends_at_its_bounds_and_says_up_to_where_it_is_complete() {
    let scratch = Scratch::new();
    let mut scene = Scene::open(&scratch);
    scene.keeps(ROOM, 1..=100);
    scene.keeps(OTHER, 1..=5);
    let page = scene.page(ROOM, 40, 20).expect("a page");
    let seqs: Vec<_> = page.entries.iter().map(|entry| entry.seq.0).collect();
    assert_eq!(seqs, (41..=60).collect::<Vec<_>>());
    assert_eq!((page.complete_to, page.oldest), (Seq(60), Seq(1)));
    let page = scene.page(ROOM, 95, 50).expect("a page");
    assert_eq!((page.entries.len(), page.complete_to), (5, Seq(100)));
    let page = scene.page(ROOM, 100, 50).expect("a page");
    assert_eq!((page.entries.len(), page.complete_to), (0, Seq(100)));
    scene.ask(Request::Read {
        room: id(ROOM),
        stored_room: ROOM,
        log_gen: 0,
        after: Seq(0),
        entries_max: 50,
        bytes_max: 1,
    });
    let count = scene.wait_for(|answer| match answer {
        Answer::Page { page, .. } => Some(page.entries.len()),
        _ => None,
    });
    assert_eq!(count, 1);
}

#[test]
fn newest_page_of_a_room_is_read_from_its_end() {
    let scratch = Scratch::new();
    let mut scene = Scene::open(&scratch);
    scene.keeps(ROOM, 1..=3000);
    let head = scene.kept(ROOM).expect("the room").head.0;
    assert_eq!(
        scene.texts(ROOM, head - 2),
        ["message 2999", "message 3000"]
    );
}

#[test]
fn room_that_is_not_stored_yet_has_an_empty_page() {
    let scratch = Scratch::new();
    let page = Scene::open(&scratch).page(ROOM, 7, 10).expect("a page");
    assert_eq!((page.entries.len(), page.complete_to), (0, Seq(7)));
}

#[test]
fn newest_keys_of_a_session_come_back() {
    let scratch = Scratch::new();
    let mut scene = Scene::open(&scratch);
    for seq in 1..=400 {
        let record = scene.record(ROOM, seq, "hello");
        let request = keyed(record, u64::MAX - u64::from(seq % 2), &format!("k{seq}"));
        scene.requests.push(request);
    }
    scene.handle.send(&mut scene.requests);
    scene.stored(ROOM, 400);
    let keys = scene.keys(u64::MAX);
    assert_eq!(keys.len(), 64);
    assert_eq!((keys[0].key.as_str(), keys[0].seq), ("k400", Seq(400)));
    assert_eq!((keys[63].key.as_str(), keys[63].seq), ("k274", Seq(274)));
    assert!(keys.iter().all(|key| key.stored_room == ROOM));
    assert!(scene.keys(1).is_empty());
    drop(scene);
    let db = super::super::schema::open(&scratch.file(), false).expect("a store");
    let count: u32 = db
        .query_row("SELECT count(*) FROM keys", [], |row| row.get(0))
        .expect("a number");
    assert!(count < 2 * (64 + 64), "{count} keys are kept");
}

#[test]
fn words_are_found_newest_first_and_page_by_page() {
    let scratch = Scratch::new();
    let mut scene = Scene::open(&scratch);
    let texts = ["Straße", "nothing", "我明天去上海出差", "DIE STRASSE", "x"];
    for (seq, text) in (1..).zip(texts) {
        scene.says(ROOM, seq, text);
    }
    scene.says(OTHER, 1, "strasse");
    let mut found = |words: &str, before, entries_max| {
        scene.ask(Request::Search {
            tag: 3,
            stored_room: ROOM,
            words: words.to_owned(),
            before: Seq(before),
            entries_max,
        });
        scene.wait_for(|answer| match answer {
            Answer::Found { entries, more, .. } => {
                let seqs: Vec<_> = entries.iter().map(|entry| entry.seq.0).collect();
                Some((seqs, *more))
            }
            _ => None,
        })
    };
    assert_eq!(found("straße", 100, 50), (vec![4, 1], false));
    assert_eq!(found("strasse", 100, 1), (vec![4], true));
    assert_eq!(found("strasse", 4, 1), (vec![1], false));
    assert_eq!(found("上海", 100, 50), (vec![3], false));
    assert_eq!(found("   ", 100, 50), (vec![], false));
}

#[test]
fn search_ends_when_it_has_found_a_page_of_text() {
    let scratch = Scratch::new();
    let mut scene = Scene::open(&scratch);
    for seq in 1..=3 {
        scene.says(ROOM, seq, &"long ".repeat(4000));
    }
    scene.ask(Request::Search {
        tag: 3,
        stored_room: ROOM,
        words: String::from("long"),
        before: Seq(100),
        entries_max: 50,
    });
    let found = scene.wait_for(|answer| match answer {
        Answer::Found { entries, more, .. } => Some((entries.len(), *more)),
        _ => None,
    });
    assert_eq!(found, (2, true));
}

#[test]
fn requests_are_handed_over_although_the_thread_is_busy() {
    let scratch = Scratch::new();
    let mut scene = Scene::open(&scratch);
    for seq in 1..=5000 {
        scene.says(ROOM, seq, "hello");
    }
    scene.stored(ROOM, 5000);
}
