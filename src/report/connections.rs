//! The connection table: one row for each incarnation of a socket pair at each capture point.
//!
//! The columns are the contract of `lastack connections`; every format that shows the table takes them from here.

use std::fmt::Write;

use crate::connection::Connection;
use crate::evidence::Evidence;
use crate::time::Time;

/// One row: a connection, and where it stands in the table.
#[derive(Clone, Copy, Debug)]
pub struct Row<'a> {
    evidence: &'a Evidence,
    connection: Connection<'a>,
    /// From 1.
    number: u64,
    /// Which use of its socket pair it is, from 1.
    incarnation: u32,
    /// The row of the incarnation before.
    previous: u64,
}

/// A column: its name, and what stands in it. Nothing is written where the value is unknown.
pub type Column = (&'static str, fn(&Row<'_>, &mut String));

/// All columns in order.
pub const COLUMNS: [Column; 36] = [
    ("conn", |row, out| put(out, row.number)),
    ("point", |row, out| put_with(out, "p", u64::from(row.connection.point()) + 1)),
    ("input", |row, out| put_with(out, "i", row.located(row.connection.first().0).0 as u64 + 1)),
    ("tunnel", |row, out| put_some(out, row.connection.tunnel())),
    ("incarnation", |row, out| put(out, row.incarnation)),
    ("client_ip", |row, out| put(out, row.connection.client().ip)),
    ("client_port", |row, out| put(out, row.connection.client().port)),
    ("server_ip", |row, out| put(out, row.connection.server().ip)),
    ("server_port", |row, out| put(out, row.connection.server().port)),
    ("first_frame", |row, out| put(out, row.located(row.connection.first().0).1)),
    ("last_frame", |row, out| put(out, row.located(row.connection.last().0).1)),
    ("first_seen", |row, out| put(out, row.connection.first().1)),
    ("last_seen", |row, out| put(out, row.connection.last().1)),
    ("opened", |row, out| out.push_str(row.connection.opened().name())),
    ("syn_count", |row, out| put(out, row.connection.syn_count())),
    ("synack_count", |row, out| put(out, row.connection.syn_ack_count())),
    ("handshake_ms", |row, out| put_some(out, row.connection.handshake().map(|span| Decimals(span.millis(), 3)))),
    ("client_isn", |row, out| put_some(out, row.connection.client_isn())),
    ("client_tsval", |row, out| put_some(out, row.connection.syn_tsval())),
    ("client_clock", |_, _| {}),
    ("close", |row, out| out.push_str(row.connection.close().name())),
    ("active_closer", |row, out| out.push_str(row.connection.active_closer().name())),
    ("time_wait_side", |row, out| out.push_str(row.connection.time_wait_side().name())),
    ("time_wait_from", |row, out| put_some(out, row.connection.time_wait_from())),
    ("close_wait_side", |row, out| out.push_str(row.connection.close_wait_side().name())),
    ("close_wait_s", |row, out| {
        put_some(out, row.connection.close_wait(row.end()).map(|span| Decimals(span.secs(), 6)))
    }),
    ("fin_wait_2_s", |row, out| {
        put_some(out, row.connection.fin_wait_2(row.end()).map(|span| Decimals(span.secs(), 6)))
    }),
    ("reset_by", |row, out| out.push_str(row.connection.reset_by().name())),
    ("history", |row, out| put(out, row.connection.history())),
    ("client_packets", |row, out| put(out, row.connection.endpoint(crate::connection::Side::Client).packets)),
    ("client_bytes", |row, out| put(out, row.connection.endpoint(crate::connection::Side::Client).bytes)),
    ("server_packets", |row, out| put(out, row.connection.endpoint(crate::connection::Side::Server).packets)),
    ("server_bytes", |row, out| put(out, row.connection.endpoint(crate::connection::Side::Server).bytes)),
    ("reuse_of", |row, out| put_some(out, row.connection.reuse().map(|_| row.previous))),
    ("reuse_interval_s", |row, out| put_some(out, row.connection.reuse().map(|(span, _)| Decimals(span.secs(), 6)))),
    ("reuse_outcome", |row, out| out.push_str(row.connection.reuse().map_or("", |(_, outcome)| outcome.name()))),
];

/// A number with a fixed count of decimals.
struct Decimals(f64, usize);

impl std::fmt::Display for Decimals {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:.*}", self.1, self.0)
    }
}

// Writing to a String cannot fail.
fn put(out: &mut String, value: impl std::fmt::Display) {
    let _ = write!(out, "{value}");
}

fn put_with(out: &mut String, prefix: &str, value: u64) {
    let _ = write!(out, "{prefix}{value}");
}

fn put_some(out: &mut String, value: Option<impl std::fmt::Display>) {
    if let Some(value) = value {
        put(out, value);
    }
}

impl Row<'_> {
    fn located(&self, frame: u64) -> (usize, u64) {
        self.evidence.locate(self.connection.point(), frame)
    }

    fn end(&self) -> Time {
        self.evidence.end_of(self.connection.point())
    }
}

/// All rows in order of capture point and first packet.
pub fn rows(evidence: &Evidence) -> impl Iterator<Item = Row<'_>> {
    // For each record of each shard, its row and which use of its socket pair it is.
    let mut known: Vec<Vec<(u32, u32)>> = evidence.shards.iter().map(|shard| Vec::with_capacity(shard.len())).collect();
    evidence.connections().zip(1_u64..).map(move |((shard, connection), number)| {
        let of_shard = known.get_mut(shard);
        let before = connection.previous().map(crate::connection::Connection::index);
        let (previous, uses) = match (&of_shard, before) {
            (Some(of_shard), Some(before)) => of_shard.get(before as usize).copied().unwrap_or((0, 0)),
            _ => (0, 0),
        };
        if let Some(of_shard) = of_shard {
            of_shard.push((u32::try_from(number).unwrap_or(u32::MAX), uses + 1));
        }
        Row { evidence, connection, number, incarnation: uses + 1, previous: u64::from(previous) }
    })
}

/// Writes the table as one JSON object a line: numbers as numbers, unknown values as null.
///
/// # Errors
/// If it cannot be written.
pub fn write_json_lines(evidence: &Evidence, out: &mut dyn std::io::Write) -> std::io::Result<()> {
    for row in rows(evidence) {
        let mut cells = serde_json::Map::new();
        for (name, cell) in COLUMNS {
            let mut text = String::new();
            cell(&row, &mut text);
            cells.insert(name.to_owned(), value(text));
        }
        serde_json::to_writer(&mut *out, &cells)?;
        out.write_all(b"\n")?;
    }
    Ok(())
}

fn value(text: String) -> serde_json::Value {
    if text.is_empty() {
        return serde_json::Value::Null;
    }
    let whole = text.parse::<u64>().map(serde_json::Value::from);
    whole.or_else(|_| text.parse::<f64>().map(serde_json::Value::from)).unwrap_or(serde_json::Value::String(text))
}
