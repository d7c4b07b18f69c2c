//! `lastack analyze`: the main job.

use std::fmt::Write as _;
use std::fs;
use std::io::{self, IsTerminal};
use std::path::Path;

use anyhow::Context;

use super::gate::Held;
use super::output::{self, Folder, Stdout, complain};
use super::run::{Given, How};
use super::{Analyze, Color, Status, batch, digest, evidence, log, redaction, run};
use crate::diagnosis::{Case, Finding, Severity, run_all};
use crate::evidence::Evidence;
use crate::ingest::{self, Wanted};
use crate::language::{Language, Text, say, words};
use crate::report::gate::{Gate, GateVerdict, Judged, Seen};
use crate::report::model::Report;
use crate::report::{FORMATS, Format, Material, Output, visible};
use crate::segment::Replace;

pub(super) fn run(options: &Analyze) -> anyhow::Result<Status> {
    #[cfg(feature = "columns")]
    if options.emit != super::emit::Emit::Report {
        return super::emit::run(options);
    }
    let formats = options.format.iter().map(|name| named(name)).collect::<anyhow::Result<Vec<_>>>()?;
    if options.each.supervised {
        batch::live_with_the_batch();
    }
    let held = options.gate.hold()?;
    if options.gate.case.is_none() {
        held.tell_expired();
    }
    let protection = &options.protection;
    let mut target = Target::open(options, &formats)?;
    let mut given = Given::new(&options.inputs, options.evidence || protection.asks() || options.reads_rows())?;
    let redactor = redaction::of(protection, &given)?;
    let how = How {
        redactor: redactor.as_ref(),
        supervised: options.each.supervised,
        #[cfg(feature = "columns")]
        only: options.from.map(super::extract::Format::of_columns),
    };
    let (evidence, mut status) = run::read(&options.inputs, &mut given, how)?;
    if status == Status::Missing && evidence.points.is_empty() && evidence.hosts.is_empty() {
        return Ok(status);
    }
    let thresholds = options.thresholds(&held.config, redactor.as_ref());
    let case = Case::new(&evidence, &thresholds).in_language(options.speech.lang);
    let charts = formats.iter().any(|format| format.charts);
    let replace = redactor.as_ref().map(|redactor| redactor as &dyn Replace);
    let again = |wanted: &[Wanted]| ingest::look_again(&given.sources, &evidence.inputs, wanted, replace);
    log::line("judging", &format!("{} connections", evidence.connection_count()));
    let mut material = Material::with_packets(&case, run_all(&case), charts, &again);
    material.zone = options.timezone.clone();
    if redactor.is_some() {
        material.report.options.insert("redacted", true.into());
    }
    if protection.digest.is_some() {
        digest::add(&mut material.report.inputs, &given.sources)?;
    }
    if let (true, Target::Folder(folder)) = (options.evidence, &mut target) {
        evidence::all(&material.report, &evidence.inputs, &given.sources, replace, folder, &evidence.workers)?;
    }
    if held.any {
        material.report.gate = Some(hold(&held, &material.report, options.gate.case.is_some()));
    }
    log::line("writing", &options.format.join(","));
    let (with_evidence, of_report): (Vec<_>, Vec<_>) = formats.iter().partition(|format| format.evidence);
    render(&with_evidence, &material, &mut target)?;
    let Material { report, charts, zone, .. } = material;
    std::mem::forget(case);
    give_back(evidence);
    let material = Material { evidence: &Evidence::default(), report, charts, zone };
    render(&of_report, &material, &mut target)?;
    let on_stdout = target.is_stdout();
    let written = target.finish()?;
    if formats.iter().any(|format| format.name == "github") && !on_stdout && options.gate.case.is_none() {
        // In the log of a job they become annotations.
        let annotations = fs::read_to_string(options.out.join("annotations.txt"));
        output::print(&annotations.context("cannot read the annotations back")?)?;
    }
    if !options.inputs.quiet && !on_stdout {
        let summary = summary(&material.report, &options.out.display().to_string(), &written, colours(options.color));
        output::print(&summary)?;
    }
    let gate = material.report.gate.as_ref().is_some_and(|gate| gate.failing > 0);
    if status == Status::Fine && gate {
        status = Status::Gate;
    }
    // The process ends here: giving all back to the system first would only take time.
    std::mem::forget(material);
    Ok(status)
}

/// Writes some formats' files.
fn render(formats: &[&&Format], material: &Material<'_>, target: &mut Target) -> anyhow::Result<()> {
    for format in formats {
        (format.render)(material, target.output())
            .with_context(|| format!("cannot write the {} report", format.name))?;
    }
    Ok(())
}

/// Gives a million records back to the system, which takes as long as to write a report, while that is written. Nobody
/// waits for it: if the process ends first, the system takes what is left.
fn give_back(evidence: Evidence) {
    let giving = std::thread::Builder::new().spawn(move || drop(evidence));
    drop(giving);
}

/// Holds a report to the gate, and tells what in the configuration concerns nothing.
fn hold(held: &Held, report: &Report, in_batch: bool) -> Gate {
    if !in_batch {
        held.policy.unknown_metrics(&report.findings).iter().for_each(|message| complain(message));
        let found = report.findings.iter().map(|finding| (None, finding.rule, finding.fingerprint.as_str()));
        held.tell_unused(&found.collect::<Vec<_>>());
    }
    held.policy.judge(&report.findings)
}

/// Where a report goes.
enum Target {
    Folder(Folder),
    Stdout(Stdout),
}

impl Target {
    fn open(options: &Analyze, formats: &[&Format]) -> anyhow::Result<Self> {
        if options.out != Path::new("-") {
            return Folder::open(&options.out).map(Self::Folder);
        }
        if options.evidence {
            anyhow::bail!("--evidence writes several files, and standard output takes one");
        }
        match formats {
            [format] if format.name != "png" => Ok(Self::Stdout(Stdout)),
            _ => anyhow::bail!("standard output takes one format that is one file, as in --format jsonl --out -"),
        }
    }

    const fn is_stdout(&self) -> bool {
        matches!(self, Self::Stdout(_))
    }

    fn output(&mut self) -> &mut dyn Output {
        match self {
            Self::Folder(folder) => folder,
            Self::Stdout(stdout) => stdout,
        }
    }

    fn finish(self) -> anyhow::Result<Vec<String>> {
        match self {
            Self::Folder(folder) => folder.finish(),
            Self::Stdout(_) => Ok(Vec::new()),
        }
    }
}

impl Analyze {
    /// Whether the inputs are said to be rows, which are read twice.
    const fn reads_rows(&self) -> bool {
        #[cfg(feature = "columns")]
        return self.from.is_some();
        #[cfg(not(feature = "columns"))]
        false
    }
}

pub(super) fn named(name: &str) -> anyhow::Result<&'static Format> {
    let known = FORMATS.iter().find(|format| format.name == name);
    let names: Vec<&str> = FORMATS.iter().map(|format| format.name).collect();
    known.with_context(|| format!("{name:?} is no report format; there are {}", names.join(", ")))
}

pub(super) fn colours(when: Color) -> bool {
    match when {
        Color::Always => true,
        Color::Never => false,
        Color::Auto => io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()),
    }
}

/// Findings on the terminal after which the rest is left to the report.
const SHOWN: usize = 12;

/// Findings first, counts after; with a baseline, only those that were not there before.
fn summary(report: &Report, folder: &str, written: &[String], colours: bool) -> String {
    let mut text = String::new();
    let language = report.language;
    let told: Vec<&Finding> = report.findings.iter().filter(|finding| is_told(report, finding)).collect();
    for finding in told.iter().take(SHOWN) {
        let _ = writeln!(text, "{}", line(report, finding, colours));
    }
    if told.len() > SHOWN {
        let more = told.len() - SHOWN;
        let _ = writeln!(text, "{}", said(say!("… and {more} more findings", more), language));
    }
    if report.findings.is_empty() {
        let _ = writeln!(text, "{}", language.say("Nothing was found."));
    } else if told.is_empty() {
        let _ = writeln!(text, "{}", language.say("Nothing failing since the baseline was found."));
    }
    text.push_str(&since_baseline(report));
    for open in report.not_judged.iter().take(SHOWN) {
        let (rule, because) = (open.rule, visible(&open.because));
        let _ = writeln!(text, "{}", said(say!("not judged  {rule}: {because}", rule, because), language));
    }
    let _ = writeln!(text, "{}", said(counts(report), language));
    let folder = visible(folder);
    let main = ["report.html", "report.md", "report.json"].into_iter().find(|name| written.iter().any(|w| w == name));
    let place = main.map_or_else(|| folder.to_string(), |main| format!("{folder}/{main}"));
    let _ = writeln!(text, "{}", said(say!("Report: {place}", place), language));
    text
}

fn counts(report: &Report) -> Text {
    let totals = &report.totals;
    say!(
        "{packets} packets, {connections} connections, {attempts} attempts ({unanswered} unanswered), {reuses} reused socket pairs",
        packets = totals.packets,
        connections = totals.connections,
        attempts = totals.attempts,
        unanswered = totals.attempts_unanswered,
        reuses = totals.reuses,
    )
}

fn said(text: Text, language: Language) -> Text {
    text.spoken(language)
}

/// With a baseline, only what fails since then is told; where nothing can fail, all that is new.
fn is_told(report: &Report, finding: &Finding) -> bool {
    let Some(gate) = report.gate.as_ref().filter(|gate| gate.baseline) else { return true };
    gate.of(&finding.id).is_some_and(|judged| is_news(judged, gate.fail_on.is_some()))
}

/// Whether a finding is told where there is a baseline.
pub(super) fn is_news(judged: &Judged, can_fail: bool) -> bool {
    judged.verdict == GateVerdict::Fails || !can_fail && judged.seen != Some(Seen::Known)
}

fn since_baseline(report: &Report) -> String {
    let Some(gate) = report.gate.as_ref().filter(|gate| gate.baseline) else { return String::new() };
    let language = report.language;
    let against = against(gate.findings.values(), gate.gone.len() as u64);
    let mut text = format!("{}\n", said(against, language));
    for gone in gate.gone.iter().take(SHOWN) {
        let (rule, title) = (gone.rule.as_str(), visible(&gone.title));
        let _ = writeln!(text, "{}", said(say!("gone     {rule}  {title}", rule, title), language));
    }
    text
}

/// All findings against the baseline, in numbers, as a line.
pub(super) fn against_baseline<'j>(judged: impl Iterator<Item = &'j Judged>, gone: u64) -> String {
    format!("{}\n", against(judged, gone))
}

fn against<'j>(judged: impl Iterator<Item = &'j Judged>, gone: u64) -> Text {
    let (mut fails, mut news, mut known) = (0_u64, 0_u64, 0_u64);
    for judged in judged {
        match (judged.verdict, judged.seen) {
            (GateVerdict::Fails, _) => fails += 1,
            (_, Some(Seen::Known)) => known += 1,
            _ => news += 1,
        }
    }
    say!("{fails} failing since the baseline, {news} other new, {known} known, {gone} gone", fails, news, known, gone)
}

fn line(report: &Report, finding: &Finding, colours: bool) -> String {
    let (name, colour) = match finding.severity {
        Severity::Critical => (words!("CRITICAL"), "\x1b[1;31m"),
        Severity::Warning => (words!("WARNING"), "\x1b[1;33m"),
        Severity::Info => (words!("INFO"), "\x1b[1;36m"),
    };
    // Two Chinese letters are as wide as four others.
    let name = match report.language {
        Language::En => format!("{name:<8}"),
        Language::Zh => format!("{}    ", Language::Zh.say(name)),
    };
    let mut title = visible(&finding.title).into_owned();
    let judged = report.gate.as_ref().and_then(|gate| gate.of(&finding.id));
    if let Some((why, because)) = judged.and_then(|judged| Some((passed(judged.verdict)?, judged.because.as_deref()?)))
    {
        let (why, because) = (Text::of(why), visible(because));
        let _ = write!(title, " {}", said(say!("[{why}: {because}]", why, because), report.language));
    }
    if colours {
        format!("{colour}{name}\x1b[0m {}  {title}", finding.rule)
    } else {
        format!("{name} {}  {title}", finding.rule)
    }
}

const fn passed(verdict: GateVerdict) -> Option<&'static str> {
    match verdict {
        GateVerdict::Allowed => Some(words!("allowed")),
        GateVerdict::Limited => Some(words!("within its threshold")),
        GateVerdict::Fails | GateVerdict::Minor | GateVerdict::Known => None,
    }
}
