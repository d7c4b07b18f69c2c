//! Reads every input in turn: captures into the one pipeline, what a host says of itself into facts.
//!
//! Content decides. What is no capture is looked at as text in which a host describes itself; anything else is
//! listed and left alone.

use std::io::{Read, Seek};

use super::text::{self, Text};
use super::{Capture, NoThreads, Parts, Pipeline};
use crate::error::Error;
use crate::input::{EXPECTED, Opened, Source};
use crate::segment::Filter;

/// One input and what it came to.
#[derive(Clone, Debug)]
pub struct Input {
    /// As given.
    pub name: String,
    /// What it is.
    pub kind: Kind,
    /// Its length; of compressed inputs, that of what was unpacked.
    pub bytes: u64,
}

/// What an input is.
#[derive(Clone, Debug)]
#[allow(clippy::large_enum_variant)] // There are as few of them as inputs.
pub enum Kind {
    /// A packet capture.
    Capture(Capture),
    /// Text in which a host describes itself.
    Snapshot(Text),
    /// Nothing that is read.
    Other,
}

/// All inputs read.
#[derive(Debug)]
pub struct Reading {
    /// In the order of the arguments.
    pub inputs: Vec<Input>,
    /// What the captures gave.
    pub parts: Parts,
    /// What gave nothing although the user named it.
    pub errors: Vec<Error>,
}

/// Reads all sources with `threads` threads (0: one a core); `progress` is told the octets read of each.
///
/// # Errors
/// If the operating system refuses the threads. What cannot be read is told in [`Reading::errors`].
pub fn read(sources: &[Source], threads: usize, progress: &(dyn Fn(u64) + Sync)) -> Result<Reading, NoThreads> {
    read_part(sources, Filter::default(), threads, progress)
}

/// As [`read`], but looks at a part of the captures only.
///
/// # Errors
/// If the operating system refuses the threads.
pub fn read_part(
    sources: &[Source],
    part: Filter,
    threads: usize,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<Reading, NoThreads> {
    let mut pipeline = Pipeline::new(threads, progress)?;
    if !part.is_empty() {
        pipeline.look_at(part);
    }
    let (mut inputs, mut errors, mut points) = (Vec::new(), Vec::new(), 0);
    for source in sources {
        pipeline.begin_point(points);
        let number = u32::try_from(inputs.len()).unwrap_or(u32::MAX);
        match one(source, number, &mut pipeline) {
            Ok(input) => {
                points = points.saturating_add(u16::from(matches!(input.kind, Kind::Capture(_))));
                errors.extend(unrecognised(source, &input));
                inputs.push(input);
            }
            Err(error) => {
                errors.push(error);
                inputs.push(Input { name: source.name.clone(), kind: Kind::Other, bytes: 0 });
            }
        }
    }
    Ok(Reading { inputs, parts: pipeline.finish(), errors })
}

fn one(source: &Source, number: u32, pipeline: &mut Pipeline<'_>) -> Result<Input, Error> {
    let failed = |error| Error::io(source.name.clone(), "read", error);
    let (kind, bytes) = match source.open()? {
        Opened::Plain { mut file, bytes } => match pipeline.file(&file, bytes, 0).map_err(failed)? {
            Some(capture) => (Kind::Capture(capture), bytes),
            None => {
                file.rewind().map_err(failed)?;
                let (text, _) = text::read(number, &source.name, &mut file, &pipeline.pool).map_err(failed)?;
                (text.map_or(Kind::Other, Kind::Snapshot), bytes)
            }
        },
        Opened::Stream { head, reader } => match pipeline.stream(head, reader, 0) {
            Ok(capture) => {
                let bytes = capture.bytes;
                (Kind::Capture(capture), bytes)
            }
            Err((head, reader)) => {
                let mut whole = head.as_slice().chain(reader);
                let (text, bytes) = text::read(number, &source.name, &mut whole, &pipeline.pool).map_err(failed)?;
                (text.map_or(Kind::Other, Kind::Snapshot), bytes)
            }
        },
    };
    Ok(Input { name: source.name.clone(), kind, bytes })
}

/// What is told of an input that the user named and nothing was recognised in.
fn unrecognised(source: &Source, input: &Input) -> Option<Error> {
    let found = match (&input.kind, input.bytes) {
        (Kind::Capture(_) | Kind::Snapshot(_), _) => return None,
        (Kind::Other, 0) => "an empty file",
        (Kind::Other, _) => "nothing that is recognised",
    };
    source.named.then(|| Error::Unrecognised {
        input: source.name.clone(),
        found: found.to_owned(),
        expected: EXPECTED,
    })
}
