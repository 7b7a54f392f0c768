//! parlor: a WebSocket chat server for one small VPS.

pub mod config;
pub mod frame;
pub mod http;
pub mod id;
pub mod outbox;
pub mod wheel;
pub mod ws;
