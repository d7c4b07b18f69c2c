//! Compressed files and pipes: one thread reads and cuts the stream at record boundaries, the others decode.

use std::io::{self, Read};

use crossbeam_channel::{Receiver, Sender, bounded};
use rayon::prelude::*;

use super::{BLOCK, Capture, Pipeline, ended_early};
use crate::capture::{Blind, Format, Stop, Walked};
use crate::segment::Frames;

/// Whole records, and what must be known to decode them.
struct Piece<F> {
    bytes: Vec<u8>,
    start: usize,
    end: usize,
    format: F,
}

/// How a stream ended.
struct End {
    stop: Option<Stop>,
    failed: Option<io::Error>,
    offset: u64,
    bytes: u64,
}

impl Pipeline<'_> {
    /// Decodes a stream that begins with `head`, its first record at `start`.
    pub(super) fn pieces<F: Format>(
        &mut self,
        head: Vec<u8>,
        start: usize,
        reader: Box<dyn Read + Send>,
        format: F,
        base: u64,
    ) -> Capture {
        let (send, receive) = bounded::<Piece<F>>(self.slots.len());
        let (give_back, spare) = bounded::<Vec<u8>>(self.slots.len() * 2);
        let mut frames = Frames::default();
        let end = std::thread::scope(|scope| {
            let cutter = scope.spawn(move || Cutter { reader, send, spare, format }.run(head, start));
            let mut octets = 0;
            while let Some(filled) = self.take_pieces(&receive, &give_back, &mut octets) {
                self.track(filled, base, &mut frames);
                (self.progress)(octets);
                if self.is_full() {
                    break;
                }
            }
            // Where nobody listens any more, the reader ends.
            drop(receive);
            cutter.join()
        });
        // A panic of the reader thread would be a defect; it is reported as a stream that broke off.
        let end = end.unwrap_or_else(|_| End {
            stop: None,
            failed: Some(io::Error::other("the reader broke off")),
            offset: 0,
            bytes: 0,
        });
        let truncated = match (&end.failed, &end.stop) {
            (Some(error), _) => {
                Some(format!("reading failed at byte {}, after packet {}: {error}", end.bytes, frames.packets))
            }
            (None, Some(stop)) => Some(ended_early(stop, end.offset, end.bytes, frames.packets)),
            (None, None) => None,
        };
        Capture { format: F::NAME, point: self.point, base, frames, truncated, bytes: end.bytes }
    }

    /// Decodes the pieces that wait, at least one; `None` at the end of the stream.
    fn take_pieces<F: Format>(
        &mut self,
        receive: &Receiver<Piece<F>>,
        give_back: &Sender<Vec<u8>>,
        octets: &mut u64,
    ) -> Option<usize> {
        let first = receive.recv().ok()?;
        let waiting = receive.try_iter().take(self.slots.len().saturating_sub(1));
        let mut jobs = Vec::with_capacity(self.slots.len());
        for (slot, piece) in self.slots.iter_mut().zip(std::iter::once(first).chain(waiting)) {
            *octets += (piece.end - piece.start) as u64;
            let used = std::mem::replace(&mut slot.buffer, piece.bytes);
            // A full channel or a finished reader means that nobody wants the buffer.
            let _ = give_back.try_send(used);
            jobs.push((piece.start, piece.end, piece.format));
        }
        let (slots, hasher) = (&mut self.slots, &self.hasher);
        let filled = jobs.len();
        self.pool.install(|| {
            slots.par_iter_mut().zip(jobs).for_each(|(slot, (start, end, mut format))| {
                slot.decode(&mut format, hasher, start, end, |_, _| false);
            });
        });
        Some(filled)
    }
}

/// Reads the stream and cuts it.
struct Cutter<F> {
    reader: Box<dyn Read + Send>,
    send: Sender<Piece<F>>,
    spare: Receiver<Vec<u8>>,
    format: F,
}

impl<F: Format> Cutter<F> {
    fn run(mut self, head: Vec<u8>, mut start: usize) -> End {
        let mut bytes = head;
        let mut end = End { stop: None, failed: None, offset: 0, bytes: bytes.len() as u64 };
        let mut wanted = BLOCK;
        loop {
            let before = bytes.len();
            let room = wanted.saturating_sub(before).max(1) as u64;
            end.failed = self.reader.by_ref().take(room).read_to_end(&mut bytes).err();
            end.bytes += (bytes.len() - before) as u64;
            let at_end = end.failed.is_some() || ((bytes.len() - before) as u64) < room;
            let entered = self.format.clone();
            let Walked { place, stop } = self.format.walk(&bytes, start, bytes.len(), &mut Blind);
            let mut next = self.spare.try_recv().unwrap_or_default();
            next.clear();
            next.extend_from_slice(bytes.get(place..).unwrap_or(&[]));
            end.offset = end.bytes - next.len() as u64;
            wanted = BLOCK.max(match stop {
                Some(Stop::Short { needed }) => needed,
                _ => 0,
            });
            let damaged = matches!(stop, Some(Stop::Damaged { .. }));
            if place > start && self.send.send(Piece { bytes, start, end: place, format: entered }).is_err() {
                return end;
            }
            (bytes, start) = (next, 0);
            if damaged || at_end {
                end.stop = stop;
                return end;
            }
        }
    }
}
