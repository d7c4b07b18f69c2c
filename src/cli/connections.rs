//! `lastack connections`: the connection table on standard output or in a file.

use std::io::{self, Write};

use super::output::file_or_stdout;
use super::{Connections, Status, TableFormat, run};
use crate::evidence::Evidence;
use crate::report::{connections, csv};

pub(super) fn run(options: &Connections) -> anyhow::Result<Status> {
    let (evidence, status) = run::read(&options.inputs)?;
    if status == Status::Missing && evidence.points.is_empty() {
        return Ok(status);
    }
    file_or_stdout(options.out.as_deref(), &mut |out| match options.format {
        TableFormat::Csv => csv::write(&evidence, out),
        TableFormat::Jsonl => connections::write_json_lines(&evidence, out),
        TableFormat::Table => table(&evidence, out),
    })?;
    Ok(status)
}

/// What a person wants to see in a terminal's width.
const SHOWN: [&str; 10] = [
    "conn",
    "client_ip",
    "client_port",
    "server_ip",
    "server_port",
    "opened",
    "close",
    "active_closer",
    "time_wait_side",
    "history",
];

fn table(evidence: &Evidence, out: &mut dyn Write) -> io::Result<()> {
    let columns: Vec<_> = connections::COLUMNS.iter().filter(|(name, _)| SHOWN.contains(name)).collect();
    let cells = |row| {
        let one = |(_, cell): &&connections::Column| {
            let mut text = String::new();
            cell(&row, &mut text);
            text
        };
        columns.iter().map(one).collect::<Vec<String>>()
    };
    let mut widths: Vec<usize> = columns.iter().map(|(name, _)| name.len()).collect();
    for row in connections::rows(evidence) {
        for (width, cell) in widths.iter_mut().zip(cells(row)) {
            *width = (*width).max(cell.len());
        }
    }
    let line = |out: &mut dyn Write, cells: &[String]| {
        let padded = cells.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        writeln!(out, "{}", padded.collect::<Vec<_>>().join("  ").trim_end())
    };
    line(out, &columns.iter().map(|(name, _)| (*name).to_owned()).collect::<Vec<_>>())?;
    connections::rows(evidence).try_for_each(|row| line(out, &cells(row)))
}
