//! HOST040: packets were dropped because a CPU's backlog was full.
//!
//! /proc/net/softnet_stat, second column (`enqueue_to_backlog()`, net/core/dev.c); 10 a minute as netdata has it.

use super::super::claims::{Claims, ask_again, each_host, setting_line};
use super::super::host_limits::line;
use super::super::{Case, Confidence, Finding, Rule, Severity, Verdict, number};
use crate::language::{pages, say};

pub(in crate::diagnosis) static RULE: Rule =
    Rule { code: "HOST040", name: "softnet-drops", explanation: pages!("softnet_drops"), judge };
fn judge(case: &Case<'_>) -> Verdict {
    each_host(case, &RULE, host)
}

const PER_S: f64 = 10.0 / 60.0;

fn host(host: &Claims<'_>) -> Option<Finding> {
    let rows = &host.host.host.facts.softnet;
    let dropped = host
        .totals("dropped", rows.iter().map(|row| (row.source, row.dropped.into())))
        .filter(|dropped| dropped.amount > 0)?;
    let title = say!("packets dropped before TCP, at a CPU's backlog: {dropped}", dropped);
    let summary = say!(
        "Packets came faster than a CPU took them from its backlog (netdev_max_backlog). TCP never saw them: SYNs and replies are lost in silence, and no counter of TCP moves."
    );
    let mut finding = host.finding(dropped.by_rate(PER_S, Severity::Warning), Confidence::High, title, summary);
    finding.metric("dropped", number(dropped.amount));
    let mut exhibits = dropped.exhibits();
    exhibits.extend(rows.iter().filter(|row| row.dropped > 0).map(|row| {
        line(
            row.source,
            say!(
                "CPU {cpu}: {dropped} dropped of {processed}",
                cpu = row.cpu,
                dropped = row.dropped,
                processed = row.processed
            ),
        )
    }));
    exhibits.extend(host.live("net.core.netdev_max_backlog").map(setting_line));
    finding.exhibit_all(exhibits);
    finding.advise(say!(
        "Spread the load over CPUs (RSS queues, RPS), then raise net.core.netdev_max_backlog against bursts."
    ));
    ask_again(&mut finding, &dropped);
    finding.refer(&["Linux net/core/dev.c: enqueue_to_backlog()", "Linux Documentation/networking/scaling.rst"]);
    Some(finding)
}
