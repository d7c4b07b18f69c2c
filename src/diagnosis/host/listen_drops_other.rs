//! HOST025: listeners dropped SYNs for another reason than a full queue.
//!
//! ListenDrops counts every SYN and ACK that a listener drops (`tcp_listendrop()`); what its own counters explain is taken off.

use super::super::claims::{Claims, ask_again, each_host, percent};
use super::super::{Case, Confidence, Finding, Rule, Severity, Verdict, number};
use crate::language::{pages, say};

pub(in crate::diagnosis) static RULE: Rule =
    Rule { code: "HOST025", name: "listen-drops-other", explanation: pages!("listen_drops_other"), judge };
fn judge(case: &Case<'_>) -> Verdict {
    each_host(case, &RULE, host)
}

const FEW: u64 = 100;
/// The share of all drops in percent that nothing explains.
const SHARE: f64 = 10.0;

fn host(host: &Claims<'_>) -> Option<Finding> {
    let drops = host.counted("TcpExtListenDrops")?;
    // All of these are counted as drops as well.
    let known = ["TcpExtListenOverflows", "TcpExtTCPReqQFullDrop", "TcpExtPAWSPassive"];
    let explained = host.sum(&known);
    let left = drops.amount.checked_sub(explained).filter(|left| *left > FEW)?;
    let share = percent(left, drops.amount).filter(|share| *share > SHARE)?;
    let title = say!(
        "listeners dropped {left} SYNs that no full queue explains ({share} % of {drops})",
        left,
        share = format!("{share:.0}"),
        drops
    );
    let summary = say!(
        "ListenDrops counts all that listeners drop. Full queues and the timestamp check have counters of their own, which explain the rest. What is left: no memory for the request, no route back, or a security module or BPF program that refused it."
    );
    let mut finding = host.finding(drops.by_share(Severity::Warning), Confidence::Medium, title, summary);
    finding.metric("listen_drops", number(drops.amount));
    finding.metric("unexplained", number(left));
    let mut exhibits = drops.exhibits();
    exhibits.extend(known.iter().filter_map(|counter| host.moved(counter)).flat_map(|counted| counted.exhibits()));
    finding.exhibit_all(exhibits);
    finding.advise(say!("Check memory (dmesg, /proc/net/sockstat against tcp_mem), routes back to the clients (ip route get CLIENT), SELinux and BPF programs."));
    ask_again(&mut finding, &drops);
    finding.refer(&["Linux net/ipv4/tcp_input.c: tcp_conn_request()", "Linux include/net/tcp.h: tcp_listendrop()"]);
    Some(finding)
}
