//! Evidence and findings become the report value, its tables counted in one pass over all connections.

use std::collections::BTreeMap;
use std::net::IpAddr;

use hashbrown::{HashMap, HashSet};

use super::model::{CaptureFacts, Client, Input, Point, Report, Service, Skipped, TcpCounts, Tool, Totals};
use crate::capture::LinkType;
use crate::connection::{Close, Connection, Opened, Socket, Who};
use crate::diagnosis::{Case, Verdict};
use crate::evidence::Evidence;
use crate::ingest::{Capture, Kind};
use crate::time::Time;

/// Rows of `clients[]` and `services[]`: more help nobody.
const ROWS: usize = 1000;

/// Builds the report; charts are added by whoever draws them.
#[must_use]
pub fn build(case: &Case<'_>, verdict: Verdict) -> Report {
    let evidence = case.evidence;
    let counts = Counts::of(evidence);
    Report {
        schema: "lastack-report/1",
        tool: Tool { name: env!("CARGO_PKG_NAME"), version: env!("CARGO_PKG_VERSION") },
        options: options(case),
        inputs: inputs(evidence, &counts),
        points: points(evidence, &counts),
        totals: counts.totals(evidence),
        syn_causes: case.syn_causes(),
        findings: verdict.found,
        not_judged: verdict.not_judged,
        clients: counts.clients(),
        services: counts.services(),
        hosts: Vec::new(),
        charts: Vec::new(),
    }
}

fn options(case: &Case<'_>) -> BTreeMap<&'static str, serde_json::Value> {
    let kernels: BTreeMap<String, String> =
        case.thresholds.kernels.iter().map(|(ip, version)| (ip.to_string(), version.to_string())).collect();
    BTreeMap::from([("msl_s", case.thresholds.msl.secs().into()), ("kernels", serde_json::json!(kernels))])
}

/// Counts over all connections.
#[derive(Default)]
struct Counts {
    opens: [u64; 9],
    closes: [u64; 9],
    attempts: u64,
    reuses: u64,
    by_point: HashMap<u16, u64>,
    streams: HashMap<usize, u64>,
    clients: HashMap<IpAddr, Client>,
    services: HashMap<Socket, Service>,
    clients_of: HashSet<(Socket, IpAddr)>,
}

const OPENED: [Opened; 9] = [
    Opened::Handshake,
    Opened::Simultaneous,
    Opened::HalfOpen,
    Opened::Aborted,
    Opened::Unanswered,
    Opened::Refused,
    Opened::Unreachable,
    Opened::Challenged,
    Opened::BeforeCapture,
];

const CLOSED: [Close; 9] = [
    Close::None,
    Close::FinReset,
    Close::Reset,
    Close::FinSimultaneous,
    Close::Fin,
    Close::HalfClosed,
    Close::FinUnanswered,
    Close::DataUnanswered,
    Close::Open,
];

impl Counts {
    fn of(evidence: &Evidence) -> Self {
        let mut counts = Self::default();
        for connection in evidence.shards.iter().flat_map(|shard| shard.connections()) {
            counts.add(evidence, connection);
        }
        counts
    }

    fn add(&mut self, evidence: &Evidence, connection: Connection<'_>) {
        let (opened, close) = (connection.opened(), connection.close());
        if let Some(count) = self.opens.get_mut(opened as usize) {
            *count += 1;
        }
        if let Some(count) = self.closes.get_mut(close as usize) {
            *count += 1;
        }
        *self.by_point.entry(connection.point()).or_default() += 1;
        match connection.previous() {
            Some(_) => self.reuses += u64::from(connection.reuse().is_some()),
            None => *self.streams.entry(evidence.locate(connection.point(), connection.first().0).0).or_default() += 1,
        }
        let attempt = u64::from(opened != Opened::BeforeCapture);
        self.attempts += attempt;
        let (client, server) = (connection.client().ip, connection.server());
        let (unanswered, refused) = (u64::from(failed(opened)), u64::from(opened == Opened::Refused));
        let of_client = self.clients.entry(client).or_insert_with(|| Client {
            ip: client,
            attempts: 0,
            attempts_unanswered: 0,
            refused: 0,
            opened: 0,
            clocks: 0,
        });
        of_client.attempts += attempt;
        of_client.attempts_unanswered += unanswered;
        of_client.refused += refused;
        of_client.opened += u64::from(connection.is_open());
        let service = self.services.entry(server).or_insert_with(|| empty(server));
        service.connections += 1;
        service.attempts += attempt;
        service.attempts_unanswered += unanswered;
        service.refused += refused;
        let closer = connection.active_closer();
        let reset = matches!(close, Close::Reset | Close::FinReset);
        service.client_closes += u64::from(!reset && matches!(closer, Who::Client | Who::Both));
        service.server_closes += u64::from(!reset && matches!(closer, Who::Server | Who::Both));
        service.resets += u64::from(reset);
        if self.clients_of.insert((server, client)) {
            service.clients += 1;
        }
    }

    fn totals(&self, evidence: &Evidence) -> Totals {
        let captures = || (0..evidence.inputs.len()).filter_map(|input| evidence.capture(input));
        let sum = |states: &[u64; 9], names: [&'static str; 9]| {
            names.into_iter().zip(*states).filter(|(_, count)| *count > 0).collect()
        };
        Totals {
            packets: captures().map(|capture| capture.frames.packets).sum(),
            segments: captures().map(|capture| capture.frames.segments).sum(),
            connections: evidence.connection_count() as u64,
            attempts: self.attempts,
            attempts_unanswered: [Opened::Unanswered, Opened::Unreachable]
                .iter()
                .filter_map(|opened| self.opens.get(*opened as usize))
                .sum(),
            reuses: self.reuses,
            opens: sum(&self.opens, OPENED.map(Opened::name)),
            closes: sum(&self.closes, CLOSED.map(Close::name)),
        }
    }

    fn clients(&self) -> Vec<Client> {
        let mut clients: Vec<Client> = self.clients.values().filter(|client| client.attempts > 0).cloned().collect();
        clients.sort_by(|one, other| {
            let worst = (other.attempts_unanswered, other.refused, other.attempts);
            worst.cmp(&(one.attempts_unanswered, one.refused, one.attempts)).then(one.ip.cmp(&other.ip))
        });
        clients.truncate(ROWS);
        clients
    }

    fn services(&self) -> Vec<Service> {
        let mut services: Vec<Service> = self.services.values().cloned().collect();
        services.sort_by(|one, other| {
            let busiest = (other.attempts_unanswered, other.connections);
            busiest
                .cmp(&(one.attempts_unanswered, one.connections))
                .then((one.ip, one.port).cmp(&(other.ip, other.port)))
        });
        services.truncate(ROWS);
        services
    }
}

/// An attempt that drew no SYN-ACK, challenge ACK or RST at all.
fn failed(opened: Opened) -> bool {
    matches!(opened, Opened::Unanswered | Opened::Unreachable)
}

fn empty(server: Socket) -> Service {
    Service {
        ip: server.ip,
        port: server.port,
        clients: 0,
        connections: 0,
        attempts: 0,
        attempts_unanswered: 0,
        refused: 0,
        client_closes: 0,
        server_closes: 0,
        resets: 0,
    }
}

fn inputs(evidence: &Evidence, counts: &Counts) -> Vec<Input> {
    let one = |(number, input): (usize, &crate::ingest::Input)| {
        let (kind, format, capture) = match &input.kind {
            Kind::Capture(capture) => {
                let streams = counts.streams.get(&number).copied().unwrap_or(0);
                ("capture", Some(capture.format.to_owned()), Some(facts(capture, streams)))
            }
            Kind::Other => ("other", None, None),
        };
        Input {
            id: format!("i{}", number + 1),
            name: input.name.clone(),
            kind,
            format,
            bytes: input.bytes,
            digest: None,
            capture,
        }
    };
    evidence.inputs.iter().enumerate().map(one).collect()
}

fn facts(capture: &Capture, streams: u64) -> CaptureFacts {
    let frames = &capture.frames;
    let skipped = frames.skips.iter().map(|(reason, count, first)| Skipped {
        reason: reason.to_owned(),
        count,
        first_frame: first + 1,
    });
    let odd = frames.odd_records.iter().map(|(reason, count)| Skipped {
        reason: (*reason).to_owned(),
        count: *count,
        first_frame: 0,
    });
    CaptureFacts {
        point: format!("p{}", capture.point + 1),
        packets: frames.packets,
        segments: frames.segments,
        slow_path: frames.slow_path,
        first_packet: some(frames.first_at, frames.packets),
        last_packet: some(frames.last_at, frames.packets),
        link_types: LinkType::names(frames.link_types),
        tcp: TcpCounts {
            streams,
            syn: frames.flags.syn,
            synack: frames.flags.syn_ack,
            fin: frames.flags.fin,
            rst: frames.flags.rst,
        },
        duplicates: 0,
        skipped: skipped.chain(odd).collect(),
        truncated: capture.truncated.clone(),
    }
}

fn points(evidence: &Evidence, counts: &Counts) -> Vec<Point> {
    let one = |(number, point): (u16, &crate::evidence::Point)| Point {
        id: format!("p{}", number + 1),
        inputs: point.inputs.iter().map(|input| format!("i{}", input + 1)).collect(),
        first_packet: (point.first_at != Time::MAX).then_some(point.first_at),
        last_packet: (point.last_at != Time::MIN).then_some(point.last_at),
        connections: counts.by_point.get(&number).copied().unwrap_or(0),
    };
    (0..).zip(&evidence.points).map(one).collect()
}

fn some(at: Time, packets: u64) -> Option<Time> {
    (packets > 0).then_some(at)
}
