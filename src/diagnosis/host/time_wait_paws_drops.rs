//! HOST013: segments with old timestamps met TIME-WAITs: somebody reuses socket pairs within a minute.
//!
//! PAWSTimewait since Linux 6.16 (c449d5f3a3d7); before, PAWSEstab counts them among others. TCPACKSkippedTimeWait: `tcp_timewait_state_process()`.

use super::super::claims::{Claims, ask_again, each_host};
use super::super::{Case, Confidence, Finding, Rule, Severity, Verdict, number};
use crate::language::{pages, say};

pub(in crate::diagnosis) static RULE: Rule =
    Rule { code: "HOST013", name: "time-wait-paws-drops", explanation: pages!("time_wait_paws_drops"), judge };
fn judge(case: &Case<'_>) -> Verdict {
    each_host(case, &RULE, host)
}

/// Fewer are single old duplicates, whatever their rate.
const FEW: u64 = 10;
/// A rate of one a minute.
const PER_S: f64 = 1.0 / 60.0;

fn host(host: &Claims<'_>) -> Option<Finding> {
    let exact = host.counted("TcpExtPAWSTimewait");
    let skipped = host.moved("TcpExtTCPACKSkippedTimeWait");
    let (dropped, severity, confidence) = match exact {
        Some(exact) if exact.amount > 0 => {
            let few = exact.amount < FEW;
            let severity = if few { Severity::Info } else { exact.by_rate(PER_S, Severity::Warning) };
            (exact, severity, Confidence::High)
        }
        Some(_) => return None,
        // Older kernels mix the states: only together do the two say so.
        None => (host.moved("TcpExtPAWSEstab").filter(|_| skipped.is_some())?, Severity::Info, Confidence::Low),
    };
    let title = say!("segments with older timestamps met its TIME-WAITs: {dropped}", dropped);
    let mut summary = say!(
        "A SYN or segment came on a socket pair in TIME-WAIT with an older timestamp. A SYN draws an ACK instead of a SYN-ACK, at most every 500 ms, and else nothing: the client resets and tries again a second later, or waits."
    );
    if let Some(skipped) = &skipped {
        summary.add(say!("{skipped}: so many got no answer at all.", skipped));
    }
    let mut finding = host.finding(severity, confidence, title, summary);
    finding.metric("paws_time_wait", number(dropped.amount));
    let mut exhibits = dropped.exhibits();
    if let Some(skipped) = skipped {
        finding.metric("acks_skipped", number(skipped.amount));
        exhibits.extend(skipped.exhibits());
    }
    finding.exhibit_all(exhibits);
    finding.advise_when(
        say!("where a NAT or a load balancer stands in front"),
        say!("its ports come round within 60 s: give it more addresses or ports, or let the clients close first"),
    );
    finding.advise(say!("A capture at this host shows which socket pairs (SYN008, TW001)."));
    ask_again(&mut finding, &dropped);
    finding.refer(&[
        "Linux net/ipv4/tcp_minisocks.c: tcp_timewait_state_process()",
        "commit c449d5f3a3d7 (6.16)",
        "RFC 7323 section 5",
    ]);
    Some(finding)
}
