//! Headers and files as bytes: Ethernet, IPv4 (RFC 791), IPv6 (RFC 8200), TCP (RFC 9293), ICMP (RFC 792, RFC 4443), pcap.

use std::net::IpAddr;

use super::Packet;

const TCP: u8 = 6;
const ICMP: u8 = 1;
const ICMPV6: u8 = 58;

/// What the Ethernet and IP headers of a packet say.
#[derive(Debug, Clone, Copy)]
pub struct Network {
    pub src: IpAddr,
    pub dst: IpAddr,
    pub ttl: u8,
    pub ident: u16,
    pub vlan: Option<u16>,
}

/// A TCP header; `options` holds whole 32-bit words.
#[derive(Debug, Clone)]
pub struct Tcp {
    pub src_port: u16,
    pub dst_port: u16,
    pub seq: u32,
    pub ack: u32,
    pub flags: u8,
    pub window: u16,
    pub options: Vec<u8>,
    pub len: u16,
}

/// A frame with a TCP segment; its data is a row of dots.
pub fn tcp_frame(net: &Network, tcp: &Tcp) -> Vec<u8> {
    let words = 5 + tcp.options.len() / 4;
    let mut segment = Vec::with_capacity(words * 4 + usize::from(tcp.len));
    segment.extend(tcp.src_port.to_be_bytes());
    segment.extend(tcp.dst_port.to_be_bytes());
    segment.extend(tcp.seq.to_be_bytes());
    segment.extend(tcp.ack.to_be_bytes());
    segment.extend([(words as u8) << 4, tcp.flags]);
    segment.extend(tcp.window.to_be_bytes());
    segment.extend([0; 4]); // checksum, urgent pointer
    segment.extend(&tcp.options);
    segment.resize(words * 4 + usize::from(tcp.len), b'.');
    let sum = internet_checksum(&[&pseudo_header(net, TCP, segment.len()), &segment]);
    segment[16..18].copy_from_slice(&sum.to_be_bytes());
    frame(net, TCP, &segment)
}

/// A frame with an ICMP message: type, code, the four bytes after the checksum, and the rest.
pub fn icmp_frame(net: &Network, kind: (u8, u8), word: [u8; 4], body: &[u8]) -> Vec<u8> {
    let mut message = vec![kind.0, kind.1, 0, 0];
    message.extend(word);
    message.extend(body);
    let protocol = if net.src.is_ipv4() { ICMP } else { ICMPV6 };
    let sum = match net.src {
        IpAddr::V4(_) => internet_checksum(&[&message]),
        IpAddr::V6(_) => internet_checksum(&[&pseudo_header(net, ICMPV6, message.len()), &message]),
    };
    message[2..4].copy_from_slice(&sum.to_be_bytes());
    frame(net, protocol, &message)
}

/// The IP packet inside a frame that this module wrote.
pub fn ip_packet(frame: &[u8]) -> &[u8] {
    let tagged = frame[12..14] == [0x81, 0x00];
    &frame[if tagged { 18 } else { 14 }..]
}

/// The Internet checksum (RFC 1071) over the parts as if they stood in one row; every part but the last has an even length.
pub fn internet_checksum(parts: &[&[u8]]) -> u16 {
    let words = parts.iter().flat_map(|part| part.chunks(2));
    let mut sum: u32 = words.map(|w| u32::from(w[0]) << 8 | u32::from(*w.get(1).unwrap_or(&0))).sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

/// A classic pcap file (draft-ietf-opsawg-pcap), little-endian, link type 1.
pub fn pcap(packets: &[Packet], epoch_s: u64, nanoseconds: bool) -> Vec<u8> {
    let (magic, unit) = if nanoseconds { (0xa1b2_3c4d_u32, 1) } else { (0xa1b2_c3d4_u32, 1000) };
    let mut file = Vec::new();
    file.extend(magic.to_le_bytes());
    file.extend([2, 0, 4, 0]); // version 2.4
    file.extend([0; 8]);
    file.extend(262_144_u32.to_le_bytes());
    file.extend(1_u32.to_le_bytes());
    for packet in packets {
        let seconds = (epoch_s + packet.at / 1_000_000_000) as u32;
        let fraction = (packet.at % 1_000_000_000 / unit) as u32;
        let length = packet.bytes.len() as u32;
        for field in [seconds, fraction, length, length] {
            file.extend(field.to_le_bytes());
        }
        file.extend(&packet.bytes);
    }
    file
}

fn frame(net: &Network, protocol: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(58 + payload.len());
    bytes.extend(station(net.dst));
    bytes.extend(station(net.src));
    if let Some(vlan) = net.vlan {
        bytes.extend([0x81, 0x00]);
        bytes.extend(vlan.to_be_bytes());
    }
    match (net.src, net.dst) {
        (IpAddr::V4(src), IpAddr::V4(dst)) => {
            let mut header = [0_u8; 20];
            header[0] = 0x45;
            header[2..4].copy_from_slice(&(20 + payload.len() as u16).to_be_bytes());
            header[4..6].copy_from_slice(&net.ident.to_be_bytes());
            header[6] = 0x40; // don't fragment
            header[8] = net.ttl;
            header[9] = protocol;
            header[12..16].copy_from_slice(&src.octets());
            header[16..20].copy_from_slice(&dst.octets());
            let sum = internet_checksum(&[&header]);
            header[10..12].copy_from_slice(&sum.to_be_bytes());
            bytes.extend([0x08, 0x00]);
            bytes.extend(header);
        }
        (src, dst) => {
            bytes.extend([0x86, 0xdd, 0x60, 0, 0, 0]);
            bytes.extend((payload.len() as u16).to_be_bytes());
            bytes.extend([protocol, net.ttl]);
            bytes.extend(address(src));
            bytes.extend(address(dst));
        }
    }
    bytes.extend(payload);
    bytes
}

/// A locally administered station address that tells hosts apart.
fn station(host: IpAddr) -> [u8; 6] {
    let octets = address(host);
    let tail = &octets[octets.len() - 4..];
    [0x02, 0, tail[0], tail[1], tail[2], tail[3]]
}

fn address(host: IpAddr) -> Vec<u8> {
    match host {
        IpAddr::V4(v4) => v4.octets().to_vec(),
        IpAddr::V6(v6) => v6.octets().to_vec(),
    }
}

/// RFC 9293 section 3.1 and RFC 8200 section 8.1.
fn pseudo_header(net: &Network, protocol: u8, length: usize) -> Vec<u8> {
    let mut header = address(net.src);
    header.extend(address(net.dst));
    match net.src {
        IpAddr::V4(_) => {
            header.extend([0, protocol]);
            header.extend((length as u16).to_be_bytes());
        }
        IpAddr::V6(_) => {
            header.extend((length as u32).to_be_bytes());
            header.extend([0, 0, 0, protocol]);
        }
    }
    header
}
