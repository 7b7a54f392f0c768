//! Edits and deletions: the present form is read, whatever happened between, and what was deleted is
//! in no file any more.

use super::super::append::{Heads, append};
use super::super::{export, schema};
use super::*;
use crate::chat::Form;
use crate::log::PageEntry;
use rusqlite::Connection;

fn edit(scene: &Scene, seq: u32, of: u32, text: &str) -> Record {
    let mut record = scene.record(ROOM, seq, "");
    record.draft.content = Content::Edited {
        of: Seq(of),
        text: text.to_owned(),
    };
    record
}

fn deletion(scene: &Scene, seq: u32, of: u32) -> Record {
    let mut record = scene.record(ROOM, seq, "");
    record.draft.content = Content::Deleted { of: Seq(of) };
    record
}

/// Entry 1 is edited twice, entry 2 once and then deleted, entry 3 edited after it was deleted.
fn records(scene: &Scene) -> Vec<Record> {
    vec![
        scene.record(ROOM, 1, "one"),
        scene.record(ROOM, 2, "two"),
        scene.record(ROOM, 3, "three"),
        edit(scene, 4, 1, "uno"),
        edit(scene, 5, 2, "due"),
        deletion(scene, 6, 2),
        edit(scene, 7, 1, "un"),
        deletion(scene, 8, 3),
        edit(scene, 9, 3, "tre"),
    ]
}

fn line(entry: &PageEntry) -> String {
    match &entry.draft.content {
        Content::Said { text, form, .. } => match form {
            Form::Original => text.clone(),
            Form::Edited { by } => format!("{text} by {}", by.0),
            Form::Deleted => format!("{text}deleted"),
        },
        Content::Edited { of, text } => format!("edits {} {text}", of.0),
        Content::Deleted { of } => format!("deletes {}", of.0),
        Content::Kicked { .. } | Content::Act { .. } => panic!("nothing was done to a user"),
    }
}

/// What is kept after [`records`]: the edit of a message that is not there any more has no effect.
const PRESENT: [&str; 9] = [
    "un by 7",
    "deleted",
    "deleted",
    "edits 1 ",
    "edits 2 ",
    "deletes 2",
    "edits 1 un",
    "deletes 3",
    "edits 3 tre",
];

fn present(scene: &mut Scene) -> Vec<String> {
    let page = scene.page(ROOM, 0, 100).expect("a page");
    page.entries.iter().map(line).collect()
}

#[test]
fn messages_are_read_in_their_present_form() {
    let scratch = Scratch::new();
    let mut scene = Scene::open(&scratch);
    for record in records(&scene) {
        scene.ask(Request::Append(Box::new(record)));
    }
    scene.stored(ROOM, 9);
    assert_eq!(present(&mut scene), PRESENT);
    for (words, count) in [("one", 0), ("uno", 0), ("un", 1), ("two", 0), ("due", 0)] {
        scene.ask(Request::Search {
            tag: 1,
            stored_room: ROOM,
            words: words.to_owned(),
            before: Seq(u32::MAX),
            entries_max: 10,
        });
        let found = scene.wait_for(|answer| match answer {
            Answer::Found { entries, .. } => Some(entries.len()),
            _ => None,
        });
        assert_eq!(found, count, "{words}");
    }
    drop(scene);
    let mut scene = Scene::open(&scratch);
    assert_eq!(present(&mut scene), PRESENT);
}

#[test]
fn export_has_the_present_form() {
    let scratch = Scratch::new();
    let mut scene = Scene::open(&scratch);
    for record in records(&scene) {
        scene.ask(Request::Append(Box::new(record)));
    }
    scene.stored(ROOM, 9);
    drop(scene);
    let mut lines = Vec::new();
    export(&scratch.store(), "lobby", &mut lines).expect("an export");
    let lines = String::from_utf8(lines).expect("text");
    let line = |number: usize| lines.lines().nth(number - 1).expect("a line");
    assert!(line(1).ends_with(r#""kind":"message","text":"un","edited":true}"#));
    assert!(line(2).ends_with(r#""kind":"message","text":"","deleted":true}"#));
    assert!(line(4).ends_with(r#""nick":"ann","of":1}"#), "{}", line(4));
    assert!(line(6).contains(r#""type":"deleted""#) && line(6).ends_with(r#""by":"ann","of":2}"#));
    assert!(line(7).ends_with(r#""nick":"ann","of":1,"text":"un"}"#));
}

/// A commit that was reported as failed may have been made, and its records come again, alone or
/// with later ones.
#[test]
fn batch_that_comes_again_changes_nothing_more() {
    let scratch = Scratch::new();
    let scene = Scene::open(&scratch);
    let records = records(&scene);
    drop(scene);
    for first in 0..records.len() {
        for again in 0..=first {
            fs::remove_dir_all(scratch.store()).expect("the store of before");
            drop(Scene::open(&scratch));
            let db = schema::open(&scratch.file(), false).expect("the store");
            let batches = [&records[..=first], &records[again..]];
            for batch in batches {
                let mut batch: Vec<Box<Record>> = batch.iter().cloned().map(Box::new).collect();
                append(&db, &mut Heads::default(), &mut batch, &[]).expect("it is stored");
            }
            drop(db);
            let mut scene = Scene::open(&scratch);
            assert_eq!(present(&mut scene), PRESENT, "{first} and {again}");
        }
    }
}

#[test]
fn edit_of_a_message_that_retention_has_removed_is_kept_alone() {
    let scratch = Scratch::new();
    let mut scene = Scene::open(&scratch);
    scene.keeps(ROOM, 1..=3);
    drop(scene);
    let db = Connection::open(scratch.file()).expect("SQLite opens it");
    db.execute_batch(
        "DELETE FROM messages WHERE id = (1 << 32) + 1; UPDATE rooms SET first_seq = 2",
    )
    .expect("as retention does it");
    drop(db);
    let mut scene = Scene::open(&scratch);
    for record in [edit(&scene, 4, 1, "later"), edit(&scene, 5, 1, "last")] {
        scene.ask(Request::Append(Box::new(record)));
    }
    scene.stored(ROOM, 5);
    let mut expected = vec!["message 2", "message 3", "edits 1 ", "edits 1 last"];
    assert_eq!(present(&mut scene), expected);
    let record = deletion(&scene, 6, 1);
    scene.ask(Request::Append(Box::new(record)));
    scene.stored(ROOM, 6);
    expected[3] = "edits 1 ";
    expected.push("deletes 1");
    assert_eq!(present(&mut scene), expected);
}

#[test]
fn store_of_the_first_version_gets_what_is_new() {
    let scratch = Scratch::new();
    fs::create_dir(scratch.store()).expect("a directory");
    let db = Connection::open(scratch.file()).expect("SQLite makes it");
    let old = "PRAGMA auto_vacuum = INCREMENTAL";
    db.execute_batch(old).expect("a file");
    db.execute_batch(schema::MIGRATIONS[0]).expect("tables");
    db.execute_batch(
        "PRAGMA application_id = 1885434476; PRAGMA user_version = 1;
         INSERT INTO epochs VALUES (1, 1, 1);
         INSERT INTO rooms (id, name, created) VALUES (1, 'lobby', 1);
         INSERT INTO eras VALUES (1, 1, 1);
         INSERT INTO messages VALUES ((1 << 32) + 1, 1, 0, NULL, 'ann', NULL, 'old');",
    )
    .expect("a store of the first version");
    drop(db);
    let mut scene = Scene::open(&scratch);
    assert_eq!(present(&mut scene), ["old"]);
    let record = edit(&scene, 2, 1, "new");
    scene.ask(Request::Append(Box::new(record)));
    scene.stored(ROOM, 2);
    assert_eq!(present(&mut scene), ["new by 2", "edits 1 new"]);
}

// What was deleted is gone

/// Whether a file of a directory has some bytes in it.
fn is_in(directory: &Path, bytes: &[u8]) -> bool {
    let files = fs::read_dir(directory).expect("a directory");
    files.flatten().any(|file| {
        // A file may go while it is looked for.
        let has = fs::read(file.path()).unwrap_or_default();
        has.windows(bytes.len()).any(|window| window == bytes)
    })
}

/// Waits until no file of the store has a text.
fn is_gone_from(directory: &Path, text: &str) {
    let end = moment() + PATIENCE;
    while is_in(directory, text.as_bytes()) {
        assert!(moment() < end, "{text} is still in a file");
        std::thread::yield_now();
    }
}

const TEXTS: [&str; 3] = ["the-secret-one", "the-secret-two", "the-secret-three"];

/// A message that was edited twice and deleted, before the write-ahead log was emptied.
fn deletes_all(scratch: &Scratch) -> Scene {
    let mut scene = Scene::open(scratch);
    scene.keeps(ROOM, 1..=100);
    for (seq, text) in (101..).zip(TEXTS) {
        let record = match seq {
            101 => scene.record(ROOM, seq, &text.repeat(100)),
            _ => edit(&scene, seq, 101, &text.repeat(100)),
        };
        scene.ask(Request::Append(Box::new(record)));
        scene.stored(ROOM, seq);
        assert!(is_in(&scratch.store(), text.as_bytes()), "it is kept");
    }
    let record = deletion(&scene, 104, 101);
    scene.ask(Request::Append(Box::new(record)));
    scene.stored(ROOM, 104);
    scene
}

#[test]
fn deleted_text_is_in_no_file_of_the_store_soon_after() {
    let scratch = Scratch::new();
    let scene = deletes_all(&scratch);
    for text in TEXTS {
        is_gone_from(&scratch.store(), text);
    }
    drop(scene);
}

/// The files as they are when the process is killed after the deletion was acknowledged.
#[test]
fn deleted_text_is_in_no_file_after_the_next_start_when_the_last_was_killed() {
    let scratch = Scratch::new();
    let scene = deletes_all(&scratch);
    let killed = Scratch::new();
    fs::create_dir(killed.store()).expect("a directory");
    for name in ["parlor.db-wal", "parlor.db"] {
        fs::copy(scratch.store().join(name), killed.store().join(name)).expect("a copy");
    }
    drop(scene);
    let mut scene = Scene::open(&killed);
    for text in TEXTS {
        is_gone_from(&killed.store(), text);
    }
    assert_eq!(
        scene.page(ROOM, 100, 1).map(|page| line(&page.entries[0])),
        Ok("deleted".into())
    );
}
