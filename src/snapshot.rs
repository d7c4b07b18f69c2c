//! Text files in which a host describes itself, read into facts that keep their source.
//!
//! A file is read line by line. Each line is first offered to the format that is being read; a line that
//! it disowns may be a prompt (`$ ss -s`), the time of what follows, or the beginning of another format:
//! several outputs in one file become several sections, each recognised by its content. A line that
//! nobody knows is counted with its reason and its number, and reading goes on.
//!
//! Adding a format is one file in this folder and one line in [`PARSERS`].

pub mod applog;
pub mod census;
pub mod conntrack;
pub mod date;
pub mod dmesg;
pub mod ethtool_s;
pub mod facts;
pub mod fold;
pub mod host;
pub mod interrupts;
pub mod ip_route;
pub mod ip_s_link;
pub mod iptables;
pub mod listing;
pub mod log;
pub mod meminfo;
pub mod mpstat;
pub mod netstat;
pub mod netstat_s;
pub mod netstat_win;
pub mod nft;
pub mod nstat;
pub mod ping;
pub mod proc_net;
pub mod ps;
pub mod sar;
pub mod slabinfo;
pub mod slabtop;
pub mod socket;
pub mod ss;
pub mod ss_s;
pub mod state;
pub mod sysctl;
pub mod tcp_metrics;
pub mod top;
pub mod uname;
pub mod uptime;

mod clock;
mod encoding;
mod hint;
mod reader;
mod text;

pub use census::{Census, Destination, Held};
pub use facts::{
    Counter, CounterGroup, Facts, Gateway, KernelVersion, Memory, Moment, OwnAddress, RememberedStamp, Rule, Sample,
    Setting, Since, Slab, SocketSummary, Sockstat, Softnet, Source, Tracked, TrackedTable, Uptime,
};
pub use fold::{Folded, Folder};
pub use host::Host;
pub use listing::SocketListing;
pub use log::{LogKind, LogLine, LogTime};
pub use ping::{PingSeries, PingTool, Probe, ProbeOutcome};
pub use reader::{Reader, Section, SkippedLines, Snapshot};
pub use socket::Host as HostName;
pub use socket::{Endpoint, Port, Process, Sink, SocketRow, Timer, TimerKind};
pub use state::{StateCounts, TcpState};

use hint::Hint;
use text::Names;

use crate::time::Time;

/// A time as people and tools write it: RFC 3339, seconds since the epoch, or what `date` prints; UTC where no zone is
/// given.
#[must_use]
pub fn moment(text: &str) -> Option<Time> {
    clock::date(text).map(|(at, _)| at)
}

/// One format: how its first line looks, and what reads it from there.
pub struct Format {
    /// Its name in `report.json`.
    pub name: &'static str,
    /// Whether a line, without its line end, begins this format.
    opens: fn(&str, &Hint) -> bool,
    /// Makes what reads one output of it.
    parser: fn(&Hint) -> Box<dyn Parser>,
}

impl Format {
    const fn new(name: &'static str, opens: fn(&str, &Hint) -> bool, parser: fn(&Hint) -> Box<dyn Parser>) -> Self {
        Self { name, opens, parser }
    }
}

/// Every format, in the order in which they are asked: the more particular first.
pub const PARSERS: &[Format] = &[
    Format::new("sysctl", sysctl::opens_value, sysctl::value_parser),
    Format::new("ss", ss::opens, ss::parser),
    Format::new("ss_s", ss_s::opens, ss_s::parser),
    Format::new("netstat", netstat::opens, netstat::parser),
    Format::new("netstat_win", netstat_win::opens, netstat_win::parser),
    Format::new("nstat", nstat::opens, nstat::parser),
    Format::new("proc_net", proc_net::tcp::opens, proc_net::tcp::parser),
    Format::new("proc_net", proc_net::counters::opens, proc_net::counters::parser),
    Format::new("proc_net", proc_net::snmp6::opens, proc_net::snmp6::parser),
    Format::new("proc_net", proc_net::sockstat::opens, proc_net::sockstat::parser),
    Format::new("proc_net", proc_net::softnet::opens, proc_net::softnet::parser),
    Format::new("proc_net", proc_net::dev::opens, proc_net::dev::parser),
    Format::new("proc_net", proc_net::stat_conntrack::opens, proc_net::stat_conntrack::parser),
    Format::new("netstat_s", netstat_s::opens, netstat_s::parser),
    Format::new("conntrack", conntrack::opens, conntrack::parser),
    Format::new("slabinfo", slabinfo::opens, slabinfo::parser),
    Format::new("slabtop", slabtop::opens, slabtop::parser),
    Format::new("meminfo", meminfo::opens, meminfo::parser),
    Format::new("tcp_metrics", tcp_metrics::opens, tcp_metrics::parser),
    Format::new("ip_route", ip_route::opens, ip_route::parser),
    Format::new("iptables", iptables::opens, iptables::parser),
    Format::new("nft", nft::opens, nft::parser),
    Format::new("ip_s_link", ip_s_link::opens, ip_s_link::parser),
    Format::new("ethtool_S", ethtool_s::opens, ethtool_s::parser),
    Format::new("mpstat", mpstat::opens, mpstat::parser),
    Format::new("sar", sar::opens, sar::parser),
    Format::new("interrupts", interrupts::opens, interrupts::parser),
    Format::new("top", top::opens, top::parser),
    Format::new("ps", ps::opens, ps::parser),
    Format::new("ping", ping::opens, ping::parser),
    Format::new("uname", uname::opens, uname::parser),
    Format::new("uptime", uptime::opens, uptime::parser),
    Format::new("date", date::opens, date::parser),
    Format::new("applog", applog::opens, applog::parser),
    Format::new("dmesg", dmesg::opens, dmesg::parser),
    Format::new("sysctl", sysctl::opens, sysctl::parser),
];

/// What a parser says of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Taken {
    /// It gave facts.
    Row,
    /// It belongs to the format and gives none of its own: a header, a blank, a detail, another protocol.
    Part,
    /// It belongs to the format and could not be read.
    Bad(&'static str),
    /// It does not belong to the format.
    Foreign,
}

/// Where a parser puts what it reads.
struct Out<'a> {
    facts: &'a mut Facts,
    rows: &'a mut dyn Sink,
    names: &'a mut Names,
    /// The time that the file gives for what follows it.
    moment: Option<crate::time::Time>,
}

/// Reads one output of one format.
trait Parser {
    /// Reads a line; `text` has no line end.
    fn line(&mut self, text: &str, source: Source, out: &mut Out<'_>) -> Taken;

    /// Ends the output: what was held back is handed over.
    fn end(&mut self, _out: &mut Out<'_>) {}

    /// What folds many rows at once, where a listing of sockets is being read.
    fn folder(&self) -> Option<Folder> {
        None
    }

    /// Adds rows that were folded; `last` is the last line of their block.
    fn take(&mut self, _folded: Folded, _last: Source) {}

    /// The format's name where the content decides between two.
    fn format(&self) -> Option<&'static str> {
        None
    }
}

/// Reads a whole file and keeps every row; `input` is the caller's number for it.
#[must_use]
pub fn read(input: u32, name: &str, bytes: &[u8]) -> Snapshot {
    let mut rows = Facts::default();
    let mut reader = Reader::new(input, name);
    reader.feed(bytes, &mut rows);
    let mut snapshot = reader.finish(&mut rows);
    snapshot.facts.sockets = rows.sockets;
    snapshot.facts.tracked = rows.tracked;
    snapshot
}

/// The formats found in the beginning of a file, in the order of their lines; empty where it is no snapshot.
///
/// A text that merely quotes a tool's output is none: no more lines may be unknown than give facts.
#[must_use]
pub fn recognise(name: &str, bytes: &[u8]) -> Vec<&'static str> {
    const HEAD: usize = 64 * 1024;
    let head = match bytes.get(..HEAD) {
        // A line cut by the limit would count as a bad one.
        Some(head) => head.iter().rposition(|&byte| byte == b'\n').map_or(head, |end| head.get(..=end).unwrap_or(head)),
        None => bytes,
    };
    let snapshot = read(0, name, head);
    if snapshot.is_mostly_understood() { snapshot.formats() } else { Vec::new() }
}
