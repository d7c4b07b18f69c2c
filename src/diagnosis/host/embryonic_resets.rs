//! HOST029: clients reset connections before the handshake ended.
//!
//! Linux net/ipv4/tcp_minisocks.c, `tcp_check_req()`: EmbryonicRsts.

use super::super::claims::{Claims, ask_again, percent};
use super::super::finding::significant;
use super::super::lacking::{Lack, each_host_or, no_whole};
use super::super::{Case, Confidence, Finding, Rule, Severity, Verdict, number};
use crate::language::{pages, say};

pub(in crate::diagnosis) static RULE: Rule =
    Rule { code: "HOST029", name: "embryonic-resets", explanation: pages!("embryonic_resets"), judge };
fn judge(case: &Case<'_>) -> Verdict {
    each_host_or(case, &RULE, host, lack)
}

/// The share in percent from which it is told.
const SHARE: f64 = 5.0;
/// Fewer say nothing.
const FEW: u64 = 20;

fn host(host: &Claims<'_>) -> Option<Finding> {
    let counted = host.counted("TcpExtEmbryonicRsts").filter(|counted| counted.amount >= FEW)?;
    let whole = host.sum(&["TcpPassiveOpens"]);
    let share = percent(counted.amount, whole).filter(|share| *share > SHARE)?;
    let title =
        say!("{share} % of handshakes were reset before they ended: {counted}", share = format!("{share:.0}"), counted);
    let summary = say!(
        "RSTs came for handshakes under way, against {whole} that opened. Health checks of load balancers do so on purpose (SYN, SYN-ACK, RST); so do port scans, and clients that no longer know the connection.",
        whole
    );
    let mut finding = host.finding(Severity::Info, Confidence::Medium, title, summary);
    finding.metric("embryonic_resets", number(counted.amount));
    finding.metric("share_percent", significant(share));
    finding.exhibit_all(counted.exhibits());
    finding.advise(say!(
        "If a load balancer checks this host, nothing is wrong. Else a capture shows who resets (RST001, SYN007)."
    ));
    ask_again(&mut finding, &counted);
    finding.refer(&["Linux net/ipv4/tcp_minisocks.c: tcp_check_req()"]);
    Some(finding)
}

fn lack(host: &Claims<'_>) -> Option<Lack> {
    no_whole(host, host.counted("TcpExtEmbryonicRsts"), FEW, &["TcpPassiveOpens"])
}
