//! Regular files, block by block with `pread`: no memory map, so that a file that shrinks cannot fault.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::{Arc, Mutex, PoisonError};

use rayon::prelude::*;

use super::{BLOCK, Capture, MISSES_ALLOWED, Pipeline, SPAN, Slot, ended_early};
use crate::capture::{Blind, Format, Stop, Walked};
use crate::segment::{Frames, PairHasher};

/// Read beyond a block, so that its last record is mostly whole without asking again: what is read here is read once
/// more for the next block.
const BEYOND: usize = 4 * 1024;

/// The first octets of a file, at most `length`.
pub(super) fn head(file: &File, length: usize) -> io::Result<Vec<u8>> {
    let mut head = Vec::new();
    extend(file, &mut head, 0, 0, length)?;
    Ok(head)
}

/// Keeps `filled` octets of the buffer and reads those behind `offset + filled`, until it holds `length` or the file
/// ends. What the buffer held behind them is written over, which costs less than to clear it first.
fn extend(file: &File, buffer: &mut Vec<u8>, offset: u64, mut filled: usize, length: usize) -> io::Result<()> {
    buffer.resize(length.max(filled), 0);
    while let Some(room) = buffer.get_mut(filled..).filter(|room| !room.is_empty()) {
        match file.read_at(room, offset.saturating_add(filled as u64)) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => {
                buffer.truncate(filled);
                return Err(error);
            }
        }
    }
    buffer.truncate(filled);
    Ok(())
}

/// Buffers that blocks are read into. The one given back last is taken first: it is still in the cache of the core that
/// decoded from it, which the buffers of a whole window would not be.
#[derive(Default)]
struct Buffers(Mutex<Vec<Vec<u8>>>);

impl Buffers {
    /// Lets a slot have a buffer for as long as `work` lasts.
    fn lend<T>(&self, slot: &mut Slot, work: impl FnOnce(&mut Slot) -> T) -> T {
        let free = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        slot.buffer = free().pop().unwrap_or_default();
        let done = work(slot);
        free().push(std::mem::take(&mut slot.buffer));
        done
    }
}

/// A block of a file: where it lies, and what its decoding starts from.
struct Block<'a, F> {
    file: &'a File,
    hasher: &'a PairHasher,
    offset: u64,
    /// One behind the last octet that belongs to the block.
    limit: u64,
    format: F,
}

impl<F: Format> Block<'_, F> {
    fn read(&self, slot: &mut Slot) -> io::Result<()> {
        let length = usize::try_from(self.limit.saturating_sub(self.offset)).unwrap_or(BLOCK);
        slot.batch.make_room(length);
        extend(self.file, &mut slot.buffer, self.offset, 0, length.saturating_add(BEYOND))
    }

    /// Reads the block, and decodes it from where `start` says; where it cannot be read, what came before the error.
    fn read_from(&self, slot: &mut Slot, start: impl Fn(&Slot) -> u64) -> (F, io::Result<()>) {
        let read = self.read(slot);
        let (after, decoded) = self.decode(slot, start(slot));
        (after, read.and(decoded))
    }

    /// Where the first record of the block seems to begin.
    fn guess(&self, slot: &Slot) -> u64 {
        self.format.find_record(&slot.buffer, SPAN).map_or(self.limit, |place| self.offset.saturating_add(place as u64))
    }

    /// Decodes from `start`, which may lie behind the block where one long record covers it.
    fn decode(&self, slot: &mut Slot, start: u64) -> (F, io::Result<()>) {
        let mut format = self.format.clone();
        let place = |offset: u64| usize::try_from(offset.saturating_sub(self.offset)).unwrap_or(usize::MAX);
        let mut failed = Ok(());
        let (from, limit) = (place(start), place(self.limit));
        let reached = slot.decode(&mut format, self.hasher, from, limit, |buffer, length| {
            let before = buffer.len();
            failed = extend(self.file, buffer, self.offset, before, length);
            failed.is_ok() && buffer.len() > before
        });
        slot.start = start;
        slot.end = self.offset.saturating_add(reached as u64);
        (format, failed)
    }

    /// Where the records that begin at `start` end, without decoding them.
    fn hop(&self, slot: &mut Slot, start: u64) -> (F, u64) {
        let mut format = self.format.clone();
        let place = |offset: u64| usize::try_from(offset.saturating_sub(self.offset)).unwrap_or(usize::MAX);
        let (mut from, limit) = (place(start), place(self.limit));
        loop {
            let Walked { place, stop } = format.walk(&slot.buffer, from, limit, &mut Blind);
            let before = slot.buffer.len();
            let grown = match stop {
                Some(Stop::Short { needed }) => {
                    extend(self.file, &mut slot.buffer, self.offset, before, place.saturating_add(needed)).is_ok()
                }
                _ => false,
            };
            if !grown || slot.buffer.len() == before {
                return (format, self.offset.saturating_add(place as u64));
            }
            from = place;
        }
    }
}

impl Pipeline<'_> {
    /// Reads all blocks of a file whose first record begins at `start`; of both formats the first is known there,
    /// the second is likely further on.
    pub(super) fn blocks<F: Format>(
        &mut self,
        file: &File,
        size: u64,
        (format, likely): (F, F),
        start: u64,
        base: u64,
    ) -> io::Result<Capture> {
        let (from, until) = self.range.map_or((0, size), |(from, until)| (from, until.min(size)));
        let from = from.next_multiple_of(F::ALIGNMENT);
        let (format, start) = match from {
            0 => (format, start),
            // A range has no header in front of it: the first record is told as in any block.
            _ => (likely.clone(), first_record(file, &likely, from..until)?),
        };
        let entered = format.clone();
        let mut reading = Progress {
            file,
            size: until,
            format,
            likely,
            expected: start,
            next: from,
            misses: 0,
            buffers: Buffers::default(),
            stop: None,
            failed: None,
        };
        let mut frames = Frames::default();
        // The loop runs on a thread of the pool, so that none must be woken for each window.
        let pool = Arc::clone(&self.pool);
        pool.install(|| {
            while reading.next < until && !reading.is_over() && !self.is_full() {
                let mut slots = std::mem::take(&mut self.slots);
                let filled = reading.window(&mut slots, &self.hasher);
                self.slots = slots;
                self.track(filled, base, &mut frames, false);
                self.read_of_this(reading.next.min(size));
            }
        });
        if let (Some(error), 0) = (&reading.failed, frames.packets) {
            return Err(io::Error::new(error.kind(), error.to_string()));
        }
        #[cfg(feature = "columns")]
        self.covered(start, reading.expected, [&entered, &reading.format]);
        #[cfg(not(feature = "columns"))]
        drop(entered);
        let truncated = match (&reading.failed, &reading.stop) {
            (Some(error), _) => Some(format!("reading failed at byte {}: {error}", reading.expected)),
            (None, Some(stop)) => Some(ended_early(stop, reading.expected, size, frames.packets)),
            (None, None) => None,
        };
        Ok(Capture { format: F::NAME, point: self.point, base, frames, truncated, bytes: size })
    }
}

/// Where the first record that begins in a range seems to do so; the range's end where none does.
fn first_record<F: Format>(file: &File, format: &F, range: std::ops::Range<u64>) -> io::Result<u64> {
    let (mut offset, mut buffer, mut doubtful) = (range.start, Vec::new(), None);
    while offset < range.end {
        extend(file, &mut buffer, offset, 0, BLOCK + SPAN)?;
        let mut from = 0;
        while let Some(place) =
            buffer.get(from..).and_then(|rest| format.find_record(rest, SPAN)).map(|place| from + place)
            && place <= BLOCK
        {
            let found = offset.saturating_add(place as u64).min(range.end);
            if is_whole(format, &buffer, place) {
                return Ok(found);
            }
            // It may be the last one of a capture that was cut.
            doubtful = doubtful.or(Some(found));
            from = place.saturating_add(usize::try_from(F::ALIGNMENT).unwrap_or(1));
        }
        offset = offset.saturating_add(BLOCK as u64);
    }
    Ok(doubtful.unwrap_or(range.end))
}

/// Whether a record ends within the buffer, so that others can be held against it.
fn is_whole<F: Format>(format: &F, buffer: &[u8], place: usize) -> bool {
    let walked = format.clone().walk(buffer, place, place + 1, &mut Blind);
    walked.stop.is_none() && walked.place > place
}

/// How far a file has been read.
struct Progress<'a, F> {
    file: &'a File,
    size: u64,
    format: F,
    /// What blocks further on are likely to start from.
    likely: F,
    /// Where the next record begins: known, never guessed.
    expected: u64,
    /// Offset of the next block.
    next: u64,
    misses: u32,
    buffers: Buffers,
    stop: Option<Stop>,
    failed: Option<io::Error>,
}

impl<F: Format> Progress<'_, F> {
    /// The file ended early, or could not be read on.
    const fn is_over(&self) -> bool {
        self.stop.is_some() || self.failed.is_some()
    }

    /// Decodes one window of blocks exactly; gives how many slots it filled.
    fn window(&mut self, slots: &mut [Slot], hasher: &PairHasher) -> usize {
        let first = self.next;
        let offsets =
            (0..slots.len() as u64).map(|k| first.saturating_add(k * BLOCK as u64)).take_while(|o| *o < self.size);
        let blocks: Vec<Block<'_, F>> = offsets
            .map(|offset| Block {
                file: self.file,
                hasher,
                offset,
                limit: offset.saturating_add(BLOCK as u64).min(self.size),
                format: if offset == first { self.format.clone() } else { self.likely.clone() },
            })
            .collect();
        let slots = slots.get_mut(..blocks.len()).unwrap_or_default();
        self.next = blocks.last().map_or(self.size, |block| block.limit);
        let filled =
            if self.misses > MISSES_ALLOWED { self.walked(&blocks, slots) } else { self.guessed(&blocks, slots) };
        self.likely = self.format.clone();
        filled
    }

    /// Every block at once from guessed starts, then the guesses checked in order.
    fn guessed(&mut self, blocks: &[Block<'_, F>], slots: &mut [Slot]) -> usize {
        let known = self.expected;
        let results: Vec<(F, io::Result<()>)> = blocks
            .par_iter()
            .with_max_len(1)
            .zip(slots.par_iter_mut())
            .enumerate()
            .map(|(k, (block, slot))| {
                let start = |slot: &Slot| if k == 0 { known } else { block.guess(slot) };
                self.buffers.lend(slot, |slot| block.read_from(slot, start))
            })
            .collect();
        for (k, ((block, slot), (after, result))) in blocks.iter().zip(slots.iter_mut()).zip(results).enumerate() {
            let (after, result) = if slot.start != self.expected || block.format != self.format {
                self.misses += 1;
                let block = Block { format: self.format.clone(), ..*block };
                self.buffers.lend(slot, |slot| block.read_from(slot, |_| self.expected))
            } else {
                (after, result)
            };
            if self.take(slot, after, result) {
                return k + 1;
            }
        }
        blocks.len()
    }

    /// Starts found by walking record headers first: slower, and no worse for a hostile file.
    fn walked(&mut self, blocks: &[Block<'_, F>], slots: &mut [Slot]) -> usize {
        let read: Vec<io::Result<()>> =
            blocks.par_iter().zip(slots.par_iter_mut()).map(|(block, slot)| block.read(slot)).collect();
        let (mut start, mut format) = (self.expected, self.format.clone());
        let starts: Vec<(u64, F)> = blocks
            .iter()
            .zip(slots.iter_mut())
            .map(|(block, slot)| {
                let this = (start, format.clone());
                (format, start) = Block { format: format.clone(), ..*block }.hop(slot, start);
                this
            })
            .collect();
        let results: Vec<(F, io::Result<()>)> = blocks
            .par_iter()
            .zip(slots.par_iter_mut())
            .zip(starts)
            .map(|((block, slot), (start, format))| Block { format, ..*block }.decode(slot, start))
            .collect();
        for (k, ((slot, read), (after, result))) in slots.iter().zip(read).zip(results).enumerate() {
            if self.take(slot, after, read.and(result)) {
                return k + 1;
            }
        }
        blocks.len()
    }

    /// Goes on behind a decoded slot; says whether reading ends there.
    fn take(&mut self, slot: &Slot, after: F, result: io::Result<()>) -> bool {
        self.expected = slot.end;
        self.format = after;
        self.stop.clone_from(&slot.stop);
        self.failed = result.err();
        self.is_over()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capture::pcap::{HEADER, Pcap};
    use crate::capture::{Recognised, recognise};

    /// A slot is used again and again: nothing of the block before may be taken for that of one that cannot be read.
    #[test]
    fn a_block_that_cannot_be_read_gives_nothing() {
        let path = "fixtures/captures/a_recycle_on_snat.pcap";
        let file = File::open(path).unwrap();
        let Some(Recognised::Pcap(format)) = recognise(&head(&file, HEADER).unwrap()) else { panic!("{path}") };
        let (hasher, mut slot) = (PairHasher::default(), Slot::default());
        let block = |file, start| Block::<Pcap> { file, hasher: &hasher, offset: start, limit: BLOCK as u64, format };
        let start = HEADER as u64;
        let (_, result) = block(&file, 0).read_from(&mut slot, |_| start);
        result.unwrap();
        let end = slot.end;
        assert!(slot.batch.frames.packets > 0 && end > start);
        let folder = tempfile::tempdir().unwrap();
        let unreadable = File::create(folder.path().join("x")).unwrap();
        let (_, result) = block(&unreadable, end).read_from(&mut slot, |_| end);
        assert_eq!(result.unwrap_err().raw_os_error(), Some(9), "a file opened for writing is not read");
        assert_eq!((slot.batch.frames.packets, slot.start, slot.end), (0, end, end));
        assert!(slot.batch.shards.iter().all(|shard| shard.segments.is_empty()));
    }
}
