//! The client's own count of TIME-WAITs that a new connection of its own ended, beside the reuses seen.
//!
//! TWRecycled: `__inet_check_established()`, net/ipv4/inet_hashtables.c, where `tcp_twsk_unique()` (`tcp_tw_reuse`, or
//! bind() to the port) lets the port go. Where the client closed first and the counter stands still, something else
//! gave the port out again: a NAT.

use super::super::host_limits::line;
use super::super::{Case, Finding, number};
use super::{Group, Reuse};
use crate::connection::{Connection, Who};
use crate::evidence::hosts::{Delta, HostView};
use crate::language::{Text, say};
use crate::time::{Span, Time};

const RECYCLED: &str = "TcpExtTWRecycled";
/// Clocks of host and capture may differ by this much before coverage is doubted.
const SLACK: Span = Span::from_secs(5);

/// Holds a client's counter against its reuses, all of its servers together: the counter knows no server.
pub(super) fn weigh<'g, 'c: 'g>(
    case: &Case<'_>,
    finding: &mut Finding,
    group: &Group<'_, Reuse>,
    all: impl Iterator<Item = &'g Group<'c, Reuse>>,
) {
    let Some(host) = case.host_at(group.client) else { return };
    let same = |other: &&'g Group<'c, Reuse>| {
        other.point == group.point && case.host_at(other.client).is_some_and(|other| std::ptr::eq(other, host))
    };
    let own = |(_, reuse): &&(Connection<'_>, Reuse)| matches!(reuse.holder, Who::Client | Who::Both);
    let times: Vec<Time> = all
        .filter(same)
        .flat_map(|group| group.picked.iter().filter(own))
        .map(|(connection, _)| connection.first().1)
        .collect();
    let (Some(first), Some(last)) = (times.iter().min(), times.iter().max()) else { return };
    let reuses = times.len() as u64;
    let Some(told) = Told::of(host, *first, *last) else { return };
    finding.metric("tw_recycled", number(told.value));
    finding.summary.add(told.sentence(&host.name, reuses));
    finding.exhibit_all(told.lines);
}

/// What the counter says.
struct Told {
    value: u64,
    /// It grew by that much around all of the reuses; else it is the total since the host came up.
    around: bool,
    lines: Vec<super::super::Exhibit>,
}

impl Told {
    fn of(host: &HostView, first: Time, last: Time) -> Option<Self> {
        let around = |delta: &Delta| {
            delta.between.is_some_and(|(from, until)| from <= first.plus(SLACK) && until.plus(SLACK) >= last)
        };
        if let Some(delta) = host.delta(RECYCLED).filter(around) {
            let lines = vec![
                line(delta.sources.0, say!("TWRecycled {delta} before", delta = delta.first)),
                line(
                    delta.sources.1,
                    say!("TWRecycled {delta} after: {delta_2} more", delta = delta.last, delta_2 = delta.delta),
                ),
            ];
            return Some(Self { value: delta.delta, around: true, lines });
        }
        let (value, source) = host.counter(RECYCLED)?;
        // A total from before the last of them says nothing of it.
        host.when(source)?.1.filter(|at| at.plus(SLACK) >= last)?;
        Some(Self {
            value,
            around: false,
            lines: vec![line(source, say!("TWRecycled {value} since it came up", value))],
        })
    }

    fn sentence(&self, host: &str, reuses: u64) -> Text {
        let counted = if self.around { say!("grew by") } else { say!("stands at") };
        let verdict = match self.value.cmp(&reuses) {
            std::cmp::Ordering::Less => {
                say!(
                    "fewer: something else gave these ports out again, a NAT in front of the capture point, or the files are of another host"
                )
            }
            std::cmp::Ordering::Equal => say!("the same: tcp_tw_reuse, or bind(), let its own ports go early"),
            std::cmp::Ordering::Greater => {
                say!("tcp_tw_reuse, or bind(), let its own ports go early; the others are not in this capture")
            }
        };
        say!(
            " {reuses} of its reuses ended a TIME-WAIT of the client itself; its own counter ({host}), TWRecycled, {counted} {value}: {verdict}.",
            reuses,
            host,
            counted,
            value = self.value,
            verdict
        )
    }
}
