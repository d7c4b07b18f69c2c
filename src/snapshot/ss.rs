//! Socket listings of `ss`: `ss -tan`, `ss -lnt`, `ss -tanpoiem`, with a header or without.
//!
//! It follows the output of iproute2 3.10 to 7.1 (`misc/ss.c`). Columns are read by words from the left,
//! never by position: widths differ by version, and headers glue (`Peer Address:PortProcess`). Details
//! (`-i`, `-m`) stand on a second line that begins with a blank, or on the same one (`-O`).

use super::facts::Source;
use super::fold::{Folded, Folder, Layout};
use super::hint::Hint;
use super::listing::SocketListing;
use super::socket::{Endpoint, Process, SocketRow, Timer, TimerKind};
use super::state::TcpState;
use super::text::{Names, leading_number, pair};
use super::{Out, Parser, Taken};
use crate::time::Span;

/// Whether a line is the header, or a row of a listing without one.
pub(super) fn opens(text: &str, _hint: &Hint) -> bool {
    is_header(text) || is_row(text)
}

pub(super) fn parser(hint: &Hint) -> Box<dyn Parser> {
    let flags = hint.flags("ss");
    let all = flags.as_deref().and_then(|flags| {
        if hint.is_filtered() {
            Some(false)
        } else if flags.contains('a') {
            Some(true)
        } else {
            // Neither all nor listening: LISTEN, SYN-RECEIVED and TIME-WAIT are left out.
            flags.contains(['t', 'n', 'p', 'l']).then_some(false)
        }
    });
    let asked = hint.word_after("state").and_then(TcpState::from_spelling);
    Box::new(Ss { all, asked, has_state: true, listing: None, held: None })
}

struct Ss {
    all: Option<bool>,
    /// The state that the command asked for; the column is then missing.
    asked: Option<TcpState>,
    has_state: bool,
    listing: Option<SocketListing>,
    /// The last row, until it is known that no details follow.
    held: Option<SocketRow>,
}

impl Parser for Ss {
    fn line(&mut self, text: &str, source: Source, out: &mut Out<'_>) -> Taken {
        if text.starts_with([' ', '\t']) {
            return self.details(text, out);
        }
        if is_header(text) {
            if self.listing.is_some() {
                return Taken::Foreign;
            }
            self.has_state = text.contains("State");
            self.listing(source, out);
            return Taken::Part;
        }
        let Some(fields) = Fields::read(text, self.has_state) else {
            return Taken::Foreign;
        };
        if !fields.tcp {
            self.release(out);
            return Taken::Part;
        }
        let Some(row) = fields.row(self.asked, source, out.names) else {
            return Taken::Bad("an endpoint that is no address and port");
        };
        self.listing(source, out);
        self.release(out);
        self.held = Some(row);
        Taken::Row
    }

    fn folder(&self) -> Option<Folder> {
        let listing = self.listing.as_ref().filter(|_| self.has_state)?;
        Some(Folder { layout: Layout::Ss, listening: listing.census.listening().clone(), rare: false })
    }

    fn take(&mut self, folded: Folded, last: Source) {
        if let Some(listing) = &mut self.listing {
            listing.take(folded, last);
        }
    }

    fn end(&mut self, out: &mut Out<'_>) {
        self.release(out);
        if let Some(mut listing) = self.listing.take() {
            listing.settle();
            out.facts.listings.push(listing);
        }
    }
}

impl Ss {
    fn listing(&mut self, source: Source, out: &Out<'_>) {
        let all = self.all;
        self.listing
            .get_or_insert_with(|| SocketListing { all_states: all, ..SocketListing::new("ss", source, out.moment) });
    }

    /// Hands the held row over.
    fn release(&mut self, out: &mut Out<'_>) {
        if let Some(row) = self.held.take() {
            if let Some(listing) = &mut self.listing {
                listing.add(&row);
            }
            out.rows.socket(row);
        }
    }

    /// A second line belongs to the row before it; of a socket that is not TCP it says nothing.
    fn details(&mut self, text: &str, out: &mut Out<'_>) -> Taken {
        if self.listing.is_none() || is_row(text.trim_start()) {
            return Taken::Foreign;
        }
        if let Some(row) = &mut self.held {
            read_details(text, row, out.names);
        }
        Taken::Part
    }
}

/// The words of a row.
struct Fields<'a> {
    tcp: bool,
    state: Option<TcpState>,
    recv_q: u32,
    send_q: u32,
    local: &'a str,
    remote: &'a str,
    rest: &'a str,
}

impl<'a> Fields<'a> {
    fn read(text: &'a str, has_state: bool) -> Option<Self> {
        let (mut word, mut rest) = next_word(text)?;
        let mut tcp = true;
        if let Some(protocol) = netid(word) {
            tcp = protocol;
            (word, rest) = next_word(rest)?;
        }
        let state = TcpState::from_spelling(word);
        if has_state || state.is_some() {
            if state.is_none() && word != "UNKNOWN" && word != "UNCONN" {
                return None;
            }
            (word, rest) = next_word(rest)?;
        }
        let recv_q = word.parse().ok()?;
        let (word, rest) = next_word(rest)?;
        let send_q = word.parse().ok()?;
        let (local, rest) = next_word(rest)?;
        let (remote, rest) = next_word(rest)?;
        // A path, or an inode beside a star, belongs to a socket that is not TCP: its address and port are two words.
        let tcp = tcp && local.contains(':') && remote.contains(':') && !local.starts_with('/');
        Some(Self { tcp, state, recv_q, send_q, local, remote, rest })
    }

    fn row(&self, asked: Option<TcpState>, source: Source, names: &mut Names) -> Option<SocketRow> {
        let mut row = SocketRow {
            state: self.state.or(asked),
            local: Endpoint::parse(self.local, &mut |name| names.get(name))?,
            remote: Endpoint::parse(self.remote, &mut |name| names.get(name))?,
            recv_q: Some(self.recv_q),
            send_q: Some(self.send_q),
            timer: None,
            process: None,
            inode: None,
            last_received: None,
            source,
        };
        read_details(self.rest, &mut row, names);
        Some(row)
    }
}

/// Reads what follows the endpoints: `users:((…)) timer:(…) ino:90522 … lastrcv:3164`.
fn read_details(text: &str, row: &mut SocketRow, names: &mut Names) {
    let mut rest = text;
    while let Some((word, after)) = next_word(rest) {
        rest = after;
        match pair(word, ':') {
            Some(("users", _)) => {
                // A process may have blanks in its name: the list is read to its closing parentheses.
                let start = text.len().saturating_sub(after.len()).saturating_sub(word.len());
                let list = text.get(start..).unwrap_or(word);
                let end = list.find("))").map_or(list.len(), |end| end.saturating_add(2));
                row.process = users(list.get(..end).unwrap_or(list), names);
                rest = list.get(end..).unwrap_or_default();
            }
            Some(("timer", value)) => row.timer = timer(value),
            Some(("ino", value)) => row.inode = value.parse().ok(),
            Some(("lastrcv", value)) => row.last_received = value.parse().ok().map(Span::from_millis),
            _ => {}
        }
    }
}

/// `users:(("python3",pid=16426,fd=17),("nginx",pid=1,fd=3))`, before 4.0 `users:(("python3",16426,17))`.
fn users(list: &str, names: &mut Names) -> Option<Process> {
    let list = list.strip_prefix("users:(")?;
    let mut owners = list.split("(\"").skip(1);
    let first = owners.next()?;
    let (name, rest) = first.split_once('"')?;
    let pid = rest.trim_start_matches(',').split([',', ')']).next()?;
    let pid = pid.strip_prefix("pid=").unwrap_or(pid).parse().ok();
    let others = u16::try_from(owners.count()).unwrap_or(u16::MAX);
    Some(Process { name: Some(names.get(name)), pid, others })
}

/// `(timewait,57sec,0)`, `(on,1.448ms,3)`, `(keepalive,119min,0)`, `(persist,3.132sec,0)`.
fn timer(value: &str) -> Option<Timer> {
    let mut parts = value.trim_matches(['(', ')']).split(',');
    let kind = match parts.next()? {
        "on" => TimerKind::Retransmit,
        "keepalive" => TimerKind::Keepalive,
        "timewait" => TimerKind::TimeWait,
        "persist" => TimerKind::Persist,
        _ => TimerKind::Other,
    };
    let left = duration(parts.next()?)?;
    let retransmits = parts.next()?.parse().ok()?;
    Some(Timer { kind, left, retransmits })
}

/// `1min2sec`, `57sec`, `200ms`; versions before 6.11 print seconds with three decimals and call them `ms`.
fn duration(text: &str) -> Option<Span> {
    let mut rest = text;
    let mut total = 0.0;
    while !rest.is_empty() {
        let value = leading_number(rest)?;
        let end = rest.find(|c: char| !(c.is_ascii_digit() || c == '.'))?;
        let (digits, after) = rest.split_at_checked(end)?;
        let unit_end = after.find(|c: char| c.is_ascii_digit()).unwrap_or(after.len());
        let (unit, after) = after.split_at_checked(unit_end)?;
        total += match unit {
            "min" => value * 60.0,
            "sec" => value,
            "ms" if digits.contains('.') => value,
            "ms" => value / 1000.0,
            _ => return None,
        };
        rest = after;
    }
    Some(Span::from_secs_f64(total))
}

/// Whether a line is the header; it lacks `State` where the listing was filtered by one state.
fn is_header(text: &str) -> bool {
    let mut words = text.split_ascii_whitespace();
    let mut word = words.next();
    if word == Some("Netid") {
        word = words.next();
    }
    if word == Some("State") {
        word = words.next();
    }
    word == Some("Recv-Q") && words.next() == Some("Send-Q") && words.next() == Some("Local")
}

/// Whether a line has the shape of a TCP row: a state, two numbers, two endpoints.
fn is_row(text: &str) -> bool {
    Fields::read(text, true).is_some_and(|fields| fields.tcp && fields.state.is_some())
}

/// Whether a word of the first column names TCP; `None` where it is no protocol.
fn netid(word: &str) -> Option<bool> {
    match word {
        "tcp" => Some(true),
        "udp" | "raw" | "u_str" | "u_dgr" | "u_seq" | "nl" | "p_raw" | "p_dgr" | "icmp6" | "icmp" | "sctp" | "dccp"
        | "mptcp" | "v_str" | "v_dgr" | "vs_str" | "vs_dgr" | "tipc" | "xdp" | "???" | "ti_rd" | "ti_sq" | "ti_st"
        | "ti_dg" => Some(false),
        _ => None,
    }
}

fn next_word(text: &str) -> Option<(&str, &str)> {
    let text = text.trim_ascii_start();
    if text.is_empty() {
        return None;
    }
    let end = text.bytes().position(|byte| byte.is_ascii_whitespace()).unwrap_or(text.len());
    text.split_at_checked(end)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::{Facts, read};

    fn facts(text: &str) -> Facts {
        read(7, "x", text.as_bytes()).facts
    }

    #[test]
    fn timers_of_old_versions_print_seconds_as_milliseconds() {
        for (text, millis) in
            [("1.448ms", 1448), ("200ms", 200), ("57sec", 57_000), ("119min", 7_140_000), ("1min4sec", 64_000)]
        {
            assert_eq!(duration(text), Some(Span::from_millis(millis)), "{text}");
        }
        assert_eq!(duration("soon"), None);
    }

    #[test]
    fn owners_are_read_in_both_spellings_and_with_blanks() {
        let found = facts(
            "ESTAB 0 0 10.9.0.2:80 10.9.0.1:5000 users:((\"python3\",16426,17))\n\
             ESTAB 0 0 10.9.0.2:80 10.9.0.1:5001 users:((\"nginx: worker p\",pid=12,fd=3),(\"nginx\",pid=1,fd=3)) ino:5\n",
        );
        let owners: Vec<_> = found.sockets.iter().filter_map(|row| row.process.clone()).collect();
        assert_eq!(owners.iter().map(|owner| owner.pid).collect::<Vec<_>>(), [Some(16426), Some(12)]);
        assert_eq!(owners.iter().map(|owner| owner.others).collect::<Vec<_>>(), [0, 1]);
        assert_eq!(found.sockets.last().and_then(|row| row.inode), Some(5));
        assert_eq!(found.sockets.last().map(|row| row.source), Some(Source { input: 7, line: 2 }));
    }

    #[test]
    fn what_was_not_asked_for_is_unknown() {
        let rows = "State Recv-Q Send-Q Local Address:Port Peer Address:Port\nESTAB 0 0 10.9.0.2:80 10.9.0.1:5000\n";
        let found = facts(&format!("$ ss -tn\n{rows}"));
        assert_eq!(found.listings[0].count(TcpState::TimeWait), None);
        assert_eq!(found.listings[0].count(TcpState::Established), Some(1));
        let found = facts(&format!("$ ss -tan\n{rows}"));
        assert_eq!(found.listings[0].count(TcpState::TimeWait), Some(0));
    }

    #[test]
    fn a_listing_by_state_takes_the_state_from_the_command() {
        let rows = "Recv-Q Send-Q Local Address:Port Peer Address:Port\n0 0 10.9.0.2:80 10.9.0.1:5000\n";
        let found = facts(&format!("# ss -tan state time-wait\n{rows}"));
        assert_eq!(found.sockets[0].state, Some(TcpState::TimeWait));
        let found = facts(rows);
        assert_eq!(found.sockets[0].state, None);
        assert_eq!(found.listings[0].stateless, 1);
    }

    #[test]
    fn a_filter_makes_missing_states_unknown() {
        let rows = "LISTEN 0 128 0.0.0.0:80 0.0.0.0:*\nESTAB 0 0 10.9.0.2:80 10.9.0.1:5000\n";
        for command in ["ss -tan | head -20", "ss -tan '( sport = :80 )'", "ss -tan dst 10.9.0.1"] {
            let found = facts(&format!("$ {command}\n{rows}"));
            assert_eq!(found.listings[0].count(TcpState::TimeWait), None, "{command}");
        }
        let found = facts(&format!("$ ss -t -a -n -p\n{rows}"));
        assert_eq!(found.listings[0].count(TcpState::TimeWait), Some(0));
    }

    #[test]
    fn a_row_cut_short_is_counted() {
        let text = "State Recv-Q Send-Q Local Address:Port Peer Address:Port\nESTAB 0 0 10.9.0.2:80 10.9.0.1:5000\nTIME-WAIT 0 0 10.9";
        let snapshot = read(0, "x", text.as_bytes());
        assert_eq!((snapshot.parsed, snapshot.skipped_lines()), (1, 1));
    }
}
