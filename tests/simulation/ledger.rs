//! The lines of a room, in order, as its witness received them. The lines that each other member
//! receives are compared with this list. Knows lines, not their receivers.

use std::collections::{HashMap, HashSet};

/// A room's lines, and what can be checked with them alone.
#[derive(Default)]
pub(crate) struct Ledger {
    lines: Vec<String>,
    /// What the server reads next can lead only to lines from this one on.
    pub(crate) cursor: usize,
    /// Nicks whose leaving was reported.
    gone: HashSet<String>,
    /// The number of the last message, by the sender's socket.
    last_said: HashMap<usize, u32>,
    /// Members whose joining or leaving was reported, by name or in a sum.
    pub(crate) joined: u64,
    pub(crate) left: u64,
}

/// A message or an action, as the room received it.
pub(crate) struct Said<'a> {
    pub(crate) nick: &'a str,
    pub(crate) socket: usize,
    pub(crate) number: u32,
}

/// Parses "nick: says 3 17 …" and "** nick says 3 17 …".
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

    /// Adds a line that the whole room received. Panics if it contradicts the lines before it.
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

    /// A member that has left comes again with the same nick, which may be reported in a sum.
    pub(crate) fn may_come_again(&mut self, nick: &str) {
        self.gone.remove(nick);
    }

    fn leaves(&mut self, nick: &str, line: &str) {
        self.is_there(nick, line);
        self.gone.insert(nick.to_owned());
        self.left += 1;
    }

    /// Panics if the member is known to have left. A nick that the server made up may be given
    /// again, and the new member's joining may be in a sum.
    fn is_there(&self, nick: &str, line: &str) {
        assert!(
            nick.starts_with("guest-") || !self.gone.contains(nick),
            "{line:?} was received after {nick} had left"
        );
    }

    /// The index of the first line from the cursor on that fits.
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
    fn joins_and_leaves_are_counted_by_name_and_in_sums() {
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
    #[should_panic(expected = "was received after ann had left")]
    fn second_notice_of_one_leaving_is_found() {
        let mut ledger = Ledger::default();
        ledger.hears("* ann left");
        ledger.hears("* ann left");
    }

    #[test]
    #[should_panic(expected = "after number 2 of the same sender")]
    fn message_that_is_delivered_twice_is_found() {
        let mut ledger = Ledger::default();
        ledger.hears("ann: says 1 2 .");
        ledger.hears("** ann says 1 2 .");
    }
}
