//! What a batch says on the terminal.

use std::fmt::Write as _;

use super::super::analyze::{against_baseline, is_news};
use super::state::{Finished, Outcome, Verdict};
use crate::report::gate::Seen;
use crate::report::index::{CaseVerdict, Entry, Found, Index};
use crate::report::visible;

/// Lines of the summary after which the rest is left to the index.
const SHOWN: usize = 20;

/// What became of a case, for the line that tells it is done.
pub(super) fn outcome(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Finished(Finished { verdict: Verdict::Analysed, .. }) => "analysed".to_owned(),
        Outcome::Finished(_) => "nothing to analyse".to_owned(),
        Outcome::Failed(messages) => {
            format!("failed: {}", messages.last().map_or("nothing was said", String::as_str))
        }
    }
}

/// Cases in their order; with a baseline, what is new in them.
pub(super) fn summary(index: &Index, folder: &str, colours: bool) -> String {
    let mut text = String::new();
    let has_baseline = index.cases.iter().any(|case| case.findings.iter().any(|found| seen(found).is_some()));
    let lines: Vec<String> = if has_baseline { new_findings(index, colours) } else { worst_of_cases(index, colours) };
    for line in lines.iter().take(SHOWN) {
        let _ = writeln!(text, "{line}");
    }
    if lines.len() > SHOWN {
        let _ = writeln!(text, "… and {} more", lines.len().saturating_sub(SHOWN));
    }
    if has_baseline {
        let judged = index.cases.iter().flat_map(|case| &case.findings).filter_map(|found| found.gate.as_ref());
        text.push_str(&against_baseline(judged, index.cases.iter().map(|case| case.gone).sum()));
    }
    for case in index.cases.iter().filter(|case| case.verdict == CaseVerdict::Failed) {
        let why = case.messages.last().map_or("nothing was said", String::as_str);
        let _ = writeln!(text, "{}{}: {}", tag("FAILED", "\x1b[1;35m", colours), visible(&case.name), visible(why));
    }
    let _ = writeln!(text, "{}", index.headline());
    let _ = writeln!(text, "Index: {}/index.html", visible(folder));
    text
}

fn new_findings(index: &Index, colours: bool) -> Vec<String> {
    let is_new = |found: &&Found| found.gate.as_ref().is_some_and(|gate| is_news(gate, index.fail_on.is_some()));
    let of_case = |case: &Entry| {
        let lines = case.findings.iter().filter(is_new).map(|found| line(case, found, colours));
        lines.collect::<Vec<_>>()
    };
    index.cases.iter().flat_map(of_case).collect()
}

fn worst_of_cases(index: &Index, colours: bool) -> Vec<String> {
    let bad = index.cases.iter().filter(|case| case.verdict < CaseVerdict::Clean);
    let told = |case: &Entry| match Index::undecided(case) {
        Some(open) => Some(format!("{}{}: {open}", tag("UNDECIDED", "\x1b[1;33m", colours), visible(&case.name))),
        None => case.findings.first().map(|found| line(case, found, colours)),
    };
    bad.filter_map(told).collect()
}

fn line(case: &Entry, found: &Found, colours: bool) -> String {
    use crate::diagnosis::Severity;
    let (name, colour) = match found.severity {
        Severity::Critical => ("CRITICAL", "\x1b[1;31m"),
        Severity::Warning => ("WARNING", "\x1b[1;33m"),
        Severity::Info => ("INFO", "\x1b[1;36m"),
    };
    format!("{}{}  {}: {}", tag(name, colour, colours), found.rule, visible(&case.name), visible(&found.title))
}

fn tag(name: &str, colour: &str, colours: bool) -> String {
    if colours { format!("{colour}{name:<8}\x1b[0m ") } else { format!("{name:<8} ") }
}

fn seen(found: &Found) -> Option<Seen> {
    found.gate.as_ref().and_then(|gate| gate.seen)
}
