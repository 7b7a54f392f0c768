//! One connection without a socket: its state, its deadlines, and the bounded queue of what waits
//! for its peer.
//!
//! `conn` decides, `server` carries out. Each function takes an event (bytes came, the outbox is
//! empty, a deadline has come) and returns what the server must do about it. Knows no socket, no
//! clock, no other connection and no member.
//!
//! [`state`] has the table of all states, their transitions and their deadlines, and the answer to
//! "how does a connection end?".

mod deadlines;
mod held;
pub mod outbox;
mod settings;
pub mod state;

pub use deadlines::{Deadlines, RETRY_TICKS};
pub use held::{Wait, Waits};
pub use outbox::Outbox;
pub use settings::Settings;
pub use state::State;
