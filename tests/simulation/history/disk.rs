//! The disk of a simulated store: what has been committed, and nothing else. It outlives the server.
//! Asserts the rules by which rows may be added: numbers without a gap, no number twice, no room
//! under two numbers, epochs that only rise. Knows rows, not when they are written.

use parlor::chat::registry::{Audit, Change, Fact, FactKey, Snapshot};
use parlor::chat::{Author, Content, Draft, Form};
use parlor::id::{Millis, Seq};
use parlor::log::{
    EpochInfo, Era, Kept, KeptKey, Page, PageEntry, Record, Started, StoredRoom, Words,
};
use smol_str::SmolStr;
use std::collections::{BTreeMap, VecDeque};

/// The keys that are kept of a session.
const KEYS_MAX: usize = 64;

/// The eras that are reported of a room.
const ERAS_MAX: usize = 64;

/// All that is committed.
#[derive(Clone, Debug, Default)]
pub(crate) struct Disk {
    epochs: Vec<EpochInfo>,
    rooms: BTreeMap<StoredRoom, Row>,
    keys: BTreeMap<u64, VecDeque<KeptKey>>,
    facts: BTreeMap<FactKey, Fact>,
    /// The number of the newest change of the facts.
    changes: u64,
    /// The largest id of an account.
    accounts: u32,
    pub(crate) audit: BTreeMap<u64, Audit>,
    /// Rows that were handed over a second time, after a commit that failed in part.
    pub(crate) repeated: u64,
}

/// A room.
#[derive(Clone, Debug)]
struct Row {
    name: SmolStr,
    /// The oldest entry that is kept; one more than the head if none is.
    oldest: Seq,
    /// From `oldest` on, as they were handed over.
    records: VecDeque<Record>,
    /// What entries say that were changed since.
    present: BTreeMap<Seq, Content<String>>,
    eras: Vec<Era>,
    /// When the newest entry was numbered.
    at: Millis,
}

impl Row {
    fn head(&self) -> Seq {
        Seq(self.oldest.0 + self.records.len() as u32 - 1)
    }

    fn record(&self, seq: Seq) -> Option<&Record> {
        let index = seq.0.checked_sub(self.oldest.0)?;
        self.records.get(index as usize)
    }

    /// An entry in its present form.
    fn entry(&self, record: &Record) -> PageEntry {
        let mut draft = record.draft.clone();
        if let Some(content) = self.present.get(&record.seq) {
            draft.content = content.clone();
        }
        if let Content::Said { author, .. } = &mut draft.content
            && matches!(author, Author::Connection(_))
        {
            // It means nothing to the next start.
            *author = Author::Unknown;
        }
        PageEntry {
            seq: record.seq,
            at: record.at,
            draft,
        }
    }

    /// The newest record edits or deletes an earlier message, if that is kept.
    fn amends(&mut self, by: Seq, content: &Content<String>) {
        let (of, new) = match content {
            Content::Edited { of, text } => (*of, Some(text)),
            Content::Deleted { of } => (*of, None),
            Content::Said { .. } | Content::Kicked { .. } | Content::Act { .. } => return,
        };
        let known = self
            .record(of)
            .map(|record| self.entry(record).draft.content);
        let Some(Content::Said {
            manner,
            reply_to,
            author,
            form,
            ..
        }) = known
        else {
            return self.erases_edits(of, by);
        };
        let before = match form {
            Form::Original => None,
            Form::Edited { by } => Some(by),
            Form::Deleted => return,
        };
        let said = Content::Said {
            manner,
            text: new.cloned().unwrap_or_default(),
            reply_to,
            author,
            form: match new {
                Some(_) => Form::Edited { by },
                None => Form::Deleted,
            },
        };
        self.present.insert(of, said);
        if let Some(before) = before {
            let text = String::new();
            self.present.insert(before, Content::Edited { of, text });
        }
    }

    /// Retention has removed the message: all its edits lose their texts.
    fn erases_edits(&mut self, message: Seq, by: Seq) {
        for record in self.records.iter().filter(|record| record.seq < by) {
            if let Content::Edited { of, .. } = record.draft.content
                && of == message
            {
                let text = String::new();
                self.present
                    .insert(record.seq, Content::Edited { of, text });
            }
        }
    }

    fn records_from(&self, seq: Seq) -> impl Iterator<Item = &Record> {
        let index = seq.0.saturating_sub(self.oldest.0) as usize;
        self.records.iter().skip(index)
    }
}

impl Disk {
    /// A start of the server: writes a new epoch, durably, and returns what is read at a start.
    pub(crate) fn starts(&mut self, salt: u32) -> Started {
        let epoch = self.epoch() + 1;
        self.epochs.push(EpochInfo { epoch, salt });
        self.started()
    }

    /// What it knows, in the epoch of the last start.
    pub(crate) fn started(&self) -> Started {
        let newest = self.rooms.keys().next_back();
        Started {
            epoch: self.epoch(),
            epochs: self.epochs.clone(),
            next_room: StoredRoom(newest.map_or(1, |room| room.0 + 1)),
            session_key: [7; 32],
            registry: Snapshot {
                facts: self.facts.values().cloned().collect(),
                changes: self.changes,
                accounts: self.accounts,
            },
        }
    }

    /// The number of the newest change of the registry; 0: there was none.
    pub(crate) const fn changes(&self) -> u64 {
        self.changes
    }

    /// The epoch of the last start; 0: there was none.
    pub(crate) fn epoch(&self) -> u32 {
        self.epochs.last().map_or(0, |epoch| epoch.epoch)
    }

    /// Adds rows, as one transaction does. A row that is there already must be the same.
    pub(crate) fn commit(&mut self, records: &[Record]) {
        for record in records {
            self.insert(record);
        }
    }

    /// Makes changes of the registry, as the same transaction does. One that is made already is
    /// ignored.
    pub(crate) fn change<'c>(&mut self, changes: impl IntoIterator<Item = &'c Change>) {
        for change in changes {
            if change.number <= self.changes {
                continue;
            }
            assert_eq!(change.number, self.changes + 1, "a change is missing");
            self.changes = change.number;
            for key in &change.forgets {
                self.facts.remove(key);
            }
            for fact in &change.puts {
                if let Fact::Account(account) = fact {
                    self.accounts = self.accounts.max(account.id.0.get());
                }
                self.facts.insert(fact.key(), fact.clone());
            }
            if let Some(audit) = &change.audit {
                self.audit.insert(change.number, audit.clone());
            }
        }
    }

    fn insert(&mut self, record: &Record) {
        assert_eq!(
            record.epoch,
            self.epoch(),
            "an entry of an epoch that is not this start's: {record:?}"
        );
        let named = self.named(&record.name);
        assert!(
            named.is_none_or(|known| known == record.stored_room),
            "a second number for a room that is stored as {named:?}: {record:?}"
        );
        let row = self.rooms.entry(record.stored_room).or_insert_with(|| Row {
            name: record.name.clone(),
            oldest: Seq(1),
            records: VecDeque::new(),
            present: BTreeMap::new(),
            eras: Vec::new(),
            at: Millis(0),
        });
        assert_eq!(
            row.name, record.name,
            "the number of a stored room was given to another room"
        );
        if record.seq <= row.head() {
            let known = row.record(record.seq);
            assert!(
                known.is_none_or(|known| {
                    (known.at, &known.draft, &known.key, known.epoch)
                        == (record.at, &record.draft, &record.key, record.epoch)
                }),
                "a number was given twice: {known:?} and {record:?}"
            );
            self.repeated += 1;
            return;
        }
        assert_eq!(
            record.seq.0,
            row.head().0 + 1,
            "a gap before an entry: {record:?}"
        );
        assert!(record.at >= row.at, "time ran back: {record:?}");
        row.at = record.at;
        if row.eras.last().is_none_or(|era| era.epoch < record.epoch) {
            row.eras.push(Era {
                epoch: record.epoch,
                first: record.seq,
            });
        }
        row.records.push_back(record.clone());
        row.amends(record.seq, &record.draft.content);
        if let Some(key) = &record.key {
            let keys = self.keys.entry(key.session).or_default();
            keys.push_back(KeptKey {
                key: key.key.clone(),
                stored_room: record.stored_room,
                seq: record.seq,
                at: record.at,
            });
            if keys.len() > KEYS_MAX {
                keys.pop_front();
            }
        }
    }

    /// Retention removes the entries of a room below `oldest`. Returns the oldest that is kept.
    pub(crate) fn forgets(&mut self, room: StoredRoom, oldest: Seq) -> Seq {
        let row = self.rooms.get_mut(&room).expect("the room is stored");
        while row.oldest < oldest && row.records.pop_front().is_some() {
            row.oldest.0 += 1;
        }
        row.present = row.present.split_off(&row.oldest);
        row.oldest
    }

    pub(crate) fn rooms(&self) -> impl Iterator<Item = (StoredRoom, &str)> {
        self.rooms.iter().map(|(id, row)| (*id, row.name.as_str()))
    }

    fn named(&self, name: &str) -> Option<StoredRoom> {
        let found = self.rooms.iter().find(|(_, row)| row.name == name);
        found.map(|(id, _)| *id)
    }

    pub(crate) fn kept(&self, name: &str) -> Option<Kept> {
        let stored_room = self.named(name)?;
        let row = &self.rooms[&stored_room];
        let skipped = row.eras.len().saturating_sub(ERAS_MAX);
        Some(Kept {
            stored_room,
            oldest: row.oldest,
            head: row.head(),
            at: row.at,
            eras: row.eras[skipped..].to_vec(),
            salts: Vec::new(),
        })
    }

    /// An entry of a room, if it is committed and retention has not removed it.
    pub(crate) fn record(&self, name: &str, seq: u32) -> Option<&Record> {
        self.rooms.get(&self.named(name)?)?.record(Seq(seq))
    }

    /// An entry of a room in its present form.
    pub(crate) fn present(&self, name: &str, seq: u32) -> Option<Draft> {
        let row = self.rooms.get(&self.named(name)?)?;
        Some(row.entry(row.record(Seq(seq))?).draft)
    }

    pub(crate) fn page(
        &self,
        room: StoredRoom,
        after: Seq,
        entries_max: u32,
        bytes_max: u32,
    ) -> Page {
        let Some(row) = self.rooms.get(&room) else {
            return Page {
                entries: Vec::new(),
                complete_to: after,
                oldest: Seq(1),
            };
        };
        let mut entries = Vec::new();
        let mut bytes = 0;
        for record in row
            .records_from(Seq(after.0 + 1))
            .take(entries_max as usize)
        {
            let entry = row.entry(record);
            bytes += entry.text_bytes();
            if !entries.is_empty() && bytes > bytes_max as usize {
                break;
            }
            entries.push(entry);
        }
        let complete_to = match entries.last() {
            Some(last) => last.seq,
            None => row.head().max(after),
        };
        Page {
            entries,
            complete_to,
            oldest: row.oldest,
        }
    }

    pub(crate) fn keys(&self, session: u64) -> Vec<KeptKey> {
        let keys = self.keys.get(&session);
        keys.map_or_else(Vec::new, |keys| keys.iter().cloned().collect())
    }

    /// The newest messages below `before` whose text has all the words in it, and whether there are
    /// older ones.
    pub(crate) fn found(
        &self,
        room: StoredRoom,
        words: &str,
        before: Seq,
        entries_max: u32,
    ) -> (Vec<PageEntry>, bool) {
        let row = self.rooms.get(&room);
        let entries = row.map(|row| row.records.iter().rev().map(|record| row.entry(record)));
        let mut words = Words::new(words);
        let mut has_words = |entry: &PageEntry| match &entry.draft.content {
            Content::Said { text, .. } => words.are_in(text),
            _ => false,
        };
        let mut found: Vec<PageEntry> = entries
            .into_iter()
            .flatten()
            .filter(|entry| entry.seq < before && has_words(entry))
            .take(entries_max as usize + 1)
            .collect();
        let more = found.len() > entries_max as usize;
        found.truncate(entries_max as usize);
        (found, more)
    }
}
