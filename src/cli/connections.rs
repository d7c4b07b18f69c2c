//! `lastack connections` and `lastack syns`: tables on standard output or in a file.

use std::io::{self, Write};

use super::output::file_or_stdout;
use super::run::{Given, How};
use super::{Connections, Status, Syns, TableFormat, TableOutput, run};
use crate::diagnosis::{Case, Thresholds};
use crate::ingest::Workers;
use crate::report::table::{Column, write_csv, write_json_lines, write_text};
use crate::report::{connections, syns};

pub(super) fn run(options: &Connections) -> anyhow::Result<Status> {
    let (evidence, status) = run::read(&options.inputs, &mut Given::new(&options.inputs, false)?, How::default())?;
    if status == Status::Missing && evidence.points.is_empty() {
        return Ok(status);
    }
    let write = |out: &mut dyn Write| {
        let rows = connections::rows(&evidence);
        print(&options.table, &connections::columns(), &connections::SHOWN, rows, &evidence.workers, out)
    };
    file_or_stdout(options.table.out.as_deref(), &mut |out| write(out))?;
    // The process ends here, as in `analyze`.
    std::mem::forget(evidence);
    Ok(status)
}

pub(super) fn syns(options: &Syns) -> anyhow::Result<Status> {
    let (evidence, status) = run::read(&options.inputs, &mut Given::new(&options.inputs, false)?, How::default())?;
    if status == Status::Missing && evidence.points.is_empty() {
        return Ok(status);
    }
    let thresholds = Thresholds::default();
    let case = Case::new(&evidence, &thresholds);
    let kept = |row: &syns::Row<'_>| options.only.as_deref().is_none_or(|only| row.is(only));
    let write = |out: &mut dyn Write| {
        let rows = syns::rows(&case).into_iter().filter(kept);
        print(&options.table, &syns::columns(), &syns::SHOWN, rows, &evidence.workers, out)
    };
    file_or_stdout(options.table.out.as_deref(), &mut |out| write(out))?;
    Ok(status)
}

fn print<R: Send + Sync>(
    table: &TableOutput,
    columns: &[Column<R>],
    shown: &[&str],
    rows: impl Iterator<Item = R> + Send,
    workers: &Workers,
    out: &mut dyn Write,
) -> io::Result<()> {
    match table.format {
        TableFormat::Csv => write_csv(columns, rows, workers, out),
        #[cfg(feature = "columns")]
        TableFormat::Parquet => crate::report::parquet::write(columns, rows, workers, out),
        TableFormat::Jsonl => write_json_lines(columns, rows, workers, out),
        TableFormat::Table => write_text(columns, shown, rows, out),
    }
}
