//! A start: what it makes, what it refuses and how it says so.

use super::*;
use rusqlite::Connection;
use std::os::unix::fs::PermissionsExt;

fn refusal(settings: &Settings) -> String {
    match Scene::try_with(settings) {
        Ok(_) => panic!("the store opens"),
        Err(error) => error.to_string(),
    }
}

fn refusal_in(scratch: &Scratch) -> String {
    refusal(&settings(&scratch.store()))
}

#[test]
fn only_its_owner_may_read_a_new_store() {
    let scratch = Scratch::new();
    let _scene = Scene::open(&scratch);
    let mode = |path: PathBuf| {
        fs::metadata(path)
            .expect("it is there")
            .permissions()
            .mode()
    };
    assert_eq!(mode(scratch.store()) & 0o777, 0o700);
    assert_eq!(mode(scratch.file()) & 0o777, 0o600);
    assert_eq!(mode(scratch.store().join("parlor.db-wal")) & 0o777, 0o600);
}

/// A page of it that the disk cannot read would be a signal that ends the process.
#[test]
fn no_file_of_shared_memory_is_made_also_for_a_store_that_was_there() {
    let scratch = Scratch::new();
    for seq in 1..=2 {
        let mut scene = Scene::open(&scratch);
        scene.says(ROOM, seq, "hello");
        scene.stored(ROOM, seq);
        assert!(
            !scratch.store().join("parlor.db-shm").exists(),
            "start {seq}"
        );
    }
}

#[test]
fn second_process_is_refused_with_the_pid_of_the_first() {
    let scratch = Scratch::new();
    let _scene = Scene::open(&scratch);
    let pid = std::process::id();
    let expected = format!("is in use by process {pid}: stop it first");
    assert!(refusal_in(&scratch).contains(&expected));
    let error = super::super::check(&scratch.store(), &mut |_| {}).expect_err("it is in use");
    assert!(error.to_string().contains(&expected));
}

#[test]
fn another_program_that_has_the_file_is_noticed() {
    let scratch = Scratch::new();
    drop(Scene::open(&scratch));
    let db = Connection::open(scratch.file()).expect("SQLite opens it");
    db.execute_batch("BEGIN IMMEDIATE")
        .expect("it locks the file");
    assert!(refusal_in(&scratch).contains("is in use by another process"));
}

#[test]
fn file_where_the_directory_should_be_is_refused() {
    let scratch = Scratch::new();
    fs::write(scratch.store(), "text").expect("a file");
    assert!(refusal_in(&scratch).contains("store is not a directory"));
    let below = settings(&scratch.store().join("below"));
    assert!(refusal(&below).contains("is not a directory"));
}

#[test]
fn newer_schema_is_refused_with_both_versions() {
    let scratch = Scratch::new();
    drop(Scene::open(&scratch));
    let db = Connection::open(scratch.file()).expect("SQLite opens it");
    db.execute_batch("PRAGMA user_version = 99")
        .expect("a version");
    drop(db);
    let refusal = refusal_in(&scratch);
    let known = super::super::schema::MIGRATIONS.len();
    let expected = format!("has schema version 99 and this parlor knows {known} at most");
    assert!(refusal.contains(&expected), "{refusal}");
}

#[test]
fn database_of_another_program_is_refused_and_not_changed() {
    let scratch = Scratch::new();
    fs::create_dir(scratch.store()).expect("a directory");
    let db = Connection::open(scratch.file()).expect("SQLite makes it");
    db.execute_batch("CREATE TABLE cats (name TEXT)")
        .expect("a table");
    drop(db);
    let before = fs::read(scratch.file()).expect("a file");
    assert!(refusal_in(&scratch).contains("belongs to another program"));
    assert_eq!(fs::read(scratch.file()).expect("a file"), before);
}

#[test]
fn file_of_another_kind_is_refused() {
    let scratch = Scratch::new();
    fs::create_dir(scratch.store()).expect("a directory");
    fs::write(scratch.file(), "text ".repeat(1000)).expect("a file");
    assert!(refusal_in(&scratch).contains("is damaged (file is not a database"));
}

#[test]
fn store_of_every_earlier_version_is_brought_up_to_date() {
    use super::super::schema::MIGRATIONS;
    for version in 1..=MIGRATIONS.len() {
        let scratch = Scratch::new();
        fs::create_dir(scratch.store()).expect("a directory");
        let db = Connection::open(scratch.file()).expect("SQLite makes it");
        for step in &MIGRATIONS[..version] {
            db.execute_batch(step).expect("a step");
        }
        db.execute_batch(&format!(
            "PRAGMA application_id = 1885434476; PRAGMA user_version = {version};
             INSERT INTO epochs VALUES (1, 5, 0);
             INSERT INTO rooms (id, name, created) VALUES (1, 'lobby', 0);
             INSERT INTO eras VALUES (1, 1, 1);
             INSERT INTO messages (id, at, kind, nick, body) VALUES (4294967297, 1, 0, 'ann', 'hi');"
        ))
        .expect("rows");
        drop(db);
        let mut scene = Scene::open(&scratch);
        assert_eq!(scene.texts(ROOM, 0), ["hi"]);
        assert_eq!(scene.started.epoch, 2);
    }
}

#[test]
fn old_epochs_are_forgotten() {
    let scratch = Scratch::new();
    drop(Scene::open(&scratch));
    let db = Connection::open(scratch.file()).expect("SQLite opens it");
    db.execute_batch(
        "WITH RECURSIVE n (n) AS (SELECT 2 UNION ALL SELECT n + 1 FROM n WHERE n < 1500)
         INSERT INTO epochs SELECT n, n, 0 FROM n",
    )
    .expect("epochs");
    drop(db);
    let started = Scene::open(&scratch).started;
    assert_eq!((started.epoch, started.epochs.len()), (1501, 1000));
    assert_eq!(started.epochs[999].epoch, 1501);
}
