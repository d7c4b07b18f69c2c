//! Sockets of a host by service and by destination: states, accept queues, and what follows.

use std::collections::BTreeMap;

use super::{percent, verdict};
use crate::diagnosis::{Cell, Table};
use crate::evidence::hosts::{HostView, Listed};
use crate::language::{Text, say, words};
use crate::snapshot::{SocketRow, StateCounts, TcpState};

/// Services, and destinations, that are listed.
const SERVICES: usize = 30;
const DESTINATIONS: usize = 10;
/// Destinations with fewer sockets are not worth a line.
const FEW: u32 = 5;

/// One table a moment; of many moments the last.
pub(super) fn table(host: &HostView) -> Option<Table> {
    let listings = host.listings();
    let listed = listings.last()?;
    let mut rows = services(listed);
    rows.extend(destinations(host, listed));
    let when = listed.at.map_or_else(Text::default, |at| Text::value(format!(", {}", at.rfc3339())));
    Some(Table {
        title: say!("Sockets by service and destination ({listed}{when})", listed = listed.format(), when),
        columns: words!(
            "Service or destination",
            "Process",
            "ESTABLISHED",
            "CLOSE-WAIT",
            "TIME-WAIT",
            "SYN-RECEIVED",
            "other",
            "waiting for accept",
            "Verdict",
        )
        .map(Text::of)
        .to_vec(),
        rows,
    })
}

fn services(listed: &Listed<'_>) -> Vec<Vec<Cell>> {
    let mut listeners: BTreeMap<u16, Vec<&SocketRow>> = BTreeMap::new();
    for row in listed.in_state(TcpState::Listen) {
        if let Some(port) = row.local.port.number() {
            listeners.entry(port).or_default().push(row);
        }
    }
    let counts: BTreeMap<u16, StateCounts> = listed.ports().into_iter().collect();
    let mut services: Vec<_> =
        listeners.iter().filter_map(|(port, rows)| Some((*port, rows, counts.get(port)?))).collect();
    services.sort_by_key(|(port, _, counts)| (std::cmp::Reverse(counts.total()), *port));
    services.into_iter().take(SERVICES).map(|(port, rows, counts)| service(port, rows, counts)).collect()
}

fn service(port: u16, rows: &[&SocketRow], counts: &StateCounts) -> Vec<Cell> {
    let queues = rows.iter().filter_map(|row| Some((row.recv_q?, row.send_q?)));
    let queue = queues.max_by_key(|(waiting, limit)| (waiting > limit, *waiting));
    let owner = rows.iter().find_map(|row| row.process.as_ref()?.name.clone());
    let (close_wait, established) = (counts.get(TcpState::CloseWait), counts.get(TcpState::Established));
    let verdict = match queue {
        Some((waiting, limit)) if limit > 0 && waiting > limit => verdict::BAD_QUEUE,
        _ if close_wait >= 100 || close_wait >= 20 && close_wait * 10 > established => verdict::BAD_CLOSE_WAIT,
        _ if counts.get(TcpState::TimeWait) > established.max(100) => verdict::MANY_TIME_WAIT,
        _ => verdict::FINE,
    };
    let waiting = queue.map_or_else(Text::default, |(waiting, limit)| say!("{waiting} of {limit}", waiting, limit));
    let mut cells =
        vec![Cell::Text(say!("port {port}", port)), Cell::Text(Text::value(owner.as_deref().unwrap_or("")))];
    cells.extend(states(counts, 1));
    cells.extend([Cell::Text(waiting), Cell::Text(Text::of(verdict))]);
    cells
}

/// The columns of states; so many listeners are not counted among the others.
fn states(counts: &StateCounts, listeners: u64) -> Vec<Cell> {
    let shown = [TcpState::Established, TcpState::CloseWait, TcpState::TimeWait, TcpState::SynReceived];
    let own = shown.map(|state| counts.get(state));
    let listening = counts.get(TcpState::Listen).max(listeners.min(counts.get(TcpState::Listen)));
    let other = counts.total().saturating_sub(own.iter().sum()).saturating_sub(listening);
    own.into_iter().chain([other]).map(Cell::Count).collect()
}

fn destinations(host: &HostView, listed: &Listed<'_>) -> Vec<Vec<Cell>> {
    let limit = super::limits::ports(host).map(|(count, _)| count);
    let many = listed.destinations().into_iter().take_while(|(_, held)| held.sockets >= FEW).take(DESTINATIONS);
    let row = |(to, held): (crate::snapshot::Destination, crate::snapshot::Held)| {
        let share = limit.and_then(|limit| percent(held.sockets.into(), limit));
        let verdict = match share {
            Some(share) if share >= 95.0 => Text::of(verdict::PORTS_GONE),
            Some(share) if share >= 80.0 => Text::of(verdict::PORTS_NEAR),
            Some(share) => say!("{share} % of the ports: fine", share = format!("{share:.1}")),
            None => say!("the port range is not told"),
        };
        let other = held.sockets.saturating_sub(held.time_wait);
        vec![
            Cell::Text(say!("to {port}", port = std::net::SocketAddr::new(to.remote, to.port))),
            Cell::Text(Text::default()),
            Cell::Text(Text::default()),
            Cell::Text(Text::default()),
            Cell::Count(held.time_wait.into()),
            Cell::Text(Text::default()),
            Cell::Count(other.into()),
            Cell::Text(Text::default()),
            Cell::Text(verdict),
        ]
    };
    many.map(row).collect()
}
