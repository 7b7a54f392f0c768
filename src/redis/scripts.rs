//! The scripts that Redis runs, and how they are called: names of keys and the order of arguments.
//! What a script does is in its file in `scripts/`; each runs whole or not at all, and none waits.
//!
//! | key | is |
//! | --- | --- |
//! | `p:{room}:m` | hash: newest number, its time, run id, current epoch, newest epochs |
//! | `p:{room}:s` | stream: entry N has the id N-epoch |
//! | `p:{room}:x` | hash: what changed an entry since, by its number |
//! | `p:s:<session>` | hash: the newest keys of a session, with numbers and times |
//! | `p:registry` | hash: as that of a room, of the log of changes; what touched accounts last |
//! | `p:changes` | stream: change N of the registry has the id N-epoch |
//! | `p:facts` | hash: the facts of the registry by their keys |
//! | `p:nodes` | sorted set: the servers, by the end of their leases |
//! | `p:nodes:info` | hash: what each says of itself |
//! | `p:nicks` | hash: which server holds a nick, by the keys of the nick |
//! | `p:run`, `p:grace` | run id of the Redis that was asked last, when its grace ends |
//! | `p:{room}:n` | hash: the servers that have members in the room, and the run id they told |
//! | `p:{room}:n:<server>` | hash: those members by nick, each with its letter |
//! | `p:rooms` | hash: the servers that have members in rooms, and the run id they told |
//! | `p:rooms:<server>` | hash: how many members, by the names of the rooms |
//!
//! Entries and new epochs are published on `p:{room}:c`, what changes of the members on `p:{room}:p`
//! and of the rooms with members on `p:rooms`, changes of the registry on `p:changes`, and that
//! something was said in a conversation of two on `p:direct`: its number, and the name of the log.

use super::change::Words;
use super::members::flag;
use super::resp::{Command, command};
use crate::chat::{Content, Counts, Moves, Nick};
use crate::id::{Millis, Seq};
use crate::log::{Key, NickClaims, Proposed, Unnumbered};
use smol_str::{SmolStr, format_smolstr};
use std::io::Write;

/// A script.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Script {
    Open,
    Say,
    Page,
    Tops,
    Change,
    Beat,
    Claim,
    Sweep,
    Present,
    See,
}

impl Script {
    pub const ALL: [Self; 10] = [
        Self::Open,
        Self::Say,
        Self::Page,
        Self::Tops,
        Self::Change,
        Self::Beat,
        Self::Claim,
        Self::Sweep,
        Self::Present,
        Self::See,
    ];

    /// Its text in Lua.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Open => concat!(
                include_str!("scripts/room.lua"),
                include_str!("scripts/open.lua")
            ),
            Self::Say => concat!(
                include_str!("scripts/room.lua"),
                include_str!("scripts/registry.lua"),
                include_str!("scripts/say.lua")
            ),
            Self::Change => concat!(
                include_str!("scripts/room.lua"),
                include_str!("scripts/registry.lua"),
                include_str!("scripts/change.lua")
            ),
            Self::Page => include_str!("scripts/page.lua"),
            Self::Tops => include_str!("scripts/tops.lua"),
            Self::Beat => include_str!("scripts/beat.lua"),
            Self::Claim => concat!(
                include_str!("scripts/live.lua"),
                include_str!("scripts/claim.lua")
            ),
            Self::Sweep => concat!(
                include_str!("scripts/live.lua"),
                include_str!("scripts/sweep.lua")
            ),
            Self::Present => include_str!("scripts/present.lua"),
            Self::See => include_str!("scripts/see.lua"),
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

/// The hash of the log of changes, its stream, and the facts.
const REGISTRY: &str = "p:registry";
pub const CHANGES: &str = "p:changes";
const FACTS: &str = "p:facts";
/// Where changes of the registry are published, and sessions that go on.
pub const CHANGES_CHANNEL: &str = "p:changes";
/// Where it is published that a conversation has an entry more.
pub const HINTS_CHANNEL: &str = "p:direct";
/// The servers that have members in rooms, and where it is published in which.
const ROOMS: &str = "p:rooms";
pub const ROOMS_CHANNEL: &str = "p:rooms";
/// Facts that are read at once, about.
const FACTS_MAX: &str = "500";

/// A log: of a room, or of the changes of the registry.
#[derive(Clone, Copy, Debug)]
pub enum Of<'a> {
    Room(&'a str),
    Changes,
}

impl Of<'_> {
    fn meta(self) -> SmolStr {
        match self {
            Self::Room(room) => key(room, 'm'),
            Self::Changes => SmolStr::new_static(REGISTRY),
        }
    }

    fn stream(self) -> SmolStr {
        match self {
            Self::Room(room) => key(room, 's'),
            Self::Changes => SmolStr::new_static(CHANGES),
        }
    }

    /// What changed entries since. Changes of the registry are not changed.
    fn amended(self) -> SmolStr {
        match self {
            Self::Room(room) => key(room, 'x'),
            Self::Changes => SmolStr::new_static("p:changes:x"),
        }
    }

    fn channel(self) -> SmolStr {
        match self {
            Self::Room(room) => channel(room),
            Self::Changes => SmolStr::new_static(CHANGES_CHANNEL),
        }
    }
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

/// Where it is published what has changed of a room's members.
pub fn members_channel(room: &str) -> SmolStr {
    key(room, 'p')
}

/// The room of such a channel.
pub fn room_of_members(channel: &[u8]) -> Option<&str> {
    let name = channel.strip_prefix(b"p:{")?.strip_suffix(b"}:p")?;
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

fn incarnation(command: &mut Command<'_>, of: Of<'_>, known: Incarnation<'_>) {
    let mut salt = [0; 8];
    // It has eight digits.
    let _ = write!(&mut salt[..], "{:08x}", known.salt);
    command.word(known.run).word(salt);
    command
        .number(u64::from(known.epoch_max))
        .word(of.channel());
}

/// `seen`: the current epoch as the server knows it, and the newest number that it has seen.
pub fn open(
    out: &mut Vec<u8>,
    loaded: Option<&Loaded>,
    of: Of<'_>,
    known: Incarnation<'_>,
    seen: (&str, u32),
) {
    let mut command = call(out, Script::Open, loaded, (2, 6));
    command.word(of.meta()).word(of.stream());
    incarnation(&mut command, of, known);
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

impl Sent {
    /// What says that a call on the link came too late.
    fn late(self) -> SmolStr {
        format_smolstr!("p:late:{:016x}:{}", self.node, self.link)
    }
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
    let change = Words::of_draft(asked, node);
    let amended = amended(&asked.draft.content);
    let keys = if change.is_some() { 8 } else { 5 };
    let words = match &change {
        Some(change) => 13 + change.count(),
        None if amended.is_some() => 12,
        None => 9,
    };
    let mut command = call(out, Script::Say, loaded, (keys, words));
    for what in ['m', 's', 'x'] {
        command.word(key(room, what));
    }
    command.word(keys_of(asked, node));
    command.word(sent.late());
    if change.is_some() {
        command.word(REGISTRY).word(CHANGES).word(FACTS);
    }
    incarnation(&mut command, Of::Room(room), known);
    command.word(payload);
    command.word(format_smolstr!("{session:x}:{word}"));
    command.number(if *session == 0 {
        keep.dedupe_ms.min(MADE_UP_MS)
    } else {
        keep.dedupe_ms
    });
    command.number(u64::from(keep.entries_max));
    command.number(sent.deadline.0);
    match amended {
        Some((of, how, text)) => {
            command.number(u64::from(of.0)).word(how).word(text);
        }
        None if change.is_some() => {
            command.word("").word("").word("");
        }
        None => {}
    }
    if let Some(change) = &change {
        command.word(CHANGES_CHANNEL);
        change.write(&mut command);
    }
    command.end();
}

/// The entry that is changed by one, how, and its new text.
fn amended(content: &Content<String>) -> Option<(Seq, &str, &str)> {
    match content {
        Content::Edited { of, text } => Some((*of, "e", text)),
        Content::Deleted { of } => Some((*of, "d", "")),
        Content::Said { .. } | Content::Kicked { .. } | Content::Act { .. } => None,
    }
}

/// Makes a change of the registry that goes with no entry.
pub fn change(
    out: &mut Vec<u8>,
    loaded: Option<&Loaded>,
    proposed: &Proposed,
    known: Incarnation<'_>,
    sent: Sent,
    keep: Keep,
) {
    let node = sent.node;
    let words = Words::of(proposed, node);
    let mut command = call(out, Script::Change, loaded, (5, 7 + words.count()));
    command.word(REGISTRY).word(CHANGES).word(FACTS);
    let part = proposed.change.number / 64;
    command.word(format_smolstr!("p:s:0:{node:016x}:c{part}"));
    command.word(sent.late());
    incarnation(&mut command, Of::Changes, known);
    command.number(MADE_UP_MS);
    command.number(u64::from(keep.entries_max));
    command.number(sent.deadline.0);
    words.write(&mut command);
    command.end();
}

/// Some of the facts, from a cursor on: `0` at first.
pub fn facts(out: &mut Vec<u8>, cursor: &[u8]) {
    let words = [
        &b"HSCAN"[..],
        FACTS.as_bytes(),
        cursor,
        b"COUNT",
        FACTS_MAX.as_bytes(),
    ];
    command(out, &words);
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

pub fn page(out: &mut Vec<u8>, loaded: Option<&Loaded>, of: Of<'_>, range: Range) {
    let mut command = call(out, Script::Page, loaded, (3, 4));
    command.word(of.meta()).word(of.stream()).word(of.amended());
    for number in [range.first, range.last, range.entries_max, range.bytes_max] {
        command.number(u64::from(number));
    }
    command.end();
}

/// The last is that of the log of changes.
pub fn tops<'a>(
    out: &mut Vec<u8>,
    loaded: Option<&Loaded>,
    rooms: impl ExactSizeIterator<Item = &'a str>,
) {
    let mut command = call(out, Script::Tops, loaded, (rooms.len() + 1, 0));
    for room in rooms {
        command.word(key(room, 'm'));
    }
    command.word(REGISTRY);
    command.end();
}

/// The keys of leases, and of what servers say of themselves.
pub const NODES: &str = "p:nodes";
pub const NODES_INFO: &str = "p:nodes:info";

/// A server as others see it.
pub fn node_name(node: u64) -> SmolStr {
    format_smolstr!("{node:016x}")
}

/// The other way.
pub fn node_of(name: &[u8]) -> Option<u64> {
    let name = str::from_utf8(name).ok().filter(|name| name.len() == 16)?;
    u64::from_str_radix(name, 16).ok()
}

/// `lease_ms`: for how long the lease of the node holds; `None`: it ends now.
pub fn beat(
    out: &mut Vec<u8>,
    loaded: Option<&Loaded>,
    run: &str,
    (node, description): (u64, &str),
    lease_ms: Option<u64>,
) {
    let mut command = call(out, Script::Beat, loaded, (4, 4));
    for key in [NODES, NODES_INFO, "p:run", GRACE] {
        command.word(key);
    }
    command.word(run).word(node_name(node)).word(description);
    match lease_ms {
        Some(lease_ms) => command.number(lease_ms),
        None => command.word(""),
    };
    command.end();
}

const GRACE: &str = "p:grace";

/// The keys of what [`Script::Claim`] and [`Script::Sweep`] look at.
const OF_NICKS: [&str; 3] = ["p:nicks", NODES, GRACE];

pub fn claim(out: &mut Vec<u8>, loaded: Option<&Loaded>, node: u64, claims: &NickClaims) {
    let words = claims.claimed.iter().map(|claim| 3 + claim.keys.len());
    let words = 3 + claims.released.len() + words.sum::<usize>();
    let mut command = call(out, Script::Claim, loaded, (OF_NICKS.len(), words));
    for key in OF_NICKS {
        command.word(key);
    }
    command.word(node_name(node)).word(CHANGES_CHANNEL);
    command.number(claims.released.len() as u64);
    for key in &claims.released {
        command.word(key);
    }
    for claim in &claims.claimed {
        let session = (claim.session != 0).then(|| format_smolstr!("{:x}", claim.session));
        let earlier = claim.resumes.map(|earlier| {
            let connection = earlier.connection.to_u64();
            format_smolstr!("{:x} {connection:x}", earlier.start)
        });
        command.word(session.unwrap_or_default());
        command.word(earlier.unwrap_or_default());
        command.number(claim.keys.len() as u64);
        for key in &claim.keys {
            command.word(key);
        }
    }
    command.end();
}

/// `cursor`: where to go on; "0": from the start.
pub fn sweep(
    out: &mut Vec<u8>,
    loaded: Option<&Loaded>,
    node: u64,
    (cursor, keys_max): (&str, u32),
) {
    let mut command = call(out, Script::Sweep, loaded, (OF_NICKS.len(), 3));
    for key in OF_NICKS {
        command.word(key);
    }
    command.word(node_name(node)).word(cursor);
    command.number(u64::from(keys_max));
    command.end();
}

/// What servers tell each other of themselves.
#[derive(Clone, Copy, Debug)]
pub enum Told<'a> {
    /// The members that each has in a room.
    Members(&'a str),
    /// The rooms in which each has members, and how many.
    Rooms,
}

impl Told<'_> {
    /// The hash of the servers that have some.
    fn servers(self) -> SmolStr {
        match self {
            Self::Members(room) => key(room, 'n'),
            Self::Rooms => SmolStr::new_static(ROOMS),
        }
    }

    /// Where differences are published.
    fn channel(self) -> SmolStr {
        match self {
            Self::Members(room) => members_channel(room),
            Self::Rooms => SmolStr::new_static(ROOMS_CHANNEL),
        }
    }
}

/// What has changed of a server, as it is kept and as it is published.
struct Difference<'a> {
    is_first: bool,
    left: Vec<&'a str>,
    came: Vec<(&'a str, SmolStr)>,
    message: &'a [u8],
}

/// What has changed of the members of a server. `run`: of the Redis that is told. `message`: the
/// same as [`super::members`] writes it.
pub fn present(
    out: &mut Vec<u8>,
    loaded: Option<&Loaded>,
    room: &str,
    (node, run): (u64, &str),
    (moves, message): (&Moves, &[u8]),
) {
    let came = moves.came.iter();
    let came = came.map(|came| {
        let letter = SmolStr::new_static(flag(came.standing));
        (came.nick.as_str(), letter)
    });
    let difference = Difference {
        is_first: moves.is_first,
        left: moves.left.iter().map(Nick::as_str).collect(),
        came: came.collect(),
        message,
    };
    tell(out, loaded, Told::Members(room), (node, run), &difference);
}

/// What has changed of the rooms of a server. `message`: the same as [`super::counts`] writes it.
pub fn count(
    out: &mut Vec<u8>,
    loaded: Option<&Loaded>,
    (node, run): (u64, &str),
    (counts, message): (&Counts, &[u8]),
) {
    let rooms = || counts.rooms.iter();
    let left = rooms().filter(|(_, count)| *count == 0);
    let came = rooms().filter(|(_, count)| *count > 0);
    let difference = Difference {
        is_first: counts.is_first,
        left: left.map(|(name, _)| name.as_str()).collect(),
        came: came
            .map(|(name, count)| (name.as_str(), format_smolstr!("{count}")))
            .collect(),
        message,
    };
    tell(out, loaded, Told::Rooms, (node, run), &difference);
}

fn tell(
    out: &mut Vec<u8>,
    loaded: Option<&Loaded>,
    what: Told<'_>,
    (node, run): (u64, &str),
    difference: &Difference<'_>,
) {
    let Difference {
        is_first,
        left,
        came,
        message,
    } = difference;
    let node = node_name(node);
    let words = 6 + left.len() + 2 * came.len();
    let mut command = call(out, Script::Present, loaded, (2, words));
    let servers = what.servers();
    command.word(format_smolstr!("{servers}:{node}"));
    command.word(servers).word(node);
    command.word(what.channel()).word(message);
    command.number(u64::from(*is_first)).word(run);
    command.number(left.len() as u64);
    for name in left {
        command.word(name);
    }
    for (name, value) in came {
        command.word(name).word(value);
    }
    command.end();
}

/// Where it is read on what servers have told: the server and the place in its hash. Both are those
/// of the script's answer.
pub type Place = (SmolStr, SmolStr);

/// What other servers have told, a page from a place on. `run`: of the Redis that is asked.
pub fn see(
    out: &mut Vec<u8>,
    loaded: Option<&Loaded>,
    what: Told<'_>,
    run: &str,
    (node, (server, at)): (u64, &Place),
) {
    let mut command = call(out, Script::See, loaded, (4, 5));
    command.word(what.servers());
    command.word(NODES).word("p:run").word(GRACE);
    command.word(node_name(node)).word(server).word(at);
    command.number(SEEN_AT_ONCE).word(run);
    command.end();
}

/// Members or rooms in a page, about.
const SEEN_AT_ONCE: u64 = 512;
