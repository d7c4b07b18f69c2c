//! The connection table: one row for each incarnation of a socket pair at each capture point.
//!
//! The columns are the contract of `lastack connections`; every format that shows the table takes them from here.

use hashbrown::HashSet;

use super::table::{Column, Micros, put, put_address, put_number, put_some, put_with};
use crate::connection::{Connection, Side};
use crate::diagnosis::letter;
use crate::evidence::Evidence;
use crate::evidence::pairs::{PairIndex, Which};
use crate::time::Time;

/// One row: a connection, and where it stands in the table.
#[derive(Clone, Copy, Debug)]
pub struct Row<'a> {
    evidence: &'a Evidence,
    connection: Connection<'a>,
    /// From 1.
    number: u64,
    /// Which use of its socket pair it is, from 1.
    incarnation: u32,
    /// The row of the incarnation before.
    previous: u64,
    /// The client clock that its SYN lies on.
    clock: Option<u8>,
}

/// All columns in order.
#[must_use]
pub fn columns<'a>() -> [Column<Row<'a>>; 36] {
    [
        ("conn", |row, out| put_number(out, row.number)),
        ("point", |row, out| put_with(out, "p", u64::from(row.connection.point()) + 1)),
        ("input", |row, out| put_with(out, "i", row.located(row.connection.first().0).0 as u64 + 1)),
        ("tunnel", |row, out| put_some(out, row.connection.encapsulation())),
        ("incarnation", |row, out| put_number(out, row.incarnation)),
        ("client_ip", |row, out| put_address(out, row.connection.client().ip)),
        ("client_port", |row, out| put_number(out, row.connection.client().port)),
        ("server_ip", |row, out| put_address(out, row.connection.server().ip)),
        ("server_port", |row, out| put_number(out, row.connection.server().port)),
        ("first_frame", |row, out| put_number(out, row.located(row.connection.first().0).1)),
        ("last_frame", |row, out| put_number(out, row.located(row.connection.last().0).1)),
        ("first_seen", |row, out| put(out, row.connection.first().1)),
        ("last_seen", |row, out| put(out, row.connection.last().1)),
        ("opened", |row, out| out.push_str(row.connection.opened().name())),
        ("syn_count", |row, out| put_number(out, row.connection.syn_count())),
        ("synack_count", |row, out| put_number(out, row.connection.syn_ack_count())),
        ("handshake_ms", |row, out| put_some(out, row.connection.handshake().map(Micros::as_millis))),
        ("client_isn", |row, out| put_some(out, row.connection.client_isn())),
        ("client_tsval", |row, out| put_some(out, row.connection.syn_tsval())),
        ("client_clock", |row, out| put_some(out, row.clock.map(|clock| letter(usize::from(clock))))),
        ("close", |row, out| out.push_str(row.connection.close().name())),
        ("active_closer", |row, out| out.push_str(row.connection.active_closer().name())),
        ("time_wait_side", |row, out| out.push_str(row.connection.time_wait_side().name())),
        ("time_wait_from", |row, out| put_some(out, row.connection.time_wait_from())),
        ("close_wait_side", |row, out| out.push_str(row.connection.close_wait_side().name())),
        ("close_wait_s", |row, out| put_some(out, row.connection.close_wait(row.end()).map(Micros::as_secs))),
        ("fin_wait_2_s", |row, out| put_some(out, row.connection.fin_wait_2(row.end()).map(Micros::as_secs))),
        ("reset_by", |row, out| out.push_str(row.connection.reset_by().name())),
        ("history", |row, out| put(out, row.connection.history())),
        ("client_packets", |row, out| put_number(out, row.connection.endpoint(Side::Client).packets)),
        ("client_bytes", |row, out| put_number(out, row.connection.endpoint(Side::Client).bytes)),
        ("server_packets", |row, out| put_number(out, row.connection.endpoint(Side::Server).packets)),
        ("server_bytes", |row, out| put_number(out, row.connection.endpoint(Side::Server).bytes)),
        ("reuse_of", |row, out| put_some(out, row.connection.reuse().map(|_| row.previous))),
        ("reuse_interval_s", |row, out| put_some(out, row.connection.reuse().map(|(span, _)| Micros::as_secs(span)))),
        ("reuse_outcome", |row, out| out.push_str(row.connection.reuse().map_or("", |(_, outcome)| outcome.name()))),
    ]
}

impl Row<'_> {
    fn located(&self, frame: u64) -> (usize, u64) {
        self.evidence.locate(self.connection.point(), frame)
    }

    fn end(&self) -> Time {
        self.evidence.end_of(self.connection.point())
    }
}

/// All rows in order of capture point and first packet.
pub fn rows(evidence: &Evidence) -> impl Iterator<Item = Row<'_>> {
    rows_with(evidence, client_clocks(evidence))
}

/// The same where nobody looks at the column `client_clock`, which takes longer than all others.
pub fn rows_without_clocks(evidence: &Evidence) -> impl Iterator<Item = Row<'_>> {
    rows_with(evidence, Vec::new())
}

fn rows_with(evidence: &Evidence, clocks: Vec<Vec<u8>>) -> impl Iterator<Item = Row<'_>> {
    // For each record of each shard, its row and which use of its socket pair it is.
    let mut known: Vec<Vec<(u32, u32)>> = evidence.shards.iter().map(|shard| Vec::with_capacity(shard.len())).collect();
    evidence.connections().zip(1_u64..).map(move |((shard, connection), number)| {
        let of_shard = known.get_mut(shard);
        let before = connection.previous().map(crate::connection::Connection::index);
        let (previous, uses) = match (&of_shard, before) {
            (Some(of_shard), Some(before)) => of_shard.get(before as usize).copied().unwrap_or((0, 0)),
            _ => (0, 0),
        };
        if let Some(of_shard) = of_shard {
            of_shard.push((u32::try_from(number).unwrap_or(u32::MAX), uses + 1));
        }
        let clock = clocks.get(shard).and_then(|of_shard| of_shard.get(connection.index() as usize)).copied();
        let clock = clock.filter(|clock| *clock != NO_CLOCK);
        Row { evidence, connection, number, incarnation: uses + 1, previous: u64::from(previous), clock }
    })
}

/// What a person wants to see in a terminal's width.
pub const SHOWN: [&str; 10] = [
    "conn",
    "client_ip",
    "client_port",
    "server_ip",
    "server_port",
    "opened",
    "close",
    "active_closer",
    "time_wait_side",
    "history",
];

/// Stands for a connection whose clock cannot be told.
const NO_CLOCK: u8 = u8::MAX;

/// The client clock of every connection, by shard and index.
fn client_clocks(evidence: &Evidence) -> Vec<Vec<u8>> {
    let mut clocks: Vec<Vec<u8>> = evidence.shards.iter().map(|shard| vec![NO_CLOCK; shard.len()]).collect();
    let pairs = PairIndex::new(evidence, Which::All, &HashSet::new()).map(evidence, |pair| {
        let of = pair.clocks().of;
        let firsts = pair.syns.iter().zip(of).filter(|(syn, _)| !syn.retransmission);
        firsts.filter_map(|(syn, clock)| Some((syn.connection, clock?))).collect::<Vec<_>>()
    });
    for ((shard, index), clock) in pairs.into_iter().flatten() {
        if let Some(place) = clocks.get_mut(usize::from(shard)).and_then(|of_shard| of_shard.get_mut(index as usize)) {
            *place = clock;
        }
    }
    clocks
}
