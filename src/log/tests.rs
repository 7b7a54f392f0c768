//! What the log promises, without a store first, then with one that the tests answer for.

mod disk;
mod model;

use super::*;
use crate::chat::{Author, Manner};
use disk::Disk;

fn said(nick: &str, text: &str) -> Draft {
    Draft {
        nick: SmolStr::new(nick),
        content: Content::said(Manner::Message, String::from(text), None, Author::Unknown),
    }
}

fn started() -> Started {
    Started {
        epoch: 3,
        epochs: vec![
            EpochInfo { epoch: 2, salt: 20 },
            EpochInfo { epoch: 3, salt: 30 },
        ],
        next_room: StoredRoom(7),
        session_key: [9; 32],
        registry: Default::default(),
    }
}

fn in_memory(settings: &Settings) -> Log {
    let keeping = Keeping {
        started: started(),
        store: None,
        is_shared: false,
    };
    Log::new(settings, keeping, Tick(0))
}

fn open_at_once(log: &mut Log, name: &str) -> RoomId {
    match log.open(&SmolStr::new(name), Tick(0)) {
        Opening::Open(room) => room,
        other => panic!("{name} is not open: {other:?}"),
    }
}

fn read_all(log: &mut Log, room: RoomId, after: Seq) -> (Vec<String>, Reading) {
    let mut lines = Vec::new();
    let reading = log.read(room, after, &mut |entry| {
        let Content::Said { text, .. } = entry.content else {
            panic!("only messages were said");
        };
        lines.push(format!("{} {}: {text}", entry.seq.0, entry.nick));
        true
    });
    (lines, reading)
}

#[test]
fn rooms_are_numbered_from_one_each_for_itself() {
    let mut log = in_memory(&Settings::default());
    let lobby = open_at_once(&mut log, "lobby");
    let den = open_at_once(&mut log, "den");
    assert_eq!(log.head(lobby), Seq(0));
    let mut say = |room, text| log.append(room, &said("ann", text), None, Millis(5));
    assert_eq!(say(lobby, "a"), Ok((Seq(1), Millis(5))));
    assert_eq!(say(den, "b"), Ok((Seq(1), Millis(5))));
    assert_eq!(say(lobby, "c"), Ok((Seq(2), Millis(5))));
    assert_eq!(log.head(lobby), Seq(2));
    assert_eq!(log.stored(lobby), Seq(2));
    let (lines, reading) = read_all(&mut log, lobby, Seq(0));
    assert_eq!(lines, ["1 ann: a", "2 ann: c"]);
    assert_eq!(reading, Reading::Read { upto: Seq(2) });
    assert_eq!(read_all(&mut log, lobby, Seq(2)).1, Reading::AtHead);
    log.check_invariants();
}

#[test]
fn time_in_a_room_never_goes_back() {
    let mut log = in_memory(&Settings::default());
    let lobby = open_at_once(&mut log, "lobby");
    let mut say = |wall| log.append(lobby, &said("ann", "a"), None, Millis(wall));
    assert_eq!(say(50), Ok((Seq(1), Millis(50))));
    assert_eq!(say(40), Ok((Seq(2), Millis(50))));
    assert_eq!(say(60), Ok((Seq(3), Millis(60))));
}

#[test]
fn every_content_is_read_as_it_was_appended() {
    let mut log = in_memory(&Settings::default());
    let lobby = open_at_once(&mut log, "lobby");
    let drafts = [
        Draft {
            nick: SmolStr::new("åsa"),
            content: Content::said(
                Manner::Action,
                String::from("waves 👋"),
                Some(Seq(u32::MAX)),
                Author::Unknown,
            ),
        },
        Draft {
            nick: SmolStr::new("bob"),
            content: Content::Kicked {
                by: String::from("ann"),
                reason: String::new(),
            },
        },
        said("a", ""),
    ];
    for draft in &drafts {
        log.append(lobby, draft, None, Millis(1))
            .expect("there is space");
    }
    let mut index = 0;
    log.read(lobby, Seq(0), &mut |entry| {
        assert_eq!(
            entry,
            drafts[index].numbered(Seq(index as u32 + 1), Millis(1))
        );
        index += 1;
        true
    });
    assert_eq!(index, 3);
}

#[test]
fn an_entry_that_the_reader_does_not_take_is_read_next() {
    let mut log = in_memory(&Settings::default());
    let lobby = open_at_once(&mut log, "lobby");
    for text in ["a", "b", "c"] {
        log.append(lobby, &said("ann", text), None, Millis(1))
            .expect("there is space");
    }
    let mut space = 2;
    let reading = log.read(lobby, Seq(0), &mut |_| {
        space -= 1;
        space >= 0
    });
    assert_eq!(reading, Reading::Read { upto: Seq(2) });
    assert_eq!(read_all(&mut log, lobby, Seq(2)).0, ["3 ann: c"]);
}

#[test]
fn what_the_tail_dropped_is_a_gap_without_a_store() {
    let mut log = in_memory(&Settings {
        tail_bytes: 4096,
        ..Settings::default()
    });
    let lobby = open_at_once(&mut log, "lobby");
    for number in 0..200 {
        log.append(lobby, &said("ann", &number.to_string()), None, Millis(1))
            .expect("what is old gives way");
    }
    let oldest = log.oldest(lobby);
    assert!(oldest > Seq(100) && oldest < Seq(150), "{oldest:?}");
    assert_eq!(read_all(&mut log, lobby, Seq(3)).1, Reading::Gap { oldest });
    let (lines, _) = read_all(&mut log, lobby, Seq(oldest.0 - 1));
    assert_eq!(lines.len(), 201 - oldest.0 as usize);
    log.check_invariants();
}

#[test]
fn a_room_in_memory_outlives_its_members_as_long_as_the_tail_has_entries_of_it() {
    let mut log = in_memory(&Settings {
        tail_bytes: 4096,
        ..Settings::default()
    });
    let den = open_at_once(&mut log, "den");
    let epoch = log.epoch(den);
    log.member_joined(den);
    log.append(den, &said("ann", "a"), None, Millis(1))
        .expect("there is space");
    log.member_left(den, Tick(0));
    log.tick(Tick(10_000));
    assert_eq!(open_at_once(&mut log, "den"), den);
    let lobby = open_at_once(&mut log, "lobby");
    for number in 0..200 {
        log.append(lobby, &said("ann", &number.to_string()), None, Millis(1))
            .expect("what is old gives way");
    }
    log.tick(Tick(20_000));
    log.check_invariants();
    let again = open_at_once(&mut log, "den");
    assert_ne!(again, den);
    assert_eq!(log.head(again), Seq(0));
    assert_ne!(
        log.epoch(again),
        epoch,
        "its numbers are those of another room"
    );
    assert_eq!(log.since(again, &epoch, Seq(1)), Since::Unknown);
}

#[test]
fn keys_find_what_was_sent_before() {
    let mut log = in_memory(&Settings::default());
    let lobby = open_at_once(&mut log, "lobby");
    let key = Key {
        session: 4,
        key: SmolStr::new("k1"),
    };
    assert_eq!(log.duplicate(&key), Duplicate::No);
    log.append(lobby, &said("ann", "a"), Some(key.clone()), Millis(9))
        .expect("there is space");
    let acked = Duplicate::Acked {
        room: Some(lobby),
        seq: Seq(1),
        at: Millis(9),
    };
    assert_eq!(log.duplicate(&key), acked);
    let other = Key {
        session: 5,
        key: SmolStr::new("k1"),
    };
    assert_eq!(log.duplicate(&other), Duplicate::No);
}

// Before a store

const NOW: Tick = Tick(100);

fn small() -> Settings {
    Settings {
        tail_bytes: 4096,
        ..Settings::default()
    }
}

fn open(disk: &Disk, log: &mut Log, name: &str) -> RoomId {
    log.open(&SmolStr::new(name), NOW);
    disk.settle(log, NOW);
    log.find(name).expect("the room is open")
}

fn say(log: &mut Log, room: RoomId, text: &str) -> Seq {
    let (seq, _) = log
        .append(room, &said("ann", text), None, Millis(1))
        .expect("there is space");
    seq
}

/// So many messages, each stored before the next.
fn say_many(disk: &Disk, log: &mut Log, room: RoomId, count: u32) {
    for number in 1..=count {
        say(log, room, &number.to_string());
        disk.settle(log, NOW);
    }
}

#[test]
fn a_room_is_asked_for_once_and_is_open_when_the_store_has_answered() {
    let disk = Disk::default();
    let mut log = disk.start(&small(), NOW);
    let name = SmolStr::new("lobby");
    let Opening::Waiting(room) = log.open(&name, NOW) else {
        panic!("the store was not asked yet");
    };
    assert_eq!(log.open(&name, NOW), Opening::Waiting(room));
    assert_eq!(log.find("lobby"), None);
    log.hand_over();
    assert_eq!(disk.inner().queue.len(), 1);
    let notifications = disk.settle(&mut log, NOW);
    assert!(matches!(notifications[..], [Notification::Opened { room: opened }] if opened == room));
    assert_eq!(log.open(&name, NOW), Opening::Open(room));
}

#[test]
fn a_room_that_could_not_be_opened_is_asked_for_again() {
    let disk = Disk::default();
    let mut log = disk.start(&small(), NOW);
    let name = SmolStr::new("lobby");
    let Opening::Waiting(room) = log.open(&name, NOW) else {
        panic!("the store was not asked yet");
    };
    let why = String::from("damaged");
    disk.inner().answers.push(Answer::OpenFailed { room, why });
    let mut notifications = Vec::new();
    log.take_answers(NOW, &mut notifications);
    assert!(matches!(
        notifications[..],
        [Notification::OpenFailed { .. }]
    ));
    assert!(!log.is_open(room));
    let again = log.open(&name, NOW);
    assert!(matches!(again, Opening::Waiting(other) if other != room));
}

#[test]
fn an_entry_is_readable_at_once_and_stored_later() {
    let disk = Disk::default();
    let mut log = disk.start(&small(), NOW);
    let room = open(&disk, &mut log, "lobby");
    say(&mut log, room, "a");
    assert_eq!(read_all(&mut log, room, Seq(0)).0, ["1 ann: a"]);
    assert_eq!((log.head(room), log.stored(room)), (Seq(1), Seq(0)));
    let notifications = disk.settle(&mut log, NOW);
    let stored = |notification: &Notification| {
        matches!(notification, Notification::Stored { upto: Seq(1), .. })
    };
    assert!(notifications.iter().any(stored));
    assert_eq!(log.stored(room), Seq(1));
}

#[test]
fn the_mark_of_what_is_stored_never_falls() {
    let disk = Disk::default();
    let mut log = disk.start(&small(), NOW);
    let room = open(&disk, &mut log, "lobby");
    say_many(&disk, &mut log, room, 3);
    for upto in [Seq(2), Seq(9)] {
        disk.inner().answers.push(Answer::Stored { room, upto });
        assert!(disk.settle(&mut log, NOW).is_empty());
        assert_eq!(log.stored(room), Seq(3));
    }
}

#[test]
fn messages_are_refused_when_too_much_waits_and_a_kick_is_not() {
    let disk = Disk::default();
    let mut log = disk.start(&small(), NOW);
    let room = open(&disk, &mut log, "lobby");
    disk.inner().is_full = true;
    assert_eq!(log.refuses(), None);
    let mut count = 0;
    while log
        .append(room, &said("ann", "some text"), None, Millis(1))
        .is_ok()
    {
        count += 1;
    }
    let refused = log.append(room, &said("ann", "some text"), None, Millis(1));
    assert_eq!(refused, Err(AppendRefused::Full));
    assert_eq!(log.refuses(), Some(AppendRefused::Full));
    assert!(log.summary().unstored_bytes <= 4096 / 2 / 8 * 7);
    let kick = Draft {
        nick: SmolStr::new("eve"),
        content: Content::Kicked {
            by: String::from("ann"),
            reason: String::from("spam"),
        },
    };
    assert_eq!(
        log.append(room, &kick, None, Millis(1)),
        Ok((Seq(count + 1), Millis(1)))
    );
    disk.inner().is_full = false;
    disk.settle(&mut log, NOW);
    assert_eq!(say(&mut log, room, "a"), Seq(count + 2));
    log.check_invariants();
}

#[test]
fn messages_are_refused_while_the_store_fails() {
    let disk = Disk::default();
    let mut log = disk.start(&small(), NOW);
    let room = open(&disk, &mut log, "lobby");
    let why = String::from("disk full");
    disk.inner()
        .answers
        .push(Answer::Health(Health::Failing { why }));
    let notifications = disk.settle(&mut log, NOW);
    assert!(matches!(
        notifications[..],
        [Notification::Health(Health::Failing { .. })]
    ));
    let refused = log.append(room, &said("ann", "a"), None, Millis(1));
    assert_eq!(refused, Err(AppendRefused::StoreFailing));
    assert_eq!(log.refuses(), Some(AppendRefused::StoreFailing));
    disk.inner().answers.push(Answer::Health(Health::Good));
    disk.settle(&mut log, NOW);
    assert_eq!(say(&mut log, room, "a"), Seq(1));
}

#[test]
fn a_room_that_was_closed_goes_on_where_it_was() {
    let disk = Disk::default();
    let mut log = disk.start(&small(), NOW);
    let room = open(&disk, &mut log, "lobby");
    log.member_joined(room);
    say(&mut log, room, "a");
    log.member_left(room, NOW);
    log.tick(Tick(100_000));
    assert!(log.is_open(room), "an entry of it is not stored");
    disk.settle(&mut log, Tick(100_000));
    log.tick(Tick(100_000));
    assert!(log.is_open(room), "60 s have not passed");
    assert!(log.tick(Tick(100_000 + IDLE_TICKS)), "the room is dropped");
    assert!(!log.is_open(room));
    assert_eq!(log.summary(), Summary::default());
    let again = open(&disk, &mut log, "lobby");
    assert_ne!(again, room);
    assert_eq!(say(&mut log, again, "b"), Seq(2));
    log.check_invariants();
}

#[test]
fn a_member_keeps_its_room_open() {
    let disk = Disk::default();
    let mut log = disk.start(&small(), NOW);
    let room = open(&disk, &mut log, "lobby");
    log.member_joined(room);
    log.tick(Tick(100_000));
    assert!(log.is_open(room));
}

#[test]
fn what_the_tail_has_not_is_read_from_the_store() {
    let disk = Disk::default();
    let mut log = disk.start(&small(), NOW);
    let room = open(&disk, &mut log, "lobby");
    say_many(&disk, &mut log, room, 300);
    let mut cursor = Seq(0);
    let mut lines = Vec::new();
    loop {
        let (mut page, reading) = read_all(&mut log, room, cursor);
        lines.append(&mut page);
        match reading {
            Reading::Read { upto } => cursor = upto,
            Reading::Wait => {
                let notifications = disk.settle(&mut log, NOW);
                assert!(matches!(notifications[..], [Notification::Page { .. }]));
            }
            Reading::AtHead => break,
            Reading::Gap { .. } => panic!("all is kept"),
        }
    }
    assert_eq!(lines.len(), 300);
    assert_eq!(lines[299], "300 ann: 300");
    assert_eq!(disk.inner().reads, 2, "the tail has the rest");
}

#[test]
fn a_page_serves_every_reader_whose_cursor_lies_in_it() {
    let disk = Disk::default();
    let mut log = disk.start(&small(), NOW);
    let room = open(&disk, &mut log, "lobby");
    say_many(&disk, &mut log, room, 300);
    for cursor in [0, 7, 0, 99] {
        assert_eq!(log.read(room, Seq(cursor), &mut |_| true), Reading::Wait);
    }
    disk.settle(&mut log, NOW);
    for cursor in [0, 7, 0, 99] {
        let (lines, _) = read_all(&mut log, room, Seq(cursor));
        assert_eq!(lines[0], format!("{} ann: {0}", cursor + 1));
    }
    assert_eq!(disk.inner().reads, 1);
}

#[test]
fn entries_that_retention_removed_are_a_gap() {
    let disk = Disk::default();
    let mut log = disk.start(&small(), NOW);
    let room = open(&disk, &mut log, "lobby");
    say_many(&disk, &mut log, room, 300);
    disk.inner().forget_below("lobby", Seq(50));
    disk.settle(&mut log, NOW);
    let (_, reading) = read_all(&mut log, room, Seq(3));
    assert_eq!(reading, Reading::Gap { oldest: Seq(50) });
    assert_eq!(read_all(&mut log, room, Seq(49)).1, Reading::Wait);
}

#[test]
fn a_page_that_cannot_be_read_is_a_gap_and_is_read_later() {
    let disk = Disk::default();
    let mut log = disk.start(&small(), NOW);
    let room = open(&disk, &mut log, "lobby");
    say_many(&disk, &mut log, room, 300);
    disk.inner().is_damaged = true;
    assert_eq!(read_all(&mut log, room, Seq(3)).1, Reading::Wait);
    let notifications = disk.settle(&mut log, NOW);
    assert!(matches!(
        notifications[..],
        [Notification::ReadFailed { .. }]
    ));
    let oldest = Seq(3 + PAGE_ENTRIES + 1);
    assert_eq!(read_all(&mut log, room, Seq(3)).1, Reading::Gap { oldest });
    assert_eq!(read_all(&mut log, room, Seq(2)).1, Reading::Wait);
    disk.inner().is_damaged = false;
    disk.settle(&mut log, NOW + UNREADABLE_TICKS);
    assert_eq!(read_all(&mut log, room, Seq(3)).0[0], "4 ann: 4");
}

#[test]
fn page_of_another_generation_of_a_room_is_not_used() {
    let disk = Disk::default();
    let mut log = disk.start(&small(), NOW);
    let room = open(&disk, &mut log, "lobby");
    say_many(&disk, &mut log, room, 300);
    assert_eq!(read_all(&mut log, room, Seq(3)).1, Reading::Wait);
    log.hand_over();
    // As it was before an entry was amended, or before the room had other entries.
    let entry = |seq| PageEntry {
        seq,
        at: Millis(1),
        draft: said("ann", "as it was"),
    };
    let page = Page {
        entries: vec![entry(Seq(4)), entry(Seq(5))],
        complete_to: Seq(5),
        oldest: Seq(1),
    };
    let log_gen = log.log_gen(room) + 1;
    disk.inner().queue.clear();
    disk.inner().answers.push(Answer::Page {
        room,
        log_gen,
        page,
    });
    // A reader that waits for it asks again.
    let notifications = disk.settle(&mut log, NOW);
    assert!(matches!(notifications[..], [Notification::Page { .. }]));
    assert_eq!(read_all(&mut log, room, Seq(3)).1, Reading::Wait);
    disk.settle(&mut log, NOW);
    assert_eq!(read_all(&mut log, room, Seq(3)).0[0], "4 ann: 4");
}

#[test]
fn an_empty_page_does_not_mean_that_nothing_follows() {
    let disk = Disk::default();
    let mut log = disk.start(&small(), NOW);
    let room = open(&disk, &mut log, "lobby");
    say_many(&disk, &mut log, room, 300);
    assert_eq!(read_all(&mut log, room, Seq(3)).1, Reading::Wait);
    log.hand_over();
    let page = Page {
        entries: Vec::new(),
        complete_to: Seq(300),
        oldest: Seq(1),
    };
    let log_gen = log.log_gen(room);
    disk.inner().queue.clear();
    disk.inner().answers.push(Answer::Page {
        room,
        log_gen,
        page,
    });
    let notifications = disk.settle(&mut log, NOW);
    assert!(matches!(
        notifications[..],
        [Notification::ReadFailed { .. }]
    ));
    assert!(matches!(
        read_all(&mut log, room, Seq(3)).1,
        Reading::Gap { .. }
    ));
}

#[test]
fn no_more_than_64_reads_are_under_way() {
    let disk = Disk::default();
    let mut log = disk.start(&small(), NOW);
    let rooms: Vec<RoomId> = (0..100)
        .map(|number| {
            let room = open(&disk, &mut log, &format!("room{number}"));
            say_many(&disk, &mut log, room, 1);
            room
        })
        .collect();
    let filler = open(&disk, &mut log, "filler");
    say_many(&disk, &mut log, filler, 100);
    for room in rooms {
        assert_eq!(read_all(&mut log, room, Seq(0)).1, Reading::Wait);
    }
    log.hand_over();
    assert_eq!(disk.inner().queue.len(), 64);
    assert_eq!(log.summary().reads_waiting, 36);
    let notifications = disk.settle(&mut log, NOW);
    assert_eq!(notifications.len(), 100);
    assert_eq!(log.summary().reads, 0);
}

#[test]
fn a_client_that_saw_what_was_never_stored_is_rewound() {
    let disk = Disk::default();
    let mut log = disk.start(&small(), NOW);
    let room = open(&disk, &mut log, "lobby");
    let first_epoch = log.epoch(room);
    say_many(&disk, &mut log, room, 5);
    say(&mut log, room, "lost");
    assert_eq!(log.since(room, &first_epoch, Seq(6)), at(6, None));

    let mut log = disk.start(&small(), NOW);
    let room = open(&disk, &mut log, "lobby");
    assert_eq!(log.since(room, &first_epoch, Seq(6)), at(5, Some(5)));
    assert_eq!(log.since(room, &first_epoch, Seq(4)), at(4, None));
    say_many(&disk, &mut log, room, 5);
    assert_eq!(log.since(room, &first_epoch, Seq(6)), at(5, Some(5)));
    let second_epoch = log.epoch(room);
    assert_ne!(second_epoch, first_epoch);
    assert_eq!(log.since(room, &second_epoch, Seq(6)), at(6, None));
    assert_eq!(log.since(room, "1-deadbeef", Seq(4)), Since::Unknown);
    assert_eq!(log.since(room, "", Seq(4)), Since::Unknown);
}

const fn at(at: u32, rewound: Option<u32>) -> Since {
    Since::At {
        at: Seq(at),
        rewound: match rewound {
            Some(seq) => Some(Seq(seq)),
            None => None,
        },
    }
}

#[test]
fn a_message_that_is_sent_again_after_a_restart_is_recognised() {
    let disk = Disk::default();
    let mut log = disk.start(&small(), NOW);
    let room = open(&disk, &mut log, "lobby");
    let key = Key {
        session: 4,
        key: SmolStr::new("k1"),
    };
    log.append(room, &said("ann", "a"), Some(key.clone()), Millis(9))
        .expect("there is space");
    let (seq, wall) = (Seq(1), Millis(9));
    assert_eq!(
        log.duplicate(&key),
        Duplicate::Unacked {
            room,
            seq,
            at: wall
        }
    );
    disk.settle(&mut log, NOW);
    let acked = |room| Duplicate::Acked {
        room,
        seq,
        at: wall,
    };
    assert_eq!(log.duplicate(&key), acked(Some(room)));

    let mut log = disk.start(&small(), NOW);
    log.resumed(4, NOW);
    assert_eq!(log.duplicate(&key), Duplicate::Unknown);
    assert_eq!(log.duplicate(&key), Duplicate::Unknown);
    let notifications = disk.settle(&mut log, NOW);
    assert!(matches!(
        notifications[..],
        [Notification::Keys { session: 4 }]
    ));
    assert_eq!(log.duplicate(&key), acked(None), "its room is not open");
    let room = open(&disk, &mut log, "lobby");
    assert_eq!(log.duplicate(&key), acked(Some(room)));
}

#[test]
fn a_room_that_the_store_gave_up_refuses_what_is_new_and_acknowledges_nothing() {
    let disk = Disk::default();
    let mut log = disk.start(&small(), NOW);
    let room = open(&disk, &mut log, "lobby");
    say_many(&disk, &mut log, room, 2);
    disk.inner().is_full = true;
    let key = Key {
        session: 4,
        key: SmolStr::new("k1"),
    };
    log.append(room, &said("ann", "a"), Some(key.clone()), Millis(9))
        .expect("there is space");
    let why = String::from("damaged");
    disk.inner().answers.push(Answer::RoomFailed { room, why });
    let notifications = disk.settle(&mut log, NOW);
    assert!(matches!(
        notifications[..],
        [Notification::RoomFailed { .. }]
    ));
    assert_eq!((log.stored(room), log.head(room)), (Seq(2), Seq(3)));
    assert_eq!(log.duplicate(&key), Duplicate::No);
    let refused = log.append(room, &said("ann", "a"), Some(key), Millis(9));
    assert_eq!(refused, Err(AppendRefused::RoomFailed));
    log.tick(Tick(100_000));
    assert!(log.is_open(room), "its numbers would be used again");
    assert_eq!(log.summary().unstored_bytes, 0);
    log.check_invariants();
}

#[test]
fn searches_that_wait_are_bounded() {
    let disk = Disk::default();
    let mut log = disk.start(&small(), NOW);
    let room = open(&disk, &mut log, "lobby");
    assert_eq!(log.search(1, room, "1", Seq(9), 2), Ok(()));
    let notifications = disk.settle(&mut log, NOW);
    assert!(
        matches!(&notifications[..], [Notification::Found { entries, .. }] if entries.is_empty())
    );
    say_many(&disk, &mut log, room, 12);
    for tag in 0..SEARCHES_MAX as u64 {
        assert_eq!(log.search(tag, room, "1", Seq(12), 2), Ok(()));
    }
    assert_eq!(log.search(99, room, "1", Seq(12), 2), Err(Busy));
    let notifications = disk.settle(&mut log, NOW);
    assert_eq!(notifications.len(), SEARCHES_MAX);
    assert!(matches!(
        &notifications[0],
        Notification::Found { tag: 0, entries, .. }
            if entries.iter().map(|entry| entry.seq).eq([Seq(11), Seq(10)])
    ));
}

#[test]
fn the_tail_is_searched_where_there_is_no_store() {
    let mut log = in_memory(&Settings::default());
    let lobby = open_at_once(&mut log, "lobby");
    for number in 1..=2_000 {
        let text = if number % 500 == 0 {
            "Straße"
        } else {
            "nothing"
        };
        log.append(lobby, &said("ann", text), None, Millis(1))
            .expect("there is space");
    }
    let mut search = |before, limit| {
        assert_eq!(log.search(7, lobby, "STRASSE", before, limit), Ok(()));
        let mut notifications = Vec::new();
        let mut turns = 0;
        while log.has_requests() {
            log.take_answers(NOW, &mut notifications);
            turns += 1;
        }
        let Some(Notification::Found {
            tag: 7,
            entries,
            more,
        }) = notifications.pop()
        else {
            panic!("the search has no end");
        };
        let found: Vec<u32> = entries.iter().map(|entry| entry.seq.0).collect();
        (found, more, turns)
    };
    assert_eq!(
        search(Seq(3_000), 9),
        (vec![2_000, 1_500, 1_000, 500], false, 4)
    );
    assert_eq!(search(Seq(2_000), 2), (vec![1_500, 1_000], true, 3));
    assert_eq!(search(Seq(0), 2), (vec![], false, 1));
}

#[test]
fn idle_rooms_give_way_where_no_more_may_be_open() {
    let disk = Disk::default();
    let settings = Settings {
        rooms_max: 2,
        ..small()
    };
    let mut log = disk.start(&settings, NOW);
    let kept = open(&disk, &mut log, "kept");
    log.member_joined(kept);
    let idle = open(&disk, &mut log, "idle");
    assert!(matches!(
        log.open(&SmolStr::new("new"), NOW),
        Opening::Waiting(_)
    ));
    assert!(log.is_open(kept) && !log.is_open(idle));
    assert_eq!(log.open(&SmolStr::new("another"), NOW), Opening::Refused);
    log.check_invariants();
}

#[test]
fn the_next_tick_is_never_in_the_past_for_long() {
    let disk = Disk::default();
    let mut log = disk.start(&small(), NOW);
    let room = open(&disk, &mut log, "lobby");
    log.member_joined(room);
    disk.inner().is_full = true;
    say(&mut log, room, "a");
    let mut now = NOW;
    for _ in 0..100 {
        if let Some(due) = log.next_tick() {
            now = now.max(due);
            log.tick(now);
            assert!(log.next_tick().is_none_or(|due| due > now));
        }
    }
}
