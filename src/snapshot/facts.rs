//! What a host says of itself: typed facts, each with the line that says it.
//!
//! A fact that a listing could not have shown is absent, never zero: `None` means "this tool, called
//! this way, does not tell".

use std::sync::Arc;

use super::listing::SocketListing;
use super::log::LogLine;
use super::ping::PingSeries;
use super::socket::SocketRow;
use crate::time::{Span, Time};

/// Where a fact was read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Source {
    /// The number that the caller gave the input.
    pub input: u32,
    /// The line, counted from 1; saturates.
    pub line: u32,
}

/// What a counter counts from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Since {
    /// Since the host, or the network namespace, came up.
    Boot,
    /// Since the tool ran last: `nstat` without `-a`.
    LastRun,
    /// The way the tool was called is not known, so it may be either.
    Unknown,
}

/// One counter of the kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counter {
    /// Its name as `nstat` spells it: the MIB group, then the field, such as `TcpExtPAWSPassive`.
    pub name: Arc<str>,
    /// Its value.
    pub value: u64,
    /// What it counts from.
    pub since: Since,
    /// Where it was read.
    pub source: Source,
}

/// A group of counters that was listed, with or without those that are zero.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CounterGroup {
    /// The MIB group: `Tcp`, `TcpExt`, `Ip`, …
    pub name: Arc<str>,
    /// Whether the tool leaves out counters that are zero, as `netstat -s` does.
    pub omits_zeros: bool,
    /// Whether every counter that the kernel has is named, as in `/proc/net/netstat`.
    pub names_all: bool,
    /// What its counters count from.
    pub since: Since,
    /// The line that opens it.
    pub source: Source,
}

/// One setting of the kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// Its name with dots: `net.ipv4.tcp_tw_recycle`.
    pub name: Arc<str>,
    /// Its value as printed; several numbers are separated by one space.
    pub value: Box<str>,
    /// Whether it was read from the running kernel; a configuration file only says what somebody wanted.
    pub live: bool,
    /// Where it was read.
    pub source: Source,
}

/// The totals of `ss -s`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SocketSummary {
    /// TCP sockets of any kind, TIME-WAIT included.
    pub tcp: Option<u64>,
    /// Connections that are ESTABLISHED or CLOSE-WAIT: the kernel counts both.
    pub established: Option<u64>,
    /// Sockets without a connection, TIME-WAIT included.
    pub closed: Option<u64>,
    /// Sockets that no process owns any more.
    pub orphaned: Option<u64>,
    /// Handshakes under way; only old versions print it.
    pub syn_received: Option<u64>,
    /// Connections in TIME-WAIT.
    pub time_wait: Option<u64>,
    /// When it was printed, where the file says so.
    pub moment: Option<Time>,
    /// Where it was read.
    pub source: Source,
}

/// One line of `/proc/net/sockstat` or `sockstat6`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sockstat {
    /// The protocol as printed: `TCP`, `TCP6`, `UDP`, `sockets`, …
    pub protocol: Arc<str>,
    /// Sockets in use, TIME-WAIT not included.
    pub in_use: Option<u64>,
    /// Sockets that no process owns any more.
    pub orphan: Option<u64>,
    /// Connections in TIME-WAIT, of both address families.
    pub time_wait: Option<u64>,
    /// Sockets allocated in any state.
    pub allocated: Option<u64>,
    /// Memory of all sockets of the host, in pages.
    pub memory_pages: Option<u64>,
    /// Where it was read.
    pub source: Source,
}

/// One cache of the slab allocator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slab {
    /// The cache.
    pub name: Arc<str>,
    /// Objects in use.
    pub active_objects: u64,
    /// Objects allocated.
    pub objects: u64,
    /// Size of one object in bytes.
    pub object_bytes: u64,
    /// Slabs allocated, where the listing tells.
    pub slabs: Option<u64>,
    /// Pages of one slab, where the listing tells.
    pub pages_per_slab: Option<u64>,
    /// Whether the tunables are set: they are in SLAB, and all zero in SLUB. `slabtop` does not tell.
    pub tunable: Option<bool>,
    /// Where it was read.
    pub source: Source,
}

/// One line of `/proc/meminfo`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Memory {
    /// The line's name: `MemTotal`, `SUnreclaim`, …
    pub name: Arc<str>,
    /// Its value in KiB, or a plain number where the line has no unit.
    pub kib: u64,
    /// Where it was read.
    pub source: Source,
}

/// The kernel that a host runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KernelVersion {
    /// The release as printed: `4.9.115`, `3.10.0-1160.el7.x86_64`.
    pub release: Arc<str>,
    /// Its first three numbers.
    pub numbers: (u32, u32, u32),
    /// The host's name, where the line has one.
    pub host: Option<Arc<str>>,
    /// Where it was read.
    pub source: Source,
}

/// A time of the host's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// The time; taken for UTC where the zone is not known.
    pub at: Time,
    /// Whether the line names its zone.
    pub zone_known: bool,
    /// Where it was read.
    pub source: Source,
}

/// How long a host has been up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Uptime {
    /// Since boot.
    pub up: Span,
    /// Where it was read.
    pub source: Source,
}

/// What a host remembers of a peer: one line of `ip tcp_metrics`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RememberedStamp {
    /// The peer.
    pub address: std::net::IpAddr,
    /// Since the entry was written last.
    pub age: Option<Span>,
    /// The last timestamp value taken from the peer, and how many seconds ago that was.
    pub tw_ts: Option<(u32, i64)>,
    /// Where it was read.
    pub source: Source,
}

/// One rule of a packet filter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// The table where one was named: `filter`, `ip nl_drop`.
    pub table: Option<Arc<str>>,
    /// The chain.
    pub chain: Arc<str>,
    /// What it does: `DROP`, `REJECT`, `ACCEPT`, a chain's name; `policy` rules end the chain.
    pub target: Arc<str>,
    /// Whether it discards what it matches.
    pub drops: bool,
    /// Whether it matches by the SYN flag.
    pub matches_syn: bool,
    /// Packets it matched, where counted.
    pub packets: Option<u64>,
    /// Bytes it matched, where counted.
    pub bytes: Option<u64>,
    /// The rule as printed.
    pub text: Box<str>,
    /// Where it was read.
    pub source: Source,
}

/// One line of `/proc/net/softnet_stat`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Softnet {
    /// The CPU where the line names it; else the number of the line, which skips CPUs that are offline.
    pub cpu: u32,
    /// Packets processed; 32 bits that wrap.
    pub processed: u32,
    /// Packets dropped because the backlog was full.
    pub dropped: u32,
    /// Times the budget ran out with work left.
    pub squeezed: u32,
    /// Where it was read.
    pub source: Source,
}

/// One connection of the connection tracker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tracked {
    /// The transport protocol as printed.
    pub protocol: Arc<str>,
    /// The tracker's state; it is not the state of a socket, and its timeouts differ.
    pub state: Option<Arc<str>>,
    /// Seconds until the entry expires.
    pub expires_s: Option<u32>,
    /// Source of the original direction.
    pub from: super::socket::Endpoint,
    /// Destination of the original direction.
    pub to: super::socket::Endpoint,
    /// Where replies come from; differs from `to` where the destination is translated.
    pub reply_from: super::socket::Endpoint,
    /// Where replies go; differs from `from` where the source is translated.
    pub reply_to: super::socket::Endpoint,
    /// Nothing came back.
    pub unreplied: bool,
    /// The entry is kept when the table is full.
    pub assured: bool,
    /// Where it was read.
    pub source: Source,
}

/// What one listing of the connection tracker holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrackedTable {
    /// Entries of any protocol.
    pub entries: u64,
    /// Entries in TIME-WAIT.
    pub time_wait: u64,
    /// Entries in CLOSE-WAIT.
    pub close_wait: u64,
    /// Entries in ESTABLISHED.
    pub established: u64,
    /// Entries nothing came back for.
    pub unreplied: u64,
    /// Whether the entries were listed; else only their number was.
    pub listed: bool,
    /// Where it begins.
    pub source: Source,
}

/// A number that belongs to one thing of the host: an interface, a CPU, the connection tracker.
///
/// It carries the formats that only count: `ip -s link`, `ethtool -S`, `conntrack -S`, `mpstat`,
/// `sar`, `top`, `ps` and `/proc/interrupts`.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// The format: the name of its parser.
    pub format: &'static str,
    /// What it is about: `eth0`, `CPU0`, `all`, `pid 3310 java`.
    pub subject: Arc<str>,
    /// What is counted, as the tool names it: `rx errors`, `%soft`, `insert_failed`, `tcp-tw`.
    pub name: Arc<str>,
    /// Its value in the tool's unit.
    pub value: f64,
    /// The time of day where the line has one, since midnight.
    pub time_of_day: Option<Span>,
    /// Where it was read.
    pub source: Source,
}

/// An address of the host itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnAddress {
    /// The address.
    pub address: std::net::IpAddr,
    /// The interface that has it.
    pub interface: Arc<str>,
    /// Where it was read.
    pub source: Source,
}

/// A router that the host sends to where no other route fits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gateway {
    /// Its address.
    pub address: std::net::IpAddr,
    /// Where it was read.
    pub source: Source,
}

/// Everything that was read, in the order of the lines.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// Counters of the kernel.
    pub counters: Vec<Counter>,
    /// Groups of counters that were listed.
    pub counter_groups: Vec<CounterGroup>,
    /// Settings of the kernel.
    pub settings: Vec<Setting>,
    /// Listings of sockets as a whole.
    pub listings: Vec<SocketListing>,
    /// Sockets; filled only where the caller lets `Facts` be the sink of rows.
    pub sockets: Vec<SocketRow>,
    /// Totals of `ss -s`.
    pub summaries: Vec<SocketSummary>,
    /// Lines of `sockstat`.
    pub sockstats: Vec<Sockstat>,
    /// Caches of the slab allocator.
    pub slabs: Vec<Slab>,
    /// Lines of `meminfo`.
    pub memory: Vec<Memory>,
    /// Releases of the kernel.
    pub kernels: Vec<KernelVersion>,
    /// Times of the clock.
    pub moments: Vec<Moment>,
    /// Lengths of time since boot.
    pub uptimes: Vec<Uptime>,
    /// Messages that matter.
    pub log: Vec<LogLine>,
    /// What the host remembers of its peers.
    pub remembered: Vec<RememberedStamp>,
    /// Runs of `ping`.
    pub pings: Vec<PingSeries>,
    /// Rules of packet filters.
    pub rules: Vec<Rule>,
    /// The packet backlog of each CPU.
    pub softnet: Vec<Softnet>,
    /// Entries of the connection tracker; filled only where the caller lets `Facts` be the sink of rows.
    pub tracked: Vec<Tracked>,
    /// Listings of the connection tracker as a whole.
    pub tracked_tables: Vec<TrackedTable>,
    /// Numbers of the formats that only count.
    pub samples: Vec<Sample>,
    /// Addresses of the host itself.
    pub addresses: Vec<OwnAddress>,
    /// Routers of its default routes.
    pub gateways: Vec<Gateway>,
}

impl Facts {
    /// Appends what another input said of the same host.
    pub fn append(&mut self, mut other: Self) {
        self.counters.append(&mut other.counters);
        self.counter_groups.append(&mut other.counter_groups);
        self.settings.append(&mut other.settings);
        self.listings.append(&mut other.listings);
        self.sockets.append(&mut other.sockets);
        self.summaries.append(&mut other.summaries);
        self.sockstats.append(&mut other.sockstats);
        self.slabs.append(&mut other.slabs);
        self.memory.append(&mut other.memory);
        self.kernels.append(&mut other.kernels);
        self.moments.append(&mut other.moments);
        self.uptimes.append(&mut other.uptimes);
        self.log.append(&mut other.log);
        self.remembered.append(&mut other.remembered);
        self.pings.append(&mut other.pings);
        self.rules.append(&mut other.rules);
        self.softnet.append(&mut other.softnet);
        self.tracked.append(&mut other.tracked);
        self.tracked_tables.append(&mut other.tracked_tables);
        self.samples.append(&mut other.samples);
        self.addresses.append(&mut other.addresses);
        self.gateways.append(&mut other.gateways);
    }

    /// The last value told of a counter, by its `nstat` name, and where.
    ///
    /// Zero with the line of its group where the tool leaves zeros out; `None` where nothing tells.
    #[must_use]
    pub fn counter(&self, name: &str) -> Option<(u64, Source)> {
        let told = self.counters.iter().rev().find(|counter| &*counter.name == name);
        told.map(|counter| (counter.value, counter.source)).or_else(|| self.omitted_zero(name))
    }

    /// Where a counter is left out because it is zero; not where another listing shows that the kernel has none.
    fn omitted_zero(&self, name: &str) -> Option<(u64, Source)> {
        let is_field = |rest: &str| rest.starts_with(|c: char| c.is_ascii_uppercase());
        let of_name = |group: &&CounterGroup| name.strip_prefix(&*group.name).is_some_and(is_field);
        let group = self.counter_groups.iter().rev().filter(of_name).find(|group| group.omits_zeros)?;
        let names_all = |other: &CounterGroup| other.name == group.name && other.names_all;
        (!self.counter_groups.iter().any(names_all)).then_some((0, group.source))
    }

    /// The last value told of a setting of the running kernel, else of a configuration file.
    #[must_use]
    pub fn setting(&self, name: &str) -> Option<&Setting> {
        let named = || self.settings.iter().rev().filter(|setting| &*setting.name == name);
        named().find(|setting| setting.live).or_else(|| named().next())
    }
}
