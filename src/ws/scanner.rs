//! Finds the frame boundaries in what a client sends (RFC 6455 §5.2), however its bytes are cut.
//! Ignores payloads and accepts every frame: the decoder decides what is allowed.

use crate::carry::carried;

const FIN: u8 = 0x80;
const OPCODE: u8 = 0x0F;
const CONTINUATION: u8 = 0x0;
const CLOSE: u8 = 0x8;
const MASKED: u8 = 0x80;

/// The position of a connection in its current frame and message.
///
/// A scanner is clean when no frame is incomplete and no fragmented message is open. A new context
/// then decodes what follows exactly as one that has read everything before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Scanner {
    /// While the header is incomplete: the length as far as it is read. After that: the payload
    /// bytes to come.
    remaining: u64,
    /// Frames of the open message so far; 0 if none is open.
    fragments: u32,
    /// The frame's first byte.
    first: u8,
    /// Header bytes read so far; [`IN_PAYLOAD`] once the header is complete.
    header_seen: u8,
    /// Length of the header; its second byte determines it.
    header_len: u8,
    is_message_open: bool,
}

carried!(struct Scanner {
    remaining,
    fragments,
    first,
    header_seen,
    header_len,
    is_message_open,
});

const IN_PAYLOAD: u8 = u8::MAX;

/// The result of [`Scanner::take_frame`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Scanned {
    /// Bytes up to the end of the frame, or all of them if it is incomplete.
    pub(super) len: usize,
    /// Whether the frame is complete.
    pub(super) is_whole: bool,
}

impl Scanner {
    /// Whether the last byte was the end of a frame, or there was none yet.
    pub(super) const fn is_between_frames(&self) -> bool {
        self.header_seen == 0
    }

    /// Whether no frame is incomplete and no fragmented message is open.
    pub const fn is_clean(&self) -> bool {
        self.is_between_frames() && !self.is_message_open
    }

    /// Frames of the open message so far; 0 if none is open.
    pub const fn fragments(&self) -> u32 {
        self.fragments
    }

    /// Payload bytes of the current frame that are still to come; 0 while its header is incomplete.
    pub const fn payload_to_come(&self) -> u64 {
        if self.header_seen == IN_PAYLOAD {
            self.remaining
        } else {
            0
        }
    }

    /// Follows `bytes` to the end of the current frame.
    pub(super) fn take_frame(&mut self, bytes: &[u8]) -> Scanned {
        let mut at = 0;
        while self.header_seen != IN_PAYLOAD {
            let Some(byte) = bytes.get(at) else {
                return Scanned {
                    len: at,
                    is_whole: false,
                };
            };
            at += 1;
            self.take_header_byte(*byte);
        }
        let here = (bytes.len() - at) as u64;
        if here < self.remaining {
            self.remaining -= here;
            return Scanned {
                len: bytes.len(),
                is_whole: false,
            };
        }
        at += self.remaining as usize;
        self.end_frame();
        Scanned {
            len: at,
            is_whole: true,
        }
    }

    /// Follows `bytes` when only the peer's close frame matters. True: a complete one was among
    /// them.
    pub fn scan_for_close(&mut self, mut bytes: &[u8]) -> bool {
        while !bytes.is_empty() {
            let scanned = self.take_frame(bytes);
            if scanned.is_whole && self.first & OPCODE == CLOSE {
                return true;
            }
            bytes = bytes.get(scanned.len..).unwrap_or_default();
        }
        false
    }

    fn take_header_byte(&mut self, byte: u8) {
        match self.header_seen {
            0 => self.first = byte,
            1 => {
                let mask_len = if byte & MASKED == 0 { 0 } else { 4 };
                let (length_len, length) = match byte & !MASKED {
                    126 => (2, 0),
                    127 => (8, 0),
                    length => (0, length),
                };
                self.header_len = 2 + length_len + mask_len;
                self.remaining = u64::from(length);
                // `length_end` derives from the header's length whether two or eight bytes follow.
            }
            seen if seen < self.length_end() => {
                self.remaining = self.remaining << 8 | u64::from(byte);
            }
            _ => {}
        }
        self.header_seen += 1;
        if self.header_seen >= 2 && self.header_seen == self.header_len {
            self.header_seen = IN_PAYLOAD;
        }
    }

    /// Where the extended length ends in the header.
    const fn length_end(&self) -> u8 {
        match self.header_len {
            4 | 8 => 4,
            10 | 14 => 10,
            _ => 2,
        }
    }

    fn end_frame(&mut self) {
        self.header_seen = 0;
        self.remaining = 0;
        let opcode = self.first & OPCODE;
        if opcode >= CLOSE {
            return;
        }
        let is_final = self.first & FIN != 0;
        self.is_message_open = !is_final && (opcode != CONTINUATION || self.is_message_open);
        self.fragments = if self.is_message_open {
            self.fragments.saturating_add(1)
        } else {
            0
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether the scanner is clean after each byte.
    fn clean_after(bytes: &[u8]) -> Vec<bool> {
        let mut scanner = Scanner::default();
        bytes
            .iter()
            .map(|byte| {
                scanner.take_frame(&[*byte]);
                scanner.is_clean()
            })
            .collect()
    }

    #[test]
    fn a_frame_is_clean_only_at_its_end() {
        let frame = b"\x81\x82mask__";
        assert_eq!(
            clean_after(frame),
            [false, false, false, false, false, false, false, true]
        );
    }

    #[test]
    fn a_frame_without_payload_ends_with_its_header() {
        assert_eq!(clean_after(b"\x89\x80mask").last(), Some(&true));
        assert_eq!(clean_after(b"\x89\x00"), [false, true]);
    }

    #[test]
    fn a_fragmented_message_is_open_until_its_last_fragment() {
        let mut scanner = Scanner::default();
        for (frame, clean, fragments) in [
            (&b"\x01\x80mask"[..], false, 1),
            (b"\x89\x80mask", false, 1),
            (b"\x00\x80mask", false, 2),
            (b"\x80\x80mask", true, 0),
        ] {
            scanner.take_frame(frame);
            assert_eq!(
                (scanner.is_clean(), scanner.fragments()),
                (clean, fragments)
            );
        }
    }

    #[test]
    fn lengths_of_two_and_eight_bytes_are_read() {
        for (header, len) in [
            (&b"\x82\xfe\x01\x02mask"[..], 0x102),
            (b"\x82\xff\0\0\0\0\0\x01\0\x02mask", 0x1_0002),
            (b"\x82\x7e\x01\x02", 0x102),
            (b"\x82\x7f\0\0\0\0\0\x01\0\x02", 0x1_0002),
        ] {
            let mut bytes = header.to_vec();
            bytes.resize(header.len() + len, 0);
            bytes.push(0x81);
            for cut in 0..20 {
                let mut scanner = Scanner::default();
                assert_eq!(
                    scanner.take_frame(&bytes[..cut.min(header.len())]).len,
                    cut.min(header.len())
                );
                let rest = scanner.take_frame(&bytes[cut.min(header.len())..]);
                assert!(rest.is_whole);
                assert_eq!(cut.min(header.len()) + rest.len, bytes.len() - 1);
            }
        }
    }

    #[test]
    fn the_longest_length_does_not_overflow() {
        let mut scanner = Scanner::default();
        let header = b"\x82\xff\xff\xff\xff\xff\xff\xff\xff\xffmask";
        assert!(!scanner.take_frame(header).is_whole);
        assert!(!scanner.take_frame(&[0; 1000]).is_whole);
        assert_eq!(scanner.payload_to_come(), u64::MAX - 1000);
    }

    #[test]
    fn a_close_frame_is_found_behind_others_however_the_bytes_are_cut() {
        let stream = b"\x81\x82mask__\x89\x80mask\x88\x82mask__";
        for cut in 0..stream.len() {
            let mut scanner = Scanner::default();
            assert!(!scanner.scan_for_close(&stream[..cut]));
            assert!(scanner.scan_for_close(&stream[cut..]));
        }
    }

    #[test]
    fn every_byte_string_is_followed_to_its_end() {
        let mut state = 1_u64;
        for _ in 0..if cfg!(miri) { 20 } else { 2_000 } {
            let bytes: Vec<u8> = (0..200)
                .map(|_| {
                    state = state
                        .wrapping_mul(6_364_136_223_846_793_005)
                        .wrapping_add(1);
                    (state >> 56) as u8
                })
                .collect();
            let mut rest = &bytes[..];
            let mut scanner = Scanner::default();
            while !rest.is_empty() {
                let scanned = scanner.take_frame(rest);
                assert!(scanned.len > 0);
                rest = &rest[scanned.len..];
            }
        }
    }

    #[test]
    fn a_scanner_is_small() {
        assert!(size_of::<Scanner>() <= 16);
    }
}
