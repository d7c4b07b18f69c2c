//! Captures, or ranges of them, into rows of columns: what `lastack extract` does.
//!
//! Blocks are decoded as for the trackers, and each becomes a batch of rows; nothing is held longer than a window of
//! blocks. A range owns the records that begin in it: the first one is guessed as in any block of a file, and whoever
//! reads the rows holds against that guess where the range before it ended.

use std::io::Read;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::members::{Next, Unpacking};
use super::sets::{FRONT, Front};
use super::{Capture, HEAD, NoThreads, Pipeline, Slot, file};
use crate::capture::{self, Format};
use crate::columns::{self, Kind, Place, Table, Writer};
use crate::error::Error;
use crate::input::{EXPECTED, Gauge, Opened, Source, Unread};
use crate::segment::{Filter, Frames, PairHasher};
use crate::time::Time;

/// Writes the rows of captures.
pub struct Extract<'a> {
    pipeline: Pipeline<'a>,
    range: Option<(u64, u64)>,
}

impl std::fmt::Debug for Extract<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Extract").field("range", &self.range).finish_non_exhaustive()
    }
}

/// Where the pipeline's segments go.
#[derive(Debug)]
pub(super) struct Out {
    writer: Writer,
    place: Place,
    covered: Covered,
    digest: u64,
    failed: Option<columns::Error>,
}

/// The records of a range, and the format's state at both of its ends, hashed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Covered {
    pub(super) start: u64,
    pub(super) end: u64,
    pub(super) entered: u64,
    pub(super) left: u64,
}

/// What a range of a capture came to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Facts {
    pub(super) name: String,
    pub(super) format: String,
    /// The octets that were asked for.
    pub(super) range: (u64, u64),
    pub(super) covered: Covered,
    /// Octets of the capture, unpacked.
    pub(super) bytes: u64,
    pub(super) frames: Frames,
    pub(super) truncated: Option<String>,
    /// Stands for all rows, whatever the ranges.
    pub(super) digest: u64,
}

impl<'a> Extract<'a> {
    /// Begins to write, with `threads` threads; 0 means one a core.
    ///
    /// # Errors
    /// If the operating system refuses the threads.
    pub fn begin(
        writer: Writer,
        range: Option<(u64, u64)>,
        part: Filter,
        threads: usize,
        progress: &'a (dyn Fn(u64) + Sync),
    ) -> Result<Self, NoThreads> {
        let mut pipeline = Pipeline::new(threads, progress)?;
        pipeline.hasher = PairHasher::fixed();
        pipeline.range = range;
        if !part.is_empty() {
            pipeline.look_at(part);
        }
        let place = Place { file: 0, from: 0, base: 0 };
        pipeline.out = Some(Out { writer, place, covered: Covered::default(), digest: 0, failed: None });
        Ok(Self { pipeline, range })
    }

    /// Writes the rows of all captures of a source, as captures of `name`.
    ///
    /// # Errors
    /// If it cannot be read, or holds no capture.
    pub fn source(&mut self, source: &Source, name: &str) -> Result<(), Error> {
        let failed = |error| Error::io(name, "read", error);
        let found = match source.open()? {
            Opened::Archive(_) | Opened::Stream { .. } if self.range.is_some() => {
                let why = "a range is of a regular file that is not packed; extract this one whole";
                return Err(Error::Rows { input: name.to_owned(), why: why.to_owned() });
            }
            Opened::Archive(archive) => {
                let gauge = archive.gauge();
                let mut unpacking = Unpacking::begin(archive, name).map_err(failed)?;
                let mut found = false;
                while let Some(next) = unpacking.next() {
                    if let Next::Member(member, head, rest) = next {
                        found |= self.stream(&member, head, Box::new(rest), &gauge).map_err(failed)?;
                    }
                }
                found
            }
            Opened::Stream { head, reader, gauge } => self.stream(name, head, reader, &gauge).map_err(failed)?,
            Opened::Plain { file, bytes } => {
                let octets = file::head(&file, FRONT).map_err(failed)?;
                self.begin_capture(name, &octets);
                let capture = self.pipeline.file(&file, bytes, 0).map_err(failed)?;
                capture.map(|capture| self.end_capture(name, &capture)).is_some()
            }
        };
        if !found {
            let found = "no packet capture is recognised".to_owned();
            return Err(Error::Unrecognised { input: name.to_owned(), found, expected: EXPECTED });
        }
        Ok(())
    }

    /// Whether a stream is a capture; if so, its rows are written.
    fn stream(&mut self, name: &str, mut head: Vec<u8>, mut reader: Unread, gauge: &Gauge) -> std::io::Result<bool> {
        if capture::recognise(&head).is_none() {
            return Ok(false);
        }
        let more = FRONT.saturating_sub(head.len()) as u64;
        reader.by_ref().take(more).read_to_end(&mut head)?;
        self.begin_capture(name, &head);
        let behind = head.split_off(head.len().min(HEAD));
        let reader = Box::new(std::io::Cursor::new(behind).chain(reader));
        let capture = self.pipeline.stream(head, reader, gauge, 0).ok();
        Ok(capture.map(|capture| self.end_capture(name, &capture)).is_some())
    }

    /// Ends the file.
    ///
    /// # Errors
    /// If not all rows could be written.
    pub fn finish(mut self) -> Result<(), columns::Error> {
        let pool = self.pipeline.pool;
        match self.pipeline.out.take() {
            Some(Out { failed: Some(error), .. }) => Err(error),
            Some(out) => pool.install(|| out.writer.finish()),
            None => Ok(()),
        }
    }

    fn begin_capture(&mut self, name: &str, octets: &[u8]) {
        let from = self.range.map_or(0, |(from, _)| from);
        let front = if from == 0 { Front::of(name, octets, &self.pipeline.hasher) } else { None };
        let Some(out) = &mut self.pipeline.out else { return };
        out.place = Place { file: number(name), from: from.cast_signed(), base: 0 };
        (out.digest, out.covered) = (0, Covered::default());
        if let Some(front) = front {
            let shown = json!({ "name": name, "columns": columns::VERSION, "pairs": front.hashes() });
            out.facts(Kind::Front, front.first_at.unwrap_or(Time::MIN), &front, shown.to_string());
        }
    }

    fn end_capture(&mut self, name: &str, capture: &Capture) {
        let Some(out) = &mut self.pipeline.out else { return };
        if out.covered == Covered::default() {
            out.covered.end = capture.bytes;
        }
        let facts = Facts {
            name: name.to_owned(),
            format: capture.format.to_owned(),
            range: self.range.unwrap_or((0, u64::MAX)),
            covered: out.covered,
            bytes: capture.bytes,
            frames: capture.frames.clone(),
            truncated: capture.truncated.clone(),
            digest: out.digest,
        };
        let frames = &capture.frames;
        let time = |at: Time| (frames.packets > 0).then(|| at.rfc3339());
        let skipped: Vec<_> = frames.skips.iter().map(|(reason, count, _)| json!([reason, count])).collect();
        let shown = json!({
            "name": name, "columns": columns::VERSION, "format": capture.format, "bytes": capture.bytes,
            "first_octet": facts.covered.start, "end_octet": facts.covered.end, "packets": frames.packets,
            "segments": frames.segments, "first_packet": time(frames.first_at), "last_packet": time(frames.last_at),
            "dropped": frames.dropped_total(), "skipped": skipped, "truncated": capture.truncated,
        });
        out.facts(Kind::Facts, frames.first_at, &facts, shown.to_string());
    }
}

impl Pipeline<'_> {
    /// Notes what of a file was read.
    pub(super) fn covered<F: Format>(&mut self, start: u64, end: u64, [entered, left]: [&F; 2]) {
        if let Some(out) = &mut self.out {
            let hash = |format: &F| number(&format!("{format:?}")).cast_unsigned();
            out.covered = Covered { start, end, entered: hash(entered), left: hash(left) };
        }
    }
}

impl Out {
    /// Writes the rows of some slots, and adds their counts.
    pub(super) fn take(&mut self, pool: &rayon::ThreadPool, slots: &[Slot], hasher: &PairHasher, frames: &mut Frames) {
        let mut places = Vec::with_capacity(slots.len());
        for slot in slots {
            places.push(Place { base: frames.packets, ..self.place });
            frames.append(&slot.batch.frames);
        }
        if self.failed.is_some() {
            return;
        }
        let written = pool.install(|| {
            let tables = slots.par_iter().zip(places).map(|(slot, place)| {
                let mut table = Table::default();
                table.batch(&slot.batch, place, hasher);
                (table.digest(), table.finish())
            });
            for (digest, batch) in tables.collect::<Vec<_>>() {
                self.digest = self.digest.wrapping_add(digest);
                let batch = batch?;
                if batch.num_rows() > 0 {
                    self.writer.write(batch)?;
                }
            }
            Ok(())
        });
        self.failed = written.err();
    }

    fn facts(&mut self, kind: Kind, at: Time, value: &impl Serialize, shown: String) {
        let mut table = Table::default();
        let write = || -> Result<(), columns::Error> {
            let encoded = postcard::to_stdvec(value).map_err(|error| columns::Error::Rows(error.to_string()))?;
            table.facts(kind, self.place, at.0, encoded, shown);
            self.writer.write(table.finish()?)
        };
        if self.failed.is_none() {
            self.failed = write().err();
        }
    }
}

/// Stands for a name, the same in every run.
pub(super) fn number(name: &str) -> i64 {
    use std::hash::{BuildHasher, Hasher};
    let mut hasher = foldhash::fast::FixedState::default().build_hasher();
    hasher.write(name.as_bytes());
    // The mixed half, with the other one below it.
    hasher.finish().rotate_left(32).cast_signed()
}

/// The front of a capture whose rows were written in another run.
pub(super) fn front(encoded: &[u8], hasher: &PairHasher) -> Option<Front> {
    postcard::from_bytes::<Front>(encoded).ok().map(|front| front.hashed_by(hasher))
}
