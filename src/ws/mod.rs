//! What a WebSocket client sends (RFC 6455): bytes in, messages or a reason to close out.
//! Knows no socket and no clock. Frames are encoded by `frame.rs`; [`reply_to`] asks it for the
//! answer to a close.
//!
//! tungstenite implements the protocol. An idle connection has no tungstenite context: its
//! [`Decoder`] consists of a [`Scanner`] of 16 bytes, which follows the frame boundaries, and an
//! empty pointer. Frames that arrive whole go through the one [`Spare`]; a connection has a context
//! of its own only while a frame or a fragmented message is incomplete.

mod close;
mod decoder;
mod input;
mod scanner;
mod settings;

pub use close::{CLIENT_CODES, CloseReason, Violation, client_code, reply_to};
pub use decoder::{Decoder, Received, Spare};
pub use scanner::Scanner;
pub use settings::Limits;
