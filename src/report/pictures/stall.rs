//! The pictures of STALL001: echo times by both axes, stairs and walls.

use super::super::chart::{Chart, EchoAxis, EchoMark, EchoTimes, Picture};
use super::super::model::ChartEntry;
use super::{entry, point_of};
use crate::diagnosis::{Case, Finding};
use crate::time::Time;

pub(super) fn of_stall001(case: &Case<'_>, finding: &Finding) -> Option<Vec<(ChartEntry, Chart)>> {
    let (client, server) = (finding.subject.client_ip?, finding.subject.server_ip?);
    let place = (point_of(finding)?, client, server);
    let pair = case.stalls().iter().find(|pair| (pair.point, pair.client, pair.server) == place)?;
    let echoes: Vec<EchoMark> = pair.marks(case).into_iter().map(|(sent, rtt)| EchoMark { sent, rtt }).collect();
    let releases: Vec<Time> = pair.holds.iter().map(|hold| hold.release.0).collect();
    let axes = [(EchoAxis::Sent, "sent", "sending"), (EchoAxis::Arrival, "arrival", "arrival")];
    let pictures = axes.map(|(by, suffix, words)| {
        let title = format!("Echo times between {client} and {server}, by time of {words}");
        let picture = Picture::EchoTimes(EchoTimes { echoes: echoes.clone(), releases: releases.clone(), by });
        entry(&format!("{}-{suffix}", finding.id.to_lowercase()), title, picture, Some(finding))
    });
    Some(pictures.into())
}
