//! The innermost datagram of a frame, written anew with other addresses: headers only, nothing of what they carry.
//!
//! Link headers, IP options and payloads are left out. Tunnels that tell conversations apart are written as VXLAN (RFC 7348)
//! where they had a network identifier, and else as IP in IP (RFC 2003), between mapped addresses. TCP options that the analysis reads stay (RFC 9293 section
//! 3.1, RFC 7323, RFC 2018); others, some of which carry addresses, become no-operation. ICMP errors keep the headers
//! that they quote. Checksums are updated by what changed (RFC 1624), so that a wrong one stays wrong.

use super::full::{self, Found};
use super::ip;
use super::tunnel::{Tunnel, TunnelLayer};
use crate::capture::LinkType;

/// What goes in the place of addresses and payloads.
pub trait Replace: Sync {
    /// An address for an address, one to one; IPv4 as IPv4-mapped, and as such again.
    fn address(&self, octets: [u8; 16]) -> [u8; 16];

    /// What stands for the data of an echo, so that a reply still repeats that of its request.
    fn payload(&self, octets: &[u8]) -> [u8; 16];
}

/// A frame of link type raw IP, and its length on the wire; nothing where a frame is neither TCP nor ICMP.
#[must_use]
pub fn rewrite(link: LinkType, bytes: &[u8], original: u32, replace: &dyn Replace) -> Option<(Vec<u8>, u32)> {
    let mut innermost = None;
    let found = full::peel(link, bytes, original, &mut |datagram| innermost = Some(datagram));
    let datagram: &[u8] = innermost?;
    let cut = usize::try_from(original).unwrap_or(usize::MAX).saturating_sub(bytes.len());
    let on_wire = match *datagram.first_chunk::<6>()? {
        [v4, _, l1, l2, _, _] if v4 >> 4 == 4 && [l1, l2] != [0, 0] => usize::from(u16::from_be_bytes([l1, l2])),
        [v6, _, _, _, l1, l2] if v6 >> 4 == 6 && [l1, l2] != [0, 0] => 40 + usize::from(u16::from_be_bytes([l1, l2])),
        _ => datagram.len().saturating_add(cut),
    };
    let inside = datagram.get(..on_wire).unwrap_or(datagram);
    let tunnel = match found {
        Found::Nothing(_) => return None,
        Found::Echo(_) => Tunnel::default(),
        Found::Segment { tunnel, .. } => tunnel,
        Found::Fragment(fragment) => fragment.tunnel,
    };
    let mut headers = Vec::with_capacity(96);
    write(inside, replace, false, &mut headers)?;
    let (headers, on_wire) = tunnel
        .layers()
        .iter()
        .rev()
        .fold((headers, on_wire), |(inner, length), layer| wrapped(&inner, length, layer, replace));
    Some((headers, u32::try_from(on_wire).unwrap_or(u32::MAX)))
}

/// A datagram, of `length` octets on the wire, inside a tunnel; and the length of both.
fn wrapped(inner: &[u8], length: usize, layer: &TunnelLayer, replace: &dyn Replace) -> (Vec<u8>, usize) {
    const UDP: u8 = 17;
    const VXLAN: u16 = 4789;
    let wide = inner.first().is_some_and(|first| first >> 4 == 6);
    let mut between = Vec::new();
    let protocol = match layer.vni {
        None if wide => 41,
        None => 4,
        Some(vni) => {
            let octets = u16::try_from(length.saturating_add(30)).unwrap_or(u16::MAX);
            between.extend([VXLAN, VXLAN, octets, 0].map(u16::to_be_bytes).as_flattened());
            between.extend([8, 0, 0, 0]);
            between.extend((vni << 8).to_be_bytes());
            between.extend([0; 12]);
            between.extend(if wide { [0x86, 0xdd] } else { [0x08, 0x00] });
            UDP
        }
    };
    let inside = length.saturating_add(between.len());
    let octets = |more: usize| u16::try_from(inside.saturating_add(more)).unwrap_or(u16::MAX).to_be_bytes();
    let (low, high) = (replace.address(layer.low), replace.address(layer.high));
    let mut out = match (ip::as_v4(&low), ip::as_v4(&high)) {
        (Some(low), Some(high)) => {
            let [l1, l2] = octets(20);
            let mut header = vec![0x45, 0, l1, l2, 0, 0, 0, 0, 64, protocol, 0, 0];
            header.extend([low.to_be_bytes(), high.to_be_bytes()].as_flattened());
            let checksum = Change::of(&[0; 20], &header).apply([0xff, 0xff]);
            header.splice(10..12, checksum);
            header
        }
        _ => {
            let [l1, l2] = octets(0);
            let mut header = vec![0x60, 0, 0, 0, l1, l2, protocol, 64];
            header.extend([low, high].as_flattened());
            header
        }
    };
    let header = out.len();
    out.extend(between);
    out.extend(inner);
    (out, inside.saturating_add(header))
}

const ICMP: u8 = 1;
const TCP: u8 = 6;
const ICMP_V6: u8 = 58;

/// Writes the headers of a datagram; of one that an ICMP error quotes less may be there.
fn write(datagram: &[u8], replace: &dyn Replace, quoted: bool, out: &mut Vec<u8>) -> Option<()> {
    let (protocol, rest, first, change) = match datagram.first()? >> 4 {
        4 => v4(datagram, replace, out)?,
        6 => v6(datagram, replace, out)?,
        _ => return None,
    };
    match protocol {
        _ if !first => {}
        TCP => tcp(rest, change, out),
        ICMP | ICMP_V6 if !quoted => icmp(rest, protocol == ICMP_V6, change, replace, out),
        _ => {}
    }
    Some(())
}

/// What a change of octets adds to a checksum, RFC 1624 section 3: the one's complement sum of new minus old.
#[derive(Clone, Copy, Default)]
struct Change(u32);

impl Change {
    fn of(old: &[u8], new: &[u8]) -> Self {
        let sum = |octets: &[u8], turned: u16| {
            octets.chunks(2).fold(0_u32, |sum, pair| {
                let word = match *pair {
                    [high, low] => u16::from_be_bytes([high, low]),
                    [high] => u16::from_be_bytes([high, 0]),
                    _ => 0,
                };
                fold(sum + u32::from(word ^ turned))
            })
        };
        Self(fold(sum(new, 0) + sum(old, 0xffff)))
    }

    fn and(self, other: Self) -> Self {
        Self(fold(self.0 + other.0))
    }

    /// The checksum after the change: RFC 1624, equation 3.
    fn apply(self, checksum: [u8; 2]) -> [u8; 2] {
        let sum = fold(u32::from(!u16::from_be_bytes(checksum)) + self.0);
        #[allow(clippy::cast_possible_truncation)] // folded to 16 bits
        (!(sum as u16)).to_be_bytes()
    }
}

const fn fold(sum: u32) -> u32 {
    let sum = (sum & 0xffff) + (sum >> 16);
    (sum & 0xffff) + (sum >> 16)
}

type Inside<'a> = (u8, &'a [u8], bool, Change);

fn v4<'a>(datagram: &'a [u8], replace: &dyn Replace, out: &mut Vec<u8>) -> Option<Inside<'a>> {
    let fixed = *datagram.first_chunk::<20>()?;
    let [_, _, _, _, _, _, f1, f2, _, protocol, c1, c2, s1, s2, s3, s4, d1, d2, d3, d4] = fixed;
    let length = usize::from(fixed[0] & 0x0f) * 4;
    let mapped = |octets: [u8; 4]| ip::as_v4(&replace.address(ip::mapped(octets))).map(u32::to_be_bytes);
    let (src, dst) = (mapped([s1, s2, s3, s4])?, mapped([d1, d2, d3, d4])?);
    let mut header = fixed.to_vec();
    // Options may hold a route.
    let options = datagram.get(20..length)?;
    header.resize(length, NO_OPERATION);
    let addresses = Change::of(datagram.get(12..20)?, &[src, dst].concat());
    header.get_mut(12..20)?.copy_from_slice(&[src, dst].concat());
    let all = addresses.and(Change::of(options, header.get(20..)?));
    header.get_mut(10..12)?.copy_from_slice(&all.apply([c1, c2]));
    out.extend(header);
    let first = u16::from_be_bytes([f1, f2]) & 0x1fff == 0;
    // The authentication header's value covers the addresses: what follows it is not looked for.
    Some((protocol, datagram.get(length..)?, first, addresses))
}

fn v6<'a>(datagram: &'a [u8], replace: &dyn Replace, out: &mut Vec<u8>) -> Option<Inside<'a>> {
    const FRAGMENT: u8 = 44;
    let (fixed, rest) = datagram.split_first_chunk::<8>()?;
    let (src, rest) = rest.split_first_chunk::<16>()?;
    let (dst, mut rest) = rest.split_first_chunk::<16>()?;
    let ends = [replace.address(*src), replace.address(*dst)].concat();
    let change = Change::of(datagram.get(8..40)?, &ends);
    out.extend(fixed);
    out.extend(ends);
    let [.., next, _] = *fixed;
    let (mut protocol, mut first) = (next, true);
    // RFC 8200 section 4: headers keep their chain and length, not what they say; all zeros are padding.
    while first && matches!(protocol, 0 | 43 | 60 | 135 | 139 | 140 | FRAGMENT) {
        let &[next, length, o1, o2] = rest.first_chunk::<4>()?;
        let size = if protocol == FRAGMENT { 8 } else { (usize::from(length) + 1) * 8 };
        let (header, after) = rest.split_at_checked(size)?;
        if protocol == FRAGMENT {
            out.extend(header);
            first = u16::from_be_bytes([o1, o2]) & 0xfff8 == 0;
        } else {
            out.extend([next, length]);
            out.resize(out.len().saturating_add(size.saturating_sub(2)), 0);
        }
        (protocol, rest) = (next, after);
    }
    Some((protocol, rest, first, change))
}

const END: u8 = 0;
const NO_OPERATION: u8 = 1;
/// Maximum segment size, window scale, SACK permitted, SACK, timestamps.
const KEPT: [u8; 5] = [2, 3, 4, 5, 8];

fn tcp(segment: &[u8], change: Change, out: &mut Vec<u8>) {
    let Some(&[.., offset, _, _, _, c1, c2, _, _]) = segment.first_chunk::<20>() else {
        return out.extend(segment); // cut, or quoted: ports and sequence number
    };
    let length = (usize::from(offset >> 4) * 4).clamp(20, segment.len());
    let (fixed, options) = (segment.get(..20).unwrap_or(segment), segment.get(20..length).unwrap_or(&[]));
    let kept = options_kept(options);
    let checksum = change.and(Change::of(options, &kept)).apply([c1, c2]);
    let begin = out.len();
    out.extend(fixed);
    if let Some(place) = out.get_mut(begin.saturating_add(16)..begin.saturating_add(18)) {
        place.copy_from_slice(&checksum);
    }
    out.extend(kept);
}

/// The options with those left out that nobody reads, each octet of them a no-operation.
fn options_kept(options: &[u8]) -> Vec<u8> {
    let mut kept = Vec::with_capacity(options.len());
    let mut rest = options;
    while let Some((&kind, after)) = rest.split_first() {
        let length = match (kind, after.first()) {
            (END, _) => rest.len(),
            (NO_OPERATION, _) => 1,
            (_, Some(&length)) if length >= 2 => usize::from(length),
            _ => rest.len(),
        };
        let (option, next) = rest.split_at_checked(length).unwrap_or((rest, &[]));
        match kind {
            END => kept.resize(kept.len().saturating_add(option.len()), END),
            NO_OPERATION => kept.push(NO_OPERATION),
            kind if KEPT.contains(&kind) => kept.extend(option),
            _ => kept.resize(kept.len().saturating_add(option.len()), NO_OPERATION),
        }
        rest = next;
    }
    kept
}

fn icmp(message: &[u8], wide: bool, change: Change, replace: &dyn Replace, out: &mut Vec<u8>) {
    let Some((header, rest)) = message.split_first_chunk::<8>() else { return out.extend(message) };
    // The checksum of ICMPv6 covers a pseudo-header, that of ICMP does not (RFC 4443 section 2.3).
    let [kind, code, c1, c2, more @ ..] = *header;
    let [c1, c2] = if wide { change.apply([c1, c2]) } else { [c1, c2] };
    out.extend([kind, code, c1, c2]);
    let echo = matches!((wide, kind), (false, 0 | 8) | (true, 128 | 129));
    if echo {
        out.extend(more);
        if rest.len() >= 16 {
            out.extend(replace.payload(rest));
        }
        return;
    }
    // A redirect names a gateway there.
    let redirect = !wide && kind == 5;
    out.extend(if redirect { [0; 4] } else { more });
    // What cannot be read of a quote is left out.
    let _ = write(rest, replace, true, out);
}
