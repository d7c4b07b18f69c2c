//! The SYN table: one row a SYN segment, in frame order, with its client clock, its fate and the cause.
//!
//! The columns are the contract of `lastack syns`.

use hashbrown::{HashMap, HashSet};

use super::table::{Column, put, put_address, put_number, put_some, put_with};
use crate::connection::{Side, Socket, Syn, SynFate};
use crate::diagnosis::{Case, letter};
use crate::evidence::pairs::{PairIndex, Which};

/// One SYN segment.
#[derive(Clone, Debug)]
pub struct Row<'a> {
    syn: Syn<'a>,
    /// The frame's number in its input, from 1.
    frame: u64,
    clock: Option<u8>,
    cause: &'static str,
}

/// All columns in order.
#[must_use]
pub fn columns<'a>() -> [Column<Row<'a>>; 13] {
    [
        ("point", |row, out| put_with(out, "p", u64::from(row.syn.connection.point()) + 1)),
        ("frame", |row, out| put_number(out, row.frame)),
        ("time", |row, out| put(out, row.syn.at)),
        ("client_ip", |row, out| put_address(out, row.sender().ip)),
        ("client_port", |row, out| put_number(out, row.sender().port)),
        ("server_ip", |row, out| put_address(out, row.receiver().ip)),
        ("server_port", |row, out| put_number(out, row.receiver().port)),
        ("isn", |row, out| put_number(out, row.syn.isn.0)),
        ("tsval", |row, out| put_some(out, row.syn.tsval)),
        ("retransmission", |row, out| put_number(out, u8::from(row.syn.retransmission))),
        ("clock", |row, out| put_some(out, row.clock.map(|clock| letter(usize::from(clock))))),
        ("fate", |row, out| out.push_str(row.syn.fate.name())),
        ("cause", |row, out| out.push_str(row.cause)),
    ]
}

/// What a person wants to see in a terminal's width.
pub const SHOWN: [&str; 10] =
    ["frame", "time", "client_ip", "client_port", "server_ip", "server_port", "tsval", "clock", "fate", "cause"];

impl Row<'_> {
    fn sender(&self) -> Socket {
        self.syn.connection.socket(if self.syn.by_server { Side::Server } else { Side::Client })
    }

    fn receiver(&self) -> Socket {
        self.syn.connection.socket(if self.syn.by_server { Side::Client } else { Side::Server })
    }

    /// Whether `--only` keeps it: `unanswered`, or a cause's code.
    #[must_use]
    pub fn is(&self, only: &str) -> bool {
        (only == "unanswered" && self.syn.fate == SynFate::None)
            || self.cause.split([':', '+']).any(|code| code == only)
    }
}

/// All rows in order of capture point and frame.
#[must_use]
pub fn rows<'a>(case: &Case<'a>) -> Vec<Row<'a>> {
    let evidence = case.evidence;
    let causes: HashMap<(u16, u64), &'static str> = case.unanswered().collect();
    let clocks = PairIndex::new(evidence, Which::All, &HashSet::new()).map(evidence, |pair| {
        let clocks = pair.clocks();
        let of = pair.syns.iter().zip(clocks.of).filter_map(|(syn, clock)| Some(((pair.point, syn.frame), clock?)));
        of.collect::<Vec<_>>()
    });
    let clocks: HashMap<(u16, u64), u8> = clocks.into_iter().flatten().collect();
    let mut rows: Vec<Row<'a>> = Vec::new();
    for syn in evidence.shards.iter().flat_map(|shard| shard.syns()) {
        let key = (syn.connection.point(), syn.frame);
        let clock = clocks.get(&key).copied();
        let cause = causes.get(&key).copied().unwrap_or("");
        rows.push(Row { frame: evidence.locate(key.0, key.1).1, syn, clock, cause });
    }
    rows.sort_unstable_by_key(|row| (row.syn.connection.point(), row.syn.frame));
    rows
}
