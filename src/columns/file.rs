//! Arrow streams and Parquet files, written row group by row group.

use std::fmt;
use std::io::Write;
use std::mem;

use arrow_array::RecordBatch;
use arrow_ipc::writer::StreamWriter;
use parquet::arrow::ArrowSchemaConverter;
use parquet::arrow::arrow_writer::{ArrowColumnChunk, ArrowColumnWriter, ArrowRowGroupWriterFactory, compute_leaves};
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterPropertiesBuilder};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::ColumnPath;
use rayon::prelude::*;

use super::{Error, schema};

/// How rows are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// An Arrow IPC stream.
    Arrow,
    /// A Parquet file.
    Parquet,
}

impl Format {
    /// As users spell it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Arrow => "arrow",
            Self::Parquet => "parquet",
        }
    }
}

/// What the first octets of a file tell: the continuation mark of the IPC stream's first message, or Parquet's magic.
#[must_use]
pub fn recognise(head: &[u8]) -> Option<Format> {
    match head {
        [b'P', b'A', b'R', b'1', ..] => Some(Format::Parquet),
        // The length of a schema is not that of a packet with four times 0xff in front: metadata follow, a flatbuffer.
        [0xff, 0xff, 0xff, 0xff, length @ ..] => {
            let length = u32::from_le_bytes(*length.first_chunk()?);
            (64..1 << 20).contains(&length).then_some(Format::Arrow)
        }
        _ => None,
    }
}

/// Rows of a row group: what is held in memory while Parquet is written.
const GROUP: usize = 1 << 18;

/// Writes columns.
pub enum Writer {
    /// As they come.
    Arrow(Box<StreamWriter<Box<dyn Write + Send>>>),
    /// In row groups, their columns encoded side by side.
    Parquet {
        /// The file.
        file: Box<SerializedFileWriter<Box<dyn Write + Send>>>,
        /// Makes the writers of a group's columns.
        columns: ArrowRowGroupWriterFactory,
        /// What the next group will hold.
        group: Vec<RecordBatch>,
    },
}

impl fmt::Debug for Writer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Writer")
    }
}

impl Writer {
    /// Begins a file of `format`.
    ///
    /// # Errors
    /// If it cannot be written to.
    pub fn begin(out: Box<dyn Write + Send>, format: Format) -> Result<Self, Error> {
        let schema = schema();
        match format {
            Format::Arrow => Ok(Self::Arrow(Box::new(StreamWriter::try_new(out, &schema)?))),
            Format::Parquet => {
                let root = ArrowSchemaConverter::new().convert(&schema)?;
                let mut properties = properties();
                parquet::arrow::add_encoded_arrow_schema_to_metadata(&schema, &mut properties);
                let file = SerializedFileWriter::new(out, root.root_schema_ptr(), properties.into())?;
                let columns = ArrowRowGroupWriterFactory::new(&file, schema);
                Ok(Self::Parquet { file: Box::new(file), columns, group: Vec::new() })
            }
        }
    }

    /// Writes some rows.
    ///
    /// # Errors
    /// If they cannot be written.
    pub fn write(&mut self, batch: RecordBatch) -> Result<(), Error> {
        match self {
            Self::Arrow(stream) => Ok(stream.write(&batch)?),
            Self::Parquet { group, .. } => {
                group.push(batch);
                if group.iter().map(RecordBatch::num_rows).sum::<usize>() >= GROUP { self.flush() } else { Ok(()) }
            }
        }
    }

    /// Ends the file.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn finish(mut self) -> Result<(), Error> {
        self.flush()?;
        match self {
            Self::Arrow(mut stream) => {
                stream.finish()?;
                Ok(stream.get_mut().flush()?)
            }
            Self::Parquet { mut file, .. } => {
                file.finish()?;
                Ok(file.inner_mut().flush()?)
            }
        }
    }

    fn flush(&mut self) -> Result<(), Error> {
        let Self::Parquet { file, columns, group } = self else { return Ok(()) };
        let group = mem::take(group);
        if group.is_empty() {
            return Ok(());
        }
        let writers = columns.create_column_writers(file.flushed_row_groups().len())?;
        // Columns differ much: each is handed out by itself, so that no thread waits for another's.
        let chunks: Vec<Result<ArrowColumnChunk, Error>> = writers
            .into_par_iter()
            .with_max_len(1)
            .enumerate()
            .map(|(place, writer)| encode(&group, place, writer))
            .collect();
        let mut out = file.next_row_group()?;
        for chunk in chunks {
            chunk?.append_to_row_group(&mut out)?;
        }
        out.close()?;
        Ok(())
    }
}

/// One column of a row group. No column is nested, so that every one has a single leaf.
fn encode(group: &[RecordBatch], place: usize, mut writer: ArrowColumnWriter) -> Result<ArrowColumnChunk, Error> {
    for batch in group {
        let (fields, columns) = (batch.schema_ref().fields(), batch.columns());
        if let (Some(field), Some(column)) = (fields.get(place), columns.get(place)) {
            for leaf in compute_leaves(field, column)? {
                writer.write(&leaf)?;
            }
        }
    }
    Ok(writer.close()?)
}

fn properties() -> WriterProperties {
    let plain = |properties: WriterPropertiesBuilder, name: &str, encoding| {
        let column = ColumnPath::from(name);
        properties.set_column_dictionary_enabled(column.clone(), false).set_column_encoding(column, encoding)
    };
    let mut properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(1).unwrap_or_default()))
        // A row group is small enough to be passed over as a whole.
        .set_statistics_enabled(EnabledStatistics::Chunk);
    for name in ["frame", "time"] {
        properties = plain(properties, name, Encoding::DELTA_BINARY_PACKED);
    }
    for name in ["seq", "ack", "tsval", "tsecr", "ident", "checksum"] {
        properties = plain(properties, name, Encoding::BYTE_STREAM_SPLIT);
    }
    // Every group has nearly all values of these, so that none is ever passed over for them.
    for name in ["src", "dst", "seq", "ack", "tsval", "tsecr", "ident", "checksum"] {
        properties = properties.set_column_statistics_enabled(ColumnPath::from(name), EnabledStatistics::None);
    }
    properties.build()
}
