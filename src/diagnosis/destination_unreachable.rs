//! SYN006: SYNs answered by ICMP errors.
//!
//! RFC 792 (destination unreachable, time exceeded), RFC 4443 section 3.

use super::finding::plural;
use super::group::{Group, Show, groups};
use super::scan::is_scan;
use super::{Case, Confidence, Finding, Rule, Severity, Verdict, number};
use crate::connection::Opened;

pub(super) static RULE: Rule = Rule {
    code: "SYN006",
    name: "destination-unreachable",
    explanation: include_str!("destination_unreachable.md"),
    judge,
};

fn judge(case: &Case<'_>) -> Verdict {
    let unreachable = groups(case, |connection| (connection.opened() == Opened::Unreachable).then_some(()));
    let faults = unreachable.iter().filter(|group| !is_scan(case, group.point, group.client));
    Verdict { found: faults.map(|group| finding(case, group)).collect(), not_judged: Vec::new() }
}

fn finding(case: &Case<'_>, group: &Group<'_, ()>) -> Finding {
    let total = group.total();
    let attempts = group.service(case).map_or(total, |service| service.attempts);
    let mut finding = group.finding(&RULE, Severity::Critical, Confidence::High);
    finding.title =
        format!("{} of {} to {} answered by ICMP errors", plural(total, "attempt"), group.client, group.server);
    finding.summary = "A router, a firewall or the host itself said that the destination cannot be reached; the ICMP message names who, in its source address.".to_owned();
    finding.metric("attempts", number(attempts));
    finding.metric("attempts_failed", number(total));
    finding.metric("syns_unanswered", 0.0);
    finding.exhibit_all(group.exhibits(case, Show::First, |connection, ()| {
        format!("SYN from port {} answered by an ICMP error", connection.client().port)
    }));
    finding.rule_out("silent drops (SYN001 to SYN004)", "these SYNs drew an ICMP error".to_owned());
    finding.display_filter = format!("icmp || icmpv6 || ({})", finding.display_filter);
    finding.advise("Look at the sender and code of the ICMP messages: host unreachable means no ARP answer or no route, administratively prohibited means a firewall's REJECT.");
    finding.references = ["RFC 792", "RFC 4443 section 3", "RFC 1122 section 4.2.3.9"].map(str::to_owned).to_vec();
    finding
}
