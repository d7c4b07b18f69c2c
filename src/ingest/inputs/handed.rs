//! What others hand over: rows of columns that stand for captures, and parts of evidence that another run tracked.

use std::collections::BTreeMap;
use std::io::Read;

use super::{Input, Kind, Looked, Octets, Reader, Waiting};
use crate::columns;
use crate::error::Error;
use crate::ingest::part::{Part, PartInput};
use crate::ingest::rows;
use crate::input::{Opened, Source};

/// What came as rows, or as parts of evidence.
#[derive(Default)]
pub(super) struct Columns {
    /// Nothing else is taken for captures.
    pub(super) only: Option<columns::Format>,
    /// Where the captures wait that rows stand for, by their numbers.
    pub(super) inputs: BTreeMap<i64, usize>,
    pub(super) plan: rows::Plan,
    pub(super) duplicates: BTreeMap<u32, u64>,
    pub(super) parts: Vec<Part>,
    pub(super) vessels: Vec<String>,
    /// The inputs of the parts, and the place of the first.
    pub(super) listed: Option<(Vec<PartInput>, usize)>,
}

impl Reader<'_> {
    /// Rows: the captures that they stand for wait like others; rows in order are tracked at once.
    pub(super) fn rows(&mut self, source: &Source, opened: Opened, format: columns::Format) -> Result<Looked, Error> {
        let failed = |error: columns::Error| Error::Rows { input: source.name.clone(), why: error.to_string() };
        if let Some(only) = self.columns.only.filter(|only| *only != format) {
            let why = format!("rows in {}, where {} was announced", format.name(), only.name());
            return Err(Error::Rows { input: source.name.clone(), why });
        }
        if self.pipeline.part.is_some() {
            let why = "rows hold no packets that a filter could leave out: give it to `lastack extract`";
            return Err(Error::Rows { input: source.name.clone(), why: why.to_owned() });
        }
        let mut read = columns::Read::begin(opened, format).map_err(failed)?;
        self.columns.vessels.push(source.name.clone());
        if read.is_planned() {
            for (input, count) in self.pipeline.planned(&mut read).map_err(failed)? {
                *self.columns.duplicates.entry(input).or_default() += count;
            }
            return Ok(Looked::Read);
        }
        if !source.is_lasting() {
            let why = "rows of whole captures are read twice: save them to a file first";
            return Err(Error::Rows { input: source.name.clone(), why: why.to_owned() });
        }
        let all = rows::index(source, format, self.pipeline.hasher()).map_err(failed)?;
        let mut shares = (1..=all.len() as u64).rev();
        let mut octets = source.octets();
        for mut found in all {
            let share = octets / shares.next().unwrap_or(1);
            octets = octets.saturating_sub(share);
            let input = match self.columns.inputs.get(&found.file) {
                Some(input) => *input,
                None => {
                    let input = self.add(&source.name, Kind::Other, 0);
                    self.columns.inputs.insert(found.file, input);
                    let octets = Octets::Rows(rows::Rows::default());
                    self.waiting.push(Waiting { input, octets, named: source.named, front: None });
                    input
                }
            };
            let Some(waiting) = self.waiting.iter_mut().find(|waiting| waiting.input == input) else { continue };
            let Octets::Rows(rows) = &mut waiting.octets else { continue };
            rows.add(&mut found, source, format, share).map_err(failed)?;
            waiting.front = waiting.front.take().or(found.front);
            if let (Some(name), Some(input)) = (rows.name(), self.inputs.get_mut(input)) {
                name.clone_into(&mut input.name);
                name.clone_into(&mut input.opened_as);
            }
        }
        Ok(Looked::Waits)
    }

    /// A part of evidence that another run has written.
    pub(super) fn part(&mut self, source: &Source, opened: Opened) -> Result<Looked, Error> {
        let unusable = |why: String| Error::Rows { input: source.name.clone(), why };
        let read = match opened {
            Opened::Plain { mut file, .. } => Part::read(&mut file),
            Opened::Stream { head, reader, .. } => Part::read(&mut head.as_slice().chain(reader)),
            Opened::Archive(_) => return Ok(Looked::Read),
        };
        let mut part = read.map_err(|error| unusable(error.to_string()))?;
        let inputs = std::mem::take(&mut part.inputs);
        match &self.columns.listed {
            _ if inputs.is_empty() => {}
            Some((known, _)) if *known == inputs => {}
            Some(_) => return Err(unusable("a part of other inputs than those of the parts before it".to_owned())),
            None => {
                let first = self.inputs.len();
                self.inputs.extend(inputs.iter().cloned().map(PartInput::into_input));
                self.columns.listed = Some((inputs, first));
            }
        }
        self.columns.vessels.push(source.name.clone());
        self.columns.parts.push(part);
        Ok(Looked::Read)
    }

    /// Takes in the parts: their inputs have been listed, and what they counted is added.
    pub(super) fn merge(&mut self) -> Vec<Part> {
        let parts = std::mem::take(&mut self.columns.parts);
        let mut complain =
            |why: &str| self.errors.push(Error::Rows { input: "parts of evidence".to_owned(), why: why.to_owned() });
        let first = match &self.columns.listed {
            _ if parts.is_empty() => return parts,
            Some((_, first)) if self.points == 0 => *first,
            Some(_) => {
                complain(
                    "parts are merged with parts, and with what hosts say of themselves; captures need parts of their own",
                );
                return Vec::new();
            }
            None => {
                complain(
                    "none of them lists the inputs: the part that `lastack analyze --emit plan` writes is missing",
                );
                return Vec::new();
            }
        };
        if parts.iter().map(|part| part.shards.len()).sum::<usize>() > usize::from(u16::MAX) {
            complain("there are more than 4000: track in fewer parts");
            return Vec::new();
        }
        for (number, count) in parts.iter().flat_map(|part| &part.duplicates) {
            let input =
                usize::try_from(*number).ok().and_then(|number| self.inputs.get_mut(first.saturating_add(number)));
            if let Some(Input { kind: Kind::Capture(capture), .. }) = input {
                capture.frames.duplicates += count;
            }
        }
        parts
    }
}
