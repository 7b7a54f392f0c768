//! Words that are searched for, and whether a text has them, whatever the case and also inside of
//! other words: `strasse` is in `Hauptstraße`, `上海` in a sentence without spaces. Knows no log.

use unicase::UniCase;
use unicode_normalization::{IsNormalized, UnicodeNormalization, is_nfkc_quick};

/// What a text must have: every word, in any order.
#[derive(Clone, Debug)]
pub struct Words {
    /// Folded.
    words: Vec<String>,
    scratch: String,
}

impl Words {
    pub fn new(words: &str) -> Self {
        let mut scratch = String::new();
        fold(words, &mut scratch);
        Self {
            words: scratch.split_whitespace().map(String::from).collect(),
            scratch,
        }
    }

    /// There is no word, which no text has.
    pub fn is_empty(&self) -> bool {
        self.words.is_empty()
    }

    pub fn are_in(&mut self, text: &str) -> bool {
        fold(text, &mut self.scratch);
        let mut words = self.words.iter();
        !self.is_empty() && words.all(|word| self.scratch.contains(word.as_str()))
    }
}

/// Makes texts comparable: Unicode's full case folding of the compatibility form (NFKC).
fn fold(text: &str, into: &mut String) {
    into.clear();
    if text.is_ascii() {
        into.push_str(text);
        into.make_ascii_lowercase();
    } else if is_nfkc_quick(text.chars()) == IsNormalized::Yes {
        into.push_str(&UniCase::unicode(text).to_folded_case());
    } else {
        let normal: String = text.nfkc().collect();
        // Folding may take characters apart that belong together.
        into.extend(UniCase::unicode(normal).to_folded_case().nfkc());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn are_in(words: &str, text: &str) -> bool {
        Words::new(words).are_in(text)
    }

    #[test]
    fn words_are_found_whatever_their_case() {
        assert!(are_in("HELLO", "she said hello"));
        assert!(are_in("STRASSE", "die Straße"));
        assert!(are_in("straße", "DIE STRASSE"));
        assert!(are_in("ΟΔΟΣ", "η οδος"));
        assert!(are_in("ｆｕｌｌ", "Full width"));
        assert!(are_in("e\u{301}t\u{e9}", "L'ÉTÉ"));
    }

    #[test]
    fn words_are_found_inside_of_others() {
        assert!(are_in("strasse", "Hauptstraße 5"));
        assert!(are_in("上海", "我明天去上海出差"));
        assert!(are_in("ell", "hello"));
    }

    #[test]
    fn every_word_must_be_there_in_any_order() {
        assert!(are_in("b  a", "a and b"));
        assert!(!are_in("a c", "a and b"));
        assert!(!are_in("上海 北京", "我明天去上海"));
        assert!(!are_in(" ", "a and b"));
    }
}
