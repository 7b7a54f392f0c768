//! The whole server over a network that the fuzzer's input controls: what clients send, where it is
//! cut, what fails, how time passes. After every turn the tables must agree and memory must be
//! bounded; after the last deadline every connection must be closed, exactly once.
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
use parlor::log::Keeping;
use parlor::net::{Net, Signal};
use parlor::server::{Server, Turn};
use parlor::{chat, conn, log, ws};
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

#[derive(Arbitrary, Debug)]
enum Operation<'a> {
    Connect {
        from: u8,
        deaf: bool,
    },
    Upgrade {
        client: u8,
        room: u8,
        nick: u8,
    },
    Page {
        client: u8,
        times: u8,
    },
    Send {
        client: u8,
        bytes: &'a [u8],
    },
    Frame {
        client: u8,
        first: u8,
        payload: &'a [u8],
    },
    Says {
        client: u8,
        line: u8,
        word: &'a str,
    },
    Floods {
        client: u8,
        first: u8,
        times: u8,
    },
    Read {
        client: u8,
        bytes: u8,
    },
    Shut {
        client: u8,
    },
    Reset {
        client: u8,
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
/// What programs ask, up to where a text from the input begins; `"}` follows it.
const REQUESTS: [&str; 8] = [
    r#"{"type":"send","id":1,"room":"r0","text":""#,
    r#"{"type":"join","id":2,"room":"r1","history":9,"x":""#,
    r#"{"type":"join","id":3,"room":"r0","since":{"epoch":"1-0","seq":1},"x":""#,
    r#"{"type":"leave","id":4,"room":"r1","x":""#,
    r#"{"type":"history","id":5,"room":"r0","limit":100,"x":""#,
    r#"{"type":"search","id":6,"room":"r0","query":""#,
    r#"{"type":"send","id":7,"room":"r1","key":"k","text":""#,
    r#"{"type":"who","id":8,"room":"r0","x":""#,
];
const FIRST: [u8; 8] = [0x81, 0x01, 0x00, 0x80, 0x89, 0x8A, 0x88, 0x82];
const MAX_CONNECTIONS: usize = 6;
const CLIENTS_MAX: usize = 40;

/// Turns within which every connection must end: the longest deadlines, with a margin.
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
            rooms_per_connection: 16,
            operator_token: Some(String::from("secret")),
            ..chat::Settings::default()
        },
        grace_timeout: seconds(2),
        max_connections_per_address: if game.options & 2 == 0 { 0 } else { 2 },
        log: log::Settings {
            tail_bytes: 4096,
            catch_up_max: 8,
            history_lines: 3,
            ..log::Settings::default()
        },
        echo: game.options & 12 == 12,
        ..Config::default()
    }
}

struct Client {
    ear: Ear,
    /// Reads only by `Operation::Read`.
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
    fn index(&self, client: u8) -> Option<usize> {
        (!self.clients.is_empty()).then(|| usize::from(client) % self.clients.len())
    }

    fn connect(&mut self, from: u8, deaf: bool) {
        if self.clients.len() == CLIENTS_MAX {
            return;
        }
        self.server.net_mut().connect(match from {
            // The first two are trusted proxies.
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

    fn send(&mut self, client: u8, bytes: &[u8]) {
        let Some(index) = self.index(client) else {
            return;
        };
        self.clients[index].sent.extend(bytes);
        self.server.net_mut().send(index, bytes);
    }

    fn read(&mut self, index: usize, limit: usize) {
        let bytes = self.server.net_mut().take(index, limit);
        let client = &mut self.clients[index];
        // A response to HEAD has a length and no body: clients that sent HEAD are not checked.
        if client.sent.windows(5).any(|word| word == b"HEAD ") {
            return;
        }
        client.ear.hear(&bytes);
        let net = self.server.net();
        let socket = &net.sockets[index];
        if socket.server_shut && !socket.reset && !socket.server_reset && net.has_read_all(index) {
            client.ear.end();
        }
    }

    fn play(&mut self, operation: Operation<'_>) {
        match operation {
            Operation::Connect { from, deaf } => self.connect(from, deaf),
            Operation::Upgrade { client, room, nick } => self.send(client, &upgrade(room, nick)),
            Operation::Page { client, times } => {
                let page = b"GET /style.css HTTP/1.1\r\nHost: x\r\n\r\n";
                self.send(client, &page.repeat(usize::from(times % 8)));
            }
            Operation::Send { client, bytes } => self.send(client, bytes),
            Operation::Frame {
                client,
                first,
                payload,
            } => self.send(client, &frame(first, payload)),
            Operation::Says { client, line, word } => {
                let place = usize::from(line) % LINES.len();
                let text = if line < 128 {
                    LINES[place].to_owned() + word
                } else {
                    REQUESTS[place].to_owned() + word + "\"}"
                };
                self.send(client, &frame(0, text.as_bytes()));
            }
            Operation::Floods {
                client,
                first,
                times,
            } => {
                self.send(client, &frame(first, b"").repeat(times.into()));
            }
            Operation::Read { client, bytes } => {
                if let Some(index) = self.index(client) {
                    self.read(index, if bytes == 0 { usize::MAX } else { bytes.into() });
                }
            }
            Operation::Shut { client } => {
                if let Some(index) = self.index(client) {
                    self.server.net_mut().sockets[index].client_shut = true;
                }
            }
            Operation::Reset { client } => {
                if let Some(index) = self.index(client) {
                    self.server.net_mut().reset(index);
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

    /// Plays on without operations until every connection has ended.
    fn end(&mut self) {
        self.server.net_mut().open_wide();
        for _ in 0..TURNS_MAX {
            if self.is_over || self.server.is_empty() && !self.server.net().has_waiting() {
                return;
            }
            let until = self.server.net().now() + 10;
            self.server.net_mut().horizon = until;
            self.turn();
            for index in 0..self.clients.len() {
                if !self.clients[index].deaf {
                    self.read(index, usize::MAX);
                }
            }
        }
        panic!(
            "connections are open after {TURNS_MAX} turns: {}",
            self.server.summary()
        );
    }
}

/// From room 128 on, of a program.
fn upgrade(room: u8, nick: u8) -> Vec<u8> {
    let (path, subprotocol) = if room < 128 {
        (format!("/ws/r{}", room % 3), "")
    } else {
        let field = "Sec-WebSocket-Protocol: parlor.v1.json\r\n";
        (String::from("/ws"), field)
    };
    format!(
        "GET {path}?nick=n{} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         {subprotocol}X-Forwarded-For: 198.51.100.{}\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
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
    // An outbox with one frame above its bound, frames that no bound refuses, a page of the site, and
    // a page of 100 entries of a room.
    let each = config.conn.outbox.bytes_max
        + 4 * (config.ws.max_message_bytes + 1024)
        + 8192
        + 100 * 160
        + 2 * config.log.tail_bytes
        + config.http.max_head_bytes;
    let net = Network::new(game.faults, 8 * usize::from(game.window) + 1);
    let mut play = Play {
        server: Server::new(
            config,
            net,
            MAX_CONNECTIONS,
            u64::from(game.options),
            Keeping::in_memory([7; 36]),
        ),
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
