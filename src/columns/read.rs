//! Rows that are read batch by batch, from the start of a file or from the middle: a file may hold the rows of thousands of
//! captures, and whoever wants those of one should not read them all.
//!
//! Apache Arrow columnar format 1.5 (the IPC stream: messages that follow one another), Apache Parquet 2 (row groups).

use std::fmt;
use std::fs::File;
use std::io::{self, BufReader, Read as _};
use std::ops::Range;

use arrow_array::RecordBatch;
use arrow_ipc::reader::StreamReader;
use arrow_schema::{DataType, Schema};
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};

use super::file::Format;
use super::{Error, VERSION, VERSION_KEY};
use crate::input::{Opened, Unread};

/// Rows that are read, batch by batch.
pub struct Read {
    batches: Batches,
    place: u64,
    until: u64,
}

enum Batches {
    /// From a stream, whose places are octets.
    Arrow(Box<StreamReader<Octets>>),
    /// From a file, whose places are rows.
    Parquet(Box<ParquetRecordBatchReader>),
}

impl fmt::Debug for Read {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Read").field("place", &self.place).field("until", &self.until).finish_non_exhaustive()
    }
}

/// Rows that are read from Parquet at once.
const BATCH: usize = 1 << 14;

impl Read {
    /// Begins to read all rows.
    ///
    /// # Errors
    /// If it is no such file, or one of another version.
    pub fn begin(opened: Opened, format: Format) -> Result<Self, Error> {
        Self::between(opened, format, 0..u64::MAX)
    }

    /// Begins to read the batches between two places that [`Self::place`] has given.
    ///
    /// # Errors
    /// If it is no such file, or one of another version.
    pub fn between(opened: Opened, format: Format, places: Range<u64>) -> Result<Self, Error> {
        match (opened, format) {
            (Opened::Plain { file, .. }, Format::Parquet) => Self::parquet(file, places),
            (_, Format::Parquet) | (Opened::Archive(_), _) => {
                Err(Error::Rows("Parquet is read from regular files only; standard input takes Arrow".to_owned()))
            }
            (Opened::Plain { file, .. }, Format::Arrow) => Self::arrow(From::File(BufReader::new(file)), places),
            (Opened::Stream { head, reader, .. }, Format::Arrow) => {
                let whole: Unread = Box::new(io::Cursor::new(head).chain(reader));
                Self::arrow(From::Stream(BufReader::new(whole)), places)
            }
        }
    }

    /// Where the next batch begins: its first octet in a stream, its first row in a Parquet file.
    #[must_use]
    pub const fn place(&self) -> u64 {
        self.place
    }

    /// Whether rows have been put in order, for trackers to take them as they come.
    #[must_use]
    pub fn is_planned(&self) -> bool {
        let schema = match &self.batches {
            Batches::Arrow(reader) => reader.schema(),
            Batches::Parquet(reader) => arrow_array::RecordBatchReader::schema(&**reader),
        };
        schema.field_with_name("point").is_ok() && schema.field_with_name("input").is_ok()
    }

    fn arrow(from: From, places: Range<u64>) -> Result<Self, Error> {
        let mut reader = StreamReader::try_new(Octets { from, read: 0 }, None)?;
        check(reader.schema().metadata().get(VERSION_KEY))?;
        if !has_dictionaries(&reader.schema()) {
            reader.get_mut().skip_to(places.start).map_err(|error| Error::Rows(error.to_string()))?;
        }
        let place = reader.get_ref().read;
        Ok(Self { batches: Batches::Arrow(Box::new(reader)), place, until: places.end })
    }

    fn parquet(file: File, places: Range<u64>) -> Result<Self, Error> {
        let builder = ParquetRecordBatchReaderBuilder::try_new(file)?;
        check(builder.schema().metadata().get(VERSION_KEY))?;
        let sizes = builder.metadata().row_groups().iter().map(|group| u64::try_from(group.num_rows()).unwrap_or(0));
        let (groups, before) = groups_between(sizes, &places);
        let offset = usize::try_from(places.start.saturating_sub(before)).unwrap_or(usize::MAX);
        let limit = usize::try_from(places.end.saturating_sub(places.start)).unwrap_or(usize::MAX);
        let reader = builder.with_row_groups(groups).with_batch_size(BATCH).with_offset(offset).with_limit(limit);
        Ok(Self { batches: Batches::Parquet(Box::new(reader.build()?)), place: places.start, until: places.end })
    }
}

/// Spark and others keep no metadata: what they wrote is told by its columns alone.
fn check(version: Option<&String>) -> Result<(), Error> {
    match version {
        Some(version) if version != VERSION => Err(Error::Version { found: version.clone() }),
        _ => Ok(()),
    }
}

/// Whether values stand in dictionaries, which may lie in front of any batch: no batch can be passed over then. This
/// program writes none, others may.
fn has_dictionaries(schema: &Schema) -> bool {
    schema.flattened_fields().iter().any(|field| matches!(field.data_type(), DataType::Dictionary(..)))
}

/// The row groups with rows between two places, and the rows before the first of them.
fn groups_between(sizes: impl Iterator<Item = u64>, places: &Range<u64>) -> (Vec<usize>, u64) {
    let (mut groups, mut before, mut begin) = (Vec::new(), 0, 0_u64);
    for (group, size) in sizes.enumerate() {
        let end = begin.saturating_add(size);
        if end > begin.max(places.start) && begin < places.end {
            if groups.is_empty() {
                before = begin;
            }
            groups.push(group);
        }
        begin = end;
    }
    (groups, before)
}

impl Iterator for Read {
    type Item = Result<RecordBatch, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.place >= self.until {
            return None;
        }
        let batch = match &mut self.batches {
            Batches::Arrow(reader) => {
                let batch = reader.next()?;
                self.place = reader.get_ref().read;
                batch
            }
            Batches::Parquet(reader) => {
                let batch = reader.next()?;
                self.place = self.place.saturating_add(batch.as_ref().map_or(0, |batch| batch.num_rows() as u64));
                batch
            }
        };
        Some(batch.map_err(Error::from))
    }
}

/// The octets of a stream, counted.
struct Octets {
    from: From,
    read: u64,
}

enum From {
    File(BufReader<File>),
    Stream(BufReader<Unread>),
}

impl Octets {
    /// Passes over what lies in front of a place; nothing where that has been read.
    fn skip_to(&mut self, place: u64) -> io::Result<()> {
        let ahead = place.saturating_sub(self.read);
        match &mut self.from {
            From::File(file) => file.seek_relative(ahead.cast_signed())?,
            From::Stream(stream) => _ = io::copy(&mut stream.take(ahead), &mut io::sink())?,
        }
        self.read = self.read.saturating_add(ahead);
        Ok(())
    }
}

impl io::Read for Octets {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let length = match &mut self.from {
            From::File(file) => file.read(into)?,
            From::Stream(stream) => stream.read(into)?,
        };
        self.read = self.read.saturating_add(length as u64);
        Ok(length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_those_with_rows_between_the_places() {
        let between = |places: Range<u64>| groups_between([10, 10, 0, 5].into_iter(), &places);
        assert_eq!(between(0..u64::MAX), (vec![0, 1, 3], 0));
        assert_eq!(between(9..11), (vec![0, 1], 0));
        assert_eq!(between(10..20), (vec![1], 10));
        assert_eq!(between(20..25), (vec![3], 20));
        assert_eq!(between(25..30), (vec![], 0));
    }
}
