//! Rooms, nicks and commands over the plain protocol, as a client sees them.

use super::support::{Client, Server, contains, frame};

#[test]
fn the_first_line_names_the_room_the_new_member_and_those_present() {
    let server = Server::start(&[]);
    let mut ann = server.upgrade("/ws?nick=ann");
    ann.hears("* welcome to lobby, ann. Nobody else is here");
    let mut bob = server.upgrade("/ws/lobby?nick=bob");
    bob.hears("* welcome to lobby, bob. Here: ann");
    let mut cat = server.upgrade("/ws/attic?nick=cat");
    cat.hears("* welcome to attic, cat. Nobody else is here");
    let mut cat = server.upgrade("/ws");
    let welcome = cat.line();
    assert!(
        welcome.starts_with("* welcome to lobby, guest-"),
        "{welcome}"
    );
    assert!(welcome.ends_with(". Here: ann, bob"), "{welcome}");
}

#[test]
fn all_members_get_messages_in_the_same_order() {
    let server = Server::start(&["--message-rate", "0", "--outbox-frames", "1000"]);
    let mut members: Vec<Client> = (0..5).map(|n| server.join(&format!("p{n}"))).collect();
    for _ in 0..40 {
        for (number, member) in members.iter_mut().enumerate() {
            member.says(&format!("x{number}"));
        }
    }
    let mut heard: Vec<Vec<String>> = Vec::new();
    for member in &mut members {
        let mut lines = Vec::new();
        while lines.len() < 200 {
            let line = member.line();
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
fn messages_stay_in_their_room() {
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
fn commands_do_what_the_help_says() {
    let server = Server::start(&[]);
    let (mut ann, mut bob) = server.ann_and_bob();
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
fn a_first_nick_that_is_refused_is_replaced_with_the_reason() {
    let server = Server::start(&[]);
    let _ann = server.join("ann");
    for (wanted, reason) in [
        ("ANN", "somebody has it"),
        ("%D0%B0nn", "somebody has it"),
        ("a%20b", "must not contain a space"),
        ("%E2%80%AEevil", "U+202E"),
        ("a%0Ab", "U+000A"),
        ("a%E2%80%8Bb", "U+200B"),
        // EGYPTIAN HIEROGLYPH FULL BLANK.
        ("%F0%93%91%81", "U+13441"),
        ("ann%F0%93%91%81", "U+13441"),
        ("o%CC%81%CC%81", "too many combining marks"),
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
fn names_and_messages_of_many_scripts_pass_unchanged() {
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
fn control_characters_are_removed_and_further_lines_are_indented() {
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
fn a_message_that_would_be_too_long_when_rendered_is_refused_to_its_sender() {
    let server = Server::start(&["--max-message-bytes", "1000"]);
    let (mut ann, mut bob) = server.ann_and_bob();
    // Each line feed becomes three bytes: 500 of them are the most that fit with 500 others.
    let fits = format!("{}{}", "\n".repeat(500), "x".repeat(500));
    ann.says(&fits);
    let heard = format!("ann: {}{}", "\n  ".repeat(500), "x".repeat(500));
    ann.hears(&heard);
    bob.hears(&heard);
    for words in [
        "\n".repeat(1000),
        format!("{}{}", "\n".repeat(501), "x".repeat(499)),
        format!("/me {}{}", "x".repeat(400), "\n".repeat(590) + "x"),
    ] {
        ann.says(&words);
        contains(ann.line(), "too many line breaks");
    }
    bob.hears_nothing();
    ann.says("shorter");
    bob.hears("ann: shorter");
    assert_eq!(server.counter("violations"), 0);
}

#[test]
fn a_joiner_that_a_script_needs_makes_no_other_nick() {
    let server = Server::start(&[]);
    // "Alireza" in Persian, with a non-joiner between its two parts.
    let _ann = server.upgrade("/ws?nick=%D8%B9%D9%84%DB%8C%E2%80%8C%D8%B1%D8%B6%D8%A7");
    let mut bob = server.upgrade("/ws?nick=%D8%B9%D9%84%DB%8C%D8%B1%D8%B6%D8%A7");
    contains(
        bob.line(),
        "Here: \u{639}\u{644}\u{6cc}\u{200c}\u{631}\u{636}\u{627}",
    );
    contains(bob.line(), "one that looks like it");
}

#[test]
fn after_five_wrong_operator_tokens_an_address_has_one_try_a_minute() {
    let options = ["--operator-token", "sesame", "--trusted-proxy", "none"];
    let server = Server::start(&options);
    let (mut ann, mut bob) = server.ann_and_bob();
    for number in 0..5 {
        ann.says(&format!("/op guess{number}"));
        contains(ann.line(), "not the operator token");
    }
    // The right token is refused as well, or guessing could go on; another connection does not
    // help.
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
    // The log has the address, and not the token.
    for _ in 0..5 {
        let line = server.error_line();
        assert!(
            line.ends_with("a wrong operator token from 127.0.0.1"),
            "{line}"
        );
    }
}

#[test]
fn no_member_can_imitate_a_line_of_the_server() {
    let server = Server::start(&[]);
    let mut ann = server.join("ann");
    for (nick, words) in [
        ("you", "are an operator now"),
        ("welcome", "to lobby, evil. Nobody else is here"),
        ("12", "joined"),
        ("bob", "left (good night)"),
    ] {
        let mut imitator = server.join(nick);
        ann.hears(&format!("* {nick} joined"));
        imitator.says(&format!("/me {words}"));
        ann.hears(&format!("** {nick} {words}"));
        drop(imitator);
        ann.hears(&format!("* {nick} left"));
    }
}

#[test]
fn a_last_word_is_one_line() {
    let server = Server::start(&["--operator-token", "sesame"]);
    let (mut ann, mut bob) = server.ann_and_bob();
    bob.says("/quit bye\u{2028}ann: I am a fool\n* ann left");
    bob.is_closed_with(1000);
    let line = ann.line();
    assert!(line.starts_with("* bob left (bye"), "{line}");
    assert!(!line.contains(['\n', '\u{2028}']), "{line}");
}

#[test]
fn the_reason_of_a_kick_is_the_last_line_of_the_kicked_member_and_reported_once() {
    let server = Server::start(&["--operator-token", "sesame"]);
    let (mut ann, mut bob) = server.ann_and_bob();
    ann.says("/kick bob");
    contains(ann.line(), "only an operator");
    ann.says("/op guess");
    contains(ann.line(), "not the operator token");
    ann.says("/op sesame");
    ann.hears("* you are an operator now");
    // What bob sends after the kick is not delivered.
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

#[test]
fn search_shows_what_it_finds_in_the_order_in_which_it_was_said() {
    let server = Server::start(&[]);
    let (mut ann, mut bob) = server.ann_and_bob();
    for words in ["one apple", "a pear", "two Apples"] {
        ann.says(words);
        bob.hears(&format!("ann: {words}"));
    }
    bob.says("/search apple");
    bob.hears("* found:\nann: one apple\nann: two Apples\n* now:");
}
