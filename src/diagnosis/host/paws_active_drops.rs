//! HOST015: answers to its own SYNs were dropped for their timestamps.
//!
//! Linux net/ipv4/tcp_input.c, `tcp_rcv_synsent_state_process()`: TSecr is not what was sent.

use super::super::claims::{Claims, ask_again, percent};
use super::super::finding::significant;
use super::super::lacking::{Lack, each_host_or, no_whole};
use super::super::{Case, Confidence, Finding, Rule, Severity, Verdict, number};
use crate::language::{pages, say};

pub(in crate::diagnosis) static RULE: Rule =
    Rule { code: "HOST015", name: "paws-active-drops", explanation: pages!("paws_active_drops"), judge };
fn judge(case: &Case<'_>) -> Verdict {
    each_host_or(case, &RULE, host, lack)
}

/// The share of own attempts in percent above which it matters.
const SHARE: f64 = 1.0;
const FEW: u64 = 10;

fn host(host: &Claims<'_>) -> Option<Finding> {
    let dropped = host.counted("TcpExtPAWSActive").filter(|dropped| dropped.amount >= FEW)?;
    let opens = host.counted("TcpActiveOpens")?;
    let share = percent(dropped.amount, opens.amount).filter(|share| *share > SHARE)?;
    let title = say!("answers to its SYNs carry wrong timestamps: {dropped}", dropped);
    let summary = say!(
        "The SYN-ACK must return the timestamp of the SYN. {share} % of {amount} attempts got one that does not; the host resets them and tries again.",
        share = format!("{share:.1}"),
        amount = opens.amount
    );
    let mut finding = host.finding(dropped.by_share(Severity::Warning), Confidence::Medium, title, summary);
    finding.metric("paws_active", number(dropped.amount));
    finding.metric("share_percent", significant(share));
    let mut exhibits = dropped.exhibits();
    exhibits.extend(opens.exhibits());
    finding.exhibit_all(exhibits);
    finding.advise(say!("Look at the peer, or at the proxy or load balancer in front of it, that answers SYNs: a SYN proxy whose timestamps are wrong does this."));
    ask_again(&mut finding, &dropped);
    finding.refer(&["Linux net/ipv4/tcp_input.c: tcp_rcv_synsent_state_process()", "RFC 7323 section 3.2"]);
    Some(finding)
}

fn lack(host: &Claims<'_>) -> Option<Lack> {
    no_whole(host, host.counted("TcpExtPAWSActive"), FEW, &["TcpActiveOpens"])
}
