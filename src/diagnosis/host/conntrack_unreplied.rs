//! HOST039: many tracked connections never got an answer.
//!
//! `[UNREPLIED]` of `conntrack -L`: no packet of the other direction was seen.

use super::super::claims::{Claims, each_host, percent};
use super::super::finding::significant;
use super::super::host_limits::line;
use super::super::{Case, Confidence, Finding, Rule, Severity, Verdict, number};
use crate::language::{pages, say};
use crate::snapshot::Endpoint;

pub(in crate::diagnosis) static RULE: Rule =
    Rule { code: "HOST039", name: "conntrack-unreplied", explanation: pages!("conntrack_unreplied"), judge };
fn judge(case: &Case<'_>) -> Verdict {
    each_host(case, &RULE, host)
}

const SHARE: f64 = 30.0;
const MANY: u64 = 100;

fn host(host: &Claims<'_>) -> Option<Finding> {
    let tables = host.host.host.facts.tracked_tables.iter().filter(|table| table.listed && table.entries >= MANY);
    let table = tables.max_by_key(|table| table.unreplied)?;
    let share = percent(table.unreplied, table.entries).filter(|share| *share > SHARE)?;
    let title = say!(
        "{unreplied} of {entries} tracked connections got no answer",
        unreplied = table.unreplied,
        entries = table.entries
    );
    let summary = say!(
        "{share} % of the entries saw packets of one direction only: scans, a flood, a destination that is down, or replies that take another way and miss this host.",
        share = format!("{share:.0}")
    );
    let mut finding = host.finding(Severity::Warning, Confidence::Medium, title, summary);
    finding.metric("entries", number(table.entries));
    finding.metric("unreplied", number(table.unreplied));
    finding.metric("share_percent", significant(share));
    let rows =
        host.host.host.facts.tracked.iter().filter(|entry| entry.unreplied && entry.source.input == table.source.input);
    let rows = rows.map(|entry| {
        line(entry.source, say!("{entry} to {to}, no reply", entry = shown(&entry.from), to = shown(&entry.to)))
    });
    finding.exhibit_all(rows.collect::<Vec<_>>());
    finding.advise(say!("See the destinations: one address only means that it is down; many ports of one source mean a scan; all means asymmetric routing."));
    finding.refer(&["conntrack(8)"]);
    Some(finding)
}

fn shown(end: &Endpoint) -> String {
    match (end.host.ip(), end.port.number()) {
        (Some(ip), Some(port)) => std::net::SocketAddr::new(ip, port).to_string(),
        (Some(ip), None) => ip.to_string(),
        _ => "?".to_owned(),
    }
}
