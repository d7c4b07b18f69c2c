//! `annotations.txt`: a workflow command of GitHub Actions for each finding; printed in a job's log, it becomes an
//! annotation.
//!
//! Syntax and escapes are those of GitHub's "Workflow commands for GitHub Actions": `%`, CR and LF in messages,
//! `:` and `,` in properties too. GitHub shows ten of each level a step, so the worst come first.

use std::io;

use super::gate::{GateVerdict, Judged};
use super::model::Report;
use super::text::visible;
use super::{Material, Output};
use crate::diagnosis::{Finding, Severity};

/// Writes `annotations.txt`.
///
/// # Errors
/// If it cannot be written.
pub fn render(material: &Material<'_>, output: &mut dyn Output) -> io::Result<()> {
    let report = &material.report;
    let lines: Vec<String> = report.findings.iter().map(|finding| annotation(report, finding)).collect();
    output.file("annotations.txt", &mut |file| lines.iter().try_for_each(|line| writeln!(file, "{line}")))
}

/// `::error title=SYN001 per-host-paws-drop,file=dump.pcap::what was found`.
fn annotation(report: &Report, finding: &Finding) -> String {
    let judged = report.gate.as_ref().and_then(|gate| gate.of(&finding.id));
    let mut properties = format!("title={}", property(&format!("{} {}", finding.rule, finding.name)));
    let exhibit = finding.exhibits.first();
    let input = exhibit.and_then(|exhibit| report.inputs.iter().find(|input| input.id == exhibit.input));
    if let Some(input) = input {
        properties.push_str(&format!(",file={}", property(&input.name)));
    }
    if let Some(line) = exhibit.and_then(|exhibit| exhibit.line) {
        properties.push_str(&format!(",line={line}"));
    }
    let mut message = format!("{} ({} confidence)", finding.title, super::words::confidence_word(finding.confidence));
    if let Some(why) = judged.and_then(passed) {
        message.push_str(&format!("; does not fail: {why}"));
    }
    format!("::{} {properties}::{}", level(finding.severity, judged), data(&message))
}

/// What does not fail the run is a notice at most.
fn level(severity: Severity, judged: Option<&Judged>) -> &'static str {
    let passes = judged.and_then(passed).is_some();
    match severity {
        Severity::Critical if !passes => "error",
        Severity::Warning if !passes => "warning",
        _ => "notice",
    }
}

/// Why a finding passes although it is bad enough to fail.
fn passed(judged: &Judged) -> Option<String> {
    let because = judged.because.as_deref().unwrap_or_default();
    match judged.verdict {
        GateVerdict::Known => Some("it is in the baseline".to_owned()),
        GateVerdict::Limited => Some(format!("within its threshold ({because})")),
        GateVerdict::Allowed => Some(format!("allowed ({because})")),
        GateVerdict::Fails | GateVerdict::Minor => None,
    }
}

/// Control characters of strangers are written out before, so that no line can begin a command of its own.
fn data(text: &str) -> String {
    visible(text).replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::html::sample;

    #[test]
    fn a_finding_becomes_one_command() {
        let report = sample::recycle();
        let line = annotation(&report, &report.findings[0]);
        assert!(line.starts_with("::error title=SYN001 per-host-paws-drop,file="), "{line}");
        assert!(line.contains("::192.0.2.80:443 drops SYNs from 203.0.113.9"), "{line}");
    }

    #[test]
    fn words_of_strangers_begin_no_command() {
        let mut report = sample::recycle();
        report.findings[0].title = crate::language::Text::value("50 %\n::error::injected\r\n");
        for input in &mut report.inputs {
            input.name = "a,b:c%.pcap\n".to_owned();
        }
        let line = annotation(&report, &report.findings[0]);
        assert_eq!(line.lines().count(), 1, "{line}");
        assert!(line.contains("file=a%2Cb%3Ac%25.pcap%0A"), "{line}");
        assert!(line.contains("50 %25%0A::error::injected"), "{line}");
    }

    #[test]
    fn what_is_allowed_is_a_notice_with_its_reason() {
        let mut report = sample::recycle();
        let id = report.findings[0].id.clone();
        let judged =
            Judged { verdict: GateVerdict::Allowed, seen: None, because: Some("a lab".to_owned()), until: None };
        report.gate = Some(super::super::gate::Gate {
            fail_on: Some(Severity::Info),
            baseline: false,
            failing: 0,
            findings: [(id, judged)].into(),
            gone: Vec::new(),
        });
        let line = annotation(&report, &report.findings[0]);
        assert!(line.starts_with("::notice ") && line.ends_with("does not fail: allowed (a lab)"), "{line}");
    }
}
