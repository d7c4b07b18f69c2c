//! HOST009: `tcp_tw_recycle` is switched on: clients behind one address lose connections.
//!
//! The check is `tcp_peer_is_proven()` in net/ipv4/tcp_metrics.c; the setting is gone since Linux 4.12 (4396e46187ca).

use super::super::claims::{Claims, setting_line};
use super::super::host_facts::{TW_KILLED, ends_orphans_early};
use super::super::lacking::{Lack, each_host_or};
use super::super::{Case, Confidence, Finding, Rule, Severity, Verdict, number};
use crate::language::{Text, pages, say};

pub(in crate::diagnosis) static RULE: Rule =
    Rule { code: "HOST009", name: "tw-recycle-on", explanation: pages!("tw_recycle_on"), judge };
fn judge(case: &Case<'_>) -> Verdict {
    each_host_or(case, &RULE, host, lack)
}

const RECYCLE: &str = "net.ipv4.tcp_tw_recycle";

fn host(host: &Claims<'_>) -> Option<Finding> {
    let Some(recycle) = host.live(RECYCLE) else { return by_its_trace(host) };
    if &*recycle.value == "0" {
        return None;
    }
    let stamps = host.live("net.ipv4.tcp_timestamps");
    if stamps.is_some_and(|stamps| &*stamps.value == "0") {
        return None;
    }
    let title = say!(
        "net.ipv4.tcp_tw_recycle = {value}: SYNs of clients behind NAT are dropped in silence",
        value = recycle.value
    );
    let summary = say!(
        "The host remembers one timestamp for each client address and for 60 s drops every SYN with an older one. Clients behind one NAT address have clocks of their own, and clients since Linux 4.10 give each connection its own offset: both are dropped at random.{is_some}",
        is_some = if stamps.is_some() {
            Text::default()
        } else {
            say!(" tcp_timestamps is not told; the setting has effect only with timestamps, which are on by default.")
        }
    );
    let confidence = if stamps.is_some() { Confidence::High } else { Confidence::Medium };
    // Two moments between which nobody was dropped: it may hit at any time, and has not yet.
    let spared = host.counted("TcpExtPAWSPassive").filter(|dropped| dropped.lifts() && dropped.amount == 0);
    let severity = if spared.is_some() { Severity::Warning } else { Severity::Critical };
    let mut finding = host.finding(severity, confidence, title, summary);
    finding.metric("tcp_tw_recycle", recycle.value.trim().parse().unwrap_or(1.0));
    let mut exhibits = vec![setting_line(recycle)];
    exhibits.extend(stamps.map(setting_line));
    if let Some(spared) = &spared {
        finding.summary.add(say!("Nobody was dropped so far: {spared}.", spared));
        exhibits.extend(spared.exhibits());
    }
    for counter in ["TcpExtPAWSPassive", "TcpExtTWKilled"] {
        if let Some(counted) = host.moved(counter) {
            finding.summary.add(say!("{counted}.", counted));
            exhibits.extend(counted.exhibits());
        }
    }
    finding.exhibit_all(exhibits);
    advise(&mut finding);
    Some(finding)
}

/// The setting is not told, and its trace is there: TIME-WAITs that ended within 4 s, on a kernel that has the check.
fn by_its_trace(host: &Claims<'_>) -> Option<Finding> {
    let killed = host.moved(TW_KILLED).filter(|_| !ends_orphans_early(host.host))?;
    let passive = host.counted("TcpExtPAWSPassive");
    if host.kernel_before(4, 12).map_or(passive.is_none(), |before| !before) {
        return None;
    }
    let severity = if killed.is_growing() { Severity::Warning } else { Severity::Info };
    let known = host.live("net.ipv4.tcp_fin_timeout");
    let confidence = if known.is_some() { Confidence::Medium } else { Confidence::Low };
    let title = say!("TIME-WAITs end within seconds, as with tcp_tw_recycle: {killed}", killed);
    let or = if known.is_some() {
        Text::default()
    } else {
        say!(" A tcp_fin_timeout of 4 s or less would leave the same trace.")
    };
    let summary = say!(
        "The setting itself was not given. A TIME-WAIT lasts 60 s, and TWKilled counts those whose timer was 4 s or less: with tcp_tw_recycle it is 3.5 RTO. If it is on, SYNs of clients behind NAT are dropped in silence (SYN001).{or}",
        or
    );
    let mut finding = host.finding(severity, confidence, title, summary);
    finding.metric("tw_killed", number(killed.amount));
    let mut exhibits = killed.exhibits();
    exhibits.extend(passive.map(|passive| passive.exhibits()).unwrap_or_default());
    exhibits.extend(known.map(setting_line));
    finding.exhibit_all(exhibits);
    finding.advise(say!("Look: sysctl net.ipv4.tcp_tw_recycle net.ipv4.tcp_fin_timeout."));
    advise(&mut finding);
    Some(finding)
}

fn advise(finding: &mut Finding) {
    finding.advise(say!("sysctl -w net.ipv4.tcp_tw_recycle=0, and remove it from /etc/sysctl.conf and /etc/sysctl.d: it takes effect at once."));
    finding.advise(say!("Do not switch timestamps off instead: PAWS and tcp_tw_reuse need them."));
    finding.refer(&[
        "Linux net/ipv4/tcp_metrics.c: tcp_peer_is_proven() (before 4.12)",
        "commit 4396e46187ca (4.12)",
        "RFC 7323 appendix B.2",
    ]);
}

fn lack(host: &Claims<'_>) -> Option<Lack> {
    let wanted = host.wanted(RECYCLE).filter(|wanted| wanted.value.trim() != "0")?;
    if host.live(RECYCLE).is_some() || host.kernel_before(4, 12) == Some(false) {
        return None;
    }
    let kernel = if host.kernel().is_some() {
        Text::default()
    } else {
        say!(", nor the kernel's version: 4.12 and later ignore it")
    };
    let because = say!(
        "a configuration file sets tcp_tw_recycle = {value}, and what the running kernel has is not told{kernel}",
        value = wanted.value,
        kernel
    );
    Some(Lack { because, record: Text::value("uname -r; sysctl net.ipv4.tcp_tw_recycle net.ipv4.tcp_timestamps") })
}
