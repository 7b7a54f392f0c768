//! Members of several servers: what clients are shown of those at other servers.

use super::scene::{Scene, config};
use serde_json::{Value, json};

fn lobby(name: &'static str, value: Value) -> [(&'static str, Value); 2] {
    [("room", json!("lobby")), (name, value)]
}

/// The nicks that a program is shown to join, or to leave.
fn nicks(scene: &Scene, who: usize, kind: &str) -> Vec<String> {
    let all = scene.all(who, kind).into_iter();
    let nicks = all.map(|notice| notice["nick"].as_str().expect("a nick").to_owned());
    nicks.collect()
}

/// The members that a program is listed.
fn members(scene: &mut Scene, who: usize) -> Vec<String> {
    let id = scene.asks(who, "who", &[("room", json!("lobby"))]);
    let answer = scene.re(who, id).expect("an answer")["members"].clone();
    serde_json::from_value(answer).expect("nicks")
}

#[test]
fn members_of_another_server_are_shown_when_they_come_and_go() {
    let mut scene = Scene::new(2);
    let (ann, bob) = (scene.joins(0), scene.joins(1));
    let joined = scene.all(bob, "joined")[0];
    assert_eq!(
        (&joined["count"], &joined["members"]),
        (&json!(2), &json!(["c0"]))
    );
    scene.pass(2);
    assert_eq!(nicks(&scene, ann, "member_joined"), ["c1"]);
    assert_eq!(members(&mut scene, ann), ["c0", "c1"]);
    assert_eq!(members(&mut scene, bob), ["c0", "c1"]);
    scene.asks(bob, "nick", &[("nick", json!("bob"))]);
    scene.pass(2);
    let renamed = scene.all(ann, "nick_changed");
    assert_eq!(
        (&renamed[0]["old"], &renamed[0]["new"]),
        (&json!("c1"), &json!("bob"))
    );
    scene.goes(bob);
    scene.pass(2);
    assert_eq!(nicks(&scene, ann, "member_left"), ["bob"]);
    assert_eq!(members(&mut scene, ann), ["c0"]);
}

#[test]
fn list_of_rooms_counts_members_of_all_servers() {
    let mut scene = Scene::new(2);
    let (ann, _) = (scene.joins(0), scene.joins(1));
    scene.pass(2);
    let id = scene.asks(ann, "rooms", &[]);
    let rooms = &scene.re(ann, id).expect("an answer")["rooms"];
    assert_eq!(*rooms, json!([{"room": "lobby", "count": 2}]));
}

#[test]
fn member_of_another_server_that_is_kicked_is_not_shown_to_leave() {
    let mut config = config();
    config.chat.operator_token = Some(String::from("secret"));
    let mut scene = Scene::with(2, config);
    let (ann, bob) = (scene.joins(0), scene.joins(1));
    scene.pass(2);
    scene.asks(ann, "op", &[("token", json!("secret"))]);
    let id = scene.asks(ann, "kick", &lobby("nick", json!("c1")));
    assert_eq!(scene.answer(ann, id), Some("ok"));
    scene.pass(2);
    assert_eq!(scene.all(bob, "kicked").len(), 1);
    assert_eq!(scene.all(ann, "kicked").len(), 1);
    assert_eq!(nicks(&scene, ann, "member_left"), Vec::<String>::new());
    assert_eq!(members(&mut scene, ann), ["c0"]);
    let id = scene.asks(ann, "kick", &lobby("nick", json!("nobody")));
    assert_eq!(scene.answer(ann, id), Some("no_such_member"));
}

#[test]
fn what_changed_while_the_link_was_lost_is_shown_when_it_is_back() {
    let mut scene = Scene::new(2);
    let (ann, bob) = (scene.joins(0), scene.joins(1));
    scene.pass(2);
    scene.engine.links(0, false);
    scene.goes(bob);
    let cat = scene.joins(1);
    scene.pass(2);
    assert_eq!(members(&mut scene, ann), ["c0", "c1"]);
    scene.engine.links(0, true);
    scene.pass(2);
    assert_eq!(nicks(&scene, ann, "member_left"), ["c1"]);
    assert_eq!(nicks(&scene, ann, "member_joined"), ["c1", "c2"]);
    assert_eq!(members(&mut scene, cat), ["c0", "c2"]);
}

#[test]
fn members_that_the_engine_has_lost_are_told_again_when_the_link_is_back() {
    let mut scene = Scene::new(2);
    let (_, bob) = (scene.joins(0), scene.joins(1));
    scene.pass(2);
    scene.engine.links(0, false);
    scene.engine.links(1, false);
    scene.pass(1);
    scene.engine.forgets_members();
    scene.engine.links(0, true);
    scene.engine.links(1, true);
    scene.pass(3);
    assert_eq!(members(&mut scene, bob), ["c0", "c1"]);
    let cat = scene.joins(1);
    assert_eq!(members(&mut scene, cat), ["c0", "c1", "c2"]);
}
