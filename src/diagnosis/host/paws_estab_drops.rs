//! HOST014: segments of open connections were dropped for old timestamps.
//!
//! Linux net/ipv4/tcp_input.c, `tcp_validate_incoming()`; before 6.16 PAWSEstab counts TIME-WAIT as well (c449d5f3a3d7).

use super::super::claims::{Claims, ask_again, percent};
use super::super::finding::significant;
use super::super::lacking::{Lack, each_host_or, no_whole};
use super::super::{Case, Confidence, Finding, Rule, Severity, Verdict, number};
use crate::language::{Text, pages, say};

pub(in crate::diagnosis) static RULE: Rule =
    Rule { code: "HOST014", name: "paws-estab-drops", explanation: pages!("paws_estab_drops"), judge };
fn judge(case: &Case<'_>) -> Verdict {
    each_host_or(case, &RULE, host, lack)
}

/// The share of incoming segments in percent that reordering does not reach.
const SHARE: f64 = 0.1;
/// Fewer are reordering.
const FEW: u64 = 5;
/// Fewer between two moments prove no trouble.
const MANY: u64 = 100;

fn host(host: &Claims<'_>) -> Option<Finding> {
    let dropped = host.counted("TcpExtPAWSEstab").filter(|dropped| dropped.amount >= FEW)?;
    let segments = host.counted("TcpInSegs")?;
    let share = percent(dropped.amount, segments.amount).filter(|share| *share > SHARE)?;
    let severity = if dropped.amount >= MANY { dropped.by_share(Severity::Warning) } else { Severity::Info };
    let title =
        say!("{share} % of incoming segments had old timestamps: {dropped}", share = format!("{share:.1}"), dropped);
    let mixed = if host.counted("TcpExtPAWSTimewait").is_some() {
        Text::default()
    } else {
        say!(" Before Linux 6.16 the counter includes segments that met a TIME-WAIT (HOST013).")
    };
    let summary = say!(
        "Segments of connections were dropped because their timestamp was older than one seen before (PAWS). A few come from reordering; so many come from something that rewrites timestamps, or from two hosts behind one socket pair.{mixed}",
        mixed
    );
    let mut finding = host.finding(severity, Confidence::Medium, title, summary);
    finding.metric("paws_estab", number(dropped.amount));
    finding.metric("share_percent", significant(share));
    let mut exhibits = dropped.exhibits();
    exhibits.extend(segments.exhibits());
    finding.exhibit_all(exhibits);
    finding.advise(say!("Look for a firewall, load balancer or WAN optimizer that changes TCP timestamps, and for two hosts that share an address."));
    ask_again(&mut finding, &dropped);
    finding.refer(&["Linux net/ipv4/tcp_input.c: tcp_validate_incoming()", "RFC 7323 section 5.3"]);
    Some(finding)
}

fn lack(host: &Claims<'_>) -> Option<Lack> {
    no_whole(host, host.counted("TcpExtPAWSEstab"), MANY, &["TcpInSegs"])
}
