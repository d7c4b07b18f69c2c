//! Excerpts of a capture file: the frames that a filter keeps, with comments on some of them; several in one pass.

use std::collections::{BTreeMap, btree_map};
use std::io::{self, Write};
use std::iter::Peekable;

use super::walk::{self, Pieces};
use crate::capture::excerpt::{Block, Excerpt, Frame};
use crate::capture::{Format, LinkType, Visit, Walked};
use crate::error::Error;
use crate::input::Source;
use crate::segment::{Candidate, Filter, Replace, rewrite};
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
}

/// Makes several cuts of a file, or of a member of an archive called `name`, in one pass over it, and writes each
/// excerpt as pcapng; tells how many frames each took, or why it could not be written.
///
/// With `replace`, headers alone are taken, with other addresses; filters are then such over those.
///
/// # Errors
/// If the file cannot be read or is no capture.
pub fn excerpts<'a>(
    source: &Source,
    name: &str,
    cuts: impl IntoIterator<Item = (&'a Cut, &'a mut dyn Write)>,
    replace: Option<&'a dyn Replace>,
) -> Result<(Met, Vec<io::Result<u64>>), Error> {
    let failed = |error| Error::io(name, "cut", error);
    let gone = || failed(io::Error::new(io::ErrorKind::NotFound, "it cannot be opened any more"));
    let (head, mut reader) = walk::open(source, name).ok_or_else(gone)?;
    let begin = |(cut, out): (&'a Cut, &'a mut dyn Write)| {
        let excerpt = if replace.is_some() { Excerpt::anew(&cut.about) } else { Excerpt::new(&cut.about) };
        Taking { cut, comments: cut.comments.iter().peekable(), excerpt, out, failure: None }
    };
    let takings = cuts.into_iter().map(begin).collect();
    let mut cutting = Cutting { takings, replace, block: None, met: Met::default() };
    if !walk::walk(head, &mut reader, &mut cutting) {
        return Err(failed(io::Error::other("it is no capture any more")));
    }
    let taken = cutting.takings.into_iter().map(|taking| match taking.failure {
        Some(failure) => Err(failure),
        None => Ok(taking.excerpt.taken),
    });
    Ok((cutting.met, taken.collect()))
}

struct Cutting<'a> {
    takings: Vec<Taking<'a>>,
    replace: Option<&'a dyn Replace>,
    /// The block that is being visited: byte order, type, octets.
    block: Option<(bool, u32, Vec<u8>)>,
    met: Met,
}

/// One excerpt at work.
struct Taking<'a> {
    cut: &'a Cut,
    /// Those on frames that are still to come.
    comments: Peekable<btree_map::Iter<'a, u64, String>>,
    excerpt: Excerpt,
    out: &'a mut dyn Write,
    failure: Option<io::Error>,
}

impl Pieces for Cutting<'_> {
    fn piece<F: Format>(&mut self, format: &mut F, bytes: &[u8], start: usize) -> Option<Walked> {
        let walked = format.walk(bytes, start, bytes.len(), self);
        self.takings.iter_mut().for_each(Taking::give);
        self.takings.iter().any(|taking| taking.failure.is_none()).then_some(walked)
    }
}

impl<'a> Taking<'a> {
    /// Takes a frame or leaves it.
    fn see(&mut self, candidate: &Candidate<'_>, block: Option<Block<'_>>) {
        let Candidate { frame, replace, .. } = *candidate;
        let comment = self.comment(frame.number);
        if comment.is_none() && !self.cut.filter.keeps_frame(candidate) {
            return;
        }
        let comment = comment.map_or("", String::as_str);
        let Some(replace) = replace else { return self.excerpt.frame(frame, block, comment) };
        if let Some((bytes, original)) = rewrite(frame.link, frame.bytes, frame.original, replace) {
            let frame = Frame { link: LinkType::RAW, bytes: &bytes, original, ..frame };
            self.excerpt.frame(frame, None, comment);
        }
    }

    /// The comment on a frame; frames come in order.
    fn comment(&mut self, number: u64) -> Option<&'a String> {
        while self.comments.next_if(|(earlier, _)| **earlier < number).is_some() {}
        self.comments.next_if(|(own, _)| **own == number).map(|(_, comment)| comment)
    }

    /// Writes what was taken since the last time.
    fn give(&mut self) {
        if self.failure.is_none() {
            self.failure = self.out.write_all(&self.excerpt.out).err();
        }
        self.excerpt.out.clear();
    }
}

impl Visit for Cutting<'_> {
    fn block(&mut self, big_endian: bool, kind: u32, octets: &[u8]) {
        let block = Block { big_endian, kind, octets };
        self.takings.iter_mut().for_each(|taking| taking.excerpt.block(block));
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
        let candidate = Candidate::new(frame, self.replace);
        for taking in &mut self.takings {
            taking.see(&candidate, block);
        }
    }

    fn no_packet(&mut self) {
        self.met.packets = self.met.packets.saturating_add(1);
    }
}
