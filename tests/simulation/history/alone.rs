//! The log alone over a simulated store: rooms are opened, entries are numbered and read, and the
//! whole crashes and starts again. Finds in a second what the games with clients find in minutes.
//! Knows no server.

use super::super::chance::Chance;
use super::disk::Disk;
use super::store::{Engine, Faults};
use super::truth::{Found, Mark, Said, Truth};
use parlor::chat::{Author, Content, Draft, Manner};
use parlor::id::{Millis, RoomId, Seq, Tick};
use parlor::log::{
    Answer, Duplicate, Keeping, Key, KnownMessage, Log, Notification, Opening, Reading, Request,
    Settings, Since, Store,
};
use smol_str::SmolStr;

const NAMES: [&str; 3] = ["lobby", "attic", "cellar"];

/// Clients that send with keys.
const SESSIONS: usize = 3;

/// Messages of a client that are not acknowledged.
const OPEN_MAX: usize = 60;

/// Of all messages.
const AUTHOR: Author = Author::Session(7);

const TURNS: usize = 250;

/// Turns after which all must have been read and stored, without faults.
const QUIET_TURNS: usize = 400;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Room {
    Shut,
    Opening(RoomId),
    Open(RoomId),
}

struct Reader {
    room: usize,
    at: u32,
    epoch: String,
    /// The position was compared with the log of this start.
    is_back: bool,
}

/// A message with a key, which is sent until it is acknowledged.
struct Message {
    room: usize,
    text: String,
    key: Key,
    /// Its number, as it was last reported.
    seq: Option<Seq>,
    is_acknowledged: bool,
    /// It is sent again, as after a lost connection.
    is_due: bool,
    /// The log of this start has been asked for it. A client asks for all that is not acknowledged
    /// before it sends anything new: the stored keys of a session serve only so many messages, and
    /// only for a minute.
    is_asked: bool,
}

struct Play {
    log: Log,
    engine: Engine,
    truth: Truth,
    rooms: [Room; NAMES.len()],
    /// The ids that the rooms had last.
    ids: [Option<RoomId>; NAMES.len()],
    readers: Vec<Reader>,
    messages: Vec<Message>,
    chance: Chance,
    now: Tick,
    is_damaged: bool,
    spoken: u32,
}

fn settings(chance: &mut Chance) -> Settings {
    Settings {
        tail_bytes: [1_000, 4_000, 100_000][chance.below(3)],
        ..Settings::default()
    }
}

fn play(seed: u64) {
    let mut chance = Chance::new(seed);
    let settings = settings(&mut chance);
    let faults = Faults::any(&mut chance);
    let mut engine = Engine::new(Disk::default(), faults);
    let mut truth = Truth::new(&NAMES);
    let keeping = starts(&mut engine, &mut chance);
    let mut play = Play {
        log: Log::new(&settings, keeping, Tick(0)),
        engine,
        readers: Vec::new(),
        messages: Vec::new(),
        rooms: [Room::Shut; NAMES.len()],
        ids: [None; NAMES.len()],
        chance,
        now: Tick(0),
        is_damaged: faults.damaged > 0,
        spoken: 0,
        truth: {
            truth.life = 1;
            truth
        },
    };
    let lives = 1 + play.chance.below(4);
    for life in 1..=lives {
        for _ in 0..TURNS {
            play.turn(true);
        }
        if life == lives || play.chance.percent(30) {
            play.settles(&faults);
        }
        if life < lives {
            play.crashes(&settings);
        }
    }
}

fn starts(engine: &mut Engine, chance: &mut Chance) -> Keeping {
    Keeping {
        started: engine.disk.starts(chance.next() as u32),
        store: Some(Box::new(engine.store())),
        is_shared: false,
    }
}

impl Play {
    fn turn(&mut self, is_busy: bool) {
        self.now = self.now + self.chance.below(4) as u32;
        let is_known = self.messages.iter().all(|message| message.is_asked);
        if is_known && is_busy && self.chance.per_mille(5) {
            // Long enough for an idle room to be dropped.
            self.now = self.now + 700;
        }
        self.engine.steps(self.now, &mut self.chance);
        self.truth.follows(&self.engine.disk);
        let mut notifications = Vec::new();
        self.log.take_answers(self.now, &mut notifications);
        for notification in notifications {
            self.hears(&notification);
        }
        for room in 0..NAMES.len() {
            self.moves(room, is_busy);
        }
        if is_busy {
            self.speaks();
            self.amends();
        }
        self.sends_again(is_busy);
        for index in 0..self.readers.len() {
            if self.chance.percent(50) || !is_busy {
                self.reads(index);
            }
        }
        self.log.tick(self.now);
        self.log.hand_over();
        let records = self.engine.takes_over();
        self.truth.taps(&records);
        self.log.check_invariants();
    }

    fn hears(&mut self, notification: &Notification) {
        match notification {
            Notification::Opened { room } => {
                if let Some(index) = self.index(Room::Opening(*room)) {
                    self.rooms[index] = Room::Open(*room);
                    self.log.member_joined(*room);
                    let head = self.log.head(*room).0;
                    assert_eq!(head, self.truth.rooms[index].head(), "the head at opening");
                }
            }
            Notification::OpenFailed { room, .. } => {
                assert!(self.is_damaged);
                if let Some(index) = self.index(Room::Opening(*room)) {
                    self.rooms[index] = Room::Shut;
                }
            }
            Notification::Stored { room, upto } => {
                // Also of a room without members.
                if let Some(index) = self.ids.iter().position(|id| *id == Some(*room)) {
                    let kept = self.engine.disk.kept(NAMES[index]);
                    assert!(
                        kept.is_some_and(|kept| kept.head >= *upto),
                        "{upto:?} is reported as stored in {}",
                        NAMES[index]
                    );
                    let in_room = |message: &&mut Message| message.room == index;
                    for message in self.messages.iter_mut().filter(in_room) {
                        message.is_acknowledged |= message.seq.is_some_and(|seq| seq <= *upto);
                    }
                }
            }
            _ => {}
        }
    }

    fn index(&self, wanted: Room) -> Option<usize> {
        self.rooms.iter().position(|room| *room == wanted)
    }

    /// A room gets its first member, or loses its last one.
    fn moves(&mut self, index: usize, is_busy: bool) {
        if let Room::Opening(room) | Room::Open(room) = self.rooms[index] {
            self.ids[index] = Some(room);
        }
        match self.rooms[index] {
            Room::Shut if !is_busy || self.chance.percent(20) => {
                let name = SmolStr::new(NAMES[index]);
                self.rooms[index] = match self.log.open(&name, self.now) {
                    Opening::Open(room) => {
                        self.log.member_joined(room);
                        Room::Open(room)
                    }
                    Opening::Waiting(room) => Room::Opening(room),
                    Opening::Refused => panic!("three rooms are not too many"),
                };
            }
            Room::Open(room) if is_busy && self.chance.percent(2) => {
                self.log.member_left(room, self.now);
                self.rooms[index] = Room::Shut;
            }
            Room::Open(_) if self.readers.len() < 8 && is_busy && self.chance.percent(5) => {
                let head = self.truth.rooms[index].head();
                let epoch = self.epoch(index);
                self.readers.push(Reader {
                    room: index,
                    at: self.chance.below(head as usize + 1) as u32,
                    epoch,
                    is_back: true,
                });
            }
            _ => {}
        }
    }

    fn epoch(&mut self, index: usize) -> String {
        let Room::Open(room) = self.rooms[index] else {
            panic!("the room is open");
        };
        let epoch = self.log.epoch(room).to_string();
        self.truth.hears_epoch(&epoch);
        epoch
    }

    fn speaks(&mut self) {
        for _ in 0..self.chance.below(4) {
            let index = self.chance.below(NAMES.len());
            if !matches!(self.rooms[index], Room::Open(_)) {
                continue;
            }
            self.spoken += 1;
            let filling = "z".repeat(self.chance.below(60));
            let text = format!("{} {filling}", self.spoken);
            if self.chance.percent(40) {
                let session = self.chance.below(SESSIONS) as u64;
                let is_open = |m: &&Message| m.key.session == session && !m.is_acknowledged;
                let open = self.messages.iter().filter(is_open).count();
                if open >= OPEN_MAX || !self.has_asked_for_all(session) {
                    continue;
                }
                let key = SmolStr::new(self.spoken.to_string());
                self.messages.push(Message {
                    room: index,
                    text,
                    key: Key { session, key },
                    seq: None,
                    is_acknowledged: false,
                    is_due: true,
                    is_asked: true,
                });
            } else {
                self.appends(index, &text, None);
            }
        }
    }

    fn appends(&mut self, index: usize, text: &str, key: Option<Key>) -> Option<Seq> {
        let content = Content::said(Manner::Message, text.to_owned(), None, AUTHOR);
        self.appends_content(index, content, key)
    }

    fn appends_content(
        &mut self,
        index: usize,
        content: Content<String>,
        key: Option<Key>,
    ) -> Option<Seq> {
        let Room::Open(room) = self.rooms[index] else {
            return None;
        };
        let draft = Draft {
            nick: SmolStr::new("ann"),
            content,
        };
        let wall = Millis(u64::from(self.now.0) * 100);
        let (seq, at) = self.log.append(room, &draft, key, wall).ok()?;
        let life = self.truth.life;
        self.truth.rooms[index].numbers(seq.0, Said::of(&draft), life, Some(at.0));
        Some(seq)
    }

    /// Edits or deletes a message, wherever it is.
    fn amends(&mut self) {
        let index = self.chance.below(NAMES.len());
        let Room::Open(room) = self.rooms[index] else {
            return;
        };
        let head = self.log.head(room).0;
        if head == 0 || !self.chance.percent(30) {
            return;
        }
        // The newest ones are in the tail, and older ones only in the store.
        let back = [3, head as usize][self.chance.below(2)].min(head as usize);
        let of = Seq(head - self.chance.below(back) as u32);
        let truth = &self.truth.rooms[index];
        let entry = truth.entry(of.0).expect("it was numbered");
        let is_message = entry.said.text().is_some() && entry.present().mark != Mark::Deleted;
        let original = match self.log.original(room, of) {
            KnownMessage::Here(original) => original,
            KnownMessage::Missing => {
                let is_gone = of.0 < truth.oldest() || self.is_damaged;
                assert!(!is_message || is_gone, "{of:?} is missing: {entry:?}");
                return;
            }
            KnownMessage::Wait | KnownMessage::Unreadable => return,
        };
        assert!(is_message, "{of:?} may be changed: {entry:?}");
        assert_eq!(original.author, AUTHOR, "of entry {of:?}");
        assert_eq!(entry.at, Some(original.at.0), "the time of entry {of:?}");
        self.spoken += 1;
        let filling = "e".repeat(self.chance.below(90));
        let content = match self.chance.percent(60) {
            true => Content::Edited {
                of,
                text: format!("{} {filling}", self.spoken),
            },
            false => Content::Deleted { of },
        };
        self.appends_content(index, content, None);
    }

    /// Sends messages with a key, and those again that are not acknowledged.
    fn sends_again(&mut self, is_busy: bool) {
        let has_asked = [0, 1, 2].map(|session| self.has_asked_for_all(session));
        for index in 0..self.messages.len() {
            let message = &mut self.messages[index];
            message.is_due |= !message.is_acknowledged && (self.chance.percent(5) || !is_busy);
            let is_open = matches!(self.rooms[message.room], Room::Open(_));
            if !message.is_due || message.is_acknowledged || !is_open {
                continue;
            }
            if message.is_asked && !has_asked[message.key.session as usize] {
                continue;
            }
            message.is_due = false;
            let (room, key, text) = (message.room, message.key.clone(), message.text.clone());
            let (seq, is_stored) = match self.log.duplicate(&key) {
                Duplicate::No => (self.appends(room, &text, Some(key)), false),
                Duplicate::Acked { seq, .. } => (Some(seq), true),
                Duplicate::Unacked { seq, .. } => (Some(seq), false),
                Duplicate::Unknown => {
                    self.messages[index].is_due = true;
                    continue;
                }
            };
            let message = &mut self.messages[index];
            message.is_asked = true;
            message.seq = seq;
            message.is_acknowledged |= is_stored;
            message.is_due |= seq.is_none();
        }
    }

    fn has_asked_for_all(&self, session: u64) -> bool {
        let mut of_session = self.messages.iter().filter(|m| m.key.session == session);
        of_session.all(|message| message.is_asked)
    }

    fn reads(&mut self, index: usize) {
        let reader = &mut self.readers[index];
        let Room::Open(room) = self.rooms[reader.room] else {
            return;
        };
        let truth = &self.truth.rooms[reader.room];
        if !std::mem::replace(&mut reader.is_back, true) {
            let valid = truth.valid_upto(self.truth.life_of(&reader.epoch), reader.at);
            let since = self.log.since(room, &reader.epoch, Seq(reader.at));
            let rewound = (valid < reader.at).then_some(Seq(valid));
            let at = Seq(valid);
            assert_eq!(since, Since::At { at, rewound }, "since {}", reader.at);
            reader.at = valid;
            reader.epoch = self.log.epoch(room).to_string();
            self.truth.hears_epoch(&self.readers[index].epoch.clone());
        }
        let reader = &mut self.readers[index];
        let truth = &self.truth.rooms[reader.room];
        let mut left = 1 + self.chance.below(20);
        let mut at = reader.at;
        let reading = self.log.read(room, Seq(at), &mut |entry| {
            if left == 0 {
                return false;
            }
            left -= 1;
            assert_eq!(entry.seq.0, at + 1, "an entry out of order");
            at += 1;
            let draft = Draft {
                nick: SmolStr::new(entry.nick),
                content: entry.content.map(str::to_owned),
            };
            // What is read is in its present form.
            truth.check(
                entry.seq.0,
                &Said::of(&draft),
                Some(entry.at.0),
                truth.head(),
            );
            true
        });
        match reading {
            Reading::Read { upto } => assert_eq!(upto.0, at, "read up to"),
            Reading::AtHead => assert_eq!(at, truth.head(), "at the head"),
            Reading::Gap { oldest } => {
                assert!(
                    oldest.0 <= truth.oldest() || self.is_damaged,
                    "a gap up to {oldest:?}, and the log begins at {}",
                    truth.oldest()
                );
                assert!(oldest.0 > at + 1, "a gap of nothing");
                at = oldest.0 - 1;
            }
            Reading::Wait => assert_eq!(at, reader.at, "entries before a wait"),
        }
        reader.at = at;
    }

    fn settles(&mut self, faults: &Faults) {
        self.engine.calms_down();
        for _ in 0..QUIET_TURNS {
            self.turn(false);
        }
        for reader in &self.readers {
            let head = self.truth.rooms[reader.room].head();
            assert_eq!(reader.at, head, "a reader of {}", NAMES[reader.room]);
        }
        assert!(self.engine.is_idle());
        for message in &self.messages {
            let room = &self.truth.rooms[message.room];
            let is_it =
                |entry: &(u32, &super::truth::Numbered)| entry.1.said.text() == Some(&message.text);
            let seqs: Vec<u32> = room.entries().filter(is_it).map(|(seq, _)| seq).collect();
            assert!(
                message.is_acknowledged && Some(seqs[0]) == message.seq.map(|seq| seq.0),
                "{} has {:?} and is at {seqs:?}",
                message.text,
                message.seq
            );
            assert_eq!(seqs.len(), 1, "{} is stored twice", message.text);
        }
        self.engine.misbehaves(*faults);
    }

    fn crashes(&mut self, settings: &Settings) {
        self.engine.crashes(&mut self.chance);
        let keeping = starts(&mut self.engine, &mut self.chance);
        self.log = Log::new(settings, keeping, self.now);
        self.rooms = [Room::Shut; NAMES.len()];
        self.ids = [None; NAMES.len()];
        self.truth.restarts(&self.engine.disk, Found::Same);
        for reader in &mut self.readers {
            reader.is_back = false;
        }
        for message in &mut self.messages {
            message.is_due = !message.is_acknowledged;
            message.is_asked = message.is_acknowledged;
            if !message.is_acknowledged {
                message.seq = None;
            }
        }
        for session in 0..SESSIONS {
            self.log.resumed(session as u64, self.now);
        }
    }
}

#[test]
fn a_log_over_a_store_keeps_its_promises() {
    let seeds = super::super::from_environment("PARLOR_SEEDS").unwrap_or(300);
    let from = super::super::from_environment("PARLOR_FROM").unwrap_or(0);
    for seed in from..from + seeds {
        let outcome = std::panic::catch_unwind(|| play(seed));
        if let Err(panic) = outcome {
            println!("seed {seed} failed: PARLOR_FROM={seed} PARLOR_SEEDS=1");
            std::panic::resume_unwind(panic);
        }
    }
}

/// A thread that has committed before the loop asked for it would be no thread.
#[test]
fn what_is_handed_over_is_answered_later() {
    let mut engine = Engine::new(Disk::default(), Faults::NONE);
    engine.disk.starts(1);
    let mut store = engine.store();
    let mut requests = vec![Request::Keys { session: 1 }];
    store.send(&mut requests);
    let mut answers = Vec::new();
    store.receive(&mut answers);
    assert!(answers.is_empty() && requests.is_empty());
    engine.takes_over();
    assert!(engine.steps(Tick(0), &mut Chance::new(1)));
    store.receive(&mut answers);
    assert!(matches!(answers[..], [Answer::Keys { session: 1, .. }]));
}
