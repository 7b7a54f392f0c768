//! Takes what the peers sent, within a budget each, and hands the bytes to whoever understands
//! them in the connection's phase: the HTTP head, the WebSocket decoder, or nobody.
//! Knows what must happen next, not what the bytes mean.

use super::Server;
use super::connection::Phase;
use crate::chat::{Command, Effect, Event, Refused, RoomName};
use crate::frame::Frame;
use crate::http::{self, HEAD_BYTES_MAX, Refusal, Request, Upgrade};
use crate::id::{ConnId, Tick};
use crate::net::{Net, Read};
use crate::ws::{CloseReason, Decoder, Received, reply_to};
use log::warn;
use std::mem;

/// Bytes taken from one connection in one turn. Who sends more waits until the others had theirs.
const READ_BYTES_PER_TURN: usize = 64 * 1024;

const ROOM_NAME_RULE: &str =
    "A room's name has 1 to 32 letters, digits, hyphens, underscores or full stops.";

/// What to do after some bytes were handled.
#[derive(PartialEq)]
enum Flow {
    /// Read on.
    More,
    /// Do not read: it must wait for its own response to be taken, or it is over.
    Enough,
}

impl<N: Net> Server<N> {
    /// Reads from every connection that may have something, each up to its budget.
    pub(super) fn receive(&mut self, now: Tick) {
        if self.connections.lists.readable.is_empty() {
            return;
        }
        let mut buffer = mem::take(&mut self.buffer);
        for id in self.connections.take_readable() {
            self.receive_from(id, &mut buffer, now);
        }
        self.buffer = buffer;
    }

    fn receive_from(&mut self, id: ConnId, buffer: &mut [u8], now: Tick) {
        if self.continue_head(id, now) == Flow::Enough {
            return;
        }
        let mut budget = READ_BYTES_PER_TURN;
        while budget > 0 {
            let Some(connection) = self.connections.get_mut(id) else {
                return;
            };
            let window = match connection.phase {
                // What follows a head that is answered first must be kept: keep it small.
                Phase::Handshake { .. } => HEAD_BYTES_MAX.min(buffer.len()),
                Phase::Open { .. } | Phase::Closing { .. } | Phase::Draining { .. } => buffer.len(),
            };
            match self.net.read(&mut connection.stream, &mut buffer[..window]) {
                Read::Bytes(count) => {
                    // A short read has emptied the socket, unless its end is still to be read.
                    let all = count < window && !connection.ended;
                    budget = budget.saturating_sub(count);
                    if self.take_bytes(id, &buffer[..count], now) == Flow::Enough || all {
                        return;
                    }
                }
                Read::Blocked => return,
                Read::End => return self.peer_ended(id),
                Read::Gone => {
                    self.log_connection(id, format_args!("is gone: reading failed"));
                    return self.connections.end(id);
                }
            }
        }
        self.connections.mark_readable(id);
    }

    fn take_bytes(&mut self, id: ConnId, bytes: &[u8], now: Tick) -> Flow {
        self.sign_of_life(id, now);
        let Some(connection) = self.connections.get_mut(id) else {
            return Flow::Enough;
        };
        match &mut connection.phase {
            Phase::Handshake { head, .. } if head.is_empty() => self.take_head(id, bytes, 0, now),
            Phase::Handshake { head, .. } => {
                self.trimming.was_freed(now);
                let searched = head.len();
                let mut head = mem::take(head);
                head.extend_from_slice(bytes);
                self.take_head(id, &head, searched, now)
            }
            Phase::Open { .. } => self.take_frames(id, bytes, now),
            Phase::Closing { scanner } => {
                if scanner.scan_for_close(bytes) {
                    self.log_connection(id, format_args!("answered our close"));
                    self.drain(id, now);
                }
                Flow::More
            }
            Phase::Draining { .. } => Flow::More,
        }
    }

    /// Any traffic counts as life. After a ping it also brings the next deadline back to where
    /// silence is measured from here.
    fn sign_of_life(&mut self, id: ConnId, now: Tick) {
        let Some(connection) = self.connections.get_mut(id) else {
            return;
        };
        connection.seen = now;
        if mem::take(&mut connection.awaiting_pong) {
            let due = self.deadlines.next_ping(id.slot(), now);
            self.connections.arm_by(id, due);
        }
    }

    /// A request that came together with an earlier one is looked at once that one's answer was
    /// taken; until then nothing more is read, so that nobody can queue answers without end.
    fn continue_head(&mut self, id: ConnId, now: Tick) -> Flow {
        let Some(connection) = self.connections.get_mut(id) else {
            return Flow::Enough;
        };
        let Phase::Handshake { head, idle } = &mut connection.phase else {
            return Flow::More;
        };
        if !connection.outbox.is_empty() {
            return Flow::Enough;
        }
        if head.is_empty() || !*idle {
            return Flow::More;
        }
        let head = mem::take(head);
        self.take_head(id, &head, 0, now)
    }

    /// `bytes` is all that came of the head so far, of which `searched` were looked at before.
    fn take_head(&mut self, id: ConnId, bytes: &[u8], searched: usize, now: Tick) -> Flow {
        let Some(connection) = self.connections.get_mut(id) else {
            return Flow::Enough;
        };
        match http::receive(bytes, searched, connection.from_proxy, &self.http) {
            Request::Partial => {
                connection.phase = Phase::Handshake {
                    head: bytes.to_vec(),
                    idle: false,
                };
                Flow::More
            }
            Request::Answer {
                response,
                consumed,
                keep_alive,
            } => {
                self.stats.answered += 1;
                self.log_connection(id, format_args!("asked for a page"));
                self.connections.push_control(id, Frame::http(&response));
                if !keep_alive {
                    self.drain(id, now);
                    return Flow::More;
                }
                if let Some(connection) = self.connections.get_mut(id) {
                    let rest = bytes.get(consumed..).unwrap_or_default().to_vec();
                    connection.phase = Phase::Handshake {
                        head: rest,
                        idle: true,
                    };
                }
                self.connections.arm(id, now + self.deadlines.handshake);
                // Read on when the answer was taken (flush.rs).
                Flow::Enough
            }
            Request::Upgrade { upgrade, consumed } => {
                self.open(id, upgrade, now);
                self.take_frames(id, bytes.get(consumed..).unwrap_or_default(), now)
            }
            Request::Refused(why) => {
                self.refuse(id, &why, now);
                Flow::More
            }
        }
    }

    /// The upgrade: the one response, and from here on a member.
    fn open(&mut self, id: ConnId, upgrade: Upgrade, now: Tick) {
        let Ok(room) = RoomName::parse(&upgrade.room) else {
            return self.refuse(
                id,
                &Refusal::RoomName {
                    reason: ROOM_NAME_RULE,
                },
                now,
            );
        };
        if let Some(address) = upgrade.forwarded_for
            && !self.count_for(id, address)
        {
            self.stats.turned_away += 1;
            return self.refuse(id, &Refusal::TooManyFromAddress, now);
        }
        self.connections
            .push_control(id, Frame::http(&upgrade.response));
        if let Some(connection) = self.connections.get_mut(id) {
            connection.phase = Phase::Open {
                decoder: Decoder::new(),
                message_since: None,
            };
        }
        let due = self.deadlines.next_ping(id.slot(), now);
        self.connections.arm(id, due);
        self.stats.upgraded += 1;
        self.log_connection(id, format_args!("is upgraded"));
        if !self.echo {
            self.settle(now);
            self.chat
                .join(id, room, upgrade.nick.as_deref(), now, &mut self.effects);
            self.apply(now);
        }
    }

    fn take_frames(&mut self, id: ConnId, mut input: &[u8], now: Tick) -> Flow {
        loop {
            // Looked up again after each message, for what it asked for may have ended the phase.
            let Some(connection) = self.connections.get_mut(id) else {
                return Flow::Enough;
            };
            let Phase::Open {
                decoder,
                message_since,
            } = &mut connection.phase
            else {
                // What is left came after our close: only the peer's own close matters.
                return if input.is_empty() {
                    Flow::More
                } else {
                    self.take_rest(id, input, now)
                };
            };
            match decoder.receive(&mut self.spare, &mut input) {
                Ok(Some(received)) => {
                    if !decoder.is_open() && message_since.is_some() {
                        // What comes next has its own time.
                        *message_since = None;
                        self.trimming.was_freed(now);
                    }
                    self.take_received(id, received, now);
                }
                Ok(None) => {
                    let since = decoder.is_open().then(|| message_since.unwrap_or(now));
                    let begins = since.is_some() && message_since.is_none();
                    *message_since = since;
                    if begins {
                        self.connections.arm_by(id, now + self.deadlines.message);
                    }
                    return Flow::More;
                }
                Err(why) => {
                    self.stats.violations += 1;
                    self.part(id, &why, now);
                    // The stream cannot be understood any more, so no answer is waited for.
                    self.drain(id, now);
                    return Flow::More;
                }
            }
        }
    }

    fn take_rest(&mut self, id: ConnId, input: &[u8], now: Tick) -> Flow {
        let Some(connection) = self.connections.get_mut(id) else {
            return Flow::Enough;
        };
        if let Phase::Closing { scanner } = &mut connection.phase
            && scanner.scan_for_close(input)
        {
            self.drain(id, now);
        }
        Flow::More
    }

    fn take_received(&mut self, id: ConnId, received: Received, now: Tick) {
        match received {
            Received::Text(text) if self.echo => {
                self.connections.push_control(id, Frame::text(&text));
            }
            Received::Binary(bytes) if self.echo => {
                self.connections.push_control(id, Frame::binary(&bytes));
            }
            Received::Text(text) => {
                self.stats.messages += 1;
                let Some(connection) = self.connections.get_mut(id) else {
                    return;
                };
                let command = connection.protocol.parse(&text);
                if !matches!(command, Command::Say(_) | Command::Act(_)) {
                    // It may change who is in the room.
                    self.settle(now);
                }
                match command {
                    Command::Op { token } => self.take_token(id, token, now),
                    command => self.chat.handle(id, command, now, &mut self.effects),
                }
                self.apply(now);
            }
            Received::Binary(_) => {
                self.stats.violations += 1;
                self.part(id, &CloseReason::Binary, now);
            }
            Received::Ping(payload) => self.pinged(id, &payload, now),
            Received::Pong => {}
            Received::Close(code) => {
                self.log_connection(id, format_args!("closes with {}", code.unwrap_or(1005)));
                self.leave(id, now);
                self.connections.push_close(id, reply_to(code));
                self.drain(id, now);
            }
        }
    }

    /// An operator token, which is not looked at after too many wrong ones from the same address.
    fn take_token(&mut self, id: ConnId, token: &str, now: Tick) {
        let Some(connection) = self.connections.get_mut(id) else {
            return;
        };
        let address = connection.counted_for;
        let command = if self.guesses.may_try(address, now) {
            Command::Op { token }
        } else {
            Command::OpTooOften
        };
        self.chat.handle(id, command, now, &mut self.effects);
        if let Some(Effect::Tell {
            event: Event::Refused(Refused::WrongToken),
            ..
        }) = self.effects.last()
        {
            self.guesses.failed(address, now);
            let from = address.map_or_else(|| String::from("no address"), |ip| ip.to_string());
            warn!(target: "parlor::operator", "a wrong operator token from {from}");
        }
    }

    /// Answers a ping; a flood of them ends the connection.
    fn pinged(&mut self, id: ConnId, payload: &[u8], now: Tick) {
        let Some(connection) = self.connections.get_mut(id) else {
            return;
        };
        if !self.echo && !connection.pings.take(self.deadlines.pings, now) {
            self.stats.violations += 1;
            return self.part(id, &CloseReason::TooManyPings, now);
        }
        // Only who does not take their pongs misses some: clients may wait for each.
        if connection.outbox.has_pong() {
            self.flush_one(id, now);
        }
        self.connections.push_pong(id, Frame::pong(payload));
    }

    /// The peer will send nothing more.
    fn peer_ended(&mut self, id: ConnId) {
        let Some(connection) = self.connections.get_mut(id) else {
            return;
        };
        match &mut connection.phase {
            // It may still read: what is queued, an answer or a refusal or our close, is for it.
            Phase::Handshake { .. } | Phase::Closing { .. } if !connection.outbox.is_empty() => {
                connection.phase = Phase::Draining {
                    shut: false,
                    ended: true,
                };
            }
            Phase::Draining { ended, .. } if !connection.outbox.is_empty() => *ended = true,
            // Without a close frame there is nothing to wait for (RFC 6455 §7.1.5: 1006).
            Phase::Open { .. }
            | Phase::Handshake { .. }
            | Phase::Closing { .. }
            | Phase::Draining { .. } => {
                self.log_connection(id, format_args!("ended"));
                self.connections.end(id);
            }
        }
    }
}
