//! SYN004: SYNs lost without a pattern, answered when retried.
//!
//! The test is that of `weigh::loss`; it says a rate with its confidence interval.

use super::finding::plural;
use super::weigh::loss::Loss;
use super::weigh::{Cause, Service};
use super::{Case, Confidence, Finding, Rule, Severity, Verdict};

pub(super) static RULE: Rule =
    Rule { code: "SYN004", name: "syn-lost", explanation: include_str!("syn_lost.md"), judge };

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
    finding.title = format!(
        "{} of the SYNs of {} to {} are lost without a pattern: {} unanswered",
        percent(loss.rate),
        service.client,
        service.server,
        plural(lost, "SYN")
    );
    finding.summary = format!(
        "{} of {} SYNs drew no answer ({}, 95 % interval {} to {}), spread over time like independent losses; repeated ones were answered like any other.{}",
        lost,
        service.syns,
        percent(loss.rate),
        percent(loss.low),
        percent(loss.high),
        service.slow_sentence(),
    );
    service.common_metrics(&mut finding, failed, lost);
    finding.metric("loss_rate", super::finding::significant(loss.rate));
    finding.metric("loss_rate_low", super::finding::significant(loss.low));
    finding.metric("loss_rate_high", super::finding::significant(loss.high));
    finding.metric("runs_z", super::finding::significant(loss.runs));
    finding.exhibit_all(service.exhibits(case, |cause| cause == Cause::Loss, "repeated like any lost packet"));
    service.place(case, &mut finding);
    service.rule_out_paws(&mut finding);
    finding.rule_out("a filter (SYN003)", "retransmissions with the same ports were answered".to_owned());
    finding.rule_out(
        "a full listen queue (SYN002)",
        "no handshake that was answered had to be repeated beyond the rate of loss".to_owned(),
    );
    finding.advise("Look for loss between the client and this capture point, or between it and the host: `ip -s link`, `ethtool -S`, switch counters, and a second capture further on.");
    finding.references =
        vec!["RFC 6298 section 5.7: a lost SYN costs the initial retransmission timeout, 1 s".to_owned()];
    finding
}
