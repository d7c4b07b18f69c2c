//! Evidence and findings become the report value, its tables counted in one pass over all connections.

use std::collections::BTreeMap;
use std::net::IpAddr;

use hashbrown::{HashMap, HashSet};

use super::closing;
use super::model::{CaptureFacts, Client, Input, Link, Point, Report, Service, Skipped, TcpCounts, Tool, Totals};
use crate::capture::LinkType;
use crate::connection::{Connection, Opened, Socket};
use crate::diagnosis::{Case, Verdict};
use crate::evidence::Evidence;
use crate::evidence::tally::Service as Counts;
use crate::ingest::{Capture, Kind};
use crate::time::Time;

/// Rows of `clients[]` and `services[]`: more help nobody.
const ROWS: usize = 1000;

/// Builds the report; charts are added by whoever draws them.
#[must_use]
pub fn build(case: &Case<'_>, verdict: Verdict) -> Report {
    let evidence = case.evidence;
    let hosts = super::hosts::hosts(case, &verdict.found);
    Report {
        schema: super::model::SCHEMA,
        tool: Tool { name: env!("CARGO_PKG_NAME"), version: env!("CARGO_PKG_VERSION") },
        language: case.language,
        options: options(case),
        inputs: inputs(evidence),
        points: points(evidence),
        links: links(case),
        totals: totals(evidence),
        syn_causes: case.syn_causes(),
        findings: verdict.found,
        not_judged: verdict.not_judged,
        clients: clients(evidence),
        services: services(evidence),
        pings: super::pings::pings(case),
        hosts,
        populations: closing::populations(case),
        charts: Vec::new(),
        gate: None,
    }
}

fn options(case: &Case<'_>) -> BTreeMap<&'static str, serde_json::Value> {
    let kernels: BTreeMap<String, String> =
        case.thresholds.kernels.iter().map(|(ip, version)| (ip.to_string(), version.to_string())).collect();
    let part = case.evidence.part.as_ref().map(|part| part.words());
    BTreeMap::from([
        ("part", serde_json::json!(part)),
        ("msl_s", case.thresholds.msl.secs().into()),
        ("kernels", serde_json::json!(kernels)),
    ])
}

fn links(case: &Case<'_>) -> Vec<Link> {
    let name = |point: u16| format!("p{}", point + 1);
    let one = |link: &crate::evidence::links::Link| Link {
        client_point: name(link.client_point),
        server_point: name(link.server_point),
        clock_offset_s: link.clock_offset.secs(),
        syns: link.syns,
        linked: link.linked,
        dropped_at_server: link.placed.at_server,
        lost_between: link.placed.between,
        answers_lost: link.placed.answer_lost,
    };
    case.links().links.iter().map(one).collect()
}

fn totals(evidence: &Evidence) -> Totals {
    let captures = || (0..evidence.inputs.len()).filter_map(|input| evidence.capture(input));
    let tally = &evidence.tally;
    let opened = |opened: Opened| tally.opens.get(&opened).copied().unwrap_or(0);
    Totals {
        packets: captures().map(|capture| capture.frames.packets).fold(0, u64::saturating_add),
        segments: captures().map(|capture| capture.frames.segments).fold(0, u64::saturating_add),
        connections: evidence.connection_count() as u64,
        attempts: evidence.connection_count() as u64 - opened(Opened::BeforeCapture),
        attempts_unanswered: opened(Opened::Unanswered) + opened(Opened::Unreachable),
        reuses: tally.reuses,
        opens: tally.opens.iter().map(|(opened, count)| (opened.name(), *count)).collect(),
        closes: tally.closes.iter().map(|(close, count)| (close.name(), *count)).collect(),
    }
}

fn clients(evidence: &Evidence) -> Vec<Client> {
    let mut sums: HashMap<IpAddr, Counts> = HashMap::new();
    for (ends, counts) in &evidence.tally.services {
        sums.entry(ends.client).or_default().add(counts);
    }
    let one = |(ip, counts): (IpAddr, Counts)| Client {
        ip,
        attempts: counts.attempts,
        attempts_unanswered: counts.unanswered,
        refused: counts.refused,
        opened: counts.opened,
        clocks: 0,
    };
    let mut clients: Vec<Client> = sums.into_iter().filter(|(_, counts)| counts.attempts > 0).map(one).collect();
    clients.sort_by(|one, other| {
        let worst = (other.attempts_unanswered, other.refused, other.attempts);
        worst.cmp(&(one.attempts_unanswered, one.refused, one.attempts)).then(one.ip.cmp(&other.ip))
    });
    clients.truncate(ROWS);
    clients
}

fn services(evidence: &Evidence) -> Vec<Service> {
    let mut sums: HashMap<Socket, (HashSet<IpAddr>, Counts)> = HashMap::new();
    for (ends, counts) in &evidence.tally.services {
        let (clients, sum) = sums.entry(ends.server).or_default();
        clients.insert(ends.client);
        sum.add(counts);
    }
    let one = |(server, (clients, counts)): (Socket, (HashSet<IpAddr>, Counts))| Service {
        ip: server.ip,
        port: server.port,
        clients: clients.len() as u64,
        connections: counts.connections,
        attempts: counts.attempts,
        attempts_unanswered: counts.unanswered,
        refused: counts.refused,
        client_closes: counts.client_closes,
        server_closes: counts.server_closes,
        resets: counts.resets,
        closes_first: closing::first(&counts),
        states: Vec::new(),
    };
    let mut services: Vec<Service> = sums.into_iter().map(one).collect();
    services.sort_by(|one, other| {
        let busiest = (other.attempts_unanswered, other.connections);
        busiest.cmp(&(one.attempts_unanswered, one.connections)).then((one.ip, one.port).cmp(&(other.ip, other.port)))
    });
    services.truncate(ROWS);
    closing::add_states(evidence, &mut services);
    services
}

fn inputs(evidence: &Evidence) -> Vec<Input> {
    let one = |(number, input): (usize, &crate::ingest::Input)| {
        let (kind, format, capture) = match &input.kind {
            Kind::Capture(capture) => {
                let streams = streams(evidence, number, capture);
                ("capture", Some(capture.format.to_owned()), Some(facts(capture, streams)))
            }
            Kind::Snapshot(text) => ("snapshot", Some(text.formats.join(", ")), None),
            Kind::Other => ("other", None, None),
        };
        Input {
            id: format!("i{}", number + 1),
            name: input.name.clone(),
            kind,
            format,
            bytes: input.bytes,
            digest: None,
            notes: input.notes.clone(),
            capture,
        }
    };
    evidence.inputs.iter().enumerate().map(one).collect()
}

/// Socket pairs whose first packet stands in an input.
fn streams(evidence: &Evidence, input: usize, capture: &Capture) -> u64 {
    if evidence.points.len() == 1 && evidence.inputs.len() == 1 {
        return evidence.connection_count().saturating_sub(evidence.tally.reused.len()) as u64;
    }
    let inside = |c: &Connection<'_>| {
        c.previous().is_none() && c.point() == capture.point && evidence.locate(c.point(), c.first().0).0 == input
    };
    evidence
        .workers
        .map(&evidence.shards, |_, shard| shard.connections().filter(inside).count() as u64)
        .into_iter()
        .sum()
}

fn facts(capture: &Capture, streams: u64) -> CaptureFacts {
    let frames = &capture.frames;
    let skipped = frames.skips.iter().map(|(reason, count, first)| Skipped {
        reason: reason.to_owned(),
        count,
        first_frame: first + 1,
    });
    let odd = frames.odd_records.iter().map(|(reason, count)| Skipped {
        reason: reason.to_string(),
        count: *count,
        first_frame: 0,
    });
    CaptureFacts {
        point: format!("p{}", capture.point + 1),
        packets: frames.packets,
        left_out: frames.left_out,
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
        duplicates: frames.duplicates,
        skipped: skipped.chain(odd).collect(),
        truncated: capture.truncated.clone(),
    }
}

fn points(evidence: &Evidence) -> Vec<Point> {
    let one = |(number, point): (u16, &crate::evidence::Point)| {
        let frames = || point.inputs.iter().filter_map(|input| Some(&evidence.capture(*input)?.frames));
        let packets = frames().map(|frames| frames.packets).fold(0, u64::saturating_add);
        Point {
            id: format!("p{}", number + 1),
            inputs: point.inputs.iter().map(|input| format!("i{}", input + 1)).collect(),
            first_packet: some(frames().map(|frames| frames.first_at).min().unwrap_or(Time::MAX), packets),
            last_packet: some(frames().map(|frames| frames.last_at).max().unwrap_or(Time::MIN), packets),
            connections: evidence.tally.by_point.get(&number).copied().unwrap_or(0),
        }
    };
    (0..).zip(&evidence.points).map(one).collect()
}

fn some(at: Time, packets: u64) -> Option<Time> {
    (packets > 0 && at != Time::MAX && at != Time::MIN).then_some(at)
}
