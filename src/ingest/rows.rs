//! Rows of columns read as the captures they came from: through the same shards, into the same evidence.
//!
//! Rows as `lastack extract` leaves them stand for captures: their facts say what belongs together, and captures are put in
//! order as if they had been read themselves. Rows that somebody else has put in order (the columns `point` and `input`,
//! `frame` counted at the capture point) go straight to the trackers, however many there are.

use std::collections::BTreeMap;
use std::ops::Range;

use arrow_array::RecordBatch;
use rayon::prelude::*;

use super::again::Search;
use super::extract::{Covered, Facts, front, number};
use super::sets::Front;
use super::{Capture, HEAD, Pipeline, Slot, file};
use crate::capture::{Format as _, pcap::Pcap, pcapng::Pcapng, snoop::Snoop};
use crate::columns::{self, Cells, Error, Format, Kind, Place, Read, Table};
use crate::connection::Tracker;
use crate::input::{Opened, Origin, Source};
use crate::segment::{Batch, Frames, PairHasher};

/// The rows of a capture, in one file or several.
#[derive(Debug, Default)]
pub(super) struct Rows {
    /// By the first octet that was asked for.
    ranges: BTreeMap<i64, Stretch>,
    file: i64,
}

/// The rows of one range.
#[derive(Debug, Default)]
struct Stretch {
    facts: Option<Facts>,
    /// Where they lie, by the first frame.
    lie: Vec<Lie>,
}

/// Where rows of a range lie: among those of others, all between two places of a file.
#[derive(Debug)]
struct Lie {
    first: u64,
    source: Source,
    format: Format,
    places: Range<u64>,
    /// Octets of the file, where all of it has been read once these rows and those of others have.
    octets: u64,
}

/// What is found in a file of rows, in the order of the rows.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) file: i64,
    from: i64,
    first: u64,
    places: Range<u64>,
    pub(super) front: Option<Front>,
    facts: Option<Facts>,
}

/// Rows of one batch that are tracked at once.
struct Run {
    batch: RecordBatch,
    rows: Range<usize>,
    point: u16,
    input: u32,
    /// What the frames in the columns are counted from, so that 32 bits hold them.
    first: u64,
    /// The same at the capture point.
    base: u64,
}

/// How captures were put in order, and what only the whole of them could tell.
#[derive(Debug, Default)]
pub struct Plan {
    /// For each range of a capture: its number, the first octet that was asked for, the input, the capture point, and the
    /// frames at the point before its first.
    pub ranges: Vec<(i64, i64, u32, u16, u64)>,
    /// Segments that were put together from fragments, in place of those.
    pub joined: Table,
}

/// Looks through a file of rows.
pub(super) fn index(source: &Source, format: Format, hasher: &PairHasher) -> Result<Vec<Found>, Error> {
    let mut found: Vec<Found> = Vec::new();
    let mut read = begin(source, format, 0..u64::MAX)?;
    loop {
        let place = read.place();
        let Some(batch) = read.next().transpose()? else { return Ok(found) };
        let places = place..read.place();
        let cells = Cells::of(&batch)?;
        for row in 0..cells.len() {
            let (file, from) = cells.place(row);
            let known = found.iter().rposition(|one| (one.file, one.from) == (file, from));
            let known = known.unwrap_or_else(|| {
                let (first, places) = (cells.frame(row), places.clone());
                found.push(Found { file, from, first, places, front: None, facts: None });
                found.len() - 1
            });
            let Some(one) = found.get_mut(known) else { continue };
            one.places.end = places.end;
            match cells.kind(row) {
                Some(Kind::Front) => one.front = front(cells.head(row), hasher),
                Some(Kind::Facts) => {
                    let facts = postcard::from_bytes(cells.head(row));
                    one.facts =
                        Some(facts.map_err(|error| Error::Rows(format!("facts that cannot be read: {error}")))?);
                }
                _ => {}
            }
        }
    }
}

fn begin(source: &Source, format: Format, places: Range<u64>) -> Result<Read, Error> {
    let opened = source.open().map_err(|error| Error::Rows(error.to_string()))?;
    Read::between(opened, format, places)
}

impl Lie {
    fn read(&self) -> Result<Read, Error> {
        begin(&self.source, self.format, self.places.clone())
    }
}

impl Rows {
    /// Adds what a file of rows holds of this capture; `octets` is its share of the file.
    pub(super) fn add(&mut self, found: &mut Found, source: &Source, format: Format, octets: u64) -> Result<(), Error> {
        self.file = found.file;
        let stretch = self.ranges.entry(found.from).or_default();
        let (first, source, places) = (found.first, source.clone(), found.places.clone());
        stretch.lie.push(Lie { first, source, format, places, octets });
        stretch.lie.sort_by_key(|lie| lie.first);
        match (&stretch.facts, found.facts.take()) {
            (Some(known), Some(more)) if *known != more => Err(Error::Rows(format!(
                "rows of {} that contradict other rows of it: one capture is extracted once",
                known.name
            ))),
            (Some(_), Some(more)) => Err(Error::Rows(format!("the rows of {} are there twice", more.name))),
            (None, facts) => {
                stretch.facts = facts;
                Ok(())
            }
            (Some(_), None) => Ok(()),
        }
    }

    /// The capture's name, as it was extracted.
    pub(super) fn name(&self) -> Option<&str> {
        self.ranges.values().find_map(|stretch| Some(stretch.facts.as_ref()?.name.as_str()))
    }

    /// Octets of the files they lie in, shared with others.
    pub(super) fn octets(&self) -> u64 {
        self.ranges.values().flat_map(|stretch| &stretch.lie).map(|lie| lie.octets).sum()
    }

    /// The facts of all ranges that count: those behind a damage were read by nobody who read the whole.
    fn facts(&self) -> Result<Vec<&Facts>, Error> {
        let mut all: Vec<&Facts> = Vec::new();
        for (from, stretch) in &self.ranges {
            let facts = stretch.facts.as_ref().ok_or_else(|| {
                Error::Rows(format!("rows from octet {from} on without their facts: the extraction broke off"))
            })?;
            let name = &facts.name;
            let before = all.last().map_or(0, |before| before.range.1);
            if before != facts.range.0 {
                return Err(Error::Rows(format!("{name}: no rows of the octets from {before} to {}", facts.range.0)));
            }
            if let Some(before) = all.last() {
                check(before.covered, facts.covered, facts.frames.packets, facts.range).map_err(|place| {
                    let why = "extract it in ranges of another length, or whole";
                    Error::Rows(format!(
                        "{name}: the range from octet {} begins at no record ({place} would be one): {why}",
                        facts.range.0
                    ))
                })?;
            }
            all.push(facts);
            if facts.truncated.is_some() {
                return Ok(all);
            }
        }
        match all.last() {
            Some(last) if last.range.1 < last.bytes => {
                Err(Error::Rows(format!("{}: no rows of the octets from {} on", last.name, last.range.1)))
            }
            Some(_) => Ok(all),
            None => Err(Error::Rows("no facts of any capture".to_owned())),
        }
    }

    /// Whether both hold the same packets.
    pub(super) fn is_copy_of(&self, other: &Self) -> bool {
        let sum = |rows: &Self| {
            let facts = rows.facts().ok()?;
            let mut frames = Frames::default();
            facts.iter().for_each(|facts| frames.append(&facts.frames));
            let digest = facts.iter().fold(0, |sum: u64, facts| sum.wrapping_add(facts.digest));
            Some((digest, facts.last()?.bytes, frames))
        };
        sum(self).is_some_and(|own| sum(other).is_some_and(|others| own == others))
    }
}

/// A range begins where the one before it ended, in the same state of the format. One without a record lies within one of
/// the range before it.
fn check(before: Covered, next: Covered, packets: u64, range: (u64, u64)) -> Result<(), u64> {
    let inside = packets == 0 && before.end >= range.1;
    let exact = before.end == next.start && before.left == next.entered;
    if inside || exact { Ok(()) } else { Err(before.end) }
}

impl Pipeline<'_> {
    /// Tracks the rows of a capture; frames are counted on from `base` at the capture point.
    pub(super) fn rows(&mut self, rows: &Rows, base: u64, input: u32, plan: &mut Plan) -> Result<Capture, Error> {
        let all = rows.facts()?;
        let mut frames = Frames::default();
        let mut truncated = None;
        for (facts, stretch) in all.iter().zip(rows.ranges.values()) {
            let from = facts.range.0.cast_signed();
            let before = base.saturating_add(frames.packets);
            plan.ranges.push((rows.file, from, input, self.point, before));
            let own_packets = facts.frames.packets;
            frames.append(&facts.frames);
            let place = (rows.file, from);
            for lie in &stretch.lie {
                let mut runs = Runs { place: Some(place), point: self.point, input, before, ..Runs::default() };
                let mut read = lie.read()?;
                while self.window(&mut read, &mut runs)? {
                    let duplicates = self.take_runs(&runs.ready, &mut frames, &mut plan.joined, place);
                    frames.duplicates += duplicates.values().sum::<u64>();
                }
                self.read_whole(lie.octets);
            }
            let packets = |count: u64| format!(", after packet {count}: ");
            truncated =
                facts.truncated.as_ref().map(|text| text.replacen(&packets(own_packets), &packets(frames.packets), 1));
        }
        let (format, bytes) = all.last().map_or(("pcap", 0), |facts| (format_named(&facts.format), facts.bytes));
        Ok(Capture { format, point: self.point, base, frames, truncated, bytes })
    }

    /// Tracks rows that have been put in order; gives the copies among the packets of each input.
    pub(super) fn planned(&mut self, read: &mut Read) -> Result<BTreeMap<u32, u64>, Error> {
        let (mut runs, mut all) = (Runs::default(), BTreeMap::new());
        while self.window(read, &mut runs)? {
            let (mut counts, mut joined) = (Frames::default(), Table::default());
            for (input, count) in self.take_runs(&runs.ready, &mut counts, &mut joined, (0, 0)) {
                *all.entry(input).or_default() += count;
            }
        }
        Ok(all)
    }

    /// Reads rows for all slots; whether there were any.
    fn window(&self, read: &mut Read, runs: &mut Runs) -> Result<bool, Error> {
        runs.ready.clear();
        while runs.ready.len() < self.slots.len() {
            let Some(batch) = read.next() else { break };
            runs.cut(batch?)?;
        }
        Ok(!runs.ready.is_empty())
    }

    fn take_runs(
        &mut self,
        runs: &[Run],
        frames: &mut Frames,
        joined: &mut Table,
        place: (i64, i64),
    ) -> BTreeMap<u32, u64> {
        while self.slots.len() < runs.len() {
            self.slots.push(Slot::default());
        }
        let (hasher, slots) = (&self.hasher, self.slots.get_mut(..runs.len()).unwrap_or_default());
        self.pool.install(|| {
            slots.par_iter_mut().zip(runs).for_each(|(slot, run)| {
                slot.batch.clear();
                if let Ok(cells) = Cells::of(&run.batch) {
                    cells.fill(run.rows.clone(), run.first, hasher, &mut slot.batch);
                }
            });
        });
        for (slot, run) in slots.iter_mut().zip(runs) {
            let fragments: Vec<u32> = slot.batch.fragments.iter().map(|fragment| fragment.frame).collect();
            slot.batch.join(&mut self.reassembly, hasher);
            frames.segments += slot.batch.frames.segments;
            frames.flags.append(&slot.batch.frames.flags);
            if !fragments.is_empty() {
                let place = Place { file: place.0, from: place.1, base: run.first };
                note_joined(joined, slot, &fragments, place);
            }
            let echoes = slot.batch.echoes.iter();
            self.echoes.extend(echoes.map(|echo| (run.point, *echo, run.base.saturating_add(u64::from(echo.frame)))));
        }
        let (slots, trackers) = (&*slots, &mut self.trackers);
        let counts: Vec<BTreeMap<u32, u64>> = self.pool.install(|| {
            let shards = trackers.par_iter_mut().enumerate();
            shards.map(|(shard, tracker)| feed(shard, tracker, slots, runs)).collect()
        });
        let mut all = BTreeMap::new();
        for (input, count) in counts.into_iter().flatten() {
            *all.entry(input).or_default() += count;
        }
        all
    }
}

/// Feeds one shard; gives the copies by input.
fn feed(shard: usize, tracker: &mut Tracker, slots: &[Slot], runs: &[Run]) -> BTreeMap<u32, u64> {
    let mut copies = BTreeMap::new();
    for (slot, run) in slots.iter().zip(runs) {
        let Some(segments) = slot.batch.shards.get(shard) else { continue };
        tracker.go_on_at(run.point);
        let before = tracker.copies();
        tracker.feed(segments, &slot.batch.tunnels, run.base);
        let more = tracker.copies().saturating_sub(before);
        if more > 0 {
            *copies.entry(run.input).or_default() += more;
        }
    }
    copies
}

/// Keeps the segments that came of fragments, each frame's in their order.
fn note_joined(joined: &mut Table, slot: &Slot, fragments: &[u32], place: Place) {
    let mut segments = Vec::new();
    for shard in &slot.batch.shards {
        let of_fragments = shard.segments.iter().filter(|segment| fragments.binary_search(&segment.frame).is_ok());
        segments.extend(of_fragments.map(|segment| (segment, shard)));
    }
    segments.sort_by_key(|(segment, _)| segment.frame);
    let (mut last, mut piece) = (None, 0);
    for (segment, shard) in segments {
        piece = if last == Some(segment.frame) { piece + 1 } else { 0 };
        last = Some(segment.frame);
        joined.segment(segment, piece, shard, &slot.batch.tunnels, place);
    }
}

/// Where rows lie, for a second look at them.
pub(super) struct Places<'a> {
    sources: &'a [Source],
    found: Option<BTreeMap<i64, Rows>>,
}

impl<'a> Places<'a> {
    pub(super) const fn of(sources: &'a [Source]) -> Self {
        Self { sources, found: None }
    }

    /// Shows the rows of a capture, whose frames are counted on from `base`; whether there are any.
    pub(super) fn again(&mut self, name: &str, base: u64, search: &mut Search<'_>) -> bool {
        let sources = self.sources;
        let found = self.found.get_or_insert_with(|| look_through(sources));
        let Some(rows) = found.get(&number(name)) else { return false };
        let Ok(all) = rows.facts() else { return false };
        let (hasher, mut batch) = (PairHasher::default(), Batch::default());
        let mut before = base;
        for (facts, stretch) in all.iter().zip(rows.ranges.values()) {
            let place = Some((rows.file, facts.range.0.cast_signed()));
            let mut runs = Runs { place, before, ..Runs::default() };
            for lie in &stretch.lie {
                for read in lie.read().into_iter().flatten() {
                    if read.and_then(|read| runs.cut(read)).is_err() {
                        break;
                    }
                    for run in runs.ready.drain(..) {
                        batch.clear();
                        if let Ok(cells) = Cells::of(&run.batch) {
                            cells.fill(run.rows, run.first, &hasher, &mut batch);
                        }
                        search.take_at(&batch, run.base);
                    }
                }
            }
            before = before.saturating_add(facts.frames.packets);
        }
        true
    }
}

fn look_through(sources: &[Source]) -> BTreeMap<i64, Rows> {
    let mut all: BTreeMap<i64, Rows> = BTreeMap::new();
    for source in sources.iter().filter(|source| matches!(source.origin, Origin::File(_))) {
        let head = match source.open() {
            Ok(Opened::Plain { file, .. }) => file::head(&file, HEAD).unwrap_or_default(),
            Ok(Opened::Stream { head, .. }) => head,
            Ok(Opened::Archive(_)) | Err(_) => continue,
        };
        let Some(format) = columns::recognise(&head) else { continue };
        for mut found in index(source, format, &PairHasher::default()).unwrap_or_default() {
            // The first pass has told what is wrong with them.
            let _ = all.entry(found.file).or_default().add(&mut found, source, format, 0);
        }
    }
    all
}

/// Cuts batches into runs.
#[derive(Default)]
struct Runs {
    /// The range that is wanted; without one, rows have been put in order.
    place: Option<(i64, i64)>,
    point: u16,
    input: u32,
    /// Frames at the point before the range.
    before: u64,
    ready: Vec<Run>,
    last: Option<(u16, u64)>,
}

impl Runs {
    fn cut(&mut self, batch: RecordBatch) -> Result<(), Error> {
        let cells = Cells::of(&batch)?;
        let mut current: Option<Run> = None;
        for row in 0..cells.len() {
            let wanted = match self.place {
                Some(place) => (cells.place(row) == place).then_some((self.point, self.input)),
                None => cells.planned(row),
            };
            let facts = matches!(cells.kind(row), Some(Kind::Front | Kind::Facts) | None);
            let Some((point, input)) = wanted.filter(|_| !facts) else {
                self.ready.extend(current.take());
                continue;
            };
            let frame = cells.frame(row);
            self.in_order(point, frame)?;
            let goes_on = |run: &Run| {
                (run.point, run.input) == (point, input) && frame.saturating_sub(run.first) < u64::from(u32::MAX)
            };
            match &mut current {
                Some(run) if goes_on(run) => run.rows.end = row + 1,
                _ => {
                    self.ready.extend(current.take());
                    let base = if self.place.is_some() { self.before.saturating_add(frame) } else { frame };
                    let (batch, rows) = (batch.clone(), row..row + 1);
                    current = Some(Run { batch, rows, point, input, first: frame, base });
                }
            }
        }
        self.ready.extend(current);
        Ok(())
    }

    /// Whatever put the rows in order: the trackers rely on it.
    fn in_order(&mut self, point: u16, frame: u64) -> Result<(), Error> {
        if self.last.is_some_and(|last| last > (point, frame)) {
            return Err(Error::Rows(format!(
                "rows that are not in the order of capture points and frames (frame {frame} of point {point} came too late)"
            )));
        }
        self.last = Some((point, frame));
        Ok(())
    }
}

/// The static name of a format.
pub(super) fn format_named(name: &str) -> &'static str {
    [Pcap::NAME, Pcapng::NAME, Snoop::NAME].into_iter().find(|known| *known == name).unwrap_or(Pcap::NAME)
}
