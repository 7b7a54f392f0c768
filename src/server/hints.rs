//! Conversations of two accounts of which another server has numbered an entry: the log of one is
//! opened where a connection of either is, and these are shown what came since. Knows no key of the
//! engine; what clients are shown of an open log is in `direct.rs`.
//!
//! A log that is open needs no hint: all that is numbered comes by itself.

use super::Server;
use super::catch_up::Purpose;
use crate::chat::registry::{Change, Fact, FactKey};
use crate::chat::{Author, Content, Entry, Pair, Party};
use crate::id::{ConnId, RoomId, Seq, Tick};
use crate::log::{Opening, PageEntry, Reading};
use crate::net::Net;
use crate::wire::Protocol;
use std::collections::{BTreeMap, VecDeque};

/// Entries that are shown of what came before the log was open: the newest.
const HINTED_MAX: usize = 64;

/// Conversations that were hinted at, until what came before their logs were open is shown: the
/// first entry of each that is to be. Empty unless servers share an engine.
#[derive(Debug, Default)]
pub(super) struct Hints {
    by_room: BTreeMap<RoomId, Seq>,
}

impl Hints {
    /// Whether entries of a conversation are to be read before newer ones are shown.
    pub(super) fn has(&self, room: RoomId) -> bool {
        !self.by_room.is_empty() && self.by_room.contains_key(&room)
    }

    /// The log could not be opened.
    pub(super) fn forget(&mut self, room: RoomId) {
        self.by_room.remove(&room);
    }

    fn put(&mut self, room: RoomId, seq: Seq) {
        let first = self.by_room.entry(room).or_insert(seq);
        *first = seq.min(*first);
    }
}

impl<N: Net> Server<N> {
    /// An entry was numbered in a conversation, by whichever server.
    pub(super) fn hinted(&mut self, name: &str, seq: Seq, now: Tick) {
        let pair = Pair::named(name).filter(|pair| pair.accounts().is_some());
        if let Some(pair) = pair.filter(|pair| self.is_one_here(*pair)) {
            self.opens_hinted(pair, seq, now);
        }
    }

    fn is_one_here(&self, pair: Pair) -> bool {
        let chat = self.talk.chat();
        let mut parties = pair.parties().into_iter();
        parties.any(|party| !chat.connections_of_party(party).is_empty())
    }

    fn opens_hinted(&mut self, pair: Pair, seq: Seq, now: Tick) {
        // One that could not be opened is found by its history.
        if let Opening::Waiting(room) = self.log.open(&pair.name(), now) {
            self.hints.put(room, seq);
        }
    }

    /// Facts have changed that no step of this server has changed: what came for an account is
    /// found by them where the hint was lost.
    pub(super) fn hinted_by_facts(&mut self, change: &Change, now: Tick) {
        for fact in &change.puts {
            let Fact::Conversation(known) = fact else {
                continue;
            };
            let [one, other] = known.accounts.map(Party::Account);
            for (party, unseen) in [one, other].into_iter().zip(known.unseen) {
                let is_here = !self.talk.chat().connections_of_party(party).is_empty();
                if unseen > Seq(0)
                    && is_here
                    && let Some(pair) = Pair::of_accounts(known.accounts)
                {
                    self.is_unseen(pair, unseen, now);
                }
            }
        }
    }

    /// By the facts, an account that is connected here has not seen an entry.
    fn is_unseen(&mut self, pair: Pair, seq: Seq, now: Tick) {
        match self.log.find(&pair.name()) {
            Some(room) if self.log.head(room) < seq || self.hints.has(room) => {}
            Some(room) => self.has_come_to_pair(room, pair, None, now),
            None => self.opens_hinted(pair, seq, now),
        }
    }

    /// The log of a conversation is open, or more of it was read.
    pub(super) fn show_hinted(&mut self, room: RoomId, now: Tick) {
        let Some(first) = self.hints.by_room.get(&room).copied() else {
            return;
        };
        if !self.log.is_open(room) {
            return self.hints.forget(room);
        }
        let Some(entries) = self.read_hinted(room, first) else {
            return; // The engine was asked.
        };
        self.hints.forget(room);
        let Some(pair) = Pair::named(self.log.name(room)) else {
            return;
        };
        let sides = self.sides_of(pair);
        let said = entries.iter().find(|entry| is_said(entry));
        if let Some(first) = said.map(|entry| entry.seq) {
            for id in sides.iter().flatten() {
                if self.protocol_of(*id) == Some(Protocol::Json) {
                    self.joins_behind(*id, (room, pair), Seq(first.0 - 1), now);
                }
            }
        }
        for entry in &entries {
            self.write_entry(pair, &sides, &entry.as_entry(), now);
            self.has_come_to_pair(room, pair, Some(&entry.as_entry()), now);
        }
    }

    /// Up to so many of the entries from one on. `None`: they are being read.
    fn read_hinted(&mut self, room: RoomId, first: Seq) -> Option<VecDeque<PageEntry>> {
        let mut entries = VecDeque::new();
        let mut cursor = Seq(first.0.saturating_sub(1));
        let newest = self.log.head(room).0.saturating_sub(HINTED_MAX as u32);
        cursor = cursor.max(Seq(newest));
        while cursor < self.log.head(room) {
            let reading = self.log.read(room, cursor, &mut |entry| {
                entries.push_back(PageEntry::of(&entry));
                true
            });
            match reading {
                Reading::Read { upto } => cursor = upto,
                Reading::AtHead => break,
                Reading::Gap { oldest } => cursor = Seq(oldest.0 - 1).max(Seq(cursor.0 + 1)),
                Reading::Wait => return None,
            }
        }
        Some(entries)
    }

    /// A program becomes a member by what was said before the log was open, from there on.
    fn joins_behind(&mut self, id: ConnId, (room, pair): (RoomId, Pair), at: Seq, now: Tick) {
        let head = self.log.head(room);
        if self.joins_unasked(id, (room, pair), (at, head), now) && at < head {
            self.falls_behind(id, room, at, Purpose::Slow, false);
        }
    }

    /// Something that was said has come, which those of the two that are here were shown. `None`:
    /// all that came was shown.
    pub(super) fn has_come_to_pair(
        &mut self,
        room: RoomId,
        pair: Pair,
        entry: Option<&Entry<'_>>,
        now: Tick,
    ) {
        let Some(accounts) = pair.accounts().filter(|_| self.log.is_shared()) else {
            return;
        };
        let said = entry.and_then(|entry| match entry.content {
            Content::Said {
                author: Author::Account(author),
                ..
            } => Some((entry.seq, author)),
            _ => None,
        });
        if entry.is_some() && said.is_none() {
            return;
        }
        let wall = self.net.wall();
        self.chat_step(now, |chat, effects| {
            chat.has_come(room, accounts, said, wall, effects);
        });
    }

    // How a conversation ends

    /// What was said in conversations is gone with their facts, at all servers.
    pub(super) fn end_conversations(&mut self, change: &Change, now: Tick) {
        for key in &change.forgets {
            if let FactKey::Conversation(accounts) = key
                && let Some(pair) = Pair::of_accounts(*accounts)
                && let Some(room) = self.log.find(&pair.name())
            {
                self.chat_step(now, |chat, effects| chat.end_conversation(room, effects));
                self.log.drop_idle(room);
            }
        }
    }
}

fn is_said(entry: &PageEntry) -> bool {
    matches!(entry.draft.content, Content::Said { .. })
}
