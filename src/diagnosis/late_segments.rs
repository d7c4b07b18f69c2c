//! Late segments of one client address and server socket: what TW004 and TW005 have in common.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::{Case, Confidence, Finding, Rule, Severity, Subject};
use crate::connection::{Late, Side, Socket};
use crate::language::{Text, say};
use crate::time::Span;

/// Late segments by capture point, client address and server socket.
pub(super) type Groups<'a> = BTreeMap<(u16, IpAddr, Socket), Vec<Late<'a>>>;

/// Groups the late segments that `which` picks, each group in frame order.
pub(super) fn groups<'a>(case: &Case<'a>, which: impl Fn(&Late<'a>) -> bool) -> Groups<'a> {
    let mut groups = Groups::new();
    for late in case.evidence.shards.iter().flat_map(|shard| shard.late()).filter(which) {
        let key = (late.connection.point(), late.connection.client().ip, late.connection.server());
        groups.entry(key).or_default().push(late);
    }
    groups.values_mut().for_each(|late| late.sort_unstable_by_key(|late| late.frame));
    groups
}

/// A finding about such a group, to be filled in.
pub(super) fn finding(rule: &Rule, key: &(u16, IpAddr, Socket), severity: Severity, confidence: Confidence) -> Finding {
    let (point, client, server) = *key;
    let subject =
        Subject { client_ip: Some(client), server_ip: Some(server.ip), server_port: Some(server.port), host: None };
    rule.finding(severity, confidence, subject, Some(point))
}

/// How long after TIME-WAIT began a late segment came, where its connection left one.
pub(super) fn age(late: &Late<'_>) -> Option<Span> {
    late.connection.time_wait_from().map(|from| late.at.since(from))
}

/// The sender, in words.
pub(super) fn sender(late: &Late<'_>) -> Text {
    if late.by == Side::Client { say!("client") } else { say!("server") }
}
