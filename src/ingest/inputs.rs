//! Reads every input: captures into the one pipeline, what a host says of itself into facts.
//!
//! Content decides. What is no capture is looked at as text in which a host describes itself; anything else is
//! listed and left alone. Captures wait until all inputs have been looked at, so that the files of a rotated set are
//! found whatever their order, and copies are read once; members of archives are held in memory meanwhile, and where
//! there are too many, what waits is read first.

#[cfg(feature = "columns")]
mod handed;

use std::io::{self, Cursor, Read, Seek};

#[cfg(feature = "columns")]
use self::handed::Columns;
use super::members::{Next, Unpacking};
use super::overlap::{self, Agreement};
#[cfg(feature = "columns")]
use super::part;
use super::sets::{FRONT, Fit, Front, Open};
use super::text::{self, Text};
use super::{Capture, HEAD, NoThreads, Parts, Pipeline, file};
use crate::capture;
#[cfg(feature = "columns")]
use crate::columns;
use crate::error::Error;
use crate::input::{Archive, EXPECTED, Gauge, Opened, Origin, Source, Unread, foreign};
use crate::segment::{Filter, PairHasher};

/// One input and what it came to.
#[derive(Clone, Debug)]
pub struct Input {
    /// As given, unless that is redacted.
    pub name: String,
    /// As given: to open it once more, and for no other eyes.
    pub opened_as: String,
    /// What it is.
    pub kind: Kind,
    /// Its length; of compressed inputs, that of what was unpacked.
    pub bytes: u64,
    /// What a reader should know of it: why it could not be read, which other input holds the same packets.
    pub notes: Vec<String>,
}

/// What an input is.
#[derive(Clone, Debug)]
#[allow(clippy::large_enum_variant)] // There are as few of them as inputs.
pub enum Kind {
    /// A packet capture.
    Capture(Capture),
    /// Text in which a host describes itself.
    Snapshot(Text),
    /// Nothing that is read.
    Other,
}

/// All inputs read.
#[derive(Debug)]
pub struct Reading {
    /// In the order of the arguments.
    pub inputs: Vec<Input>,
    /// What the captures gave.
    pub parts: Parts,
    /// What gave nothing although the user named it.
    pub errors: Vec<Error>,
    /// How many connections were allowed, where there were more and reading gave up: what stands here is not all.
    pub full: Option<usize>,
    /// Files of rows and of parts, which stand for inputs and are none.
    #[cfg(feature = "columns")]
    pub vessels: Vec<String>,
    /// Copies among the packets of inputs that this run knows by their numbers alone.
    #[cfg(feature = "columns")]
    pub duplicates: Vec<(u32, u64)>,
    /// How rows were put in order.
    #[cfg(feature = "columns")]
    pub plan: super::rows::Plan,
}

/// Reads all sources with `threads` threads (0: one a core); `progress` is told how many octets of them have been read,
/// counted as they lie in files: of what is packed, before it is unpacked. Files of a rotated set are read as one
/// capture point.
///
/// # Errors
/// If the operating system refuses the threads. What cannot be read is told in [`Reading::errors`].
pub fn read(sources: &[Source], threads: usize, progress: &(dyn Fn(u64) + Sync)) -> Result<Reading, NoThreads> {
    read_as(sources, How::default(), threads, progress)
}

/// What is read of captures, and how they belong together.
#[derive(Debug, Default)]
pub struct How {
    /// The part that is looked at; nothing is left out where it is empty.
    pub part: Filter,
    /// Every capture is a capture point of its own.
    pub separate: bool,
    /// Connections beyond which reading gives up.
    pub most: Option<usize>,
    /// What this run reads is not all there is: nothing is said of the whole.
    pub partial: bool,
    /// Hashes are the same in every run, for rows that others group by them.
    pub fixed: bool,
    /// Captures must have come as rows of this format.
    #[cfg(feature = "columns")]
    pub only: Option<columns::Format>,
}

/// As [`read`], in a way that is asked for.
///
/// # Errors
/// As [`read`].
pub fn read_as(
    sources: &[Source],
    how: How,
    threads: usize,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<Reading, NoThreads> {
    let mut reader = Reader::new(threads, progress, !how.separate)?;
    reader.partial = how.partial;
    if how.fixed {
        reader.pipeline.hasher = PairHasher::fixed();
    }
    #[cfg(feature = "columns")]
    {
        reader.columns.only = how.only;
    }
    if !how.part.is_empty() {
        reader.pipeline.look_at(how.part);
    }
    reader.pipeline.most = how.most;
    Ok(reader.run(sources))
}

/// Octets of archive members that are held in memory until they are read.
const MOST_HELD: u64 = 256 << 20;

/// A capture that has been recognised and waits for its turn.
struct Waiting {
    input: usize,
    octets: Octets,
    named: bool,
    front: Option<Front>,
}

/// Where the octets of a capture are.
enum Octets {
    /// Opened when they are read.
    Lasting(Source),
    /// Read once.
    Once { head: Vec<u8>, reader: Unread, gauge: Gauge },
    /// Rows that stand for them.
    #[cfg(feature = "columns")]
    Rows(super::rows::Rows),
}

impl Octets {
    /// Octets of the files they lie in, as far as they are theirs.
    fn of_files(&self) -> u64 {
        match self {
            Self::Lasting(source) => source.octets(),
            Self::Once { .. } => 0,
            #[cfg(feature = "columns")]
            Self::Rows(rows) => rows.octets(),
        }
    }
}

/// What became of a source that was looked at.
enum Looked {
    /// It has been read.
    Read,
    /// What it holds waits for its turn.
    Waits,
}

struct Reader<'a> {
    pipeline: Pipeline<'a>,
    joined: bool,
    inputs: Vec<Input>,
    errors: Vec<Error>,
    waiting: Vec<Waiting>,
    /// Octets held in memory.
    held: u64,
    points: u16,
    /// The capture point that may go on.
    open: Option<Open>,
    partial: bool,
    #[cfg(feature = "columns")]
    columns: Columns,
}

impl<'a> Reader<'a> {
    fn new(threads: usize, progress: &'a (dyn Fn(u64) + Sync), joined: bool) -> Result<Self, NoThreads> {
        Ok(Self {
            pipeline: Pipeline::new(threads, progress)?,
            joined,
            inputs: Vec::new(),
            errors: Vec::new(),
            waiting: Vec::new(),
            held: 0,
            points: 0,
            open: None,
            partial: false,
            #[cfg(feature = "columns")]
            columns: Columns::default(),
        })
    }

    fn run(mut self, sources: &[Source]) -> Reading {
        for source in sources {
            self.source(source);
        }
        self.flush();
        let full = self.pipeline.most.filter(|_| self.pipeline.is_full());
        #[cfg(feature = "columns")]
        let merged = self.merge();
        #[allow(unused_mut)]
        let mut parts = self.pipeline.finish();
        #[cfg(feature = "columns")]
        for part in merged {
            parts.shards.extend(part.shards);
            parts.echoes.extend(part.echoes);
            parts.echoes.sort_by_key(|(point, _, frame)| (*point, *frame));
        }
        if !self.partial {
            overlap::note(&mut self.inputs, &parts.shards);
        }
        Reading {
            inputs: self.inputs,
            parts,
            errors: self.errors,
            full,
            #[cfg(feature = "columns")]
            vessels: self.columns.vessels,
            #[cfg(feature = "columns")]
            duplicates: self.columns.duplicates.into_iter().collect(),
            #[cfg(feature = "columns")]
            plan: self.columns.plan,
        }
    }

    /// Looks at a source: text is read, captures wait, archives are walked through.
    fn source(&mut self, source: &Source) {
        let looked = match source.open() {
            Ok(Opened::Archive(archive)) => {
                self.archive(source, archive);
                Ok(Looked::Read)
            }
            Ok(opened) => self.look(source, opened),
            Err(error) => Err(error),
        };
        match looked {
            Ok(Looked::Waits) => {}
            Ok(Looked::Read) => self.pipeline.read_whole(source.octets()),
            Err(error) => {
                self.unreadable(source, error);
                self.pipeline.read_whole(source.octets());
            }
        }
    }

    fn look(&mut self, source: &Source, opened: Opened) -> Result<Looked, Error> {
        let failed = |error| Error::io(source.name.clone(), "read", error);
        let (head, opened) = match opened {
            Opened::Plain { mut file, bytes } => {
                let head = file::head(&file, HEAD).map_err(failed)?;
                file.rewind().map_err(failed)?;
                (head, Opened::Plain { file, bytes })
            }
            Opened::Stream { head, reader, gauge } => (head.clone(), Opened::Stream { head, reader, gauge }),
            archive @ Opened::Archive(_) => (Vec::new(), archive),
        };
        #[cfg(feature = "columns")]
        if let Some(format) = columns::recognise(&head) {
            return self.rows(source, opened, format);
        }
        #[cfg(feature = "columns")]
        if head.starts_with(part::MAGIC) {
            return self.part(source, opened);
        }
        if capture::recognise(&head).is_some() {
            #[cfg(feature = "columns")]
            if let Some(only) = self.columns.only {
                let why = format!("a capture, where rows in {} were announced", only.name());
                return Err(Error::Rows { input: source.name.clone(), why });
            }
            let octets = match opened {
                Opened::Stream { head, reader, gauge } if !source.is_lasting() => Octets::Once { head, reader, gauge },
                _ => Octets::Lasting(source.clone()),
            };
            let input = self.add(&source.name, Kind::Other, 0);
            self.waiting.push(Waiting { input, octets, named: source.named, front: None });
            return Ok(Looked::Waits);
        }
        let number = u32::try_from(self.inputs.len()).unwrap_or(u32::MAX);
        let (text, bytes) = match opened {
            Opened::Plain { mut file, bytes } => {
                (text::read(number, &source.name, &mut file, &self.pipeline.pool).map_err(failed)?.0, bytes)
            }
            Opened::Stream { head, reader, .. } => {
                text::read(number, &source.name, &mut head.as_slice().chain(reader), &self.pipeline.pool)
                    .map_err(failed)?
            }
            Opened::Archive(_) => (None, 0),
        };
        if text.is_none() {
            self.unrecognised(source, bytes, foreign(&head));
        }
        let input = self.add(&source.name, text.map_or(Kind::Other, Kind::Snapshot), bytes);
        if let (Some(what), Some(input)) = (foreign(&head), self.inputs.get_mut(input)) {
            input.notes.push(what.to_owned());
        }
        Ok(Looked::Read)
    }

    /// Walks through an archive. Captures are held in memory while there is room, so that they can be put in order.
    fn archive(&mut self, source: &Source, archive: Archive) {
        let failed = |error| Error::io(source.name.clone(), "unpack", error);
        let gauge = archive.gauge();
        let mut unpacking = match Unpacking::begin(archive, &source.name) {
            Ok(unpacking) => unpacking,
            Err(error) => return self.unreadable(source, failed(error)),
        };
        let first = self.inputs.len();
        while let Some(next) = unpacking.next() {
            match next {
                Next::Member(name, head, rest) => {
                    self.pipeline.read_of_this(gauge.octets());
                    self.member(name, head, Box::new(rest), &gauge);
                }
                Next::Broken(name, why) => {
                    let name = if name.is_empty() { source.name.clone() } else { name };
                    let input = self.add(&name, Kind::Other, 0);
                    if let Some(input) = self.inputs.get_mut(input) {
                        input.notes.push(why);
                    }
                }
            }
        }
        let waits = self.waiting.iter().any(|waiting| waiting.input >= first);
        let inside = self.inputs.get(first..).unwrap_or(&[]);
        if source.named && !waits && inside.iter().all(|input| matches!(input.kind, Kind::Other)) {
            let why = inside.iter().find_map(|input| input.notes.first()).map(|why| format!(" ({why})"));
            self.errors.push(Error::Unrecognised {
                input: source.name.clone(),
                found: format!("an archive in which nothing is recognised{}", why.unwrap_or_default()),
                expected: EXPECTED,
            });
        }
    }

    fn member(&mut self, name: String, head: Vec<u8>, mut rest: Unread, gauge: &Gauge) {
        let mut source = Source { name, origin: Origin::StandardInput, named: false };
        if capture::recognise(&head).is_none() {
            if let Err(error) = self.look(&source, Opened::Stream { head, reader: rest, gauge: gauge.clone() }) {
                self.unreadable(&source, error);
            }
            return;
        }
        let room = MOST_HELD.saturating_sub(self.held);
        let mut bytes = head;
        let broken = rest.by_ref().take(room).read_to_end(&mut bytes).err();
        let input = self.add(&source.name, Kind::Other, 0);
        if let Some(error) = &broken {
            self.note(input, format!("unpacking broke off: {error}"));
        }
        let length = bytes.len() as u64;
        if broken.is_some() || length < room {
            self.held = self.held.saturating_add(length);
            source.origin = Origin::Memory(bytes.into());
            let octets = Octets::Lasting(source);
            return self.waiting.push(Waiting { input, octets, named: false, front: None });
        }
        // It is too long to be held: it is read now, behind all that waits.
        self.flush();
        let front = || Front::of(&source.name, bytes.get(..FRONT).unwrap_or(&bytes), self.pipeline.hasher());
        let front = if self.joined { front() } else { None };
        let behind = bytes.split_off(bytes.len().min(HEAD));
        let reader: Unread = Box::new(Cursor::new(behind).chain(rest));
        let waiting =
            Waiting { input, octets: Octets::Once { head: bytes, reader, gauge: gauge.clone() }, named: false, front };
        let goes_on = waiting.front.as_ref().is_some_and(|front| self.fit(front).is_some());
        self.take(waiting, goes_on);
    }

    /// Reads everything that waits, the files of a set one behind the other.
    fn flush(&mut self) {
        if self.joined && (self.waiting.len() > 1 || self.open.is_some()) {
            self.look_at_fronts();
            self.drop_copies();
        }
        while !self.waiting.is_empty() && !self.pipeline.is_full() {
            let (place, goes_on) = self.next();
            let waiting = self.waiting.remove(place);
            self.take(waiting, goes_on);
        }
        self.held = 0;
    }

    /// The place of the capture that is read next, and whether it goes on with the open point.
    fn next(&self) -> (usize, bool) {
        let fronts = || self.waiting.iter().enumerate().filter_map(|(place, w)| Some((place, w, w.front.as_ref()?)));
        let fits = fronts().filter_map(|(place, waiting, front)| Some((self.fit(front)?, waiting.input, place)));
        if let Some((_, _, place)) = fits.min() {
            return (place, true);
        }
        // A new point: the first input that is left, or what may be the front of its set.
        let first = self.waiting.iter().enumerate().min_by_key(|(_, waiting)| waiting.input);
        let Some((place, Waiting { front: Some(front), .. })) = first else { return (first.map_or(0, |f| f.0), false) };
        let akin = fronts().filter(|(_, _, other)| other.is_akin(front) && other.first_at.is_some());
        let earliest = akin.min_by_key(|(_, waiting, other)| (other.first_at, waiting.input));
        (earliest.filter(|_| front.first_at.is_some()).map_or(place, |(place, _, _)| place), false)
    }

    fn fit(&self, front: &Front) -> Option<Fit> {
        self.open.as_ref()?.fits(front, &self.pipeline)
    }

    /// Reads a capture at the open point or at a new one.
    fn take(&mut self, waiting: Waiting, goes_on: bool) {
        let Waiting { input, octets, named, front } = waiting;
        if !goes_on {
            self.pipeline.begin_point(self.points);
            self.open = None;
        }
        let base = self.open.as_ref().map_or(0, |open| open.frames);
        let name = self.inputs.get(input).map(|input| input.name.clone()).unwrap_or_default();
        let result = match octets {
            Octets::Lasting(source) => {
                let result = source.open().and_then(|opened| self.capture(&name, opened, base));
                self.pipeline.read_whole(source.octets());
                result
            }
            Octets::Once { head, reader, gauge } => self.capture(&name, Opened::Stream { head, reader, gauge }, base),
            #[cfg(feature = "columns")]
            Octets::Rows(rows) => {
                let number = u32::try_from(input).unwrap_or(u32::MAX);
                let tracked = self.pipeline.rows(&rows, base, number, &mut self.columns.plan);
                tracked.map(Some).map_err(|error| Error::Rows { input: name.clone(), why: error.to_string() })
            }
        };
        match result {
            Ok(Some(capture)) => {
                self.points = self.points.saturating_add(u16::from(!goes_on));
                if let Some(front) = front {
                    let open = self.open.get_or_insert_with(|| front.open());
                    open.append(front, capture.frames.packets, capture.frames.last_at);
                }
                if let Some(input) = self.inputs.get_mut(input) {
                    input.bytes = capture.bytes;
                    input.kind = Kind::Capture(capture);
                }
            }
            Ok(None) => self.note(input, "it changed while it was read".to_owned()),
            Err(error) if named || self.partial => self.errors.push(error),
            Err(error) => self.note(input, error.to_string()),
        }
    }

    fn capture(&mut self, name: &str, opened: Opened, base: u64) -> Result<Option<Capture>, Error> {
        match opened {
            Opened::Plain { file, bytes } => {
                self.pipeline.file(&file, bytes, base).map_err(|error| Error::io(name, "read", error))
            }
            Opened::Stream { head, reader, gauge } => Ok(self.pipeline.stream(head, reader, &gauge, base).ok()),
            Opened::Archive(_) => Ok(None),
        }
    }

    /// Looks at the first packets of everything that waits.
    fn look_at_fronts(&mut self) {
        let hasher = self.pipeline.hasher();
        for waiting in self.waiting.iter_mut().filter(|waiting| waiting.front.is_none()) {
            let name = self.inputs.get(waiting.input).map_or("", |input| input.name.as_str());
            waiting.front = match &mut waiting.octets {
                Octets::Lasting(source) => front_octets(source).and_then(|bytes| Front::of(name, &bytes, hasher)),
                Octets::Once { head, reader, .. } => {
                    let more = FRONT.saturating_sub(head.len()) as u64;
                    // A stream that breaks off here does so again when it is read.
                    let failure = reader.by_ref().take(more).read_to_end(head).err();
                    if let Some(failure) = failure {
                        *reader = Box::new(Failed(Some(failure)));
                    }
                    Front::of(name, head, hasher)
                }
                #[cfg(feature = "columns")]
                Octets::Rows(_) => None,
            };
        }
    }

    /// Leaves out captures whose packets another one holds too, octet for octet.
    fn drop_copies(&mut self) {
        let mut place = 0;
        while place < self.waiting.len() {
            match self.original_of(place) {
                Some((original, all)) => {
                    let copy = self.waiting.remove(place);
                    let of = self.inputs.get(original).map(|input| input.name.clone()).unwrap_or_default();
                    let what = if all { "a copy of" } else { "a copy of the first part of" };
                    self.note(copy.input, format!("{what} {of}, packet by packet: read once"));
                    self.pipeline.read_whole(copy.octets.of_files());
                }
                None => place += 1,
            }
        }
    }

    /// The input that holds all packets of a capture that waits, and whether it holds no others.
    fn original_of(&self, place: usize) -> Option<(usize, bool)> {
        let this = self.waiting.get(place)?;
        #[cfg(feature = "columns")]
        if let Octets::Rows(rows) = &this.octets {
            let earlier = self.waiting.iter().take(place);
            let copies = |other: &Waiting| matches!(&other.octets, Octets::Rows(others) if rows.is_copy_of(others));
            return earlier.filter(|other| copies(other)).map(|other| (other.input, true)).next();
        }
        let (Octets::Lasting(source), Some(front)) = (&this.octets, &this.front) else { return None };
        self.waiting.iter().enumerate().find_map(|(other_place, other)| {
            let (Octets::Lasting(other_source), Some(other_front)) = (&other.octets, &other.front) else { return None };
            if other_place == place || !front.begins_like(other_front) {
                return None;
            }
            match overlap::compare(source, other_source) {
                Agreement::Same => (other_place < place).then_some((other.input, true)),
                Agreement::SecondHoldsMore => Some((other.input, false)),
                Agreement::FirstHoldsMore | Agreement::None => None,
            }
        })
    }

    /// Lists an input and gives its number.
    fn add(&mut self, name: &str, kind: Kind, bytes: u64) -> usize {
        self.inputs.push(Input { name: name.to_owned(), opened_as: name.to_owned(), kind, bytes, notes: Vec::new() });
        self.inputs.len() - 1
    }

    fn note(&mut self, input: usize, text: String) {
        if let Some(input) = self.inputs.get_mut(input) {
            input.notes.push(text);
        }
    }

    /// An input that gave nothing: told where it was named, noted where it was found.
    fn unreadable(&mut self, source: &Source, error: Error) {
        let input = self.add(&source.name, Kind::Other, 0);
        // Of evidence in parts none may be missing, wherever it was found.
        if source.named || self.partial || matches!(error, Error::Rows { .. }) {
            self.errors.push(error);
        } else {
            self.note(input, error.to_string());
        }
    }

    /// What is told of an input that the user named and nothing was recognised in.
    fn unrecognised(&mut self, source: &Source, bytes: u64, foreign: Option<&str>) {
        let found = if bytes == 0 { "an empty file" } else { foreign.unwrap_or("nothing that is recognised") };
        if source.named {
            self.errors.push(Error::Unrecognised {
                input: source.name.clone(),
                found: found.to_owned(),
                expected: EXPECTED,
            });
        }
    }
}

/// The first octets of a capture.
fn front_octets(source: &Source) -> Option<Vec<u8>> {
    match source.open().ok()? {
        Opened::Plain { file, .. } => file::head(&file, FRONT).ok(),
        Opened::Stream { mut head, reader, .. } => {
            let more = FRONT.saturating_sub(head.len()) as u64;
            // What breaks off there is told when it is read.
            let _ = reader.take(more).read_to_end(&mut head);
            Some(head)
        }
        Opened::Archive(_) => None,
    }
}

/// A stream that broke off.
struct Failed(Option<io::Error>);

impl Read for Failed {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        self.0.take().map_or(Ok(0), Err)
    }
}
