//! Tunnels and labels: what carries a packet inside another, and what of it names the conversation.
//!
//! A tunnel is identified by its kind, its VNI (VXLAN, RFC 7348; Geneve, RFC 8926) and its unordered outer
//! endpoints, so that both directions meet and equal inner addresses of two tunnels stay apart. VLAN tags,
//! MPLS labels, GTP tunnel ids, GRE keys and PPPoE sessions may differ by direction: they are labels only.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::net::IpAddr;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::full::Layer;
use super::{LabelKind, Labels, ip};

/// The tunnels around a packet, outermost first.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Tunnel {
    identity: Vec<TunnelLayer>,
    labels: Labels,
}

/// The name of a kind of tunnel; an own type, since serde takes a reference for what is borrowed.
type Kind = &'static str;

/// One tunnel: what tells it apart from others.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct TunnelLayer {
    /// `vxlan`, `geneve`, `gre`, `ipip`, `gtp`, `teredo`, `ayiya`.
    #[serde(with = "kinds")]
    pub kind: Kind,
    /// VNI, where the kind has one that names the network.
    pub vni: Option<u32>,
    /// The lower of both outer addresses.
    pub low: [u8; 16],
    /// The higher of both outer addresses.
    pub high: [u8; 16],
}

impl Tunnel {
    /// Adds an inner tunnel between two outer addresses.
    pub fn enter(&mut self, kind: &'static str, vni: Option<u32>, one: [u8; 16], other: [u8; 16]) {
        self.identity.push(TunnelLayer { kind, vni, low: one.min(other), high: one.max(other) });
    }

    /// Replaces the outer addresses.
    pub fn map_addresses(&mut self, map: &dyn Fn([u8; 16]) -> [u8; 16]) {
        for layer in &mut self.identity {
            let (one, other) = (map(layer.low), map(layer.high));
            (layer.low, layer.high) = (one.min(other), one.max(other));
        }
    }

    /// The labels around the packet that it was met with.
    #[must_use]
    pub const fn labels(&self) -> Labels {
        self.labels
    }

    /// Other labels.
    pub const fn set_labels(&mut self, labels: Labels) {
        self.labels = labels;
    }

    /// Adds a label that is recorded but tells nothing apart.
    pub fn label(&mut self, kind: LabelKind, value: u32) {
        self.labels.add(kind, value);
    }

    /// What tells it apart, the outermost first.
    pub(super) fn layers(&self) -> &[TunnelLayer] {
        &self.identity
    }

    /// Neither tunnel nor label.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.identity.is_empty() && self.labels.is_empty()
    }

    /// No tunnel that would tell it apart.
    #[must_use]
    pub fn identity_is_empty(&self) -> bool {
        self.identity.is_empty()
    }

    /// The same for two tunnels exactly where they are the same, 0 outside any; unseeded, to be fed into a seeded hash.
    #[must_use]
    pub fn identity_hash(&self) -> u64 {
        if self.identity_is_empty() {
            return 0; // as the thin path has it, which knows no tunnels
        }
        let mut hasher = std::hash::DefaultHasher::new();
        self.identity.hash(&mut hasher);
        hasher.finish()
    }
}

/// Kinds of tunnels, by their names.
mod kinds {
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) const ALL: [&str; 7] = ["vxlan", "geneve", "gre", "ipip", "gtp", "teredo", "ayiya"];

    pub(super) fn serialize<S: Serializer>(kind: &&'static str, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(kind)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<&'static str, D::Error> {
        let name = String::deserialize(deserializer)?;
        known(&name).ok_or_else(|| D::Error::custom(format!("{name:?} is no kind of tunnel")))
    }

    pub(super) fn known(name: &str) -> Option<&'static str> {
        ALL.into_iter().find(|kind| *kind == name)
    }
}

/// As [`Tunnel`] is displayed.
impl FromStr for Tunnel {
    type Err = NoTunnel;

    fn from_str(text: &str) -> Result<Self, NoTunnel> {
        let mut tunnel = Self::default();
        let mut words = text.split(' ').filter(|word| !word.is_empty()).peekable();
        while let Some(kind) = words.next() {
            let kind = kinds::known(kind).ok_or(NoTunnel)?;
            let vni = words.peek().and_then(|word| word.parse::<u32>().ok());
            if vni.is_some() {
                words.next();
            }
            let (low, high) = words.next().and_then(|ends| ends.split_once('-')).ok_or(NoTunnel)?;
            let address = |text: &str| match text.parse().map_err(|_| NoTunnel)? {
                IpAddr::V4(v4) => Ok(v4.to_ipv6_mapped().octets()),
                IpAddr::V6(v6) => Ok(v6.octets()),
            };
            tunnel.enter(kind, vni, address(low)?, address(high)?);
        }
        Ok(tunnel)
    }
}

/// A text that names no tunnel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no tunnel: a kind, perhaps a number, and two addresses were expected, as in vxlan 42 10.0.0.1-10.0.0.2")]
pub struct NoTunnel;

/// Tunnels are the same where what identifies them is; labels do not count.
impl PartialEq for Tunnel {
    fn eq(&self, other: &Self) -> bool {
        self.identity == other.identity
    }
}

impl Eq for Tunnel {}

impl Hash for Tunnel {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.identity.hash(state);
    }
}

/// `vxlan 42 10.0.0.1-10.0.0.2`.
impl fmt::Display for Tunnel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut space = "";
        for layer in &self.identity {
            write!(f, "{space}{}", layer.kind)?;
            if let Some(vni) = layer.vni {
                write!(f, " {vni}")?;
            }
            let (low, high) = (IpAddr::from(layer.low).to_canonical(), IpAddr::from(layer.high).to_canonical());
            write!(f, " {low}-{high}")?;
            space = " ";
        }
        Ok(())
    }
}

const VXLAN: u16 = 4789;
const GENEVE: u16 = 6081;
const GTP_U: u16 = 2152;
/// What Linux uses for VXLAN where nobody says otherwise: its driver is older than the number given out.
const VXLAN_OF_LINUX: u16 = 8472;
const VXLAN_GPE: u16 = 4790;
/// GRE in UDP, RFC 8086.
const GRE_IN_UDP: u16 = 4754;
const TEREDO: u16 = 3544;
const AYIYA: u16 = 5072;

/// What a UDP datagram carries inside, where its destination port says that it is a tunnel.
pub(super) fn in_udp<'a>(udp: &'a [u8], src: [u8; 16], dst: [u8; 16], tunnel: &mut Tunnel) -> Option<Layer<'a>> {
    let (head, body) = udp.split_first_chunk::<8>()?;
    let [from1, from2, port1, port2, ..] = *head;
    match u16::from_be_bytes([port1, port2]) {
        VXLAN => vxlan(body, src, dst, tunnel),
        // The number belongs to another protocol (OTV): only a header of VXLAN through and through is taken for one.
        VXLAN_OF_LINUX if matches!(body, [0x08, 0, 0, 0, _, _, _, 0, ..]) => vxlan(body, src, dst, tunnel),
        VXLAN_GPE => vxlan_gpe(body, src, dst, tunnel),
        GRE_IN_UDP => gre(body, src, dst, tunnel),
        AYIYA => ayiya(body, src, dst, tunnel),
        GENEVE => geneve(body, src, dst, tunnel),
        GTP_U => gtp(body, src, dst, tunnel),
        TEREDO => teredo(body, src, dst, tunnel),
        // Their servers answer from these ports to any other.
        _ => match u16::from_be_bytes([from1, from2]) {
            TEREDO => teredo(body, src, dst, tunnel),
            AYIYA => ayiya(body, src, dst, tunnel),
            _ => None,
        },
    }
}

/// Teredo, RFC 4380 section 5.1.1: IPv6 behind an indication of the origin, authentication, or nothing.
fn teredo<'a>(mut bytes: &'a [u8], src: [u8; 16], dst: [u8; 16], tunnel: &mut Tunnel) -> Option<Layer<'a>> {
    if let [0, 1, id, auth, rest @ ..] = bytes {
        bytes = rest.get(usize::from(*id) + usize::from(*auth) + 9..)?;
    }
    if let [0, 0, _, _, _, _, _, _, rest @ ..] = bytes {
        bytes = rest;
    }
    (bytes.first()? >> 4 == 6).then(|| {
        tunnel.enter("teredo", None, src, dst);
        Layer::Ip(bytes)
    })
}

/// AYIYA (draft-massar-v6ops-ayiya-02, section 3): an identity and a signature of the lengths that the header gives.
fn ayiya<'a>(bytes: &'a [u8], src: [u8; 16], dst: [u8; 16], tunnel: &mut Tunnel) -> Option<Layer<'a>> {
    let (&[identity, signature, _, next, _, _, _, _], rest) = bytes.split_first_chunk::<8>()?;
    let size = (1_usize << (identity >> 4)) + usize::from(signature >> 4) * 4;
    let inner = rest.get(size..).filter(|_| matches!(next, 4 | 41))?;
    tunnel.enter("ayiya", None, src, dst);
    Some(Layer::Ip(inner))
}

/// VXLAN-GPE, draft-ietf-nvo3-vxlan-gpe section 3: the next protocol stands in the fourth octet.
fn vxlan_gpe<'a>(bytes: &'a [u8], src: [u8; 16], dst: [u8; 16], tunnel: &mut Tunnel) -> Option<Layer<'a>> {
    let (&[flags, _, _, next, v1, v2, v3, _], inner) = bytes.split_first_chunk::<8>()?;
    tunnel.enter("vxlan", (flags & 0x08 != 0).then(|| u32::from_be_bytes([0, v1, v2, v3])), src, dst);
    match next {
        1 | 2 => Some(Layer::Ip(inner)),
        3 => Some(Layer::Ethernet(inner)),
        _ => None,
    }
}

fn vxlan<'a>(bytes: &'a [u8], src: [u8; 16], dst: [u8; 16], tunnel: &mut Tunnel) -> Option<Layer<'a>> {
    let (&[flags, _, _, _, v1, v2, v3, _], frame) = bytes.split_first_chunk::<8>()?;
    // RFC 7348 section 5: the I flag says that the VNI is valid.
    let vni = (flags & 0x08 != 0).then(|| u32::from_be_bytes([0, v1, v2, v3]));
    tunnel.enter("vxlan", vni, src, dst);
    Some(Layer::Ethernet(frame))
}

fn geneve<'a>(bytes: &'a [u8], src: [u8; 16], dst: [u8; 16], tunnel: &mut Tunnel) -> Option<Layer<'a>> {
    let (&[version, _, p1, p2, v1, v2, v3, _], _) = bytes.split_first_chunk::<8>()?;
    let options = usize::from(version & 0x3f) * 4;
    tunnel.enter("geneve", Some(u32::from_be_bytes([0, v1, v2, v3])), src, dst);
    bridged(u16::from_be_bytes([p1, p2]), bytes.get(8 + options..)?)
}

/// GTPv1-U, 3GPP TS 29.281 section 5: G-PDUs carry IP.
fn gtp<'a>(bytes: &'a [u8], src: [u8; 16], dst: [u8; 16], tunnel: &mut Tunnel) -> Option<Layer<'a>> {
    const G_PDU: u8 = 255;
    let (&[flags, kind, _, _, t1, t2, t3, t4], mut rest) = bytes.split_first_chunk::<8>()?;
    if flags >> 5 != 1 || kind != G_PDU {
        return None;
    }
    if flags & 0x07 != 0 {
        let (&[_, _, _, mut next], after) = rest.split_first_chunk::<4>()?;
        rest = after;
        // Extension headers: length in units of four octets, the next one's type in the last octet.
        while flags & 0x04 != 0 && next != 0 {
            let length = usize::from(*rest.first()?) * 4;
            next = *rest.get(length.checked_sub(1)?)?;
            rest = rest.get(length..)?;
        }
    }
    tunnel.enter("gtp", None, src, dst);
    tunnel.label(LabelKind::Teid, u32::from_be_bytes([t1, t2, t3, t4]));
    Some(Layer::Ip(rest))
}

/// GRE, RFC 2784 and RFC 2890; with gretap and ERSPAN types I to III inside.
pub(super) fn gre<'a>(bytes: &'a [u8], src: [u8; 16], dst: [u8; 16], tunnel: &mut Tunnel) -> Option<Layer<'a>> {
    const CHECKSUM: u8 = 0x80;
    const KEY: u8 = 0x20;
    const SEQUENCE: u8 = 0x10;
    let (&[flags, version, p1, p2], mut rest) = bytes.split_first_chunk::<4>()?;
    let protocol = u16::from_be_bytes([p1, p2]);
    if version & 0x07 == 1 {
        return pptp(flags, version, rest, src, dst, tunnel);
    }
    tunnel.enter("gre", None, src, dst);
    if flags & CHECKSUM != 0 {
        rest = rest.get(4..)?;
    }
    if flags & KEY != 0 {
        let (key, after) = rest.split_first_chunk::<4>()?;
        tunnel.label(LabelKind::Key, u32::from_be_bytes(*key));
        rest = after;
    }
    if flags & SEQUENCE != 0 {
        rest = rest.get(4..)?;
    }
    match protocol {
        // ERSPAN type I has no sequence number and no header of its own; type II has eight octets.
        0x88be if flags & SEQUENCE == 0 => Some(Layer::Ethernet(rest)),
        0x88be => {
            tunnel.label(LabelKind::Erspan, erspan_session(rest)?);
            Some(Layer::Ethernet(rest.get(8..)?))
        }
        0x22eb => {
            tunnel.label(LabelKind::Erspan, erspan_session(rest)?);
            erspan_three(rest)
        }
        // Aruba's access points: IEEE 802.11 frames as they were on the air.
        0x8200..=0x83ff => Some(ieee80211(rest)),
        _ => bridged(protocol, rest),
    }
}

/// The session of ERSPAN types II and III: the lower ten bits of the second pair of octets.
fn erspan_session(bytes: &[u8]) -> Option<u32> {
    let &[_, _, high, low] = bytes.first_chunk::<4>()?;
    Some(u32::from(u16::from_be_bytes([high, low]) & 0x03ff))
}

/// ERSPAN type III: twelve octets, and eight more where the O bit says so.
fn erspan_three(bytes: &[u8]) -> Option<Layer<'_>> {
    let optional = bytes.get(11)? & 1 != 0;
    Some(Layer::Ethernet(bytes.get(if optional { 20 } else { 12 }..)?))
}

/// GRE version 1, RFC 2637: PPP inside.
fn pptp<'a>(
    flags: u8,
    version: u8,
    mut rest: &'a [u8],
    src: [u8; 16],
    dst: [u8; 16],
    tunnel: &mut Tunnel,
) -> Option<Layer<'a>> {
    tunnel.enter("gre", None, src, dst);
    rest = rest.get(4..)?;
    if flags & 0x10 != 0 {
        rest = rest.get(4..)?;
    }
    if version & 0x80 != 0 {
        rest = rest.get(4..)?;
    }
    match rest {
        [0xff, 0x03, inner @ ..] | inner => Some(Layer::Ppp(inner)),
    }
}

/// Transparent Ethernet bridging, or an EtherType.
fn bridged(protocol: u16, rest: &[u8]) -> Option<Layer<'_>> {
    const BRIDGED: u16 = 0x6558;
    Some(if protocol == BRIDGED { Layer::Ethernet(rest) } else { Layer::EtherType(protocol, rest) })
}

/// MPLS label stack, RFC 3032: labels up to the bottom, then IP by its version, or an Ethernet pseudowire.
pub(super) fn mpls<'a>(mut bytes: &'a [u8], tunnel: &mut Tunnel) -> Layer<'a> {
    while let Some((&[a, b, c, _], rest)) = bytes.split_first_chunk::<4>() {
        tunnel.label(LabelKind::Mpls, u32::from_be_bytes([0, a, b, c]) >> 4);
        bytes = rest;
        if c & 1 != 0 {
            return match bytes.first().map(|first| first >> 4) {
                Some(4 | 6) => Layer::Ip(bytes),
                // A pseudowire control word begins with a zero nibble (RFC 4385 section 3).
                Some(0) => bytes.get(4..).map_or(Layer::Cut, Layer::Ethernet),
                Some(_) => Layer::Ethernet(bytes),
                None => Layer::Cut,
            };
        }
    }
    Layer::Cut
}

/// PPPoE session stage, RFC 2516.
pub(super) fn pppoe<'a>(bytes: &'a [u8], tunnel: &mut Tunnel) -> Layer<'a> {
    let Some((&[_, code, s1, s2, _, _], rest)) = bytes.split_first_chunk::<6>() else { return Layer::Cut };
    if code != 0 {
        return Layer::Other;
    }
    tunnel.label(LabelKind::Pppoe, u32::from(u16::from_be_bytes([s1, s2])));
    Layer::Ppp(rest)
}

/// IEEE 802.11 data frames without encryption, with an LLC/SNAP header.
pub(super) fn ieee80211(bytes: &[u8]) -> Layer<'_> {
    let Some(&[control, flags]) = bytes.first_chunk::<2>() else { return Layer::Cut };
    let (kind, subtype) = (control >> 2 & 3, control >> 4);
    if kind != 2 || subtype & 0x4 != 0 || flags & 0x40 != 0 {
        return Layer::Other;
    }
    let four_addresses = flags & 3 == 3;
    let quality = subtype & 0x8 != 0;
    let order = quality && flags & 0x80 != 0;
    let size = 24 + if four_addresses { 6 } else { 0 } + if quality { 2 } else { 0 } + if order { 4 } else { 0 };
    bytes.get(size..).map_or(Layer::Cut, snap)
}

/// IEEE 802.2 LLC with a SNAP header.
pub(super) fn snap(bytes: &[u8]) -> Layer<'_> {
    match bytes {
        [0xaa, 0xaa, 0x03, _, _, _, high, low, rest @ ..] => Layer::EtherType(u16::from_be_bytes([*high, *low]), rest),
        // IP has a service access point of its own (IEEE 802.2).
        [0x06, 0x06, 0x03, rest @ ..] => Layer::Ip(rest),
        _ => Layer::Other,
    }
}

/// An IPv4 address pair as IPv4-mapped.
pub(super) fn mapped_pair(src: [u8; 4], dst: [u8; 4]) -> ([u8; 16], [u8; 16]) {
    (ip::mapped(src), ip::mapped(dst))
}
