//! HOST034: socket memory is above its limits.
//!
//! `tcp_mem` in pages: pressure above the second number, failure at the third (ip-sysctl.rst); 90 % as netdata has it.

use super::super::claims::{Claims, percent, setting_line};
use super::super::finding::significant;
use super::super::host_limits::line;
use super::super::lacking::{Lack, each_host_or};
use super::super::{Case, Confidence, Finding, Rule, Severity, Verdict, number};
use crate::language::{Text, pages, say};
use crate::snapshot::LogKind;

pub(in crate::diagnosis) static RULE: Rule =
    Rule { code: "HOST034", name: "tcp-memory-pressure", explanation: pages!("tcp_memory_pressure"), judge };
fn judge(case: &Case<'_>) -> Verdict {
    each_host_or(case, &RULE, host, lack)
}

fn host(host: &Claims<'_>) -> Option<Finding> {
    let limits = host.live("net.ipv4.tcp_mem");
    let numbers: Vec<u64> = limits
        .map_or_else(Vec::new, |limits| limits.value.split_whitespace().filter_map(|word| word.parse().ok()).collect());
    let used = host.host.host.facts.sockstats.iter().filter(|stat| &*stat.protocol == "TCP");
    let used = used.filter_map(|stat| Some((stat.memory_pages?, stat.source))).max_by_key(|(pages, _)| *pages);
    let failed = host.logged(LogKind::TcpOutOfMemory);
    let (pages, pressure, most) = match (used, numbers.as_slice()) {
        (Some((pages, _)), [_, pressure, most]) => (pages, *pressure, *most),
        _ if !failed.is_empty() => (0, 0, 0),
        _ => return None,
    };
    let share = percent(pages, most).unwrap_or(0.0);
    if failed.is_empty() && (pages <= pressure || most == 0) {
        return None;
    }
    let severity = if share >= 90.0 || !failed.is_empty() { Severity::Critical } else { Severity::Warning };
    let title = if failed.is_empty() {
        say!("sockets hold {pages} pages of memory, {share} % of the limit", pages, share = format!("{share:.0}"))
    } else {
        say!("the kernel ran out of memory for sockets")
    };
    let summary = say!(
        "Above the second number of tcp_mem the kernel shrinks windows and prunes queues; at the third it refuses memory: connections are aborted (TCPAbortOnMemory) and orphans reset."
    );
    let mut finding = host.finding(severity, Confidence::High, title, summary);
    finding.metric("pages", number(pages));
    finding.metric("share_percent", significant(share));
    let mut exhibits: Vec<_> =
        failed.iter().map(|logged| line(logged.source, Text::value(logged.text.to_string()))).collect();
    exhibits.extend(used.map(|(pages, source)| line(source, say!("{pages} pages", pages))));
    exhibits.extend(limits.map(setting_line));
    exhibits.extend(host.moved("TcpExtTCPAbortOnMemory").into_iter().flat_map(|counted| counted.exhibits()));
    finding.exhibit_all(exhibits);
    finding.advise(say!("Find the sockets with long queues (ss -tanm, sorted by Recv-Q and Send-Q): readers that do not read, peers that do not acknowledge. Raising net.ipv4.tcp_mem only moves the wall."));
    finding.refer(&["Linux Documentation/networking/ip-sysctl.rst: tcp_mem"]);
    Some(finding)
}

/// Fewer pages (100 MB of 4 KiB each) are near no limit that a host has by default.
const MANY: u64 = 25_000;

fn lack(host: &Claims<'_>) -> Option<Lack> {
    let told = host.host.host.facts.sockstats.iter().filter(|stat| &*stat.protocol == "TCP");
    let most = told.filter_map(|stat| stat.memory_pages).max()?;
    let because = say!("sockets hold {most} pages of memory, and tcp_mem is not told", most);
    let asks = most >= MANY && host.live("net.ipv4.tcp_mem").is_none();
    asks.then_some(Lack { because, record: Text::value("sysctl net.ipv4.tcp_mem; cat /proc/net/sockstat") })
}
