//! The log without a store, over a tail of some kilobytes, against lists of what was said: numbers
//! have no gap, what is read is what was said, in its present form, and only the oldest entries are
//! missing.
#![no_main]

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use parlor::chat::{Author, Content, Draft, Form, Manner};
use parlor::id::{ConnId, Millis, RoomId, Seq, Tick};
use parlor::log::{
    EpochInfo, Keeping, KnownMessage, Log, Opening, Reading, Settings, Started, StoredRoom,
};

#[derive(Arbitrary, Debug)]
enum Operation {
    Append {
        room: u8,
        text: String,
        wall: u8,
        reply_to: Option<u32>,
        is_action: bool,
        session: Option<u64>,
    },
    /// Edits a message, or deletes it.
    Amend {
        room: u8,
        of: u16,
        text: Option<String>,
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
    /// In their present form.
    said: Vec<(Draft, Millis)>,
}

impl Room {
    /// The newest entry edits or deletes a message; the edit before it loses its text.
    fn amend(&mut self, of: usize, text: Option<&String>) {
        let by = Seq(self.said.len() as u32);
        let Content::Said {
            text: said, form, ..
        } = &mut self.said[of - 1].0.content
        else {
            panic!("only messages are changed");
        };
        *said = text.cloned().unwrap_or_default();
        let new = match text {
            Some(_) => Form::Edited { by },
            None => Form::Deleted,
        };
        if let Form::Edited { by: before } = std::mem::replace(form, new)
            && let Content::Edited { text, .. } = &mut self.said[before.0 as usize - 1].0.content
        {
            text.clear();
        }
    }
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
            is_shared: false,
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

    fn amend(&mut self, number: u8, of: u16, text: Option<String>) {
        let index = self.room(number);
        let Some(room) = &mut self.rooms[index] else {
            return;
        };
        if room.said.is_empty() {
            return;
        }
        let of = 1 + usize::from(of) % room.said.len();
        let seq = Seq(of as u32);
        let content = &room.said[of - 1].0.content;
        let is_here = seq >= self.log.oldest(room.id);
        match (self.log.original(room.id, seq), content) {
            (KnownMessage::Here(original), Content::Said { author, form, .. }) => {
                assert!(is_here && *form != Form::Deleted);
                assert_eq!((original.author, original.form), (*author, *form));
            }
            (KnownMessage::Missing, Content::Said { form, .. }) => {
                assert!(!is_here || *form == Form::Deleted);
                return;
            }
            (KnownMessage::Missing, _) => return,
            (known, content) => panic!("{known:?} of {content:?}"),
        }
        // A text is never empty.
        let text = text.map(|text| text + ".");
        let content = match text.clone() {
            Some(text) => Content::Edited { of: seq, text },
            None => Content::Deleted { of: seq },
        };
        let nick = "ann".into();
        self.append(number, Draft { nick, content }, Millis(0));
        if let Some(room) = &mut self.rooms[index] {
            room.amend(of, text.as_ref());
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
                session,
            } => {
                let manner = if is_action {
                    Manner::Action
                } else {
                    Manner::Message
                };
                let author = match session {
                    None => Author::Unknown,
                    Some(0) => Author::Connection(ConnId::new(7, 8)),
                    Some(session) => Author::Session(session),
                };
                let content = Content::said(manner, text, reply_to.map(Seq), author);
                let nick = "ann".into();
                self.append(room, Draft { nick, content }, Millis(wall.into()));
            }
            Operation::Kick { room, by, reason } => {
                let content = Content::Kicked { by, reason };
                let nick = "eve".into();
                self.append(room, Draft { nick, content }, Millis(0));
            }
            Operation::Amend { room, of, text } => self.amend(room, of, text),
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
