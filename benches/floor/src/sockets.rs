//! The open sockets and the bytes that wait for them. Knows bytes, not frames or rooms. Each frame
//! is written whole or dropped whole, so that no frame is cut.

use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::io::{Errno, writev};
use rustix::net::{SendFlags, send};
use std::collections::HashMap;
use std::io::{self, IoSlice};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

/// Bytes that may wait for one socket, as by parlor's default. Frames above it are dropped and
/// counted.
const BACKLOG_BYTES_MAX: usize = 64 << 10;

pub struct Sockets {
    epoll: OwnedFd,
    /// By descriptor number. An entry takes 4 bytes, `None` included.
    table: Vec<Option<OwnedFd>>,
    /// Bytes that wait, only for sockets whose send buffer is full.
    backlogs: HashMap<u32, Vec<u8>>,
    /// Sockets to be closed at the end of the turn; one may occur twice.
    closing: Vec<u32>,
    pub dropped: u64,
}

impl Sockets {
    pub fn new(epoll: OwnedFd) -> Self {
        Self {
            epoll,
            table: Vec::new(),
            backlogs: HashMap::new(),
            closing: Vec::new(),
            dropped: 0,
        }
    }

    pub fn add(&mut self, socket: OwnedFd) -> io::Result<u32> {
        let number = socket.as_raw_fd() as u32;
        epoll::add(
            &self.epoll,
            &socket,
            EventData::new_u64(u64::from(number)),
            EventFlags::IN,
        )?;
        let place = number as usize;
        if place >= self.table.len() {
            self.table.resize_with(place + 1, || None);
        }
        self.table[place] = Some(socket);
        Ok(number)
    }

    pub fn get(&self, number: u32) -> Option<BorrowedFd<'_>> {
        self.table.get(number as usize)?.as_ref().map(AsFd::as_fd)
    }

    /// One more than the highest descriptor so far.
    pub fn table_len(&self) -> usize {
        self.table.len()
    }

    pub fn close_later(&mut self, number: u32) {
        self.closing.push(number);
    }

    /// Closes one of the sockets to be closed and returns it.
    pub fn close_next(&mut self) -> Option<u32> {
        loop {
            let number = self.closing.pop()?;
            if self.table[number as usize].take().is_some() {
                self.backlogs.remove(&number);
                return Some(number);
            }
        }
    }

    /// Writes one frame with one system call.
    pub fn write(&mut self, number: u32, frame: &[u8]) {
        let Some(socket) = self.table.get(number as usize).and_then(Option::as_ref) else {
            return;
        };
        if !self.backlogs.is_empty() && self.backlogs.contains_key(&number) {
            self.keep(number, &[IoSlice::new(frame)], 0);
            return;
        }
        match send(socket, frame, SendFlags::NOSIGNAL) {
            Ok(count) if count == frame.len() => {}
            Ok(count) => self.block(number, &[IoSlice::new(frame)], count),
            Err(Errno::AGAIN) => self.block(number, &[IoSlice::new(frame)], 0),
            Err(_) => self.closing.push(number),
        }
    }

    /// Writes several frames of `bytes` with one system call.
    pub fn write_all(&mut self, number: u32, frames: &[IoSlice<'_>], bytes: usize) {
        let Some(socket) = self.table.get(number as usize).and_then(Option::as_ref) else {
            return;
        };
        if !self.backlogs.is_empty() && self.backlogs.contains_key(&number) {
            self.keep(number, frames, 0);
            return;
        }
        match writev(socket, frames) {
            Ok(count) if count == bytes => {}
            Ok(count) => self.block(number, frames, count),
            Err(Errno::AGAIN) => self.block(number, frames, 0),
            Err(_) => self.closing.push(number),
        }
    }

    /// The kernel accepted only `written` bytes; the rest waits until it accepts more.
    fn block(&mut self, number: u32, frames: &[IoSlice<'_>], written: usize) {
        self.keep(number, frames, written);
        self.watch(number, EventFlags::IN | EventFlags::OUT);
    }

    /// Keeps the bytes after the first `written`: always the rest of a partly written frame, and
    /// further frames if they fit.
    fn keep(&mut self, number: u32, frames: &[IoSlice<'_>], mut written: usize) {
        let backlog = self.backlogs.entry(number).or_default();
        for frame in frames {
            if written >= frame.len() {
                written -= frame.len();
                continue;
            }
            if written == 0 && backlog.len() + frame.len() > BACKLOG_BYTES_MAX {
                self.dropped += 1;
            } else {
                backlog.extend(&frame[written..]);
            }
            written = 0;
        }
    }

    pub fn writable(&mut self, number: u32) {
        let Some(socket) = self.table.get(number as usize).and_then(Option::as_ref) else {
            return;
        };
        let Some(backlog) = self.backlogs.get_mut(&number) else {
            return;
        };
        match send(socket, backlog, SendFlags::NOSIGNAL) {
            Ok(count) => {
                backlog.drain(..count);
            }
            Err(Errno::AGAIN) => {}
            Err(_) => self.closing.push(number),
        }
        if backlog.is_empty() {
            self.backlogs.remove(&number);
            self.watch(number, EventFlags::IN);
        }
    }

    fn watch(&mut self, number: u32, flags: EventFlags) {
        let Some(socket) = self.table.get(number as usize).and_then(Option::as_ref) else {
            return;
        };
        let data = EventData::new_u64(u64::from(number));
        if epoll::modify(&self.epoll, socket, data, flags).is_err() {
            self.closing.push(number);
        }
    }

    pub fn epoll(&self) -> BorrowedFd<'_> {
        self.epoll.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read as _;
    use std::os::unix::net::UnixStream;

    fn sockets() -> (Sockets, u32, UnixStream) {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC).expect("an epoll");
        let (ours, theirs) = UnixStream::pair().expect("a pair");
        ours.set_nonblocking(true).expect("a socket");
        theirs.set_nonblocking(true).expect("a socket");
        let mut sockets = Sockets::new(epoll);
        let number = sockets.add(ours.into()).expect("a registration");
        (sockets, number, theirs)
    }

    fn read_all(sockets: &mut Sockets, number: u32, theirs: &mut UnixStream) -> Vec<u8> {
        let mut got = Vec::new();
        let mut buffer = [0; 4096];
        loop {
            match theirs.read(&mut buffer) {
                Ok(count) => got.extend(&buffer[..count]),
                Err(_) if sockets.backlogs.is_empty() => return got,
                Err(_) => sockets.writable(number),
            }
        }
    }

    #[test]
    fn what_a_slow_reader_gets_is_whole_frames_in_order() {
        let (mut sockets, number, mut theirs) = sockets();
        for count in 0..5_000_u32 {
            let frame = count.to_be_bytes().repeat(250);
            if count % 2 == 0 {
                sockets.write(number, &frame);
            } else {
                let slices = [IoSlice::new(&frame[..500]), IoSlice::new(&frame[500..])];
                sockets.write_all(number, &slices, frame.len());
            }
        }
        assert!(
            sockets.dropped > 0,
            "nothing was dropped: the test is too small"
        );
        let got = read_all(&mut sockets, number, &mut theirs);
        assert_eq!(got.len() % 500, 0);
        let mut last = 0;
        for half in got.chunks(500) {
            let first = [half[0], half[1], half[2], half[3]];
            assert_eq!(half, first.repeat(125), "a frame was torn");
            assert!(u32::from_be_bytes(first) >= last, "a frame came too late");
            last = u32::from_be_bytes(first);
        }
    }
}
