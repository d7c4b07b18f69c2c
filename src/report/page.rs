//! `report.html` and `report.md`: the report for people.

use std::io;

use super::connections::{columns, rows_without_clocks};
use super::html::{self, ConnectionTable, PAGE_COLUMNS, PAGE_ROWS};
use super::model::ChartEntry;
use super::table::text;
use super::words::said;
use super::{Material, Output, markdown};

/// Writes `report.html`, its charts as SVG inside it.
///
/// # Errors
/// If a chart cannot be drawn or the page cannot be written.
pub fn html(material: &Material<'_>, output: &mut dyn Output) -> io::Result<()> {
    let page = material.zone.shown_while(|| page(material))?;
    output.file("report.html", &mut |file| file.write_all(page.as_bytes()))
}

fn page(material: &Material<'_>) -> io::Result<String> {
    let mut charts = Vec::new();
    for (entry, chart) in &material.charts {
        // What `report.json` says of the picture is in UTC.
        let entry = ChartEntry { alt: said(material.report.language, chart.alt()), ..entry.clone() };
        charts.push((entry, chart.svg().map_err(io::Error::other)?));
    }
    html::render(&material.report, &charts, &table(material)).map_err(io::Error::other)
}

/// Writes `report.md`, short enough for a comment on a ticket.
///
/// # Errors
/// If it cannot be written.
pub fn markdown(material: &Material<'_>, output: &mut dyn Output) -> io::Result<()> {
    let text = material.zone.shown_while(|| markdown::render(&material.report));
    output.file("report.md", &mut |file| file.write_all(text.as_bytes()))
}

/// The first rows of the connection table, and the columns that people look at.
fn table(material: &Material<'_>) -> ConnectionTable {
    let all = columns();
    let columns: Vec<_> = all.iter().filter(|(name, _)| PAGE_COLUMNS.contains(name)).collect();
    let cells = |row| columns.iter().map(|(_, cell)| text(*cell, &row)).collect();
    ConnectionTable {
        columns: columns.iter().map(|(name, _)| (*name).to_owned()).collect(),
        rows: rows_without_clocks(material.evidence).take(PAGE_ROWS).map(cells).collect(),
        total: material.evidence.connection_count() as u64,
    }
}
