//! Reading inputs on behalf of a command: progress while it lasts, messages for what gave nothing.

use std::io::{self, Write};

use anyhow::Context;

use super::progress::Progress;
use super::{Inputs, Status, log, output};
use crate::evidence::Evidence;
use crate::{ingest, input};

/// Reads all inputs; the status says whether one that was named gave nothing.
pub(super) fn read(inputs: &Inputs, supervised: bool) -> anyhow::Result<(Evidence, Status)> {
    if let Some(file) = &inputs.log {
        log::begin(file)?;
    }
    let (sources, mut errors) = input::expand(&inputs.inputs);
    log::line("reading", &format!("{} files", sources.len()));
    let progress = Progress::new(&sources, inputs.quiet, supervised);
    let how = ingest::How { part: inputs.part.filter(), separate: inputs.separate };
    let reading =
        ingest::read_as(&sources, how, inputs.threads, &|octets| progress.at(octets)).context("reading inputs")?;
    progress.finish();
    reading.inputs.iter().for_each(log_input);
    errors.extend(reading.errors);
    for argument in &inputs.inputs {
        let read = reading.inputs.iter().filter(|input| !matches!(input.kind, ingest::Kind::Other));
        let inside = read.filter(|input| std::path::Path::new(&input.name).starts_with(argument)).count();
        if argument.is_dir()
            && inside == 0
            && !errors.iter().any(|error| error.input() == argument.display().to_string())
        {
            errors.push(crate::error::Error::Unrecognised {
                input: argument.display().to_string(),
                found: "a folder in which nothing is recognised".to_owned(),
                expected: input::EXPECTED,
            });
        }
    }
    for error in &errors {
        output::complain(&error.to_string());
    }
    let evidence = Evidence::new(reading.inputs, reading.parts);
    for input in &evidence.inputs {
        input.notes.iter().for_each(|note| output::complain(&format!("{}: {note}", input.name)));
    }
    for (number, name) in evidence.inputs.iter().map(|input| &input.name).enumerate() {
        if let Some(why) = evidence.capture(number).and_then(|capture| capture.truncated.as_deref()) {
            output::complain(&format!("{name}: {why}"));
        }
    }
    let nothing = evidence.points.is_empty() && evidence.hosts.is_empty();
    if supervised && nothing && errors.iter().all(|error| matches!(error, crate::error::Error::Unrecognised { .. })) {
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
