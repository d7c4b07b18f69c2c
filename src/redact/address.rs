//! Addresses to addresses: one to one, and two that share their first bits share as many afterwards.
//!
//! Whether a bit is turned over depends on the bits ahead of it and on the key alone. Where the bits ahead begin a special
//! range (RFC 6890 and its registries), none is turned over, so that ranges such as 10.0.0.0/8 keep their places. All turns
//! below one whole octet come from one keyed hash of the octets ahead: 255 places in 256 bits.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};

use hashbrown::HashMap;

use super::Key;

/// Ranges whose addresses keep their first bits; those that are `whole` stay as they are.
struct Special {
    prefix: u128,
    bits: u32,
    whole: bool,
}

const fn v4(a: u8, b: u8, bits: u32, whole: bool) -> Special {
    Special { prefix: ((a as u128) << 24 | (b as u128) << 16) << 96, bits, whole }
}

const fn v6(first: u16, bits: u32, whole: bool) -> Special {
    Special { prefix: (first as u128) << 112, bits, whole }
}

const SPECIAL_V4: [Special; 9] = [
    v4(0, 0, 8, true),
    v4(10, 0, 8, false),
    v4(100, 64, 10, false),
    v4(127, 0, 8, true),
    v4(169, 254, 16, false),
    v4(172, 16, 12, false),
    v4(192, 168, 16, false),
    v4(224, 0, 4, true),
    v4(240, 0, 4, true),
];

const SPECIAL_V6: [Special; 4] = [v6(0, 16, true), v6(0xfc00, 7, false), v6(0xfe80, 10, false), v6(0xff00, 8, true)];

/// Turns that were computed, by the family and the whole octets ahead.
#[derive(Debug, Default)]
pub(super) struct Addresses {
    turns: Mutex<HashMap<(bool, u8, u128), [u8; 32]>>,
}

impl Addresses {
    pub(super) fn v4(&self, key: &Key, address: Ipv4Addr) -> Ipv4Addr {
        let mapped = self.map(key, false, u128::from(u32::from(address)) << 96, 4);
        #[allow(clippy::cast_possible_truncation)] // the upper 32 of 128 bits
        Ipv4Addr::from((mapped >> 96) as u32)
    }

    pub(super) fn v6(&self, key: &Key, address: Ipv6Addr) -> Ipv6Addr {
        Ipv6Addr::from(self.map(key, true, u128::from(address), 16))
    }

    /// Maps the upper `octets` octets.
    fn map(&self, key: &Key, wide: bool, address: u128, octets: u8) -> u128 {
        let special: &[Special] = if wide { &SPECIAL_V6 } else { &SPECIAL_V4 };
        if special.iter().any(|range| range.whole && shared(range.prefix, address) >= range.bits) {
            return address;
        }
        let mut mapped = address;
        for octet in 0..octets {
            let ahead = u32::from(octet) * 8;
            let turns = self.turns(key, wide, octet, upper(address, ahead));
            for bit in 0..8 {
                let place = ahead + bit;
                // The path through the tree of an octet's bits: 1 at its root, then left or right.
                let path = 1 << bit | upper(address << ahead, bit).checked_shr(128 - bit).unwrap_or(0);
                let held = special.iter().any(|range| range.bits > place && shared(range.prefix, address) >= place);
                mapped ^= u128::from(!held && turn(&turns, path)) << (127 - place);
            }
        }
        mapped
    }

    fn turns(&self, key: &Key, wide: bool, octet: u8, ahead: u128) -> [u8; 32] {
        let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
        *turns.entry((wide, octet, ahead)).or_insert_with(|| {
            let mut content = ahead.to_be_bytes().to_vec();
            content.push(octet);
            key.mac(if wide { "IPv6" } else { "IPv4" }, &content)
        })
    }
}

/// One of 256 bits.
fn turn(turns: &[u8; 32], place: u128) -> bool {
    let octet = usize::try_from(place / 8).unwrap_or(usize::MAX);
    turns.get(octet).is_some_and(|octet| octet >> (place % 8) & 1 != 0)
}

/// The first bits, the others zero.
fn upper(address: u128, bits: u32) -> u128 {
    address & u128::MAX.checked_shl(128 - bits).unwrap_or(0)
}

/// How many first bits two addresses share.
const fn shared(one: u128, other: u128) -> u32 {
    (one ^ other).leading_zeros()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn key() -> Key {
        Key::of_secret(b"a secret of some length").unwrap()
    }

    #[test]
    fn special_ranges_keep_their_places() {
        let addresses = Addresses::default();
        let v4 = |text: &str| addresses.v4(&key(), text.parse().unwrap());
        for same in ["0.0.0.0", "127.0.0.1", "224.0.0.1", "255.255.255.255"] {
            assert_eq!(v4(same).to_string(), same);
        }
        assert!(v4("10.1.2.3").is_private() && v4("192.168.7.7").is_private() && v4("172.31.0.1").is_private());
        assert!(v4("169.254.1.1").is_link_local());
        assert_ne!(v4("192.0.2.10"), "192.0.2.10".parse::<Ipv4Addr>().unwrap());
        let v6 = |text: &str| addresses.v6(&key(), text.parse().unwrap());
        assert_eq!((v6("::1").to_string(), v6("ff02::1").to_string()), ("::1".to_owned(), "ff02::1".to_owned()));
        assert!(v6("fe80::1").is_unicast_link_local() && v6("fd00::1").is_unique_local());
    }

    proptest! {
        #[test]
        fn as_many_first_bits_are_shared_as_before(one: u32, flipped in 0_u32..32, low: u32) {
            let addresses = Addresses::default();
            let other = one ^ (1 << (31 - flipped)) ^ (low & ((1_u32 << (31 - flipped)) - 1));
            let map = |address: u32| u32::from(addresses.v4(&key(), address.into()));
            prop_assert_eq!((map(one) ^ map(other)).leading_zeros(), (one ^ other).leading_zeros());
        }

        #[test]
        fn wide_addresses_too(one: u128, flipped in 0_u32..128) {
            let addresses = Addresses::default();
            let other = one ^ (1 << (127 - flipped));
            let map = |address: u128| u128::from(addresses.v6(&key(), address.into()));
            prop_assert_eq!((map(one) ^ map(other)).leading_zeros(), (one ^ other).leading_zeros());
        }
    }
}
