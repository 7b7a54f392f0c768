//! Orders of clients that a shared engine has refused for what another server has changed in the
//! same moment: each is handled again as it came, by the facts that are known by then, a few times
//! at most. Knows no fact; what an order does is the chat's.

use super::Server;
use super::ask::Asking;
use crate::chat::{Command, Order};
use crate::id::{ConnId, Tick};
use crate::net::Net;
use crate::wire::{self, Ask, Problem, RequestId};
use std::mem;

/// How often an order is handled again. Of several that are asked at once one is made each time, and
/// the others are refused.
const TIMES_MAX: u8 = 8;

/// An order as it came, while it is under way.
#[derive(Debug)]
pub(super) struct Again {
    text: Box<str>,
    times: u8,
}

impl Again {
    /// That of a request, if it is an order that may be refused so.
    pub(super) fn of(ask: &Ask<'_>, text: &str) -> Option<Self> {
        let Ask::Chat(command) = ask else {
            return None;
        };
        let is_order = command.keeps_order() && command.changes_registry();
        is_order.then(|| Self {
            text: text.into(),
            times: 0,
        })
    }

    pub(super) const fn held_bytes(&self) -> usize {
        self.text.len()
    }

    fn next(self) -> Option<Self> {
        let times = self.times + 1;
        (times <= TIMES_MAX).then_some(Self { times, ..self })
    }
}

impl<N: Net> Server<N> {
    /// An order was refused as it was made from facts that have changed, which have come since.
    pub(super) fn asks_again(
        &mut self,
        (id, request): (ConnId, Option<RequestId>),
        again: Option<Again>,
        now: Tick,
    ) {
        let again = again.and_then(Again::next);
        let again = again.filter(|_| self.takes_changes() && self.talk.chat().is_user(id));
        let (Some(again), Some(protocol)) = (again, self.protocol_of(id)) else {
            return self.fail(id, request.as_ref(), Problem::StoreUnavailable, now);
        };
        let text = again.text.clone();
        let message = protocol.read(&text);
        let asked = message.request(wire::said_bytes_max(self.message_bytes_max));
        let Ask::Chat(command) = asked.ask else {
            return self.fail(id, request.as_ref(), Problem::StoreUnavailable, now);
        };
        let command = self.with_address(without_purge(command));
        let asking = Asking {
            request,
            again: Some(again),
            ..Asking::default()
        };
        let before = mem::replace(&mut self.asking, asking);
        let when = self.now_of(id, now);
        self.chat_step(now, |chat, effects| {
            chat.handle_again(id, asked.room, command, when, effects);
        });
        let asking = mem::replace(&mut self.asking, before);
        if let Some(re) = asking.request.filter(|_| !asking.is_answered) {
            self.answer_at_last(id, &re, true, false, now);
        }
    }
}

/// What a ban deletes was deleted when it was asked for.
const fn without_purge(command: Command<'_>) -> Command<'_> {
    match command {
        Command::Sanction(order) => Command::Sanction(Order {
            purge_seconds: None,
            ..order
        }),
        other => other,
    }
}
