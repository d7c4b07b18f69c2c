//! SYN003: SYNs dropped by a filter: which ports, addresses or tuples, always.
//!
//! The patterns are those of `weigh::filter`.

use super::scan::is_scan;
use super::weigh::filter::{Kind, Pattern};
use super::weigh::{Cause, OtherCause, Service};
use super::{Case, Confidence, Finding, NotJudged, Rule, Severity, Verdict, number};
use crate::language::{pages, plural, say};

pub(super) static RULE: Rule =
    Rule { code: "SYN003", name: "syn-filtered", explanation: pages!("syn_filtered"), judge };

fn judge(case: &Case<'_>) -> Verdict {
    let services = || case.services().iter().filter(|service| !is_scan(case, service.point, service.client));
    let found = services().filter_map(|service| Some(finding(case, service, service.filter.as_ref()?)));
    let silent = services().filter(|service| never_heard(case, service)).map(cannot_tell);
    Verdict { found: found.collect(), not_judged: silent.collect() }
}

/// Attempts without any answer below which nothing is said of a silent host.
const FEWEST: u64 = 3;

/// Nothing at all ever came from the server's address.
fn never_heard(case: &Case<'_>, service: &Service) -> bool {
    let heard = case
        .evidence
        .tally
        .services
        .iter()
        .any(|(ends, counts)| ends.server.ip == service.server.ip && counts.opened + counts.refused > 0);
    service.tally.answered == 0 && service.attempts >= FEWEST && !heard
}

fn cannot_tell(service: &Service) -> NotJudged {
    NotJudged {
        rule: RULE.code,
        because: say!(
            "{client} to {server}: {attempts} drew nothing, and nothing else came from that address: a dead host, a missing route and a filter look the same",
            client = service.client,
            server = service.server,
            attempts = plural(service.attempts, "attempt")
        ),
        record_next: say!(
            "on {ip} itself: `tcpdump -i any -s 96 -w server.pcap 'host {client}'`, to see whether the SYNs arrive",
            ip = service.server.ip,
            client = service.client
        ),
    }
}

fn finding(case: &Case<'_>, service: &Service, pattern: &Pattern) -> Finding {
    let explained = |cause| matches!(cause, Cause::Filter | Cause::PawsDropOr(OtherCause::Filter));
    let dropped = service.unanswered.iter().filter(|unanswered| explained(unanswered.cause)).count() as u64;
    let failed = service.failed_attempts(explained);
    let by_port = matches!(pattern.kind, Kind::SourcePorts(..) | Kind::SocketPairs);
    let confidence = if by_port && service.either() == 0 { Confidence::High } else { Confidence::Medium };
    let mut finding = service.finding(&RULE, Severity::Critical, confidence);
    // That others are answered shows the pattern.
    finding.selector.subject.client_ip = None;
    let what = match pattern.kind {
        Kind::SourcePorts(low, high) => say!("source ports {low} to {high}", low, high),
        Kind::SocketPairs => say!("certain socket pairs"),
        Kind::ClientAddress => say!("the client address {client}", client = service.client),
        Kind::ServerPort => say!("the server port {port}", port = service.server.port),
    };
    finding.title = say!(
        "SYNs of {client} to {server} are filtered by {what}: {syns} unanswered, {attempts} failed",
        client = service.client,
        server = service.server,
        what,
        syns = plural(dropped, "SYN"),
        attempts = plural(failed, "attempt")
    );
    finding.summary = say!(
        "From {pattern} to {until}, {attempts} with {what} drew nothing, however often repeated, while {attempts_2} beside them were answered at once: something decides by address and port. {kind}",
        pattern = pattern.from,
        until = pattern.until,
        attempts = plural(pattern.unanswered, "attempt"),
        what,
        attempts_2 = plural(pattern.answered, "attempt"),
        kind = match pattern.kind {
            Kind::SourcePorts(..) => say!("The range is the outermost that was seen; the filter's own may be wider."),
            Kind::SocketPairs =>
                say!("No range of ports shows: a hash over the pair (one path or one back end of several) does this."),
            Kind::ClientAddress => say!(
                "The same socket answered other clients meanwhile; a path of its own that loses everything would look the same."
            ),
            Kind::ServerPort => say!(
                "The same host answered this client on other ports meanwhile; a listen queue that has been full since before the capture would look the same."
            ),
        }
    );
    service.common_metrics(&mut finding, failed, dropped);
    if let Kind::SourcePorts(low, high) = pattern.kind {
        finding.metric("source_port_low", f64::from(low));
        finding.metric("source_port_high", f64::from(high));
    }
    finding.metric("attempts_answered_meanwhile", number(pattern.answered));
    finding.exhibit_all(service.exhibits(case, explained, say!("like every SYN of the pattern")));
    service.place(case, &mut finding);
    service.rule_out_paws(&mut finding);
    finding.rule_out(
        say!("loss (SYN004), a full queue (SYN002)"),
        say!("no retransmission of these SYNs was ever answered, and no other SYN needed one"),
    );
    finding.advise_when(say!("on the server"), say!("`iptables -nvL; nft list ruleset`: look for a DROP whose packet counter grows with these SYNs; the kernel's TCP counters do not see them"));
    finding.advise(say!("Capture on both sides of each firewall and load balancer on the way: the SYN is the last packet before the filter."));
    finding.references = vec!["Linux net/netfilter: packets dropped there are counted nowhere in TcpExt".to_owned()];
    finding
}
