//! Kernel counters as `nstat` prints them, as text and as JSON (`-j`).
//!
//! It follows `misc/nstat.c` of iproute2: three columns, name, value and rate, after a line `#kernel`.
//! Without `-a` or `-s` the values are the difference to the run before; what the call was is taken from
//! the prompt line or the file's name, and stays unknown otherwise.

use super::facts::{Counter, Since, Source};
use super::hint::Hint;
use super::{Out, Parser, Taken};

pub(super) fn opens(text: &str, _hint: &Hint) -> bool {
    text.trim_end() == "#kernel" || row(text).is_some() || is_json_opening(text)
}

pub(super) fn parser(hint: &Hint) -> Box<dyn Parser> {
    let since = match hint.flags("nstat") {
        Some(flags) if flags.contains(['a', 's']) => Since::Boot,
        Some(_) => Since::LastRun,
        None => Since::Unknown,
    };
    Box::new(Nstat { since, opened: false })
}

struct Nstat {
    since: Since,
    opened: bool,
}

impl Parser for Nstat {
    fn line(&mut self, text: &str, source: Source, out: &mut Out<'_>) -> Taken {
        let is_opening = text.trim_end() == "#kernel" || is_json_opening(text);
        if is_opening && self.opened {
            return Taken::Foreign;
        }
        let known = row(text).or_else(|| json_row(text));
        if let Some((name, value)) = known {
            out.facts.counters.push(Counter { name: out.names.get(name), value, since: self.since, source });
            self.opened = true;
            return Taken::Row;
        }
        if is_opening {
            self.opened = true;
            // Without blanks and line ends the whole list stands on one line.
            let mut rows = 0;
            for part in text.rsplit('{').next().unwrap_or_default().split(',') {
                let Some((name, value)) = json_row(part) else {
                    continue;
                };
                out.facts.counters.push(Counter { name: out.names.get(name), value, since: self.since, source });
                rows += 1;
            }
            return if rows > 0 { Taken::Row } else { Taken::Part };
        }
        match text.trim() {
            "" | "{" | "}" | "}}" | "}," => Taken::Part,
            _ => Taken::Foreign,
        }
    }
}

/// `TcpExtPAWSActive                3                  0.0`.
fn row(text: &str) -> Option<(&str, u64)> {
    let mut words = text.split_ascii_whitespace();
    let name = words.next().filter(|name| is_counter(name))?;
    let value = words.next()?.parse().ok()?;
    words.next()?.parse::<f64>().ok()?;
    words.next().is_none().then_some((name, value))
}

/// `        "TcpExtPAWSActive": 3,`, or the first one behind `{"kernel": {`.
fn json_row(text: &str) -> Option<(&str, u64)> {
    let (name, value) = text.trim().trim_end_matches([',', '}']).strip_prefix('"')?.split_once("\":")?;
    is_counter(name).then_some((name, value.trim().parse().ok()?))
}

/// A counter's name begins with the name of its MIB group.
fn is_counter(name: &str) -> bool {
    ["Ip", "Icmp", "Tcp", "Udp", "MPTcp", "Sctp"].iter().any(|group| {
        name.strip_prefix(group)
            .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_uppercase() || c.is_ascii_digit()))
    }) && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
}

/// `    "kernel": {`, or with the brace before it.
fn is_json_opening(text: &str) -> bool {
    let text = text.trim().trim_start_matches('{').trim_start();
    text.strip_prefix("\"kernel\":").is_some_and(|rest| rest.trim_start().starts_with('{'))
}

#[cfg(test)]
mod tests {
    use crate::snapshot::{Since, read};

    #[test]
    fn text_and_json_give_the_same_counters() {
        let text = "#kernel\nIpInReceives                    24                 0.0\nTcpExtPAWSActive                3                  0.0\n";
        let json = "{\n    \"kernel\": {\n        \"IpInReceives\": 24,\n        \"TcpExtPAWSActive\": 3\n    }\n}\n";
        let values = |text: &str| {
            let snapshot = read(0, "nstat-az.txt", text.as_bytes());
            assert_eq!((snapshot.parsed, snapshot.skipped_lines()), (2, 0), "{:?}", snapshot.skipped);
            snapshot.facts.counters.into_iter().map(|c| (c.name.to_string(), c.value, c.since)).collect::<Vec<_>>()
        };
        assert_eq!(values(text), values(json));
        let compact = read(0, "x", b"{\"kernel\":{\"IpInReceives\":24,\"TcpExtPAWSActive\":3}}\n").facts;
        assert_eq!(compact.counter("TcpExtPAWSActive").map(|(value, _)| value), Some(3));
        assert_eq!(values(text)[1], ("TcpExtPAWSActive".to_owned(), 3, Since::Boot));
    }

    #[test]
    fn a_call_that_is_not_known_leaves_open_what_the_values_count_from() {
        let row = "TcpExtPAWSActive                3                  0.0\n";
        let since = |text: &str| read(0, "x", text.as_bytes()).facts.counters[0].since;
        assert_eq!(since(row), Since::Unknown);
        assert_eq!(since(&format!("$ nstat\n{row}")), Since::LastRun);
        assert_eq!(since(&format!("$ nstat -az\n{row}")), Since::Boot);
    }
}
