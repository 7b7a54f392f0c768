//! What is said of members: differences as they are published, and the pages of the script `see`.
//! Owns the layout; knows no room. Nicks that no member can have are left out.
//!
//! A difference is a line `<server> <f><l>`, where f and l are 1 if all members follow and if all
//! are named with it, and then a line a nick: `+a` or `+g` and one that came, with the nick before
//! behind a tab, or `-` and one that left.

use super::resp::{List, Value};
use super::scripts::{Place, node_name, node_of};
use crate::chat::{Came, Moves, Nick};
use smol_str::SmolStr;

/// A difference as it is published.
pub fn encode(node: u64, moves: &Moves) -> Vec<u8> {
    let mut text = String::with_capacity(32 + 16 * (moves.came.len() + moves.left.len()));
    text.push_str(&node_name(node));
    text.push(' ');
    text.push(digit(moves.is_first));
    text.push(digit(moves.is_last));
    for came in &moves.came {
        text.push_str(if came.has_account { "\n+a" } else { "\n+g" });
        text.push_str(came.nick.as_str());
        if let Some(was) = &came.was {
            text.push('\t');
            text.push_str(was.as_str());
        }
    }
    for nick in &moves.left {
        text.push_str("\n-");
        text.push_str(nick.as_str());
    }
    text.into_bytes()
}

const fn digit(is: bool) -> char {
    if is { '1' } else { '0' }
}

/// The other way. `None`: it is none.
pub fn decode(message: &[u8]) -> Option<(u64, Moves)> {
    let mut lines = str::from_utf8(message).ok()?.split('\n');
    let (name, flags) = lines.next()?.split_once(' ')?;
    let node = node_of(name.as_bytes())?;
    let (first, last) = flags.split_at_checked(1)?;
    let mut moves = Moves {
        is_first: first == "1",
        is_last: last == "1",
        ..Moves::default()
    };
    for line in lines {
        if let Some(nick) = line.strip_prefix('-') {
            moves.left.extend(Nick::parse(nick));
        } else if let Some(came) = line.strip_prefix('+') {
            let (flag, nick) = came.split_at_checked(1)?;
            let (nick, was) = match nick.split_once('\t') {
                Some((nick, was)) => (nick, Nick::parse(was).ok()),
                None => (nick, None),
            };
            let nick = Nick::parse(nick).ok();
            moves.came.extend(nick.map(|nick| Came {
                nick,
                has_account: flag == "a",
                was,
            }));
        }
    }
    Some((node, moves))
}

/// A page of what is kept.
#[derive(Debug)]
pub(super) struct Page {
    /// Where to go on; `None`: that was all.
    pub(super) next: Option<Place>,
    /// Redis is a new process, or has lost its keys: servers may still tell of their members.
    pub(super) has_grace: bool,
    pub(super) members: Vec<(u64, Vec<Came>)>,
}

impl Page {
    pub(super) fn read(value: Value<'_>) -> Option<Self> {
        let mut list = value.list()?;
        let place = (word(list.next()?)?, word(list.next()?)?);
        let has_grace = list.next()?.text()? == b"1";
        let mut members = Vec::new();
        while let (Some(name), Some(pairs)) = (list.next(), list.next()) {
            let node = node_of(name.text()?)?;
            members.push((node, read_pairs(pairs.list()?)));
        }
        Some(Self {
            next: Some(place).filter(|(name, _)| !name.is_empty()),
            has_grace,
            members,
        })
    }
}

fn word(value: Value<'_>) -> Option<SmolStr> {
    str::from_utf8(value.text()?).ok().map(SmolStr::new)
}

fn read_pairs(mut pairs: List<'_>) -> Vec<Came> {
    let mut members = Vec::new();
    while let (Some(nick), Some(flag)) = (pairs.next(), pairs.next()) {
        let nick = nick.text().and_then(|nick| str::from_utf8(nick).ok());
        let nick = nick.and_then(|nick| Nick::parse(nick).ok());
        members.extend(nick.map(|nick| Came {
            nick,
            has_account: flag.text() == Some(b"a"),
            was: None,
        }));
    }
    members
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nick(name: &str) -> Nick {
        Nick::parse(name).expect("a nick")
    }

    #[test]
    fn difference_is_read_as_it_was_written() {
        let came = |name: &str, has_account, was: Option<&str>| Came {
            nick: nick(name),
            has_account,
            was: was.map(nick),
        };
        for (is_first, is_last) in [(false, false), (true, false), (false, true)] {
            let moves = Moves {
                is_first,
                is_last,
                came: vec![came("ann", true, None), came("zoë", false, Some("zo"))],
                left: vec![nick("zo"), nick("bob")],
            };
            let bytes = encode(0xab, &moves);
            assert_eq!(decode(&bytes), Some((0xab, moves)));
        }
        let none = encode(u64::MAX, &Moves::default());
        assert_eq!(decode(&none), Some((u64::MAX, Moves::default())));
    }

    #[test]
    fn what_is_no_difference_is_ignored() {
        for text in [
            "",
            "00000000000000ab",
            "ab 00",
            "00000000000000ab é",
            "00000000000000ab 00\n+",
        ] {
            assert_eq!(decode(text.as_bytes()), None, "{text}");
        }
        let odd = b"00000000000000ab 00\n+a\n-a b\n+g a b\n?x\n+gann";
        let (_, moves) = decode(odd).expect("a difference");
        assert_eq!((moves.came.len(), moves.left.len()), (1, 0));
    }
}
