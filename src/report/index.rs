//! The index of a batch: its cases ranked, as a page, as JSON (`lastack-index/1`) and as Markdown.
//!
//! It is made of the reports of the cases as they were written, so that an index made after an interruption is the
//! same as any other.

mod page;

use std::collections::BTreeMap;
use std::io;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Output;
use super::gate::{GateVerdict, Judged};
use super::model::Tool;
use super::past::NoReport;
use crate::diagnosis::{Confidence, Severity};

/// How cases are ranked, in words.
pub const RANKING: &str = "Cases stand in the order of their worst finding's severity, then of its confidence, then of \
     how many findings are that bad, then of all findings that are less bad; equals by name. A case is clean where \
     nothing is worse than a note. Cases without anything to analyse, and those that failed, stand last.";

/// All cases of a batch.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Index {
    /// Always `lastack-index/1`.
    pub schema: &'static str,
    /// What made it.
    pub tool: Tool,
    /// Counts over all cases.
    pub totals: Totals,
    /// The gate, where the batch was held to one: what fails from which severity on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fail_on: Option<Severity>,
    /// Findings that fail the run, in all cases.
    pub failing: u64,
    /// How they are ranked.
    pub ranking: &'static str,
    /// Worst first.
    pub cases: Vec<Entry>,
}

/// Counts over all cases.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Totals {
    /// All cases.
    pub cases: u64,
    /// Cases whose worst finding is critical.
    pub critical: u64,
    /// Cases whose worst finding is a warning.
    pub warning: u64,
    /// Cases in which nothing is worse than a note.
    pub clean: u64,
    /// Cases in which nothing was recognised.
    pub empty: u64,
    /// Cases that failed.
    pub failed: u64,
}

/// One case.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Entry {
    /// Its place, from 1.
    pub rank: u64,
    /// Its name: of the argument or its subfolder.
    pub name: String,
    /// The folder of its report, relative to the index.
    pub folder: String,
    /// What it came to.
    pub verdict: CaseVerdict,
    /// How many findings there are of each severity.
    pub counts: Counts,
    /// How many rules could not be judged.
    pub not_judged: u64,
    /// What was read.
    pub read: Read,
    /// Findings, worst first.
    pub findings: Vec<Found>,
    /// Findings of the baseline that are not there any more.
    pub gone: u64,
    /// What was said on the way: inputs that could not be read, why it failed.
    pub messages: Vec<String>,
}

/// What a case came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum CaseVerdict {
    /// Its worst finding is critical.
    Critical,
    /// Its worst finding is a warning.
    Warning,
    /// Nothing is worse than a note.
    Clean,
    /// Nothing was recognised in it.
    Empty,
    /// It could not be analysed.
    Failed,
}

/// Findings by severity.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Counts {
    /// Connections fail or are lost.
    pub critical: u64,
    /// Something is wrong or soon will be.
    pub warning: u64,
    /// Good to know.
    pub info: u64,
}

/// What was read of a case.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Read {
    /// Packet captures.
    pub captures: u64,
    /// Texts in which hosts describe themselves.
    pub snapshots: u64,
    /// Frames.
    pub packets: u64,
    /// Incarnations of socket pairs.
    pub connections: u64,
    /// Attempts to open.
    pub attempts: u64,
    /// Attempts that drew no answer.
    pub attempts_unanswered: u64,
}

/// A finding of a case.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Found {
    /// Names it inside the case's report.
    pub id: String,
    /// The rule's code.
    pub rule: String,
    /// How bad it is.
    pub severity: Severity,
    /// How sure it is.
    pub confidence: Confidence,
    /// One line: what is wrong, and where.
    pub title: String,
    /// What stays the same when it is seen again.
    pub fingerprint: String,
    /// What the gate says of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gate: Option<Judged>,
}

/// A case as it was left in its folder.
#[derive(Clone, Debug)]
pub struct Outcome<'a> {
    /// Its name.
    pub name: &'a str,
    /// The folder of its report, relative to the index.
    pub folder: &'a str,
    /// The octets of its `report.json`; `Err` says what it came to without one.
    pub report: Result<&'a [u8], CaseVerdict>,
    /// What was said on the way.
    pub messages: &'a [String],
}

/// The part of `report.json` that an index needs.
#[derive(Deserialize)]
struct Summary {
    findings: Vec<FoundInReport>,
    not_judged: Vec<serde::de::IgnoredAny>,
    totals: SummaryTotals,
    inputs: Vec<SummaryInput>,
    gate: Option<SummaryGate>,
}

#[derive(Deserialize)]
struct FoundInReport {
    id: String,
    rule: String,
    severity: Severity,
    confidence: Confidence,
    title: String,
    fingerprint: String,
}

#[derive(Deserialize)]
struct SummaryTotals {
    packets: u64,
    connections: u64,
    attempts: u64,
    attempts_unanswered: u64,
}

#[derive(Deserialize)]
struct SummaryInput {
    kind: String,
}

#[derive(Deserialize)]
struct SummaryGate {
    findings: BTreeMap<String, Judged>,
    #[serde(default)]
    gone: Vec<serde::de::IgnoredAny>,
}

impl Index {
    /// Ranks cases.
    ///
    /// # Errors
    /// If a report cannot be read back; the name of its case comes with it.
    pub fn new(outcomes: &[Outcome<'_>], fail_on: Option<Severity>) -> Result<Self, (String, NoReport)> {
        let entry = |outcome: &Outcome<'_>| Entry::new(outcome).map_err(|error| (outcome.name.to_owned(), error));
        let mut cases = outcomes.iter().map(entry).collect::<Result<Vec<_>, _>>()?;
        cases.sort_by(|one, other| one.place().cmp(&other.place()).then_with(|| one.name.cmp(&other.name)));
        for (rank, case) in (1..).zip(&mut cases) {
            case.rank = rank;
        }
        let of = |verdict| cases.iter().filter(|case| case.verdict == verdict).count() as u64;
        let totals = Totals {
            cases: cases.len() as u64,
            critical: of(CaseVerdict::Critical),
            warning: of(CaseVerdict::Warning),
            clean: of(CaseVerdict::Clean),
            empty: of(CaseVerdict::Empty),
            failed: of(CaseVerdict::Failed),
        };
        let failing = cases.iter().map(|case| case.failing().count() as u64).sum();
        let tool = Tool { name: env!("CARGO_PKG_NAME"), version: env!("CARGO_PKG_VERSION") };
        Ok(Self { schema: "lastack-index/1", tool, totals, fail_on, failing, ranking: RANKING, cases })
    }

    /// Writes `index.html`, `index.json` and `index.md`.
    ///
    /// # Errors
    /// If one cannot be written.
    pub fn write(&self, output: &mut dyn Output) -> io::Result<()> {
        let mut json = serde_json::to_vec_pretty(self)?;
        json.push(b'\n');
        output.file("index.json", &mut |file| file.write_all(&json))?;
        let page = page::html(self).map_err(io::Error::other)?;
        output.file("index.html", &mut |file| file.write_all(page.as_bytes()))?;
        let text = page::markdown(self);
        output.file("index.md", &mut |file| file.write_all(text.as_bytes()))
    }

    /// `12 cases: 3 critical, 2 with warnings, 7 clean`.
    #[must_use]
    pub fn headline(&self) -> String {
        page::headline(self)
    }

    /// The JSON Schema of `index.json`, as it is published.
    #[must_use]
    pub fn schema() -> String {
        let schema = schemars::schema_for!(Self);
        serde_json::to_string_pretty(&schema).unwrap_or_default() + "\n"
    }
}

impl Entry {
    fn new(outcome: &Outcome<'_>) -> Result<Self, NoReport> {
        let mut entry = Self {
            rank: 0,
            name: outcome.name.to_owned(),
            folder: outcome.folder.to_owned(),
            verdict: CaseVerdict::Failed,
            counts: Counts::default(),
            not_judged: 0,
            read: Read::default(),
            findings: Vec::new(),
            gone: 0,
            messages: outcome.messages.to_vec(),
        };
        match outcome.report {
            Ok(report) => entry.fill(serde_json::from_slice(report)?),
            Err(verdict) => entry.verdict = verdict,
        }
        Ok(entry)
    }

    fn fill(&mut self, summary: Summary) {
        let of = |severity| summary.findings.iter().filter(|found| found.severity == severity).count() as u64;
        self.counts =
            Counts { critical: of(Severity::Critical), warning: of(Severity::Warning), info: of(Severity::Info) };
        self.verdict = match self.counts {
            Counts { critical: 1.., .. } => CaseVerdict::Critical,
            Counts { warning: 1.., .. } => CaseVerdict::Warning,
            Counts { .. } => CaseVerdict::Clean,
        };
        let kind = |kind| summary.inputs.iter().filter(|input| input.kind == kind).count() as u64;
        self.read = Read {
            captures: kind("capture"),
            snapshots: kind("snapshot"),
            packets: summary.totals.packets,
            connections: summary.totals.connections,
            attempts: summary.totals.attempts,
            attempts_unanswered: summary.totals.attempts_unanswered,
        };
        self.not_judged = summary.not_judged.len() as u64;
        let mut judged = summary.gate.as_ref().map(|gate| gate.findings.clone()).unwrap_or_default();
        self.gone = summary.gate.map_or(0, |gate| gate.gone.len() as u64);
        let found = |found: FoundInReport| Found {
            gate: judged.remove(&found.id),
            id: found.id,
            rule: found.rule,
            severity: found.severity,
            confidence: found.confidence,
            title: found.title,
            fingerprint: found.fingerprint,
        };
        self.findings = summary.findings.into_iter().map(found).collect();
    }

    /// Smaller is worse.
    fn place(&self) -> impl Ord + use<> {
        let worst = self.findings.iter().map(|found| (found.severity, found.confidence)).max();
        let none = self.verdict >= CaseVerdict::Empty;
        let counts = (self.counts.critical, self.counts.warning, self.counts.info);
        (none.then_some(self.verdict), std::cmp::Reverse((worst, counts)))
    }

    /// The findings that fail the run.
    pub fn failing(&self) -> impl Iterator<Item = &Found> {
        let fails = |found: &&Found| found.gate.as_ref().is_some_and(|gate| gate.verdict == GateVerdict::Fails);
        self.findings.iter().filter(fails)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(findings: &[(&str, &str)]) -> Vec<u8> {
        let findings: Vec<_> = findings
            .iter()
            .map(|(severity, confidence)| {
                serde_json::json!({"id": "X-1", "rule": "X", "severity": severity, "confidence": confidence,
                    "title": "</script><b>", "fingerprint": "X:y"})
            })
            .collect();
        let totals = serde_json::json!({"packets": 1, "connections": 1, "attempts": 1, "attempts_unanswered": 0});
        let report = serde_json::json!({"findings": findings, "not_judged": [], "inputs": [{"kind": "capture"}], "totals": totals});
        serde_json::to_vec(&report).unwrap()
    }

    fn index(cases: &[(&str, Result<Vec<u8>, CaseVerdict>)]) -> Index {
        let outcomes: Vec<Outcome<'_>> = cases
            .iter()
            .map(|(name, report)| Outcome {
                name,
                folder: name,
                report: report.as_deref().map_err(|verdict| *verdict),
                messages: &[],
            })
            .collect();
        Index::new(&outcomes, None).unwrap()
    }

    #[test]
    fn the_worst_and_surest_case_comes_first() {
        let index = index(&[
            ("failed", Err(CaseVerdict::Failed)),
            ("nothing in it", Err(CaseVerdict::Empty)),
            ("b clean", Ok(report(&[]))),
            ("a clean", Ok(report(&[]))),
            ("notes", Ok(report(&[("info", "high")]))),
            ("warning", Ok(report(&[("warning", "high")]))),
            ("two", Ok(report(&[("critical", "medium"), ("critical", "low")]))),
            ("one", Ok(report(&[("critical", "medium"), ("warning", "high"), ("warning", "high")]))),
            ("sure", Ok(report(&[("critical", "high")]))),
        ]);
        let order: Vec<&str> = index.cases.iter().map(|case| case.name.as_str()).collect();
        let expected = ["sure", "two", "one", "warning", "notes", "a clean", "b clean", "nothing in it", "failed"];
        assert_eq!(order, expected);
        let totals = Totals { cases: 9, critical: 3, warning: 1, clean: 3, empty: 1, failed: 1 };
        assert_eq!(index.totals, totals);
    }

    #[test]
    fn words_of_strangers_are_no_markup() {
        let index = index(&[("<img src=x>", Ok(report(&[("critical", "high")])))]);
        let (page, text) = (page::html(&index).unwrap(), page::markdown(&index));
        assert!(!page.contains("<img src=x>") && !page.contains("</script><b>"), "{page}");
        assert!(text.contains("\\<img src=x\\>"), "{text}");
    }
}
