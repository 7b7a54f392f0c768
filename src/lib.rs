//! parlor: a WebSocket chat server for one small VPS. One process, one thread for all connections,
//! one event loop of its own.
//!
//! # One turn
//!
//! [`server::Server::turn`] is the table of contents. What one message meets on its way:
//!
//! ```text
//!  poll ─► events ─► read into one shared buffer          server/receive.rs   net/mio.rs
//!                      │ bytes
//!                      ▼
//!          HTTP head ─► upgrade ─► frames ─► one message  http/   ws/decoder.rs
//!                      │ message
//!                      ▼
//!          text ─► Command                                wire/plain.rs
//!                      │ Command, who, now
//!                      ▼
//!          rooms, members, rules ─► Effects               chat/
//!                      │ Tell · TellRoom · Close
//!                      ▼
//!          Event ─► Frame, encoded once, shared           server/deliver.rs frame.rs
//!                      │ frame
//!                      ▼
//!          one bounded queue per connection               conn/outbox.rs
//!                      │
//!  wheel ─► deadlines  ▼                                  wheel.rs   server/expire.rs
//!          flush: every dirty connection, one writev      server/flush.rs
//!          reap: out of every table, once                 server/reap.rs
//! ```
//!
//! Data goes down once per turn. Nothing below calls back up: lower parts return results.
//!
//! # Where things are
//!
//! In the order a connection meets them:
//!
//! - [`net`]: the system calls as a trait, and the only module with sockets, signals and clocks
//!   ([`net::mio`]). The tests run the same server over a simulated one.
//! - [`server`]: the turn of the loop. Owns all tables, calls everything below, decides the order.
//! - [`conn`]: one connection without a socket. All its states, transitions and deadlines
//!   ([`conn::state`]: how does a connection end?), and the bounded queue of what waits for it.
//! - [`http`]: a request's bytes in; an upgrade, a plain request or a refusal out. [`page`]: the
//!   chat page and its files, which answer plain requests.
//! - [`ws`]: WebSocket bytes in; messages, or why the connection must be closed, out.
//! - [`wire`]: text to [`chat::Command`], [`chat::Event`] to text, one file per protocol.
//! - [`chat`]: rooms, members, nicks, rules. Says what must be done as [`chat::Effect`]s.
//! - [`log`]: rooms as logs of numbered entries: what is in memory, and the seam to the store.
//! - [`store`]: keeps them in SQLite, on a thread of its own. [`admin`]: what operators ask of a
//!   running server. [`session`]: by which a client that returns is known as the one of an earlier
//!   connection.
//! - [`frame`]: outgoing bytes, encoded once. [`rate`]: token buckets.
//! - [`wheel`]: when deadlines come. [`id`]: names of connections, rooms, moments. [`config`]: what
//!   can be set: each module's own settings, and how [`options`] are written.
//!   [`chance`]: random numbers from a seed. [`stats`]: what is counted.
//!
//! - [`load`]: the load tester, a client of any WebSocket server. Shares only what is below.
//!
//! # What is deliberately absent
//!
//! A clock outside `net/mio.rs`. A second encoder of frames. A second place that writes to a
//! socket, or that ends a connection. Removing a connection in the middle of a turn. Shared
//! mutable state behind reference counts. An allocation per receiver of a message. A tungstenite
//! context per idle connection.
//!
//! # Where to start
//!
//! - A new command: [`chat::Command`], its line in `wire/plain.rs`, its arm in
//!   [`chat::Chat::handle`].
//! - A new limit: the settings of the module where it applies, and its option in [`config`].
//! - A new state or deadline of a connection: [`conn::state`], then `server/expire.rs`.
//! - A new refusal: [`http::Refusal`]. A new reason to close: [`ws::CloseReason`].

pub mod admin;
pub mod chance;
pub mod chat;
pub mod config;
pub mod conn;
pub mod frame;
pub mod http;
pub mod id;
pub mod load;
pub mod log;
pub mod net;
pub mod options;
pub mod page;
pub mod rate;
pub mod server;
pub mod session;
pub mod stats;
pub mod store;
pub mod wheel;
pub mod wire;
pub mod ws;
