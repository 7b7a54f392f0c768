//! The registry: its log of changes is subscribed to once, what did not come of it is read, and
//! changes that go with no entry are made.

use super::super::change;
use super::super::facts::{Next, Stage};
use super::super::link::{Fault, Which};
use super::super::messages::{Found, Published, Said, State, read_top, timed, written};
use super::super::report::Report;
use super::super::resp::{Value, number};
use super::super::scripts::{self, CHANGES_CHANNEL, HINTS_CHANNEL, Of, ROOMS_CHANNEL, Range};
use super::{Ask, Engine, REFILL_BYTES, by_name};
use crate::id::Seq;
use crate::log::{Answer, EpochInfo, Proposed, Version};

/// Changes that are read at once.
const PAGE_CHANGES: u32 = 256;
/// How an answer of the scripts begins that refuses what depends on changes that its server did not
/// know; the newest of them follows.
const STALE: &str = "STALE ";

impl Engine {
    /// Both links are there: the changes are subscribed to, and it is asked how far they are. So are
    /// hints of conversations and the list of rooms, before any room is.
    pub(super) fn subscribe_facts(&mut self) {
        let channels = [HINTS_CHANNEL, CHANGES_CHANNEL, ROOMS_CHANNEL].map(str::as_bytes);
        let words = [&b"SUBSCRIBE"[..], channels[0], channels[1], channels[2]];
        self.link(Which::Subscriptions).tell(&words);
        self.ask_facts(false);
    }

    pub(super) fn ask_facts(&mut self, with_text: bool) {
        if !self.is_up {
            return;
        }
        self.facts.ask();
        let known = self.facts.version;
        let seen = known.map_or(0, |known| u32::try_from(known.number).unwrap_or(u32::MAX));
        let epoch = known.map(|known| written(known.epoch)).unwrap_or_default();
        let generation = self.facts.generation;
        let mut bytes = Vec::new();
        let salt = self.new_salt();
        let link = &mut self.links[Which::Subscriptions as usize];
        let known = scripts::Incarnation {
            run: &link.server.run,
            salt,
            epoch_max: self.epoch_max,
        };
        let names = by_name(&link.loaded, with_text);
        scripts::open(&mut bytes, names, Of::Changes, known, (&epoch, seen));
        link.ask(Ask::Registry { generation }, self.now, |out, _| {
            out.extend_from_slice(&bytes);
        });
    }

    pub(super) fn facts_are_at(&mut self, generation: u32, state: &State) {
        self.note_epoch(state);
        let Some(newest) = state.turns.last().filter(|_| self.is_asked(generation)) else {
            return;
        };
        let (head, oldest) = (u64::from(state.head.0), u64::from(state.oldest.0));
        if let Some(known) = self.facts.version
            && known.epoch != newest.epoch
            && known.number > head
        {
            self.reports.push(Report::ChangesLost {
                kept_to: head,
                seen: known.number,
            });
        }
        let next = self.facts.is_at(newest.epoch, head, oldest);
        self.read_on(next);
    }

    fn is_asked(&self, generation: u32) -> bool {
        self.facts.generation == generation && self.facts.stage != Stage::Down
    }

    fn read_on(&mut self, next: Next) {
        match next {
            Next::Nothing => {}
            Next::Scan => self.scan_facts(b"0"),
            Next::Read(after) => self.read_changes(after, false),
            Next::Ask => self.ask_facts(false),
        }
        let again = self.facts.settle(&mut self.answers);
        for proposed in again {
            self.propose(Box::new(proposed), false);
        }
    }

    // All facts

    fn scan_facts(&mut self, cursor: &[u8]) {
        let generation = self.facts.generation;
        let link = &mut self.links[Which::Commands as usize];
        link.ask(Ask::Facts { generation }, self.now, |out, _| {
            scripts::facts(out, cursor);
        });
    }

    pub(super) fn facts_came(&mut self, generation: u32, value: Value<'_>) -> Result<(), Fault> {
        let unclear = || Fault::Broken(String::from("the facts of the registry are unclear"));
        let mut list = value.list().ok_or_else(unclear)?;
        let cursor = list.next().and_then(Value::text).ok_or_else(unclear)?;
        let mut pairs = list.next().and_then(Value::list).ok_or_else(unclear)?;
        if !self.is_asked(generation) || self.facts.stage != Stage::Scanning {
            return Ok(());
        }
        while let (Some(key), Some(fact)) = (pairs.next(), pairs.next()) {
            let (key, fact) = (key.text().ok_or_else(unclear)?, fact.text());
            let fact = fact.ok_or_else(unclear)?;
            if key == change::LARGEST {
                let largest = number(fact).and_then(|largest| u32::try_from(largest).ok());
                self.facts.scanned_accounts(largest.ok_or_else(unclear)?);
                continue;
            }
            match change::fact(fact) {
                Ok(fact) => self.facts.scanned(fact),
                Err(why) => self.reports.push(Report::UnreadableFact { why: why.0 }),
            }
        }
        if cursor == b"0" {
            let next = self.facts.scan_ends(&mut self.answers);
            self.read_on(next);
        } else {
            let cursor = cursor.to_vec();
            self.scan_facts(&cursor);
        }
        Ok(())
    }

    // Changes that did not come

    pub(super) fn read_changes(&mut self, after: u64, with_text: bool) {
        let generation = self.facts.generation;
        let first = u32::try_from(after.saturating_add(1)).unwrap_or(u32::MAX);
        let range = Range {
            first,
            last: first.saturating_add(PAGE_CHANGES - 1),
            entries_max: u32::MAX,
            bytes_max: REFILL_BYTES,
        };
        let link = &mut self.links[Which::Commands as usize];
        link.ask(Ask::Changes { generation }, self.now, |out, loaded| {
            scripts::page(out, by_name(loaded, with_text), Of::Changes, range);
        });
    }

    /// The same, to a Redis that has forgotten the scripts.
    pub(super) fn changes_again(&mut self) {
        if let Some(known) = self.facts.version {
            self.read_changes(known.number, true);
        }
    }

    pub(super) fn changes_came(&mut self, generation: u32, found: Option<Found<'_>>) {
        if !self.is_asked(generation) || self.facts.stage != Stage::Reading {
            return;
        }
        let known = self.facts.version.map(|known| known.epoch);
        let Some(found) = found.filter(|found| known == Some(found.epoch)) else {
            return self.ask_facts(false);
        };
        for (seq, bytes, _) in found.entries {
            let number = u64::from(seq.0);
            if !self.facts.is_next(found.epoch, number) {
                if self
                    .facts
                    .version
                    .is_some_and(|known| number > known.number)
                {
                    break;
                }
                continue;
            }
            let change = timed(bytes).map_or(&b""[..], |(_, change)| change);
            self.give_change(found.epoch, seq, change);
        }
        let is_cut = self
            .facts
            .version
            .is_some_and(|known| known.number + 1 < u64::from(found.oldest.0));
        let next = if is_cut {
            // Changes that are not kept any more: their facts are.
            Next::Ask
        } else {
            self.facts.page_ends(u64::from(found.head.0))
        };
        self.read_on(next);
    }

    /// The next change, as it was published.
    fn give_change(&mut self, epoch: EpochInfo, seq: Seq, bytes: &[u8]) {
        let number = u64::from(seq.0);
        self.facts.came();
        match change::decode(bytes) {
            Ok((node, mut change)) => {
                let own = (node == self.node).then_some(change.number);
                change.number = number;
                self.answers.push(Answer::Applied {
                    change: Box::new(change),
                    version: Version { epoch, number },
                    own,
                });
            }
            Err(why) => self.reports.push(Report::UnreadableFact { why: why.0 }),
        }
    }

    /// A message on the channel of changes.
    pub(super) fn change_published(&mut self, message: &[u8]) {
        if self.session_published(message) {
            return;
        }
        if let Some(state) = State::published(message) {
            self.note_epoch(&state);
            let newest = state.turns.last().map(|turn| turn.epoch);
            let is_known = self.facts.version.map(|known| known.epoch) == newest;
            if !is_known && self.facts.stage != Stage::Asked && self.facts.stage != Stage::Down {
                self.ask_facts(false);
            }
            return;
        }
        let Some(published) = Published::read(message) else {
            return;
        };
        let (epoch, number) = (published.epoch, u64::from(published.seq.0));
        if self.facts.stage == Stage::Live && self.facts.is_next(epoch, number) {
            self.give_change(epoch, published.seq, published.entry);
        }
        let next = self.facts.published(epoch, number);
        self.read_on(next);
    }

    pub(super) fn facts_top(&mut self, top: Option<(EpochInfo, Seq)>) {
        let top = top.map(|(epoch, head)| (epoch, u64::from(head.0)));
        let next = self.facts.top_came(top);
        self.read_on(next);
    }

    // Changes of this server

    /// Makes a change that goes with no entry.
    pub(super) fn propose(&mut self, proposed: Box<Proposed>, with_text: bool) {
        if !self.is_up {
            return; // The log hands it over again.
        }
        self.facts.made(proposed.clone());
        let salt = self.new_salt();
        let link = &mut self.links[Which::Commands as usize];
        let known = scripts::Incarnation {
            run: &link.server.run,
            salt,
            epoch_max: self.epoch_max,
        };
        let sent = scripts::Sent {
            node: self.node,
            link: link.number,
            deadline: link.deadline(self.now),
        };
        let mut bytes = Vec::new();
        let names = by_name(&link.loaded, with_text);
        scripts::change(
            &mut bytes,
            names,
            &proposed,
            known,
            sent,
            self.settings.keep,
        );
        link.ask(Ask::Change(proposed), self.now, |out, _| {
            out.extend_from_slice(&bytes);
        });
    }

    pub(super) fn was_changed(&mut self, proposed: &Proposed, said: Said) {
        self.facts.numbered(proposed.change.number, said);
        self.read_on(Next::Nothing);
    }

    pub(super) fn was_not_changed(&mut self, proposed: &Proposed, why: String) {
        let number = proposed.change.number;
        self.facts.refused(number);
        let is_stale = why.starts_with(STALE);
        let answer = Answer::NotChanged { number, is_stale };
        if let Some(why) = self.answers_when_known(&why, answer) {
            let what = "keep a change";
            self.reports.push(Report::Refused { what, why });
        }
    }

    /// What was refused is answered, where changes of other servers are the reason when they have
    /// come. Returns another reason.
    pub(super) fn answers_when_known(&mut self, why: &str, answer: Answer) -> Option<String> {
        let stale = why.strip_prefix(STALE).map(str::as_bytes);
        let Some((epoch, number)) = stale.and_then(read_top) else {
            self.answers.push(answer);
            return Some(why.to_owned());
        };
        let number = u64::from(number.0);
        self.facts.is_stale(Version { epoch, number }, answer);
        let next = self.facts.published(epoch, number);
        self.read_on(next);
        None
    }
}
