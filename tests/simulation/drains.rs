//! Draining at random turns. People and programs come, some of whom read slowly, answer nothing or
//! vanish; at a random turn the server is asked to drain, and sometimes to stop while it does.
//!
//! The judge sees what the clients see: after the request no connection is accepted; each member is
//! closed once, with its code and, for a program, a time within its bounds; not all at once; and the
//! server ends when all are gone, at the latest when its time is over.

use super::chance::Chance;
use super::client;
use super::framing::{self, ServerFrame};
use super::net::{Faults, Happened, SimNet};
use super::trace::Trace;
use parlor::config::Config;
use parlor::id::{Peer, Tick, ticks};
use parlor::log::Keeping;
use parlor::net::{Net, Signal};
use parlor::server::{Server, Turn};
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

const SEEDS: u64 = 300;

/// A fault, if there is one, shows long before.
const TURNS_MAX: usize = 200_000;

/// Members that a tick closes at least, while there are so many (src/server/drain.rs).
const EACH_TICK_MIN: usize = 25;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Manner {
    /// Reads and answers.
    Polite,
    /// Reads a few bytes at a time.
    Slow,
    /// Reads, and answers no close frame.
    Mute,
    /// Reads nothing.
    Deaf,
    /// Does not finish its request.
    Half,
    /// Fetches a page and keeps the connection.
    Visitor,
}

const MANNERS: [Manner; 8] = [
    Manner::Polite,
    Manner::Polite,
    Manner::Polite,
    Manner::Slow,
    Manner::Mute,
    Manner::Deaf,
    Manner::Half,
    Manner::Visitor,
];

struct Guest {
    socket: usize,
    manner: Manner,
    is_program: bool,
    received: Vec<u8>,
    is_upgraded: bool,
    has_vanished: bool,
    /// The code of the close frame.
    closed: Option<u16>,
}

impl Guest {
    /// Takes apart what has come. True: the close frame was in it.
    fn hears(&mut self, bytes: &[u8]) -> bool {
        assert!(
            bytes.is_empty() || self.closed.is_none(),
            "{} was sent something behind its close frame",
            self.socket
        );
        self.received.extend(bytes);
        if !self.is_upgraded {
            let Some(end) = self.received.windows(4).position(|end| end == b"\r\n\r\n") else {
                return false;
            };
            self.is_upgraded = self.received.starts_with(b"HTTP/1.1 101 ");
            if !self.is_upgraded {
                return false;
            }
            self.received.drain(..end + 4);
        }
        while let Some((frame, len)) = framing::parse(&self.received) {
            if let ServerFrame::Close(code, reason) = frame {
                self.check_close(code, reason);
                self.closed = code;
                assert_eq!(
                    len,
                    self.received.len(),
                    "something is behind the close frame"
                );
            }
            self.received.drain(..len);
            if self.closed.is_some() {
                return true;
            }
        }
        false
    }

    fn check_close(&self, code: Option<u16>, reason: &str) {
        if !self.is_program {
            return assert_eq!(code, Some(1001), "{}: {reason}", self.socket);
        }
        assert_eq!(code, Some(1012), "{}: {reason}", self.socket);
        let number = reason.strip_prefix("{\"retry_ms\":");
        let number = number.and_then(|rest| rest.strip_suffix('}'));
        let retry_ms: Option<u32> = number.and_then(|number| number.parse().ok());
        let is_within = retry_ms.is_some_and(|millis| (1_000..6_000).contains(&millis));
        assert!(is_within, "{}: {reason}", self.socket);
    }
}

struct Game {
    server: Server<SimNet>,
    chance: Chance,
    guests: Vec<Guest>,
    trace: Trace,
    /// When the server was asked to drain, and when that must be over.
    drain: Option<(Tick, Tick)>,
    /// Ticks within which all members are to be sent away.
    window: u32,
    members_at_drain: usize,
    /// When a signal came, the server may close all that are left at once.
    is_signalled: bool,
    turns: u64,
}

/// Plays one game to its end and returns its number of turns. Panics at a broken promise.
fn play(seed: u64, trace: Trace) -> u64 {
    let mut chance = Chance::new(seed);
    let mut config = Config::default();
    let time =
        |chance: &mut Chance, most| Duration::from_millis(200 + 100 * chance.below(most) as u64);
    config.drain_timeout = time(&mut chance, 300);
    config.grace_timeout = time(&mut chance, 50);
    config.conn.close_timeout = time(&mut chance, 40);
    // Nothing else ends a connection.
    let hour = Duration::from_secs(3600);
    let conn = &mut config.conn;
    conn.handshake_timeout = hour;
    conn.ping_after = hour;
    conn.silent_timeout = hour;
    conn.stall_timeout = hour;
    let window = ticks(config.drain_timeout).saturating_sub(ticks(config.conn.close_timeout));
    let faults = Faults {
        blocked: chance.below(10) as u32,
        cut_reads: chance.below(20) as u32,
        cut_writes: chance.below(20) as u32,
        cut_arrivals: chance.below(20) as u32,
        delayed: chance.below(10) as u32,
        idle: chance.below(10) as u32,
        window: 10_000 + chance.below(1 << 20),
        ..Faults::NONE
    };
    let net = SimNet::new(chance.next(), faults, 1);
    let seed = chance.next();
    let mut game = Game {
        server: Server::new(config, net, 1_000, seed, Keeping::in_memory([7; 36])),
        chance,
        guests: Vec::new(),
        trace,
        drain: None,
        window: window.max(1),
        members_at_drain: 0,
        is_signalled: false,
        turns: 0,
    };
    game.play();
    game.turns
}

impl Game {
    fn now(&self) -> Tick {
        self.server.net().now()
    }

    fn note(&mut self, what: &str) {
        let line = format!("[{:>5}] {what}", self.now().0);
        self.trace.note(|| line);
    }

    fn play(&mut self) {
        let most = if self.chance.percent(20) { 150 } else { 30 };
        let newcomers = 1 + self.chance.below(most);
        let drain_at = self.chance.below(400) as u64;
        let signal_after = self
            .chance
            .percent(15)
            .then(|| self.chance.below(100) as u64);
        let mut late_turns = 0;
        loop {
            assert!((self.turns as usize) < TURNS_MAX, "the server does not end");
            if self.drain.is_none() && self.guests.len() < newcomers && self.chance.percent(60) {
                self.comes();
            }
            if self.turns == drain_at {
                self.asks_to_drain();
            }
            if signal_after.is_some_and(|after| self.turns == drain_at + after + 1) {
                self.note("a signal to stop");
                self.is_signalled = true;
                self.server.net_mut().signal(Signal::Stop);
            }
            self.guests_act();
            self.turns += 1;
            let horizon = self.now() + 10;
            self.server.net_mut().horizon = horizon;
            let outcome = self.server.turn();
            self.server.check_invariants();
            self.judge();
            if outcome == Turn::Stopped {
                return self.finish();
            }
            assert_eq!(outcome, Turn::Again);
            if self.drain.is_some_and(|(_, until)| self.now() >= until) {
                late_turns += 1;
                assert!(late_turns <= 2, "the server is still there after its time");
            }
        }
    }

    fn comes(&mut self) {
        let peer = Peer::Ip(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)));
        let Some(socket) = self.server.net_mut().connect(0, peer) else {
            panic!("the server does not listen");
        };
        let manner = MANNERS[self.chance.below(MANNERS.len())];
        let is_program = self.chance.percent(50);
        let mut request = match manner {
            Manner::Half => b"GET /ws HTTP/1.1\r\nHost: x".to_vec(),
            Manner::Visitor => b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n".to_vec(),
            _ if is_program => {
                client::upgrade_to("/ws", "Sec-WebSocket-Protocol: parlor.v1.json\r\n")
            }
            _ => client::upgrade("lobby"),
        };
        let is_member = !matches!(manner, Manner::Half | Manner::Visitor);
        if is_member && is_program && self.chance.percent(80) {
            let join = br#"{"type":"join","id":1,"room":"lobby"}"#;
            request.extend(client::frame(0x81, join, &mut self.chance));
        }
        self.server.net_mut().send(socket, &request);
        self.guests.push(Guest {
            socket,
            manner,
            is_program,
            received: Vec::new(),
            is_upgraded: false,
            has_vanished: false,
            closed: None,
        });
    }

    fn asks_to_drain(&mut self) {
        let now = self.now();
        // Those that were granted a WebSocket, whether they have read of it or not.
        let begun = self.server.begin_drain().expect("it is serving");
        self.members_at_drain = begun.members;
        self.drain = Some((now, now + begun.ticks));
        self.note(&format!("is asked to drain with {} members", begun.members));
        assert!(self.server.net_mut().connect(0, Peer::Unix).is_none());
        // What was accepted before is not held against it.
        self.server.net_mut().take_log();
        let again = self.server.begin_drain().expect("it is draining");
        assert_eq!(again.ticks, begun.ticks, "asked again, it begins anew");
    }

    fn guests_act(&mut self) {
        for index in 0..self.guests.len() {
            let Guest {
                socket,
                manner,
                has_vanished,
                ..
            } = self.guests[index];
            if has_vanished {
                continue;
            }
            let net = self.server.net_mut();
            if self.chance.per_mille(2) {
                net.reset(socket);
                self.guests[index].has_vanished = true;
                continue;
            }
            let limit = match manner {
                Manner::Deaf => 0,
                Manner::Slow => self.chance.below(40),
                _ => usize::MAX,
            };
            let bytes = net.read_as_client(socket, limit);
            let is_over = self.guests[index].hears(&bytes);
            if is_over && matches!(manner, Manner::Polite | Manner::Slow) {
                let answer = client::frame(0x88, b"\x03\xe9", &mut self.chance);
                self.server.net_mut().send(socket, &answer);
                self.server.net_mut().shut(socket);
            }
            if is_over {
                self.note(&format!("{socket} is closed"));
            } else if self.guests[index].is_upgraded && self.chance.per_mille(20) {
                let said = client::frame(0x81, b"hello", &mut self.chance);
                self.server.net_mut().send(socket, &said);
            }
        }
    }

    /// What must be true after every turn.
    fn judge(&mut self) {
        let log = self.server.net_mut().take_log();
        let Some((began, _)) = self.drain else {
            let is_early = self.guests.iter().any(|guest| guest.closed.is_some());
            return assert!(!is_early, "a member was closed before the drain");
        };
        for happened in log {
            assert!(
                !matches!(happened, Happened::Accepted(_)),
                "a connection was accepted after the drain began"
            );
        }
        let closed = self.guests.iter().filter(|guest| guest.closed.is_some());
        let ticks = self.now().since(began) as usize + 1;
        let each = self.members_at_drain.div_ceil(self.window as usize);
        let most = each.max(EACH_TICK_MIN) * ticks;
        assert!(
            self.is_signalled || closed.count() <= most,
            "more than {most} members were sent away within {ticks} ticks"
        );
    }

    /// The server has stopped: each member was closed with a close frame, unless it reads nothing or
    /// has vanished, and each socket was closed.
    fn finish(&mut self) {
        let now = self.now();
        let (_, until) = self.drain.expect("it was asked to drain");
        assert!(
            now >= until || self.is_signalled || self.server.is_empty(),
            "the server has ended before its time, with {}",
            self.server.summary()
        );
        // A client that reads slowly may have it in front of it.
        for guest in &mut self.guests {
            let bytes = self
                .server
                .net_mut()
                .read_as_client(guest.socket, usize::MAX);
            guest.hears(&bytes);
            let must_know = matches!(guest.manner, Manner::Polite | Manner::Mute);
            assert!(
                guest.closed.is_some() || !guest.is_upgraded || guest.has_vanished || !must_know,
                "{} was not closed",
                guest.socket
            );
        }
        let closings = self.server.net().closings();
        let net = SimNet::new(1, Faults::NONE, 1);
        let other = Server::new(Config::default(), net, 1, 1, Keeping::in_memory([7; 36]));
        drop(std::mem::replace(&mut self.server, other));
        for (socket, (was_accepted, closed)) in closings.iter().enumerate() {
            assert_eq!(
                closed.get(),
                u32::from(*was_accepted),
                "times that {socket} was closed"
            );
        }
    }
}

#[test]
fn draining_server_sends_each_member_away_once_and_ends_in_time() {
    super::plays_all(&[], SEEDS, play);
}
