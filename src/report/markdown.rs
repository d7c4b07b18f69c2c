//! The report as Markdown, short enough for a comment on a ticket.
//!
//! CommonMark 0.31 with tables as GitHub and GitLab have them. It is read as plain text too, so that marks are few;
//! the page and `report.json` say the rest.

use std::fmt::Write;

use super::model::Report;
use super::text::{count, counted, markdown, markdown_cell, markdown_code, markdown_rich, metric, moment, number};
use super::words::{
    as_count, base_name, confidence_meaning, confidence_word, looked_at, place, said, severities, severity_word, since,
    subject, times,
};
use crate::diagnosis::{Exhibit, Finding};
use crate::language::{Joint, Language, Text, say};

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
    others(&mut out, report.findings.get(told..).unwrap_or_default(), report.language);
    unjudged(&mut out, report);
    let _ = write!(out, "\n{}", markdown(&looked_at(report)));
    limits(&mut out, report);
    let (name, version) = (report.tool.name, report.tool.version);
    let made = say!("Made by {name} {version}.", name, version).then(Text::value(times(report.language)));
    let _ = write!(out, "\n\n{}\n", said(report.language, made));
    out
}

fn head(out: &mut String, report: &Report) {
    let language = report.language;
    match report.findings.first() {
        None => {
            let _ = writeln!(out, "## {}", report.language.say("lastack: no trouble found"));
        }
        Some(worst) => {
            let _ = writeln!(out, "## {}", said(language, say!("lastack: {findings}", findings = severities(report))));
            // A single finding says it in its own heading just below.
            if report.findings.len() == 1 {
                return;
            }
            let severity = Text::of(severity_word(worst.severity));
            let line = say!("{severity}: {title}", severity, title = rich(&worst.title, TITLE));
            let _ = writeln!(out, "\n**{}**", said(language, line));
        }
    }
}

fn section(out: &mut String, report: &Report, finding: &Finding, place: usize) {
    let language = report.language;
    let say = |text: Text| said(language, text);
    let (bad, sure) = (Text::of(severity_word(finding.severity)), finding.confidence);
    let (title, id) = (rich(&finding.title, TITLE), markdown(&finding.id));
    let _ = writeln!(out, "\n### {}\n", say(say!("{place}. {title} ({id})", place, title, id)));
    let (sure, meaning) = (Text::of(confidence_word(sure)), Text::of(confidence_meaning(sure)));
    let _ = writeln!(out, "- {}", say(say!("How bad: {bad}. How sure: {sure}, {meaning}.", bad, sure, meaning)));
    let whom = markdown(&clip(&subject(&finding.subject, language), SENTENCE));
    let _ = writeln!(out, "- {}", say(say!("Whom it hits: {whom}", whom)));
    let _ = writeln!(out, "- {}", say(say!("Since when: {since}", since = markdown(&since(report, finding)))));
    let numbers = finding.metrics.iter().take(METRICS).map(|(name, value)| {
        let unit = language.say(metric(name).1);
        format!("{} {}{}{unit}", markdown(name), number(*value), if unit.is_empty() { "" } else { " " })
    });
    let numbers = Text::joined(Joint::Commas, numbers.map(Text::value));
    if !numbers.is_empty() {
        let _ = writeln!(out, "- {}", say(say!("Numbers: {numbers}", numbers)));
    }
    let _ = writeln!(out, "\n{}", rich(&finding.summary, PARAGRAPH));
    exhibits(out, report, finding);
    if !finding.ruled_out.is_empty() {
        let _ = writeln!(out, "\n{}\n", language.say("Ruled out:"));
    }
    for item in finding.ruled_out.iter().take(RULED_OUT) {
        let (cause, because) = (rich(&item.cause, TITLE), rich(&item.because, SENTENCE));
        let _ = writeln!(out, "- {}", say(say!("{cause}: {because}", cause, because)));
    }
    if !finding.advice.is_empty() {
        let _ = writeln!(out, "\n{}\n", language.say("What to do:"));
    }
    for (index, item) in finding.advice.iter().take(ADVICE).enumerate() {
        let text = rich(&item.text, SENTENCE);
        let advice = match &item.when {
            Some(when) => say!("{when}: {text}", when = rich(when, SENTENCE), text),
            None => Text::value(text),
        };
        let _ = writeln!(out, "{}. {}", index.saturating_add(1), say(advice));
    }
    if !finding.display_filter.is_empty() {
        let filter = markdown_code(&finding.display_filter);
        let _ = writeln!(out, "\n{}", say(say!("Wireshark: {filter}", filter)));
    }
}

fn exhibits(out: &mut String, report: &Report, finding: &Finding) {
    if finding.exhibits.is_empty() {
        return;
    }
    let language = report.language;
    let heads = [language.say("input"), language.say("where"), language.say("time"), language.say("what it shows")];
    let _ = writeln!(out, "\n| {} |\n|---|---|---|---|", heads.join(" | "));
    for exhibit in finding.exhibits.iter().take(EXHIBITS) {
        let time = exhibit.time.map(moment).unwrap_or_default();
        let shown = markdown_cell(&clip(&exhibit.text, SENTENCE));
        let (input, place) = (input(report, exhibit), place(exhibit, language));
        let _ = writeln!(out, "| {input} | {place} | {time} | {shown} |");
    }
    let listed = as_count(finding.exhibits.len().min(EXHIBITS));
    if let left @ 1.. = finding.exhibits_total.saturating_sub(listed) {
        let _ = writeln!(out, "\n{}", said(language, say!("{left} more show the same.", left = count(left))));
    }
}

fn input(report: &Report, exhibit: &Exhibit) -> String {
    let name = report.inputs.iter().find(|input| input.id == exhibit.input).map_or("", |input| base_name(&input.name));
    markdown(&clip(&format!("{} {name}", exhibit.input), 80))
}

/// Findings that have no section of their own.
fn others(out: &mut String, others: &[Finding], language: Language) {
    if others.is_empty() {
        return;
    }
    let _ = writeln!(out, "\n### {}\n", language.say("Further findings"));
    for finding in others.iter().take(NAMED) {
        let (bad, sure) = (Text::of(severity_word(finding.severity)), Text::of(confidence_word(finding.confidence)));
        let (title, id) = (rich(&finding.title, TITLE), markdown(&finding.id));
        let _ = writeln!(out, "- {}", said(language, say!("{bad}, {sure} sure: {title} ({id})", bad, sure, title, id)));
    }
    if let left @ 1.. = as_count(others.len().saturating_sub(NAMED)) {
        let left = counted(left, "more finding", language);
        let _ = writeln!(out, "- {}", said(language, say!("and {left} in the report", left)));
    }
}

fn unjudged(out: &mut String, report: &Report) {
    if report.not_judged.is_empty() {
        return;
    }
    let language = report.language;
    let _ = writeln!(out, "\n### {}\n", language.say("Not judged"));
    for item in report.not_judged.iter().take(NOT_JUDGED) {
        let (because, next) = (rich(&item.because, SENTENCE), rich(&item.record_next, SENTENCE));
        let rule = markdown(item.rule);
        let line = say!("{rule}: {because}. Record next: {next}", rule, because, next);
        let _ = writeln!(out, "- {}", said(language, line));
    }
    if let left @ 1.. = as_count(report.not_judged.len().saturating_sub(NOT_JUDGED)) {
        let left = counted(left, "more question", language);
        let _ = writeln!(out, "- {}", said(language, say!("and {left} in the report", left)));
    }
}

/// One sentence where a capture hides something.
fn limits(out: &mut String, report: &Report) {
    let captures = || report.inputs.iter().filter_map(|input| input.capture.as_ref());
    let skipped =
        captures().flat_map(|capture| &capture.skipped).fold(0, |sum: u64, one| sum.saturating_add(one.count));
    let twice = captures().fold(0, |sum: u64, capture| sum.saturating_add(capture.duplicates));
    let cut = as_count(captures().filter(|capture| capture.truncated.is_some()).count());
    let language = report.language;
    let parts = [
        (skipped > 0).then(|| say!("{frames} passed over", frames = counted(skipped, "frame", language))),
        (twice > 0).then(|| say!("{packets} seen twice", packets = counted(twice, "packet", language))),
        (cut > 0).then(|| say!("{captures} cut off", captures = counted(cut, "capture", language))),
    ];
    let limits = Text::joined(Joint::Commas, parts.into_iter().flatten());
    if !limits.is_empty() {
        // Nothing stands between Chinese sentences.
        let blank = if language == Language::En { " " } else { "" };
        let _ = write!(out, "{blank}{}", said(language, say!("Limits: {limits}.", limits)));
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
