//! PNG files from pixels in memory: ISO/IEC 15948 (the W3C's PNG Specification, second edition).

use std::io::{self, Write};

use flate2::write::ZlibEncoder;
use flate2::{Compression, Crc};

/// Rows of red, green and blue bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pixels {
    /// Pixels in a row.
    pub width: usize,
    /// Three bytes a pixel, row by row.
    pub bytes: Vec<u8>,
}

/// Half the width and half the height: each new pixel is the mean of four old ones.
pub(super) fn halve(bytes: &[u8], width: usize) -> Pixels {
    let half = width / 2;
    let mut halved = Vec::with_capacity(bytes.len() / 4);
    for rows in bytes.chunks_exact((width * 6).max(1)) {
        let (upper, lower) = rows.split_at(width * 3);
        for (above, below) in upper.chunks_exact(6).zip(lower.chunks_exact(6)).take(half) {
            if let ([a, b, c, d, e, f], [g, h, i, j, k, l]) = (above, below) {
                halved.extend([mean([*a, *d, *g, *j]), mean([*b, *e, *h, *k]), mean([*c, *f, *i, *l])]);
            }
        }
    }
    Pixels { width: half, bytes: halved }
}

fn mean(values: [u8; 4]) -> u8 {
    let sum: u16 = values.iter().map(|value| u16::from(*value)).sum();
    // A mean of bytes is a byte.
    u8::try_from((sum + 2) / 4).unwrap_or(u8::MAX)
}

/// The pixels as a PNG file of eight bits a channel.
///
/// # Errors
/// Never in practice, since it writes to memory; the compressor's interface has them.
pub(super) fn encode(pixels: &Pixels) -> io::Result<Vec<u8>> {
    let stride = (pixels.width * 3).max(1);
    let mut file = b"\x89PNG\r\n\x1a\n".to_vec();
    let mut header = Vec::new();
    for length in [pixels.width, pixels.bytes.len() / stride] {
        header.extend(u32::try_from(length).map_err(io::Error::other)?.to_be_bytes());
    }
    // Eight bits, colour without palette; the only compression and filter methods; no interlacing.
    header.extend([8, 2, 0, 0, 0]);
    chunk(&mut file, b"IHDR", &header)?;
    chunk(&mut file, b"IDAT", &compress(&pixels.bytes, stride)?)?;
    chunk(&mut file, b"IEND", &[])?;
    Ok(file)
}

/// Each row is told as its difference to the row above (filter type "up"), which is mostly zeroes in a chart.
fn compress(bytes: &[u8], stride: usize) -> io::Result<Vec<u8>> {
    const FILTER_UP: u8 = 2;
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::new(7));
    let first = vec![0; stride];
    let above = std::iter::once(first.as_slice()).chain(bytes.chunks_exact(stride));
    let mut filtered = Vec::with_capacity(stride + 1);
    for (row, above) in bytes.chunks_exact(stride).zip(above) {
        filtered.clear();
        filtered.push(FILTER_UP);
        filtered.extend(row.iter().zip(above).map(|(byte, up)| byte.wrapping_sub(*up)));
        encoder.write_all(&filtered)?;
    }
    encoder.finish()
}

fn chunk(file: &mut Vec<u8>, kind: &[u8; 4], data: &[u8]) -> io::Result<()> {
    let mut crc = Crc::new();
    crc.update(kind);
    crc.update(data);
    file.extend(u32::try_from(data.len()).map_err(io::Error::other)?.to_be_bytes());
    file.extend(kind);
    file.extend(data);
    file.extend(crc.sum().to_be_bytes());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn four_pixels_become_their_mean() {
        let halved = halve(&[0, 10, 255, 4, 10, 255, 8, 10, 255, 0, 10, 0], 2);
        assert_eq!(halved, Pixels { width: 1, bytes: vec![3, 10, 191] });
    }

    #[test]
    fn a_file_has_its_chunks_and_checksums() {
        let file = encode(&Pixels { width: 1, bytes: vec![255, 0, 0] }).unwrap();
        assert_eq!(&file[..8], b"\x89PNG\r\n\x1a\n");
        assert_eq!(&file[12..16], b"IHDR");
        assert_eq!(&file[16..29], [0, 0, 0, 1, 0, 0, 0, 1, 8, 2, 0, 0, 0]);
        // The end of every PNG file, with its well-known checksum.
        assert_eq!(&file[file.len() - 12..], [0, 0, 0, 0, 73, 69, 78, 68, 0xae, 0x42, 0x60, 0x82]);
    }
}
