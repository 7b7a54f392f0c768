//! The steps by which a connection ends, as `conn/state.rs` decides them: a member leaves, a close
//! frame or a refusal is queued, our side is shut. The last step, the removal, is `reap.rs`'s.

use super::Server;
use super::connection::Source;
use crate::chat::RoomName;
use crate::conn::state::{Closed, Ended};
use crate::frame::Frame;
use crate::http::{Refusal, Upgrade};
use crate::id::{ConnId, Tick};
use crate::net::Net;
use crate::ws::CloseReason;
use std::borrow::Cow;

impl<N: Net> Server<N> {
    /// Ends a membership for a reason of the server's; the room and the member are notified.
    pub(super) fn part(&mut self, id: ConnId, why: &CloseReason, now: Tick) {
        self.leave(id, now);
        self.close(id, why, now);
    }

    /// Queues our close frame and waits for the peer's. The chat has removed the member before.
    pub(super) fn close(&mut self, id: ConnId, why: &CloseReason, now: Tick) {
        let Some(connection) = self.connections.get_mut(id) else {
            return;
        };
        let closed = connection.state.close(&self.deadlines, now);
        if closed == Closed::NotOpen {
            return;
        }
        self.tallies.closes.count(why.code());
        self.log_connection(id, format_args!("is closed with {}", why.code()));
        self.connections
            .push_close(id, Frame::close(why.code(), &why.text()));
        if closed == Closed::Answered {
            return self.drain(id, now);
        }
        // Bytes may be unread in the socket of a connection that was paused or held.
        self.connections.mark_readable(id);
        self.rearm(id);
    }

    /// The one response to a request that is not granted; nothing follows it.
    pub(super) fn refuse(&mut self, id: ConnId, why: &Refusal, now: Tick) {
        self.refuse_request(id, why, false, now);
    }

    /// The same when the request is known; the response to a HEAD request has no body.
    pub(super) fn refuse_request(&mut self, id: ConnId, why: &Refusal, to_head: bool, now: Tick) {
        let date = self.date.at(self.net.wall());
        let response = if to_head {
            why.response_to_head(date)
        } else {
            why.response(date)
        };
        self.log_connection(id, format_args!("is refused with {}", why.status()));
        self.refuse_with(id, why, &Frame::http(&response), now);
    }

    /// A request for a WebSocket that is not granted. A page, which sees no status, gets the 101 and
    /// a close frame as its one response: no member comes of it, and it ends as any other.
    pub(super) fn refuse_upgrade(
        &mut self,
        id: ConnId,
        upgrade: &Upgrade,
        why: &Refusal,
        now: Tick,
    ) {
        if !upgrade.is_browser {
            return self.refuse(id, why, now);
        }
        let close = close_reason(why, upgrade.room.as_deref());
        self.refuse_page(id, upgrade, (why, &close), now);
    }

    /// The same for a client that is banned. The sentence says until when and why.
    pub(super) fn refuse_banned(
        &mut self,
        id: ConnId,
        upgrade: &Upgrade,
        sentence: String,
        now: Tick,
    ) {
        let why = &Refusal::Banned;
        if upgrade.is_browser {
            let close = CloseReason::Banned { sentence };
            return self.refuse_page(id, upgrade, (why, &close), now);
        }
        let date = self.date.at(self.net.wall());
        let response = why.response_saying(date, &sentence);
        self.log_connection(id, format_args!("is refused with {}", why.status()));
        self.refuse_with(id, why, &Frame::http(&response), now);
    }

    fn refuse_page(
        &mut self,
        id: ConnId,
        upgrade: &Upgrade,
        (why, close): (&Refusal, &CloseReason),
        now: Tick,
    ) {
        self.tallies.closes.count(close.code());
        self.log_connection(id, format_args!("is refused with {}", close.code()));
        let frame = Frame::close(close.code(), &close.text());
        let response = [&upgrade.response, frame.bytes()].concat();
        self.refuse_with(id, why, &Frame::http(&response), now);
    }

    fn refuse_with(&mut self, id: ConnId, why: &Refusal, response: &Frame, now: Tick) {
        let Some(connection) = self.connections.get_mut(id) else {
            return;
        };
        // Otherwise it was counted when it came.
        if !matches!(connection.source, Source::Surplus(_)) {
            self.count_refusal(why);
        }
        self.connections.push_control(id, response.clone());
        self.drain(id, now);
    }

    /// What is queued is the last: then our side is shut, and the peer's end awaited.
    pub(super) fn drain(&mut self, id: ConnId, now: Tick) {
        let Some(connection) = self.connections.get_mut(id) else {
            return;
        };
        connection.state.drain(&self.deadlines, now);
        self.connections.mark_dirty(id);
        // Bytes may be unread in the socket, and edge-triggered epoll does not report them again.
        self.connections.mark_readable(id);
        self.rearm(id);
    }

    /// The peer will send nothing more. A member leaves; what is queued for it is still sent.
    pub(super) fn peer_ended(&mut self, id: ConnId, now: Tick) {
        self.leave(id, now);
        let Some(connection) = self.connections.get_mut(id) else {
            return;
        };
        if connection.has_tls_end() && connection.state.outbox.is_empty() {
            self.records.close(connection);
        }
        let has_unsent = self.net.has_unsent(&connection.stream);
        let state = &mut connection.state;
        match state.peer_ended(has_unsent, &self.deadlines, now) {
            Ended::Drains => {
                // Even if nothing is queued: flushing is what shuts our side.
                self.connections.mark_dirty(id);
                self.rearm(id);
            }
            Ended::Over => {
                self.log_connection(id, format_args!("ended"));
                self.connections.end(id);
            }
        }
    }

    /// Ends a connection whose peer did not do its part in time. What the system holds for it goes
    /// with it.
    pub(super) fn give_up(&mut self, id: ConnId) {
        self.reset_unsent(id);
        self.connections.end(id);
    }

    /// Makes the close of a connection a reset if anything is unsent.
    pub(super) fn reset_unsent(&mut self, id: ConnId) {
        let Some(connection) = self.connections.get_mut(id) else {
            return;
        };
        if !connection.state.outbox.is_empty() || self.net.has_unsent(&connection.stream) {
            self.net.reset(&mut connection.stream);
        }
    }

    /// Arms the deadline of the state that a connection is in. To be called at each transition.
    pub(super) fn rearm(&mut self, id: ConnId) {
        let Some(connection) = self.connections.get_mut(id) else {
            return;
        };
        let due = connection.state.due(id.slot(), &self.deadlines);
        if connection.state.has_retries() {
            self.connections.arm_by(id, due);
        } else {
            self.connections.arm(id, due);
        }
    }

    /// Arms the deadline of an open connection if it comes earlier than the one that is armed.
    pub(super) fn advance(&mut self, id: ConnId) {
        let Some(connection) = self.connections.get_mut(id) else {
            return;
        };
        let due = connection.state.due(id.slot(), &self.deadlines);
        self.connections.arm_by(id, due);
    }
}

/// What a page is closed with instead of the status that others get. `room` is the one that it
/// wanted.
fn close_reason(why: &Refusal, room: Option<&str>) -> CloseReason {
    let text = why.text();
    let nearest = room
        .filter(|room| RoomName::parse(room).is_err())
        .and_then(RoomName::nearest);
    match (why, nearest) {
        (Refusal::RoomName { .. }, Some(nearest)) => CloseReason::BadName {
            // First, since the end may be cut.
            rule: format!("Try {}. {text}", nearest.as_str()),
        },
        _ => close_reason_without_suggestion(why, text),
    }
}

fn close_reason_without_suggestion(why: &Refusal, text: Cow<'static, str>) -> CloseReason {
    match why {
        Refusal::RoomName { .. } | Refusal::NotUtf8 | Refusal::BadHistory => CloseReason::BadName {
            rule: text.into_owned(),
        },
        Refusal::BadToken => CloseReason::LoginRequired,
        Refusal::TokenExpired => CloseReason::TokenExpired,
        _ => CloseReason::Refused {
            status: why.status(),
            text,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::super::request::ROOM_NAME_RULE;
    use super::*;
    use crate::frame::CLOSE_TEXT_MAX;

    #[test]
    fn what_a_page_can_be_refused_with_has_its_code_and_fits_into_a_close_frame() {
        for (why, code) in [
            (Refusal::RoomName { reason: "no" }, 4003),
            (Refusal::NotUtf8, 4003),
            (Refusal::BadHistory, 4003),
            (Refusal::BadHost, 4400),
            (Refusal::BadSubprotocol, 4400),
            (Refusal::RepeatedOrigin, 4400),
            (Refusal::NoOrigin, 4403),
            (Refusal::ForeignOrigin, 4403),
            (Refusal::NoWebSocketHere, 4404),
            (Refusal::TooManyConnections, 1013),
            (Refusal::TooManyFromAddress, 1013),
        ] {
            let close = close_reason(&why, Some("den"));
            assert_eq!((close.code(), &close.text()), (code, &why.text()));
            assert!(close.text().len() <= CLOSE_TEXT_MAX, "{}", close.text());
        }
    }

    #[test]
    fn the_nearest_good_name_is_in_the_reason_for_a_bad_one() {
        let reason = ROOM_NAME_RULE;
        let close = close_reason(&Refusal::RoomName { reason }, Some("#General chat"));
        assert_eq!(close.code(), 4003);
        assert_eq!(close.text(), format!("Try general-chat. {reason}"));
        assert!(close.text().len() <= CLOSE_TEXT_MAX);
        let close = close_reason(&Refusal::RoomName { reason }, Some("\u{1F389}"));
        assert_eq!(close.text(), reason);
    }
}
