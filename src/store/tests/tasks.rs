//! Backups, exports and checks, of a store that runs and of one that does not.

use super::super::{Copied, backup, check, export, schema};
use super::*;

fn exported(directory: &Path, room: &str) -> Result<String, StoreError> {
    let mut lines = Vec::new();
    export(directory, room, &mut lines)?;
    Ok(String::from_utf8(lines).expect("text"))
}

/// A new directory with the copy as its store.
fn restored(scratch: &Scratch, copy: &Path) -> PathBuf {
    let directory = scratch.path.join("restored");
    fs::create_dir(&directory).expect("a directory");
    fs::copy(copy, directory.join("parlor.db")).expect("the copy");
    directory
}

#[test]
fn backup_of_a_running_store_is_whole_and_can_be_restored() {
    let scratch = Scratch::new();
    let mut scene = Scene::open(&scratch);
    scene.keeps(ROOM, 1..=20_000);
    let copy = scratch.path.join("copy.db");
    scene.ask(Request::Backup {
        tag: 4,
        path: copy.clone(),
    });
    scene.keeps(ROOM, 20_001..=20_100);
    scene.wait_for(|answer| match answer {
        Answer::Copied {
            tag: 4,
            done,
            pages,
        } if done == pages => Some(()),
        Answer::TaskFailed { why, .. } => panic!("{why}"),
        _ => None,
    });
    scene.keeps(ROOM, 20_101..=20_200);
    let first = scene.started.epochs[0];
    drop(scene);
    assert_eq!(
        check(&copy, &mut |_| {}).expect("a report").problems,
        [""; 0]
    );

    let directory = restored(&scratch, &copy);
    let mut other = surroundings(Box::new(|| {}));
    other.random = [9; 36];
    let (started, handle) = open(&settings(&directory), other).expect("a store");
    drop(handle);
    assert_eq!(started.epoch, 2);
    assert_eq!(started.epochs[0], first);
    assert_ne!(started.epochs[1].salt, first.salt);
    let report = check(&directory, &mut |_| {}).expect("a report");
    assert_eq!(report.problems, [""; 0]);
    assert!((20_000..=20_200).contains(&report.entries));
}

#[test]
fn backup_never_writes_over_a_file() {
    let scratch = Scratch::new();
    let mut scene = Scene::open(&scratch);
    let copy = scratch.path.join("copy.db");
    fs::write(&copy, "precious").expect("a file");
    scene.ask(Request::Backup {
        tag: 4,
        path: copy.clone(),
    });
    let why = scene.wait_for(|answer| match answer {
        Answer::TaskFailed { tag: 4, why } => Some(why.clone()),
        _ => None,
    });
    assert!(why.contains("copy.db is there already"), "{why}");
    assert_eq!(fs::read(&copy).expect("a file"), b"precious");
    drop(scene);
    let error = backup(&scratch.store(), &copy, &mut |_| {}).expect_err("it is there");
    assert!(error.to_string().contains("is there already"));
}

#[test]
fn store_that_does_not_run_is_copied() {
    let scratch = Scratch::new();
    Scene::open(&scratch).keeps(ROOM, 1..=20_000);
    let copy = scratch.path.join("copy.db");
    let mut last = Copied { done: 0, pages: 0 };
    backup(&scratch.store(), &copy, &mut |copied| last = copied).expect("a copy");
    assert!(last.done == last.pages && last.pages > 64);
    let directory = restored(&scratch, &copy);
    assert_eq!(
        check(&directory, &mut |_| {}).expect("a report").entries,
        20_000
    );
}

#[test]
fn export_has_every_entry_as_one_line_of_json() {
    let scratch = Scratch::new();
    let mut scene = Scene::open(&scratch);
    let mut record = scene.record(ROOM, 1, "");
    record.draft = said("ann", "say \"hi\"\n\u{1}");
    scene.ask(Request::Append(Box::new(record.clone())));
    record.seq = Seq(2);
    record.draft.content = Content::said(
        Manner::Action,
        String::from("waves"),
        Some(Seq(1)),
        Author::Unknown,
    );
    scene.ask(Request::Append(Box::new(record.clone())));
    record.seq = Seq(3);
    record.draft.content = Content::Kicked {
        by: String::from("bob"),
        reason: String::from("spam"),
    };
    scene.ask(Request::Append(Box::new(record)));
    scene.stored(ROOM, 3);
    let at = NOW.0 + 1;
    let expected = format!(
        "{{\"type\":\"message\",\"room\":\"lobby\",\"seq\":1,\"time\":{at},\"nick\":\"ann\",\
         \"kind\":\"message\",\"text\":\"say \\\"hi\\\"\\n\\u0001\"}}\n\
         {{\"type\":\"message\",\"room\":\"lobby\",\"seq\":2,\"time\":{at},\"nick\":\"ann\",\
         \"kind\":\"action\",\"text\":\"waves\",\"reply_to\":1}}\n\
         {{\"type\":\"kicked\",\"room\":\"lobby\",\"seq\":3,\"time\":{at},\"nick\":\"ann\",\
         \"by\":\"bob\",\"reason\":\"spam\"}}\n"
    );
    let mut after = Some(Seq(0));
    let mut lines = String::new();
    while let Some(from) = after {
        scene.ask(Request::Export {
            tag: 1,
            name: name(ROOM),
            after: from,
        });
        let (next, part) = scene.wait_for(|answer| match answer {
            Answer::Exported { next, lines, .. } => Some((*next, lines.clone())),
            _ => None,
        });
        lines.push_str(&part);
        after = next;
    }
    assert_eq!(lines, expected);
    drop(scene);
    assert_eq!(
        exported(&scratch.store(), "lobby").expect("lines"),
        expected
    );
}

#[test]
fn export_of_a_room_that_is_not_there_is_refused() {
    let scratch = Scratch::new();
    Scene::open(&scratch).keeps(ROOM, 1..=1);
    let error = exported(&scratch.store(), "nowhere").expect_err("no such room");
    assert_eq!(error.to_string(), "the store has no room nowhere");
    let error = exported(&scratch.path.join("x"), "lobby").expect_err("no store");
    assert!(error.to_string().contains("there is no store at"));
}

#[test]
fn large_room_is_exported_whole() {
    let scratch = Scratch::new();
    Scene::open(&scratch).keeps(ROOM, 1..=5500);
    let lines = exported(&scratch.store(), "lobby").expect("lines");
    let is_numbered = |(line, seq): (&str, u32)| line.contains(&format!("\"seq\":{seq},"));
    assert_eq!(lines.lines().count(), 5500);
    assert!(lines.lines().zip(1..).all(is_numbered));
}

#[test]
fn running_store_is_checked_on_a_copy() {
    let scratch = Scratch::new();
    let mut scene = Scene::open(&scratch);
    scene.keeps(ROOM, 1..=1000);
    scene.ask(Request::Check { tag: 8 });
    let problems = scene.wait_for(|answer| match answer {
        Answer::Checked { tag: 8, problems } => Some(problems.clone()),
        Answer::TaskFailed { why, .. } => panic!("{why}"),
        _ => None,
    });
    assert_eq!(problems, [""; 0]);
    assert!(!scratch.store().join("check.tmp").exists());
}

/// What a check says after this change to a good store.
fn problem_after(change: &str) -> String {
    let scratch = Scratch::new();
    let mut scene = Scene::open(&scratch);
    scene.keeps(ROOM, 1..=10);
    drop(scene);
    let db = schema::open(&scratch.file(), false).expect("a store");
    db.execute_batch(change).expect("a change");
    drop(db);
    let report = check(&scratch.store(), &mut |_| {}).expect("a report");
    report.problems.join("; ")
}

#[test]
fn check_finds_what_breaks_our_rules() {
    let after = problem_after;
    assert_eq!(after(""), "");
    let five = "(1 << 32) + 5";
    assert_eq!(
        after(&format!("DELETE FROM messages WHERE id = {five}")),
        "room lobby: entry 6 is where entry 5 should be"
    );
    assert_eq!(
        after(&format!("UPDATE messages SET at = 1 WHERE id = {five}")),
        "room lobby: entry 5 is older than the one before it"
    );
    assert_eq!(
        after(&format!("UPDATE messages SET kind = 9 WHERE id = {five}")),
        "room lobby: entry 5 has the unknown kind 9"
    );
    assert_eq!(
        after("UPDATE rooms SET head_seq = 11"),
        "room lobby: its newest entry is 10, and there was an entry 11"
    );
    assert_eq!(
        after("INSERT INTO eras VALUES (1, 2, 1)"),
        "room lobby: epoch 2 begins with entry 1, after 1 and up to 10; \
         1 eras are of an epoch that has not begun"
    );
    assert_eq!(
        after("DELETE FROM eras"),
        "room lobby: it has entries and no era"
    );
    assert_eq!(
        after(
            "INSERT INTO messages SELECT id + (1 << 32), at, kind, target, nick, actor, body,
               session, account, changed_by FROM messages LIMIT 1"
        ),
        "1 entries are of no room"
    );
    assert_eq!(after("DELETE FROM meta"), "1 session keys are missing");
}
