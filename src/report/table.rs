//! Tables of rows that programs and people read: as CSV (RFC 4180), as JSON lines, as text.
//!
//! A table is a list of columns; a column is its name and what stands in it. No cell of these tables needs quotes
//! in CSV: they hold numbers, addresses, times and words of this program.

use std::fmt::{Display, Write as _};
use std::io::{self, Write};

/// A column: its name, and what stands in it. Nothing is written where the value is unknown.
pub type Column<R> = (&'static str, fn(&R, &mut String));

/// Writes a header line and one line a row.
///
/// # Errors
/// If it cannot be written.
pub fn write_csv<R>(columns: &[Column<R>], rows: impl Iterator<Item = R>, out: &mut dyn Write) -> io::Result<()> {
    /// Written at once.
    const PIECE: usize = 256 * 1024;
    let mut text = columns.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(",") + "\n";
    for row in rows {
        let mut separator = "";
        for (_, cell) in columns {
            text.push_str(separator);
            cell(&row, &mut text);
            separator = ",";
        }
        text.push('\n');
        if text.len() > PIECE {
            out.write_all(text.as_bytes())?;
            text.clear();
        }
    }
    out.write_all(text.as_bytes())
}

/// Writes one JSON object a line: numbers as numbers, unknown values as null.
///
/// # Errors
/// If it cannot be written.
pub fn write_json_lines<R>(
    columns: &[Column<R>],
    rows: impl Iterator<Item = R>,
    out: &mut dyn Write,
) -> io::Result<()> {
    for row in rows {
        let cells = columns.iter().map(|(name, cell)| ((*name).to_owned(), value(text(*cell, &row))));
        serde_json::to_writer(&mut *out, &cells.collect::<serde_json::Map<_, _>>())?;
        out.write_all(b"\n")?;
    }
    Ok(())
}

/// Writes padded columns for a terminal; only those in `shown`.
///
/// # Errors
/// If it cannot be written.
pub fn write_text<R>(
    columns: &[Column<R>],
    shown: &[&str],
    rows: impl Iterator<Item = R>,
    out: &mut dyn Write,
) -> io::Result<()> {
    let columns: Vec<&Column<R>> = columns.iter().filter(|(name, _)| shown.contains(name)).collect();
    let head: Vec<String> = columns.iter().map(|(name, _)| (*name).to_owned()).collect();
    let body = rows.map(|row| columns.iter().map(|(_, cell)| text(*cell, &row)).collect::<Vec<String>>());
    let lines: Vec<Vec<String>> = std::iter::once(head).chain(body).collect();
    let mut widths = vec![0; columns.len()];
    for (width, cell) in lines.iter().flat_map(|line| (0..).zip(line)) {
        if let Some(widest) = widths.get_mut(width) {
            *widest = cell.len().max(*widest);
        }
    }
    for line in lines {
        let padded = line.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}", width = *width));
        writeln!(out, "{}", padded.collect::<Vec<_>>().join("  ").trim_end())?;
    }
    Ok(())
}

/// One cell.
pub fn text<R>(cell: fn(&R, &mut String), row: &R) -> String {
    let mut text = String::new();
    cell(row, &mut text);
    text
}

fn value(text: String) -> serde_json::Value {
    if text.is_empty() {
        return serde_json::Value::Null;
    }
    let whole = text.parse::<u64>().map(serde_json::Value::from);
    whole.or_else(|_| text.parse::<f64>().map(serde_json::Value::from)).unwrap_or(serde_json::Value::String(text))
}

// Writing to a String cannot fail.
pub(super) fn put(out: &mut String, value: impl Display) {
    let _ = write!(out, "{value}");
}

pub(super) fn put_with(out: &mut String, prefix: &str, value: u64) {
    let _ = write!(out, "{prefix}{value}");
}

pub(super) fn put_some(out: &mut String, value: Option<impl Display>) {
    if let Some(value) = value {
        put(out, value);
    }
}

/// A number with a fixed count of decimals.
pub(super) struct Decimals(pub f64, pub usize);

impl Display for Decimals {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:.*}", self.1, self.0)
    }
}
