//! Requests of `parlor.v1.json` by which operators keep order over the admin socket: the same rules,
//! words and rows of the audit log as for a client, by a host of the chat. What a client would be
//! shown as the answer is the body of the response. Knows no rule.

use super::Server;
use super::ask::Asking;
use crate::admin::Answer;
use crate::chat::{Command, RoomName};
use crate::id::{ConnId, Tick};
use crate::net::Net;
use crate::wire::{Ask, Done, Problem, Protocol, RequestId, Shown};
use serde_json::Value;
use std::mem;

/// Those that are not answered: one of each connection at most.
#[derive(Default)]
pub(super) struct Orders {
    under_way: Vec<Order>,
}

struct Order {
    id: ConnId,
    keep_alive: bool,
    /// Of the room that it is about.
    members: Option<usize>,
    /// It is not being handled any more: the answer is sent when it comes.
    is_late: bool,
    answer: Option<String>,
}

impl Orders {
    pub(super) fn is_empty(&self) -> bool {
        self.under_way.is_empty()
    }

    /// Whether a connection waits for the answer to an order.
    pub(super) fn has(&self, id: ConnId) -> bool {
        self.under_way.iter().any(|order| order.id == id)
    }
}

impl Order {
    fn answer(self) -> Option<Answer> {
        let mut body: Value = serde_json::from_str(&self.answer?).ok()?;
        if body["type"] == "error" {
            let why = body["message"].as_str().unwrap_or_default();
            let status = if body["code"] == "store_unavailable" {
                503
            } else {
                409
            };
            return Some(Answer::error(status, why));
        }
        if let (Some(object), Some(members)) = (body.as_object_mut(), self.members) {
            object.insert(String::from("members"), members.into());
        }
        Some(Answer::order(body))
    }
}

impl<N: Net> Server<N> {
    /// Handles an order. `None`: the answer comes when the store has kept it.
    pub(super) fn take_order(
        &mut self,
        id: ConnId,
        keep_alive: bool,
        body: &str,
        now: Tick,
    ) -> Option<Answer> {
        let message = Protocol::Json.read(body);
        let request = message.request(usize::MAX);
        let Some(re) = request.id.clone() else {
            return Some(Answer::error(400, "expected a request with an id"));
        };
        let command = match request.ask {
            Ask::Chat(command) if command.keeps_order() => self.with_address(command),
            Ask::Amend { command, .. } if command.keeps_order() => command,
            Ask::Bad(why) => return Some(Answer::error(400, &why.to_string())),
            _ => return Some(Answer::error(400, "this request keeps no order")),
        };
        let name = match request.room.map(RoomName::parse).transpose() {
            Ok(name) => name.map(RoomName::into_smol_str),
            Err(why) => {
                return Some(Answer::error(
                    400,
                    &format!("a room cannot have this name: {why}"),
                ));
            }
        };
        if command.changes_registry() && !self.can_change() {
            return Some(Answer::error(503, &Problem::StoreUnavailable.to_string()));
        }
        let chat = self.talk.chat();
        let open = name.as_ref().and_then(|name| self.log.find(name));
        let room = open.filter(|room| !chat.members(*room).is_empty());
        let members = room.map_or(0, |room| chat.members(room).len());
        let needs_members = matches!(
            command,
            Command::Kick { .. } | Command::Delete { .. } | Command::Purge { .. }
        );
        if let (Some(name), true) = (&name, needs_members && members == 0) {
            let why = format!("the room {name} has no members at the moment; join it first");
            return Some(Answer::error(409, &why));
        }
        self.orders.under_way.push(Order {
            id,
            keep_alive,
            members: name.is_some().then_some(members),
            is_late: false,
            answer: None,
        });
        let asking = Asking {
            request: Some(re.clone()),
            ..Asking::default()
        };
        let before = mem::replace(&mut self.asking, asking);
        let when = self.now_of(id, now);
        self.chat_step(now, |chat, effects| {
            let place = name.as_ref().map(|name| (room, name));
            chat.handle_host(id, place, command, when, effects);
        });
        let asking = mem::replace(&mut self.asking, before);
        if !asking.is_answered {
            self.order_is_done(id, &re, now);
        }
        let under_way = &mut self.orders.under_way;
        let place = under_way.iter().position(|order| order.id == id)?;
        if under_way[place].answer.is_none() {
            under_way[place].is_late = true;
            return None;
        }
        self.order_ends(place, now)
    }

    fn order_is_done(&mut self, id: ConnId, re: &RequestId, now: Tick) {
        let done = Shown::Ok {
            re: Some(re),
            done: Done::Nothing,
        };
        self.show(id, &done, now);
    }

    fn order_ends(&mut self, place: usize, now: Tick) -> Option<Answer> {
        let order = self.orders.under_way.swap_remove(place);
        let id = order.id;
        self.chat_step(now, |chat, _| chat.host_is_answered(id));
        order.answer()
    }

    /// What a client would be shown. Only the answer counts.
    pub(super) fn order_is_shown(&mut self, id: ConnId, shown: &Shown<'_>, now: Tick) {
        let is_answer = matches!(
            shown,
            Shown::Reply { re: Some(_), .. }
                | Shown::Ok { re: Some(_), .. }
                | Shown::Error { re: Some(_), .. }
        );
        let text = self.encoder.text(shown, Protocol::Json).map(str::to_owned);
        let under_way = &mut self.orders.under_way;
        let place = under_way.iter().position(|order| order.id == id);
        let (Some(text), Some(place)) = (text.filter(|_| is_answer), place) else {
            return;
        };
        let order = &mut under_way[place];
        order.answer = Some(text);
        if !order.is_late {
            return;
        }
        let keep_alive = order.keep_alive;
        if let Some(answer) = self.order_ends(place, now) {
            self.answer_late(id, keep_alive, &answer, now);
        }
    }
}
