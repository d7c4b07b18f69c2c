//! HOST032: the host sent many RSTs.
//!
//! OutRsts: RFC 4022 tcpOutRsts, `tcp_v4_send_reset()` and `tcp_send_active_reset()`.

use super::super::claims::{Claims, ask_again, percent};
use super::super::finding::significant;
use super::super::lacking::{Lack, each_host_or, no_whole};
use super::super::{Case, Confidence, Finding, Rule, Severity, Verdict, number};
use crate::language::{pages, say};

pub(in crate::diagnosis) static RULE: Rule =
    Rule { code: "HOST032", name: "resets-sent", explanation: pages!("resets_sent"), judge };
fn judge(case: &Case<'_>) -> Verdict {
    each_host_or(case, &RULE, host, lack)
}

/// The share in percent from which it is told.
const SHARE: f64 = 10.0;
/// Fewer say nothing.
const FEW: u64 = 50;

fn host(host: &Claims<'_>) -> Option<Finding> {
    let counted = host.counted("TcpOutRsts").filter(|counted| counted.amount >= FEW)?;
    let whole = host.sum(&["TcpActiveOpens", "TcpPassiveOpens"]);
    let share = percent(counted.amount, whole).filter(|share| *share > SHARE)?;
    let title = say!("RSTs sent: {counted}, {share} of 100 connections", counted, share = format!("{share:.0}"));
    let summary = say!(
        "{whole} connections were opened meanwhile. RSTs answer segments for ports where nobody listens and for connections that are no more, and end connections whose application closed with data unread.",
        whole
    );
    let mut finding = host.finding(Severity::Info, Confidence::Medium, title, summary);
    finding.metric("resets_sent", number(counted.amount));
    finding.metric("share_percent", significant(share));
    finding.exhibit_all(counted.exhibits());
    finding.advise(say!("AbortOnData and AbortOnClose growing as well: the application closes so (HOST033). Else a capture shows whom it resets and why (RST001, SYN005)."));
    ask_again(&mut finding, &counted);
    finding.refer(&["RFC 4022: tcpOutRsts", "RFC 9293 section 3.10.7.1"]);
    Some(finding)
}

fn lack(host: &Claims<'_>) -> Option<Lack> {
    no_whole(host, host.counted("TcpOutRsts"), FEW, &["TcpActiveOpens", "TcpPassiveOpens"])
}
