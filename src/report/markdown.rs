//! The report as Markdown, short enough for a comment on a ticket.
//!
//! CommonMark 0.31 with tables as GitHub and GitLab have them. It is read as plain text too, so that marks are few;
//! the page and `report.json` say the rest.

use std::fmt::Write;

use super::model::Report;
use super::text::{count, counted, markdown, markdown_cell, markdown_code, markdown_rich, metric, number, utc};
use super::words::{
    as_count, base_name, confidence_meaning, confidence_word, looked_at, place, severities, severity_word, since,
    subject,
};
use crate::diagnosis::{Exhibit, Finding};

/// Findings that are told in full, as long as there is room.
const FULL: usize = 5;
/// No finding is told in full after so many bytes: trackers take about 32,000.
const ROOM: usize = 14_000;
/// Findings after those that are named.
const NAMED: usize = 15;
/// Numbers, exhibits, pieces of advice and reasons for each finding.
const METRICS: usize = 8;
const EXHIBITS: usize = 4;
const ADVICE: usize = 3;
const RULED_OUT: usize = 4;
/// Questions that could not be decided.
const NOT_JUDGED: usize = 5;
/// Letters of a title, of a sentence, and of a paragraph.
const TITLE: usize = 240;
const SENTENCE: usize = 400;
const PARAGRAPH: usize = 1200;

/// The comment for `report`: the verdict, each finding with its proof, what was looked at, what could not be judged.
#[must_use]
pub fn render(report: &Report) -> String {
    let mut out = String::new();
    head(&mut out, report);
    let mut told = 0_usize;
    for finding in report.findings.iter().take(FULL) {
        if out.len() > ROOM {
            break;
        }
        told = told.saturating_add(1);
        section(&mut out, report, finding, told);
    }
    others(&mut out, report.findings.get(told..).unwrap_or_default());
    unjudged(&mut out, report);
    let _ = write!(out, "\n{}", markdown(&looked_at(report)));
    limits(&mut out, report);
    let _ = write!(out, "\n\nMade by {} {}. All times are UTC.\n", report.tool.name, report.tool.version);
    out
}

fn head(out: &mut String, report: &Report) {
    match report.findings.first() {
        None => out.push_str("## lastack: no trouble found\n"),
        Some(worst) => {
            let _ = writeln!(out, "## lastack: {}", severities(report));
            // A single finding says it in its own heading just below.
            if report.findings.len() == 1 {
                return;
            }
            let _ = writeln!(out, "\n**{}: {}**", severity_word(worst.severity), rich(&worst.title, TITLE));
        }
    }
}

fn section(out: &mut String, report: &Report, finding: &Finding, place: usize) {
    let (bad, sure) = (severity_word(finding.severity), finding.confidence);
    let _ = writeln!(out, "\n### {place}. {} ({})\n", rich(&finding.title, TITLE), markdown(&finding.id));
    let _ = writeln!(out, "- How bad: {bad}. How sure: {}, {}.", confidence_word(sure), confidence_meaning(sure));
    let _ = writeln!(out, "- Whom it hits: {}", markdown(&clip(&subject(&finding.subject), SENTENCE)));
    let _ = writeln!(out, "- Since when: {}", markdown(&since(report, finding)));
    let numbers = finding.metrics.iter().take(METRICS).map(|(name, value)| {
        let (_, unit) = metric(name);
        format!("{} {}{}{unit}", markdown(name), number(*value), if unit.is_empty() { "" } else { " " })
    });
    let numbers = numbers.collect::<Vec<_>>().join(", ");
    if !numbers.is_empty() {
        let _ = writeln!(out, "- Numbers: {numbers}");
    }
    let _ = writeln!(out, "\n{}", rich(&finding.summary, PARAGRAPH));
    exhibits(out, report, finding);
    if !finding.ruled_out.is_empty() {
        out.push_str("\nRuled out:\n\n");
    }
    for item in finding.ruled_out.iter().take(RULED_OUT) {
        let _ = writeln!(out, "- {}: {}", rich(&item.cause, TITLE), rich(&item.because, SENTENCE));
    }
    if !finding.advice.is_empty() {
        out.push_str("\nWhat to do:\n\n");
    }
    for (index, item) in finding.advice.iter().take(ADVICE).enumerate() {
        let when = item.when.as_ref().map(|when| format!("{}: ", rich(when, SENTENCE))).unwrap_or_default();
        let _ = writeln!(out, "{}. {when}{}", index.saturating_add(1), rich(&item.text, SENTENCE));
    }
    if !finding.display_filter.is_empty() {
        let _ = writeln!(out, "\nWireshark: {}", markdown_code(&finding.display_filter));
    }
}

fn exhibits(out: &mut String, report: &Report, finding: &Finding) {
    if finding.exhibits.is_empty() {
        return;
    }
    out.push_str("\n| input | where | time | what it shows |\n|---|---|---|---|\n");
    for exhibit in finding.exhibits.iter().take(EXHIBITS) {
        let time = exhibit.time.map(utc).unwrap_or_default();
        let shown = markdown_cell(&clip(&exhibit.text, SENTENCE));
        let _ = writeln!(out, "| {} | {} | {time} | {shown} |", input(report, exhibit), place(exhibit));
    }
    let listed = as_count(finding.exhibits.len().min(EXHIBITS));
    if let left @ 1.. = finding.exhibits_total.saturating_sub(listed) {
        let _ = writeln!(out, "\n{} more show the same.", count(left));
    }
}

fn input(report: &Report, exhibit: &Exhibit) -> String {
    let name = report.inputs.iter().find(|input| input.id == exhibit.input).map_or("", |input| base_name(&input.name));
    markdown(&clip(&format!("{} {name}", exhibit.input), 80))
}

/// Findings that have no section of their own.
fn others(out: &mut String, others: &[Finding]) {
    if others.is_empty() {
        return;
    }
    out.push_str("\n### Further findings\n\n");
    for finding in others.iter().take(NAMED) {
        let (bad, title) = (severity_word(finding.severity), rich(&finding.title, TITLE));
        let _ =
            writeln!(out, "- {bad}, {} sure: {title} ({})", confidence_word(finding.confidence), markdown(&finding.id));
    }
    if let left @ 1.. = as_count(others.len().saturating_sub(NAMED)) {
        let _ = writeln!(out, "- and {} in the report", counted(left, "more finding"));
    }
}

fn unjudged(out: &mut String, report: &Report) {
    if report.not_judged.is_empty() {
        return;
    }
    out.push_str("\n### Not judged\n\n");
    for item in report.not_judged.iter().take(NOT_JUDGED) {
        let (because, next) = (rich(&item.because, SENTENCE), rich(&item.record_next, SENTENCE));
        let _ = writeln!(out, "- {}: {because}. Record next: {next}", markdown(item.rule));
    }
    if let left @ 1.. = as_count(report.not_judged.len().saturating_sub(NOT_JUDGED)) {
        let _ = writeln!(out, "- and {} in the report", counted(left, "more question"));
    }
}

/// One sentence where a capture hides something.
fn limits(out: &mut String, report: &Report) {
    let captures = || report.inputs.iter().filter_map(|input| input.capture.as_ref());
    let skipped =
        captures().flat_map(|capture| &capture.skipped).fold(0, |sum: u64, one| sum.saturating_add(one.count));
    let twice = captures().fold(0, |sum: u64, capture| sum.saturating_add(capture.duplicates));
    let cut = as_count(captures().filter(|capture| capture.truncated.is_some()).count());
    let parts = [(skipped, "frame", "passed over"), (twice, "packet", "seen twice"), (cut, "capture", "cut off")];
    let said = parts.iter().filter(|(number, ..)| *number > 0);
    let said: Vec<String> = said.map(|(number, thing, what)| format!("{} {what}", counted(*number, thing))).collect();
    if !said.is_empty() {
        let _ = write!(out, " Limits: {}.", said.join(", "));
    }
}

fn rich(text: &str, longest: usize) -> String {
    markdown_rich(&clip(text, longest))
}

/// At most so many letters, with a mark where some are gone.
fn clip(text: &str, longest: usize) -> String {
    match text.char_indices().nth(longest) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or(text).trim_end()),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::html::sample;

    /// What the common trackers take as one comment.
    const COMMENT: usize = 32_767;

    #[test]
    fn a_comment_says_all_that_counts() {
        let text = render(&sample::recycle());
        for said in [
            "## lastack: 1 finding: 1 critical",
            "### 1. 192.0.2.80:443 drops SYNs from 203.0.113.9",
            "- How bad: critical. How sure: high, ",
            "- Whom it hits: 203.0.113.9 → 192.0.2.80:443",
            "- Since when: 2026-11-22 07:41:11.434 UTC (3.1 s into the capture)",
            "syns_dropped 231",
            "| i1 server-eth0.pcapng | frame 24 | 2026-11-22 07:41:11.434 UTC | SYN from port 41000",
            "227 more show the same.",
            "1. Linux before 4.12, on 192.0.2.80: Turn the check off; it takes effect at once: `sysctl -w",
            "Wireshark: `ip.addr == 203.0.113.9 && tcp.port == 443",
            "- SYN002: no snapshot shows the listen queues while SYNs went unanswered. Record next: `ss -ltn`",
            "Looked at 1 capture and 1 snapshot",
            "Limits: 212 frames passed over, 4 packets seen twice, 1 capture cut off.",
        ] {
            assert!(text.contains(said), "{said}\n{text}");
        }
    }

    #[test]
    fn a_comment_without_findings_says_so() {
        let text = render(&sample::empty());
        assert!(text.starts_with("## lastack: no trouble found\n"));
        assert!(text.contains("48,213 packets"));
    }

    #[test]
    fn any_report_fits_into_a_comment() {
        let mut report = sample::many(200);
        for finding in &mut report.findings {
            finding.title = crate::language::Text::value("t_".repeat(2000));
            finding.summary = crate::language::Text::value("*s".repeat(5000));
            finding
                .exhibits
                .iter_mut()
                .for_each(|exhibit| exhibit.text = crate::language::Text::value("|x".repeat(900)));
        }
        let text = render(&report);
        assert!(text.len() < COMMENT, "{}", text.len());
        assert!(text.contains("more findings in the report"));
        let brief = render(&sample::many(200));
        assert!(
            brief.len() < COMMENT / 2 && brief.contains("- and 180 more findings in the report"),
            "{}",
            brief.len()
        );
    }

    #[test]
    fn hostile_words_stay_words() {
        let text = render(&sample::hostile());
        assert!(!text.contains("<script>") && !text.contains("https://") && !text.contains("\n# x"));
        assert!(!text.chars().any(|c| c.is_control() && c != '\n') && !text.contains('\u{202e}'));
        for row in text.lines().filter(|line| line.starts_with("| ")) {
            let bars = row.replace("\\|", "").matches('|').count();
            assert_eq!(bars, 5, "{row}");
        }
    }
}
