//! The report as a value: what `report.json` holds, and what every other format renders.
//!
//! The serialised form is the contract of schema `lastack-report/1`: fields are added, never renamed.

use std::collections::BTreeMap;
use std::net::IpAddr;

use schemars::JsonSchema;
use serde::Serialize;

use super::gate::Gate;
use crate::diagnosis::{Finding, NotJudged};
use crate::language::Language;
use crate::time::Time;

/// The schema of a report, which its field `schema` names.
pub const SCHEMA: &str = "lastack-report/1";

/// All that a report says.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Report {
    /// Always `lastack-report/1`.
    pub schema: &'static str,
    /// What made it.
    pub tool: Tool,
    /// The language of its sentences; English where absent.
    #[serde(skip_serializing_if = "is_default")]
    #[schemars(default)]
    pub language: Language,
    /// Every threshold in force, by the name of its option.
    pub options: BTreeMap<&'static str, serde_json::Value>,
    /// What was given, in the order of reading.
    pub inputs: Vec<Input>,
    /// Where it was captured.
    pub points: Vec<Point>,
    /// Pairs of points that saw the same SYNs, and where SYNs were lost between them.
    pub links: Vec<Link>,
    /// Counts over all points.
    pub totals: Totals,
    /// What was found, worst first.
    pub findings: Vec<Finding>,
    /// What could not be decided, and why.
    pub not_judged: Vec<NotJudged>,
    /// Addresses that opened connections, busiest trouble first; cut after 1000.
    pub clients: Vec<Client>,
    /// Server sockets, busiest first; cut after 1000.
    pub services: Vec<Service>,
    /// TIME-WAITs of each host over time, rebuilt from the closes seen, most first; cut after 100.
    pub populations: Vec<Population>,
    /// Pings, captured or logged, and what they look like; cut after 200.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(default)]
    pub pings: Vec<Ping>,
    /// What hosts said of themselves.
    pub hosts: Vec<serde_json::Value>,
    /// Unanswered SYN segments by the cause they are attributed to.
    pub syn_causes: BTreeMap<String, u64>,
    /// The pictures that belong to it.
    pub charts: Vec<ChartEntry>,
    /// Which findings fail the run, where it is held to anything.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gate: Option<Gate>,
}

fn is_default(language: &Language) -> bool {
    *language == Language::default()
}

/// Name and version of this program.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Tool {
    /// `lastack`.
    pub name: &'static str,
    /// As in its package.
    pub version: &'static str,
}

/// One file, archive member or stream.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Input {
    /// Names it inside this report: `i1`, `i2`, …
    pub id: String,
    /// As given; members as `a.tar!b.pcap`.
    pub name: String,
    /// `capture`, `snapshot` or `other`.
    pub kind: &'static str,
    /// `pcap`, `pcapng`, `snoop`, or a snapshot format; absent for kind `other`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub format: Option<String>,
    /// How many bytes it has.
    pub bytes: u64,
    /// Null unless asked for.
    pub digest: Option<String>,
    /// What a reader should know of it: why it could not be read, which other input holds the same packets.
    pub notes: Vec<String>,
    /// What a capture holds.
    #[serde(flatten)]
    pub capture: Option<CaptureFacts>,
}

/// What was read of one capture.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct CaptureFacts {
    /// The capture point it belongs to.
    pub point: String,
    /// Frames read.
    pub packets: u64,
    /// Frames that `--host`, `--port`, `--between` or `--filter` left out.
    pub left_out: u64,
    /// TCP segments among those that were kept.
    pub segments: u64,
    /// Packets that took the complete decode path instead of the thin one.
    pub slow_path: u64,
    /// The first packet's time.
    #[schemars(with = "Option<String>")]
    pub first_packet: Option<Time>,
    /// The last packet's time.
    #[schemars(with = "Option<String>")]
    pub last_packet: Option<Time>,
    /// Link types by name.
    pub link_types: Vec<String>,
    /// Counts of TCP segments.
    pub tcp: TcpCounts,
    /// Packets that were seen twice and counted once.
    pub duplicates: u64,
    /// What was passed over, and why.
    pub skipped: Vec<Skipped>,
    /// Null, or where and why reading ended early.
    pub truncated: Option<String>,
}

/// TCP segments by their flags.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct TcpCounts {
    /// Socket pairs.
    pub streams: u64,
    /// SYN without ACK.
    pub syn: u64,
    /// SYN with ACK.
    pub synack: u64,
    /// FIN.
    pub fin: u64,
    /// RST.
    pub rst: u64,
}

/// Frames passed over for one reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Skipped {
    /// Why.
    pub reason: String,
    /// How many.
    pub count: u64,
    /// The first of them.
    pub first_frame: u64,
}

/// A capture point: one file, or one rotated set.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Point {
    /// Names it inside this report: `p1`, `p2`, …
    pub id: String,
    /// The inputs it was read from, by `id`.
    pub inputs: Vec<String>,
    /// Its first packet's time.
    #[schemars(with = "Option<String>")]
    pub first_packet: Option<Time>,
    /// Its last packet's time.
    #[schemars(with = "Option<String>")]
    pub last_packet: Option<Time>,
    /// Connections seen there.
    pub connections: u64,
}

/// Two capture points on one way: each SYN of the first is looked for at the second, by ISN and TSval.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Link {
    /// The point nearer to the clients.
    pub client_point: String,
    /// The point nearer to the server.
    pub server_point: String,
    /// Seconds that the recorder at the server's side is ahead, path delay included.
    pub clock_offset_s: f64,
    /// SYN segments at the clients' side while the other point was recorded.
    pub syns: u64,
    /// Those of them that the other point shows, too.
    pub linked: u64,
    /// Unanswered, seen at the server's side, and nothing answered there.
    pub dropped_at_server: u64,
    /// Unanswered, and not seen at the server's side.
    pub lost_between: u64,
    /// Answered at the server's side; the answer did not come back.
    pub answers_lost: u64,
}

/// Counts over all points.
#[derive(Clone, Debug, Default, Serialize, JsonSchema)]
pub struct Totals {
    /// Frames read.
    pub packets: u64,
    /// TCP segments.
    pub segments: u64,
    /// Incarnations of socket pairs.
    pub connections: u64,
    /// Attempts to open: SYNs with one ISN on one socket pair.
    pub attempts: u64,
    /// Attempts that drew no SYN-ACK, challenge ACK or RST.
    pub attempts_unanswered: u64,
    /// Socket pairs used again after a TIME-WAIT.
    pub reuses: u64,
    /// Connections by how they opened.
    pub opens: BTreeMap<&'static str, u64>,
    /// Connections by how they closed.
    pub closes: BTreeMap<&'static str, u64>,
}

/// One address that opened connections.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Client {
    /// Its address as the capture shows it.
    pub ip: IpAddr,
    /// Attempts it made.
    pub attempts: u64,
    /// Attempts that drew no answer.
    pub attempts_unanswered: u64,
    /// Attempts answered by RST.
    pub refused: u64,
    /// Connections that opened.
    pub opened: u64,
    /// Client clocks told apart behind it; 0 where none can be told.
    pub clocks: u64,
}

/// One server socket.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Service {
    /// Its address.
    pub ip: IpAddr,
    /// Its port.
    pub port: u16,
    /// Client addresses that tried it.
    pub clients: u64,
    /// Connections, opened or not.
    pub connections: u64,
    /// Attempts to open.
    pub attempts: u64,
    /// Attempts that drew no answer.
    pub attempts_unanswered: u64,
    /// Attempts answered by RST.
    pub refused: u64,
    /// Closed first by the client.
    pub client_closes: u64,
    /// Closed first by the server: it held TIME-WAIT where both FINs were acknowledged.
    pub server_closes: u64,
    /// Ended by RST.
    pub resets: u64,
    /// Who closes first, in a sentence; absent where nothing closed in order.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub closes_first: Option<String>,
    /// How long the states of an orderly close last there; for the 50 busiest services.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(default)]
    pub states: Vec<StateDurations>,
}

/// How long connections of a service stay in one state of closing.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct StateDurations {
    /// `FIN-WAIT-1`, `FIN-WAIT-2`, `CLOSE-WAIT` or `LAST-ACK`, at whichever end was in it.
    pub state: &'static str,
    /// How many there are.
    pub count: u64,
    /// What half of them do not exceed, in milliseconds, to about a quarter.
    pub median_ms: f64,
    /// What 95 of 100 do not exceed, in milliseconds, to about a quarter.
    pub p95_ms: f64,
    /// The longest, in milliseconds.
    pub longest_ms: f64,
}

/// The TIME-WAITs of one host, rebuilt from the closes seen.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Population {
    /// The capture point it was seen at.
    pub point: String,
    /// Its address; behind NAT, that of all hosts there.
    pub ip: IpAddr,
    /// Closes that left a TIME-WAIT there.
    pub closes: u64,
    /// Most at one moment of the capture.
    pub peak: u64,
    /// The first such moment.
    #[schemars(with = "String")]
    pub peak_at: Time,
    /// The limit, where the capture shows that it was reached.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<u64>,
    /// How many there were at moments of equal distance; for the 20 hosts with most.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(default)]
    pub samples: Vec<Sample>,
}

/// A count at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Sample {
    /// When.
    #[schemars(with = "String")]
    pub at: Time,
    /// How many.
    pub count: u64,
}

/// The pings between two hosts, at one capture point or in the logs of one host.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Ping {
    /// The capture point, or the inputs of the logs.
    pub seen_in: String,
    /// Who asks; empty where a log does not tell.
    pub client: String,
    /// Who is asked.
    pub server: String,
    /// Requests.
    pub sent: u64,
    /// Those of them that were answered.
    pub answered: u64,
    /// What a quarter of the round trips do not exceed, in milliseconds.
    pub usual_ms: f64,
    /// The longest round trip, in milliseconds.
    pub longest_ms: f64,
    /// Stalls (STALL001).
    pub stalls: u64,
    /// What else they look like, in words; nothing where they are even.
    pub looks: Vec<String>,
}

/// One picture of the report.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct ChartEntry {
    /// The file's name beside `report.json`, without its ending.
    pub name: String,
    /// What it shows.
    pub title: String,
    /// The same in words, for people who cannot see it.
    pub alt: String,
    /// The finding it belongs to, by `id`; absent for pictures of the whole.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finding: Option<String>,
}
