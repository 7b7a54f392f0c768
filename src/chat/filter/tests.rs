//! What matches a list of words and what does not, and that it takes one pass however long the list
//! is.

use super::*;

fn filter(list: &str) -> Filter {
    Filter::parse(list).expect("a good list")
}

#[track_caller]
fn replaced(list: &str, text: &str) -> String {
    filter(list).replace(text).into_owned()
}

#[test]
fn word_is_said_as_asterisks_and_the_rest_unchanged() {
    assert_eq!(
        replaced("badger", "a badger, two Badgers"),
        "a ******, two Badgers"
    );
    assert_eq!(replaced("badger\nhoney", "honey-badger!"), "*****-******!");
    assert!(matches!(
        filter("badger").replace("nothing of it"),
        Cow::Borrowed("nothing of it")
    ));
}

#[test]
fn word_matches_whatever_its_letters_look_like() {
    let mut filter = filter("badger");
    for text in [
        "BADGER",
        "b\u{430}dger",                       // Cyrillic а
        "b\u{e1}dg\u{e8}r",                   // á, è
        "ba\u{200b}dg\u{200d}er",             // zero width
        "b\u{ad}a\u{2060}dger",               // soft hyphen, word joiner
        "b\u{301}a\u{336}d\u{20dd}ger",       // marks on any letter
        "\u{ff42}\u{ff41}\u{ff44}\u{ff47}er", // full width
        "\u{1d41b}adger",                     // mathematical
        "ba\u{fe0f}dger",                     // variation selector
    ] {
        assert!(filter.has_any(text), "{text}");
        assert!(filter.has_any(&format!("so: {text}!")), "{text}");
    }
    for text in ["", "badge r", "badg", "adger", "\u{200b}"] {
        assert!(!filter.has_any(text), "{text}");
    }
}

#[test]
fn characters_that_look_like_others_are_matched_on_both_sides() {
    for (list, text) in [
        (
            "\u{431}\u{430}\u{440}\u{441}\u{443}\u{43a}",
            "\u{411}AP\u{421}\u{423}\u{41a}",
        ),
        ("hello", "\u{397}ello"), // a Greek H
        ("mill", "rni11"),
        ("hello", "he|l0"),
        ("two  words", "TWO\u{a0}\n words"),
        ("i\u{307}t", "\u{130}t"),
    ] {
        assert!(filter(list).has_any(text), "{list}: {text}");
    }
}

#[test]
fn whole_words_are_meant_unless_asterisks_say_more() {
    for (pattern, found, not_found) in [
        (
            "ass",
            &["ass", "an ass.", "_ass_", "kick-ass"][..],
            &["class", "assess"][..],
        ),
        ("ass*", &["ass", "assess"], &["class"]),
        ("*ass", &["ass", "class"], &["assess"]),
        ("*ass*", &["classes"], &["as s"]),
        ("be|", &["be|", "bel|y"], &["belly"]),
    ] {
        for text in found {
            assert!(filter(pattern).has_any(text), "{pattern}: {text}");
        }
        for text in not_found {
            assert!(!filter(pattern).has_any(text), "{pattern}: {text}");
        }
    }
}

#[test]
fn shorter_word_is_found_where_a_longer_one_is_none() {
    assert_eq!(replaced("foo\nfoo bar", "foo barn"), "*** barn");
    assert_eq!(
        replaced("foo\nfoo bar\nbar baz", "foo bar baz"),
        "***********"
    );
    // The separator is a letter to the eye alone.
    assert_eq!(replaced("word", "word|word"), "****|****");
}

#[test]
fn match_does_not_begin_within_a_character() {
    assert!(!filter("*nap").has_any("map"));
    assert!(filter("*rnap").has_any("map"));
}

#[test]
fn one_asterisk_is_said_for_each_character_that_is_seen() {
    assert_eq!(
        replaced("badger", "b\u{e1}d\u{200b}g\u{301}er x"),
        "****** x"
    );
    assert_eq!(replaced("\u{4f60}\u{597d}", "\u{4f60}\u{597d}"), "**");
}

#[test]
fn lines_that_are_no_patterns_are_named() {
    for (list, expected) in [
        ("ok\n\n# a remark\nb*d", "line 4: an asterisk may be"),
        ("*\u{301}*", "line 1: it needs a letter or a digit"),
        ("\u{200b}", "line 1: it needs a letter or a digit"),
    ] {
        let found = Filter::parse(list).expect_err("a bad list").to_string();
        assert!(found.starts_with(expected), "{found}");
    }
    let long = "a".repeat(PATTERN_CHARS_MAX + 1);
    assert!(Filter::parse(&long).is_err());
    assert!(
        Filter::parse("# nothing\r\n\r\n")
            .expect("a list")
            .is_empty()
    );
}

/// By the size of the texts, not by a clock: what is measured is in `filter_is_fast`.
#[test]
fn replaced_text_is_no_longer_than_the_text() {
    let mut chance = crate::chance::Chance::new(1, "filter");
    let pieces = [
        "m",
        "rn",
        "\u{301}",
        "\u{200b}",
        "l",
        "I",
        "\u{fb01}",
        "\u{1d41b}",
        " ",
        "\u{4f60}",
        "*",
        "a",
    ];
    let mut any = |most: u64| -> String {
        let count = chance.below(most);
        let piece = |_| pieces[chance.below(pieces.len() as u64) as usize];
        (0..count).map(piece).collect()
    };
    for _ in 0..if cfg!(miri) { 10 } else { 3_000 } {
        let list: Vec<String> = (0..4).map(|_| any(4)).collect();
        let list = list.into_iter().filter(|line| Filter::parse(line).is_ok());
        let list: Vec<String> = list.collect();
        let mut filter = filter(&list.join("\n"));
        let text = any(30);
        let replaced = filter.replace(&text).into_owned();
        assert!(replaced.len() <= text.len(), "{list:?} {text:?}");
        assert_eq!(replaced != text, filter.has_any(&text), "{list:?} {text:?}");
    }
}

/// `cargo test --release --lib filter_is_fast -- --ignored --nocapture`
#[test]
#[ignore = "measures"]
#[expect(clippy::disallowed_methods, reason = "it measures")]
fn filter_is_fast_with_ten_thousand_words() {
    use std::time::Instant;
    let mut chance = crate::chance::Chance::new(1, "words");
    let mut word = |letters: std::ops::Range<char>| -> String {
        let count = 4 + chance.below(8);
        let size = u64::from(u32::from(letters.end) - u32::from(letters.start));
        let letter = |_| {
            let number = u32::from(letters.start) + chance.below(size) as u32;
            char::from_u32(number).expect("a letter")
        };
        (0..count).map(letter).collect()
    };
    let list: Vec<String> = (0..10_000).map(|_| word('a'..'{')).collect();
    let began = Instant::now();
    let mut filter = filter(&list.join("\n"));
    let memory = filter.words.memory_usage();
    println!(
        "{} words: {:?}, {memory} bytes",
        list.len(),
        began.elapsed()
    );
    for (name, letters) in [
        ("latin", 'a'..'{'),
        ("cyrillic", 'а'..'я'),
        ("all", '\u{a0}'..'\u{d7ff}'),
    ] {
        for bytes in [100, 1_000, 16_000] {
            let mut text = String::new();
            while text.len() < bytes {
                text.push_str(&word(letters.clone()));
                text.push(' ');
            }
            let began = Instant::now();
            let rounds = 1_000_000 / bytes;
            for _ in 0..rounds {
                std::hint::black_box(filter.replace(&text));
            }
            let each = began.elapsed() / rounds as u32;
            println!("{name}, {} bytes: {each:?}", text.len());
        }
    }
}
