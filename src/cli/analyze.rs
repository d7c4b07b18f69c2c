//! `lastack analyze`: the main job.

use std::fmt::Write as _;
use std::io::{self, IsTerminal};

use anyhow::Context;

use super::output::{self, Folder};
use super::run::Given;
use super::{Analyze, Color, Status, digest, evidence, redaction, run};
use crate::diagnosis::{Case, Finding, Severity, run_all};
use crate::ingest::{self, Wanted};
use crate::report::model::Report;
use crate::report::{FORMATS, Format, Material, visible};

pub(super) fn run(options: &Analyze) -> anyhow::Result<Status> {
    let formats = options.format.iter().map(|name| named(name)).collect::<anyhow::Result<Vec<_>>>()?;
    let mut folder = Folder::open(&options.out)?;
    let protection = &options.protection;
    let given = Given::new(&options.inputs, options.evidence || protection.asks())?;
    let redactor = redaction::of(protection, &given)?;
    let replacing = redactor.as_ref().map(redaction::Replacing::new);
    let replace = replacing.as_ref().map(redaction::Replacing::replace);
    let (evidence, mut status) = run::read(&options.inputs, &given, redactor.as_ref())?;
    if status == Status::Missing && evidence.points.is_empty() && evidence.hosts.is_empty() {
        return Ok(status);
    }
    let thresholds = options.thresholds(redactor.as_ref());
    let case = Case::new(&evidence, &thresholds).in_language(options.speech.lang);
    let charts = formats.iter().any(|format| format.charts);
    let again = |wanted: &[Wanted]| ingest::look_again(&given.sources, &evidence.inputs, wanted, replace.as_ref());
    let mut material = Material::with_packets(&case, run_all(&case), charts, &again);
    if redactor.is_some() {
        material.report.options.insert("redacted", true.into());
    }
    if protection.digest.is_some() {
        digest::add(&mut material.report.inputs, &given.sources)?;
    }
    if options.evidence {
        evidence::all(&material.report, &evidence.inputs, &given.sources, replace.as_ref(), &mut folder)?;
    }
    for format in formats {
        (format.render)(&material, &mut folder).with_context(|| format!("cannot write the {} report", format.name))?;
    }
    let written = folder.finish()?;
    if !options.inputs.quiet {
        let summary = summary(&material.report, &options.out.display().to_string(), &written, colours(options.color));
        output::print(&summary)?;
    }
    let gate = material.report.findings.iter().any(|finding| options.fail_on.reached_by(finding.severity));
    if status == Status::Fine && gate {
        status = Status::Gate;
    }
    // The process ends here: giving a million records back to the system first would only take time.
    drop(material);
    std::mem::forget(evidence);
    Ok(status)
}

fn named(name: &str) -> anyhow::Result<&'static Format> {
    let known = FORMATS.iter().find(|format| format.name == name);
    let names: Vec<&str> = FORMATS.iter().map(|format| format.name).collect();
    known.with_context(|| format!("{name:?} is no report format; there are {}", names.join(", ")))
}

fn colours(when: Color) -> bool {
    match when {
        Color::Always => true,
        Color::Never => false,
        Color::Auto => io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()),
    }
}

/// Findings on the terminal after which the rest is left to the report.
const SHOWN: usize = 12;

/// Findings first, counts after.
fn summary(report: &Report, folder: &str, written: &[String], colours: bool) -> String {
    let mut text = String::new();
    for finding in report.findings.iter().take(SHOWN) {
        let _ = writeln!(text, "{}", line(finding, colours));
    }
    if report.findings.len() > SHOWN {
        let _ = writeln!(text, "… and {} more findings", report.findings.len() - SHOWN);
    }
    if report.findings.is_empty() {
        text.push_str("Nothing was found.\n");
    }
    for open in report.not_judged.iter().take(SHOWN) {
        let _ = writeln!(text, "not judged  {}: {}", open.rule, visible(&open.because));
    }
    let totals = &report.totals;
    let _ = writeln!(
        text,
        "{} packets, {} connections, {} attempts ({} unanswered), {} reused socket pairs",
        totals.packets, totals.connections, totals.attempts, totals.attempts_unanswered, totals.reuses
    );
    let folder = visible(folder);
    let main = ["report.html", "report.md", "report.json"].into_iter().find(|name| written.iter().any(|w| w == name));
    let _ = match main {
        Some(main) => writeln!(text, "Report: {folder}/{main}"),
        None => writeln!(text, "Report: {folder}"),
    };
    text
}

fn line(finding: &Finding, colours: bool) -> String {
    let (name, colour) = match finding.severity {
        Severity::Critical => ("CRITICAL", "\x1b[1;31m"),
        Severity::Warning => ("WARNING", "\x1b[1;33m"),
        Severity::Info => ("INFO", "\x1b[1;36m"),
    };
    let title = visible(&finding.title);
    if colours {
        format!("{colour}{name:<8}\x1b[0m {}  {title}", finding.rule)
    } else {
        format!("{name:<8} {}  {title}", finding.rule)
    }
}
