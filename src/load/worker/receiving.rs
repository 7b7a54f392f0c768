//! Reads connections, and passes on what the servers have sent.

use super::super::client::Phase;
use super::super::reader::Received;
use super::super::tally::Count;
use super::{READ_BYTES, Worker};
use crate::frame::Frame;
use crate::id::ConnId;
use crate::net::dial::Micros;
use crate::net::{Read, Ready};
use std::mem;

/// Reads of one connection between two polls.
const READS_PER_TURN: usize = 8;

impl Worker {
    pub(super) fn take_event(&mut self, event: Ready) {
        let Ready::Connection {
            id,
            readable,
            writable,
            ended,
        } = event
        else {
            return;
        };
        let Some(client) = self.slots.get(id) else {
            return;
        };
        match client.phase {
            Phase::Dialing => {
                if !self.take_connected(id) {
                    return;
                }
            }
            Phase::Open if self.is_deaf(Self::slot(id)) => {
                if ended {
                    self.end(id, Count::Broken);
                }
                return;
            }
            Phase::Upgrading
            | Phase::Joining
            | Phase::Open
            | Phase::Leaving { .. }
            | Phase::Dismissed => {
                if writable && !client.unsent.is_empty() {
                    self.flush(id);
                }
            }
        }
        if readable || ended {
            self.receive(id, event);
        }
    }

    fn receive(&mut self, id: ConnId, event: Ready) {
        let ended = matches!(event, Ready::Connection { ended: true, .. });
        let mut buffer = mem::take(&mut self.buffer);
        let mut reads = 0;
        while let Some(client) = self.slots.get_mut(id) {
            if reads == READS_PER_TURN {
                self.unread.push(event);
                break;
            }
            reads += 1;
            // What is half received comes first, so that frames are parsed in one piece.
            let rest = client.rest();
            let kept = rest.len();
            if buffer.len() < kept + READ_BYTES {
                buffer.resize(kept + READ_BYTES, 0);
            }
            buffer[..kept].copy_from_slice(rest);
            match self.dialer.read(&mut client.stream, &mut buffer[kept..]) {
                Read::Bytes(count) => {
                    let is_short = kept + count < buffer.len();
                    let now = self.dialer.now();
                    self.take_arrived(id, &buffer[..kept + count], now);
                    self.say_due(now);
                    if is_short && !ended {
                        break;
                    }
                }
                Read::Blocked => break,
                // No event follows: the next turn tries again.
                Read::Retry => {
                    self.unread.push(event);
                    break;
                }
                Read::End => self.end(id, Count::Ended),
                Read::Gone => self.end(id, Count::Broken),
            }
        }
        self.buffer = buffer;
    }

    fn take_arrived(&mut self, id: ConnId, bytes: &[u8], now: Micros) {
        if self.connector.is_some() {
            self.take_records(id, bytes, now);
        } else {
            self.take_bytes(id, bytes, now);
        }
    }

    pub(super) fn take_bytes(&mut self, id: ConnId, mut bytes: &[u8], now: Micros) {
        while let Some(client) = self.slots.get_mut(id) {
            let Some(received) = client.reader.next(&mut bytes) else {
                return;
            };
            self.take_received(id, &received, now);
        }
    }

    fn take_received(&mut self, id: ConnId, received: &Received<'_>, now: Micros) {
        match received {
            Received::Upgraded => self.take_upgraded(id, now),
            Received::Refused(status) => {
                *self.tally.statuses.entry(*status).or_default() += 1;
                self.fail(id, Count::Turned);
            }
            Received::NoHandshake => self.fail(id, Count::Unanswered),
            Received::Message(payload) => {
                self.tally.counts.add(Count::Frames, 1);
                if self.programs.is_some() {
                    self.take_object(id, payload, now);
                } else {
                    self.hear(Self::slot(id), payload, now);
                }
            }
            Received::Ping(payload) => {
                self.tally.counts.add(Count::Frames, 1);
                let frame = Frame::client_pong(payload, self.masks.next());
                self.send(id, frame.bytes());
            }
            Received::Pong => self.tally.counts.add(Count::Frames, 1),
            Received::Close(code) => {
                self.tally.counts.add(Count::Frames, 1);
                self.take_close(id, *code);
            }
            Received::Garbled => self.end(id, Count::Garbled),
        }
    }

    fn take_close(&mut self, id: ConnId, code: Option<u16>) {
        let Some(client) = self.slots.get_mut(id) else {
            return;
        };
        if client.phase == Phase::Joining {
            *self.tally.codes.entry(code.unwrap_or(0)).or_default() += 1;
            return self.fail(id, Count::Unjoined);
        }
        // In other phases it answers our own, and the server has to end the connection.
        if client.phase != Phase::Open {
            return;
        }
        client.phase = Phase::Dismissed;
        self.change(Count::Open, -1);
        self.blame(id, Count::Closed);
        if !self.is_slow(Self::slot(id)) {
            *self.tally.codes.entry(code.unwrap_or(0)).or_default() += 1;
        }
        self.absent(id);
        let frame = Frame::client_close(code, self.masks.next());
        self.send(id, frame.bytes());
        self.await_end(id);
    }
}
