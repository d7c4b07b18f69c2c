//! The index for people: one HTML page that looks like the reports and fetches nothing, and Markdown for a ticket.

use std::fmt::Write as _;

use askama::Template;

use super::{CaseVerdict, Entry, Found, Index};
use crate::diagnosis::RULES;
use crate::language::Language;
use crate::report::text::{count, counted, markdown as plain, visible};
use crate::report::words::{as_count, confidence_word, severity_word};

#[derive(Template)]
#[template(path = "index.html")]
struct Page<'a> {
    style: &'static str,
    script: &'static str,
    index: &'a Index,
    headline: String,
    rows: Vec<Row<'a>>,
    rules: Vec<RuleRow<'a>>,
}

/// A case.
struct Row<'a> {
    case: &'a Entry,
    word: &'static str,
    link: Option<String>,
    worst: Option<&'a Found>,
    /// Of the worst finding.
    sure: &'static str,
    more: usize,
    counts: String,
    /// Why there is no report; what was said on the way to one stands in `index.json`.
    messages: &'a [String],
    /// What no finding says.
    open: Option<String>,
    packets: String,
    connections: String,
}

/// A rule and the cases that it was found in.
struct RuleRow<'a> {
    code: &'a str,
    name: &'a str,
    severity: &'static str,
    cases: u64,
    names: String,
}

/// Cases that a line of the table of rules names.
const NAMED: usize = 5;

/// The page.
pub(super) fn html(index: &Index) -> Result<String, askama::Error> {
    let page = Page {
        style: include_str!("../style.css"),
        script: include_str!("../page.js"),
        index,
        headline: headline(index),
        rows: index.cases.iter().map(row).collect(),
        rules: rules(index),
    };
    Ok(visible(&page.render()?).into_owned())
}

/// The index as Markdown.
pub(super) fn markdown(index: &Index) -> String {
    let mut text = format!("# {}\n\n", headline(index));
    text.push_str("| | case | verdict | findings | worst |\n|---|---|---|---|---|\n");
    for row in index.cases.iter().map(row) {
        let case = row.case;
        let name = match &row.link {
            Some(link) => format!("[{}]({link})", plain(&case.name)),
            None => plain(&case.name),
        };
        let worst = row.worst.map(|worst| format!("{} {}", worst.rule, plain(&worst.title)));
        let worst = row.open.clone().or(worst);
        let said = row.messages.first().map(|message| plain(message));
        let (verdict, found) = (word(case.verdict), counts(case));
        let _ =
            writeln!(text, "| {} | {name} | {verdict} | {found} | {} |", case.rank, worst.or(said).unwrap_or_default());
    }
    let failing: Vec<(&Entry, &Found)> =
        index.cases.iter().flat_map(|case| case.failing().map(move |found| (case, found))).collect();
    if index.fail_on.is_some() {
        let _ = write!(
            text,
            "\n{}",
            if failing.is_empty() { "Nothing fails the run.\n" } else { "What fails the run:\n\n" }
        );
    }
    for (case, found) in failing {
        let _ = writeln!(text, "- {}: {} {}", plain(&case.name), found.rule, plain(&found.title));
    }
    let _ = write!(text, "\n{}\n", index.ranking);
    text
}

/// `12 cases: 3 critical, 2 with warnings, 7 clean`.
pub(super) fn headline(index: &Index) -> String {
    let totals = &index.totals;
    let parts = [
        (totals.critical, "critical"),
        (totals.undecided, "undecided"),
        (totals.warning, "with warnings"),
        (totals.clean, "clean"),
        (totals.empty, "with nothing to analyse"),
        (totals.failed, "failed"),
    ];
    let parts: Vec<String> =
        parts.iter().filter(|(cases, _)| *cases > 0).map(|(cases, what)| format!("{} {what}", count(*cases))).collect();
    format!("{}: {}", counted(totals.cases, "case", Language::En), parts.join(", "))
}

fn row(case: &Entry) -> Row<'_> {
    let analysed = case.verdict < CaseVerdict::Empty;
    let worst = case.findings.first();
    Row {
        case,
        word: word(case.verdict),
        link: analysed.then(|| format!("{}/report.html", link(&case.folder))),
        worst,
        sure: worst.filter(|_| case.verdict != CaseVerdict::Undecided).map_or("", |w| confidence_word(w.confidence)),
        more: case.findings.len().saturating_sub(1),
        counts: counts(case),
        messages: if analysed { &[] } else { &case.messages },
        open: open(case),
        packets: count(case.read.packets),
        connections: count(case.read.connections),
    }
}

/// Attempts that failed without a finding that says why.
pub(super) fn open(case: &Entry) -> Option<String> {
    let read = &case.read;
    (case.verdict == CaseVerdict::Undecided).then(|| {
        let syns = counted(read.unexplained_syns, "SYN", Language::En);
        format!(
            "{} of {} unanswered, cause undecided: {syns}",
            count(read.attempts_unanswered),
            counted(read.attempts, "attempt", Language::En)
        )
    })
}

/// A folder as a relative URL: names of cases hold letters, digits, points, dashes and underscores, and slashes between.
fn link(folder: &str) -> String {
    let mut link = String::with_capacity(folder.len());
    for octet in folder.bytes() {
        if octet.is_ascii_alphanumeric() || b"-._/".contains(&octet) {
            link.push(char::from(octet));
        } else {
            let _ = write!(link, "%{octet:02X}");
        }
    }
    link
}

pub(super) const fn word(verdict: CaseVerdict) -> &'static str {
    match verdict {
        CaseVerdict::Critical => "critical",
        CaseVerdict::Undecided => "undecided",
        CaseVerdict::Warning => "warning",
        CaseVerdict::Clean => "clean",
        CaseVerdict::Empty => "empty",
        CaseVerdict::Failed => "failed",
    }
}

/// `1 critical, 2 warnings, 3 notes`.
pub(super) fn counts(case: &Entry) -> String {
    let counts = &case.counts;
    let critical = (counts.critical > 0).then(|| format!("{} critical", counts.critical));
    let warnings = (counts.warning > 0).then(|| counted(counts.warning, "warning", Language::En));
    let notes = (counts.info > 0).then(|| counted(counts.info, "note", Language::En));
    critical.into_iter().chain(warnings).chain(notes).collect::<Vec<_>>().join(", ")
}

/// Rules worse than a note, and where they were found.
fn rules(index: &Index) -> Vec<RuleRow<'_>> {
    let mut rows = Vec::new();
    for rule in RULES {
        let of_rule = |case: &&Entry| case.findings.iter().any(|found| found.rule == rule.code);
        let cases: Vec<&Entry> = index.cases.iter().filter(of_rule).collect();
        let found = cases.iter().flat_map(|case| &case.findings).filter(|found| found.rule == rule.code);
        let Some(worst) = found.map(|found| found.severity).max() else { continue };
        let mut names = cases.iter().take(NAMED).map(|case| case.name.as_str()).collect::<Vec<_>>().join(", ");
        if cases.len() > NAMED {
            let _ = write!(names, " and {} more", cases.len().saturating_sub(NAMED));
        }
        let row = RuleRow {
            code: rule.code,
            name: rule.name,
            severity: severity_word(worst),
            cases: as_count(cases.len()),
            names,
        };
        rows.push((worst, row));
    }
    // The sort is stable: rules that are equally bad stay in the order of lists.
    rows.sort_by_key(|(worst, _)| std::cmp::Reverse(*worst));
    rows.into_iter().map(|(_, row)| row).collect()
}
