//! SYN004: SYNs lost without a pattern, answered when retried.
//!
//! The test is that of `weigh::loss`; it says a rate with its confidence interval.

use super::weigh::loss::Loss;
use super::weigh::{Cause, Service};
use super::{Case, Confidence, Finding, Rule, Severity, Verdict};
use crate::language::{pages, plural, say};

pub(super) static RULE: Rule = Rule { code: "SYN004", name: "syn-lost", explanation: pages!("syn_lost"), judge };

fn judge(case: &Case<'_>) -> Verdict {
    let found = case.services().iter().filter_map(|service| Some(finding(case, service, service.loss.as_ref()?)));
    Verdict { found: found.collect(), not_judged: Vec::new() }
}

fn finding(case: &Case<'_>, service: &Service, loss: &Loss) -> Finding {
    let lost = service.of(Cause::Loss).count() as u64;
    let failed = service.failed_attempts(|cause| cause == Cause::Loss);
    let severity = if failed > 0 || service.slow > 0 { Severity::Warning } else { Severity::Info };
    let mut finding = service.finding(&RULE, severity, if lost >= 10 { Confidence::High } else { Confidence::Medium });
    let percent = |share: f64| format!("{:.1} %", share * 100.0);
    finding.title = say!(
        "{rate} of the SYNs of {client} to {server} are lost without a pattern: {syns} unanswered",
        rate = percent(loss.rate),
        client = service.client,
        server = service.server,
        syns = plural(lost, "SYN")
    );
    finding.summary = say!(
        "{lost} of {syns} SYNs drew no answer ({rate}, 95 % interval {low} to {high}), spread over time like independent losses; repeated ones were answered like any other.",
        lost,
        syns = service.syns,
        rate = percent(loss.rate),
        low = percent(loss.low),
        high = percent(loss.high)
    )
    .then(service.slow_sentence());
    service.common_metrics(&mut finding, failed, lost);
    finding.metric("loss_rate", super::finding::significant(loss.rate));
    finding.metric("loss_rate_low", super::finding::significant(loss.low));
    finding.metric("loss_rate_high", super::finding::significant(loss.high));
    finding.metric("runs_z", super::finding::significant(loss.runs));
    finding.exhibit_all(service.exhibits(case, |cause| cause == Cause::Loss, say!("repeated like any lost packet")));
    service.place(case, &mut finding);
    service.rule_out_paws(&mut finding);
    finding.rule_out(say!("a filter (SYN003)"), say!("retransmissions with the same ports were answered"));
    finding.rule_out(
        say!("a full listen queue (SYN002)"),
        say!("no handshake that was answered had to be repeated beyond the rate of loss"),
    );
    finding.advise(say!("Look for loss between the client and this capture point, or between it and the host: `ip -s link`, `ethtool -S`, switch counters, and a second capture further on."));
    finding.references =
        vec!["RFC 6298 section 5.7: a lost SYN costs the initial retransmission timeout, 1 s".to_owned()];
    finding
}
