//! What the first octets of a file tell: compressed, an archive, a format of somebody else's, or none of these.

use super::packing::Packing;

/// What has to be done before a file can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Content {
    /// It must be unpacked.
    Packed(Packing),
    /// POSIX tar, also the kinds of GNU and before POSIX.
    Tar,
    /// Zip.
    Zip,
    /// Nothing.
    Other,
}

/// Looks at the first octets of a file, 512 at least where it has as many.
pub(super) fn of(head: &[u8]) -> Content {
    if let Some(packing) = Packing::of(head) {
        return Content::Packed(packing);
    }
    match head {
        [b'P', b'K', 3, 4, ..] | [b'P', b'K', 5, 6, ..] => Content::Zip,
        _ if is_tar(head) => Content::Tar,
        _ => Content::Other,
    }
}

/// Whether a header block's checksum is right: the sum of its octets, those of the checksum taken as spaces.
fn is_tar(head: &[u8]) -> bool {
    let Some(block) = head.first_chunk::<512>() else { return false };
    let (Some(before), Some(field), Some(after)) = (block.get(..148), block.get(148..156), block.get(156..)) else {
        return false;
    };
    let digits = std::str::from_utf8(field).unwrap_or("").trim_matches(['\0', ' ']);
    let Ok(claimed) = u32::from_str_radix(digits, 8) else { return false };
    let sum: u32 = before.iter().chain(after).map(|octet| u32::from(*octet)).sum();
    block.first() != Some(&0) && claimed == sum + 8 * u32::from(b' ')
}

/// Names a format that is not read, with what to do about it.
#[must_use]
pub fn foreign(head: &[u8]) -> Option<&'static str> {
    const CONVERT: [(&[u8], &str); 6] = [
        (b"GMBU", "a capture of Network Monitor, which is not read: convert it with `editcap -F pcapng`"),
        (b"RTSS", "a capture of Network Monitor 1, which is not read: convert it with `editcap -F pcapng`"),
        (b"TRSNIFF data", "a capture of Sniffer, which is not read: convert it with `editcap -F pcapng`"),
        (b"XCP\0", "a capture of NetXRay, which is not read: convert it with `editcap -F pcapng`"),
        (b"iptrace ", "a capture of AIX iptrace, which is not read: convert it with `editcap -F pcapng`"),
        (b"\x54\x52\x00\x64", "a capture of NetScaler, which is not read: convert it with `editcap -F pcapng`"),
    ];
    const UNPACK: [(&[u8], &str); 5] = [
        (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive, which is not read: unpack it first"),
        (b"Rar!\x1a\x07", "a RAR archive, which is not read: unpack it first"),
        (b"\x1f\x9d", "a file packed with compress, which is not read: unpack it with `uncompress` first"),
        (b"\x5d\x00\x00", "a file packed with lzma, which is not read: unpack it with `unlzma` first"),
        (b"MSCF", "a cabinet archive, which is not read: unpack it first"),
    ];
    CONVERT.iter().chain(&UNPACK).find(|(magic, _)| head.starts_with(magic)).map(|(_, what)| *what)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_archive_is_told_by_its_checksum() {
        let mut archive = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_old();
        header.set_size(3);
        archive.append_data(&mut header, "a", &b"abc"[..]).unwrap();
        let mut bytes = archive.into_inner().unwrap();
        assert_eq!(of(&bytes), Content::Tar);
        bytes[0] = b'b';
        assert_eq!(of(&bytes), Content::Other);
        assert_eq!(of(&[0; 1024]), Content::Other);
    }
}
