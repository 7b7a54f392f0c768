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

// Clients that go on at another server

/// A client that has lost its connection comes back, wishes for its nick and resumes. Returns it
/// and the answer.
fn resumes(scene: &mut Scene, node: usize, nick: &str, of: usize) -> (usize, Value) {
    let session = scene.all(of, "hello")[0]["session"].clone();
    let who = scene.comes_as(node, nick);
    let id = scene.asks(who, "resume", &[("session", session)]);
    let answer = scene.re(who, id).expect("an answer").clone();
    assert_eq!(answer["type"], "ok", "{answer}");
    (who, answer)
}

fn holder(scene: &Scene, nick: &str) -> Option<usize> {
    let (holder, _) = scene.engine.nicks.get(nick)?;
    Some(*holder)
}

#[test]
fn client_that_resumes_at_another_server_has_its_nick_there() {
    let mut scene = Scene::new(2);
    let ann = scene.comes_as(0, "ann");
    scene.asks(ann, "join", &[("room", json!("lobby"))]);
    let bob = scene.joins(1);
    let (again, answer) = resumes(&mut scene, 1, "ann", ann);
    assert_eq!(codes(&scene, again), ["nick_taken"]);
    assert_eq!(answer["nick"], "ann");
    assert!(scene.is_closed(ann));
    assert!(!scene.is_closed(again));
    scene.pass(5);
    assert_eq!(scene.all(bob, "member_left").len(), 1);
    assert_eq!(holder(&scene, "ann"), Some(1));
    let other = scene.comes_as(0, "ann");
    assert_eq!(codes(&scene, other), ["nick_taken"]);
    scene.goes(again);
    assert_eq!(holder(&scene, "ann"), None);
}

#[test]
fn client_that_resumes_with_another_session_has_no_nick_of_it() {
    let mut scene = Scene::new(2);
    let ann = scene.comes_as(0, "ann");
    let cat = scene.comes_as(0, "cat");
    let (_, answer) = resumes(&mut scene, 1, "ann", cat);
    assert!(is_made_up(answer["nick"].as_str().expect("a nick")));
    assert_eq!(holder(&scene, "ann"), Some(0));
    assert!(!scene.is_closed(ann));
    // It is the one that the client has left.
    assert!(scene.is_closed(cat));
    assert_eq!(holder(&scene, "cat"), None);
}

#[test]
fn session_goes_from_server_to_server_with_its_nick() {
    let mut scene = Scene::new(2);
    let mut last = scene.comes_as(0, "ann");
    let mut session = scene.all(last, "hello")[0]["session"].clone();
    for node in [1, 0, 0, 1] {
        let who = scene.comes_as(node, "ann");
        let id = scene.asks(who, "resume", &[("session", session)]);
        let answer = scene.re(who, id).expect("an answer").clone();
        assert_eq!(answer["nick"], "ann", "{answer}");
        session = answer["session"].clone();
        assert!(scene.is_closed(last));
        assert_eq!(holder(&scene, "ann"), Some(node));
        last = who;
    }
}

#[test]
fn client_of_a_server_that_is_cut_off_has_its_nick_at_another() {
    let mut scene = Scene::new(2);
    let ann = scene.comes_as(0, "ann");
    scene.engine.links(0, false);
    scene.turns();
    let (again, answer) = resumes(&mut scene, 1, "ann", ann);
    assert_eq!(answer["nick"], "ann");
    scene.engine.links(0, true);
    scene.turns();
    // What is left of it there has another nick, and does not take it back.
    assert_eq!(codes(&scene, ann), ["nick_taken"]);
    assert_eq!(holder(&scene, "ann"), Some(1));
    assert!(!scene.is_closed(again));
}

#[test]
fn client_that_resumes_when_the_link_is_lost_goes_on_without_its_nick() {
    let mut scene = Scene::new(2);
    let ann = scene.comes_as(0, "ann");
    let session = scene.all(ann, "hello")[0]["session"].clone();
    let again = scene.comes_as(1, "ann");
    scene.engine.faults.late = 100;
    let id = scene.asks(again, "resume", &[("session", session)]);
    let join = scene.asks(again, "join", &[("room", json!("lobby"))]);
    assert_eq!(scene.re(again, id), None);
    scene.engine.links(1, false);
    scene.turns();
    let answer = scene.re(again, id).expect("an answer");
    assert!(is_made_up(answer["nick"].as_str().expect("a nick")));
    scene.engine.faults.late = 0;
    scene.engine.links(1, true);
    scene.turns();
    assert_eq!(scene.answer(again, join), Some("ok"));
    assert!(!scene.is_closed(ann));
}
