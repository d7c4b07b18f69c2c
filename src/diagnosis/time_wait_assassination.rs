//! TW005: a RST ended a TIME-WAIT before 2MSL was over.
//!
//! RFC 1337; `tcp_timewait_state_process()` in net/ipv4/tcp_minisocks.c: with `tcp_rfc1337=0` a RST with the number
//! that is expected removes the bucket. A RST from the end that holds TIME-WAIT ends nothing; the RST of a client
//! that clears the way for its new SYN belongs to SYN008.

use super::finding::Exhibits;
use super::late_segments::{age, finding as blank, groups};
use super::{Case, Confidence, Finding, Rule, Severity, Verdict, number};
use crate::connection::{Late, LateKind, Socket};
use crate::language::{pages, plural, say};
use crate::time::Span;

pub(super) static RULE: Rule =
    Rule { code: "TW005", name: "time-wait-assassination", explanation: pages!("time_wait_assassination"), judge };

fn judge(case: &Case<'_>) -> Verdict {
    let two_msl = case.two_msl();
    let killed = groups(case, |late| kills(late, two_msl));
    Verdict { found: killed.iter().map(|(key, late)| finding(case, key, late)).collect(), not_judged: Vec::new() }
}

/// A RST to whoever holds TIME-WAIT, with the number it expects, while it does.
fn kills(late: &Late<'_>, two_msl: Span) -> bool {
    let holder = late.connection.time_wait_side();
    let to_holder = holder.includes(late.by.other()) && !holder.includes(late.by);
    let alive = age(late).is_some_and(|age| age.0 >= 0 && age < two_msl);
    late.kind == LateKind::Rst && late.expected && to_holder && alive
}

fn finding(case: &Case<'_>, key: &(u16, std::net::IpAddr, Socket), late: &[Late<'_>]) -> Finding {
    let (_, client, server) = *key;
    // A RST that is repeated ends no second TIME-WAIT.
    let mut pairs: Vec<(u32, u16)> =
        late.iter().map(|late| (late.connection.index(), late.connection.client().port)).collect();
    pairs.sort_unstable();
    pairs.dedup();
    let total = pairs.len() as u64;
    let soonest = late.iter().filter_map(age).min().unwrap_or_default();
    let by_client = late.iter().filter(|late| late.by == crate::connection::Side::Client).count() as u64;
    let mut finding = blank(&RULE, key, Severity::Info, Confidence::High);
    finding.title = say!(
        "{time_waits} between {client} and {server} ended by RST, the soonest after {soonest}",
        time_waits = plural(total, "TIME-WAIT"),
        client,
        server,
        soonest
    );
    finding.summary = say!(
        "A RST with the expected number came while the end that closed first held TIME-WAIT; with net.ipv4.tcp_rfc1337=0 it is gone from then on, and old segments may enter the pair's next connection. {by_client} came from the client, {by_client_2} from the server: mostly the answer to an ACK that a late segment had drawn.",
        by_client,
        by_client_2 = (late.len() as u64).saturating_sub(by_client)
    );
    finding.metric("time_waits", number(total));
    finding.metric("shortest_s", soonest.secs());
    let exhibit = |late: &Late<'_>| {
        let text = say!(
            "RST {late} after TIME-WAIT of port {port} began, with the number that is expected",
            late = age(late).unwrap_or_default(),
            port = late.connection.client().port
        );
        case.exhibit(key.0, late.frame, late.at, text)
    };
    finding.exhibit_all(Exhibits::of(late.iter(), |late| late.at, exhibit));
    finding.rule_out(say!("an aborted close (RST001)"), say!("both FINs had been acknowledged"));
    finding.advise(say!("Usually nothing. Many of them: find where the late segments come from (TW004)."));
    finding.advise(say!("net.ipv4.tcp_rfc1337=1 makes TIME-WAIT ignore RSTs, and with it those of clients that reuse a pair and clear the way (SYN008): they then time out."));
    finding.references =
        ["RFC 1337", "Linux net/ipv4/tcp_minisocks.c: tcp_timewait_state_process()"].map(str::to_owned).to_vec();
    finding
}
