//! What every format says about a report in the same words: how bad, how sure, whom, since when, what was looked at.

use crate::diagnosis::{Confidence, Exhibit, Finding, Severity, Subject};
use crate::language::{Joint, Language, Text, say, words};
use crate::time::Time;

use super::model::Report;
use super::text::{counted, duration, moment};
use super::zone;

/// `2 findings: 1 critical, 1 warning`.
pub(super) fn severities(report: &Report) -> String {
    let of = |severity| report.findings.iter().filter(|finding| finding.severity == severity).count();
    let parts =
        [Severity::Critical, Severity::Warning, Severity::Info].into_iter().filter(|severity| of(*severity) > 0).map(
            |severity| say!("{number} {severity}", number = of(severity), severity = Text::of(severity_word(severity))),
        );
    let findings = counted(as_count(report.findings.len()), "finding", report.language);
    let parts = Text::joined(Joint::Commas, parts);
    said(report.language, say!("{findings}: {parts}", findings, parts))
}

/// What was read, in one sentence.
pub(super) fn looked_at(report: &Report) -> String {
    let language = report.language;
    let of = |kind| as_count(report.inputs.iter().filter(|input| input.kind == kind).count());
    let totals = &report.totals;
    let mut text = say!(
        "Looked at {captures} and {snapshots}: {packets}, {segments}, {connections}, {attempts} to open.",
        captures = counted(of("capture"), "capture", language),
        snapshots = counted(of("snapshot"), "snapshot", language),
        packets = counted(totals.packets, "packet", language),
        segments = counted(totals.segments, "TCP segment", language),
        connections = counted(totals.connections, "connection", language),
        attempts = counted(totals.attempts, "attempt", language),
    );
    if let Some((first, last)) = covered(report) {
        let length = duration(last.since(first));
        text.add(say!(
            "Captured from {first} to {last} ({length}).",
            first = moment(first),
            last = moment(last),
            length
        ));
    }
    said(language, text)
}

/// The words of a text in a language.
pub(super) fn said(language: Language, text: Text) -> String {
    text.spoken(language).to_string()
}

/// The first and the last packet of all points.
pub(super) fn covered(report: &Report) -> Option<(Time, Time)> {
    let first = report.points.iter().filter_map(|point| point.first_packet).min()?;
    let last = report.points.iter().filter_map(|point| point.last_packet).max()?;
    Some((first, last))
}

/// When a finding was seen, against the capture's own beginning and end: what began with it may be older.
pub(super) fn since(report: &Report, finding: &Finding) -> String {
    let language = report.language;
    let (first, last) = match (finding.first_time, finding.last_time) {
        (Some(first), Some(last)) => (first, last),
        (Some(only), None) | (None, Some(only)) => (only, only),
        (None, None) => return language.say("Not told by what was recorded").to_owned(),
    };
    let point = report.points.iter().find(|point| Some(&point.id) == finding.point.as_ref());
    let begin = point.and_then(|point| point.first_packet).map(|begin| duration(first.since(begin)));
    let begun = match begin {
        Some(into) => say!("{first} ({into} into the capture)", first = moment(first), into),
        None => Text::value(moment(first)),
    };
    if last <= first {
        return said(language, begun);
    }
    let (at, later) = (moment(last), duration(last.since(first)));
    let left = point.and_then(|point| point.last_packet).map(|end| duration(end.since(last)));
    let whole = match left {
        Some(left) => {
            say!("{begun}, last seen {at}, {later} later ({left} before the capture ended)", begun, at, later, left)
        }
        None => say!("{begun}, last seen {at}, {later} later", begun, at, later),
    };
    said(language, whole)
}

/// Which zone the times are in.
pub(super) fn times(language: Language) -> &'static str {
    if zone::is_utc() {
        language.say("All times are UTC.")
    } else {
        language.say("Times name their offset from UTC; report.json and the CSV tables have UTC.")
    }
}

/// The severity in a word.
pub(super) const fn severity_word(severity: Severity) -> &'static str {
    match severity {
        Severity::Critical => words!("critical"),
        Severity::Warning => words!("warning"),
        Severity::Info => words!("info"),
    }
}

/// What the severity means for people.
pub(super) const fn severity_meaning(severity: Severity) -> &'static str {
    match severity {
        Severity::Critical => words!("connections fail or are lost"),
        Severity::Warning => words!("something is wrong or soon will be; users may not feel it yet"),
        Severity::Info => words!("good to know; nothing is broken by it"),
    }
}

/// The confidence in a word.
pub(super) const fn confidence_word(confidence: Confidence) -> &'static str {
    match confidence {
        Confidence::High => words!("high"),
        Confidence::Medium => words!("medium"),
        Confidence::Low => words!("low"),
    }
}

/// What the confidence means.
pub(super) const fn confidence_meaning(confidence: Confidence) -> &'static str {
    match confidence {
        Confidence::High => words!("nothing contradicts, and the alternatives are ruled out"),
        Confidence::Medium => words!("the likely cause; something that would settle it is missing"),
        Confidence::Low => words!("consistent with what is seen; other causes are, too"),
    }
}

/// A length as a count.
pub(super) fn as_count(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

/// Whom a finding is about, in words: `203.0.113.9 → 192.0.2.80:443`.
pub(super) fn subject(subject: &Subject, language: Language) -> String {
    let server = match (subject.server_ip, subject.server_port) {
        (Some(ip), Some(port)) => Some(std::net::SocketAddr::new(ip, port).to_string()),
        (Some(ip), None) => Some(ip.to_string()),
        (None, Some(port)) => Some(said(language, say!("port {port}", port))),
        (None, None) => None,
    };
    let ends: Vec<String> = subject.client_ip.map(|ip| ip.to_string()).into_iter().chain(server).collect();
    let ends = ends.join(" → ");
    match (ends.is_empty(), &subject.host) {
        (true, None) => language.say("the whole capture").to_owned(),
        (true, Some(host)) => said(language, say!("host {host}", host)),
        (false, None) => ends,
        (false, Some(host)) => said(language, say!("{ends} (host {host})", ends, host)),
    }
}

/// `frame 12` or `line 3`, as Wireshark and editors count.
pub(super) fn place(exhibit: &Exhibit, language: Language) -> String {
    match (exhibit.frame, exhibit.line) {
        (Some(frame), _) => said(language, say!("frame {frame}", frame)),
        (None, Some(line)) => said(language, say!("line {line}", line)),
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
        assert_eq!(subject(&whom, Language::En), "[2001:db8::1]:80");
        whom.client_ip = "203.0.113.9".parse().ok();
        assert_eq!(subject(&whom, Language::En), "203.0.113.9 → [2001:db8::1]:80");
        assert_eq!(
            subject(&Subject { host: Some("web1".to_owned()), ..Subject::default() }, Language::En),
            "host web1"
        );
        assert_eq!(subject(&Subject::default(), Language::En), "the whole capture");
    }
}
