//! The scanner reports "clean" exactly where a new tungstenite context would decode the rest of the
//! stream as the one does that read all of it. Checked after every byte.
#![no_main]

#[path = "../../src/ws/input.rs"]
mod input;

use input::Input;
use libfuzzer_sys::fuzz_target;
use parlor::ws::Scanner;
use std::io::ErrorKind;
use tungstenite::protocol::{Role, WebSocketConfig, WebSocketContext};
use tungstenite::{Error, Message};

/// Larger messages would only make the target slow; `ws_stream` tests long ones.
const BYTES_MAX: usize = 400;

/// A text frame in which only the first byte can begin a frame. The others have a reserved bit set,
/// so a context that is in the middle of a frame or a message reports an error.
const PROBE: &[u8] = b"\x81\x92\xff\xff\xff\xff\x9e\x9e\x9e\x9e\x9e\x9e\x9e\x9e\x9e\x9e\x9e\x9e\x9e\x9e\x9e\x9e\x9e\x9e";

/// What a context made of some bytes, and how the stream ended, if it did.
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

/// What a context that has read `before` makes of `after`; `None` if the stream ended in `before`.
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
            // After an error or a close frame nothing follows.
            return;
        };
        assert!(!saw_close, "a close frame that tungstenite did not find");
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
