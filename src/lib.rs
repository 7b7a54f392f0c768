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
//!          where TLS is spoken: records ─► data           tls/       server/records.rs
//!                      │ bytes
//!                      ▼
//!          HTTP head ─► upgrade ─► frames ─► one message  http/   ws/decoder.rs
//!                      │ message
//!                      ▼
//!          text ─► Request                                wire/      server/ask.rs
//!                      │ Request, who, now
//!                      ▼
//!          users, rooms, rules ─► Effects                 chat/      server/talk.rs
//!                      │ Append · Notice · Reply · Close
//!                      ▼
//!          draft ─► Entry, numbered in its room           log/       server/park.rs
//!                      │ Entry                  ─► store, on its own thread ─► stored: answered
//!                      ▼
//!          Entry, Event ─► Frame, encoded once, shared    server/deliver.rs frame.rs
//!                      │ frame
//!                      ▼
//!          one bounded queue per connection               conn/outbox.rs
//!                      │
//!  wheel ─► deadlines  ▼                                  wheel.rs   server/expire.rs
//!          reap: out of every table, once                 server/reap.rs
//!          flush: every dirty connection, one writev      server/flush.rs
//!          catch up: members behind read on from the log  server/catch_up.rs
//! ```
//!
//! Data goes down once per turn. Nothing below calls back up: lower parts return results. What the
//! store answers comes in with the next turn like any event (`server/keep.rs`).
//!
//! # A room is a log
//!
//! What is said in a room is an [entry](chat::Entry): numbered from 1 without a gap, kept, the same
//! for all members and in one order. A member is a cursor in it. *Live* members are given each entry
//! as it is numbered, and for them nothing is kept. A member whose outbox is full, that returns
//! after a while, or that is new and wants some of the past is *behind*: nothing waits for it but
//! the number of the last entry that it was given, and whenever its outbox is empty it is given a
//! page more, from memory or from the store, until it is live again. Joins, leaves and other
//! *notices* are neither numbered nor kept: live members see them among the entries, in one order.
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
//! - [`tls`]: records of TLS in, data out, and back. Between [`net`] and the others, which see only
//!   the data.
//! - [`http`]: a request's bytes in; an upgrade, a plain request or a refusal out. [`page`]: the
//!   chat page and its files, which answer plain requests.
//! - [`ws`]: WebSocket bytes in; messages, or why the connection must be closed, out.
//! - [`wire`]: text to [`wire::Request`], [`wire::Shown`] to text, one folder per protocol.
//! - [`chat`]: users, rooms, nicks, rules. Says what must be done as [`chat::Effect`]s.
//! - [`log`]: rooms as logs of numbered entries: what is in memory, and the seam to the store.
//! - [`store`]: keeps them in SQLite, on a thread of its own. [`redis`]: on a Redis that several
//!   servers share. [`admin`]: what operators ask of a
//!   running server. [`reload`]: reading the settings again. [`logging`]: the lines of the log.
//!   [`session`]: by which a client that returns is known as the one of an earlier
//!   connection. [`password`]: argon2id, on a thread of its own. [`token`]: what a site signs to let
//!   its own users in.
//! - [`carry`]: the state of a server as bytes, for the next image of the program in the same process.
//!   [`upgrade`]: whether that image understands them.
//! - [`frame`]: outgoing bytes, encoded once. [`rate`]: token buckets.
//! - [`wheel`]: when deadlines come. [`id`]: names of connections, rooms, moments. [`config`]: what
//!   can be set: each module's own settings, and how [`options`] are written.
//!   [`chance`]: random numbers from a seed. [`stats`]: what is counted. [`histogram`]: how often
//!   values fell below bounds. [`metrics`]: the text in which an operator's monitor reads them.
//!
//! - [`load`]: the load tester, a client of any WebSocket server. Shares only what is below.
//!   [`health`]: asks a server whether it is well. [`version`]: which parlor this is.
//!
//! # What is deliberately absent
//!
//! A clock outside `net/mio.rs`, but for the age of TLS tickets. A second encoder of frames. A second place that writes to a
//! socket, or that ends a connection. Removing a connection in the middle of a turn. Shared
//! mutable state behind reference counts. An allocation per receiver of a message. A tungstenite
//! context per idle connection.
//!
//! # Where to start
//!
//! - A new command: [`chat::Command`], its line in each protocol of [`wire`], its arm in
//!   [`chat::Chat::handle`]. A request that is not for the chat: [`wire::Ask`] and `server/ask.rs`.
//! - Something new to be kept: [`chat::Content`], what it changes in [`chat::Chat::ordered`], its
//!   form in each protocol and in the store.
//! - A new limit: the settings of the module where it applies, and its option in [`config`].
//! - A new state or deadline of a connection: [`conn::state`], then `server/expire.rs`.
//! - A new refusal: [`http::Refusal`]. A new reason to close: [`ws::CloseReason`].

pub mod admin;
pub mod budget;
pub mod carry;
pub mod chance;
pub mod chat;
pub mod config;
pub mod conn;
pub mod frame;
pub mod health;
pub mod histogram;
pub mod http;
pub mod id;
pub mod load;
pub mod log;
pub mod logging;
pub mod metrics;
pub mod net;
pub mod options;
pub mod page;
pub mod password;
pub mod rate;
pub mod redis;
pub mod reload;
pub mod server;
pub mod session;
pub mod stats;
pub mod store;
pub mod tls;
pub mod token;
pub mod upgrade;
pub mod version;
pub mod wheel;
pub mod wire;
pub mod ws;
