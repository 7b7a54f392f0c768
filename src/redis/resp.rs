//! RESP, the protocol of Redis: replies out of bytes that come in pieces, and commands as bytes.
//! Knows no command. A reply is found whole before it is looked at, so a [`Value`] borrows and
//! nothing is allocated for it. Every length is bounded: a server that breaks a bound is cut off.
//!
//! Versions 2 and 3 (<https://redis.io/docs/latest/develop/reference/protocol-spec/>), but for
//! attributes and streamed lengths, which Redis does not send.

use std::fmt;

/// A string. A page of a room has shorter ones, and the answer to `INFO` some 6 KB.
const BULK_BYTES_MAX: usize = 1 << 20;
/// Elements of a list or of a map, its names included. A page has at most some hundred.
const ELEMENTS_MAX: usize = 16_384;
/// Lists in lists.
const DEPTH_MAX: usize = 8;
/// A line: an error, a number, a length.
const LINE_BYTES_MAX: usize = 8_192;
/// A whole reply.
const REPLY_BYTES_MAX: usize = 16 << 20;
/// Memory that is kept for the next bytes.
const KEPT_BYTES: usize = 64 * 1024;

/// The bytes are no RESP, or exceed a bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Broken(pub &'static str);

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

/// A reply, or a part of one. Borrows from the [`Replies`] in which it came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value<'a> {
    Null,
    Integer(i64),
    /// A string of any form: simple, bulk, verbatim, and numbers that are no integers.
    Text(&'a [u8]),
    Error(&'a [u8]),
    /// A list or a set; a map as names and values in turn.
    List(List<'a>),
    /// A list that answers no command.
    Push(List<'a>),
}

/// The elements of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct List<'a> {
    count: usize,
    rest: &'a [u8],
}

impl<'a> Value<'a> {
    pub const fn text(self) -> Option<&'a [u8]> {
        match self {
            Self::Text(text) => Some(text),
            Self::Null | Self::Integer(_) | Self::Error(_) | Self::List(_) | Self::Push(_) => None,
        }
    }

    /// A number, also one that is written as a string.
    pub fn number(self) -> Option<u64> {
        match self {
            Self::Integer(number) => u64::try_from(number).ok(),
            Self::Text(text) => number(text),
            Self::Null | Self::Error(_) | Self::List(_) | Self::Push(_) => None,
        }
    }

    pub const fn list(self) -> Option<List<'a>> {
        match self {
            Self::List(list) => Some(list),
            Self::Null | Self::Integer(_) | Self::Text(_) | Self::Error(_) | Self::Push(_) => None,
        }
    }
}

impl List<'_> {
    pub const fn len(&self) -> usize {
        self.count
    }

    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }
}

impl<'a> Iterator for List<'a> {
    type Item = Value<'a>;

    fn next(&mut self) -> Option<Value<'a>> {
        self.count = self.count.checked_sub(1)?;
        let (value, rest) = value(self.rest)?;
        self.rest = rest;
        Some(value)
    }
}

/// A decimal number without a sign.
pub fn number(text: &[u8]) -> Option<u64> {
    if text.is_empty() || text.len() > 20 {
        return None;
    }
    text.iter().try_fold(0_u64, |number, digit| {
        let digit = digit.checked_sub(b'0').filter(|digit| *digit < 10)?;
        number.checked_mul(10)?.checked_add(u64::from(digit))
    })
}

/// The first value of bytes that were found to be whole, and what follows it.
fn value(bytes: &[u8]) -> Option<(Value<'_>, &[u8])> {
    let (line, after) = line(bytes)?;
    let (kind, text) = line.split_first()?;
    Some(match head(*kind, text).ok()? {
        Head::Plain(value) => (value, after),
        Head::Bulk { length, is_error } => {
            let text = after.get(..length)?;
            let text = match (kind, text) {
                // Verbatim strings begin with what they are, as in "txt:".
                (b'=', [_, _, _, b':', text @ ..]) => text,
                _ => text,
            };
            let value = if is_error {
                Value::Error(text)
            } else {
                Value::Text(text)
            };
            (value, after.get(length + 2..)?)
        }
        Head::List { count, is_push } => {
            let end = skip(after, count)?;
            let list = List {
                count,
                rest: &after[..end],
            };
            let value = if is_push {
                Value::Push(list)
            } else {
                Value::List(list)
            };
            (value, &after[end..])
        }
    })
}

/// Where so many values end.
fn skip(bytes: &[u8], mut count: usize) -> Option<usize> {
    let mut at = 0;
    while count > 0 {
        let (line, after) = line(bytes.get(at..)?)?;
        at = bytes.len() - after.len();
        let (kind, text) = line.split_first()?;
        count -= 1;
        match head(*kind, text).ok()? {
            Head::Plain(_) => {}
            Head::Bulk { length, .. } => at += length + 2,
            Head::List { count: inner, .. } => count += inner,
        }
    }
    Some(at)
}

/// A line without its end, and what follows it.
fn line(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = bytes.iter().position(|byte| *byte == b'\n')?;
    let line = bytes[..end].strip_suffix(b"\r")?;
    Some((line, &bytes[end + 1..]))
}

/// What a line announces.
enum Head<'a> {
    /// The line is all.
    Plain(Value<'a>),
    Bulk {
        length: usize,
        is_error: bool,
    },
    List {
        count: usize,
        is_push: bool,
    },
}

fn head(kind: u8, text: &[u8]) -> Result<Head<'_>, Broken> {
    let list = |factor: usize, is_push| {
        Ok(
            match length(text, ELEMENTS_MAX / factor, "a list is too long")? {
                Some(count) => Head::List {
                    count: count * factor,
                    is_push,
                },
                None => Head::Plain(Value::Null),
            },
        )
    };
    match kind {
        b'+' | b',' | b'(' => Ok(Head::Plain(Value::Text(text))),
        b'-' => Ok(Head::Plain(Value::Error(text))),
        b':' => integer(text).map(|number| Head::Plain(Value::Integer(number))),
        b'_' => Ok(Head::Plain(Value::Null)),
        b'#' => match text {
            b"t" => Ok(Head::Plain(Value::Integer(1))),
            b"f" => Ok(Head::Plain(Value::Integer(0))),
            _ => Err(Broken("a truth value is neither t nor f")),
        },
        b'$' | b'=' | b'!' => Ok(
            match length(text, BULK_BYTES_MAX, "a string is too long")? {
                Some(length) => Head::Bulk {
                    length,
                    is_error: kind == b'!',
                },
                None => Head::Plain(Value::Null),
            },
        ),
        b'*' | b'~' => list(1, false),
        b'>' => list(1, true),
        b'%' => list(2, false),
        _ => Err(Broken("a reply begins with no type that is known")),
    }
}

/// `None`: -1, which stands for no string and no list.
fn length(text: &[u8], most: usize, too_long: &'static str) -> Result<Option<usize>, Broken> {
    if text == b"-1" {
        return Ok(None);
    }
    let length = number(text).ok_or(Broken("a length is no number"))?;
    match usize::try_from(length) {
        Ok(length) if length <= most => Ok(Some(length)),
        _ => Err(Broken(too_long)),
    }
}

fn integer(text: &[u8]) -> Result<i64, Broken> {
    let text = str::from_utf8(text).ok();
    let number = text.and_then(|text| text.parse().ok());
    number.ok_or(Broken("an integer is none"))
}

/// Replies in the order in which they come, out of bytes that come in any pieces.
#[derive(Debug, Default)]
pub struct Replies {
    bytes: Vec<u8>,
    /// Where the first reply that was not taken begins.
    start: usize,
    /// How far that reply was looked at, and what is still to come of it.
    scanned: usize,
    /// Of each list that is open, how many elements are to come.
    open: [usize; DEPTH_MAX],
    depth: usize,
}

impl Replies {
    /// More bytes came.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.start > 0 {
            self.bytes.drain(..self.start);
            self.scanned -= self.start;
            self.start = 0;
        }
        if self.bytes.is_empty() && self.bytes.capacity() > KEPT_BYTES {
            self.bytes = Vec::new();
        }
        self.bytes.extend_from_slice(bytes);
    }

    /// The next reply; `None`: it is not whole yet.
    ///
    /// # Errors
    /// The bytes are no RESP: nothing that follows can be read.
    pub fn take(&mut self) -> Result<Option<Value<'_>>, Broken> {
        while self.scanned == self.start || self.depth > 0 {
            if !self.scan_one()? {
                if self.bytes.len() - self.start > REPLY_BYTES_MAX {
                    return Err(Broken("a reply is too long"));
                }
                return Ok(None);
            }
        }
        let whole = &self.bytes[self.start..self.scanned];
        self.start = self.scanned;
        let (value, _) = value(whole).ok_or(Broken("a reply contradicts itself"))?;
        Ok(Some(value))
    }

    /// Looks at one line, and its string. False: it is not whole.
    fn scan_one(&mut self) -> Result<bool, Broken> {
        let bytes = &self.bytes[self.scanned..];
        let window = &bytes[..bytes.len().min(LINE_BYTES_MAX)];
        let Some(end) = window.iter().position(|byte| *byte == b'\n') else {
            if window.len() == LINE_BYTES_MAX {
                return Err(Broken("a line is too long"));
            }
            return Ok(false);
        };
        let line = window[..end].strip_suffix(b"\r");
        let line = line.ok_or(Broken("a line ends without CR"))?;
        let (kind, text) = line.split_first().ok_or(Broken("a line is empty"))?;
        let mut length = end + 1;
        let mut count = 0;
        match head(*kind, text)? {
            Head::Plain(_) => {}
            Head::Bulk { length: text, .. } => {
                length += text + 2;
                match bytes.get(length - 2..length) {
                    Some(b"\r\n") => {}
                    Some(_) => return Err(Broken("a string does not end where it says")),
                    None => return Ok(false),
                }
            }
            Head::List {
                count: inner,
                is_push,
            } => {
                if is_push && self.depth > 0 {
                    return Err(Broken("a push is inside of a list"));
                }
                count = inner;
            }
        }
        self.scanned += length;
        self.step(count)
    }

    /// One element is there, which may open a list of `count` more.
    fn step(&mut self, count: usize) -> Result<bool, Broken> {
        if self.depth > 0 {
            self.open[self.depth - 1] -= 1;
        }
        if count > 0 {
            let place = self.open.get_mut(self.depth);
            *place.ok_or(Broken("lists are too deep"))? = count;
            self.depth += 1;
        }
        while self.depth > 0 && self.open[self.depth - 1] == 0 {
            self.depth -= 1;
        }
        Ok(true)
    }

    /// Forgets all, for another connection.
    pub fn clear(&mut self) {
        *self = Self::default();
    }
}

/// Writes one command behind others. The number of its words comes first, so it is named at the
/// start; [`Command::end`] asserts that it was right.
#[derive(Debug)]
pub struct Command<'a> {
    out: &'a mut Vec<u8>,
    left: usize,
}

impl<'a> Command<'a> {
    pub fn new(out: &'a mut Vec<u8>, words: usize) -> Self {
        out.push(b'*');
        decimal(out, words as u64);
        out.extend_from_slice(b"\r\n");
        Self { out, left: words }
    }

    pub fn word(&mut self, word: impl AsRef<[u8]>) -> &mut Self {
        self.pieces(&[word.as_ref()])
    }

    /// A word out of several pieces.
    pub fn pieces(&mut self, pieces: &[&[u8]]) -> &mut Self {
        let length: usize = pieces.iter().map(|piece| piece.len()).sum();
        self.out.push(b'$');
        decimal(self.out, length as u64);
        self.out.extend_from_slice(b"\r\n");
        for piece in pieces {
            self.out.extend_from_slice(piece);
        }
        self.out.extend_from_slice(b"\r\n");
        self.left -= 1;
        self
    }

    pub fn number(&mut self, number: u64) -> &mut Self {
        let mut digits = [0; 20];
        let digits = decimal_in(&mut digits, number);
        self.pieces(&[digits])
    }

    pub fn end(&self) {
        assert!(self.left == 0, "a command has as many words as it says");
    }
}

fn decimal(out: &mut Vec<u8>, number: u64) {
    let mut digits = [0; 20];
    out.extend_from_slice(decimal_in(&mut digits, number));
}

fn decimal_in(digits: &mut [u8; 20], mut number: u64) -> &[u8] {
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            return &digits[at..];
        }
    }
}

/// Writes a command of words that are all known.
pub fn command(out: &mut Vec<u8>, words: &[&[u8]]) {
    let mut command = Command::new(out, words.len());
    for word in words {
        command.word(word);
    }
    command.end();
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A value that owns what it has.
    fn shown(value: Value<'_>) -> String {
        match value {
            Value::Null => String::from("null"),
            Value::Integer(number) => number.to_string(),
            Value::Text(text) => format!("{:?}", String::from_utf8_lossy(text)),
            Value::Error(text) => format!("error {:?}", String::from_utf8_lossy(text)),
            Value::List(list) => {
                let items: Vec<String> = list.map(shown).collect();
                format!("[{}]", items.join(" "))
            }
            Value::Push(list) => {
                let items: Vec<String> = list.map(shown).collect();
                format!("push [{}]", items.join(" "))
            }
        }
    }

    /// What comes of bytes in pieces of this length.
    fn read(bytes: &[u8], piece: usize) -> Result<Vec<String>, Broken> {
        let mut replies = Replies::default();
        let mut found = Vec::new();
        for piece in bytes.chunks(piece) {
            replies.push(piece);
            while let Some(value) = replies.take()? {
                found.push(shown(value));
            }
        }
        Ok(found)
    }

    const ALL: &[u8] = b"+OK\r\n-ERR no\r\n:-7\r\n$5\r\nhe\r\no\r\n$-1\r\n$0\r\n\r\n*-1\r\n*0\r\n\
        *2\r\n*1\r\n:1\r\n$1\r\nx\r\n_\r\n#t\r\n,1.5\r\n(123\r\n=7\r\ntxt:abc\r\n!3\r\nE x\r\n\
        %1\r\n+a\r\n:1\r\n~2\r\n+a\r\n+b\r\n>2\r\n+message\r\n*0\r\n+end\r\n";

    #[test]
    fn replies_of_all_types_are_read_whole_and_cut_at_every_position() {
        let expected = [
            "\"OK\"",
            "error \"ERR no\"",
            "-7",
            "\"he\\r\\no\"",
            "null",
            "\"\"",
            "null",
            "[]",
            "[[1] \"x\"]",
            "null",
            "1",
            "\"1.5\"",
            "\"123\"",
            "\"abc\"",
            "error \"E x\"",
            "[\"a\" 1]",
            "[\"a\" \"b\"]",
            "push [\"message\" []]",
            "\"end\"",
        ];
        for piece in 1..=ALL.len() {
            assert_eq!(read(ALL, piece).expect("RESP"), expected, "{piece}");
        }
    }

    #[test]
    fn bytes_that_are_no_resp_are_refused() {
        for (bytes, why) in [
            (
                &b"hello\r\n"[..],
                "a reply begins with no type that is known",
            ),
            (b"\r\n", "a line is empty"),
            (b"+OK\n", "a line ends without CR"),
            (b":x\r\n", "an integer is none"),
            (b"$x\r\n", "a length is no number"),
            (b"$-2\r\n", "a length is no number"),
            (b"$3\r\nabcd\r\n", "a string does not end where it says"),
            (b"$1048577\r\n", "a string is too long"),
            (b"*16385\r\n", "a list is too long"),
            (b"%8193\r\n", "a list is too long"),
            (b"*99999999999999999999999\r\n", "a length is no number"),
            (b"#x\r\n", "a truth value is neither t nor f"),
            (b"*1\r\n>1\r\n", "a push is inside of a list"),
        ] {
            for piece in 1..=bytes.len() {
                assert_eq!(read(bytes, piece), Err(Broken(why)));
            }
        }
    }

    #[test]
    fn lists_that_are_too_deep_and_lines_that_are_too_long_are_refused() {
        let deep = b"*1\r\n".repeat(DEPTH_MAX + 1);
        assert_eq!(read(&deep, 3), Err(Broken("lists are too deep")));
        let mut fits = b"*1\r\n".repeat(DEPTH_MAX);
        fits.extend_from_slice(b":1\r\n");
        assert_eq!(read(&fits, 3).map(|found| found.len()), Ok(1));
        let long = vec![b'+'; LINE_BYTES_MAX];
        assert_eq!(read(&long, 100), Err(Broken("a line is too long")));
    }

    #[test]
    fn commands_are_lists_of_strings() {
        let mut out = Vec::new();
        command(&mut out, &[b"PING"]);
        let mut two = Command::new(&mut out, 3);
        two.word("SET").pieces(&[b"a", b"", b"b"]).number(1_024);
        two.end();
        let expected = "*1\r\n$4\r\nPING\r\n*3\r\n$3\r\nSET\r\n$2\r\nab\r\n$4\r\n1024\r\n";
        assert_eq!(String::from_utf8_lossy(&out), expected);
    }

    #[test]
    fn numbers_have_digits_alone() {
        assert_eq!(number(b"18446744073709551615"), Some(u64::MAX));
        assert_eq!(number(b"0"), Some(0));
        for text in [
            &b""[..],
            b"-1",
            b"+1",
            b" 1",
            b"18446744073709551616",
            b"1.0",
        ] {
            assert_eq!(number(text), None);
        }
    }
}
