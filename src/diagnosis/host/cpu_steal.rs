//! HOST047: the hypervisor gives the host less time than it asks for.
//!
//! `st` of top(1), `%steal` of mpstat(1): time in which the virtual CPU was ready and did not run.

use super::super::claims::{Claims, each_host};
use super::super::finding::significant;
use super::super::host_limits::line;
use super::super::{Case, Confidence, Finding, Rule, Severity, Verdict, number};
use crate::language::{Text, pages, say};
use crate::snapshot::Sample;

pub(in crate::diagnosis) static RULE: Rule =
    Rule { code: "HOST047", name: "cpu-steal", explanation: pages!("cpu_steal"), judge };
fn judge(case: &Case<'_>) -> Verdict {
    each_host(case, &RULE, host)
}

const MUCH: f64 = 10.0;

fn host(host: &Claims<'_>) -> Option<Finding> {
    let samples = host.host.host.facts.samples.iter();
    let stolen: Vec<&Sample> =
        samples.filter(|sample| &*sample.subject == "all" && matches!(&*sample.name, "st" | "%steal")).collect();
    let mean = stolen.iter().map(|sample| sample.value).sum::<f64>() / number(stolen.len() as u64);
    let worst = stolen.iter().max_by(|one, other| one.value.total_cmp(&other.value)).filter(|_| mean > MUCH)?;
    let title = say!("{mean} % of CPU time is stolen by the hypervisor", mean = format!("{mean:.0}"));
    let summary = say!(
        "The virtual CPUs were ready to run and did not, up to {value} % of the time: the host stands still for moments that it cannot see, which looks like a slow network or a stalled host (STALL001).",
        value = format!("{:.0}", worst.value)
    );
    let mut finding = host.finding(Severity::Warning, Confidence::High, title, summary);
    finding.metric("steal_percent", significant(mean));
    finding.exhibit_all(
        stolen
            .iter()
            .map(|sample| line(sample.source, Text::value(format!("{} {:.1}", sample.name, sample.value))))
            .collect::<Vec<_>>(),
    );
    finding.advise(say!(
        "Ask who runs the hypervisor: the machine is overbooked, or the guest has used up its CPU credits."
    ));
    finding.refer(&["top(1)", "mpstat(1)"]);
    Some(finding)
}
