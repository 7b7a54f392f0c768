//! What an operator asks of a store and of a running server.
//!
//! A running server answers on a Unix socket, in HTTP/1.1 with JSON: [`receive`] and [`Request`]
//! understand the requests, [`Answer`] is rendered to a response. The commands of the command line
//! ([`backup`], [`export`], [`audit`], [`check`], [`account`]) take the store's lock where no server
//! has it, and ask the server (`client`) where one has; [`order()`] and [`operate()`] always ask one. Knows no
//! connection and no table.

mod accounts;
mod answer;
mod client;
mod commands;
mod drain;
mod operate;
mod operation;
mod order;
mod progress;
mod request;
mod settings;

pub use accounts::{AccountCommand, parse_role};
pub use answer::{Answer, StoreReport};
pub use commands::{Place, Screen, account, audit, backup, check, export};
pub use drain::drain;
pub use operate::operate;
pub use operation::{NOTICE_BYTES_MAX, Operation};
pub use order::order;
pub use progress::Progress;
pub use request::{Received, Request, receive};
pub use settings::AdminSocket;
