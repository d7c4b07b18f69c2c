//! Columns on their way back into what a decoder gave.

use arrow_array::cast::AsArray;
use arrow_array::types::{ArrowPrimitiveType, Int8Type, Int16Type, Int32Type, Int64Type};
use arrow_array::{
    Array, BinaryArray, FixedSizeBinaryArray, Int8Array, Int16Array, Int32Array, Int64Array, LargeBinaryArray,
    LargeStringArray, PrimitiveArray, RecordBatch, StringArray,
};

use super::table::around;
use super::{Error, Kind};
use crate::segment::{Batch, Echo, Flags, Fragment, Marks, PairHasher, Segment, SeqNumber, TsVal, Tunnel};
use crate::time::Time;

/// The columns of some rows.
#[derive(Debug)]
pub struct Cells<'a> {
    kind: &'a Int8Array,
    file: &'a Int64Array,
    from: &'a Int64Array,
    frame: &'a Int64Array,
    time: &'a Int64Array,
    src: Octets<'a>,
    dst: Octets<'a>,
    src_port: &'a Int32Array,
    dst_port: &'a Int32Array,
    seq: &'a Int64Array,
    ack: &'a Int64Array,
    tsval: &'a Int64Array,
    tsecr: &'a Int64Array,
    payload: &'a Int64Array,
    flags: &'a Int16Array,
    marks: &'a Int16Array,
    window: &'a Int32Array,
    mss: &'a Int32Array,
    window_scale: &'a Int16Array,
    layout: &'a Int64Array,
    ttl: &'a Int16Array,
    ident: &'a Int32Array,
    checksum: &'a Int32Array,
    tunnel: Texts<'a>,
    labels: Texts<'a>,
    head: Octets<'a>,
    /// Where rows have been put in order: the number of the capture point, and that of the input.
    planned: Option<(&'a Int32Array, &'a Int32Array)>,
    rows: usize,
}

/// Octets in any of the types in which programs hand them on.
#[derive(Debug)]
enum Octets<'a> {
    Fixed(&'a FixedSizeBinaryArray),
    Small(&'a BinaryArray),
    Large(&'a LargeBinaryArray),
}

#[derive(Debug)]
enum Texts<'a> {
    Small(&'a StringArray),
    Large(&'a LargeStringArray),
}

impl<'a> Cells<'a> {
    /// Finds the columns by their names.
    ///
    /// # Errors
    /// If one is missing or has a type that `lastack extract` does not give it.
    pub fn of(batch: &'a RecordBatch) -> Result<Self, Error> {
        let by = |name: &'static str| batch.column_by_name(name).ok_or(Error::Column(name));
        let i8s = |name| by(name)?.as_primitive_opt::<Int8Type>().ok_or(Error::Column(name));
        let i16s = |name| by(name)?.as_primitive_opt::<Int16Type>().ok_or(Error::Column(name));
        let i32s = |name| by(name)?.as_primitive_opt::<Int32Type>().ok_or(Error::Column(name));
        let i64s = |name| by(name)?.as_primitive_opt::<Int64Type>().ok_or(Error::Column(name));
        let octets = |name| by(name).and_then(|column| Octets::of(column).ok_or(Error::Column(name)));
        let texts = |name| by(name).and_then(|column| Texts::of(column).ok_or(Error::Column(name)));
        let planned = match (by("point"), by("input")) {
            (Ok(_), Ok(_)) => Some((i32s("point")?, i32s("input")?)),
            _ => None,
        };
        Ok(Self {
            kind: i8s("kind")?,
            file: i64s("file")?,
            from: i64s("from")?,
            frame: i64s("frame")?,
            time: i64s("time")?,
            src: octets("src")?,
            dst: octets("dst")?,
            src_port: i32s("src_port")?,
            dst_port: i32s("dst_port")?,
            seq: i64s("seq")?,
            ack: i64s("ack")?,
            tsval: i64s("tsval")?,
            tsecr: i64s("tsecr")?,
            payload: i64s("payload")?,
            flags: i16s("flags")?,
            marks: i16s("marks")?,
            window: i32s("window")?,
            mss: i32s("mss")?,
            window_scale: i16s("window_scale")?,
            layout: i64s("layout")?,
            ttl: i16s("ttl")?,
            ident: i32s("ident")?,
            checksum: i32s("checksum")?,
            tunnel: texts("tunnel")?,
            labels: texts("labels")?,
            head: octets("head")?,
            planned,
            rows: batch.num_rows(),
        })
    }

    /// How many rows there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.rows
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// What a row is; nothing for a row of a kind that this program does not know.
    #[must_use]
    pub fn kind(&self, row: usize) -> Option<Kind> {
        self.kind.values().get(row).copied().and_then(Kind::of)
    }

    /// The capture, and the first octet of the range of it.
    #[must_use]
    pub fn place(&self, row: usize) -> (i64, i64) {
        (long(self.file, row), long(self.from, row))
    }

    /// The frame: in the range, or where rows have been put in order, at the capture point.
    #[must_use]
    pub fn frame(&self, row: usize) -> u64 {
        u64::try_from(long(self.frame, row)).unwrap_or(0)
    }

    /// Capture point and input, where rows have been put in order.
    #[must_use]
    pub fn planned(&self, row: usize) -> Option<(u16, u32)> {
        let (point, input) = self.planned?;
        Some((narrow(*point.values().get(row)?), u32::try_from(*input.values().get(row)?).ok()?))
    }

    /// Octets: the encoded facts, or the first octets of a fragment.
    #[must_use]
    pub fn head(&self, row: usize) -> &'a [u8] {
        self.head.get(row)
    }

    /// Adds the rows of a range to a batch whose frames are counted from `base`.
    pub fn fill(&self, rows: std::ops::Range<usize>, base: u64, hasher: &PairHasher, batch: &mut Batch) {
        for row in rows {
            let frame = u32::try_from(self.frame(row).saturating_sub(base)).unwrap_or(u32::MAX);
            match self.kind(row) {
                Some(Kind::Segment | Kind::IcmpError) => {
                    let around = self.around(row);
                    batch.take(hasher, self.segment(row, frame), self.src.address(row), self.dst.address(row), &around);
                }
                Some(Kind::Echo) => batch.echoes.push(self.echo(row, frame)),
                Some(Kind::Fragment) => batch.fragments.push(self.fragment(row, frame)),
                Some(Kind::Front | Kind::Facts) | None => {}
            }
        }
    }

    fn segment(&self, row: usize, frame: u32) -> Segment {
        Segment {
            at: Time(long(self.time, row)),
            frame,
            src_port: port(self.src_port, row),
            dst_port: port(self.dst_port, row),
            seq: SeqNumber(word(self.seq, row)),
            ack: SeqNumber(word(self.ack, row)),
            tsval: TsVal(word(self.tsval, row)),
            tsecr: TsVal(word(self.tsecr, row)),
            payload: word(self.payload, row),
            layout: word(self.layout, row),
            window: port(self.window, row),
            mss: port(self.mss, row),
            flags: Flags(octet(self.flags, row)),
            marks: Marks(octet(self.marks, row) & !Marks::WIDE),
            ttl: octet(self.ttl, row),
            window_scale: octet(self.window_scale, row),
            ident: port(self.ident, row),
            checksum: port(self.checksum, row),
            ..Segment::default()
        }
    }

    fn echo(&self, row: usize, frame: u32) -> Echo {
        Echo {
            at: Time(long(self.time, row)),
            frame,
            reply: octet(self.flags, row) != 0,
            id: port(self.ident, row),
            sequence: narrow(word(self.seq, row)),
            fingerprint: word(self.ack, row),
            src: self.src.address(row),
            dst: self.dst.address(row),
        }
    }

    fn fragment(&self, row: usize, frame: u32) -> Fragment {
        Fragment {
            at: Time(long(self.time, row)),
            frame,
            src: self.src.address(row),
            dst: self.dst.address(row),
            tunnel: self.around(row),
            id: word(self.ack, row),
            offset: word(self.seq, row),
            more: octet(self.flags, row) != 0,
            length: word(self.payload, row),
            ttl: octet(self.ttl, row),
            head: self.head(row).to_vec(),
        }
    }

    fn around(&self, row: usize) -> Tunnel {
        around(self.tunnel.get(row), self.labels.get(row))
    }
}

impl<'a> Octets<'a> {
    fn of(column: &'a dyn Array) -> Option<Self> {
        let fixed = || column.as_fixed_size_binary_opt().map(Self::Fixed);
        let small = || column.as_binary_opt::<i32>().map(Self::Small);
        fixed().or_else(small).or_else(|| column.as_binary_opt::<i64>().map(Self::Large))
    }

    /// Those of a row; none where it is null.
    fn get(&self, row: usize) -> &'a [u8] {
        match self {
            Self::Fixed(column) if row < column.len() => column.value(row),
            Self::Small(column) if row < column.len() => column.value(row),
            Self::Large(column) if row < column.len() => column.value(row),
            _ => &[],
        }
    }

    fn address(&self, row: usize) -> [u8; 16] {
        self.get(row).first_chunk().copied().unwrap_or_default()
    }
}

impl<'a> Texts<'a> {
    fn of(column: &'a dyn Array) -> Option<Self> {
        let small = column.as_string_opt::<i32>().map(Self::Small);
        small.or_else(|| column.as_string_opt::<i64>().map(Self::Large))
    }

    fn get(&self, row: usize) -> Option<&'a str> {
        match self {
            Self::Small(column) => column.is_valid(row).then(|| column.value(row)),
            Self::Large(column) => column.is_valid(row).then(|| column.value(row)),
        }
    }
}

/// A number; 0 where it is null: what lies there in memory is anything, in rows that were read from Parquet too.
fn value<T: ArrowPrimitiveType>(column: &PrimitiveArray<T>, row: usize) -> T::Native {
    let told = |_: &&T::Native| column.nulls().is_none_or(|nulls| nulls.is_valid(row));
    column.values().get(row).filter(told).copied().unwrap_or_default()
}

fn long(column: &Int64Array, row: usize) -> i64 {
    value(column, row)
}

/// 32 bits that were written as 64, since the column is signed.
fn word(column: &Int64Array, row: usize) -> u32 {
    u32::try_from(long(column, row)).unwrap_or(0)
}

fn port(column: &Int32Array, row: usize) -> u16 {
    narrow(value(column, row))
}

fn octet(column: &Int16Array, row: usize) -> u8 {
    u8::try_from(value(column, row)).unwrap_or(0)
}

fn narrow(value: impl TryInto<u16>) -> u16 {
    value.try_into().unwrap_or(0)
}
