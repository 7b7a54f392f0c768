//! Rooms beside the one of the game, in which programs are now and then: where each program is, and
//! the list of rooms that each is given at the end. Knows no server.

use super::super::history::json;
use super::people::DEN;
use crate::chance::Chance;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

const ROOMS: [&str; 3] = ["side0", "side1", "side2"];
/// Requests about side rooms, and the one for the list of rooms, have numbers from here on: no other
/// request has.
const FIRST: u64 = 1 << 41;
const LIST: u64 = 1 << 42;

/// What one program does beside.
#[derive(Default)]
struct Side {
    rooms: BTreeSet<&'static str>,
    /// Not answered: the room, and whether the program joins it.
    asked: BTreeMap<u64, (&'static str, bool)>,
    next: u64,
    listed: Option<Value>,
}

pub(super) struct Sides {
    programs: Vec<Side>,
    /// Of its own, so that games are as they would be without.
    chance: Chance,
}

impl Sides {
    pub(super) fn new(programs: usize, seed: u64) -> Self {
        Self {
            programs: (0..programs).map(|_| Side::default()).collect(),
            chance: Chance::new(seed ^ 0x51DE),
        }
    }

    /// The program has another connection.
    pub(super) fn comes(&mut self, program: usize) {
        let side = &mut self.programs[program];
        side.rooms.clear();
        side.asked.clear();
    }

    /// Now and then a request to join a side room, or to leave it.
    pub(super) fn visits(&mut self, program: usize, percent: u32) -> Option<String> {
        if !self.chance.percent(percent) {
            return None;
        }
        let room = ROOMS[self.chance.below(ROOMS.len())];
        let side = &mut self.programs[program];
        let joins = !side.rooms.contains(room);
        let id = FIRST + side.next;
        side.next += 1;
        side.asked.insert(id, (room, joins));
        let kind = if joins { "join" } else { "leave" };
        Some(json::request(kind, Some(id), &[("room", json!(room))]))
    }

    /// The request for the list of rooms.
    pub(super) fn asks() -> String {
        json::request("rooms", Some(LIST), &[])
    }

    /// Whether an object of a server is about side rooms or the list alone.
    pub(super) fn hears(&mut self, program: usize, object: &Value) -> bool {
        let Some(side) = self.programs.get_mut(program) else {
            return false; // It came at the end, and is nowhere else.
        };
        let number = object["re"].as_u64().unwrap_or(0);
        if number == LIST {
            side.listed = Some(object.clone());
            return true;
        }
        if let Some((room, joins)) = side.asked.remove(&number) {
            if joins && object["type"] == "joined" {
                side.rooms.insert(room);
            } else if !joins && object["type"] == "ok" {
                side.rooms.remove(room);
            }
        }
        let room = object["room"].as_str().unwrap_or_default();
        number >= FIRST || ROOMS.contains(&room) && object["type"] != "nick_changed"
    }

    /// Each member of the room of the game is listed the rooms of all servers: that one with all its
    /// members, and side rooms with those that are there.
    pub(super) fn judge(&self, room: &str, members: &[usize]) {
        let mut counts = BTreeMap::from([(room, members.len())]);
        for room in self.programs.iter().flat_map(|side| &side.rooms) {
            *counts.entry(*room).or_default() += 1;
        }
        let rooms = counts.iter();
        let rooms = rooms.map(|(room, count)| json!({"room": room, "count": count}));
        let expected = Value::Array(rooms.collect());
        for member in members {
            let listed = self.programs[*member].listed.as_ref();
            let listed = listed.expect("it has asked for the list");
            let mut listed = listed["rooms"].as_array().expect("a list").clone();
            listed.retain(|row| row["room"] != DEN);
            listed.sort_by_key(|row| row["room"].to_string());
            assert_eq!(
                Value::Array(listed),
                expected,
                "{member} is listed all rooms"
            );
        }
    }
}
