//! An excerpt of a capture file: the frames that a filter keeps, with comments on some of them.

use std::collections::BTreeMap;
use std::io::{self, Write};

use super::walk::{self, Pieces};
use crate::capture::excerpt::{Block, Choice, Excerpt, Frame};
use crate::capture::{Format, LinkType, Visit, Walked};
use crate::error::Error;
use crate::input::Source;
use crate::segment::{Filter, Replace, rewrite};
use crate::time::Time;

/// What an excerpt takes of a file.
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
    /// Frames taken.
    pub taken: u64,
}

/// Cuts a file, or a member of an archive called `name`, and writes the excerpt as pcapng.
///
/// With `replace`, headers alone are taken, with other addresses; a filter is then one over those.
///
/// # Errors
/// If the file cannot be read or is no capture, or if it cannot be written.
pub fn excerpt(
    source: &Source,
    name: &str,
    cut: &Cut,
    replace: Option<&dyn Replace>,
    out: &mut dyn Write,
) -> Result<Met, Error> {
    let failed = |error| Error::io(name, "cut", error);
    let gone = || failed(io::Error::new(io::ErrorKind::NotFound, "it cannot be opened any more"));
    let (head, mut reader) = walk::open(source, name).ok_or_else(gone)?;
    let excerpt = if replace.is_some() { Excerpt::anew(&cut.about) } else { Excerpt::new(&cut.about) };
    let mut cutting = Cutting { cut, replace, excerpt, block: None, met: Met::default(), out, failure: None };
    if !walk::walk(head, &mut reader, &mut cutting) {
        return Err(failed(io::Error::other("it is no capture any more")));
    }
    if let Some(failure) = cutting.failure {
        return Err(failed(failure));
    }
    Ok(Met { taken: cutting.excerpt.taken, ..cutting.met })
}

struct Cutting<'a> {
    cut: &'a Cut,
    replace: Option<&'a dyn Replace>,
    excerpt: Excerpt,
    /// The block that is being visited: byte order, type, octets.
    block: Option<(bool, u32, Vec<u8>)>,
    met: Met,
    out: &'a mut dyn Write,
    failure: Option<io::Error>,
}

impl Pieces for Cutting<'_> {
    fn piece<F: Format>(&mut self, format: &mut F, bytes: &[u8], start: usize) -> Option<Walked> {
        let walked = format.walk(bytes, start, bytes.len(), self);
        self.failure = self.out.write_all(&self.excerpt.out).err();
        self.excerpt.out.clear();
        self.failure.is_none().then_some(walked)
    }
}

impl Cut {
    fn choose(&self, frame: Frame<'_>, replace: Option<&dyn Replace>) -> Choice {
        let Frame { at, link, bytes, original, .. } = frame;
        let comment = self.comments.get(&frame.number);
        if comment.is_none() && !self.filter.keeps_frame(at, link, bytes, original, replace) {
            return Choice::Leave;
        }
        let comment = comment.cloned().unwrap_or_default();
        let Some(replace) = replace else { return Choice::Take { comment } };
        rewrite(link, bytes, original, replace).map_or(Choice::Leave, |(bytes, original)| Choice::Replace {
            comment,
            link: LinkType::RAW,
            bytes,
            original,
        })
    }
}

impl Visit for Cutting<'_> {
    fn block(&mut self, big_endian: bool, kind: u32, octets: &[u8]) {
        let block = Block { big_endian, kind, octets };
        self.excerpt.block(block);
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
        self.excerpt.frame(frame, block, &self.cut.choose(frame, self.replace));
    }

    fn no_packet(&mut self) {
        self.met.packets = self.met.packets.saturating_add(1);
    }
}
