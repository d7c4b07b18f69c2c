//! HOST026: SYNs were dropped because a listener's request queue was full, without cookies.
//!
//! Linux net/ipv4/tcp_input.c, `tcp_conn_request()`: TCPReqQFullDrop; 1/s as netdata has it.

use super::super::claims::{Claims, ask_again, each_host, setting_line};
use super::super::host_limits::line;
use super::super::{Case, Confidence, Finding, Rule, Severity, Verdict, number};
use crate::language::{Text, pages, say};
use crate::snapshot::{LogKind, Source, TcpState};

pub(in crate::diagnosis) static RULE: Rule =
    Rule { code: "HOST026", name: "syn-queue-full", explanation: pages!("syn_queue_full"), judge };
fn judge(case: &Case<'_>) -> Verdict {
    each_host(case, &RULE, host)
}

const PER_S: f64 = 1.0;
/// Fewer handshakes under way at one port prove no full queue.
const PILED: u64 = 8;

fn host(host: &Claims<'_>) -> Option<Finding> {
    let dropped = host.moved("TcpExtTCPReqQFullDrop")?;
    let piled = piled(host);
    let severity = if piled.is_some() { Severity::Critical } else { dropped.by_rate(PER_S, Severity::Critical) };
    let cookies = host.live("net.ipv4.tcp_syncookies");
    let title = say!("SYNs dropped by a full request queue: {dropped}", dropped);
    let mut summary = say!(
        "A listener had as many handshakes under way as its queue holds, and SYN cookies are off or refused: further SYNs get no answer."
    );
    let mut exhibits = dropped.exhibits();
    let mut finding = host.finding(severity, Confidence::High, title, Text::default());
    if let Some((port, count, limit, source)) = piled {
        summary.add(say!(
            "Port {port} is full at the moment of the listing: {count} handshakes under way, and room for {limit}.",
            port,
            count,
            limit
        ));
        finding.metric("syn_received", number(count));
        exhibits.push(line(source, say!("{count} in SYN-RECEIVED on port {port}", count, port)));
    }
    finding.summary = summary;
    finding.metric("req_q_full_drop", number(dropped.amount));
    exhibits.extend(cookies.map(setting_line));
    exhibits.extend(
        host.logged(LogKind::SynFloodDrop)
            .into_iter()
            .map(|logged| line(logged.source, Text::value(logged.text.to_string()))),
    );
    finding.exhibit_all(exhibits);
    if cookies.is_some_and(|cookies| &*cookies.value == "0") {
        finding
            .advise(say!("net.ipv4.tcp_syncookies=1: SYNs beyond the queue are then answered without keeping state."));
    }
    finding.advise(say!("Flood or load? Many sources that never finish: a flood, to be stopped in front. Known clients: raise the listener's backlog, net.core.somaxconn and net.ipv4.tcp_max_syn_backlog together."));
    ask_again(&mut finding, &dropped);
    finding.refer(&["Linux net/ipv4/tcp_input.c: tcp_conn_request()", "RFC 4987"]);
    Some(finding)
}

/// A port whose handshakes under way fill its queue: port, count, limit, line.
fn piled(host: &Claims<'_>) -> Option<(u16, u64, u64, Source)> {
    let listed = host.host.listings();
    let found = listed.iter().flat_map(|listed| {
        let limit = |port| {
            listed
                .in_state(TcpState::Listen)
                .filter(|row| row.local.port.number() == Some(port))
                .filter_map(|row| row.send_q)
                .max()
        };
        listed.ports().into_iter().filter_map(move |(port, states)| {
            let count = states.get(TcpState::SynReceived);
            let limit = u64::from(limit(port)?);
            // Without cookies the last quarter is kept for peers that proved themselves.
            (count >= PILED && count * 4 >= limit * 3).then(|| (port, count, limit, listed.source()))
        })
    });
    found.max_by_key(|(_, count, _, _)| *count)
}
