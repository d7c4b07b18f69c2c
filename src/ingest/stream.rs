//! Compressed files and pipes: one thread reads and unpacks, the others cut the stream at record boundaries and decode.
//!
//! The reader's thread does nothing else, since it is what takes longest: its pieces begin and end anywhere. Where they
//! come one by one, each is decoded from where the one before ended, on the thread that waits for them; where they
//! pile up, record headers are walked to find where each begins, and all are decoded at once.

use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crossbeam_channel::{Receiver, Sender, bounded};
use rayon::prelude::*;

use super::{Capture, Pipeline, Slot, ended_early};
use crate::capture::{Blind, Format, Stop, Walked};
use crate::input::{Gauge, Unread};
use crate::segment::Frames;

/// Octets of a piece: twice those of a block, so that half as many threads are woken.
const PIECE: usize = 2 * super::BLOCK;
/// Pieces in one window, however many threads there are: about two and a half times as many are in memory.
const MOST_PIECES: usize = 24;
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
        (head, start): (Vec<u8>, usize),
        reader: Unread,
        gauge: &Gauge,
        format: F,
        base: u64,
    ) -> Capture {
        let most = self.slots.len().min(MOST_PIECES);
        let (send, receive) = bounded::<Piece>(most);
        let (give_back, spare) = bounded::<Vec<u8>>(most * 2);
        let mut frames = Frames::default();
        let mut course = Course::begin(format, &head, start);
        let over = &AtomicBool::new(false);
        let read = std::thread::scope(|scope| {
            // Its ends of the channels are the thread's own: whoever waits for it hears when it is gone.
            let read = move || read(reader, &send, &spare, over);
            let reading = std::thread::Builder::new().name("stream".to_owned()).spawn_scoped(scope, read)?;
            // The loop runs on a thread of the pool, as that over the blocks of a file does.
            let pool = Arc::clone(&self.pool);
            pool.install(|| {
                while let Some(pieces) = next_pieces(&receive, &course, most) {
                    // The reader could not fill a window: it is what takes longest, and others would take its core.
                    let alone = pieces.len() < most;
                    let filled = self.decode_pieces(pieces, &give_back, &mut course, alone);
                    self.track(filled, base, &mut frames, alone);
                    self.read_of_this(gauge.octets());
                    if self.is_full() {
                        break;
                    }
                }
            });
            // Where nobody listens any more, the reader ends.
            over.store(true, Ordering::Relaxed);
            drop(receive);
            // A panic of the reader's thread would be a defect; it is reported as a stream that broke off.
            reading.join().map_err(|_| io::Error::other("the reader broke off"))
        });
        if let Err(error) = read {
            course.failed = Some(error);
        }
        let truncated = match (&course.failed, &course.stop) {
            (Some(error), None | Some(Stop::Short { .. })) => {
                Some(format!("reading failed at byte {}, after packet {}: {error}", course.bytes, frames.packets))
            }
            // What lies behind damage would not have been looked at, had it been read.
            (_, Some(stop)) => Some(ended_early(stop, course.offset(), course.bytes, frames.packets)),
            (None, None) => None,
        };
        Capture { format: F::NAME, point: self.point, base, frames, truncated, bytes: course.bytes }
    }

    /// Decodes pieces that follow one another, `alone` on the thread that calls; gives how many slots they filled.
    fn decode_pieces<F: Format>(
        &mut self,
        pieces: Vec<Piece>,
        give_back: &Sender<Vec<u8>>,
        course: &mut Course<F>,
        alone: bool,
    ) -> usize {
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
        filled
    }
}

/// The pieces that wait, at least one and at most so many; `None` at the end of the stream.
fn next_pieces<F>(receive: &Receiver<Piece>, course: &Course<F>, most: usize) -> Option<Vec<Piece>> {
    let first = if course.over { None } else { receive.recv().ok() }?;
    Some(std::iter::once(first).chain(receive.try_iter().take(most.saturating_sub(1))).collect())
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

/// Reads pieces until the stream ends or nobody wants more, which `over` tells between two reads.
fn read(mut reader: Unread, send: &Sender<Piece>, spare: &Receiver<Vec<u8>>, over: &AtomicBool) {
    loop {
        // A buffer that grew for a long record is not kept for a short one.
        let fits = |spare: &Vec<u8>| spare.capacity() <= 2 * (ROOM + PIECE);
        let mut bytes = spare.try_recv().ok().filter(fits).unwrap_or_default();
        // Buffers that come back are written over, which costs less than to clear them.
        bytes.resize(ROOM + PIECE, 0);
        let (filled, failed) = fill(&mut reader, bytes.get_mut(ROOM..).unwrap_or(&mut []), over);
        bytes.truncate(ROOM + filled);
        let last = failed.is_some() || filled < PIECE;
        if send.send(Piece { bytes, last, failed }).is_err() || last {
            return;
        }
    }
}

/// Fills `room` as far as the stream goes, or until it is `over`; how far that was, and why no further where it failed.
fn fill(reader: &mut dyn Read, room: &mut [u8], over: &AtomicBool) -> (usize, Option<io::Error>) {
    let mut filled = 0;
    while let Some(free) = room.get_mut(filled..).filter(|free| !free.is_empty() && !over.load(Ordering::Relaxed)) {
        match reader.read(free) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return (filled, Some(error)),
        }
    }
    (filled, None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capture::pcap::HEADER;
    use crate::capture::{Recognised, recognise};

    /// The records of a capture again and again, in pieces of so many octets.
    fn pieces(records: &[u8], times: usize, size: usize) -> Vec<Piece> {
        let bytes = records.repeat(times);
        let last = bytes.len().div_ceil(size) - 1;
        let piece = |(place, octets): (usize, &[u8])| Piece {
            bytes: [&[0; ROOM], octets].concat(),
            last: place == last,
            failed: None,
        };
        bytes.chunks(size).enumerate().map(piece).collect()
    }

    /// Whether pieces come one by one or pile up is a matter of time: it must show in nothing.
    #[test]
    fn pieces_give_the_same_alone_and_by_all_threads() {
        let capture = std::fs::read("fixtures/captures/a_recycle_on_snat.pcap").unwrap();
        let (head, records) = capture.split_at(HEADER);
        let Some(Recognised::Pcap(format)) = recognise(head) else { panic!("no pcap") };
        let mut pipeline = Pipeline::new(2, &|_| {}).unwrap();
        let (give_back, _spare) = bounded(1);
        for size in [records.len() / 3, 40_000, 7777] {
            let mut decoded = |alone| {
                let (mut segments, mut frames) = (Vec::new(), Frames::default());
                let mut course = Course::begin(format, head, HEADER);
                let mut rest = pieces(records, 2, size).into_iter();
                while !course.over {
                    let window = rest.by_ref().take(5).collect();
                    let filled = pipeline.decode_pieces(window, &give_back, &mut course, alone);
                    for slot in pipeline.slots.iter().take(filled) {
                        let found = slot.batch.shards.iter().flat_map(|shard| &shard.segments);
                        segments.extend(found.map(|segment| format!("{segment:?}")));
                        frames.append(&slot.batch.frames);
                    }
                }
                (segments, frames, course.bytes)
            };
            let alone = decoded(true);
            assert!(alone.1.packets > 1000, "{}", alone.1.packets);
            assert!(alone == decoded(false), "pieces of {size} octets");
        }
    }
}
