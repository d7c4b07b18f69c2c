//! How long connections stay in each state of closing, by server socket: FIN-WAIT-1, FIN-WAIT-2, CLOSE-WAIT and
//! LAST-ACK as far as the wire shows them.
//!
//! RFC 9293 section 3.3.2. Only states that ended in order are counted; those that last go to the rules.

use hashbrown::HashMap;

use super::Evidence;
use crate::connection::{Connection, Socket, Tracked};
use crate::time::Span;

/// The states, in the order of a close.
pub const STATES: [&str; 4] = ["FIN-WAIT-1", "FIN-WAIT-2", "CLOSE-WAIT", "LAST-ACK"];

/// Three bars an octave of microseconds.
const BARS: usize = 96;

/// The durations of one state.
#[derive(Clone, Debug)]
pub struct Durations {
    bars: [u32; BARS],
    /// How many there are.
    pub count: u64,
    /// The longest.
    pub longest: Span,
}

impl Default for Durations {
    fn default() -> Self {
        Self { bars: [0; BARS], count: 0, longest: Span::ZERO }
    }
}

/// The four states of one server socket.
pub type States = [Durations; 4];

/// Durations of the states at some server sockets, over all clients and capture points.
#[must_use]
pub fn of(evidence: &Evidence, wanted: &[Socket]) -> HashMap<Socket, States> {
    // Which of those wanted each group belongs to.
    let places: HashMap<Socket, usize> = wanted.iter().copied().zip(0..).collect();
    let of_group: Vec<Option<usize>> =
        evidence.groups.iter().map(|(_, ends)| places.get(&ends.server).copied()).collect();
    let parts = evidence.workers.map(&evidence.shards, |number, shard| {
        of_shard(shard, evidence.groups.of_shard(number), &of_group, wanted.len())
    });
    let mut all = vec![States::default(); wanted.len()];
    for part in parts {
        for (sum, states) in all.iter_mut().zip(part) {
            sum.iter_mut().zip(states.iter()).for_each(|(sum, state)| sum.merge(state));
        }
    }
    wanted.iter().copied().zip(all).collect()
}

fn of_shard(shard: &Tracked, groups: &[u32], of_group: &[Option<usize>], wanted: usize) -> Vec<States> {
    let mut all = vec![States::default(); wanted];
    for (connection, group) in shard.connections().zip(groups) {
        let place = of_group.get(*group as usize).copied().flatten();
        if let Some(states) = place.and_then(|place| all.get_mut(place)) {
            add(states, connection);
        }
    }
    all
}

fn add(states: &mut States, connection: Connection<'_>) {
    let Some(spans) = connection.closing_states() else { return };
    for (state, span) in states.iter_mut().zip(&spans) {
        if let Some(span) = span.filter(|span| span.0 >= 0) {
            state.add(span);
        }
    }
}

impl Durations {
    fn add(&mut self, span: Span) {
        self.count += 1;
        self.longest = self.longest.max(span);
        if let Some(bar) = self.bars.get_mut(bar(span)) {
            *bar = bar.saturating_add(1);
        }
    }

    fn merge(&mut self, other: &Self) {
        self.count += other.count;
        self.longest = self.longest.max(other.longest);
        for (bar, more) in self.bars.iter_mut().zip(other.bars) {
            *bar = bar.saturating_add(more);
        }
    }

    /// What so many percent do not exceed, to about a quarter.
    #[must_use]
    pub fn percentile(&self, percent: u64) -> Span {
        let wanted = (self.count * percent).div_ceil(100).max(1);
        let mut together = 0;
        for (index, bar) in self.bars.iter().enumerate() {
            together += u64::from(*bar);
            if together >= wanted {
                return upper_end(index).min(self.longest);
            }
        }
        self.longest
    }
}

/// The bar of a span: its octave, and the third of it.
fn bar(span: Span) -> usize {
    let micros = u64::try_from(span.0 / 1000).unwrap_or(0);
    if micros == 0 {
        return 0;
    }
    let octave = micros.ilog2() as usize;
    let above = micros - (1 << octave);
    let third = above.saturating_mul(3) >> octave;
    (octave * 3 + usize::try_from(third).unwrap_or(0)).min(BARS - 1)
}

/// The longest span of a bar.
fn upper_end(index: usize) -> Span {
    let (octave, third) = (index / 3, index % 3 + 1);
    let octave = 1_i64 << octave.min(40);
    let micros = octave.saturating_add(octave.saturating_mul(i64::try_from(third).unwrap_or(1)) / 3);
    Span(micros.saturating_mul(1000))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_near() {
        let mut durations = Durations::default();
        (1..=1000).for_each(|millis| durations.add(Span::from_millis(millis)));
        for (percent, expected) in [(50, 500.0), (95, 950.0), (100, 1000.0)] {
            let got = durations.percentile(percent).millis();
            assert!(got >= expected * 0.99 && got <= expected * 1.35, "{percent}: {got}");
        }
        assert_eq!(Durations::default().percentile(50), Span::ZERO);
    }

    #[test]
    fn every_span_has_a_bar() {
        for nanos in [i64::MIN, -1, 0, 999, 1000, 1_000_000, i64::MAX] {
            assert!(bar(Span(nanos)) < BARS);
        }
    }
}
