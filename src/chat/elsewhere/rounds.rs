//! Which servers have a thing, and in which round each has named it last: what a server has not named
//! by the end of a round is stale, and is removed in slices. Knows no nick and no room.

use std::collections::BTreeMap;
use std::ops::Bound;

/// A server that has a thing, the round in which it named it last, and what it says of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place<T> {
    pub(super) node: u64,
    round: u32,
    pub(super) what: T,
}

/// The servers that have a thing: one at least.
#[derive(Debug)]
pub(super) struct Places<T> {
    first: Place<T>,
    others: Vec<Place<T>>,
}

impl<T: Copy> Places<T> {
    pub(super) const fn new(first: Place<T>) -> Self {
        let others = Vec::new();
        Self { first, others }
    }

    pub(super) const fn any(&self) -> &Place<T> {
        &self.first
    }

    pub(super) fn each(&self) -> impl Iterator<Item = &Place<T>> {
        std::iter::once(&self.first).chain(&self.others)
    }

    pub(super) fn note(&mut self, place: Place<T>) {
        let known = std::iter::once(&mut self.first).chain(&mut self.others);
        match known.into_iter().find(|known| known.node == place.node) {
            Some(known) => *known = place,
            None => self.others.push(place),
        }
    }

    /// False: no server is left that has it.
    pub(super) fn retain(&mut self, keeps: impl Fn(&Place<T>) -> bool) -> bool {
        self.others.retain(&keeps);
        if keeps(&self.first) {
            return true;
        }
        match self.others.pop() {
            Some(other) => {
                self.first = other;
                true
            }
            None => false,
        }
    }

    /// A server has it no more. False: no server is left that has it.
    pub(super) fn remove(&mut self, node: u64) -> bool {
        self.retain(|place| place.node != node)
    }
}

/// How far a server has got in naming what it has.
#[derive(Clone, Copy, Debug, Default)]
struct Told {
    round: u32,
    /// It names all, and has not come to the end.
    is_telling: bool,
}

/// The servers that have named something.
#[derive(Debug, Default)]
pub(super) struct Rounds {
    nodes: BTreeMap<u64, Told>,
}

impl Rounds {
    /// A server has named a thing.
    pub(super) fn place<T>(&mut self, node: u64, what: T) -> Place<T> {
        let round = self.nodes.entry(node).or_default().round;
        Place { node, round, what }
    }

    /// A server names all that it has from here on.
    pub(super) fn begins(&mut self, node: u64) {
        let told = self.nodes.entry(node).or_default();
        told.round = told.round.wrapping_add(1);
        told.is_telling = true;
    }

    /// It has named all.
    pub(super) fn ends(&mut self, node: u64) {
        self.nodes.entry(node).or_default().is_telling = false;
    }

    /// What is kept of all servers follows.
    pub(super) fn all_begins(&mut self) {
        for told in self.nodes.values_mut() {
            told.round = told.round.wrapping_add(1);
            told.is_telling = false;
        }
    }

    /// A server is dead: all that it has named is stale. False: it has named nothing.
    pub(super) fn dies(&mut self, node: u64) -> bool {
        let Some(told) = self.nodes.get_mut(&node) else {
            return false;
        };
        told.round = told.round.wrapping_add(1);
        told.is_telling = false;
        true
    }

    /// Whether the server has named it in the present round, or may still name it.
    pub(super) fn is_fresh<T>(&self, place: &Place<T>) -> bool {
        let told = self.nodes.get(&place.node).copied().unwrap_or_default();
        told.is_telling || told.round == place.round
    }
}

/// Looks at the next `count` things behind a key. Returns those that are not kept, and where to go on.
pub(super) fn sweep<K: Ord + Clone, V>(
    things: &mut BTreeMap<K, V>,
    after: Option<&K>,
    count: usize,
    keeps: impl Fn(&mut V) -> bool,
) -> (Vec<K>, Option<K>) {
    let first = after.map_or(Bound::Unbounded, Bound::Excluded);
    let mut stale = Vec::new();
    let (mut looked, mut last) = (0, None);
    for (key, thing) in things.range_mut::<K, _>((first, Bound::Unbounded)) {
        if looked == count {
            break;
        }
        looked += 1;
        last = Some(key);
        if !keeps(thing) {
            stale.push(key.clone());
        }
    }
    let next = last.filter(|_| looked == count).cloned();
    (stale, next)
}
