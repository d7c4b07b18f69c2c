//! What a host says of its own limits: how many TIME-WAITs it may hold, how many it could not, and its port range.
//!
//! Linux Documentation/networking/ip-sysctl.rst (`tcp_max_tw_buckets`, `ip_local_port_range`), snmp_counter.rst
//! (TcpExtTCPTimeWaitOverflow).

use std::net::IpAddr;

use super::{Case, Exhibit};
use crate::evidence::hosts::HostView;
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
    /// It grew between two moments of the same boot.
    pub grew: bool,
    /// The line of the last value.
    pub source: Source,
}

const OVERFLOW: &str = "TcpExtTCPTimeWaitOverflow";

impl<'a> Limits<'a> {
    /// Those of the host with an address, where one of the hosts given is it.
    pub fn of(case: &Case<'a>, address: IpAddr) -> Option<Self> {
        case.host_at(address).map(|host| Self { host })
    }

    /// Those of a host.
    pub const fn of_host(host: &'a HostView) -> Self {
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

    /// TCPTimeWaitOverflow: closes that left no TIME-WAIT because the table was full.
    pub fn overflow(&self) -> Option<Told> {
        if let Some(delta) = self.host.delta(OVERFLOW) {
            return Some(Told { value: delta.delta, grew: true, source: delta.sources.1 });
        }
        let (value, source) = self.host.counter(OVERFLOW)?;
        Some(Told { value, grew: false, source })
    }

    /// The value last read from the running kernel.
    fn setting(&self, name: &str) -> Option<(&'a str, Source)> {
        let mut told = self.host.host.facts.settings.iter().filter(|setting| setting.live && &*setting.name == name);
        told.next_back().map(|setting| (&*setting.value, setting.source))
    }
}

/// A line of a snapshot as an exhibit.
pub(super) fn line(source: Source, text: String) -> Exhibit {
    Exhibit {
        input: format!("i{}", u64::from(source.input) + 1),
        frame: None,
        line: Some(u64::from(source.line)),
        time: None,
        text,
    }
}
