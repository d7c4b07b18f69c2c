//! Pings as `report.json` lists them: those that are no stall say what they are.

use super::model::Ping;
use crate::diagnosis::Case;
use crate::diagnosis::stall::Look;
use crate::language::Said;
use crate::time::{Span, Time};

/// Pairs of hosts that are listed.
const ROWS: usize = 200;

/// One entry a pair of hosts at a capture point, and one a log or more of one host and target.
pub(super) fn pings(case: &Case<'_>) -> Vec<Ping> {
    let words = |looks: &[Look]| looks.iter().map(|look| look.said().spoken(case.language).to_string()).collect();
    let captured = case.stalls().iter().map(|pair| {
        let (client, server) = (pair.client.to_string(), pair.server.to_string());
        let seen_in = format!("p{}", pair.point.saturating_add(1));
        entry(seen_in, (client, server), pair.trips(case), pair.holds.len(), words(&pair.looks))
    });
    let logged = case.ping_logs().iter().map(|log| {
        let mut senders = log.senders.iter();
        let client = senders.next().filter(|_| senders.next().is_none()).map(ToString::to_string).unwrap_or_default();
        entry(
            log.inputs(),
            (client, log.target.clone().spoken(case.language).to_string()),
            log.marks(),
            log.holds.len(),
            words(&log.looks),
        )
    });
    captured.chain(logged).filter(|ping| ping.sent > 0).take(ROWS).collect()
}

fn entry(
    seen_in: String,
    (client, server): (String, String),
    marks: Vec<(Time, Option<Span>)>,
    stalls: usize,
    looks: Vec<String>,
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
        looks,
    }
}
