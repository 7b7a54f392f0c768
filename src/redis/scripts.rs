//! The scripts that Redis runs, and how they are called: names of keys and the order of arguments.
//! What a script does is in its file in `scripts/`; each runs whole or not at all, and none waits.
//!
//! | key | is |
//! | --- | --- |
//! | `p:{room}:m` | hash: newest number, its time, run id, current epoch, newest epochs |
//! | `p:{room}:s` | stream: entry N has the id N-0 |
//! | `p:{room}:x` | hash: what changed an entry since, by its number |
//! | `p:s:<session>` | hash: the newest keys of a session, with numbers and times |
//!
//! Entries and new epochs are published on `p:{room}:c`.

use super::resp::Command;
use crate::id::Millis;
use crate::log::{Key, Unnumbered};
use smol_str::{SmolStr, format_smolstr};
use std::io::Write;

/// A script.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Script {
    Open,
    Say,
    Page,
    Tops,
}

impl Script {
    pub const ALL: [Self; 4] = [Self::Open, Self::Say, Self::Page, Self::Tops];

    /// Its text in Lua.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Open => concat!(
                include_str!("scripts/room.lua"),
                include_str!("scripts/open.lua")
            ),
            Self::Say => concat!(
                include_str!("scripts/room.lua"),
                include_str!("scripts/say.lua")
            ),
            Self::Page => include_str!("scripts/page.lua"),
            Self::Tops => include_str!("scripts/tops.lua"),
        }
    }
}

/// The names under which Redis has loaded the scripts: the SHA-1 of each, in hexadecimal digits.
#[derive(Clone, Debug, Default)]
pub struct Loaded([SmolStr; Script::ALL.len()]);

impl Loaded {
    pub fn set(&mut self, script: Script, name: &[u8]) {
        self.0[script as usize] = SmolStr::from(String::from_utf8_lossy(name));
    }

    fn name(&self, script: Script) -> &str {
        &self.0[script as usize]
    }
}

/// What [`Script::Open`] and [`Script::Say`] need to begin an epoch.
#[derive(Clone, Copy, Debug)]
pub struct Incarnation<'a> {
    /// Of the Redis that is asked.
    pub run: &'a str,
    /// Used for no other call.
    pub salt: u32,
    /// The highest number of an epoch that this server knows, in any room.
    pub epoch_max: u32,
}

/// Where the entries of a room are published.
pub fn channel(room: &str) -> SmolStr {
    format_smolstr!("p:{{{room}}}:c")
}

/// The room of a channel; `None`: it is none of a room's entries.
pub fn room_of(channel: &[u8]) -> Option<&str> {
    let name = channel.strip_prefix(b"p:{")?.strip_suffix(b"}:c")?;
    str::from_utf8(name).ok()
}

fn key(room: &str, what: char) -> SmolStr {
    format_smolstr!("p:{{{room}}}:{what}")
}

/// Calls a script by name, or with its text, which loads it. `keys` and `words` follow.
fn call<'a>(
    out: &'a mut Vec<u8>,
    script: Script,
    loaded: Option<&Loaded>,
    (keys, words): (usize, usize),
) -> Command<'a> {
    let mut command = Command::new(out, 3 + keys + words);
    match loaded {
        Some(loaded) => command.word("EVALSHA").word(loaded.name(script)),
        None => command.word("EVAL").word(script.text()),
    };
    command.number(keys as u64);
    command
}

fn incarnation(command: &mut Command<'_>, room: &str, known: Incarnation<'_>) {
    let mut salt = [0; 8];
    // It has eight digits.
    let _ = write!(&mut salt[..], "{:08x}", known.salt);
    command.word(known.run).word(salt);
    command
        .number(u64::from(known.epoch_max))
        .word(channel(room));
}

/// `seen`: the current epoch as the server knows it, and the newest number that it has seen.
pub fn open(
    out: &mut Vec<u8>,
    loaded: Option<&Loaded>,
    room: &str,
    known: Incarnation<'_>,
    seen: (&str, u32),
) {
    let mut command = call(out, Script::Open, loaded, (2, 6));
    command.word(key(room, 'm')).word(key(room, 's'));
    incarnation(&mut command, room, known);
    command.word(seen.0).number(u64::from(seen.1));
    command.end();
}

/// How long keys are known, and how much of a room is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keep {
    pub dedupe_ms: u64,
    /// Entries of a room, about: Redis drops them in whole nodes of the stream.
    pub entries_max: u32,
}

/// On which link something is asked, and until when it may be carried out.
#[derive(Clone, Copy, Debug)]
pub struct Sent {
    pub node: u64,
    /// Its number among those of the node.
    pub link: u32,
    /// By the clock of Redis. What comes on the link after one that was too late is too late as well,
    /// or it would overtake that one, which is sent again on the next link.
    pub deadline: Millis,
}

/// `payload`: the draft as [`super::entry`] writes it.
pub fn say(
    out: &mut Vec<u8>,
    loaded: Option<&Loaded>,
    asked: &Unnumbered,
    payload: &[u8],
    known: Incarnation<'_>,
    sent: Sent,
    keep: Keep,
) {
    let node = sent.node;
    let room = asked.name.as_str();
    let Key { session, key: word } = &asked.key;
    let mut command = call(out, Script::Say, loaded, (5, 13));
    for what in ['m', 's', 'x'] {
        command.word(key(room, what));
    }
    command.word(keys_of(asked, node));
    command.word(format_smolstr!("p:late:{node:016x}:{}", sent.link));
    incarnation(&mut command, room, known);
    command.word(payload);
    command.pieces(&[room.as_bytes(), b"\0", word.as_bytes()]);
    command.word(format_smolstr!("{session:x}:{word}"));
    command.number(if *session == 0 {
        keep.dedupe_ms.min(MADE_UP_MS)
    } else {
        keep.dedupe_ms
    });
    command.number(u64::from(keep.entries_max));
    match &asked.draft.content {
        crate::chat::Content::Edited { of, text } => {
            command.number(u64::from(of.0)).word("e").word(text);
        }
        crate::chat::Content::Deleted { of } => {
            command.number(u64::from(of.0)).word("d").word("");
        }
        crate::chat::Content::Said { .. }
        | crate::chat::Content::Kicked { .. }
        | crate::chat::Content::Act { .. } => {
            command.word("").word("").word("");
        }
    }
    command.number(sent.deadline.0);
    command.end();
}

/// For so long a key is known that the log has made up: what waits for a link that was lost is
/// refused after 30 s.
const MADE_UP_MS: u64 = 60_000;

/// The hash of the keys of a session. Made-up keys are of no session: a server has a hash for each
/// 64 tags of its own, so that none of them is dropped while it may be asked again.
fn keys_of(asked: &Unnumbered, node: u64) -> SmolStr {
    match asked.key.session {
        0 => format_smolstr!("p:s:0:{node:016x}:{}", asked.tag / 64),
        session => session_keys(session),
    }
}

/// The hash of the keys of a session.
pub fn session_keys(session: u64) -> SmolStr {
    format_smolstr!("p:s:{session:016x}")
}

/// A page from `first` to `last`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    pub first: u32,
    pub last: u32,
    pub entries_max: u32,
    pub bytes_max: u32,
}

pub fn page(out: &mut Vec<u8>, loaded: Option<&Loaded>, room: &str, range: Range) {
    let mut command = call(out, Script::Page, loaded, (3, 4));
    for what in ['m', 's', 'x'] {
        command.word(key(room, what));
    }
    for number in [range.first, range.last, range.entries_max, range.bytes_max] {
        command.number(u64::from(number));
    }
    command.end();
}

pub fn tops<'a>(
    out: &mut Vec<u8>,
    loaded: Option<&Loaded>,
    rooms: impl ExactSizeIterator<Item = &'a str>,
) {
    let mut command = call(out, Script::Tops, loaded, (rooms.len(), 0));
    for room in rooms {
        command.word(key(room, 'm'));
    }
    command.end();
}
