//! `lastack batch`, which is `lastack analyze --each`: many cases, each with a report of its own, and one index.
//!
//! Every case is analysed by a process of its own, so that one that fails or runs out of memory stops no other. A case
//! is finished when its folder stands in its place with a mark of what it was made of; the index is made of finished
//! cases alone, so that an interrupted batch, started again, ends as if it had never been interrupted.

mod cases;
mod child;
mod queue;
mod state;
mod words;

use std::ffi::OsString;

use anyhow::Context;
use clap::parser::ValueSource;
use clap::{ArgMatches, Args, ValueEnum};

pub(super) use self::cases::Case;
use self::state::{Batch, Finished, Outcome};
use super::analyze::{colours, named};
use super::gate::Held;
use super::progress::CaseProgress;
use super::{Analyze, Status, interrupt, log, memory, output};
use crate::report::index::{self, CaseVerdict, Index};

/// What a batch takes beside the options of an analysis.
#[derive(Args, Debug)]
#[command(next_help_heading = "Batches")]
pub(super) struct Each {
    /// Take every input, or every direct subfolder of one, as a case of its own, as `batch` does.
    #[arg(long)]
    pub(super) each: bool,
    /// What a case is: each direct subfolder of a folder, each argument, or what fits: a folder that holds something
    /// to analyse itself is one case, one that holds only subfolders is as many.
    #[arg(long, default_value = "auto", value_name = "WHAT")]
    cases: Split,
    /// Cases at work at the same time, at most; 0 means one a thread.
    #[arg(long, default_value_t = 0, value_name = "N")]
    jobs: usize,
    /// Memory that cases at work at the same time may take together, as in 512M or 4G [default: what is free]
    #[arg(long, value_name = "SIZE", value_parser = size, verbatim_doc_comment)]
    memory: Option<u64>,
    /// Analyse for a batch: tell progress on standard output, end when standard input ends.
    #[arg(long, hide = true)]
    pub(super) supervised: bool,
}

/// What of an argument is a case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Split {
    Auto,
    Subfolders,
    Arguments,
}

/// What a machine is taken to have free where it does not say: 4 GiB.
const UNKNOWN: u64 = 4 << 30;
/// Options of an analysis that a case does not get as they were given.
const NOT_HANDED_ON: [&str; 13] =
    ["inputs", "out", "threads", "quiet", "log", "color", "format", "today", "case", "cases", "jobs", "memory", "each"];
/// Options whose files count by what they say, and not by their names.
const BY_CONTENT: [&str; 5] = ["fail_on", "baseline", "config", "no_config", "redact_key"];

pub(super) fn run(options: &Analyze, matches: &ArgMatches) -> anyhow::Result<Status> {
    for format in &options.format {
        named(format)?;
    }
    if let Some(file) = &options.inputs.log {
        log::begin(file)?;
    }
    let held = options.gate.hold()?;
    held.tell_expired();
    let redacted = options.protection.redact || options.protection.redact_key.is_some();
    let (cases, notes) = cases::find(&options.inputs.inputs, options.each.cases, redacted)?;
    notes.iter().for_each(|note| output::complain(note));
    if cases.is_empty() {
        return Ok(Status::Missing);
    }
    let handed_on = HandedOn::new(options, &held, matches);
    let batch = Batch::open(&options.out)?;
    let outcomes = outcomes(options, &batch, &cases, &handed_on)?;
    let Some(outcomes) = outcomes else {
        let finished = cases.iter().filter(|case| batch.finished(case, &handed_on.digest(case)).is_some()).count();
        output::complain(&format!(
            "interrupted; {finished} of {} cases are finished, and the same command goes on with the others",
            cases.len()
        ));
        return Ok(Status::Interrupted);
    };
    let index = index(&cases, &outcomes, &held, redacted)?;
    index.write(&mut batch.output()).context("cannot write the index")?;
    batch.close(&cases)?;
    tell(options, &held, &index)?;
    Ok(status(&cases, &outcomes, &index))
}

/// What all cases get, and what their results depend on.
pub(super) struct HandedOn<'a> {
    pub(super) arguments: Vec<OsString>,
    /// In words: the program, the options, the gate.
    made_of: String,
    held: &'a Held,
}

impl<'a> HandedOn<'a> {
    fn new(options: &Analyze, held: &'a Held, matches: &ArgMatches) -> Self {
        let mut arguments = given(matches, |id| NOT_HANDED_ON.contains(&id) || BY_CONTENT.contains(&id));
        let mut formats = options.format.clone();
        // The index is made of it.
        if !formats.iter().any(|format| format == "json") {
            formats.push("json".to_owned());
        }
        arguments.push(format!("--format={}", formats.join(",")).into());
        let version = (env!("CARGO_PKG_VERSION"), env!("LASTACK_BUILT_FROM"));
        let key = options.protection.redact_key.as_ref().map(std::fs::read).and_then(Result::ok);
        let made_of = format!("{version:?} {arguments:?} {:?} {key:?}", held.config);
        arguments.extend(given(matches, |id| !BY_CONTENT.contains(&id)));
        arguments.push(format!("--today={}", options.gate.today.clone().unwrap_or_else(log::today)).into());
        Self { arguments, made_of, held }
    }

    /// A digest of all that a case's result depends on.
    pub(super) fn digest(&self, case: &Case) -> String {
        let policy = &self.held.policy;
        let baseline: Option<Vec<_>> = policy.baseline.as_ref().map(|past| past.of(Some(&case.name)).collect());
        let gate = (self.held.any, policy.fail_on, &policy.limits, &policy.allow, baseline);
        state::digest(&format!("{} {gate:?} {:?}", self.made_of, (&case.name, &case.inputs, &case.files)))
    }
}

/// Options as they were given, but for some.
fn given(matches: &ArgMatches, left_out: impl Fn(&str) -> bool) -> Vec<OsString> {
    let program = super::command();
    let options = program.find_subcommand("analyze").into_iter().flat_map(clap::Command::get_arguments);
    let mut words = Vec::new();
    for option in options {
        let (id, Some(long)) = (option.get_id().as_str(), option.get_long()) else { continue };
        if left_out(id) || matches.value_source(id) != Some(ValueSource::CommandLine) {
            continue;
        }
        if !option.get_action().takes_values() {
            words.push(format!("--{long}").into());
            continue;
        }
        for value in matches.get_raw(id).into_iter().flatten() {
            let mut word = OsString::from(format!("--{long}="));
            word.push(value);
            words.push(word);
        }
    }
    words
}

/// What every case came to, in their order; nothing where the batch was interrupted.
fn outcomes(
    options: &Analyze,
    batch: &Batch,
    cases: &[Case],
    handed_on: &HandedOn<'_>,
) -> anyhow::Result<Option<Vec<Outcome>>> {
    let digests: Vec<String> = cases.iter().map(|case| handed_on.digest(case)).collect();
    let mut outcomes: Vec<Option<Outcome>> =
        cases.iter().zip(&digests).map(|(case, digest)| batch.finished(case, digest).map(Outcome::Finished)).collect();
    let waiting: Vec<usize> =
        outcomes.iter().enumerate().filter(|(_, outcome)| outcome.is_none()).map(|(place, _)| place).collect();
    let threads = match options.inputs.threads {
        0 => std::thread::available_parallelism().map_or(1, usize::from),
        threads => threads,
    };
    let jobs = if options.each.jobs == 0 { threads } else { options.each.jobs }.min(waiting.len()).max(1);
    let memory = options.each.memory.or_else(memory::free).unwrap_or(UNKNOWN);
    log::line("batch", &format!("{} cases, {} to do, {jobs} at a time, {memory} bytes", cases.len(), waiting.len()));
    let bytes = waiting.iter().filter_map(|place| cases.get(*place)).map(|case| case.bytes).sum();
    let progress = CaseProgress::new(waiting.len(), bytes, options.inputs.quiet);
    let supervisor = child::Supervisor::new(threads.checked_div(jobs).unwrap_or(1).max(1));
    supervisor.heed_interruptions();
    let done = queue::run(cases, &waiting, jobs, memory, &|place| {
        let (case, digest) = (cases.get(place)?, digests.get(place)?);
        if supervisor.is_stopping() {
            return None;
        }
        let outcome = supervisor.analyze(batch, case, digest, &handed_on.arguments, &progress);
        if supervisor.is_stopping() && !matches!(outcome, Outcome::Finished(_)) {
            return None;
        }
        progress.case_done(case, &words::outcome(&outcome));
        Some(outcome)
    });
    progress.finish();
    for (place, outcome) in done {
        if let Some(slot) = outcomes.get_mut(place) {
            *slot = outcome;
        }
    }
    Ok(if supervisor.is_stopping() { None } else { outcomes.into_iter().collect() })
}

/// With `redacted`, messages only say how many they were: they name files and folders.
fn index(cases: &[Case], outcomes: &[Outcome], held: &Held, redacted: bool) -> anyhow::Result<Index> {
    let shown = |messages: &[String]| match messages.len() {
        0 => Vec::new(),
        many if redacted => vec![format!("{many} messages, left out because names are redacted")],
        _ => messages.to_vec(),
    };
    let folders: Vec<String> = cases.iter().map(|case| format!("cases/{}", case.folder)).collect();
    let told = |((case, outcome), folder): ((&'_ Case, &'_ Outcome), &'_ String)| {
        (case.name.clone(), folder.clone(), shown(outcome.messages()))
    };
    let told: Vec<_> = cases.iter().zip(outcomes).zip(&folders).map(told).collect();
    let entries: Vec<index::Outcome<'_>> = told
        .iter()
        .zip(outcomes)
        .map(|((name, folder, messages), outcome)| index::Outcome { name, folder, report: outcome.report(), messages })
        .collect();
    let fail_on = if held.any { held.policy.fail_on } else { None };
    Index::new(&entries, fail_on).map_err(|(case, error)| anyhow::Error::new(error).context(case))
}

/// The summary, and annotations for the log of a job.
fn tell(options: &Analyze, held: &Held, index: &Index) -> anyhow::Result<()> {
    let found = index.cases.iter().flat_map(|case| {
        case.findings.iter().map(|found| (Some(case.name.as_str()), found.rule.as_str(), found.fingerprint.as_str()))
    });
    held.tell_unused(&found.collect::<Vec<_>>());
    if options.format.iter().any(|format| format == "github") {
        for case in index.cases.iter().filter(|case| case.verdict < CaseVerdict::Empty) {
            let path = options.out.join(&case.folder).join("annotations.txt");
            output::print(&std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?)?;
        }
    }
    if options.inputs.quiet {
        return Ok(());
    }
    output::print(&words::summary(index, &options.out.display().to_string(), colours(options.color)))
}

fn status(cases: &[Case], outcomes: &[Outcome], index: &Index) -> Status {
    let missing = |(case, outcome): (&Case, &Outcome)| match outcome {
        Outcome::Failed(_) => true,
        Outcome::Finished(Finished { verdict: state::Verdict::Empty, .. }) => case.named,
        Outcome::Finished(finished) => finished.incomplete && case.named,
    };
    if cases.iter().zip(outcomes).any(missing) {
        return Status::Missing;
    }
    if index.failing > 0 { Status::Gate } else { Status::Fine }
}

/// Ends when standard input does: a case without its batch is nobody's.
pub(super) fn live_with_the_batch() {
    std::thread::spawn(|| {
        let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
        interrupt::end();
    });
}

/// `512M`, `4G`, or a number of bytes.
fn size(text: &str) -> Result<u64, String> {
    let expected = || format!("{text:?} is no size, as in 512M or 4G");
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit: u64 = match text.get(digits.len()..).unwrap_or_default().to_ascii_uppercase().as_str() {
        "" => 1,
        "K" | "KIB" => 1 << 10,
        "M" | "MIB" => 1 << 20,
        "G" | "GIB" => 1 << 30,
        "T" | "TIB" => 1 << 40,
        _ => return Err(expected()),
    };
    let number: u64 = digits.parse().map_err(|_| expected())?;
    number.checked_mul(unit).filter(|size| *size > 0).ok_or_else(expected)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_units() {
        assert_eq!(size("512M"), Ok(512 << 20));
        assert_eq!((size("4g"), size("1000"), size("2KiB")), (Ok(4 << 30), Ok(1000), Ok(2048)));
        for wrong in ["", "M", "0", "4X", "-1", "1.5G", "99999999999T"] {
            assert!(size(wrong).is_err(), "{wrong}");
        }
    }
}
