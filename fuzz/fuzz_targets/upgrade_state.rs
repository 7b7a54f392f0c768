//! The state that another image takes over: any bytes are refused or understood. What is understood
//! is a server that turns, agrees with itself, and can be saved and taken over again.

#![no_main]

use libfuzzer_sys::fuzz_target;
use parlor::carry::{Writer, open, seal};
use parlor::config::Config;
use parlor::log::Keeping;
use parlor::net::Nowhere;
use parlor::server::Server;

fn server() -> Server<Nowhere> {
    let keeping = Keeping::in_memory([7; 36]);
    Server::new(Config::default(), Nowhere::default(), 1000, 1, keeping)
}

fuzz_target!(|data: &[u8]| {
    // As it is, most likely no state at all.
    let _ = open(data);
    // As the body of one, whose checksum is right.
    let mut body = Writer::default();
    body.put(data);
    let state = seal(body);
    let mut first = server();
    if first.restore(&state).is_err() {
        return;
    }
    first.watch_inherited();
    for _ in 0..3 {
        let _ = first.turn();
    }
    let saved = first.save();
    let mut second = server();
    assert_eq!(
        second.restore(&saved),
        Ok(()),
        "what was saved is understood"
    );
});
