//! One simulated person: what its client sends, and what the game knows of it. Knows no server.

use super::account::Account;
use super::chance::Chance;
use super::client::{self, Ear, Manner, Seen};
use super::limits::{Allowance, Burden, Household};
use parlor::config::Config;
use parlor::id::{Peer, Tick};
use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Something that a client sends, with the consequence it has once its last byte is read.
#[derive(Clone, Debug)]
pub(crate) enum Asked {
    /// The header of the PROXY protocol, right or not.
    Header,
    /// A request for an upgrade that must be granted within the limits on connections.
    Upgrade,
    /// A message or an action to the room, with its number.
    Say(u32),
    /// Another nick. If `is_own`, no other client ever requests it.
    Nick {
        wanted: String,
        is_own: bool,
    },
    /// The operator command with the right token.
    Op,
    /// A kick; the tag distinguishes it from all others.
    Kick {
        tag: String,
    },
    /// A command that is answered by one line to its sender alone, with this beginning.
    Reply(String),
    /// The command to leave; the tag is in its last words.
    Quit {
        tag: String,
    },
    Ping(Vec<u8>),
    /// A close frame.
    Close,
    /// A message of which no consequence is expected.
    Message,
    Pong,
    /// A fragment with at least sixteen before it in the same message.
    Fragment,
    /// Something without a consequence: the answer to a close frame, or a part of a message.
    Nothing,
}

impl Asked {
    /// Whether it is a message, delivered or not.
    pub(crate) const fn is_message(&self) -> bool {
        !matches!(
            self,
            Self::Header
                | Self::Upgrade
                | Self::Ping(_)
                | Self::Pong
                | Self::Fragment
                | Self::Close
                | Self::Nothing
        )
    }

    /// Whether it counts against the rate of messages. Leaving is always allowed.
    pub(crate) const fn is_counted(&self) -> bool {
        !matches!(
            self,
            Self::Header
                | Self::Upgrade
                | Self::Quit { .. }
                | Self::Ping(_)
                | Self::Pong
                | Self::Fragment
                | Self::Close
                | Self::Nothing
        )
    }
}

/// Something that a client sent, with the position of its first byte and of the byte after its
/// last in the whole stream.
pub(crate) struct Sent {
    pub(crate) begins: u64,
    pub(crate) ends: u64,
    pub(crate) asked: Asked,
}

/// The address of a client, and what the server should make of it.
#[derive(Clone, Debug)]
pub(crate) struct Origin {
    pub(crate) door: usize,
    pub(crate) peer: Peer,
    /// The household that the connection counts for, if any.
    pub(crate) household: Option<Household>,
    /// A trusted proxy names the household.
    pub(crate) is_proxied: bool,
    /// Header fields that name an address, truthfully or not.
    pub(crate) fields: String,
    /// What the connection begins with where a header of the PROXY protocol is expected.
    pub(crate) header: Vec<u8>,
    pub(crate) announced: Announced,
}

/// What the header of the PROXY protocol means, where one is expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Announced {
    /// None is expected.
    Never,
    /// The connection counts for its household as soon as the header is read.
    Household,
    /// The connection is one of a trusted proxy, whose request may name the household.
    Proxy,
    /// There is none: the connection is closed without an answer.
    Wrong,
    /// The peer is no trusted proxy: the connection is closed when it is accepted.
    Stranger,
}

impl Origin {
    /// A random origin: a direct listener or a proxy's, with a few addresses each.
    pub(crate) fn any(chance: &mut Chance) -> Self {
        let house = chance.below(5) as u8;
        let v4 = |net: [u8; 3]| Ipv4Addr::new(net[0], net[1], net[2], house);
        let is_named = chance.percent(70);
        match chance.below(4) {
            // The peer is no proxy, so the server must ignore the field.
            0 => Self {
                door: 0,
                peer: Peer::Ip(v4([192, 0, 2]).into()),
                household: Some(u32::from(house)),
                is_proxied: false,
                fields: String::from("X-Forwarded-For: 203.0.113.77\r\n"),
                ..Self::local()
            },
            // Addresses of one subscriber's network count as one.
            1 => Self {
                door: 2,
                peer: Peer::Ip(IpAddr::V6(Ipv6Addr::new(
                    0x2001,
                    0xdb8,
                    0,
                    u16::from(house),
                    chance.next() as u16,
                    0,
                    0,
                    1,
                ))),
                household: Some(100 + u32::from(house)),
                is_proxied: false,
                fields: String::new(),
                ..Self::local()
            },
            2 if is_named => Self {
                door: 1,
                peer: Peer::Unix,
                household: Some(200 + u32::from(house)),
                is_proxied: true,
                fields: format!("X-Forwarded-For: 10.1.1.1, {}\r\n", v4([203, 0, 113])),
                ..Self::local()
            },
            2 => Self {
                door: 1,
                peer: Peer::Unix,
                household: None,
                is_proxied: true,
                fields: String::new(),
                ..Self::local()
            },
            _ => Self {
                door: 0,
                peer: Peer::Ip(Ipv4Addr::LOCALHOST.into()),
                household: Some(u32::from(house)),
                is_proxied: true,
                fields: format!("X-Forwarded-For: {}:4711\r\n", v4([192, 0, 2])),
                ..Self::local()
            },
        }
    }

    /// A trusted proxy on the server's machine, which names no client.
    fn local() -> Self {
        Self {
            door: 0,
            peer: Peer::Ip(Ipv4Addr::LOCALHOST.into()),
            household: None,
            is_proxied: false,
            fields: String::new(),
            header: Vec::new(),
            announced: Announced::Never,
        }
    }

    /// A random origin where every connection must begin with a header of the PROXY protocol.
    pub(crate) fn announced(chance: &mut Chance) -> Self {
        let house = chance.below(5) as u8;
        // What the client says of itself does not count where the header names it.
        let fields = String::from("X-Forwarded-For: 203.0.113.77\r\n");
        let names = |header, household: u32| Self {
            household: Some(household),
            fields,
            header,
            announced: Announced::Household,
            ..Self::local()
        };
        match chance.below(8) {
            0 | 1 => names(line("TCP4", &format!("192.0.2.{house}")), u32::from(house)),
            2 => names(block(1, 0x11, &[192, 0, 2, house]), u32::from(house)),
            3 => {
                let last = chance.next() as u16;
                let source = Ipv6Addr::new(0x2001, 0xdb8, 0, u16::from(house), last, 0, 0, 1);
                names(block(1, 0x21, &source.octets()), 100 + u32::from(house))
            }
            // It has no address, and counts for the proxy.
            4 => names(b"PROXY UNKNOWN\r\n".to_vec(), 400),
            5 => Self {
                household: Some(200 + u32::from(house)),
                is_proxied: true,
                fields: format!("X-Forwarded-For: 203.0.113.{house}\r\n"),
                header: if chance.percent(50) {
                    block(0, 0, &[])
                } else {
                    line("TCP4", "127.9.9.9")
                },
                announced: Announced::Proxy,
                ..Self::local()
            },
            6 => Self {
                header: if chance.percent(50) {
                    line("TCP4", "nonsense")
                } else {
                    Vec::new()
                },
                announced: Announced::Wrong,
                ..Self::local()
            },
            _ => Self {
                peer: Peer::Ip(Ipv4Addr::new(192, 0, 2, house).into()),
                header: line("TCP4", "198.51.100.1"),
                announced: Announced::Stranger,
                ..Self::local()
            },
        }
    }

    /// The origin of a witness where every connection must begin with a header.
    pub(crate) fn own_announced(room: u8) -> Self {
        Self {
            household: Some(300 + u32::from(room)),
            header: line("TCP4", &format!("198.51.100.{room}")),
            announced: Announced::Household,
            ..Self::local()
        }
    }

    /// The origin of a witness.
    pub(crate) fn own(room: u8) -> Self {
        Self {
            door: 0,
            peer: Peer::Ip(Ipv4Addr::new(198, 51, 100, room).into()),
            household: Some(300 + u32::from(room)),
            is_proxied: false,
            ..Self::local()
        }
    }
}

/// A header of the PROXY protocol, version 1.
fn line(family: &str, source: &str) -> Vec<u8> {
    format!("PROXY {family} {source} 192.0.2.200 50000 8080\r\n").into_bytes()
}

/// A header of version 2; the destination has the form of the source, which may be missing.
fn block(command: u8, family: u8, source: &[u8]) -> Vec<u8> {
    // Two ports and an extension of one byte.
    let rest = [source, source, &[0xC3, 0x50, 0x1F, 0x90, 0x04, 0, 1, 0]].concat();
    let length = u8::try_from(rest.len()).expect("it is short");
    let fixed = [0x20 | command, family, 0, length];
    [&b"\r\n\r\n\0\r\nQUIT\n"[..], &fixed, &rest].concat()
}

/// Whether a person is a member of the room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stay {
    /// Not a member yet, or never.
    Outside,
    In,
    /// No member any more, or perhaps none: no consequence of its requests is certain.
    Out,
}

pub(crate) struct Person {
    pub(crate) socket: usize,
    pub(crate) manner: Manner,
    /// The index of the requested room.
    pub(crate) room: usize,
    pub(crate) origin: Origin,
    pub(crate) nick: Option<String>,
    /// The nick that it had before an upgrade, and asks for again.
    pub(crate) had_nick: Option<String>,
    /// It speaks TLS.
    pub(crate) is_secure: bool,
    /// An upgrade has asked it to come back, or ended what it had not begun.
    pub(crate) was_parted: bool,
    /// Of what it asked for in that turn, the last may not have been handled.
    pub(crate) may_be_held: bool,
    /// It is another person since.
    pub(crate) has_returned: bool,
    /// The first nick was one that the server refuses.
    pub(crate) is_nick_refused: bool,
    /// The request had an Origin, as that of a page: it is refused by a 101 and a close frame.
    pub(crate) is_page: bool,
    /// The server has written such a 101.
    pub(crate) is_refused_page: bool,
    pub(crate) is_operator: bool,
    pub(crate) stay: Stay,
    /// The lines of the room between which the member left or was kicked.
    pub(crate) farewell: Option<(usize, usize)>,
    pub(crate) allowance: Allowance,
    pub(crate) burden: Burden,
    /// Pauses that began in this turn, not yet counted.
    pub(crate) unsure_pauses: u64,
    /// What the member must receive; only for well-behaved members of a room with a witness.
    pub(crate) account: Option<Account>,
    /// The server has read its header of the PROXY protocol.
    pub(crate) is_announced: bool,
    ear: Ear,
    /// What the server has written, read by the client or not, and where each part ends.
    pub(crate) seen: Vec<(u64, Seen)>,
    /// The number of elements of `seen` that were checked on their own.
    pub(crate) examined: usize,
    /// The number of elements of `seen` that were compared with the account.
    pub(crate) compared: usize,
    /// Bytes that the client has read.
    pub(crate) read: u64,
    reacted: usize,
    sent: u64,
    /// Bytes that the server has read.
    pub(crate) read_upto: u64,
    /// How many of them it has handled by the end of the turn; `u64::MAX`: all, since the connection
    /// is not held.
    pub(crate) handled_upto: u64,
    /// What the client sent and the server has not read whole.
    pub(crate) asked: VecDeque<Sent>,
    pub(crate) number: u32,
    /// The payload of the last ping that the server has read.
    pub(crate) last_ping: Option<Vec<u8>>,
    /// The payload of the last pong that the server has sent.
    pub(crate) last_pong: Option<Vec<u8>>,
    /// The server has sent a ping and has read nothing since it was written.
    pub(crate) awaits_pong: bool,
    /// The same, for a ping that was written without delay.
    pub(crate) must_answer: bool,
    pub(crate) sent_close: bool,
    /// The server's close frame was written.
    pub(crate) was_closed: bool,
    pub(crate) is_over: bool,
    pub(crate) vanished: bool,
    /// The server has read the client's end, or has found the connection broken. `had_ended` is the
    /// same, before this turn.
    pub(crate) has_ended: bool,
    pub(crate) had_ended: bool,
    /// The client has begun a message that it will not finish.
    pub(crate) has_halted: bool,
    /// A response or a close frame may be queued that was not written, and never will be if the
    /// connection has ended.
    pub(crate) may_be_unwritten: bool,
    /// The member was behind, and may not have received all that it missed.
    pub(crate) is_late: bool,
    /// Messages may have been missed that were not reported.
    pub(crate) may_be_missing: bool,
    /// Messages read in this turn that count only if the server had not ended the membership.
    pub(crate) unsure_messages: u64,
    /// Whether what a vandal sent first breaks the protocol for certain; `None`: nothing sent yet.
    pub(crate) is_nonsense: Option<bool>,
    /// Whether the client was behind at the end of the last turn.
    pub(crate) was_behind: bool,
    pub(crate) behind_since: Option<Tick>,
    /// The message of which the server has read a part: its position, and the moment from which its
    /// deadline counts.
    pub(crate) half_read: Option<(u64, Tick)>,
    /// The rest of a message did not come before the deadline.
    pub(crate) was_too_slow: bool,
}

impl Person {
    pub(crate) fn new(socket: usize, manner: Manner, room: usize, origin: Origin) -> Self {
        Self {
            socket,
            manner,
            room,
            origin,
            nick: None,
            had_nick: None,
            is_secure: false,
            was_parted: false,
            may_be_held: false,
            has_returned: false,
            is_nick_refused: false,
            is_page: false,
            is_refused_page: false,
            is_operator: false,
            stay: Stay::Outside,
            farewell: None,
            allowance: Allowance::new(0, Tick(0)),
            burden: Burden::default(),
            unsure_pauses: 0,
            account: None,
            is_announced: false,
            ear: Ear::default(),
            seen: Vec::new(),
            examined: 0,
            compared: 0,
            read: 0,
            reacted: 0,
            sent: 0,
            read_upto: 0,
            handled_upto: u64::MAX,
            asked: VecDeque::new(),
            number: 0,
            last_ping: None,
            last_pong: None,
            awaits_pong: false,
            must_answer: false,
            sent_close: false,
            was_closed: false,
            is_over: false,
            vanished: false,
            has_ended: false,
            had_ended: false,
            has_halted: false,
            may_be_unwritten: false,
            is_late: false,
            may_be_missing: false,
            unsure_messages: 0,
            is_nonsense: None,
            was_behind: false,
            behind_since: None,
            half_read: None,
            was_too_slow: false,
        }
    }

    /// The header that the connection begins with, if one is expected.
    pub(crate) fn announces(&mut self) -> Vec<u8> {
        if self.origin.announced == Announced::Never {
            return Vec::new();
        }
        let header = self.origin.header.clone();
        self.sends(header, Asked::Header)
    }

    /// Adds bytes that the server wrote; all that they complete is added to `seen`.
    pub(crate) fn hears(&mut self, bytes: &[u8]) {
        self.ear.hear(bytes);
        while let Some(thing) = self.ear.next() {
            self.seen.push((self.ear.understood(), thing));
        }
    }

    /// Whether the server has written only a part of a frame or a response.
    pub(crate) fn hears_half(&self) -> bool {
        self.ear.is_halfway()
    }

    pub(crate) fn was_upgraded(&self) -> bool {
        self.seen
            .first()
            .is_some_and(|(_, seen)| *seen == Seen::Status(101))
    }

    /// The next part that the client has read and not reacted to.
    pub(crate) fn next_read(&mut self) -> Option<Seen> {
        let (end, seen) = self.seen.get(self.reacted)?;
        if *end > self.read {
            return None;
        }
        self.reacted += 1;
        Some(seen.clone())
    }

    /// The client has read the response to its upgrade.
    pub(crate) fn knows_it_is_in(&self) -> bool {
        self.reacted > 0 && self.was_upgraded()
    }

    /// Records what the client sends; returns the bytes.
    pub(crate) fn sends(&mut self, bytes: Vec<u8>, asked: Asked) -> Vec<u8> {
        let begins = self.sent;
        self.sent += bytes.len() as u64;
        let ends = self.sent;
        self.asked.push_back(Sent {
            begins,
            ends,
            asked,
        });
        bytes
    }

    /// Removes and returns the next element of `asked` that ends at or before `upto`.
    pub(crate) fn next_asked(&mut self, upto: u64) -> Option<Asked> {
        // Pings and closes may come in the middle of a message.
        let whole = self.asked.iter().take(2).position(|sent| sent.ends <= upto);
        self.asked.remove(whole?).map(|sent| sent.asked)
    }

    /// The position of the message of which the server has read the beginning but not the end.
    pub(crate) fn half_read_from(&self, upto: u64) -> Option<u64> {
        // A ping may come in the middle of a message.
        let begins = self.asked.iter().take(2).map(|sent| sent.begins);
        begins.filter(|begins| *begins < upto).min()
    }

    pub(crate) fn is_too_slow(&self, now: Tick, message_ticks: u32) -> bool {
        self.half_read
            .is_some_and(|(_, since)| now >= since + message_ticks)
    }

    /// A message in one frame, or in two with perhaps a ping between them.
    pub(crate) fn message(&mut self, words: &str, asked: Asked, chance: &mut Chance) -> Vec<u8> {
        if chance.percent(70) {
            let bytes = client::frame(0x81, words.as_bytes(), chance);
            return self.sends(bytes, asked);
        }
        let begins = self.sent;
        let (head, tail) = words.as_bytes().split_at(chance.below(words.len() + 1));
        let mut bytes = self.sends(client::frame(0x01, head, chance), Asked::Nothing);
        if chance.percent(50) {
            bytes.extend(self.ping(chance));
        }
        bytes.extend(self.sends(client::frame(0x80, tail, chance), asked));
        if let Some(sent) = self.asked.back_mut() {
            sent.begins = begins;
        }
        bytes
    }

    /// The beginning of a message that is never finished.
    pub(crate) fn halts(&mut self, chance: &mut Chance) -> Vec<u8> {
        self.has_halted = true;
        let bytes = self.sends(client::frame(0x01, b"and then", chance), Asked::Nothing);
        if let Some(sent) = self.asked.back_mut() {
            sent.ends = u64::MAX;
        }
        bytes
    }

    pub(crate) fn ping(&mut self, chance: &mut Chance) -> Vec<u8> {
        self.number += 1;
        let payload = format!("ping {}", self.number).into_bytes();
        let bytes = client::frame(0x89, &payload, chance);
        self.sends(bytes, Asked::Ping(payload))
    }

    /// A message or an action in one of several scripts.
    pub(crate) fn says(&mut self, chance: &mut Chance) -> Vec<u8> {
        self.number += 1;
        let filling = ["x", "é", "語", "🎈", " "][chance.below(5)].repeat(chance.below(40));
        let begin = ["", "/me ", "//"][chance.below(3)];
        let words = format!("{begin}says {} {} {filling}.", self.socket, self.number);
        self.message(&words, Asked::Say(self.number), chance)
    }

    /// Any command that is allowed. `target` is the nick to kick.
    pub(crate) fn commands(&mut self, target: &str, chance: &mut Chance) -> Vec<u8> {
        self.number += 1;
        let tag = format!("{}-{}", self.socket, self.number);
        let reply = |line: &str| Asked::Reply(line.to_owned());
        let (words, asked) = match chance.below(14) {
            0 => ("/who".to_owned(), reply("* in ")),
            1 => ("/rooms".to_owned(), reply("* rooms: ")),
            2 => ("/HELP".to_owned(), reply("* what you write ")),
            3 => (
                format!("/no-{tag}"),
                Asked::Reply(format!("* there is no command /no-{tag};")),
            ),
            4 => ("/nick".to_owned(), reply("* something is missing: ")),
            5 => (
                " \t\u{7}\n".to_owned(),
                reply("* there was nothing in that message"),
            ),
            // No wrong token: after five from an address even the right one is refused.
            6 => ("/op".to_owned(), reply("* something is missing: /op TOKEN")),
            7 => ("/op secret".to_owned(), Asked::Op),
            8 => (
                "/nick a b".to_owned(),
                reply("* you cannot be called a b: it must not contain a space"),
            ),
            9 => {
                self.sent_close = true;
                (
                    format!("/quit bye {tag}"),
                    Asked::Quit {
                        tag: format!("bye {tag}"),
                    },
                )
            }
            10 => {
                let wanted = format!("r{tag}");
                (
                    format!("/nick {wanted}"),
                    Asked::Nick {
                        wanted,
                        is_own: true,
                    },
                )
            }
            11 => {
                let wanted = format!("n{}", chance.below(4));
                (
                    format!("/nick {wanted}"),
                    Asked::Nick {
                        wanted,
                        is_own: false,
                    },
                )
            }
            _ => (
                format!("/kick {target} tag {tag}"),
                Asked::Kick {
                    tag: format!("(tag {tag})"),
                },
            ),
        };
        self.message(&words, asked, chance)
    }

    /// More of one kind than a client may send. The kind depends on the socket.
    pub(crate) fn floods(&mut self, config: &Config, chance: &mut Chance) -> Vec<u8> {
        let count = 1 + chance.below(200);
        // Without a limit on messages, so many would make every member of the room miss some.
        let messages = if config.chat.message_rate == 0 {
            3
        } else {
            count
        };
        match self.socket % 6 {
            0 => (0..count).flat_map(|_| self.ping(chance)).collect(),
            1 => self.sends_many(count, 0x8A, b"flood", || Asked::Pong, chance),
            2 => self.sends_many(messages, 0x81, b"", || Asked::Message, chance),
            3 => self.sends_many(messages, 0x81, b"flood", || Asked::Message, chance),
            4 => self.fragments(config.ws.max_fragments as usize, chance),
            _ => {
                let frame = match chance.below(4) {
                    0 => client::frame(0x01, b"", chance),
                    1 => client::frame(0x00, b"", chance),
                    2 => client::frame(0x81, &chance.clone().bytes(310), chance),
                    _ => return self.ping(chance),
                };
                self.sends(frame, Asked::Nothing)
            }
        }
    }

    fn sends_many(
        &mut self,
        count: usize,
        first: u8,
        payload: &[u8],
        asked: fn() -> Asked,
        chance: &mut Chance,
    ) -> Vec<u8> {
        (0..count)
            .flat_map(|_| self.sends(client::frame(first, payload, chance), asked()))
            .collect()
    }

    /// A message in as many fragments as it may have.
    fn fragments(&mut self, count: usize, chance: &mut Chance) -> Vec<u8> {
        let mut bytes = self.sends(client::frame(0x01, b"f", chance), Asked::Nothing);
        for number in 2..count {
            let asked = if number > 16 {
                Asked::Fragment
            } else {
                Asked::Nothing
            };
            bytes.extend(self.sends(client::frame(0x00, b"f", chance), asked));
        }
        bytes.extend(self.sends(client::frame(0x80, b"f", chance), Asked::Message));
        bytes
    }

    pub(crate) fn closes(&mut self, chance: &mut Chance) -> Vec<u8> {
        self.sent_close = true;
        let payload = match chance.below(3) {
            0 => Vec::new(),
            1 => 1000_u16.to_be_bytes().to_vec(),
            _ => [
                &1001_u16.to_be_bytes()[..],
                "auf Wiedersehen, schön".as_bytes(),
            ]
            .concat(),
        };
        let bytes = client::frame(0x88, &payload, chance);
        self.sends(bytes, Asked::Close)
    }
}
