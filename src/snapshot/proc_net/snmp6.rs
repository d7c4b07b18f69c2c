//! `/proc/net/snmp6`: one counter a line, name and value (`net/ipv6/proc.c`).

use crate::snapshot::facts::{Counter, Since, Source};
use crate::snapshot::hint::Hint;
use crate::snapshot::{Out, Parser, Taken};

pub(in crate::snapshot) fn opens(text: &str, _hint: &Hint) -> bool {
    row(text).is_some()
}

pub(in crate::snapshot) fn parser(_hint: &Hint) -> Box<dyn Parser> {
    Box::new(Snmp6)
}

struct Snmp6;

impl Parser for Snmp6 {
    fn line(&mut self, text: &str, source: Source, out: &mut Out<'_>) -> Taken {
        match row(text) {
            Some((name, value)) => {
                out.facts.counters.push(Counter { name: out.names.get(name), value, since: Since::Boot, source });
                Taken::Row
            }
            None if text.is_empty() => Taken::Part,
            None => Taken::Foreign,
        }
    }
}

/// `Ip6InReceives                    9`.
fn row(text: &str) -> Option<(&str, u64)> {
    let mut words = text.split_ascii_whitespace();
    let name = words.next()?;
    let known = ["Ip6", "Icmp6", "Udp6", "UdpLite6"].iter().any(|group| name.starts_with(group));
    let value = words.next()?.parse().ok()?;
    (known && words.next().is_none()).then_some((name, value))
}
