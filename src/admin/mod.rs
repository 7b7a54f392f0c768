//! What an operator asks of a running server, over a Unix socket. Knows no connection and no store.

mod settings;

pub use settings::AdminSocket;
