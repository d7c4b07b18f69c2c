//! HOST007: `tcp_tw_reuse=1` does nothing while timestamps are off.
//!
//! Linux net/ipv4/tcp_ipv4.c, `tcp_twsk_unique()`: a TIME-WAIT is taken again only where it saw timestamps.

use super::super::claims::{Claims, each_host, setting_line};
use super::super::{Case, Confidence, Finding, Rule, Severity, Verdict};
use crate::language::{pages, say};

pub(in crate::diagnosis) static RULE: Rule = Rule {
    code: "HOST007",
    name: "tw-reuse-without-timestamps",
    explanation: pages!("tw_reuse_without_timestamps"),
    judge,
};
fn judge(case: &Case<'_>) -> Verdict {
    each_host(case, &RULE, host)
}

fn host(host: &Claims<'_>) -> Option<Finding> {
    let reuse = host.live("net.ipv4.tcp_tw_reuse").filter(|reuse| &*reuse.value == "1")?;
    let stamps = host.live("net.ipv4.tcp_timestamps").filter(|stamps| &*stamps.value == "0")?;
    let title = say!("tcp_tw_reuse = 1 has no effect, because tcp_timestamps = 0");
    let summary = say!(
        "A port in TIME-WAIT is taken again early only where the old connection used timestamps; they tell old segments from new ones. Without them the setting is switched on and does nothing, and PAWS protects no connection."
    );
    let mut finding = host.finding(Severity::Warning, Confidence::High, title, summary);
    finding.metric("tcp_tw_reuse", 1.0);
    finding.metric("tcp_timestamps", 0.0);
    finding.exhibit_all(vec![setting_line(reuse), setting_line(stamps)]);
    finding.advise(say!(
        "Set net.ipv4.tcp_timestamps=1 on this host and on its servers, or accept that ports stay taken for 60 s."
    ));
    finding.advise_when(
        say!("for a host that only serves"),
        say!("tcp_tw_reuse concerns outgoing connections alone: leave it at its default"),
    );
    finding.refer(&["Linux net/ipv4/tcp_ipv4.c: tcp_twsk_unique()", "RFC 6191 section 2", "RFC 7323 section 5"]);
    Some(finding)
}
