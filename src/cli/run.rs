//! Reading inputs on behalf of a command: progress while it lasts, messages for what gave nothing.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::PathBuf;

use anyhow::Context;
use tempfile::NamedTempFile;

use super::progress::Progress;
use super::{Inputs, Status, log, memory, output};
use crate::error::Error;
use crate::evidence::Evidence;
use crate::input::{Origin, Source};
use crate::redact::{Redactor, rename};
use crate::{ingest, input};

/// What a command was given to read.
pub(super) struct Given {
    pub(super) sources: Vec<Source>,
    errors: Vec<Error>,
    /// Where standard input was kept.
    _kept: Option<NamedTempFile>,
}

impl Given {
    /// Lists the inputs. Where they are to be opened `again`, standard input is kept in a file until the command ends.
    pub(super) fn new(inputs: &Inputs, again: bool) -> anyhow::Result<Self> {
        let (mut sources, errors) = input::expand(&inputs.inputs);
        let mut kept = None;
        let standard = |source: &&mut Source| again && matches!(source.origin, Origin::StandardInput);
        if let Some(source) = sources.iter_mut().find(standard) {
            let mut file = NamedTempFile::new().context("cannot make a temporary file for standard input")?;
            std::io::copy(&mut std::io::stdin().lock(), &mut file).context("cannot keep standard input")?;
            source.origin = Origin::File(file.path().to_owned());
            kept = Some(file);
        }
        Ok(Self { sources, errors, _kept: kept })
    }

    /// What could not be listed.
    #[cfg(feature = "columns")]
    pub(super) fn errors(&self) -> impl Iterator<Item = &Error> {
        self.errors.iter()
    }

    /// The octets of all inputs that are files, one behind the other.
    pub(super) fn octets(&self) -> impl Read {
        let paths: Vec<PathBuf> = self.sources.iter().filter_map(|source| source.path().map(PathBuf::from)).collect();
        Joined { paths: paths.into_iter(), open: None }
    }
}

/// Files one behind the other, each opened when its turn comes; one that cannot be opened has nothing.
struct Joined {
    paths: std::vec::IntoIter<PathBuf>,
    open: Option<File>,
}

impl Read for Joined {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        loop {
            if let Some(file) = &mut self.open {
                match file.read(into)? {
                    0 => self.open = None,
                    length => return Ok(length),
                }
            }
            let Some(path) = self.paths.next() else { return Ok(0) };
            self.open = File::open(path).ok();
        }
    }
}

/// How inputs are read, beside what their own options say.
#[derive(Clone, Copy, Default)]
pub(super) struct How<'a> {
    /// What replaces addresses and names in all that was read.
    pub(super) redactor: Option<&'a Redactor>,
    /// A batch runs the command and shows the progress.
    pub(super) supervised: bool,
    /// Captures must have come as rows of this format.
    #[cfg(feature = "columns")]
    pub(super) only: Option<crate::columns::Format>,
}

/// Ends the command where the inputs hold more connections than are allowed, and says what to do.
pub(super) fn refuse_too_many(reading: &ingest::Reading, inputs: &Inputs) -> anyhow::Result<()> {
    let Some(most) = reading.full else { return Ok(()) };
    let why = if inputs.connections_limit.is_some() {
        "the limit that --connections-limit sets"
    } else {
        "which is what this machine's free memory holds at 220 bytes each; --connections-limit N goes on to N"
    };
    anyhow::bail!(
        "the inputs hold more than {most} connections, {why}. Nothing was written. Look at a part with --host, --port, \
         --between or --filter, or share the work among machines (lastack extract and merge; docs/cluster.md)"
    );
}

/// Reads all inputs; the status says whether one that was named gave nothing.
pub(super) fn read(inputs: &Inputs, given: &mut Given, how: How<'_>) -> anyhow::Result<(Evidence, Status)> {
    if let Some(file) = &inputs.log {
        log::begin(file)?;
    }
    let How { redactor, supervised, .. } = how;
    let sources = &given.sources;
    let mut errors = std::mem::take(&mut given.errors);
    log::line("reading", &format!("{} files", sources.len()));
    let progress = Progress::new(sources, inputs.quiet, supervised);
    let how = ingest::How {
        part: inputs.part.filter(),
        separate: inputs.separate,
        most: inputs.connections_limit.or_else(memory::connections),
        #[cfg(feature = "columns")]
        only: how.only,
        ..ingest::How::default()
    };
    let mut reading =
        ingest::read_as(sources, how, inputs.threads, &|octets| progress.at(octets)).context("reading inputs")?;
    progress.finish();
    refuse_too_many(&reading, inputs)?;
    reading.inputs.iter().for_each(log_input);
    errors.append(&mut reading.errors);
    for argument in &inputs.inputs {
        let read = reading.inputs.iter().filter(|input| !matches!(input.kind, ingest::Kind::Other));
        let inside = read.filter(|input| std::path::Path::new(&input.name).starts_with(argument)).count();
        #[cfg(feature = "columns")]
        let inside =
            inside + reading.vessels.iter().filter(|name| std::path::Path::new(name).starts_with(argument)).count();
        if argument.is_dir()
            && inside == 0
            && !errors.iter().any(|error| error.input() == argument.display().to_string())
        {
            errors.push(Error::Unrecognised {
                input: argument.display().to_string(),
                found: "a folder in which nothing is recognised".to_owned(),
                expected: input::EXPECTED,
            });
        }
    }
    for error in &errors {
        output::complain(&error.to_string());
    }
    if let Some(redactor) = redactor {
        redactor.reading(&mut reading);
    }
    let mut evidence = Evidence::new(reading.inputs, reading.parts);
    if let Some(redactor) = redactor {
        rename(&mut evidence, redactor);
    }
    for input in &evidence.inputs {
        input.notes.iter().for_each(|note| output::complain(&format!("{}: {note}", input.name)));
    }
    for (number, name) in evidence.inputs.iter().map(|input| &input.name).enumerate() {
        if let Some(why) = evidence.capture(number).and_then(|capture| capture.truncated.as_deref()) {
            output::complain(&format!("{name}: {why}"));
        }
    }
    let nothing = evidence.points.is_empty() && evidence.hosts.is_empty();
    if supervised && nothing && errors.iter().all(|error| matches!(error, Error::Unrecognised { .. })) {
        // The batch tells an empty case from one that failed.
        let _ = writeln!(io::stdout(), "nothing");
    }
    Ok((evidence, if errors.is_empty() { Status::Fine } else { Status::Missing }))
}

fn log_input(input: &ingest::Input) {
    let what = match &input.kind {
        ingest::Kind::Capture(capture) => format!("{}, {} packets", capture.format, capture.frames.packets),
        ingest::Kind::Snapshot(text) => format!("{}, {} lines", text.formats.join(", "), text.parsed),
        ingest::Kind::Other => "nothing that is read".to_owned(),
    };
    log::line("read", &format!("{}: {} bytes, {what}", input.name, input.bytes));
}
