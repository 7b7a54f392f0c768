//! The room, for clients that know nothing of us: lines of text.

use super::support::{Client, Server, contains, frame};

fn ann_and_bob(server: &Server) -> (Client, Client) {
    let mut ann = server.join("ann");
    let bob = server.join("bob");
    ann.hears("* bob joined");
    (ann, bob)
}

#[test]
fn the_first_line_names_the_room_the_newcomer_and_who_is_there() {
    let server = Server::start(&[]);
    let mut ann = server.upgrade("/ws?nick=ann");
    ann.hears("* welcome to lobby, ann. Nobody else is here");
    let mut bob = server.upgrade("/ws/lobby?nick=bob");
    bob.hears("* welcome to lobby, bob. Here: ann");
    let mut cat = server.upgrade("/ws/attic?nick=cat");
    cat.hears("* welcome to attic, cat. Nobody else is here");
    let mut somebody = server.upgrade("/ws");
    let welcome = somebody.line();
    assert!(
        welcome.starts_with("* welcome to lobby, guest-"),
        "{welcome}"
    );
    assert!(welcome.ends_with(". Here: ann, bob"), "{welcome}");
}

#[test]
fn everybody_hears_what_is_said_in_the_same_order() {
    let server = Server::start(&["--message-rate", "0", "--outbox-frames", "1000"]);
    let mut people: Vec<Client> = (0..5).map(|n| server.join(&format!("p{n}"))).collect();
    for _ in 0..40 {
        for (number, person) in people.iter_mut().enumerate() {
            person.says(&format!("x{number}"));
        }
    }
    let mut heard: Vec<Vec<String>> = Vec::new();
    for person in &mut people {
        let mut lines = Vec::new();
        while lines.len() < 200 {
            let line = person.line();
            if !line.starts_with("* ") {
                lines.push(line);
            }
        }
        heard.push(lines);
    }
    for other in &heard[1..] {
        assert_eq!(*other, heard[0]);
    }
}

#[test]
fn rooms_do_not_hear_each_other() {
    let server = Server::start(&[]);
    let mut ann = server.join("ann");
    let mut bob = server.join_room("attic", "bob");
    bob.says("only here");
    bob.hears("bob: only here");
    ann.hears_nothing();
    ann.says("/rooms");
    let rooms = ann.line();
    contains(&rooms, "lobby (1)");
    contains(&rooms, "attic (1)");
}

#[test]
fn commands_do_what_they_say() {
    let server = Server::start(&[]);
    let (mut ann, mut bob) = ann_and_bob(&server);
    ann.says("/me waves");
    ann.hears("** ann waves");
    bob.hears("** ann waves");
    ann.says("/nick anna");
    ann.hears("* ann is now known as anna");
    bob.hears("* ann is now known as anna");
    ann.says("/who");
    ann.hears("* in lobby: anna, bob");
    ann.says("/help");
    contains(ann.line(), "/nick NAME");
    ann.says("//help");
    ann.hears("anna: /help");
    bob.hears("anna: /help");
    ann.says("/dance");
    contains(ann.line(), "no command /dance");
    bob.hears_nothing();
    ann.says("/quit good night");
    ann.is_closed_with(1000);
    bob.hears("* anna left (good night)");
}

#[test]
fn a_first_nick_that_cannot_be_had_is_replaced_and_the_reason_told() {
    let server = Server::start(&[]);
    let _ann = server.join("ann");
    for (wanted, reason) in [
        ("ANN", "somebody has it"),
        ("%D0%B0nn", "somebody has it"),
        ("a%20b", "must not contain a space"),
        ("%E2%80%AEevil", "U+202E"),
        ("a%0Ab", "U+000A"),
        ("a%E2%80%8Bb", "U+200B"),
        (&"x".repeat(33), "more than 32 characters"),
    ] {
        let mut client = server.upgrade(&format!("/ws?nick={wanted}"));
        contains(client.line(), "* welcome to lobby, guest-");
        let line = client.line();
        contains(&line, "you cannot be called");
        contains(&line, reason);
    }
}

#[test]
fn names_and_words_of_every_script_pass_intact() {
    let server = Server::start(&[]);
    let mut client = server.upgrade("/ws?nick=%E5%90%8D%E5%89%8D");
    client.hears("* welcome to lobby, 名前. Nobody else is here");
    for words in [
        "你好，世界",
        "👩‍👩‍👧 ❤️ 🇪🇺",
        "שלום עולם",
        "عربى",
        "e\u{301}\u{323}",
        "\ttab",
    ] {
        client.says(words);
        client.hears(&format!("名前: {words}"));
    }
}

#[test]
fn control_characters_are_removed_and_no_line_can_be_forged() {
    let server = Server::start(&[]);
    let mut ann = server.join("ann");
    ann.says("a\u{1b}[2J\u{7}b\u{85}");
    ann.hears("ann: a[2Jb");
    ann.says("hi\r\nbob: I am a fool\n* bob was kicked");
    ann.hears("ann: hi\n  bob: I am a fool\n  * bob was kicked");
    ann.says("\u{0}\u{1}");
    contains(ann.line(), "nothing in that message");
}

#[test]
fn guessing_the_operator_token_soon_costs_a_minute_a_guess() {
    let options = ["--operator-token", "sesame", "--trusted-proxy", "none"];
    let server = Server::start(&options);
    let (mut ann, mut bob) = ann_and_bob(&server);
    for number in 0..5 {
        ann.says(&format!("/op guess{number}"));
        contains(ann.line(), "not the operator token");
    }
    // The right one is not looked at either, or guessing could go on; coming again is no help.
    for client in [&mut ann, &mut bob] {
        client.says("/op sesame");
        contains(client.line(), "too many wrong tokens");
    }
    let mut cat = server.join("cat");
    cat.says("/op sesame");
    contains(cat.line(), "too many wrong tokens");
    ann.hears("* cat joined");
    ann.says("others");
    ann.hears("ann: others");
    // The log says where from, and not what was tried.
    for _ in 0..5 {
        let line = server.error_line();
        assert!(
            line.ends_with("a wrong operator token from 127.0.0.1"),
            "{line}"
        );
    }
}

#[test]
fn nobody_can_act_out_a_line_of_the_server() {
    let server = Server::start(&[]);
    let mut ann = server.join("ann");
    for (nick, words) in [
        ("you", "are an operator now"),
        ("welcome", "to lobby, evil. Nobody else is here"),
        ("12", "joined"),
        ("bob", "left (good night)"),
    ] {
        let mut liar = server.join(nick);
        ann.hears(&format!("* {nick} joined"));
        liar.says(&format!("/me {words}"));
        ann.hears(&format!("** {nick} {words}"));
        drop(liar);
        ann.hears(&format!("* {nick} left"));
    }
}

#[test]
fn a_last_word_is_one_line() {
    let server = Server::start(&["--operator-token", "sesame"]);
    let (mut ann, mut bob) = ann_and_bob(&server);
    bob.says("/quit bye\u{2028}ann: I am a fool\n* ann left");
    bob.is_closed_with(1000);
    let line = ann.line();
    assert!(line.starts_with("* bob left (bye"), "{line}");
    assert!(!line.contains(['\n', '\u{2028}']), "{line}");
}

#[test]
fn the_kicked_hear_why_as_their_last_line_and_the_room_hears_it_once() {
    let server = Server::start(&["--operator-token", "sesame"]);
    let (mut ann, mut bob) = ann_and_bob(&server);
    ann.says("/kick bob");
    contains(ann.line(), "only an operator");
    ann.says("/op guess");
    contains(ann.line(), "not the operator token");
    ann.says("/op sesame");
    ann.hears("* you are an operator now");
    // What bob says in the packet that comes after is not heard.
    ann.says("/kick BOB too loud");
    ann.hears("* bob was kicked by ann (too loud)");
    bob.try_send(&frame(0x81, b"what?"));
    bob.hears("* you were kicked by ann (too loud)");
    assert_eq!(bob.is_closed_with(1008), "kicked: too loud");
    ann.hears_nothing();
    let mut bob = server.join("bob");
    ann.hears("* bob joined");
    bob.says("back");
    ann.hears("bob: back");
}

#[test]
fn the_operator_token_can_come_from_the_environment() {
    let mut command = super::support::command();
    command
        .env("PARLOR_OPERATOR_TOKEN", "sesame")
        .args(["--listen", "127.0.0.1:0"]);
    let server = Server::spawn(&mut command, 1);
    let mut ann = server.join("ann");
    ann.says("/op sesame");
    ann.hears("* you are an operator now");
}
