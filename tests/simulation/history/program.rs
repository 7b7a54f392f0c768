//! One simulated program that speaks `parlor.v1.json`: what it remembers over all its connections,
//! and what a correct client does. It keeps a position in each room, sends what was not
//! acknowledged again with the same key, resumes its session, and judges each object it receives.
//! Knows no server.

use super::super::chance::Chance;
use super::super::client::{self, Ear, Seen};
use super::super::trace::Trace;
use super::disk::Disk;
use super::follower::{Bounds, Follower, Wish};
use super::json::{self, Entry, Heard, Joined, Object};
use super::truth::{Line, Mark, Said, Truth, What};
use parlor::id::Tick;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// How a program behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Conduct {
    /// Receives every line of its room: no fault affects it, and it is never behind.
    Witness,
    /// Reads everything at once.
    Prompt,
    /// Reads seldom and little.
    Slow,
    /// Reads everything for a while, and then nothing for a while.
    Dozing,
    /// Loses its connections often, and the server does not notice.
    Moving,
    /// Sends what is no request, too.
    Sloppy,
}

/// All but the witness.
pub(crate) const CONDUCTS: [Conduct; 5] = [
    Conduct::Prompt,
    Conduct::Slow,
    Conduct::Dozing,
    Conduct::Moving,
    Conduct::Sloppy,
];

/// What has become of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It waits for the room to be joined.
    Unsent,
    Sent,
    /// It was lost with its connection, and is not sent again: it has no key.
    Unknown,
    Acknowledged {
        seq: u32,
        time: u64,
    },
    /// It was refused with this code, and has no number.
    Refused(String),
}

/// A message of a program.
#[derive(Clone, Debug)]
pub(crate) struct Message {
    pub(crate) room: usize,
    pub(crate) text: String,
    is_action: bool,
    reply_to: Option<u32>,
    pub(crate) key: Option<String>,
    pub(crate) fate: Fate,
    /// How often it was sent.
    pub(crate) times: u32,
    /// It is not sent again before this moment.
    not_before: Tick,
}

/// A request of a program that is not answered.
#[derive(Clone, Debug)]
pub(crate) enum Asked {
    Resume,
    Join {
        room: usize,
        wish: Wish,
        /// Lines and entries that the room had.
        place: (usize, u32),
    },
    /// Edit or delete an entry; without a text: delete.
    Amend {
        room: usize,
        of: u32,
        text: Option<String>,
        /// It is a message of this program, which was acknowledged.
        is_own: bool,
    },
    Leave {
        room: usize,
    },
    Send {
        message: usize,
        /// Up to this byte of what the client has sent.
        end: u64,
    },
    History {
        room: usize,
        side: Side,
        limit: u32,
        head: u32,
    },
    Search {
        room: usize,
        query: String,
        before: u32,
        limit: u32,
        /// Up to here all was in the store.
        sure: u32,
        /// The newest entry.
        head: u32,
    },
    Nick {
        wanted: String,
    },
    /// Answered by `ok`.
    Plain,
    /// Answered by a list.
    List {
        kind: &'static str,
    },
    /// Answered by an error with one of these codes.
    Wrong {
        codes: &'static [&'static str],
    },
}

/// Which entries a history is asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Side {
    Newest,
    Before(u32),
    After(u32),
}

/// What a program remembers of a room.
#[derive(Clone, Debug, Default)]
struct Memory {
    /// It wants to be a member.
    is_wanted: bool,
    /// The position at which its last membership ended.
    left_at: Option<(String, u32)>,
    /// When it may try to join again, after it was refused.
    not_before: Tick,
    /// What it shows of the room, over all its connections.
    view: BTreeMap<u32, Said>,
}

impl Memory {
    /// An entry came: a message is shown as it is, and changed by what changes it.
    fn shows(&mut self, entry: &Entry) {
        let (of, text, mark) = match &entry.said.what {
            What::Edited { of, text } if !text.is_empty() => (*of, text.as_str(), Mark::Edited),
            What::Deleted { of } => (*of, "", Mark::Deleted),
            _ => return drop(self.view.insert(entry.seq, entry.said.clone())),
        };
        if let Some(message) = self.view.get_mut(&of) {
            *message = message.changed(text, mark);
        }
        self.view.insert(entry.seq, entry.said.clone());
    }

    /// The server has started again: a change that the client saw in a message alone, and not as
    /// an entry, may have been lost. The message is asked for again.
    fn forgets_unseen_changes(&mut self) {
        let mut seen = BTreeMap::new();
        for said in self.view.values() {
            match &said.what {
                // A later change was not seen, which has replaced this one.
                What::Edited { of, text } if text.is_empty() => seen.remove(of),
                What::Edited { of, text } => seen.insert(*of, text.clone()),
                What::Deleted { of } => seen.insert(*of, String::new()),
                _ => None,
            };
        }
        self.view.retain(|seq, said| {
            let text = said.text().filter(|_| said.mark != Mark::AsSaid);
            text.is_none_or(|text| seen.get(seq).is_some_and(|seen| seen == text))
        });
    }

    /// Entries above this one were never stored: messages that they changed are asked for again.
    fn forgets_above(&mut self, to: u32) {
        for said in self.view.split_off(&(to + 1)).into_values() {
            if let What::Edited { of, .. } | What::Deleted { of } = said.what {
                self.view.remove(&of);
            }
        }
    }
}

/// How far a connection has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// No `hello` has come.
    New,
    /// Its `resume` is not answered.
    Resuming,
    Open,
    /// A close frame has come or was sent.
    Closed,
}

/// A connection of a program.
pub(crate) struct Connection {
    pub(crate) socket: usize,
    ear: Ear,
    stage: Stage,
    has_resumed: bool,
    /// The session that it was greeted with.
    greeted: Option<String>,
    /// The session of an earlier connection.
    resumes: Option<String>,
    asked: BTreeMap<u64, Asked>,
    pub(crate) follows: BTreeMap<usize, Follower>,
    /// Rooms in which a `join` or `leave` is not answered.
    moving: Vec<usize>,
    /// The network was blocked, or was not read to its end.
    pub(crate) is_blocked: bool,
    /// It was so at any time.
    pub(crate) was_blocked: bool,
    /// Messages that it was sent since the game has looked.
    pub(crate) heard: usize,
    /// Until when a dozing program reads nothing.
    pub(crate) asleep_until: Tick,
    pub(crate) close_code: Option<u16>,
    /// Bytes that the client has sent.
    sent: u64,
    /// Up to where each read of the server went.
    reads: Vec<u64>,
    /// Messages that the store could not take: where each ends, and the read that it came in.
    refused: Vec<(u64, u64)>,
}

impl Connection {
    fn new(socket: usize, resumes: Option<String>) -> Self {
        Self {
            socket,
            ear: Ear::default(),
            stage: Stage::New,
            has_resumed: false,
            greeted: None,
            resumes,
            asked: BTreeMap::new(),
            follows: BTreeMap::new(),
            moving: Vec::new(),
            is_blocked: false,
            was_blocked: false,
            heard: 0,
            asleep_until: Tick(0),
            close_code: None,
            sent: 0,
            reads: Vec::new(),
            refused: Vec::new(),
        }
    }

    /// The server has read up to this byte. What one read brings is held together.
    pub(crate) fn was_read(&mut self, upto: u64) {
        self.reads.push(upto);
    }

    /// A message was refused because it could not be numbered: what was held behind it must be
    /// refused as well.
    fn was_refused(&mut self, end: u64) {
        let read = self.reads.iter().find(|upto| **upto >= end);
        let read = *read.expect("the server has read what it answers");
        self.refused.push((end, read));
    }

    /// Whether a message was held behind one that was refused.
    fn is_behind_a_refusal(&self, end: u64) -> bool {
        let mut refused = self.refused.iter();
        refused.any(|(before, read)| *before < end && end <= *read)
    }

    pub(crate) fn is_open(&self) -> bool {
        self.stage == Stage::Open
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.stage == Stage::Closed
    }

    /// What is not done, for a panic message.
    pub(crate) fn describes(&self) -> String {
        let follows: Vec<&Follower> = self.follows.values().collect();
        format!(
            "{:?}, asked {:?}, follows {follows:?}",
            self.stage, self.asked
        )
    }
}

/// What the judge of a program needs to know.
pub(crate) struct World<'a> {
    pub(crate) truth: &'a mut Truth,
    /// What is committed; `None`: the server keeps everything in memory.
    pub(crate) disk: Option<&'a Disk>,
    pub(crate) bounds: Bounds,
    pub(crate) names: &'a [&'static str],
    pub(crate) now: Tick,
    pub(crate) trace: &'a mut Trace,
    /// The store may have been unable to write or read.
    pub(crate) is_ill: bool,
}

pub(crate) struct Program {
    pub(crate) number: usize,
    pub(crate) conduct: Conduct,
    pub(crate) connection: Option<Connection>,
    pub(crate) nick: String,
    /// It speaks TLS.
    pub(crate) is_secure: bool,
    session: Option<String>,
    memories: Vec<Memory>,
    pub(crate) messages: Vec<Message>,
    next_id: u64,
    /// It does not come back, and sends nothing more.
    pub(crate) is_leaving: bool,
    /// Before this moment it does not connect again.
    pub(crate) comes_back_at: Tick,
    /// How many of its messages the store could not take.
    pub(crate) refused: u64,
    /// How often it resumed at a position, and how often it was rewound or informed of a gap.
    pub(crate) resumed: u64,
    pub(crate) rewound: u64,
    pub(crate) gaps: u64,
    /// How many of its edits and deletions were acknowledged.
    pub(crate) amended: u64,
}

/// The most messages that a program leaves unacknowledged.
const UNACKNOWLEDGED_MAX: usize = 12;

impl Program {
    pub(crate) fn new(number: usize, conduct: Conduct, rooms: usize) -> Self {
        Self {
            number,
            conduct,
            connection: None,
            nick: format!("j{number}"),
            is_secure: false,
            session: None,
            memories: vec![Memory::default(); rooms],
            messages: Vec::new(),
            next_id: 1,
            is_leaving: false,
            comes_back_at: Tick(0),
            refused: 0,
            resumed: 0,
            rewound: 0,
            gaps: 0,
            amended: 0,
        }
    }

    pub(crate) fn wants(&mut self, room: usize) {
        self.memories[room].is_wanted = true;
    }

    /// It has connected: the request for the upgrade.
    pub(crate) fn connects(&mut self, socket: usize) -> Vec<u8> {
        assert!(self.connection.is_none(), "one connection at a time");
        self.connection = Some(Connection::new(socket, self.session.clone()));
        let path = format!("/ws?nick={}", self.nick);
        self.writes(client::upgrade_to(
            &path,
            "Sec-WebSocket-Protocol: parlor.v1.json\r\n",
        ))
    }

    /// Its connection is lost: it remembers its positions, and that its requests were not answered.
    pub(crate) fn is_cut_off(&mut self) {
        let Some(connection) = self.connection.take() else {
            return;
        };
        for (room, follower) in connection.follows {
            self.memories[room].left_at = Some(follower.position());
        }
        for asked in connection.asked.into_values() {
            self.was_not_answered(&asked);
        }
    }

    fn was_not_answered(&mut self, asked: &Asked) {
        if let Asked::Send { message, .. } = asked {
            let message = &mut self.messages[*message];
            message.fate = match message.key {
                Some(_) => Fate::Unsent,
                None => Fate::Unknown,
            };
        }
    }

    /// Bytes that the client has read. Judges what they complete.
    pub(crate) fn hears(&mut self, bytes: &[u8], world: &mut World<'_>) -> Vec<Seen> {
        let Some(connection) = &mut self.connection else {
            return Vec::new();
        };
        connection.ear.hear(bytes);
        let mut others = Vec::new();
        while let Some(seen) = self.connection.as_mut().and_then(|c| c.ear.next()) {
            let nick = &self.nick;
            world
                .trace
                .note(|| format!("        {nick} is sent {seen:?}"));
            match seen {
                Seen::Line(text) => {
                    if let Some(connection) = &mut self.connection {
                        connection.heard += 1;
                    }
                    self.judges(&text, world);
                }
                other => others.push(other),
            }
        }
        others
    }

    fn judges(&mut self, text: &str, world: &mut World<'_>) {
        let Heard { re, object } = json::parse(text);
        let connection = self.connection.as_mut().expect("it hears something");
        let asked = re.map(|id| {
            connection
                .asked
                .remove(&id)
                .unwrap_or_else(|| panic!("{}: request {id} is answered twice: {text}", self.nick))
        });
        match object {
            Object::Hello { nick, session, .. } => {
                assert_eq!(connection.stage, Stage::New, "a second hello");
                connection.stage = Stage::Open;
                self.is_greeted(nick, session);
            }
            _ if connection.stage == Stage::New => panic!("{text} came before the hello"),
            Object::Joined(joined) => self.has_joined(&joined, asked, world),
            Object::Entry(entry) => self.takes_entry(&entry, world),
            Object::Gap { room, from, to } => {
                self.gaps += 1;
                let follower = self.follower(&room, world.names, text);
                let index = follower.room;
                follower.takes_gap(from, to, &world.truth.rooms[index], world.bounds);
                // What was changed meanwhile is asked for again.
                self.memories[index].view.clear();
            }
            Object::Rewound { room, epoch, to } => {
                let follower = self.follower(&room, world.names, text);
                follower.is_rewound(&epoch, to);
                let index = follower.room;
                self.memories[index].forgets_above(to);
                self.memories[index].forgets_unseen_changes();
                self.rewound += 1;
            }
            Object::Removed { room } => {
                let room = self.follower(&room, world.names, text).room;
                self.is_removed_from(room);
            }
            Object::Notice { room, is_lost, all } => self.takes_notice(&room, is_lost, all, world),
            Object::History {
                room,
                entries,
                more,
            } => {
                check_history(asked.as_ref(), &room, &entries, more, world);
                let index = world.truth.index(&room).expect("a room that it named");
                // It may have been removed from the room since it asked.
                if self.is_in(index) {
                    for entry in &entries {
                        self.memories[index].shows(entry);
                    }
                }
            }
            Object::Found {
                room,
                entries,
                more,
            } => check_found(asked.as_ref(), &room, &entries, more, world),
            Object::Ok(all) => self.is_right(&asked.expect("an ok answers"), &all, world),
            Object::Error { code, retry_ms } => {
                self.is_refused(asked, &code, retry_ms, text, world);
            }
            Object::List(all) => {
                let kind = match asked {
                    Some(Asked::List { kind }) => kind,
                    other => panic!("{all} answers {other:?}"),
                };
                assert_eq!(all["type"], kind);
            }
        }
    }

    fn is_greeted(&mut self, nick: String, session: String) {
        self.nick = nick;
        let connection = self.connection.as_mut().expect("it hears something");
        connection.greeted = Some(session.clone());
        self.session.get_or_insert(session);
    }

    fn follower(&mut self, room: &str, names: &[&str], text: &str) -> &mut Follower {
        let index = names.iter().position(|name| *name == room);
        let connection = self.connection.as_mut().expect("it hears something");
        let follower = index.and_then(|index| connection.follows.get_mut(&index));
        follower.unwrap_or_else(|| panic!("{}: {text} of a room it is not in", self.nick))
    }

    fn has_joined(&mut self, joined: &Joined, asked: Option<Asked>, world: &mut World<'_>) {
        let Some(Asked::Join { room, wish, place }) = asked else {
            panic!("{joined:?} answers {asked:?}");
        };
        assert_eq!(
            joined.room, world.names[room],
            "another room than asked for"
        );
        assert!(
            joined.count as usize >= joined.members.len() && joined.members.len() <= 20,
            "{joined:?}"
        );
        world.truth.hears_epoch(&joined.epoch);
        let follower = Follower::joins(joined, &wish, place, &self.nick, world.truth, world.bounds);
        self.resumed += u64::from(matches!(wish, Wish::Since { .. }));
        self.rewound += u64::from(joined.rewound.is_some());
        let memory = &mut self.memories[room];
        let epoch = memory.left_at.as_ref().map(|(epoch, _)| epoch);
        if epoch != Some(&joined.epoch) {
            // What it read above its position may be gone, and what that had changed.
            memory.forgets_above(joined.after);
            memory.forgets_unseen_changes();
        }
        if let Some(to) = joined.rewound {
            memory.forgets_above(to);
        }
        if !joined.recovered {
            memory.view.clear();
        }
        let connection = self.connection.as_mut().expect("it hears something");
        connection.moving.retain(|other| *other != room);
        let known = connection.follows.insert(room, follower);
        assert!(known.is_none(), "it was a member before: {joined:?}");
    }

    fn takes_entry(&mut self, entry: &Entry, world: &mut World<'_>) {
        let is_witness = self.conduct == Conduct::Witness;
        let follower = self.follower(&entry.room, world.names, &format!("{entry:?}"));
        let room = &mut world.truth.rooms[follower.room];
        if is_witness && entry.seq > room.lines_from {
            let (said, life) = (entry.said.clone(), world.truth.life);
            room.numbers(entry.seq, said, life, Some(entry.time));
            room.lines.push(Line::Entry(entry.seq));
        }
        follower.takes_entry(entry, room);
        let index = follower.room;
        self.memories[index].shows(entry);
    }

    /// It was kicked: it is no member any more, and does not come back to the room.
    fn is_removed_from(&mut self, room: usize) {
        let connection = self.connection.as_mut().expect("it hears something");
        connection.follows.remove(&room);
        self.memories[room] = Memory::default();
    }

    fn takes_notice(&mut self, name: &str, is_lost: bool, all: Value, world: &mut World<'_>) {
        let is_witness = self.conduct == Conduct::Witness;
        let follower = self.follower(name, world.names, &all.to_string());
        let room = &mut world.truth.rooms[follower.room];
        if is_witness && room.is_witnessed {
            assert!(!is_lost, "a witness has lost notices");
            room.lines.push(Line::Notice(all.clone()));
        }
        follower.takes_notice(&all, is_lost, room);
    }

    /// A request was answered by `ok`.
    fn is_right(&mut self, asked: &Asked, all: &Value, world: &World<'_>) {
        match asked {
            Asked::Send { message, end } => {
                let connection = self.connection.as_ref().expect("it hears something");
                assert!(
                    !connection.is_behind_a_refusal(*end),
                    "{} was accepted behind a message that was refused: {all}",
                    self.messages[*message].text
                );
                self.is_acknowledged(*message, all, world);
            }
            Asked::Resume => {
                let connection = self.connection.as_mut().expect("it hears something");
                connection.stage = Stage::Open;
                self.nick = all["nick"]
                    .as_str()
                    .expect("a resume has the nick")
                    .to_owned();
                if let Some(session) = all["session"].as_str() {
                    self.session = Some(session.to_owned());
                }
            }
            Asked::Leave { room } => {
                let connection = self.connection.as_mut().expect("it hears something");
                connection.moving.retain(|other| other != room);
                let follower = connection.follows.remove(room);
                self.memories[*room].left_at = follower.map(|follower| follower.position());
                self.memories[*room].is_wanted = false;
            }
            Asked::Nick { wanted } => self.nick.clone_from(wanted),
            Asked::Amend {
                room,
                of,
                text,
                is_own,
            } => {
                assert!(is_own, "{all} for {asked:?}, which is another's message");
                is_amended(*room, *of, text.as_deref(), all, world);
                self.amended += 1;
            }
            Asked::Plain => {}
            Asked::Join { .. }
            | Asked::History { .. }
            | Asked::Search { .. }
            | Asked::List { .. }
            | Asked::Wrong { .. } => {
                panic!("{all} answers {asked:?}")
            }
        }
    }

    /// An acknowledged message is stored, with the number and the time of the entry.
    fn is_acknowledged(&mut self, index: usize, all: &Value, world: &World<'_>) {
        let message = &mut self.messages[index];
        let name = world.names[message.room];
        let seq = all["seq"].as_u64().expect("a number") as u32;
        let time = all["time"].as_u64().expect("a time");
        assert_eq!(all["room"], name, "{all} for {message:?}");
        assert!(
            all.get("duplicate").is_none() || message.times > 1,
            "{all} is no duplicate: {message:?}"
        );
        let room = &world.truth.rooms[message.room];
        let entry = room.entry(seq);
        assert!(
            entry.is_some_and(|entry| entry.said.text() == Some(&message.text)
                && entry.at.is_none_or(|at| at == time)),
            "{all} for {message:?}, but the entry is {entry:?}"
        );
        if let Some(disk) = world.disk {
            let record = disk.record(name, seq);
            assert!(
                record.is_some_and(|record| Said::of(&record.draft).text() == Some(&message.text))
                    || seq < room.oldest(),
                "{all} was acknowledged and is not stored: {record:?}"
            );
        }
        message.fate = Fate::Acknowledged { seq, time };
    }

    fn is_refused(
        &mut self,
        asked: Option<Asked>,
        code: &str,
        retry_ms: Option<u64>,
        text: &str,
        world: &World<'_>,
    ) {
        let again = world.now + retry_ms.map_or(20, |ms| ms.div_ceil(100) as u32 + 1);
        let is_ill = world.is_ill && code == "store_unavailable" || code == "busy";
        let is_late = code == "too_fast" || is_ill;
        match asked.clone() {
            // Its own half-dead connection has the nick until it resumes.
            None if code == "nick_taken" => {}
            None => assert_eq!(self.conduct, Conduct::Sloppy, "{} got {text}", self.nick),
            Some(Asked::Wrong { codes }) => {
                assert!(
                    codes.contains(&code) || is_late,
                    "{text} instead of {codes:?}"
                );
            }
            Some(Asked::Send { message, end }) => {
                let connection = self.connection.as_mut().expect("it hears something");
                if code == "store_unavailable" {
                    connection.was_refused(end);
                    self.refused += 1;
                }
                let was_kicked = code == "not_a_member";
                assert!(
                    is_late || was_kicked,
                    "{text} for {:?}",
                    self.messages[message]
                );
                let message = &mut self.messages[message];
                message.not_before = again;
                message.fate = match message.text.len().is_multiple_of(2) && !was_kicked {
                    true => Fate::Unsent,
                    false => Fate::Refused(code.to_owned()),
                };
            }
            Some(Asked::Join { room, .. }) => {
                assert!(is_late, "{text} for a join of {}", world.names[room]);
                let connection = self.connection.as_mut().expect("it hears something");
                connection.moving.retain(|other| *other != room);
                self.memories[room].not_before = again;
            }
            Some(Asked::Leave { room }) => {
                assert!(is_late || code == "not_a_member", "{text} for a leave");
                let connection = self.connection.as_mut().expect("it hears something");
                connection.moving.retain(|other| *other != room);
            }
            Some(Asked::Nick { .. }) => {
                assert!(is_late || code == "nick_taken", "{text} for a nick");
            }
            // Without a store no start knows the sessions of the last one.
            Some(Asked::Resume) if code == "no_such_session" && world.disk.is_none() => {
                let connection = self.connection.as_mut().expect("it hears something");
                connection.stage = Stage::Open;
                self.session.clone_from(&connection.greeted);
            }
            Some(Asked::Resume) => panic!("a session was not resumed: {text}"),
            Some(Asked::Amend {
                room, of, is_own, ..
            }) => {
                let truth = &world.truth.rooms[room];
                let may_be_missing = of < truth.oldest()
                    || world.bounds.may_be_gone
                    || truth.entry(of).is_none_or(|entry| {
                        entry.said.text().is_none() || entry.present().mark == Mark::Deleted
                    });
                let is_right = match code {
                    "no_such_message" => may_be_missing,
                    "not_allowed" => !is_own,
                    "too_late" => is_own,
                    "not_a_member" => true,
                    // The message cannot be read.
                    "store_unavailable" => is_late || world.bounds.may_be_gone,
                    _ => is_late,
                };
                assert!(is_right, "{text} for {asked:?}: {:?}", truth.entry(of));
                if code == "store_unavailable" {
                    self.refused += 1;
                }
            }
            Some(
                Asked::History { .. } | Asked::Search { .. } | Asked::List { .. } | Asked::Plain,
            ) => {
                assert!(is_late || code == "not_a_member", "{text} for {asked:?}");
            }
        }
    }

    // What it does

    /// What it sends over its connection goes through here, in the order in which it is sent.
    fn writes(&mut self, bytes: Vec<u8>) -> Vec<u8> {
        let connection = self.connection.as_mut().expect("it sends something");
        connection.sent += bytes.len() as u64;
        bytes
    }

    /// A message of the client, which is no request that it expects an answer to.
    fn sends_text(&mut self, text: &str, chance: &mut Chance) -> Vec<u8> {
        self.writes(frames(text, chance))
    }

    /// The answer to a ping.
    pub(crate) fn pongs(&mut self, payload: &[u8], chance: &mut Chance) -> Vec<u8> {
        self.writes(client::frame(0x8A, payload, chance))
    }

    fn asks(
        &mut self,
        kind: &str,
        mut asked: Asked,
        fields: &[(&str, Value)],
        chance: &mut Chance,
    ) -> Vec<u8> {
        let id = self.next_id;
        self.next_id += 1;
        let text = json::request(kind, Some(id), fields);
        if !matches!(asked, Asked::Wrong { .. }) {
            json::check_request(&text);
        }
        let bytes = self.sends_text(&text, chance);
        let connection = self.connection.as_mut().expect("it sends something");
        if let Asked::Send { end, .. } = &mut asked {
            *end = connection.sent;
        }
        connection.asked.insert(id, asked);
        bytes
    }

    /// What it sends first, as soon as it may: a `resume`, the rooms it wants, and what was not
    /// acknowledged.
    pub(crate) fn takes_up(&mut self, world: &World<'_>, chance: &mut Chance) -> Vec<u8> {
        let mut bytes = Vec::new();
        let Some(connection) = &mut self.connection else {
            return bytes;
        };
        if !connection.is_open() {
            return bytes;
        }
        if !connection.has_resumed {
            connection.has_resumed = true;
            // Only one of an earlier connection.
            if let Some(session) = connection.resumes.take() {
                connection.stage = Stage::Resuming;
                let session = ("session", json!(session));
                bytes.extend(self.asks("resume", Asked::Resume, &[session], chance));
                // A client need not wait for the answer.
                if chance.percent(50) {
                    return bytes;
                }
            }
        }
        for room in 0..self.memories.len() {
            bytes.extend(self.joins_again(room, world, chance));
        }
        for index in 0..self.messages.len() {
            let Message { room, ref fate, .. } = self.messages[index];
            if *fate != Fate::Unsent || world.now < self.messages[index].not_before {
                continue;
            }
            if !self.memories[room].is_wanted {
                self.messages[index].fate = Fate::Unknown;
            } else if self.is_in(room) {
                bytes.extend(self.sends(index, chance));
            }
        }
        bytes
    }

    pub(crate) fn is_in(&self, room: usize) -> bool {
        self.connection.as_ref().is_some_and(|connection| {
            connection.follows.contains_key(&room) && !connection.moving.contains(&room)
        })
    }

    /// Whether it has followed a room up to here.
    pub(crate) fn is_at(&self, room: usize, seq: u32) -> bool {
        let connection = self.connection.as_ref();
        let follower = connection.and_then(|connection| connection.follows.get(&room));
        follower.is_some_and(|follower| follower.at == seq)
    }

    fn joins_again(&mut self, room: usize, world: &World<'_>, chance: &mut Chance) -> Vec<u8> {
        let connection = self.connection.as_mut().expect("it sends something");
        let memory = &self.memories[room];
        let is_busy = connection.follows.contains_key(&room) || connection.moving.contains(&room);
        if !memory.is_wanted || is_busy || world.now < memory.not_before {
            return Vec::new();
        }
        connection.moving.push(room);
        let name = ("room", json!(world.names[room]));
        let known = &world.truth.rooms[room];
        let place = (known.lines.len(), known.head());
        let (wish, second) = match &memory.left_at {
            Some((epoch, seq)) => (
                Wish::Since {
                    epoch: epoch.clone(),
                    seq: *seq,
                },
                Some(("since", json!({"epoch": epoch, "seq": seq}))),
            ),
            None => {
                let count = [0, 1 + chance.below(8) as u32, 1000][chance.below(3)];
                let second = (count > 0).then(|| ("history", json!(count)));
                (Wish::Newest(count), second)
            }
        };
        let fields: Vec<(&str, Value)> = std::iter::once(name).chain(second).collect();
        self.asks("join", Asked::Join { room, wish, place }, &fields, chance)
    }

    fn sends(&mut self, index: usize, chance: &mut Chance) -> Vec<u8> {
        let message = &mut self.messages[index];
        message.fate = Fate::Sent;
        message.times += 1;
        let mut fields = vec![
            ("room", json!(super::ROOMS[message.room])),
            ("text", json!(message.text)),
        ];
        if message.is_action {
            fields.push(("kind", json!("action")));
        }
        if let Some(seq) = message.reply_to {
            fields.push(("reply_to", json!(seq)));
        }
        if let Some(key) = &message.key {
            fields.push(("key", json!(key)));
        }
        let asked = Asked::Send {
            message: index,
            end: 0,
        };
        self.asks("send", asked, &fields, chance)
    }

    /// A new message to a room it is in.
    pub(crate) fn says(&mut self, chance: &mut Chance) -> Vec<u8> {
        let waiting = |message: &&Message| matches!(message.fate, Fate::Unsent | Fate::Sent);
        let Some(connection) = &self.connection else {
            return Vec::new();
        };
        let rooms: Vec<usize> = connection.follows.keys().copied().collect();
        let is_full = self.messages.iter().filter(waiting).count() >= UNACKNOWLEDGED_MAX;
        // The server knows the newest 64 keys of a session: no message may wait for longer.
        let oldest = self.messages.iter().position(|message| waiting(&message));
        let is_late = oldest.is_some_and(|oldest| self.messages.len() - oldest > 40);
        if rooms.is_empty() || is_full || is_late || !connection.is_open() {
            return Vec::new();
        }
        let room = rooms[chance.below(rooms.len())];
        if !self.is_in(room) {
            return Vec::new();
        }
        let index = self.messages.len();
        let filling = ["x", "é", "語", "🎈"][chance.below(4)].repeat(chance.below(30));
        let at = connection.follows[&room].at;
        self.messages.push(Message {
            room,
            text: format!("says j{} {index} {filling}.", self.number),
            is_action: chance.percent(20),
            reply_to: (at > 0 && chance.percent(10)).then_some(at),
            key: chance
                .percent(80)
                .then(|| format!("{}-{index}", self.number)),
            fate: Fate::Unsent,
            times: 0,
            not_before: Tick(0),
        });
        self.sends(index, chance)
    }

    /// Another request than a message.
    pub(crate) fn requests(&mut self, world: &World<'_>, chance: &mut Chance) -> Vec<u8> {
        let Some(connection) = &self.connection else {
            return Vec::new();
        };
        let room = chance.below(self.memories.len());
        let name = || ("room", json!(world.names[room]));
        if !connection.is_open() {
            return Vec::new();
        }
        let is_in = self.is_in(room);
        match chance.below(12) {
            0 => self.asks("ping", Asked::Plain, &[], chance),
            1 => self.asks("rooms", Asked::List { kind: "rooms" }, &[], chance),
            2 => {
                let wanted = format!("j{}r{}", self.number, self.next_id);
                let fields = [("nick", json!(wanted))];
                self.asks("nick", Asked::Nick { wanted }, &fields, chance)
            }
            3 if is_in => self.asks("who", Asked::List { kind: "members" }, &[name()], chance),
            4 if is_in => self.searches(room, world, chance),
            5 if is_in && self.has_sent_all(room) => {
                let connection = self.connection.as_mut().expect("it sends something");
                connection.moving.push(room);
                self.asks("leave", Asked::Leave { room }, &[name()], chance)
            }
            6..9 if is_in => self.asks_for_history(room, world, chance),
            9 => {
                self.wants(room);
                Vec::new()
            }
            10 if is_in => self.amends(room, world, chance),
            _ if self.conduct == Conduct::Sloppy => self.errs(room, is_in, world, chance),
            _ => Vec::new(),
        }
    }

    /// Edits or deletes a message of the room: mostly one of its own.
    fn amends(&mut self, room: usize, world: &World<'_>, chance: &mut Chance) -> Vec<u8> {
        let seq_of = |message: &Message| match message.fate {
            Fate::Acknowledged { seq, .. } if message.room == room => Some(seq),
            _ => None,
        };
        let own: Vec<u32> = self.messages.iter().filter_map(seq_of).collect();
        let known = &world.truth.rooms[room];
        let is_own = !own.is_empty() && chance.percent(85);
        let of = match is_own {
            // The newest ones are in memory.
            true if chance.percent(60) => own[own.len() - 1 - chance.below(own.len().min(3))],
            true => own[chance.below(own.len())],
            false => 1 + chance.below(known.head() as usize + 2) as u32,
        };
        let texts: Vec<&str> = self.messages.iter().map(|m| m.text.as_str()).collect();
        let said = known.entry(of).and_then(|entry| entry.said.text());
        if !is_own && said.is_none_or(|said| texts.contains(&said)) {
            // Its own, of which it does not know the number.
            return Vec::new();
        }
        let mut fields = vec![("room", json!(world.names[room])), ("seq", json!(of))];
        let filling = ["", "x", "語"][chance.below(3)].repeat(chance.below(40));
        let text = format!("edits j{} {} {filling}.", self.number, self.next_id);
        let text = chance.percent(65).then_some(text);
        if let Some(text) = &text {
            fields.push(("text", json!(text)));
        }
        let kind = match text {
            Some(_) => "edit",
            None => "delete",
        };
        let asked = Asked::Amend {
            room,
            of,
            text,
            is_own,
        };
        self.asks(kind, asked, &fields, chance)
    }

    fn has_sent_all(&self, room: usize) -> bool {
        let is_open = |message: &Message| {
            message.room == room && matches!(message.fate, Fate::Unsent | Fate::Sent)
        };
        !self.messages.iter().any(is_open)
    }

    fn asks_for_history(&mut self, room: usize, world: &World<'_>, chance: &mut Chance) -> Vec<u8> {
        let known = &world.truth.rooms[room];
        let seq = 1 + chance.below(known.head() as usize + 2) as u32;
        let limit = 1 + chance.below(30) as u32;
        let mut fields = vec![("room", json!(world.names[room])), ("limit", json!(limit))];
        let side = match chance.below(3) {
            0 => Side::Newest,
            1 => Side::Before(seq),
            _ => Side::After(seq - 1),
        };
        match side {
            Side::Newest => {}
            Side::Before(seq) => fields.push(("before", json!(seq))),
            Side::After(seq) => fields.push(("after", json!(seq))),
        }
        // The newest entry that the answer must know of.
        let head = known.head();
        let asked = Asked::History {
            room,
            side,
            limit,
            head,
        };
        self.asks("history", asked, &fields, chance)
    }

    fn searches(&mut self, room: usize, world: &World<'_>, chance: &mut Chance) -> Vec<u8> {
        let known = &world.truth.rooms[room];
        let words = ["SAYS", "x", "É", "語", "j", "p"];
        let mut query = words[chance.below(words.len())].to_owned();
        if chance.percent(60) {
            query = format!(
                "{query} {}{}",
                ["J", "p", ""][chance.below(3)],
                chance.below(9)
            );
        }
        let limit = [1, 3, 100][chance.below(3)];
        let before = match chance.percent(50) {
            true => 1 + chance.below(known.head() as usize + 2) as u32,
            false => u32::MAX,
        };
        let name = world.names[room];
        let mut fields = vec![
            ("room", json!(name)),
            ("query", json!(query)),
            ("limit", json!(limit)),
        ];
        if before < u32::MAX {
            fields.push(("before", json!(before)));
        }
        let stored = |disk: &Disk| disk.kept(name).map_or(0, |kept| kept.head.0);
        let asked = Asked::Search {
            room,
            query,
            before,
            limit,
            sure: world.disk.map_or_else(|| known.head(), stored),
            head: known.head(),
        };
        self.asks("search", asked, &fields, chance)
    }

    /// The server has started with an older disk, or with none: what was acknowledged may be lost.
    pub(crate) fn may_have_lost(&mut self, truth: &Truth) {
        for message in &mut self.messages {
            if let Fate::Acknowledged { seq, .. } = message.fate {
                let entry = truth.rooms[message.room].entry(seq);
                let is_there = entry.is_some_and(|entry| entry.said.text() == Some(&message.text));
                if !is_there {
                    message.fate = Fate::Unknown;
                }
            }
        }
    }

    /// Something that a client must not send, and for which it is not closed.
    fn errs(
        &mut self,
        room: usize,
        is_in: bool,
        world: &World<'_>,
        chance: &mut Chance,
    ) -> Vec<u8> {
        let name = ("room", json!(world.names[room]));
        let wrong = |codes| Asked::Wrong { codes };
        match chance.below(8) {
            0 => self.sends_text("{\"type\":\"ping\"", chance),
            1 => self.sends_text("[1, 2]", chance),
            2 => self.sends_text("{\"type\":\"ping\",\"id\":[7]}", chance),
            3 => self.asks("dance", wrong(&["unknown_type"]), &[], chance),
            4 => {
                let codes = &["bad_request"];
                self.asks("send", wrong(codes), &[name, ("text", json!(7))], chance)
            }
            5 if is_in => {
                // It may have been kicked meanwhile.
                let codes = &["empty", "not_a_member"];
                self.asks("send", wrong(codes), &[name, ("text", json!(""))], chance)
            }
            6 if !is_in && !self.is_moving(room) => {
                let text = ("text", json!("from outside"));
                self.asks("send", wrong(&["not_a_member"]), &[name, text], chance)
            }
            _ => {
                let codes = &["bad_name", "no_such_room", "bad_request"];
                self.asks("join", wrong(codes), &[("room", json!("a b"))], chance)
            }
        }
    }

    fn is_moving(&self, room: usize) -> bool {
        let connection = self.connection.as_ref();
        connection.is_some_and(|connection| connection.moving.contains(&room))
    }

    /// Leaves in good order.
    pub(crate) fn closes(&mut self, chance: &mut Chance) -> Vec<u8> {
        let Some(connection) = &mut self.connection else {
            return Vec::new();
        };
        connection.stage = Stage::Closed;
        self.writes(client::frame(0x88, &1000_u16.to_be_bytes(), chance))
    }

    /// The server has closed, with this code: the answer.
    pub(crate) fn is_closed(&mut self, code: Option<u16>, chance: &mut Chance) -> Vec<u8> {
        let Some(connection) = &mut self.connection else {
            return Vec::new();
        };
        connection.close_code = code;
        if connection.stage == Stage::Closed {
            return Vec::new();
        }
        connection.stage = Stage::Closed;
        let code = code.map(u16::to_be_bytes);
        let payload = code.as_ref().map_or(&[][..], |code| &code[..]);
        self.writes(client::frame(0x88, payload, chance))
    }

    /// What it shows of the rooms that it is in is what there is.
    pub(crate) fn check_views(&self, truth: &Truth) {
        for (room, memory) in self.memories.iter().enumerate() {
            if !self.is_in(room) {
                continue;
            }
            for (seq, said) in &memory.view {
                let entry = truth.rooms[room].entry(*seq);
                let entry = entry.unwrap_or_else(|| panic!("{} shows {said:?}", self.nick));
                // An edit that was replaced shows nothing by itself.
                assert!(
                    said.text().is_none() || said == entry.present(),
                    "{} shows entry {seq} as {said:?} instead of {entry:?}",
                    self.nick
                );
            }
        }
    }

    /// Everything that it asked for was answered, and everything that it said has its fate.
    pub(crate) fn is_settled(&self, truth: &Truth) -> bool {
        let is_open = |message: &Message| matches!(message.fate, Fate::Unsent | Fate::Sent);
        let Some(connection) = &self.connection else {
            return false;
        };
        let is_current = |follower: &Follower| follower.is_at_the_end(&truth.rooms[follower.room]);
        let is_in = |(room, memory): (usize, &Memory)| {
            !memory.is_wanted || connection.follows.contains_key(&room)
        };
        connection.is_open()
            && connection.asked.is_empty()
            && connection.follows.values().all(is_current)
            && self.memories.iter().enumerate().all(is_in)
            && !self.messages.iter().any(is_open)
    }
}

/// An acknowledged edit or deletion is stored with its number.
fn is_amended(room: usize, of: u32, text: Option<&str>, all: &Value, world: &World<'_>) {
    let what = match text {
        Some(text) => What::Edited {
            of,
            text: text.to_owned(),
        },
        None => What::Deleted { of },
    };
    let name = world.names[room];
    let seq = all["seq"].as_u64().expect("a number") as u32;
    let known = &world.truth.rooms[room];
    let entry = known.entry(seq);
    assert!(
        all["room"] == name && entry.is_some_and(|entry| entry.said.what == what),
        "{all} for {what:?}, but the entry is {entry:?}"
    );
    if let Some(disk) = world.disk {
        let record = disk.record(name, seq);
        assert!(
            record.is_some_and(|record| Said::of(&record.draft).what == what)
                || seq < known.oldest(),
            "{all} was acknowledged and is not stored: {record:?}"
        );
    }
}

/// A text message, in one frame or in two.
fn frames(text: &str, chance: &mut Chance) -> Vec<u8> {
    if chance.percent(85) {
        return client::frame(0x81, text.as_bytes(), chance);
    }
    let (head, tail) = text.as_bytes().split_at(chance.below(text.len() + 1));
    let mut bytes = client::frame(0x01, head, chance);
    bytes.extend(client::frame(0x80, tail, chance));
    bytes
}

/// What was found is what is in the room and has the words: the newest, all that was stored when it
/// was asked for, in order.
fn check_found(
    asked: Option<&Asked>,
    name: &str,
    entries: &[Entry],
    more: bool,
    world: &World<'_>,
) {
    let Some(Asked::Search {
        room,
        query,
        before,
        limit,
        sure,
        head,
    }) = asked
    else {
        panic!("what was found answers {asked:?}");
    };
    assert_eq!(name, world.names[*room], "found in another room");
    let truth = &world.truth.rooms[*room];
    let query = query.to_lowercase();
    let has_all = |said: &Said| {
        let text = said.text().map(str::to_lowercase);
        text.is_some_and(|text| query.split_whitespace().all(|word| text.contains(word)))
    };
    for entry in entries {
        assert_eq!(entry.room, name, "an entry of another room");
        truth.check(entry.seq, &entry.said, Some(entry.time), *head);
        assert!(
            has_all(&entry.said) && entry.seq < *before,
            "{entry:?} was found for {asked:?}"
        );
    }
    assert!(
        entries.is_sorted_by(|a, b| a.seq < b.seq) && entries.len() <= *limit as usize,
        "{entries:?} were found for {asked:?}"
    );
    if world.bounds.may_be_gone {
        return;
    }
    let first = entries.first().map_or(*before, |first| first.seq);
    // Older ones are left out if there are more, and what retention has removed is gone.
    let from = match more {
        true => first,
        false => truth.oldest(),
    };
    let wanted = |seq: u32| from <= seq && seq < *before && seq <= *sure;
    for (seq, entry) in truth.entries() {
        assert!(
            !wanted(seq)
                || !entry.forms_since(*sure).all(has_all)
                || entries.iter().any(|found| found.seq == seq),
            "entry {seq} was not found for {asked:?}, more: {more}"
        );
    }
    let mut older = truth.entries().filter(|(seq, _)| *seq < first);
    assert!(
        !more || older.any(|(_, entry)| entry.forms_since(0).any(has_all)),
        "there is no more before {first} for {asked:?}"
    );
}

/// A history is a part of the room's log without a gap, at the place that was asked for.
fn check_history(
    asked: Option<&Asked>,
    name: &str,
    entries: &[Entry],
    more: bool,
    world: &World<'_>,
) {
    let Some(Asked::History {
        room,
        side,
        limit,
        head,
    }) = asked
    else {
        panic!("a history answers {asked:?}");
    };
    assert_eq!(name, world.names[*room], "a history of another room");
    let truth = &world.truth.rooms[*room];
    for entry in entries {
        assert_eq!(entry.room, name, "an entry of another room");
        truth.check(entry.seq, &entry.said, Some(entry.time), *head);
    }
    // What cannot be read is left out.
    let follows = |two: &[Entry]| {
        two[0].seq + 1 == two[1].seq || world.bounds.may_be_gone && two[0].seq < two[1].seq
    };
    let is_contiguous = entries.windows(2).all(follows);
    assert!(
        is_contiguous && entries.len() <= *limit as usize,
        "a history of {:?} for {asked:?}",
        entries.iter().map(|entry| entry.seq).collect::<Vec<_>>()
    );
    let first = entries.first().map(|entry| entry.seq);
    let last = entries.last().map(|entry| entry.seq);
    let is_gone = |seq: u32| seq < truth.oldest() || world.bounds.may_be_gone;
    let is_right = match (side, first, last) {
        // What there was may have been removed since.
        (Side::Newest, None, _) => !more && (*head == 0 || is_gone(*head)),
        (Side::Before(before), None, _) => {
            let newest = (before - 1).min(*head);
            !more && (newest == 0 || is_gone(newest))
        }
        (Side::Newest, Some(first), Some(last)) => last >= *head && (!more || first > 1),
        (Side::Before(before), Some(first), Some(last)) => {
            let newest = (before - 1).min(*head);
            (newest..*before).contains(&last) && (!more || first > 1) || world.bounds.may_be_gone
        }
        (Side::After(after), Some(first), _) => first == after + 1 || is_gone(first - 1),
        (Side::After(after), None, _) => {
            // What cannot be read is left out, and so is what was removed meanwhile.
            is_gone(after + 1) || !more && after >= head
        }
        (_, Some(_), None) => false,
    };
    assert!(
        is_right,
        "a history from {first:?} to {last:?}, more: {more}, for {asked:?}; the room is at {} and \
         begins at {}",
        truth.head(),
        truth.oldest()
    );
}
