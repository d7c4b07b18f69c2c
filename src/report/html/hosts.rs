//! The page part of each host: what was found, its sockets, limits, counters and settings, a table each.

use std::borrow::Cow;

use serde_json::Value;

use super::notes;
use super::table::{Column, DataTable};
use crate::language::{Joint, Language, Text, say};
use crate::report::model::Report;
use crate::report::text::{count, counted, number};
use crate::report::words::{as_count, said};

/// Hosts that have a part of their own; `report.json` has all.
const HOSTS: usize = 20;
/// Rows of one table.
const ROWS: usize = 200;

/// One host on the page.
pub(super) struct HostPart<'a> {
    pub anchor: String,
    pub name: Cow<'a, str>,
    /// Kernel, addresses, moments, in a line.
    pub line: String,
    pub tables: Vec<DataTable<'a>>,
}

/// The parts of all hosts that have tables.
pub(super) fn parts(report: &Report) -> Vec<HostPart<'_>> {
    let with_tables = report.hosts.iter().enumerate().filter(|(_, host)| host.get("tables").is_some());
    with_tables.take(HOSTS).map(|(nth, host)| part(nth, host, report.language)).collect()
}

/// The `id` of the part of the host at that place, where it has one.
pub(super) fn anchor(report: &Report, place: usize) -> Option<String> {
    let with_tables = report.hosts.iter().enumerate().filter(|(_, host)| host.get("tables").is_some());
    with_tables.take(HOSTS).any(|(nth, _)| nth == place).then(|| named(place))
}

fn named(place: usize) -> String {
    format!("host-{place}")
}

fn part(nth: usize, host: &Value, language: Language) -> HostPart<'_> {
    let text = |key: &str| host.get(key).and_then(Value::as_str);
    let length = |key: &str| host.get(key).and_then(Value::as_array).map_or(0, Vec::len);
    let addresses: Vec<&str> = host
        .get("addresses")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .take(6)
        .collect();
    let system = text("kernel").map_or_else(|| say!("Its kernel is not told"), |kernel| say!("Linux {kernel}", kernel));
    let addresses = Text::joined(Joint::Commas, addresses.into_iter().map(Text::value));
    let moments = counted(as_count(length("moments")), "moment", language);
    let files = counted(as_count(length("inputs")), "file", language);
    let asked = say!("{moments} of {files}", moments, files);
    let line = say!("{parts}.", parts = Text::joined(Joint::Semicolons, [system, addresses, asked]));
    let line = said(language, line.then(Text::value(text("joined").unwrap_or_default())));
    let tables = host.get("tables").and_then(Value::as_array).into_iter().flatten().enumerate();
    HostPart {
        anchor: named(nth),
        name: Cow::Borrowed(text("name").unwrap_or_else(|| language.say("host"))),
        line,
        tables: tables.filter_map(|(place, value)| table(value, format!("h{nth}t{place}"), language)).collect(),
    }
}

fn table(value: &Value, id: String, language: Language) -> Option<DataTable<'_>> {
    let title = value.get("title")?.as_str()?;
    let columns = value.get("columns")?.as_array()?.iter().filter_map(Value::as_str).map(Column::new).collect();
    let rows = value.get("rows")?.as_array()?;
    let shown = rows.iter().take(ROWS).filter_map(Value::as_array);
    let shown = shown.map(|row| row.iter().map(cell).collect()).collect();
    let mut table = DataTable::with_columns(id.into(), title, columns, shown);
    if let left @ 1.. = rows.len().saturating_sub(ROWS) {
        table.note = notes::more_rows(as_count(left), language);
    }
    Some(table)
}

fn cell(value: &Value) -> Cow<'_, str> {
    match value {
        Value::String(text) => Cow::Borrowed(text),
        Value::Number(told) => match (told.as_u64(), told.as_f64()) {
            (Some(whole), _) => Cow::Owned(count(whole)),
            (None, Some(value)) => Cow::Owned(number(value)),
            (None, None) => Cow::Owned(told.to_string()),
        },
        _ => Cow::Borrowed(""),
    }
}
