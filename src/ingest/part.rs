//! Parts of evidence in files: what one machine of several has tracked, to be merged where rules are run.
//!
//! A part holds connections of some socket pairs, echoes, and for each input the copies among its packets; one of them at
//! least holds what the inputs themselves came to. The encoding is postcard in zstd, behind a line that names the version.

use std::io::{self, Read as _, Write};

use serde::{Deserialize, Serialize};

use super::{Capture, Input, Kind, Reading};
use crate::connection::Tracked;
use crate::segment::{Echo, Frames};

/// What every part begins with, the version behind it.
pub(super) const MAGIC: &[u8] = b"lastack-part/";
/// The version of the encoding. Any change of what trackers keep is a new one.
const VERSION: &str = "2"; // one digit
/// Octets of a part, unpacked, beyond which none is read.
const MOST: u64 = 1 << 36;

/// A part of the evidence.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Part {
    /// All inputs; none in a part that knows its rows alone.
    pub(super) inputs: Vec<PartInput>,
    pub(super) shards: Vec<Tracked>,
    pub(super) echoes: Vec<(u16, Echo, u64)>,
    /// Copies of packets, by the number of the input.
    pub(super) duplicates: Vec<(u32, u64)>,
}

/// An input; what hosts say is no part of a part.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct PartInput {
    name: String,
    bytes: u64,
    notes: Vec<String>,
    capture: Option<PartCapture>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct PartCapture {
    format: String,
    point: u16,
    base: u64,
    frames: Frames,
    truncated: Option<String>,
}

/// Why a part cannot be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unusable {
    #[error("a part of version {found}; this program merges version {VERSION}: make all parts with one version of it")]
    Version { found: String },
    #[error("a damaged part of evidence: {0}")]
    Damaged(String),
}

/// Writes what was read as a part of evidence.
///
/// # Errors
/// If it cannot be written, or where snapshots were read: they go to the merge.
pub fn write(reading: Reading, out: &mut dyn Write) -> io::Result<()> {
    let snapshot = reading.inputs.iter().find(|input| matches!(input.kind, Kind::Snapshot(_)));
    if let Some(snapshot) = snapshot {
        let why = "what a host says of itself is no part of a part: give it to `lastack merge`";
        return Err(io::Error::other(format!("{}: {why}", snapshot.name)));
    }
    let mut duplicates = reading.duplicates;
    let inputs: Vec<PartInput> = reading.inputs.into_iter().map(PartInput::of).collect();
    let inputs = (0..).zip(inputs).map(|(number, mut input)| {
        // Each part has copies of its own.
        let own = input.capture.as_mut().map_or(0, |capture| std::mem::take(&mut capture.frames.duplicates));
        if own > 0 {
            duplicates.push((number, own));
        }
        input
    });
    let inputs = inputs.collect();
    let shards = reading.parts.shards.into_iter().filter(|shard| !shard.is_empty()).collect();
    let part = Part { inputs, shards, echoes: reading.parts.echoes, duplicates };
    out.write_all(MAGIC)?;
    writeln!(out, "{VERSION}")?;
    let packed = zstd::Encoder::new(out, 1)?;
    let packed = postcard::to_io(&part, packed).map_err(io::Error::other)?;
    packed.finish()?.flush()
}

impl Part {
    /// Reads a part, its first octets included.
    pub(super) fn read(reader: &mut dyn io::Read) -> Result<Self, Unusable> {
        let damaged = |error: &dyn std::fmt::Display| Unusable::Damaged(error.to_string());
        let mut line = vec![0; MAGIC.len() + 2];
        reader.read_exact(&mut line).map_err(|error| damaged(&error))?;
        let found = String::from_utf8_lossy(line.get(MAGIC.len()..).unwrap_or(&[])).trim_end().to_owned();
        if found != VERSION {
            return Err(Unusable::Version { found });
        }
        let mut octets = Vec::new();
        let packed = zstd::Decoder::new(reader).map_err(|error| damaged(&error))?;
        packed.take(MOST).read_to_end(&mut octets).map_err(|error| damaged(&error))?;
        postcard::from_bytes(&octets).map_err(|error| damaged(&error))
    }
}

impl PartInput {
    fn of(input: Input) -> Self {
        let capture = match input.kind {
            Kind::Capture(Capture { format, point, base, frames, truncated, .. }) => {
                Some(PartCapture { format: format.to_owned(), point, base, frames, truncated })
            }
            Kind::Snapshot(_) | Kind::Other => None,
        };
        Self { name: input.opened_as, bytes: input.bytes, notes: input.notes, capture }
    }

    pub(super) fn into_input(self) -> Input {
        let bytes = self.bytes;
        let kind = self.capture.map_or(Kind::Other, |capture| {
            let PartCapture { format, point, base, frames, truncated } = capture;
            Kind::Capture(Capture { format: super::rows::format_named(&format), point, base, frames, truncated, bytes })
        });
        Input { name: self.name.clone(), opened_as: self.name, kind, bytes, notes: self.notes }
    }
}
