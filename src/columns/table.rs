//! Rows on their way into columns.

use std::sync::Arc;

use arrow_array::{
    Array, ArrayRef, BinaryArray, Int8Array, Int16Array, Int32Array, Int64Array, RecordBatch, StringArray,
};
use arrow_buffer::{Buffer, NullBuffer, OffsetBuffer};

use super::{Error, Kind, schema};
use crate::segment::{Batch, Echo, Fragment, Labels, Marks, PairHasher, Segment, ShardBatch, Tunnel, Wide};

/// Where a row comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Stands for the capture.
    pub file: i64,
    /// The first octet of the range of it.
    pub from: i64,
    /// Frames of the range before this batch.
    pub base: u64,
}

/// Rows, column by column.
#[derive(Debug, Default)]
pub struct Table {
    kind: Vec<i8>,
    file: Vec<i64>,
    from: Vec<i64>,
    frame: Vec<i64>,
    piece: Vec<i32>,
    pair: Vec<i32>,
    time: Vec<i64>,
    src: Vec<u8>,
    dst: Vec<u8>,
    src_port: Vec<i32>,
    dst_port: Vec<i32>,
    seq: Vec<i64>,
    ack: Vec<i64>,
    tsval: Vec<i64>,
    tsecr: Vec<i64>,
    /// Whether `tsval` and `tsecr` say anything.
    stamped: Vec<bool>,
    payload: Vec<i64>,
    flags: Vec<i16>,
    marks: Vec<i16>,
    window: Vec<i32>,
    mss: Vec<i32>,
    window_scale: Vec<i16>,
    layout: Vec<i64>,
    ttl: Vec<i16>,
    ident: Vec<i32>,
    checksum: Vec<i32>,
    tunnel: Texts,
    labels: Texts,
    head: Vec<(usize, Vec<u8>)>,
    facts: Texts,
}

/// Texts that few rows have, by their rows.
type Texts = Vec<(usize, String)>;

/// The lists of a batch, in the upper bits of what it is sorted by.
const ECHOES: u64 = 30;
const FRAGMENTS: u64 = 31;

impl Table {
    /// How many rows there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.kind.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.kind.is_empty()
    }

    /// Adds all rows of a batch in the order of their frames. `hasher` gives the column `pair`, and gave the hashes of the
    /// segments.
    pub fn batch(&mut self, batch: &Batch, place: Place, hasher: &PairHasher) {
        for key in order(batch) {
            let (list, index) = (key >> 27 & 0x1f, (key & 0x07ff_ffff) as usize);
            match list {
                ECHOES => batch.echoes.get(index).into_iter().for_each(|echo| self.echo(echo, place, hasher)),
                FRAGMENTS => {
                    batch.fragments.get(index).into_iter().for_each(|fragment| self.fragment(fragment, place, hasher));
                }
                shard => {
                    let shard = batch.shards.get(shard as usize);
                    let segment = shard.and_then(|shard| Some((shard, shard.segments.get(index)?)));
                    let Some((shard, segment)) = segment else { continue };
                    self.segment(segment, 0, shard, &batch.tunnels, place);
                }
            }
        }
    }

    /// Adds one segment; `piece` counts those of one frame.
    pub fn segment(&mut self, segment: &Segment, piece: i32, shard: &ShardBatch, tunnels: &[Tunnel], place: Place) {
        let is_error = segment.marks.has(Marks::ICMP_ERROR);
        self.begin(if is_error { Kind::IcmpError } else { Kind::Segment }, segment.frame, place);
        let row = self.len() - 1;
        if segment.marks.has(Marks::WIDE) {
            let wide = shard.wides.get(segment.src as usize).copied().unwrap_or_default();
            self.ends(&wide.src, &wide.dst);
            if let Some(tunnel) = tunnel_of(wide, tunnels) {
                self.tunnel.push((row, tunnel.to_string()));
            }
        } else {
            self.ends(&mapped(segment.src), &mapped(segment.dst));
        }
        if !shard.labels.is_empty()
            && let Some(labels) = shard.labels_of(segment.frame)
        {
            self.labels.push((row, labels.to_string()));
        }
        self.piece.push(piece);
        self.pair.push(segment.hash.cast_signed());
        self.time.push(segment.at.0);
        self.src_port.push(segment.src_port.into());
        self.dst_port.push(segment.dst_port.into());
        self.seq.push(segment.seq.0.into());
        self.ack.push(segment.ack.0.into());
        self.tsval.push(segment.tsval.0.into());
        self.tsecr.push(segment.tsecr.0.into());
        self.stamped.push(segment.marks.has(Marks::TIMESTAMPS));
        self.payload.push(segment.payload.into());
        self.flags.push(segment.flags.0.into());
        self.marks.push((segment.marks.0 & !Marks::WIDE).into());
        self.window.push(segment.window.into());
        self.mss.push(segment.mss.into());
        self.window_scale.push(segment.window_scale.into());
        self.layout.push(segment.layout.into());
        self.ttl.push(segment.ttl.into());
        self.ident.push(segment.ident.into());
        self.checksum.push(segment.checksum.into());
    }

    /// An echo: `seq` its sequence number, `ack` what stands for its data, `ident` its identifier, `flags` 1 for a reply.
    fn echo(&mut self, echo: &Echo, place: Place, hasher: &PairHasher) {
        self.begin(Kind::Echo, echo.frame, place);
        self.ends(&echo.src, &echo.dst);
        self.plain(hasher.wide(&echo.src, echo.id, &echo.dst, echo.id, 0), echo.at.0);
        self.seq.push(echo.sequence.into());
        self.ack.push(echo.fingerprint.into());
        self.flags.push(echo.reply.into());
        self.ident.push(echo.id.into());
        self.payload.push(0);
        self.ttl.push(0);
    }

    /// A fragment: `seq` its offset, `ack` its identification, `payload` its length, `flags` 1 where others follow.
    fn fragment(&mut self, fragment: &Fragment, place: Place, hasher: &PairHasher) {
        self.begin(Kind::Fragment, fragment.frame, place);
        let row = self.len() - 1;
        self.ends(&fragment.src, &fragment.dst);
        if !fragment.tunnel.identity_is_empty() {
            self.tunnel.push((row, fragment.tunnel.to_string()));
        }
        if !fragment.tunnel.labels().is_empty() {
            self.labels.push((row, fragment.tunnel.labels().to_string()));
        }
        self.head.push((row, fragment.head.clone()));
        self.plain(hasher.wide(&fragment.src, 0, &fragment.dst, 0, fragment.tunnel.identity_hash()), fragment.at.0);
        self.seq.push(fragment.offset.into());
        self.ack.push(fragment.id.into());
        self.flags.push(fragment.more.into());
        self.ident.push(0);
        self.payload.push(fragment.length.into());
        self.ttl.push(fragment.ttl.into());
    }

    /// Adds a row of facts, for programs and for people.
    pub fn facts(&mut self, kind: Kind, place: Place, time: i64, encoded: Vec<u8>, shown: String) {
        self.begin(kind, 0, place);
        let row = self.len() - 1;
        self.head.push((row, encoded));
        self.facts.push((row, shown));
        self.ends(&[0; 16], &[0; 16]);
        self.plain(0, time);
        self.seq.push(0);
        self.ack.push(0);
        self.flags.push(0);
        self.ident.push(0);
        self.payload.push(0);
        self.ttl.push(0);
    }

    fn begin(&mut self, kind: Kind, frame: u32, place: Place) {
        self.kind.push(kind as i8);
        self.file.push(place.file);
        self.from.push(place.from);
        self.frame.push(place.base.saturating_add(frame.into()).cast_signed());
    }

    fn ends(&mut self, src: &[u8; 16], dst: &[u8; 16]) {
        self.src.extend_from_slice(src);
        self.dst.extend_from_slice(dst);
    }

    /// What rows that are no segments have alike.
    fn plain(&mut self, pair: u32, time: i64) {
        self.piece.push(0);
        self.pair.push(pair.cast_signed());
        self.time.push(time);
        self.src_port.push(0);
        self.dst_port.push(0);
        self.tsval.push(0);
        self.tsecr.push(0);
        self.stamped.push(false);
        self.marks.push(0);
        self.window.push(0);
        self.mss.push(0);
        self.window_scale.push(0);
        self.layout.push(0);
        self.checksum.push(0);
    }

    /// Stands for what the rows say, in any order and wherever they lie.
    #[must_use]
    pub fn digest(&self) -> u64 {
        const MIX: u64 = 0x9e37_79b9_7f4a_7c15;
        let mix = |state: u64, value: i64| (state ^ value.cast_unsigned()).wrapping_mul(MIX).rotate_left(29);
        let numbers = self.time.iter().zip(&self.pair).zip(self.seq.iter().zip(&self.ack));
        let rest = self.payload.iter().zip(self.flags.iter().zip(&self.checksum));
        numbers.zip(rest).fold(0, |sum: u64, (((time, pair), (seq, ack)), (payload, (flags, checksum)))| {
            let small = *payload << 32 | i64::from(*checksum) << 16 | i64::from(*flags);
            sum.wrapping_add(mix(mix(mix(mix(MIX, *time), *seq << 32 ^ *ack), small), i64::from(*pair)))
        })
    }

    /// The columns.
    ///
    /// # Errors
    /// If Arrow refuses them, which would be a defect.
    pub fn finish(self) -> Result<RecordBatch, Error> {
        let rows = self.len();
        let stamped = NullBuffer::from(self.stamped);
        let offsets = OffsetBuffer::from_lengths(std::iter::repeat_n(16, rows));
        let addresses = |octets: Vec<u8>| BinaryArray::try_new(offsets.clone(), Buffer::from_vec(octets), None);
        let stamps = |stamps: Vec<i64>, nulls: NullBuffer| Int64Array::new(stamps.into(), Some(nulls));
        let columns: Vec<ArrayRef> = vec![
            Arc::new(Int8Array::from(self.kind)),
            Arc::new(Int64Array::from(self.file)),
            Arc::new(Int64Array::from(self.from)),
            Arc::new(Int64Array::from(self.frame)),
            Arc::new(Int32Array::from(self.piece)),
            Arc::new(Int32Array::from(self.pair)),
            Arc::new(Int64Array::from(self.time)),
            Arc::new(addresses(self.src)?),
            Arc::new(addresses(self.dst)?),
            Arc::new(Int32Array::from(self.src_port)),
            Arc::new(Int32Array::from(self.dst_port)),
            Arc::new(Int64Array::from(self.seq)),
            Arc::new(Int64Array::from(self.ack)),
            Arc::new(stamps(self.tsval, stamped.clone())),
            Arc::new(stamps(self.tsecr, stamped)),
            Arc::new(Int64Array::from(self.payload)),
            Arc::new(Int16Array::from(self.flags)),
            Arc::new(Int16Array::from(self.marks)),
            Arc::new(Int32Array::from(self.window)),
            Arc::new(Int32Array::from(self.mss)),
            Arc::new(Int16Array::from(self.window_scale)),
            Arc::new(Int64Array::from(self.layout)),
            Arc::new(Int16Array::from(self.ttl)),
            Arc::new(Int32Array::from(self.ident)),
            Arc::new(Int32Array::from(self.checksum)),
            texts(self.tunnel, rows),
            texts(self.labels, rows),
            octets(self.head, rows),
            texts(self.facts, rows),
        ];
        Ok(RecordBatch::try_new(schema(), columns)?)
    }
}

/// Frame, list and place in the list of every row of a batch, in the order of frames.
fn order(batch: &Batch) -> Vec<u64> {
    let mut keys = Vec::new();
    let key = |frame: u32, list: u64, place: usize| u64::from(frame) << 32 | list << 27 | place as u64 & 0x07ff_ffff;
    for (list, shard) in (0..).zip(&batch.shards) {
        keys.extend(shard.segments.iter().enumerate().map(|(place, s)| key(s.frame, list, place)));
    }
    keys.extend(batch.echoes.iter().enumerate().map(|(place, echo)| key(echo.frame, ECHOES, place)));
    keys.extend(batch.fragments.iter().enumerate().map(|(place, part)| key(part.frame, FRAGMENTS, place)));
    keys.sort_unstable();
    keys
}

fn tunnel_of(wide: Wide, tunnels: &[Tunnel]) -> Option<&Tunnel> {
    tunnels.get((wide.tunnel as usize).checked_sub(1)?)
}

fn mapped(v4: u32) -> [u8; 16] {
    std::net::Ipv4Addr::from(v4).to_ipv6_mapped().octets()
}

fn texts(some: Texts, rows: usize) -> ArrayRef {
    if some.is_empty() {
        return Arc::new(StringArray::new_null(rows));
    }
    let mut some = some.into_iter().peekable();
    let all = (0..rows).map(|row| some.next_if(|(at, _)| *at == row).map(|(_, text)| text));
    let all: StringArray = all.collect();
    Arc::new(all)
}

fn octets(some: Vec<(usize, Vec<u8>)>, rows: usize) -> ArrayRef {
    let mut some = some.into_iter().peekable();
    let all: BinaryArray = (0..rows).map(|row| some.next_if(|(at, _)| *at == row).map(|(_, octets)| octets)).collect();
    debug_assert_eq!(all.len(), rows);
    Arc::new(all)
}

/// Labels and tunnel of a row, as a decoder had them.
pub(super) fn around(tunnel: Option<&str>, labels: Option<&str>) -> Tunnel {
    let mut around: Tunnel = tunnel.and_then(|text| text.parse().ok()).unwrap_or_default();
    if let Some(labels) = labels {
        around.set_labels(Labels::from(labels));
    }
    around
}
