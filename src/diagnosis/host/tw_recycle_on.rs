//! HOST009: `tcp_tw_recycle` is switched on: clients behind one address lose connections.
//!
//! The check is `tcp_peer_is_proven()` in net/ipv4/tcp_metrics.c; the setting is gone since Linux 4.12 (4396e46187ca).

use super::super::claims::{Claims, each_host, setting_line};
use super::super::{Case, Confidence, Finding, Rule, Severity, Verdict};

pub(in crate::diagnosis) static RULE: Rule =
    Rule { code: "HOST009", name: "tw-recycle-on", explanation: include_str!("tw_recycle_on.md"), judge };
fn judge(case: &Case<'_>) -> Verdict {
    each_host(case, &RULE, host)
}

fn host(host: &Claims<'_>) -> Option<Finding> {
    let recycle = host.live("net.ipv4.tcp_tw_recycle").filter(|recycle| &*recycle.value != "0")?;
    let stamps = host.live("net.ipv4.tcp_timestamps");
    if stamps.is_some_and(|stamps| &*stamps.value == "0") {
        return None;
    }
    let title =
        format!("net.ipv4.tcp_tw_recycle = {}: SYNs of clients behind NAT are dropped in silence", recycle.value);
    let summary = format!(
        "The host remembers one timestamp for each client address and for 60 s drops every SYN with an older one. Clients behind one NAT address have clocks of their own, and clients since Linux 4.10 give each connection its own offset: both are dropped at random.{}",
        if stamps.is_some() {
            ""
        } else {
            " tcp_timestamps is not told; the setting has effect only with timestamps, which are on by default."
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
        finding.summary.push_str(&format!(" Nobody was dropped so far: {spared}."));
        exhibits.extend(spared.exhibits());
    }
    for counter in ["TcpExtPAWSPassive", "TcpExtTWKilled"] {
        if let Some(counted) = host.moved(counter) {
            finding.summary.push_str(&format!(" {counted}."));
            exhibits.extend(counted.exhibits());
        }
    }
    finding.exhibit_all(exhibits);
    finding.advise("sysctl -w net.ipv4.tcp_tw_recycle=0, and remove it from /etc/sysctl.conf and /etc/sysctl.d: it takes effect at once.");
    finding.advise("Do not switch timestamps off instead: PAWS and tcp_tw_reuse need them.");
    finding.refer(&[
        "Linux net/ipv4/tcp_metrics.c: tcp_peer_is_proven() (before 4.12)",
        "commit 4396e46187ca (4.12)",
        "RFC 7323 appendix B.2",
    ]);
    Some(finding)
}
