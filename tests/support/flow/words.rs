//! The words of a packet line: flags, endpoints, keys' values, times.

use std::net::{IpAddr, SocketAddr};

pub const FIN: u8 = 0x01;
pub const SYN: u8 = 0x02;
pub const RST: u8 = 0x04;
pub const PSH: u8 = 0x08;
pub const ACK: u8 = 0x10;
const URG: u8 = 0x20;
const ECE: u8 = 0x40;
const CWR: u8 = 0x80;

/// One packet to send.
#[derive(Debug, Clone)]
pub struct Event {
    pub line: usize,
    /// The turn of its repeat block, counted from 1; 1 outside of one.
    pub turn: u32,
    /// Nanoseconds since time zero.
    pub at: u64,
    pub src: SocketAddr,
    pub dst: SocketAddr,
    pub body: Body,
}

#[derive(Debug, Clone)]
pub enum Body {
    Tcp { flags: u8, keys: Keys },
    Icmp(Icmp),
}

#[derive(Debug, Clone)]
pub enum Icmp {
    /// An error, and the packet it quotes: a frame number, or how far back among what the destination sent.
    Error {
        kinds: Kinds,
        of: i64,
    },
    Echo {
        reply: bool,
        id: u16,
        seq: u16,
        len: u16,
    },
}

/// The keys of a TCP line, as written.
#[derive(Debug, Clone, Default)]
pub struct Keys {
    pub seq: Option<Number>,
    pub ack: Option<Number>,
    pub len: Option<u16>,
    pub ts: Option<Stamp>,
    pub ecr: Option<u32>,
    pub win: Option<u16>,
    pub ttl: Option<u8>,
    pub vlan: Option<u16>,
    pub mss: Option<u16>,
    pub wscale: Option<u8>,
    pub inside: Option<IpAddr>,
    pub sack: bool,
    pub nots: bool,
    pub bare: bool,
    pub again: bool,
    pub lost: bool,
    pub hidden: bool,
    pub copy: bool,
}

/// A sequence number, absolute or counted from the automatic one.
#[derive(Debug, Clone, Copy)]
pub enum Number {
    Absolute(u32),
    Relative(i32),
}

/// A TSval: a number, or a clock (by its place in the script) with ticks added.
#[derive(Debug, Clone, Copy)]
pub enum Stamp {
    Value(u32),
    Clock(usize, i32),
}

/// Type and code in ICMP, and in ICMPv6.
#[derive(Debug, Clone, Copy)]
pub struct Kinds {
    pub v4: (u8, u8),
    pub v6: (u8, u8),
}

/// An address and a port as written, with a mark on what counts up.
#[derive(Clone, Copy)]
pub struct Endpoint {
    pub address: IpAddr,
    pub address_counts: bool,
    pub port: u16,
    pub port_counts: bool,
}

impl Endpoint {
    /// The endpoint after so many turns.
    pub fn at(&self, count: u32, step: u16) -> Result<SocketAddr, String> {
        let step = if self.port_counts { 1 } else { step };
        let port = u32::from(self.port) + count * u32::from(step);
        let port = u16::try_from(port).map_err(|_| format!("port {port} in turn {}", count + 1))?;
        let address = match self.address {
            _ if !self.address_counts => self.address,
            IpAddr::V4(v4) => IpAddr::V4(v4.to_bits().wrapping_add(count).into()),
            IpAddr::V6(v6) => IpAddr::V6(v6.to_bits().wrapping_add(u128::from(count)).into()),
        };
        Ok(SocketAddr::new(address, port))
    }
}

pub fn icmp(words: &[&str]) -> Result<Icmp, String> {
    let (kinds, quote) = match words {
        ["echo-request", keys @ ..] => return echo(false, keys),
        ["echo-reply", keys @ ..] => return echo(true, keys),
        ["unreachable", what, quote @ ..] => (unreachable(what)?, quote),
        ["time-exceeded", quote @ ..] => (Kinds { v4: (11, 0), v6: (3, 0) }, quote),
        _ => {
            return Err("icmp unreachable WHAT, time-exceeded, echo-request or echo-reply".to_owned());
        }
    };
    let of = match quote {
        [] => -1,
        ["of", frame] => number(frame)?,
        _ => return Err("after the kind: of N".to_owned()),
    };
    Ok(Icmp::Error { kinds, of })
}

/// Type and code of RFC 792 and RFC 1812, and of RFC 4443.
fn unreachable(what: &str) -> Result<Kinds, String> {
    let (v4, v6) = match what {
        "net" => ((3, 0), (1, 0)),
        "host" => ((3, 1), (1, 3)),
        "protocol" => ((3, 2), (4, 1)),
        "port" => ((3, 3), (1, 4)),
        "admin" => ((3, 13), (1, 1)),
        _ => return Err(bad("kind of unreachable", what)),
    };
    Ok(Kinds { v4, v6 })
}

fn echo(reply: bool, keys: &[&str]) -> Result<Icmp, String> {
    let (mut id, mut seq, mut len) = (None, None, 56);
    for key in keys {
        match key.split_once('=') {
            Some(("id", value)) => id = Some(number(value)?),
            Some(("seq", value)) => seq = Some(number(value)?),
            Some(("len", value)) => len = number(value)?,
            _ => return Err(bad("key of an echo", key)),
        }
    }
    Ok(Icmp::Echo { reply, id: id.ok_or("an echo needs id=")?, seq: seq.ok_or("an echo needs seq=")?, len })
}

pub fn flags(letters: &str) -> Result<u8, String> {
    letters.chars().try_fold(0, |set, letter| {
        let flag = match letter {
            'F' => FIN,
            'S' => SYN,
            'R' => RST,
            'P' => PSH,
            '.' => ACK,
            'U' => URG,
            'E' => ECE,
            'W' => CWR,
            _ => return Err(bad("set of flags", letters)),
        };
        Ok(set | flag)
    })
}

pub fn endpoint(text: &str, tcp: bool) -> Result<Endpoint, String> {
    let (address, port) = match text.strip_prefix('[') {
        Some(rest) => rest.split_once("]:").map_or((rest.trim_end_matches(']'), None), |(a, p)| (a, Some(p))),
        None if text.matches(':').count() == 1 => text.split_once(':').map_or((text, None), |(a, p)| (a, Some(p))),
        None => (text, None),
    };
    if tcp != port.is_some() {
        return Err(format!("{text}: {}", if tcp { "a TCP line needs a port" } else { "ICMP has no ports" }));
    }
    let (host, port) = (address.trim_end_matches('+'), port.unwrap_or("0"));
    let digits = port.trim_end_matches('+');
    Ok(Endpoint {
        address: host.parse().map_err(|_| bad("address", text))?,
        address_counts: host != address,
        port: number(digits)?,
        port_counts: digits != port,
    })
}

/// `1 4-6` as turns.
pub fn turns(list: &[&str], count: u32) -> Result<Vec<u32>, String> {
    let mut chosen = Vec::new();
    for word in list {
        let (from, to) = word.split_once('-').unwrap_or((word, word));
        let (from, to): (u32, u32) = (number(from)?, number(to)?);
        if from == 0 || to > count || from > to {
            return Err(format!("turns count from 1 to {count}: {word}"));
        }
        chosen.extend(from..=to);
    }
    Ok(chosen)
}

pub fn sequence(text: &str) -> Result<Number, String> {
    if text.starts_with(['+', '-']) { number(text).map(Number::Relative) } else { number(text).map(Number::Absolute) }
}

/// Decimal seconds, without a detour over floating point.
pub fn seconds(text: &str) -> Result<u64, String> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
    if whole.is_empty() || whole.len() > 9 || fraction.len() > 9 || !digits(whole) || !digits(fraction) {
        return Err(bad("time", text));
    }
    let whole: u64 = number(whole)?;
    let fraction: u64 = number(&format!("{fraction:0<9}"))?;
    Ok(whole * 1_000_000_000 + fraction)
}

pub fn number<N: std::str::FromStr>(text: &str) -> Result<N, String> {
    text.parse().map_err(|_| bad("number", text))
}

pub fn bad(what: &str, text: &str) -> String {
    let article = if what.starts_with(['a', 'e']) { "an" } else { "a" };
    format!("not {article} {what}: {text}")
}
