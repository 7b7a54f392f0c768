//! What is true of each room: its entries, from what the store was asked to keep and what the
//! witnesses received, and the notices between them. At a crash it becomes what the disk kept.
//! Everything that any client receives is compared with it: a message in a form that it had since
//! the client asked. Knows no client.

use super::disk::Disk;
use parlor::chat::{Content, Draft, Form, Manner};
use parlor::log::Record;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// What an entry says, without its number and time.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Said {
    pub(crate) nick: String,
    pub(crate) what: What,
    pub(crate) mark: Mark,
}

/// What has become of a message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Mark {
    #[default]
    AsSaid,
    Edited,
    Deleted,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum What {
    Message {
        text: String,
        reply_to: Option<u32>,
    },
    Action {
        text: String,
        reply_to: Option<u32>,
    },
    Kicked {
        by: String,
        reason: String,
    },
    /// Without a text: the message was changed again.
    Edited {
        of: u32,
        text: String,
    },
    Deleted {
        of: u32,
    },
}

impl Said {
    pub(crate) fn of(draft: &Draft) -> Self {
        let what = match &draft.content {
            Content::Said {
                manner,
                text,
                reply_to,
                ..
            } => {
                let (text, reply_to) = (text.clone(), reply_to.map(|seq| seq.0));
                match manner {
                    Manner::Message => What::Message { text, reply_to },
                    Manner::Action => What::Action { text, reply_to },
                }
            }
            Content::Edited { of, text } => What::Edited {
                of: of.0,
                text: text.clone(),
            },
            Content::Deleted { of } => What::Deleted { of: of.0 },
            Content::Kicked { by, reason } => What::Kicked {
                by: by.clone(),
                reason: reason.clone(),
            },
            Content::Act { .. } => panic!("no act is played here"),
        };
        let mark = match &draft.content {
            Content::Said { form, .. } => match form {
                Form::Original => Mark::AsSaid,
                Form::Edited { .. } => Mark::Edited,
                Form::Deleted => Mark::Deleted,
            },
            _ => Mark::AsSaid,
        };
        Self {
            nick: draft.nick.to_string(),
            what,
            mark,
        }
    }

    /// The same with another text, as an edit or a deletion leaves it.
    pub(crate) fn changed(&self, new: &str, mark: Mark) -> Self {
        let mut said = self.clone();
        match &mut said.what {
            What::Message { text, .. } | What::Action { text, .. } => {
                new.clone_into(text);
                said.mark = mark;
            }
            What::Edited { text, .. } => new.clone_into(text),
            What::Kicked { .. } | What::Deleted { .. } => panic!("{said:?} is changed"),
        }
        said
    }

    /// People are shown nothing of it.
    fn is_silent(&self) -> bool {
        self.mark == Mark::Deleted
            || matches!(&self.what, What::Edited { text, .. } if text.is_empty())
    }

    pub(crate) fn text(&self) -> Option<&str> {
        match &self.what {
            What::Message { text, .. } | What::Action { text, .. } => Some(text),
            What::Kicked { .. } | What::Edited { .. } | What::Deleted { .. } => None,
        }
    }

    /// The line that plain-text members receive.
    pub(crate) fn line(&self) -> String {
        let nick = &self.nick;
        match &self.what {
            What::Message { text, .. } => format!("{nick}: {text}"),
            What::Action { text, .. } => format!("** {nick} {text}"),
            What::Edited { of, text } => format!("* {nick} corrected message {of}: {text}"),
            What::Deleted { of } => format!("* message {of} was deleted by {nick}"),
            What::Kicked { by, reason } => format!("* {nick} was kicked by {by} ({reason})"),
        }
    }
}

/// A numbered entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Numbered {
    pub(crate) said: Said,
    /// What it became, each with the number of the entry that changed it.
    changed: Vec<(u32, Said)>,
    /// The number of the start in which it was numbered.
    pub(crate) life: u32,
    /// Milliseconds since 1970, once known.
    pub(crate) at: Option<u64>,
}

impl Numbered {
    /// The present form.
    pub(crate) fn present(&self) -> &Said {
        self.changed.last().map_or(&self.said, |(_, said)| said)
    }

    /// The forms that it had since the entry `from` was the newest, the oldest first.
    pub(crate) fn forms_since(&self, from: u32) -> impl Iterator<Item = &Said> {
        let before = self.changed.iter().filter(|(by, _)| *by <= from).count();
        let forms = std::iter::once(&self.said);
        let forms = forms.chain(self.changed.iter().map(|(_, said)| said));
        forms.skip(before)
    }
}

/// An element of what a member that is never behind receives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Line {
    Entry(u32),
    Notice(Value),
}

/// One room.
#[derive(Debug, Default)]
pub(crate) struct RoomTruth {
    entries: BTreeMap<u32, Numbered>,
    /// The entries by their lines in plain text, which differ.
    by_line: BTreeMap<String, u32>,
    /// A witness receives everything that a live member receives.
    pub(crate) is_witnessed: bool,
    /// The newest entry when the witness joined.
    pub(crate) lines_from: u32,
    /// What the witness received since then, in order.
    pub(crate) lines: Vec<Line>,
    /// The oldest entry that the log still has.
    oldest: u32,
    /// Entries that were delivered and lost in a crash, by start.
    pub(crate) lost: u64,
}

impl RoomTruth {
    /// The number of the newest entry; 0: there is none.
    pub(crate) fn head(&self) -> u32 {
        self.entries.keys().next_back().copied().unwrap_or(0)
    }

    pub(crate) fn oldest(&self) -> u32 {
        self.oldest.max(1)
    }

    pub(crate) fn entry(&self, seq: u32) -> Option<&Numbered> {
        self.entries.get(&seq)
    }

    /// The number of the entry with this line in plain text.
    pub(crate) fn find(&self, line: &str) -> Option<u32> {
        self.by_line.get(line).copied()
    }

    pub(crate) fn entries(&self) -> impl Iterator<Item = (u32, &Numbered)> {
        self.entries.iter().map(|(seq, entry)| (*seq, entry))
    }

    /// The last entry that a client has for certain which followed the room up to `seq` in `life`.
    pub(crate) fn valid_upto(&self, life: u32, seq: u32) -> u32 {
        let later = self
            .entries
            .range(..=seq)
            .find(|(_, entry)| entry.life > life);
        match later {
            Some((first, _)) => first - 1,
            None => seq.min(self.head()),
        }
    }

    /// A tap: an entry was numbered. Panics if the number was given to another one.
    pub(crate) fn numbers(&mut self, seq: u32, said: Said, life: u32, at: Option<u64>) {
        match self.entries.get_mut(&seq) {
            Some(known) => {
                assert_eq!(known.said, said, "the number {seq} was given twice");
                known.at = known.at.or(at);
            }
            None => {
                let head = self.head();
                assert_eq!(seq, head + 1, "a gap in the numbers before {said:?}");
                self.by_line.insert(said.line(), seq);
                let changed = Vec::new();
                let what = said.what.clone();
                let numbered = Numbered {
                    said,
                    changed,
                    life,
                    at,
                };
                self.entries.insert(seq, numbered);
                match what {
                    What::Edited { of, text } => self.changes(of, seq, &text, Mark::Edited),
                    What::Deleted { of } => self.changes(of, seq, "", Mark::Deleted),
                    _ => {}
                }
            }
        }
    }

    /// The entry `by` edits or deletes a message: an edit before it loses its text.
    fn changes(&mut self, of: u32, by: u32, text: &str, mark: Mark) {
        let Some(message) = self.entries.get_mut(&of) else {
            panic!("entry {by} changes entry {of}, which was never numbered");
        };
        let is_message = message.said.text().is_some();
        assert!(
            is_message && message.present().mark != Mark::Deleted,
            "entry {by} changes {message:?}"
        );
        let before = message.changed.last().map(|(before, _)| *before);
        let said = message.said.changed(text, mark);
        self.by_line.insert(said.line(), of);
        message.changed.push((by, said));
        if let Some(edit) = before.and_then(|before| self.entries.get_mut(&before)) {
            let said = edit.said.changed("", mark);
            edit.changed.push((by, said));
        }
    }

    /// The next entry after `at` of which people are shown a line for certain.
    pub(crate) fn next_line(&self, at: u32) -> u32 {
        let mut later = self.entries.range(at + 1..);
        let shown = later.find(|(_, entry)| !entry.forms_since(0).any(Said::is_silent));
        shown.map_or_else(|| self.head() + 1, |(seq, _)| *seq)
    }

    /// A client received an entry, in a form that it had since `from` was the newest entry.
    pub(crate) fn check(&self, seq: u32, said: &Said, at: Option<u64>, from: u32) {
        let Some(known) = self.entries.get(&seq) else {
            panic!("an entry that was never numbered: {seq} {said:?}");
        };
        assert!(
            known.forms_since(from).any(|form| form == said),
            "entry {seq} has another content: {said:?} instead of {known:?}, since {from}"
        );
        assert!(
            at.is_none() || known.at.is_none() || known.at == at,
            "entry {seq} has the time {at:?} instead of {:?}",
            known.at
        );
    }

    fn forgets_below(&mut self, oldest: u32) {
        self.oldest = self.oldest.max(oldest);
    }

    /// The server has crashed: entries above `head` are lost.
    fn falls_back_to(&mut self, head: u32) {
        self.lost += self.entries.split_off(&(head + 1)).len() as u64;
        for entry in self.entries.values_mut() {
            entry.changed.retain(|(by, _)| *by <= head);
        }
        let forms = |(seq, entry): (&u32, &Numbered)| {
            let lines = entry.forms_since(0).map(Said::line);
            lines.map(|line| (line, *seq)).collect::<Vec<_>>()
        };
        self.by_line = self.entries.iter().flat_map(forms).collect();
        self.lines.clear();
    }
}

/// All rooms.
#[derive(Debug)]
pub(crate) struct Truth {
    pub(crate) rooms: Vec<RoomTruth>,
    names: Vec<&'static str>,
    /// The starts of the server, and the name that clients know each by.
    epochs: BTreeMap<String, u32>,
    pub(crate) life: u32,
    /// The starts that the server's store knows of.
    known: BTreeSet<u32>,
}

/// What the disk a new start finds is.
#[derive(Clone, Debug)]
pub(crate) enum Found {
    /// The one of the start before.
    Same,
    /// A copy, which was made while these starts were known.
    Backup(BTreeSet<u32>),
    /// Nothing: everything was in memory.
    Nothing,
}

impl Truth {
    pub(crate) fn new(names: &[&'static str]) -> Self {
        Self {
            rooms: names.iter().map(|_| RoomTruth::default()).collect(),
            names: names.to_vec(),
            epochs: BTreeMap::new(),
            life: 0,
            known: BTreeSet::from([0]),
        }
    }

    pub(crate) fn index(&self, name: &str) -> Option<usize> {
        self.names.iter().position(|known| *known == name)
    }

    /// The newest entry of each room.
    pub(crate) fn heads(&self) -> Vec<u32> {
        self.rooms.iter().map(RoomTruth::head).collect()
    }

    /// The store was asked to keep entries.
    pub(crate) fn taps(&mut self, records: &[Record]) {
        for record in records {
            let index = self.index(&record.name);
            let room = &mut self.rooms[index.expect("clients join no other rooms")];
            let said = Said::of(&record.draft);
            room.numbers(record.seq.0, said, self.life, Some(record.at.0));
        }
    }

    /// Compares with the disk: what is committed is true, and retention has removed the rest.
    pub(crate) fn follows(&mut self, disk: &Disk) {
        for (name, room) in self.names.iter().zip(&mut self.rooms) {
            if let Some(kept) = disk.kept(name) {
                room.forgets_below(kept.oldest.0);
                assert!(
                    kept.head.0 <= room.head(),
                    "{name}: the disk has entries that were not delivered"
                );
            }
        }
    }

    /// The server has ended, and a new one starts with what the disk has.
    pub(crate) fn restarts(&mut self, disk: &Disk, found: Found) {
        self.life += 1;
        match found {
            Found::Same => {}
            Found::Backup(known) => self.known = known,
            Found::Nothing => self.known.clear(),
        }
        self.known.insert(self.life);
        for (name, room) in self.names.iter().zip(&mut self.rooms) {
            let kept = disk.kept(name);
            room.falls_back_to(kept.as_ref().map_or(0, |kept| kept.head.0));
            // A copy may have what retention has removed since.
            room.oldest = kept.map_or(0, |kept| kept.oldest.0);
            for (seq, entry) in room.entries.range(room.oldest..) {
                let draft = disk.present(name, *seq).map(|draft| Said::of(&draft));
                assert_eq!(
                    draft.as_ref(),
                    Some(entry.present()),
                    "entry {seq} on the disk"
                );
            }
        }
    }

    /// The starts of which a copy of the disk knows, if it is made now.
    pub(crate) fn known(&self) -> BTreeSet<u32> {
        self.known.clone()
    }

    /// Whether the server knows where a client stands that names this epoch.
    pub(crate) fn is_known(&self, epoch: &str) -> bool {
        self.known.contains(&self.life_of(epoch))
    }

    /// A client was informed of the epoch. All clients of a start are given the same one, and no
    /// two starts have the same.
    pub(crate) fn hears_epoch(&mut self, epoch: &str) {
        let life = *self.epochs.entry(epoch.to_owned()).or_insert(self.life);
        assert_eq!(life, self.life, "the epoch {epoch} of an earlier start");
        let of_this = self.epochs.values().filter(|life| **life == self.life);
        assert_eq!(of_this.count(), 1, "two epochs in one start");
    }

    /// The start that a client knows by this name.
    pub(crate) fn life_of(&self, epoch: &str) -> u32 {
        self.epochs[epoch]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(text: &str) -> Said {
        Said {
            nick: String::from("ann"),
            what: What::Message {
                text: text.to_owned(),
                reply_to: None,
            },
            mark: Mark::AsSaid,
        }
    }

    /// Entries 1 and 2 of the first start, of which 1 was kept, and 2 and 3 of the next.
    fn room() -> RoomTruth {
        let mut room = RoomTruth::default();
        room.numbers(1, said("a"), 1, None);
        room.numbers(2, said("lost"), 1, None);
        room.falls_back_to(1);
        room.numbers(2, said("b"), 2, None);
        room.numbers(3, said("c"), 2, None);
        room
    }

    #[test]
    fn client_of_an_earlier_start_is_right_up_to_the_first_entry_of_the_next() {
        let room = room();
        assert_eq!(room.valid_upto(1, 2), 1);
        assert_eq!(room.valid_upto(1, 1), 1);
        assert_eq!(room.valid_upto(2, 3), 3);
        assert_eq!(room.valid_upto(2, 9), 3);
    }

    #[test]
    #[should_panic(expected = "was given twice")]
    fn number_that_is_given_twice_is_found() {
        room().numbers(3, said("d"), 2, None);
    }

    #[test]
    #[should_panic(expected = "a gap in the numbers")]
    fn gap_in_the_numbers_is_found() {
        room().numbers(5, said("d"), 2, None);
    }

    #[test]
    #[should_panic(expected = "another content")]
    fn entry_that_was_lost_is_wrong_after_the_crash() {
        room().check(2, &said("lost"), None, 0);
    }

    fn edit(of: u32, text: &str) -> Said {
        Said {
            nick: String::from("ann"),
            what: What::Edited {
                of,
                text: text.to_owned(),
            },
            mark: Mark::AsSaid,
        }
    }

    /// Entry 1 is edited by 4 and 5.
    fn edited_room() -> RoomTruth {
        let mut room = room();
        room.numbers(4, edit(1, "d"), 2, None);
        room.numbers(5, edit(1, "e"), 2, None);
        room
    }

    #[test]
    fn message_has_the_forms_since_the_client_asked() {
        let room = edited_room();
        let form = |text| said("a").changed(text, Mark::Edited);
        room.check(1, &said("a"), None, 3);
        room.check(1, &form("d"), None, 4);
        room.check(1, &form("e"), None, 5);
        room.check(4, &edit(1, ""), None, 5);
        assert_eq!(room.next_line(3), 5, "the first edit may have no line");
    }

    #[test]
    #[should_panic(expected = "another content")]
    fn message_in_a_form_that_it_had_before_the_client_asked_is_found() {
        edited_room().check(1, &said("a"), None, 4);
    }

    #[test]
    fn change_that_was_lost_leaves_the_form_before_it() {
        let mut room = edited_room();
        room.falls_back_to(4);
        room.check(1, &said("a").changed("d", Mark::Edited), None, 4);
        room.check(4, &edit(1, "d"), None, 4);
    }

    #[test]
    #[should_panic(expected = "of an earlier start")]
    fn epoch_that_does_not_rise_is_found() {
        let mut truth = Truth::new(&["lobby"]);
        truth.life = 1;
        truth.hears_epoch("1-x");
        truth.life = 2;
        truth.hears_epoch("1-x");
    }
}
