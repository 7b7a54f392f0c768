//! People of both protocols write to each other alone, and some read seldom: what two say is seen by
//! these two alone, by both in one order, and once. Those that do not keep up are shown how much they
//! have missed, or read on later.

use super::*;
use parlor::budget;
use std::collections::{BTreeMap, BTreeSet};

/// Every other one is a program.
const PEOPLE: usize = 6;
const STEPS: usize = 150;

struct Game {
    room: Scene,
    chance: Chance,
    people: Vec<Who>,
    /// What was sent: from whom, to whom.
    sent: BTreeMap<String, (usize, usize)>,
    /// What each has seen, in order: with whom, and the text.
    seen: Vec<Vec<(usize, String)>>,
    missed: Vec<usize>,
}

const fn is_program(person: usize) -> bool {
    person.is_multiple_of(2)
}

fn name(person: usize) -> String {
    format!("nick{person}")
}

impl Game {
    fn new(seed: u64) -> Self {
        let config = Config {
            budget: budget::Settings::UNLIMITED,
            ..unlimited()
        };
        let mut room = Scene::with(config, NARROW);
        let people = (0..PEOPLE).map(|person| {
            let nick = name(person);
            if !is_program(person) {
                return room.joins(&nick);
            }
            let who = room.connects();
            let field = "Sec-WebSocket-Protocol: parlor.v1.json\r\n";
            let upgrade = client::upgrade_to(&format!("/ws?nick={nick}"), field);
            room.sends(who, &upgrade);
            who
        });
        let people: Vec<Who> = people.collect();
        for who in &people {
            // Those that are held are read later.
            let socket = room.people[*who].socket;
            let net = room.server.net_mut();
            net.may_leave_unread(socket, parlor::id::Tick(u32::MAX));
        }
        Self {
            room,
            chance: Chance::new(seed),
            people,
            sent: BTreeMap::new(),
            seen: vec![Vec::new(); PEOPLE],
            missed: vec![0; PEOPLE],
        }
    }

    fn writes(&mut self, from: usize, to: usize) {
        let text = format!("text{:04}.", self.sent.len());
        let line = if is_program(from) {
            format!(
                r#"{{"type":"send","room":"@{}","text":"{text}"}}"#,
                name(to)
            )
        } else {
            format!("/msg {} {text}", name(to))
        };
        self.sent.insert(text, (from, to));
        self.room.says(self.people[from], &line);
    }

    fn step(&mut self) {
        let person = self.chance.below(PEOPLE);
        match self.chance.below(10) {
            0 => self.room.stops_reading(self.people[person]),
            1 | 2 => self.room.reads_again(self.people[person]),
            3 => self.room.pass(tenths(3)),
            _ => {
                let other = (person + 1 + self.chance.below(PEOPLE - 1)) % PEOPLE;
                self.writes(person, other);
            }
        }
        self.listen();
    }

    fn listen(&mut self) {
        for person in 0..PEOPLE {
            for line in self.room.heard(self.people[person]) {
                self.hears(person, &line);
            }
        }
    }

    fn hears(&mut self, person: usize, line: &str) {
        assert!(!line.contains("\"@g"), "the name of the log: {line}");
        if let Some(count) = line.strip_prefix("* you missed ") {
            if line.contains("direct message") {
                let digits = count.split(' ').next().expect("a number");
                self.missed[person] += digits.parse::<usize>().expect("a number");
            }
            return;
        }
        let Some(at) = line.find("text") else {
            return assert!(!line.contains("\"error\""), "{line}");
        };
        // The word `text` is that of a field as well.
        let Some(at) = line[at..].find("text0").map(|found| at + found) else {
            return;
        };
        let text = String::from(&line[at..at + 9]);
        let (from, to) = self.sent[&text];
        assert!(
            person == from || person == to,
            "{person} sees what is of others: {line}"
        );
        let other = if person == from { to } else { from };
        let expected = if is_program(person) {
            format!(r#""room":"@{}""#, name(other))
        } else {
            let way = if person == from { "to" } else { "from" };
            format!("[{way} {}] ", name(other))
        };
        assert!(line.contains(&expected), "{expected}: {line}");
        self.seen[person].push((other, text));
    }

    fn seen_with(&self, person: usize, other: usize) -> Vec<&str> {
        let all = self.seen[person].iter();
        let with = all.filter(|(with, _)| *with == other);
        with.map(|(_, text)| text.as_str()).collect()
    }

    fn judge(&self) {
        for person in 0..PEOPLE {
            let mut lost = 0;
            for other in (0..PEOPLE).filter(|other| *other != person) {
                let seen = self.seen_with(person, other);
                let set: BTreeSet<&str> = seen.iter().copied().collect();
                assert_eq!(set.len(), seen.len(), "{person} has seen a message twice");
                let of_two =
                    |pair: &(usize, usize)| *pair == (person, other) || *pair == (other, person);
                let said = self.sent.values().filter(|pair| of_two(pair)).count();
                if is_program(person) {
                    assert_eq!(seen.len(), said, "{person} with {other}");
                }
                lost += said - seen.len();
                // In the order of the other: those that it has seen as well.
                let theirs = self.seen_with(other, person);
                let both = |all: &[&str], rest: &[&str]| -> Vec<String> {
                    let common = all.iter().filter(|text| rest.contains(text));
                    common.map(|text| String::from(*text)).collect()
                };
                assert_eq!(both(&seen, &theirs), both(&theirs, &seen));
            }
            assert_eq!(lost, self.missed[person], "{person} has missed some unsaid");
        }
    }
}

#[test]
fn what_two_say_is_seen_by_these_two_alone_in_one_order_and_once() {
    let mut written = 0;
    for seed in 1..=20 {
        let mut game = Game::new(seed);
        game.listen();
        for _ in 0..STEPS {
            game.step();
        }
        for person in 0..PEOPLE {
            game.room.reads_again(game.people[person]);
        }
        game.room.pass(seconds(2));
        game.listen();
        // With what they have missed, those of lines are shown that they have.
        for person in (0..PEOPLE).filter(|person| !is_program(*person)) {
            game.writes((person + 1) % PEOPLE, person);
        }
        game.room.pass(seconds(2));
        game.listen();
        game.judge();
        written += game.sent.len();
        for person in 0..PEOPLE {
            game.room.vanishes(game.people[person]);
        }
        game.room.pass(seconds(10));
        assert!(game.room.is_empty());
    }
    assert!(written > 1_000, "{written} messages");
}
