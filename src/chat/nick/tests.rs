//! Names of many languages, names that cannot be seen, and names that look alike.

use super::look::{ascii_key, look};
use super::rules::{Kind, MARKS_MAX, kind};
use super::*;
use unicode_properties::{GeneralCategory, GeneralCategoryGroup, UnicodeGeneralCategory};
use unicode_security::GeneralSecurityProfile;
use unicode_security::confusable_detection::skeleton;

fn refused(text: &str) -> String {
    Nick::parse(text).expect_err(text).to_string()
}

fn keys(name: &str) -> Vec<SmolStr> {
    Nick::parse(name).expect(name).keys().collect()
}

fn are_same(one: &str, other: &str) -> bool {
    let others = keys(other);
    keys(one).iter().any(|key| others.contains(key))
}

/// Every character, but under Miri, which takes its time.
fn all_characters() -> impl Iterator<Item = char> {
    ('\0'..=char::MAX).step_by(if cfg!(miri) { 997 } else { 1 })
}

#[test]
fn names_of_many_languages_are_shown_as_they_are_written() {
    for name in [
        "ann",
        "Jean-Luc",
        "x_1.2",
        "Zoë",
        "名前",
        "Αννα",
        "٣",
        "عمر",
        // Amharic, Armenian, Georgian, Inuktitut.
        "አበበ",
        "Արամ",
        "ნინო",
        "ᐃᓄᒃ",
        // Burmese: four marks on the first letter, of which one is nonspacing.
        "ကျော်",
        "အောင်ဆန်းစုကြည်",
        // Devanagari, Bengali, Tamil, Malayalam.
        "मीरा",
        "श्रीमान्",
        "সৌমিত্র",
        "தமிழ்ச்செல்வி",
        "ശ്രീദേവി",
        // Persian, with a non-joiner between two letters that would be joined.
        "علی\u{200C}رضا",
        "می\u{200C}خواهم",
        // Sinhala and Kannada, with joiners after the sign that joins.
        "ශ්\u{200D}රී",
        "ಕ್\u{200D}ಷ",
        "র্\u{200D}যাব",
        // Khmer, Thai, Lao.
        "សុវណ្ណារិទ្ធិ",
        "ស្ត្រី",
        "สมชาย",
        "น้ำฝน",
        "ຄຳ",
        // Hebrew with points; Arabic and Urdu with vowels.
        "שרה",
        "שָׂרָה",
        "מֹשֶׁה",
        "مُحَمَّد",
        "فاطِمَہ",
        // Vietnamese, Korean, Japanese.
        "Nguyễn",
        "Trường",
        "김민준",
        "ㅋㅋ",
        "ガン太",
        // Tibetan.
        "བསྒྲུབས",
        // Scripts of limited use.
        "ᏣᎳᎩ",
        "ꮳꮃꭹ",
        "ߒߞߏ",
        "ߛߏߟߏߡߊߣߊ߫",
        "ⵜⵉⴼⵉⵏⴰⵖ",
        "𞤀𞤣𞤤𞤢𞤥",
        "𞤇𞤵𞤤𞤢𞥄𞤪",
        "ꆈꌠ",
        "ꦗꦮ",
        "ꦱꦶꦠꦶ",
        "ܣܘܪܝܝܐ",
        "ܡܳܪܝ",
        "ᱥᱟᱱᱛᱟᱲᱤ",
        "ꯃꯩꯇꯩ",
        "ᮞᮥᮔ᮪ᮓ",
        "ᨴᩱ᩠ᨿ",
    ] {
        let nick = Nick::parse(name).map(|nick| nick.to_string());
        assert_eq!(nick.as_deref(), Ok(name));
    }
}

#[test]
fn spaces_around_a_name_are_dropped() {
    assert_eq!(Nick::parse("  ann ").expect("a name").as_str(), "ann");
}

#[test]
fn a_name_is_kept_in_its_composed_form() {
    let name = Nick::parse("Zoe\u{308}").expect("a name");
    assert_eq!(name.as_str(), "Zo\u{eb}");
}

#[test]
fn the_longest_name_has_32_characters() {
    assert!(Nick::parse(&"名".repeat(32)).is_ok());
    for long in ["名".repeat(33), "x".repeat(33), "x".repeat(100_000)] {
        assert_eq!(refused(&long), "it has more than 32 characters");
    }
}

#[test]
fn characters_are_counted_as_they_are_shown() {
    let thai = "น้ำ".repeat(10);
    assert_eq!(Nick::parse(&thai).expect("30 characters").as_str(), thai);
    assert!(Nick::parse(&"ﬃ".repeat(32)).is_ok());
    let loose = Nick::parse(&"u\u{308}\u{304}".repeat(CHARS_MAX)).expect("a name");
    assert_eq!(loose.as_str(), "\u{1d6}".repeat(CHARS_MAX));
}

#[test]
fn the_refusal_of_a_name_says_what_is_wrong_with_it() {
    let no = |c: &str| format!("it must not contain {c}");
    for (name, reason) in [
        ("", "it is empty"),
        ("   ", "it is empty"),
        ("-_.", "it needs a letter or a digit"),
        ("a b", &no("a space")),
        ("a:b", &no(":")),
        ("a\nb", &no("the character U+000A")),
        ("a\u{a0}b", &no("the character U+00A0")),
        ("a\u{200b}b", &no("the character U+200B")),
        ("a\u{202e}b", &no("the character U+202E")),
        ("\u{3164}", &no("the character U+3164")),
        ("😀", &no("the character U+1F600")),
        ("a\u{20dd}", &no("the character U+20DD")),
        ("a\u{200d}b", &no("the invisible character U+200D there")),
        (
            "\u{301}a",
            "it has a combining mark without a letter before it",
        ),
        (
            "a-\u{301}",
            "it has a combining mark without a letter before it",
        ),
        (
            "\u{301}",
            "it has a combining mark without a letter before it",
        ),
        (
            "x\u{323}\u{324}\u{325}\u{326}\u{32d}",
            "it has too many combining marks: at most 4 on a letter, none twice",
        ),
        (
            "x\u{301}\u{301}",
            "it has too many combining marks: at most 4 on a letter, none twice",
        ),
        (
            "ann\u{17d2}",
            "it has a combining mark on a letter of another script: U+17D2",
        ),
    ] {
        assert_eq!(refused(name), reason, "{name:?}");
    }
}

/// Blank characters that are letters, marks or symbols by their category, as their names have it:
/// fillers, blanks and joining signs.
#[test]
fn characters_that_are_drawn_as_nothing_are_refused_alone_and_in_a_name() {
    for c in [
        '\u{ad}',
        '\u{34f}',
        '\u{61c}',
        '\u{115f}',
        '\u{1160}',
        '\u{17b4}',
        '\u{17b5}',
        '\u{180b}',
        '\u{180e}',
        '\u{180f}',
        '\u{200b}',
        '\u{200e}',
        '\u{2060}',
        '\u{2064}',
        '\u{206a}',
        '\u{2800}',
        '\u{3164}',
        '\u{fe00}',
        '\u{fe0f}',
        '\u{feff}',
        '\u{ffa0}',
        '\u{fff9}',
        '\u{fffc}',
        '\u{1107f}',
        '\u{13430}',
        '\u{13441}',
        '\u{13442}',
        '\u{16fe4}',
        '\u{1bca0}',
        '\u{1d159}',
        '\u{1d173}',
        '\u{e0001}',
        '\u{e0061}',
        '\u{e0100}',
    ] {
        for name in [
            format!("{c}"),
            format!("ann{c}"),
            format!("a{c}nn"),
            format!("{c}ann"),
        ] {
            let refusal = Nick::parse(&name);
            assert_eq!(refusal, Err(NickRefused::Character(c)), "{name:?}");
        }
    }
}

#[test]
fn no_name_of_one_character_is_invisible() {
    let mut accepted = 0;
    for c in all_characters() {
        let Ok(nick) = Nick::parse(c.encode_utf8(&mut [0; 4])) else {
            continue;
        };
        accepted += 1;
        // The skeleton leaves out what is Default_Ignorable, from a table of its own.
        assert!(
            skeleton(nick.as_str()).next().is_some(),
            "U+{:04X}",
            u32::from(c)
        );
        assert!(keys(nick.as_str()).iter().all(|key| !key.is_empty()));
        for c in nick.as_str().chars().chain(nick.as_str().nfkc()) {
            let group = c.general_category_group();
            let is_seen = match group {
                GeneralCategoryGroup::Letter | GeneralCategoryGroup::Mark => true,
                _ => c.general_category() == GeneralCategory::DecimalNumber,
            };
            assert!(is_seen, "U+{:04X} is {group:?}", u32::from(c));
            let kind = format!("{:?}", c.identifier_type());
            for refused in [
                "Default_Ignorable",
                "Not_Character",
                "Deprecated",
                "Exclusion",
            ] {
                assert!(!kind.contains(refused), "U+{:04X} is {kind}", u32::from(c));
            }
        }
    }
    assert!(cfg!(miri) || accepted > 120_000, "{accepted} characters");
}

/// One more character is seen or refused: nothing can be added to a name without another key.
#[test]
fn no_character_can_be_added_to_a_name_unseen() {
    let ann = keys("ann");
    for c in all_characters() {
        for name in [format!("ann{c}"), format!("{c}ann")] {
            let Ok(nick) = Nick::parse(&name) else {
                continue;
            };
            let is_added = nick.keys().all(|key| !ann.contains(&key));
            assert!(is_added || c == ' ', "U+{:04X}", u32::from(c));
        }
    }
}

#[test]
fn marks_that_take_a_place_of_their_own_are_not_counted() {
    assert!(Nick::parse(&format!("က{}", "\u{102c}".repeat(6))).is_ok());
}

#[test]
fn four_nonspacing_marks_in_a_row_are_allowed_and_no_more() {
    let marks = ['\u{323}', '\u{324}', '\u{325}', '\u{326}', '\u{32d}'];
    let name = |count: usize| {
        marks[..count].iter().fold(String::from("x"), |name, c| {
            name + c.encode_utf8(&mut [0; 4])
        })
    };
    assert!(Nick::parse(&name(MARKS_MAX)).is_ok());
    assert_eq!(Nick::parse(&name(MARKS_MAX + 1)), Err(NickRefused::Marks));
}

#[test]
fn marks_are_counted_as_if_none_were_composed_and_no_joiner_stood_between() {
    // Two marks are in the letter already.
    let name = "\u{1d6}\u{323}\u{324}";
    assert!(Nick::parse(name).is_ok());
    assert_eq!(
        Nick::parse(&format!("{name}\u{325}")),
        Err(NickRefused::Marks)
    );
    assert_eq!(Nick::parse("\u{e9}\u{301}"), Err(NickRefused::Marks));
    let virama = "क\u{94d}\u{200d}";
    assert_eq!(
        Nick::parse(&format!("{virama}\u{94d}")),
        Err(NickRefused::Marks)
    );
}

#[test]
fn a_mark_stands_on_a_letter_of_its_own_script() {
    for name in [
        "ann\u{1039}",
        "ann\u{17d2}",
        "ann\u{2d7f}",
        "क\u{5b8}",
        "שa\u{5b8}",
    ] {
        assert!(
            matches!(Nick::parse(name), Err(NickRefused::ForeignMark(_))),
            "{name:?}"
        );
    }
    for name in [
        "ann\u{301}",
        "а\u{301}",
        "か\u{3099}",
        "م\u{64f}",
        "ܡ\u{64f}",
    ] {
        assert!(Nick::parse(name).is_ok(), "{name:?}");
    }
}

#[test]
fn joiners_are_refused_where_they_change_nothing() {
    for (name, joiner) in [
        ("a\u{200c}b", '\u{200c}'),
        ("\u{200d}ann", '\u{200d}'),
        ("ann\u{200d}", '\u{200d}'),
        // A joiner joins what is joined already.
        ("علی\u{200d}رضا", '\u{200d}'),
        // Not joined on this side: the letter before joins only to the right.
        ("رضا\u{200c}علی", '\u{200c}'),
        ("علی\u{200c}", '\u{200c}'),
        ("علی\u{200c}\u{200c}رضا", '\u{200c}'),
        ("क\u{200d}", '\u{200d}'),
        ("क\u{94d}\u{200d}\u{200d}", '\u{200d}'),
        ("क\u{94d}\u{200c}\u{200d}", '\u{200d}'),
    ] {
        assert_eq!(
            Nick::parse(name),
            Err(NickRefused::Joiner(joiner)),
            "{name:?}"
        );
    }
    // Vowel signs between letter and joiner change nothing (appendix A.1: transparent).
    assert!(Nick::parse("عَلِيّ\u{200c}رضا").is_ok());
}

#[test]
fn joiners_make_no_other_name() {
    for name in [
        "علی\u{200c}رضا",
        "می\u{200c}خواهم",
        "ශ්\u{200d}රී",
        "क\u{94d}\u{200d}\u{93c}ष",
    ] {
        let without: String = name.chars().filter(|c| !rules::is_joiner(*c)).collect();
        assert_eq!(keys(name), keys(&without), "{name:?}");
        assert_eq!(RoomName::parse(name), RoomName::parse(&without), "{name:?}");
    }
}

#[test]
fn names_that_look_the_same_share_a_key() {
    for (one, other) in [
        ("ann", "ANN"),
        ("ann", "ａｎｎ"),
        ("ann", "\u{430}nn"),
        ("paypal", "раураl"),
        ("straße", "STRASSE"),
        ("modern", "modem"),
        ("o0", "0o"),
        ("Bill", "BiII"),
        ("ﬁn", "fin"),
        // The same in Thai, in one character and in two.
        ("คำ", "คํา"),
        // An i and a j have a dot already; the capital İ folds to such an i.
        ("anita", "ani\u{307}ta"),
        ("j\u{307}an", "jan"),
        ("İpek", "ipek"),
    ] {
        assert!(are_same(one, other), "{one} and {other}");
    }
    for (one, other) in [
        ("ann", "anna"),
        ("名前", "名"),
        ("anna", "αννα"),
        ("ama", "ȧma"),
        ("कर", "क्र"),
    ] {
        assert!(!are_same(one, other), "{one} and {other}");
    }
}

#[test]
fn a_dot_that_can_be_seen_is_part_of_the_name() {
    // On the acute of an i the dot is drawn; on an a it always is.
    assert!(!are_same("i\u{301}\u{307}a", "i\u{301}a"));
    assert!(!are_same("a\u{307}", "a"));
    // Below the i is a dot of its own; above it hides another.
    assert!(are_same("i\u{323}\u{307}", "i\u{323}"));
}

#[test]
fn capitals_of_another_script_share_a_key_with_what_they_look_like() {
    for (one, other) in [
        ("\u{397}ANS", "HANS"),
        ("\u{397}ANS", "hans"),
        ("\u{397}\u{3bb}\u{3b9}", "\u{3b7}\u{3bb}\u{3b9}"),
        ("\u{412}\u{41e}\u{412}", "BOB"),
        ("\u{41c}\u{410}\u{425}", "max"),
    ] {
        assert!(are_same(one, other), "{one} and {other}");
    }
    assert_eq!(keys("ann").len(), 1);
}

#[test]
fn the_key_of_ascii_names_is_the_unicode_key() {
    let names = (0x2d..=0x7a_u8)
        .map(char::from)
        .filter(|c| kind(*c) != Kind::Refused);
    // Miri takes its time: there, some of them will do.
    let step = if cfg!(miri) { 13 } else { 1 };
    for a in names.clone().step_by(step) {
        for b in names.clone().step_by(step) {
            for name in [format!("{a}"), format!("{a}{b}"), format!("x{b}{a}y")] {
                assert_eq!(ascii_key(&name), look(&look::fold(&name)), "{name}");
                assert_eq!(ascii_key(&name), look(&name), "{name}");
            }
        }
    }
}

#[test]
fn a_room_has_one_name_however_it_is_typed() {
    assert_eq!(RoomName::parse("Lobby").expect("a name").as_str(), "lobby");
    assert_eq!(RoomName::parse("Lobby"), RoomName::parse("LOBBY"));
    assert!(RoomName::parse("a/b").is_err());
    assert!(RoomName::parse("").is_err());
}

#[test]
fn a_room_name_of_one_character_is_bounded_and_names_the_same_room_again() {
    for c in all_characters() {
        let Ok(name) = RoomName::parse(c.encode_utf8(&mut [0; 4])) else {
            continue;
        };
        assert!(
            name.as_str().len() * CHARS_MAX <= RoomName::BYTES_MAX,
            "U+{:04X}",
            u32::from(c)
        );
        assert_eq!(
            RoomName::parse(name.as_str()).as_ref(),
            Ok(&name),
            "U+{:04X}",
            u32::from(c)
        );
    }
}
