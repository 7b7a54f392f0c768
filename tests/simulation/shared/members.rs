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

/// The rooms that a program is listed, page by page.
fn rooms(scene: &mut Scene, who: usize) -> String {
    let (mut rooms, mut after) = (Vec::new(), None);
    loop {
        let mut page = vec![("limit", json!(2))];
        page.extend(after.take().map(|after| ("after", after)));
        let id = scene.asks(who, "rooms", &page);
        let answer = scene.re(who, id).expect("an answer");
        let listed = answer["rooms"].as_array().expect("a list");
        let rows = listed.iter().map(|row| {
            let name = row["room"].as_str().expect("a name");
            format!("{name} {}", row["count"])
        });
        rooms.extend(rows);
        if answer["more"] == 0 {
            return rooms.join(", ");
        }
        after = Some(listed.last().expect("a page")["room"].clone());
    }
}

fn joins_room(scene: &mut Scene, who: usize, room: &str) {
    let id = scene.asks(who, "join", &[("room", json!(room))]);
    assert_eq!(scene.answer(who, id), Some("ok"));
}

/// Ticks in which what has changed of rooms is told.
const COUNTED: u32 = 12;

#[test]
fn rooms_of_other_servers_are_on_the_list_in_the_order_of_names() {
    let mut scene = Scene::new(3);
    let (ann, bob, cat) = (scene.joins(0), scene.comes(1), scene.comes(2));
    for (who, room) in [(bob, "den"), (cat, "den"), (bob, "attic"), (ann, "zoo")] {
        joins_room(&mut scene, who, room);
    }
    scene.pass(COUNTED);
    for who in [ann, bob, cat] {
        let listed = rooms(&mut scene, who);
        assert_eq!(listed, "attic 1, den 2, lobby 1, zoo 1");
    }
    scene.asks(bob, "leave", &[("room", json!("attic"))]);
    scene.goes(cat);
    scene.pass(COUNTED);
    assert_eq!(rooms(&mut scene, ann), "den 1, lobby 1, zoo 1");
    assert_eq!(rooms(&mut scene, bob), "den 1, lobby 1, zoo 1");
}

#[test]
fn rooms_of_other_servers_are_lines_for_people() {
    let mut scene = Scene::new(2);
    let (ann, bob) = (scene.enters(0), scene.comes(1));
    joins_room(&mut scene, bob, "den");
    scene.pass(COUNTED);
    scene.lines(ann);
    scene.writes(ann, "/rooms");
    assert_eq!(scene.lines(ann), ["* rooms: lobby (1), den (1)"]);
}

#[test]
fn room_that_comes_and_goes_within_a_second_is_told_to_none() {
    let mut scene = Scene::new(2);
    let (ann, bob) = (scene.joins(0), scene.joins(1));
    scene.pass(COUNTED);
    joins_room(&mut scene, bob, "den");
    scene.pass(COUNTED);
    let counted = scene.engine.counted_so_far();
    joins_room(&mut scene, bob, "attic");
    scene.asks(bob, "leave", &[("room", json!("attic"))]);
    scene.pass(COUNTED);
    assert_eq!(scene.engine.counted_so_far(), counted);
    assert_eq!(rooms(&mut scene, ann), "den 1, lobby 2");
}

#[test]
fn hidden_rooms_of_other_servers_are_not_on_the_list() {
    let mut config = config();
    config.chat.operator_token = Some(String::from("secret"));
    let mut scene = Scene::with(2, config);
    let (ann, bob) = (scene.joins(0), scene.comes(1));
    scene.asks(bob, "op", &[("token", json!("secret"))]);
    joins_room(&mut scene, bob, "den");
    let hide = [("room", json!("den")), ("hidden", json!(true))];
    let id = scene.asks(bob, "room", &hide);
    assert_eq!(scene.answer(bob, id), Some("ok"));
    scene.pass(COUNTED);
    assert_eq!(rooms(&mut scene, ann), "lobby 1");
    assert_eq!(rooms(&mut scene, bob), "den 1, lobby 1");
    let id = scene.asks(bob, "close_room", &[("room", json!("den"))]);
    assert_eq!(scene.answer(bob, id), Some("ok"));
    scene.pass(COUNTED);
    assert_eq!(rooms(&mut scene, ann), "lobby 1");
    assert_eq!(rooms(&mut scene, bob), "lobby 1");
}

#[test]
fn conversations_are_not_on_the_list() {
    let mut scene = Scene::new(2);
    let (ann, bob, cat) = (scene.joins(0), scene.comes(1), scene.comes(1));
    let fields = [("room", json!("@c2")), ("text", json!("psst"))];
    let id = scene.asks(bob, "send", &fields);
    assert_eq!(scene.answer(bob, id), Some("ok"));
    scene.pass(COUNTED);
    assert_eq!(rooms(&mut scene, ann), "lobby 1");
    assert_eq!(rooms(&mut scene, cat), "lobby 1");
}

#[test]
fn list_of_rooms_is_that_of_all_when_the_link_is_back() {
    let mut scene = Scene::new(2);
    let (ann, bob) = (scene.joins(0), scene.comes(1));
    joins_room(&mut scene, bob, "den");
    scene.pass(COUNTED);
    scene.engine.links(0, false);
    joins_room(&mut scene, bob, "attic");
    scene.asks(bob, "leave", &[("room", json!("den"))]);
    scene.pass(COUNTED);
    assert_eq!(rooms(&mut scene, ann), "den 1, lobby 1");
    scene.engine.links(0, true);
    scene.pass(COUNTED);
    assert_eq!(rooms(&mut scene, ann), "attic 1, lobby 1");
    // And what was lost is told again.
    scene.engine.links(0, false);
    scene.engine.links(1, false);
    scene.pass(1);
    scene.engine.forgets_members();
    scene.engine.links(0, true);
    scene.engine.links(1, true);
    scene.pass(2 * COUNTED);
    assert_eq!(rooms(&mut scene, ann), "attic 1, lobby 1");
    assert_eq!(rooms(&mut scene, bob), "attic 1, lobby 1");
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
fn operator_of_another_server_is_not_kicked() {
    let mut config = config();
    config.chat.operator_token = Some(String::from("secret"));
    let mut scene = Scene::with(2, config);
    let (ann, bob) = (scene.joins(0), scene.joins(1));
    for who in [ann, bob] {
        scene.asks(who, "op", &[("token", json!("secret"))]);
    }
    scene.pass(2);
    assert_eq!(nicks(&scene, ann, "member_joined"), ["c1"]);
    for kind in ["kick", "ban", "mute"] {
        let id = scene.asks(ann, kind, &lobby("nick", json!("c1")));
        assert_eq!(scene.answer(ann, id), Some("not_allowed"), "{kind}");
    }
    scene.pass(2);
    assert_eq!(scene.all(bob, "kicked").len(), 0);
    assert_eq!(members(&mut scene, ann), ["c0", "c1"]);
}

/// Its server alone could know.
#[test]
fn member_that_became_an_operator_while_the_link_was_lost_stays_when_it_is_kicked() {
    let mut config = config();
    config.chat.operator_token = Some(String::from("secret"));
    let mut scene = Scene::with(2, config);
    let (ann, bob) = (scene.joins(0), scene.joins(1));
    scene.asks(ann, "op", &[("token", json!("secret"))]);
    scene.pass(2);
    scene.engine.links(1, false);
    scene.asks(bob, "op", &[("token", json!("secret"))]);
    let id = scene.asks(ann, "kick", &lobby("nick", json!("c1")));
    assert_eq!(scene.answer(ann, id), Some("ok"));
    scene.engine.links(1, true);
    scene.pass(3);
    assert_eq!(scene.all(bob, "kicked").len(), 1);
    assert_eq!(members(&mut scene, bob), ["c0", "c1"]);
    assert_eq!(members(&mut scene, ann), ["c0", "c1"]);
    let id = scene.asks(ann, "kick", &lobby("nick", json!("c1")));
    assert_eq!(scene.answer(ann, id), Some("not_allowed"));
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
