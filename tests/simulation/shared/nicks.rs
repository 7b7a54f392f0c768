//! Nicks that servers of one engine claim: one user has each, at whichever server.

use super::scene::Scene;
use serde_json::{Value, json};

/// The nick with which a program was greeted.
fn greeted(scene: &Scene, who: usize) -> Option<String> {
    let hello = scene.all(who, "hello").pop()?;
    Some(hello["nick"].as_str().expect("a nick").to_owned())
}

fn codes(scene: &Scene, who: usize) -> Vec<&str> {
    let errors = scene.all(who, "error").into_iter();
    errors.filter_map(|error| error["code"].as_str()).collect()
}

fn is_made_up(nick: &str) -> bool {
    nick.starts_with("guest-")
}

fn renames(scene: &mut Scene, who: usize, nick: &str) -> u64 {
    scene.asks(who, "nick", &[("nick", json!(nick))])
}

#[test]
fn nick_of_another_server_is_taken() {
    let mut scene = Scene::new(2);
    let ann = scene.comes_as(0, "ann");
    let other = scene.comes_as(1, "Ann");
    assert_eq!(greeted(&scene, ann).as_deref(), Some("ann"));
    assert!(is_made_up(&greeted(&scene, other).expect("a greeting")));
    assert_eq!(codes(&scene, other), ["nick_taken"]);
    assert_eq!(scene.clients[other].heard[0]["type"], "hello");
    // In lines as well.
    let person = scene.enters_as(1, "ann");
    let lines = scene.lines(person).concat();
    assert!(lines.contains("ann"), "{lines}");
    assert!(lines.contains("guest-"), "{lines}");
}

#[test]
fn nick_is_free_when_its_user_has_gone_or_has_another() {
    let mut scene = Scene::new(2);
    let ann = scene.comes_as(0, "ann");
    let bob = scene.comes_as(0, "bob");
    scene.goes(ann);
    let id = renames(&mut scene, bob, "rob");
    assert_eq!(scene.answer(bob, id), Some("ok"));
    assert_eq!(scene.re(bob, id).expect("an answer")["nick"], "rob");
    for nick in ["ann", "bob"] {
        let who = scene.comes_as(1, nick);
        assert_eq!(greeted(&scene, who).as_deref(), Some(nick));
    }
    let rob = scene.comes_as(1, "rob");
    assert_eq!(codes(&scene, rob), ["nick_taken"]);
}

#[test]
fn newcomer_is_greeted_when_its_nick_is_known_to_be_free() {
    let mut scene = Scene::new(2);
    scene.engine.faults.late = 100;
    let ann = scene.comes_as(0, "ann");
    let join = scene.sends(ann, "join", &[("room", json!("lobby"))]);
    scene.turns();
    assert_eq!(greeted(&scene, ann), None);
    scene.engine.faults.late = 0;
    scene.turns();
    assert_eq!(greeted(&scene, ann).as_deref(), Some("ann"));
    assert_eq!(scene.all(ann, "joined").len(), 1);
    assert!(scene.re(ann, join).is_some());
}

#[test]
fn newcomer_that_goes_before_its_nick_is_claimed_leaves_no_claim() {
    let mut scene = Scene::new(2);
    scene.engine.faults.late = 100;
    let ann = scene.comes_as(0, "ann");
    scene.goes(ann);
    scene.engine.faults.late = 0;
    scene.turns();
    assert_eq!(scene.engine.nicks.len(), 0);
}

#[test]
fn users_leave_no_claim() {
    let mut scene = Scene::new(1);
    let all: Vec<usize> = (0..20).map(|_| scene.comes(0)).collect();
    let made_up = scene.comes_without_nick(0);
    assert_eq!(scene.engine.nicks.len(), 21);
    renames(&mut scene, all[0], "another");
    assert_eq!(scene.engine.nicks.len(), 21);
    for who in all.into_iter().chain([made_up]) {
        scene.goes(who);
    }
    assert_eq!(scene.engine.nicks.len(), 0);
}

#[test]
fn rename_to_a_nick_of_another_server_is_refused() {
    let mut scene = Scene::new(2);
    scene.comes_as(0, "ann");
    let bob = scene.comes_as(1, "bob");
    let id = renames(&mut scene, bob, "ann");
    assert_eq!(scene.answer(bob, id), Some("nick_taken"));
    let id = renames(&mut scene, bob, "Bob");
    assert_eq!(scene.re(bob, id).expect("an answer")["nick"], "Bob");
}

#[test]
fn one_of_two_that_ask_for_a_nick_has_it() {
    let mut scene = Scene::new(2);
    for (one, other) in [(0, 1), (0, 0)] {
        let users = [one, other].map(|node| scene.comes(node));
        let nick = format!("x{one}{other}");
        let ids = users.map(|who| scene.sends(who, "nick", &[("nick", json!(nick))]));
        scene.turns();
        let mut answers = [0, 1].map(|at| scene.answer(users[at], ids[at]));
        answers.sort_unstable();
        assert_eq!(answers, [Some("nick_taken"), Some("ok")]);
    }
}

#[test]
fn wished_nicks_wait_for_the_link() {
    let mut scene = Scene::new(2);
    let ann = scene.comes_as(0, "ann");
    scene.engine.links(0, false);
    scene.turns();
    let id = renames(&mut scene, ann, "anna");
    assert_eq!(scene.answer(ann, id), Some("store_unavailable"));
    let bob = scene.comes_as(0, "bob");
    assert!(is_made_up(&greeted(&scene, bob).expect("a greeting")));
    assert_eq!(codes(&scene, bob), ["nick_taken"]);
    scene.engine.links(0, true);
    scene.turns();
    let id = renames(&mut scene, bob, "bob");
    assert_eq!(scene.answer(bob, id), Some("ok"));
}

#[test]
fn newcomer_and_rename_that_lose_the_link_go_on_without_their_nicks() {
    let mut scene = Scene::new(2);
    let ann = scene.comes_as(0, "ann");
    scene.engine.faults.late = 100;
    let bob = scene.comes_as(0, "bob");
    let id = renames(&mut scene, ann, "anna");
    scene.engine.links(0, false);
    scene.turns();
    assert!(is_made_up(&greeted(&scene, bob).expect("a greeting")));
    assert_eq!(codes(&scene, bob), ["nick_taken"]);
    assert_eq!(scene.answer(ann, id), Some("store_unavailable"));
    let first = &scene.clients[bob].heard[0];
    assert_eq!(first["type"], "hello", "the link is shown behind it");
}

#[test]
fn nick_that_was_taken_over_during_a_cut_is_lost() {
    let mut scene = Scene::new(2);
    let ann = scene.comes_as(0, "ann");
    let bob = scene.comes_as(0, "bob");
    for who in [ann, bob] {
        scene.asks(who, "join", &[("room", json!("lobby"))]);
    }
    scene.engine.links(0, false);
    scene.engine.forgets(0);
    scene.turns();
    let other = scene.comes_as(1, "ann");
    assert_eq!(greeted(&scene, other).as_deref(), Some("ann"));
    scene.engine.links(0, true);
    scene.turns();
    assert_eq!(codes(&scene, ann), ["nick_taken"]);
    assert_eq!(codes(&scene, bob), [] as [&str; 0]);
    let shown: Vec<&Value> = scene.all(bob, "nick_changed");
    let [renamed] = shown[..] else {
        panic!("one has another nick: {shown:?}");
    };
    assert_eq!(renamed["old"], "ann");
    assert!(is_made_up(renamed["new"].as_str().expect("a nick")));
    // What was kept is claimed again.
    let third = scene.comes_as(1, "bob");
    assert_eq!(codes(&scene, third), ["nick_taken"]);
}

#[test]
fn many_nicks_are_claimed_again_in_batches() {
    let mut scene = Scene::new(2);
    for _ in 0..30 {
        scene.comes(0);
    }
    let before = scene.engine.nicks.clone();
    scene.engine.links(0, false);
    scene.engine.forgets(0);
    scene.turns();
    scene.engine.links(0, true);
    scene.turns();
    assert_eq!(scene.engine.nicks, before);
}
