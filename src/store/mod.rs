//! What keeps the entries of rooms. Knows the log's requests and answers; knows no connection and no
//! encoding of a protocol.

mod settings;

pub use settings::{Settings, StoreSync};
