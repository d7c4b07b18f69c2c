//! HOST021: sockets without a process come near `tcp_max_orphans`.
//!
//! 25 and 50 percent as netdata has them: `tcp_too_many_orphans()` counts an orphan that misbehaves two or four times.

use super::super::claims::{Claims, percent, setting_line};
use super::super::finding::significant;
use super::super::host_limits::line;
use super::super::lacking::{Lack, each_host_or};
use super::super::{Case, Confidence, Finding, Rule, Severity, Verdict, number};
use crate::language::{Text, pages, say};
use crate::snapshot::LogKind;

pub(in crate::diagnosis) static RULE: Rule =
    Rule { code: "HOST021", name: "orphans-near-limit", explanation: pages!("orphans_near_limit"), judge };
fn judge(case: &Case<'_>) -> Verdict {
    each_host_or(case, &RULE, host, lack)
}

const NEAR: f64 = 25.0;
const FULL: f64 = 50.0;

fn host(host: &Claims<'_>) -> Option<Finding> {
    let refused = host.logged(LogKind::TooManyOrphans);
    let told = host.host.host.facts.sockstats.iter().filter_map(|stat| Some((stat.orphan?, stat.source)));
    let most = told.max_by_key(|(count, _)| *count);
    let limit = host.live("net.ipv4.tcp_max_orphans").zip(host.live_number("net.ipv4.tcp_max_orphans"));
    let share = most.zip(limit).and_then(|((count, _), (_, limit))| percent(count, limit)).unwrap_or(0.0);
    if refused.is_empty() && share < NEAR {
        return None;
    }
    let severity = if share >= FULL || !refused.is_empty() { Severity::Critical } else { Severity::Warning };
    let count = most.map_or(0, |(count, _)| count);
    let title = if refused.is_empty() {
        say!("{count} orphaned sockets, {share} % of tcp_max_orphans", count, share = format!("{share:.0}"))
    } else {
        say!("the kernel resets orphaned sockets: there are too many")
    };
    let summary = say!(
        "An orphan was closed by its process and still has data or a FIN to deliver. Above the limit, and well below it for orphans that retransmit, the kernel resets them: peers see RST, and data is lost."
    );
    let mut finding = host.finding(severity, Confidence::High, title, summary);
    finding.metric("orphans", number(count));
    finding.metric("share_percent", significant(share));
    let mut exhibits: Vec<_> =
        refused.iter().map(|logged| line(logged.source, Text::value(logged.text.to_string()))).collect();
    exhibits.extend(most.map(|(count, source)| line(source, say!("{count} orphans", count))));
    exhibits.extend(limit.map(|(setting, _)| setting_line(setting)));
    finding.exhibit_all(exhibits);
    finding.advise(say!("Find who closes towards peers that no longer answer: ss -tan state fin-wait-1 state last-ack, with their timers (FW001)."));
    finding.advise(say!(
        "tcp_orphan_retries lower ends them sooner; a higher tcp_max_orphans costs up to 64 KiB of memory each."
    ));
    finding.refer(&[
        "Linux net/ipv4/tcp.c: tcp_too_many_orphans()",
        "Linux Documentation/networking/ip-sysctl.rst: tcp_max_orphans",
    ]);
    Some(finding)
}

/// Fewer are near no limit that a host has by default (4096 to 262144, by its memory).
const MANY: u64 = 1000;

fn lack(host: &Claims<'_>) -> Option<Lack> {
    let told = host.host.host.facts.sockstats.iter().filter_map(|stat| stat.orphan);
    let most = told.max().filter(|most| *most >= MANY && host.live("net.ipv4.tcp_max_orphans").is_none())?;
    let because = say!("{most} orphaned sockets, and tcp_max_orphans is not told", most);
    Some(Lack { because, record: Text::value("sysctl net.ipv4.tcp_max_orphans; cat /proc/net/sockstat") })
}
