//! The checksum of a SYN: right, left to the network card, or wrong.
//!
//! Linux leaves the sum of the pseudo-header, not complemented, in a segment whose checksum the card is to fill in
//! (`CHECKSUM_PARTIAL`, include/linux/skbuff.h; `__tcp_v4_send_check()`, net/ipv4/tcp_ipv4.c); other systems leave 0.
//! Only SYNs are looked at: both ends of nearly every connection send one, and they are short. RFC 9293 section 3.1,
//! RFC 1071, RFC 8200 section 8.1.

use super::Marks;

const TCP: u32 = 6;

/// The marks that a SYN's checksum earns; `segment` is header and data, `length` what the IP header says of both.
pub(super) fn marks(src: &[u8], dst: &[u8], segment: &[u8], length: u32) -> u8 {
    let Some(segment) = segment.get(..length as usize) else { return 0 };
    let pseudo = sum(src) + sum(dst) + TCP + (length >> 16) + (length & 0xffff);
    let Some(&[high, low]) = segment.get(16..).and_then(|rest| rest.first_chunk::<2>()) else { return 0 };
    match (fold(pseudo.wrapping_add(sum(segment))), u16::from_be_bytes([high, low])) {
        (0xffff, _) => 0,
        (_, field) if field == fold(pseudo) || field == 0 => Marks::CHECKSUM_OFFLOADED,
        _ => Marks::CHECKSUM_WRONG,
    }
}

/// The sum of 16-bit words; a SYN is far too short for 32 bits to overflow, and a longer one wraps harmlessly.
fn sum(bytes: &[u8]) -> u32 {
    let (words, rest) = bytes.as_chunks::<2>();
    let last = rest.first().map_or(0, |octet| u32::from(*octet) << 8);
    words.iter().fold(last, |sum, word| sum.wrapping_add(u32::from(u16::from_be_bytes(*word))))
}

#[allow(clippy::cast_possible_truncation)]
const fn fold(sum: u32) -> u16 {
    let once = (sum & 0xffff) + (sum >> 16);
    ((once & 0xffff) + (once >> 16)) as u16
}

#[cfg(test)]
mod tests {
    use super::*;

    const SRC: [u8; 4] = [192, 0, 2, 1];
    const DST: [u8; 4] = [192, 0, 2, 2];

    fn syn(checksum: u16) -> [u8; 24] {
        let mut segment = [0; 24];
        segment[..4].copy_from_slice(&[0x9c, 0x40, 0, 80]);
        segment[12..16].copy_from_slice(&[0x60, 2, 0xff, 0xff]);
        segment[16..18].copy_from_slice(&checksum.to_be_bytes());
        segment[20..].copy_from_slice(&[2, 4, 5, 0xb4]);
        segment
    }

    #[test]
    fn right_left_to_the_card_or_wrong() {
        let judged = |checksum| marks(&SRC, &DST, &syn(checksum), 24);
        let pseudo = fold(sum(&SRC) + sum(&DST) + TCP + 24);
        let right = !fold(sum(&SRC) + sum(&DST) + TCP + 24 + sum(&syn(0)));
        assert_eq!(judged(right), 0);
        assert_eq!(judged(pseudo), Marks::CHECKSUM_OFFLOADED);
        assert_eq!(judged(0), Marks::CHECKSUM_OFFLOADED);
        assert_eq!(judged(right ^ 0x0100), Marks::CHECKSUM_WRONG);
    }

    #[test]
    fn what_was_cut_is_not_judged() {
        assert_eq!(marks(&SRC, &DST, &syn(1)[..20], 24), 0);
    }
}
