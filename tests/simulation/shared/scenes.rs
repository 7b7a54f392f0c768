//! One scene for each rule of several servers on one engine.

use super::scene::Scene;
use serde_json::json;

#[test]
fn message_is_numbered_by_the_engine_and_seen_at_another_server() {
    let mut scene = Scene::new(2);
    let (ann, bob) = (scene.joins(0), scene.joins(1));
    let id = scene.says(ann, "hello");
    assert_eq!(scene.answer(ann, id), Some("ok"));
    assert_eq!(scene.re(ann, id).expect("an answer")["seq"], json!(1));
    assert_eq!(scene.messages(ann), [(1, String::from("hello"))]);
    assert_eq!(scene.messages(bob), [(1, String::from("hello"))]);
}
