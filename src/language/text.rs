//! A text: a template with its arguments, a value, a count, or several texts in a row; and its words in one language.

use std::cmp::Ordering;
use std::fmt;
use std::ops::Deref;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Serialize, Serializer};

use super::Language;

/// What is said to people. It reads as a `str` in the language it was last told to speak; English to begin with.
#[derive(Clone, Default)]
pub struct Text {
    saying: Saying,
    words: String,
}

#[derive(Clone, Debug, Default)]
enum Saying {
    #[default]
    Value,
    Template(&'static str, Vec<(&'static str, Text)>),
    Plural(u64, &'static str),
    Joined(Joint, Vec<Text>),
}

/// How texts are put in a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Joint {
    /// One sentence after the other.
    Sentences,
    /// `one, two`.
    Commas,
    /// `one; two`.
    Semicolons,
    /// `one, two and three`.
    And,
    /// `one, two or three`.
    Or,
}

/// Whatever holds texts and can be told to say them in another language.
pub trait Speak {
    /// Says everything in a language.
    fn speak(&mut self, language: Language);
}

/// A count with its noun: `1 SYN`, `3 SYNs`. The catalogue holds it as `{count} SYN`.
#[must_use]
pub fn plural(count: u64, one: &'static str) -> Text {
    Text::with(Saying::Plural(count, one))
}

impl Text {
    /// A sentence; the macro `say!` makes it.
    #[must_use]
    pub fn new(template: &'static str, arguments: Vec<(&'static str, Self)>) -> Self {
        Self::with(Saying::Template(template, arguments))
    }

    /// Words without placeholders, of a table of constants: `words!` marks them there.
    #[must_use]
    pub fn of(words: &'static str) -> Self {
        Self::new(words, Vec::new())
    }

    /// What is the same in every language: an address, a file's name, a quoted line, a command.
    #[must_use]
    pub fn value(value: impl Into<String>) -> Self {
        Self { saying: Saying::Value, words: value.into() }
    }

    /// Several texts in a row; those without words are left out.
    #[must_use]
    pub fn joined(joint: Joint, parts: impl IntoIterator<Item = Self>) -> Self {
        let mut parts: Vec<Self> = parts.into_iter().filter(|part| !part.is_empty()).collect();
        match parts.pop() {
            Some(alone) if parts.is_empty() => alone,
            Some(last) => {
                parts.push(last);
                Self::with(Saying::Joined(joint, parts))
            }
            None => Self::default(),
        }
    }

    /// Adds a sentence, or several; nothing where it has no words.
    pub fn add(&mut self, sentence: Self) {
        let so_far = std::mem::take(self);
        *self = so_far.then(sentence);
    }

    /// This, and a sentence after it.
    #[must_use]
    pub fn then(mut self, sentence: Self) -> Self {
        match &mut self.saying {
            Saying::Joined(Joint::Sentences, parts) if !sentence.is_empty() => {
                parts.push(sentence);
                Self::with(self.saying)
            }
            _ => Self::joined(Joint::Sentences, [self, sentence]),
        }
    }

    /// The same in another language.
    #[must_use]
    pub fn spoken(mut self, language: Language) -> Self {
        self.speak(language);
        self
    }

    /// Whether it is the same in every language.
    #[must_use]
    pub fn is_value(&self) -> bool {
        matches!(self.saying, Saying::Value)
    }

    /// Its words.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.words
    }

    fn with(saying: Saying) -> Self {
        let words = saying.words(Language::En);
        Self { saying, words }
    }
}

impl Saying {
    /// The words of anything but a value, whose words do not change.
    fn words(&self, language: Language) -> String {
        match self {
            Self::Value => String::new(),
            Self::Template(template, arguments) => fill(language.say(template), arguments),
            Self::Plural(count, one) => match language.translation(&format!("{{count}} {one}")) {
                Some(template) => fill(template, &[("count", Text::value(count.to_string()))]),
                None if *count == 1 => format!("{count} {one}"),
                None => format!("{count} {one}s"),
            },
            Self::Joined(joint, parts) => joint.join(language, parts),
        }
    }
}

/// A template with its placeholders filled. One that no argument has stays as it is: a translation may be wrong,
/// which is the test's to say and no reason to stop.
fn fill(template: &str, arguments: &[(&str, Text)]) -> String {
    let mut words = String::with_capacity(template.len());
    let mut rest = template;
    while let Some((before, after)) = rest.split_once(['{', '}']) {
        words.push_str(before);
        let brace = rest.get(before.len()..).unwrap_or_default();
        let doubled = ["{{", "}}"].into_iter().find(|two| brace.starts_with(two));
        let named = after.split_once('}').filter(|_| brace.starts_with('{') && doubled.is_none());
        rest = match (doubled, named) {
            (Some(two), _) => {
                words.push_str(two.get(1..).unwrap_or_default());
                brace.get(2..).unwrap_or_default()
            }
            (None, Some((name, after))) => {
                match arguments.iter().find(|(known, _)| *known == name) {
                    Some((_, argument)) => words.push_str(argument),
                    None => words.extend(["{", name, "}"]),
                }
                after
            }
            (None, None) => {
                words.push_str(brace.get(..1).unwrap_or_default());
                after
            }
        };
    }
    words.push_str(rest);
    words
}

impl Joint {
    fn join(self, language: Language, parts: &[Text]) -> String {
        let (between, last) = match (language, self) {
            (Language::En, Self::Sentences) => (" ", " "),
            (Language::En, Self::Commas) => (", ", ", "),
            (Language::En, Self::Semicolons) => ("; ", "; "),
            (Language::En, Self::And) => (", ", " and "),
            (Language::En, Self::Or) => (", ", " or "),
            (Language::Zh, Self::Sentences) => ("", ""),
            (Language::Zh, Self::Commas) => ("、", "、"),
            (Language::Zh, Self::Semicolons) => ("；", "；"),
            (Language::Zh, Self::And) => ("、", "和"),
            (Language::Zh, Self::Or) => ("、", "或"),
        };
        let mut words = String::new();
        for (place, part) in parts.iter().enumerate() {
            if place > 0 {
                let joint = if place + 1 == parts.len() { last } else { between };
                // A sentence that has no translation ends in ASCII and needs its blank.
                let joint = if joint.is_empty() && words.ends_with(|c: char| c.is_ascii()) { " " } else { joint };
                words.push_str(joint);
            }
            words.push_str(part);
        }
        words
    }
}

impl Speak for Text {
    fn speak(&mut self, language: Language) {
        match &mut self.saying {
            Saying::Value => return,
            Saying::Template(_, arguments) => arguments.iter_mut().for_each(|(_, argument)| argument.speak(language)),
            Saying::Joined(_, parts) => parts.speak(language),
            Saying::Plural(..) => {}
        }
        self.words = self.saying.words(language);
    }
}

impl<T: Speak> Speak for [T] {
    fn speak(&mut self, language: Language) {
        self.iter_mut().for_each(|one| one.speak(language));
    }
}

impl<T: Speak> Speak for Vec<T> {
    fn speak(&mut self, language: Language) {
        self.as_mut_slice().speak(language);
    }
}

impl<T: Speak> Speak for Option<T> {
    fn speak(&mut self, language: Language) {
        if let Some(one) = self {
            one.speak(language);
        }
    }
}

impl Deref for Text {
    type Target = str;

    fn deref(&self) -> &str {
        &self.words
    }
}

impl AsRef<str> for Text {
    fn as_ref(&self) -> &str {
        &self.words
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.words)
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.words, f)
    }
}

impl PartialEq for Text {
    fn eq(&self, other: &Self) -> bool {
        self.words == other.words
    }
}

impl Eq for Text {}

impl PartialEq<str> for Text {
    fn eq(&self, other: &str) -> bool {
        self.words == other
    }
}

impl PartialEq<&str> for Text {
    fn eq(&self, other: &&str) -> bool {
        self.words == *other
    }
}

impl PartialOrd for Text {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Text {
    fn cmp(&self, other: &Self) -> Ordering {
        self.words.cmp(&other.words)
    }
}

impl Serialize for Text {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.words)
    }
}

impl JsonSchema for Text {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        String::schema_name()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        String::json_schema(generator)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::language::say;

    #[test]
    fn a_template_is_its_own_english() {
        let (client, lost) = ("192.0.2.1", 3);
        let text = say!("{client} lost {syns}, {{most}} of {all}", client, syns = plural(lost, "SYN"), all = 7);
        assert_eq!(text, "192.0.2.1 lost 3 SYNs, {most} of 7");
        assert_eq!(plural(1, "SYN"), "1 SYN");
        assert!(Text::value("192.0.2.1").is_value() && !text.is_value());
    }

    #[test]
    fn what_has_no_translation_stays_english() {
        let text = say!("no such sentence {n}", n = plural(2, "no such noun")).spoken(Language::Zh);
        assert_eq!(text, "no such sentence 2 no such nouns");
    }

    #[test]
    fn placeholders_are_filled_and_odd_braces_kept() {
        let arguments = [("a", Text::value("1"))];
        for (template, words) in
            [("{a}", "1"), ("{{a}}", "{a}"), ("{b}", "{b}"), ("}{a", "}{a"), ("{", "{"), ("对{a}。", "对1。")]
        {
            assert_eq!(fill(template, &arguments), words, "{template}");
        }
    }

    #[test]
    fn rows_are_joined_as_the_language_has_it() {
        let abc = || ["a", "b", "", "c"].map(Text::value);
        let said = |joint, language| Text::joined(joint, abc()).spoken(language).to_string();
        assert_eq!(said(Joint::And, Language::En), "a, b and c");
        assert_eq!(said(Joint::And, Language::Zh), "a、b和c");
        assert_eq!(said(Joint::Commas, Language::En), "a, b, c");
        assert_eq!(said(Joint::Sentences, Language::En), "a b c");
        let mut text = Text::default();
        text.add(Text::value("A."));
        text.add(Text::default());
        text.add(Text::value("B."));
        assert_eq!(text, "A. B.");
        assert!(Text::joined(Joint::And, []).is_empty());
    }
}
