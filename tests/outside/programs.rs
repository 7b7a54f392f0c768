//! Programs that speak `parlor.v1.json` to the real server: what is not the matter of a client
//! example.

use super::program::Program;
use super::support::{Server, contains, upgrade_request};
use serde_json::{Value, json};

#[test]
fn program_with_the_token_is_an_operator_and_removes_a_member() {
    let server = Server::start(&["--operator-token", "sesame"]);
    let mut mallory = Program::in_room(&server, "mallory", "lobby");
    let mut ann = Program::in_room(&server, "ann", "lobby");
    let mut bob = server.join("bob");
    let kick = json!({"type": "kick", "room": "lobby", "nick": "Mallory", "reason": "spam"});
    assert_eq!(ann.asks(kick.clone())["code"], "not_allowed");
    let wrong = ann.asks(json!({"type": "op", "token": "sesam"}));
    assert_eq!(wrong["code"], "login_failed");
    let right = ann.asks(json!({"type": "op", "token": "sesame"}));
    assert_eq!(right, json!({"type": "ok", "re": right["re"]}));

    let nobody = json!({"type": "kick", "room": "lobby", "nick": "nobody"});
    assert_eq!(ann.asks(nobody)["code"], "no_such_member");
    let elsewhere = json!({"type": "kick", "room": "den", "nick": "mallory"});
    assert_eq!(ann.asks(elsewhere)["code"], "not_a_member");

    let done = ann.asks(kick);
    assert_eq!(
        (&done["type"], &done["room"], &done["seq"]),
        (&json!("ok"), &json!("lobby"), &json!(1))
    );
    bob.hears("* mallory was kicked by ann (spam)");
    let kicked = loop {
        let object = mallory.next();
        if object["type"] == "kicked" {
            break object;
        }
    };
    assert_eq!(
        (&kicked["you"], &kicked["reason"]),
        (&json!(true), &json!("spam"))
    );
    // It stays connected, and may be in other rooms.
    assert_eq!(mallory.asks(json!({"type": "ping"}))["type"], "ok");
}

#[test]
fn request_of_an_operator_without_an_id_is_answered_only_if_it_is_wrong() {
    let server = Server::start(&["--operator-token", "sesame"]);
    let mut ann = Program::connect(&server, "ann");
    ann.client.says(r#"{"type":"op","token":"no"}"#);
    let error = ann.next();
    assert_eq!(
        (&error["code"], &error["re"]),
        (&json!("login_failed"), &Value::Null)
    );
    ann.client.says(r#"{"type":"op","token":"sesame"}"#);
    ann.client.says(r#"{"type":"ping","id":"next"}"#);
    assert_eq!(ann.next()["re"], "next");
}

#[test]
fn hello_states_for_how_long_keys_are_known_in_memory() {
    let server = Server::start(&[]);
    let program = Program::connect(&server, "ann");
    assert_eq!(program.hello["limits"]["dedupe_ms"], 60_000);
}

#[test]
fn room_that_cannot_have_its_name_is_refused_with_the_nearest_good_one() {
    let server = Server::start(&[]);
    let mut ann = Program::connect(&server, "ann");
    for (room, suggestion) in [
        ("#General chat", json!("general-chat")),
        ("c++", json!("cplusplus")),
        ("🎉", Value::Null),
    ] {
        let error = ann.asks(json!({"type": "join", "room": room}));
        assert_eq!(
            (&error["code"], &error["suggestion"]),
            (&json!("bad_name"), &suggestion)
        );
        if let Some(name) = suggestion.as_str() {
            contains(error["message"].as_str().expect("text"), name);
            let joined = ann.asks(json!({"type": "join", "room": name}));
            assert_eq!(joined["room"], name);
        }
    }
    let mut page = server.connect();
    let request = upgrade_request("/ws/%23General%20chat");
    let request = request.replace("Host:", "Origin: http://parlor.example\r\nHost:");
    page.send(request.as_bytes());
    assert_eq!(page.response().status, 101);
    contains(page.is_closed_with(4003), "Try general-chat. ");
}

#[test]
fn client_that_did_not_get_the_answer_to_its_resume_resumes_again() {
    let server = Server::start(&[]);
    let mut ann = Program::connect(&server, "ann");
    let token = ann.hello["session"].clone();
    // The answer to this one is never read, and its client is gone without a word.
    let mut ghost = Program::connect(&server, "ghost");
    let resume = json!({"type": "resume", "session": token});
    ghost.client.says(&resume.to_string());
    ann.client.is_closed_with(4001);
    let mut back = Program::connect(&server, "back");
    let answer = back.asks(resume);
    assert_eq!(
        (&answer["type"], &answer["nick"]),
        (&json!("ok"), &json!("ann"))
    );
    ghost.client.is_closed_with(4001);
}
