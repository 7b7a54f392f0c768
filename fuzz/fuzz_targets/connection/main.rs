//! The whole server over a network that the fuzzer's bytes rule: what clients send, where it is
//! cut, what fails, how time passes. After every turn the tables agree and memory is bounded;
//! whatever happened, after the deadlines nothing remembers anybody.
#![no_main]

mod ear;
#[path = "../../../tests/framing/mod.rs"]
mod framing;
mod network;

use arbitrary::Arbitrary;
use ear::Ear;
use libfuzzer_sys::fuzz_target;
use network::Network;
use parlor::config::Config;
use parlor::conn::outbox;
use parlor::id::Peer;
use parlor::net::{Net, Signal};
use parlor::server::{Server, Turn};
use parlor::{chat, conn, ws};
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

#[derive(Arbitrary, Debug)]
enum Operation<'a> {
    Connect {
        from: u8,
        deaf: bool,
    },
    Upgrade {
        who: u8,
        room: u8,
        nick: u8,
    },
    Page {
        who: u8,
        times: u8,
    },
    Send {
        who: u8,
        bytes: &'a [u8],
    },
    Frame {
        who: u8,
        first: u8,
        payload: &'a [u8],
    },
    Says {
        who: u8,
        line: u8,
        word: &'a str,
    },
    Floods {
        who: u8,
        first: u8,
        times: u8,
    },
    Read {
        who: u8,
        bytes: u8,
    },
    Shut {
        who: u8,
    },
    Reset {
        who: u8,
    },
    Pass {
        ticks: u8,
    },
    Signal {
        stop: bool,
    },
}

#[derive(Arbitrary, Debug)]
struct Game<'a> {
    options: u8,
    outbox_frames: u8,
    window: u8,
    faults: &'a [u8],
    operations: Vec<Operation<'a>>,
}

const LINES: [&str; 8] = [
    "",
    "/nick ",
    "/me ",
    "/who",
    "/rooms",
    "/quit ",
    "/op secret",
    "/kick n",
];
const FIRST: [u8; 8] = [0x81, 0x01, 0x00, 0x80, 0x89, 0x8A, 0x88, 0x82];
const MAX_CONNECTIONS: usize = 6;
const CLIENTS_MAX: usize = 40;

/// Turns by which all must be over: the longest deadlines, and a turn for each that is left.
const TURNS_MAX: usize = 1000;

/// Small limits, so that the edges are reached.
fn config(game: &Game<'_>) -> Config {
    let seconds = Duration::from_secs;
    Config {
        conn: conn::Settings {
            handshake_timeout: seconds(2),
            ping_after: seconds(3),
            silent_timeout: seconds(6),
            close_timeout: seconds(1),
            stall_timeout: seconds(4),
            message_timeout: seconds(2),
            outbox: outbox::Limits {
                frames_max: usize::from(game.outbox_frames % 8) + 1,
                bytes_max: 600,
            },
        },
        ws: ws::Limits {
            max_message_bytes: 300,
            max_fragments: 8,
        },
        chat: chat::Settings {
            message_rate: if game.options & 1 == 0 { 0 } else { 5 },
            message_burst: 5,
            notice_members: 2,
            notice_interval: seconds(1),
            operator_token: Some(String::from("secret")),
        },
        grace_timeout: seconds(2),
        max_connections_per_address: if game.options & 2 == 0 { 0 } else { 2 },
        echo: game.options & 12 == 12,
        ..Config::default()
    }
}

struct Client {
    ear: Ear,
    /// Never reads of itself.
    deaf: bool,
    sent: Vec<u8>,
}

struct Play {
    server: Server<Network>,
    clients: Vec<Client>,
    /// What the server may hold for each connection.
    held_bytes_max: usize,
    is_over: bool,
}

impl Play {
    fn who(&self, who: u8) -> Option<usize> {
        (!self.clients.is_empty()).then(|| usize::from(who) % self.clients.len())
    }

    fn connect(&mut self, from: u8, deaf: bool) {
        if self.clients.len() == CLIENTS_MAX {
            return;
        }
        self.server.net_mut().connect(match from {
            // The first two are proxies whose word is taken.
            0 => Peer::Unix,
            1 => Peer::Ip(IpAddr::V4(Ipv4Addr::LOCALHOST)),
            _ => Peer::Ip(IpAddr::V4(Ipv4Addr::new(192, 0, 2, from % 4))),
        });
        self.clients.push(Client {
            ear: Ear::default(),
            deaf,
            sent: Vec::new(),
        });
    }

    fn send(&mut self, who: u8, bytes: &[u8]) {
        let Some(who) = self.who(who) else { return };
        self.clients[who].sent.extend(bytes);
        self.server.net_mut().send(who, bytes);
    }

    fn read(&mut self, who: usize, limit: usize) {
        let bytes = self.server.net_mut().take(who, limit);
        let client = &mut self.clients[who];
        // The response to HEAD looks like half of one; who asks for that is not judged.
        if client.sent.windows(5).any(|word| word == b"HEAD ") {
            return;
        }
        client.ear.hear(&bytes);
        let net = self.server.net();
        let socket = &net.sockets[who];
        if socket.server_shut && !socket.reset && !socket.server_reset && net.has_taken_all(who) {
            client.ear.end();
        }
    }

    fn play(&mut self, operation: Operation<'_>) {
        match operation {
            Operation::Connect { from, deaf } => self.connect(from, deaf),
            Operation::Upgrade { who, room, nick } => self.send(who, &upgrade(room, nick)),
            Operation::Page { who, times } => {
                let page = b"GET /style.css HTTP/1.1\r\nHost: x\r\n\r\n";
                self.send(who, &page.repeat(usize::from(times % 8)));
            }
            Operation::Send { who, bytes } => self.send(who, bytes),
            Operation::Frame {
                who,
                first,
                payload,
            } => self.send(who, &frame(first, payload)),
            Operation::Says { who, line, word } => {
                let line = LINES[usize::from(line) % LINES.len()].to_owned() + word;
                self.send(who, &frame(0, line.as_bytes()));
            }
            Operation::Floods { who, first, times } => {
                self.send(who, &frame(first, b"").repeat(times.into()));
            }
            Operation::Read { who, bytes } => {
                if let Some(who) = self.who(who) {
                    self.read(who, if bytes == 0 { usize::MAX } else { bytes.into() });
                }
            }
            Operation::Shut { who } => {
                if let Some(who) = self.who(who) {
                    self.server.net_mut().sockets[who].client_shut = true;
                }
            }
            Operation::Reset { who } => {
                if let Some(who) = self.who(who) {
                    self.server.net_mut().reset(who);
                }
            }
            Operation::Pass { ticks } => {
                let until = self.server.net().now() + ticks.into();
                self.server.net_mut().horizon = until;
            }
            Operation::Signal { stop } => {
                let signal = if stop { Signal::Stop } else { Signal::Report };
                self.server.net_mut().signals.push_back(signal);
            }
        }
    }

    fn turn(&mut self) {
        self.is_over = matches!(self.server.turn(), Turn::Stopped | Turn::Aborted);
        self.server.check_invariants();
        self.server.net().check_closed();
        let bound = self.held_bytes_max * self.server.net().open();
        let held = self.server.held_bytes();
        assert!(
            held <= bound,
            "{held} bytes are held, at most {bound} may be"
        );
    }

    /// Nobody says anything more: all must come to an end.
    fn end(&mut self) {
        self.server.net_mut().open_wide();
        for _ in 0..TURNS_MAX {
            if self.is_over || self.server.is_empty() && !self.server.net().is_anybody_waiting() {
                return;
            }
            let until = self.server.net().now() + 10;
            self.server.net_mut().horizon = until;
            self.turn();
            for who in 0..self.clients.len() {
                if !self.clients[who].deaf {
                    self.read(who, usize::MAX);
                }
            }
        }
        panic!("it does not end: {}", self.server.summary());
    }
}

fn upgrade(room: u8, nick: u8) -> Vec<u8> {
    format!(
        "GET /ws/r{}?nick=n{} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         X-Forwarded-For: 198.51.100.{}\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
        room % 3,
        nick % 8,
        nick % 2
    )
    .into_bytes()
}

/// A frame with a mask of zeros, so that the fuzzer sees its payload.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let first = *FIRST.get(usize::from(first)).unwrap_or(&first);
    framing::encode(first, [0; 4], payload)
}

fuzz_target!(|game: Game<'_>| {
    let config = config(&game);
    // An outbox with one frame above its bound, what is never refused, and a page.
    let each = config.conn.outbox.bytes_max
        + 4 * (config.ws.max_message_bytes + 1024)
        + 8192
        + config.http.max_head_bytes;
    let net = Network::new(game.faults, 8 * usize::from(game.window) + 1);
    let mut play = Play {
        server: Server::new(config, net, MAX_CONNECTIONS, u64::from(game.options)),
        clients: Vec::new(),
        held_bytes_max: each,
        is_over: false,
    };
    for operation in game.operations {
        play.play(operation);
        play.turn();
        if play.is_over {
            return;
        }
    }
    play.end();
    if !play.is_over {
        for (index, socket) in play.server.net().sockets.iter().enumerate() {
            let times = socket.closed.get();
            assert_eq!(
                times,
                u32::from(socket.accepted),
                "{index} was closed {times} times"
            );
        }
    }
});
