//! Compressed files and pipes: one thread reads and unpacks, the others cut the stream at record boundaries and decode.
//!
//! The reader's thread does nothing else, since it is what takes longest: its pieces begin and end anywhere. Where they
//! come one by one, each is decoded from where the one before ended, on the thread that waits for them; where they
//! pile up, record headers are walked to find where each begins, and all are decoded at once.

use std::io::{self, Read};
use std::sync::Arc;

use crossbeam_channel::{Receiver, Sender, bounded};
use rayon::prelude::*;

use super::{Capture, Pipeline, Slot, ended_early};
use crate::capture::{Blind, Format, Stop, Walked};
use crate::segment::Frames;

/// Octets of a piece: twice those of a block, so that half as many threads are woken.
const PIECE: usize = 2 * super::BLOCK;
/// Room in front of a piece, for what is left of the record that the piece before ended in.
const ROOM: usize = 64 * 1024;

/// Octets of the stream, behind the room in front of them.
struct Piece {
    bytes: Vec<u8>,
    /// Nothing comes behind it.
    last: bool,
    /// Why, where reading failed.
    failed: Option<io::Error>,
}

impl Piece {
    fn octets(&self) -> &[u8] {
        self.bytes.get(ROOM..).unwrap_or(&[])
    }
}

/// Whole records in a slot's buffer: where they begin, where they end, and what must be known to decode them.
struct Job<F> {
    start: usize,
    end: usize,
    format: F,
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
        let (send, receive) = bounded::<Piece>(self.slots.len());
        let (give_back, spare) = bounded::<Vec<u8>>(self.slots.len() * 2);
        let mut frames = Frames::default();
        let mut course = Course::begin(format, &head, start);
        let read = std::thread::scope(|scope| {
            let reading = scope.spawn(move || read(reader, &send, &spare));
            // The loop runs on a thread of the pool, as that over the blocks of a file does.
            let pool = Arc::clone(&self.pool);
            pool.install(|| {
                while let Some(filled) = self.take_pieces(&receive, &give_back, &mut course) {
                    self.track(filled, base, &mut frames, self.is_ahead(filled));
                    (self.progress)(course.offset());
                    if self.is_full() {
                        break;
                    }
                }
            });
            // Where nobody listens any more, the reader ends.
            drop(receive);
            reading.join()
        });
        if read.is_err() {
            // A panic of the reader's thread would be a defect; it is reported as a stream that broke off.
            course.failed = Some(io::Error::other("the reader broke off"));
        }
        let truncated = match (&course.failed, &course.stop) {
            (Some(error), _) => {
                Some(format!("reading failed at byte {}, after packet {}: {error}", course.bytes, frames.packets))
            }
            (None, Some(stop)) => Some(ended_early(stop, course.offset(), course.bytes, frames.packets)),
            (None, None) => None,
        };
        Capture { format: F::NAME, point: self.point, base, frames, truncated, bytes: course.bytes }
    }

    /// Decodes the pieces that wait, at least one; `None` at the end of the stream.
    fn take_pieces<F: Format>(
        &mut self,
        receive: &Receiver<Piece>,
        give_back: &Sender<Vec<u8>>,
        course: &mut Course<F>,
    ) -> Option<usize> {
        let first = if course.over { None } else { receive.recv().ok() }?;
        let waiting = receive.try_iter().take(self.slots.len().saturating_sub(1));
        let pieces: Vec<Piece> = std::iter::once(first).chain(waiting).collect();
        let alone = self.is_ahead(pieces.len());
        let (slots, hasher) = (&mut self.slots, &self.hasher);
        let mut jobs = Vec::new();
        let mut free = slots.iter_mut();
        for piece in pieces {
            if course.wants_more_than(&piece) {
                course.append(&piece);
                continue;
            }
            let Some(slot) = free.next() else { break };
            // A full channel or a finished reader means that nobody wants the buffer.
            let _ = give_back.try_send(std::mem::take(&mut slot.buffer));
            let start = course.join(slot, piece);
            let entered = course.format.clone();
            let walked = if alone {
                let place = slot.decode(&mut course.format, hasher, start, slot.buffer.len(), |_, _| false);
                Walked { place, stop: slot.stop.take() }
            } else {
                course.format.walk(&slot.buffer, start, slot.buffer.len(), &mut Blind)
            };
            jobs.push(Job { start, end: walked.place, format: entered });
            course.go_on(&slot.buffer, walked);
            if course.over {
                break;
            }
        }
        let filled = jobs.len();
        if !alone {
            let decode = |(slot, mut job): (&mut Slot, Job<F>)| {
                slot.decode(&mut job.format, hasher, job.start, job.end, |_, _| false);
            };
            self.pool.install(|| slots.par_iter_mut().zip(jobs).for_each(decode));
        }
        Some(filled)
    }

    /// Whether the reader could not fill all slots: it is what takes longest, and other threads would only take its core.
    const fn is_ahead(&self, filled: usize) -> bool {
        filled < self.slots.len()
    }
}

/// How far a stream has been walked.
struct Course<F> {
    /// What must be known where the next record begins.
    format: F,
    /// What was read from there on.
    tail: Vec<u8>,
    /// Octets that the next record needs, where that is known.
    needed: usize,
    /// Octets read.
    bytes: u64,
    stop: Option<Stop>,
    failed: Option<io::Error>,
    /// Nothing more is read.
    over: bool,
    last: bool,
}

impl<F: Format> Course<F> {
    fn begin(format: F, head: &[u8], start: usize) -> Self {
        let tail = head.get(start..).unwrap_or(&[]).to_vec();
        let bytes = head.len() as u64;
        Self { format, tail, needed: 0, bytes, stop: None, failed: None, over: false, last: false }
    }

    /// Where the next record begins in the stream.
    const fn offset(&self) -> u64 {
        self.bytes.saturating_sub(self.tail.len() as u64)
    }

    /// Whether the next record goes on behind a piece, which is not the last one.
    fn wants_more_than(&self, piece: &Piece) -> bool {
        !piece.last && self.tail.len().saturating_add(piece.octets().len()) < self.needed
    }

    /// Keeps a piece of a record longer than any packet.
    fn append(&mut self, piece: &Piece) {
        self.bytes += piece.octets().len() as u64;
        self.tail.extend_from_slice(piece.octets());
    }

    /// Puts what was left and a piece into a slot; gives where the next record begins in its buffer.
    fn join(&mut self, slot: &mut Slot, piece: Piece) -> usize {
        self.bytes += piece.octets().len() as u64;
        (self.last, self.failed) = (piece.last, piece.failed);
        slot.buffer = piece.bytes;
        let start = ROOM.saturating_sub(self.tail.len());
        match slot.buffer.get_mut(start..ROOM) {
            Some(room) if room.len() == self.tail.len() => {
                room.copy_from_slice(&self.tail);
                self.tail.clear();
                start
            }
            _ => {
                let mut bytes = std::mem::take(&mut self.tail);
                bytes.extend_from_slice(slot.buffer.get(ROOM..).unwrap_or(&[]));
                slot.buffer = bytes;
                0
            }
        }
    }

    /// Keeps what a walk over a buffer left.
    fn go_on(&mut self, buffer: &[u8], walked: Walked) {
        self.tail.extend_from_slice(buffer.get(walked.place..).unwrap_or(&[]));
        self.needed = match walked.stop {
            Some(Stop::Short { needed }) => needed,
            _ => 0,
        };
        self.over = self.last || matches!(walked.stop, Some(Stop::Damaged { .. }));
        self.stop = if self.over { walked.stop } else { None };
    }
}

/// Reads pieces until the stream ends or nobody wants more.
fn read(mut reader: Box<dyn Read + Send>, send: &Sender<Piece>, spare: &Receiver<Vec<u8>>) {
    loop {
        let mut bytes = spare.try_recv().unwrap_or_default();
        // Buffers that come back are written over, which costs less than to clear them.
        bytes.resize(ROOM + PIECE, 0);
        let (filled, failed) = fill(&mut reader, bytes.get_mut(ROOM..).unwrap_or(&mut []));
        bytes.truncate(ROOM + filled);
        let last = failed.is_some() || filled < PIECE;
        if send.send(Piece { bytes, last, failed }).is_err() || last {
            return;
        }
    }
}

/// Fills `room` as far as the stream goes; how far that was, and why no further where it failed.
fn fill(reader: &mut dyn Read, room: &mut [u8]) -> (usize, Option<io::Error>) {
    let mut filled = 0;
    while let Some(free) = room.get_mut(filled..).filter(|free| !free.is_empty()) {
        match reader.read(free) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return (filled, Some(error)),
        }
    }
    (filled, None)
}
