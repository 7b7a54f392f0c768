//! What is said of members: differences as they are published, and members as they are kept.
//! Owns the layout; knows no room. Nicks that no member can have are left out.
//!
//! Behind its head a difference has a line a nick: `+`, a `flag` and one that came, with the nick
//! before behind a tab, or `-` and one that left.

use super::told::{Head, read_head};
use crate::chat::{Came, Moves, Nick, Standing};

/// What a member is, as a letter: of a guest `g`, of an account `a`; of operators they are capital.
pub(super) const fn flag(standing: Standing) -> &'static str {
    match (standing.has_account, standing.is_operator) {
        (false, false) => "g",
        (true, false) => "a",
        (false, true) => "G",
        (true, true) => "A",
    }
}

/// The other way. A letter that this version does not know is that of a guest.
fn standing(flag: &str) -> Standing {
    Standing {
        has_account: matches!(flag, "a" | "A"),
        is_operator: matches!(flag, "G" | "A"),
    }
}

/// A difference as it is published.
pub fn encode(node: u64, moves: &Moves) -> Vec<u8> {
    let head = Head {
        node,
        is_first: moves.is_first,
        is_last: moves.is_last,
    };
    let mut text = head.to_string();
    text.reserve(16 * (moves.came.len() + moves.left.len()));
    for came in &moves.came {
        text.push_str("\n+");
        text.push_str(flag(came.standing));
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

/// The other way. `None`: it is none.
pub fn decode(message: &[u8]) -> Option<(u64, Moves)> {
    let (head, lines) = read_head(message)?;
    let mut moves = Moves {
        is_first: head.is_first,
        is_last: head.is_last,
        ..Moves::default()
    };
    for line in lines {
        if let Some(nick) = line.strip_prefix('-') {
            moves.left.extend(Nick::parse(nick));
        } else if let Some(came) = line.strip_prefix('+') {
            let (letter, nick) = came.split_at_checked(1)?;
            let (nick, was) = match nick.split_once('\t') {
                Some((nick, was)) => (nick, Nick::parse(was).ok()),
                None => (nick, None),
            };
            let nick = Nick::parse(nick).ok();
            moves.came.extend(nick.map(|nick| Came {
                nick,
                standing: standing(letter),
                was,
            }));
        }
    }
    Some((head.node, moves))
}

/// A member of a page: its nick, and the flag.
pub(super) fn kept(nick: &str, flag: &str) -> Option<Came> {
    Some(Came {
        nick: Nick::parse(nick).ok()?,
        standing: standing(flag),
        was: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nick(name: &str) -> Nick {
        Nick::parse(name).expect("a nick")
    }

    #[test]
    fn difference_is_read_as_it_was_written() {
        let came = |name: &str, flag, was: Option<&str>| Came {
            nick: nick(name),
            standing: standing(flag),
            was: was.map(nick),
        };
        for (is_first, is_last) in [(false, false), (true, false), (false, true)] {
            let moves = Moves {
                is_first,
                is_last,
                came: vec![
                    came("ann", "a", None),
                    came("zoë", "g", Some("zo")),
                    came("op", "G", None),
                    came("oz", "A", None),
                ],
                left: vec![nick("zo"), nick("bob")],
            };
            let bytes = encode(0xab, &moves);
            assert_eq!(decode(&bytes), Some((0xab, moves)));
        }
        let none = encode(u64::MAX, &Moves::default());
        assert_eq!(decode(&none), Some((u64::MAX, Moves::default())));
    }

    #[test]
    fn each_standing_has_a_letter_of_its_own_and_other_letters_are_guests() {
        for (letter, has_account, is_operator) in [
            ("g", false, false),
            ("a", true, false),
            ("G", false, true),
            ("A", true, true),
        ] {
            let known = Standing {
                has_account,
                is_operator,
            };
            assert_eq!((flag(known), standing(letter)), (letter, known));
        }
        // Of a later version.
        let of = |letter| kept("ann", letter).map(|came| came.standing);
        assert_eq!(
            (of("m"), of("")),
            (Some(Standing::default()), Some(Standing::default()))
        );
        let (_, moves) = decode(b"00000000000000ab 00\n+mann").expect("a difference");
        assert_eq!(moves.came[0].standing, Standing::default());
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
