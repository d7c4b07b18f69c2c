//! Interfaces of the host: `ip -s link` (also `-s -s`, `-d`), and `ip addr` for its addresses.
//!
//! It follows `ip/ipaddress.c` of iproute2. Columns are taken from the line of names above the numbers:
//! the fifth one was `overrun` and is `missed`.

use std::sync::Arc;

use super::facts::{OwnAddress, Sample, Source};
use super::hint::Hint;
use super::{Out, Parser, Taken};

pub(super) fn opens(text: &str, _hint: &Hint) -> bool {
    interface(text).is_some()
}

pub(super) fn parser(_hint: &Hint) -> Box<dyn Parser> {
    Box::new(Link { interface: None, numbers: Vec::new(), columns: None, counts: false })
}

struct Link {
    interface: Option<Arc<str>>,
    /// The numbers of the interfaces so far: the first again is the next output.
    numbers: Vec<u32>,
    /// The direction and the names that the next line gives values for.
    columns: Option<(&'static str, Vec<String>)>,
    /// Whether counters were printed: else it is `ip addr`.
    counts: bool,
}

impl Parser for Link {
    fn line(&mut self, text: &str, source: Source, out: &mut Out<'_>) -> Taken {
        if let Some((number, name)) = interface(text) {
            if self.numbers.contains(&number) {
                return Taken::Foreign;
            }
            self.numbers.push(number);
            self.interface = Some(out.names.get(name));
            return Taken::Part;
        }
        let Some(interface) = self.interface.clone().filter(|_| text.starts_with([' ', '\t'])) else {
            return if text.trim().is_empty() { Taken::Part } else { Taken::Foreign };
        };
        let trimmed = text.trim();
        if let Some((direction, columns)) = self.columns.take() {
            return self.values(trimmed, direction, &columns, &interface, source, out);
        }
        for (start, direction) in [("RX errors:", "rx"), ("TX errors:", "tx"), ("RX:", "rx"), ("TX:", "tx")] {
            if let Some(names) = trimmed.strip_prefix(start) {
                self.columns = Some((direction, names.split_ascii_whitespace().map(str::to_owned).collect()));
                return Taken::Part;
            }
        }
        let mut words = trimmed.split_ascii_whitespace();
        if matches!(words.next(), Some("inet" | "inet6")) {
            let address = words.next().and_then(|word| word.split('/').next()?.parse().ok());
            let Some(address) = address else {
                return Taken::Bad("an address that cannot be read");
            };
            out.facts.addresses.push(OwnAddress { address, interface, source });
            return Taken::Row;
        }
        Taken::Part
    }

    fn format(&self) -> Option<&'static str> {
        (!self.counts).then_some("ip_addr")
    }
}

impl Link {
    fn values(
        &mut self,
        text: &str,
        direction: &str,
        columns: &[String],
        interface: &Arc<str>,
        source: Source,
        out: &mut Out<'_>,
    ) -> Taken {
        let values: Option<Vec<f64>> = text.split_ascii_whitespace().map(|word| word.parse().ok()).collect();
        let Some(values) = values.filter(|values| values.len() == columns.len()) else {
            return Taken::Bad("as many values as names were expected");
        };
        self.counts = true;
        for (name, value) in columns.iter().zip(values) {
            let name = out.names.get(&format!("{direction} {name}"));
            out.facts.samples.push(Sample {
                format: "ip_s_link",
                subject: interface.clone(),
                name,
                value,
                time_of_day: None,
                source,
            });
        }
        Taken::Row
    }
}

/// `2: svb@if2: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1500 …`.
fn interface(text: &str) -> Option<(u32, &str)> {
    let (number, rest) = text.split_once(": ")?;
    let (name, flags) = rest.split_once(": <")?;
    let number = number.parse().ok()?;
    (flags.contains("> mtu ") && !name.contains(' ')).then(|| (number, name.split('@').next().unwrap_or(name)))
}
