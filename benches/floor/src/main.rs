//! The floor: the least that a program must do to forward a WebSocket message to a room, as a
//! lower bound for the cost of a chat server. Each message is one write per member; with
//! `--coalesce`, all messages of a turn are one writev per member.
//!
//! It has no nicks, rate limits, deadlines or fragments, and 12 bytes of tables per connection. Its
//! sockets have the same options as parlor's, and a slow reader does not block the others.

mod sockets;
mod wire;

use rustix::event::{Timespec, epoll};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SocketFlags, accept_with, recv};
use socket2::{Domain, Protocol, Socket, Type};
use sockets::Sockets;
use std::collections::HashMap;
use std::io::{self, IoSlice, Write as _};
use std::mem;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};
use wire::{Parsed, parse_frame, parse_request};

const EVENTS_MAX: usize = 1024;
const READ_BUFFER_BYTES: usize = 64 << 10;
/// The same as parlor's default.
const SEND_BUFFER_BYTES: usize = 16 << 10;
const BACKLOG: i32 = 4096;
/// Connections accepted in one turn, so that accepting does not delay the other connections.
const ACCEPTS_MAX: usize = 256;
/// The most slices one writev takes (UIO_MAXIOV).
const SLICES_MAX: usize = 1024;
/// The interval at which the heartbeat pings the next part of the sockets.
const STEP: Duration = Duration::from_millis(100);

const LISTENER: u64 = u64::MAX;
/// Stands for a room while the request has not been received.
const NO_ROOM: u32 = u32::MAX;

const HELP: &str = "\
floor [PORT] [--coalesce] [--heartbeat SECONDS]
  PORT                  on 127.0.0.1; 0 takes a free one [0]
  --coalesce            one writev per member and turn instead of one write per message
  --heartbeat SECONDS   a ping to every connection so often, spread evenly [none]";

struct Options {
    port: u16,
    coalesce: bool,
    heartbeat: Option<Duration>,
}

impl Options {
    fn parse(mut arguments: impl Iterator<Item = String>) -> Option<Self> {
        let mut options = Self {
            port: 0,
            coalesce: false,
            heartbeat: None,
        };
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--coalesce" => options.coalesce = true,
                "--heartbeat" => {
                    let seconds: f64 = arguments.next()?.parse().ok()?;
                    let period = Duration::try_from_secs_f64(seconds).ok()?;
                    options.heartbeat = Some(period.max(STEP));
                }
                port => options.port = port.parse().ok()?,
            }
        }
        Some(options)
    }
}

/// The members of a room, and the frames that wait for them.
#[derive(Default)]
struct Room {
    members: Vec<u32>,
    /// With `--coalesce`: the frames of this turn, concatenated, and the end of each.
    queued: Vec<u8>,
    ends: Vec<usize>,
}

struct Floor {
    sockets: Sockets,
    listener: Socket,
    coalesce: bool,
    /// By descriptor number.
    room_of: Vec<u32>,
    rooms: Vec<Room>,
    names: HashMap<Vec<u8>, u32>,
    /// Rooms with queued frames.
    dirty: Vec<u32>,
    /// Incomplete requests and frames.
    halves: HashMap<u32, Vec<u8>>,
    /// The frame that is forwarded.
    frame: Vec<u8>,
    buffer: Vec<u8>,
}

impl Floor {
    fn new(options: &Options) -> io::Result<Self> {
        let listener = listen(options.port)?;
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let data = epoll::EventData::new_u64(LISTENER);
        epoll::add(&epoll, &listener, data, epoll::EventFlags::IN)?;
        Ok(Self {
            sockets: Sockets::new(epoll),
            listener,
            coalesce: options.coalesce,
            room_of: Vec::new(),
            rooms: Vec::new(),
            names: HashMap::new(),
            dirty: Vec::new(),
            halves: HashMap::new(),
            frame: Vec::new(),
            buffer: vec![0; READ_BUFFER_BYTES],
        })
    }

    fn turn(
        &mut self,
        events: &mut Vec<epoll::Event>,
        timeout: Option<Duration>,
    ) -> io::Result<()> {
        let timeout = timeout.map(|timeout| Timespec {
            tv_sec: timeout.as_secs() as i64,
            tv_nsec: i64::from(timeout.subsec_nanos()),
        });
        let spare = rustix::buffer::spare_capacity(events);
        match epoll::wait(self.sockets.epoll(), spare, timeout.as_ref()) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        let mut has_newcomers = false;
        for event in events.drain(..) {
            let (data, flags) = (event.data, event.flags);
            if data.u64() == LISTENER {
                has_newcomers = true;
                continue;
            }
            let number = data.u64() as u32;
            if flags.contains(epoll::EventFlags::OUT) {
                self.sockets.writable(number);
            }
            if flags.intersects(!epoll::EventFlags::OUT) {
                self.receive(number);
            }
        }
        self.flush();
        self.reap();
        if has_newcomers {
            self.accept()?;
        }
        Ok(())
    }

    fn accept(&mut self) -> io::Result<()> {
        for _ in 0..ACCEPTS_MAX {
            let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
            let socket = match accept_with(&self.listener, flags) {
                Ok(socket) => socket,
                Err(Errno::AGAIN) => return Ok(()),
                // The connection was aborted before it was accepted.
                Err(Errno::CONNABORTED | Errno::INTR) => continue,
                Err(error) => return Err(error.into()),
            };
            let place = self.sockets.add(socket)? as usize;
            if place >= self.room_of.len() {
                self.room_of.resize(place + 1, NO_ROOM);
            }
            self.room_of[place] = NO_ROOM;
        }
        Ok(())
    }

    /// Reads once. Level-triggered epoll reports what is left in the next turn.
    fn receive(&mut self, number: u32) {
        let Some(socket) = self.sockets.get(number) else {
            return;
        };
        let count = match recv(socket, self.buffer.as_mut_slice(), RecvFlags::empty()) {
            Ok((0, _)) => return self.sockets.close_later(number),
            Ok((count, _)) => count,
            Err(Errno::AGAIN | Errno::INTR) => return,
            Err(_) => return self.sockets.close_later(number),
        };
        let half = match self.halves.is_empty() {
            true => None,
            false => self.halves.remove(&number),
        };
        if let Some(mut half) = half {
            half.extend(&self.buffer[..count]);
            let used = self.take(number, &mut half);
            half.drain(..used);
            self.keep_half(number, half);
        } else {
            let mut buffer = mem::take(&mut self.buffer);
            let used = self.take(number, &mut buffer[..count]);
            if used < count {
                self.keep_half(number, buffer[used..count].to_vec());
            }
            self.buffer = buffer;
        }
    }

    fn keep_half(&mut self, number: u32, half: Vec<u8>) {
        if !half.is_empty() {
            self.halves.insert(number, half);
        }
    }

    /// Handles all complete requests and frames of `bytes` and returns their length.
    fn take(&mut self, number: u32, bytes: &mut [u8]) -> usize {
        let mut used = 0;
        if self.room_of[number as usize] == NO_ROOM {
            match parse_request(bytes) {
                Parsed::Whole(request) => {
                    used = request.bytes;
                    let room = self.room(request.path);
                    self.rooms[room as usize].members.push(number);
                    self.room_of[number as usize] = room;
                    let response = wire::switching_protocols(request.key);
                    self.sockets.write(number, &response);
                }
                Parsed::Partial => return 0,
                Parsed::Wrong => {
                    self.sockets.close_later(number);
                    return bytes.len();
                }
            }
        }
        let room = self.room_of[number as usize];
        while used < bytes.len() {
            let frame = match parse_frame(&mut bytes[used..]) {
                Parsed::Whole(frame) => frame,
                Parsed::Partial => return used,
                Parsed::Wrong => {
                    self.sockets.close_later(number);
                    return bytes.len();
                }
            };
            used += frame.bytes;
            match frame.opcode {
                wire::TEXT | wire::BINARY => self.pass_on(room, frame.opcode, frame.payload),
                wire::PING => self.answer(number, wire::PONG, frame.payload),
                wire::CLOSE => {
                    self.answer(number, wire::CLOSE, frame.payload);
                    self.sockets.close_later(number);
                    return bytes.len();
                }
                _ => {}
            }
        }
        used
    }

    fn room(&mut self, path: &[u8]) -> u32 {
        if let Some(room) = self.names.get(path) {
            return *room;
        }
        let room = self.rooms.len() as u32;
        self.rooms.push(Room::default());
        self.names.insert(path.to_vec(), room);
        room
    }

    fn answer(&mut self, number: u32, opcode: u8, payload: &[u8]) {
        self.frame.clear();
        wire::encode(opcode, payload, &mut self.frame);
        self.sockets.write(number, &self.frame);
    }

    fn pass_on(&mut self, room: u32, opcode: u8, payload: &[u8]) {
        let members = &mut self.rooms[room as usize];
        if self.coalesce {
            if members.ends.is_empty() {
                self.dirty.push(room);
            }
            wire::encode(opcode, payload, &mut members.queued);
            members.ends.push(members.queued.len());
            if members.ends.len() == SLICES_MAX {
                self.flush();
            }
            return;
        }
        self.frame.clear();
        wire::encode(opcode, payload, &mut self.frame);
        for member in &members.members {
            self.sockets.write(*member, &self.frame);
        }
    }

    /// With `--coalesce`: sends the frames of this turn by one writev per member.
    fn flush(&mut self) {
        for room in self.dirty.drain(..) {
            let room = &mut self.rooms[room as usize];
            let mut slices = Vec::with_capacity(room.ends.len());
            let mut start = 0;
            for end in room.ends.drain(..) {
                slices.push(IoSlice::new(&room.queued[start..end]));
                start = end;
            }
            for member in &room.members {
                self.sockets.write_all(*member, &slices, start);
            }
            drop(slices);
            room.queued.clear();
        }
    }

    /// Searches the whole room, because leaving is not measured.
    fn reap(&mut self) {
        while let Some(number) = self.sockets.close_next() {
            self.halves.remove(&number);
            let room = mem::replace(&mut self.room_of[number as usize], NO_ROOM);
            let Some(room) = self.rooms.get_mut(room as usize) else {
                continue;
            };
            if let Some(place) = room.members.iter().position(|member| *member == number) {
                room.members.swap_remove(place);
            }
        }
    }

    fn ping(&mut self, number: u32) {
        if self
            .room_of
            .get(number as usize)
            .is_some_and(|room| *room != NO_ROOM)
        {
            self.sockets.write(number, &wire::PING_FRAME);
        }
    }
}

/// Pings each socket once per period, in the order of the table.
struct Heartbeat {
    period: Duration,
    next_step: Instant,
    cursor: usize,
}

impl Heartbeat {
    fn new(period: Duration) -> Self {
        Self {
            period,
            next_step: now() + STEP,
            cursor: 0,
        }
    }

    fn timeout(&self) -> Duration {
        self.next_step.saturating_duration_since(now())
    }

    fn beat(&mut self, floor: &mut Floor) {
        if !self.timeout().is_zero() {
            return;
        }
        self.next_step += STEP;
        let share = STEP.as_secs_f64() / self.period.as_secs_f64();
        let table_len = floor.sockets.table_len();
        let end = self.cursor + (table_len as f64 * share).ceil() as usize;
        for place in self.cursor..end.min(table_len) {
            floor.ping(place as u32);
        }
        self.cursor = if end >= table_len { 0 } else { end };
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "parlor's rule about its clock; this is no part of parlor"
)]
fn now() -> Instant {
    Instant::now()
}

/// The same options as parlor's listener; accepted sockets inherit them.
fn listen(port: u16) -> io::Result<Socket> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_tcp_nodelay(true)?;
    socket.set_send_buffer_size(SEND_BUFFER_BYTES)?;
    socket.set_tcp_notsent_lowat(SEND_BUFFER_BYTES as u32)?;
    socket.set_nonblocking(true)?;
    socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, port)).into())?;
    socket.listen(BACKLOG)?;
    Ok(socket)
}

fn run(options: &Options) -> io::Result<()> {
    let mut floor = Floor::new(options)?;
    let address = floor.listener.local_addr()?.as_socket();
    let mut out = io::stdout();
    writeln!(
        out,
        "listening on {}",
        address.map_or(0, |address| address.port())
    )?;
    out.flush()?;
    let mut heartbeat = options.heartbeat.map(Heartbeat::new);
    let mut events = Vec::with_capacity(EVENTS_MAX);
    loop {
        floor.turn(&mut events, heartbeat.as_ref().map(Heartbeat::timeout))?;
        if let Some(heartbeat) = &mut heartbeat {
            heartbeat.beat(&mut floor);
        }
    }
}

fn main() {
    let Some(options) = Options::parse(std::env::args().skip(1)) else {
        eprintln!("{HELP}");
        std::process::exit(2);
    };
    if let Err(error) = run(&options) {
        eprintln!("floor: {error}");
        std::process::exit(1);
    }
}
