//! Who scans or floods: many SYNs that never meant to connect. Other rules leave such clients alone.
//!
//! A scanner tries many ports or hosts and hardly ever exchanges data; a flood sends many SYNs to one socket and
//! never ends a handshake. A client whose connections work elsewhere is neither.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::Case;
use crate::connection::{Opened, Side, Socket};

/// Sockets that a scanner tries at least.
const SOCKETS: usize = 20;
/// Half-open connections that a flood leaves at least.
const HALF_OPEN: u64 = 50;

/// One client that scans, or one socket that is flooded.
#[derive(Clone, Debug, Default)]
pub(super) struct Suspects {
    /// Sockets tried and connections that carried data, by capture point and client.
    pub scanners: BTreeMap<(u16, IpAddr), Scanner>,
    /// By capture point and server socket.
    pub floods: BTreeMap<(u16, Socket), Flood>,
}

/// What a scanner did.
#[derive(Clone, Debug, Default)]
pub(super) struct Scanner {
    pub sockets: Vec<Socket>,
    pub attempts: u64,
    /// The first attempts, as exhibits.
    pub first: Vec<(u64, crate::time::Time, Socket)>,
}

/// What a flood left.
#[derive(Clone, Debug, Default)]
pub(super) struct Flood {
    pub half_open: u64,
    pub clients: std::collections::BTreeSet<IpAddr>,
    pub first: Vec<(u64, crate::time::Time, Socket)>,
}

/// Looks for them; only connections that never carried data can be a scanner's.
pub(super) fn suspects(case: &Case<'_>) -> Suspects {
    let mut suspects = Suspects::default();
    for connection in case.evidence.notable() {
        let opened = connection.opened();
        let idle = Side::BOTH.into_iter().all(|side| connection.endpoint(side).bytes == 0);
        if !idle || opened == Opened::BeforeCapture {
            continue;
        }
        let (frame, at) = connection.first();
        let fruitless = opened != Opened::Handshake || connection.close() != crate::connection::Close::Fin;
        if fruitless {
            let scanner = suspects.scanners.entry((connection.point(), connection.client().ip)).or_default();
            scanner.attempts += 1;
            scanner.sockets.push(connection.server());
            scanner.first.push((frame, at, connection.client()));
        }
        if opened == Opened::HalfOpen {
            let flood = suspects.floods.entry((connection.point(), connection.server())).or_default();
            flood.half_open += 1;
            flood.clients.insert(connection.client().ip);
            flood.first.push((frame, at, connection.client()));
        }
    }
    for scanner in suspects.scanners.values_mut() {
        scanner.sockets.sort_unstable();
        scanner.sockets.dedup();
        scanner.first.sort_unstable();
    }
    suspects.floods.values_mut().for_each(|flood| flood.first.sort_unstable());
    let services = &case.evidence.tally.services;
    let opened = |point: u16, client: IpAddr| -> u64 {
        let of_client = services.iter().filter(|(ends, _)| ends.point == point && ends.client == client);
        of_client.map(|(_, service)| service.opened).sum()
    };
    suspects.scanners.retain(|(point, client), scanner| {
        scanner.sockets.len() >= SOCKETS && opened(*point, *client).saturating_mul(2) <= scanner.attempts
    });
    suspects.floods.retain(|(point, server), flood| {
        let of_server = services.iter().filter(|(ends, _)| ends.point == *point && ends.server == *server);
        let opened: u64 = of_server.map(|(_, service)| service.opened).sum();
        flood.half_open >= HALF_OPEN && flood.half_open > opened
    });
    suspects
}

/// Whether a client scans.
pub(super) fn is_scan(case: &Case<'_>, point: u16, client: IpAddr) -> bool {
    case.suspects().scanners.contains_key(&(point, client))
}
