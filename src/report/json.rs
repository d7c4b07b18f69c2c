//! `report.json`: the report value as it is, and its JSON Schema.

use std::io;

use super::{Material, Output};

/// Writes `report.json`.
///
/// # Errors
/// If it cannot be written.
pub fn render(material: &Material<'_>, output: &mut dyn Output) -> io::Result<()> {
    let mut text = serde_json::to_vec_pretty(&material.report)?;
    text.push(b'\n');
    output.file("report.json", &mut |file| file.write_all(&text))
}

/// The JSON Schema of `report.json`, as it is published.
#[must_use]
pub fn schema() -> String {
    let schema = schemars::schema_for!(super::model::Report);
    serde_json::to_string_pretty(&schema).unwrap_or_default() + "\n"
}
