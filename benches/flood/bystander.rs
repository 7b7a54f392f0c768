//! Pairs of ordinary members, each in a room of its own: one talks slowly, the other measures how
//! long its messages take. Latency counts from the moment at which a message was due.

use super::{client, now};
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

const PAIRS: u32 = 4;

/// Between two messages of all pairs together: each pair says 8 a second, which is within the
/// default rate.
const GAP: Duration = Duration::from_micros(31_250);

/// A message that takes longer counts as lost.
const LATE: Duration = Duration::from_secs(3);

/// How long the messages took, the shortest first.
pub(crate) struct Latencies {
    sorted: Vec<Duration>,
    /// Messages that did not arrive in time.
    pub(crate) lost: usize,
}

impl Latencies {
    /// Lost messages count as the longest.
    pub(crate) fn quantile(&self, share: f64) -> Duration {
        let all = self.sorted.len() + self.lost;
        let index = ((all as f64 * share) as usize).min(all.saturating_sub(1));
        self.sorted.get(index).copied().unwrap_or(LATE)
    }
}

pub(crate) struct Pairs(Vec<Pair>);

struct Pair {
    talker: TcpStream,
    listener: TcpStream,
    /// What the listener has received and not looked at.
    received: Vec<u8>,
}

impl Pairs {
    pub(crate) fn join(server: SocketAddr) -> Result<Self, String> {
        let pair = |number| -> std::io::Result<Pair> {
            let room = format!("pair-{number}");
            let (talker, _) = client::join(server, &room, &format!("talker-{number}"))?;
            let (listener, received) = client::join(server, &room, &format!("listener-{number}"))?;
            Ok(Pair {
                talker,
                listener,
                received,
            })
        };
        let pairs = (0..PAIRS).map(pair).collect::<Result<_, _>>();
        pairs
            .map(Self)
            .map_err(|error| format!("a bystander: {error}"))
    }

    /// Talks for so long, and returns how long the messages took.
    pub(crate) fn talk(self, lasts: Duration) -> Result<Latencies, String> {
        let start = now();
        let rounds = (lasts.as_nanos() / (GAP * PAIRS).as_nanos()) as u32;
        let mut talkers = Vec::new();
        let mut listeners = Vec::new();
        for pair in self.0 {
            talkers.push(pair.talker);
            let (listener, received) = (pair.listener, pair.received);
            let end = start + lasts + LATE;
            listeners.push(thread::spawn(move || {
                listen(listener, received, start, rounds as usize, end)
            }));
        }
        for number in 0..rounds * PAIRS {
            let due = GAP * number;
            thread::sleep((start + due).saturating_duration_since(now()));
            let text = format!("due {}", due.as_nanos());
            let frame = client::frame(0x81, text.as_bytes());
            // What cannot be sent is counted as lost by the listener.
            let _ = talkers[(number % PAIRS) as usize].write_all(&frame);
        }
        let mut sorted = Vec::new();
        for listener in listeners {
            sorted.extend(listener.join().map_err(|_| "a listener panicked")?);
        }
        sorted.sort_unstable();
        let lost = (rounds * PAIRS) as usize - sorted.len();
        Ok(Latencies { sorted, lost })
    }
}

/// The latencies of `wanted` messages, or of those that came by `end`.
fn listen(
    mut stream: TcpStream,
    mut received: Vec<u8>,
    start: Instant,
    wanted: usize,
    end: Instant,
) -> Vec<Duration> {
    let mut latencies = Vec::new();
    let mut buffer = [0; 4096];
    while latencies.len() < wanted {
        let left = end.saturating_duration_since(now());
        if left.is_zero() || stream.set_read_timeout(Some(left)).is_err() {
            break;
        }
        match stream.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => received.extend_from_slice(&buffer[..count]),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(_) => break,
        }
        let since_start = start.elapsed();
        while let Some((_, payload)) = client::take_frame(&mut received) {
            let text = String::from_utf8_lossy(&payload);
            let due = text
                .split_once("due ")
                .and_then(|(_, due)| due.parse().ok());
            if let Some(due) = due.map(Duration::from_nanos) {
                latencies.push(since_start.saturating_sub(due));
            }
        }
    }
    latencies
}
