//! The marker by which a message is recognised when it arrives:
//! `~ROOM.SENDER.NUMBER.INTENDED_MICROS~`. A server may put anything around it.

/// What a message contains about itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Marker {
    pub(super) room: u32,
    /// The place of the sender among those of the room.
    pub(super) sender: u32,
    /// The number of the message among those of the sender, from 1.
    pub(super) number: u32,
    /// When it was due to be sent, by the clock of the process that sent it.
    pub(super) intended: u64,
}

const EDGE: u8 = b'~';
const PADDING: u8 = b'x';

/// A message with this marker, padded to `size` bytes, or longer if the marker is.
pub(super) fn write(marker: Marker, size: usize, message: &mut Vec<u8>) {
    message.clear();
    message.push(EDGE);
    for (number, end) in [
        (u64::from(marker.room), b'.'),
        (u64::from(marker.sender), b'.'),
        (u64::from(marker.number), b'.'),
        (marker.intended, EDGE),
    ] {
        push_decimal(number, message);
        message.push(end);
    }
    message.resize(size.max(message.len()), PADDING);
}

fn push_decimal(number: u64, message: &mut Vec<u8>) {
    let mut digits = [0; 20];
    let mut at = digits.len();
    let mut rest = number;
    loop {
        at -= 1;
        digits[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    message.extend_from_slice(&digits[at..]);
}

/// The first marker anywhere in a received text.
pub(super) fn find(mut text: &[u8]) -> Option<Marker> {
    loop {
        let at = text.iter().position(|byte| *byte == EDGE)?;
        text = &text[at + 1..];
        if let Some(marker) = parse(text) {
            return Some(marker);
        }
    }
}

fn parse(text: &[u8]) -> Option<Marker> {
    let (room, text) = decimal(text, b'.')?;
    let (sender, text) = decimal(text, b'.')?;
    let (number, text) = decimal(text, b'.')?;
    let (intended, _) = decimal(text, EDGE)?;
    Some(Marker {
        room: u32::try_from(room).ok()?,
        sender: u32::try_from(sender).ok()?,
        number: u32::try_from(number).ok()?,
        intended,
    })
}

/// A number, and the text after the byte that ends it.
fn decimal(text: &[u8], end: u8) -> Option<(u64, &[u8])> {
    let mut number = 0_u64;
    for (at, byte) in text.iter().enumerate() {
        if *byte == end && at > 0 {
            return Some((number, &text[at + 1..]));
        }
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        number = number.checked_mul(10)?.checked_add(u64::from(digit))?;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const MARKER: Marker = Marker {
        room: 3,
        sender: 0,
        number: 4_294_967_295,
        intended: 1_234_567,
    };

    fn written(size: usize) -> Vec<u8> {
        let mut message = b"what was in the buffer before".to_vec();
        write(MARKER, size, &mut message);
        message
    }

    #[test]
    fn message_has_its_size_and_at_least_its_marker() {
        assert_eq!(written(0), b"~3.0.4294967295.1234567~");
        assert_eq!(written(30), b"~3.0.4294967295.1234567~xxxxxx");
    }

    #[test]
    fn marker_is_found_in_any_text() {
        for (before, after) in [
            ("", ""),
            ("u7: ", ""),
            ("~: ", "~"),
            ("~1.2: ", ""),
            ("~~1.2.3~", "~9.9.9.9~"),
            (r#"{"from":"a~b","text":""#, r#""}"#),
        ] {
            let text = [before.as_bytes(), &written(40), after.as_bytes()].concat();
            assert_eq!(find(&text), Some(MARKER), "{before}");
        }
    }

    #[test]
    fn texts_that_look_similar_are_no_markers() {
        for text in [
            "",
            "~",
            "~1.2.3.4",
            "1.2.3.4~",
            "~1.2.3~",
            "~1.2.3.4.5~",
            "~1..3.4~",
            "~-1.2.3.4~",
            "~4294967296.2.3.4~",
            "~1.2.3.99999999999999999999~",
            "~ 1.2.3.4~",
        ] {
            assert_eq!(find(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn part_of_a_marker_is_no_marker() {
        let whole = written(0);
        for cut in 0..whole.len() {
            assert_eq!(find(&whole[..cut]), None);
        }
    }
}
