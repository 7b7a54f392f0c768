//! What is said of the rooms in which servers have members: differences as they are published, and
//! counts as they are kept. Owns the layout. Names that no room can have are left out.
//!
//! Behind its head a difference has a line a room: how many members, a space, and the name.

use super::told::{Head, read_head};
use crate::chat::{Counts, RoomName};
use smol_str::SmolStr;
use std::fmt::Write;

/// A difference as it is published.
pub fn encode(node: u64, counts: &Counts) -> Vec<u8> {
    let head = Head {
        node,
        is_first: counts.is_first,
        is_last: counts.is_last,
    };
    let mut text = head.to_string();
    text.reserve(16 * counts.rooms.len());
    for (name, count) in &counts.rooms {
        // A String takes it.
        let _ = write!(text, "\n{count} {name}");
    }
    text.into_bytes()
}

/// The other way. `None`: it is none.
pub fn decode(message: &[u8]) -> Option<(u64, Counts)> {
    let (head, lines) = read_head(message)?;
    let rooms = lines.filter_map(|line| {
        let (count, name) = line.split_once(' ')?;
        kept(name, count)
    });
    let counts = Counts {
        is_first: head.is_first,
        is_last: head.is_last,
        rooms: rooms.collect(),
    };
    Some((head.node, counts))
}

/// A room of a page: its name, and how many members.
pub(super) fn kept(name: &str, count: &str) -> Option<(SmolStr, u32)> {
    RoomName::parse(name).ok()?;
    Some((name.into(), count.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn difference_is_read_as_it_was_written() {
        for (is_first, is_last) in [(false, false), (true, false), (false, true)] {
            let counts = Counts {
                is_first,
                is_last,
                rooms: vec![("den".into(), 7), ("bücher".into(), 0)],
            };
            let bytes = encode(0xab, &counts);
            assert_eq!(decode(&bytes), Some((0xab, counts)));
        }
        let none = encode(u64::MAX, &Counts::default());
        assert_eq!(decode(&none), Some((u64::MAX, Counts::default())));
    }

    #[test]
    fn what_is_no_difference_or_no_room_is_ignored() {
        for text in ["", "00000000000000ab", "ab 00", "00000000000000ab é"] {
            assert_eq!(decode(text.as_bytes()), None, "{text}");
        }
        let odd = b"00000000000000ab 00\n7\n7 \n-1 den\n4294967296 den\n7 a/b\n7 attic";
        let (_, counts) = decode(odd).expect("a difference");
        assert_eq!(counts.rooms, [("attic".into(), 7)]);
    }
}
