//! What the rules about the capture's own limits share: findings about one input, and what cannot be told because of it.

use super::{Case, Cell, Confidence, Exhibit, Finding, Rule, Severity, Subject, Table};
use crate::connection::Connection;
use crate::evidence::groups::Place;
use crate::evidence::sight::Examples;
use crate::ingest::Capture;
use crate::language::{Text, say, words};
use crate::time::Time;

/// A capture among the inputs.
#[derive(Clone, Copy)]
pub(super) struct One<'a> {
    /// The number of the input, from 0.
    pub input: usize,
    pub name: &'a str,
    pub capture: &'a Capture,
}

/// All captures among the inputs.
pub(super) fn captures<'a>(case: &Case<'a>) -> impl Iterator<Item = One<'a>> {
    let evidence = case.evidence;
    evidence
        .inputs
        .iter()
        .enumerate()
        .filter_map(|(input, read)| Some(One { input, name: &read.name, capture: evidence.capture(input)? }))
}

impl One<'_> {
    /// A finding about this input, to be filled in.
    pub fn finding(self, rule: &Rule, severity: Severity, confidence: Confidence) -> Finding {
        about_packets(rule.finding(severity, confidence, Subject::default(), Some(self.capture.point)))
    }

    /// A frame of this input as an exhibit; it is counted from 0.
    pub fn exhibit(self, frame: Option<u64>, time: Option<Time>, text: Text) -> Exhibit {
        Exhibit { input: format!("i{}", self.input + 1), frame: frame.map(|frame| frame + 1), line: None, time, text }
    }
}

/// A finding about a whole capture point, to be filled in.
pub(super) fn at_point(rule: &Rule, severity: Severity, confidence: Confidence, point: u16) -> Finding {
    about_packets(rule.finding(severity, confidence, Subject::default(), Some(point)))
}

/// Nobody is its subject: the filter shows all segments.
fn about_packets(mut finding: Finding) -> Finding {
    finding.display_filter = "tcp".to_owned();
    finding
}

/// Says what other rules cannot tell because of it.
pub(super) fn cannot_be_told(finding: &mut Finding, rules: &[(Text, Text)]) {
    finding.tables.push(Table {
        title: say!("What cannot be told because of it"),
        columns: words!("rules", "what").map(Text::of).to_vec(),
        rows: rules.iter().map(|(rules, what)| vec![Cell::Text(rules.clone()), Cell::Text(what.clone())]).collect(),
    });
}

/// Connections as exhibits: their first packets, or the frames that were noted.
pub(super) fn exhibits(
    case: &Case<'_>,
    point: u16,
    examples: &Examples,
    text: impl Fn(Connection<'_>) -> Text,
) -> Vec<Exhibit> {
    let one = |(frame, place): &(u64, Place)| {
        let connection = case.connection(*place)?;
        let (first, at) = connection.first();
        let at = if first == *frame { at } else { connection.last().1 };
        Some(case.exhibit(point, *frame, at, text(connection)))
    };
    examples.first.iter().filter_map(one).collect()
}

/// `a to b:80`.
pub(super) fn ends(connection: Connection<'_>) -> Text {
    say!("{client} to {server}", client = connection.client(), server = connection.server())
}

/// A share as people say it.
#[allow(clippy::cast_precision_loss)]
pub(super) fn percent(part: u64, whole: u64) -> Text {
    let share = if whole == 0 { 0.0 } else { part as f64 * 100.0 / whole as f64 };
    if part > 0 && share < 0.1 { say!("less than 0.1 %") } else { Text::value(format!("{share:.1} %")) }
}

/// What to record instead, for most of these rules.
pub(super) const RECORD: &str = "tcpdump -i IFACE -nn -s 160 -B 65536 -w again.pcap 'tcp and host ADDRESS'";
