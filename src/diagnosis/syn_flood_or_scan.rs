//! SYN007: many SYNs that never meant to connect.
//!
//! A scanner or a flood, as `scan` tells them. RFC 4987 describes floods and what helps.

use super::scan::{Flood, Scanner};
use super::{Case, Confidence, Exhibit, Finding, Rule, Severity, Subject, Verdict, number};
use crate::connection::Socket;
use crate::language::{Text, pages, plural, say};
use crate::time::Time;
use std::net::IpAddr;

pub(super) static RULE: Rule =
    Rule { code: "SYN007", name: "syn-flood-or-scan", explanation: pages!("syn_flood_or_scan"), judge };

fn judge(case: &Case<'_>) -> Verdict {
    let suspects = case.suspects();
    let scans = suspects.scanners.iter().map(|((point, client), scanner)| scan(case, *point, *client, scanner));
    let floods = suspects.floods.iter().map(|((point, server), seen)| flood(case, *point, *server, seen));
    Verdict { found: scans.chain(floods).collect(), not_judged: Vec::new() }
}

fn scan(case: &Case<'_>, point: u16, client: IpAddr, scanner: &Scanner) -> Finding {
    let subject = Subject { client_ip: Some(client), ..Subject::default() };
    let mut finding = RULE.finding(Severity::Info, Confidence::Medium, subject, Some(point));
    let sockets = scanner.sockets.len() as u64;
    finding.title = say!(
        "{client} scans: {attempts} to {sockets}, hardly any data",
        client,
        attempts = plural(scanner.attempts, "attempt"),
        sockets = plural(sockets, "server socket")
    );
    finding.summary = say!(
        "It tries many sockets and never talks. Its failures are no fault of the servers, and are left out of the other rules."
    );
    finding.metric("attempts", number(scanner.attempts));
    finding.metric("attempts_failed", number(scanner.attempts));
    finding.metric("syns_unanswered", 0.0);
    finding.metric("sockets", number(sockets));
    finding.exhibit_all(exhibits(case, point, &scanner.first, say!("an attempt without data")));
    finding.advise(say!("Find out who runs it; an inventory or a monitoring system looks just like this."));
    finding.references = vec!["RFC 4987".to_owned()];
    finding
}

fn flood(case: &Case<'_>, point: u16, server: Socket, seen: &Flood) -> Finding {
    let subject = Subject { server_ip: Some(server.ip), server_port: Some(server.port), ..Subject::default() };
    let mut finding = RULE.finding(Severity::Warning, Confidence::Medium, subject, Some(point));
    let clients = seen.clients.len() as u64;
    finding.title = say!(
        "{server} is flooded: {handshakes} left half-open by {addresses}",
        server,
        handshakes = plural(seen.half_open, "handshake"),
        addresses = plural(clients, "address")
    );
    finding.summary = say!(
        "SYN after SYN is answered and the answer never acknowledged. Either the senders are forged, or the way back from the server is broken for all of them."
    );
    finding.metric("attempts", number(seen.half_open));
    finding.metric("attempts_failed", number(seen.half_open));
    finding.metric("syns_unanswered", 0.0);
    finding.metric("clients", number(clients));
    finding.exhibit_all(exhibits(case, point, &seen.first, say!("a handshake that its sender never ended")));
    finding.advise_when(say!("on the server"), say!("`sysctl net.ipv4.tcp_syncookies` must be 1; `nstat -az TcpExtSyncookiesSent TcpExtTCPReqQFullDoCookies` shows them at work"));
    finding.references = vec!["RFC 4987 section 3.6".to_owned()];
    finding
}

fn exhibits(case: &Case<'_>, point: u16, first: &[(u64, Time, Socket)], what: Text) -> Vec<Exhibit> {
    first
        .iter()
        .map(|(frame, at, client)| case.exhibit(point, *frame, *at, say!("SYN from {client}: {what}", client, what)))
        .collect()
}
