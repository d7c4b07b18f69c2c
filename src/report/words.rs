//! What every format says about a report in the same words: how bad, how sure, whom, since when, what was looked at.

use crate::diagnosis::{Confidence, Exhibit, Finding, Severity, Subject};
use crate::time::Time;

use super::model::Report;
use super::text::{counted, duration, moment};
use super::zone;

/// `2 findings: 1 critical, 1 warning`.
pub(super) fn severities(report: &Report) -> String {
    let of = |severity| report.findings.iter().filter(|finding| finding.severity == severity).count();
    let parts: Vec<String> = [Severity::Critical, Severity::Warning, Severity::Info]
        .into_iter()
        .filter(|severity| of(*severity) > 0)
        .map(|severity| format!("{} {}", of(severity), severity_word(severity)))
        .collect();
    format!("{}: {}", counted(as_count(report.findings.len()), "finding"), parts.join(", "))
}

/// What was read, in one sentence.
pub(super) fn looked_at(report: &Report) -> String {
    let of = |kind| as_count(report.inputs.iter().filter(|input| input.kind == kind).count());
    let totals = &report.totals;
    let mut text =
        format!("Looked at {} and {}", counted(of("capture"), "capture"), counted(of("snapshot"), "snapshot"));
    text.push_str(&format!(
        ": {}, {}, {}, {} to open.",
        counted(totals.packets, "packet"),
        counted(totals.segments, "TCP segment"),
        counted(totals.connections, "connection"),
        counted(totals.attempts, "attempt")
    ));
    if let Some((first, last)) = covered(report) {
        text.push_str(&format!(
            " Captured from {} to {} ({}).",
            moment(first),
            moment(last),
            duration(last.since(first))
        ));
    }
    text
}

/// The first and the last packet of all points.
pub(super) fn covered(report: &Report) -> Option<(Time, Time)> {
    let first = report.points.iter().filter_map(|point| point.first_packet).min()?;
    let last = report.points.iter().filter_map(|point| point.last_packet).max()?;
    Some((first, last))
}

/// When a finding was seen, against the capture's own beginning and end: what began with it may be older.
pub(super) fn since(report: &Report, finding: &Finding) -> String {
    let (first, last) = match (finding.first_time, finding.last_time) {
        (Some(first), Some(last)) => (first, last),
        (Some(only), None) | (None, Some(only)) => (only, only),
        (None, None) => return "Not told by what was recorded".to_owned(),
    };
    let point = report.points.iter().find(|point| Some(&point.id) == finding.point.as_ref());
    let mut text = moment(first);
    if let Some(begin) = point.and_then(|point| point.first_packet) {
        text.push_str(&format!(" ({} into the capture)", duration(first.since(begin))));
    }
    if last > first {
        text.push_str(&format!(", last seen {}, {} later", moment(last), duration(last.since(first))));
        if let Some(end) = point.and_then(|point| point.last_packet) {
            text.push_str(&format!(" ({} before the capture ended)", duration(end.since(last))));
        }
    }
    text
}

/// Which zone the times are in.
pub(super) fn times() -> &'static str {
    if zone::is_utc() {
        "All times are UTC."
    } else {
        "Times name their offset from UTC; report.json and the CSV tables have UTC."
    }
}

/// The severity in a word.
pub(super) const fn severity_word(severity: Severity) -> &'static str {
    match severity {
        Severity::Critical => "critical",
        Severity::Warning => "warning",
        Severity::Info => "info",
    }
}

/// What the severity means for people.
pub(super) const fn severity_meaning(severity: Severity) -> &'static str {
    match severity {
        Severity::Critical => "connections fail or are lost",
        Severity::Warning => "something is wrong or soon will be; users may not feel it yet",
        Severity::Info => "good to know; nothing is broken by it",
    }
}

/// The confidence in a word.
pub(super) const fn confidence_word(confidence: Confidence) -> &'static str {
    match confidence {
        Confidence::High => "high",
        Confidence::Medium => "medium",
        Confidence::Low => "low",
    }
}

/// What the confidence means.
pub(super) const fn confidence_meaning(confidence: Confidence) -> &'static str {
    match confidence {
        Confidence::High => "nothing contradicts, and the alternatives are ruled out",
        Confidence::Medium => "the likely cause; something that would settle it is missing",
        Confidence::Low => "consistent with what is seen; other causes are, too",
    }
}

/// A length as a count.
pub(super) fn as_count(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

/// Whom a finding is about, in words: `203.0.113.9 → 192.0.2.80:443`.
pub(super) fn subject(subject: &Subject) -> String {
    let server = match (subject.server_ip, subject.server_port) {
        (Some(ip), Some(port)) => Some(std::net::SocketAddr::new(ip, port).to_string()),
        (Some(ip), None) => Some(ip.to_string()),
        (None, Some(port)) => Some(format!("port {port}")),
        (None, None) => None,
    };
    let ends: Vec<String> = subject.client_ip.map(|ip| ip.to_string()).into_iter().chain(server).collect();
    match (ends.is_empty(), &subject.host) {
        (true, None) => "the whole capture".to_owned(),
        (true, Some(host)) => format!("host {host}"),
        (false, None) => ends.join(" → "),
        (false, Some(host)) => format!("{} (host {host})", ends.join(" → ")),
    }
}

/// `frame 12` or `line 3`, as Wireshark and editors count.
pub(super) fn place(exhibit: &Exhibit) -> String {
    match (exhibit.frame, exhibit.line) {
        (Some(frame), _) => format!("frame {frame}"),
        (None, Some(line)) => format!("line {line}"),
        (None, None) => String::new(),
    }
}

/// The last part of a file's or a member's name.
pub(super) fn base_name(name: &str) -> &str {
    name.rsplit(['/', '!', '\\']).find(|part| !part.is_empty()).unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subject_names_both_ends() {
        let mut whom = Subject { server_ip: "2001:db8::1".parse().ok(), server_port: Some(80), ..Subject::default() };
        assert_eq!(subject(&whom), "[2001:db8::1]:80");
        whom.client_ip = "203.0.113.9".parse().ok();
        assert_eq!(subject(&whom), "203.0.113.9 → [2001:db8::1]:80");
        assert_eq!(subject(&Subject { host: Some("web1".to_owned()), ..Subject::default() }), "host web1");
        assert_eq!(subject(&Subject::default()), "the whole capture");
    }
}
