//! The head of a request: a page, a refusal, or the upgrade by which a connection becomes a member.
//! Knows what `http` makes of a head, not how a head looks.

use super::Server;
use super::receive::Flow;
use crate::chat::RoomName;
use crate::frame::Frame;
use crate::http::{self, Refusal, Request, Upgrade};
use crate::id::{ConnId, Tick};
use crate::net::Net;
use crate::wire::Protocol;

const ROOM_NAME_RULE: &str =
    "A room's name has 1 to 32 letters, digits, hyphens, underscores or full stops.";

impl<N: Net> Server<N> {
    /// `bytes` is all that came of the head so far, of which `searched` were looked at before.
    pub(super) fn take_head(
        &mut self,
        id: ConnId,
        bytes: &[u8],
        searched: usize,
        now: Tick,
    ) -> Flow {
        let Some(connection) = self.connections.get_mut(id) else {
            return Flow::Enough;
        };
        match http::receive(bytes, searched, connection.from_proxy, &self.http) {
            Request::Partial => {
                connection.state.keep_head(bytes.to_vec());
                self.rearm(id);
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
                    connection.state.answered(rest, &self.deadlines, now);
                    self.rearm(id);
                }
                // Read on when the response was accepted (drained.rs).
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
            return self.refuse(id, &Refusal::TooManyFromAddress, now);
        }
        self.connections
            .push_control(id, Frame::http(&upgrade.response));
        if let Some(connection) = self.connections.get_mut(id) {
            connection.state.upgraded();
            connection.protocol = self.protocol;
            self.rearm(id);
        }
        self.stats.upgraded += 1;
        self.log_connection(id, format_args!("is upgraded"));
        if self.protocol != Protocol::Echo {
            self.change(now, |chat, effects| {
                chat.join(id, room, upgrade.nick.as_deref(), now, effects);
            });
        }
    }
}
