//! What the scripts answer and publish, taken apart. Owns no state; knows no room.

use super::resp::{List, Value, number};
use crate::id::{Millis, Seq};
use crate::log::EpochInfo;

/// From `first` on, entries were numbered in an epoch, until the next one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Turn {
    pub(super) epoch: EpochInfo,
    pub(super) first: Seq,
}

/// What is kept of a room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct State {
    pub(super) head: Seq,
    pub(super) at: Millis,
    pub(super) oldest: Seq,
    /// The newest last; at least one.
    pub(super) turns: Vec<Turn>,
}

impl State {
    /// The answer of the script `open`.
    pub(super) fn read(value: Value<'_>) -> Option<Self> {
        let mut list = value.list()?;
        Some(Self {
            head: seq(list.next()?)?,
            at: Millis(list.next()?.number()?),
            oldest: seq(list.next()?)?,
            turns: read_turns(list.next()?.text()?)?,
        })
    }

    /// What is published when an epoch begins: `N<head> <oldest> <epochs>`.
    pub(super) fn published(message: &[u8]) -> Option<Self> {
        let message = message.strip_prefix(b"N")?;
        let (head, rest) = word(message)?;
        let (oldest, turns) = word(rest)?;
        Some(Self {
            head: to_seq(number(head)?)?,
            at: Millis(0),
            oldest: to_seq(number(oldest)?)?,
            turns: read_turns(turns)?,
        })
    }
}

/// An entry that was published: `E<epoch> <number> <time> <entry>`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Published<'a> {
    pub(super) epoch: EpochInfo,
    pub(super) seq: Seq,
    pub(super) at: Millis,
    pub(super) entry: &'a [u8],
}

impl<'a> Published<'a> {
    pub(super) fn read(message: &'a [u8]) -> Option<Self> {
        let message = message.strip_prefix(b"E")?;
        let (epoch, rest) = word(message)?;
        let (seq, rest) = word(rest)?;
        let (at, entry) = timed(rest)?;
        Some(Self {
            epoch: read_epoch(epoch)?,
            seq: to_seq(number(seq)?)?,
            at,
            entry,
        })
    }
}

/// An entry as it is kept, behind its time.
pub(super) fn timed(bytes: &[u8]) -> Option<(Millis, &[u8])> {
    let (at, entry) = word(bytes)?;
    Some((Millis(number(at)?), entry))
}

/// The answer of the script `say`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Said {
    /// The current one.
    pub(super) epoch: EpochInfo,
    pub(super) seq: Seq,
    pub(super) at: Millis,
    pub(super) is_duplicate: bool,
}

impl Said {
    pub(super) fn read(value: Value<'_>) -> Option<Self> {
        let mut list = value.list()?;
        Some(Self {
            epoch: read_epoch(list.next()?.text()?)?,
            seq: seq(list.next()?)?,
            at: Millis(list.next()?.number()?),
            is_duplicate: list.next()?.number()? == 1,
        })
    }
}

/// The answer of the script `page`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Found<'a> {
    pub(super) epoch: EpochInfo,
    pub(super) head: Seq,
    pub(super) oldest: Seq,
    pub(super) entries: Entries<'a>,
}

impl<'a> Found<'a> {
    /// `None` as the epoch: the room is not there any more.
    pub(super) fn read(value: Value<'a>) -> Option<Option<Self>> {
        let mut list = value.list()?;
        let epoch = list.next()?.text()?;
        if epoch.is_empty() {
            return Some(None);
        }
        Some(Some(Self {
            epoch: read_epoch(epoch)?,
            head: seq(list.next()?)?,
            oldest: seq(list.next()?)?,
            entries: Entries(list),
        }))
    }
}

/// The entries of a page: each with its number, the entry, and what changed it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entries<'a>(List<'a>);

impl<'a> Iterator for Entries<'a> {
    type Item = (Seq, &'a [u8], &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let seq = seq(self.0.next()?)?;
        Some((seq, self.0.next()?.text()?, self.0.next()?.text()?))
    }
}

/// One element of the answer of the script `tops`. `None`: the room is not there any more.
pub(super) fn read_top(text: &[u8]) -> Option<(EpochInfo, Seq)> {
    let (epoch, head) = word(text)?;
    Some((read_epoch(epoch)?, to_seq(number(head)?)?))
}

/// That a conversation has an entry more: `<number> <name>`.
pub(super) fn read_hint(text: &[u8]) -> Option<(Seq, smol_str::SmolStr)> {
    let (seq, name) = word(text)?;
    Some((to_seq(number(seq)?)?, str::from_utf8(name).ok()?.into()))
}

/// An epoch as scripts name it: `1795676645-0a1b2c3d`.
fn read_epoch(text: &[u8]) -> Option<EpochInfo> {
    let dash = text.iter().position(|byte| *byte == b'-')?;
    let salt = str::from_utf8(&text[dash + 1..]).ok()?;
    Some(EpochInfo {
        epoch: number(&text[..dash])?.try_into().ok()?,
        salt: u32::from_str_radix(salt, 16).ok()?,
    })
}

/// The other way.
pub(super) fn written(epoch: EpochInfo) -> smol_str::SmolStr {
    smol_str::format_smolstr!("{}-{:08x}", epoch.epoch, epoch.salt)
}

fn read_turns(text: &[u8]) -> Option<Vec<Turn>> {
    let read = |word: &[u8]| {
        let dash = word.iter().rposition(|byte| *byte == b'-')?;
        Some(Turn {
            epoch: read_epoch(&word[..dash])?,
            first: to_seq(number(&word[dash + 1..])?)?,
        })
    };
    text.split(|byte| *byte == b' ').map(read).collect()
}

fn word(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let space = text.iter().position(|byte| *byte == b' ')?;
    Some((&text[..space], &text[space + 1..]))
}

fn seq(value: Value<'_>) -> Option<Seq> {
    to_seq(value.number()?)
}

fn to_seq(number: u64) -> Option<Seq> {
    u32::try_from(number).ok().map(Seq)
}
