//! Capture files through decoders and trackers, on all cores: the only place with threads that compute.
//!
//! A regular file is cut into blocks at fixed offsets, read with `pread` into buffers that are used again. Each
//! block of a window guesses where its first record begins and decodes from there, all at once; then the guesses
//! are checked in order: block *k* must end exactly where block *k+1* began, or *k+1* is decoded again. That is
//! exact whatever was guessed, by induction from the file's header. After several misses the starts are found by
//! walking record headers first. Compressed files and pipes come in pieces from one reader thread, and are cut at record
//! boundaries by whoever waits for them.
//!
//! Then every shard's tracker takes its segments of the window's blocks, in order, side by side with the others.

mod again;
mod excerpt;
#[cfg(feature = "columns")]
mod extract;
mod file;
mod inputs;
mod members;
mod overlap;
#[cfg(feature = "columns")]
mod part;
#[cfg(feature = "columns")]
mod rows;
mod sets;
mod stream;
mod text;
mod walk;
mod workers;

pub use again::{Row, Wanted, look_again};
pub use excerpt::{Cut, Met, excerpts};
#[cfg(feature = "columns")]
pub use extract::Extract;
pub use inputs::{How, Input, Kind, Reading, read, read_as};
#[cfg(feature = "columns")]
pub use part::write as write_part;
#[cfg(feature = "columns")]
pub use rows::Plan;
pub use text::Text;
pub use walk::members;
pub use workers::{FOR_ALL_THREADS, Workers};

use std::sync::Arc;

use rayon::prelude::*;

use crate::capture::{self, Blind, Format, Recognised, Stop, Walked, pcap, snoop};
use crate::connection::{Tracked, Tracker};
use crate::input::{Gauge, Unread};
use crate::segment::{Batch, Decoder, Echo, Filter, Frames, PairHasher, Reassembly, SHARDS, Segment, Tunnel, Wide};

/// Octets of a block: small enough for a core's own cache.
const BLOCK: usize = 512 * 1024;
/// A chain of records must be at least this long before a guessed boundary is believed: long enough that
/// captures inside captured payloads do not pass for the capture itself.
const SPAN: usize = 128 * 1024;
/// Octets at the start of a file that are looked at before any block.
const HEAD: usize = 16 * 1024;
/// Wrong guesses after which starts are found by walking.
const MISSES_ALLOWED: u32 = 16;

/// What one capture came to.
#[derive(Clone, Debug)]
pub struct Capture {
    /// `pcap`, `pcapng` or `snoop`.
    pub format: &'static str,
    /// The number of its capture point, from 0.
    pub point: u16,
    /// Frames at the capture point before this capture's first.
    pub base: u64,
    /// Counts.
    pub frames: Frames,
    /// Where and why reading ended early.
    pub truncated: Option<String>,
    /// Octets read, after decompression.
    pub bytes: u64,
}

/// Decoders and trackers of one run.
pub struct Pipeline<'a> {
    pool: Arc<rayon::ThreadPool>,
    hasher: PairHasher,
    trackers: Vec<Tracker>,
    echoes: Vec<(u16, Echo, u64)>,
    /// Datagrams of which some fragments have come.
    reassembly: Reassembly,
    slots: Vec<Slot>,
    point: u16,
    /// What is looked at, where not everything is.
    part: Option<Arc<Filter>>,
    /// The octets of a file that are read, where not all are.
    range: Option<(u64, u64)>,
    /// Connections beyond which nothing more is read.
    most: Option<usize>,
    /// Where segments go, where not to the trackers.
    #[cfg(feature = "columns")]
    out: Option<extract::Out>,
    /// Told how many octets of all inputs have been read, from time to time.
    progress: &'a (dyn Fn(u64) + Sync),
    /// Octets of the inputs that have been read whole, and what was told last.
    behind: u64,
    told: u64,
}

/// One block on its way: its octets, and what they gave.
#[derive(Default)]
struct Slot {
    buffer: Vec<u8>,
    batch: Batch,
    /// Offset in the file of the first record, guessed or known.
    start: u64,
    /// Offset in the file of the first record behind the block.
    end: u64,
    stop: Option<Stop>,
}

/// A run could not get its threads.
#[derive(Debug, thiserror::Error)]
#[error("cannot start {threads} threads: {source}")]
pub struct NoThreads {
    threads: usize,
    source: rayon::ThreadPoolBuildError,
}

/// What all captures gave, before anything joins it.
#[derive(Debug)]
pub struct Parts {
    /// One part a shard.
    pub shards: Vec<Tracked>,
    /// Echo requests and replies: capture point, message, frame at the point from 0.
    pub echoes: Vec<(u16, Echo, u64)>,
    /// The run's threads.
    pub workers: Workers,
    /// What was looked at, where not everything was.
    pub part: Option<Arc<Filter>>,
}

impl<'a> Pipeline<'a> {
    /// Prepares `threads` threads; 0 means one a core.
    ///
    /// # Errors
    /// If the operating system refuses the threads.
    pub fn new(threads: usize, progress: &'a (dyn Fn(u64) + Sync)) -> Result<Self, NoThreads> {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
        let pool = Arc::new(pool.map_err(|source| NoThreads { threads, source })?);
        // A few blocks a thread keep all of them busy until the window ends.
        let window = (pool.current_num_threads() * 6).clamp(8, 64);
        let slots = (0..window).map(|_| Slot::default()).collect();
        let trackers = (0..SHARDS).map(|_| Tracker::default()).collect();
        Ok(Self {
            pool,
            hasher: PairHasher::default(),
            trackers,
            echoes: Vec::new(),
            reassembly: Reassembly::default(),
            slots,
            point: 0,
            part: None,
            range: None,
            most: None,
            #[cfg(feature = "columns")]
            out: None,
            progress,
            behind: 0,
            told: 0,
        })
    }

    /// Looks at a part only, from here on.
    pub fn look_at(&mut self, part: Filter) {
        let part = Arc::new(part);
        self.slots.iter_mut().for_each(|slot| slot.batch.filter = Some(Arc::clone(&part)));
        self.part = Some(part);
    }

    /// Goes on at another capture point.
    pub fn begin_point(&mut self, point: u16) {
        self.point = point;
        self.reassembly = Reassembly::default();
        self.trackers.iter_mut().for_each(|tracker| tracker.begin_point(point));
    }

    /// Reads a regular file; `None` where its first octets are no capture's.
    /// Frames are counted on from `base` at the capture point.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn file(&mut self, file: &std::fs::File, size: u64, base: u64) -> std::io::Result<Option<Capture>> {
        let head = file::head(file, HEAD)?;
        match capture::recognise(&head) {
            Some(Recognised::Pcap(pcap)) => self.blocks(file, size, (pcap, pcap), pcap::HEADER as u64, base).map(Some),
            Some(Recognised::Snoop(snoop)) => {
                self.blocks(file, size, (snoop, snoop), snoop::HEADER as u64, base).map(Some)
            }
            Some(Recognised::Pcapng(pcapng)) => {
                // The interfaces are described in front; the later blocks of the first window want to know them.
                let mut described = pcapng.clone();
                described.walk(&head, 0, head.len(), &mut Blind);
                self.blocks(file, size, (pcapng, described), 0, base).map(Some)
            }
            None => Ok(None),
        }
    }

    /// Reads a stream whose first octets are `head`; `gauge` tells how far its file has been read.
    ///
    /// # Errors
    /// Where they are no capture's: head and stream are handed back for others to read.
    pub fn stream(
        &mut self,
        head: Vec<u8>,
        reader: Unread,
        gauge: &Gauge,
        base: u64,
    ) -> Result<Capture, (Vec<u8>, Unread)> {
        match capture::recognise(&head) {
            Some(Recognised::Pcap(pcap)) => Ok(self.pieces((head, pcap::HEADER), reader, gauge, pcap, base)),
            Some(Recognised::Snoop(snoop)) => Ok(self.pieces((head, snoop::HEADER), reader, gauge, snoop, base)),
            Some(Recognised::Pcapng(pcapng)) => Ok(self.pieces((head, 0), reader, gauge, pcapng, base)),
            None => Err((head, reader)),
        }
    }

    /// Tells how many octets have been read of the input at work.
    fn read_of_this(&mut self, octets: u64) {
        // In the middle of a long archive others may be read that waited; nobody wants to see a bar shrink.
        self.told = self.told.max(self.behind.saturating_add(octets));
        (self.progress)(self.told);
    }

    /// An input of so many octets is done.
    fn read_whole(&mut self, octets: u64) {
        self.behind = self.behind.saturating_add(octets);
        self.read_of_this(0);
    }

    /// The hash that chooses shards.
    fn hasher(&self) -> &PairHasher {
        &self.hasher
    }

    /// Whether a segment goes on where the capture point stands; see [`Tracker::goes_on`].
    fn goes_on(&self, segment: &Segment, wide: Option<Wide>, tunnels: &[Tunnel]) -> Option<bool> {
        // The upper bits choose the shard, as in a batch.
        self.trackers.get(segment.hash as usize >> 28)?.goes_on(segment, wide, tunnels)
    }

    /// Connections tracked so far.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.trackers.iter().map(Tracker::connections).sum()
    }

    /// There are more connections than are allowed.
    fn is_full(&self) -> bool {
        self.most.is_some_and(|most| self.connections() > most)
    }

    /// Ends the run.
    #[must_use]
    pub fn finish(self) -> Parts {
        let shards = self.pool.install(|| self.trackers.into_par_iter().map(Tracker::finish).collect());
        Parts { shards, echoes: self.echoes, workers: Workers(Some(self.pool)), part: self.part }
    }

    /// Hands the first `filled` slots to the trackers and adds their counts; `alone` on the thread that calls.
    fn track(&mut self, filled: usize, base: u64, frames: &mut Frames, alone: bool) {
        #[cfg(feature = "columns")]
        if let Some(out) = &mut self.out {
            return out.take(&self.pool, self.slots.get(..filled).unwrap_or(&[]), &self.hasher, frames);
        }
        let slots = self.slots.get_mut(..filled).unwrap_or_default();
        slots.iter_mut().for_each(|slot| slot.batch.join(&mut self.reassembly, &self.hasher));
        let slots = &*slots;
        let bases: Vec<u64> = slots
            .iter()
            .scan(base.saturating_add(frames.packets), |next, slot| {
                let this = *next;
                *next = next.saturating_add(slot.batch.frames.packets);
                Some(this)
            })
            .collect();
        let trackers = &mut self.trackers;
        let copies = trackers.iter().map(Tracker::copies).sum::<u64>();
        let feed = |(shard, tracker): (usize, &mut Tracker)| {
            for (slot, base) in slots.iter().zip(&bases) {
                if let Some(segments) = slot.batch.shards.get(shard) {
                    tracker.feed(segments, &slot.batch.tunnels, *base);
                }
            }
        };
        if alone {
            trackers.iter_mut().enumerate().for_each(feed);
        } else {
            self.pool.install(|| trackers.par_iter_mut().with_max_len(1).enumerate().for_each(feed));
        }
        frames.duplicates += self.trackers.iter().map(Tracker::copies).sum::<u64>().saturating_sub(copies);
        for (slot, base) in slots.iter().zip(&bases) {
            let point = self.point;
            self.echoes.extend(
                slot.batch.echoes.iter().map(|echo| (point, *echo, base.saturating_add(u64::from(echo.frame)))),
            );
            frames.append(&slot.batch.frames);
        }
    }
}

impl Slot {
    /// Walks the records of `buffer` that start at or after `start` and before `limit`, all places in the buffer;
    /// `more` appends to the buffer and says whether it could.
    fn decode<F: Format>(
        &mut self,
        format: &mut F,
        hasher: &PairHasher,
        start: usize,
        limit: usize,
        mut more: impl FnMut(&mut Vec<u8>, usize) -> bool,
    ) -> usize {
        let mut decoder = Decoder::new(hasher, &mut self.batch);
        self.stop = None;
        let mut place = start;
        loop {
            let Walked { place: reached, stop } = format.walk(&self.buffer, place, limit, &mut decoder);
            place = reached;
            match stop {
                Some(Stop::Short { needed }) if more(&mut self.buffer, place.saturating_add(needed)) => {}
                stop => {
                    self.stop = stop;
                    return place;
                }
            }
        }
    }
}

/// Why reading ended at `offset` of a capture with `bytes` octets, in words.
fn ended_early(stop: &Stop, offset: u64, bytes: u64, packets: u64) -> String {
    match stop {
        Stop::Short { needed } => {
            let left = bytes.saturating_sub(offset);
            format!(
                "cut at byte {offset}, after packet {packets}: the next record needs {needed} bytes, {left} are left"
            )
        }
        Stop::Damaged { found, expected } => {
            format!(
                "damaged at byte {offset}, after packet {packets}: {found} where {expected} was expected; the rest is not read"
            )
        }
    }
}
