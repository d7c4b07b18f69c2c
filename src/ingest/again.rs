//! A second look at a few connections: their segments one by one, which the first pass did not keep.
//!
//! Pictures of single connections need them. Only regular files named or found in folders are read again, and only
//! their beginnings: standard input is gone, and nobody waits for a second pass over everything.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::walk::{self, Pieces};
use super::{Input, Kind};
use crate::capture::{Format, Walked};
use crate::connection::Socket;
use crate::input::{Origin, Source};
use crate::segment::{Batch, Decoder, Marks, PairHasher, Replace, Segment, ShardBatch};

/// A connection that is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// The number of its capture point.
    pub point: u16,
    /// Client and server.
    pub ends: (Socket, Socket),
    /// Its first and its last frame, from 0 at the capture point.
    pub frames: (u64, u64),
}

/// One of its segments.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// The frame, from 0 at the capture point.
    pub frame: u64,
    /// Whether the client sent it.
    pub from_client: bool,
    /// What it says.
    pub segment: Segment,
}

/// Octets of a file that are read again, unpacked.
const MOST: u64 = 256 << 20;
/// Segments of one connection that are kept.
const ROWS: usize = 4096;

/// The segments of each connection that is wanted, in frame order; none where they cannot be read again. With
/// `replace`, the ends that are wanted are those that took the place of the capture's.
#[must_use]
pub fn look_again(
    sources: &[Source],
    inputs: &[Input],
    wanted: &[Wanted],
    replace: Option<&dyn Replace>,
) -> Vec<Vec<Row>> {
    let mut rows = vec![Vec::new(); wanted.len()];
    #[cfg(feature = "columns")]
    let mut columns = super::rows::Places::of(sources);
    for input in inputs {
        let Kind::Capture(capture) = &input.kind else { continue };
        let end = capture.base.saturating_add(capture.frames.packets);
        let inside = |one: &Wanted| one.point == capture.point && one.frames.0 < end && one.frames.1 >= capture.base;
        let Some(until) = wanted.iter().filter(|one| inside(one)).map(|one| one.frames.1).max() else { continue };
        let source = sources.iter().find(|source| source.name == input.opened_as);
        let source = source.filter(|source| matches!(source.origin, Origin::File(_))).cloned();
        let mut search = Search {
            wanted,
            ports: client_ports(wanted),
            point: capture.point,
            next: capture.base,
            until,
            octets: 0,
            batch: Batch::default(),
            replace,
            rows: &mut rows,
        };
        #[cfg(feature = "columns")]
        if source.is_none() && columns.again(&input.opened_as, capture.base, &mut search) {
            continue;
        }
        // The inputs of a part are named in it alone.
        let Some(source) = source.or_else(|| Source::file(&input.opened_as)) else { continue };
        // What cannot be read again has no picture; the first pass has told why.
        if let Some((head, mut reader)) = walk::open(&source, &input.opened_as) {
            walk::walk(head, &mut reader, &mut search);
        }
    }
    rows
}

/// By number, whether a port is a client's among those wanted: most segments are none of theirs.
fn client_ports(wanted: &[Wanted]) -> Vec<bool> {
    let mut ports = vec![false; 1 << 16];
    for one in wanted {
        if let Some(port) = ports.get_mut(usize::from(one.ends.0.port)) {
            *port = true;
        }
    }
    ports
}

pub(super) struct Search<'a> {
    wanted: &'a [Wanted],
    ports: Vec<bool>,
    point: u16,
    /// The frame that comes next.
    next: u64,
    /// The last frame that is wanted.
    until: u64,
    /// Octets walked.
    octets: u64,
    batch: Batch,
    replace: Option<&'a dyn Replace>,
    rows: &'a mut Vec<Vec<Row>>,
}

impl Pieces for Search<'_> {
    fn piece<F: Format>(&mut self, format: &mut F, bytes: &[u8], start: usize) -> Option<Walked> {
        if self.next > self.until || self.octets > MOST {
            return None;
        }
        let (hasher, mut batch) = (PairHasher::default(), std::mem::take(&mut self.batch));
        let walked = format.walk(bytes, start, bytes.len(), &mut Decoder::new(&hasher, &mut batch));
        self.octets = self.octets.saturating_add(walked.place.saturating_sub(start) as u64);
        self.take(&batch);
        self.batch = batch;
        Some(walked)
    }
}

impl Search<'_> {
    /// Keeps what is wanted of a batch whose frames are counted from `base` at the capture point.
    #[cfg(feature = "columns")]
    pub(super) fn take_at(&mut self, batch: &Batch, base: u64) {
        self.next = base;
        self.take(batch);
    }

    /// Keeps what is wanted of a block.
    fn take(&mut self, batch: &Batch) {
        let first_new: Vec<usize> = self.rows.iter().map(Vec::len).collect();
        for shard in &batch.shards {
            for segment in &shard.segments {
                let known = |port: u16| self.ports.get(usize::from(port)).copied().unwrap_or(false);
                let likely = known(segment.src_port) || known(segment.dst_port);
                if likely && !segment.marks.has(Marks::ICMP_ERROR) {
                    self.segment(shard, segment);
                }
            }
        }
        for (rows, first) in self.rows.iter_mut().zip(first_new) {
            if let Some(new) = rows.get_mut(first..) {
                new.sort_by_key(|row| row.frame);
            }
        }
        self.next = self.next.saturating_add(batch.frames.packets);
    }

    fn segment(&mut self, shard: &ShardBatch, segment: &Segment) {
        let frame = self.next.saturating_add(u64::from(segment.frame));
        for (one, rows) in self.wanted.iter().zip(self.rows.iter_mut()) {
            if one.point != self.point || frame < one.frames.0 || frame > one.frames.1 || rows.len() >= ROWS {
                continue;
            }
            let ports = (segment.src_port, segment.dst_port);
            let (client, server) = one.ends;
            if ports != (client.port, server.port) && ports != (server.port, client.port) {
                continue;
            }
            let (src, dst) = addresses(shard, segment, self.replace);
            let ends = (Socket { ip: src, port: ports.0 }, Socket { ip: dst, port: ports.1 });
            let from_client = ends == (client, server);
            if from_client || ends == (server, client) {
                rows.push(Row { frame, from_client, segment: *segment });
            }
        }
    }
}

fn addresses(shard: &ShardBatch, segment: &Segment, replace: Option<&dyn Replace>) -> (IpAddr, IpAddr) {
    let wide = || shard.wides.get(segment.src as usize).copied().unwrap_or_default();
    let narrow = |address: u32| Ipv4Addr::from(address).to_ipv6_mapped().octets();
    let ends = match segment.marks.has(Marks::WIDE) {
        true => [wide().src, wide().dst],
        false => [narrow(segment.src), narrow(segment.dst)],
    };
    let [src, dst] = replace.map_or(ends, |replace| ends.map(|octets| replace.address(octets)));
    (Ipv6Addr::from(src).to_canonical(), Ipv6Addr::from(dst).to_canonical())
}
