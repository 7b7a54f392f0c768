//! How far the registry of an engine has come here: the facts that are being read, the changes that
//! follow in order, and those of this server that are under way. Knows no link and no fact.

use super::messages::Said;
use crate::chat::registry::{Fact, FactKey, Snapshot};
use crate::log::{Answer, EpochInfo, Proposed, Version};
use std::collections::{BTreeMap, VecDeque};

/// Whether changes come as they are published.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Stage {
    /// Nothing was asked.
    #[default]
    Down,
    /// It was asked how far the log of changes is. All that is published before the answer is below
    /// it.
    Asked,
    /// That was refused.
    Refused,
    /// All facts are being read.
    Scanning,
    /// Changes that did not come are being read.
    Reading,
    Live,
}

/// What is to be read next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    Nothing,
    /// All facts, from the beginning.
    Scan,
    /// The changes after this one.
    Read(u64),
    /// How far the log is.
    Ask,
}

/// See the head of this file.
#[derive(Debug, Default)]
pub(super) struct Facts {
    pub(super) stage: Stage,
    /// Answers of other generations are ignored.
    pub(super) generation: u32,
    /// How far the log of this server has it.
    pub(super) version: Option<Version>,
    /// Where the facts that are being read begin.
    at: Option<Version>,
    facts: BTreeMap<FactKey, Fact>,
    accounts: u32,
    /// The newest change that is known to be there.
    top: u64,
    /// The newest that was there when it was compared last.
    top_before: u64,
    /// Changes of this server, by their numbers; with what became of them.
    own: BTreeMap<u64, (Box<Proposed>, Option<Said>)>,
    /// What was refused for changes that may not have come here: the answers, due when they have.
    stale: VecDeque<(Version, Answer)>,
}

impl Facts {
    /// The link is down: what was under way is not answered.
    pub(super) fn cut(&mut self) {
        self.restart();
        self.stage = Stage::Down;
        self.own.clear();
        self.stale.clear();
    }

    /// It is asked how far the log of changes is.
    pub(super) fn ask(&mut self) {
        self.restart();
        self.stage = Stage::Asked;
    }

    /// The question was refused: it is asked again later.
    pub(super) const fn wants_again(&mut self) {
        self.stage = Stage::Refused;
    }

    fn restart(&mut self) {
        self.generation = self.generation.wrapping_add(1);
        self.facts.clear();
        self.accounts = 0;
        self.at = None;
    }

    /// How far the log is, and its oldest change.
    pub(super) fn is_at(&mut self, epoch: EpochInfo, head: u64, oldest: u64) -> Next {
        self.top = head;
        self.top_before = 0;
        let known = self.version.filter(|known| known.epoch == epoch);
        match known.filter(|known| known.number <= head && known.number + 1 >= oldest) {
            Some(known) if known.number == head => {
                self.stage = Stage::Live;
                Next::Nothing
            }
            Some(known) => {
                self.stage = Stage::Reading;
                Next::Read(known.number)
            }
            None => {
                let number = head;
                self.at = Some(Version { epoch, number });
                self.stage = Stage::Scanning;
                Next::Scan
            }
        }
    }

    pub(super) fn scanned(&mut self, fact: Fact) {
        self.facts.insert(fact.key(), fact);
    }

    pub(super) const fn scanned_accounts(&mut self, largest: u32) {
        self.accounts = largest;
    }

    /// All facts were read.
    pub(super) fn scan_ends(&mut self, out: &mut Vec<Answer>) -> Next {
        let Some(version) = self.at.take() else {
            return Next::Ask;
        };
        let facts = std::mem::take(&mut self.facts);
        self.version = Some(version);
        out.push(Answer::Facts {
            facts: Box::new(Snapshot {
                facts: facts.into_values().collect(),
                changes: 0,
                accounts: self.accounts,
            }),
            version,
        });
        self.goes_on()
    }

    /// Whether a change is the next one, and of the epoch that is known.
    pub(super) fn is_next(&self, epoch: EpochInfo, number: u64) -> bool {
        let next = self.version.map(|known| (known.epoch, known.number + 1));
        next == Some((epoch, number))
    }

    /// A change was published. What is to be read if it is not the next one.
    pub(super) fn published(&mut self, epoch: EpochInfo, number: u64) -> Next {
        let known = self.at.or(self.version).map(|known| known.epoch);
        if matches!(self.stage, Stage::Down | Stage::Asked | Stage::Refused) {
            return Next::Nothing;
        }
        if known != Some(epoch) {
            return Next::Ask;
        }
        self.top = self.top.max(number);
        if self.stage == Stage::Live {
            self.goes_on()
        } else {
            Next::Nothing
        }
    }

    /// The next change came.
    pub(super) fn came(&mut self) {
        if let Some(version) = &mut self.version {
            version.number += 1;
            self.top = self.top.max(version.number);
        }
    }

    /// A page of changes was read, whose newest came. `head`: the newest that there is.
    pub(super) fn page_ends(&mut self, head: u64) -> Next {
        self.top = self.top.max(head);
        self.goes_on()
    }

    fn goes_on(&mut self) -> Next {
        match self.version {
            Some(known) if known.number < self.top => {
                self.stage = Stage::Reading;
                Next::Read(known.number)
            }
            _ => {
                self.stage = Stage::Live;
                Next::Nothing
            }
        }
    }

    /// How far the log is, asked for regularly: a change that was there at the last time should be
    /// here. `None`: it is not there any more.
    pub(super) fn top_came(&mut self, top: Option<(EpochInfo, u64)>) -> Next {
        if self.stage == Stage::Refused {
            return Next::Ask;
        }
        let Some(known) = self.version.filter(|_| self.stage == Stage::Live) else {
            return Next::Nothing;
        };
        match top {
            Some((epoch, head)) if epoch == known.epoch && head >= known.number => {
                let is_behind = self.top_before > known.number;
                self.top_before = head;
                self.top = self.top.max(if is_behind { head } else { 0 });
                self.goes_on()
            }
            _ => Next::Ask,
        }
    }

    // Changes of this server

    pub(super) fn made(&mut self, proposed: Box<Proposed>) {
        self.own.insert(proposed.change.number, (proposed, None));
    }

    pub(super) fn numbered(&mut self, number: u64, said: Said) {
        if let Some((_, known)) = self.own.get_mut(&number) {
            *known = Some(said);
        }
    }

    /// Something was refused for changes up to a version: its answer follows them.
    pub(super) fn is_stale(&mut self, version: Version, answer: Answer) {
        self.stale.push_back((version, answer));
    }

    pub(super) fn refused(&mut self, number: u64) {
        self.own.remove(&number);
    }

    fn settle_stale(&mut self, version: Version, out: &mut Vec<Answer>) {
        while let Some((due, answer)) = self.stale.pop_front() {
            let is_due = due.epoch.epoch < version.epoch.epoch
                || due.epoch == version.epoch && due.number <= version.number;
            if !is_due {
                self.stale.push_front((due, answer));
                return;
            }
            out.push(answer);
        }
    }

    pub(super) fn under_way(&self) -> usize {
        self.own.len()
    }

    /// Answers those that came, in their order. Returns those that are lost with an epoch, to be
    /// made again.
    pub(super) fn settle(&mut self, out: &mut Vec<Answer>) -> Vec<Proposed> {
        let Some(version) = self.version else {
            return Vec::new();
        };
        while let Some(first) = self.own.first_entry() {
            let upto = *first.key();
            let has_come = first.get().1.is_some_and(|said| {
                said.epoch == version.epoch && u64::from(said.seq.0) <= version.number
            });
            if !has_come {
                break;
            }
            first.remove();
            out.push(Answer::Changed { upto });
        }
        self.settle_stale(version, out);
        let mut again = Vec::new();
        for (proposed, said) in self.own.values_mut() {
            let is_lost = said.is_some_and(|said| said.epoch.epoch < version.epoch.epoch);
            if is_lost {
                *said = None;
                again.push(Proposed::clone(proposed));
            }
        }
        again
    }
}
