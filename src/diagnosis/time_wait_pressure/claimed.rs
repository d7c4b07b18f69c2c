//! TIME-WAITs against their limit, by the host's own words: the table is full, was full, or is smaller than the
//! port range.

use super::super::claims::{Claims, Counted, ask_again, hosts_left};
use super::super::host_limits::line;
use super::super::{Case, Confidence, Exhibit, Finding, Severity, number};
use super::{NEAR, RULE};
use crate::language::{Text, say};
use crate::snapshot::{LogKind, Source};

/// So many percent are full: buckets come free while a listing is made.
const FULL: u64 = 95;

/// What hosts say where no packets do.
pub(super) fn findings(case: &Case<'_>, found: &[Finding]) -> Vec<Finding> {
    let hosts = hosts_left(case, &RULE, found);
    hosts.iter().filter_map(|host| pressure(host).or_else(|| smaller_than_ports(host))).collect()
}

/// What the host says of its TIME-WAITs.
struct Told {
    held: Option<(u64, Source)>,
    limit: Option<(u64, Source)>,
    overflowed: Option<Counted>,
}

impl Told {
    fn share(&self) -> u64 {
        let (Some((held, _)), Some((limit, _))) = (self.held, self.limit) else { return 0 };
        held.saturating_mul(100).checked_div(limit).unwrap_or(0)
    }
}

fn pressure(host: &Claims<'_>) -> Option<Finding> {
    let limits = host.limits();
    let told = Told {
        held: limits.most_time_waits(),
        limit: limits.time_waits().filter(|(limit, _)| *limit > 0),
        overflowed: host.moved("TcpExtTCPTimeWaitOverflow"),
    };
    let logged = host.logged(LogKind::TimeWaitOverflow);
    let overflowed = told.overflowed.is_some() || !logged.is_empty();
    let full = told.share() >= FULL;
    let growing = told.overflowed.as_ref().is_some_and(Counted::is_growing);
    if !overflowed && told.share() < NEAR {
        return None;
    }
    let severity = if full || growing || told.share() >= NEAR { Severity::Warning } else { Severity::Info };
    let held = told.held.map_or_else(|| say!("an unknown number"), |(held, _)| Text::value(held.to_string()));
    let limit =
        told.limit.map_or_else(|| say!("a limit that is not told"), |(limit, _)| Text::value(limit.to_string()));
    let title = match (&told.overflowed, full) {
        (Some(overflowed), _) => say!("closes left no TIME-WAIT, because the table was full: {overflowed}", overflowed),
        (None, true) => say!("the table of TIME-WAITs is full: {held} of {limit}", held, limit),
        (None, false) if !logged.is_empty() => say!("the kernel said that the table of TIME-WAITs was full"),
        (None, false) => say!("{held} of {limit} TIME-WAITs are held", held, limit),
    };
    let when = if full {
        say!("It is full now")
    } else if growing {
        say!("It grew while somebody looked")
    } else {
        say!("It is not full now: this is the past, until the counter grows again")
    };
    let summary = say!(
        "{held} TIME-WAITs are held, and tcp_max_tw_buckets is {limit}. {when}. Beyond the limit a close leaves no TIME-WAIT: old segments may enter new connections, and a peer that closes later gets RST for its FIN. Kernels of today only count it; silence in dmesg proves nothing.",
        held,
        limit,
        when
    );
    let mut finding = host.finding(severity, Confidence::High, title, summary);
    finding.metric("peak", number(told.held.map_or(0, |(held, _)| held)));
    finding.metric("limit", number(told.limit.map_or(0, |(limit, _)| limit)));
    finding.metric("overflowed", number(told.overflowed.as_ref().map_or(0, |counted| counted.amount)));
    let mut exhibits: Vec<Exhibit> = told.overflowed.iter().flat_map(Counted::exhibits).collect();
    exhibits.extend(told.held.map(|(held, source)| line(source, say!("{held} TIME-WAITs", held))));
    exhibits
        .extend(told.limit.map(|(limit, source)| line(source, say!("net.ipv4.tcp_max_tw_buckets = {limit}", limit))));
    exhibits.extend(logged.iter().map(|logged| line(logged.source, Text::value(logged.text.to_string()))));
    finding.exhibit_all(exhibits);
    finding.advise(say!(
        "Find the short connections that this host closes first, and keep them open or let the other side close."
    ));
    finding.advise(say!("Raise net.ipv4.tcp_max_tw_buckets: a bucket is about 256 bytes. Lowering it to make netstat look better gives the protection of TIME-WAIT up."));
    if let Some(overflowed) = &told.overflowed {
        ask_again(&mut finding, overflowed);
    }
    finding.refer(&[
        "Linux net/ipv4/inet_timewait_sock.c: inet_twsk_alloc()",
        "Linux Documentation/networking/ip-sysctl.rst: tcp_max_tw_buckets",
    ]);
    Some(finding)
}

/// The advice "a port range of 1.5 times tcp_max_tw_buckets", and what it trades.
fn smaller_than_ports(host: &Claims<'_>) -> Option<Finding> {
    let limits = host.limits();
    let ((buckets, buckets_at), (ports, ports_at)) = (limits.time_waits()?, limits.port_count()?);
    if buckets >= ports || buckets == 0 {
        return None;
    }
    let title = say!("{buckets} TIME-WAIT buckets are fewer than its {ports} ports", buckets, ports);
    let summary = say!(
        "As a client towards one destination this host cannot run out of ports: the table of TIME-WAITs is full first, and from then on closes leave none. That is what the advice of a port range 1.5 times tcp_max_tw_buckets trades: no EADDRNOTAVAIL, at the price of TIME-WAIT, which keeps old segments out of new connections. A server is not concerned."
    );
    let mut finding = host.finding(Severity::Info, Confidence::High, title, summary);
    finding.metric("limit", number(buckets));
    finding.metric("ports_limit", number(ports));
    finding.metric("peak", number(limits.most_time_waits().map_or(0, |(held, _)| held)));
    finding.exhibit_all(vec![
        line(buckets_at, say!("net.ipv4.tcp_max_tw_buckets = {buckets}", buckets)),
        line(ports_at, say!("ip_local_port_range: {ports} ports", ports)),
    ]);
    finding.advise_when(
        say!("if this host opens many connections"),
        say!("raise net.ipv4.tcp_max_tw_buckets above the number of ports, and use connections again"),
    );
    finding.refer(&["Linux Documentation/networking/ip-sysctl.rst: tcp_max_tw_buckets, ip_local_port_range"]);
    Some(finding)
}
