//! HOST041: a CPU often stopped taking packets with work left.
//!
//! /proc/net/softnet_stat, third column (`net_rx_action()`, net/core/dev.c); 10 a minute as netdata has it, and 0.1 % of the packets.

use super::super::claims::{Claims, each_host, percent};
use super::super::finding::significant;
use super::super::{Case, Confidence, Finding, Rule, Severity, Verdict, number};
use crate::language::{pages, say};

pub(in crate::diagnosis) static RULE: Rule =
    Rule { code: "HOST041", name: "softnet-squeezed", explanation: pages!("softnet_squeezed"), judge };
fn judge(case: &Case<'_>) -> Verdict {
    each_host(case, &RULE, host)
}

const PER_S: f64 = 10.0 / 60.0;
const SHARE: f64 = 0.1;

fn host(host: &Claims<'_>) -> Option<Finding> {
    let rows = &host.host.host.facts.softnet;
    let squeezed = host.totals("squeezed", rows.iter().map(|row| (row.source, row.squeezed.into())))?;
    let processed = host.totals("processed", rows.iter().map(|row| (row.source, row.processed.into())))?;
    let share = percent(squeezed.amount, processed.amount).filter(|share| *share > SHARE)?;
    if squeezed.per_s().is_none_or(|rate| rate < PER_S) {
        return None;
    }
    let title = say!("packet processing ran out of its budget: {squeezed}", squeezed);
    let summary = say!(
        "net_rx_action() stopped with packets left, because netdev_budget or its time was used up: {share} times in 100 packets. Packets wait for the next round; alone it harms little.",
        share = format!("{share:.1}")
    );
    let mut finding = host.finding(Severity::Info, Confidence::Medium, title, summary);
    finding.metric("squeezed", number(squeezed.amount));
    finding.metric("share_percent", significant(share));
    finding.exhibit_all(squeezed.exhibits());
    finding.advise(say!("Only with drops (HOST040) or late packets: spread queues over CPUs, then raise net.core.netdev_budget and netdev_budget_usecs."));
    finding.refer(&["Linux net/core/dev.c: net_rx_action()"]);
    Some(finding)
}
