//! What ports one client uses towards one destination: the range and parity, how many are held over time, how
//! fast, and whether they ran out.
//!
//! `__inet_hash_connect()` in net/ipv4/inet_hashtables.c: the search goes round the range; newer kernels take one
//! parity first. RFC 6056 section 3 (choosing ports).

use crate::connection::{Side, Who};
use crate::evidence::Evidence;
use crate::evidence::groups::Ends;
use crate::evidence::holds::{Held, Hold, Steps};
use crate::language::{Text, say};
use crate::time::{Span, Time};

/// Fewer ports than this say nothing of a range.
pub const LEAST: usize = 100;
/// Steps that a chart has room for.
const POINTS: usize = 2000;

/// The ports of one client towards one destination.
#[derive(Clone, Debug)]
pub struct PortUsage {
    /// Who.
    pub ends: Ends,
    /// Connections.
    pub connections: usize,
    /// Different ports among them.
    pub distinct: u64,
    /// The lowest and the highest port.
    pub range: (u16, u16),
    /// All ports are even, or all odd.
    pub one_parity: bool,
    /// The range has been gone round, so that it is known: nearly every port between lowest and highest was used.
    pub circled: bool,
    /// The range that the client's own host tells.
    pub told: Option<(u16, u16)>,
    /// Ports whose TIME-WAIT the next connection cut short.
    pub recycled: u64,
    /// Connections that left TIME-WAIT at the client.
    pub time_waits: u64,
    /// Ports held over time, in as many steps as a chart has room for; of those alone that a chart shows.
    pub held: Steps,
    /// The first moment at which most ports were held, and how many.
    pub peak: (Time, u64),
    /// New connections a second up to the peak.
    pub rate: f64,
    /// The first connection.
    pub first: Hold,
    /// The connection that took the last port at the peak.
    pub at_peak: Hold,
    /// The first connection after the peak.
    pub after_peak: Option<Hold>,
    /// The last connection.
    pub last: Hold,
}

/// How many of the ports between the lowest and the highest must have been used, in percent: some are reserved, or
/// listeners.
const DENSE: u64 = 95;

impl PortUsage {
    /// Weighs the holds of a group; `told` is the range that the client's own host tells, `shown` says whether a chart
    /// shows the group.
    #[must_use]
    pub fn of(
        mut ordered: Vec<Hold>,
        ends: Ends,
        evidence: &Evidence,
        told: Option<(u16, u16)>,
        shown: impl Fn(&Self) -> bool,
    ) -> Option<Self> {
        evidence.workers.sort_by_keys(&mut ordered, |hold| hold.from.0, |hold| (hold.port, hold.connection));
        let end = evidence.end_of(ends.point);
        let mut seen = vec![false; 1 << 16];
        let fresh: Vec<u16> =
            ordered.iter().map(|hold| hold.port).filter(|port| first_time(&mut seen, *port)).collect();
        let (lowest, highest) = (*fresh.iter().min()?, *fresh.iter().max()?);
        let even = fresh.iter().filter(|port| **port % 2 == 0).count();
        let one_parity = even == 0 || even == fresh.len();
        let span = u64::from(highest - lowest);
        let slots = if one_parity { span / 2 + 1 } else { span + 1 };
        let distinct = fresh.len() as u64;
        let dense = distinct * 100 >= slots * DENSE;
        let until = |hold: &Hold| if hold.time_wait.includes(Side::Client) { hold.until } else { hold.closed };
        let held = Held::of(ordered.iter().map(|hold| (hold.from, until(hold))), &evidence.workers);
        let peak = held.peak(end)?;
        let place = ordered.partition_point(|hold| hold.from <= peak.at);
        let (first, last) = (*ordered.first()?, *ordered.last()?);
        let at_peak = *ordered.get(place.checked_sub(1)?)?;
        let recycled = ordered.iter().filter(|hold| hold.reused && early(hold)).count() as u64;
        let client_time_wait = |hold: &&Hold| hold.time_wait.includes(Side::Client);
        let came_round = last.from.since(first.from) > WHOLE && ordered.len() as u64 > distinct && recycled == 0;
        let mut usage = Self {
            ends,
            connections: ordered.len(),
            distinct,
            range: (lowest, highest),
            one_parity,
            circled: dense && (goes_round(&fresh, span) || came_round),
            told,
            recycled,
            time_waits: ordered.iter().filter(client_time_wait).count() as u64,
            held: Steps::new(),
            peak: (peak.at, peak.most),
            rate: rate(place, peak.at.since(first.from)),
            first,
            at_peak,
            after_peak: ordered.get(place).copied(),
            last,
        };
        if shown(&usage) {
            usage.held = held.thinned(end, &peak, POINTS);
        }
        Some(usage)
    }

    /// New connections a second over the last part of the time from the first connection to the last.
    #[must_use]
    pub fn latest_rate(&self, ordered_until: Time) -> f64 {
        rate(self.connections, ordered_until.since(self.first.from))
    }

    /// How long nothing was opened after the peak, up to the end of the capture at most.
    #[must_use]
    pub fn pause(&self, end: Time) -> Span {
        self.after_peak.map_or(end, |hold| hold.from).since(self.peak.0)
    }

    /// How many ports the client has: what was seen where the range was gone round, else what systems have by
    /// default; and whether that is known.
    #[must_use]
    pub fn limit(&self) -> (u64, bool) {
        let inside = |(lowest, highest): &(u16, u16)| *lowest <= self.range.0 && self.range.1 <= *highest;
        match self.range {
            _ if self.circled => (self.distinct, true),
            _ if self.told.as_ref().is_some_and(inside) => {
                let (lowest, highest) = self.told.unwrap_or(self.range);
                (u64::from(highest.saturating_sub(lowest)) + 1, true)
            }
            (32_768.., ..=60_999) => (28_232, false),
            (49_152.., _) => (16_384, false),
            (lowest, _) => (65_536 - u64::from(lowest.min(1024)), false),
        }
    }

    /// The range as people write it.
    #[must_use]
    pub fn range_text(&self) -> Text {
        let (lowest, highest) = self.range;
        let parity = match (self.one_parity, lowest % 2) {
            (false, _) => Text::default(),
            (true, 0) => say!(", even only"),
            (true, _) => say!(", odd only"),
        };
        say!("{lowest} to {highest}{parity}", lowest, highest, parity)
    }
}

/// Coming round takes as long as a TIME-WAIT.
const WHOLE: Span = Span::from_secs(60);

/// A second less than TIME-WAIT lasts is early; what is later may be the end of the timer.
fn early(hold: &Hold) -> bool {
    hold.time_wait != Who::None && hold.until.since(hold.closed) < Span::from_secs(59)
}

fn first_time(seen: &mut [bool], port: u16) -> bool {
    seen.get_mut(usize::from(port)).is_some_and(|seen| !std::mem::replace(seen, true))
}

/// Ports come in rising order, and once at least fall from near the top to near the bottom.
fn goes_round(fresh: &[u16], span: u64) -> bool {
    fresh.windows(2).any(|pair| match pair {
        [one, next] => u64::from(one.saturating_sub(*next)) * 2 > span,
        _ => false,
    })
}

#[allow(clippy::cast_precision_loss)]
fn rate(count: usize, over: Span) -> f64 {
    if over.0 <= 0 { 0.0 } else { count.saturating_sub(1) as f64 / over.secs() }
}
