//! How values of the standard library are written and read: numbers, texts, lists, maps.

use super::{Carry, Damaged, Reader, Writer};
use smol_str::SmolStr;
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::hash::Hash;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::num::NonZeroU32;

macro_rules! number {
    ($($name:ty),*) => {$(
        impl Carry for $name {
            fn write(&self, to: &mut Writer) {
                to.put(&self.to_le_bytes());
            }

            fn read(from: &mut Reader<'_>) -> Result<Self, Damaged> {
                let bytes = from.take(size_of::<Self>())?;
                let bytes = bytes.try_into().map_err(|_| Damaged("a number is cut"))?;
                Ok(Self::from_le_bytes(bytes))
            }
        }
    )*};
}

number!(u16, u32, u64, u128);

impl Carry for u8 {
    fn write(&self, to: &mut Writer) {
        to.put(&[*self]);
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, Damaged> {
        Ok(from.take(1)?[0])
    }

    fn write_all(items: &[Self], to: &mut Writer) {
        to.put(items);
    }

    fn read_all(count: usize, from: &mut Reader<'_>) -> Result<Vec<Self>, Damaged> {
        Ok(from.take(count)?.to_vec())
    }
}

/// A count of things in memory.
impl Carry for usize {
    fn write(&self, to: &mut Writer) {
        (*self as u64).write(to);
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, Damaged> {
        Self::try_from(u64::read(from)?).map_err(|_| Damaged("a number is too large"))
    }
}

impl Carry for bool {
    fn write(&self, to: &mut Writer) {
        u8::from(*self).write(to);
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, Damaged> {
        match u8::read(from)? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(Damaged("a yes or no is neither")),
        }
    }
}

impl Carry for char {
    fn write(&self, to: &mut Writer) {
        u32::from(*self).write(to);
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, Damaged> {
        Self::from_u32(u32::read(from)?).ok_or(Damaged("a number is no character"))
    }
}

impl Carry for NonZeroU32 {
    fn write(&self, to: &mut Writer) {
        self.get().write(to);
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, Damaged> {
        Self::new(u32::read(from)?).ok_or(Damaged("a number is 0 that must not be"))
    }
}

impl Carry for String {
    fn write(&self, to: &mut Writer) {
        to.length(self.len());
        to.put(self.as_bytes());
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, Damaged> {
        Ok(text(from)?.to_owned())
    }
}

impl Carry for SmolStr {
    fn write(&self, to: &mut Writer) {
        to.length(self.len());
        to.put(self.as_bytes());
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, Damaged> {
        Ok(Self::new(text(from)?))
    }
}

fn text<'a>(from: &mut Reader<'a>) -> Result<&'a str, Damaged> {
    let length = from.length()?;
    std::str::from_utf8(from.take(length)?).map_err(|_| Damaged("a text is not UTF-8"))
}

impl<T: Carry> Carry for Option<T> {
    fn write(&self, to: &mut Writer) {
        self.is_some().write(to);
        if let Some(value) = self {
            value.write(to);
        }
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, Damaged> {
        bool::read(from)?.then(|| T::read(from)).transpose()
    }
}

impl<T: Carry> Carry for Box<T> {
    fn write(&self, to: &mut Writer) {
        (**self).write(to);
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, Damaged> {
        T::read(from).map(Self::new)
    }
}

impl<T: Carry> Carry for Vec<T> {
    fn write(&self, to: &mut Writer) {
        to.length(self.len());
        T::write_all(self, to);
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, Damaged> {
        let count = from.length()?;
        T::read_all(count, from)
    }
}

impl<T: Carry> Carry for VecDeque<T> {
    fn write(&self, to: &mut Writer) {
        to.length(self.len());
        let (front, back) = self.as_slices();
        T::write_all(front, to);
        T::write_all(back, to);
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, Damaged> {
        Vec::read(from).map(Self::from)
    }
}

impl<T: Carry, const N: usize> Carry for [T; N] {
    fn write(&self, to: &mut Writer) {
        T::write_all(self, to);
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, Damaged> {
        let items = T::read_all(N, from)?;
        Self::try_from(items).map_err(|_| Damaged("a list has another length"))
    }
}

macro_rules! map {
    ($($name:ident: $($bound:ident)+),*) => {$(
        impl<K: Carry $(+ $bound)+, V: Carry> Carry for $name<K, V> {
            fn write(&self, to: &mut Writer) {
                to.length(self.len());
                for (key, value) in self {
                    key.write(to);
                    value.write(to);
                }
            }

            fn read(from: &mut Reader<'_>) -> Result<Self, Damaged> {
                let mut map = Self::new();
                for _ in 0..from.length()? {
                    let (key, value) = Carry::read(from)?;
                    if map.insert(key, value).is_some() {
                        return Err(Damaged("a key is there twice"));
                    }
                }
                Ok(map)
            }
        }
    )*};
}

map!(BTreeMap: Ord, HashMap: Eq Hash);

impl<T: Carry + Ord> Carry for BTreeSet<T> {
    fn write(&self, to: &mut Writer) {
        to.length(self.len());
        for item in self {
            item.write(to);
        }
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, Damaged> {
        let items: Vec<T> = Carry::read(from)?;
        Ok(items.into_iter().collect())
    }
}

macro_rules! tuple {
    ($(($($name:ident $place:tt),*))*) => {$(
        impl<$($name: Carry),*> Carry for ($($name,)*) {
            fn write(&self, to: &mut Writer) {
                $(self.$place.write(to);)*
            }

            fn read(from: &mut Reader<'_>) -> Result<Self, Damaged> {
                Ok(($($name::read(from)?,)*))
            }
        }
    )*};
}

tuple!((A 0, B 1) (A 0, B 1, C 2) (A 0, B 1, C 2, D 3));

impl Carry for IpAddr {
    fn write(&self, to: &mut Writer) {
        match self {
            Self::V4(address) => (4_u8, address.to_bits()).write(to),
            Self::V6(address) => (6_u8, address.to_bits()).write(to),
        }
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, Damaged> {
        match u8::read(from)? {
            4 => Ok(Self::V4(Ipv4Addr::from_bits(u32::read(from)?))),
            6 => Ok(Self::V6(Ipv6Addr::from_bits(u128::read(from)?))),
            _ => Err(Damaged("an address is of no known family")),
        }
    }
}
