//! What is said to people, in the language they read: a sentence is a value, and becomes words at the end.
//!
//! The English sentence is the key of its translation, as with gettext; `language/zh/*.txt` hold the Chinese ones.
//! The evidence does not depend on the language: codes, names, numbers, filters and commands stay as they are.
//! Punctuation between Chinese sentences and in lists follows GB/T 15834.

mod argument;
mod catalogue;
mod text;

pub use self::argument::Said;
pub(crate) use self::argument::values;
pub use self::text::{Joint, Speak, Text, plural};

/// A language that reports are written in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Language {
    /// English, in which the sentences stand in the sources.
    #[default]
    En,
    /// Simplified Chinese.
    Zh,
}

impl Language {
    /// As `--lang` names it.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::En => "en",
            Self::Zh => "zh",
        }
    }

    /// The tag of a page in it (BCP 47): Chinese is the simplified script as mainland China has it.
    #[must_use]
    pub const fn tag(self) -> &'static str {
        match self {
            Self::En => "en",
            Self::Zh => "zh-CN",
        }
    }

    /// Words without arguments in this language, for templates: `{{ language.say("Exhibits") }}`. What has no
    /// translation stays English.
    #[must_use]
    pub fn say(self, english: &'static str) -> &'static str {
        self.translation(english).unwrap_or(english)
    }

    /// What stands for an English template in this language; `None` where there is nothing else than the template.
    #[must_use]
    pub fn translation(self, template: &str) -> Option<&'static str> {
        match self {
            Self::En => None,
            Self::Zh => catalogue::chinese().get(template).copied(),
        }
    }
}

/// A page of Markdown in every language.
#[derive(Clone, Copy, Debug)]
pub struct Pages {
    /// `NAME.md`.
    pub en: &'static str,
    /// `NAME.zh.md`.
    pub zh: &'static str,
}

impl Pages {
    /// The page in a language.
    #[must_use]
    pub const fn spoken(&self, language: Language) -> &'static str {
        match language {
            Language::En => self.en,
            Language::Zh => self.zh,
        }
    }
}

/// The [`Pages`] beside a source file, by their name without ending.
macro_rules! pages {
    ($name:literal) => {
        $crate::language::Pages {
            en: ::core::include_str!(::core::concat!($name, ".md")),
            zh: ::core::include_str!(::core::concat!($name, ".zh.md")),
        }
    };
}

/// Makes a [`Text`] of a template and the values of its placeholders: `say!("{host} has {n}
/// sockets", host, n = 3)`. Placeholders have names, and every one stands in the list: that the template needs no
/// other and no fewer is checked by the compiler. `{{` is a brace.
macro_rules! say {
    (@value $name:ident) => { $name };
    (@value $name:ident $value:expr) => { $value };
    ($template:literal $(, $name:ident $(= $value:expr)?)* $(,)?) => {{
        // A literal out of `concat!` captures nothing from around it: whatever is missing in the list is an error.
        let _ = ::core::format_args!(::core::concat!($template) $(, $name = "")*);
        $crate::language::Text::new(
            $template,
            ::std::vec![$((
                ::core::stringify!($name),
                $crate::language::Said::said(&$crate::language::say!(@value $name $($value)?)),
            )),*],
        )
    }};
}

/// Marks words that a table of constants holds and [`Text::of`] says later; several are an array of them.
macro_rules! words {
    ($words:literal) => {
        $words
    };
    ($($words:literal),+ $(,)?) => {
        [$($words),+]
    };
}

pub(crate) use {pages, say, words};
