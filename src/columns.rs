//! Segments as rows of columns, in Arrow and Parquet: what many machines hand each other, and what SQL asks.
//!
//! One row a TCP segment, ICMP error, echo, or fragment of a datagram with TCP, lossless for all that comes behind the
//! decoder; and two rows of facts for each capture, or range of one: what is known in front, and what was counted at the
//! end. `docs/columns.md` describes every column for those who query them.
//!
//! Apache Arrow columnar format 1.5 (the IPC stream) and Apache Parquet 2. Integers are signed, since Spark takes no others
//! (`ArrowUtils.fromArrowType`), nor octets of a fixed length; times are nanoseconds in 64 bits, addresses 16 octets.

mod cells;
mod file;
mod read;
mod table;

pub use cells::Cells;
pub use file::{Format, Writer, recognise};
pub use read::Read;
pub use table::{Place, Table};

use std::collections::HashMap;
use std::sync::Arc;

use arrow_schema::{DataType, Field, Schema, SchemaRef};

/// The version of the columns, which stands in the schema's metadata. Columns may be added within one.
pub const VERSION: &str = "2";
/// The key of the version in the metadata.
pub const VERSION_KEY: &str = "lastack.columns";

/// What a row is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A TCP segment.
    Segment = 0,
    /// An ICMP error; addresses, ports and `seq` are those of the segment it quotes.
    IcmpError = 1,
    /// An echo request or reply.
    Echo = 2,
    /// A fragment of a datagram that carries TCP.
    Fragment = 3,
    /// What a capture's first octets tell.
    Front = 4,
    /// What a range of a capture came to.
    Facts = 5,
}

impl Kind {
    /// From the column.
    #[must_use]
    pub const fn of(value: i8) -> Option<Self> {
        Some(match value {
            0 => Self::Segment,
            1 => Self::IcmpError,
            2 => Self::Echo,
            3 => Self::Fragment,
            4 => Self::Front,
            5 => Self::Facts,
            _ => return None,
        })
    }
}

/// Why columns cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Arrow's own words.
    #[error(transparent)]
    Arrow(#[from] arrow_schema::ArrowError),
    /// Parquet's own words.
    #[error(transparent)]
    Parquet(#[from] parquet::errors::ParquetError),
    /// Reading or writing failed.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// Columns of another version, or none of this program's.
    #[error("columns of version {found}; this program reads version {VERSION}: extract the captures with it again")]
    Version {
        /// What the metadata says.
        found: String,
    },
    /// A column is missing or has another type.
    #[error("the column {0:?} is missing or has another type than `lastack extract` gives it")]
    Column(&'static str),
    /// Rows contradict one another.
    #[error("{0}")]
    Rows(String),
}

/// Name, type and whether it may be null, in the order in which they are written.
const COLUMNS: [(&str, DataType, bool); 28] = [
    ("kind", DataType::Int8, false),
    ("file", DataType::Int64, false),
    ("from", DataType::Int64, false),
    ("frame", DataType::Int64, false),
    ("piece", DataType::Int32, false),
    ("pair", DataType::Int32, false),
    ("time", DataType::Int64, false),
    ("src", DataType::Binary, false),
    ("dst", DataType::Binary, false),
    ("src_port", DataType::Int32, false),
    ("dst_port", DataType::Int32, false),
    ("seq", DataType::Int64, false),
    ("ack", DataType::Int64, false),
    ("tsval", DataType::Int64, true),
    ("tsecr", DataType::Int64, true),
    ("payload", DataType::Int64, false),
    ("flags", DataType::Int16, false),
    ("marks", DataType::Int16, false),
    ("window", DataType::Int32, false),
    ("mss", DataType::Int32, false),
    ("window_scale", DataType::Int16, false),
    ("layout", DataType::Int64, false),
    ("ttl", DataType::Int16, false),
    ("ident", DataType::Int32, false),
    ("checksum", DataType::Int32, false),
    ("tunnel", DataType::Utf8, true),
    ("labels", DataType::Utf8, true),
    ("head", DataType::Binary, true),
];
/// The last column: facts as text, for people and their SQL.
const FACTS: &str = "facts";

/// The columns, with the version in their metadata.
#[must_use]
pub fn schema() -> SchemaRef {
    let columns = COLUMNS.into_iter().map(|(name, kind, null)| Field::new(name, kind, null));
    let fields: Vec<Field> = columns.chain([Field::new(FACTS, DataType::Utf8, true)]).collect();
    let metadata = [(VERSION_KEY, VERSION), ("lastack.version", env!("CARGO_PKG_VERSION"))];
    let metadata: HashMap<String, String> = metadata.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
    Arc::new(Schema::new_with_metadata(fields, metadata))
}
