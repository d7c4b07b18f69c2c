//! HOST050: TIME-WAITs take much memory.
//!
//! /proc/slabinfo, tw_sock_TCP and tw_sock_TCPv6: 256 bytes each on Linux 6.18, less on older kernels.

use super::super::claims::{Claims, each_host};
use super::super::host_limits::line;
use super::super::{Case, Confidence, Finding, Rule, Severity, Verdict, number};
use crate::language::{Text, pages, say};
use crate::snapshot::Slab;

pub(in crate::diagnosis) static RULE: Rule =
    Rule { code: "HOST050", name: "time-wait-memory", explanation: pages!("time_wait_memory"), judge };
fn judge(case: &Case<'_>) -> Verdict {
    each_host(case, &RULE, host)
}

const MUCH: u64 = 100_000_000;

fn host(host: &Claims<'_>) -> Option<Finding> {
    let caches = host.host.host.facts.slabs.iter().filter(|slab| slab.name.starts_with("tw_sock_TCP"));
    let bytes = |slab: &Slab| slab.active_objects.saturating_mul(slab.object_bytes);
    let slab = caches.max_by_key(|slab| bytes(slab)).filter(|slab| bytes(slab) > MUCH)?;
    let held = host.limits().most_time_waits();
    let title = say!(
        "{active_objects} TIME-WAITs take {megabytes} MB of kernel memory",
        active_objects = slab.active_objects,
        megabytes = bytes(slab) / 1_000_000
    );
    let agrees = held.map_or_else(Text::default, |(count, _)| say!(" The listing of sockets tells {count}.", count));
    let summary = say!(
        "{slab} has {active_objects} objects of {object_bytes} bytes.{agrees} That memory cannot be swapped; it is given back a minute after the connections closed.",
        slab = slab.name,
        active_objects = slab.active_objects,
        object_bytes = slab.object_bytes,
        agrees
    );
    let mut finding = host.finding(Severity::Info, Confidence::High, title, summary);
    finding.metric("time_waits", number(slab.active_objects));
    finding.metric("bytes", number(bytes(slab)));
    let mut exhibits = vec![line(
        slab.source,
        say!("{slab}: {active_objects} objects", slab = slab.name, active_objects = slab.active_objects),
    )];
    exhibits.extend(held.map(|(count, source)| line(source, say!("{count} TIME-WAITs", count))));
    finding.exhibit_all(exhibits);
    finding.advise(say!("Fewer connections (keep-alive), or clients that close first; tcp_max_tw_buckets bounds it, at the price of TIME-WAIT itself."));
    finding.refer(&["Linux net/ipv4/inet_timewait_sock.c: inet_twsk_alloc()"]);
    Some(finding)
}
