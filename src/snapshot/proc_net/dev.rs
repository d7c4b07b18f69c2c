//! `/proc/net/dev`: packets and errors of each interface (`net/core/net-procfs.c`).

use crate::snapshot::facts::{Sample, Source};
use crate::snapshot::hint::Hint;
use crate::snapshot::{Out, Parser, Taken};

const COLUMNS: [&str; 16] = [
    "rx bytes",
    "rx packets",
    "rx errors",
    "rx dropped",
    "rx fifo",
    "rx frame",
    "rx compressed",
    "rx multicast",
    "tx bytes",
    "tx packets",
    "tx errors",
    "tx dropped",
    "tx fifo",
    "tx collisions",
    "tx carrier",
    "tx compressed",
];

pub(in crate::snapshot) fn opens(text: &str, _hint: &Hint) -> bool {
    text.starts_with("Inter-|") && text.contains("Receive")
}

pub(in crate::snapshot) fn parser(_hint: &Hint) -> Box<dyn Parser> {
    Box::new(Reading { opened: false })
}

struct Reading {
    opened: bool,
}

impl Parser for Reading {
    fn line(&mut self, text: &str, source: Source, out: &mut Out<'_>) -> Taken {
        if text.starts_with("Inter-|") {
            let again = std::mem::replace(&mut self.opened, true);
            return if again { Taken::Foreign } else { Taken::Part };
        }
        if text.starts_with(" face |") || text.trim().is_empty() {
            return Taken::Part;
        }
        let Some((name, values)) = text.split_once(':') else {
            return Taken::Foreign;
        };
        let values: Option<Vec<u64>> = values.split_ascii_whitespace().map(|word| word.parse().ok()).collect();
        let Some(values) = values.filter(|values| values.len() == COLUMNS.len()) else {
            return Taken::Foreign;
        };
        let subject = out.names.get(name.trim());
        for (name, value) in COLUMNS.iter().zip(values) {
            // Counters beyond 2^53 lose their last digits, which no rule reads.
            #[allow(clippy::cast_precision_loss)]
            let value = value as f64;
            let (subject, name) = (subject.clone(), out.names.get(name));
            out.facts.samples.push(Sample { format: "proc_net", subject, name, value, time_of_day: None, source });
        }
        Taken::Row
    }
}
