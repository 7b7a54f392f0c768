//! JSON as text: strings with their escapes, numbers, fields. Knows no type of message.

/// What must be escaped in a string: quotation mark, backslash and control characters (RFC 8259
/// §7). U+2028 and U+2029 need not be, but end a line in old JavaScript and in editors.
const fn escape_of(c: char) -> Option<&'static str> {
    Some(match c {
        '"' => "\\\"",
        '\\' => "\\\\",
        '\n' => "\\n",
        '\r' => "\\r",
        '\t' => "\\t",
        '\u{2028}' => "\\u2028",
        '\u{2029}' => "\\u2029",
        _ => return None,
    })
}

/// The first byte of a character that may have to be escaped. 0xE2 begins U+2028 and U+2029, and
/// others, which pass.
const fn may_be_escaped(byte: u8) -> bool {
    byte < b' ' || matches!(byte, b'"' | b'\\' | 0xE2)
}

/// Appends a string with its quotation marks.
pub(super) fn string(value: &str, text: &mut String) {
    text.push('"');
    let mut rest = value;
    while let Some(at) = rest.bytes().position(may_be_escaped) {
        let (plain, from) = rest.split_at(at);
        text.push_str(plain);
        let mut characters = from.chars();
        if let Some(c) = characters.next() {
            match escape_of(c) {
                Some(escape) => text.push_str(escape),
                None if c < ' ' => control(c as u8, text),
                None => text.push(c),
            }
        }
        rest = characters.as_str();
    }
    text.push_str(rest);
    text.push('"');
}

fn control(byte: u8, text: &mut String) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    text.push_str("\\u00");
    text.push(char::from(DIGITS[usize::from(byte >> 4)]));
    text.push(char::from(DIGITS[usize::from(byte & 15)]));
}

/// The length of what a member says as a string, without the quotation marks. The chat removes
/// control characters but line feed and tab before it is said, so those count as they are.
pub(in super::super) fn said_bytes(words: &str) -> usize {
    let more = |byte: u8| usize::from(matches!(byte, b'"' | b'\\' | b'\n' | b'\t'));
    let separators = words.matches(['\u{2028}', '\u{2029}']).count();
    words.len() + words.bytes().map(more).sum::<usize>() + separators * ("\\u2028".len() - 3)
}

/// Appends an integer.
pub(super) fn number(value: u64, text: &mut String) {
    /// Of the largest there is: 18446744073709551615.
    const DIGITS_MAX: usize = 20;
    let mut digits = [0; DIGITS_MAX];
    let mut at = DIGITS_MAX;
    let mut rest = value;
    loop {
        at -= 1;
        digits[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    text.extend(digits[at..].iter().map(|digit| char::from(*digit)));
}

/// An object that is being written. `name` of a field is written as it is.
pub(super) struct Object<'t> {
    text: &'t mut String,
}

impl<'t> Object<'t> {
    /// Begins an object with its type, which needs no escape.
    pub(super) fn of_type(kind: &str, text: &'t mut String) -> Self {
        text.push_str("{\"type\":\"");
        text.push_str(kind);
        text.push('"');
        Self { text }
    }

    fn name(&mut self, name: &str) {
        self.text.push_str(",\"");
        self.text.push_str(name);
        self.text.push_str("\":");
    }

    pub(super) fn string(mut self, name: &str, value: &str) -> Self {
        self.name(name);
        string(value, self.text);
        self
    }

    pub(super) fn number(mut self, name: &str, value: impl Into<u64>) -> Self {
        self.name(name);
        number(value.into(), self.text);
        self
    }

    pub(super) fn bool(mut self, name: &str, value: bool) -> Self {
        self.name(name);
        self.text.push_str(if value { "true" } else { "false" });
        self
    }

    /// A value that `write` appends as JSON.
    pub(super) fn value(mut self, name: &str, write: impl FnOnce(&mut String)) -> Self {
        self.name(name);
        write(self.text);
        self
    }

    /// A list whose elements `write` appends as JSON.
    pub(super) fn list<T>(
        mut self,
        name: &str,
        elements: impl IntoIterator<Item = T>,
        mut write: impl FnMut(T, &mut String),
    ) -> Self {
        self.name(name);
        self.text.push('[');
        for (index, element) in elements.into_iter().enumerate() {
            if index > 0 {
                self.text.push(',');
            }
            write(element, self.text);
        }
        self.text.push(']');
        self
    }

    pub(super) fn end(self) {
        self.text.push('}');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(value: &str) -> String {
        let mut text = String::new();
        string(value, &mut text);
        text
    }

    #[test]
    fn every_character_is_read_back_as_it_was() {
        let all: Vec<char> = ('\0'..='\u{ffff}')
            .chain(['\u{1f44b}', '\u{10ffff}'])
            .collect();
        for some in all.chunks(100) {
            let value: String = some.iter().collect();
            let text = written(&value);
            assert_eq!(serde_json::from_str::<String>(&text).unwrap(), value);
            assert!(!text.contains(['\u{2028}', '\u{2029}', '\n']), "{text}");
        }
    }

    #[test]
    fn strings_have_the_escapes_of_json() {
        for (value, expected) in [
            ("", r#""""#),
            ("héllo 👋", r#""héllo 👋""#),
            ("a\"b\\c", r#""a\"b\\c""#),
            ("\0\u{1f}\n\r\t\u{7f}", "\"\\u0000\\u001f\\n\\r\\t\u{7f}\""),
            ("\u{2028}–\u{2029}", r#""\u2028–\u2029""#),
        ] {
            assert_eq!(written(value), expected);
        }
    }

    #[test]
    fn numbers_are_written_in_full() {
        for value in [0, 1, 9, 10, 1_764_115_200_000, u64::MAX] {
            let mut text = String::new();
            number(value, &mut text);
            assert_eq!(text, value.to_string());
        }
    }
}
