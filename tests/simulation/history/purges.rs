//! Purges and reports as scenes: what is deleted of whom, what the members, history and search show
//! then, and who sees a report. A store that keeps everything, and clients that read everything.
//! Knows no random.

use super::super::client;
use super::amendments::{Asked, asked, config, entries, says};
use super::json;
use super::refusals::Scene;
use serde_json::{Value, json as value};

fn purge(nick: &str, seconds: u32) -> Asked {
    asked(
        "purge",
        &[("nick", value!(nick)), ("seconds", value!(seconds))],
    )
}

fn report(seq: u32, reason: &str) -> Asked {
    asked(
        "report",
        &[("seq", value!(seq)), ("reason", value!(reason))],
    )
}

impl Scene {
    /// A member who is an operator.
    fn judge_joins(&mut self) -> usize {
        let judge = self.joins();
        let op = ("op", vec![("token", value!("secret"))]);
        assert_eq!(self.answer(judge, 100, op), "ok");
        judge
    }

    /// How many messages a purge deletes, and whether there may be more.
    fn purges(&mut self, judge: usize, id: u64, nick: &str, seconds: u32) -> (u64, bool) {
        let ok = self.ask(judge, id, purge(nick, seconds));
        assert_eq!(ok["type"], "ok", "{ok}");
        (ok["count"].as_u64().expect("a count"), ok["more"] == true)
    }

    /// The texts of the messages that are there.
    fn texts(&mut self, who: usize, id: u64) -> Vec<String> {
        let page = self.ask(who, id, asked("history", &[("limit", value!(100))]));
        let entries = page["entries"].as_array().expect("a page").clone();
        let texts = entries.iter().filter(|entry| entry["type"] == "message");
        let texts = texts.filter_map(|entry| Some(entry["text"].as_str()?.to_owned()));
        texts.filter(|text| !text.is_empty()).collect()
    }

    /// All send at the same time.
    fn asks_together(&mut self, all: &[(usize, u64, Asked)]) {
        for (who, id, (kind, fields)) in all {
            let text = json::request(kind, Some(*id), fields);
            let bytes = client::frame(0x81, text.as_bytes(), &mut self.chance);
            self.server
                .net_mut()
                .send(self.clients[*who].socket, &bytes);
        }
        self.turns();
    }

    fn seen(&self, who: usize, kind: &str) -> Vec<Value> {
        let heard = self.clients[who].heard.iter();
        heard.filter(|one| one["type"] == kind).cloned().collect()
    }
}

#[test]
fn purge_deletes_all_that_one_author_said_lately_and_nothing_else() {
    let mut scene = Scene::new(config());
    let (eve, bob) = (scene.joins(), scene.joins());
    let ann = scene.judge_joins();
    scene.asks(eve, 2, &[says("an old word")]);
    scene.pass(400);
    scene.asks(bob, 2, &[says("bob's word")]);
    scene.asks(eve, 3, &[says("spam one"), says("spam two")]);
    assert_eq!(scene.purges(ann, 2, "c0", 30), (2, false));
    assert_eq!(scene.texts(bob, 3), ["an old word", "bob's word"]);
    let search = asked("search", &[("query", value!("spam"))]);
    assert_eq!(entries(&scene.ask(bob, 4, search)), [""; 0]);
    let deleted: Vec<(u64, &str)> = Vec::from([(3, "c2"), (4, "c2")]);
    for who in [eve, bob, ann] {
        let seen = scene.seen(who, "deleted");
        let seen = seen
            .iter()
            .map(|entry| (entry["of"].as_u64(), entry["by"].as_str()));
        let expected = deleted.iter().map(|(of, by)| (Some(*of), Some(*by)));
        assert!(seen.eq(expected), "{who}");
    }
    // One who was not there finds the same.
    let late = scene.joins();
    assert_eq!(scene.texts(late, 2), ["an old word", "bob's word"]);
    // Nothing is left to be deleted.
    assert_eq!(scene.purges(ann, 3, "c0", 30), (0, false));
}

#[test]
fn purge_is_one_row_of_the_audit_log_with_the_count() {
    let mut scene = Scene::new(config());
    let eve = scene.joins();
    let ann = scene.judge_joins();
    scene.asks(eve, 2, &[says("one"), says("two"), says("three")]);
    assert_eq!(scene.purges(ann, 2, "C0", 60), (3, false));
    assert_eq!(scene.purges(ann, 3, "c0", 60), (0, false));
    let rows = scene.engine.disk.audit.values();
    let rows: Vec<_> = rows.filter(|row| row.action == "purge").collect();
    assert_eq!(rows.len(), 1, "nothing was deleted the second time");
    assert_eq!(
        (rows[0].target.as_str(), rows[0].detail.as_str()),
        ("c0", "3")
    );
}

#[test]
fn purge_finds_an_author_under_other_nicks_and_other_authors_under_like_nicks() {
    let mut scene = Scene::new(config());
    let eve = scene.joins();
    let ann = scene.judge_joins();
    scene.asks(eve, 2, &[says("as c0")]);
    scene.asks(
        eve,
        3,
        &[
            ("nick", vec![("nick", value!("mallory"))]),
            says("as mallory"),
        ],
    );
    // Another one who looks like the name that is purged.
    let bob = scene.joins();
    scene.asks(
        bob,
        2,
        &[("nick", vec![("nick", value!("eve"))]), says("as eve")],
    );
    assert_eq!(scene.purges(ann, 2, "MALLORY", 60), (2, false));
    assert_eq!(scene.texts(ann, 3), ["as eve"]);
    scene.asks(bob, 4, &[("nick", vec![("nick", value!("other"))])]);
    assert_eq!(scene.purges(ann, 4, "EVE", 60), (1, false));
    assert_eq!(scene.texts(ann, 5), [""; 0]);
}

#[test]
fn only_who_keeps_order_purges() {
    let mut scene = Scene::new(config());
    let (eve, bob) = (scene.joins(), scene.joins());
    scene.asks(eve, 2, &[says("one")]);
    assert_eq!(scene.answer(bob, 2, purge("c0", 60)), "not_allowed");
    let ann = scene.judge_joins();
    let other = scene.judge_joins();
    scene.asks(other, 2, &[says("an equal's word")]);
    assert_eq!(scene.answer(ann, 2, purge("c3", 60)), "not_allowed");
    assert_eq!(scene.answer(ann, 3, purge("not a nick", 60)), "bad_name");
    assert_eq!(scene.answer(ann, 4, purge("c0", 604_801)), "bad_request");
    assert_eq!(scene.texts(bob, 3), ["one", "an equal's word"]);
}

#[test]
fn purge_takes_the_texts_of_edits_as_well() {
    let mut scene = Scene::new(config());
    let eve = scene.joins();
    let ann = scene.judge_joins();
    let edit = asked("edit", &[("seq", value!(1)), ("text", value!("worse"))]);
    scene.asks(eve, 2, &[says("bad"), edit]);
    assert_eq!(scene.purges(ann, 2, "c0", 60), (1, false));
    let late = scene.joins();
    let page = scene.ask(late, 2, asked("history", &[])).to_string();
    assert!(!page.contains("bad\"") && !page.contains("worse"), "{page}");
}

#[test]
fn purge_asks_the_store_for_what_is_not_in_memory_and_others_may_change_it_meanwhile() {
    let mut config = config();
    config.log.tail_bytes = 14_000;
    let mut scene = Scene::new(config);
    let (eve, bob) = (scene.joins(), scene.joins());
    let ann = scene.judge_joins();
    for number in 0..300_u64 {
        let of = if number % 3 == 0 { eve } else { bob };
        scene.asks(of, 2 + number, &[says(&format!("word {number}"))]);
    }
    // The page that the purge waits for is not read yet when a message that it means is deleted.
    let delete = asked("delete", &[("seq", value!(1))]);
    let edit = asked("edit", &[("seq", value!(4)), ("text", value!("other"))]);
    scene.asks_together(&[
        (ann, 2, purge("c0", 3_600)),
        (eve, 900, delete),
        (eve, 901, edit),
    ]);
    let mut heard = scene.clients[ann].heard.iter();
    let answer = heard.rfind(|one| !one["re"].is_null()).expect("an answer");
    let count = answer["count"].as_u64().expect("a count");
    assert!(count == 99 || count == 100, "{count}");
    let late = scene.joins();
    for before in (100..=500).step_by(100) {
        let page = asked(
            "history",
            &[("before", value!(before)), ("limit", value!(100))],
        );
        let page = scene.ask(late, before, page);
        let entries = page["entries"].as_array().expect("a page").iter();
        for message in entries.filter(|entry| entry["type"] == "message") {
            assert_eq!(message["nick"] == "c0", message["text"] == "", "{message}");
        }
    }
}

#[test]
fn purge_deletes_the_newest_thousand_and_says_that_there_may_be_more() {
    let mut scene = Scene::new(config());
    let eve = scene.joins();
    let ann = scene.judge_joins();
    for number in 0..11_u64 {
        let all: Vec<_> = (0..100).map(|n| says(&format!("{number} {n}"))).collect();
        scene.asks(eve, 2 + 100 * number, &all);
    }
    assert_eq!(scene.purges(ann, 2, "c0", 600), (1_000, true));
    assert_eq!(scene.purges(ann, 3, "c0", 600), (100, false));
}

#[test]
fn ban_deletes_what_was_said_where_that_is_wanted() {
    let mut scene = Scene::new(config());
    let (eve, bob) = (scene.joins(), scene.joins());
    let ann = scene.judge_joins();
    scene.asks(
        eve,
        2,
        &[("nick", vec![("nick", value!("mallory"))]), says("spam")],
    );
    scene.asks(bob, 2, &[says("a word")]);
    let ban = |more: &[(&'static str, Value)]| {
        let mut all = vec![("nick", value!("mallory")), ("purge_seconds", value!(60))];
        all.extend(more.iter().cloned());
        asked("ban", &all)
    };
    let mut everywhere = ban(&[]);
    everywhere.1.retain(|(name, _)| *name != "room");
    assert_eq!(scene.answer(ann, 2, everywhere), "bad_request");
    assert_eq!(scene.answer(ann, 3, ban(&[])), "ok");
    assert_eq!(scene.texts(bob, 3), ["a word"]);
    let rows = scene.engine.disk.audit.values();
    let actions: Vec<&str> = rows.map(|row| row.action.as_str()).collect();
    assert_eq!(actions, ["ban", "purge"]);
}

#[test]
fn report_is_shown_to_moderators_of_the_room_alone() {
    let mut scene = Scene::new(config());
    let (eve, bob) = (scene.joins(), scene.joins());
    scene.asks(eve, 2, &[says("rude\nwords")]);
    let kept = scene.ask(bob, 2, report(1, "it is rude"));
    assert_eq!(
        (&kept["type"], &kept["moderators"]),
        (&value!("ok"), &value!(0))
    );
    let ann = scene.judge_joins();
    let kept = scene.ask(bob, 3, report(1, ""));
    assert_eq!(kept["moderators"], 1);
    let seen = scene.seen(ann, "reported");
    let expected = value!({"type": "reported", "room": "lobby", "seq": 1, "by": "c1", "nick": "c0",
                          "text": "rude words"});
    assert_eq!(seen, [expected]);
    for who in [eve, bob] {
        assert!(scene.seen(who, "reported").is_empty());
    }
    let rows = scene.engine.disk.audit.values();
    let rows = rows.filter(|row| row.action == "report");
    let rows: Vec<(&str, &str, &str)> = rows
        .map(|row| (row.by.as_str(), row.target.as_str(), row.detail.as_str()))
        .collect();
    assert_eq!(rows, [("c1", "#1", "c0: it is rude"), ("c1", "#1", "c0")]);
    assert_eq!(scene.answer(bob, 4, report(99, "")), "no_such_message");
    // A room has no business with what it is not in.
    let away = scene.connects();
    assert_eq!(scene.answer(away, 2, report(1, "")), "not_a_member");
}

#[test]
fn reports_of_one_connection_are_limited() {
    let mut scene = Scene::new(config());
    let bob = scene.joins();
    scene.asks(bob, 2, &[says("one")]);
    for id in 3..9 {
        assert_eq!(scene.answer(bob, id, report(1, "again")), "ok");
    }
    let refused = scene.ask(bob, 9, report(1, "again"));
    assert_eq!(refused["code"], "too_fast");
    assert_eq!(refused["retry_ms"], 10_000);
}
