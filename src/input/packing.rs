//! Streams that are compressed: gzip, zstd, xz, bzip2 and lz4, each also as members one behind the other.
//!
//! RFC 1952, RFC 8878, the xz file format 1.2.1, bzip2 1.0.8, the LZ4 frame format 1.6.4.

use std::io::{self, BufRead, BufReader, Cursor, Read};
use std::sync::Arc;

use super::Unread;
use super::ahead::Ahead;
use super::budget::{Budget, Counted, Limited};

/// How a stream is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Packing {
    Gzip,
    Zstd,
    Xz,
    Bzip2,
    Lz4,
}

/// Layers of compression and archives that are entered: more are an attack.
pub(super) const MOST_LAYERS: usize = 6;
/// What is told of more.
pub(super) const TOO_DEEP: &str = "packed more than six times, one in another: unpack it first";
/// Octets that tell a capture, a layer of compression or an archive.
const HEAD: u64 = 1024;
/// Octets read at once of what is packed.
const BLOCK: usize = 256 * 1024;
/// `xz -9` needs 65 MiB to unpack.
const MOST_MEMORY_KIB: u32 = 1 << 20;

impl Packing {
    /// By its first octets.
    pub(super) fn of(magic: &[u8]) -> Option<Self> {
        match magic {
            [0x1f, 0x8b, ..] => Some(Self::Gzip),
            // Or a frame to be skipped, as pzstd writes them.
            [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Some(Self::Zstd),
            [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Some(Self::Xz),
            [b'B', b'Z', b'h', b'1'..=b'9', 0x31, 0x41, ..] | [b'B', b'Z', b'h', b'1'..=b'9', 0x17, 0x72, ..] => {
                Some(Self::Bzip2)
            }
            [0x04, 0x22, 0x4d, 0x18, ..] | [0x02, 0x21, 0x4c, 0x18, ..] => Some(Self::Lz4),
            _ => None,
        }
    }
}

/// What was read before, and then the rest.
type Whole<R> = io::Chain<Cursor<Vec<u8>>, Held<R>>;

/// Unpacks one layer.
#[allow(clippy::large_enum_variant)] // There are a few at a time, each in a box of its own.
pub(super) enum Unpacked<B: BufRead> {
    Gzip(flate2::bufread::MultiGzDecoder<B>),
    Zstd(zstd::stream::read::Decoder<'static, B>),
    Xz(lzma_rust2::XzReader<B>),
    Bzip2(bzip2::bufread::MultiBzDecoder<B>),
    Lz4(Lz4<B>),
}

/// Unpacks a stream that begins with `head`; `failure` is what followed the head.
pub(super) fn unpacked<R: Read>(
    packing: Packing,
    head: Vec<u8>,
    reader: R,
    failure: Option<io::Error>,
    budget: &Arc<Budget>,
) -> io::Result<Limited<Unpacked<BufReader<Whole<R>>>>> {
    let whole = Cursor::new(head).chain(Held { failure, inner: reader });
    unpack(packing, BufReader::with_capacity(BLOCK, whole), budget)
}

/// As [`unpacked`], read ahead by another thread.
pub(super) fn unpacked_ahead(
    packing: Packing,
    head: Vec<u8>,
    reader: Unread,
    failure: Option<io::Error>,
    budget: &Arc<Budget>,
) -> io::Result<Limited<Unpacked<Counted<Ahead>>>> {
    let ahead = Ahead::new(rejoined(head, reader, failure));
    unpack(packing, Counted::new(ahead, Arc::clone(budget)), budget)
}

fn unpack<B: BufRead>(packing: Packing, packed: B, budget: &Arc<Budget>) -> io::Result<Limited<Unpacked<B>>> {
    let inner = match packing {
        Packing::Gzip => Unpacked::Gzip(flate2::bufread::MultiGzDecoder::new(packed)),
        Packing::Zstd => Unpacked::Zstd(zstd::stream::read::Decoder::with_buffer(packed)?),
        Packing::Xz => Unpacked::Xz(lzma_rust2::XzReader::new_mem_limit(packed, true, MOST_MEMORY_KIB)),
        Packing::Bzip2 => Unpacked::Bzip2(bzip2::bufread::MultiBzDecoder::new(packed)),
        Packing::Lz4 => Unpacked::Lz4(Lz4::new(packed)),
    };
    Ok(Limited::new(inner, Arc::clone(budget)))
}

impl<B: BufRead> Read for Unpacked<B> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Gzip(inner) => inner.read(into),
            Self::Zstd(inner) => inner.read(into),
            Self::Xz(inner) => inner.read(into),
            Self::Bzip2(inner) => inner.read(into),
            Self::Lz4(inner) => inner.read(into),
        }
    }
}

/// Frames one behind the other: the crate's decoder ends at each, and takes the next one's blocks to be no larger than
/// the last one's. Each frame gets a decoder of its own.
pub(super) struct Lz4<R: io::BufRead> {
    decoder: Option<lz4_flex::frame::FrameDecoder<R>>,
}

impl<R: io::BufRead> Lz4<R> {
    fn new(inner: R) -> Self {
        Self { decoder: Some(lz4_flex::frame::FrameDecoder::new(inner)) }
    }
}

impl<R: io::BufRead> Read for Lz4<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        loop {
            let Some(decoder) = &mut self.decoder else { return Ok(0) };
            let length = decoder.read(into)?;
            // An empty frame, or the end of one, is no end while octets follow.
            if length > 0 || into.is_empty() || decoder.get_mut().fill_buf()?.is_empty() {
                return Ok(length);
            }
            let behind = self.decoder.take().map(lz4_flex::frame::FrameDecoder::into_inner);
            self.decoder = behind.map(lz4_flex::frame::FrameDecoder::new);
        }
    }
}

/// The first octets of a stream, and what kept it from giving more.
pub(super) fn read_head(reader: &mut impl Read) -> (Vec<u8>, Option<io::Error>) {
    let mut head = Vec::new();
    let failure = reader.take(HEAD).read_to_end(&mut head).err();
    (head, failure)
}

/// A stream that tells again how it broke off.
pub(super) fn held(inner: Unread, failure: Option<io::Error>) -> Unread {
    match failure {
        None => inner,
        failure => Box::new(Held { failure, inner }),
    }
}

/// Head and rest in one.
pub(super) fn rejoined(head: Vec<u8>, inner: Unread, failure: Option<io::Error>) -> Unread {
    Box::new(Cursor::new(head).chain(held(inner, failure)))
}

/// Fails first, if it has to.
pub(super) struct Held<R> {
    pub(super) failure: Option<io::Error>,
    pub(super) inner: R,
}

impl<R: Read> Read for Held<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self.failure.take() {
            Some(failure) => Err(failure),
            None => self.inner.read(into),
        }
    }
}
