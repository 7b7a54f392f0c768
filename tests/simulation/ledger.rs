//! What a room said, in order, as its witness heard it: the one list that everybody's own hearing
//! is compared with. Knows lines, not who heard them.

use std::collections::{HashMap, HashSet};

/// A room's lines, and what can be said of them alone.
#[derive(Default)]
pub(crate) struct Ledger {
    lines: Vec<String>,
    /// Every line before this one is known to come before what the server reads next.
    pub(crate) cursor: usize,
    /// Nicks whose leaving was told.
    gone: HashSet<String>,
    /// By who speaks: their last number.
    last_said: HashMap<usize, u32>,
    /// Comings and goings that were told, by name or summed up.
    pub(crate) joined: u64,
    pub(crate) left: u64,
}

/// What somebody said or did, as the room heard it.
pub(crate) struct Said<'a> {
    pub(crate) nick: &'a str,
    pub(crate) socket: usize,
    pub(crate) number: u32,
}

/// Understands "nick: says 3 17 …" and "** nick says 3 17 …".
pub(crate) fn said(line: &str) -> Option<Said<'_>> {
    let (nick, words) = match line.strip_prefix("** ") {
        Some(line) => line.split_once(' ')?,
        None => line.split_once(": ")?,
    };
    let words = words.strip_prefix('/').unwrap_or(words);
    let mut words = words.strip_prefix("says ")?.split(' ');
    Some(Said {
        nick,
        socket: words.next()?.parse().ok()?,
        number: words.next()?.parse().ok()?,
    })
}

impl Ledger {
    pub(crate) fn lines(&self) -> &[String] {
        &self.lines
    }

    pub(crate) fn len(&self) -> usize {
        self.lines.len()
    }

    /// A line was told to the whole room. Panics if it cannot be, after all that was told before.
    pub(crate) fn hears(&mut self, line: &str) {
        if let Some(said) = said(line) {
            let last = self.last_said.entry(said.socket).or_insert(0);
            assert!(
                *last < said.number,
                "{line:?} came after number {last} of the same sender"
            );
            *last = said.number;
        }
        let words: Vec<&str> = line
            .strip_prefix("* ")
            .map_or_else(Vec::new, |line| line.splitn(4, ' ').collect());
        match words[..] {
            [nick, "joined"] if nick.parse::<u64>().is_err() => {
                self.gone.remove(nick);
                self.joined += 1;
            }
            [nick, "left"] | [nick, "left", ..] if nick.parse::<u64>().is_err() => {
                self.leaves(nick, line);
            }
            [nick, "was", "kicked", ..] => self.leaves(nick, line),
            [count, "joined"] => self.joined += number(count),
            [count, "left"] => self.left += number(count),
            [joined, "joined,", left, "left"] => {
                self.joined += number(joined);
                self.left += number(left);
            }
            [old, "is", "now", known] => {
                self.is_there(old, line);
                self.gone.insert(old.to_owned());
                self.gone.remove(known.trim_start_matches("known as "));
            }
            [nick, ..] => self.is_there(nick, line),
            [] => {
                if let Some((nick, _)) = line.split_once(": ") {
                    self.is_there(nick, line);
                }
            }
        }
        self.lines.push(line.to_owned());
    }

    fn leaves(&mut self, nick: &str, line: &str) {
        self.is_there(nick, line);
        self.gone.insert(nick.to_owned());
        self.left += 1;
    }

    /// Made-up nicks may come again after a while, and summed up.
    fn is_there(&self, nick: &str, line: &str) {
        assert!(
            nick.starts_with("guest-") || !self.gone.contains(nick),
            "{line:?} was heard after {nick} had gone"
        );
    }

    /// The first line, from the cursor on, that fits.
    pub(crate) fn find(&self, fits: impl Fn(&str) -> bool) -> Option<usize> {
        let found = self.lines[self.cursor..].iter().position(|line| fits(line));
        found.map(|index| self.cursor + index)
    }
}

fn number(text: &str) -> u64 {
    text.parse().expect("a sum is a number")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comings_and_goings_are_counted_singly_and_in_sums() {
        let mut ledger = Ledger::default();
        for line in [
            "* ann joined",
            "* 3 joined",
            "* 2 left",
            "* 4 joined, 1 left",
            "* ann left (bye)",
        ] {
            ledger.hears(line);
        }
        assert_eq!((ledger.joined, ledger.left), (8, 4));
    }

    #[test]
    #[should_panic(expected = "was heard after ann had gone")]
    fn two_notices_of_one_leaving_are_one_too_many() {
        let mut ledger = Ledger::default();
        ledger.hears("* ann left");
        ledger.hears("* ann left");
    }

    #[test]
    #[should_panic(expected = "after number 2 of the same sender")]
    fn a_message_that_comes_twice_is_found() {
        let mut ledger = Ledger::default();
        ledger.hears("ann: says 1 2 .");
        ledger.hears("** ann says 1 2 .");
    }
}
