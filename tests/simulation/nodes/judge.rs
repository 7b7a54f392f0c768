//! What must hold of what each node was answered: order, gaps, losses, and in the end that all have
//! what Redis has. Looks into the simulated Redis; never at an engine's state.

use super::redis::model::Redis;
use super::redis::node::{Came, Node, Result};
use parlor::chat::{Content, Draft, Form};
use parlor::id::{Millis, RoomId, Seq};
use parlor::log::{EpochInfo, Page, PageEntry};
use parlor::redis::entry;
use std::collections::{BTreeMap, BTreeSet};

/// What a node has of a room.
#[derive(Default)]
struct View {
    /// How much of what came was looked at.
    looked: usize,
    last: u32,
    entries: BTreeMap<u32, PageEntry>,
    epoch: Option<EpochInfo>,
    /// Those before.
    epochs: Vec<EpochInfo>,
    /// Entries up to this one were before the node, or are in a gap.
    unseen_to: u32,
}

/// An acknowledgement, and how much had come of the room before it.
struct Acked {
    room: RoomId,
    seq: u32,
    looked: usize,
}

/// A message, by the tag that a node gave it.
#[derive(Clone, Debug)]
pub(super) struct Message {
    pub(super) room: RoomId,
    pub(super) name: &'static str,
    /// The session and the key.
    pub(super) key: (u64, String),
}

/// What one node was answered.
#[derive(Default)]
pub(super) struct Judge {
    views: BTreeMap<RoomId, View>,
    messages: BTreeMap<u64, Message>,
    acked: BTreeMap<u64, Acked>,
    /// Losses that were told.
    pub(super) losses: u32,
    pub(super) gaps: u32,
    pub(super) duplicates: u32,
}

fn stream_key(name: &str) -> Vec<u8> {
    format!("p:{{{name}}}:s").into_bytes()
}

fn written(epoch: EpochInfo) -> String {
    format!("{}-{:08x}", epoch.epoch, epoch.salt)
}

/// The current epoch of a room.
fn current(redis: &Redis, name: &str) -> String {
    let meta = redis.data.hash(format!("p:{{{name}}}:m").as_bytes());
    let epoch = meta.map(|meta| String::from_utf8_lossy(&meta[&b"c"[..]]).into_owned());
    epoch.unwrap_or_default()
}

/// Whether an entry was given its place in an epoch.
fn is_of(epoch: EpochInfo, fields: &[(Vec<u8>, Vec<u8>)]) -> bool {
    let mut all = fields.iter();
    let found = all.find(|(field, _)| field == b"epoch");
    let (_, name) = found.expect("an entry of an epoch");
    *name == format!("{}-{:08x}", epoch.epoch, epoch.salt).into_bytes()
}

/// An entry of a stream as it was said.
fn entry_of(fields: &[(Vec<u8>, Vec<u8>)]) -> (Millis, Draft) {
    let find = |wanted: &[u8]| fields.iter().find(|(name, _)| name == wanted);
    let (_, kept) = find(b"d").expect("each has one");
    let space = kept.iter().position(|byte| *byte == b' ').expect("a time");
    let at = str::from_utf8(&kept[..space]).expect("digits");
    let decoded = entry::decode(&kept[space + 1..], 0).expect("an entry");
    (Millis(at.parse().expect("a number")), decoded.draft)
}

/// What a stream has.
pub(super) fn kept(redis: &Redis, name: &str) -> BTreeMap<u32, PageEntry> {
    let stream = redis.data.stream(&stream_key(name));
    let entries = stream.iter().flat_map(|stream| &stream.entries);
    let entries = entries.map(|(id, fields)| {
        let (at, draft) = entry_of(fields);
        let seq = Seq(*id as u32);
        (seq.0, PageEntry { seq, at, draft })
    });
    entries.collect()
}

impl Judge {
    pub(super) fn said(&mut self, tag: u64, message: Message) {
        self.messages.insert(tag, message);
    }

    /// Looks at what came since the last call. `redis`: what the node is connected to.
    pub(super) fn look(
        &mut self,
        node: &Node,
        names: &BTreeMap<RoomId, &'static str>,
        redis: Option<&Redis>,
    ) {
        for (id, came) in &node.came {
            let view = self.views.entry(*id).or_default();
            let room = redis.map(|redis| (redis, current(redis, names[id])));
            // The stream, if it is the one of this epoch still.
            let stream_in = |epoch: Option<EpochInfo>| {
                let (redis, current) = room.as_ref()?;
                let is_current = epoch.map(written).as_ref() == Some(current);
                let stream = redis.data.stream(&stream_key(names[id]));
                stream.filter(|_| is_current)
            };
            for one in &came[view.looked..] {
                match one {
                    Came::Opened { head, oldest, eras } => {
                        assert!(oldest.0 <= head.0 + 1);
                        view.last = head.0;
                        view.unseen_to = head.0;
                        view.epoch = eras.last().map(|(epoch, _)| *epoch);
                        assert!(eras.iter().all(|(_, first)| first.0 <= head.0 + 1));
                    }
                    Came::Entry(entry) => {
                        assert_eq!(
                            entry.seq.0,
                            view.last + 1,
                            "the next entry, or a gap before it"
                        );
                        let before = view.entries.values().next_back();
                        assert!(
                            before.is_none_or(|before| before.at <= entry.at),
                            "times rise"
                        );
                        view.last = entry.seq.0;
                        view.entries.insert(entry.seq.0, entry.clone());
                    }
                    Came::Gap(oldest) => {
                        assert!(oldest.0 > view.last + 1, "a gap of nothing");
                        let is_kept = stream_in(view.epoch).is_some_and(|stream| {
                            let missed = u64::from(view.last + 1)..u64::from(oldest.0);
                            stream.entries.range(missed).next().is_some()
                        });
                        assert!(!is_kept, "what is in the gap is kept");
                        view.last = oldest.0 - 1;
                        view.unseen_to = view.last;
                        self.gaps += 1;
                    }
                    Came::Epoch(kept_to, epoch) => {
                        assert_ne!(Some(*epoch), view.epoch, "an epoch begins once");
                        let before = view.epoch.map_or(0, |before| before.epoch);
                        assert!(epoch.epoch > before, "numbers of epochs rise");
                        view.epochs.extend(view.epoch.replace(*epoch));
                        if kept_to.0 < view.last {
                            self.losses += 1;
                            let first = view.entries.get(&(kept_to.0 + 1));
                            let fields = stream_in(view.epoch)
                                .and_then(|stream| stream.entries.get(&u64::from(kept_to.0 + 1)));
                            if let (Some(entry), Some(fields)) = (first, fields) {
                                let (at, draft) = entry_of(fields);
                                // The same message may have the same place, of the same
                                // millisecond, at the Redis that was taken over and at its heir.
                                let is_there = (at, &draft) == (entry.at, &entry.draft)
                                    && view.epochs.iter().any(|epoch| is_of(*epoch, fields));
                                assert!(!is_there, "told as lost, and there: {entry:?}");
                            }
                            view.entries.split_off(&(kept_to.0 + 1));
                            view.last = kept_to.0;
                            view.unseen_to = view.unseen_to.min(kept_to.0);
                        }
                    }
                }
            }
            view.looked = came.len();
        }
        self.look_at_results(node);
    }

    /// The newest entry of a room that came.
    pub(super) fn last(&self, room: RoomId) -> u32 {
        self.views.get(&room).map_or(0, |view| view.last)
    }

    fn look_at_results(&mut self, node: &Node) {
        for (tag, result) in &node.results {
            let Result::Numbered {
                seq,
                is_duplicate,
                came,
                ..
            } = result
            else {
                continue;
            };
            if self.acked.contains_key(tag) {
                continue;
            }
            self.duplicates += u32::from(*is_duplicate);
            let room = self.messages[tag].room;
            let (seq, looked) = (seq.0, *came);
            self.acked.insert(*tag, Acked { room, seq, looked });
        }
    }

    /// In quiet times, a node has what Redis has.
    pub(super) fn has_all(
        &self,
        node: &Node,
        open: &BTreeMap<&'static str, RoomId>,
        redis: &Redis,
    ) -> std::result::Result<(), String> {
        if !node.asked.is_empty() {
            return Err(format!("{} are not answered", node.asked.len()));
        }
        for (name, id) in open {
            let Some(view) = self.views.get(id) else {
                return Err(format!("{name} is not open"));
            };
            let meta = redis.data.hash(format!("p:{{{name}}}:m").as_bytes());
            let meta = meta.ok_or_else(|| format!("{name} is not there"))?;
            let field = |field: &[u8]| String::from_utf8_lossy(&meta[field]).into_owned();
            if field(b"h") != view.last.to_string() {
                return Err(format!(
                    "{name} is at {} and not {}",
                    view.last,
                    field(b"h")
                ));
            }
            let epoch = view.epoch.map(written);
            if epoch != Some(field(b"c")) {
                return Err(format!("{name} is in {epoch:?} and not {}", field(b"c")));
            }
        }
        Ok(())
    }

    /// The end: what the node has is what is kept, and what it was told is true.
    pub(super) fn ends(&self, node: &Node, open: &BTreeMap<&'static str, RoomId>, redis: &Redis) {
        for (name, id) in open {
            let view = &self.views[id];
            for (seq, entry) in kept(redis, name) {
                if let Some(seen) = view.entries.get(&seq) {
                    assert_eq!(*seen, entry, "{name}: entry {seq} is another one");
                } else {
                    assert!(seq <= view.unseen_to, "{name}: entry {seq} did not come");
                }
            }
        }
        for (tag, acked) in &self.acked {
            let message = &self.messages[tag];
            let (session, key) = &message.key;
            let word = format!("{session:x}:{key}").into_bytes();
            let stream = redis.data.stream(&stream_key(message.name));
            let place = stream.and_then(|stream| stream.entries.get(&u64::from(acked.seq)));
            let is_there = place.is_some_and(|fields| fields.contains(&(b"k".to_vec(), word)));
            let oldest = stream.and_then(|stream| stream.entries.keys().next());
            let is_trimmed = oldest.is_none_or(|oldest| *oldest > u64::from(acked.seq));
            let came = node.came.get(&acked.room).into_iter().flatten();
            let mut later = came.skip(acked.looked);
            let is_told =
                later.any(|came| matches!(came, Came::Epoch(kept_to, _) if kept_to.0 < acked.seq));
            // A room that was closed is told no more.
            let is_open = open.values().any(|id| *id == acked.room);
            assert!(
                is_there || is_trimmed || is_told || !is_open,
                "{message:?} was acknowledged as {}, is not there, and nothing was told",
                acked.seq
            );
        }
    }
}

/// Each message that is kept is there once.
pub(super) fn nothing_is_doubled(redis: &Redis, name: &str) {
    let mut keys = BTreeSet::new();
    let stream = redis.data.stream(&stream_key(name));
    for fields in stream.iter().flat_map(|stream| stream.entries.values()) {
        for (_, key) in fields.iter().filter(|(name, _)| name == b"k") {
            let word = String::from_utf8_lossy(key).into_owned();
            assert!(keys.insert(key.clone()), "{word} is there twice in {name}");
        }
    }
}

/// A page is what is kept, in its present form.
pub(super) fn page_is_right(redis: &Redis, name: &str, after: Seq, page: &Page) {
    let all = kept(redis, name);
    let mut forms: BTreeMap<u32, (Form, String)> = BTreeMap::new();
    for entry in all.values() {
        let (of, form, text) = match &entry.draft.content {
            Content::Edited { of, text } => (*of, Form::Edited { by: entry.seq }, text.clone()),
            Content::Deleted { of } => (*of, Form::Deleted, String::new()),
            _ => continue,
        };
        let is_deleted = forms
            .get(&of.0)
            .is_some_and(|(form, _)| *form == Form::Deleted);
        if !is_deleted {
            forms.insert(of.0, (form, text));
        }
    }
    let mut next = all.range(after.0 + 1..);
    for entry in &page.entries {
        let (_, said) = next.next().expect("an entry that is kept");
        assert_eq!((entry.seq, entry.at), (said.seq, said.at));
        let mut draft = said.draft.clone();
        match &mut draft.content {
            Content::Said { text, form, .. } => {
                if let Some((now, words)) = forms.get(&entry.seq.0) {
                    *form = *now;
                    text.clone_from(words);
                }
            }
            Content::Edited { of, text } => {
                let by = forms.get(&of.0).and_then(|(form, _)| form.edit());
                if by != Some(entry.seq) {
                    text.clear();
                }
            }
            _ => {}
        }
        assert_eq!(
            entry.draft, draft,
            "{name}: entry {} in its present form",
            entry.seq.0
        );
    }
    let complete = page.entries.last().map_or(after, |last| last.seq);
    let oldest = all.keys().next().copied().unwrap_or(1);
    assert!(page.complete_to >= complete && page.oldest.0 >= oldest.min(page.oldest.0));
}
