//! What a host says of its own limits: how many TIME-WAITs it may hold, how many it could not, and its port range.
//!
//! Linux Documentation/networking/ip-sysctl.rst (`tcp_max_tw_buckets`, `ip_local_port_range`), snmp_counter.rst
//! (TcpExtTCPTimeWaitOverflow).

use std::net::IpAddr;

use super::{Case, Exhibit};
use crate::evidence::hosts::HostView;
use crate::language::Text;
use crate::snapshot::Source;

/// The limits of one host.
pub(super) struct Limits<'a> {
    host: &'a HostView,
}

/// What a counter says.
#[derive(Clone, Copy, Debug)]
pub(super) struct Told {
    /// By how much it grew; where only one value is told, that value.
    pub value: u64,
    /// The last value, since boot.
    pub total: u64,
    /// It grew between two moments of the same boot.
    pub grew: bool,
    /// The line of the last value.
    pub source: Source,
}

const OVERFLOW: &str = "TcpExtTCPTimeWaitOverflow";

impl<'a> Limits<'a> {
    /// Those of the host with an address, where one of the hosts given is it.
    pub fn of(case: &Case<'a>, address: IpAddr) -> Option<Self> {
        case.host_at(address).map(Self::of_host)
    }

    /// Those of one host.
    pub fn of_host(host: &'a HostView) -> Self {
        Self { host }
    }
    /// As the host calls itself.
    pub fn name(&self) -> &'a str {
        &self.host.name
    }

    /// `net.ipv4.tcp_max_tw_buckets`.
    pub fn time_waits(&self) -> Option<(u64, Source)> {
        let (value, source) = self.setting("net.ipv4.tcp_max_tw_buckets")?;
        Some((value.trim().parse().ok()?, source))
    }

    /// The lowest and highest port of `net.ipv4.ip_local_port_range`.
    pub fn ports(&self) -> Option<((u16, u16), Source)> {
        let (value, source) = self.setting("net.ipv4.ip_local_port_range")?;
        let mut words = value.split_whitespace();
        let range = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
        (range.0 <= range.1).then_some((range, source))
    }

    /// How many ports that is, less those of `ip_local_reserved_ports`.
    pub fn port_count(&self) -> Option<(u64, Source)> {
        let ((lowest, highest), source) = self.ports()?;
        let all = u64::from(highest.saturating_sub(lowest)) + 1;
        let reserved = self.setting("net.ipv4.ip_local_reserved_ports").map_or(0, |(list, _)| {
            let part = |range: &str| {
                let (from, until) = range.split_once('-').unwrap_or((range, range));
                let (from, until): (u16, u16) = (from.trim().parse().ok()?, until.trim().parse().ok()?);
                let (from, until) = (from.max(lowest), until.min(highest));
                (from <= until).then(|| u64::from(until - from) + 1)
            };
            list.split(',').filter_map(part).sum()
        });
        Some((all.saturating_sub(reserved), source))
    }

    /// Most TIME-WAITs that any of its listings tells, with the line.
    pub fn most_time_waits(&self) -> Option<(u64, Source)> {
        let facts = &self.host.host.facts;
        let sockstat = facts.sockstats.iter().filter_map(|stat| Some((stat.time_wait?, stat.source)));
        let summaries = facts.summaries.iter().filter_map(|summary| Some((summary.time_wait?, summary.source)));
        let listed = self
            .host
            .listings()
            .into_iter()
            .filter_map(|listed| Some((listed.count(crate::snapshot::TcpState::TimeWait)?, listed.source())));
        let all = sockstat.chain(summaries).chain(listed);
        all.max_by_key(|(count, source)| (*count, std::cmp::Reverse(*source)))
    }

    /// TCPTimeWaitOverflow: closes that left no TIME-WAIT because the table was full.
    pub fn overflow(&self) -> Option<Told> {
        if let Some(delta) = self.host.delta(OVERFLOW) {
            let total = self.host.counter(OVERFLOW).map_or(delta.delta, |(total, _)| total.max(delta.delta));
            return Some(Told { value: delta.delta, total, grew: true, source: delta.sources.1 });
        }
        let (value, source) = self.host.counter(OVERFLOW)?;
        Some(Told { value, total: value, grew: false, source })
    }

    /// The value last read from the running kernel.
    fn setting(&self, name: &str) -> Option<(&'a str, Source)> {
        let mut told = self.host.host.facts.settings.iter().filter(|setting| setting.live && &*setting.name == name);
        told.next_back().map(|setting| (&*setting.value, setting.source))
    }
}

/// A line of a snapshot as an exhibit.
pub(super) fn line(source: Source, text: Text) -> Exhibit {
    Exhibit {
        input: format!("i{}", u64::from(source.input) + 1),
        frame: None,
        line: Some(u64::from(source.line)),
        time: None,
        text,
    }
}
