//! Many rows of a socket listing at once: counted from their bytes, without a value for each.
//!
//! Only plain rows are counted here: `STATE recv-q send-q local remote` as `ss -tan` prints them, and
//! `tcp recv-q send-q local remote STATE` as `netstat -ant` does, in a state that comes by the million. All other
//! lines are left to the parser, in their order. It depends on nothing but the bytes, so that blocks can be folded
//! side by side.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::census::{Census, Destination, PortSet};
use super::state::{StateCounts, TcpState};

/// How rows of a format are laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Layout {
    /// The state comes first.
    Ss,
    /// The protocol comes first, the state after the endpoints.
    Netstat,
}

/// What a block of whole lines comes to.
#[derive(Debug, Default)]
pub struct Folded {
    /// Lines of the block.
    pub(super) lines: u32,
    /// Plain rows.
    pub(super) rows: u64,
    pub(super) counts: StateCounts,
    pub(super) census: Census,
    /// Lines that are no plain rows: their number in the block from 0, and where they begin and end.
    pub(super) others: Vec<(u32, usize, usize)>,
    /// A line that is no row at all: details of the row before it, or another output. Order then matters.
    pub(super) broken: bool,
}

/// Folds blocks of the listing that is being read.
#[derive(Clone, Debug)]
pub struct Folder {
    pub(super) layout: Layout,
    pub(super) listening: PortSet,
    /// States that rules look at row by row are counted as well, because no more rows are kept.
    pub(super) rare: bool,
}

impl Folder {
    /// Counts rows of every state but LISTEN.
    #[must_use]
    pub fn with_rare_states(self) -> Self {
        Self { rare: true, ..self }
    }

    /// Counts the plain rows of a block of whole lines.
    #[must_use]
    pub fn fold(&self, block: &[u8]) -> Folded {
        let mut folded = Folded { census: Census::behind(&self.listening), ..Folded::default() };
        let mut start = 0;
        for end in memchr::memchr_iter(b'\n', block) {
            let line = block.get(start..end).unwrap_or_default();
            match plain(self.layout, self.rare, line) {
                Some((state, port, to)) => {
                    folded.rows = folded.rows.saturating_add(1);
                    folded.counts.add(state);
                    folded.census.count(state, port, to);
                }
                None if !is_row(self.layout, line) => {
                    folded.broken = true;
                    return folded;
                }
                None => folded.others.push((folded.lines, start, end)),
            }
            folded.lines = folded.lines.saturating_add(1);
            start = end.saturating_add(1);
        }
        folded
    }
}

/// Whether a line begins as rows do.
fn is_row(layout: Layout, line: &[u8]) -> bool {
    let word = line.split(|byte| *byte == b' ').next().unwrap_or_default();
    match layout {
        Layout::Ss => std::str::from_utf8(word).is_ok_and(|word| TcpState::from_spelling(word).is_some()),
        Layout::Netstat => word.starts_with(b"tcp") || word.starts_with(b"udp"),
    }
}

/// State, own port and destination of a plain row.
fn plain(layout: Layout, rare: bool, line: &[u8]) -> Option<(TcpState, u16, Option<Destination>)> {
    let mut rest = line;
    let mut word = || {
        let begin = rest.iter().position(|byte| *byte != b' ')?;
        let tail = rest.get(begin..)?;
        let end = tail.iter().position(|byte| *byte == b' ').unwrap_or(tail.len());
        let (word, after) = tail.split_at_checked(end)?;
        rest = after;
        Some(word)
    };
    let first = word()?;
    digits(word()?)?;
    digits(word()?)?;
    let (local, port) = endpoint(word()?)?;
    let (remote, remote_port) = endpoint(word()?)?;
    let state = match layout {
        Layout::Ss => first,
        Layout::Netstat if first.starts_with(b"tcp") => word()?,
        Layout::Netstat => return None,
    };
    let state = match state {
        b"ESTAB" | b"ESTABLISHED" => TcpState::Established,
        b"TIME-WAIT" | b"TIME_WAIT" => TcpState::TimeWait,
        b"SYN-RECV" | b"SYN_RECV" => TcpState::SynReceived,
        other if rare => {
            TcpState::from_spelling(std::str::from_utf8(other).ok()?).filter(|state| *state != TcpState::Listen)?
        }
        _ => return None,
    };
    let plain = rest.iter().all(|byte| matches!(byte, b' ' | b'\r'));
    plain.then_some((state, port, Some(Destination { local, remote, port: remote_port })))
}

/// A number of digits only.
fn digits(word: &[u8]) -> Option<()> {
    (!word.is_empty() && word.iter().all(u8::is_ascii_digit)).then_some(())
}

fn endpoint(word: &[u8]) -> Option<(IpAddr, u16)> {
    let colon = memchr::memrchr(b':', word)?;
    let (host, port) = word.split_at_checked(colon)?;
    let port = number(port.get(1..)?, 65_535)?;
    let host = match v4(host) {
        Some(address) => IpAddr::V4(address),
        None => v6(host)?,
    };
    Some((host, u16::try_from(port).ok()?))
}

fn v4(host: &[u8]) -> Option<Ipv4Addr> {
    let mut octets = [0_u8; 4];
    let mut parts = host.split(|byte| *byte == b'.');
    for octet in &mut octets {
        *octet = u8::try_from(number(parts.next()?, 255)?).ok()?;
    }
    let address = Ipv4Addr::from(octets);
    (parts.next().is_none() && !address.is_unspecified()).then_some(address)
}

fn v6(host: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(host).ok()?;
    let address: Ipv6Addr = text.trim_start_matches('[').trim_end_matches(']').parse().ok()?;
    (!address.is_unspecified()).then(|| IpAddr::V6(address).to_canonical())
}

/// A number of one to five digits.
fn number(word: &[u8], most: u32) -> Option<u32> {
    if word.is_empty() || word.len() > 5 {
        return None;
    }
    let add = |sum: u32, byte: &u8| {
        byte.is_ascii_digit().then(|| sum.wrapping_mul(10).wrapping_add(u32::from(byte.wrapping_sub(b'0'))))
    };
    word.iter().try_fold(0, add).filter(|sum| *sum <= most)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::{Reader, read};

    fn listing(rows: usize) -> String {
        let mut text = "State Recv-Q Send-Q Local Address:Port Peer Address:Port\n".to_owned();
        text.push_str("LISTEN 3 128 0.0.0.0:8080 0.0.0.0:*\n");
        for row in 0..rows {
            let port = 20_000 + row % 30_000;
            text.push_str(&match row % 7 {
                0 => format!("ESTAB     0      36     192.0.2.10:8080   198.51.100.{}:{port}   \n", row % 250 + 1),
                1 => format!("CLOSE-WAIT 1 0 192.0.2.10:8080 198.51.100.{}:{port}\n", row % 250 + 1),
                2 => format!("TIME-WAIT 0 0 [2001:db8::10]:{port} [2001:db8::{:x}]:443\n", row % 9 + 1),
                3 => format!("TIME-WAIT 0 0 [::ffff:192.0.2.10]:8080 [::ffff:198.51.100.7]:{port}\n"),
                4 => format!("TIME-WAIT 0 0 192.0.2.10:{port} 198.51.100.7:3306\n"),
                5 => format!("ESTAB 0 0 192.0.2.10:8080 web1:{port} users:((\"a\",pid=1,fd=2))\n"),
                _ => format!("FIN-WAIT-2 0 0 192.0.2.10:{port} 198.51.100.7:3306\n"),
            });
        }
        text
    }

    #[test]
    fn folded_blocks_say_what_single_lines_say() {
        let text = listing(3000);
        let whole = read(1, "ss-tan.txt", text.as_bytes());
        let mut rows = crate::snapshot::Facts::default();
        let mut reader = Reader::new(1, "ss-tan.txt");
        let mut blocks = text.split_inclusive('\n').collect::<Vec<_>>();
        let tail = blocks.split_off(500);
        reader.feed(blocks.concat().as_bytes(), &mut rows);
        for block in tail.chunks(97) {
            let block = block.concat();
            let folder = reader.folder().expect("a listing is being read");
            reader.take(folder.fold(block.as_bytes()), block.as_bytes(), &mut rows);
        }
        let folded = reader.finish(&mut rows);
        assert_eq!(folded.facts.listings, whole.facts.listings);
        assert_eq!((folded.parsed, folded.parts, folded.skipped), (whole.parsed, whole.parts, whole.skipped));
        let listeners = |facts: &crate::snapshot::Facts| {
            facts.sockets.iter().filter(|row| row.state == Some(TcpState::CloseWait)).cloned().collect::<Vec<_>>()
        };
        assert_eq!(listeners(&rows), listeners(&whole.facts));
    }
}
