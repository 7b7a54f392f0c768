//! The server from outside: the real binary as a process, over real sockets, with a small client
//! that can also do what no client should, and with clients nobody here wrote.

mod accounts;
mod admin;
mod browsers;
mod certificates;
mod clients;
mod conversations;
mod crowd;
mod direct;
mod disk;
mod docs;
mod drain;
mod facts;
mod faults;
mod floods;
mod frames;
#[path = "../framing/mod.rs"]
mod framing;
mod handshake;
mod health;
mod heartbeat;
mod hostile;
mod keeping_up;
mod kills;
mod limits;
mod load;
mod members;
mod metrics;
mod moderation;
mod nodes;
mod operate;
mod outbox;
mod pages;
mod program;
mod programs;
mod proxied;
mod proxies;
mod purges;
mod redis;
mod redis_model;
mod relay;
mod reload;
mod room;
mod rooms;
#[path = "../schema/mod.rs"]
mod schema;
mod settings;
mod shutdown;
mod start;
mod store;
mod support;
mod systemd;
mod tls;
mod traffic;
mod unix;
mod upgrade;
