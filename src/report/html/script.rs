//! The script of the page, with its words in the language of the page.

use std::borrow::Cow;

use crate::language::{Language, words};

/// The script; in English it is the file as it stands.
pub(super) fn of(language: Language) -> Cow<'static, str> {
    let english = include_str!("../page.js");
    if language == Language::En {
        return Cow::Borrowed(english);
    }
    // Words stand in the script as whole literals, with blanks where another word follows.
    let forms = [("", ""), ("", " "), (" ", ""), (" ", " ")];
    let said = WORDS.iter().fold(english.to_owned(), |script, word| {
        forms.iter().fold(script, |script, (before, after)| {
            let chinese = language.say(word);
            script.replace(&format!("\"{before}{word}{after}\""), &format!("\"{before}{chinese}{after}\""))
        })
    });
    Cow::Owned(said.replace("Intl.Collator(\"en\"", &format!("Intl.Collator(\"{}\"", language.tag())))
}

/// What the script says, and the cells that it sorts by rank.
const WORDS: [&str; 14] = words!(
    "Filter",
    "words to look for",
    "Filter the table",
    "of",
    "Show all",
    "rows",
    "Copy",
    "Copied",
    "info",
    "warning",
    "critical",
    "low",
    "medium",
    "high"
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_is_one_of_the_script() {
        let (english, chinese) = (of(Language::En), of(Language::Zh));
        for word in WORDS {
            let is_said = |script: &str| ["\"", " "].iter().any(|end| script.contains(&format!("{word}{end}")));
            assert!(is_said(&english), "{word}");
            assert!(chinese.contains(Language::Zh.say(word)), "{word}");
        }
        assert!(chinese.contains("\"复制\"") && !chinese.contains("\"Copy"), "{chinese}");
    }
}
