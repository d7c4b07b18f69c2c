//! When each finding was seen, against the time that its capture point covers.

use super::finding::anchor;
use crate::diagnosis::Finding;
use crate::report::model::Report;
use crate::report::text::{duration, utc};
use crate::report::words::as_count;
use crate::time::Time;

/// Bars on one common axis of time.
pub(super) struct Timeline<'a> {
    pub begin: String,
    pub end: String,
    pub length: String,
    pub rows: Vec<Bar<'a>>,
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
    /// Nothing where no finding has a time.
    pub fn new(report: &'a Report) -> Option<Self> {
        let moments = report.points.iter().flat_map(|point| [point.first_packet, point.last_packet]);
        let findings = report.findings.iter().flat_map(|finding| [finding.first_time, finding.last_time]);
        let all: Vec<Time> = moments.chain(findings).flatten().collect();
        let axis = Axis { begin: all.iter().copied().min()?, end: all.iter().copied().max()? };
        let rows: Vec<_> = report.findings.iter().filter_map(|finding| Bar::new(report, finding, axis)).collect();
        let timeless = as_count(report.findings.len()).saturating_sub(as_count(rows.len()));
        let length = duration(axis.end.since(axis.begin));
        (!rows.is_empty()).then(|| Self { begin: utc(axis.begin), end: utc(axis.end), length, rows, timeless })
    }
}

#[derive(Clone, Copy)]
struct Axis {
    begin: Time,
    end: Time,
}

impl Axis {
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
        let words = format!("seen from {} to {}", utc(first), utc(last));
        Some(Self { finding, anchor: anchor(&finding.id), x, width, covered_x, covered_width, words })
    }
}
