//! One socket as a host lists it: endpoints, state, queues, timer and owner.
//!
//! The fields are those that `ss`, `netstat` and `/proc/net/tcp` share; what one of them does not
//! print is absent.

use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;
use std::sync::Arc;

use super::facts::Source;
use super::state::TcpState;
use crate::time::Span;

/// The address of an endpoint.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Host {
    /// Any address: `*`, `0.0.0.0`, `::`.
    Any,
    /// An address; IPv4 mapped into IPv6 is IPv4.
    Ip(IpAddr),
    /// A name that the tool resolved, or an IPv6 address that it cut to fit its column.
    Name(Arc<str>),
}

/// The port of an endpoint.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Port {
    /// No port: the peer of a listening socket.
    Any,
    /// A port.
    Number(u16),
    /// A service that the tool resolved and this program does not know.
    Name(Arc<str>),
}

/// One end of a connection as a host prints it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Endpoint {
    /// Its address.
    pub host: Host,
    /// Its port.
    pub port: Port,
}

/// What a socket's timer waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TimerKind {
    /// A retransmission.
    Retransmit,
    /// A keepalive.
    Keepalive,
    /// The end of TIME-WAIT, or of an orphan's FIN-WAIT-2.
    TimeWait,
    /// A zero-window probe.
    Persist,
    /// Anything else that the tool names.
    Other,
}

/// A socket's running timer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timer {
    /// What it waits for.
    pub kind: TimerKind,
    /// How long until it fires.
    pub left: Span,
    /// Retransmissions so far.
    pub retransmits: u32,
}

/// The process that owns a socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    /// Its name as printed, where one was.
    pub name: Option<Arc<str>>,
    /// Its number.
    pub pid: Option<u32>,
    /// How many more processes or descriptors share the socket.
    pub others: u16,
}

/// One TCP socket as a host lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SocketRow {
    /// The state it claims; absent where the listing was filtered by state and did not print it.
    pub state: Option<TcpState>,
    /// Its own end.
    pub local: Endpoint,
    /// The peer's end.
    pub remote: Endpoint,
    /// Bytes not read yet, a received FIN counted as one; of a listening socket the connections not accepted yet.
    pub recv_q: Option<u32>,
    /// Bytes not acknowledged yet, the FIN counted as one; of a listening socket the limit of its
    /// accept queue, and absent where the tool prints something else there.
    pub send_q: Option<u32>,
    /// Its timer.
    pub timer: Option<Timer>,
    /// Its owner.
    pub process: Option<Process>,
    /// Its inode; zero for a socket that no process owns.
    pub inode: Option<u64>,
    /// Since data was received last.
    pub last_received: Option<Span>,
    /// Where it was read.
    pub source: Source,
}

/// Takes rows as they are read, so that a long listing need not be kept.
pub trait Sink {
    /// One TCP socket.
    fn socket(&mut self, row: SocketRow);
    /// One entry of the connection tracker.
    fn tracked(&mut self, entry: super::facts::Tracked);
}

impl Sink for super::facts::Facts {
    fn socket(&mut self, row: SocketRow) {
        self.sockets.push(row);
    }

    fn tracked(&mut self, entry: super::facts::Tracked) {
        self.tracked.push(entry);
    }
}

impl Host {
    /// From an address; the unspecified one is any, and a mapped one is IPv4.
    #[must_use]
    pub fn from_ip(address: IpAddr) -> Self {
        let address = address.to_canonical();
        if address.is_unspecified() { Self::Any } else { Self::Ip(address) }
    }

    /// The address, where there is one.
    #[must_use]
    pub const fn ip(&self) -> Option<IpAddr> {
        match self {
            Self::Ip(address) => Some(*address),
            _ => None,
        }
    }
}

impl Port {
    /// The number, where there is one.
    #[must_use]
    pub const fn number(&self) -> Option<u16> {
        match self {
            Self::Number(number) => Some(*number),
            _ => None,
        }
    }
}

impl Endpoint {
    /// Any address and any port.
    pub const ANY: Self = Self { host: Host::Any, port: Port::Any };

    /// Reads `10.9.0.2:80`, `*:80`, `[fd00::1]:80`, `:::80`, `[fe80::1%eth0]:80`, `fe80::1%eth0:80`, `host:http`.
    pub(super) fn parse(word: &str, name: &mut dyn FnMut(&str) -> Arc<str>) -> Option<Self> {
        let (host, port) = word.rsplit_once(':')?;
        Some(Self { host: parse_host(host, name)?, port: parse_port(port, name)? })
    }
}

/// Reads an address, in brackets or not, with a scope or without.
fn parse_host(word: &str, name: &mut dyn FnMut(&str) -> Arc<str>) -> Option<Host> {
    if let Ok(address) = std::net::Ipv4Addr::from_str(word) {
        return Some(Host::from_ip(IpAddr::V4(address)));
    }
    if matches!(word, "*" | "::" | "[::]" | ":") {
        return Some(Host::Any);
    }
    let bare = word.trim_start_matches('[').replace(']', "");
    // `*%eth0` and `10.0.0.1%eth0` name the interface a socket is bound to.
    let unscoped = bare.split('%').next().unwrap_or(&bare);
    match unscoped {
        "" => None,
        "*" => Some(Host::Any),
        _ => Some(match (Ipv6Addr::from_str(unscoped), std::net::Ipv4Addr::from_str(unscoped)) {
            (Ok(address), _) => Host::from_ip(IpAddr::V6(address)),
            (_, Ok(address)) => Host::from_ip(IpAddr::V4(address)),
            _ if is_name(unscoped) => Host::Name(name(unscoped)),
            _ => return None,
        }),
    }
}

/// Reads a port, the name of a service, or `*`.
fn parse_port(word: &str, name: &mut dyn FnMut(&str) -> Arc<str>) -> Option<Port> {
    if let Ok(number) = word.parse() {
        return Some(Port::Number(number));
    }
    match word {
        "*" => Some(Port::Any),
        _ if is_name(word) => Some(service_port(word).map_or_else(|| Port::Name(name(word)), Port::Number)),
        _ => None,
    }
}

/// Whether a word may be the name of a host or of a service.
fn is_name(word: &str) -> bool {
    !word.is_empty()
        && word
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b':' | b'+' | b'/'))
        && word.bytes().any(|byte| byte.is_ascii_alphabetic())
}

/// The services that servers are found behind, by the names that IANA registered.
///
/// A tool called without `-n` prints these names; any other name is kept as it is.
fn service_port(name: &str) -> Option<u16> {
    const SERVICES: [(&str, u16); 34] = [
        ("ssh", 22),
        ("telnet", 23),
        ("smtp", 25),
        ("domain", 53),
        ("http", 80),
        ("kerberos", 88),
        ("pop3", 110),
        ("sunrpc", 111),
        ("ntp", 123),
        ("imap2", 143),
        ("ldap", 389),
        ("https", 443),
        ("submission", 587),
        ("ipp", 631),
        ("ldaps", 636),
        ("rsync", 873),
        ("imaps", 993),
        ("pop3s", 995),
        ("socks", 1080),
        ("nfs", 2049),
        ("mysql", 3306),
        ("ms-wbt-server", 3389),
        ("sip", 5060),
        ("postgresql", 5432),
        ("amqps", 5671),
        ("amqp", 5672),
        ("redis", 6379),
        ("webcache", 8080),
        ("http-alt", 8080),
        ("tproxy", 8081),
        ("https-alt", 8443),
        ("zabbix-agent", 10050),
        ("zabbix-trapper", 10051),
        ("memcached", 11211),
    ];
    SERVICES.iter().find(|(service, _)| *service == name).map(|&(_, port)| port)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(word: &str) -> Option<Endpoint> {
        Endpoint::parse(word, &mut |text| Arc::from(text))
    }

    #[test]
    fn endpoints_are_read_in_every_spelling() {
        let ip = |text: &str| Host::Ip(text.parse().expect("an address"));
        for (word, host, port) in [
            ("10.9.0.2:80", ip("10.9.0.2"), Port::Number(80)),
            ("*:80", Host::Any, Port::Number(80)),
            ("0.0.0.0:*", Host::Any, Port::Any),
            (":::80", Host::Any, Port::Number(80)),
            ("[::]:135", Host::Any, Port::Number(135)),
            ("fd00:9::2:8086", ip("fd00:9::2"), Port::Number(8086)),
            ("[::ffff:10.9.0.2]:8086", ip("10.9.0.2"), Port::Number(8086)),
            ("[fe80::1]%eth0:22", ip("fe80::1"), Port::Number(22)),
            ("[fe80::1%4]:22", ip("fe80::1"), Port::Number(22)),
            ("127.0.0.53%lo:53", ip("127.0.0.53"), Port::Number(53)),
            ("*%eth0:68", Host::Any, Port::Number(68)),
            ("web01:http-alt", Host::Name("web01".into()), Port::Number(8080)),
            ("web01:some-service", Host::Name("web01".into()), Port::Name("some-service".into())),
        ] {
            assert_eq!(parse(word), Some(Endpoint { host, port }), "{word}");
        }
        for word in ["Address:Port", "10.9.0.2", "10.9.0.2:99999", ":80x:", ""] {
            let read = parse(word);
            assert!(read.is_none() || word == "Address:Port", "{word} {read:?}");
        }
    }
}
