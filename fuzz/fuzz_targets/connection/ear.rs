//! What a client receives. Panics at what a server must never send: bytes after the last response
//! or the close frame, half a frame, or a frame that only a client may send.

use super::framing::{self, ServerFrame};

/// The bytes from the server of which a frame or a response is not yet whole.
#[derive(Default)]
pub(crate) struct Ear {
    bytes: Vec<u8>,
    is_websocket: bool,
    /// The close frame or the last response has come: no byte may follow.
    is_over: bool,
}

impl Ear {
    pub(crate) fn hear(&mut self, bytes: &[u8]) {
        self.bytes.extend(bytes);
        loop {
            assert!(
                self.bytes.is_empty() || !self.is_over,
                "bytes after the close frame or the last response"
            );
            let parsed = if self.is_websocket {
                self.frame()
            } else {
                self.response()
            };
            let Some(len) = parsed else { return };
            self.bytes.drain(..len);
        }
    }

    /// The server has shut its side in good order.
    pub(crate) fn end(&self) {
        assert!(
            self.bytes.is_empty(),
            "the server ended in the middle of {:?}",
            self.bytes.escape_ascii()
        );
    }

    fn response(&mut self) -> Option<usize> {
        let mut headers = [httparse::EMPTY_HEADER; 32];
        let mut response = httparse::Response::new(&mut headers);
        let parsed = response.parse(&self.bytes).expect("a response");
        let httparse::Status::Complete(head_len) = parsed else {
            return None;
        };
        let field = |name| response.headers.iter().find(|field| field.name == name);
        let body_len = field("Content-Length").map_or(0, |field| {
            str::from_utf8(field.value)
                .expect("text")
                .parse::<usize>()
                .expect("a number")
        });
        let closes = field("Connection").is_some_and(|field| field.value.starts_with(b"close"));
        let status = response.code.expect("a status");
        if self.bytes.len() < head_len + body_len {
            return None;
        }
        self.is_websocket = status == 101;
        self.is_over = closes || status >= 400;
        Some(head_len + body_len)
    }

    fn frame(&mut self) -> Option<usize> {
        let (frame, len) = framing::parse(&self.bytes)?;
        self.is_over = matches!(frame, ServerFrame::Close(..));
        Some(len)
    }
}
