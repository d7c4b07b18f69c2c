//! `/proc/net/tcp` and `/proc/net/tcp6`: every TCP socket of the network namespace.
//!
//! It follows `tcp4_seq_show` (`net/ipv4/tcp_ipv4.c`) and `tcp6_seq_show`: addresses are 32-bit words in
//! the byte order of the host, which is taken for little-endian as on every common machine. Rows of
//! TIME-WAIT and SYN-RECEIVED have fewer fields. The accept queue's limit is not printed.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::snapshot::facts::Source;
use crate::snapshot::hint::Hint;
use crate::snapshot::listing::SocketListing;
use crate::snapshot::socket::{Endpoint, Host, Port, SocketRow, Timer, TimerKind};
use crate::snapshot::state::TcpState;
use crate::snapshot::{Out, Parser, Taken};
use crate::time::Span;

/// Timers are printed in ticks of 1/100 s whatever the kernel's own tick is (`USER_HZ`).
const TICK_MILLIS: i64 = 10;

pub(in crate::snapshot) fn opens(text: &str, _hint: &Hint) -> bool {
    is_header(text) && !text.contains("drops") || row(text, Source::default()).is_some()
}

pub(in crate::snapshot) fn parser(_hint: &Hint) -> Box<dyn Parser> {
    Box::new(Tcp { listing: None })
}

struct Tcp {
    listing: Option<SocketListing>,
}

impl Parser for Tcp {
    fn line(&mut self, text: &str, source: Source, out: &mut Out<'_>) -> Taken {
        if is_header(text) {
            if self.listing.is_some() {
                return Taken::Foreign;
            }
            self.listing(source, out);
            return Taken::Part;
        }
        match row(text, source) {
            Some(row) => {
                self.listing(source, out).add(&row);
                out.rows.socket(row);
                Taken::Row
            }
            None if text.trim().is_empty() => Taken::Part,
            None => Taken::Foreign,
        }
    }

    fn end(&mut self, out: &mut Out<'_>) {
        if let Some(mut listing) = self.listing.take() {
            listing.settle();
            out.facts.listings.push(listing);
        }
    }
}

impl Tcp {
    /// The kernel's own file leaves no state out.
    fn listing(&mut self, source: Source, out: &Out<'_>) -> &mut SocketListing {
        let moment = out.moment;
        self.listing.get_or_insert_with(|| SocketListing {
            all_states: Some(true),
            ..SocketListing::new("proc_net", source, moment)
        })
    }
}

fn is_header(text: &str) -> bool {
    let mut words = text.split_ascii_whitespace();
    words.next() == Some("sl") && words.next() == Some("local_address")
}

/// `0: 0100007F:9C40 0100007F:2328 06 00000000:00000000 03:0000175E 00000000     0        0 0 3 …`.
fn row(text: &str, source: Source) -> Option<SocketRow> {
    let mut words = text.split_ascii_whitespace();
    words.next()?.strip_suffix(':')?.parse::<u64>().ok()?;
    let local = endpoint(words.next()?)?;
    let mut remote = endpoint(words.next()?)?;
    let state = TcpState::from_kernel(u8::from_str_radix(words.next()?, 16).ok()?)?;
    let (send_q, recv_q) = words.next()?.split_once(':')?;
    let (kind, when) = words.next()?.split_once(':')?;
    let retransmits = u32::from_str_radix(words.next()?, 16).ok()?;
    let inode = words.nth(2)?.parse().ok()?;
    if state == TcpState::Listen {
        remote.port = Port::Any;
    }
    let send_q = u32::from_str_radix(send_q, 16).ok().filter(|_| state != TcpState::Listen);
    Some(SocketRow {
        state: Some(state),
        local,
        remote,
        recv_q: u32::from_str_radix(recv_q, 16).ok(),
        send_q,
        timer: timer(kind, when, retransmits),
        process: None,
        inode: Some(inode),
        last_received: None,
        source,
    })
}

fn timer(kind: &str, when: &str, retransmits: u32) -> Option<Timer> {
    let kind = match kind {
        "00" => return None,
        "01" => TimerKind::Retransmit,
        "02" => TimerKind::Keepalive,
        "03" => TimerKind::TimeWait,
        "04" => TimerKind::Persist,
        _ => TimerKind::Other,
    };
    let ticks = i64::from(u32::from_str_radix(when, 16).ok()?);
    Some(Timer { kind, left: Span::from_millis(ticks.saturating_mul(TICK_MILLIS)), retransmits })
}

/// `0200090A:1F90`, or four words for IPv6.
fn endpoint(word: &str) -> Option<Endpoint> {
    let (address, port) = word.split_once(':')?;
    if port.len() != 4 {
        return None;
    }
    let port = u16::from_str_radix(port, 16).ok()?;
    let address = match address.len() {
        8 => IpAddr::V4(Ipv4Addr::from(swapped(address)?)),
        32 => {
            let mut octets = [0_u8; 16];
            for (index, chunk) in octets.chunks_exact_mut(4).enumerate() {
                let start = index.checked_mul(8)?;
                chunk.copy_from_slice(&swapped(address.get(start..start.checked_add(8)?)?)?);
            }
            IpAddr::V6(Ipv6Addr::from(octets))
        }
        _ => return None,
    };
    Some(Endpoint { host: Host::from_ip(address), port: Port::Number(port) })
}

/// A word as the host stores it, in the order of the network.
fn swapped(word: &str) -> Option<[u8; 4]> {
    Some(u32::from_str_radix(word, 16).ok()?.to_le_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_timers_are_turned_into_plain_ones() {
        let line = "   1: 0100007F:9C40 0100007F:2328 06 00000000:00000000 03:00001606 00000000     0        0 0 3 00000000b078524a";
        let found = row(line, Source::default()).expect("a row");
        assert_eq!(found.state, Some(TcpState::TimeWait));
        assert_eq!(found.local.host.ip(), Some(IpAddr::from([127, 0, 0, 1])));
        assert_eq!((found.local.port.number(), found.remote.port.number()), (Some(40_000), Some(9000)));
        let timer = found.timer.expect("a timer");
        assert_eq!((timer.kind, timer.left), (TimerKind::TimeWait, Span::from_millis(56_380)));
        let line = "   0: 0000000000000000FFFF00000200090A:1F96 0000000000000000FFFF00000100090A:D8FE 01 00000000:00000000 00:00000000 00000000 0 0 90748 1 x";
        let found = row(line, Source::default()).expect("a row");
        assert_eq!(found.local.host.ip(), Some(IpAddr::from([10, 9, 0, 2])), "a mapped address is IPv4");
    }
}
