//! `lastack analyze --emit part|plan`: not a report, but what `lastack merge` makes one of.

use std::fs;
use std::io;
use std::path::Path;

use anyhow::Context;
use clap::ValueEnum;

use super::output::{complain, file_or_stdout};
use super::run::{Given, refuse_too_many};
use super::{Analyze, DEFAULT_OUT, Status, memory};
use crate::columns::{self, Writer};
use crate::ingest::{self, Reading, write_part};

/// What `analyze` makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Emit {
    /// The report.
    Report,
    /// A part of the evidence, for `merge`: one file.
    Part,
    /// How captures are put in order, and what only all of them can tell: a folder.
    Plan,
}

pub(super) fn run(options: &Analyze) -> anyhow::Result<Status> {
    let inputs = &options.inputs;
    let given = Given::new(inputs, false)?;
    let how = ingest::How {
        part: inputs.part.filter(),
        most: inputs.connections_limit.or_else(memory::connections),
        separate: inputs.separate,
        partial: true,
        fixed: options.emit == Emit::Plan,
        only: options.from.map(super::extract::Format::of_columns),
    };
    let reading = ingest::read_as(&given.sources, how, inputs.threads, &|_| ()).context("reading inputs")?;
    refuse_too_many(&reading, inputs)?;
    let missing: Vec<String> = given.errors().chain(&reading.errors).map(ToString::to_string).collect();
    missing.iter().for_each(|why| complain(why));
    // A part that lacks something would be merged as if it did not.
    anyhow::ensure!(missing.is_empty(), "nothing is written, since not all inputs could be read");
    let out = Some(options.out.as_path()).filter(|out| *out != Path::new(DEFAULT_OUT) && *out != Path::new("-"));
    match options.emit {
        Emit::Plan => plan(reading, &options.out)?,
        Emit::Part | Emit::Report => {
            let mut reading = Some(reading);
            file_or_stdout(out, &mut |out| match reading.take() {
                Some(reading) => write_part(reading, out),
                None => Ok(()),
            })?;
        }
    }
    Ok(Status::Fine)
}

/// Three files in a folder: the plan as JSON lines, segments that were fragments as rows, and the inputs as a part.
fn plan(mut reading: Reading, folder: &Path) -> anyhow::Result<()> {
    let path = |name: &str| folder.join(name);
    fs::create_dir_all(folder).with_context(|| format!("cannot make the folder {}", folder.display()))?;
    let plan = std::mem::take(&mut reading.plan);
    file_or_stdout(Some(&path("plan.jsonl")), &mut |out| {
        for (file, from, input, point, base) in &plan.ranges {
            let line = serde_json::json!({ "file": file, "from": from, "input": input, "point": point, "base": base });
            writeln!(out, "{line}")?;
        }
        Ok(())
    })?;
    let joined = path("joined.arrow");
    let failed = || format!("cannot write {}", joined.display());
    let file = fs::File::create(&joined).with_context(failed)?;
    let mut writer = Writer::begin(Box::new(io::BufWriter::new(file)), columns::Format::Arrow).with_context(failed)?;
    writer.write(plan.joined.finish().with_context(failed)?).with_context(failed)?;
    writer.finish().with_context(failed)?;
    // What was tracked here was tracked to put captures in order; connections come with the parts.
    reading.parts.shards.clear();
    reading.parts.echoes.clear();
    for input in &mut reading.inputs {
        if let ingest::Kind::Capture(capture) = &mut input.kind {
            capture.frames.duplicates = 0;
        }
    }
    let mut reading = Some(reading);
    file_or_stdout(Some(&path("inputs.part")), &mut |out| match reading.take() {
        Some(reading) => write_part(reading, out),
        None => Ok(()),
    })
}
