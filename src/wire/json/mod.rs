//! `parlor.v1.json`: an object per message, described in docs/protocol.md. Read with serde_json,
//! which is strict and whose strings are borrowed where they have no escapes; written by hand, for
//! each message is written once for all members of a room and much of it is fixed text.

mod moderation;
mod read;
mod render;
mod write;

pub(super) use read::Message;
pub(super) use render::render;
pub(super) use write::said_bytes;

/// As it is offered in Sec-WebSocket-Protocol.
pub(super) const NAME: &str = "parlor.v1.json";

#[cfg(test)]
mod tests;
