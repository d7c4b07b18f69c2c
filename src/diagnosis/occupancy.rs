//! Ports and TIME-WAITs held over time, counted once for all rules and charts: the holds of a million connections are
//! dropped as soon as they are counted.

use super::Case;
use super::host_limits::Limits;
use super::port_usage::PortUsage;
use super::time_wait_pressure::{self, Population};
use crate::evidence::groups::Ends;
use crate::evidence::holds::{Holds, Hosts, MANY};

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
        let mut usages: Vec<PortUsage> = Vec::new();
        let mut hosts = Hosts::with_many(groups);
        for batch in Holds::batches(groups) {
            let holds = Holds::of(evidence, &batch, case.two_msl());
            let many: Vec<(u32, Ends)> = batch
                .filter(|group| groups.size(*group) as usize >= MANY)
                .filter_map(|g| Some((g, groups.ends(g)?)))
                .collect();
            let of_batch = evidence.workers.map(&many, |_, (group, ends)| {
                let told = Limits::of(case, ends.client).and_then(|limits| limits.ports()).map(|(range, _)| range);
                PortUsage::of(&holds, *group, *ends, evidence.end_of(ends.point), told)
            });
            usages.extend(of_batch.into_iter().flatten());
            holds.add_time_waits(groups, &mut hosts);
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
