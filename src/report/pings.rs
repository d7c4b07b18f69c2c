//! Pings as `report.json` lists them: those that are no stall say what they are.

use super::model::Ping;
use crate::diagnosis::Case;
use crate::diagnosis::stall::Look;
use crate::time::{Span, Time};

/// Pairs of hosts that are listed.
const ROWS: usize = 200;

/// One entry a pair of hosts at a capture point, and one a log or more of one host and target.
pub(super) fn pings(case: &Case<'_>) -> Vec<Ping> {
    let captured = case.stalls().iter().map(|pair| {
        let (client, server) = (pair.client.to_string(), pair.server.to_string());
        let seen_in = format!("p{}", pair.point.saturating_add(1));
        entry(seen_in, (client, server), pair.trips(case), pair.holds.len(), &pair.looks)
    });
    let logged = case.ping_logs().iter().map(|log| {
        let mut senders = log.senders.iter();
        let client = senders.next().filter(|_| senders.next().is_none()).map(ToString::to_string).unwrap_or_default();
        entry(log.inputs(), (client, log.target.clone()), log.marks(), log.holds.len(), &log.looks)
    });
    captured.chain(logged).filter(|ping| ping.sent > 0).take(ROWS).collect()
}

fn entry(
    seen_in: String,
    (client, server): (String, String),
    marks: Vec<(Time, Option<Span>)>,
    stalls: usize,
    looks: &[Look],
) -> Ping {
    let mut rtts: Vec<Span> = marks.iter().filter_map(|(_, rtt)| *rtt).collect();
    rtts.sort_unstable();
    let millis = |place: usize| rtts.get(place).map_or(0.0, |rtt| (rtt.millis() * 1e3).round() / 1e3);
    Ping {
        seen_in,
        client,
        server,
        sent: marks.len() as u64,
        answered: rtts.len() as u64,
        usual_ms: millis(rtts.len() / 4),
        longest_ms: millis(rtts.len().saturating_sub(1)),
        stalls: stalls as u64,
        looks: looks.iter().map(ToString::to_string).collect(),
    }
}
