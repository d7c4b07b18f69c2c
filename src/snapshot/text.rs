//! Small helpers that every parser shares: words, numbers, and names that are stored once.

use std::collections::HashMap;
use std::sync::Arc;

/// Names stored once for each file; never iterated, so that their order cannot show.
#[derive(Default)]
pub(super) struct Names(HashMap<Box<str>, Arc<str>>);

impl Names {
    /// The stored copy of `text`.
    pub(super) fn get(&mut self, text: &str) -> Arc<str> {
        if let Some(name) = self.0.get(text) {
            return Arc::clone(name);
        }
        let name: Arc<str> = Arc::from(text);
        self.0.insert(Box::from(text), Arc::clone(&name));
        name
    }
}

/// The first number of a word: `3` of `3sec`, `57.22` of `57.22/0/0)`; `None` without one.
pub(super) fn leading_number(word: &str) -> Option<f64> {
    let end = word.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(word.len());
    word.get(..end)?.parse().ok()
}

/// A number of a counting tool: digits, or digits with a decimal multiplier as `iptables` prints (`137K`).
pub(super) fn scaled(word: &str) -> Option<u64> {
    let (digits, factor) = match word.as_bytes().last()? {
        b'K' => (word.get(..word.len().saturating_sub(1))?, 1_000),
        b'M' => (word.get(..word.len().saturating_sub(1))?, 1_000_000),
        b'G' => (word.get(..word.len().saturating_sub(1))?, 1_000_000_000),
        b'T' => (word.get(..word.len().saturating_sub(1))?, 1_000_000_000_000),
        _ => (word, 1_u64),
    };
    digits.parse::<u64>().ok()?.checked_mul(factor)
}

/// Whether a word is digits only.
pub(super) fn is_digits(word: &str) -> bool {
    !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_digit())
}

/// Splits a word once: `key:value`, `key=value`.
pub(super) fn pair(word: &str, separator: char) -> Option<(&str, &str)> {
    word.split_once(separator).filter(|(key, _)| !key.is_empty())
}

/// The value of `"key": value` in a line of JSON; strings without their quotes, nothing unescaped.
///
/// It serves flat objects of tools that print nothing but numbers, names and addresses.
pub(super) fn json_value<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    let mut rest = text;
    loop {
        let start = rest.find('"')?;
        rest = rest.get(start.checked_add(1)?..)?;
        let end = rest.find('"')?;
        let found = rest.get(..end)?;
        rest = rest.get(end.checked_add(1)?..)?;
        let Some(value) = rest.trim_start().strip_prefix(':') else {
            continue;
        };
        if found == key {
            let value = value.trim_start();
            return match value.strip_prefix('"') {
                Some(string) => string.split('"').next(),
                None => value.split([',', '}', ' ', ']']).next(),
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_with_their_unit_left_out() {
        assert_eq!(leading_number("57.22/0/0)"), Some(57.22));
        assert_eq!(leading_number("sec"), None);
        assert_eq!(scaled("137K"), Some(137_000));
        assert_eq!(scaled("90"), Some(90));
        assert_eq!(scaled("K"), None);
    }

    #[test]
    fn flat_json_gives_its_values() {
        let line = r#"{"bytes": 64, "host": "127.0.0.1", "seq": 1, "time": "0.028"}"#;
        assert_eq!(json_value(line, "seq"), Some("1"));
        assert_eq!(json_value(line, "host"), Some("127.0.0.1"));
        assert_eq!(json_value(line, "time"), Some("0.028"));
        assert_eq!(json_value(line, "ttl"), None);
    }
}
