//! Every kind of value comes back as it was; bytes that are no value are refused.

use super::{Carrier, Carry, Damaged, Reader, VERSION, Writer, open, seal};
use smol_str::SmolStr;
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::fmt::Debug;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::rc::Rc;

fn written(value: &impl Carry) -> Vec<u8> {
    let mut to = Writer::default();
    value.write(&mut to);
    to.into_bytes()
}

fn read<T: Carry>(bytes: &[u8]) -> Result<T, Damaged> {
    let mut from = Reader::new(bytes, VERSION);
    let value = T::read(&mut from)?;
    from.end()?;
    Ok(value)
}

/// The value comes back, and no part of its bytes is a value.
#[track_caller]
fn returns<T: Carry + PartialEq + Debug>(value: T) {
    let bytes = written(&value);
    assert_eq!(read::<T>(&bytes), Ok(value));
    for cut in 0..bytes.len() {
        assert!(read::<T>(&bytes[..cut]).is_err(), "cut at {cut}");
    }
}

#[derive(Debug, PartialEq)]
struct Point {
    x: u32,
    name: String,
}
carried!(struct Point { x, name });

#[derive(Debug, PartialEq)]
enum Shape {
    None,
    Dot(Point),
    Line { from: u8, to: u8 },
}
carried!(enum Shape { 0 = None, 1 = Dot(point), 7 = Line { from, to } });

#[derive(Debug, PartialEq)]
struct Number(u64);
carried!(struct Number(number));

#[test]
fn values_return_as_they_were() {
    returns(7_u8);
    returns(0x1234_u16);
    returns(u32::MAX);
    returns(u64::MAX - 1);
    returns(usize::MAX);
    returns((true, false));
    returns(NonZeroU32::MIN);
    returns(String::from("grüße"));
    returns(SmolStr::new(
        "a name that is longer than what fits in place",
    ));
    returns(vec![1_u8, 2, 3]);
    returns(vec![Some(1_u32), None]);
    returns(VecDeque::from([1_u16, 2]));
    returns([1_u64, 2, 3]);
    returns(BTreeMap::from([
        (1_u8, String::from("a")),
        (2, String::new()),
    ]));
    returns(HashMap::from([(1_u32, (2_u8, 3_u16, 4_u32))]));
    returns(BTreeSet::from([3_u32, 1]));
    for address in ["192.0.2.1", "2001:db8::1"] {
        let address: IpAddr = address.parse().expect("an address");
        returns(address);
    }
    returns(Box::new(Number(5)));
    returns(Shape::None);
    returns(Shape::Dot(Point {
        x: 1,
        name: String::from("a"),
    }));
    returns(Shape::Line { from: 1, to: 2 });
}

#[test]
fn bytes_that_are_no_value_are_refused() {
    assert!(read::<bool>(&[2]).is_err());
    assert!(read::<Shape>(&[2]).is_err());
    assert!(read::<NonZeroU32>(&[0; 4]).is_err());
    assert!(read::<String>(&[1, 0, 0, 0, 0xFF]).is_err());
    assert!(read::<IpAddr>(&[5, 0, 0, 0, 0]).is_err());
    assert!(read::<BTreeMap<u8, u8>>(&[2, 0, 0, 0, 1, 1, 1, 2]).is_err());
    assert_eq!(
        read::<u8>(&[1, 2]),
        Err(Damaged("the state goes on behind its end"))
    );
}

#[test]
fn a_length_alone_allocates_nothing() {
    let bytes = u32::MAX.to_le_bytes();
    assert!(read::<Vec<u64>>(&bytes).is_err());
    assert!(read::<String>(&bytes).is_err());
    let mut bytes = bytes.to_vec();
    bytes.resize(100, 0);
    assert!(read::<Vec<u64>>(&bytes).is_err());
}

#[test]
fn what_is_shared_is_written_once_and_shared_again() {
    let piece: Rc<[u8]> = Rc::from(vec![9; 1_000]);
    let mut to = Writer::default();
    for _ in 0..3 {
        to.put_shared(&piece);
    }
    let bytes = to.into_bytes();
    assert!(bytes.len() < 1_100);
    let mut from = Reader::new(&bytes, VERSION);
    let first = from.take_shared().expect("the first");
    let second = from.take_shared().expect("the second");
    assert!(Rc::ptr_eq(&first, &second));
    assert_eq!(first, piece);
    let mut from = Reader::new(&[1, 0, 0, 0], VERSION);
    assert!(from.take_shared().is_err(), "there is no first");
}

#[test]
fn a_field_goes_both_ways() {
    let mut carrier = Carrier::Writer(Writer::default());
    carrier.field(&mut 5_u32).expect("writing does not fail");
    let Carrier::Writer(to) = carrier else {
        unreachable!()
    };
    let bytes = to.into_bytes();
    let mut carrier = Carrier::Reader(Reader::new(&bytes, VERSION));
    let mut value = 0_u32;
    carrier.field(&mut value).expect("it was written");
    assert_eq!(value, 5);
}

fn state() -> Vec<u8> {
    let mut to = Writer::default();
    String::from("the body").write(&mut to);
    seal(to)
}

#[test]
fn a_state_is_opened_and_every_cut_and_every_flipped_bit_is_found() {
    let state = state();
    let mut body = open(&state).expect("a state");
    assert_eq!(body.version(), VERSION);
    assert_eq!(String::read(&mut body).as_deref(), Ok("the body"));
    for cut in 0..state.len() {
        assert!(open(&state[..cut]).is_err(), "cut at {cut}");
    }
    for at in 0..state.len() {
        for bit in 0..8 {
            let mut flipped = state.clone();
            flipped[at] ^= 1 << bit;
            assert!(open(&flipped).is_err(), "bit {bit} of byte {at}");
        }
    }
}

#[test]
fn versions_that_are_not_read_are_named() {
    let mut state = state();
    state[8] = VERSION as u8 + 1;
    let why = open(&state).expect_err("a newer version").to_string();
    assert!(why.contains("newer"), "{why}");
    state[8] = 0;
    let why = open(&state).expect_err("an older version").to_string();
    assert!(why.contains("older"), "{why}");
}
