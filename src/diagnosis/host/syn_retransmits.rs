//! HOST030: SYNs and SYN-ACKs had to be repeated.
//!
//! TCPSynRetrans counts both (`tcp_retransmit_skb()`, `tcp_rtx_synack()`).

use super::super::claims::{Claims, ask_again, percent};
use super::super::finding::significant;
use super::super::lacking::{Lack, each_host_or, no_whole};
use super::super::{Case, Confidence, Finding, Rule, Severity, Verdict, number};
use crate::language::{pages, say};

pub(in crate::diagnosis) static RULE: Rule =
    Rule { code: "HOST030", name: "syn-retransmits", explanation: pages!("syn_retransmits"), judge };
fn judge(case: &Case<'_>) -> Verdict {
    each_host_or(case, &RULE, host, lack)
}

/// The share in percent from which it is told.
const SHARE: f64 = 5.0;
/// Fewer say nothing.
const FEW: u64 = 20;

fn host(host: &Claims<'_>) -> Option<Finding> {
    let counted = host.counted("TcpExtTCPSynRetrans").filter(|counted| counted.amount >= FEW)?;
    let whole = host.sum(&["TcpActiveOpens", "TcpPassiveOpens"]);
    let share = percent(counted.amount, whole).filter(|share| *share > SHARE)?;
    let title = say!(
        "{share} % of handshakes needed a SYN or SYN-ACK again: {counted}",
        share = format!("{share:.0}"),
        counted
    );
    let summary = say!(
        "Against {whole} connections opened, that is loss on the path, peers that do not answer, or a full queue at a peer; each repetition costs a second or more.",
        whole
    );
    let mut finding = host.finding(counted.by_share(Severity::Warning), Confidence::Medium, title, summary);
    finding.metric("syn_retransmits", number(counted.amount));
    finding.metric("share_percent", significant(share));
    finding.exhibit_all(counted.exhibits());
    finding.advise(say!("A capture tells loss (SYN004), a full queue (SYN002) and a filter (SYN003) apart; ss -tano state syn-sent shows who does not answer now."));
    ask_again(&mut finding, &counted);
    finding.refer(&["Linux Documentation/networking/snmp_counter.rst", "RFC 6298 section 2"]);
    Some(finding)
}

fn lack(host: &Claims<'_>) -> Option<Lack> {
    no_whole(host, host.counted("TcpExtTCPSynRetrans"), FEW, &["TcpActiveOpens", "TcpPassiveOpens"])
}
