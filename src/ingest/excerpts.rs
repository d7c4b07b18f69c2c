//! Excerpts of a capture file, several in one pass: the frames that a filter keeps, with comments on some of them.

use std::collections::BTreeMap;
use std::io;

use super::walk::{self, Pieces};
use crate::capture::excerpt::{Block, Choice, Excerpt, Frame};
use crate::capture::{Format, LinkType, Visit, Walked};
use crate::error::Error;
use crate::input::Source;
use crate::segment::Filter;
use crate::time::Time;

/// What one excerpt takes of a file.
#[derive(Clone, Debug, Default)]
pub struct Cut {
    /// The frames that are taken.
    pub filter: Filter,
    /// Frames of the file, from 0, that carry a comment; they are taken whether the filter keeps them or not.
    pub comments: BTreeMap<u64, String>,
    /// The comment of the file's first section.
    pub about: String,
}

/// What was met in the file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Met {
    /// Frames.
    pub packets: u64,
    /// The earliest time.
    pub first_at: Option<Time>,
    /// The latest time.
    pub last_at: Option<Time>,
    /// Frames taken, by excerpt.
    pub taken: Vec<u64>,
}

/// Cuts a file, or a member of an archive called `name`; `write` takes the octets of the excerpts, by their numbers.
///
/// # Errors
/// If the file cannot be read or is no capture, or if `write` fails.
pub fn excerpts(
    source: &Source,
    name: &str,
    cuts: &[Cut],
    write: &mut dyn FnMut(usize, &[u8]) -> io::Result<()>,
) -> Result<Met, Error> {
    let failed = |error| Error::io(name, "cut", error);
    let gone = || failed(io::Error::new(io::ErrorKind::NotFound, "it cannot be opened any more"));
    let (head, mut reader) = walk::open(source, name).ok_or_else(gone)?;
    let excerpts = cuts.iter().map(|cut| Excerpt::new(&cut.about)).collect();
    let mut cutting = Cutting { cuts, excerpts, block: None, met: Met::default(), write, failure: None };
    if !walk::walk(head, &mut reader, &mut cutting) {
        return Err(failed(io::Error::other("it is no capture any more")));
    }
    if let Some(failure) = cutting.failure {
        return Err(failed(failure));
    }
    let mut met = cutting.met;
    met.taken = cutting.excerpts.iter().map(|excerpt| excerpt.taken).collect();
    Ok(met)
}

struct Cutting<'a> {
    cuts: &'a [Cut],
    excerpts: Vec<Excerpt>,
    /// The block that is being visited: byte order, type, octets.
    block: Option<(bool, u32, Vec<u8>)>,
    met: Met,
    write: &'a mut dyn FnMut(usize, &[u8]) -> io::Result<()>,
    failure: Option<io::Error>,
}

impl Pieces for Cutting<'_> {
    fn piece<F: Format>(&mut self, format: &mut F, bytes: &[u8], start: usize) -> Option<Walked> {
        let walked = format.walk(bytes, start, bytes.len(), self);
        for (number, excerpt) in self.excerpts.iter_mut().enumerate() {
            if let Err(failure) = (self.write)(number, &excerpt.out) {
                self.failure = Some(failure);
                return None;
            }
            excerpt.out.clear();
        }
        Some(walked)
    }
}

impl Cut {
    fn choose(&self, frame: Frame<'_>) -> Choice {
        match self.comments.get(&frame.number) {
            Some(comment) => Choice::Take { comment: comment.clone() },
            None if self.filter.keeps_frame(frame.at, frame.link, frame.bytes, frame.original) => {
                Choice::Take { comment: String::new() }
            }
            None => Choice::Leave,
        }
    }
}

impl Visit for Cutting<'_> {
    fn block(&mut self, big_endian: bool, kind: u32, octets: &[u8]) {
        let block = Block { big_endian, kind, octets };
        self.excerpts.iter_mut().for_each(|excerpt| excerpt.block(block));
        let (_, _, mut buffer) = self.block.take().unwrap_or_default();
        buffer.clear();
        buffer.extend(octets);
        self.block = Some((big_endian, kind, buffer));
    }

    fn packet(&mut self, at: Time, link: LinkType, bytes: &[u8], original: u32) {
        let met = &mut self.met;
        let frame = Frame { number: met.packets, at, link, bytes, original };
        met.packets = met.packets.saturating_add(1);
        met.first_at = Some(met.first_at.map_or(at, |first| first.min(at)));
        met.last_at = Some(met.last_at.map_or(at, |last| last.max(at)));
        let block = self.block.as_ref();
        let block = block.map(|(big_endian, kind, octets)| Block { big_endian: *big_endian, kind: *kind, octets });
        for (cut, excerpt) in self.cuts.iter().zip(&mut self.excerpts) {
            excerpt.frame(frame, block, &cut.choose(frame));
        }
    }

    fn no_packet(&mut self) {
        self.met.packets = self.met.packets.saturating_add(1);
    }
}
