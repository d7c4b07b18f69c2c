//! Rotated sets: which capture goes on where another ended, so that both are one capture point.
//!
//! What `tcpdump -C`, `-G` and `-W`, the ring buffers of dumpcap and `editcap -c` write has the same header in every
//! file, begins where the file before ended, and goes on with its connections: the same sequence numbers, sent
//! through as many routers. Two hosts' captures of one conversation, or two experiments of one host, do not. Names
//! are a hint at most: they decide where traffic is too thin to.

use std::collections::BTreeSet;

use super::Pipeline;
use serde::{Deserialize, Serialize};

use crate::capture::{Format, LinkType, Recognised, Visit};
use crate::segment::{Batch, Decoder, Marks, PairHasher, Segment, Tunnel, Wide};
use crate::time::{Span, Time};

/// Octets at the front of a capture that tell what it goes on with.
pub(super) const FRONT: usize = 256 * 1024;
/// Flows of its front that are remembered.
const FLOWS: usize = 64;
/// Pairs of hosts that are remembered of one capture.
const PAIRS: usize = 256;
/// Receive queues deliver a little out of order, and rotation does not wait for them.
const DISORDER: Span = Span::from_millis(10);
/// A connection that goes on proves a set; nobody holds one apart for longer.
const LONGEST_GAP: Span = Span::from_secs(3600);
/// A pause between two files that needs no explanation by pauses inside them.
const SHORT_GAP: Span = Span::from_secs(2);

/// What the front of a capture tells.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Front {
    /// The file header, and in pcapng the interfaces, in words: equal in all files of a set.
    header: String,
    /// The time of the first packet; `None` where there is none.
    pub(super) first_at: Option<Time>,
    /// The longest pause between two packets.
    pause: Span,
    /// The first segment of each flow.
    flows: Vec<(Segment, Option<Wide>)>,
    tunnels: Vec<Tunnel>,
    /// Addresses that talk to each other, unordered.
    pairs: BTreeSet<[[u8; 16]; 2]>,
    /// The folder or archive, and the name with runs of digits taken as one.
    name: String,
}

/// Where a capture point stands.
#[derive(Debug)]
pub(super) struct Open {
    header: String,
    /// Frames so far.
    pub(super) frames: u64,
    first_at: Time,
    last_at: Time,
    pause: Span,
    pairs: BTreeSet<[[u8; 16]; 2]>,
    name: String,
}

/// How well a capture goes on with a point; the smallest is the best.
pub(super) type Fit = (bool, Span);

impl Front {
    /// Looks at the first octets of a capture; `None` where they are none.
    pub(super) fn of(name: &str, bytes: &[u8], hasher: &PairHasher) -> Option<Self> {
        let header = crate::capture::recognise(bytes)?;
        let mut batch = Batch::default();
        let mut look = Look { decoder: Decoder::new(hasher, &mut batch), last: None, pause: Span::ZERO, first: None };
        let header = match header {
            Recognised::Pcap(mut pcap) => {
                pcap.walk(bytes, crate::capture::pcap::HEADER, bytes.len(), &mut look);
                Recognised::Pcap(pcap)
            }
            Recognised::Pcapng(mut pcapng) => {
                pcapng.walk(bytes, 0, bytes.len(), &mut look);
                Recognised::Pcapng(pcapng)
            }
            Recognised::Snoop(mut snoop) => {
                snoop.walk(bytes, crate::capture::snoop::HEADER, bytes.len(), &mut look);
                Recognised::Snoop(snoop)
            }
        };
        let (first_at, pause) = (look.first, look.pause);
        let flows = flows(&batch);
        let pairs = pairs(&batch);
        let tunnels = std::mem::take(&mut batch.tunnels);
        Some(Self { header: format!("{header:?}"), first_at, pause, flows, tunnels, pairs, name: pattern(name) })
    }

    /// What was written down in another run, where hashes were others.
    #[cfg(feature = "columns")]
    pub(super) fn hashed_by(mut self, hasher: &PairHasher) -> Self {
        for (segment, wide) in &mut self.flows {
            let tunnel = wide.and_then(|wide| self.tunnels.get((wide.tunnel as usize).checked_sub(1)?));
            segment.hash = hasher.of(segment, *wide, tunnel);
        }
        self
    }

    /// Hashes of the socket pairs that tell what this goes on with.
    #[cfg(feature = "columns")]
    pub(super) fn hashes(&self) -> BTreeSet<i32> {
        self.flows.iter().map(|(segment, _)| segment.hash.cast_signed()).collect()
    }

    /// Whether both could be files of one set, whichever is the earlier.
    pub(super) fn is_akin(&self, other: &Self) -> bool {
        self.header == other.header && (!self.pairs.is_disjoint(&other.pairs) || self.name == other.name)
    }

    /// Whether both may begin with the same octets.
    pub(super) fn begins_like(&self, other: &Self) -> bool {
        self.first_at.is_some() && self.first_at == other.first_at && self.header == other.header
    }

    /// A capture point that begins with this capture.
    pub(super) fn open(&self) -> Open {
        Open {
            header: self.header.clone(),
            frames: 0,
            first_at: self.first_at.unwrap_or(Time::MAX),
            last_at: Time::MIN,
            pause: Span::ZERO,
            pairs: BTreeSet::new(),
            name: self.name.clone(),
        }
    }
}

impl Open {
    /// Adds a capture that was read.
    pub(super) fn append(&mut self, front: Front, packets: u64, last_at: Time) {
        self.frames = self.frames.saturating_add(packets);
        self.last_at = self.last_at.max(last_at);
        self.pause = self.pause.max(front.pause);
        self.pairs.extend(front.pairs);
    }

    /// How well a capture goes on here; `None` where it does not.
    pub(super) fn fits(&self, next: &Front, pipeline: &Pipeline<'_>) -> Option<Fit> {
        let first_at = next.first_at?;
        let gap = first_at.since(self.last_at);
        let in_turn = first_at > self.first_at && gap >= Span(-DISORDER.0) && gap <= LONGEST_GAP;
        if !in_turn || self.header != next.header || self.frames == 0 {
            return None;
        }
        let named = self.name == next.name;
        let pause = self.pause.max(next.pause);
        // Rotation leaves no hole; what is longer than all pauses beside it is one.
        let times = |span: Span, n: i64| Span(span.0.saturating_mul(n));
        let short = gap <= times(SHORT_GAP.max(pause), if named { 5 } else { 2 });
        let known = !self.pairs.is_disjoint(&next.pairs);
        let (going_on, elsewhere) = next.compare(pipeline);
        let proven = going_on > 0 && going_on >= elsewhere && (short || elsewhere == 0);
        let likely = named && short && known && elsewhere == 0;
        (proven || likely).then_some((!named, gap.max(Span::ZERO)))
    }
}

impl Front {
    /// How many flows go on where the open point stands, and how many were elsewhere before or not at all.
    fn compare(&self, pipeline: &Pipeline<'_>) -> (usize, usize) {
        let (mut going_on, mut elsewhere) = (0, 0);
        for (segment, wide) in &self.flows {
            match pipeline.goes_on(segment, *wide, &self.tunnels) {
                Some(true) => going_on += 1,
                Some(false) => elsewhere += 1,
                None if segment.flags.is_syn() || segment.flags.is_syn_ack() => {}
                None => elsewhere += 1,
            }
        }
        (going_on, elsewhere)
    }
}

/// The first segment of each direction of each socket pair; where a pair began here, its SYN alone.
fn flows(batch: &Batch) -> Vec<(Segment, Option<Wide>)> {
    let mut flows: Vec<(Segment, Option<Wide>)> = Vec::new();
    let (mut met, mut begun) = (BTreeSet::new(), BTreeSet::new());
    let mut segments: Vec<(&Segment, Option<Wide>)> = Vec::new();
    for shard in &batch.shards {
        let wide = |segment: &Segment| shard.wides.get(segment.src as usize).copied();
        segments.extend(shard.segments.iter().map(|s| (s, if s.marks.has(Marks::WIDE) { wide(s) } else { None })));
    }
    segments.sort_by_key(|(segment, _)| segment.frame);
    for (segment, wide) in segments {
        if segment.marks.has(Marks::ICMP_ERROR) {
            continue;
        }
        if segment.flags.is_syn() {
            begun.insert(segment.hash);
        } else if begun.contains(&segment.hash) {
            continue;
        }
        if met.insert((segment.hash, segment.src_port, segment.src)) && flows.len() < FLOWS {
            flows.push((*segment, wide));
        }
    }
    flows
}

/// Addresses that talk to each other.
fn pairs(batch: &Batch) -> BTreeSet<[[u8; 16]; 2]> {
    let ordered = |one: [u8; 16], other: [u8; 16]| [one.min(other), one.max(other)];
    let narrow = |ip: u32| std::net::Ipv4Addr::from(ip).to_ipv6_mapped().octets();
    let mut pairs: BTreeSet<[[u8; 16]; 2]> = batch.echoes.iter().map(|e| ordered(e.src, e.dst)).take(PAIRS).collect();
    for shard in &batch.shards {
        for segment in &shard.segments {
            let (src, dst) = if segment.marks.has(Marks::WIDE) {
                let Some(wide) = shard.wides.get(segment.src as usize) else { continue };
                (wide.src, wide.dst)
            } else {
                (narrow(segment.src), narrow(segment.dst))
            };
            if pairs.len() < PAIRS {
                pairs.insert(ordered(src, dst));
            }
        }
    }
    pairs
}

/// A name without its numbers and without what compression adds: rotation counts or tells the time.
fn pattern(name: &str) -> String {
    let bare = [".gz", ".zst", ".xz", ".bz2", ".lz4"].iter().find_map(|end| name.strip_suffix(end)).unwrap_or(name);
    // `tcpdump -C` numbers from the second file on.
    let bare = bare.trim_end_matches(|c: char| c.is_ascii_digit());
    let place = bare.rfind(['/', '!']).map_or(0, |place| place + 1);
    let (folder, file) = bare.split_at_checked(place).unwrap_or(("", bare));
    let mut pattern = folder.to_owned();
    for c in file.chars() {
        match c {
            c if !c.is_ascii_digit() => pattern.push(c),
            _ if pattern.ends_with('#') => {}
            _ => pattern.push('#'),
        }
    }
    pattern
}

/// Decodes, and notes when packets came.
struct Look<'a> {
    decoder: Decoder<'a>,
    first: Option<Time>,
    last: Option<Time>,
    pause: Span,
}

impl Visit for Look<'_> {
    fn packet(&mut self, at: Time, link: LinkType, bytes: &[u8], original: u32) {
        if let Some(last) = self.last {
            self.pause = self.pause.max(at.since(last));
        }
        self.first = self.first.or(Some(at));
        self.last = Some(at);
        self.decoder.packet(at, link, bytes, original);
    }
}

#[cfg(test)]
mod tests {
    use super::pattern;

    #[test]
    fn names_of_a_set_are_alike() {
        for (one, other) in [
            ("a/cap.pcap", "a/cap.pcap1"),
            ("a/cap_075317.pcap", "a/cap_075321.pcap"),
            ("cap.pcap00.gz", "cap.pcap01.gz"),
            ("x.tar!ring_00001_20261122075317.pcapng", "x.tar!ring_00002_20261122075320.pcapng"),
        ] {
            assert_eq!(pattern(one), pattern(other));
        }
        assert_ne!(pattern("a1/cap.pcap"), pattern("a2/cap.pcap"));
        assert_ne!(pattern("client.pcap"), pattern("server.pcap"));
    }
}
