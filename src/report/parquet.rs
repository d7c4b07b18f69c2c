//! A table in Parquet: the columns of the table as CSV has them, with types.
//!
//! Numbers are 64-bit integers or floats, times 64-bit nanoseconds since 1970 (UTC), everything else is text; nothing stands
//! where the value is unknown.

use std::io::{self, Write};
use std::sync::Arc;

use arrow_array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;

use super::table::{Column, text};
use crate::ingest::Workers;
use crate::snapshot::moment;

/// Rows of a row group.
const GROUP: usize = 1 << 17;

const WHOLE: [&str; 18] = [
    "conn",
    "incarnation",
    "client_port",
    "server_port",
    "first_frame",
    "last_frame",
    "syn_count",
    "synack_count",
    "client_isn",
    "client_tsval",
    "client_packets",
    "client_bytes",
    "server_packets",
    "server_bytes",
    "reuse_of",
    "frame",
    "isn",
    "tsval",
];
const FRACTIONS: [&str; 4] = ["handshake_ms", "close_wait_s", "fin_wait_2_s", "reuse_interval_s"];
const TIMES: [&str; 4] = ["first_seen", "last_seen", "time_wait_from", "time"];

/// Writes one row a row.
///
/// # Errors
/// If it cannot be written.
pub fn write<R: Send + Sync>(
    columns: &[Column<R>],
    mut rows: impl Iterator<Item = R>,
    workers: &Workers,
    out: &mut dyn Write,
) -> io::Result<()> {
    let fields: Vec<Field> = columns.iter().map(|(name, _)| Field::new(*name, kind(name), true)).collect();
    let schema = Arc::new(Schema::new(fields));
    let compression = Compression::ZSTD(ZstdLevel::try_new(1).unwrap_or_default());
    let properties = WriterProperties::builder().set_compression(compression).build();
    let mut file = ArrowWriter::try_new(Vec::new(), Arc::clone(&schema), Some(properties)).map_err(io::Error::other)?;
    loop {
        let group: Vec<R> = rows.by_ref().take(GROUP).collect();
        if group.is_empty() {
            let end = file.into_inner().map_err(io::Error::other)?;
            return out.write_all(&end);
        }
        let arrays = workers.map(columns, |_, column| array(column, &group));
        file.write(&batch(&schema, arrays)?).and_then(|()| file.flush()).map_err(io::Error::other)?;
        // What is written is handed on, so that a group is all that is held.
        out.write_all(file.inner())?;
        file.inner_mut().clear();
    }
}

fn batch(schema: &SchemaRef, arrays: Vec<ArrayRef>) -> io::Result<RecordBatch> {
    RecordBatch::try_new(Arc::clone(schema), arrays).map_err(io::Error::other)
}

fn kind(name: &str) -> DataType {
    if WHOLE.contains(&name) || TIMES.contains(&name) {
        DataType::Int64
    } else if FRACTIONS.contains(&name) {
        DataType::Float64
    } else {
        DataType::Utf8
    }
}

fn array<R>((name, cell): &Column<R>, rows: &[R]) -> ArrayRef {
    let cells = rows.iter().map(|row| text(*cell, row));
    if TIMES.contains(name) {
        Arc::new(cells.map(|text| moment(&text).map(|time| time.0)).collect::<Int64Array>())
    } else if WHOLE.contains(name) {
        Arc::new(cells.map(|text| text.parse().ok()).collect::<Int64Array>())
    } else if FRACTIONS.contains(name) {
        Arc::new(cells.map(|text| text.parse().ok()).collect::<Float64Array>())
    } else {
        Arc::new(cells.map(|text| (!text.is_empty()).then_some(text)).collect::<StringArray>())
    }
}
