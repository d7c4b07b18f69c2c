//! HOST006: many TIME-WAITs on a server's port cost memory and nothing else.
//!
//! A TIME-WAIT holds no port of a listener: `inet_csk_get_port()` and the 4-tuple look-up of Linux net/ipv4/inet_hashtables.c.

use super::super::claims::{Claims, each_host};
use super::super::host_limits::line;
use super::super::{Case, Confidence, Finding, Rule, Severity, Verdict, number};
use crate::language::{Text, pages, say};
use crate::snapshot::TcpState;

pub(in crate::diagnosis) static RULE: Rule =
    Rule { code: "HOST006", name: "time-wait-harmless", explanation: pages!("time_wait_harmless"), judge };
fn judge(case: &Case<'_>) -> Verdict {
    each_host(case, &RULE, host)
}

/// Fewer make nobody ask.
const MANY: u64 = 200;

fn host(host: &Claims<'_>) -> Option<Finding> {
    let limit = host.limits().time_waits();
    let listed = host.host.listings().into_iter().max_by_key(|listed| listed.count(TcpState::TimeWait))?;
    let listening = listed.listening_ports();
    let served = listed.ports().into_iter().filter(|(port, _)| listening.contains(port));
    let mut served: Vec<(u16, u64)> = served.map(|(port, states)| (port, states.get(TcpState::TimeWait))).collect();
    served.sort_by_key(|(port, count)| (std::cmp::Reverse(*count), *port));
    let total: u64 = served.iter().map(|(_, count)| count).sum();
    let all = listed.count(TcpState::TimeWait)?;
    if total < MANY || limit.is_some_and(|(limit, _)| all.saturating_mul(2) >= limit) {
        return None;
    }
    let (port, most) = *served.first()?;
    let title = say!("{total} TIME-WAITs on its own services are harmless, most on port {port}", total, port);
    let against = limit.map_or_else(Text::default, |(limit, _)| {
        say!(" tcp_max_tw_buckets allows {limit}; {all} are held.", limit, all)
    });
    let summary = say!(
        "{most} of them are on port {port}, which this host listens on: they use up no port, since every one has the same, and each takes about 256 bytes.{against} Nothing needs tuning; whoever wants fewer lets the clients close first.",
        most,
        port,
        against
    );
    let mut finding = host.finding(Severity::Info, Confidence::High, title, summary);
    finding.metric("time_waits", number(total));
    finding.metric("time_waits_all", number(all));
    let row = |state| listed.in_state(state).find(|row| row.local.port.number() == Some(port));
    let mut exhibits: Vec<_> =
        row(TcpState::Listen).map(|row| line(row.source, say!("port {port} listens", port))).into_iter().collect();
    exhibits.extend(
        row(TcpState::TimeWait)
            .map(|row| line(row.source, say!("the first of {most} TIME-WAITs on port {port}", most, port))),
    );
    if exhibits.is_empty() {
        exhibits.push(line(listed.source(), say!("{total} TIME-WAITs on listening ports", total)));
    }
    finding.exhibit_all(exhibits);
    finding.advise(say!("Leave tcp_tw_recycle, tcp_tw_reuse, tcp_fin_timeout and tcp_max_tw_buckets alone: none of them helps a server, and the first and the last do harm."));
    finding.rule_out(
        say!("ports running out (TW003)"),
        say!("the port is a listener's, shared by all of its connections"),
    );
    finding.refer(&["RFC 9293 section 3.6.1", "Linux net/ipv4/inet_timewait_sock.c"]);
    Some(finding)
}
