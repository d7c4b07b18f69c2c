//! What a host has against what it may have: TIME-WAITs, ports, tracked connections, orphans, socket memory.

use super::{percent, verdict};
use crate::diagnosis::{Cell, Table};
use crate::evidence::hosts::HostView;
use crate::language::{Text, say, words};
use crate::snapshot::{Source, TcpState};

/// One row a limit that is told, with its use at the worst moment.
pub(super) fn table(host: &HostView) -> Option<Table> {
    let rows: Vec<Vec<Cell>> = [time_waits(host), ports_used(host), tracked(host), orphans(host), memory(host)]
        .into_iter()
        .flatten()
        .map(|limit| limit.row())
        .collect();
    (!rows.is_empty()).then(|| Table {
        title: say!("Limits against use"),
        columns: words!("Limit", "Used", "Allowed", "Percent", "Verdict").map(Text::of).to_vec(),
        rows,
    })
}

struct Limit {
    name: Text,
    used: u64,
    allowed: u64,
    /// Percent from which it is near, and from which it is reached.
    near: (f64, f64),
    /// What follows when it is reached.
    then: Text,
}

impl Limit {
    fn row(&self) -> Vec<Cell> {
        let share = percent(self.used, self.allowed).unwrap_or(0.0);
        let verdict = match share {
            _ if share >= self.near.1 => say!("reached: {then}", then = self.then),
            _ if share >= self.near.0 => say!("near; when it is reached {then}", then = self.then),
            _ => Text::of(verdict::FINE),
        };
        let share = (share * 10.0).round() / 10.0;
        vec![
            Cell::Text(self.name.clone()),
            Cell::Count(self.used),
            Cell::Count(self.allowed),
            Cell::Number(share),
            Cell::Text(verdict),
        ]
    }
}

fn time_waits(host: &HostView) -> Option<Limit> {
    let (allowed, _) = number(host, "net.ipv4.tcp_max_tw_buckets")?;
    let facts = &host.host.facts;
    let stats = facts.sockstats.iter().filter_map(|stat| stat.time_wait);
    let summaries = facts.summaries.iter().filter_map(|summary| summary.time_wait);
    let listed = host.listings().into_iter().filter_map(|listed| listed.count(TcpState::TimeWait));
    let used = stats.chain(summaries).chain(listed).max()?;
    let then =
        say!("closes leave no TIME-WAIT (TW002); few short connections help, a higher tcp_max_tw_buckets as well");
    Some(Limit { name: say!("TIME-WAITs (tcp_max_tw_buckets)"), used, allowed, near: (80.0, 95.0), then })
}

/// The number of ports of the range, and where it is told.
pub(super) fn ports(host: &HostView) -> Option<(u64, Source)> {
    let setting = host.host.facts.setting("net.ipv4.ip_local_port_range")?;
    let mut words = setting.value.split_whitespace().map(str::parse::<u64>);
    let (lowest, highest) = (words.next()?.ok()?, words.next()?.ok()?);
    Some((highest.checked_sub(lowest)?.saturating_add(1), setting.source))
}

fn ports_used(host: &HostView) -> Option<Limit> {
    let (allowed, _) = ports(host)?;
    let fullest = host.listings().into_iter().filter_map(|listed| listed.destinations().into_iter().next());
    let (to, held) = fullest.max_by_key(|(_, held)| held.sockets)?;
    let name = say!("ports towards {port}", port = std::net::SocketAddr::new(to.remote, to.port));
    let then = say!("connect() fails with EADDRNOTAVAIL (TW003); keep connections open, or add destinations");
    Some(Limit { name, used: held.sockets.into(), allowed, near: (80.0, 95.0), then })
}

fn tracked(host: &HostView) -> Option<Limit> {
    let (allowed, _) = number(host, "net.netfilter.nf_conntrack_max")?;
    let tables = host.host.facts.tracked_tables.iter().map(|table| table.entries);
    let counts = number(host, "net.netfilter.nf_conntrack_count").map(|(count, _)| count);
    let used = tables.chain(counts).max()?;
    let then = say!("new connections are dropped (HOST037); raise it with the hash size, shorten the timeouts");
    Some(Limit { name: say!("tracked connections (nf_conntrack_max)"), used, allowed, near: (75.0, 90.0), then })
}

fn orphans(host: &HostView) -> Option<Limit> {
    let (allowed, _) = number(host, "net.ipv4.tcp_max_orphans")?;
    let used = host.host.facts.sockstats.iter().filter_map(|stat| stat.orphan).max()?;
    let then = say!("the kernel resets orphans (HOST021); find the peers that no longer answer");
    Some(Limit { name: say!("orphans (tcp_max_orphans)"), used, allowed, near: (25.0, 50.0), then })
}

fn memory(host: &HostView) -> Option<Limit> {
    let setting = host.host.facts.setting("net.ipv4.tcp_mem")?;
    let allowed = setting.value.split_whitespace().next_back()?.parse().ok()?;
    let used = host.host.facts.sockstats.iter().filter_map(|stat| stat.memory_pages).max()?;
    let then = say!("connections are aborted (HOST034); find the sockets with long queues");
    Some(Limit { name: say!("socket memory in pages (tcp_mem)"), used, allowed, near: (66.0, 90.0), then })
}

fn number(host: &HostView, name: &str) -> Option<(u64, Source)> {
    let setting = host.host.facts.setting(name)?;
    Some((setting.value.trim().parse().ok()?, setting.source))
}
