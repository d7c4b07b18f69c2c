//! HOST031: attempts to connect failed.
//!
//! AttemptFails: SYN-SENT or SYN-RECEIVED to CLOSED, RFC 4022 tcpAttemptFails; Linux counts both sides in one.

use super::super::claims::{Claims, ask_again, percent};
use super::super::finding::significant;
use super::super::lacking::{Lack, each_host_or, no_whole};
use super::super::{Case, Confidence, Finding, Rule, Severity, Verdict, number};
use crate::language::{pages, say};

pub(in crate::diagnosis) static RULE: Rule =
    Rule { code: "HOST031", name: "attempts-fail", explanation: pages!("attempts_fail"), judge };
fn judge(case: &Case<'_>) -> Verdict {
    each_host_or(case, &RULE, host, lack)
}

/// The share in percent from which it is told.
const SHARE: f64 = 10.0;
/// Fewer say nothing.
const FEW: u64 = 50;

fn host(host: &Claims<'_>) -> Option<Finding> {
    let counted = host.counted("TcpAttemptFails").filter(|counted| counted.amount >= FEW)?;
    let whole = host.sum(&["TcpActiveOpens"]);
    let share = percent(counted.amount, whole).filter(|share| *share > SHARE)?;
    let title = say!(
        "attempts failed: {counted}, {share} % of the connections it opened",
        counted,
        share = format!("{share:.0}")
    );
    let summary = say!(
        "The counter holds its own attempts that were refused or timed out, and handshakes of others that ended early; {whole} connections were opened by this host.",
        whole
    );
    let mut finding = host.finding(counted.by_share(Severity::Warning), Confidence::Medium, title, summary);
    finding.metric("attempts_failed", number(counted.amount));
    finding.metric("share_percent", significant(share));
    finding.exhibit_all(counted.exhibits());
    finding.advise(say!("See which: ss -tano state syn-sent for attempts that time out, the application's log for refused ones, EmbryonicRsts for handshakes of others."));
    ask_again(&mut finding, &counted);
    finding.refer(&["RFC 4022: tcpAttemptFails", "Linux net/ipv4/tcp.c: tcp_done()"]);
    Some(finding)
}

fn lack(host: &Claims<'_>) -> Option<Lack> {
    no_whole(host, host.counted("TcpAttemptFails"), FEW, &["TcpActiveOpens"])
}
