//! HOST037: the connection tracker dropped packets because its table was full.
//!
//! Linux net/netfilter/nf_conntrack_core.c, `__nf_conntrack_alloc()`: the message, and `drop` of `conntrack -S`.

use super::super::claims::{Claims, each_host};
use super::super::host_limits::line;
use super::super::{Case, Confidence, Finding, Rule, Severity, Verdict, number};
use crate::language::{Text, pages, say};
use crate::snapshot::{LogKind, LogTime};
use crate::time::Span;

pub(in crate::diagnosis) static RULE: Rule =
    Rule { code: "HOST037", name: "conntrack-full", explanation: pages!("conntrack_full"), judge };
fn judge(case: &Case<'_>) -> Verdict {
    each_host(case, &RULE, host)
}

/// An older message tells of the past.
const RECENT: Span = Span::from_secs(86_400);

fn host(host: &Claims<'_>) -> Option<Finding> {
    let logged = host.logged(LogKind::ConntrackFull);
    let samples = host
        .host
        .host
        .facts
        .samples
        .iter()
        .filter(|sample| matches!(sample.format, "conntrack" | "proc_net") && &*sample.name == "drop");
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // Counts, printed as integers.
    let drops = host
        .totals("drop", samples.map(|sample| (sample.source, sample.value as u64)))
        .filter(|drops| drops.amount > 0);
    let mut exhibits: Vec<_> = drops.iter().flat_map(|drops| drops.exhibits()).collect();
    let mut severity = drops.as_ref().map(|drops| if drops.is_growing() { Severity::Critical } else { Severity::Info });
    for message in &logged {
        let rank = match age(host, message.time) {
            Some(age) if age > RECENT => Severity::Info,
            Some(_) => Severity::Critical,
            None => Severity::Warning,
        };
        severity = severity.max(Some(rank));
        exhibits.push(line(message.source, Text::value(message.text.to_string())));
    }
    let severity = severity?;
    let messages = logged.iter().map(|message| message.count).fold(0, u64::saturating_add);
    let title = match &drops {
        Some(drops) => say!("the connection tracker dropped packets: {drops}", drops),
        None => say!("the connection tracker's table was full: packets dropped"),
    };
    let summary = say!(
        "While the table is full, the first packet of every new connection is dropped, through this host and to it; the log has {messages} messages of it, and prints only some. insert_failed alone would be another thing: two packets of one flow at once, as DNS has it.",
        messages
    );
    let mut finding = host.finding(severity, Confidence::High, title, summary);
    finding.metric("messages", number(messages));
    finding.metric("drops", number(drops.as_ref().map_or(0, |drops| drops.amount)));
    finding.exhibit_all(exhibits);
    finding.advise(say!("Raise net.netfilter.nf_conntrack_max and the hash size; shorten the timeouts; see who fills it: conntrack -L by source address."));
    finding.refer(&["Linux net/netfilter/nf_conntrack_core.c: __nf_conntrack_alloc()"]);
    Some(finding)
}

/// How old a message is, by the host's own clock or uptime.
fn age(host: &Claims<'_>, time: LogTime) -> Option<Span> {
    match time {
        LogTime::SinceBoot(at) => Some(Span(host.host.host.uptime()?.0.saturating_sub(at.0))),
        LogTime::At(at) => Some(host.host.host.moment()?.since(at)),
        LogTime::Local(_) | LogTime::Yearless(..) | LogTime::Unknown => None,
    }
}
