//! The connection tracker: `conntrack -L` (also `-o extended`), `/proc/net/nf_conntrack`, `conntrack -S` and `-C`.
//!
//! It follows conntrack(8) and `net/netfilter/nf_conntrack_standalone.c`. The tracker's states and timeouts
//! are its own: its TIME_WAIT lasts 120 s, a socket's 60 s.

use super::facts::{Sample, Source, Tracked, TrackedTable};
use super::hint::Hint;
use super::socket::{Endpoint, Host, Port};
use super::text::{Names, is_digits, pair};
use super::{Out, Parser, Taken};

pub(super) fn opens(text: &str, hint: &Hint) -> bool {
    entry(text, Source::default(), &mut Names::default()).is_some()
        || is_statistics(text)
        || shown(text).is_some()
        || hint.mentions("conntrack") && is_digits(text.trim())
}

pub(super) fn parser(_hint: &Hint) -> Box<dyn Parser> {
    Box::new(Conntrack { table: None, from_kernel: false, lines: 0, cut: None })
}

struct Conntrack {
    table: Option<TrackedTable>,
    /// The kernel's own file prints the zone of every entry.
    from_kernel: bool,
    lines: u64,
    /// A row that the tool's own last word cut in two, where both went to one file.
    cut: Option<String>,
}

impl Parser for Conntrack {
    fn line(&mut self, text: &str, source: Source, out: &mut Out<'_>) -> Taken {
        self.lines = self.lines.saturating_add(1);
        if let Some(head) = self.cut.take() {
            let whole = format!("{head}{text}");
            if entry(&whole, source, out.names).is_some() {
                return self.line(&whole, source, out);
            }
        }
        if let Some((head, tail)) = text.split_once("conntrack v")
            && !head.is_empty()
            && shown(&format!("conntrack v{tail}")).is_some()
        {
            self.cut = Some(head.to_owned());
            return Taken::Part;
        }
        if let Some(entry) = entry(text, source, out.names) {
            self.from_kernel |= text.contains(" zone=0 ");
            let table =
                self.table.get_or_insert_with(|| TrackedTable { listed: true, source, ..TrackedTable::default() });
            count(table, &entry);
            out.rows.tracked(entry);
            return Taken::Row;
        }
        if is_statistics(text) {
            return statistics(text, source, out);
        }
        if let Some(entries) = shown(text) {
            // The tool's last word repeats the number; alone it says that the table is empty.
            if self.table.is_none() {
                self.table = Some(TrackedTable { entries, listed: true, source, ..TrackedTable::default() });
                return Taken::Row;
            }
            return Taken::Part;
        }
        if self.lines == 1 && is_digits(text.trim()) {
            let entries = text.trim().parse().unwrap_or(u64::MAX);
            self.table = Some(TrackedTable { entries, source, ..TrackedTable::default() });
            return Taken::Row;
        }
        if text.trim().is_empty() { Taken::Part } else { Taken::Foreign }
    }

    fn end(&mut self, out: &mut Out<'_>) {
        out.facts.tracked_tables.extend(self.table.take());
    }

    fn format(&self) -> Option<&'static str> {
        self.from_kernel.then_some("proc_net")
    }
}

fn count(table: &mut TrackedTable, entry: &Tracked) {
    table.entries = table.entries.saturating_add(1);
    let state = entry.state.as_deref();
    for (count, counted) in [
        (&mut table.time_wait, state == Some("TIME_WAIT")),
        (&mut table.close_wait, state == Some("CLOSE_WAIT")),
        (&mut table.established, state == Some("ESTABLISHED")),
        (&mut table.unreplied, entry.unreplied),
    ] {
        *count = count.saturating_add(u64::from(counted));
    }
}

/// `tcp      6 116 TIME_WAIT src=10.9.0.1 dst=10.9.0.2 sport=55960 dport=8080 src=… [ASSURED] mark=0 use=1`.
fn entry(text: &str, source: Source, names: &mut Names) -> Option<Tracked> {
    let mut words = text.split_ascii_whitespace().peekable();
    let mut protocol = words.next()?;
    if matches!(protocol, "ipv4" | "ipv6") {
        words.next().filter(|word| is_digits(word))?;
        protocol = words.next()?;
    }
    words.next().filter(|word| is_digits(word))?;
    let expires_s = words.next_if(|word| is_digits(word)).and_then(|word| word.parse().ok());
    let state = words
        .next_if(|word| word.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_' || byte.is_ascii_digit()));
    let mut found = Tracked {
        protocol: names.get(protocol),
        state: state.map(|state| names.get(state)),
        expires_s,
        from: Endpoint::ANY,
        to: Endpoint::ANY,
        reply_from: Endpoint::ANY,
        reply_to: Endpoint::ANY,
        unreplied: false,
        assured: false,
        source,
    };
    let mut sources = 0;
    for word in words {
        match pair(word, '=') {
            Some(("src", value)) => {
                sources += 1;
                host(if sources == 1 { &mut found.from } else { &mut found.reply_from }, value)?;
            }
            Some(("dst", value)) => host(if sources == 1 { &mut found.to } else { &mut found.reply_to }, value)?,
            Some(("sport", value)) => port(if sources == 1 { &mut found.from } else { &mut found.reply_from }, value)?,
            Some(("dport", value)) => port(if sources == 1 { &mut found.to } else { &mut found.reply_to }, value)?,
            None if word == "[UNREPLIED]" => found.unreplied = true,
            None if word == "[ASSURED]" => found.assured = true,
            _ => {}
        }
    }
    (sources > 0).then_some(found)
}

fn host(endpoint: &mut Endpoint, value: &str) -> Option<()> {
    endpoint.host = Host::from_ip(value.parse().ok()?);
    Some(())
}

fn port(endpoint: &mut Endpoint, value: &str) -> Option<()> {
    endpoint.port = Port::Number(value.parse().ok()?);
    Some(())
}

/// `conntrack v1.4.7 (conntrack-tools): 0 flow entries have been shown.`
fn shown(text: &str) -> Option<u64> {
    let (head, _) = text.strip_prefix("conntrack v")?.split_once(" flow entries have been shown")?;
    head.rsplit(' ').next()?.parse().ok()
}

/// `cpu=0    found=0 invalid=0 insert=0 insert_failed=0 drop=0 …`.
fn is_statistics(text: &str) -> bool {
    text.strip_prefix("cpu=").is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
        && text.contains("insert_failed=")
}

fn statistics(text: &str, source: Source, out: &mut Out<'_>) -> Taken {
    let mut subject = out.names.get("cpu");
    for word in text.split_ascii_whitespace() {
        let Some((name, value)) = pair(word, '=') else {
            return Taken::Bad("a count without its name");
        };
        if name == "cpu" {
            subject = out.names.get(&format!("cpu{value}"));
            continue;
        }
        let Ok(value) = value.parse() else {
            return Taken::Bad("a count that is no number");
        };
        let name = out.names.get(name);
        out.facts.samples.push(Sample {
            format: "conntrack",
            subject: subject.clone(),
            name,
            value,
            time_of_day: None,
            source,
        });
    }
    Taken::Row
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::read;

    #[test]
    fn translated_connections_keep_both_directions() {
        let line = "ipv4     2 tcp      6 86399 ESTABLISHED src=10.0.1.12 dst=192.0.2.10 sport=40000 dport=80 \
                    src=192.0.2.10 dst=192.0.2.1 sport=80 dport=55264 [ASSURED] mark=0 zone=0 use=2";
        let found = entry(line, Source::default(), &mut Names::default()).expect("an entry");
        assert_eq!((found.expires_s, found.state.as_deref(), found.assured), (Some(86_399), Some("ESTABLISHED"), true));
        assert_eq!(found.reply_to.host.ip(), "192.0.2.1".parse().ok());
        assert_eq!(found.reply_to.port.number(), Some(55_264));
        let line = "udp      17 29 src=10.0.1.12 dst=10.0.0.53 sport=40000 dport=53 [UNREPLIED] src=10.0.0.53 dst=10.0.1.12 sport=53 dport=40000 mark=0 use=1";
        let found = entry(line, Source::default(), &mut Names::default()).expect("an entry");
        assert!(found.unreplied && found.state.is_none());
    }

    #[test]
    fn a_row_that_the_tool_wrote_into_is_whole_again() {
        let row = "tcp      6 59 SYN_RECV src=10.9.0.1 dst=10.9.0.2 sport=40000 dport=8085 src=10.9.0.2 dst=10.9.0.1 sport=8085 dport=40000 mark=0 use=1";
        let (head, tail) = row.split_at(80);
        let text = format!(
            "{row}\n{head}conntrack v1.4.7 (conntrack-tools): 3 flow entries have been shown.\n{tail}\n{row}\n"
        );
        let snapshot = read(0, "x", text.as_bytes());
        assert_eq!((snapshot.parsed, snapshot.skipped_lines()), (3, 0), "{:?}", snapshot.skipped);
        let [first, second, _]: &[_; 3] = snapshot.facts.tracked.as_slice().try_into().expect("three rows");
        assert_eq!((&first.reply_to, second.source.line), (&second.reply_to, 3));
    }

    #[test]
    fn an_empty_table_is_empty_and_a_count_is_no_list() {
        let tables = |name: &str, text: &str| read(0, name, text.as_bytes()).facts.tracked_tables;
        let empty = tables("x", "conntrack v1.4.7 (conntrack-tools): 0 flow entries have been shown.\n");
        assert_eq!(empty.iter().map(|table| (table.entries, table.listed)).collect::<Vec<_>>(), [(0, true)]);
        let counted = tables("x", "$ conntrack -C\n60\n");
        assert_eq!(counted.iter().map(|table| (table.entries, table.listed)).collect::<Vec<_>>(), [(60, false)]);
        assert!(tables("x", "60\n").is_empty(), "a number alone says nothing");
    }
}
