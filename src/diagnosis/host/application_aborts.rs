//! HOST033: applications close connections with data unread, or abort them.
//!
//! TCPAbortOnData, TCPAbortOnClose: Linux net/ipv4/tcp.c, `__tcp_close()` (RFC 2525 section 2.17).

use super::super::claims::{Claims, percent};
use super::super::finding::significant;
use super::super::lacking::{Lack, each_host_or, no_whole};
use super::super::{Case, Confidence, Finding, Rule, Severity, Verdict, number};
use crate::language::{Joint, Said, Text, pages, say};

pub(in crate::diagnosis) static RULE: Rule =
    Rule { code: "HOST033", name: "application-aborts", explanation: pages!("application_aborts"), judge };
fn judge(case: &Case<'_>) -> Verdict {
    each_host_or(case, &RULE, host, lack)
}

const SHARE: f64 = 5.0;
const FEW: u64 = 50;

fn host(host: &Claims<'_>) -> Option<Finding> {
    let counted: Vec<_> = ["TcpExtTCPAbortOnData", "TcpExtTCPAbortOnClose"]
        .into_iter()
        .filter_map(|counter| host.moved(counter))
        .collect();
    let aborted = counted.iter().map(|counted| counted.amount).fold(0, u64::saturating_add);
    let opens = host.sum(&["TcpActiveOpens", "TcpPassiveOpens"]);
    let share = percent(aborted, opens).filter(|share| *share > SHARE && aborted >= FEW)?;
    let title =
        say!("applications ended {aborted} connections by RST, {share} of 100", aborted, share = format!("{share:.0}"));
    let summary = say!(
        "{told}. AbortOnClose: closed with data unread, so that the peer's last bytes were thrown away. AbortOnData: data came after close(), or SO_LINGER was 0. {opens} connections were opened.",
        told = Text::joined(Joint::Semicolons, counted.iter().map(Said::said)),
        opens
    );
    let mut finding = host.finding(Severity::Info, Confidence::High, title, summary);
    finding.metric("aborted", number(aborted));
    finding.metric("share_percent", significant(share));
    finding.exhibit_all(counted.iter().flat_map(|counted| counted.exhibits()).collect::<Vec<_>>());
    finding.advise(say!("Some programs do it on purpose (SO_LINGER 0, health checks). Where data is lost, the application must read to the end before close()."));
    finding.refer(&["Linux net/ipv4/tcp.c: __tcp_close()", "RFC 2525 section 2.17"]);
    Some(finding)
}

fn lack(host: &Claims<'_>) -> Option<Lack> {
    no_whole(host, host.counted("TcpExtTCPAbortOnData"), FEW, &["TcpActiveOpens", "TcpPassiveOpens"])
}
