//! The complete path: every link layer, tunnel, extension header and cut packet that the thin one declines.
//!
//! One loop peels one layer at a time; each layer is read by the module that knows it. RFC 791, RFC 8200,
//! RFC 792, RFC 4443.

use etherparse::TcpHeaderSlice;

use super::frames::Skip;
use super::ip::TcpHeader;
use super::tunnel;
use super::{Echo, Flags, Fragment, LabelKind, Marks, Segment, SeqNumber, Tunnel, checksum, ip};
use crate::capture::LinkType;
use crate::time::Time;

/// What a frame turned out to hold.
pub(super) enum Found {
    /// A TCP segment, or an ICMP error that quotes one.
    Segment { segment: Segment, src: [u8; 16], dst: [u8; 16], tunnel: Tunnel },
    /// An echo request or reply.
    Echo(Echo),
    /// A part of a datagram that carries TCP.
    Fragment(Fragment),
    /// Neither.
    Nothing(Skip),
}

/// What stands next in a frame.
pub(super) enum Layer<'a> {
    Ethernet(&'a [u8]),
    EtherType(u16, &'a [u8]),
    Ppp(&'a [u8]),
    Ip(&'a [u8]),
    /// The snap length cut it.
    Cut,
    /// Not a way to IP.
    Other,
}

const TCP: u8 = 6;

/// More nesting than any network has; an endless loop is impossible, since every layer takes octets.
const DEEPEST: usize = 24;

/// Peels layers until a TCP segment or an ICMP message is met.
pub(super) fn decode(link: LinkType, bytes: &[u8], original: u32) -> Found {
    peel(link, bytes, original, &mut |_| {})
}

/// As [`decode`]; `met` sees every IP header that is come to, with what follows it.
pub(super) fn peel<'a>(link: LinkType, bytes: &'a [u8], original: u32, met: &mut dyn FnMut(&'a [u8])) -> Found {
    let Some(mut layer) = link.enter(bytes) else { return Found::Nothing(Skip::LinkType) };
    let mut tunnel = Tunnel::default();
    // What the snap length cut off counts as length where the IP header does not say.
    let cut = u64::from(original).saturating_sub(bytes.len() as u64);
    for _ in 0..DEEPEST {
        if let Layer::Ip(rest) = layer {
            met(rest);
        }
        layer = match layer {
            Layer::Ethernet(frame) => ethernet(frame),
            Layer::EtherType(kind, rest) => ether_type(kind, rest, &mut tunnel),
            Layer::Ppp(rest) => ppp(rest),
            Layer::Ip(rest) => match datagram(rest, cut) {
                Ok(datagram) => match datagram.fragment {
                    Some(part) if datagram.protocol == TCP => {
                        return Found::Fragment(fragment(&datagram, part, tunnel));
                    }
                    Some(part) if part.offset > 0 => return Found::Nothing(Skip::Fragment),
                    _ => match inside(&datagram, &mut tunnel) {
                        Inner::Layer(next) => next,
                        Inner::Found(found) => return found.with_tunnel(tunnel),
                    },
                },
                Err(skip) => return Found::Nothing(skip),
            },
            Layer::Cut => return Found::Nothing(Skip::Cut),
            Layer::Other => return Found::Nothing(Skip::NotIp),
        };
    }
    Found::Nothing(Skip::TooDeep)
}

impl Found {
    fn with_tunnel(self, around: Tunnel) -> Self {
        match self {
            Self::Segment { segment, src, dst, .. } => Self::Segment { segment, src, dst, tunnel: around },
            other => other,
        }
    }
}

fn ethernet(frame: &[u8]) -> Layer<'_> {
    const SMALLEST_ETHER_TYPE: u16 = 0x0600;
    let Some((kind, rest)) = frame.get(12..).and_then(|b| b.split_first_chunk::<2>()) else { return Layer::Cut };
    match u16::from_be_bytes(*kind) {
        // IEEE 802.3: a length, then LLC.
        length if length < SMALLEST_ETHER_TYPE => tunnel::snap(rest),
        kind => Layer::EtherType(kind, rest),
    }
}

fn ether_type<'a>(kind: u16, rest: &'a [u8], around: &mut Tunnel) -> Layer<'a> {
    match kind {
        0x0800 | 0x86dd => Layer::Ip(rest),
        0x8100 | 0x88a8 | 0x9100 => match rest.split_first_chunk::<4>() {
            Some((&[t1, t2, k1, k2], after)) => {
                around.label(LabelKind::Vlan, u32::from(u16::from_be_bytes([t1, t2]) & 0x0fff));
                Layer::EtherType(u16::from_be_bytes([k1, k2]), after)
            }
            None => Layer::Cut,
        },
        // IEEE 802.1BR and Cisco's VN-Tag: a tag of four octets before the next EtherType.
        0x8926 => match rest.split_first_chunk::<6>() {
            Some((&[_, _, _, _, k1, k2], after)) => Layer::EtherType(u16::from_be_bytes([k1, k2]), after),
            None => Layer::Cut,
        },
        // IEEE 802.1ah: the service of a provider's backbone, 24 bits, then the customer's frame.
        0x88e7 => match rest.split_first_chunk::<4>() {
            Some((&[_, i1, i2, i3], frame)) => {
                around.label(LabelKind::Isid, u32::from_be_bytes([0, i1, i2, i3]));
                Layer::Ethernet(frame)
            }
            None => Layer::Cut,
        },
        // Cisco FabricPath: a forwarding tag, then the frame.
        0x8903 => rest.get(2..).map_or(Layer::Cut, Layer::Ethernet),
        0x8847 | 0x8848 => tunnel::mpls(rest, around),
        0x8864 => tunnel::pppoe(rest, around),
        // Cisco HDLC and PPP over GRE give PPP's protocol numbers a frame of their own.
        0x880b => Layer::Ppp(rest),
        0x6558 => Layer::Ethernet(rest),
        _ => Layer::Other,
    }
}

/// PPP's protocol field, RFC 1661 section 2, in one octet or two.
fn ppp(bytes: &[u8]) -> Layer<'_> {
    match bytes {
        [0x21 | 0x57, rest @ ..] | [0x00, 0x21 | 0x57, rest @ ..] => Layer::Ip(rest),
        [0x02, 0x81, rest @ ..] => Layer::EtherType(0x8847, rest),
        [] | [0x00] => Layer::Cut,
        _ => Layer::Other,
    }
}

/// Which part of a datagram a fragment is.
#[derive(Clone, Copy)]
struct Part {
    id: u32,
    offset: u32,
    more: bool,
}

fn fragment(datagram: &Datagram<'_>, part: Part, tunnel: Tunnel) -> Fragment {
    let room = 60_usize.saturating_sub(part.offset as usize);
    Fragment {
        at: Time::default(),
        frame: 0,
        src: datagram.src,
        dst: datagram.dst,
        tunnel,
        id: part.id,
        offset: part.offset,
        more: part.more,
        length: datagram.length,
        ttl: datagram.ttl,
        head: datagram.payload.get(..room).unwrap_or(datagram.payload).to_vec(),
    }
}

/// An IP datagram, or a fragment of one, with its extension headers behind us.
struct Datagram<'a> {
    src: [u8; 16],
    dst: [u8; 16],
    ttl: u8,
    /// Identification; 0 for IPv6.
    ident: u16,
    /// It is whole and its addresses are those of both ends, so that a checksum can be held against it.
    whole: bool,
    protocol: u8,
    fragment: Option<Part>,
    payload: &'a [u8],
    /// Octets of payload by the IP header.
    length: u32,
}

fn datagram(bytes: &[u8], cut: u64) -> Result<Datagram<'_>, Skip> {
    match bytes.first().map(|first| first >> 4) {
        Some(4) => ipv4(bytes, cut),
        Some(6) => ipv6(bytes, cut),
        Some(_) => Err(Skip::Malformed),
        None => Err(Skip::Cut),
    }
}

fn ipv4(bytes: &[u8], cut: u64) -> Result<Datagram<'_>, Skip> {
    let fixed = bytes.first_chunk::<20>().ok_or(Skip::Cut)?;
    let [first, _, l1, l2, i1, i2, f1, f2, ttl, protocol, _, _, s1, s2, s3, s4, d1, d2, d3, d4] = *fixed;
    let header = usize::from(first & 0x0f) * 4;
    if header < 20 {
        return Err(Skip::Malformed);
    }
    let all = bytes.get(header..).ok_or(Skip::Cut)?;
    let fragment = u16::from_be_bytes([f1, f2]) & 0x3fff;
    let length = match usize::from(u16::from_be_bytes([l1, l2])) {
        // Segmentation offload leaves the total length zero: the frame's own length counts.
        0 => all.len() as u64 + cut,
        total => total.checked_sub(header).ok_or(Skip::Malformed)? as u64,
    };
    let payload = all.get(..usize::try_from(length).unwrap_or(usize::MAX)).unwrap_or(all);
    let (src, dst) = tunnel::mapped_pair([s1, s2, s3, s4], [d1, d2, d3, d4]);
    let ident = u16::from_be_bytes([i1, i2]);
    // Options may carry the route, and with it another destination.
    let whole = fragment == 0 && header == 20;
    let length = u32::try_from(length).unwrap_or(u32::MAX);
    let mut datagram = Datagram { src, dst, ttl, ident, whole, protocol, fragment: None, payload, length };
    if fragment != 0 {
        let offset = u32::from(fragment & 0x1fff) * 8;
        datagram.fragment = Some(Part { id: u32::from(ident), offset, more: fragment & 0x2000 != 0 });
    }
    if fragment & 0x1fff == 0 {
        extension_headers(&mut datagram, &[AUTHENTICATION])?;
    }
    Ok(datagram)
}

fn ipv6(bytes: &[u8], cut: u64) -> Result<Datagram<'_>, Skip> {
    let (fixed, rest) = bytes.split_first_chunk::<8>().ok_or(Skip::Cut)?;
    let (src, rest) = rest.split_first_chunk::<16>().ok_or(Skip::Cut)?;
    let (dst, all) = rest.split_first_chunk::<16>().ok_or(Skip::Cut)?;
    let [_, _, _, _, l1, l2, next, hops] = *fixed;
    let length = match u64::from(u16::from_be_bytes([l1, l2])) {
        0 => all.len() as u64 + cut,
        length => length,
    };
    let payload = all.get(..usize::try_from(length).unwrap_or(usize::MAX)).unwrap_or(all);
    let mut datagram = Datagram {
        src: *src,
        dst: *dst,
        ttl: hops,
        ident: 0,
        whole: true,
        protocol: next,
        fragment: None,
        payload,
        length: u32::try_from(length).unwrap_or(u32::MAX),
    };
    extension_headers(&mut datagram, &[0, 43, 60, 135, 139, 140, FRAGMENT, AUTHENTICATION])?;
    Ok(datagram)
}

const FRAGMENT: u8 = 44;
const AUTHENTICATION: u8 = 51;

/// RFC 8200 section 4: hop-by-hop, routing, fragment, destination options; and AH (RFC 4302 section 2), in IPv4 as well.
fn extension_headers(datagram: &mut Datagram<'_>, known: &[u8]) -> Result<(), Skip> {
    while known.contains(&datagram.protocol) {
        datagram.whole = false;
        let &[next, length, o1, o2] = datagram.payload.first_chunk::<4>().ok_or(Skip::Cut)?;
        let size = match datagram.protocol {
            FRAGMENT => {
                datagram.fragment = part(datagram.payload, u16::from_be_bytes([o1, o2]))?;
                8
            }
            AUTHENTICATION => (usize::from(length) + 2) * 4,
            _ => (usize::from(length) + 1) * 8,
        };
        datagram.protocol = next;
        datagram.payload = datagram.payload.get(size..).ok_or(Skip::Cut)?;
        datagram.length =
            datagram.length.checked_sub(u32::try_from(size).unwrap_or(u32::MAX)).ok_or(Skip::Malformed)?;
        if datagram.fragment.is_some_and(|part| part.offset > 0) {
            break; // the headers behind it stand in the first fragment
        }
    }
    Ok(())
}

/// RFC 8200 section 4.5; a fragment that is the whole datagram is none (RFC 6946).
fn part(header: &[u8], field: u16) -> Result<Option<Part>, Skip> {
    let id = header.get(4..).and_then(|rest| rest.first_chunk::<4>()).ok_or(Skip::Cut)?;
    let part = Part { id: u32::from_be_bytes(*id), offset: u32::from(field & 0xfff8), more: field & 1 != 0 };
    Ok((part.offset > 0 || part.more).then_some(part))
}

enum Inner<'a> {
    Layer(Layer<'a>),
    Found(Found),
}

fn inside<'a>(datagram: &Datagram<'a>, around: &mut Tunnel) -> Inner<'a> {
    const ICMP: u8 = 1;
    const IP_IN_IP: u8 = 4;
    const UDP: u8 = 17;
    const IPV6_IN_IP: u8 = 41;
    const GRE: u8 = 47;
    const ICMP_V6: u8 = 58;
    let (src, dst) = (datagram.src, datagram.dst);
    let layer = match datagram.protocol {
        TCP => return Inner::Found(tcp(datagram)),
        ICMP => return Inner::Found(icmp(datagram, false)),
        ICMP_V6 => return Inner::Found(icmp(datagram, true)),
        UDP => tunnel::in_udp(datagram.payload, src, dst, around),
        GRE => tunnel::gre(datagram.payload, src, dst, around),
        IP_IN_IP | IPV6_IN_IP => {
            around.enter("ipip", None, src, dst);
            Some(Layer::Ip(datagram.payload))
        }
        _ => None,
    };
    layer.map_or(Inner::Found(Found::Nothing(Skip::NotTcp)), Inner::Layer)
}

fn tcp(datagram: &Datagram<'_>) -> Found {
    // etherparse checks the header here and not in the thin path, so that each is held against the other.
    let checked = TcpHeaderSlice::from_slice(datagram.payload).ok().and_then(|tcp| TcpHeader::read(tcp.slice()));
    let segment = match checked {
        Some(tcp) if datagram.length >= tcp.size() => Some(tcp.segment(datagram.length, datagram.ttl)),
        Some(_) => return Found::Nothing(Skip::Malformed),
        None => ip::cut_segment(datagram.payload, datagram.length, datagram.ttl),
    };
    match segment {
        Some(mut segment) => {
            segment.ident = datagram.ident;
            if segment.flags.has(Flags::SYN) && datagram.whole {
                segment.marks.0 |= sum(datagram);
            }
            Found::Segment { segment, src: datagram.src, dst: datagram.dst, tunnel: Tunnel::default() }
        }
        None if datagram.payload.len() < 20 => Found::Nothing(Skip::Cut),
        None => Found::Nothing(Skip::Malformed),
    }
}

/// The marks of a SYN's checksum, whose pseudo-header has the addresses in their own family.
fn sum(datagram: &Datagram<'_>) -> u8 {
    let (src, dst) = (&datagram.src, &datagram.dst);
    match (ip::as_v4(src), ip::as_v4(dst)) {
        (Some(src), Some(dst)) => {
            checksum::marks(&src.to_be_bytes(), &dst.to_be_bytes(), datagram.payload, datagram.length)
        }
        _ => checksum::marks(src, dst, datagram.payload, datagram.length),
    }
}

fn icmp(datagram: &Datagram<'_>, v6: bool) -> Found {
    let Some((&[kind, code, _, _, i1, i2, s1, s2], quoted)) = datagram.payload.split_first_chunk::<8>() else {
        return Found::Nothing(Skip::Cut);
    };
    match (v6, kind) {
        (false, 0 | 8) | (true, 128 | 129) => Found::Echo(Echo {
            at: Time::default(),
            frame: 0,
            reply: kind == 0 || kind == 129,
            id: u16::from_be_bytes([i1, i2]),
            sequence: u16::from_be_bytes([s1, s2]),
            fingerprint: fingerprint(quoted),
            src: datagram.src,
            dst: datagram.dst,
        }),
        // Destination unreachable, time exceeded, parameter problem; packet too big is no refusal.
        (false, 3 | 11 | 12) if !(kind == 3 && code == 4) => quoted_segment(quoted, kind, code),
        (true, 1 | 3 | 4) => quoted_segment(quoted, kind, code),
        _ => Found::Nothing(Skip::NotTcp),
    }
}

/// FNV-1a over the first 16 bytes of an echo's data, where `ping` has its time of sending. Longer data may come back
/// cut, so no more than these count; 0 where fewer were captured.
fn fingerprint(data: &[u8]) -> u32 {
    let Some(first) = data.first_chunk::<16>() else { return 0 };
    let hash = first.iter().fold(0x811c_9dc5, |hash: u32, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193));
    hash.max(1)
}

/// The segment that an ICMP error quotes: at least its ports and sequence number (RFC 792).
fn quoted_segment(quoted: &[u8], kind: u8, code: u8) -> Found {
    let Ok(inner) = datagram(quoted, 0) else { return Found::Nothing(Skip::NotTcp) };
    let Some(&[s1, s2, d1, d2, q1, q2, q3, q4]) = inner.payload.first_chunk::<8>() else {
        return Found::Nothing(Skip::NotTcp);
    };
    if inner.protocol != TCP || inner.fragment.is_some_and(|part| part.offset > 0) {
        return Found::Nothing(Skip::NotTcp);
    }
    let segment = Segment {
        src_port: u16::from_be_bytes([s1, s2]),
        dst_port: u16::from_be_bytes([d1, d2]),
        seq: SeqNumber(u32::from_be_bytes([q1, q2, q3, q4])),
        window: u16::from_be_bytes([kind, code]),
        marks: Marks(Marks::ICMP_ERROR),
        ..Segment::default()
    };
    Found::Segment { segment, src: inner.src, dst: inner.dst, tunnel: Tunnel::default() }
}
