//! A capture read once more from its beginning, in order and on one thread: for what the first pass did not keep.

use std::io::Read;

use super::BLOCK;
use crate::capture::pcap;
use crate::capture::{self, Format, Recognised, Stop, Walked, snoop};
use crate::input::{Opened, Source, Unread};

use super::members::{Next, Unpacking};

/// Sees a capture piece by piece.
pub(super) trait Pieces {
    /// Walks the records of `bytes` from `start` on; nothing where no more are wanted.
    fn piece<F: Format>(&mut self, format: &mut F, bytes: &[u8], start: usize) -> Option<Walked>;
}

/// The first octets of a source or of a member of it, and the others; nothing where there is no such member or it cannot
/// be opened.
pub(super) fn open(source: &Source, name: &str) -> Option<(Vec<u8>, Unread)> {
    match source.open().ok()? {
        Opened::Plain { mut file, .. } => {
            let mut head = Vec::new();
            file.by_ref().take(HEAD).read_to_end(&mut head).ok()?;
            Some((head, Box::new(file)))
        }
        Opened::Stream { head, reader, .. } => Some((head, reader)),
        Opened::Archive(archive) => {
            let mut unpacking = Unpacking::begin(archive, &source.name).ok()?;
            while let Some(next) = unpacking.next() {
                if let Next::Member(member, head, rest) = next
                    && member == name
                {
                    return Some((head, Box::new(rest)));
                }
            }
            None
        }
    }
}

/// Shows every member of an archive, each from its beginning.
pub fn members(source: &Source, each: &mut dyn FnMut(&str, &mut dyn Read)) {
    let Ok(Opened::Archive(archive)) = source.open() else { return };
    let Ok(mut unpacking) = Unpacking::begin(archive, &source.name) else { return };
    while let Some(next) = unpacking.next() {
        if let Next::Member(name, head, rest) = next {
            each(&name, &mut head.as_slice().chain(rest));
        }
    }
}

/// Enough to recognise a capture.
const HEAD: u64 = 64;

/// Shows a capture to `pieces`; whether its first octets are a capture's.
pub(super) fn walk(head: Vec<u8>, reader: &mut dyn Read, pieces: &mut impl Pieces) -> bool {
    match capture::recognise(&head) {
        Some(Recognised::Pcap(format)) => records(format, head, pcap::HEADER, reader, pieces),
        Some(Recognised::Snoop(format)) => records(format, head, snoop::HEADER, reader, pieces),
        Some(Recognised::Pcapng(format)) => records(format, head, 0, reader, pieces),
        None => return false,
    }
    true
}

fn records<F: Format>(
    mut format: F,
    mut bytes: Vec<u8>,
    mut start: usize,
    reader: &mut dyn Read,
    pieces: &mut impl Pieces,
) {
    let mut wanted = BLOCK;
    loop {
        let room = wanted.saturating_sub(bytes.len()).max(1) as u64;
        let before = bytes.len();
        let failed = reader.take(room).read_to_end(&mut bytes).is_err();
        let got = bytes.len().saturating_sub(before) as u64;
        let Some(walked) = pieces.piece(&mut format, &bytes, start) else { return };
        bytes.drain(..walked.place.min(bytes.len()));
        start = 0;
        wanted = match walked.stop {
            Some(Stop::Damaged { .. }) => return,
            Some(Stop::Short { needed }) => BLOCK.max(needed),
            None => BLOCK,
        };
        if failed || got < room {
            return;
        }
    }
}
