//! What the log promises, without a store first, then with one that the tests answer for.

use super::*;
use crate::chat::Manner;

pub(super) fn said(nick: &str, text: &str) -> Draft {
    Draft {
        nick: SmolStr::new(nick),
        content: Content::Said {
            manner: Manner::Message,
            text: String::from(text),
            reply_to: None,
        },
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
    }
}

fn in_memory(settings: &Settings) -> Log {
    let keeping = Keeping {
        started: started(),
        store: None,
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
            content: Content::Said {
                manner: Manner::Action,
                text: String::from("waves 👋"),
                reply_to: Some(Seq(u32::MAX)),
            },
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
