//! What an operator sets about messages from clients.

/// Bounds of one message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The longest message a client may send.
    pub max_message_bytes: usize,
    /// The most fragments one message may come in.
    pub max_fragments: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_message_bytes: 16 * 1024,
            max_fragments: 1024,
        }
    }
}
