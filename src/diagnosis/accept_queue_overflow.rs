//! SYN002: SYNs dropped because a listen queue was full.
//!
//! The signs on the wire are those of `weigh::overflow`. Linux: `tcp_conn_request()` in net/ipv4/tcp_input.c
//! (request queue, accept queue), `tcp_v4_syn_recv_sock()` in net/ipv4/tcp_ipv4.c (the final ACK).

mod claimed;

use super::host_facts::HostFacts;
use super::weigh::overflow::Overflow;
use super::weigh::{Cause, Service};
use super::{Case, Confidence, Finding, Rule, Severity, Verdict, number};
use crate::language::{Joint, Text, pages, plural, say};

pub(super) static RULE: Rule =
    Rule { code: "SYN002", name: "accept-queue-overflow", explanation: pages!("accept_queue_overflow"), judge };

fn judge(case: &Case<'_>) -> Verdict {
    let found = case.services().iter().filter_map(|service| Some(finding(case, service, service.overflow.as_ref()?)));
    let mut found: Vec<Finding> = found.collect();
    found.extend(claimed::findings(case, &found));
    Verdict { found, not_judged: Vec::new() }
}

fn finding(case: &Case<'_>, service: &Service, overflow: &Overflow) -> Finding {
    let dropped = service.of(Cause::Overflow).count() as u64;
    let failed = service.failed_attempts(|cause| cause == Cause::Overflow);
    let many_signs = overflow.ignored + overflow.aborted >= 10;
    let confidence = if many_signs && service.either() == 0 { Confidence::High } else { Confidence::Medium };
    let mut finding = service.finding(&RULE, Severity::Critical, confidence);
    // The queue is that of all clients, and what it did to the others is counted.
    finding.selector.subject.client_ip = None;
    finding.title = say!(
        "{server} drops SYNs of {client} because a listen queue is full: {syns} unanswered, {attempts} failed",
        server = service.server,
        client = service.client,
        syns = plural(dropped, "SYN"),
        attempts = plural(failed, "attempt")
    );
    finding.summary = signs(overflow).then(service.slow_sentence());
    service.common_metrics(&mut finding, failed, dropped);
    finding.metric("handshakes_ignored", number(overflow.ignored));
    finding.metric("handshakes_reset", number(overflow.aborted));
    finding.metric("unserved", number(overflow.unserved));
    finding.exhibit_all(service.exhibits(
        case,
        |cause| matches!(cause, Cause::Overflow),
        say!("while the listen queue was full"),
    ));
    service.place(case, &mut finding);
    if let Some(host) = HostFacts::of(case, service) {
        finding.confidence = host.weigh_queues(&mut finding, service).confidence(finding.confidence);
    }
    service.rule_out_paws(&mut finding);
    finding.rule_out(say!("a filter (SYN003)"), say!("a filter does not touch handshakes that it let through"));
    finding.advise_when(say!("on the server"), say!("`ss -lnt`: Recv-Q above Send-Q on the LISTEN row means that the application accepts too slowly; find out why before making the queue longer"));
    finding.advise_when(say!("to confirm"), say!("`nstat -az TcpExtListenOverflows TcpExtListenDrops TcpExtTCPReqQFullDrop` twice: they grow while SYNs are dropped, PAWSPassive does not"));
    finding.advise(say!("A longer queue needs both the application's backlog and `net.core.somaxconn`; for the request queue `net.ipv4.tcp_max_syn_backlog`, and `net.ipv4.tcp_syncookies=1`."));
    finding.references =
        ["Linux net/ipv4/tcp_input.c: tcp_conn_request()", "Linux net/ipv4/tcp_ipv4.c: tcp_v4_syn_recv_sock()"]
            .map(str::to_owned)
            .to_vec();
    finding
}

fn signs(overflow: &Overflow) -> Text {
    let mut signs = Vec::new();
    if overflow.ignored > 0 {
        signs.push(say!(
            "{clients} ended the handshake or sent data and the server went on as if it had not",
            clients = plural(overflow.ignored, "client")
        ));
    }
    if overflow.aborted > 0 {
        signs.push(say!(
            "{connections} reset right after the handshake",
            connections = plural(overflow.aborted, "connection")
        ));
    }
    if overflow.unserved > 0 {
        signs.push(say!(
            "{connections} acknowledged by the kernel and served by no application",
            connections = plural(overflow.unserved, "connection")
        ));
    }
    say!(
        "While SYNs went unanswered, {signs}, out of {connections} that opened. SYNs of every client clock are hit, and retries get in when the queue drains.",
        signs = Text::joined(Joint::Commas, signs),
        connections = plural(overflow.opened, "connection")
    )
}
