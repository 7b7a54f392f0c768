//! A [`Net`] without a system, for looking at a state: connections are their numbers, the clock
//! stands, nothing comes and what is written is blocked.

use super::{Accept, Net, Read, Ready, TurnAway, Write};
use crate::id::{ConnId, Millis, Tick};
use std::io::IoSlice;

/// The network of a server that is not served.
#[derive(Debug, Default)]
pub struct Nowhere {
    now: Tick,
}

impl Nowhere {
    /// The clock stands at `now`.
    pub const fn at(now: Tick) -> Self {
        Self { now }
    }
}

impl Net for Nowhere {
    type Stream = u64;

    fn now(&self) -> Tick {
        self.now
    }

    fn wall(&self) -> Millis {
        Millis(0)
    }

    fn poll(&mut self, _until: Option<Tick>, _ready: &mut Vec<Ready>) {}

    fn accept(&mut self, _listener: usize) -> Accept<u64> {
        Accept::Empty
    }

    fn turn_away(&mut self, _listener: usize, _last_words: &[u8]) -> TurnAway {
        TurnAway::Empty
    }

    fn register(&mut self, _stream: &mut u64, _id: ConnId) -> bool {
        true
    }

    fn read(&mut self, _stream: &mut u64, _buffer: &mut [u8]) -> Read {
        Read::Blocked
    }

    fn write(&mut self, _stream: &mut u64, _bytes: &[u8]) -> Write {
        Write::Blocked
    }

    fn write_vectored(&mut self, _stream: &mut u64, _slices: &[IoSlice<'_>]) -> Write {
        Write::Blocked
    }

    fn shutdown_write(&mut self, _stream: &mut u64) {}

    fn has_unsent(&self, _stream: &u64) -> bool {
        false
    }

    fn reset(&mut self, _stream: &mut u64) {}

    fn stop_listening(&mut self, _but: &[usize]) {}

    fn passes(&self, stream: &u64) -> u64 {
        *stream
    }

    fn takes(&mut self, number: u64) -> Option<u64> {
        Some(number)
    }
}
