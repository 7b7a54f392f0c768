//! Scenes with two nodes and one Redis, without faults but those that they name.

use super::redis::model::{Data, Op};
use super::redis::node::{Came, Result};
use super::world::World;
use crate::chance::Chance;
use parlor::chat::{Content, Form};
use parlor::id::{RoomId, Seq, Tick};
use parlor::log::{Answer, RefusedWhy, Request, StoredRoom};
use parlor::redis::{Settings, Which};

const ROOM: &str = "lobby";
/// Ticks in which all that is under way arrives, and both links come back.
const SOON: u32 = 40;

struct Scene {
    world: World,
    room: RoomId,
}

impl Scene {
    /// Two nodes with the room open.
    fn new() -> Self {
        let mut world = World::new(2, &Settings::default(), Chance::new(1));
        let rooms = [0, 1].map(|node: usize| world.seats[node].node.open(ROOM));
        let mut scene = Self {
            world,
            room: rooms[0],
        };
        scene.later(SOON);
        for node in 0..2 {
            assert!(scene.world.seats[node].node.came.contains_key(&scene.room));
        }
        scene
    }

    fn later(&mut self, ticks: u32) {
        for _ in 0..ticks {
            self.world.turn(1);
        }
    }

    /// Says words with themselves as the key.
    fn says(&mut self, node: usize, words: &str) -> u64 {
        let seat = &mut self.world.seats[node];
        seat.node.say(self.room, ROOM, words, (5, words))
    }

    fn result(&self, node: usize, tag: u64) -> Option<(u32, bool)> {
        match self.world.seats[node].node.results.get(&tag)? {
            Result::Numbered {
                seq, is_duplicate, ..
            } => Some((seq.0, *is_duplicate)),
            Result::Refused(_) => None,
        }
    }

    fn heard(&self, node: usize) -> Vec<String> {
        self.world.seats[node].node.texts(self.room)
    }

    fn last(&self, node: usize) -> &Came {
        let came = &self.world.seats[node].node.came[&self.room];
        came.last().expect("it was opened")
    }

    /// Another process, with these keys.
    fn restarts(&mut self, data: Data) {
        let before = self.world.servers.len() - 1;
        self.world.starts(data);
        self.world.breaks(before);
        self.later(SOON);
    }

    fn both_are_told(&self, kept_to: u32) {
        for node in 0..2 {
            assert!(
                matches!(self.last(node), Came::Epoch(kept, _) if kept.0 == kept_to),
                "{:?}",
                self.last(node)
            );
        }
    }
}

#[test]
fn what_two_nodes_say_comes_to_both_in_one_order() {
    let mut scene = Scene::new();
    for number in 0..20 {
        scene.says(number % 2, &number.to_string());
        scene.later(1);
    }
    scene.later(5);
    let expected: Vec<String> = (0..20).map(|number| number.to_string()).collect();
    assert_eq!(scene.heard(0), expected);
    assert_eq!(scene.heard(1), expected);
}

#[test]
fn message_that_is_sent_again_at_another_node_is_there_once() {
    let mut scene = Scene::new();
    scene.says(0, "a");
    scene.says(0, "b");
    scene.later(5);
    let again = scene.says(1, "a");
    scene.later(5);
    assert_eq!(scene.result(1, again), Some((1, true)));
    assert_eq!(scene.heard(0), ["a", "b"]);
}

#[test]
fn what_was_sent_before_a_cut_is_not_numbered_when_its_key_is_forgotten() {
    let mut scene = Scene::new();
    scene.world.seats[0].cut = scene.world.now + 1_200;
    scene.says(0, "a");
    scene.says(0, "b");
    scene.later(60);
    scene.world.seats[0].node.gives_up();
    // Its client goes on at the other node.
    scene.says(1, "a");
    scene.says(1, "b");
    for number in 0..140 {
        scene.says(1, &number.to_string());
        scene.later(8);
    }
    scene.later(SOON);
    let heard = scene.heard(1);
    for words in ["a", "b"] {
        let times = heard.iter().filter(|heard| *heard == words).count();
        assert_eq!(times, 1, "{words}");
    }
}

#[test]
fn message_behind_one_that_was_too_late_does_not_overtake_it() {
    let mut scene = Scene::new();
    let until = scene.world.now + 53;
    scene.world.seats[0].cut = until;
    scene.says(0, "first");
    scene.later(45);
    scene.says(0, "second");
    scene.later(2 * SOON);
    assert_eq!(scene.heard(1), ["first", "second"]);
}

#[test]
fn key_of_which_redis_has_lost_the_entry_is_a_new_message() {
    let mut scene = Scene::new();
    scene.world.server().sync();
    scene.says(0, "a");
    scene.later(5);
    // The first write is the key.
    let data = scene.world.server().kept(1);
    scene.restarts(data);
    let again = scene.says(1, "a");
    let other = scene.says(1, "b");
    scene.later(5);
    assert_eq!(scene.result(1, again), Some((1, false)));
    assert_eq!(scene.result(1, other), Some((2, false)));
}

#[test]
fn entry_of_which_redis_has_lost_the_number_keeps_it() {
    let mut scene = Scene::new();
    scene.world.server().sync();
    scene.says(0, "a");
    scene.later(5);
    // The key, its end, and the entry.
    let data = scene.world.server().kept(3);
    scene.restarts(data);
    scene.both_are_told(1);
    let again = scene.says(1, "a");
    let other = scene.says(1, "b");
    scene.later(5);
    assert_eq!(scene.result(1, again), Some((1, true)));
    assert_eq!(scene.result(1, other), Some((2, false)));
}

#[test]
fn restart_with_loss_is_told_with_what_was_kept() {
    let mut scene = Scene::new();
    for words in ["a", "b", "c"] {
        scene.says(0, words);
    }
    scene.later(5);
    scene.world.server().sync();
    for words in ["d", "e"] {
        scene.says(1, words);
    }
    scene.later(5);
    let data = scene.world.server().kept(0);
    scene.restarts(data);
    scene.both_are_told(3);
    scene.says(0, "f");
    scene.later(5);
    assert_eq!(scene.heard(1), ["a", "b", "c", "d", "e", "f"]);
    assert!(matches!(scene.last(1), Came::Entry(entry) if entry.seq == Seq(4)));
}

#[test]
fn restart_without_loss_is_an_epoch_that_keeps_all() {
    let mut scene = Scene::new();
    scene.says(0, "a");
    scene.later(5);
    let data = scene.world.server().data.clone();
    scene.restarts(data);
    scene.both_are_told(1);
    assert_eq!(scene.world.seats[0].node.engine.figures().losses, 0);
}

#[test]
fn redis_that_was_emptied_is_noticed_without_a_restart() {
    let mut scene = Scene::new();
    scene.says(0, "a");
    scene.later(5);
    scene.world.server().write(Op::Flush);
    scene.later(SOON);
    scene.both_are_told(0);
}

#[test]
fn node_that_was_stopped_gets_all_that_it_missed() {
    let mut scene = Scene::new();
    scene.world.seats[1].frozen = scene.world.now + 45;
    for number in 0..500 {
        scene.says(0, &number.to_string());
    }
    scene.later(40);
    assert_eq!(scene.heard(1).len(), 0);
    scene.later(SOON);
    assert_eq!(scene.heard(1).len(), 500);
    assert_eq!(scene.heard(1), scene.heard(0));
}

#[test]
fn node_that_was_cut_off_reads_what_it_missed() {
    let mut scene = Scene::new();
    scene.world.seats[1].cut = scene.world.now + 100;
    for number in 0..500 {
        scene.says(0, &number.to_string());
    }
    scene.later(100);
    assert!(
        !scene.world.seats[1].node.is_up,
        "the deadline of an answer is over"
    );
    scene.later(100);
    assert_eq!(scene.heard(1), scene.heard(0));
    assert_eq!(scene.world.seats[1].node.engine.figures().refilled, 500);
}

#[test]
fn lost_publications_are_found_by_comparing_the_newest_numbers() {
    let mut scene = Scene::new();
    scene.world.server().forget_subscriptions();
    let tag = scene.says(0, "a");
    scene.later(SOON);
    assert_eq!(scene.heard(0), ["a"]);
    assert_eq!(scene.heard(1), ["a"]);
    assert_eq!(scene.result(0, tag), Some((1, false)));
}

#[test]
fn publication_that_is_lost_is_read_before_the_next() {
    let mut scene = Scene::new();
    scene.says(0, "a");
    scene.later(5);
    scene.world.server().loses_next = true;
    scene.says(0, "b");
    scene.later(1);
    scene.says(1, "c");
    scene.later(5);
    assert_eq!(scene.heard(0), ["a", "b", "c"]);
    assert_eq!(scene.heard(1), ["a", "b", "c"]);
    assert_eq!(scene.world.seats[1].node.engine.figures().refills, 1);
}

#[test]
fn full_redis_refuses_and_numbers_nothing() {
    let mut scene = Scene::new();
    scene.world.server().is_full = true;
    let tag = scene.says(0, "a");
    scene.later(5);
    let full = Result::Refused(RefusedWhy::Full);
    assert_eq!(scene.world.seats[0].node.results[&tag], full);
    scene.world.server().is_full = false;
    let again = scene.says(0, "a");
    scene.later(5);
    assert_eq!(scene.result(0, again), Some((1, false)));
}

#[test]
fn page_shows_what_changed_its_entries() {
    let mut scene = Scene::new();
    for words in ["a", "b", "c"] {
        scene.says(0, words);
    }
    let room = scene.room;
    let edit = |text: &str| Content::Edited {
        of: Seq(1),
        text: text.to_owned(),
    };
    let node = &mut scene.world.seats[0].node;
    node.number(room, ROOM, edit("first"), (5, "e1"));
    node.number(room, ROOM, edit("second"), (5, "e2"));
    node.number(room, ROOM, Content::Deleted { of: Seq(2) }, (5, "d"));
    scene.later(5);
    scene.world.seats[1].node.request(Request::Read {
        room,
        stored_room: StoredRoom(1),
        log_gen: 9,
        after: Seq(0),
        entries_max: 4,
        bytes_max: 1_000,
    });
    scene.later(5);
    let answer = scene.world.seats[1].node.others.pop();
    let Some(Answer::Page {
        page, log_gen: 9, ..
    }) = answer
    else {
        panic!("{answer:?}");
    };
    let forms: Vec<(Form, &str)> = page
        .entries
        .iter()
        .filter_map(|entry| match &entry.draft.content {
            Content::Said { text, form, .. } => Some((*form, text.as_str())),
            Content::Edited { text, .. } => Some((Form::Original, text.as_str())),
            _ => None,
        })
        .collect();
    let second = Form::Edited { by: Seq(5) };
    let expected = [
        (second, "second"),
        (Form::Deleted, ""),
        (Form::Original, "c"),
        // The edit that was changed again.
        (Form::Original, ""),
    ];
    assert_eq!(forms, expected);
    assert_eq!((page.complete_to, page.oldest), (Seq(4), Seq(1)));
}

#[test]
fn audit_log_is_not_read_while_the_link_is_lost_and_each_question_is_answered() {
    let mut scene = Scene::new();
    let asks = |scene: &mut Scene, tag| {
        scene.world.seats[0].node.request(Request::Audit {
            tag,
            room: None,
            before: u64::MAX,
            limit: 10,
        });
        scene.later(1);
    };
    asks(&mut scene, 7);
    scene.world.drops(0, Which::Commands);
    scene.later(1);
    assert!(!scene.world.seats[0].node.is_up);
    scene.world.seats[0].cut = scene.world.now + 5;
    asks(&mut scene, 8);
    scene.later(SOON);
    asks(&mut scene, 9);
    scene.later(5);
    let answers = scene.world.seats[0].node.others.iter();
    let answers = answers.filter_map(|answer| match answer {
        Answer::TaskFailed { tag, why } => Some((*tag, why.as_str())),
        Answer::Audited { tag, .. } => Some((*tag, "")),
        _ => None,
    });
    let expected = [
        (7, "it has closed the connection"),
        (8, "the link to Redis is down"),
        (9, ""),
    ];
    assert_eq!(answers.collect::<Vec<_>>(), expected);
}

#[test]
fn connections_to_two_servers_are_no_link() {
    let mut scene = Scene::new();
    let data = scene.world.server().data.clone();
    scene.world.starts(data);
    // One of the connections leads to the new one, the other to the old one.
    scene.world.drops(0, Which::Commands);
    scene.later(SOON);
    assert!(scene.world.seats[0].node.is_up);
    let old = scene.world.servers.len() - 2;
    assert!(
        !scene.world.servers[old].is_connected(1),
        "both were closed"
    );
}

#[test]
fn replica_is_not_used() {
    let mut scene = Scene::new();
    let mut data = scene.world.server().data.clone();
    scene.world.starts(std::mem::take(&mut data));
    scene.world.server().is_replica = true;
    scene.world.breaks(0);
    scene.later(SOON);
    assert!(!scene.world.seats[0].node.is_up);
    let reports = &scene.world.seats[0].reports;
    let why = "the link to Redis is down: it is no master: its role is slave";
    assert!(
        reports.iter().any(|report| report.starts_with(why)),
        "{reports:?}"
    );
    scene.world.server().is_replica = false;
    scene.later(60);
    assert!(scene.world.seats[0].node.is_up);
}

#[test]
fn many_rooms_are_subscribed_to_again_in_steps() {
    let mut world = World::new(1, &Settings::default(), Chance::new(1));
    let rooms: Vec<RoomId> = (0..1_300)
        .map(|number| world.seats[0].node.open(&format!("room{number}")))
        .collect();
    for _ in 0..SOON {
        world.turn(1);
    }
    world.breaks(0);
    for _ in 0..SOON {
        world.turn(1);
    }
    let figures = world.seats[0].node.engine.figures();
    assert_eq!(
        (figures.ups, figures.rooms, figures.rooms_waiting),
        (2, 1_300, 0)
    );
    world.seats[0]
        .node
        .say(rooms[1_299], "room1299", "a", (1, "a"));
    for _ in 0..5 {
        world.turn(1);
    }
    assert_eq!(world.seats[0].node.texts(rooms[1_299]), ["a"]);
}

#[test]
fn pauses_between_attempts_grow_to_five_seconds() {
    let mut world = World::new(1, &Settings::default(), Chance::new(1));
    world.unreachable = Tick(u32::MAX);
    for _ in 0..1_000 {
        world.turn(1);
    }
    let seat = &world.seats[0];
    assert_eq!(seat.reports.len(), 1, "one reason is one line");
    // Both connections are tried.
    let attempts = seat.attempts.iter().step_by(2).map(|tick| tick.0);
    let attempts: Vec<u32> = attempts.collect();
    let pauses: Vec<u32> = attempts.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(pauses[0] <= 5, "{pauses:?}");
    assert!(pauses.iter().all(|pause| *pause <= 51), "{pauses:?}");
    assert!(pauses.len() < 60, "{pauses:?}");
}

#[test]
fn conversation_is_hinted_at_where_it_is_not_open() {
    const PAIR: &str = "@1.2";
    let mut scene = Scene::new();
    let pair = scene.world.seats[0].node.open(PAIR);
    scene.later(SOON);
    let says = |scene: &mut Scene, words: &str| {
        let seat = &mut scene.world.seats[0];
        seat.node.say(pair, PAIR, words, (5, words));
        scene.later(5);
    };
    says(&mut scene, "a");
    says(&mut scene, "b");
    // What is there already, and what is said in a room, is none.
    says(&mut scene, "a");
    scene.says(1, "in the room");
    scene.later(5);
    for node in 0..2 {
        let others = scene.world.seats[node].node.others.iter();
        let hints = others.filter_map(|answer| match answer {
            Answer::Hint { name, seq } => Some((name.as_str(), seq.0)),
            _ => None,
        });
        assert_eq!(hints.collect::<Vec<_>>(), [(PAIR, 1), (PAIR, 2)]);
    }
}
