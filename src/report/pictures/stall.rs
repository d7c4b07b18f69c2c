//! The pictures of STALL001: echo times by both axes, stairs and walls.

use super::super::chart::{Chart, EchoAxis, EchoMark, EchoTimes, Picture};
use super::super::model::ChartEntry;
use super::{entry, point_of};
use crate::diagnosis::host_stall::LogStalls;
use crate::diagnosis::{Case, Finding};
use crate::language::{Said, Text, say};
use crate::time::Time;

pub(super) fn of_stall001(case: &Case<'_>, finding: &Finding) -> Option<Vec<(ChartEntry, Chart)>> {
    let (marks, releases, one, other) = match point_of(finding) {
        Some(point) => {
            let place = (point, finding.subject.client_ip?, finding.subject.server_ip?);
            let pair = case.stalls().iter().find(|pair| (pair.point, pair.client, pair.server) == place)?;
            (pair.marks(case), &pair.holds, pair.client.said(), pair.server.said())
        }
        None => {
            let first = finding.exhibits.first()?;
            let line = |log: &&LogStalls| log.proves(&first.input, first.line);
            let log = case.ping_logs().iter().find(line)?;
            (log.marks(), &log.holds, sender(case, finding, log), log.target.clone())
        }
    };
    let releases: Vec<Time> = releases.iter().map(|hold| hold.release.0).collect();
    let echoes: Vec<EchoMark> = marks.into_iter().map(|(sent, rtt)| EchoMark { sent, rtt }).collect();
    let axes = [(EchoAxis::Sent, "sent", say!("sending")), (EchoAxis::Arrival, "arrival", say!("arrival"))];
    let pictures = axes.map(|(by, suffix, words)| {
        let title = say!("Echo times between {one} and {other}, by time of {words}", one = &one, other = &other, words);
        let picture = Picture::EchoTimes(EchoTimes {
            echoes: echoes.clone(),
            releases: releases.clone(),
            by,
            dated: finding.first_time.is_some(),
        });
        entry(case.language, &format!("{}-{suffix}", finding.id.to_lowercase()), title, picture, Some(finding))
    });
    Some(pictures.into())
}

/// Who sent the pings of a log, as the finding names it.
fn sender(case: &Case<'_>, finding: &Finding, log: &LogStalls) -> Text {
    let own_name = case.evidence.hosts.get(log.host).and_then(|view| view.host.name()).map(|name| name.to_string());
    let name = own_name.map(Text::value).or_else(|| finding.subject.client_ip.map(|ip| ip.said()));
    name.unwrap_or_else(|| say!("the host that wrote {inputs}", inputs = log.inputs()))
}
