//! Rooms on a Redis that several servers share: it numbers the entries, keeps them and brings those
//! of each server to the others. Bytes and ticks in, bytes and answers out; no socket, no clock.
//!
//! - [`resp`]: the protocol. [`scripts`]: what Redis runs, and the names of its keys.
//! - `link`: one of the two connections, from the handshake on. `messages`: what the scripts say.
//! - `facts`: how far the registry has come. `change`: changes of it as bytes.
//! - `rooms`: what came of each room and what is missing. `entry`: entries as bytes, and so `members`
//!   of rooms and `counts` of them; `told`: what both have in common.
//! - [`engine`]: all of it together, behind the log's seam. [`Desk`]: the seam for a loop that owns
//!   the engine and its sockets.
//!
//! What holds: each entry has one place in its room and epoch; one that is handed over again with
//! its key within two minutes is there once; a Redis that is not the one before (its run id
//! differs) begins a new epoch in each room, so that what it lost is noticed and told.

mod change;
pub mod counts;
mod desk;
pub mod engine;
pub mod entry;
mod facts;
mod keys;
mod link;
pub mod members;
mod messages;
mod report;
pub mod resp;
mod rooms;
pub mod scripts;
mod settings;
mod told;

pub use change::{Words, fact};
pub use desk::{Counter, Desk, desk};
pub use engine::{Action, Engine};
pub use link::Which;
pub use report::{Figures, Report};
pub use scripts::Keep;
pub use settings::{DEDUPE_MS, Settings};
