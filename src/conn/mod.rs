//! One connection without a socket: how long each of its states may last and how much may wait
//! for it. Knows no other connection and no system call.

mod settings;

pub use settings::Settings;
