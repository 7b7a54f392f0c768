//! The scanner says "clean" exactly where a fresh tungstenite context would go on as well as the
//! one that saw everything. Checked after every byte of any stream.
#![no_main]

use libfuzzer_sys::fuzz_target;
use parlor::ws::Scanner;
use std::io::{self, ErrorKind, Read, Write};
use tungstenite::protocol::{Role, WebSocketConfig, WebSocketContext};
use tungstenite::{Error, Message};

/// Larger messages would only make it slow: the length is another matter (`ws_stream`).
const BYTES_MAX: usize = 400;

/// Text, in a frame of which no byte but the first could begin another: each of the rest has a
/// reserved bit, so that whoever is in the middle of something stumbles over it.
const PROBE: &[u8] = b"\x81\x92\xff\xff\xff\xff\x9e\x9e\x9e\x9e\x9e\x9e\x9e\x9e\x9e\x9e\x9e\x9e\x9e\x9e\x9e\x9e\x9e\x9e";

struct Input<'a>(&'a [u8]);

impl Read for Input<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.0.is_empty() {
            return Err(ErrorKind::WouldBlock.into());
        }
        self.0.read(buffer)
    }
}

impl Write for Input<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// How a context takes bytes: what came out of it, and how it ended, if it did.
#[derive(Debug, PartialEq)]
struct Outcome {
    messages: Vec<Message>,
    end: Option<String>,
}

fn context() -> WebSocketContext {
    let config = WebSocketConfig::default()
        .read_buffer_size(512)
        .write_buffer_size(0)
        .max_message_size(Some(BYTES_MAX))
        .max_frame_size(Some(BYTES_MAX));
    WebSocketContext::new(Role::Server, Some(config))
}

fn feed(context: &mut WebSocketContext, bytes: &[u8]) -> Outcome {
    let mut input = Input(bytes);
    let mut messages = Vec::new();
    loop {
        match context.read(&mut input) {
            Ok(Message::Close(frame)) => {
                return Outcome {
                    messages,
                    end: Some(format!("{frame:?}")),
                };
            }
            Ok(message) => messages.push(message),
            Err(Error::Io(error)) if error.kind() == ErrorKind::WouldBlock => {
                return Outcome {
                    messages,
                    end: None,
                };
            }
            Err(error) => {
                return Outcome {
                    messages,
                    end: Some(error.to_string()),
                };
            }
        }
    }
}

/// What a context that saw `before` makes of `after`; `None` if it did not live to see it.
fn after(before: &[u8], after: &[u8]) -> Option<Outcome> {
    let mut context = context();
    feed(&mut context, before)
        .end
        .is_none()
        .then(|| feed(&mut context, after))
}

fuzz_target!(|bytes: &[u8]| {
    let bytes = &bytes[..bytes.len().min(BYTES_MAX)];
    let mut scanner = Scanner::default();
    for (at, byte) in bytes.iter().enumerate() {
        let saw_close = scanner.scan_for_close(&[*byte]);
        let (before, rest) = bytes.split_at(at + 1);
        let Some(probed) = after(before, PROBE) else {
            // An error or the client's close frame: nothing follows.
            return;
        };
        assert!(!saw_close, "a close frame that tungstenite does not see");
        let fresh = feed(&mut context(), PROBE);
        assert_eq!(
            scanner.is_clean(),
            probed == fresh,
            "after {} bytes",
            at + 1
        );
        if scanner.is_clean() {
            assert_eq!(
                after(before, rest),
                after(&[], rest),
                "after {} bytes",
                at + 1
            );
        }
    }
});
