//! Ports held towards one destination, by the host's own listing of its sockets.
//!
//! The ceiling is ports / 60 s, since a TIME-WAIT lasts 60 s (`TCP_TIMEWAIT_LEN`): 470 closes a second by default.

use super::super::claims::{Claims, hosts_left};
use super::super::host_limits::line;
use super::super::host_ports::{DEFAULT_PORTS, PortsHeld, fullest};
use super::super::lacking::{self, Lack};
use super::super::{Case, Confidence, Finding, NotJudged, Severity, number};
use super::RULE;
use crate::language::{Text, say};
use crate::snapshot::{LogKind, TcpState};

/// Percent of the ports: nothing is left but luck; a little more rate is too much.
const GONE: u64 = 95;
const NEAR: u64 = 80;
/// Percent of the ports in TIME-WAIT alone: the rate is near what the ports allow for ever.
const RATE: u64 = 70;
/// An upstream with so many TIME-WAITs, and half of all, wants connections that are kept.
const UPSTREAM: u64 = 1000;

/// What hosts say where no packets do.
pub(super) fn findings(case: &Case<'_>, found: &[Finding]) -> Vec<Finding> {
    hosts_left(case, &RULE, found).iter().filter_map(finding).collect()
}

/// Hosts whose listings leave TIME-WAIT out, while nothing else tells that there are few.
pub(super) fn not_judged(case: &Case<'_>, found: &[Finding]) -> Vec<NotJudged> {
    lacking::not_judged(&RULE, hosts_left(case, &RULE, found), |host| {
        let listings = host.host.listings();
        let connected = listings.iter().any(|listed| listed.states().get(TcpState::Established) > 0);
        let shown = listings.iter().any(|listed| listed.count(TcpState::TimeWait).is_some());
        let few = host.limits().most_time_waits().is_some_and(|(most, _)| most < UPSTREAM);
        let because = say!(
            "its sockets were listed without -a: those in TIME-WAIT, which hold ports as well, are not among them"
        );
        let record = Text::value("ss -tan; ss -s; sysctl net.ipv4.ip_local_port_range");
        (connected && !shown && !few).then_some(Lack { because, record })
    })
}

fn finding(host: &Claims<'_>) -> Option<Finding> {
    let held = fullest(host.host);
    let failed = host.logged(LogKind::NoFreePort);
    let (held, severity, confidence) = match (held, failed.is_empty()) {
        (Some(held), none_failed) => {
            let (severity, confidence) = weigh(host, &held, !none_failed)?;
            (held, severity, confidence)
        }
        (None, false) => return Some(only_logged(host)),
        (None, true) => return None,
    };
    let limit = held.limit.map_or(DEFAULT_PORTS, |(limit, _)| limit);
    let to = held.destination();
    let title = match severity {
        Severity::Critical => {
            say!("no port left towards {to}: {used} of {limit} are held", to, used = held.used, limit)
        }
        Severity::Warning => say!("{used} of {limit} ports towards {to} are held", used = held.used, limit, to),
        Severity::Info => say!("most of its TIME-WAITs lead to {to}", to),
    };
    let known = if held.limit.is_some() {
        Text::default()
    } else {
        say!(" The range is not told; the default of Linux, 32768 to 60999, is taken for it.")
    };
    let rate = number(held.time_wait) / 60.0;
    let summary = say!(
        "This host ({local}) holds {used} sockets towards {to}, {time_wait} of them in TIME-WAIT, because it closes first: {rate} closes a second over the last minute, where {limit} ports allow {limit_2}. When they are gone connect() fails with EADDRNOTAVAIL and no packet leaves.{known}",
        local = held.to.local,
        used = held.used,
        to,
        time_wait = held.time_wait,
        rate = format!("{rate:.1}"),
        limit,
        limit_2 = format!("{:.1}", number(limit) / 60.0),
        known
    );
    let mut finding = host.finding(severity, confidence, title, summary);
    finding.metric("ports_peak", number(held.used));
    finding.metric("ports_limit", number(limit));
    finding.metric("rate_per_s", rate);
    finding.metric("time_waits", number(held.time_wait));
    let mut exhibits = vec![line(held.source, say!("{used} sockets towards {to}", used = held.used, to))];
    exhibits.extend(held.row.map(|row| line(row.source, say!("the first of them, towards {to}", to))));
    exhibits.extend(held.limit.map(|(limit, source)| line(source, say!("ip_local_port_range: {limit} ports", limit))));
    exhibits.extend(failed.iter().map(|logged| line(logged.source, Text::value(logged.text.to_string()))));
    finding.exhibit_all(exhibits);
    finding.rule_out(
        say!("a server's TIME-WAITs (HOST006)"),
        say!("their own ports all differ and lead to one destination"),
    );
    advise(&mut finding, &held);
    Some(finding)
}

/// How bad, and how sure; `None` where it is nothing.
fn weigh(host: &Claims<'_>, held: &PortsHeld<'_>, failed: bool) -> Option<(Severity, Confidence)> {
    let limit = held.limit.map_or(DEFAULT_PORTS, |(limit, _)| limit);
    let confidence = if held.limit.is_some() { Confidence::High } else { Confidence::Medium };
    let full = held.percent() >= GONE;
    if full && (held.limit.is_some() || failed) {
        return Some((Severity::Critical, confidence));
    }
    if held.percent() >= NEAR || held.time_wait * 100 >= limit.saturating_mul(RATE) {
        return Some((Severity::Warning, confidence));
    }
    let all = host.limits().most_time_waits().map_or(held.time_wait, |(all, _)| all);
    (held.time_wait > UPSTREAM && held.time_wait * 2 >= all).then_some((Severity::Info, Confidence::Medium))
}

/// An application's log says it, and no listing of sockets was made.
fn only_logged(host: &Claims<'_>) -> Finding {
    let failed = host.logged(LogKind::NoFreePort);
    let count = failed.iter().map(|logged| logged.count).fold(0, u64::saturating_add);
    let title = say!("an application found no free port {count} times", count);
    let summary = say!(
        "connect() failed with EADDRNOTAVAIL: every port towards that destination was held, most likely by TIME-WAITs of connections that this host closed. No listing of sockets tells which."
    );
    let mut finding = host.finding(Severity::Warning, Confidence::Medium, title, summary);
    finding.metric("failures", number(count));
    finding.exhibit_all(
        failed.iter().map(|logged| line(logged.source, Text::value(logged.text.to_string()))).collect::<Vec<_>>(),
    );
    finding.advise(say!("While it goes wrong: ss -tan | awk '{{print $5}}' | sort | uniq -c | sort -n | tail; sysctl net.ipv4.ip_local_port_range."));
    finding.refer(&["connect(2): EADDRNOTAVAIL"]);
    finding
}

fn advise(finding: &mut Finding, held: &PortsHeld<'_>) {
    finding.advise(say!(
        "Keep connections to {destination} open and use them again: a pool, or keep-alive.",
        destination = held.destination()
    ));
    if held.to.local.is_loopback() {
        finding.advise(say!("Both ends are on this host: a unix socket has no ports; tcp_tw_reuse=2 (the default since Linux 4.19) takes loopback ports again after a second."));
    }
    finding.advise(say!("More destinations or source addresses: ports are counted for each. A wider net.ipv4.ip_local_port_range only moves the wall."));
    finding.advise_when(say!("on this client only, with timestamps on both ends"), say!("net.ipv4.tcp_tw_reuse=1"));
    finding.advise(say!("Leave tcp_max_tw_buckets alone: below the port range it \"helps\" by ending TIME-WAIT early, which gives its protection up."));
    finding.refer(&["Linux net/ipv4/inet_hashtables.c: __inet_hash_connect()", "connect(2): EADDRNOTAVAIL"]);
}
