//! What a disk does to a store, and what goes on. The thread's turns are taken one by one where a
//! fault begins and ends between two of them.

use super::super::handle::Shared;
use super::super::thread::Thread;
use super::super::{StoreError, schema};
use super::*;
use rusqlite::Connection;
use std::cell::Cell;
use std::io;
use std::sync::Arc;

/// A store without its thread: the test takes the turns.
struct Stepped<'c> {
    thread: Thread<'c>,
    handle: Handle,
    shared: Arc<Shared>,
    answers: Vec<Answer>,
}

thread_local! {
    /// By how much the clock of [`stopped_clock`] was set forward.
    static AHEAD: Cell<Duration> = const { Cell::new(Duration::ZERO) };
    static BEGUN: Instant = moment();
}

fn stopped_clock() -> Instant {
    BEGUN.with(|begun| *begun) + AHEAD.get()
}

impl<'c> Stepped<'c> {
    fn new(db: &'c Connection, scratch: &Scratch) -> Self {
        Self::with_clock(db, scratch, moment)
    }

    fn with_clock(db: &'c Connection, scratch: &Scratch, moment: fn() -> Instant) -> Self {
        let shared = Arc::new(Shared::new(Box::new(|| {})));
        let clocks = Clocks {
            moment,
            ..surroundings(Box::new(|| {})).clocks
        };
        let thread = Thread::new(
            db,
            Arc::clone(&shared),
            settings(&scratch.store()),
            clocks,
            Arc::default(),
            scratch.store().join("check.tmp"),
        );
        Self {
            thread,
            handle: Handle::new(Arc::clone(&shared)),
            shared,
            answers: Vec::new(),
        }
    }

    fn hand_over(&mut self, records: impl IntoIterator<Item = Record>) {
        let mut requests = records
            .into_iter()
            .map(|record| Request::Append(Box::new(record)))
            .collect();
        self.handle.send(&mut requests);
    }

    /// What came of one turn, and of those that wait for more entries.
    fn turn(&mut self) -> Vec<Answer> {
        self.thread.turn();
        while self.thread.waits_for_company() {
            self.thread.turn();
        }
        self.answers()
    }

    fn answers(&mut self) -> Vec<Answer> {
        self.handle.receive(&mut self.answers);
        std::mem::take(&mut self.answers)
    }
}

impl Drop for Stepped<'_> {
    fn drop(&mut self) {
        // The handle waits for it.
        self.shared.end();
    }
}

fn file(scratch: &Scratch) -> Connection {
    fs::create_dir(scratch.store()).expect("a directory");
    fs::write(scratch.file(), "").expect("a file");
    schema::open(&scratch.file(), true).expect("a store")
}

fn record(room: StoredRoom, seq: u32, text: &str) -> Record {
    Record {
        room: id(room),
        stored_room: room,
        name: name(room),
        epoch: 1,
        seq: Seq(seq),
        at: Millis(NOW.0 + u64::from(seq)),
        draft: said("ann", text),
        key: None,
    }
}

fn is_failing(answers: &[Answer], part: &str) -> bool {
    let is_it = |answer: &Answer| match answer {
        Answer::Health(Health::Failing { why }) => why.contains(part),
        _ => false,
    };
    answers.iter().any(is_it)
}

fn stored_to(answers: &[Answer], of: StoredRoom) -> Option<Seq> {
    answers.iter().find_map(|answer| match answer {
        Answer::Stored { room, upto } if *room == id(of) => Some(*upto),
        _ => None,
    })
}

fn count(db: &Connection, table: &str) -> u32 {
    let sql = format!("SELECT count(*) FROM {table}");
    db.query_row(&sql, [], |row| row.get(0)).expect("a number")
}

#[test]
fn full_disk_keeps_what_waits_and_it_is_stored_once_when_there_is_space() {
    let scratch = Scratch::new();
    let db = file(&scratch);
    let mut store = Stepped::new(&db, &scratch);
    store.hand_over([record(ROOM, 1, "first")]);
    assert_eq!(stored_to(&store.turn(), ROOM), Some(Seq(1)));
    db.query_row("PRAGMA page_count", [], |row| row.get::<_, u32>(0))
        .and_then(|pages| schema::pragma(&db, &format!("max_page_count = {}", pages + 2)))
        .expect("a limit");
    let long = "x".repeat(2000);
    store.hand_over((2..=100).map(|seq| record(ROOM, seq, &long)));
    let answers = store.turn();
    assert!(is_failing(&answers, "full"), "{answers:?}");
    assert_eq!(count(&db, "messages"), 1);
    // The next attempts are silent, and reading works.
    assert!(store.turn().is_empty());
    store.handle.send(&mut vec![Request::Open {
        room: id(ROOM),
        name: name(ROOM),
    }]);
    let answers = store.turn();
    assert!(
        matches!(&answers[..], [Answer::Opened { kept: Some(kept), .. }] if kept.head == Seq(1))
    );

    schema::pragma(&db, "max_page_count = 100000").expect("a limit");
    let mut answers = Vec::new();
    while answers.is_empty() {
        answers = store.turn();
    }
    assert_eq!(stored_to(&answers, ROOM), Some(Seq(100)));
    let is_good = |answer: &Answer| matches!(answer, Answer::Health(Health::Good));
    assert!(answers.iter().any(is_good));
    assert_eq!(count(&db, "messages"), 100);
    assert_eq!(count(&db, "eras"), 1);
}

#[test]
fn batch_that_came_to_the_disk_although_it_failed_is_not_stored_twice() {
    let scratch = Scratch::new();
    let db = file(&scratch);
    let mut store = Stepped::new(&db, &scratch);
    schema::pragma(&db, "query_only = ON").expect("it is set");
    store.hand_over([record(ROOM, 1, "first"), record(ROOM, 2, "second")]);
    assert!(is_failing(&store.turn(), "readonly"));
    schema::pragma(&db, "query_only = OFF").expect("it is set");
    // As after a failed fsync: the rows are there, and no answer said so.
    let mut batch = vec![
        Box::new(record(ROOM, 1, "first")),
        Box::new(record(ROOM, 2, "second")),
    ];
    let mut heads = super::super::append::Heads::default();
    super::super::append::append(&db, &mut heads, &mut batch, &[]).expect("it is stored");
    store.hand_over([record(ROOM, 3, "third")]);
    let mut answers = Vec::new();
    while answers.is_empty() {
        answers = store.turn();
    }
    assert_eq!(stored_to(&answers, ROOM), Some(Seq(3)));
    assert_eq!(count(&db, "messages"), 3);
}

#[test]
fn number_of_another_entry_is_never_swallowed_and_other_rooms_go_on() {
    let scratch = Scratch::new();
    let db = file(&scratch);
    let mut store = Stepped::new(&db, &scratch);
    store.hand_over([record(ROOM, 1, "first"), record(ROOM, 2, "second")]);
    store.turn();
    store.hand_over([
        record(ROOM, 2, "another"),
        record(OTHER, 1, "hello"),
        record(ROOM, 3, "third"),
    ]);
    let answers = store.turn();
    let failed = answers.iter().find_map(|answer| match answer {
        Answer::RoomFailed { room, why } => Some((*room, why.clone())),
        _ => None,
    });
    let (room, why) = failed.expect("the room fails");
    assert_eq!(room, id(ROOM));
    assert_eq!(
        why,
        "entry 2 of room lobby is in the store with other content"
    );
    assert_eq!(stored_to(&answers, OTHER), Some(Seq(1)));
    assert_eq!(count(&db, "messages"), 3);
    // Nothing of the room is stored behind it.
    store.hand_over([record(ROOM, 4, "fourth"), record(OTHER, 2, "hello")]);
    assert_eq!(stored_to(&store.turn(), OTHER), Some(Seq(2)));
    assert_eq!(count(&db, "messages"), 4);
}

#[test]
fn store_that_failed_works_again_when_all_that_waited_is_given_up() {
    let scratch = Scratch::new();
    let db = file(&scratch);
    let mut store = Stepped::new(&db, &scratch);
    schema::pragma(&db, "query_only = ON").expect("it is set");
    store.hand_over([record(ROOM, 1, "first")]);
    assert!(is_failing(&store.turn(), "readonly"));
    schema::pragma(&db, "query_only = OFF").expect("it is set");
    let mut batch = vec![Box::new(record(ROOM, 1, "another"))];
    let mut heads = super::super::append::Heads::default();
    super::super::append::append(&db, &mut heads, &mut batch, &[]).expect("it is stored");
    let mut answers = Vec::new();
    while answers.is_empty() {
        answers = store.turn();
    }
    assert!(
        matches!(
            &answers[..],
            [Answer::RoomFailed { .. }, Answer::Health(Health::Good)]
        ),
        "{answers:?}"
    );
    store.hand_over([record(OTHER, 1, "hello")]);
    assert_eq!(stored_to(&store.turn(), OTHER), Some(Seq(1)));
}

#[test]
fn entry_that_leaves_a_gap_is_not_stored() {
    let scratch = Scratch::new();
    let db = file(&scratch);
    let mut store = Stepped::new(&db, &scratch);
    store.hand_over([record(ROOM, 1, "first"), record(ROOM, 3, "third")]);
    let answers = store.turn();
    let is_failed = |answer: &Answer| match answer {
        Answer::RoomFailed { why, .. } => why == "entry 3 of room lobby does not follow entry 1",
        _ => false,
    };
    assert!(answers.iter().any(is_failed), "{answers:?}");
    assert_eq!(count(&db, "messages"), 0);
}

#[test]
fn entries_that_follow_a_commit_closely_share_the_next_one() {
    let scratch = Scratch::new();
    let db = file(&scratch);
    let mut store = Stepped::with_clock(&db, &scratch, stopped_clock);
    store.hand_over([record(ROOM, 1, "at once")]);
    store.thread.turn();
    assert_eq!(stored(&store.answers()), [(ROOM, 1)]);
    store.hand_over([record(ROOM, 2, "waits")]);
    store.thread.turn();
    store.hand_over([record(OTHER, 1, "comes in time")]);
    store.thread.turn();
    assert_eq!(stored(&store.answers()), []);
    AHEAD.set(Duration::from_millis(40));
    store.thread.turn();
    assert_eq!(stored(&store.answers()), [(ROOM, 2), (OTHER, 1)]);
}

#[test]
fn entries_wait_longer_for_each_other_after_a_commit_of_many() {
    let scratch = Scratch::new();
    let db = file(&scratch);
    let mut store = Stepped::with_clock(&db, &scratch, stopped_clock);
    store.hand_over((1..=16).map(|seq| record(ROOM, seq, "many")));
    store.thread.turn();
    assert_eq!(stored(&store.answers()), [(ROOM, 16)]);
    store.hand_over([record(ROOM, 17, "waits")]);
    AHEAD.set(Duration::from_millis(99));
    store.thread.turn();
    assert_eq!(stored(&store.answers()), []);
    AHEAD.set(Duration::from_millis(100));
    store.thread.turn();
    assert_eq!(stored(&store.answers()), [(ROOM, 17)]);
}

#[test]
fn entry_that_waits_for_others_does_not_keep_a_read_waiting() {
    let scratch = Scratch::new();
    let db = file(&scratch);
    let mut store = Stepped::with_clock(&db, &scratch, stopped_clock);
    for seq in [1, 2] {
        store.hand_over([record(ROOM, seq, "hello")]);
        store.thread.turn();
    }
    assert_eq!(stored(&store.answers()), [(ROOM, 1)]);
    store.handle.send(&mut vec![Request::Open {
        room: id(OTHER),
        name: name(OTHER),
    }]);
    store.thread.turn();
    assert!(matches!(&store.answers()[..], [Answer::Opened { .. }]));
    assert!(store.thread.waits_for_company());
}

fn stored(answers: &[Answer]) -> Vec<(StoredRoom, u32)> {
    let stored = answers.iter().map(|answer| match answer {
        Answer::Stored { room, upto } if *room == id(OTHER) => (OTHER, upto.0),
        Answer::Stored { upto, .. } => (ROOM, upto.0),
        other => panic!("{other:?}"),
    });
    stored.collect()
}

#[test]
fn two_rooms_of_one_name_are_refused() {
    let scratch = Scratch::new();
    let db = file(&scratch);
    let mut store = Stepped::new(&db, &scratch);
    store.hand_over([record(ROOM, 1, "first")]);
    store.turn();
    let mut second = record(OTHER, 1, "first");
    second.name = name(ROOM);
    store.hand_over([second]);
    let answers = store.turn();
    assert!(matches!(&answers[..], [Answer::RoomFailed { room, .. }] if *room == id(OTHER)));
}

/// Overwrites the page of the file that has this text.
fn damage(scratch: &Scratch, text: &str) {
    const PAGE: usize = 4096;
    let mut bytes = fs::read(scratch.file()).expect("a file");
    let at = bytes
        .windows(text.len())
        .position(|window| window == text.as_bytes())
        .expect("the text is in the file");
    let start = at / PAGE * PAGE;
    bytes[start..start + PAGE].fill(0xff);
    fs::write(scratch.file(), bytes).expect("it is written");
}

const THIRD: StoredRoom = StoredRoom(3);

fn three_rooms(scratch: &Scratch) {
    let mut scene = Scene::open(scratch);
    for room in [ROOM, OTHER, THIRD] {
        for seq in 1..=1000 {
            scene.says(room, seq, &format!("entry {seq} of {}.", name(room)));
        }
        scene.stored(room, 1000);
    }
}

#[test]
fn damage_in_the_middle_of_a_room_costs_that_page_alone() {
    let scratch = Scratch::new();
    three_rooms(&scratch);
    damage(&scratch, "entry 500 of other.");
    let mut scene = Scene::open(&scratch);
    let why = scene.page(OTHER, 450, 100).expect_err("it is damaged");
    assert!(why.contains("malformed"), "{why}");
    assert_eq!(
        scene.page(OTHER, 950, 100).expect("a page").entries.len(),
        50
    );
    assert_eq!(
        scene.page(ROOM, 450, 100).expect("a page").entries.len(),
        100
    );
    for room in [ROOM, OTHER, THIRD] {
        scene.keeps(room, 1001..=1010);
    }
}

#[test]
fn room_with_a_damaged_end_fails_and_the_others_go_on() {
    let scratch = Scratch::new();
    three_rooms(&scratch);
    damage(&scratch, "entry 1000 of other.");
    let mut scene = Scene::open(&scratch);
    for room in [ROOM, OTHER, THIRD] {
        scene.says_all(room, 1001..=1010);
    }
    scene.stored(ROOM, 1010);
    scene.stored(THIRD, 1010);
    let failed = scene.wait_for(|answer| match answer {
        Answer::RoomFailed { room, .. } => Some(*room),
        _ => None,
    });
    assert_eq!(failed, id(OTHER));
    scene.ask(Request::Open {
        room: id(OTHER),
        name: name(OTHER),
    });
    scene.wait_for(|answer| matches!(answer, Answer::OpenFailed { .. }).then_some(()));
    drop(scene);
    let report = super::super::check(&scratch.store(), &mut |_| {}).expect("a report");
    assert!(!report.problems.is_empty());
}

#[test]
fn store_that_was_cut_off_is_refused() {
    let scratch = Scratch::new();
    three_rooms(&scratch);
    let bytes = fs::read(scratch.file()).expect("a file");
    fs::write(scratch.file(), &bytes[..bytes.len() / 2]).expect("it is written");
    let error = Scene::try_with(&settings(&scratch.store())).err();
    assert!(
        matches!(error, Some(StoreError::Damaged { .. })),
        "{error:?}"
    );
}

#[test]
fn store_without_its_first_page_is_refused() {
    let scratch = Scratch::new();
    three_rooms(&scratch);
    damage(&scratch, "SQLite format 3");
    let error = Scene::try_with(&settings(&scratch.store())).err();
    let text = error.map(|error| error.to_string()).unwrap_or_default();
    assert!(text.contains("restore a backup"), "{text}");
}

#[test]
fn errors_of_the_system_say_what_to_do() {
    let text = |number| {
        let error = io::Error::from_raw_os_error(number);
        StoreError::from_io(Path::new("/x"), &error).to_string()
    };
    assert!(text(30).contains("/x is read-only: make it writable"));
    assert!(text(28).contains("the disk is full"));
    assert!(text(13).contains("give this user access"));
}
