//! What operators ask about connections and rooms, and a line to all. Every list comes in pages, so
//! that a turn looks at a bounded number of places however many connections there are. Knows no HTTP.

use super::Server;
use super::batches::Frames;
use super::connection::{Connection, Source};
use super::fleet::node_id;
use crate::admin::{Answer, Operation};
use crate::chat::{Nick, Role};
use crate::conn::state::Phase;
use crate::id::{ConnId, Tick};
use crate::logging;
use crate::net::Net;
use crate::wire::{Protocol, Shown};
use crate::ws::CloseReason;
use log::info;
use serde_json::{Value, json};
use smol_str::SmolStr;

/// Places of a table that are looked at for one page, so that a list of all connections is many short
/// turns and not a long one.
const PAGE: u32 = 200;

/// Rooms that are named of one connection; the rest is a number.
const ROOMS_SHOWN: usize = 100;

impl<N: Net> Server<N> {
    /// The answer; `None`: it comes later.
    pub(super) fn operate(
        &mut self,
        operation: Operation,
        id: ConnId,
        keep_alive: bool,
        now: Tick,
    ) -> Option<Answer> {
        Some(match operation {
            Operation::Reload => return self.reload_for(id, keep_alive),
            Operation::Upgrade => return self.upgrade_for(id, keep_alive),
            Operation::Connections { from } => self.list_connections(from, now),
            Operation::Show { id } => self.show_connection(id, now),
            Operation::Close { id: other } if other == id => {
                Answer::error(409, "this is the connection that asks")
            }
            Operation::Close { id } => self.close_for_operator(id, now),
            Operation::Rooms { from } => self.list_open_rooms(from),
            Operation::Members { room, from } => self.list_members(&room, from),
            Operation::Nodes => return self.list_nodes(id, keep_alive),
            Operation::Notice { text } => self.announce(&text, now),
            Operation::Log { filters } => match logging::parse_filters(&filters) {
                Ok(filters) => {
                    logging::set_filters(&filters);
                    info!(target: "parlor::admin", "the filters of the log are {filters}");
                    Answer::done(json!({}))
                }
                Err(why) => Answer::error(400, &why),
            },
        })
    }

    fn list_connections(&mut self, from: u32, now: Tick) -> Answer {
        let slots = self.connections.slots();
        let end = from.saturating_add(PAGE).min(slots);
        let mut rows = Vec::new();
        for slot in from..end {
            if let Some(id) = self.connections.id_of(slot) {
                rows.extend(self.describe(id, now));
            }
        }
        Answer::done(json!({ "connections": rows, "next": next(end, slots) }))
    }

    fn describe(&mut self, id: ConnId, now: Tick) -> Option<Value> {
        let connection = self.connections.get_mut(id)?;
        let (address, proxy) = source(connection);
        let silent = now.since(connection.state.seen());
        let mut row = json!({
            "id": id.to_string(),
            "address": address,
            "phase": phase(connection.state.phase()),
            "protocol": protocol(connection),
            "queued": connection.state.outbox.bytes(),
            "silent": u64::from(silent) * Tick::MILLIS / 1000,
        });
        if let Some(proxy) = proxy {
            row["proxy"] = proxy.into();
        }
        let chat = self.talk.chat();
        if chat.is_user(id) {
            row["nick"] = chat.nick_of(id).map(|nick| nick.as_str()).into();
            row["account"] = chat.account_name(id).map(|name| name.as_str()).into();
            row["rooms"] = chat.rooms_joined(id).into();
        }
        Some(row)
    }

    fn show_connection(&mut self, id: ConnId, now: Tick) -> Answer {
        let Some(mut row) = self.describe(id, now) else {
            return gone(id);
        };
        if let Some(connection) = self.connections.get_mut(id) {
            row["held"] = connection.state.is_held().into();
            row["blocked"] = connection.state.is_blocked().into();
        }
        let chat = self.talk.chat();
        if chat.is_user(id) {
            // With whom a user talks alone is not the operator's matter.
            let rooms = chat
                .rooms_of(id)
                .filter(|room| chat.pair_of(*room).is_none());
            let names = rooms.filter_map(|room| chat.room_name(room));
            let names: Vec<&str> = names.take(ROOMS_SHOWN).map(|name| name.as_str()).collect();
            row["room_names"] = json!(names);
            row["operator"] = chat.is_operator(id).into();
        }
        Answer::done(row)
    }

    fn close_for_operator(&mut self, id: ConnId, now: Tick) -> Answer {
        let Some(connection) = self.connections.get_mut(id) else {
            return gone(id);
        };
        if connection.state.is_open() {
            let reason = String::from("closed by the operator of the server");
            self.part(id, &CloseReason::Kicked { reason }, now);
        } else {
            self.connections.end(id);
        }
        info!(target: "parlor::admin", "{id} is closed by the operator");
        Answer::done(json!({}))
    }

    /// First those with members here, by their slots, and then those with members at other servers
    /// alone, in the order of their names.
    fn list_open_rooms(&self, from: u32) -> Answer {
        let chat = self.talk.chat();
        let slots = chat.room_slots();
        let others = u32::try_from(chat.rooms_elsewhere_count()).unwrap_or(u32::MAX);
        let all = slots.saturating_add(others);
        let end = from.saturating_add(PAGE).min(all);
        let rooms = (from..end.min(slots)).filter_map(|slot| chat.room_at(slot));
        let rooms = rooms.filter(|room| chat.pair_of(*room).is_none());
        let row = |room| {
            let here = chat.members(room).len();
            json!({
                "name": chat.room_name(room).map(|name| name.as_str()),
                "members": here + chat.count_elsewhere(room),
                "here": self.log.is_shared().then_some(here),
                "behind": here - chat.live(room).len(),
            })
        };
        let other_row = |(name, members): (&SmolStr, u32)| json!({ "name": name.as_str(), "members": members, "here": 0, "behind": 0 });
        let [first, count] = [from.saturating_sub(slots), end - from.max(slots).min(end)];
        let others = chat.rooms_elsewhere().skip(first as usize);
        let others = others.take(count as usize);
        let others = others.filter(|(name, _)| !self.has_members(name));
        let rows = rooms.map(row).chain(others.map(other_row));
        let rows: Vec<Value> = rows.collect();
        Answer::done(json!({ "rooms": rows, "next": next(end, all) }))
    }

    fn has_members(&self, name: &str) -> bool {
        let room = self.log.find(name);
        room.is_some_and(|room| !self.talk.chat().members(room).is_empty())
    }

    /// First those that are here. Members that come or go between two pages may be on none or on both.
    fn list_members(&self, name: &str, from: u32) -> Answer {
        let chat = self.talk.chat();
        let room = self.log.find(name);
        let Some(room) = room.filter(|room| chat.pair_of(*room).is_none()) else {
            let which = if chat.has_room_elsewhere(name) {
                format!("the room {name} is in use at other servers alone: ask one of them")
            } else {
                format!("no room {name} is in use")
            };
            return Answer::error(404, &which);
        };
        let members = chat.members(room);
        let all = members.len() + chat.count_elsewhere(room);
        let count = u32::try_from(all).unwrap_or(u32::MAX);
        let end = from.saturating_add(PAGE).min(count);
        let page = members.iter().skip(from as usize).take(PAGE as usize);
        let row = |id: &ConnId| {
            json!({
                "id": id.to_string(),
                "nick": chat.nick_of(*id).map(|nick| nick.as_str()),
                "account": chat.account_name(*id).map(|name| name.as_str()),
                "role": chat.role_of(*id, room).name(),
            })
        };
        let others = chat.members_elsewhere(room);
        let others = others.skip((from as usize).saturating_sub(members.len()));
        let others = others.take((end as usize).saturating_sub(members.len().max(from as usize)));
        let other_row = |(nick, has_account, node): (&Nick, bool, u64)| {
            json!({
                "id": null, // Which its server alone knows.
                "nick": nick.as_str(),
                "account": has_account.then(|| nick.as_str()),
                "role": chat.role_elsewhere(room, nick).map(Role::name),
                "server": node_id(node),
            })
        };
        let rows: Vec<Value> = page.map(row).chain(others.map(other_row)).collect();
        Answer::done(json!({ "members": rows, "next": next(end, count) }))
    }

    /// Costs as much as a message in a room of all users. It is not kept: a user that is away, or whose
    /// outbox is full, does not get it.
    fn announce(&mut self, text: &str, now: Tick) -> Answer {
        let shown = Shown::Announcement { text };
        let frames: Frames = Protocol::ALL.map(|protocol| self.encoder.frame(&shown, protocol));
        let (mut count, mut missed) = (0, 0);
        for id in self.connections.ids() {
            if !self.talk.chat().is_user(id) || self.claims.is_entering(id) {
                continue;
            }
            if self.give_one(id, &frames, now) {
                count += 1;
            } else {
                missed += 1;
            }
        }
        info!(target: "parlor::admin", "a notice is shown to {count} clients");
        Answer::done(json!({ "shown": count, "missed": missed }))
    }
}

/// Where the next page begins.
fn next(end: u32, slots: u32) -> Option<u32> {
    (end < slots).then_some(end)
}

fn gone(id: ConnId) -> Answer {
    Answer::error(404, &format!("there is no connection {id}"))
}

/// What it counts for, and the proxy that has not said it yet.
fn source<S>(connection: &Connection<S>) -> (Option<String>, Option<String>) {
    match connection.source {
        Source::Counted(address) => (Some(address.to_string()), None),
        Source::Proxy(peer) | Source::Unnamed(peer) => (None, Some(peer.to_string())),
        Source::Uncounted | Source::Admin | Source::Monitor | Source::Surplus(_) => (None, None),
    }
}

const fn protocol<S>(connection: &Connection<S>) -> &'static str {
    match (connection.source, connection.protocol) {
        (Source::Admin, _) => "admin",
        (Source::Monitor, _) => "monitor",
        (_, Protocol::Plain) => "plain",
        (_, Protocol::Json) => "json",
        (_, Protocol::Echo) => "echo",
    }
}

const fn phase(phase: &Phase) -> &'static str {
    match phase {
        Phase::Head { .. } => "head",
        Phase::Answering { .. } => "answering",
        Phase::Idle { .. } => "idle",
        Phase::Open { .. } => "open",
        Phase::Closing { .. } => "closing",
        Phase::Draining { .. } => "draining",
    }
}
