//! One scene for each rule of several servers on one engine. Knows no random.

use super::scene::{Scene, config};
use parlor::chat::registry::Fact;
use parlor::log::CUT_OFF_TICKS;
use serde_json::{Value, json};

const LOST: &str = "* the connection to the other servers is lost; what you say waits";
const BACK: &str = "* the connection to the other servers is back";

fn texts(messages: Vec<(u64, String)>) -> Vec<String> {
    messages.into_iter().map(|(_, text)| text).collect()
}

pub(super) fn with_operators() -> Scene {
    with_operators_at(2)
}

fn with_operators_at(nodes: usize) -> Scene {
    let mut config = config();
    config.chat.operator_token = Some(String::from("secret"));
    Scene::with(nodes, config)
}

fn lobby(name: &'static str, value: Value) -> [(&'static str, Value); 2] {
    [("room", json!("lobby")), (name, value)]
}

// Order

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

#[test]
fn message_is_shown_to_no_member_before_it_has_its_number() {
    let mut scene = Scene::new(2);
    let (ann, bob) = (scene.joins(0), scene.joins(1));
    scene.engine.faults.late = 100;
    let id = scene.says(ann, "hello");
    assert_eq!(scene.messages(ann), []);
    assert_eq!(scene.answer(ann, id), None);
    scene.engine.faults.late = 0;
    scene.turns();
    assert_eq!(scene.answer(ann, id), Some("ok"));
    assert_eq!(scene.messages(bob).len(), 1);
}

#[test]
fn members_of_different_servers_see_one_order() {
    let mut scene = Scene::new(2);
    let (ann, bob) = (scene.joins(0), scene.joins(1));
    for round in 0..20 {
        for who in [ann, bob] {
            let text = json!(format!("{who} {round}"));
            scene.sends(who, "send", &lobby("text", text));
        }
        scene.turns();
    }
    assert_eq!(scene.messages(ann).len(), 40);
    assert_eq!(scene.messages(ann), scene.messages(bob));
}

#[test]
fn other_request_waits_until_what_was_said_before_has_its_place() {
    let mut scene = Scene::new(2);
    let (ann, bob) = (scene.joins(0), scene.joins(1));
    scene.engine.faults.late = 100;
    let said = scene.says(ann, "hello");
    let more = scene.says(ann, "again");
    let renamed = scene.asks(ann, "nick", &[("nick", json!("anna"))]);
    let later = scene.says(ann, "as anna");
    // Longer than a request of a store may take.
    scene.pass(150);
    assert_eq!(scene.answer(ann, renamed), None);
    scene.engine.faults.late = 0;
    scene.turns();
    for id in [said, more, renamed, later] {
        assert_eq!(scene.answer(ann, id), Some("ok"));
    }
    let nicks = scene.all(bob, "message").into_iter();
    let nicks: Vec<&Value> = nicks.map(|message| &message["nick"]).collect();
    assert_eq!(nicks, ["c0", "c0", "anna"]);
}

#[test]
fn sends_of_a_connection_follow_each_other_until_too_many_are_under_way() {
    let mut scene = Scene::new(1);
    let ann = scene.joins(0);
    scene.engine.faults.late = 100;
    for round in 0..63 {
        scene.says(ann, &format!("{round}"));
    }
    assert_eq!(scene.nodes[0].kept().count(), 0, "it is not held");
    scene.says(ann, "63");
    assert_eq!(scene.nodes[0].kept().count(), 1);
    scene.engine.faults.late = 0;
    scene.turns();
    let expected: Vec<String> = (0..64).map(|round| format!("{round}")).collect();
    assert_eq!(texts(scene.messages(ann)), expected);
}

#[test]
fn last_word_of_a_client_that_is_gone_is_numbered() {
    let mut scene = Scene::new(2);
    let (ann, bob) = (scene.joins(0), scene.joins(1));
    scene.engine.faults.late = 100;
    scene.says(ann, "hello");
    scene.goes(ann);
    scene.engine.faults.late = 0;
    scene.turns();
    assert_eq!(texts(scene.messages(bob)), ["hello"]);
}

#[test]
fn message_that_is_sent_again_at_another_server_is_one() {
    let mut scene = Scene::new(2);
    let (ann, bob) = (scene.joins(0), scene.joins(1));
    let session = scene.all(ann, "hello")[0]["session"].clone();
    scene.says_with(ann, "hello", "k");
    scene.goes(ann);
    let again = scene.comes(1);
    scene.asks(again, "resume", &[("session", session)]);
    scene.asks(again, "join", &lobby("history", json!(0)));
    let id = scene.says_with(again, "hello", "k");
    let answer = scene.re(again, id).expect("an answer");
    assert_eq!(
        (&answer["seq"], &answer["duplicate"]),
        (&json!(1), &json!(true))
    );
    assert_eq!(scene.messages(bob).len(), 1);
    assert_eq!(scene.engine.head("lobby"), 1);
}

#[test]
fn edit_is_seen_at_another_server_and_so_is_what_it_has_changed() {
    let mut scene = Scene::new(2);
    let (ann, bob) = (scene.joins(0), scene.joins(1));
    scene.says(ann, "helo");
    let edit = [
        ("room", json!("lobby")),
        ("seq", json!(1)),
        ("text", json!("hello")),
    ];
    let id = scene.asks(ann, "edit", &edit);
    assert_eq!(scene.answer(ann, id), Some("ok"));
    let not_own = [
        ("room", json!("lobby")),
        ("seq", json!(1)),
        ("text", json!("mine")),
    ];
    let id = scene.asks(bob, "edit", &not_own);
    assert_eq!(scene.answer(bob, id), Some("not_allowed"));
    assert_eq!(scene.all(bob, "edited").len(), 1);
    let id = scene.asks(bob, "history", &lobby("limit", json!(10)));
    assert_eq!(
        scene.re(bob, id).expect("a page")["entries"][0]["text"],
        json!("hello")
    );
}

/// The first connections of two servers have one id.
#[test]
fn person_at_another_server_is_another_author() {
    let mut scene = Scene::new(2);
    let (ann, bob) = (scene.enters(0), scene.enters(1));
    scene.writes(ann, "helo");
    scene.writes(bob, "/edit mine");
    scene.writes(ann, "/edit hello");
    let shown = scene.lines(bob).join("\n");
    assert!(shown.contains("c0: helo"), "{shown}");
    assert!(!shown.contains("mine"), "{shown}");
    assert_eq!(scene.engine.head("lobby"), 2, "the author's edit alone");
}

// What the engine refuses

#[test]
fn refused_message_is_answered_and_shown_to_no_member() {
    let mut scene = Scene::new(2);
    let (ann, bob, cat) = (scene.joins(0), scene.joins(1), scene.enters(0));
    scene.engine.faults.refused = 100;
    let id = scene.says(ann, "hello");
    assert_eq!(scene.answer(ann, id), Some("store_unavailable"));
    scene.lines(cat);
    scene.writes(cat, "hello");
    assert_eq!(scene.lines(cat).len(), 1, "a sentence");
    scene.engine.faults.refused = 0;
    scene.says(ann, "again");
    assert_eq!(texts(scene.messages(bob)), ["again"]);
}

// The link

#[test]
fn what_is_said_while_the_link_is_lost_waits() {
    let mut scene = Scene::new(2);
    let (ann, bob, cat) = (scene.joins(0), scene.joins(1), scene.enters(0));
    scene.lines(cat);
    scene.engine.links(0, false);
    scene.turns();
    let id = scene.says(ann, "hello");
    scene.pass(250);
    assert_eq!(scene.answer(ann, id), None);
    assert_eq!(scene.lines(cat), [LOST]);
    assert_eq!(scene.all(ann, "link")[0]["up"], json!(false));
    scene.engine.links(0, true);
    scene.turns();
    assert_eq!(scene.answer(ann, id), Some("ok"));
    assert_eq!(scene.lines(cat), [BACK, "c0: hello"]);
    assert_eq!(scene.all(ann, "link")[1]["up"], json!(true));
    assert_eq!(texts(scene.messages(bob)), ["hello"]);
    assert_eq!(scene.all(bob, "link"), Vec::<&Value>::new());
}

#[test]
fn message_whose_number_was_on_its_way_when_the_link_was_lost_is_one() {
    let mut scene = Scene::new(2);
    let (ann, bob) = (scene.joins(0), scene.joins(1));
    scene.engine.mutes(0, true);
    let id = scene.says(ann, "hello");
    assert_eq!(scene.engine.head("lobby"), 1);
    assert_eq!(scene.answer(ann, id), None);
    scene.engine.links(0, false);
    scene.engine.mutes(0, false);
    scene.turns();
    scene.engine.links(0, true);
    scene.turns();
    assert_eq!(scene.answer(ann, id), Some("ok"));
    assert_eq!(scene.engine.head("lobby"), 1);
    for who in [ann, bob] {
        assert_eq!(texts(scene.messages(who)), ["hello"]);
    }
}

#[test]
fn what_has_waited_for_the_link_for_half_a_minute_is_refused() {
    let mut scene = Scene::new(2);
    let (ann, bob) = (scene.joins(0), scene.joins(1));
    scene.engine.links(0, false);
    scene.turns();
    let first = scene.says(ann, "one");
    let second = scene.says(ann, "two");
    let renamed = scene.asks(ann, "nick", &[("nick", json!("anna"))]);
    scene.pass(295);
    for id in [first, second, renamed] {
        assert_eq!(scene.answer(ann, id), None);
    }
    scene.pass(10);
    assert_eq!(scene.answer(ann, first), Some("store_unavailable"));
    assert_eq!(scene.answer(ann, second), Some("store_unavailable"));
    assert_eq!(scene.answer(ann, renamed), Some("store_unavailable"));
    let at_once = scene.says(ann, "three");
    assert_eq!(scene.answer(ann, at_once), Some("store_unavailable"));
    scene.engine.links(0, true);
    scene.turns();
    scene.says(ann, "four");
    assert_eq!(texts(scene.messages(bob)), ["four"]);
}

#[test]
fn client_that_comes_while_the_link_is_lost_is_shown_that() {
    let mut scene = Scene::new(1);
    scene.joins(0);
    scene.engine.links(0, false);
    scene.turns();
    let (bob, cat) = (scene.joins(0), scene.enters(0));
    assert_eq!(scene.all(bob, "link").len(), 1);
    assert!(scene.lines(cat).iter().any(|line| line == LOST));
}

#[test]
fn entries_that_are_not_kept_any_more_after_a_cut_are_a_gap() {
    let mut scene = Scene::new(2);
    let (ann, bob) = (scene.joins(0), scene.joins(1));
    scene.says(ann, "one");
    scene.engine.links(0, false);
    scene.turns();
    for text in ["two", "three", "four", "five"] {
        scene.says(bob, text);
    }
    scene.engine.trims("lobby", 2);
    scene.engine.links(0, true);
    scene.turns();
    let gap = scene.all(ann, "gap")[0];
    assert_eq!((&gap["from"], &gap["to"]), (&json!(2), &json!(3)));
    assert_eq!(texts(scene.messages(ann)), ["one", "four", "five"]);
    let id = scene.says(ann, "six");
    assert_eq!(scene.re(ann, id).expect("an answer")["seq"], json!(6));
}

// Epochs

#[test]
fn members_are_shown_what_was_lost_and_the_room_goes_on_from_there() {
    let mut scene = Scene::new(2);
    let (ann, bob, cat) = (scene.joins(0), scene.joins(1), scene.enters(1));
    let before = scene.all(ann, "joined")[0]["epoch"].clone();
    for text in ["one", "two", "three"] {
        scene.says(ann, text);
    }
    scene.lines(cat);
    scene.engine.loses(1);
    scene.turns();
    for who in [ann, bob] {
        let rewound = scene.all(who, "rewound")[0];
        assert_eq!(rewound["to"], json!(2));
        assert_ne!(rewound["epoch"], before);
    }
    assert_eq!(
        scene.lines(cat),
        ["* what was said after message 2 was lost"]
    );
    scene.says(bob, "other");
    assert_eq!(
        scene.messages(ann).last(),
        Some(&(3, String::from("other")))
    );
    let id = scene.asks(ann, "history", &lobby("limit", json!(10)));
    let page = scene.re(ann, id).expect("a page")["entries"].clone();
    let texts: Vec<&Value> = page
        .as_array()
        .expect("entries")
        .iter()
        .map(|one| &one["text"])
        .collect();
    assert_eq!(texts, ["one", "two", "other"]);
}

#[test]
fn edit_that_is_lost_has_changed_nothing() {
    let mut scene = Scene::new(1);
    let ann = scene.joins(0);
    scene.says(ann, "helo");
    let edit = [
        ("room", json!("lobby")),
        ("seq", json!(1)),
        ("text", json!("hello")),
    ];
    scene.asks(ann, "edit", &edit);
    scene.engine.loses(1);
    scene.turns();
    let id = scene.asks(ann, "history", &lobby("limit", json!(10)));
    assert_eq!(
        scene.re(ann, id).expect("a page")["entries"][0]["text"],
        json!("helo")
    );
}

#[test]
fn new_epoch_in_which_nothing_is_lost_is_shown_to_programs_alone() {
    let mut scene = Scene::new(1);
    let (ann, cat) = (scene.joins(0), scene.enters(0));
    scene.says(ann, "one");
    scene.lines(cat);
    scene.engine.loses(0);
    scene.turns();
    assert_eq!(scene.all(ann, "rewound")[0]["to"], json!(1));
    assert_eq!(scene.lines(cat), Vec::<String>::new());
}

/// What the second epoch kept of the first is lost with the third.
#[test]
fn client_of_an_old_epoch_goes_back_to_the_least_that_was_kept_since() {
    let mut scene = Scene::new(2);
    let ann = scene.joins(0);
    let first = scene.all(ann, "joined")[0]["epoch"].clone();
    for round in 0..10 {
        scene.says(ann, &format!("{round}"));
    }
    scene.engine.loses(2);
    scene.turns();
    scene.engine.loses(5);
    scene.turns();
    for round in 0..8 {
        scene.says(ann, &format!("later {round}"));
    }
    let back = scene.comes(1);
    let since = json!({"epoch": first, "seq": 10});
    scene.asks(back, "join", &lobby("since", since));
    let joined = scene.all(back, "joined")[0];
    assert_eq!(
        (&joined["rewound"], &joined["after"]),
        (&json!(3), &json!(3))
    );
    assert_eq!(joined["recovered"], json!(true));
    assert_eq!(scene.messages(back).len(), 8);
    let stranger = scene.comes(1);
    let since = json!({"epoch": "0-00000000", "seq": 10});
    scene.asks(stranger, "join", &lobby("since", since));
    assert_eq!(scene.all(stranger, "joined")[0]["rewound"], json!(0));
}

/// Another server has told it what has not come to this one yet.
#[test]
fn client_that_has_more_than_its_server_waits_for_it() {
    let mut scene = Scene::new(2);
    let ann = scene.joins(0);
    let epoch = scene.all(ann, "joined")[0]["epoch"].clone();
    let ahead = scene.comes(1);
    let since = json!({"epoch": epoch, "seq": 1});
    scene.asks(ahead, "join", &lobby("since", since));
    assert!(scene.all(ahead, "joined").is_empty());
    scene.says(ann, "one");
    let joined = scene.all(ahead, "joined");
    assert_eq!(
        (&joined[0]["after"], &joined[0]["recovered"]),
        (&json!(1), &json!(true))
    );
    assert_eq!(joined[0].get("rewound"), None);
}

/// It is numbered again in the new epoch.
#[test]
fn message_that_was_lost_before_it_was_acknowledged_is_numbered_again() {
    let mut scene = Scene::new(2);
    let (ann, bob) = (scene.joins(0), scene.joins(1));
    scene.engine.mutes(0, true);
    let id = scene.says(ann, "hello");
    scene.engine.loses(1);
    scene.turns();
    assert_eq!(scene.answer(ann, id), None);
    scene.engine.mutes(0, false);
    scene.turns();
    assert_eq!(scene.answer(ann, id), Some("ok"));
    assert_eq!(texts(scene.messages(ann)), ["hello"]);
    assert_eq!(
        scene.messages(bob).last(),
        Some(&(1, String::from("hello")))
    );
}

// Keeping order

#[test]
fn kick_removes_the_member_of_another_server() {
    let mut scene = with_operators();
    let (ann, bob) = (scene.joins(0), scene.joins(1));
    scene.asks(ann, "op", &[("token", json!("secret"))]);
    let id = scene.asks(ann, "kick", &lobby("nick", json!("c1")));
    assert_eq!(scene.answer(ann, id), Some("ok"));
    let last = scene.all(bob, "kicked");
    assert_eq!(last.last().expect("it is kicked")["you"], json!(true));
}

#[test]
fn topic_holds_from_its_entry_on_at_each_server() {
    let mut scene = with_operators();
    let (ann, _bob) = (scene.joins(0), scene.joins(1));
    scene.asks(ann, "op", &[("token", json!("secret"))]);
    let cat = scene.comes(0);
    scene.engine.faults.late = 100;
    let id = scene.asks(ann, "topic", &lobby("topic", json!("tea")));
    scene.asks(cat, "join", &[("room", json!("lobby"))]);
    assert_eq!(scene.all(cat, "joined")[0]["topic"], json!(""));
    scene.engine.faults.late = 0;
    scene.turns();
    assert_eq!(scene.answer(ann, id), Some("ok"));
    for node in [0, 1] {
        let who = scene.joins(node);
        assert_eq!(scene.all(who, "joined")[0]["topic"], json!("tea"));
    }
}

#[test]
fn ban_removes_the_member_of_another_server_and_keeps_it_out() {
    let mut scene = with_operators();
    let (ann, bob) = (scene.joins(0), scene.joins(1));
    scene.joins(1);
    scene.asks(ann, "op", &[("token", json!("secret"))]);
    let id = scene.asks(ann, "ban", &lobby("nick", json!("c1")));
    assert_eq!(scene.answer(ann, id), Some("ok"));
    assert_eq!(
        scene.all(bob, "banned").last().expect("it is banned")["you"],
        json!(true)
    );
    let id = scene.asks(bob, "join", &[("room", json!("lobby"))]);
    assert_eq!(scene.answer(bob, id), Some("banned"));
}

#[test]
fn audit_log_that_is_asked_for_while_the_link_is_lost_is_refused() {
    let (mut scene, ann, _) = operator_and_member();
    let id = scene.asks(ann, "topic", &lobby("topic", json!("tea")));
    assert_eq!(scene.answer(ann, id), Some("ok"));
    scene.engine.links(0, false);
    let id = scene.asks(ann, "audit", &[("room", json!("lobby"))]);
    assert_eq!(scene.answer(ann, id), Some("store_unavailable"));
    scene.engine.links(0, true);
    let id = scene.asks(ann, "audit", &[("room", json!("lobby"))]);
    let rows = &scene.re(ann, id).expect("an answer")["rows"];
    assert_eq!(rows[0]["action"], "topic");
}

#[test]
fn search_is_refused_where_servers_share() {
    let mut scene = with_operators();
    let ann = scene.joins(0);
    let search = [("room", json!("lobby")), ("query", json!("tea"))];
    let id = scene.asks(ann, "search", &search);
    assert_eq!(scene.answer(ann, id), Some("not_allowed"));
}

// The registry

/// An operator at the first server, and a member at the second.
fn operator_and_member() -> (Scene, usize, usize) {
    let mut scene = with_operators();
    let (ann, bob) = (scene.joins(0), scene.joins(1));
    scene.asks(ann, "op", &[("token", json!("secret"))]);
    (scene, ann, bob)
}

fn nick(nick: &str) -> [(&'static str, Value); 1] {
    [("nick", json!(nick))]
}

#[test]
fn ban_from_the_server_reaches_the_members_of_all_servers() {
    let (mut scene, ann, bob) = operator_and_member();
    scene.engine.faults.late = 100;
    let id = scene.asks(ann, "ban", &nick("c1"));
    assert_eq!(scene.answer(ann, id), None, "it is not in order yet");
    scene.engine.faults.late = 0;
    scene.turns();
    assert_eq!(scene.answer(ann, id), Some("ok"));
    let last = scene.all(bob, "banned");
    assert_eq!(last.last().expect("it is banned")["you"], json!(true));
}

/// A member says something while the link of the second server is down.
fn says_cut_off(scene: &mut Scene, who: usize) -> u64 {
    scene.engine.links(1, false);
    scene.turns();
    let id = scene.says(who, "hello");
    assert_eq!(scene.answer(who, id), None);
    id
}

fn is_back(scene: &mut Scene) {
    scene.engine.links(1, true);
    scene.turns();
}

#[test]
fn drafts_that_waited_are_refused_when_their_sender_was_muted_meanwhile() {
    let (mut scene, ann, bob) = operator_and_member();
    let first = says_cut_off(&mut scene, bob);
    let second = scene.says(bob, "again");
    scene.asks(ann, "mute", &lobby("nick", json!("c1")));
    is_back(&mut scene);
    for id in [first, second] {
        assert_eq!(scene.answer(bob, id), Some("muted"));
    }
    assert_eq!(texts(scene.messages(ann)), [""; 0]);
    // Its requests go on.
    let id = scene.asks(bob, "join", &[("room", json!("den"))]);
    assert_eq!(scene.answer(bob, id), Some("ok"));
}

#[test]
fn draft_that_waited_is_refused_when_its_sender_was_kicked_meanwhile() {
    let (mut scene, ann, bob) = operator_and_member();
    let id = says_cut_off(&mut scene, bob);
    scene.asks(ann, "kick", &lobby("nick", json!("c1")));
    is_back(&mut scene);
    assert_eq!(scene.answer(bob, id), Some("not_a_member"));
    assert_eq!(texts(scene.messages(ann)), [""; 0]);
}

#[test]
fn drafts_that_waited_are_said_in_their_order_when_another_was_muted_meanwhile() {
    let (mut scene, ann, bob) = operator_and_member();
    let first = says_cut_off(&mut scene, bob);
    let second = scene.says(bob, "again");
    scene.asks(ann, "mute", &lobby("nick", json!("mallory")));
    scene.engine.links(1, true);
    let third = scene.says(bob, "last");
    scene.turns();
    for id in [first, second, third] {
        assert_eq!(scene.answer(bob, id), Some("ok"));
    }
    assert_eq!(texts(scene.messages(ann)), ["hello", "again", "last"]);
}

/// It is said for all that it waited, for all have it.
#[test]
fn draft_that_was_numbered_before_its_sender_was_muted_is_acknowledged() {
    let (mut scene, ann, bob) = operator_and_member();
    scene.engine.mutes(1, true);
    let numbered = scene.says(bob, "before");
    assert_eq!(texts(scene.messages(ann)), ["before"]);
    let waited = says_cut_off(&mut scene, bob);
    scene.engine.mutes(1, false);
    scene.asks(ann, "mute", &lobby("nick", json!("c1")));
    is_back(&mut scene);
    assert_eq!(scene.answer(bob, numbered), Some("ok"));
    assert_eq!(scene.re(bob, numbered).expect("an answer")["seq"], json!(1));
    assert_eq!(scene.answer(bob, waited), Some("muted"));
    for who in [ann, bob] {
        assert_eq!(texts(scene.messages(who)), ["before"]);
    }
}

/// The change that the first is judged by again came before the second.
#[test]
fn draft_that_is_judged_again_is_not_overtaken_by_the_next() {
    let (mut scene, ann, bob) = operator_and_member();
    scene.engine.loses_drafts(1, true);
    let first = scene.says(bob, "hello");
    scene.asks(ann, "mute", &lobby("nick", json!("mallory")));
    let second = scene.says(bob, "again");
    scene.engine.links(1, false);
    scene.turns();
    scene.engine.loses_drafts(1, false);
    is_back(&mut scene);
    for id in [first, second] {
        assert_eq!(scene.answer(bob, id), Some("ok"));
    }
    assert_eq!(texts(scene.messages(ann)), ["hello", "again"]);
}

#[test]
fn member_with_a_higher_role_than_the_kicking_moderator_of_another_server_stays() {
    let (mut scene, ann, bob) = operator_and_member();
    scene.asks(bob, "op", &[("token", json!("secret"))]);
    scene.asks(ann, "kick", &lobby("nick", json!("c1")));
    assert!(
        !scene
            .all(bob, "kicked")
            .iter()
            .any(|kicked| kicked["you"] == json!(true))
    );
    let id = scene.says(bob, "still here");
    assert_eq!(scene.answer(bob, id), Some("ok"));
}

#[test]
fn closed_room_loses_its_members_at_all_servers() {
    let (mut scene, ann, bob) = operator_and_member();
    let id = scene.asks(ann, "close_room", &lobby("reason", json!("over")));
    assert_eq!(scene.answer(ann, id), Some("ok"));
    for who in [ann, bob] {
        let last = scene.all(who, "kicked");
        assert_eq!(last.last().expect("it is over")["you"], json!(true));
    }
}

/// Of two orders in the same moment the second is made from what the first has changed.
#[test]
fn settings_that_two_servers_change_in_the_same_moment_all_hold() {
    let (mut scene, ann, bob) = operator_and_member();
    scene.asks(bob, "op", &[("token", json!("secret"))]);
    let topic = scene.sends(ann, "topic", &lobby("topic", json!("tea")));
    let hidden = scene.sends(bob, "room", &lobby("hidden", json!(true)));
    let slow = scene.sends(bob, "room", &lobby("slow_seconds", json!(5)));
    scene.turns();
    assert_eq!(scene.answer(ann, topic), Some("ok"));
    for id in [hidden, slow] {
        assert_eq!(scene.answer(bob, id), Some("ok"));
    }
    for who in [ann, bob] {
        let id = scene.asks(who, "room", &[("room", json!("lobby"))]);
        let room = scene.re(who, id).expect("an answer");
        let settings = (&room["topic"], &room["hidden"], &room["slow_seconds"]);
        assert_eq!(settings, (&json!("tea"), &json!(true), &json!(5)));
    }
    assert_eq!(scene.engine.changes_like("topic"), 1);
}

#[test]
fn bans_in_the_same_moment_are_one_after_the_other() {
    let (mut scene, ann, bob) = operator_and_member();
    scene.asks(bob, "op", &[("token", json!("secret"))]);
    let cat = scene.joins(1);
    // From the room, with an entry, and from all servers.
    let here = scene.sends(ann, "ban", &lobby("nick", json!("c2")));
    let everywhere = scene.sends(bob, "ban", &nick("c2"));
    scene.turns();
    assert_eq!(scene.answer(ann, here), Some("ok"));
    assert_eq!(scene.answer(bob, everywhere), Some("ok"));
    assert_eq!(scene.engine.changes_like("ban"), 2);
    assert!(scene.is_closed(cat));
}

/// All but the first are handled again as often as it takes, as far as there is an end to it.
#[test]
fn many_orders_in_the_same_moment_are_all_made_or_refused() {
    let mut scene = with_operators_at(12);
    let who: Vec<usize> = (0..12).map(|node| scene.joins(node)).collect();
    for one in &who {
        scene.asks(*one, "op", &[("token", json!("secret"))]);
    }
    let topics = who.iter().map(|one| {
        let topic = lobby("topic", json!(format!("{one}")));
        (*one, scene.sends(*one, "topic", &topic))
    });
    let topics: Vec<(usize, u64)> = topics.collect();
    scene.turns();
    let answers: Vec<_> = topics
        .iter()
        .map(|(one, id)| scene.answer(*one, *id).expect("an answer"))
        .collect();
    let of = |what| answers.iter().filter(|answer| **answer == what).count();
    assert_eq!((of("ok"), of("store_unavailable")), (9, 3), "{answers:?}");
    assert_eq!(scene.engine.changes_like("topic"), 9);
}

/// It is judged by the role that its sender has then.
#[test]
fn order_that_waited_is_refused_when_its_sender_may_not_any_more() {
    let (mut scene, ann, _) = operator_and_member();
    let cat = scene.joins(1);
    let account = [
        ("account", json!("cat")),
        ("password", json!("correct horse battery")),
    ];
    let id = scene.asks(cat, "register", &account);
    assert_eq!(scene.answer(cat, id), Some("ok"));
    let role = |role| {
        let mut fields = lobby("account", json!("cat")).to_vec();
        fields.push(("role", json!(role)));
        fields
    };
    let id = scene.asks(ann, "role", &role("moderator"));
    assert_eq!(scene.answer(ann, id), Some("ok"));
    for (after, expected) in [("moderator", "ok"), ("member", "not_allowed")] {
        scene.engine.links(1, false);
        scene.turns();
        let id = scene.asks(cat, "mute", &lobby("nick", json!("c1")));
        assert_eq!(scene.answer(cat, id), None);
        scene.asks(ann, "mute", &lobby("nick", json!("mallory")));
        scene.asks(ann, "role", &role(after));
        is_back(&mut scene);
        assert_eq!(scene.answer(cat, id), Some(expected));
    }
}

#[test]
fn ban_is_known_to_a_server_at_which_the_room_is_not_open() {
    let (mut scene, ann, _) = operator_and_member();
    scene.asks(ann, "join", &[("room", json!("den"))]);
    let ban = [("room", json!("den")), ("nick", json!("c2"))];
    let id = scene.asks(ann, "ban", &ban);
    assert_eq!(scene.answer(ann, id), Some("ok"));
    let mallory = scene.comes(1);
    let id = scene.asks(mallory, "join", &[("room", json!("den"))]);
    assert_eq!(scene.answer(mallory, id), Some("banned"));
}

#[test]
fn change_that_waits_for_the_link_is_made_once_and_answered() {
    let (mut scene, ann, bob) = operator_and_member();
    scene.engine.mutes(0, true);
    let id = scene.asks(ann, "ban", &nick("c1"));
    // It was put in order, and the answer is lost.
    scene.engine.links(0, false);
    scene.engine.mutes(0, false);
    scene.turns();
    assert_eq!(scene.answer(ann, id), None);
    scene.engine.links(0, true);
    scene.turns();
    assert_eq!(scene.answer(ann, id), Some("ok"));
    assert_eq!(scene.engine.changes_like("ban"), 1);
    assert_eq!(scene.all(bob, "banned").len(), 1);
}

#[test]
fn change_that_has_waited_for_30_seconds_is_refused() {
    let (mut scene, ann, _) = operator_and_member();
    scene.engine.links(0, false);
    let id = scene.asks(ann, "ban", &nick("mallory"));
    scene.pass(CUT_OFF_TICKS + 10);
    assert_eq!(scene.answer(ann, id), Some("store_unavailable"));
    scene.engine.links(0, true);
    scene.turns();
    assert_eq!(scene.engine.changes_like("ban"), 0);
}

/// Not from when the link was lost last.
#[test]
fn what_is_not_answered_is_refused_30_seconds_after_it_was_handed_over() {
    let (mut scene, ann, _) = operator_and_member();
    scene.engine.loses_drafts(0, true);
    let said = scene.says(ann, "hello");
    scene.pass(100);
    scene.engine.links(0, false);
    scene.turns();
    let banned = scene.asks(ann, "ban", &nick("mallory"));
    scene.pass(100);
    scene.engine.links(0, true);
    scene.turns();
    scene.engine.links(0, false);
    scene.pass(CUT_OFF_TICKS - 205);
    assert_eq!(scene.answer(ann, said), None);
    scene.pass(10);
    assert_eq!(scene.answer(ann, said), Some("store_unavailable"));
    assert_eq!(scene.answer(ann, banned), None);
    scene.engine.loses_drafts(0, false);
    scene.engine.links(0, true);
    scene.turns();
    assert_eq!(scene.answer(ann, banned), Some("ok"));
    assert_eq!(scene.messages(ann), []);
}

#[test]
fn facts_that_are_read_again_are_made_here_and_those_that_are_gone_are_not() {
    let (mut scene, ann, _) = operator_and_member();
    scene.asks(ann, "ban", &nick("mallory"));
    scene.asks(ann, "topic", &lobby("topic", json!("tea")));
    scene
        .engine
        .loses_facts(|fact| matches!(fact, Fact::Sanction(_)));
    scene.engine.reads_all(1);
    let cat = scene.joins(1);
    assert_eq!(scene.all(cat, "joined")[0]["topic"], json!("tea"));
    let id = scene.asks(cat, "nick", &nick("mallory"));
    assert_eq!(scene.answer(cat, id), Some("ok"));
    let dan = scene.comes(0);
    let id = scene.asks(dan, "nick", &nick("mallory"));
    assert_ne!(scene.answer(dan, id), Some("ok"), "the ban is known there");
}
