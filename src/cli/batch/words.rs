//! What a batch says on the terminal.

use std::fmt::Write as _;

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
        let known = index.cases.iter().flat_map(|case| &case.findings).filter(|found| seen(found) == Some(Seen::Known));
        let gone: u64 = index.cases.iter().map(|case| case.gone).sum();
        let _ = writeln!(text, "{} new, {} known from the baseline, {gone} gone since", lines.len(), known.count());
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
    let is_new = |found: &&Found| matches!(seen(found), Some(Seen::New | Seen::Worse));
    let of_case = |case: &Entry| {
        let lines = case.findings.iter().filter(is_new).map(|found| line(case, found, colours));
        lines.collect::<Vec<_>>()
    };
    index.cases.iter().flat_map(of_case).collect()
}

fn worst_of_cases(index: &Index, colours: bool) -> Vec<String> {
    let bad = index.cases.iter().filter(|case| case.verdict < CaseVerdict::Clean);
    bad.filter_map(|case| Some(line(case, case.findings.first()?, colours))).collect()
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
