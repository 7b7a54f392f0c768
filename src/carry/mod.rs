//! The state of a running server as bytes, which another image of the program takes over in the
//! same process (`docs/upgrade.md`). Owns the format and how each kind of value is written and read;
//! knows no table. `carried!` names the fields of a type once, for both directions, and a table
//! has one function for both ([`Carrier`]).
//!
//! # What is carried, and what is not
//!
//! The image that saves has settled before ([`crate::server`]): the store has committed and answered
//! all that it was asked, so no request, acknowledgement, change, letter, errand or password is
//! under way. Those tables are empty and not carried.
//!
//! | table | carried | why |
//! |-------|---------|-----|
//! | connections | slot, generation, descriptor, state, outbox, source | ids are in tokens and logs, and bytes on their way must go on where they stopped |
//! | open messages | the raw bytes | a tungstenite context cannot be taken apart: the bytes are replayed into a new one |
//! | outboxes | frames, each shared one once | 1,000 slow readers of one room hold the same frames |
//! | wheel | no | every deadline follows from a state and the lengths of the settings |
//! | addresses, names of rooms, counts | no | they follow from the connections, users and rooms |
//! | chat | users, nicks, rooms, live members, guests in conversations, budgets | nothing else has them |
//! | registry, audit log | without a store alone | the store has every change |
//! | rooms of the log | ids, heads, eras | other tables name rooms by these ids |
//! | tail | all of it | `edit my last message`, conversations of guests, and rooms without a store are nowhere else |
//! | pages, encoded blocks | no | they are read and encoded again when a member asks |
//! | members behind | cursors | their entries come from the log again |
//! | keys of messages | the recent ones, and which sessions came back | a message that is sent again must be known |
//! | sessions, seats, terms, guesses, pauses | yes | nothing else has them |
//! | counters | yes | a monitor would see them fall |
//! | settings, operators, words, pages | no | they are read again from where they were |
//!
//! # Format
//!
//! `magic` (8 bytes), version (u32), the length of the body (u64), its checksum (u64), the body;
//! integers are little-endian. A list begins with its length, an enum with a number of its variant.
//! An image with version N reads N−1 and N and refuses others. The checksum finds accidents, not
//! attacks: the bytes go from one image to the next in memory that no other process has.

mod format;
mod values;

pub use format::{OLDEST, VERSION, open, seal};

use std::collections::HashMap;
use std::fmt;
use std::rc::Rc;

/// The bytes are no state, or contradict themselves; what is wrong with them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Damaged(pub &'static str);

impl fmt::Display for Damaged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for Damaged {}

/// A value that is written and read in the same form.
pub trait Carry: Sized {
    fn write(&self, to: &mut Writer);

    /// # Errors
    /// The bytes are not those of such a value.
    fn read(from: &mut Reader<'_>) -> Result<Self, Damaged>;

    /// Several, without their number.
    fn write_all(items: &[Self], to: &mut Writer) {
        for item in items {
            item.write(to);
        }
    }

    /// # Errors
    /// The bytes are not those of so many values.
    fn read_all(count: usize, from: &mut Reader<'_>) -> Result<Vec<Self>, Damaged> {
        // Grows with what is read: a length alone allocates nothing.
        let mut items = Vec::new();
        for _ in 0..count {
            items.push(Self::read(from)?);
        }
        Ok(items)
    }
}

/// Where values are written to.
#[derive(Debug, Default)]
pub struct Writer {
    bytes: Vec<u8>,
    /// The number of each shared piece that was written, by its address.
    shared: HashMap<usize, u32>,
}

impl Writer {
    pub fn put(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// The number of items of a list.
    pub fn length(&mut self, count: usize) {
        u32::try_from(count)
            .expect("a list has fewer items than the memory has bytes")
            .write(self);
    }

    /// Bytes that several values share: the first time with their number, later the number alone.
    pub fn put_shared(&mut self, piece: &Rc<[u8]>) {
        let number = self.shared.len() as u32;
        let address = Rc::as_ptr(piece).addr();
        match self.shared.get(&address).copied() {
            Some(known) => known.write(self),
            None => {
                self.shared.insert(address, number);
                number.write(self);
                self.length(piece.len());
                self.put(piece);
            }
        }
    }

    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}

/// Where values are read from.
#[derive(Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
    version: u32,
    shared: Vec<Rc<[u8]>>,
}

const ENDS_EARLY: Damaged = Damaged("the state ends early");

impl<'a> Reader<'a> {
    /// `version`: in which the bytes were written.
    pub const fn new(bytes: &'a [u8], version: u32) -> Self {
        Self {
            rest: bytes,
            version,
            shared: Vec::new(),
        }
    }

    /// In which version the bytes were written, for values that have changed since.
    pub const fn version(&self) -> u32 {
        self.version
    }

    /// # Errors
    /// There are not so many bytes.
    pub fn take(&mut self, count: usize) -> Result<&'a [u8], Damaged> {
        let (taken, rest) = self.rest.split_at_checked(count).ok_or(ENDS_EARLY)?;
        self.rest = rest;
        Ok(taken)
    }

    /// The number of items of a list, each of which takes a byte at least.
    ///
    /// # Errors
    /// There are not so many bytes.
    pub fn length(&mut self) -> Result<usize, Damaged> {
        let count = u32::read(self)? as usize;
        if count > self.rest.len() {
            return Err(ENDS_EARLY);
        }
        Ok(count)
    }

    /// # Errors
    /// The number is none of a piece.
    pub fn take_shared(&mut self) -> Result<Rc<[u8]>, Damaged> {
        let number = u32::read(self)? as usize;
        if let Some(known) = self.shared.get(number) {
            return Ok(Rc::clone(known));
        }
        if number != self.shared.len() {
            return Err(Damaged("a frame is named that was not carried"));
        }
        let length = self.length()?;
        let piece: Rc<[u8]> = Rc::from(self.take(length)?);
        self.shared.push(Rc::clone(&piece));
        Ok(piece)
    }

    /// # Errors
    /// More bytes follow.
    pub const fn end(&self) -> Result<(), Damaged> {
        if self.rest.is_empty() {
            Ok(())
        } else {
            Err(Damaged("the state goes on behind its end"))
        }
    }
}

/// One of the two directions, for tables of which settings or the system's parts stay where they are.
#[derive(Debug)]
pub enum Carrier<'a> {
    Writer(Writer),
    Reader(Reader<'a>),
}

impl Carrier<'_> {
    /// Writes a field, or replaces it by what is read.
    ///
    /// # Errors
    /// The bytes are not those of such a value.
    pub fn field<T: Carry>(&mut self, value: &mut T) -> Result<(), Damaged> {
        match self {
            Self::Writer(to) => value.write(to),
            Self::Reader(from) => *value = T::read(from)?,
        }
        Ok(())
    }

    /// Whether fields are replaced.
    pub const fn is_reading(&self) -> bool {
        matches!(self, Self::Reader(_))
    }
}

/// Writes and reads a type by one list of its fields: `carried!(struct Name { a, b })`,
/// `carried!(struct Name(a))` or `carried!(enum Name { 0 = A, 1 = B(x), 2 = C { y } })`. The numbers
/// of variants stay for good; a field that is not listed does not compile.
macro_rules! carried {
    (struct $name:ident { $($field:ident),* $(,)? }) => {
        impl $crate::carry::Carry for $name {
            fn write(&self, to: &mut $crate::carry::Writer) {
                let Self { $($field),* } = self;
                $($crate::carry::Carry::write($field, to);)*
            }

            fn read(
                from: &mut $crate::carry::Reader<'_>,
            ) -> Result<Self, $crate::carry::Damaged> {
                Ok(Self { $($field: $crate::carry::Carry::read(from)?),* })
            }
        }
    };
    (struct $name:ident ($($field:ident),* $(,)?)) => {
        impl $crate::carry::Carry for $name {
            fn write(&self, to: &mut $crate::carry::Writer) {
                let Self($($field),*) = self;
                $($crate::carry::Carry::write($field, to);)*
            }

            fn read(
                from: &mut $crate::carry::Reader<'_>,
            ) -> Result<Self, $crate::carry::Damaged> {
                $(let $field = $crate::carry::Carry::read(from)?;)*
                Ok(Self($($field),*))
            }
        }
    };
    (enum $name:ident { $($number:literal = $variant:ident
        $({ $($field:ident),* $(,)? })? $(( $($item:ident),* ))?),* $(,)? }) => {
        impl $crate::carry::Carry for $name {
            fn write(&self, to: &mut $crate::carry::Writer) {
                match self {
                    $(Self::$variant $({ $($field),* })? $(( $($item),* ))? => {
                        let number: u8 = $number;
                        $crate::carry::Carry::write(&number, to);
                        $($($crate::carry::Carry::write($field, to);)*)?
                        $($($crate::carry::Carry::write($item, to);)*)?
                    })*
                }
            }

            fn read(
                from: &mut $crate::carry::Reader<'_>,
            ) -> Result<Self, $crate::carry::Damaged> {
                let number: u8 = $crate::carry::Carry::read(from)?;
                match number {
                    $($number => {
                        $($(let $field = $crate::carry::Carry::read(from)?;)*)?
                        $($(let $item = $crate::carry::Carry::read(from)?;)*)?
                        Ok(Self::$variant $({ $($field),* })? $(( $($item),* ))?)
                    })*
                    _ => Err($crate::carry::Damaged(concat!(
                        "no ", stringify!($name), " has such a number"
                    ))),
                }
            }
        }
    };
}

pub(crate) use carried;

#[cfg(test)]
mod tests;
