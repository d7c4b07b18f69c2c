//! HOST035: segments were dropped at sockets whose owner is slow.
//!
//! TCPBacklogDrop (`tcp_add_backlog()`), TCPRcvQDrop, TCPZeroWindowDrop; 1/s as netdata has it for such drops.

use super::super::claims::{Claims, ask_again, each_host};
use super::super::{Case, Confidence, Finding, Rule, Severity, Verdict, number};
use crate::language::{Joint, Said, Text, pages, say};

pub(in crate::diagnosis) static RULE: Rule =
    Rule { code: "HOST035", name: "socket-backlog-drops", explanation: pages!("socket_backlog_drops"), judge };
fn judge(case: &Case<'_>) -> Verdict {
    each_host(case, &RULE, host)
}

const PER_S: f64 = 1.0;

fn host(host: &Claims<'_>) -> Option<Finding> {
    let counters = ["TcpExtTCPBacklogDrop", "TcpExtTCPRcvQDrop", "TcpExtTCPZeroWindowDrop"];
    let counted: Vec<_> = counters.into_iter().filter_map(|counter| host.moved(counter)).collect();
    let worst = counted.iter().max_by_key(|counted| counted.amount)?;
    let dropped = counted.iter().map(|counted| counted.amount).fold(0, u64::saturating_add);
    let rate: f64 = counted.iter().filter_map(super::super::claims::Counted::per_s).sum();
    let severity = if rate >= PER_S { Severity::Warning } else { Severity::Info };
    let title = say!("segments dropped at sockets: {worst}", worst);
    let summary = say!(
        "{told}. BacklogDrop: more came than fits while the owner held the socket. RcvQDrop and ZeroWindowDrop: the receive queue was full.",
        told = Text::joined(Joint::Semicolons, counted.iter().map(Said::said))
    );
    let mut finding = host.finding(severity, Confidence::High, title, summary);
    finding.metric("dropped", number(dropped));
    finding.exhibit_all(counted.iter().flat_map(|counted| counted.exhibits()).collect::<Vec<_>>());
    finding.advise(say!("Find the reader that is slow: ss -tanp, rows with a large Recv-Q. A larger net.ipv4.tcp_rmem helps against bursts only."));
    ask_again(&mut finding, worst);
    finding.refer(&["Linux net/ipv4/tcp_ipv4.c: tcp_add_backlog()", "Linux Documentation/networking/snmp_counter.rst"]);
    Some(finding)
}
