//! A room is a log of numbered entries. Knows what is in memory of it and what to ask of a store;
//! knows no connection, no encoding and no file.

mod settings;
mod store;

pub use settings::Settings;
pub use store::{
    Answer, EpochInfo, Era, Health, Kept, KeptKey, Key, Page, PageEntry, Record, Request, Started,
    Store, StoredRoom,
};
