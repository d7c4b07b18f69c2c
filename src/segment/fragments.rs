//! Fragments of IP datagrams that carry TCP: a header that is spread over several is put together, and the rest of a
//! segment follows its first fragment as if it had been sent in smaller ones.
//!
//! A first fragment with a whole TCP header is a segment at once, so that nothing waits for what may never come. No
//! data is kept: at most the 60 octets of a header, and the lengths of what came before it. RFC 791 section 3.2,
//! RFC 8200 section 4.5, RFC 1858 (tiny fragments).

use std::collections::VecDeque;

use super::ip::TcpHeader;
use super::{Flags, Segment, Tunnel};
use crate::time::{Span, Time};

/// Datagrams that are waited for at once; the oldest gives way.
const MOST: usize = 256;
/// Runs of fragments that are kept of a datagram whose first one has not come.
const MOST_AHEAD: usize = 64;
/// How long a receiver waits, at least (RFC 1122 section 3.3.2 says 60 s and more; Linux waits for 30 s).
const PATIENCE: Span = Span::from_secs(60);
/// The longest TCP header.
const HEADER: usize = 60;

/// One fragment.
#[derive(Clone, Debug)]
pub struct Fragment {
    /// When it was captured.
    pub at: Time,
    /// Its frame, counted from 0 within its batch.
    pub frame: u32,
    /// Source; IPv4 as IPv4-mapped.
    pub src: [u8; 16],
    /// Destination; IPv4 as IPv4-mapped.
    pub dst: [u8; 16],
    /// What carries it.
    pub tunnel: Tunnel,
    /// Identification, 16 or 32 bits.
    pub id: u32,
    /// Where it belongs, in octets.
    pub offset: u32,
    /// Others follow it.
    pub more: bool,
    /// Octets by the IP header.
    pub length: u32,
    /// Time to live.
    pub ttl: u8,
    /// What it brings of the first 60 octets.
    pub head: Vec<u8>,
}

/// What a fragment gives: segments, the first of which may be new to the counts.
#[derive(Debug, Default)]
pub struct Pieces {
    /// In order of their numbers.
    pub segments: Vec<Segment>,
    /// The control bits of a segment whose header has just been put together from several fragments.
    pub assembled: Option<Flags>,
}

/// Datagrams of one capture point of which some fragments have come.
#[derive(Debug, Default)]
pub struct Reassembly {
    waiting: VecDeque<Datagram>,
}

#[derive(Debug)]
struct Datagram {
    src: [u8; 16],
    dst: [u8; 16],
    tunnel: u64,
    id: u32,
    at: Time,
    /// The segment of its first fragment, and the length of its header.
    segment: Option<(Segment, u32)>,
    fin: bool,
    header: [u8; HEADER],
    /// One bit for each octet of the header that has come.
    have: u64,
    /// Offset, length and end of fragments that came before the header.
    ahead: Vec<(u32, u32, bool)>,
}

impl Reassembly {
    /// Takes the next fragment of the capture.
    pub fn add(&mut self, fragment: &Fragment) -> Pieces {
        self.waiting.retain(|datagram| Span(fragment.at.since(datagram.at).0.saturating_abs()) <= PATIENCE);
        let place = self.waiting.iter().position(|datagram| datagram.is_of(fragment)).unwrap_or_else(|| {
            if self.waiting.len() >= MOST {
                self.waiting.pop_front();
            }
            self.waiting.push_back(Datagram::of(fragment));
            self.waiting.len() - 1
        });
        let Some(datagram) = self.waiting.get_mut(place) else { return Pieces::default() };
        datagram.add(fragment)
    }
}

impl Fragment {
    /// The whole TCP header in a first fragment.
    pub(super) fn segment(&self) -> Option<(Segment, u32)> {
        (self.offset == 0).then(|| read(&self.head, self.length, self.ttl)).flatten()
    }
}

/// The segment of a whole header, and that header's length.
fn read(header: &[u8], length: u32, ttl: u8) -> Option<(Segment, u32)> {
    let tcp = TcpHeader::read(header)?;
    (length >= tcp.size()).then(|| (tcp.segment(length, ttl), tcp.size()))
}

impl Datagram {
    fn of(fragment: &Fragment) -> Self {
        Self {
            src: fragment.src,
            dst: fragment.dst,
            tunnel: fragment.tunnel.identity_hash(),
            id: fragment.id,
            at: fragment.at,
            segment: None,
            fin: false,
            header: [0; HEADER],
            have: 0,
            ahead: Vec::new(),
        }
    }

    fn is_of(&self, fragment: &Fragment) -> bool {
        (self.id, self.src, self.dst) == (fragment.id, fragment.src, fragment.dst)
            && self.tunnel == fragment.tunnel.identity_hash()
    }

    fn add(&mut self, fragment: &Fragment) -> Pieces {
        let mut pieces = Pieces::default();
        if let Some((segment, size)) = fragment.segment() {
            pieces.segments.extend(self.begin(segment, size, fragment.more));
        } else if self.segment.is_some() {
            pieces.segments.extend(self.rest(fragment.offset, fragment.length, fragment.more));
        } else {
            self.collect(fragment);
            if let Some((segment, size)) = self.assembled(fragment) {
                pieces.assembled = Some(segment.flags);
                pieces.segments.extend(self.begin(segment, size, true));
            }
        }
        for segment in &mut pieces.segments {
            (segment.at, segment.frame) = (fragment.at, fragment.frame);
        }
        pieces
    }

    /// The header is known: its segment, without the FIN that belongs behind the last fragment, and what waited.
    fn begin(&mut self, mut segment: Segment, size: u32, more: bool) -> Vec<Segment> {
        #[allow(clippy::cast_possible_truncation)]
        let ident = self.id as u16;
        segment.ident = ident;
        self.fin = segment.flags.has(Flags::FIN) && more;
        if self.fin {
            segment.flags.0 &= !Flags::FIN;
        }
        self.segment = Some((segment, size));
        let ahead = std::mem::take(&mut self.ahead);
        let waited = ahead.into_iter().filter_map(|(offset, length, more)| self.rest(offset, length, more));
        std::iter::once(segment).chain(waited.collect::<Vec<Segment>>()).collect()
    }

    /// What a later fragment adds to the segment.
    fn rest(&self, offset: u32, length: u32, more: bool) -> Option<Segment> {
        let (first, size) = self.segment.as_ref()?;
        let end = offset.saturating_add(length);
        let from = offset.max(size.saturating_add(first.payload));
        let payload = end.checked_sub(from)?;
        let syn = u32::from(first.flags.has(Flags::SYN));
        let mut segment = *first;
        segment.seq = first.seq.plus(syn).plus(from.saturating_sub(*size));
        segment.payload = payload;
        segment.flags.0 &= !(Flags::SYN | Flags::RST | Flags::FIN);
        let last = self.fin && !more;
        if last {
            segment.flags.0 |= Flags::FIN;
        }
        (payload > 0 || last).then_some(segment)
    }

    fn collect(&mut self, fragment: &Fragment) {
        for (place, octet) in (fragment.offset as usize..HEADER).zip(&fragment.head) {
            if let Some(own) = self.header.get_mut(place) {
                *own = *octet;
                self.have |= 1 << place;
            }
        }
        if self.ahead.len() < MOST_AHEAD {
            self.ahead.push((fragment.offset, fragment.length, fragment.more));
            self.ahead.sort_unstable();
            self.ahead.dedup_by(|next, before| {
                let joined = before.0.checked_add(before.1) == Some(next.0);
                if joined {
                    *before = (before.0, before.1.saturating_add(next.1), next.2);
                }
                joined
            });
        }
    }

    /// The segment, once all octets of its header have come; its data reaches as far as fragments follow one another.
    fn assembled(&self, fragment: &Fragment) -> Option<(Segment, u32)> {
        let known = usize::try_from(self.have.trailing_ones()).unwrap_or(0);
        let offset = self.header.get(12).filter(|_| known >= 20).map(|octet| usize::from(octet >> 4) * 4)?;
        let header = self.header.get(..offset).filter(|_| known >= offset)?;
        let reach = |end: u32, (offset, length, _): &(u32, u32, bool)| {
            if *offset <= end { end.max(offset.saturating_add(*length)) } else { end }
        };
        let length = self.ahead.iter().fold(0, reach);
        read(header, length, fragment.ttl)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::segment::SeqNumber;

    const LENGTH: u32 = 20 + 100;

    fn whole() -> Vec<u8> {
        let mut segment = vec![0; LENGTH as usize];
        segment[..8].copy_from_slice(&[0x9c, 0x40, 0, 80, 0, 0, 3, 0xe8]);
        segment[12..14].copy_from_slice(&[0x50, 0x11]);
        segment
    }

    fn fragment(from: u32, to: u32) -> Fragment {
        let head = whole()[from as usize..to.clamp(from, 60.max(from)) as usize].to_vec();
        Fragment {
            at: Time(from.into()),
            frame: from,
            src: [1; 16],
            dst: [2; 16],
            tunnel: Tunnel::default(),
            id: 7,
            offset: from,
            more: to < LENGTH,
            length: to - from,
            ttl: 64,
            head,
        }
    }

    /// What the segments of some fragments cover, and whether a FIN ends it.
    fn play(fragments: &[(u32, u32)]) -> (u32, u32, bool, usize) {
        let mut reassembly = Reassembly::default();
        let given: Vec<Pieces> = fragments.iter().map(|(from, to)| reassembly.add(&fragment(*from, *to))).collect();
        let all: Vec<Segment> = given.iter().flat_map(|pieces| pieces.segments.clone()).collect();
        let end = all.iter().map(|s| s.seq.plus(s.payload).ahead_of(SeqNumber(1000))).max().unwrap_or(0);
        let sum = all.iter().map(|segment| segment.payload).sum();
        let fin = all.iter().filter(|segment| segment.flags.has(Flags::FIN));
        let last = fin.clone().all(|s| s.seq.plus(s.payload).ahead_of(SeqNumber(1000)) == 100);
        (u32::try_from(end).unwrap_or(0), sum, last, fin.count())
    }

    #[test]
    fn fragments_in_any_order_give_the_whole_segment() {
        for cut in [[8, 16], [16, 24], [24, 56], [64, 80], [8, 80]] {
            let [a, b] = cut;
            let parts = [(0, a), (a, b), (b, LENGTH)];
            for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
                let fragments: Vec<(u32, u32)> = order.iter().map(|place| parts[*place]).collect();
                let (end, sum, last, fins) = play(&fragments);
                assert_eq!((end, sum, last), (100, 100, true), "{fragments:?}");
                assert!(fins <= 1, "{fragments:?}");
            }
        }
    }

    #[test]
    fn a_first_fragment_does_not_wait() {
        assert_eq!(play(&[(0, 24)]), (4, 4, true, 0));
        assert_eq!(play(&[(0, 16)]), (0, 0, true, 0));
    }

    #[test]
    fn memory_is_bounded() {
        let mut reassembly = Reassembly::default();
        for id in 0..100_000 {
            let _ = reassembly.add(&Fragment { id, ..fragment(64, 72) });
        }
        assert_eq!(reassembly.waiting.len(), MOST);
        for offset in 0..10_000 {
            let _ = reassembly.add(&Fragment { offset: 64 + offset * 8, ..fragment(64, 72) });
        }
        assert!(reassembly.waiting.iter().all(|datagram| datagram.ahead.len() <= MOST_AHEAD));
    }
}
