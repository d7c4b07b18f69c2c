//! SYN006: SYNs answered by ICMP errors.
//!
//! RFC 792 (destination unreachable, time exceeded), RFC 4443 section 3.

use super::group::{Group, Show, groups};
use super::scan::is_scan;
use super::{Case, Confidence, Finding, Rule, Severity, Verdict, number};
use crate::connection::Opened;
use crate::language::{pages, plural, say};

pub(super) static RULE: Rule =
    Rule { code: "SYN006", name: "destination-unreachable", explanation: pages!("destination_unreachable"), judge };

fn judge(case: &Case<'_>) -> Verdict {
    let unreachable = groups(case, |connection| (connection.opened() == Opened::Unreachable).then_some(()));
    let faults = unreachable.iter().filter(|group| !is_scan(case, group.point, group.client));
    Verdict { found: faults.map(|group| finding(case, group)).collect(), not_judged: Vec::new() }
}

fn finding(case: &Case<'_>, group: &Group<'_, ()>) -> Finding {
    let total = group.total();
    let attempts = group.service(case).map_or(total, |service| service.attempts);
    let mut finding = group.finding(&RULE, Severity::Critical, Confidence::High);
    finding.title = say!(
        "{attempts} of {client} to {server} answered by ICMP errors",
        attempts = plural(total, "attempt"),
        client = group.client,
        server = group.server
    );
    finding.summary = say!(
        "A router, a firewall or the host itself said that the destination cannot be reached; the ICMP message names who, in its source address."
    );
    finding.metric("attempts", number(attempts));
    finding.metric("attempts_failed", number(total));
    finding.metric("syns_unanswered", 0.0);
    finding.exhibit_all(group.exhibits(case, Show::First, |connection, ()| {
        say!("SYN from port {port} answered by an ICMP error", port = connection.client().port)
    }));
    finding.rule_out(say!("silent drops (SYN001 to SYN004)"), say!("these SYNs drew an ICMP error"));
    finding.display_filter = format!("icmp || icmpv6 || ({})", finding.display_filter);
    finding.advise(say!("Look at the sender and code of the ICMP messages: host unreachable means no ARP answer or no route, administratively prohibited means a firewall's REJECT."));
    finding.references = ["RFC 792", "RFC 4443 section 3", "RFC 1122 section 4.2.3.9"].map(str::to_owned).to_vec();
    finding
}
