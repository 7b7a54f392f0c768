//! A Redis in memory: the commands that the engine uses, connections, what is published, and a disk
//! that is behind the memory. Owns keys and connections; the scripts are in `scripts.rs`. Its clock
//! is a field, and each write is an operation, so that a crash may keep any number of them.

use super::scripts;
use parlor::redis::resp::{Replies, Value, number};
use parlor::redis::scripts::Script;
use std::collections::{BTreeMap, BTreeSet};

pub(crate) type Bytes = Vec<u8>;

/// What a key has.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Kept {
    Hash(BTreeMap<Bytes, Bytes>),
    Stream(Stream),
    Sorted(BTreeMap<Bytes, u64>),
    Text(Bytes),
}

/// Entries by the first half of their ids; the second is 0.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Stream {
    pub(crate) entries: BTreeMap<u64, Vec<(Bytes, Bytes)>>,
    pub(crate) last: u64,
}

/// One write.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Op {
    HashSet(Bytes, Vec<(Bytes, Bytes)>),
    HashRemove(Bytes, Bytes),
    Add {
        key: Bytes,
        id: u64,
        fields: Vec<(Bytes, Bytes)>,
        entries_max: u64,
    },
    SortedAdd(Bytes, Bytes, u64),
    SortedRemove(Bytes, Bytes),
    Set(Bytes, Bytes),
    Expire(Bytes, u64),
    Remove(Bytes),
    Flush,
}

/// All keys.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Data {
    keys: BTreeMap<Bytes, Kept>,
    expiry: BTreeMap<Bytes, u64>,
}

impl Data {
    pub(crate) fn hash(&self, key: &[u8]) -> Option<&BTreeMap<Bytes, Bytes>> {
        match self.keys.get(key) {
            Some(Kept::Hash(hash)) => Some(hash),
            _ => None,
        }
    }

    pub(crate) fn stream(&self, key: &[u8]) -> Option<&Stream> {
        match self.keys.get(key) {
            Some(Kept::Stream(stream)) => Some(stream),
            _ => None,
        }
    }

    pub(crate) fn sorted(&self, key: &[u8]) -> Option<&BTreeMap<Bytes, u64>> {
        match self.keys.get(key) {
            Some(Kept::Sorted(sorted)) => Some(sorted),
            _ => None,
        }
    }

    pub(crate) fn text(&self, key: &[u8]) -> Option<&Bytes> {
        match self.keys.get(key) {
            Some(Kept::Text(text)) => Some(text),
            _ => None,
        }
    }

    fn apply(&mut self, op: &Op) {
        match op {
            Op::HashSet(key, pairs) => {
                let hash = self.keys.entry(key.clone());
                let hash = hash.or_insert_with(|| Kept::Hash(BTreeMap::new()));
                let Kept::Hash(hash) = hash else {
                    panic!("{key:?} is no hash");
                };
                hash.extend(pairs.iter().cloned());
            }
            Op::HashRemove(key, field) => {
                if let Some(Kept::Hash(hash)) = self.keys.get_mut(key) {
                    hash.remove(field);
                    if hash.is_empty() {
                        self.remove(key);
                    }
                }
            }
            Op::Add {
                key,
                id,
                fields,
                entries_max,
            } => {
                let stream = self.keys.entry(key.clone());
                let stream = stream.or_insert_with(|| Kept::Stream(Stream::default()));
                let Kept::Stream(stream) = stream else {
                    panic!("{key:?} is no stream");
                };
                assert!(*id > stream.last, "the ids of a stream rise");
                stream.last = *id;
                stream.entries.insert(*id, fields.clone());
                while stream.entries.len() as u64 > *entries_max {
                    stream.entries.pop_first();
                }
            }
            Op::SortedAdd(key, name, score) => {
                let sorted = self.keys.entry(key.clone());
                let sorted = sorted.or_insert_with(|| Kept::Sorted(BTreeMap::new()));
                let Kept::Sorted(sorted) = sorted else {
                    panic!("{key:?} is no sorted set");
                };
                sorted.insert(name.clone(), *score);
            }
            Op::SortedRemove(key, name) => {
                if let Some(Kept::Sorted(sorted)) = self.keys.get_mut(key) {
                    sorted.remove(name);
                    if sorted.is_empty() {
                        self.remove(key);
                    }
                }
            }
            Op::Set(key, text) => {
                self.remove(key);
                self.keys.insert(key.clone(), Kept::Text(text.clone()));
            }
            Op::Expire(key, at) => {
                if self.keys.contains_key(key) {
                    self.expiry.insert(key.clone(), *at);
                }
            }
            Op::Remove(key) => self.remove(key),
            Op::Flush => *self = Self::default(),
        }
    }

    fn remove(&mut self, key: &[u8]) {
        self.keys.remove(key);
        self.expiry.remove(key);
    }

    fn expire(&mut self, now_ms: u64) {
        let due = self.expiry.iter().filter(|(_, at)| **at <= now_ms);
        let due: Vec<Bytes> = due.map(|(key, _)| key.clone()).collect();
        for key in due {
            self.remove(&key);
        }
    }
}

/// An answer.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Reply {
    Simple(&'static str),
    Error(String),
    Integer(i64),
    Bulk(Bytes),
    Null,
    Array(Vec<Self>),
    Map(Vec<Self>),
    Push(Vec<Self>),
}

impl Reply {
    pub(crate) fn text(text: impl AsRef<[u8]>) -> Self {
        Self::Bulk(text.as_ref().to_vec())
    }

    fn encode(&self, out: &mut Bytes) {
        let head = |out: &mut Bytes, kind: char, number: usize| {
            out.extend_from_slice(format!("{kind}{number}\r\n").as_bytes());
        };
        match self {
            Self::Simple(text) => out.extend_from_slice(format!("+{text}\r\n").as_bytes()),
            Self::Error(text) => out.extend_from_slice(format!("-{text}\r\n").as_bytes()),
            Self::Integer(number) => out.extend_from_slice(format!(":{number}\r\n").as_bytes()),
            Self::Null => out.extend_from_slice(b"_\r\n"),
            Self::Bulk(text) => {
                head(out, '$', text.len());
                out.extend_from_slice(text);
                out.extend_from_slice(b"\r\n");
            }
            Self::Array(items) => {
                head(out, '*', items.len());
                items.iter().for_each(|item| item.encode(out));
            }
            Self::Map(items) => {
                head(out, '%', items.len() / 2);
                items.iter().for_each(|item| item.encode(out));
            }
            Self::Push(items) => {
                head(out, '>', items.len());
                items.iter().for_each(|item| item.encode(out));
            }
        }
    }
}

#[derive(Default)]
struct Connection {
    input: Replies,
    output: Bytes,
    channels: BTreeSet<Bytes>,
}

/// One process of Redis.
pub(crate) struct Redis {
    pub(crate) data: Data,
    /// What is on its disk, and what was done since.
    disk: Data,
    unsynced: Vec<Op>,
    /// After how many of them a command had ended.
    ends: Vec<usize>,
    pub(crate) run: String,
    pub(crate) now_ms: u64,
    pub(crate) is_full: bool,
    pub(crate) is_replica: bool,
    /// Each write is on the disk before it is answered.
    pub(crate) is_synced_always: bool,
    loaded: BTreeSet<usize>,
    connections: BTreeMap<u32, Connection>,
    next: u32,
    /// What is published by the script that runs.
    published: Vec<(Bytes, Bytes)>,
    /// What the next command publishes reaches no subscriber.
    pub(crate) loses_next: bool,
    /// The script has written, after which a full memory does not stop it.
    has_written: bool,
}

impl Redis {
    pub(crate) fn new(run: &str, data: Data) -> Self {
        Self {
            disk: data.clone(),
            data,
            unsynced: Vec::new(),
            ends: Vec::new(),
            run: run.to_owned(),
            now_ms: 1_795_676_645_000,
            is_full: false,
            is_replica: false,
            is_synced_always: false,
            loaded: BTreeSet::new(),
            connections: BTreeMap::new(),
            next: 0,
            published: Vec::new(),
            loses_next: false,
            has_written: false,
        }
    }

    /// How many writes are not on the disk.
    pub(crate) fn unsynced(&self) -> usize {
        self.unsynced.len()
    }

    /// The last moment up to then at which no script was under way.
    pub(crate) fn end_before(&self, writes: usize) -> usize {
        let ends = self.ends.iter().copied();
        ends.filter(|end| *end <= writes).max().unwrap_or(0)
    }

    /// All of it is on the disk.
    pub(crate) fn sync(&mut self) {
        self.unsynced.clear();
        self.ends.clear();
        self.disk.clone_from(&self.data);
    }

    /// What another process finds, if so many of the writes since were kept.
    pub(crate) fn kept(&self, writes: usize) -> Data {
        let mut data = self.disk.clone();
        for op in &self.unsynced[..writes] {
            data.apply(op);
        }
        data
    }

    /// What is published does not reach anybody any more, and no connection is broken.
    pub(crate) fn forget_subscriptions(&mut self) {
        for open in self.connections.values_mut() {
            open.channels.clear();
        }
    }

    pub(crate) fn forget_scripts(&mut self) {
        self.loaded.clear();
    }

    pub(crate) fn write(&mut self, op: Op) {
        self.has_written = true;
        self.data.apply(&op);
        if self.is_synced_always {
            self.disk.apply(&op);
        } else {
            self.unsynced.push(op);
        }
    }

    /// The same in a script, where a full memory refuses the first.
    pub(crate) fn script_writes(&mut self, op: Op) -> Result<(), String> {
        if self.is_full && !self.has_written && needs_memory(&op) {
            let text = "OOM command not allowed when used memory > 'maxmemory'.";
            return Err(text.to_owned());
        }
        self.write(op);
        Ok(())
    }

    pub(crate) fn publish(&mut self, channel: &[u8], message: Bytes) {
        self.published.push((channel.to_vec(), message));
    }

    // Connections

    pub(crate) fn connect(&mut self) -> u32 {
        self.next += 1;
        self.connections.insert(self.next, Connection::default());
        self.next
    }

    pub(crate) fn disconnect(&mut self, connection: u32) {
        self.connections.remove(&connection);
    }

    pub(crate) fn is_connected(&self, connection: u32) -> bool {
        self.connections.contains_key(&connection)
    }

    /// Takes bytes, and carries out each command that is whole.
    pub(crate) fn receive(&mut self, connection: u32, bytes: &[u8]) {
        let Some(open) = self.connections.get_mut(&connection) else {
            return;
        };
        let mut input = std::mem::take(&mut open.input);
        input.push(bytes);
        while let Some(value) = input.take().expect("commands are RESP") {
            let words: Vec<Bytes> = value
                .list()
                .expect("a command is a list")
                .map(|word| word.text().expect("of strings").to_vec())
                .collect();
            self.carry_out(connection, &words);
        }
        if let Some(open) = self.connections.get_mut(&connection) {
            open.input = input;
        }
    }

    /// What is sent on a connection.
    pub(crate) fn output(&mut self, connection: u32) -> Bytes {
        let open = self.connections.get_mut(&connection);
        open.map(|open| std::mem::take(&mut open.output))
            .unwrap_or_default()
    }

    fn carry_out(&mut self, connection: u32, words: &[Bytes]) {
        self.data.expire(self.now_ms);
        self.has_written = false;
        let replies = self.command(connection, words);
        self.ends.push(self.unsynced.len());
        self.ends.dedup();
        let published = std::mem::take(&mut self.published);
        let is_lost = !published.is_empty() && std::mem::take(&mut self.loses_next);
        for (channel, message) in published.into_iter().filter(|_| !is_lost) {
            let push = Reply::Push(vec![
                Reply::text("message"),
                Reply::Bulk(channel.clone()),
                Reply::Bulk(message),
            ]);
            for open in self.connections.values_mut() {
                if open.channels.contains(&channel) {
                    push.encode(&mut open.output);
                }
            }
        }
        let Some(open) = self.connections.get_mut(&connection) else {
            return;
        };
        for reply in replies {
            reply.encode(&mut open.output);
        }
    }

    fn command(&mut self, connection: u32, words: &[Bytes]) -> Vec<Reply> {
        let name = String::from_utf8_lossy(&words[0]).to_uppercase();
        let second = words
            .get(1)
            .map(|word| String::from_utf8_lossy(word).into_owned());
        let second = second.unwrap_or_default();
        let reply = match (name.as_str(), second.as_str()) {
            ("HELLO", _) => Reply::Map(vec![Reply::text("proto"), Reply::Integer(3)]),
            ("ROLE", _) => {
                let role = if self.is_replica { "slave" } else { "master" };
                Reply::Array(vec![Reply::text(role), Reply::Integer(0)])
            }
            ("INFO", _) => {
                let info = format!(
                    "# Server\r\nredis_version:7.0.15\r\nrun_id:{}\r\n",
                    self.run
                );
                Reply::text(info)
            }
            ("CONFIG", "GET") => self.setting(&words[2]),
            ("PING", _) => Reply::Simple("PONG"),
            ("TIME", _) => {
                let (seconds, micros) = (self.now_ms / 1000, self.now_ms % 1000 * 1000);
                Reply::Array(
                    [seconds, micros]
                        .map(|part| Reply::text(part.to_string()))
                        .into(),
                )
            }
            ("SCRIPT", "LOAD") => {
                let place = place_of(&words[2]);
                self.loaded.insert(place);
                Reply::text(format!("{place:040x}"))
            }
            ("EVALSHA", _) => match usize::from_str_radix(&second, 16) {
                Ok(place) if self.loaded.contains(&place) => self.script(place, &words[2..]),
                _ => Reply::Error(String::from("NOSCRIPT No matching script.")),
            },
            ("EVAL", _) => {
                let place = place_of(&words[1]);
                self.loaded.insert(place);
                self.script(place, &words[2..])
            }
            ("HGETALL", _) => {
                let pairs = self.data.hash(&words[1]).into_iter().flatten();
                let pairs = pairs.flat_map(|(name, value)| [name.clone(), value.clone()]);
                Reply::Map(pairs.map(Reply::Bulk).collect())
            }
            ("XREVRANGE", _) => {
                let word = |place: usize| String::from_utf8_lossy(&words[place]).into_owned();
                let newest: u64 = word(2).parse().expect("the first half of an id");
                let count: usize = word(5).parse().expect("a count");
                let stream = self.data.stream(&words[1]);
                let kept = stream
                    .into_iter()
                    .flat_map(|stream| stream.entries.iter().rev());
                let kept = kept.filter(|(id, _)| **id <= newest).take(count);
                let shown = kept.map(|(id, fields)| {
                    let fields = fields.iter();
                    let fields = fields.flat_map(|(name, value)| [name.clone(), value.clone()]);
                    let fields = fields.map(Reply::Bulk).collect();
                    Reply::Array(vec![Reply::text(format!("{id}-0")), Reply::Array(fields)])
                });
                Reply::Array(shown.collect())
            }
            // All at once: the order in pieces is Redis's own.
            ("HSCAN", _) => {
                let pairs = self.data.hash(&words[1]).into_iter().flatten();
                let pairs = pairs.flat_map(|(name, value)| [name.clone(), value.clone()]);
                let pairs = pairs.map(Reply::Bulk).collect();
                Reply::Array(vec![Reply::text("0"), Reply::Array(pairs)])
            }
            ("SUBSCRIBE" | "UNSUBSCRIBE", _) => {
                return self.subscribe(connection, &name, &words[1..]);
            }
            _ => Reply::Error(format!("ERR unknown command '{name}'")),
        };
        vec![reply]
    }

    fn setting(&self, name: &[u8]) -> Reply {
        let set = match name {
            b"maxmemory-policy" => "noeviction",
            b"appendonly" | b"aof-load-truncated" => "yes",
            b"appendfsync" if self.is_synced_always => "always",
            b"appendfsync" => "everysec",
            _ => "512",
        };
        Reply::Map(vec![Reply::text(name), Reply::text(set)])
    }

    fn subscribe(&mut self, connection: u32, name: &str, channels: &[Bytes]) -> Vec<Reply> {
        let Some(open) = self.connections.get_mut(&connection) else {
            return Vec::new();
        };
        let kind = name.to_lowercase();
        let mut replies = Vec::new();
        for channel in channels {
            if kind == "subscribe" {
                open.channels.insert(channel.clone());
            } else {
                open.channels.remove(channel);
            }
            replies.push(Reply::Push(vec![
                Reply::text(&kind),
                Reply::text(channel),
                Reply::Integer(open.channels.len() as i64),
            ]));
        }
        replies
    }

    fn script(&mut self, place: usize, words: &[Bytes]) -> Reply {
        let count = number(&words[0]).expect("the number of keys") as usize;
        let (keys, arguments) = words[1..].split_at(count);
        let reply = scripts::run(self, Script::ALL[place], keys, arguments);
        reply.unwrap_or_else(Reply::Error)
    }
}

/// Whether a full memory refuses it.
const fn needs_memory(op: &Op) -> bool {
    !matches!(
        op,
        Op::HashRemove(..) | Op::SortedRemove(..) | Op::Remove(_) | Op::Expire(..)
    )
}

fn place_of(text: &[u8]) -> usize {
    let place = Script::ALL
        .iter()
        .position(|script| script.text().as_bytes() == text);
    place.expect("a script of the engine")
}

/// An answer that was read, in the form in which it is compared with another.
pub(crate) fn owned(value: Value<'_>) -> Reply {
    match value {
        Value::Null => Reply::Null,
        Value::Integer(number) => Reply::Integer(number),
        Value::Text(text) => Reply::text(text),
        Value::Error(text) => Reply::Error(String::from_utf8_lossy(text).into_owned()),
        Value::List(list) => Reply::Array(list.map(owned).collect()),
        Value::Push(list) => Reply::Push(list.map(owned).collect()),
    }
}
