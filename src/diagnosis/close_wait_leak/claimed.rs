//! CLOSE-WAIT by process and service, as the host lists its sockets.
//!
//! The FIN counts as one byte of Recv-Q: 1 means that the application has read everything and does not close, more
//! that it has not read at all (Linux net/ipv4/tcp_input.c, `tcp_fin()`; measured). No owner and a filled accept
//! queue: the application never took the connection.

use std::collections::BTreeMap;

use super::super::claims::{Claims, hosts_left, percent};
use super::super::host_limits::line;
use super::super::{Case, Cell, Confidence, Finding, Severity, Table, number};
use super::RULE;
use crate::evidence::hosts::Listed;
use crate::language::{Text, say, words};
use crate::snapshot::{SocketRow, TcpState};
use crate::time::Span;

/// So many of one process are a leak; from fewer on, as a share of its connections.
const MANY: usize = 100;
const SOME: usize = 20;
const SHARE: f64 = 10.0;
/// Nothing received for so long: no burst of a shutdown.
const OLD: Span = Span::from_secs(300);

/// The owner as printed, and the service: its own listening port, or the peer it called.
type Key = (Text, Text);

/// What hosts say where no packets do.
pub(super) fn findings(case: &Case<'_>, found: &[Finding]) -> Vec<Finding> {
    hosts_left(case, &RULE, found).iter().filter_map(finding).collect()
}

/// The CLOSE-WAITs of one owner at one service.
#[derive(Default)]
struct Held<'a> {
    rows: Vec<&'a SocketRow>,
    established: u64,
}

impl Held<'_> {
    fn is_leak(&self) -> bool {
        let all = self.established + self.rows.len() as u64;
        let share = percent(self.rows.len() as u64, all).unwrap_or(0.0);
        self.rows.len() >= MANY || self.rows.len() >= SOME && share > SHARE
    }

    fn share(&self, is: impl Fn(&SocketRow) -> bool) -> f64 {
        let count = self.rows.iter().filter(|row| is(row)).count() as u64;
        percent(count, self.rows.len() as u64).unwrap_or(0.0)
    }
}

fn finding(host: &Claims<'_>) -> Option<Finding> {
    let listings = host.host.listings();
    let moments: Vec<BTreeMap<Key, Held<'_>>> = listings.iter().map(groups).collect();
    let leaks = moments.iter().zip(&listings).flat_map(|(groups, listed)| {
        groups.iter().filter(|(_, held)| held.is_leak()).map(move |(key, held)| (key, held, listed))
    });
    let (key, held, listed) = leaks.max_by_key(|(_, held, _)| held.rows.len())?;
    let counts: Vec<u64> =
        moments.iter().filter_map(|groups| groups.get(key)).map(|held| held.rows.len() as u64).collect();
    let growing = counts.len() > 1 && counts.is_sorted() && counts.first() < counts.last();
    let total = held.rows.len() as u64;
    let old = held.share(|row| row.last_received.is_some_and(|since| since >= OLD)) >= 50.0;
    let hung = held.share(|row| row.recv_q.is_some_and(|unread| unread > 1)) >= 50.0;
    let ownerless = |row: &SocketRow| row.inode == Some(0) || listed.tells_owners() && row.process.is_none();
    let waiting = queue(listed, &held.rows);
    let unaccepted = held.share(ownerless) >= 50.0 && waiting.is_some_and(|(_, waiting)| waiting > 0);
    let sure = growing || old || hung || unaccepted;
    let severity = if sure && held.rows.len() >= MANY { Severity::Critical } else { Severity::Warning };
    let confidence = if sure { Confidence::High } else { Confidence::Medium };
    let (owner, service) = key;
    let title = say!("{owner} leaves {total} connections of {service} in CLOSE-WAIT", owner, total, service);
    let how = if unaccepted {
        say!(
            "They have no owner, and connections wait to be accepted: the application does not accept, and the peers gave up."
        )
    } else if hung {
        say!("Most have data unread: the application does not even read. A thread is stuck; take its stack.")
    } else {
        say!(
            "Most are read to the end (Recv-Q 1 is the FIN): the application got the end of stream and forgot to close."
        )
    };
    let sequence = if growing {
        say!("At the moments told there were {counts}.", counts = joined(&counts))
    } else {
        Text::default()
    };
    let summary =
        say!("The peers closed; only the application can end these connections, and no timer or setting does.")
            .then(how)
            .then(sequence);
    let mut finding = host.finding(severity, confidence, title, summary);
    finding.metric("connections", number(total));
    finding.metric("longest_s", held.rows.iter().filter_map(|row| row.last_received).max().unwrap_or_default().secs());
    finding.metric("unread_percent", held.share(|row| row.recv_q.is_some_and(|unread| unread > 1)));
    finding.tables.push(table(&moments));
    let mut exhibits: Vec<_> = waiting
        .map(|(row, waiting)| line(row.source, say!("{waiting} wait to be accepted", waiting)))
        .into_iter()
        .collect();
    exhibits.extend(held.rows.iter().map(|row| {
        line(row.source, say!("CLOSE-WAIT, {recv_q} bytes in Recv-Q, {owner}", recv_q = row.recv_q.unwrap_or(0), owner))
    }));
    finding.exhibit_all(exhibits);
    if !sure {
        finding.advise(say!("One listing may show a burst: list again after a minute (ss -tanpoi state close-wait; lastrcv tells how old they are)."));
    }
    finding.advise(say!("In {owner}: look for a missing close() on the paths for errors and end of stream; for stuck threads take stacks (jstack, gdb, py-spy).", owner));
    finding.advise(say!("No kernel setting helps: keepalive only ends connections whose peer is gone, tcp_fin_timeout is for FIN-WAIT-2."));
    finding.refer(&["RFC 9293 section 3.6", "Linux net/ipv4/tcp_input.c: tcp_fin()"]);
    Some(finding)
}

fn groups<'a>(listed: &Listed<'a>) -> BTreeMap<Key, Held<'a>> {
    let listening = listed.listening_ports();
    let mut groups: BTreeMap<Key, Held<'a>> = BTreeMap::new();
    for row in listed.rows() {
        let known = matches!(row.state, Some(TcpState::CloseWait | TcpState::Established));
        let (true, Some(port)) = (known, row.local.port.number()) else { continue };
        let service = if listening.contains(&port) {
            say!("port {port}", port)
        } else {
            match (row.remote.host.ip(), row.remote.port.number()) {
                (Some(ip), Some(port)) => Text::value(std::net::SocketAddr::new(ip, port).to_string()),
                _ => say!("a named host"),
            }
        };
        let owner = row.process.as_ref().map(|process| match (&process.name, process.pid) {
            (Some(name), Some(pid)) => Text::value(format!("{name} ({pid})")),
            (Some(name), None) => Text::value(&**name),
            (None, pid) => say!("process {pid}", pid = pid.unwrap_or(0)),
        });
        let group = groups.entry((owner.unwrap_or_else(|| say!("the application")), service)).or_default();
        if row.state == Some(TcpState::CloseWait) { group.rows.push(row) } else { group.established += 1 }
    }
    groups
}

/// The listener of these connections, and how many wait there.
fn queue<'a>(listed: &Listed<'a>, rows: &[&SocketRow]) -> Option<(&'a SocketRow, u32)> {
    let port = rows.first()?.local.port.number()?;
    let row = listed.in_state(TcpState::Listen).find(|row| row.local.port.number() == Some(port))?;
    Some((row, row.recv_q?))
}

fn table(moments: &[BTreeMap<Key, Held<'_>>]) -> Table {
    let last = moments.last().into_iter().flatten().filter(|(_, held)| !held.rows.is_empty());
    let mut rows: Vec<_> = last.collect();
    rows.sort_by_key(|(_, held)| std::cmp::Reverse(held.rows.len()));
    let row = |((owner, service), held): (&Key, &Held<'_>)| {
        vec![
            Cell::Text(owner.clone()),
            Cell::Text(service.clone()),
            Cell::Count(held.rows.len() as u64),
            Cell::Count(held.established),
        ]
    };
    Table {
        title: say!("CLOSE-WAIT by owner and service"),
        columns: words!("owner", "service", "CLOSE-WAIT", "ESTABLISHED").map(Text::of).to_vec(),
        rows: rows.into_iter().take(10).map(row).collect(),
    }
}

fn joined(counts: &[u64]) -> String {
    counts.iter().map(u64::to_string).collect::<Vec<_>>().join(", ")
}
