//! HOST010: `PAWSPassive` counted SYNs that the per-host timestamp check dropped.
//!
//! Linux before 4.12, net/ipv4/tcp_input.c, `tcp_conn_request()`, LINUX_MIB_PAWSPASSIVEREJECTED; nothing else counts it.

use super::super::claims::{Claims, ask_again, each_host, setting_line};
use super::super::{Case, Confidence, Finding, Rule, Severity, Verdict, number};
use crate::language::{pages, say};

pub(in crate::diagnosis) static RULE: Rule =
    Rule { code: "HOST010", name: "tw-recycle-drops", explanation: pages!("tw_recycle_drops"), judge };
fn judge(case: &Case<'_>) -> Verdict {
    each_host(case, &RULE, host)
}

fn host(host: &Claims<'_>) -> Option<Finding> {
    let dropped = host.moved("TcpExtPAWSPassive")?;
    let recycle = host.live("net.ipv4.tcp_tw_recycle");
    let on = recycle.filter(|recycle| &*recycle.value != "0");
    let severity = if dropped.is_growing() || on.is_some() { Severity::Critical } else { Severity::Info };
    let title = say!("the per-host timestamp check dropped SYNs: {dropped}", dropped);
    let now = match (on, recycle) {
        (Some(_), _) => say!("tcp_tw_recycle is on: it goes on."),
        (None, Some(_)) => say!("tcp_tw_recycle is off now: nobody is dropped any more."),
        (None, None) => say!("Whether tcp_tw_recycle is still on is not told."),
    };
    let summary = say!(
        "Only the check of tcp_tw_recycle counts PAWSPassive, one for each SYN that it drops without an answer; the victims are clients behind one address. {now}",
        now
    );
    let mut finding = host.finding(severity, Confidence::High, title, summary);
    finding.metric("paws_passive", number(dropped.amount));
    let mut exhibits = dropped.exhibits();
    exhibits.extend(recycle.map(setting_line));
    if let Some(killed) = host.moved("TcpExtTWKilled") {
        finding.metric("tw_killed", number(killed.amount));
        finding.summary.add(say!("{killed}: TIME-WAIT ended early, which only tcp_tw_recycle does.", killed));
        exhibits.extend(killed.exhibits());
    }
    finding.exhibit_all(exhibits);
    finding.advise(say!("sysctl -w net.ipv4.tcp_tw_recycle=0, and remove it from the configuration."));
    ask_again(&mut finding, &dropped);
    finding.refer(&["Linux before 4.12, net/ipv4/tcp_input.c: tcp_conn_request()"]);
    Some(finding)
}
