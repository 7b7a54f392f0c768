//! Members that send as fast as the server takes it: the part of this program that runs in a
//! process of its own. Each flooder is in a room of its own and reads what it is sent.

use super::{client, now};
use std::fmt::Write as _;
use std::io::{self, BufRead as _, ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::Duration;

/// The first argument of the process.
pub(crate) const ROLE: &str = "flooder";

/// What a flooder writes at once, at least: more than the socket takes, so that it is always full.
const CHUNK_BYTES: usize = 256 * 1024;

/// What a flood consists of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Pongs,
    Pings,
    EmptyTexts,
    OverRateTexts,
    LongTexts,
    /// Messages of 1,000 fragments with one byte each.
    Fragments,
    /// Messages of 1,000 fragments without a byte.
    EmptyFragments,
}

impl Kind {
    pub(crate) const ALL: [Self; 7] = [
        Self::Pongs,
        Self::Pings,
        Self::EmptyTexts,
        Self::OverRateTexts,
        Self::LongTexts,
        Self::Fragments,
        Self::EmptyFragments,
    ];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Pongs => "pongs",
            Self::Pings => "pings",
            Self::EmptyTexts => "empty-texts",
            Self::OverRateTexts => "over-rate-texts",
            Self::LongTexts => "long-texts",
            Self::Fragments => "fragments",
            Self::EmptyFragments => "empty-fragments",
        }
    }

    pub(crate) fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// Whole messages; the stream is this again and again.
    fn chunk(self) -> Vec<u8> {
        let unit = match self {
            Self::Pongs => client::frame(0x8A, b""),
            Self::Pings => client::frame(0x89, b""),
            Self::EmptyTexts => client::frame(0x81, b""),
            Self::OverRateTexts => client::frame(0x81, b"hello, is anybody there?"),
            Self::LongTexts => client::frame(0x81, &[b'x'; 16 * 1024]),
            Self::Fragments => fragments(b"x"),
            Self::EmptyFragments => fragments(b""),
        };
        unit.repeat(CHUNK_BYTES / unit.len() + 1)
    }
}

fn fragments(payload: &[u8]) -> Vec<u8> {
    [
        client::frame(0x01, payload),
        client::frame(0x00, payload).repeat(998),
        client::frame(0x80, payload),
    ]
    .concat()
}

/// What became of all flooders.
#[derive(Debug, Default)]
pub(crate) struct Fate {
    /// Bytes the sockets took.
    pub(crate) bytes: u64,
    open: usize,
    reset: usize,
    /// How many were closed with each code.
    closed: Vec<(u16, usize)>,
}

impl Fate {
    fn add_close(&mut self, code: u16) {
        match self.closed.iter_mut().find(|(known, _)| *known == code) {
            Some((_, count)) => *count += 1,
            None => self.closed.push((code, 1)),
        }
    }

    /// The line that the process prints.
    fn render(&self) -> String {
        let mut line = format!("{} {} {}", self.bytes, self.open, self.reset);
        for (code, count) in &self.closed {
            // Writing to a string cannot fail.
            let _ = write!(line, " {code} {count}");
        }
        line
    }

    pub(crate) fn parse(line: &str) -> Result<Self, String> {
        let numbers: Vec<u64> = line
            .split(' ')
            .map(str::parse)
            .collect::<Result<_, _>>()
            .map_err(|_| format!("the flooders said {line:?}"))?;
        let [bytes, open, reset, closed @ ..] = &numbers[..] else {
            return Err(format!("the flooders said {line:?}"));
        };
        let pair = |pair: &[u64]| (pair[0] as u16, pair[1] as usize);
        Ok(Self {
            bytes: *bytes,
            open: *open as usize,
            reset: *reset as usize,
            closed: closed.chunks_exact(2).map(pair).collect(),
        })
    }

    pub(crate) fn describe(&self) -> String {
        let mut parts = Vec::new();
        for (code, count) in &self.closed {
            parts.push(format!("{count} closed with {code}"));
        }
        if self.reset > 0 {
            parts.push(format!("{} reset", self.reset));
        }
        if self.open > 0 {
            parts.push(format!("{} open", self.open));
        }
        parts.join(", ")
    }
}

struct Flooder {
    stream: TcpStream,
    received: Vec<u8>,
    /// Bytes of the chunk that are written.
    at: usize,
    /// `Some` once it is over: the code of the close frame, if one came.
    end: Option<Option<u16>>,
    close_code: Option<u16>,
}

impl Flooder {
    fn join(server: SocketAddr, number: usize) -> io::Result<Self> {
        let (stream, received) = client::join(
            server,
            &format!("flood-{number}"),
            &format!("flooder-{number}"),
        )?;
        stream.set_nonblocking(true)?;
        Ok(Self {
            stream,
            received,
            at: 0,
            end: None,
            close_code: None,
        })
    }

    /// Writes once. Returns the bytes the socket took.
    fn write(&mut self, chunk: &[u8]) -> usize {
        match self.stream.write(&chunk[self.at..]) {
            Ok(count) => {
                self.at = (self.at + count) % chunk.len();
                count
            }
            Err(error) if would_block(&error) => 0,
            Err(_) => {
                // The close frame may still be readable.
                self.read();
                self.end.get_or_insert(self.close_code);
                0
            }
        }
    }

    /// Reads what there is.
    fn read(&mut self) {
        let mut buffer = [0; 4096];
        while self.end.is_none() {
            match self.stream.read(&mut buffer) {
                Ok(0) => self.end = Some(self.close_code),
                Ok(count) => self.received.extend_from_slice(&buffer[..count]),
                Err(error) if would_block(&error) => return,
                Err(_) => self.end = Some(self.close_code),
            }
            while let Some((opcode, payload)) = client::take_frame(&mut self.received) {
                if opcode == 8
                    && let [high, low, ..] = payload[..]
                {
                    self.close_code = Some(u16::from_be_bytes([high, low]));
                }
            }
        }
    }
}

fn would_block(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted)
}

/// Joins, says "ready", waits for a line, floods, and prints what became of the flooders.
pub(crate) fn run(words: &[String]) -> Result<(), String> {
    let [server, kind, count, millis] = words else {
        return Err(String::from("SERVER KIND COUNT MILLIS are needed"));
    };
    let server: SocketAddr = server.parse().map_err(|_| "no address")?;
    let kind = Kind::from_name(kind).ok_or("no such kind")?;
    let count: usize = count.parse().map_err(|_| "no number of flooders")?;
    let lasts = Duration::from_millis(millis.parse().map_err(|_| "no number of milliseconds")?);
    let chunk = kind.chunk();
    let mut flooders = (0..count)
        .map(|number| Flooder::join(server, number))
        .collect::<io::Result<Vec<_>>>()
        .map_err(|error| format!("a flooder: {error}"))?;
    say("ready")?;
    let mut go = String::new();
    io::stdin()
        .lock()
        .read_line(&mut go)
        .map_err(|error| error.to_string())?;
    let mut fate = Fate::default();
    let end = now() + lasts;
    while now() < end {
        let mut taken = 0;
        for flooder in flooders.iter_mut().filter(|flooder| flooder.end.is_none()) {
            taken += flooder.write(&chunk);
            flooder.read();
        }
        fate.bytes += taken as u64;
        if taken == 0 {
            thread::sleep(Duration::from_millis(1));
        }
    }
    for flooder in &flooders {
        match (flooder.end, flooder.close_code) {
            (Some(Some(code)), _) | (None, Some(code)) => fate.add_close(code),
            (Some(None), _) => fate.reset += 1,
            (None, None) => fate.open += 1,
        }
    }
    say(&fate.render())
}

fn say(line: &str) -> Result<(), String> {
    let mut output = io::stdout().lock();
    writeln!(output, "{line}")
        .and_then(|()| output.flush())
        .map_err(|error| error.to_string())
}
