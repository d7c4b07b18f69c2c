//! Tables of rows that programs and people read: as CSV (RFC 4180), as JSON lines, as text.
//!
//! A table is a list of columns; a column is its name and what stands in it. No cell of these tables needs quotes
//! in CSV: they hold numbers, addresses, times and words of this program.

use std::fmt::{Display, Write as _};
use std::io::{self, Write};
use std::net::IpAddr;

use crate::ingest::Workers;
use crate::time::Span;

/// A column: its name, and what stands in it. Nothing is written where the value is unknown.
pub type Column<R> = (&'static str, fn(&R, &mut String));

/// Writes a header line and one line a row.
///
/// # Errors
/// If it cannot be written.
pub fn write_csv<R: Send + Sync>(
    columns: &[Column<R>],
    rows: impl Iterator<Item = R> + Send,
    workers: &Workers,
    out: &mut dyn Write,
) -> io::Result<()> {
    let head = columns.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(",") + "\n";
    out.write_all(head.as_bytes())?;
    write_lines(rows, workers, out, |row, text| {
        let mut separator = "";
        for (_, cell) in columns {
            text.push_str(separator);
            cell(row, text);
            separator = ",";
        }
    })
}

/// Writes one JSON object a line: numbers as numbers, unknown values as null.
///
/// # Errors
/// If it cannot be written.
pub fn write_json_lines<R: Send + Sync>(
    columns: &[Column<R>],
    rows: impl Iterator<Item = R> + Send,
    workers: &Workers,
    out: &mut dyn Write,
) -> io::Result<()> {
    write_lines(rows, workers, out, |row, line| {
        let cells = columns.iter().map(|(name, cell)| ((*name).to_owned(), value(text(*cell, row))));
        let _ = write!(line, "{}", serde_json::Value::Object(cells.collect()));
    })
}

/// Writes one line a row: lines are made by all threads, some thousand rows at a time, and written in order. While they
/// are made, one thread fetches the next rows, since rows come one after the other, and the thread that calls writes the
/// lines made before.
fn write_lines<R: Send + Sync>(
    rows: impl Iterator<Item = R> + Send,
    workers: &Workers,
    out: &mut dyn Write,
    line: impl Fn(&R, &mut String) + Sync,
) -> io::Result<()> {
    /// Rows that wait at a time, and rows that one thread takes.
    const WAITING: usize = 32_768;
    const TAKEN: usize = 1024;
    let mut rows = rows.fuse();
    let mut fetch = |mut room: Vec<R>| {
        room.clear();
        room.extend(rows.by_ref().take(WAITING));
        room
    };
    let lines = |(piece, text): &mut (&[R], String)| {
        text.clear();
        for row in *piece {
            line(row, text);
            text.push('\n');
        }
    };
    let (mut waiting, mut room) = (fetch(Vec::new()), Vec::new());
    // Texts are used again: memory that is new each time costs a page fault every few lines.
    let (mut made, mut spare): (Vec<String>, Vec<String>) = Default::default();
    while !waiting.is_empty() || !made.is_empty() {
        let make = || {
            let pieces = waiting.chunks(TAKEN).map(|piece| (piece, spare.pop().unwrap_or_default()));
            let mut pieces: Vec<(&[R], String)> = pieces.collect();
            let (next, ()) = workers.join(|| fetch(std::mem::take(&mut room)), || workers.each(&mut pieces, lines));
            (next, pieces.into_iter().map(|(_, text)| text).collect::<Vec<String>>())
        };
        let write = || made.iter().try_for_each(|text| out.write_all(text.as_bytes()));
        let ((next, texts), written) = workers.beside(make, write);
        written?;
        spare.append(&mut made);
        made = texts;
        room = std::mem::replace(&mut waiting, next);
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

/// A whole number: there may be twenty in each of a million lines, and the general way took an eighth of a table's time.
pub(super) fn put_number(out: &mut String, value: impl itoa::Integer) {
    out.push_str(itoa::Buffer::new().format(value));
}

/// An address, for the same reason.
pub(super) fn put_address(out: &mut String, address: IpAddr) {
    let IpAddr::V4(address) = address else { return put(out, address) };
    let [first, rest @ ..] = address.octets();
    put_number(out, first);
    for octet in rest {
        out.push('.');
        put_number(out, octet);
    }
}

pub(super) fn put_with(out: &mut String, prefix: &str, value: u64) {
    out.push_str(prefix);
    put_number(out, value);
}

pub(super) fn put_some(out: &mut String, value: Option<impl Display>) {
    if let Some(value) = value {
        put(out, value);
    }
}

/// A span to the microsecond, as milliseconds or seconds: whole numbers do the work, since there may be millions.
pub(super) struct Micros {
    span: Span,
    digits: usize,
}

impl Micros {
    pub(super) const fn as_millis(span: Span) -> Self {
        Self { span, digits: 3 }
    }

    pub(super) const fn as_secs(span: Span) -> Self {
        Self { span, digits: 6 }
    }
}

impl Display for Micros {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let rounded = self.span.0.unsigned_abs().saturating_add(500) / 1000;
        let scale = if self.digits == 3 { 1000 } else { 1_000_000 };
        if self.span.0 < 0 && rounded > 0 {
            f.write_str("-")?;
        }
        f.write_str(itoa::Buffer::new().format(rounded / scale))?;
        let (mut fraction, mut rest) = (*b".000000", rounded % scale);
        let fraction = fraction.get_mut(..=self.digits).unwrap_or_default();
        for digit in fraction.iter_mut().skip(1).rev() {
            *digit = b'0' + u8::try_from(rest % 10).unwrap_or(0);
            rest /= 10;
        }
        f.write_str(std::str::from_utf8(fraction).unwrap_or_default())
    }
}
