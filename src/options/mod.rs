//! Values as the command line and the environment write them, for the server and the load tester.
//! Knows no setting by name. Pure.

mod parse;

pub use parse::{parse_count, parse_duration};
