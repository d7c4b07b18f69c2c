//! The counts over all points: a line of numbers, and bars that show how connections opened and closed.

use crate::language::{Joint, Text, words};
use crate::report::model::Report;
use crate::report::text::count;
use crate::report::words::said;

/// The counts over all points, for the line of numbers.
pub(super) fn seen(report: &Report) -> Vec<(&'static str, String)> {
    let totals = &report.totals;
    let names = words!(
        "Packets",
        "TCP segments",
        "Connections",
        "Attempts to open",
        "Attempts unanswered",
        "Reuses after TIME-WAIT"
    );
    let numbers = [
        totals.packets,
        totals.segments,
        totals.connections,
        totals.attempts,
        totals.attempts_unanswered,
        totals.reuses,
    ];
    names.into_iter().zip(numbers).map(|(name, number)| (report.language.say(name), count(number))).collect()
}

/// Counts as bars.
pub(super) struct Bars {
    pub title: &'static str,
    pub rows: Vec<Bar>,
}

/// One count; the width is in percent of the largest.
pub(super) struct Bar {
    pub label: String,
    pub meaning: String,
    pub count: String,
    pub width: String,
}

/// How connections opened and closed, and what unanswered SYNs are attributed to.
pub(super) fn bars(report: &Report) -> Vec<Bars> {
    let totals = &report.totals;
    let say = |words: &'static str| report.language.say(words);
    let named = |counts: &std::collections::BTreeMap<&'static str, u64>, meanings: &[(&str, &'static str)]| {
        let meaning =
            |word: &str| meanings.iter().find(|(known, _)| *known == word).map_or("", |(_, meaning)| say(meaning));
        counts.iter().map(|(word, number)| ((*word).to_owned(), meaning(word).to_owned(), *number)).collect()
    };
    let causes = report.syn_causes.iter().map(|(cause, number)| (cause.clone(), cause_meaning(report, cause), *number));
    let mut bars = vec![
        bar_list(report.language.say("How connections opened"), named(&totals.opens, &OPENS)),
        bar_list(report.language.say("How connections closed"), named(&totals.closes, &CLOSES)),
        bar_list(report.language.say("Unanswered SYNs by cause"), causes.collect()),
    ];
    bars.retain(|list| !list.rows.is_empty());
    bars
}

fn bar_list(title: &'static str, mut counts: Vec<(String, String, u64)>) -> Bars {
    counts.retain(|(_, _, number)| *number > 0);
    counts.sort_by_key(|(_, _, number)| std::cmp::Reverse(*number));
    let most = counts.first().map_or(1, |(_, _, number)| *number);
    let rows = counts.into_iter().map(|(label, meaning, number)| {
        let width = u128::from(number).saturating_mul(1000).checked_div(u128::from(most)).unwrap_or(0);
        Bar { label, meaning, count: count(number), width: format!("{}.{}%", width / 10, width % 10) }
    });
    Bars { title, rows: rows.collect() }
}

fn cause_meaning(report: &Report, cause: &str) -> String {
    let name = |code: &str| {
        let found = report.findings.iter().find(|finding| finding.rule == code);
        found.map_or_else(|| code.to_owned(), |finding| finding.name.to_owned())
    };
    let language = report.language;
    match cause {
        "undecided" => language.say("too near to the start of the capture or to a gap").to_owned(),
        "unexplained" => language.say("no rule explains them").to_owned(),
        _ => match cause.strip_prefix("either:") {
            Some(codes) => {
                said(language, Text::joined(Joint::Or, codes.split('+').map(|code| Text::value(name(code)))))
            }
            None => Some(name(cause)).filter(|name| name != cause).unwrap_or_default(),
        },
    }
}

const OPENS: [(&str, &str); 9] = [
    ("handshake", words!("SYN, SYN-ACK and ACK seen")),
    ("simultaneous", words!("both ends sent a SYN")),
    ("half-open", words!("SYN and SYN-ACK only")),
    ("aborted", words!("SYN, SYN-ACK, then the client's RST")),
    ("unanswered", words!("SYN only")),
    ("refused", words!("SYN, then RST")),
    ("unreachable", words!("SYN, then ICMP")),
    ("challenged", words!("an ACK that is no SYN-ACK, and never opened")),
    ("before-capture", words!("no SYN seen")),
];

const CLOSES: [(&str, &str); 9] = [
    ("none", words!("never opened")),
    ("fin-reset", words!("a FIN, then a RST before both were acknowledged")),
    ("reset", words!("a RST and no FIN")),
    ("fin-simultaneous", words!("two FINs that crossed")),
    ("fin", words!("two FINs, one after the other")),
    ("half-closed", words!("one FIN, acknowledged")),
    ("fin-unanswered", words!("one FIN, never acknowledged")),
    ("data-unanswered", words!("data retransmitted into silence")),
    ("open", words!("still open at the end")),
];
