//! What SQLite leaves of rows that it has moved, and that it is gone after a search of the file.

use super::super::append::{Heads, append};
use super::super::remnants::Remnants;
use super::super::schema::{self, pragma};
use super::*;
use crate::log::StoredRoom;
use rusqlite::Connection;
use std::collections::{BTreeMap, BTreeSet};

const ROOMS: u32 = 40;

/// Rooms that grow side by side, so that pages are split in the middle, and messages that are
/// deleted at random.
struct Growing {
    db: Connection,
    heads: BTreeMap<u32, u32>,
    /// The messages that are there, by their number of all.
    there: BTreeMap<u32, (u32, u32)>,
    gone: BTreeSet<u32>,
    said: u32,
    word: u64,
}

impl Growing {
    fn below(&mut self, limit: usize) -> usize {
        self.word ^= self.word << 13;
        self.word ^= self.word >> 7;
        self.word ^= self.word << 17;
        (self.word % limit as u64) as usize
    }

    fn record(&mut self, room: u32, content: Content<String>) -> Box<Record> {
        let head = self.heads.entry(room).or_default();
        *head += 1;
        Box::new(Record {
            room: id(StoredRoom(room)),
            stored_room: StoredRoom(room),
            name: format!("room-{room}").into(),
            epoch: 1,
            seq: Seq(*head),
            at: NOW,
            draft: Draft {
                nick: "ann".into(),
                content,
            },
            key: None,
        })
    }

    fn batch(&mut self) {
        let mut batch = Vec::new();
        for _ in 0..1 + self.below(60) {
            let room = 1 + self.below(ROOMS as usize) as u32;
            let longest = [80, 80, 80, 80, 80, 80, 400, 3_000, 9_000][self.below(9)];
            let filling = "y".repeat(self.below(longest));
            let text = format!("tok{:08}x{filling}", self.said);
            let content = Content::said(Manner::Message, text, None, Author::Session(7));
            let record = self.record(room, content);
            self.there.insert(self.said, (room, record.seq.0));
            self.said += 1;
            batch.push(record);
        }
        for _ in 0..self.below(15) {
            let index = self.below(self.there.len());
            let (number, (room, seq)) = self.there.iter().nth(index).expect("one of them");
            let (number, room, of) = (*number, *room, Seq(*seq));
            self.there.remove(&number);
            self.gone.insert(number);
            batch.push(self.record(room, Content::Deleted { of }));
        }
        append(&self.db, &mut Heads::default(), &mut batch, &[]).expect("it is stored");
    }

    /// The deleted messages of which the file has something, when all is in it.
    fn left_in(&self, scratch: &Scratch) -> usize {
        pragma(&self.db, "wal_checkpoint(TRUNCATE)").expect("a checkpoint");
        let bytes = fs::read(scratch.file()).expect("the file");
        let numbers = bytes
            .windows(12)
            .filter(|window| window.starts_with(b"tok"));
        let number = |window: &[u8]| std::str::from_utf8(&window[3..11]).ok()?.parse().ok();
        let found: BTreeSet<u32> = numbers.filter_map(number).collect();
        found.intersection(&self.gone).count()
    }
}

#[test]
fn remnants_of_deleted_messages_are_overwritten_and_nothing_else() {
    let scratch = Scratch::new();
    drop(Scene::open(&scratch));
    let mut growing = Growing {
        db: schema::open(&scratch.file(), false).expect("the store"),
        heads: BTreeMap::new(),
        there: BTreeMap::new(),
        gone: BTreeSet::new(),
        said: 0,
        word: 88_172_645_463_325_252,
    };
    for _ in 0..200 {
        growing.batch();
    }
    assert!(growing.left_in(&scratch) > 0, "SQLite leaves remnants");
    let all = "SELECT group_concat(id || body || ifnull(changed_by, '')) FROM messages";
    let before: String = growing
        .db
        .query_row(all, [], |row| row.get(0))
        .expect("all");

    let mut remnants = Remnants::new(&growing.db, &scratch.file()).expect("the file");
    remnants.begin();
    let mut steps = 1;
    while remnants.step(&growing.db).expect("a step") {
        pragma(&growing.db, "wal_checkpoint(TRUNCATE)").expect("a checkpoint");
        steps += 1;
    }
    assert!(steps > 1, "the file has more pages than one step reads");
    assert_eq!(growing.left_in(&scratch), 0);
    let after: String = growing
        .db
        .query_row(all, [], |row| row.get(0))
        .expect("all");
    assert_eq!(before, after, "messages stay as they are");
    let sound = pragma(&growing.db, "integrity_check").expect("a check");
    assert_eq!(sound.as_deref(), Some("ok"));
}
