//! Socket pairs: who talks to whom, and the seeded hash that spreads them over shards.
//!
//! RFC 9293 section 3.3.1: a connection is named by its pair of sockets. The hash is of the *unordered* pair, so
//! that both directions meet; it is seeded anew in each run, since captures are made by strangers, and no
//! result depends on it.

use std::hash::{BuildHasher, Hasher};

use foldhash::fast::SeedableRandomState;

use super::{Segment, Tunnel, Wide};

/// Hashes unordered socket pairs; one value serves a whole run.
#[derive(Clone, Debug)]
pub struct PairHasher(SeedableRandomState);

impl Default for PairHasher {
    fn default() -> Self {
        Self(SeedableRandomState::random())
    }
}

impl PairHasher {
    /// The same in every run, so that many machines agree on it. Strangers can foresee it: nothing is looked up by it.
    #[must_use]
    pub fn fixed() -> Self {
        Self(SeedableRandomState::fixed())
    }

    /// Of a segment and its addresses: what [`Segment::hash`] holds.
    #[must_use]
    pub fn of(&self, segment: &Segment, wide: Option<Wide>, tunnel: Option<&Tunnel>) -> u32 {
        let (src_port, dst_port) = (segment.src_port, segment.dst_port);
        match wide {
            None => self.narrow(segment.src, src_port, segment.dst, dst_port),
            Some(wide) => self.wide(&wide.src, src_port, &wide.dst, dst_port, tunnel.map_or(0, Tunnel::identity_hash)),
        }
    }

    /// Of two IPv4 sockets.
    #[inline]
    #[must_use]
    pub fn narrow(&self, src: u32, src_port: u16, dst: u32, dst_port: u16) -> u32 {
        let one = u64::from(src) << 16 | u64::from(src_port);
        let other = u64::from(dst) << 16 | u64::from(dst_port);
        self.fold(one.min(other), one.max(other), 0)
    }

    /// Of two sockets of any kind, inside a tunnel or not.
    #[inline]
    #[must_use]
    pub fn wide(&self, src: &[u8; 16], src_port: u16, dst: &[u8; 16], dst_port: u16, tunnel: u64) -> u32 {
        let one = (u128::from_be_bytes(*src), src_port);
        let other = (u128::from_be_bytes(*dst), dst_port);
        let (low, high) = if one <= other { (one, other) } else { (other, one) };
        let mut hasher = self.0.build_hasher();
        hasher.write_u128(low.0);
        hasher.write_u128(high.0);
        hasher.write_u64(u64::from(low.1) << 16 | u64::from(high.1));
        hasher.write_u64(tunnel);
        upper(hasher.finish())
    }

    #[inline]
    fn fold(&self, low: u64, high: u64, extra: u64) -> u32 {
        let mut hasher = self.0.build_hasher();
        hasher.write_u64(low ^ extra);
        hasher.write_u64(high);
        upper(hasher.finish())
    }
}

/// The half of a 64-bit hash that the multiplication mixed best.
#[inline]
#[allow(clippy::cast_possible_truncation)]
const fn upper(hash: u64) -> u32 {
    (hash >> 32) as u32
}
