//! What a WebSocket client sends, understood: bytes in, messages or a reason to close out
//! (RFC 6455). Knows no socket and no clock, and encodes nothing: answers are `frame.rs`'s.
//!
//! The protocol itself is tungstenite's. What is ours is that an idle connection owns no
//! tungstenite context: a [`Scanner`] of 16 bytes follows the frame boundaries, whole frames go
//! through the loop's one [`Spare`], and only a connection in the middle of a frame or a message
//! has a context of its own.

mod close;
mod decoder;
mod scanner;
mod settings;

pub use close::{CloseReason, Violation, reply_to};
pub use decoder::{Decoder, Received, Spare};
pub use scanner::Scanner;
pub use settings::Limits;
