//! When each finding was seen, against the time that its capture point covers, and when hosts were asked.

use super::finding::anchor;
use crate::diagnosis::Finding;
use crate::language::{Joint, Text, say};
use crate::report::model::Report;
use crate::report::text::{counted, duration, moment};
use crate::report::words::{as_count, said};
use crate::report::zone;
use crate::time::{Span, Time};

/// Bars on one common axis of time.
pub(super) struct Timeline<'a> {
    pub begin: String,
    pub end: String,
    pub length: String,
    /// Moments of hosts.
    pub hosts: Vec<Moments<'a>>,
    pub rows: Vec<Bar<'a>>,
    /// Findings that the page has no room for.
    pub untold: u64,
    /// Findings that no time belongs to.
    pub timeless: u64,
}

/// One finding; places and widths are in percent of the axis.
pub(super) struct Bar<'a> {
    pub finding: &'a Finding,
    pub anchor: String,
    pub x: String,
    pub width: String,
    pub covered_x: String,
    pub covered_width: String,
    pub words: String,
}

/// The least width that is still seen.
const LEAST_PERCENT: f64 = 0.6;

impl<'a> Timeline<'a> {
    /// Of the first `told` findings; nothing where neither a finding nor a host has a time.
    pub fn new(report: &'a Report, told: usize) -> Option<Self> {
        let moments = report.points.iter().flat_map(|point| [point.first_packet, point.last_packet]);
        let findings = report.findings.iter().flat_map(|finding| [finding.first_time, finding.last_time]);
        let asked: Vec<(&serde_json::Value, Vec<Time>)> =
            report.hosts.iter().map(|host| (host, asked(host))).filter(|(_, times)| !times.is_empty()).collect();
        let axis = Axis::over(moments.chain(findings).flatten().collect(), asked.iter().flat_map(|(_, times)| times))?;
        let rows: Vec<_> =
            report.findings.iter().take(told).filter_map(|finding| Bar::new(report, finding, axis)).collect();
        let untold = as_count(report.findings.len().saturating_sub(told));
        let timeless = as_count(report.findings.len()).saturating_sub(as_count(rows.len())).saturating_sub(untold);
        let hosts: Vec<_> = asked.into_iter().map(|(host, times)| Moments::new(report, host, &times, axis)).collect();
        let length = duration(axis.end.since(axis.begin));
        let drawn = !rows.is_empty() || hosts.iter().any(|host| !host.places.is_empty());
        let (begin, end) = (moment(axis.begin), moment(axis.end));
        drawn.then_some(Self { begin, end, length, hosts, rows, untold, timeless })
    }
}

#[derive(Clone, Copy)]
struct Axis {
    begin: Time,
    end: Time,
}

/// A host, and when it was asked; places are in percent of the axis.
pub(super) struct Moments<'a> {
    pub name: &'a str,
    /// Its part of the page, where it has one.
    pub anchor: Option<String>,
    pub label: String,
    pub places: Vec<String>,
    pub words: String,
}

/// Moments that are named one by one.
const NAMED: usize = 12;

impl<'a> Moments<'a> {
    fn new(report: &Report, host: &'a serde_json::Value, times: &[Time], axis: Axis) -> Self {
        let inside = |time: &&Time| (axis.begin..=axis.end).contains(*time);
        let places = times.iter().filter(inside).map(|time| format!("{:.2}%", axis.percent(*time)));
        let language = report.language;
        let named = times.iter().take(NAMED).map(|time| moment(*time));
        let more = (times.len() > NAMED).then(|| "…".to_owned());
        let named = Text::joined(Joint::Commas, named.chain(more).map(Text::value));
        let mut words = say!("asked at {named}", named);
        if !times.iter().all(|time| inside(&time)) {
            words = Text::joined(Joint::Semicolons, [words, say!("what lies far from the rest is not drawn")]);
        }
        let place = report.hosts.iter().position(|other| std::ptr::eq(other, host));
        Self {
            name: host.get("name").and_then(serde_json::Value::as_str).unwrap_or_else(|| language.say("host")),
            anchor: place.and_then(|place| super::hosts::anchor(report, place)),
            label: counted(as_count(times.len()), "snapshot moment", language),
            places: places.collect(),
            words: said(language, words),
        }
    }
}

/// The moments of a host, in order.
fn asked(host: &serde_json::Value) -> Vec<Time> {
    let moments = host.get("moments").and_then(serde_json::Value::as_array).into_iter().flatten();
    let mut times: Vec<Time> = moments.filter_map(|moment| zone::parsed(moment.get("time")?.as_str()?)).collect();
    times.sort_unstable();
    times.dedup();
    times
}

impl Axis {
    /// Over all that was seen, and over the moments that are not so far away that nothing else could be told apart.
    fn over<'a>(seen: Vec<Time>, asked: impl Iterator<Item = &'a Time>) -> Option<Self> {
        const HOUR: i64 = 3_600_000_000_000;
        let ends = |times: &[Time]| times.iter().copied().min().zip(times.iter().copied().max());
        let asked: Vec<Time> = asked.copied().collect();
        let Some((begin, end)) = ends(&seen) else { return ends(&asked).map(|(begin, end)| Self { begin, end }) };
        let room = Span(end.since(begin).0.saturating_mul(2).clamp(HOUR / 60, HOUR));
        let near = asked.into_iter().filter(|time| (begin.minus(room)..=end.plus(room)).contains(time));
        let (begin, end) = ends(&near.chain([begin, end]).collect::<Vec<_>>())?;
        Some(Self { begin, end })
    }

    fn percent(self, time: Time) -> f64 {
        let length = self.end.since(self.begin).secs();
        if length <= 0.0 { 0.0 } else { (time.since(self.begin).secs() / length * 100.0).clamp(0.0, 100.0) }
    }

    /// Where a bar begins and how wide it is; never too narrow to see, never outside.
    fn bar(self, first: Time, last: Time) -> (String, String) {
        let width = (self.percent(last) - self.percent(first)).max(LEAST_PERCENT);
        let x = self.percent(first).min(100.0 - width).max(0.0);
        (format!("{x:.2}%"), format!("{width:.2}%"))
    }
}

impl<'a> Bar<'a> {
    fn new(report: &Report, finding: &'a Finding, axis: Axis) -> Option<Self> {
        let first = finding.first_time.or(finding.last_time)?;
        let last = finding.last_time.unwrap_or(first).max(first);
        let point = report.points.iter().find(|point| Some(&point.id) == finding.point.as_ref());
        let covered = point.and_then(|point| point.first_packet.zip(point.last_packet));
        let (covered_x, covered_width) = covered.map_or((String::new(), String::new()), |(a, b)| axis.bar(a, b));
        let (x, width) = axis.bar(first, last);
        let words =
            said(report.language, say!("seen from {first} to {last}", first = moment(first), last = moment(last)));
        Some(Self { finding, anchor: anchor(&finding.id), x, width, covered_x, covered_width, words })
    }
}
