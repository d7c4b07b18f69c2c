//! Events to packets: numbers every segment as a real connection would.
//!
//! Each side of a socket pair keeps its numbers, and those of the incarnation before: until it answers a new SYN, it speaks
//! with the old ones.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};

use super::script::Script;
use super::side::Side;
use super::wire::{self, Network, Tcp};
use super::words::{ACK, Body, Event, Icmp, Keys, RST, SYN};
use super::{FlowError, Packet};

/// Time between a packet and its copy, in nanoseconds.
const COPY_AFTER: u64 = 10_000;

/// Plays a script.
pub struct Player<'a> {
    script: &'a Script,
    pairs: HashMap<(SocketAddr, SocketAddr), Pair>,
    /// What each address sent, captured or not.
    sent_by: HashMap<IpAddr, Vec<Vec<u8>>>,
    packets: Vec<Packet>,
    /// When the last packet or copy was sent.
    latest: u64,
    sent: u16,
}

/// Both ends of a socket pair, in order of their addresses.
#[derive(Default)]
struct Pair {
    sides: [Side; 2],
    /// The end behind a NAT on which the capture is taken: the outside and the inside address.
    nat: Option<(IpAddr, IpAddr)>,
}

impl<'a> Player<'a> {
    pub fn new(script: &'a Script) -> Self {
        let (pairs, sent_by) = (HashMap::new(), HashMap::new());
        Self { script, pairs, sent_by, packets: Vec::new(), latest: 0, sent: 0 }
    }

    pub fn play(mut self) -> Result<Vec<Packet>, FlowError> {
        for event in &self.script.events {
            let played = match &event.body {
                Body::Tcp { flags, keys } => self.segment(event, *flags, keys),
                Body::Icmp(icmp) => self.icmp(event, icmp),
            };
            played.map_err(|message| FlowError::new(event.line, message))?;
        }
        Ok(self.packets)
    }

    fn segment(&mut self, event: &Event, flags: u8, keys: &Keys) -> Result<(), String> {
        let script = self.script;
        let (pair, from) = self.pair(event.src, event.dst);
        if let Some(inside) = keys.inside {
            pair.nat = Some((event.src.ip(), inside));
        }
        let nat = pair.nat;
        let [first, second] = &mut pair.sides;
        let (side, peer) = if from == 0 { (first, second) } else { (second, first) };

        let len = side.length(flags, keys);
        let seq = side.number(peer, event, flags, keys)?;
        let ack = side.acknowledgment(event, flags, keys)?;
        let stamps = side.stamps(script, event, flags, keys);
        side.sent(flags, seq, len);
        if !keys.lost {
            peer.arrived(flags, seq, len, ack, stamps);
        }
        let tcp = Tcp {
            src_port: event.src.port(),
            dst_port: event.dst.port(),
            seq,
            ack,
            flags,
            window: keys.win.unwrap_or_else(|| window(flags)),
            options: options(flags, keys, stamps),
            len,
        };
        let net = self.network(event, keys.ttl.unwrap_or(64), keys.vlan);
        self.captured_twice_or_once(event, &net, &tcp, keys.copy, nat)
    }

    /// A NAT forwards with one hop less and shows the inside first where the packet leaves.
    fn captured_twice_or_once(
        &mut self,
        event: &Event,
        net: &Network,
        tcp: &Tcp,
        copy: bool,
        nat: Option<(IpAddr, IpAddr)>,
    ) -> Result<(), String> {
        let hop = Network { ttl: net.ttl.saturating_sub(1), ..*net };
        let (first, second) = match nat {
            Some((outside, inside)) if net.src == outside => (Network { src: inside, ..*net }, Some(hop)),
            Some((outside, inside)) if net.dst == outside => (*net, Some(Network { dst: inside, ..hop })),
            _ => (*net, copy.then_some(hop)),
        };
        self.send(event, event.at, wire::tcp_frame(&first, tcp))?;
        match second {
            Some(second) => self.send(event, event.at + COPY_AFTER, wire::tcp_frame(&second, tcp)),
            None => Ok(()),
        }
    }

    fn icmp(&mut self, event: &Event, icmp: &Icmp) -> Result<(), String> {
        let net = self.network(event, 64, None);
        let frame = match icmp {
            Icmp::Echo { reply, id, seq, len } => {
                let kind = match (event.src.is_ipv4(), reply) {
                    (true, false) => 8,
                    (true, true) => 0,
                    (false, false) => 128,
                    (false, true) => 129,
                };
                let ([a, b], [c, d]) = (id.to_be_bytes(), seq.to_be_bytes());
                wire::icmp_frame(&net, (kind, 0), [a, b, c, d], &vec![b'.'; usize::from(*len)])
            }
            Icmp::Error { kinds, of } => {
                let quoted = self.quoted(event.dst.ip(), *of);
                let quoted = wire::ip_packet(quoted.ok_or("there is no packet to quote yet")?);
                let (kind, most) = if event.src.is_ipv4() { (kinds.v4, 548) } else { (kinds.v6, 1232) };
                wire::icmp_frame(&net, kind, [0; 4], &quoted[..quoted.len().min(most)])
            }
        };
        self.send(event, event.at, frame)
    }

    /// Frame `of` of the capture, or counted back from the last packet that the host sent.
    fn quoted(&self, host: IpAddr, of: i64) -> Option<&Vec<u8>> {
        let place = usize::try_from(of.unsigned_abs()).ok()?;
        if of > 0 {
            return self.packets.get(place - 1).map(|packet| &packet.bytes);
        }
        let sent = self.sent_by.get(&host)?;
        sent.len().checked_sub(place).and_then(|place| sent.get(place))
    }

    fn send(&mut self, event: &Event, at: u64, bytes: Vec<u8>) -> Result<(), String> {
        if at < self.latest {
            return Err("falls between a packet and its copy".to_owned());
        }
        self.latest = at;
        let sent = self.sent_by.entry(event.src.ip()).or_default();
        sent.push(bytes.clone());
        let hidden = matches!(&event.body, Body::Tcp { keys, .. } if keys.hidden);
        if self.script.captured(at) && !hidden {
            self.packets.push(Packet { at, line: event.line, bytes });
        }
        Ok(())
    }

    fn network(&mut self, event: &Event, ttl: u8, vlan: Option<u16>) -> Network {
        self.sent = self.sent.wrapping_add(1);
        Network { src: event.src.ip(), dst: event.dst.ip(), ttl, ident: self.sent, vlan }
    }

    /// The socket pair, and which of its sides sends.
    fn pair(&mut self, src: SocketAddr, dst: SocketAddr) -> (&mut Pair, usize) {
        let (key, from) = if src <= dst { ((src, dst), 0) } else { ((dst, src), 1) };
        (self.pairs.entry(key).or_default(), from)
    }
}

fn window(flags: u8) -> u16 {
    match flags {
        _ if flags & RST != 0 => 0,
        _ if flags & (SYN | ACK) == SYN => 29_200,
        _ if flags & SYN != 0 => 28_960,
        _ => 229,
    }
}

/// The options in the order in which Linux writes them (`tcp_options_write`, `net/ipv4/tcp_output.c`).
fn options(flags: u8, keys: &Keys, stamps: Option<(u32, u32)>) -> Vec<u8> {
    let mut bytes = Vec::new();
    let syn = flags & SYN != 0;
    let usual = syn && !keys.bare;
    if let Some(mss) = keys.mss.or(usual.then_some(1460)) {
        bytes.extend([2, 4]);
        bytes.extend(mss.to_be_bytes());
    }
    let sack = usual || keys.sack;
    match stamps {
        Some((tsval, tsecr)) => {
            bytes.extend(if sack { [4, 2] } else { [1, 1] });
            bytes.extend([8, 10]);
            bytes.extend(tsval.to_be_bytes());
            bytes.extend(tsecr.to_be_bytes());
        }
        None if sack => bytes.extend([1, 1, 4, 2]),
        None => {}
    }
    if let Some(shift) = keys.wscale.or(usual.then_some(7)) {
        bytes.extend([1, 3, 3, shift]);
    }
    bytes
}
