//! `lastack diff`: what is new, worse, the same and gone between two reports, or two batches case by case.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::analyze::{colours, print};
use super::gate::{FailOn, read_past};
use super::{Color, Status};
use crate::diagnosis::Severity;
use crate::report::gate::{Seen, seen};
use crate::report::past::{Known, Past};
use crate::report::visible;

/// What `diff` takes.
#[derive(Args, Debug)]
pub(super) struct Diff {
    /// The report.json or index.json of before.
    old: PathBuf,
    /// That of now.
    new: PathBuf,
    /// The severity of a new or worse finding that makes the exit status 1.
    #[arg(long, default_value = "warning", value_name = "SEVERITY")]
    fail_on: FailOn,
    /// How to print it.
    #[arg(long, default_value = "text", value_name = "FORMAT")]
    format: DiffFormat,
    /// Print nothing; the exit status tells.
    #[arg(short, long)]
    quiet: bool,
    /// Colours on the terminal.
    #[arg(long, default_value = "auto", value_name = "WHEN")]
    color: Color,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum DiffFormat {
    Text,
    Json,
}

/// A finding that changed, and the case that it is of.
struct Change<'a> {
    case: &'a str,
    seen: Option<Seen>,
    known: &'a Known,
}

pub(super) fn run(options: &Diff) -> anyhow::Result<Status> {
    let (old, new) = (read_past(&options.old)?, read_past(&options.new)?);
    if old.batch != new.batch {
        anyhow::bail!("one is the report of one run, the other the index of a batch: they cannot be compared");
    }
    let changes = changes(&old, &new);
    if !options.quiet {
        match options.format {
            DiffFormat::Text => print(text(&changes, colours(options.color)).as_bytes())?,
            DiffFormat::Json => print(format!("{:#}\n", json(&changes)).as_bytes())?,
        }
    }
    let fails = |change: &Change<'_>| {
        matches!(change.seen, Some(Seen::New | Seen::Worse))
            && options.fail_on.severity().is_some_and(|least| change.known.severity >= least)
    };
    Ok(if changes.iter().any(fails) { Status::Gate } else { Status::Fine })
}

/// New and worse findings first, then those that are gone, then those that stay; each in the order of its report.
fn changes<'a>(old: &'a Past, new: &'a Past) -> Vec<Change<'a>> {
    let cases: BTreeSet<&str> = old.cases.keys().chain(new.cases.keys()).map(String::as_str).collect();
    let of = |past: &'a Past, case: &str| past.cases.get(case).map(Vec::as_slice).unwrap_or_default();
    let mut changes = Vec::new();
    for case in cases {
        let before: Vec<&Known> = of(old, case).iter().collect();
        let now = of(new, case);
        changes.extend(now.iter().map(|known| Change {
            case,
            seen: Some(seen(known.severity, &known.fingerprint, &before)),
            known,
        }));
        let gone = before.iter().filter(|known| now.iter().all(|other| other.fingerprint != known.fingerprint));
        changes.extend(gone.map(|known| Change { case, seen: None, known }));
    }
    changes.sort_by_key(|change| match change.seen {
        Some(Seen::New) => 0,
        Some(Seen::Worse) => 1,
        None => 2,
        Some(Seen::Known) => 3,
    });
    changes
}

fn text(changes: &[Change<'_>], colours: bool) -> String {
    let mut text = String::new();
    for Change { case, seen, known } in changes.iter().filter(|change| change.seen != Some(Seen::Known)) {
        let (word, colour) = match seen {
            None => ("gone", "\x1b[1;32m"),
            Some(Seen::Worse) => ("worse", "\x1b[1;31m"),
            Some(_) => ("new", "\x1b[1;31m"),
        };
        let severity = severity(known.severity);
        let place = if case.is_empty() { String::new() } else { format!("{}: ", visible(case)) };
        let line = format!("{severity:<8}  {}  {place}{}", known.rule, visible(&known.title));
        let _ = if colours {
            writeln!(text, "{colour}{word:<5}\x1b[0m  {line}")
        } else {
            writeln!(text, "{word:<5}  {line}")
        };
    }
    let count = |wanted| changes.iter().filter(|change| change.seen == wanted).count();
    let _ = writeln!(
        text,
        "{} new, {} worse, {} gone, {} the same",
        count(Some(Seen::New)),
        count(Some(Seen::Worse)),
        count(None),
        count(Some(Seen::Known))
    );
    text
}

fn json(changes: &[Change<'_>]) -> serde_json::Value {
    let of = |wanted: Option<Seen>| {
        let changes = changes.iter().filter(|change| change.seen == wanted);
        let one = |change: &Change<'_>| {
            let known = change.known;
            let case = (!change.case.is_empty()).then_some(change.case);
            json!({"case": case, "id": known.id, "rule": known.rule, "severity": known.severity,
                "confidence": known.confidence, "title": known.title, "fingerprint": known.fingerprint})
        };
        changes.map(one).collect::<Vec<_>>()
    };
    json!({"schema": "lastack-diff/1", "new": of(Some(Seen::New)), "worse": of(Some(Seen::Worse)), "gone": of(None),
        "same": of(Some(Seen::Known))})
}

const fn severity(severity: Severity) -> &'static str {
    match severity {
        Severity::Critical => "CRITICAL",
        Severity::Warning => "WARNING",
        Severity::Info => "INFO",
    }
}
