//! The checksum of a SYN: right, left to the network card, or wrong.
//!
//! Linux leaves the sum of the pseudo-header, not complemented, in a segment whose checksum the card is to fill in
//! (`CHECKSUM_PARTIAL`, include/linux/skbuff.h; `__tcp_v4_send_check()`, net/ipv4/tcp_ipv4.c); other systems leave 0.
//! Only SYNs are looked at: both ends of nearly every connection send one, and they are short. RFC 9293 section 3.1,
//! RFC 1071, RFC 8200 section 8.1.

use super::Marks;

const TCP: u32 = 6;

/// The marks that a SYN's checksum earns; `segment` is header and data, `length` what the IP header says of both.
#[inline]
pub(super) fn marks(src: &[u8], dst: &[u8], segment: &[u8], length: u32) -> u8 {
    let Some(segment) = segment.get(..length as usize) else { return 0 };
    let Some(&[high, low]) = segment.get(16..).and_then(|rest| rest.first_chunk::<2>()) else { return 0 };
    let pseudo = add(sum(0, src), sum(u64::from(TCP.wrapping_add(length).to_be()), dst));
    match (fold(sum(pseudo, segment)), u16::from_be_bytes([high, low])) {
        (0xffff, _) => 0,
        (_, field) if field == fold(pseudo) || field == 0 => Marks::CHECKSUM_OFFLOADED,
        _ => Marks::CHECKSUM_WRONG,
    }
}

/// `start` and the words of `bytes`, summed in the machine's own order and in wide words, which changes nothing but the
/// order of the result's octets (RFC 1071 section 2 (B) and (C)).
#[inline]
fn sum(start: u64, bytes: &[u8]) -> u64 {
    let (words, rest) = bytes.as_chunks::<8>();
    let sum = words.iter().fold(start, |sum, word| add(sum, u64::from_ne_bytes(*word)));
    let (pairs, rest) = rest.as_chunks::<2>();
    let sum = pairs.iter().fold(sum, |sum, pair| add(sum, u64::from(u16::from_ne_bytes(*pair))));
    rest.first().map_or(sum, |octet| add(sum, u64::from(u16::from_ne_bytes([*octet, 0]))))
}

/// One's complement addition: what is carried out comes in at the other end.
#[inline]
const fn add(one: u64, other: u64) -> u64 {
    let (sum, carry) = one.overflowing_add(other);
    sum + carry as u64
}

/// A sum in 16 bits, as it stands in the header.
#[inline]
#[allow(clippy::cast_possible_truncation)]
const fn fold(sum: u64) -> u16 {
    let sum = (sum & 0xffff_ffff) + (sum >> 32);
    let sum = (sum & 0xffff) + (sum >> 16 & 0xffff) + (sum >> 32);
    let sum = (sum & 0xffff) + (sum >> 16);
    u16::from_be((sum & 0xffff) as u16 + (sum >> 16) as u16)
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
        // 16-bit words, as RFC 1071 has them.
        let slow = |bytes: &[u8]| -> u32 {
            bytes.chunks(2).map(|word| u32::from(u16::from_be_bytes([word[0], word[1]]))).sum()
        };
        let folded = |sum: u32| u16::try_from((sum & 0xffff) + (sum >> 16)).unwrap();
        let pseudo = folded(slow(&SRC) + slow(&DST) + TCP + 24);
        let right = !folded(slow(&SRC) + slow(&DST) + TCP + 24 + slow(&syn(0)));
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
