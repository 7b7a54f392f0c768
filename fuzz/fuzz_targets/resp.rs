//! Any bytes as what Redis sends: the replies depend on no cut, what is read of them borrows and
//! ends, and an entry of another server is read or refused.
#![no_main]

use libfuzzer_sys::fuzz_target;
use parlor::redis::entry;
use parlor::redis::resp::{Broken, Replies, Value};

/// A value that owns what it has. Looks at all of it.
fn shown(value: Value<'_>) -> String {
    match value {
        Value::Null => String::from("null"),
        Value::Integer(number) => number.to_string(),
        Value::Text(text) | Value::Error(text) => {
            // Whatever it is, it is decoded without a panic.
            let decoded = entry::decode(text, 1).is_ok();
            format!("{text:?} {decoded}")
        }
        Value::List(list) | Value::Push(list) => {
            let length = list.len();
            let items: Vec<String> = list.map(shown).collect();
            assert_eq!(
                items.len(),
                length,
                "a list has as many elements as it says"
            );
            format!("[{}]", items.join(" "))
        }
    }
}

/// All replies of bytes in pieces.
fn read<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> (Vec<String>, Option<Broken>) {
    let mut replies = Replies::default();
    let mut found = Vec::new();
    for piece in pieces {
        replies.push(piece);
        loop {
            match replies.take() {
                Ok(Some(value)) => found.push(shown(value)),
                Ok(None) => break,
                Err(broken) => return (found, Some(broken)),
            }
        }
    }
    (found, None)
}

fuzz_target!(|input: &[u8]| {
    let Some((size, bytes)) = input.split_first() else {
        return;
    };
    let whole = read(std::iter::once(bytes));
    let cut = read(bytes.chunks(usize::from(*size).max(1)));
    assert_eq!(whole, cut, "it depends on a cut");
});
