//! HOST022: attempts towards one destination wait for an answer again and again.
//!
//! More than 20 in SYN-SENT whose SYN went out at least three times: a destination that is down, filtered or full.

use super::super::claims::Claims;
use super::super::host_limits::line;
use super::super::lacking::{Lack, each_host_or};
use super::super::{Case, Confidence, Finding, Rule, Severity, Verdict, number};
use crate::language::{Text, pages, say};
use crate::snapshot::{SocketRow, TcpState};

pub(in crate::diagnosis) static RULE: Rule =
    Rule { code: "HOST022", name: "syn-sent-pile", explanation: pages!("syn_sent_pile"), judge };
fn judge(case: &Case<'_>) -> Verdict {
    each_host_or(case, &RULE, host, lack)
}

const MANY: usize = 20;
/// Retransmissions after which an answer is late by three seconds at least (initial RTO of 1 s, doubled).
const RETRIES: u32 = 2;

fn host(host: &Claims<'_>) -> Option<Finding> {
    let mut worst: Option<(Text, Vec<&SocketRow>)> = None;
    for listed in host.host.listings() {
        let mut by_peer = std::collections::BTreeMap::<_, Vec<&SocketRow>>::new();
        for row in listed.in_state(TcpState::SynSent) {
            by_peer.entry(row.remote.clone()).or_default().push(row);
        }
        for (peer, rows) in by_peer {
            let late = rows.iter().filter(|row| row.timer.is_some_and(|timer| timer.retransmits >= RETRIES)).count();
            if rows.len() > MANY
                && late * 2 > rows.len()
                && worst.as_ref().is_none_or(|(_, most)| rows.len() > most.len())
            {
                let ip = peer.host.ip().map_or_else(|| say!("a named host"), |ip| Text::value(ip.to_string()));
                let peer = match peer.port.number() {
                    Some(port) => say!("{ip} port {port}", ip, port),
                    None => ip,
                };
                worst = Some((peer, rows));
            }
        }
    }
    let (peer, rows) = worst?;
    let most = rows.iter().filter_map(|row| row.timer).map(|timer| timer.retransmits).max().unwrap_or(0);
    let title = say!("{rows} attempts to {peer} get no answer", rows = rows.len(), peer);
    let summary = say!(
        "They are in SYN-SENT, most of them after two or more repetitions, one after {most}: {peer} is down, a filter drops the SYNs, or its listen queue is full. Refused connections would be gone at once.",
        most,
        peer
    );
    let mut finding = host.finding(Severity::Warning, Confidence::High, title, summary);
    finding.metric("syn_sent", number(rows.len() as u64));
    finding.metric("retransmits_most", f64::from(most));
    let exhibit = |row: &&SocketRow| {
        line(
            row.source,
            say!(
                "SYN-SENT to {peer}, repeated {retransmits} times",
                peer,
                retransmits = row.timer.map_or(0, |timer| timer.retransmits)
            ),
        )
    };
    finding.exhibit_all(rows.iter().map(exhibit).collect::<Vec<_>>());
    finding.advise(say!("Capture at the destination: no SYN arrives (a filter on the way), or it arrives and is not answered (SYN001 to SYN003)."));
    finding.refer(&["RFC 9293 section 3.8.1", "Linux Documentation/networking/ip-sysctl.rst: tcp_syn_retries"]);
    Some(finding)
}

fn lack(host: &Claims<'_>) -> Option<Lack> {
    let piled = host.host.listings().into_iter().map(|listed| listed.in_state(TcpState::SynSent).collect::<Vec<_>>());
    let piled = piled.max_by_key(Vec::len).filter(|rows| rows.len() > MANY)?;
    let because = say!(
        "{piled} sockets are in SYN-SENT, and the listing has no timers: how long they have waited is not known",
        piled = piled.len()
    );
    piled
        .iter()
        .all(|row| row.timer.is_none())
        .then_some(Lack { because, record: Text::value("ss -tano (netstat -anto)") })
}
