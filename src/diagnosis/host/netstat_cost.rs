//! HOST048: netstat reads a very large table of sockets, and the host pays for it.
//!
//! /proc/net/tcp walks every bucket of the hash under its lock (`established_get_first()`, net/ipv4/tcp_ipv4.c); ss asks by netlink.

use super::super::claims::{Claims, each_host};
use super::super::host_limits::line;
use super::super::{Case, Confidence, Finding, Rule, Severity, Verdict, number};
use crate::language::{Text, pages, say};

pub(in crate::diagnosis) static RULE: Rule =
    Rule { code: "HOST048", name: "netstat-cost", explanation: pages!("netstat_cost"), judge };
fn judge(case: &Case<'_>) -> Verdict {
    each_host(case, &RULE, host)
}

const MANY: u64 = 50_000;

/// Whether a process is netstat, or a shell that runs it: `/bin/netstat -antp[3310]`. The search for it is none.
fn runs_netstat(process: &str) -> bool {
    let mut words = process.split([' ', '/', '[', '|']);
    words.clone().any(|word| word == "netstat") && !words.any(|word| word == "grep")
}

fn host(host: &Claims<'_>) -> Option<Finding> {
    let facts = &host.host.host.facts;
    let listed = host.host.listings().into_iter().map(|listed| (listed.states().total(), listed.source()));
    let summaries = facts.summaries.iter().filter_map(|summary| Some((summary.tcp?, summary.source)));
    let (count, source) = listed.chain(summaries).max_by_key(|(count, source)| (*count, std::cmp::Reverse(*source)))?;
    let walked = facts
        .listings
        .iter()
        .find(|listing| matches!(listing.format, "netstat" | "proc_net"))
        .map(|listing| (listing.source, listing.format));
    let running = facts
        .samples
        .iter()
        .find(|sample| matches!(sample.format, "top" | "ps") && runs_netstat(&sample.subject))
        .map(|sample| (sample.source, "netstat"));
    let (reader, tool) = running.or(walked).filter(|_| count > MANY)?;
    let what = if tool == "netstat" { Text::value("netstat") } else { say!("a reader of /proc/net/tcp") };
    let title = say!("{what} walks {count} sockets", what, count);
    let summary = say!(
        "Each line costs a look into every bucket of the kernel's table, under its lock, and netstat -p looks through every process as well: seconds of CPU time, and packets that wait meanwhile. A script that does it every minute is seen as jitter. Where slabs are very large even ss can be felt."
    );
    let mut finding = host.finding(Severity::Info, Confidence::Medium, title, summary);
    finding.metric("sockets", number(count));
    finding
        .exhibit_all(vec![line(source, say!("{count} sockets", count)), line(reader, say!("listed by {tool}", tool))]);
    finding.advise(say!("Use ss -s for counts (one line of the kernel), and ss with a filter (ss -tan state time-wait sport = :80) for rows."));
    finding.refer(&["Linux net/ipv4/tcp_ipv4.c: established_get_first()", "ss(8)"]);
    Some(finding)
}
