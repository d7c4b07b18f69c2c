//! HOST036: the connection tracker's table is nearly full.
//!
//! 75 % as the node-exporter mixin, 90 % as node-problem-detector have it.

use super::super::claims::{Claims, percent, setting_line};
use super::super::finding::significant;
use super::super::host_limits::line;
use super::super::lacking::{Lack, each_host_or};
use super::super::{Case, Confidence, Finding, Rule, Severity, Verdict, number};
use crate::language::{Text, pages, say};

pub(in crate::diagnosis) static RULE: Rule =
    Rule { code: "HOST036", name: "conntrack-near-full", explanation: pages!("conntrack_near_full"), judge };
fn judge(case: &Case<'_>) -> Verdict {
    each_host_or(case, &RULE, host, lack)
}

const NEAR: f64 = 75.0;
const FULL: f64 = 90.0;

fn host(host: &Claims<'_>) -> Option<Finding> {
    let max = host.live("net.netfilter.nf_conntrack_max").or_else(|| host.live("net.nf_conntrack_max"))?;
    let limit: u64 = max.value.trim().parse().ok().filter(|limit| *limit > 0)?;
    let facts = &host.host.host.facts;
    let tables = facts.tracked_tables.iter().map(|table| (table.entries, table.source));
    let counts = facts.settings.iter().filter(|setting| setting.live && setting.name.ends_with("nf_conntrack_count"));
    let counts = counts.filter_map(|setting| Some((setting.value.trim().parse().ok()?, setting.source)));
    let (count, source) = tables.chain(counts).max_by_key(|(count, source)| (*count, std::cmp::Reverse(*source)))?;
    let share = percent(count, limit).filter(|share| *share > NEAR)?;
    let severity = if share > FULL { Severity::Critical } else { Severity::Warning };
    let title = say!("the connection tracker holds {count} of {limit} entries", count, limit);
    let summary = say!(
        "{share} % of the table is taken. When it is full the kernel drops the first packet of every new connection, in silence but for a message in the log.",
        share = format!("{share:.0}")
    );
    let mut finding = host.finding(severity, Confidence::High, title, summary);
    finding.metric("entries", number(count));
    finding.metric("limit", number(limit));
    finding.metric("share_percent", significant(share));
    finding.exhibit_all(vec![line(source, say!("{count} entries", count)), setting_line(max)]);
    finding.advise(say!("Raise net.netfilter.nf_conntrack_max with the hash size (/sys/module/nf_conntrack/parameters/hashsize), and shorten nf_conntrack_tcp_timeout_established (5 days) and _time_wait (120 s)."));
    finding.advise(say!(
        "Traffic that needs no state (a load balancer's own) can be left untracked: the raw table's NOTRACK."
    ));
    finding.refer(&["Linux Documentation/networking/nf_conntrack-sysctl.rst"]);
    Some(finding)
}

/// Fewer are near no limit that a host has by default (65536 and more since 5.15, a quarter of it before).
const MANY: u64 = 10_000;

fn lack(host: &Claims<'_>) -> Option<Lack> {
    let most = host.host.host.facts.tracked_tables.iter().map(|table| table.entries).max()?;
    let told = host.live("net.netfilter.nf_conntrack_max").or_else(|| host.live("net.nf_conntrack_max"));
    let because = say!("the connection tracker holds {most} entries, and nf_conntrack_max is not told", most);
    let record = Text::value("sysctl net.netfilter.nf_conntrack_max net.netfilter.nf_conntrack_count");
    (most >= MANY && told.is_none()).then_some(Lack { because, record })
}
