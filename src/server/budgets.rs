//! What a request takes from the budgets of its connection and its address, and the answer when one
//! is used up. Knows no number: `budget` does.

use super::Server;
use crate::budget::Kind;
use crate::chat::Command;
use crate::id::{ConnId, Tick};
use crate::net::Net;
use crate::wire::{Ask, Problem};

impl<N: Net> Server<N> {
    /// Whether a request is within the budgets, of which it takes one. If not it is answered, where
    /// it has no id only now and then.
    pub(super) fn is_within_budget(&mut self, id: ConnId, ask: &Ask<'_>, now: Tick) -> bool {
        let Some(kind) = kind_of(ask) else {
            return true;
        };
        self.is_within(id, kind, now)
    }

    /// The same of a budget.
    pub(super) fn is_within(&mut self, id: ConnId, kind: Kind, now: Tick) -> bool {
        let Some(connection) = self.connections.get_mut(id) else {
            return true;
        };
        let address = connection.source.counted_for();
        if kind == Kind::Message && address.is_none() || self.talk.chat().is_operator(id) {
            return true;
        }
        let Err(retry_millis) = self.budgets.take(id, address, kind, now) else {
            return true;
        };
        self.stats.limited += 1;
        let is_shown =
            self.asking.request.is_some() || self.budgets.take(id, None, Kind::Told, now).is_ok();
        if is_shown {
            self.answer_problem(id, Problem::TooOften { retry_millis }, now);
        }
        false
    }
}

const fn kind_of(ask: &Ask<'_>) -> Option<Kind> {
    match ask {
        Ask::Send(_) | Ask::Direct { .. } | Ask::Chat(Command::Say { .. }) => Some(Kind::Message),
        Ask::Join { .. } => Some(Kind::Join),
        Ask::Chat(Command::Nick(_)) => Some(Kind::Nick),
        Ask::History { .. } | Ask::Letters { .. } => Some(Kind::Read),
        Ask::Search { .. } => Some(Kind::Search),
        Ask::Chat(Command::Report { .. }) => Some(Kind::Report),
        _ => None,
    }
}
