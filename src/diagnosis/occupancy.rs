//! Ports and TIME-WAITs held over time, counted once for all rules and charts: the holds of a million connections are
//! dropped as soon as they are counted.

use std::ops::Range;

use super::Case;
use super::ephemeral_ports_exhausting::stage;
use super::host_limits::Limits;
use super::port_usage::PortUsage;
use super::time_wait_pressure::{self, Population};
use crate::evidence::groups::{Ends, Groups};
use crate::evidence::holds::{self, Found, Hosts, MANY, Resets};
use crate::ingest::FOR_ALL_THREADS;

/// What is held over time.
#[derive(Debug)]
pub struct Occupancy {
    /// Ports of clients towards destinations with many connections, in order of capture point, client and server.
    pub usages: Vec<PortUsage>,
    /// TIME-WAITs of hosts with many, most first.
    pub populations: Vec<Population>,
}

impl Occupancy {
    pub(super) fn of(case: &Case<'_>) -> Self {
        let evidence = case.evidence;
        let groups = &evidence.groups;
        let resets = Resets::of(evidence);
        let mut hosts = Hosts::with_many(groups);
        let mut usages: Vec<PortUsage> = Vec::new();
        let one = |found: &mut Found<'_>, group: u32| {
            let ends = groups.ends(group)?;
            let holds = holds::of_group(evidence, group, &resets, case.two_msl());
            found.add(&ends, &holds);
            let many = holds.len() >= MANY;
            let runs_out = |usage: &PortUsage| stage(case, usage).is_some();
            many.then(|| PortUsage::of(holds, ends, evidence, told(case, &ends), runs_out))?
        };
        // Small groups side by side; a big one by itself, by all threads.
        let runs = holds::runs(groups);
        let together = runs.chunk_by(|one, next| !is_big(groups, one) && !is_big(groups, next));
        for runs in together.flat_map(|runs| runs.chunks(RUNS)) {
            let parts = evidence.workers.map(runs, |_, run| {
                let mut found = hosts.find();
                let usages: Vec<PortUsage> = run.clone().filter_map(|group| one(&mut found, group)).collect();
                (usages, found.finish())
            });
            let (of_runs, found): (Vec<_>, Vec<_>) = parts.into_iter().unzip();
            usages.extend(of_runs.into_iter().flatten());
            hosts.append(&evidence.workers, found.into_iter().flatten());
        }
        let time_waits = hosts.finish(&evidence.workers);
        Self { usages, populations: time_wait_pressure::populations(case, time_waits) }
    }

    /// The ports of one client towards one destination.
    #[must_use]
    pub fn usage(&self, ends: &Ends) -> Option<&PortUsage> {
        let place = self.usages.binary_search_by(|usage| usage.ends.cmp(ends)).ok()?;
        self.usages.get(place)
    }
}

/// Runs whose TIME-WAITs are in memory twice before they are joined.
const RUNS: usize = 32;

fn is_big(groups: &Groups, run: &Range<u32>) -> bool {
    groups.members(run.clone()).len() >= FOR_ALL_THREADS
}

/// The range of ports that the client's own host tells.
fn told(case: &Case<'_>, ends: &Ends) -> Option<(u16, u16)> {
    Limits::of(case, ends.client).and_then(|limits| limits.ports()).map(|(range, _)| range)
}
