//! A place in the history of a room as clients name it. Clients only compare and return it.

use crate::id::Seq;
use std::fmt;
use std::str::FromStr;

/// In which start of the server an entry was numbered. `salt` is random: it tells two epochs of one
/// number apart, of which one was lost when an older copy of the store was restored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Epoch {
    /// From 1.
    pub number: u32,
    pub salt: u32,
}

impl Epoch {
    /// What any other string is taken for: the epoch of another server. No start has the number 0.
    pub const UNKNOWN: Self = Self { number: 0, salt: 0 };
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{:08x}", self.number, self.salt)
    }
}

impl FromStr for Epoch {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (number, salt) = text.split_once('-').ok_or(())?;
        let epoch = Self {
            number: number.parse().map_err(|_| ())?,
            salt: u32::from_str_radix(salt, 16).map_err(|_| ())?,
        };
        // Only as it is written here, so that equal epochs are equal strings.
        if epoch.to_string() == text {
            Ok(epoch)
        } else {
            Err(())
        }
    }
}

/// The last entry of a room that a client has, and the epoch of the room in which it has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    pub epoch: Epoch,
    pub seq: Seq,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn epoch_is_read_as_it_is_written() {
        for (number, salt) in [(1, 0), (7, 0x5f3a_9c01), (u32::MAX, u32::MAX)] {
            let epoch = Epoch { number, salt };
            assert_eq!(epoch.to_string().parse(), Ok(epoch));
        }
    }

    #[test]
    fn other_strings_are_no_epoch() {
        for text in [
            "",
            "7",
            "-",
            "7-",
            "07-00000000",
            "7-0",
            "7-0000000g",
            "7-0000000A",
            "+7-00000000",
            "7-+0000000",
            "4294967296-00000000",
        ] {
            assert_eq!(text.parse::<Epoch>(), Err(()), "{text}");
        }
    }
}
