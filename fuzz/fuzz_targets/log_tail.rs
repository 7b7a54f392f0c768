//! The log without a store, over a tail of some kilobytes, against lists of what was said: numbers
//! have no gap, what is read is what was said, and only the oldest entries are missing.
#![no_main]

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use parlor::chat::{Content, Draft, Manner};
use parlor::id::{Millis, RoomId, Seq, Tick};
use parlor::log::{EpochInfo, Keeping, Log, Opening, Reading, Settings, Started, StoredRoom};

#[derive(Arbitrary, Debug)]
enum Operation {
    Append {
        room: u8,
        text: String,
        wall: u8,
        reply_to: Option<u32>,
        is_action: bool,
    },
    Kick {
        room: u8,
        by: String,
        reason: String,
    },
    /// Reads on from a cursor, until `count` entries were taken.
    Read {
        room: u8,
        after: u16,
        count: u8,
    },
    /// All members leave, and come back.
    Leave {
        room: u8,
    },
    Tick {
        ticks: u16,
    },
}

/// What the test knows of a room, while it is open.
struct Room {
    id: RoomId,
    said: Vec<(Draft, Millis)>,
}

struct Game {
    log: Log,
    now: Tick,
    rooms: [Option<Room>; 3],
}

impl Game {
    fn new(tail_bytes: usize) -> Self {
        let settings = Settings {
            tail_bytes,
            ..Settings::default()
        };
        let epoch = EpochInfo { epoch: 1, salt: 2 };
        let started = Started {
            epoch: 1,
            epochs: vec![epoch],
            next_room: StoredRoom(1),
            session_key: [0; 32],
            registry: Default::default(),
        };
        let keeping = Keeping {
            started,
            store: None,
        };
        Self {
            log: Log::new(&settings, keeping, Tick(0)),
            now: Tick(0),
            rooms: [None, None, None],
        }
    }

    /// The room, opened if it is not open.
    fn room(&mut self, number: u8) -> usize {
        let index = usize::from(number % 3);
        let name = ["a", "b", "c"][index].into();
        let Opening::Open(id) = self.log.open(&name, self.now) else {
            panic!("without a store, a room is open at once");
        };
        match &self.rooms[index] {
            Some(room) if room.id == id => {}
            Some(_) | None => {
                assert_eq!(self.log.head(id), Seq(0));
                self.log.member_joined(id);
                let said = Vec::new();
                self.rooms[index] = Some(Room { id, said });
            }
        }
        index
    }

    fn append(&mut self, number: u8, draft: Draft, wall: Millis) {
        let index = self.room(number);
        let Some(room) = &mut self.rooms[index] else {
            return;
        };
        match self.log.append(room.id, &draft, None, wall) {
            Ok((seq, at)) => {
                let before = room.said.last().map_or(Millis(0), |(_, at)| *at);
                assert_eq!(at, before.max(wall));
                room.said.push((draft, at));
                assert_eq!(seq.0 as usize, room.said.len());
            }
            Err(why) => panic!("the memory takes everything, and not: {why:?}"),
        }
    }

    fn read(&mut self, number: u8, after: u16, count: u8) {
        let index = self.room(number);
        let Some(room) = &self.rooms[index] else {
            return;
        };
        let after = Seq(u32::from(after) % (room.said.len() as u32 + 1));
        let mut next = after.0 as usize;
        let end = next + usize::from(count);
        let reading = self.log.read(room.id, after, &mut |entry| {
            let (draft, at) = &room.said[next];
            assert_eq!(entry, draft.numbered(Seq(next as u32 + 1), *at));
            if next == end {
                return false;
            }
            next += 1;
            true
        });
        let oldest = self.log.oldest(room.id);
        match reading {
            Reading::Read { upto } => assert_eq!(upto.0 as usize, next),
            Reading::AtHead => assert_eq!(after.0 as usize, room.said.len()),
            Reading::Gap { oldest: first } => {
                assert!(first == oldest && after.0 + 1 < oldest.0);
            }
            Reading::Wait => panic!("there is no store"),
        }
    }

    fn leave(&mut self, number: u8) {
        let index = self.room(number);
        if let Some(room) = &self.rooms[index] {
            self.log.member_left(room.id, self.now);
            self.log.member_joined(room.id);
        }
    }

    fn play(&mut self, operation: Operation) {
        match operation {
            Operation::Append {
                room,
                text,
                wall,
                reply_to,
                is_action,
            } => {
                let manner = if is_action {
                    Manner::Action
                } else {
                    Manner::Message
                };
                let content = Content::Said {
                    manner,
                    text,
                    reply_to: reply_to.map(Seq),
                };
                let nick = "ann".into();
                self.append(room, Draft { nick, content }, Millis(wall.into()));
            }
            Operation::Kick { room, by, reason } => {
                let content = Content::Kicked { by, reason };
                let nick = "eve".into();
                self.append(room, Draft { nick, content }, Millis(0));
            }
            Operation::Read { room, after, count } => self.read(room, after, count),
            Operation::Leave { room } => self.leave(room),
            Operation::Tick { ticks } => {
                self.now = self.now + u32::from(ticks);
                self.log.tick(self.now);
            }
        }
    }
}

fuzz_target!(|game: (u16, Vec<Operation>)| {
    let (tail_bytes, operations) = game;
    let tail_bytes = usize::from(tail_bytes);
    let mut game = Game::new(tail_bytes);
    for operation in operations {
        game.play(operation);
        game.log.check_invariants();
    }
});
