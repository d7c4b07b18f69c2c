//! How connections close, in numbers: who closes first, how long the states of a close last, and how many TIME-WAITs
//! each host holds over time.
//!
//! RFC 9293 section 3.6: the end that closes first holds TIME-WAIT.

use super::model::{Population, Sample, Service, StateDurations};
use crate::connection::Socket;
use crate::diagnosis::Case;
use crate::evidence::Evidence;
use crate::evidence::durations::{self, STATES};
use crate::evidence::tally::Service as Counts;
use crate::time::Span;

/// Services whose states are measured.
const MEASURED: usize = 50;
/// Hosts that are named.
const HOSTS: usize = 100;

/// Who closes a service's connections first, in a sentence.
pub fn first(counts: &Counts) -> Option<String> {
    let (client, server) = (counts.client_closes, counts.server_closes);
    if client + server == 0 {
        return None;
    }
    let side = |name: &str, count: u64, other: u64| {
        let share = count.saturating_mul(100) / (count + other).max(1);
        format!("the {name} closes first in {count} of {} closes ({share} %) and holds TIME-WAIT", count + other)
    };
    Some(if client >= server { side("client", client, server) } else { side("server", server, client) })
}

/// Measures the states of the busiest services.
pub fn add_states(evidence: &Evidence, services: &mut [Service]) {
    let mut busiest: Vec<&mut Service> =
        services.iter_mut().filter(|service| service.client_closes + service.server_closes > 0).collect();
    busiest.sort_by_key(|service| std::cmp::Reverse(service.client_closes + service.server_closes));
    busiest.truncate(MEASURED);
    let sockets: Vec<Socket> = busiest.iter().map(|service| Socket { ip: service.ip, port: service.port }).collect();
    if sockets.is_empty() {
        return;
    }
    let measured = durations::of(evidence, &sockets);
    for service in busiest {
        let Some(states) = measured.get(&Socket { ip: service.ip, port: service.port }) else { continue };
        let counted = STATES.into_iter().zip(states.iter()).filter(|(_, durations)| durations.count > 0);
        let one = |(state, durations): (&'static str, &durations::Durations)| StateDurations {
            state,
            count: durations.count,
            median_ms: rounded(durations.percentile(50)),
            p95_ms: rounded(durations.percentile(95)),
            longest_ms: rounded(durations.longest),
        };
        service.states = counted.map(one).collect();
    }
}

/// Milliseconds with three digits of fraction: captures seldom know more.
fn rounded(span: Span) -> f64 {
    (span.millis() * 1000.0).round() / 1000.0
}

/// The TIME-WAITs of each host.
pub fn populations(case: &Case<'_>) -> Vec<Population> {
    let mut shown: Vec<Population> = Vec::new();
    for population in case.populations().iter().take(HOSTS) {
        let samples = population.samples.iter().map(|(at, count)| Sample { at: *at, count: *count }).collect();
        shown.push(Population {
            point: format!("p{}", population.point + 1),
            ip: population.host,
            closes: population.closes,
            peak: population.peak.1,
            peak_at: population.peak.0,
            limit: population.overflow.as_ref().map(|overflow| overflow.limit),
            samples,
        });
    }
    shown
}
