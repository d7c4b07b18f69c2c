//! HOST008: ports run out towards a destination, and `tcp_tw_reuse` could free them.
//!
//! Default 0 before Linux 4.19, 2 (loopback only) since (79e9fed46038); reuse after `tcp_tw_reuse_delay`, 1 s, since 6.14.

use super::super::claims::{Claims, setting_line};
use super::super::host_limits::line;
use super::super::host_ports::fullest;
use super::super::lacking::{Lack, each_host_or};
use super::super::{Case, Confidence, Finding, Rule, Severity, Verdict, number};
use crate::language::{Text, pages, say};

pub(in crate::diagnosis) static RULE: Rule =
    Rule { code: "HOST008", name: "tw-reuse-off", explanation: pages!("tw_reuse_off"), judge };
fn judge(case: &Case<'_>) -> Verdict {
    each_host_or(case, &RULE, host, lack)
}

/// So many percent of the ports held are pressure; as for TW003.
const PRESSED: u64 = 80;

fn host(host: &Claims<'_>) -> Option<Finding> {
    let reuse = host.live("net.ipv4.tcp_tw_reuse").filter(|reuse| matches!(&*reuse.value, "0" | "2"))?;
    let stamps = host.live("net.ipv4.tcp_timestamps");
    let held = fullest(host.host).filter(|held| held.percent() >= PRESSED && !held.to.local.is_loopback())?;
    if stamps.is_some_and(|stamps| &*stamps.value == "0") || held.limit.is_none() || held.time_wait * 2 < held.used {
        return None;
    }
    let title = say!(
        "tcp_tw_reuse = {value} while {time_wait} of its ports towards {destination} are in TIME-WAIT",
        value = reuse.value,
        time_wait = held.time_wait,
        destination = held.destination()
    );
    let meaning = if &*reuse.value == "2" { say!("on loopback only") } else { say!("never") };
    let summary = say!(
        "{used} of {limit} ports are held towards {destination}, and a port in TIME-WAIT is taken again early {meaning}. With tcp_tw_reuse=1 it is taken again after a second, where both ends use timestamps.",
        used = held.used,
        limit = held.limit.map_or(0, |(limit, _)| limit),
        destination = held.destination(),
        meaning
    );
    let mut finding = host.finding(Severity::Info, Confidence::High, title, summary);
    finding.metric("ports_peak", number(held.used));
    finding.metric("time_waits", number(held.time_wait));
    let mut exhibits = vec![
        setting_line(reuse),
        line(
            held.source,
            say!("{used} sockets towards {destination}", used = held.used, destination = held.destination()),
        ),
    ];
    exhibits.extend(stamps.map(setting_line));
    finding.exhibit_all(exhibits);
    finding.advise(say!("Better than any setting: keep connections open and use them again."));
    finding.advise(say!("net.ipv4.tcp_tw_reuse=1 on this client; never tcp_tw_recycle."));
    finding.refer(&["Linux Documentation/networking/ip-sysctl.rst: tcp_tw_reuse", "RFC 6191 section 2"]);
    Some(finding)
}

fn lack(host: &Claims<'_>) -> Option<Lack> {
    let held = fullest(host.host).filter(|held| held.percent() >= PRESSED && !held.to.local.is_loopback())?;
    let because = say!(
        "{used} of its ports towards {destination} are held, and tcp_tw_reuse is not told",
        used = held.used,
        destination = held.destination()
    );
    host.live("net.ipv4.tcp_tw_reuse").is_none().then_some(Lack {
        because,
        record: Text::value("sysctl net.ipv4.tcp_tw_reuse net.ipv4.tcp_timestamps net.ipv4.ip_local_port_range"),
    })
}
