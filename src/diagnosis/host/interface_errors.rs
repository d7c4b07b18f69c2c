//! HOST049: an interface counts many errors.
//!
//! ip -s link; 1 % of the packets as the node-exporter mixin has it.

use super::super::claims::{Claims, ask_again, each_host, percent};
use super::super::finding::significant;
use super::super::{Case, Confidence, Finding, Rule, Severity, Verdict, number};
use crate::language::{pages, say};

pub(in crate::diagnosis) static RULE: Rule =
    Rule { code: "HOST049", name: "interface-errors", explanation: pages!("interface_errors"), judge };
fn judge(case: &Case<'_>) -> Verdict {
    each_host(case, &RULE, host)
}

const SHARE: f64 = 1.0;
const FEW: u64 = 10;

fn host(host: &Claims<'_>) -> Option<Finding> {
    let samples = &host.host.host.facts.samples;
    let of = |interface: &str, name: &str| {
        let told = samples
            .iter()
            .filter(|sample| sample.format == "ip_s_link" && &*sample.subject == interface && &*sample.name == name);
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // Counts, printed as integers.
        host.totals("errors", told.map(|sample| (sample.source, sample.value as u64)))
    };
    let interfaces: std::collections::BTreeSet<&str> =
        samples.iter().filter(|sample| sample.format == "ip_s_link").map(|sample| &*sample.subject).collect();
    let worst = interfaces.into_iter().flat_map(|interface| ["rx", "tx"].map(|way| (interface, way)));
    let worst = worst.filter_map(|(interface, way)| {
        let errors = of(interface, &format!("{way} errors"))?;
        let share = percent(errors.amount, of(interface, &format!("{way} packets"))?.amount)?;
        (share > SHARE && errors.amount >= FEW).then_some((interface, way, errors, share))
    });
    let (interface, way, errors, share) = worst.max_by(|one, other| one.3.total_cmp(&other.3))?;
    let direction = if way == "rx" { say!("receiving") } else { say!("sending") };
    let title = say!(
        "{interface} fails {direction} {share} % of its packets: {errors}",
        interface,
        direction,
        share = format!("{share:.1}"),
        errors
    );
    let summary = say!(
        "Packets with errors are dropped by the interface: TCP sees loss, and repeats. Cables, optics, duplex and firmware do it; where missed grows, the ring was full."
    );
    let mut finding = host.finding(errors.by_share(Severity::Warning), Confidence::High, title, summary);
    finding.metric("errors", number(errors.amount));
    finding.metric("share_percent", significant(share));
    finding.exhibit_all(errors.exhibits());
    finding.advise(say!("ethtool -S {interface} names the kind of error; ethtool {interface} shows speed and duplex; ethtool -g the ring.", interface));
    ask_again(&mut finding, &errors);
    finding.refer(&["ip-link(8)", "ethtool(8)"]);
    Some(finding)
}
