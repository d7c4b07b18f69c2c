//! What rules about hosts could not judge: something was given that asks for an answer, and what the answer needs was not.
//!
//! A report is not filled with all that nobody recorded. A rule speaks where what it has is beyond what it would fire
//! for, or where a listing cannot show what it is about; once, however many hosts lack the same.

use super::claims::{Claims, Counted, claims};
use super::{Case, Finding, NotJudged, Rule, Verdict};
use crate::language::{Joint, Text, say};

/// What one host lacks for one rule.
pub(super) struct Lack {
    /// What was given, and what was not.
    pub because: Text,
    /// Commands that tell it.
    pub record: Text,
}

/// Judges every host by itself, and says what was lacking where nothing was found.
pub(super) fn each_host_or(
    case: &Case<'_>,
    rule: &'static Rule,
    judge: impl Fn(&Claims<'_>) -> Option<Finding>,
    lack: impl Fn(&Claims<'_>) -> Option<Lack>,
) -> Verdict {
    let mut found = Vec::new();
    let mut silent = Vec::new();
    for host in claims(case, rule) {
        match judge(&host) {
            Some(finding) => found.push(finding),
            None => silent.push(host),
        }
    }
    Verdict { found, not_judged: not_judged(rule, silent, lack) }
}

/// One entry for all hosts that lack something.
pub(super) fn not_judged<'a>(
    rule: &'static Rule,
    hosts: impl IntoIterator<Item = Claims<'a>>,
    lack: impl Fn(&Claims<'a>) -> Option<Lack>,
) -> Vec<NotJudged> {
    let mut lacking = hosts.into_iter().filter_map(|host| Some((host.host.name.as_str(), lack(&host)?)));
    let Some((name, first)) = lacking.next() else { return Vec::new() };
    let others = match lacking.count() {
        0 => Text::default(),
        1 => say!(" (and so for one host more)"),
        more => say!(" (and so for {more} hosts more)", more),
    };
    let because = say!("{host}: {because}{others}", host = name, because = first.because, others);
    vec![NotJudged { rule: rule.code, because, record_next: first.record }]
}

/// A counter that is worth a look, and nothing to hold it against.
pub(super) fn no_whole(host: &Claims<'_>, counted: Option<Counted>, few: u64, wholes: &[&'static str]) -> Option<Lack> {
    let counted = counted.filter(|counted| counted.amount >= few)?;
    if wholes.iter().any(|whole| host.counted(whole).is_some()) {
        return None;
    }
    let because = say!(
        "{counted}, and {wholes} is not told, so that its share is not known",
        counted,
        wholes = Text::joined(Joint::And, wholes.iter().map(|whole| Text::value(*whole)))
    );
    Some(Lack { because, record: say!("uptime; nstat -az (or /proc/net/snmp beside /proc/net/netstat)") })
}
