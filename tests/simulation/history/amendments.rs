//! Edits and deletions as scenes: what members are sent, what history and search show, and who may.
//! A store that keeps everything, and clients that read everything. Knows no random.

use super::super::client;
use super::refusals::Scene;
use parlor::config::Config;
use serde_json::{Value, json};
use std::time::Duration;

pub(super) fn config() -> Config {
    let mut config = Config::default();
    config.chat.message_rate = 0;
    config.chat.edit_window = Duration::from_secs(60);
    config.chat.operator_token = Some(String::from("secret"));
    config
}

pub(super) type Asked = (&'static str, Vec<(&'static str, Value)>);

pub(super) fn asked(kind: &'static str, fields: &[(&'static str, Value)]) -> Asked {
    let mut all = vec![("room", json!("lobby"))];
    all.extend(fields.iter().cloned());
    (kind, all)
}

pub(super) fn says(text: &str) -> Asked {
    asked("send", &[("text", json!(text))])
}

fn edits(seq: u32, text: &str) -> Asked {
    asked("edit", &[("seq", json!(seq)), ("text", json!(text))])
}

fn deletes(seq: u32) -> Asked {
    asked("delete", &[("seq", json!(seq))])
}

impl Scene {
    /// Asks, and returns the answer.
    pub(super) fn ask(&mut self, who: usize, id: u64, asked: Asked) -> Value {
        self.asks(who, id, &[asked]);
        let mut heard = self.clients[who].heard.iter();
        heard
            .find(|object| object["re"] == id)
            .unwrap_or_else(|| panic!("request {id} is not answered"))
            .clone()
    }

    /// The code of an error, or `ok`.
    pub(super) fn answer(&mut self, who: usize, id: u64, asked: Asked) -> String {
        let answer = self.ask(who, id, asked);
        answer["code"].as_str().unwrap_or("ok").to_owned()
    }

    /// The entries of the room, shortened.
    fn history(&mut self, who: usize, id: u64) -> Vec<String> {
        let page = self.ask(who, id, asked("history", &[]));
        entries(&page)
    }

    /// What a client was sent by itself.
    fn live(&self, who: usize) -> Vec<String> {
        let heard = self.clients[who].heard.iter();
        heard.filter_map(short).collect()
    }
}

pub(super) fn entries(page: &Value) -> Vec<String> {
    let entries = page["entries"].as_array().expect("a page");
    entries.iter().filter_map(short).collect()
}

/// An entry: its number, and what it says.
fn short(entry: &Value) -> Option<String> {
    let text = |field: &str| entry[field].as_str().unwrap_or("-").to_owned();
    let number = |field: &str| entry[field].as_u64().unwrap_or(0);
    let seq = number("seq");
    Some(match entry["type"].as_str()? {
        "message" => {
            let mut line = format!("{seq} {}: {}", text("nick"), text("text"));
            for mark in ["edited", "deleted"] {
                if entry[mark] == true {
                    line = format!("{line} ({mark})");
                }
            }
            line
        }
        "edited" => format!(
            "{seq} {} edits {}: {}",
            text("nick"),
            number("of"),
            text("text")
        ),
        "deleted" => format!("{seq} {} deletes {}", text("by"), number("of")),
        _ => return None,
    })
}

#[test]
fn edit_is_an_entry_and_its_message_has_the_new_text_from_then_on() {
    let mut scene = Scene::new(config());
    let ann = scene.joins();
    let bob = scene.joins();
    scene.asks(ann, 2, &[says("helo"), says("there")]);
    let ok = scene.ask(ann, 4, edits(1, "hello"));
    assert_eq!((&ok["type"], &ok["seq"]), (&json!("ok"), &json!(3)));
    let expected = ["1 c0: helo", "2 c0: there", "3 c0 edits 1: hello"];
    assert_eq!(scene.live(bob), expected);
    let expected = ["1 c0: hello (edited)", "2 c0: there", "3 c0 edits 1: hello"];
    assert_eq!(scene.history(bob, 2), expected);
    let search = |words: &str| asked("search", &[("query", json!(words))]);
    let found = scene.ask(bob, 3, search("helo"));
    assert_eq!(entries(&found), [""; 0]);
    let found = scene.ask(bob, 4, search("hello"));
    assert_eq!(entries(&found), ["1 c0: hello (edited)"]);
}

#[test]
fn deletion_takes_the_text_of_a_message_and_of_all_its_edits() {
    let mut scene = Scene::new(config());
    let ann = scene.joins();
    scene.asks(ann, 2, &[says("one"), edits(1, "two"), edits(1, "three")]);
    let expected = [
        "1 c0: three (edited)",
        "2 c0 edits 1: -",
        "3 c0 edits 1: three",
    ];
    assert_eq!(scene.history(ann, 5), expected);
    assert_eq!(scene.answer(ann, 6, deletes(1)), "ok");
    let expected = [
        "1 c0:  (deleted)",
        "2 c0 edits 1: -",
        "3 c0 edits 1: -",
        "4 c0 deletes 1",
    ];
    assert_eq!(scene.history(ann, 7), expected);
    let found = scene.ask(ann, 8, asked("search", &[("query", json!("t"))]));
    assert_eq!(entries(&found), [""; 0]);
    for again in [edits(1, "four"), deletes(1)] {
        let id = 9 + u64::from(again.0 == "edit");
        assert_eq!(scene.answer(ann, id, again), "no_such_message");
    }
    let late = scene.joins();
    assert_eq!(scene.history(late, 2), expected);
}

#[test]
fn only_the_author_edits_and_only_the_author_or_a_moderator_deletes() {
    let mut scene = Scene::new(config());
    let ann = scene.joins();
    let bob = scene.joins();
    scene.asks(ann, 2, &[says("one"), says("two")]);
    assert_eq!(scene.answer(bob, 2, edits(1, "no")), "not_allowed");
    assert_eq!(scene.answer(bob, 3, deletes(1)), "not_allowed");
    let op = ("op", vec![("token", json!("secret"))]);
    assert_eq!(scene.answer(bob, 4, op), "ok");
    assert_eq!(scene.answer(bob, 5, edits(1, "no")), "not_allowed");
    assert_eq!(scene.answer(bob, 6, deletes(1)), "ok");
    assert_eq!(scene.answer(bob, 7, deletes(3)), "no_such_message");
    assert_eq!(scene.answer(bob, 8, deletes(99)), "no_such_message");
    let expected = ["1 c0:  (deleted)", "2 c0: two", "3 c1 deletes 1"];
    assert_eq!(scene.history(ann, 4), expected);
}

#[test]
fn author_may_change_a_message_within_the_time_and_a_moderator_later() {
    let mut scene = Scene::new(config());
    let ann = scene.joins();
    scene.asks(ann, 2, &[says("one")]);
    scene.pass(590);
    assert_eq!(scene.answer(ann, 3, edits(1, "two")), "ok");
    scene.pass(20);
    assert_eq!(scene.answer(ann, 4, edits(1, "three")), "too_late");
    assert_eq!(scene.answer(ann, 5, deletes(1)), "too_late");
    let op = ("op", vec![("token", json!("secret"))]);
    assert_eq!(scene.answer(ann, 6, op), "ok");
    assert_eq!(scene.answer(ann, 7, edits(1, "three")), "too_late");
    assert_eq!(scene.answer(ann, 8, deletes(1)), "ok");
}

#[test]
fn without_a_time_no_author_changes_anything() {
    let mut config = config();
    config.chat.edit_window = Duration::ZERO;
    let mut scene = Scene::new(config);
    let ann = scene.joins();
    scene.asks(ann, 2, &[says("one")]);
    assert_eq!(scene.answer(ann, 3, edits(1, "two")), "too_late");
    assert_eq!(scene.answer(ann, 4, deletes(1)), "too_late");
}

#[test]
fn request_that_is_sent_again_is_done_once() {
    let mut scene = Scene::new(config());
    let ann = scene.joins();
    scene.asks(ann, 2, &[says("one")]);
    let mut keyed = deletes(1);
    keyed.1.push(("key", json!("k")));
    let first = scene.ask(ann, 3, keyed.clone());
    let again = scene.ask(ann, 4, keyed);
    assert_eq!(first["seq"], 2);
    assert_eq!(
        (&again["seq"], &again["duplicate"]),
        (&json!(2), &json!(true))
    );
}

/// After a restart the message is in the store alone, and the session is the same.
#[test]
fn author_that_comes_back_after_a_restart_changes_what_the_store_has() {
    let mut scene = Scene::new(config());
    let ann = scene.joins();
    scene.asks(ann, 2, &[says("one"), edits(1, "two"), says("three")]);
    let session = scene.clients[ann].heard[0]["session"].clone();
    let Scene { mut engine, .. } = scene;
    engine.stops();

    let mut scene = Scene::over(config(), engine.disk);
    let bob = scene.joins();
    let ann = scene.connects();
    scene.asks(
        ann,
        1,
        &[("resume", vec![("session", session)]), asked("join", &[])],
    );
    assert_eq!(scene.answer(bob, 2, edits(1, "no")), "not_allowed");
    assert_eq!(scene.answer(ann, 3, edits(1, "four")), "ok");
    assert_eq!(scene.answer(ann, 4, deletes(3)), "ok");
    let expected = [
        "1 c0: four (edited)",
        "2 c0 edits 1: -",
        "3 c0:  (deleted)",
        "4 c1 edits 1: four",
        "5 c1 deletes 3",
    ];
    assert_eq!(scene.history(bob, 3), expected);
}

/// A page that the store reads before it has stored the change has the old form. The change itself
/// has read a page that begins with its message; one that begins before it comes later.
#[test]
fn page_that_comes_before_the_change_is_stored_has_the_present_form() {
    let mut scene = Scene::new(config());
    let ann = scene.joins();
    scene.asks(ann, 2, &[says("zero"), says("one"), edits(2, "two")]);
    let session = scene.clients[ann].heard[0]["session"].clone();
    let Scene { mut engine, .. } = scene;
    engine.stops();

    let mut scene = Scene::over(config(), engine.disk);
    let ann = scene.connects();
    let resume = ("resume", vec![("session", session)]);
    scene.asks(ann, 1, &[resume, asked("join", &[])]);
    let until = scene.now() + 50;
    scene.engine.fails_until(until);
    scene.asks(ann, 4, &[edits(2, "three"), deletes(2)]);
    let bob = scene.joins();
    let search = asked("search", &[("query", json!("t"))]);
    assert_eq!(entries(&scene.ask(bob, 2, search)), [""; 0]);
    let expected = [
        "1 c0: zero",
        "2 c0:  (deleted)",
        "3 c0 edits 2: -",
        "4 c0 edits 2: -",
        "5 c0 deletes 2",
    ];
    assert_eq!(scene.history(bob, 3), expected);
    assert!(
        scene.engine.is_failing(scene.now()),
        "nothing of it is stored"
    );
    scene.pass(60);
    assert_eq!(scene.history(bob, 4), expected);
}

/// A member of plain text, by its own lines.
struct Person {
    socket: usize,
    ear: client::Ear,
}

impl Scene {
    fn person(&mut self, nick: &str) -> Person {
        let peer = parlor::id::Peer::Unix;
        let net = self.server.net_mut();
        let socket = net.connect(0, peer).expect("the server listens");
        net.send(socket, &client::upgrade_to(&format!("/ws?nick={nick}"), ""));
        self.turns();
        let mut person = Person {
            socket,
            ear: client::Ear::default(),
        };
        self.lines(&mut person);
        person
    }

    fn writes(&mut self, person: &mut Person, text: &str) -> Vec<String> {
        let frame = client::frame(0x81, text.as_bytes(), &mut self.chance);
        self.server.net_mut().send(person.socket, &frame);
        self.turns();
        self.lines(person)
    }

    fn lines(&mut self, person: &mut Person) -> Vec<String> {
        let bytes = self
            .server
            .net_mut()
            .read_as_client(person.socket, usize::MAX);
        person.ear.hear(&bytes);
        let mut lines = Vec::new();
        while let Some(seen) = person.ear.next() {
            if let client::Seen::Line(line) = seen {
                lines.push(line);
            }
        }
        lines
    }
}

#[test]
fn person_corrects_the_last_message_or_one_by_its_number() {
    let mut scene = Scene::new(config());
    let mut ann = scene.person("ann");
    let mut bob = scene.person("bob");
    for text in ["helo", "there", "/me wavs"] {
        scene.writes(&mut ann, text);
    }
    scene.writes(&mut bob, "hi");
    scene.lines(&mut ann);
    let expected = ["* ann corrected message 3: waves"];
    assert_eq!(scene.writes(&mut ann, "/edit waves"), expected);
    let expected = ["* ann corrected message 1: hello"];
    assert_eq!(scene.writes(&mut ann, "/edit #1 hello"), expected);
    let expected = "* earlier:\n#1 ann: hello\n#2 ann: there\n#3 ** ann waves\n#4 bob: hi\n* now:";
    scene.lines(&mut bob);
    assert_eq!(scene.writes(&mut bob, "/numbers"), [expected]);
    assert_eq!(
        scene.writes(&mut bob, "/delete #2"),
        ["* that is not your message"]
    );
    let expected = ["* message 4 was deleted by bob"];
    assert_eq!(scene.writes(&mut bob, "/delete"), expected);
    let none = ["* there is no such message, or it was deleted; see /numbers"];
    assert_eq!(scene.writes(&mut bob, "/delete"), none);
    assert_eq!(scene.writes(&mut bob, "/edit x"), none);
    let expected = ["* something is missing: /edit [#NUMBER] TEXT"];
    assert_eq!(scene.writes(&mut bob, "/edit #3"), expected);
    let history = [
        "* earlier:",
        "ann: hello",
        "ann: there",
        "** ann waves",
        "* ann corrected message 3: waves",
        "* ann corrected message 1: hello",
        "* message 4 was deleted by bob",
        "* now:",
    ];
    assert_eq!(scene.writes(&mut bob, "/history"), history);
}

#[test]
fn nick_of_a_person_who_left_gives_no_right_to_their_messages() {
    let mut scene = Scene::new(config());
    let mut ann = scene.person("ann");
    scene.writes(&mut ann, "mine");
    scene.writes(&mut ann, "/quit");
    let mut other = scene.person("ann");
    let answer = scene.writes(&mut other, "/edit #1 not yours");
    assert_eq!(answer, ["* that is not your message"]);
}
