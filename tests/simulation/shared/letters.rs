//! Games of direct messages: two accounts with connections at several servers, whose links to the
//! engine are late and lost. At the end each connection has been shown what it should have been,
//! once and in order.

use super::super::chance::Chance;
use super::super::trace::Trace;
use super::direct::{logs_in_at, with_accounts};
use super::scene::Scene;
use parlor::chat::{Content, Draft};
use serde_json::{Value, json};

const NODES: usize = 3;
const STEPS: usize = 60;
const NAMES: [&str; 2] = ["ann", "bob"];
/// The name that the log has of their conversation.
const LOG: &str = "@1.2";

struct Connection {
    who: usize,
    side: usize,
    is_plain: bool,
}

struct Game {
    scene: Scene,
    chance: Chance,
    connections: Vec<Connection>,
    said: usize,
}

/// Plays one game. Returns how many steps it had.
pub(super) fn play(seed: u64, _trace: Trace) -> u64 {
    let mut game = Game {
        scene: with_accounts(NODES, &NAMES),
        chance: Chance::new(seed),
        connections: Vec::new(),
        said: 0,
    };
    game.scene.engine.faults.late = 30;
    for _ in 0..STEPS {
        game.step();
    }
    game.scene.engine.faults.late = 0;
    for node in 0..NODES {
        game.scene.engine.links(node, true);
    }
    // What waited too long is refused by then.
    game.scene.pass(320);
    for side in [0, 1, 0, 1, 0, 1] {
        let is_plain = game.chance.percent(50);
        game.comes(side, is_plain);
    }
    // Where there are no members, the log is closed.
    game.scene.pass(650);
    for side in 0..2 {
        game.comes(side, false);
        game.says(game.connections.len() - 1, &format!("end{side}"));
        game.scene.pass(5);
    }
    game.judge();
    STEPS as u64
}

impl Game {
    fn step(&mut self) {
        match self.chance.below(100) {
            0..50 if !self.connections.is_empty() => {
                let place = self.chance.below(self.connections.len());
                self.said += 1;
                self.says(place, &format!("t{}", self.said));
            }
            50..58 if !self.connections.is_empty() => {
                let place = self.chance.below(self.connections.len());
                let gone = self.connections.remove(place);
                self.scene.goes(gone.who);
            }
            // The log is closed where there are no members.
            58..60 => self.scene.pass(650),
            60..72 if self.connections.len() < 8 => {
                let (side, is_plain) = (self.chance.below(2), self.chance.percent(30));
                self.comes(side, is_plain);
            }
            72..80 => {
                let (node, is_up) = (self.chance.below(NODES), self.chance.percent(60));
                self.scene.engine.links(node, is_up);
            }
            _ => {
                let ticks = self.chance.below(20) as u32;
                self.scene.pass(ticks);
            }
        }
    }

    fn comes(&mut self, side: usize, is_plain: bool) {
        let node = self.chance.below(NODES);
        match logs_in_at(&mut self.scene, node, NAMES[side], is_plain) {
            Ok(who) => self.connections.push(Connection {
                who,
                side,
                is_plain,
            }),
            // The link is lost, or it takes too long.
            Err(who) => self.scene.goes(who),
        }
    }

    fn says(&mut self, place: usize, text: &str) {
        let Connection {
            who,
            side,
            is_plain,
        } = self.connections[place];
        let to = NAMES[1 - side];
        if is_plain {
            self.scene.writes(who, &format!("/msg {to} {text}"));
        } else {
            let room = json!(format!("@{to}"));
            self.scene
                .sends(who, "send", &[("room", room), ("text", json!(text))]);
        }
        if self.chance.percent(30) {
            self.scene.turns();
        }
    }

    fn judge(&self) {
        let order = self.order();
        assert!(order.len() <= self.said + 2, "something is doubled");
        for connection in &self.connections {
            if connection.is_plain {
                self.judge_person(connection, &order);
            } else {
                self.judge_program(connection, &order);
            }
        }
        let registry = &self.scene.engine.registry;
        let mut known = registry.accounts().take(1);
        let known = known.next().expect("there is Ann").id;
        let known = registry
            .conversations_of(known)
            .next()
            .expect("they talked");
        assert_eq!(known.unseen.map(|seq| seq.0), [0, 0], "both are here");
    }

    /// The texts, as the engine has numbered them.
    fn order(&self) -> Vec<String> {
        let entries = self.scene.engine.rooms[LOG].entries.iter();
        let text = |draft: &Draft| match &draft.content {
            Content::Said { text, .. } => text.clone(),
            other => panic!("{other:?} was not said"),
        };
        entries
            .map(|numbered| text(&numbered.entry.draft))
            .collect()
    }

    fn judge_program(&self, connection: &Connection, order: &[String]) {
        let room = json!(format!("@{}", NAMES[1 - connection.side]));
        let mut at = None;
        let heard = self.scene.clients[connection.who].heard.iter();
        for object in heard.filter(|object| object["room"] == room) {
            match object["type"].as_str().expect("a type") {
                "joined" => at = object["after"].as_u64(),
                "message" => {
                    let seq = object["seq"].as_u64().expect("a number");
                    assert_eq!(Some(seq - 1), at, "{object}");
                    assert_eq!(object["text"], json!(order[seq as usize - 1]));
                    at = Some(seq);
                }
                "ok" => {
                    let seq = object["seq"].as_u64().expect("a number");
                    assert!(seq as usize <= order.len(), "{object}");
                }
                other => panic!("{other} is not of this game: {object}"),
            }
        }
        assert_eq!(at, Some(order.len() as u64), "it has all");
    }

    fn judge_person(&self, connection: &Connection, order: &[String]) {
        let other = NAMES[1 - connection.side];
        let ways = [format!("[from {other}] "), format!("[to {other}] ")];
        let heard = self.scene.clients[connection.who].heard.iter();
        let lines = heard.filter_map(Value::as_str);
        let mut at = 0;
        for line in lines {
            let Some(text) = ways.iter().find_map(|way| line.strip_prefix(way.as_str())) else {
                continue;
            };
            let place = order.iter().position(|said| said == text);
            let place = place.expect("it was said") + 1;
            assert!(place > at, "{text} is shown late or again");
            at = place;
        }
        assert_eq!(at, order.len(), "it has the last");
    }
}
