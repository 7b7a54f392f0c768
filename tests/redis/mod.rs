//! A Redis of the tests: a server in memory with the commands and the scripts that the engine uses,
//! and a node that asks through an engine as a log does. `tests/outside` compares it with a real one.

#![allow(dead_code, reason = "each test binary uses a part")]

pub(crate) mod model;
pub(crate) mod node;
pub(crate) mod scripts;
