//! What cannot be judged because only a part of the captures was looked at (`--host`, `--port`, `--between`, `--filter`).

use super::{Case, NotJudged};
use crate::language::{Text, say};

/// One entry a group of rules that the part leaves without what they need.
pub(super) fn not_judged(case: &Case<'_>) -> Vec<NotJudged> {
    let Some(part) = &case.evidence.part else { return Vec::new() };
    let inputs = 0..case.evidence.inputs.len();
    let left: u64 = inputs.filter_map(|input| case.evidence.capture(input)).map(|c| c.frames.left_out).sum();
    let words = part.words();
    let entry = |rule, because: Text| NotJudged {
        rule,
        because: say!("{words} left {left} packets out: {because}", words, left, because),
        record_next: say!("nothing: run it again without {words}", words),
    };
    let mut entries = Vec::new();
    if part.takes_connections_apart() {
        entries.push(entry("CAP004", say!("a direction or flags take connections apart, so that answers and closes may be missing everywhere; no rule can be sure")));
    }
    if part.leaves_ends_out() {
        entries.push(entry("SYN001", say!("closes on other ports and of other hosts may have taught the server; what is judged here rests on the closes that were kept")));
        entries.push(entry("SYN007", say!("a scan shows by its many targets, which are left out")));
        entries.push(entry("TW002", say!("TIME-WAITs of other connections of the same hosts are not counted")));
        entries.push(entry("TW003", say!("ports that other connections hold are not counted")));
        entries
            .push(entry("CAP007", say!("copies on the other side of a NAT have other addresses and may be left out")));
    }
    if part.interval().is_some() {
        entries.push(entry(
            "TW001",
            say!(
                "connections that closed before the interval are unknown, and with them the reuse of their socket pairs"
            ),
        ));
        entries.push(entry("CW001", say!("what closed after the interval looks open")));
    }
    entries
}
