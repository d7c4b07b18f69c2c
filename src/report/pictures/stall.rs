//! The pictures of STALL001: echo times by both axes, stairs and walls.

use super::super::chart::{Chart, EchoAxis, EchoMark, EchoTimes, Picture};
use super::super::model::ChartEntry;
use super::{entry, point_of};
use crate::diagnosis::host_stall::LogStalls;
use crate::diagnosis::{Case, Finding};
use crate::time::Time;

pub(super) fn of_stall001(case: &Case<'_>, finding: &Finding) -> Option<Vec<(ChartEntry, Chart)>> {
    let (marks, releases) = match point_of(finding) {
        Some(point) => {
            let place = (point, finding.subject.client_ip?, finding.subject.server_ip?);
            let pair = case.stalls().iter().find(|pair| (pair.point, pair.client, pair.server) == place)?;
            (pair.marks(case), &pair.holds)
        }
        None => {
            let first = finding.exhibits.first()?;
            let line = |log: &&LogStalls| log.proves(&first.input, first.line);
            let log = case.ping_logs().iter().find(line)?;
            (log.marks(), &log.holds)
        }
    };
    let releases: Vec<Time> = releases.iter().map(|hold| hold.release.0).collect();
    let echoes: Vec<EchoMark> = marks.into_iter().map(|(sent, rtt)| EchoMark { sent, rtt }).collect();
    let between = finding.title.split_once(" between ").and_then(|(_, rest)| rest.split_once(", the longest"));
    let between = between.map_or("", |(names, _)| names);
    let axes = [(EchoAxis::Sent, "sent", "sending"), (EchoAxis::Arrival, "arrival", "arrival")];
    let pictures = axes.map(|(by, suffix, words)| {
        let title = format!("Echo times between {between}, by time of {words}");
        let picture = Picture::EchoTimes(EchoTimes {
            echoes: echoes.clone(),
            releases: releases.clone(),
            by,
            dated: finding.first_time.is_some(),
        });
        entry(&format!("{}-{suffix}", finding.id.to_lowercase()), title, picture, Some(finding))
    });
    Some(pictures.into())
}
