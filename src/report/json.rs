//! `report.json`: the report value as it is, and its JSON Schema.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::io;

use super::text::is_hidden;
use super::{Material, Output};

/// Writes `report.json`.
///
/// # Errors
/// If it cannot be written.
pub fn render(material: &Material<'_>, output: &mut dyn Output) -> io::Result<()> {
    let json = serde_json::to_string_pretty(&material.report)?;
    let text = escaped(&json);
    output.file("report.json", &mut |file| {
        file.write_all(text.as_bytes())?;
        file.write_all(b"\n")
    })
}

/// Characters without a picture as escapes (RFC 8259 section 7): the same value for programs, and nothing that turns the
/// text around, or hides in it, for people. They occur in strings alone.
fn escaped(json: &str) -> Cow<'_, str> {
    if !json.split('\n').any(|line| !is_plain(line) && line.chars().any(is_hidden)) {
        return Cow::Borrowed(json);
    }
    let mut shown = String::with_capacity(json.len().saturating_add(64));
    for character in json.chars() {
        if is_hidden(character) {
            let mut units = [0; 2];
            for unit in character.encode_utf16(&mut units) {
                let _ = write!(shown, "\\u{unit:04x}");
            }
        } else {
            shown.push(character);
        }
    }
    Cow::Owned(shown)
}

/// Whether there is nothing but visible ASCII in a line, as in nearly all: told without a branch for each octet.
fn is_plain(line: &str) -> bool {
    line.bytes().fold(true, |plain, octet| plain & matches!(octet, b' '..=b'~'))
}

/// The JSON Schema of `report.json`, as it is published.
#[must_use]
pub fn schema() -> String {
    let schema = schemars::schema_for!(super::model::Report);
    serde_json::to_string_pretty(&schema).unwrap_or_default() + "\n"
}
