//! HOST038: half of the connection tracker's table is closed connections.
//!
//! nf_conntrack_tcp_timeout_time_wait, 120 s (nf_conntrack-sysctl.rst); the socket's own TIME-WAIT lasts 60 s.

use super::super::claims::{Claims, each_host, percent, setting_line};
use super::super::finding::significant;
use super::super::host_limits::line;
use super::super::{Case, Confidence, Finding, Rule, Severity, Verdict, number};
use crate::language::{pages, say};

pub(in crate::diagnosis) static RULE: Rule = Rule {
    code: "HOST038",
    name: "conntrack-time-wait-share",
    explanation: pages!("conntrack_time_wait_share"),
    judge,
};
fn judge(case: &Case<'_>) -> Verdict {
    each_host(case, &RULE, host)
}

const SHARE: f64 = 50.0;
/// Fewer fill no table.
const MANY: u64 = 1000;

fn host(host: &Claims<'_>) -> Option<Finding> {
    let tables = host.host.host.facts.tracked_tables.iter().filter(|table| table.listed && table.entries >= MANY);
    let table = tables.max_by_key(|table| table.time_wait)?;
    let share = percent(table.time_wait, table.entries).filter(|share| *share >= SHARE)?;
    let limit = host.live_number("net.netfilter.nf_conntrack_max");
    // Without pressure it is how things are.
    let crowded = limit.is_some_and(|limit| table.entries.saturating_mul(4) > limit);
    let title = say!(
        "{time_wait} of {entries} tracked connections are closed already",
        time_wait = table.time_wait,
        entries = table.entries
    );
    let summary = say!(
        "{share} % of the tracker's table is in TIME_WAIT, where an entry stays for nf_conntrack_tcp_timeout_time_wait, 120 s. That is not the socket's TIME-WAIT and can be shortened without harm to the hosts.",
        share = format!("{share:.0}")
    );
    let severity = if crowded { Severity::Warning } else { Severity::Info };
    let mut finding = host.finding(severity, Confidence::High, title, summary);
    finding.metric("entries", number(table.entries));
    finding.metric("time_waits", number(table.time_wait));
    finding.metric("share_percent", significant(share));
    let mut exhibits = vec![line(
        table.source,
        say!(
            "{entries} entries, {time_wait} in TIME_WAIT, {close_wait} in CLOSE_WAIT",
            entries = table.entries,
            time_wait = table.time_wait,
            close_wait = table.close_wait
        ),
    )];
    exhibits.extend(host.live("net.netfilter.nf_conntrack_tcp_timeout_time_wait").map(setting_line));
    finding.exhibit_all(exhibits);
    finding.advise(say!("net.netfilter.nf_conntrack_tcp_timeout_time_wait=30 where the table is short of room."));
    finding.advise_when(
        say!("on a Kubernetes node"),
        say!("kube-proxy sets the CLOSE_WAIT timeout to an hour: look at it as well"),
    );
    finding.refer(&["Linux Documentation/networking/nf_conntrack-sysctl.rst"]);
    Some(finding)
}
