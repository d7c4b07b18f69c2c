//! Socket listings of `netstat -ano` on Windows.
//!
//! States keep their English names in Chinese and Japanese Windows; titles and columns do not. Queues are
//! not printed, and TIME_WAIT has the process number 0.

use super::facts::Source;
use super::hint::Hint;
use super::listing::SocketListing;
use super::socket::{Endpoint, Port, Process, SocketRow};
use super::state::TcpState;
use super::text::is_digits;
use super::{Out, Parser, Taken};

pub(super) fn opens(text: &str, _hint: &Hint) -> bool {
    matches!(text.trim(), "Active Connections" | "活动连接" | "使用中連線" | "アクティブな接続") || is_row(text)
}

pub(super) fn parser(_hint: &Hint) -> Box<dyn Parser> {
    Box::new(NetstatWin { titled: false, listing: None })
}

struct NetstatWin {
    titled: bool,
    listing: Option<SocketListing>,
}

impl Parser for NetstatWin {
    fn line(&mut self, text: &str, source: Source, out: &mut Out<'_>) -> Taken {
        let trimmed = text.trim();
        if !is_row(text) {
            let is_title = opens(text, &Hint::default());
            if is_title && (self.titled || self.listing.is_some()) {
                return Taken::Foreign;
            }
            self.titled |= is_title;
            // Column names, and the program of `-b` in brackets below its socket.
            let columns = self.listing.is_none() && text.starts_with(' ');
            let program = trimmed.starts_with('[') && trimmed.ends_with(']');
            return if trimmed.is_empty() || is_title || columns || program { Taken::Part } else { Taken::Foreign };
        }
        let words: Vec<&str> = trimmed.split_ascii_whitespace().collect();
        let (Some(&protocol), Some(&local), Some(&remote)) = (words.first(), words.get(1), words.get(2)) else {
            return Taken::Bad("a row without its endpoints");
        };
        if protocol == "UDP" {
            return Taken::Part;
        }
        let Some(state) = words.get(3).and_then(|word| TcpState::from_spelling(word)) else {
            return Taken::Bad("a state whose name is not known");
        };
        let mut endpoint = |word| Endpoint::parse(word, &mut |name| out.names.get(name));
        let (Some(local), Some(mut remote)) = (endpoint(local), endpoint(remote)) else {
            return Taken::Bad("an endpoint that is no address and port");
        };
        if state == TcpState::Listen {
            remote.port = Port::Any;
        }
        // Number 0 is the idle process: nobody owns the socket.
        let pid =
            words.get(4).filter(|word| is_digits(word)).and_then(|word| word.parse().ok()).filter(|pid| *pid != 0);
        let process = pid.map(|pid| Process { name: None, pid: Some(pid), others: 0 });
        let row = SocketRow {
            state: Some(state),
            local,
            remote,
            recv_q: None,
            send_q: None,
            timer: None,
            process,
            inode: None,
            last_received: None,
            source,
        };
        let moment = out.moment;
        self.listing.get_or_insert_with(|| SocketListing::new("netstat_win", source, moment)).add(&row);
        out.rows.socket(row);
        Taken::Row
    }

    fn end(&mut self, out: &mut Out<'_>) {
        if let Some(mut listing) = self.listing.take() {
            listing.settle();
            out.facts.listings.push(listing);
        }
    }
}

/// `  TCP    10.9.0.5:49731         10.9.0.2:8080          ESTABLISHED     4321`.
fn is_row(text: &str) -> bool {
    let mut words = text.split_ascii_whitespace();
    matches!(words.next(), Some("TCP" | "UDP"))
        && words.next().is_some_and(|word| word.contains(':') && word.ends_with(|c: char| c.is_ascii_digit()))
        && words.next().is_some_and(|word| word.contains(':'))
}
