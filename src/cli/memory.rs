//! How much memory this machine has free, and how many connections it holds.
//!
//! Linux: proc(5), cgroups(7). Elsewhere nobody knows, and nothing is refused.

use std::fs;

/// What a connection takes: its record, its place in the tables, what single segments leave.
const CONNECTION: u64 = 220;
/// What a run takes beside its connections.
const BESIDE: u64 = 150 << 20;

/// Octets that are free, and that the control group of this process may take.
pub(super) fn free() -> Option<u64> {
    let limit = fs::read_to_string("/sys/fs/cgroup/memory.max").ok().and_then(|text| text.trim().parse::<u64>().ok());
    told("MemAvailable:").map(|free| free.min(limit.unwrap_or(u64::MAX)))
}

/// Connections that fit into free memory and swap.
pub(super) fn connections() -> Option<usize> {
    let room = free()?.saturating_add(told("SwapFree:").unwrap_or(0));
    usize::try_from(room.saturating_sub(BESIDE) / CONNECTION).ok()
}

fn told(name: &str) -> Option<u64> {
    let text = fs::read_to_string("/proc/meminfo").ok()?;
    let rest = text.lines().find_map(|line| line.strip_prefix(name))?;
    Some(rest.split_whitespace().next()?.parse::<u64>().ok()?.saturating_mul(1024))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_that_runs_tests_has_room_for_some() {
        let (Some(free), Some(connections)) = (free(), connections()) else { return };
        assert!(free > 0 && connections as u64 <= (free + told("SwapFree:").unwrap_or(0)) / CONNECTION + 1_000_000);
    }
}
