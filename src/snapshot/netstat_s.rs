//! Kernel counters as `netstat -s` tells them, in prose.
//!
//! It follows `statistics.c` of net-tools 1.60 to 2.10. Counters that are zero are left out of `TcpExt`,
//! so its group is noted as one that omits zeros. A counter without a phrase of its own is printed as
//! `Name: value`.

mod phrases;

use std::sync::Arc;

use super::facts::{Counter, CounterGroup, Since, Source};
use super::hint::Hint;
use super::{Out, Parser, Taken};
use phrases::PHRASES;

pub(super) fn opens(text: &str, _hint: &Hint) -> bool {
    // A line that a filter left over has no group before it, and a phrase of its own.
    group(text).is_some() || text.starts_with([' ', '\t']) && read(text.trim(), "").is_some()
}

pub(super) fn parser(hint: &Hint) -> Box<dyn Parser> {
    Box::new(NetstatS { filtered: hint.is_filtered(), group: None, groups: Vec::new() })
}

struct NetstatS {
    /// Lines were left out, so that a missing one says nothing.
    filtered: bool,
    group: Option<Arc<str>>,
    groups: Vec<Arc<str>>,
}

impl Parser for NetstatS {
    fn line(&mut self, text: &str, source: Source, out: &mut Out<'_>) -> Taken {
        if let Some(name) = group(text) {
            let name = out.names.get(name);
            if self.groups.contains(&name) {
                // The same group again is the next output.
                return Taken::Foreign;
            }
            // Only the TcpExt counters are left out when they are zero (`opt_number` in `statistics.c`);
            // in a whole output other groups come first.
            let is_whole = !self.filtered && self.groups.iter().any(|group| &**group == "Tcp");
            let omits_zeros = &*name == "TcpExt" && is_whole;
            out.facts.counter_groups.push(CounterGroup {
                name: name.clone(),
                omits_zeros,
                names_all: false,
                since: Since::Boot,
                source,
            });
            self.groups.push(name.clone());
            self.group = Some(name);
            return Taken::Part;
        }
        if !text.starts_with([' ', '\t']) {
            return if text.is_empty() { Taken::Part } else { Taken::Foreign };
        }
        let group = self.group.as_deref().unwrap_or_default();
        let deep = text.starts_with("        ") || text.starts_with("\t\t");
        // The histograms of ICMP types are indented twice, and headed by a line without a number.
        if deep && group.starts_with("Icmp") || text.trim_end().ends_with("histogram:") {
            return Taken::Part;
        }
        match read(text.trim(), group) {
            Some((name, value)) => {
                out.facts.counters.push(Counter { name: out.names.get(&name), value, since: Since::Boot, source });
                Taken::Row
            }
            None if text.contains("Forwarding is") => Taken::Part,
            None => Taken::Bad("a counter whose phrase is not known"),
        }
    }
}

/// `Ip:`, `TcpExt:`; nothing else stands at the left edge.
fn group(text: &str) -> Option<&str> {
    let name = text.trim_end().strip_suffix(':')?;
    matches!(
        name,
        "Ip" | "Icmp"
            | "IcmpMsg"
            | "Tcp"
            | "Udp"
            | "UdpLite"
            | "TcpExt"
            | "IpExt"
            | "MPTcpExt"
            | "Ip6"
            | "Icmp6"
            | "Udp6"
            | "UdpLite6"
            | "Sctp"
    )
    .then_some(name)
}

/// The counter's name and value: by its phrase, else `Name: value` in its group.
fn read(text: &str, group: &str) -> Option<(String, u64)> {
    let number = text.split_ascii_whitespace().find_map(|word| word.parse::<u64>().ok())?;
    let mut phrase = String::with_capacity(text.len());
    let mut replaced = false;
    for word in text.split_ascii_whitespace() {
        if !phrase.is_empty() {
            phrase.push(' ');
        }
        let is_number = !replaced && word.parse::<u64>().is_ok();
        replaced |= is_number;
        phrase.push_str(if is_number { "#" } else { word });
    }
    if let Some((_, name)) = PHRASES.iter().find(|(known, _)| *known == phrase) {
        // IPv6 and UDP-Lite share the phrases of IPv4 and UDP.
        let base = ["Ip", "Icmp", "Udp"].iter().find(|base| name.starts_with(**base) && group.starts_with(**base));
        let field = base.and_then(|base| name.strip_prefix(base));
        return Some((field.map_or_else(|| (*name).to_owned(), |field| format!("{group}{field}")), number));
    }
    let name = phrase.strip_suffix(": #").filter(|name| !group.is_empty() && is_field(name))?;
    Some((format!("{group}{name}"), number))
}

fn is_field(name: &str) -> bool {
    name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

#[cfg(test)]
mod tests {
    use crate::snapshot::{Source, read};

    #[test]
    fn both_spellings_of_a_counter_are_one() {
        for phrase in ["rejects in", "rejected in"] {
            let text = format!("TcpExt:\n    7 packets {phrase} established connections because of timestamp\n");
            let facts = read(3, "x", text.as_bytes()).facts;
            assert_eq!(facts.counter("TcpExtPAWSEstab"), Some((7, Source { input: 3, line: 2 })));
        }
        let text = "Tcp:\n    0 resets sent\nTcpExt:\n    12 SYNs to LISTEN sockets ignored\n    5 times the listen queue of a socket overflowed\n    PAWSTimewait: 10\n";
        let facts = read(0, "x", text.as_bytes()).facts;
        let value = |name: &str| facts.counter(name).map(|(value, _)| value);
        assert_eq!(value("TcpExtListenDrops"), Some(12));
        assert_eq!(value("TcpExtListenOverflows"), Some(5));
        assert_eq!(value("TcpExtPAWSTimewait"), Some(10));
        assert_eq!(value("TcpExtPAWSPassive"), Some(0), "left out because it is zero");
        assert_eq!(value("TcpActiveOpens"), None, "only TcpExt omits zeros");
        assert_eq!(value("IpInReceives"), None, "its group was not listed");
    }

    #[test]
    fn a_filter_makes_missing_lines_unknown() {
        for text in [
            "$ netstat -s | egrep 'listen|TcpExt'\nTcpExt:\n    5 times the listen queue of a socket overflowed\n",
            "$ netstat -s | grep -i listen\n    5 times the listen queue of a socket overflowed\n",
            "    5 times the listen queue of a socket overflowed\n    5 SYNs to LISTEN sockets dropped\n",
        ] {
            let snapshot = read(0, "x", text.as_bytes());
            let value = |name: &str| snapshot.facts.counter(name).map(|(value, _)| value);
            assert_eq!((value("TcpExtListenOverflows"), value("TcpExtPAWSPassive")), (Some(5), None), "{text}");
            assert_eq!(snapshot.skipped_lines(), 0, "{text}");
        }
    }
}
