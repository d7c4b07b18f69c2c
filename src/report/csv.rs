//! `connections.csv`: the connection table as CSV, RFC 4180: a header line, no field needs quotes.

use std::io::{self, Write};

use super::connections::{COLUMNS, Row, rows};
use super::{Material, Output};
use crate::evidence::Evidence;

/// Writes `connections.csv`.
///
/// # Errors
/// If it cannot be written.
pub fn render(material: &Material<'_>, output: &mut dyn Output) -> io::Result<()> {
    output.file("connections.csv", &mut |file| write(material.evidence, file))
}

/// Writes the table of all connections.
///
/// # Errors
/// If it cannot be written.
pub fn write(evidence: &Evidence, file: &mut dyn Write) -> io::Result<()> {
    /// Written at once; rows have about 300 octets.
    const PIECE: usize = 256 * 1024;
    let mut text = COLUMNS.map(|(name, _)| name).join(",") + "\n";
    for row in rows(evidence) {
        append(&row, &mut text);
        if text.len() > PIECE {
            file.write_all(text.as_bytes())?;
            text.clear();
        }
    }
    file.write_all(text.as_bytes())
}

fn append(row: &Row<'_>, out: &mut String) {
    let mut separator = "";
    for (_, cell) in COLUMNS {
        out.push_str(separator);
        cell(row, out);
        separator = ",";
    }
    out.push('\n');
}
