//! `/proc/net/sockstat` and `sockstat6`: sockets in use by protocol (`net/ipv4/proc.c`).

use crate::snapshot::facts::{Sockstat, Source};
use crate::snapshot::hint::Hint;
use crate::snapshot::{Out, Parser, Taken};

pub(in crate::snapshot) fn opens(text: &str, _hint: &Hint) -> bool {
    protocol(text).is_some()
}

pub(in crate::snapshot) fn parser(_hint: &Hint) -> Box<dyn Parser> {
    Box::new(Reading { seen: Vec::new() })
}

struct Reading {
    seen: Vec<String>,
}

impl Parser for Reading {
    fn line(&mut self, text: &str, source: Source, out: &mut Out<'_>) -> Taken {
        let Some((protocol, rest)) = protocol(text) else {
            return if text.is_empty() { Taken::Part } else { Taken::Foreign };
        };
        if self.seen.iter().any(|seen| seen == protocol) {
            return Taken::Foreign;
        }
        self.seen.push(protocol.to_owned());
        let mut row = Sockstat { protocol: out.names.get(protocol), source, ..Sockstat::default() };
        let mut words = rest.split_ascii_whitespace();
        while let (Some(name), Some(value)) = (words.next(), words.next()) {
            let value = value.parse().ok();
            match name {
                "inuse" | "used" => row.in_use = value,
                "orphan" => row.orphan = value,
                "tw" => row.time_wait = value,
                "alloc" => row.allocated = value,
                "mem" | "memory" => row.memory_pages = value,
                _ => {}
            }
        }
        out.facts.sockstats.push(row);
        Taken::Row
    }
}

/// `TCP: inuse 17 orphan 2 …`, `sockets: used 20`.
fn protocol(text: &str) -> Option<(&str, &str)> {
    let (name, rest) = text.split_once(": ")?;
    let counts = rest.starts_with("inuse ") || name == "sockets" && rest.starts_with("used ");
    let known = matches!(
        name,
        "sockets" | "TCP" | "UDP" | "UDPLITE" | "RAW" | "FRAG" | "TCP6" | "UDP6" | "UDPLITE6" | "RAW6" | "FRAG6"
    );
    (known && counts).then_some((name, rest))
}
