//! One scene for each rule of accounts on several servers that share an engine. Knows no random.

use super::scene::Scene;
use serde_json::{Value, json};

const PASSWORD: &str = "correct horse battery";

fn account(name: &str) -> [(&'static str, Value); 2] {
    [("account", json!(name)), ("password", json!(PASSWORD))]
}

fn registers(scene: &mut Scene, node: usize, name: &str) -> usize {
    let who = scene.joins(node);
    let id = scene.asks(who, "register", &account(name));
    assert_eq!(scene.answer(who, id), Some("ok"));
    who
}

#[test]
fn account_is_entered_at_each_server_by_its_password_and_its_session() {
    let mut scene = Scene::new(2);
    let ann = registers(&mut scene, 0, "ann");
    let registered = scene.re(ann, scene.asked(ann)).expect("an answer");
    let session = registered["session"].clone();
    let other = scene.joins(1);
    let id = scene.asks(other, "login", &account("ann"));
    assert_eq!(
        scene.re(other, id).expect("an answer")["account"],
        json!("ann")
    );
    let back = scene.comes(1);
    let id = scene.asks(back, "resume", &[("session", session)]);
    assert_eq!(
        scene.re(back, id).expect("an answer")["account"],
        json!("ann")
    );
}

#[test]
fn name_is_reserved_at_each_server_and_guests_that_wear_it_lose_it() {
    let mut scene = Scene::new(2);
    let bob = scene.joins(1);
    scene.asks(bob, "nick", &[("nick", json!("ann"))]);
    registers(&mut scene, 0, "ann");
    let refused = scene.all(bob, "error");
    assert_eq!(
        refused.last().expect("it is told")["code"],
        json!("nick_taken")
    );
    let id = scene.asks(bob, "register", &account("Ann"));
    assert_ne!(scene.answer(bob, id), Some("ok"));
}

#[test]
fn accounts_that_are_registered_at_once_are_not_one() {
    let mut scene = Scene::new(2);
    let (ann, bob) = (scene.joins(0), scene.joins(1));
    scene.engine.faults.late = 100;
    let first = scene.asks(ann, "register", &account("ann"));
    let second = scene.asks(bob, "register", &account("bob"));
    scene.engine.faults.late = 0;
    scene.turns();
    assert_eq!(scene.answer(ann, first), Some("ok"));
    assert_eq!(scene.answer(bob, second), Some("store_unavailable"));
    // It goes on as a guest, and may try again.
    let id = scene.says(bob, "hello");
    assert_eq!(scene.answer(bob, id), Some("ok"));
    let id = scene.asks(bob, "register", &account("bob"));
    assert_eq!(scene.answer(bob, id), Some("ok"));
    let names: Vec<_> = scene.engine.registry.accounts().collect();
    assert_eq!(names.len(), 2);
    assert_ne!(names[0].id, names[1].id);
}

/// A guest at each server registers the same name at once. Returns the one that is refused.
fn register_one_name(scene: &mut Scene) -> usize {
    let (ann, bob) = (scene.joins(0), scene.joins(1));
    scene.engine.faults.late = 100;
    let first = scene.asks(ann, "register", &account("ann"));
    let second = scene.asks(bob, "register", &account("ann"));
    scene.engine.faults.late = 0;
    scene.turns();
    assert_eq!(scene.answer(ann, first), Some("ok"));
    assert_eq!(scene.answer(bob, second), Some("store_unavailable"));
    bob
}

#[test]
fn name_that_is_registered_at_once_is_one_account() {
    let mut scene = Scene::new(2);
    let bob = register_one_name(&mut scene);
    let id = scene.asks(bob, "account", &[]);
    assert_eq!(scene.answer(bob, id), Some("login_required"));
    let id = scene.asks(bob, "register", &account("ann"));
    assert_eq!(scene.answer(bob, id), Some("account_taken"));
    assert_eq!(scene.engine.registry.account_count(), 1);
}

#[test]
fn changed_password_ends_the_connections_of_other_servers() {
    let mut scene = Scene::new(2);
    let ann = registers(&mut scene, 0, "ann");
    let other = scene.joins(1);
    scene.asks(other, "login", &account("ann"));
    let fields = [
        ("password", json!(PASSWORD)),
        ("new", json!("another long password")),
    ];
    let id = scene.asks(ann, "password", &fields);
    assert_eq!(scene.answer(ann, id), Some("ok"));
    assert!(scene.is_closed(other));
    let id = scene.says(ann, "hello");
    assert_eq!(scene.answer(ann, id), Some("ok"), "it stays");
    let late = scene.joins(1);
    let id = scene.asks(late, "login", &account("ann"));
    assert_eq!(scene.answer(late, id), Some("login_failed"));
}

#[test]
fn removed_account_is_gone_at_each_server() {
    let mut scene = Scene::new(2);
    let ann = registers(&mut scene, 0, "ann");
    let other = scene.joins(1);
    scene.asks(other, "login", &account("ann"));
    let id = scene.asks(ann, "unregister", &[("password", json!(PASSWORD))]);
    assert_eq!(scene.answer(ann, id), Some("ok"));
    assert!(scene.is_closed(other));
    let late = scene.joins(1);
    let id = scene.asks(late, "register", &account("ann"));
    assert_eq!(scene.answer(late, id), Some("ok"));
    let refused = scene.all(ann, "error");
    let code = &refused.last().expect("the guest loses the nick")["code"];
    assert_eq!(*code, json!("nick_taken"));
}

#[test]
fn name_that_is_registered_at_once_is_entered_at_both_servers() {
    let mut scene = Scene::new(2);
    // The number that the second server gives to its next account is another one.
    let cat = scene.joins(1);
    scene.engine.faults.refused = 100;
    let id = scene.asks(cat, "register", &account("cat"));
    assert_eq!(scene.answer(cat, id), Some("store_unavailable"));
    scene.engine.faults.refused = 0;
    let bob = register_one_name(&mut scene);
    let id = scene.asks(bob, "register", &account("ann"));
    assert_eq!(scene.answer(bob, id), Some("account_taken"));
    for node in [0, 1] {
        let late = scene.joins(node);
        let id = scene.asks(late, "login", &account("ann"));
        assert_eq!(scene.answer(late, id), Some("ok"), "at server {node}");
    }
}

#[test]
fn login_that_is_refused_leaves_no_user_behind() {
    let mut scene = Scene::new(2);
    registers(&mut scene, 0, "ann");
    let other = scene.joins(1);
    scene.engine.faults.refused = 100;
    let id = scene.asks(other, "login", &account("ann"));
    assert_eq!(scene.answer(other, id), Some("store_unavailable"));
    assert!(scene.is_closed(other));
    scene.engine.faults.refused = 0;
    let late = scene.joins(1);
    let id = scene.asks(late, "login", &account("ann"));
    assert_eq!(scene.answer(late, id), Some("ok"));
}

#[test]
fn logout_that_is_refused_leaves_the_session_and_no_guest() {
    let mut scene = Scene::new(2);
    let ann = registers(&mut scene, 0, "ann");
    let registered = scene.re(ann, scene.asked(ann)).expect("an answer");
    let session = registered["session"].clone();
    scene.engine.links(0, false);
    scene.pass(2);
    let id = scene.asks(ann, "logout", &[]);
    assert_eq!(scene.answer(ann, id), Some("store_unavailable"));
    let id = scene.asks(ann, "account", &[]);
    assert_eq!(scene.answer(ann, id), Some("ok"), "it is in its account");
    scene.engine.links(0, true);
    scene.pass(2);
    scene.engine.faults.refused = 100;
    let id = scene.asks(ann, "logout", &[]);
    assert_eq!(scene.answer(ann, id), Some("store_unavailable"));
    assert!(scene.is_closed(ann));
    scene.engine.faults.refused = 0;
    let back = scene.comes(0);
    let id = scene.asks(back, "resume", &[("session", session)]);
    let resumed = scene.re(back, id).expect("an answer");
    assert_eq!(resumed["account"], json!("ann"));
}

#[test]
fn account_that_is_registered_while_the_link_is_down_is_refused_at_once() {
    let mut scene = Scene::new(2);
    let ann = scene.joins(0);
    scene.engine.links(0, false);
    scene.turns();
    let id = scene.asks(ann, "register", &account("ann"));
    assert_eq!(scene.answer(ann, id), Some("store_unavailable"));
}

#[test]
fn account_whose_change_is_lost_with_the_link_is_made_once() {
    let mut scene = Scene::new(2);
    let ann = scene.joins(0);
    scene.engine.mutes(0, true);
    let id = scene.asks(ann, "register", &account("ann"));
    scene.engine.links(0, false);
    scene.engine.mutes(0, false);
    scene.turns();
    // All facts are read again when the link is back, the account among them.
    scene.engine.reads_all(0);
    scene.engine.links(0, true);
    scene.turns();
    assert_eq!(scene.answer(ann, id), Some("ok"));
    assert_eq!(scene.engine.registry.account_count(), 1);
    let id = scene.asks(ann, "account", &[]);
    assert_eq!(scene.answer(ann, id), Some("ok"));
}

#[test]
fn role_that_was_given_at_another_server_holds() {
    let mut scene = super::scenes::with_operators();
    let bob = registers(&mut scene, 1, "bob");
    let op = scene.joins(0);
    scene.asks(op, "op", &[("token", json!("secret"))]);
    let fields = [
        ("room", json!("lobby")),
        ("account", json!("bob")),
        ("role", json!("moderator")),
    ];
    let id = scene.asks(op, "role", &fields);
    assert_eq!(scene.answer(op, id), Some("ok"));
    let topic = [("room", json!("lobby")), ("topic", json!("tea"))];
    let id = scene.asks(bob, "topic", &topic);
    assert_eq!(scene.answer(bob, id), Some("ok"));
}
