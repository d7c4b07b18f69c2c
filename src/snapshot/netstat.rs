//! Socket listings of `netstat` on Linux (net-tools, busybox) and on BSD and macOS.
//!
//! It follows `netstat.c` of net-tools 1.60 to 2.10. Headers are translated and states are not, so rows are
//! known by their shape. The Send-Q of a listening socket is no limit here and is left out.

use super::facts::Source;
use super::fold::{Folded, Folder, Layout};
use super::hint::Hint;
use super::listing::SocketListing;
use super::socket::{Endpoint, Process, SocketRow, Timer, TimerKind};
use super::state::TcpState;
use super::text::{Names, is_digits, leading_number};
use super::{Out, Parser, Taken};
use crate::time::Span;

pub(super) fn opens(text: &str, _hint: &Hint) -> bool {
    is_title(text) || is_columns(text) || Fields::read(text).is_some_and(|fields| fields.protocol.starts_with("tcp"))
}

pub(super) fn parser(hint: &Hint) -> Box<dyn Parser> {
    let all = hint.flags("netstat").map(|flags| flags.contains('a') && !hint.is_filtered());
    Box::new(Netstat { all, titled: false, dotted: false, has_user: false, listing: None })
}

struct Netstat {
    all: Option<bool>,
    titled: bool,
    /// Addresses end in a dot and the port, as on BSD and macOS.
    dotted: bool,
    /// Rows carry the user and the inode behind the state (`-e`).
    has_user: bool,
    listing: Option<SocketListing>,
}

impl Parser for Netstat {
    fn line(&mut self, text: &str, source: Source, out: &mut Out<'_>) -> Taken {
        if is_title(text) {
            if self.titled || self.listing.is_some() {
                return Taken::Foreign;
            }
            self.titled = true;
            // The title says in words how the tool was called; `-a` in English, Chinese and Japanese.
            if ["servers and established", "服务器和已建立", "サーバと確立"].iter().any(|words| text.contains(words))
            {
                self.all = self.all.or(Some(true));
            }
            return Taken::Part;
        }
        if is_columns(text) {
            self.dotted = text.contains("(state)");
            self.has_user = text.contains(" User ");
            return Taken::Part;
        }
        let Some(fields) = Fields::read(text) else {
            return if text.trim().is_empty() || is_unix(text) { Taken::Part } else { Taken::Foreign };
        };
        if !fields.protocol.starts_with("tcp") {
            return Taken::Part;
        }
        let row = match self.row(&fields, source, out.names) {
            Ok(row) => row,
            Err(reason) => return Taken::Bad(reason),
        };
        let all = self.all;
        let moment = out.moment;
        let new = || SocketListing { all_states: all, ..SocketListing::new("netstat", source, moment) };
        self.listing.get_or_insert_with(new).add(&row);
        out.rows.socket(row);
        Taken::Row
    }

    fn folder(&self) -> Option<Folder> {
        let listing = self.listing.as_ref().filter(|_| !self.dotted && !self.has_user)?;
        Some(Folder { layout: Layout::Netstat, listening: listing.census.listening().clone(), rare: false })
    }

    fn take(&mut self, folded: Folded, last: Source) {
        if let Some(listing) = &mut self.listing {
            listing.take(folded, last);
        }
    }

    fn end(&mut self, out: &mut Out<'_>) {
        if let Some(mut listing) = self.listing.take() {
            listing.settle();
            out.facts.listings.push(listing);
        }
    }
}

impl Netstat {
    fn row(&self, fields: &Fields<'_>, source: Source, names: &mut Names) -> Result<SocketRow, &'static str> {
        const NO_ENDPOINT: &str = "an endpoint that is no address and port";
        let state = TcpState::from_spelling(fields.state).ok_or("a state whose name is not known")?;
        let local = self.endpoint(fields.local, names).ok_or(NO_ENDPOINT)?;
        let remote = self.endpoint(fields.remote, names).ok_or(NO_ENDPOINT)?;
        let mut row = SocketRow {
            state: Some(state),
            local,
            remote,
            recv_q: Some(fields.recv_q),
            send_q: (state != TcpState::Listen).then_some(fields.send_q),
            timer: None,
            process: None,
            inode: None,
            last_received: None,
            source,
        };
        if !self.dotted {
            self.details(fields.rest, &mut row, names);
        }
        Ok(row)
    }

    fn endpoint(&self, word: &str, names: &mut Names) -> Option<Endpoint> {
        if self.dotted || word.starts_with("*.") {
            let (host, port) = word.rsplit_once('.')?;
            return Endpoint::parse(&format!("{host}:{port}"), &mut |name| names.get(name));
        }
        Endpoint::parse(word, &mut |name| names.get(name))
    }

    /// What `-e`, `-p` and `-o` add: user and inode, owner, timer.
    fn details(&self, rest: &str, row: &mut SocketRow, names: &mut Names) {
        let mut rest = rest.trim();
        if self.has_user {
            let mut words = rest.splitn(3, char::is_whitespace).filter(|word| !word.is_empty());
            let _user = words.next();
            let after = rest.split_once(char::is_whitespace).map_or("", |(_, after)| after.trim_start());
            let (inode, after) = after.split_once(char::is_whitespace).unwrap_or((after, ""));
            row.inode = inode.parse().ok();
            rest = after.trim_start();
        }
        let (owner, timer) = split_timer(rest);
        row.timer = timer;
        let Some((pid, name)) = owner.split_once('/').filter(|(pid, _)| is_digits(pid)) else {
            return;
        };
        row.process = Some(Process { name: Some(names.get(name.trim())), pid: pid.parse().ok(), others: 0 });
    }
}

/// The words of a row: `tcp 0 0 10.9.0.2:80 10.9.0.1:5000 TIME_WAIT …`.
struct Fields<'a> {
    protocol: &'a str,
    recv_q: u32,
    send_q: u32,
    local: &'a str,
    remote: &'a str,
    state: &'a str,
    rest: &'a str,
}

impl<'a> Fields<'a> {
    fn read(text: &'a str) -> Option<Self> {
        let mut rest = text;
        let mut next = || {
            rest = rest.trim_ascii_start();
            let end = rest.bytes().position(|byte| byte.is_ascii_whitespace()).unwrap_or(rest.len());
            let (word, after) = rest.split_at_checked(end)?;
            rest = after;
            (!word.is_empty()).then_some(word)
        };
        let protocol = next().filter(|word| is_protocol(word))?;
        let recv_q = next()?.parse().ok()?;
        let send_q = next()?.parse().ok()?;
        let (local, remote) = (next()?, next()?);
        let state = next().unwrap_or_default();
        let separated = |word: &str| word.contains([':', '.', '*']);
        (separated(local) && separated(remote)).then_some(Self { protocol, recv_q, send_q, local, remote, state, rest })
    }
}

fn is_protocol(word: &str) -> bool {
    matches!(
        word,
        "tcp"
            | "tcp4"
            | "tcp6"
            | "tcp46"
            | "udp"
            | "udp4"
            | "udp6"
            | "udp46"
            | "udplite"
            | "udplite6"
            | "raw"
            | "raw6"
            | "sctp"
            | "icmp"
            | "icmp6"
            | "dccp"
    )
}

/// Splits the owner from the timer: `3310/java  keepalive (5021.33/0/0)`.
fn split_timer(rest: &str) -> (&str, Option<Timer>) {
    let Some((head, numbers)) = rest.trim_end().strip_suffix(')').and_then(|rest| rest.rsplit_once(" (")) else {
        return (rest, None);
    };
    let head = head.trim_end();
    let (owner, kind) = head.rsplit_once(char::is_whitespace).unwrap_or(("", head));
    let kind = match kind {
        "off" => return (owner, None),
        "on" => TimerKind::Retransmit,
        "keepalive" => TimerKind::Keepalive,
        "timewait" => TimerKind::TimeWait,
        "probe" => TimerKind::Persist,
        _ => TimerKind::Other,
    };
    let mut numbers = numbers.split('/');
    let left = numbers.next().and_then(leading_number).map(Span::from_secs_f64);
    let retransmits = numbers.next().and_then(|number| number.parse().ok());
    match (left, retransmits) {
        (Some(left), Some(retransmits)) => (owner, Some(Timer { kind, left, retransmits })),
        // A program's name may end in parentheses.
        _ => (rest, None),
    }
}

/// `Active Internet connections (servers and established)` in any language that keeps the word, and in Japanese.
fn is_title(text: &str) -> bool {
    let text = text.trim();
    text.starts_with("Active Internet")
        || text.ends_with(')') && !text.is_ascii() && (text.contains("Internet") || text.contains("インターネット接続"))
}

/// The line of column names; `-Q` and `Proto` stay in most languages.
fn is_columns(text: &str) -> bool {
    text.starts_with("Proto ") && text.contains("-Q ")
}

/// The listing of local sockets that follows when no protocol was asked for.
fn is_unix(text: &str) -> bool {
    let text = text.trim();
    text.starts_with("unix ")
        || text.starts_with("Proto ")
        || text.contains("UNIX")
        || text.contains("Unix")
        || text.contains("UNIX域")
}

#[cfg(test)]
mod tests {
    use crate::snapshot::{TcpState, TimerKind, read};

    #[test]
    fn columns_that_options_add_are_told_apart() {
        let text = "Active Internet connections (servers and established)\n\
            Proto Recv-Q Send-Q Local Address           Foreign Address         State       User       Inode      PID/Program name     Timer\n\
            tcp        2      0 0.0.0.0:8081            0.0.0.0:*               LISTEN      0          90520      16426/nginx: worker  off (0.00/0/0)\n\
            tcp        1      0 10.9.0.2:43210          10.9.0.7:3306           CLOSE_WAIT  48         1234       -                    keepalive (5021.33/0/0)\n";
        let snapshot = read(0, "x", text.as_bytes());
        assert_eq!((snapshot.parsed, snapshot.skipped_lines()), (2, 0));
        let [listening, waiting]: &[_; 2] = snapshot.facts.sockets.as_slice().try_into().expect("two rows");
        let owner = listening.process.as_ref().expect("an owner");
        assert_eq!((owner.pid, owner.name.as_deref()), (Some(16426), Some("nginx: worker")));
        assert_eq!((listening.recv_q, listening.send_q, listening.timer), (Some(2), None, None));
        assert_eq!((waiting.state, waiting.inode, &waiting.process), (Some(TcpState::CloseWait), Some(1234), &None));
        assert_eq!(
            waiting.timer.map(|timer| (timer.kind, timer.left.0 / 1_000_000)),
            Some((TimerKind::Keepalive, 5_021_330))
        );
        assert_eq!(snapshot.facts.listings[0].all_states, Some(true));
    }

    #[test]
    fn addresses_of_macos_end_in_a_dot_and_the_port() {
        let text = "Active Internet connections (including servers)\n\
            Proto Recv-Q Send-Q  Local Address          Foreign Address        (state)    \n\
            tcp4       0      0  10.0.0.5.49731         10.9.0.2.8080          FIN_WAIT_1\n\
            tcp46      0      0  *.8080                 *.*                    LISTEN     \n\
            tcp6       0      0  ::1.631                ::1.50000              TIME_WAIT\n\
            udp4       0      0  *.5353                 *.*                               \n";
        let snapshot = read(0, "x", text.as_bytes());
        assert_eq!((snapshot.parsed, snapshot.skipped_lines()), (3, 0), "{:?}", snapshot.skipped);
        let ports: Vec<_> = snapshot.facts.sockets.iter().map(|row| row.local.port.number()).collect();
        assert_eq!(ports, [Some(49731), Some(8080), Some(631)]);
        assert_eq!(snapshot.facts.sockets[0].state, Some(TcpState::FinWait1));
    }
}
