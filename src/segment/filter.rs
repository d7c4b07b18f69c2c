//! Looking at a part of a capture: an expression over addresses, ports and flags, and an interval of time.
//!
//! A small part of pcap-filter(7), applied to what was decoded, so that it looks into tunnels and does not care for
//! VLAN tags. An ICMP error has the addresses and ports of the segment that it quotes; an echo has no ports.
//!
//! ```text
//! expression  = term { ("or" | "||") term }
//! term        = factor { ("and" | "&&") factor }
//! factor      = ("not" | "!") factor | "(" expression ")" | primitive
//! primitive   = [ "src" | "dst" ] ( "host" ADDRESS | "net" ADDRESS/BITS | "port" N | "portrange" N-M )
//!             | ADDRESS | "ip" | "ip6" | "tcp" | "icmp" | "syn" | "ack" | "fin" | "rst" | "psh"
//! ```

use std::cell::OnceCell;
use std::net::IpAddr;

use super::full::{self, Found};
use super::thin::{self, Addresses, Thin};
use super::{Flags, Marks, Replace, Segment, ip};
use crate::capture::LinkType;
use crate::capture::excerpt::Frame;
use crate::time::Time;

/// What of a capture is looked at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    between: Option<(Time, Time)>,
    expression: Option<Expression>,
    words: Vec<String>,
}

/// An expression is wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{found} in a filter, where {expected} is expected")]
pub struct FilterError {
    found: String,
    expected: &'static str,
}

/// A frame before filters: decoded when the first of them asks, and once for all.
pub struct Candidate<'a> {
    /// The frame.
    pub frame: Frame<'a>,
    /// What takes the place of its addresses.
    pub replace: Option<&'a dyn Replace>,
    shown: OnceCell<Option<Shown>>,
}

impl<'a> Candidate<'a> {
    /// With `replace`, filters see the addresses that take the place of its own.
    #[must_use]
    pub const fn new(frame: Frame<'a>, replace: Option<&'a dyn Replace>) -> Self {
        Self { frame, replace, shown: OnceCell::new() }
    }

    /// What it holds; nothing where it is neither TCP nor ICMP.
    fn shown(&self) -> Option<&Shown> {
        let decode = || {
            let Frame { link, bytes, original, .. } = self.frame;
            let mut shown = Shown::decoded(link, bytes, original)?;
            if let Some(replace) = self.replace {
                shown.addresses = shown.addresses.map(|octets| replace.address(octets));
            }
            Some(shown)
        };
        self.shown.get_or_init(decode).as_ref()
    }
}

/// What a packet shows to a filter; IPv4 as IPv4-mapped.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shown {
    pub addresses: [[u8; 16]; 2],
    /// Source and destination, where there are ports.
    pub ports: Option<[u16; 2]>,
    /// Control bits, where it is a TCP segment.
    pub flags: Option<Flags>,
    /// It is a part of a datagram: its ports may stand in another one.
    pub fragment: bool,
}

impl Shown {
    /// A segment, or an ICMP error by the segment that it quotes.
    pub fn of(segment: &Segment, addresses: [[u8; 16]; 2]) -> Self {
        let flags = (!segment.marks.has(Marks::ICMP_ERROR)).then_some(segment.flags);
        Self { addresses, ports: Some([segment.src_port, segment.dst_port]), flags, fragment: false }
    }

    /// A segment on the thin path.
    pub fn of_thin(found: &Thin<'_>) -> Self {
        let addresses = match found.addresses() {
            Addresses::V4(src, dst) => [src, dst].map(ip::mapped),
            Addresses::V6(src, dst) => [*src, *dst],
        };
        let (src, dst) = found.ports();
        Self { addresses, ports: Some([src, dst]), flags: Some(found.flags()), fragment: false }
    }

    /// A packet without ports.
    pub const fn bare(addresses: [[u8; 16]; 2]) -> Self {
        Self { addresses, ports: None, flags: None, fragment: false }
    }

    /// What a frame holds; nothing where it is neither TCP nor ICMP.
    fn decoded(link: LinkType, bytes: &[u8], original: u32) -> Option<Self> {
        let plain = || thin::packet(thin::untagged(thin::ethernet(bytes)?)?);
        if let Some(found) = (link == LinkType::ETHERNET).then(plain).flatten() {
            return Some(Self::of_thin(&found));
        }
        Some(match full::decode(link, bytes, original) {
            Found::Segment { segment, src, dst, .. } => Self::of(&segment, [src, dst]),
            Found::Echo(echo) => Self::bare([echo.src, echo.dst]),
            Found::Fragment(part) => Self { fragment: true, ..Self::bare([part.src, part.dst]) },
            Found::Nothing(_) => return None,
        })
    }

    fn is_v4(&self) -> bool {
        let [source, _] = &self.addresses;
        ip::as_v4(source).is_some()
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Expression {
    Any(Vec<Expression>),
    All(Vec<Expression>),
    Not(Box<Expression>),
    Net { end: End, address: [u8; 16], bits: u32 },
    Ports { end: End, from: u16, until: u16 },
    Flag(u8),
    Tcp,
    Icmp,
    V4,
    V6,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Either,
    Source,
    Destination,
}

impl Filter {
    /// Only packets from or to a host.
    pub fn host(&mut self, address: IpAddr) {
        self.also(format!("--host {address}"), host(End::Either, address));
    }

    /// Only packets from or to a port.
    pub fn port(&mut self, port: u16) {
        self.also(format!("--port {port}"), Expression::Ports { end: End::Either, from: port, until: port });
    }

    /// Only packets of an interval, both ends included.
    pub fn between(&mut self, from: Time, until: Time) {
        self.words.push(format!("--between {},{}", from.rfc3339(), until.rfc3339()));
        self.between = Some((from, until));
    }

    /// Only packets for which an expression holds.
    ///
    /// # Errors
    /// If it is none.
    pub fn expression(&mut self, text: &str) -> Result<(), FilterError> {
        let expression = parse(text)?;
        self.also(format!("--filter '{text}'"), expression);
        Ok(())
    }

    fn also(&mut self, words: String, expression: Expression) {
        self.words.push(words);
        self.expression = Some(match self.expression.take() {
            None => expression,
            Some(before) => Expression::All(vec![before, expression]),
        });
    }

    /// Nothing is left out.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.between.is_none() && self.expression.is_none()
    }

    /// The options that make it.
    #[must_use]
    pub fn words(&self) -> String {
        self.words.join(" ")
    }

    /// Its interval, where it has one.
    #[must_use]
    pub const fn interval(&self) -> Option<(Time, Time)> {
        self.between
    }

    /// Hosts or ports are left out.
    #[must_use]
    pub const fn leaves_ends_out(&self) -> bool {
        self.expression.is_some()
    }

    /// It may keep one direction of a connection, or some segments of it, and leave the others out.
    #[must_use]
    pub fn takes_connections_apart(&self) -> bool {
        self.expression.as_ref().is_some_and(Expression::takes_apart)
    }

    /// Whether it keeps a frame by itself. Of a datagram in fragments all parts between its hosts are kept, since only
    /// the first one tells ports.
    #[must_use]
    pub fn keeps_frame(&self, candidate: &Candidate<'_>) -> bool {
        self.covers(candidate.frame.at)
            && (self.expression.is_none() || candidate.shown().is_some_and(|shown| self.keeps(shown)))
    }

    /// The same filter, with nothing said of the options that made it.
    #[must_use]
    pub fn in_other_words(&self, words: &str) -> Self {
        Self { words: vec![words.to_owned()], ..self.clone() }
    }

    /// Whether a time lies in the interval.
    pub(super) fn covers(&self, at: Time) -> bool {
        self.between.is_none_or(|(from, until)| at >= from && at <= until)
    }

    pub(super) fn keeps(&self, shown: &Shown) -> bool {
        self.expression.as_ref().is_none_or(|expression| expression.holds(shown))
    }
}

impl Expression {
    fn holds(&self, shown: &Shown) -> bool {
        match self {
            Self::Any(terms) => terms.iter().any(|term| term.holds(shown)),
            Self::All(factors) => factors.iter().all(|factor| factor.holds(shown)),
            Self::Not(factor) => !factor.holds(shown),
            Self::Net { end, address, bits } => end.of(shown.addresses, |own| shares(own, address, *bits)),
            Self::Ports { end, from, until } => {
                shown.ports.map_or(shown.fragment, |ports| end.of(ports, |port| (*from..=*until).contains(port)))
            }
            Self::Flag(flag) => shown.flags.is_some_and(|flags| flags.has(*flag)),
            Self::Tcp => shown.flags.is_some(),
            Self::Icmp => shown.flags.is_none(),
            Self::V4 => shown.is_v4(),
            Self::V6 => !shown.is_v4(),
        }
    }

    fn takes_apart(&self) -> bool {
        match self {
            Self::Any(parts) | Self::All(parts) => parts.iter().any(Self::takes_apart),
            Self::Not(part) => part.takes_apart(),
            Self::Net { end, .. } | Self::Ports { end, .. } => *end != End::Either,
            Self::Flag(_) => true,
            Self::Tcp | Self::Icmp | Self::V4 | Self::V6 => false,
        }
    }
}

impl End {
    fn of<T>(self, [source, destination]: [T; 2], is: impl Fn(&T) -> bool) -> bool {
        match self {
            Self::Either => is(&source) || is(&destination),
            Self::Source => is(&source),
            Self::Destination => is(&destination),
        }
    }
}

/// Whether two addresses share their first bits.
fn shares(one: &[u8; 16], other: &[u8; 16], bits: u32) -> bool {
    let differ = u128::from_be_bytes(*one) ^ u128::from_be_bytes(*other);
    differ.checked_shr(128 - bits.min(128)).unwrap_or(0) == 0
}

fn host(end: End, address: IpAddr) -> Expression {
    Expression::Net { end, address: octets(address), bits: 128 }
}

fn octets(address: IpAddr) -> [u8; 16] {
    match address.to_canonical() {
        IpAddr::V4(v4) => ip::mapped(v4.octets()),
        IpAddr::V6(v6) => v6.octets(),
    }
}

fn parse(text: &str) -> Result<Expression, FilterError> {
    let spaced =
        text.replace('(', " ( ").replace(')', " ) ").replace('!', " ! ").replace("&&", " && ").replace("||", " || ");
    let mut words = Words { words: spaced.split_whitespace().collect(), next: 0, depth: 0 };
    let expression = words.expression()?;
    match words.peek() {
        None => Ok(expression),
        Some(_) => Err(words.wrong("and, or, or the end")),
    }
}

/// Words of an expression, and how far they are read.
struct Words<'a> {
    words: Vec<&'a str>,
    next: usize,
    depth: u32,
}

/// Brackets and negations within one another: more is no filter that a person wrote.
const DEEPEST: u32 = 32;

impl<'a> Words<'a> {
    fn peek(&self) -> Option<&'a str> {
        self.words.get(self.next).copied()
    }

    fn take(&mut self, wanted: &[&str]) -> bool {
        let found = self.peek().is_some_and(|word| wanted.contains(&word));
        self.next += usize::from(found);
        found
    }

    fn wrong(&self, expected: &'static str) -> FilterError {
        let found = self.peek().map_or_else(|| "the end".to_owned(), |word| format!("{word:?}"));
        FilterError { found, expected }
    }

    fn expression(&mut self) -> Result<Expression, FilterError> {
        let mut terms = vec![self.term()?];
        while self.take(&["or", "||"]) {
            terms.push(self.term()?);
        }
        Ok(Expression::Any(terms))
    }

    fn term(&mut self) -> Result<Expression, FilterError> {
        let mut factors = vec![self.factor()?];
        while self.take(&["and", "&&"]) {
            factors.push(self.factor()?);
        }
        Ok(Expression::All(factors))
    }

    fn factor(&mut self) -> Result<Expression, FilterError> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(self.wrong("at most 32 brackets and negations within one another"));
        }
        let factor = if self.take(&["not", "!"]) {
            Expression::Not(Box::new(self.factor()?))
        } else if self.take(&["("]) {
            let inner = self.expression()?;
            if !self.take(&[")"]) {
                return Err(self.wrong(")"));
            }
            inner
        } else {
            self.primitive()?
        };
        self.depth -= 1;
        Ok(factor)
    }

    fn primitive(&mut self) -> Result<Expression, FilterError> {
        const FLAGS: [(&str, u8); 5] =
            [("syn", Flags::SYN), ("ack", Flags::ACK), ("fin", Flags::FIN), ("rst", Flags::RST), ("psh", 0x08)];
        if let Some((_, flag)) = FLAGS.iter().find(|(name, _)| self.take(&[name])) {
            return Ok(Expression::Flag(*flag));
        }
        for (name, is) in
            [("tcp", Expression::Tcp), ("icmp", Expression::Icmp), ("ip", Expression::V4), ("ip6", Expression::V6)]
        {
            if self.take(&[name]) {
                return Ok(is);
            }
        }
        let end = match (self.take(&["src"]), self.take(&["dst"])) {
            (true, false) => End::Source,
            (false, true) => End::Destination,
            (true, true) => return Err(self.wrong("host, net, port or portrange")),
            (false, false) => End::Either,
        };
        if self.take(&["net"]) {
            return self.value("a network such as 10.0.0.0/8", |word| net(end, word));
        }
        if self.take(&["port"]) {
            let port = |word: &str| word.parse().ok().map(|port| Expression::Ports { end, from: port, until: port });
            return self.value("a port", port);
        }
        if self.take(&["portrange"]) {
            return self.value("ports such as 8000-8100", |word| {
                let (from, until) = word.split_once('-')?;
                Some(Expression::Ports { end, from: from.parse().ok()?, until: until.parse().ok()? })
            });
        }
        let named = self.take(&["host"]);
        let expected = if named || end != End::Either {
            "an address"
        } else {
            "host, net, port, portrange, src, dst, an address, ip, ip6, tcp, icmp, syn, ack, fin, rst, psh, not or ("
        };
        self.value(expected, |word| word.parse().ok().map(|address| host(end, address)))
    }

    fn value(
        &mut self,
        expected: &'static str,
        read: impl Fn(&str) -> Option<Expression>,
    ) -> Result<Expression, FilterError> {
        let found = self.peek().and_then(read).ok_or_else(|| self.wrong(expected))?;
        self.next += 1;
        Ok(found)
    }
}

fn net(end: End, word: &str) -> Option<Expression> {
    let (address, bits) = word.split_once('/')?;
    let (address, bits) = (address.parse::<IpAddr>().ok()?, bits.parse::<u32>().ok()?);
    // An IPv4 address is the end of a mapped one.
    let (most, before) = if address.is_ipv4() { (32, 96) } else { (128, 0) };
    (bits <= most).then(|| Expression::Net { end, address: octets(address), bits: bits + before })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(source: &str, from: u16, destination: &str, to: u16, flags: u8) -> Shown {
        let octets = |text: &str| octets(text.parse().unwrap());
        Shown {
            addresses: [octets(source), octets(destination)],
            ports: Some([from, to]),
            flags: Some(Flags(flags)),
            fragment: false,
        }
    }

    #[test]
    fn expressions_say_what_they_mean() {
        let syn = shown("10.1.2.3", 40_000, "192.0.2.80", 443, Flags::SYN);
        let reply = shown("2001:db8::80", 443, "2001:db8::1", 40_000, Flags::SYN | Flags::ACK);
        for (text, first, second) in [
            ("host 10.1.2.3", true, false),
            ("10.1.2.3", true, false),
            ("src host 192.0.2.80", false, false),
            ("dst 192.0.2.80", true, false),
            ("net 10.0.0.0/8 or net 2001:db8::/32", true, true),
            ("net 0.0.0.0/0", true, false),
            ("not net 10.0.0.0/8", false, true),
            ("port 443", true, true),
            ("src port 443", false, true),
            ("portrange 400-500 and not ack", true, false),
            ("syn && ack", false, true),
            ("ip6 and (fin or syn)", false, true),
            ("!(port 443) || icmp", false, false),
            ("tcp", true, true),
        ] {
            let expression = parse(text).unwrap();
            assert_eq!((expression.holds(&syn), expression.holds(&reply)), (first, second), "{text}");
        }
    }

    #[test]
    fn what_is_no_expression_is_told_where() {
        for (text, says) in [
            ("", "the end in a filter"),
            ("port https", "\"https\" in a filter, where a port is expected"),
            ("host 10.0.0.1 port 80", "\"port\" in a filter, where and, or, or the end"),
            ("(syn", "the end in a filter, where ) is expected"),
            ("net 10.0.0.0/33", "where a network"),
            ("tcp[13] = 2", "\"tcp[13]\" in a filter"),
        ] {
            let error = parse(text).unwrap_err().to_string();
            assert!(error.contains(says), "{text:?}: {error}");
        }
        assert!(parse(&"(".repeat(100_000)).is_err());
        assert!(parse(&"! ".repeat(100_000)).is_err());
    }

    #[test]
    fn directions_and_flags_take_connections_apart() {
        for (text, apart) in [("port 80 and net 10.0.0.0/8", false), ("src port 80", true), ("not syn", true)] {
            assert_eq!(parse(text).unwrap().takes_apart(), apart, "{text}");
        }
    }
}
