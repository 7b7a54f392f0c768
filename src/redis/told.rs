//! What servers tell of themselves, whether members of a room or their rooms: the head of each
//! difference, and the pages of the script `see`. Knows nothing of what is told.

use super::resp::{List, Value};
use super::scripts::{Place, node_name, node_of};
use smol_str::SmolStr;
use std::fmt;

/// The first line of a difference: `<server> <f><l>`, where f and l are 1 if all follows and if all
/// is named with it.
pub(super) struct Head {
    pub(super) node: u64,
    pub(super) is_first: bool,
    pub(super) is_last: bool,
}

impl fmt::Display for Head {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [first, last] = [self.is_first, self.is_last].map(u8::from);
        write!(f, "{} {first}{last}", node_name(self.node))
    }
}

/// The other way, and the lines behind it. `None`: it is none.
pub(super) fn read_head(message: &[u8]) -> Option<(Head, impl Iterator<Item = &str>)> {
    let mut lines = str::from_utf8(message).ok()?.split('\n');
    let (name, flags) = lines.next()?.split_once(' ')?;
    let (first, last) = flags.split_at_checked(1)?;
    let head = Head {
        node: node_of(name.as_bytes())?,
        is_first: first == "1",
        is_last: last == "1",
    };
    Some((head, lines))
}

/// A page of what is kept.
#[derive(Debug)]
pub(super) struct Page<T> {
    /// Where to go on; `None`: that was all.
    pub(super) next: Option<Place>,
    /// Redis is a new process, or has lost its keys: servers may still tell of themselves.
    pub(super) has_grace: bool,
    pub(super) told: Vec<(u64, Vec<T>)>,
}

impl<T> Page<T> {
    /// `read` makes one of a name and its value, or leaves it out.
    pub(super) fn read(value: Value<'_>, read: impl Fn(&str, &str) -> Option<T>) -> Option<Self> {
        let mut list = value.list()?;
        let place = (word(list.next()?)?, word(list.next()?)?);
        let has_grace = list.next()?.text()? == b"1";
        let mut told = Vec::new();
        while let (Some(name), Some(pairs)) = (list.next(), list.next()) {
            let node = node_of(name.text()?)?;
            told.push((node, read_pairs(pairs.list()?, &read)));
        }
        Some(Self {
            next: Some(place).filter(|(name, _)| !name.is_empty()),
            has_grace,
            told,
        })
    }
}

fn word(value: Value<'_>) -> Option<SmolStr> {
    str::from_utf8(value.text()?).ok().map(SmolStr::new)
}

fn read_pairs<T>(mut pairs: List<'_>, read: impl Fn(&str, &str) -> Option<T>) -> Vec<T> {
    let mut all = Vec::new();
    while let (Some(name), Some(value)) = (pairs.next(), pairs.next()) {
        let texts = [name, value].map(|value| str::from_utf8(value.text()?).ok());
        if let [Some(name), Some(value)] = texts {
            all.extend(read(name, value));
        }
    }
    all
}
