//! HOST042: one CPU does nearly all of the network's work.
//!
//! mpstat(1) %soft, /proc/softirqs NET_RX; Linux Documentation/networking/scaling.rst.

use super::super::claims::{Claims, each_host};
use super::super::finding::significant;
use super::super::host_limits::line;
use super::super::{Case, Confidence, Finding, Rule, Severity, Verdict};
use crate::language::{pages, say};
use crate::snapshot::Sample;

pub(in crate::diagnosis) static RULE: Rule =
    Rule { code: "HOST042", name: "softirq-on-one-cpu", explanation: pages!("softirq_on_one_cpu"), judge };
fn judge(case: &Case<'_>) -> Verdict {
    each_host(case, &RULE, host)
}

/// Percent of a CPU's time in soft interrupts.
const BUSY: f64 = 50.0;
/// Percent of all NET_RX on one CPU.
const SHARE: f64 = 80.0;
/// Fewer soft interrupts are no load.
const MANY: f64 = 1e7;

fn host(host: &Claims<'_>) -> Option<Finding> {
    let samples = &host.host.host.facts.samples;
    let is_cpu = |sample: &&Sample| sample.subject.bytes().all(|byte| byte.is_ascii_digit());
    let soft: Vec<&Sample> = samples.iter().filter(|sample| &*sample.name == "%soft").filter(is_cpu).collect();
    let cpus = soft.iter().map(|sample| &sample.subject).collect::<std::collections::BTreeSet<_>>().len();
    let busiest = soft
        .iter()
        .max_by(|one, other| one.value.total_cmp(&other.value))
        .filter(|sample| sample.value > BUSY && cpus > 1);
    if let Some(busiest) = busiest {
        let others = soft.iter().filter(|sample| {
            sample.source.input == busiest.source.input
                && sample.time_of_day == busiest.time_of_day
                && sample.subject != busiest.subject
        });
        let others: Vec<f64> = others.map(|sample| sample.value).collect();
        let most = others.iter().copied().fold(0.0, f64::max);
        if most * 2.0 < busiest.value {
            let title = say!(
                "CPU {subject} spends {value} % of its time on packets, the others at most {most} %",
                subject = busiest.subject,
                value = format!("{:.0}", busiest.value),
                most = format!("{most:.0}")
            );
            let mut finding = host.finding(Severity::Warning, Confidence::Medium, title, say!("One queue of the network card, or all queues on one CPU: that CPU limits what the host receives, while the others have time."));
            finding.metric("soft_percent", busiest.value);
            finding.exhibit_all(vec![line(
                busiest.source,
                say!(
                    "CPU {subject}: {value} %soft",
                    subject = busiest.subject,
                    value = format!("{:.1}", busiest.value)
                ),
            )]);
            return Some(advised(finding));
        }
    }
    let received: Vec<&Sample> =
        samples.iter().filter(|sample| sample.format == "interrupts" && &*sample.name == "NET_RX").collect();
    let last = received.last()?.source;
    let received: Vec<&Sample> = received.into_iter().filter(|sample| sample.source == last).collect();
    let all: f64 = received.iter().map(|sample| sample.value).sum();
    let most = received.iter().max_by(|one, other| one.value.total_cmp(&other.value))?;
    let share = most.value * 100.0 / all;
    if received.len() < 2 || all < MANY || share <= SHARE {
        return None;
    }
    let title = say!(
        "{subject} took {share} % of all received packets since boot",
        subject = most.subject,
        share = format!("{share:.0}")
    );
    let mut finding = host.finding(Severity::Info, Confidence::Medium, title, say!("One queue of the network card, or all queues on one CPU: that CPU limits what the host receives, while the others have time."));
    finding.metric("share_percent", significant(share));
    finding.exhibit_all(vec![line(
        last,
        say!(
            "NET_RX: {value} of {all} on {subject}",
            value = format!("{:.0}", most.value),
            all = format!("{all:.0}"),
            subject = most.subject
        ),
    )]);
    Some(advised(finding))
}

fn advised(mut finding: Finding) -> Finding {
    finding.advise(say!("Look at /proc/interrupts for the card's queues; spread them (irqbalance, ethtool -L), or use RPS where there is only one."));
    finding.refer(&["Linux Documentation/networking/scaling.rst"]);
    finding
}
